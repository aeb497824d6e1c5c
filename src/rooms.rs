//! Rooms: who is in them, what they are about and what was said there.

use std::collections::{BTreeMap, VecDeque};
use std::ops::Index;
use std::time::SystemTime;

use slab::Slab;

use crate::event::{Logged, SaidKind};
use crate::limits;
use crate::names::{Nick, PersonId, RoomName, Text};

/// A room, for as long as it is not forgotten.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct RoomId(u32);

impl RoomId {
    /// No other is before it.
    pub const FIRST: Self = Self(0);

    fn slot(self) -> usize {
        self.0 as usize
    }
}

/// One message of a room.
#[derive(Clone, Debug)]
pub struct Message {
    /// Counts the room's messages from 1 with no gap.
    pub seq: u64,
    /// When it was said.
    pub at: SystemTime,
    /// By whom, so that those who ignore them are spared.
    pub by: PersonId,
    /// What they were called then.
    pub nick: Nick,
    /// How it was said.
    pub kind: SaidKind,
    /// What was said.
    pub text: Text,
    /// Its place among the messages of all rooms.
    serial: u64,
}

impl Message {
    fn cost(&self) -> usize {
        self.text.as_str().len() + size_of::<Self>()
    }
}

/// Somebody's place in a room.
#[derive(Clone, Copy, Debug)]
pub struct Member {
    /// The moment of joining, in the order of the hub's moments.
    pub since: u64,
    /// The last message before those that were left out, if any were.
    pub missed_after: Option<u64>,
}

/// A room.
#[derive(Debug)]
pub struct Room {
    /// What it is called.
    pub name: RoomName,
    /// Who set the topic, and what it is.
    pub topic: Option<(PersonId, Text)>,
    /// By person. They are gone through for each line, and searched only when somebody comes or goes.
    members: Vec<(PersonId, Member)>,
    history: VecDeque<Message>,
    last_seq: u64,
    files: usize,
    /// Whether it is in the log, and so outlives its people and what it remembers.
    kept: bool,
    /// Its key in [`Rooms::empty`].
    empty_since: Option<u64>,
}

impl Room {
    /// Who is in it.
    pub fn members(&self) -> impl ExactSizeIterator<Item = PersonId> + '_ {
        self.members.iter().map(|(who, _)| *who)
    }

    /// The place that `who` has in it.
    pub fn member(&self, who: PersonId) -> Option<&Member> {
        self.place_of(who).ok().map(|at| &self.members[at].1)
    }

    fn member_mut(&mut self, who: PersonId) -> Option<&mut Member> {
        self.place_of(who).ok().map(|at| &mut self.members[at].1)
    }

    /// Where a member is, or would be.
    fn place_of(&self, who: PersonId) -> Result<usize, usize> {
        self.members.binary_search_by_key(&who, |(member, _)| *member)
    }

    /// Whether it is in the log.
    pub fn is_kept(&self) -> bool {
        self.kept
    }

    /// The number of its last message; 0 before the first.
    pub fn last_seq(&self) -> u64 {
        self.last_seq
    }

    /// What it remembers after the message of this number, oldest first.
    pub fn history_after(&self, seq: u64) -> impl Iterator<Item = &Message> {
        let from = self.history.partition_point(|message| message.seq <= seq);
        self.history.range(from..)
    }

    /// What it remembers, oldest first.
    pub fn history(&self) -> impl DoubleEndedIterator<Item = &Message> {
        self.history.iter()
    }
}

/// All rooms. A room is there while somebody is in it, or while something of it is remembered.
#[derive(Debug)]
pub struct Rooms {
    rooms: Slab<Room>,
    by_name: BTreeMap<RoomName, RoomId>,
    /// Rooms with nobody in them, the one unused for longest first.
    empty: BTreeMap<u64, RoomId>,
    /// The rooms that remember anything, by the serial of their oldest message.
    oldest: BTreeMap<u64, RoomId>,
    remembered: usize,
    serial: u64,
    lines: usize,
}

impl Index<RoomId> for Rooms {
    type Output = Room;

    fn index(&self, id: RoomId) -> &Room {
        &self.rooms[id.slot()]
    }
}

impl Rooms {
    /// No rooms yet, each to remember so many lines.
    pub fn new(lines: usize) -> Self {
        Self {
            rooms: Slab::new(),
            by_name: BTreeMap::new(),
            empty: BTreeMap::new(),
            oldest: BTreeMap::new(),
            remembered: 0,
            serial: 0,
            lines,
        }
    }

    /// How many rooms there are.
    pub fn len(&self) -> usize {
        self.rooms.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.rooms.is_empty()
    }

    /// The room of this name.
    pub fn find(&self, name: &RoomName) -> Option<RoomId> {
        self.by_name.get(name).copied()
    }

    /// All rooms, by name.
    pub fn iter(&self) -> impl Iterator<Item = (RoomId, &Room)> {
        self.by_name.values().map(|&id| (id, &self[id]))
    }

    /// The empty room that has been unused for longest.
    pub fn longest_empty(&self) -> Option<RoomId> {
        self.empty.values().next().copied()
    }

    /// Makes a room, which is to be joined at once.
    pub fn create(&mut self, name: RoomName) -> RoomId {
        let slot = self.rooms.insert(Room {
            name,
            topic: None,
            members: Vec::new(),
            history: VecDeque::new(),
            last_seq: 0,
            files: 0,
            kept: false,
            empty_since: None,
        });
        // There are at most limits::ROOMS, but for what a log of an operator's own making holds.
        let id = RoomId(u32::try_from(slot).unwrap_or(u32::MAX));
        self.by_name.insert(name, id);
        id
    }

    /// Forgets a room in which nobody is, with all that was said there.
    pub fn forget(&mut self, id: RoomId) {
        while self.drop_oldest_of(id) {}
        let room = self.rooms.remove(id.slot());
        self.by_name.remove(&room.name);
        if let Some(since) = room.empty_since {
            self.empty.remove(&since);
        }
    }

    /// Puts `who` into the room at the moment `since`.
    pub fn enter(&mut self, id: RoomId, who: PersonId, since: u64) {
        let room = &mut self.rooms[id.slot()];
        let member = (who, Member { since, missed_after: None });
        match room.place_of(who) {
            Ok(at) => room.members[at] = member,
            Err(at) => room.members.insert(at, member),
        }
        if let Some(since) = room.empty_since.take() {
            self.empty.remove(&since);
        }
    }

    /// Takes `who` out of the room, which may be the end of it.
    pub fn leave(&mut self, id: RoomId, who: PersonId) {
        let room = &mut self.rooms[id.slot()];
        if let Ok(at) = room.place_of(who) {
            room.members.remove(at);
            // A crowd that has gone leaves no memory behind.
            if room.members.capacity() > 4 * room.members.len() {
                room.members.shrink_to(2 * room.members.len());
            }
        }
        self.settle(id);
    }

    /// A file was shared in the room, which stays while the file does.
    pub fn hold(&mut self, id: RoomId) {
        self.rooms[id.slot()].files += 1;
    }

    /// A file of the room is gone, which may be the end of the room.
    pub fn release(&mut self, id: RoomId) {
        self.rooms[id.slot()].files -= 1;
        self.settle(id);
    }

    /// Sets what the room is about.
    pub fn set_topic(&mut self, id: RoomId, topic: Option<(PersonId, Text)>) {
        self.rooms[id.slot()].topic = topic;
    }

    /// The room is in the log from now on.
    pub fn keep(&mut self, id: RoomId) {
        self.rooms[id.slot()].kept = true;
    }

    /// Takes in a message, whose number is greater than the last one's, and remembers it as far as rooms do.
    pub fn remember(&mut self, id: RoomId, by: PersonId, line: Logged) {
        let serial = self.next_serial();
        let room = &mut self.rooms[id.slot()];
        room.last_seq = line.seq;
        if self.lines == 0 {
            return;
        }
        let Logged { seq, at, from: nick, kind, text } = line;
        let message = Message { seq, at, by, nick, kind, text, serial };
        self.remembered += message.cost();
        if room.history.is_empty() {
            self.oldest.insert(serial, id);
        }
        room.history.push_back(message);
        if room.history.len() > self.lines {
            self.drop_oldest_of(id);
        }
        while self.remembered > limits::HISTORY_IN_ALL {
            let Some(&oldest) = self.oldest.values().next() else { break };
            self.drop_oldest_of(oldest);
            self.settle(oldest);
        }
    }

    /// The next message has a number greater than `seq`, which may not be remembered.
    pub fn go_on_after(&mut self, id: RoomId, seq: u64) {
        let room = &mut self.rooms[id.slot()];
        room.last_seq = room.last_seq.max(seq);
    }

    /// Notes that the message after `after` was left out for `who`, unless earlier ones were already.
    pub fn miss(&mut self, id: RoomId, who: PersonId, after: u64) {
        if let Some(member) = self.rooms[id.slot()].member_mut(who) {
            member.missed_after.get_or_insert(after);
        }
    }

    /// Takes what `who` must be told of messages left out: how many, after which.
    pub fn take_missed(&mut self, id: RoomId, who: PersonId) -> Option<(u64, u64)> {
        let room = &mut self.rooms[id.slot()];
        let after = room.member_mut(who)?.missed_after.take()?;
        Some((room.last_seq - after, after))
    }

    fn next_serial(&mut self) -> u64 {
        self.serial += 1;
        self.serial
    }

    fn drop_oldest_of(&mut self, id: RoomId) -> bool {
        let room = &mut self.rooms[id.slot()];
        let Some(dropped) = room.history.pop_front() else { return false };
        self.remembered -= dropped.cost();
        self.oldest.remove(&dropped.serial);
        if let Some(next) = room.history.front() {
            self.oldest.insert(next.serial, id);
        }
        true
    }

    /// Forgets a room of which nothing is left, or notes since when nobody is in it.
    pub fn settle(&mut self, id: RoomId) {
        let serial = self.next_serial();
        let room = &mut self.rooms[id.slot()];
        if !room.members.is_empty() {
            return;
        }
        if room.history.is_empty() && room.files == 0 && !room.is_kept() {
            self.forget(id);
        } else if room.empty_since.is_none() {
            room.empty_since = Some(serial);
            self.empty.insert(serial, id);
        }
    }

    /// Panics unless all that is kept twice agrees; for tests.
    pub fn check(&self) {
        assert_eq!(self.rooms.len(), self.by_name.len());
        let (mut empty, mut remembering, mut remembered) = (0, 0, 0);
        for (id, room) in self.iter() {
            assert_eq!(self.find(&room.name), Some(id));
            assert_eq!(room.empty_since.is_some(), room.members.is_empty());
            empty += usize::from(room.members.is_empty());
            let is_something = !room.members.is_empty() || !room.history.is_empty() || room.files > 0 || room.is_kept();
            assert!(is_something, "a room of nothing");
            remembering += usize::from(!room.history.is_empty());
            remembered += room.history.iter().map(Message::cost).sum::<usize>();
            assert!(room.history.len() <= self.lines);
            // What a failing disk left out of the log is missing after a restart, so there may be gaps.
            assert!(room.history.iter().is_sorted_by(|one, next| one.seq < next.seq));
            assert!(room.history.back().is_none_or(|last| last.seq <= room.last_seq));
            if let Some(first) = room.history.front() {
                assert_eq!(self.oldest.get(&first.serial), Some(&id));
            }
        }
        assert_eq!((empty, remembering, remembered), (self.empty.len(), self.oldest.len(), self.remembered));
        assert!(self.remembered <= limits::HISTORY_IN_ALL);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn room(rooms: &mut Rooms, name: &str, who: u32) -> RoomId {
        let id = rooms.create(RoomName::new(name).unwrap());
        rooms.enter(id, PersonId::new(who, 0), 0);
        id
    }

    fn say(rooms: &mut Rooms, id: RoomId, text: &str) -> u64 {
        let seq = rooms[id].last_seq() + 1;
        let (at, from, kind) = (SystemTime::UNIX_EPOCH, Nick::new("a").unwrap(), SaidKind::Text);
        rooms.remember(id, PersonId::new(1, 0), Logged { seq, at, from, kind, text: Text::new(text) });
        rooms.check();
        seq
    }

    #[test]
    fn a_room_remembers_its_last_lines() {
        let mut rooms = Rooms::new(3);
        let id = room(&mut rooms, "#a", 1);
        assert_eq!((1..=5).map(|_| say(&mut rooms, id, "x")).collect::<Vec<_>>(), [1, 2, 3, 4, 5]);
        assert_eq!(rooms[id].history().map(|m| m.seq).collect::<Vec<_>>(), [3, 4, 5]);
        rooms.leave(id, PersonId::new(1, 0));
        assert_eq!(rooms.longest_empty(), Some(id));
        rooms.forget(id);
        rooms.check();
        assert!(rooms.is_empty());
    }

    #[test]
    fn a_room_of_nothing_is_gone_when_the_last_one_leaves() {
        let mut rooms = Rooms::new(0);
        let id = room(&mut rooms, "#a", 1);
        assert_eq!(say(&mut rooms, id, "x"), 1);
        rooms.hold(id);
        rooms.leave(id, PersonId::new(1, 0));
        rooms.check();
        rooms.release(id);
        rooms.check();
        assert!(rooms.is_empty());
    }

    #[test]
    fn all_rooms_together_remember_so_much_and_the_oldest_line_goes_first() {
        let mut rooms = Rooms::new(usize::MAX);
        let (a, b) = (room(&mut rooms, "#a", 1), room(&mut rooms, "#b", 1));
        let line = "x".repeat(1 << 20);
        say(&mut rooms, a, "first");
        say(&mut rooms, b, "second");
        for _ in 0..63 {
            say(&mut rooms, b, &line);
        }
        assert_eq!(rooms[a].history().count(), 1);
        say(&mut rooms, b, &line);
        assert_eq!(rooms[a].history().count(), 0);
        assert_eq!(rooms[b].history().next().unwrap().seq, 3);
    }
}
