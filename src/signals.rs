//! Signals, as bytes in a socket that an event loop can wait for.

use std::fs::File;
use std::io::{self, Read};
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use mio::{Interest, Registry, Token};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use signal_hook::SigId;
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM, SIGUSR1, SIGUSR2};

/// Some signals, as something that can be waited for.
pub struct Signals {
    stream: mio::net::UnixStream,
}

impl Signals {
    /// Takes these signals from now on, and tells of them by `token`.
    pub fn open(registry: &Registry, token: Token, signals: impl IntoIterator<Item = i32>) -> io::Result<Self> {
        let (ours, theirs) = UnixStream::pair()?;
        ours.set_nonblocking(true)?;
        theirs.set_nonblocking(true)?;
        for signal in signals {
            if signal == SIGINT {
                ENDS.store(false, Ordering::SeqCst);
            }
            signal_hook::low_level::pipe::register(signal, theirs.try_clone()?)?;
        }
        let mut stream = mio::net::UnixStream::from_std(ours);
        registry.register(&mut stream, token, Interest::READABLE)?;
        Ok(Self { stream })
    }

    /// Waits until something is to be read from `input`, or one of them comes, at most for so long.
    pub fn wait_for_input(&self, input: impl AsFd, most: Duration) -> io::Result<()> {
        let mut both = [PollFd::new(&input, PollFlags::IN), PollFd::new(&self.stream, PollFlags::IN)];
        match poll(&mut both, Some(&Timespec::try_from(most).map_err(io::Error::other)?)) {
            Ok(_) | Err(Errno::INTR) => Ok(()),
            Err(e) => Err(e.into()),
        }
    }

    /// How many have come since this was last asked.
    pub fn take(&mut self) -> usize {
        let (mut bytes, mut count) = ([0; 16], 0);
        while let Ok(n @ 1..) = self.stream.read(&mut bytes) {
            count += n;
        }
        count
    }
}

/// Whether SIGINT ends the process though it has been taken once: after [`Interrupts`], until [`Signals::open`] takes it.
static ENDS: LazyLock<Arc<AtomicBool>> = LazyLock::new(Arc::default);

/// SIGINT, which ends nothing as long as this lives. It is for a question, before signals are waited for by a loop.
#[derive(Debug)]
pub struct Interrupts {
    stream: UnixStream,
    taken: SigId,
}

/// What [`Interrupts::wait_for_input`] has waited for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Waited {
    /// There is input, or its end.
    Input,
    /// SIGINT has come.
    Interrupted,
}

impl Interrupts {
    /// Takes it from now on.
    pub fn take() -> io::Result<Self> {
        let (stream, theirs) = UnixStream::pair()?;
        let taken = signal_hook::low_level::pipe::register(SIGINT, theirs)?;
        ENDS.store(false, Ordering::SeqCst);
        signal_hook::flag::register_conditional_default(SIGINT, Arc::clone(&ENDS))?;
        Ok(Self { stream, taken })
    }

    /// Waits until something is to be read from `input`, or SIGINT comes.
    pub fn wait_for_input(&self, input: impl AsFd) -> io::Result<Waited> {
        let mut both = [PollFd::new(&input, PollFlags::IN), PollFd::new(&self.stream, PollFlags::IN)];
        loop {
            match poll(&mut both, None) {
                Ok(_) if both[1].revents().is_empty() => return Ok(Waited::Input),
                Ok(_) => return Ok(Waited::Interrupted),
                Err(Errno::INTR) => {}
                Err(e) => return Err(e.into()),
            }
        }
    }
}

impl Drop for Interrupts {
    fn drop(&mut self) {
        ENDS.store(true, Ordering::SeqCst);
        signal_hook::low_level::unregister(self.taken);
    }
}

/// Notes in `came` which signal has asked this process to end, but for those that are ignored, as by `nohup` or for what runs in the background.
/// Gives what brings a byte then.
pub fn note_ends(came: &Arc<AtomicUsize>) -> io::Result<UnixStream> {
    let (ours, theirs) = UnixStream::pair()?;
    theirs.set_nonblocking(true)?;
    for signal in [SIGHUP, SIGINT, SIGTERM].into_iter().filter(|&signal| !is_ignored(signal)) {
        signal_hook::flag::register_usize(signal, Arc::clone(came), signal as usize)?;
        signal_hook::low_level::pipe::register(signal, theirs.try_clone()?)?;
    }
    ENDS.store(false, Ordering::SeqCst);
    Ok(ours)
}

/// The signals that ask a server to end.
pub const OF_THE_END: [i32; 2] = [SIGINT, SIGTERM];

/// The signal that has a server read its configuration anew, unless it tells of the terminal's end.
pub const OF_A_RELOAD: i32 = SIGHUP;

/// Whether the end of its terminal is to end this process: whoever started it did not say that it shall go on then, as `nohup` does.
pub fn ends_with_terminal() -> bool {
    // Once the signal is taken, nothing tells any more that it was ignored.
    static ENDS: LazyLock<bool> = LazyLock::new(|| !is_ignored(SIGHUP) && has_terminal());
    *ENDS
}

/// The signals that a server only takes note of: they mean something to other servers.
pub const OF_NOTE: [i32; 2] = [SIGUSR1, SIGUSR2];

/// Whether this process belongs to a terminal, wherever its input and output are.
pub fn has_terminal() -> bool {
    File::open("/dev/tty").is_ok()
}

/// Whether this process was started with a signal ignored; where that cannot be told, it is taken for so.
fn is_ignored(signal: i32) -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let ignored = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    ignored.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).is_none_or(|mask| mask >> (signal - 1) & 1 != 0)
}
