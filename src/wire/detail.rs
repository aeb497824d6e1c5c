//! The details that stand before the reply that they belong to.

use std::borrow::Cow;
use std::time::SystemTime;

use super::fields::{Fields, nick, on_off, put, put_text, room};
use super::{Rank, Stamp, Whom, put_said};
use crate::names::{FileId, Nick, Place, RoomName};
use crate::time::{Day, in_seconds};

/// Stands for whoever runs the server, as nobody can be called so.
const SERVER: &str = "server";

/// What a connection is on which nobody can read along, and what another.
const SECURE: [&str; 2] = ["secure", "clear"];
/// What somebody is who owns their name, and what another.
const NAMED: [&str; 2] = ["named", "guest"];

/// A row of a reply: `- …`.
#[derive(Clone, PartialEq, Eq, Debug)]
#[allow(missing_docs, reason = "the fields are called what they are, and PROTOCOL.md tells them")]
pub enum Detail<'a> {
    /// A command, of `/help`.
    Help { usage: &'a str, about: &'a str },
    /// What the commands that follow are about, of `/help`.
    Group(&'a str),
    /// A limit, of `/limits`.
    Limit { name: &'a str, value: Value, about: &'a str },
    /// The topic of the room that is entered.
    Topic(&'a str),
    /// Some of those who are in it.
    Here(Cow<'a, [Nick]>),
    /// A room, of `/rooms`. Its topic is empty if it has none.
    Room { room: RoomName, count: u64, topic: &'a str },
    /// A person, of `/who`: idle for so many seconds, in these rooms. Empty if they left no word: why they are away.
    Who { nick: Nick, activity: Activity, idle: u64, rooms: Cow<'a, [RoomName]>, away: &'a str },
    /// A file, of `/files`, that was announced so many seconds ago.
    File { file: FileId, size: u64, sender: Nick, place: Place, age: u64, coming: bool, name: &'a str },
    /// A message, of `/history`.
    Line { seq: u64, at: SystemTime, from: Nick, text: &'a str },
    /// Somebody, of `/ignore`.
    Ignored(Nick),
    /// What is set, of `/set`.
    Setting(&'a str, bool),
    /// A room in which we are now, of `/login`, and the number of its last message.
    In { room: RoomName, last: u64 },
    /// Since when a name has been somebody's, of `/account`, and when they were last here.
    Name { since: Day, seen: Day },
    /// How many tokens we have, of `/account`.
    Tokens(u64),
    /// The rooms of which we are the founder, of `/account`.
    Founder(Cow<'a, [RoomName]>),
    /// How many connections we have, of `/account`.
    Ways(u64),
    /// How many places of ours are kept whose connections are lost, of `/account`.
    Kept(u64),
    /// Somebody who has a rank, of `/op`.
    Ranked { rank: Rank, nick: Nick },
    /// A ban or a mute, of `/bans`: who set it (nobody in the chat if that is `None`), when it ends, if it does, and why, if that is
    /// not empty.
    Ban { id: u64, mute: bool, who: Whom<'a>, by: Option<Nick>, until: Option<SystemTime>, reason: &'a str },
    /// A block, of `/blocks`: whether it is for guests alone, who may not come (`name:NICK`, or `ADDRESS/LEN`), when it ends, if it
    /// does, and why, if that is not empty.
    Block { id: u64, of_guests: bool, who: &'a str, until: Option<SystemTime>, reason: &'a str },
    /// What the operator may change and its value, of `/server`.
    Server(&'a str, &'a str),
    /// An option that has changed and that only a restart takes, of `/reload`.
    Restart(&'a str),
    /// A line of the page, of `/metrics`.
    Metric(&'a str),
    /// A rule and its value, of `/room`.
    Rule(&'a str, &'a str),
    /// The names of the rules of the room that is entered, each behind a space but the first.
    Rules(&'a str),
    /// So many of our lines were carried out or refused, of `/resume`.
    Had(u64),
    /// An upload that goes on from here, of `/resume`.
    Upload { file: FileId, offset: u64 },
    /// Somebody, of `/operator`.
    Operator(Nick),
    /// A connection of somebody, of `/where`: from where, whether nobody can read along, since when, and whether they own their name.
    Way { nick: Nick, address: &'a str, secure: bool, since: SystemTime, named: bool },
    /// A row that is newer than this program.
    Other(&'a str),
}

/// How much a limit is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Value {
    /// So many of what the limit tells.
    Count(u64),
    /// So long.
    Seconds(u64),
}

/// What a person is doing.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[allow(missing_docs, reason = "a variant is its word")]
pub enum Activity {
    Here,
    Typing,
    Away,
}

impl<'a> Detail<'a> {
    /// Reads a row (without its `-`) of the reply to `command`. Only that tells what kind of row it is: somebody may be called
    /// `topic`.
    pub fn parse(command: &str, text: &'a str) -> Self {
        Self::known(command, Fields::new(text)).unwrap_or(Self::Other(text))
    }

    fn known(command: &str, mut fields: Fields<'a>) -> Option<Self> {
        match command {
            "help" => {
                let text = fields.text()?;
                if let Some(group) =
                    text.strip_suffix(':').filter(|group| !group.is_empty() && !group.contains([' ', '/']))
                {
                    return Some(Self::Group(group));
                }
                let (usage, about) = text.split_once("  ")?;
                usage.starts_with('/').then_some(Self::Help { usage, about })
            }
            "limits" => {
                let name = fields.word()?;
                let seconds = fields.maybe(Fields::seconds).map(Value::Seconds);
                let value = seconds.or_else(|| fields.number().map(Value::Count))?;
                Some(Self::Limit { name, value, about: fields.some_text()? })
            }
            "join" => match fields.word()? {
                "topic" => fields.some_text().map(Self::Topic),
                "here" => fields.all(nick).map(|nicks| Self::Here(nicks.into())),
                "rules" => fields.some_text().map(Self::Rules),
                _ => None,
            },
            "rooms" => Some(Self::Room { room: fields.room()?, count: fields.number()?, topic: fields.text()? }),
            "who" => {
                let nick = fields.nick()?;
                let activity = match fields.word()? {
                    "here" => Activity::Here,
                    "typing" => Activity::Typing,
                    "away" => Activity::Away,
                    _ => return None,
                };
                let idle = fields.seconds()?;
                let rooms = match fields.word()? {
                    "-" => Vec::new(),
                    text => rooms(text)?,
                };
                Some(Self::Who { nick, activity, idle, rooms: rooms.into(), away: fields.text()? })
            }
            "files" => Some(Self::File {
                file: fields.file()?,
                size: fields.number()?,
                sender: fields.nick()?,
                place: fields.place()?,
                age: fields.seconds()?,
                coming: match fields.word()? {
                    "coming" => true,
                    "ready" => false,
                    _ => return None,
                },
                name: fields.some_text()?,
            }),
            "history" => {
                let Stamp { seq, at } = fields.stamp()?;
                let (from, text) = fields.said()?;
                Some(Self::Line { seq: seq?, at, from, text })
            }
            "ignore" => {
                let nick = fields.nick()?;
                fields.end(Self::Ignored(nick))
            }
            "login" => {
                fields.keyword("in")?;
                let row = Self::In { room: fields.room()?, last: fields.number()? };
                fields.end(row)
            }
            "account" => {
                let row = match fields.word()? {
                    "name" => Self::Name { since: fields.day()?, seen: fields.day()? },
                    "tokens" => Self::Tokens(fields.number()?),
                    "founder" => Self::Founder(rooms(fields.word()?)?.into()),
                    "ways" => Self::Ways(fields.number()?),
                    "kept" => Self::Kept(fields.number()?),
                    _ => return None,
                };
                fields.end(row)
            }
            "op" => {
                let ranked = Self::Ranked { rank: fields.rank()?, nick: fields.nick()? };
                fields.end(ranked)
            }
            "bans" => {
                let id = fields.number()?;
                let mute = match fields.word()? {
                    "ban" => false,
                    "mute" => true,
                    _ => return None,
                };
                let who = fields.whom()?;
                let by = fields.maybe(|fields| fields.keyword(SERVER).map(|()| None));
                let by = by.or_else(|| fields.nick().map(Some))?;
                Some(Self::Ban { id, mute, who, by, until: fields.until()?, reason: fields.text()? })
            }
            "blocks" => {
                let id = fields.number()?;
                let of_guests = match fields.word()? {
                    "guests" => true,
                    "all" => false,
                    _ => return None,
                };
                let who = fields.word()?;
                Some(Self::Block { id, of_guests, who, until: fields.until()?, reason: fields.text()? })
            }
            "server" => {
                let setting = Self::Server(fields.word()?, fields.word()?);
                fields.end(setting)
            }
            "reload" => {
                let row = match fields.word()? {
                    "restart" => Self::Restart(fields.word()?),
                    name => Self::Server(name, fields.word()?),
                };
                fields.end(row)
            }
            "metrics" => fields.some_text().map(Self::Metric),
            "room" => {
                let rule = Self::Rule(fields.word()?, fields.word()?);
                fields.end(rule)
            }
            "operator" => {
                let nick = fields.nick()?;
                fields.end(Self::Operator(nick))
            }
            "where" => {
                let (nick, address) = (fields.nick()?, fields.word()?);
                let secure = fields.either(SECURE)?;
                let row = Self::Way { nick, address, secure, since: fields.until()??, named: fields.either(NAMED)? };
                fields.end(row)
            }
            "set" => {
                let setting = Self::Setting(fields.word()?, fields.switch()?);
                fields.end(setting)
            }
            "resume" => match fields.word()? {
                "had" => {
                    let had = Self::Had(fields.number()?);
                    fields.end(had)
                }
                "upload" => {
                    let upload = Self::Upload { file: fields.file()?, offset: fields.number()? };
                    fields.end(upload)
                }
                _ => None,
            },
            _ => None,
        }
    }

    /// Writes it as a line, behind what is in `out`, without a line end.
    pub fn write(&self, out: &mut String) {
        out.push_str("- ");
        match self {
            Self::Help { usage, about } => put(out, format_args!("{usage}  {about}")),
            Self::Group(group) => put(out, format_args!("{group}:")),
            Self::Limit { name, value: Value::Count(count), about } => put(out, format_args!("{name} {count} {about}")),
            Self::Limit { name, value: Value::Seconds(time), about } => {
                put(out, format_args!("{name} {time}s {about}"))
            }
            Self::Topic(topic) => put(out, format_args!("topic {topic}")),
            Self::Here(nicks) => {
                out.push_str("here");
                nicks.iter().for_each(|nick| put_text(out, nick.as_str()));
            }
            Self::Room { room, count, topic } => {
                put(out, format_args!("{room} {count}"));
                put_text(out, topic);
            }
            Self::Who { nick, activity, idle, rooms, away } => {
                let activity = match activity {
                    Activity::Here => "here",
                    Activity::Typing => "typing",
                    Activity::Away => "away",
                };
                put(out, format_args!("{nick} {activity} {idle}s "));
                put_rooms(out, rooms);
                out.push_str(if rooms.is_empty() { "-" } else { "" });
                put_text(out, away);
            }
            Self::File { file, size, sender, place, age, coming, name } => {
                let state = if *coming { "coming" } else { "ready" };
                put(out, format_args!("{file} {size} {sender} {place} {age}s {state} {name}"));
            }
            Self::Line { seq, at, from, text } => {
                Stamp { seq: Some(*seq), at: *at }.write(out);
                put_said(out, *from, text);
            }
            Self::Ignored(nick) => out.push_str(nick.as_str()),
            Self::Setting(option, on) => {
                out.push_str(option);
                put_text(out, on_off(*on));
            }
            Self::In { room, last } => put(out, format_args!("in {room} {last}")),
            Self::Name { since, seen } => put(out, format_args!("name {since} {seen}")),
            Self::Tokens(count) => put(out, format_args!("tokens {count}")),
            Self::Founder(rooms) => {
                out.push_str("founder ");
                put_rooms(out, rooms);
            }
            Self::Ways(count) => put(out, format_args!("ways {count}")),
            Self::Kept(count) => put(out, format_args!("kept {count}")),
            Self::Ranked { rank, nick } => put(out, format_args!("{} {nick}", rank.as_str())),
            Self::Ban { id, mute, who, by, until, reason } => {
                let kind = if *mute { "mute" } else { "ban" };
                put(out, format_args!("{id} {kind} {who} {} ", by.as_ref().map_or(SERVER, Nick::as_str)));
                put_until(out, *until);
                put_text(out, reason);
            }
            Self::Block { id, of_guests, who, until, reason } => {
                let scope = if *of_guests { "guests" } else { "all" };
                put(out, format_args!("{id} {scope} {who} "));
                put_until(out, *until);
                put_text(out, reason);
            }
            Self::Rule(rule, value) | Self::Server(rule, value) => put(out, format_args!("{rule} {value}")),
            Self::Restart(option) => put(out, format_args!("restart {option}")),
            Self::Metric(line) => out.push_str(line),
            Self::Rules(rules) => put(out, format_args!("rules {rules}")),
            Self::Had(count) => put(out, format_args!("had {count}")),
            Self::Upload { file, offset } => put(out, format_args!("upload {file} {offset}")),
            Self::Operator(nick) => out.push_str(nick.as_str()),
            Self::Way { nick, address, secure, since, named } => {
                let since = in_seconds(*since);
                let word = |is: bool, words: [&'static str; 2]| words[usize::from(!is)];
                put(out, format_args!("{nick} {address} {} {since} {}", word(*secure, SECURE), word(*named, NAMED)));
            }
            Self::Other(text) => out.push_str(text),
        }
    }
}

/// Writes a time in whole seconds, or `-` for none.
fn put_until(out: &mut String, until: Option<SystemTime>) {
    match until {
        Some(until) => put(out, in_seconds(until)),
        None => out.push('-'),
    }
}

/// Reads `#a,#b`.
fn rooms(text: &str) -> Option<Vec<RoomName>> {
    text.split(',').map(room).collect()
}

fn put_rooms(out: &mut String, rooms: &[RoomName]) {
    for (n, room) in rooms.iter().enumerate() {
        out.push_str(if n == 0 { "" } else { "," });
        out.push_str(room.as_str());
    }
}
