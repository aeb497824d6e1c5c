//! What Unicode says of names: which characters there may be in one, which scripts go together, when two names are the same
//! without case, and when they look alike. ASCII has a way of its own through all of it.

use std::borrow::Cow;
use std::cmp::Ordering;
use std::ops::Deref;
use std::sync::LazyLock;

use arrayvec::ArrayString;
use miniz_oxide::inflate::decompress_to_vec;
use unicode_normalization::UnicodeNormalization as _;
use unicode_normalization::char::is_combining_mark;
use unicode_script::{Script, UnicodeScript as _};
use unicode_security::GeneralSecurityProfile as _;
use unicode_security::mixed_script::AugmentedScriptSet;

use crate::text::is_invisible;

// Which characters look like others, and like which: `build.rs` writes it.
include!(concat!(env!("OUT_DIR"), "/confusables.rs"));
static RECORDS: LazyLock<Vec<u8>> = LazyLock::new(|| {
    const COMPRESSED: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/confusables.deflate"));
    decompress_to_vec(COMPRESSED).unwrap_or_default()
});

/// Text in NFC: of the spellings that mean the same, the one with the fewest characters.
pub fn nfc(text: &str) -> Cow<'_, str> {
    if text.is_ascii() { Cow::Borrowed(text) } else { Cow::Owned(text.nfc().collect()) }
}

/// Whether a name may begin with it: letters of any script.
pub fn is_letter(c: char) -> bool {
    if c.is_ascii() { c.is_ascii_alphabetic() } else { c.is_alphabetic() && !is_combining_mark(c) && !is_invisible(c) }
}

/// Whether it may stand in a name: letters, the marks on them, and digits, of any script.
pub fn is_part(c: char) -> bool {
    if c.is_ascii() {
        c.is_ascii_alphanumeric()
    } else {
        (c.is_alphanumeric() || is_combining_mark(c)) && !is_invisible(c)
    }
}

/// Whether the profile for identifiers (UTS #39, 3.1) has it: it is in use today, and has no other spelling.
pub fn is_in_profile(c: char) -> bool {
    c.identifier_allowed()
}

/// Two scripts of a text that do not go together: it is not "highly restrictive" (UTS #39, 5.2). That is text of one script, of
/// Japanese, Korean or Chinese, and of each of these with Latin.
pub fn mixture(text: &str) -> Option<[&'static str; 2]> {
    if text.is_ascii() {
        return None;
    }
    let (mut all, mut besides_latin) = (AugmentedScriptSet::default(), AugmentedScriptSet::default());
    for c in text.chars() {
        all.intersect_with(c.into());
        if !c.script_extension().contains_script(Script::Latin) {
            besides_latin.intersect_with(c.into());
        }
        let is_east_asian = besides_latin.hanb || besides_latin.jpan || besides_latin.kore;
        if all.is_empty() && !is_east_asian {
            // It is this one that does not go with one before it.
            let apart = |&before: &char| {
                let mut both = AugmentedScriptSet::for_char(before);
                both.intersect_with(c.into());
                both.is_empty()
            };
            let before = text.chars().find(apart).unwrap_or(c);
            return Some([before, c].map(script_of));
        }
    }
    None
}

/// In which script somebody writes who writes this. Of what is in several, it is the first of those.
fn script_of(c: char) -> &'static str {
    let own = c.script();
    let is_shared = matches!(own, Script::Common | Script::Inherited | Script::Unknown);
    is_shared.then(|| c.script_extension().iter().next()).flatten().unwrap_or(own).full_name()
}

/// Whether a word goes on where this character follows its last one, or comes before its first one, which is `edge`: so names
/// are found in what people write. Where words have no blanks between them, nobody can tell.
pub fn is_joined(edge: char, next: char) -> bool {
    let script = next.script();
    let has_no_blanks = matches!(
        script,
        Script::Han
            | Script::Hiragana
            | Script::Katakana
            | Script::Thai
            | Script::Lao
            | Script::Khmer
            | Script::Myanmar
    );
    is_combining_mark(next)
        || next.is_numeric()
        || next.is_alphabetic() && !has_no_blanks && (script == edge.script() || edge.is_numeric())
}

/// What a text ends in, without the marks on it, which say nothing of the script.
pub fn last_letter(text: &str) -> Option<char> {
    text.chars().rev().find(|&c| !is_combining_mark(c))
}

/// Text without case: two texts are equal without case (NFKC, full case folding) where this is equal.
pub fn fold(text: &str) -> Cow<'_, str> {
    if !text.is_ascii() {
        Cow::Owned(folded(text).collect())
    } else if text.bytes().any(|b| b.is_ascii_uppercase()) {
        Cow::Owned(text.to_ascii_lowercase())
    } else {
        Cow::Borrowed(text)
    }
}

/// Whether two texts are equal without case.
pub fn is_same(one: &str, other: &str) -> bool {
    one == other
        || if one.is_ascii() && other.is_ascii() {
            one.eq_ignore_ascii_case(other)
        } else {
            compare(one, other).is_eq()
        }
}

/// Which of two texts comes first without case. They are looked at no further than to where they differ, as long lists are
/// brought into their order.
pub fn compare(one: &str, other: &str) -> Ordering {
    if one.is_ascii() && other.is_ascii() {
        let [one, other] = [one, other].map(|text| text.bytes().map(|b| b.to_ascii_lowercase()));
        one.cmp(other)
    } else {
        // What is the same before a letter says nothing of what comes from there on.
        let same = one.char_indices().zip(other.chars()).take_while(|((_, one), other)| one == other);
        let letters = same.filter(|((_, c), _)| !is_combining_mark(*c));
        let from = letters.last().map_or(0, |((at, _), _)| at);
        folded(&one[from..]).cmp(folded(&other[from..]))
    }
}

/// The characters of a text without case. This is how Unicode defines it (D146): what a character consists of may have a case
/// where the character has none.
fn folded(text: &str) -> impl Iterator<Item = char> {
    text.nfd().flat_map(fold_char).nfkd().flat_map(fold_char).nfkd()
}

/// A character without case. Some have several small letters, or none of their own; by way of the large ones all come to the
/// same. The dotless i has the large letter of another one.
fn fold_char(c: char) -> impl Iterator<Item = char> {
    let dotless = (c == 'ı').then_some(c);
    let folded = c.to_lowercase().flat_map(char::to_uppercase).flat_map(char::to_lowercase);
    dotless.into_iter().chain(folded.filter(move |_| dotless.is_none()))
}

/// How a name looks, in two ways: as it is shown, and as it is without case. Names of which a look is the same look alike.
///
/// A look is a skeleton (UTS #39, 4), which is the same for texts that nobody can tell apart, without case. That two names look
/// like a third says nothing of each other: `Ian` looks like `ian` and like `lan`.
#[derive(PartialEq, Eq, Debug)]
pub struct Looks<'a> {
    /// As it is shown.
    pub shown: Look<'a>,
    /// Without case, where that is something else.
    pub folded: Option<Look<'a>>,
}

/// One look of a name.
#[derive(Debug)]
pub enum Look<'a> {
    /// One that needs no memory, or as much as it needs.
    Any(Cow<'a, str>),
    /// That of a name that is ASCII. As every private line asks for some, they are not allocated.
    Ascii(ArrayString<{ 2 * ASCII }>),
}

/// The most bytes of a name for which there is a short way if it is ASCII. No nick has more.
const ASCII: usize = 20;

impl PartialEq for Look<'_> {
    fn eq(&self, other: &Self) -> bool {
        **self == **other
    }
}

impl Eq for Look<'_> {}

impl Deref for Look<'_> {
    type Target = str;

    fn deref(&self) -> &str {
        match self {
            Self::Any(look) => look,
            Self::Ascii(look) => look,
        }
    }
}

impl<'a> Looks<'a> {
    /// How a name looks.
    pub fn of(name: &'a str) -> Self {
        if !name.is_ascii() || name.len() > ASCII {
            return Self::of_any(name);
        }
        // No other letters differ when they are shown as large ones.
        let differs = name.bytes().any(|b| matches!(b, b'I' | b'M'));
        let folded = differs.then(|| Look::Ascii(spell(name.chars().map(|c| c.to_ascii_lowercase()))));
        let is_shown_so = !name.bytes().any(|b| matches!(b, b'0' | b'1' | b'm' | b'A'..=b'Z'));
        let shown = if is_shown_so { Look::Any(Cow::Borrowed(name)) } else { Look::Ascii(spell(name.chars())) };
        Self { shown, folded }
    }

    /// The same, by the tables for all scripts.
    fn of_any(name: &str) -> Self {
        let [shown, folded] = [name, &fold(name)].map(|name| fold(&skeleton(name)).into_owned());
        let look = |look| Look::Any(Cow::Owned(look));
        Self { folded: (folded != shown).then(|| look(folded)), shown: look(shown) }
    }

    /// Each of them once.
    pub fn each(&self) -> impl Iterator<Item = &str> {
        std::iter::once(&*self.shown).chain(self.folded.as_deref())
    }

    /// Whether one is the same.
    pub fn meet(&self, other: &Looks<'_>) -> bool {
        self.each().any(|one| other.each().any(|other| one == other))
    }
}

/// The skeleton of a text (UTS #39, 4), as `unicode_security` has it, from a table that takes a twentieth of the space.
fn skeleton(text: &str) -> String {
    let mut skeleton = String::new();
    for c in text.nfd() {
        if let Some(prototype) = prototype(c) {
            skeleton.push_str(prototype);
        } else if !IGNORED.iter().any(|&(first, last)| (first..=last).contains(&c)) {
            skeleton.push(c);
        }
    }
    skeleton.nfd().collect()
}

/// What all that look like this character look like, if it is not the only one. Its block is found, and then read to where it is,
/// as `build.rs` has written it.
fn prototype(c: char) -> Option<&'static str> {
    let block = BLOCKS.partition_point(|&(before, _)| before < c.into()).checked_sub(1)?;
    let (mut at, begin) = BLOCKS[block];
    let mut records = RECORDS.get(begin.into()..)?;
    loop {
        let (&head, mut rest) = records.split_first()?;
        let far = match head >> 3 {
            0 => {
                let (&[high, middle, low], behind) = rest.split_first_chunk()?;
                rest = behind;
                u32::from_be_bytes([0, high, middle, low])
            }
            far => far.into(),
        };
        let long = match head & 7 {
            0 => {
                let (&long, behind) = rest.split_first()?;
                rest = behind;
                long
            }
            long => long,
        };
        let (prototype, behind) = rest.split_at_checked(long.into())?;
        at += far;
        match at.cmp(&c.into()) {
            Ordering::Less => records = behind,
            Ordering::Equal => return str::from_utf8(prototype).ok(),
            Ordering::Greater => return None,
        }
    }
}

/// The skeleton, without case, of a name that is ASCII and has at most [`ASCII`] characters, each of which makes two at most.
fn spell(name: impl Iterator<Item = char>) -> ArrayString<{ 2 * ASCII }> {
    let mut look = ArrayString::new();
    for c in name {
        match c {
            '0' => look.push('o'),
            '1' | 'I' => look.push('l'),
            'm' => look.push_str("rn"),
            c => look.push(c.to_ascii_lowercase()),
        }
    }
    look
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn same(one: &str, other: &str) -> bool {
        assert_eq!(fold(one).cmp(&fold(other)), compare(one, other), "{one} and {other}");
        assert_eq!(fold(one) == fold(other), is_same(one, other), "{one} and {other}");
        is_same(one, other)
    }

    fn alike(one: &str, other: &str) -> bool {
        Looks::of(one).meet(&Looks::of(other))
    }

    #[test]
    fn case_is_folded_in_full() {
        for (one, other) in [
            ("Алиса", "аЛИСА"),
            ("Straße", "STRASSE"),
            ("straẞe", "strasse"),
            ("ΟΔΟΣ", "οδος"),
            ("Zoë", "ZOE\u{308}"),
            ("İ", "i\u{307}"),
            ("ŉ", "ʼN"),
            ("ǰ", "J\u{30c}"),
            ("ΐ", "Ϊ\u{301}"),
            ("ᾳ", "ΑΙ"),
            ("և", "ԵՒ"),
            ("ﬁ", "FI"),
            ("ſ", "S"),
            ("K", "k"),
            ("ẛ", "Ṡ"),
            ("Ǆ", "ǅ"),
            ("Ꭰ", "ꭰ"),
            ("ა", "Ა"),
            ("ａｂ", "AB"),
            ("㎏", "KG"),
        ] {
            assert!(same(one, other), "{one} and {other}");
        }
        for (one, other) in [("ı", "i"), ("ı", "I"), ("e", "é"), ("o", "ö"), ("小明", "小朋"), ("bob", "b0b")] {
            assert!(!same(one, other), "{one} and {other}");
        }
    }

    #[test]
    fn what_nobody_can_tell_apart_looks_alike() {
        for (one, other) in [
            ("Ian", "lan"),
            ("Ian", "ian"),
            ("b0b", "BOB"),
            ("tom", "torn"),
            ("TOM", "torn"),
            ("alice", "аlice"),
            ("ТОМ", "TOM"),
            ("guest1", "guestl"),
            ("Zoë", "zoe\u{308}"),
        ] {
            assert!(alike(one, other), "{one} and {other}");
            assert!(alike(other, one), "{other} and {one}");
        }
        for (one, other) in [("ian", "lan"), ("tom", "ton"), ("Zoë", "Zoe"), ("小明", "小朋"), ("anna", "ann")] {
            assert!(!alike(one, other), "{one} and {other}");
        }
    }

    #[test]
    fn scripts_that_nobody_writes_together_are_told() {
        for good in [
            "alice",
            "Алиса",
            "Zoë",
            "小明",
            "tanaka田中",
            "田中さんカ",
            "김철수kim",
            "ㄅㄆ小明a",
            "שלום",
            "Δημήτρης",
            "नमस्ते",
            "a1-_",
        ] {
            assert_eq!(mixture(good), None, "{good}");
        }
        for (bad, scripts) in [
            ("аlice", ["Cyrillic", "Latin"]),
            ("aliсe", ["Latin", "Cyrillic"]),
            ("бω", ["Cyrillic", "Greek"]),
            ("aω", ["Latin", "Greek"]),
            ("カ김", ["Katakana", "Hangul"]),
            ("abc田中д", ["Latin", "Cyrillic"]),
            // What is in several scripts is told as one in which somebody could write it.
            ("a\u{64b}", ["Latin", "Arabic"]),
            ("नমa", ["Devanagari", "Bengali"]),
        ] {
            assert_eq!(mixture(bad), Some(scripts), "{bad}");
        }
    }

    /// What names may consist of.
    fn of_names() -> impl Strategy<Value = String> {
        let c = proptest::char::range('-', '\u{33ff}').prop_filter("of names", |&c| is_part(c) && is_in_profile(c));
        prop::collection::vec(c, 0..8).prop_map(String::from_iter)
    }

    #[test]
    fn every_character_has_its_skeleton() {
        for c in '\0'..=char::MAX {
            let c = c.to_string();
            assert!(unicode_security::skeleton(&c).eq(skeleton(&c).chars()), "{}", c.escape_unicode());
        }
    }

    proptest! {
        #[test]
        fn texts_have_their_skeletons(text in any::<String>(), marked in "([aàǖ1lI0m\u{ad}]\\p{M}{0,3}){1,4}") {
            for text in [text, marked] {
                prop_assert_eq!(unicode_security::skeleton(&text).collect::<String>(), skeleton(&text));
            }
        }

        #[test]
        fn ascii_has_the_looks_that_the_tables_give_it(name in "[A-Za-z0-9_-]{1,31}") {
            prop_assert_eq!(Looks::of(&name), Looks::of_any(&name));
            prop_assert_eq!(&*fold(&name), name.to_lowercase());
        }

        #[test]
        fn folding_is_done_once(text in of_names()) {
            let once = fold(&text).into_owned();
            prop_assert_eq!(&*fold(&once), &*once);
            prop_assert!(same(&text, &nfc(&text)));
            prop_assert!(same(&text, &text.nfd().collect::<String>()));
            for c in text.chars().filter(|&c| c != 'ı') {
                prop_assert!(same(&c.to_string(), &c.to_uppercase().to_string()), "{c}");
            }
        }

        #[test]
        fn texts_are_ordered_as_they_are_folded(
            start in "[аАбßsSσςéeιΐ가\u{301}\u{308}\u{345}]{0,6}",
            ends in prop::array::uniform2("[аАбßsSσςéeιΐ가\u{301}\u{308}\u{345}]{0,4}"),
        ) {
            let [one, other] = ends.map(|end| format!("{start}{end}"));
            same(&one, &other);
        }

        #[test]
        fn the_same_without_case_looks_alike(text in of_names()) {
            prop_assert!(alike(&text, &fold(&text)));
            prop_assert!(alike(&text, &nfc(&text)));
        }
    }
}
