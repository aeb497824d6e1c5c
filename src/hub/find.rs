//! Who somebody is to the core, which rules hold for them, and what a name that was typed means.

use crate::effect::Output;
use crate::event::Fault;
use crate::guestbook::Guestbook;
use crate::meters::Counted;
use crate::names::{Nick, Origin, PersonId, Place, RoomName, Text};
use crate::people::Person;
use crate::policy::{self, Action, Actor, Doing, Ruled, may, rules_any_room, sees};
use crate::register::{Owned, Rules};
use crate::request::{Named, Target};
use crate::rooms::{Room, RoomId};
use crate::rules::{InForce, Someone};
use crate::time::Now;
use crate::typing::Conversation;

use super::{Hub, Turn};

impl Hub {
    /// Whether somebody may do something, see [`may`]. What is done by nobody who is online, whoever runs the server does.
    pub(super) fn may(&self, who: PersonId, action: Action<'_>) -> Result<(), Fault> {
        may(self.actor_of(who).ok_or(Fault::NoTarget)?, action)
    }

    pub(super) fn actor_of(&self, who: PersonId) -> Option<Actor<'_>> {
        match self.people.get(who) {
            Some(person) => Some(Actor::Person(self.someone(person))),
            None => (who == PersonId::NOBODY).then_some(Actor::Control),
        }
    }

    /// Whether something may be told or sent to somebody alone, see [`policy::may_reach`].
    pub(super) fn may_reach(&self, to: PersonId) -> Result<(), Fault> {
        policy::may_reach(self.people.get(to).ok_or(Fault::NoTarget)?, self.people.is_reading(to))
    }

    /// Whether whose turn it is may do this in a room, see [`may`].
    pub(super) fn may_in(&self, room: RoomId, doing: Doing, turn: &Turn<'_, impl Output>) -> Result<(), Fault> {
        may(self.actor(turn), Action::InRoom(doing, self.ruled(room, turn.now)))
    }

    /// Somebody as the rules of rooms know them.
    pub(super) fn someone<'a>(&self, person: &'a Person) -> Someone<'a> {
        self.someone_owning(person, self.register().owned(&person.nick()))
    }

    /// The same of somebody whose name has this owner.
    pub(super) fn someone_owning<'a>(&self, person: &'a Person, owned: Option<&Owned>) -> Someone<'a> {
        let (owned, accounts) = (owned.map(Owned::nick), self.accounts_here());
        let (id, nick, origin) = (person.id, person.nick(), person.origin());
        Someone { id, nick, owned, leaves: None, was: person.was(), accounts, origin }
    }

    /// The name that somebody owns, as it was registered, however they spell it: who is shown under a name that looks like an owned
    /// one is its owner, and it looks like no other.
    pub(super) fn owned_by(&self, person: &Person) -> Option<Nick> {
        self.register().owned(&person.nick()).map(|owned| owned.nick())
    }

    /// The name that whose turn it is owns.
    pub(super) fn account(&self, turn: &Turn<'_, impl Output>) -> Option<Nick> {
        self.people.get(turn.who).and_then(|person| self.owned_by(person))
    }

    /// The owner of this name, if they are here, however they are shown.
    pub(super) fn owner_here(&self, owned: &Nick) -> Option<&Person> {
        self.find_shown(owned).filter(|person| self.owned_by(person) == Some(*owned))
    }

    /// Whoever is shown under this name, or else under one that looks like it.
    pub(super) fn find_shown(&self, nick: &Nick) -> Option<&Person> {
        self.people.find(nick).and_then(|who| self.people.get(who))
    }

    /// With whom whose turn it is is counted.
    pub(super) fn counted(&self, turn: &Turn<'_, impl Output>) -> Counted {
        self.account(turn).map_or_else(
            || match self.origin(turn) {
                Origin::Loopback => Counted::Alone,
                Origin::Network(prefix) => Counted::Network(prefix),
            },
            Counted::Account,
        )
    }

    /// The rules of a room.
    pub(super) fn rules<'a>(&'a self, room: &'a Room) -> InForce<'a> {
        self.in_force(&room.name, room.book())
    }

    /// The same of one that need not be in memory.
    pub(super) fn in_force<'a>(&'a self, room: &RoomName, book: &'a Guestbook) -> InForce<'a> {
        let rules = self.register().room(room).unwrap_or(Rules::NONE);
        InForce { rules, book, guests: self.settings.guests }
    }

    pub(super) fn ruled(&self, room: RoomId, now: Now) -> Ruled<'_> {
        let room = &self.rooms[room];
        Ruled { room, rules: self.rules(room), now }
    }

    /// What `target` means to whose turn it is, who must be allowed to do this there if it is a room.
    pub(super) fn resolve(
        &self,
        target: Target<'_>,
        doing: Doing,
        turn: &Turn<'_, impl Output>,
    ) -> Result<Conversation, Fault> {
        match target {
            Target::Room(room) => self.room_for(room, doing, turn).map(Conversation::Room),
            Target::Person(whom) => self.find_person(whom, turn).map(|person| Conversation::Person(person.id)),
        }
    }

    pub(super) fn find_person(&self, whom: Named<'_, Nick>, turn: &Turn<'_, impl Output>) -> Result<&Person, Fault> {
        let person =
            whom.name.ok().and_then(|nick| self.find_shown(&nick).filter(|person| self.is_meant(person, &nick)));
        person.ok_or_else(|| {
            let typed = Text::new(whom.typed);
            let meant = whom.name.ok().and_then(|nick| RoomName::meant(nick.as_str()));
            // Whoever guesses learns of no room that they may not know of.
            match meant.and_then(|name| self.rooms.find(&name)).filter(|&room| self.sees(turn.who, room)) {
                Some(room) => Fault::MeantRoom(typed, self.rooms[room].name),
                None => match whom.name.ok().and_then(|nick| self.find_nearly(&nick, turn)) {
                    Some(nick) => Fault::MeantPerson(typed, nick),
                    None => Fault::NoSuchNick(typed),
                },
            }
        })
    }

    /// Somebody else who is here, of whose name this one is a slip of the fingers.
    fn find_nearly(&self, nick: &Nick, turn: &Turn<'_, impl Output>) -> Option<Nick> {
        let others = self.people.iter().filter(|person| person.id != turn.who);
        others.map(Person::nick).find(|other| is_slip(nick.as_str(), other.as_str()))
    }

    /// Whether somebody is meant by a name like which they look: not if it is the very name of an owner, who is somebody else.
    pub(super) fn is_meant(&self, person: &Person, nick: &Nick) -> bool {
        let owner = || self.register().owned(nick).map(|owned| owned.nick()).filter(|owned| owned == nick);
        person.nick() == *nick || owner().is_none_or(|owner| self.owned_by(person) == Some(owner))
    }

    /// The room of this name, as far as whose turn it is may know of it.
    pub(super) fn find_room(&self, room: Named<'_, RoomName>, turn: &Turn<'_, impl Output>) -> Result<RoomId, Fault> {
        let found = room.name.ok().and_then(|name| self.rooms.find(&name)).filter(|&id| self.sees(turn.who, id));
        found.ok_or_else(|| Fault::NoSuchRoom(Text::new(room.typed)))
    }

    /// Whether somebody may know that a room is there, see [`sees`].
    pub(super) fn sees(&self, who: PersonId, room: RoomId) -> bool {
        let room = &self.rooms[room];
        self.actor_of(who).is_some_and(|actor| sees(actor, room, self.rules(room)))
    }

    /// The room of this name, in which whose turn it is must be allowed to do this.
    pub(super) fn room_for(
        &self,
        room: Named<'_, RoomName>,
        doing: Doing,
        turn: &Turn<'_, impl Output>,
    ) -> Result<RoomId, Fault> {
        let room = self.find_room(room, turn).or_else(|why| {
            let hidden = room.name.ok().and_then(|name| self.rooms.find(&name));
            hidden.filter(|_| rules_any_room(self.actor(turn), doing)).ok_or(why)
        })?;
        self.may_in(room, doing, turn)?;
        Ok(room)
    }

    /// The room of this name, or the current one, in which whose turn it is must be allowed to do this.
    pub(super) fn room_or_current(
        &self,
        room: Option<Named<'_, RoomName>>,
        doing: Doing,
        turn: &Turn<'_, impl Output>,
    ) -> Result<RoomId, Fault> {
        match (room, self.people.way(turn.conn).and_then(|way| way.current)) {
            (Some(room), _) => self.room_for(room, doing, turn),
            (None, Some(Conversation::Room(room))) => {
                self.may_in(room, doing, turn)?;
                Ok(room)
            }
            (None, _) => Err(Fault::NoRoom),
        }
    }

    /// Where goes what whose turn it is says or does, who must be allowed to do this there if it is a room.
    pub(super) fn current(&self, doing: Doing, turn: &Turn<'_, impl Output>) -> Result<Conversation, Fault> {
        let place = self.people.way(turn.conn).and_then(|way| way.current).ok_or(Fault::NoTarget)?;
        match place {
            Conversation::Room(room) => self.may_in(room, doing, turn)?,
            Conversation::Person(other) => drop(self.people.get(other).ok_or(Fault::NoTarget)?),
        }
        Ok(place)
    }

    /// How one who is in a conversation names it.
    pub(super) fn place(&self, place: Conversation) -> Result<Place, Fault> {
        match place {
            Conversation::Room(room) => Ok(Place::Room(self.rooms[room].name)),
            Conversation::Person(other) => {
                self.people.get(other).map(|person| Place::With(person.nick())).ok_or(Fault::NoTarget)
            }
        }
    }

    #[inline]
    pub(super) fn nick(&self, who: PersonId) -> Result<Nick, Fault> {
        self.people.get(who).map(Person::nick).ok_or(Fault::NoTarget)
    }
}

/// Whether two names begin alike and differ by one letter, which is missing, too much or wrong, or by two in each other's place. Digits are
/// not written by a slip.
fn is_slip(one: &str, other: &str) -> bool {
    let letters = |name: &str| name.chars().flat_map(char::to_lowercase).collect::<Vec<_>>();
    let first = |name: &str| name.chars().flat_map(char::to_lowercase).next();
    // Few names come further, of all who are here.
    if first(one) != first(other) {
        return false;
    }
    let (one, other) = (letters(one), letters(other));
    let alike = |pairs: &mut dyn Iterator<Item = (&char, &char)>| pairs.take_while(|(one, other)| one == other).count();
    let begin = alike(&mut one.iter().zip(&other));
    let (one_end, other_end) = (&one[begin..], &other[begin..]);
    let end = alike(&mut one_end.iter().rev().zip(other_end.iter().rev()));
    let (one_end, other_end) = (&one_end[..one_end.len() - end], &other_end[..other_end.len() - end]);
    let is_long = one.len().min(other.len()) > 2;
    // One guest is not another.
    let is_number = one_end.iter().chain(other_end).any(|c| c.is_numeric());
    is_long
        && !is_number
        && match (one_end, other_end) {
            ([] | [_], [] | [_]) => true,
            ([a, b], [c, d]) => (a, b) == (d, c),
            _ => false,
        }
}

#[cfg(test)]
mod tests {
    use super::is_slip;

    #[test]
    fn a_slip_is_told_from_another_name() {
        for (typed, name) in
            [("emile", "Emil"), ("Emli", "emil"), ("emi", "emil"), ("zo\u{eb}", "Zoe"), ("алисс", "Алиса")]
        {
            assert!(is_slip(typed, name) && is_slip(name, typed), "{typed} {name}");
        }
        for (typed, name) in [
            ("bo", "bob"),
            ("emil", "cecil"),
            ("anna", "anton"),
            ("guest1", "guest20"),
            ("guest1", "guest2"),
            ("mil", "emil"),
        ] {
            assert!(!is_slip(typed, name) && !is_slip(name, typed), "{typed} {name}");
        }
    }
}
