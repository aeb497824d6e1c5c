//! What the ledger has: each entry is a change of what is owned, of what rooms have for rules, or of who is blocked.

// These are addresses, and no sockets.
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::fmt;
use std::time::SystemTime;

use crate::names::{Digest, Nick, Prefix, RoomName, Text};
use crate::time::Day;

/// One change. The last word on a thing wins.
#[derive(Clone, PartialEq, Eq, Debug)]
#[allow(missing_docs, reason = "the fields are called what they are")]
pub enum Entry {
    /// A name has had an owner since this day, and this is their password, if they have one. Of a name that has an owner nothing
    /// else changes.
    Name { nick: Nick, since: Day, password: Option<PasswordHash> },
    /// A token of a name, which was made or used last on this day.
    Token { nick: Nick, used: Day, digest: Digest },
    /// A name has no token any more, not one that is good once either.
    Untoken(Nick),
    /// A token that is good once, until then.
    Once { nick: Nick, until: SystemTime, digest: Digest },
    /// The owner was here on this day.
    Seen { nick: Nick, day: Day },
    /// A name was given up or has expired on this day. All that it had goes with it: roles, invitations, tokens, bans.
    Drop { nick: Nick, day: Day },
    /// Whether the owner of a name is an operator.
    Operator { nick: Nick, on: bool },
    /// Whose a room is.
    Room { room: RoomName, founder: Founder },
    /// What a name is in a room; `None` is nothing any more.
    Role { room: RoomName, nick: Nick, role: Option<Role> },
    /// A rule of a room.
    Rule { room: RoomName, rule: Rule },
    /// What a room is about that has or had a founder.
    Topic { room: RoomName, topic: Option<Text> },
    /// Somebody may not come into a room, or not be heard there.
    Ban { room: RoomName, ban: Ban },
    /// A ban holds no more.
    Unban { room: RoomName, id: u64 },
    /// Whether a name is invited to a room.
    Invite { room: RoomName, nick: Nick, on: bool },
    /// Messages of a room that are shown to nobody, from one number to another.
    Erase { room: RoomName, first: u64, last: u64 },
    /// The messages of a room count from 1 again, and all of them are shown.
    Anew { room: RoomName },
    /// Somebody may not come to the server.
    Block(Block),
    /// A block holds no more.
    Unblock(u64),
}

impl Entry {
    /// The name that it says something of which holds wherever its owner is.
    pub fn of_name(&self) -> Option<Nick> {
        match *self {
            Self::Name { nick, .. }
            | Self::Token { nick, .. }
            | Self::Untoken(nick)
            | Self::Once { nick, .. }
            | Self::Seen { nick, .. }
            | Self::Drop { nick, .. }
            | Self::Operator { nick, .. } => Some(nick),
            _ => None,
        }
    }
}

/// A password as it is kept: what argon2id made of it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct PasswordHash {
    /// KiB of memory that it took.
    pub memory: u32,
    /// How often that was gone over.
    pub passes: u32,
    /// What was mixed in, so that the same password of two people has two hashes.
    pub salt: [u8; 16],
    /// What came of it.
    pub hash: [u8; 32],
}

/// Whose a room is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Founder {
    /// The owner of this name.
    Owner(Nick),
    /// Nobody any more: it had a founder.
    Gone,
    /// Nobody: a guest made it.
    Guest,
}

/// What a name is in a room besides its founder.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[allow(missing_docs, reason = "a variant is its word")]
pub enum Role {
    Op,
    Voice,
}

/// A rule of a room, and its value.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Rule {
    /// For those who are not in it, the room is not there.
    Hidden(bool),
    /// Only who is invited may join.
    InviteOnly(bool),
    /// Whoever joins must know this word.
    Key(Option<Text>),
    /// So many people may be in it at most.
    Limit(Option<u64>),
    /// What people may do who own no name.
    Guests(Guests),
    /// Only voices and ops speak.
    Moderated(bool),
    /// People who are not in the room may speak to it.
    Outside(bool),
    /// Only ops set the topic.
    TopicLocked(bool),
    /// A person may say something once in so many seconds.
    Slow(Option<u64>),
    /// People see what was said before they came.
    Past(bool),
}

/// Which rule of a room, in the order in which they are listed.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
#[allow(missing_docs, reason = "the rules say what each one is about")]
pub enum RuleKind {
    Hidden,
    InviteOnly,
    Key,
    Limit,
    Guests,
    Moderated,
    Outside,
    TopicLocked,
    Slow,
    Past,
}

impl Rule {
    /// Which rule it is.
    pub fn kind(&self) -> RuleKind {
        match self {
            Self::Hidden(_) => RuleKind::Hidden,
            Self::InviteOnly(_) => RuleKind::InviteOnly,
            Self::Key(_) => RuleKind::Key,
            Self::Limit(_) => RuleKind::Limit,
            Self::Guests(_) => RuleKind::Guests,
            Self::Moderated(_) => RuleKind::Moderated,
            Self::Outside(_) => RuleKind::Outside,
            Self::TopicLocked(_) => RuleKind::TopicLocked,
            Self::Slow(_) => RuleKind::Slow,
            Self::Past(_) => RuleKind::Past,
        }
    }

    /// Whether it keeps something from those who are not in the room, or were not.
    pub fn is_restriction(&self) -> bool {
        matches!(self, Self::Hidden(true) | Self::InviteOnly(true) | Self::Key(Some(_)) | Self::Past(false))
    }
}

impl RuleKind {
    /// Every one.
    pub const ALL: [Self; 10] = [
        Self::Hidden,
        Self::InviteOnly,
        Self::Key,
        Self::Limit,
        Self::Guests,
        Self::Moderated,
        Self::Outside,
        Self::TopicLocked,
        Self::Slow,
        Self::Past,
    ];

    /// The rule as it is in a room that nobody owns, as long as nobody sets it.
    pub fn at_first(self) -> Rule {
        match self {
            Self::Hidden => Rule::Hidden(false),
            Self::InviteOnly => Rule::InviteOnly(false),
            Self::Key => Rule::Key(None),
            Self::Limit => Rule::Limit(None),
            Self::Guests => Rule::Guests(Guests::Speak),
            Self::Moderated => Rule::Moderated(false),
            Self::Outside => Rule::Outside(false),
            Self::TopicLocked => Rule::TopicLocked(false),
            Self::Slow => Rule::Slow(None),
            Self::Past => Rule::Past(true),
        }
    }
}

/// What people may do in a room who own no name; each lets them do less than the one before it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
#[allow(missing_docs, reason = "a variant is its word")]
pub enum Guests {
    Speak,
    Listen,
    Out,
}

/// A ban or a mute.
#[derive(Clone, PartialEq, Eq, Debug)]
#[allow(missing_docs, reason = "the fields are called what they are")]
pub struct Ban {
    /// Counts up in a room.
    pub id: u64,
    pub kind: BanKind,
    pub who: Who,
    /// Where a guest came from; who else comes from there is meant too.
    pub network: Option<Network>,
    /// When it ends, if it does.
    pub until: Option<SystemTime>,
    pub by: Author,
    /// Empty if none was given.
    pub reason: Text,
}

/// What somebody may not do who is banned.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[allow(missing_docs, reason = "a variant is its word")]
pub enum BanKind {
    Ban,
    Mute,
}

/// Whom a ban is for.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Who {
    /// The owner of this name.
    Name(Nick),
    /// A guest who was called so.
    Guest(Nick),
    /// Guests whose names fit: a `*` stands for anything.
    Pattern(Text),
}

/// Who did something.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Author {
    /// Somebody, as they were called.
    Person(Nick),
    /// Whoever runs the server, from outside the chat.
    Server,
}

/// Somebody who may not come to the server.
#[derive(Clone, PartialEq, Eq, Debug)]
#[allow(missing_docs, reason = "the fields are called what they are")]
pub struct Block {
    /// Counts up.
    pub id: u64,
    pub scope: BlockScope,
    pub who: Blocked,
    /// When it ends, if it does.
    pub until: Option<SystemTime>,
    pub by: Author,
    /// Empty if none was given.
    pub reason: Text,
}

/// Which of those whom a block is for may not come; who blocks all blocks guests too.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
#[allow(missing_docs, reason = "a variant is its word")]
pub enum BlockScope {
    Guests,
    All,
}

/// Whom a block is for.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Blocked {
    /// The owner of this name.
    Name(Nick),
    /// Whoever comes from there.
    Network(Network),
}

/// All addresses that begin with the same bits.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[allow(missing_docs, reason = "the fields are called what they are")]
pub enum Network {
    V4 {
        octets: [u8; 4],
        /// How many bits they have in common.
        len: u8,
    },
    V6 {
        octets: [u8; 16],
        len: u8,
    },
}

impl From<Prefix> for Network {
    fn from(prefix: Prefix) -> Self {
        match prefix.octets() {
            Ok(octets) => Self::V4 { octets, len: 32 },
            Err(start) => {
                let mut octets = [0; 16];
                octets[..start.len()].copy_from_slice(&start);
                Self::V6 { octets, len: 64 }
            }
        }
    }
}

/// An address alone.
impl From<IpAddr> for Network {
    fn from(address: IpAddr) -> Self {
        match address {
            IpAddr::V4(address) => Self::V4 { octets: address.octets(), len: 32 },
            IpAddr::V6(address) => Self::V6 { octets: address.octets(), len: 128 },
        }
    }
}

impl Network {
    /// Reads `ADDRESS/LEN`, or an address alone.
    pub fn typed(text: &str) -> Option<Self> {
        text.parse().map_or_else(|_| Self::new(text), |address: IpAddr| Some(address.to_canonical().into()))
    }

    /// Reads `ADDRESS/LEN`.
    pub fn new(text: &str) -> Option<Self> {
        let (address, len) = text.split_once('/')?;
        let len: u8 = len.parse().ok()?;
        if let Ok(address) = address.parse::<Ipv4Addr>() {
            return (len <= 32).then_some(Self::V4 { octets: address.octets(), len });
        }
        let address: Ipv6Addr = address.parse().ok().filter(|_| len <= 128)?;
        Some(Self::V6 { octets: address.octets(), len })
    }

    /// How many bits its addresses have in common.
    pub fn bits(self) -> u8 {
        match self {
            Self::V4 { len, .. } | Self::V6 { len, .. } => len,
        }
    }

    /// The network around it whose addresses have only so many bits in common, of which no others are set. It is as long as this
    /// one at most.
    pub fn shortened(self, len: u8) -> Self {
        let len = len.min(self.bits());
        match self {
            Self::V4 { octets, .. } => {
                let mask = u32::MAX.checked_shl(32 - u32::from(len)).unwrap_or(0);
                Self::V4 { octets: (u32::from_be_bytes(octets) & mask).to_be_bytes(), len }
            }
            Self::V6 { octets, .. } => {
                let mask = u128::MAX.checked_shl(128 - u32::from(len)).unwrap_or(0);
                Self::V6 { octets: (u128::from_be_bytes(octets) & mask).to_be_bytes(), len }
            }
        }
    }

    /// The network as people can be told to come from it: IPv4 as such, if it was written as IPv6, and of IPv6 no less than a /64,
    /// as that is what one customer has.
    pub fn known(self) -> Self {
        match self {
            Self::V4 { len, .. } => self.shortened(len),
            Self::V6 { octets: [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, a, b, c, d], len: len @ 96.. } => {
                Self::V4 { octets: [a, b, c, d], len: len - 96 }.shortened(len - 96)
            }
            Self::V6 { len, .. } => self.shortened(len.min(64)),
        }
    }

    /// Whether an address is one of its own. IPv4 is IPv4, written as IPv6 too.
    pub fn contains(self, address: IpAddr) -> bool {
        Self::from(address.to_canonical()).shortened(self.bits()) == self.shortened(self.bits())
    }

    /// Whether addresses of the machine itself are in it, as far as it is known.
    pub fn meets_loopback(self) -> bool {
        let own = match self {
            Self::V4 { .. } => Self::V4 { octets: Ipv4Addr::LOCALHOST.octets(), len: 8 },
            Self::V6 { .. } => Self::V6 { octets: Ipv6Addr::LOCALHOST.octets(), len: 64 },
        };
        self.meets(own)
    }

    /// Whether one of both lies in the other.
    pub fn meets(self, other: Self) -> bool {
        let len = other.bits().min(self.bits());
        other.shortened(len) == self.shortened(len)
    }

    /// Whether a prefix lies in it, as far as it is known.
    pub fn covers(self, prefix: Prefix) -> bool {
        match (self, Self::from(prefix)) {
            (Self::V4 { octets: one, len }, Self::V4 { octets: other, .. }) => {
                (u32::from_be_bytes(one) ^ u32::from_be_bytes(other)).leading_zeros() >= u32::from(len)
            }
            (Self::V6 { octets: one, len }, Self::V6 { octets: other, len: known }) => {
                let is_same = u128::from_be_bytes(one) ^ u128::from_be_bytes(other);
                is_same.leading_zeros() >= u32::from(len.min(known))
            }
            _ => false,
        }
    }
}

/// `ADDRESS/LEN`.
impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::V4 { octets, len } => write!(f, "{}/{len}", Ipv4Addr::from(octets)),
            Self::V6 { octets, len } => write!(f, "{}/{len}", Ipv6Addr::from(octets)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_rule_is_of_its_kind() {
        for kind in RuleKind::ALL {
            assert_eq!(kind.at_first().kind(), kind);
            assert!(!kind.at_first().is_restriction());
        }
    }

    #[test]
    fn a_network_is_known_by_what_its_addresses_have_in_common() {
        for (typed, known) in [
            ("203.0.113.77/24", "203.0.113.0/24"),
            ("203.0.113.77/32", "203.0.113.77/32"),
            ("203.0.113.77/0", "0.0.0.0/0"),
            ("2001:db8:1:2:3::4/128", "2001:db8:1:2::/64"),
            ("2001:db8:1:2:3::4/33", "2001:db8::/33"),
            ("::ffff:203.0.113.77/120", "203.0.113.0/24"),
            ("::ffff:203.0.113.77/90", "::/64"),
        ] {
            assert_eq!(Network::new(typed).unwrap().known().to_string(), known, "{typed}");
        }
    }

    #[test]
    fn a_network_contains_its_addresses() {
        for (network, address, is_in) in [
            ("203.0.113.0/24", "203.0.113.77", true),
            ("203.0.113.9/24", "::ffff:203.0.113.77", true),
            ("203.0.113.0/24", "203.0.114.77", false),
            ("203.0.113.77", "203.0.113.77", true),
            ("203.0.113.77", "203.0.113.78", false),
            ("2001:db8::5", "2001:db8::5", true),
            ("2001:db8::5", "2001:db8::6", false),
            ("2001:db8::/32", "2001:db8:9::6", true),
            ("0.0.0.0/0", "203.0.113.77", true),
            ("0.0.0.0/0", "::1", false),
            ("::/0", "127.0.0.1", false),
        ] {
            assert_eq!(
                Network::typed(network).unwrap().contains(address.parse().unwrap()),
                is_in,
                "{network}, {address}"
            );
        }
        assert!(["203.0.113", "203.0.113.5/33", "", "localhost"].iter().all(|text| Network::typed(text).is_none()));
    }

    #[test]
    fn a_network_covers_what_begins_like_it() {
        let v4 = |octets: [u8; 4]| Prefix::v4(octets);
        let v6 = |net: u8| Prefix::v6([0x20, 1, 0x0d, 0xb8, 0, 0, 0, net, 0, 0, 0, 0, 0, 0, 0, 1]);
        assert!(Network::from(v4([203, 0, 113, 5])).covers(v4([203, 0, 113, 5])));
        assert!(!Network::from(v4([203, 0, 113, 5])).covers(v4([203, 0, 113, 4])));
        assert!(Network::V4 { octets: [203, 0, 113, 0], len: 24 }.covers(v4([203, 0, 113, 200])));
        assert!(Network::V4 { octets: [0; 4], len: 0 }.covers(v4([1, 2, 3, 4])));
        assert!(Network::from(v6(1)).covers(v6(1)) && !Network::from(v6(1)).covers(v6(2)));
        assert!(!Network::from(v6(1)).covers(v4([203, 0, 113, 5])));
        let Network::V6 { octets, .. } = Network::from(v6(1)) else { panic!() };
        assert!(Network::V6 { octets, len: 48 }.covers(v6(9)) && Network::V6 { octets, len: 128 }.covers(v6(1)));
    }
}
