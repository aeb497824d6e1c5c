//! Whom somebody knows by which name, so that they are told when another has it.

use std::collections::VecDeque;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};

use crate::limits;
use crate::names::{Nick, PersonId};

/// Under which names somebody wrote to whom, or was written to, the latest first. Of the names no more is kept than a hash of each
/// look: a notice that tells too much harms nobody.
#[derive(Debug, Default)]
pub struct Met {
    people: VecDeque<Known>,
    /// How often [anybody had been renamed](super::People::renames) when the first of these was put there. As long as nobody has since,
    /// whoever is first is still called so, and no look needs to be known.
    after: u64,
}

/// Somebody who was written to, or who wrote.
#[derive(Clone, Copy, Debug)]
struct Known {
    name: [u64; 2],
    who: PersonId,
    /// Whose the name was, if it was owned.
    owner: Option<u32>,
}

impl Met {
    /// They write to somebody under this name, who owns it by this [ownership](crate::register::Owned::ownership) if they do; `true` if the last
    /// time it was somebody else's. So often [anybody has been renamed](super::People::renames).
    pub fn write_to(&mut self, nick: Nick, (who, owner): (PersonId, Option<u32>), renames: u64) -> bool {
        if self.met_last(who, renames) {
            return false;
        }
        let name = hashes(&nick);
        let before = self.place_of(name).and_then(|at| self.people.remove(at));
        self.meet(Known { name, who, owner }, renames);
        // Whoever owns a name is the same when they come back.
        before.is_some_and(|before| before.who != who && (owner.is_none() || before.owner != owner))
    }

    /// Somebody of this name wrote to them. Whoever had the name before is still the one whom they know by it.
    pub fn hear_from(&mut self, nick: Nick, (who, owner): (PersonId, Option<u32>), renames: u64) {
        if self.met_last(who, renames) {
            return;
        }
        let name = hashes(&nick);
        match self.place_of(name).and_then(|at| self.people.get_mut(at)) {
            // They may own it since.
            Some(known) if known.who == who => known.owner = owner,
            Some(_) => {}
            None => self.meet(Known { name, who, owner }, renames),
        }
    }

    fn meet(&mut self, known: Known, renames: u64) {
        self.people.truncate(limits::MET - 1);
        self.people.push_front(known);
        self.after = renames;
    }

    /// Whether it is them whom they met last, under the name that they have.
    pub fn met_last(&self, who: PersonId, renames: u64) -> bool {
        self.after == renames && self.people.front().is_some_and(|last| last.who == who)
    }

    /// Where the name is that looks like this one.
    fn place_of(&self, name: [u64; 2]) -> Option<usize> {
        self.people.iter().position(|known| name.iter().any(|look| known.name.contains(look)))
    }
}

/// A hash of each look of a name; of the only one twice.
fn hashes(nick: &Nick) -> [u64; 2] {
    let hash = |look: &str| {
        let mut hasher = DefaultHasher::new();
        look.hash(&mut hasher);
        hasher.finish()
    };
    let looks = nick.looks();
    let shown = hash(&looks.shown);
    [shown, looks.folded.map_or(shown, |look| hash(&look))]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_notice_is_due_where_a_look_alike_has_taken_a_name() {
        let (one, other) = (PersonId::new(1, 1), PersonId::new(2, 2));
        let nick = |name: &str| Nick::new(name).unwrap();
        let mut met = Met::default();
        assert!(!met.write_to(nick("bob"), (one, None), 0) && !met.write_to(nick("BOB"), (one, None), 1));
        assert!(met.write_to(nick("b0b"), (other, None), 2) && !met.write_to(nick("bob"), (other, None), 3));
        // They wrote to them last, and nobody has been renamed since.
        assert!(!met.write_to(nick("bob"), (other, None), 3) && met.write_to(nick("bob"), (one, None), 3));
        met.write_to(nick("ian"), (one, None), 4);
        assert!(met.write_to(nick("Ian"), (other, None), 5));
        met.hear_from(nick("Вов"), (one, None), 6);
        assert!(!met.write_to(nick("вов"), (one, None), 6));
    }
}
