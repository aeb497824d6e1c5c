//! The rooms' logs on disk. `NAME.log` has what is said in `#NAME`; when it has half of what a room may have, it becomes
//! `NAME.log.1` in place of the one before, and a new one begins. `NAME.topic` has what the room is about.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Read};
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

use log::{info, warn};
use memchr::memrchr_iter;
use rustix::fs::SeekFrom;
use rustix::io::Errno;

use super::format::{self, Reading};
use super::search;
use crate::effect::{Logged, PastRoom};
use crate::home::{
    Durability, Hold, Replacement, files_open, is_of_reserve, make_again, no_link, not_ours, open_regular, private,
    read_text,
};
use crate::limits;
use crate::names::{RoomName, Text};
use crate::text::counted;

/// The folder of the logs. Those written last are kept open.
#[derive(Debug)]
pub struct Logs {
    folder: PathBuf,
    /// Bytes of `NAME.log` at which it becomes `NAME.log.1`.
    half: u64,
    /// The one written last is at the end.
    open: Vec<Open>,
    /// What keeps other servers from it, if anything does.
    hold: Option<Arc<Hold>>,
}

#[derive(Debug)]
struct Open {
    room: RoomName,
    file: Arc<File>,
    len: u64,
}

impl Open {
    /// Whether this is still what stands at `path`: people delete logs, and move or save them with an editor.
    fn is_at(&self, path: &Path) -> bool {
        let here = self.file.metadata().and_then(|here| Ok((here, fs::metadata(path)?)));
        here.is_ok_and(|(here, there)| {
            (here.dev(), here.ino()) == (there.dev(), there.ino()) && there.len() == self.len
        })
    }
}

impl Logs {
    /// The logs in `folder`, of at most `max` bytes each; `hold` is to keep others from it.
    pub fn new(folder: PathBuf, max: u64, hold: Option<Arc<Hold>>) -> Self {
        Self { folder, half: max / 2, open: Vec::new(), hold }
    }

    /// Each has at most so many bytes from the next line on.
    pub(super) fn set_max(&mut self, max: u64) {
        self.half = max / 2;
    }

    /// Adds whole lines to a room's log, and gives the file, for syncing. An error leaves the log as it was.
    pub fn append(&mut self, room: RoomName, lines: &str) -> io::Result<Arc<File>> {
        let cached = self.open.iter().position(|open| open.room.as_str() == room.as_str());
        let cached = cached.map(|at| self.open.remove(at)).filter(|log| log.is_at(&self.path(room, "log")));
        let mut log = cached.map_or_else(|| self.open(room, lines), Ok)?;
        let begun = log.len;
        if let Err(e) = log.file.write_all_at(lines.as_bytes(), begun) {
            // Half a line must not stand before what is written next.
            if let Err(e) = log.file.set_len(begun) {
                warn!("cannot take back half a line of the log of {room}: {e}");
            }
            return Err(e);
        }
        log.len += lines.len() as u64;
        let file = Arc::clone(&log.file);
        if log.len >= self.half {
            match fs::rename(self.path(room, "log"), self.path(room, "log.1")) {
                Ok(()) => return Ok(file),
                // The lines are written, and that is what counts.
                Err(e) => warn!("cannot begin a new log of {room}: {e}"),
            }
        }
        if is_of_reserve(&file) {
            self.open.clear();
            return Ok(file);
        }
        if self.open.len() >= files_open() {
            self.open.remove(0);
        }
        self.open.push(log);
        Ok(file)
    }

    /// Closes all of them, so that others can be opened.
    pub fn close(&mut self) {
        self.open.clear();
    }

    /// Where they are.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Finds out whether the disk writes, by writing the end of the newest line once more.
    pub fn probe(&self) -> io::Result<()> {
        self.open.last().map_or(Ok(()), |log| log.file.write_all_at(b"\n", log.len - 1))
    }

    /// Writes down what a room is about, and gives the file, for syncing. With `Sync` a loss of power leaves the old topic or the new one.
    pub fn set_topic(
        &self,
        room: RoomName,
        topic: Option<&str>,
        durability: Durability,
    ) -> io::Result<Option<Arc<File>>> {
        let path = self.path(room, "topic");
        self.still_hold()?;
        let Some(topic) = topic else { return remove(&path).map(|()| None) };
        let text = format!("{topic}\n");
        let put = || Replacement::write(&path, "new", text.as_bytes(), durability)?.put_in_place();
        let file = match put() {
            Err(e) if e.kind() == io::ErrorKind::NotFound => {
                self.make_anew()?;
                put()
            }
            done => done,
        };
        file.map(Some)
    }

    /// Nothing of a room is there any more.
    pub fn forget(&mut self, room: RoomName) -> io::Result<()> {
        self.still_hold()?;
        self.open.retain(|open| open.room != room);
        ["log.1", "log", "topic"].into_iter().try_for_each(|kind| remove(&self.path(room, kind)))
    }

    /// Makes the folder anew, which somebody has swept away.
    fn make_anew(&self) -> io::Result<()> {
        make_again(&self.folder, "the logs")
    }

    /// Sees to it that no other server has the folder, where somebody has swept it away, and that it is the one in which it stands.
    fn still_hold(&self) -> io::Result<()> {
        self.hold.as_ref().map_or(Ok(()), |hold| hold.mend())?;
        no_link(&self.folder).map_err(|e| io::Error::other(format!("{}: {e}", self.folder.display())))
    }

    /// Opens the log to which these lines are to be added.
    fn open(&self, room: RoomName, lines: &str) -> io::Result<Open> {
        self.still_hold()?;
        let path = self.path(room, "log");
        let open = || open_regular(private().read(true).write(true).create(true).truncate(false), &path);
        let file = match open() {
            // What cannot be a log makes way, as at the start.
            Err(e) if fs::symlink_metadata(&path).is_ok_and(|data| !data.is_file() && !data.is_dir()) => {
                set_all_aside(&self.folder, room, &path, &e);
                open()
            }
            Err(e) if e.kind() == io::ErrorKind::NotFound => {
                self.make_anew()?;
                open()
            }
            file => file,
        }?;
        let mut len = file.metadata()?.len();
        let older = || open_regular(File::options().read(true), &self.path(room, "log.1"));
        if is_another(&file, lines) || (len == 0 && older().is_ok_and(|older| is_another(&older, lines))) {
            self.set_other_aside(room)?;
            return self.open(room, lines);
        }
        let mut last = [b'\n'];
        if len > 0 {
            file.read_exact_at(&mut last, len - 1)?;
        }
        if last != *b"\n" {
            // A torn line that could not be set aside must neither pass for a whole one nor begin one. We never write a NUL.
            file.write_all_at(b"\0\n", len)?;
            len += 2;
        }
        Ok(Open { room, file: Arc::new(file), len })
    }

    /// Makes way in the place of a room's files for those of this server, as others stand there that may be what shall count.
    fn set_other_aside(&self, room: RoomName) -> io::Result<()> {
        let mut moves = String::new();
        for kind in ["log.1", "topic", "log"] {
            let from = self.path(room, kind);
            if fs::symlink_metadata(&from).is_ok_and(|data| data.is_file() && data.len() > 0) {
                let (to, _) = aside(&self.folder, room, "other")?;
                fs::rename(&from, &to)?;
                moves += &format!(", mv {} {}", to.display(), from.display());
            }
        }
        warn!(
            "the log of {room} was another, as it has other messages of the numbers that are said now; it is set aside, and begun anew; if \
             the other shall count, stop the server, move away what it has of {room} by then{moves}, and start it again"
        );
        Ok(())
    }

    fn path(&self, room: RoomName, kind: &str) -> PathBuf {
        path(&self.folder, room, kind)
    }
}

/// Whether a log is none to which these lines belong: its numbers have come as far, as where a volume is mounted late. The next start would
/// leave them out. Where a write has failed, some of them may be there already.
fn is_another(log: &File, lines: &str) -> bool {
    let first: Option<u64> = lines.split(' ').next().and_then(|seq| seq.parse().ok());
    let last = log.metadata().and_then(|data| read_last(log, data.len(), Wanted { lines: 1, bytes: 0 }));
    let last = last.ok().and_then(|(.., mut reading)| reading.lines.pop());
    first.zip(last).is_some_and(|(first, last)| {
        let mut line = String::new();
        format::encode(&mut line, &last);
        last.seq >= first && lines.split_inclusive('\n').all(|ours| ours != line)
    })
}

/// Where a file of a room is: its `log`, `log.1` or `topic`.
pub(super) fn path(folder: &Path, room: RoomName, kind: &str) -> PathBuf {
    folder.join(format!("{}.{kind}", room.as_str().trim_start_matches('#')))
}

fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(e) if e.kind() != io::ErrorKind::NotFound => Err(e),
        _ => Ok(()),
    }
}

/// The rooms in `folder`, at most [`limits::LOGS`], the one unused for longest first. The last `remembering` of them have
/// their last `wanted` messages each; those before are only known. Damaged tails are set aside. What cannot be read, and
/// what is too much, is told in the log and left alone.
pub fn load(folder: &Path, wanted: usize, remembering: usize) -> io::Result<impl Iterator<Item = PastRoom>> {
    respell(folder)?;
    let rooms = list(folder, limits::LOGS)?;
    info!("rooms in {}: {}", folder.display(), rooms.len());
    are_ours(folder, &rooms)?;
    Ok(read_rooms(folder, rooms, (wanted, remembering), Damaged::SetAside))
}

/// The rooms that [`load`] would find, each with the number of its last message, or what would keep it from reading the logs. What it would
/// set aside is told, and nothing is changed.
pub fn look(folder: &Path, wanted: usize, remembering: usize) -> io::Result<Vec<(RoomName, u64)>> {
    let rooms = list(folder, limits::LOGS)?;
    are_ours(folder, &rooms)?;
    let rooms = read_rooms(folder, rooms, (wanted, remembering), Damaged::Told);
    Ok(rooms.map(|room| (room.name, room.last_seq)).collect())
}

fn read_rooms(
    folder: &Path,
    rooms: Vec<RoomName>,
    (wanted, remembering): (usize, usize),
    damaged: Damaged,
) -> impl Iterator<Item = PastRoom> + use<> {
    let only_known = rooms.len().saturating_sub(remembering);
    let remembered = rooms.len().clamp(1, remembering.max(1));
    let bytes = (limits::HISTORY_IN_ALL / remembered) as u64;
    let lines = wanted.min((limits::LINES_AT_START / remembered).max(limits::HISTORY_SPARED));
    let folder = folder.to_owned();
    rooms.into_iter().enumerate().filter_map(move |(n, room)| {
        let lines = if n < only_known { 0 } else { lines };
        load_room(&folder, room, Wanted { lines, bytes }, damaged)
            .inspect_err(|e| damaged.all(&folder, room, &path(&folder, room, "log"), e))
            .ok()
            .flatten()
    })
}

/// What becomes of what is damaged.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Damaged {
    /// It is moved out of the way.
    SetAside,
    /// It is told, and left where it is.
    Told,
}

impl Damaged {
    /// A log cannot be read.
    fn all(self, folder: &Path, room: RoomName, log: &Path, why: &io::Error) {
        match self {
            Self::SetAside => set_all_aside(folder, room, log, why),
            Self::Told if log.is_dir() => warn_of_folder(room, log),
            Self::Told => warn!("the log of {room} cannot be read: {why}; a start sets it aside"),
        }
    }

    /// From `good` on there is nothing but these bytes in a log.
    fn end(self, folder: &Path, room: RoomName, log: &File, (good, bytes): (u64, &[u8])) {
        match self {
            Self::SetAside => set_aside(folder, room, log, good, bytes),
            Self::Told => {
                let what = described(bytes);
                let rest = if lacks_its_end(bytes) {
                    format!("; if it shall count, end that line: echo >> {}", path(folder, room, "log").display())
                } else {
                    String::new()
                };
                warn!("the log of {room} is damaged: its end, {what}, counts for nothing; a start sets it aside{rest}");
            }
        }
    }
}

fn are_ours(folder: &Path, rooms: &[RoomName]) -> io::Result<()> {
    for &room in rooms {
        // Nothing is wrong with such a log, and it can be put right.
        for (kind, is_written) in [("log", true), ("log.1", true), ("topic", false)] {
            let path = path(folder, room, kind);
            match open_regular(File::options().read(true).write(is_written), &path) {
                Err(e) if e.kind() == io::ErrorKind::PermissionDenied => return Err(not_ours(&path, &e)),
                _ => {}
            }
        }
    }
    Ok(())
}

/// Gives the files of rooms the names that we give them. Some systems take marks apart from their letters, and a folder may have
/// been copied by way of one.
fn respell(folder: &Path) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let file = entry.file_name();
        let kinds = ["log", "log.1", "topic"].into_iter();
        let mut found = kinds.filter_map(|kind| Some((room_of(file.to_str()?, kind)?, kind)));
        let Some(path) = found.next().map(|(room, kind)| path(folder, room, kind)) else { continue };
        if path == entry.path() {
            continue;
        }
        if fs::symlink_metadata(&path).is_ok() {
            warn!("{} is left alone, as there is one of this name, spelled otherwise", entry.path().display());
        } else if let Err(e) = fs::rename(entry.path(), &path) {
            warn!("{} is left alone, as it cannot be spelled as its room is: {e}", entry.path().display());
        }
    }
    Ok(())
}

/// The room whose file of this kind is called so.
fn room_of(file: &str, kind: &str) -> Option<RoomName> {
    let name = file.strip_suffix(kind)?.strip_suffix('.')?;
    RoomName::new(&format!("#{name}")).ok()
}

/// How much of a room is to be read. What memory does not get at the start is read when somebody asks for it.
#[derive(Clone, Copy)]
struct Wanted {
    lines: usize,
    /// Beyond so many bytes of the log no more is read for the sake of lines.
    bytes: u64,
}

/// The rooms that have a log in `folder`, the one in which something was said longest ago first, and of more than `most` the
/// last. Their files tell no time that can be trusted: whoever copies a folder changes it.
fn list(folder: &Path, most: usize) -> io::Result<Vec<RoomName>> {
    // By their spelling, so that of two rooms that differ only in case it is always the same that counts.
    let mut logs: BTreeMap<String, (SystemTime, RoomName)> = BTreeMap::new();
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let name = entry.file_name();
        let name = name.to_str().and_then(|name| room_of(name, "log.1").or_else(|| room_of(name, "log")));
        let Some(name) = name else { continue };
        let used = time_of_last(&entry.path()).unwrap_or(SystemTime::UNIX_EPOCH);
        let (latest, _) = logs.entry(name.as_str().to_owned()).or_insert((used, name));
        *latest = used.max(*latest);
    }
    let mut found: BTreeMap<RoomName, (SystemTime, RoomName)> = BTreeMap::new();
    for (used, name) in logs.into_values() {
        let best = found.entry(name).or_insert((used, name));
        if best.1.as_str() == name.as_str() {
            continue;
        }
        // A disk that was full leaves empty logs, and whoever came later may have spelled the name otherwise.
        let other = if used > best.0 { std::mem::replace(best, (used, name)).1 } else { name };
        warn!("the log of {other} is left alone, as the last word in that of {} is younger", best.1);
    }
    let mut rooms: Vec<(SystemTime, RoomName)> = found.into_values().collect();
    rooms.sort_unstable();
    let beyond = rooms.len().saturating_sub(most);
    if beyond > 0 {
        let rooms_left = counted(beyond as u64, "room");
        warn!("left alone are the logs of {rooms_left}, as there may be only {most}; remove the oldest of them");
        rooms.drain(..beyond);
    }
    Ok(rooms.into_iter().map(|(_, room)| room).collect())
}

/// The time of the last message of a log, if it stands at its end, or of its last change. An empty one has none.
fn time_of_last(path: &Path) -> io::Result<SystemTime> {
    let file = open_regular(File::options().read(true), path)?;
    let data = file.metadata()?;
    if data.len() == 0 {
        return Ok(SystemTime::UNIX_EPOCH);
    }
    let mut bytes = Vec::new();
    At { file: &file, at: data.len().saturating_sub(SPAN_LEAST) }.read_to_end(&mut bytes)?;
    let last = bytes.rsplit(|&b| b == b'\n').take(LAST_LINES).find_map(format::parse_saved);
    last.map_or_else(|| data.modified(), |line| Ok(line.at))
}

fn load_room(folder: &Path, name: RoomName, wanted: Wanted, damaged: Damaged) -> io::Result<Option<PastRoom>> {
    // Where no message is wanted, the number of the last one is.
    let least = Wanted { lines: wanted.lines.max(1), ..wanted };
    let (mut lines, is_all) = load_log(folder, name, "log", least, damaged)?;
    if lines.len() < least.lines && is_all {
        let older = load_log(folder, name, "log.1", Wanted { lines: least.lines - lines.len(), ..least }, damaged);
        let older = older.inspect_err(|e| warn!("cannot read the older log of {name}: {e}")).unwrap_or_default().0;
        let first = lines.first().map_or(u64::MAX, |line| line.seq);
        lines.splice(0..0, older.into_iter().filter(|line| line.seq < first));
    }
    let Some(last_seq) = lines.last().map(|line| line.seq) else { return Ok(None) };
    lines.drain(..lines.len().saturating_sub(wanted.lines));
    let path = path(folder, name, "topic");
    let topic = read_text(&path).inspect_err(|e| {
        if e.kind() != io::ErrorKind::NotFound {
            warn!("the topic of {name} cannot be read: {}: {e}", path.display());
        }
    });
    let topic = topic.ok().and_then(|topic| topic.lines().next().map(Text::new));
    let topic = topic.filter(|topic| topic.as_str().len() <= limits::TOPIC);
    Ok(Some(PastRoom { name, topic, last_seq, lines }))
}

/// The last messages of a log, and whether these are all that it has. Of what is damaged at its end becomes what is said.
fn load_log(
    folder: &Path,
    room: RoomName,
    kind: &str,
    wanted: Wanted,
    damaged: Damaged,
) -> io::Result<(Vec<Logged>, bool)> {
    let path = path(folder, room, kind);
    let file = match open_regular(File::options().read(true).write(true), &path) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok((Vec::new(), true)),
        file => file?,
    };
    let len = without_zeros(&file, &path, damaged)?;
    let (from, bytes, reading) = match read_last(&file, len, wanted) {
        Err(e) if e.kind() == io::ErrorKind::InvalidData => {
            damaged.all(folder, room, &path, &e);
            return Ok((Vec::new(), true));
        }
        read => read?,
    };
    let bad = &bytes[reading.good..];
    let good = from + reading.good as u64;
    if good == 0 && !bad.is_empty() {
        // Whoever has put it there finds it as it was.
        damaged.all(folder, room, &path, &io::Error::other("no line of it is a message"));
    } else if !bad.is_empty() {
        damaged.end(folder, room, &file, (good, bad));
    }
    if reading.skipped > 0 {
        let skipped = counted(reading.skipped as u64, "line");
        warn!("left out of {}, as no message can be like that: {skipped}", path.display());
    }
    Ok((reading.lines, from == 0))
}

/// How much of a log is read at first, in bytes: longer than the longest line.
const SPAN_LEAST: u64 = 16 * 1024;
/// How much of it is read at most for the sake of lines.
const SPAN_MOST: u64 = 1024 * 1024;
/// Where no message is within so many bytes at its end, it is damaged beyond reading.
const SPAN_DAMAGED: u64 = 256 * 1024 * 1024;
/// In so many lines at the end of a log a message is looked for before more is read.
const LAST_LINES: usize = 8;

/// Reads the last `wanted` messages of a log of `len` bytes, as far as it has so many and they do not take too much, and one at least: where
/// it begins to read, the bytes from there on, and what is in them.
///
/// What a crash of the system has left at the end may be old blocks of the disk, whose lines look good. Their numbers are lower
/// than those that a log begins with, and where that is so, more is read.
fn read_last(file: &File, len: u64, wanted: Wanted) -> io::Result<(u64, Vec<u8>, Reading)> {
    let mut span = SPAN_LEAST;
    loop {
        let mut from = len.saturating_sub(span);
        let mut bytes = Vec::new();
        At { file, at: from }.take(len - from).read_to_end(&mut bytes)?;
        if from > 0 {
            // The first line may have begun before.
            let begin = bytes.iter().position(|&b| b == b'\n').map_or(bytes.len(), |end| end + 1);
            bytes.drain(..begin);
            from += begin as u64;
        }
        // To read what nobody wants takes its time.
        let mut ends = memrchr_iter(b'\n', &bytes);
        let begin = ends.nth(wanted.lines + LAST_LINES).map_or(0, |end| end + 1);
        let reading = format::read(&bytes[begin..]);
        let is_all = from == 0 && begin == 0;
        let is_enough = reading.lines.len() >= wanted.lines || 4 * span > wanted.bytes.min(SPAN_MOST);
        let first = reading.lines.first().filter(|_| is_enough && !is_all).map(|line| line.seq);
        if is_all || (first.is_some() && first > search::first_of(file)?.map(|oldest| oldest.seq)) {
            bytes.drain(..begin);
            return Ok((from + begin as u64, bytes, reading));
        }
        if len <= span {
            let reading = format::read(&bytes);
            return Ok((from, bytes, reading));
        }
        if span >= SPAN_DAMAGED {
            let text = format!("no message is in its last {} MiB", SPAN_DAMAGED >> 20);
            return Err(io::Error::new(io::ErrorKind::InvalidData, text));
        }
        span *= 4;
    }
}

/// How long a log is without the zeros that a crash of the system has left at its end, if they are many. They are cut off: there is nothing to
/// set aside in them, and reading them for a message takes its time.
fn without_zeros(file: &File, path: &Path, damaged: Damaged) -> io::Result<u64> {
    let len = file.metadata()?.len();
    let zeros = vec![0; if len > SPAN_MOST { 64 * 1024 } else { 0 }];
    let mut block = zeros.clone();
    let mut end = len;
    while end > 0 && !block.is_empty() {
        // To begin with, one byte tells whether there are any.
        let want = if end == len { 1 } else { end.min(block.len() as u64) };
        let block = &mut block[..usize::try_from(want).map_err(io::Error::other)?];
        file.read_exact_at(block, end - want)?;
        if *block != zeros[..block.len()] {
            end -= block.iter().rev().take_while(|&&b| b == 0).count() as u64;
            break;
        }
        end = if end == len { end_of_data(file, end - want) } else { end - want };
    }
    if len - end <= SPAN_MOST {
        return Ok(len);
    }
    let (path, zeros) = (path.display(), len - end);
    match damaged {
        Damaged::SetAside => {
            file.set_len(end)?;
            warn!("cut off {path}, as a crash has left nothing but zeros there: {zeros} bytes");
        }
        Damaged::Told => {
            warn!("at the end of {path} there are nothing but zeros, which a start cuts off: {zeros} bytes")
        }
    }
    Ok(end)
}

/// Where a file has its last data before `end`, as far as the system tells; what is behind was never written, and is zeros.
fn end_of_data(file: &File, end: u64) -> u64 {
    let (mut low, mut high) = (0, end);
    while low < high {
        let middle = low + (high - low) / 2;
        match rustix::fs::seek(file, SeekFrom::Data(middle)) {
            Ok(at) => low = at.max(middle) + 1,
            Err(Errno::NXIO) => high = middle,
            Err(_) => return end,
        }
    }
    high.min(end)
}

/// A reader with a place of its own in a file.
pub(super) struct At<'a> {
    pub(super) file: &'a File,
    pub(super) at: u64,
}

impl Read for At<'_> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let read = self.file.read_at(buf, self.at)?;
        self.at += read as u64;
        Ok(read)
    }
}

/// Moves a log that cannot be read out of the way, so that what is said next does not end up behind it. A folder of this
/// name is none of ours.
fn set_all_aside(folder: &Path, room: RoomName, log: &Path, why: &io::Error) {
    if log.is_dir() {
        return warn_of_folder(room, log);
    }
    let moved = aside(folder, room, "damaged").and_then(|(path, _)| fs::rename(log, &path).map(|()| path));
    match moved {
        Ok(path) => warn!("the log of {room} cannot be read: {why}; it is now in {}", path.display()),
        Err(e) => warn!("the log of {room} cannot be read: {why}; nor can it be set aside: {e}"),
    }
}

fn warn_of_folder(room: RoomName, log: &Path) {
    warn!("the log of {room} cannot be kept until {} is moved away, which is a folder", log.display());
}

/// A new file for what is set aside.
fn aside(folder: &Path, room: RoomName, why: &str) -> io::Result<(PathBuf, File)> {
    let mut paths = (1..).map(|n: u32| path(folder, room, &format!("{why}-{n}")));
    let opened = paths.find_map(|path| match private().write(true).create_new(true).open(&path) {
        Err(e) if e.kind() == io::ErrorKind::AlreadyExists => None,
        opened => Some(opened.map(|file| (path, file))),
    });
    opened.unwrap_or_else(|| Err(io::ErrorKind::AlreadyExists.into()))
}

/// Moves what is damaged at the end of a log to a file of its own. If that fails, it stays where it is, and what is said
/// next begins on a new line behind it.
fn set_aside(folder: &Path, room: RoomName, log: &File, good: u64, damaged: &[u8]) {
    let moved = aside(folder, room, "damaged").and_then(|(path, file)| {
        let copied = file.write_all_at(damaged, 0).and_then(|()| file.sync_all());
        if let Err(e) = copied {
            let _ = fs::remove_file(&path);
            return Err(e);
        }
        log.set_len(good)?;
        Ok(path)
    });
    let what = described(damaged);
    match moved {
        Ok(aside) => {
            let (aside, log) = (aside.display(), path(folder, room, "log"));
            let rest = if lacks_its_end(damaged) {
                format!(
                    "; if it shall count, stop the server before anything more is said there, (cat {aside}; echo) >> {}, and start it again",
                    log.display()
                )
            } else {
                String::new()
            };
            warn!("the log of {room} was damaged: its end, {what}, is now in {aside}{rest}");
        }
        Err(e) => warn!("the log of {room} is damaged at its end, {what} of it, which cannot be set aside: {e}"),
    }
}

/// Whether this is a line that lacks nothing but its end, as an editor leaves it. It cannot count, as it could be the beginning of another.
fn lacks_its_end(torn: &[u8]) -> bool {
    !torn.ends_with(b"\n") && format::parse_saved(torn).is_some()
}

/// What was torn off at the end of a log.
fn described(torn: &[u8]) -> String {
    let count = counted(torn.len() as u64, "byte");
    match format::parse_saved(torn).filter(|_| lacks_its_end(torn)) {
        Some(line) => format!("{count}, which are line {} without its end", line.seq),
        None => count,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustix::fs::{CWD, Mode, mkfifoat};
    use std::os::unix::fs::symlink;
    use std::time::Duration;

    /// A folder whose logs have so many lines each, the last of which were said in this order.
    fn folder(logs: impl IntoIterator<Item = (String, u64)>) -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        for (n, (name, count)) in (0..).zip(logs) {
            let line = |seq| format!("{seq} 2026-11-22T14:{n:02}:00.123Z <alice> hi\n");
            let path = dir.path().join(format!("{name}.log"));
            fs::write(&path, (1..=count).map(line).collect::<String>()).unwrap();
            // Whoever copied the folder did not keep their times.
            File::open(path).unwrap().set_modified(SystemTime::UNIX_EPOCH + Duration::from_secs(99 - n)).unwrap();
        }
        dir
    }

    /// What is found, by name: the last number, and how many lines are there.
    fn found(folder: &Path, wanted: usize, remembering: usize) -> Vec<(String, u64, usize)> {
        let rooms = load(folder, wanted, remembering).unwrap();
        rooms.map(|room| (room.name.to_string(), room.last_seq, room.lines.len())).collect()
    }

    #[test]
    fn a_room_is_found_however_its_file_is_spelled() {
        let dir = folder([("Zoe\u{308}".into(), 5), ("кухня".into(), 9), ("ü".into(), 2), ("u\u{308}".into(), 3)]);
        fs::write(dir.path().join("Zoe\u{308}.topic"), "tea\n").unwrap();
        fs::write(dir.path().join("ſ.log"), "1 2026-11-22T15:00:00.123Z <alice> hi\n").unwrap();
        let of = |name: &str, last_seq| (name.to_owned(), last_seq, 1);
        // A room is there though nobody could make one that is called so.
        assert_eq!(found(dir.path(), 1, 9), [of("#Zoë", 5), of("#кухня", 9), of("#ü", 2), of("#ſ", 1)]);
        let rooms = load(dir.path(), 1, 9).unwrap();
        assert_eq!(rooms.into_iter().next().unwrap().topic, Some(Text::new("tea")));
        // Nothing is lost of a room that is there twice.
        assert!(dir.path().join("u\u{308}.log").exists());
        let mut logs = Logs::new(dir.path().to_owned(), 1024 * 1024, None);
        logs.append(RoomName::new("#Zoë").unwrap(), "6 2026-11-22T15:00:00.123Z <alice> hi\n").unwrap();
        assert_eq!(found(dir.path(), 9, 9).iter().find(|(name, ..)| name == "#Zoë").unwrap().1, 6);
    }

    #[test]
    fn of_rooms_that_were_unused_for_longest_only_the_number_is_known() {
        let dir = folder([("b".into(), 5), ("none".into(), 0), ("c".into(), 9), ("a".into(), 3)]);
        fs::write(dir.path().join("b.topic"), "tea\n").unwrap();
        let of = |name: &str, last_seq, lines| (name.to_owned(), last_seq, lines);
        assert_eq!(found(dir.path(), 4, 9), [of("#b", 5, 4), of("#c", 9, 4), of("#a", 3, 3)]);
        assert_eq!(found(dir.path(), 4, 1), [of("#b", 5, 0), of("#c", 9, 0), of("#a", 3, 3)]);
        assert_eq!(found(dir.path(), 0, 9), [of("#b", 5, 0), of("#c", 9, 0), of("#a", 3, 0)]);
        let topic = load(dir.path(), 4, 0).unwrap().next().unwrap().topic;
        assert_eq!(topic, Some(Text::new("tea")));
        // The newest log may have nothing yet.
        fs::rename(dir.path().join("c.log"), dir.path().join("c.log.1")).unwrap();
        fs::write(dir.path().join("c.log"), "").unwrap();
        assert!(found(dir.path(), 4, 0).contains(&of("#c", 9, 0)));
    }

    #[test]
    fn what_is_no_regular_file_is_not_read() {
        let dir = folder([("a".into(), 5), ("other".into(), 5)]);
        let path = |name: &str| dir.path().join(name);
        for name in ["a.log.1", "a.topic", "b.log", "c.log.1"] {
            mkfifoat(CWD, path(name), Mode::RUSR | Mode::WUSR).unwrap();
        }
        symlink("other.log", path("d.log")).unwrap();
        let other = fs::read(path("other.log")).unwrap();
        let mut names: Vec<_> = found(dir.path(), 9, 9).into_iter().map(|(name, ..)| name).collect();
        names.sort_unstable();
        assert_eq!(names, ["#a", "#other"]);
        // What is said next has a place.
        assert!(!path("b.log").exists() && !path("d.log").exists());
        assert_eq!(fs::read(path("other.log")).unwrap(), other);
    }

    #[test]
    fn what_holds_no_message_is_moved_aside_as_it_is() {
        let dir = folder([("a".into(), 5)]);
        let path = |name: &str| dir.path().join(name);
        fs::write(path("access.log"), "GET / 200\nGET /x 404\n".repeat(10_000)).unwrap();
        let before = fs::metadata(path("access.log")).unwrap();
        assert_eq!(found(dir.path(), 9, 9).len(), 1);
        let after = fs::metadata(path("access.damaged-1")).unwrap();
        assert_eq!((after.ino(), after.len()), (before.ino(), before.len()));
        assert!(!path("access.log").exists());
    }

    #[test]
    fn what_a_crash_left_of_zeros_is_read_no_further_than_it_must_be() {
        let dir = folder([("a".into(), 5), ("b".into(), 5), ("c".into(), 5)]);
        let path = |name: &str| dir.path().join(name);
        let open = |name: &str| File::options().write(true).open(path(name)).unwrap();
        let good = fs::metadata(path("a.log")).unwrap().len();
        // What was never written takes no time, and what was written takes little.
        open("a.log").set_len(1 << 40).unwrap();
        open("b.log").write_all_at(&vec![0; 3 * 1024 * 1024], good).unwrap();
        open("c.log").write_all_at(b"6 torn", good).unwrap();
        open("c.log").set_len(1 << 40).unwrap();
        let of = |name: &str| (name.to_owned(), 5, 5);
        assert_eq!(found(dir.path(), 9, 9), [of("#a"), of("#b"), of("#c")]);
        assert_eq!(["a.log", "b.log", "c.log"].map(|name| fs::metadata(path(name)).unwrap().len()), [good; 3]);
        assert_eq!(fs::read(path("c.damaged-1")).unwrap(), b"6 torn");
        assert!(!path("a.damaged-1").exists() && !path("b.damaged-1").exists());
    }

    #[test]
    fn of_more_logs_than_there_may_be_those_used_last_count() {
        let dir = folder(["c", "a", "b"].map(|name| (name.to_owned(), 1)));
        let rooms = list(dir.path(), 2).unwrap();
        assert_eq!(rooms.iter().map(RoomName::as_str).collect::<Vec<_>>(), ["#a", "#b"]);
        assert!(dir.path().join("c.log").exists());
    }
}
