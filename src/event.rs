//! The facts that go out: what happened, what is answered, what is refused. How they are encoded is a matter of the dialect.

use std::time::{Duration, SystemTime};

use crate::names::{BadName, Digest, FileId, FileName, KeptNick, Nick, Place, PlaceToken, RoomName, Text, Token, Wire};
use crate::register::entry::{Author, BanKind, BlockScope, Blocked, Network, Role, Rule, RuleKind, Who};
use crate::settings::{Accounts, ServerSetting};
use crate::time::Day;

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
    /// An operator tells everybody something.
    Wall { from: Nick, text: Text },
    /// Of what was written to the connection before it was lost, some is held no more that belongs to no room.
    LeftOut,
    /// What the connection sent has an end of lines in it that is none in the dialect.
    Unended,
    /// Somebody else than before is written to under this name.
    NameChangedHands(Nick),
    /// Somebody was invited to a room from which they are banned all the same.
    InvitedInVain { nick: Nick, room: RoomName, ban: u64 },
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

/// Why somebody cannot have a name any more.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Loss {
    /// Its owner has given it up, through another connection.
    GivenUp,
    /// An operator has taken it from its owner.
    Revoked,
    /// An operator has given it to somebody else.
    Granted,
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
    GuestsBlocked,
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
    /// It came by the operator's door, where as many are as there may be.
    ControlsTaken,
    /// It came by the operator's door, and said nothing for [`limits::CONTROL_SILENCE`].
    ///
    /// [`limits::CONTROL_SILENCE`]: crate::limits::CONTROL_SILENCE
    Silent,
}

/// A user's slip, or a thing that cannot be done: one reply, and the connection lives.
#[derive(Clone, PartialEq, Eq, Debug)]
#[allow(missing_docs, reason = "the fields are called what they are")]
pub enum Fault {
    /// This word, as it was typed, is no command.
    UnknownCommand(Text),
    /// This request is made with other words.
    Usage(Verb),
    /// No rule of a room is called so.
    NoSuchRule(Text),
    /// A rule cannot have the value that was given.
    BadValue(RuleKind),
    /// A pattern of names that would fit nearly everybody, or is too long.
    BadPattern,
    /// Help was asked for about this word, which is no command.
    NoHelp(Text),
    /// Something is too long.
    TooLong {
        what: Long,
        /// The most bytes it may have.
        limit: usize,
    },
    /// A quota is used up.
    TooMany(Quota),
    /// The connection is locked.
    Locked(Lock),
    /// This, as it was typed, cannot be the name of a person.
    BadNick(Text, BadName),
    /// This, as it was typed, cannot be the name of a room.
    BadRoom(Text, BadName),
    /// What was typed cannot be the name of a file.
    BadFileName,
    /// Somebody who is online has this name, or one that looks like it.
    Taken { nick: KeptNick, holder: KeptNick },
    /// Somebody owns a name that looks like the one that was to be granted.
    LooksOwned { nick: KeptNick, owned: KeptNick },
    /// One does not ignore anybody of this name.
    NotIgnored(Text),
    /// Nobody who is online has this name, as it was typed.
    NoSuchNick(Text),
    /// Nobody who is online has this name, as it was typed, but this room may be meant.
    MeantRoom(Text, RoomName),
    /// No room in memory has this name, as it was typed.
    NoSuchRoom(Text),
    /// One must be in the room for that.
    NotInRoom(RoomName),
    /// There is no current room.
    NoRoom,
    /// There is no current target at all.
    NoTarget,
    /// This was said while there was none.
    Unheard(Text),
    /// There is no such file, or it is not for this person.
    NoSuchFile,
    /// A chunk, and no upload open.
    NoUpload,
    /// A chunk that is not base64.
    BadChunk,
    /// The digest is malformed.
    MalformedDigest,
    /// The bytes that came have another digest.
    BadDigest,
    /// More came than the bytes that were announced, which were so many.
    BeyondSize(u64),
    /// A larger file than the server takes, which is of so many bytes.
    TooBig(u64),
    /// An offset behind the end of the file, which has so many bytes.
    BeyondEnd(u64),
    /// A text that is nothing but the keys that move the cursor.
    OnlyKeys,
    /// A text that is nothing but the keys that end programs.
    OnlyEnds,
    /// This stands where a span of time may, and begins as one.
    BadTime(Text),
    /// A text that is a command with a secret, behind a blank.
    Indented,
    /// No space is left in the spool.
    NoSpace,
    /// The disk failed to take bytes.
    NotStored(Unstored),
    /// The disk failed to give bytes.
    DiskFailed,
    /// The disk has too much to do.
    DiskBusy,
    /// So much is pending for all connections together that a long answer must not be added.
    MemoryShort,
    /// It is there no more.
    Gone(Gone),
    /// This person is a slow consumer: private lines are refused until it is drained.
    Busy(Nick),
    /// The file is on its way already.
    BusyFile(FileId),
    /// The password is wrong.
    WrongPassword,
    /// It is neither the password nor a token of this name.
    WrongLogin(Nick),
    /// Nobody owns this name.
    NoOwner { nick: Nick, vacancy: Vacancy },
    /// The same, where an operator speaks of the name; somebody may own one that looks like it.
    NameOfNobody { nick: KeptNick, like: Option<KeptNick> },
    /// Somebody else owns this name, in their spelling.
    Owned(Nick),
    /// The same, where nobody can log in.
    OwnedForGood(Nick),
    /// This name was somebody's not long ago.
    Held(Nick),
    /// Something is being written down by which the owner of this name loses it, or what they are proved by.
    NameBusy(Nick),
    /// One must own a name for that, and not this one, which one has without owning it.
    NoAccount { nick: Nick, owning: Owning },
    /// One owns this name already.
    OwnedAlready(Nick),
    /// What is given to those who have not chosen a name can be nobody's.
    GuestName(Nick),
    /// It is no password: too short, too long, or the name itself.
    BadPassword,
    /// The name has no password yet.
    NoPassword(Nick),
    /// The old password must be given with the new one.
    OldPassword,
    /// Others can read along on this connection.
    Insecure,
    /// The configuration cannot be read anew, for this reason, and stays as it was.
    BadConfig(Text),
    /// Nobody owns names here, as nothing outlives the process.
    KeepsNothing,
    /// Nobody owns names here, as the operator does not want it.
    AccountsOff,
    /// Only the operator makes names.
    AccountsClosed,
    /// Too many passwords are being looked at.
    PasswordsBusy,
    /// Nobody can ignore themselves.
    IgnoreSelf,
    /// The file is somebody else's.
    NotYours(FileId),
    /// Only an op of the room may do that.
    NotOp {
        room: RoomName,
        /// Whether anybody is.
        has_ops: bool,
    },
    /// Only the founder of the room may do that.
    NotFounder {
        room: RoomName,
        /// Whether they are an op at least.
        is_op: bool,
        /// Whether anybody is the founder.
        has_founder: bool,
    },
    /// Somebody is the founder of the room, to whom nobody can do that.
    IsFounder(Nick),
    /// Somebody is an op of the room by their name: that must be taken first.
    IsOp { nick: Text, room: RoomName },
    /// Nobody can put themselves out.
    PutOutSelf(RoomName),
    /// An operator cannot do that to themselves.
    OperatorSelf,
    /// It takes somebody who is online, and nobody is where this came from.
    NobodyHere,
    /// Somebody owns no name, and so cannot found a room.
    OwnsNoName { nick: Nick, owning: Owning },
    /// Somebody is not in the room.
    NotThere { nick: Text, room: RoomName },
    /// They are banned from the room, until then if it ends; or somebody else from where they come from is.
    Banned { room: RoomName, until: Option<SystemTime>, by_network: bool },
    /// Guests of this name are banned from a room that they are in.
    NameBanned { nick: Text, room: RoomName },
    /// They are not heard in the room.
    Silent { room: RoomName, why: Silence },
    /// Only who is invited may come in.
    InviteOnly(RoomName),
    /// They did not give the room's key.
    BadKey(RoomName),
    /// As many people are in the room as it takes.
    RoomFull { room: RoomName, limit: u64 },
    /// Guests may not come into the room.
    NoGuests { room: RoomName, owning: Owning },
    /// Guests may not make rooms.
    GuestsMakeNoRooms(Owning),
    /// There is no ban of this number.
    NoSuchBan { id: u64, room: RoomName },
    /// Those who own no name may not come from where one is, and so one stays who one is.
    GuestsBlocked,
    /// The owner of this name may not come to the server.
    NameBlocked(Nick),
    /// This can be no block.
    NoBlock(NoBlock),
    /// There is no block of this number.
    NoSuchBlock(u64),
    /// The system gives no random bits for a token.
    NoToken,
    /// No place is kept for this token.
    NoPlace,
    /// Whose own place is kept takes up no other.
    KeptItself,
    /// The place was an owner's where nobody could read along, and others can here.
    InsecurePlace,
    /// The place is a guest's, and guests may not come from where one is.
    PlaceOfGuest,
    /// So many lines are said to have come, but fewer were written: this many.
    NotWritten(u64),
}

/// How somebody who owns no name can come to own one, where they are.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Owning {
    /// They register the name that they have.
    Register,
    /// They choose a name first, as theirs is for guests, and register that.
    Choose,
    /// They ask the operator, who alone gives names away.
    Ask,
    /// Not at all.
    Never,
}

impl Owning {
    /// How whoever has this name can.
    pub fn of(nick: &Nick, accounts: Accounts) -> Self {
        match accounts {
            Accounts::Off => Self::Never,
            Accounts::Closed => Self::Ask,
            Accounts::Open if nick.guest_numbers().is_empty() => Self::Register,
            Accounts::Open => Self::Choose,
        }
    }
}

/// Whether a name that nobody owns can be had.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Vacancy {
    /// Whoever asks can take it and register it.
    Free,
    /// It was somebody's not long ago.
    Held,
    /// Not by whoever asks, from where they are.
    Closed,
}

/// Why somebody cannot be blocked.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum NoBlock {
    /// This network is of the server's own machine, or it is in it.
    Loopback(Network),
    /// This guest comes from the server's own machine, or through a proxy there that names nobody.
    Local(Nick),
    /// It would shut out whoever asks for it.
    Own,
    /// So many strangers may be in a network of this length; of its kind, these are the fewest bits that one may have.
    TooWide {
        /// The fewest bits.
        least: u8,
    },
    /// Whoever has this name owns it, and so is no guest.
    Owner(Nick),
}

/// What can be too long.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Long {
    /// All that a request stands in.
    Line,
    /// What a room is about.
    Topic,
    /// What somebody says while away.
    Away,
    /// Why somebody is put out, banned or muted.
    Reason,
}

/// What there may be only so many of.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Quota {
    /// Renames in a minute, of one person or of all from their network.
    Renames,
    /// Joins and leaves in a minute, of one person or of all from their network.
    Joins,
    /// Wrong passwords and tokens from one network in [`limits::WRONG_PASSWORDS_WINDOW`].
    ///
    /// [`limits::WRONG_PASSWORDS_WINDOW`]: crate::limits::WRONG_PASSWORDS_WINDOW
    WrongPasswords,
    /// Names registered from one network in a day.
    Registrations,
    /// Names registered in [`limits::REGISTRATIONS_WINDOW`].
    ///
    /// [`limits::REGISTRATIONS_WINDOW`]: crate::limits::REGISTRATIONS_WINDOW
    RegistrationsInAll,
    /// Names that have owners.
    Names,
    /// Rooms a person is in.
    RoomsOfPerson,
    /// Connections through which a person is here.
    Ways,
    /// New rooms a minute from one network.
    NewRooms,
    /// Rooms that one network made and that are still there.
    RoomsOfNetwork,
    /// Rooms of the server in memory.
    Rooms,
    /// Rooms of the server in the log.
    Logs,
    /// People whom one ignores.
    Ignored,
    /// Files of one sender.
    Files,
    /// Files of all who come from one network.
    FilesOfNetwork,
    /// Uploads at once of all who come from one network.
    UploadsOfNetwork,
    /// Uploads of all people at once.
    Uploads,
    /// Downloads at once.
    Downloads,
    /// Ops of a room.
    Ops,
    /// Voices of a room.
    Voices,
    /// People who are invited to a room.
    Invited,
    /// Bans and mutes of a room.
    Bans,
    /// Rooms of which somebody is the founder.
    Founded,
    /// Rooms that somebody else founded, who is to be the founder of one more.
    FoundedBy(Nick),
    /// Invitations in a minute, of one person or of all from their network.
    Invitations,
    /// Wrong keys in a minute, of one person or of all from their network.
    WrongKeys,
    /// Stretches of messages that were taken out of a room.
    Erased,
    /// Blocks of the server.
    Blocks,
    /// Rules, roles, bans and invitations of all rooms.
    Rules,
    /// The same of rooms that nobody owns.
    RulesOfGuests,
    /// The same that one account, or the guests of one network, added today.
    RulesOfDay,
    /// Owners of names who are operators.
    Operators,
}

/// Why something is there no more.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Gone {
    /// Its sender withdrew it.
    Withdrawn,
    /// It made room for newer files.
    Evicted,
    /// Its time was over.
    Expired,
    /// Its sender fell silent or left.
    BrokenOff,
    /// All places for uploads were taken, and it was the slowest.
    Slowest,
    /// The sender began another upload.
    Superseded,
    /// The one whom it was for has left.
    ReceiverLeft,
    /// Whoever fetches it may do so no more.
    NoLongerYours,
    /// An op of its room took it away.
    Removed,
    /// They were put out of its room.
    PutOut,
    /// It is there no more, or what came of it is held no more, so that its rest would be of no use.
    NotHeld,
    /// The room has not come to the message that was asked for; its last one has this number.
    NotReached(u64),
}

/// A line of detail before the reply that it belongs to.
#[derive(Clone, PartialEq, Eq, Debug)]
#[allow(missing_docs, reason = "the fields are called what they are")]
pub enum Detail {
    /// How this request is made. The dialect knows.
    Help(Verb),
    /// How these requests are made, which are all that somebody may use now.
    Commands(Vec<Verb>),
    /// The server's limits and their values. The dialect adds those of its own.
    Limits(Vec<(Limit, u64)>),
    /// The topic of the room that was joined.
    Topic(Text),
    /// Some who are in it.
    Here(Vec<Nick>),
    /// A room.
    Room { name: RoomName, count: usize, topic: Option<Text> },
    /// A person.
    Who {
        nick: Nick,
        /// What they are doing.
        activity: Activity,
        /// How long since they last said, sent or set something.
        idle: Duration,
        rooms: Vec<RoomName>,
    },
    /// A message from a room's history.
    Line { seq: u64, at: SystemTime, from: Nick, kind: SaidKind, text: Text },
    /// A file.
    File {
        id: FileId,
        /// In bytes.
        size: u64,
        /// Who sent it.
        sender: Nick,
        place: Place,
        /// How long ago it was announced.
        age: Duration,
        /// Whether bytes are still to come.
        coming: bool,
        name: FileName,
    },
    /// Somebody who is ignored.
    Ignored(Nick),
    /// A setting.
    Setting(Change),
    /// A room in which one is now, and the number of its last message.
    In { room: RoomName, last: u64 },
    /// Since when a name has been its owner's, and when they were last here.
    Name { since: Day, seen: Day },
    /// How many tokens one has.
    Tokens(usize),
    /// The rooms of which one is the founder.
    Founder(Vec<RoomName>),
    /// How many connections one has.
    Ways(usize),
    /// Somebody who has a rank in a room.
    Ranked { rank: Rank, nick: Nick },
    /// A ban or a mute.
    Ban {
        id: u64,
        kind: BanKind,
        who: Who,
        by: Author,
        /// When it ends, if it does.
        until: Option<SystemTime>,
        reason: Text,
    },
    /// Somebody who may not come.
    Block {
        id: u64,
        scope: BlockScope,
        who: Blocked,
        /// When it ends, if it does.
        until: Option<SystemTime>,
        reason: Text,
    },
    /// What the operator may change of the server.
    Server(ServerSetting),
    /// An option that has changed and that only a restart takes.
    Restart(&'static str),
    /// A line of the page of metrics.
    Metric(Text),
    /// A rule of a room.
    Rule(Shown),
    /// The rules of the room that was joined.
    Rules(Vec<RuleKind>),
    /// So many lines were carried out or refused since the place is kept.
    Had(u64),
    /// An upload that goes on, of which so many bytes have come.
    Upload { id: FileId, offset: u64 },
    /// Somebody who is an operator.
    Operator(Nick),
    /// One of somebody's connections.
    Way {
        nick: Nick,
        /// Where it comes from.
        address: Text,
        wire: Wire,
        since: SystemTime,
        /// Whether they own their name.
        named: bool,
    },
}

/// A limit of the server's, as people may know it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Limit {
    /// Lines a second; 0 is none.
    Rate,
    /// Lines at once.
    Burst,
    /// Renames a minute; 0 is none.
    Renames,
    /// Joins and leaves a minute; 0 is none.
    Joins,
    /// Rooms that one may be in.
    RoomsOfPerson,
    /// Rooms there may be.
    Rooms,
    /// Bytes of a topic or an away text.
    Topic,
    /// People whom one may ignore.
    Ignored,
    /// Messages that a room remembers.
    History,
    /// Messages that are given at once.
    HistoryLines,
    /// Bytes of messages that are given at once.
    HistoryBytes,
    /// Bytes of the log of a room; 0 is none.
    Log,
    /// Bytes of a file.
    File,
    /// Bytes of all files.
    Spool,
    /// Seconds for which a file is kept.
    FileTtl,
    /// Files that one may have shared at once.
    FilesOfSender,
    /// Files there may be.
    Files,
    /// Uploads under way of all people at once.
    Uploads,
    /// Files that one may fetch at once.
    Downloads,
    /// Seconds for which an upload may pause.
    UploadSilence,
    /// Seconds for which an upload that broke off may be taken up again.
    Resume,
    /// Seconds for which somebody who has said so is typing.
    Typing,
    /// Bytes pending for somebody beyond which they are a slow consumer, and room lines are left out.
    SlowConsumer,
    /// Seconds for which one may take too little of what is pending.
    Stall,
    /// Seconds for which one may take to give the password.
    Locked,
    /// Connections in all.
    Clients,
    /// Connections from one address prefix.
    ClientsOfAddress,
    /// New rooms a minute from one network; 0 is none.
    NewRooms,
    /// Rooms that may have a log; 0 is none.
    Logs,
    /// Wrong passwords and tokens from one network in [`limits::WRONG_PASSWORDS_WINDOW`].
    ///
    /// [`limits::WRONG_PASSWORDS_WINDOW`]: crate::limits::WRONG_PASSWORDS_WINDOW
    Tries,
    /// Names registered from one network in a day; 0 is none.
    Registrations,
    /// Names registered in [`limits::REGISTRATIONS_WINDOW`]; 0 is none.
    ///
    /// [`limits::REGISTRATIONS_WINDOW`]: crate::limits::REGISTRATIONS_WINDOW
    RegistrationsInAll,
    /// Names that may have owners; 0 is none.
    Names,
    /// Seconds after which a name is its owner's no more who does not come; 0 is never.
    NameTtl,
    /// Tokens that a name may have.
    Tokens,
    /// Seconds after its last use for which a token is good.
    TokenGood,
    /// Ops of a room.
    Ops,
    /// Voices of a room.
    Voices,
    /// People who are invited to a room.
    Invited,
    /// Bans and mutes of a room.
    Bans,
    /// Rooms of which one may be the founder.
    Founded,
    /// Blocks of the server.
    Blocks,
    /// Connections a minute from one network; 0 is none.
    Connects,
    /// Rules, roles, bans and invitations that one account, or the guests of one network, may add to rooms in a day.
    Rules,
    /// Invitations a minute; 0 is none.
    Invitations,
    /// Wrong keys a minute; 0 is none.
    WrongKeys,
    /// Seconds for which a place is kept whose connection was lost.
    Keep,
}

/// What a person is doing, as far as somebody else may know.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Activity {
    /// Here.
    Here,
    /// Typing to the one who asks.
    Typing,
    /// Away, saying this.
    Away(Option<Text>),
}

/// How it stands with a name.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Standing {
    /// It is nobody's.
    Free,
    /// It is somebody's.
    Owned,
    /// It was somebody's not long ago, and can be nobody's yet.
    Held,
}

/// The one reply that every request gets.
#[derive(Clone, PartialEq, Eq, Debug)]
#[allow(missing_docs, reason = "the fields are called what they are")]
pub enum Reply {
    /// It is done.
    Done(Done),
    /// It is refused.
    Refused { verb: Verb, why: Fault },
}

/// What was done, a variant a command.
#[derive(Clone, PartialEq, Eq, Debug)]
#[allow(missing_docs, reason = "the commands table says what each one does")]
pub enum Done {
    Help,
    Limits,
    Pass,
    Nick(Nick),
    Register(Nick),
    Login(Nick),
    Logout(Nick),
    Passwd,
    /// A new token, or all of them have ended.
    Token(Option<Token>),
    Drop(Nick),
    Account {
        nick: Nick,
        standing: Standing,
    },
    Join {
        room: RoomName,
        count: usize,
    },
    Leave(RoomName),
    Query(Place),
    Rooms(usize),
    Who {
        version: u64,
        count: usize,
    },
    Msg(Place),
    Me,
    Typing {
        place: Place,
        on: bool,
    },
    Topic {
        room: RoomName,
        topic: Option<Text>,
    },
    Send {
        id: FileId,
        offset: u64,
    },
    Get {
        id: FileId,
        offset: u64,
        size: u64,
        name: FileName,
    },
    Files(usize),
    Cancel(FileId),
    History {
        room: RoomName,
        count: usize,
    },
    Ignore(Nick),
    Ignoring(usize),
    Unignore(Nick),
    Away,
    Back,
    Settings,
    Set(Change),
    Ping(Option<Text>),
    Keep {
        token: PlaceToken,
        time: Duration,
    },
    Resume(Nick),
    Quit,
    Kill(Nick),
    Where(Nick),
    /// So many people were told.
    Wall(usize),
    Grant {
        nick: Nick,
        /// What is good once.
        token: Token,
    },
    Revoke(Nick),
    Operator {
        nick: Nick,
        on: bool,
    },
    /// So many are operators.
    Operators(usize),
    /// Somebody has another rank, or none: the request says which.
    Ranked {
        verb: Verb,
        room: RoomName,
        nick: Nick,
    },
    Ranks {
        room: RoomName,
        count: usize,
    },
    Founder {
        room: RoomName,
        nick: Nick,
    },
    Kick {
        room: RoomName,
        nick: Nick,
    },
    Ban {
        kind: BanKind,
        room: RoomName,
        id: u64,
        who: Who,
        /// Whether it is for this one connection, as nothing is known of where it comes from.
        by_connection: bool,
    },
    Unban {
        room: RoomName,
        id: u64,
    },
    Bans {
        room: RoomName,
        count: usize,
    },
    Invite {
        room: RoomName,
        nick: Nick,
    },
    Uninvite {
        room: RoomName,
        nick: Nick,
    },
    /// The rules, or one of them.
    Room {
        room: RoomName,
        rule: Option<Shown>,
    },
    Erase {
        room: RoomName,
        count: u64,
    },
    Block {
        id: u64,
        who: Blocked,
        /// How many connections were closed.
        closed: usize,
    },
    Unblock(u64),
    Blocks(usize),
    Server,
    Reload,
    /// The page of metrics has so many lines.
    Metrics(usize),
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
