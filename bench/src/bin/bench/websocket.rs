//! The client's end of a WebSocket (RFC 6455), with as little work a frame as can be: what comes is moved together in place.

use std::io::{self, ErrorKind, Read, Write};

use mio::net::TcpStream;

use chinwag_bench::{Outcome, failed};

/// How one is asked for.
const REQUEST: &[u8] = b"GET /ws HTTP/1.1\r\n\
    Host: localhost\r\n\
    Upgrade: websocket\r\n\
    Connection: Upgrade\r\n\
    Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
    Sec-WebSocket-Version: 13\r\n\r\n";
/// A server does the same work for every mask.
const MASK: [u8; 4] = *b"mask";
/// The answer to a ping without payload.
const PONG: [u8; 6] = [0x8a, 0x80, MASK[0], MASK[1], MASK[2], MASK[3]];

/// One such connection. It waits for nothing.
pub struct WebSocket {
    socket: TcpStream,
    /// Whether the request has been answered.
    is_open: bool,
    /// What has come of that answer, and later of the head of a frame.
    head: Vec<u8>,
    /// Bytes of a frame's payload that are missing.
    left: usize,
    /// What waits to be sent.
    out: Vec<u8>,
}

impl WebSocket {
    /// Asks for one over a socket that is connected and has sent nothing.
    pub fn new(mut socket: TcpStream) -> Outcome<Self> {
        // A socket has room for that.
        socket.write_all(REQUEST).map_err(failed("a request"))?;
        Ok(Self { socket, is_open: false, head: Vec::new(), left: 0, out: Vec::new() })
    }

    /// The socket below it.
    pub fn socket(&mut self) -> &mut TcpStream {
        &mut self.socket
    }

    /// Takes apart what was read, and moves what is text to the beginning: gives how many bytes that are.
    fn take(&mut self, read: &mut [u8]) -> io::Result<usize> {
        let (mut at, mut text) = (0, 0);
        while at < read.len() {
            if self.left > 0 {
                let len = self.left.min(read.len() - at);
                read.copy_within(at..at + len, text);
                (at, text, self.left) = (at + len, text + len, self.left - len);
            } else {
                self.head.push(read[at]);
                at += 1;
                self.take_head()?;
            }
        }
        Ok(text)
    }

    /// Looks at the head that is under way, which has become a byte longer.
    fn take_head(&mut self) -> io::Result<()> {
        if !self.is_open {
            if self.head.ends_with(b"\r\n\r\n") {
                if !self.head.starts_with(b"HTTP/1.1 101 ") {
                    return Err(io::Error::other(String::from_utf8_lossy(&self.head)));
                }
                (self.is_open, self.head) = (true, Vec::new());
            }
            return Ok(());
        }
        self.left = match *self.head {
            [0x81, len @ ..126] => len.into(),
            [0x81, 126, high, low] => u16::from_be_bytes([high, low]).into(),
            [0x81, 127, 0, 0, 0, 0, a, b, c, d] => u32::from_be_bytes([a, b, c, d]) as usize,
            [0x89, 0] => {
                self.out.extend(PONG);
                0
            }
            [_] | [0x81, 126 | 127, ..] if self.head.len() < 10 => return Ok(()),
            _ => return Err(io::Error::other(format!("a frame begins with {:x?}", self.head))),
        };
        self.head.clear();
        Ok(())
    }

    /// Sends what waits, as far as the socket takes it.
    fn push(&mut self) -> io::Result<()> {
        while self.is_open && !self.out.is_empty() {
            match self.socket.write(&self.out) {
                Ok(n) => drop(self.out.drain(..n)),
                Err(e) if e.kind() == ErrorKind::WouldBlock => break,
                Err(e) if e.kind() == ErrorKind::Interrupted => {}
                Err(e) => return Err(e),
            }
        }
        Ok(())
    }
}

impl Read for WebSocket {
    /// Less than there is room for is all that there was.
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let mut text = 0;
        loop {
            let room = buf.len() - text;
            match self.socket.read(&mut buf[text..]) {
                Ok(0) => return Ok(text),
                Ok(n) => {
                    text += self.take(&mut buf[text..text + n])?;
                    self.push()?;
                    if n < room && text > 0 || text == buf.len() {
                        return Ok(text);
                    }
                }
                Err(_) if text > 0 => return Ok(text),
                Err(e) => return Err(e),
            }
        }
    }
}

impl Write for WebSocket {
    /// Takes all of it. Each line is a message of its own, as the page sends them.
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        for line in buf.split_inclusive(|byte| *byte == b'\n') {
            let len = u16::try_from(line.len()).map_err(io::Error::other)?;
            match u8::try_from(len) {
                Ok(len @ ..126) => self.out.extend([0x81, 0x80 | len]),
                _ => self.out.extend([[0x81, 0x80 | 126], len.to_be_bytes()].as_flattened()),
            }
            self.out.extend(MASK);
            self.out.extend(line.iter().zip(MASK.iter().cycle()).map(|(byte, mask)| byte ^ mask));
        }
        self.push()?;
        Ok(buf.len())
    }

    /// Sends what was taken and the socket had no room for.
    fn flush(&mut self) -> io::Result<()> {
        self.push()
    }
}
