//! The rooms' logs: what is said is written down before anybody hears it.
//!
//! A thread of its own writes, so that a disk which hangs holds nobody up for longer than [`limits::LOG_WAIT`]. After that,
//! lines go out ahead of the log, people are told so, and nothing waits any more until the log is in time again.

mod format;
mod logs;

use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use log::{error, info, warn};
use mio::Waker;

pub use format::{Reading, parse, read, spell};
pub use logs::{Logs, load};

use crate::event::{Record, Trouble};
use crate::limits::{self, Logging};
use crate::names::RoomName;

/// What is to be written of one room, in this order.
#[derive(Debug, Default)]
struct Work {
    /// Whether all that there was of it goes first.
    forgotten: bool,
    topic: Option<Option<String>>,
    lines: String,
}

/// What has been written and not synced since.
#[derive(Debug, Default)]
struct Unsynced {
    /// By where they are in memory, as a room has two when its log was cut.
    files: BTreeMap<usize, Arc<File>>,
    /// Whether there were more files than are kept open, so that the whole file system must be synced.
    others: bool,
}

impl Unsynced {
    fn add(&mut self, file: Arc<File>) {
        self.files.insert(Arc::as_ptr(&file).addr(), file);
        if self.files.len() > limits::LOGS_OPEN {
            self.files.clear();
            self.others = true;
        }
    }

    fn is_empty(&self) -> bool {
        self.files.is_empty() && !self.others
    }

    /// Waits until all of it, and what was created or renamed in `folder`, is on the disk.
    fn sync(&self, folder: &Path) -> io::Result<()> {
        let folder = File::open(folder)?;
        if self.others {
            return Ok(rustix::fs::syncfs(folder)?);
        }
        self.files.values().try_for_each(|file| file.sync_data())?;
        folder.sync_all()
    }
}

/// What is to be written of all rooms.
#[derive(Debug, Default)]
struct Batch {
    rooms: BTreeMap<RoomName, Work>,
    bytes: usize,
}

impl Batch {
    fn add(&mut self, record: &Record) {
        match record {
            Record::Said { room, line } => {
                let lines = &mut self.rooms.entry(*room).or_default().lines;
                let before = lines.len();
                spell(lines, line);
                self.bytes += lines.len() - before;
            }
            Record::Topic { room, topic } => {
                self.rooms.entry(*room).or_default().topic = Some(topic.as_ref().map(ToString::to_string));
            }
            Record::Forgotten(room) => {
                let forgotten = Work { forgotten: true, ..Work::default() };
                let work = self.rooms.insert(*room, forgotten).unwrap_or_default();
                self.bytes -= work.lines.len();
            }
        }
    }

    fn leave_lines_out(&mut self) {
        self.bytes = 0;
        self.rooms.values_mut().for_each(|work| work.lines.clear());
        self.rooms.retain(|_, work| work.forgotten || work.topic.is_some());
    }

    /// Puts what came later behind what is here.
    fn append(&mut self, later: Self) {
        for (room, later) in later.rooms {
            let work = self.rooms.entry(room).or_default();
            if later.forgotten {
                self.bytes -= work.lines.len();
                *work = Work { forgotten: true, ..Work::default() };
            }
            if later.topic.is_some() {
                work.topic = later.topic;
            }
            work.lines.push_str(&later.lines);
            self.bytes += later.lines.len();
        }
    }
}

enum Message {
    Write(Batch),
    /// What came of a sync, and what is to be synced again.
    Synced(io::Result<()>, Unsynced),
    /// Write what there is, once, and end.
    End,
}

/// How it stands, after each try to write.
#[derive(Clone, Copy, Debug)]
struct Report {
    /// Batches taken so far.
    taken: u64,
    /// Bytes of them that are not written.
    waiting: usize,
    /// What stands in the way.
    failing: Option<Trouble>,
    /// How long the try took.
    took: Duration,
}

/// The way to the thread that writes. What is still to be written is written when this goes.
#[derive(Debug)]
pub struct Journal {
    messages: Sender<Message>,
    reports: Receiver<Report>,
    thread: Option<JoinHandle<()>>,
    /// Whether the loop does not wait for reports, and so must be woken for them.
    ahead: Arc<AtomicBool>,
    /// Batches handed over.
    given: u64,
    /// Batches that the thread has reported on, and bytes handed over since its last report.
    taken: u64,
    /// Bytes that are not written, as far as is known.
    waiting: usize,
    trouble: Option<Trouble>,
    /// When it was last late or failed.
    bad: Instant,
    /// Whether it has been in time since then.
    in_time: bool,
}

impl Journal {
    /// Begins to log in `folder`. The loop is woken through `waker` when something becomes known that it does not wait for.
    pub fn start(folder: PathBuf, logging: Logging, waker: Arc<Waker>) -> io::Result<Self> {
        let (messages, inbox) = channel();
        let (outbox, reports) = channel();
        let ahead = Arc::new(AtomicBool::new(false));
        let (syncing, to_sync) = channel::<Unsynced>();
        let answers = messages.clone();
        let synced_folder = folder.clone();
        let syncer = thread::Builder::new().name("log-sync".into()).spawn(move || {
            for unsynced in to_sync {
                let result = unsynced.sync(&synced_folder);
                let again = if result.is_ok() { Unsynced::default() } else { unsynced };
                if answers.send(Message::Synced(result, again)).is_err() {
                    break;
                }
            }
        })?;
        let writer = Writer {
            logs: Logs::new(folder.clone(), logging.max),
            folder,
            every: logging.sync,
            waiting: Batch::default(),
            taken: 0,
            unsynced: Unsynced::default(),
            syncing: Some(syncing),
            syncer: Some(syncer),
            last_sync: Instant::now(),
            in_sync: false,
            cannot_sync: None,
            complaint: None,
            reports: outbox,
            ahead: Arc::clone(&ahead),
            waker,
        };
        let thread = thread::Builder::new().name("log".into()).spawn(move || writer.run(&inbox))?;
        Ok(Self {
            messages,
            reports,
            thread: Some(thread),
            ahead,
            given: 0,
            taken: 0,
            waiting: 0,
            trouble: None,
            bad: Instant::now(),
            in_time: true,
        })
    }

    /// Writes `records` down, in their order. It returns when that is done, after [`limits::LOG_WAIT`] if it takes longer,
    /// and at once while the log is in trouble. Beyond [`limits::LOG_WAITING`] it leaves them out.
    pub fn write(&mut self, records: &[Record]) {
        self.hear();
        let mut batch = Batch::default();
        records.iter().for_each(|record| batch.add(record));
        if self.waiting + batch.bytes > limits::LOG_WAITING {
            batch.leave_lines_out();
        }
        if batch.rooms.is_empty() {
            return;
        }
        self.waiting += batch.bytes;
        if self.messages.send(Message::Write(batch)).is_err() {
            return self.set_bad(Trouble::Failed);
        }
        self.given += 1;
        let deadline = Instant::now() + limits::LOG_WAIT;
        while self.trouble.is_none() && self.taken < self.given {
            match self.reports.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
                Ok(report) => self.note(report),
                Err(RecvTimeoutError::Timeout) => self.set_bad(Trouble::Slow),
                Err(RecvTimeoutError::Disconnected) => self.set_bad(Trouble::Failed),
            }
        }
        // What came between the last look and the sign that nobody waits any more woke nobody.
        self.hear();
    }

    /// Why the log is not being kept, if it is not. This is to be asked again when the loop is woken, and at
    /// [`Journal::next_look`].
    pub fn trouble(&mut self) -> Option<Trouble> {
        self.hear();
        if self.trouble.is_some() && self.is_well() && self.bad.elapsed() >= limits::LOG_STEADY {
            info!("history is being kept again");
            self.trouble = None;
            self.ahead.store(false, Ordering::SeqCst);
        }
        self.trouble
    }

    /// In how long the trouble will be over, if nothing happens.
    pub fn next_look(&self) -> Option<Duration> {
        let left = limits::LOG_STEADY.saturating_sub(self.bad.elapsed());
        (self.trouble.is_some() && self.is_well()).then_some(left)
    }

    fn is_well(&self) -> bool {
        self.in_time && self.taken == self.given
    }

    fn hear(&mut self) {
        while let Ok(report) = self.reports.try_recv() {
            self.note(report);
        }
    }

    fn note(&mut self, report: Report) {
        self.taken = report.taken;
        if report.taken == self.given {
            self.waiting = report.waiting;
        }
        match report.failing {
            Some(why) => self.set_bad(why),
            None if report.took >= limits::LOG_WAIT => self.set_bad(Trouble::Slow),
            None => self.in_time = true,
        }
    }

    fn set_bad(&mut self, why: Trouble) {
        if self.trouble.is_none() {
            let cause = match why {
                Trouble::Full => "the disk is full",
                Trouble::Failed => "the disk fails",
                Trouble::Slow => "the disk is too slow",
            };
            warn!("history is not being kept: {cause}");
        }
        self.trouble = Some(why);
        self.bad = Instant::now();
        self.in_time = false;
        self.ahead.store(true, Ordering::SeqCst);
    }
}

impl Drop for Journal {
    fn drop(&mut self) {
        let ended = self.messages.send(Message::End);
        if ended.is_err() | self.thread.take().is_some_and(|thread| thread.join().is_err()) {
            error!("the log's thread failed");
        }
    }
}

/// The thread that writes.
struct Writer {
    logs: Logs,
    folder: PathBuf,
    /// How much a loss of power may cost.
    every: Duration,
    waiting: Batch,
    taken: u64,
    unsynced: Unsynced,
    /// The way to the thread that syncs, which takes its time.
    syncing: Option<Sender<Unsynced>>,
    syncer: Option<JoinHandle<()>>,
    last_sync: Instant,
    in_sync: bool,
    cannot_sync: Option<Trouble>,
    /// What was last complained of, so that it is logged once.
    complaint: Option<io::ErrorKind>,
    reports: Sender<Report>,
    ahead: Arc<AtomicBool>,
    waker: Arc<Waker>,
}

impl Writer {
    fn run(mut self, inbox: &Receiver<Message>) {
        loop {
            let message = match self.rest() {
                Some(rest) => inbox.recv_timeout(rest),
                None => inbox.recv().map_err(|_| RecvTimeoutError::Disconnected),
            };
            let mut ends = matches!(message, Err(RecvTimeoutError::Disconnected));
            for message in message.into_iter().chain(inbox.try_iter()) {
                match message {
                    Message::Write(batch) => {
                        self.waiting.append(batch);
                        self.taken += 1;
                    }
                    Message::Synced(result, again) => {
                        again.files.into_values().for_each(|file| self.unsynced.add(file));
                        self.unsynced.others |= again.others;
                        self.in_sync = false;
                        self.synced(result);
                    }
                    Message::End => ends = true,
                }
            }
            if !self.waiting.rooms.is_empty() {
                self.write();
            }
            if ends {
                return self.end();
            }
            if !self.in_sync && !self.unsynced.is_empty() && self.last_sync.elapsed() >= self.pause() {
                self.begin_sync();
            }
        }
    }

    /// How long there is nothing to do, if no message comes.
    fn rest(&self) -> Option<Duration> {
        if !self.waiting.rooms.is_empty() {
            return Some(limits::LOG_RETRY);
        }
        let is_due = !self.in_sync && !self.unsynced.is_empty();
        is_due.then(|| self.pause().saturating_sub(self.last_sync.elapsed()))
    }

    /// How long the next sync is after the last one.
    fn pause(&self) -> Duration {
        if self.cannot_sync.is_some() { self.every.max(limits::LOG_RETRY) } else { self.every }
    }

    /// Tries to write all that waits, one write a room. What cannot be written goes on waiting.
    fn write(&mut self) {
        let begun = Instant::now();
        let mut failed = None;
        for (room, mut work) in std::mem::take(&mut self.waiting.rooms) {
            match self.write_room(room, &mut work) {
                Ok(()) => self.waiting.bytes -= work.lines.len(),
                Err(e) => {
                    self.complain(room, &e);
                    failed = Some(trouble(&e));
                    self.waiting.rooms.insert(room, work);
                }
            }
        }
        if failed.is_none() {
            self.complaint = None;
        }
        if self.every.is_zero() {
            self.sync_now();
        }
        self.report(failed, begun.elapsed());
    }

    fn write_room(&mut self, room: RoomName, work: &mut Work) -> io::Result<()> {
        if work.forgotten {
            self.logs.forget(room)?;
            work.forgotten = false;
        }
        if let Some(topic) = &work.topic {
            self.logs.set_topic(room, topic.as_deref())?;
            work.topic = None;
        }
        if !work.lines.is_empty() {
            self.unsynced.add(self.logs.append(room, &work.lines)?);
        }
        Ok(())
    }

    fn complain(&mut self, room: RoomName, e: &io::Error) {
        if self.complaint.replace(e.kind()) != Some(e.kind()) {
            warn!("cannot write the log of {room}: {e}; trying on");
        }
    }

    fn report(&self, failed: Option<Trouble>, took: Duration) {
        let failing = failed.or(self.cannot_sync);
        // Nobody is there to hear it at the very end.
        let _ = self.reports.send(Report { taken: self.taken, waiting: self.waiting.bytes, failing, took });
        if failing.is_some() || self.ahead.load(Ordering::SeqCst) {
            self.wake();
        }
    }

    fn wake(&self) {
        if let Err(e) = self.waker.wake() {
            error!("cannot wake the reactor: {e}");
        }
    }

    /// Syncs before anybody hears what was written.
    fn sync_now(&mut self) {
        let result = self.unsynced.sync(&self.folder);
        if result.is_ok() {
            self.unsynced = Unsynced::default();
        }
        self.last_sync = Instant::now();
        self.synced(result);
    }

    fn begin_sync(&mut self) {
        let unsynced = std::mem::take(&mut self.unsynced);
        self.in_sync = self.syncing.as_ref().is_some_and(|syncing| syncing.send(unsynced).is_ok());
        self.last_sync = Instant::now();
    }

    fn synced(&mut self, result: io::Result<()>) {
        let before = self.cannot_sync;
        if let Err(e) = &result
            && before.is_none()
        {
            warn!("cannot sync the logs: {e}");
        }
        self.cannot_sync = result.err().map(|e| trouble(&e));
        if self.cannot_sync != before {
            self.report(None, Duration::ZERO);
        }
    }

    fn end(mut self) {
        if !self.waiting.rooms.is_empty() {
            error!("{} bytes of the logs could not be written", self.waiting.bytes);
        }
        self.syncing = None;
        if self.syncer.take().is_some_and(|syncer| syncer.join().is_err()) {
            error!("the thread that syncs the logs failed");
        }
        if let Err(e) = self.unsynced.sync(&self.folder) {
            warn!("cannot sync the logs: {e}");
        }
    }
}

fn trouble(e: &io::Error) -> Trouble {
    match e.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Trouble::Full,
        _ => Trouble::Failed,
    }
}
