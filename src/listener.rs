//! Where people come in: the listening sockets, and how a connection is set up.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::os::fd::AsFd;
use std::rc::Rc;
use std::time::Duration;

use log::{info, warn};
use mio::net::TcpListener;
use mio::{Interest, Registry, Token};
use rustix::io::{Errno, fcntl_dupfd_cloexec};
use socket2::{Domain, Protocol, SockRef, Socket, TcpKeepalive, Type};

use crate::control::ControlListener;
use crate::home::{hint, is_of_reserve};
use crate::limits;
use crate::names::Wire;
use crate::peer::Peer;
use crate::register::entry::Network;
use crate::time::Instant;
use crate::tls::Certificate;
use crate::transport::{Encrypted, Stream, Tls, WebSocket, set_user_timeout};
use crate::web::{PageOrigin, WebDoor};

/// Addresses there may be to listen at, so that the tokens of connections do not depend on how many there are.
const LISTENERS: usize = 64;
/// Tokens that listeners may have: those of the addresses, and of the operator's door.
pub const TOKENS: usize = LISTENERS + 1;

/// The listening sockets.
pub struct Listeners {
    listeners: Vec<Listener>,
    /// Which of them is asked first, so that a flood at one keeps nobody from another.
    first: usize,
    /// When accepting goes on after descriptors ran out.
    again: Option<Instant>,
    /// Whether they have run out, and the log says so.
    starved: bool,
    /// Until when it does not say so again: somebody goes, and somebody comes.
    told_until: Instant,
}

/// What comes in at an address, and what is spoken there.
#[derive(Clone, Debug)]
pub struct Opening {
    /// Where to listen.
    pub address: SocketAddr,
    /// What comes in there.
    pub carrier: Carrier,
    /// Which of the dialects is spoken there.
    pub dialect: u8,
}

/// What comes in at an address.
#[derive(Clone, Debug)]
pub enum Carrier {
    /// Lines.
    Plain,
    /// The same in TLS.
    Tls(Rc<Tls>),
    /// The same behind a PROXY header, from these proxies.
    Proxied(Proxies),
    /// Browsers: the page, and the same in WebSockets.
    Web(Rc<WebDoor>),
    /// The same in TLS.
    WebTls(Rc<WebDoor>, Rc<Tls>),
}

/// Proxies that may say for whom a connection is.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Proxies {
    /// Where they are.
    pub from: Vec<Network>,
    /// What the wire is up to them at least, whatever they say.
    pub wire: Wire,
}

struct Listener {
    socket: ListenerSocket,
    dialect: u8,
    /// Whether somebody may be waiting at it. Only an accept that would block says no.
    ready: bool,
}

enum ListenerSocket {
    Tcp(TcpListener, Carrier),
    Control(ControlListener),
}

impl Carrier {
    /// The option by which somebody wants it, without dashes.
    pub fn option(&self) -> &'static str {
        match self {
            Self::Plain => "listen",
            Self::Tls(_) => "tls",
            Self::Proxied(_) => "proxy-listen",
            Self::Web(_) => "web",
            Self::WebTls(..) => "web-tls",
        }
    }

    /// Whether browsers come in there.
    pub fn is_web(&self) -> bool {
        matches!(self, Self::Web(_) | Self::WebTls(..))
    }

    /// How standard output tells that it listens at an address: browsers are given what they open.
    pub fn told(&self, address: SocketAddr) -> String {
        match self {
            Self::Plain => format!("listening {address}"),
            Self::Tls(_) => format!("tls {address}"),
            Self::Proxied(_) => format!("proxy {address}"),
            Self::Web(_) => format!("web http://{address}/"),
            Self::WebTls(..) => format!("web https://{address}/"),
        }
    }

    /// The TLS that is spoken there, if it is.
    pub fn tls(&self) -> Option<&Rc<Tls>> {
        match self {
            Self::Tls(tls) | Self::WebTls(_, tls) => Some(tls),
            Self::Plain | Self::Proxied(_) | Self::Web(_) => None,
        }
    }
}

impl ListenerSocket {
    /// A connection, and who is at its other end.
    fn accept(&self) -> io::Result<(Stream, Peer)> {
        match self {
            Self::Tcp(socket, carrier) => {
                // They wait as if there were none left. Operators need not.
                if is_of_reserve(&fcntl_dupfd_cloexec(socket, 0)?) {
                    return Err(Errno::MFILE.into());
                }
                let (stream, peer) = socket.accept()?;
                // Linux has a connection take over what is set for its listener, which saves seven calls each.
                if !cfg!(target_os = "linux") {
                    set_options(&stream, Some(limits::DEAD))?;
                }
                let address = peer.ip();
                Ok(match carrier {
                    Carrier::Plain => (Stream::Tcp(stream), Peer::at(address)),
                    Carrier::Tls(tls) => {
                        (Stream::Tls(Box::new(Encrypted::new(stream, Rc::clone(tls)))), Peer::at(address))
                    }
                    Carrier::Proxied(proxies) if proxies.from.iter().any(|network| network.contains(address)) => {
                        (Stream::Proxied(stream, Some(proxies.wire)), Peer::proxy(address))
                    }
                    Carrier::Proxied(_) => (Stream::Proxied(stream, None), Peer::at(address)),
                    Carrier::Web(door) => web(Stream::Tcp(stream), address, door),
                    Carrier::WebTls(door, tls) => {
                        let stream = Stream::Tls(Box::new(Encrypted::new(stream, Rc::clone(tls))));
                        web(stream, address, door)
                    }
                })
            }
            Self::Control(socket) => Ok((Stream::Control(socket.accept()?), Peer::CONTROL)),
        }
    }
}

/// A browser, or a proxy that comes for one, which is not counted as one of its network before it has told for whom.
fn web(stream: Stream, address: IpAddr, door: &Rc<WebDoor>) -> (Stream, Peer) {
    let peer = if door.believes(address) { Peer::proxy(address) } else { Peer::at(address) };
    (Stream::Web(Box::new(WebSocket::new(stream, Rc::clone(door)))), peer)
}

/// Addresses that are taken and not listened at yet: whoever comes is refused by the system, and waits for nothing.
pub struct Taken(Vec<(Opening, Socket)>);

/// Takes the addresses of `openings`. One that is no address of this machine yet is taken, with a warning, unless it is `early`, where it
/// stands then. Those of a family that the
/// system does not have are left out, with a warning, if there are others. An error says which it cannot take and why.
pub fn take(openings: Vec<Opening>, early: &mut Vec<IpAddr>) -> io::Result<Taken> {
    if openings.len() > LISTENERS {
        return Err(io::Error::other(format!("cannot listen on {} addresses, only on {LISTENERS}", openings.len())));
    }
    let addresses: Vec<SocketAddr> = openings.iter().map(|opening| opening.address).collect();
    let mut taken = Vec::new();
    for opening in openings {
        let address = opening.address;
        // Where somebody else listens at the same port for IPv4, IPv6 alone is meant.
        let has_v4 = addresses.iter().any(|other| other.is_ipv4() && other.port() == address.port());
        let families = if address.is_ipv6() && has_v4 { Families::OnlyV6 } else { Families::AsItIs };
        let has_other_family = addresses.iter().any(|other| other.is_ipv4() != address.is_ipv4());
        match bind(address, families, early) {
            Ok(socket) => taken.push((opening, socket)),
            Err(e) if Errno::from_io_error(&e) == Some(Errno::AFNOSUPPORT) && has_other_family => {
                warn!("nobody comes in at {address}, as this machine has no {}", family(address));
            }
            Err(e) => return Err(cannot_listen(address, &e)),
        }
    }
    Ok(Taken(taken))
}

impl Taken {
    /// Listens at the addresses with sockets that wait, for threads of their own. An error says where it cannot and why.
    pub fn wait_at(self) -> io::Result<Vec<std::net::TcpListener>> {
        let listen = |(Opening { address, .. }, socket): (Opening, Socket)| {
            let listening = socket.set_nonblocking(false).and_then(|()| socket.listen(64));
            listening.map(|()| socket.into()).map_err(|e| cannot_listen(address, &e))
        };
        self.0.into_iter().map(listen).collect()
    }
}

impl Listeners {
    /// Listens at the addresses that were taken, and at the operator's door if there is one, with tokens that count from `first`. An
    /// error says where it cannot and why.
    pub fn open(
        Taken(taken): Taken,
        control: Option<ControlListener>,
        registry: &Registry,
        first: usize,
    ) -> io::Result<Self> {
        let mut listeners = Vec::new();
        for (n, (Opening { address, carrier, dialect }, socket)) in taken.into_iter().enumerate() {
            let listen = || {
                set_options(&socket, Some(limits::DEAD))?;
                socket.listen(4096)?;
                let mut socket = TcpListener::from_std(socket.into());
                registry.register(&mut socket, Token(first + n), Interest::READABLE)?;
                Ok(socket)
            };
            let socket = listen().map_err(|e| cannot_listen(address, &e))?;
            listeners.push(Listener { socket: ListenerSocket::Tcp(socket, carrier), dialect, ready: true });
        }
        if let Some(mut control) = control {
            control.register(registry, Token(first + listeners.len()))?;
            listeners.push(Listener { socket: ListenerSocket::Control(control), dialect: 0, ready: true });
        }
        let listeners = Self { listeners, first: 0, again: None, starved: false, told_until: Instant::START };
        let addresses = listeners.addresses()?;
        let secure = addresses.iter().find(|(_, carrier)| matches!(carrier, Carrier::WebTls(..)));
        if let Some((address, Carrier::WebTls(door, _))) = secure {
            door.note_tls_port(address.port());
        }
        Ok(listeners)
    }

    /// Where they listen, with the ports that were picked, and what comes in there.
    pub fn addresses(&self) -> io::Result<Vec<(SocketAddr, &Carrier)>> {
        let mut addresses = Vec::new();
        for listener in &self.listeners {
            if let ListenerSocket::Tcp(socket, carrier) = &listener.socket {
                addresses.push((socket.local_addr()?, carrier));
            }
        }
        Ok(addresses)
    }

    /// Shows another certificate to whoever comes from now on.
    pub fn replace_certificate(&self, certificate: &Certificate) {
        for listener in &self.listeners {
            if let ListenerSocket::Tcp(_, carrier) = &listener.socket {
                carrier.tls().into_iter().for_each(|tls| tls.replace(certificate));
            }
        }
    }

    /// Has pages of other names talk to whoever comes from now on.
    pub fn replace_origins(&self, origins: &[PageOrigin]) {
        for listener in &self.listeners {
            if let ListenerSocket::Tcp(_, Carrier::Web(door) | Carrier::WebTls(door, _)) = &listener.socket {
                door.replace_origins(origins);
            }
        }
    }

    /// Believes these proxies from now on, and no others.
    pub fn replace_proxies(&mut self, new: &Proxies) {
        for listener in &mut self.listeners {
            match &mut listener.socket {
                ListenerSocket::Tcp(_, Carrier::Proxied(proxies)) => proxies.clone_from(new),
                ListenerSocket::Tcp(_, Carrier::Web(door) | Carrier::WebTls(door, _)) => {
                    door.replace_proxies(&new.from)
                }
                ListenerSocket::Tcp(..) | ListenerSocket::Control(_) => {}
            }
        }
    }

    /// The certificate that they show, if they do.
    pub fn certificate(&self) -> Option<Certificate> {
        self.listeners.iter().find_map(|listener| match &listener.socket {
            ListenerSocket::Tcp(_, carrier) => Some(carrier.tls()?.certificate()),
            ListenerSocket::Control(_) => None,
        })
    }

    /// Listens at this operator's door from now on, in the place of the one that somebody has swept away, if there was one. It tells whether
    /// there was.
    pub fn replace_control(&mut self, mut new: ControlListener, registry: &Registry, first: usize) -> io::Result<bool> {
        let is_control = |listener: &Listener| matches!(listener.socket, ListenerSocket::Control(_));
        let n = self.listeners.iter().position(is_control).unwrap_or(self.listeners.len());
        new.register(registry, Token(first + n))?;
        let there = self.listeners.drain(n..).next();
        let had = match there.map(|listener| listener.socket) {
            Some(ListenerSocket::Control(mut gone)) => {
                gone.forget();
                true
            }
            _ => false,
        };
        self.listeners.push(Listener { socket: ListenerSocket::Control(new), dialect: 0, ready: true });
        Ok(had)
    }

    /// Somebody may be waiting at the listener of this number.
    pub fn set_ready(&mut self, n: usize) {
        if let Some(listener) = self.listeners.get_mut(n) {
            listener.ready = true;
        }
    }

    /// When to try again; at once if somebody may be waiting.
    pub fn next_try(&self) -> Option<Instant> {
        let waiting = self.listeners.iter().any(|listener| listener.ready);
        self.again.or(waiting.then_some(Instant::START))
    }

    /// A descriptor is free again, so trying may help.
    pub fn try_soon(&mut self) {
        self.again = self.again.map(|_| Instant::START);
    }

    /// Closes them all: whoever comes from now on is refused by the system.
    pub fn close(&mut self) {
        self.listeners.clear();
        self.again = None;
    }

    /// Accepts a connection, if somebody is waiting and descriptors are left: from whom, and which dialect is spoken there.
    pub fn accept(&mut self, now: Instant) -> Option<(Stream, Peer, u8)> {
        if self.again.is_some_and(|at| now < at) {
            return None;
        }
        self.again = None;
        let count = self.listeners.len();
        for n in (0..count).map(|n| (self.first + n) % count) {
            let listener = &mut self.listeners[n];
            while listener.ready {
                match listener.socket.accept() {
                    Ok((stream, peer)) => {
                        if std::mem::take(&mut self.starved) {
                            info!("accepting again");
                        }
                        self.first = n + 1;
                        return Some((stream, peer, listener.dialect));
                    }
                    Err(e) if e.kind() == io::ErrorKind::WouldBlock => listener.ready = false,
                    // The one who knocked is gone already.
                    Err(e) if matches!(e.kind(), io::ErrorKind::Interrupted | io::ErrorKind::ConnectionAborted) => {}
                    Err(e) => {
                        if !self.starved && now >= self.told_until {
                            (self.starved, self.told_until) = (true, now + limits::MINUTE);
                            warn!("cannot accept: {}{}; trying on", reason(&e), hint(&e));
                        }
                        self.again = Some(now + limits::ACCEPT_RETRY);
                        break;
                    }
                }
            }
        }
        None
    }
}

/// What the family of an address is called.
fn family(address: SocketAddr) -> &'static str {
    if address.is_ipv4() { "IPv4" } else { "IPv6" }
}

/// Whether an IPv6 address without more stands for IPv4 too, as the system has it.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Families {
    AsItIs,
    OnlyV6,
}

fn bind(address: SocketAddr, families: Families, early: &mut Vec<IpAddr>) -> io::Result<Socket> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    socket.set_reuse_address(true)?;
    socket.set_nonblocking(true)?;
    if families == Families::OnlyV6 {
        socket.set_only_v6(true)?;
    }
    // A server that was just asked to end needs a moment to hear it.
    let begun = std::time::Instant::now();
    // An address may come up after the server, with the network.
    let mut is_early = false;
    loop {
        match socket.bind(&address.into()) {
            Err(e) if e.kind() == io::ErrorKind::AddrInUse && begun.elapsed() < limits::BIND_WAIT => {
                std::thread::sleep(limits::BIND_WAIT / 20);
            }
            Err(e) if e.kind() == io::ErrorKind::AddrNotAvailable && !std::mem::replace(&mut is_early, true) => {
                if !early.contains(&address.ip()) {
                    early.push(address.ip());
                    warn!(
                        "{} is no address of this machine yet; what listens there is reached once it is",
                        address.ip()
                    );
                }
                if address.is_ipv4() { socket.set_freebind_v4(true) } else { socket.set_freebind_v6(true) }?;
            }
            bound => return bound.map(|()| socket),
        }
    }
}

/// What could not be done at the start, why, and what to do where a limit of the system is to blame.
pub fn cannot(what: &str, e: &io::Error) -> io::Error {
    io::Error::new(e.kind(), format!("cannot {what}: {}{}", reason(e), hint(e)))
}

fn cannot_listen(address: SocketAddr, e: &io::Error) -> io::Error {
    let hint = match e.kind() {
        io::ErrorKind::AddrInUse => "; end what listens there, or take another port",
        io::ErrorKind::PermissionDenied => "; take a port from 1024 on",
        _ => hint(e),
    };
    io::Error::new(e.kind(), format!("cannot listen on {address}: {}{hint}", reason(e)))
}

/// Has a connection reply at once, notice when the peer is gone without a word, and keep file data from piling up in the
/// kernel.
pub fn set_options(socket: &impl AsFd, user_timeout: Option<Duration>) -> io::Result<()> {
    set_user_timeout(socket, user_timeout);
    let socket = SockRef::from(socket);
    socket.set_tcp_nodelay(true)?;
    // Telnet's urgent byte is one like the others.
    socket.set_out_of_band_inline(true)?;
    let keepalive = TcpKeepalive::new().with_time(limits::KEEPALIVE).with_interval(limits::KEEPALIVE_INTERVAL);
    // This many count where there is no user timeout.
    let keepalive = keepalive.with_retries(limits::KEEPALIVE_PROBES);
    socket.set_tcp_keepalive(&keepalive)?;
    socket.set_tcp_notsent_lowat(limits::UNSENT_IN_KERNEL)
}

/// What the system says of an error, in lower case and without its number.
pub fn reason(e: &io::Error) -> String {
    let text = e.to_string();
    let text = text.split(" (os error").next().unwrap_or(&text);
    let mut chars = text.chars();
    chars.next().map(|first| first.to_lowercase().chain(chars).collect()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use mio::Poll;

    fn listen(addresses: &[SocketAddr], poll: &Poll) -> Listeners {
        let opening = |(n, &address)| Opening { address, carrier: Carrier::Plain, dialect: u8::try_from(n).unwrap() };
        let openings = addresses.iter().enumerate().map(opening).collect();
        Listeners::open(take(openings, &mut Vec::new()).unwrap(), None, poll.registry(), 0).unwrap()
    }

    #[test]
    fn a_connection_has_the_options_of_its_listener() {
        let poll = Poll::new().unwrap();
        let mut listeners = listen(&["127.0.0.1:0".parse().unwrap()], &poll);
        let _client = std::net::TcpStream::connect(listeners.addresses().unwrap()[0].0).unwrap();
        let Some((Stream::Tcp(stream), ..)) = listeners.accept(Instant::START) else { panic!("nobody comes") };
        let socket = SockRef::from(&stream);
        assert!(socket.tcp_nodelay().unwrap() && socket.keepalive().unwrap());
        assert!(socket.out_of_band_inline().unwrap());
        assert_eq!(socket.tcp_keepalive_time().unwrap(), limits::KEEPALIVE);
        assert_eq!(socket.tcp_keepalive_interval().unwrap(), limits::KEEPALIVE_INTERVAL);
        assert_eq!(socket.tcp_keepalive_retries().unwrap(), limits::KEEPALIVE_PROBES);
        assert_eq!(socket.tcp_notsent_lowat().unwrap(), limits::UNSENT_IN_KERNEL);
        assert_eq!(socket.tcp_user_timeout().unwrap(), Some(limits::DEAD));
    }

    #[test]
    fn a_flood_at_one_listener_keeps_nobody_from_another() {
        let poll = Poll::new().unwrap();
        let anywhere = "127.0.0.1:0".parse().unwrap();
        let mut listeners = listen(&[anywhere; 2], &poll);
        let addresses: Vec<_> = listeners.addresses().unwrap().into_iter().map(|(address, _)| address).collect();
        let connect = |n: usize| std::net::TcpStream::connect(addresses[n]).unwrap();
        let _waiting: Vec<_> = [0, 0, 0, 0, 1, 1].map(connect).into();
        let mut accepted = Vec::new();
        while accepted.len() < 6 {
            (0..2).for_each(|n| listeners.set_ready(n));
            accepted.extend(listeners.accept(Instant::START).map(|(_, _, n)| n));
        }
        assert_eq!(accepted, [0, 1, 0, 1, 0, 0]);
    }
}
