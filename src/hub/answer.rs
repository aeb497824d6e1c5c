//! Long answers, told a slice at a time: of what is still to be told no more is known than where it begins.

use std::collections::BinaryHeap;
use std::vec;

use crate::effect::{Effect, Output};
use crate::event::{Detail, Done, Now, Reply, State};
use crate::limits;
use crate::names::{ConnId, FileId, Nick, PersonId, RoomName, Text};
use crate::people::Person;
use crate::rooms::{Message, Room, RoomId};
use crate::typing::Where;

use super::{Hub, Turn};

/// An answer under way.
#[derive(Debug)]
pub(super) struct Answer {
    /// Details told.
    count: usize,
    rest: Rest,
}

/// What is still to be told. Whoever is told it stays in their rooms meanwhile, as their next request waits.
#[derive(Debug)]
enum Rest {
    /// People, as of this version of presence.
    People { page: Page, version: u64 },
    /// The rooms whose names come after this one.
    Rooms(Option<RoomName>),
    /// The files of a conversation, or all, whose IDs come after this one.
    Files(Option<Where>, FileId),
    /// The last messages of a room; where they begin is still being looked for.
    Last(Search),
    /// The messages of a room after a number and up to another.
    History { room: RoomId, after: u64, last: u64, most: Most },
}

/// The last messages of a room, gone through from the newest on.
#[derive(Debug)]
struct Search {
    room: RoomId,
    /// The newest that has not been looked at.
    next: u64,
    /// The oldest that is to be told, as far as is known.
    first: u64,
    /// The newest of all.
    last: u64,
    most: Most,
}

/// How much more of a history may be told.
#[derive(Debug)]
struct Most {
    lines: usize,
    bytes: usize,
}

impl Most {
    /// Counts a message, if it still fits.
    fn take(&mut self, message: &Message) -> bool {
        let bytes = message.text.as_str().len() + limits::HISTORY_HEAD;
        if self.lines == 0 || self.bytes < bytes {
            return false;
        }
        self.lines -= 1;
        self.bytes -= bytes;
        true
    }
}

/// Some people in the order of their names, and where those begin who come after them.
#[derive(Debug)]
pub(super) struct Page {
    people: vec::IntoIter<PersonId>,
    /// The room that they are in, if it matters, and the name after which the next page begins, if there is one.
    next: Option<(Option<RoomName>, Nick)>,
}

impl Page {
    pub(super) fn of_one(who: PersonId) -> Self {
        Self { people: vec![who].into_iter(), next: None }
    }
}

/// What is left of a slice, in bytes.
struct Slice(usize);

impl Slice {
    fn is_full(&self) -> bool {
        self.0 == 0
    }

    /// Counts something that was looked at, with so many bytes of text.
    fn spend(&mut self, text: usize) {
        self.0 = self.0.saturating_sub(limits::SLICE_ROW + text);
    }
}

impl Answer {
    fn new(rest: Rest) -> Self {
        Self { count: 0, rest }
    }

    pub(super) fn people(page: Page, version: u64) -> Self {
        Self::new(Rest::People { page, version })
    }

    pub(super) fn rooms() -> Self {
        Self::new(Rest::Rooms(None))
    }

    pub(super) fn files(only: Option<Where>) -> Self {
        Self::new(Rest::Files(only, FileId(0)))
    }

    /// The first messages of a room after this number.
    pub(super) fn history_after(room: RoomId, after: u64, last: u64) -> Self {
        let most = Most { lines: limits::HISTORY_LINES, bytes: limits::HISTORY_BYTES };
        Self::new(Rest::History { room, after, last, most })
    }

    /// The last messages of a room, at most so many.
    pub(super) fn last_of_history(room: RoomId, lines: usize, last: u64) -> Self {
        let most = Most { lines, bytes: limits::HISTORY_BYTES };
        Self::new(Rest::Last(Search { room, next: last, first: last + 1, last, most }))
    }

    /// Whether it lists people.
    pub(super) fn is_of_people(&self) -> bool {
        matches!(self.rest, Rest::People { .. })
    }
}

impl Hub {
    /// Whether the answer to the last request of a connection is not complete: no other may be handled before it is.
    pub fn is_answering(&self, conn: ConnId) -> bool {
        self.answers.contains_key(&conn)
    }

    /// Tells the next slice of the answer that is under way for a connection, and with the last one the reply.
    pub fn go_on(&mut self, conn: ConnId, now: Now, out: &mut impl Output) {
        let Some(who) = self.people.at(conn).map(|person| person.id) else { return };
        let Some(answer) = self.answers.remove(&conn) else { return };
        if let Some(done) = self.tell(answer, &mut Turn { now, conn, who, out }) {
            out.reply(conn, &Reply::Done(done));
        }
    }

    /// Tells the next slice of an answer; gives the reply if it is the last one.
    pub(super) fn tell(&mut self, mut answer: Answer, turn: &mut Turn<'_, impl Output>) -> Option<Done> {
        if answer.is_of_people() {
            self.presence.asked();
        }
        let done = self.tell_slice(&mut answer, turn);
        if done.is_none() {
            self.answers.insert(turn.conn, answer);
            turn.out.effect(Effect::Resume(turn.conn));
        }
        done
    }

    fn tell_slice(&self, answer: &mut Answer, turn: &mut Turn<'_, impl Output>) -> Option<Done> {
        let viewer = self.people.get(turn.who)?;
        let slice = &mut Slice(limits::SLICE);
        let Answer { count, rest } = answer;
        let (now, conn) = (turn.now, turn.conn);
        let mut tell = |slice: &mut Slice, detail: &Detail| {
            slice.spend(text_of(detail));
            turn.out.detail(conn, detail);
            *count += 1;
        };
        match rest {
            Rest::People { page, version } => loop {
                if slice.is_full() {
                    return None;
                }
                if let Some(who) = page.people.next() {
                    // They may have gone since the page was made, as presence tells.
                    let person = self.people.get(who);
                    person.into_iter().for_each(|person| tell(slice, &self.who_line(viewer, person, now)));
                } else if let Some((room, after)) = page.next.take() {
                    *page = self.page(room, Some(after));
                } else {
                    return Some(Done::Who { version: *version, count: *count });
                }
            },
            Rest::Rooms(after) => {
                for (id, room) in self.rooms.after(*after) {
                    if slice.is_full() {
                        return None;
                    }
                    let topic = self.topic_for(viewer.id, id);
                    tell(slice, &Detail::Room { name: room.name, count: room.members().len(), topic });
                    *after = Some(room.name);
                }
                Some(Done::Rooms(*count))
            }
            Rest::Files(only, after) => {
                for (id, file) in self.files.after(*after) {
                    if slice.is_full() {
                        return None;
                    }
                    match self.file_line(viewer, *only, (id, file), now) {
                        Some(detail) => tell(slice, &detail),
                        None => slice.spend(0),
                    }
                    *after = id;
                }
                Some(Done::Files(*count))
            }
            Rest::Last(search) => {
                *rest = search.run(&self.rooms[search.room], viewer, slice)?;
                self.tell_slice(answer, turn)
            }
            Rest::History { room, after, last, most } => {
                let room = &self.rooms[*room];
                for message in room.history_after(*after).take_while(|message| message.seq <= *last) {
                    if slice.is_full() {
                        return None;
                    }
                    if viewer.ignores(message.by) {
                        slice.spend(0);
                    } else if most.take(message) {
                        tell(slice, &line(message));
                    } else {
                        break;
                    }
                    *after = message.seq;
                }
                Some(Done::History { room: room.name, count: *count })
            }
        }
    }

    /// Those in a room, or all, whose names come first after this one. It looks at each of them once.
    pub(super) fn page(&self, room: Option<RoomName>, after: Option<Nick>) -> Page {
        let mut first = BinaryHeap::new();
        let offer = |person: &Person| {
            let nick = person.nick();
            if after.is_some_and(|after| nick <= after) {
                return;
            }
            if first.len() < limits::PAGE {
                first.push((nick, person.id));
            } else if let Some(mut last) = first.peek_mut().filter(|last| nick < last.0) {
                *last = (nick, person.id);
            }
        };
        match room.map(|room| self.rooms.find(&room)) {
            None => self.people.iter().for_each(offer),
            Some(None) => {}
            Some(Some(id)) => {
                self.rooms[id].members().filter_map(|who| self.people.get(who)).for_each(offer);
            }
        }
        let next = first.peek().filter(|_| first.len() == limits::PAGE).map(|(nick, _)| (room, *nick));
        let people: Vec<PersonId> = first.into_sorted_vec().into_iter().map(|(_, who)| who).collect();
        Page { people: people.into_iter(), next }
    }
}

impl Search {
    /// Looks for the first message that is to be told; gives how the answer goes on once it is found.
    fn run(&mut self, room: &Room, viewer: &Person, slice: &mut Slice) -> Option<Rest> {
        for message in room.history_up_to(self.next) {
            if slice.is_full() {
                return None;
            }
            slice.spend(0);
            if !viewer.ignores(message.by) {
                if !self.most.take(message) {
                    break;
                }
                self.first = message.seq;
            }
            self.next = message.seq.saturating_sub(1);
        }
        let most = Most { lines: limits::HISTORY_LINES, bytes: limits::HISTORY_BYTES };
        Some(Rest::History { room: self.room, after: self.first.saturating_sub(1), last: self.last, most })
    }
}

fn line(message: &Message) -> Detail {
    let &Message { seq, at, nick: from, kind, ref text, .. } = message;
    Detail::Line { seq, at, from, kind, text: text.clone() }
}

/// Bytes of a detail that are longer in some rows than in others.
fn text_of(detail: &Detail) -> usize {
    let len = |text: &Option<Text>| text.as_ref().map_or(0, |text| text.as_str().len());
    match detail {
        Detail::Who { state: State::Away(text), rooms, .. } => len(text) + size_of_val(rooms.as_slice()),
        Detail::Who { rooms, .. } => size_of_val(rooms.as_slice()),
        Detail::Room { topic, .. } => len(topic),
        Detail::Line { text, .. } => text.as_str().len(),
        _ => 0,
    }
}
