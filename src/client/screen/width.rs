//! How wide text is on a terminal, and what of it fits.

use unicode_segmentation::UnicodeSegmentation;
use unicode_width::UnicodeWidthStr;

/// The columns that `text` takes: as many as its graphemes do, each of them measured as a whole.
pub fn columns(text: &str) -> usize {
    text.graphemes(true).map(UnicodeWidthStr::width).sum()
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
