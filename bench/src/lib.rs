//! What the load programs share: a real server, connections without threads, chance, and what the system knows of the
//! server's process.
#![forbid(unsafe_code)]

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{Shutdown, SocketAddr};
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use fastrand::Rng;
use mio::net::TcpStream;
use mio::{Interest, Registry, Token};
use rustix::process::{Pid, Resource, Rlimit, Signal, getrlimit, kill_process, setrlimit};
use socket2::{Domain, Socket, Type};

/// What went wrong is told in words, as there is nothing to do about it but to say so.
pub type Outcome<T> = Result<T, String>;

/// Makes words of an error: what was tried, and why it failed.
pub fn failed<E: std::fmt::Display>(what: &str) -> impl Fn(E) -> String + '_ {
    move |e| format!("{what}: {e}")
}

/// Lets this process, and what it starts, have as many descriptors as the system allows.
pub fn raise_limit(needed: u64) -> Outcome<()> {
    let Rlimit { maximum, .. } = getrlimit(Resource::Nofile);
    setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum }).map_err(failed("the limit of descriptors"))?;
    match maximum {
        Some(maximum) if maximum < needed => Err(format!("this needs {needed} descriptors: ulimit -Hn says {maximum}")),
        _ => Ok(()),
    }
}

/// A server of the program's own, the release binary. It is killed when this goes.
pub struct Server {
    child: Child,
    /// Where it listens.
    pub address: SocketAddr,
}

impl Server {
    /// Starts `chinwag serve` on a free port, with these options besides.
    pub fn start(options: &[&str]) -> Outcome<Self> {
        let mut command = Command::new(binary()?);
        command.args(["serve", "--listen", "127.0.0.1:0"]).args(options).stdout(Stdio::piped());
        if std::env::var_os("RUST_LOG").is_none() {
            command.env("RUST_LOG", "warn");
        }
        let mut child = command.spawn().map_err(failed("the server does not start"))?;
        let mut line = String::new();
        if let Some(out) = child.stdout.take() {
            BufReader::new(out).read_line(&mut line).map_err(failed("the server says nothing"))?;
        }
        match line.trim().strip_prefix("listening ").and_then(|address| address.parse().ok()) {
            Some(address) => Ok(Self { child, address }),
            None => {
                let _ = child.kill();
                let _ = child.wait();
                Err(format!("the server did not start: {line:?}"))
            }
        }
    }

    /// How it ended, if it has.
    pub fn ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().ok().flatten()
    }

    /// Asks it to end, waits for that, and takes nothing but 0 for an answer.
    pub fn stop(mut self) -> Outcome<()> {
        if let Some(status) = self.ended() {
            return Err(format!("the server had ended before: {status}"));
        }
        let pid = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw).ok_or("the server has no process ID")?;
        kill_process(pid, Signal::TERM).map_err(failed("SIGTERM"))?;
        let since = Instant::now();
        while since.elapsed() < Duration::from_secs(30) {
            match self.ended() {
                Some(status) if status.success() => return Ok(()),
                Some(status) => return Err(format!("the server ended with {status} on SIGTERM")),
                None => std::thread::sleep(Duration::from_millis(20)),
            }
        }
        Err("the server does not end within 30 s of SIGTERM".into())
    }

    /// What its descriptors are, each in a word or as a path.
    pub fn open(&self) -> Outcome<Vec<String>> {
        let entries =
            std::fs::read_dir(format!("/proc/{}/fd", self.child.id())).map_err(failed("the server's /proc"))?;
        let links = entries.flatten().filter_map(|entry| std::fs::read_link(entry.path()).ok());
        Ok(links.map(|link| link.display().to_string()).collect())
    }

    /// How many sockets it has.
    pub fn sockets(&self) -> Outcome<usize> {
        Ok(self.open()?.iter().filter(|what| what.starts_with("socket:")).count())
    }

    /// What the system knows of its process now.
    pub fn usage(&self) -> Outcome<Usage> {
        Usage::of(self.child.id()).map_err(failed("the server's /proc"))
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The server's binary: what CHINWAG names, or what was built beside this program.
pub fn binary() -> Outcome<PathBuf> {
    if let Some(path) = std::env::var_os("CHINWAG") {
        return Ok(path.into());
    }
    let own = std::env::current_exe().map_err(failed("this program's path"))?;
    let path = own.parent().map(|dir| dir.join("chinwag")).filter(|path| path.exists());
    path.ok_or_else(|| "there is no chinwag beside this program; build it, or name one in CHINWAG".into())
}

/// What a process uses.
#[derive(Clone, Copy, Debug)]
pub struct Usage {
    /// Kilobytes that it holds.
    pub resident: u64,
    /// The most kilobytes that it ever held.
    pub peak: u64,
    /// Open descriptors.
    pub descriptors: usize,
    /// Processor time of all its threads.
    pub processor: Duration,
}

impl Usage {
    fn of(pid: u32) -> io::Result<Self> {
        let status = std::fs::read_to_string(format!("/proc/{pid}/status"))?;
        let kilobytes = |name: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(name));
            line.and_then(|line| line.split_whitespace().next()).and_then(|n| n.parse().ok()).unwrap_or(0)
        };
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat"))?;
        // The name of the program stands in brackets and may hold anything. The times are the 12th and 13th field after
        // it, in hundredths of a second.
        let after = stat.rsplit(')').next().unwrap_or_default();
        let ticks: u64 = after.split_whitespace().skip(11).take(2).filter_map(|n| n.parse::<u64>().ok()).sum();
        Ok(Self {
            resident: kilobytes("VmRSS:"),
            peak: kilobytes("VmHWM:"),
            descriptors: std::fs::read_dir(format!("/proc/{pid}/fd"))?.count(),
            processor: Duration::from_millis(ticks * 10),
        })
    }
}

/// Connects from one of several addresses, as one has ports for only so many connections. A small `buffer` makes the
/// peer feel at once that nothing is read.
pub fn connect(to: SocketAddr, n: usize, buffer: Option<usize>) -> io::Result<TcpStream> {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None)?;
    if let Some(size) = buffer {
        socket.set_recv_buffer_size(size)?;
    }
    // All are written with the same number of characters, which IRC servers show.
    let from = SocketAddr::from(([127, 0, 0, 10 + (n % 16) as u8], 0));
    socket.bind(&from.into())?;
    // On the loopback this is done when the system has queued it, whether the server accepts yet or not.
    socket.connect(&to.into())?;
    socket.set_nonblocking(true)?;
    socket.set_tcp_nodelay(true)?;
    Ok(TcpStream::from_std(socket.into()))
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
