//! Rooms: who is in them, what they are about and what was said there.

use std::collections::{BTreeMap, BTreeSet, BinaryHeap, HashMap, VecDeque};
use std::ops::{Bound, Index};
use std::time::SystemTime;

use slab::Slab;

use crate::effect::{Logged, PastRoom};
use crate::event::{Quota, SaidKind};
use crate::guestbook::Guestbook;
use crate::limits;
use crate::meters::PrefixCount;
use crate::names::{KeptNick, Origin, PersonId, RoomName, Text};

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
    /// From where, so that nobody drives out what others said. What a log had counts as this machine's.
    from: Origin,
    /// What they were called then.
    pub nick: KeptNick,
    /// Whether they owned that name; of what a log had nobody knows.
    pub owned: Option<bool>,
    /// How it was said.
    pub kind: SaidKind,
    /// What was said.
    pub text: Text,
}

impl Message {
    /// Bytes of memory that go with it, but for its place in the queue: its text behind two counters, and what of a name stands
    /// elsewhere.
    fn taken(&self) -> usize {
        let behind = self.nick.behind();
        taken(2 * size_of::<usize>() + self.text.as_str().len()) + if behind == 0 { 0 } else { taken(behind) }
    }

    /// Bytes of memory that it costs.
    fn cost(&self) -> usize {
        size_of::<Self>() + self.taken()
    }
}

/// What an allocator takes for so many bytes: a word more, in steps of two words and four words at least.
fn taken(bytes: usize) -> usize {
    const WORD: usize = size_of::<usize>();
    (bytes + WORD).next_multiple_of(2 * WORD).max(4 * WORD)
}

/// Somebody's place in a room.
#[derive(Clone, Copy, Debug)]
pub struct Member {
    /// A serial number of when they came in, by which the hub tells what was first.
    pub since: u64,
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
    /// What it knows of those who are here, if anything.
    book: Option<Box<Guestbook>>,
    history: VecDeque<Message>,
    /// Bytes that go with the messages of the history, see [`Message::taken`].
    texts: usize,
    /// What the messages of the history cost that came from each network, by network.
    shares: Vec<(Origin, usize)>,
    last_seq: u64,
    files: usize,
    /// Where it was made; what an earlier process left counts as this machine's.
    made_from: Origin,
    /// Whether it is in the log, and so outlives its people and what it remembers.
    kept: bool,
    /// Its serial in [`Rooms::unused`].
    unused_since: Option<u64>,
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

    /// Where a member is, or would be.
    fn place_of(&self, who: PersonId) -> Result<usize, usize> {
        self.members.binary_search_by_key(&who, |(member, _)| *member)
    }

    /// What it knows of those who are here.
    pub fn book(&self) -> &Guestbook {
        self.book.as_deref().unwrap_or(Guestbook::NONE)
    }

    /// Whether it is in the log.
    pub fn is_kept(&self) -> bool {
        self.kept
    }

    /// The number of its last message; 0 before the first.
    pub fn last_seq(&self) -> u64 {
        self.last_seq
    }

    /// Bytes of memory that its history takes.
    fn remembered(&self) -> usize {
        self.history.capacity() * size_of::<Message>()
            + self.texts
            + self.shares.capacity() * size_of::<(Origin, usize)>()
    }

    /// What the messages cost that came from a network.
    fn share_of(&self, from: Origin) -> usize {
        self.shares.binary_search_by_key(&from, |(from, _)| *from).map_or(0, |at| self.shares[at].1)
    }

    fn push(&mut self, message: Message) {
        let len = self.history.len();
        if len == self.history.capacity() {
            // Doubling would take twice as much as many rooms ever need.
            self.history.reserve_exact(len / 4 + 4);
        }
        self.texts += message.taken();
        match self.shares.binary_search_by_key(&message.from, |(from, _)| *from) {
            Ok(at) => self.shares[at].1 += message.cost(),
            Err(at) => {
                self.shares.reserve_exact(1);
                self.shares.insert(at, (message.from, message.cost()));
            }
        }
        self.history.push_back(message);
    }

    /// Forgets the oldest message; gives where it came from, and what it cost.
    fn pop(&mut self) -> Option<(Origin, usize)> {
        let message = self.history.pop_front()?;
        self.texts -= message.taken();
        if let Ok(at) = self.shares.binary_search_by_key(&message.from, |(from, _)| *from) {
            self.shares[at].1 -= message.cost();
            if self.shares[at].1 == 0 {
                self.shares.remove(at);
            }
        }
        Some((message.from, message.cost()))
    }

    /// Forgets the oldest message so that others have the memory, unless the room would keep less than what it is spared.
    fn give_way(&mut self) -> Option<(Origin, usize)> {
        let len = self.history.len();
        if len <= limits::HISTORY_SPARED {
            self.history.shrink_to_fit();
            self.shares.shrink_to_fit();
            if self.remembered() <= limits::HISTORY_SHARE {
                return None;
            }
        }
        let popped = self.pop();
        if self.history.capacity() > len + len / 4 + 4 {
            self.history.shrink_to_fit();
            self.shares.shrink_to_fit();
        }
        popped
    }

    /// The number of the first message that it remembers, or of the next one that is said.
    pub fn first_seq(&self) -> u64 {
        self.history.front().map_or(self.last_seq.saturating_add(1), |message| message.seq)
    }

    /// What it remembers after the message of this number, oldest first.
    pub fn history_after(&self, seq: u64) -> impl Iterator<Item = &Message> {
        let from = self.history.partition_point(|message| message.seq <= seq);
        self.history.range(from..)
    }

    /// What it remembers up to the message of this number, newest first.
    pub fn history_up_to(&self, seq: u64) -> impl Iterator<Item = &Message> {
        let end = self.history.partition_point(|message| message.seq <= seq);
        self.history.range(..end).rev()
    }

    /// What it remembers, oldest first.
    pub fn history(&self) -> impl DoubleEndedIterator<Item = &Message> {
        self.history.iter()
    }
}

/// A room of the log that has no place in memory. It is taken up again when somebody enters.
#[derive(Debug)]
struct Known {
    topic: Option<(PersonId, Text)>,
    last_seq: u64,
    made_from: Origin,
}

/// All rooms. A room is there while somebody is in it, or while something of it is remembered.
#[derive(Debug)]
pub struct Rooms {
    rooms: Slab<Room>,
    by_name: BTreeMap<RoomName, RoomId>,
    /// Rooms that are in the log and not in memory, under the names that the log has for them.
    known: BTreeMap<RoomName, Known>,
    /// Rooms with nobody and no file in them, by the number of their last message and then by a serial: the first one is
    /// forgotten first.
    unused: BTreeSet<(u64, u64, RoomId)>,
    /// Rooms of each network that it made and that are in memory or in the log. Those made on this machine are not counted.
    made: PrefixCount,
    /// Bytes of memory that the histories of all rooms take.
    remembered: usize,
    serial: u64,
    /// Lines that a room remembers at most.
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
            known: BTreeMap::new(),
            unused: BTreeSet::new(),
            made: PrefixCount::default(),
            remembered: 0,
            serial: 0,
            lines,
        }
    }

    /// Each room remembers so many lines from now on, and forgets what is beyond that.
    pub fn remember_lines(&mut self, lines: usize) {
        self.lines = lines;
        let longer: Vec<RoomId> =
            self.iter().filter(|(_, room)| room.history.len() > lines).map(|(id, _)| id).collect();
        for id in longer {
            let room = &mut self.rooms[id.slot()];
            let before = room.remembered();
            while room.history.len() > lines {
                room.pop();
            }
            room.history.shrink_to_fit();
            room.shares.shrink_to_fit();
            self.remembered = self.remembered - before + room.remembered();
            self.settle(id);
        }
    }

    /// How many rooms there are in memory.
    pub fn len(&self) -> usize {
        self.rooms.len()
    }

    /// Bytes of memory of what they all remember.
    pub fn remembered(&self) -> usize {
        self.remembered
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.rooms.is_empty()
    }

    /// The room of this name, if it is in memory.
    pub fn find(&self, name: &RoomName) -> Option<RoomId> {
        self.by_name.get(name).copied()
    }

    /// Whether there is a room of this name, in memory or in the log.
    pub fn exists(&self, name: &RoomName) -> bool {
        self.by_name.contains_key(name) || self.known.contains_key(name)
    }

    /// The number of the last message of a room, in memory or in the log; 0 of one that is not there.
    pub fn last_of(&self, name: &RoomName) -> u64 {
        let known = || self.known.get(name).map(|known| known.last_seq);
        self.find(name).map(|id| self[id].last_seq).or_else(known).unwrap_or(0)
    }

    /// The number of the last message of a room of which no more is there than its messages; 0 of one that is not there at all.
    pub fn only_messages(&self, name: &RoomName) -> Option<u64> {
        if let Some(id) = self.find(name) {
            let room = &self[id];
            let is_left = room.members.is_empty() && room.files == 0 && room.topic.is_none();
            return is_left.then_some(room.last_seq);
        }
        match self.known.get(name) {
            Some(known) => known.topic.is_none().then_some(known.last_seq),
            None => Some(0),
        }
    }

    /// What a room is about that is not in memory.
    pub fn known_topic(&self, name: &RoomName) -> Option<Text> {
        self.known.get(name).and_then(|known| known.topic.as_ref()).map(|(_, topic)| topic.clone())
    }

    /// All rooms, by name.
    pub fn iter(&self) -> impl Iterator<Item = (RoomId, &Room)> {
        self.by_name.values().map(|&id| (id, &self[id]))
    }

    /// The rooms whose names come after this one, by name.
    pub fn after(&self, name: Option<RoomName>) -> impl Iterator<Item = (RoomId, &Room)> {
        let from = name.map_or(Bound::Unbounded, Bound::Excluded);
        self.by_name.range((from, Bound::Unbounded)).map(|(_, &id)| (id, &self[id]))
    }

    /// The room of this name: the one in memory, the one in the log, or a new one that is made from somewhere. It is to be
    /// settled when something has been put into it. An error says what there are too many of.
    pub fn open(&mut self, name: RoomName, from: Origin) -> Result<RoomId, Quota> {
        if let Some(id) = self.find(&name) {
            return Ok(id);
        }
        if !self.known.contains_key(&name) {
            self.may_make(from)?;
        }
        if self.rooms.len() >= limits::ROOMS {
            let &(_, _, unused) = self.unused.first().ok_or(Quota::Rooms)?;
            self.forget(unused);
        }
        let known = self.known.remove_entry(&name);
        let kept = known.is_some();
        let (name, Known { topic, last_seq, made_from }) = known.unwrap_or_else(|| {
            if let Origin::Network(prefix) = from {
                self.made.add(prefix);
            }
            (name, Known { topic: None, last_seq: 0, made_from: from })
        });
        let slot = self.rooms.insert(Room {
            name,
            topic,
            members: Vec::new(),
            book: None,
            history: VecDeque::new(),
            texts: 0,
            shares: Vec::new(),
            last_seq,
            files: 0,
            made_from,
            kept,
            unused_since: None,
        });
        // There are at most limits::ROOMS.
        let id = RoomId(u32::try_from(slot).unwrap_or(u32::MAX));
        self.by_name.insert(name, id);
        Ok(id)
    }

    /// Whether a room may be made from somewhere, or what there are too many of.
    fn may_make(&self, from: Origin) -> Result<(), Quota> {
        let logs = limits::LOGS.saturating_sub(self.rooms.len() + self.known.len());
        if logs == 0 {
            return Err(Quota::Logs);
        }
        let places = limits::ROOMS - (self.rooms.len() - self.unused.len());
        if places == 0 {
            return Err(Quota::Rooms);
        }
        let Origin::Network(prefix) = from else { return Ok(()) };
        let left = logs.min(places).div_ceil(limits::ROOMS_PARTS);
        let is_left = self.made.has_left(prefix, u32::try_from(left).unwrap_or(u32::MAX));
        if is_left { Ok(()) } else { Err(Quota::RoomsOfNetwork) }
    }

    /// Takes in a room of the log, of an earlier process. Of a room that is to remember nothing of what it could, no more is
    /// taken than that it is known.
    pub fn restore(&mut self, past: PastRoom) {
        let PastRoom { name, topic, last_seq, lines } = past;
        let topic = topic.map(|topic| (PersonId::NOBODY, topic));
        self.known.insert(name, Known { topic, last_seq, made_from: Origin::Loopback });
        if lines.is_empty() && self.lines > 0 {
            return;
        }
        // If there is no place, it stays known.
        let Ok(id) = self.open(name, Origin::Loopback) else { return };
        for line in lines {
            self.remember(id, (PersonId::NOBODY, Origin::Loopback, None), line);
        }
        let room = &mut self.rooms[id.slot()];
        room.last_seq = room.last_seq.max(last_seq);
        self.settle(id);
    }

    /// Forgets an unused room, with all that it remembers. If it is in the log, it stays known.
    fn forget(&mut self, id: RoomId) {
        let room = self.rooms.remove(id.slot());
        self.remembered -= room.remembered();
        self.by_name.remove(&room.name);
        if let Some(since) = room.unused_since {
            self.unused.remove(&(room.last_seq, since, id));
        }
        if room.kept {
            let Room { name, topic, last_seq, made_from, .. } = room;
            self.known.insert(name, Known { topic, last_seq, made_from });
        } else if let Origin::Network(prefix) = room.made_from {
            self.made.remove(prefix);
        }
    }

    /// Puts `who` into the room; `since` is the serial number of when.
    pub fn enter(&mut self, id: RoomId, who: PersonId, since: u64) {
        let room = &mut self.rooms[id.slot()];
        let member = (who, Member { since });
        match room.place_of(who) {
            Ok(at) => room.members[at] = member,
            Err(at) => room.members.insert(at, member),
        }
        self.settle(id);
    }

    /// Takes `who` out of the room, which may be the end of it.
    pub fn leave(&mut self, id: RoomId, who: PersonId) {
        let room = &mut self.rooms[id.slot()];
        if let Some(book) = &mut room.book {
            book.leave(who);
            if book.is_empty() {
                room.book = None;
            }
        }
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
        self.settle(id);
    }

    /// A file of the room is gone, which may be the end of the room.
    pub fn release(&mut self, id: RoomId) {
        self.rooms[id.slot()].files -= 1;
        self.settle(id);
    }

    /// What a room knows of those who are here, to be changed.
    pub fn book_mut(&mut self, id: RoomId) -> &mut Guestbook {
        self.rooms[id.slot()].book.get_or_insert_default()
    }

    /// Forgets all of a room, in which nobody and no file is. If it is in the log, it is told what the log calls it, and the number of
    /// its last message.
    pub fn wipe(&mut self, name: &RoomName) -> Option<(RoomName, u64)> {
        self.put_away(name);
        let (name, known) = self.known.remove_entry(name)?;
        if let Origin::Network(prefix) = known.made_from {
            self.made.remove(prefix);
        }
        Some((name, known.last_seq))
    }

    /// Takes a room out of memory in which nobody and no file is. If it is in the log, it is taken up again when somebody enters.
    pub fn put_away(&mut self, name: &RoomName) {
        if let Some(id) = self.find(name) {
            self.forget(id);
        }
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
    /// It is by somebody from somewhere, and it is known whether they owned their name, or not.
    pub fn remember(&mut self, id: RoomId, (by, origin, owned): (PersonId, Origin, Option<bool>), line: Logged) {
        let room = &mut self.rooms[id.slot()];
        let before = std::mem::replace(&mut room.last_seq, line.seq);
        // People may speak from outside in a room that nobody is in.
        if let Some(since) = room.unused_since.filter(|&since| self.unused.remove(&(before, since, id))) {
            self.unused.insert((line.seq, since, id));
        }
        if self.lines == 0 {
            return;
        }
        let Logged { seq, at, from, kind, text } = line;
        let before = room.remembered();
        if room.history.len() >= self.lines {
            room.pop();
        }
        room.push(Message { seq, at, by, from: origin.widest(), nick: from.into(), owned, kind, text });
        self.remembered = self.remembered - before + room.remembered();
        if self.remembered > limits::HISTORY_IN_ALL {
            self.make_space();
        }
    }

    /// Gives memory back: message by message, of the network that holds most, and in the room in which it holds most the
    /// oldest. So a room's history never has a hole, and who says more than others loses more.
    fn make_space(&mut self) {
        let mut networks: HashMap<Origin, Network> = HashMap::new();
        for (slot, room) in &self.rooms {
            for &(from, cost) in &room.shares {
                let network = networks.entry(from).or_default();
                network.cost += cost;
                network.rooms.push((cost, slot));
            }
        }
        let mut largest: BinaryHeap<(usize, Origin)> = networks.iter().map(|(&from, of)| (of.cost, from)).collect();
        // Costs only fall, so one that has fallen since it was put into a heap is found at the top, and put back.
        while self.remembered > limits::HISTORY_IN_ALL - limits::HISTORY_SLACK {
            let Some((cost, from)) = largest.pop() else { return };
            let Some(network) = networks.get_mut(&from) else { continue };
            if network.cost < cost {
                largest.push((network.cost, from));
                continue;
            }
            // One whose rooms keep what they are spared is left alone.
            let Some((cost, slot)) = network.rooms.pop() else { continue };
            let room = &mut self.rooms[slot];
            let share = room.share_of(from);
            if share < cost {
                network.rooms.extend((share > 0).then_some((share, slot)));
            } else {
                let before = room.remembered();
                if let Some((of, cost)) = room.give_way() {
                    network.rooms.push((share, slot));
                    if let Some(network) = networks.get_mut(&of) {
                        network.cost -= cost;
                    }
                }
                self.remembered = self.remembered - before + room.remembered();
            }
            largest.push((networks[&from].cost, from));
        }
    }

    /// Forgets a room of which nothing is left, and notes since when one is unused.
    pub fn settle(&mut self, id: RoomId) {
        let room = &mut self.rooms[id.slot()];
        let is_unused = room.members.is_empty() && room.files == 0;
        if is_unused && room.history.is_empty() && !room.kept {
            return self.forget(id);
        }
        match room.unused_since {
            None if is_unused => {
                self.serial += 1;
                room.unused_since = Some(self.serial);
                self.unused.insert((room.last_seq, self.serial, id));
            }
            Some(since) if !is_unused => {
                room.unused_since = None;
                self.unused.remove(&(room.last_seq, since, id));
            }
            _ => {}
        }
    }

    /// Panics unless all that is kept twice agrees; for tests.
    pub fn check(&self) {
        assert_eq!(self.rooms.len(), self.by_name.len());
        assert!(self.rooms.len() <= limits::ROOMS && self.rooms.len() + self.known.len() <= limits::LOGS);
        let (mut unused, mut remembered) = (0, 0);
        for (id, room) in self.iter() {
            assert_eq!(self.find(&room.name), Some(id));
            assert!(!self.known.contains_key(&room.name), "a room is in memory and only known");
            let is_unused = room.members.is_empty() && room.files == 0;
            assert_eq!(room.unused_since.is_some(), is_unused);
            assert!(room.unused_since.is_none_or(|since| self.unused.contains(&(room.last_seq, since, id))));
            unused += usize::from(is_unused);
            assert!(!is_unused || !room.history.is_empty() || room.kept, "a room of nothing");
            remembered += room.remembered();
            assert_eq!(room.texts, room.history.iter().map(Message::taken).sum::<usize>());
            let of =
                |from| room.history.iter().filter(|message| message.from == from).map(Message::cost).sum::<usize>();
            assert!(room.shares.iter().all(|&(from, share)| share == of(from)));
            assert_eq!(
                room.shares.iter().map(|(_, share)| share).sum::<usize>(),
                room.history.iter().map(Message::cost).sum()
            );
            assert!(room.history.len() <= self.lines);
            // What a failing disk left out of the log is missing after a restart, so there may be gaps.
            assert!(room.history.iter().is_sorted_by(|one, next| one.seq < next.seq));
            assert!(room.history.back().is_none_or(|last| last.seq <= room.last_seq));
        }
        let mut made = PrefixCount::default();
        let from = self.rooms.iter().map(|(_, room)| room.made_from);
        for from in from.chain(self.known.values().map(|known| known.made_from)) {
            if let Origin::Network(prefix) = from {
                made.add(prefix);
            }
        }
        assert_eq!(made, self.made);
        assert_eq!((unused, remembered), (self.unused.len(), self.remembered));
        assert!(self.remembered <= limits::HISTORY_IN_ALL);
    }
}

/// What is remembered that came from one network, while some of it is to be forgotten.
#[derive(Default)]
struct Network {
    cost: usize,
    /// The cost in each room, the largest first.
    rooms: BinaryHeap<(usize, usize)>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::names::Prefix;

    fn name(name: &str) -> RoomName {
        RoomName::new(name).unwrap()
    }

    fn room(rooms: &mut Rooms, called: &str, who: u32) -> RoomId {
        let id = rooms.open(name(called), Origin::Loopback).unwrap();
        rooms.enter(id, PersonId::new(who, 0), 0);
        id
    }

    fn say_from(rooms: &mut Rooms, id: RoomId, origin: Origin, text: &str) -> u64 {
        let seq = rooms[id].last_seq() + 1;
        let (at, from, kind) = (SystemTime::UNIX_EPOCH, crate::names::Nick::new("a").unwrap(), SaidKind::Text);
        rooms.remember(id, (PersonId::new(1, 0), origin, None), Logged { seq, at, from, kind, text: Text::new(text) });
        seq
    }

    fn say(rooms: &mut Rooms, id: RoomId, text: &str) -> u64 {
        say_from(rooms, id, Origin::Loopback, text)
    }

    fn network(n: u32) -> Origin {
        Origin::Network(Prefix::v4(n.to_be_bytes()))
    }

    fn seqs(rooms: &Rooms, id: RoomId) -> Vec<u64> {
        rooms[id].history().map(|message| message.seq).collect()
    }

    /// Makes a room in which so much is said and nobody stays.
    fn left(rooms: &mut Rooms, called: &str, lines: usize) -> RoomId {
        let id = room(rooms, called, 1);
        (0..lines).for_each(|_| {
            say(rooms, id, "x");
        });
        rooms.leave(id, PersonId::new(1, 0));
        id
    }

    #[test]
    fn a_room_remembers_its_last_lines() {
        let mut rooms = Rooms::new(3);
        let id = room(&mut rooms, "#a", 1);
        assert_eq!((1..=5).map(|_| say(&mut rooms, id, "x")).collect::<Vec<_>>(), [1, 2, 3, 4, 5]);
        assert_eq!(seqs(&rooms, id), [3, 4, 5]);
        rooms.check();
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
    fn the_empty_room_with_the_least_said_in_it_makes_place() {
        let mut rooms = Rooms::new(200);
        let team = left(&mut rooms, "#team", 40);
        let shared = left(&mut rooms, "#shared", 1);
        rooms.hold(shared);
        let here = room(&mut rooms, "#here", 1);
        for n in rooms.len()..limits::ROOMS {
            left(&mut rooms, &format!("#flood{n}"), 2);
        }
        for n in 0..20_000 {
            left(&mut rooms, &format!("#more{n}"), 3);
        }
        rooms.check();
        assert_eq!(rooms.len(), limits::ROOMS);
        for (called, id) in [("#team", team), ("#shared", shared), ("#here", here)] {
            assert_eq!(rooms.find(&name(called)), Some(id));
        }
        // Of those in which as little was said the one that was unused for longest goes first.
        assert!(!rooms.exists(&name("#more0")) && rooms.exists(&name("#more19999")));
        assert_eq!(seqs(&rooms, team).len(), 40);
    }

    #[test]
    fn where_nothing_can_be_forgotten_there_is_no_new_room() {
        let mut rooms = Rooms::new(200);
        for n in 0..limits::ROOMS {
            room(&mut rooms, &format!("#r{n}"), 1);
        }
        assert_eq!(rooms.open(name("#more"), Origin::Loopback), Err(Quota::Rooms));
        assert!(rooms.open(name("#R7"), Origin::Loopback).is_ok());
        rooms.leave(rooms.find(&name("#r7")).unwrap(), PersonId::new(1, 0));
        room(&mut rooms, "#more", 1);
        rooms.check();
    }

    #[test]
    fn a_logged_room_is_taken_up_again_with_its_number_and_topic() {
        let mut rooms = Rooms::new(200);
        let topic = Some((PersonId::new(7, 0), Text::new("tea")));
        let team = left(&mut rooms, "#Team", 5);
        rooms.keep(team);
        rooms.set_topic(team, topic.clone());
        let mut count = 0;
        let mut flood = |rooms: &mut Rooms| {
            for _ in 0..limits::ROOMS - 1 {
                count += 1;
                left(rooms, &format!("#flood{count}"), 9);
            }
        };
        flood(&mut rooms);
        assert!(rooms.find(&name("#team")).is_some());
        left(&mut rooms, "#last", 9);
        assert_eq!((rooms.find(&name("#team")), rooms.exists(&name("#team"))), (None, true));
        rooms.check();
        // Its log has this spelling, and no other must begin beside it.
        let again = room(&mut rooms, "#tEAM", 2);
        assert_eq!((rooms[again].name.as_str(), rooms[again].last_seq()), ("#Team", 5));
        assert_eq!((&rooms[again].topic, rooms[again].is_kept()), (&topic, true));
        assert_eq!(say(&mut rooms, again, "x"), 6);
        rooms.check();
    }

    #[test]
    fn beyond_the_logs_that_there_may_be_there_is_no_new_room() {
        let mut rooms = Rooms::new(200);
        for n in 0..limits::LOGS {
            rooms.restore(PastRoom { name: name(&format!("#r{n}")), topic: None, last_seq: 3, lines: Vec::new() });
        }
        rooms.check();
        assert!(rooms.is_empty());
        assert_eq!(rooms.open(name("#more"), Origin::Loopback), Err(Quota::Logs));
        let id = room(&mut rooms, "#r5", 1);
        assert_eq!(say(&mut rooms, id, "x"), 4);
        // One that is taken up again makes no place for another.
        assert_eq!(rooms.open(name("#more"), Origin::Loopback), Err(Quota::Logs));
        rooms.check();
    }

    /// Has a network make rooms that the log keeps, until it may not; gives how many.
    fn make(rooms: &mut Rooms, from: Origin, called: &str) -> usize {
        for n in 0.. {
            let Ok(id) = rooms.open(name(&format!("#{called}-{n}")), from) else { return n };
            rooms.enter(id, PersonId::new(1, 0), 0);
            say(rooms, id, "x");
            rooms.keep(id);
            rooms.leave(id, PersonId::new(1, 0));
        }
        0
    }

    #[test]
    fn what_networks_make_of_rooms_leaves_some_for_others() {
        let mut rooms = Rooms::new(200);
        let mut left = limits::LOGS;
        // A network has a part of what is left, and all of a /48 eight times as much.
        for n in 0..3 {
            let made = make(&mut rooms, network(n), &format!("v4-{n}"));
            assert!(made > 500 && made <= left / limits::ROOMS_PARTS, "{made} of {left}");
            assert_eq!(make(&mut rooms, network(n), &format!("again-{n}")), 0);
            left -= made;
        }
        for wide in 0..4 {
            let of =
                |net: u8| Origin::Network(Prefix::v6([0x20, 1, 0x0d, 0xb8, 0, wide, 0, net, 0, 0, 0, 0, 0, 0, 0, 1]));
            let made: usize = (0..20).map(|net| make(&mut rooms, of(net), &format!("v6-{wide}-{net}"))).sum();
            assert!(made >= left / 5 && made <= left / 2 + 8, "{made} of {left}");
            left -= made;
        }
        assert!(make(&mut rooms, network(9), "late") > 50);
        rooms.check();
    }

    #[test]
    fn a_network_may_make_rooms_again_when_those_it_made_are_forgotten() {
        let mut rooms = Rooms::new(200);
        for n in 0..limits::LOGS {
            let id = rooms.open(name(&format!("#r{n}")), network(1)).unwrap();
            rooms.enter(id, PersonId::new(1, 0), 0);
            rooms.leave(id, PersonId::new(1, 0));
        }
        // One that is put away is still there.
        let id = rooms.open(name("#kept"), network(1)).unwrap();
        rooms.keep(id);
        rooms.settle(id);
        rooms.forget(id);
        rooms.check();
        assert_eq!(rooms.made, {
            let mut made = PrefixCount::default();
            made.add(Prefix::v4(1_u32.to_be_bytes()));
            made
        });
    }

    #[test]
    fn what_a_flood_says_drives_out_the_flood_and_nobody_else() {
        // As many rooms on one machine, and as many from one network; each has as much as it may.
        for from in [Origin::Loopback, network(7)] {
            let mut rooms = Rooms::new(200);
            let team = room(&mut rooms, "#team", 1);
            (0..200).for_each(|n| {
                say(&mut rooms, team, &format!("what we said, line {n}"));
            });
            for n in 0..400 {
                let flood = room(&mut rooms, &format!("#flood{n}"), 2);
                (0..57).for_each(|_| {
                    say_from(&mut rooms, flood, from, &"x".repeat(4_080));
                });
            }
            rooms.check();
            assert_eq!(seqs(&rooms, team), (1..=200).collect::<Vec<_>>(), "{from:?}");
        }
    }

    #[test]
    fn a_network_with_many_rooms_loses_before_one_with_a_large_room() {
        let mut rooms = Rooms::new(2_000);
        let team = room(&mut rooms, "#team", 1);
        (0..2_000).for_each(|_| {
            say_from(&mut rooms, team, network(1), &"x".repeat(4_000));
        });
        for n in 0..1_000 {
            let flood = room(&mut rooms, &format!("#flood{n}"), 2);
            (0..57).for_each(|_| {
                say_from(&mut rooms, flood, network(2), &"x".repeat(4_000));
            });
        }
        rooms.check();
        assert_eq!(seqs(&rooms, team).len(), 2_000);
    }

    #[test]
    fn a_room_keeps_its_last_lines_within_its_share() {
        let mut rooms = Rooms::new(usize::MAX);
        let (quiet, wordy) = (room(&mut rooms, "#quiet", 1), room(&mut rooms, "#wordy", 1));
        for _ in 0..100 {
            say_from(&mut rooms, quiet, network(1), "of a hundred bytes, or nearly so many");
            say_from(&mut rooms, wordy, network(1), &"x".repeat(2_000));
        }
        for n in 0..9_000 {
            let flood = room(&mut rooms, &format!("#flood{n}"), 2);
            say_from(&mut rooms, flood, network(1), &"x".repeat(4_000));
        }
        // Nobody holds more than the first network, but it holds no more than what its rooms are spared.
        let other = room(&mut rooms, "#other", 3);
        for _ in 0..20_000 {
            say_from(&mut rooms, other, network(2), &"x".repeat(4_000));
        }
        rooms.check();
        assert!(seqs(&rooms, quiet).ends_with(&(81..=100).collect::<Vec<_>>()));
        let kept = seqs(&rooms, wordy);
        assert!(kept.ends_with(&[99, 100]) && kept.len() <= 3, "{kept:?}");
        assert!(rooms.iter().all(|(_, room)| room.history().next().is_some()), "a room has lost everything");
    }

    #[test]
    fn a_room_of_many_networks_has_no_hole_in_its_history() {
        let mut rooms = Rooms::new(usize::MAX);
        let id = room(&mut rooms, "#a", 1);
        for n in 0..40_000 {
            say_from(&mut rooms, id, network(n % 5 * (n % 3)), &"x".repeat(2_000));
        }
        rooms.check();
        let kept = seqs(&rooms, id);
        assert!(kept.len() > 20_000 && kept.iter().copied().eq(40_001 - kept.len() as u64..=40_000));
    }

    #[test]
    fn an_ipv6_customer_counts_as_one() {
        let address = |net: u8| [0x20, 1, 0x0d, 0xb8, 0, 0, 0, net, 0, 0, 0, 0, 0, 0, 0, 1];
        let [one, other] = [1, 2].map(|net| Origin::Network(Prefix::v6(address(net))));
        assert_ne!(one, other);
        assert_eq!(one.widest(), other.widest());
        assert_eq!(network(7).widest(), network(7));
    }
}
