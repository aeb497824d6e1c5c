//! What a service manager is told, be it systemd or whatever else gives a `NOTIFY_SOCKET`: that the server is up, how many people are
//! here, that it reads its configuration anew, that it ends, and again and again that the loop still turns.
//!
//! Nothing here waits: where the manager does not read, it is not told.

use std::env;
use std::io;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::process;
use std::time::{Duration, Instant};

use log::{debug, warn};
use rustix::time::{ClockId, clock_gettime};

use crate::limits;

/// The manager, if there is one.
#[derive(Debug)]
pub struct Supervisor {
    socket: Option<UnixDatagram>,
    /// When it is to be told that the loop turns, and how often, if it asks for that.
    beat: Option<(Instant, Duration)>,
    /// How many people there are, and how many it has been told of.
    people: usize,
    told: usize,
    /// When it may be told of them again.
    next_status: Instant,
}

impl Supervisor {
    /// The one that has started this process.
    pub fn of_environment() -> Self {
        let name = env::var_os("NOTIFY_SOCKET").filter(|name| !name.is_empty());
        let socket = name.and_then(|name| {
            let connected = connect(name.as_bytes());
            connected.inspect_err(|e| warn!("the service manager is not told anything: {e}")).ok()
        });
        let number = |name: &str| env::var(name).ok()?.parse::<u64>().ok();
        let is_ours = number("WATCHDOG_PID").is_none_or(|pid| pid == u64::from(process::id()));
        let period = number("WATCHDOG_USEC").filter(|_| socket.is_some() && is_ours).map(Duration::from_micros);
        let now = Instant::now();
        // One that is late must not be taken for the end.
        let beat = period.map(|period| (now, period / 2));
        Self { socket, beat, people: 0, told: 0, next_status: now }
    }

    /// The server is up, or has read its configuration.
    pub fn ready(&self) {
        self.tell(&format!("READY=1\nSTATUS={}", people(self.people)));
    }

    /// The server begins to read its configuration anew.
    pub fn reloading(&self) {
        let now: Duration = clock_gettime(ClockId::Monotonic).try_into().unwrap_or_default();
        self.tell(&format!("RELOADING=1\nMONOTONIC_USEC={}", now.as_micros()));
    }

    /// The server begins to end.
    pub fn stopping(&self) {
        self.tell("STOPPING=1");
    }

    /// So many people are online.
    pub fn note_people(&mut self, people: usize) {
        self.people = people;
    }

    /// In how long [`Supervisor::tell_due`] is to be called.
    pub fn left(&self) -> Option<Duration> {
        self.socket.as_ref()?;
        let status = (self.people != self.told).then_some(self.next_status);
        let next = [status, self.beat.map(|(at, _)| at)].into_iter().flatten().min()?;
        Some(next.saturating_duration_since(Instant::now()))
    }

    /// Tells what is due.
    pub fn tell_due(&mut self) {
        if self.left() != Some(Duration::ZERO) {
            return;
        }
        let now = Instant::now();
        if let Some((at, period)) = self.beat.filter(|&(at, _)| at <= now) {
            self.tell("WATCHDOG=1");
            self.beat = Some(((at + period).max(now), period));
        }
        if self.people != self.told && self.next_status <= now {
            self.tell(&format!("STATUS={}", people(self.people)));
            (self.told, self.next_status) = (self.people, now + limits::STATUS_PACE);
        }
    }

    fn tell(&self, what: &str) {
        if let Some(Err(e)) = self.socket.as_ref().map(|socket| socket.send(what.as_bytes())) {
            debug!("the service manager takes nothing: {e}");
        }
    }
}

/// A way to the socket of this name, on which nothing waits.
fn connect(name: &[u8]) -> io::Result<UnixDatagram> {
    let address = match name.strip_prefix(b"@") {
        Some(name) => SocketAddr::from_abstract_name(name)?,
        None => SocketAddr::from_pathname(std::ffi::OsStr::from_bytes(name))?,
    };
    let socket = UnixDatagram::unbound()?;
    socket.set_nonblocking(true)?;
    socket.connect_addr(&address)?;
    Ok(socket)
}

fn people(count: usize) -> String {
    if count == 1 { "1 person".to_owned() } else { format!("{count} people") }
}
