//! The load: many connections, one thread, and as little work a line as can be, so that the server is the slow one.

use std::io::{ErrorKind, Read, Write};
use std::time::{Duration, Instant};

use mio::net::TcpStream;
use mio::{Events, Interest, Poll, Token};

use super::dialect::{Dialect, lines, name};
use super::host::Host;
use crate::common::{Outcome, connect, failed};

/// Read at once from a connection. It is one buffer for all of them.
const READ: usize = 256 * 1024;
/// So long a server may say nothing while something is due.
pub const PATIENCE: Duration = Duration::from_secs(60);
/// Nothing has come for so long: it has said all that it will by itself. Presence is gathered for a quarter of a second.
const REST: Duration = Duration::from_millis(500);

/// All connections to one server.
pub struct Load {
    poll: Poll,
    events: Events,
    scratch: Vec<u8>,
    links: Vec<Link>,
    /// What waits to be written, in the next turn.
    pub out: Out,
    /// What the server speaks.
    pub dialect: Dialect,
}

struct Link {
    stream: TcpStream,
    /// The beginning of a line that has not ended yet.
    partial: Vec<u8>,
}

/// What waits to be written.
#[derive(Default)]
pub struct Out {
    waiting: Vec<Vec<u8>>,
    who: Vec<usize>,
}

impl Out {
    /// Queues bytes, to be written when all that has come was read.
    pub fn say(&mut self, who: usize, bytes: impl AsRef<[u8]>) {
        self.waiting[who].extend_from_slice(bytes.as_ref());
        self.who.push(who);
    }
}

impl Load {
    /// Without a connection yet.
    pub fn new(dialect: Dialect) -> Outcome<Self> {
        Ok(Self {
            poll: Poll::new().map_err(failed("epoll"))?,
            events: Events::with_capacity(4096),
            scratch: vec![0; READ],
            links: Vec::new(),
            out: Out::default(),
            dialect,
        })
    }

    /// So many connections there are.
    pub fn len(&self) -> usize {
        self.links.len()
    }

    /// Connects one more.
    pub fn connect(&mut self, host: &Host, buffer: Option<usize>) -> Outcome<()> {
        let who = self.links.len();
        let mut stream = connect(host.address, who, buffer).map_err(failed("a connection"))?;
        let interest = Interest::READABLE | Interest::WRITABLE;
        self.poll.registry().register(&mut stream, Token(who), interest).map_err(failed("epoll"))?;
        self.links.push(Link { stream, partial: Vec::new() });
        self.out.waiting.push(Vec::new());
        Ok(())
    }

    /// Queues bytes, to be written in the next turn.
    pub fn say(&mut self, who: usize, bytes: impl AsRef<[u8]>) {
        self.out.say(who, bytes);
    }

    /// Writes what waits, waits until `until` for something to come, and hands over the whole lines: whose they are, when
    /// they were read, and where to put an answer. Says whether anything has happened.
    pub fn turn(
        &mut self,
        until: Instant,
        mut take: impl FnMut(&mut Out, usize, &[u8], Instant) -> Outcome<()>,
    ) -> Outcome<bool> {
        self.flush()?;
        let timeout = until.saturating_duration_since(Instant::now());
        match self.poll.poll(&mut self.events, Some(timeout)) {
            Err(e) if e.kind() == ErrorKind::Interrupted => return Ok(true),
            other => other.map_err(failed("epoll"))?,
        }
        for event in &self.events {
            let Token(who) = event.token();
            let link = &mut self.links[who];
            if event.is_writable() && !self.out.waiting[who].is_empty() {
                self.out.who.push(who);
            }
            if !event.is_readable() {
                continue;
            }
            loop {
                let kept = link.partial.len();
                self.scratch[..kept].copy_from_slice(&link.partial);
                let n = match link.stream.read(&mut self.scratch[kept..]) {
                    Ok(0) => return Err(format!("the server closed the connection of {}", name(who))),
                    Ok(n) => n,
                    Err(e) if e.kind() == ErrorKind::WouldBlock => break,
                    Err(e) if e.kind() == ErrorKind::Interrupted => continue,
                    Err(e) => return Err(format!("the connection of {}: {e}", name(who))),
                };
                let read = &self.scratch[..kept + n];
                let whole = read.iter().rposition(|byte| *byte == b'\n').map_or(0, |end| end + 1);
                link.partial.clear();
                link.partial.extend_from_slice(&read[whole..]);
                if whole > 0 {
                    take(&mut self.out, who, &read[..whole], Instant::now())?;
                }
                // Less than there was room for is all; what comes later brings an event of its own.
                if kept + n < READ {
                    break;
                }
            }
        }
        Ok(!self.events.is_empty())
    }

    /// Writes what waits, as far as the sockets take it.
    pub fn flush(&mut self) -> Outcome<()> {
        for who in std::mem::take(&mut self.out.who) {
            let waiting = &mut self.out.waiting[who];
            while !waiting.is_empty() {
                match self.links[who].stream.write(waiting) {
                    Ok(n) => drop(waiting.drain(..n)),
                    Err(e) if e.kind() == ErrorKind::WouldBlock => break,
                    Err(e) if e.kind() == ErrorKind::Interrupted => {}
                    Err(e) => return Err(format!("writing for {}: {e}", name(who))),
                }
            }
        }
        Ok(())
    }

    /// Takes turns until `done` has nothing left to wait for; something must come at least every [`PATIENCE`].
    pub fn until(
        &mut self,
        what: &str,
        mut take: impl FnMut(&mut Out, usize, &[u8], Instant) -> Outcome<Flow>,
    ) -> Outcome<()> {
        let mut flow = Flow::More;
        while flow == Flow::More {
            let came = self.turn(Instant::now() + PATIENCE, |out, who, block, at| {
                if take(out, who, block, at)? == Flow::Done {
                    flow = Flow::Done;
                }
                Ok(())
            })?;
            if !came && flow == Flow::More {
                return Err(format!("{what}: nothing has come for {} s", PATIENCE.as_secs()));
            }
        }
        Ok(())
    }

    /// Connects people until there are `count`, each of whom takes a name and sends `besides` with it. At most as many as
    /// the server bears are on their way in at once.
    pub fn arrive(&mut self, host: &Host, count: usize, besides: &str) -> Outcome<()> {
        let dialect = self.dialect;
        let mut named = self.len();
        while named < count {
            while self.len() < count && self.len() - named < host.pace {
                self.connect(host, None)?;
                let who = self.len() - 1;
                self.say(who, dialect.enter(who));
                self.say(who, besides);
                // Written at once, as a client would.
                self.flush()?;
            }
            let came = self.turn(Instant::now() + PATIENCE, |out, who, block, _| {
                for line in lines(block) {
                    named += usize::from(dialect.has_entered(line));
                    heed(dialect, out, who, line)?;
                }
                Ok(())
            })?;
            if !came {
                return Err(format!("{named} of {count} have come in, and then nobody more"));
            }
        }
        Ok(())
    }

    /// Lets people enter the room, few at a time, until `count` are in it, beginning with the first.
    pub fn join(&mut self, count: usize) -> Outcome<()> {
        let dialect = self.dialect;
        let (mut asked, mut joined) = (0, 0);
        while joined < count {
            while asked < count && asked - joined < 32 {
                self.say(asked, dialect.join());
                asked += 1;
            }
            let came = self.turn(Instant::now() + PATIENCE, |out, who, block, _| {
                for line in lines(block) {
                    joined += usize::from(dialect.has_joined(line));
                    heed(dialect, out, who, line)?;
                }
                Ok(())
            })?;
            if !came {
                return Err(format!("{joined} of {count} have joined, and then nobody more"));
            }
        }
        Ok(())
    }

    /// Takes turns until nothing has come for a while.
    pub fn rest(&mut self, mut take: impl FnMut(&mut Out, usize, &[u8], Instant) -> Outcome<()>) -> Outcome<()> {
        while self.turn(Instant::now() + REST, &mut take)? {}
        Ok(())
    }

    /// Reads on until nothing has come for a while.
    pub fn settle(&mut self) -> Outcome<()> {
        let dialect = self.dialect;
        self.rest(|out, who, block, _| lines(block).try_for_each(|line| heed(dialect, out, who, line)))
    }
}

/// Whether there is more to wait for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Flow {
    /// There is.
    More,
    /// There is not.
    Done,
}

/// Answers what wants an answer in a line that is not looked at otherwise, and stops at a refusal.
pub fn heed(dialect: Dialect, out: &mut Out, who: usize, line: &[u8]) -> Outcome<()> {
    if dialect.is_trouble(line) {
        return Err(format!("{} is told {:?}", name(who), String::from_utf8_lossy(line)));
    }
    if dialect == Dialect::Irc
        && line.starts_with(b"PING ")
        && let Some(answer) = dialect.aside(line)?
    {
        out.say(who, answer);
    }
    Ok(())
}
