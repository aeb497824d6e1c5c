//! Who and what things are called: identifiers, and names and texts that are checked when they are made.

use std::cmp::Ordering;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::num::NonZeroU64;
use std::rc::Rc;

use arrayvec::ArrayString;

pub use crate::text::clean;
use crate::text::narrow;

macro_rules! slot_id {
    ($(#[$doc:meta])* $name:ident, $nobody:literal) => {
        $(#[$doc])*
        ///
        /// A slot is handed out again as soon as it is free, so the slot alone would let a stale ID hit a stranger. The
        /// generation makes a stale ID miss.
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
        pub struct $name {
            slot: u32,
            generation: u32,
        }

        impl $name {
            #[doc = $nobody]
            pub const NOBODY: Self = Self { slot: u32::MAX, generation: 0 };

            /// No other is before it.
            pub const FIRST: Self = Self { slot: 0, generation: 0 };

            /// Who holds `slot` in this `generation` of it.
            pub fn new(slot: u32, generation: u32) -> Self {
                Self { slot, generation }
            }

            /// The slot, for indexing; two that never live at the same time may share it.
            pub fn slot(self) -> usize {
                self.slot as usize
            }
        }
    };
}

slot_id! {
    /// One connection, for as long as the process runs: a way in.
    ConnId, "No connection ever: where the server acts by itself."
}

slot_id! {
    /// Somebody who is shown under a name, for as long as the process runs. It tells nothing of how they are connected.
    PersonId, "No person ever: who said or sent something before the process began."
}

/// Where a connection comes from.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Origin {
    /// From this machine, be it a person or a proxy that names nobody.
    Loopback,
    /// From this network.
    Network(Prefix),
}

impl Origin {
    /// The largest network of it that one customer may have: of IPv6, the /48.
    pub fn widest(self) -> Self {
        match self {
            Self::Loopback => Self::Loopback,
            Self::Network(prefix) => Self::Network(prefix.wider().unwrap_or(prefix)),
        }
    }
}

/// The network that one customer has of their provider: an IPv4 address, or an IPv6 /64 or /48.
///
/// It is one word: of an IPv6 /64 its eight bytes, of a /48 its six, and of an IPv4 address its four behind a 1. None of
/// these can be another, as no network of the IPv6 internet begins with 16 zero bits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Prefix(NonZeroU64);

impl Prefix {
    /// The network of an IPv4 address.
    pub fn v4(octets: [u8; 4]) -> Self {
        // It is worked out while the program is built, and cannot fail later.
        const MARK: NonZeroU64 = NonZeroU64::new(1 << 32).unwrap();
        Self(MARK | u64::from(u32::from_be_bytes(octets)))
    }

    /// The /64 of an IPv6 address, or the network of the IPv4 address that is mapped into it.
    pub fn v6(octets: [u8; 16]) -> Self {
        if let [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, a, b, c, d] = octets {
            return Self::v4([a, b, c, d]);
        }
        let [a, b, c, d, e, f, g, h, ..] = octets;
        Self(NonZeroU64::new(u64::from_be_bytes([a, b, c, d, e, f, g, h])).unwrap_or(NonZeroU64::MIN))
    }

    /// The /48 that a /64 lies in; `None` for others.
    pub fn wider(self) -> Option<Self> {
        NonZeroU64::new(self.0.get() >> 16).filter(|_| self.0.get() >> 48 != 0).map(Self)
    }
}

/// What takes up a place that is kept: random bits, as 32 hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct PlaceToken(pub u128);

impl PlaceToken {
    /// Reads 32 hexadecimal digits in small letters; `None` for anything else.
    pub fn new(word: &str) -> Option<Self> {
        let token = u128::from_str_radix(word, 16).ok().map(Self)?;
        (token.to_string() == word).then_some(token)
    }
}

impl fmt::Display for PlaceToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

/// It is a secret, and stands in no log.
impl fmt::Debug for PlaceToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PlaceToken")
    }
}

/// A file that was shared. IDs count up and are never used again.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct FileId(pub u64);

impl fmt::Display for FileId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

macro_rules! short_name {
    ($(#[$doc:meta])* $name:ident, $max:literal, $valid:expr) => {
        $(#[$doc])*
        #[derive(Clone, Copy)]
        pub struct $name(ArrayString<$max>);

        impl $name {
            /// Checks `name`; `None` if it breaks the rule above.
            pub fn new(name: &str) -> Option<Self> {
                let valid: fn(&str) -> bool = $valid;
                if valid(name) { ArrayString::from(name).ok().map(Self) } else { None }
            }

            /// The name as it was given.
            pub fn as_str(&self) -> &str {
                self.0.as_str()
            }

            fn folded(&self) -> ArrayString<$max> {
                let mut name = self.0;
                name.make_ascii_lowercase();
                name
            }
        }

        impl PartialEq for $name {
            fn eq(&self, other: &Self) -> bool {
                self.0.eq_ignore_ascii_case(&other.0)
            }
        }

        impl Eq for $name {}

        impl PartialOrd for $name {
            fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
                Some(self.cmp(other))
            }
        }

        impl Ord for $name {
            fn cmp(&self, other: &Self) -> Ordering {
                // Most names differ early, and long lists are brought into their order.
                let [one, two] = [self, other].map(|name| name.0.bytes().map(|b| b.to_ascii_lowercase()));
                one.cmp(two)
            }
        }

        impl Hash for $name {
            fn hash<H: Hasher>(&self, state: &mut H) {
                state.write(self.folded().as_bytes());
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.as_str())
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{:?}", self.as_str())
            }
        }
    };
}

fn is_word(name: &[u8]) -> bool {
    name.iter().all(|&b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-')
}

short_name! {
    /// What a person is called: `[A-Za-z][A-Za-z0-9_-]{0,19}`, but not `on` or `off`, which commands take for switches.
    Nick, 20, |name| {
        let bytes = name.as_bytes();
        matches!(bytes, [b'A'..=b'Z' | b'a'..=b'z', rest @ ..] if rest.len() <= 19 && is_word(rest))
            && !name.eq_ignore_ascii_case("on")
            && !name.eq_ignore_ascii_case("off")
    }
}

short_name! {
    /// What a room is called: `#[A-Za-z0-9][A-Za-z0-9_-]{0,30}`.
    RoomName, 32, |name| {
        matches!(name.as_bytes(), [b'#', first, rest @ ..]
            if first.is_ascii_alphanumeric() && rest.len() <= 30 && is_word(rest))
    }
}

impl RoomName {
    /// The room that somebody may mean who left out what tells rooms from people.
    pub fn meant(word: &str) -> Option<Self> {
        Self::new(&format!("#{word}"))
    }
}

impl Nick {
    /// The name that is given to who has not chosen one: `guest1`, `guest2`, …
    pub fn guest(number: u64) -> Option<Self> {
        Self::new(&format!("guest{number}"))
    }

    /// The number in a guest's name; `None` for any other name.
    pub fn guest_number(&self) -> Option<u64> {
        let number = self.as_str().to_ascii_lowercase().strip_prefix("guest")?.parse().ok()?;
        // `guest007` is a name that somebody chose: it stands in nobody's way.
        (Self::guest(number)? == *self).then_some(number)
    }
}

/// Where something is said, as the one who hears it names the place: `#room`, or `@nick` for a private conversation.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Place {
    /// In a room.
    Room(RoomName),
    /// In private, with this other person.
    With(Nick),
}

impl Place {
    /// Reads `#room` or `@nick`; `None` for anything else.
    pub fn new(text: &str) -> Option<Self> {
        match text.strip_prefix('@') {
            Some(nick) => Nick::new(nick).map(Self::With),
            None => RoomName::new(text).map(Self::Room),
        }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Room(room) => write!(f, "{room}"),
            Self::With(nick) => write!(f, "@{nick}"),
        }
    }
}

/// Text that people wrote to each other, safe to show on any terminal: no line ends, no control characters but TAB, no
/// bidirectional overrides, nothing hidden, no long rows of blanks. It is shared, not copied.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Text(Rc<str>);

impl Text {
    /// Makes `text` safe, see [`clean`] and [`narrow`].
    pub fn new(text: &str) -> Self {
        Self(Rc::from(&*narrow(&clean(text.as_bytes()))))
    }

    /// Makes text of the operator's safe, see [`clean`]. Its blanks stay as they are: nobody else can write lines of the server's.
    pub fn of_operator(text: &str) -> Self {
        Self(Rc::from(&*clean(text.as_bytes())))
    }

    /// It as a string, with nothing in it that could drive a terminal.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The last part of a path, at most 255 bytes, that names a file in whatever folder it is saved to and nothing outside it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct FileName(Text);

impl FileName {
    /// The most bytes that a name may have, as most file systems hold no longer one.
    pub const MAX: usize = 255;

    /// Checks `name`; `None` if it is empty, too long, has a path separator of any system, or is `.` or `..`.
    pub fn new(name: &str) -> Option<Self> {
        let name = Text::new(name);
        let is_plain = !name.as_str().is_empty()
            && name.as_str().len() <= Self::MAX
            && !name.as_str().contains(['/', '\\'])
            && !matches!(name.as_str(), "." | "..");
        is_plain.then_some(Self(name))
    }

    /// It as a string, without any folder.
    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }
}

impl fmt::Display for FileName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A SHA-256 digest, shown as `sha256:` and 64 hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Digest(pub [u8; 32]);

impl Digest {
    /// Reads 64 hexadecimal digits in either case; `None` for anything else.
    pub fn from_hex(hex: &str) -> Option<Self> {
        let hex = hex.as_bytes();
        if hex.len() != 64 {
            return None;
        }
        let digit = |b: u8| char::from(b).to_digit(16).and_then(|d| u8::try_from(d).ok());
        let mut bytes = [0; 32];
        for (byte, pair) in bytes.iter_mut().zip(hex.chunks_exact(2)) {
            *byte = digit(pair[0])? << 4 | digit(pair[1])?;
        }
        Some(Self(bytes))
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("sha256:")?;
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nicks() {
        for good in ["a", "Alice", "a-b_c", "a2345678901234567890", "guest1", "offer"] {
            assert!(Nick::new(good).is_some(), "{good}");
        }
        for bad in ["", "1a", "-a", "a b", "é", "a23456789012345678901", "on", "OFF", "#a", "a\u{fffd}"] {
            assert!(Nick::new(bad).is_none(), "{bad}");
        }
        assert_eq!(Nick::new("Bob"), Nick::new("bOB"));
        assert_ne!(Nick::new("bob"), Nick::new("bobb"));
        assert_eq!(Nick::new("Bob").unwrap().as_str(), "Bob");
    }

    #[test]
    fn rooms() {
        for good in ["#a", "#1", "#a-b_c", "#a123456789012345678901234567890"] {
            assert!(RoomName::new(good).is_some(), "{good}");
        }
        for bad in ["", "#", "a", "#-a", "##a", "#a b", "#é", "#a1234567890123456789012345678901"] {
            assert!(RoomName::new(bad).is_none(), "{bad}");
        }
    }

    #[test]
    fn guests() {
        let number = |name: &str| Nick::new(name).unwrap().guest_number();
        assert_eq!(number("guest1"), Some(1));
        assert_eq!(number("GUEST20"), Some(20));
        assert_eq!(number("guest01"), None);
        assert_eq!(number("guest"), None);
        assert_eq!(number("guests1"), None);
    }

    #[test]
    fn an_address_counts_as_its_network() {
        let v6 = |start: [u8; 8], end: u8| {
            let mut octets = [end; 16];
            octets[..8].copy_from_slice(&start);
            Prefix::v6(octets)
        };
        let home = [0x20, 0x01, 0x0d, 0xb8, 0, 1, 0, 0];
        let neighbour = [0x20, 0x01, 0x0d, 0xb8, 0, 1, 0, 9];
        let elsewhere = [0x20, 0x01, 0x0d, 0xb8, 0, 2, 0, 0];
        assert_eq!(v6(home, 1), v6(home, 2));
        assert_ne!(v6(home, 1), v6(neighbour, 1));
        assert_eq!(v6(home, 1).wider(), v6(neighbour, 1).wider());
        assert_ne!(v6(home, 1).wider(), v6(elsewhere, 1).wider());
        assert_eq!(v6(home, 1).wider().unwrap().wider(), None);
        let mapped = [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 203, 0, 113, 5];
        assert_eq!(Prefix::v6(mapped), Prefix::v4([203, 0, 113, 5]));
        assert_ne!(Prefix::v4([203, 0, 113, 4]), Prefix::v4([203, 0, 113, 5]));
        assert_eq!(Prefix::v4([203, 0, 113, 5]).wider(), None);
    }

    #[test]
    fn file_names_stay_in_their_folder() {
        for good in ["cat.png", ".hidden", "two words", "a..b", "…"] {
            assert!(FileName::new(good).is_some(), "{good}");
        }
        let long = "x".repeat(256);
        for bad in ["", ".", "..", "a/b", "/etc/passwd", "..\\x", &long] {
            assert!(FileName::new(bad).is_none(), "{bad}");
        }
    }

    #[test]
    fn digests() {
        let hex = "9F86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08";
        let digest = Digest::from_hex(hex).unwrap();
        assert_eq!(digest.to_string(), format!("sha256:{}", hex.to_lowercase()));
        for bad in ["", "9f", &hex[1..], &format!("{}g", &hex[1..]), &format!("+{}", &hex[1..])] {
            assert!(Digest::from_hex(bad).is_none(), "{bad}");
        }
    }
}
