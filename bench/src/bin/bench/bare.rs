//! The bare loop: what a server costs that knows nothing. It reads, and writes each line to each socket, with no more
//! system calls than that takes. This is the limit that chinwag is held against.

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpListener};
use std::time::Duration;

use mio::net::TcpStream;
use mio::{Events, Interest, Poll, Token};
use rustix::fs::sendfile;
use socket2::{Domain, Socket, Type};

use super::file::Blocks;
use chinwag_bench::{Outcome, failed};

/// The greeting and the reply have the length of chinwag's.
const GREETING: &[u8] =
    b"* hello guest12345 chinwag/0.2.0 12345 online; /join #lobby to talk, /nick NAME to be known, \
    /help for the rest\n";
/// Lines that are too few for a whole write are written when nothing has come for so long.
const SCRAPS: Duration = Duration::from_millis(5);
const LISTENER: Token = Token(usize::MAX);

/// Who hears what is said.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Hearers {
    /// Everybody, so many lines a write.
    Everybody(usize),
    /// The other of a pair: they came in one after the other.
    Partner,
}

/// Passes on what people say.
pub fn talk(hearers: Hearers) -> Outcome<()> {
    let mut poll = Poll::new().map_err(failed("epoll"))?;
    let listener = listen()?;
    listener.set_nonblocking(true).map_err(failed("the listener"))?;
    let mut listener = mio::net::TcpListener::from_std(listener);
    poll.registry().register(&mut listener, LISTENER, Interest::READABLE).map_err(failed("epoll"))?;
    let mut events = Events::with_capacity(1024);
    let mut sockets: Vec<TcpStream> = Vec::new();
    let mut scratch = vec![0; 64 * 1024];
    let (mut gathered, mut count) = (Vec::new(), 0);
    loop {
        poll.poll(&mut events, (count > 0).then_some(SCRAPS)).map_err(failed("epoll"))?;
        if events.is_empty() && count > 0 {
            spread(&mut sockets, &mut gathered)?;
            count = 0;
        }
        for event in &events {
            if event.token() == LISTENER {
                while let Ok((mut socket, _)) = listener.accept() {
                    socket.set_nodelay(true).map_err(failed("a socket"))?;
                    let token = Token(sockets.len());
                    poll.registry().register(&mut socket, token, Interest::READABLE).map_err(failed("epoll"))?;
                    put(&mut socket, GREETING)?;
                    sockets.push(socket);
                }
                continue;
            }
            let Token(who) = event.token();
            loop {
                let n = match sockets[who].read(&mut scratch) {
                    Ok(n) => n,
                    Err(e) if e.kind() == ErrorKind::WouldBlock => break,
                    Err(e) => return Err(format!("reading: {e}")),
                };
                // What is said here fits into one read, always.
                for line in scratch[..n].split_inclusive(|byte| *byte == b'\n') {
                    if let Some(command) = line.strip_prefix(b"/") {
                        put(&mut sockets[who], &[b"+ ", command].concat())?;
                        continue;
                    }
                    if hearers == Hearers::Partner {
                        put(&mut sockets[who ^ 1], line)?;
                        continue;
                    }
                    gathered.extend_from_slice(line);
                    count += 1;
                    if hearers == Hearers::Everybody(count) {
                        spread(&mut sockets, &mut gathered)?;
                        count = 0;
                    }
                }
                if n < scratch.len() {
                    break;
                }
            }
        }
    }
}

/// Writes what was gathered to everybody.
fn spread(sockets: &mut [TcpStream], gathered: &mut Vec<u8>) -> Outcome<()> {
    sockets.iter_mut().try_for_each(|socket| put(socket, gathered))?;
    gathered.clear();
    Ok(())
}

/// Writes all of it; there is always room.
fn put(socket: &mut TcpStream, bytes: &[u8]) -> Outcome<()> {
    match socket.write(bytes) {
        Ok(n) if n == bytes.len() => Ok(()),
        Ok(n) => Err(format!("a socket takes {n} of {} bytes", bytes.len())),
        Err(e) => Err(format!("writing: {e}")),
    }
}

/// Sends a file, as often as it is asked: `lines COUNT GATHER` is answered with so many lines that are ready in memory,
/// so many a write, `raw COUNT 0` with the same bytes out of a file on disk.
pub fn files() -> Outcome<()> {
    let (mut socket, _) = listen()?.accept().map_err(failed("accepting"))?;
    socket.set_nodelay(true).map_err(failed("a socket"))?;
    let mut file = tempfile::tempfile().map_err(failed("a temporary file"))?;
    let (mut blocks, mut lines, mut order) = (Blocks::new("=1 "), Vec::new(), [0; 64]);
    loop {
        let n = socket.read(&mut order).map_err(failed("an order"))?;
        let words = String::from_utf8_lossy(&order[..n]).into_owned();
        let words: Vec<&str> = words.split(' ').collect();
        let [what, count, gather] = words[..] else { return Ok(()) };
        // They are made when they are asked for the first time.
        if lines.is_empty() {
            for n in 0..count.parse().map_err(failed("an order"))? {
                lines.extend_from_slice(blocks.lines(n, 1));
            }
            file.write_all(&lines).map_err(failed("the file"))?;
        }
        if what == "lines" {
            let gather: usize = gather.parse().map_err(failed("an order"))?;
            for chunk in lines.chunks(gather * blocks.len()) {
                socket.write_all(chunk).map_err(failed("sending"))?;
            }
            continue;
        }
        let (mut at, end) = (0, lines.len() as u64);
        while at < end {
            let left = (end - at) as usize;
            sendfile(&socket, &file, Some(&mut at), left).map_err(failed("sendfile"))?;
        }
    }
}

/// Listens on a free port, and tells which.
fn listen() -> Outcome<TcpListener> {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).map_err(failed("a socket"))?;
    socket.bind(&SocketAddr::from(([127, 0, 0, 1], 0)).into()).map_err(failed("a port"))?;
    socket.listen(4096).map_err(failed("listening"))?;
    let listener = TcpListener::from(socket);
    println!("listening {}", listener.local_addr().map_err(failed("a port"))?);
    Ok(listener)
}
