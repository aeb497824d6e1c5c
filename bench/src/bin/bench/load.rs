//! The load: many connections, one thread, and as little work a line as can be, so that the server is the slow one.

use std::io::{ErrorKind, Read, Write};
use std::ops::Range;
use std::time::{Duration, Instant};

use mio::{Events, Interest, Poll, Token};

use super::dialect::{Dialect, lines, name};
use super::host::Host;
use super::wire::Stream;
use chinwag_bench::{Outcome, connect, failed};

/// Read at once from a connection. It is one buffer for all of them.
const READ: usize = 256 * 1024;
/// So long a server may say nothing while something is due.
pub const PATIENCE: Duration = Duration::from_secs(60);
/// Nothing has come for so long: it has said all that it will by itself. Presence is gathered for a quarter of a
/// second.
const SETTLED: Duration = Duration::from_millis(350);
/// Nothing has come for so long behind the last line that was due: none comes twice.
const REST: Duration = Duration::from_millis(100);
/// The buffer of those who may be told not to read; what they do not read is soon the server's.
const SMALL: usize = 4096;

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
    /// What each sends together with its name.
    pub besides: &'static str,
    /// From this connection on the buffers are small.
    pub small_from: usize,
    /// From this connection on nobody reads any more.
    pub deaf_from: usize,
    /// Connections that have ended, as was asked for.
    pub left: usize,
    /// So much longer than the system needs each read takes.
    pub toil: Duration,
}

struct Link {
    /// None after it has ended.
    stream: Option<Stream>,
    /// The beginning of a line that has not ended yet.
    partial: Vec<u8>,
    /// The server is asked to end it.
    leaves: bool,
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
            besides: "",
            small_from: usize::MAX,
            deaf_from: usize::MAX,
            left: 0,
            toil: Duration::ZERO,
        })
    }

    /// So many connections there are.
    pub fn len(&self) -> usize {
        self.links.len()
    }

    /// Connects one more.
    pub fn connect(&mut self, host: &Host) -> Outcome<()> {
        let who = self.links.len();
        let buffer = (who >= self.small_from).then_some(SMALL);
        let socket = connect(host.address, who, buffer).map_err(failed("a connection"))?;
        let mut stream = Stream::new(socket, &host.opening)?;
        let interest = Interest::READABLE | Interest::WRITABLE;
        self.poll.registry().register(stream.socket(), Token(who), interest).map_err(failed("epoll"))?;
        self.links.push(Link { stream: Some(stream), partial: Vec::new(), leaves: false });
        self.out.waiting.push(Vec::new());
        Ok(())
    }

    /// Queues bytes, to be written in the next turn.
    pub fn say(&mut self, who: usize, bytes: impl AsRef<[u8]>) {
        self.out.say(who, bytes);
    }

    /// Writes what waits, waits until `until` for something to come, and hands over the whole lines: whose they are,
    /// when they were read, and where to put an answer. Says whether anything has happened.
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
            if event.is_writable() {
                if let Some(stream) = &mut link.stream {
                    stream.flush().map_err(failed(&name(who)))?;
                }
                if !self.out.waiting[who].is_empty() {
                    self.out.who.push(who);
                }
            }
            if !event.is_readable() || who >= self.deaf_from {
                continue;
            }
            while let Some(stream) = &mut link.stream {
                let kept = link.partial.len();
                self.scratch[..kept].copy_from_slice(&link.partial);
                let n = match stream.read(&mut self.scratch[kept..]) {
                    Ok(0) if link.leaves => {
                        (link.stream, self.left) = (None, self.left + 1);
                        break;
                    }
                    Ok(0) => return Err(format!("the server closed the connection of {}", name(who))),
                    Ok(n) => n,
                    Err(e) if e.kind() == ErrorKind::WouldBlock => break,
                    Err(e) if e.kind() == ErrorKind::Interrupted => continue,
                    Err(e) => return Err(format!("the connection of {}: {e}", name(who))),
                };
                let since = Instant::now();
                while since.elapsed() < self.toil {
                    std::hint::spin_loop();
                }
                let read = &self.scratch[..kept + n];
                let whole = read.iter().rposition(|byte| *byte == b'\n').map_or(0, |end| end + 1);
                link.partial.clear();
                link.partial.extend_from_slice(&read[whole..]);
                if whole > 0 {
                    take(&mut self.out, who, &read[..whole], Instant::now())?;
                }
                // Less than there was room for is all; what comes later brings an event of its own. The end may have
                // come before.
                if kept + n < READ && !event.is_read_closed() {
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
            while let Some(stream) = self.links[who].stream.as_mut().filter(|_| !waiting.is_empty()) {
                match stream.write(waiting) {
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
                return Err(format!("waiting {what}: nothing has come for {} s", PATIENCE.as_secs()));
            }
        }
        Ok(())
    }

    /// Connects so many more people, each of whom takes a name. At most as many as the server bears are on their way in
    /// at once.
    pub fn arrive(&mut self, host: &Host, more: usize) -> Outcome<()> {
        let (dialect, count) = (self.dialect, self.len() + more);
        let mut named = self.len();
        while named < count {
            while self.len() < count && self.len() - named < host.pace {
                let who = self.len();
                self.connect(host)?;
                self.say(who, dialect.enter(who) + self.besides);
                // Written at once, as a client would.
                self.flush()?;
            }
            let happened = self.turn(Instant::now() + PATIENCE, |out, who, block, _| {
                for line in lines(block) {
                    named += usize::from(dialect.has_entered(line));
                    heed(dialect, out, who, line)?;
                }
                Ok(())
            })?;
            if !happened {
                return Err(format!("{named} of {count} have come in, and then nobody more"));
            }
        }
        Ok(())
    }

    /// Has everybody of a range ask for something, and waits until each is told that it is done.
    pub fn ask(
        &mut self,
        who: Range<usize>,
        ask: impl Fn(usize) -> String,
        is_done: impl Fn(&[u8]) -> bool,
    ) -> Outcome<()> {
        let (dialect, mut due) = (self.dialect, who.len());
        for who in who {
            self.say(who, ask(who));
        }
        self.until("for an answer", |out, who, block, _| {
            for line in lines(block) {
                due -= usize::from(is_done(line));
                heed(dialect, out, who, line)?;
            }
            Ok(if due == 0 { Flow::Done } else { Flow::More })
        })
    }

    /// Lets the first `count` enter the room.
    pub fn join(&mut self, count: usize) -> Outcome<()> {
        let dialect = self.dialect;
        self.ask(0..count, |_| dialect.join(), |line| dialect.has_joined(line))
    }

    /// Has a range of people leave the server.
    pub fn leave(&mut self, who: Range<usize>) -> Outcome<()> {
        let all = self.left + who.len();
        for who in who {
            self.links[who].leaves = true;
            self.say(who, "/quit\n");
        }
        while self.left < all {
            if !self.turn(Instant::now() + PATIENCE, |_, _, _, _| Ok(()))? {
                return Err(format!("{} of {all} have left, and then nobody more", self.left));
            }
        }
        Ok(())
    }

    /// Takes turns for a moment longer, for what should not come.
    pub fn rest(&mut self, mut take: impl FnMut(&mut Out, usize, &[u8], Instant) -> Outcome<()>) -> Outcome<()> {
        while self.turn(Instant::now() + REST, &mut take)? {}
        Ok(())
    }

    /// Reads on until the server has nothing more to say by itself.
    pub fn settle(&mut self) -> Outcome<()> {
        let dialect = self.dialect;
        while self.turn(Instant::now() + SETTLED, |out, who, block, _| {
            lines(block).try_for_each(|line| heed(dialect, out, who, line))
        })? {}
        Ok(())
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
