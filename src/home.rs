//! The folder that holds all that is on disk: the spool of files, the logs of the rooms, and which file IDs are used.
//!
//! It is for this server's user alone: folders have the mode 0700 and files 0600.

use std::fs::{self, DirBuilder, File, OpenOptions, Permissions, TryLockError};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use log::warn;
use rustix::fs::OFlags;
use tempfile::TempDir;

use crate::names::FileId;

/// Where everything is kept. A temporary folder goes with this.
#[derive(Debug)]
pub struct Home {
    spool: PathBuf,
    rooms: Option<PathBuf>,
    ids: Option<Ids>,
    _kept: Kept,
}

#[derive(Debug)]
enum Kept {
    /// The folder is removed when this goes.
    Temporary(#[allow(dead_code, reason = "it is there to be dropped")] TempDir),
    /// The folder is locked while this lives.
    Locked(#[allow(dead_code, reason = "it is there to be dropped")] File),
}

impl Home {
    /// A temporary folder of the system's, in which nothing outlives the process.
    pub fn temporary() -> io::Result<Self> {
        let dir = tempfile::Builder::new().prefix("chinwag-").permissions(Permissions::from_mode(0o700)).tempdir()?;
        Ok(Self { spool: dir.path().to_owned(), rooms: None, ids: None, _kept: Kept::Temporary(dir) })
    }

    /// The folder `dir`, made if there is none, which no other server may use at the same time. The lock dies with the
    /// process.
    pub fn at(dir: &Path) -> io::Result<Self> {
        make_folder(dir).map_err(|e| if dir.is_dir() { e } else { about("it cannot be made a folder", &e) })?;
        // A folder that held something else before may be meant for others too.
        let is_ours = dir.join("lock").exists() || fs::read_dir(dir)?.next().is_none();
        let lock = open_regular(private().write(true).create(true).truncate(false), &dir.join("lock"));
        let lock = lock.map_err(|e| about("lock in it", &e))?;
        take(&lock)?;
        let ids = Ids::open(dir).map_err(|e| about("next-id in it", &e))?;
        let (spool, rooms) = (dir.join("spool"), dir.join("rooms"));
        make_folder(&spool).map_err(|e| about("spool in it", &e))?;
        make_folder(&rooms).map_err(|e| about("rooms in it", &e))?;
        if is_ours {
            for folder in [dir, &spool, &rooms] {
                fs::set_permissions(folder, Permissions::from_mode(0o700))?;
            }
        }
        Ok(Self { spool, rooms: Some(rooms), ids: Some(ids), _kept: Kept::Locked(lock) })
    }

    /// The folder of the files.
    pub fn spool(&self) -> &Path {
        &self.spool
    }

    /// The folder of the rooms' logs, if anything is to outlive the process.
    pub fn rooms(&self) -> Option<&Path> {
        self.rooms.as_deref()
    }

    /// The ID that the next file gets; 1 where nothing is kept.
    pub fn next_id(&self) -> u64 {
        self.ids.as_ref().map_or(1, |ids| ids.next)
    }

    /// Notes that an ID is used up, so that it never means another file.
    pub fn use_id(&mut self, id: FileId) -> io::Result<()> {
        self.ids.as_mut().map_or(Ok(()), |ids| ids.used(id))
    }

    /// Notes that an ID was given out though nothing came of it; it is written down by [`Home::leave`].
    pub fn skip_id(&mut self, id: FileId) {
        if let Some(ids) = &mut self.ids {
            ids.next = ids.next.max(id.0 + 1);
        }
    }

    /// Gives back the IDs that were reserved and not used. It is for the end.
    pub fn leave(&mut self) -> io::Result<()> {
        self.ids.as_mut().map_or(Ok(()), |ids| ids.reserve(ids.next))
    }
}

/// Locks a folder, and waits a moment for a server that has just been killed to be gone.
fn take(lock: &File) -> io::Result<()> {
    for _ in 0..20 {
        match lock.try_lock() {
            Err(TryLockError::WouldBlock) => std::thread::sleep(Duration::from_millis(50)),
            Err(TryLockError::Error(e)) => return Err(e),
            Ok(()) => return Ok(()),
        }
    }
    Err(io::Error::other("another chinwag uses it"))
}

/// The same error, with what it is about.
fn about(what: &str, e: &io::Error) -> io::Error {
    let text = e.to_string();
    io::Error::new(e.kind(), format!("{what}: {}", text.split(" (os error").next().unwrap_or(&text)))
}

/// Options for opening a file that nobody else may read.
pub fn private() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.mode(0o600);
    options
}

/// Opens a file. What is no regular file is an error: a pipe is not waited for, and a link is not followed.
pub fn open_regular(options: &mut OpenOptions, path: &Path) -> io::Result<File> {
    let flags = (OFlags::NONBLOCK | OFlags::NOFOLLOW).bits().cast_signed();
    let file = options.custom_flags(flags).open(path)?;
    if file.metadata()?.is_file() { Ok(file) } else { Err(io::Error::other("it is no regular file")) }
}

/// Reads a whole file of text, with the care of [`open_regular`].
pub fn read_text(path: &Path) -> io::Result<String> {
    let mut text = String::new();
    open_regular(File::options().read(true), path)?.read_to_string(&mut text)?;
    Ok(text)
}

/// Writes a whole file: whatever happens meanwhile, there is the old one or the new one, and never half of one. `Sync` waits
/// for the disk, so that this holds for a loss of power too.
pub fn replace(path: &Path, bytes: &[u8], durability: Durability) -> io::Result<()> {
    let mut new = path.as_os_str().to_owned();
    new.push(".new");
    let new = PathBuf::from(new);
    let mut file = private().write(true).create(true).truncate(true).open(&new)?;
    let written = file.write_all(bytes).and_then(|()| match durability {
        Durability::Sync => file.sync_all(),
        Durability::Soon => Ok(()),
    });
    let renamed = written.and_then(|()| fs::rename(&new, path)).and_then(|()| match (durability, path.parent()) {
        (Durability::Sync, Some(folder)) => File::open(folder)?.sync_all(),
        _ => Ok(()),
    });
    if renamed.is_err() {
        // A full disk needs every block.
        let _ = fs::remove_file(&new);
    }
    renamed
}

/// When something must be on the disk.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Durability {
    /// Before anything else happens.
    Sync,
    /// When the system writes it of its own accord.
    Soon,
}

/// Lets the loop go first where it and this thread want the same processor: otherwise a chat line waits for as long as the
/// system lets a thread run, some milliseconds. On Linux this is a matter of one thread, elsewhere of the whole process.
pub(crate) fn give_way() {
    #[cfg(target_os = "linux")]
    if let Err(e) = rustix::process::setpriority_process(None, 19) {
        let thread = std::thread::current();
        warn!("the thread {} keeps its priority: {e}", thread.name().unwrap_or_default());
    }
}

fn make_folder(path: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(path)
}

/// Remembers which file IDs have been used. They are reserved many at a time.
#[derive(Debug)]
struct Ids {
    path: PathBuf,
    next: u64,
    reserved: u64,
}

impl Ids {
    /// No server comes to this ID.
    const LAST: u64 = 1 << 60;
    /// More than there can be new files that the disk has not heard of yet.
    const AHEAD: u64 = 2048;

    fn open(dir: &Path) -> io::Result<Self> {
        let path = dir.join("next-id");
        let next = match read_text(&path) {
            Ok(text) => text.trim().parse().ok().filter(|&next| next < Self::LAST).ok_or_else(|| {
                io::Error::other("it holds no number; write one into it that is greater than the ID of any file so far")
            })?,
            Err(e) if e.kind() == io::ErrorKind::NotFound => 1,
            Err(e) => return Err(e),
        };
        let mut ids = Self { path, next, reserved: next };
        if let Err(e) = ids.reserve(next + 2 * Self::AHEAD) {
            // No file gets an ID before this works, but people can talk.
            warn!("cannot reserve IDs for files: {e}");
        }
        Ok(ids)
    }

    fn used(&mut self, id: FileId) -> io::Result<()> {
        self.next = self.next.max(id.0 + 1);
        if self.next + Self::AHEAD > self.reserved { self.reserve(self.next + 2 * Self::AHEAD) } else { Ok(()) }
    }

    fn reserve(&mut self, up_to: u64) -> io::Result<()> {
        replace(&self.path, format!("{up_to}\n").as_bytes(), Durability::Sync)?;
        self.reserved = up_to;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustix::fs::{CWD, Mode, mkfifoat};

    #[test]
    fn a_pipe_in_the_folder_is_not_waited_for() {
        for name in ["lock", "next-id"] {
            let dir = tempfile::tempdir().unwrap();
            mkfifoat(CWD, dir.path().join(name), Mode::RUSR | Mode::WUSR).unwrap();
            let error = Home::at(dir.path()).unwrap_err().to_string();
            assert!(error.starts_with(&format!("{name} in it: ")), "{error}");
        }
    }
}
