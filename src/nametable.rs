//! A table that finds things by the names of people, also by names that only look alike.

use std::hash::{BuildHasher, RandomState};

use arrayvec::ArrayVec;
use hashbrown::HashTable;

use crate::names::Nick;

/// So many things that look like a name are found, which are mostly one. What is called so is among them.
const ALIKE: usize = 4;

/// Values by names, each under [all of its looks](Nick::looks). What is called how is known to whoever has the table, as names
/// stand with what they name: `nick_of` tells it of everything that is in the table.
#[derive(Debug)]
pub struct NameTable<T> {
    /// By how a name looks as it is shown.
    shown: HashTable<T>,
    /// By how it looks without case, where that is something else. Few names are here.
    folded: HashTable<T>,
    hasher: RandomState,
}

impl<T> Default for NameTable<T> {
    fn default() -> Self {
        Self { shown: HashTable::new(), folded: HashTable::new(), hasher: RandomState::new() }
    }
}

impl<T: Copy + PartialEq> NameTable<T> {
    /// Those whose names look like this one; first who is called so, in whatever case. There may be two, who do not look like each
    /// other, and more where names look alike that did not once.
    pub fn like(&self, nick: &Nick, nick_of: impl Fn(T) -> Option<Nick>) -> ArrayVec<T, ALIKE> {
        let mut found = ArrayVec::new();
        if self.is_empty() {
            return found;
        }
        for look in nick.looks().each() {
            let hash = self.hasher.hash_one(look);
            let has_look = |&value: &T| nick_of(value).is_some_and(|nick| nick.looks().each().any(|one| one == look));
            let alike = self.shown.iter_hash(hash).chain(self.folded.iter_hash(hash)).filter(|value| has_look(value));
            for &value in alike {
                if found.contains(&value) {
                    continue;
                }
                if nick_of(value) == Some(*nick) {
                    found.truncate(ALIKE - 1);
                    found.insert(0, value);
                } else if !found.is_full() {
                    found.push(value);
                }
            }
        }
        found
    }

    /// What this name means: what is called so, in whatever case, or else what looks like it.
    pub fn find(&self, nick: &Nick, nick_of: impl Fn(T) -> Option<Nick>) -> Option<T> {
        self.like(nick, nick_of).first().copied()
    }

    /// Puts in what has this name, which none has that is here.
    pub fn insert(&mut self, value: T, nick: &Nick, nick_of: impl Fn(T) -> Option<Nick>) {
        let Self { shown, folded, hasher } = self;
        let looks = nick.looks();
        let shown_hash = |&value: &T| nick_of(value).map_or(0, |nick| hasher.hash_one(&*nick.looks().shown));
        shown.insert_unique(hasher.hash_one(&*looks.shown), value, shown_hash);
        if let Some(look) = &looks.folded {
            let look_of = |nick: Nick| nick.looks().folded.map(|look| hasher.hash_one(&*look));
            let folded_hash = |&value: &T| nick_of(value).and_then(look_of).unwrap_or(0);
            folded.insert_unique(hasher.hash_one(&**look), value, folded_hash);
        }
    }

    /// Takes out what has had this name.
    pub fn remove(&mut self, value: T, nick: &Nick) {
        for (look, table) in nick.looks().each().zip([&mut self.shown, &mut self.folded]) {
            if let Ok(entry) = table.find_entry(self.hasher.hash_one(look), |&known| known == value) {
                entry.remove();
            }
        }
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.shown.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.shown.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Those who have come, by their places in the table.
    #[derive(Default)]
    struct Company {
        names: Vec<Option<Nick>>,
        table: NameTable<usize>,
    }

    impl Company {
        fn find(&self, name: &str) -> Option<&str> {
            let nick = Nick::new(name).unwrap();
            let found = self.table.find(&nick, |at| self.names[at])?;
            self.names[found].as_ref().map(Nick::as_str)
        }

        fn come(&mut self, name: &str) -> bool {
            let nick = Nick::new(name).unwrap();
            if !self.table.like(&nick, |at| self.names[at]).is_empty() {
                return false;
            }
            self.names.push(Some(nick));
            self.table.insert(self.names.len() - 1, &nick, |at| self.names[at]);
            true
        }

        fn go(&mut self, name: &str) {
            let nick = Nick::new(name).unwrap();
            let at = self.table.find(&nick, |at| self.names[at]).unwrap();
            self.table.remove(at, &nick);
            self.names[at] = None;
        }
    }

    #[test]
    fn a_name_is_found_by_what_it_looks_like() {
        let mut here = Company::default();
        assert!(here.come("lan") && here.come("ian"));
        assert!(!here.come("Ian"));
        // The same name goes before one that looks like it.
        assert_eq!((here.find("Ian"), here.find("IAN"), here.find("an")), (Some("ian"), Some("ian"), None));
        here.go("ian");
        assert_eq!(here.find("Ian"), Some("lan"));
        here.go("lan");
        assert!(here.come("Ian"));
        assert_eq!((here.find("lan"), here.find("ian")), (Some("Ian"), Some("Ian")));
        assert!(!here.come("lan") && !here.come("ian"));
        here.go("Ian");
        assert!(here.table.is_empty() && here.come("Алиса"));
        assert_eq!((here.find("АЛИСА"), here.find("Алисаа")), (Some("Алиса"), None));
    }

    proptest! {
        #[test]
        fn no_two_names_look_alike(steps in prop::collection::vec((any::<bool>(), "[IiLlMmоoO]{1,3}"), 0..200)) {
            let mut here = Company::default();
            for (comes, name) in steps {
                let nick = Nick::new(&name).unwrap();
                let like: Vec<Nick> = here.names.iter().flatten().filter(|other| other.is_like(&nick)).copied().collect();
                if comes {
                    prop_assert_eq!(here.come(&name), like.is_empty());
                } else if let Some(there) = like.iter().find(|other| other.as_str() == name) {
                    here.go(there.as_str());
                } else {
                    prop_assert_eq!(here.find(&name).is_some(), !like.is_empty());
                }
                prop_assert_eq!(here.table.len(), here.names.iter().flatten().count());
            }
        }
    }
}
