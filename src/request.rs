//! The requests that come in: what somebody wants, with every word read, whatever the dialect that they spelled it in.

use std::time::Duration;

use crate::event::{Change, Fault, SaidKind, Verb};
use crate::names::{BadName, Digest, FileId, Nick, PlaceToken, RoomName, Text, Token};
use crate::register::entry::{BanKind, BlockScope, Network, Role, Rule, RuleKind};
use crate::settings::ServerSetting;

/// What somebody asks of the core. It names things as they were typed; the core looks them up.
#[derive(Clone, PartialEq, Debug)]
#[allow(missing_docs, reason = "a variant is a command, and the commands table says what each one does")]
pub enum Request<'a> {
    /// All commands, or this one, which was typed so. The dialect knows them.
    Help(Option<(Verb, &'a str)>),
    Limits,
    Pass(&'a str),
    Nick(Named<'a, Nick>),
    Register(&'a str),
    Login {
        nick: Named<'a, Nick>,
        credential: Credential<'a>,
    },
    Logout,
    Passwd {
        old: Option<&'a str>,
        new: &'a str,
    },
    /// To be given a new token, or to have none any more.
    Token(Wanted),
    Drop(&'a str),
    /// How it stands with this name, or one's own.
    Account(Option<Named<'a, Nick>>),
    Join {
        room: Named<'a, RoomName>,
        key: Option<&'a str>,
    },
    Leave {
        room: Option<Named<'a, RoomName>>,
        reason: Option<&'a str>,
    },
    Query(Target<'a>),
    Rooms,
    Who(Option<Target<'a>>),
    /// Said to the current target.
    Say {
        kind: SaidKind,
        text: &'a str,
    },
    Msg {
        target: Target<'a>,
        kind: SaidKind,
        text: &'a str,
    },
    Typing {
        target: Option<Target<'a>>,
        on: bool,
    },
    Topic {
        room: Option<Named<'a, RoomName>>,
        topic: Topic<'a>,
    },
    /// Who has a rank in a room.
    Ranks(Option<Named<'a, RoomName>>),
    /// To give somebody this role, or to take it.
    Role {
        room: Option<Named<'a, RoomName>>,
        nick: Named<'a, Nick>,
        role: Role,
        on: bool,
    },
    Founder {
        room: Option<Named<'a, RoomName>>,
        nick: Named<'a, Nick>,
    },
    Kick {
        room: Option<Named<'a, RoomName>>,
        nick: Named<'a, Nick>,
        reason: Option<&'a str>,
    },
    Ban {
        room: Option<Named<'a, RoomName>>,
        kind: BanKind,
        whom: Whom<'a>,
        /// For how long; nothing is for good, and `None` for as long as is usual.
        time: Option<Duration>,
        reason: Option<&'a str>,
    },
    Unban {
        room: Option<Named<'a, RoomName>>,
        id: u64,
    },
    Bans(Option<Named<'a, RoomName>>),
    Invite {
        room: Option<Named<'a, RoomName>>,
        nick: Named<'a, Nick>,
        on: bool,
    },
    Room {
        room: Option<Named<'a, RoomName>>,
        part: RulesPart,
    },
    Erase {
        room: Option<Named<'a, RoomName>>,
        first: u64,
        last: u64,
    },
    Block {
        whom: Barred<'a>,
        scope: BlockScope,
        /// For how long; nothing is for good, as is `None`.
        time: Option<Duration>,
        reason: Option<&'a str>,
    },
    Unblock(u64),
    Blocks,
    /// What the operator may change of the server, or a change of it.
    Server(Option<ServerSetting>),
    /// Read the configuration anew.
    Reload,
    /// The page of metrics.
    Metrics,
    Send(Offer<'a>),
    /// Bytes for the open upload. What comes while there is none need not be decoded and may stand here as nothing.
    Chunk(Result<Vec<u8>, BadChunk>),
    Get {
        id: FileId,
        offset: u64,
    },
    Files(Option<Target<'a>>),
    Cancel(FileId),
    History {
        room: Option<Named<'a, RoomName>>,
        part: HistoryPart,
    },
    /// Whom one ignores, or somebody more.
    Ignore(Option<Named<'a, Nick>>),
    Unignore(Named<'a, Nick>),
    Away(Option<&'a str>),
    Back,
    /// What one has set, or a change of it.
    Set(Option<Change>),
    Ping(Option<&'a str>),
    /// Keep the place of this connection when it is lost; so many lines of what was written to it have come.
    Keep(Option<u64>),
    /// Take up a place that is kept, of which so many lines have come; there is no token if it is none.
    Resume {
        token: Option<PlaceToken>,
        lines: u64,
    },
    Quit(Option<&'a str>),
    /// To put somebody out.
    Kill {
        nick: Named<'a, Nick>,
        reason: Option<&'a str>,
    },
    /// Where somebody comes from.
    Where(Named<'a, Nick>),
    /// To tell everybody something.
    Wall(&'a str),
    /// To give somebody a name, or the owner of one a new beginning.
    Grant(Named<'a, Nick>),
    /// To take a name from its owner.
    Revoke(Named<'a, Nick>),
    /// Who is an operator, or whether somebody shall be one.
    Operator(Option<(Named<'a, Nick>, bool)>),
    /// One of those that are for operators, and its name as it was typed: to others it is unknown.
    OfOperators {
        typed: &'a str,
        request: Box<Self>,
    },
    /// The dialect made no sense of it. It is a request all the same: it is refused in its order, and a `Send` of which
    /// nothing can be made still ends the upload before it.
    Malformed {
        verb: Verb,
        why: Fault,
    },
}

impl Request<'_> {
    /// What a refusal of it names.
    pub fn verb(&self) -> Verb {
        match self {
            Self::Help(_) => Verb::Help,
            Self::Limits => Verb::Limits,
            Self::Pass(_) => Verb::Pass,
            Self::Nick(_) => Verb::Nick,
            Self::Register(_) => Verb::Register,
            Self::Login { .. } => Verb::Login,
            Self::Logout => Verb::Logout,
            Self::Passwd { .. } => Verb::Passwd,
            Self::Token(_) => Verb::Token,
            Self::Drop(_) => Verb::Drop,
            Self::Account(_) => Verb::Account,
            Self::Join { .. } => Verb::Join,
            Self::Leave { .. } => Verb::Leave,
            Self::Query(_) => Verb::Query,
            Self::Rooms => Verb::Rooms,
            Self::Who(_) => Verb::Who,
            Self::Say { kind: SaidKind::Text, .. } => Verb::Say,
            Self::Say { kind: SaidKind::Action, .. } => Verb::Me,
            Self::Msg { .. } => Verb::Msg,
            Self::Typing { .. } => Verb::Typing,
            Self::Topic { .. } => Verb::Topic,
            Self::Ranks(_) | Self::Role { role: Role::Op, on: true, .. } => Verb::Op,
            Self::Role { role: Role::Op, on: false, .. } => Verb::Deop,
            Self::Role { role: Role::Voice, on: true, .. } => Verb::Voice,
            Self::Role { role: Role::Voice, on: false, .. } => Verb::Devoice,
            Self::Founder { .. } => Verb::Founder,
            Self::Kick { .. } => Verb::Kick,
            Self::Ban { kind: BanKind::Ban, .. } => Verb::Ban,
            Self::Ban { kind: BanKind::Mute, .. } => Verb::Mute,
            Self::Unban { .. } => Verb::Unban,
            Self::Bans(_) => Verb::Bans,
            Self::Invite { on: true, .. } => Verb::Invite,
            Self::Invite { on: false, .. } => Verb::Uninvite,
            Self::Room { .. } => Verb::Room,
            Self::Erase { .. } => Verb::Erase,
            Self::Block { .. } => Verb::Block,
            Self::Unblock(_) => Verb::Unblock,
            Self::Blocks => Verb::Blocks,
            Self::Server(_) => Verb::Server,
            Self::Reload => Verb::Reload,
            Self::Metrics => Verb::Metrics,
            Self::Send(_) => Verb::Send,
            Self::Chunk(_) => Verb::Chunk,
            Self::Get { .. } => Verb::Get,
            Self::Files(_) => Verb::Files,
            Self::Cancel(_) => Verb::Cancel,
            Self::History { .. } => Verb::History,
            Self::Ignore(_) => Verb::Ignore,
            Self::Unignore(_) => Verb::Unignore,
            Self::Away(_) => Verb::Away,
            Self::Back => Verb::Back,
            Self::Set(_) => Verb::Set,
            Self::Ping(_) => Verb::Ping,
            Self::Keep(_) => Verb::Keep,
            Self::Resume { .. } => Verb::Resume,
            Self::Quit(_) => Verb::Quit,
            Self::Kill { .. } => Verb::Kill,
            Self::Where(_) => Verb::Where,
            Self::Wall(_) => Verb::Wall,
            Self::Grant(_) => Verb::Grant,
            Self::Revoke(_) => Verb::Revoke,
            Self::Operator(_) => Verb::Operator,
            Self::OfOperators { request, .. } => request.verb(),
            Self::Malformed { verb, .. } => *verb,
        }
    }

    /// Whether it shows that somebody is there: what people say, send or do does, and what programs ask of their own accord, or set
    /// for a connection when it begins, does not.
    pub fn is_of_person(&self) -> bool {
        match self {
            Self::Nick(_)
            | Self::Register(_)
            | Self::Login { .. }
            | Self::Logout
            | Self::Passwd { .. }
            | Self::Drop(_)
            | Self::Join { .. }
            | Self::Leave { .. }
            | Self::Say { .. }
            | Self::Msg { .. }
            | Self::Typing { on: true, .. }
            | Self::Topic { topic: Topic::Set(_) | Topic::Clear, .. }
            | Self::Role { .. }
            | Self::Founder { .. }
            | Self::Kick { .. }
            | Self::Ban { .. }
            | Self::Unban { .. }
            | Self::Invite { .. }
            | Self::Room { part: RulesPart::Set(_), .. }
            | Self::Erase { .. }
            | Self::Block { .. }
            | Self::Unblock(_)
            | Self::Server(Some(_))
            | Self::Reload
            | Self::Send(_)
            | Self::Cancel(_)
            | Self::Ignore(Some(_))
            | Self::Unignore(_)
            | Self::Away(_)
            | Self::Back
            | Self::Kill { .. }
            | Self::Wall(_)
            | Self::Grant(_)
            | Self::Revoke(_)
            | Self::Operator(Some(_)) => true,
            Self::OfOperators { request, .. } => request.is_of_person(),
            Self::Help(_)
            | Self::Limits
            | Self::Pass(_)
            | Self::Token(_)
            | Self::Account(_)
            | Self::Query(_)
            | Self::Rooms
            | Self::Who(_)
            | Self::Typing { on: false, .. }
            | Self::Topic { topic: Topic::Read, .. }
            | Self::Ranks(_)
            | Self::Bans(_)
            | Self::Blocks
            | Self::Server(None)
            | Self::Metrics
            | Self::Room { part: RulesPart::All | RulesPart::One(_), .. }
            | Self::Chunk(_)
            | Self::Get { .. }
            | Self::Files(_)
            | Self::History { .. }
            | Self::Ignore(None)
            | Self::Set(_)
            | Self::Ping(_)
            | Self::Keep(_)
            | Self::Resume { .. }
            | Self::Quit(_)
            | Self::Where(_)
            | Self::Operator(None)
            | Self::Malformed { .. } => false,
        }
    }

    /// Whether the answer may have as many lines as there are people, rooms, messages, files, bans or blocks.
    pub fn has_long_answer(&self) -> bool {
        match self {
            Self::OfOperators { request, .. } => request.has_long_answer(),
            Self::Who(_) | Self::Rooms | Self::History { .. } | Self::Files(_) | Self::Bans(_) | Self::Blocks => true,
            _ => false,
        }
    }

    /// Where something is to be said, done or seen, as far as that takes somebody who is in a room.
    pub fn addressed(&self) -> Addressed {
        let of_name = |room: &Named<'_, RoomName>| room.name.map_or(Addressed::Elsewhere, Addressed::Room);
        let of_target = |target: &Target<'_>| match target {
            Target::Room(room) => of_name(room),
            Target::Person(_) => Addressed::Elsewhere,
        };
        match self {
            Self::Join { room, .. } => of_name(room),
            Self::Query(target)
            | Self::Msg { target, .. }
            | Self::Files(Some(target))
            | Self::Send(Offer { target, .. }) => of_target(target),
            Self::Typing { target, .. } => target.as_ref().map_or(Addressed::Current, of_target),
            Self::Say { .. } => Addressed::Current,
            Self::Leave { room, .. }
            | Self::Topic { room, .. }
            | Self::History { room, .. }
            | Self::Ranks(room)
            | Self::Role { room, .. }
            | Self::Founder { room, .. }
            | Self::Kick { room, .. }
            | Self::Ban { room, .. }
            | Self::Unban { room, .. }
            | Self::Bans(room)
            | Self::Invite { room, .. }
            | Self::Room { room, .. }
            | Self::Erase { room, .. } => room.as_ref().map_or(Addressed::Current, of_name),
            Self::Help(_)
            | Self::Limits
            | Self::Pass(_)
            | Self::Nick(_)
            | Self::Register(_)
            | Self::Login { .. }
            | Self::Logout
            | Self::Passwd { .. }
            | Self::Token(_)
            | Self::Drop(_)
            | Self::Account(_)
            | Self::Rooms
            | Self::Who(_)
            | Self::Block { .. }
            | Self::Unblock(_)
            | Self::Blocks
            | Self::Server(_)
            | Self::Reload
            | Self::Metrics
            | Self::Chunk(_)
            | Self::Get { .. }
            | Self::Files(None)
            | Self::Cancel(_)
            | Self::Ignore(_)
            | Self::Unignore(_)
            | Self::Away(_)
            | Self::Back
            | Self::Set(_)
            | Self::Ping(_)
            | Self::Keep(_)
            | Self::Resume { .. }
            | Self::Quit(_)
            | Self::Kill { .. }
            | Self::Where(_)
            | Self::Wall(_)
            | Self::Grant(_)
            | Self::Revoke(_)
            | Self::Operator(_)
            | Self::OfOperators { .. }
            | Self::Malformed { .. } => Addressed::Elsewhere,
        }
    }
}

/// Where something is to be done.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Addressed {
    /// In this room.
    Room(RoomName),
    /// Wherever the current target is.
    Current,
    /// In no room.
    Elsewhere,
}

/// A name as somebody typed it, and what it is if it is one at all. A refusal shows it as it was typed. Who takes a name
/// that nobody has is held to more, see [`Nick::allowed`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Named<'a, N> {
    /// As it was typed, for refusals.
    pub typed: &'a str,
    /// Or why nothing can have this name.
    pub name: Result<N, BadName>,
}

/// By what somebody proves to own a name.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Credential<'a> {
    /// By its password.
    Password(&'a str),
    /// By a token of it; `None` if it cannot be one.
    Token(Option<Token>),
}

/// What is wanted of the tokens of a name.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Wanted {
    /// One more.
    New,
    /// None of them any more.
    Off,
}

/// A conversation that somebody means: a room, or a person.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Target<'a> {
    /// What is said there is heard by all who are in it.
    Room(Named<'a, RoomName>),
    /// What is said to them is heard by nobody else.
    Person(Named<'a, Nick>),
}

/// For whom a ban is to be.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Whom<'a> {
    /// Whoever is called so: the owner of the name, or a guest.
    Nick(Named<'a, Nick>),
    /// Guests whose names fit.
    Pattern(Text),
}

/// For whom a block is to be.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Barred<'a> {
    /// Whoever is called so: the owner of the name, or where a guest comes from.
    Nick(Named<'a, Nick>),
    /// Whoever comes from there.
    Network(Network),
}

/// What is wanted of the rules of a room.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum RulesPart {
    /// To be told all.
    All,
    /// To be told one.
    One(RuleKind),
    /// That one is this from now on.
    Set(Rule),
}

/// What is wanted of the topic of a room.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Topic<'a> {
    /// To be told it.
    Read,
    /// To be this from now on.
    Set(&'a str),
    /// To be none.
    Clear,
}

/// A file that somebody wants to share.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Offer<'a> {
    /// With whom.
    pub target: Target<'a>,
    /// In bytes.
    pub size: u64,
    /// The digest that it has, if its sender says so.
    pub digest: Option<Digest>,
    /// What it is called.
    pub name: &'a str,
}

/// Why a chunk has no bytes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum BadChunk {
    /// It cannot be decoded.
    Malformed,
    /// It was too long to be kept.
    TooLong,
}

/// Which part of a room's history is wanted.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum HistoryPart {
    /// The last messages: this many, or as many as usual.
    Last(Option<u64>),
    /// The first messages after this number.
    After(u64),
}
