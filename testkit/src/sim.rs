//! The server's surroundings in memory: connections, time, disk and log, all of them as a seed says.
//!
//! Connections keep the promises that Linux keeps with sockets and edge-triggered epoll: an edge for each arrival of bytes,
//! for the end of them, for a reset, and for room once a write found none; each edge tells all that is so. Time goes by
//! where the server waits, and where the seed says that a write or the log takes some.

mod stream;

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, VecDeque};
use std::io::{self, ErrorKind, Read, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::rc::Rc;
use std::time::{Duration, SystemTime};

use chinwag::connection::Readiness;
use chinwag::dialect::PLAIN;
use chinwag::effect::{Entered, Found, Job, Outcome, PasswordResult, PasswordTask, Query, Record, Reloaded};
use chinwag::event::Trouble;
use chinwag::hub::Hub;
use chinwag::limits::STALL_BYTES;
use chinwag::names::{self, PlaceToken};
use chinwag::peer;
use chinwag::reactor::Reactor;
use chinwag::register::{self, Register};
use chinwag::settings::Settings;
use chinwag::system::{Newcomer, Ready, System};
use chinwag::time::{Instant, Now};
use chinwag::transport::{Farewell, Layer, NotArrived, Transport};
use chinwag::web::Places;

use crate::memory::{Disk, Notes, look_at, reload, why_not};
use crate::model::{Chance, Entry, Heard, Parting, World};

pub use stream::Stream;
use stream::{End, Mark, Wire};

/// Turns in a row that may be needed until the server has nothing to do; more, and it spins.
const TURNS: usize = 20_000;

/// What a run's seed says of its surroundings.
#[derive(Clone, Debug)]
struct Weather {
    /// Bytes that fit between the server and a peer, each way.
    room: usize,
    /// What a write costs, and so many writes each of which meets something odd.
    write: Duration,
    odd: usize,
    /// What a job of the disk takes at most, and of so many one fails.
    job: Duration,
    job_fails: usize,
    /// Of so many calls of the log, one meets trouble.
    log_fails: usize,
    /// Of so many peers, one reads slowly.
    slow: usize,
    /// Of so many newcomers, one comes through a proxy, which says so first.
    proxied: usize,
    /// Whether what is sent arrives in the next turn, as far as there is room for it.
    is_prompt: bool,
}

/// What all connections of a run share.
struct Net {
    chance: RefCell<fastrand::Rng>,
    clock: Cell<Instant>,
    /// How much of that the server spent waiting.
    waited: Cell<Duration>,
    /// How many messages are in the log, and whether there is one and it keeps up.
    logged: Cell<usize>,
    is_log_kept: Cell<bool>,
    keeps_log: bool,
    /// Connections that the server has not closed.
    open: Cell<usize>,
    weather: Weather,
    /// How long a peer may take nothing.
    stall: Duration,
}

impl Net {
    fn one_in(&self, n: usize) -> bool {
        n > 0 && self.chance.borrow_mut().usize(..n) == 0
    }

    fn below(&self, n: usize) -> usize {
        self.chance.borrow_mut().usize(..n.max(1))
    }
}

/// The surroundings, as the server sees them.
pub struct Surroundings {
    net: Rc<Net>,
    wires: Vec<Rc<RefCell<Wire>>>,
    newcomers: VecDeque<Newcomer<Stream>>,
    is_listening: bool,
    /// Until when time may go by.
    horizon: Instant,
    /// Whether nothing is to be done before that.
    is_idle: bool,
    disk: Disk,
    /// Jobs, and when each is done.
    jobs: VecDeque<(Instant, Job)>,
    /// How many of all the jobs were to read.
    reads: usize,
    log: VecDeque<Entry>,
    /// What the log has, and what is being looked up in it until when.
    notes: Notes,
    queries: VecDeque<(Instant, Query)>,
    /// Passwords that are being looked at, and when each is done; when each write of the ledger is.
    tasks: VecDeque<(Instant, PasswordTask)>,
    entering: VecDeque<Instant>,
    /// Until when the log is in trouble.
    trouble: Option<(Instant, Trouble)>,
    signals: usize,
    /// What is set, and when it will have been read anew.
    settings: Settings,
    reloads: VecDeque<Instant>,
}

impl System for Surroundings {
    type Stream = Stream;

    fn now(&self) -> Now {
        let (at, day) = (self.net.clock.get(), SystemTime::UNIX_EPOCH + Duration::from_secs(1_795_000_000));
        Now { at, wall: day + (at - Instant::START) }
    }

    fn worked(&self) -> Duration {
        self.net.clock.get() - Instant::START
    }

    fn wait(&mut self, timeout: Option<Duration>, ready: &mut Vec<Ready>) -> io::Result<()> {
        let (net, room) = (&*self.net, self.net.weather.room);
        let mut is_arriving = false;
        for wire in &self.wires {
            let wire = &mut *wire.borrow_mut();
            let is_prompt = net.weather.is_prompt;
            if wire.is_arriving() && (is_prompt || !net.one_in(3)) {
                let most = if !is_prompt && net.one_in(3) { 1 + net.below(64) } else { usize::MAX };
                wire.arrive(most.min(room.saturating_sub(wire.arrived.len())));
            }
            // Bytes that find no place wait at the peer, and bring no edge.
            is_arriving |= wire.is_arriving() && wire.arrived.len() < room;
            let is_told = wire.edge || net.one_in(16 * net.weather.odd);
            if let Some(slot) = wire.slot.filter(|_| is_told) {
                wire.edge = false;
                ready.push(Ready { slot, readiness: wire.readiness(room) });
            }
        }
        self.is_idle = false;
        let never = Instant::START + Duration::MAX;
        let job = self.jobs.front().map_or(never, |&(at, _)| at);
        let query = self.queries.front().map_or(never, |&(at, _)| at);
        let task = self.tasks.front().map_or(never, |&(at, _)| at);
        let entry = self.entering.front().map_or(never, |&at| at);
        let reload = self.reloads.front().copied().unwrap_or(never);
        let done = job.min(query).min(task).min(entry).min(reload);
        let now = net.clock.get();
        if !ready.is_empty()
            || is_arriving
            || timeout == Some(Duration::ZERO)
            || !self.newcomers.is_empty()
            || self.signals > 0
            || done <= now
        {
            return Ok(());
        }
        let timeout = now + timeout.unwrap_or(Duration::MAX);
        let next = timeout.min(done);
        self.is_idle = next > self.horizon;
        let until = next.min(self.horizon).max(now);
        net.waited.set(net.waited.get() + (until - now));
        net.clock.set(until);
        Ok(())
    }

    fn register(&mut self, stream: &mut Stream, slot: usize) -> io::Result<()> {
        let wire = &mut *stream.wire.borrow_mut();
        (wire.slot, wire.edge) = (Some(slot), true);
        Ok(())
    }

    fn reregister(&mut self, stream: &mut Stream, slot: usize) -> io::Result<()> {
        self.register(stream, slot)
    }

    fn token(&mut self) -> io::Result<PlaceToken> {
        Ok(PlaceToken(self.net.chance.borrow_mut().u128(..)))
    }

    fn close(&mut self, stream: Stream) {
        drop(stream);
    }

    fn accept(&mut self, _: Now) -> Option<Newcomer<Stream>> {
        self.newcomers.pop_front()
    }

    fn next_accept(&self) -> Option<Instant> {
        (!self.newcomers.is_empty()).then(|| self.net.clock.get())
    }

    fn stop_accepting(&mut self) {
        self.is_listening = false;
        self.newcomers.clear();
    }

    fn signals(&mut self) -> usize {
        std::mem::take(&mut self.signals)
    }

    fn reload(&mut self) {
        self.reloads.push_back(self.net.clock.get() + self.net.weather.job);
    }

    fn reloaded(&mut self) -> Option<Result<Reloaded, String>> {
        self.reloads.front().filter(|&&at| at <= self.net.clock.get())?;
        self.reloads.pop_front().map(|_| Ok(reload(&self.settings)))
    }

    fn job(&mut self, job: Job) {
        let took = self.net.weather.job * u32::try_from(self.net.below(5)).unwrap() / 4;
        self.reads += usize::from(matches!(job, Job::Read { .. }));
        let last = self.jobs.back().map_or(Instant::START, |&(at, _)| at);
        self.jobs.push_back((last.max(self.net.clock.get()) + took, job));
    }

    fn outcome(&mut self) -> Option<Outcome> {
        self.jobs.front().filter(|(at, _)| *at <= self.net.clock.get())?;
        let (_, job) = self.jobs.pop_front()?;
        if self.net.one_in(self.net.weather.job_fails) {
            match job {
                Job::Append(file, bytes) => {
                    return Some(Outcome::WriteFailed { file, bytes: bytes.len(), why: why_not(bytes.len()) });
                }
                Job::Read { file, len, reader, download, .. } => {
                    return Some(Outcome::ReadFailed { file, len, reader, download });
                }
                job => return Some(self.disk.carry_out(job)),
            }
        }
        Some(self.disk.carry_out(job))
    }

    fn log(&mut self, records: &[Record]) -> Option<Trouble> {
        let (net, now) = (&*self.net, self.net.clock.get());
        let mut said = 0;
        self.notes.records.extend_from_slice(records);
        for record in records {
            let Record::Said { line, .. } = record else { continue };
            let waited = net.waited.get();
            self.log.push_back(Entry { seq: line.seq, text: line.text.as_str().to_owned(), waited });
            said += 1;
        }
        if !records.is_empty() && net.one_in(net.weather.log_fails) {
            let troubles = [Trouble::Full, Trouble::Failed, Trouble::Slow];
            let until = now + Duration::from_millis(net.below(4_000) as u64);
            self.trouble = Some((until, troubles[net.below(3)]));
        }
        self.trouble = self.trouble.filter(|&(until, _)| until > now);
        net.is_log_kept.set(net.keeps_log && self.trouble.is_none());
        // What is late comes into the log after all, but it has been heard by then.
        net.logged.set(net.logged.get() + said);
        self.trouble.map(|(_, trouble)| trouble)
    }

    fn ask(&mut self, query: Query) {
        let at = self.net.clock.get() + self.net.weather.job;
        self.queries.push_back((at, query));
    }

    fn found(&mut self) -> Option<Found> {
        self.queries.front().filter(|(at, _)| *at <= self.net.clock.get())?;
        let (_, query) = self.queries.pop_front()?;
        Some(self.notes.look_up(&query))
    }

    fn password(&mut self, task: PasswordTask) {
        let at = self.net.clock.get() + self.net.weather.job;
        self.tasks.push_back((at, task));
    }

    fn password_result(&mut self) -> Option<PasswordResult> {
        self.tasks.front().filter(|(at, _)| *at <= self.net.clock.get())?;
        self.tasks.pop_front().map(|(_, task)| look_at(&task))
    }

    fn enter(&mut self, entries: Vec<register::Entry>) {
        self.entering.push_back(self.net.clock.get() + self.net.weather.job);
        self.notes.ledger.write(entries);
    }

    fn note(&mut self, entries: Vec<register::Entry>) {
        if !self.net.one_in(self.net.weather.job_fails) {
            self.notes.ledger.note(entries);
        }
    }

    fn entered(&mut self) -> Option<Entered> {
        self.entering.front().filter(|at| **at <= self.net.clock.get())?;
        self.entering.pop_front();
        let entered = if self.net.one_in(self.net.weather.job_fails) { Entered::Failed } else { Entered::Written };
        self.notes.ledger.settle(entered).map(|_| entered)
    }

    fn next_log(&self) -> Option<Duration> {
        self.trouble.map(|(until, _)| until - self.net.clock.get())
    }
}

/// Somebody's end of a connection.
struct Peer {
    wire: Rc<RefCell<Wire>>,
    /// Those that they had before, of which the server may never have heard the end.
    before: Vec<Rc<RefCell<Wire>>>,
    /// Those among them of which something is long under way, and that.
    stuck: Vec<(Rc<RefCell<Wire>>, Vec<u8>)>,
    /// From where they come, if not from the server's own machine.
    address: Option<IpAddr>,
    /// What has been read and is no whole line yet.
    line: Vec<u8>,
    /// Where the first byte of that stands in the stream.
    start: usize,
    lines: VecDeque<Heard>,
    /// Of so many times that they could read, they do so once; not at all if it is 0.
    reads_one_in: usize,
}

/// The whole server, and the peers around it.
pub struct Sim {
    reactor: Reactor<Surroundings>,
    net: Rc<Net>,
    peers: Vec<Peer>,
    has_ended: bool,
}

impl Sim {
    /// A server of nobody yet, with the weather of this seed.
    pub fn new(seed: u64, settings: Settings) -> Self {
        let mut chance = fastrand::Rng::with_seed(!seed);
        let pick = |chance: &mut fastrand::Rng, from: &[usize]| from[chance.usize(..from.len())];
        let weather = Weather {
            room: pick(&mut chance, &[600, 4_000, 60_000, 1 << 20]),
            write: Duration::from_micros(pick(&mut chance, &[0, 3, 20, 500]) as u64),
            odd: pick(&mut chance, &[0, 0, 8, 64]),
            job: Duration::from_micros(pick(&mut chance, &[0, 50, 30_000]) as u64),
            job_fails: pick(&mut chance, &[0, 0, 50]),
            log_fails: pick(&mut chance, &[0, 0, 0, 100]),
            slow: pick(&mut chance, &[0, 0, 2]),
            proxied: pick(&mut chance, &[0, 2]),
            is_prompt: false,
        };
        Self::with(weather, chance, settings)
    }

    /// A server of nobody yet that nothing disturbs, with so many bytes of room between it and each peer, each way, and a disk
    /// of which a job takes so long at most.
    pub fn calm(room: usize, job: Duration, settings: Settings) -> Self {
        let weather = Weather {
            room,
            write: Duration::ZERO,
            odd: 0,
            job,
            job_fails: 0,
            log_fails: 0,
            slow: 0,
            proxied: 0,
            is_prompt: true,
        };
        Self::with(weather, fastrand::Rng::with_seed(0), settings)
    }

    fn with(weather: Weather, chance: fastrand::Rng, settings: Settings) -> Self {
        let net = Rc::new(Net {
            chance: RefCell::new(chance),
            clock: Cell::new(Instant::START + Duration::from_secs(1_000)),
            waited: Cell::default(),
            logged: Cell::default(),
            is_log_kept: Cell::new(settings.log.is_some()),
            open: Cell::default(),
            weather,
            stall: settings.stall,
            keeps_log: settings.log.is_some(),
        });
        let surroundings = Surroundings {
            net: Rc::clone(&net),
            wires: Vec::new(),
            newcomers: VecDeque::new(),
            is_listening: true,
            horizon: net.clock.get(),
            is_idle: false,
            disk: Disk::default(),
            jobs: VecDeque::new(),
            reads: 0,
            log: VecDeque::new(),
            notes: Notes::default(),
            queries: VecDeque::new(),
            tasks: VecDeque::new(),
            entering: VecDeque::new(),
            trouble: None,
            signals: 0,
            settings: settings.clone(),
            reloads: VecDeque::new(),
        };
        let reactor = Reactor::new(surroundings, Hub::new(settings), vec![&PLAIN]);
        Self { reactor, net, peers: Vec::new(), has_ended: false }
    }

    /// Somebody who connects; from the server's own machine, if they did so before: what is kept there is for no other wire.
    fn newcomer(&mut self, was_here: bool, chance: &mut dyn Chance) -> Peer {
        let last = u8::try_from(1 + chance.below(3)).unwrap();
        let address: IpAddr = match chance.below(4) {
            _ if was_here => Ipv4Addr::LOCALHOST.into(),
            0 => Ipv4Addr::new(192, 0, 2, last).into(),
            1 => Ipv6Addr::new(0x2001, 0xdb8, 0, u16::from(last), 0, 0, 0, 1).into(),
            _ => Ipv4Addr::LOCALHOST.into(),
        };
        let is_proxied = !address.is_loopback() && self.net.one_in(self.net.weather.proxied);
        let head = if is_proxied { 1 + self.net.below(100) } else { 0 };
        let peer = self.peer(Some(address), head);
        peer.wire.borrow_mut().coming = vec![b'P'; head].into();
        peer
    }

    /// Whether something is long under way.
    pub fn is_anything_late(&self) -> bool {
        self.peers.iter().any(|peer| !peer.stuck.is_empty())
    }

    /// Somebody connects once more.
    fn connect_anew(&mut self, who: usize, chance: &mut dyn Chance) {
        let peer = self.newcomer(self.peers[who].address.is_none(), chance);
        // Whatever waited meanwhile may have been too much.
        peer.wire.borrow_mut().was_blocked = true;
        let Peer { wire, mut before, stuck, .. } = std::mem::replace(&mut self.peers[who], peer);
        before.push(wire);
        before.retain(|wire| !wire.borrow().is_closed);
        (self.peers[who].before, self.peers[who].stuck) = (before, stuck);
    }

    /// Somebody connects who is admitted only when so many bytes have come of them.
    pub fn connect_late(&mut self, address: IpAddr, head: usize) {
        let peer = self.peer(Some(address), head);
        self.peers.push(peer);
    }

    /// Somebody who connects from an address, or by the operator's door; so many bytes must come before they are admitted, which are of
    /// a proxy if they come from elsewhere.
    fn peer(&mut self, address: Option<IpAddr>, head: usize) -> Peer {
        let far = address.filter(|address| !address.is_loopback());
        let named = far.filter(|_| head > 0);
        let wire = Rc::new(RefCell::new(Wire { head, named, ..Wire::default() }));
        let system = self.reactor.system();
        if system.is_listening {
            self.net.open.set(self.net.open.get() + 1);
            let transport = Stream { wire: Rc::clone(&wire), net: Rc::clone(&self.net) };
            let socket = if named.is_some() { Some(Ipv4Addr::LOCALHOST.into()) } else { address };
            let peer = socket.map_or(peer::Peer::CONTROL, peer::Peer::at);
            system.newcomers.push_back(Newcomer { transport, peer, dialect: 0, is_arriving: head > 0 });
            system.wires.push(Rc::clone(&wire));
        }
        let is_slow = self.net.one_in(self.net.weather.slow);
        let reads_one_in = if is_slow { [0, 2, 4, 30][self.net.below(4)] } else { 1 };
        let (before, stuck, lines) = (Vec::new(), Vec::new(), VecDeque::new());
        Peer { wire, before, stuck, address: far, line: Vec::new(), start: 0, lines, reads_one_in }
    }

    /// Has the server do all that it has to do until some time from now.
    fn run(&mut self, time: Duration) {
        if self.has_ended {
            return;
        }
        let horizon = self.net.clock.get() + time;
        self.reactor.system().horizon = horizon;
        for _ in 0..TURNS {
            if !self.reactor.turn().unwrap() {
                self.has_ended = true;
                return;
            }
            self.reactor.check();
            self.reactor.hub().check();
            assert_eq!(self.net.open.get(), self.reactor.connections() + self.reactor.system().newcomers.len());
            self.check_stalled();
            self.read_some();
            if self.reactor.system().is_idle && self.net.clock.get() >= horizon {
                return;
            }
        }
        panic!("the server spins");
    }

    /// Nobody stays who took too little for the time of a stall.
    fn check_stalled(&mut self) {
        // The seconds are for the turns in which a stall begins and ends.
        let since = self.net.clock.get() - (self.net.stall + Duration::from_secs(2));
        for (who, wire) in self.reactor.system().wires.iter().enumerate() {
            let wire = &mut *wire.borrow_mut();
            // All was written, or nothing more is.
            if !wire.is_blocked || wire.slot.is_none() || wire.end_arrived {
                wire.stalled = None;
            }
            let is_late = wire.stalled.is_some_and(|(begun, _)| begun < since);
            assert!(!is_late, "{who} takes next to nothing and is not dropped: {:?}", wire.stalled);
        }
    }

    /// Peers read, each as it likes.
    fn read_some(&mut self) {
        for who in 0..self.peers.len() {
            if self.net.one_in(self.peers[who].reads_one_in) {
                let is_slow = self.peers[who].reads_one_in > 1;
                let most = if is_slow { 1 + self.net.below(400) } else { usize::MAX };
                self.read(who, most);
            }
        }
    }

    fn read(&mut self, who: usize, most: usize) {
        let (peer, room) = (&mut self.peers[who], self.net.weather.room);
        let wire = &mut *peer.wire.borrow_mut();
        let bytes = wire.take(most, room);
        for part in bytes.split_inclusive(|&byte| byte == b'\n') {
            peer.line.extend_from_slice(part);
            if !part.ends_with(b"\n") {
                break;
            }
            while wire.marks.front().is_some_and(|mark| mark.end <= peer.start) {
                wire.marks.pop_front();
            }
            let Some(&Mark { logged, waited, .. }) = wire.marks.front() else { panic!("bytes that nobody wrote") };
            peer.start += peer.line.len();
            let line = String::from_utf8(std::mem::take(&mut peer.line)).expect("the server speaks UTF-8");
            let line = line.trim_end_matches(['\r', '\n']).to_owned();
            peer.lines.push_back(Heard { line, logged, waited });
        }
    }

    /// Everybody reads all there is, and time goes by until nothing is left to be done.
    pub fn come_to_rest(&mut self) {
        for peer in &mut self.peers {
            peer.reads_one_in = 1;
        }
        (0..self.peers.len()).for_each(|who| self.arrive_late(who));
        // Flood control may make a long line wait for longer than the rest takes.
        for round in 0..30 {
            if round >= 3 && self.peers.iter().all(|peer| peer.wire.borrow().is_heard()) {
                break;
            }
            (0..self.peers.len()).for_each(|who| self.read(who, usize::MAX));
            // Out of step with what ends after whole seconds, as that may be gathered once more.
            self.run(Duration::from_millis(1_100));
        }
    }

    /// Nothing may be left to be done, and nobody to be read from.
    pub fn check_at_rest(&mut self) {
        for (who, peer) in self.peers.iter().enumerate() {
            assert!(peer.wire.borrow().is_heard(), "{who} is not heard");
        }
        self.reactor.check_at_rest();
    }

    /// What carries somebody's lines is taken for a WebSocket from now on.
    pub fn take_for_web(&mut self, who: usize) {
        self.peers[who].wire.borrow_mut().is_web = true;
    }

    /// From now on somebody reads nothing, or once in so many times that they could.
    pub fn read_one_in(&mut self, who: usize, times: usize) {
        self.peers[who].reads_one_in = times;
    }

    /// How often the disk has been asked for a part of a file.
    pub fn reads(&mut self) -> usize {
        self.reactor.system().reads
    }

    /// The server is told to end, and does so in time.
    pub fn end(&mut self) {
        self.reactor.system().signals = 1;
        self.run(chinwag::limits::SHUTDOWN + Duration::from_secs(1));
        assert!(self.has_ended, "the server does not end");
    }

    /// All have gone and all times have passed: nothing is left.
    pub fn check_empty(&mut self) {
        for _ in 0..4 {
            self.run(Duration::from_secs(100_000));
        }
        self.check_at_rest();
        assert_eq!(self.net.open.get(), 0, "connections are left");
        assert!(self.reactor.system().disk.is_empty(), "files are left on the disk");
    }
}

impl World for Sim {
    const AT_ONCE: bool = false;

    fn connect(&mut self, _: usize, chance: &mut dyn Chance) {
        let peer = self.newcomer(false, chance);
        self.peers.push(peer);
    }

    fn connect_control(&mut self, _: usize, _: &mut dyn Chance) -> bool {
        let peer = self.peer(None, 0);
        self.peers.push(peer);
        true
    }

    fn address(&self, who: usize) -> Option<IpAddr> {
        self.peers[who].address
    }

    fn keeps(&self) -> bool {
        self.net.keeps_log
    }

    fn reconnect(&mut self, who: usize, chance: &mut dyn Chance) {
        // The server may hear of the loss now, later or never.
        match chance.below(3) {
            0 => self.part(who, Parting::Reset),
            1 => self.part(who, Parting::Close),
            _ => {
                let wire = &mut *self.peers[who].wire.borrow_mut();
                wire.coming.clear();
                wire.out.clear();
            }
        }
        self.pass(Duration::from_millis(*chance.pick(&[0, 1, 300, 2_000])));
        self.connect_anew(who, chance);
    }

    fn give_up(&mut self, who: usize, bytes: &[u8], chance: &mut dyn Chance) {
        self.pass(Duration::from_millis(*chance.pick(&[0, 1, 300, 2_000])));
        let wire = Rc::clone(&self.peers[who].wire);
        self.connect_anew(who, chance);
        self.peers[who].stuck.push((wire, bytes.to_vec()));
    }

    fn arrive_late(&mut self, who: usize) {
        for (wire, bytes) in self.peers[who].stuck.drain(..) {
            let wire = &mut *wire.borrow_mut();
            wire.coming.extend(bytes);
            (wire.end, wire.is_deaf) = (wire.end.or(Some(End::Fin)), true);
        }
    }

    fn send(&mut self, who: usize, bytes: &[u8]) {
        self.peers[who].wire.borrow_mut().coming.extend(bytes);
    }

    fn part(&mut self, who: usize, how: Parting) {
        let room = self.net.weather.room;
        let peer = &mut self.peers[who];
        let wire = &mut *peer.wire.borrow_mut();
        wire.end = Some(End::Fin);
        if how == Parting::Reset {
            // What is on its way is lost, from somewhere on.
            wire.coming.truncate(self.net.below(wire.coming.len() + 1).min(room.saturating_sub(wire.arrived.len())));
            wire.end = Some(End::Reset);
        }
        if how != Parting::End {
            wire.is_deaf = true;
            // To close with something unread is to reset.
            if how == Parting::Close && !wire.out.is_empty() {
                wire.end = Some(End::Reset);
            }
            wire.out.clear();
            peer.reads_one_in = 0;
        }
        // The kernel finds out at last that nobody is behind those of old.
        for wire in peer.before.drain(..) {
            let wire = &mut *wire.borrow_mut();
            (wire.end, wire.is_deaf) = (wire.end.or(Some(End::Reset)), true);
        }
    }

    fn hear(&mut self, who: usize) -> Option<Heard> {
        self.peers[who].lines.pop_front()
    }

    fn is_closed(&self, who: usize) -> bool {
        let wire = self.peers[who].wire.borrow();
        wire.is_closed && wire.out.is_empty() && self.peers[who].lines.is_empty()
    }

    fn was_cut(&self, who: usize) -> bool {
        self.peers[who].wire.borrow().was_cut
    }

    fn pass(&mut self, time: Duration) {
        // Peers read now and then.
        (0..16).for_each(|_| self.run(time / 16));
    }

    fn disturb(&mut self, chance: &mut dyn Chance) {
        self.run(Duration::from_micros(chance.below(3_000) as u64));
    }

    fn is_slow(&self, who: usize) -> bool {
        !self.peers[who].wire.borrow().out.is_empty()
    }

    fn was_slow(&self, who: usize) -> bool {
        self.peers[who].wire.borrow().was_blocked
    }

    fn next_logged(&mut self) -> Option<Entry> {
        self.reactor.system().log.pop_front()
    }

    fn waited(&self) -> Duration {
        self.net.waited.get()
    }

    fn online(&self) -> (u64, BTreeMap<String, usize>) {
        let (version, online) = self.reactor.hub().online();
        (version, online.iter().map(|(nick, ways)| (nick.to_string(), *ways)).collect())
    }

    fn register(&self) -> &Register {
        self.reactor.hub().register()
    }

    fn crashed(&mut self, chance: &mut dyn Chance) -> (Register, SystemTime) {
        let system = self.reactor.system();
        (system.notes.ledger.crash(chance).0, system.now().wall)
    }
}
