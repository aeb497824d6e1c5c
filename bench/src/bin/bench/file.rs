//! One file down one connection, as lines, and as raw bytes, every byte compared.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::figures::Figures;
use super::host::{Host, Meter, Spent};
use super::load::PATIENCE;
use super::peers::Peer;
use chinwag_bench::{Outcome, failed};

/// Bytes of the file in a line.
pub const BLOCK: usize = 12_288;
/// Lines at once: as many as go into 64 KiB but for what makes them lines.
const AT_ONCE: u64 = 4;

/// The file as lines. Each begins with its number, so that none can be lost, doubled or in another's place.
pub struct Blocks {
    lines: Vec<u8>,
    /// The length of one.
    len: usize,
    /// What stands before the base64.
    before: usize,
}

impl Blocks {
    /// Lines that begin so.
    pub fn new(before: &str) -> Self {
        let bytes = STANDARD.encode(testkit::noise(BLOCK, 1));
        let line = format!("{before}{bytes}\n");
        Self { len: line.len(), before: before.len(), lines: line.repeat(AT_ONCE as usize).into_bytes() }
    }

    /// The length of a line.
    pub fn len(&self) -> usize {
        self.len
    }

    /// So many lines, [`AT_ONCE`] at most, from the `first` on.
    pub fn lines(&mut self, first: u64, count: u64) -> &[u8] {
        for n in 0..count {
            let start = n as usize * self.len + self.before;
            let number = (first + n).to_be_bytes();
            // Six bytes are eight characters, exactly.
            let _ = STANDARD.encode_slice(&number[2..], &mut self.lines[start..start + 8]);
        }
        &self.lines[..count as usize * self.len]
    }
}

/// Reads lines and compares them.
struct Fetch {
    stream: TcpStream,
    scratch: Vec<u8>,
    blocks: Blocks,
}

impl Fetch {
    fn new(stream: TcpStream, id: &str) -> Self {
        Self { stream, scratch: vec![0; 256 * 1024], blocks: Blocks::new(&format!("={id} ")) }
    }

    /// Asks, skips the line that says yes where there is one, and takes so many lines. What comes behind them is
    /// `last`.
    fn fetch(&mut self, ask: &str, yes: &str, count: u64, last: &str) -> Outcome<()> {
        self.stream.write_all(ask.as_bytes()).map_err(failed("asking"))?;
        let (mut number, mut at, mut skipped, mut behind) = (0, 0, yes.is_empty(), Vec::new());
        while !skipped || number < count || behind.len() < last.len() {
            let n = self.stream.read(&mut self.scratch).map_err(failed("fetching"))?;
            if n == 0 {
                return Err("the server closed the connection".into());
            }
            let mut read = &self.scratch[..n];
            if !skipped {
                let end = read.iter().position(|byte| *byte == b'\n').ok_or("half a reply")?;
                if !read.starts_with(yes.as_bytes()) {
                    return Err(format!("{ask:?} is answered {:?}", String::from_utf8_lossy(&read[..end])));
                }
                (read, skipped) = (&read[end + 1..], true);
            }
            while !read.is_empty() && number < count {
                let line = &self.blocks.lines(number, 1)[at..];
                let len = line.len().min(read.len());
                if read[..len] != line[..len] {
                    return Err(format!("line {number} of the file is another"));
                }
                (read, at) = (&read[len..], at + len);
                if len == line.len() {
                    (number, at) = (number + 1, 0);
                }
            }
            behind.extend_from_slice(read);
        }
        if behind == last.as_bytes() {
            Ok(())
        } else {
            Err(format!("behind the file came {:?}", String::from_utf8_lossy(&behind)))
        }
    }
}

/// Fetches one file of chinwag's, over and over.
pub struct Get {
    fetch: Fetch,
    ask: String,
    yes: String,
    count: u64,
    last: String,
}

impl Get {
    /// A file of so many blocks with its ID, and the line that ends it.
    pub fn new(stream: TcpStream, id: &str, count: u64, last: String) -> Self {
        let size = count * BLOCK as u64;
        let (ask, yes) = (format!("/get {id}\n"), format!("+ get {id} 0 {size} blocks\n"));
        Self { fetch: Fetch::new(stream, id), ask, yes, count, last }
    }

    /// Fetches it once.
    pub fn run(&mut self) -> Outcome<()> {
        self.fetch.fetch(&self.ask, &self.yes, self.count, &self.last)
    }
}

fn open(address: SocketAddr) -> Outcome<TcpStream> {
    let stream = TcpStream::connect(address).map_err(failed("a connection"))?;
    stream.set_read_timeout(Some(PATIENCE)).map_err(failed("a connection"))?;
    stream.set_nodelay(true).map_err(failed("a connection"))?;
    Ok(stream)
}

/// The line that ends what came so far, and begins so.
pub fn wait_for(lines: &mut impl BufRead, begin: &str) -> Outcome<String> {
    loop {
        let mut line = String::new();
        if lines.read_line(&mut line).map_err(failed("the server"))? == 0 {
            return Err(format!("no {begin:?} came"));
        }
        if line.starts_with(begin) {
            return Ok(line);
        }
        if line.starts_with("! ") || line.starts_with("bench: ") {
            return Err(format!("{begin:?} was awaited, and came {line:?}"));
        }
    }
}

/// Enters a room, with presence off, so that nothing comes but the file.
pub fn enter(address: SocketAddr, room: &str) -> Outcome<TcpStream> {
    let mut stream = open(address)?;
    write!(stream, "/set presence off\n/join {room}\n").map_err(failed("joining"))?;
    wait_for(&mut BufReader::with_capacity(1, &stream), "+ join ")?;
    Ok(stream)
}

/// Shares a file of so many blocks with a room. Its ID, and the line that ends it.
pub fn upload(stream: &mut TcpStream, room: &str, count: u64) -> Outcome<(String, String)> {
    let size = count * BLOCK as u64;
    writeln!(stream, "/send {room} {size} blocks").map_err(failed("sending"))?;
    let mut answers = BufReader::new(stream.try_clone().map_err(failed("sending"))?);
    let reply = wait_for(&mut answers, "+ send ")?;
    let id = reply.split(' ').nth(2).unwrap_or_default().to_owned();
    let mut blocks = Blocks::new("=");
    for first in (0..count).step_by(AT_ONCE as usize) {
        stream.write_all(blocks.lines(first, AT_ONCE.min(count - first))).map_err(failed("sending"))?;
    }
    let last = wait_for(&mut answers, &format!("={id} . "))?;
    Ok((id, last))
}

/// A file of so many blocks down one connection, `times` over.
pub fn file(peer: Peer, host: &Host, count: u64, times: u32) -> Outcome<Figures> {
    let payload = count as f64 * BLOCK as f64 * f64::from(times);
    let rate = |bytes: f64, spent: Spent| bytes / spent.wall.as_secs_f64() / 1e6;
    let a_gib = |bytes: f64, spent: Spent| spent.server.as_secs_f64() / bytes * f64::from(1 << 30);
    if peer != Peer::Chinwag {
        let mut fetch = Fetch::new(open(host.address)?, "1");
        let mut run = |what: &str, gather: u64| {
            let order = format!("{what} {count} {gather}");
            fetch.fetch(&order, "", count, "")?;
            repeat(host, times, || fetch.fetch(&order, "", count, ""))
        };
        let (lines, gathered, raw) = (run("lines", 1)?, run("lines", AT_ONCE)?, run("raw", 0)?);
        let raw_bytes = count as f64 * Blocks::new("=1 ").len() as f64 * f64::from(times);
        let mut figures = Figures::new("payload MB/s", rate(payload, lines), lines);
        figures.add("server s/GiB", a_gib(payload, lines));
        figures.add("64 KiB MB/s", rate(payload, gathered));
        figures.add("64 KiB s/GiB", a_gib(payload, gathered));
        figures.add("sendfile MB/s", rate(raw_bytes, raw));
        figures.add("sendfile s/GiB", a_gib(raw_bytes, raw));
        return Ok(figures);
    }
    let mut from = enter(host.address, "#room")?;
    let sending = Meter::start(host)?;
    let (id, last) = upload(&mut from, "#room", count)?;
    let sent = sending.stop(host)?;
    // The receiver comes only now, so that it hears nothing of it.
    let mut get = Get::new(enter(host.address, "#room")?, &id, count, last);
    get.run()?;
    let spent = repeat(host, times, || get.run())?;
    let mut figures = Figures::new("payload MB/s", rate(payload, spent), spent);
    figures.add("server s/GiB", a_gib(payload, spent));
    figures.add("upload s/GiB", a_gib(payload / f64::from(times), sent));
    Ok(figures)
}

/// Measures the same so many times in a row.
fn repeat(host: &Host, times: u32, mut what: impl FnMut() -> Outcome<()>) -> Outcome<Spent> {
    // What the disk has still to do with the file is no part of it.
    std::thread::sleep(Duration::from_millis(200));
    let meter = Meter::start(host)?;
    (0..times).try_for_each(|_| what())?;
    meter.stop(host)
}
