//! A real server on a port of its own, and what the system knows of it.

use std::env;
use std::fs;
use std::io::{self, BufRead, BufReader};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::process::{Child, ChildStderr, Command, ExitStatus, Stdio};
use std::time::Duration;

use crate::{Client, binary};

/// A server of the test's own. It is killed when this goes.
pub struct Server {
    child: Child,
    pub port: u16,
    /// Where it speaks TLS, if it does.
    pub tls_port: Option<u16>,
    /// What else it has said of where it listens, a line each.
    doors: Vec<String>,
    /// Where its temporary folder is, which it cannot remove when it is killed.
    _temporary: tempfile::TempDir,
    /// What it writes to standard error, if that is not our own.
    stderr: Option<ChildStderr>,
}

impl Server {
    /// Starts `chinwag serve` on a free port, with these options besides.
    pub fn start(options: &[&str]) -> Self {
        Self::start_with(Command::new(binary()).args(["serve", "--listen", "127.0.0.1:0"]).args(options))
    }

    /// Starts `chinwag serve` for a load program: its warnings, or what `RUST_LOG` asks for, go to our own standard error.
    pub fn start_loud(options: &[&str]) -> Self {
        let mut command = Command::new(binary());
        if env::var_os("RUST_LOG").is_none() {
            command.env("RUST_LOG", "warn");
        }
        Self::spawn(command.args(["serve", "--listen", "127.0.0.1:0"]).args(options).stderr(Stdio::inherit()))
    }

    /// Starts a command that runs a server.
    pub fn start_with(command: &mut Command) -> Self {
        Self::spawn(command.stderr(Stdio::piped()))
    }

    fn spawn(command: &mut Command) -> Self {
        let temporary = tempfile::tempdir().unwrap();
        if !command.get_envs().any(|(name, _)| name == "TMPDIR") {
            command.env("TMPDIR", temporary.path());
        }
        let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        let mut stdout = BufReader::new(child.stdout.take().unwrap());
        stdout.read_line(&mut line).unwrap();
        // All of it is one write.
        let doors: Vec<String> = String::from_utf8_lossy(stdout.buffer()).lines().map(str::to_owned).collect();
        let port_of = |line: &str| line.trim().rsplit(':').next().and_then(|port| port.parse().ok());
        let lines = || [&line[..]].into_iter().chain(doors.iter().map(String::as_str));
        let tls_port = lines().find_map(|line| port_of(line.strip_prefix("tls ")?));
        let Some(port) = port_of(&line) else {
            let _ = child.kill();
            let errors = child.stderr.take().map(io::read_to_string);
            panic!("the server did not start: {line:?} {errors:?}");
        };
        let stderr = child.stderr.take();
        Self { child, port, tls_port, doors, _temporary: temporary, stderr }
    }

    pub fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    pub fn socket_address(&self) -> SocketAddr {
        (Ipv4Addr::LOCALHOST, self.port).into()
    }

    /// The address that stands on the line that begins so, as in `metrics http://ADDR/`.
    pub fn door(&self, begin: &str) -> &str {
        let address = self.doors.iter().find_map(|line| line.strip_prefix(begin));
        address.unwrap_or_else(|| panic!("{begin} is not among {:?}", self.doors)).trim_end_matches('/')
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
        let errors = io::read_to_string(self.stderr.take().unwrap()).unwrap();
        (self.child.wait().unwrap(), errors)
    }

    /// How it ended, if it has.
    pub fn ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().unwrap()
    }

    /// What its descriptors are, each in a word or as a path.
    pub fn open(&self) -> io::Result<Vec<String>> {
        let entries = fs::read_dir(format!("/proc/{}/fd", self.pid()))?;
        let links = entries.flatten().filter_map(|entry| fs::read_link(entry.path()).ok());
        Ok(links.map(|link| link.display().to_string()).collect())
    }

    /// What the system knows of its process now.
    pub fn usage(&self) -> io::Result<Usage> {
        Usage::of(self.pid())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
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
        let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
        let kilobytes = |name: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(name));
            line.and_then(|line| line.split_whitespace().next()).and_then(|n| n.parse().ok()).unwrap_or(0)
        };
        let stat = fs::read_to_string(format!("/proc/{pid}/stat"))?;
        // The name of the program stands in brackets and may hold anything. The times are the 12th and 13th field after
        // it, in hundredths of a second.
        let after = stat.rsplit(')').next().unwrap_or_default();
        let ticks: u64 = after.split_whitespace().skip(11).take(2).filter_map(|n| n.parse::<u64>().ok()).sum();
        Ok(Self {
            resident: kilobytes("VmRSS:"),
            peak: kilobytes("VmHWM:"),
            descriptors: fs::read_dir(format!("/proc/{pid}/fd"))?.count(),
            processor: Duration::from_millis(ticks * 10),
        })
    }
}
