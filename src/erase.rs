//! What the keys erase that a terminal sends on when it edits no lines itself: Windows' telnet, a serial line, PuTTY in raw
//! mode. Such a line means what its writer sees.

use memchr::{memchr2, memchr3};
use unicode_segmentation::UnicodeSegmentation as _;

/// Erases a character: backspace.
const BACKSPACE: u8 = 0x08;
/// Erases a character: what most terminals send for backspace. Telnet's EC stands for it too.
pub const DELETE: u8 = 0x7F;
/// Erases the line: Ctrl-U. Telnet's EL stands for it too.
pub const KILL: u8 = 0x15;
/// Drops what was typed before it: Ctrl-C. Telnet's IP stands for it too.
pub const INTERRUPT: u8 = 0x03;
/// Erases a word: Ctrl-W.
const WORD: u8 = 0x17;

/// Bytes at the end of a line in which its last character is looked for, so that a key costs no more in a long line.
const TAIL: usize = 256;

/// What a byte does to a line, other than to stand in it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Key {
    /// Nothing at all: NUL, which some clients send so that the connection stays alive.
    Nothing,
    /// It erases the last character.
    Character,
    /// It erases the last word.
    Word,
    /// It erases all of it.
    Line,
}

impl Key {
    /// The key that `byte` is; `None` if it is a part of the text.
    pub fn new(byte: u8) -> Option<Self> {
        match byte {
            0 => Some(Self::Nothing),
            BACKSPACE | DELETE => Some(Self::Character),
            WORD => Some(Self::Word),
            KILL => Some(Self::Line),
            _ => None,
        }
    }

    /// How many bytes of `line` are left.
    pub fn leaves(self, line: &[u8]) -> usize {
        match self {
            Self::Nothing => line.len(),
            Self::Character => line.len() - last(line).len(),
            Self::Word => before_word(line),
            Self::Line => 0,
        }
    }
}

/// What is left of `line` once the keys in it have erased what they erase.
pub fn carried_out(line: &[u8]) -> Vec<u8> {
    let mut left = Vec::with_capacity(line.len());
    for &byte in line {
        match Key::new(byte) {
            Some(key) => left.truncate(key.leaves(&left)),
            None => left.push(byte),
        }
    }
    left
}

/// Whether any of `bytes` is a key.
pub fn has_keys(bytes: &[u8]) -> bool {
    memchr3(0, BACKSPACE, DELETE, bytes).or_else(|| memchr2(WORD, KILL, bytes)).is_some()
}

/// What people take for the last character of a line; of bytes that are no text, those that are shown as one.
fn last(line: &[u8]) -> &[u8] {
    let mut tail = &line[line.len().saturating_sub(TAIL)..];
    if tail.len() < line.len() {
        // It may begin in the midst of a character.
        let inner = tail.iter().take(3).take_while(|&&byte| byte & 0xC0 == 0x80).count();
        tail = &tail[inner..];
    }
    let Some(chunk) = tail.utf8_chunks().last() else { return &[] };
    let len = match chunk.invalid() {
        [] => chunk.valid().graphemes(true).next_back().map_or(0, str::len),
        invalid => invalid.len(),
    };
    &tail[tail.len() - len..]
}

/// How much of a line stands before its last word, as terminals count words: letters, digits and `_`.
fn before_word(line: &[u8]) -> usize {
    let is_of_word = |character: &[u8]| {
        let first = std::str::from_utf8(character).ok().and_then(|text| text.chars().next());
        first.is_some_and(|c| c.is_alphanumeric() || c == '_')
    };
    let (mut rest, mut in_word) = (line, false);
    loop {
        let character = last(rest);
        if character.is_empty() || (in_word && !is_of_word(character)) {
            return rest.len();
        }
        in_word |= is_of_word(character);
        rest = &rest[..rest.len() - character.len()];
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_character_goes_as_a_whole() {
        let check = |line: &[u8], want: &[u8]| {
            assert_eq!(&line[..Key::Character.leaves(line)], want, "{}", line.escape_ascii());
        };
        check(b"", b"");
        check(b"ab", b"a");
        check("né".as_bytes(), b"n");
        check("ne\u{301}".as_bytes(), b"n");
        check("x👩‍👩‍👧".as_bytes(), b"x");
        check("🇩🇪🇫🇷".as_bytes(), "🇩🇪".as_bytes());
        check("กำ".as_bytes(), b"");
        check(b"Gr\xfc\xdf", b"Gr\xfc");
        check(b"a\xf0\x9f\x98", b"a");
        // One with more marks than anybody writes goes in parts.
        let tall = format!("a{}", "\u{301}".repeat(1000));
        assert!(Key::Character.leaves(tall.as_bytes()) >= tall.len() - TAIL);
        let long = "é".repeat(1000);
        assert_eq!(Key::Character.leaves(long.as_bytes()), long.len() - 2);
    }

    #[test]
    fn a_word_goes_with_what_stands_behind_it() {
        let check = |line: &str, want: &str| assert_eq!(&line[..Key::Word.leaves(line.as_bytes())], want, "{line}");
        check("", "");
        check("one", "");
        check("one two", "one ");
        check("one two, ", "one ");
        check("  ", "");
        check("see foo_bar", "see ");
        check("नमस्ते दुनिया", "नमस्ते ");
    }
}
