//! The ledger: what is owned, and what rooms have for rules, as one file of plain text that a line is added to for each change.
//!
//! A thread of its own writes and syncs, so that a slow disk holds nobody up but those who wait for it. The file is written
//! anew when most of it means nothing any more.

mod audit;
mod format;

use std::fs::{self, File};
use std::io::{self, Read};
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant, SystemTime};

use log::{error, info, warn};
use mio::Waker;

pub use audit::AuditLog;
pub use format::{Damage, Reading, encode, parse, read};

use crate::effect::Entered;
use crate::home::{Durability, give_way, make_folder, open_regular, private, replace};
use crate::limits;
use crate::register::{Entry, Register};
use crate::time::Day;

/// The ways to the thread. What is still to be written is written when this goes.
#[derive(Debug)]
pub struct Ledger {
    lines: Option<Sender<Task>>,
    /// Lines of the audit log that wait for the disk.
    deeds: Arc<AtomicUsize>,
    outcomes: Receiver<Entered>,
    thread: Option<JoinHandle<()>>,
}

impl Ledger {
    /// Begins to write at the end of a ledger that was loaded, and at the end of the audit log. What need not be there at once is synced within `sync`. Each
    /// outcome wakes `waker`.
    pub fn start(file: LedgerFile, audit: AuditLog, sync: Duration, waker: Arc<Waker>) -> io::Result<Self> {
        let (lines, inbox) = channel();
        let (done, outcomes) = channel();
        let deeds = Arc::<AtomicUsize>::default();
        let writer = Writer { file, audit, deeds: Arc::clone(&deeds), sync, unsynced: None };
        let thread = thread::Builder::new().name("ledger".into()).spawn(move || writer.run(&inbox, &done, &waker))?;
        Ok(Self { lines: Some(lines), deeds, outcomes, thread: Some(thread) })
    }

    /// Has entries written down, all of them or none. There is one outcome of each call.
    pub fn write(&self, entries: &[Entry]) {
        self.give(Task::Enter(Lines::of(entries)));
    }

    /// Has it written down what an operator has done at this time. What the disk does not take stands in the log of the process.
    /// Nothing is left out, so operators are to do nothing more while [`Ledger::takes_deeds`] says no.
    pub fn audit(&self, at: SystemTime, deed: &str) {
        self.deeds.fetch_add(1, Ordering::Relaxed);
        self.give(Task::Audit(audit::line(at, deed)));
    }

    /// Whether the audit log keeps up. If not, the waker is woken when half of what waits is written.
    pub fn takes_deeds(&self) -> bool {
        self.deeds.load(Ordering::Relaxed) < limits::DEEDS
    }

    fn give(&self, task: Task) {
        if self.lines.as_ref().is_none_or(|thread| thread.send(task).is_err()) {
            error!("the ledger's thread is gone: nothing is written down any more");
        }
    }

    /// What has come of writing since this was last asked, in the order of the calls.
    pub fn outcomes(&self) -> impl Iterator<Item = Entered> + '_ {
        self.outcomes.try_iter()
    }
}

impl Drop for Ledger {
    fn drop(&mut self) {
        self.lines = None;
        if self.thread.take().is_some_and(|thread| thread.join().is_err()) {
            error!("the ledger's thread failed");
        }
    }
}

/// Something for the thread.
#[derive(Debug)]
enum Task {
    Enter(Lines),
    /// A line for the audit log.
    Audit(String),
}

/// What is to be added to the ledger, with one write.
#[derive(Debug)]
struct Lines {
    text: String,
    /// Whether people are told of it when it is on the disk, and not before.
    durability: Durability,
}

impl Lines {
    fn of(entries: &[Entry]) -> Self {
        let mut text = String::new();
        entries.iter().for_each(|entry| encode(&mut text, entry));
        Self { text, durability: durability(entries) }
    }
}

/// When entries that are written together must be on the disk. What is written before them is there with them.
pub fn durability(entries: &[Entry]) -> Durability {
    if entries.iter().any(is_of_name) { Durability::Sync } else { Durability::Soon }
}

/// The file, open at its end.
#[derive(Debug)]
pub struct LedgerFile {
    path: PathBuf,
    file: File,
    /// Bytes of it that are whole lines.
    len: u64,
    /// Bytes that it had when it said nothing twice.
    needed: u64,
    /// Whether there may be half a line behind the whole ones.
    is_torn: bool,
}

/// Reads a ledger and writes it anew, without what means nothing any more. An error says what stands in the way.
pub fn load(path: &Path, now: SystemTime) -> io::Result<(Register, LedgerFile)> {
    let bytes = match open_regular(File::options().read(true), path) {
        Ok(mut file) => {
            let mut bytes = Vec::new();
            file.read_to_end(&mut bytes)?;
            bytes
        }
        Err(e) if e.kind() == io::ErrorKind::NotFound => Vec::new(),
        Err(e) => return Err(e),
    };
    let reading = read(&bytes).map_err(io::Error::other)?;
    if reading.good < bytes.len() {
        set_aside(path, &bytes[reading.good..])?;
    }
    let mut register = Register::default();
    for (n, entry) in reading.entries.into_iter().enumerate() {
        register.apply(entry);
        if register.len() > limits::NAMES {
            let most = limits::NAMES;
            return Err(io::Error::other(format!(
                "line {} of it is about one name more than {most}; remove some",
                n + 1
            )));
        }
    }
    register.forget_held(Day::of(now));
    info!("names in {}: {}", path.display(), register.len());
    let file = LedgerFile::write_anew(path, &register, now)?;
    Ok((register, file))
}

/// Moves what was torn off at the end of a ledger to a file of its own.
fn set_aside(path: &Path, torn: &[u8]) -> io::Result<()> {
    let mut paths = (1..).map(|n: u32| path.with_file_name(format!("ledger.damaged-{n}")));
    let opened = paths.find_map(|path| match private().write(true).create_new(true).open(&path) {
        Err(e) if e.kind() == io::ErrorKind::AlreadyExists => None,
        opened => Some(opened.map(|file| (path, file))),
    });
    let (aside, file) = opened.unwrap_or_else(|| Err(io::ErrorKind::AlreadyExists.into()))?;
    file.write_all_at(torn, 0).and_then(|()| file.sync_all())?;
    warn!("the ledger was damaged: its last {} bytes are now in {}", torn.len(), aside.display());
    Ok(())
}

impl LedgerFile {
    /// Replaces the ledger by one that says all of this once.
    fn write_anew(path: &Path, register: &Register, now: SystemTime) -> io::Result<Self> {
        let mut text = String::new();
        register.entries(Day::of(now)).for_each(|entry| encode(&mut text, &entry));
        replace(path, text.as_bytes(), Durability::Sync)?;
        let file = open_regular(File::options().read(true).write(true), path)?;
        let len = text.len() as u64;
        Ok(Self { path: path.to_owned(), file, len, needed: len, is_torn: false })
    }

    /// Adds lines at its end. An error leaves it as it was.
    fn append(&mut self, lines: &str, durability: Durability) -> io::Result<()> {
        if self.is_torn {
            // Nothing may follow half a line.
            self.file.set_len(self.len)?;
            self.is_torn = false;
        }
        if !self.is_in_place() {
            warn!("{} was gone or is another; it is made anew", self.path.display());
            self.compact()?;
        }
        let written = self.file.write_all_at(lines.as_bytes(), self.len).and_then(|()| match durability {
            Durability::Sync => self.file.sync_data(),
            Durability::Soon => Ok(()),
        });
        match written {
            Ok(()) => self.len += lines.len() as u64,
            Err(_) => self.is_torn = self.file.set_len(self.len).is_err(),
        }
        written
    }

    /// Whether it is still what stands in its place: somebody may have swept it away.
    fn is_in_place(&self) -> bool {
        let here = self.file.metadata().and_then(|here| Ok((here, fs::metadata(&self.path)?)));
        here.is_ok_and(|(here, there)| (here.dev(), here.ino()) == (there.dev(), there.ino()))
    }

    /// Writes it anew, if most of it means nothing any more.
    fn shrink(&mut self) {
        if self.len < limits::LEDGER_LEAST.max(2 * self.needed) {
            return;
        }
        let before = self.len;
        match self.compact() {
            Ok(()) => info!("the ledger has {} bytes again, and had {before}", self.len),
            Err(e) => {
                warn!("cannot write the ledger anew: {e}");
                // It is tried again when it has grown as much once more.
                self.needed = before;
            }
        }
    }

    fn compact(&mut self) -> io::Result<()> {
        let mut bytes = vec![0; usize::try_from(self.len).map_err(io::Error::other)?];
        self.file.read_exact_at(&mut bytes, 0)?;
        let mut register = Register::default();
        read(&bytes).map_err(io::Error::other)?.entries.into_iter().for_each(|entry| register.apply(entry));
        self.path.parent().map_or(Ok(()), make_folder)?;
        *self = Self::write_anew(&self.path, &register, SystemTime::now())?;
        Ok(())
    }
}

/// The thread that writes.
struct Writer {
    file: LedgerFile,
    audit: AuditLog,
    deeds: Arc<AtomicUsize>,
    /// How much of what need not be there at once a loss of power may cost.
    sync: Duration,
    /// Since when something is written that is not synced.
    unsynced: Option<Instant>,
}

impl Writer {
    fn run(mut self, inbox: &Receiver<Task>, outcomes: &Sender<Entered>, waker: &Waker) {
        give_way();
        loop {
            let lines = match self.unsynced.map(|since| self.sync.saturating_sub(since.elapsed())) {
                Some(left) => inbox.recv_timeout(left),
                None => inbox.recv().map_err(|_| RecvTimeoutError::Disconnected),
            };
            match lines {
                Ok(Task::Audit(line)) => {
                    self.audit.append(&line);
                    if self.deeds.fetch_sub(1, Ordering::Relaxed) == limits::DEEDS / 2 {
                        wake(waker);
                    }
                }
                Ok(Task::Enter(lines)) => {
                    if outcomes.send(self.write(&lines)).is_err() {
                        break;
                    }
                    wake(waker);
                    self.file.shrink();
                }
                Err(RecvTimeoutError::Timeout) => self.sync_late(),
                Err(RecvTimeoutError::Disconnected) => break,
            }
        }
        if self.unsynced.is_some() {
            self.sync_late();
        }
    }

    fn write(&mut self, lines: &Lines) -> Entered {
        let durability = if self.sync.is_zero() { Durability::Sync } else { lines.durability };
        if let Err(e) = self.file.append(&lines.text, durability) {
            warn!("cannot write to {}: {e}", self.file.path.display());
            return Entered::Failed;
        }
        match durability {
            // What was written before is synced with it.
            Durability::Sync => self.unsynced = None,
            Durability::Soon => drop(self.unsynced.get_or_insert_with(Instant::now)),
        }
        Entered::Written
    }

    fn sync_late(&mut self) {
        self.unsynced = None;
        if let Err(e) = self.file.file.sync_data() {
            warn!("cannot sync {}: {e}", self.file.path.display());
        }
    }
}

fn wake(waker: &Waker) {
    if let Err(e) = waker.wake() {
        error!("cannot wake the reactor: {e}");
    }
}

/// Whether an entry is about who owns a name, of which people have been told when it is on the disk and not before.
fn is_of_name(entry: &Entry) -> bool {
    match entry {
        Entry::Name { .. }
        | Entry::Token { .. }
        | Entry::Untoken(_)
        | Entry::Once { .. }
        | Entry::Drop { .. }
        | Entry::Operator { .. } => true,
        Entry::Seen { .. }
        | Entry::Room { .. }
        | Entry::Role { .. }
        | Entry::Rule { .. }
        | Entry::Ban { .. }
        | Entry::Unban { .. }
        | Entry::Invite { .. }
        | Entry::Erase { .. }
        | Entry::Anew { .. }
        | Entry::Block(_)
        | Entry::Unblock(_) => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::names::{Digest, Nick};
    use crate::register::PasswordHash;

    fn nick(n: usize) -> Nick {
        Nick::new(&format!("name{n}")).unwrap()
    }

    fn name(n: usize) -> Entry {
        let password = PasswordHash { memory: 7168, passes: 5, salt: [7; 16], hash: [7; 32] };
        Entry::Name { nick: nick(n), since: Day::new("2026-11-28").unwrap(), password: Some(password) }
    }

    fn append(file: &mut LedgerFile, entry: &Entry) {
        file.append(&Lines::of(std::slice::from_ref(entry)).text, Durability::Soon).unwrap();
    }

    fn now() -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs(1_795_900_000)
    }

    #[test]
    fn a_ledger_that_says_most_things_twice_is_written_anew() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("ledger");
        let (_, mut file) = load(&path, now()).unwrap();
        append(&mut file, &name(1));
        let token = |n: u64| {
            let mut digest = [0; 32];
            digest[..8].copy_from_slice(&n.to_le_bytes());
            Entry::Token { nick: nick(1), used: Day::of(now()), digest: Digest(digest) }
        };
        let mut most = 0;
        for n in 0..15_000 {
            append(&mut file, &token(n));
            most = most.max(file.len);
            file.shrink();
        }
        assert!((limits::LEDGER_LEAST..limits::LEDGER_LEAST + 4096).contains(&most), "{most}");
        assert!(fs::metadata(&path).unwrap().len() < limits::LEDGER_LEAST);
        let (register, _) = load(&path, now()).unwrap();
        let alice = register.owned(&nick(1)).unwrap();
        assert!(
            (0..14_995)
                .all(|n| !matches!(token(n), Entry::Token { digest, .. } if alice.prove(digest, now()).is_some()))
        );
        assert_eq!(alice.tokens(Day::of(now())), limits::TOKENS);
    }

    #[test]
    fn a_ledger_that_is_swept_away_is_made_anew() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("data/ledger");
        fs::create_dir(dir.path().join("data")).unwrap();
        let (_, mut file) = load(&path, now()).unwrap();
        append(&mut file, &name(1));
        fs::remove_dir_all(dir.path().join("data")).unwrap();
        append(&mut file, &name(2));
        let (register, _) = load(&path, now()).unwrap();
        assert!(register.owned(&nick(1)).is_some() && register.owned(&nick(2)).is_some());
    }

    #[test]
    fn as_many_names_as_there_may_be_are_there_in_a_moment() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("ledger");
        let mut text = String::new();
        (0..limits::NAMES).for_each(|n| encode(&mut text, &name(n)));
        fs::write(&path, &text).unwrap();
        let (register, file) = load(&path, now()).unwrap();
        assert_eq!((register.len(), file.len), (limits::NAMES, text.len() as u64));
        encode(&mut text, &name(limits::NAMES));
        fs::write(&path, &text).unwrap();
        let error = load(&path, now()).unwrap_err().to_string();
        assert!(error.starts_with("line 50001 of it "), "{error}");
    }
}
