//! The log of the process, on standard error. A thread of its own writes it, so that whoever reads it slowly, or not at all,
//! holds nobody up: what there is no room for is left out and counted.

use std::fmt::Display;
use std::io::{self, Write};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, SystemTime};

use log::Level;
use rustix::fs::fstat;

use crate::limits;
use crate::text::counted;
use crate::time::in_seconds;

/// How a line of the log looks.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Form {
    /// As people read it: when, how bad, and what.
    Plain,
    /// As systemd's journal takes it, which knows by itself when that was.
    Journal,
}

impl Form {
    /// The form for standard error: the journal's if the journal has it, and it was led nowhere else since.
    pub fn of_stderr() -> Self {
        let stream = std::env::var("JOURNAL_STREAM").unwrap_or_default();
        let is_it = fstat(io::stderr()).is_ok_and(|stat| stream == format!("{}:{}", stat.st_dev, stat.st_ino));
        if is_it { Self::Journal } else { Self::Plain }
    }

    /// A line without its end.
    pub fn line(self, at: SystemTime, level: Level, text: impl Display) -> String {
        match self {
            Self::Plain => format!("{} {level:5} {text}", in_seconds(at)),
            Self::Journal => format!("{}{text}", self.lead(level)),
        }
    }

    /// What a line begins with that has no time and no level in words.
    pub fn lead(self, level: Level) -> &'static str {
        match (self, level) {
            (Self::Plain, _) => "",
            (Self::Journal, Level::Error) => "<3>",
            (Self::Journal, Level::Warn) => "<4>",
            (Self::Journal, Level::Info) => "<6>",
            (Self::Journal, Level::Debug | Level::Trace) => "<7>",
        }
    }
}

/// The way to the thread, which lives as long as the process.
#[derive(Clone, Debug)]
pub struct Stderr(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    queue: Mutex<Queue>,
    /// Tells that the queue is not what it was.
    changed: Condvar,
}

#[derive(Debug, Default)]
struct Queue {
    /// Whole lines that are to be written.
    lines: Vec<u8>,
    /// How many were left out after these.
    left_out: usize,
    /// Whether the thread has some that it has not written yet.
    is_writing: bool,
}

impl Stderr {
    /// Begins to write. What it has to say itself, it says in this form.
    pub fn start(form: Form) -> io::Result<Self> {
        let shared = Arc::new(Shared::default());
        let stderr = Self(Arc::clone(&shared));
        thread::Builder::new().name("stderr".into()).spawn(move || shared.write(form))?;
        Ok(stderr)
    }

    /// Waits until all is written, but not for long: nobody may be reading.
    pub fn finish(&self) {
        let queue = self.0.queue();
        let is_pending = |queue: &mut Queue| queue.is_writing || !queue.lines.is_empty();
        let _ = self.0.changed.wait_timeout_while(queue, Duration::from_secs(1), is_pending);
    }
}

impl Write for Stderr {
    /// Takes a line, or leaves it out.
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        let mut queue = self.0.queue();
        if queue.left_out > 0 || queue.lines.len() + line.len() > limits::STDERR_WAITING {
            queue.left_out += 1;
        } else {
            queue.lines.extend_from_slice(line);
        }
        self.0.changed.notify_all();
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Shared {
    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self, form: Form) {
        let mut queue = self.queue();
        loop {
            queue.is_writing = false;
            self.changed.notify_all();
            let wait = self.changed.wait_while(queue, |queue| queue.lines.is_empty() && queue.left_out == 0);
            queue = wait.unwrap_or_else(PoisonError::into_inner);
            queue.is_writing = true;
            let (lines, left_out) = (std::mem::take(&mut queue.lines), std::mem::take(&mut queue.left_out));
            drop(queue);
            // Where nobody listens there is nobody to tell.
            let _ = io::stderr().write_all(&lines);
            if left_out > 0 {
                let left_out = counted(left_out as u64, "line");
                let lead = form.lead(Level::Warn);
                let _ = writeln!(io::stderr(), "{lead}left out here, as nobody read what came before: {left_out}");
            }
            queue = self.queue();
        }
    }
}
