//! What a script leaves behind of a person who is here over other connections too: nothing that it did for itself.

use super::{Pending, Session};
use crate::names::RoomName;

/// What is to be undone when a script leaves.
#[derive(Default, Debug)]
pub(super) struct Trace {
    /// The rooms in which the login found the person, and those that the script entered besides.
    pub(super) found: Vec<RoomName>,
    rooms: Vec<RoomName>,
    /// How many connections the person had then.
    ways: u64,
}

impl Session {
    /// Rooms are about to be entered for the first time. A person who stays wants to be in them.
    pub(super) fn note_trace(&mut self) {
        if !self.stays && !self.has_person() && self.owner().is_some() {
            self.trace.rooms = self.talks.rooms().filter(|room| !self.trace.found.contains(room)).collect();
            self.ask("/account", Pending::Ways(0));
        }
    }

    /// Leaves at once, whatever has not been said yet.
    pub fn part(&mut self) {
        self.quitting = true;
        match self.trace.ways {
            0 | 1 => self.ask("/quit", Pending::Quiet),
            _ => self.ask("/account", Pending::Ways(0)),
        }
    }

    /// The person has so many connections. Rooms are left only where none has come meanwhile, which would have found the person in them: another
    /// script, say.
    pub(super) fn has_ways(&mut self, ways: u64) {
        if !self.quitting {
            self.trace.ways = ways;
            return;
        }
        for room in std::mem::take(&mut self.trace.rooms) {
            if (2..=self.trace.ways).contains(&ways) && self.talks.room(room).is_some() {
                self.ask(format!("/leave {room}"), Pending::Quiet);
            }
        }
        self.ask("/quit", Pending::Quiet);
    }
}
