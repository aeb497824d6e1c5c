//! Connections that have come and cannot be admitted yet, as more of them must come first: a handshake, say. The core knows
//! nothing of them, and no limit of those who are here counts them.

use std::collections::HashMap;

use log::{debug, warn};

use crate::connection::{Connection, Life};
use crate::event::Bye;
use crate::limits;
use crate::metrics::Handshake;
use crate::names::{ConnId, Origin, Prefix, Wire, clean};
use crate::peer::Peer;
use crate::plain;
use crate::proxy::BadHeader;
use crate::system::{Newcomer, System};
use crate::time::{Instant, Now};
use crate::transport::{Layer, NotArrived, Transport as _};
use crate::web::Places;

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
    /// When something of it came last, or it took something of its answer.
    heard: Instant,
    /// Whether its request is being answered.
    is_answered: bool,
    /// Whether it is counted what came of its handshake.
    is_counted: bool,
}

/// Whether there is a place for one more that arrives.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Place {
    Free,
    /// The one of another, which makes way.
    Of(ConnId),
    None,
}

impl Arrivals {
    /// How many there are.
    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether this is one of them.
    pub(super) fn has(&self, id: ConnId) -> bool {
        self.0.iter().any(|arrival| arrival.id == id)
    }

    /// Whether there is a place for one more of a peer, while there is `room` on the server or none. Browsers have a share of their
    /// own of those of a network, as a page comes by many connections and many people by one address; no answer is cut for another
    /// of the same network.
    fn place(&self, peer: Peer, layer: Layer, places: Places) -> Place {
        let is_alike = |arrival: &Arrival| arrival.layer.is_web() == layer.is_web();
        let is_of = |arrival: &Arrival, prefix: Prefix| arrival.peer.networks().any(|network| network == prefix);
        let most = if layer.is_web() {
            [limits::BROWSERS_OF_PREFIX; 2]
        } else {
            [limits::ARRIVING_OF_PREFIX, limits::ARRIVING_OF_PREFIX * limits::WIDER as usize]
        };
        let has = |prefix| self.0.iter().filter(|arrival| is_alike(arrival) && is_of(arrival, prefix)).count();
        if let Some((crowded, _)) = peer.networks().zip(most).find(|&(prefix, most)| has(prefix) >= most) {
            let silent =
                self.most_silent(|arrival| is_alike(arrival) && is_of(arrival, crowded) && !arrival.is_answered);
            return silent.map_or(Place::None, Place::Of);
        }
        if layer.is_web() && places == Places::None {
            let browsers = self.0.iter().filter(|arrival| arrival.layer.is_web()).count();
            if browsers >= limits::WEB_WHILE_FULL {
                return self.of_largest(|arrival| arrival.layer.is_web());
            }
        }
        if self.len() < limits::ARRIVING { Place::Free } else { self.of_largest(|_| true) }
    }

    /// The place of one of these, of the network that has most of them. An answer is cut only where that network has nothing else.
    fn of_largest(&self, is_meant: impl Fn(&Arrival) -> bool) -> Place {
        let mut counts: HashMap<Origin, usize> = HashMap::new();
        let meant = self.0.iter().filter(|arrival| is_meant(arrival));
        meant.for_each(|arrival| *counts.entry(arrival.peer.origin()).or_default() += 1);
        let most = counts.values().max();
        let is_largest = |arrival: &Arrival| is_meant(arrival) && counts.get(&arrival.peer.origin()) == most;
        let silent = self.most_silent(|arrival| is_largest(arrival) && !arrival.is_answered);
        silent.or_else(|| self.most_silent(is_largest)).map_or(Place::None, Place::Of)
    }

    fn most_silent(&self, is_meant: impl Fn(&Arrival) -> bool) -> Option<ConnId> {
        self.0.iter().filter(|arrival| is_meant(arrival)).min_by_key(|arrival| arrival.heard).map(|arrival| arrival.id)
    }

    fn get_mut(&mut self, id: ConnId) -> Option<&mut Arrival> {
        self.0.iter_mut().find(|arrival| arrival.id == id)
    }

    fn note_heard(&mut self, id: ConnId, now: Instant) {
        if let Some(arrival) = self.get_mut(id) {
            arrival.heard = now;
        }
    }

    /// Its request is being answered, and it took something of that.
    fn note_answered(&mut self, id: ConnId, now: Instant) {
        if let Some(arrival) = self.get_mut(id) {
            (arrival.heard, arrival.is_answered) = (now, true);
        }
    }

    /// Whether it is to be counted what came of its handshake, which is so once.
    fn counts(&mut self, id: ConnId) -> bool {
        self.get_mut(id).is_some_and(|arrival| !std::mem::replace(&mut arrival.is_counted, true))
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
        match self.arrivals.place(peer, layer, self.places()) {
            Place::Free => {}
            Place::Of(other) => {
                debug!("connection {other} makes place for another that arrives");
                self.count_handshake(other, Handshake::Evicted);
                if let Some(transport) = self.registry.get_mut(other).and_then(Connection::transport_mut) {
                    transport.give_up(Places::None);
                }
                self.end_arrival(other);
            }
            Place::None => return transport.give_up(Places::None),
        }
        if let Err(e) = self.system.register(&mut transport, self.registry.next_slot()) {
            return warn!("cannot set up a connection: {e}");
        }
        let id = self.registry.insert(transport, (peer, now.at), dialect, Life::Arriving);
        self.arrivals.0.push(Arrival { id, peer, layer, heard: now.at, is_answered: false, is_counted: false });
        let Some(connection) = self.registry.get_mut(id) else { return };
        connection.lower_priority();
        connection.wait_until(now.at + limits::ARRIVE);
        self.run_soon(id);
        self.rearm(id, now);
    }

    /// Goes on with an arrival as far as it goes now.
    pub(super) fn serve_arriving(&mut self, id: ConnId, now: Now) {
        let places = self.places();
        let Some(connection) = self.registry.get_mut(id) else { return };
        if connection.is_readable() {
            self.arrivals.note_heard(id, now.at);
        }
        let arrived = connection.arrive(places);
        if let Some(name) = connection.asked_name() {
            debug!("connection {id} asks for {}", clean(name.as_bytes()));
        }
        if let Some(wire) = connection.handshake() {
            self.count_handshake(id, if wire == Wire::Secure { Handshake::Ok } else { Handshake::NotTls });
        }
        let Some(connection) = self.registry.get_mut(id) else { return };
        match arrived {
            Ok(()) => self.has_arrived(id, now),
            Err(NotArrived::Answering) if now.at < connection.came() + limits::WEB_ANSWER => {
                connection.wait_until(connection.came() + limits::WEB_ANSWER);
                self.arrivals.note_answered(id, now.at);
            }
            Err(NotArrived::Answered) => {
                self.arrivals.forget(id);
                self.linger(id, now);
            }
            Err(NotArrived::NotYet | NotArrived::Check) if !connection.is_over(now.at) => {
                if connection.is_readable() {
                    self.run_soon(id);
                }
            }
            Err(NotArrived::InClear { is_proxied }) => {
                self.arrivals.forget(id);
                if is_proxied {
                    self.refusals.note(connection.peer(), Refusal::Told(Bye::NotProxied), now.at);
                }
                connection.restore_priority();
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
                    transport.give_up(Places::Left);
                }
                self.count_handshake(id, if is_late { Handshake::Timeout } else { Handshake::Failed });
                self.end_arrival(id);
            }
        }
    }

    /// A connection has arrived, and is admitted as any that comes.
    fn has_arrived(&mut self, id: ConnId, now: Now) {
        self.arrivals.forget(id);
        let Some(connection) = self.registry.get_mut(id) else { return };
        connection.restore_priority();
        connection.note_heard(now.at);
        let peer = connection.peer();
        let admission = self.admission(peer, now);
        self.take_in(id, peer, admission, now);
    }

    /// Whether there is a place on the server for one more.
    fn places(&self) -> Places {
        if self.is_full() { Places::None } else { Places::Left }
    }

    /// Counts what came of the handshake of an arrival, if it was to be one of TLS and that is not known yet.
    fn count_handshake(&mut self, id: ConnId, came: Handshake) {
        if self.registry.get(id).is_some_and(Connection::is_tls) && self.arrivals.counts(id) {
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

    fn arrivals(layer: Layer, peers: impl IntoIterator<Item = IpAddr>) -> Arrivals {
        let at = |n: usize| Instant::START + Duration::from_millis(n as u64);
        let arrival = |(n, address): (usize, IpAddr)| Arrival {
            id: ConnId::new(u32::try_from(n).unwrap(), 0),
            peer: Peer::at(address),
            layer,
            heard: at(n),
            is_answered: false,
            is_counted: false,
        };
        Arrivals(peers.into_iter().enumerate().map(arrival).collect())
    }

    fn v6(subnet: u16, host: u16) -> IpAddr {
        [0x2001, 0xdb8, 7, subnet, 0, 0, 0, host].into()
    }

    /// Who makes place for a handshake from there.
    fn who_makes_place(arrivals: &Arrivals, address: IpAddr) -> Option<usize> {
        match arrivals.place(Peer::at(address), Layer::Tls, Places::Left) {
            Place::Of(id) => Some(id.slot()),
            Place::Free => None,
            Place::None => panic!("there is no place"),
        }
    }

    fn place_for_browser(arrivals: &Arrivals, address: IpAddr, places: Places) -> Place {
        arrivals.place(Peer::at(address), Layer::Wss, places)
    }

    fn id(n: usize) -> ConnId {
        ConnId::new(u32::try_from(n).unwrap(), 0)
    }

    #[test]
    fn only_so_many_of_a_network_arrive_at_once() {
        let here: IpAddr = [127, 0, 0, 1].into();
        let far = |n: u8| IpAddr::from([203, 0, 113, n]);
        let mut crowd = arrivals(Layer::Tls, [far(1)].into_iter().chain([far(2); limits::ARRIVING_OF_PREFIX]));
        assert_eq!(
            (who_makes_place(&crowd, far(2)), who_makes_place(&crowd, far(1)), who_makes_place(&crowd, here)),
            (Some(1), None, None)
        );
        // What somebody has been heard to say lately counts, and not when they came.
        crowd.note_heard(ConnId::new(1, 0), Instant::START + Duration::from_secs(1));
        assert_eq!(who_makes_place(&crowd, far(2)), Some(2));
        assert_eq!(who_makes_place(&arrivals(Layer::Tls, [here; limits::ARRIVING - 1]), here), None);
        // A /48 has eight times as many, whatever its networks are.
        let wide = limits::ARRIVING_OF_PREFIX * limits::WIDER as usize;
        let of_one = (0..wide).map(|n| v6(u16::try_from(n).unwrap(), 1));
        assert_eq!(who_makes_place(&arrivals(Layer::Tls, of_one), v6(0xffff, 1)), Some(0));
    }

    #[test]
    fn of_too_many_one_of_the_network_that_has_most_makes_place() {
        let far = |n: usize| IpAddr::from([203, 0, u8::try_from(n / 256).unwrap(), u8::try_from(n % 256).unwrap()]);
        let others = limits::ARRIVING - 2;
        let mut crowd = arrivals(Layer::Tls, (0..others).map(far).chain([far(1000); 2]));
        assert_eq!(who_makes_place(&crowd, far(2000)), Some(others));
        // What is being answered makes place last, and only where its network has most.
        crowd.note_answered(id(others), Instant::START);
        assert_eq!(who_makes_place(&crowd, far(2000)), Some(others + 1));
        crowd.note_answered(id(others + 1), Instant::START + Duration::from_secs(1));
        assert_eq!(who_makes_place(&crowd, far(2000)), Some(others));
    }

    #[test]
    fn many_browsers_come_by_one_address_and_no_answer_is_cut_for_another_of_them() {
        let (one, other) = (IpAddr::from([203, 0, 113, 1]), IpAddr::from([203, 0, 113, 2]));
        let most = limits::BROWSERS_OF_PREFIX;
        let mut crowd = arrivals(Layer::Wss, [one; limits::BROWSERS_OF_PREFIX]);
        assert_eq!(place_for_browser(&arrivals(Layer::Ws, vec![one; most - 1]), one, Places::Left), Place::Free);
        assert_eq!(place_for_browser(&crowd, one, Places::Left), Place::Of(id(0)));
        assert_eq!(place_for_browser(&crowd, other, Places::Left), Place::Free);
        // A handshake of theirs that no browser makes has its own share.
        assert_eq!(who_makes_place(&crowd, one), None);
        crowd.note_answered(id(0), Instant::START);
        assert_eq!(place_for_browser(&crowd, one, Places::Left), Place::Of(id(1)));
        (0..most).for_each(|n| crowd.note_answered(id(n), Instant::START));
        assert_eq!(place_for_browser(&crowd, one, Places::Left), Place::None);
        // A /48 has no more than one of its networks may have.
        let of_one = (0..most).map(|n| v6(u16::try_from(n).unwrap(), 1));
        assert_eq!(place_for_browser(&arrivals(Layer::Ws, of_one), v6(0xffff, 1), Places::Left), Place::Of(id(0)));
    }

    #[test]
    fn while_the_server_is_full_no_stranger_keeps_browsers_from_being_read() {
        let (stranger, other) = (IpAddr::from([203, 0, 113, 1]), IpAddr::from([203, 0, 113, 2]));
        let few = limits::WEB_WHILE_FULL;
        let crowd = arrivals(Layer::Ws, [other].into_iter().chain(vec![stranger; few - 1]));
        assert_eq!(place_for_browser(&crowd, other, Places::Left), Place::Free);
        assert_eq!(place_for_browser(&crowd, other, Places::None), Place::Of(id(1)));
        assert_eq!(place_for_browser(&arrivals(Layer::Ws, vec![stranger; few - 1]), other, Places::None), Place::Free);
    }
}
