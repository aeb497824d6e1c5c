//! The threads `ledger`, which writes, and `ledger-sync`, which syncs and writes the ledger anew.

use crate::channel::{Receiver, Sender};
use std::fs::File;
use std::io;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::RecvTimeoutError;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use log::{error, info, warn};
use mio::Waker;

use super::audit::AuditLog;
use super::file::{LedgerFile, lock, said_once, shrink};
use super::{Report, Task};
use crate::effect::Entered;
use crate::event::Trouble;
use crate::home::{give_way, sync_folder_of};
use crate::keeper::trouble;
use crate::limits;

/// Lines that could not be written, in their order.
#[derive(Debug, Default)]
pub(super) struct Waiting {
    lines: String,
    /// Whether they are to be written in place of all that the ledger has, as they say that too.
    is_all: bool,
    /// Bytes that they had when they said nothing twice.
    needed: usize,
}

impl Waiting {
    /// Adds lines. When there are too many, those that mean nothing any more go.
    fn add(&mut self, lines: &str, file: &LedgerFile) -> io::Result<()> {
        let before = self.lines.len();
        self.lines.push_str(lines);
        if self.lines.len() < self.needed + limits::LEDGER_WAITING {
            return Ok(());
        }
        let said = if self.is_all { said_once(self.lines.as_bytes()) } else { file.said(&self.lines) };
        match said {
            Ok(lines) => *self = Self { needed: lines.len(), lines, is_all: true },
            Err(e) => {
                self.lines.truncate(before);
                return Err(e);
            }
        }
        Ok(())
    }
}

/// The thread that writes. The loop waits for it, so it waits for no sync and gives way to nobody.
pub(super) struct Writer {
    pub(super) file: Arc<Mutex<LedgerFile>>,
    pub(super) audit: AuditLog,
    pub(super) deeds: Arc<AtomicUsize>,
    pub(super) to_sync: Sender<Appended>,
    pub(super) reports: Sender<Report>,
    pub(super) waker: Arc<Waker>,
    /// What was noted and could not be written. What comes later waits behind it.
    pub(super) waiting: Waiting,
    /// When that is tried again.
    pub(super) again: Instant,
    /// Why, of what failed last.
    pub(super) failing: Option<Trouble>,
    pub(super) in_trouble: Arc<AtomicBool>,
}

/// What was written, or else the thread that syncs must know.
#[derive(Debug)]
pub(super) enum Appended {
    /// How much of what need not be there at once a loss of power may cost from now on.
    Set(Duration),
    /// Something for which nobody waits.
    Notes,
    /// What operators did, in this file.
    Deeds(File),
    /// Somebody waits for these lines, if they could be written, to be synced in this file.
    Entries(io::Result<(Arc<File>, Range<u64>)>),
}

impl Writer {
    pub(super) fn run(mut self, inbox: &Receiver<Task>) {
        loop {
            let is_to_try = self.is_in_trouble() || self.audit.is_behind();
            if is_to_try && self.again <= Instant::now() {
                self.try_again();
            }
            let next = if is_to_try {
                inbox.recv_timeout(self.again.saturating_duration_since(Instant::now()))
            } else {
                inbox.recv().map_err(|_| RecvTimeoutError::Disconnected)
            };
            let begun = Instant::now();
            let goes_on = match next {
                Ok(Task::Audit(line)) => {
                    self.audit.append(line);
                    self.note_deeds();
                    if self.deeds.fetch_sub(1, Ordering::Relaxed) == limits::DEEDS / 2 {
                        wake(&self.waker);
                    }
                    self.report(true, begun.elapsed())
                }
                Ok(Task::Note(lines)) => {
                    self.note(&lines);
                    self.report(true, begun.elapsed())
                }
                Ok(Task::Enter(lines)) => self.enter(&lines),
                Ok(Task::Set(logging)) => {
                    self.audit.set_max(logging.max);
                    self.to_sync.send(Appended::Set(logging.sync)).is_ok()
                }
                Ok(Task::TryAgain) => self.recover(),
                Ok(Task::Look) => self.is_in_trouble() || self.is_well() || self.recover(),
                Err(RecvTimeoutError::Timeout) => true,
                Ok(Task::End) | Err(RecvTimeoutError::Disconnected) => false,
            };
            // Nobody hears of it but who is still there.
            if !goes_on {
                break;
            }
        }
        // What is left stands in the log of the process.
        let _ = self.audit.catch_up();
        self.note_deeds();
        if let Err(e) = self.catch_up() {
            let path = lock(&self.file).path.clone();
            error!("lost is what could not be written to {}: {e}", path.display());
        }
    }

    /// Adds lines for which somebody waits; `false` if nobody syncs them. They come behind all that waits, or not at all.
    fn enter(&mut self, lines: &str) -> bool {
        let caught_up = self.catch_up();
        let mut file = lock(&self.file);
        let written = caught_up.and_then(|()| file.append(lines)).map(|lines| (Arc::clone(&file.file), lines));
        if let Err(e) = &written {
            warn!("cannot write to {}: {e}", file.path.display());
        }
        // While the file is locked, so that whoever takes lines out again knows of all that were added.
        self.to_sync.send(Appended::Entries(written)).is_ok()
    }

    /// Adds lines, or has them wait.
    fn note(&mut self, lines: &str) {
        let shared = Arc::clone(&self.file);
        let mut file = lock(&shared);
        if self.waiting.lines.is_empty() {
            let written = file.append(lines);
            self.tried(written.as_ref().err(), &file.path);
            if written.is_ok() {
                return self.wrote();
            }
        }
        if let Err(e) = self.waiting.add(lines, &file) {
            error!("lost is what could not be written to {}, as it is too much: {e}", file.path.display());
        }
    }

    fn wrote(&self) {
        // It is synced as long as there is somebody who does that.
        let _ = self.to_sync.send(Appended::Notes);
    }

    /// Writes all that waits.
    fn catch_up(&mut self) -> io::Result<()> {
        let shared = Arc::clone(&self.file);
        let mut file = lock(&shared);
        let ours = file.is_ours();
        if ours.is_ok() && self.waiting.lines.is_empty() && !file.is_doubted() && file.is_in_place() {
            return Ok(());
        }
        let Waiting { lines, is_all, .. } = &self.waiting;
        let written = ours.and_then(|()| if *is_all { file.put(lines) } else { file.append(lines).map(drop) });
        self.tried(written.as_ref().err(), &file.path);
        written?;
        self.waiting = Waiting::default();
        self.wrote();
        Ok(())
    }

    /// Whether it stands in its place as it was written.
    fn is_well(&self) -> bool {
        let file = lock(&self.file);
        file.is_in_place() && file.is_ours().is_ok()
    }

    fn is_in_trouble(&self) -> bool {
        self.failing.is_some() || self.in_trouble.load(Ordering::SeqCst)
    }

    /// Tries once more what could not be written.
    fn try_again(&mut self) {
        self.again = Instant::now() + limits::LOG_RETRY;
        if self.audit.is_behind() && self.audit.catch_up().is_ok() {
            info!("the audit log is written again");
        }
        self.note_deeds();
        if self.is_in_trouble() {
            self.recover();
        }
    }

    /// Writes what waits, and finds out whether the disk writes at all; `false` if nobody is there to hear of it.
    fn recover(&mut self) -> bool {
        let begun = Instant::now();
        if self.catch_up().is_ok() {
            let shared = Arc::clone(&self.file);
            let file = lock(&shared);
            self.tried(file.probe().as_ref().err(), &file.path);
        }
        self.report(false, begun.elapsed())
    }

    /// The audit log is to be synced, if anything was added to it.
    fn note_deeds(&mut self) {
        if let Some(file) = self.audit.unsynced.take() {
            // It is synced as long as there is somebody who does that.
            let _ = self.to_sync.send(Appended::Deeds(file));
        }
    }

    /// Notes what came of a try to write.
    fn tried(&mut self, failed: Option<&io::Error>, path: &Path) {
        let was_failing = self.failing.is_some();
        self.failing = failed.map(trouble);
        if let Some(e) = failed {
            self.again = Instant::now() + limits::LOG_RETRY;
            if !was_failing {
                warn!("cannot write to {}: {e}; trying on", path.display());
            }
        }
    }

    /// Tells the loop; `false` if it is gone.
    fn report(&self, is_of_task: bool, took: Duration) -> bool {
        let is_told = self.reports.send(Report { is_of_task, failing: self.failing, took }).is_ok();
        if self.is_in_trouble() {
            wake(&self.waker);
        }
        is_told
    }
}

/// The thread that syncs, and that writes the ledger anew.
pub(super) struct Syncer {
    pub(super) file: Arc<Mutex<LedgerFile>>,
    /// How much of what need not be there at once a loss of power may cost.
    pub(super) sync: Duration,
    /// Since when something is written that is not synced.
    pub(super) unsynced: Option<Instant>,
    /// The audit log, if something of it is not synced. What it tells of is not on the disk before it.
    pub(super) deeds: Option<File>,
    pub(super) audit: PathBuf,
    pub(super) outcomes: Sender<Entered>,
    pub(super) reports: Sender<Report>,
    pub(super) to_writer: Sender<Task>,
    pub(super) waker: Arc<Waker>,
}

impl Syncer {
    pub(super) fn run(mut self, written: &Receiver<Appended>) {
        give_way();
        loop {
            let next = match self.unsynced.map(|since| self.sync.saturating_sub(since.elapsed())) {
                Some(left) => written.recv_timeout(left),
                None => written.recv().map_err(|_| RecvTimeoutError::Disconnected),
            };
            match next {
                Ok(Appended::Set(sync)) => self.sync = sync,
                Ok(Appended::Notes) => self.is_unsynced(),
                Ok(Appended::Deeds(file)) => {
                    self.deeds = Some(file);
                    self.is_unsynced();
                }
                Ok(Appended::Entries(entries)) => self.sync_entries(entries, written),
                Err(RecvTimeoutError::Timeout) => self.sync_late(),
                Err(RecvTimeoutError::Disconnected) => break,
            }
            self.shrink();
        }
        if self.unsynced.is_some() {
            self.sync_late();
        }
    }

    /// Syncs lines for which somebody waits. If that fails, nothing that waits for a sync is sure, and all of it is taken out again.
    fn sync_entries(&mut self, entries: io::Result<(Arc<File>, Range<u64>)>, written: &Receiver<Appended>) {
        let Ok((synced, lines)) = entries else { return self.tell(Entered::Failed) };
        self.sync_deeds();
        let Err(e) = self.sync(&synced) else {
            // What was written before is synced with it.
            self.unsynced = None;
            return self.tell(Entered::Written);
        };
        let shared = Arc::clone(&self.file);
        let mut file = lock(&shared);
        let mut all = vec![Ok((Arc::clone(&synced), lines))];
        all.extend(written.try_iter().filter_map(|appended| match appended {
            Appended::Entries(entries) => Some(entries),
            Appended::Notes => None,
            Appended::Deeds(file) => {
                self.deeds = Some(file);
                None
            }
            Appended::Set(sync) => {
                self.sync = sync;
                None
            }
        }));
        let outcomes: Vec<Entered> = all.iter().map(|entries| file.undo(entries.as_ref().ok())).collect();
        file.take_out();
        outcomes.into_iter().for_each(|entered| self.tell(entered));
        self.cannot_sync(&mut file, &synced, &e);
        self.is_unsynced();
    }

    /// Syncs this file. The system says once that it failed, and then that all is well: so one that is doubted is not asked about again.
    fn sync(&self, written: &Arc<File>) -> io::Result<()> {
        let is_doubted = {
            let file = lock(&self.file);
            file.is_doubted() && Arc::ptr_eq(&file.file, written)
        };
        if is_doubted { Err(io::Error::other("it failed before")) } else { written.sync_data() }
    }

    fn tell(&self, entered: Entered) {
        // Nobody hears of it but who is still there.
        if self.outcomes.send(entered).is_ok() {
            wake(&self.waker);
        }
    }

    fn is_unsynced(&mut self) {
        self.unsynced.get_or_insert_with(Instant::now);
    }

    fn sync_deeds(&mut self) {
        let Some(file) = self.deeds.take() else { return };
        if let Err(e) = file.sync_data().and_then(|()| sync_folder_of(&self.audit)) {
            warn!("cannot sync {}: {e}", self.audit.display());
        }
    }

    fn sync_late(&mut self) {
        self.sync_deeds();
        let file = Arc::clone(&lock(&self.file).file);
        self.note_sync(&file, file.sync_data());
    }

    fn shrink(&mut self) {
        let shared = Arc::clone(&self.file);
        match shrink(&shared) {
            Ok(None) => {}
            Ok(Some(shorter)) => {
                let path = lock(&shared).path.clone();
                self.note_sync(&shorter, sync_folder_of(&path).and_then(|()| shorter.sync_data()));
            }
            Err(e) => {
                warn!("cannot write the ledger anew: {e}");
                // It is tried again when it has grown as much once more.
                let mut file = lock(&shared);
                file.needed = file.len;
            }
        }
    }

    fn note_sync(&mut self, synced: &Arc<File>, result: io::Result<()>) {
        self.unsynced = None;
        if let Err(e) = result {
            let shared = Arc::clone(&self.file);
            self.cannot_sync(&mut lock(&shared), synced, &e);
        }
    }

    /// The thread that writes is to write the ledger anew, which is the only way to be sure of it, unless it has done that.
    fn cannot_sync(&self, file: &mut LedgerFile, which: &Arc<File>, e: &io::Error) {
        warn!("cannot sync {}: {e}", file.path.display());
        if Arc::ptr_eq(&file.file, which) {
            file.doubt();
        }
        if file.is_doubted() {
            // At the very end nobody is there to hear it.
            let _ = self.reports.send(Report { is_of_task: false, failing: Some(trouble(e)), took: Duration::ZERO });
            let _ = self.to_writer.send(Task::TryAgain);
            wake(&self.waker);
        }
    }
}

fn wake(waker: &Waker) {
    if let Err(e) = waker.wake() {
        error!("cannot wake the reactor: {e}");
    }
}

#[cfg(test)]
mod tests {
    use crate::channel::channel;
    use std::fs;

    use super::*;
    use crate::ledger::encoded;
    use crate::ledger::file::load;
    use crate::ledger::file::tests::{append, name, nick, now};
    use crate::register::Entry;
    use crate::time::Day;

    #[test]
    fn what_waits_for_a_full_disk_is_bounded_and_says_the_same() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("ledger");
        let (_, mut file) = load(&path, now(), None).unwrap();
        append(&mut file, &name(1));
        append(&mut file, &name(2));
        let room = crate::names::RoomName::new("#r").unwrap();
        let mut waiting = Waiting::default();
        let mut add = |entry: Entry| waiting.add(&encoded(&[entry]), &file).unwrap();
        add(Entry::Drop { nick: nick(2), day: Day::of(now()) });
        add(Entry::Room { room, founder: crate::register::Founder::Owner(nick(1)) });
        for n in 0..60_000 {
            add(Entry::Rule { room, rule: crate::register::Rule::Limit(Some(n)) });
        }
        assert!(waiting.is_all && waiting.lines.len() < limits::LEDGER_WAITING + 1_000, "{}", waiting.lines.len());
        file.put(&waiting.lines).unwrap();
        let (register, _) = load(&path, now(), None).unwrap();
        let limit = crate::register::Rule::Limit(Some(59_999));
        assert!(register.owned(&nick(1)).is_some() && register.owned(&nick(2)).is_none());
        assert!(register.room(&room).unwrap().rules().contains(&limit));
    }

    #[test]
    fn what_is_synced_after_a_failure_counts_for_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("ledger");
        let (_, file) = load(&path, now(), None).unwrap();
        let (outcomes, told) = channel();
        let (mut syncer, _poll) = syncer(file, outcomes);
        let lines = lock(&syncer.file).append(&encoded(&[name(1)])).unwrap();
        let ledger = Arc::clone(&lock(&syncer.file).file);
        syncer.note_sync(&ledger, Err(io::ErrorKind::Other.into()));
        syncer.sync_entries(Ok((ledger, lines)), &channel().1);
        assert_eq!(told.try_recv(), Ok(Entered::Failed));
        append(&mut lock(&syncer.file), &name(2));
        assert_eq!(fs::read_to_string(&path).unwrap(), encoded(&[name(2)]));
    }

    fn syncer(file: LedgerFile, outcomes: Sender<Entered>) -> (Syncer, mio::Poll) {
        let poll = mio::Poll::new().unwrap();
        let syncer = Syncer {
            file: Arc::new(Mutex::new(file)),
            sync: Duration::from_secs(1),
            unsynced: None,
            deeds: None,
            audit: PathBuf::new(),
            outcomes,
            reports: channel().0,
            to_writer: channel().0,
            waker: Arc::new(Waker::new(poll.registry(), mio::Token(0)).unwrap()),
        };
        (syncer, poll)
    }
}
