//! The rooms' logs: what is said is written down before anybody hears it.
//!
//! A thread of its own writes, so that a disk which hangs holds nobody up for longer than [`limits::LOG_WAIT`]. After that,
//! lines go out ahead of the log, people are told so, and nothing waits any more until the log is in time again.
//!
//! Another one reads again what memory no longer has. Nothing waits for it, and it never waits for the one that writes.

mod batch;
mod format;
mod logs;
mod reader;
mod search;
mod writer;

use std::collections::VecDeque;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use log::{error, info, warn};
use mio::Waker;

pub use format::{Reading, encode, parse, read};
pub use logs::{Logs, load, look};

use self::batch::Batch;
use self::reader::Reader;
use self::writer::{ToJournal, ToWriter, Writer};
use crate::effect::{Found, Query, Record};
use crate::event::{Keeping, Trouble};
use crate::limits;
use crate::settings::Logging;

/// The ways to the threads that write and read. What is still to be written is written when this goes.
#[derive(Debug)]
pub struct Journal {
    to_writer: Sender<ToWriter>,
    reports: Receiver<ToJournal>,
    thread: Option<JoinHandle<()>>,
    /// What the thread has not been given, as it has not reported on what it was given before.
    gathered: Batch,
    /// Whether it has a batch on which it has not reported.
    is_given: bool,
    /// Why the log is not being kept, if it is not.
    trouble: Option<Trouble>,
    /// Whether it is in trouble, for the thread: it must wake the loop then, and find out when the disk is well again.
    in_trouble: Arc<AtomicBool>,
    /// Whether lines go out ahead of the log.
    is_ahead: bool,
    /// When it was last late or failed.
    bad: Instant,
    /// Whether it has written in time since then.
    in_time: bool,
    patience: Patience,
    /// How it stands with single rooms, where that has changed and nobody has been told.
    keeping: VecDeque<Keeping>,
    reader: Reader,
}

impl Journal {
    /// Begins to log in `folder`. The loop is woken through `waker` when something becomes known that it does not wait for.
    pub fn start(folder: PathBuf, logging: Logging, waker: Arc<Waker>) -> io::Result<Self> {
        let (to_writer, inbox) = channel();
        let (outbox, reports) = channel();
        let in_trouble = Arc::new(AtomicBool::new(false));
        let reader = Reader::start(folder.clone(), Arc::clone(&waker))?;
        let logs = Logs::new(folder, logging.max);
        let writer = Writer::new(logs, logging.sync, to_writer.clone(), outbox, Arc::clone(&in_trouble), waker)?;
        let thread = thread::Builder::new().name("log".into()).spawn(move || writer.run(&inbox))?;
        let now = Instant::now();
        Ok(Self {
            to_writer,
            reports,
            thread: Some(thread),
            gathered: Batch::default(),
            is_given: false,
            trouble: None,
            in_trouble,
            is_ahead: false,
            bad: now,
            in_time: true,
            patience: Patience::default(),
            keeping: VecDeque::new(),
            reader,
        })
    }

    /// Writes `records` down, in their order. It returns when that has been tried, when it takes too long, and at once
    /// while lines go out ahead of the log. Of more than [`limits::LOG_WAITING`] that waits then, only the newest line of
    /// each room is kept, so that its number is, and of these no more than [`limits::LOG_NEWEST`].
    pub fn write(&mut self, records: &[Record]) {
        self.hear();
        records.iter().for_each(|record| self.gathered.add(record));
        self.hand_over();
        let (begun, patience) = (Instant::now(), self.patience.left());
        while self.is_given && !self.is_ahead {
            match self.reports.recv_timeout(patience.saturating_sub(begun.elapsed())) {
                Ok(report) => self.note(report),
                Err(RecvTimeoutError::Timeout) => self.set_bad(Trouble::Slow),
                Err(RecvTimeoutError::Disconnected) => self.set_bad(Trouble::Failed),
            }
        }
        self.patience.spend(begun.elapsed());
        if self.gathered.bytes() > limits::LOG_WAITING {
            self.gathered.leave_lines_out();
        }
        // What came between the last look and the sign that nobody waits any more woke nobody.
        self.hear();
    }

    /// Keeps as much as is said here from now on.
    pub fn set(&self, logging: Logging) {
        // Whoever writes next finds out if nobody is there.
        let _ = self.to_writer.send(ToWriter::Set(logging));
    }

    /// How long [`Journal::write`] has waited so far.
    pub fn waited(&self) -> Duration {
        self.patience.spent()
    }

    /// Asks for messages that are in the log. What was given to [`Journal::write`] in this turn or later may be missing.
    pub fn ask(&self, query: Query) {
        self.reader.ask(query);
    }

    /// What the log has given since this was last asked. The loop is woken for each.
    pub fn found(&self) -> impl Iterator<Item = Found> + '_ {
        self.reader.found()
    }

    /// Why the log is not being kept, if it is not. This is to be asked again when the loop is woken, and at
    /// [`Journal::next_look`].
    pub fn trouble(&mut self) -> Option<Trouble> {
        self.hear();
        if self.next_look() == Some(Duration::ZERO) {
            info!("history is being kept again");
            self.trouble = None;
            self.is_ahead = false;
            self.in_trouble.store(false, Ordering::SeqCst);
        }
        self.trouble
    }

    /// How it stands with the log of a room, if that has changed since this was last asked.
    pub fn keeping(&mut self) -> Option<Keeping> {
        self.keeping.pop_front()
    }

    /// In how long the trouble will be over, if nothing happens.
    pub fn next_look(&self) -> Option<Duration> {
        let is_well = self.in_time && !self.is_given && self.gathered.is_empty();
        let left = limits::LOG_STEADY.saturating_sub(self.bad.elapsed());
        (self.trouble.is_some() && is_well).then_some(left)
    }

    /// Gives the thread what there is, unless it has something to do. So what waits is merged by rooms, however many turns
    /// it takes.
    fn hand_over(&mut self) {
        if !self.is_given && !self.gathered.is_empty() {
            self.is_given = true;
            if self.to_writer.send(ToWriter::Write(std::mem::take(&mut self.gathered))).is_err() {
                self.set_bad(Trouble::Failed);
            }
        }
    }

    fn hear(&mut self) {
        while let Ok(report) = self.reports.try_recv() {
            self.note(report);
        }
        self.hand_over();
    }

    fn note(&mut self, report: ToJournal) {
        let report = match report {
            ToJournal::Report(report) => report,
            ToJournal::Keeping(keeping) => return self.keeping.push_back(keeping),
        };
        self.is_given &= !report.is_of_batch;
        match report.failing {
            _ if report.took >= limits::LOG_WAIT => self.set_bad(report.failing.unwrap_or(Trouble::Slow)),
            Some(why) => self.set_failing(why),
            None if report.took > limits::LOG_QUICK && self.trouble.is_some() => self.bad = Instant::now(),
            None => self.in_time = true,
        }
    }

    /// Nothing waits for the log any more.
    fn set_bad(&mut self, why: Trouble) {
        self.is_ahead = true;
        self.set_failing(why);
    }

    /// The log is not being kept, though it may be that it can still be waited for: other rooms are written.
    fn set_failing(&mut self, why: Trouble) {
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
        self.in_trouble.store(true, Ordering::SeqCst);
    }
}

impl Drop for Journal {
    fn drop(&mut self) {
        let last = std::mem::take(&mut self.gathered);
        let ended = self.to_writer.send(ToWriter::Write(last)).and_then(|()| self.to_writer.send(ToWriter::End));
        if ended.is_err() | self.thread.take().is_some_and(|thread| thread.join().is_err()) {
            error!("the log's thread failed");
        }
    }
}

/// How long the loop may wait for the log: [`limits::LOG_WAIT`] at once, and no more than that in any
/// [`limits::LOG_STEADY`], so that a disk which is always a little late is late.
#[derive(Debug)]
pub(crate) struct Patience {
    left: Duration,
    at: Instant,
    /// How long the loop has waited so far, in all.
    spent: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        Self { left: limits::LOG_WAIT, at: Instant::now(), spent: Duration::ZERO }
    }
}

impl Patience {
    pub(crate) fn left(&mut self) -> Duration {
        let share = limits::LOG_WAIT.div_duration_f64(limits::LOG_STEADY);
        self.left = (self.left + self.at.elapsed().mul_f64(share)).min(limits::LOG_WAIT);
        self.at = Instant::now();
        self.left.max(limits::LOG_QUICK)
    }

    pub(crate) fn spent(&self) -> Duration {
        self.spent
    }

    pub(crate) fn spend(&mut self, waited: Duration) {
        self.spent += waited;
        if waited > limits::LOG_QUICK {
            self.left = self.left.saturating_sub(waited);
        }
    }
}
