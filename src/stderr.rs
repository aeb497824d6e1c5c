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
        let mut sink = Sink { to: io::stderr(), form, unwritten: 0, is_torn: false };
        let mut queue = self.queue();
        loop {
            queue.is_writing = false;
            self.changed.notify_all();
            let wait = self.changed.wait_while(queue, |queue| queue.lines.is_empty() && queue.left_out == 0);
            queue = wait.unwrap_or_else(PoisonError::into_inner);
            queue.is_writing = true;
            let (lines, left_out) = (std::mem::take(&mut queue.lines), std::mem::take(&mut queue.left_out));
            drop(queue);
            sink.put(&lines, left_out);
            queue = self.queue();
        }
    }
}

/// Where the lines go, and what of them it did not take, as a full disk does not.
struct Sink<W> {
    to: W,
    form: Form,
    /// Lines that are to be told of with the next that are written.
    unwritten: usize,
    /// Whether the last one that was begun has no end.
    is_torn: bool,
}

impl<W: Write> Sink<W> {
    /// Writes lines, and how many were left out behind them.
    fn put(&mut self, lines: &[u8], left_out: usize) {
        let told = |why: &str, count: usize| match count {
            0 => String::new(),
            _ => format!("{}left out here, as {why}: {}\n", self.form.lead(Level::Warn), counted(count as u64, "line")),
        };
        let begin = if self.is_torn { "\n" } else { "" };
        let begin = format!("{begin}{}", told("it could not be written", self.unwritten));
        let all = [begin.as_bytes(), lines, told("nobody read what came before", left_out).as_bytes()].concat();
        let mut done = 0;
        while done < all.len() {
            match self.to.write(&all[done..]) {
                Ok(written) if written > 0 => done += written,
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                _ => break,
            }
        }
        if done >= begin.len() {
            self.unwritten = 0;
        }
        if done < all.len() {
            let rest = &all[done.max(begin.len())..];
            self.unwritten += rest.iter().filter(|&&byte| byte == b'\n').count() + left_out.saturating_sub(1);
        }
        self.is_torn = all[..done].last().map_or(self.is_torn, |&last| last != b'\n');
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A disk that has room for so many bytes.
    struct Disk {
        has: Vec<u8>,
        room: usize,
    }

    impl Write for &mut Disk {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let taken = bytes.len().min(self.room - self.has.len());
            self.has.extend_from_slice(&bytes[..taken]);
            if taken > 0 { Ok(taken) } else { Err(io::ErrorKind::StorageFull.into()) }
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn what_a_full_disk_does_not_take_is_counted_and_the_next_line_begins_anew() {
        let told = |count| format!("left out here, as it could not be written: {count}\n");
        for (room, want) in [
            (0, format!("{}six\n", told("5 lines"))),
            (4, format!("one\n{}six\n", told("4 lines"))),
            (6, format!("one\ntw\n{}six\n", told("4 lines"))),
            (7, format!("one\ntwo\n{}six\n", told("4 lines"))),
            (8, format!("one\ntwo\n{}six\n", told("3 lines"))),
        ] {
            let mut disk = Disk { has: Vec::new(), room };
            let mut sink = Sink { to: &mut disk, form: Form::Plain, unwritten: 0, is_torn: false };
            sink.put(b"one\ntwo\n", 0);
            sink.put(b"three\n", 2);
            sink.to.room = usize::MAX;
            sink.put(b"six\n", 0);
            assert_eq!(String::from_utf8(disk.has).unwrap(), want, "{room}");
        }
    }
}
