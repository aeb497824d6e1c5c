//! The ledger: what is owned, and what rooms have for rules, as one file of plain text that a line is added to for each change.
//!
//! A thread of its own writes, and another one syncs. What is noted goes out when it is written, and what is of names when it is
//! synced, so that a slow disk holds up nobody but those who wait for it. The file is written anew when most of it means
//! nothing any more, and when a sync of it has failed, as nobody knows then what the disk has of it.

mod audit;
mod file;
mod format;
mod writer;

use crate::channel::{Receiver, Sender, channel};
use std::io;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant, SystemTime};

use log::error;
use mio::Waker;

pub use audit::AuditLog;
pub use file::{LedgerFile, load, look};
pub use format::{Damage, Reading, encode, parse, read};

use crate::effect::Entered;
use crate::event::Trouble;
use crate::keeper::Keeper;
use crate::limits;
use crate::register::Entry;
use crate::settings::Logging;
use writer::{Syncer, Waiting, Writer};

/// The ways to the threads. What is still to be written is written when this goes.
#[derive(Debug)]
pub struct Ledger {
    lines: Sender<Task>,
    /// Lines of the audit log that wait for the disk.
    deeds: Arc<AtomicUsize>,
    outcomes: Receiver<Entered>,
    reports: Receiver<Report>,
    /// How many lines of the audit log and calls of [`Ledger::note`] have not been reported on.
    noting: usize,
    keeper: Keeper,
    threads: Vec<JoinHandle<()>>,
}

impl Ledger {
    /// Begins to write at the end of a ledger that was loaded, and at the end of the audit log. What need not be there at once is synced within `sync`. Each
    /// outcome wakes `waker`.
    pub fn start(file: LedgerFile, audit: AuditLog, sync: Duration, waker: Arc<Waker>) -> io::Result<Self> {
        let (lines, inbox) = channel();
        let (to_sync, written) = channel();
        let (outcomes, entered) = channel();
        let (reporting, reports) = channel();
        let (deeds, file) = (Arc::<AtomicUsize>::default(), Arc::new(Mutex::new(file)));
        let keeper = Keeper::new("rules and bans are");
        let syncer = Syncer {
            file: Arc::clone(&file),
            sync,
            unsynced: None,
            deeds: None,
            audit: audit.path().to_owned(),
            outcomes,
            reports: reporting.clone(),
            to_writer: lines.clone(),
            waker: Arc::clone(&waker),
        };
        let writer = Writer {
            file,
            audit,
            deeds: Arc::clone(&deeds),
            to_sync,
            reports: reporting,
            waker,
            waiting: Waiting::default(),
            again: Instant::now(),
            failing: None,
            in_trouble: keeper.in_trouble(),
        };
        let threads = vec![
            thread::Builder::new().name("ledger-sync".into()).spawn(move || syncer.run(&written))?,
            thread::Builder::new().name("ledger".into()).spawn(move || writer.run(&inbox))?,
        ];
        Ok(Self { lines, deeds, outcomes: entered, reports, noting: 0, keeper, threads })
    }

    /// Has entries written down and synced, all of them or none. There is one outcome of each call.
    pub fn write(&self, entries: &[Entry]) {
        self.give(Task::Enter(encoded(entries)));
    }

    /// Has entries written down. They are synced later. What cannot be written waits for it, and is tried again.
    pub fn note(&mut self, entries: &[Entry]) {
        self.noting += 1;
        self.give(Task::Note(encoded(entries)));
    }

    /// Has it written down what an operator has done at this time, with names alone, and their own words. What the disk does not take stands in the log of the process
    /// too, and is tried again. Nothing is left out, so operators are to do nothing more while [`Ledger::takes_deeds`] says no.
    pub fn audit(&mut self, at: SystemTime, deed: &str, text: &str) {
        self.deeds.fetch_add(1, Ordering::Relaxed);
        self.noting += 1;
        self.give(Task::Audit(audit::Line::new(at, deed, text)));
    }

    /// Keeps as much of the audit log, and syncs as soon, as is said here from now on.
    pub fn set(&self, logging: Logging) {
        self.give(Task::Set(logging));
    }

    /// Returns when all that was noted is written, so that whoever kills the process undoes nothing that people were told; and when that
    /// takes too long. Then there is trouble, and nothing waits any more until it is over.
    pub fn settle(&mut self) {
        self.hear();
        if self.noting == 0 || self.keeper.is_ahead() {
            return;
        }
        let wait = self.keeper.begin();
        while self.noting > 0
            && let Some(report) = self.keeper.next(&self.reports, wait)
        {
            self.note_report(report);
        }
        self.keeper.end(wait);
        if self.noting > 0 {
            // The thread may have done all of it in this moment, and is to find out whether the disk is well.
            self.give(Task::TryAgain);
        }
    }

    /// How long [`Ledger::settle`] has waited so far.
    pub fn waited(&self) -> Duration {
        self.keeper.waited()
    }

    /// Why what was noted is not being kept, if it is not. This is to be asked again when the loop is woken, and at [`Ledger::next_look`].
    pub fn trouble(&mut self) -> Option<Trouble> {
        self.hear();
        self.keeper.trouble(self.noting == 0)
    }

    /// In how long the trouble will be over, if nothing happens.
    pub fn next_look(&self) -> Option<Duration> {
        self.keeper.next_look(self.noting == 0)
    }

    fn hear(&mut self) {
        while let Ok(report) = self.reports.try_recv() {
            self.note_report(report);
        }
    }

    fn note_report(&mut self, report: Report) {
        self.noting -= usize::from(report.is_of_task);
        self.keeper.note(report.failing, report.took);
    }

    /// Has the ledger made anew if somebody has swept it away, or put another in its place.
    pub fn look(&self) {
        self.give(Task::Look);
    }

    /// Whether the audit log keeps up. If not, the waker is woken when half of what waits is written.
    pub fn takes_deeds(&self) -> bool {
        self.deeds.load(Ordering::Relaxed) < limits::DEEDS
    }

    fn give(&self, task: Task) {
        if self.lines.send(task).is_err() {
            error!("the ledger's thread is gone: nothing is written down any more");
        }
    }

    /// What has come of [`Ledger::write`] since this was last asked, in the order of the calls.
    pub fn outcomes(&self) -> impl Iterator<Item = Entered> + '_ {
        self.outcomes.try_iter()
    }
}

impl Drop for Ledger {
    fn drop(&mut self) {
        self.give(Task::End);
        if self.threads.drain(..).any(|thread| thread.join().is_err()) {
            error!("a thread of the ledger failed");
        }
    }
}

/// Something for the thread that writes.
#[derive(Debug)]
enum Task {
    /// Lines that are added with one write, and synced.
    Enter(String),
    /// Lines that are added with one write.
    Note(String),
    /// A line for the audit log.
    Audit(audit::Line),
    /// How much is kept from now on.
    Set(Logging),
    /// Something may be well again, or is not any more.
    TryAgain,
    /// Somebody may have swept the ledger away.
    Look,
    /// Write what there is, once more, and end.
    End,
}

/// How it stands.
#[derive(Clone, Copy, Debug)]
struct Report {
    /// Whether this is the report on a line of the audit log or on a call of [`Ledger::note`]. There is one on each.
    is_of_task: bool,
    /// What stands in the way of all that is not written.
    failing: Option<Trouble>,
    /// How long the last try took.
    took: Duration,
}

fn encoded(entries: &[Entry]) -> String {
    let mut text = String::new();
    entries.iter().for_each(|entry| encode(&mut text, entry));
    text
}
