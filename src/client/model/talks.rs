//! The conversations that are open, and who is in them: rooms and people, what is unread, who is typing.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use crate::client::model::seen::Seen;
use crate::names::{FileId, Nick, Place, RoomName};
use crate::wire::Rank;

/// Names that are remembered, to complete them.
const KNOWN: usize = 10_000;
/// People who are typing, as far as they are told apart.
const TYPISTS: usize = 500;
/// How many people may have a rank in a room.
const RANKED: usize = 500;
/// Rooms that are remembered, to complete them.
const ROOMS: usize = 1_000;
/// Files that are remembered, to complete their IDs.
const FILES: usize = 100;
/// Rooms that we have left of which it is known what was shown.
const LEFT: usize = 50;
/// The rules by which guests have a room for themselves: one that they made and that has such a rule is forgotten with the last of them.
const PRIVATE: [&str; 4] = ["hidden", "invite-only", "key", "past"];
/// Private conversations that are kept open.
const PEOPLE: usize = 100;
/// The server ends typing after six seconds. Should it not say so, it is over a little later.
const TYPING: Duration = Duration::from_secs(10);

/// All open conversations, in the order in which they were opened, and the one that what is typed goes to.
#[derive(Default, Debug)]
pub struct Talks {
    talks: Vec<Talk>,
    target: Option<Place>,
    /// How often somebody was chosen to be talked to.
    turns: usize,
    typists: Vec<(Place, Nick, Instant)>,
    /// Who is online, as far as we were told.
    present: BTreeSet<Nick>,
    /// Who has said something, now or earlier.
    heard: BTreeSet<Nick>,
    /// Rooms of which we were told, whether we are in them or not.
    rooms: Vec<RoomName>,
    /// Files of which we were told, the latest last.
    files: Vec<FileId>,
    /// What has been seen of rooms that we have left, the latest last.
    left: Vec<(RoomName, Seen)>,
}

/// One conversation.
#[derive(Debug)]
pub struct Talk {
    /// What it is called.
    pub place: Place,
    /// Messages since it was last the target.
    pub unread: usize,
    /// When it was last chosen as the target.
    turn: usize,
    /// For a room: which of its messages have been seen.
    pub seen: Seen,
    /// For a room: who has a rank there.
    pub ranks: Ranks,
    /// For a room: which rules hold by which people have it for themselves, as far as we were told.
    private: Vec<&'static str>,
}

impl Talk {
    /// A rule of the room has this value now.
    pub fn set_rule(&mut self, rule: &str, value: &str) {
        let rule = PRIVATE.iter().find(|private| **private == rule);
        // What was said before is seen by all who come, unless that is off.
        let holds = rule.filter(|rule| (value == "off") == (**rule == "past"));
        self.private.retain(|private| Some(private) != rule);
        self.private.extend(holds);
    }

    /// Just these rules hold in the room now. Which of those hold no longer by which people had it for themselves.
    pub fn set_rules(&mut self, rules: &str) -> Vec<&'static str> {
        let hold = PRIVATE.into_iter().filter(|private| rules.split(' ').any(|rule| rule == *private)).collect();
        let mut before = std::mem::replace(&mut self.private, hold);
        before.retain(|rule| !self.private.contains(rule));
        before
    }
}

/// Who has which rank in a room.
#[derive(Default, Debug)]
pub struct Ranks {
    /// Those of whom we know, and whether they are there under that name, as far as we were told.
    known: Vec<(Nick, Rank, bool)>,
}

impl Ranks {
    /// What somebody is there, who has not gone since that was told.
    pub fn of(&self, nick: Nick) -> Option<Rank> {
        self.known.iter().find(|(known, _, is_here)| *known == nick && *is_here).map(|(_, rank, _)| *rank)
    }

    /// Whether somebody is there who may give ranks.
    pub fn has_op(&self) -> bool {
        self.known.iter().any(|(_, rank, is_here)| *is_here && matches!(rank, Rank::Op | Rank::Founder))
    }

    /// Somebody has this rank now, and no other.
    pub fn set(&mut self, nick: Nick, rank: Rank) {
        self.known.retain(|(known, ..)| *known != nick);
        if rank != Rank::Nobody && self.known.len() < RANKED {
            self.known.push((nick, rank, true));
        }
    }

    /// Just these have a rank.
    pub fn replace(&mut self, ranks: &[(Nick, Rank)]) {
        self.known.clear();
        ranks.iter().for_each(|&(nick, rank)| self.set(nick, rank));
    }

    /// Somebody has gone, or is called otherwise, and the next of that name may be another.
    pub fn leave(&mut self, nick: Nick) {
        self.leave_if_known(nick);
    }

    /// The same. Whether they had a rank.
    pub fn leave_if_known(&mut self, nick: Nick) -> bool {
        let known = self.known.iter_mut().find(|(known, ..)| *known == nick);
        known.map(|(_, _, is_here)| *is_here = false).is_some()
    }
}

impl Talks {
    /// Where what is typed goes.
    pub fn target(&self) -> Option<Place> {
        self.target
    }

    /// Talks to `place` from now on.
    pub fn set_target(&mut self, place: Option<Place>) {
        self.target = place;
        self.turns += 1;
        if let Some(place) = place {
            let turn = self.turns;
            let talk = self.open(place);
            (talk.unread, talk.turn) = (0, turn);
        }
    }

    /// The conversation of this name, opened if need be.
    pub fn open(&mut self, place: Place) -> &mut Talk {
        let at = self.talks.iter().position(|talk| talk.place == place).unwrap_or_else(|| {
            let people = |talk: &Talk| matches!(talk.place, Place::With(_));
            if self.talks.iter().filter(|talk| people(talk)).count() >= PEOPLE {
                let target = self.target;
                let oldest = self.talks.iter().position(|talk| people(talk) && Some(talk.place) != target);
                oldest.map(|at| self.talks.remove(at));
            }
            let left = self.left.iter().position(|(room, _)| Place::Room(*room) == place);
            let seen = left.map(|at| self.left.remove(at).1).unwrap_or_default();
            self.talks.push(Talk { place, unread: 0, turn: 0, seen, ranks: Ranks::default(), private: Vec::new() });
            self.talks.len() - 1
        });
        &mut self.talks[at]
    }

    /// A message came in a conversation that is not the target. A person may open one with us; nobody but we a room.
    pub fn unread(&mut self, place: Place) {
        match place {
            Place::With(_) => self.open(place).unread += 1,
            Place::Room(room) => self.room(room).into_iter().for_each(|talk| talk.unread += 1),
        }
    }

    /// The room of this name, if we are in it.
    pub fn room(&mut self, room: RoomName) -> Option<&mut Talk> {
        self.talks.iter_mut().find(|talk| talk.place == Place::Room(room))
    }

    /// Who has which rank there, if it is a room in which we are.
    pub fn ranks(&self, place: Place) -> Option<&Ranks> {
        self.talks.iter().find(|talk| talk.place == place).map(|talk| &talk.ranks)
    }

    /// Closes a conversation. If it was the target, there is none.
    pub fn close(&mut self, place: Place) {
        if let Some(at) = self.talks.iter().position(|talk| talk.place == place) {
            let mut talk = self.talks.remove(at);
            if let Place::Room(room) = place {
                talk.seen.leave();
                self.left.drain(..(self.left.len() + 1).saturating_sub(LEFT));
                self.left.push((room, talk.seen));
            }
        }
        self.typists.retain(|(at, ..)| *at != place);
        if self.target == Some(place) {
            self.target = None;
        }
    }

    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = &Talk> {
        self.talks.iter()
    }

    /// The conversation beside the target, `step` further on or back, round and round.
    pub fn beside(&self, step: isize) -> Option<Place> {
        let len = isize::try_from(self.talks.len()).ok().filter(|&len| len > 0)?;
        let at = self.talks.iter().position(|talk| Some(talk.place) == self.target);
        let next = at.map_or(if step < 0 { len - 1 } else { 0 }, |at| (at.cast_signed() + step).rem_euclid(len));
        self.talks.get(next.cast_unsigned()).map(|talk| talk.place)
    }

    /// The rooms that we are in.
    pub fn rooms(&self) -> impl Iterator<Item = RoomName> {
        self.talks.iter().filter_map(|talk| match talk.place {
            Place::Room(room) => Some(room),
            Place::With(_) => None,
        })
    }

    /// The room that was talked to last.
    pub fn last_room(&self) -> Option<Place> {
        let rooms = self.talks.iter().filter(|talk| matches!(talk.place, Place::Room(_)));
        rooms.max_by_key(|talk| talk.turn).map(|talk| talk.place)
    }

    /// There is this room, as was just told.
    pub fn hear_of(&mut self, room: RoomName) {
        if self.rooms.len() < ROOMS && !self.rooms.contains(&room) {
            self.rooms.push(room);
        }
    }

    /// The rooms of which we know, whether we are in them or not.
    pub fn known_rooms(&self) -> impl Iterator<Item = RoomName> {
        let left = self.left.iter().map(|(room, _)| *room);
        self.rooms().chain(self.rooms.iter().copied()).chain(left)
    }

    /// There is this file, as was just told.
    pub fn hear_of_file(&mut self, file: FileId) {
        self.forget_file(file);
        self.files.drain(..(self.files.len() + 1).saturating_sub(FILES));
        self.files.push(file);
    }

    /// That file is no longer there.
    pub fn forget_file(&mut self, file: FileId) {
        self.files.retain(|known| *known != file);
    }

    /// The files of which we know.
    pub fn files(&self) -> &[FileId] {
        &self.files
    }

    /// `who` is online.
    pub fn meet(&mut self, who: Nick) {
        if self.present.len() < KNOWN {
            self.present.insert(who);
        }
    }

    /// Who is there is asked anew, as somebody may have gone whose going was left out for us.
    pub fn forget_present(&mut self) {
        self.present.clear();
    }

    /// `who` has said something, and may have gone since.
    pub fn hear(&mut self, who: Nick) {
        if self.heard.len() < KNOWN {
            self.heard.insert(who);
        }
    }

    /// How many are online, if we were told of all of them.
    pub fn present(&self) -> usize {
        self.present.len()
    }

    /// Who is online, as far as we were told.
    pub fn here(&self) -> impl Iterator<Item = &Nick> {
        self.present.iter()
    }

    /// Everybody of whom we know.
    pub fn known(&self) -> impl Iterator<Item = &Nick> {
        self.present.union(&self.heard)
    }

    /// `who` is typing in `place`, as was just told.
    pub fn typing(&mut self, place: Place, who: Nick, now: Instant) {
        self.idle(place, who);
        if self.typists.len() < TYPISTS {
            self.typists.push((place, who, now));
        }
    }

    /// `who` is not typing there.
    pub fn idle(&mut self, place: Place, who: Nick) {
        self.typists.retain(|(at, nick, _)| (*at, *nick) != (place, who));
    }

    /// Who is typing, and where.
    pub fn typists(&self, now: Instant) -> impl Iterator<Item = (Place, Nick)> {
        let typists = self.typists.iter().filter(move |(.., since)| now.saturating_duration_since(*since) < TYPING);
        typists.map(|&(place, nick, _)| (place, nick))
    }

    /// `old` is called `new` now, wherever they are.
    pub fn rename(&mut self, old: Nick, new: Nick) {
        let (from, to) = (Place::With(old), Place::With(new));
        if self.heard.remove(&old) {
            self.heard.insert(new);
        }
        self.typists.retain(|(_, nick, _)| *nick != old);
        if self.target == Some(from) {
            self.target = Some(to);
        }
        if from != to && self.talks.iter().any(|talk| talk.place == from) {
            self.talks.retain(|talk| talk.place != to);
        }
        if let Some(talk) = self.talks.iter_mut().find(|talk| talk.place == from) {
            talk.place = to;
        }
    }

    /// `who` has left the server. Whether that leaves us without a target.
    pub fn depart(&mut self, who: Nick) -> bool {
        self.present.remove(&who);
        self.heard.remove(&who);
        self.typists.retain(|(_, nick, _)| *nick != who);
        let was_target = self.target == Some(Place::With(who));
        self.close(Place::With(who));
        was_target
    }

    /// The connection is lost: nobody is typing as far as we know, and nothing is being fetched.
    pub fn lost(&mut self) {
        self.typists.clear();
        self.present.clear();
        self.talks.iter_mut().for_each(|talk| talk.seen.lost());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(name: &str) -> Place {
        Place::new(name).unwrap()
    }

    fn nick(name: &str) -> Nick {
        Nick::new(name).unwrap()
    }

    fn open(places: &[&str]) -> Talks {
        let mut talks = Talks::default();
        places.iter().for_each(|name| talks.set_target(Some(place(name))));
        talks
    }

    #[test]
    fn one_walks_round_the_conversations() {
        let mut talks = open(&["#a", "@bob", "#c"]);
        assert_eq!(talks.target(), Some(place("#c")));
        assert_eq!(talks.beside(1), Some(place("#a")));
        assert_eq!(talks.beside(-1), Some(place("@bob")));
        talks.close(place("#c"));
        assert_eq!(talks.target(), None);
        assert_eq!((talks.beside(1), talks.beside(-1)), (Some(place("#a")), Some(place("@bob"))));
        assert_eq!(Talks::default().beside(1), None);
    }

    #[test]
    fn a_person_is_followed_by_name_and_not_confused_with_the_next_of_that_name() {
        let mut talks = open(&["#a", "@bob"]);
        talks.rename(nick("bob"), nick("rob"));
        assert_eq!(talks.target(), Some(place("@rob")));
        talks.rename(nick("rob"), nick("Rob"));
        assert_eq!(talks.target().unwrap().to_string(), "@Rob");
        assert!(talks.depart(nick("rob")));
        assert_eq!((talks.target(), talks.iter().count()), (None, 1));
        assert!(!talks.depart(nick("carol")));
    }

    #[test]
    fn typing_ends_with_a_word_or_with_time() {
        let (mut talks, start) = (open(&["#a"]), Instant::now());
        let typing = |talks: &Talks, after| talks.typists(start + Duration::from_secs(after)).count();
        talks.typing(place("#a"), nick("bob"), start);
        talks.typing(place("#a"), nick("bob"), start);
        talks.typing(place("@bob"), nick("bob"), start);
        assert_eq!((typing(&talks, 0), typing(&talks, 11)), (2, 0));
        talks.idle(place("#a"), nick("bob"));
        assert_eq!(typing(&talks, 0), 1);
    }

    #[test]
    fn people_are_not_kept_without_end() {
        let mut talks = open(&["#a", "@bob"]);
        for n in 0..1_000 {
            talks.open(place(&format!("@guest{n}")));
        }
        assert_eq!(talks.iter().count(), 1 + PEOPLE);
        assert_eq!(talks.target(), Some(place("@bob")));
        assert!(talks.iter().any(|talk| talk.place == place("@bob")));
    }
}
