//! All connections: who is admitted, who is on the way out, and how many come from one place.

use std::collections::HashMap;
use std::net::IpAddr;

use slab::Slab;

use crate::connection::{Connection, Life};
use crate::event::Lost;
use crate::limits;
use crate::names::{ConnId, Origin, Prefix};
use crate::outbox::Outbox;
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

/// Where somebody comes from who has this address.
pub fn origin(address: IpAddr) -> Origin {
    match address.to_canonical() {
        address if address.is_loopback() => Origin::Loopback,
        IpAddr::V4(address) => Origin::Network(Prefix::v4(address.octets())),
        IpAddr::V6(address) => Origin::Network(Prefix::v6(address.octets())),
    }
}

/// The networks in which an address counts. Who came by the operator's door has none.
fn networks(address: Option<IpAddr>) -> impl Iterator<Item = Prefix> {
    let prefix = match address.map(origin) {
        None | Some(Origin::Loopback) => None,
        Some(Origin::Network(prefix)) => Some(prefix),
    };
    prefix.into_iter().chain(prefix.and_then(Prefix::wider))
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

    /// Whether as many come from the network of an address as may, or from the larger one around it, which may have
    /// [`limits::WIDER`] times as many. 0 is no limit, and loopback is not counted.
    pub fn is_crowded_from(&self, address: IpAddr, most: usize) -> bool {
        most > 0 && has(&self.by_prefix, Some(address), most)
    }

    /// Whether one more can be heard for a line that comes from an address, though there is no place.
    pub fn hears_another_from(&self, address: IpAddr) -> bool {
        self.applying < limits::APPLYING && !has(&self.applying_of, Some(address), limits::APPLYING_OF_PREFIX)
    }

    /// Whether as many places are kept for the network of an address as may be.
    pub fn keeps_many_from(&self, address: Option<IpAddr>) -> bool {
        has(&self.kept, address, limits::KEPT_OF_PREFIX)
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

    /// Takes a connection in: from where, if not by the operator's door, and when.
    pub fn insert(&mut self, transport: T, origin: (Option<IpAddr>, Instant), dialect: u8, life: Life) -> ConnId {
        let entry = self.slab.vacant_entry();
        self.generation = self.generation.wrapping_add(1);
        // A slab of sockets is bounded by the descriptors, which are far fewer than 2^32.
        let id = ConnId::new(u32::try_from(entry.key()).unwrap_or(u32::MAX), self.generation);
        entry.insert(Box::new(Connection::new(id, transport, origin, dialect, life)));
        self.count(life, origin.0);
        id
    }

    /// A connection goes on to another part of its life.
    pub fn set_life(&mut self, id: ConnId, life: Life) {
        let Some(connection) = self.get_mut(id) else { return };
        let (before, address) = (connection.life(), connection.address());
        connection.set_life(life);
        self.discount(before, address);
        self.count(life, address);
    }

    /// The transport of a connection is lost, and its place is kept until then. Gives the transport.
    pub fn lose(&mut self, id: ConnId, how: Lost, until: Instant) -> Option<T> {
        let connection = self.get_mut(id)?;
        let (before, address) = (connection.life(), connection.address());
        let transport = connection.lose(how, until);
        self.discount(before, address);
        self.count(Life::Kept, address);
        transport
    }

    /// A connection goes on in the place of another, which may still have a transport: gives that, and what was pending for the
    /// one that is no more.
    pub fn take_up(&mut self, place: ConnId, id: ConnId) -> Option<(Option<T>, Outbox)> {
        self.get(place)?;
        let other = self.remove(id)?;
        let connection = self.get_mut(place)?;
        let (before, from, to) = (connection.life(), connection.address(), other.address());
        let taken = connection.take_up(other);
        self.discount(before, from);
        self.count(Life::Active, to);
        Some(taken)
    }

    /// Takes a connection out.
    pub fn remove(&mut self, id: ConnId) -> Option<Connection<T>> {
        let connection = self.get_mut(id)?;
        let (life, address) = (connection.life(), connection.address());
        self.discount(life, address);
        Some(*self.slab.remove(id.slot()))
    }

    /// Panics unless the counts are those of the connections; for tests.
    pub fn check(&self) {
        let count = |lives: &[Life]| self.iter().filter(|connection| lives.contains(&connection.life())).count();
        let is_control = |connection: &&Connection<T>| connection.is_control() && connection.life() != Life::Lingering;
        assert_eq!(self.controls, self.iter().filter(is_control).count());
        assert_eq!(self.admitted + self.controls, count(&[Life::Active, Life::Draining, Life::Kept]));
        let lives = [Life::Rejected, Life::Applying, Life::Lingering].map(|life| count(&[life]));
        assert_eq!([self.rejected, self.applying, self.lingering], lives);
        let by_prefix = |lives: &[Life]| {
            let mut counts = HashMap::new();
            for connection in self.iter().filter(|connection| lives.contains(&connection.life())) {
                networks(connection.address()).for_each(|prefix| *counts.entry(prefix).or_default() += 1);
            }
            counts
        };
        assert_eq!(self.by_prefix, by_prefix(&[Life::Active, Life::Draining, Life::Kept]));
        assert_eq!(self.kept, by_prefix(&[Life::Kept]));
        assert_eq!(self.applying_of, by_prefix(&[Life::Applying]));
    }

    fn count(&mut self, life: Life, address: Option<IpAddr>) {
        match life {
            Life::Active | Life::Draining if address.is_none() => self.controls += 1,
            Life::Active | Life::Draining | Life::Kept => {
                self.admitted += 1;
                add(&mut self.by_prefix, address);
            }
            Life::Applying => {
                self.applying += 1;
                add(&mut self.applying_of, address);
            }
            Life::Rejected => self.rejected += 1,
            Life::Lingering => self.lingering += 1,
        }
        if life == Life::Kept {
            add(&mut self.kept, address);
        }
    }

    fn discount(&mut self, life: Life, address: Option<IpAddr>) {
        match life {
            Life::Active | Life::Draining if address.is_none() => self.controls -= 1,
            Life::Active | Life::Draining | Life::Kept => {
                self.admitted -= 1;
                take(&mut self.by_prefix, address);
            }
            Life::Applying => {
                self.applying -= 1;
                take(&mut self.applying_of, address);
            }
            Life::Rejected => self.rejected -= 1,
            Life::Lingering => self.lingering -= 1,
        }
        if life == Life::Kept {
            take(&mut self.kept, address);
        }
    }
}

/// Whether `most` are counted in the network of an address, or [`limits::WIDER`] times as many in the larger one around it.
fn has(counts: &HashMap<Prefix, usize>, address: Option<IpAddr>, most: usize) -> bool {
    let limits = [most, most.saturating_mul(limits::WIDER as usize)];
    networks(address).zip(limits).any(|(prefix, most)| counts.get(&prefix).is_some_and(|&count| count >= most))
}

fn add(counts: &mut HashMap<Prefix, usize>, address: Option<IpAddr>) {
    networks(address).for_each(|prefix| *counts.entry(prefix).or_default() += 1);
}

fn take(counts: &mut HashMap<Prefix, usize>, address: Option<IpAddr>) {
    for prefix in networks(address) {
        if let Some(count) = counts.get_mut(&prefix) {
            *count -= 1;
            if *count == 0 {
                counts.remove(&prefix);
            }
        }
    }
}
