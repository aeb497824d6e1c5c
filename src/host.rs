//! By which names of itself a server lets browsers in. A page of a stranger can have its own name lead here, and would then be taken
//! for a page of ours; such a name is one of the public internet.

use std::net::{Ipv4Addr, Ipv6Addr};

/// Ends of names that nobody can register.
const OURS: &[&str] = &[".local", ".localhost", ".internal", ".home.arpa"];

/// Whether `host`, as the header `Host` of HTTP has it, with its port or without, is no name of the public internet: an address, a name
/// without a dot, or one of those that are for networks of one's own.
pub fn is_private(host: &str) -> bool {
    if let Some((address, port)) = host.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        return address.parse::<Ipv6Addr>().is_ok() && (port.is_empty() || is_port(port));
    }
    let (name, port) = host.split_at(host.find(':').unwrap_or(host.len()));
    if !port.is_empty() && !is_port(port) {
        return false;
    }
    let name = name.strip_suffix('.').unwrap_or(name).to_ascii_lowercase();
    let is_name = !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b));
    let is_ours = || !name.contains('.') || OURS.iter().any(|end| name.ends_with(end));
    name.parse::<Ipv4Addr>().is_ok() || is_name && is_ours()
}

/// Whether it is a colon and a port, which may be left out.
fn is_port(text: &str) -> bool {
    text.strip_prefix(':').is_some_and(|port| port.is_empty() || port.parse::<u16>().is_ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_of_the_public_internet_is_none_of_ours() {
        for host in ["127.0.0.1", "127.0.0.1:9429", "[::1]:9429", "[2001:db8::1]", "localhost", "LOCALHOST:80", "pi"] {
            assert!(is_private(host), "{host}");
        }
        for host in ["pi.local", "chat.internal:9429", "a.home.arpa.", "x.LocalHost", "203.0.113.7:1"] {
            assert!(is_private(host), "{host}");
        }
        for host in ["example.org", "127.0.0.1.example.org", "local.example.org:80", "localhost.com", "evil.local.com"]
        {
            assert!(!is_private(host), "{host}");
        }
        for host in ["", ":80", ".", "[::1", "[example.org]", "a:b", "a:99999", "1.2.3", "local host", "a/b", "::1"] {
            assert!(!is_private(host), "{host}");
        }
    }
}
