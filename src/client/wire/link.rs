//! The connection to the server, made again whenever it is lost: bytes in, lines out, and the waiting for both.

use crate::channel::{Receiver, channel};
use std::borrow::Cow;
use std::hash::{BuildHasher, RandomState};
use std::io::{self, ErrorKind, Read, Write};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::mpsc::TryRecvError;
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use mio::event::Source;
use mio::net::TcpStream;
use mio::{Events, Interest, Poll, Token, Waker};

use super::server::{Address, Presented, Server, Untrusted, Wire};
use super::stream::Stream;
#[cfg(feature = "tls")]
use super::tls;
use crate::limits::{READ_A_TURN, SERVER_LINE};
use crate::linebuf::{Line, LineBuf};
use crate::listener;
use crate::names::clean;

/// How long one address is tried.
const PATIENCE: Duration = Duration::from_secs(10);
/// How long one address is tried alone before the next is tried too.
const HEAD_START: Duration = Duration::from_millis(250);
/// How long the server may say nothing and take nothing before it should be asked whether it is there.
const SILENCE: Duration = Duration::from_secs(25);
/// How long it may take to answer that before it is given up.
const LOST: Duration = Duration::from_secs(35);
/// How long it may take if this machine has slept meanwhile: then most connections are dead.
const LOST_ASLEEP: Duration = Duration::from_secs(6);
/// How often it is looked whether this machine has slept.
const LOOK: Duration = Duration::from_secs(3);
/// How much further the time of day must have gone than the monotonic clock, which stands still while a machine sleeps.
const SLEPT: Duration = Duration::from_secs(10);
/// The longest wait for the first try after a good connection is lost. Many may have lost theirs together.
const AT_ONCE: Duration = Duration::from_millis(50);
/// How long a server that is not there is taken for one that is just being started anew. Until then it is tried every second.
const RESTART: Duration = Duration::from_secs(20);
/// The longest wait between two tries, in seconds.
const LONGEST: u64 = 30;
/// Bytes that may wait to be sent. While there are more, nothing is read, so that no server can have us answer more than
/// it takes.
const UNSENT: usize = 1024 * 1024;

#[cfg(not(feature = "tls"))]
const WITHOUT_TLS: &str = "this chinwag was built without TLS; build it with --features tls";

const SOCKET: Token = Token(0);
const CONNECTED: Token = Token(1);
/// The first token that is free for others.
pub const FREE: usize = 2;

/// What has become of the connection.
#[derive(Debug)]
pub enum LinkChange {
    /// It stands.
    Up,
    /// It is lost, or could not be made, for this reason.
    Down(String),
    /// The server is not the one that is meant, for this reason. No other connection is tried.
    Untrusted(String),
}

/// What the server sent.
#[derive(Debug)]
pub enum Received<'a> {
    /// A line of text, made safe to show.
    Text(Cow<'a, str>),
    /// A line that began with `=`, without that, made safe to show.
    Data(Cow<'a, str>),
    /// A line longer than a server may send.
    TooLong,
}

/// The connection.
pub struct Link {
    server: Server,
    poll: Poll,
    events: Events,
    stream: Option<Stream>,
    connecting: Option<Receiver<io::Result<Stream>>>,
    waker: Arc<Waker>,
    next_try: Option<Instant>,
    /// How often in a row the wait for the next try grew longer.
    tries: u32,
    /// When the last good connection was lost.
    lost: Option<Instant>,
    /// Whether the server has said anything on this connection.
    has_spoken: bool,
    lines: LineBuf,
    readable: bool,
    /// Why the connection ended, once all that came before has been read.
    ended: Option<String>,
    out: Vec<u8>,
    written: usize,
    /// Whether the socket took no more when it was last written to. What it takes then shows that the server is there.
    is_full: bool,
    /// When the server last said something, or took something.
    heard: Instant,
    /// When it was asked since then whether it is there, and how long it may take to answer.
    asked: Option<(Instant, Duration)>,
    /// Both clocks, as they were when they were looked at last.
    clocks: (Instant, SystemTime),
}

impl Link {
    /// A link to this server, which is tried at the first [`Link::wait`].
    pub fn new(server: Server, now: Instant) -> io::Result<Self> {
        let poll = Poll::new()?;
        let waker = Arc::new(Waker::new(poll.registry(), CONNECTED)?);
        Ok(Self {
            server,
            poll,
            events: Events::with_capacity(16),
            stream: None,
            connecting: None,
            waker,
            next_try: Some(now),
            tries: 0,
            lost: None,
            has_spoken: false,
            lines: LineBuf::new(SERVER_LINE),
            readable: false,
            ended: None,
            out: Vec::new(),
            written: 0,
            is_full: false,
            heard: now,
            asked: None,
            clocks: (now, SystemTime::now()),
        })
    }

    /// Wakes this from another thread.
    pub fn waker(&self) -> Arc<Waker> {
        self.waker.clone()
    }

    /// Has something else be waited for, with a token from [`FREE`] on.
    pub fn register(&self, source: &mut impl Source, token: Token) -> io::Result<()> {
        self.poll.registry().register(source, token, Interest::READABLE)
    }

    /// What is waited for.
    pub fn poll(&self) -> &Poll {
        &self.poll
    }

    /// When the next try is made; `None` while there is a connection, or one is being made.
    pub fn next_try(&self) -> Option<Instant> {
        self.next_try
    }

    /// Whether there is a connection.
    pub fn is_up(&self) -> bool {
        self.stream.is_some()
    }

    /// How many bytes wait to be sent.
    pub fn unsent(&self) -> usize {
        self.out.len() - self.written
    }

    /// The connection has proved good, so the next loss is answered by a try at once.
    pub fn is_good(&mut self) {
        (self.tries, self.lost) = (0, None);
    }

    /// Makes no other connection until [`Link::go_on`].
    pub fn rest(&mut self) {
        self.next_try = None;
    }

    /// Makes another connection at once, if there is none and none was to be made.
    pub fn go_on(&mut self, now: Instant) {
        if self.stream.is_none() && self.connecting.is_none() {
            self.next_try.get_or_insert(now);
        }
    }

    /// Sends bytes as soon as the socket takes them. Without a connection they are dropped.
    pub fn send(&mut self, bytes: &[u8]) {
        if self.stream.is_some() {
            self.out.extend_from_slice(bytes);
        }
    }

    /// Waits for the server, for others who have registered, or until the time comes. Returns the tokens of others.
    pub fn wait(&mut self, until: Option<Instant>) -> io::Result<Vec<Token>> {
        let now = Instant::now();
        if self.next_try.is_some_and(|at| at <= now) {
            self.next_try = None;
            self.connecting = Some(self.connect()?);
        }
        let silent = self.asked.map_or(self.heard + SILENCE, |(asked, patience)| asked + patience);
        let silent = self.stream.is_some().then_some(silent);
        let look = (silent.is_some() || self.next_try.is_some()).then(|| now + LOOK);
        let until = [until, self.next_try, silent, look].into_iter().flatten().min();
        let is_busy = self.ended.is_some() || self.readable && self.unsent() < UNSENT;
        let timeout = if is_busy { Some(Duration::ZERO) } else { until.map(|at| at.saturating_duration_since(now)) };
        match self.poll.poll(&mut self.events, timeout) {
            Err(e) if e.kind() != ErrorKind::Interrupted => return Err(e),
            _ => {}
        }
        let mut others = Vec::new();
        for event in &self.events {
            match event.token() {
                SOCKET => self.readable |= event.is_readable() || event.is_read_closed() || event.is_error(),
                CONNECTED => {}
                token => others.push(token),
            }
        }
        Ok(others)
    }

    /// What has become of the connection since this was asked last. To be asked after all lines have been taken.
    pub fn change(&mut self, now: Instant) -> Option<LinkChange> {
        if let Some(connecting) = &self.connecting {
            let connected = match connecting.try_recv() {
                Ok(connected) => connected,
                Err(TryRecvError::Empty) => return None,
                Err(TryRecvError::Disconnected) => Err(io::Error::other("the attempt failed")),
            };
            self.connecting = None;
            return match connected.and_then(|stream| self.begin(stream)) {
                Ok(()) => Some(LinkChange::Up),
                Err(e) if is_untrusted(&e) => Some(LinkChange::Untrusted(e.to_string())),
                Err(e) => Some(self.lose(advice(&e), now)),
            };
        }
        let silent = self.stream.is_some() && self.asked.is_some_and(|(asked, patience)| now >= asked + patience);
        let silent = silent.then(|| "the server says nothing any more".to_owned());
        self.ended.take().or(silent).map(|why| self.lose(why, now))
    }

    /// When the server was last heard.
    pub fn heard(&self) -> Instant {
        self.heard
    }

    /// Whether the server has been silent for so long that it should be asked whether it is there, or this machine has slept. It
    /// says so once. `today` is the time of day.
    pub fn is_silent(&mut self, now: Instant, today: SystemTime) -> bool {
        let (before, wall) = std::mem::replace(&mut self.clocks, (now, today));
        let passed = today.duration_since(wall).unwrap_or_default();
        let has_slept = passed > now.saturating_duration_since(before) + SLEPT;
        let is_silent = now.saturating_duration_since(self.heard) >= SILENCE;
        let is_due = self.stream.is_some() && (has_slept || self.asked.is_none() && is_silent);
        if is_due {
            self.asked = Some((now, if has_slept { LOST_ASLEEP } else { LOST }));
        }
        // A pause between two tries was for what was before.
        if has_slept {
            self.next_try = self.next_try.map(|at| at.min(now));
        }
        is_due
    }

    fn hear(&mut self) {
        self.heard = Instant::now();
        self.asked = None;
    }

    /// Gives the connection up, for this reason.
    pub fn give_up(&mut self, why: String) {
        self.ended.get_or_insert(why);
    }

    /// Reads what has come, some of it.
    pub fn read(&mut self) {
        let Some(stream) = self.stream.as_mut().filter(|_| self.readable && self.ended.is_none()) else { return };
        if self.out.len() - self.written >= UNSENT {
            return;
        }
        let mut bytes = [0; READ_A_TURN];
        match stream.read(&mut bytes) {
            Ok(0) => self.ended = Some("the server closed it".to_owned()),
            // Telnet options are no business of a server of ours, and are left unanswered.
            Ok(n) => {
                self.lines.feed(&bytes[..n]);
                self.has_spoken = true;
                self.hear();
            }
            Err(e) if e.kind() == ErrorKind::WouldBlock => self.readable = false,
            Err(e) if e.kind() == ErrorKind::Interrupted => {}
            Err(e) => self.ended = Some(listener::reason(&e)),
        }
    }

    /// The next line that has come.
    pub fn next_line(&mut self) -> Option<Received<'_>> {
        let (line, _) = self.lines.next_line()?;
        Some(match line {
            Line::Text(bytes) => Received::Text(clean(bytes)),
            Line::Chunk(bytes) => Received::Data(clean(bytes)),
            Line::TooLong { .. } => Received::TooLong,
        })
    }

    /// Writes what waits, as far as the socket takes it.
    pub fn flush(&mut self) {
        while self.written < self.out.len()
            && let Some(stream) = self.stream.as_mut()
        {
            match stream.write(&self.out[self.written..]) {
                Ok(n) => {
                    self.written += n;
                    if std::mem::take(&mut self.is_full) {
                        self.hear();
                    }
                }
                Err(e) if e.kind() == ErrorKind::Interrupted => {}
                Err(e) if e.kind() == ErrorKind::WouldBlock => {
                    self.is_full = true;
                    break;
                }
                // What the server sent before is still to be read, and tells why.
                Err(_) => {
                    self.readable = true;
                    self.written = self.out.len();
                }
            }
        }
        if self.written == self.out.len() {
            self.out.clear();
            self.written = 0;
            // What TLS has sealed may wait still; should that fail, reading tells why.
            let _ = self.stream.as_mut().map(Stream::flush);
        }
    }

    /// Looks the server up and connects, in a thread of its own, as looking up cannot be waited for in any other way.
    fn connect(&self) -> io::Result<Receiver<io::Result<Stream>>> {
        let (sender, receiver) = channel();
        let (server, waker) = (self.server.clone(), self.waker.clone());
        thread::Builder::new().name("connect".to_owned()).spawn(move || {
            let _ = sender.send(connect(&server));
            let _ = waker.wake();
        })?;
        Ok(receiver)
    }

    fn begin(&mut self, mut stream: Stream) -> io::Result<()> {
        // Whether the server is still there is found out by asking it, as a person's program may.
        listener::set_options(stream.socket(), None)?;
        self.poll.registry().register(stream.socket(), SOCKET, Interest::READABLE | Interest::WRITABLE)?;
        self.stream = Some(stream);
        self.readable = true;
        self.hear();
        Ok(())
    }

    fn lose(&mut self, why: String, now: Instant) -> LinkChange {
        self.stream = None;
        self.lines = LineBuf::new(SERVER_LINE);
        self.out = Vec::new();
        self.written = 0;
        self.is_full = false;
        self.readable = false;
        let lost = *self.lost.get_or_insert(now);
        let is_away = !std::mem::take(&mut self.has_spoken);
        if self.tries <= 1 || !is_away || now.saturating_duration_since(lost) >= RESTART {
            self.tries += 1;
        }
        self.next_try = Some(now + pause(self.tries - 1));
        LinkChange::Down(why)
    }
}

/// How long to wait before the next try, once the wait has grown so often: never just as long as others wait who have lost the
/// same server.
fn pause(tries: u32) -> Duration {
    let chance = (RandomState::new().hash_one(tries) >> 32) as f64 / f64::from(u32::MAX);
    match tries {
        0 => AT_ONCE.mul_f64(chance),
        _ => Duration::from_secs((1 << (tries - 1).min(5)).min(LONGEST)).mul_f64(0.5 + chance / 2.0),
    }
}

/// Why no connection could be made, and what to look at.
pub fn advice(e: &io::Error) -> String {
    let why = listener::reason(e);
    match why.strip_prefix("failed to lookup address information: ") {
        Some(why) => format!("this host is not known here ({why}); is its name right?"),
        None if e.kind() == ErrorKind::ConnectionRefused => {
            format!("{why}; does the server run, and is the port right?")
        }
        None => why,
    }
}

/// Connects to a server, over whichever of its addresses answers first.
///
/// It is an error also if it does not prove that it is the one that is meant: [`is_untrusted`] tells that from what may pass.
pub fn connect(server: &Server) -> io::Result<Stream> {
    let socket = first_of(server.address.resolve()?, PATIENCE)?;
    match server.wire {
        Wire::Clear => {
            socket.set_nonblocking(true)?;
            Ok(Stream::Clear(TcpStream::from_std(socket)))
        }
        #[cfg(feature = "tls")]
        Wire::Tls(trust) => tls::open(socket, &server.address, trust, PATIENCE),
        #[cfg(not(feature = "tls"))]
        Wire::Tls(_) => Err(io::Error::other(WITHOUT_TLS)),
    }
}

/// Connects to a server in TLS, whoever it is, and looks by what it proves itself.
#[cfg(feature = "tls")]
pub fn look(address: &Address) -> io::Result<Presented> {
    tls::look(first_of(address.resolve()?, PATIENCE)?, address, PATIENCE)
}

/// It is an error, but another one if nobody is there at all.
#[cfg(not(feature = "tls"))]
pub fn look(address: &Address) -> io::Result<Presented> {
    first_of(address.resolve()?, PATIENCE).and(Err(io::Error::other(WITHOUT_TLS)))
}

/// Whether a server has not proved that it is the one that is meant.
pub fn is_untrusted(e: &io::Error) -> bool {
    e.get_ref().is_some_and(|why| why.is::<Untrusted>())
}

/// Connects to the first of these addresses that answers. Each is tried soon after the one before, so that one that is dead
/// holds up no other (RFC 8305).
fn first_of(addresses: Vec<SocketAddr>, patience: Duration) -> io::Result<std::net::TcpStream> {
    let (sender, answers) = channel();
    let mut failed = io::Error::new(ErrorKind::NotFound, "it has no address");
    let (mut left, mut tried) = (addresses.into_iter(), 0);
    loop {
        if let Some(address) = left.next() {
            let sender = sender.clone();
            thread::Builder::new().name("connect".to_owned()).spawn(move || {
                // Nobody takes it if another was first; then it is closed.
                let _ = sender.send(std::net::TcpStream::connect_timeout(&address, patience));
            })?;
            tried += 1;
        } else if tried == 0 {
            return Err(failed);
        }
        let wait = if left.len() > 0 { HEAD_START } else { patience * 2 };
        match answers.recv_timeout(wait) {
            Ok(Ok(stream)) => return Ok(stream),
            Ok(Err(e)) => {
                // That nobody listens there is only so if all addresses say so.
                let is_refused = e.kind() == ErrorKind::ConnectionRefused;
                if !is_refused || matches!(failed.kind(), ErrorKind::NotFound | ErrorKind::ConnectionRefused) {
                    failed = e;
                }
                tried -= 1;
            }
            Err(_) => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use socket2::{Domain, Socket, Type};

    use super::*;
    use crate::client::wire::server::Named;

    fn clear(address: &str) -> Server {
        Server { address: address.parse::<Named>().unwrap().clear(), wire: Wire::Clear }
    }

    /// An address at which nobody refuses and nobody answers: its queue is full.
    fn dead() -> (Socket, Vec<std::net::TcpStream>, SocketAddr) {
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
        socket.bind(&SocketAddr::from(([127, 0, 0, 1], 0)).into()).unwrap();
        socket.listen(0).unwrap();
        let address = socket.local_addr().unwrap().as_socket().unwrap();
        let soon = Duration::from_millis(300);
        let waiting = std::iter::from_fn(|| std::net::TcpStream::connect_timeout(&address, soon).ok()).collect();
        (socket, waiting, address)
    }

    #[test]
    fn a_dead_address_holds_up_no_other() {
        let long = Duration::from_secs(3600);
        let (_socket, _waiting, dead) = dead();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let good = listener.local_addr().unwrap();
        for addresses in [vec![good], vec![dead, good], vec![good, dead], vec![dead, dead, good]] {
            assert_eq!(first_of(addresses, long).unwrap().peer_addr().unwrap(), good);
        }
        drop(listener);
        // One that refuses does not hide that another answers, and all that fail have an end.
        let other = TcpListener::bind("127.0.0.1:0").unwrap();
        let other = other.local_addr().map(|address| (other, address)).unwrap();
        assert_eq!(first_of(vec![good, dead, other.1], long).unwrap().peer_addr().unwrap(), other.1);
        assert_eq!(first_of(vec![good, good], long).unwrap_err().kind(), ErrorKind::ConnectionRefused);
        assert_eq!(first_of(vec![dead], Duration::from_millis(50)).unwrap_err().kind(), ErrorKind::TimedOut);
        assert_eq!(first_of(Vec::new(), long).unwrap_err().kind(), ErrorKind::NotFound);
    }

    #[test]
    fn a_line_is_tried_at_once_after_a_sleep() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let (start, today) = (Instant::now(), SystemTime::now());
        let mut link = Link::new(clear(&listener.local_addr().unwrap().to_string()), start).unwrap();
        link.clocks = (start, today);
        while link.change(Instant::now()).is_none() {
            link.wait(None).unwrap();
        }
        let at = |seconds: u64, slept: u64| {
            (start + Duration::from_secs(seconds), today + Duration::from_secs(seconds + slept))
        };
        link.heard = start;
        let mut is_asked = |(now, today)| link.is_silent(now, today);
        assert!(!is_asked(at(5, 0)) && !is_asked(at(10, 1)), "a clock that is set a little is no sleep");
        assert!(is_asked(at(11, 3_600)) && !is_asked(at(12, 3_600)), "it is asked once");
        assert!(!is_asked(at(13, 0)), "a clock that is set back is no sleep");
        let is_lost = |link: &mut Link, seconds| matches!(link.change(at(seconds, 0).0), Some(LinkChange::Down(_)));
        assert!(!is_lost(&mut link, 16) && is_lost(&mut link, 17), "it is lost within seconds");
    }

    #[test]
    fn a_server_that_is_started_anew_is_tried_every_second() {
        let start = Instant::now();
        let mut link = Link::new(clear("127.0.0.1:1"), start).unwrap();
        let wait = |link: &mut Link, second: u64, has_spoken: bool| {
            let now = start + Duration::from_secs(second);
            link.has_spoken = has_spoken;
            link.lose(String::new(), now);
            link.next_try.unwrap() - now
        };
        let (second, restart) = (Duration::from_secs(1), RESTART.as_secs());
        assert!(wait(&mut link, 0, true) <= AT_ONCE);
        assert!((0..restart).all(|at| wait(&mut link, at, false) <= second));
        assert!((0..5).any(|_| wait(&mut link, restart, false) > 4 * second));
        // One that is there and lets nobody in is left alone for longer, however soon.
        link.is_good();
        let waits: Vec<_> = (0..7).map(|_| wait(&mut link, 0, true)).collect();
        assert!(waits[0] <= AT_ONCE && waits[6] > 10 * second, "{waits:?}");
    }

    #[test]
    fn pauses_get_longer_and_differ() {
        for (tries, most) in [(0, 50), (1, 1_000), (2, 2_000), (5, 16_000), (6, 30_000), (1000, 30_000)] {
            let most = Duration::from_millis(most);
            let least = if tries == 0 { Duration::ZERO } else { most / 2 };
            let pauses: Vec<_> = (0..50).map(|_| pause(tries)).collect();
            assert!(pauses.iter().all(|&pause| least <= pause && pause <= most), "{pauses:?}");
            assert!(pauses.iter().any(|&pause| pause != pauses[0]), "{pauses:?}");
        }
    }
}
