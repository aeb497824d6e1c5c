//! The threads that write the logs, and sync them.

use crate::channel::{Receiver, Sender, channel};
use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::RecvTimeoutError;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use log::{error, warn};
use mio::Waker;
use rustix::fs::{Access, access};

use super::batch::{Batch, Work};
use super::logs::Logs;
use crate::event::{Keeping, Trouble};
use crate::home::{Durability, files_open, hint, is_of_reserve, lacks_descriptors, open_folder};
use crate::keeper::trouble;
use crate::limits;
use crate::names::RoomName;
use crate::settings::Logging;
use crate::text::counted;

/// What the thread `log` is told.
pub(super) enum ToWriter {
    Write(Batch),
    Set(Logging),
    /// What came of a sync, how long it took, and what is to be synced again.
    Synced(io::Result<()>, Duration, Unsynced),
    /// Write what there is, once more, and end.
    End,
}

/// What the loop is told.
#[derive(Clone, Copy, Debug)]
pub(super) enum ToJournal {
    Report(Report),
    Keeping(Keeping),
}

/// How it stands.
#[derive(Clone, Copy, Debug)]
pub(super) struct Report {
    /// Whether this is the report on a batch. There is one on each.
    pub(super) is_of_batch: bool,
    /// What stands in the way of all that is not written.
    pub(super) failing: Option<Trouble>,
    /// How long the last try took.
    pub(super) took: Duration,
}

/// What has been written and not synced since.
#[derive(Debug, Default)]
pub(super) struct Unsynced {
    /// By where they are in memory, as a room has two when its log was cut.
    files: BTreeMap<usize, Arc<File>>,
    /// Whether there were more files than are kept open, so that the whole file system must be synced.
    others: bool,
    /// Whether something was renamed or removed, and no more than that.
    names: bool,
}

impl Unsynced {
    fn add(&mut self, file: Arc<File>) {
        let is_last = is_of_reserve(&file);
        self.files.insert(Arc::as_ptr(&file).addr(), file);
        if is_last || self.files.len() > files_open() {
            self.close();
        }
    }

    /// Keeps none of them open, so that the whole file system must be synced.
    fn close(&mut self) {
        self.others |= !self.files.is_empty();
        self.files.clear();
    }

    fn append(&mut self, other: Self) {
        other.files.into_values().for_each(|file| self.add(file));
        self.others |= other.others;
        self.names |= other.names;
    }

    fn is_empty(&self) -> bool {
        self.files.is_empty() && !self.others && !self.names
    }

    /// Waits until all of it, and what was created or renamed in `folder`, is on the disk.
    fn sync(&self, folder: &Path) -> io::Result<()> {
        let folder = match open_folder(folder) {
            // Somebody has swept it away. The next line makes it anew, and says so.
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(()),
            folder => folder?,
        };
        if self.others {
            return Ok(rustix::fs::syncfs(folder)?);
        }
        self.files.values().try_for_each(|file| file.sync_data())?;
        folder.sync_all()
    }
}

/// The thread that writes.
pub(super) struct Writer {
    logs: Logs,
    folder: PathBuf,
    /// How much a loss of power may cost.
    every: Duration,
    /// What could not be written, and when it is tried again. What comes later of these rooms waits behind it.
    failed: Batch,
    again: Instant,
    /// Why, of what failed last.
    failing: Option<Trouble>,
    unsynced: Unsynced,
    /// From when on a topic is synced before it takes the place of the old one.
    topics: Instant,
    /// The way to the thread that syncs, which takes its time.
    syncing: Option<Sender<Unsynced>>,
    syncer: Option<JoinHandle<()>>,
    last_sync: Instant,
    in_sync: bool,
    cannot_sync: Option<Trouble>,
    /// What was last complained of, so that it is logged once.
    complaint: Option<io::ErrorKind>,
    /// Rooms whose logs cannot be kept for a reason of their own, so that each is logged once.
    spoiled: BTreeSet<RoomName>,
    reports: Sender<ToJournal>,
    in_trouble: Arc<AtomicBool>,
    waker: Arc<Waker>,
}

impl Writer {
    /// It hears of its own syncs through `to_writer`.
    pub(super) fn new(
        logs: Logs,
        every: Duration,
        to_writer: Sender<ToWriter>,
        reports: Sender<ToJournal>,
        in_trouble: Arc<AtomicBool>,
        waker: Arc<Waker>,
    ) -> io::Result<Self> {
        let (syncing, to_sync) = channel::<Unsynced>();
        let folder = logs.folder().to_owned();
        let syncer = thread::Builder::new().name("log-sync".into()).spawn(move || {
            for unsynced in to_sync.iter() {
                let begun = Instant::now();
                let result = unsynced.sync(&folder);
                let again = if result.is_ok() { Unsynced::default() } else { unsynced };
                if to_writer.send(ToWriter::Synced(result, begun.elapsed(), again)).is_err() {
                    break;
                }
            }
        })?;
        let now = Instant::now();
        Ok(Self {
            folder: logs.folder().to_owned(),
            logs,
            every,
            failed: Batch::default(),
            again: now,
            failing: None,
            unsynced: Unsynced::default(),
            topics: now,
            syncing: Some(syncing),
            syncer: Some(syncer),
            last_sync: now,
            in_sync: false,
            cannot_sync: None,
            complaint: None,
            spoiled: BTreeSet::new(),
            reports,
            in_trouble,
            waker,
        })
    }

    pub(super) fn run(mut self, inbox: &Receiver<ToWriter>) {
        loop {
            let message = match self.rest() {
                Some(rest) => inbox.recv_timeout(rest),
                None => inbox.recv().map_err(|_| RecvTimeoutError::Disconnected),
            };
            match message {
                Ok(ToWriter::Write(batch)) => self.write(batch),
                Ok(ToWriter::Set(logging)) => {
                    self.every = logging.sync;
                    self.logs.set_max(logging.max);
                }
                Ok(ToWriter::Synced(result, took, again)) => {
                    if took > self.every + limits::LOG_STEADY {
                        warn!("syncing the logs took {took:.1?}; a loss of power could have cost as much");
                    }
                    self.in_sync = false;
                    self.unsynced.append(again);
                    self.synced(result);
                }
                Ok(ToWriter::End) | Err(RecvTimeoutError::Disconnected) => return self.end(),
                Err(RecvTimeoutError::Timeout) => {}
            }
            if self.is_to_try() && self.again <= Instant::now() {
                self.try_again();
            }
            if self.is_to_sync() && self.last_sync.elapsed() >= self.pause() {
                self.begin_sync();
            }
        }
    }

    /// How long there is nothing to do, if no message comes.
    fn rest(&self) -> Option<Duration> {
        let again = self.is_to_try().then(|| self.again.saturating_duration_since(Instant::now()));
        let sync = self.is_to_sync().then(|| self.pause().saturating_sub(self.last_sync.elapsed()));
        again.into_iter().chain(sync).min()
    }

    /// Whether it is to be tried again to write what failed, or whether the disk is well again.
    fn is_to_try(&self) -> bool {
        !self.failed.is_empty() || self.in_trouble.load(Ordering::SeqCst)
    }

    fn is_to_sync(&self) -> bool {
        !self.in_sync && !self.unsynced.is_empty()
    }

    /// How long the next sync is after the last one.
    fn pause(&self) -> Duration {
        if self.cannot_sync.is_some() { self.every.max(limits::LOG_RETRY) } else { self.every }
    }

    /// Writes a batch, one write a room, and reports on it.
    fn write(&mut self, mut batch: Batch) {
        let begun = Instant::now();
        for work in batch.take() {
            if self.failed.has(&work.name) {
                self.failed.append(work);
            } else {
                self.write_room(work);
            }
        }
        self.leave_out_what_is_too_much();
        if self.every.is_zero() {
            self.sync_now();
        }
        self.report(true, begun.elapsed());
    }

    /// Tries once more what failed, or whether the disk writes at all.
    fn try_again(&mut self) {
        let begun = Instant::now();
        self.again = begun + limits::LOG_RETRY;
        self.failing = None;
        self.failed.take().for_each(|work| self.write_room(work));
        self.leave_out_what_is_too_much();
        if self.failing.is_none() && self.in_trouble.load(Ordering::SeqCst) {
            self.failing = self.logs.probe().err().map(|e| trouble(&e));
        }
        if self.failing.is_none() {
            self.complaint = None;
        }
        if self.every.is_zero() && !self.unsynced.is_empty() {
            self.sync_now();
        }
        // Rooms whose logs cannot be kept are tried for as long as it takes, and nobody hears of it.
        if self.failing.is_some() || self.in_trouble.load(Ordering::SeqCst) {
            self.report(false, begun.elapsed());
        }
    }

    /// Writes what there is of a room. What cannot be written waits.
    fn write_room(&mut self, mut work: Work) {
        let Err(e) = self.try_room(&mut work) else {
            if self.spoiled.remove(&work.name) {
                self.tell(Keeping { room: work.name, kept: true });
            }
            return;
        };
        // What stands in the place of one log says nothing of the disk.
        let is_of_room = match e.kind() {
            io::ErrorKind::IsADirectory => true,
            io::ErrorKind::PermissionDenied => access(&self.folder, Access::WRITE_OK | Access::EXEC_OK).is_ok(),
            _ => false,
        };
        let is_new = if is_of_room {
            self.spoiled.insert(work.name)
        } else {
            self.failing = Some(trouble(&e));
            self.complaint.replace(e.kind()) != Some(e.kind())
        };
        if is_new && is_of_room {
            self.tell(Keeping { room: work.name, kept: false });
        }
        if is_new {
            warn!("cannot write the log of {}: {e}{}; trying on", work.name, hint(&e));
        }
        if self.failed.is_empty() {
            self.again = Instant::now() + limits::LOG_RETRY;
        }
        self.failed.append(work);
    }

    fn try_room(&mut self, work: &mut Work) -> io::Result<()> {
        if work.is_forgotten {
            self.logs.forget(work.name)?;
            self.unsynced.names = true;
            work.is_forgotten = false;
        }
        if !work.lines.is_empty() {
            let file = match self.logs.append(work.name, &work.lines) {
                Err(e) if lacks_descriptors(&e) => {
                    self.close_logs();
                    self.logs.append(work.name, &work.lines)
                }
                file => file,
            };
            self.unsynced.add(file?);
            work.lines = String::new();
        }
        let Some(topic) = &work.topic else { return Ok(()) };
        let begun = Instant::now();
        // Lines wait for that, so whoever sets topics all the time has the others synced as lines are.
        let durability = if self.topics <= begun { Durability::Sync } else { Durability::Soon };
        let set = match self.logs.set_topic(work.name, topic.as_deref(), durability) {
            Err(e) if lacks_descriptors(&e) => {
                self.close_logs();
                self.logs.set_topic(work.name, topic.as_deref(), durability)
            }
            set => set,
        };
        if durability == Durability::Sync {
            self.topics = begun + limits::TOPIC_REST * begun.elapsed();
        }
        let file = set.map_err(|e| io::Error::new(e.kind(), format!("its topic: {e}")))?;
        self.unsynced.names = true;
        file.into_iter().for_each(|file| self.unsynced.add(file));
        Ok(())
    }

    /// Gives back the descriptors of all logs, as others are needed.
    fn close_logs(&mut self) {
        self.logs.close();
        self.unsynced.close();
    }

    /// Only what cannot be written waits here, so no other room pays for it.
    fn leave_out_what_is_too_much(&mut self) {
        if self.failed.bytes() > limits::LOG_WAITING {
            self.failed.leave_lines_out();
        }
    }

    fn report(&self, is_of_batch: bool, took: Duration) {
        let failing = self.failing.or(self.cannot_sync);
        // Nobody is there to hear it at the very end.
        let _ = self.reports.send(ToJournal::Report(Report { is_of_batch, failing, took }));
        if failing.is_some() || self.in_trouble.load(Ordering::SeqCst) {
            self.wake();
        }
    }

    fn tell(&self, keeping: Keeping) {
        let _ = self.reports.send(ToJournal::Keeping(keeping));
        self.wake();
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
        self.note_sync(result);
    }

    fn begin_sync(&mut self) {
        let unsynced = std::mem::take(&mut self.unsynced);
        self.in_sync = self.syncing.as_ref().is_some_and(|syncing| syncing.send(unsynced).is_ok());
        self.last_sync = Instant::now();
    }

    fn synced(&mut self, result: io::Result<()>) {
        let before = self.cannot_sync;
        self.note_sync(result);
        if self.cannot_sync != before {
            self.report(false, Duration::ZERO);
        }
    }

    fn note_sync(&mut self, result: io::Result<()>) {
        if let Err(e) = &result
            && self.cannot_sync.is_none()
        {
            warn!("cannot sync the logs: {e}");
        }
        self.cannot_sync = result.err().map(|e| trouble(&e));
    }

    fn end(mut self) {
        self.failed.take().for_each(|work| self.write_room(work));
        if !self.failed.is_empty() {
            error!("could not be written of the logs: {}", counted(self.failed.bytes() as u64, "byte"));
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
