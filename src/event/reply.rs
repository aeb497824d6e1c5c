//! What requests are answered: the one reply, and the details that come before it.

use std::time::{Duration, SystemTime};

use super::{Change, Fault, Rank, SaidKind, Shown, Verb};
use crate::names::{FileId, FileName, Nick, Place, PlaceToken, RoomName, Text, Token, Wire};
use crate::register::entry::{Author, BanKind, BlockScope, Blocked, RuleKind, Who};
use crate::settings::ServerSetting;
use crate::time::Day;

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
    /// How many places of connections that are lost are kept for one.
    Kept(usize),
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
    /// The same where it was a WebSocket.
    KeepWeb,
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
