//! Two thousand people on a real server for a while, and whether it keeps all that it promises meanwhile.
//!
//! `soak MINUTES`; `scripts/soak` builds what it needs. People talk in rooms and in private, type, ask, rename, move
//! about, share and fetch files, and come and go; one in a hundred reads slowly or not at all. It ends with 1 and says
//! what happened if
//!
//! - a room line was lost, doubled, changed or out of order for anybody who was not told `missed`, or what was missed did
//!   not come with `/history`;
//! - a letter was confirmed and did not arrive, though its receiver stayed;
//! - a file came with other bytes than it was sent with;
//! - the server's memory grew after it was warm, or its descriptors beyond its connections;
//! - it did not end with 0 when it was asked to, or another on the same data folder does not know what was heard last.
#![forbid(unsafe_code)]
#![allow(
    clippy::print_stdout,
    missing_docs,
    unreachable_pub,
    reason = "a program that prints its figures, and no library"
)]

#[path = "soak/person.rs"]
mod person;
#[path = "soak/room.rs"]
mod room;
#[path = "soak/told.rs"]
mod told;
#[path = "soak/transfers.rs"]
mod transfers;
#[path = "soak/world.rs"]
mod world;

use std::io;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use chinwag_bench::{Flow, Outcome, Peer, between, connect, failed, raise_limit, sockets, stop};
use fastrand::Rng;
use mio::{Events, Poll};
use person::{Habit, Leaving, Person};
use testkit::Server;
use world::{BUSY, Memory, ROOMS, World};

/// Connections.
const PEOPLE: usize = 2_000;
/// Those of them who talk much in the busy room, so that the slow ones fall behind.
const TALKERS: usize = 30;
/// The slow, and the silent: together one in a hundred.
const SLOW: usize = PEOPLE / 200;
const SILENT: usize = PEOPLE / 200;
/// Lines that a room remembers. More than by default, so that what a slow consumer misses is still there.
const HISTORY: u64 = 500;
/// People of each room who fill its history at the start, as it is no growth if a room comes to what it may remember.
const FILLERS: usize = 10;
/// Connections made at a time.
const CONNECTS: usize = 20;
/// How often those who do something by time are looked at.
const TICK: Duration = Duration::from_millis(50);
/// How often a line of figures is printed.
const FIGURES: Duration = Duration::from_secs(30);
/// Files that the server may keep open for its next use: 32 of the spool, and the log of each room.
const FILES_OPEN: usize = 32 + ROOMS + 1;
/// Descriptors besides the connections: the files, and 64 connections that may linger after their end. A connection that
/// was reset may be there for another moment.
const DESCRIPTORS: usize = FILES_OPEN + 64 + 10;
/// How long the end may take, of everything and of the last connection.
const END: Duration = Duration::from_secs(60);
/// So many failures are enough.
const FAILURES: usize = 10;

/// The place of one person, who may leave and come back.
struct Slot {
    person: Option<Person>,
    habit: Habit,
    rooms: Vec<usize>,
    comes_and_goes: bool,
    /// When they come back.
    back: Option<Instant>,
}

struct Soak {
    server: Server,
    poll: Poll,
    world: World,
    slots: Vec<Slot>,
    scratch: Vec<u8>,
    /// Descriptors of the server without any connection.
    base: usize,
    sockets: usize,
    memory: Memory,
    most_descriptors: usize,
    stays: u64,
    failures: Vec<String>,
    is_ending: bool,
}

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let minutes = match &arguments[..] {
        [minutes] => minutes.parse::<u64>().ok().filter(|minutes| *minutes > 0),
        _ => None,
    };
    let Some(minutes) = minutes else {
        println!("usage: soak MINUTES, at least 1");
        return ExitCode::from(2);
    };
    match soak(Duration::from_secs(minutes * 60)) {
        Ok(()) => {
            println!("nothing was lost, doubled or out of order; nothing grew");
            ExitCode::SUCCESS
        }
        Err(message) => {
            println!("soak: {message}");
            ExitCode::FAILURE
        }
    }
}

fn soak(time: Duration) -> Outcome<()> {
    raise_limit(PEOPLE as u64 + 400)?;
    let data = tempfile::tempdir().map_err(failed("a temporary folder"))?;
    let data = data.path().to_str().ok_or("the temporary folder has no plain name")?;
    let options = ["--data", data, "--history", &HISTORY.to_string()];
    let mut soak = Soak::new(Server::start_loud(&options))?;
    // Long enough for the queues of the slow to have been full once, if there is time for that.
    let warm = (time / 5).clamp(Duration::from_secs(40), Duration::from_secs(180));
    println!("{PEOPLE} connections, {} s to get warm, then {} s", warm.as_secs(), time.as_secs());
    let done = soak.run(warm, time).and_then(|()| soak.finish());
    let failures = soak.failures.len();
    let mut messages: Vec<String> = std::mem::take(&mut soak.failures).into_iter().take(FAILURES).collect();
    messages.extend((failures > FAILURES).then(|| format!("and {} more", failures - FAILURES)));
    messages.extend(done.err());
    println!("{}", soak.world.summary());
    println!("{}; {} descriptors at most, {} without connections", soak.memory, soak.most_descriptors, soak.base);
    if !messages.is_empty() {
        return Err(messages.join("\n"));
    }
    soak.memory.verdict()?;
    let Soak { server, mut world, .. } = soak;
    stop(server)?;
    let server = Server::start_loud(&options);
    world.compare(&server).map_err(|e| format!("after the restart: {e}"))?;
    stop(server)
}

impl Soak {
    fn new(server: Server) -> Outcome<Self> {
        let now = Instant::now();
        let slots = (0..PEOPLE).map(|n| Slot::new(n, now)).collect();
        let base = server.usage().map_err(failed("the server's /proc"))?.descriptors;
        Ok(Self {
            base,
            sockets: sockets(&server)?,
            server,
            poll: Poll::new().map_err(failed("poll"))?,
            world: World::new(Rng::with_seed(4), HISTORY, PEOPLE),
            slots,
            scratch: vec![0; 64 * 1024],
            memory: Memory::default(),
            most_descriptors: 0,
            stays: 0,
            failures: Vec::new(),
            is_ending: false,
        })
    }

    /// Lets everybody do what they do for so long.
    fn run(&mut self, warm: Duration, time: Duration) -> Outcome<()> {
        let mut events = Events::with_capacity(4096);
        let start = Instant::now();
        let (mut tick, mut second, mut figures) = (start, start, start);
        while start.elapsed() < warm + time {
            self.wait(&mut events)?;
            if tick.elapsed() >= TICK {
                tick = Instant::now();
                self.connect()?;
                self.tick();
            }
            if second.elapsed() >= Duration::from_secs(1) {
                second = Instant::now();
                self.look()?;
                if start.elapsed() >= warm {
                    self.memory.sample(self.server.usage().map_err(failed("the server's /proc"))?.resident);
                }
            }
            if figures.elapsed() >= FIGURES {
                figures = Instant::now();
                self.figures(start)?;
            }
            if self.failures.len() >= FAILURES {
                return Err("enough".into());
            }
        }
        Ok(())
    }

    /// A line of figures.
    fn figures(&self, start: Instant) -> Outcome<()> {
        let usage = self.server.usage().map_err(failed("the server's /proc"))?;
        println!(
            "{:>5} s  {} connections, {} lines delivered, {} KiB resident, {} descriptors, {:.1} s of processor",
            start.elapsed().as_secs(),
            self.here(),
            self.world.delivered,
            usage.resident,
            usage.descriptors,
            usage.processor.as_secs_f64()
        );
        Ok(())
    }

    fn here(&self) -> usize {
        self.slots.iter().filter(|slot| slot.person.is_some()).count()
    }

    /// Waits for what comes, and takes it.
    fn wait(&mut self, events: &mut Events) -> Outcome<()> {
        match self.poll.poll(events, Some(TICK / 2)) {
            Err(e) if e.kind() != io::ErrorKind::Interrupted => return Err(format!("poll: {e}")),
            _ => {}
        }
        for event in &*events {
            let n = event.token().0;
            if let Some(person) = &mut self.slots[n].person {
                person.peer.readable |= event.is_readable();
                // Those who read slowly have their time.
                if !person.may_lag() || person.is_hungry {
                    self.serve(n);
                }
            }
        }
        Ok(())
    }

    /// Reads and writes for one person.
    fn serve(&mut self, n: usize) {
        let Some(person) = &mut self.slots[n].person else { return };
        let read = person.read(&mut self.scratch, &mut self.world, Instant::now());
        // Who is being closed may not take anything any more; reading tells.
        let flushed = person.peer.flush();
        if let Err(e) = flushed
            && person.leaving.is_none()
            && !person.may_be_closed()
        {
            self.failures.push(format!("{} cannot write: {e}", person.nick));
        }
        match read {
            Ok(Flow::Open) if !person.may_lag() => self.world.is_called(n, person.stay, &person.nick),
            Ok(Flow::Open) => {}
            Ok(Flow::Ended) => self.gone(n),
            Err(e) => {
                self.failures.push(e);
                self.gone(n);
            }
        }
    }

    /// The connection has ended. Those who left in order have heard what became of all that they said.
    fn gone(&mut self, n: usize) {
        let Some(person) = self.slots[n].person.take() else { return };
        self.world.has_left(n, person.stay);
        self.world.too_slow += u64::from(person.may_be_closed());
        if person.leaving.is_some() {
            if person.is_answered() {
                self.world.said.extend(person.said.iter().map(|(room, count)| (person.stay, *room, *count)));
            } else {
                self.failures.push(format!("{} left ({:?}) without an answer to all", person.nick, person.leaving));
            }
        }
        self.slots[n].back =
            Some(Instant::now() + between(&mut self.world.chance, Duration::from_secs(1), Duration::from_secs(5)));
    }

    /// Brings in those who are to come, some at a time.
    fn connect(&mut self) -> Outcome<()> {
        let now = Instant::now();
        let is_due = |slot: &Slot| slot.person.is_none() && slot.back.is_some_and(|at| now >= at);
        let due: Vec<usize> = (0..PEOPLE).filter(|n| is_due(&self.slots[*n])).take(CONNECTS).collect();
        for n in due {
            let slot = &mut self.slots[n];
            let fills = self.stays < PEOPLE as u64 && n < ROOMS * FILLERS;
            self.stays += 1;
            let buffer = matches!(slot.habit, Habit::Slow | Habit::Silent).then_some(16 * 1024);
            let stream = connect(self.server.socket_address(), n, buffer).map_err(failed("somebody cannot connect"))?;
            let peer = Peer::new(stream, self.poll.registry(), n).map_err(failed("poll"))?;
            let mut person = Person::new(self.stays, peer, slot.habit, &slot.rooms, fills, &mut self.world);
            if slot.comes_and_goes {
                person.leaves =
                    Some(now + between(&mut self.world.chance, Duration::from_secs(20), Duration::from_secs(60)));
            }
            if fills {
                (0..HISTORY as usize / FILLERS).for_each(|_| person.say(n % ROOMS, 8, &self.world));
            }
            slot.person = Some(person);
            slot.back = None;
            self.serve(n);
        }
        Ok(())
    }

    /// What people do by time: act, leave, and read slowly.
    fn tick(&mut self) {
        let now = Instant::now();
        for n in 0..PEOPLE {
            let Some(person) = &mut self.slots[n].person else { continue };
            let is_over = person.leaves.is_some_and(|at| now >= at) && person.leaving.is_none();
            if !self.is_ending && is_over {
                let left = match self.world.chance.u64(..3) {
                    0 => person.leave(Leaving::Quit),
                    1 => person.leave(Leaving::End),
                    _ => {
                        self.reset(n);
                        continue;
                    }
                };
                self.failures.extend(left.err());
                self.serve(n);
            } else if !self.is_ending && now >= person.next {
                person.act(&mut self.world, now);
                self.serve(n);
            } else if person.may_lag() {
                self.serve(n);
            }
        }
    }

    /// Somebody's connection breaks.
    fn reset(&mut self, n: usize) {
        if let Some(person) = self.slots[n].person.take() {
            self.world.has_left(n, person.stay);
            self.failures.extend(person.peer.reset().map_err(failed("a reset")).err());
            self.slots[n].back = Some(Instant::now() + Duration::from_secs(1));
        }
    }

    /// Once a second: what has become known, and what the system says of the server.
    fn look(&mut self) -> Outcome<()> {
        if let Some(status) = self.server.ended() {
            return Err(format!("the server ended: {status}"));
        }
        self.failures.extend(self.world.settle(false));
        let usage = self.server.usage().map_err(failed("the server's /proc"))?;
        self.most_descriptors = self.most_descriptors.max(usage.descriptors);
        let (here, allowed) = (self.here(), self.here() + self.base + DESCRIPTORS);
        if usage.descriptors > allowed {
            self.failures.push(format!("{} descriptors for {here} connections", usage.descriptors));
        }
        Ok(())
    }

    /// Waits until everything that was said has come everywhere, and then for everybody to leave.
    fn finish(&mut self) -> Outcome<()> {
        self.is_ending = true;
        for n in 0..PEOPLE {
            let slot = &mut self.slots[n];
            slot.back = None;
            if let Some(person) = slot.person.as_mut().filter(|person| person.leaving.is_none()) {
                person.is_hungry = true;
                person.ping();
                self.serve(n);
            }
        }
        self.until("everybody to have an answer to everything", |soak| {
            let mut people = soak.slots.iter().filter_map(|slot| slot.person.as_ref());
            people.all(|person| person.is_settled() && person.leaving.is_none())
        })?;
        for n in 0..PEOPLE {
            if let Some(person) = &mut self.slots[n].person {
                person.leave(Leaving::Quit)?;
                self.serve(n);
            }
        }
        self.until("everybody to leave", |soak| soak.here() == 0)?;
        self.failures.extend(self.world.settle(true));
        let most = self.sockets;
        let are_gone = move |soak: &mut Self| sockets(&soak.server).is_ok_and(|now| now <= most);
        self.until("the sockets to be as few as at the start", are_gone)?;
        let open = self.server.open().map_err(failed("the server's /proc"))?;
        if open.len() > self.base + FILES_OPEN {
            return Err(format!("{} descriptors when everybody has left: {}", open.len(), open.join(", ")));
        }
        Ok(())
    }

    /// Waits for something that must come about within [`END`].
    fn until(&mut self, what: &str, mut holds: impl FnMut(&mut Self) -> bool) -> Outcome<()> {
        let mut events = Events::with_capacity(4096);
        let since = Instant::now();
        while !holds(self) {
            self.wait(&mut events)?;
            self.tick();
            if since.elapsed() > END {
                let people = self.slots.iter().filter_map(|slot| slot.person.as_ref());
                let late: Vec<String> =
                    people.filter(|person| !person.is_settled()).take(3).map(Person::under_way).collect();
                let late = late.join("; ");
                return Err(format!("{} s are not enough for {what}: {late}", END.as_secs()));
            }
        }
        println!("{:>5.1} s for {what}", since.elapsed().as_secs_f64());
        Ok(())
    }
}

impl Slot {
    fn new(n: usize, now: Instant) -> Self {
        let from_end = PEOPLE - 1 - n;
        let (habit, rooms) = match from_end {
            _ if from_end < TALKERS => (Habit::Talker, vec![BUSY]),
            _ if from_end < TALKERS + SLOW => (Habit::Slow, vec![BUSY]),
            _ if from_end < TALKERS + SLOW + SILENT => (Habit::Silent, vec![BUSY]),
            // Some who read at once are in the busy room too.
            _ if from_end < TALKERS + SLOW + SILENT + 10 => (Habit::Usual, vec![BUSY, n % ROOMS]),
            _ if n.is_multiple_of(3) => (Habit::Usual, vec![n % ROOMS, (n * 7 + 1) % ROOMS]),
            _ => (Habit::Usual, vec![n % ROOMS]),
        };
        let mut rooms = rooms;
        rooms.dedup();
        // One in ten comes and goes all the time; the slow ones only when the server closes them.
        let comes_and_goes = habit == Habit::Usual && n % 10 == 3;
        Self { person: None, habit, rooms, comes_and_goes, back: Some(now) }
    }
}
