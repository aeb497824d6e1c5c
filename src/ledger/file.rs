//! The file of the ledger: reading it, adding lines at its end, taking them out again, and writing it anew.

use std::collections::HashSet;
use std::fs::{self, File};
use std::io::{self, Read};
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use log::{info, warn};

use super::format::{encode, parse, read};
use crate::effect::Entered;
use crate::home::{
    Durability, ENTRIES, Hold, LEDGER, Replacement, denied, has_had, is_same, lacks_ledger, make_folder, note_had,
    open_regular, private, replace,
};
use crate::limits;
use crate::names::Nick;
use crate::register::Register;
use crate::text::counted;
use crate::time::Day;

/// What a shorter ledger is called with till it takes the place of the longer one. The other thread may write it anew at the same time.
const SHORTER: &str = "shorter";

/// The file, open at its end.
#[derive(Debug)]
pub struct LedgerFile {
    pub(super) path: PathBuf,
    pub(super) file: Arc<File>,
    /// Bytes of it that are whole lines.
    pub(super) len: u64,
    /// Bytes that it had when it said nothing twice.
    pub(super) needed: u64,
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
/// is. An error says what stands in the way. Names lapse after `ttl`, if ever.
pub fn load(path: &Path, now: SystemTime, ttl: Option<Duration>) -> io::Result<(Register, LedgerFile)> {
    let (mut register, bytes, good) = gather(path)?;
    let today = Day::of(now);
    let lapsed = ttl.map(|ttl| register.expired(ttl, today)).unwrap_or_default();
    if !lapsed.is_empty() {
        warn!(
            "is the clock right? It says {today}, and so the time of {} is over, whose owners were not here for too long; if it is \
             wrong, {}; another start by this clock loses them",
            told(&lapsed),
            way_back(path, today)
        );
    }
    let is_ahead = is_ahead(path, &register, &bytes, now);
    let torn = &bytes[good..];
    let is_torn = !torn.is_empty();
    // A crash has left it there.
    let _ = fs::remove_file(path.with_extension(SHORTER));
    if let Some(Err(e)) = is_torn.then(|| set_aside(path, torn)) {
        warn!("the ledger was damaged: its end, {}, is left out, and cannot be set aside: {e}", described(torn));
    }
    register.forget_nothings();
    register.forget_held(Day::of(now));
    info!("names in {}: {}", path.display(), register.owners());
    let as_it_is = || LedgerFile::open(path, good as u64, is_torn);
    let file = if is_ahead {
        as_it_is()?
    } else {
        LedgerFile::write_anew(path, &register, now).or_else(|e| {
            let file = as_it_is().map_err(|_| unwritten(&e))?;
            warn!("{} cannot be written anew, and goes on as it is: {e}", path.display());
            Ok::<_, io::Error>(file)
        })?
    };
    path.parent().into_iter().for_each(|folder| note_had(folder, LEDGER));
    if file.len > 0 {
        file.note_entries();
    }
    Ok((register, file))
}

/// What [`load`] would read in a ledger, or what would keep it from that. What it would set aside is told, and whose names would lapse;
/// nothing is changed.
pub fn look(path: &Path, now: SystemTime, ttl: Option<Duration>) -> io::Result<Register> {
    let (register, bytes, good) = gather(path)?;
    let today = Day::of(now);
    let lapsed = ttl.map(|ttl| register.expired(ttl, today)).unwrap_or_default();
    if !lapsed.is_empty() {
        warn!(
            "is the clock right? It says {today}, and so a start ends the time of {}, whose owners were not here for too long",
            told(&lapsed)
        );
    }
    is_ahead(path, &register, &bytes, now);
    let new = path.with_extension("new");
    if new.is_dir() {
        warn!("{} cannot be written anew, and would go on as it is: move away {}", path.display(), new.display());
    }
    let torn = &bytes[good..];
    if !torn.is_empty() {
        let rest = if lacks_its_end(torn).is_some() {
            format!("; if it shall count, end that line: echo >> {}", path.display())
        } else {
            String::new()
        };
        warn!(
            "the ledger is damaged: its end, {}, counts for nothing, and a start sets it aside{rest}",
            described(torn)
        );
    }
    Ok(register)
}

/// How names are had again whose time was over by a clock that said this day.
fn way_back(path: &Path, day: Day) -> String {
    let path = path.display();
    format!(
        "stop the server, set it, take the lines out of {path} that begin with drop and end with {day}, and start again"
    )
}

/// Whether names are over since a day that has not come. As the clock was wrong then, what they had is left in the ledger, unless these
/// lines of it have that no more.
fn is_ahead(path: &Path, register: &Register, lines: &[u8], now: SystemTime) -> bool {
    let (today, ahead) = (Day::of(now), register.held_after(Day::of(now + limits::DAY)));
    let Some(day) = register.last_held().filter(|_| !ahead.is_empty()) else { return false };
    let known: HashSet<&[u8]> = lines
        .split(|&byte| byte == b'\n')
        .filter_map(|line| line.strip_prefix(b"name ")?.split(|&byte| byte == b' ').next())
        .collect();
    let gone: Vec<Nick> = ahead.iter().copied().filter(|nick| !known.contains(nick.as_str().as_bytes())).collect();
    let rest = if gone.is_empty() {
        way_back(path, day)
    } else {
        format!(
            "take {shown} from a backup: it does not have {} any more; leave its lines that begin with drop, which hold the names for now, \
             and chinwag ctl grant NICK gives one to its owner again",
            told(&gone),
            shown = path.display()
        )
    };
    warn!(
        "was the clock right? It says {today}, and the time of {} is over since {day}; if it was wrong, {rest}",
        told(&ahead)
    );
    true
}

/// How many names these are, and the first few of them.
fn told(names: &[Nick]) -> String {
    const FEW: usize = 5;
    let mut few: Vec<&str> = names.iter().map(Nick::as_str).collect();
    few.sort_unstable();
    let rest = if few.len() > FEW { ", …" } else { "" };
    few.truncate(FEW);
    format!("{} ({}{rest})", counted(names.len() as u64, "name"), few.join(", "))
}

/// The kind of a line and what it is of, if nothing but its end is missing. It cannot count, as it could be the beginning of another; but
/// rather than a crash it was an editor that left it so.
fn lacks_its_end(torn: &[u8]) -> Option<String> {
    parse(torn)?;
    let words: Vec<&str> = str::from_utf8(torn).ok()?.splitn(3, ' ').take(2).collect();
    Some(words.join(" "))
}

/// What was torn off at the end of a ledger.
fn described(torn: &[u8]) -> String {
    let count = counted(torn.len() as u64, "byte");
    match lacks_its_end(torn) {
        Some(line) => format!("{count}, which are the line `{line} …` without its end"),
        None => count,
    }
}

/// What a ledger says, with all its bytes and how many of them are whole lines.
fn gather(path: &Path) -> io::Result<(Register, Vec<u8>, usize)> {
    let bytes = match open_regular(File::options().read(true).write(true), path) {
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
            return Err(io::Error::new(e.kind(), denied(path, path.parent().unwrap_or(path))));
        }
        Err(e) if e.kind() == io::ErrorKind::IsADirectory => {
            return Err(io::Error::new(e.kind(), "it is a folder; move it away"));
        }
        Err(e) => return Err(e),
    };
    let reading = read(&bytes).map_err(io::Error::other)?;
    if reading.entries.is_empty() && path.parent().is_some_and(|folder| has_had(folder, ENTRIES)) {
        let rest = match others(path).take_while(|other| other.exists()).last() {
            Some(other) => {
                format!("put back the other, which was set aside: mv {} {},", other.display(), path.display())
            }
            None => "put it back from a backup".to_owned(),
        };
        warn!(
            "{} says nothing any more, and so no name and no room belongs to anybody; if that is not meant, stop the server, and \
             {rest} before people register names",
            path.display()
        );
    }
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
    let (what, aside) = (described(torn), aside.display());
    let rest = if lacks_its_end(torn).is_some() {
        let path = path.display();
        format!("; if it shall count, stop the server, (cat {aside}; echo) >> {path}, and start it again")
    } else {
        String::new()
    };
    warn!("the ledger was damaged: its end, {what}, is now in {aside}{rest}");
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
    pub(super) fn append(&mut self, lines: &str) -> io::Result<Range<u64>> {
        self.is_ours()?;
        if self.is_doubted() || !self.is_in_place() {
            self.compact()?;
        } else if matches!(self.trust, Trust::Torn) {
            // Nothing may follow half a line.
            self.file.set_len(self.len)?;
            self.trust = Trust::Sound;
        }
        let begun = self.len;
        match self.file.write_all_at(lines.as_bytes(), begun) {
            Ok(()) => {
                self.len += lines.len() as u64;
                if begun == 0 {
                    self.note_entries();
                }
            }
            Err(e) => {
                if self.file.set_len(begun).is_err() {
                    self.trust = Trust::Torn;
                }
                return Err(e);
            }
        }
        Ok(begun..self.len)
    }

    /// It says something, and is missed if it says nothing later.
    fn note_entries(&self) {
        self.path.parent().into_iter().for_each(|folder| note_had(folder, ENTRIES));
    }

    /// Has lines left out of it that could not be synced: nobody knows whether the disk has them. If it was made anew meanwhile, they
    /// are on the disk with that. [`LedgerFile::take_out`] comes next.
    pub(super) fn undo(&mut self, entries: Option<&(Arc<File>, Range<u64>)>) -> Entered {
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
    pub(super) fn take_out(&mut self) {
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

    /// It is an error if somebody else has written to it: what it said is there no more then, and theirs may be what shall count.
    pub(super) fn is_ours(&self) -> io::Result<()> {
        if !matches!(self.trust, Trust::Sound) || self.file.metadata()?.len() == self.len {
            return Ok(());
        }
        Err(io::Error::other(
            "somebody else has written to it; stop the server, see that it says what shall count, and start it again",
        ))
    }

    /// Whether it is still what stands in its place: somebody may have swept it away. Where we may not look, it is open all the same.
    pub(super) fn is_in_place(&self) -> bool {
        is_same(&self.file, &self.path)
    }

    /// Whether most of it means nothing any more.
    fn is_wasteful(&self) -> bool {
        !self.is_doubted() && self.len >= limits::LEDGER_LEAST.max(2 * self.needed)
    }

    /// Finds out whether the disk writes, by writing its end once more.
    pub(super) fn probe(&self) -> io::Result<()> {
        self.len.checked_sub(1).map_or(Ok(()), |last| self.file.write_all_at(b"\n", last))
    }

    /// Nobody knows any more what the disk has of it.
    pub(super) fn doubt(&mut self) {
        if !self.is_doubted() {
            self.trust = Trust::Doubted { kept: stretch(&self.file, 0..self.len).ok(), undone: Vec::new() };
        }
    }

    pub(super) fn is_doubted(&self) -> bool {
        matches!(self.trust, Trust::Doubted { .. })
    }

    fn compact(&mut self) -> io::Result<()> {
        let text = self.said("")?;
        self.put(&text)
    }

    /// What it says with these lines behind it, said once.
    pub(super) fn said(&self, more: &str) -> io::Result<String> {
        let bytes = match &self.trust {
            Trust::Doubted { kept: Some(kept), undone } => without(kept, undone),
            Trust::Doubted { kept: None, undone } => without(&stretch(&self.file, 0..self.len)?, undone),
            Trust::Sound | Trust::Torn => stretch(&self.file, 0..self.len)?,
        };
        said_once(&[&bytes, more.as_bytes()].concat())
    }

    /// Replaces it by one that says this.
    pub(super) fn put(&mut self, text: &str) -> io::Result<()> {
        match &self.hold {
            Some(hold) => hold.mend()?,
            None => self.path.parent().map_or(Ok(()), make_folder)?,
        }
        let is_in_place = self.is_in_place();
        let other = if is_in_place { None } else { link_aside(&self.path)? };
        replace(&self.path, text.as_bytes(), Durability::Sync)?;
        let path = self.path.display();
        match other.as_deref().map(Path::display) {
            Some(other) => warn!(
                "{path} was another, which is {other} now, and says again what this server knows; if the other shall count, stop the \
                 server, mv {other} {path}, and start it again"
            ),
            None if !is_in_place => warn!("{path} was gone; it is made anew"),
            None => {}
        }
        let hold = self.hold.clone();
        *self = Self { hold, ..Self::open(&self.path, text.len() as u64, false)? };
        Ok(())
    }
}

/// Writes a ledger anew of which most means nothing any more, and gives what is to be synced then. What is added meanwhile is added to both,
/// and nobody waits for more than that.
pub(super) fn shrink(shared: &Mutex<LedgerFile>) -> io::Result<Option<Arc<File>>> {
    let (path, old, before) = {
        let file = lock(shared);
        if !file.is_wasteful() || !file.is_in_place() || file.is_ours().is_err() {
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

/// Has what stands in the place of the ledger, and says something, under another name too, as it may be what shall count. Returns that name.
fn link_aside(path: &Path) -> io::Result<Option<PathBuf>> {
    if !fs::symlink_metadata(path).is_ok_and(|there| there.is_file() && there.len() > 0) {
        return Ok(None);
    }
    let linked = others(path).find_map(|name| match fs::hard_link(path, &name) {
        Err(e) if e.kind() == io::ErrorKind::AlreadyExists => None,
        // Some file systems have no links.
        Err(_) => Some(fs::rename(path, &name).map(|()| name)),
        Ok(()) => Some(Ok(name)),
    });
    linked.transpose()
}

/// What ledgers are called that stood in the place of this one.
fn others(path: &Path) -> impl Iterator<Item = PathBuf> + use<> {
    let path = path.to_owned();
    (1..).map(move |n: u32| path.with_file_name(format!("ledger.other-{n}")))
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
pub(super) fn said_once(lines: &[u8]) -> io::Result<String> {
    let mut register = Register::default();
    register.apply_all(read(lines).map_err(io::Error::other)?.entries);
    register.forget_nothings();
    // The clock may be wrong, so what lapses with time goes at a start alone.
    Ok(written(&register, SystemTime::UNIX_EPOCH))
}

/// A thread that failed holds nobody up: what it was to do was done or undone.
pub(super) fn lock<T>(shared: &Mutex<T>) -> MutexGuard<'_, T> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
pub(super) mod tests {
    use std::time::{Duration, Instant};

    use super::*;
    use crate::ledger::encoded;
    use crate::names::{Digest, Nick};
    use crate::register::{Entry, PasswordHash};

    pub(in crate::ledger) fn nick(n: usize) -> Nick {
        Nick::new(&format!("name{n}")).unwrap()
    }

    pub(in crate::ledger) fn name(n: usize) -> Entry {
        let password = PasswordHash { memory: 7168, passes: 5, salt: [7; 16], hash: [7; 32] };
        Entry::Name { nick: nick(n), since: Day::new("2026-11-28").unwrap(), password: Some(password) }
    }

    pub(in crate::ledger) fn append(file: &mut LedgerFile, entry: &Entry) {
        file.append(&encoded(std::slice::from_ref(entry))).unwrap();
    }

    pub(in crate::ledger) fn now() -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs(1_795_900_000)
    }

    #[test]
    fn a_ledger_that_says_most_things_twice_is_written_anew() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("ledger");
        let (_, file) = load(&path, now(), None).unwrap();
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
        let (register, _) = load(&path, now(), None).unwrap();
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
            let (_, mut file) = load(&path, now(), None).unwrap();
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
    fn a_ledger_that_is_swept_away_is_made_anew() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("data/ledger");
        fs::create_dir(dir.path().join("data")).unwrap();
        let (_, mut file) = load(&path, now(), None).unwrap();
        append(&mut file, &name(1));
        fs::remove_dir_all(dir.path().join("data")).unwrap();
        append(&mut file, &name(2));
        let (register, _) = load(&path, now(), None).unwrap();
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
        let (register, _) = load(&path, now(), None).unwrap();
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
        let (register, file) = load(&path, now(), None).unwrap();
        assert_eq!((register.len(), file.len), (limits::NAMES, text.len() as u64));
        encode(&mut text, &name(limits::NAMES));
        fs::write(&path, &text).unwrap();
        let error = load(&path, now(), None).unwrap_err().to_string();
        assert!(error.starts_with("line 50001 of it "), "{error}");
    }
}
