//! The connection to the server, made again whenever it is lost: bytes in, lines out, and the waiting for both.

use std::borrow::Cow;
use std::io::{self, ErrorKind, Read, Write};
use std::net::ToSocketAddrs;
use std::sync::mpsc::{self, Receiver, TryRecvError};
use std::thread;
use std::time::{Duration, Instant};

use mio::event::Source;
use mio::net::TcpStream;
use mio::{Events, Interest, Poll, Token, Waker};

use crate::limits::{READ_A_TURN, SERVER_LINE};
use crate::linebuf::{Line, LineBuf};
use crate::listener;
use crate::names::clean;

/// How long one address is tried.
const PATIENCE: Duration = Duration::from_secs(10);
/// How long the server may say nothing and take nothing before it should be asked whether it is there.
const SILENCE: Duration = Duration::from_secs(25);
/// How long it may take to answer that before it is given up.
const LOST: Duration = Duration::from_secs(35);
/// The longest wait between two tries, in seconds.
const LONGEST: u64 = 30;
/// Bytes that may wait to be sent. While there are more, nothing is read, so that no server can have us answer more than
/// it takes.
const UNSENT: usize = 1024 * 1024;

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
    /// Where the server is, as HOST:PORT.
    address: String,
    poll: Poll,
    events: Events,
    stream: Option<TcpStream>,
    connecting: Option<Receiver<io::Result<std::net::TcpStream>>>,
    waker: std::sync::Arc<Waker>,
    next_try: Option<Instant>,
    tries: u32,
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
    /// When it was asked since then whether it is there.
    asked: Option<Instant>,
}

impl Link {
    /// A link to the server at `address`, which is tried at the first [`Link::wait`].
    pub fn new(address: String, now: Instant) -> io::Result<Self> {
        let poll = Poll::new()?;
        let waker = std::sync::Arc::new(Waker::new(poll.registry(), CONNECTED)?);
        Ok(Self {
            address,
            poll,
            events: Events::with_capacity(16),
            stream: None,
            connecting: None,
            waker,
            next_try: Some(now),
            tries: 0,
            lines: LineBuf::new(SERVER_LINE),
            readable: false,
            ended: None,
            out: Vec::new(),
            written: 0,
            is_full: false,
            heard: now,
            asked: None,
        })
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

    /// The connection has proved good, so the next loss is answered by a try after a second.
    pub fn is_good(&mut self) {
        self.tries = 0;
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
        let silent = self.stream.is_some().then(|| self.asked.map_or(self.heard + SILENCE, |asked| asked + LOST));
        let until = [until, self.next_try, silent].into_iter().flatten().min();
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
                Err(e) => Some(self.lose(listener::reason(&e), now)),
            };
        }
        let silent = self.stream.is_some() && self.asked.is_some_and(|asked| now >= asked + LOST);
        let silent = silent.then(|| "the server says nothing any more".to_owned());
        self.ended.take().or(silent).map(|why| self.lose(why, now))
    }

    /// Whether the server has been silent for so long that it should be asked whether it is there. It says so once.
    pub fn is_silent(&mut self, now: Instant) -> bool {
        let is_silent = now.saturating_duration_since(self.heard) >= SILENCE;
        let is_due = self.stream.is_some() && self.asked.is_none() && is_silent;
        if is_due {
            self.asked = Some(now);
        }
        is_due
    }

    fn hear(&mut self) {
        self.heard = Instant::now();
        self.asked = None;
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
        }
    }

    /// Looks the server up and connects, in a thread of its own, as looking up cannot be waited for in any other way.
    fn connect(&self) -> io::Result<Receiver<io::Result<std::net::TcpStream>>> {
        let (sender, receiver) = mpsc::channel();
        let (address, waker) = (self.address.clone(), self.waker.clone());
        thread::Builder::new().name("connect".to_owned()).spawn(move || {
            let _ = sender.send(connect(&address));
            let _ = waker.wake();
        })?;
        Ok(receiver)
    }

    fn begin(&mut self, stream: std::net::TcpStream) -> io::Result<()> {
        stream.set_nonblocking(true)?;
        let mut stream = TcpStream::from_std(stream);
        // Whether the server is still there is found out by asking it, as a person's program may.
        listener::set_options(&stream, None)?;
        self.poll.registry().register(&mut stream, SOCKET, Interest::READABLE | Interest::WRITABLE)?;
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
        self.next_try = Some(now + Duration::from_secs((1 << self.tries.min(5)).min(LONGEST)));
        self.tries += 1;
        LinkChange::Down(why)
    }
}

/// Connects to the first address of `host` that answers.
pub fn connect(address: &str) -> io::Result<std::net::TcpStream> {
    let mut failed = None;
    for address in address.to_socket_addrs()? {
        match std::net::TcpStream::connect_timeout(&address, PATIENCE) {
            Ok(stream) => return Ok(stream),
            Err(e) => failed = Some(e),
        }
    }
    Err(failed.unwrap_or_else(|| io::Error::new(ErrorKind::NotFound, "it has no address")))
}
