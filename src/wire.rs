//! Every line of the protocol, as it stands on the wire: what the server sends, and what a client does. It borrows its texts from
//! the line, and is what the server's dialect, the client and programs that test them have in common.
//!
//! Nothing is lost in a line that passes through: what is not exactly as it would be written is [`ServerLine::Other`].

pub mod base64;
mod client;
mod code;
mod detail;
mod done;
mod fields;

use std::borrow::Cow;
use std::fmt;
use std::time::SystemTime;

pub use self::client::{ClientLine, Command, Proof};
pub use self::code::Code;
pub use self::detail::{Activity, Detail, Value};
pub use self::done::{Done, Standing, TOKEN, token, token_text};
use self::fields::{Fields, put, put_text};
use crate::names::{Digest, FileId, Nick, Place, RoomName};
use crate::time::in_millis;

/// Tells of a download that ended with [`Code::Gone`] that it may go on.
pub const AGAIN: &str = "announced again";

/// A line of the server's, without its line end. Where a text may be left out, it is empty then.
#[derive(Clone, PartialEq, Eq, Debug)]
#[allow(missing_docs, reason = "the fields are called what they are, and PROTOCOL.md tells them")]
pub enum ServerLine<'a> {
    /// Somebody said something.
    Message { place: Place, stamp: Option<Stamp>, from: Nick, text: &'a str },
    /// Something happened in a room or a private conversation.
    Event { place: Place, stamp: Option<Stamp>, who: Nick, what: What<'a> },
    /// We are in, and are called so.
    Hello { nick: Nick, server: &'a str, online: u64, text: &'a str },
    /// The server wants a password first.
    Locked { server: &'a str, text: &'a str },
    /// A line of the message of the day.
    Motd(&'a str),
    /// Who went and who came since the version before.
    Presence { version: u64, changes: Cow<'a, [Change]> },
    /// News about the server as a whole.
    Notice(&'a str),
    /// An operator tells everybody something.
    Wall { from: Nick, text: &'a str },
    /// We are called so now, and no longer by our old name.
    Nick { nick: Nick, old: Nick, text: &'a str },
    /// The server closes the connection.
    Bye { code: Code<'a>, text: &'a str },
    /// A row of the reply that comes, for [`Detail::parse`].
    Detail(&'a str),
    /// A command is done.
    Done(Done<'a>),
    /// A command is refused.
    Refused { command: &'a str, code: Code<'a>, text: &'a str },
    /// Bytes of a file.
    Data { file: FileId, base64: &'a str },
    /// A transfer is whole.
    Whole { file: FileId, size: u64, digest: Digest },
    /// A transfer has failed.
    Failed { file: FileId, code: Code<'a>, text: &'a str },
    /// One that is newer than this program, or none at all.
    Other(&'a str),
}

/// When something was said, and its number among the messages of its room, if it is one.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Stamp {
    /// Counts up from 1 in each room; none in private.
    pub seq: Option<u64>,
    /// The time, of which the line has milliseconds.
    pub at: SystemTime,
}

/// Somebody whose presence changed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Change {
    /// Online no more.
    Went(Nick),
    /// Online now.
    Came(Nick),
}

/// What happened to a person in a place.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[allow(missing_docs, reason = "the fields are called what they are, and PROTOCOL.md tells them")]
pub enum What<'a> {
    /// They came into the room.
    Joined,
    /// They left it, with this reason.
    Left(&'a str),
    /// They have another name.
    Renamed(Nick),
    /// They left the server, with this reason.
    Quit(&'a str),
    /// Their connection was lost, in this way.
    Lost(Code<'a>),
    /// They set the topic; empty if they cleared it.
    Topic(&'a str),
    Typing,
    /// They are typing no more.
    Idle,
    /// They share a file.
    File {
        file: FileId,
        size: u64,
        name: &'a str,
    },
    /// It is there no more.
    Unfile {
        file: FileId,
        code: Code<'a>,
    },
    /// Messages were left out for us.
    Missed {
        count: u64,
        after: u64,
    },
    /// They are away, and left this word.
    Away(&'a str),
    /// They gave somebody a rank in the room, or took theirs.
    Made {
        nick: Nick,
        rank: Rank,
    },
    /// They put somebody out of the room, with this reason.
    Kicked {
        nick: Nick,
        reason: &'a str,
    },
    /// They banned or muted somebody for so many seconds, or for good if that is 0.
    Banned {
        mute: bool,
        who: Whom<'a>,
        seconds: u64,
        reason: &'a str,
    },
    /// They ended a ban, or a mute.
    Unbanned {
        mute: bool,
        who: Whom<'a>,
    },
    /// They set a rule of the room.
    Set(&'a str, &'a str),
    /// They invite us to a room.
    Invite(RoomName),
    /// They took these messages of the room back, and all between them.
    Erased {
        first: u64,
        last: u64,
    },
    /// They went, and have not had what we said to them since their connection was lost.
    Unreached,
    /// Something newer than this program.
    Other(&'a str),
}

/// What somebody is in a room.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[allow(missing_docs, reason = "a variant is its word")]
pub enum Rank {
    Founder,
    Op,
    Voice,
    Nobody,
}

impl Rank {
    const ALL: [Self; 4] = [Self::Founder, Self::Op, Self::Voice, Self::Nobody];

    /// The word, as it stands on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Founder => "founder",
            Self::Op => "op",
            Self::Voice => "voice",
            Self::Nobody => "nobody",
        }
    }
}

/// For whom a ban is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Whom<'a> {
    /// The owner of this name.
    Name(Nick),
    /// A guest who was called so.
    Guest(Nick),
    /// Guests whose names fit.
    Pattern(&'a str),
}

impl fmt::Display for Whom<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name(nick) => write!(f, "name:{nick}"),
            Self::Guest(nick) => write!(f, "guest:{nick}"),
            Self::Pattern(pattern) => write!(f, "pattern:{pattern}"),
        }
    }
}

impl<'a> ServerLine<'a> {
    /// Reads a line.
    pub fn parse(line: &'a str) -> Self {
        let known = match line.strip_prefix('=') {
            Some(data) => Self::parse_data(data),
            None => Self::parse_text(Fields::new(line)),
        };
        known.unwrap_or(Self::Other(line))
    }

    /// Reads a line that began with `=`, without that; `None` if it makes no sense.
    pub fn parse_data(data: &'a str) -> Option<Self> {
        let mut fields = Fields::new(data);
        let file = fields.file()?;
        match fields.word()? {
            "." => {
                let (size, digest) = (fields.number()?, fields.digest()?);
                fields.end(Self::Whole { file, size, digest })
            }
            "!" => Some(Self::Failed { file, code: Code::new(fields.word()?), text: fields.text()? }),
            base64 => fields.end(Self::Data { file, base64 }),
        }
    }

    fn parse_text(mut fields: Fields<'a>) -> Option<Self> {
        match fields.word()? {
            "*" => Self::parse_notice(fields),
            "-" => fields.text().map(Self::Detail),
            "+" => Done::parse(fields).map(Self::Done),
            "!" => {
                let (command, code) = (fields.word()?, Code::new(fields.word()?));
                Some(Self::Refused { command, code, text: fields.text()? })
            }
            word => Self::parse_talk(fields::place(word)?, fields),
        }
    }

    fn parse_talk(place: Place, mut fields: Fields<'a>) -> Option<Self> {
        let stamp = fields.maybe(Fields::stamp);
        if fields.maybe(|fields| fields.keyword("*")).is_none() {
            let (from, text) = fields.said()?;
            return Some(Self::Message { place, stamp, from, text });
        }
        let who = fields.nick()?;
        let text = fields.some_text()?;
        Some(Self::Event { place, stamp, who, what: What::parse(fields).unwrap_or(What::Other(text)) })
    }

    fn parse_notice(mut fields: Fields<'a>) -> Option<Self> {
        Some(match fields.word()? {
            "hello" => {
                let (nick, server, online) = (fields.nick()?, fields.word()?, fields.number()?);
                Self::Hello { nick, server, online, text: fields.text()? }
            }
            "locked" => Self::Locked { server: fields.word()?, text: fields.text()? },
            "motd" => Self::Motd(fields.text()?),
            "presence" => {
                let change = |word: &str| match word.split_at_checked(1)? {
                    ("-", name) => fields::nick(name).map(Change::Went),
                    ("+", name) => fields::nick(name).map(Change::Came),
                    _ => None,
                };
                Self::Presence { version: fields.number()?, changes: fields.all(change)?.into() }
            }
            "notice" => Self::Notice(fields.text()?),
            "wall" => Self::Wall { from: fields.nick()?, text: fields.some_text()? },
            "nick" => {
                let (nick, old) = (fields.nick()?, fields.nick()?);
                Self::Nick { nick, old, text: fields.text()? }
            }
            "bye" => Self::Bye { code: Code::new(fields.word()?), text: fields.text()? },
            _ => return None,
        })
    }

    /// Writes the line behind what is in `out`, without a line end.
    pub fn write(&self, out: &mut String) {
        match self {
            Self::Message { place, stamp, from, text } => {
                put_place(out, place, *stamp);
                put_said(out, *from, text);
            }
            Self::Event { place, stamp, who, what } => {
                put_place(out, place, *stamp);
                for part in ["* ", who.as_str(), " "] {
                    out.push_str(part);
                }
                what.write(out);
            }
            Self::Hello { nick, server, online, text } => {
                put(out, format_args!("* hello {nick} {server} {online}"));
                put_text(out, text);
            }
            Self::Locked { server, text } => {
                put(out, format_args!("* locked {server}"));
                put_text(out, text);
            }
            Self::Motd(text) => {
                out.push_str("* motd");
                put_text(out, text);
            }
            Self::Presence { version, changes } => {
                put(out, format_args!("* presence {version}"));
                for change in &**changes {
                    match change {
                        Change::Went(nick) => put(out, format_args!(" -{nick}")),
                        Change::Came(nick) => put(out, format_args!(" +{nick}")),
                    }
                }
            }
            Self::Notice(text) => {
                out.push_str("* notice");
                put_text(out, text);
            }
            Self::Wall { from, text } => put(out, format_args!("* wall {from} {text}")),
            Self::Nick { nick, old, text } => {
                put(out, format_args!("* nick {nick} {old}"));
                put_text(out, text);
            }
            Self::Bye { code, text } => {
                out.push_str("* bye ");
                put_why(out, *code, text);
            }
            Self::Detail(text) => {
                out.push('-');
                put_text(out, text);
            }
            Self::Done(done) => {
                out.push_str("+ ");
                done.write(out);
            }
            Self::Refused { command, code, text } => {
                put(out, format_args!("! {command} "));
                put_why(out, *code, text);
            }
            Self::Data { file, base64 } => put(out, format_args!("={file} {base64}")),
            Self::Whole { file, size, digest } => put(out, format_args!("={file} . {size} {digest}")),
            Self::Failed { file, code, text } => {
                put(out, format_args!("={file} ! "));
                put_why(out, *code, text);
            }
            Self::Other(line) => out.push_str(line),
        }
    }
}

impl fmt::Display for ServerLine<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut line = String::new();
        self.write(&mut line);
        f.write_str(&line)
    }
}

impl<'a> What<'a> {
    fn parse(mut fields: Fields<'a>) -> Option<Self> {
        let what = match fields.word()? {
            "joined" => Self::Joined,
            "left" => return fields.text().map(Self::Left),
            "renamed" => Self::Renamed(fields.nick()?),
            "quit" => return fields.text().map(Self::Quit),
            "lost" => fields.maybe(Fields::word).map_or(Self::Unreached, |code| Self::Lost(Code::new(code))),
            "topic" => return fields.text().map(Self::Topic),
            "typing" => Self::Typing,
            "idle" => Self::Idle,
            "file" => {
                let (file, size) = (fields.file()?, fields.number()?);
                return fields.some_text().map(|name| Self::File { file, size, name });
            }
            "unfile" => Self::Unfile { file: fields.file()?, code: Code::new(fields.word()?) },
            "missed" => {
                let count = fields.number()?;
                fields.keyword("after")?;
                Self::Missed { count, after: fields.number()? }
            }
            "away" => return fields.text().map(Self::Away),
            "made" => Self::Made { nick: fields.nick()?, rank: fields.rank()? },
            "kicked" => {
                let nick = fields.nick()?;
                return fields.text().map(|reason| Self::Kicked { nick, reason });
            }
            word @ ("banned" | "muted") => {
                let (mute, who, seconds) = (word == "muted", fields.whom()?, fields.number()?);
                return fields.text().map(|reason| Self::Banned { mute, who, seconds, reason });
            }
            word @ ("unbanned" | "unmuted") => Self::Unbanned { mute: word == "unmuted", who: fields.whom()? },
            "set" => {
                let (rule, value) = (fields.word()?, fields.word()?);
                Self::Set(rule, value)
            }
            "invite" => Self::Invite(fields.room()?),
            "erased" => Self::Erased { first: fields.number()?, last: fields.number()? },
            _ => return None,
        };
        fields.end(what)
    }

    fn write(&self, out: &mut String) {
        let mut with = |word: &str, text: &str| {
            out.push_str(word);
            put_text(out, text);
        };
        match self {
            Self::Joined => out.push_str("joined"),
            Self::Left(reason) => with("left", reason),
            Self::Renamed(nick) => with("renamed", nick.as_str()),
            Self::Quit(reason) => with("quit", reason),
            Self::Lost(code) => with("lost", code.as_str()),
            Self::Topic(topic) => with("topic", topic),
            Self::Typing => out.push_str("typing"),
            Self::Idle => out.push_str("idle"),
            Self::File { file, size, name } => put(out, format_args!("file {file} {size} {name}")),
            Self::Unfile { file, code } => put(out, format_args!("unfile {file} {}", code.as_str())),
            Self::Missed { count, after } => put(out, format_args!("missed {count} after {after}")),
            Self::Away(text) => with("away", text),
            Self::Made { nick, rank } => put(out, format_args!("made {nick} {}", rank.as_str())),
            Self::Kicked { nick, reason } => {
                put(out, format_args!("kicked {nick}"));
                put_text(out, reason);
            }
            Self::Banned { mute, who, seconds, reason } => {
                put(out, format_args!("{} {who} {seconds}", if *mute { "muted" } else { "banned" }));
                put_text(out, reason);
            }
            Self::Unbanned { mute, who } => {
                put(out, format_args!("{} {who}", if *mute { "unmuted" } else { "unbanned" }));
            }
            Self::Set(rule, value) => put(out, format_args!("set {rule} {value}")),
            Self::Invite(room) => put(out, format_args!("invite {room}")),
            Self::Erased { first, last } => put(out, format_args!("erased {first} {last}")),
            Self::Unreached => out.push_str("lost"),
            Self::Other(text) => out.push_str(text),
        }
    }
}

impl Stamp {
    fn write(self, out: &mut String) {
        let at = in_millis(self.at);
        match self.seq {
            Some(seq) => put(out, format_args!("[{seq}@{at}] ")),
            None => put(out, format_args!("[-@{at}] ")),
        }
    }
}

/// Lines that begin so are most of all, and formatting would cost more than what is formatted.
#[inline]
fn put_place(out: &mut String, place: &Place, stamp: Option<Stamp>) {
    let parts = match place {
        Place::Room(room) => ["", room.as_str(), " "],
        Place::With(nick) => ["@", nick.as_str(), " "],
    };
    parts.into_iter().for_each(|part| out.push_str(part));
    stamp.into_iter().for_each(|stamp| stamp.write(out));
}

#[inline]
fn put_said(out: &mut String, from: Nick, text: &str) {
    for part in ["<", from.as_str(), "> ", text] {
        out.push_str(part);
    }
}

fn put_why(out: &mut String, code: Code<'_>, text: &str) {
    out.push_str(code.as_str());
    put_text(out, text);
}

/// What ends the last line of the server's for people in `nc`, which stays until they do something.
pub const ENDS_NC: &str = " (Enter or Ctrl-C ends nc)";

/// What that line says to people who are not in `nc`.
pub fn farewell(text: &str) -> &str {
    text.strip_suffix(ENDS_NC).unwrap_or(text)
}

/// What somebody does, if the text of a message says so, as `/me` sends it.
pub fn action(text: &str) -> Option<&str> {
    text.strip_prefix("/me ")
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, UNIX_EPOCH};

    use proptest::prelude::*;

    use super::*;
    use crate::names::{PlaceToken, Token};
    use crate::time::Day;

    type Any<T> = BoxedStrategy<T>;

    /// Something borrowed for as long as the test runs.
    fn borrowed(pattern: &'static str) -> Any<&'static str> {
        pattern.prop_map(|text| &*text.leak()).boxed()
    }

    /// A text that may be left out.
    fn text() -> Any<&'static str> {
        borrowed("([ a-z<>*@\\[\\]=é/]{1,12})?")
    }

    fn some_text() -> Any<&'static str> {
        borrowed("[ a-z<>*@\\[\\]=é/]{1,12}")
    }

    fn nick() -> Any<Nick> {
        "(here|topic|away|[A-Za-z][A-Za-z0-9_-]{2,19}|[а-яé][а-яé\u{301}]{0,19}|[小明さカ김]{1,20})"
            .prop_filter_map("on and off", |name| Nick::new(&name).ok())
            .boxed()
    }

    fn room() -> Any<RoomName> {
        "#([A-Za-z0-9][A-Za-z0-9_-]{0,30}|[а-я小明][а-я小明]{0,30})"
            .prop_filter_map("a room", |name| RoomName::new(&name).ok())
            .boxed()
    }

    fn place() -> Any<Place> {
        prop_oneof![room().prop_map(Place::Room), nick().prop_map(Place::With)].boxed()
    }

    fn file() -> Any<FileId> {
        number().prop_map(FileId).boxed()
    }

    fn number() -> Any<u64> {
        prop_oneof![0..20_u64, any::<u64>()].boxed()
    }

    fn at() -> Any<SystemTime> {
        (0..253_402_300_800_000_u64).prop_map(|ms| UNIX_EPOCH + Duration::from_millis(ms)).boxed()
    }

    /// A time in whole seconds.
    fn second() -> Any<SystemTime> {
        (0..253_402_300_800_u64).prop_map(|seconds| UNIX_EPOCH + Duration::from_secs(seconds)).boxed()
    }

    fn stamp() -> Any<Option<Stamp>> {
        let stamp = (proptest::option::of(number()), at()).prop_map(|(seq, at)| Stamp { seq, at });
        proptest::option::of(stamp).boxed()
    }

    fn code() -> Any<Code<'static>> {
        let known = proptest::sample::select(Code::ALL);
        prop_oneof![known, borrowed("x-[a-z]{1,5}").prop_map(Code::Other)].boxed()
    }

    fn option() -> Any<&'static str> {
        borrowed("[a-z]{1,8}")
    }

    fn whom() -> Any<Whom<'static>> {
        prop_oneof![
            nick().prop_map(Whom::Name),
            nick().prop_map(Whom::Guest),
            borrowed("[a-z*]{1,9}").prop_map(Whom::Pattern)
        ]
        .boxed()
    }

    fn what() -> Any<What<'static>> {
        prop_oneof![
            Just(What::Joined),
            text().prop_map(What::Left),
            nick().prop_map(What::Renamed),
            text().prop_map(What::Quit),
            code().prop_map(What::Lost),
            text().prop_map(What::Topic),
            Just(What::Typing),
            Just(What::Idle),
            (file(), number(), some_text()).prop_map(|(file, size, name)| What::File { file, size, name }),
            (file(), code()).prop_map(|(file, code)| What::Unfile { file, code }),
            (number(), number()).prop_map(|(count, after)| What::Missed { count, after }),
            text().prop_map(What::Away),
            (nick(), proptest::sample::select(&Rank::ALL[..])).prop_map(|(nick, rank)| What::Made { nick, rank }),
            (nick(), text()).prop_map(|(nick, reason)| What::Kicked { nick, reason }),
            (any::<bool>(), whom(), number(), text()).prop_map(|(mute, who, seconds, reason)| What::Banned {
                mute,
                who,
                seconds,
                reason
            }),
            (any::<bool>(), whom()).prop_map(|(mute, who)| What::Unbanned { mute, who }),
            (option(), option()).prop_map(|(rule, value)| What::Set(rule, value)),
            room().prop_map(What::Invite),
            (number(), number()).prop_map(|(first, last)| What::Erased { first, last }),
            Just(What::Unreached),
            borrowed("danced( [a-z ]{0,5})?").prop_map(What::Other),
        ]
        .boxed()
    }

    fn done() -> Any<Done<'static>> {
        let bare =
            vec![Done::Help, Done::Limits, Done::Pass, Done::Me, Done::Away, Done::Back, Done::Settings, Done::Quit];
        let of_name = [Done::Register as fn(_) -> _, Done::Login, Done::Logout, Done::Drop];
        prop_oneof![
            proptest::sample::select(bare),
            nick().prop_map(Done::Nick),
            proptest::sample::select(vec![Done::Passwd, Done::TokenOff]),
            (proptest::sample::select(of_name.to_vec()), nick()).prop_map(|(done, nick)| done(nick)),
            any::<[u8; 32]>().prop_map(|bytes| Done::Token(Token(bytes))),
            (nick(), proptest::sample::select(&[Standing::Free, Standing::Owned, Standing::Held][..]))
                .prop_map(|(nick, standing)| Done::Account(nick, standing)),
            (room(), number()).prop_map(|(room, count)| Done::Join { room, count }),
            room().prop_map(Done::Leave),
            place().prop_map(Done::Query),
            number().prop_map(Done::Rooms),
            (number(), number()).prop_map(|(version, count)| Done::Who { version, count }),
            place().prop_map(Done::Msg),
            (place(), any::<bool>()).prop_map(|(place, on)| Done::Typing(place, on)),
            (room(), text()).prop_map(|(room, topic)| Done::Topic(room, topic)),
            (file(), number()).prop_map(|(file, offset)| Done::Send { file, offset }),
            (file(), number(), number(), some_text()).prop_map(|(file, offset, size, name)| Done::Get {
                file,
                offset,
                size,
                name
            }),
            number().prop_map(Done::Files),
            file().prop_map(Done::Cancel),
            (room(), number()).prop_map(|(room, count)| Done::History { room, count }),
            nick().prop_map(Done::Ignore),
            number().prop_map(Done::Ignoring),
            nick().prop_map(Done::Unignore),
            (option(), any::<bool>()).prop_map(|(option, on)| Done::Set(option, on)),
            text().prop_map(Done::Ping),
            (
                proptest::sample::select(
                    &["op", "deop", "voice", "devoice", "founder", "kick", "invite", "uninvite"][..]
                ),
                room(),
                nick()
            )
                .prop_map(|(command, room, nick)| Done::OfMember { command, room, nick }),
            (proptest::sample::select(&["op", "bans", "erase"][..]), room(), number())
                .prop_map(|(command, room, count)| Done::Count { command, room, count }),
            (any::<bool>(), room(), number(), whom(), any::<bool>())
                .prop_map(|(mute, room, id, who, by_connection)| Done::Ban { mute, room, id, who, by_connection }),
            (room(), number()).prop_map(|(room, id)| Done::Unban { room, id }),
            (number(), borrowed("[a-z0-9:./]{1,9}"), number()).prop_map(|(id, who, closed)| Done::Block {
                id,
                who,
                closed
            }),
            number().prop_map(Done::Unblock),
            number().prop_map(Done::Blocks),
            Just(Done::Server),
            Just(Done::Reload),
            number().prop_map(Done::Metrics),
            (room(), proptest::option::of((option(), option()))).prop_map(|(room, rule)| Done::Room { room, rule }),
            (any::<u128>(), number()).prop_map(|(token, seconds)| Done::Keep { token: PlaceToken(token), seconds }),
            nick().prop_map(Done::Resume),
            nick().prop_map(Done::Kill),
            nick().prop_map(Done::Where),
            number().prop_map(Done::Wall),
            (nick(), any::<[u8; 32]>()).prop_map(|(nick, token)| Done::Grant(nick, Token(token))),
            nick().prop_map(Done::Revoke),
            (nick(), any::<bool>()).prop_map(|(nick, on)| Done::Operator(nick, on)),
            number().prop_map(Done::Operators),
            text().prop_map(|rest| Done::Other("dance", rest)),
        ]
        .boxed()
    }

    fn change() -> Any<Change> {
        prop_oneof![nick().prop_map(Change::Went), nick().prop_map(Change::Came)].boxed()
    }

    fn line() -> Any<ServerLine<'static>> {
        let many = proptest::collection::vec(change(), 1..5);
        prop_oneof![
            (place(), stamp(), nick(), text()).prop_map(|(place, stamp, from, text)| ServerLine::Message {
                place,
                stamp,
                from,
                text
            }),
            (place(), stamp(), nick(), what()).prop_map(|(place, stamp, who, what)| ServerLine::Event {
                place,
                stamp,
                who,
                what
            }),
            (nick(), borrowed("chinwag/[0-9.]{1,9}"), number(), text())
                .prop_map(|(nick, server, online, text)| ServerLine::Hello { nick, server, online, text }),
            (borrowed("chinwag/[0-9.]{1,9}"), text()).prop_map(|(server, text)| ServerLine::Locked { server, text }),
            text().prop_map(ServerLine::Motd),
            (number(), many).prop_map(|(version, changes)| ServerLine::Presence { version, changes: changes.into() }),
            text().prop_map(ServerLine::Notice),
            (nick(), some_text()).prop_map(|(from, text)| ServerLine::Wall { from, text }),
            (code(), text()).prop_map(|(code, text)| ServerLine::Bye { code, text }),
            (nick(), nick(), text()).prop_map(|(nick, old, text)| ServerLine::Nick { nick, old, text }),
            text().prop_map(ServerLine::Detail),
            done().prop_map(ServerLine::Done),
            (option(), code(), text()).prop_map(|(command, code, text)| ServerLine::Refused { command, code, text }),
            (file(), borrowed("[A-Za-z0-9+/]{4,12}")).prop_map(|(file, base64)| ServerLine::Data { file, base64 }),
            (file(), number(), any::<[u8; 32]>()).prop_map(|(file, size, digest)| ServerLine::Whole {
                file,
                size,
                digest: Digest(digest)
            }),
            (file(), code(), text()).prop_map(|(file, code, text)| ServerLine::Failed { file, code, text }),
            borrowed("[a-z?]{1,9}").prop_map(ServerLine::Other),
        ]
        .boxed()
    }

    fn command() -> Any<Command<'static>> {
        let of_text = [Command::Pass as fn(_) -> _, Command::Away, Command::Ping];
        prop_oneof![
            (proptest::sample::select(of_text.to_vec()), some_text()).prop_map(|(command, text)| command(text)),
            nick().prop_map(Command::Nick),
            (nick(), any::<[u8; 32]>()).prop_map(|(nick, token)| Command::Login(nick, Proof::Token(Token(token)))),
            (nick(), borrowed("[!-~]{8,12}"))
                .prop_map(|(nick, password)| Command::Login(nick, Proof::Password(password))),
            Just(Command::Token),
            room().prop_map(Command::Ranks),
            room().prop_map(Command::Join),
            place().prop_map(Command::Query),
            proptest::option::of(nick()).prop_map(Command::Who),
            (place(), some_text()).prop_map(|(place, text)| Command::Msg(place, text)),
            (place(), any::<bool>()).prop_map(|(place, on)| Command::Typing(place, on)),
            (place(), number(), any::<[u8; 32]>(), some_text()).prop_map(|(to, size, digest, name)| Command::Send {
                to,
                size,
                digest: Digest(digest),
                name
            }),
            (file(), number()).prop_map(|(file, offset)| Command::Get { file, offset }),
            Just(Command::Files),
            file().prop_map(Command::Cancel),
            (room(), borrowed("(after )?[0-9]{1,5}")).prop_map(|(room, part)| Command::History(room, part)),
            nick().prop_map(Command::Ignore),
            (option(), any::<bool>()).prop_map(|(option, on)| Command::Set(option, on)),
            number().prop_map(Command::Keep),
            (any::<u128>(), number()).prop_map(|(token, lines)| Command::Resume { token: PlaceToken(token), lines }),
        ]
        .boxed()
    }

    /// A row, and the command that it answers.
    fn detail() -> Any<(&'static str, Detail<'static>)> {
        let activity = proptest::sample::select(&[Activity::Here, Activity::Typing, Activity::Away][..]);
        let value = prop_oneof![number().prop_map(Value::Count), number().prop_map(Value::Seconds)];
        let nicks = proptest::collection::vec(nick(), 1..5);
        let rooms = proptest::collection::vec(room(), 0..3);
        let of = |command: &'static str| move |detail| (command, detail);
        prop_oneof![
            (borrowed("/[a-z]{1,5}( [A-Z]{1,5})?"), some_text())
                .prop_map(|(usage, about)| Detail::Help { usage, about })
                .prop_map(of("help")),
            option().prop_map(Detail::Group).prop_map(of("help")),
            (option(), value, some_text())
                .prop_map(|(name, value, about)| Detail::Limit { name, value, about })
                .prop_map(of("limits")),
            some_text().prop_map(Detail::Topic).prop_map(of("join")),
            nicks.prop_map(|nicks| Detail::Here(nicks.into())).prop_map(of("join")),
            (room(), number(), text())
                .prop_map(|(room, count, topic)| Detail::Room { room, count, topic })
                .prop_map(of("rooms")),
            (nick(), activity, number(), rooms, text())
                .prop_map(|(nick, activity, idle, rooms, away)| {
                    Detail::Who { nick, activity, idle, rooms: rooms.into(), away }
                })
                .prop_map(of("who")),
            (file(), number(), nick(), place(), number(), any::<bool>(), some_text())
                .prop_map(|(file, size, sender, place, age, coming, name)| {
                    Detail::File { file, size, sender, place, age, coming, name }
                })
                .prop_map(of("files")),
            (number(), at(), nick(), text())
                .prop_map(|(seq, at, from, text)| Detail::Line { seq, at, from, text })
                .prop_map(of("history")),
            nick().prop_map(Detail::Ignored).prop_map(of("ignore")),
            (option(), any::<bool>()).prop_map(|(option, on)| Detail::Setting(option, on)).prop_map(of("set")),
            (room(), number()).prop_map(|(room, last)| Detail::In { room, last }).prop_map(of("login")),
            (at(), at())
                .prop_map(|(since, seen)| Detail::Name { since: Day::of(since), seen: Day::of(seen) })
                .prop_map(of("account")),
            number().prop_map(Detail::Tokens).prop_map(of("account")),
            number().prop_map(Detail::Ways).prop_map(of("account")),
            proptest::collection::vec(room(), 1..4)
                .prop_map(|rooms| Detail::Founder(rooms.into()))
                .prop_map(of("account")),
            (proptest::sample::select(&Rank::ALL[..3]), nick())
                .prop_map(|(rank, nick)| Detail::Ranked { rank, nick })
                .prop_map(of("op")),
            (number(), any::<bool>(), whom(), proptest::option::of(nick()), proptest::option::of(second()), text())
                .prop_map(|(id, mute, who, by, until, reason)| Detail::Ban { id, mute, who, by, until, reason })
                .prop_map(of("bans")),
            (number(), any::<bool>(), borrowed("[a-z0-9:./]{1,9}"), proptest::option::of(second()), text())
                .prop_map(|(id, of_guests, who, until, reason)| Detail::Block { id, of_guests, who, until, reason })
                .prop_map(of("blocks")),
            (option(), option(), proptest::sample::select(&["server", "reload"][..]))
                .prop_map(|(name, value, command)| (command, Detail::Server(name, value))),
            option().prop_map(Detail::Restart).prop_map(of("reload")),
            borrowed("[a-z_]{1,9} [0-9]{1,3}").prop_map(Detail::Metric).prop_map(of("metrics")),
            (option(), option()).prop_map(|(rule, value)| Detail::Rule(rule, value)).prop_map(of("room")),
            borrowed("[a-z]{1,5}( [a-z-]{1,5}){0,2}").prop_map(Detail::Rules).prop_map(of("join")),
            number().prop_map(Detail::Had).prop_map(of("resume")),
            (file(), number()).prop_map(|(file, offset)| Detail::Upload { file, offset }).prop_map(of("resume")),
            (nick(), borrowed("[0-9a-f:.]{2,9}|ctl"), any::<bool>(), second(), any::<bool>())
                .prop_map(|(nick, address, secure, since, named)| Detail::Way { nick, address, secure, since, named })
                .prop_map(of("where")),
            nick().prop_map(Detail::Operator).prop_map(of("operator")),
            borrowed("[a-z]{1,5}").prop_map(Detail::Other).prop_map(of("dance")),
        ]
        .boxed()
    }

    fn detail_line(detail: &Detail<'_>) -> String {
        let mut line = String::new();
        detail.write(&mut line);
        line
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(line in line()) {
            let written = line.to_string();
            prop_assert_eq!(ServerLine::parse(&written), line);
        }

        #[test]
        fn a_detail_that_is_written_is_read((command, detail) in detail()) {
            let line = detail_line(&detail);
            let ServerLine::Detail(text) = ServerLine::parse(&line) else { panic!("{line}") };
            prop_assert_eq!(Detail::parse(command, text), detail);
        }

        #[test]
        fn what_a_client_writes_is_a_command_that_there_is(command in command()) {
            let line = command.to_string();
            let ClientLine::Command { name, rest } = ClientLine::parse(&line) else { panic!("{line}") };
            prop_assert!(crate::commands::find(name).is_some(), "{}", line);
            let written = ClientLine::Command { name, rest }.to_string();
            prop_assert_eq!(written, line);
        }

        #[test]
        fn nothing_is_lost_in_a_line_that_passes_through(
            line in "[#@*+!=/-]?[/=]?(file|who|get|set|left|missed|bye|ban|kick|room|op)?[a-z0-9 <>*\\[\\]@:é-]{0,40}",
            command in "(help|limits|login|account|join|rooms|who|files|history|ignore|set|op|bans|room)",
        ) {
            prop_assert_eq!(ServerLine::parse(&line).to_string(), &*line);
            prop_assert_eq!(ClientLine::parse(&line).to_string(), &*line);
            prop_assert_eq!(detail_line(&Detail::parse(&command, &line)), format!("- {line}"));
        }
    }

    /// Whether a line is read as what it is, and written as it was. `…` stands for anything.
    fn passes(line: &str, command: &str) {
        let read = ServerLine::parse(line);
        assert_eq!(read.to_string(), line);
        let is_known = match &read {
            ServerLine::Other(_)
            | ServerLine::Done(Done::Other(..))
            | ServerLine::Event { what: What::Other(_), .. }
            | ServerLine::Refused { code: Code::Other(_), .. } => false,
            ServerLine::Detail(text) => {
                let detail = Detail::parse(command, text);
                assert_eq!(detail_line(&detail), line);
                !matches!(detail, Detail::Other(_))
            }
            _ => true,
        };
        assert!(is_known || line.contains('…'), "{line} of {command:?} is read as {read:?}");
    }

    /// What the lines of a conversation show: whether each is the server's, and then to what command it belongs.
    fn hold(conversation: &[(&str, bool)]) {
        for (at, (line, _)) in conversation.iter().enumerate().filter(|(_, (_, is_server))| *is_server) {
            let reply =
                conversation[at..].iter().map(|(line, _)| ServerLine::parse(line)).find_map(|line| match line {
                    ServerLine::Done(done) => Some(done.command()),
                    _ => None,
                });
            passes(line, reply.unwrap_or_default());
        }
    }

    #[test]
    fn the_examples_of_the_protocol_are_read() {
        let page = include_str!("../PROTOCOL.md");
        let blocks = page.split("```").skip(1).step_by(2).filter_map(|block| block.strip_prefix('\n'));
        let mut count = 0;
        for block in blocks.filter(|block| !block.contains("nc 127.0.0.1")) {
            let lines = block.lines().filter(|line| !line.starts_with('…'));
            let lines: Vec<_> = lines.map(|line| (line, !line.starts_with("> "))).collect();
            count += lines.len();
            hold(&lines);
        }
        assert!(count > 50, "{count}");
    }

    #[test]
    fn a_name_is_read_in_the_one_spelling_that_it_has() {
        for line in ["#ü <Zoë> hi", "@Zoë * Zoë typing", "* presence 1 -Zoë +小明", "+ nick Zoë", "- hello"] {
            let is_read = |line: &str| {
                !matches!(ServerLine::parse(line), ServerLine::Other(_) | ServerLine::Done(Done::Other(..)))
            };
            assert!(is_read(line), "{line}");
            let apart = line.replace('ë', "e\u{308}").replace('ü', "u\u{308}");
            assert_eq!(is_read(&apart), apart == line, "{apart}");
        }
    }

    #[test]
    fn the_transcripts_are_read() {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/transcripts");
        let mut count = 0;
        for path in std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
            let transcript = std::fs::read_to_string(path).unwrap();
            let mut people = std::collections::BTreeMap::<&str, Vec<(&str, bool)>>::new();
            for line in transcript.lines().filter(|line| !line.starts_with('#')) {
                if let Some((who, line)) = line.split_once("> ").filter(|(who, _)| !who.contains([' ', ':'])) {
                    people.entry(who).or_default().push((line, true));
                }
            }
            count += people.values().map(Vec::len).sum::<usize>();
            people.values().for_each(|lines| hold(lines));
        }
        assert!(count > 300, "{count}");
    }
}
