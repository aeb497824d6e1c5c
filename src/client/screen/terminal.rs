//! The terminal that we were started in: its modes, its size, its keys.

use std::io::{self, Write};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::process::{Signal, kill_current_process_group};
use rustix::stdio::{stdin, stdout};
use rustix::termios::{OptionalActions, Termios, tcgetattr, tcgetwinsize, tcsetattr};

use crate::client::screen::pictures::Window;

/// A terminal that gives each key as it comes and shows what it is given as it is. It is put back as it was when this goes.
pub struct Terminal {
    before: Termios,
}

impl Terminal {
    /// Takes the terminal over. It is an error if standard input is none.
    pub fn open() -> io::Result<Self> {
        let before = tcgetattr(stdin())?;
        let (hook, saved) = (std::panic::take_hook(), before.clone());
        std::panic::set_hook(Box::new(move |info| {
            // Whatever has happened, the person gets a terminal back, and can read it.
            let _ = tcsetattr(stdin(), OptionalActions::Now, &saved);
            hook(info);
        }));
        let terminal = Self { before };
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

    /// Shows `text`, with the escape sequences in it.
    pub fn show(&self, text: &str) -> io::Result<()> {
        let mut out = io::stdout().lock();
        out.write_all(text.as_bytes())?;
        out.flush()
    }

    /// What was typed and not read yet, some of it; nothing if there is nothing. It is an error if the terminal is gone.
    pub fn read<'a>(&self, bytes: &'a mut [u8]) -> io::Result<&'a [u8]> {
        let mut input = [PollFd::from_borrowed_fd(stdin(), PollFlags::IN)];
        // The terminal is shared with whoever started us, so it is not made non-blocking for all.
        match poll(&mut input, Some(&Timespec::default())) {
            Ok(0) | Err(Errno::INTR) => return Ok(&[]),
            polled => polled?,
        };
        match rustix::io::read(stdin(), &mut *bytes) {
            Ok(0) => Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(n) => Ok(&bytes[..n]),
            Err(Errno::INTR) => Ok(&[]),
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

    /// Raw mode, with pastes marked as such.
    fn take(&self) -> io::Result<()> {
        let mut raw = self.before.clone();
        raw.make_raw();
        tcsetattr(stdin(), OptionalActions::Now, &raw)?;
        self.show("\x1b[?2004h")
    }

    fn give_back(&self) -> io::Result<()> {
        self.show("\x1b[?2004l")?;
        Ok(tcsetattr(stdin(), OptionalActions::Now, &self.before)?)
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        // If that fails, the terminal is gone.
        let _ = self.give_back();
    }
}
