//! A program in a terminal of its own: a pseudo-terminal, with an emulator behind it that draws and answers.

use std::fmt::{Display, Formatter};
use std::fs::File;
use std::io::{self, ErrorKind, Read, Write};
use std::mem::take;
use std::num::NonZeroU16;
use std::os::fd::AsFd;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::thread;
use std::time::Instant;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{Mode, OFlags, open};
use rustix::process::{Pid, PidfdFlags, pidfd_open};
use rustix::pty::{OpenptFlags, grantpt, ioctl_tiocgptpeer, openpt, unlockpt};
use rustix::termios::{Termios, Winsize, tcgetattr, tcsetwinsize};

use crate::PATIENCE;

/// How many rows the emulators keep that have left the screen.
const SCROLLBACK: usize = 10_000;

/// What the terminal of whoever runs the tests has set, and a program in another terminal should not see.
const OF_OTHERS: [&str; 18] = [
    "CHINWAG_NICK",
    "CHINWAG_SERVER",
    "COLORTERM",
    "COLUMNS",
    "INPUTRC",
    "KITTY_WINDOW_ID",
    "LC_TERMINAL",
    "LINES",
    "NO_COLOR",
    "STY",
    "TERM_PROGRAM",
    "TMUX",
    "VTE_VERSION",
    "WT_SESSION",
    "XDG_CACHE_HOME",
    "XDG_CONFIG_HOME",
    "XDG_DATA_HOME",
    "XDG_STATE_HOME",
];

/// The kind of terminal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Emulator {
    /// It wraps its lines anew when its width changes.
    Reflowing,
    /// It cuts its rows off when it gets narrower.
    Clipping,
}

/// The protocol for graphics that the terminal says it knows when it is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Speaks {
    Nothing,
    Kitty,
    Iterm,
    /// Sixels of 256 colours, in cells of 10 by 20 pixels.
    Sixel,
}

/// What a terminal shows at one moment. Blanks at the ends of rows and lines are left out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Screen {
    /// The rows to be seen, from the top.
    pub rows: Vec<String>,
    /// The lines that were written, with those that have left the screen: wrapped rows are joined. The empty ones at
    /// the end are left out.
    pub lines: Vec<String>,
    /// The row and the column of the cursor, counted from 0. Behind a full row it stands on the last column.
    pub cursor: (usize, usize),
}

impl Screen {
    /// The lines as they were before the client broke them: further rows, which it indents, are put behind the first.
    pub fn unbroken(&self) -> Vec<String> {
        self.lines.iter().fold(Vec::new(), |mut whole: Vec<String>, line| {
            match (line.strip_prefix("    "), whole.last_mut()) {
                (Some(more), Some(last)) => *last = format!("{last} {more}"),
                _ => whole.push(line.clone()),
            }
            whole
        })
    }
}

impl Display for Screen {
    fn fmt(&self, f: &mut Formatter<'_>) -> std::fmt::Result {
        for row in &self.rows {
            writeln!(f, "| {row}")?;
        }
        write!(f, "cursor in row {} and column {}, after {} lines", self.cursor.0, self.cursor.1, self.lines.len())
    }
}

/// A program in a terminal. It is killed when this goes.
pub struct Terminal {
    child: Child,
    shared: Arc<Shared>,
    /// The home of the program.
    _home: tempfile::TempDir,
}

struct Shared {
    /// The side of the terminal that is not the program's. It never blocks.
    master: File,
    state: Mutex<State>,
    changed: Condvar,
}

struct State {
    emulation: Emulation,
    speaks: Speaks,
    /// An escape sequence of which more is to come.
    sequence: Vec<u8>,
    raw: Vec<u8>,
    /// An answer is on its way to the program.
    answers: bool,
    /// The program was told where the cursor is, and has drawn nothing since.
    is_relied_on: bool,
    /// No question is answered any more.
    is_mute: bool,
    /// Nothing is read of what the program writes.
    pauses: bool,
    /// Nobody has the terminal open any more.
    ended: bool,
}

impl Terminal {
    /// Starts a program in a terminal of this size, each cell of which has 10 by 20 pixels. Of the command, the
    /// program and its arguments, its environment and its folder are used.
    pub fn start(command: &mut Command, columns: u16, rows: u16, emulator: Emulator, speaks: Speaks) -> Self {
        let flags = OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC;
        let master = openpt(flags).unwrap();
        grantpt(&master).unwrap();
        unlockpt(&master).unwrap();
        rustix::io::ioctl_fionbio(&master, true).unwrap();
        tcsetwinsize(&master, size(columns, rows)).unwrap();
        let slave = ioctl_tiocgptpeer(&master, flags).unwrap();
        let home = tempfile::tempdir().unwrap();
        // It becomes the program, as it leads no group of processes: the process is the program's.
        let mut session = Command::new("setsid");
        session.arg("-c").arg(command.get_program()).args(command.get_args());
        session.stdin(slave.try_clone().unwrap()).stdout(slave.try_clone().unwrap()).stderr(Stdio::from(slave));
        session.env("TERM", "xterm-256color").env("HOME", home.path()).env("LC_ALL", "C.UTF-8");
        for name in OF_OTHERS {
            session.env_remove(name);
        }
        for (name, value) in command.get_envs() {
            match value {
                Some(value) => session.env(name, value),
                None => session.env_remove(name),
            };
        }
        if let Some(folder) = command.get_current_dir() {
            session.current_dir(folder);
        }
        let child = session.spawn().expect("setsid of util-linux");
        let emulation = Emulation::new(emulator, columns, rows);
        let state = State {
            emulation,
            speaks,
            sequence: Vec::new(),
            raw: Vec::new(),
            answers: false,
            is_relied_on: false,
            is_mute: false,
            pauses: false,
            ended: false,
        };
        let shared = Shared { master: File::from(master), state: Mutex::new(state), changed: Condvar::new() };
        let shared = Arc::new(shared);
        let reader = Arc::clone(&shared);
        thread::spawn(move || reader.read());
        Self { child, shared, _home: home }
    }

    /// Types.
    #[track_caller]
    pub fn keys(&self, keys: impl AsRef<[u8]>) {
        if let Err(error) = self.shared.write(keys.as_ref()) {
            self.fail(&format!("the keys, {error}"));
        }
    }

    /// Changes the size of the terminal, of which the system tells the program.
    ///
    /// Between the answer where the cursor is and what is drawn upon that, no program can know of another size, and what it erases
    /// may be a row too many. So that does not happen here: what is drawn is waited for.
    pub fn resize(&self, columns: u16, rows: u16) {
        let is_relied_on = |state: &mut State| state.is_relied_on && !state.ended;
        let (mut state, _) =
            self.shared.changed.wait_timeout_while(self.shared.state(), PATIENCE, is_relied_on).unwrap();
        state.emulation.resize(columns, rows);
        tcsetwinsize(&self.shared.master, size(columns, rows)).unwrap();
    }

    /// Reads nothing more of what the program writes, until it has ended, so that the terminal takes no more.
    pub fn pause(&self) {
        self.shared.state().pauses = true;
    }

    /// Answers no question any more.
    pub fn mute(&self) {
        self.shared.state().is_mute = true;
    }

    /// Waits until the screen is so, and returns it.
    #[track_caller]
    pub fn wait_until(&self, what: &str, mut holds: impl FnMut(&Screen) -> bool) -> Screen {
        self.wait(what, || Some(self.screen()).filter(|screen| holds(screen)))
    }

    /// Waits until what the program has written is so, and returns it.
    #[track_caller]
    pub fn wait_until_raw(&self, what: &str, mut holds: impl FnMut(&[u8]) -> bool) -> Vec<u8> {
        self.wait(what, || Some(self.raw()).filter(|raw| holds(raw)))
    }

    pub fn screen(&self) -> Screen {
        self.shared.state().emulation.screen()
    }

    /// All that the program has written.
    pub fn raw(&self) -> Vec<u8> {
        self.shared.state().raw.clone()
    }

    /// Whether the program has read all that was typed and answered and waits for something, and all that it has written is
    /// shown and answered; or has ended, and so reads nothing any more.
    pub fn is_at_rest(&self) -> bool {
        let state = self.shared.state();
        let is = |state| {
            let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.pid())).unwrap();
            stat.rsplit(") ").next().is_some_and(|rest| rest.starts_with(state))
        };
        let flags = OFlags::RDONLY | OFlags::NOCTTY | OFlags::NONBLOCK;
        // Of a program that has ended nothing is left but how.
        let Ok(input) = open(format!("/proc/{}/fd/0", self.pid()), flags, Mode::empty()) else { return is('Z') };
        if poll(&mut [PollFd::new(&input, PollFlags::IN)], Some(&Timespec::default())) != Ok(0) {
            return false;
        }
        let is_asleep = is('S');
        let readable = poll(&mut [PollFd::new(&self.shared.master, PollFlags::IN)], Some(&Timespec::default()));
        is_asleep && readable == Ok(0) && !state.answers
    }

    /// How the terminal is set: whether it echoes, say.
    pub fn modes(&self) -> Termios {
        tcgetattr(&self.shared.master).unwrap()
    }

    /// The process of the program.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Waits for the end of the program, and until all that it has written is on the screen.
    #[track_caller]
    pub fn wait_exit(&mut self) -> ExitStatus {
        let process = pidfd_open(Pid::from_child(&self.child), PidfdFlags::empty()).unwrap();
        if ready(&process, PollFlags::IN, true).is_err() {
            self.fail("the end of the program");
        }
        self.shared.state().pauses = false;
        self.shared.changed.notify_all();
        self.wait("the end of what it writes", || self.shared.state().ended.then_some(()));
        self.child.wait().unwrap()
    }

    /// Looks for something after each change, without a lock, so that the search may use all of this.
    #[track_caller]
    fn wait<T>(&self, what: &str, mut find: impl FnMut() -> Option<T>) -> T {
        let since = Instant::now();
        loop {
            let state = self.shared.state();
            let (seen, ended) = (state.raw.len(), state.ended);
            drop(state);
            if let Some(found) = find() {
                return found;
            }
            if ended {
                self.fail(&format!("{what}, before the end"));
            }
            let left = PATIENCE.saturating_sub(since.elapsed());
            let same = |state: &mut State| state.raw.len() == seen && !state.ended;
            let (state, waited) = self.shared.changed.wait_timeout_while(self.shared.state(), left, same).unwrap();
            drop(state);
            if waited.timed_out() {
                self.fail(what);
            }
        }
    }

    #[track_caller]
    fn fail(&self, what: &str) -> ! {
        let raw = self.raw();
        let last = raw[raw.len().saturating_sub(400)..].escape_ascii();
        panic!("in vain: {what}\n{}\nthe last that was written: {last}", self.screen());
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    /// Takes what the program writes and answers it, until nobody has the terminal open.
    fn read(&self) {
        let mut buffer = [0; 4096];
        loop {
            let is_ready = ready(&self.master, PollFlags::IN, false);
            // What has been read is shown before anybody looks, or changes the size.
            let mut state = self.changed.wait_while(self.state(), |state| state.pauses).unwrap();
            match is_ready.and_then(|()| (&self.master).read(&mut buffer)) {
                Ok(n @ 1..) => {
                    let answers = state.take(&buffer[..n]);
                    state.answers = !answers.is_empty();
                    drop(state);
                    self.changed.notify_all();
                    // If the program is gone it needs no answer.
                    let _ = self.write(&answers);
                    self.state().answers = false;
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                _ => break,
            }
        }
        self.state().ended = true;
        self.changed.notify_all();
    }

    fn write(&self, mut bytes: &[u8]) -> io::Result<()> {
        while !bytes.is_empty() {
            ready(&self.master, PollFlags::OUT, true)?;
            match (&self.master).write(bytes) {
                Ok(n) => bytes = &bytes[n..],
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}

impl State {
    /// Shows these bytes, and returns the answers to the questions in them.
    fn take(&mut self, bytes: &[u8]) -> Vec<u8> {
        self.raw.extend_from_slice(bytes);
        let mut answers = Vec::new();
        let mut shown = 0;
        for (at, &byte) in bytes.iter().enumerate() {
            let Some(sequence) = self.sequence(byte) else { continue };
            // The answer may depend on what has been shown up to there, and on nothing after it.
            self.emulation.feed(&bytes[shown..=at]);
            shown = at + 1;
            let answer = self.answer(&sequence);
            match &*sequence {
                b"\x1b[6n" => self.is_relied_on = !answer.is_empty(),
                b"\x1b[?2026l" => self.is_relied_on = false,
                _ => {}
            }
            answers.extend(answer.into_bytes());
        }
        self.emulation.feed(&bytes[shown..]);
        answers
    }

    /// Follows the escape sequences, which may come in pieces, and returns one that is complete with this byte.
    fn sequence(&mut self, byte: u8) -> Option<Vec<u8>> {
        let sequence = &mut self.sequence;
        let text = matches!(sequence.get(1), Some(b']' | b'_' | b'P' | b'^' | b'X'));
        if byte == 0x1b && !text {
            sequence.clear();
        } else if sequence.is_empty() {
            return None;
        }
        sequence.push(byte);
        let complete = match sequence.as_slice() {
            [_] => false,
            [_, b'['] => false,
            [_, b'[', ..] => matches!(byte, 0x40..=0x7e),
            // A command of the system may also end with a bell.
            [_, b']', .., 7] => true,
            _ if text => sequence.ends_with(b"\x1b\\"),
            [_, kind] => !matches!(kind, b' '..=b'/' | b']' | b'_' | b'P' | b'^' | b'X'),
            _ => !matches!(byte, b' '..=b'/'),
        };
        complete.then(|| take(sequence))
    }

    /// What a terminal answers to an escape sequence.
    fn answer(&self, sequence: &[u8]) -> String {
        let text = String::from_utf8_lossy(sequence);
        match &*text {
            _ if self.is_mute => String::new(),
            "\x1b[6n" => {
                let (row, column) = self.emulation.cursor();
                format!("\x1b[{};{}R", row + 1, column + 1)
            }
            "\x1b[c" | "\x1b[0c" if self.speaks == Speaks::Sixel => "\x1b[?62;4;22c".to_owned(),
            "\x1b[c" | "\x1b[0c" => "\x1b[?62;22c".to_owned(),
            "\x1b[16t" if self.speaks == Speaks::Sixel => "\x1b[6;20;10t".to_owned(),
            "\x1b[?1;1;0S" if self.speaks == Speaks::Sixel => "\x1b[?1;0;256S".to_owned(),
            "\x1b]1337;Capabilities\x1b\\" | "\x1b]1337;Capabilities\x07" if self.speaks == Speaks::Iterm => {
                "\x1b]1337;Capabilities=T3Cw7LrMSc7UUw9Ts3BFGsSyHNoSxF\x1b\\".to_owned()
            }
            text if self.speaks == Speaks::Kitty => {
                let controls = text.strip_prefix("\x1b_G").and_then(|text| text.split([';', '\x1b']).next());
                let mut controls = controls.unwrap_or_default().split(',');
                let question = controls.clone().any(|control| control == "a=q");
                let id = controls.find(|control| control.starts_with("i=")).filter(|_| question);
                id.map(|id| format!("\x1b_G{id};OK\x1b\\")).unwrap_or_default()
            }
            _ => String::new(),
        }
    }
}

enum Emulation {
    /// It takes text, and so the bytes of a character of which more is to come are kept.
    Reflowing(Box<avt::Terminal>, Vec<u8>),
    Clipping(Box<vt100::Parser>),
}

impl Emulation {
    fn new(emulator: Emulator, columns: u16, rows: u16) -> Self {
        match emulator {
            Emulator::Reflowing => {
                let terminal = avt::Terminal::with_scrollback(columns.into(), rows.into(), Some(SCROLLBACK)).unwrap();
                Self::Reflowing(Box::new(terminal), Vec::new())
            }
            Emulator::Clipping => {
                Self::Clipping(Box::new(vt100::Parser::new(positive(rows), positive(columns), SCROLLBACK)))
            }
        }
    }

    fn feed(&mut self, bytes: &[u8]) {
        match self {
            Self::Reflowing(terminal, partial) => {
                partial.extend_from_slice(bytes);
                let last = partial.utf8_chunks().last().map_or(&[][..], |chunk| chunk.invalid());
                let more = str::from_utf8(last).is_err_and(|error| error.error_len().is_none());
                let rest = partial.split_off(partial.len() - if more { last.len() } else { 0 });
                terminal.feed(&*String::from_utf8_lossy(partial));
                *partial = rest;
            }
            Self::Clipping(parser) => parser.process(bytes),
        }
    }

    fn resize(&mut self, columns: u16, rows: u16) {
        match self {
            Self::Reflowing(terminal, _) => terminal.resize(columns.into(), rows.into()),
            Self::Clipping(parser) => parser.set_size(positive(rows), positive(columns)),
        }
    }

    fn cursor(&self) -> (usize, usize) {
        let (row, column, columns) = match self {
            Self::Reflowing(terminal, _) => (terminal.cursor().row, terminal.cursor().col, terminal.size().0),
            Self::Clipping(parser) => {
                let (row, column) = parser.screen().cursor_position();
                (row.into(), column.into(), parser.screen().size().1.get().into())
            }
        };
        // Both count on when the last column is full, which terminals do not tell.
        (row, column.min(columns - 1))
    }

    fn screen(&self) -> Screen {
        let (mut rows, mut lines): (Vec<String>, Vec<String>) = match self {
            Self::Reflowing(terminal, _) => {
                let screen = terminal.screen();
                (screen.visible_lines().map(avt::Line::text).collect(), screen.text())
            }
            Self::Clipping(parser) => {
                let screen = parser.screen();
                let mut text = String::new();
                // Setting the scrollback and reading the screen then would forget which rows are wrapped.
                let range = vt100::capture::BasicFormattedCaptureRange::Full(&mut Default::default());
                screen.write_contents_formatted_basic(&mut text, range).unwrap();
                let text: String = vt100::capture::basic_formatted_to_plain(&text).collect();
                (screen.rows(0, screen.size().1.get()).collect(), text.split('\n').map(str::to_owned).collect())
            }
        };
        for text in rows.iter_mut().chain(&mut lines) {
            text.truncate(text.trim_end().len());
        }
        let used = lines.iter().rposition(|line| !line.is_empty()).map_or(0, |last| last + 1);
        lines.truncate(used);
        Screen { rows, lines, cursor: self.cursor() }
    }
}

fn size(columns: u16, rows: u16) -> Winsize {
    Winsize { ws_row: rows, ws_col: columns, ws_xpixel: 10 * columns, ws_ypixel: 20 * rows }
}

fn positive(n: u16) -> NonZeroU16 {
    NonZeroU16::new(n).expect("a terminal has a size")
}

/// Waits until something can be read or written, or has come to its end: with patience, or for ever.
fn ready(what: impl AsFd, flags: PollFlags, patience: bool) -> io::Result<()> {
    let patience = patience.then(|| Timespec::try_from(PATIENCE).unwrap());
    match poll(&mut [PollFd::new(&what, flags)], patience.as_ref()) {
        Ok(0) => Err(ErrorKind::TimedOut.into()),
        Ok(_) => Ok(()),
        Err(error) => Err(error.into()),
    }
}
