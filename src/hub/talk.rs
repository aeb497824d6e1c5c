//! Talking: rooms and private lines, and what people set about themselves.

use crate::effect::{Effect, Logged, Output, Record};
use crate::event::{Change, Done, Event, Fault, Gone, Happening, Keeping, Long, Quota, SaidKind, Setting};
use crate::limits;
use crate::names::{ConnId, Nick, Origin, PersonId, Place, RoomName, Text};
use crate::people::{Person, Way};
use crate::policy::{Action, Doing};
use crate::register::{Entry, Founder, Owned, Rule, Rules};
use crate::request::{Named, Target, Topic};
use crate::rooms::RoomId;
use crate::settings::Accounts;
use crate::typing::{Conversation, Notice, Shown, TypingKey};

use super::{Except, Hub, Turn};

impl Hub {
    /// Whether what is said through a connection is for somebody.
    pub fn has_target(&self, conn: ConnId) -> bool {
        self.people.way(conn).is_some_and(|way| way.current.is_some())
    }

    pub(super) fn say_here(
        &mut self,
        kind: SaidKind,
        text: &str,
        turn: &mut Turn<'_, impl Output>,
    ) -> Result<(), Fault> {
        let place = self.current(Doing::Speak, turn)?;
        self.say(place, kind, Text::new(text), turn)
    }

    pub(super) fn say(
        &mut self,
        place: Conversation,
        kind: SaidKind,
        text: Text,
        turn: &mut Turn<'_, impl Output>,
    ) -> Result<(), Fault> {
        match place {
            Conversation::Room(room) => self.say_in_room(room, kind, text, turn)?,
            Conversation::Person(to) => self.say_to_person(to, kind, text, turn)?,
        }
        self.typing.said((turn.who, place));
        Ok(())
    }

    fn say_in_room(
        &mut self,
        room: RoomId,
        kind: SaidKind,
        text: Text,
        turn: &mut Turn<'_, impl Output>,
    ) -> Result<(), Fault> {
        let from = self.nick(turn.who)?;
        let way = self.people.way(turn.conn).ok_or(Fault::NoTarget)?;
        let (origin, silent) = (way.origin, if way.echo { Except::Nobody } else { Except::Conn(turn.conn) });
        let (seq, at) = (self.next_seq(room), turn.now.wall);
        let line = Logged { seq, at, from, kind, text: text.clone() };
        if self.settings.log.is_some() {
            self.keep_line(room, line.clone(), turn.out);
        }
        let is_owned = self.account(turn).is_some();
        self.rooms.remember(room, (turn.who, origin, Some(is_owned)), line);
        self.note_spoken(room, turn.who, turn);
        let place = Place::Room(self.rooms[room].name);
        let event = Event::Said { place, seq: Some(seq), at, from, kind, text };
        turn.out.publish(&mut self.hearers(&self.rooms[room], turn.who, silent), &[event]);
        self.miss(room, seq - 1, silent, |person| !person.ignores(turn.who));
        Ok(())
    }

    /// Has a message of a room logged, and with the first one what the room is about.
    fn keep_line(&mut self, room: RoomId, line: Logged, out: &mut impl Output) {
        let was_kept = self.rooms[room].is_kept();
        self.rooms.keep(room);
        if !was_kept && self.rooms[room].topic.is_some() {
            self.log_topic(room, out);
        }
        out.effect(Effect::Log(Record::Said { room: self.rooms[room].name, line }));
    }

    fn log_topic(&self, room: RoomId, out: &mut impl Output) {
        let room = &self.rooms[room];
        if room.is_kept() {
            let topic = room.topic.as_ref().map(|(_, topic)| topic.clone());
            out.effect(Effect::Log(Record::Topic { room: room.name, topic }));
        }
    }

    /// A room that has or had a founder is remembered when nothing was said in it, and what it is about too.
    pub(super) fn keep_topic(&mut self, room: RoomId, out: &mut impl Output) {
        let room = &self.rooms[room];
        let Some(rules) = self.register().room(&room.name) else { return };
        if matches!(rules.founder(), None | Some(Founder::Guest)) {
            return;
        }
        let topic = room.topic.as_ref().map(|(_, topic)| topic.clone());
        let has_place = rules.topic().is_some() || self.register().lines() < limits::RULES_LINES;
        if rules.topic() != topic.as_ref() && has_place {
            self.note(vec![Entry::Topic { room: room.name, topic }], out);
        }
    }

    /// What a room that is not in memory is about.
    pub(super) fn topic_put_away(&self, name: &RoomName) -> Option<Text> {
        if self.rooms.exists(name) {
            return self.rooms.known_topic(name);
        }
        self.register().room(name).and_then(Rules::topic).cloned()
    }

    fn say_to_person(
        &mut self,
        to: PersonId,
        kind: SaidKind,
        text: Text,
        turn: &mut Turn<'_, impl Output>,
    ) -> Result<(), Fault> {
        let from = self.nick(turn.who)?;
        self.may_reach(to)?;
        self.meet(to, turn);
        let renames = self.people.renames();
        let hearer = self.people.get_mut(to).filter(|other| to != turn.who && !other.ignores(turn.who));
        // An answer to it is meant for whoever said it.
        if hearer.is_some_and(|other| !other.rare_mut().met.met_last(turn.who, renames)) {
            let owner = self.register().owned(&from).map(Owned::ownership);
            let hearer = self.people.get_mut(to);
            hearer.into_iter().for_each(|other| other.rare_mut().met.hear_from(from, (turn.who, owner), renames));
        }
        let Some(other) = self.people.get(to) else { return Err(Fault::NoTarget) };
        let at = turn.now.wall;
        let event = |with| Event::Said { place: Place::With(with), seq: None, at, from, kind, text: text.clone() };
        let away = other.away().map(|(text, count)| (text.clone(), count));
        if !other.ignores(turn.who) {
            self.tell_alone(to, ConnId::NOBODY, &event(from), turn.out);
            self.people.note_unreached(to, turn.who);
        }
        if to != turn.who {
            if self.people.way(turn.conn).is_some_and(|way| way.echo) {
                turn.out.answer(turn.conn, &event(self.nick(to)?));
            }
            if self.people.has_several(turn.who) {
                self.tell_alone(turn.who, turn.conn, &event(self.nick(to)?), turn.out);
            }
        }
        let Some((text, count)) = away else { return Ok(()) };
        let who = self.nick(to)?;
        let Some(person) = self.people.get_mut(turn.who) else { return Ok(()) };
        let told_away = &mut person.rare_mut().told_away;
        if !told_away.contains(&(to, count)) {
            told_away.retain(|(other, _)| *other != to);
            told_away.truncate(limits::AWAY_TOLD - 1);
            told_away.push_front((to, count));
            let text = text.filter(|_| !person.ignores(to));
            let what = Happening::Away(text);
            turn.out.answer(turn.conn, &Event::Happened { place: Place::With(who), at, who, what });
        }
        Ok(())
    }

    /// Somebody writes to a person: they are told if another one had that name when they last did, or were last written to.
    pub(super) fn meet(&mut self, to: PersonId, turn: &mut Turn<'_, impl Output>) {
        let renames = self.people.renames();
        let Some(person) = self.people.get_mut(turn.who).filter(|_| to != turn.who) else { return };
        if person.rare_mut().met.met_last(to, renames) {
            return;
        }
        let Some(nick) = self.people.get(to).map(Person::nick) else { return };
        let owner = self.register().owned(&nick).map(Owned::ownership);
        let Some(person) = self.people.get_mut(turn.who) else { return };
        if person.rare_mut().met.write_to(nick, (to, owner), renames) {
            turn.out.answer(turn.conn, &Event::NameChangedHands(nick));
        }
    }

    pub(super) fn rename(&mut self, name: Named<'_, Nick>, turn: &mut Turn<'_, impl Output>) -> Result<Done, Fault> {
        let bad = |why| Fault::BadNick(Text::new(name.typed), why);
        let nick = name.name.and_then(Nick::allowed).map_err(bad)?;
        self.may_be_called(&nick, turn).map_err(|why| match why {
            Fault::Owned(nick) if self.accounts_here() == Accounts::Off => Fault::OwnedForGood(nick),
            why => why,
        })?;
        let own = self.nick(turn.who)?;
        let (account, stays) = (self.account(turn), |owned: &Nick| owned.is_like(&nick));
        let leaves = account.is_some_and(|owned| !stays(&owned));
        let leaves_others = leaves && self.people.has_several(turn.who);
        // The others are shown so still.
        let left = (leaves_others && own.is_like(&nick)).then_some(turn.who);
        if let Some(holder) = self.people.rival(turn.who, &nick).or(left) {
            return Err(Fault::Taken { nick: nick.into(), holder: self.nick(holder)?.into() });
        }
        if own.as_str() != nick.as_str() {
            // Whoever leaves their other connections behind is in none of the rooms then.
            let rooms = self.people.get(turn.who).filter(|_| !leaves_others).map(|person| person.rooms.as_slice());
            for &room in rooms.unwrap_or_default() {
                self.may(turn.who, Action::Stay(nick, account.filter(stays), self.ruled(room, turn.now)))?;
            }
            if leaves {
                self.may_be_guest(turn)?;
            }
            self.count_rename(turn)?;
            if let Some(owned) = account.filter(|_| leaves && self.accounts_here() == Accounts::Off) {
                turn.out.answer(turn.conn, &Event::NoWayBack(owned));
            }
            if leaves_others {
                self.step_out(turn);
            }
            self.call(turn.who, nick, turn);
        }
        Ok(Done::Nick(nick))
    }

    /// Somebody is called so from now on, which nobody else is.
    pub(super) fn call(&mut self, who: PersonId, nick: Nick, turn: &mut Turn<'_, impl Output>) {
        let Some(person) = self.people.get(who) else { return };
        let (old, rooms) = (person.nick(), person.rooms.clone());
        let left = self.owned_by(person).filter(|owned| self.register().owned(&nick).map(Owned::nick) != Some(*owned));
        self.note_seen(&old, turn);
        self.people.rename(who, nick);
        self.note_was_owner(who, left);
        self.people.conns_of(who).for_each(|conn| turn.out.effect(Effect::NoteNick(conn)));
        self.rename_in_files(who, nick, turn.out);
        self.open_presence(turn.now);
        self.presence.went(&old);
        self.presence.came(&nick);
        for room in rooms {
            self.tell_room(room, who, old, &Happening::Renamed(nick), turn);
        }
    }

    pub(super) fn join(
        &mut self,
        room: Named<'_, RoomName>,
        key: Option<&str>,
        turn: &mut Turn<'_, impl Output>,
    ) -> Result<Done, Fault> {
        let bad = |why| Fault::BadRoom(Text::new(room.typed), why);
        let name = room.name.map_err(bad)?;
        if !self.rooms.exists(&name) {
            name.allowed().map_err(bad)?;
        }
        let found = self.rooms.find(&name);
        let Some(person) = self.people.get(turn.who) else { return Err(Fault::NoRoom) };
        let nick = person.nick();
        let room = match found {
            Some(room) if person.rooms.contains(&room) => room,
            _ => {
                if person.rooms.len() >= limits::ROOMS_A_PERSON {
                    return Err(Fault::TooMany(Quota::RoomsOfPerson));
                }
                self.count_join(turn)?;
                self.may_enter(name, key, turn)?;
                let makes = self.may_make(name, turn)?;
                let room = match found {
                    Some(room) => room,
                    None => {
                        if !self.rooms.exists(&name) {
                            self.count_new_room(turn)?;
                        }
                        self.open_room(name, turn).map_err(Fault::TooMany)?
                    }
                };
                let since = self.next_serial();
                self.rooms.enter(room, turn.who, since);
                if let Some(person) = self.people.get_mut(turn.who) {
                    person.rooms.push(room);
                }
                self.settle_in(room, makes, turn);
                self.tell_room(room, turn.who, nick, &Happening::Joined, turn);
                let name = self.rooms[room].name;
                if self.unkept.contains(&name) {
                    turn.out.answer(turn.conn, &Event::Keeping(Keeping { room: name, kept: false }));
                }
                room
            }
        };
        if let Some(way) = self.people.way_mut(turn.conn) {
            way.current = Some(Conversation::Room(room));
        }
        Ok(self.show_room(room, turn))
    }

    /// The room of this name, which is not in memory: the one in the log, or a new one.
    pub(super) fn open_room(&mut self, name: RoomName, turn: &Turn<'_, impl Output>) -> Result<RoomId, Quota> {
        let is_known = self.rooms.exists(&name);
        let topic = self.topic_put_away(&name).filter(|_| !is_known);
        let name = if is_known { name } else { self.register().room_name(name) };
        let room = self.rooms.open(name, self.origin(turn))?;
        if let Some(topic) = topic {
            self.rooms.set_topic(room, Some((PersonId::NOBODY, topic)));
        }
        Ok(room)
    }

    /// Has a room in memory that takes words from outside, if it was not: in one that has or had a founder nothing need have been said. It is to
    /// be settled.
    pub(super) fn open_to_outside(&mut self, target: Target<'_>, turn: &Turn<'_, impl Output>) -> Option<RoomId> {
        let Target::Room(Named { name: Ok(name), .. }) = target else { return None };
        let rules = self.register().room(&name).filter(|rules| rules.rules().contains(&Rule::Outside(true)))?;
        let is_remembered = self.rooms.exists(&name) || !matches!(rules.founder(), None | Some(Founder::Guest));
        if self.rooms.find(&name).is_some() || !is_remembered {
            return None;
        }
        // Where there is no place for it, it is as if it were not there.
        self.open_room(name, turn).ok()
    }

    pub(super) fn leave(
        &mut self,
        room: Option<Named<'_, RoomName>>,
        reason: Option<&str>,
        turn: &mut Turn<'_, impl Output>,
    ) -> Result<Done, Fault> {
        let room = self.room_or_current(room, Doing::Leave, turn)?;
        self.count_join(turn)?;
        let name = self.rooms[room].name;
        self.go_from(room, reason.map(Text::new), turn)?;
        Ok(Done::Leave(name))
    }

    /// Whether a rename by another door than `/nick` is left to whose turn it is, of so many a minute, if rooms see it.
    pub(super) fn may_be_seen_renamed(&self, most: u32, turn: &Turn<'_, impl Output>) -> Result<(), Fault> {
        let Some(person) = self.seen_by_rooms(turn).filter(|_| self.settings.rate > 0) else { return Ok(()) };
        let left = self.renames.has_left(self.counted(turn), &person.renames, most, turn.now.at);
        if left { Ok(()) } else { Err(Fault::TooMany(Quota::Renames)) }
    }

    /// Counts such a rename.
    pub(super) fn count_seen_rename(&mut self, turn: &Turn<'_, impl Output>) {
        let who = self.counted(turn);
        let is_seen = self.seen_by_rooms(turn).is_some();
        if let Some(person) = self.people.get_mut(turn.who).filter(|_| is_seen) {
            self.renames.count(who, &mut person.renames, turn.now.at);
        }
    }

    /// Whose turn it is, if rooms see what they are called: they are in some, and here by no other connection.
    fn seen_by_rooms(&self, turn: &Turn<'_, impl Output>) -> Option<&Person> {
        let person = self.people.get(turn.who).filter(|person| !person.rooms.is_empty());
        person.filter(|_| !self.people.has_several(turn.who))
    }

    /// Whose turn it is goes from a room that they are in.
    fn go_from(&mut self, room: RoomId, reason: Option<Text>, turn: &mut Turn<'_, impl Output>) -> Result<(), Fault> {
        let (nick, who) = (self.nick(turn.who)?, turn.who);
        let what = self.as_heard(room, who, &Happening::Left(reason), turn);
        if matches!(what, Happening::Left(Some(_))) {
            self.note_spoken(room, who, turn);
        }
        self.end_in_room(room, who, turn);
        self.stop_downloads_from((room, who), |file| file.sender != who, &Fault::Gone(Gone::NoLongerYours), turn);
        self.tell_room(room, who, nick, &what, turn);
        self.tell_late(room, who, &what, turn)?;
        self.leave_room(room, who, turn);
        Ok(())
    }

    /// Whose turn it is is about to be called so, as the owner of the name or as a guest: they go from the rooms in which a ban is for
    /// who they are then, and are told of that.
    pub(super) fn go_where_banned(
        &mut self,
        (nick, owned): (Nick, Option<Nick>),
        turn: &mut Turn<'_, impl Output>,
    ) -> Result<(), Fault> {
        let rooms = self.people.get(turn.who).map(|person| person.rooms.clone()).unwrap_or_default();
        for room in rooms {
            if self.may(turn.who, Action::Stay(nick, owned, self.ruled(room, turn.now))).is_err() {
                let (place, at, who) = (Place::Room(self.rooms[room].name), turn.now.wall, self.nick(turn.who)?);
                self.go_from(room, None, turn)?;
                turn.out.answer(turn.conn, &Event::Happened { place, at, who, what: Happening::Left(None) });
            }
        }
        Ok(())
    }

    /// Counts a rename.
    fn count_rename(&mut self, turn: &Turn<'_, impl Output>) -> Result<(), Fault> {
        let who = self.counted(turn);
        let Some(person) = self.people.get_mut(turn.who).filter(|_| self.settings.rate > 0) else { return Ok(()) };
        let left = self.renames.take(who, &mut person.renames, limits::RENAMES, turn.now.at);
        if left { Ok(()) } else { Err(Fault::TooMany(Quota::Renames)) }
    }

    /// Counts a join or a leave.
    fn count_join(&mut self, turn: &Turn<'_, impl Output>) -> Result<(), Fault> {
        let who = self.counted(turn);
        let Some(person) = self.people.get_mut(turn.who).filter(|_| self.settings.rate > 0) else { return Ok(()) };
        let left = self.joins.take(who, &mut person.joins, limits::JOINS, turn.now.at);
        if left { Ok(()) } else { Err(Fault::TooMany(Quota::Joins)) }
    }

    /// Counts a new room.
    fn count_new_room(&mut self, turn: &Turn<'_, impl Output>) -> Result<(), Fault> {
        let who = self.counted(turn);
        let Some(person) = self.people.get_mut(turn.who).filter(|_| self.settings.rate > 0) else { return Ok(()) };
        let left = self.new_rooms.take(who, &mut person.rare_mut().new_rooms, limits::NEW_ROOMS, turn.now.at);
        if left { Ok(()) } else { Err(Fault::TooMany(Quota::NewRooms)) }
    }

    /// The network that it comes from whose turn it is.
    pub(super) fn origin(&self, turn: &Turn<'_, impl Output>) -> Origin {
        self.people.way(turn.conn).map_or(Origin::Loopback, |way| way.origin)
    }

    pub(super) fn query(&mut self, target: Target<'_>, turn: &mut Turn<'_, impl Output>) -> Result<Done, Fault> {
        let place = self.resolve(target, Doing::Read, turn)?;
        if let Conversation::Person(to) = place {
            self.meet(to, turn);
        }
        if let Some(way) = self.people.way_mut(turn.conn) {
            way.current = Some(place);
        }
        self.place(place).map(Done::Query)
    }

    pub(super) fn topic(
        &mut self,
        room: Option<Named<'_, RoomName>>,
        topic: Topic<'_>,
        turn: &mut Turn<'_, impl Output>,
    ) -> Result<Done, Fault> {
        let doing = if topic == Topic::Read { Doing::Read } else { Doing::SetTopic };
        let room = self.room_or_current(room, doing, turn)?;
        let name = self.rooms[room].name;
        let topic = match topic {
            Topic::Read => return Ok(Done::Topic { room: name, topic: self.topic_for(turn.who, room) }),
            Topic::Set(topic) => Some(short_text(Long::Topic, topic)?),
            Topic::Clear => None,
        };
        self.rooms.set_topic(room, topic.clone().map(|topic| (turn.who, topic)));
        self.log_topic(room, turn.out);
        self.keep_topic(room, turn.out);
        self.tell_room(room, turn.who, self.nick(turn.who)?, &Happening::Topic(topic.clone()), turn);
        self.note_spoken(room, turn.who, turn);
        Ok(Done::Topic { room: name, topic })
    }

    /// What a room is about, as far as `viewer` wants to hear of who said so.
    pub(super) fn topic_for(&self, viewer: PersonId, room: RoomId) -> Option<Text> {
        let (by, topic) = self.rooms[room].topic.as_ref()?;
        let is_ignored = self.people.get(viewer).is_some_and(|viewer| viewer.ignores(*by));
        (!is_ignored).then(|| topic.clone())
    }

    pub(super) fn set_typing(
        &mut self,
        target: Option<Target<'_>>,
        on: bool,
        turn: &mut Turn<'_, impl Output>,
    ) -> Result<Done, Fault> {
        let doing = if on { Doing::Show } else { Doing::Read };
        let place = match target {
            Some(target) => self.resolve(target, doing, turn)?,
            None => self.current(doing, turn)?,
        };
        let named = self.place(place)?;
        if on {
            if let Conversation::Person(other) = place {
                self.may_reach(other)?;
            }
            self.typing.start((turn.who, place), turn.conn, turn.now.at);
        } else {
            self.typing.stop((turn.who, place));
        }
        self.tell_typing((turn.who, place), turn);
        Ok(Done::Typing { place: named, on })
    }

    /// Tells what is due of somebody's typing, and sees to being called again.
    pub(super) fn tell_typing(&mut self, key: TypingKey, turn: &mut Turn<'_, impl Output>) {
        if let Some(line) = self.typing.due(key, turn.now.at) {
            match line {
                Notice::Typing(by) => {
                    let shown = Shown { serial: self.next_serial(), by, except: self.not_shown(key) };
                    if shown.except.len() <= limits::TYPING_UNHEARD {
                        self.publish_typing(key, &shown, &Happening::Typing, turn);
                        self.typing.show(key, shown);
                    }
                }
                Notice::Idle(shown) => {
                    if let (who, Conversation::Room(room)) = key {
                        self.leave_out_idle(room, who, &shown);
                    }
                    self.publish_typing(key, &shown, &Happening::Idle, turn);
                }
            }
        }
        if let Some(next) = self.typing.next_alarm(key, turn.now.at) {
            self.alarm(next, super::Alarm::Typing(key.0, key.1));
        }
    }

    fn publish_typing(
        &self,
        (who, place): TypingKey,
        shown: &Shown,
        what: &Happening,
        turn: &mut Turn<'_, impl Output>,
    ) {
        let Ok(nick) = self.nick(who) else { return };
        let ways = |id: PersonId| self.people.get(id).into_iter().flat_map(|person| self.shown_to(person, who, shown));
        let reading = |id: PersonId| ways(id).filter(|way| !way.is_lagging()).map(|way| way.conn);
        let event = |place| Event::Happened { place, at: turn.now.wall, who: nick, what: what.clone() };
        match place {
            Conversation::Room(room) => {
                let room = &self.rooms[room];
                let was_there = |id: PersonId| room.member(id).is_some_and(|member| member.since < shown.serial);
                let to = room.members().filter(|&id| was_there(id)).flat_map(reading);
                turn.out.publish(&mut { to }, &[event(Place::Room(room.name))]);
            }
            Conversation::Person(other) => {
                if other != who {
                    turn.out.publish(&mut reading(other), &[event(Place::With(nick))]);
                    if let Some(person) = self.people.get(other).filter(|_| self.people.has_several(who)) {
                        turn.out.publish(&mut reading(who), &[event(Place::With(person.nick()))]);
                    }
                }
            }
        }
    }

    /// A connection of somebody is about to be theirs no more: what they type by it they type no more.
    pub(super) fn stop_typing_by(&mut self, who: PersonId, conn: ConnId, turn: &mut Turn<'_, impl Output>) {
        for key in self.typing.stop_by(who, conn) {
            self.tell_typing(key, turn);
        }
    }

    /// The ways in of somebody that want the lines of which `shown` tells, and were not passed over, as far as this can be known
    /// without the room.
    fn shown_to<'a>(&'a self, person: &'a Person, who: PersonId, shown: &Shown) -> impl Iterator<Item = &'a Way> {
        let ways = self.people.ways(person).filter(move |_| !person.ignores(who));
        let wants = |way: &&Way| way.conn != shown.by && way.wants_typing(shown.serial);
        ways.filter(move |way| wants(way) && !shown.except.contains(&way.conn))
    }

    /// The connections of those in a conversation that will not be shown that `who` types there.
    fn not_shown(&self, (who, place): TypingKey) -> Vec<ConnId> {
        let cannot_hear = |id: PersonId| {
            let person = self.people.get(id);
            let ways =
                person.into_iter().flat_map(move |person| self.people.ways(person).map(move |way| (person, way)));
            ways.filter(move |(person, way)| way.is_lagging() || person.ignores(who)).map(|(_, way)| way.conn)
        };
        match place {
            Conversation::Room(room) => self.rooms[room].members().flat_map(cannot_hear).collect(),
            Conversation::Person(other) => cannot_hear(other).chain(cannot_hear(who)).collect(),
        }
    }

    /// The slow consumers who were shown that `who` types in a room are not told that it has ended.
    fn leave_out_idle(&mut self, room: RoomId, who: PersonId, shown: &Shown) {
        let after = self.rooms[room].last_seq();
        for (member, conn) in self.lagging_in(&self.rooms[room]) {
            let person = self.people.get(member);
            let was_shown = person.is_some_and(|person| self.shown_to(person, who, shown).any(|way| way.conn == conn));
            if let Some(way) = self.people.way_mut(conn).filter(|_| was_shown) {
                way.miss(room, after);
            }
        }
    }

    pub(super) fn ignore(&mut self, whom: Named<'_, Nick>, turn: &mut Turn<'_, impl Output>) -> Result<Done, Fault> {
        let other = self.find_person(whom, turn)?;
        let (who, nick) = (other.id, other.nick());
        self.may(turn.who, Action::Ignore(other))?;
        let Some(person) = self.people.get(turn.who) else { return Err(Fault::NoTarget) };
        if person.ignores(who) {
            return Ok(Done::Ignore(nick));
        }
        let is_full = person.ignored().len() >= limits::IGNORED;
        // Whoever is gone can only be heard from in a history.
        let gone = person.ignored().iter().position(|ignored| self.people.get(ignored.who).is_none());
        if is_full && gone.is_none() {
            return Err(Fault::TooMany(Quota::Ignored));
        }
        self.meet(who, turn);
        let Some(ignored) = self.people.get_mut(who).map(Person::to_be_ignored) else { return Err(Fault::NoTarget) };
        let Some(person) = self.people.get_mut(turn.who) else { return Err(Fault::NoTarget) };
        let list = &mut person.rare_mut().ignored;
        if let Some(gone) = gone.filter(|_| is_full) {
            list.remove(gone);
        }
        list.push(ignored);
        Ok(Done::Ignore(nick))
    }

    pub(super) fn unignore(&mut self, whom: Named<'_, Nick>, turn: &Turn<'_, impl Output>) -> Result<Done, Fault> {
        let unknown = || Fault::NotIgnored(Text::new(whom.typed));
        let nick = whom.name.map_err(|_| unknown())?;
        let Some(person) = self.people.get_mut(turn.who) else { return Err(unknown()) };
        // As everywhere, the same name goes before one that looks like it.
        let find = |is_meant: fn(&Nick, &Nick) -> bool| {
            person.ignored().iter().map(|ignored| ignored.nick.get()).find(|known| is_meant(known, &nick))
        };
        let shown = find(Nick::eq).or_else(|| find(Nick::is_like)).ok_or_else(unknown)?;
        person.rare_mut().ignored.retain(|ignored| ignored.nick.get() != shown);
        Ok(Done::Unignore(shown))
    }

    pub(super) fn away(&mut self, text: Option<&str>, turn: &Turn<'_, impl Output>) -> Result<Done, Fault> {
        let text = text.map(|text| short_text(Long::Away, text)).transpose()?;
        if let Some(person) = self.people.get_mut(turn.who) {
            let rare = person.rare_mut();
            rare.away = Some(text);
            rare.away_count = rare.away_count.wrapping_add(1);
        }
        Ok(Done::Away)
    }

    pub(super) fn back(&mut self, turn: &Turn<'_, impl Output>) -> Done {
        if let Some(person) = self.people.get_mut(turn.who).filter(|person| person.away().is_some()) {
            person.rare_mut().away = None;
        }
        Done::Back
    }

    pub(super) fn set(&mut self, change: Change, turn: &mut Turn<'_, impl Output>) -> Done {
        let Change { setting, on } = change;
        let serial = self.next_serial();
        if let Some(way) = self.people.way_mut(turn.conn) {
            match setting {
                Setting::Echo => way.echo = on,
                Setting::Presence => way.presence = on,
                Setting::Stamp => way.stamp = on,
                Setting::Typing => way.set_typing(on.then_some(serial)),
                Setting::Whole => {}
            }
            if matches!(setting, Setting::Stamp | Setting::Whole) {
                turn.out.set(turn.conn, change);
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
