//! What the server's lines mean. Whatever server it is: what does not keep to the protocol is told as it stands.

use std::time::SystemTime;

use crate::names::{Digest, FileId, Nick, Place, RoomName};

/// One line of the server's.
#[derive(Clone, PartialEq, Eq, Debug)]
#[allow(missing_docs, reason = "the fields are called what they are")]
pub enum Told<'a> {
    /// We are in, and are called so.
    Hello { nick: Nick, online: u64 },
    /// The server wants a password first.
    Locked,
    /// A line of the message of the day.
    Motd(&'a str),
    /// Who went and who came online.
    Presence(Vec<Change>),
    /// The server closes the connection.
    Bye(&'a str),
    /// Somebody said something.
    Said { place: Place, stamp: Stamp, from: Nick, text: &'a str },
    /// Something happened in a room or a private conversation.
    Happened { place: Place, stamp: Stamp, who: Nick, what: What<'a> },
    /// Part of the reply that comes.
    Detail(&'a str),
    /// A command is done.
    Done { command: &'a str, rest: &'a str },
    /// A command is refused.
    Refused { command: &'a str, code: &'a str, text: &'a str },
    /// File data, in base64.
    Chunk { file: FileId, base64: &'a str },
    /// A file is whole.
    Whole { file: FileId, digest: Digest },
    /// A transfer has failed.
    Broken { file: FileId, code: &'a str, text: &'a str },
    /// Anything else.
    Other(&'a str),
}

/// Somebody whose presence changed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Change {
    /// Online now.
    Came(Nick),
    /// No longer.
    Went(Nick),
}

/// When a line was said, and its number among the lines of its room; each as far as it is known.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Stamp {
    /// The number.
    pub seq: Option<u64>,
    /// The time.
    pub at: Option<SystemTime>,
}

/// What happened to a person in a place.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[allow(missing_docs, reason = "the fields are called what they are")]
pub enum What<'a> {
    /// They came into the room.
    Joined,
    /// They left it, with this reason.
    Left(&'a str),
    /// They left the server, with this reason.
    Quit(&'a str),
    /// Their connection was lost, in this way.
    Lost(&'a str),
    /// They have another name.
    Renamed(Nick),
    /// They set the topic; empty if they cleared it.
    Topic(&'a str),
    /// They are typing.
    Typing,
    /// They are no longer.
    Idle,
    /// They share a file.
    File { file: FileId, size: u64, name: &'a str },
    /// It is no longer there, for this reason.
    Unfile { file: FileId, code: &'a str },
    /// We missed messages.
    Missed,
    /// They are away, as they told.
    Away(&'a str),
    /// Something that this client does not know.
    Other(&'a str),
}

/// A line of a room's history: `[SEQ@TIME] <nick> text`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Past<'a> {
    /// Its number.
    pub seq: u64,
    /// When it was said.
    pub at: SystemTime,
    /// By whom.
    pub from: Nick,
    /// What was said.
    pub text: &'a str,
}

/// Reads a line that is no `=` line.
pub fn read(line: &str) -> Told<'_> {
    let (kind, rest) = cut(line);
    let told = match kind {
        "*" => server(rest),
        "-" => Some(Told::Detail(rest)),
        "+" => Some(done(rest)),
        "!" => Some(refused(rest)),
        _ => Place::new(kind).and_then(|place| talk(place, rest)),
    };
    told.unwrap_or(Told::Other(line))
}

/// Reads a `=` line, without that sign.
pub fn read_data(line: &str) -> Option<Told<'_>> {
    let (file, rest) = cut(line);
    let file = FileId(file.parse().ok()?);
    match cut(rest) {
        (".", rest) => {
            let (_, digest) = cut(rest);
            Some(Told::Whole { file, digest: Digest::from_hex(digest.strip_prefix("sha256:")?)? })
        }
        ("!", rest) => Some(Told::Broken { file, code: cut(rest).0, text: cut(rest).1 }),
        (base64, "") => Some(Told::Chunk { file, base64 }),
        _ => None,
    }
}

/// Reads a detail of `/history`.
pub fn past(detail: &str) -> Option<Past<'_>> {
    let (stamp, rest) = cut(detail);
    let Stamp { seq, at } = read_stamp(stamp)?;
    let (from, text) = said(rest)?;
    Some(Past { seq: seq?, at: at?, from, text })
}

/// Reads a detail of `/files`: its ID, size and name.
pub fn file(detail: &str) -> Option<(FileId, u64, &str)> {
    let mut words = detail.splitn(7, ' ');
    let (id, size) = (words.next()?.parse().ok()?, words.next()?.parse().ok()?);
    Some((FileId(id), size, words.nth(4)?))
}

/// Whether `text` is an action, as `/me` sends one, and then which.
pub fn action(text: &str) -> Option<&str> {
    text.strip_prefix("/me ")
}

/// The first word, and what follows it.
pub fn cut(line: &str) -> (&str, &str) {
    line.split_once(' ').unwrap_or((line, ""))
}

fn server(rest: &str) -> Option<Told<'_>> {
    let (event, rest) = cut(rest);
    match event {
        "hello" => {
            let mut words = rest.split(' ');
            let nick = Nick::new(words.next()?)?;
            Some(Told::Hello { nick, online: words.nth(1).and_then(|count| count.parse().ok()).unwrap_or(1) })
        }
        "locked" => Some(Told::Locked),
        "motd" => Some(Told::Motd(rest)),
        "presence" => {
            let change = |word: &str| match word.split_at_checked(1)? {
                ("+", name) => Nick::new(name).map(Change::Came),
                ("-", name) => Nick::new(name).map(Change::Went),
                _ => None,
            };
            rest.split(' ').skip(1).map(change).collect::<Option<_>>().map(Told::Presence)
        }
        "bye" => Some(Told::Bye(cut(rest).1)),
        _ => None,
    }
}

fn done(rest: &str) -> Told<'_> {
    let (command, rest) = cut(rest);
    Told::Done { command, rest }
}

fn refused(rest: &str) -> Told<'_> {
    let (command, rest) = cut(rest);
    let (code, text) = cut(rest);
    Told::Refused { command, code, text }
}

fn talk(place: Place, rest: &str) -> Option<Told<'_>> {
    let (stamp, rest) = match rest.starts_with('[') {
        true => {
            let (stamp, rest) = cut(rest);
            (read_stamp(stamp)?, rest)
        }
        false => (Stamp::default(), rest),
    };
    let Some(happened) = rest.strip_prefix("* ") else {
        return said(rest).map(|(from, text)| Told::Said { place, stamp, from, text });
    };
    let (who, happened) = cut(happened);
    let (event, more) = cut(happened);
    let what = match event {
        "joined" => What::Joined,
        "left" => What::Left(more),
        "quit" => What::Quit(more),
        "lost" => What::Lost(more),
        "renamed" => What::Renamed(Nick::new(more)?),
        "topic" => What::Topic(more),
        "typing" => What::Typing,
        "idle" => What::Idle,
        "file" => {
            let mut words = more.splitn(3, ' ');
            let (file, size) = (words.next()?.parse().ok()?, words.next()?.parse().ok()?);
            What::File { file: FileId(file), size, name: words.next()? }
        }
        "unfile" => What::Unfile { file: FileId(cut(more).0.parse().ok()?), code: cut(more).1 },
        "missed" => What::Missed,
        "away" => What::Away(more),
        _ => What::Other(happened),
    };
    Some(Told::Happened { place, stamp, who: Nick::new(who)?, what })
}

/// Reads `<nick> text`.
fn said(rest: &str) -> Option<(Nick, &str)> {
    let (nick, text) = rest.strip_prefix('<')?.split_once("> ")?;
    Some((Nick::new(nick)?, text))
}

/// Reads `[SEQ@TIME]`, of which SEQ is `-` where there is none.
fn read_stamp(word: &str) -> Option<Stamp> {
    let (seq, at) = word.strip_prefix('[')?.strip_suffix(']')?.split_once('@')?;
    let seq = if seq == "-" { None } else { Some(seq.parse().ok()?) };
    Some(Stamp { seq, at: Some(humantime::parse_rfc3339(at).ok()?) })
}

/// What a room is called in a reply that begins with it.
pub fn room(rest: &str) -> Option<RoomName> {
    RoomName::new(cut(rest).0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn nick(name: &str) -> Nick {
        Nick::new(name).unwrap()
    }

    fn check(line: &str, want: &Told<'_>) {
        assert_eq!(read(line), *want, "{line}");
    }

    #[test]
    fn what_the_server_says() {
        let hello = Told::Hello { nick: nick("guest1"), online: 3 };
        check("* hello guest1 chinwag/0.1.0 3 online; /join #lobby to talk", &hello);
        check("* locked chinwag/0.1.0 send /pass PASSWORD", &Told::Locked);
        check("* motd be  kind", &Told::Motd("be  kind"));
        check("* motd", &Told::Motd(""));
        let changes = vec![Change::Went(nick("carol")), Change::Came(nick("alice")), Change::Came(nick("bob"))];
        check("* presence 7 -carol +alice +bob", &Told::Presence(changes));
        check("* bye full try again", &Told::Bye("try again"));
        check("- here alice bob", &Told::Detail("here alice bob"));
        check("+ join #lobby 2", &Told::Done { command: "join", rest: "#lobby 2" });
        check("+ me", &Told::Done { command: "me", rest: "" });
        let refused = Told::Refused { command: "nick", code: "taken", text: "bob is somebody else" };
        check("! nick taken bob is somebody else", &refused);
    }

    #[test]
    fn what_people_say() {
        let (place, from) = (Place::new("#lobby").unwrap(), nick("alice"));
        let said = |stamp, text| Told::Said { place, stamp, from, text };
        check("#lobby <alice> hi  there ", &said(Stamp::default(), "hi  there "));
        check("#lobby <alice> > x", &said(Stamp::default(), "> x"));
        let at = humantime::parse_rfc3339("2026-11-22T14:30:00.123Z").ok();
        check("#lobby [12@2026-11-22T14:30:00.123Z] <alice> hi", &said(Stamp { seq: Some(12), at }, "hi"));
        check(
            "@bob [-@2026-11-22T14:30:00.123Z] <alice> /me waves",
            &Told::Said { place: Place::With(nick("bob")), stamp: Stamp { seq: None, at }, from, text: "/me waves" },
        );
        assert_eq!(action("/me waves"), Some("waves"));
        assert_eq!(action("/men"), None);
    }

    #[test]
    fn what_happens() {
        let happened = |line: &str, what: What<'_>| {
            let (place, who) = (Place::new("#a").unwrap(), nick("bob"));
            check(&format!("#a * bob {line}"), &Told::Happened { place, stamp: Stamp::default(), who, what });
        };
        happened("joined", What::Joined);
        happened("left", What::Left(""));
        happened("left off to lunch", What::Left("off to lunch"));
        happened("quit", What::Quit(""));
        happened("lost reset", What::Lost("reset"));
        happened("renamed rob", What::Renamed(nick("rob")));
        happened("topic all  things", What::Topic("all  things"));
        happened("topic", What::Topic(""));
        happened("typing", What::Typing);
        happened("idle", What::Idle);
        happened("file 7 48213 my cat.png", What::File { file: FileId(7), size: 48_213, name: "my cat.png" });
        happened("unfile 7 gone", What::Unfile { file: FileId(7), code: "gone" });
        happened("missed 3 after 9", What::Missed);
        happened("away at sea", What::Away("at sea"));
        happened("danced a jig", What::Other("danced a jig"));
    }

    #[test]
    fn file_data() {
        let hex = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08";
        let file = FileId(7);
        assert_eq!(read_data("7 QUJD"), Some(Told::Chunk { file, base64: "QUJD" }));
        let whole = Told::Whole { file, digest: Digest::from_hex(hex).unwrap() };
        assert_eq!(read_data(&format!("7 . 3 sha256:{hex}")), Some(whole));
        let broken = Told::Broken { file, code: "gone", text: "its sender withdrew it" };
        assert_eq!(read_data("7 ! gone its sender withdrew it"), Some(broken));
        for bad in ["", "x QUJD", "7 . 3 md5:1", "7 QUJD more"] {
            assert_eq!(read_data(bad), None, "{bad}");
        }
    }

    #[test]
    fn details() {
        let line = past("[3@2026-11-22T14:30:00.123Z] <alice> so be it").unwrap();
        assert_eq!((line.seq, line.from, line.text), (3, nick("alice"), "so be it"));
        assert_eq!(past("[-@2026-11-22T14:30:00.123Z] <alice> x"), None);
        assert_eq!(file("7 48213 alice #lobby 12s ready my cat.png"), Some((FileId(7), 48_213, "my cat.png")));
        assert_eq!(file("7 48213 alice"), None);
    }

    #[test]
    fn what_breaks_the_rules_is_shown_as_it_is() {
        for line in ["", "hello", "* dance", "#lobby <1x> hi", "#l\u{e9} <a> hi", "#lobby [x] <a> hi", "* presence 1 x"]
        {
            check(line, &Told::Other(line));
        }
    }

    proptest! {
        #[test]
        fn no_line_is_too_odd(line in "[#@*+!=-]?[a-z0-9 <>*\\[\\]@:é-]{0,40}") {
            read(&line);
            read_data(&line);
            past(&line);
            file(&line);
        }
    }
}
