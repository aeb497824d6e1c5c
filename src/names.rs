//! Who and what things are called: identifiers, and names and texts that are checked when they are made.

use std::cmp::Ordering;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::num::NonZeroU64;
use std::rc::Rc;

use arrayvec::{ArrayString, ArrayVec};
use smol_str::SmolStr;

pub use crate::text::clean;
use crate::text::{is_blank, is_plain, narrow};
use crate::unicode::{Looks, compare, fold, is_in_profile, is_letter, is_part, is_same, mixture, nfc};

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

            /// The slot, as it is kept.
            pub fn slot_kept(self) -> u32 {
                self.slot
            }
        }
    };
}

slot_id! {
    /// One connection, for as long as the process runs: a way in.
    ConnId, "No connection ever: where the server acts by itself."
}

impl ConnId {
    /// Whether it came before another that is here, or was not long ago.
    pub fn is_older_than(self, other: Self) -> bool {
        self.generation.wrapping_sub(other.generation) > u32::MAX / 2
    }
}

/// The number that it has in the log of the process: connections count up.
impl fmt::Display for ConnId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.generation.fmt(f)
    }
}

slot_id! {
    /// Somebody who is shown under a name, for as long as the process runs. It tells nothing of how they are connected.
    PersonId, "No person ever: who said or sent something before the process began."
}

/// Whom somebody was before, through the same connection.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Was {
    /// One of several connections of this person.
    Person(PersonId),
    /// The owner of this name.
    Owner(KeptNick),
}

/// Where a connection comes from.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Origin {
    /// From this machine, be it a person or a proxy that names nobody.
    Loopback,
    /// From this network.
    Network(Prefix),
}

/// Whether others can read along on a connection.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Wire {
    /// Nobody can.
    Secure,
    /// Whoever is on the way.
    Clear,
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

    /// The IPv4 address that it is, or else what an IPv6 address in it begins with.
    pub fn octets(self) -> Result<[u8; 4], [u8; 8]> {
        match self.0.get().to_be_bytes() {
            [0, 0, 0, 1, a, b, c, d] => Ok([a, b, c, d]),
            // A /48 does not fill its word.
            [0, 0, a, b, c, d, e, f] => Err([a, b, c, d, e, f, 0, 0]),
            octets => Err(octets),
        }
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

/// Why something that was typed can be no name of its kind.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum BadName {
    /// There is nothing of it besides what names of its kind begin with, or not even that.
    Empty,
    /// It has too many characters, or bytes.
    TooLong,
    /// It begins with this character.
    Begins(char),
    /// This character stands in it, which is none that names have.
    Has(char),
    /// This one too, against which Unicode advises.
    Unusual(char),
    /// Letters of these two scripts stand in it, which nobody writes together.
    Mixes([&'static str; 2]),
    /// What commands, the server and its services are called, and what looks like that: people give passwords to these.
    Reserved,
}

macro_rules! short_name {
    ($(#[$doc:meta])* $name:ident, $sign:literal, $bytes:literal, $characters:literal, $may_begin:expr) => {
        $(#[$doc])*
        #[derive(Clone, Copy)]
        pub struct $name(ArrayString<$bytes>);

        impl $name {
            /// The most characters that it has, besides its sign.
            pub const CHARACTERS: usize = $characters;
            /// The most bytes that it has.
            pub const BYTES: usize = $bytes;

            fn check(name: &str) -> Result<Self, BadName> {
                let name = nfc(name);
                let letters = name.strip_prefix($sign).ok_or(BadName::Empty)?;
                let may_begin: fn(char) -> bool = $may_begin;
                match letters.chars().next() {
                    None => return Err(BadName::Empty),
                    Some(first) if !may_begin(first) => return Err(BadName::Begins(first)),
                    Some(_) => {}
                }
                // What would be left out of a line would be left out of this name, too.
                let is_part = |c: char| is_part(c) || c == '_' || c == '-';
                if let Some(c) = letters.chars().find(|&c| !is_part(c)) {
                    return Err(BadName::Has(c));
                }
                if letters.chars().count() > Self::CHARACTERS {
                    return Err(BadName::TooLong);
                }
                ArrayString::from(&name).map(Self).map_err(|_| BadName::TooLong)
            }

            /// Whether it is written as it should be by whoever takes a name now: with characters that are in use, and without
            /// scripts that nobody writes together. What there is already may be called otherwise.
            fn check_script(&self) -> Result<(), BadName> {
                if self.0.is_ascii() {
                    return Ok(());
                }
                let letters = self.0.trim_start_matches($sign);
                if let Some(c) = letters.chars().find(|&c| !is_in_profile(c)) {
                    return Err(BadName::Unusual(c));
                }
                mixture(letters).map_or(Ok(()), |scripts| Err(BadName::Mixes(scripts)))
            }

            /// The name as it is shown.
            pub fn as_str(&self) -> &str {
                self.0.as_str()
            }
        }

        impl PartialEq for $name {
            fn eq(&self, other: &Self) -> bool {
                is_same(&self.0, &other.0)
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
                compare(&self.0, &other.0)
            }
        }

        impl Hash for $name {
            fn hash<H: Hasher>(&self, state: &mut H) {
                state.write(fold(&self.0).as_bytes());
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

short_name! {
    /// What a person is called, in NFC: a letter, and up to 19 letters, marks, digits, `-` and `_` of any script, but not `on`
    /// or `off`, which commands take for switches. Two are equal if they are without case; whether they are the same for
    /// people, [`Nick::is_like`] tells.
    Nick, "", 60, 20, is_letter
}

short_name! {
    /// What a room is called, in NFC: `#`, a letter or digit, and up to 30 of what nicks have. Two are equal if they are
    /// without case.
    RoomName, "#", 94, 31, |c| is_letter(c) || c.is_numeric()
}

/// What nobody is called, nor like it.
const RESERVED: [&str; 11] = [
    "server", "nickserv", "chanserv", "operserv", "memoserv", "hostserv", "botserv", "saslserv", "helpserv",
    "services", "global",
];

impl RoomName {
    /// The room that somebody may mean who left out what tells rooms from people.
    pub fn meant(word: &str) -> Option<Self> {
        Self::new(&format!("#{word}")).ok()
    }
}

impl Nick {
    /// Reads a name that somebody has, or had.
    pub fn new(name: &str) -> Result<Self, BadName> {
        match Self::check(name) {
            Ok(nick) if ["on", "off"].iter().any(|word| nick.0.eq_ignore_ascii_case(word)) => Err(BadName::Reserved),
            checked => checked,
        }
    }

    /// The name, if somebody may take it.
    pub fn allowed(self) -> Result<Self, BadName> {
        self.check_script()?;
        let looks = self.looks();
        let is_reserved = RESERVED.iter().any(|word| Looks::of(word).meet(&looks));
        if is_reserved { Err(BadName::Reserved) } else { Ok(self) }
    }

    /// How it looks. Whoever has a name keeps others from those that look like it.
    pub fn looks(&self) -> Looks<'_> {
        Looks::of(&self.0)
    }

    /// Whether people take it for this other name.
    pub fn is_like(&self, other: &Self) -> bool {
        self == other || self.looks().meet(&other.looks())
    }

    /// The name that is given to who has not chosen one: `guest1`, `guest2`, …
    pub fn guest(number: u64) -> Option<Self> {
        Self::new(&format!("guest{number}")).ok()
    }

    /// What whoever runs the server is called where they do something from outside the chat. Nobody else can be called so.
    pub fn server() -> Self {
        // It is far shorter than names may be.
        Self(ArrayString::from(RESERVED[0]).unwrap_or_default())
    }

    /// Whether it is a name as guests are given it.
    pub fn is_guest(&self) -> bool {
        self.guest_numbers().into_iter().any(|number| Self::guest(number) == Some(*self))
    }

    /// The numbers of guests whose names look like this one.
    pub fn guest_numbers(&self) -> ArrayVec<u64, 2> {
        // A look has letters for the digits that look so.
        let digit = |c| match c {
            'o' => '0',
            'l' => '1',
            c => c,
        };
        let number = |look: &str| {
            let digits: String = look.strip_prefix("guest")?.chars().map(digit).collect();
            // `guest007` is a name that somebody chose: it stands in nobody's way.
            digits.parse().ok().filter(|number: &u64| number.to_string() == digits)
        };
        self.looks().each().filter_map(number).collect()
    }
}

impl RoomName {
    /// Reads the name of a room that there is, or was.
    pub fn new(name: &str) -> Result<Self, BadName> {
        Self::check(name)
    }

    /// The name, if somebody may make a room that is called so.
    pub fn allowed(self) -> Result<Self, BadName> {
        self.check_script().map(|()| self)
    }
}

/// A nick as it is kept where there are many, or in something that must be small: in 24 bytes, unless it has more than 23.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct KeptNick(SmolStr);

impl KeptNick {
    /// The nick.
    #[inline]
    pub fn get(&self) -> Nick {
        Nick(ArrayString::from(&self.0).unwrap_or_default())
    }

    /// The nick as it is shown.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Bytes that stand elsewhere.
    pub fn behind(&self) -> usize {
        if self.0.is_heap_allocated() { self.0.len() } else { 0 }
    }
}

/// In the order of how they are shown, capitals first.
impl Ord for KeptNick {
    fn cmp(&self, other: &Self) -> Ordering {
        self.as_str().cmp(other.as_str())
    }
}

impl PartialOrd for KeptNick {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl From<Nick> for KeptNick {
    fn from(nick: Nick) -> Self {
        Self(SmolStr::new(nick.as_str()))
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
            Some(nick) => Nick::new(nick).ok().map(Self::With),
            None => RoomName::new(text).ok().map(Self::Room),
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
        // What most people write needs nothing, as one look over it tells.
        Self(if is_plain(text) { Rc::from(text) } else { Rc::from(&*narrow(&clean(text.as_bytes()))) })
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

    /// Checks `name`; `None` if nothing of it is seen, it is too long, has a path separator of any system, or is `.` or `..`.
    pub fn new(name: &str) -> Option<Self> {
        let name = Text::new(name);
        let is_plain = !name.as_str().chars().all(is_blank)
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

/// A secret by which a program proves whose it is.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Token(pub [u8; 32]);

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // It must not stand in any log.
        f.write_str("Token")
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
    use proptest::prelude::*;

    #[test]
    fn nicks() {
        let longest = "小".repeat(20);
        for good in [
            "a",
            "Alice",
            "a-b_c",
            "a2345678901234567890",
            "guest1",
            "offer",
            "Алиса",
            "Zoë",
            "小明",
            "tanaka田中",
            "नमस्ते",
            "שלום",
            "김철수",
            "สมชาย",
            "Jørgen",
            "Ελένη",
            "محمد",
            "Straße",
            "Дмитрий2",
            &longest,
        ] {
            assert_eq!(Nick::new(good).and_then(Nick::allowed).map(|nick| nick.to_string()), Ok(good.to_owned()));
        }
        let (too_many, too_large) = ("é".repeat(21), "𠀀".repeat(16));
        for (bad, why) in [
            ("", BadName::Empty),
            ("1a", BadName::Begins('1')),
            ("-a", BadName::Begins('-')),
            ("\u{301}a", BadName::Begins('\u{301}')),
            ("\u{93e}a", BadName::Begins('\u{93e}')),
            ("#a", BadName::Begins('#')),
            ("a b", BadName::Has(' ')),
            ("a.b", BadName::Has('.')),
            ("a\u{fffd}", BadName::Has('\u{fffd}')),
            ("a👍", BadName::Has('👍')),
            ("a\u{200d}b", BadName::Has('\u{200d}')),
            ("a\u{3164}", BadName::Has('\u{3164}')),
            ("a\u{34f}", BadName::Has('\u{34f}')),
            ("小\u{fe00}", BadName::Has('\u{fe00}')),
            ("a23456789012345678901", BadName::TooLong),
            (&too_many, BadName::TooLong),
            (&too_large, BadName::TooLong),
            ("on", BadName::Reserved),
            ("OFF", BadName::Reserved),
            ("аlice", BadName::Mixes(["Cyrillic", "Latin"])),
            ("ａｌｉｃｅ", BadName::Unusual('ａ')),
            ("ﬁn", BadName::Unusual('ﬁ')),
            ("ſam", BadName::Unusual('ſ')),
            ("Ꭺlice", BadName::Unusual('Ꭺ')),
            ("NickServ", BadName::Reserved),
            ("SERVER", BadName::Reserved),
            ("G1obal", BadName::Reserved),
            ("rnernoserv", BadName::Reserved),
        ] {
            assert_eq!(Nick::new(bad).and_then(Nick::allowed).err(), Some(why), "{bad}");
        }
        assert_eq!(Nick::new("Bob"), Nick::new("bOB"));
        assert_ne!(Nick::new("bob"), Nick::new("bobb"));
        assert_eq!(Nick::new("Bob").unwrap().as_str(), "Bob");
        assert_eq!(Nick::new("Straße"), Nick::new("STRASSE"));
        let apart = Nick::new("Zoe\u{308}").unwrap();
        assert_eq!((apart.as_str(), Some(apart)), ("Zoë", Nick::new("Zoë").ok()));
        // What was marked apart has twenty characters when it is not.
        assert!(Nick::new(&"e\u{301}".repeat(20)).is_ok());
        // Whoever has such a name already keeps it, in lines and in logs.
        for there in ["server", "Global", "аlice", "ſam"] {
            assert!(Nick::new(there).is_ok(), "{there}");
        }
    }

    #[test]
    fn rooms() {
        let longest = format!("#{}", "小".repeat(31));
        for good in [
            "#a",
            "#1",
            "#a-b_c",
            "#a123456789012345678901234567890",
            "#kaffeeküche",
            "#Россия",
            "#日本語",
            "#٣",
            "#server",
            &longest,
        ] {
            let room = RoomName::new(good).and_then(RoomName::allowed);
            assert_eq!(room.map(|room| room.to_string()), Ok(good.to_owned()));
        }
        let (too_many, too_large) = (format!("#{}", "é".repeat(32)), format!("#{}", "𠀀".repeat(24)));
        for (bad, why) in [
            ("", BadName::Empty),
            ("#", BadName::Empty),
            ("a", BadName::Empty),
            ("#-a", BadName::Begins('-')),
            ("##a", BadName::Begins('#')),
            ("#a b", BadName::Has(' ')),
            ("#a/b", BadName::Has('/')),
            ("#a.b", BadName::Has('.')),
            ("#a1234567890123456789012345678901", BadName::TooLong),
            (&too_many, BadName::TooLong),
            (&too_large, BadName::TooLong),
            ("#lоbby", BadName::Mixes(["Latin", "Cyrillic"])),
            ("#ſ", BadName::Unusual('ſ')),
        ] {
            assert_eq!(RoomName::new(bad).and_then(RoomName::allowed).err(), Some(why), "{bad}");
        }
        assert_eq!(RoomName::new("#Kaffeeku\u{308}che"), RoomName::new("#KAFFEEKÜCHE"));
        // Looks do not matter here.
        assert_ne!(RoomName::new("#tom"), RoomName::new("#torn"));
    }

    #[test]
    fn guests() {
        let numbers = |name: &str| Nick::new(name).unwrap().guest_numbers().to_vec();
        assert_eq!(numbers("guest1"), [1]);
        assert_eq!(numbers("GUEST20"), [20]);
        assert_eq!(numbers("guestl"), [1]);
        assert_eq!(numbers("guestIO"), [10]);
        for nobodys in ["guest01", "guest", "guests1", "guestlx", "guest1-"] {
            assert_eq!(numbers(nobodys), [0; 0], "{nobodys}");
        }
        assert!(Nick::new("Guest11").unwrap().is_guest() && !Nick::new("guestll").unwrap().is_guest());
    }

    #[test]
    fn a_nick_is_kept_in_the_place_of_an_ascii_one() {
        assert_eq!(size_of::<KeptNick>(), 24);
        for (name, behind) in [
            ("a", 0),
            ("a2345678901234567890", 0),
            ("Дмитриевна", 0),
            ("Дмитриевнаа2", 0),
            ("Дмитриевнааа", 24),
            ("小明さん小明さん", 24),
        ] {
            let (nick, kept) = (Nick::new(name).unwrap(), KeptNick::from(Nick::new(name).unwrap()));
            assert_eq!((kept.get().as_str(), kept.behind()), (nick.as_str(), behind));
        }
    }

    proptest! {
        #[test]
        fn a_name_is_spelled_in_one_way(name in any::<String>()) {
            if let Ok(nick) = Nick::new(&name) {
                prop_assert_eq!(nick.as_str(), &*nfc(&name));
                let again = Nick::new(nick.as_str()).unwrap();
                prop_assert_eq!(again.as_str(), nick.as_str());
                prop_assert!(nick.as_str().len() <= Nick::BYTES && nick.as_str().chars().count() <= Nick::CHARACTERS);
                prop_assert_eq!(&*clean(nick.as_str().as_bytes()), nick.as_str());
                let kept = KeptNick::from(nick).get();
                prop_assert_eq!(kept.as_str(), nick.as_str());
            }
        }
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
        for bad in ["", ".", "..", "a/b", "/etc/passwd", "..\\x", "\u{a0}", "\u{2800} ", &long] {
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
