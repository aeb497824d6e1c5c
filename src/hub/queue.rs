//! Passwords that wait to be looked at: whose turn is next, and who makes place where there is none.

use std::collections::HashMap;

use crate::limits;
use crate::names::Nick;

/// The passwords that wait, the one that came last at the end.
///
/// Looking at one takes tens of milliseconds, so whoever guesses from many addresses would keep everybody else from logging in.
/// So those come first who have given the fewest wrong ones. Among them names take turns, and of one name the last to come goes
/// first, as most of a sudden crowd do not own it. Where there is no place left, that name makes it for which most wait.
#[derive(Debug)]
pub(super) struct PasswordQueue<T> {
    waiting: Vec<Waiting<T>>,
    /// When the names had their last turns that are still waited for, and the one that had the very last.
    turns: HashMap<Nick, u64>,
    turn: u64,
}

#[derive(Debug)]
struct Waiting<T> {
    tries: u32,
    nick: Nick,
    what: T,
}

/// Those who wait for one name and have given as many wrong ones.
#[derive(Clone, Copy)]
struct Group {
    oldest: usize,
    newest: usize,
    count: usize,
}

impl<T> PasswordQueue<T> {
    pub(super) fn new() -> Self {
        Self { waiting: Vec::new(), turns: HashMap::new(), turn: 0 }
    }

    pub(super) fn len(&self) -> usize {
        self.waiting.len()
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &T> {
        self.waiting.iter().map(|waiting| &waiting.what)
    }

    /// Adds one for this name, where so many wrong ones came from lately. Returns the one for which no place is left, if that is so.
    pub(super) fn add(&mut self, tries: u32, nick: Nick, what: T) -> Option<T> {
        self.waiting.push(Waiting { tries, nick, what });
        if self.waiting.len() <= limits::PASSWORDS_WAITING {
            return None;
        }
        let groups = self.groups();
        let last = groups.iter().max_by_key(|((tries, _), group)| (*tries, group.count, group.oldest))?.1.oldest;
        Some(self.waiting.remove(last).what)
    }

    /// Takes the next one out.
    pub(super) fn next(&mut self) -> Option<T> {
        let groups = self.groups();
        let turn = |nick| self.turns.get(nick).copied().unwrap_or_default();
        let first = groups.iter().min_by_key(|((tries, nick), group)| (*tries, turn(nick), group.oldest))?.1.newest;
        let Waiting { nick, what, .. } = self.waiting.remove(first);
        let waiting = &self.waiting;
        self.turns.retain(|nick, _| waiting.iter().any(|waiting| waiting.nick == *nick));
        self.turn += 1;
        self.turns.insert(nick, self.turn);
        Some(what)
    }

    fn groups(&self) -> HashMap<(u32, Nick), Group> {
        let mut groups: HashMap<(u32, Nick), Group> = HashMap::new();
        for (at, waiting) in self.waiting.iter().enumerate() {
            let group =
                groups.entry((waiting.tries, waiting.nick)).or_insert(Group { oldest: at, newest: at, count: 0 });
            group.newest = at;
            group.count += 1;
        }
        groups
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn nick(name: &str) -> Nick {
        Nick::new(name).unwrap()
    }

    #[test]
    fn who_gave_wrong_passwords_waits_and_names_take_turns() {
        let mut queue = PasswordQueue::new();
        for (tries, name, n) in [
            (0, "alice", 1),
            (1, "carol", 2),
            (0, "alice", 3),
            (0, "alice", 4),
            (0, "bob", 5),
            (0, "ann", 6),
            (0, "alice", 7),
        ] {
            assert_eq!(queue.add(tries, nick(name), n), None);
        }
        let order: Vec<i32> = std::iter::from_fn(|| queue.next()).collect();
        assert_eq!(order, [7, 5, 6, 4, 3, 1, 2]);
    }

    #[test]
    fn where_no_place_is_left_the_last_makes_it() {
        let mut queue = PasswordQueue::new();
        let most = limits::PASSWORDS_WAITING;
        for n in 0..most {
            assert_eq!(queue.add(u32::from(n == 7), nick("alice"), n), None);
        }
        // Who has given a wrong one before goes before anybody else does, and then who has waited longest for the name for
        // which most wait.
        assert_eq!(queue.add(0, nick("bob"), most), Some(7));
        assert_eq!(queue.add(0, nick("alice"), most + 1), Some(0));
        assert_eq!(queue.add(2, nick("carol"), most + 2), Some(most + 2));
        assert_eq!((queue.len(), queue.next()), (most, Some(most + 1)));
    }
}
