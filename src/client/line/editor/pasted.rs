//! Lines that were pasted, and the answer whether they are to be sent.

use super::{cut, is_blank, printable};
use crate::client::screen::width::columns;
use crate::names::clean;

/// An answer to the question before a paste.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Answer {
    Yes,
    No,
}

impl Answer {
    /// The answer that a word gives.
    pub(super) fn of(word: &str) -> Option<Self> {
        match word.trim().to_lowercase().as_str() {
            "y" | "yes" | "j" | "ja" => Some(Self::Yes),
            "n" | "no" | "nein" => Some(Self::No),
            _ => None,
        }
    }

    /// The whole word of which this is the rest behind the letter that answered.
    pub(super) fn whole(self, rest: &str) -> Option<String> {
        let word = if self == Self::Yes { "y" } else { "n" }.to_owned() + rest.trim();
        (word.len() > 1 && Self::of(&word) == Some(self)).then_some(word)
    }
}

/// Lines that were pasted.
#[derive(Debug)]
pub(super) struct Pasted {
    pub(super) lines: Vec<String>,
    /// What each of them begins with, if they are for one person: `/msg NAME `.
    pub(super) to: String,
    /// What was typed before the answer: it is no answer, and is in the input row after it.
    pub(super) ahead: String,
    /// Whether that goes on, so that a y is a letter of it.
    pub(super) is_typing: bool,
}

impl Pasted {
    pub(super) fn add(&mut self, text: &str) {
        let lines = text.split('\n').map(|line| clean(line.as_bytes())).flat_map(|line| cut(&line));
        let lines = lines.filter(|line| !is_blank(line));
        let to = if self.to.is_empty() { "/" } else { &self.to };
        // What is meant for one person must not go to a room from its second line on.
        self.lines.extend(
            lines.map(|line| if self.to.is_empty() && !line.starts_with('/') { line } else { to.to_owned() + &line }),
        );
    }

    /// What is asked about them, in fewer words where it has more columns than `room`.
    pub(super) fn question(&self, room: usize) -> String {
        let count = self.lines.len();
        let to = self.to.split(' ').nth(1).map(|name| format!(" to {name}")).unwrap_or_default();
        let ahead = if self.ahead.is_empty() { String::new() } else { format!("; then: {}", printable(&self.ahead)) };
        let whole = format!("send these {count} lines{to}? y/n{ahead}");
        if columns(&whole) <= room { whole } else { format!("send {count}{to}? y/n{ahead}") }
    }
}
