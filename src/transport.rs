//! What carries the bytes of one connection: a socket, or whatever else can be read, written and shut.

mod encrypted;
mod websocket;

use std::io::{self, Read, Write};
use std::net::{IpAddr, Shutdown};
use std::os::fd::AsFd;
use std::time::Duration;

use log::debug;
use mio::event::Source;
use mio::net::{TcpStream, UnixStream};
use mio::{Interest, Registry, Token};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::ioctl_fionread;
use socket2::SockRef;

pub use self::encrypted::{Encrypted, Tls};
pub use self::websocket::WebSocket;
use crate::limits;
use crate::names::Wire;
use crate::peer::Peer;
use crate::proxy::{self, BadHeader, Header};
use crate::time::Instant;
use crate::web::Places;

/// Why a connection has not arrived.
#[derive(Debug)]
pub enum NotArrived {
    /// More of it must come first.
    NotYet,
    /// It is for nobody: a proxy looks whether the server is there. It is closed when its time is over, if not before.
    Check,
    /// It was to begin with a PROXY header.
    BadHeader(BadHeader),
    /// It never will, as it is in clear, in which it is to be told so.
    InClear {
        /// Whether it began with a PROXY header.
        is_proxied: bool,
    },
    /// It came for no more than an answer, which is being written.
    Answering,
    /// The same, and all of that is written.
    Answered,
    /// It never will.
    Failed(io::Error),
}

/// What carries the lines of a connection.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Layer {
    /// A stream in clear.
    Tcp,
    /// TLS, spoken with the server itself.
    Tls,
    /// A WebSocket in clear.
    Ws,
    /// A WebSocket in TLS.
    Wss,
}

impl Layer {
    /// How many there are.
    pub const COUNT: usize = 4;

    /// Whether TLS is spoken with the server itself.
    pub fn is_tls(self) -> bool {
        matches!(self, Self::Tls | Self::Wss)
    }

    /// Whether a browser speaks it.
    pub fn is_web(self) -> bool {
        matches!(self, Self::Ws | Self::Wss)
    }
}

/// What a line is at which the input has ended, if it has no end of its own.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Unfinished {
    /// A line like any other.
    Line,
    /// Nothing: lines end by themselves there.
    Dropped,
    /// Nothing, and the connection is lost by that: anybody on the way can have ended it, though nobody can read along.
    Cut,
}

/// Why the server says nothing more.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Farewell {
    /// All is said.
    Done,
    /// The server ends.
    ServerEnds,
    /// The connection was not admitted.
    Refused,
}

impl From<io::Error> for NotArrived {
    fn from(e: io::Error) -> Self {
        if e.kind() == io::ErrorKind::WouldBlock { Self::NotYet } else { Self::Failed(e) }
    }
}

impl From<BadHeader> for NotArrived {
    fn from(bad: BadHeader) -> Self {
        Self::BadHeader(bad)
    }
}

/// A stream of bytes in both directions, neither of which ever waits: what cannot be done now is `WouldBlock`.
///
/// Readiness is told once each time that it begins (edge-triggered). So a reader goes on until it would block, or until it
/// gets less than it had room for: what comes later brings an event of its own. Where something urgent was told of, or
/// [`Transport::has_more`] says so, only the former will do.
///
/// What is written may wait in the transport, sealed, until the socket takes it: see [`Transport::unsent`]. While it does, a write would
/// block, and so does a flush.
pub trait Transport: Read + Write {
    /// Goes on as far as it can with what must come before the connection may be admitted, and tells who is at the other end once
    /// all has come; `peer` is who it is as far as the socket knows. It is called where that was said of a newcomer, whenever
    /// something may have come, until it gives something else than [`NotArrived::NotYet`].
    /// `room` tells whether there is a place for it, as it may come for an answer alone.
    fn arrive(&mut self, peer: Peer, _places: Places) -> Result<Peer, NotArrived> {
        Ok(peer)
    }

    /// It is not waited for any longer until it arrives, as its time is over or there is no room: it is told so, as far as that goes at
    /// once and whoever it is can understand it.
    fn give_up(&mut self, _places: Places) {}

    /// The name that its peer asked for (SNI) in the [`Transport::arrive`] just now, if it did and the log has such things.
    fn asked_name(&self) -> Option<String> {
        None
    }

    /// What a handshake of TLS has made of the wire, once it is over: it is in clear where whoever came speaks none.
    fn handshake(&self) -> Option<Wire> {
        None
    }

    /// What carries its lines.
    fn layer(&self) -> Layer {
        Layer::Tcp
    }

    /// Whether a read may give something, the end say, though the last got less than it had room for.
    fn has_more(&self) -> bool {
        false
    }

    /// What a line without an end is, once the input has ended.
    fn unfinished(&self) -> Unfinished {
        Unfinished::Line
    }

    /// Whether something may still come, to be discarded, though its input has ended.
    fn may_go_on(&self) -> bool {
        false
    }

    /// Whether it has begun a message whose bytes are the next that must be written, in the order in which they were offered.
    fn is_mid_message(&self) -> bool {
        false
    }

    /// How many bytes wait in it that were written and the socket has not taken.
    fn unsent(&self) -> usize {
        0
    }

    /// Tells the peer that nothing more will be written. An error if it is known to be gone.
    fn shut(&mut self, farewell: Farewell) -> io::Result<()>;

    /// What has been read until now has come now.
    fn note_heard(&mut self, _: Instant) {}

    /// That nothing has come until now is not the peer's fault: the server did not read, or was not read.
    fn excuse(&mut self, _: Instant) {}

    /// Looks after a peer who may be gone without a word, where that is to be found out here: asks for a sign of life when it is time
    /// for that, which is to be flushed then, and tells when it is to be called again. An error if none has come for too long.
    fn beat(&mut self, _: Instant) -> io::Result<Option<Instant>> {
        Ok(None)
    }

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
    /// Through a proxy, with a PROXY header before all else. Up to the proxy the wire is this at least; none if it is no proxy of ours.
    Proxied(TcpStream, Option<Wire>),
    /// From anywhere, in TLS.
    Tls(Box<Encrypted>),
    /// From a browser, over one of the others.
    Web(Box<WebSocket<Self>>),
    /// By the operator's door, from this machine.
    Control(UnixStream),
}

impl Read for Stream {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Tcp(stream) | Self::Proxied(stream, _) => stream.read(buf),
            Self::Tls(stream) => stream.read(buf),
            Self::Web(stream) => stream.read(buf),
            Self::Control(stream) => stream.read(buf),
        }
    }
}

impl Write for Stream {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        match self {
            Self::Tcp(stream) | Self::Proxied(stream, _) => stream.write(buf),
            Self::Tls(stream) => stream.write(buf),
            Self::Web(stream) => stream.write(buf),
            Self::Control(stream) => stream.write(buf),
        }
    }

    fn write_vectored(&mut self, bufs: &[io::IoSlice<'_>]) -> io::Result<usize> {
        match self {
            // As `sendmsg`: `writev` goes by way of files, which costs a sixth more.
            Self::Tcp(stream) | Self::Proxied(stream, _) => SockRef::from(&*stream).send_vectored(bufs),
            Self::Tls(stream) => stream.write_vectored(bufs),
            Self::Web(stream) => stream.write_vectored(bufs),
            Self::Control(stream) => stream.write_vectored(bufs),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::Tcp(stream) | Self::Proxied(stream, _) => stream.flush(),
            Self::Tls(stream) => stream.flush(),
            Self::Web(stream) => stream.flush(),
            Self::Control(stream) => stream.flush(),
        }
    }
}

impl Transport for Stream {
    fn arrive(&mut self, peer: Peer, places: Places) -> Result<Peer, NotArrived> {
        match self {
            Self::Tls(stream) => stream.arrive(peer),
            Self::Web(stream) => stream.arrive(peer, places),
            Self::Proxied(stream, wire) => {
                let least = wire.ok_or(BadHeader::Untrusted)?;
                let (address, wire) = take_header(stream)?;
                Ok(Peer::named(address, if least == Wire::Secure { least } else { wire }))
            }
            Self::Tcp(_) | Self::Control(_) => Ok(peer),
        }
    }

    fn give_up(&mut self, places: Places) {
        if let Self::Web(stream) = self {
            stream.give_up(places);
        }
    }

    fn asked_name(&self) -> Option<String> {
        match self {
            Self::Tls(stream) => stream.asked_name(),
            Self::Web(stream) => stream.asked_name(),
            Self::Tcp(_) | Self::Proxied(..) | Self::Control(_) => None,
        }
    }

    fn handshake(&self) -> Option<Wire> {
        match self {
            Self::Tls(stream) => stream.handshake(),
            Self::Web(stream) => stream.handshake(),
            Self::Tcp(_) | Self::Proxied(..) | Self::Control(_) => None,
        }
    }

    fn layer(&self) -> Layer {
        match self {
            Self::Tcp(_) | Self::Proxied(..) | Self::Control(_) => Layer::Tcp,
            Self::Tls(_) => Layer::Tls,
            Self::Web(stream) => stream.layer(),
        }
    }

    fn has_more(&self) -> bool {
        match self {
            Self::Tls(stream) => stream.has_more(),
            Self::Web(stream) => stream.has_more(),
            Self::Tcp(_) | Self::Proxied(..) | Self::Control(_) => false,
        }
    }

    fn unfinished(&self) -> Unfinished {
        match self {
            Self::Tls(stream) if stream.is_cut() => Unfinished::Cut,
            Self::Web(stream) => stream.unfinished(),
            _ => Unfinished::Line,
        }
    }

    fn may_go_on(&self) -> bool {
        matches!(self, Self::Web(stream) if stream.may_go_on())
    }

    fn note_heard(&mut self, now: Instant) {
        if let Self::Web(stream) = self {
            stream.note_heard(now);
        }
    }

    fn excuse(&mut self, now: Instant) {
        if let Self::Web(stream) = self {
            stream.excuse(now);
        }
    }

    fn beat(&mut self, now: Instant) -> io::Result<Option<Instant>> {
        if let Self::Web(stream) = self { stream.beat(now) } else { Ok(None) }
    }

    fn is_mid_message(&self) -> bool {
        matches!(self, Self::Web(stream) if stream.is_mid_message())
    }

    fn unsent(&self) -> usize {
        match self {
            Self::Tls(stream) => stream.unsent(),
            Self::Web(stream) => stream.unsent(),
            Self::Tcp(_) | Self::Proxied(..) | Self::Control(_) => 0,
        }
    }

    fn shut(&mut self, farewell: Farewell) -> io::Result<()> {
        match self {
            Self::Web(stream) => stream.shut(farewell),
            Self::Tcp(stream) | Self::Proxied(stream, _) => stream.shutdown(Shutdown::Write),
            Self::Tls(stream) => stream.shut(),
            Self::Control(stream) => stream.shutdown(Shutdown::Write),
        }
    }

    fn set_user_timeout(&mut self, timeout: Option<Duration>) {
        match self {
            Self::Tcp(stream) | Self::Proxied(stream, _) => set_user_timeout(stream, timeout),
            Self::Tls(stream) => set_user_timeout(stream.socket(), timeout),
            Self::Web(stream) => stream.set_user_timeout(timeout),
            // Who is on this machine cannot go without a word.
            Self::Control(_) => {}
        }
    }

    fn unread(&self) -> usize {
        let (unread, held) = match self {
            Self::Tcp(stream) | Self::Proxied(stream, _) => (ioctl_fionread(stream), 0),
            // Sealed, it is somewhat more than that.
            Self::Tls(stream) => (ioctl_fionread(stream.socket()), stream.held()),
            Self::Web(stream) => return stream.unread(),
            Self::Control(stream) => (ioctl_fionread(stream), 0),
        };
        unread.map_or(0, |unread| usize::try_from(unread).unwrap_or(usize::MAX)).saturating_add(held)
    }

    fn take_error(&mut self) -> Option<io::Error> {
        match self {
            Self::Tcp(stream) | Self::Proxied(stream, _) => stream.take_error(),
            Self::Tls(stream) => stream.socket_mut().take_error(),
            Self::Web(stream) => return stream.take_error(),
            Self::Control(stream) => stream.take_error(),
        }
        .ok()
        .flatten()
    }
}

impl Source for Stream {
    fn register(&mut self, registry: &Registry, token: Token, interest: Interest) -> io::Result<()> {
        match self {
            Self::Tcp(stream) | Self::Proxied(stream, _) => stream.register(registry, token, interest),
            Self::Tls(stream) => stream.socket_mut().register(registry, token, interest),
            Self::Web(stream) => stream.under_mut().register(registry, token, interest),
            Self::Control(stream) => stream.register(registry, token, interest),
        }
    }

    fn reregister(&mut self, registry: &Registry, token: Token, interest: Interest) -> io::Result<()> {
        match self {
            Self::Tcp(stream) | Self::Proxied(stream, _) => stream.reregister(registry, token, interest),
            Self::Tls(stream) => stream.socket_mut().reregister(registry, token, interest),
            Self::Web(stream) => stream.under_mut().reregister(registry, token, interest),
            Self::Control(stream) => stream.reregister(registry, token, interest),
        }
    }

    fn deregister(&mut self, registry: &Registry) -> io::Result<()> {
        match self {
            Self::Tcp(stream) | Self::Proxied(stream, _) => stream.deregister(registry),
            Self::Tls(stream) => stream.socket_mut().deregister(registry),
            Self::Web(stream) => stream.under_mut().deregister(registry),
            Self::Control(stream) => stream.deregister(registry),
        }
    }
}

/// Takes the PROXY header that a stream begins with, once all of it has come: for whom it is, and whether others can read along up to
/// the proxy. What follows it is left where it is, and so is all while the header has not come.
fn take_header(stream: &mut TcpStream) -> Result<(IpAddr, Wire), NotArrived> {
    // What came before the end can be seen once that is known.
    let mut end = [PollFd::new(stream, PollFlags::RDHUP)];
    let is_ended = poll(&mut end, Some(&Timespec::default())).is_ok_and(|ended| ended > 0);
    let mut header = [0; limits::PROXY_HEADER];
    let come = stream.peek(&mut header)?;
    match proxy::read(&header[..come])? {
        None if come == 0 => Err(BadHeader::Missing.into()),
        None if is_ended => Err(BadHeader::Broken.into()),
        None => Err(NotArrived::NotYet),
        Some((Header::Check, _)) if is_ended => Err(io::Error::from(io::ErrorKind::UnexpectedEof).into()),
        Some((Header::Check, _)) => Err(NotArrived::Check),
        Some((Header::Named { address, wire }, len)) => {
            stream.read_exact(&mut header[..len])?;
            Ok((address, wire))
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
