//! The files on disk, and the one thread that touches them, so that a slow disk never stops chat.

use std::collections::HashMap;
use std::fs::{self, DirBuilder, File, OpenOptions, Permissions, TryLockError};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, FileExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, Sender, SyncSender, channel, sync_channel};
use std::thread::{self, JoinHandle};

use log::{error, warn};
use mio::Waker;
use sha2::{Digest as _, Sha256};
use tempfile::TempDir;

use crate::event::{Job, Outcome};
use crate::limits;
use crate::names::{Digest, FileId};

/// Where files are kept. A temporary folder goes with this.
#[derive(Debug)]
pub struct Home {
    files: PathBuf,
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
    /// A temporary folder of the system's.
    pub fn temporary() -> io::Result<Self> {
        let dir = tempfile::Builder::new().prefix("chinwag-").permissions(Permissions::from_mode(0o700)).tempdir()?;
        Ok(Self { files: dir.path().to_owned(), ids: None, _kept: Kept::Temporary(dir) })
    }

    /// The folder `dir`, made if there is none, which no other server may use at the same time. File IDs go on from where
    /// they ended there; the files themselves are forgotten with the server that knew about them.
    pub fn at(dir: &Path) -> io::Result<Self> {
        let files = dir.join("spool");
        DirBuilder::new().recursive(true).mode(0o700).create(&files)?;
        let lock = OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(dir.join("lock"))?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(io::Error::other("another chinwag uses it")),
            Err(TryLockError::Error(e)) => return Err(e),
        }
        clear(&files)?;
        let ids = Ids::open(dir)?;
        Ok(Self { files, ids: Some(ids), _kept: Kept::Locked(lock) })
    }

    /// The ID of the next file.
    pub fn next_id(&self) -> u64 {
        self.ids.as_ref().map_or(1, |ids| ids.next)
    }
}

/// Removes what a spool has written, and nothing else, whatever folder this turns out to be.
fn clear(files: &Path) -> io::Result<()> {
    for entry in fs::read_dir(files)? {
        let entry = entry?;
        if entry.file_name().to_str().is_some_and(|name| name.bytes().all(|b| b.is_ascii_digit())) {
            fs::remove_file(entry.path())?;
        }
    }
    Ok(())
}

/// Remembers which file IDs have been used, so that none ever means two files. They are reserved many at a time.
#[derive(Debug)]
struct Ids {
    dir: PathBuf,
    next: u64,
    reserved: u64,
}

impl Ids {
    /// More than there can be new files that the disk has not heard of yet.
    const AHEAD: u64 = 2048;

    fn open(dir: &Path) -> io::Result<Self> {
        let next = match fs::read_to_string(dir.join("next-id")) {
            Ok(text) => text.trim().parse().map_err(|_| io::Error::other("next-id in it holds no number"))?,
            Err(e) if e.kind() == io::ErrorKind::NotFound => 1,
            Err(e) => return Err(e),
        };
        let mut ids = Self { dir: dir.to_owned(), next, reserved: next };
        ids.reserve(next + 2 * Self::AHEAD)?;
        Ok(ids)
    }

    fn used(&mut self, id: FileId) -> io::Result<()> {
        self.next = self.next.max(id.0 + 1);
        if self.next + Self::AHEAD > self.reserved { self.reserve(self.next + 2 * Self::AHEAD) } else { Ok(()) }
    }

    fn reserve(&mut self, up_to: u64) -> io::Result<()> {
        let path = self.dir.join("next-id.new");
        let mut new = File::create(&path)?;
        writeln!(new, "{up_to}")?;
        // After a loss of power there is the old number or the new one, and never none.
        new.sync_all()?;
        fs::rename(&path, self.dir.join("next-id"))?;
        self.reserved = up_to;
        Ok(())
    }
}

/// The thread, and the ways to it and from it. It ends when this goes.
#[derive(Debug)]
pub struct Spool {
    jobs: Option<SyncSender<Job>>,
    outcomes: Receiver<Outcome>,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Spool {
    /// Jobs that may wait. The hub hands out fewer, so that handing one over never waits.
    const QUEUE: usize = 4 * limits::DISK_JOBS + limits::READS_IN_FLIGHT + 2 * limits::FILES;

    /// Begins to work in `home`; each outcome wakes `waker`.
    pub fn start(home: Home, waker: Waker) -> io::Result<Self> {
        let (jobs, todo) = sync_channel(Self::QUEUE);
        let (done, outcomes) = channel();
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let worker = Worker { home, open: Vec::new(), hashes: HashMap::new() };
        let thread = thread::Builder::new().name("spool".into()).spawn(move || {
            worker.run(&todo, &done, &waker, &stopped);
        })?;
        Ok(Self { jobs: Some(jobs), outcomes, stop, thread: Some(thread) })
    }

    /// A way to hand over jobs.
    pub fn jobs(&self) -> Option<SyncSender<Job>> {
        self.jobs.clone()
    }

    /// What has been done since this was last asked.
    pub fn outcomes(&self) -> impl Iterator<Item = Outcome> + '_ {
        self.outcomes.try_iter()
    }
}

impl Drop for Spool {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        self.jobs = None;
        if self.thread.take().is_some_and(|thread| thread.join().is_err()) {
            error!("the spool's thread failed");
        }
    }
}

struct Worker {
    home: Home,
    /// Files that were used last, newest at the end.
    open: Vec<(FileId, File)>,
    /// The length and the digest so far of files that are not whole.
    hashes: HashMap<FileId, (u64, Sha256)>,
}

impl Worker {
    /// Files kept open, so that descriptors are left for people.
    const OPEN: usize = 32;

    fn run(mut self, jobs: &Receiver<Job>, outcomes: &Sender<Outcome>, waker: &Waker, stop: &AtomicBool) {
        while let Ok(job) = jobs.recv() {
            if stop.load(Ordering::Relaxed) {
                // Nothing is done any more, but an ID that was given out stays given.
                if let (Job::Create(id), Some(ids)) = (&job, &mut self.home.ids) {
                    ids.next = ids.next.max(id.0 + 1);
                }
                continue;
            }
            if outcomes.send(self.carry_out(job)).is_err() {
                break;
            }
            if let Err(e) = waker.wake() {
                error!("cannot wake the reactor: {e}");
            }
        }
        if let Some(ids) = &mut self.home.ids
            && let Err(e) = ids.reserve(ids.next).and_then(|()| clear(&self.home.files))
        {
            warn!("cannot leave the data folder tidy: {e}");
        }
    }

    fn carry_out(&mut self, job: Job) -> Outcome {
        match job {
            Job::Create(id) => match self.create(id) {
                Ok(()) => Outcome::Done,
                Err(e) => write_failed(id, 0, &e),
            },
            Job::Append(id, bytes) => match self.append(id, &bytes) {
                Ok(()) => Outcome::Appended(id, bytes.len()),
                Err(e) => write_failed(id, bytes.len(), &e),
            },
            Job::Finish(id) => {
                let (_, hash) = self.hashes.remove(&id).unwrap_or_default();
                Outcome::Finished(id, Digest(hash.finalize().into()))
            }
            Job::Read { file, offset, len, reader, download } => match self.read(file, offset, len) {
                Ok(data) => Outcome::Data { file, data, reader, download },
                Err(e) => {
                    warn!("cannot read file {file}: {e}");
                    Outcome::ReadFailed { file, reader, download }
                }
            },
            Job::Remove(id) => {
                self.hashes.remove(&id);
                self.open.retain(|(open, _)| *open != id);
                match fs::remove_file(self.path(id)) {
                    Err(e) if e.kind() != io::ErrorKind::NotFound => warn!("cannot remove file {id}: {e}"),
                    _ => {}
                }
                Outcome::Done
            }
        }
    }

    fn create(&mut self, id: FileId) -> io::Result<()> {
        if let Some(ids) = &mut self.home.ids {
            ids.used(id)?;
        }
        let file = OpenOptions::new().read(true).write(true).create_new(true).mode(0o600).open(self.path(id))?;
        self.hashes.insert(id, (0, Sha256::new()));
        self.keep_open(id, file);
        Ok(())
    }

    fn append(&mut self, id: FileId, bytes: &[u8]) -> io::Result<()> {
        let Some(&(len, _)) = self.hashes.get(&id) else { return Err(io::ErrorKind::NotFound.into()) };
        self.file(id)?.write_all_at(bytes, len)?;
        if let Some((len, hash)) = self.hashes.get_mut(&id) {
            *len += bytes.len() as u64;
            hash.update(bytes);
        }
        Ok(())
    }

    fn read(&mut self, id: FileId, offset: u64, len: usize) -> io::Result<Vec<u8>> {
        let mut data = vec![0; len];
        self.file(id)?.read_exact_at(&mut data, offset)?;
        Ok(data)
    }

    fn file(&mut self, id: FileId) -> io::Result<&File> {
        let at = self.open.iter().position(|(open, _)| *open == id);
        let file = match at {
            Some(at) => self.open.remove(at).1,
            None => OpenOptions::new().read(true).write(true).open(self.path(id))?,
        };
        self.keep_open(id, file);
        self.open.last().map(|(_, file)| file).ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    fn keep_open(&mut self, id: FileId, file: File) {
        if self.open.len() >= Self::OPEN {
            self.open.remove(0);
        }
        self.open.push((id, file));
    }

    fn path(&self, id: FileId) -> PathBuf {
        self.home.files.join(id.to_string())
    }
}

fn write_failed(file: FileId, bytes: usize, e: &io::Error) -> Outcome {
    // A file that was removed meanwhile fails every chunk that was on its way to it.
    if e.kind() != io::ErrorKind::NotFound {
        warn!("cannot write file {file}: {e}");
    }
    let full = matches!(e.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded);
    Outcome::WriteFailed { file, bytes, full }
}
