//! The people who are online: what they are called and what they have set.

use std::cell::Cell;
use std::collections::{BTreeSet, VecDeque};
use std::hash::{BuildHasher, RandomState};
use std::rc::Rc;
use std::time::Duration;

use hashbrown::HashTable;

use crate::limits::{Moment, Quota};
use crate::names::{ConnId, FileId, Nick, Text};
use crate::rooms::RoomId;
use crate::typing::Where;

/// What becomes of the chunks that a connection sends.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Intake {
    /// There is no upload, and the connection has been told so or not.
    None {
        /// Whether it has.
        told: bool,
    },
    /// They belong to this upload.
    Open(FileId),
    /// They belong to an upload that was refused or failed.
    Discard,
}

/// A download under way.
#[derive(Debug)]
pub struct Download {
    /// Tells it from an earlier one of the same file.
    pub serial: u64,
    /// The file.
    pub file: FileId,
    /// Up to where bytes have been asked of the disk.
    pub asked: u64,
    /// Up to where bytes have been handed on.
    pub sent: u64,
    /// What the disk gave last.
    block: Vec<u8>,
    /// How much of it has been handed on.
    taken: usize,
}

impl Download {
    /// A download of a file from `offset` on.
    pub fn new(serial: u64, file: FileId, offset: u64) -> Self {
        Self { serial, file, asked: offset, sent: offset, block: Vec::new(), taken: 0 }
    }

    /// Takes what the disk gave.
    pub fn fill(&mut self, block: Vec<u8>) {
        (self.block, self.taken) = (block, 0);
    }

    /// What was filled last, for the disk to fill again.
    pub fn take_buffer(&mut self) -> Vec<u8> {
        self.taken = 0;
        std::mem::take(&mut self.block)
    }

    /// What the disk gave and has not been handed on.
    pub fn ready(&self) -> &[u8] {
        &self.block[self.taken..]
    }

    /// Notes that `len` bytes more have been handed on, and gives how many are held no more.
    pub fn hand_on(&mut self, len: usize) -> usize {
        let held = self.held();
        self.taken += len;
        self.sent += len as u64;
        held - self.held()
    }

    /// Whether the disk has been asked for something that has not been handed on.
    pub fn is_held(&self) -> bool {
        self.asked > self.sent
    }

    /// Bytes that are held in memory until all of them are handed on.
    pub fn held(&self) -> usize {
        if self.ready().is_empty() { 0 } else { self.block.len() }
    }
}

/// Somebody who is ignored.
#[derive(Debug)]
pub struct Ignored {
    /// Which connection, even when it is gone, for it may stand in a history.
    pub who: ConnId,
    /// What it is called, or was when it left.
    pub nick: Rc<Cell<Nick>>,
}

/// Somebody who is online.
#[derive(Debug)]
pub struct Person {
    /// Their connection.
    pub id: ConnId,
    nick: Nick,
    /// The rooms they are in, in the order of joining.
    pub rooms: Vec<RoomId>,
    /// Where what they say goes.
    pub current: Option<Where>,
    /// Whether their own messages come back to them.
    pub echo: bool,
    /// Whether their lines carry stamps.
    pub stamp: bool,
    /// Whether they are told of presence.
    pub presence: bool,
    /// What most people do without, so that they need no memory for it.
    rare: Option<Box<Rare>>,
    /// When they last sent a line.
    pub active: Moment,
    /// Their renames.
    pub renames: Quota,
    /// Their joins and leaves.
    pub joins: Quota,
    /// Whether room lines and presence are left out for them, as they read too slowly.
    pub lagging: bool,
    /// Whether presence has been left out for them.
    pub missed_presence: bool,
    /// Their upload.
    pub intake: Intake,
}

/// What only some people need.
#[derive(Debug, Default)]
pub struct Rare {
    /// What they say while away, if they are.
    pub away: Option<Option<Text>>,
    /// Which time of being away this is.
    pub away_count: u32,
    /// Who told this person lately that they are away, and which time of being away that was.
    pub told_away: VecDeque<(ConnId, u32)>,
    /// Whom they ignore.
    pub ignored: Vec<Ignored>,
    /// Uploads of theirs that are whole and wait for their digest.
    pub finishing: usize,
    /// Their downloads; the one whose turn is next comes first.
    pub downloads: Vec<Download>,
    /// What they are called, for those who ignore them, so that a rename is followed.
    known_as: Option<Rc<Cell<Nick>>>,
}

impl Person {
    /// What they are called.
    pub fn nick(&self) -> Nick {
        self.nick
    }

    /// What only some people need; from now on this person does.
    pub fn rare_mut(&mut self) -> &mut Rare {
        self.rare.get_or_insert_default()
    }

    /// What they say while away and which time of being away this is, if they are.
    pub fn away(&self) -> Option<(&Option<Text>, u32)> {
        let rare = self.rare.as_ref()?;
        rare.away.as_ref().map(|text| (text, rare.away_count))
    }

    /// Their downloads; the one whose turn is next comes first.
    pub fn downloads(&self) -> &[Download] {
        self.rare.as_ref().map(|rare| rare.downloads.as_slice()).unwrap_or_default()
    }

    /// Their downloads, to be changed.
    pub fn downloads_mut(&mut self) -> &mut [Download] {
        self.rare.as_mut().map(|rare| rare.downloads.as_mut_slice()).unwrap_or_default()
    }

    /// Takes all of their downloads from them.
    pub fn take_downloads(&mut self) -> Vec<Download> {
        self.rare.as_mut().map(|rare| std::mem::take(&mut rare.downloads)).unwrap_or_default()
    }

    /// Whether they download something, or have sent something that waits for its digest.
    pub fn is_transferring(&self) -> bool {
        self.rare.as_ref().is_some_and(|rare| !rare.downloads.is_empty() || rare.finishing > 0)
    }

    /// Whom they ignore.
    pub fn ignored(&self) -> &[Ignored] {
        self.rare.as_ref().map(|rare| rare.ignored.as_slice()).unwrap_or_default()
    }

    /// An entry for the list of those whom somebody ignores.
    pub fn to_be_ignored(&mut self) -> Ignored {
        let (who, nick) = (self.id, self.nick);
        let known_as = self.rare_mut().known_as.get_or_insert_with(|| Rc::new(Cell::new(nick)));
        Ignored { who, nick: Rc::clone(known_as) }
    }

    /// Whether they do not want to hear of `who`.
    pub fn ignores(&self, who: ConnId) -> bool {
        self.ignored().iter().any(|ignored| ignored.who == who)
    }

    /// Whether anybody does not want to hear of them.
    pub fn is_ignored(&self) -> bool {
        let known_as = self.rare.as_ref().and_then(|rare| rare.known_as.as_ref());
        known_as.is_some_and(|known_as| Rc::strong_count(known_as) > 1)
    }

    /// Whether room lines and presence are left out for them.
    pub fn is_lagging(&self) -> bool {
        self.lagging
    }
}

/// Everybody who is online, by connection and by name.
#[derive(Debug, Default)]
pub struct People {
    slots: Vec<Option<Box<Person>>>,
    /// By the hash of the name, which stands with the person.
    by_nick: HashTable<ConnId>,
    hasher: RandomState,
    /// Guest numbers below `next_guest` that are free; some of them may have been taken by choice.
    free_guests: BTreeSet<u64>,
    next_guest: u64,
    lagging: usize,
}

impl People {
    /// How many are online.
    pub fn len(&self) -> usize {
        self.by_nick.len()
    }

    /// Whether nobody is.
    pub fn is_empty(&self) -> bool {
        self.by_nick.is_empty()
    }

    /// The person of this connection.
    pub fn get(&self, id: ConnId) -> Option<&Person> {
        self.slots.get(id.slot())?.as_deref().filter(|person| person.id == id)
    }

    /// The person of this connection, to be changed in all but name and lag.
    pub fn get_mut(&mut self, id: ConnId) -> Option<&mut Person> {
        self.slots.get_mut(id.slot())?.as_deref_mut().filter(|person| person.id == id)
    }

    /// The connection of whoever has this name.
    pub fn find(&self, nick: &Nick) -> Option<ConnId> {
        let is_theirs = |&id: &ConnId| self.get(id).is_some_and(|person| person.nick == *nick);
        self.by_nick.find(self.hasher.hash_one(nick), is_theirs).copied()
    }

    /// Everybody.
    pub fn iter(&self) -> impl Iterator<Item = &Person> {
        self.slots.iter().flatten().map(|person| &**person)
    }

    /// Whether `name` is online and shown exactly so.
    pub fn is_online(&self, name: &str) -> bool {
        let holder = Nick::new(name).and_then(|nick| self.find(&nick)).and_then(|id| self.get(id));
        holder.is_some_and(|person| person.nick.as_str() == name)
    }

    /// Lets somebody in under the smallest guest name that is free.
    pub fn enter(&mut self, id: ConnId, now: Duration) -> Nick {
        let nick = self.guest_name();
        let person = Person {
            id,
            nick,
            rooms: Vec::new(),
            current: None,
            echo: false,
            stamp: false,
            presence: true,
            rare: None,
            active: now.into(),
            renames: Quota::default(),
            joins: Quota::default(),
            lagging: false,
            missed_presence: false,
            intake: Intake::None { told: false },
        };
        if self.slots.len() <= id.slot() {
            self.slots.resize_with(id.slot() + 1, || None);
        }
        self.slots[id.slot()] = Some(Box::new(person));
        self.list(id, &nick);
        nick
    }

    /// Makes somebody found by the name that they have now.
    fn list(&mut self, id: ConnId, nick: &Nick) {
        let Self { slots, by_nick, hasher, .. } = self;
        let hash_of =
            |id: &ConnId| slots.get(id.slot()).and_then(Option::as_ref).map_or(0, |p| hasher.hash_one(p.nick));
        by_nick.insert_unique(hasher.hash_one(nick), id, hash_of);
    }

    /// Makes somebody found no more by this name.
    fn unlist(&mut self, id: ConnId, nick: &Nick) {
        if let Ok(entry) = self.by_nick.find_entry(self.hasher.hash_one(nick), |&listed| listed == id) {
            entry.remove();
        }
    }

    /// Takes somebody out.
    pub fn leave(&mut self, id: ConnId) -> Option<Box<Person>> {
        self.get(id)?;
        let person = self.slots.get_mut(id.slot())?.take()?;
        self.lagging -= usize::from(person.is_lagging());
        self.unlist(id, &person.nick());
        self.free_guest(&person.nick());
        Some(person)
    }

    /// Gives somebody a name that nobody else has.
    pub fn rename(&mut self, id: ConnId, nick: Nick) {
        let Some(old) = self.get(id).map(Person::nick) else { return };
        self.unlist(id, &old);
        let Some(person) = self.get_mut(id) else { return };
        person.nick = nick;
        if let Some(known_as) = person.rare.as_ref().and_then(|rare| rare.known_as.as_ref()) {
            known_as.set(nick);
        }
        self.list(id, &nick);
        if old != nick {
            self.free_guest(&old);
        }
    }

    /// Notes that somebody reads too slowly.
    pub fn lag(&mut self, id: ConnId) {
        if let Some(person) = self.get_mut(id).filter(|person| !person.lagging) {
            person.lagging = true;
            self.lagging += 1;
        }
    }

    /// Notes that somebody has read all; `true` if presence was left out for them meanwhile.
    pub fn catch_up(&mut self, id: ConnId) -> bool {
        let Some(person) = self.get_mut(id).filter(|person| person.lagging) else { return false };
        person.lagging = false;
        let missed = std::mem::take(&mut person.missed_presence);
        self.lagging -= 1;
        missed
    }

    /// Notes that presence is left out for those who read too slowly.
    pub fn leave_out_presence(&mut self) {
        if self.any_lagging() {
            let lagging = self.slots.iter_mut().flatten().filter(|person| person.is_lagging());
            lagging.for_each(|person| person.missed_presence = true);
        }
    }

    /// Whether anybody reads too slowly.
    pub fn any_lagging(&self) -> bool {
        self.lagging > 0
    }

    fn guest_name(&mut self) -> Nick {
        loop {
            let number = self.free_guests.pop_first().unwrap_or_else(|| {
                self.next_guest += 1;
                self.next_guest
            });
            // Somebody may have chosen this name; it comes back when they let go of it.
            if let Some(nick) = Nick::guest(number).filter(|nick| self.find(nick).is_none()) {
                return nick;
            }
        }
    }

    fn free_guest(&mut self, nick: &Nick) {
        if let Some(number) = nick.guest_number().filter(|&n| 0 < n && n <= self.next_guest) {
            self.free_guests.insert(number);
        }
    }

    /// Panics unless all that is kept twice agrees; for tests.
    pub fn check(&self) {
        assert_eq!(self.slots.iter().flatten().count(), self.by_nick.len());
        for person in self.iter() {
            assert_eq!(self.find(&person.nick), Some(person.id));
        }
        assert_eq!(self.iter().filter(|person| person.is_lagging()).count(), self.lagging);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn guests_get_the_smallest_free_number() {
        let mut people = People::default();
        let id = |n| ConnId::new(n, 0);
        let enter = |people: &mut People, n| people.enter(id(n), Duration::ZERO).to_string();
        let nick = |name| Nick::new(name).unwrap();
        assert_eq!((0..3).map(|n| enter(&mut people, n)).collect::<Vec<_>>(), ["guest1", "guest2", "guest3"]);
        people.rename(id(1), nick("Guest5"));
        assert_eq!(enter(&mut people, 3), "guest2");
        assert_eq!(enter(&mut people, 4), "guest4");
        assert_eq!(enter(&mut people, 5), "guest6");
        people.rename(id(1), nick("bob"));
        people.leave(id(0));
        people.check();
        assert_eq!(enter(&mut people, 6), "guest1");
        assert_eq!(enter(&mut people, 7), "guest5");
        assert_eq!(enter(&mut people, 8), "guest7");
        // A change of case alone keeps the name taken.
        people.rename(id(8), nick("GUEST7"));
        assert_eq!(enter(&mut people, 9), "guest8");
        people.check();
    }

    #[test]
    fn a_stale_id_misses() {
        let mut people = People::default();
        people.enter(ConnId::new(3, 1), Duration::ZERO);
        assert!(people.get(ConnId::new(3, 0)).is_none());
        people.leave(ConnId::new(3, 0));
        assert_eq!(people.len(), 1);
        people.leave(ConnId::new(3, 1));
        assert!(people.is_empty());
    }
}
