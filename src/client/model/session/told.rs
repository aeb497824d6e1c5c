//! What the server tells of its own accord: what people say, and what happens.

use std::time::{Instant, SystemTime};

use super::{Asked, Entry, Message, Pending, Phase, Session};
use crate::client::model::news::{Age, Mark, Moves, NEW, News, TransferAnswer};
use crate::client::model::seen::{Line, Next, ON_JOIN};
use crate::client::model::talks::Ranks;
use crate::names::{FileId, Nick, Place, RoomName};
use crate::text::counted;
use crate::unicode::{fold, is_joined, last_letter};
use crate::wire::{Change, Code, Command, Rank, ServerLine, Stamp, What, Whom};

/// How many messages are proposed to whoever may want to see more of what was said before they came.
const MORE: usize = 100;
/// How many files are remembered that we were told of.
const TOLD_FILES: usize = 500;

impl Session {
    /// Takes a line of the server's in. File data is none of the session's business.
    pub fn told(&mut self, line: ServerLine<'_>, now: Instant) {
        match line {
            ServerLine::Hello { nick, online, text, .. } if self.phase == Phase::Knocking => {
                self.hello(nick, online, text, now)
            }
            ServerLine::Locked { text, .. } => {
                self.locked = Some(text.to_owned());
                self.ask_entry();
            }
            ServerLine::Motd(text) => self.news.push_back(News::Answer(text.to_owned())),
            ServerLine::Presence { changes, .. } => self.presence(&changes),
            // It is told with the loss of the connection that comes next.
            ServerLine::Bye { .. } => {}
            ServerLine::Message { place, stamp, from, text } => self.said(place, stamp, from, text),
            ServerLine::Event { place, stamp, who, what } => self.happened(place, stamp, who, what, now),
            ServerLine::Detail(text) => self.detail(text),
            ServerLine::Done(done) => self.done(done),
            // Of a chunk that came too late; it answers no command.
            ServerLine::Refused { command: "?", code: Code::NoUpload, .. } => {}
            ServerLine::Refused { command, code, text } => self.refused(command, code, text),
            ServerLine::Other("") => {}
            ServerLine::Nick { nick, old, text } if self.is_no_more(nick) => {
                self.end_without_name(&format!("{old} {}", text.trim_end_matches('.')));
            }
            ServerLine::Nick { nick, old, text } => {
                // It goes on behind the name.
                self.note(format!("{old} {text}"));
                // Who only spelled their name like one that is somebody's now goes by their own again.
                if nick.is_guest() { self.became_guest(nick) } else { self.called(nick) }
            }
            ServerLine::Notice(text) => {
                self.notes_password(text);
                self.note(self.without_form(text));
            }
            ServerLine::Wall { from, text } => self.note(format!("{from} tells everybody: {text}")),
            ServerLine::Other(_) => self.note(line.to_string()),
            ServerLine::Hello { .. }
            | ServerLine::Data { .. }
            | ServerLine::Whole { .. }
            | ServerLine::Failed { .. } => {}
        }
        if self.is_in() {
            self.heard_at = Some(now);
        }
        self.settle(now);
    }

    fn presence(&mut self, changes: &[Change]) {
        let came = |who: Nick| {
            changes.iter().find_map(|change| match change {
                Change::Came(nick) if *nick == who => Some(*nick),
                _ => None,
            })
        };
        for change in changes {
            match *change {
                Change::Came(who) => self.came(who),
                // Names are the same in any case, so this is somebody who now spells theirs in another way.
                Change::Went(who) => match came(who) {
                    Some(new) => self.talks.rename(who, new),
                    None => self.went(who),
                },
            }
        }
    }

    fn came(&mut self, who: Nick) {
        self.talks.meet(who);
        if let Some(at) = self.missing.iter().position(|missing| *missing == who) {
            let nick = self.missing.remove(at);
            self.ask(Command::Ignore(nick), Pending::Ignore(nick));
        }
    }

    fn went(&mut self, who: Nick) {
        if self.talks.depart(who) {
            self.note(format!("{who} has gone; /query NAME or /join #ROOM to talk on"));
        }
        // Whoever looked like somebody else kept that name from others.
        self.ghosts.retain(|ghost| !ghost.is_like(&who));
        self.ignored.retain(|ignored| *ignored != who);
        if self.wanted.is_some_and(|wanted| wanted.is_like(&who)) && self.regaining {
            self.ask_name();
        }
    }

    fn said(&mut self, place: Place, stamp: Option<Stamp>, from: Nick, text: &str) {
        self.talks.idle(place, from);
        self.talks.meet(from);
        let text = text.to_owned();
        if let Place::Room(room) = place
            && let Some(Stamp { seq: Some(seq), at }) = stamp
            && let Some(talk) = self.talks.room(room)
        {
            if let Some(line) = talk.seen.live(Line { seq, at, from, text }) {
                self.show(place, Some(seq), Some(at), from, line.text, Age::New);
            }
        } else {
            self.show(place, None, stamp.map(|stamp| stamp.at), from, text, Age::New);
        }
    }

    /// Shows a message that has not been shown.
    pub(super) fn show(
        &mut self,
        place: Place,
        seq: Option<u64>,
        at: Option<SystemTime>,
        from: Nick,
        text: String,
        age: Age,
    ) {
        self.talks.hear(from);
        let is_this = |said: &Message| said.from == Some(from) && said.place == place && said.text == text;
        let limbo = self.limbo.iter().position(is_this);
        let sent = self.sent.iter_mut().find(|sent| !sent.arrived && is_this(sent)).map(|sent| sent.arrived = true);
        let is_own = limbo.is_some() || self.nick == Some(from);
        if let Some(at) = limbo {
            self.limbo.remove(at);
        }
        let is_for_us = || matches!(place, Place::With(_)) || self.nick.is_some_and(|nick| mentions(&text, nick));
        let mark = if is_own && limbo.is_none() && sent.is_none() {
            Mark::Elsewhere
        } else if is_own {
            Mark::Own
        } else if is_for_us() {
            Mark::ForUs
        } else {
            Mark::Plain
        };
        // What was said before we ever came is no news.
        let is_missed = age == Age::New || self.asked.front().is_some_and(|asked| asked.line.contains(" after "));
        if !is_own && is_missed && self.talks.target() != Some(place) {
            self.talks.unread(place);
        }
        let rank = self.talks.ranks(place).and_then(|ranks| ranks.of(from));
        let news = News::Said { place, at, from, text, mark, age, rank, number: None };
        self.heard.keep(&news, seq);
        self.news.push_back(news);
    }

    fn happened(&mut self, place: Place, stamp: Option<Stamp>, who: Nick, what: What<'_>, now: Instant) {
        let at = stamp.map(|stamp| stamp.at);
        let reason = |reason: &str| if reason.is_empty() { String::new() } else { format!(" ({reason})") };
        let text = match what {
            // Another window of ours is not told of either.
            What::Typing if self.without_typing || self.nick == Some(who) => return,
            What::Typing => return self.talks.typing(place, who, now),
            What::Idle => return self.talks.idle(place, who),
            What::Missed { .. } => {
                // Who came and went meanwhile was left out too.
                if std::mem::take(&mut self.knows_all) {
                    self.talks.forget_present();
                    self.ask(Command::Who(None), Pending::Who);
                }
                self.ask_missed_files(place, at);
                return self.fetch(place);
            }
            What::File { file, size, name } => {
                self.answers.push_back(TransferAnswer::Shared(file));
                self.talks.hear_of_file(file);
                let name = name.to_owned();
                self.note_file((file, size, name.clone()));
                let news = News::File { place, at, from: who, file, size, name, age: Age::New };
                self.heard.keep(&news, None);
                return self.news.push_back(news);
            }
            What::Joined => {
                self.came(who);
                self.joined_elsewhere(place, who);
                format!("{who} joined")
            }
            What::Left(text) => format!("{who} left{}", reason(text)),
            What::Quit(text) => format!("{who} quit{}", reason(text)),
            What::Lost(code) => format!("{who} was lost{}", reason(code.as_str())),
            What::Renamed(new) => {
                self.talks.rename(who, new);
                // Over another connection of ours, too.
                self.nick = self.nick.map(|nick| if nick == who { new } else { nick });
                self.ignored.iter_mut().filter(|ignored| **ignored == who).for_each(|ignored| *ignored = new);
                format!("{who} is now {new}")
            }
            What::Topic("") => format!("{who} cleared the topic"),
            What::Topic(text) => format!("{who} set the topic: {text}"),
            What::Unfile { file, code } => {
                self.talks.forget_file(file);
                format!("file {file} of {who} is no longer there ({})", code.as_str())
            }
            What::Away(text) => format!("{who} is away{}", reason(text)),
            What::Made { nick, rank: Rank::Nobody } => format!("{who} took the rank of {nick}"),
            What::Made { nick, rank } => format!("{who} made {nick} {}", rank.as_str()),
            What::Kicked { nick, reason: why } => format!("{who} put {nick} out{}", reason(why)),
            What::Banned { mute, who: whom, seconds, reason: why } => {
                let what = if mute { "muted" } else { "banned" };
                format!("{who} {what} {}{}{}", banned_text(whom), span_text(seconds), reason(why))
            }
            What::Unbanned { mute, who: whom } => {
                format!("{who} {} {}", if mute { "unmuted" } else { "unbanned" }, whom_text(whom))
            }
            What::Set(rule, value) => format!("{who} set {rule} to {value}"),
            What::Invite(room) => {
                self.talks.hear_of(room);
                format!("{who} invites you to {room}; /join {room}")
            }
            What::Erased { first, last } => {
                let Place::Room(room) = place else { return };
                let shown = self.heard.forget(room, first, last);
                self.talks.room(room).into_iter().for_each(|talk| talk.seen.erase(first, last));
                return self.news.push_back(News::Erased { place, at, by: who, numbers: (first, last), shown });
            }
            What::Unreached => format!("{who} has gone without what was said since their connection was lost"),
            What::Other(text) => format!("{who} {text}"),
        };
        self.rank_changed(place, who, what);
        let moves = match what {
            What::Joined => Some(Moves::In),
            What::Left(_) | What::Quit(_) | What::Lost(_) => Some(Moves::Out),
            _ => None,
        };
        if moves == Some(Moves::Out) {
            self.talks.idle(place, who);
        }
        let out = match what {
            What::Kicked { nick, .. } => Some(nick),
            // Over another connection of ours, or by a login as somebody who is banned there.
            What::Left(_) => Some(who),
            What::Banned { mute: false, who: Whom::Name(nick) | Whom::Guest(nick), .. } => Some(nick),
            _ => None,
        };
        if let Some(out) = out {
            self.talks.idle(place, out);
        }
        let is_out = out.is_some_and(|out| self.nick == Some(out));
        let is_call = matches!(what, What::Invite(_)) || is_out && self.nick != Some(who);
        let call = is_call.then_some(who);
        self.news.push_back(News::Happened { place, at, text, moves, call });
        // A script types nothing that would change it.
        if is_out && self.close(place) && self.stays {
            self.note(self.nowhere());
        }
    }

    /// Somebody came into a room. If that was us, it was over another connection of ours.
    fn joined_elsewhere(&mut self, place: Place, who: Nick) {
        let Place::Room(room) = place else { return };
        if self.nick == Some(who) && self.talks.room(room).is_none() {
            self.talks.open(place);
            self.entered(room, Entry::default());
        }
    }

    /// Asks for files that were shared with a room of which something was left out for us up to now, as files may have been too.
    fn ask_missed_files(&mut self, place: Place, now: Option<SystemTime>) {
        let Place::Room(room) = place else { return };
        let since = self.talks.room(room).and_then(|talk| talk.seen.last_at());
        let missed = now.zip(since).and_then(|(now, since)| now.duration_since(since).ok());
        let is_asked = self.asked.iter().any(|asked| matches!(asked.pending, Pending::Missed(..)));
        if let Some(time) = missed.filter(|_| !is_asked) {
            self.ask(Command::Files, Pending::Missed(time.as_secs() + 1, Vec::new()));
        }
    }

    /// Notes what an event tells of a room's rules, and of who has which rank there. Where it does not tell all, that is asked.
    fn rank_changed(&mut self, place: Place, who: Nick, what: What<'_>) {
        let Place::Room(room) = place else { return };
        let Some(talk) = self.talks.room(room) else { return };
        match what {
            What::Made { nick, rank } => {
                talk.ranks.set(nick, rank);
                if rank == Rank::Founder && nick != who {
                    talk.ranks.set(who, Rank::Op);
                }
            }
            // Ranks of owned names stay, those of guests do not; and by another name one may have another.
            What::Left(_) | What::Quit(_) | What::Lost(_) => talk.ranks.leave(who),
            What::Kicked { nick, .. } => talk.ranks.leave(nick),
            What::Joined if talk.ranks.leave_if_known(who) => self.ask_ranks(room, Entry::default()),
            What::Set(rule, value) => talk.set_rule(rule, value),
            What::Renamed(new) => {
                let is_known = [who, new].map(|nick| talk.ranks.leave_if_known(nick)).contains(&true);
                if is_known {
                    self.ask_ranks(room, Entry::default());
                }
            }
            _ => {}
        }
    }

    /// We gave somebody a rank, or took it.
    pub(super) fn ranked_by_us(&mut self, command: &str, room: RoomName, nick: Nick) {
        let rank = match command {
            "op" => Rank::Op,
            "voice" => Rank::Voice,
            "founder" => Rank::Founder,
            "deop" | "devoice" => Rank::Nobody,
            _ => return,
        };
        if let Some(own) = self.nick {
            self.rank_changed(Place::Room(room), own, What::Made { nick, rank });
        }
    }

    /// We are called otherwise, and may have other ranks.
    pub(super) fn renamed(&mut self, before: Option<Nick>, now: Nick) {
        for room in self.talks.rooms().collect::<Vec<_>>() {
            if let Some(before) = before.filter(|before| *before != now) {
                self.rank_changed(Place::Room(room), before, What::Renamed(now));
            }
        }
    }

    /// We have come into a room, of which this is to be told.
    pub(super) fn entered(&mut self, room: RoomName, entry: Entry) {
        self.ask_ranks(room, entry);
        self.fetch(Place::Room(room));
    }

    /// Asks who has a rank in a room, which is told with what else there is to be told of it.
    pub(super) fn ask_ranks(&mut self, room: RoomName, entry: Entry) {
        let asked = self.asked.iter_mut().find_map(|Asked { pending, .. }| match pending {
            Pending::Ranks { room: of, entry, .. } if *of == room => Some(entry),
            _ => None,
        });
        match asked {
            // That will be answered later than what this came with.
            Some(asked) if asked.here.is_empty() => *asked = entry,
            Some(_) => {}
            None => self.ask(Command::Ranks(room), Pending::Ranks { room, entry, told: Vec::new() }),
        }
    }

    /// Tells if we had a rank in a room before the connection was lost, and have none now.
    pub(super) fn tell_rank_lost(&mut self, room: RoomName) {
        // By another name we may have another rank.
        let Some(nick) = self.nick.filter(|nick| self.wanted == Some(*nick)) else { return };
        let Some(at) = self.had.iter().position(|(had, _)| *had == room) else { return };
        // The rank of an owner is there again once they log in.
        let is_owner = self.owner().is_some();
        if self.logins.was_owner && !is_owner {
            return;
        }
        let (_, rank) = self.had.remove(at);
        if self.talks.ranks(Place::Room(room)).and_then(|ranks| ranks.of(nick)).is_some() {
            return;
        }
        let rank = match rank {
            Rank::Op => "an op",
            Rank::Voice => "a voice",
            _ => "the founder",
        };
        let has_op = self.talks.ranks(Place::Room(room)).is_some_and(Ranks::has_op);
        let who = if has_op { "an op" } else { "the server's operator" };
        let how = if is_owner {
            "somebody took it meanwhile, or it was yours as a guest"
        } else {
            "the rank of a guest goes with the connection"
        };
        let why = format!("{how}; {who} can give it again");
        self.note(format!("you are {rank} of {room} no longer, as {why}"));
    }

    /// Fetches what was missed of a room.
    pub(super) fn fetch(&mut self, place: Place) {
        if let Place::Room(room) = place
            && let Some(arguments) = self.talks.room(room).and_then(|talk| talk.seen.fetch())
        {
            // Files that were shared before we came stand among what was said.
            let is_asked = |asked: &Asked| matches!(asked.pending, Pending::Shared(_));
            if self.stays && !arguments.starts_with("after") && !self.asked.iter().any(is_asked) {
                self.ask(Command::Files, Pending::Shared(Vec::new()));
            }
            self.ask(Command::History(room, &arguments), Pending::History(room));
        }
    }

    /// Tells how much of the history is not shown, as it was shown before we left the room.
    pub(super) fn tell_above(&mut self, room: RoomName) {
        let again = self.talks.room(room).map_or(0, |talk| talk.seen.again());
        if again > 0 {
            self.answer(format!("shown above already: {} of {room}", counted(again, "earlier message")));
        }
    }

    /// Shows the files that were shared in a room before it was entered, in their place: those of before this time, where more follows.
    pub(super) fn tell_shared(&mut self, room: RoomName, until: Option<SystemTime>) {
        for news in self.take_shared(room, until) {
            if let News::File { file, size, name, .. } = &news {
                self.note_file((*file, *size, name.clone()));
            }
            self.heard.keep(&news, None);
            self.news.push_back(news);
        }
    }

    /// Shows what stands before a message of this time that a history brings, behind one of `before`: files, and where what is new
    /// begins since an earlier run.
    pub(super) fn lead_to(&mut self, room: RoomName, before: Option<SystemTime>, at: SystemTime) {
        let is_entry = self.asked.front().is_some_and(|asked| !asked.line.contains(" after "));
        let is_between = |left: SystemTime| is_entry && left < at && before.is_none_or(|before| before <= left);
        if let Some(left) = self.left.filter(|&left| is_between(left)) {
            self.tell_shared(room, Some(left));
            self.news.push_back(News::Note(NEW.to_owned()));
        }
        self.tell_shared(room, Some(at));
    }

    /// Notes that this file was told of.
    fn note_file(&mut self, file: (FileId, u64, String)) {
        self.told_files.drain(..(self.told_files.len() + 1).saturating_sub(TOLD_FILES));
        self.told_files.push_back(file);
    }

    /// Those of these files that are to be shown with a history that is still to come, and were not told of.
    pub(super) fn not_told(&self, mut files: Vec<News>) -> Vec<News> {
        files.retain(|news| {
            let News::File { place: Place::Room(room), file, size, name, .. } = news else { return false };
            let is_coming = |asked: &Asked| {
                matches!(asked.pending, Pending::History(of) if of == *room) && !asked.line.contains(" after ")
            };
            self.asked.iter().any(is_coming)
                && !self.told_files.iter().any(|told| (&told.0, &told.1, &told.2) == (file, size, name))
        });
        files
    }

    /// The same files, to be shown or not.
    pub(super) fn take_shared(&mut self, room: RoomName, until: Option<SystemTime>) -> Vec<News> {
        let is_due = |news: &mut News| {
            matches!(news, News::File { place, .. } if *place == Place::Room(room))
                && until.is_none_or(|until| news.at().is_some_and(|at| at < until))
        };
        let mut due: Vec<News> = self.shared.extract_if(.., is_due).collect();
        due.sort_by_key(News::at);
        due.split_off(due.len().saturating_sub(ON_JOIN))
    }

    pub(super) fn fetched(&mut self, room: RoomName, next: Next) {
        match next {
            Next::Ask(arguments) => self.ask(Command::History(room, &arguments), Pending::History(room)),
            Next::Done(held, missing) => {
                self.tell_above(room);
                if missing > 0 && self.ignored.is_empty() {
                    let missed = counted(missing, "message");
                    let told = format!("you missed {missed} in {room} that the server no longer has");
                    self.news.push_back(News::Note(told));
                }
                if self.talks.room(room).is_some_and(|talk| talk.seen.has_earlier()) {
                    self.answer(format!("more was said in {room} before; /history {room} {MORE} shows it"));
                }
                for line in held {
                    self.show(Place::Room(room), Some(line.seq), Some(line.at), line.from, line.text, Age::New);
                }
                if missing > 0 {
                    self.report_limbo(room);
                }
            }
        }
        self.tell_nowhere();
    }
}

/// Whether `text` has the name in it as a word, in whatever case, which `_` and `-` may surround.
fn mentions(text: &str, nick: Nick) -> bool {
    let (text, name) = (fold(text), fold(nick.as_str()));
    let ends =
        |edge: Option<char>, next: Option<char>| !edge.zip(next).is_some_and(|(edge, next)| is_joined(edge, next));
    text.match_indices(&*name).any(|(start, _)| {
        let before = last_letter(text[..start].trim_end_matches(['_', '-']));
        let after = text[start + name.len()..].trim_start_matches(['_', '-']).chars().next();
        ends(name.chars().next(), before) && ends(last_letter(&name), after)
    })
}

/// For whom a ban is, for a person.
pub(super) fn whom_text(whom: Whom<'_>) -> String {
    match whom {
        Whom::Name(nick) => nick.to_string(),
        Whom::Guest(nick) => format!("{nick}, a guest"),
        Whom::Pattern(pattern) => format!("guests called {pattern}"),
    }
}

/// The same, where more follows that is about them and no part of how they are called.
pub(super) fn banned_text(whom: Whom<'_>) -> String {
    let comma = if matches!(whom, Whom::Guest(_)) { "," } else { "" };
    format!("{}{comma}", whom_text(whom))
}

/// For how long something holds; for good if it is 0.
pub(super) fn span_text(seconds: u64) -> String {
    if seconds == 0 { String::new() } else { format!(" for {}", time_text(seconds)) }
}

/// A span of time, exactly.
pub(super) fn time_text(seconds: u64) -> String {
    let (count, unit) = match (seconds % 86_400, seconds % 3_600, seconds % 60) {
        (0, ..) => (seconds / 86_400, "day"),
        (_, 0, _) => (seconds / 3_600, "hour"),
        (_, _, 0) => (seconds / 60, "minute"),
        _ => (seconds, "second"),
    };
    counted(count, unit)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client::model::session::tests::{answer, hear, online, sent, shown};
    use crate::names::FileId;

    #[test]
    fn files_that_were_told_of_are_known_by_their_ids() {
        let (mut session, now) = (online(&["#a"]), Instant::now());
        let known = |session: &Session| session.talks.files().iter().map(|file| file.0).collect::<Vec<_>>();
        hear(&mut session, &["#a * bob file 4 5 a.txt", "#a * alice file 5 5 b.txt"]);
        assert_eq!(known(&session), [4, 5]);
        session.typed("/files", now);
        hear(&mut session, &["- 1 5 alice #a 60s ready old.txt", "- 4 5 bob #a 60s ready a.txt", "+ files 2"]);
        assert_eq!(known(&session), [5, 1, 4]);
        session.talks.hear_of_file(FileId(9));
        hear(&mut session, &["#a * bob unfile 4 cancelled"]);
        assert_eq!(known(&session), [5, 1, 9]);
    }

    #[test]
    fn nobody_is_shown_that_they_type_themselves() {
        let (mut session, now) = (online(&["#a"]), Instant::now());
        // So it comes from another window of theirs.
        hear(&mut session, &["#a * alice typing", "#a * bob typing"]);
        let typists: Vec<_> = session.talks.typists(now).map(|(_, nick)| nick.to_string()).collect();
        assert_eq!(typists, ["bob"]);
    }

    #[test]
    fn who_invites_us_or_puts_us_out_calls_for_us() {
        for (line, is_call) in [
            ("@bob * bob invite #b", true),
            ("#a * bob kicked alice spam", true),
            ("#a * bob banned name:alice 60 spam", true),
            ("#a * bob kicked carol spam", false),
            ("#a * alice left", false),
        ] {
            let mut session = online(&["#a"]);
            hear(&mut session, &[line]);
            assert_eq!(shown(&mut session).iter().any(|news| news.call().is_some()), is_call, "{line}");
        }
    }

    fn marks(lines: &[&str]) -> Vec<Mark> {
        let mut session = online(&["#a"]);
        hear(&mut session, lines);
        shown(&mut session)
            .into_iter()
            .filter_map(|news| match news {
                News::Said { mark, .. } => Some(mark),
                _ => None,
            })
            .collect()
    }

    #[test]
    fn what_is_for_us_stands_out() {
        for (line, want) in [
            ("#a <bob> hi", Mark::Plain),
            ("#a <bob> hi Alice!", Mark::ForUs),
            ("#a <bob> malice", Mark::Plain),
            ("#a <bob> alice-in-chains", Mark::Plain),
            ("#a <bob> _alice_ -Alice- **alice**", Mark::ForUs),
            ("#a <bob> alice_2", Mark::Plain),
            ("#a <bob> aliceさん", Mark::ForUs),
            ("#a <bob> привет,alice", Mark::ForUs),
            ("#a <bob> alicé Àlice alice\u{301} \u{1e00}alice", Mark::Plain),
            ("#a <bob> é alice", Mark::ForUs),
            ("#a <bob> alice2 2alice alice alike", Mark::ForUs),
            ("#a <bob> alice2 2alice ALICEbob", Mark::Plain),
            ("@bob <bob> hi", Mark::ForUs),
            ("@bob <alice> hi", Mark::Elsewhere),
            ("#a <alice> I, alice", Mark::Elsewhere),
        ] {
            assert_eq!(marks(&[line]), [want], "{line}");
        }
    }

    #[test]
    fn a_name_of_any_script_is_found_in_what_is_written() {
        // The page has the same rule, and its test the same table.
        let table = include_str!("../../../../tests/page/mentions.txt");
        for line in table.lines().filter(|line| !line.starts_with('#')) {
            let [is, name, text] = *line.split('\t').collect::<Vec<_>>() else { panic!("{line}") };
            assert_eq!(mentions(text, Nick::new(name).unwrap()), is == "+", "{name} in {text}");
        }
    }

    #[test]
    fn a_notice_is_told_in_its_own_words() {
        let mut session = online(&["#a"]);
        hear(&mut session, &["* notice history is being kept again"]);
        assert_eq!(shown(&mut session), [News::Note("history is being kept again".to_owned())]);
    }

    #[test]
    fn what_is_unread_is_counted() {
        let mut session = online(&["#a", "#b"]);
        hear(&mut session, &["#a <bob> 1", "#a <bob> 2", "#b <bob> 3", "@bob <bob> 4", "#c <bob> 5", "#a <alice> 6"]);
        let unread: Vec<(String, usize)> =
            session.talks.iter().map(|talk| (talk.place.to_string(), talk.unread)).collect();
        assert_eq!(unread, [("#a".to_owned(), 2), ("#b".to_owned(), 0), ("@bob".to_owned(), 1)]);
    }

    #[test]
    fn a_person_who_has_gone_is_no_target_for_the_next_of_that_name() {
        let mut session = online(&["#a"]);
        session.talks.set_target(Some(Place::With(Nick::new("bob").unwrap())));
        hear(&mut session, &["#a * bob renamed rob", "* presence 2 -bob +rob"]);
        assert_eq!(session.talks.target(), Some(Place::With(Nick::new("rob").unwrap())));
        hear(&mut session, &["* presence 3 -rob +rob2", "* presence 4 +rob"]);
        assert_eq!(session.talks.target(), None);
        assert!(sent(&mut session).is_empty());
        // Who is spelled in another way now is the same person.
        session.talks.set_target(Some(Place::With(Nick::new("rob").unwrap())));
        hear(&mut session, &["* presence 5 -rob +ROB"]);
        assert_eq!(session.talks.target().unwrap().to_string(), "@ROB");
    }

    #[test]
    fn what_we_do_over_another_connection_is_ours() {
        let mut session = online(&["#a"]);
        hear(&mut session, &["#b * alice joined"]);
        assert_eq!(sent(&mut session), ["/op #b", "/files", "/history #b 20"]);
        hear(&mut session, &["#b * bob joined", "#b * alice renamed A1ice"]);
        assert_eq!(session.status().nick, Nick::new("A1ice").ok());
        sent(&mut session);
        shown(&mut session);
        // So it is with a login as somebody who is banned there.
        hear(&mut session, &["#a * A1ice left", "#b * bob left"]);
        let nowhere = News::Note("you talk to nobody now; /query #b changes that".to_owned());
        assert!(shown(&mut session).contains(&nowhere));
        assert_eq!(session.talks.rooms().map(|room| room.to_string()).collect::<Vec<_>>(), ["#b"]);
    }

    #[test]
    fn who_talks_to_nobody_is_told_of_one_room_alone() {
        let mut session = online(&["#tea", "#mine"]);
        session.typed("/query #tea", Instant::now());
        hear(&mut session, &["+ query #tea"]);
        session.typed("/join #club", Instant::now());
        hear(&mut session, &["- here alice", "+ join #club 1"]);
        shown(&mut session);
        hear(&mut session, &["#club * bob kicked alice"]);
        let nowhere = News::Note("you talk to nobody now; /query #tea changes that".to_owned());
        let news = shown(&mut session);
        assert!(news.contains(&nowhere), "{news:?}");
        let why = format!("{:?}", session.typed("hello", Instant::now()));
        assert!(why.contains("nobody hears you here; /query #tea first"), "{why}");
    }

    #[test]
    fn files_that_were_shared_before_one_came_stand_among_what_was_said() {
        let line = |seq: u64| format!("- [{seq}@2026-11-22T14:3{seq}:00.000Z] <bob> line {seq}");
        let files = [
            "- 1 13 bob #b 2000s ready one.txt",
            "- 2 13 bob #b 90s ready two.txt",
            "- 3 13 carol #b 10s coming three.txt",
            "- 4 13 bob #b 31s ready seen.txt",
            "- 5 13 bob #a 30s ready elsewhere.txt",
            "+ files 5",
        ];
        for (lines, want) in [
            // What stands before the first that is shown is not shown either, unless that is the first of all.
            (&[2, 3, 5][..], &["line 2", "line 3", "two.txt", "line 5", "three.txt"][..]),
            (&[1, 5], &["one.txt", "line 1", "two.txt", "line 5", "three.txt"]),
            (&[], &["one.txt", "two.txt", "three.txt"]),
        ] {
            let mut session = online(&["#a"]);
            session.clock = humantime::parse_rfc3339("2026-11-22T14:35:20Z").unwrap();
            session.typed("/join #b", Instant::now());
            let rows: Vec<String> = lines.iter().map(|&seq| line(seq)).collect();
            let history = format!("+ history #b {}", lines.len());
            let told_live = ["+ join #b 2", "#b * bob file 4 13 seen.txt", "+ op #b 0"];
            hear(&mut session, &told_live);
            shown(&mut session);
            hear(&mut session, &files);
            hear(&mut session, &rows.iter().map(String::as_str).chain([&*history]).collect::<Vec<_>>());
            let told: Vec<String> = shown(&mut session)
                .into_iter()
                .filter_map(|news| match news {
                    News::Said { text, age: Age::Past, .. } => Some(text),
                    News::File { name, age: Age::Past, .. } => Some(name),
                    _ => None,
                })
                .collect();
            assert_eq!(told, want);
            assert!(session.shared.is_empty());
        }
    }

    #[test]
    fn a_history_that_is_asked_for_shows_files_in_their_place() {
        let line = |seq: u64| format!("- [{seq}@2026-11-22T14:3{seq}:00.000Z] <bob> line {seq}");
        let files = [
            "- 1 13 bob #a 2000s ready one.txt",
            "- 2 13 bob #a 90s ready two.txt",
            "- 3 13 carol #a 10s coming three.txt",
            "- 4 13 bob #b 30s ready elsewhere.txt",
            "+ files 4",
        ];
        for (typed, lines, want) in [
            ("/history 3", &[2, 3, 5][..], &["line 2", "line 3", "two.txt", "line 5", "three.txt"][..]),
            ("/history #a 9", &[1, 5], &["one.txt", "line 1", "two.txt", "line 5", "three.txt"]),
            // More may follow.
            ("/history #a after 2", &[3, 5], &["line 3", "two.txt", "line 5"]),
            ("/history", &[], &["one.txt", "two.txt", "three.txt"]),
        ] {
            let mut session = online(&["#a"]);
            session.clock = humantime::parse_rfc3339("2026-11-22T14:35:20Z").unwrap();
            for _ in 0..2 {
                session.typed(typed, Instant::now());
                assert_eq!(sent(&mut session), ["/files", typed]);
                let rows: Vec<String> = lines.iter().map(|&seq| line(seq)).collect();
                let history = format!("+ history #a {}", lines.len());
                hear(&mut session, &files);
                hear(&mut session, &rows.iter().map(String::as_str).chain([&*history]).collect::<Vec<_>>());
                let told: Vec<String> = shown(&mut session)
                    .into_iter()
                    .filter_map(|news| match news {
                        News::Said { text, age: Age::Past, .. } => Some(text),
                        News::File { name, age: Age::Past, .. } => Some(name),
                        _ => None,
                    })
                    .collect();
                assert_eq!(told, want, "{typed}");
                assert!(session.shared.is_empty());
            }
        }
    }

    #[test]
    fn what_is_new_since_an_earlier_run_stands_below_a_line() {
        let line = |seq: u64| format!("- [{seq}@2026-11-22T14:3{seq}:00.000Z] <bob> line {seq}");
        for (left, want) in [
            ("2026-11-22T14:31:00Z", &["line 1", "", "line 2", "line 3"][..]),
            ("2026-11-22T14:20:00Z", &["", "line 1", "line 2", "line 3"]),
            ("2026-11-22T14:33:00Z", &["line 1", "line 2", "line 3"]),
        ] {
            let mut session = online(&["#a"]);
            session.left = humantime::parse_rfc3339(left).ok();
            session.typed("/join #b", Instant::now());
            hear(&mut session, &["+ join #b 1", "+ op #b 0", "+ files 0", &line(1), &line(2), &line(3)]);
            hear(&mut session, &["+ history #b 3", "+ history #b 0"]);
            let told = |session: &mut Session| -> Vec<String> {
                let news = shown(session).into_iter();
                let told = news.filter_map(|news| match news {
                    News::Said { text, .. } => Some(text),
                    News::Note(text) if text == "new since you left" => Some(String::new()),
                    _ => None,
                });
                told.collect()
            };
            assert_eq!(told(&mut session), want, "{left}");
            // What is missed later is not told so.
            hear(
                &mut session,
                &["#b * alice missed 1 after 3", "+ who 1 1", "+ files 0", &line(3), &line(4), "+ history #b 2"],
            );
            assert_eq!(told(&mut session), ["line 4"], "{left}");
        }
    }

    #[test]
    fn who_enters_a_room_is_told_once_how_to_see_more_than_its_last_messages() {
        let line = |seq: u64| format!("[{seq}@2026-11-22T14:30:00.{seq:03}Z] <bob> line");
        for (first, is_told) in [(1, false), (2, true)] {
            let mut session = online(&["#a"]);
            session.typed("/join #b", Instant::now());
            hear(&mut session, &["+ join #b 1", "+ op #b 0", "+ files 0"]);
            (first..first + 20).for_each(|seq| hear(&mut session, &[&format!("- {}", line(seq))]));
            // What was said meanwhile stands behind it.
            hear(&mut session, &[&format!("#b {}", line(first + 20)), "+ history #b 20", "+ history #b 0"]);
            let more = News::Answer("more was said in #b before; /history #b 100 shows it".to_owned());
            let news = shown(&mut session);
            let said = news.iter().filter(|news| matches!(news, News::Said { .. })).count();
            assert_eq!((said, news.contains(&more)), (21, is_told));
            assert!(!is_told || news[news.len() - 2] == more, "{news:?}");
            // A connection that is made anew says nothing of that.
            session.lost("gone");
            session.connected();
            hear(&mut session, &["* hello guest1 chinwag/0.2.0 1 online; welcome"]);
            while !session.is_online() || !session.asked.is_empty() {
                answer(&mut session);
            }
            assert!(!shown(&mut session).contains(&more));
        }
    }

    #[test]
    fn what_was_missed_is_fetched() {
        let mut session = online(&["#a"]);
        hear(&mut session, &["#a [1@2026-11-22T14:30:00.123Z] <bob> one", "#a * alice missed 2 after 1"]);
        assert_eq!(sent(&mut session), ["/who", "/history #a after 0"]);
        hear(
            &mut session,
            &[
                "+ who 1 2",
                "#a [4@2026-11-22T14:33:00.123Z] <bob> four",
                "- [1@2026-11-22T14:30:00.123Z] <bob> one",
                "- [2@2026-11-22T14:31:00.123Z] <bob> two",
                "- [3@2026-11-22T14:32:00.123Z] <bob> three",
                "+ history #a 3",
            ],
        );
        let texts: Vec<String> = shown(&mut session)
            .into_iter()
            .filter_map(|news| if let News::Said { text, .. } = news { Some(text) } else { None })
            .collect();
        assert_eq!(texts, ["one", "two", "three", "four"]);
    }

    #[test]
    fn files_that_were_left_out_are_told_of() {
        let mut session = online(&["#a"]);
        let lines = [
            "#a [1@2026-11-22T14:30:00.123Z] <bob> one",
            "#a [-@2026-11-22T14:30:01.123Z] * bob file 3 2 seen.txt",
            "#a [-@2026-11-22T14:31:00.123Z] * alice missed 0 after 1",
        ];
        hear(&mut session, &lines);
        assert_eq!(sent(&mut session), ["/who", "/files", "/history #a after 0"]);
        shown(&mut session);
        let rows = ["+ who 1 2", "- 2 2 bob #a 70s ready old.txt", "- 3 2 bob #a 59s ready seen.txt"];
        hear(&mut session, &rows);
        hear(&mut session, &["- 4 2 bob #a 30s ready new.txt", "+ files 3"]);
        let told = "shared with #a while you missed it: 1 file; /files #a tells more";
        assert_eq!(shown(&mut session), [News::Note(told.to_owned())]);
    }

    #[test]
    fn one_of_something_is_told_as_one() {
        let spans = [0, 1, 60, 90, 3_600, 7_200, 86_400, 172_800].map(span_text).concat();
        let want = " for 1 second for 1 minute for 90 seconds for 1 hour for 2 hours for 1 day for 2 days";
        assert_eq!(spans, want);
    }

    #[test]
    fn no_server_has_us_fill_the_memory() {
        let mut session = online(&["#a"]);
        let mut most = 0;
        for n in 0..5_000 {
            hear(
                &mut session,
                &[
                    "* hello eve x 1 online",
                    "* locked x",
                    "#a * alice missed 5 after 1",
                    &format!("@p{n} <p{n}> hi"),
                    &format!("* presence {n} +q{n} -alice"),
                    &format!("#a * t{n} typing"),
                    &format!("#a [{n}@2026-11-22T14:33:00.123Z] <bob> held"),
                    "- [x] y",
                    "* presence 1 -alice",
                ],
            );
            sent(&mut session);
            shown(&mut session);
            most = most.max(session.asked.len() + session.talks.iter().count());
        }
        assert!(most < 250, "{most}");
    }

    #[test]
    fn who_hides_that_they_type_is_seen_typing_no_more() {
        let (mut session, now) = (online(&["#a"]), Instant::now());
        session.keystroke("h", now);
        assert_eq!(sent(&mut session), ["/typing #a on"]);
        // As it comes out of a paste, without a key.
        session.typed("/set typing off", now);
        assert_eq!(sent(&mut session), ["/typing #a off", "/set typing off"]);
        for text in ["h", "ha", ""] {
            session.keystroke(text, now + std::time::Duration::from_millis(500));
        }
        assert_eq!(sent(&mut session), [""; 0]);
    }
}
