//! The local side of file transfers: what is read to be sent, and where what comes is kept.

use std::env;
use std::ffi::{OsStr, OsString};
use std::fs::{self, File, Metadata, TryLockError};
use std::io::{self, ErrorKind, Read};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::{FileExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::OFlags;
use rustix::io::Errno;
use sha2::{Digest as _, Sha256};

use crate::limits;
use crate::listener::reason;
use crate::names::{Digest, FileId, FileName, clean};

/// A local file that is being shared. Its size is what it was at the start; what it grows by later is not sent.
#[derive(Debug)]
pub struct Source {
    file: File,
    size: u64,
    sum: Sum,
    digest: Option<Digest>,
}

impl Source {
    /// How large a file may be that the system makes up as it is read, in bytes.
    const MADE_UP: u64 = 16 * 1024 * 1024;

    /// Opens the file at `path` for reading. An error says so if that is a folder or anything else but a plain file; a named
    /// pipe does not hold it up.
    pub fn open(path: &Path) -> io::Result<Self> {
        // A socket is told from the rest here, as it cannot even be opened.
        must_be_plain(&fs::metadata(path)?)?;
        let file = File::options().read(true).custom_flags(flags(OFlags::NONBLOCK | OFlags::NOCTTY)).open(path)?;
        let metadata = file.metadata()?;
        // What /proc and /sys hold has no size of its own, or a wrong one.
        if metadata.blocks() == 0 && metadata.len() <= Self::MADE_UP {
            return match Self::collect(&file, Self::MADE_UP)? {
                Some(source) => Ok(source),
                None => Err(io::Error::other("it does not tell how large it is, and goes on and on")),
            };
        }
        Self::new(file)
    }

    /// Reads `input` to its end into a file without a name, as its size and digest must be known before it is sent. `None` if
    /// there are more than `most` bytes.
    pub fn collect(input: impl Read, most: u64) -> io::Result<Option<Self>> {
        let mut file = without_name()?;
        let count = io::copy(&mut input.take(most.saturating_add(1)), &mut file)?;
        if count > most { Ok(None) } else { Self::new(file).map(Some) }
    }

    /// Takes a file that is open already. It is an error if it is not a plain file.
    fn new(file: File) -> io::Result<Self> {
        let metadata = file.metadata()?;
        must_be_plain(&metadata)?;
        Ok(Self { file, size: metadata.len(), sum: Sum::default(), digest: None })
    }

    /// Its size in bytes.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Reads on for the digest, at most 1 MiB a call: `None` while there is more to read, then always the digest. It is an
    /// error if the file cannot be read or has become shorter.
    pub fn digest(&mut self) -> io::Result<Option<Digest>> {
        if self.digest.is_none() {
            self.sum.read_on(&self.file, self.size)?;
            self.digest = (self.sum.bytes == self.size).then(|| self.sum.digest());
        }
        Ok(self.digest)
    }

    /// Bytes that have been read for the digest so far.
    pub fn hashed(&self) -> u64 {
        self.sum.bytes
    }

    /// Fills `buf` from `offset` on, and returns how many bytes that were: fewer than its length only at the end. It is an
    /// error if the file cannot be read or has become shorter.
    pub fn read(&self, offset: u64, buf: &mut [u8]) -> io::Result<usize> {
        read_up_to(&self.file, self.size, offset, buf)
    }
}

/// The name under which a file is sent: the last part of its path, made to fit [`FileName`], and `file` where there is none.
pub fn name_of(path: &Path) -> String {
    let name = path.file_name().map_or_else(Default::default, |name| clean(name.as_bytes()));
    let name = cut(&name.replace('\\', "_").replace('\t', " "), FileName::MAX);
    if name.is_empty() { NAMELESS.into() } else { name }
}

/// The path that `path` stands for: `~` and `~/…` are in the home folder.
pub fn expand(path: &str) -> PathBuf {
    match (path.strip_prefix('~'), home()) {
        (Some(rest), Some(home)) if rest.is_empty() || rest.starts_with('/') => {
            let mut path = home.into_os_string();
            path.push(rest);
            path.into()
        }
        _ => path.into(),
    }
}

/// Whether a line is just the path of a file that is here, in the form in which terminals type what is dropped into them.
pub fn is_dropped(line: &str) -> bool {
    let is_path = line.starts_with(['\'', '"']) || line.starts_with("file://") || line.starts_with("~/");
    let is_path = is_path || line.strip_prefix('/').is_some_and(|rest| rest.contains('/'));
    is_path && fs::symlink_metadata(meant(OsStr::new(line))).is_ok_and(|data| data.is_file())
}

/// The path of the file that somebody means. What is dropped into a terminal may stand in quotes, have backslashes in it or
/// begin with `file://`, and what is no UTF-8 is shown and typed with U+FFFD. What is there as it stands is meant so.
pub fn meant(typed: &OsStr) -> PathBuf {
    let Some(text) = typed.to_str() else { return typed.into() };
    let whole = expand(text);
    let is_there = |path: &PathBuf| fs::symlink_metadata(path).is_ok();
    if is_there(&whole) {
        return whole;
    }
    let others = [Some(expand(&unquoted(text))), of_url(&unquoted(text)), shown_as(&whole)];
    others.into_iter().flatten().find(is_there).unwrap_or(whole)
}

/// A word as a shell reads it, but for spaces, which may be a part of it.
fn unquoted(text: &str) -> String {
    let (mut plain, mut quote, mut chars) = (String::new(), None, text.chars());
    while let Some(c) = chars.next() {
        match (quote, c) {
            (None, '\'' | '"') => quote = Some(c),
            (Some(open), _) if open == c => quote = None,
            (None | Some('"'), '\\') => plain.extend(chars.next()),
            _ => plain.push(c),
        }
    }
    plain
}

/// The path in a `file://` address.
fn of_url(text: &str) -> Option<PathBuf> {
    let rest = text.strip_prefix("file://")?;
    let mut left = &rest.as_bytes()[rest.find('/')?..];
    let mut path = Vec::new();
    while let [first, others @ ..] = left {
        let hex = others.get(..2).filter(|_| *first == b'%').and_then(|hex| std::str::from_utf8(hex).ok());
        let byte = hex.and_then(|hex| u8::from_str_radix(hex, 16).ok());
        path.push(byte.unwrap_or(*first));
        left = if byte.is_some() { &others[2..] } else { others };
    }
    Some(OsString::from_vec(path).into())
}

/// The only file that is shown as `path`, which stands for what is no UTF-8.
fn shown_as(path: &Path) -> Option<PathBuf> {
    let name = path.file_name()?.to_str().filter(|name| name.contains('\u{fffd}'))?;
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let names = fs::read_dir(folder).ok()?.flatten().map(|entry| entry.file_name());
    let mut alike = names.filter(|entry| clean(entry.as_bytes()) == name);
    let found = alike.next()?;
    alike.next().is_none().then(|| path.with_file_name(found))
}

/// The folder for what is fetched: the one that the desktop calls so, `~/Downloads` where none does, and the current one for
/// who has no home.
pub fn downloads() -> PathBuf {
    let Some(home) = home() else { return ".".into() };
    let config = env::var_os("XDG_CONFIG_HOME").map(PathBuf::from).filter(|config| config.is_absolute());
    let names = config.unwrap_or_else(|| home.join(".config")).join("user-dirs.dirs");
    let names = fs::read_to_string(names).unwrap_or_default();
    user_folder(&names, &home).unwrap_or_else(|| home.join("Downloads"))
}

/// What the lines of `user-dirs.dirs` call the download folder. The home folder itself stands there for none.
fn user_folder(names: &str, home: &Path) -> Option<PathBuf> {
    let value = |line: &str| {
        let value = line.trim().strip_prefix("XDG_DOWNLOAD_DIR")?.trim_start().strip_prefix('=')?;
        Some(unquoted(value.trim()))
    };
    let value = names.lines().rev().find_map(value)?;
    let folder = match value.strip_prefix("$HOME") {
        Some(rest) => home.join(rest.trim_start_matches('/')),
        None => value.into(),
    };
    (folder.is_absolute() && folder != home).then_some(folder)
}

/// The home folder, if there is one.
fn home() -> Option<PathBuf> {
    env::home_dir().filter(|home| home.is_absolute())
}

/// What a part is a part of. It stands in the name of the part, so that nothing else is ever taken for one.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Mark(String);

impl Mark {
    /// Hexadecimal digits of a digest, which tell files apart that have the same ID.
    const DIGITS: usize = 12;

    /// Of a file on the server at `server`, as it is listed there. `scripts/get-file` marks its parts in the same way.
    pub fn of(server: &str, file: FileId, size: u64, name: &str) -> Self {
        let digest = Digest(Sha256::digest(format!("{server} {file} {size} {name}")).into());
        Self(format!("{file}-{}", Self::digits(&digest)))
    }

    /// Of what has this digest, and is here already.
    pub fn of_digest(digest: &Digest) -> Self {
        Self(Self::digits(digest))
    }

    fn digits(digest: &Digest) -> String {
        digest.to_string().chars().skip("sha256:".len()).take(Self::DIGITS).collect()
    }
}

/// A file that is coming, in `NAME.MARK.part` until it is whole. Nobody else takes that up while this lives, where the file
/// system has locks.
///
/// When this goes, the part is kept, to be taken up later, unless nothing is in it.
#[derive(Debug)]
pub struct Part {
    file: File,
    part: PathBuf,
    /// What it is to be called.
    path: PathBuf,
    /// Whether it may be called `NAME (2)`, `NAME (3)`, … instead.
    numbered: bool,
    size: u64,
    len: u64,
    sum: Sum,
    finished: bool,
}

impl Part {
    /// What a part that is taken up is cut to a multiple of, in bytes, so that what still comes is whole lines of a download.
    const STEP: u64 = limits::DOWNLOAD_LINE as u64;

    /// Takes up or makes the part of `name` in `folder`, which is made if it is not there. `size` is that of the whole file in
    /// bytes.
    ///
    /// What a server calls a file is made harmless: it is in the folder itself, is not hidden, looks like neither an option
    /// nor a part, and has at most 240 bytes. Where the file system does not take that name, a plainer one is taken. A part
    /// that is not as we make them is left alone, and the next name is taken: `cat.png.MARK.part`, `cat (2).png.MARK.part`, … It
    /// is an error if somebody is writing the part.
    pub fn open(folder: &Path, name: &str, size: u64, mark: &Mark) -> io::Result<Self> {
        fs::create_dir_all(folder)?;
        match Self::in_folder(folder.join(harmless(name)), size, mark) {
            Err(e) if is_name_refused(&e) => Self::in_folder(folder.join(plain(name)), size, mark),
            opened => opened,
        }
    }

    fn in_folder(path: PathBuf, size: u64, mark: &Mark) -> io::Result<Self> {
        for number in 1.. {
            let part = part_of(&numbered(&path, number), mark);
            if let Some((file, len)) = take(&part, size)? {
                return Ok(Self { file, part, path, numbered: true, size, len, sum: Sum::default(), finished: false });
            }
        }
        Err(ErrorKind::AlreadyExists.into())
    }

    /// Takes up or makes the part of the file that is to be at `path` exactly. It is an error if anything is there already, or
    /// if its part cannot be taken up, as for [`Self::open`].
    pub fn at(path: &Path, size: u64, mark: &Mark) -> io::Result<Self> {
        if path.file_name().is_none() {
            return Err(io::Error::new(ErrorKind::InvalidInput, "it names no file"));
        }
        let another = |e: io::Error| io::Error::new(e.kind(), format!("{}; give it another name", reason(&e)));
        match fs::symlink_metadata(path) {
            Ok(_) => return Err(exists(path)),
            Err(e) if is_name_refused(&e) => return Err(another(e)),
            Err(_) => {}
        }
        let (part, path) = (part_of(path, mark), path.to_owned());
        let taken = take(&part, size).map_err(|e| if is_name_refused(&e) { another(e) } else { e })?;
        let Some((file, len)) = taken else {
            let part = part.display();
            let why = format!("{part} is in the way: it is being written, or is no part of this file");
            return Err(io::Error::new(ErrorKind::AlreadyExists, why));
        };
        Ok(Self { file, part, path, numbered: false, size, len, sum: Sum::default(), finished: false })
    }

    /// Reads on over what was there before, for the digest, at most 1 MiB a call: `None` while there is more to read, then the
    /// offset to go on from. That is a multiple of 12,288, or the size if all of it is there.
    pub fn check(&mut self) -> io::Result<Option<u64>> {
        self.sum.read_on(&self.file, self.len)?;
        Ok((self.sum.bytes == self.len).then_some(self.len))
    }

    /// Bytes that are there.
    pub fn len(&self) -> u64 {
        self.len
    }

    /// Whether nothing is there.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Writes what follows, once [`Self::check`] is through. It is an error if that cannot be written, or if it were more than
    /// the size in all; nothing has been added then.
    pub fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        let len = self.len + bytes.len() as u64;
        if len > self.size {
            return Err(io::Error::new(ErrorKind::InvalidData, "more than its size has come"));
        }
        self.file.write_all_at(bytes, self.len)?;
        self.sum.add(bytes);
        self.len = len;
        Ok(())
    }

    /// Begins anew, with nothing: what was there is part of another file.
    pub fn restart(&mut self) -> io::Result<()> {
        self.file.set_len(0)?;
        self.len = 0;
        self.sum = Sum::default();
        Ok(())
    }

    /// All has come: it is synced, gets its name, and its path is returned. `None` if it is not whole or has another digest; it
    /// is as it was then.
    ///
    /// It is never put over anything that is there: in a folder it becomes `cat (2).png`, `cat (3).png`, … then, while
    /// otherwise that is an error.
    pub fn finish(&mut self, digest: &Digest) -> io::Result<Option<PathBuf>> {
        if self.len != self.size || self.sum.bytes != self.len || self.sum.digest() != *digest {
            return Ok(None);
        }
        if !is_at(&self.file, &self.part) {
            return Err(io::Error::new(ErrorKind::NotFound, format!("{} is gone", self.part.display())));
        }
        // After a loss of power, what has the name is whole.
        sync(&self.file)?;
        let path = match self.reserve() {
            Err(e) if self.numbered && is_name_refused(&e) => {
                let name = self.path.file_name().unwrap_or_default().to_string_lossy().into_owned();
                self.path.set_file_name(plain(&name));
                self.reserve()?
            }
            reserved => reserved?,
        };
        if let Err(e) = fs::rename(&self.part, &path) {
            // It is empty, and this has made it.
            let _ = fs::remove_file(&path);
            return Err(e);
        }
        self.finished = true;
        // That the name is there costs nobody anything should it be lost.
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let _ = File::open(folder).and_then(|folder| folder.sync_all());
        Ok(Some(path))
    }

    /// Removes what there is.
    pub fn discard(mut self) {
        self.len = 0;
    }

    /// Makes an empty file of the first name that is free. The part can be renamed over that, whoever else looks for a name at
    /// the same time.
    fn reserve(&self) -> io::Result<PathBuf> {
        for number in 1.. {
            let path = numbered(&self.path, number);
            match File::options().write(true).create_new(true).open(&path) {
                Ok(_) => return Ok(path),
                Err(e) if e.kind() == ErrorKind::AlreadyExists && self.numbered => {}
                Err(e) if e.kind() == ErrorKind::AlreadyExists => break,
                Err(e) => return Err(e),
            }
        }
        Err(exists(&self.path))
    }
}

impl Drop for Part {
    fn drop(&mut self) {
        if self.is_empty() && !self.finished && is_at(&self.file, &self.part) {
            let _ = fs::remove_file(&self.part);
        }
    }
}

const NAMELESS: &str = "file";

/// The most bytes in the name of a file that comes: ` (2)` is still to follow.
const LONGEST_NAME: usize = 240;
/// The most bytes in a name that all file systems take.
const LONGEST_PLAIN: usize = 100;
/// The most bytes in the name of a part.
const LONGEST_PART: usize = 255;

/// The digest of the first bytes of a file.
#[derive(Default, Debug)]
struct Sum {
    bytes: u64,
    hasher: Sha256,
}

impl Sum {
    const A_CALL: usize = 1024 * 1024;

    fn add(&mut self, bytes: &[u8]) {
        self.hasher.update(bytes);
        self.bytes += bytes.len() as u64;
    }

    /// Adds what follows in `file`, which has `size` bytes.
    fn read_on(&mut self, file: &File, size: u64) -> io::Result<()> {
        let mut buf = vec![0; Self::A_CALL];
        let read = read_up_to(file, size, self.bytes, &mut buf)?;
        self.add(&buf[..read]);
        Ok(())
    }

    fn digest(&self) -> Digest {
        Digest(self.hasher.clone().finalize().into())
    }
}

fn read_up_to(file: &File, size: u64, offset: u64, buf: &mut [u8]) -> io::Result<usize> {
    let there = size.saturating_sub(offset);
    let len = usize::try_from(there).map_or(buf.len(), |there| there.min(buf.len()));
    file.read_exact_at(&mut buf[..len], offset).map_err(|e| match e.kind() {
        ErrorKind::UnexpectedEof => io::Error::new(e.kind(), "it has become shorter"),
        _ => e,
    })?;
    Ok(len)
}

/// A file without a name, which goes when it is closed.
fn without_name() -> io::Result<File> {
    let path = env::temp_dir().join(format!("chinwag-{:016x}", getrandom::u64()?));
    let file = File::options().read(true).write(true).create_new(true).mode(0o600).open(&path)?;
    fs::remove_file(path).map(|()| file)
}

fn must_be_plain(metadata: &Metadata) -> io::Result<()> {
    if metadata.is_dir() {
        Err(io::Error::new(ErrorKind::IsADirectory, "it is a folder"))
    } else if metadata.is_file() {
        Ok(())
    } else {
        Err(io::Error::new(ErrorKind::InvalidInput, "it is not a plain file"))
    }
}

/// Opens the part at `part`, or makes it, and cuts it; `None` if it is somebody else's.
fn take(part: &Path, size: u64) -> io::Result<Option<(File, u64)>> {
    let wanted = flags(OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY);
    let file = match File::options().read(true).write(true).create(true).truncate(false).custom_flags(wanted).open(part)
    {
        Ok(file) => file,
        Err(_) if fs::symlink_metadata(part).is_ok() => return Ok(None),
        Err(e) => return Err(e),
    };
    if !file.metadata()?.is_file() {
        return Ok(None);
    }
    match file.try_lock() {
        Ok(()) => {}
        // Its mark tells that it is of the same file.
        Err(TryLockError::WouldBlock) => {
            let why = format!("{} is being written, so the file is on its way here already", part.display());
            return Err(io::Error::new(ErrorKind::ResourceBusy, why));
        }
        // There are file systems without locks. Its mark tells that it is ours all the same.
        Err(TryLockError::Error(_)) => {}
    }
    let metadata = file.metadata()?;
    let len = metadata.len();
    // What has another name too is not ours alone, and would change under that name. Between the opening and the lock somebody may have finished it: it has its name then, and is not to be written to.
    if len > size || metadata.nlink() > 1 || !is_at(&file, part) {
        return Ok(None);
    }
    let kept = if len == size { len } else { len - len % Part::STEP };
    if kept < len {
        file.set_len(kept)?;
    }
    Ok(Some((file, kept)))
}

/// Whether `path` names this very file.
fn is_at(file: &File, path: &Path) -> bool {
    match (file.metadata(), fs::symlink_metadata(path)) {
        (Ok(this), Ok(that)) => (this.dev(), this.ino()) == (that.dev(), that.ino()),
        _ => false,
    }
}

fn flags(flags: OFlags) -> i32 {
    flags.bits().cast_signed()
}

fn exists(path: &Path) -> io::Error {
    io::Error::new(ErrorKind::AlreadyExists, format!("{} exists already", path.display()))
}

/// `cat.png`, `cat (2).png`, `cat (3).png`, …
fn numbered(path: &Path, number: u32) -> PathBuf {
    if number == 1 {
        return path.to_owned();
    }
    let mut name = path.file_stem().unwrap_or_default().to_owned();
    name.push(format!(" ({number})"));
    if let Some(extension) = path.extension() {
        name.push(".");
        name.push(extension);
    }
    path.with_file_name(name)
}

/// `cat.png.MARK.part`, in which long names are cut.
fn part_of(path: &Path, mark: &Mark) -> PathBuf {
    let end = format!(".{}.part", mark.0);
    let (name, most) = (path.file_name().unwrap_or_default(), LONGEST_PART - end.len());
    let mut part: OsString = match name.to_str() {
        Some(name) => cut(name, most).into(),
        None => OsStr::from_bytes(&name.as_bytes()[..name.len().min(most)]).to_owned(),
    };
    part.push(end);
    path.with_file_name(part)
}

/// Whether a file system does not take such a name.
fn is_name_refused(e: &io::Error) -> bool {
    matches!(e.kind(), ErrorKind::InvalidFilename | ErrorKind::InvalidInput)
        || e.raw_os_error() == Some(Errno::ILSEQ.raw_os_error())
}

/// Has the disk take all of a file, as far as the file system knows of that.
fn sync(file: &File) -> io::Result<()> {
    match file.sync_all() {
        Err(e) if matches!(e.kind(), ErrorKind::InvalidInput | ErrorKind::Unsupported) => Ok(()),
        synced => synced,
    }
}

/// The name in characters that all file systems take.
fn plain(name: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_');
    let name: String = harmless(name).chars().map(|c| if is_plain(c) { c } else { '_' }).collect();
    cut(&name, LONGEST_PLAIN)
}

/// What a file may be called whatever a server calls it, see [`Part::open`].
fn harmless(name: &str) -> String {
    let name = clean(name.rsplit(['/', '\\']).next().unwrap_or_default().as_bytes()).replace('\t', " ");
    let name = match name.as_bytes() {
        [] => NAMELESS.into(),
        [b'.' | b'-', ..] => format!("_{name}"),
        _ => name,
    };
    let mut name = cut(&name, LONGEST_NAME);
    // It would be taken for what has come of another file. Some systems do not tell capitals from small letters.
    if let Some(dot) = name.len().checked_sub(".part".len())
        && name.as_bytes()[dot..].eq_ignore_ascii_case(b".part")
    {
        name.replace_range(dot..=dot, "_");
    }
    name
}

/// At most so many bytes of `name`, with its extension.
fn cut(name: &str, most: usize) -> String {
    if name.len() <= most {
        return name.into();
    }
    // What is longer than this is not meant for one.
    let extension =
        name.rfind('.').map(|dot| &name[dot..]).filter(|extension| extension.len() <= 16).unwrap_or_default();
    let mut end = most - extension.len();
    while !name.is_char_boundary(end) {
        end -= 1;
    }
    format!("{}{extension}", &name[..end])
}

#[cfg(test)]
mod tests {
    use std::fs::Permissions;
    use std::os::unix::fs::{PermissionsExt, symlink};
    use std::os::unix::net::UnixListener;
    use std::process::Command;
    use std::thread;

    use tempfile::tempdir;

    use super::*;

    fn sha(bytes: &[u8]) -> Digest {
        Digest(Sha256::digest(bytes).into())
    }

    fn some(len: usize) -> Vec<u8> {
        (0..len).map(|i| (i * i / 7).to_le_bytes()[0]).collect()
    }

    fn mark() -> Mark {
        Mark("7-M".to_owned())
    }

    fn check(part: &mut Part) -> u64 {
        loop {
            if let Some(offset) = part.check().unwrap() {
                return offset;
            }
        }
    }

    /// Brings what is missing of `bytes`, and gives the part its name.
    fn fetch(mut part: Part, bytes: &[u8]) -> PathBuf {
        let offset = usize::try_from(check(&mut part)).unwrap();
        for chunk in bytes[offset..].chunks(12_288) {
            part.append(chunk).unwrap();
        }
        part.finish(&sha(bytes)).unwrap().unwrap()
    }

    fn listing(folder: &Path) -> Vec<String> {
        let mut names: Vec<_> =
            fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    fn fifo(path: &Path) {
        assert!(Command::new("mkfifo").arg(path).status().unwrap().success());
    }

    #[test]
    fn a_source_is_read_and_hashed() {
        let dir = tempdir().unwrap();
        let path = dir.path().join("a");
        let bytes = some(Sum::A_CALL * 2 + 5);
        fs::write(&path, &bytes).unwrap();
        let collected = Source::collect(&*bytes, bytes.len() as u64).unwrap().unwrap();
        assert!(Source::collect(&*bytes, bytes.len() as u64 - 1).unwrap().is_none());
        for mut source in [Source::open(&path).unwrap(), collected] {
            assert_eq!(source.size(), bytes.len() as u64);
            for step in 1..=2 {
                assert_eq!(source.digest().unwrap(), None);
                assert_eq!(source.hashed(), step * Sum::A_CALL as u64);
            }
            for _ in 0..2 {
                assert_eq!(source.digest().unwrap(), Some(sha(&bytes)));
                assert_eq!(source.hashed(), source.size());
            }
            let mut buf = [0; 100];
            assert_eq!(source.read(7, &mut buf).unwrap(), 100);
            assert_eq!(buf, bytes[7..107]);
            assert_eq!(source.read(source.size() - 3, &mut buf).unwrap(), 3);
            assert_eq!(buf[..3], bytes[bytes.len() - 3..]);
            assert_eq!(source.read(source.size(), &mut buf).unwrap(), 0);
            assert_eq!(source.read(u64::MAX, &mut buf).unwrap(), 0);
        }
        fs::write(&path, "").unwrap();
        assert_eq!(Source::open(&path).unwrap().digest().unwrap(), Some(sha(b"")));
    }

    #[test]
    fn a_source_that_grows_is_what_it_was_and_one_that_shrinks_fails() {
        let dir = tempdir().unwrap();
        let path = dir.path().join("a");
        fs::write(&path, "12345").unwrap();
        let mut source = Source::open(&path).unwrap();
        fs::write(&path, "1234567").unwrap();
        let mut buf = [0; 10];
        assert_eq!(source.read(0, &mut buf).unwrap(), 5);
        fs::write(&path, "123").unwrap();
        assert_eq!(source.read(0, &mut buf[..3]).unwrap(), 3);
        assert_eq!(source.read(0, &mut buf).unwrap_err().to_string(), "it has become shorter");
        assert_eq!(source.digest().unwrap_err().to_string(), "it has become shorter");
    }

    #[test]
    fn only_plain_files_are_sources() {
        let dir = tempdir().unwrap();
        let (pipe, socket, link) = (dir.path().join("pipe"), dir.path().join("socket"), dir.path().join("link"));
        fifo(&pipe);
        let _listener = UnixListener::bind(&socket).unwrap();
        symlink(&pipe, &link).unwrap();
        let error = |path: &Path| Source::open(path).unwrap_err();
        assert_eq!(error(dir.path()).to_string(), "it is a folder");
        for path in [&pipe, &socket, &link, Path::new("/dev/null")] {
            assert_eq!(error(path).to_string(), "it is not a plain file", "{}", path.display());
        }
        assert_eq!(error(&dir.path().join("none")).kind(), ErrorKind::NotFound);
        assert!(Source::new(File::open(dir.path()).unwrap()).is_err());
        fs::write(dir.path().join("a"), "x").unwrap();
        fs::remove_file(&link).unwrap();
        symlink("a", &link).unwrap();
        assert_eq!(Source::open(&link).unwrap().size(), 1);
    }

    #[test]
    fn names_to_send_fit() {
        use std::ffi::OsStr;
        let long = format!("{}.jpeg", "é".repeat(200));
        for (path, name) in [
            ("cat.png", "cat.png"),
            ("/a/b/.profile", ".profile"),
            ("a/b/", "b"),
            ("a\\b", "a_b"),
            ("a\tb\nc\x1b", "a b\u{fffd}c\u{fffd}"),
            ("/", "file"),
            ("..", "file"),
            ("", "file"),
            (&long, &format!("{}.jpeg", "é".repeat(125))),
        ] {
            assert_eq!(name_of(Path::new(path)), name);
            assert!(FileName::new(name).is_some(), "{name}");
        }
        let bytes = [b"\xff".repeat(255), b"x.".repeat(150)].map(|bytes| name_of(Path::new(OsStr::from_bytes(&bytes))));
        assert!(bytes.iter().all(|name| FileName::new(name).is_some()));
    }

    #[test]
    fn the_home_folder() {
        let home = env::var("HOME").unwrap();
        for (path, wants) in
            [("~", &*home), ("~/a b", &format!("{home}/a b")), ("~a", "~a"), ("a/~", "a/~"), ("/a", "/a"), ("", "")]
        {
            assert_eq!(expand(path).as_os_str(), wants);
        }
    }

    #[test]
    fn what_is_dropped_or_shown_is_found() {
        let dir = tempdir().unwrap();
        let path = |name: &[u8]| dir.path().join(OsStr::from_bytes(name));
        let names: [&[u8]; 6] = [b"a b", b"it's", b"a\\b", b"caf\xe9", b"'q'", b"100%"];
        for name in names {
            fs::write(path(name), "").unwrap();
        }
        let at = dir.path().display();
        for (typed, name) in [
            (format!("{at}/a b"), &b"a b"[..]),
            (format!("'{at}/a b'"), b"a b"),
            (format!("{at}/a\\ b"), b"a b"),
            (format!("\"{at}/it's\""), b"it's"),
            (format!("'{at}/it'\\''s'"), b"it's"),
            (format!("{at}/a\\b"), b"a\\b"),
            (format!("{at}/'q'"), b"'q'"),
            (format!("file://{at}/a%20b"), b"a b"),
            (format!("file://localhost{at}/caf%E9"), b"caf\xe9"),
            (format!("'file://{at}/100%25'"), b"100%"),
            (format!("file://{at}/100%"), b"100%"),
            (format!("{at}/caf\u{fffd}"), b"caf\xe9"),
        ] {
            assert_eq!(meant(typed.as_ref()), path(name), "{typed}");
        }
        for none in ["no such", "'none'", "file://", "file://x", "'", "\\", "\u{fffd}"] {
            assert_eq!(meant(none.as_ref()), Path::new(none));
        }
        fs::write(path(b"caf\xe8"), "").unwrap();
        let typed = format!("{at}/caf\u{fffd}");
        assert_eq!(meant(typed.as_ref()), Path::new(&typed), "it may be either");
    }

    #[test]
    fn the_folder_that_the_desktop_calls_so() {
        let home = Path::new("/home/al");
        for (names, folder) in [
            ("XDG_DOWNLOAD_DIR=\"$HOME/Téléchargements\"\n", Some("/home/al/Téléchargements")),
            ("# XDG_DOWNLOAD_DIR=\"/no\"\n  XDG_DOWNLOAD_DIR = \"/data/in\\\"x\"", Some("/data/in\"x")),
            ("XDG_DOWNLOAD_DIR=\"/one\"\nXDG_MUSIC_DIR=\"/m\"\nXDG_DOWNLOAD_DIR=\"/two\"", Some("/two")),
            ("XDG_DOWNLOAD_DIR=\"$HOME/\"", None),
            ("XDG_DOWNLOAD_DIR=\"$HOME\"", None),
            ("XDG_DOWNLOAD_DIR=\"in\"", None),
            ("XDG_DOWNLOAD_DIR=", None),
            ("", None),
        ] {
            assert_eq!(user_folder(names, home).as_deref(), folder.map(Path::new), "{names}");
        }
    }

    #[test]
    fn hostile_names_stay_in_the_folder() {
        let long = "x".repeat(300);
        for (name, wants) in [
            ("cat.png", "cat.png"),
            ("../../x", "x"),
            ("/etc/passwd", "passwd"),
            (".bashrc", "_.bashrc"),
            ("-rf", "_-rf"),
            (".", "_."),
            ("..", "_.."),
            ("a/..", "_.."),
            ("a\\b", "b"),
            ("..\\..\\x", "x"),
            ("", "file"),
            ("a/", "file"),
            ("con.part", "con_part"),
            ("x.png.part", "x.png_part"),
            ("x.PART", "x_PART"),
            (".part", "__part"),
            ("\0", "\u{fffd}"),
            ("a\x1b[2J\n\t", "a\u{fffd}[2J\u{fffd} "),
            (&long, &long[..240]),
            (&format!("{long}.png"), &format!("{}.png", &long[..236])),
            (&format!("a.{long}"), &format!("a.{}", &long[..238])),
            (&format!("-{}.part{long}", &long[..233]), &format!("_-{}_part", &long[..233])),
            (&format!("{}é.png", &long[..235]), &format!("{}.png", &long[..235])),
        ] {
            let dir = tempdir().unwrap();
            let folder = dir.path().join("in/it");
            assert_eq!(
                fetch(Part::open(&folder, name, 3, &mark()).unwrap(), b"abc").file_name().unwrap(),
                wants,
                "{name}"
            );
            assert_eq!(listing(&folder), [wants]);
            assert_eq!((listing(dir.path()), listing(&dir.path().join("in"))), (vec!["in".into()], vec!["it".into()]));
            // There is room for a number too.
            fetch(Part::open(&folder, name, 3, &mark()).unwrap(), b"abc");
            assert_eq!(listing(&folder).len(), 2);
        }
    }

    #[test]
    fn nothing_is_overwritten() {
        let dir = tempdir().unwrap();
        let path = |name: &str| dir.path().join(name);
        fs::write(path("cat.png"), "old").unwrap();
        symlink("nowhere", path("cat (2).png")).unwrap();
        fs::create_dir(path("cat (3).png")).unwrap();
        assert_eq!(fetch(Part::open(dir.path(), "cat.png", 3, &mark()).unwrap(), b"new"), path("cat (4).png"));
        assert_eq!(fs::read(path("cat.png")).unwrap(), b"old");
        assert_eq!(fs::read(path("cat (4).png")).unwrap(), b"new");
        assert_eq!(listing(dir.path()).len(), 4);
        for (name, second) in [("a", "a (2)"), ("b.tar.gz", "b.tar (2).gz"), (".c", "_ (2).c")] {
            fetch(Part::open(dir.path(), name, 0, &mark()).unwrap(), b"");
            assert_eq!(fetch(Part::open(dir.path(), name, 0, &mark()).unwrap(), b""), path(second));
        }
    }

    #[test]
    fn what_is_in_the_way_of_a_part_is_left_alone() {
        let dir = tempdir().unwrap();
        let path = |name: &str| dir.path().join(name);
        fs::write(path("precious"), "old").unwrap();
        symlink("precious", path("a.7-M.part")).unwrap();
        symlink("nowhere", path("a (2).7-M.part")).unwrap();
        fs::create_dir(path("a (3).7-M.part")).unwrap();
        fifo(&path("a (4).7-M.part"));
        fs::write(path("a (5).7-M.part"), "too long").unwrap();
        let _listener = UnixListener::bind(path("a (6).7-M.part")).unwrap();
        let part = Part::open(dir.path(), "a", 3, &mark()).unwrap();
        assert_eq!(part.part, path("a (7).7-M.part"));
        assert_eq!(fetch(part, b"new"), path("a"));
        assert_eq!(fs::read(path("precious")).unwrap(), b"old");
        assert_eq!(fs::read(path("a (5).7-M.part")).unwrap(), b"too long");
        assert!(!path("nowhere").exists());
        assert_eq!(listing(dir.path()).len(), 8);
    }

    #[test]
    fn a_part_is_taken_up_where_whole_lines_end() {
        let bytes = some(100_000);
        for kept in [0, 1, 12_287, 12_288, 12_289, 50_000, 99_999, 100_000] {
            let dir = tempdir().unwrap();
            let mut part = Part::open(dir.path(), "a", 100_000, &mark()).unwrap();
            assert_eq!(check(&mut part), 0);
            part.append(&bytes[..kept]).unwrap();
            drop(part);
            assert_eq!(listing(dir.path()), if kept == 0 { vec![] } else { vec!["a.7-M.part"] });
            let mut part = Part::open(dir.path(), "a", 100_000, &mark()).unwrap();
            let offset = if kept == 100_000 { kept } else { kept / 12_288 * 12_288 } as u64;
            assert_eq!((check(&mut part), part.len()), (offset, offset));
            assert_eq!(fs::metadata(&part.part).unwrap().len(), offset);
            assert_eq!(fs::read(fetch(part, &bytes)).unwrap(), bytes);
        }
    }

    #[test]
    fn a_long_part_is_read_a_step_at_a_time() {
        let dir = tempdir().unwrap();
        let bytes = some(12_288 * 200);
        fs::write(dir.path().join("a.7-M.part"), &bytes).unwrap();
        let mut part = Part::open(dir.path(), "a", bytes.len() as u64, &mark()).unwrap();
        assert_eq!([part.check().unwrap(), part.check().unwrap()], [None, None]);
        assert_eq!(part.finish(&sha(&bytes)).unwrap(), None);
        assert_eq!(part.check().unwrap(), Some(bytes.len() as u64));
        assert!(part.finish(&sha(&bytes)).unwrap().is_some());
    }

    #[test]
    fn another_digest_leaves_the_part_to_begin_anew_or_to_go() {
        let dir = tempdir().unwrap();
        fs::write(dir.path().join("a.7-M.part"), some(12_288)).unwrap();
        let mut part = Part::open(dir.path(), "a", 12_290, &mark()).unwrap();
        assert_eq!(check(&mut part), 12_288);
        assert_eq!(part.finish(&sha(&some(12_288))).unwrap(), None);
        part.append(b"xy").unwrap();
        assert_eq!(part.append(b"z").unwrap_err().kind(), ErrorKind::InvalidData);
        assert_eq!(part.finish(&sha(&some(12_290))).unwrap(), None);
        part.restart().unwrap();
        assert_eq!((check(&mut part), part.is_empty()), (0, true));
        let path = fetch(part, &some(12_290));
        assert_eq!(fs::read(path).unwrap(), some(12_290));

        let mut part = Part::open(dir.path(), "b", 3, &mark()).unwrap();
        part.append(b"abc").unwrap();
        part.discard();
        assert_eq!(listing(dir.path()), ["a"]);
    }

    #[test]
    fn two_at_once_do_not_meet() {
        let dir = tempdir().unwrap();
        let mut first = Part::open(dir.path(), "cat.png", 3, &mark()).unwrap();
        first.append(b"o").unwrap();
        // The same file is not fetched twice at once, but another of that name is.
        let twice = Part::open(dir.path(), "cat.png", 3, &mark()).unwrap_err();
        assert_eq!(twice.kind(), ErrorKind::ResourceBusy);
        let second = Part::open(dir.path(), "cat.png", 3, &Mark("8-M".to_owned())).unwrap();
        assert_eq!(listing(dir.path()), ["cat.png.7-M.part", "cat.png.8-M.part"]);
        assert_eq!(fetch(second, b"two").file_name().unwrap(), "cat.png");
        first.append(b"ne").unwrap();
        assert_eq!(first.finish(&sha(b"one")).unwrap().unwrap().file_name().unwrap(), "cat (2).png");
        drop(first);
        assert_eq!(listing(dir.path()), ["cat (2).png", "cat.png"]);

        let folder = tempdir().unwrap();
        thread::scope(|scope| {
            for i in 0..8 {
                let folder = folder.path();
                scope.spawn(move || {
                    for j in 0..50 {
                        let bytes = some(i * 50 + j);
                        let mark = Mark(format!("{i}-M"));
                        let path = fetch(Part::open(folder, "a", bytes.len() as u64, &mark).unwrap(), &bytes);
                        assert_eq!(fs::read(path).unwrap(), bytes);
                    }
                });
            }
        });
        let mut sizes: Vec<_> =
            fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().metadata().unwrap().len()).collect();
        sizes.sort_unstable();
        assert_eq!(sizes, (0..400).collect::<Vec<_>>());
    }

    #[test]
    fn a_part_that_was_moved_away_is_not_finished() {
        let dir = tempdir().unwrap();
        let mut part = Part::open(dir.path(), "a", 3, &mark()).unwrap();
        part.append(b"abc").unwrap();
        fs::rename(dir.path().join("a.7-M.part"), dir.path().join("b")).unwrap();
        fs::write(dir.path().join("a.7-M.part"), "").unwrap();
        assert_eq!(part.finish(&sha(b"abc")).unwrap_err().kind(), ErrorKind::NotFound);
        part.discard();
        assert_eq!(listing(dir.path()), ["a.7-M.part", "b"]);
    }

    #[test]
    fn a_path_that_was_asked_for_is_taken_exactly_or_not_at_all() {
        let dir = tempdir().unwrap();
        let path = dir.path().join(".-x.part");
        let mut part = Part::at(&path, 3, &mark()).unwrap();
        assert_eq!(listing(dir.path()), [".-x.part.7-M.part"]);
        let error = Part::at(&path, 3, &mark()).unwrap_err();
        assert!(error.to_string().contains("being written"), "{error}");
        part.append(b"a").unwrap();
        drop(part);
        assert_eq!(fetch(Part::at(&path, 3, &mark()).unwrap(), b"new"), path);
        assert_eq!(fs::read(&path).unwrap(), b"new");

        let error = Part::at(&path, 3, &mark()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::AlreadyExists);
        assert!(error.to_string().ends_with(".-x.part exists already"), "{error}");
        for none in ["", "/", ".."] {
            assert!(Part::at(Path::new(none), 3, &mark()).is_err());
        }
        assert_eq!(Part::at(&dir.path().join("no/x"), 3, &mark()).unwrap_err().kind(), ErrorKind::NotFound);

        let late = dir.path().join("late");
        let mut part = Part::at(&late, 3, &mark()).unwrap();
        part.append(b"new").unwrap();
        symlink("nowhere", &late).unwrap();
        assert_eq!(part.finish(&sha(b"new")).unwrap_err().kind(), ErrorKind::AlreadyExists);
        drop(part);
        assert_eq!(listing(dir.path()), [".-x.part", "late", "late.7-M.part"]);
    }

    #[test]
    fn what_is_made_is_the_users_as_usual() {
        let dir = tempdir().unwrap();
        let folder = dir.path().join("new");
        let path = fetch(Part::open(&folder, "a", 1, &mark()).unwrap(), b"x");
        fs::write(dir.path().join("usual"), "").unwrap();
        fs::create_dir(dir.path().join("usual folder")).unwrap();
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode();
        assert_eq!(mode(&path), mode(&dir.path().join("usual")));
        assert_eq!(mode(&folder), mode(&dir.path().join("usual folder")));

        // What cannot be written to is in the way like anything else, unless this runs as root.
        fs::write(folder.join("b.7-M.part"), "x").unwrap();
        fs::set_permissions(folder.join("b.7-M.part"), Permissions::from_mode(0o400)).unwrap();
        fetch(Part::open(&folder, "b", 2, &mark()).unwrap(), b"xy");
        assert!(folder.join("b").exists());
    }
}
