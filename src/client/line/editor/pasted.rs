//! Lines that were pasted, and the answer whether they are to be sent.

use super::{LINE_MAX, is_blank, printable};
use crate::client::line::history::is_confidential;
use crate::client::screen::width::columns;
use crate::commands;
use crate::names::clean;
use crate::text::counted;

/// The most lines that are asked about: no more may wait to be sent.
pub(super) const LINES_MAX: usize = 10_000;

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

    /// Whether this is the rest of an answer, behind the letter that answered: `o` of no, `ope` of nope, `es please`.
    pub(super) fn ends_with(self, rest: &str) -> bool {
        let (letter, words) = match self {
            Self::Yes => ("y", &["y", "yes", "yeah", "yep", "yea", "yup"][..]),
            Self::No => ("n", &["n", "no", "nope", "nah", "never", "not", "nein", "nee"][..]),
        };
        let word = letter.to_owned() + rest.split([' ', ',', '.', '!']).next().unwrap_or_default();
        words.iter().any(|known| known.eq_ignore_ascii_case(&word))
    }
}

/// Lines that were pasted.
#[derive(Default, Debug)]
pub(super) struct Pasted {
    /// What is said, in this order. It is text, whatever it begins with.
    pub(super) lines: Vec<String>,
    /// What says it to one person, if it is for one: `/msg NAME `.
    pub(super) to: String,
    /// What was typed before the answer: it is no answer, and is in the input row after it.
    pub(super) ahead: String,
    /// Whether that goes on, so that a y is a letter of it.
    pub(super) is_typing: bool,
}

impl Pasted {
    /// Adds what was pasted between `before` and `after`. An error says why nothing of it is taken.
    pub(super) fn add(&mut self, before: &str, text: &str, after: &str) -> Result<(), String> {
        for (n, line) in lines(text).iter().enumerate() {
            check(line).map_err(|why| format!("nothing of what you pasted is taken: line {} {why}", n + 1))?;
        }
        let new = lines(&[before, text, after].concat());
        new.iter().try_for_each(|line| check_length(line))?;
        if self.lines.len() + new.len() > LINES_MAX {
            let lines = counted(new.len() as u64, "line");
            return Err(format!(
                "the {lines} that you pasted are not taken: {LINES_MAX} at most are sent at once; share them as a file, with /send"
            ));
        }
        self.lines.extend(new);
        Ok(())
    }

    /// What is asked about them, in fewer words where it has more columns than `room`. They are said to `place`, unless they are for one
    /// person.
    pub(super) fn question(&self, place: &str, room: usize) -> String {
        let count = self.lines.len();
        let place = self.to.split(' ').nth(1).unwrap_or(place);
        let to = if place.is_empty() { String::new() } else { format!(" to {place}") };
        let ahead = if self.ahead.is_empty() { String::new() } else { format!("; then: {}", printable(&self.ahead)) };
        let command = self.lines.iter().enumerate().find_map(|(n, line)| Some((n + 1, command(line)?)));
        let (whole, text) = match command {
            Some((n, command)) => (format!("line {n} begins with {command}; send all {count} as text{to}"), " as text"),
            None => (format!("send these {count} lines{to}"), ""),
        };
        let shorter = [whole, format!("send {count}{text}{to}")].map(|question| format!("{question}? y/n{ahead}"));
        let fitting = shorter.into_iter().find(|question| columns(question) <= room);
        fitting.unwrap_or_else(|| format!("send {count}{text}? y/n{ahead}"))
    }

    /// The lines that say them.
    pub(super) fn said(&self) -> Vec<String> {
        let escape = |line: &String| if line.starts_with('/') { "/" } else { "" };
        let said = |line| [if self.to.is_empty() { escape(line) } else { &self.to }, line].concat();
        self.lines.iter().map(said).collect()
    }
}

/// The lines of what was pasted, without those that are empty.
pub(super) fn lines(text: &str) -> Vec<String> {
    text.split('\n').map(|line| clean(line.as_bytes()).into_owned()).filter(|line| !is_blank(line)).collect()
}

/// Why one of several pasted lines is said to nobody.
fn check(line: &str) -> Result<(), String> {
    let word = line.split_whitespace().next().unwrap_or_default();
    // What comes behind a /query is for somebody else, too.
    let moves = commands::find(word).is_some_and(|spec| spec.name == "query");
    if !word.starts_with(['/', '\\']) || !moves && !is_confidential(line) {
        return Ok(());
    }
    Err(format!("begins with {word}, which others would read; paste that line alone"))
}

/// An error says that a line is too long.
pub(super) fn check_length(line: &str) -> Result<(), String> {
    if line.len() <= LINE_MAX {
        return Ok(());
    }
    let bytes = line.len();
    Err(format!(
        "what you pasted is not taken: it makes a line of {bytes} bytes, which has at most {LINE_MAX}; paste it in parts, or share it as a file, with /send"
    ))
}

/// The command that a line begins with, with its slash, if there is such a one.
fn command(line: &str) -> Option<&str> {
    let word = line.split_whitespace().next().filter(|word| word.starts_with('/'))?;
    commands::find(word).filter(|_| line.starts_with('/')).map(|_| word)
}

/// The beginning of a line that says what follows to somebody, `/msg NAME `, and what follows; nothing before that if `line` does not begin
/// so.
pub fn addressee(line: &str) -> (String, &str) {
    let (command, rest) = cut(line);
    let (name, text) = cut(rest);
    if command.eq_ignore_ascii_case("/msg") && !name.is_empty() {
        (format!("/msg {name} "), text.trim_start_matches(' '))
    } else {
        (String::new(), line)
    }
}

/// The first word of a text, and what stands behind it.
fn cut(text: &str) -> (&str, &str) {
    let text = text.trim_start_matches(' ');
    text.split_at(text.find(' ').unwrap_or(text.len()))
}

#[cfg(test)]
mod tests {
    use super::super::tests::{editor, press, question_of, refused, say, shown, type_in};
    use super::super::{FOUND, Intent};
    use super::*;
    use crate::client::line::keys::Key;

    #[test]
    fn pastes() {
        let long = "é".repeat(LINE_MAX / 2);
        for (start, paste, line, asked) in [
            ("a|c", "b", "ab|c", &[][..]),
            ("a|c", "b\n\n", "ab|c", &[]),
            ("a|c", "\n", "a|c", &[]),
            ("a|c", "", "a|c", &[]),
            ("a|", "\x1b[31m\tb\r", "a\u{fffd}[31m\tb\u{fffd}|", &[]),
            ("|", "\n\nb\n", "b|", &[]),
            ("a|c", "1\n\n \n2", "a|c", &["a1", "2c"]),
            ("a|c", "1\n2\n", "a|c", &["a1", "2", "c"]),
            ("|", "1\n2\n", "|", &["1", "2"]),
            ("|", "/quit\n/x", "|", &["//quit", "//x"]),
            ("/msg bob |", "1\n/2", "/msg bob |", &["/msg bob 1", "/msg bob /2"]),
            ("/msg  bob  |", "1\n2", "/msg  bob  |", &["/msg bob 1", "/msg bob 2"]),
            ("/msg bob so |", "1\n2", "/msg bob so |", &["/msg bob so 1", "/msg bob 2"]),
            ("/msg bob|", "\n1", "/msg bob 1|", &[]),
            ("/msg bob|", "1\n2", "/msg bob|", &["/msg bob 1", "/msg bob 2"]),
            ("|", &long, &format!("{long}|"), &[]),
            ("|", &format!("{long}\n"), &format!("{long}|"), &[]),
        ] {
            let mut editor = editor(start);
            editor.paste(paste);
            assert_eq!(shown(&editor), line, "{paste:?}");
            let to = if asked.iter().any(|line| line.starts_with("/msg bob ")) { "bob" } else { "#a" };
            let which = match asked {
                ["//quit", ..] => "line 1 begins with /quit; send all 2 as text".to_owned(),
                asked => format!("send these {} lines", asked.len()),
            };
            let question = (!asked.is_empty()).then(|| format!("{which} to {to}? y/n"));
            assert_eq!(question_of(&editor), question, "{paste:?}");
            if asked.is_empty() {
                continue;
            }
            for no in [Key::Char('n'), Key::Escape, Key::Ctrl('c')] {
                assert_eq!(press(&mut editor, &[Key::Left, no]), None);
                assert_eq!((shown(&editor), question_of(&editor)), (line.to_owned(), None));
                editor.paste(paste);
            }
            assert_eq!(press(&mut editor, &[Key::Ctrl('l')]), Some(Intent::Redraw));
            for yes in [Key::Char('y'), Key::Char('Y')] {
                assert_eq!(press(&mut editor, &[yes]), say(asked));
                assert_eq!((editor.text(), question_of(&editor)), ("", None));
                editor.set(line.replace('|', ""), line.find('|').unwrap());
                editor.paste(paste);
            }
        }
    }

    #[test]
    fn what_was_typed_before_the_answer_is_taken_back_as_elsewhere() {
        use Key::{AltBackspace, Backspace, Char, Ctrl};
        for (keys, left) in [
            (&[Backspace][..], "is this"),
            (&[Ctrl('w')], "is "),
            (&[AltBackspace], "is "),
            (&[Ctrl('w'), Ctrl('w')], ""),
            (&[Ctrl('u')], ""),
            (&[Ctrl('u'), Ctrl('w'), Ctrl('u')], ""),
        ] {
            let mut editor = editor("");
            editor.paste("1\n2");
            type_in(&mut editor, "is this?");
            press(&mut editor, keys);
            let then = if left.is_empty() { String::new() } else { format!("; then: {left}") };
            assert_eq!(question_of(&editor), Some(format!("send these 2 lines to #a? y/n{then}")), "{keys:?}");
            if left.is_empty() {
                // Then a letter is an answer again.
                assert_eq!(press(&mut editor, &[Char('y')]), say(&["1", "2"]), "{keys:?}");
            }
        }
    }

    #[test]
    fn what_is_pasted_for_others_than_all_is_said_to_nobody() {
        let long = "x".repeat(LINE_MAX);
        for (start, paste, why) in [
            ("|", "/login alice correct-horse\n/join #club", "line 1 begins with /login, which others would read"),
            ("|", "one\n  /PASSWD correct-horse", "line 2 begins with /PASSWD,"),
            ("|", "/msg bob psst\n/msg bob two", "line 1 begins with /msg,"),
            ("|", "/w bob psst\ntwo", "line 1 begins with /w,"),
            ("|", "/mgs bob psst\ntwo", "line 1 begins with /mgs,"),
            ("|", "/query bob\npsst", "line 1 begins with /query,"),
            ("|", "hi\n/join #vault secret", "line 2 begins with /join,"),
            ("|", "hi\n\\login alice correct-horse", "line 2 begins with \\login,"),
            ("so |", "/login alice correct-horse\nhi", "line 1 begins with /login,"),
            ("/msg bob |", "hi\n/login alice correct-horse", "line 2 begins with /login,"),
            ("/topic |", "1\n2", "the 2 lines that you pasted are not taken: /topic is a line of its own"),
            ("/msg |", "bob\nhi", "/msg is a line of its own"),
            // No line goes in pieces, of which the second would be no command.
            ("|", &format!("/msg bob {long}"), "it makes a line of 4009 bytes, which has at most 4000"),
            ("|", &format!("/msg bob {long}\n"), "it makes a line of 4009 bytes"),
            ("a|c", &long, "it makes a line of 4002 bytes"),
            ("|", &format!("one\n{long}x"), "it makes a line of 4001 bytes"),
        ] {
            let mut editor = editor(start);
            let told = editor.paste(paste);
            assert!(matches!(&told, Some(Intent::Refuse(told)) if told.contains(why)), "{start:?} {paste:?}: {told:?}");
            assert_eq!((question_of(&editor), &*shown(&editor)), (None, start), "{paste:?}");
        }
        // Of what is asked about already nothing goes.
        let mut editor = editor("");
        editor.paste("1\n2");
        assert!(refused(editor.paste("/login alice correct-horse")));
        assert_eq!(press(&mut editor, &[Key::Char('y')]), say(&["1", "2"]));
        // A command for all is told of.
        editor.paste("one\n/quit\n/who");
        for (width, want) in [
            (80, "line 2 begins with /quit; send all 3 as text to #a? y/n"),
            (40, "send 3 as text to #a? y/n"),
            (20, "send 3 as text? y/n"),
        ] {
            assert_eq!(editor.row("#a> ", "#a", width).before, want);
        }
    }

    #[test]
    fn a_whole_answer_and_enter_are_one_and_what_was_typed_before_stays() {
        for (start, paste) in [("half |", "1\n2"), ("ha|lf", "1\n2"), ("/msg bob |", "1\n2"), ("|", "1\n2")] {
            for (word, is_said) in [
                ("yes", true),
                ("Y", true),
                ("ja", true),
                ("yes please", true),
                ("no", false),
                ("n", false),
                ("NO", false),
                ("nein", false),
                ("nope", false),
                ("no, thanks", false),
            ] {
                let mut editor = editor(start);
                editor.paste(paste);
                let mut told: Vec<_> = word.chars().filter_map(|c| press(&mut editor, &[Key::Char(c)])).collect();
                told.extend(press(&mut editor, &[Key::Enter]));
                assert!(
                    matches!(&told[..], [Intent::Say(_)] if is_said) || told.is_empty() && !is_said,
                    "{word}: {told:?}"
                );
                let row = if is_said { "|" } else { start };
                assert_eq!((question_of(&editor), &*shown(&editor)), (None, row), "{word}");
                // What comes then is a line of its own.
                type_in(&mut editor, "o");
                let line = row.replacen('|', "o", 1);
                assert_eq!(press(&mut editor, &[Key::Enter]), Some(Intent::Submit(line)), "{word}");
            }
        }
        // Another key shows that the answer was over.
        let mut editor = editor("half");
        editor.paste("1\n2");
        assert_eq!(
            press(&mut editor, &[Key::Char('n'), Key::End, Key::Enter]),
            Some(Intent::Submit("half".to_owned()))
        );
    }

    #[test]
    fn what_is_pasted_while_it_is_asked_is_asked_about_too() {
        for (start, want) in [
            ("|", say(&["1", "2", "3", "//4"])),
            ("/msg bob |", say(&["/msg bob 1", "/msg bob 2", "/msg bob 3", "/msg bob /4"])),
        ] {
            let mut editor = editor(start);
            editor.paste("1\n2");
            editor.paste("3\n\n/4\n");
            assert_eq!(press(&mut editor, &[Key::Char('y')]), want);
        }
    }

    #[test]
    fn what_was_pasted_is_found_like_what_was_typed_unless_it_was_much() {
        for (count, want) in [(2, "line 1"), (FOUND + 1, "before")] {
            let mut editor = editor("");
            editor.history.add("before");
            let lines: Vec<String> = (0..count).map(|n| format!("line {n}")).collect();
            editor.paste(&lines.join("\n"));
            assert!(matches!(press(&mut editor, &[Key::Char('y')]), Some(Intent::Say(_))));
            press(&mut editor, &[Key::Up]);
            assert_eq!(editor.text(), want);
        }
    }

    #[test]
    fn what_is_not_taken_is_found_by_up_but_for_secrets() {
        for (start, paste, keys, want) in [
            // It was typed while a link was cut: no command is lost.
            ("|", "hi\n/msg vera psst\nback", &[][..], &["back", "/msg vera psst", "hi", "before"][..]),
            ("half|", "hi\n/ping tea", &[Key::Char('n')], &["/ping tea", "halfhi", "before"]),
            ("|", "hi\n/ping tea", &[Key::Escape], &["/ping tea", "hi", "before"]),
            ("/msg bob |", "1\n2", &[Key::Ctrl('c')], &["/msg bob 2", "/msg bob 1", "before"]),
            ("/topic |", "1\n2", &[], &["2", "1", "before"]),
            ("|", "hi\n/login alice\ncorrect-horse", &[], &["hi", "before"]),
            ("|", &"x\n/who\n".repeat(FOUND), &[Key::Char('n')], &["before"]),
        ] {
            let mut editor = editor(start);
            editor.history.add("before");
            let told = editor.paste(paste);
            let is_told = matches!(&told, Some(Intent::Refuse(told)) if told.ends_with("; Up brings the lines back"));
            assert_eq!(is_told, keys.is_empty(), "{paste:?}: {told:?}");
            press(&mut editor, keys);
            for want in want {
                press(&mut editor, &[Key::Up]);
                assert_eq!(editor.text(), *want, "{paste:?}");
            }
        }
        // So it is when a password is asked for before the answer.
        let mut editor = editor("");
        editor.paste("hi\n/ping tea");
        editor.hide(true);
        editor.hide(false);
        press(&mut editor, &[Key::Up]);
        assert_eq!(editor.text(), "/ping tea");
    }

    #[test]
    fn what_is_typed_before_an_answer_is_no_part_of_the_paste_and_waits_in_the_row() {
        let asked = || {
            let mut editor = editor("");
            editor.paste("1\n2");
            editor
        };
        for (burst, answer, want) in [
            ("y\n", None, say(&["1", "2"])),
            ("no\n", None, None),
            ("/query bob\n", Some('y'), say(&["1", "2"])),
            ("/query bob\n", Some('n'), None),
        ] {
            let mut editor = asked();
            let told = editor.rest(burst);
            let Some(answer) = answer else {
                assert_eq!((told, question_of(&editor), editor.text()), (want, None, ""), "{burst:?}");
                continue;
            };
            assert!(refused(told));
            assert_eq!(question_of(&editor).unwrap(), "send these 2 lines to #a? y/n; then: /query bob");
            assert_eq!(press(&mut editor, &[Key::Char(answer)]), want);
            assert_eq!((question_of(&editor), editor.text()), (None, "/query bob"));
        }
        // So it is with keys that come one by one: a y within a word answers nothing.
        let mut editor = asked();
        type_in(&mut editor, "try");
        assert!(refused(press(&mut editor, &[Key::Backspace, Key::Enter])));
        assert_eq!(press(&mut editor, &[Key::Char('y')]), say(&["1", "2"]));
        assert_eq!(editor.text(), "tr");
        // More lines are more of the paste.
        let mut editor = asked();
        editor.rest("3\n4\n");
        assert_eq!(press(&mut editor, &[Key::Char('y')]), say(&["1", "2", "3", "4"]));
    }
}
