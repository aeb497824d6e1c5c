//! The stream to a server, in clear or in TLS: bytes in, bytes out, without waiting.

use std::io::{self, ErrorKind, Read, Write};
use std::net::Shutdown;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use mio::net::TcpStream;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;

#[cfg(feature = "tls")]
use super::tls::Tls;

/// A stream to a server. It waits for nothing.
#[derive(Debug)]
pub enum Stream {
    /// Others on the way can read along.
    Clear(TcpStream),
    /// They cannot.
    #[cfg(feature = "tls")]
    Tls(Box<Tls>),
}

impl Stream {
    /// The socket below it, which tells when there is something to read or room to write.
    pub fn socket(&mut self) -> &mut TcpStream {
        match self {
            Self::Clear(socket) => socket,
            #[cfg(feature = "tls")]
            Self::Tls(tls) => tls.socket(),
        }
    }

    /// Says that nothing more is sent, once all that was written has gone. As long as the socket takes no more, it would block.
    pub fn end(&mut self) -> io::Result<()> {
        match self {
            Self::Clear(_) => {}
            #[cfg(feature = "tls")]
            Self::Tls(tls) => tls.end()?,
        }
        self.socket().shutdown(Shutdown::Write)
    }
}

impl Read for Stream {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Clear(socket) => socket.read(bytes),
            #[cfg(feature = "tls")]
            Self::Tls(tls) => tls.read(bytes),
        }
    }
}

impl Write for Stream {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Clear(socket) => socket.write(bytes),
            #[cfg(feature = "tls")]
            Self::Tls(tls) => tls.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::Clear(socket) => socket.flush(),
            #[cfg(feature = "tls")]
            Self::Tls(tls) => tls.flush(),
        }
    }
}

/// A stream that one thread reads while another writes to it. Neither keeps the other from it while it waits.
#[derive(Debug)]
pub struct Shared {
    stream: Mutex<Stream>,
    /// The same socket, to wait for.
    socket: OwnedFd,
}

impl Shared {
    /// Shares a stream.
    pub fn new(mut stream: Stream) -> io::Result<Self> {
        let socket = stream.socket().as_fd().try_clone_to_owned()?;
        Ok(Self { stream: Mutex::new(stream), socket })
    }

    /// Reads what has come, and waits for it; if there is a `patience`, no longer than that. Then it is an error: it would block.
    pub fn read(&self, bytes: &mut [u8], patience: Option<Duration>) -> io::Result<usize> {
        self.patiently(PollFlags::IN, patience, |stream| stream.read(bytes))
    }

    /// Writes all of `bytes`, as fast as they are taken.
    pub fn write_all(&self, mut bytes: &[u8]) -> io::Result<()> {
        while !bytes.is_empty() {
            let written = self.patiently(PollFlags::OUT, None, |stream| stream.write(bytes))?;
            bytes = &bytes[written..];
        }
        self.patiently(PollFlags::OUT, None, Stream::flush)
    }

    /// Says that nothing more is sent.
    pub fn end(&self) -> io::Result<()> {
        self.patiently(PollFlags::OUT, None, Stream::end)
    }

    fn patiently<T>(
        &self,
        flags: PollFlags,
        patience: Option<Duration>,
        mut work: impl FnMut(&mut Stream) -> io::Result<T>,
    ) -> io::Result<T> {
        let patience = patience.map(|time| Timespec::try_from(time).map_err(io::Error::other)).transpose()?;
        loop {
            let done = work(&mut self.stream());
            match done {
                Err(e) if e.kind() == ErrorKind::Interrupted => {}
                Err(e) if e.kind() == ErrorKind::WouldBlock => {
                    match poll(&mut [PollFd::new(&self.socket, flags)], patience.as_ref()) {
                        Ok(0) => return Err(e),
                        Ok(_) | Err(Errno::INTR) => {}
                        Err(e) => return Err(e.into()),
                    }
                }
                done => return done,
            }
        }
    }

    fn stream(&self) -> MutexGuard<'_, Stream> {
        self.stream.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
