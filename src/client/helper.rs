//! A program that does something for us while the loop goes on, and of which the output is taken as it comes.

use std::fs::File;
use std::io::{self, ErrorKind, Read, Seek, SeekFrom, Write};
use std::process::{Child, Command, Stdio};

use mio::unix::pipe::Receiver;
use mio::{Interest, Registry, Token};
use rustix::fs::{MemfdFlags, memfd_create};

/// A program that is running. It is killed when this goes.
#[derive(Debug)]
pub struct Helper {
    child: Child,
    out: Receiver,
    came: Vec<u8>,
    /// The most bytes that it may write.
    most: usize,
}

impl Helper {
    /// Starts a program that reads `input` and may write `most` bytes; there is a token when it has written something, or has
    /// ended.
    pub fn start(
        command: &mut Command,
        input: &[u8],
        most: usize,
        registry: &Registry,
        token: Token,
    ) -> io::Result<Self> {
        // A file of memory is never full, so that nobody has to wait for the program to read it.
        let mut file = File::from(memfd_create("input", MemfdFlags::CLOEXEC)?);
        file.write_all(input)?;
        file.seek(SeekFrom::Start(0))?;
        let mut child = command.stdin(file).stdout(Stdio::piped()).stderr(Stdio::null()).spawn()?;
        let out = child.stdout.take().ok_or(ErrorKind::BrokenPipe)?;
        let mut helper = Self { child, out: Receiver::from(out), came: Vec::new(), most };
        helper.out.set_nonblocking(true)?;
        registry.register(&mut helper.out, token, Interest::READABLE)?;
        Ok(helper)
    }

    /// Takes what it has written. All of it is there once it has ended; `None` until then.
    pub fn poll(&mut self) -> Option<io::Result<&[u8]>> {
        let mut bytes = [0; 64 * 1024];
        loop {
            match self.out.read(&mut bytes) {
                Ok(0) => return Some(Ok(&self.came)),
                Ok(n) if self.came.len() + n > self.most => return Some(Err(ErrorKind::FileTooLarge.into())),
                Ok(n) => self.came.extend_from_slice(&bytes[..n]),
                Err(e) if e.kind() == ErrorKind::WouldBlock => return None,
                Err(e) if e.kind() == ErrorKind::Interrupted => {}
                Err(e) => return Some(Err(e)),
            }
        }
    }
}

impl Drop for Helper {
    fn drop(&mut self) {
        // If that fails, it has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[cfg(test)]
mod tests {
    use mio::{Events, Poll};

    use super::*;

    /// What comes of a program, however long it takes.
    fn run(program: &str, input: &[u8], most: usize) -> io::Result<Vec<u8>> {
        let mut poll = Poll::new()?;
        let mut helper = Helper::start(&mut Command::new(program), input, most, poll.registry(), Token(7))?;
        loop {
            if let Some(out) = helper.poll() {
                return out.map(<[u8]>::to_vec);
            }
            poll.poll(&mut Events::with_capacity(1), None)?;
        }
    }

    #[test]
    fn what_a_program_writes_is_taken_up_to_a_limit() {
        let input = vec![7; 1 << 20];
        assert_eq!(run("cat", &input, input.len()).unwrap(), input);
        assert_eq!(run("true", &input, 0).unwrap(), []);
        // It would never end.
        assert_eq!(run("yes", &[], 1000).unwrap_err().kind(), ErrorKind::FileTooLarge);
        assert_eq!(run("no-such-program-of-chinwag", &[], 1000).unwrap_err().kind(), ErrorKind::NotFound);
    }
}
