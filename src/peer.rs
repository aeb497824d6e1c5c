//! Who is at the other end of a connection, as far as the shell knows. The core is told the origin and the wire alone.

use std::fmt;
use std::net::IpAddr;

use crate::names::{Origin, Prefix, Wire};

/// What the operator's door is called where addresses are told.
const CONTROL: &str = "ctl";

/// Who is at the other end of a connection.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Peer {
    /// None by the operator's door.
    address: Option<IpAddr>,
    /// Whether a proxy names the address: then it is a network's like any other, even one of loopback.
    is_named: bool,
    wire: Wire,
}

impl Peer {
    /// Whoever came by the operator's door.
    pub const CONTROL: Self = Self { address: None, is_named: false, wire: Wire::Secure };

    /// Whoever came in clear from this address. Nobody can read along within this machine.
    pub fn at(address: IpAddr) -> Self {
        let address = address.to_canonical();
        let wire = if address.is_loopback() { Wire::Secure } else { Wire::Clear };
        Self { address: Some(address), is_named: false, wire }
    }

    /// Whoever a proxy says came from this address, and whether others can read along on the way to that proxy.
    pub fn named(address: IpAddr, wire: Wire) -> Self {
        Self { address: Some(address.to_canonical()), is_named: true, wire }
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

    /// What the core knows it by.
    pub fn origin(self) -> Origin {
        match self.address {
            None => Origin::Loopback,
            Some(address) if address.is_loopback() && !self.is_named => Origin::Loopback,
            Some(IpAddr::V4(address)) => Origin::Network(Prefix::v4(address.octets())),
            Some(IpAddr::V6(address)) => Origin::Network(Prefix::v6(address.octets())),
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
    fn what_is_encrypted_comes_from_where_it_comes() {
        let far = Peer::at([203, 0, 113, 5].into());
        assert_eq!((far.wire(), far.encrypted().wire()), (Wire::Clear, Wire::Secure));
        assert_eq!(far.origin(), far.encrypted().origin());
    }
}
