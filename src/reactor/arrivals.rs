//! Connections that have come and cannot be admitted yet, as more of them must come first: a handshake, say. The core knows
//! nothing of them, and no limit of those who are here counts them.

use std::collections::HashMap;

use log::{debug, warn};

use crate::connection::{Connection, Life};
use crate::event::Bye;
use crate::limits;
use crate::metrics::Handshake;
use crate::names::{ConnId, Origin, Prefix, clean};
use crate::peer::Peer;
use crate::plain;
use crate::proxy::BadHeader;
use crate::system::{Newcomer, System};
use crate::time::{Instant, Now};
use crate::transport::{Layer, NotArrived, Transport as _};
use crate::web::Room;

use super::Reactor;
use super::refusals::Refusal;

/// Those that are under way, in the order in which they came.
#[derive(Debug, Default)]
pub(super) struct Arrivals(Vec<Arrival>);

#[derive(Clone, Copy, Debug)]
struct Arrival {
    id: ConnId,
    peer: Peer,
    layer: Layer,
    /// When something of it came last.
    heard: Instant,
}

impl Arrivals {
    /// How many there are.
    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    /// How many of them are browsers.
    fn browsers(&self) -> usize {
        self.0.iter().filter(|arrival| arrival.layer.is_web()).count()
    }

    /// Whether this is one of them.
    pub(super) fn has(&self, id: ConnId) -> bool {
        self.0.iter().any(|arrival| arrival.id == id)
    }

    /// Which of them makes place for one more of a peer, if one must: it is of the network that has as many as may be, or where
    /// there are too many in all, of the one that has most. Of these it is the one that has been without a byte for longest.
    fn victim(&self, peer: Peer) -> Option<ConnId> {
        let is_of = |arrival: &Arrival, prefix: Prefix| arrival.peer.networks().any(|network| network == prefix);
        let most = [limits::ARRIVING_OF_PREFIX, limits::ARRIVING_OF_PREFIX * limits::WIDER as usize];
        let has = |prefix| self.0.iter().filter(|arrival| is_of(arrival, prefix)).count();
        if let Some((crowded, _)) = peer.networks().zip(most).find(|&(prefix, most)| has(prefix) >= most) {
            return self.most_silent(|arrival| is_of(arrival, crowded));
        }
        if self.len() < limits::ARRIVING {
            return None;
        }
        let mut counts: HashMap<Origin, usize> = HashMap::new();
        self.0.iter().for_each(|arrival| *counts.entry(arrival.peer.origin()).or_default() += 1);
        let most = counts.values().max();
        self.most_silent(|arrival| counts.get(&arrival.peer.origin()) == most)
    }

    fn most_silent(&self, is_meant: impl Fn(&Arrival) -> bool) -> Option<ConnId> {
        self.0.iter().filter(|arrival| is_meant(arrival)).min_by_key(|arrival| arrival.heard).map(|arrival| arrival.id)
    }

    fn note_heard(&mut self, id: ConnId, now: Instant) {
        self.0.iter_mut().filter(|arrival| arrival.id == id).for_each(|arrival| arrival.heard = now);
    }

    fn forget(&mut self, id: ConnId) {
        self.0.retain(|arrival| arrival.id != id);
    }
}

impl<S: System> Reactor<S> {
    /// Waits for what more must come of a newcomer. It is looked at in the low-priority run queue, as a handshake costs as much as many
    /// lines.
    pub(super) fn await_arrival(&mut self, newcomer: Newcomer<S::Stream>, now: Now) {
        let Newcomer { mut transport, peer, dialect, .. } = newcomer;
        let layer = transport.layer();
        if layer.is_web() && self.is_full() && self.arrivals.browsers() >= limits::WEB_WHILE_FULL {
            return transport.give_up(Room::None);
        }
        if let Some(victim) = self.arrivals.victim(peer) {
            debug!("connection {victim} makes place for another that arrives");
            self.count_handshake(victim, Handshake::Evicted);
            self.end_arrival(victim);
        }
        if let Err(e) = self.system.register(&mut transport, self.registry.next_slot()) {
            return warn!("cannot set up a connection: {e}");
        }
        let id = self.registry.insert(transport, (peer, now.at), dialect, Life::Arriving);
        self.arrivals.0.push(Arrival { id, peer, layer, heard: now.at });
        let Some(connection) = self.registry.get_mut(id) else { return };
        connection.lower_priority();
        connection.wait_until(now.at + limits::ARRIVE);
        self.run_soon(id);
        self.rearm(id, now);
    }

    /// Goes on with an arrival as far as it goes now.
    pub(super) fn serve_arriving(&mut self, id: ConnId, now: Now) {
        let is_full = self.is_full();
        let Some(connection) = self.registry.get_mut(id) else { return };
        if connection.is_readable() {
            self.arrivals.note_heard(id, now.at);
        }
        let room = if is_full { Room::None } else { Room::Left };
        let arrived = connection.arrive(room);
        if let Some(name) = connection.asked_name() {
            debug!("connection {id} asks for {}", clean(name.as_bytes()));
        }
        match arrived {
            Ok(()) => self.has_arrived(id, now),
            Err(NotArrived::Answering) if now.at < connection.came() + limits::WEB_ANSWER => {
                connection.wait_until(connection.came() + limits::WEB_ANSWER);
            }
            Err(NotArrived::Answered) => {
                self.arrivals.forget(id);
                self.count_handshake(id, Handshake::Ok);
                self.linger(id, now);
            }
            Err(NotArrived::NotYet | NotArrived::Check) if !connection.is_over(now.at) => {
                if connection.is_readable() {
                    self.run_soon(id);
                }
            }
            Err(NotArrived::InClear) => {
                self.arrivals.forget(id);
                connection.restore_priority();
                self.count_handshake(id, Handshake::NotTls);
                self.counts.rejected.count(plain::bye_code(Bye::NeedsTls));
                self.send_off(id, Bye::NeedsTls);
            }
            Err(why) => {
                let peer = connection.peer();
                debug!("connection {id} from {} does not arrive: {why:?}", peer.prefix());
                let bad_header = match why {
                    NotArrived::BadHeader(bad) => Some(bad),
                    NotArrived::NotYet if peer.is_proxy() && !connection.layer().is_web() => Some(BadHeader::Missing),
                    _ => None,
                };
                if let Some(bad) = bad_header {
                    self.refusals.note(peer, Refusal::BadHeader(bad), now.at);
                }
                let is_late = matches!(why, NotArrived::NotYet);
                if let Some(transport) = connection.transport_mut().filter(|_| is_late) {
                    transport.give_up(Room::Left);
                }
                self.count_handshake(id, if is_late { Handshake::Timeout } else { Handshake::Failed });
                self.end_arrival(id);
            }
        }
    }

    /// A connection has arrived, and is admitted as any that comes.
    fn has_arrived(&mut self, id: ConnId, now: Now) {
        self.arrivals.forget(id);
        self.count_handshake(id, Handshake::Ok);
        let Some(connection) = self.registry.get_mut(id) else { return };
        connection.restore_priority();
        connection.note_heard(now.at);
        let peer = connection.peer();
        let admission = self.admission(peer, now);
        self.take_in(id, peer, admission, now);
    }

    /// Counts what came of the handshake of an arrival, if it was to be one of TLS.
    fn count_handshake(&mut self, id: ConnId, came: Handshake) {
        if self.registry.get(id).is_some_and(Connection::is_tls) {
            self.counts.handshakes[came as usize] += 1;
        }
    }

    /// Takes out a connection that has not arrived.
    pub(super) fn end_arrival(&mut self, id: ConnId) {
        self.arrivals.forget(id);
        self.remove(id);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::IpAddr;
    use std::time::Duration;

    fn arrivals(peers: impl IntoIterator<Item = IpAddr>) -> Arrivals {
        let at = |n: usize| Instant::START + Duration::from_millis(n as u64);
        let arrival = |(n, address): (usize, IpAddr)| Arrival {
            id: ConnId::new(u32::try_from(n).unwrap(), 0),
            peer: Peer::at(address),
            layer: Layer::Tls,
            heard: at(n),
        };
        Arrivals(peers.into_iter().enumerate().map(arrival).collect())
    }

    fn v6(subnet: u16, host: u16) -> IpAddr {
        [0x2001, 0xdb8, 7, subnet, 0, 0, 0, host].into()
    }

    fn victim(arrivals: &Arrivals, address: IpAddr) -> Option<usize> {
        arrivals.victim(Peer::at(address)).map(ConnId::slot)
    }

    #[test]
    fn only_so_many_of_a_network_arrive_at_once() {
        let here: IpAddr = [127, 0, 0, 1].into();
        let far = |n: u8| IpAddr::from([203, 0, 113, n]);
        let mut crowd = arrivals([far(1)].into_iter().chain([far(2); limits::ARRIVING_OF_PREFIX]));
        assert_eq!((victim(&crowd, far(2)), victim(&crowd, far(1)), victim(&crowd, here)), (Some(1), None, None));
        // What somebody has been heard to say lately counts, and not when they came.
        crowd.note_heard(ConnId::new(1, 0), Instant::START + Duration::from_secs(1));
        assert_eq!(victim(&crowd, far(2)), Some(2));
        assert_eq!(victim(&arrivals([here; limits::ARRIVING - 1]), here), None);
        // A /48 has eight times as many, whatever its networks are.
        let wide = limits::ARRIVING_OF_PREFIX * limits::WIDER as usize;
        let of_one = (0..wide).map(|n| v6(u16::try_from(n).unwrap(), 1));
        assert_eq!(victim(&arrivals(of_one), v6(0xffff, 1)), Some(0));
    }

    #[test]
    fn of_too_many_one_of_the_network_that_has_most_makes_place() {
        let far = |n: usize| IpAddr::from([203, 0, u8::try_from(n / 256).unwrap(), u8::try_from(n % 256).unwrap()]);
        let others = limits::ARRIVING - 2;
        let crowd = arrivals((0..others).map(far).chain([far(1000); 2]));
        assert_eq!(victim(&crowd, far(2000)), Some(others));
    }
}
