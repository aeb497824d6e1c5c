//! Servers: how people name them, how they are spoken with, and by what they prove that they are the ones that are meant.

use std::fmt;
use std::io;
use std::net::{Ipv6Addr, SocketAddr, ToSocketAddrs};
use std::str::FromStr;

use crate::names::Digest;

/// The port on which servers speak in clear, unless they are told otherwise.
const CLEAR: u16 = 2428;
/// The port on which they speak TLS.
const TLS: u16 = 2429;
/// What stands before a server that is to be spoken with in TLS alone.
const SCHEME: &str = "tls://";

/// A server as somebody names it: `HOST`, `HOST:PORT` or `tls://HOST[:PORT]`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Named {
    /// Its name or address; one of IPv6 stands in brackets, and may name the interface that it is reached over.
    host: String,
    /// Its port, if one was named.
    pub port: Option<u16>,
    /// How it is to be spoken with.
    pub scheme: Scheme,
}

/// How a server is to be spoken with.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Scheme {
    /// As it turns out.
    Any,
    /// In TLS alone.
    Tls,
}

/// A server, and how it is spoken with.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Server {
    /// Where it is.
    pub address: Address,
    /// How it is spoken with there.
    pub wire: Wire,
}

/// Where a server is: HOST:PORT.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Address {
    /// The name or the address of the host; one of IPv6 stands in brackets.
    pub host: String,
    /// The port.
    pub port: u16,
}

/// How a server is spoken with.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Wire {
    /// So that others on the way can read along.
    Clear,
    /// In TLS, if it proves itself so.
    Tls(Trust),
}

/// By what a server proves that it is the one that is meant.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Trust {
    /// An authority that this system trusts vouches for its certificate.
    Roots,
    /// Its certificate has this digest.
    Certificate(Digest),
}

/// What a server has shown to prove itself.
#[derive(Clone, Debug)]
pub struct Presented {
    /// The digest of its certificate.
    pub digest: Digest,
    /// Why no authority that this system trusts vouches for it, if that is so.
    pub doubt: Option<String>,
}

/// A server has not proved that it is the one that is meant. Nothing was said to it.
#[derive(Debug)]
pub struct Untrusted(String);

impl Named {
    /// The server of this machine, which is meant where none is named.
    pub fn here() -> Self {
        Self { host: "127.0.0.1".to_owned(), port: None, scheme: Scheme::Any }
    }

    /// Where it speaks TLS, if it does.
    pub fn tls(&self) -> Address {
        self.at(TLS)
    }

    /// Where it speaks in clear, if it does.
    pub fn clear(&self) -> Address {
        self.at(CLEAR)
    }

    fn at(&self, port: u16) -> Address {
        Address { host: self.host.clone(), port: self.port.unwrap_or(port) }
    }

    /// Whether it is spoken with in TLS, or in clear, without its being asked; `None` if only that tells. It is an error if its host
    /// is not known.
    pub fn settled(&self) -> io::Result<Option<Scheme>> {
        let is_here = |address: SocketAddr| address.ip().to_canonical().is_loopback();
        Ok(match (self.scheme, self.port) {
            (Scheme::Tls, _) | (_, Some(TLS)) => Some(Scheme::Tls),
            (Scheme::Any, Some(_)) => Some(Scheme::Any),
            // On the way to this machine itself nobody can read along.
            (Scheme::Any, None) => self.clear().resolve()?.into_iter().all(is_here).then_some(Scheme::Any),
        })
    }
}

impl FromStr for Named {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (scheme, text) = match text.strip_prefix(SCHEME) {
            Some(text) => (Scheme::Tls, text),
            None => (Scheme::Any, text),
        };
        if text.starts_with('#') {
            return Err(format!("a server is HOST or HOST:PORT; --join '{text}' enters a room"));
        }
        if text.contains(|c: char| c == '/' || c.is_whitespace()) {
            let why = "a server is HOST or HOST:PORT, as in 127.0.0.1:2428, or tls://HOST, and else without blanks or slashes";
            return Err(why.to_owned());
        }
        let named = |host: &str, port| Ok(Self { host: host.to_owned(), port, scheme });
        // It may name the interface that it is to be reached over.
        let (ip, interface) = text.split_once('%').unwrap_or((text, "lo"));
        if ip.parse::<Ipv6Addr>().is_ok() && !interface.is_empty() && !interface.contains([':', ']']) {
            return named(&format!("[{text}]"), None);
        }
        match text.rsplit_once(':').map(|(host, port)| (host, port.parse())) {
            _ if text.starts_with('[') && text.ends_with(']') => named(text, None),
            None if !text.is_empty() => named(text, None),
            Some((host, Ok(port))) if !host.is_empty() => named(host, Some(port)),
            _ => Err("a server is HOST or HOST:PORT, with a PORT of at most 65535".into()),
        }
    }
}

impl Address {
    /// The host without the brackets that an IPv6 address stands in.
    pub fn bare_host(&self) -> &str {
        self.host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(&self.host)
    }

    /// All addresses that the host has, those of the two families in turn. One of IPv6 may name its interface, as
    /// `[fe80::1%eth0]:2428` does.
    pub fn resolve(&self) -> io::Result<Vec<SocketAddr>> {
        Ok(in_turn((self.bare_host(), self.port).to_socket_addrs()?.collect()))
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.host, self.port)
    }
}

/// As it is kept in a file.
impl fmt::Display for Trust {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Roots => f.write_str("roots"),
            Self::Certificate(digest) => digest.fmt(f),
        }
    }
}

impl Trust {
    /// Reads it as it is kept in a file.
    pub fn parse(text: &str) -> Option<Self> {
        match text {
            "roots" => Some(Self::Roots),
            text => fingerprint(text).map(Self::Certificate),
        }
    }
}

impl Untrusted {
    /// That a server has shown this instead of what is expected of it, and what to do.
    pub fn new(expected: Option<Trust>, Presented { digest, doubt }: &Presented) -> Self {
        let why = match (expected, doubt) {
            (Some(Trust::Certificate(known)), _) => {
                format!("its certificate is {digest}, and not {known} as it should be")
            }
            (_, doubt) => {
                let why = doubt.as_ref().map(|doubt| format!(", as {doubt}")).unwrap_or_default();
                format!("no authority that this system trusts vouches for its certificate {digest}{why}")
            }
        };
        Self(format!(
            "{why}. Somebody may stand between you and the server; nothing was said to it. If its operator tells you that this is \
             right, --fingerprint {digest} takes it"
        ))
    }
}

impl fmt::Display for Untrusted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Untrusted {}

/// The addresses in the order given, but those of the two families in turn.
fn in_turn(addresses: Vec<SocketAddr>) -> Vec<SocketAddr> {
    let is_first_family =
        |address: &SocketAddr| addresses.first().is_some_and(|first| first.is_ipv4() == address.is_ipv4());
    let (one, other): (Vec<_>, Vec<_>) = addresses.iter().copied().partition(is_first_family);
    let longest = one.len().max(other.len());
    (0..longest).flat_map(|n| [one.get(n), other.get(n)]).flatten().copied().collect()
}

/// Reads the digest of a certificate: `sha256:` and 64 hexadecimal digits, among which colons may stand as `openssl` writes them.
pub fn fingerprint(text: &str) -> Option<Digest> {
    Digest::from_hex(&text.strip_prefix("sha256:")?.replace(':', ""))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn servers_are_named() {
        let named = |text: &str| text.parse::<Named>();
        for (text, clear, tls) in [
            ("example.org", "example.org:2428", "example.org:2429"),
            ("example.org:1", "example.org:1", "example.org:1"),
            ("::1", "[::1]:2428", "[::1]:2429"),
            ("[::1]", "[::1]:2428", "[::1]:2429"),
            ("[::1]:1", "[::1]:1", "[::1]:1"),
            ("fe80::1%lo", "[fe80::1%lo]:2428", "[fe80::1%lo]:2429"),
            ("[fe80::1%lo]", "[fe80::1%lo]:2428", "[fe80::1%lo]:2429"),
            ("[fe80::1%lo]:1", "[fe80::1%lo]:1", "[fe80::1%lo]:1"),
        ] {
            for (scheme, text) in [(Scheme::Any, text.to_owned()), (Scheme::Tls, format!("tls://{text}"))] {
                let named = named(&text).unwrap();
                assert_eq!((named.clear().to_string(), named.tls().to_string()), (clear.to_owned(), tls.to_owned()));
                assert_eq!(named.scheme, scheme, "{text}");
            }
        }
        let bad =
            ["", ":", ":2428", "host:", "host:x", "host:99999", "tls://", "tls:/host", "http://host", "#lobby", "a b"];
        for bad in bad {
            assert!(named(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn what_needs_no_answer_of_the_server_is_settled() {
        for (text, want) in [
            ("127.0.0.1", Some(Scheme::Any)),
            ("::1", Some(Scheme::Any)),
            ("192.0.2.1:2428", Some(Scheme::Any)),
            ("192.0.2.1:2429", Some(Scheme::Tls)),
            ("127.0.0.1:2429", Some(Scheme::Tls)),
            ("tls://127.0.0.1:7", Some(Scheme::Tls)),
            ("192.0.2.1", None),
        ] {
            assert_eq!(text.parse::<Named>().unwrap().settled().unwrap(), want, "{text}");
        }
    }

    #[test]
    fn both_families_have_their_turn() {
        let all = |ports: &[(bool, u16)]| {
            let address = |&(is_v6, port): &(bool, u16)| match is_v6 {
                true => SocketAddr::from(([0; 16], port)),
                false => SocketAddr::from(([0; 4], port)),
            };
            ports.iter().map(address).collect::<Vec<_>>()
        };
        let given = all(&[(true, 1), (true, 2), (true, 3), (false, 4)]);
        assert_eq!(in_turn(given), all(&[(true, 1), (false, 4), (true, 2), (true, 3)]));
        assert_eq!(in_turn(all(&[(false, 1)])), all(&[(false, 1)]));
    }

    #[test]
    fn an_address_may_name_its_interface() {
        let resolve = |text: &str| text.parse::<Named>().unwrap().clear().resolve().unwrap();
        let found = resolve("[fe80::1%lo]:2428");
        let [SocketAddr::V6(address)] = &found[..] else { panic!("{found:?}") };
        assert!(address.scope_id() != 0 && address.port() == 2428, "{address}");
        for address in ["127.0.0.1:1", "[::1]:1"] {
            assert_eq!(resolve(address), [address.parse().unwrap()]);
        }
    }

    #[test]
    fn a_fingerprint_is_read_as_openssl_writes_it() {
        let digest = Digest([0xab; 32]);
        for text in [digest.to_string(), format!("sha256:{}", ["AB"; 32].join(":"))] {
            assert_eq!(fingerprint(&text), Some(digest));
        }
        for bad in ["", "sha256:", "roots", &"ab".repeat(32), "sha256:ab"] {
            assert_eq!(fingerprint(bad), None, "{bad}");
        }
    }
}
