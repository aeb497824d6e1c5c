//! Standard input, read in a thread of its own while the client goes on.

use crate::channel::{Receiver, Sender, bounded};
use std::io::{self, BufRead, BufReader, ErrorKind, IsTerminal, Read};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use memchr::memchr;
use mio::Waker;
use rustix::event::{PollFd, PollFlags, poll};
use rustix::termios::{LocalModes, tcgetattr};

use crate::client::patient;
use crate::client::screen::terminal::is_behind;
use crate::erase::carried_out;
use crate::limits::LINE;
use crate::listener::reason;

/// How many lines that are to be said may wait for their turn before more are read.
pub const WAITING: usize = 100;

/// How soon behind another a line comes that was pasted with it: nobody types one so quickly.
const AT_ONCE: Duration = Duration::from_millis(100);

/// How long is waited before it is looked whether the terminal is ours again.
const BEHIND: Duration = Duration::from_millis(200);

/// What is told of a line that was not ended before Ctrl-D.
pub const HALF: &str = "the line that you had begun is not said, as Enter did not end it";

/// What is told once of input that is no UTF-8: the server cannot know, as it gets what stands in its place.
pub const UNREADABLE: &str =
    "some of what you wrote is no UTF-8, and others see \u{fffd} in its place; set your terminal or program to UTF-8";

/// Standard input, which is waited for though whoever else has its file may have it not wait.
#[derive(Debug)]
pub struct Patient(pub io::Stdin);

impl Read for Patient {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        loop {
            // The kernel stops whoever reads the terminal of others, again and again, so that it would not end when it is asked to.
            while is_behind() {
                thread::sleep(BEHIND);
            }
            // In a terminal, reading itself must not be what waits: it goes on by itself where we were stopped meanwhile.
            if self.0.is_terminal() && poll(&mut [PollFd::new(&self.0, PollFlags::IN)], None).is_err() || is_behind() {
                continue;
            }
            match self.0.read(bytes) {
                Err(e) if e.kind() == ErrorKind::WouldBlock => patient::wait(io::stdin(), PollFlags::IN)?,
                read => return read,
            }
        }
    }
}

/// A line of standard input.
#[derive(Debug)]
pub struct Typed {
    /// It, with what ends it.
    pub line: Vec<u8>,
    /// Whether it came right behind the one before it.
    pub is_at_once: bool,
    /// Whether Ctrl-D was pressed in a terminal: then nobody has ended the line, if there is one. More may be typed all the same.
    pub is_left: bool,
}

/// The lines of standard input, while the client goes on. Of one that is too long for any message its beginning comes.
pub fn lines(waker: Arc<Waker>) -> Result<Receiver<Result<Typed, String>>, String> {
    let woken = waker.clone();
    beside(waker, move |sender| {
        let mut input = BufReader::new(Patient(io::stdin()));
        let (is_terminal, mut was_left) = (io::stdin().is_terminal(), false);
        if is_terminal {
            loop {
                let (mut line, since) = (Vec::new(), Instant::now());
                let read = read_typed(&mut input, &mut line);
                let is_at_once = since.elapsed() < AT_ONCE;
                let is_left = matches!(read, Ok(true));
                // A terminal that is gone has no end of ends.
                let is_end = read.is_err() || is_left && was_left && is_at_once;
                was_left = is_left;
                let typed = Typed { line: carried_out(&line), is_at_once, is_left };
                let typed = read.map(|_| typed).map_err(|e| format!("cannot read standard input: {}", reason(&e)));
                if sender.send(typed).is_err() || is_end {
                    return;
                }
                let _ = woken.wake();
            }
        }
        loop {
            let (mut line, since) = (Vec::new(), Instant::now());
            let read = input.by_ref().take(LINE as u64 + 1).read_until(b'\n', &mut line);
            let is_cut = line.len() > LINE && !line.ends_with(b"\n");
            let read = if is_cut { input.skip_until(b'\n') } else { read };
            let is_end = matches!(read, Err(_) | Ok(0));
            // The server takes these for keys, too, and the session would have others see something in their place.
            let line = carried_out(&line);
            let line = match read {
                Err(e) => Err(format!("cannot read standard input: {}", reason(&e))),
                Ok(_) => Ok(Typed { line, is_at_once: since.elapsed() < AT_ONCE, is_left: false }),
            };
            if sender.send(line).is_err() || is_end {
                break;
            }
            let _ = woken.wake();
        }
    })
}

/// Reads a line as a terminal hands it over. Whether it comes without its end, as Ctrl-D was pressed behind it.
fn read_typed(input: &mut impl BufRead, line: &mut Vec<u8>) -> io::Result<bool> {
    loop {
        let bytes = input.fill_buf()?;
        let end = memchr(b'\n', bytes);
        let taken = end.map_or(bytes.len(), |end| end + 1);
        line.extend_from_slice(&bytes[..taken]);
        input.consume(taken);
        line.truncate(LINE + 1);
        // A terminal in other modes hands over each key.
        let is_left = || tcgetattr(io::stdin()).is_ok_and(|modes| modes.local_modes.contains(LocalModes::ICANON));
        if end.is_some() || taken == 0 || is_left() {
            return Ok(end.is_none());
        }
    }
}

/// Runs `work` in a thread of its own, and wakes the client when it is done.
pub fn beside<T: Send + 'static>(
    waker: Arc<Waker>,
    work: impl FnOnce(&Sender<T>) + Send + 'static,
) -> Result<Receiver<T>, String> {
    let (sender, receiver) = bounded(WAITING);
    let thread = thread::Builder::new().name("input".to_owned()).spawn(move || {
        work(&sender);
        drop(sender);
        let _ = waker.wake();
    });
    thread.map(|_| receiver).map_err(|e| reason(&e))
}
