//! The facts that pass between the core and what surrounds it: what happened, what is answered, what is refused, what the
//! disk shall do. How they are encoded is a matter of the dialect.

use std::time::{Duration, SystemTime};

use crate::names::{ConnId, Digest, FileId, FileName, Nick, Place, RoomName, Text};

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
    /// Which one.
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

/// Which request a refusal is of.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
#[allow(missing_docs, reason = "the requests say what each one does")]
pub enum Verb {
    Help,
    Limits,
    Pass,
    Nick,
    Join,
    Leave,
    Query,
    Rooms,
    Who,
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
    Quit,
    /// None of them: it was not understood.
    Unknown,
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
    /// The connection must give the password first.
    Locked,
    /// A line of the message of the day.
    Motd(Text),
    /// Who went and who came since the version before.
    Presence {
        /// Counts up by one a line.
        version: u64,
        /// Names that are gone.
        gone: Vec<String>,
        /// Names that are here.
        came: Vec<String>,
    },
    /// Somebody said something.
    Said {
        place: Place,
        /// Its number among the room's messages; none in private.
        seq: Option<u64>,
        at: SystemTime,
        from: Nick,
        kind: SaidKind,
        text: Text,
    },
    /// Something happened in a conversation.
    Happened { place: Place, at: SystemTime, who: Nick, what: Happening },
    /// A transfer is whole.
    Whole {
        file: FileId,
        /// In bytes.
        size: u64,
        digest: Digest,
    },
    /// A transfer failed.
    Broken { file: FileId, why: Fault },
    /// What is said from now on may be lost with the process.
    NotKept(Trouble),
    /// What the connection sent was no text as the dialect has it, and others see something else instead.
    Garbled,
    /// Somebody else than before is written to under this name.
    NameChangedHands(Nick),
    /// What is said is in the log again before anybody hears it, and so is what was said meanwhile, unless it was too much.
    KeptAgain,
    /// The server closes the connection.
    Bye(Bye),
}

impl Event {
    /// The conversation that it is about, if it is about one.
    pub fn place(&self) -> Option<Place> {
        match self {
            Self::Said { place, .. } | Self::Happened { place, .. } => Some(*place),
            _ => None,
        }
    }
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

/// Why the server closes a connection.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Bye {
    /// No place is left.
    Full,
    /// No place is left, and it has never sent a line.
    MadePlace,
    /// Too many connections from one address.
    TooManyFromAddress,
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
    NotHttp,
    /// It speaks IRC.
    NotIrc,
    /// It speaks no text at all.
    NotText,
}

/// A user's slip, or a thing that cannot be done: one reply, and the connection lives.
#[derive(Clone, PartialEq, Eq, Debug)]
#[allow(missing_docs, reason = "the fields are called what they are")]
pub enum Fault {
    /// There is no such command.
    UnknownCommand(Text),
    /// This request is made with other words.
    Usage(Verb),
    /// Help was asked for about a word that is no command.
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
    Locked,
    /// No name for a person.
    BadNick(Text),
    /// No name for a room.
    BadRoom(Text),
    /// No name for a file.
    BadFileName,
    /// Somebody has this name.
    Taken(Nick),
    /// One does not ignore anybody of this name.
    NotIgnored(Text),
    /// Nobody has this name.
    NoSuchNick(Text),
    /// There is no such room.
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
    /// More bytes than were announced.
    BeyondSize(u64),
    /// A larger file than the server takes.
    TooBig(u64),
    /// An offset behind the end of the file.
    BeyondEnd(u64),
    /// No space is left in the spool.
    NoSpace,
    /// The disk failed to take bytes.
    NotStored,
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
    /// Nobody can ignore themselves.
    IgnoreSelf,
    /// The file is somebody else's.
    NotYours(FileId),
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
}

/// What there may be only so many of.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Quota {
    /// Renames a minute.
    Renames,
    /// Joins and leaves a minute.
    Joins,
    /// Wrong passwords from one network.
    WrongPasswords,
    /// Rooms a person is in.
    RoomsOfPerson,
    /// New rooms a minute from one network.
    NewRooms,
    /// Rooms of the server in memory.
    Rooms,
    /// Rooms of the server in the log.
    Logs,
    /// People whom one ignores.
    Ignored,
    /// Files of one sender.
    Files,
    /// Uploads of all people at once.
    Uploads,
    /// Downloads at once.
    Downloads,
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
    /// The room has not come to this message.
    NotReached(u64),
}

/// A line of detail before the reply that it belongs to.
#[derive(Clone, PartialEq, Eq, Debug)]
#[allow(missing_docs, reason = "the fields are called what they are")]
pub enum Detail {
    /// How every request is made, or this one. The dialect knows.
    Help(Option<Verb>),
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
    Join { room: RoomName, count: usize },
    Leave(RoomName),
    Query(Place),
    Rooms(usize),
    Who { version: u64, count: usize },
    Msg(Place),
    Me,
    Typing { place: Place, on: bool },
    Topic { room: RoomName, topic: Option<Text> },
    Send { id: FileId, offset: u64 },
    Get { id: FileId, offset: u64, size: u64, name: FileName },
    Files(usize),
    Cancel(FileId),
    History { room: RoomName, count: usize },
    Ignore(Nick),
    Ignoring(usize),
    Unignore(Nick),
    Away,
    Back,
    Settings,
    Set(Change),
    Ping(Option<Text>),
    Quit,
}

/// What is to be there after a restart. It goes to the log before anybody is told what it comes from.
#[derive(Clone, PartialEq, Eq, Debug)]
#[allow(missing_docs, reason = "the fields are called what they are")]
pub enum Record {
    /// Somebody said something in a room.
    Said { room: RoomName, line: Logged },
    /// A room is about this now, or about nothing.
    Topic { room: RoomName, topic: Option<Text> },
}

/// A message of a room as the log has it.
#[derive(Clone, PartialEq, Eq, Debug)]
#[allow(missing_docs, reason = "the fields are called what they are")]
pub struct Logged {
    pub seq: u64,
    /// When it was said; the log counts milliseconds.
    pub at: SystemTime,
    pub from: Nick,
    pub kind: SaidKind,
    pub text: Text,
}

/// A room of an earlier process.
#[derive(Clone, PartialEq, Eq, Debug)]
#[allow(missing_docs, reason = "the fields are called what they are")]
pub struct PastRoom {
    pub name: RoomName,
    pub topic: Option<Text>,
    /// The number of its last message, with which it goes on.
    pub last_seq: u64,
    /// Its last messages, oldest first; none of a room that is only known.
    pub lines: Vec<Logged>,
}

/// A room's file of an earlier process.
#[derive(Clone, PartialEq, Eq, Debug)]
#[allow(missing_docs, reason = "the fields are called what they are")]
pub struct PastFile {
    pub id: FileId,
    pub description: Description,
    /// Bytes of it that are on disk.
    pub len: u64,
    /// Its digest, if it is whole.
    pub digest: Option<Digest>,
}

/// What must be known of a room's file so that it outlives the process. It crosses to the disk's thread.
#[derive(Clone, PartialEq, Eq, Debug)]
#[allow(missing_docs, reason = "the fields are called what they are")]
pub struct Description {
    pub room: RoomName,
    pub from: Nick,
    /// In bytes, when it is whole.
    pub size: u64,
    /// When it was announced.
    pub at: SystemTime,
    /// The digest that its sender says it has.
    pub claimed: Option<Digest>,
    pub name: String,
}

/// Something for the disk to do. Each job has exactly one [`Outcome`], in the order of the jobs.
#[derive(Clone, PartialEq, Eq, Debug)]
#[allow(missing_docs, reason = "the fields are called what they are")]
pub enum Job {
    /// Make room for a new file.
    Create(FileId),
    /// See to it that a file is there after a restart, if it is whole then or can be taken up again.
    Describe(FileId, Description),
    /// Add bytes to its end.
    Append(FileId, Vec<u8>),
    /// Nothing follows: work out the digest.
    Finish(FileId),
    /// Read some bytes for a download.
    Read {
        file: FileId,
        /// Where to begin.
        offset: u64,
        /// How many bytes, all of which have been written.
        len: usize,
        /// What they may be read into; what is in it is of no use any more.
        buffer: Vec<u8>,
        /// Who fetches it.
        reader: ConnId,
        /// Which of the reader's downloads it is.
        download: u64,
    },
    /// Forget the file.
    Remove(FileId),
}

/// What came of a [`Job`].
#[derive(Clone, PartialEq, Eq, Debug)]
#[allow(missing_docs, reason = "the fields are called what they are")]
pub enum Outcome {
    /// The file can take bytes, or is gone: nothing follows from it.
    Done,
    /// So many bytes were added.
    Appended(FileId, usize),
    /// All bytes are on disk, with this digest.
    Finished(FileId, Digest),
    /// Bytes for a download.
    Data {
        data: Vec<u8>,
        /// Who fetches it.
        reader: ConnId,
        /// Which of the reader's downloads it is.
        download: u64,
    },
    /// The disk failed to take bytes.
    WriteFailed {
        file: FileId,
        /// How many bytes it was to take.
        bytes: usize,
        /// Whether the disk is full.
        full: bool,
    },
    /// The disk failed to give bytes.
    ReadFailed {
        file: FileId,
        /// How many bytes it was to give.
        len: usize,
        /// Who fetches it.
        reader: ConnId,
        /// Which of the reader's downloads it is.
        download: u64,
    },
}

/// Asks for messages of a room that are in its log. Each query has exactly one [`Found`], in the order of the queries.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Query {
    /// For whom it is; it comes back with what is found.
    pub asker: ConnId,
    /// Tells it from others of the same asker; it comes back too.
    pub serial: u64,
    /// The room, in the spelling of its log.
    pub room: RoomName,
    /// Which of its messages.
    pub section: Section,
    /// How many messages may be found.
    pub lines: usize,
    /// How many bytes they may have. Those of a message are its text and [`limits::HISTORY_HEAD`].
    ///
    /// [`limits::HISTORY_HEAD`]: crate::limits::HISTORY_HEAD
    pub bytes: usize,
}

/// A section of a log.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Section {
    /// The last messages that have numbers below this.
    Before(u64),
    /// The first messages that have numbers above `seq` and below `below`.
    After {
        /// The number before the first one.
        seq: u64,
        /// The number at which it ends.
        below: u64,
    },
}

/// What came of a [`Query`].
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Found {
    /// For whom it is.
    pub asker: ConnId,
    /// Of which query.
    pub serial: u64,
    /// `None` if the log cannot be read, of which the operator has been told.
    pub passage: Option<Passage>,
}

/// What a log has of a section.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Passage {
    /// The messages, by ascending numbers.
    pub lines: Vec<PastLine>,
    /// Whether these are all of the section; otherwise the limits of the query left some out.
    pub is_whole: bool,
}

/// A message of a log, on its way from one thread to another.
#[derive(Clone, PartialEq, Eq, Debug)]
#[allow(missing_docs, reason = "the fields are called what they are")]
pub struct PastLine {
    pub seq: u64,
    pub at: SystemTime,
    /// What its author was called then.
    pub from: Nick,
    pub kind: SaidKind,
    pub text: String,
}

impl From<Logged> for PastLine {
    fn from(line: Logged) -> Self {
        Self { seq: line.seq, at: line.at, from: line.from, kind: line.kind, text: line.text.as_str().to_owned() }
    }
}

impl From<PastLine> for Logged {
    fn from(line: PastLine) -> Self {
        Self { seq: line.seq, at: line.at, from: line.from, kind: line.kind, text: Text::new(&line.text) }
    }
}
