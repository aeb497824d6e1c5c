//! The people who are online: what they are called, what they have set, and through which connections they are here.

mod met;
mod way;

use std::cell::Cell;
use std::collections::{BTreeSet, HashMap, VecDeque};
use std::rc::Rc;

use crate::limits;
use crate::meters::FixedWindow;
use crate::names::{ConnId, KeptNick, Nick, Origin, PersonId, Text, Was, Wire};
use crate::nametable::NameTable;
use crate::rooms::RoomId;
use crate::time::Instant;
use met::Met;
use way::Lag;
pub use way::{Download, Intake, Reread, Way};

/// Somebody who is ignored.
#[derive(Debug)]
pub struct Ignored {
    /// Who it is, even when they are gone, for they may stand in a history.
    pub who: PersonId,
    /// What they are called, or were when they left.
    pub nick: Rc<Cell<Nick>>,
}

/// Somebody who is online.
#[derive(Debug)]
pub struct Person {
    /// Who they are, whatever they are called.
    pub id: PersonId,
    nick: KeptNick,
    /// The rooms they are in, in the order of joining.
    pub rooms: Vec<RoomId>,
    /// What most people do without, so that they need no memory for it.
    rare: Option<Box<Rare>>,
    /// When they last said, sent or set something.
    pub active: Instant,
    /// Renames of theirs alone, in a window of a minute.
    pub renames: FixedWindow,
    /// Joins and leaves of theirs alone, in a window of a minute.
    pub joins: FixedWindow,
    /// Their eldest way in.
    way: Way,
}

/// What only some people need.
#[derive(Debug, Default)]
pub struct Rare {
    /// What they say while away, if they are.
    pub away: Option<Option<Text>>,
    /// Which time of being away this is.
    pub away_count: u32,
    /// Who told this person lately that they are away, and which time of being away that was.
    pub told_away: VecDeque<(PersonId, u32)>,
    /// Whom they ignore.
    pub ignored: Vec<Ignored>,
    /// What they are called, for those who ignore them, so that a rename is followed.
    known_as: Option<Rc<Cell<Nick>>>,
    /// Whom they wrote to, and who wrote to them.
    pub met: Met,
    /// Rooms that they made, invitations of theirs, and wrong keys of rooms, in windows of a minute.
    pub new_rooms: FixedWindow,
    /// See [`Rare::new_rooms`].
    pub invitations: FixedWindow,
    /// See [`Rare::new_rooms`].
    pub wrong_keys: FixedWindow,
    /// How many things they have set up in rooms.
    pub rules_added: u32,
    /// Whom they were before, the latest last.
    was: Vec<Was>,
}

impl Person {
    /// What they are called.
    #[inline]
    pub fn nick(&self) -> Nick {
        self.nick.get()
    }

    /// The network that their eldest way in comes from.
    pub fn origin(&self) -> Origin {
        self.way.origin
    }

    /// What only some people need; from now on this person does.
    #[inline]
    pub fn rare_mut(&mut self) -> &mut Rare {
        self.rare.get_or_insert_default()
    }

    /// Wrong keys of rooms of theirs, in a window of a minute.
    pub fn wrong_keys(&self) -> FixedWindow {
        self.rare.as_ref().map(|rare| rare.wrong_keys).unwrap_or_default()
    }

    /// How many things they have set up in rooms.
    pub fn rules_added(&self) -> u32 {
        self.rare.as_ref().map(|rare| rare.rules_added).unwrap_or_default()
    }

    /// Whom they were before, as far as bans may go on for them.
    pub fn was(&self) -> &[Was] {
        self.rare.as_ref().map(|rare| rare.was.as_slice()).unwrap_or_default()
    }

    /// They were this before, too.
    pub fn note_was(&mut self, was: Was) {
        let all = &mut self.rare_mut().was;
        all.retain(|known| *known != was);
        if all.len() >= limits::WAS {
            all.remove(0);
        }
        all.push(was);
    }

    /// This name is nobody's any more, and so whoever has it next is somebody else.
    pub fn forget_was(&mut self, is_lost: impl Fn(&Nick) -> bool) {
        if let Some(rare) = &mut self.rare {
            rare.was.retain(|was| !matches!(was, Was::Owner(nick) if is_lost(&nick.get())));
        }
    }

    /// What they say while away and which time of being away this is, if they are.
    pub fn away(&self) -> Option<(&Option<Text>, u32)> {
        let rare = self.rare.as_ref()?;
        rare.away.as_ref().map(|text| (text, rare.away_count))
    }

    /// Takes those who have said something to them in private that has reached nobody since their only connection was lost.
    pub fn take_unreached(&mut self) -> Vec<PersonId> {
        self.way.take_unreached().unwrap_or_default()
    }

    /// Whom they ignore.
    pub fn ignored(&self) -> &[Ignored] {
        self.rare.as_ref().map(|rare| rare.ignored.as_slice()).unwrap_or_default()
    }

    /// An entry for the list of those whom somebody ignores.
    pub fn to_be_ignored(&mut self) -> Ignored {
        let (who, nick) = (self.id, self.nick());
        let known_as = self.rare_mut().known_as.get_or_insert_with(|| Rc::new(Cell::new(nick)));
        Ignored { who, nick: Rc::clone(known_as) }
    }

    /// Whether they do not want to hear of `who`.
    pub fn ignores(&self, who: PersonId) -> bool {
        self.ignored().iter().any(|ignored| ignored.who == who)
    }

    /// Whether anybody does not want to hear of them.
    pub fn is_ignored(&self) -> bool {
        let known_as = self.rare.as_ref().and_then(|rare| rare.known_as.as_ref());
        known_as.is_some_and(|known_as| Rc::strong_count(known_as) > 1)
    }
}

/// Everybody who is online, by ID, by connection and by name.
#[derive(Debug, Default)]
pub struct People {
    /// By the slot of the person.
    people: Vec<Option<Box<Person>>>,
    /// By the slot of the person, the connection of their eldest way in. It stands apart, as a fan-out needs no more.
    conns: Vec<ConnId>,
    /// The other ways in of those who have several, in the order in which they came.
    others: HashMap<PersonId, Vec<Way>>,
    /// By the slot of the connection, the slot of the person who is here through it. It says nothing of a connection that is no
    /// way in of that person.
    by_conn: Vec<u32>,
    /// Slots of people that are free.
    free: Vec<u32>,
    generation: u32,
    renames: u64,
    by_nick: NameTable<PersonId>,
    /// Guest numbers below `next_guest` that are free; some of them may have been taken by choice.
    free_guests: BTreeSet<u64>,
    next_guest: u64,
    lagging: BTreeSet<(PersonId, ConnId)>,
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

    /// How often somebody who was online has been renamed, or has made their name theirs.
    pub fn renames(&self) -> u64 {
        self.renames
    }

    /// Somebody who is online has made their name theirs.
    pub fn made_theirs(&mut self) {
        self.renames += 1;
    }

    /// This person, if they are online.
    pub fn get(&self, who: PersonId) -> Option<&Person> {
        self.people.get(who.slot())?.as_deref().filter(|person| person.id == who)
    }

    /// This person, if they are online, to be changed in all but name and lag.
    pub fn get_mut(&mut self, who: PersonId) -> Option<&mut Person> {
        self.people.get_mut(who.slot())?.as_deref_mut().filter(|person| person.id == who)
    }

    /// Who is here through this connection.
    pub fn at(&self, conn: ConnId) -> Option<&Person> {
        self.people.get(self.slot_at(conn)?)?.as_deref()
    }

    #[inline]
    fn slot_at(&self, conn: ConnId) -> Option<usize> {
        let slot = *self.by_conn.get(conn.slot())? as usize;
        let is_way =
            || self.people.get(slot)?.as_deref().filter(|person| self.ways(person).any(|way| way.conn == conn));
        (self.conns.get(slot) == Some(&conn) || is_way().is_some()).then_some(slot)
    }

    /// The way in through this connection.
    #[inline]
    pub fn way(&self, conn: ConnId) -> Option<&Way> {
        let person = self.at(conn)?;
        let first = Some(&person.way).filter(|way| way.conn == conn);
        first.or_else(|| self.others_of(person.id).iter().find(|way| way.conn == conn))
    }

    /// The way in through this connection, to be changed in all but lag.
    pub fn way_mut(&mut self, conn: ConnId) -> Option<&mut Way> {
        let slot = self.slot_at(conn)?;
        let person = self.people.get_mut(slot)?.as_deref_mut()?;
        if person.way.conn == conn {
            return Some(&mut person.way);
        }
        self.others.get_mut(&person.id)?.iter_mut().find(|way| way.conn == conn)
    }

    /// The ways in of somebody, the eldest first.
    #[inline]
    pub fn ways<'a>(&'a self, person: &'a Person) -> impl Iterator<Item = &'a Way> {
        std::iter::once(&person.way).chain(self.others_of(person.id))
    }

    /// The ways in of somebody, to be changed in all but lag.
    fn ways_mut(&mut self, who: PersonId) -> impl Iterator<Item = &mut Way> {
        let first = self.people.get_mut(who.slot()).and_then(Option::as_deref_mut).filter(|person| person.id == who);
        first.map(|person| &mut person.way).into_iter().chain(self.others.get_mut(&who).into_iter().flatten())
    }

    #[inline]
    fn others_of(&self, who: PersonId) -> &[Way] {
        // Nearly always nobody has several.
        if self.others.is_empty() { &[] } else { self.others.get(&who).map(Vec::as_slice).unwrap_or_default() }
    }

    /// The connections of somebody who is online, the eldest first; of anybody else they are none.
    #[inline]
    pub fn conns_of(&self, who: PersonId) -> impl Iterator<Item = ConnId> + '_ {
        let first = self.conns.get(who.slot()).copied().filter(|&conn| conn != ConnId::NOBODY);
        first.into_iter().chain(self.others_of(who).iter().map(|way| way.conn))
    }

    /// The connections of somebody that are no slow consumers.
    #[inline]
    pub fn conns_reading(&self, who: PersonId) -> impl Iterator<Item = ConnId> + '_ {
        let first = self.get(who).map(|person| &person.way);
        first.into_iter().chain(self.others_of(who)).filter(|way| !way.is_lagging()).map(|way| way.conn)
    }

    /// Whether something that is for somebody alone can be told them.
    #[inline]
    pub fn is_reading(&self, who: PersonId) -> bool {
        self.get(who).is_some_and(|person| self.ways(person).any(|way| !way.is_lagging()))
    }

    /// Something that is for somebody alone is left out for those of their connections that are slow consumers, but for one.
    pub fn leave_out_private(&mut self, who: PersonId, except: ConnId) {
        if self.lagging.is_empty() {
            return;
        }
        for way in self.ways_mut(who).filter(|way| way.conn != except && way.is_lagging()) {
            way.rare_mut().missed_private = true;
        }
    }

    /// Somebody says something to somebody in private. It is noted who, if all connections that could take it are lost.
    pub fn note_unreached(&mut self, to: PersonId, from: PersonId) {
        let is_reached = |way: &Way| !way.is_lagging() && way.lost().is_none();
        if self.get(to).is_none_or(|person| self.ways(person).any(is_reached)) {
            return;
        }
        for senders in self.unreached(to).filter(|senders| !senders.contains(&from)) {
            senders.push(from);
        }
    }

    /// Whether what `from` said to somebody in private waits for a connection that is lost and may be taken up.
    pub fn may_reach_later(&self, who: PersonId, from: PersonId) -> bool {
        let waits = |way: &Way| {
            let unreached = way.rare.as_ref().and_then(|rare| rare.unreached.as_ref());
            unreached.is_some_and(|senders| senders.contains(&from))
        };
        self.get(who).is_some_and(|person| self.ways(person).any(waits))
    }

    /// One of the connections of somebody that were lost has been taken up, and so all that was said to them in private has reached
    /// them.
    pub fn forget_unreached(&mut self, who: PersonId) {
        self.unreached(who).for_each(Vec::clear);
    }

    /// Of each connection of somebody that is lost, who has said something to them in private.
    fn unreached(&mut self, who: PersonId) -> impl Iterator<Item = &mut Vec<PersonId>> {
        self.ways_mut(who).filter_map(|way| way.rare.as_mut()?.unreached.as_mut())
    }

    /// Whether somebody is here through several connections.
    pub fn has_several(&self, who: PersonId) -> bool {
        !self.others_of(who).is_empty()
    }

    /// Whoever has this name, or else one that looks like it.
    pub fn find(&self, nick: &Nick) -> Option<PersonId> {
        self.by_nick.find(nick, |who| self.get(who).map(Person::nick))
    }

    /// Whoever keeps `who` from this name: they have it, or one that looks like it.
    pub fn rival(&self, who: PersonId, nick: &Nick) -> Option<PersonId> {
        let like = self.by_nick.like(nick, |who| self.get(who).map(Person::nick));
        like.into_iter().find(|&other| other != who)
    }

    /// Everybody who is online, in the order of their slots, which means nothing.
    pub fn iter(&self) -> impl Iterator<Item = &Person> {
        self.people.iter().flatten().map(|person| &**person)
    }

    /// The ways in of everybody.
    pub fn all_ways(&self) -> impl Iterator<Item = &Way> {
        self.iter().flat_map(|person| self.ways(person))
    }

    /// The connections of everybody.
    pub fn conns(&self) -> impl Iterator<Item = ConnId> + '_ {
        let others = self.others.values().flatten().map(|way| way.conn);
        self.conns.iter().copied().filter(|&conn| conn != ConnId::NOBODY).chain(others)
    }

    /// Whether somebody of this name is online and shown exactly so.
    pub fn is_online(&self, name: &KeptNick) -> bool {
        self.find(&name.get()).and_then(|who| self.get(who)).is_some_and(|person| person.nick == *name)
    }

    /// Lets somebody in through a connection, under the smallest guest name that is free.
    pub fn enter(&mut self, conn: ConnId, origin: Origin, wire: Wire, now: Instant) -> PersonId {
        self.admit(Way::new(conn, origin, wire), now)
    }

    /// Makes somebody of a way in, under the smallest guest name that is free.
    fn admit(&mut self, way: Way, now: Instant) -> PersonId {
        let nick = self.guest_name();
        let slot = self.free.pop().unwrap_or_else(|| {
            self.people.push(None);
            self.conns.push(ConnId::NOBODY);
            // People are bounded by connections, which are far fewer than 2^32.
            u32::try_from(self.people.len() - 1).unwrap_or(u32::MAX)
        });
        self.generation = self.generation.wrapping_add(1);
        let id = PersonId::new(slot, self.generation);
        let conn = way.conn;
        let person = Person {
            id,
            nick: nick.into(),
            rooms: Vec::new(),
            rare: None,
            active: now,
            renames: FixedWindow::default(),
            joins: FixedWindow::default(),
            way,
        };
        self.people[id.slot()] = Some(Box::new(person));
        self.conns[id.slot()] = conn;
        self.note_conn(conn, id);
        self.list(id, &nick);
        id
    }

    fn note_conn(&mut self, conn: ConnId, who: PersonId) {
        if self.by_conn.len() <= conn.slot() {
            self.by_conn.resize(conn.slot() + 1, u32::MAX);
        }
        self.by_conn[conn.slot()] = who.slot_kept();
    }

    /// Takes a way in from somebody who has others.
    pub fn take_way(&mut self, conn: ConnId) -> Option<Way> {
        let slot = self.slot_at(conn)?;
        let person = self.people.get_mut(slot)?.as_deref_mut()?;
        let others = self.others.get_mut(&person.id)?;
        let at = others.iter().position(|way| way.conn == conn);
        let way = others.remove(at.unwrap_or(0));
        if others.is_empty() {
            self.others.remove(&person.id);
        }
        self.lagging.remove(&(person.id, conn));
        if at.is_some() {
            return Some(way);
        }
        self.conns[slot] = way.conn;
        Some(std::mem::replace(&mut person.way, way))
    }

    /// Makes somebody of their own of a way in of somebody who has others, under a guest name. They are in no room, and slow if
    /// the way in was.
    pub fn split(&mut self, conn: ConnId, now: Instant) -> Option<PersonId> {
        let before = self.at(conn).map(|person| (person.id, person.was().to_vec()));
        let way = self.take_way(conn)?;
        let is_lagging = way.is_lagging();
        let who = self.admit(way, now);
        if is_lagging {
            self.lagging.insert((who, conn));
        }
        if let Some(((before, was), person)) = before.zip(self.get_mut(who)) {
            was.into_iter().chain([Was::Person(before)]).for_each(|was| person.note_was(was));
        }
        Some(who)
    }

    /// Makes the only way in of somebody one of somebody else, and gives who is here no more: their ID, name and rooms.
    pub fn merge(&mut self, conn: ConnId, into: PersonId) -> Option<(PersonId, Nick, Vec<RoomId>)> {
        let gone = self.at(conn).map(|person| person.id).filter(|&who| who != into && !self.has_several(who))?;
        self.get(into)?;
        let Person { id, nick, rooms, way, .. } = *self.leave(gone)?;
        if way.is_lagging() {
            self.lagging.insert((into, conn));
        }
        self.others.entry(into).or_default().push(way);
        self.note_conn(conn, into);
        Some((id, nick.get(), rooms))
    }

    /// Makes somebody found by the name that they have now.
    fn list(&mut self, who: PersonId, nick: &Nick) {
        let Self { people, by_nick, .. } = self;
        let nick_of = |who: PersonId| people.get(who.slot())?.as_deref().map(Person::nick);
        by_nick.insert(who, nick, nick_of);
    }

    /// Takes somebody out, with all of their ways in.
    pub fn leave(&mut self, who: PersonId) -> Option<Box<Person>> {
        self.get(who)?;
        let person = self.people.get_mut(who.slot())?.take()?;
        let others = self.others.remove(&who).unwrap_or_default();
        for way in std::iter::once(&person.way).chain(&others) {
            self.lagging.remove(&(who, way.conn));
        }
        self.conns[who.slot()] = ConnId::NOBODY;
        self.free.push(who.slot_kept());
        self.by_nick.remove(who, &person.nick());
        self.free_guests(&person.nick());
        Some(person)
    }

    /// Gives somebody a name of which they have no [rival](Self::rival).
    pub fn rename(&mut self, who: PersonId, nick: Nick) {
        let Some(old) = self.get(who).map(Person::nick) else { return };
        self.by_nick.remove(who, &old);
        self.renames += 1;
        let Some(person) = self.get_mut(who) else { return };
        person.nick = nick.into();
        if let Some(known_as) = person.rare.as_ref().and_then(|rare| rare.known_as.as_ref()) {
            known_as.set(nick);
        }
        self.list(who, &nick);
        self.free_guests(&old);
        for number in nick.guest_numbers() {
            self.free_guests.remove(&number);
        }
    }

    /// Notes that a connection is a slow consumer.
    pub fn lag(&mut self, conn: ConnId) {
        let Some(who) = self.at(conn).map(|person| person.id) else { return };
        if let Some(way) = self.way_mut(conn).filter(|way| !way.is_lagging()) {
            way.lag = Lag::Lagging;
            self.lagging.insert((who, conn));
        }
    }

    /// Notes that a connection has read all; `true` if presence was left out for it meanwhile.
    pub fn catch_up(&mut self, conn: ConnId) -> bool {
        let Some(who) = self.at(conn).map(|person| person.id) else { return false };
        let Some(way) = self.way_mut(conn).filter(|way| way.is_lagging()) else { return false };
        let lag = std::mem::replace(&mut way.lag, Lag::None);
        self.lagging.remove(&(who, conn));
        lag == Lag::MissingPresence
    }

    /// Notes that presence is left out for slow consumers.
    pub fn leave_out_presence(&mut self) {
        let lagging: Vec<ConnId> = self.lagging.iter().map(|(_, conn)| *conn).collect();
        for conn in lagging {
            self.way_mut(conn).into_iter().for_each(|way| way.lag = Lag::MissingPresence);
        }
    }

    /// The slow consumers.
    pub fn lagging(&self) -> &BTreeSet<(PersonId, ConnId)> {
        &self.lagging
    }

    /// The smallest guest name that is free, for somebody who takes it at once.
    pub fn guest_name(&mut self) -> Nick {
        loop {
            let number = self.free_guests.pop_first().unwrap_or_else(|| {
                self.next_guest += 1;
                self.next_guest
            });
            // Somebody may have chosen a name that looks so; it comes back when they let go of it, and is passed over once.
            if let Some(nick) = Nick::guest(number).filter(|nick| self.find(nick).is_none()) {
                return nick;
            }
        }
    }

    /// Nobody has this name any more, and guests may be called so again.
    fn free_guests(&mut self, nick: &Nick) {
        self.free_guests.extend(nick.guest_numbers().into_iter().filter(|&n| 0 < n && n <= self.next_guest));
    }

    /// Panics unless all that is kept twice agrees; for tests.
    pub fn check(&self) {
        assert_eq!(self.iter().count(), self.by_nick.len());
        assert_eq!(self.conns().count(), self.all_ways().count());
        assert_eq!(self.people.len(), self.by_nick.len() + self.free.len());
        for person in self.iter() {
            assert_eq!(self.find(&person.nick()), Some(person.id));
            assert_eq!(
                self.rival(person.id, &person.nick()),
                None,
                "{:?} is not the only one who looks so",
                person.nick()
            );
            assert!(self.ways(person).count() <= limits::WAYS, "too many ways in");
            for (way, conn) in self.ways(person).zip(self.conns_of(person.id)) {
                assert_eq!(way.conn, conn);
                assert_eq!(self.at(conn).map(|at| at.id), Some(person.id));
            }
        }
        let is_theirs = |(who, ways): (&PersonId, &Vec<Way>)| self.get(*who).is_some() && !ways.is_empty();
        assert!(self.others.iter().all(is_theirs), "a way in of nobody");
        let ways = self.iter().flat_map(|person| self.ways(person).map(|way| (person.id, way)));
        let lagging = ways.filter(|(_, way)| way.is_lagging()).map(|(who, way)| (who, way.conn));
        assert_eq!(lagging.collect::<BTreeSet<_>>(), self.lagging);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn guests_get_the_smallest_free_number() {
        let mut people = People::default();
        let conn = |n| ConnId::new(n, 0);
        let enter = |people: &mut People, n| {
            let who = people.enter(conn(n), Origin::Loopback, Wire::Secure, Instant::START);
            people.get(who).unwrap().nick().to_string()
        };
        let rename = |people: &mut People, n, name| {
            let who = people.at(conn(n)).unwrap().id;
            people.rename(who, Nick::new(name).unwrap());
        };
        assert_eq!((0..3).map(|n| enter(&mut people, n)).collect::<Vec<_>>(), ["guest1", "guest2", "guest3"]);
        rename(&mut people, 1, "Guest5");
        assert_eq!(enter(&mut people, 3), "guest2");
        assert_eq!(enter(&mut people, 4), "guest4");
        assert_eq!(enter(&mut people, 5), "guest6");
        rename(&mut people, 1, "bob");
        let first = people.at(conn(0)).unwrap().id;
        people.leave(first);
        people.check();
        assert_eq!(enter(&mut people, 6), "guest1");
        assert_eq!(enter(&mut people, 7), "guest5");
        assert_eq!(enter(&mut people, 8), "guest7");
        // A change of case alone keeps the name taken.
        rename(&mut people, 8, "GUEST7");
        assert_eq!(enter(&mut people, 9), "guest8");
        people.check();
    }

    #[test]
    fn a_name_that_looks_like_a_guest_s_is_passed_over_once() {
        let mut people = People::default();
        let enter = |people: &mut People, n| {
            let who = people.enter(ConnId::new(n, 0), Origin::Loopback, Wire::Secure, Instant::START);
            people.check();
            people.get(who).unwrap().nick().to_string()
        };
        let rename = |people: &mut People, n, name| {
            let who = people.at(ConnId::new(n, 0)).unwrap().id;
            let nick = Nick::new(name).unwrap();
            assert_eq!(people.rival(who, &nick), None);
            people.rename(who, nick);
            people.check();
        };
        assert_eq!(enter(&mut people, 0), "guest1");
        rename(&mut people, 0, "guestl");
        assert_eq!(enter(&mut people, 1), "guest2");
        // Another spelling of one's own name gives nothing up.
        rename(&mut people, 0, "Guest1");
        assert_eq!(enter(&mut people, 2), "guest3");
        rename(&mut people, 0, "guestIO");
        assert_eq!(enter(&mut people, 3), "guest1");
        for n in 4..10 {
            assert_eq!(enter(&mut people, n), format!("guest{n}"));
        }
        assert_eq!(enter(&mut people, 10), "guest11");
        rename(&mut people, 0, "guest007");
        assert_eq!(enter(&mut people, 11), "guest10");
    }

    #[test]
    fn a_stale_id_misses() {
        let mut people = People::default();
        let conn = ConnId::new(3, 1);
        let who = people.enter(conn, Origin::Loopback, Wire::Secure, Instant::START);
        assert!(people.at(ConnId::new(3, 0)).is_none());
        assert_eq!(people.at(conn).map(|person| person.id), Some(who));
        people.leave(who);
        assert!(people.at(conn).is_none() && people.is_empty());
        let next = people.enter(ConnId::new(7, 2), Origin::Loopback, Wire::Secure, Instant::START);
        assert_eq!(next.slot(), who.slot());
        people.leave(who);
        assert!(people.get(who).is_none() && people.get(next).is_some() && people.at(conn).is_none());
        people.check();
    }
}
