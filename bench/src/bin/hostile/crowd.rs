//! The hostile crowd, in a process of its own at the lowest priority: thousands of connections in equal parts of kinds.
//!
//! It says `ready` on its standard output once all have connected, and one line of figures when its standard input ends.

use std::collections::{BTreeMap, VecDeque};
use std::io::{self, Read, Write};
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::mpsc::TryRecvError;
use std::time::{Duration, Instant};

use mio::net::TcpStream;
use mio::{Events, Interest, Poll, Token};

use crate::people::{count_codes, orders, tell};
use chinwag_bench::{Flow, Outcome, Peer, connect, failed, raise_limit};

/// What a connection does to be a nuisance.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Kind {
    /// Sends nothing.
    Silent,
    /// Sends one byte a second, and never an end of line.
    Trickle,
    /// Sends a line without an end as fast as the socket takes it.
    Endless,
    /// Sends a `=` line without an end likewise.
    EndlessChunk,
    /// Joins ever new rooms.
    Join,
    /// Takes ever new names.
    Nick,
    /// Asks `/who` again and again.
    Who,
    /// Sends a file that never ends.
    Upload,
    /// Fetches a file, and never reads it.
    Download,
}

const KINDS: [Kind; 9] = [
    Kind::Silent,
    Kind::Trickle,
    Kind::Endless,
    Kind::EndlessChunk,
    Kind::Join,
    Kind::Nick,
    Kind::Who,
    Kind::Upload,
    Kind::Download,
];

/// Connections made in one turn.
const CONNECTS_A_TURN: usize = 50;
/// Bytes that one connection writes, or reads, in one turn.
const BYTES_A_TURN: usize = 64 * 1024;
/// Connections that write in one turn.
const WRITERS_A_TURN: usize = 200;
/// How long a connection that was closed, or an upload that was refused, waits before it tries again.
const AGAIN: Duration = Duration::from_secs(1);
/// Rooms that uploads that never end are for.
const UPLOAD_ROOMS: usize = 10;
/// Bytes of the file that many fetch and nobody reads.
const FETCHED: usize = 4 * 1024 * 1024;
/// What the uploads that never end announce: the most that a server takes.
const UPLOADED: u64 = 100 << 20;
/// Chunks of an upload that does not trickle; one more would end it.
const CHUNKS: u64 = UPLOADED / 49_152;

/// What a connection writes: a beginning, and then something over and over, so many bytes a second or all it can.
struct Script {
    beginning: Rc<[u8]>,
    repeated: Rc<[u8]>,
    /// After how many rounds the beginning comes again; 0 is never.
    rounds: u64,
    /// Bytes of `repeated` a second; `None` is as fast as the socket takes them.
    pace: Option<usize>,
}

impl Script {
    fn of(kind: Kind, n: usize, file: u64) -> Self {
        let is_odd = n / KINDS.len() % 2 == 1;
        let many = |line: &dyn Fn(usize) -> String| (0..300).map(line).collect::<String>();
        let (beginning, repeated, rounds, pace) = match kind {
            Kind::Silent => (String::new(), String::new(), 0, Some(0)),
            Kind::Trickle => (String::new(), "x".into(), 0, Some(1)),
            Kind::Endless => (String::new(), "x".repeat(BYTES_A_TURN), 0, None),
            Kind::EndlessChunk => ("=".into(), "A".repeat(BYTES_A_TURN), 0, None),
            Kind::Join => (String::new(), many(&|i| format!("/join #r{n}-{i}\n")), 0, None),
            Kind::Nick => (String::new(), many(&|i| format!("/nick n{n}-{i}\n")), 0, None),
            Kind::Who => (String::new(), "/who\n".repeat(300), 0, None),
            Kind::Upload => {
                // Some share a room, so that the announcements are a nuisance too, but not the only one.
                let room = format!("#up{}", n / KINDS.len() % UPLOAD_ROOMS);
                let beginning = format!("/join {room}\n/send {room} {UPLOADED} endless-{n}\n");
                match is_odd {
                    true => (beginning, format!("={}\n", "A".repeat(65_536)), CHUNKS, None),
                    false => (beginning, "=AAAA\n".into(), 0, Some("=AAAA\n".len())),
                }
            }
            Kind::Download => (format!("/join #den\n/get {file}\n"), String::new(), 0, Some(0)),
        };
        let [beginning, repeated] = [beginning, repeated].map(|text| Rc::from(text.into_bytes()));
        Self { beginning, repeated, rounds, pace }
    }
}

/// How far a connection is in its script.
#[derive(Clone, Copy, Default)]
struct Place {
    in_beginning: bool,
    at: usize,
    rounds: u64,
    /// Bytes that its pace allows now.
    allowed: usize,
}

struct Member {
    kind: Kind,
    reads: bool,
    script: Script,
    place: Place,
    stream: Option<TcpStream>,
    readable: bool,
    writable: bool,
    queued: bool,
    /// When it connects again, or sends its upload again.
    again: Option<Instant>,
}

struct Crowd {
    server: SocketAddr,
    poll: Poll,
    members: Vec<Member>,
    /// Those that may have something to read or to write.
    work: VecDeque<usize>,
    connects: u64,
    closed: u64,
    sent: u64,
    received: u64,
    codes: BTreeMap<String, u64>,
    scratch: Vec<u8>,
}

/// Runs the process of the crowd; it ends when its standard input does.
pub fn run(server: SocketAddr, count: usize) -> Outcome<()> {
    rustix::process::nice(19).map_err(failed("nice"))?;
    raise_limit(count as u64 + 100)?;
    let poll = Poll::new().map_err(failed("poll"))?;
    // Whoever sent the file stays, as a file may go with its sender.
    let (file, _provider) = provide(server, count, &poll)?;
    let members = (0..count).map(|n| Member::new(n, file)).collect();
    let mut crowd = Crowd {
        server,
        poll,
        members,
        work: VecDeque::new(),
        connects: 0,
        closed: 0,
        sent: 0,
        received: 0,
        codes: BTreeMap::new(),
        scratch: vec![0; BYTES_A_TURN],
    };
    crowd.attack()
}

/// Sends the file that many fetch, and gives its ID.
fn provide(server: SocketAddr, n: usize, poll: &Poll) -> Outcome<(u64, Peer)> {
    let stream = connect(server, n, None).map_err(failed("the provider cannot connect"))?;
    let mut peer = Peer::new(stream, poll.registry(), n).map_err(failed("poll"))?;
    // The rooms of the uploads must be there before those who join ever new rooms have made as many as there may be.
    for n in 0..UPLOAD_ROOMS {
        peer.send(&format!("/join #up{n}"));
    }
    peer.send(&format!("/set presence off\n/join #den\n/send #den {FETCHED} unread"));
    for _ in 0..FETCHED / 49_152 {
        peer.send(&format!("={}", "A".repeat(65_536)));
    }
    let rest = FETCHED % 49_152;
    peer.send(&format!("={}{}", "A".repeat(rest / 3 * 4), ["", "AA==", "AAA="][rest % 3]));
    let since = Instant::now();
    let mut scratch = vec![0; BYTES_A_TURN];
    let mut told = String::new();
    while since.elapsed() < Duration::from_secs(60) {
        peer.readable = true;
        peer.flush().map_err(failed("the provider"))?;
        let flow = peer.fill(&mut scratch, usize::MAX).map_err(failed("the provider"))?;
        told.push_str(&peer.take_lines()?);
        let end = told.lines().find(|line| line.starts_with('=') || line.starts_with('!'));
        match end.and_then(|line| line.strip_prefix('=')).and_then(|line| line.split_once(" . ")) {
            Some((id, _)) => return Ok((id.parse().map_err(failed("the file's ID"))?, peer)),
            None if end.is_some() || flow == Flow::Ended => break,
            None => std::thread::sleep(Duration::from_millis(5)),
        }
    }
    Err(format!("the file that is to be fetched does not get to the server: {told}"))
}

impl Member {
    fn new(n: usize, file: u64) -> Self {
        let kind = KINDS[n % KINDS.len()];
        let is_odd = n / KINDS.len() % 2 == 1;
        let reads = match kind {
            Kind::Silent | Kind::Who => is_odd,
            Kind::Download => false,
            _ => true,
        };
        let script = Script::of(kind, n, file);
        let place = Place::default();
        let again = Some(Instant::now());
        Self { kind, reads, script, place, stream: None, readable: false, writable: false, queued: false, again }
    }

    /// Writes a turn's worth of its script; the bytes that went out.
    fn write(&mut self) -> io::Result<u64> {
        let Some(stream) = &mut self.stream else { return Ok(0) };
        let (script, place) = (&self.script, &mut self.place);
        let mut sent = 0;
        while self.writable && sent < BYTES_A_TURN {
            let is_done = place.at == if place.in_beginning { script.beginning.len() } else { script.repeated.len() };
            if is_done {
                place.at = 0;
                place.rounds = if place.in_beginning { 0 } else { place.rounds + 1 };
                let is_refused = self.kind == Kind::Upload && self.again.is_some_and(|at| Instant::now() >= at);
                place.in_beginning = is_refused || (script.rounds > 0 && place.rounds >= script.rounds);
                if is_refused {
                    self.again = None;
                }
            }
            let mut bytes =
                if place.in_beginning { &script.beginning[place.at..] } else { &script.repeated[place.at..] };
            if script.pace.is_some() && !place.in_beginning {
                bytes = &bytes[..bytes.len().min(place.allowed)];
            }
            if bytes.is_empty() {
                break;
            }
            match stream.write(bytes) {
                Ok(n) => {
                    sent += n;
                    place.at += n;
                    if !place.in_beginning {
                        place.allowed = place.allowed.saturating_sub(n);
                    }
                }
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => self.writable = false,
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) => return Err(e),
            }
        }
        Ok(sent as u64)
    }

    /// Whether it would write more at once.
    fn is_eager(&self) -> bool {
        self.stream.is_some() && ((self.writable && self.script.pace.is_none()) || (self.reads && self.readable))
    }
}

impl Crowd {
    fn attack(&mut self) -> Outcome<()> {
        let orders = orders();
        let mut events = Events::with_capacity(4096);
        let mut second = Instant::now();
        let mut is_ready = false;
        while orders.try_recv() != Err(TryRecvError::Disconnected) {
            let wait = if self.work.is_empty() { Duration::from_millis(50) } else { Duration::ZERO };
            if let Err(e) = self.poll.poll(&mut events, Some(wait))
                && e.kind() != io::ErrorKind::Interrupted
            {
                return Err(format!("poll: {e}"));
            }
            for event in &events {
                let n = event.token().0;
                if let Some(member) = self.members.get_mut(n) {
                    member.readable |= event.is_readable();
                    member.writable |= event.is_writable();
                    self.queue(n);
                }
            }
            for _ in 0..WRITERS_A_TURN.min(self.work.len()) {
                let Some(n) = self.work.pop_front() else { break };
                self.members[n].queued = false;
                self.serve(n);
            }
            self.connect()?;
            if !is_ready && self.members.iter().all(|member| member.stream.is_some()) {
                is_ready = true;
                tell("ready")?;
            }
            if second.elapsed() >= Duration::from_secs(1) {
                second = Instant::now();
                self.tick();
            }
        }
        let here = self.members.iter().filter(|member| member.stream.is_some()).count();
        let codes: Vec<String> = self.codes.iter().map(|(code, count)| format!("{code} {count}")).collect();
        tell(&format!(
            "{here} connected, {} connects, {} closed by the server, {} MiB out, {} MiB in, told: {}",
            self.connects,
            self.closed,
            self.sent >> 20,
            self.received >> 20,
            codes.join(", ")
        ))
    }

    fn queue(&mut self, n: usize) {
        if !std::mem::replace(&mut self.members[n].queued, true) {
            self.work.push_back(n);
        }
    }

    /// Once a second: those who trickle may write again.
    fn tick(&mut self) {
        for n in 0..self.members.len() {
            let member = &mut self.members[n];
            if let Some(pace) = member.script.pace.filter(|pace| *pace > 0) {
                member.place.allowed = pace;
                self.queue(n);
            }
        }
    }

    /// Connects those who are not, some at a time.
    fn connect(&mut self) -> Outcome<()> {
        let now = Instant::now();
        let is_due = |member: &Member| member.stream.is_none() && member.again.is_none_or(|at| now >= at);
        let due: Vec<usize> =
            (0..self.members.len()).filter(|n| is_due(&self.members[*n])).take(CONNECTS_A_TURN).collect();
        for n in due {
            let member = &mut self.members[n];
            // One that will never read has no need of room for it.
            let buffer = if member.reads { None } else { Some(16 * 1024) };
            member.again = Some(now + AGAIN);
            let Ok(mut stream) = connect(self.server, n, buffer) else { continue };
            let interest = Interest::READABLE | Interest::WRITABLE;
            self.poll.registry().register(&mut stream, Token(n), interest).map_err(failed("poll"))?;
            member.stream = Some(stream);
            member.again = None;
            member.place = Place { in_beginning: true, ..Place::default() };
            (member.readable, member.writable) = (false, true);
            self.connects += 1;
            self.queue(n);
        }
        Ok(())
    }

    fn serve(&mut self, n: usize) {
        let member = &mut self.members[n];
        if member.stream.is_none() {
            return;
        }
        let written = member.write();
        self.sent += written.as_ref().copied().unwrap_or_default();
        if written.is_err() || self.read(n).is_none() {
            let member = &mut self.members[n];
            member.stream = None;
            member.again = Some(Instant::now() + AGAIN);
            self.closed += 1;
        } else if self.members[n].is_eager() {
            self.queue(n);
        }
    }

    /// Reads a turn's worth and forgets it, but for the codes; `None` at the end.
    fn read(&mut self, n: usize) -> Option<()> {
        let member = &mut self.members[n];
        let stream = member.stream.as_mut()?;
        if !member.reads || !member.readable {
            return Some(());
        }
        match stream.read(&mut self.scratch) {
            Ok(0) => return None,
            Ok(read) => {
                self.received += read as u64;
                // An answer to /who is long and holds no codes.
                if member.kind != Kind::Who || read < 512 {
                    let block = String::from_utf8_lossy(&self.scratch[..read]);
                    count_codes(&block, &mut self.codes);
                    let is_refused = block.starts_with("! send") || block.contains("\n! send") || block.contains(" ! ");
                    if member.kind == Kind::Upload && is_refused && member.again.is_none() {
                        member.again = Some(Instant::now() + AGAIN);
                    }
                }
            }
            Err(e) if e.kind() == io::ErrorKind::WouldBlock => member.readable = false,
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            Err(_) => return None,
        }
        Some(())
    }
}
