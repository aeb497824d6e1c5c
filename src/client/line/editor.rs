//! The input row: the line being typed, and what keys do to it.

mod pasted;
mod search;

use std::mem;

use tui_input::{Input as LineInput, InputRequest};
use unicode_segmentation::UnicodeSegmentation;

use super::complete::Completion;
use super::history::{History, is_secret};
use super::keys::Key;
use crate::client::screen::Row;
use crate::client::screen::width::{self, columns, widest};
use crate::names::clean;
use crate::text::safe;
pub use pasted::addressee;
use pasted::{Answer, Pasted};
use search::Search;

/// The most bytes that a line may have.
pub const LINE_MAX: usize = 4000;

/// The most bytes of what is looked for in the lines typed before.
const SEARCHED: usize = 200;

/// The most lines of a paste that are remembered as if they had been typed.
const FOUND: usize = 20;

/// The most candidates that are listed.
const LISTED: usize = 100;

/// What a key asks for that is not a matter of the input row alone.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Intent {
    /// Carry out this line, which was typed.
    Submit(String),
    /// Carry out these lines, which were pasted, in this order. They are text and no commands, whatever they begin with.
    Say(Vec<String>),
    /// Leave untold the secret that is asked for: Ctrl-C.
    Untold,
    /// Leave: Ctrl-D on an empty line.
    Leave,
    /// Draw everything again: Ctrl-L.
    Redraw,
    /// Stop the process: Ctrl-Z.
    Suspend,
    /// Go to the next conversation in this direction: Alt-Left or Alt-Right.
    Walk(Direction),
    /// Show what Tab cannot decide between, at most 100 words.
    List(Vec<String>),
    /// Tell why something is not taken.
    Refuse(String),
}

/// Where to go.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[allow(missing_docs, reason = "their names say it")]
pub enum Direction {
    Back,
    Forward,
}

/// The line that is being typed, edited with the keys that people know from bash. It holds at most [`LINE_MAX`] bytes,
/// and no control characters but TAB. Something invisible that was typed last may stay or not: what comes next tells.
#[derive(Default, Debug)]
pub struct Editor {
    line: LineInput,
    /// The lines typed before.
    pub history: History,
    /// What was pasted, while it is asked whether that is to be sent.
    asking: Option<Pasted>,
    /// How that was answered, by one letter, and the line as it was then: the rest of a whole word may follow, and Enter.
    answered: Option<(Answer, LineInput)>,
    /// What is looked for in the lines typed before, since Ctrl-R.
    search: Option<Search>,
    /// Whether it was told that the line has no room for more.
    is_full: bool,
    /// What stands aside while a secret is typed, of which nothing is shown and nothing remembered.
    aside: Option<LineInput>,
}

impl Editor {
    /// An empty line, with these before it.
    pub fn new(history: History) -> Self {
        Self { history, ..Self::default() }
    }

    /// Has a secret be typed from now on, or no more. What is typed otherwise waits meanwhile; what was typed of a secret that is
    /// no longer wanted goes.
    pub fn hide(&mut self, is_hidden: bool) {
        if is_hidden && self.aside.is_none() {
            self.search = None;
            self.drop_pasted();
            self.aside = Some(mem::take(&mut self.line));
        } else if !is_hidden && let Some(line) = self.aside.take() {
            // With the line goes what was cut from it.
            self.line = line;
        }
    }

    /// Whether a secret is being typed.
    pub fn is_hidden(&self) -> bool {
        self.aside.is_some()
    }

    /// Does what `key` does. For Tab, `complete` is asked what may stand at the end of the text before the cursor.
    pub fn key(&mut self, key: Key, complete: impl FnOnce(&str) -> Completion) -> Option<Intent> {
        match key {
            Key::Ctrl('l') => return Some(Intent::Redraw),
            Key::Ctrl('z') => return Some(Intent::Suspend),
            Key::Char(_) | Key::Tab => {}
            // Whatever it does, it does to what is seen.
            _ => self.tidy(),
        }
        if !matches!(key, Key::Char(_) | Key::Backspace | Key::Enter) {
            self.answered = None;
        }
        if self.is_hidden() {
            match key {
                Key::Enter => return Some(Intent::Submit(mem::take(&mut self.line).value().to_owned())),
                // The way to leave it untold. What was typed goes unseen, so to clear that alone would look like nothing.
                Key::Ctrl('c') => {
                    mem::take(&mut self.line);
                    return Some(Intent::Untold);
                }
                Key::Tab | Key::Up | Key::Down | Key::Ctrl('r' | 'p' | 'n') => return None,
                _ => {}
            }
        } else if self.asking.is_some() {
            return self.answer(key);
        } else if self.searches(key) {
            return None;
        }
        let request = match key {
            Key::Ctrl('r') => {
                self.search = Some(Search::default());
                return None;
            }
            Key::AltLeft => return Some(Intent::Walk(Direction::Back)),
            Key::AltRight => return Some(Intent::Walk(Direction::Forward)),
            Key::Ctrl('d') if self.text().is_empty() => return Some(Intent::Leave),
            Key::Enter => return self.submit(),
            Key::Tab => return self.complete(complete),
            Key::Up | Key::Ctrl('p') => {
                if let Some(line) = self.history.older(self.line.value()).map(str::to_owned) {
                    self.set(line, usize::MAX);
                }
                return None;
            }
            Key::Down | Key::Ctrl('n') => {
                if let Some(line) = self.history.newer().map(str::to_owned) {
                    self.set(line, usize::MAX);
                }
                return None;
            }
            Key::Ctrl('c') => {
                self.clear();
                return None;
            }
            Key::Char(c) => InputRequest::InsertChar(safe(c)),
            Key::Left | Key::Ctrl('b') => InputRequest::GoToPrevChar,
            Key::Right | Key::Ctrl('f') => InputRequest::GoToNextChar,
            Key::CtrlLeft | Key::Alt('b' | 'B') => InputRequest::GoToPrevWord,
            Key::CtrlRight | Key::Alt('f' | 'F') => InputRequest::GoToNextWord,
            Key::Home | Key::Ctrl('a') => InputRequest::GoToStart,
            Key::End | Key::Ctrl('e') => InputRequest::GoToEnd,
            Key::Backspace => InputRequest::DeletePrevChar,
            Key::Delete | Key::Ctrl('d') => InputRequest::DeleteNextChar,
            // In a shell, that cuts up to a blank, and not only up to the next punctuation.
            Key::Ctrl('w') => loop {
                self.line.handle(InputRequest::DeletePrevWord);
                if self.split().0.chars().next_back().is_none_or(char::is_whitespace) {
                    return None;
                }
            },
            Key::AltBackspace => InputRequest::DeletePrevWord,
            Key::CtrlDelete | Key::AltDelete | Key::Alt('d' | 'D') => InputRequest::DeleteNextWord,
            Key::Ctrl('u') => InputRequest::DeleteFromStart,
            // With nothing to cut, what was cut before stays.
            Key::Ctrl('k') if !self.split().1.is_empty() => InputRequest::DeleteTillEnd,
            Key::Ctrl('y') => InputRequest::Yank,
            _ => return None,
        };
        if let InputRequest::InsertChar(c) = request
            && self.text().len() + c.len_utf8() > LINE_MAX
        {
            return self.full();
        }
        let before = matches!(request, InputRequest::Yank).then(|| self.line.clone());
        self.line.handle(request);
        if let Some(before) = before.filter(|_| self.text().len() > LINE_MAX) {
            self.line = before;
            return self.full();
        }
        self.is_full = false;
        None
    }

    /// Takes a key as part of the search, if there is one. Any other key takes the line that was found, and then does what it does.
    fn searches(&mut self, key: Key) -> bool {
        let Some(search) = &mut self.search else { return false };
        match key {
            Key::Ctrl('r') => search.look_on(&self.history),
            Key::Char(c) if search.word.len() < SEARCHED => {
                search.word.push(safe(c));
                let end = search.found.as_ref().map_or(usize::MAX, |(at, _)| at + 1);
                search.look(&self.history, end);
            }
            Key::Char(_) => {}
            Key::Backspace => {
                pop(&mut search.word);
                search.found = None;
                search.look(&self.history, usize::MAX);
            }
            Key::Escape | Key::Ctrl('c' | 'g') => self.search = None,
            Key::Enter => self.take_found(),
            _ => {
                self.take_found();
                return false;
            }
        }
        true
    }

    /// Puts the line that was found in the place of what is typed, if there is a search.
    fn take_found(&mut self) {
        let found = self.search.take().and_then(|search| search.found);
        if let Some((at, _)) = found
            && let Some(line) = self.history.go_to(at, self.line.value()).map(str::to_owned)
        {
            self.set(line, usize::MAX);
        }
    }

    /// There is no room for more in the line, which is told once.
    fn full(&mut self) -> Option<Intent> {
        let told = mem::replace(&mut self.is_full, true);
        (!told).then(|| {
            Intent::Refuse(format!(
                "the line is full, and what you type now is not taken; it has at most {LINE_MAX} bytes: send it, then go on"
            ))
        })
    }

    /// Puts one line in at the cursor. Of several lines it is asked whether they are to be sent, and what else is pasted before that
    /// is answered is asked about with them. What cannot be taken is left out whole: a line in pieces would not be what it was.
    pub fn paste(&mut self, text: &str) -> Option<Intent> {
        if self.is_hidden() {
            let line = [self.text(), text.split('\n').next().unwrap_or_default()].concat();
            if line.len() > LINE_MAX {
                return self.full();
            }
            self.set(clean(line.as_bytes()).into_owned(), usize::MAX);
            return None;
        }
        self.take_found();
        let taken = match &mut self.asking {
            Some(asked) => asked.add("", text, ""),
            None => self.paste_first(text),
        };
        let why = taken.err()?;
        let is_found = self.remember(&pasted::lines(text));
        Some(Intent::Refuse(if is_found { why + "; Up brings the lines back" } else { why }))
    }

    /// Has lines that came at once and were not taken be found among those typed before, for they may have been typed while a link was
    /// cut. What stands behind a command with a secret may be one, too. Whether there is any of them.
    fn remember(&mut self, lines: &[String]) -> bool {
        let lines = if lines.len() <= FOUND { lines } else { &[] };
        let found: Vec<_> =
            lines.iter().take_while(|line| !is_secret(line)).filter(|line| line.len() <= LINE_MAX).collect();
        found.iter().for_each(|line| self.history.add(line));
        self.history.settle(false);
        !found.is_empty()
    }

    /// Drops what was pasted. What was typed before the answer comes out.
    fn drop_pasted(&mut self) -> Option<String> {
        let asked = self.asking.take()?;
        let lines = if asked.to.is_empty() { asked.lines } else { asked.said() };
        self.remember(&lines);
        Some(asked.ahead)
    }

    /// Takes text that came at once after a paste whose end is not known. While that is asked about, a single line is the answer,
    /// or was typed before it: only more lines are more of the paste.
    pub fn rest(&mut self, text: &str) -> Option<Intent> {
        let line = text.trim_end_matches('\n');
        if self.asking.is_none() || line.contains('\n') {
            return self.paste(text);
        }
        let is_enter = line.len() < text.len();
        match Answer::of(line) {
            Some(answer) if is_enter => self.settle(answer),
            _ => {
                self.asking.as_mut()?.is_typing = true;
                line.chars().for_each(|c| drop(self.answer(Key::Char(c))));
                if is_enter { self.answer(Key::Enter) } else { None }
            }
        }
    }

    fn paste_first(&mut self, text: &str) -> Result<(), String> {
        let one = text.trim_end_matches('\n');
        let text = if one.contains('\n') { text } else { one };
        let (before, after) = self.split();
        let (to, begun) = addressee(before);
        let lines = pasted::lines(&[begun, text, after].concat()).len();
        if lines > 1 {
            if to.is_empty() && before.starts_with('/') && !before.starts_with("//") {
                let command = before.split(' ').next().unwrap_or_default();
                return Err(format!(
                    "the {lines} lines that you pasted are not taken: {command} is a line of its own; send that first"
                ));
            }
            let mut asked = Pasted { to, ..Pasted::default() };
            asked.add(begun, text, after)?;
            self.asking = Some(asked);
            return Ok(());
        }
        let behind = after.chars().count();
        let whole = [before, text, after].concat();
        let lines = pasted::lines(&whole);
        let line =
            if lines.is_empty() { clean(whole.replace('\n', "").as_bytes()).into_owned() } else { lines.join(" ") };
        pasted::check_length(&line)?;
        let cursor = line.chars().count().saturating_sub(behind);
        self.set(line, cursor);
        Ok(())
    }

    /// What is typed now.
    pub fn text(&self) -> &str {
        self.line.value()
    }

    /// Whether nothing is typed, nothing asked and nothing looked for.
    pub fn is_idle(&self) -> bool {
        self.text().is_empty() && self.asking.is_none() && self.search.is_none()
    }

    /// What fits into `width` columns, with the cursor always in view: what is asked or looked for, or else `prompt` and the text, which
    /// goes to `place`. At least half of it is for the text. TAB shows as a space.
    pub fn row(&self, prompt: &str, place: &str, width: usize) -> Row {
        let room = width.saturating_sub(1);
        if self.is_hidden() {
            return Row { before: width::tail(&printable(prompt), room), after: String::new() };
        }
        let is_text = self.asking.is_none() && self.search.is_none();
        let (cursor, text) = match (&self.asking, &self.search) {
            (Some(asked), _) => {
                let question = asked.question(place, room);
                (question.len(), question)
            }
            (None, Some(search)) => {
                let (before, after) = search.row();
                (before.len(), before + &after)
            }
            (None, None) => (printable(self.split().0).len(), printable(self.text())),
        };
        let prompt = width::tail(&printable(if is_text { prompt } else { "" }), room / 2);
        let row = window(&text, cursor, room - columns(&prompt));
        Row { before: prompt + &row.before, ..row }
    }

    fn answer(&mut self, key: Key) -> Option<Intent> {
        let asked = self.asking.as_mut()?;
        match key {
            Key::Char(c @ ('y' | 'Y' | 'n' | 'N')) if !asked.is_typing => {
                let answer = if c.eq_ignore_ascii_case(&'y') { Answer::Yes } else { Answer::No };
                let intent = self.settle(answer);
                self.answered = Some((answer, self.line.clone()));
                intent
            }
            Key::Escape | Key::Ctrl('c') => self.decline(),
            Key::Char(c) => {
                asked.is_typing = true;
                if asked.ahead.len() + c.len_utf8() <= LINE_MAX {
                    asked.ahead.push(safe(c));
                }
                None
            }
            Key::Backspace | Key::AltBackspace | Key::Ctrl('u' | 'w') => {
                match key {
                    Key::Backspace => pop(&mut asked.ahead),
                    Key::Ctrl('u') => asked.ahead.clear(),
                    _ => pop_word(&mut asked.ahead),
                }
                asked.is_typing &= !asked.ahead.is_empty();
                None
            }
            Key::Enter if asked.is_typing => {
                if let Some(answer) = Answer::of(&asked.ahead) {
                    asked.ahead.clear();
                    return self.settle(answer);
                }
                asked.is_typing = false;
                Some(Intent::Refuse(
                    "answer first: y sends the lines that you pasted, n drops them; what you typed now waits"
                        .to_owned(),
                ))
            }
            _ => None,
        }
    }

    /// Sends what was pasted, or drops it.
    fn settle(&mut self, answer: Answer) -> Option<Intent> {
        if answer == Answer::No {
            return self.decline();
        }
        let asked = self.asking.take()?;
        let lines = asked.said();
        self.clear();
        self.type_on(&asked.ahead);
        // Of more than that, the lines typed before would be found no more.
        if lines.len() <= FOUND {
            lines.iter().for_each(|line| self.history.add(line));
        }
        Some(Intent::Say(lines))
    }

    fn decline(&mut self) -> Option<Intent> {
        let ahead = self.drop_pasted()?;
        self.type_on(&ahead)
    }

    /// Puts what was typed before an answer into the row.
    fn type_on(&mut self, ahead: &str) -> Option<Intent> {
        if ahead.is_empty() { None } else { self.paste_first(ahead).err().map(Intent::Refuse) }
    }

    fn submit(&mut self) -> Option<Intent> {
        // The first letter has answered already: the others and Enter are no line of their own.
        if let Some((answer, line)) = self.answered.take()
            && self.typed_since(&line).is_some_and(|rest| answer.ends_with(rest))
        {
            self.line = line;
            return None;
        }
        let line = self.text().to_owned();
        self.clear();
        if is_blank(&line) {
            return None;
        }
        self.history.add(&line);
        Some(Intent::Submit(line))
    }

    /// What was typed into the line since it was this one, if nothing else was done to it.
    fn typed_since(&self, line: &LineInput) -> Option<&str> {
        let (before, after) = split(line);
        self.text().strip_prefix(before)?.strip_suffix(after)
    }

    fn complete(&mut self, complete: impl FnOnce(&str) -> Completion) -> Option<Intent> {
        let (before, after) = self.split();
        let Completion { start, candidates } = complete(before);
        let (kept, word) = before.split_at_checked(start)?;
        let common = common_start(&candidates)?;
        if candidates.len() > 1 && common.chars().count() <= word.chars().count() {
            return Some(Intent::List(candidates.iter().take(LISTED).map(|word| word.trim().to_owned()).collect()));
        }
        // What they have in common may end within a character.
        let before: String = kept.chars().chain(common.chars().map(safe)).collect();
        let line = [&*before, after].concat();
        if line.len() > LINE_MAX {
            return self.full();
        }
        self.set(line, before.chars().count());
        None
    }

    /// The text before the cursor, and the text after it.
    fn split(&self) -> (&str, &str) {
        split(&self.line)
    }

    fn set(&mut self, line: String, cursor: usize) {
        self.line = mem::take(&mut self.line).with_value(line);
        // Even where this moves nothing, it keeps what is cut next apart from what was cut before.
        self.line.handle(InputRequest::SetCursor(cursor));
    }

    /// Leaves out what hides in the line, now that no more is typed that it might belong to.
    fn tidy(&mut self) {
        let line = clean(self.text().as_bytes());
        if line != self.text() {
            let cursor = line.chars().count().saturating_sub(self.split().1.chars().count());
            let line = line.into_owned();
            self.set(line, cursor);
        }
    }

    fn clear(&mut self) {
        self.set(String::new(), 0);
        self.history.leave();
    }
}

/// The text of a line before its cursor, and behind it.
fn split(line: &LineInput) -> (&str, &str) {
    let text = line.value();
    text.split_at(text.char_indices().nth(line.cursor()).map_or(text.len(), |(at, _)| at))
}

/// Takes the last character away, with all that it is made of.
fn pop(text: &mut String) {
    text.truncate(text.grapheme_indices(true).next_back().map_or(0, |(at, _)| at));
}

/// Takes the last word away, and the blanks behind it.
fn pop_word(text: &mut String) {
    text.truncate(text.trim_end().rfind(char::is_whitespace).map_or(0, |at| at + 1));
}

fn is_blank(line: &str) -> bool {
    line.trim().is_empty()
}

/// What all of `words` begin with, in any case; it is spelled as in the first.
fn common_start(words: &[String]) -> Option<&str> {
    let (first, others) = words.split_first()?;
    let shared = |word: &String| {
        let pairs = first.char_indices().zip(word.chars());
        let same = pairs.take_while(|((_, a), b)| a.to_lowercase().eq(b.to_lowercase()));
        same.last().map_or(0, |((at, c), _)| at + c.len_utf8())
    };
    Some(&first[..others.iter().map(shared).min().unwrap_or(first.len())])
}

fn printable(text: &str) -> String {
    clean(text.as_bytes()).replace('\t', " ")
}

/// What of `text` fits into `room` columns around the cursor, which is at byte `cursor` of it, in any terminal.
fn window(text: &str, cursor: usize, room: usize) -> Row {
    // A cursor that is within a grapheme shows behind it.
    let cursor = text.grapheme_indices(true).map(|(at, _)| at).find(|&at| at >= cursor).unwrap_or(text.len());
    let (before, after) = text.split_at(cursor);
    let column = widest(before);
    // What is in view moves by half a row at once, and with more text after the cursor some of it is in view.
    let last = room - (room / 4).min(widest(after));
    let step = (room / 2).max(1);
    let start = column.saturating_sub(last).div_ceil(step) * step;
    let mut skipped = 0;
    let before = before.graphemes(true).skip_while(|grapheme| {
        let is_out = skipped < start;
        skipped += if is_out { widest(grapheme) } else { 0 };
        is_out
    });
    let before: String = before.collect();
    let mut used = widest(&before);
    let after = after.graphemes(true).take_while(|grapheme| {
        used += widest(grapheme);
        used <= room
    });
    Row { after: after.collect(), before }
}

#[cfg(test)]
mod tests {
    use super::pasted::LINES_MAX;
    use super::*;
    use crate::text::is_safe;
    use proptest::prelude::*;

    pub(super) fn press(editor: &mut Editor, keys: &[Key]) -> Option<Intent> {
        keys.iter().fold(None, |_, &key| editor.key(key, |_| Completion::default()))
    }

    pub(super) fn type_in(editor: &mut Editor, text: &str) {
        text.chars().for_each(|c| assert_eq!(press(editor, &[Key::Char(c)]), None));
    }

    /// An editor with the line `text`, and the cursor where the `|` is.
    pub(super) fn editor(text: &str) -> Editor {
        let (before, after) = text.split_once('|').unwrap_or((text, ""));
        let mut editor = Editor::default();
        editor.set([before, after].concat(), before.chars().count());
        editor
    }

    pub(super) fn shown(editor: &Editor) -> String {
        let (before, after) = editor.split();
        format!("{before}|{after}")
    }

    pub(super) fn question_of(editor: &Editor) -> Option<String> {
        editor.asking.as_ref().map(|asked| asked.question("#a", usize::MAX))
    }

    pub(super) fn refused(intent: Option<Intent>) -> bool {
        matches!(intent, Some(Intent::Refuse(_)))
    }

    pub(super) fn say(lines: &[&str]) -> Option<Intent> {
        Some(Intent::Say(lines.iter().map(|&line| line.to_owned()).collect()))
    }

    #[test]
    fn editing() {
        use Key::*;
        for (start, keys, want) in [
            ("ab|", &[Char('c'), Char('\t'), Char('\u{85}')][..], "abc\t\u{fffd}|"),
            ("ab|c", &[Home, Char('x'), End, Char('y')], "xabcy|"),
            ("ab|c", &[Ctrl('a'), Ctrl('f'), Char('x'), Ctrl('e'), Ctrl('b'), Char('y')], "axby|c"),
            ("ab|c", &[Left, Delete, Right, Right], "ac|"),
            ("ab|c", &[Backspace, Ctrl('d'), Backspace, Backspace], "|"),
            ("a👩‍👩‍👧|e\u{301}🇩🇪", &[Right, Right, Left, Backspace, Left], "a|👩‍👩‍👧🇩🇪"),
            ("a👩‍👩‍👧🇩🇪|", &[Backspace, Backspace], "a|"),
            ("one two three|", &[CtrlLeft, Alt('b'), Char('x')], "one x|two three"),
            ("|one two", &[CtrlRight, Alt('f')], "one two|"),
            ("one two|", &[Ctrl('w'), AltBackspace, Ctrl('y')], "one two|"),
            ("|one two", &[Alt('d')], "|two"),
            ("|one two", &[CtrlDelete, AltDelete, Char('x'), Ctrl('y')], "xone two|"),
            ("one| two", &[Ctrl('k'), Home, Ctrl('y')], " two|one"),
            ("one| two", &[Ctrl('k'), Ctrl('k'), Ctrl('y')], "one two|"),
            ("one| two", &[Ctrl('u'), End, Ctrl('y')], " twoone|"),
            ("one| two", &[Ctrl('c'), Ctrl('y')], "|"),
            ("می|", &[Char('\u{200c}'), Char('خ'), Char('\u{200c}'), End], "می\u{200c}خ|"),
            ("👩|👧", &[Char('\u{200d}'), Char('👩'), Char('\u{200d}'), Right, Backspace], "|"),
            ("a❤|", &[Char('\u{fe0f}'), Char('\u{ad}'), Backspace, Char('\u{200b}'), Left], "|a"),
            ("ab|", &[Escape, BackTab, Tab, Alt('x'), Ctrl(' '), Ctrl('q')], "ab|"),
        ] {
            let mut editor = editor(start);
            assert_eq!(press(&mut editor, keys), None, "{start}: {keys:?}");
            assert_eq!(shown(&editor), want, "{start}: {keys:?}");
        }
        for (key, want) in [
            (Ctrl('l'), Intent::Redraw),
            (Ctrl('z'), Intent::Suspend),
            (AltLeft, Intent::Walk(Direction::Back)),
            (AltRight, Intent::Walk(Direction::Forward)),
        ] {
            let mut editor = editor("a|b");
            assert_eq!(press(&mut editor, &[key]), Some(want));
            assert_eq!(shown(&editor), "a|b");
        }
        assert_eq!(press(&mut editor(""), &[Ctrl('d')]), Some(Intent::Leave));
    }

    #[test]
    fn lines_are_submitted_and_found_again() {
        use Key::*;
        let mut editor = Editor::default();
        for line in ["one", " two "] {
            type_in(&mut editor, line);
            assert_eq!(press(&mut editor, &[Enter]), Some(Intent::Submit(line.to_owned())));
            assert_eq!(editor.text(), "");
        }
        type_in(&mut editor, " \t");
        assert_eq!(press(&mut editor, &[Enter]), None);
        assert_eq!(editor.text(), "");
        type_in(&mut editor, "new");
        for (key, want) in [
            (Up, " two |"),
            (Ctrl('p'), "one|"),
            (Up, "one|"),
            (Down, " two |"),
            (Ctrl('n'), "new|"),
            (Down, "new|"),
            (Up, " two |"),
            (Ctrl('c'), "|"),
            (Down, "|"),
        ] {
            press(&mut editor, &[key]);
            assert_eq!(shown(&editor), want);
        }
    }

    #[test]
    fn what_is_too_much_is_not_taken_and_told() {
        let mut editor = editor("");
        assert_eq!(editor.paste(&"x\n".repeat(LINES_MAX)), None);
        assert!(refused(editor.paste("one more")));
        assert!(question_of(&editor).is_some_and(|question| question.contains(" 10000 lines")));
        press(&mut editor, &[Key::Char('n')]);
        assert!(refused(editor.paste(&"x\n".repeat(LINES_MAX + 1))));
        assert_eq!(question_of(&editor), None);

        editor.set("x".repeat(LINE_MAX - 1), usize::MAX);
        // That is told once, until there is room again.
        assert!(refused(press(&mut editor, &[Key::Char('é')])));
        assert!(!refused(press(&mut editor, &[Key::Char('é')])));
        assert_eq!(press(&mut editor, &[Key::Char('x')]), None);
        assert!(refused(press(&mut editor, &[Key::Char('y')])));
        assert_eq!(press(&mut editor, &[Key::Ctrl('u'), Key::Ctrl('y')]), None);
        assert!(refused(press(&mut editor, &[Key::Ctrl('y')])));
        press(&mut editor, &[Key::Left]);
        let offer = |_: &str| Completion { start: LINE_MAX - 1, candidates: vec!["more".to_owned()] };
        assert!(refused(editor.key(Key::Tab, offer)));
        assert_eq!(editor.text().len(), LINE_MAX);
    }

    #[test]
    fn completion() {
        for (start, from, candidates, want, listed) in [
            ("hi a|!", 3, &["alice "][..], "hi alice |!", false),
            ("al|", 0, &[], "al|", false),
            ("A|", 0, &["alice: ", "ALINA: "], "ali|", false),
            ("ali|", 0, &["alice: ", "ALINA: "], "ali|", true),
            ("|", 0, &["x ", "y "], "|", true),
            ("é|", 2, &["x "], "éx |", false),
            ("é|", 1, &["x "], "é|", false),
            ("a|", 9, &["x "], "a|", false),
        ] {
            let mut editor = editor(start);
            let candidates: Vec<String> = candidates.iter().map(|&word| word.to_owned()).collect();
            let list = Intent::List(candidates.iter().map(|word| word.trim().to_owned()).collect());
            let (before, _) = start.split_once('|').unwrap();
            let action = editor.key(Key::Tab, |text| {
                assert_eq!(text, before);
                Completion { start: from, candidates }
            });
            assert_eq!((action, &*shown(&editor)), (listed.then_some(list), want), "{start}");
        }
        let candidates = (0..200).map(|n| format!("{n}")).collect();
        let action = Editor::default().key(Key::Tab, |_| Completion { start: 0, candidates });
        assert!(matches!(action, Some(Intent::List(words)) if words.len() == LISTED));
    }

    #[test]
    fn a_search_goes_back_through_the_lines() {
        let mut editor = Editor::default();
        for line in ["good morning", "tea?", "Good evening", "tea?", "good night", "tea?"] {
            type_in(&mut editor, line);
            press(&mut editor, &[Key::Enter]);
        }
        type_in(&mut editor, "unfinished");
        let row = |editor: &Editor| {
            let row = editor.row("#a> ", "#a", 80);
            format!("{}|{}", row.before, row.after)
        };
        press(&mut editor, &[Key::Ctrl('r')]);
        assert_eq!(row(&editor), "(search) |");
        type_in(&mut editor, "go");
        assert_eq!(row(&editor), "(search) go|: good night");
        press(&mut editor, &[Key::Ctrl('r')]);
        assert_eq!(row(&editor), "(search) go|: Good evening");
        type_in(&mut editor, "od m");
        assert_eq!(row(&editor), "(search) good m|: good morning");
        type_in(&mut editor, "x");
        assert_eq!(row(&editor), "(search, no more) good mx|: good morning");
        press(&mut editor, &[Key::Backspace, Key::Backspace]);
        assert_eq!(row(&editor), "(search) good |: good night");
        assert_eq!(editor.text(), "unfinished");
        // What is found can be changed before it is sent, and the lines around it are there.
        assert_eq!(press(&mut editor, &[Key::Enter]), None);
        assert_eq!((editor.text(), row(&editor).as_str()), ("good night", "#a> good night|"));
        press(&mut editor, &[Key::Up, Key::Up]);
        assert_eq!(editor.text(), "Good evening");
        // A line that was typed several times is shown once.
        press(&mut editor, &[Key::Ctrl('r'), Key::Char('t'), Key::Char('e'), Key::Ctrl('r')]);
        assert_eq!(row(&editor), "(search, no more) te|: tea?");
        // Any other key takes it too.
        press(&mut editor, &[Key::Home, Key::Char('x')]);
        assert_eq!(editor.text(), "xtea?");
        for end in [Key::Escape, Key::Ctrl('g'), Key::Ctrl('c')] {
            press(&mut editor, &[Key::Ctrl('r'), Key::Char('g'), end]);
            assert_eq!(row(&editor), "#a> x|tea?", "{end:?}");
        }
    }

    #[test]
    fn rows() {
        for (prompt, text, width, want) in [
            ("#a> ", "hi|", 80, "#a> hi|"),
            ("#a> ", "h|i", 80, "#a> h|i"),
            ("#a> ", "a\tb|", 80, "#a> a b|"),
            ("", "0123456789|", 11, "0123456789|"),
            ("", "0123456789|", 10, "456789|"),
            ("", "0123456789a|", 10, "456789a|"),
            ("", "0123456789|abcdef", 10, "456789|abc"),
            ("", "01|23456789", 10, "01|2345678"),
            ("", "漢字漢字|漢字", 8, "漢字|漢"),
            ("", "漢字漢字|漢字", 6, "漢字|"),
            ("", "a👩‍👩‍👧🇩🇪|e\u{301}x", 80, "a👩‍👩‍👧🇩🇪|e\u{301}x"),
            ("", "e|\u{301}x", 80, "e\u{301}|x"),
            ("#lobby> ", "abc|", 10, "…y> abc|"),
            ("#lobby> ", "abcdefg|", 10, "…y> cdefg|"),
            ("漢字> ", "a|", 8, "…> a|"),
            ("#a> ", "abc|", 3, "…c|"),
            ("#a> ", "a|bc", 2, "a|"),
            ("#a> ", "abc|", 1, "|"),
            ("#a> ", "abc|", 0, "|"),
        ] {
            let row = editor(text).row(prompt, "#a", width);
            assert_eq!(format!("{}|{}", row.before, row.after), want, "{prompt:?} {text:?} {width}");
        }
        let mut editor = editor("text");
        editor.paste("\n1\n2");
        assert_eq!(
            editor.row("#a> ", "#a", 80),
            Row { before: "send these 3 lines to #a? y/n".to_owned(), after: String::new() }
        );
        for (width, want) in [
            (30, "send these 3 lines to #a? y/n"),
            (29, "send 3 to #a? y/n"),
            (18, "send 3 to #a? y/n"),
            (12, "send 3? y/n"),
        ] {
            assert_eq!(editor.row("#a> ", "#a", width).before, want);
        }
    }

    fn key() -> impl Strategy<Value = Key> {
        use Key::*;
        const KEYS: &[Key] = &[Enter, Tab, Backspace, Delete, Up, Down, Left, Right, Home, End, CtrlLeft, CtrlRight];
        prop_oneof![
            proptest::sample::select(KEYS),
            proptest::char::range('a', 'z').prop_map(Ctrl),
            proptest::char::range('a', 'z').prop_map(Alt),
            any::<char>().prop_map(Char),
            proptest::sample::select(&['y', ' ', '漢', '\u{301}', '\u{fe0f}', '\u{200d}', '👩', '🇩', '☁'][..])
                .prop_map(Char),
        ]
    }

    proptest! {
        #[test]
        fn any_keys_at_any_width(
            keys in proptest::collection::vec(key(), 0..80),
            paste in "[a漢🇩\u{301}\u{1b}\t\r\n ]{0,40}",
            candidates in proptest::collection::vec("[aAé\u{1b}]{0,4}", 0..3),
            width in 0_usize..30,
        ) {
            let mut editor = Editor::default();
            for (at, key) in keys.into_iter().enumerate() {
                if at % 20 == 10 {
                    editor.paste(&paste);
                }
                match editor.key(key, |before| Completion { start: before.len(), candidates: candidates.clone() }) {
                    Some(Intent::Submit(line)) => {
                        prop_assert!(!is_blank(&line));
                        prop_assert_eq!(clean(line.as_bytes()), &*line);
                    }
                    Some(Intent::Say(lines)) => prop_assert!(lines.len() > 1 && !lines.iter().any(|line| is_blank(line))),
                    _ => {}
                }
                prop_assert!(is_safe(editor.text()));
                prop_assert!(editor.text().len() <= LINE_MAX);
                let row = editor.row("#漢a> ", "#漢a", width);
                let whole = row.before + &row.after;
                prop_assert!(columns(&whole) < width.max(1), "{whole:?} {width}");
                prop_assert!(!whole.contains(char::is_control));
            }
        }
    }
}
