//! The people who are online: what they are called and what they have set.

use std::cell::Cell;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::rc::Rc;
use std::time::Duration;

use crate::event::Switch;
use crate::limits::Quota;
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
    /// What they are called; shared with those who ignore them, so that a rename is followed.
    nick: Rc<Cell<Nick>>,
    /// The rooms they are in, in the order of joining.
    pub rooms: Vec<RoomId>,
    /// Where what they say goes.
    pub current: Option<Where>,
    /// Whether their own messages come back to them.
    pub echo: Switch,
    /// Whether their lines carry stamps.
    pub stamp: Switch,
    /// Whether they are told of presence.
    pub presence: Switch,
    /// What they say while away, if they are.
    pub away: Option<Option<Text>>,
    /// Which time of being away this is.
    pub away_count: u32,
    /// Who told this person lately that they are away, and which time of being away that was.
    pub told_away: VecDeque<(ConnId, u32)>,
    /// Whom they ignore.
    pub ignored: Vec<Ignored>,
    /// When they last sent a line.
    pub active: Duration,
    /// Their renames.
    pub renames: Quota,
    /// Their joins and leaves.
    pub joins: Quota,
    /// Whether room lines and presence are left out for them, as they read too slowly.
    pub lagging: Switch,
    /// Whether presence has been left out for them.
    pub missed_presence: Switch,
    /// Their upload.
    pub intake: Intake,
    /// Uploads of theirs that are whole and wait for their digest.
    pub finishing: usize,
    /// Their downloads; the one whose turn is next comes first.
    pub downloads: Vec<Download>,
}

impl Person {
    /// What they are called.
    pub fn nick(&self) -> Nick {
        self.nick.get()
    }

    /// An entry for the list of those whom somebody ignores.
    pub fn to_be_ignored(&self) -> Ignored {
        Ignored { who: self.id, nick: Rc::clone(&self.nick) }
    }

    /// Whether they do not want to hear of `who`.
    pub fn ignores(&self, who: ConnId) -> bool {
        self.ignored.iter().any(|ignored| ignored.who == who)
    }

    /// Whether room lines and presence are left out for them.
    pub fn is_lagging(&self) -> bool {
        self.lagging == Switch::On
    }
}

/// Everybody who is online, by connection and by name.
#[derive(Debug, Default)]
pub struct People {
    slots: Vec<Option<Box<Person>>>,
    by_nick: BTreeMap<Nick, ConnId>,
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
        self.by_nick.get(nick).copied()
    }

    /// Everybody, by name.
    pub fn iter(&self) -> impl Iterator<Item = &Person> {
        self.by_nick.values().filter_map(|&id| self.get(id))
    }

    /// Whether `name` is online and shown exactly so.
    pub fn is_online(&self, name: &str) -> bool {
        let shown = Nick::new(name).and_then(|nick| self.by_nick.get_key_value(&nick));
        shown.is_some_and(|(nick, _)| nick.as_str() == name)
    }

    /// Lets somebody in under the smallest guest name that is free.
    pub fn enter(&mut self, id: ConnId, now: Duration) -> Nick {
        let nick = self.guest_name();
        let person = Person {
            id,
            nick: Rc::new(Cell::new(nick)),
            rooms: Vec::new(),
            current: None,
            echo: Switch::Off,
            stamp: Switch::Off,
            presence: Switch::On,
            away: None,
            away_count: 0,
            told_away: VecDeque::new(),
            ignored: Vec::new(),
            active: now,
            renames: Quota::default(),
            joins: Quota::default(),
            lagging: Switch::Off,
            missed_presence: Switch::Off,
            intake: Intake::None { told: false },
            finishing: 0,
            downloads: Vec::new(),
        };
        if self.slots.len() <= id.slot() {
            self.slots.resize_with(id.slot() + 1, || None);
        }
        self.slots[id.slot()] = Some(Box::new(person));
        self.by_nick.insert(nick, id);
        nick
    }

    /// Takes somebody out.
    pub fn leave(&mut self, id: ConnId) -> Option<Box<Person>> {
        self.get(id)?;
        let person = self.slots.get_mut(id.slot())?.take()?;
        self.lagging -= usize::from(person.is_lagging());
        self.by_nick.remove(&person.nick());
        self.free_guest(&person.nick());
        Some(person)
    }

    /// Gives somebody a name that nobody else has.
    pub fn rename(&mut self, id: ConnId, nick: Nick) {
        let Some(person) = self.get(id) else { return };
        let old = person.nick.replace(nick);
        self.by_nick.remove(&old);
        self.by_nick.insert(nick, id);
        if old != nick {
            self.free_guest(&old);
        }
    }

    /// Notes whether somebody reads too slowly.
    pub fn set_lagging(&mut self, id: ConnId, lagging: Switch) {
        let Some(person) = self.get_mut(id) else { return };
        let was = std::mem::replace(&mut person.lagging, lagging);
        self.lagging += usize::from(lagging == Switch::On);
        self.lagging -= usize::from(was == Switch::On);
    }

    /// Notes that presence is left out for those who read too slowly.
    pub fn leave_out_presence(&mut self) {
        if self.any_lagging() {
            let lagging = self.slots.iter_mut().flatten().filter(|person| person.is_lagging());
            lagging.for_each(|person| person.missed_presence = Switch::On);
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
            if let Some(nick) = Nick::guest(number).filter(|nick| !self.by_nick.contains_key(nick)) {
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
        for (nick, &id) in &self.by_nick {
            assert_eq!(self.get(id).map(|person| person.nick().to_string()), Some(nick.to_string()));
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
