//! What tells that a command is done.

use std::fmt;

use ::base64::Engine as _;
use ::base64::engine::general_purpose::URL_SAFE_NO_PAD;

use super::Whom;
use super::fields::{Fields, on_off, put, put_target, put_text};
use crate::names::{FileId, Nick, Place, PlaceToken, RoomName, Token};

/// Tells a token from a password.
pub const TOKEN: &str = "token:";
/// Tells that a ban is for one connection alone.
const CONNECTION: &str = "connection";

/// That a command is done, and how: `+ command …`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[allow(missing_docs, reason = "the variants are the commands, and PROTOCOL.md tells their fields")]
pub enum Done<'a> {
    Help,
    Limits,
    Pass,
    Nick(Nick),
    Register(Nick),
    Login(Nick),
    /// What we are called now.
    Logout(Nick),
    Passwd,
    Token(Token),
    /// No token is good any more.
    TokenOff,
    /// What we are called now.
    Drop(Nick),
    Account(Nick, Standing),
    Join {
        room: RoomName,
        count: u64,
    },
    Leave(RoomName),
    Query(Place),
    Rooms(u64),
    Who {
        version: u64,
        count: u64,
    },
    Msg(Place),
    Me,
    Typing(Place, bool),
    /// The topic; empty if there is none.
    Topic(RoomName, &'a str),
    Send {
        file: FileId,
        offset: u64,
    },
    Get {
        file: FileId,
        offset: u64,
        size: u64,
        name: &'a str,
    },
    Files(u64),
    Cancel(FileId),
    History {
        room: RoomName,
        count: u64,
    },
    Ignore(Nick),
    /// How many people are ignored.
    Ignoring(u64),
    Unignore(Nick),
    Away,
    Back,
    /// All that is set has been told.
    Settings,
    Set(&'a str, bool),
    /// The token; empty if there was none.
    Ping(&'a str),
    /// The place is kept for so many seconds after a loss, for whoever has the token.
    Keep {
        token: PlaceToken,
        seconds: u64,
    },
    /// The place is taken up, of whoever is called so.
    Resume(Nick),
    Quit,
    Kill(Nick),
    Where(Nick),
    /// So many people were told.
    Wall(u64),
    /// The token is good once.
    Grant(Nick, Token),
    Revoke(Nick),
    Operator(Nick, bool),
    /// So many are operators.
    Operators(u64),
    /// Something is done to somebody in a room: `op`, `kick` and the like.
    OfMember {
        command: &'a str,
        room: RoomName,
        nick: Nick,
    },
    /// So many rows or messages of a room: `op`, `bans`, `erase`.
    Count {
        command: &'a str,
        room: RoomName,
        count: u64,
    },
    Ban {
        mute: bool,
        room: RoomName,
        id: u64,
        who: Whom<'a>,
        /// Whether it is for one connection alone.
        by_connection: bool,
    },
    Unban {
        room: RoomName,
        id: u64,
    },
    /// The rules, or one of them and its value.
    Room {
        room: RoomName,
        rule: Option<(&'a str, &'a str)>,
    },
    /// So many connections were closed of who is blocked: `name:NICK`, or `ADDRESS/LEN`.
    Block {
        id: u64,
        who: &'a str,
        closed: u64,
    },
    Unblock(u64),
    Blocks(u64),
    Server,
    Reload,
    /// So many lines of the page.
    Metrics(u64),
    /// A command that is newer than this program, or a reply that is, and what follows it.
    Other(&'a str, &'a str),
}

/// How it stands with a name.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[allow(missing_docs, reason = "a variant is its word")]
pub enum Standing {
    Free,
    Owned,
    Held,
}

const STANDINGS: [(&str, Standing); 3] =
    [("free", Standing::Free), ("owned", Standing::Owned), ("held", Standing::Held)];

/// Reads a token; `None` if it is none.
pub fn token(text: &str) -> Option<Token> {
    URL_SAFE_NO_PAD.decode(text).ok()?.try_into().ok().map(Token)
}

/// A token as it is written.
pub fn token_text(token: Token) -> String {
    URL_SAFE_NO_PAD.encode(token.0)
}

impl<'a> Done<'a> {
    /// Reads what follows the `+`.
    pub(super) fn parse(mut fields: Fields<'a>) -> Option<Self> {
        let command = fields.word()?;
        Self::known(command, fields).or_else(|| fields.text().map(|rest| Self::Other(command, rest)))
    }

    fn known(command: &'a str, mut fields: Fields<'a>) -> Option<Self> {
        let done = match command {
            "help" => Self::Help,
            "limits" => Self::Limits,
            "pass" => Self::Pass,
            "nick" => Self::Nick(fields.nick()?),
            "register" => Self::Register(fields.nick()?),
            "login" => Self::Login(fields.nick()?),
            "logout" => Self::Logout(fields.nick()?),
            "passwd" => Self::Passwd,
            "token" => match fields.word()? {
                "off" => Self::TokenOff,
                text => Self::Token(token(text)?),
            },
            "drop" => Self::Drop(fields.nick()?),
            "account" => {
                let (nick, word) = (fields.nick()?, fields.word()?);
                Self::Account(nick, STANDINGS.iter().find(|(known, _)| *known == word)?.1)
            }
            "join" => Self::Join { room: fields.room()?, count: fields.number()? },
            "leave" => Self::Leave(fields.room()?),
            "query" => Self::Query(fields.target()?),
            "rooms" => Self::Rooms(fields.number()?),
            "who" => Self::Who { version: fields.number()?, count: fields.number()? },
            "msg" => Self::Msg(fields.target()?),
            "me" => Self::Me,
            "typing" => Self::Typing(fields.target()?, fields.switch()?),
            "topic" => return Some(Self::Topic(fields.room()?, fields.text()?)),
            "send" => Self::Send { file: fields.file()?, offset: fields.number()? },
            "get" => {
                let (file, offset, size) = (fields.file()?, fields.number()?, fields.number()?);
                return Some(Self::Get { file, offset, size, name: fields.some_text()? });
            }
            "files" => Self::Files(fields.number()?),
            "cancel" => Self::Cancel(fields.file()?),
            "history" => Self::History { room: fields.room()?, count: fields.number()? },
            "ignore" => match fields.maybe(Fields::number) {
                Some(count) => Self::Ignoring(count),
                None => Self::Ignore(fields.nick()?),
            },
            "unignore" => Self::Unignore(fields.nick()?),
            "away" => Self::Away,
            "back" => Self::Back,
            "set" if fields.end(()).is_some() => Self::Settings,
            "set" => Self::Set(fields.word()?, fields.switch()?),
            "ping" => return Some(Self::Ping(fields.text()?)),
            "keep" => Self::Keep { token: fields.token()?, seconds: fields.number()? },
            "resume" => Self::Resume(fields.nick()?),
            "quit" => Self::Quit,
            "kill" => Self::Kill(fields.nick()?),
            "where" => Self::Where(fields.nick()?),
            "wall" => Self::Wall(fields.number()?),
            "grant" => Self::Grant(fields.nick()?, token(fields.word()?.strip_prefix(TOKEN)?)?),
            "revoke" => Self::Revoke(fields.nick()?),
            "operator" => match fields.maybe(Fields::number) {
                Some(count) => Self::Operators(count),
                None => Self::Operator(fields.nick()?, fields.switch()?),
            },
            "op" | "bans" | "erase" | "deop" | "voice" | "devoice" | "founder" | "kick" | "invite" | "uninvite" => {
                let room = fields.room()?;
                let counts = matches!(command, "op" | "bans" | "erase");
                match fields.maybe(Fields::number).filter(|_| counts) {
                    Some(count) => Self::Count { command, room, count },
                    None if matches!(command, "bans" | "erase") => return None,
                    None => Self::OfMember { command, room, nick: fields.nick()? },
                }
            }
            "ban" | "mute" => {
                let (room, id, who) = (fields.room()?, fields.number()?, fields.whom()?);
                let by_connection = fields.maybe(|fields| fields.keyword(CONNECTION)).is_some();
                Self::Ban { mute: command == "mute", room, id, who, by_connection }
            }
            "unban" => Self::Unban { room: fields.room()?, id: fields.number()? },
            "room" => {
                let room = fields.room()?;
                match fields.end(()) {
                    Some(()) => Self::Room { room, rule: None },
                    None => Self::Room { room, rule: Some((fields.word()?, fields.word()?)) },
                }
            }
            "block" => Self::Block { id: fields.number()?, who: fields.word()?, closed: fields.number()? },
            "unblock" => Self::Unblock(fields.number()?),
            "blocks" => Self::Blocks(fields.number()?),
            "server" => Self::Server,
            "reload" => Self::Reload,
            "metrics" => Self::Metrics(fields.number()?),
            _ => return None,
        };
        fields.end(done)
    }

    /// The canonical name of the command, without its slash.
    pub fn command(&self) -> &'a str {
        match *self {
            Self::Help => "help",
            Self::Limits => "limits",
            Self::Pass => "pass",
            Self::Nick(_) => "nick",
            Self::Register(_) => "register",
            Self::Login(_) => "login",
            Self::Logout(_) => "logout",
            Self::Passwd => "passwd",
            Self::Token(_) | Self::TokenOff => "token",
            Self::Drop(_) => "drop",
            Self::Account(..) => "account",
            Self::Join { .. } => "join",
            Self::Leave(_) => "leave",
            Self::Query(_) => "query",
            Self::Rooms(_) => "rooms",
            Self::Who { .. } => "who",
            Self::Msg(_) => "msg",
            Self::Me => "me",
            Self::Typing(..) => "typing",
            Self::Topic(..) => "topic",
            Self::Send { .. } => "send",
            Self::Get { .. } => "get",
            Self::Files(_) => "files",
            Self::Cancel(_) => "cancel",
            Self::History { .. } => "history",
            Self::Ignore(_) | Self::Ignoring(_) => "ignore",
            Self::Unignore(_) => "unignore",
            Self::Away => "away",
            Self::Back => "back",
            Self::Settings | Self::Set(..) => "set",
            Self::Ping(_) => "ping",
            Self::Keep { .. } => "keep",
            Self::Resume(_) => "resume",
            Self::Quit => "quit",
            Self::Kill(_) => "kill",
            Self::Where(_) => "where",
            Self::Wall(_) => "wall",
            Self::Grant(..) => "grant",
            Self::Revoke(_) => "revoke",
            Self::Operator(..) | Self::Operators(_) => "operator",
            Self::OfMember { command, .. } | Self::Count { command, .. } => command,
            Self::Ban { mute: false, .. } => "ban",
            Self::Ban { mute: true, .. } => "mute",
            Self::Unban { .. } => "unban",
            Self::Room { .. } => "room",
            Self::Block { .. } => "block",
            Self::Unblock(_) => "unblock",
            Self::Blocks(_) => "blocks",
            Self::Server => "server",
            Self::Reload => "reload",
            Self::Metrics(_) => "metrics",
            Self::Other(command, _) => command,
        }
    }

    /// Writes it without the `+`.
    pub(super) fn write(&self, out: &mut String) {
        out.push_str(self.command());
        let mut word = |word: &dyn fmt::Display| put(out, format_args!(" {word}"));
        match self {
            Self::Nick(nick) | Self::Ignore(nick) | Self::Unignore(nick) | Self::Resume(nick) => word(nick),
            Self::Register(nick) | Self::Login(nick) | Self::Logout(nick) | Self::Drop(nick) => word(nick),
            Self::Kill(nick) | Self::Where(nick) | Self::Revoke(nick) => word(nick),
            Self::Grant(nick, token) => {
                word(nick);
                word(&format_args!("{TOKEN}{}", token_text(*token)));
            }
            Self::Operator(nick, on) => {
                word(nick);
                word(&on_off(*on));
            }
            Self::Token(token) => word(&token_text(*token)),
            Self::TokenOff => word(&"off"),
            Self::Account(nick, standing) => {
                word(nick);
                word(&STANDINGS.iter().find(|(_, known)| known == standing).map_or("", |(word, _)| word));
            }
            Self::Leave(room) => word(room),
            Self::Rooms(count) | Self::Files(count) | Self::Ignoring(count) => word(count),
            Self::Wall(count) | Self::Operators(count) => word(count),
            Self::Unblock(count) | Self::Blocks(count) | Self::Metrics(count) => word(count),
            Self::Cancel(file) => word(file),
            Self::Join { room, count } | Self::History { room, count } => {
                word(room);
                word(count);
            }
            Self::Who { version, count } => {
                word(version);
                word(count);
            }
            Self::Send { file, offset } => {
                word(file);
                word(offset);
            }
            Self::Get { file, offset, size, name } => {
                word(file);
                word(offset);
                word(size);
                word(name);
            }
            Self::Keep { token, seconds } => {
                word(token);
                word(seconds);
            }
            Self::Query(place) | Self::Msg(place) => {
                out.push(' ');
                put_target(out, place);
            }
            Self::Typing(place, on) => {
                out.push(' ');
                put_target(out, place);
                put_text(out, on_off(*on));
            }
            Self::Topic(room, topic) => {
                word(room);
                put_text(out, topic);
            }
            Self::Set(option, on) => {
                word(option);
                put_text(out, on_off(*on));
            }
            Self::OfMember { room, nick, .. } => {
                word(room);
                word(nick);
            }
            Self::Count { room, count, .. } | Self::Unban { room, id: count } => {
                word(room);
                word(count);
            }
            Self::Ban { room, id, who, by_connection, .. } => {
                word(room);
                word(id);
                word(who);
                put_text(out, if *by_connection { CONNECTION } else { "" });
            }
            Self::Block { id, who, closed } => {
                word(id);
                word(who);
                word(closed);
            }
            Self::Room { room, rule } => {
                word(room);
                if let Some((rule, value)) = rule {
                    word(rule);
                    word(value);
                }
            }
            Self::Ping(text) | Self::Other(_, text) => put_text(out, text),
            Self::Help
            | Self::Limits
            | Self::Pass
            | Self::Passwd
            | Self::Me
            | Self::Away
            | Self::Back
            | Self::Settings
            | Self::Server
            | Self::Reload
            | Self::Quit => {}
        }
    }
}

/// Without the `+`.
impl fmt::Display for Done<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = String::new();
        self.write(&mut text);
        f.write_str(&text)
    }
}
