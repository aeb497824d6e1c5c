//! Who is at the other end of a connection, as far as the shell knows. The core is told the origin and the wire alone.

use std::fmt;
use std::net::{IpAddr, Ipv6Addr};

use crate::names::{Origin, Prefix, Wire};

/// What the operator's door is called where addresses are told.
const CONTROL: &str = "ctl";

/// Who is at the other end of a connection.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Peer {
    /// None by the operator's door.
    address: Option<IpAddr>,
    whose: Whose,
    wire: Wire,
}

/// Whose the address of a peer is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Whose {
    /// Its own.
    Own,
    /// Its own, as a proxy says: it is a network's like any other, even if it is one of loopback.
    Named,
    /// That of a proxy which has not said yet for whom it comes.
    Proxy,
}

impl Peer {
    /// Whoever came by the operator's door.
    pub const CONTROL: Self = Self { address: None, whose: Whose::Own, wire: Wire::Secure };

    /// Whoever came in clear from this address. Nobody can read along within this machine.
    pub fn at(address: IpAddr) -> Self {
        let address = address.to_canonical();
        let wire = if address.is_loopback() { Wire::Secure } else { Wire::Clear };
        Self { address: Some(address), whose: Whose::Own, wire }
    }

    /// A proxy at this address, which is yet to say for whom it comes.
    pub fn proxy(address: IpAddr) -> Self {
        Self { whose: Whose::Proxy, ..Self::at(address) }
    }

    /// Whoever a proxy says came from this address, and whether others can read along on the way to that proxy.
    pub fn named(address: IpAddr, wire: Wire) -> Self {
        Self { address: Some(address.to_canonical()), whose: Whose::Named, wire }
    }

    /// The same where it comes for itself: it has told of nobody else.
    pub fn itself(self) -> Self {
        Self { whose: Whose::Own, ..self }
    }

    /// The same on a connection that is encrypted.
    pub fn encrypted(self) -> Self {
        Self { wire: Wire::Secure, ..self }
    }

    /// The address; `None` by the operator's door.
    pub fn address(self) -> Option<IpAddr> {
        self.address
    }

    /// Whether it came by the operator's door.
    pub fn is_control(self) -> bool {
        self.address.is_none()
    }

    /// Whether it is a proxy that has not said yet for whom it comes.
    pub fn is_proxy(self) -> bool {
        self.whose == Whose::Proxy
    }

    /// Where it comes from as the log has it: an IPv4 address, or the /64 of an IPv6 address, which is what one customer has.
    pub fn prefix(self) -> String {
        match self.address {
            Some(IpAddr::V6(address)) if !address.is_loopback() => {
                let [a, b, c, d, ..] = address.segments();
                format!("{}/64", Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0))
            }
            _ => self.to_string(),
        }
    }

    /// What the core knows it by. A proxy that has said nothing yet is as good as this machine.
    pub fn origin(self) -> Origin {
        match (self.address, self.whose) {
            (None, _) | (_, Whose::Proxy) => Origin::Loopback,
            (Some(address), Whose::Own) if address.is_loopback() => Origin::Loopback,
            (Some(IpAddr::V4(address)), _) => Origin::Network(Prefix::v4(address.octets())),
            (Some(IpAddr::V6(address)), _) => Origin::Network(Prefix::v6(address.octets())),
        }
    }

    /// Whether others can read along.
    pub fn wire(self) -> Wire {
        self.wire
    }

    /// The networks in which it counts, the smaller one first. Who is on this machine has none.
    pub fn networks(self) -> impl Iterator<Item = Prefix> {
        let prefix = match self.origin() {
            Origin::Loopback => None,
            Origin::Network(prefix) => Some(prefix),
        };
        prefix.into_iter().chain(prefix.and_then(Prefix::wider))
    }
}

/// Where it comes from, in words.
impl fmt::Display for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.address {
            Some(address) => address.fmt(f),
            None => f.write_str(CONTROL),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_a_proxy_names_is_never_of_this_machine() {
        for address in ["127.0.0.1", "::1", "::ffff:127.0.0.1"].map(|address| address.parse().unwrap()) {
            assert_eq!((Peer::at(address).origin(), Peer::at(address).wire()), (Origin::Loopback, Wire::Secure));
            let named = Peer::named(address, Wire::Clear);
            assert!(named.origin() != Origin::Loopback && named.wire() == Wire::Clear && named.networks().count() > 0);
        }
    }

    #[test]
    fn the_log_has_of_an_ipv6_address_what_one_customer_has() {
        let prefix = |address: &str| Peer::at(address.parse().unwrap()).prefix();
        assert_eq!(["203.0.113.7", "::ffff:203.0.113.7"].map(prefix), ["203.0.113.7"; 2]);
        assert_eq!(["2001:db8:1:2:3:4:5:6", "::1"].map(prefix), ["2001:db8:1:2::/64", "::1"]);
        assert_eq!(Peer::CONTROL.prefix(), "ctl");
    }

    #[test]
    fn what_is_encrypted_comes_from_where_it_comes() {
        let far = Peer::at([203, 0, 113, 5].into());
        assert_eq!((far.wire(), far.encrypted().wire()), (Wire::Clear, Wire::Secure));
        assert_eq!(far.origin(), far.encrypted().origin());
    }
}
