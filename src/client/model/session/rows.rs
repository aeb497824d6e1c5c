//! The rows of the server's answers, in words, where they are tables for programs.

use std::time::SystemTime;

use super::told::{time_text, whom_text};
use crate::names::{Place, RoomName};
use crate::text::{bytes, counted, roughly};
use crate::time::in_seconds;
use crate::wire::{Activity, Detail, Rank, Value};

/// For how many seconds somebody may do nothing before it is worth a word.
const QUIET: u64 = 60;

/// A row of the answer to `command`, if there is more to say of it than the server's own words. Times stand in it as the server
/// writes them; whoever shows it knows what they are here.
pub(super) fn row(command: &str, text: &str) -> Option<String> {
    Some(match Detail::parse(command, text) {
        Detail::Who { nick, activity, idle, rooms, away } => {
            let is = match activity {
                Activity::Here => "here",
                Activity::Typing => "typing",
                Activity::Away => "away",
            };
            let rooms = if rooms.is_empty() { String::new() } else { format!(", in {}", list(&rooms)) };
            let quiet = if idle < QUIET { String::new() } else { format!(", quiet for {}", roughly(idle)) };
            format!("{nick} is {is}{}{rooms}{quiet}", reason_text(away))
        }
        Detail::Room { room, count, topic } => {
            let about = if topic.is_empty() { String::new() } else { format!("; it is about {topic}") };
            match count {
                0 => format!("nobody is in {room}{about}"),
                1 => format!("1 person is in {room}{about}"),
                _ => format!("{count} people are in {room}{about}"),
            }
        }
        Detail::Limit { value, about, .. } => limit(value, about),
        Detail::Ignored(nick) => format!("you hear nothing of {nick}"),
        Detail::Setting(option, is_on) => format!("{option} is {}", if is_on { "on" } else { "off" }),
        Detail::Ranked { rank, nick } => match rank {
            Rank::Founder => format!("{nick} is the founder"),
            Rank::Op => format!("{nick} is an op"),
            Rank::Voice => format!("{nick} is a voice"),
            Rank::Nobody => return None,
        },
        Detail::Rule(name, value) | Detail::Server(name, value) => format!("{name} is {value}"),
        Detail::Operator(nick) => format!("{nick} is an operator"),
        Detail::Name { since, seen } => format!("owned since {since}; its owner was last here on {seen}"),
        Detail::Tokens(0) => "no token is kept for it".to_owned(),
        Detail::Tokens(count) => format!("{} can log in for you; /token off ends that", counted(count, "token")),
        Detail::Founder(rooms) => format!("you are the founder of {}", list(&rooms)),
        Detail::Ways(count) => format!("you are here over {}", counted(count, "connection")),
        Detail::Kept(count) => format!("{} of yours that is lost may still come back", counted(count, "connection")),
        Detail::File { file, size, sender, place, age, coming, name } => {
            let coming = if coming { ", still on its way" } else { "" };
            // What is for us stands where we talk with its sender.
            let whom = if place == Place::With(sender) { "you".to_owned() } else { place.to_string() };
            format!("file {file}: {name}, {}, from {sender} for {whom}, {} ago{coming}", bytes(size), roughly(age))
        }
        Detail::Ban { id, mute, who, by, until, reason } => {
            let kind = if mute { "mute" } else { "ban" };
            let by = by.map_or_else(|| "the server".to_owned(), |by| by.to_string());
            format!("{kind} {id}: {}, by {by}, {}{}", whom_text(who), until_text(until), reason_text(reason))
        }
        Detail::Block { id, of_guests, who, until, reason } => {
            let whom = match who.strip_prefix("name:") {
                Some(nick) => nick.to_owned(),
                None if of_guests => format!("guests from {who}"),
                None => format!("whoever comes from {who}"),
            };
            format!("block {id}: {whom}, {}{}", until_text(until), reason_text(reason))
        }
        Detail::Way { nick, address, secure, since, named } => {
            let standing = if named { "who owns that name" } else { "a guest" };
            let wire = if secure { "where nobody can read along" } else { "where others may read along" };
            format!("{nick}, {standing}, from {address}, {wire}, since {}", in_seconds(since))
        }
        _ => return None,
    })
}

/// What the rule `past` says where it is told that it holds.
const PAST: &str = "past off, so you see nothing that was said before you came";

/// A row of the reply to entering a room, in words.
pub(super) fn of_join(room: RoomName, row: &str) -> String {
    match Detail::parse("join", row) {
        Detail::Topic(topic) => format!("{room} is about {topic}"),
        Detail::Rules(rules) => {
            // It is the one rule that holds where it is off, and comes last.
            let rules = rules.strip_suffix("past").map_or_else(|| rules.to_owned(), |others| others.to_owned() + PAST);
            format!("what holds in {room}: {rules}; /room tells more")
        }
        _ => row.to_owned(),
    }
}

fn list(rooms: &[RoomName]) -> String {
    rooms.iter().map(RoomName::to_string).collect::<Vec<_>>().join(", ")
}

/// How much a limit is. What the server says of it goes on behind a number, and may tell what 0 means, which is told for nothing else.
fn limit(value: Value, about: &str) -> String {
    let (what, nothing, more) = match about.split_once("; 0 is ") {
        Some((what, rest)) => {
            let (nothing, more) = rest.split_once("; ").unwrap_or((rest, ""));
            (what, nothing, more)
        }
        None => (about, "", ""),
    };
    let limit = match (value, what.strip_prefix("bytes ")) {
        (Value::Count(0) | Value::Seconds(0), _) if !nothing.is_empty() => format!("{what}: {nothing}"),
        (Value::Count(count), Some(of)) => format!("{} {of}", bytes(count)),
        (Value::Count(count), None) => format!("{count} {what}"),
        (Value::Seconds(time), _) => format!("{what}: {}", time_text(time)),
    };
    if more.is_empty() { limit } else { format!("{limit}; {more}") }
}

/// For how long something holds.
fn until_text(until: Option<SystemTime>) -> String {
    until.map_or_else(|| "for good".to_owned(), |at| format!("until {}", in_seconds(at)))
}

/// Why something was done, behind what it is.
fn reason_text(reason: &str) -> String {
    if reason.is_empty() { String::new() } else { format!(" ({reason})") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_holds_in_a_room_tells_that_its_past_is_off() {
        let room = RoomName::new("#r").unwrap();
        for (rules, want) in [("key limit", "key limit"), ("past", PAST), ("key past", &format!("key {PAST}"))] {
            assert_eq!(of_join(room, &format!("rules {rules}")), format!("what holds in #r: {want}; /room tells more"));
        }
    }

    #[test]
    fn rows_for_programs_are_told_in_words() {
        for (command, text, want) in [
            ("who", "bob here 4s #lobby,#dev", "bob is here, in #lobby, #dev"),
            ("who", "bob typing 0s -", "bob is typing"),
            ("who", "bob away 7200s #lobby at sea", "bob is away (at sea), in #lobby, quiet for 2 hours"),
            ("rooms", "#lobby 3 tea and cake", "3 people are in #lobby; it is about tea and cake"),
            ("rooms", "#lobby 1", "1 person is in #lobby"),
            ("rooms", "#lobby 0", "nobody is in #lobby"),
            ("limits", "line 4096 bytes a line, with its ending", "4.0 kB a line, with its ending"),
            ("limits", "file-ttl 86400s how long a file is kept", "how long a file is kept: 1 day"),
            ("limits", "rate 20 lines a second; 0 is no limit; more are slow", "20 lines a second; more are slow"),
            (
                "limits",
                "rate 0 lines a second; 0 is no limit; more are slow",
                "lines a second: no limit; more are slow",
            ),
            ("limits", "name-ttl 0s how long a name is kept; 0 is for ever", "how long a name is kept: for ever"),
            ("limits", "log 0 bytes of a room's log; 0 is none", "bytes of a room's log: none"),
            ("ignore", "bob", "you hear nothing of bob"),
            ("set", "typing on", "typing is on"),
            ("op", "op bob", "bob is an op"),
            ("room", "hidden on", "hidden is on"),
            ("server", "guests listen", "guests is listen"),
            ("operator", "bob", "bob is an operator"),
            ("account", "name 2026-11-29 2026-11-30", "owned since 2026-11-29; its owner was last here on 2026-11-30"),
            ("account", "tokens 1", "1 token can log in for you; /token off ends that"),
            ("account", "tokens 0", "no token is kept for it"),
            ("account", "founder #a,#b", "you are the founder of #a, #b"),
            ("account", "ways 2", "you are here over 2 connections"),
            ("account", "kept 1", "1 connection of yours that is lost may still come back"),
            (
                "files",
                "1 252868 vera #lobby 4s ready club photo.jpg",
                "file 1: club photo.jpg, 247 kB, from vera for #lobby, 4 seconds ago",
            ),
            (
                "files",
                "2 3 bob @alice 7200s coming x",
                "file 2: x, 3 bytes, from bob for @alice, 2 hours ago, still on its way",
            ),
            (
                "files",
                "3 6277 vera @vera 15s ready phone.jpg",
                "file 3: phone.jpg, 6.1 kB, from vera for you, 15 seconds ago",
            ),
            ("bans", "1 ban name:bob olga - for spamming", "ban 1: bob, by olga, for good (for spamming)"),
            (
                "bans",
                "2 mute pattern:spam* server 2026-11-29T06:28:49Z",
                "mute 2: guests called spam*, by the server, until 2026-11-29T06:28:49Z",
            ),
            ("blocks", "7 all name:bob - rude", "block 7: bob, for good (rude)"),
            (
                "blocks",
                "8 guests 203.0.113.5/32 2026-11-29T06:28:49Z",
                "block 8: guests from 203.0.113.5/32, until 2026-11-29T06:28:49Z",
            ),
            (
                "where",
                "bob 127.0.0.1 secure 2026-11-28T21:14:03Z guest",
                "bob, a guest, from 127.0.0.1, where nobody can read along, since 2026-11-28T21:14:03Z",
            ),
        ] {
            assert_eq!(row(command, text).as_deref(), Some(want), "{text}");
        }
        // What is newer than this program is told as it came.
        for (command, text) in [("account", "keys 3"), ("files", "x"), ("who", "bob asleep 0s #a"), ("room", "x")] {
            assert_eq!(row(command, text), None, "{text}");
        }
    }
}
