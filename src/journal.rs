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

use crate::channel::{Receiver, Sender, channel};
use std::collections::VecDeque;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use log::error;
use mio::Waker;

pub use format::{Reading, encode, parse, read};
pub use logs::{Logs, load, look};

use self::batch::Batch;
use self::reader::Reader;
use self::writer::{ToJournal, ToWriter, Writer};
use crate::effect::{Found, Query, Record};
use crate::event::{Keeping, Trouble};
use crate::home::Hold;
use crate::keeper::Keeper;
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
    keeper: Keeper,
    /// How it stands with single rooms, where that has changed and nobody has been told.
    keeping: VecDeque<Keeping>,
    reader: Reader,
}

impl Journal {
    /// Begins to log in `folder`, which `hold` keeps for us. The loop is woken through `waker` when something becomes known that it does not wait for.
    pub fn start(folder: PathBuf, hold: Option<Arc<Hold>>, logging: Logging, waker: Arc<Waker>) -> io::Result<Self> {
        let (to_writer, inbox) = channel();
        let (outbox, reports) = channel();
        let keeper = Keeper::new("history is");
        let reader = Reader::start(folder.clone(), Arc::clone(&waker))?;
        let logs = Logs::new(folder, logging.max, hold);
        let writer = Writer::new(logs, logging.sync, to_writer.clone(), outbox, keeper.in_trouble(), waker)?;
        let thread = thread::Builder::new().name("log".into()).spawn(move || writer.run(&inbox))?;
        Ok(Self {
            to_writer,
            reports,
            thread: Some(thread),
            gathered: Batch::default(),
            is_given: false,
            keeper,
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
        let wait = self.keeper.begin();
        while self.is_given
            && let Some(report) = self.keeper.next(&self.reports, wait)
        {
            self.note(report);
        }
        self.keeper.end(wait);
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
        self.keeper.waited()
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
        self.keeper.trouble(self.is_all_written())
    }

    /// How it stands with the log of a room, if that has changed since this was last asked.
    pub fn keeping(&mut self) -> Option<Keeping> {
        self.keeping.pop_front()
    }

    /// In how long the trouble will be over, if nothing happens.
    pub fn next_look(&self) -> Option<Duration> {
        self.keeper.next_look(self.is_all_written())
    }

    fn is_all_written(&self) -> bool {
        !self.is_given && self.gathered.is_empty()
    }

    /// Gives the thread what there is, unless it has something to do. So what waits is merged by rooms, however many turns
    /// it takes.
    fn hand_over(&mut self) {
        if !self.is_given && !self.gathered.is_empty() {
            self.is_given = true;
            if self.to_writer.send(ToWriter::Write(std::mem::take(&mut self.gathered))).is_err() {
                self.keeper.set_bad(Trouble::Failed);
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
        self.keeper.note(report.failing, report.took);
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
