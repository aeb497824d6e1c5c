//! From the bytes of a terminal to keys, pastes and answers.

use std::borrow::Cow;
use std::collections::VecDeque;
use std::mem;
use std::time::Duration;

/// The most bytes of a paste. Of a longer one nothing is taken.
pub const PASTE_MAX: usize = 1 << 20;

/// How long the rest of a sequence may take: on a bad line its bytes come apart.
const SEQUENCE: Duration = Duration::from_millis(500);
/// How long the rest of a paste or of an answer may take. Then its end is lost, and the keyboard must not be dead.
const END: Duration = Duration::from_secs(2);
/// How long the rest of a paste without marks may take, which is known by its speed alone.
const UNMARKED: Duration = Duration::from_millis(100);

/// The most bytes that an answer may have; a longer one is swallowed.
const ANSWER_MAX: usize = 4 << 10;
/// The most bytes that the parameters of a sequence may have; a longer one is swallowed.
const SEQUENCE_MAX: usize = 64;

const ESC: u8 = 0x1b;
const BEL: u8 = 0x07;
const PASTE_END: &[u8] = b"\x1b[201~";

/// What a terminal sends.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Input {
    /// A key was pressed.
    Key(Key),
    /// Text was pasted, with `\n` for every line end.
    Paste(String),
    /// Text came at once after a paste whose end is not known, with `\n` for every line end: its rest, or what somebody or a
    /// program has typed quickly.
    Rest(String),
    /// More than [`PASTE_MAX`] bytes were pasted.
    TooMuch,
    /// The terminal answers a question.
    Answer(TerminalAnswer),
}

/// A key, with as much of Ctrl, Alt and Shift as somebody asks for. Alt stands for Meta too.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[allow(missing_docs, reason = "they are what is written on them")]
pub enum Key {
    Char(char),
    /// The letter is a small one; `Ctrl(' ')` is NUL.
    Ctrl(char),
    /// The character as it was typed.
    Alt(char),
    Enter,
    Tab,
    BackTab,
    Backspace,
    Delete,
    Escape,
    Up,
    Down,
    Left,
    Right,
    Home,
    End,
    CtrlLeft,
    CtrlRight,
    AltLeft,
    AltRight,
    AltBackspace,
    CtrlDelete,
    AltDelete,
}

/// What a terminal tells when it is asked.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum TerminalAnswer {
    /// Its primary device attributes. Every terminal answers that, so it ends a row of questions.
    Attributes(Vec<u16>),
    /// Where the cursor is, counted from 1.
    Cursor {
        /// The row.
        row: u16,
        /// The column.
        column: u16,
    },
    /// The person looks at the terminal now.
    Focused,
    /// The person looks at something else.
    Unfocused,
    /// What the kitty graphics protocol answers, after its `G`.
    Graphics(String),
    /// What iTerm2 reports, after its `1337;`.
    Report(String),
    /// How large a cell is, in pixels.
    Cell {
        /// From left to right.
        width: u16,
        /// From top to bottom.
        height: u16,
    },
    /// How many colours sixels may have.
    Registers(u16),
}

/// Reads what a terminal sends, however its bytes are split. What has been read comes out of the iterator, which has an
/// end whenever more bytes are needed. It holds no more than one paste besides what has not been taken out.
#[derive(Default)]
pub struct Decoder {
    state: State,
    /// Whether the end of a paste did not come in time, so that its rest may.
    is_cut: bool,
    /// Whether the terminal has marked a paste. It marks all of them then, so what comes without marks was typed, however much of it
    /// comes at once, as it does when a link was cut for a while.
    marks: bool,
    /// Whether what was typed while a link was cut comes at once, and next to nothing without marks was pasted, as over mosh. Then what
    /// stands behind the last Enter is a line that somebody has begun.
    pub is_late: bool,
    /// Whether some of what came is no UTF-8.
    pub is_unreadable: bool,
    ready: VecDeque<Input>,
}

#[derive(Default)]
enum State {
    #[default]
    Ground,
    /// The start of a character in UTF-8, typed with Alt or without.
    Char { alt: bool, bytes: Vec<u8> },
    /// After one ESC, or, with `alt`, after two.
    Escape { alt: bool },
    /// In a CSI or SS3; `start` is what came after the ESC.
    Sequence { alt: bool, start: u8, body: Vec<u8> },
    /// This many bytes belong to a sequence that means nothing.
    Skip(u8),
    /// In an OSC, APC, DCS, PM or SOS, as `start` tells; `escape` if the last byte was an ESC.
    Text { start: u8, body: Vec<u8>, escape: bool },
    /// In a paste; so many bytes of its end have been seen.
    Paste { body: Vec<u8>, matched: usize },
    /// In a paste without marks.
    Unmarked(Vec<u8>),
}

impl Decoder {
    /// Reads `bytes`, which came at once.
    ///
    /// Nobody types a line and its Enter within one read, unless a link was cut meanwhile: it was pasted in a terminal that does not
    /// mark it, or was written by a program. So is text that comes at once when the end of a paste is missing. No question tells
    /// whether a terminal marks pastes: mosh answers none, and tmux answers for itself and not for the one around it.
    pub fn feed(&mut self, bytes: &[u8]) {
        let mut begins = true;
        for (at, &byte) in bytes.iter().enumerate() {
            let is_ground = matches!(self.state, State::Ground);
            if begins && is_ground {
                let text = bytes[at..].split(|&byte| !is_text(byte)).next().unwrap_or_default();
                if has_line(text) && !self.marks
                    || self.is_cut && String::from_utf8_lossy(text).chars().nth(1).is_some()
                {
                    self.state = State::Unmarked(Vec::new());
                }
            }
            begins = !(is_ground && is_text(byte));
            let is_paste = matches!(self.state, State::Paste { .. });
            self.state = self.step(byte);
            // Marks with something behind them may themselves have been pasted.
            self.marks |= is_paste && matches!(self.state, State::Ground) && at + 1 == bytes.len();
        }
    }

    /// How long to wait for more bytes before [`Decoder::give_up`]; `None` if it would do nothing.
    pub fn patience(&self) -> Option<Duration> {
        match &self.state {
            State::Escape { .. } | State::Sequence { .. } | State::Skip(_) => Some(SEQUENCE),
            State::Text { body, escape: false, .. } if body.is_empty() => Some(SEQUENCE),
            State::Text { .. } | State::Paste { .. } => Some(END),
            State::Unmarked(_) => Some(UNMARKED),
            State::Ground | State::Char { .. } => None,
        }
    }

    /// No more bytes came for a while, so what is held was typed by hand: an ESC is the Escape key, and what else starts a
    /// sequence is a key with Alt. A sequence or an answer that has gone on from there is dropped, and a paste is over.
    pub fn give_up(&mut self) {
        if self.patience().is_none() {
            return;
        }
        match mem::take(&mut self.state) {
            State::Escape { alt } => {
                self.escape_if(alt);
                self.key(Key::Escape);
            }
            State::Sequence { alt, start, body } if body.is_empty() => {
                self.escape_if(alt);
                self.key(Key::Alt(char::from(start)));
            }
            State::Text { start, body, escape: false } if body.is_empty() => self.key(Key::Alt(char::from(start))),
            State::Paste { body, .. } => {
                self.is_cut = true;
                self.paste(&body);
            }
            State::Unmarked(body) => self.state = self.unmarked(&body),
            _ => (),
        }
    }

    fn step(&mut self, byte: u8) -> State {
        match mem::take(&mut self.state) {
            State::Ground => self.ground(byte),
            State::Char { alt, bytes } => self.char(alt, bytes, byte),
            State::Escape { alt } => self.escape(alt, byte),
            State::Sequence { alt, start, mut body } => match (start, byte) {
                // The Linux console's function keys, and mouse reports of the oldest kind.
                (b'[', b'[') if body.is_empty() => State::Skip(1),
                (b'[', b'M') if body.is_empty() => State::Skip(3),
                (b'[', b'~') if body == b"200" => {
                    self.escape_if(alt);
                    self.is_cut = false;
                    State::Paste { body: Vec::new(), matched: 0 }
                }
                // rxvt ends its keys with Shift so; elsewhere this is no end.
                (b'[', b'$') if body.iter().all(u8::is_ascii_digit) => self.sequence(alt, start, &body, byte),
                (_, 0x20..=0x3f) => {
                    hold(&mut body, byte, SEQUENCE_MAX + 1);
                    State::Sequence { alt, start, body }
                }
                (_, 0x40..=0x7e) => self.sequence(alt, start, &body, byte),
                _ => self.ground(byte),
            },
            State::Skip(1) => State::Ground,
            State::Skip(count) => State::Skip(count - 1),
            State::Text { start, mut body, escape } => match byte {
                b'\\' if escape => self.answer(start, &body),
                BEL if !escape => self.answer(start, &body),
                _ if escape => self.escape(false, byte),
                ESC => State::Text { start, body, escape: true },
                // No answer holds such a byte: a key was taken for its start, and the keyboard must not be dead.
                0..=0x1f | 0x7f => self.ground(byte),
                _ => {
                    hold(&mut body, byte, ANSWER_MAX + 1);
                    State::Text { start, body, escape: false }
                }
            },
            State::Paste { mut body, matched } => {
                if byte == PASTE_END[matched] {
                    if matched + 1 < PASTE_END.len() {
                        return State::Paste { body, matched: matched + 1 };
                    }
                    self.paste(&body);
                    return State::Ground;
                }
                PASTE_END[..matched].iter().for_each(|&b| hold(&mut body, b, PASTE_MAX + 1));
                if byte == ESC {
                    return State::Paste { body, matched: 1 };
                }
                hold(&mut body, byte, PASTE_MAX + 1);
                State::Paste { body, matched: 0 }
            }
            State::Unmarked(mut body) if is_text(byte) => {
                hold(&mut body, byte, PASTE_MAX + 1);
                State::Unmarked(body)
            }
            State::Unmarked(body) => {
                self.state = self.unmarked(&body);
                self.is_cut = false;
                self.step(byte)
            }
        }
    }

    fn ground(&mut self, byte: u8) -> State {
        match byte {
            ESC => return State::Escape { alt: false },
            0..=0x1f | 0x7f => self.key(control(byte)),
            0x20..=0x7e => self.key(Key::Char(char::from(byte))),
            0x80.. => return self.char(false, Vec::new(), byte),
        }
        State::Ground
    }

    fn char(&mut self, alt: bool, mut bytes: Vec<u8>, byte: u8) -> State {
        bytes.push(byte);
        let key = if alt { Key::Alt } else { Key::Char };
        match str::from_utf8(&bytes) {
            Ok(text) => text.chars().for_each(|c| self.key(key(c))),
            Err(error) if error.error_len().is_none() => return State::Char { alt, bytes },
            Err(_) => {
                self.is_unreadable = true;
                self.key(key(char::REPLACEMENT_CHARACTER));
                if bytes.len() > 1 {
                    return self.ground(byte);
                }
            }
        }
        State::Ground
    }

    fn escape(&mut self, alt: bool, byte: u8) -> State {
        if matches!(byte, b'[' | b'O') {
            return State::Sequence { alt, start: byte, body: Vec::new() };
        }
        self.escape_if(alt);
        match byte {
            ESC => return State::Escape { alt: true },
            b']' | b'_' | b'P' | b'^' | b'X' => return State::Text { start: byte, body: Vec::new(), escape: false },
            0x08 | 0x7f => self.key(Key::AltBackspace),
            0x20..=0x7e => self.key(Key::Alt(char::from(byte))),
            0x80.. => return self.char(true, Vec::new(), byte),
            _ => {
                self.key(Key::Escape);
                return self.ground(byte);
            }
        }
        State::Ground
    }

    fn sequence(&mut self, alt: bool, start: u8, body: &[u8], last: u8) -> State {
        if body.len() <= SEQUENCE_MAX {
            let mods = Mods { alt, ..Mods::default() };
            let read = if start == b'[' { csi } else { ss3 };
            let input = str::from_utf8(body).ok().and_then(|body| read(body, last, mods));
            // An answer has no Alt: Escape was pressed just before it came.
            self.escape_if(alt && matches!(input, Some(Input::Answer(_))));
            self.ready.extend(input);
        }
        State::Ground
    }

    fn answer(&mut self, start: u8, body: &[u8]) -> State {
        if body.len() <= ANSWER_MAX {
            let text = String::from_utf8_lossy(body);
            let answer = match start {
                b'_' => text.strip_prefix('G').map(|text| TerminalAnswer::Graphics(text.to_owned())),
                b']' => text.strip_prefix("1337;").map(|text| TerminalAnswer::Report(text.to_owned())),
                _ => None,
            };
            self.ready.extend(answer.map(Input::Answer));
        }
        State::Ground
    }

    /// Text that came at once is over. A single line is taken as if it had been typed.
    fn unmarked(&mut self, body: &[u8]) -> State {
        let end =
            body.iter().rposition(|&byte| is_enter(byte)).filter(|_| self.is_late).map_or(body.len(), |at| at + 1);
        let (lines, begun) = body.split_at(end);
        let line = lines.trim_ascii_end();
        if self.is_cut && body.len() <= PASTE_MAX {
            let rest = self.pasted(body);
            self.ready.push_back(Input::Rest(rest));
            return State::Ground;
        }
        if line.iter().any(|&byte| is_enter(byte)) || body.len() > PASTE_MAX {
            self.paste(lines);
            if !begun.is_empty() {
                let rest = self.pasted(begun);
                self.ready.push_back(Input::Rest(rest));
            }
            self.is_cut = true;
            return State::Ground;
        }
        body.iter().for_each(|&byte| self.state = self.step(byte));
        mem::take(&mut self.state)
    }

    fn paste(&mut self, body: &[u8]) {
        let input = if body.len() > PASTE_MAX { Input::TooMuch } else { Input::Paste(self.pasted(body)) };
        self.ready.push_back(input);
    }

    fn pasted(&mut self, body: &[u8]) -> String {
        let text = String::from_utf8_lossy(body);
        self.is_unreadable |= matches!(text, Cow::Owned(_));
        text.replace("\r\n", "\n").replace('\r', "\n")
    }

    fn key(&mut self, key: Key) {
        self.is_cut = false;
        self.ready.push_back(Input::Key(key));
    }

    fn escape_if(&mut self, escape: bool) {
        if escape {
            self.key(Key::Escape);
        }
    }
}

impl Iterator for Decoder {
    type Item = Input;

    fn next(&mut self) -> Option<Input> {
        self.ready.pop_front()
    }
}

fn hold(body: &mut Vec<u8>, byte: u8, max: usize) {
    if body.len() < max {
        body.push(byte);
    }
}

/// Whether a byte is of text that may have been pasted.
fn is_text(byte: u8) -> bool {
    matches!(byte, b'\t' | b'\n' | b'\r' | 0x20..=0x7e | 0x80..)
}

fn is_enter(byte: u8) -> bool {
    matches!(byte, b'\n' | b'\r')
}

/// Whether there is more than Enter in this text, and an Enter.
fn has_line(text: &[u8]) -> bool {
    text.iter().any(|&byte| is_enter(byte)) && text.iter().any(|&byte| byte >= b' ')
}

#[derive(Clone, Copy, Default)]
struct Mods {
    shift: bool,
    alt: bool,
    ctrl: bool,
}

impl Mods {
    /// Adds those of a sequence: 1 and a bit for each.
    fn with(self, number: Option<u32>) -> Self {
        let bits = number.unwrap_or(1).saturating_sub(1);
        // Meta is 8 in xterm and 32 in kitty.
        Self {
            shift: self.shift || bits & 1 != 0,
            alt: self.alt || bits & (2 | 8 | 32) != 0,
            ctrl: self.ctrl || bits & 4 != 0,
        }
    }

    fn apply(self, key: Key) -> Key {
        match (key, self.ctrl, self.alt) {
            (Key::Left, true, _) => Key::CtrlLeft,
            (Key::Left, _, true) => Key::AltLeft,
            (Key::Right, true, _) => Key::CtrlRight,
            (Key::Right, _, true) => Key::AltRight,
            (Key::Delete, true, _) => Key::CtrlDelete,
            (Key::Delete, _, true) => Key::AltDelete,
            (Key::Backspace, ctrl, alt) if ctrl || alt => Key::AltBackspace,
            (key, ..) => key,
        }
    }
}

fn control(byte: u8) -> Key {
    match byte {
        0 => Key::Ctrl(' '),
        0x08 | 0x7f => Key::Backspace,
        b'\t' => Key::Tab,
        b'\n' | b'\r' => Key::Enter,
        ESC => Key::Escape,
        1..=26 => Key::Ctrl(char::from(byte + 0x60)),
        _ => Key::Ctrl(char::from(byte | 0x40)),
    }
}

fn letter(last: u8) -> Option<Key> {
    Some(match last {
        b'A' | b'a' => Key::Up,
        b'B' | b'b' => Key::Down,
        b'C' | b'c' => Key::Right,
        b'D' | b'd' => Key::Left,
        b'H' => Key::Home,
        b'F' => Key::End,
        _ => return None,
    })
}

fn ss3(body: &str, last: u8, mods: Mods) -> Option<Input> {
    let mods = mods.with(body.rsplit(';').next().and_then(|number| number.parse().ok()));
    let key = match last {
        // The keypad, in its application mode.
        b'M' => Key::Enter,
        b'j'..=b'y' => Key::Char(char::from(last - 0x40)),
        // Small letters are rxvt's, with Ctrl.
        _ => Mods { ctrl: mods.ctrl || last.is_ascii_lowercase(), ..mods }.apply(letter(last)?),
    };
    Some(Input::Key(key))
}

fn csi(body: &str, last: u8, mods: Mods) -> Option<Input> {
    if let Some(body) = body.strip_prefix('?') {
        let fields: Vec<u16> = body.split(';').map_while(|field| field.parse().ok()).collect();
        return match (last, &*fields) {
            (b'c', _) => Some(Input::Answer(TerminalAnswer::Attributes(fields))),
            (b'S', [1, 0, count]) => Some(Input::Answer(TerminalAnswer::Registers(*count))),
            _ => None,
        };
    }
    if !body.bytes().all(|b| b.is_ascii_digit() || matches!(b, b';' | b':')) {
        return None;
    }
    match (body, last) {
        ("", b'I') => return Some(Input::Answer(TerminalAnswer::Focused)),
        ("", b'O') => return Some(Input::Answer(TerminalAnswer::Unfocused)),
        _ => {}
    }
    let fields: Vec<&str> = body.split(';').collect();
    let number = |field: usize, part| fields.get(field)?.split(':').nth(part)?.parse::<u32>().ok();
    let size = |field| u16::try_from(number(field, 0)?).ok();
    if last == b'R' && fields.len() == 2 {
        return Some(Input::Answer(TerminalAnswer::Cursor { row: size(0)?, column: size(1)? }));
    }
    if last == b't' && fields.len() == 3 && fields[0] == "6" {
        return Some(Input::Answer(TerminalAnswer::Cell { width: size(2)?, height: size(1)? }));
    }
    // Some terminals leave out the first number before a letter.
    let at = if letter(last).is_some() { fields.len() - 1 } else { 1 };
    if number(at, 1) == Some(3) {
        // The key was let go.
        return None;
    }
    let mods = mods.with(number(at, 0));
    let key = match (last, number(0, 0)) {
        (b'Z', _) => Key::BackTab,
        (b'u', Some(code)) => character(code, number(0, 1), mods)?,
        (b'~', Some(27)) => character(number(2, 0)?, None, mods)?,
        // All but the first are rxvt's: with Shift, with Ctrl, with both.
        (b'~' | b'$' | b'^' | b'@', Some(code)) => {
            let key = match code {
                1 | 7 => Key::Home,
                3 => Key::Delete,
                4 | 8 => Key::End,
                _ => return None,
            };
            Mods { ctrl: mods.ctrl || matches!(last, b'^' | b'@'), ..mods }.apply(key)
        }
        _ => mods.apply(letter(last)?),
    };
    Some(Input::Key(key))
}

fn character(code: u32, shifted: Option<u32>, mods: Mods) -> Option<Key> {
    let typed = char::from_u32(code)?;
    let shifted = shifted.and_then(char::from_u32).unwrap_or_else(|| typed.to_uppercase().next().unwrap_or(typed));
    Some(match typed {
        '\t' if mods.shift => Key::BackTab,
        '\u{8}' | '\t' | '\n' | '\r' | '\u{1b}' | '\u{7f}' => mods.apply(control(u8::try_from(code).ok()?)),
        // The Enter of the keypad; its neighbours are keys that mean nothing here.
        '\u{e046}' => Key::Enter,
        '\u{e000}'..='\u{f8ff}' => return None,
        _ if typed.is_control() => return None,
        'A'..='Z' | 'a'..='z' | '@' | '['..='_' | ' ' if mods.ctrl => control(u8::try_from(code).ok()? & 0x1f),
        _ if mods.ctrl => Key::Ctrl(typed),
        _ if mods.alt => Key::Alt(if mods.shift { shifted } else { typed }),
        _ => Key::Char(if mods.shift { shifted } else { typed }),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn read(chunks: &[&[u8]]) -> Vec<Input> {
        let mut decoder = Decoder::default();
        let mut inputs = Vec::new();
        for chunk in chunks {
            decoder.feed(chunk);
            inputs.extend(&mut decoder);
        }
        inputs
    }

    /// `bytes` are read as `want` however they are split, and leave nothing behind.
    fn check(bytes: &[u8], want: &[Input]) {
        let bytes = &[bytes, b"."].concat();
        let want = &[want, &[Input::Key(Key::Char('.'))]].concat();
        for at in 0..bytes.len() {
            let (a, b) = bytes.split_at(at);
            assert_eq!(&read(&[a, b]), want, "{} | {}", a.escape_ascii(), b.escape_ascii());
        }
        assert_eq!(&read(&bytes.chunks(1).collect::<Vec<_>>()), want, "{}", bytes.escape_ascii());
    }

    #[test]
    fn keys() {
        use Key::*;
        for (bytes, want) in [
            ("aé漢🦀", &[Char('a'), Char('é'), Char('漢'), Char('🦀')][..]),
            ("\r\n\t\x7f\x08", &[Enter, Enter, Tab, Backspace, Backspace]),
            ("\0\x01\x1a\x1c\x1f", &[Ctrl(' '), Ctrl('a'), Ctrl('z'), Ctrl('\\'), Ctrl('_')]),
            ("\x1bb\x1bF\x1bé\x1b\\", &[Alt('b'), Alt('F'), Alt('é'), Alt('\\')]),
            ("\x1b\x7f\x1b\x08\x1b\r", &[AltBackspace, AltBackspace, Escape, Enter]),
            ("\x1b\x1bx\x1b\x1b\x1bx", &[Escape, Alt('x'), Escape, Escape, Alt('x')]),
            ("\x1b[A\x1b[B\x1b[C\x1b[D", &[Up, Down, Right, Left]),
            ("\x1bOA\x1bOB\x1bOC\x1bOD", &[Up, Down, Right, Left]),
            ("\x1b[1;2D\x1b[1;3D\x1b[1;5D\x1b[1;7D\x1b[1;9D", &[Left, AltLeft, CtrlLeft, CtrlLeft, AltLeft]),
            ("\x1b[1;3C\x1b[5C\x1bO5C\x1bO1;3C", &[AltRight, CtrlRight, CtrlRight, AltRight]),
            ("\x1b\x1b[D\x1b\x1bOC\x1b\x1b[A", &[AltLeft, AltRight, Up]),
            ("\x1bOd\x1bOc\x1bOa\x1b[d", &[CtrlLeft, CtrlRight, Up, Left]),
            ("\x1b[1;5A\x1b[1;1:1B\x1b[1;1:3B\x1b[1;5:2D", &[Up, Down, CtrlLeft]),
            ("\x1b[H\x1bOH\x1b[1~\x1b[7~\x1b[7$\x1b[7^\x1b[1;5H", &[Home; 7]),
            ("\x1b[F\x1bOF\x1b[4~\x1b[8~\x1b[8$\x1b[8@\x1b[1;2F", &[End; 7]),
            ("\x1b[3~\x1b[3;2~\x1b[3$\x1b[3;5~\x1b[3^", &[Delete, Delete, Delete, CtrlDelete, CtrlDelete]),
            ("\x1b[3;3~\x1b\x1b[3~\x1b[Z\x1b[1;2Z", &[AltDelete, AltDelete, BackTab, BackTab]),
            ("\x1bOM\x1bOj\x1bOp\x1bOy", &[Enter, Char('*'), Char('0'), Char('9')]),
            ("\x1b[97;5u\x1b[97:65;6u\x1b[27;5;97~", &[Ctrl('a'); 3]),
            (
                "\x1b[97u\x1b[97;2u\x1b[49:33;2u\x1b[97;3u\x1b[49:33;4u",
                &[Char('a'), Char('A'), Char('!'), Alt('a'), Alt('!')],
            ),
            ("\x1b[104;5u\x1b[127u\x1b[127;3u\x1b[9u\x1b[9;2u", &[Backspace, Backspace, AltBackspace, Tab, BackTab]),
            ("\x1b[13;5u\x1b[27u\x1b[57414u\x1b[32;5u\x1b[49;5u", &[Enter, Escape, Enter, Ctrl(' '), Ctrl('1')]),
            ("\x1b[97;1:3u\x1b[57358u\x1b[u\x1b[1114112u\x1b[133u", &[]),
            ("\x1b[2~\x1b[5~\x1b[15~\x1b[24;5~\x1bOP\x1b[[A\x1b[P\x1b[E", &[]),
            ("\x1b[<0;10;10M\x1b[<0;10;10m\x1b[M !!\x1b[32;1;1M", &[]),
            ("\x1b[?1u\x1b[>1;95;0c\x1b[4;1$y\x1b[?2026;2$y\x1b[8;24;80t\x1b[ q\x1b[9999999999999~", &[]),
            ("\x1bP1$r0m\x1b\\\x1b]11;rgb:0/0/0\x07\x1b]52;c;é\x1b\\\x1b_x\x1b\\\x1b^x\x07\x1bXx\x1b\\", &[]),
            ("\x1b[1\x1b[D\x1b[1\ra\x1b[1é", &[Left, Enter, Char('a'), Char('é')]),
            (
                "\x1bPhello\rok\x1bP\x03\x1bPxx\x1bb\x1bP\x1b\x1b[D",
                &[Enter, Char('o'), Char('k'), Ctrl('c'), Alt('b'), AltLeft],
            ),
        ] {
            check(bytes.as_bytes(), &want.iter().map(|&key| Input::Key(key)).collect::<Vec<_>>());
        }
        let bad = Input::Key(Char('\u{fffd}'));
        check(b"\xff", std::slice::from_ref(&bad));
        check(b"\xe2\x82a", &[bad.clone(), Input::Key(Char('a'))]);
        check(b"\xc3\xc3\xa9", &[bad.clone(), Input::Key(Char('é'))]);
        check(b"\xe2\x1b[D", &[bad, Input::Key(Left)]);
        check(&[b"\x1b[", "1;".repeat(99).as_bytes(), b"D"].concat(), &[]);
    }

    #[test]
    fn pastes() {
        for (text, want) in [
            ("", ""),
            ("a\rb\r\nc\nd", "a\nb\nc\nd"),
            ("é\x1b[D\x03\x1b[20\x1b\x1b[201", "é\x1b[D\x03\x1b[20\x1b\x1b[201"),
        ] {
            check(format!("\x1b[200~{text}\x1b[201~").as_bytes(), &[Input::Paste(want.to_owned())]);
        }
        check(b"\x1b\x1b[200~\xff\x1b[201~", &[Input::Key(Key::Escape), Input::Paste("\u{fffd}".to_owned())]);
        let long = |len: usize| ["\x1b[200~", &"x".repeat(len), "\x1b[201~."].concat();
        let dot = Input::Key(Key::Char('.'));
        let longest = Input::Paste("x".repeat(PASTE_MAX));
        assert_eq!(read(&[long(PASTE_MAX).as_bytes()]), [longest, dot.clone()]);
        assert_eq!(read(&[long(PASTE_MAX + 1).as_bytes()]), [Input::TooMuch, dot]);
    }

    /// What comes out when these reads follow each other at once, and then nothing comes.
    fn heard(reads: &[&str]) -> Vec<Input> {
        let mut decoder = Decoder::default();
        reads.iter().for_each(|read| decoder.feed(read.as_bytes()));
        decoder.give_up();
        decoder.collect()
    }

    #[test]
    fn lines_that_come_at_once_are_a_paste() {
        let paste = |text: &str| vec![Input::Paste(text.to_owned())];
        let keys = |keys: &[Key]| keys.iter().map(|&key| Input::Key(key)).collect::<Vec<_>>();
        let (a, b) = (Key::Char('a'), Key::Char('b'));
        assert_eq!(heard(&["a\rb"]), paste("a\nb"));
        assert_eq!(heard(&["a\r\nb\r\n"]), paste("a\nb\n"));
        assert_eq!(heard(&["\rb"]), paste("\nb"));
        // Wherever the reads are split.
        assert_eq!(heard(&["a\r", "b\r", "é"]), paste("a\nb\né"));
        // What is typed comes key by key, and a program may write a line.
        assert_eq!(heard(&["a", "\r", "b", "\r"]), keys(&[a, Key::Enter, b, Key::Enter]));
        assert_eq!(heard(&["ab\r"]), keys(&[a, b, Key::Enter]));
        assert_eq!(heard(&["a\r\x04"]), keys(&[a, Key::Enter, Key::Ctrl('d')]));
        assert_eq!(heard(&["a\rb\x1b[D"]), [paste("a\nb"), keys(&[Key::Left])].concat());
        // An answer of the terminal may come with it.
        let answer = vec![Input::Answer(TerminalAnswer::Attributes(vec![62, 4]))];
        assert_eq!(heard(&["\x1b[?62;4ca\rb"]), [answer, paste("a\nb")].concat());
        let huge = "a\r".repeat(PASTE_MAX);
        assert_eq!(heard(&[&huge]), [Input::TooMuch]);
    }

    #[test]
    fn lines_that_come_at_once_are_typed_where_the_terminal_marks_pastes() {
        let typed: Vec<_> = [Key::Char('a'), Key::Enter, Key::Char('b'), Key::Enter].map(Input::Key).into();
        let marked = "\x1b[200~x\x1b[201~";
        let paste = Input::Paste("x".to_owned());
        assert_eq!(heard(&[marked, "a\rb\r"]), [vec![paste.clone()], typed].concat());
        // In a terminal that marks none, what is pasted may hold such marks.
        let whole = [marked, "a\rb\r"].concat();
        assert_eq!(heard(&[&whole]), [paste, Input::Paste("a\nb\n".to_owned())]);
        // Over mosh only whole lines are one.
        for (typed, want) in [
            ("a\rb", [Key::Char('a'), Key::Enter, Key::Char('b')].map(Input::Key).to_vec()),
            ("a\rb\rc", vec![Input::Paste("a\nb\n".to_owned()), Input::Rest("c".to_owned())]),
        ] {
            let mut decoder = Decoder { is_late: true, ..Decoder::default() };
            decoder.feed(typed.as_bytes());
            decoder.give_up();
            assert_eq!(decoder.collect::<Vec<_>>(), want, "{typed:?}");
        }
        // One whose end is lost proves nothing.
        assert_eq!(heard(&["\x1b[200~x", "a\rb\r"]), [Input::Paste("xa\nb\n".to_owned())]);
    }

    #[test]
    fn a_paste_whose_end_is_lost_is_over_after_a_while() {
        let mut decoder = Decoder::default();
        decoder.feed(b"\x1b[200~one\rtwo");
        assert_eq!(decoder.patience(), Some(END));
        decoder.give_up();
        assert_eq!(decoder.next(), Some(Input::Paste("one\ntwo".to_owned())));
        // Should more of it come, that is no answer to a question.
        decoder.feed(b"yes");
        decoder.give_up();
        assert_eq!(decoder.next(), Some(Input::Rest("yes".to_owned())));
        decoder.feed(b"more\x1b[201~");
        assert_eq!(decoder.next(), Some(Input::Rest("more".to_owned())));
        decoder.feed(b"yn");
        assert_eq!(decoder.count(), 2);
    }

    #[test]
    fn answers() {
        use TerminalAnswer::*;
        let graphics = |text: &str| Graphics(text.to_owned());
        let report = |text: &str| Report(text.to_owned());
        for (bytes, want) in [
            ("\x1b[?62;4c", Attributes(vec![62, 4])),
            ("\x1b[?1;2c", Attributes(vec![1, 2])),
            ("\x1b[?c", Attributes(Vec::new())),
            ("\x1b[6;20;10t", Cell { width: 10, height: 20 }),
            ("\x1b[?1;0;256S", Registers(256)),
            ("\x1b[I", Focused),
            ("\x1b[O", Unfocused),
            ("\x1b[24;80R", Cursor { row: 24, column: 80 }),
            ("\x1b_Gi=31;OK\x1b\\", graphics("i=31;OK")),
            ("\x1b_Gi=31;EINVAL:é\x07", graphics("i=31;EINVAL:é")),
            ("\x1b]1337;ReportCellSize=17.0;8.0\x1b\\", report("ReportCellSize=17.0;8.0")),
            ("\x1b]1337;Capabilities=F\x07", report("Capabilities=F")),
        ] {
            check(bytes.as_bytes(), &[Input::Answer(want.clone())]);
            // Who presses Escape meanwhile presses Escape.
            check(format!("\x1b{bytes}").as_bytes(), &[Input::Key(Key::Escape), Input::Answer(want)]);
        }
        check(b"\x1b[70000;1R\x1b[R\x1b[5R", &[]);
        let long = |length| format!("\x1b_G{}\x1b\\", "x".repeat(length));
        check(long(ANSWER_MAX).as_bytes(), &[]);
        let longest = Input::Answer(Graphics("x".repeat(ANSWER_MAX - 1)));
        assert_eq!(read(&[long(ANSWER_MAX - 1).as_bytes()]), [longest]);
    }

    #[test]
    fn what_takes_too_long_was_typed_by_hand() {
        use Key::*;
        for (bytes, waiting, want) in [
            ("", false, &[][..]),
            ("\x1b", true, &[Escape]),
            ("\x1b\x1b", true, &[Escape, Escape]),
            ("\x1b[", true, &[Alt('[')]),
            ("\x1b\x1bO", true, &[Escape, Alt('O')]),
            ("\x1bP", true, &[Alt('P')]),
            ("\x1b]", true, &[Alt(']')]),
            ("\x1b[1;", true, &[]),
            ("\x1bO5", true, &[]),
            ("\x1b[M ", true, &[]),
        ] {
            let mut decoder = Decoder::default();
            decoder.feed(bytes.as_bytes());
            assert_eq!(decoder.patience(), waiting.then_some(SEQUENCE), "{bytes:?}");
            decoder.give_up();
            assert_eq!(decoder.patience(), None);
            decoder.feed(b".");
            let want: Vec<_> = want.iter().chain(&[Char('.')]).map(|&key| Input::Key(key)).collect();
            assert_eq!(decoder.collect::<Vec<_>>(), want, "{bytes:?}");
        }
        // What of an answer has come is no key, and what is typed after it is.
        for start in ["\x1b_Ga", "\x1b_G\x1b", "\x1b]1337;x"] {
            let mut decoder = Decoder::default();
            decoder.feed(start.as_bytes());
            assert_eq!(decoder.patience(), Some(END), "{start:?}");
            decoder.give_up();
            decoder.feed(b".");
            assert_eq!(decoder.collect::<Vec<_>>(), [Input::Key(Char('.'))], "{start:?}");
        }
    }

    fn fragment() -> impl Strategy<Value = Vec<u8>> {
        const KNOWN: &[&str] =
            &["\x1b", "\x1b[", "\x1b[200~", "\x1b[201~", "\x1b_G", "\x1b]1337;", "\x1bP", "\x1b\\", "\x07", "é"];
        prop_oneof![
            // A line that comes at once is another matter than one that is typed.
            proptest::collection::vec(any::<u8>().prop_filter("no Enter", |&byte| !is_enter(byte)), 0..8),
            proptest::sample::select(KNOWN).prop_map(|known| known.as_bytes().to_vec()),
            "[\\[O0-9;:?$<~ABDuRM]{0,6}".prop_map(String::into_bytes),
        ]
    }

    proptest! {
        #[test]
        fn splits_do_not_matter(
            fragments in proptest::collection::vec(fragment(), 0..40),
            at in any::<proptest::sample::Index>(),
        ) {
            let bytes = fragments.concat();
            let (a, b) = bytes.split_at(at.index(bytes.len() + 1));
            let whole = read(&[&bytes]);
            prop_assert_eq!(&read(&[a, b]), &whole);
            prop_assert_eq!(&read(&bytes.chunks(1).collect::<Vec<_>>()), &whole);
            let mut decoder = Decoder::default();
            for fragment in &fragments {
                decoder.feed(fragment);
                decoder.give_up();
                prop_assert_eq!(decoder.patience(), None);
            }
        }
    }

    #[test]
    fn what_never_ends_takes_little_room() {
        for start in ["\x1b[", "\x1bO", "\x1b_G", "\x1b]", "\x1bP", "\x1b[200~", "\x1b[200~\x1b[2", "\x1b"] {
            let mut decoder = Decoder::default();
            decoder.feed(start.as_bytes());
            for _ in 0..2 * PASTE_MAX {
                decoder.feed(b"1");
                decoder.by_ref().for_each(drop);
            }
            let held = match decoder.state {
                State::Sequence { body, .. } => body.len() + PASTE_MAX - SEQUENCE_MAX,
                State::Text { body, .. } => body.len() + PASTE_MAX - ANSWER_MAX,
                State::Paste { body, .. } => body.len(),
                _ => 0,
            };
            assert!(held <= PASTE_MAX + 1, "{start:?}: {held}");
        }
    }
}
