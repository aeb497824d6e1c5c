//! Talking: rooms and private lines, and what people set about themselves.

use crate::effect::{Effect, Output};
use crate::event::{Change, Done, Event, Fault, Gone, Happening, Logged, Long, Quota, Record, SaidKind, Setting};
use crate::limits;
use crate::names::{ConnId, Nick, Place, RoomName, Text};
use crate::people::{Ignored, Person};
use crate::request::{Named, Target, Topic};
use crate::rooms::RoomId;
use crate::typing::{Key, Line, Shown, Where};

use super::{Hub, Turn};

impl Hub {
    pub(super) fn say_here(
        &mut self,
        id: ConnId,
        kind: SaidKind,
        text: &str,
        turn: &mut Turn<'_, impl Output>,
    ) -> Result<Place, Fault> {
        let place = self.current(id)?;
        self.say(id, place, kind, Text::new(text), turn)
    }

    pub(super) fn say(
        &mut self,
        id: ConnId,
        place: Where,
        kind: SaidKind,
        text: Text,
        turn: &mut Turn<'_, impl Output>,
    ) -> Result<Place, Fault> {
        let named = self.place(place)?;
        match place {
            Where::Room(room) => self.say_in_room(id, room, kind, text, turn)?,
            Where::Person(to) => self.say_to_person(id, to, kind, text, turn)?,
        }
        self.typing.said((id, place));
        Ok(named)
    }

    fn say_in_room(
        &mut self,
        id: ConnId,
        room: RoomId,
        kind: SaidKind,
        text: Text,
        turn: &mut Turn<'_, impl Output>,
    ) -> Result<(), Fault> {
        let from = self.nick(id)?;
        let (seq, at) = (self.rooms[room].last_seq() + 1, turn.now.wall);
        let line = Logged { seq, at, from, kind, text: text.clone() };
        if self.settings.log.is_some() {
            self.keep_line(room, line.clone(), turn.out);
        }
        self.rooms.remember(room, id, line);
        let silent = self.people.get(id).is_some_and(|person| !person.echo).then_some(id);
        let place = Place::Room(self.rooms[room].name);
        let event = Event::Said { place, seq: Some(seq), at, from, kind, text };
        turn.out.publish(&mut self.hearers(&self.rooms[room], id, silent), &[event]);
        if self.people.any_lagging() {
            let missing = |member: &ConnId| {
                Some(*member) != silent
                    && self.people.get(*member).is_some_and(|person| person.is_lagging() && !person.ignores(id))
            };
            let missing: Vec<ConnId> = self.rooms[room].members().filter(missing).collect();
            for member in missing {
                self.rooms.miss(room, member, seq - 1);
            }
        }
        Ok(())
    }

    /// Has a message of a room logged, and with the first one what the room is about.
    fn keep_line(&mut self, room: RoomId, line: Logged, out: &mut impl Output) {
        let was_kept = self.rooms[room].is_kept();
        self.rooms.keep(room);
        if !was_kept && self.rooms[room].topic.is_some() {
            self.keep_topic(room, out);
        }
        out.effect(Effect::Log(Record::Said { room: self.rooms[room].name, line }));
    }

    fn keep_topic(&self, room: RoomId, out: &mut impl Output) {
        let room = &self.rooms[room];
        if room.is_kept() {
            let topic = room.topic.as_ref().map(|(_, topic)| topic.clone());
            out.effect(Effect::Log(Record::Topic { room: room.name, topic }));
        }
    }

    fn say_to_person(
        &mut self,
        id: ConnId,
        to: ConnId,
        kind: SaidKind,
        text: Text,
        turn: &mut Turn<'_, impl Output>,
    ) -> Result<(), Fault> {
        let from = self.nick(id)?;
        let Some(other) = self.people.get(to) else { return Err(Fault::NoTarget) };
        if other.is_lagging() {
            return Err(Fault::Busy(other.nick()));
        }
        let event = |with| Event::Said {
            place: Place::With(with),
            seq: None,
            at: turn.now.wall,
            from,
            kind,
            text: text.clone(),
        };
        if !other.ignores(id) {
            turn.out.publish(&mut std::iter::once(to), &[event(from)]);
        }
        let (who, away) = (other.nick(), other.away().map(|(text, count)| (text.clone(), count)));
        let Some(person) = self.people.get_mut(id) else { return Ok(()) };
        if person.echo && to != id {
            turn.out.answer(id, &event(who));
        }
        let Some((text, count)) = away else { return Ok(()) };
        let told_away = &mut person.rare_mut().told_away;
        if !told_away.contains(&(to, count)) {
            told_away.retain(|(other, _)| *other != to);
            told_away.truncate(limits::AWAY_TOLD - 1);
            told_away.push_front((to, count));
            let text = text.filter(|_| !person.ignores(to));
            let what = Happening::Away(text);
            turn.out.answer(id, &Event::Happened { place: Place::With(who), at: turn.now.wall, who, what });
        }
        Ok(())
    }

    pub(super) fn rename(
        &mut self,
        id: ConnId,
        name: Named<'_, Nick>,
        turn: &mut Turn<'_, impl Output>,
    ) -> Result<Done, Fault> {
        let nick = name.name.ok_or_else(|| Fault::BadNick(Text::new(name.typed)))?;
        if let Some(holder) = self.people.find(&nick).filter(|&holder| holder != id) {
            return Err(Fault::Taken(self.nick(holder)?));
        }
        let limited = self.settings.rate > 0;
        let Some(person) = self.people.get_mut(id) else { return Ok(Done::Nick(nick)) };
        let old = person.nick();
        if old.as_str() == nick.as_str() {
            return Ok(Done::Nick(nick));
        }
        if limited && !person.renames.take(limits::RENAMES, turn.now.tick) {
            return Err(Fault::TooMany(Quota::Renames));
        }
        let rooms = person.rooms.clone();
        self.people.rename(id, nick);
        self.rename_in_files(id, nick, turn.out);
        self.open_presence(turn.now);
        self.presence.went(&old);
        self.presence.came(&nick);
        for room in rooms {
            self.tell_room(room, id, old, &Happening::Renamed(nick), turn);
        }
        Ok(Done::Nick(nick))
    }

    pub(super) fn join(
        &mut self,
        id: ConnId,
        room: Named<'_, RoomName>,
        turn: &mut Turn<'_, impl Output>,
    ) -> Result<Done, Fault> {
        let name = room.name.ok_or_else(|| Fault::BadRoom(Text::new(room.typed)))?;
        let found = self.rooms.find(&name);
        let limited = self.settings.rate > 0;
        let Some(person) = self.people.get_mut(id) else { return Err(Fault::NoRoom) };
        let nick = person.nick();
        let room = match found {
            Some(room) if person.rooms.contains(&room) => room,
            _ => {
                if person.rooms.len() >= limits::ROOMS_A_PERSON {
                    return Err(Fault::TooMany(Quota::RoomsOfPerson));
                }
                if limited && !person.joins.take(limits::JOINS, turn.now.tick) {
                    return Err(Fault::TooMany(Quota::Joins));
                }
                let room = match found {
                    Some(room) => room,
                    None => {
                        self.make_place_for_room(turn)?;
                        self.rooms.create(name)
                    }
                };
                let since = self.next_moment();
                self.rooms.enter(room, id, since);
                if let Some(person) = self.people.get_mut(id) {
                    person.rooms.push(room);
                }
                self.tell_room(room, id, nick, &Happening::Joined, turn);
                room
            }
        };
        if let Some(person) = self.people.get_mut(id) {
            person.current = Some(Where::Room(room));
        }
        Ok(self.show_room(id, room, turn.out))
    }

    pub(super) fn leave(
        &mut self,
        id: ConnId,
        room: Option<Named<'_, RoomName>>,
        reason: Option<&str>,
        turn: &mut Turn<'_, impl Output>,
    ) -> Result<Done, Fault> {
        let room = self.room_or_current(id, room)?;
        let limited = self.settings.rate > 0;
        let Some(person) = self.people.get_mut(id) else { return Err(Fault::NoRoom) };
        if limited && !person.joins.take(limits::JOINS, turn.now.tick) {
            return Err(Fault::TooMany(Quota::Joins));
        }
        person.rooms.retain(|&other| other != room);
        person.current = person.current.filter(|&current| current != Where::Room(room));
        let (nick, name) = (person.nick(), self.rooms[room].name);
        // Later it would be told of a room that it is not in.
        self.tell_missed(id, room, turn);
        self.typing.forget((id, Where::Room(room)));
        self.tell_room(room, id, nick, &Happening::Left(reason.map(Text::new)), turn);
        self.stop_downloads_from(id, room, Fault::Gone(Gone::NoLongerYours), turn.out);
        self.rooms.leave(room, id);
        Ok(Done::Leave(name))
    }

    pub(super) fn query(&mut self, id: ConnId, target: Target<'_>) -> Result<Done, Fault> {
        let place = self.resolve(id, target)?;
        if let Some(person) = self.people.get_mut(id) {
            person.current = Some(place);
        }
        self.place(place).map(Done::Query)
    }

    pub(super) fn topic(
        &mut self,
        id: ConnId,
        room: Option<Named<'_, RoomName>>,
        topic: Topic<'_>,
        turn: &mut Turn<'_, impl Output>,
    ) -> Result<Done, Fault> {
        let room = self.room_or_current(id, room)?;
        let name = self.rooms[room].name;
        let topic = match topic {
            Topic::Read => return Ok(Done::Topic { room: name, topic: self.topic_for(id, room) }),
            Topic::Set(topic) => Some(short_text(Long::Topic, topic)?),
            Topic::Clear => None,
        };
        self.rooms.set_topic(room, topic.clone().map(|topic| (id, topic)));
        self.keep_topic(room, turn.out);
        self.tell_room(room, id, self.nick(id)?, &Happening::Topic(topic.clone()), turn);
        Ok(Done::Topic { room: name, topic })
    }

    /// What a room is about, as far as `viewer` wants to hear of who said so.
    pub(super) fn topic_for(&self, viewer: ConnId, room: RoomId) -> Option<Text> {
        let (by, topic) = self.rooms[room].topic.as_ref()?;
        self.people.get(viewer).filter(|viewer| !viewer.ignores(*by)).map(|_| topic.clone())
    }

    pub(super) fn set_typing(
        &mut self,
        id: ConnId,
        target: Option<Target<'_>>,
        on: bool,
        turn: &mut Turn<'_, impl Output>,
    ) -> Result<Done, Fault> {
        let place = match target {
            Some(target) => self.resolve(id, target)?,
            None => self.current(id)?,
        };
        let named = self.place(place)?;
        if on {
            if let Where::Person(other) = place
                && let Some(other) = self.people.get(other).filter(|other| other.is_lagging())
            {
                return Err(Fault::Busy(other.nick()));
            }
            self.typing.start((id, place), turn.now.tick);
        } else {
            self.typing.stop((id, place));
        }
        self.tell_typing((id, place), turn);
        Ok(Done::Typing { place: named, on })
    }

    /// Tells what is due of somebody's typing, and sees to being called again.
    pub(super) fn tell_typing(&mut self, key: Key, turn: &mut Turn<'_, impl Output>) {
        if let Some(line) = self.typing.due(key, turn.now.tick) {
            match line {
                Line::Typing => {
                    let shown = Shown { at: self.next_moment(), except: self.not_shown(key) };
                    self.publish_typing(key, &shown, &Happening::Typing, turn);
                    self.typing.show(key, shown);
                }
                Line::Idle(shown) => self.publish_typing(key, &shown, &Happening::Idle, turn),
            }
        }
        if let Some(next) = self.typing.next(key) {
            self.alarm(next, super::Alarm::Typing(key.0, key.1));
        }
    }

    fn publish_typing(&self, (who, place): Key, shown: &Shown, what: &Happening, turn: &mut Turn<'_, impl Output>) {
        let Ok(nick) = self.nick(who) else { return };
        let can_hear =
            |person: &Person| !person.is_lagging() && !person.ignores(who) && !shown.except.contains(&person.id);
        let event = |place| Event::Happened { place, at: turn.now.wall, who: nick, what: what.clone() };
        match place {
            Where::Room(room) => {
                let room = &self.rooms[room];
                let was_there = |id: ConnId| room.member(id).is_some_and(|member| member.since < shown.at);
                let mut to = room
                    .members()
                    .filter(|&id| id != who && was_there(id) && self.people.get(id).is_some_and(can_hear));
                turn.out.publish(&mut to, &[event(Place::Room(room.name))]);
            }
            Where::Person(other) => {
                if other != who && self.people.get(other).is_some_and(can_hear) {
                    turn.out.publish(&mut std::iter::once(other), &[event(Place::With(nick))]);
                }
            }
        }
    }

    /// Who is in a conversation and will not be shown that `who` types there.
    fn not_shown(&self, (who, place): Key) -> Vec<ConnId> {
        let cannot_hear =
            |id: &ConnId| self.people.get(*id).is_none_or(|person| person.is_lagging() || person.ignores(who));
        match place {
            Where::Room(room) => self.rooms[room].members().filter(cannot_hear).collect(),
            Where::Person(other) => Some(other).filter(cannot_hear).into_iter().collect(),
        }
    }

    pub(super) fn ignore(&mut self, id: ConnId, whom: Named<'_, Nick>) -> Result<Done, Fault> {
        let other = self.find_person(whom)?;
        let (who, nick) = (other.id, other.nick());
        if who == id {
            return Err(Fault::IgnoreSelf);
        }
        let Some(person) = self.people.get(id) else { return Err(Fault::NoTarget) };
        if person.ignores(who) {
            return Ok(Done::Ignore(nick));
        }
        let is_full = person.ignored().len() >= limits::IGNORED;
        // Whoever is gone can only be heard from in a history.
        let gone = person.ignored().iter().position(|ignored| self.people.get(ignored.who).is_none());
        if is_full && gone.is_none() {
            return Err(Fault::TooMany(Quota::Ignored));
        }
        let Some(ignored) = self.people.get_mut(who).map(Person::to_be_ignored) else { return Err(Fault::NoTarget) };
        let Some(person) = self.people.get_mut(id) else { return Err(Fault::NoTarget) };
        let list = &mut person.rare_mut().ignored;
        if let Some(gone) = gone.filter(|_| is_full) {
            list.remove(gone);
        }
        list.push(ignored);
        Ok(Done::Ignore(nick))
    }

    pub(super) fn unignore(&mut self, id: ConnId, whom: Named<'_, Nick>) -> Result<Done, Fault> {
        let unknown = || Fault::NotIgnored(Text::new(whom.typed));
        let nick = whom.name.ok_or_else(unknown)?;
        let Some(person) = self.people.get_mut(id) else { return Err(unknown()) };
        let named = |ignored: &Ignored| ignored.nick.get() == nick;
        let shown = person.ignored().iter().find(|ignored| named(ignored)).ok_or_else(unknown)?.nick.get();
        person.rare_mut().ignored.retain(|ignored| !named(ignored));
        Ok(Done::Unignore(shown))
    }

    pub(super) fn away(&mut self, id: ConnId, text: Option<&str>) -> Result<Done, Fault> {
        let text = text.map(|text| short_text(Long::Away, text)).transpose()?;
        if let Some(person) = self.people.get_mut(id) {
            let rare = person.rare_mut();
            rare.away = Some(text);
            rare.away_count = rare.away_count.wrapping_add(1);
        }
        Ok(Done::Away)
    }

    pub(super) fn back(&mut self, id: ConnId) -> Done {
        if let Some(person) = self.people.get_mut(id).filter(|person| person.away().is_some()) {
            person.rare_mut().away = None;
        }
        Done::Back
    }

    pub(super) fn set(&mut self, id: ConnId, change: Change, out: &mut impl Output) -> Done {
        let Change { setting, on } = change;
        if let Some(person) = self.people.get_mut(id) {
            match setting {
                Setting::Echo => person.echo = on,
                Setting::Presence => person.presence = on,
                Setting::Stamp => person.stamp = on,
                Setting::Whole => {}
            }
            if matches!(setting, Setting::Stamp | Setting::Whole) {
                out.set(id, change);
            }
        }
        Done::Set(change)
    }
}

/// A text that stands in long lists and so must be short.
fn short_text(what: Long, text: &str) -> Result<Text, Fault> {
    let text = Text::new(text);
    let fits = text.as_str().len() <= limits::TOPIC;
    if fits { Ok(text) } else { Err(Fault::TooLong { what, limit: limits::TOPIC }) }
}
