//! A real server on a port of its own, and clients of it.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::process::{Child, Command, ExitStatus, Stdio};

use crate::{PATIENCE, binary};

/// A server of the test's own. It is killed when this goes.
pub struct Server {
    child: Child,
    pub port: u16,
    /// Where its temporary folder is, which it cannot remove when it is killed.
    _temporary: tempfile::TempDir,
    /// What it writes to standard error.
    stderr: Option<std::process::ChildStderr>,
}

impl Server {
    /// Starts `chinwag serve` on a free port, with these options besides.
    pub fn start(options: &[&str]) -> Self {
        Self::start_with(Command::new(binary()).args(["serve", "--listen", "127.0.0.1:0"]).args(options))
    }

    /// Starts a command that runs a server.
    pub fn start_with(command: &mut Command) -> Self {
        let temporary = tempfile::tempdir().unwrap();
        if !command.get_envs().any(|(name, _)| name == "TMPDIR") {
            command.env("TMPDIR", temporary.path());
        }
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let port = line.trim().rsplit(':').next().and_then(|port| port.parse().ok());
        let Some(port) = port else {
            let _ = child.kill();
            let mut errors = String::new();
            child.stderr.take().unwrap().read_to_string(&mut errors).unwrap();
            panic!("the server did not start: {line:?} {errors}");
        };
        let stderr = child.stderr.take();
        Self { child, port, _temporary: temporary, stderr }
    }

    pub fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Connects, and takes the greeting.
    pub fn connect(&self) -> Client {
        let mut client = self.connect_raw();
        client.starting("* hello ");
        client
    }

    /// Connects.
    pub fn connect_raw(&self) -> Client {
        Client::new(TcpStream::connect(("127.0.0.1", self.port)).unwrap())
    }

    /// Connects, without presence, under this name.
    pub fn person(&self, nick: &str) -> Client {
        let mut client = self.connect();
        client.send("/set presence off");
        client.until("+ set presence off");
        client.ask(&format!("/nick {nick}"), &format!("+ nick {nick}"));
        client
    }

    /// Connects under this name and enters a room.
    pub fn in_room(&self, nick: &str, room: &str) -> Client {
        let mut client = self.person(nick);
        client.send(&format!("/join {room}"));
        client.until_starting(&format!("+ join {room} "));
        client
    }

    /// Sends a signal, `TERM` say.
    pub fn signal(&self, name: &str) {
        let pid = self.pid().to_string();
        assert!(Command::new("kill").args([&format!("-{name}"), &pid]).status().unwrap().success());
    }

    /// Waits for the end of the server, and gives what it wrote to standard error.
    pub fn wait(&mut self) -> (ExitStatus, String) {
        let mut errors = String::new();
        self.stderr.take().unwrap().read_to_string(&mut errors).unwrap();
        (self.child.wait().unwrap(), errors)
    }

    /// Kilobytes of memory that it holds.
    pub fn resident(&self) -> usize {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.pid())).unwrap();
        let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
        line.split_whitespace().nth(1).unwrap().parse().unwrap()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

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
    pub fn reader(&mut self) -> &mut impl Read {
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
        let mut lines = Vec::new();
        loop {
            let line = self.line().unwrap_or_else(|| panic!("{want:?} after {lines:?} and not the end"));
            let found = line.starts_with(want);
            lines.push(line);
            if found {
                return lines;
            }
        }
    }

    /// Takes everything up to the end of the stream.
    pub fn rest(&mut self) -> Vec<String> {
        std::iter::from_fn(|| self.line()).collect()
    }

    /// Sees to it that everything sent so far has been carried out and its lines have been read: returns those.
    pub fn settle(&mut self) -> Vec<String> {
        static TOKENS: std::sync::atomic::AtomicU64 = std::sync::atomic::AtomicU64::new(0);
        let token = TOKENS.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        self.send(&format!("/ping settle-{token}"));
        self.until(&format!("+ ping settle-{token}"))
    }
}
