//! How wide text is on a terminal, and what of it fits.

use unicode_segmentation::UnicodeSegmentation;
use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

/// The letters that flags are made of.
const REGIONAL_A: char = '\u{1f1e6}';
const REGIONAL_Z: char = '\u{1f1ff}';

/// The columns that `text` takes: as many as its graphemes do, each of them measured as a whole.
pub fn columns(text: &str) -> usize {
    text.graphemes(true).map(UnicodeWidthStr::width).sum()
}

/// Whether all terminals make the same number of columns of `text`. They do not agree on what is made up of several
/// characters: flags, keycaps, families, the syllables of Devanagari.
pub fn is_certain(text: &str) -> bool {
    text.graphemes(true).all(|grapheme| grapheme.chars().nth(1).is_none())
}

/// The most columns that a terminal makes of `text`, which is more than most do where it is not certain.
pub fn widest(text: &str) -> usize {
    let apart = |c: char| if matches!(c, REGIONAL_A..=REGIONAL_Z) { 2 } else { c.width().unwrap_or_default() };
    text.graphemes(true).map(|grapheme| grapheme.width().max(grapheme.chars().map(apart).sum())).sum()
}

/// Whether something in `text` takes more than one column.
pub fn has_wide(text: &str) -> bool {
    text.graphemes(true).any(|grapheme| grapheme.width() > 1)
}

/// The beginning of `text`, before `…` if not all of it fits into `room` columns.
pub fn head(text: &str, room: usize) -> String {
    if columns(text) <= room {
        return text.to_owned();
    }
    let mut used = 1;
    let fits = text.graphemes(true).take_while(|grapheme| {
        used += grapheme.width();
        used <= room
    });
    let fits: String = fits.collect();
    if room == 0 { String::new() } else { fits + "…" }
}

/// The end of `text`, after `…` if not all of it fits into `room` columns.
pub fn tail(text: &str, room: usize) -> String {
    if columns(text) <= room {
        return text.to_owned();
    }
    let Some(room) = room.checked_sub(1) else { return String::new() };
    let mut used = 0;
    let fits = text.grapheme_indices(true).rev().take_while(|(_, grapheme)| {
        used += grapheme.width();
        used <= room
    });
    format!("…{}", &text[fits.last().map_or(text.len(), |(at, _)| at)..])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_terminals_make_of_it() {
        for (text, usual, most, certain) in [
            ("abc é 日本", 10, 10, true),
            ("e\u{301}", 1, 1, false),
            ("🇩🇪", 2, 4, false),
            ("1\u{fe0f}\u{20e3}", 2, 2, false),
            ("👩‍👩‍👧", 2, 6, false),
            ("नि", 2, 2, false),
        ] {
            assert_eq!((columns(text), widest(text), is_certain(text)), (usual, most, certain), "{text}");
        }
    }

    #[test]
    fn what_fits() {
        for (text, room, want_head, want_tail) in [
            ("abc", 3, "abc", "abc"),
            ("abc", 2, "a…", "…c"),
            ("abc", 1, "…", "…"),
            ("abc", 0, "", ""),
            ("日本語", 4, "日…", "…語"),
            ("e\u{301}a👩‍👩‍👧", 3, "e\u{301}a…", "…👩‍👩‍👧"),
            ("", 0, "", ""),
        ] {
            assert_eq!((&*head(text, room), &*tail(text, room)), (want_head, want_tail), "{text} {room}");
            assert!(columns(&head(text, room)) <= room && columns(&tail(text, room)) <= room);
        }
    }
}
