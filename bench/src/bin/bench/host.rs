//! A server under measure: how it is started on a core of its own, and what the kernel knows of it.

use std::fs::ReadDir;
use std::io::{BufRead, BufReader};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};
use rustix::time::{ClockId, clock_gettime};
use tempfile::TempDir;

use super::dialect::Dialect;
use super::peers::Peer;
use super::wire::{self, Opening, Wire};
use chinwag_bench::{Outcome, failed};

/// How long a server may take to start.
const START: Duration = Duration::from_secs(15);

/// Which of the two has a core.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Core {
    /// The first one is the server's.
    Server,
    /// The second one is for all that makes its work.
    Load,
}

/// The cores that this process was given when it started.
pub fn cores() -> Outcome<Vec<usize>> {
    let set = sched_getaffinity(None).map_err(failed("the cores"))?;
    Ok((0..CpuSet::MAX_CPU).filter(|core| set.is_set(*core)).collect())
}

/// Puts this process, and what it starts from now on, on one of two cores. With one core alone there is nothing to
/// choose.
pub fn pin(cores: &[usize], core: Core) -> Outcome<()> {
    if let [server, load, ..] = *cores {
        let mut set = CpuSet::new();
        set.set(if core == Core::Server { server } else { load });
        sched_setaffinity(None, &set).map_err(failed("the core"))?;
    }
    Ok(())
}

/// Lets this process, and what it starts from now on, have all of them again.
pub fn unpin(cores: &[usize]) -> Outcome<()> {
    let mut set = CpuSet::new();
    cores.iter().for_each(|core| set.set(*core));
    sched_setaffinity(None, &set).map_err(failed("the cores"))
}

/// A server's process. It is killed when this goes.
pub struct Host {
    child: Child,
    /// Where it listens.
    pub address: SocketAddr,
    /// What it speaks.
    pub dialect: Dialect,
    /// How many may be on their way in at once.
    pub pace: usize,
    /// With what people come in.
    pub opening: Opening,
    /// Its settings, and what it writes.
    _folder: TempDir,
}

impl Host {
    /// Starts a fresh server to which people come so, with these options besides its own, and waits until it listens.
    pub fn start(peer: Peer, wire: Wire, cores: &[usize], options: &[&str]) -> Outcome<Self> {
        let folder = tempfile::tempdir().map_err(failed("a temporary folder"))?;
        let opening = match wire {
            Wire::Clear => Opening::Clear,
            Wire::Tls(key) => Opening::Tls(wire::make(folder.path(), key)?),
            Wire::Web => Opening::Web,
        };
        let (mut command, port) = peer.command(folder.path(), wire, options)?;
        pin(cores, Core::Server)?;
        let child = command.stdin(Stdio::null()).spawn();
        pin(cores, Core::Load)?;
        let mut host = Self {
            child: child.map_err(|e| format!("{peer} does not start: {e}"))?,
            address: SocketAddr::from(([127, 0, 0, 1], port)),
            dialect: peer.dialect(),
            pace: peer.pace(),
            opening,
            _folder: folder,
        };
        match host.child.stdout.take() {
            // It tells by itself where it listens.
            Some(out) => {
                let mut line = String::new();
                BufReader::new(out).read_line(&mut line).map_err(failed("the server says nothing"))?;
                // For browsers it is what they open.
                let told = line.trim().split_once(' ').map(|(_, told)| told.trim_start_matches("http://"));
                let address = told.and_then(|told| told.trim_end_matches('/').parse().ok());
                host.address = address.ok_or_else(|| format!("{peer} did not start: {line:?}"))?;
            }
            None => host.wait().map_err(|e| format!("{peer} {e}"))?,
        }
        Ok(host)
    }

    /// Waits until somebody answers where it is to listen.
    fn wait(&mut self) -> Outcome<()> {
        let since = Instant::now();
        while since.elapsed() < START {
            if TcpStream::connect(self.address).is_ok() {
                return Ok(());
            }
            if let Ok(Some(status)) = self.child.try_wait() {
                return Err(format!("ended at once: {status}"));
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        Err(format!("does not listen on {} after {} s", self.address, START.as_secs()))
    }

    /// The processor time of all its threads, to the nanosecond, and how long they waited for their core.
    pub fn processor(&self) -> Outcome<(Duration, Duration)> {
        let (mut busy, mut waited) = (0, 0);
        for thread in self.threads()? {
            let path = thread.map_err(failed("the server's /proc"))?.path().join("schedstat");
            let stat = std::fs::read_to_string(&path).map_err(failed("schedstat"))?;
            let mut figures = stat.split(' ').map_while(|figure| figure.parse::<u64>().ok());
            busy += figures.next().ok_or_else(|| format!("schedstat says {stat:?}"))?;
            waited += figures.next().unwrap_or_default();
        }
        Ok((Duration::from_nanos(busy), Duration::from_nanos(waited)))
    }

    /// How often one of its threads has left its core, to wait or for another: each wakeup ends so.
    pub fn wakeups(&self) -> Outcome<u64> {
        let mut wakeups = 0;
        for thread in self.threads()? {
            let path = thread.map_err(failed("the server's /proc"))?.path().join("status");
            wakeups += status(&path, "voluntary_ctxt_switches:")? + status(&path, "nonvoluntary_ctxt_switches:")?;
        }
        Ok(wakeups)
    }

    /// The bytes that it has resident.
    pub fn resident(&self) -> Outcome<u64> {
        let path = format!("/proc/{}/status", self.child.id());
        Ok(status(Path::new(&path), "VmRSS:")? * 1024)
    }

    fn threads(&self) -> Outcome<ReadDir> {
        std::fs::read_dir(format!("/proc/{}/task", self.child.id())).map_err(failed("the server's /proc"))
    }
}

/// A figure of a process or thread, by its name in `/proc/…/status`.
fn status(path: &Path, name: &str) -> Outcome<u64> {
    let status = std::fs::read_to_string(path).map_err(failed("the server's /proc"))?;
    let figure = status.lines().find_map(|line| line.strip_prefix(name)?.split_whitespace().next()?.parse().ok());
    figure.ok_or_else(|| format!("the server's {name} is not known"))
}

impl Drop for Host {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// What a piece of work took.
#[derive(Clone, Copy, Debug)]
pub struct Spent {
    /// Processor time of the server.
    pub server: Duration,
    /// How long the server waited while others had its core.
    pub waited: Duration,
    /// Processor time of the load.
    pub load: Duration,
    /// Time on the wall.
    pub wall: Duration,
}

impl Spent {
    /// Whether the load had no time to spare while the server had: the server could have done more.
    pub fn is_bound_by_load(&self) -> bool {
        let share = |busy: Duration| busy.as_secs_f64() / self.wall.as_secs_f64().max(1e-9);
        share(self.load) > 0.9 && share(self.server) < 0.9
    }

    /// Microseconds of the server for each of so many.
    pub fn each(&self, count: u64) -> f64 {
        self.server.as_secs_f64() * 1e6 / count.max(1) as f64
    }
}

/// Measures from when it is made.
pub struct Meter {
    server: Duration,
    waited: Duration,
    load: Duration,
    wall: Instant,
}

impl Meter {
    /// Begins. The server should be at rest, as the kernel counts what runs on only when it stops.
    pub fn start(host: &Host) -> Outcome<Self> {
        let (server, waited) = host.processor()?;
        Ok(Self { server, waited, load: own_time(), wall: Instant::now() })
    }

    /// What was spent since.
    pub fn stop(&self, host: &Host) -> Outcome<Spent> {
        let (wall, load) = (self.wall.elapsed(), own_time().saturating_sub(self.load));
        // What is left to the server after the last line came, going to sleep, belongs to the work.
        std::thread::sleep(Duration::from_millis(5));
        let (server, waited) = host.processor()?;
        Ok(Spent { server: server.saturating_sub(self.server), waited: waited.saturating_sub(self.waited), load, wall })
    }
}

/// Processor time of this process.
fn own_time() -> Duration {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}
