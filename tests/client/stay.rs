//! What the client promises over broken connections, held against the server's core: thousands of cuts at random moments, also
//! with the server still busy with what an earlier connection left behind.

use std::collections::{BTreeMap, VecDeque};
use std::time::{Duration, Instant};

use chinwag::client::model::news::{News, Taken};
use chinwag::client::model::session::{Session, Wish};
use chinwag::names::{Nick, RoomName};
use chinwag::settings::Settings;
use chinwag::wire::ServerLine;
use fastrand::Rng;
use testkit::memory::Memory;

/// Somebody with the client.
struct Person {
    name: &'static str,
    session: Session,
    connection: Option<Connection>,
    /// What was shown of the room, as `nick text`.
    shown: Vec<String>,
    /// What was shown of private talk.
    private: Vec<String>,
    refused: Vec<String>,
    typed: usize,
}

/// What is under way to the server.
struct Connection {
    id: String,
    lines: VecDeque<String>,
}

struct World {
    memory: Memory,
    people: Vec<Person>,
    /// Connections that their clients have lost, and of which the server has not noticed that.
    lingering: VecDeque<Connection>,
    start: Instant,
    count: usize,
    cuts: usize,
    regained: usize,
}

impl World {
    fn new(names: &[&'static str], history: usize) -> Self {
        let person = |&name: &&'static str| {
            let rooms = vec![RoomName::new("#room").unwrap()];
            let session = Session::new(Wish { nick: Nick::new(name).ok(), rooms, ..Wish::default() });
            let (shown, private, refused) = (Vec::new(), Vec::new(), Vec::new());
            Person { name, session, connection: None, shown, private, refused, typed: 0 }
        };
        Self {
            memory: Memory::new(Settings { history, rate: 0, ..Settings::default() }),
            people: names.iter().map(person).collect(),
            lingering: VecDeque::new(),
            start: Instant::now(),
            count: 0,
            cuts: 0,
            regained: 0,
        }
    }

    fn now(&self) -> Instant {
        self.start + (self.memory.at - chinwag::time::Instant::START)
    }

    fn wait(&mut self, time: Duration) {
        self.memory.wait(time);
        let now = self.now();
        self.people.iter_mut().for_each(|person| person.session.tick(now));
    }

    fn connect(&mut self, n: usize) {
        self.count += 1;
        let id = format!("{}-{}", self.people[n].name, self.count);
        self.memory.connect(&id);
        self.people[n].session.connected();
        self.people[n].connection = Some(Connection { id, lines: VecDeque::new() });
    }

    /// Carries out up to `count` lines of what is under way to the server.
    fn up(&mut self, n: usize, count: usize) {
        let person = &mut self.people[n];
        let Some(connection) = &mut person.connection else { return };
        while let Some(line) = person.session.poll_line() {
            connection.lines.push_back(line);
        }
        for line in connection.lines.drain(..count.min(connection.lines.len())) {
            self.memory.send(&connection.id, format!("{line}\n").as_bytes());
        }
    }

    /// Takes up to `count` lines of what is under way from the server.
    fn down(&mut self, n: usize, count: usize) {
        let now = self.now();
        let person = &mut self.people[n];
        let Some(connection) = &person.connection else { return };
        for _ in 0..count {
            let Some(line) = self.memory.next(&connection.id) else { break };
            person.session.told(ServerLine::parse(&line), now);
        }
        person.gather();
        self.regained += usize::from(person.session.is_regaining(now));
    }

    fn cut(&mut self, n: usize, dice: &mut Rng) {
        let Some(mut connection) = self.people[n].connection.take() else { return };
        // Of what was under way, some more arrives.
        connection.lines.truncate(dice.usize(..connection.lines.len() + 1));
        self.people[n].session.lost("cut");
        self.people[n].gather();
        self.lingering.push_back(connection);
        self.cuts += 1;
    }

    /// The server carries out what has arrived on a connection that is lost, and notices that it is.
    fn bury(&mut self) {
        if let Some(connection) = self.lingering.pop_front() {
            for line in connection.lines {
                self.memory.send(&connection.id, format!("{line}\n").as_bytes());
            }
            self.memory.end(&connection.id);
        }
    }

    /// Lets everything come to rest, with everybody connected.
    fn settle(&mut self) {
        while !self.lingering.is_empty() {
            self.bury();
        }
        for _ in 0..20 {
            for n in 0..self.people.len() {
                if self.people[n].connection.is_none() {
                    self.connect(n);
                }
                self.up(n, usize::MAX);
                self.down(n, usize::MAX);
            }
            self.wait(Duration::from_secs(1));
        }
    }
}

impl Person {
    fn say(&mut self, to: &str, now: Instant) {
        self.typed += 1;
        let line = format!("{to}{} {}", self.name, self.typed);
        assert_eq!(self.session.typed(&line, now), Taken::Yes);
    }

    fn gather(&mut self) {
        while let Some(news) = self.session.poll_news() {
            match news {
                News::Said { place: chinwag::names::Place::Room(_), from, text, .. } => {
                    self.shown.push(format!("{from}: {text}"));
                }
                News::Said { text, .. } => self.private.push(text),
                News::Refused(text) => self.refused.push(text),
                _ => {}
            }
        }
        while self.session.poll_answer().is_some() {}
    }
}

/// Everybody but the last, who sees all, is cut at random.
fn walk(seed: u64, steps: usize, history: usize) -> World {
    let mut world = World::new(&["alice", "bob", "carol", "witness"], history);
    let witness = world.people.len() - 1;
    let mut dice = Rng::with_seed(seed);
    (0..world.people.len()).for_each(|n| world.connect(n));
    world.settle();
    for _ in 0..steps {
        let n = dice.usize(..witness);
        let count = dice.usize(..12);
        match dice.usize(..16) {
            0..3 => {
                let now = world.now();
                world.people[n].say("", now);
            }
            3 => {
                let now = world.now();
                world.people[n].say("/msg witness ", now);
            }
            4..8 => world.up(n, count),
            8..12 => world.down(n, count),
            12 => world.cut(n, &mut dice),
            13 if world.people[n].connection.is_none() => world.connect(n),
            14 => world.bury(),
            _ => world.wait(Duration::from_millis(300 * count as u64)),
        }
        world.up(witness, usize::MAX);
        world.down(witness, usize::MAX);
    }
    world.settle();
    // What happens after a loss takes as long as the server may take to notice one.
    world.wait(Duration::from_secs(100));
    world.settle();
    world
}

#[test]
fn over_broken_connections_every_line_is_shown_once_and_in_order() {
    let (mut cuts, mut regained) = (0, 0);
    for seed in 0..100 {
        let world = walk(seed, 1_500, 100_000);
        let said = &world.people.last().unwrap().shown;
        for person in &world.people {
            assert_eq!(&person.shown, said, "what {} was shown, seed {seed}", person.name);
        }
        let mut lines: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
        let private = &world.people.last().unwrap().private;
        for line in said.iter().map(|line| line.split_once(": ").unwrap().1).chain(private.iter().map(String::as_str)) {
            let (name, number) = line.split_once(' ').unwrap();
            lines.entry(name).or_default().push(number.parse().unwrap());
        }
        for person in &world.people[..world.people.len() - 1] {
            let mut arrived = lines.remove(person.name).unwrap_or_default();
            arrived.sort_unstable();
            let mut expected: Vec<usize> = (1..=person.typed).collect();
            // A line of which it cannot be known whether it arrived is reported, and may have arrived: a private one, or one
            // that the server sits on for too long.
            let reported = |number: usize| {
                person.refused.iter().any(|text| text.ends_with(&format!(": {} {number}", person.name)))
            };
            expected.retain(|number| arrived.contains(number) || !reported(*number));
            assert_eq!(arrived, expected, "what {} said, seed {seed}: {:?}", person.name, person.refused);
            for (n, text) in person.refused.iter().enumerate() {
                assert!(text.contains(" have got this: ") || text.contains(" has not got this: "), "{n} {text}");
            }
        }
        cuts += world.cuts;
        regained += world.regained;
    }
    assert!(cuts > 2_000, "{cuts}");
    assert!(regained > 100, "{regained}");
}

#[test]
fn what_is_said_to_a_room_keeps_its_order() {
    for seed in 1_000..1_020 {
        let world = walk(seed, 1_500, 100_000);
        for person in &world.people {
            let own = person.shown.iter().filter_map(|line| line.split_once(": ").unwrap().1.strip_prefix(person.name));
            let numbers: Vec<usize> = own.map(|number| number.trim().parse().unwrap()).collect();
            assert!(numbers.is_sorted(), "{} seed {seed}: {numbers:?}", person.name);
        }
    }
}

#[test]
fn where_the_history_is_short_nothing_is_doubled_either() {
    let mut reported = 0;
    for seed in 2_000..2_060 {
        let world = walk(seed, 1_500, 5);
        let said = &world.people.last().unwrap().shown;
        let mut lines: Vec<&String> = said.iter().collect();
        lines.sort_unstable();
        lines.dedup();
        assert_eq!(lines.len(), said.len(), "seed {seed}");
        for person in &world.people {
            // Some may be missing, but the rest is in order.
            let mut all = said.iter();
            assert!(person.shown.iter().all(|line| all.any(|said| said == line)), "{} seed {seed}", person.name);
            reported += person.refused.iter().filter(|text| text.contains("#room may not have got this")).count();
        }
    }
    assert!(reported > 20, "{reported}");
}
