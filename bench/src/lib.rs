//! What the load programs share: many connections without threads, and how to say what went wrong.
#![forbid(unsafe_code)]

use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr};
use std::time::{Duration, Instant};

use fastrand::Rng;
use mio::net::TcpStream;
use mio::{Interest, Registry, Token};
use testkit::Server;
pub use testkit::raise_limit;

/// What went wrong is told in words, as there is nothing to do about it but to say so.
pub type Outcome<T> = Result<T, String>;

/// Makes words of an error: what was tried, and why it failed.
pub fn failed<E: std::fmt::Display>(what: &str) -> impl Fn(E) -> String + '_ {
    move |e| format!("{what}: {e}")
}

/// Asks a server to end, waits for that, and takes nothing but 0 for an answer.
pub fn stop(mut server: Server) -> Outcome<()> {
    if let Some(status) = server.ended() {
        return Err(format!("the server had ended before: {status}"));
    }
    server.signal("TERM");
    let since = Instant::now();
    while since.elapsed() < Duration::from_secs(30) {
        match server.ended() {
            Some(status) if status.success() => return Ok(()),
            Some(status) => return Err(format!("the server ended with {status} on SIGTERM")),
            None => std::thread::sleep(Duration::from_millis(20)),
        }
    }
    Err("the server does not end within 30 s of SIGTERM".into())
}

/// How many sockets a server has.
pub fn sockets(server: &Server) -> Outcome<usize> {
    Ok(server.open().map_err(failed("the server's /proc"))?.iter().filter(|what| what.starts_with("socket:")).count())
}

/// Connects from one of several addresses, see [`testkit::connect`].
pub fn connect(to: SocketAddr, n: usize, buffer: Option<usize>) -> io::Result<TcpStream> {
    let stream = testkit::connect(to, n, buffer)?;
    stream.set_nonblocking(true)?;
    Ok(TcpStream::from_std(stream))
}

/// What came of reading.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Flow {
    /// There may be more, now or later.
    Open,
    /// The other side has ended.
    Ended,
}

/// One connection: what waits to be written, and what was read and is no whole line yet.
pub struct Peer {
    /// The socket.
    pub stream: TcpStream,
    out: Vec<u8>,
    input: Vec<u8>,
    /// Whether there may be something to read; mio tells it only once.
    pub readable: bool,
}

impl Peer {
    /// Takes a connected socket, and waits for its events under this number.
    pub fn new(mut stream: TcpStream, registry: &Registry, n: usize) -> io::Result<Self> {
        registry.register(&mut stream, Token(n), Interest::READABLE | Interest::WRITABLE)?;
        Ok(Self { stream, out: Vec::new(), input: Vec::new(), readable: false })
    }

    /// Queues a line.
    pub fn send(&mut self, line: &str) {
        self.out.extend_from_slice(line.as_bytes());
        self.out.push(b'\n');
    }

    /// Writes what the socket takes.
    pub fn flush(&mut self) -> io::Result<()> {
        let mut written = 0;
        while written < self.out.len() {
            match self.stream.write(&self.out[written..]) {
                Ok(n) => written += n,
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => break,
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) => return Err(e),
            }
        }
        self.out.drain(..written);
        Ok(())
    }

    /// Reads what there is, but not more than about `most` bytes.
    pub fn fill(&mut self, scratch: &mut [u8], most: usize) -> io::Result<Flow> {
        let mut left = most;
        while self.readable && left > 0 {
            let room = left.min(scratch.len());
            match self.stream.read(&mut scratch[..room]) {
                Ok(0) => return Ok(Flow::Ended),
                Ok(n) => {
                    left -= n;
                    self.input.extend_from_slice(&scratch[..n]);
                }
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => self.readable = false,
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) => return Err(e),
            }
        }
        Ok(Flow::Open)
    }

    /// Takes out the whole lines that were read, in one block.
    pub fn take_lines(&mut self) -> Outcome<String> {
        let Some(end) = self.input.iter().rposition(|byte| *byte == b'\n') else { return Ok(String::new()) };
        let rest = self.input.split_off(end + 1);
        let block = std::mem::replace(&mut self.input, rest);
        String::from_utf8(block).map_err(failed("a line of the server is no UTF-8"))
    }

    /// Says that nothing more will be sent.
    pub fn end(&self) -> io::Result<()> {
        self.stream.shutdown(Shutdown::Write)
    }

    /// Breaks the connection, so that the other side gets a reset.
    pub fn reset(self) -> io::Result<()> {
        socket2::SockRef::from(&self.stream).set_linger(Some(Duration::ZERO))
    }
}

/// A time between the two.
pub fn between(chance: &mut Rng, least: Duration, most: Duration) -> Duration {
    Duration::from_micros(chance.u64(least.as_micros() as u64..=most.as_micros() as u64))
}
