//! All connections: who is admitted, who is on the way out, and how many come from one place.

use std::collections::HashMap;

use slab::Slab;

use crate::connection::{Connection, Life};
use crate::event::Lost;
use crate::limits;
use crate::names::{ConnId, Prefix};
use crate::outbox::Outbox;
use crate::peer::Peer;
use crate::time::Instant;
use crate::transport::Transport;

/// The connections, by slot.
pub struct Registry<T> {
    /// Boxed, as a slab that grows leaves its old memory behind.
    slab: Slab<Box<Connection<T>>>,
    generation: u32,
    /// Connections that were admitted, and are active or draining.
    admitted: usize,
    /// The same of those that came by the operator's door, which count nowhere else.
    controls: usize,
    /// Connections that are heard for a line though there was no place, and by where they come from.
    applying: usize,
    applying_of: HashMap<Prefix, usize>,
    rejected: usize,
    lingering: usize,
    /// The admitted ones by where they come from; those of IPv6 count in two networks.
    by_prefix: HashMap<Prefix, usize>,
    /// The same of places that are kept without a connection.
    kept: HashMap<Prefix, usize>,
}

impl<T> Default for Registry<T> {
    fn default() -> Self {
        Self {
            slab: Slab::new(),
            generation: 0,
            admitted: 0,
            controls: 0,
            applying: 0,
            applying_of: HashMap::new(),
            rejected: 0,
            lingering: 0,
            by_prefix: HashMap::new(),
            kept: HashMap::new(),
        }
    }
}

impl<T: Transport> Registry<T> {
    /// Connections that were admitted and have not had all that is pending for them.
    pub fn admitted(&self) -> usize {
        self.admitted
    }

    /// Connections that came by the operator's door and have not had all that is pending for them.
    pub fn controls(&self) -> usize {
        self.controls
    }

    /// Connections that are being told why they cannot stay.
    pub fn rejected(&self) -> usize {
        self.rejected
    }

    /// Connections to which nothing more is owed.
    pub fn lingering(&self) -> usize {
        self.lingering
    }

    /// Whether as many come from the network of a peer as may, or from the larger one around it, which may have
    /// [`limits::WIDER`] times as many. 0 is no limit, and loopback is not counted.
    pub fn is_crowded_from(&self, peer: Peer, most: usize) -> bool {
        most > 0 && has(&self.by_prefix, peer, most)
    }

    /// Whether one more can be heard for a line that comes from the network of a peer, though there is no place.
    pub fn hears_another_from(&self, peer: Peer) -> bool {
        self.applying < limits::APPLYING && !has(&self.applying_of, peer, limits::APPLYING_OF_PREFIX)
    }

    /// Whether as many places are kept for the network of a peer as may be.
    pub fn keeps_many_from(&self, peer: Peer) -> bool {
        has(&self.kept, peer, limits::KEPT_OF_PREFIX)
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.slab.is_empty()
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.slab.len()
    }

    /// Every connection, to be looked at.
    pub fn iter(&self) -> impl Iterator<Item = &Connection<T>> {
        self.slab.iter().map(|(_, connection)| connection.as_ref())
    }

    /// Every connection.
    pub fn ids(&self) -> Vec<ConnId> {
        self.slab.iter().map(|(_, connection)| connection.id()).collect()
    }

    /// The connection in a slot.
    pub fn in_slot(&self, slot: usize) -> Option<ConnId> {
        self.slab.get(slot).map(|connection| connection.id())
    }

    /// The connection of this ID, if it still lives.
    pub fn get(&self, id: ConnId) -> Option<&Connection<T>> {
        self.slab.get(id.slot()).filter(|connection| connection.id() == id).map(Box::as_ref)
    }

    /// The connection of this ID, if it still lives, to be changed.
    pub fn get_mut(&mut self, id: ConnId) -> Option<&mut Connection<T>> {
        self.slab.get_mut(id.slot()).filter(|connection| connection.id() == id).map(Box::as_mut)
    }

    /// The slot that the next connection gets.
    pub fn next_slot(&self) -> usize {
        self.slab.vacant_key()
    }

    /// Takes a connection in: from whom, and when.
    pub fn insert(&mut self, transport: T, from: (Peer, Instant), dialect: u8, life: Life) -> ConnId {
        let entry = self.slab.vacant_entry();
        self.generation = self.generation.wrapping_add(1);
        // A slab of sockets is bounded by the descriptors, which are far fewer than 2^32.
        let id = ConnId::new(u32::try_from(entry.key()).unwrap_or(u32::MAX), self.generation);
        entry.insert(Box::new(Connection::new(id, transport, from, dialect, life)));
        self.count(life, from.0);
        id
    }

    /// A connection goes on to another part of its life.
    pub fn set_life(&mut self, id: ConnId, life: Life) {
        let Some(connection) = self.get_mut(id) else { return };
        let (before, peer) = (connection.life(), connection.peer());
        connection.set_life(life);
        self.discount(before, peer);
        self.count(life, peer);
    }

    /// The transport of a connection is lost, and its place is kept until then. Gives the transport.
    pub fn lose(&mut self, id: ConnId, how: Lost, until: Instant) -> Option<T> {
        let connection = self.get_mut(id)?;
        let (before, peer) = (connection.life(), connection.peer());
        let transport = connection.lose(how, until);
        self.discount(before, peer);
        self.count(Life::Kept, peer);
        transport
    }

    /// A connection goes on in the place of another, which may still have a transport: gives that, and what was pending for the
    /// one that is no more.
    pub fn take_up(&mut self, place: ConnId, id: ConnId) -> Option<(Option<T>, Outbox)> {
        self.get(place)?;
        let other = self.remove(id)?;
        let connection = self.get_mut(place)?;
        let (before, from, to) = (connection.life(), connection.peer(), other.peer());
        let taken = connection.take_up(other);
        self.discount(before, from);
        self.count(Life::Active, to);
        Some(taken)
    }

    /// Takes a connection out.
    pub fn remove(&mut self, id: ConnId) -> Option<Connection<T>> {
        let connection = self.get_mut(id)?;
        let (life, peer) = (connection.life(), connection.peer());
        self.discount(life, peer);
        Some(*self.slab.remove(id.slot()))
    }

    /// Panics unless the counts are those of the connections; for tests.
    pub fn check(&self) {
        let count = |lives: &[Life]| self.iter().filter(|connection| lives.contains(&connection.life())).count();
        let is_control =
            |connection: &&Connection<T>| connection.peer().is_control() && connection.life() != Life::Lingering;
        assert_eq!(self.controls, self.iter().filter(is_control).count());
        assert_eq!(self.admitted + self.controls, count(&[Life::Active, Life::Draining, Life::Kept]));
        let lives = [Life::Rejected, Life::Applying, Life::Lingering].map(|life| count(&[life]));
        assert_eq!([self.rejected, self.applying, self.lingering], lives);
        let by_prefix = |lives: &[Life]| {
            let mut counts = HashMap::new();
            for connection in self.iter().filter(|connection| lives.contains(&connection.life())) {
                connection.peer().networks().for_each(|prefix| *counts.entry(prefix).or_default() += 1);
            }
            counts
        };
        assert_eq!(self.by_prefix, by_prefix(&[Life::Active, Life::Draining, Life::Kept]));
        assert_eq!(self.kept, by_prefix(&[Life::Kept]));
        assert_eq!(self.applying_of, by_prefix(&[Life::Applying]));
    }

    fn count(&mut self, life: Life, peer: Peer) {
        match life {
            Life::Active | Life::Draining if peer.is_control() => self.controls += 1,
            Life::Active | Life::Draining | Life::Kept => {
                self.admitted += 1;
                add(&mut self.by_prefix, peer);
            }
            Life::Applying => {
                self.applying += 1;
                add(&mut self.applying_of, peer);
            }
            Life::Rejected => self.rejected += 1,
            Life::Lingering => self.lingering += 1,
            // Their peers are not known for sure.
            Life::Arriving => {}
        }
        if life == Life::Kept {
            add(&mut self.kept, peer);
        }
    }

    fn discount(&mut self, life: Life, peer: Peer) {
        match life {
            Life::Active | Life::Draining if peer.is_control() => self.controls -= 1,
            Life::Active | Life::Draining | Life::Kept => {
                self.admitted -= 1;
                take(&mut self.by_prefix, peer);
            }
            Life::Applying => {
                self.applying -= 1;
                take(&mut self.applying_of, peer);
            }
            Life::Rejected => self.rejected -= 1,
            Life::Lingering => self.lingering -= 1,
            Life::Arriving => {}
        }
        if life == Life::Kept {
            take(&mut self.kept, peer);
        }
    }
}

/// Whether `most` are counted in the network of a peer, or [`limits::WIDER`] times as many in the larger one around it.
fn has(counts: &HashMap<Prefix, usize>, peer: Peer, most: usize) -> bool {
    let limits = [most, most.saturating_mul(limits::WIDER as usize)];
    peer.networks().zip(limits).any(|(prefix, most)| counts.get(&prefix).is_some_and(|&count| count >= most))
}

fn add(counts: &mut HashMap<Prefix, usize>, peer: Peer) {
    peer.networks().for_each(|prefix| *counts.entry(prefix).or_default() += 1);
}

fn take(counts: &mut HashMap<Prefix, usize>, peer: Peer) {
    for prefix in peer.networks() {
        if let Some(count) = counts.get_mut(&prefix) {
            *count -= 1;
            if *count == 0 {
                counts.remove(&prefix);
            }
        }
    }
}
