//! What text is safe to show: on any terminal, and so that what looks alike is alike.

use std::borrow::Cow;

use unicode_width::UnicodeWidthChar as _;

/// So many marks one letter may bear. No language needs more; with more, it would stand in the lines above and below.
const MARKS: usize = 8;
/// So many columns of blanks may follow each other. Tables and indented text need no more; with more, the next words would
/// stand at the beginning of a row, and look like a line of the server's.
const BLANKS: usize = 32;
/// What follows the black flag in those of England, Scotland and Wales.
const FLAGS: [&str; 3] = [
    "\u{e0067}\u{e0062}\u{e0065}\u{e006e}\u{e0067}\u{e007f}",
    "\u{e0067}\u{e0062}\u{e0073}\u{e0063}\u{e0074}\u{e007f}",
    "\u{e0067}\u{e0062}\u{e0077}\u{e006c}\u{e0073}\u{e007f}",
];

/// So many of something, as in `1 hour` or `2 hours`. `one` is the word for one of them.
pub fn counted(count: u64, one: &str) -> String {
    format!("{count} {one}{}", if count == 1 { "" } else { "s" })
}

/// A number of bytes, for people.
pub fn bytes(count: u64) -> String {
    let mut value = count as f64;
    let mut unit = "bytes";
    for next in ["kB", "MB", "GB", "TB"] {
        if value < 1024.0 {
            break;
        }
        (value, unit) = (value / 1024.0, next);
    }
    let digits = usize::from(unit != "bytes" && value < 9.95);
    format!("{value:.digits$} {unit}")
}

/// A span of time, roughly.
pub fn roughly(seconds: u64) -> String {
    let (count, unit) = match seconds {
        0..90 => (seconds.max(1), "second"),
        90..5_400 => ((seconds + 30) / 60, "minute"),
        5_400..129_600 => ((seconds + 1_800) / 3_600, "hour"),
        _ => ((seconds + 43_200) / 86_400, "day"),
    };
    counted(count, unit)
}

/// Bytes from outside as text that cannot drive a terminal, and hides nothing.
///
/// Invalid UTF-8, C0 controls but TAB, DEL, C1 controls, U+2028, U+2029 and the bidirectional overrides (U+202A–202E,
/// U+2066–2069) become U+FFFD. Invisible characters are left out, but for where a script or an emoji needs them, and so are
/// marks beyond the eighth of a letter. Clean input is borrowed.
pub fn clean(bytes: &[u8]) -> Cow<'_, str> {
    if let (true, Ok(text)) = (is_printable(bytes), std::str::from_utf8(bytes)) {
        return Cow::Borrowed(text);
    }
    let text = String::from_utf8_lossy(bytes);
    if !text.contains(|c| is_unsafe(c) || is_invisible(c) || is_mark(c)) {
        return text;
    }
    let has_right_to_left = text.contains(is_right_to_left);
    let mut out = String::with_capacity(text.len());
    let mut marks = 0;
    let mut rest = text.chars();
    while let Some(c) = rest.next() {
        let flag = FLAGS.iter().find(|flag| c == '\u{1f3f4}' && rest.as_str().starts_with(**flag));
        let (before, after) = (out.chars().next_back(), rest.clone().next());
        if let Some(flag) = flag {
            out.push(c);
            out.push_str(flag);
            rest = rest.as_str()[flag.len()..].chars();
        } else if is_unsafe(c) {
            out.push(char::REPLACEMENT_CHARACTER);
        } else if is_invisible(c) {
            if is_in_place(c, before, after, has_right_to_left) {
                out.push(c);
            }
            continue;
        } else if is_mark(c) {
            marks += 1;
            if marks <= MARKS {
                out.push(c);
            }
            continue;
        } else {
            out.push(c);
        }
        marks = 0;
    }
    Cow::Owned(out)
}

/// Whether a text is in ASCII and stays as it is, cleaned and [narrowed](narrow). Of what is not, it may still.
pub fn is_plain(text: &str) -> bool {
    is_printable(text.as_bytes()) && (text.len() <= BLANKS || !text.contains("  "))
}

/// Whether all bytes are printable ASCII. Every line is looked at so, eight bytes at once.
fn is_printable(bytes: &[u8]) -> bool {
    const ONES: u64 = u64::MAX / 255;
    // The highest bit of a byte tells that it is beyond ASCII, that it is DEL, or that it comes before the blank.
    let is_word_so = |&word: &[u8; 8]| {
        let word = u64::from_ne_bytes(word);
        (word | word.wrapping_add(ONES) | word.wrapping_sub(ONES * u64::from(b' '))) & (ONES << 7) == 0
    };
    match bytes.last_chunk() {
        // The last eight may be looked at twice.
        Some(last) => bytes.as_chunks().0.iter().all(is_word_so) && is_word_so(last),
        None => bytes.iter().all(|b| matches!(b, b' '..=b'~')),
    }
}

/// A text without long rows of blanks: where there are more than 32 columns of them, one is left. A TAB counts as eight, as wide as it may be.
pub fn narrow(text: &str) -> Cow<'_, str> {
    // Few texts have two blanks side by side.
    let may_be_blank = |b: u8| matches!(b, b' ' | b'\t') | !b.is_ascii();
    let pairs = text.as_bytes().iter().zip(text.as_bytes().get(1..).unwrap_or_default());
    if !pairs.fold(false, |any, (&one, &next)| any | (may_be_blank(one) & may_be_blank(next))) {
        return Cow::Borrowed(text);
    }
    let mut out = String::new();
    // Up to where the text has been taken over, and where the row of blanks begins that is under way, and its columns.
    let (mut taken, mut row) = (0, None);
    for (at, c) in text.char_indices().chain([(text.len(), 'x')]) {
        row = match (row, columns_of_blank(c)) {
            (None, Some(columns)) if columns > 0 => Some((at, columns)),
            (Some((from, before)), Some(columns)) => Some((from, before + columns)),
            (Some((from, columns)), None) if columns > BLANKS => {
                out.push_str(&text[taken..from]);
                out.push(' ');
                taken = at;
                None
            }
            _ => None,
        };
    }
    if taken == 0 && out.is_empty() {
        return Cow::Borrowed(text);
    }
    out.push_str(&text[taken..]);
    Cow::Owned(out)
}

/// Whether a character is shown as nothing but a gap.
pub fn is_blank(c: char) -> bool {
    columns_of_blank(c).is_some_and(|columns| columns > 0)
}

/// How wide a blank is; `None` for what is none. What is invisible ends no row of blanks.
fn columns_of_blank(c: char) -> Option<usize> {
    match c {
        '\t' => Some(8),
        '\u{3000}' => Some(2),
        '\u{2800}' => Some(1),
        _ if c.is_whitespace() => Some(1),
        _ if is_invisible(c) => Some(0),
        _ => None,
    }
}

/// Whether a text has nothing in it that could drive a terminal, whatever it hides.
pub fn is_safe(text: &str) -> bool {
    !text.contains(is_unsafe)
}

/// A character as it may stand in a text that is typed: whether something invisible belongs there is known only from the whole,
/// which is then [cleaned](clean).
pub fn safe(c: char) -> char {
    if is_unsafe(c) { char::REPLACEMENT_CHARACTER } else { c }
}

fn is_unsafe(c: char) -> bool {
    match c {
        '\t' => false,
        '\u{2028}' | '\u{2029}' | '\u{202A}'..='\u{202E}' | '\u{2066}'..='\u{2069}' => true,
        _ => c.is_control(),
    }
}

/// What is not seen itself, though what stands around it may look different.
pub(crate) fn is_invisible(c: char) -> bool {
    matches!(c,
        // The soft hyphen, the joiner of marks, the mark of Arabic letters.
        '\u{ad}' | '\u{34f}' | '\u{61c}'
        // Fillers of Hangul.
        | '\u{115f}' | '\u{1160}' | '\u{3164}' | '\u{ffa0}'
        // Inherent vowels of Khmer, selectors of Mongolian.
        | '\u{17b4}' | '\u{17b5}' | '\u{180b}'..='\u{180f}'
        // Blanks without width, joiners, marks of direction, invisible operators.
        | '\u{200b}'..='\u{200f}' | '\u{2060}'..='\u{206f}'
        | '\u{fe00}'..='\u{fe0f}' | '\u{feff}' | '\u{fff0}'..='\u{fffb}'
        // A filler of Khitan, what joins hieroglyphs, and those that are blank.
        | '\u{16fe4}' | '\u{13430}'..='\u{1343f}' | '\u{13441}' | '\u{13442}'
        // A head of no note, and controls of shorthand and of musical notes.
        | '\u{1d159}' | '\u{1bca0}'..='\u{1bca3}' | '\u{1d173}'..='\u{1d17a}'
        // Tags, and more selectors.
        | '\u{e0000}'..='\u{e0fff}')
}

/// What is written over or under the letter before it.
fn is_mark(c: char) -> bool {
    !c.is_ascii() && c.width() == Some(0) && !is_invisible(c)
}

/// Whether something invisible has a meaning between these two.
fn is_in_place(c: char, before: Option<char>, after: Option<char>, has_right_to_left: bool) -> bool {
    let Some(before) = before else { return false };
    let is_next = |is_so: fn(char) -> bool| after.is_some_and(|after| is_so(after) && !is_mark(after));
    match c {
        // Marks of direction say to which side a sign belongs, as the + of C++. Letters have a direction of their own.
        '\u{200e}' | '\u{200f}' | '\u{61c}' => {
            let ends_there = after.is_none_or(|after| is_sign(after) || is_blank(after));
            has_right_to_left && is_sign(before) && ends_there
        }
        // Joiners change the shapes of letters; the one that joins makes one emoji of several, too.
        '\u{200c}' => is_joining(before) && is_next(is_joining),
        '\u{200d}' => is_joining(before) || ((is_pictograph(before) || before == '\u{fe0f}') && is_next(is_pictograph)),
        // Where a word ends, in scripts that have no blanks.
        '\u{200b}' => has_no_blanks(before) && is_next(has_no_blanks),
        // Selectors between text and emoji, of which a keycap is one.
        '\u{fe0e}' | '\u{fe0f}' => {
            let is_keycap = matches!(before, '0'..='9' | '#' | '*') && after == Some('\u{20e3}');
            is_keycap || is_pictograph(before)
        }
        // Shapes of ideographs, which names are written with.
        '\u{fe00}'..='\u{fe02}' | '\u{e0100}'..='\u{e01ef}' => is_ideograph(before),
        '\u{180b}'..='\u{180f}' => matches!(before, '\u{1820}'..='\u{18aa}'),
        _ => false,
    }
}

/// Whether letters of its script change their shape with what stands beside them.
fn is_joining(c: char) -> bool {
    let is_of_script = matches!(c,
        '\u{600}'..='\u{109f}' | '\u{1780}'..='\u{18af}' | '\u{1900}'..='\u{1cff}' | '\u{a800}'..='\u{abff}'
        | '\u{fb50}'..='\u{fdff}' | '\u{fe70}'..='\u{fefc}' | '\u{10a00}'..='\u{10fff}' | '\u{11000}'..='\u{11fff}'
        | '\u{1e900}'..='\u{1e95f}');
    is_of_script && (c.is_alphabetic() || is_mark(c))
}

/// Whether its script writes words without blanks between them.
fn has_no_blanks(c: char) -> bool {
    matches!(c, '\u{e00}'..='\u{fff}' | '\u{1000}'..='\u{109f}' | '\u{1780}'..='\u{17ff}' | '\u{1950}'..='\u{1aaf}'
        | '\u{a9e0}'..='\u{a9ff}' | '\u{aa60}'..='\u{aadf}')
        && !is_invisible(c)
}

/// What is no part of a word, and has no direction.
fn is_sign(c: char) -> bool {
    !c.is_alphanumeric() && !is_blank(c) && !is_mark(c) && !is_invisible(c)
}

fn is_right_to_left(c: char) -> bool {
    let is_of_script = matches!(c,
        '\u{590}'..='\u{8ff}' | '\u{fb1d}'..='\u{fdff}' | '\u{fe70}'..='\u{fefc}' | '\u{10800}'..='\u{10fff}'
        | '\u{1e800}'..='\u{1efff}');
    is_of_script && c.is_alphabetic()
}

fn is_pictograph(c: char) -> bool {
    matches!(c,
        '\u{a9}' | '\u{ae}' | '\u{203c}' | '\u{2049}' | '\u{2122}' | '\u{2139}' | '\u{2194}'..='\u{21aa}'
        | '\u{231a}'..='\u{23ff}' | '\u{24c2}' | '\u{25aa}'..='\u{25fe}' | '\u{2600}'..='\u{27bf}'
        | '\u{2934}' | '\u{2935}' | '\u{2b05}'..='\u{2b55}' | '\u{3030}' | '\u{303d}' | '\u{3297}' | '\u{3299}'
        | '\u{1f000}'..='\u{1faff}')
}

fn is_ideograph(c: char) -> bool {
    matches!(c, '\u{3400}'..='\u{4dbf}' | '\u{4e00}'..='\u{9fff}' | '\u{f900}'..='\u{faff}' | '\u{20000}'..='\u{3ffff}')
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn check(text: &str, want: &str) {
        assert_eq!(clean(text.as_bytes()), want, "{}", text.escape_unicode());
    }

    #[test]
    fn texts_cannot_drive_a_terminal() {
        let check = |bytes: &[u8], want: &str| assert_eq!(clean(bytes), want, "{bytes:?}");
        check(b"plain \xc3\xa9\t!", "plain é\t!");
        check(b"\x1b[2J", "\u{fffd}[2J");
        check(b"a\x00b\x7fc\rd", "a\u{fffd}b\u{fffd}c\u{fffd}d");
        check("\u{9b}2J \u{85}".as_bytes(), "\u{fffd}2J \u{fffd}");
        check("\u{202e}abc\u{2066}\u{2028}".as_bytes(), "\u{fffd}abc\u{fffd}\u{fffd}");
        check(b"\xffok\xc3", "\u{fffd}ok\u{fffd}");
    }

    #[test]
    fn nothing_is_hidden_in_a_text() {
        for hidden in [
            "\u{ad}",
            "\u{34f}",
            "\u{61c}",
            "\u{115f}",
            "\u{1160}",
            "\u{17b4}",
            "\u{180b}",
            "\u{180e}",
            "\u{200b}",
            "\u{200c}",
            "\u{200d}",
            "\u{200e}",
            "\u{200f}",
            "\u{2060}",
            "\u{2063}",
            "\u{206a}",
            "\u{3164}",
            "\u{fe00}",
            "\u{fe0f}",
            "\u{feff}",
            "\u{ffa0}",
            "\u{fff9}",
            "\u{13430}",
            "\u{16fe4}",
            "\u{1343f}",
            "\u{13441}",
            "\u{13442}",
            "\u{1bca0}",
            "\u{1d159}",
            "\u{1d173}",
            "\u{e0001}",
            "\u{e0061}",
            "\u{e007f}",
            "\u{e0100}",
            "\u{e0fff}",
        ] {
            check(&format!("ali{hidden}ce"), "alice");
            check(&format!("{hidden}alice{hidden}{hidden}"), "alice");
            check(&format!("🏴{hidden}{hidden}"), if hidden == "\u{fe0f}" { "🏴\u{fe0f}" } else { "🏴" });
        }
        // Words of tags behind a flag, and a flag that is none of the three.
        check("🏴\u{e0067}\u{e0062}\u{e0061}\u{e007f}x", "🏴x");
        check(&format!("a{}b", "\u{301}".repeat(100)), &format!("a{}b", "\u{301}".repeat(8)));
    }

    #[test]
    fn marks_of_direction_stand_behind_signs_alone() {
        for mark in ["\u{200e}", "\u{200f}", "\u{61c}"] {
            // At the beginning of a line or a word, at the end of one, and between letters, whatever their direction.
            for (text, want) in [
                ("|/login דן x", "/login דן x"),
                ("/msg |דן hi", "/msg דן hi"),
                ("/msg דן| hi", "/msg דן hi"),
                ("/join #|דן", "/join #דן"),
                ("ע|ב|", "עב"),
                ("5 |עב", "5 עב"),
                ("דן5|", "דן5"),
                ("a|ב", "aב"),
                ("C++| only", "C++ only"),
                ("ב\u{5b0}|", "ב\u{5b0}"),
            ] {
                check(&text.replace('|', mark), want);
            }
            for text in ["ב C++|", "ב C++| ג", "(ב)|!"] {
                let text = text.replace('|', mark);
                check(&text, &text);
                check(&text.replace(mark, &mark.repeat(3)), &text);
            }
        }
    }

    #[test]
    fn what_people_write_stays() {
        for text in [
            "👩‍👩‍👧 e\u{301}",
            "👩🏽‍🚀 🏳️‍🌈 ❤️‍🔥 🏴‍☠️ 🧑‍⚕️",
            "1️⃣ #️⃣ *️⃣ ☎︎ ©️",
            "🇩🇪 🏴\u{e0067}\u{e0062}\u{e0065}\u{e006e}\u{e0067}\u{e007f} \
             🏴\u{e0067}\u{e0062}\u{e0073}\u{e0063}\u{e0074}\u{e007f} 🏴\u{e0067}\u{e0062}\u{e0077}\u{e006c}\u{e0073}\u{e007f}",
            "ที่นี่ น้ำ",
            "ภาษา\u{200b}ไทย",
            "می\u{200c}خواهم ه\u{200d}",
            "क्\u{200d}ष र\u{200d}\u{94d}य ශ්\u{200d}රී ന്\u{200d}",
            "مُحَمَّدٌ C++\u{200e} א!\u{200f}",
            "葛\u{e0100} 葛\u{fe00}",
            "ᠮᠣᠩ\u{180e}ᠭ\u{180b}",
            "नमस्ते ភាសា\u{200b}ខ្មែរ",
            "Việt Nam, e\u{323}\u{302}",
            "한국어 \u{1112}\u{1161}\u{11ab}",
        ] {
            check(text, text);
        }
    }

    #[test]
    fn what_is_next_never_stands_at_the_beginning_of_a_row() {
        let check = |text: &str, want: &str| assert_eq!(narrow(text), want, "{text:?}");
        for blank in [" ", "\u{a0}", "\u{2003}", "\u{202f}", "\u{2800}"] {
            let row = |columns: usize| format!("ok{}* notice", blank.repeat(columns));
            check(&row(32), &row(32));
            check(&row(33), "ok * notice");
            check(&row(3000), "ok * notice");
        }
        check(&format!("{}code", "\t".repeat(4)), &format!("{}code", "\t".repeat(4)));
        check(&format!("{}code", "\t".repeat(5)), " code");
        check(&format!("ok{}* notice", "\u{3000}".repeat(17)), "ok * notice");
        // Kinds that are mixed, and what is invisible between them.
        check(&format!("ok{}*", " \u{a0}\t".repeat(8)), "ok *");
        check(&format!("א{0}\u{200f}{0}* a{1}", " ".repeat(20), " ".repeat(40)), "א * a ");
        check("a  b", "a  b");
    }

    proptest! {
        #[test]
        fn what_is_clean_stays_so_wherever_it_stands(
            text in proptest::collection::vec(prop_oneof![
                proptest::sample::select(&[
                    'a', '1', ' ', '\t', '\u{a0}', '\u{301}', '\u{94d}', '\u{915}', '\u{627}', '\u{e17}', '\u{200b}', '\u{200c}',
                    '\u{200d}', '\u{200e}', '\u{5d3}', '+', '\u{fe0f}', '\u{20e3}', '\u{1f469}', '\u{1f3f4}', '\u{e0067}', '\u{e007f}',
                    '\u{5b57}', '\u{e0100}', '\u{ad}', '\u{fe00}', '\u{1820}', '\u{180b}',
                ][..]),
                any::<char>(),
            ], 0..60),
        ) {
            let text: String = text.into_iter().collect();
            let once = narrow(&clean(text.as_bytes())).into_owned();
            let again = narrow(&clean(once.as_bytes())).into_owned();
            prop_assert_eq!(&again, &once);
            let line = format!("#a <b> {once}");
            prop_assert_eq!(&*clean(line.as_bytes()), &*line);
        }
    }
}
