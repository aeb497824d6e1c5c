//! What the ledger has: each entry is a change of what is owned, of what rooms have for rules, or of who is blocked.

use std::time::SystemTime;

use crate::names::{Digest, Nick, RoomName, Text};
use crate::time::Day;

/// One change. The last word on a thing wins.
#[derive(Clone, PartialEq, Eq, Debug)]
#[allow(missing_docs, reason = "the fields are called what they are")]
pub enum Entry {
    /// A name has had an owner since this day, and this is their password, if they have one. Of a name that has an owner nothing
    /// else changes.
    Name { nick: Nick, since: Day, password: Option<PasswordHash> },
    /// A token of a name, which was made or used last on this day.
    Token { nick: Nick, used: Day, digest: Digest },
    /// A name has no token any more, not one that is good once either.
    Untoken(Nick),
    /// A token that is good once, until then.
    Once { nick: Nick, until: SystemTime, digest: Digest },
    /// The owner was here on this day.
    Seen { nick: Nick, day: Day },
    /// A name was given up or has expired on this day. All that it had goes with it: roles, invitations, tokens, bans.
    Drop { nick: Nick, day: Day },
    /// Whether the owner of a name is an operator.
    Operator { nick: Nick, on: bool },
    /// Whose a room is.
    Room { room: RoomName, founder: Founder },
    /// What a name is in a room; `None` is nothing any more.
    Role { room: RoomName, nick: Nick, role: Option<Role> },
    /// A rule of a room.
    Rule { room: RoomName, rule: Rule },
    /// Somebody may not come into a room, or not be heard there.
    Ban { room: RoomName, ban: Ban },
    /// A ban holds no more.
    Unban { room: RoomName, id: u64 },
    /// Whether a name is invited to a room.
    Invite { room: RoomName, nick: Nick, on: bool },
    /// Messages of a room that are shown to nobody, from one number to another.
    Erase { room: RoomName, first: u64, last: u64 },
    /// Somebody may not come to the server.
    Block(Block),
    /// A block holds no more.
    Unblock(u64),
}

/// A password as it is kept: what argon2id made of it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct PasswordHash {
    /// KiB of memory that it took.
    pub memory: u32,
    /// How often that was gone over.
    pub passes: u32,
    /// What was mixed in, so that the same password of two people has two hashes.
    pub salt: [u8; 16],
    /// What came of it.
    pub hash: [u8; 32],
}

/// Whose a room is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Founder {
    /// The owner of this name.
    Owner(Nick),
    /// Nobody any more: it had a founder.
    Gone,
    /// Nobody: a guest made it.
    Guest,
}

/// What a name is in a room besides its founder.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[allow(missing_docs, reason = "a variant is its word")]
pub enum Role {
    Op,
    Voice,
}

/// A rule of a room, and its value.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Rule {
    /// For those who are not in it, the room is not there.
    Hidden(bool),
    /// Only who is invited may join.
    InviteOnly(bool),
    /// Whoever joins must know this word.
    Key(Option<Text>),
    /// So many people may be in it at most.
    Limit(Option<u64>),
    /// What people may do who own no name.
    Guests(Guests),
    /// Only voices and ops speak.
    Moderated(bool),
    /// People who are not in the room may speak to it.
    Outside(bool),
    /// Only ops set the topic.
    TopicLocked(bool),
    /// A person may say something once in so many seconds.
    Slow(Option<u64>),
    /// People see what was said before they came.
    Past(bool),
}

/// What people may do in a room who own no name.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[allow(missing_docs, reason = "a variant is its word")]
pub enum Guests {
    Speak,
    Listen,
    Out,
}

/// A ban or a mute.
#[derive(Clone, PartialEq, Eq, Debug)]
#[allow(missing_docs, reason = "the fields are called what they are")]
pub struct Ban {
    /// Counts up in a room.
    pub id: u64,
    pub kind: BanKind,
    pub who: Who,
    /// Where a guest came from; who else comes from there is meant too.
    pub network: Option<Network>,
    /// When it ends, if it does.
    pub until: Option<SystemTime>,
    pub by: Author,
    /// Empty if none was given.
    pub reason: Text,
}

/// What somebody may not do who is banned.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[allow(missing_docs, reason = "a variant is its word")]
pub enum BanKind {
    Ban,
    Mute,
}

/// Whom a ban is for.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Who {
    /// The owner of this name.
    Name(Nick),
    /// A guest who was called so.
    Guest(Nick),
    /// Guests whose names fit: a `*` stands for anything.
    Pattern(Text),
}

/// Who did something.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Author {
    /// Somebody, as they were called.
    Person(Nick),
    /// Whoever runs the server, from outside the chat.
    Server,
}

/// Somebody who may not come to the server.
#[derive(Clone, PartialEq, Eq, Debug)]
#[allow(missing_docs, reason = "the fields are called what they are")]
pub struct Block {
    /// Counts up.
    pub id: u64,
    pub scope: BlockScope,
    pub who: Blocked,
    /// When it ends, if it does.
    pub until: Option<SystemTime>,
    pub by: Author,
    /// Empty if none was given.
    pub reason: Text,
}

/// Which of those whom a block is for may not come.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[allow(missing_docs, reason = "a variant is its word")]
pub enum BlockScope {
    Guests,
    All,
}

/// Whom a block is for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Blocked {
    /// The owner of this name.
    Name(Nick),
    /// Whoever comes from there.
    Network(Network),
}

/// All addresses that begin with the same bits.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[allow(missing_docs, reason = "the fields are called what they are")]
pub enum Network {
    V4 {
        octets: [u8; 4],
        /// How many bits they have in common.
        len: u8,
    },
    V6 {
        octets: [u8; 16],
        len: u8,
    },
}
