//! The terminal that we were started in: its modes, its size, its keys.

use std::ffi::OsStr;
use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::OFlags;
use rustix::io::Errno;
use rustix::process::{Signal, getpgrp, kill_current_process_group};
use rustix::stdio::{stdin, stdout};
use rustix::termios::{
    InputModes, LocalModes, OptionalActions, QueueSelector, Termios, tcflush, tcgetattr, tcgetpgrp, tcgetwinsize,
    tcsetattr,
};

use crate::client::patient::write;
use crate::client::screen::pictures::Window;

/// A terminal that gives each key as it comes and shows what it is given as it is. It is put back as it was when this goes.
pub struct Terminal {
    before: Termios,
    output: Output,
    /// Whether we were asked to end, so that a terminal that takes nothing is not waited for.
    ended: Arc<AtomicBool>,
}

/// How many processes are between us and whoever leads to the terminal, at most.
const ANCESTORS: usize = 20;

/// How often we stop for want of the terminal, at most. Nobody stops where no shell is left that could have us go on.
const STOPS: usize = 100;

/// Whether the terminal loses what stands in its window when that gets another size. mosh keeps nothing but the rows of its window, and
/// cuts them off at the foot. GNU screen joins rows that it once cut, also where others were written over these since. Whatever else is
/// between such a one and us keeps what it shows.
pub fn loses_rows() -> bool {
    let is_in = |name: &str| std::env::var_os(name).is_some_and(|value| !value.is_empty());
    match (is_in("TMUX"), is_in("STY")) {
        // One runs in the other, and the inner one has our rows.
        (true, true) => ancestor(&["screen", "tmux: server"]) == Some("screen"),
        (is_in_tmux, is_in_screen) => !is_in_tmux && (is_in_screen || is_over_mosh()),
    }
}

/// Whether the terminal is reached over mosh. What is typed while that has no link comes at once afterwards.
pub fn is_over_mosh() -> bool {
    ancestor(&["mosh-server"]).is_some()
}

/// Which of the programs of these names runs us, the nearest of them.
fn ancestor(names: &[&'static str]) -> Option<&'static str> {
    let mut process = Some(std::process::id());
    for _ in 0..ANCESTORS {
        let Some(id) = process.filter(|&id| id > 1) else { break };
        let stat = std::fs::read_to_string(format!("/proc/{id}/stat")).unwrap_or_default();
        // It is `PID (NAME) STATE PARENT …`, and the name may hold anything.
        let (name, rest) = stat.rsplit_once(')')?;
        let name = name.split_once('(')?.1;
        if let Some(found) = names.iter().find(|known| **known == name) {
            return Some(found);
        }
        process = rest.split_whitespace().nth(1).and_then(|parent| parent.parse().ok());
    }
    None
}

impl Terminal {
    /// Takes the terminal over, until `ended` says that we were asked to end; unless we are asked before it is ours. It is an error if
    /// standard input is none.
    pub fn open(ended: Arc<AtomicBool>) -> io::Result<Self> {
        let before = tcgetattr(stdin())?;
        let (hook, saved) = (std::panic::take_hook(), before.clone());
        std::panic::set_hook(Box::new(move |info| {
            // Whatever has happened, the person gets a terminal back, and can read it.
            let _ = tcsetattr(stdin(), OptionalActions::Now, &saved);
            hook(info);
        }));
        let terminal = Self { before, output: Output::open(), ended };
        terminal.take()?;
        Ok(terminal)
    }

    /// How large its window is.
    pub fn window(&self) -> Window {
        let size = tcgetwinsize(stdout()).ok().filter(|size| size.ws_col > 0 && size.ws_row > 0);
        size.map_or(Window { columns: 80, rows: 24, width: 0, height: 0 }, |size| Window {
            columns: size.ws_col,
            rows: size.ws_row,
            width: size.ws_xpixel,
            height: size.ws_ypixel,
        })
    }

    /// Whether we were asked to end while others have the terminal. Whatever we did with it then, the kernel would stop us.
    fn is_lost(&self) -> bool {
        self.ended.load(Ordering::Relaxed) && is_behind()
    }

    /// Stops as long as others have the terminal, as the kernel would at the first change of it. But the kernel stops us for the same
    /// change again when we go on, so that we would never hear who wants us to end.
    fn wait_for_front(&self) -> io::Result<()> {
        for _ in 0..STOPS {
            if !is_behind() || self.ended.load(Ordering::Relaxed) {
                break;
            }
            kill_current_process_group(Signal::TTOU)?;
        }
        Ok(())
    }

    /// Shows `text`, with the escape sequences in it. It is an error if the terminal takes it not, and we were asked to end.
    pub fn show(&self, text: &str) -> io::Result<()> {
        if self.is_lost() {
            return Ok(());
        }
        let is_given_up = || self.ended.load(Ordering::Relaxed);
        self.output.write(text.as_bytes(), is_given_up)
    }

    /// What was typed and not read yet, some of it; nothing if there is nothing. It is an error if the terminal is gone.
    pub fn read<'a>(&self, bytes: &'a mut [u8]) -> io::Result<&'a [u8]> {
        if self.is_lost() {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let mut input = [PollFd::from_borrowed_fd(stdin(), PollFlags::IN)];
        // The terminal is shared with whoever started us, so it is not made non-blocking for all.
        match poll(&mut input, Some(&Timespec::default())) {
            Ok(0) | Err(Errno::INTR) => return Ok(&[]),
            polled => polled?,
        };
        match rustix::io::read(stdin(), &mut *bytes) {
            Ok(0) => Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(n) => Ok(&bytes[..n]),
            Err(Errno::INTR | Errno::AGAIN) => Ok(&[]),
            Err(e) => Err(e.into()),
        }
    }

    /// Stops the process and whoever was started with it, as Ctrl-Z does, until somebody has them go on. The kernel does not
    /// do so where there is nobody who could.
    pub fn suspend(&self) -> io::Result<()> {
        self.give_back()?;
        kill_current_process_group(Signal::TSTP)?;
        self.take()
    }

    /// Raw mode, with pastes marked as such, and with word of whether somebody looks at the terminal.
    pub fn take(&self) -> io::Result<()> {
        self.wait_for_front()?;
        if self.is_lost() {
            return Ok(());
        }
        let mut raw = self.before.clone();
        raw.make_raw();
        tcsetattr(stdin(), OptionalActions::Now, &raw)?;
        self.show("\x1b[?2004h\x1b[?1004h")
    }

    fn give_back(&self) -> io::Result<()> {
        if self.is_lost() {
            return Ok(());
        }
        // What it does not take must not keep it in our modes.
        let shown = self.show("\x1b[?1004l\x1b[?2004l");
        tcsetattr(stdin(), OptionalActions::Now, &self.before)?;
        shown
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        // If that fails, the terminal is gone.
        let _ = self.give_back();
        forget_unread();
    }
}

/// Throws away what was typed and nobody has read: what was meant for others must not be carried out by the shell that comes next.
pub fn forget_unread() {
    if is_in_front() {
        // If that fails, the terminal is gone.
        let _ = tcflush(stdin(), QueueSelector::IFlush);
    }
}

/// Whether the terminal is ours. The kernel stops whoever changes the terminal of others.
fn is_in_front() -> bool {
    tcgetpgrp(stdin()).is_ok_and(|front| front == getpgrp())
}

/// Whether the terminal is that of others: we were started or sent into the background. One that nobody controls is nobody's.
pub fn is_behind() -> bool {
    tcgetpgrp(stdin()).is_ok_and(|front| front != getpgrp())
}

/// The locale that somebody has set for what is written and shown, as `NAME=VALUE`, and whether that is in UTF-8.
pub fn locale() -> Option<(String, bool)> {
    ["LC_ALL", "LC_CTYPE", "LANG"].iter().find_map(|name| {
        let value = std::env::var(name).ok().filter(|value| !value.is_empty())?;
        // Behind the encoding there may be a variant: `de_DE.UTF-8@euro`.
        let encoding = value.split('@').next().unwrap_or_default().to_uppercase();
        Some((format!("{name}={value}"), ["UTF-8", "UTF8"].iter().any(|name| encoding.ends_with(name))))
    })
}

/// Has a terminal in its own modes take a character away with Backspace, and not a byte of it, where people write UTF-8. Not every program
/// that makes terminals does so. It is put back when this goes.
pub struct Characters {
    /// Whether the terminal did so before.
    before: bool,
}

impl Characters {
    /// From now on. `None` if standard input is no terminal, or people write otherwise.
    pub fn open() -> Option<Self> {
        let is_unicode = locale().is_some_and(|(_, is_unicode)| is_unicode);
        let before = tcgetattr(stdin()).ok().filter(|_| is_unicode)?.input_modes.contains(InputModes::IUTF8);
        let characters = Self { before };
        characters.set(true);
        Some(characters)
    }

    fn set(&self, is_on: bool) {
        if !self.before
            && is_in_front()
            && let Ok(mut modes) = tcgetattr(stdin())
        {
            modes.input_modes.set(InputModes::IUTF8, is_on);
            // If that fails, the terminal is gone.
            let _ = tcsetattr(stdin(), OptionalActions::Now, &modes);
        }
    }
}

impl Drop for Characters {
    fn drop(&mut self) {
        self.set(false);
    }
}

/// Keeps a terminal in its own modes from showing what is typed, but for the ends of lines. It shows it again when this goes.
pub struct Unseen {
    before: Termios,
}

impl Unseen {
    /// From now on. It is an error if standard input is no terminal.
    pub fn open() -> io::Result<Self> {
        let before = tcgetattr(stdin())?;
        let mut unseen = before.clone();
        unseen.local_modes.remove(LocalModes::ECHO);
        unseen.local_modes.insert(LocalModes::ECHONL);
        tcsetattr(stdin(), OptionalActions::Now, &unseen)?;
        Ok(Self { before })
    }
}

impl Drop for Unseen {
    fn drop(&mut self) {
        // If that fails, the terminal is gone.
        let _ = tcsetattr(stdin(), OptionalActions::Now, &self.before);
    }
}

/// Standard output, so that a terminal that takes nothing keeps nobody who is asked to end.
pub struct Output {
    /// The terminal once more, opened so that writing does not wait: nobody else's file is made so. `None` if it is none.
    again: Option<File>,
}

impl Output {
    /// The one that we were started with.
    pub fn open() -> Self {
        Self { again: again() }
    }

    /// Writes all of `bytes`. It is an error once `is_given_up` while there is no room.
    pub fn write(&self, bytes: &[u8], is_given_up: impl Fn() -> bool) -> io::Result<()> {
        match &self.again {
            Some(out) => write(out, bytes, is_given_up),
            None => write(stdout(), bytes, is_given_up),
        }
    }
}

/// The terminal of standard output, opened once more.
fn again() -> Option<File> {
    let name = rustix::termios::ttyname(stdout(), Vec::new()).ok()?;
    let flags = OFlags::NONBLOCK | OFlags::NOCTTY;
    let flags = i32::try_from(flags.bits()).ok()?;
    OpenOptions::new().write(true).custom_flags(flags).open(OsStr::from_bytes(name.to_bytes())).ok()
}
