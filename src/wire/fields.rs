//! The fields of a line: separated by exactly one space, of which only the last may hold more.

use std::fmt::Write as _;
use std::time::SystemTime;

use arrayvec::ArrayString;

use super::{Rank, Stamp, Whom};
use crate::names::{Digest, FileId, Nick, Place, PlaceToken, RoomName};
use crate::time::{Day, in_millis, in_seconds};

/// What is unread of a line; `None` once it has ended, without a space.
///
/// Only what would be written in the same way is read, so that nothing is lost in a line that passes through.
#[derive(Clone, Copy)]
pub(super) struct Fields<'a>(Option<&'a str>);

impl<'a> Fields<'a> {
    pub(super) fn new(line: &'a str) -> Self {
        Self(Some(line))
    }

    /// The next field, which is not empty.
    pub(super) fn word(&mut self) -> Option<&'a str> {
        let (word, rest) = match self.0?.split_once(' ') {
            Some((word, rest)) => (word, Some(rest)),
            None => (self.0?, None),
        };
        self.0 = rest;
        (!word.is_empty()).then_some(word)
    }

    /// What `read` makes of the next field; if nothing, that is still unread.
    pub(super) fn maybe<T>(&mut self, read: impl FnOnce(&mut Self) -> Option<T>) -> Option<T> {
        let mut ahead = *self;
        let found = read(&mut ahead);
        if found.is_some() {
            *self = ahead;
        }
        found
    }

    /// Whether the next field is `word`, and then what follows it.
    pub(super) fn keyword(&mut self, word: &str) -> Option<()> {
        (self.word()? == word).then_some(())
    }

    pub(super) fn number(&mut self) -> Option<u64> {
        number(self.word()?)
    }

    /// A number with an `s` behind it.
    pub(super) fn seconds(&mut self) -> Option<u64> {
        number(self.word()?.strip_suffix('s')?)
    }

    pub(super) fn nick(&mut self) -> Option<Nick> {
        nick(self.word()?)
    }

    pub(super) fn room(&mut self) -> Option<RoomName> {
        room(self.word()?)
    }

    /// `#room` or `@nick`.
    pub(super) fn place(&mut self) -> Option<Place> {
        place(self.word()?)
    }

    /// `#room` or `nick`.
    pub(super) fn target(&mut self) -> Option<Place> {
        let word = self.word()?;
        room(word).map(Place::Room).or_else(|| nick(word).map(Place::With))
    }

    pub(super) fn day(&mut self) -> Option<Day> {
        Day::new(self.word()?)
    }

    pub(super) fn file(&mut self) -> Option<FileId> {
        self.number().map(FileId)
    }

    pub(super) fn digest(&mut self) -> Option<Digest> {
        let hex = self.word()?.strip_prefix("sha256:")?;
        Digest::from_hex(hex).filter(|_| !hex.bytes().any(|b| b.is_ascii_uppercase()))
    }

    pub(super) fn rank(&mut self) -> Option<Rank> {
        let word = self.word()?;
        Rank::ALL.into_iter().find(|rank| rank.as_str() == word)
    }

    /// `name:NICK`, `guest:NICK` or `pattern:PATTERN`.
    pub(super) fn whom(&mut self) -> Option<Whom<'a>> {
        match self.word()?.split_once(':')? {
            ("name", name) => nick(name).map(Whom::Name),
            ("guest", name) => nick(name).map(Whom::Guest),
            ("pattern", pattern) if !pattern.is_empty() => Some(Whom::Pattern(pattern)),
            _ => None,
        }
    }

    /// A time in whole seconds, or `-` for none.
    pub(super) fn until(&mut self) -> Option<Option<SystemTime>> {
        let word = self.word()?;
        if word == "-" {
            return Some(None);
        }
        let at = humantime::parse_rfc3339(word).ok()?;
        (in_seconds(at).to_string() == word).then_some(Some(at))
    }

    pub(super) fn token(&mut self) -> Option<PlaceToken> {
        PlaceToken::new(self.word()?)
    }

    /// Whether it is the first of two words; one of them must stand here.
    pub(super) fn either(&mut self, [yes, no]: [&str; 2]) -> Option<bool> {
        let word = self.word()?;
        (word == yes || word == no).then_some(word == yes)
    }

    pub(super) fn switch(&mut self) -> Option<bool> {
        match self.word()? {
            "on" => Some(true),
            "off" => Some(false),
            _ => None,
        }
    }

    /// `[SEQ@TIME]`, of which SEQ is `-` where there is none.
    pub(super) fn stamp(&mut self) -> Option<Stamp> {
        let (seq, time) = self.word()?.strip_prefix('[')?.strip_suffix(']')?.split_once('@')?;
        let seq = if seq == "-" { None } else { Some(number(seq)?) };
        let at = humantime::parse_rfc3339(time).ok()?;
        let mut same = ArrayString::<32>::new();
        write!(same, "{}", in_millis(at)).ok()?;
        (*same == *time).then_some(Stamp { seq, at })
    }

    /// `<nick> text`.
    pub(super) fn said(mut self) -> Option<(Nick, &'a str)> {
        let nick = nick(self.word()?.strip_prefix('<')?.strip_suffix('>')?)?;
        Some((nick, self.0?))
    }

    /// The last field, with all its spaces; empty if the line has ended before it.
    pub(super) fn text(self) -> Option<&'a str> {
        match self.0 {
            None => Some(""),
            Some("") => None,
            Some(text) => Some(text),
        }
    }

    /// The last field, which must be there.
    pub(super) fn some_text(self) -> Option<&'a str> {
        self.text().filter(|text| !text.is_empty())
    }

    /// All words that are left, at least one, and each of them read.
    pub(super) fn all<T>(mut self, read: impl Fn(&'a str) -> Option<T>) -> Option<Vec<T>> {
        let mut all = vec![read(self.word()?)?];
        while self.0.is_some() {
            all.push(read(self.word()?)?);
        }
        Some(all)
    }

    /// `read`, if the line ends here.
    pub(super) fn end<T>(self, read: T) -> Option<T> {
        self.0.is_none().then_some(read)
    }
}

/// A nick in the one way in which it is written.
pub(super) fn nick(word: &str) -> Option<Nick> {
    Nick::new(word).ok().filter(|nick| nick.as_str() == word)
}

/// The name of a room in the one way in which it is written.
pub(super) fn room(word: &str) -> Option<RoomName> {
    RoomName::new(word).ok().filter(|room| room.as_str() == word)
}

/// `#room` or `@nick` in the one way in which it is written.
pub(super) fn place(word: &str) -> Option<Place> {
    match word.strip_prefix('@') {
        Some(name) => nick(name).map(Place::With),
        None => room(word).map(Place::Room),
    }
}

/// A number in the one way in which it is written.
fn number(digits: &str) -> Option<u64> {
    let is_plain = digits == "0" || !digits.starts_with(['0', '+']);
    digits.parse().ok().filter(|_| is_plain)
}

/// Writes what can be shown behind what is in `out`, which cannot fail.
pub(super) fn put(out: &mut String, what: impl std::fmt::Display) {
    let _ = write!(out, "{what}");
}

/// Writes a field behind a space, if it is not empty.
pub(super) fn put_text(out: &mut String, text: &str) {
    if !text.is_empty() {
        out.push(' ');
        out.push_str(text);
    }
}

/// Writes a target as replies have it, in which people stand without `@`.
pub(super) fn put_target(out: &mut String, place: &Place) {
    out.push_str(match place {
        Place::Room(room) => room.as_str(),
        Place::With(nick) => nick.as_str(),
    });
}

pub(super) fn on_off(on: bool) -> &'static str {
    if on { "on" } else { "off" }
}
