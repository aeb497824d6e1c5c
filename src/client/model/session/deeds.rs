//! What the person has done, as the server confirms it, in a sentence.

use std::collections::VecDeque;

use super::Session;
use super::loss::lost;
use super::told::{banned_text, span_text};
use crate::client::model::news::News;
use crate::commands;
use crate::limits::{GUEST_BAN, GUEST_BAN_MOST};
use crate::names::Place;
use crate::request::{Request, RulesPart};
use crate::text::counted;
use crate::wire::{Done, Standing, Whom, token_text};

/// The deed that the person has typed with `line`, if there is more to say of it than the server's own words.
pub(super) fn deed(line: &str, done: &Done<'_>) -> Option<String> {
    Some(match *done {
        Done::Nick(nick) | Done::Login(nick) => format!("you are {nick}"),
        Done::Register(nick) => format!("{nick} is yours now; /login {nick} is how you come back to it"),
        Done::Logout(nick) => format!("you are {nick}, a guest, now"),
        Done::Passwd => "your password is another now, and no token from before is good any more".to_owned(),
        Done::TokenOff => "none of your tokens is good any more".to_owned(),
        Done::Drop(nick) => format!("you gave your name up, and are {nick}, a guest, now"),
        Done::Account(nick, Standing::Free) => format!("{nick} belongs to nobody"),
        Done::Account(nick, Standing::Owned) => format!("{nick} belongs to somebody"),
        Done::Account(nick, Standing::Held) => format!("{nick} was given up, and nobody can have it yet"),
        Done::Join { room, count: 1 } => format!("you are in {room}, alone"),
        Done::Join { room, count } => format!("you are in {room}, with {}", counted(count.saturating_sub(1), "other")),
        Done::Leave(room) => format!("you left {room}"),
        Done::Query(place) => format!("you talk to {place}"),
        Done::Cancel(file) => format!("file {file} is not shared any more"),
        Done::Topic(room, "") => format!("{room} has no topic"),
        Done::Topic(room, topic) => format!("{room} is about {topic}"),
        Done::Ignore(nick) => format!("you hear no more of {nick}"),
        Done::Unignore(nick) => format!("you hear of {nick} again"),
        Done::Away => "you are away; /back ends that".to_owned(),
        Done::Typing(place, true) => format!("{place} is told that you are typing"),
        Done::Typing(place, false) => {
            format!("{place} is told that you are not typing; /set typing off tells nobody from now on")
        }
        Done::Pass => "the server asks for no password now".to_owned(),
        Done::Back => "you are back".to_owned(),
        Done::Set(option, is_on) => format!("{option} is {}", if is_on { "on" } else { "off" }),
        Done::OfMember { command, room, nick } => match command {
            "op" => format!("you made {nick} an op of {room}"),
            "voice" => format!("you made {nick} a voice of {room}"),
            "deop" | "devoice" => format!("you took the rank of {nick} in {room}"),
            "founder" => format!("you made {nick} the founder of {room}"),
            "kick" => format!("you put {nick} out of {room}"),
            "invite" => format!("you invited {nick} to {room}; who is not here now is told nothing of it"),
            "uninvite" => format!("you took back that {nick} is invited to {room}"),
            _ => return None,
        },
        Done::Ban { mute, room, id, who, by_connection } => {
            let (what, whom, time) = (if mute { "muted" } else { "banned" }, banned_text(who), ban_text(line, who));
            let alone = if by_connection { ", on that connection alone" } else { "" };
            let (place, noun) = if mute { ("in", "mute") } else { ("from", "ban") };
            format!("you {what} {whom} {place} {room}{time}{alone} ({noun} {id}; /unban {room} {id} ends it)")
        }
        Done::Unban { room, id } => format!("ban or mute {id} of {room} is over"),
        Done::Room { room, rule: Some((rule, value)) } => match commands::parse(line) {
            Some(Request::Room { part: RulesPart::Set(_), .. }) => format!("you set {rule} to {value} in {room}"),
            _ => format!("{rule} is {value} in {room}"),
        },
        Done::Count { command: "erase", room, count: 0 } => format!("there is no such message in {room} to take back"),
        Done::Count { command: "erase", room, count } => {
            format!("you took {} of {room} back", counted(count, "message"))
        }
        Done::Kill(nick) => format!("you put {nick} off the server"),
        Done::Wall(1) => "you told 1 person".to_owned(),
        Done::Wall(count) => format!("you told {count} people"),
        Done::Grant(nick, token) => {
            format!("within 72 hours, /login {nick} token:{} makes whoever you give that to {nick}", token_text(token))
        }
        Done::Revoke(nick) => format!("you took the name {nick} from its owner"),
        Done::Operator(nick, true) => format!("you made {nick} an operator"),
        Done::Operator(nick, false) => format!("{nick} is an operator no more"),
        Done::Block { id, who, closed } => {
            let is_one = if closed == 1 { "was" } else { "were" };
            let what = match who.strip_prefix("name:") {
                Some(nick) => format!("you let {nick} come no more"),
                None => format!("you let nobody come from {who} any more"),
            };
            let closed = counted(closed, "connection");
            format!("{what}; {closed} {is_one} closed (block {id}; /unblock {id} ends it)")
        }
        Done::Unblock(id) => format!("you ended block {id}"),
        Done::Reload => "the server has read its configuration anew".to_owned(),
        _ => return None,
    })
}

/// For how long somebody is banned by this line. The reply does not tell.
fn ban_text(line: &str, who: Whom<'_>) -> String {
    let typed = match commands::parse(line) {
        Some(Request::Ban { time, .. }) => time,
        _ => None,
    };
    let time = match who {
        Whom::Guest(_) => {
            typed.map_or(GUEST_BAN, |time| if time.is_zero() { GUEST_BAN_MOST } else { time.min(GUEST_BAN_MOST) })
        }
        Whom::Name(_) | Whom::Pattern(_) => typed.unwrap_or_default(),
    };
    span_text(time.as_secs())
}

impl Session {
    /// Closes a conversation. Whether nobody is talked to since then.
    pub(super) fn close(&mut self, place: Place) -> bool {
        let was_target = self.talks.target() == Some(place);
        self.talks.close(place);
        was_target
    }

    /// What the person can do who talks to nobody any more.
    pub(super) fn nowhere(&self) -> String {
        let other = self.talks.last_room();
        let how = other.map_or("/join #ROOM or /query NAME".to_owned(), |room| format!("/query {room}"));
        format!("you talk to nobody now; {how} changes that")
    }

    /// Whether the window of somebody who stays is about to fill with that.
    pub(super) fn is_filling(&self) -> bool {
        self.stays && self.is_in() && !self.quitting && self.is_entering()
    }

    /// What the person has not been shown yet of what was noted and refused comes below what is about to fill the window. That the
    /// connection is lost stands above it, as it is not any more.
    pub(super) fn tell_below(&mut self) {
        if self.is_filling() {
            let is_loss = |text: &str| self.losses.iter().any(|why| lost(why) == text);
            let is_late = |news: &News| match news {
                News::Note(text) => !is_loss(text),
                _ => matches!(news, News::Refused(_)),
            };
            let (late, news): (VecDeque<_>, VecDeque<_>) = self.news.drain(..).partition(is_late);
            self.news = news;
            self.last_news.extend(late);
        }
    }

    /// Tells whoever stays and has lost their target while rooms are entered that they talk to nobody: below what was said in these, where that is seen.
    pub(super) fn tell_nowhere(&mut self) {
        if self.is_nowhere && !self.is_entering() {
            self.is_nowhere = false;
            if self.talks.target().is_none() && self.stays {
                self.last_news.push_back(News::Note(self.nowhere()));
            }
        }
    }
}
