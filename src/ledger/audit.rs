//! The audit log: a line for each thing that an operator did and that changed something. When it has half of what a log may have, it
//! becomes `audit.log.1` in place of the one before, and a new one begins.

use std::borrow::Cow;
use std::collections::VecDeque;
use std::fs::{self, File};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use log::warn;

use crate::home::{denied, open_regular, private};
use crate::limits;
use crate::time::in_seconds;

/// The file, of which nothing is kept open: somebody may move it away.
#[derive(Debug)]
pub struct AuditLog {
    path: PathBuf,
    /// Bytes at which it becomes the older one.
    half: u64,
    /// Whether it has lines of this process.
    is_begun: bool,
    /// Lines that could not be written, in their order. What comes later waits behind them.
    waiting: VecDeque<Line>,
    /// The file in which the last lines stand, until somebody takes it to sync it.
    pub(super) unsynced: Option<File>,
}

/// The line that tells of a deed.
#[derive(Debug)]
pub(super) struct Line {
    /// All of it, with its line end.
    text: String,
    /// Bytes of it before what an operator wrote, which stands in no other log.
    names: usize,
}

impl Line {
    /// What was done then, with names alone, and what whoever did it wrote.
    pub(super) fn new(at: SystemTime, deed: &str, text: &str) -> Self {
        let line = format!("{} {deed} {text}", in_seconds(at));
        Self { names: line.len() - text.len() - 1, text: line.trim_end().to_owned() + "\n" }
    }
}

impl AuditLog {
    /// The one at `path`, which with the older one has at most `max` bytes.
    pub fn new(path: PathBuf, max: u64) -> Self {
        if fs::symlink_metadata(&path).is_ok_and(|data| !data.is_file()) {
            warn!("{} is no file; what operators do is not written down until it is moved away", path.display());
        } else if let Err(e) = open_regular(File::options().read(true).write(true), &path)
            && e.kind() == io::ErrorKind::PermissionDenied
        {
            let why = denied(&path, path.parent().unwrap_or(&path));
            warn!("what operators do is not written down in {}: {why}", path.display());
        }
        Self { path, half: max / 2, is_begun: false, waiting: VecDeque::new(), unsynced: None }
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// It has at most so many bytes from the next line on.
    pub(super) fn set_max(&mut self, max: u64) {
        self.half = max / 2;
    }

    /// Adds a whole line. If that fails, the line stands in the log of the process at once, as the process may end before the disk
    /// takes it, and waits here. Of more than may wait, the oldest stand in the log of the process alone.
    pub(super) fn append(&mut self, line: Line) {
        let tried = self.catch_up().and_then(|()| self.try_append(&line.text));
        if let Err(e) = tried {
            let deed = &line.text[..line.names];
            warn!("cannot write to {}: {e}; an operator did this: {deed}", self.path.display());
            self.waiting.push_back(line);
            if self.waiting.len() > limits::DEEDS_UNWRITTEN {
                self.waiting.pop_front();
            }
        }
    }

    /// Whether something waits for [`AuditLog::catch_up`].
    pub(super) fn is_behind(&self) -> bool {
        !self.waiting.is_empty()
    }

    /// Writes what waits, as far as the disk takes it.
    pub(super) fn catch_up(&mut self) -> io::Result<()> {
        while let Some(line) = self.waiting.pop_front() {
            if let Err(e) = self.try_append(&line.text) {
                self.waiting.push_front(line);
                return Err(e);
            }
        }
        Ok(())
    }

    fn try_append(&mut self, line: &str) -> io::Result<()> {
        let file = open_regular(private().read(true).write(true).create(true).truncate(false), &self.path)?;
        let begun = file.metadata()?.len();
        if begun == 0 && std::mem::take(&mut self.is_begun) {
            warn!("{} was gone; it is begun anew", self.path.display());
        }
        let mut last = [b'\n'];
        if let Some(at) = begun.checked_sub(1) {
            file.read_exact_at(&mut last, at)?;
        }
        // A crash may have left half a line.
        let line = if last == [b'\n'] { Cow::Borrowed(line) } else { Cow::Owned(format!("\n{line}")) };
        if let Err(e) = file.write_all_at(line.as_bytes(), begun) {
            // Half a line must not stand before what is written next.
            file.set_len(begun)?;
            return Err(e);
        }
        self.is_begun = true;
        if begun + line.len() as u64 >= self.half {
            self.is_begun = false;
            // Nobody syncs the older one any more. The line is written all the same.
            let renamed = file.sync_data().and_then(|()| fs::rename(&self.path, self.path.with_extension("log.1")));
            if let Err(e) = renamed {
                warn!("cannot begin {} anew: {e}", self.path.display());
            }
        }
        self.unsynced = Some(file);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_has_no_more_than_a_log_may_have() {
        let dir = tempfile::tempdir().unwrap();
        let (path, older) = (dir.path().join("audit.log"), dir.path().join("audit.log.1"));
        let mut audit = AuditLog::new(path.clone(), 2_000);
        let len = |path: &PathBuf| fs::metadata(path).map_or(0, |data| data.len());
        for n in 0..500 {
            audit.append(Line::new(SystemTime::UNIX_EPOCH, &format!("server ctl kill guest{n}"), ""));
            assert!(len(&path) + len(&older) <= 2_000 + 50, "after {n}");
        }
        let text = [older, path].map(|path| fs::read_to_string(path).unwrap_or_default()).concat();
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines.last(), Some(&"1970-01-01T00:00:00Z server ctl kill guest499"));
        // The last of them are all there.
        let first = 500 - lines.len();
        let want = |n| format!("1970-01-01T00:00:00Z server ctl kill guest{n}");
        assert!(lines.len() > 20 && lines.iter().enumerate().all(|(n, line)| **line == want(first + n)));
    }

    #[test]
    fn what_waits_for_the_disk_is_bounded_and_comes_in_its_order() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("audit.log");
        let mut audit = AuditLog::new(path.clone(), 2_000_000);
        fs::create_dir(&path).unwrap();
        let most = limits::DEEDS_UNWRITTEN;
        let deed = |text: String| Line::new(SystemTime::UNIX_EPOCH, "server ctl wall", &text);
        (0..most + 10).for_each(|n| audit.append(deed(n.to_string())));
        assert!(audit.is_behind() && audit.catch_up().is_err());
        fs::remove_dir(&path).unwrap();
        audit.append(deed("last".to_owned()));
        let line = |text: &str| format!("1970-01-01T00:00:00Z server ctl wall {text}\n");
        let want: String = (10..most + 10).map(|n| line(&n.to_string())).collect();
        assert_eq!(fs::read_to_string(&path).unwrap(), want + &line("last"));
        assert!(!audit.is_behind());
    }
}
