//! PROXY headers (versions 1 and 2): what a proxy says first on a connection, so that it is known for whom it is.

use core::net::IpAddr;
use std::fmt;

use memchr::memchr;
use proxy_header::{ParseConfig, ProxyHeader, Tlv};

use crate::limits;
use crate::names::Wire;

/// What a header of version 2 begins with.
pub const SIGNATURE: &[u8; 12] = b"\r\n\r\n\0\r\nQUIT\n";
/// What one of version 1 begins with.
const WORD: &[u8; 6] = b"PROXY ";

/// What a header says.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Header {
    /// The connection is for somebody.
    Named {
        /// Their address, as the proxy has it.
        address: IpAddr,
        /// Whether others can read along up to the proxy, which only version 2 tells.
        wire: Wire,
    },
    /// It is for nobody: the proxy only looks whether the server is there.
    Check,
}

/// Why a connection is not taken on which a header must come first.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum BadHeader {
    /// It is of no proxy that may send one.
    Untrusted,
    /// It does not begin with one.
    Missing,
    /// It is not as the protocol has it.
    Broken,
    /// It has more than [`limits::PROXY_HEADER`] bytes.
    TooLong,
    /// It names no address of the internet, or none of a stream.
    OtherFamily,
}

impl fmt::Display for BadHeader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Untrusted => "a connection that --proxy-from does not allow",
            Self::Missing => "no PROXY header",
            Self::Broken => "a broken PROXY header",
            Self::TooLong => "a PROXY header that is too long",
            Self::OtherFamily => "a PROXY header of another family than TCP over IPv4 or IPv6",
        })
    }
}

/// Reads the header that a connection begins with, and tells how many bytes it has; `None` while more must come. What follows it is
/// not looked at.
pub fn read(bytes: &[u8]) -> Result<Option<(Header, usize)>, BadHeader> {
    if begins(bytes, SIGNATURE) {
        read_v2(bytes)
    } else if begins(bytes, WORD) {
        read_v1(bytes)
    } else {
        Err(BadHeader::Missing)
    }
}

/// Whether bytes begin so, as far as they have come.
fn begins(bytes: &[u8], start: &[u8]) -> bool {
    bytes.iter().zip(start).all(|(one, other)| one == other)
}

fn read_v1(bytes: &[u8]) -> Result<Option<(Header, usize)>, BadHeader> {
    let most = &bytes[..bytes.len().min(limits::PROXY_LINE)];
    let Some(end) = memchr(b'\n', most) else {
        return if most.len() < limits::PROXY_LINE { Ok(None) } else { Err(BadHeader::Broken) };
    };
    let line = bytes[..end].strip_suffix(b"\r").ok_or(BadHeader::Broken)?;
    let words: Vec<&[u8]> = line.split(|&b| b == b' ').collect();
    // The crate takes more than the letter of the protocol: a sign before a port, say.
    let is_port = |word: &[u8]| word.iter().all(u8::is_ascii_digit) && (word == b"0" || !word.starts_with(b"0"));
    let header = match words[..] {
        [_, b"UNKNOWN", ..] => Header::Check,
        [_, b"TCP4" | b"TCP6", _, _, from, to] if is_port(from) && is_port(to) => named(&bytes[..=end])?,
        _ => return Err(BadHeader::Broken),
    };
    Ok(Some((header, end + 1)))
}

fn read_v2(bytes: &[u8]) -> Result<Option<(Header, usize)>, BadHeader> {
    let Some(&[command, family, high, low]) = bytes.get(SIGNATURE.len()..).and_then(<[u8]>::first_chunk) else {
        return Ok(None);
    };
    let len = SIGNATURE.len() + 4 + usize::from(u16::from_be_bytes([high, low]));
    if len > limits::PROXY_HEADER {
        return Err(BadHeader::TooLong);
    }
    let Some(whole) = bytes.get(..len) else { return Ok(None) };
    let header = match (command, family) {
        // Of a check, whatever else stands there means nothing.
        (0x20, _) | (0x21, 0x00..=0x0f) => Header::Check,
        (0x21, 0x11 | 0x21) => named(whole)?,
        (0x21, 0x12 | 0x22 | 0x31 | 0x32) => return Err(BadHeader::OtherFamily),
        _ => return Err(BadHeader::Broken),
    };
    Ok(Some((header, len)))
}

/// For whom a connection is that begins with this whole header.
fn named(header: &[u8]) -> Result<Header, BadHeader> {
    let (header, _) = ProxyHeader::parse(header, ParseConfig::default()).map_err(|_| BadHeader::Broken)?;
    let address = header.proxied_address().ok_or(BadHeader::Broken)?.source.ip();
    let mut wire = Wire::Clear;
    for value in header.tlvs() {
        if let Tlv::Ssl(ssl) = value.map_err(|_| BadHeader::Broken)?
            && ssl.client_ssl()
        {
            wire = Wire::Secure;
        }
    }
    Ok(Header::Named { address, wire })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// A header of version 2.
    fn v2(command: u8, family: u8, rest: &[u8]) -> Vec<u8> {
        let len = u16::try_from(rest.len()).unwrap().to_be_bytes();
        [&SIGNATURE[..], &[command, family], &len, rest].concat()
    }

    /// What a value in one is.
    fn value(kind: u8, bytes: &[u8]) -> Vec<u8> {
        [&[kind][..], &u16::try_from(bytes.len()).unwrap().to_be_bytes(), bytes].concat()
    }

    const FROM: [u8; 4] = [203, 0, 113, 5];
    const PORTS: [u8; 4] = [4, 210, 9, 124];

    fn v4(values: &[u8]) -> Vec<u8> {
        v2(0x21, 0x11, &[&FROM[..], &[192, 0, 2, 1], &PORTS, values].concat())
    }

    fn from(address: &str, wire: Wire) -> Header {
        Header::Named { address: address.parse().unwrap(), wire }
    }

    /// What comes of a header, whatever follows it, and however it comes.
    fn check(header: &[u8], want: Result<Header, BadHeader>) {
        for behind in [&b""[..], b"\x16\x03\x01", b"/nick alice\n", header] {
            let stream = [header, behind].concat();
            let shown = stream.escape_ascii();
            // Byte by byte, nothing is said before it is sure, and then the same for ever.
            let first = (0..=stream.len()).map(|len| read(&stream[..len])).find(|read| *read != Ok(None));
            match want {
                Ok(want) => {
                    assert_eq!(first, Some(Ok(Some((want, header.len())))), "{shown}");
                    (0..header.len()).for_each(|len| assert_eq!(read(&stream[..len]), Ok(None), "{shown}"));
                    (header.len()..=stream.len()).for_each(|len| assert_eq!(Some(read(&stream[..len])), first));
                }
                Err(bad) => assert_eq!((first, read(&stream)), (Some(Err(bad)), Err(bad)), "{shown}"),
            }
        }
    }

    #[test]
    fn version_1_is_read_to_the_letter() {
        let far = Ok(from("203.0.113.5", Wire::Clear));
        check(b"PROXY TCP4 203.0.113.5 192.0.2.1 1234 2428\r\n", far);
        check(b"PROXY TCP4 203.0.113.5 192.0.2.1 0 65535\r\n", far);
        check(b"PROXY TCP6 2001:db8::5 2001:db8::1 1234 2428\r\n", Ok(from("2001:db8::5", Wire::Clear)));
        check(b"PROXY TCP6 ::ffff:203.0.113.5 ::1 1 2\r\n", Ok(from("::ffff:203.0.113.5", Wire::Clear)));
        check(b"PROXY TCP4 127.0.0.1 127.0.0.1 1 2\r\n", Ok(from("127.0.0.1", Wire::Clear)));
        check(b"PROXY UNKNOWN\r\n", Ok(Header::Check));
        check(b"PROXY UNKNOWN ffff:: ffff:: 65535 65535\r\n", Ok(Header::Check));
        let longest = format!("PROXY UNKNOWN {}\r\n", "x".repeat(limits::PROXY_LINE - 16));
        check(longest.as_bytes(), Ok(Header::Check));
        let longer = format!("PROXY UNKNOWN {}\r\n", "x".repeat(limits::PROXY_LINE - 15));
        check(longer.as_bytes(), Err(BadHeader::Broken));
        for broken in [
            "PROXY TCP4 203.0.113.5 192.0.2.1 1234 2428\n",
            "PROXY TCP4 203.0.113.5 192.0.2.1 1234 2428 \r\n",
            "PROXY TCP4 203.0.113.5 192.0.2.1 1234  2428\r\n",
            "PROXY  TCP4 203.0.113.5 192.0.2.1 1234 2428\r\n",
            "PROXY TCP4  203.0.113.5 192.0.2.1 1234 2428\r\n",
            "PROXY TCP4 203.0.113.5 192.0.2.1 +1234 2428\r\n",
            "PROXY TCP4 203.0.113.5 192.0.2.1 01234 2428\r\n",
            "PROXY TCP4 203.0.113.5 192.0.2.1 65536 2428\r\n",
            "PROXY TCP4 203.0.113.5 192.0.2.1 1234\r\n",
            "PROXY TCP4 203.0.113.5 192.0.2.1  2428\r\n",
            "PROXY TCP4 203.0.113.5 192.0.2.1 1234 \r\n",
            "PROXY TCP4 203.0.113.05 192.0.2.1 1234 2428\r\n",
            "PROXY TCP4 203.0.113 192.0.2.1 1234 2428\r\n",
            "PROXY TCP4 2001:db8::5 2001:db8::1 1234 2428\r\n",
            "PROXY TCP6 203.0.113.5 192.0.2.1 1234 2428\r\n",
            "PROXY tcp4 203.0.113.5 192.0.2.1 1234 2428\r\n",
            "PROXY TCP 203.0.113.5 192.0.2.1 1234 2428\r\n",
            "PROXY UDP4 203.0.113.5 192.0.2.1 1234 2428\r\n",
            "PROXY UNKNOWNS\r\n",
            "PROXY UNKNOWN\n",
            "PROXY \r\n",
        ] {
            check(broken.as_bytes(), Err(BadHeader::Broken));
        }
        for missing in ["proxy TCP4 203.0.113.5 192.0.2.1 1234 2428\r\n", "PROXYTCP4", "/nick alice\n", "\x16\x03"] {
            check(missing.as_bytes(), Err(BadHeader::Missing));
        }
    }

    #[test]
    fn version_2_tells_from_where_and_whether_others_can_read_along() {
        let (clear, secure) = (Ok(from("203.0.113.5", Wire::Clear)), Ok(from("203.0.113.5", Wire::Secure)));
        check(&v4(b""), clear);
        check(&v4(&value(0x04, b"nothing")), clear);
        let far = [&[0x20, 1, 0x0d, 0xb8][..], &[0; 11], &[5], &[0; 16], &PORTS].concat();
        check(&v2(0x21, 0x21, &far), Ok(from("2001:db8::5", Wire::Clear)));
        check(&v4(&value(0x20, b"\x01\0\0\0\0")), secure);
        check(&v4(&[value(0x02, b"host"), value(0x20, b"\x05\0\0\0\x01\x21\0\x07TLSv1.3")].concat()), secure);
        // A certificate alone does not say that it is encrypted.
        check(&v4(&value(0x20, b"\x06\0\0\0\0")), clear);
        for (command, family, rest) in
            [(0x20, 0x00, &b""[..]), (0x20, 0x11, b""), (0x20, 0xff, b"x"), (0x21, 0x00, b""), (0x21, 0x01, b"xyz")]
        {
            check(&v2(command, family, rest), Ok(Header::Check));
        }
        for (command, family) in [(0x21, 0x12), (0x21, 0x22), (0x21, 0x31), (0x21, 0x32)] {
            check(&v2(command, family, &[0; 216]), Err(BadHeader::OtherFamily));
        }
        for (command, family) in [(0x11, 0x11), (0x22, 0x11), (0x01, 0x11), (0x21, 0x10), (0x21, 0x41)] {
            check(&v2(command, family, &[0; 216]), Err(BadHeader::Broken));
        }
        // Less than two addresses, half a value, one that is too short.
        for rest in [&[0; 11][..], &[]] {
            check(&v2(0x21, 0x11, rest), Err(BadHeader::Broken));
        }
        for values in [&b"\x20"[..], b"\x20\0\x05\x01", b"\x20\0\x02\x01\0", b"\x04\xff\xff"] {
            check(&v4(values), Err(BadHeader::Broken));
        }
    }

    #[test]
    fn no_header_is_longer_than_it_may_be() {
        let with = |len: usize| v4(&value(0x04, &vec![0; len - v4(b"").len() - 3]));
        check(&with(limits::PROXY_HEADER), Ok(from("203.0.113.5", Wire::Clear)));
        check(&with(limits::PROXY_HEADER + 1), Err(BadHeader::TooLong));
        check(&v2(0x20, 0, &[0; 600]), Err(BadHeader::TooLong));
    }

    proptest! {
        #[test]
        fn more_bytes_never_change_what_a_header_says(
            start in prop_oneof![Just(&SIGNATURE[..]), Just(&b"PROXY TCP4 "[..]), Just(&b"PROXY TCP6 "[..]), Just(&b""[..])],
            rest in prop_oneof![
                "[0-9a-f:. ]{0,60}(\r\n)?.{0,9}".prop_map(String::into_bytes),
                ("[\\x20\\x21][\\x00\\x11\\x21]\\x00", proptest::collection::vec(any::<u8>(), 0..90))
                    .prop_map(|(start, rest)| [start.as_bytes(), &rest[..]].concat()),
            ],
        ) {
            let stream = [start, &rest[..]].concat();
            let whole = read(&stream);
            if let Ok(Some((_, len))) = whole {
                prop_assert!(len <= stream.len().min(limits::PROXY_HEADER));
                prop_assert_eq!(read(&stream[..len]), whole);
                prop_assert_eq!(read(&stream[..len - 1]), Ok(None));
            }
            for len in 0..stream.len() {
                let part = read(&stream[..len]);
                prop_assert!(part == Ok(None) || part == whole, "{:?} of {}", part, stream.escape_ascii());
            }
        }
    }
}
