//! How wide text is on a terminal, and what of it fits.

use unicode_segmentation::UnicodeSegmentation;
use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

/// The letters that flags are made of.
const REGIONAL_A: char = '\u{1f1e6}';
const REGIONAL_Z: char = '\u{1f1ff}';

/// Cells that the further rows of a line are indented by.
pub const INDENT: usize = 4;
/// Cells from one stop of the tabulator to the next.
const TAB: usize = 8;

/// The columns that `text` takes: as many as its graphemes do, each of them measured as a whole.
pub fn columns(text: &str) -> usize {
    text.graphemes(true).map(UnicodeWidthStr::width).sum()
}

/// Whether all terminals make the same number of columns of `text`. They do not agree on what is made up of several
/// characters: flags, keycaps, families, the syllables of Devanagari.
pub fn is_certain(text: &str) -> bool {
    text.graphemes(true).all(|grapheme| grapheme.chars().nth(1).is_none())
}

/// The most columns that a terminal makes of `text`, which is more than most do where it is not certain: some have a cell for
/// each character, even for those that others put on top of the one before.
pub fn widest(text: &str) -> usize {
    let apart = |c: char| if matches!(c, REGIONAL_A..=REGIONAL_Z) { 2 } else { c.width().unwrap_or_default().max(1) };
    text.graphemes(true).map(|grapheme| grapheme.width().max(grapheme.chars().map(apart).sum())).sum()
}

/// Whether something in `text` takes more than one column.
pub fn has_wide(text: &str) -> bool {
    text.graphemes(true).any(|grapheme| grapheme.width() > 1)
}

/// `line`, with the colours in it, as rows for a window of `width` columns. They end at blanks, and all but the first are indented,
/// so that nothing in a line can look like one of its own. A word that is longer than a row is left to the terminal, as links are to
/// stay whole; what comes behind it begins a row, and a word ends at what may pass for a blank.
pub fn broken(line: &str, width: usize) -> String {
    let Some(room) = width.checked_sub(INDENT).filter(|&room| room > INDENT) else { return line.to_owned() };
    let (mut out, mut rest, mut column) = (String::new(), line, 0);
    while !rest.is_empty() {
        let (blanks, more) = rest.split_at(rest.find(|c| !is_blank(c)).unwrap_or(rest.len()));
        let ends = |(at, c): (usize, char)| match c {
            _ if is_blank(c) => Some(at),
            _ => may_be_blank(c).then_some(at + c.len_utf8()),
        };
        let (word, more) = more.split_at(more.char_indices().find_map(ends).unwrap_or(more.len()));
        rest = more;
        let (behind, wide) = (blanks.chars().fold(column, behind), widest(&without_colours(word)));
        let is_out = behind + wide > width && (wide <= room || behind >= width);
        if is_out && wide > 0 && column > 0 {
            out += "\r\n";
            out.extend([' '; INDENT]);
            column = INDENT;
        } else if !is_out {
            out += blanks;
            column = behind;
        }
        out += word;
        column = (column + wide).min(width);
    }
    out
}

/// Whether that shows as a blank.
fn is_blank(c: char) -> bool {
    c.is_whitespace() || matches!(c, '\u{115f}' | '\u{1160}' | '\u{2800}' | '\u{3164}' | '\u{ffa0}')
}

/// Whether that may show as a blank, with some fonts or with all.
fn may_be_blank(c: char) -> bool {
    matches!(c, '\u{303f}' | '\u{e000}'..='\u{f8ff}' | '\u{fffc}' | '\u{13441}' | '\u{13442}' | '\u{1da7f}' | '\u{1da80}' | '\u{f0000}'..)
}

/// The column behind a blank that stands in this one.
fn behind(column: usize, blank: char) -> usize {
    match blank {
        '\t' => (column / TAB + 1) * TAB,
        ' ' => column + 1,
        // So many it is at most: terminals do not agree about the others.
        _ => column + 2,
    }
}

/// What is seen of `word`.
fn without_colours(word: &str) -> String {
    let mut parts = word.split('\x1b');
    let first = parts.next().unwrap_or_default();
    parts.fold(first.to_owned(), |seen, part| seen + part.split_once('m').map_or("", |(_, rest)| rest))
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
            ("e\u{301}", 1, 2, false),
            ("🇩🇪", 2, 4, false),
            ("1\u{fe0f}\u{20e3}", 2, 3, false),
            ("👩‍👩‍👧", 2, 8, false),
            ("नि", 2, 2, false),
        ] {
            assert_eq!((columns(text), widest(text), is_certain(text)), (usual, most, certain), "{text}");
        }
    }

    #[test]
    fn lines_end_at_blanks() {
        for (line, width, want) in [
            ("one two three", 13, "one two three"),
            ("one two three", 12, "one two\n    three"),
            ("one  two  three four", 13, "one  two\n    three\n    four"),
            // As wide as the window and not wider.
            ("one two three four", 18, "one two three four"),
            ("ok                        * notice it moves", 24, "ok\n    * notice it moves"),
            ("ok\t\t\t* notice", 24, "ok\n    * notice"),
            ("ok\u{3000}\u{2800}\u{3164}\u{3164}\u{3164}* notice", 12, "ok\n    * notice"),
            (
                "okkkkkkkkkkkkkk\u{fffc}12:12\u{e000}<ann>\u{1da7f}yes",
                12,
                "okkkkkkkkkkkkkk\u{fffc}\n    12:12\u{e000}\n    <ann>\u{1da7f}\n    yes",
            ),
            // A link is left whole, and nothing stands behind its end.
            ("see https://example.org/a/b ok", 16, "see https://example.org/a/b\n    ok"),
            ("see the code https://example.org/a/b", 13, "see the code\n    https://example.org/a/b"),
            ("日本 日本語", 11, "日本 日本語"),
            ("日本 日本語 日本語", 16, "日本 日本語\n    日本語"),
            ("  blanks before and behind   ", 26, "  blanks before and behind"),
            ("a b c d", 8, "a b c d"),
            ("", 80, ""),
        ] {
            let broken = broken(line, width).replace("\r\n", "\n");
            assert_eq!(broken.trim_end(), want.trim_end(), "{line:?} {width}");
            // Colours take no room.
            let coloured = super::broken(&line.replace('e', "\x1b[1me\x1b[0;2m"), width).replace("\r\n", "\n");
            assert_eq!(coloured.replace("\x1b[1me\x1b[0;2m", "e"), broken, "{line:?} {width}");
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
