//! One client of a server.

use std::io::{BufRead, BufReader, Write};
use std::net::{Shutdown, TcpStream};
use std::os::unix::net::UnixStream;
use std::path::Path;

use crate::PATIENCE;

/// One connection. Its lines are read without their ends.
pub struct Client {
    pub stream: TcpStream,
    reader: BufReader<TcpStream>,
}

impl Client {
    pub fn new(stream: TcpStream) -> Self {
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.set_nodelay(true).unwrap();
        let reader = BufReader::with_capacity(64 * 1024, stream.try_clone().unwrap());
        Self { stream, reader }
    }

    pub fn send(&mut self, line: &str) {
        self.send_bytes(format!("{line}\n").as_bytes());
    }

    pub fn send_bytes(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).unwrap();
    }

    /// What is to be read, for what are no lines.
    pub fn reader(&mut self) -> &mut impl BufRead {
        &mut self.reader
    }

    /// Nothing more will be sent.
    pub fn end(&mut self) {
        self.stream.shutdown(Shutdown::Write).unwrap();
    }

    /// The next line with its end; empty at the end of the stream.
    pub fn raw_line(&mut self) -> Vec<u8> {
        let mut line = Vec::new();
        self.reader.read_until(b'\n', &mut line).expect("a line in time");
        line
    }

    /// The next line; `None` at the end of the stream.
    pub fn line(&mut self) -> Option<String> {
        let line = String::from_utf8(self.raw_line()).unwrap();
        if line.is_empty() { None } else { Some(line.trim_end_matches(['\r', '\n']).to_owned()) }
    }

    /// The next line, which must be this.
    pub fn expect(&mut self, want: &str) {
        assert_eq!(self.line().as_deref(), Some(want));
    }

    /// The next line, which must begin so.
    pub fn starting(&mut self, want: &str) -> String {
        let line = self.line().unwrap_or_else(|| panic!("{want:?} and not the end"));
        assert!(line.starts_with(want), "{line:?} does not begin with {want:?}");
        line
    }

    /// Sends a command and takes its reply, with nothing else before it.
    pub fn ask(&mut self, line: &str, want: &str) {
        self.send(line);
        self.expect(want);
    }

    /// Takes lines up to this one, and returns those before it.
    pub fn until(&mut self, want: &str) -> Vec<String> {
        let mut lines = self.until_starting(want);
        assert_eq!(lines.pop().as_deref(), Some(want));
        lines
    }

    /// Takes lines up to one that begins so, and returns them all.
    pub fn until_starting(&mut self, want: &str) -> Vec<String> {
        until_starting(want, || self.line())
    }

    /// Takes everything up to the end of the stream.
    pub fn rest(&mut self) -> Vec<String> {
        std::iter::from_fn(|| self.line()).collect()
    }

    /// Talks, and has others ask something between (`ask`), until what waits for `whom`, who does not read, is so much that the
    /// server takes them for a slow consumer.
    pub fn talk_until_busy(&mut self, whom: &str, mut ask: impl FnMut()) {
        for round in 0.. {
            ask();
            self.send("x");
            if round % 100 == 0 {
                self.settle();
                self.send(&format!("/msg {whom} are you there?"));
                if self.line().unwrap().starts_with("! msg busy ") {
                    break;
                }
            }
            assert!(round < 20_000, "there is no end to what waits for them");
        }
    }

    /// Sees to it that everything sent so far has been carried out and its lines have been read: returns those.
    pub fn settle(&mut self) -> Vec<String> {
        static TOKENS: std::sync::atomic::AtomicU64 = std::sync::atomic::AtomicU64::new(0);
        let token = TOKENS.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        self.send(&format!("/ping settle-{token}"));
        self.until(&format!("+ ping settle-{token}"))
    }
}

/// Takes lines up to one that begins so, and returns them all.
pub(crate) fn until_starting(want: &str, mut line: impl FnMut() -> Option<String>) -> Vec<String> {
    let mut lines = Vec::new();
    loop {
        let line = line().unwrap_or_else(|| panic!("{want:?} after {lines:?} and not the end"));
        let found = line.starts_with(want);
        lines.push(line);
        if found {
            return lines;
        }
    }
}

/// Whether the other end of a connection, which is on this machine too, has read all that was written.
pub fn is_read(stream: &TcpStream) -> bool {
    let [ours, theirs] =
        [stream.local_addr(), stream.peer_addr()].map(|address| format!(":{:04X}", address.unwrap().port()));
    // A row has its number, its own address, that of the other end, how it is, and the bytes to be acknowledged and to be read.
    std::fs::read_to_string("/proc/net/tcp").unwrap().lines().all(|row| {
        let words: Vec<&str> = row.split_whitespace().collect();
        let is = |own: &str, other: &str| words[1].ends_with(own) && words[2].ends_with(other);
        (!is(&ours, &theirs) || words[4].starts_with("00000000:"))
            && (!is(&theirs, &ours) || words[4].ends_with(":00000000"))
    })
}

/// Says these lines by the operator's door at `path`, as `nc -NU` does, and gives what is answered until the server closes it.
pub fn control(path: &Path, lines: &str) -> Vec<String> {
    let mut stream = UnixStream::connect(path).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream.write_all(lines.as_bytes()).unwrap();
    stream.shutdown(Shutdown::Write).unwrap();
    BufReader::new(stream).lines().map(Result::unwrap).collect()
}
