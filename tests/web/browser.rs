//! No tests: the other end, byte by byte. It does what it is told, whether a browser would or not.

use std::collections::VecDeque;
use std::io::{Read, Write};
use std::net::TcpStream;

use testkit::{PATIENCE, Server};

pub const TEXT: u8 = 1;
pub const BINARY: u8 = 2;
pub const CLOSE: u8 = 8;
pub const PING: u8 = 9;
pub const PONG: u8 = 10;

/// A server with a door for browsers.
pub fn start(options: &[&str]) -> Server {
    Server::start(&[&["--web", "127.0.0.1:0"], options].concat())
}

/// The address of that door.
pub fn web(server: &Server) -> &str {
    server.door("web http://")
}

/// A connection to it.
pub fn knock(server: &Server) -> TcpStream {
    let stream = TcpStream::connect(web(server)).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream
}

/// What is answered to these bytes until the server closes; nothing where it closes without a word.
pub fn answer(server: &Server, request: &str) -> String {
    let mut stream = knock(server);
    // It may be closed already.
    let _ = stream.write_all(request.as_bytes());
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer);
    String::from_utf8_lossy(&answer).into_owned()
}

/// The status that is answered to these bytes.
pub fn status(server: &Server, request: &str) -> String {
    answer(server, request).split(' ').nth(1).unwrap_or_default().to_owned()
}

/// A request for a WebSocket, as a browser has it, with these fields besides, which go before its own of the same name.
pub fn handshake(host: &str, fields: &[&str]) -> String {
    let own = [
        format!("Host: {host}"),
        "Upgrade: websocket".into(),
        "Connection: keep-alive, Upgrade".into(),
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==".into(),
        "Sec-WebSocket-Version: 13".into(),
    ];
    let name = |field: &str| field.split(':').next().unwrap().to_owned();
    let own = own.iter().filter(|own| !fields.iter().any(|field| name(field) == name(own)));
    // A field without a value is left out.
    let all = own.map(String::as_str).chain(fields.iter().copied().filter(|field| !field.ends_with(':')));
    let fields: String = all.map(|field| format!("{field}\r\n")).collect();
    format!("GET /ws HTTP/1.1\r\n{fields}\r\n")
}

/// A frame of a client.
pub fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
    let mask = [0x12, 0x34, 0x56, 0x78];
    let mut frame = vec![first];
    match payload.len() {
        len @ ..126 => frame.push(0x80 | len as u8),
        len @ ..0x1_0000 => {
            frame.push(0x80 | 126);
            frame.extend((len as u16).to_be_bytes());
        }
        len => {
            frame.push(0x80 | 127);
            frame.extend((len as u64).to_be_bytes());
        }
    }
    frame.extend(mask);
    frame.extend(payload.iter().zip(mask.iter().cycle()).map(|(byte, mask)| byte ^ mask));
    frame
}

/// A message of text in one frame.
pub fn text(text: &str) -> Vec<u8> {
    frame(0x80 | TEXT, text.as_bytes())
}

/// A WebSocket that is open.
pub struct Socket {
    pub stream: TcpStream,
    lines: VecDeque<String>,
}

impl Socket {
    /// Opens one, with these fields besides, and takes the greeting.
    pub fn open(server: &Server, fields: &[&str]) -> Self {
        let mut socket = Self::open_raw(server, fields);
        assert!(socket.line().starts_with("* hello "));
        socket
    }

    /// Opens one.
    pub fn open_raw(server: &Server, fields: &[&str]) -> Self {
        let mut stream = knock(server);
        stream.write_all(handshake(web(server), fields).as_bytes()).unwrap();
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            let mut byte = [0];
            assert_eq!(stream.read(&mut byte).unwrap(), 1, "{}", String::from_utf8_lossy(&head));
            head.push(byte[0]);
        }
        assert!(head.starts_with(b"HTTP/1.1 101 "), "{}", String::from_utf8_lossy(&head));
        Self { stream, lines: VecDeque::new() }
    }

    pub fn send(&mut self, line: &str) {
        self.send_raw(&text(line));
    }

    pub fn send_raw(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).unwrap();
    }

    fn bytes(&mut self, count: usize) -> Option<Vec<u8>> {
        let mut bytes = vec![0; count];
        self.stream.read_exact(&mut bytes).ok()?;
        Some(bytes)
    }

    /// The next frame: its first byte, and the payload; nothing at the end.
    pub fn frame(&mut self) -> Option<(u8, Vec<u8>)> {
        let head = self.bytes(2)?;
        // A server does not mask.
        assert_eq!(head[1] & 0x80, 0);
        let len = match head[1] {
            126 => u16::from_be_bytes(self.bytes(2)?.try_into().unwrap()).into(),
            127 => u64::from_be_bytes(self.bytes(8)?.try_into().unwrap()),
            len => len.into(),
        };
        Some((head[0], self.bytes(len.try_into().unwrap())?))
    }

    /// The next line.
    #[track_caller]
    pub fn line(&mut self) -> String {
        while self.lines.is_empty() {
            let (first, payload) = self.frame().unwrap();
            if first & 0xf == CLOSE {
                panic!("closed: {payload:?}");
            }
            if first == 0x80 | TEXT {
                let text = String::from_utf8(payload).unwrap();
                let lines = text.strip_suffix('\n').unwrap_or_else(|| panic!("half a line: {text:?}"));
                self.lines.extend(lines.split('\n').map(str::to_owned));
            }
        }
        self.lines.pop_front().unwrap()
    }

    /// The next line that begins so; others are passed over.
    #[track_caller]
    pub fn until(&mut self, begin: &str) -> String {
        loop {
            let line = self.line();
            if line.starts_with(begin) {
                return line;
            }
        }
    }

    /// All lines until it is closed, and the code with which it is; none where it ends without one.
    pub fn end(&mut self) -> (Vec<String>, Option<u16>) {
        let mut lines: Vec<String> = self.lines.drain(..).collect();
        while let Some((first, payload)) = self.frame() {
            match first & 0xf {
                TEXT => lines.extend(String::from_utf8(payload).unwrap().lines().map(str::to_owned)),
                CLOSE => return (lines, Some(u16::from_be_bytes(payload[..2].try_into().unwrap()))),
                _ => {}
            }
        }
        (lines, None)
    }
}
