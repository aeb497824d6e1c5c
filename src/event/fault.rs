//! What is refused, and why.

use std::time::{Duration, SystemTime};

use super::{Lock, Silence, Unstored, Verb};
use crate::names::{BadName, FileId, KeptNick, Nick, RoomName, Text};
use crate::register::entry::{Network, RuleKind};
use crate::settings::Accounts;

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
    /// No nick has this character, or begins with it, as the pattern does.
    InNoNick(char),
    /// This stands where it would become a part of the reason.
    Misplaced { verb: Verb, what: Misplaced, typed: Text },
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
    /// Nobody who is online has this name, as it was typed, but this person may be meant.
    MeantPerson(Text, Nick),
    /// No room in memory has this name, as it was typed.
    NoSuchRoom(Text),
    /// The same, by the operator's door.
    NoSuchRoomByDoor(Text),
    /// There is no such file, which is asked for by that door.
    NoSuchFileByDoor,
    /// One must be in the room for that.
    NotInRoom(RoomName),
    /// They were put out of this room after they had sent that.
    PutOutBefore(RoomName),
    /// There is no current room.
    NoRoom,
    /// The same, by the operator's door, where there never is one.
    NoRoomByDoor,
    /// There is no current target at all.
    NoTarget,
    /// This was said while there was none.
    Unheard(Text),
    /// There is no such file, or it is not for this person.
    NoSuchFile,
    /// The same, told to somebody, where a file is kept for so long.
    NoFileFor { kept: Duration },
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
    /// A command behind a key that means nothing.
    BehindKey,
    /// This stands where a span of time may, and begins as one.
    BadTime(Text),
    /// A text that is a command with a secret, behind a blank.
    Indented,
    /// The same behind the sign that stands before what is typed where it is shown.
    Copied,
    /// A text that is a command with a secret, without its slash.
    Slashless(Verb),
    /// A text that is a token and no more.
    BareToken,
    /// One word that may be the password for which a command before it was refused.
    MaybePassword,
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
    /// An upload ended so, which is told to who fetches the file.
    OfSender(Box<Self>),
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
    /// It can be no password.
    BadPassword(Unfit),
    /// The name has no password yet.
    NoPassword(Nick),
    /// The old password must be given with the new one.
    OldPassword,
    /// Others can read along on this connection; the port at which they cannot, and the one for who comes in through SSH, if there are any.
    Insecure { tls: Option<u16>, clear: Option<u16> },
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
        /// Whether anybody can be.
        can_have: bool,
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
    /// They are banned from the room, until then if it ends.
    Banned { room: RoomName, until: Option<SystemTime>, meant: Meant },
    /// One of the messages that somebody wants to take back is not known to be theirs.
    NotOwn { seq: u64, room: RoomName },
    /// Something may not be done in a room, and these may be asked about it.
    Asking(Box<Self>, Ask),
    /// Something is no command, which is told to an operator, to whom these are known.
    Knowing(Box<Self>, Vec<Verb>),
    /// Guests of this name are banned from a room that they are in.
    NameBanned { nick: Text, room: RoomName },
    /// They are not heard in the room.
    Silent { room: RoomName, why: Silence, meant: Meant },
    /// Only who is invited may come in.
    InviteOnly(RoomName),
    /// They did not give the room's key, but another one or none.
    BadKey { room: RoomName, is_wrong: bool },
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

/// Why something can be no password.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Unfit {
    /// It is too short, too long, or the name itself.
    Plain,
    /// Some of it is no text: whatever else is none would be taken for it.
    Garbled,
    /// It would be taken for a token.
    Token,
}

/// What stands in the wrong place.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Misplaced {
    /// A room.
    Room,
    /// For how long something is to be.
    Time,
    /// Whom of a network it is for.
    Scope,
}

/// Whom somebody may ask about a room in which they may not do something.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Ask {
    /// These ops of it, who are here.
    Here(Vec<Nick>),
    /// These, who are not here.
    Later(Vec<Nick>),
    /// The operator of the server, as it has no op.
    Operator,
    /// Whoever told them of it, as nobody else may know of it.
    Friend,
}

/// Why a ban or a mute is for somebody.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Meant {
    /// They are whom it is for.
    Them,
    /// They may be, as they come from the same network.
    Network,
    /// They are a guest, and called so.
    Called,
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
    /// Of this network is a proxy that is believed, or it is of a network of these.
    Proxy(Network),
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
    MadeSpace,
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
