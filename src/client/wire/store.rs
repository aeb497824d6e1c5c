//! Where files that come are kept: in parts, until they are whole.

use std::ffi::{OsStr, OsString};
use std::fs::{self, File, TryLockError};
use std::io::{self, ErrorKind};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::OFlags;
use rustix::io::Errno;
use sha2::{Digest as _, Sha256};

use super::paths::{cut, harmless, plain};
use super::source::{Sum, flags};
use crate::limits;
use crate::listener::reason;
use crate::names::{Digest, FileId};

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

/// The most bytes in the name of a part.
const LONGEST_PART: usize = 255;

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

#[cfg(test)]
mod tests {
    use std::fs::Permissions;
    use std::os::unix::fs::{PermissionsExt, symlink};
    use std::os::unix::net::UnixListener;
    use std::thread;

    use tempfile::tempdir;

    use super::super::source::tests::{fifo, sha, some};
    use super::*;

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
