//! What carries the bytes of one connection: a socket, or whatever else can be read, written and shut.

use std::io::{self, Read, Write};
use std::net::Shutdown;
use std::os::fd::AsFd;
use std::time::Duration;

use log::debug;
use mio::event::Source;
use mio::net::{TcpStream, UnixStream};
use mio::{Interest, Registry, Token};
use rustix::io::ioctl_fionread;
use socket2::SockRef;

use crate::peer::Peer;

/// Why a connection has not arrived.
#[derive(Debug)]
pub enum NotArrived {
    /// More of it must come first.
    NotYet,
    /// It never will.
    Failed(io::Error),
}

impl From<io::Error> for NotArrived {
    fn from(e: io::Error) -> Self {
        if e.kind() == io::ErrorKind::WouldBlock { Self::NotYet } else { Self::Failed(e) }
    }
}

/// A stream of bytes in both directions, neither of which ever waits: what cannot be done now is `WouldBlock`.
///
/// Readiness is told once each time that it begins (edge-triggered). So a reader goes on until it would block, or until it
/// gets less than it had room for: what comes later brings an event of its own. Where something urgent was told of, only the
/// former will do.
pub trait Transport: Read + Write {
    /// Goes on as far as it can with what must come before the connection may be admitted, and tells who is at the other end once
    /// all has come; `peer` is who it is as far as the socket knows. It is called where that was said of a newcomer, whenever
    /// something may have come, until it gives something else than [`NotArrived::NotYet`].
    fn arrive(&mut self, peer: Peer) -> Result<Peer, NotArrived>;

    /// Tells the peer that nothing more will be written. An error if it is known to be gone.
    fn shut(&mut self) -> io::Result<()>;

    /// Takes the peer for dead when it has acknowledged nothing for so long; `None` is never.
    fn set_user_timeout(&mut self, timeout: Option<Duration>);

    /// How many bytes have come and were not read yet, as far as the system knows.
    fn unread(&self) -> usize;

    /// What broke it, once readiness said that something has.
    fn take_error(&mut self) -> Option<io::Error>;
}

/// A socket that somebody came in by.
#[derive(Debug)]
pub enum Stream {
    /// From anywhere.
    Tcp(TcpStream),
    /// By the operator's door, from this machine.
    Control(UnixStream),
}

impl Read for Stream {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Tcp(stream) => stream.read(buf),
            Self::Control(stream) => stream.read(buf),
        }
    }
}

impl Write for Stream {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        match self {
            Self::Tcp(stream) => stream.write(buf),
            Self::Control(stream) => stream.write(buf),
        }
    }

    fn write_vectored(&mut self, bufs: &[io::IoSlice<'_>]) -> io::Result<usize> {
        match self {
            Self::Tcp(stream) => stream.write_vectored(bufs),
            Self::Control(stream) => stream.write_vectored(bufs),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::Tcp(stream) => stream.flush(),
            Self::Control(stream) => stream.flush(),
        }
    }
}

impl Transport for Stream {
    fn arrive(&mut self, peer: Peer) -> Result<Peer, NotArrived> {
        Ok(peer)
    }

    fn shut(&mut self) -> io::Result<()> {
        match self {
            Self::Tcp(stream) => stream.shutdown(Shutdown::Write),
            Self::Control(stream) => stream.shutdown(Shutdown::Write),
        }
    }

    fn set_user_timeout(&mut self, timeout: Option<Duration>) {
        // Who is on this machine cannot go without a word.
        if let Self::Tcp(stream) = self {
            set_user_timeout(stream, timeout);
        }
    }

    fn unread(&self) -> usize {
        let unread = match self {
            Self::Tcp(stream) => ioctl_fionread(stream),
            Self::Control(stream) => ioctl_fionread(stream),
        };
        unread.map_or(0, |unread| usize::try_from(unread).unwrap_or(usize::MAX))
    }

    fn take_error(&mut self) -> Option<io::Error> {
        match self {
            Self::Tcp(stream) => stream.take_error(),
            Self::Control(stream) => stream.take_error(),
        }
        .ok()
        .flatten()
    }
}

impl Source for Stream {
    fn register(&mut self, registry: &Registry, token: Token, interest: Interest) -> io::Result<()> {
        match self {
            Self::Tcp(stream) => stream.register(registry, token, interest),
            Self::Control(stream) => stream.register(registry, token, interest),
        }
    }

    fn reregister(&mut self, registry: &Registry, token: Token, interest: Interest) -> io::Result<()> {
        match self {
            Self::Tcp(stream) => stream.reregister(registry, token, interest),
            Self::Control(stream) => stream.reregister(registry, token, interest),
        }
    }

    fn deregister(&mut self, registry: &Registry) -> io::Result<()> {
        match self {
            Self::Tcp(stream) => stream.deregister(registry),
            Self::Control(stream) => stream.deregister(registry),
        }
    }
}

/// Has the kernel give up a peer that acknowledges nothing for so long; `None` is never.
///
/// Linux counts a window that stays small as silence, however alive the peer is. So once it is seen here that a slow peer
/// takes something now and then, the kernel must not judge.
pub fn set_user_timeout(socket: &impl AsFd, timeout: Option<Duration>) {
    if let Err(e) = SockRef::from(socket).set_tcp_user_timeout(Some(timeout.unwrap_or_default())) {
        debug!("cannot set the user timeout: {e}");
    }
}
