//! The ledger: what is owned, and what rooms have for rules, as one file of plain text that a line is added to for each change.
//!
//! A thread of its own writes, and another one syncs. What is noted goes out when it is written, and what is of names when it is
//! synced, so that a slow disk holds up nobody but those who wait for it. The file is written anew when most of it means
//! nothing any more, and when a sync of it has failed, as nobody knows then what the disk has of it.

mod audit;
mod format;

use std::fs::{self, File};
use std::io::{self, Read};
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant, SystemTime};

use log::{error, info, warn};
use mio::Waker;

pub use audit::AuditLog;
pub use format::{Damage, Reading, encode, parse, read};

use crate::effect::Entered;
use crate::event::Trouble;
use crate::home::{
    Durability, Hold, LEDGER, Replacement, give_way, is_same, lacks_ledger, make_folder, note_had, open_regular,
    others, private, replace, sync_folder_of,
};
use crate::keeper::{Keeper, trouble};
use crate::limits;
use crate::register::{Entry, Register};
use crate::settings::Logging;
use crate::text::counted;
use crate::time::Day;

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

/// When entries that are written together must be on the disk. What is written before them is there with them.
pub fn durability(entries: &[Entry]) -> Durability {
    if entries.iter().any(is_of_name) { Durability::Sync } else { Durability::Soon }
}

/// What a shorter ledger is called with till it takes the place of the longer one. The other thread may write it anew at the same time.
const SHORTER: &str = "shorter";

/// The file, open at its end.
#[derive(Debug)]
pub struct LedgerFile {
    path: PathBuf,
    file: Arc<File>,
    /// Bytes of it that are whole lines.
    len: u64,
    /// Bytes that it had when it said nothing twice.
    needed: u64,
    trust: Trust,
    /// What keeps other servers from its folder, if anything does.
    hold: Option<Arc<Hold>>,
}

/// How far what stands in the file can be relied on.
#[derive(Debug)]
enum Trust {
    Sound,
    /// There may be half a line behind the whole ones.
    Torn,
    /// A sync of it has failed. The system may take for written what is not then, so it must be written anew before anything is added.
    Doubted {
        /// What it said when that happened, if that could be read: what memory has of it may be gone later.
        kept: Option<Vec<u8>>,
        /// Lines of that which it is to have no more: whoever waited for them is told that they are not written.
        undone: Vec<Range<u64>>,
    },
}

/// Reads a ledger and writes it anew, without what means nothing any more; where that cannot be, as on a full disk, it goes on as it
/// is. An error says what stands in the way.
pub fn load(path: &Path, now: SystemTime) -> io::Result<(Register, LedgerFile)> {
    let (mut register, bytes, good) = gather(path)?;
    let torn = &bytes[good..];
    let is_torn = !torn.is_empty();
    // A crash has left it there.
    let _ = fs::remove_file(path.with_extension(SHORTER));
    if let Some(Err(e)) = is_torn.then(|| set_aside(path, torn)) {
        let count = counted(torn.len() as u64, "byte");
        warn!("the ledger was damaged: its end, {count}, is left out, and cannot be set aside: {e}");
    }
    register.forget_nothings();
    register.forget_held(Day::of(now));
    info!("names in {}: {}", path.display(), register.len());
    let file = LedgerFile::write_anew(path, &register, now).or_else(|e| {
        let file = LedgerFile::open(path, good as u64, is_torn).map_err(|_| unwritten(&e))?;
        warn!("{} cannot be written anew, and goes on as it is: {e}", path.display());
        Ok::<_, io::Error>(file)
    })?;
    path.parent().into_iter().for_each(|folder| note_had(folder, LEDGER));
    Ok((register, file))
}

/// What would keep [`load`] from reading a ledger. Nothing is changed.
pub fn look(path: &Path) -> io::Result<()> {
    gather(path).map(drop)
}

/// What a ledger says, with all its bytes and how many of them are whole lines.
fn gather(path: &Path) -> io::Result<(Register, Vec<u8>, usize)> {
    let bytes = match open_regular(File::options().read(true), path) {
        Ok(mut file) => {
            let mut bytes = Vec::new();
            file.read_to_end(&mut bytes)?;
            bytes
        }
        Err(e) if e.kind() == io::ErrorKind::NotFound => {
            path.parent().map_or(Ok(()), lacks_ledger)?;
            Vec::new()
        }
        Err(e) if e.kind() == io::ErrorKind::PermissionDenied => {
            return Err(io::Error::new(e.kind(), others(path.parent().unwrap_or(path))));
        }
        Err(e) => return Err(e),
    };
    let reading = read(&bytes).map_err(io::Error::other)?;
    let mut register = Register::default();
    for (n, entry) in reading.entries.into_iter().enumerate() {
        register.read(entry);
        if register.len() > limits::NAMES {
            let most = limits::NAMES;
            return Err(io::Error::other(format!(
                "line {} of it is about one name more than {most}; remove some",
                n + 1
            )));
        }
    }
    register.settle();
    let mut alike: Vec<String> = register.alike().map(|nick| nick.to_string()).collect();
    alike.sort_unstable();
    if !alike.is_empty() {
        let (path, names) = (path.display(), alike.join(", "));
        warn!("some names in {path} look like others there, and only one of those is let in at a time: {names}");
    }
    Ok((register, bytes, reading.good))
}

fn unwritten(e: &io::Error) -> io::Error {
    io::Error::new(e.kind(), format!("it cannot be written: {e}"))
}

/// Moves what was torn off at the end of a ledger to a file of its own.
fn set_aside(path: &Path, torn: &[u8]) -> io::Result<()> {
    let mut paths = (1..).map(|n: u32| path.with_file_name(format!("ledger.damaged-{n}")));
    let opened = paths.find_map(|path| match private().write(true).create_new(true).open(&path) {
        Err(e) if e.kind() == io::ErrorKind::AlreadyExists => None,
        opened => Some(opened.map(|file| (path, file))),
    });
    let (aside, file) = opened.unwrap_or_else(|| Err(io::ErrorKind::AlreadyExists.into()))?;
    if let Err(e) = file.write_all_at(torn, 0).and_then(|()| file.sync_all()) {
        // A full disk needs every block.
        let _ = fs::remove_file(&aside);
        return Err(e);
    }
    let count = counted(torn.len() as u64, "byte");
    warn!("the ledger was damaged: its end, {count}, is now in {}", aside.display());
    Ok(())
}

/// All of this, said once.
fn written(register: &Register, now: SystemTime) -> String {
    let mut text = String::new();
    register.entries(Day::of(now)).for_each(|entry| encode(&mut text, &entry));
    text
}

impl LedgerFile {
    /// The same, in a folder that this keeps for us.
    pub fn held_by(self, hold: &Arc<Hold>) -> Self {
        Self { hold: Some(Arc::clone(hold)), ..self }
    }

    /// Replaces the ledger by one that says all of this once.
    fn write_anew(path: &Path, register: &Register, now: SystemTime) -> io::Result<Self> {
        let text = written(register, now);
        replace(path, text.as_bytes(), Durability::Sync)?;
        Self::open(path, text.len() as u64, false)
    }

    /// Opens one that is there, of which so many bytes are whole lines.
    fn open(path: &Path, len: u64, is_torn: bool) -> io::Result<Self> {
        let file = Arc::new(open_regular(File::options().read(true).write(true), path)?);
        Ok(Self::of(path, file, len, is_torn))
    }

    fn of(path: &Path, file: Arc<File>, len: u64, is_torn: bool) -> Self {
        let trust = if is_torn { Trust::Torn } else { Trust::Sound };
        Self { path: path.to_owned(), file, len, needed: len, trust, hold: None }
    }

    /// Adds lines at its end, and says where they stand. An error leaves it as it was.
    fn append(&mut self, lines: &str) -> io::Result<Range<u64>> {
        if self.is_doubted() {
            self.compact()?;
        } else if !self.is_in_place() {
            self.compact()?;
            warn!("{} was gone or is another; it is made anew", self.path.display());
        } else if matches!(self.trust, Trust::Torn) {
            // Nothing may follow half a line.
            self.file.set_len(self.len)?;
            self.trust = Trust::Sound;
        }
        let begun = self.len;
        match self.file.write_all_at(lines.as_bytes(), begun) {
            Ok(()) => self.len += lines.len() as u64,
            Err(e) => {
                if self.file.set_len(begun).is_err() {
                    self.trust = Trust::Torn;
                }
                return Err(e);
            }
        }
        Ok(begun..self.len)
    }

    /// Has lines left out of it that could not be synced: nobody knows whether the disk has them. If it was made anew meanwhile, they
    /// are on the disk with that. [`LedgerFile::take_out`] comes next.
    fn undo(&mut self, entries: Option<&(Arc<File>, Range<u64>)>) -> Entered {
        let Some((written, lines)) = entries else { return Entered::Failed };
        if !Arc::ptr_eq(written, &self.file) {
            return Entered::Written;
        }
        self.doubt();
        if let Trust::Doubted { undone, .. } = &mut self.trust {
            undone.push(lines.clone());
        }
        Entered::Failed
    }

    /// Takes what is left out of it from the file, which need not come to be written anew. That it is left out then does not hang on this.
    fn take_out(&mut self) {
        let Trust::Doubted { kept: Some(kept), undone } = &self.trust else { return };
        let Some(from) = undone.iter().map(|lines| lines.start).min() else { return };
        let left = without(kept, undone);
        let len = left.len() as u64;
        let rest = left.get(usize::try_from(from).unwrap_or(usize::MAX)..).unwrap_or_default();
        match self.file.write_all_at(rest, from).and_then(|()| self.file.set_len(len)) {
            Ok(()) => self.len = len,
            Err(e) => warn!("cannot take out of {} again what was not synced: {e}", self.path.display()),
        }
    }

    /// Whether it is still what stands in its place: somebody may have swept it away. Where we may not look, it is open all the same.
    fn is_in_place(&self) -> bool {
        is_same(&self.file, &self.path)
    }

    /// Whether most of it means nothing any more.
    fn is_wasteful(&self) -> bool {
        !self.is_doubted() && self.len >= limits::LEDGER_LEAST.max(2 * self.needed)
    }

    /// Finds out whether the disk writes, by writing its end once more.
    fn probe(&self) -> io::Result<()> {
        self.len.checked_sub(1).map_or(Ok(()), |last| self.file.write_all_at(b"\n", last))
    }

    /// Nobody knows any more what the disk has of it.
    fn doubt(&mut self) {
        if !self.is_doubted() {
            self.trust = Trust::Doubted { kept: stretch(&self.file, 0..self.len).ok(), undone: Vec::new() };
        }
    }

    fn is_doubted(&self) -> bool {
        matches!(self.trust, Trust::Doubted { .. })
    }

    fn compact(&mut self) -> io::Result<()> {
        let text = self.said("")?;
        self.put(&text)
    }

    /// What it says with these lines behind it, said once.
    fn said(&self, more: &str) -> io::Result<String> {
        let bytes = match &self.trust {
            Trust::Doubted { kept: Some(kept), undone } => without(kept, undone),
            Trust::Doubted { kept: None, undone } => without(&stretch(&self.file, 0..self.len)?, undone),
            Trust::Sound | Trust::Torn => stretch(&self.file, 0..self.len)?,
        };
        said_once(&[&bytes, more.as_bytes()].concat())
    }

    /// Replaces it by one that says this.
    fn put(&mut self, text: &str) -> io::Result<()> {
        match &self.hold {
            Some(hold) => hold.mend()?,
            None => self.path.parent().map_or(Ok(()), make_folder)?,
        }
        replace(&self.path, text.as_bytes(), Durability::Sync)?;
        let hold = self.hold.clone();
        *self = Self { hold, ..Self::open(&self.path, text.len() as u64, false)? };
        Ok(())
    }
}

/// Writes a ledger anew of which most means nothing any more, and gives what is to be synced then. What is added meanwhile is added to both,
/// and nobody waits for more than that.
fn shrink(shared: &Mutex<LedgerFile>) -> io::Result<Option<Arc<File>>> {
    let (path, old, before) = {
        let file = lock(shared);
        if !file.is_wasteful() || !file.is_in_place() {
            return Ok(None);
        }
        (file.path.clone(), Arc::clone(&file.file), file.len)
    };
    let text = said_once(&stretch(&old, 0..before)?)?;
    let shorter = Replacement::write(&path, SHORTER, text.as_bytes(), Durability::Sync)?;
    let mut file = lock(shared);
    if file.is_doubted() || !Arc::ptr_eq(&file.file, &old) {
        return Ok(None);
    }
    let (added, needed) = (stretch(&old, before..file.len)?, text.len() as u64);
    shorter.file().write_all_at(&added, needed)?;
    let len = needed + added.len() as u64;
    let hold = file.hold.clone();
    *file = LedgerFile { needed, hold, ..LedgerFile::of(&path, shorter.put_in_place()?, len, false) };
    info!("the ledger has {len} bytes again, and had {}", before + added.len() as u64);
    Ok(Some(Arc::clone(&file.file)))
}

fn stretch(file: &File, range: Range<u64>) -> io::Result<Vec<u8>> {
    let mut bytes = vec![0; usize::try_from(range.end - range.start).map_err(io::Error::other)?];
    file.read_exact_at(&mut bytes, range.start)?;
    Ok(bytes)
}

/// These bytes, but for some stretches of them.
fn without(bytes: &[u8], left_out: &[Range<u64>]) -> Vec<u8> {
    let mut left_out = left_out.to_vec();
    left_out.sort_by_key(|lines| lines.start);
    let ends = left_out.iter().map(|lines| lines.start).chain([u64::MAX]);
    let begins = [0].into_iter().chain(left_out.iter().map(|lines| lines.end));
    let at = |place| usize::try_from(place).unwrap_or(usize::MAX).min(bytes.len());
    begins.zip(ends).flat_map(|(begin, end)| bytes.get(at(begin)..at(end)).unwrap_or_default()).copied().collect()
}

/// What these lines say, without what means nothing any more.
fn said_once(lines: &[u8]) -> io::Result<String> {
    let mut register = Register::default();
    register.apply_all(read(lines).map_err(io::Error::other)?.entries);
    register.forget_nothings();
    // The clock may be wrong, so what lapses with time goes at a start alone.
    Ok(written(&register, SystemTime::UNIX_EPOCH))
}

/// Lines that could not be written, in their order.
#[derive(Debug, Default)]
struct Waiting {
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
struct Writer {
    file: Arc<Mutex<LedgerFile>>,
    audit: AuditLog,
    deeds: Arc<AtomicUsize>,
    to_sync: Sender<Appended>,
    reports: Sender<Report>,
    waker: Arc<Waker>,
    /// What was noted and could not be written. What comes later waits behind it.
    waiting: Waiting,
    /// When that is tried again.
    again: Instant,
    /// Why, of what failed last.
    failing: Option<Trouble>,
    in_trouble: Arc<AtomicBool>,
}

/// What was written, or else the thread that syncs must know.
#[derive(Debug)]
enum Appended {
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
    fn run(mut self, inbox: &Receiver<Task>) {
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
                Ok(Task::Look) => self.is_in_trouble() || lock(&self.file).is_in_place() || self.recover(),
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
        if self.waiting.lines.is_empty() && !file.is_doubted() && file.is_in_place() {
            return Ok(());
        }
        let Waiting { lines, is_all, .. } = &self.waiting;
        let written = if *is_all { file.put(lines) } else { file.append(lines).map(drop) };
        self.tried(written.as_ref().err(), &file.path);
        written?;
        self.waiting = Waiting::default();
        self.wrote();
        Ok(())
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
struct Syncer {
    file: Arc<Mutex<LedgerFile>>,
    /// How much of what need not be there at once a loss of power may cost.
    sync: Duration,
    /// Since when something is written that is not synced.
    unsynced: Option<Instant>,
    /// The audit log, if something of it is not synced. What it tells of is not on the disk before it.
    deeds: Option<File>,
    audit: PathBuf,
    outcomes: Sender<Entered>,
    reports: Sender<Report>,
    to_writer: Sender<Task>,
    waker: Arc<Waker>,
}

impl Syncer {
    fn run(mut self, written: &Receiver<Appended>) {
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

/// A thread that failed holds nobody up: what it was to do was done or undone.
fn lock<T>(shared: &Mutex<T>) -> MutexGuard<'_, T> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
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
        | Entry::Topic { .. }
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
        file.append(&encoded(std::slice::from_ref(entry))).unwrap();
    }

    fn now() -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs(1_795_900_000)
    }

    #[test]
    fn a_ledger_that_says_most_things_twice_is_written_anew() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("ledger");
        let (_, file) = load(&path, now()).unwrap();
        let file = Mutex::new(file);
        append(&mut lock(&file), &name(1));
        let token = |n: u64| {
            let mut digest = [0; 32];
            digest[..8].copy_from_slice(&n.to_le_bytes());
            Entry::Token { nick: nick(1), used: Day::of(now()), digest: Digest(digest) }
        };
        let mut most = 0;
        for n in 0..15_000 {
            append(&mut lock(&file), &token(n));
            most = most.max(lock(&file).len);
            shrink(&file).unwrap();
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
    fn what_could_not_be_synced_is_taken_out_and_what_follows_stays() {
        let reading = || File::options().read(true).clone();
        let both = || reading().write(true).clone();
        // A disk may fail in more than that.
        for (fails, is_taken_out) in [(both(), true), (reading(), false), (File::options().write(true).clone(), false)]
        {
            let dir = tempfile::tempdir().unwrap();
            let path = dir.path().join("ledger");
            let (_, mut file) = load(&path, now()).unwrap();
            let mut at: Vec<_> = (0..4).map(|n| file.append(&encoded(&[name(n)])).unwrap()).collect();
            file.file = Arc::new(fails.open(&path).unwrap());
            let mut undo = |lines| {
                let written = Some((Arc::clone(&file.file), lines));
                file.undo(written.as_ref())
            };
            assert_eq!((undo(at.remove(2)), undo(at.remove(0))), (Entered::Failed, Entered::Failed));
            file.take_out();
            let said = |names: &[usize]| encoded(&names.iter().map(|&n| name(n)).collect::<Vec<_>>());
            let now = if is_taken_out { said(&[1, 3]) } else { said(&[0, 1, 2, 3]) };
            assert_eq!(fs::read_to_string(&path).unwrap(), now);
            // The disk is well again.
            if file.said("").is_err() {
                file.file = Arc::new(both().open(&path).unwrap());
            }
            append(&mut file, &name(4));
            assert_eq!(fs::read_to_string(&path).unwrap(), said(&[1, 3, 4]));
        }
    }

    #[test]
    fn what_is_synced_after_a_failure_counts_for_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("ledger");
        let (_, file) = load(&path, now()).unwrap();
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

    #[test]
    fn what_waits_for_a_full_disk_is_bounded_and_says_the_same() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("ledger");
        let (_, mut file) = load(&path, now()).unwrap();
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
        let (register, _) = load(&path, now()).unwrap();
        let limit = crate::register::Rule::Limit(Some(59_999));
        assert!(register.owned(&nick(1)).is_some() && register.owned(&nick(2)).is_none());
        assert!(register.room(&room).unwrap().rules().contains(&limit));
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
    fn names_that_are_given_up_cost_no_look_at_every_room_each() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("ledger");
        let room = |n: usize| crate::names::RoomName::new(&format!("#r{n}")).unwrap();
        let mut text = String::new();
        (0..5_000).for_each(|n| encode(&mut text, &name(n)));
        for n in 0..10_000 {
            encode(&mut text, &Entry::Role { room: room(n), nick: nick(n / 2), role: Some(crate::register::Role::Op) });
        }
        // Others do something between.
        for n in 0..4_999 {
            encode(&mut text, &Entry::Drop { nick: nick(n), day: Day::of(now()) });
            encode(&mut text, &Entry::Rule { room: room(n), rule: crate::register::Rule::Hidden(n % 2 == 0) });
        }
        fs::write(&path, &text).unwrap();
        let begun = Instant::now();
        let (register, _) = load(&path, now()).unwrap();
        assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
        register.check();
        assert_eq!(register.rooms().count(), 2_502);
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
