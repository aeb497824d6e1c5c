//! What a client sends.

use std::fmt;

use super::done::token_text;
use super::fields::on_off;
use crate::names::{Digest, FileId, Nick, Place, PlaceToken, RoomName, Token};

/// A line of a client's, without its line end, as far as it can be read without knowing the commands.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ClientLine<'a> {
    /// Said to the current target, if it is not empty. What begins with `=` cannot be said so.
    Said(&'a str),
    /// A command.
    Command {
        /// Its name as it was typed, without the slash.
        name: &'a str,
        /// What follows the name; empty, or with the space before it.
        rest: &'a str,
    },
    /// Bytes for the open upload, as base64.
    Chunk(&'a str),
}

impl<'a> ClientLine<'a> {
    /// Reads a line.
    pub fn parse(line: &'a str) -> Self {
        if let Some(base64) = line.strip_prefix('=') {
            return Self::Chunk(base64);
        }
        match line.strip_prefix('/') {
            None => Self::Said(line),
            // A doubled slash says one.
            Some(text) if text.starts_with('/') => Self::Said(text),
            Some(command) => {
                let (name, rest) = command.split_at(command.find(' ').unwrap_or(command.len()));
                Self::Command { name, rest }
            }
        }
    }
}

impl fmt::Display for ClientLine<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Said(text) if text.starts_with('/') => write!(f, "/{text}"),
            Self::Said(text) => f.write_str(text),
            Self::Command { name, rest } => write!(f, "/{name}{rest}"),
            Self::Chunk(base64) => write!(f, "={base64}"),
        }
    }
}

/// By what somebody proves that a name is theirs.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[allow(missing_docs, reason = "a variant is what it is")]
pub enum Proof<'a> {
    Password(&'a str),
    Token(Token),
}

/// A command as programs send it. People type them in other ways too, which the server's table of commands reads.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[allow(missing_docs, reason = "the variants are the commands, and PROTOCOL.md tells their arguments")]
pub enum Command<'a> {
    Pass(&'a str),
    Nick(Nick),
    Login(Nick, Proof<'a>),
    /// Asks for one.
    Token,
    Join(RoomName),
    Query(Place),
    /// Reads it.
    Topic(RoomName),
    /// Who has a rank there.
    Ranks(RoomName),
    /// About this person, or everybody.
    Who(Option<Nick>),
    Msg(Place, &'a str),
    Typing(Place, bool),
    Send {
        to: Place,
        size: u64,
        digest: Digest,
        name: &'a str,
    },
    Get {
        file: FileId,
        offset: u64,
    },
    Files,
    Limits,
    Cancel(FileId),
    /// COUNT, or `after` SEQ.
    History(RoomName, &'a str),
    Ignore(Nick),
    /// Why, if that is not empty.
    Away(&'a str),
    Set(&'a str, bool),
    Ping(&'a str),
    /// So many lines have come since the place is kept.
    Keep(u64),
    Resume {
        token: PlaceToken,
        lines: u64,
    },
}

impl fmt::Display for Command<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Pass(password) => write!(f, "/pass {password}"),
            Self::Nick(nick) => write!(f, "/nick {nick}"),
            Self::Login(nick, Proof::Password(password)) => write!(f, "/login {nick} {password}"),
            Self::Login(nick, Proof::Token(token)) => write!(f, "/login {nick} token:{}", token_text(*token)),
            Self::Token => f.write_str("/token"),
            Self::Join(room) => write!(f, "/join {room}"),
            Self::Query(place) => write!(f, "/query {place}"),
            Self::Topic(room) => write!(f, "/topic {room}"),
            Self::Ranks(room) => write!(f, "/op {room}"),
            Self::Who(None) => f.write_str("/who"),
            Self::Who(Some(nick)) => write!(f, "/who {nick}"),
            Self::Msg(place, text) => write!(f, "/msg {place} {text}"),
            Self::Typing(place, on) => write!(f, "/typing {place} {}", on_off(*on)),
            Self::Send { to, size, digest, name } => write!(f, "/send {to} {size} {digest} {name}"),
            Self::Get { file, offset } => write!(f, "/get {file} {offset}"),
            Self::Files => f.write_str("/files"),
            Self::Limits => f.write_str("/limits"),
            Self::Cancel(file) => write!(f, "/cancel {file}"),
            Self::History(room, part) => write!(f, "/history {room} {part}"),
            Self::Ignore(nick) => write!(f, "/ignore {nick}"),
            Self::Away("") => f.write_str("/away"),
            Self::Away(text) => write!(f, "/away {text}"),
            Self::Set(option, on) => write!(f, "/set {option} {}", on_off(*on)),
            Self::Ping(token) => write!(f, "/ping {token}"),
            Self::Keep(lines) => write!(f, "/keep {lines}"),
            Self::Resume { token, lines } => write!(f, "/resume {token} {lines}"),
        }
    }
}
