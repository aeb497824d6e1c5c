//! By which names of itself a server lets browsers in. A page of a stranger can have its own name lead here, and would then be taken
//! for a page of ours; such a name is one of the public internet.

use std::net::{Ipv4Addr, Ipv6Addr};

/// Ends of names that nobody can register.
const OURS: &[&str] = &[".local", ".localhost", ".internal", ".home.arpa"];

/// The name or address that stands before a port, in lower case and without a dot at its end, and the port if there is one; `None` if it
/// is not as the header `Host` of HTTP has it (RFC 9112, 3.2) with what names have on the internet.
pub fn split(text: &str) -> Option<(String, Option<u16>)> {
    let at = text.rfind(':').filter(|_| !text.ends_with(']')).unwrap_or(text.len());
    let (host, port) = text.split_at(at);
    let port = match port.strip_prefix(':') {
        Some(digits) if digits.bytes().all(|byte| byte.is_ascii_digit()) => Some(digits.parse().ok()?),
        Some(_) => return None,
        None => None,
    };
    let host = host.strip_suffix('.').unwrap_or(host).to_ascii_lowercase();
    let bracketed = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
    let is_address = bracketed.is_some_and(|address| address.parse::<Ipv6Addr>().is_ok());
    let is_label =
        |label: &str| !label.is_empty() && label.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_".contains(&b));
    (is_address || host.split('.').all(is_label)).then_some((host, port))
}

/// Whether a host, as [`split`] gives it, is no name of the public internet: an address, a name without a dot, or one of those that are
/// for networks of one's own.
pub fn is_private(host: &str) -> bool {
    let is_ours = || !host.contains('.') || OURS.iter().any(|end| host.ends_with(end));
    host.starts_with('[') || host.parse::<Ipv4Addr>().is_ok() || is_ours()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Whether it is one at all, and private.
    fn is_private(host: &str) -> bool {
        split(host).is_some_and(|(host, _)| super::is_private(&host))
    }

    #[test]
    fn a_host_has_labels_and_a_port_has_digits() {
        assert_eq!(split("Chat.Example.org.:80"), Some(("chat.example.org".to_owned(), Some(80))));
        assert_eq!(split("[::1]"), Some(("[::1]".to_owned(), None)));
        for host in
            ["pi:", "pi:+80", "pi:-1", "pi: 80", "[::1]:", "[::1]:+80", "a..local", ".local", "a...", "[::1].", "[]"]
        {
            assert_eq!(split(host), None, "{host}");
        }
    }

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
