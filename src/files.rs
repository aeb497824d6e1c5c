//! The files that are shared: whose they are, who may fetch them, and which must go when space runs out.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;
use std::time::{Duration, SystemTime};

use crate::names::{ConnId, Digest, FileId, FileName, Nick, PersonId};
use crate::rooms::RoomId;

/// For whom a file is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Share {
    /// For whoever is in a room.
    Room(RoomId),
    /// For one person, last called so.
    Person(PersonId, Nick),
}

/// How far a file has come.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Stage {
    /// Its bytes are coming.
    Coming,
    /// They have all come, and the disk works out the digest.
    Finishing,
    /// It is whole.
    Ready(Digest),
    /// Its upload broke off and may be taken up again; nobody can fetch it meanwhile.
    Broken,
}

/// A file.
#[derive(Debug)]
pub struct File {
    /// For whom it is.
    pub share: Share,
    /// Who sent it, or took it up.
    pub sender: PersonId,
    /// What the sender is called, or was when leaving.
    pub nick: Nick,
    /// How many bytes it has when whole.
    pub size: u64,
    /// What it is called.
    pub name: FileName,
    /// The digest that its sender says it has.
    pub claimed: Option<Digest>,
    /// Bytes that have come.
    pub received: u64,
    /// Bytes that are on disk.
    pub written: u64,
    /// How far it is.
    pub stage: Stage,
    /// When it was announced.
    pub since: SystemTime,
    /// When it breaks off or is forgotten.
    pub due: Duration,
    /// When the hub looks at it next, which may be sooner than anything is due.
    pub alarm: Duration,
    /// The connections over which it is being fetched.
    pub readers: BTreeSet<ConnId>,
}

/// All files that the spool holds.
#[derive(Debug)]
pub struct Files {
    files: BTreeMap<FileId, File>,
    next: FileId,
    used: u64,
}

impl Files {
    /// No files yet; the first gets the ID `next`.
    pub fn new(next: u64) -> Self {
        Self { files: BTreeMap::new(), next: FileId(next), used: 0 }
    }

    /// How many files there are.
    pub fn len(&self) -> usize {
        self.files.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.files.is_empty()
    }

    /// Bytes that all of them hold.
    pub fn used(&self) -> u64 {
        self.used
    }

    /// The file of this ID.
    pub fn get(&self, id: FileId) -> Option<&File> {
        self.files.get(&id)
    }

    /// The file of this ID, to be changed in all but its bytes.
    pub fn get_mut(&mut self, id: FileId) -> Option<&mut File> {
        self.files.get_mut(&id)
    }

    /// All files, oldest first.
    pub fn iter(&self) -> impl Iterator<Item = (FileId, &File)> {
        self.files.iter().map(|(&id, file)| (id, file))
    }

    /// The files whose IDs are greater than this, oldest first.
    pub fn after(&self, id: FileId) -> impl Iterator<Item = (FileId, &File)> {
        self.files.range((Bound::Excluded(id), Bound::Unbounded)).map(|(&id, file)| (id, file))
    }

    /// All files, oldest first, to be changed in all but their bytes.
    pub fn iter_mut(&mut self) -> impl Iterator<Item = (FileId, &mut File)> {
        self.files.iter_mut().map(|(&id, file)| (id, file))
    }

    /// Adds a file that has no bytes yet.
    pub fn insert(&mut self, file: File) -> FileId {
        let id = self.next;
        self.next = FileId(id.0 + 1);
        self.files.insert(id, file);
        id
    }

    /// Adds a file of an earlier process, with the bytes that it has.
    pub fn restore(&mut self, id: FileId, file: File) {
        self.next = self.next.max(FileId(id.0 + 1));
        self.used += file.received;
        self.files.insert(id, file);
    }

    /// How many are being uploaded.
    pub fn coming(&self) -> usize {
        self.files.values().filter(|file| file.stage == Stage::Coming).count()
    }

    /// Takes a file out, and with it its bytes.
    pub fn remove(&mut self, id: FileId) -> Option<File> {
        let file = self.files.remove(&id)?;
        self.used -= file.received;
        Some(file)
    }

    /// Counts bytes that came for a file; returns how many it has now.
    pub fn receive(&mut self, id: FileId, bytes: u64) -> u64 {
        let Some(file) = self.files.get_mut(&id) else { return 0 };
        file.received += bytes;
        self.used += bytes;
        file.received
    }

    /// How many files `who` has sent or taken up, but for uploads that broke off: nobody could cancel those.
    pub fn sent_by(&self, who: PersonId) -> usize {
        self.files.values().filter(|file| file.sender == who && file.stage != Stage::Broken).count()
    }

    /// The file that must go next when space runs out: broken-off uploads first, then the oldest that is whole, those that
    /// are being fetched last.
    pub fn victim(&self) -> Option<FileId> {
        let rank = |file: &File| match file.stage {
            Stage::Broken => Some(0),
            Stage::Ready(_) if file.readers.is_empty() => Some(1),
            Stage::Ready(_) => Some(2),
            Stage::Coming | Stage::Finishing => None,
        };
        self.files.iter().filter_map(|(&id, file)| Some((rank(file)?, id))).min().map(|(_, id)| id)
    }

    /// Panics unless all that is kept twice agrees; for tests.
    pub fn check(&self) {
        assert_eq!(self.used, self.files.values().map(|file| file.received).sum::<u64>());
        for (id, file) in self.iter() {
            assert!(id < self.next && file.written <= file.received && file.received <= file.size);
            let whole = matches!(file.stage, Stage::Finishing | Stage::Ready(_));
            assert_eq!(whole, file.received == file.size, "{id} {:?}", file.stage);
        }
    }
}
