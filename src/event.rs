//! The facts that go out: what happened, what is answered, what is refused. How they are encoded is a matter of the dialect.

mod fault;
mod reply;

use std::time::{Duration, SystemTime};

use crate::names::{Digest, FileId, FileName, KeptNick, Nick, Place, RoomName, Text};
use crate::register::entry::{BanKind, BlockScope, Blocked, Role, Rule, RuleKind, Who};
use crate::settings::ServerSetting;

pub use fault::{Ask, Fault, Gone, Long, Meant, Misplaced, NoBlock, Owning, Quota, Unfit, Vacancy};
pub use reply::{Activity, Detail, Done, Limit, Reply, Standing};

/// What people set for themselves.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Setting {
    /// Whether one's own messages come back.
    Echo,
    /// Whether lines carry sequence number and time.
    Stamp,
    /// Whether presence is told.
    Presence,
    /// Whether it is told who is typing.
    Typing,
    /// Whether only whole lines count, so that the end of input in the midst of one loses it.
    Whole,
}

/// A setting and what it is changed to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Change {
    /// What is changed, by `/set` or what a dialect has for it.
    pub setting: Setting,
    /// Whether it is on from now on.
    pub on: bool,
}

/// How something is said.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum SaidKind {
    /// As plain words.
    Text,
    /// As what the speaker does, told in the third person.
    Action,
}

macro_rules! verbs {
    ($($(#[$about:meta])* $verb:ident,)+) => {
        /// Which request a refusal is of.
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
        #[allow(missing_docs, reason = "the requests say what each one does")]
        pub enum Verb {
            $($(#[$about])* $verb,)+
        }

        impl Verb {
            /// Every one.
            pub const ALL: &[Self] = &[$(Self::$verb),+];
        }
    };
}

verbs! {
    Help,
    Limits,
    Pass,
    Nick,
    Register,
    Login,
    Logout,
    Passwd,
    Token,
    Drop,
    Account,
    Join,
    Leave,
    Query,
    Rooms,
    Who,
    Op,
    Deop,
    Voice,
    Devoice,
    Founder,
    Kick,
    Ban,
    Mute,
    Unban,
    Bans,
    Invite,
    Uninvite,
    Room,
    Erase,
    Say,
    Msg,
    Me,
    Typing,
    Topic,
    Send,
    Chunk,
    Get,
    Files,
    Cancel,
    History,
    Ignore,
    Unignore,
    Away,
    Back,
    Set,
    Ping,
    Kill,
    Where,
    Wall,
    Grant,
    Revoke,
    Operator,
    Block,
    Unblock,
    Blocks,
    Server,
    Reload,
    Metrics,
    Keep,
    Resume,
    Quit,
    /// None of them: it was not understood.
    Unknown,
}

impl Verb {
    /// Whether it is for operators alone. To others it is unknown.
    pub fn is_of_operators(self) -> bool {
        use Verb::{Block, Blocks, Grant, Kill, Metrics, Operator, Reload, Revoke, Server, Unblock, Wall, Where};
        let is_block = matches!(self, Block | Unblock | Blocks);
        is_block || matches!(self, Kill | Where | Wall | Grant | Revoke | Operator | Server | Metrics | Reload)
    }
}

/// Something that one or many are told.
#[derive(Clone, PartialEq, Eq, Debug)]
#[allow(missing_docs, reason = "the fields are called what they are")]
pub enum Event {
    /// The connection is let in under this name.
    Hello {
        nick: Nick,
        /// People online, itself included.
        online: usize,
        /// What the operator calls the server.
        server: Option<Text>,
    },
    /// The connection must prove something first.
    Locked(Lock),
    /// A line of the message of the day.
    Motd(Text),
    /// Who went and who came since the version before.
    Presence {
        /// Counts up by one a line.
        version: u64,
        /// Names that are gone.
        gone: Vec<KeptNick>,
        /// Names that are here.
        came: Vec<KeptNick>,
    },
    /// Somebody said something.
    Said {
        place: Place,
        /// Its number among the room's messages, from 1; none in private.
        seq: Option<u64>,
        /// When the server took it in.
        at: SystemTime,
        from: Nick,
        kind: SaidKind,
        text: Text,
    },
    /// Something happened in a conversation.
    Happened { place: Place, at: SystemTime, who: Nick, what: Happening },
    /// A transfer is whole: to the sender when the disk has all of it, to who fetches it behind the last byte.
    Whole {
        file: FileId,
        /// In bytes.
        size: u64,
        digest: Digest,
    },
    /// A transfer failed, for one of those who take part in it. What it had comes no further.
    Broken { file: FileId, why: Fault },
    /// What is said, or decided, from now on may be lost with the process.
    NotKept(Kept, Trouble),
    /// What the connection sent was no text as the dialect has it, and others see something else instead.
    Garbled,
    /// One is called so now, as one can have the old name no longer.
    NameLost { nick: Nick, old: Nick, why: Loss },
    /// One asks about one's own name, this one, which has no password.
    NoPassword(Nick),
    /// One is an operator from now on, or none any more.
    Operating(bool),
    /// An operator tells everybody something.
    Wall { from: Nick, text: Text },
    /// Of what was for the connection, some is held no more that belongs to no room: what others said or did in private, or replies and
    /// news of the server.
    LeftOut { private: bool },
    /// What the connection sent has an end of lines in it that is none in the dialect.
    Unended,
    /// The connection sent keys among its text that do nothing there, and others see something else instead.
    Keyed,
    /// What the connection said to others is this command but for its slash.
    Slashless(Verb),
    /// Somebody else than before is written to under this name.
    NameChangedHands(Nick),
    /// Somebody was invited to a room from which they are banned all the same.
    InvitedInVain { nick: Nick, room: RoomName, ban: u64 },
    /// One gives up a name that one owns, and cannot log in to have it again.
    NoWayBack(Nick),
    /// A download was stopped, and the request that did it takes this file away from everybody if it is made once more.
    MayWithdraw(FileId),
    /// Somebody is kept out, or from being heard, until then if it ends, which is not what was so before.
    Lasts {
        barred: Barring,
        until: Option<SystemTime>,
        /// How it was before, if it was otherwise: for guests alone, and until when.
        was: Option<(bool, Option<SystemTime>)>,
    },
    /// What was read anew holds, and this is odd about it.
    Odd(Text),
    /// With this rule, which guests alone have set in a room of their own, the room is forgotten when it is empty; whether anybody who owns
    /// a name could keep it.
    GoesWhenEmpty { room: RoomName, rule: RuleKind, owning: bool },
    /// Who has just kept something of a room from others owns their name, and is op there only for as long as they stay.
    RankGoes { room: RoomName, nick: Nick },
    /// What is said is in the log again before anybody hears it, and so is what was said meanwhile, unless it was too much; or all that
    /// was decided is written down.
    KeptAgain(Kept),
    /// The log of this room alone cannot be kept, or is kept again.
    Keeping(Keeping),
    /// The server closes the connection.
    Bye(Bye),
    /// An operator has it closed, and says why.
    Expelled { bye: Bye, reason: Text },
}

impl Event {
    /// The conversation that it is about, if it is about one.
    pub fn place(&self) -> Option<&Place> {
        match self {
            Self::Said { place, .. } | Self::Happened { place, .. } => Some(place),
            _ => None,
        }
    }
}

/// How somebody is kept out, or from being heard.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Barring {
    /// In a room.
    Ban(BanKind, RoomName, Who),
    /// On the server.
    Block(BlockScope, Blocked),
}

/// Why somebody cannot have a name any more.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Loss {
    /// Its owner has given it up, through another connection.
    GivenUp,
    /// An operator has taken it from its owner.
    Revoked,
    /// An operator has given this one to somebody else, which it is or looks like.
    Granted(Nick),
}

/// How it stands with the log of one room, where nothing is wrong with the disk.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Keeping {
    /// Which room.
    pub room: RoomName,
    /// Whether what is said there is written down.
    pub kept: bool,
}

/// What a disk in trouble does not keep.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kept {
    /// What is said.
    History,
    /// What is so of rooms, and who may not come.
    Rules,
}

/// Why the log of the rooms cannot be kept.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Trouble {
    /// The disk is full.
    Full,
    /// The disk fails.
    Failed,
    /// The disk takes longer than people are made to wait.
    Slow,
}

/// Why the bytes of a file could not be stored.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Unstored {
    /// The disk is full.
    Full,
    /// There are no descriptors left, of this process or of the machine.
    Descriptors,
    /// The server may not write there.
    Denied,
    /// The disk fails.
    Failed,
}

/// What happened in a conversation.
#[derive(Clone, PartialEq, Eq, Debug)]
#[allow(missing_docs, reason = "the fields are called what they are")]
pub enum Happening {
    /// Came into the room.
    Joined,
    /// Left the room, for this reason.
    Left(Option<Text>),
    /// Has a new name.
    Renamed(Nick),
    /// Went away from the server, for this reason.
    Quit(Option<Text>),
    /// The connection broke or was closed.
    Lost(Lost),
    /// Set the room's topic, or cleared it.
    Topic(Option<Text>),
    /// Is typing.
    Typing,
    /// Is typing no more.
    Idle,
    /// Shares a file.
    File {
        id: FileId,
        /// In bytes.
        size: u64,
        name: FileName,
    },
    /// A file is there no more.
    Unfile { id: FileId, why: Fault },
    /// Messages or events were left out for a slow consumer.
    Missed {
        /// How many messages.
        count: u64,
        /// The last number before them.
        after: u64,
    },
    /// Is away and may not answer.
    Away(Option<Text>),
    /// Gave somebody a rank in the room, or took theirs.
    Made { nick: Nick, rank: Option<Rank> },
    /// Put somebody out of the room, for this reason.
    Kicked { nick: Nick, reason: Option<Text> },
    /// Saw to it that somebody may not come in, or not be heard.
    Banned {
        kind: BanKind,
        who: Who,
        /// For so long; `None` is for good.
        time: Option<Duration>,
        reason: Option<Text>,
    },
    /// Ended a ban or a mute.
    Unbanned { kind: BanKind, who: Who },
    /// Set a rule of the room.
    Set(Shown),
    /// Invites the hearer to a room.
    Invite(RoomName),
    /// Took messages of the room back: those of these numbers, and all between them, are to be shown no more.
    Erased { first: u64, last: u64 },
    /// Went without having had what was said to them in private since their connection was lost.
    Unreached,
}

/// A rule as somebody may be shown it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Shown {
    /// As it is.
    Rule(Rule),
    /// The room has a key, which is not for everybody.
    SomeKey,
}

/// What somebody is in a room. Each may do what those before it may.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
#[allow(missing_docs, reason = "a variant is its word")]
pub enum Rank {
    Voice,
    Op,
    Founder,
}

/// Why somebody is not heard in a room.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[allow(missing_docs, reason = "the fields are called what they are")]
pub enum Silence {
    /// They are muted, until then if it ends.
    Muted(Option<SystemTime>),
    /// Only voices and ops are.
    Moderated,
    /// Only people are who own their names.
    Guests(Owning),
    /// They were not long ago.
    Slow {
        /// How often one may be, in seconds.
        every: u32,
        /// How many seconds it is until they may be again, the last one begun.
        left: u32,
    },
}

/// Why somebody is gone who did not say goodbye.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Lost {
    /// The connection was reset.
    Reset,
    /// Nothing was heard of the peer any more.
    Timeout,
    /// The server closed it.
    Closed(Bye),
}

/// Why a connection is let in only when it has proved something.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Lock {
    /// The server has a password.
    Password,
    /// Only who owns a name comes in now, or comes in from there.
    Guests,
    /// The same, where nobody can log in.
    Everybody,
}

/// Why the server closes a connection.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Bye {
    /// No place is left.
    Full,
    /// No place is left, and it has never sent a line.
    MadePlace,
    /// As many connections as may come from its network are there already.
    TooManyFromAddress,
    /// As many connections as may be made in a minute were made from its network.
    TooOften,
    /// Nobody may come from its network, or by its name.
    Blocked,
    /// The operator does not want guests from their network, and they are one.
    GuestsBlocked {
        /// Whether passwords are taken where others can read along.
        in_clear: bool,
    },
    /// It took too little of what was pending for it, for the time of a stall.
    TooSlow,
    /// It did not give the password in [`limits::LOCKED`].
    ///
    /// [`limits::LOCKED`]: crate::limits::LOCKED
    Idle,
    /// The server ends.
    Shutdown,
    /// Too many wrong passwords.
    WrongPasswords,
    /// It speaks HTTP.
    NotHttp {
        /// The port where browsers find a page, if there is one.
        web: Option<u16>,
    },
    /// It speaks IRC.
    NotIrc,
    /// It speaks no text at all.
    NotText {
        /// The port where TLS is spoken, which may be what it wants, if there is one.
        tls: Option<u16>,
    },
    /// It speaks in clear where only TLS is spoken.
    NeedsTls,
    /// It speaks another protocol of text lines.
    NotChat,
    /// It began with a PROXY header, where none is taken.
    NotProxied,
    /// An operator put out whoever was there.
    Killed,
    /// An operator had a new token made for the name, and whoever has that is its owner.
    Granted,
    /// What it proved to be the owner of a name by is good no more: the password is another, or the tokens are ended.
    Unproved,
    /// It came by the operator's door, where as many are as there may be.
    ControlsTaken,
    /// It came by the operator's door, and said nothing for [`limits::CONTROL_SILENCE`].
    ///
    /// [`limits::CONTROL_SILENCE`]: crate::limits::CONTROL_SILENCE
    Silent,
}

/// What an operator has done that changes something, as the audit log has it. No secret is in it.
#[derive(Clone, PartialEq, Eq, Debug)]
#[allow(missing_docs, reason = "the commands table says what each one does")]
pub enum Deed {
    Kill {
        nick: Nick,
        reason: Option<Text>,
    },
    Wall(Text),
    Grant(Nick),
    Revoke(Nick),
    Operator {
        nick: Nick,
        on: bool,
    },
    Block {
        id: u64,
        scope: BlockScope,
        who: Blocked,
        until: Option<SystemTime>,
        reason: Text,
    },
    Unblock {
        id: u64,
        who: Blocked,
    },
    Server(ServerSetting),
    Reload,
    Cancel(FileId),
    /// What was to be done could not be.
    NotDone(Box<Self>),
    /// A role is given in a room, or taken away.
    Role {
        room: RoomName,
        nick: Nick,
        role: Role,
        on: bool,
    },
    /// What people see in a room.
    InRoom(RoomName, Happening),
}
