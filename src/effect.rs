//! What the shell shall do for the core, what comes of it, and the way out for all that the core says.

use std::fmt;
use std::time::{Duration, SystemTime};

use crate::event::{Bye, Change, Deed, Detail, Event, Reply, SaidKind, Unstored};
use crate::limits::{DOWNLOADS, ROOMS_A_PERSON};
use crate::names::{ConnId, Digest, FileId, Nick, PlaceToken, RoomName, Text, Wire};
use crate::register::{Author, Entry, PasswordHash};
use crate::settings::Settings;

/// Something for the shell to do.
#[derive(Clone, PartialEq, Eq, Debug)]
#[allow(missing_docs, reason = "the fields are called what they are")]
pub enum Effect {
    /// Have this written down before anybody is told of it.
    Log(Record),
    /// Look this up in the log, with all in it that was to be written down before.
    ReadLog(Query),
    /// Hand this to the disk.
    Disk(Job),
    /// There may be something for `Hub::pump` to do for this connection.
    Pump(ConnId),
    /// Note in the log of the process how whoever is here through this connection is called now.
    NoteNick(ConnId),
    /// Note in the log of the process that a wrong password came from here.
    NoteWrongPassword(ConnId),
    /// Note in the log of the process that a wrong key of this room came from here.
    NoteWrongKey(ConnId, RoomName),
    /// Note in the log of the process that somebody who comes through this connection has not proved to own this name.
    NoteFailedLogin(ConnId, Nick),
    /// Note in the log of the process that these names are nobody's any more, as their owners were not here for too long.
    NoteLapsed(Vec<Nick>),
    /// Note in the log of the process that the time of day is ahead by this of the time that has passed since the start.
    NoteAhead(Duration),
    /// Have a password looked at, which takes some time.
    Password(PasswordTask),
    /// The last request of this connection has been answered: its next lines can be carried out.
    Answered(ConnId),
    /// Have the configuration read anew, which takes some time.
    Reload,
    /// Have these entries written down, all or none of them, and synced. Somebody waits for what comes of it.
    Ledger(Vec<Entry>),
    /// Have these entries written down before anything goes out that was said since, as far as the disk takes them.
    Note(Vec<Entry>),
    /// Whoever is here through this connection was put out of a room: of what it has sent until now and was not carried out, ask
    /// `Hub::is_void` before it is carried out.
    PutOut(ConnId),
    /// An upload of this connection has ended, in whatever way: what it has sent of a chunk that is not whole is for nobody.
    UploadEnded(ConnId),
    /// The answer to this connection's last request can go on: call `Hub::go_on` when others have had their turn and little
    /// enough is pending for it.
    Resume(ConnId),
    /// Keep the place of this connection when it is lost, and reply to it. So many lines of what was written to it have come.
    Keep { conn: ConnId, lines: Option<u64> },
    /// The place of this connection is kept no more, and what takes it up is good for nothing; the connection goes on.
    EndKeeping(ConnId),
    /// Give this connection's transport to the place that is kept for this token, and reply.
    TakeUp { conn: ConnId, token: Option<PlaceToken>, lines: u64 },
    /// Write down what an operator has done by this connection.
    Audit { conn: ConnId, by: Author, deed: Deed },
    /// Tell this connection about these ones, which are somebody's, and reply.
    Where { conn: ConnId, whom: Whereabouts },
    /// Tell this connection the page of metrics, and reply.
    Metrics(ConnId),
    /// The core knows this connection no more: close it when all that is pending for it is written.
    Close {
        conn: ConnId,
        /// Why, if it is to be told so, and what an operator says to that.
        bye: Option<(Bye, Option<Text>)>,
    },
}

/// Through which connections somebody is here.
#[derive(Clone, PartialEq, Eq, Debug)]
#[allow(missing_docs, reason = "the fields are called what they are")]
pub struct Whereabouts {
    pub nick: Nick,
    /// Whether they own their name.
    pub named: bool,
    /// The connections, and whether others can read along on them.
    pub ways: Vec<(ConnId, Wire)>,
}

/// A kind of lines that a connection may miss.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Lines {
    /// Those of a room, and the numbers of the first and the last message among them, if there was one.
    Room(RoomName, Option<(u64, u64)>),
    /// Data of a file.
    File(FileId),
    /// Who came and went.
    Presence,
    /// What others said or did in private.
    Private,
    /// Replies, and news of the server.
    Rest,
}

impl Lines {
    /// Whether both are of one room or file, or of one kind otherwise.
    fn is_like(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Room(name, _), Self::Room(other, _)) => name == other,
            _ => self == other,
        }
    }
}

/// What was written to a connection and is held no more, and of each kind the number of the last line.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct LeftOut(Vec<(Lines, u64)>);

impl LeftOut {
    /// Nobody is in more rooms at once, and it is of no use to anybody to be told of more files so much later.
    const MOST: usize = 2 * ROOMS_A_PERSON + 4 * DOWNLOADS;

    /// Lines were left out, the last of which is this one.
    pub fn add(&mut self, lines: Lines, last: u64) {
        if let Some((known, line)) = self.0.iter_mut().find(|(known, _)| known.is_like(&lines)) {
            *line = last.max(*line);
            if let (Lines::Room(_, known), Lines::Room(_, Some((first, last)))) = (known, lines) {
                let (least, most) = known.unwrap_or((first, last));
                *known = Some((first.min(least), last.max(most)));
            }
            return;
        }
        self.0.push((lines, last));
        if self.0.len() > Self::MOST {
            let (_, line) = self.0.remove(0);
            self.add(Lines::Rest, line);
        }
    }

    /// Adds what the other has.
    pub fn add_all(&mut self, other: Self) {
        other.0.into_iter().for_each(|(lines, last)| self.add(lines, last));
    }

    /// That of which something stood behind so many lines.
    pub fn behind(&self, line: u64) -> Self {
        Self(self.0.iter().filter(|(_, last)| *last > line).copied().collect())
    }

    /// Takes out all of which nothing stood behind so many lines.
    pub fn take_up_to(&mut self, line: u64) -> Self {
        Self(self.0.extract_if(.., |(_, last)| *last <= line).collect())
    }

    /// Tells of no file.
    pub fn forget_files(&mut self) {
        self.0.retain(|(lines, _)| !matches!(lines, Lines::File(_)));
    }

    /// What was left out.
    pub fn lines(&self) -> impl Iterator<Item = Lines> {
        self.0.iter().map(|(lines, _)| *lines)
    }

    /// Whether there was anything like this.
    pub fn has(&self, lines: Lines) -> bool {
        self.lines().any(|known| known.is_like(&lines))
    }

    /// The files of which data was left out.
    pub fn files(&self) -> impl Iterator<Item = FileId> {
        self.lines().filter_map(|lines| if let Lines::File(file) = lines { Some(file) } else { None })
    }
}

/// What is to be there after a restart. It goes to the log before anybody is told what it comes from.
#[derive(Clone, PartialEq, Eq, Debug)]
#[allow(missing_docs, reason = "the fields are called what they are")]
pub enum Record {
    /// Somebody said something in a room.
    Said { room: RoomName, line: Logged },
    /// A room is about this now, or about nothing.
    Topic { room: RoomName, topic: Option<Text> },
    /// Nothing of a room is there any more, and its messages count from 1 again.
    Forgotten { room: RoomName },
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
    /// The owned name that answers for it, if one does.
    pub account: Option<Nick>,
    /// In bytes, when it is whole.
    pub size: u64,
    /// When it was announced.
    pub at: SystemTime,
    /// The digest that its sender says it has.
    pub claimed: Option<Digest>,
    pub name: String,
}

/// Something for the disk to do. Each job has exactly one [`Outcome`]: those that read in their order, and those that change files in
/// theirs.
#[derive(Clone, PartialEq, Eq, Debug)]
#[allow(missing_docs, reason = "the fields are called what they are")]
pub enum Job {
    /// Make room for a new file.
    Create(FileId),
    /// See to it that a file is there after a restart, if it is whole then or can be taken up again.
    Describe(FileId, Box<Description>),
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
        /// What stands in the way.
        why: Unstored,
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

/// A password that is to be looked at. Each has exactly one [`PasswordResult`], in the order of the tasks.
#[derive(Clone, PartialEq, Eq, Debug)]
#[allow(missing_docs, reason = "the fields are called what they are")]
pub enum PasswordTask {
    /// To be kept, as what this salt makes of it.
    Hash { password: Secret, salt: [u8; 16] },
    /// To be compared with what is kept of one.
    Verify { password: Secret, hash: PasswordHash },
}

/// What came of a [`PasswordTask`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum PasswordResult {
    /// This is to be kept of it.
    Hash(PasswordHash),
    /// It is the one.
    Right,
    /// It is another one.
    Wrong,
}

/// What came of entries for the ledger. Each [`Effect::Ledger`] has exactly one, in their order.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Entered {
    /// They are written down, and what is of names is on the disk.
    Written,
    /// None of them is.
    Failed,
}

/// A word that stands in no log.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(pub String);

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret")
    }
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

/// The configuration as it was read for an [`Effect::Reload`].
#[derive(Clone, Debug)]
pub struct Reloaded {
    /// What is set now, as far as it can change while the server runs.
    pub settings: Settings,
    /// The options that are otherwise than at the start, and that only a restart takes.
    pub restart: Vec<&'static str>,
    /// What is odd about it, though it holds.
    pub odd: Option<String>,
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

/// Where the core's facts and effects go. It is the shell's part to encode them, send them and do them.
pub trait Output {
    /// Tells `events` to all of `to`.
    fn publish(&mut self, to: &mut dyn Iterator<Item = ConnId>, events: &[Event]);
    /// Tells `event` to somebody whose own request brought it about, so it waits as replies do.
    fn answer(&mut self, to: ConnId, event: &Event);
    /// Hands bytes of a file, from `offset` on, to `to` who downloads it. They end at a multiple of
    /// [`limits::DOWNLOAD_UNIT`] or with the file, and if they begin in the midst of a unit they do not go beyond it.
    ///
    /// [`limits::DOWNLOAD_UNIT`]: crate::limits::DOWNLOAD_UNIT
    fn data(&mut self, to: ConnId, file: FileId, offset: u64, data: &[u8]);
    /// Hands bytes of a file to `to` once more that were handed on before, and were lost on their way; nothing if they are there no
    /// more.
    fn reread(&mut self, to: ConnId, file: FileId, offset: u64, data: Option<&[u8]>);
    /// A detail of the reply that comes next.
    fn detail(&mut self, to: ConnId, detail: &Detail);
    /// The one reply to a request.
    fn reply(&mut self, to: ConnId, reply: &Reply);
    /// From now on this is so for `to`: the setting is a matter of the connection.
    fn set(&mut self, to: ConnId, change: Change);
    /// Whether so much is pending for all together, and something for `to`, that a long answer must be refused.
    fn is_memory_short_for(&self, to: ConnId) -> bool;
    /// Something is to be done, after what was before it and before what comes after it.
    fn effect(&mut self, effect: Effect);
}
