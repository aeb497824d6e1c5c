//! Who hears what is said in a room or to somebody, and what slow consumers miss of it.

use super::{Except, Hub, Turn};
use crate::effect::Output;
use crate::event::{Event, Happening};
use crate::names::{ConnId, Nick, PersonId, Place};
use crate::people::{Person, Way};
use crate::rooms::{Room, RoomId};
use crate::time::Now;

impl Hub {
    /// This connection is a slow consumer: room lines and presence are left out for it until [`Hub::caught_up`].
    pub fn lag(&mut self, conn: ConnId) {
        self.people.lag(conn);
    }

    /// All that was pending for a slow consumer is written: it is told what it missed.
    pub fn caught_up(&mut self, conn: ConnId, now: Now, out: &mut impl Output) {
        let missed_presence = self.people.catch_up(conn);
        let (Some(person), Some(way)) = (self.people.at(conn), self.people.way(conn)) else { return };
        let (who, wants_presence) = (person.id, way.presence && missed_presence);
        let turn = &mut Turn { now, conn, who, out };
        for room in person.rooms.clone() {
            self.tell_missed(room, conn, turn);
        }
        if self.people.way_mut(conn).is_some_and(Way::take_missed_private) {
            turn.out.answer(conn, &Event::LeftOut { private: true });
        }
        // By the version of the last line they see that there were others.
        if let Some(last) = self.presence.last().filter(|_| wants_presence) {
            turn.out.answer(conn, last);
        }
    }

    /// Tells somebody something that is for them alone, through all of their connections but one. Of those that are slow consumers it
    /// is left out, and they are told so when they have caught up.
    pub(super) fn tell_alone(&mut self, who: PersonId, except: ConnId, event: &Event, out: &mut impl Output) {
        let reading = self.people.conns_reading(who).filter(|&conn| conn != except);
        out.publish(&mut { reading }, std::slice::from_ref(event));
        self.people.leave_out_private(who, except);
    }

    /// Tells a connection what was left out for it in a room. There may have been nothing but events.
    pub(super) fn tell_missed(&mut self, room: RoomId, conn: ConnId, turn: &mut Turn<'_, impl Output>) {
        let Some(after) = self.people.way_mut(conn).and_then(|way| way.take_missed(room)) else { return };
        let Some(who) = self.people.at(conn).map(Person::nick) else { return };
        let (room, at) = (&self.rooms[room], turn.now.wall);
        let count = room.last_seq() - after;
        self.counts.missed += count;
        let what = Happening::Missed { count, after };
        turn.out.answer(conn, &Event::Happened { place: Place::Room(room.name), at, who, what });
    }

    /// Tells a room something about `who`, without the words of somebody whom the hearer ignores.
    pub(super) fn tell_room(
        &mut self,
        room: RoomId,
        who: PersonId,
        nick: Nick,
        what: &Happening,
        turn: &mut Turn<'_, impl Output>,
    ) {
        // It is told without words to those who ignore them, but for a topic, which is nothing without.
        let is_topic = matches!(what, Happening::Topic(_));
        let except = turn.author(who);
        self.leave_out(room, except, |person| !(is_topic && person.ignores(who)));
        let room = &self.rooms[room];
        let event = |what| Event::Happened { place: Place::Room(room.name), at: turn.now.wall, who: nick, what };
        turn.out.publish(&mut self.hearers(room, who, except), &[event(what.clone())]);
        if !self.people.get(who).is_some_and(Person::is_ignored) {
            return;
        }
        let bare = match what {
            Happening::Left(_) => Happening::Left(None),
            Happening::Quit(_) => Happening::Quit(None),
            Happening::Kicked { nick, .. } => Happening::Kicked { nick: *nick, reason: None },
            Happening::Banned { kind, who, time, .. } => {
                Happening::Banned { kind: *kind, who: who.clone(), time: *time, reason: None }
            }
            Happening::Joined
            | Happening::Renamed(_)
            | Happening::Lost(_)
            | Happening::Made { .. }
            | Happening::Unbanned { .. }
            | Happening::Set(_)
            | Happening::Erased { .. } => what.clone(),
            _ => return,
        };
        let is_spared = |&id: &PersonId| id != who && self.people.get(id).is_some_and(|person| person.ignores(who));
        let spared = room.members().filter(is_spared).flat_map(|id| self.people.conns_reading(id));
        turn.out.publish(&mut { spared }, &[event(bare)]);
    }

    /// Something besides messages is left out for the slow consumers in a room who would hear it: they are told of that when they
    /// have caught up.
    pub(super) fn leave_out(&mut self, room: RoomId, except: Except, hears: impl Fn(&Person) -> bool) {
        if self.people.lagging().is_empty() {
            return;
        }
        let after = self.rooms[room].last_seq();
        self.miss(room, after, except, hears);
    }

    /// What comes in a room after this message is left out for the slow consumers who would hear it.
    pub(super) fn miss(&mut self, room: RoomId, after: u64, except: Except, hears: impl Fn(&Person) -> bool) {
        for (member, conn) in self.lagging_in(&self.rooms[room]) {
            if !except.holds(member, conn) && self.people.get(member).is_some_and(&hears) {
                self.people.way_mut(conn).into_iter().for_each(|way| way.miss(room, after));
            }
        }
    }

    /// The connections of those in a room who shall hear what `who` says or does there.
    pub(super) fn hearers<'a>(
        &'a self,
        room: &'a Room,
        who: PersonId,
        except: Except,
    ) -> impl Iterator<Item = ConnId> + 'a {
        let lagging = self.lagging_in(room);
        // Nearly always nobody is to be asked whether they want to hear it.
        let all = self.people.get(who).is_some_and(|person| !person.is_ignored());
        let wants = move |id| all || self.people.get(id).is_some_and(|person| !person.ignores(who));
        let ways = move |id| self.people.conns_of(id).map(move |conn| (id, conn));
        let hears = move |way: &(PersonId, ConnId)| !except.holds(way.0, way.1) && lagging.binary_search(way).is_err();
        room.members().filter(move |&id| wants(id)).flat_map(ways).filter(hears).map(|(_, conn)| conn)
    }

    /// The slow consumers in a room, in order. It takes no longer than there are slow consumers, here or elsewhere.
    pub(super) fn lagging_in(&self, room: &Room) -> Vec<(PersonId, ConnId)> {
        let lagging = self.people.lagging();
        if lagging.len() < room.members().len() {
            lagging.iter().copied().filter(|&(who, _)| room.member(who).is_some()).collect()
        } else {
            let of = |id| lagging.range((id, ConnId::FIRST)..).take_while(move |(who, _)| *who == id);
            room.members().flat_map(of).copied().collect()
        }
    }
}
