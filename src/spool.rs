//! The files on disk, and the one thread that touches them, so that a slow disk never stops chat.

mod info;

use crate::channel::{Receiver, Sender, channel};
use std::collections::{HashMap, HashSet, VecDeque};
use std::fs::{self, File};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};

use log::{error, warn};
use mio::Waker;
use sha2::{Digest as _, Sha256};

pub use info::{load, look};

use self::info::Described;
use crate::effect::{Job, Outcome};
use crate::event::Unstored;
use crate::home::{Home, files_open, give_way, hint, is_full, is_of_reserve, lacks_descriptors, open_regular, private};
use crate::names::{Digest, FileId};

/// The thread, and the ways to it and from it. It ends when this goes.
#[derive(Debug)]
pub struct Spool {
    jobs: Option<Sender<Job>>,
    outcomes: Receiver<Outcome>,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Spool {
    /// Begins to work in `home`; each outcome wakes `waker`.
    pub fn start(home: Home, waker: Arc<Waker>) -> io::Result<Self> {
        // It has no limit of its own, as the hub hands out only so many.
        let (jobs, todo) = channel();
        let (done, outcomes) = channel();
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let worker = Worker {
            home,
            open: Vec::new(),
            hashes: HashMap::new(),
            described: HashMap::new(),
            not_ours: HashSet::new(),
            complaint: None,
        };
        let thread = thread::Builder::new().name("spool".into()).spawn(move || {
            worker.run(&todo, &done, &waker, &stopped);
        })?;
        Ok(Self { jobs: Some(jobs), outcomes, stop, thread: Some(thread) })
    }

    /// A way to hand over jobs.
    pub fn jobs(&self) -> Option<Sender<Job>> {
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

/// Jobs that wait. What is read and what is changed take turns, so that whoever shares a large file holds up nobody who fetches
/// one. What changes files is done in its order. A file is read only after what it has was written, and not after it was
/// removed, so reading it earlier changes nothing.
#[derive(Default)]
struct Turns {
    reads: VecDeque<Job>,
    changes: VecDeque<Job>,
    has_read: bool,
}

impl Turns {
    /// The next job, for which it waits if there is none; `None` when there will be none any more.
    fn next(&mut self, jobs: &Receiver<Job>) -> Option<Job> {
        if self.reads.is_empty() && self.changes.is_empty() {
            self.add(jobs.recv().ok()?);
        }
        jobs.try_iter().for_each(|job| self.add(job));
        let (first, second) =
            if self.has_read { (&mut self.changes, &mut self.reads) } else { (&mut self.reads, &mut self.changes) };
        let job = first.pop_front().or_else(|| second.pop_front());
        self.has_read = matches!(job, Some(Job::Read { .. }));
        job
    }

    fn add(&mut self, job: Job) {
        if matches!(job, Job::Read { .. }) { self.reads.push_back(job) } else { self.changes.push_back(job) }
    }
}

struct Worker {
    home: Home,
    /// Files that were used last, newest at the end.
    open: Vec<(FileId, File)>,
    /// The length and the digest so far of files that are not whole.
    hashes: HashMap<FileId, (u64, Sha256)>,
    /// Files that are to be there after a restart.
    described: HashMap<FileId, Described>,
    /// Files that could not be made because others stood in their places, which are to stay.
    not_ours: HashSet<FileId>,
    /// What stood last in the way of new files, so that it is logged once.
    complaint: Option<io::ErrorKind>,
}

impl Worker {
    fn run(mut self, jobs: &Receiver<Job>, outcomes: &Sender<Outcome>, waker: &Waker, stop: &AtomicBool) {
        give_way();
        let mut turns = Turns::default();
        while let Some(job) = turns.next(jobs) {
            if stop.load(Ordering::Relaxed) {
                match job {
                    // Nothing is done any more, but an ID that was given out stays given, and what was withdrawn is gone.
                    Job::Create(id) => self.home.skip_id(id),
                    Job::Remove(id) => self.forget(id),
                    _ => {}
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
        let tidied = self
            .home
            .leave()
            .and_then(|()| self.home.ours().map_or(Ok(()), |folder| info::tidy(folder, self.home.next_id())));
        if let Err(e) = tidied {
            warn!("cannot leave the data folder tidy: {e}");
        }
    }

    fn carry_out(&mut self, job: Job) -> Outcome {
        match job {
            Job::Create(id) => match self.create(id) {
                Ok(()) => {
                    self.complaint = None;
                    Outcome::Done
                }
                Err(e) => {
                    if self.complaint.replace(e.kind()) != Some(e.kind()) {
                        warn!("cannot take files in {}: {e}", self.home.spool().display());
                    }
                    write_failed(id, 0, &e)
                }
            },
            Job::Describe(id, _) if self.not_ours.contains(&id) => Outcome::Done,
            Job::Describe(id, what) => {
                let digest = match self.described.get(&id) {
                    Some(described) => described.digest,
                    // One of an earlier process is whole if what is written down says so.
                    None => self.home.ours().ok().and_then(|folder| info::digest(folder, id)),
                };
                let described = Described { what: *what, digest };
                if let Err(e) = self.home.ours().and_then(|folder| described.write(folder, id)) {
                    warn!("file {id} may be lost with the process: {e}");
                }
                self.described.insert(id, described);
                Outcome::Done
            }
            Job::Append(id, bytes) => match self.append(id, &bytes) {
                Ok(()) => Outcome::Appended(id, bytes.len()),
                Err(e) => self.note_failed(id, bytes.len(), &e),
            },
            Job::Finish(id) => {
                let (_, hash) = self.hashes.remove(&id).unwrap_or_default();
                let digest = Digest(hash.finalize().into());
                match self.finish(id, digest) {
                    Ok(()) => Outcome::Finished(id, digest),
                    Err(e) => self.note_failed(id, 0, &e),
                }
            }
            Job::Read { file, offset, len, buffer, reader, download } => match self.read(file, offset, len, buffer) {
                Ok(data) => Outcome::Data { data, reader, download },
                Err(e) => {
                    warn!("cannot read file {file}: {e}");
                    Outcome::ReadFailed { file, len, reader, download }
                }
            },
            Job::Remove(id) => {
                self.hashes.remove(&id);
                self.described.remove(&id);
                self.open.retain(|(open, _)| *open != id);
                self.forget(id);
                Outcome::Done
            }
        }
    }

    /// Removes a file, if it is one that we have made.
    fn forget(&mut self, id: FileId) {
        let is_ours = !self.not_ours.remove(&id);
        if let Ok(folder) = self.home.ours()
            && is_ours
        {
            info::forget(folder, id);
        }
    }

    fn create(&mut self, id: FileId) -> io::Result<()> {
        let new = |home: &mut Home| {
            home.use_id(id)?;
            private().read(true).write(true).create_new(true).open(home.ours()?.join(id.to_string()))
        };
        let file = match new(&mut self.home) {
            // What is open for others' sake can be opened again.
            Err(e) if lacks_descriptors(&e) && !self.open.is_empty() => {
                self.open.clear();
                new(&mut self.home)?
            }
            // Somebody has put something there.
            Err(e) if e.kind() == io::ErrorKind::AlreadyExists => {
                let path = self.path(id)?;
                let aside = path.with_extension("damaged");
                match fs::rename(&path, &aside).and_then(|()| new(&mut self.home)) {
                    Ok(file) => {
                        warn!("{} stood in the place of a file; it is now {}", path.display(), aside.display());
                        file
                    }
                    Err(e) => {
                        self.not_ours.insert(id);
                        return Err(e);
                    }
                }
            }
            // Somebody has swept the folder away.
            Err(e) if e.kind() == io::ErrorKind::NotFound => {
                let gone = self.home.spool().to_owned();
                self.home.make_anew()?;
                if self.home.spool() == gone {
                    warn!("{} was gone, and the files in it; it is made anew", gone.display());
                } else {
                    let now = self.home.spool().display();
                    warn!("{} is another's now, and the files in it are gone; new ones are in {now}", gone.display());
                }
                new(&mut self.home)?
            }
            file => file?,
        };
        self.hashes.insert(id, (0, Sha256::new()));
        self.keep_open(id, file);
        Ok(())
    }

    fn append(&mut self, id: FileId, bytes: &[u8]) -> io::Result<()> {
        if self.not_ours.contains(&id) {
            return Err(io::ErrorKind::NotFound.into());
        }
        let len = match self.hashes.get(&id) {
            Some((len, _)) => *len,
            None => self.hash_again(id)?,
        };
        self.file(id)?.write_all_at(bytes, len)?;
        if let Some((len, hash)) = self.hashes.get_mut(&id) {
            *len += bytes.len() as u64;
            hash.update(bytes);
        }
        Ok(())
    }

    /// Takes up what there is of a file of an earlier process, and gives its length.
    fn hash_again(&mut self, id: FileId) -> io::Result<u64> {
        let (len, hash) = info::hash(&self.path(id)?)?;
        self.hashes.insert(id, (len, hash));
        Ok(len)
    }

    /// Sees to it that a whole file is there after a restart, if it is to be.
    fn finish(&mut self, id: FileId, digest: Digest) -> io::Result<()> {
        if let Some(described) = self.described.get_mut(&id) {
            described.digest = Some(digest);
            self.file(id)?.sync_data()?;
        }
        self.described.get(&id).map_or(Ok(()), |described| described.write(self.home.ours()?, id))
    }

    /// What is written to a file has failed: it is logged once.
    fn note_failed(&mut self, id: FileId, bytes: usize, e: &io::Error) -> Outcome {
        // A file that was removed meanwhile fails every chunk that was on its way to it.
        if e.kind() != io::ErrorKind::NotFound && self.complaint.replace(e.kind()) != Some(e.kind()) {
            let hint = match e.kind() {
                io::ErrorKind::FileTooLarge => hint(e),
                _ if is_full(e) => {
                    "; where shared files fill it, see chinwag ctl files, or let them take less with --spool"
                }
                _ => "",
            };
            warn!("cannot write file {id}: {e}{hint}");
        }
        write_failed(id, bytes, e)
    }

    fn read(&mut self, id: FileId, offset: u64, len: usize, buffer: Vec<u8>) -> io::Result<Vec<u8>> {
        // One that is larger than it need be would hold memory for nothing.
        let mut data = if buffer.capacity() == len { buffer } else { Vec::with_capacity(len) };
        data.resize(len, 0);
        self.file(id)?.read_exact_at(&mut data, offset)?;
        Ok(data)
    }

    fn file(&mut self, id: FileId) -> io::Result<&File> {
        let at = self.open.iter().position(|(open, _)| *open == id);
        let file = match at {
            Some(at) => self.open.remove(at).1,
            None => {
                let path = self.path(id)?;
                let open = || open_regular(private().read(true).write(true), &path);
                match open() {
                    Err(e) if lacks_descriptors(&e) && !self.open.is_empty() => {
                        self.open.clear();
                        open()?
                    }
                    file => file?,
                }
            }
        };
        self.keep_open(id, file);
        self.open.last().map(|(_, file)| file).ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    fn keep_open(&mut self, id: FileId, file: File) {
        if is_of_reserve(&file) {
            self.open.clear();
        } else if self.open.len() >= files_open() {
            self.open.remove(0);
        }
        self.open.push((id, file));
    }

    fn path(&self, id: FileId) -> io::Result<PathBuf> {
        Ok(self.home.ours()?.join(id.to_string()))
    }
}

fn write_failed(file: FileId, bytes: usize, e: &io::Error) -> Outcome {
    let why = match e.kind() {
        _ if is_full(e) => Unstored::Full,
        _ if lacks_descriptors(e) => Unstored::Descriptors,
        io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => Unstored::Denied,
        _ => Unstored::Failed,
    };
    Outcome::WriteFailed { file, bytes, why }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::names::ConnId;

    #[test]
    fn what_is_read_waits_for_one_change_at_most() {
        let (sender, jobs) = channel();
        let read = |n| Job::Read {
            file: FileId(n),
            offset: 0,
            len: 1,
            buffer: Vec::new(),
            reader: ConnId::FIRST,
            download: 0,
        };
        let append = |n| Job::Append(FileId(n), Vec::new());
        for job in [append(1), append(2), append(3), read(7), read(8), Job::Remove(FileId(1)), read(9), read(10)] {
            sender.send(job).unwrap();
        }
        drop(sender);
        let mut turns = Turns::default();
        let order: Vec<u64> = std::iter::from_fn(|| turns.next(&jobs))
            .map(|job| match job {
                Job::Read { file, .. } | Job::Append(file, _) | Job::Remove(file) => file.0,
                other => panic!("{other:?}"),
            })
            .collect();
        assert_eq!(order, [7, 1, 8, 2, 9, 3, 10, 1]);
    }
}
