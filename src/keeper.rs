//! Whether what a thread writes down is there before people hear of it: how long the loop waits for the thread, why something is not
//! being kept, and when it is kept again.

use crate::channel::Receiver;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::RecvTimeoutError;
use std::time::{Duration, Instant};

use log::{info, warn};

use crate::event::Trouble;
use crate::home::is_full;
use crate::limits;

/// What people are told of a disk on which something failed so.
pub(crate) fn trouble(e: &io::Error) -> Trouble {
    if is_full(e) { Trouble::Full } else { Trouble::Failed }
}

/// How it stands with what one thread writes.
#[derive(Debug)]
pub(crate) struct Keeper {
    /// What that is, with its verb, for the log of the process.
    what: &'static str,
    /// Why it is not being kept, if it is not.
    trouble: Option<Trouble>,
    /// Whether it is in trouble, for the thread: it must wake the loop then, and find out when the disk is well again.
    in_trouble: Arc<AtomicBool>,
    /// Whether people hear of it before it is written.
    is_ahead: bool,
    /// When it was last late or failed.
    bad: Instant,
    /// Whether it was written in time since then.
    in_time: bool,
    patience: Patience,
}

/// A wait of the loop's: when it began, and how long it may be.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Wait(Instant, Duration);

impl Keeper {
    pub(crate) fn new(what: &'static str) -> Self {
        let (in_trouble, patience) = (Arc::default(), Patience::default());
        Self { what, trouble: None, in_trouble, is_ahead: false, bad: Instant::now(), in_time: true, patience }
    }

    /// Whether there is trouble, for the thread.
    pub(crate) fn in_trouble(&self) -> Arc<AtomicBool> {
        Arc::clone(&self.in_trouble)
    }

    /// Whether nobody waits for it.
    pub(crate) fn is_ahead(&self) -> bool {
        self.is_ahead
    }

    pub(crate) fn begin(&mut self) -> Wait {
        Wait(Instant::now(), self.patience.left())
    }

    /// What the thread reports next; nothing when that takes too long, and while nobody waits for it.
    pub(crate) fn next<R>(&mut self, reports: &Receiver<R>, wait: Wait) -> Option<R> {
        if self.is_ahead {
            return None;
        }
        let next = reports.recv_timeout(wait.1.saturating_sub(wait.0.elapsed()));
        next.inspect_err(|e| match e {
            RecvTimeoutError::Timeout => self.set_bad(Trouble::Slow),
            RecvTimeoutError::Disconnected => self.set_bad(Trouble::Failed),
        })
        .ok()
    }

    pub(crate) fn end(&mut self, wait: Wait) {
        self.patience.spend(wait.0.elapsed());
    }

    /// How long the loop has waited so far.
    pub(crate) fn waited(&self) -> Duration {
        self.patience.spent
    }

    /// Notes what came of a try to write that took so long: what stands in the way of all that is not written.
    pub(crate) fn note(&mut self, failing: Option<Trouble>, took: Duration) {
        match failing {
            _ if took >= limits::LOG_WAIT => self.set_bad(failing.unwrap_or(Trouble::Slow)),
            Some(why) => self.set_failing(why),
            None if took > limits::LOG_QUICK && self.trouble.is_some() => self.bad = Instant::now(),
            None => self.in_time = true,
        }
    }

    /// Why it is not being kept, if it is not. This is to be asked again when the loop is woken, and at [`Keeper::next_look`].
    pub(crate) fn trouble(&mut self, is_all_written: bool) -> Option<Trouble> {
        if self.next_look(is_all_written) == Some(Duration::ZERO) {
            info!("{} being kept again", self.what);
            self.trouble = None;
            self.is_ahead = false;
            self.in_trouble.store(false, Ordering::SeqCst);
        }
        self.trouble
    }

    /// In how long the trouble will be over, if nothing happens.
    pub(crate) fn next_look(&self, is_all_written: bool) -> Option<Duration> {
        let left = limits::LOG_STEADY.saturating_sub(self.bad.elapsed());
        (self.trouble.is_some() && self.in_time && is_all_written).then_some(left)
    }

    /// Nothing waits for it any more.
    pub(crate) fn set_bad(&mut self, why: Trouble) {
        self.is_ahead = true;
        self.set_failing(why);
    }

    /// It is not being kept, though it may be that it can still be waited for.
    fn set_failing(&mut self, why: Trouble) {
        if self.trouble.is_none() {
            let cause = match why {
                Trouble::Full => {
                    "the disk is full (df -h, and df -i); make room on it, or let shared files take less with --spool; then it is kept again"
                }
                Trouble::Failed => "the disk fails",
                Trouble::Slow => "the disk is too slow",
            };
            warn!("{} not being kept: {cause}", self.what);
        }
        self.trouble = Some(why);
        self.bad = Instant::now();
        self.in_time = false;
        self.in_trouble.store(true, Ordering::SeqCst);
    }
}

/// How long the loop may wait: [`limits::LOG_WAIT`] at once, and no more than that in any [`limits::LOG_STEADY`], so that a disk which is
/// always a little late is late.
#[derive(Debug)]
struct Patience {
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
    fn left(&mut self) -> Duration {
        let share = limits::LOG_WAIT.div_duration_f64(limits::LOG_STEADY);
        self.left = (self.left + self.at.elapsed().mul_f64(share)).min(limits::LOG_WAIT);
        self.at = Instant::now();
        self.left.max(limits::LOG_QUICK)
    }

    fn spend(&mut self, waited: Duration) {
        self.spent += waited;
        if waited > limits::LOG_QUICK {
            self.left = self.left.saturating_sub(waited);
        }
    }
}
