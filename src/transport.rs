//! What carries the bytes of one connection: a socket, or whatever else can be read, written and shut.

use std::io::{Read, Write};
use std::net::Shutdown;
use std::time::Duration;

use mio::net::TcpStream;

use crate::listener;

/// A stream of bytes in both directions, neither of which ever waits: what cannot be done now is `WouldBlock`.
///
/// Readiness is told once each time that it begins (edge-triggered). So a reader goes on until it would block, or until it
/// gets less than it had room for: what comes later brings an event of its own. Where something urgent was told of, only the
/// former will do.
pub trait Transport: Read + Write {
    /// Tells the peer that nothing more will be written. An error if it is known to be gone.
    fn shut(&mut self) -> std::io::Result<()>;

    /// Takes the peer for dead when it has acknowledged nothing for so long; `None` is never.
    fn set_user_timeout(&mut self, timeout: Option<Duration>);

    /// How many bytes have come and were not read yet, as far as the system knows.
    fn unread(&self) -> usize;

    /// What broke it, once readiness said that something has.
    fn take_error(&mut self) -> Option<std::io::Error>;
}

impl Transport for TcpStream {
    fn shut(&mut self) -> std::io::Result<()> {
        self.shutdown(Shutdown::Write)
    }

    fn set_user_timeout(&mut self, timeout: Option<Duration>) {
        listener::set_user_timeout(self, timeout);
    }

    fn unread(&self) -> usize {
        rustix::io::ioctl_fionread(self).map_or(0, |unread| usize::try_from(unread).unwrap_or(usize::MAX))
    }

    fn take_error(&mut self) -> Option<std::io::Error> {
        Self::take_error(self).ok().flatten()
    }
}
