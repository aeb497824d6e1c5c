//! Passwords that wait to be looked at: whose turn is next, and who makes place where there is none.

use std::collections::HashMap;

use crate::limits;
use crate::names::Nick;

/// The passwords that wait, the one that came last at the end.
///
/// Looking at one takes tens of milliseconds, so whoever guesses from many addresses would keep everybody else from logging in.
/// So those come first who have given the fewest wrong ones; among them, names take turns; and the last to come goes before
/// those who wait, as most of a sudden crowd are no owners. Where there is no place left, who would be last makes it.
#[derive(Debug)]
pub(super) struct PasswordQueue<T> {
    waiting: Vec<Waiting<T>>,
}

#[derive(Debug)]
struct Waiting<T> {
    tries: u32,
    nick: Nick,
    what: T,
}

impl<T> PasswordQueue<T> {
    pub(super) fn new() -> Self {
        Self { waiting: Vec::new() }
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
        let last = self.places().max()?.1;
        Some(self.waiting.remove(last).what)
    }

    /// Takes the next one out.
    pub(super) fn next(&mut self) -> Option<T> {
        let first = self.places().min()?.1;
        Some(self.waiting.remove(first).what)
    }

    /// For each the place that it has in the order, which is less the sooner it comes, and where it stands.
    fn places(&self) -> impl Iterator<Item = ((u32, u32, usize), usize)> {
        let mut later: HashMap<(u32, Nick), u32> = HashMap::new();
        self.waiting.iter().enumerate().rev().map(move |(at, waiting)| {
            let later = later.entry((waiting.tries, waiting.nick)).or_default();
            *later += 1;
            ((waiting.tries, *later, self.waiting.len() - at), at)
        })
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
        assert_eq!(order, [7, 6, 5, 4, 3, 1, 2]);
    }

    #[test]
    fn where_no_place_is_left_the_last_makes_it() {
        let mut queue = PasswordQueue::new();
        let most = limits::PASSWORDS_WAITING;
        for n in 0..most {
            assert_eq!(queue.add(u32::from(n == 7), nick("alice"), n), None);
        }
        // Who has given a wrong one before goes before anybody else does, and then whoever waits longest for this name.
        assert_eq!(queue.add(0, nick("bob"), most), Some(7));
        assert_eq!(queue.add(0, nick("alice"), most + 1), Some(0));
        assert_eq!(queue.add(2, nick("carol"), most + 2), Some(most + 2));
        assert_eq!((queue.len(), queue.next()), (most, Some(most + 1)));
    }
}
