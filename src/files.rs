//! The files that are shared: whose they are, who may fetch them, and which must go when space runs out.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;
use std::time::SystemTime;

use crate::limits;
use crate::names::{ConnId, Digest, FileId, FileName, Nick, PersonId, Prefix};
use crate::rooms::RoomId;
use crate::time::Instant;

/// Who answers for a file when places or bytes run out. It outlives the sender's stay, so that nobody begins anew by
/// coming back.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Owner {
    /// The owner of this name.
    Account(Nick),
    /// All guests who come from this network.
    Network(Prefix),
    /// One guest on this machine, here or gone. All others there may be strangers to them.
    Local(PersonId),
    /// Whoever had this name in an earlier process, or owned it and does so no more.
    Past(Nick),
}

impl Owner {
    /// The name whose owner answers for it, if that is somebody who owns one.
    pub fn account(self) -> Option<Nick> {
        if let Self::Account(nick) = self { Some(nick) } else { None }
    }
}

impl Owner {
    /// All who may be the same as this one, under the name of one of them: a /48, or this machine.
    fn network(self) -> Self {
        match self {
            Self::Network(prefix) => Self::Network(prefix.wider().unwrap_or(prefix)),
            Self::Local(_) => Self::Local(PersonId::NOBODY),
            Self::Account(_) | Self::Past(_) => self,
        }
    }
}

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
    /// Who sent it, or took it up. If the owner of a name answers for it, whoever was that last.
    pub sender: PersonId,
    /// Through which connection it comes, or came.
    pub via: ConnId,
    /// Who answers for it.
    pub owner: Owner,
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
    pub due: Instant,
    /// When the hub looks at it next, which may be sooner than anything is due.
    pub alarm: Instant,
    /// The connections over which it is being fetched.
    pub readers: BTreeSet<ConnId>,
}

impl File {
    /// Which of one owner's files goes first: uploads that broke off, then those that are whole, and of these at last those
    /// that are being fetched. `None` for those that cannot go yet.
    fn rank(&self) -> Option<u8> {
        match self.stage {
            Stage::Broken => Some(0),
            Stage::Ready(_) => Some(1 + u8::from(!self.readers.is_empty())),
            Stage::Coming | Stage::Finishing => None,
        }
    }
}

/// What there may be too little of.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Scarce {
    Places,
    Bytes,
}

impl Scarce {
    fn used_by(self, held: &Held) -> u64 {
        match self {
            Self::Places => held.files.len() as u64,
            Self::Bytes => held.bytes,
        }
    }

    /// Whether it helps if this file goes.
    fn is_freed_by(self, file: &File) -> bool {
        self == Self::Places || file.received > 0
    }
}

/// What one owner holds.
#[derive(Debug, Default)]
struct Held {
    files: BTreeSet<FileId>,
    bytes: u64,
}

/// All files that the spool holds.
#[derive(Debug)]
pub struct Files {
    files: BTreeMap<FileId, File>,
    next: FileId,
    used: u64,
    /// By owner. Whoever holds nothing is not in it.
    held: BTreeMap<Owner, Held>,
    coming: usize,
    finishing: usize,
}

impl Files {
    /// No files yet; the first gets the ID `next`.
    pub fn new(next: u64) -> Self {
        Self { files: BTreeMap::new(), next: FileId(next), used: 0, held: BTreeMap::new(), coming: 0, finishing: 0 }
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

    /// The file of this ID, to be changed in all but its owner, its stage and the bytes that have come.
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

    /// All files, oldest first, to be changed in all but their owners, their stages and the bytes that have come.
    pub fn iter_mut(&mut self) -> impl Iterator<Item = (FileId, &mut File)> {
        self.files.iter_mut().map(|(&id, file)| (id, file))
    }

    /// The files of an owner, oldest first.
    pub fn of(&self, owner: Owner) -> impl Iterator<Item = (FileId, &File)> {
        let ids = self.held.get(&owner).into_iter().flat_map(|held| &held.files);
        ids.filter_map(|&id| Some((id, self.files.get(&id)?)))
    }

    /// Adds a file that has no bytes yet.
    pub fn insert(&mut self, file: File) -> FileId {
        let id = self.next;
        self.restore(id, file);
        id
    }

    /// Adds a file of an earlier process, with the bytes that it has.
    pub fn restore(&mut self, id: FileId, file: File) {
        self.next = self.next.max(FileId(id.0 + 1));
        self.used += file.received;
        self.give(id, file.owner, file.received);
        self.count(None, Some(file.stage));
        self.files.insert(id, file);
    }

    /// Takes a file out, and with it its bytes.
    pub fn remove(&mut self, id: FileId) -> Option<File> {
        let file = self.files.remove(&id)?;
        self.used -= file.received;
        self.take(id, file.owner, file.received);
        self.count(Some(file.stage), None);
        Some(file)
    }

    /// Has whoever announced `new` go on with an upload that broke off; returns how many bytes of it have come.
    pub fn take_up(&mut self, id: FileId, new: &File) -> u64 {
        self.hand_over(id, new.owner);
        self.set_stage(id, new.stage);
        let Some(file) = self.files.get_mut(&id) else { return 0 };
        (file.sender, file.via, file.nick) = (new.sender, new.via, new.nick);
        (file.since, file.due) = (new.since, new.due);
        file.received
    }

    /// Has somebody else answer for a file.
    pub fn hand_over(&mut self, id: FileId, owner: Owner) {
        let Some(file) = self.files.get_mut(&id) else { return };
        let (old, received) = (std::mem::replace(&mut file.owner, owner), file.received);
        self.take(id, old, received);
        self.give(id, owner, received);
    }

    fn give(&mut self, id: FileId, owner: Owner, bytes: u64) {
        let held = self.held.entry(owner).or_default();
        held.files.insert(id);
        held.bytes += bytes;
    }

    fn take(&mut self, id: FileId, owner: Owner, bytes: u64) {
        let Some(held) = self.held.get_mut(&owner) else { return };
        held.files.remove(&id);
        held.bytes -= bytes;
        if held.files.is_empty() {
            self.held.remove(&owner);
        }
    }

    /// Notes that a file has come so far.
    pub fn set_stage(&mut self, id: FileId, stage: Stage) {
        let Some(file) = self.files.get_mut(&id) else { return };
        let old = std::mem::replace(&mut file.stage, stage);
        self.count(Some(old), Some(stage));
    }

    fn count(&mut self, old: Option<Stage>, new: Option<Stage>) {
        let count = |stage| (usize::from(stage == Some(Stage::Coming)), usize::from(stage == Some(Stage::Finishing)));
        let ((coming, finishing), (more_coming, more_finishing)) = (count(old), count(new));
        self.coming = self.coming - coming + more_coming;
        self.finishing = self.finishing - finishing + more_finishing;
    }

    /// How many are being uploaded.
    pub fn coming(&self) -> usize {
        self.coming
    }

    /// How many wait for their digest.
    pub fn finishing(&self) -> usize {
        self.finishing
    }

    /// Counts bytes that came for a file; returns how many it has now.
    pub fn receive(&mut self, id: FileId, bytes: u64) -> u64 {
        let Some(file) = self.files.get_mut(&id) else { return 0 };
        file.received += bytes;
        self.used += bytes;
        if let Some(held) = self.held.get_mut(&file.owner) {
            held.bytes += bytes;
        }
        file.received
    }

    /// The file that must go for one more of `owner`'s when no place is left: one of another network that has more than
    /// `owner`'s will have, or else one of whoever has most in `owner`'s network, if that is more than
    /// [`limits::FILES_TIMES`] times as many as `owner` will have, or else one of `owner`'s own. In one network many strangers
    /// may be one, so being many must not help: not even a first file takes the place of one of a few.
    pub fn first_for_place(&self, owner: Owner) -> Option<FileId> {
        let will_have = self.held.get(&owner).map_or(0, |held| held.files.len() as u64) + 1;
        self.first_to_go(Scarce::Places, owner, 1, limits::FILES_TIMES * will_have)
    }

    /// The file that must go for `bytes` more of `owner`'s when a spool of so many bytes is full: one of another network that
    /// has more than `owner`'s will have, or else one of whoever has most in `owner`'s network, if that is more than what
    /// `owner` will have and than a share ([`limits::SPOOL_SHARES`]) of the spool, or else one of `owner`'s own.
    pub fn first_for_bytes(&self, owner: Owner, bytes: u64, spool: u64) -> Option<FileId> {
        let will_have = self.held.get(&owner).map_or(0, |held| held.bytes) + bytes;
        self.first_to_go(Scarce::Bytes, owner, bytes, will_have.max(spool / limits::SPOOL_SHARES))
    }

    /// The file that goes first for `more` of what is scarce. Of the network that has most, it is one of whoever has most
    /// there. Another network than `owner`'s must have more than that will have, and somebody in `owner`'s own more than `kept`.
    fn first_to_go(&self, scarce: Scarce, owner: Owner, more: u64, kept: u64) -> Option<FileId> {
        let of = |held: &Held| {
            let files = held.files.iter().filter_map(|&id| Some((id, self.files.get(&id)?)));
            let files = files.filter(|(_, file)| scarce.is_freed_by(file));
            files.filter_map(|(id, file)| Some((file.rank()?, id))).min().map(|(_, id)| id)
        };
        let mut networks: BTreeMap<Owner, u64> = BTreeMap::new();
        for (holder, held) in &self.held {
            *networks.entry(holder.network()).or_default() += scarce.used_by(held);
        }
        let of_network = |owner: Owner| networks.get(&owner.network()).copied().unwrap_or_default();
        let will_have = of_network(owner) + more;
        let losers = self.held.iter().filter_map(|(&holder, held)| {
            let (in_all, used) = (of_network(holder), scarce.used_by(held));
            let is_own = holder.network() == owner.network();
            let loses = if is_own { used > kept } else { in_all > will_have };
            if loses { Some(((in_all, used), of(held)?)) } else { None }
        });
        let most = losers.max_by_key(|&(holds, _)| holds);
        most.map(|(_, id)| id).or_else(|| of(self.held.get(&owner)?))
    }

    /// The upload that breaks off for one of `owner`'s when all places are taken: of those who have most under way, if that is
    /// more than `owner` has, the slowest, which is the one that is due first.
    pub fn slowest(&self, owner: Owner) -> Option<FileId> {
        let mut under_way: BTreeMap<Owner, (usize, Reverse<(Instant, FileId)>)> = BTreeMap::new();
        for (&id, file) in self.files.iter().filter(|(_, file)| file.stage == Stage::Coming) {
            let (count, slowest) = under_way.entry(file.owner).or_insert((0, Reverse((file.due, id))));
            (*count, *slowest) = (*count + 1, (*slowest).max(Reverse((file.due, id))));
        }
        let own = under_way.get(&owner).map_or(0, |&(count, _)| count);
        let &(count, Reverse((_, id))) = under_way.values().max()?;
        (count > own).then_some(id)
    }

    /// Panics unless all that is kept twice agrees; for tests.
    pub fn check(&self) {
        assert_eq!(self.used, self.files.values().map(|file| file.received).sum::<u64>());
        assert_eq!(self.files.len(), self.held.values().map(|held| held.files.len()).sum());
        for (&owner, held) in &self.held {
            assert!(!held.files.is_empty());
            assert_eq!(held.bytes, self.of(owner).map(|(_, file)| file.received).sum::<u64>());
            assert!(held.files.iter().all(|id| self.files.get(id).is_some_and(|file| file.owner == owner)));
        }
        let at = |stage| self.files.values().filter(|file| file.stage == stage).count();
        assert_eq!((self.coming, self.finishing), (at(Stage::Coming), at(Stage::Finishing)));
        for (id, file) in self.iter() {
            assert!(id < self.next && file.written <= file.received && file.received <= file.size);
            let whole = matches!(file.stage, Stage::Finishing | Stage::Ready(_));
            assert_eq!(whole, file.received == file.size, "{id} {:?}", file.stage);
        }
    }
}
