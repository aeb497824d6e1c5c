//! A line of the ledger, encoded and parsed, and how a ledger is read. Nothing here touches a file.
//!
//! The fields of a line are separated by one space, and only the last may hold some. What we would not write in exactly the
//! same way is no line of ours.

use std::fmt::{self, Write as _};
use std::time::SystemTime;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;

use crate::limits;
use crate::names::{Digest, Nick, RoomName, Text};
use crate::register::{
    Author, Ban, BanKind, Block, BlockScope, Blocked, Entry, Founder, Guests, Network, PasswordHash, Role, Rule, Who,
};
use crate::time::{Day, in_seconds};

/// What a ledger says.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Reading {
    /// Its entries, in their order.
    pub entries: Vec<Entry>,
    /// Bytes up to the end of the last good line; what stands behind that was torn.
    pub good: usize,
}

/// A line of a ledger that is none, and that no crash has left.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Damage {
    /// Which line, counted from 1.
    pub line: usize,
}

impl fmt::Display for Damage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {} of it is damaged; mend or remove that line, and save it as UTF-8", self.line)
    }
}

impl std::error::Error for Damage {}

/// Adds an entry to what is to be written, as one line.
pub fn encode(out: &mut String, entry: &Entry) {
    // Writing to a `String` cannot fail.
    let _ = write_entry(out, entry);
    out.push('\n');
}

/// Reads one line without its end; `None` unless it stands as [`encode`] would have it.
pub fn parse(line: &[u8]) -> Option<Entry> {
    let line = std::str::from_utf8(line).ok()?;
    let entry = parse_entry(line)?;
    let mut same = String::with_capacity(line.len() + 1);
    encode(&mut same, &entry);
    (same.strip_suffix('\n') == Some(line)).then_some(entry)
}

/// Reads a ledger. What a crash has left at its end, half a line or blocks of zeros, is torn and does not count; but no whole line
/// may be skipped, as it may be a ban or say who owns a name. Line ends and a mark before the text as editors for Windows write
/// them are no damage.
pub fn read(bytes: &[u8]) -> Result<Reading, Damage> {
    let mut reading = Reading::default();
    let (mut at, mut torn) = (0, None);
    for (n, line) in bytes.split_inclusive(|&b| b == b'\n').enumerate() {
        at += line.len();
        let whole = line.strip_suffix(b"\n").map(|line| line.strip_suffix(b"\r").unwrap_or(line));
        let whole = whole.map(|line| line.strip_prefix(MARK).filter(|_| n == 0).unwrap_or(line));
        match whole.map(parse) {
            None => drop(torn.get_or_insert(n + 1)),
            Some(None) if line.contains(&0) => drop(torn.get_or_insert(n + 1)),
            Some(Some(entry)) if torn.is_none() => {
                reading.entries.push(entry);
                reading.good = at;
            }
            Some(_) => return Err(Damage { line: torn.unwrap_or(n + 1) }),
        }
    }
    match torn {
        Some(line) if !may_be_torn(&bytes[reading.good..], reading.good == 0) => Err(Damage { line }),
        _ => Ok(reading),
    }
}

/// Whether a crash may have left this behind the good lines, or where there is none: what a program has saved in another way, or what a
/// disk has lost, would be a ledger that says nothing. In it there is nothing that we never write, NULs do not alternate with others as in UTF-16,
/// and no line is longer than one that is written. Zeros in the place of the first line could be one that was the very first; it is better
/// to ask for that once than to take a ledger that is lost for one that says nothing.
fn may_be_torn(tail: &[u8], is_all: bool) -> bool {
    let is_foreign = |&byte: &u8| matches!(byte, 1..=8 | 11..=31 | 127 | 0xc0 | 0xc1 | 0xf5..);
    let is_wide = tail.windows(4).any(|four| [0, 1, 2, 3].map(|at| four[at] == 0) == [false, true, false, true]);
    let is_long = tail.split(|&byte| matches!(byte, 0 | b'\n')).any(|piece| piece.len() > limits::LINE);
    !(tail.iter().any(is_foreign) || is_wide || is_long || is_all && tail.first() == Some(&0))
}

/// What some editors put before a text.
const MARK: &[u8] = "\u{feff}".as_bytes();

fn write_entry(out: &mut String, entry: &Entry) -> fmt::Result {
    match entry {
        Entry::Name { nick, since, password: None } => write!(out, "name {nick} {since} -"),
        Entry::Name { nick, since, password: Some(password) } => {
            write!(out, "name {nick} {since} ")?;
            write_password(out, password)
        }
        Entry::Token { nick, used, digest } => write!(out, "token {nick} {used} {}", Hex(digest)),
        Entry::Untoken(nick) => write!(out, "untoken {nick}"),
        Entry::Once { nick, until, digest } => write!(out, "once {nick} {} {}", At(Some(*until)), Hex(digest)),
        Entry::Seen { nick, day } => write!(out, "seen {nick} {day}"),
        Entry::Drop { nick, day } => write!(out, "drop {nick} {day}"),
        Entry::Operator { nick, on } => write!(out, "operator {nick} {}", on_off(*on)),
        Entry::Room { room, founder: Founder::Owner(nick) } => write!(out, "room {room} founder {nick}"),
        Entry::Room { room, founder: Founder::Gone } => write!(out, "room {room} founder -"),
        Entry::Room { room, founder: Founder::Guest } => write!(out, "room {room} guests"),
        Entry::Role { room, nick, role } => write!(out, "role {room} {nick} {}", word_of(ROLES, role)),
        Entry::Rule { room, rule } => {
            write!(out, "rule {room} ")?;
            write_rule(out, rule)
        }
        Entry::Topic { room, topic: Some(topic) } => write!(out, "topic {room} {topic}"),
        // No topic can be `-`, as whoever sets that clears it.
        Entry::Topic { room, topic: None } => write!(out, "topic {room} -"),
        Entry::Ban { room, ban } => {
            let Ban { id, kind, who, network, until, by, reason } = ban;
            write!(out, "ban {room} {id} {} ", word_of(BAN_KINDS, kind))?;
            match who {
                Who::Name(nick) => write!(out, "name:{nick}")?,
                Who::Guest(nick) => write!(out, "guest:{nick}")?,
                Who::Pattern(pattern) => write!(out, "pattern:{pattern}")?,
            }
            match network {
                Some(network) => write!(out, " {}", network)?,
                None => out.push_str(" -"),
            }
            write!(out, " {} ", At(*until))?;
            write_author(out, *by, reason)
        }
        Entry::Unban { room, id } => write!(out, "unban {room} {id}"),
        Entry::Invite { room, nick, on } => write!(out, "invite {room} {nick} {}", on_off(*on)),
        Entry::Erase { room, first, last } => write!(out, "erase {room} {first} {last}"),
        Entry::Anew { room } => write!(out, "anew {room}"),
        Entry::Block(Block { id, scope, who, until, by, reason }) => {
            write!(out, "block {id} {} ", word_of(SCOPES, scope))?;
            match who {
                Blocked::Name(nick) => write!(out, "name:{nick}")?,
                Blocked::Network(network) => write!(out, "{}", network)?,
            }
            write!(out, " {} ", At(*until))?;
            write_author(out, *by, reason)
        }
        Entry::Unblock(id) => write!(out, "unblock {id}"),
    }
}

/// Reads an entry. What is spelled in another way than we would is left to [`parse`].
fn parse_entry(line: &str) -> Option<Entry> {
    let mut fields = Fields(Some(line));
    let entry = match fields.word()? {
        "name" => {
            let (nick, since) = (fields.nick()?, fields.day()?);
            let password = match fields.word()? {
                "-" => None,
                password => Some(parse_password(password)?),
            };
            Entry::Name { nick, since, password }
        }
        "token" => Entry::Token { nick: fields.nick()?, used: fields.day()?, digest: fields.digest()? },
        "untoken" => Entry::Untoken(fields.nick()?),
        "once" => Entry::Once { nick: fields.nick()?, until: fields.until()??, digest: fields.digest()? },
        "seen" => Entry::Seen { nick: fields.nick()?, day: fields.day()? },
        "drop" => Entry::Drop { nick: fields.nick()?, day: fields.day()? },
        "operator" => Entry::Operator { nick: fields.nick()?, on: fields.switch()? },
        "room" => {
            let room = fields.room()?;
            let founder = match fields.word()? {
                "guests" => Founder::Guest,
                "founder" => match fields.word()? {
                    "-" => Founder::Gone,
                    nick => Founder::Owner(Nick::new(nick).ok()?),
                },
                _ => return None,
            };
            Entry::Room { room, founder }
        }
        "role" => Entry::Role { room: fields.room()?, nick: fields.nick()?, role: fields.one_of(ROLES)? },
        "rule" => Entry::Rule { room: fields.room()?, rule: parse_rule(&mut fields)? },
        "topic" => {
            let (room, topic) = (fields.room()?, fields.0.take()?);
            Entry::Topic { room, topic: if topic == "-" { None } else { Some(short(topic, limits::TOPIC)?) } }
        }
        "ban" => {
            let (room, id, kind) = (fields.room()?, fields.number()?, fields.one_of(BAN_KINDS)?);
            let who = match fields.word()?.split_once(':')? {
                ("name", nick) => Who::Name(Nick::new(nick).ok()?),
                ("guest", nick) => Who::Guest(Nick::new(nick).ok()?),
                ("pattern", pattern) => Who::Pattern(short(pattern, limits::PATTERN)?),
                _ => return None,
            };
            let network = match fields.word()? {
                "-" => None,
                network => Some(Network::new(network)?),
            };
            let until = fields.until()?;
            let (by, reason) = (fields.author()?, fields.reason()?);
            Entry::Ban { room, ban: Ban { id, kind, who, network, until, by, reason } }
        }
        "unban" => Entry::Unban { room: fields.room()?, id: fields.number()? },
        "invite" => Entry::Invite { room: fields.room()?, nick: fields.nick()?, on: fields.switch()? },
        "erase" => Entry::Erase { room: fields.room()?, first: fields.number()?, last: fields.number()? },
        "anew" => Entry::Anew { room: fields.room()? },
        "block" => {
            let (id, scope) = (fields.number()?, fields.one_of(SCOPES)?);
            let who = match fields.word()? {
                name if name.starts_with("name:") => Blocked::Name(Nick::new(&name[5..]).ok()?),
                network => Blocked::Network(Network::new(network)?),
            };
            let until = fields.until()?;
            let (by, reason) = (fields.author()?, fields.reason()?);
            Entry::Block(Block { id, scope, who, until, by, reason })
        }
        "unblock" => Entry::Unblock(fields.number()?),
        _ => return None,
    };
    fields.0.is_none().then_some(entry)
}

const ROLES: &[(&str, Option<Role>)] = &[("op", Some(Role::Op)), ("voice", Some(Role::Voice)), ("-", None)];
const BAN_KINDS: &[(&str, BanKind)] = &[("ban", BanKind::Ban), ("mute", BanKind::Mute)];
const SCOPES: &[(&str, BlockScope)] = &[("guests", BlockScope::Guests), ("all", BlockScope::All)];
const GUESTS: &[(&str, Guests)] = &[("speak", Guests::Speak), ("listen", Guests::Listen), ("out", Guests::Out)];

fn word_of<T: PartialEq>(words: &[(&'static str, T)], what: &T) -> &'static str {
    words.iter().find(|(_, known)| known == what).map_or("-", |(word, _)| word)
}

fn on_off(on: bool) -> &'static str {
    if on { "on" } else { "off" }
}

fn write_rule(out: &mut String, rule: &Rule) -> fmt::Result {
    let mut number = |name: &str, value: Option<u64>| match value {
        Some(value) => write!(out, "{name} {value}"),
        None => write!(out, "{name} off"),
    };
    match rule {
        Rule::Limit(value) => number("limit", *value),
        Rule::Slow(value) => number("slow", *value),
        Rule::Hidden(on) => write!(out, "hidden {}", on_off(*on)),
        Rule::InviteOnly(on) => write!(out, "invite-only {}", on_off(*on)),
        // No key can be `off`, as whoever sets that word has none.
        Rule::Key(Some(key)) => write!(out, "key {key}"),
        Rule::Key(None) => out.write_str("key off"),
        Rule::Guests(guests) => write!(out, "guests {}", word_of(GUESTS, guests)),
        Rule::Moderated(on) => write!(out, "moderated {}", on_off(*on)),
        Rule::Outside(on) => write!(out, "outside {}", on_off(*on)),
        Rule::TopicLocked(on) => write!(out, "topic-locked {}", on_off(*on)),
        Rule::Past(on) => write!(out, "past {}", on_off(*on)),
    }
}

fn parse_rule(fields: &mut Fields<'_>) -> Option<Rule> {
    let value = |fields: &mut Fields<'_>| match fields.word()? {
        "off" => Some(None),
        number => Some(Some(number.parse().ok()?)),
    };
    Some(match fields.word()? {
        "hidden" => Rule::Hidden(fields.switch()?),
        "invite-only" => Rule::InviteOnly(fields.switch()?),
        "key" => match fields.word()? {
            "off" => Rule::Key(None),
            key => Rule::Key(Some(short(key, limits::KEY)?)),
        },
        "limit" => Rule::Limit(value(fields)?),
        "guests" => Rule::Guests(fields.one_of(GUESTS)?),
        "moderated" => Rule::Moderated(fields.switch()?),
        "outside" => Rule::Outside(fields.switch()?),
        "topic-locked" => Rule::TopicLocked(fields.switch()?),
        "slow" => Rule::Slow(value(fields)?),
        "past" => Rule::Past(fields.switch()?),
        _ => return None,
    })
}

/// A password in the PHC string format.
fn write_password(out: &mut String, password: &PasswordHash) -> fmt::Result {
    let PasswordHash { memory, passes, salt, hash } = password;
    let (salt, hash) = (STANDARD_NO_PAD.encode(salt), STANDARD_NO_PAD.encode(hash));
    write!(out, "$argon2id$v=19$m={memory},t={passes},p=1${salt}${hash}")
}

fn parse_password(text: &str) -> Option<PasswordHash> {
    let (costs, rest) = text.strip_prefix("$argon2id$v=19$m=")?.split_once('$')?;
    let (memory, costs) = costs.split_once(",t=")?;
    let passes = costs.strip_suffix(",p=1")?;
    let (salt, hash) = rest.split_once('$')?;
    let bytes = |text| STANDARD_NO_PAD.decode(text).ok();
    let password = PasswordHash {
        memory: memory.parse().ok()?,
        passes: passes.parse().ok()?,
        salt: bytes(salt)?.try_into().ok()?,
        hash: bytes(hash)?.try_into().ok()?,
    };
    // What costs more is none of ours, and would let nobody else's password be looked at for long.
    let is_bounded = (8..=limits::PASSWORD_MEMORY_MOST).contains(&password.memory)
        && (1..=limits::PASSWORD_PASSES_MOST).contains(&password.passes);
    is_bounded.then_some(password)
}

/// Who did something, and their reason if they gave one.
fn write_author(out: &mut String, by: Author, reason: &Text) -> fmt::Result {
    match by {
        Author::Person(nick) => write!(out, "{nick}")?,
        Author::Server => out.write_str(SERVER)?,
    }
    if reason.as_str().is_empty() { Ok(()) } else { write!(out, " {reason}") }
}

/// Stands for whoever runs the server, as nobody can be called so.
const SERVER: &str = "server";

/// A text that is as safe as it stands, and not too long.
fn short(text: &str, most: usize) -> Option<Text> {
    Some(Text::new(text)).filter(|safe| safe.as_str() == text && !text.is_empty() && text.len() <= most)
}

/// Shown as 64 hexadecimal digits.
struct Hex<'a>(&'a Digest);

impl fmt::Display for Hex<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// A time in whole seconds, or `-` for none.
struct At(Option<SystemTime>);

impl fmt::Display for At {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(at) => write!(f, "{}", in_seconds(at)),
            None => f.write_str("-"),
        }
    }
}

/// What is unread of a line; `None` once it has ended.
struct Fields<'a>(Option<&'a str>);

impl<'a> Fields<'a> {
    fn word(&mut self) -> Option<&'a str> {
        let (word, rest) = match self.0?.split_once(' ') {
            Some((word, rest)) => (word, Some(rest)),
            None => (self.0?, None),
        };
        self.0 = rest;
        (!word.is_empty()).then_some(word)
    }

    fn nick(&mut self) -> Option<Nick> {
        Nick::new(self.word()?).ok()
    }

    fn room(&mut self) -> Option<RoomName> {
        RoomName::new(self.word()?).ok()
    }

    fn number(&mut self) -> Option<u64> {
        self.word()?.parse().ok()
    }

    fn day(&mut self) -> Option<Day> {
        Day::new(self.word()?)
    }

    fn digest(&mut self) -> Option<Digest> {
        Digest::from_hex(self.word()?)
    }

    fn switch(&mut self) -> Option<bool> {
        self.one_of(&[("on", true), ("off", false)])
    }

    /// A time, or none.
    fn until(&mut self) -> Option<Option<SystemTime>> {
        match self.word()? {
            "-" => Some(None),
            time => humantime::parse_rfc3339(time).ok().map(Some),
        }
    }

    fn one_of<T: Clone>(&mut self, words: &[(&str, T)]) -> Option<T> {
        let word = self.word()?;
        words.iter().find(|(known, _)| *known == word).map(|(_, what)| what.clone())
    }

    fn author(&mut self) -> Option<Author> {
        match self.word()? {
            SERVER => Some(Author::Server),
            nick => Nick::new(nick).ok().map(Author::Person),
        }
    }

    /// All that is left; nothing if the line has ended.
    fn reason(&mut self) -> Option<Text> {
        match self.0.take() {
            None => Some(Text::new("")),
            Some(reason) => short(reason, limits::REASON),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use std::time::Duration;

    use super::*;

    type Any<T> = BoxedStrategy<T>;

    fn nick() -> Any<Nick> {
        "[A-Za-z][A-Za-z0-9_-]{2,9}"
            .prop_filter_map("a nick", |name| Nick::new(&name).ok().filter(|_| name != SERVER))
            .boxed()
    }

    fn room() -> Any<RoomName> {
        "#[A-Za-z0-9][A-Za-z0-9_-]{0,30}".prop_filter_map("a room", |name| RoomName::new(&name).ok()).boxed()
    }

    fn at() -> Any<SystemTime> {
        (0..253_402_300_800_u64).prop_map(|s| SystemTime::UNIX_EPOCH + Duration::from_secs(s)).boxed()
    }

    fn day() -> Any<Day> {
        at().prop_map(Day::of).boxed()
    }

    fn digest() -> Any<Digest> {
        any::<[u8; 32]>().prop_map(Digest).boxed()
    }

    fn text(pattern: &'static str) -> Any<Text> {
        pattern.prop_map(|text| Text::new(&text)).boxed()
    }

    fn reason() -> Any<Text> {
        text("([a-z<>#é] ?[a-z]{1,12})?")
    }

    fn network() -> Any<Network> {
        let v4 = (any::<[u8; 4]>(), 0..=32_u8).prop_map(|(octets, len)| Network::V4 { octets, len });
        let v6 = (any::<[u8; 16]>(), 0..=128_u8).prop_map(|(octets, len)| Network::V6 { octets, len });
        prop_oneof![v4, v6].boxed()
    }

    fn password() -> Any<PasswordHash> {
        let costs = (8..=limits::PASSWORD_MEMORY_MOST, 1..=limits::PASSWORD_PASSES_MOST);
        (costs, any::<[u8; 16]>(), any::<[u8; 32]>())
            .prop_map(|((memory, passes), salt, hash)| PasswordHash { memory, passes, salt, hash })
            .boxed()
    }

    fn author() -> Any<Author> {
        prop_oneof![nick().prop_map(Author::Person), Just(Author::Server)].boxed()
    }

    fn rule() -> Any<Rule> {
        let number = || proptest::option::of(any::<u64>());
        let switch = || any::<bool>();
        prop_oneof![
            switch().prop_map(Rule::Hidden),
            switch().prop_map(Rule::InviteOnly),
            proptest::option::of(text("[a-np-z0-9é]{1,16}")).prop_map(Rule::Key),
            number().prop_map(Rule::Limit),
            proptest::sample::select(&[Guests::Speak, Guests::Listen, Guests::Out][..]).prop_map(Rule::Guests),
            switch().prop_map(Rule::Moderated),
            switch().prop_map(Rule::Outside),
            switch().prop_map(Rule::TopicLocked),
            number().prop_map(Rule::Slow),
            switch().prop_map(Rule::Past),
        ]
        .boxed()
    }

    fn ban() -> Any<Ban> {
        let who = prop_oneof![
            nick().prop_map(Who::Name),
            nick().prop_map(Who::Guest),
            text("[a-z]{3}[*][a-z*]{0,5}").prop_map(Who::Pattern),
        ];
        let kind = proptest::sample::select(&[BanKind::Ban, BanKind::Mute][..]);
        let (network, until) = (proptest::option::of(network()), proptest::option::of(at()));
        (any::<u64>(), kind, who, network, until, author(), reason())
            .prop_map(|(id, kind, who, network, until, by, reason)| Ban { id, kind, who, network, until, by, reason })
            .boxed()
    }

    fn block() -> Any<Block> {
        let who = prop_oneof![nick().prop_map(Blocked::Name), network().prop_map(Blocked::Network)];
        let scope = proptest::sample::select(&[BlockScope::Guests, BlockScope::All][..]);
        (any::<u64>(), scope, who, proptest::option::of(at()), author(), reason())
            .prop_map(|(id, scope, who, until, by, reason)| Block { id, scope, who, until, by, reason })
            .boxed()
    }

    fn entry() -> Any<Entry> {
        let founder = prop_oneof![nick().prop_map(Founder::Owner), Just(Founder::Gone), Just(Founder::Guest)];
        let role = proptest::option::of(proptest::sample::select(&[Role::Op, Role::Voice][..]));
        prop_oneof![
            (nick(), day(), proptest::option::of(password())).prop_map(|(nick, since, password)| Entry::Name {
                nick,
                since,
                password
            }),
            (nick(), day(), digest()).prop_map(|(nick, used, digest)| Entry::Token { nick, used, digest }),
            nick().prop_map(Entry::Untoken),
            (nick(), at(), digest()).prop_map(|(nick, until, digest)| Entry::Once { nick, until, digest }),
            (nick(), day()).prop_map(|(nick, day)| Entry::Seen { nick, day }),
            (nick(), day()).prop_map(|(nick, day)| Entry::Drop { nick, day }),
            (nick(), any::<bool>()).prop_map(|(nick, on)| Entry::Operator { nick, on }),
            (room(), founder).prop_map(|(room, founder)| Entry::Room { room, founder }),
            (room(), nick(), role).prop_map(|(room, nick, role)| Entry::Role { room, nick, role }),
            (room(), rule()).prop_map(|(room, rule)| Entry::Rule { room, rule }),
            (room(), proptest::option::of(text("[a-z<>#é -]{0,12}[a-z]")))
                .prop_map(|(room, topic)| Entry::Topic { room, topic }),
            (room(), ban()).prop_map(|(room, ban)| Entry::Ban { room, ban }),
            (room(), any::<u64>()).prop_map(|(room, id)| Entry::Unban { room, id }),
            (room(), nick(), any::<bool>()).prop_map(|(room, nick, on)| Entry::Invite { room, nick, on }),
            (room(), any::<u64>(), any::<u64>()).prop_map(|(room, first, last)| Entry::Erase { room, first, last }),
            room().prop_map(|room| Entry::Anew { room }),
            block().prop_map(Entry::Block),
            any::<u64>().prop_map(Entry::Unblock),
        ]
        .boxed()
    }

    const HASH: &str =
        "$argon2id$v=19$m=7168,t=5,p=1$AAAAAAAAAAAAAAAAAAAAAA$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";
    const HEX: &str = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08";

    #[test]
    fn the_lines_that_are_documented_are_read() {
        for line in [
            &format!("name alice 2026-11-28 {HASH}"),
            "name bob 2026-11-28 -",
            &format!("token alice 2026-12-01 {HEX}"),
            &format!("once alice 2026-12-01T10:00:00Z {HEX}"),
            "seen alice 2026-12-01",
            "untoken alice",
            "drop alice 2026-12-24",
            "operator alice on",
            "room #lobby founder alice",
            "room #lobby founder -",
            "room #lobby guests",
            "role #lobby bob op",
            "role #lobby bob -",
            "rule #lobby guests listen",
            "rule #lobby key secret",
            "rule #lobby limit off",
            "topic #lobby Tuesdays at eight",
            "topic #lobby -",
            "ban #lobby 3 mute guest:mallory 198.51.100.7/32 2026-11-29T10:00:00Z alice flooding",
            "ban #r 4 ban name:bob - - alice",
            "ban #r 5 ban pattern:spam* - - server so many of them",
            "ban #r 6 ban guest:eve 2001:db8:0:1::/64 - alice",
            "unban #r 3",
            "invite #r bob on",
            "erase #r 41 43",
            "block 7 guests 203.0.113.0/24 - ops spam",
            "unblock 7",
        ] {
            let entry = parse(line.as_bytes());
            assert!(entry.is_some(), "{line}");
        }
        for bad in [
            "",
            "name",
            "name alice 2026-11-28",
            "name alice 2026-11-28 secret",
            &format!("name alice  2026-11-28 {HASH}"),
            &format!("name alice 2026-11-28 {HASH} "),
            &format!("name alice 2026-11-28 {}", HASH.replace("m=7168", "m=07168")),
            &format!("name alice 2026-11-28 {}", HASH.replace("m=7168", "m=9999999")),
            &format!("name alice 2026-11-28 {}", HASH.replace("argon2id", "argon2i")),
            &format!("token alice 2026-12-01 {}", HEX.to_uppercase()),
            "seen alice 2026-13-01",
            "operator alice yes",
            "role #lobby bob founder",
            "rule #lobby key ",
            "topic #lobby",
            "topic #lobby ",
            "unban #r +3",
            "unban #r 03",
            "unban #r 3 4",
            "block 7 guests 203.0.113.0/33 - ops",
            "block 7 guests 203.0.113.0 - ops",
            "ban #r 6 ban guest:eve 2001:DB8::/64 - alice",
            "once alice - 00",
        ] {
            assert_eq!(parse(bad.as_bytes()), None, "{bad}");
        }
    }

    #[test]
    fn a_torn_tail_is_told_from_damage_before_the_end() {
        let good = "seen alice 2026-12-01\nuntoken alice\n";
        for tail in [&b""[..], b"drop al", b"drop alice 2026-12-24", &[0; 512], b"drop al\0\0\0", b"\0\0p bob\n\0dr"] {
            let reading = read(&[good.as_bytes(), tail].concat()).unwrap();
            assert_eq!((reading.entries.len(), reading.good), (2, good.len()), "{tail:?}");
        }
        assert_eq!(read(b"seen alice 2026-12-01\nbna #r 3\nuntoken alice\n"), Err(Damage { line: 2 }));
        for bad in ["nane bob 2026-12-01 -\n", "untoken bob \n", "\n", "untoken bob\r\r\n", "\u{feff}untoken bob\n"] {
            let read = |tail: &str| read(format!("{good}{bad}{tail}").as_bytes());
            for tail in ["", "untoken eve\n", "drop al", "\0\0"] {
                assert_eq!(read(tail), Err(Damage { line: 3 }), "{bad}{tail}");
            }
        }
        assert_eq!(read(b"\0\0\nseen alice 2026-12-01\n"), Err(Damage { line: 1 }));
    }

    #[test]
    fn what_no_crash_leaves_is_no_torn_tail() {
        let good = "seen alice 2026-12-01\nuntoken alice\n";
        let wide = |order: fn(u16) -> [u8; 2], mark: &str| -> Vec<u8> {
            format!("{mark}{good}").encode_utf16().flat_map(order).collect()
        };
        for (saved, is_torn) in [
            (wide(u16::to_le_bytes, "\u{feff}"), false),
            (wide(u16::to_be_bytes, "\u{feff}"), false),
            (wide(u16::to_le_bytes, ""), false),
            (good.replace('\n', "\r").into_bytes(), false),
            (vec![0; 600], false),
            ("untoken alice ".repeat(limits::LINE).into_bytes(), false),
            (b"seen ali".to_vec(), true),
            (b"seen ali\0\0\0".to_vec(), true),
        ] {
            assert_eq!(read(&saved), if is_torn { Ok(Reading::default()) } else { Err(Damage { line: 1 }) });
            // A disk may have zeros in the place of what was added last.
            let is_torn = is_torn || saved[0] == 0 && saved[1] == 0;
            let behind = read(&[good.as_bytes(), &saved].concat());
            assert_eq!(
                behind.map(|reading| reading.good),
                if is_torn { Ok(good.len()) } else { Err(Damage { line: 3 }) }
            );
        }
    }

    #[test]
    fn a_ledger_that_was_saved_on_windows_is_read() {
        let saved = "\u{feff}seen alice 2026-12-01\r\nunban #r 3\r\n";
        let reading = read(saved.as_bytes()).unwrap();
        assert_eq!((reading.entries.len(), reading.good), (2, saved.len()));
        assert_eq!(read(format!("{saved}unban #r").as_bytes()), Ok(reading));
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(entries in prop::collection::vec(entry(), 0..20), cut in any::<prop::sample::Index>()) {
            let mut ledger = String::new();
            entries.iter().for_each(|entry| encode(&mut ledger, entry));
            prop_assert_eq!(read(ledger.as_bytes()), Ok(Reading { entries: entries.clone(), good: ledger.len() }));
            prop_assert!(ledger.lines().all(|line| line.len() < limits::LINE));
            // A write that was cut off loses nothing but what it cut.
            let cut = &ledger.as_bytes()[..cut.index(ledger.len() + 1)];
            let count = cut.iter().filter(|&&b| b == b'\n').count();
            prop_assert_eq!(&read(cut).unwrap().entries[..], &entries[..count]);
        }

        #[test]
        fn no_line_is_read_in_two_spellings(line in "(name|seen|drop|unban|rule|ban|block) [a-z#0-9:*./ -]{0,40}") {
            if let Some(entry) = parse(line.as_bytes()) {
                let mut same = String::new();
                encode(&mut same, &entry);
                prop_assert_eq!(same, format!("{line}\n"));
            }
        }
    }
}
