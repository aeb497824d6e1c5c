//! What stands behind the name of a command, read a word at a time.

use std::time::Duration;

use crate::event::{Fault, Misplaced, Unfit, Verb};
use crate::limits;
use crate::names::{BadName, Nick, RoomName, Text};
use crate::register::entry::Network;
use crate::request::{Named, Target};
use crate::text::is_blank;
use crate::wire::TOKEN;

/// What is wrong with a command's words.
pub(super) enum Slip {
    /// They do not fit its usage.
    Usage,
    /// Something that has a name of its own.
    Fault(Fault),
}

/// A word that may be a password from now on. One that begins as tokens do would be taken for one where it is to prove something, and one with
/// something in it that is no text is not what was typed, and others would be the same.
pub(super) fn new_password(word: &str) -> Result<&str, Slip> {
    let unfit = match word {
        _ if word.starts_with(TOKEN) => Unfit::Token,
        _ if word.contains(char::REPLACEMENT_CHARACTER) => Unfit::Garbled,
        _ => return Ok(word),
    };
    Err(Slip::Fault(Fault::BadPassword(unfit)))
}

/// What need not, or cannot, be looked for in a reason.
#[derive(Clone, Copy)]
pub(super) struct Said {
    pub(super) room: bool,
    pub(super) time: bool,
    pub(super) scope: bool,
}

impl Said {
    pub(super) const ALL: Self = Self { room: true, time: true, scope: true };
}

/// Something stands where it would become a part of the reason.
pub(super) fn misplaced(verb: Verb, what: Misplaced, typed: &str) -> Slip {
    Slip::Fault(Fault::Misplaced { verb, what, typed: Text::new(typed) })
}

/// Whether a word says whom of a network a block is for, as the command has it or nearly.
pub(super) fn is_scope(word: &str) -> bool {
    ["guests", "guest", "all", "everybody", "everyone"].iter().any(|scope| scope.eq_ignore_ascii_case(word))
}

/// What is still unread of a command's line.
pub(super) struct Words<'a>(pub(super) &'a str);

impl<'a> Words<'a> {
    pub(super) fn word(&mut self) -> Option<&'a str> {
        let rest = self.0.trim_start_matches(' ');
        let (word, rest) = rest.split_at(rest.find(' ').unwrap_or(rest.len()));
        self.0 = rest;
        (!word.is_empty()).then_some(word)
    }

    pub(super) fn need(&mut self) -> Result<&'a str, Slip> {
        self.word().ok_or(Slip::Usage)
    }

    /// The next word if it names a room.
    pub(super) fn room(&mut self) -> Option<Named<'a, RoomName>> {
        if self.0.trim_start_matches(' ').starts_with('#') { self.word().map(room) } else { None }
    }

    pub(super) fn keyword(&mut self, keyword: &str) -> bool {
        let mut ahead = Words(self.0);
        let found = ahead.word().is_some_and(|word| word.eq_ignore_ascii_case(keyword));
        if found {
            self.0 = ahead.0;
        }
        found
    }

    /// The next word if it is a span of time. What begins as one, with a sign or without, and is none must not pass for the text that comes
    /// behind, nor may a number without its unit, which stands behind a blank.
    pub(super) fn time(&mut self) -> Result<Option<Duration>, Slip> {
        let mut ahead = Words(self.0);
        let begins_so = |word: &&str| word.trim_start_matches(SIGNS).starts_with(|c: char| c.is_ascii_digit());
        let Some(word) = ahead.word().filter(begins_so) else { return Ok(None) };
        let is_number = word.bytes().all(|b| b.is_ascii_digit());
        let unit = Words(ahead.0).word().filter(|next| is_number && is_unit(next));
        match (span(word), unit) {
            (Some(time), None) => {
                self.0 = ahead.0;
                Ok(Some(time))
            }
            (_, unit) => {
                self.0 = "";
                let typed = unit.map_or(word.to_owned(), |unit| format!("{word} {unit}"));
                Err(Slip::Fault(Fault::BadTime(Text::new(&typed))))
            }
        }
    }

    /// The rest is why something is done, if it is told. What looks like a time, a scope or a room that was not said where it belongs must
    /// not pass for that: whoever typed it would never know.
    pub(super) fn reason(&mut self, verb: Verb, said: Said) -> Result<Option<&'a str>, Slip> {
        let Ok(reason) = self.rest() else { return Ok(None) };
        let words: Vec<&str> = reason.split(' ').filter(|word| !word.is_empty()).collect();
        let (first, last) = (words.first().copied().unwrap_or_default(), words.last().copied().unwrap_or_default());
        if !said.room && first.starts_with('#') && RoomName::new(first).is_ok() {
            return Err(misplaced(verb, Misplaced::Room, first));
        }
        if is_scope(first) && (!said.scope || (verb == Verb::Block && words.len() == 1)) {
            return Err(misplaced(verb, Misplaced::Scope, first));
        }
        // Whoever is kicked or killed may come back at once, and so there is no time in it.
        if matches!(verb, Verb::Kick | Verb::Kill) {
            let spans = [1, 2].map(|count| words.get(..count).unwrap_or_default());
            let lasting = words.get(..lasting(&words)).filter(|lasting| !lasting.is_empty());
            if let Some(span) = spans.into_iter().find(|words| is_span(words)).or(lasting) {
                return Err(misplaced(verb, Misplaced::Time, &span.join(" ")));
            }
        }
        // How long it lasts may be told behind what it is for, too.
        let ends = |at: &usize| is_for(words[*at]) && lasting(&words[*at..]) == words.len() - at;
        let typed = match words[..] {
            _ if said.time => None,
            [word] if is_among(&FOREVER, word) => Some(word.to_owned()),
            _ if lasting(&words) > 0 => Some(words[..lasting(&words)].join(" ")),
            [.., last] if is_span(&[last]) => Some(last.to_owned()),
            [.., number, unit] if is_span(&[number, unit]) => Some(format!("{number} {last}")),
            _ => (1..words.len()).find(ends).map(|at| words[at..].join(" ")),
        };
        match typed {
            Some(typed) => Err(misplaced(verb, Misplaced::Time, &typed)),
            None => Ok(Some(reason)),
        }
    }

    pub(super) fn number(&mut self) -> Result<u64, Slip> {
        self.number_or_end()?.ok_or(Slip::Usage)
    }

    pub(super) fn number_or_end(&mut self) -> Result<Option<u64>, Slip> {
        self.word().map(|word| number(word).ok_or(Slip::Usage)).transpose()
    }

    /// All that is left, without spaces around it.
    pub(super) fn rest(&mut self) -> Result<&'a str, Slip> {
        let rest = std::mem::take(&mut self.0).trim_matches(' ');
        if rest.is_empty() { Err(Slip::Usage) } else { Ok(rest) }
    }

    /// All that is left as it was typed, for indented lines are indented for a reason.
    pub(super) fn text(&mut self) -> Result<&'a str, Slip> {
        let text = std::mem::take(&mut self.0);
        let text = text.strip_prefix(' ').unwrap_or(text);
        if text.trim_matches(' ').is_empty() { Err(Slip::Usage) } else { Ok(text) }
    }
}

pub(super) fn switch(word: &str) -> Option<bool> {
    [("on", true), ("off", false)].into_iter().find(|(w, _)| w.eq_ignore_ascii_case(word)).map(|(_, on)| on)
}

pub(super) fn target(typed: &str) -> Target<'_> {
    if typed.starts_with('#') { Target::Room(room(typed)) } else { Target::Person(person(typed)) }
}

pub(super) fn room(typed: &str) -> Named<'_, RoomName> {
    Named { typed, name: RoomName::new(typed) }
}

/// Somebody, with or without the sign that tells people from rooms. A comma or a colon behind the nick is as one writes to people, and in
/// no nick.
pub(super) fn person(typed: &str) -> Named<'_, Nick> {
    let typed = typed.strip_suffix([',', ':']).filter(|nick| !nick.is_empty()).unwrap_or(typed);
    Named { typed, name: Nick::new(typed.strip_prefix('@').unwrap_or(typed)) }
}

/// A network, or that of an address: the address itself, of IPv6 its /64, as that is what one customer has.
pub(super) fn network(typed: &str) -> Option<Network> {
    Network::typed(typed).map(Network::known)
}

/// A pattern of names, with as many characters besides its `*` as it takes not to fit nearly everybody.
pub(super) fn pattern(typed: &str) -> Option<Text> {
    let others = typed.chars().filter(|&c| c != '*').count();
    let fits = others >= limits::PATTERN_LEAST && typed.len() <= limits::PATTERN && !typed.contains(is_blank);
    fits.then(|| Text::new(typed)).filter(|safe| safe.as_str() == typed)
}

/// The first character of a pattern that no nick has, or with which none begins: with it the pattern fits nobody.
pub(super) fn in_no_nick(typed: &str) -> Option<char> {
    let begin = if typed.starts_with('*') { "a" } else { "" };
    match Nick::new(&format!("{begin}{}", typed.replace('*', ""))) {
        Err(BadName::Has(c) | BadName::Begins(c)) => Some(c),
        Ok(_) | Err(_) => None,
    }
}

/// A number. One that is out of range is the largest there is, so that it meets the limit that it is beyond.
pub(super) fn number(word: &str) -> Option<u64> {
    let is_number = !word.is_empty() && word.bytes().all(|b| b.is_ascii_digit());
    is_number.then(|| word.parse().unwrap_or(u64::MAX))
}

/// A span of time: a number of seconds, or of what the letter behind it stands for.
pub(super) fn span(word: &str) -> Option<Duration> {
    let (number, unit) = match word.char_indices().next_back()? {
        (_, '0'..='9') => (word, 1),
        (at, 's' | 'S') => (&word[..at], 1),
        (at, 'm' | 'M') => (&word[..at], 60),
        (at, 'h' | 'H') => (&word[..at], 3_600),
        (at, 'd' | 'D') => (&word[..at], 86_400),
        (at, 'w' | 'W') => (&word[..at], 7 * 86_400),
        _ => return None,
    };
    self::number(number).map(|number| Duration::from_secs(number.saturating_mul(unit)))
}

/// What may stand before a number.
const SIGNS: [char; 3] = ['-', '+', '\u{2212}'];

/// What people type for a time without end.
const FOREVER: [&str; 5] = ["forever", "permanent", "permanently", "perm", "always"];

/// What people type for a time behind a `for`, besides that and besides units.
const FOR_LONG: [&str; 4] = ["ever", "good", "life", "while"];

/// What people type before a unit of time in place of a number, in two languages.
const SO_MANY: &[&str] = &[
    "a", "an", "the", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "twelve", "half",
    "another", "next", "whole", "few", "some", "several", "couple", "rest", "of", "ein", "eine", "einen", "zwei",
    "drei",
];

/// What people call units of time, in two languages.
const UNITS: &[&str] = &[
    "s", "sec", "secs", "second", "seconds", "m", "min", "mins", "minute", "minutes", "h", "hr", "hrs", "hour",
    "hours", "d", "day", "days", "w", "week", "weeks", "month", "months", "year", "years", "sek", "sekunde",
    "sekunden", "minuten", "std", "stunde", "stunden", "tag", "tage", "woche", "wochen", "monat", "monate", "jahr",
    "jahre",
];

/// Whether a word is a span of time, with its unit written short or long.
fn is_time(word: &str) -> bool {
    let unit = word.trim_start_matches(|c: char| c.is_ascii_digit());
    unit.len() < word.len() && (span(word).is_some() || UNITS.iter().any(|known| known.eq_ignore_ascii_case(unit)))
}

/// Whether a word is a unit of time, whatever stands right behind it.
fn is_unit(word: &str) -> bool {
    let word = word.trim_end_matches(|c: char| !c.is_alphabetic());
    UNITS.iter().any(|unit| unit.eq_ignore_ascii_case(word))
}

/// Whether words are a span of time, its number before its unit.
fn is_span(words: &[&str]) -> bool {
    match words {
        [word] => word.ends_with(|c: char| !c.is_ascii_digit()) && is_time(word),
        [number, unit] => is_number(number) && is_unit(unit),
        _ => false,
    }
}

/// How many words tell, from the first one on, for how long something is to be, as in "for half an hour"; 0 if it is not told. Without the
/// `for` they must be all there are.
fn lasting(words: &[&str]) -> usize {
    let is_for = words.first().is_some_and(|word| is_for(word));
    let rest = &words[usize::from(is_for)..];
    let so_many = rest.iter().take_while(|word| is_among(SO_MANY, word) || is_number(word)).count();
    let Some((last, behind)) = rest[so_many..].split_first() else { return 0 };
    let is_unit = so_many > 0 && is_unit(last) && behind.first() != Some(&"time");
    let is_long = is_for && (is_among(&FOREVER, last) || is_among(&FOR_LONG, last));
    let is_told = is_unit || is_long || is_span(&[last]);
    if is_told && (is_for || behind.is_empty()) { words.len() - behind.len() } else { 0 }
}

fn is_for(word: &str) -> bool {
    is_among(&["for", "f\u{fc}r"], word)
}

fn is_number(word: &str) -> bool {
    word.bytes().all(|b| b.is_ascii_digit())
}

fn is_among(known: &[&str], word: &str) -> bool {
    let word = word.trim_end_matches(|c: char| c.is_ascii_punctuation());
    known.iter().any(|known| known.eq_ignore_ascii_case(word))
}
