//! How much memory the server takes at most: every term of the sum is filled as far as it goes, in a reactor whose
//! connections are no sockets, and what that takes from memory is counted. At last all is filled at once, in a real server.
#![allow(
    missing_docs,
    unreachable_pub,
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "tests are no library, and may panic"
)]

use std::cell::RefCell;
use std::collections::VecDeque;
use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::rc::Rc;
use std::time::{Duration, SystemTime};

use allocation_counter::measure;
use chinwag::connection::Readiness;
use chinwag::dialect::PLAIN;
use chinwag::effect::{
    Entered, Found, Job, Logged, Outcome, PasswordResult, PasswordTask, PastRoom, Query, Record, Reloaded,
};
use chinwag::event::{SaidKind, Trouble};
use chinwag::hub::Hub;
use chinwag::limits;
use chinwag::memory::{bound, terms};
use chinwag::meters::{Counted, Doings, FixedWindow, PrefixCount, PrefixWindow, Shares};
use chinwag::names::{Digest, Nick, Origin, PersonId, PlaceToken, Prefix, RoomName, Text};
use chinwag::reactor::Reactor;
use chinwag::register::{Author, Block, BlockScope, Blocked, Entry, Network, Register};
use chinwag::rooms::Rooms;
use chinwag::settings::{Logging, Settings};
use chinwag::system::{Newcomer, Ready, System};
use chinwag::time::{Instant, Now};
use chinwag::transport::{Encrypted, Farewell, Tls, Transport, WebSocket};
use chinwag::web::{Places, WebDoor};
use rustls::SupportedProtocolVersion;
use rustls::version::{TLS12, TLS13};
use socket2::SockRef;
use testkit::memory::Memory;
use testkit::{Server, eventually};

use self::secure::Secure;

#[allow(dead_code, reason = "only its client is needed here")]
#[path = "tls/secure.rs"]
mod secure;

/// Somebody at the other end of a connection.
#[derive(Default)]
struct Peer {
    slot: usize,
    /// What is sent, and how far it has been read.
    input: Vec<u8>,
    read: usize,
    /// Whether anything that the server writes is taken.
    takes: bool,
}

type Shared = Rc<RefCell<Peer>>;

struct Stream(Shared);

impl Read for Stream {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let mut peer = self.0.borrow_mut();
        let n = (&peer.input[peer.read..]).read(buf)?;
        peer.read += n;
        if n == 0 { Err(io::ErrorKind::WouldBlock.into()) } else { Ok(n) }
    }
}

impl Write for Stream {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        if self.0.borrow().takes { Ok(buf.len()) } else { Err(io::ErrorKind::WouldBlock.into()) }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Transport for Stream {
    fn shut(&mut self, _: Farewell) -> io::Result<()> {
        Ok(())
    }

    fn set_user_timeout(&mut self, _: Option<Duration>) {}

    fn unread(&self) -> usize {
        0
    }

    fn take_error(&mut self) -> Option<io::Error> {
        None
    }
}

/// What is around the reactor. Its disk keeps nothing, and may hang.
#[derive(Default)]
struct Surroundings {
    passed: Duration,
    newcomers: VecDeque<Newcomer<Stream>>,
    ready: Vec<Ready>,
    jobs: VecDeque<Job>,
    hangs: bool,
    /// Whether the reactor had nothing to do when it waited last.
    is_idle: bool,
    /// How much time goes by then.
    rest: Duration,
}

impl System for Surroundings {
    type Stream = Stream;

    fn now(&self) -> Now {
        Now { at: Instant::START + self.passed, wall: SystemTime::UNIX_EPOCH + self.passed }
    }

    fn worked(&self) -> Duration {
        self.passed
    }

    fn wait(&mut self, timeout: Option<Duration>, ready: &mut Vec<Ready>) -> io::Result<()> {
        let has_news = !self.ready.is_empty() || !self.newcomers.is_empty() || !self.hangs && !self.jobs.is_empty();
        self.is_idle = !has_news && timeout != Some(Duration::ZERO);
        self.passed += if self.is_idle { self.rest } else { Duration::from_micros(10) };
        ready.append(&mut self.ready);
        Ok(())
    }

    fn register(&mut self, stream: &mut Stream, slot: usize) -> io::Result<()> {
        stream.0.borrow_mut().slot = slot;
        Ok(())
    }

    fn reregister(&mut self, stream: &mut Stream, slot: usize) -> io::Result<()> {
        self.register(stream, slot)
    }

    fn token(&mut self) -> io::Result<PlaceToken> {
        Ok(PlaceToken(self.passed.as_nanos()))
    }

    fn close(&mut self, _: Stream) {}

    fn reload(&mut self) {}

    fn reloaded(&mut self) -> Option<Result<Reloaded, String>> {
        None
    }

    fn accept(&mut self, _: Now) -> Option<Newcomer<Stream>> {
        self.newcomers.pop_front()
    }

    fn next_accept(&self) -> Option<Instant> {
        None
    }

    fn stop_accepting(&mut self) {}

    fn signals(&mut self) -> usize {
        0
    }

    fn job(&mut self, job: Job) {
        self.jobs.push_back(job);
    }

    fn outcome(&mut self) -> Option<Outcome> {
        Some(match self.jobs.pop_front().filter(|_| !self.hangs)? {
            Job::Append(file, bytes) => Outcome::Appended(file, bytes.len()),
            Job::Finish(file) => Outcome::Finished(file, Digest([0; 32])),
            Job::Read { len, reader, download, .. } => Outcome::Data { data: vec![0; len], reader, download },
            Job::Create(_) | Job::Describe(..) | Job::Remove(_) => Outcome::Done,
        })
    }

    fn log(&mut self, _: &[Record]) -> Option<Trouble> {
        None
    }

    fn ask(&mut self, _: Query) {}

    fn found(&mut self) -> Option<Found> {
        None
    }

    fn password(&mut self, _: PasswordTask) {}

    fn password_result(&mut self) -> Option<PasswordResult> {
        None
    }

    fn enter(&mut self, _: Vec<Entry>) {}

    fn note(&mut self, _: Vec<Entry>) {}

    fn entered(&mut self) -> Option<Entered> {
        None
    }

    fn next_log(&self) -> Option<Duration> {
        None
    }
}

/// A server and those who are connected with it.
struct World {
    reactor: Reactor<Surroundings>,
    settings: Settings,
    peers: Vec<Shared>,
    /// Bytes that it has taken from memory and not given back.
    held: i64,
}

impl World {
    fn new(settings: Settings) -> Self {
        let mut reactor = None;
        let info = measure(|| {
            let hub = Hub::new(settings.clone());
            let around = Surroundings { rest: limits::GATHER, ..Surroundings::default() };
            reactor = Some(Reactor::new(around, hub, vec![&PLAIN]));
        });
        Self { reactor: reactor.unwrap(), settings, peers: Vec::new(), held: info.bytes_current }
    }

    /// One without a limit of lines.
    fn unlimited() -> Self {
        Self::new(Settings {
            rate: 0,
            max_clients: 100_000,
            stall: Duration::from_secs(100_000),
            ..Settings::default()
        })
    }

    /// So many come in who take all that is written to them, or nothing.
    fn connect(&mut self, count: usize, takes: bool) {
        for _ in 0..count {
            let peer = Rc::new(RefCell::new(Peer { takes, ..Peer::default() }));
            let address = Ipv4Addr::from(0x0A00_0000 + u32::try_from(self.peers.len()).unwrap());
            let transport = Stream(Rc::clone(&peer));
            let newcomer =
                Newcomer { transport, peer: chinwag::peer::Peer::at(address.into()), dialect: 0, is_arriving: false };
            self.reactor.system().newcomers.push_back(newcomer);
            self.peers.push(peer);
        }
        self.run();
    }

    /// Has this many bytes more sent; they are read when it is run.
    fn put(&mut self, n: usize, text: &str) {
        let mut peer = self.peers[n].borrow_mut();
        let read = peer.read;
        peer.input.drain(..read);
        peer.read = 0;
        peer.input.extend_from_slice(text.as_bytes());
        let readiness = Readiness { readable: true, ..Readiness::default() };
        self.reactor.system().ready.push(Ready { slot: peer.slot, readiness });
    }

    fn send(&mut self, n: usize, text: &str) {
        self.put(n, text);
        self.run();
    }

    /// Runs until it waits for what is not to come.
    fn run(&mut self) {
        let reactor = &mut self.reactor;
        self.held += measure(|| {
            let mut idle = 0;
            // A fan-out may have to be waited for, and what follows from it.
            while idle < 3 {
                reactor.turn().unwrap();
                idle = if reactor.system().is_idle { idle + 1 } else { 0 };
            }
        })
        .bytes_current;
    }

    fn set_takes(&mut self, takes: bool) {
        self.peers.iter().for_each(|peer| peer.borrow_mut().takes = takes);
    }

    /// Nothing that is held is beyond what these terms allow, and `least` percent of that is there.
    fn check(&self, names: &[&str], least: usize) {
        let of = terms(&self.settings).into_iter().filter(|term| names.contains(&term.name)).collect::<Vec<_>>();
        assert_eq!(of.len(), names.len());
        let most: usize = of.iter().map(|term| term.bytes(self.peers.len())).sum();
        within(&names.join(", "), usize::try_from(self.held).unwrap(), most, least);
    }
}

fn within(what: &str, held: usize, most: usize, least: usize) {
    eprintln!("{what}: {held} of {most} bytes, {} %", held * 100 / most.max(1));
    assert!(held <= most, "{what}: {held} bytes are held, and {most} may be");
    assert!(held >= most / 100 * least, "{what}: {held} bytes of {most} are few");
}

fn common(name: &str) -> usize {
    let logging = Logging { max: u64::MAX, sync: Duration::ZERO };
    let settings = Settings { log: Some(logging), ..Settings::default() };
    terms(&settings).into_iter().find(|term| term.name == name).unwrap().common
}

fn name(n: usize) -> RoomName {
    RoomName::new(&format!("#{n:030}")).unwrap()
}

#[test]
fn rooms_that_are_only_known() {
    let mut rooms = Rooms::new(200);
    let info = measure(|| {
        for n in 0..limits::LOGS {
            let topic = Some(Text::new(&"x".repeat(limits::TOPIC)));
            rooms.restore(PastRoom { name: name(n), topic, last_seq: 3, lines: Vec::new() });
        }
    });
    within("known", usize::try_from(info.bytes_current).unwrap(), common("rooms that are only known"), 60);
}

#[test]
fn what_networks_and_accounts_did() {
    let mut windows = [(); 3].map(|()| PrefixWindow::new(limits::MINUTE));
    let mut doings = [(); 5].map(|()| Doings::default());
    let mut shares = Shares::new(limits::DAY);
    let mut made = PrefixCount::default();
    let long = "\u{5c0f}".repeat(14);
    let info = measure(|| {
        for n in 0..2 * limits::PREFIXES as u32 {
            let prefix = Prefix::v4(n.to_be_bytes());
            windows.iter_mut().for_each(|window| window.count(prefix, Instant::START));
            let account = Nick::new(&format!("{long}{n}")).unwrap();
            for who in [Counted::Network(prefix), Counted::Account(account)] {
                shares.count(who, Instant::START);
                for doings in &mut doings {
                    doings.count(who, &mut FixedWindow::default(), Instant::START);
                }
            }
        }
        // Each room was made from a /64 of a /48 of its own.
        for n in 0..limits::LOGS as u64 {
            let [.., a, b, c, d] = n.to_be_bytes();
            made.add(Prefix::v6([0x20, 1, a, b, c, d, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1]));
        }
    });
    within("networks", usize::try_from(info.bytes_max).unwrap(), common("what networks and accounts did"), 50);
}

#[test]
fn blocks() {
    let reason = "x".repeat(limits::REASON);
    let mut register = Register::default();
    let info = measure(|| {
        for n in 0..limits::BLOCKS as u64 {
            let (octets, by) = ((n as u32).to_be_bytes(), Author::Server);
            let who = Blocked::Network(Network::V4 { octets, len: 32 });
            let reason = Text::new(&reason);
            register.apply(Entry::Block(Block { id: n, scope: BlockScope::All, who, until: None, by, reason }));
        }
    });
    within("blocks", usize::try_from(info.bytes_max).unwrap(), common("blocks"), 50);
}

#[test]
fn rooms_with_topics_and_members() {
    let mut world = World::unlimited();
    let people = limits::ROOMS / limits::ROOMS_A_PERSON;
    world.connect(people, true);
    for n in 0..people {
        for room in 0..limits::ROOMS_A_PERSON {
            let room = name(n * limits::ROOMS_A_PERSON + room);
            world.put(n, &format!("/join {room}\n/topic {room} {}\n", "x".repeat(limits::TOPIC)));
        }
    }
    world.run();
    world.check(&["rooms", "people"], 35);
}

#[test]
fn people_with_all_that_they_may_have() {
    const PEOPLE: usize = 300;
    let mut world = World::unlimited();
    world.connect(PEOPLE, true);
    for n in 0..PEOPLE {
        let mut lines: String = (0..limits::ROOMS_A_PERSON).map(|room| format!("/join {}\n", name(room))).collect();
        lines += &format!("/away {}\n", "x".repeat(limits::TOPIC));
        world.put(n, &lines);
    }
    world.run();
    // Each is ignored by fifty, who do not hear that they type.
    for n in (0..PEOPLE).step_by(2) {
        let mut lines = String::new();
        (1..=limits::IGNORED).for_each(|other| lines += &format!("/ignore guest{}\n", (n + other) % PEOPLE + 1));
        world.put(n, &lines);
    }
    world.run();
    for n in 0..PEOPLE {
        let mut lines = String::new();
        for other in 0..2 * limits::AWAY_TOLD {
            lines += &format!("/msg @guest{} x\n", (n + other) % PEOPLE + 1);
        }
        (0..limits::ROOMS_A_PERSON).for_each(|room| lines += &format!("/typing {} on\n", name(room)));
        (1..=PEOPLE).for_each(|other| lines += &format!("/typing @guest{other} on\n"));
        world.put(n, &lines);
    }
    world.run();
    let mut of = terms(&world.settings).into_iter().filter(|term| ["rooms", "people"].contains(&term.name));
    let most = of.next().unwrap().each + of.next().unwrap().each;
    let rooms = limits::ROOMS_A_PERSON * 2_000;
    within("people", usize::try_from(world.held).unwrap(), PEOPLE * most + rooms + 200_000, 10);
}

#[test]
fn input_that_waits_for_its_turn() {
    let mut world = World::new(Settings::default());
    world.connect(300, true);
    for n in 0..300 {
        // With an upload more is read at once. It ends, and what was read waits.
        world.put(n, &format!("/join #r{n}\n/send #r{n} 100000 f\n"));
    }
    world.run();
    // No time goes by, so that no token comes back.
    world.reactor.system().rest = Duration::ZERO;
    for n in 0..300 {
        world.put(n, &"/ping\n".repeat(20_000));
    }
    world.run();
    world.check(&["input", "people"], 5);
}

#[test]
fn uploads_under_way() {
    let mut world = World::new(Settings { rate: 0, max_clients: 1000, ..Settings::default() });
    world.connect(limits::UPLOADS, true);
    for n in 0..limits::UPLOADS {
        world.put(n, &format!("/join #r{n}\n/send #r{n} 100000 f\n"));
    }
    world.run();
    for n in 0..limits::UPLOADS {
        world.put(n, &format!("={}", "A".repeat(limits::CHUNK_LINE - 1)));
    }
    world.run();
    world.check(&["uploads", "people", "files"], 15);
}

#[test]
fn lines_that_are_pending_for_those_who_do_not_read() {
    // Long lines, short ones with replies between them, and more of both than there may be.
    for (count, len) in [(600, 4_000), (1_200, 200), (1_000, 1)] {
        let mut world = World::unlimited();
        world.connect(count, false);
        world.connect(1, true);
        let text = "x".repeat(len);
        let rounds = (3 * limits::SLOW_CONSUMER / 2 / (len + 300)).min(1_000);
        for _ in 0..rounds {
            for n in 1..=count {
                world.put(count, &format!("/msg @guest{n} {text}\n"));
                if len < 1_000 {
                    world.put(n - 1, "/ping x\n");
                }
            }
            world.run();
        }
        world.check(&["lines pending", "people"], 20);
    }
}

#[test]
fn what_was_written_to_those_whose_places_are_kept() {
    // Nobody confirms anything, of long lines and of short ones, and more is written than may be held for all.
    for (count, len) in [(1_500, 1_000), (1_500, 10)] {
        let mut world = World::unlimited();
        world.connect(count, true);
        (0..count).for_each(|n| world.put(n, "/set presence off\n/keep\n"));
        world.run();
        world.connect(1, true);
        let text = "x".repeat(len);
        for _ in 0..70_000 / (len + 200) {
            for n in 1..=count {
                world.put(count, &format!("/msg @guest{n} {text}\n"));
            }
            world.run();
        }
        world.check(&["what was written", "people"], if len < 100 { 1 } else { 15 });
    }
}

#[test]
fn lines_of_a_room_with_replies_between_them() {
    const PEOPLE: usize = 1_500;
    let mut world = World::unlimited();
    world.connect(PEOPLE + 1, true);
    for n in 0..=PEOPLE {
        world.put(n, "/set presence off\n/join #a\n");
    }
    world.run();
    world.set_takes(false);
    world.peers[PEOPLE].borrow_mut().takes = true;
    for _ in 0..120 {
        world.put(PEOPLE, &format!("{}\n", "x".repeat(4_000)));
        for n in 0..PEOPLE {
            world.put(n, "/ping\n");
        }
        let reactor = &mut world.reactor;
        world.held += measure(|| assert!(reactor.turn().unwrap())).bytes_current;
    }
    world.run();
    world.check(&["lines pending", "people"], 3);
}

#[test]
fn file_data_for_those_who_do_not_read() {
    const READERS: usize = 1_300;
    let mut world = World::unlimited();
    world.connect(READERS + 1, true);
    for n in 0..=READERS {
        world.put(n, "/join #a\n");
    }
    world.run();
    world.set_takes(false);
    world.peers[READERS].borrow_mut().takes = true;
    let chunk = format!("={}\n", "A".repeat(limits::CHUNK_LINE));
    for _ in 0..4 {
        world.send(READERS, &format!("/send #a {} f\n", 40 * limits::CHUNK));
        world.send(READERS, &chunk.repeat(40));
    }
    for n in 0..READERS {
        world.put(n, "/get 1\n/get 2\n/get 3\n/get 4\n");
    }
    world.run();
    world.check(&["file data pending", "for the disk and from it", "people"], 20);
}

#[test]
fn what_waits_for_a_disk_that_hangs() {
    let mut world = World::unlimited();
    world.connect(40, true);
    for n in 0..40 {
        world.put(n, &format!("/join #r{n}\n/send #r{n} 10000000 f\n"));
    }
    world.run();
    world.reactor.system().hangs = true;
    let chunk = format!("={}\n", "A".repeat(limits::CHUNK_LINE));
    for n in 0..40 {
        world.put(n, &chunk.repeat(20));
    }
    world.run();
    world.check(&["for the disk and from it", "uploads", "people", "files"], 5);
}

#[test]
fn an_answer_of_which_nothing_is_taken() {
    let mut world = World::unlimited();
    world.connect(limits::PAGE + 100, true);
    world.connect(10, false);
    let before = world.held;
    for n in 0..10 {
        world.put(limits::PAGE + 100 + n, "/who\n");
    }
    world.run();
    // A slice, and the people whose turn is next.
    let held = usize::try_from(world.held - before).unwrap();
    within("an answer", held, 10 * (2 * limits::SLICE + limits::PAGE * size_of::<PersonId>()), 30);
}

#[test]
fn who_goes_before_the_password_leaves_nothing_behind() {
    let mut memory = Memory::new(Settings { password: Some("secret".into()), ..Settings::default() });
    memory.connect("alice");
    memory.end("alice");
    assert!(memory.hub.is_empty());
}

/// Has so many lines of so many letters said in each of so many rooms, in which somebody stays.
fn fill(rooms: &mut Rooms, count: usize, lines: usize, letters: usize) {
    let (who, nick) = (PersonId::new(1, 0), Nick::new("a").unwrap());
    for n in 0..count {
        let room = rooms.open(RoomName::new(&format!("#r{n}")).unwrap(), Origin::Loopback).unwrap();
        rooms.enter(room, who, 0);
        for _ in 0..lines {
            let seq = rooms[room].last_seq() + 1;
            let text = Text::new(&"x".repeat(letters));
            let line = Logged { seq, at: SystemTime::UNIX_EPOCH, from: nick, kind: SaidKind::Text, text };
            rooms.remember(room, (who, Origin::Loopback, None), line);
        }
    }
}

#[test]
fn what_rooms_remember_takes_no_more_memory_than_it_may() {
    for (limit, count, lines, letters) in [(200, 9_000, 200, 1), (100_000, 3, 200_000, 1), (100_000, 3, 8_000, 4_000)] {
        let mut rooms = Rooms::new(limit);
        // Short lines after long ones, so that what was full once has to give memory back.
        let info = measure(|| {
            fill(&mut rooms, 300, 200, 2_000);
            fill(&mut rooms, count, lines, letters);
        });
        let of_rooms = count.max(300) * 1024;
        within("held", usize::try_from(info.bytes_current).unwrap(), limits::HISTORY_IN_ALL + of_rooms, 65);
        // What is moved to another place is there twice for a moment.
        within("held at most", usize::try_from(info.bytes_max).unwrap(), common("histories") + of_rooms, 40);
        rooms.check();
    }
}

/// A socket of a server in TLS, and the client at its other end, of which nothing has come yet.
fn in_tls(listener: &TcpListener, version: &'static SupportedProtocolVersion) -> (Secure, mio::net::TcpStream) {
    let client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let (server, _) = listener.accept().unwrap();
    // The kernel is to take little, and nobody here is to wait.
    SockRef::from(&server).set_send_buffer_size(4096).unwrap();
    server.set_nonblocking(true).unwrap();
    client.set_nonblocking(true).unwrap();
    (Secure::unbegun(client, version), mio::net::TcpStream::from_std(server))
}

/// Handshakes of which the last is missing, each with most of a record behind it; and connections that have something unread, of a record
/// that is not all there, and something that their sockets do not take.
#[test]
#[cfg_attr(not(feature = "tls"), ignore = "there is no TLS in it")]
fn connections_in_tls() {
    const CONNECTIONS: usize = 64;
    let folder = tempfile::tempdir().unwrap();
    let tls = Rc::new(Tls::new(chinwag::tls::own(folder.path()).unwrap()));
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let from = chinwag::peer::Peer::at(Ipv4Addr::LOCALHOST.into());
    // As long as a record may be, but for its last byte.
    let most_of_a_record = [&[23, 3, 3, 0x41, 0][..], &[0; 0x40ff]].concat();
    let (mut held, mut kept) = (0, Vec::new());
    for n in 0..limits::ARRIVING + CONNECTIONS {
        let is_whole = n < CONNECTIONS;
        let (mut client, socket) = in_tls(&listener, [&TLS13, &TLS12][n % 2]);
        let mut server = None;
        held += measure(|| server = Some(Box::new(Encrypted::new(socket, Rc::clone(&tls))))).bytes_current;
        let mut server = server.unwrap();
        let mut heard = 0;
        eventually("the handshake is as far as it is to come", || {
            // What a handshake is to end with never comes of some.
            if is_whole || heard == 0 {
                while client.tls.wants_write() {
                    client.tls.write_tls(&mut client.stream).unwrap();
                }
            }
            let mut arrived = false;
            held += measure(|| arrived = server.arrive(from).is_ok()).bytes_current;
            match client.tls.read_tls(&mut client.stream) {
                Ok(n) => heard += n,
                Err(e) => assert_eq!(e.kind(), io::ErrorKind::WouldBlock),
            }
            client.tls.process_new_packets().unwrap();
            if is_whole { arrived && !client.tls.is_handshaking() } else { heard > 0 }
        });
        let sent = if is_whole {
            let two = client.seal(&[0; 2 * limits::TLS_RECORD]);
            two[..two.len() - 1].to_vec()
        } else {
            most_of_a_record.clone()
        };
        client.stream.set_nonblocking(false).unwrap();
        client.stream.write_all(&sent).unwrap();
        if is_whole {
            eventually("something is read", || {
                let mut read = Ok(0);
                held += measure(|| read = server.read(&mut [0]).map_err(|e| e.kind())).bytes_current;
                read == Ok(1)
            });
            eventually("no more is taken", || {
                let mut written = Ok(0);
                held +=
                    measure(|| written = server.write(&[0; limits::TLS_RECORD]).map_err(|e| e.kind())).bytes_current;
                written == Err(io::ErrorKind::WouldBlock)
            });
        } else {
            eventually("most of a record has come", || {
                held += measure(|| assert!(server.arrive(from).is_err())).bytes_current;
                server.held() == most_of_a_record.len()
            });
        }
        kept.push((client, server));
    }
    let of = terms(&Settings::default()).into_iter().find(|term| term.name == "TLS").unwrap();
    within("TLS", usize::try_from(held).unwrap(), of.bytes(CONNECTIONS), 40);
}

/// Requests whose last byte is missing, and the page for those who do not take it; and WebSockets that have as much under way as there may
/// be: a pong and a ping that are not taken, and a ping that is not all there.
#[test]
fn browsers() {
    const SOCKETS: usize = 64;
    // A ping with as much payload as it may have.
    let ping = [&[0x89, 0xfd, 0, 0, 0, 0][..], &[b'x'; 125]].concat();
    let door = Rc::<WebDoor>::default();
    let from = chinwag::peer::Peer::at(Ipv4Addr::LOCALHOST.into());
    let come = |n: usize| {
        let mut request = match n {
            ..SOCKETS => {
                "GET /ws HTTP/1.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n\
                          Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
                    .to_owned()
            }
            _ => "GET / HTTP/1.1\r\n".to_owned(),
        };
        request += "Host: localhost\r\nX: ";
        request += &"x".repeat(limits::WEB_HEAD - 4 - request.len());
        request += if n >= SOCKETS && n.is_multiple_of(2) { "\r\n\r" } else { "\r\n\r\n" };
        Rc::new(RefCell::new(Peer { input: request.into_bytes(), takes: n < SOCKETS, ..Peer::default() }))
    };
    let (mut held, mut kept) = (0, Vec::new());
    for n in 0..limits::ARRIVING + SOCKETS {
        let peer = come(n);
        let mut socket = None;
        held += measure(|| {
            let mut browser = Box::new(WebSocket::new(Stream(Rc::clone(&peer)), Rc::clone(&door)));
            assert_eq!(browser.arrive(from, Places::Left).is_ok(), n < SOCKETS);
            socket = Some(browser);
        })
        .bytes_current;
        let mut socket = socket.unwrap();
        if n < SOCKETS {
            let sent = [&ping[..], &ping[..ping.len() - 1]].concat();
            *peer.borrow_mut() = Peer { input: sent, ..Peer::default() };
            held += measure(|| {
                assert_eq!(socket.read(&mut [0; 1024]).unwrap_err().kind(), io::ErrorKind::WouldBlock);
                socket.note_heard(Instant::START);
                assert!(socket.beat(Instant::START + limits::WEB_PING).unwrap().is_some());
            })
            .bytes_current;
            assert!(socket.unsent() > ping.len() - 4, "{} bytes wait", socket.unsent());
        }
        kept.push(socket);
    }
    let of = terms(&Settings::default()).into_iter().find(|term| term.name == "browsers").unwrap();
    within("browsers", usize::try_from(held).unwrap(), of.bytes(SOCKETS), 20);
}

#[test]
fn all_at_once_in_a_real_server() {
    const CROWD: usize = 300;
    let data = tempfile::tempdir().unwrap();
    let server = Server::start(&["--rate", "0", "--data", data.path().to_str().unwrap()]);
    let connect = |n| testkit::connect(server.address().parse().unwrap(), n, Some(4096)).unwrap();
    let mut talker = server.person("talker");
    talker.send("/join #all");
    talker.until_starting("+ join #all ");
    // Nobody of the crowd reads. Each asks for what is long, for files and for what others say, and sends a chunk that
    // does not end, or as much else as it can.
    talker.send(&format!("/send #all {} f", 40 * limits::CHUNK));
    talker.until_starting("+ send ");
    let chunk = format!("={}\n", "A".repeat(limits::CHUNK_LINE));
    (0..40).for_each(|_| talker.send_bytes(chunk.as_bytes()));
    talker.until_starting("=1 . ");
    let mut crowd: Vec<TcpStream> = (0..CROWD).map(connect).collect();
    for (n, hostile) in crowd.iter_mut().enumerate() {
        let mut lines = format!("/nick h{n}\n/join #all\n/join #own{n}\n/get 1\n");
        if n % 2 == 0 {
            lines += &format!("/send #own{n} 1000000 f\n={}", "A".repeat(60_000));
        } else {
            lines += &format!("/topic {}\n/who\n", "x".repeat(limits::TOPIC));
            lines += &format!("{}\n", "x".repeat(4_000)).repeat(40);
        }
        hostile.set_nonblocking(true).unwrap();
        // What the socket does not take is too much anyway.
        let _ = hostile.write(lines.as_bytes());
    }
    let text = "x".repeat(4_000);
    for _ in 0..200 {
        (0..CROWD).for_each(|n| talker.send(&format!("/msg @h{n} {text}")));
        talker.send(&text);
        talker.settle();
        if server.usage().unwrap().resident > 400 * 1024 {
            break;
        }
    }
    let log = Some(Logging { max: u64::MAX, sync: Duration::ZERO });
    let most = bound(CROWD + 1, &Settings { log, ..Settings::default() });
    let peak = usize::try_from(server.usage().unwrap().peak).unwrap() * 1024;
    within("a real server", peak, most, 10);
}
