//! What the client promises over broken connections, held against the server: thousands of cuts at random moments, also with the
//! server still busy with what an earlier connection left behind. Where its place is kept it is the whole server in memory, else
//! the core.

use std::collections::{BTreeMap, VecDeque};
use std::time::{Duration, Instant};

use chinwag::client::model::kept::{Kept, Told};
use chinwag::client::model::news::{News, Taken};
use chinwag::client::model::session::{Session, Wish};
use chinwag::names::{Nick, Place, RoomName};
use chinwag::settings::Settings;
use chinwag::wire::ServerLine;
use fastrand::Rng;
use testkit::memory::Memory;
use testkit::model::World as _;
use testkit::sim::Sim;

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
    /// Who was seen to come and go.
    moved: Vec<String>,
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
        Self {
            memory: Memory::new(Settings { history, rate: 0, ..Settings::default() }),
            people: names.iter().map(|name| Person::new(name)).collect(),
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
    fn new(name: &'static str) -> Self {
        let rooms = vec![RoomName::new("#room").unwrap()];
        let session = Session::new(Wish { nick: Nick::new(name).ok(), rooms, ..Wish::default() });
        let [shown, private, refused, moved] = Default::default();
        Self { name, session, connection: None, shown, private, refused, moved, typed: 0 }
    }

    fn say(&mut self, to: &str, now: Instant) {
        self.typed += 1;
        let line = format!("{to}{} {}", self.name, self.typed);
        assert_eq!(self.session.typed(&line, now), Taken::Yes);
    }

    fn gather(&mut self) {
        while let Some(news) = self.session.poll_news() {
            match news {
                News::Said { place: Place::Room(_), from, text, .. } => {
                    self.shown.push(format!("{from}: {text}"));
                }
                News::Said { text, .. } => self.private.push(text),
                News::Refused(text) => self.refused.push(text),
                News::Happened { text, moves: Some(_), .. } => self.moved.push(text),
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

/// People whose places are kept, and the whole server.
struct Keeping {
    sim: Sim,
    people: Vec<(Person, Kept)>,
    now: Instant,
    dice: Rng,
}

impl Keeping {
    fn new(names: &[&'static str], seed: u64) -> Self {
        let settings = Settings { history: 100_000, rate: 0, ..Settings::default() };
        let mut dice = Rng::with_seed(seed);
        let room = [300, 4_000, 1 << 20][dice.usize(..3)];
        let sim = Sim::calm(room, Duration::ZERO, settings);
        let people = names.iter().map(|name| (Person::new(name), Kept::default())).collect();
        let mut keeping = Self { sim, people, now: Instant::now(), dice };
        for n in 0..names.len() {
            keeping.sim.connect(n, &mut keeping.dice);
            keeping.people[n].0.session.connected();
        }
        keeping.settle();
        keeping.people.iter_mut().for_each(|(person, _)| person.moved.clear());
        keeping
    }

    fn pass(&mut self, time: Duration) {
        self.sim.pass(time);
        self.now += time;
        let now = self.now;
        self.people.iter_mut().for_each(|(person, _)| person.session.tick(now));
    }

    /// What is to be said goes to the server.
    fn up(&mut self, n: usize) {
        let (person, kept) = &mut self.people[n];
        let mut lines: Vec<String> = std::iter::from_fn(|| kept.poll_line()).collect();
        while let Some(line) = person.session.poll_line() {
            kept.sent(&line);
            lines.extend((!kept.is_away()).then_some(line));
        }
        lines.iter().for_each(|line| self.sim.send(n, format!("{line}\n").as_bytes()));
    }

    /// Takes up to `count` lines of what has come.
    fn down(&mut self, n: usize, count: usize) {
        let (person, kept) = &mut self.people[n];
        for _ in 0..count {
            let Some(heard) = self.sim.hear(n) else { break };
            let line = ServerLine::parse(&heard.line);
            match kept.told(&line, heard.line.len()) {
                Told::Others => person.session.told(line, self.now),
                Told::Own => {}
                Told::TakenUp { again, .. } => {
                    person.session.taken_up(self.now);
                    again.iter().for_each(|line| self.sim.send(n, format!("{line}\n").as_bytes()));
                }
                Told::Gone(_) => panic!("{} is told {}", person.name, heard.line),
            }
        }
        person.gather();
    }

    fn cut(&mut self, n: usize) {
        let (person, kept) = &mut self.people[n];
        let time = kept.lost().unwrap_or_else(|| panic!("{} has no place", person.name));
        person.session.lost_and_kept("cut", time, self.now);
        self.sim.reconnect(n, &mut self.dice);
        self.now += Duration::from_secs(2);
        if let Some(line) = kept.connected() {
            self.sim.send(n, format!("{line}\n").as_bytes());
        }
    }

    fn settle(&mut self) {
        for _ in 0..20 {
            for n in 0..self.people.len() {
                self.up(n);
                self.down(n, usize::MAX);
            }
            self.pass(Duration::from_secs(1));
        }
    }
}

#[test]
fn where_places_are_kept_every_line_comes_once_and_in_order_and_nobody_is_seen_to_go() {
    let names = ["alice", "bob", "carol", "witness"];
    let witness = names.len() - 1;
    let mut cuts = 0;
    for seed in testkit::seeds(40) {
        let mut keeping = Keeping::new(&names, seed);
        let mut private = vec![Vec::new(); names.len()];
        for _ in 0..500 {
            let n = keeping.dice.usize(..witness);
            let count = keeping.dice.usize(..12);
            let now = keeping.now;
            match keeping.dice.usize(..16) {
                0..3 => keeping.people[n].0.say("", now),
                3 => {
                    keeping.people[n].0.say("/msg witness ", now);
                    let (person, _) = &keeping.people[n];
                    private[witness].push(format!("{} {}", person.name, person.typed));
                }
                4 => {
                    keeping.people[witness].0.say(&format!("/msg {} ", names[n]), now);
                    private[n].push(format!("witness {}", keeping.people[witness].0.typed));
                }
                5 => keeping.people[witness].0.say("", now),
                6..9 => keeping.up(n),
                9..12 => keeping.down(n, count),
                12 => {
                    keeping.cut(n);
                    cuts += 1;
                }
                _ => keeping.pass(Duration::from_millis(count as u64)),
            }
            keeping.up(witness);
            keeping.down(witness, usize::MAX);
        }
        keeping.settle();
        let (seen, _) = &keeping.people[witness];
        let mut said: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
        let all = seen.shown.iter().map(|line| line.split_once(": ").unwrap().1);
        for line in all.chain(seen.private.iter().map(String::as_str)) {
            let (name, number) = line.split_once(' ').unwrap();
            said.entry(name).or_default().push(number.parse().unwrap());
        }
        for (n, (person, _)) in keeping.people.iter().enumerate() {
            let name = person.name;
            assert_eq!((&person.refused, &person.moved), (&vec![], &vec![]), "what {name} was told, seed {seed}");
            assert_eq!(person.shown, seen.shown, "what {name} was shown, seed {seed}");
            let (own, others): (Vec<_>, Vec<_>) =
                person.private.iter().cloned().partition(|text| text.starts_with(&format!("{name} ")));
            if n != witness {
                assert_eq!(others, private[n], "what {name} was told alone, seed {seed}");
            }
            // Whatever was said in one place came there in order.
            let room: Vec<_> = seen.shown.iter().filter(|line| line.starts_with(&format!("{name}: "))).collect();
            for texts in [own.iter().collect::<Vec<_>>(), room] {
                let numbers = texts.iter().map(|text| text.rsplit(' ').next().unwrap().parse::<usize>().unwrap());
                assert!(numbers.is_sorted_by(|before, after| before < after), "{name} seed {seed}: {texts:?}");
            }
            let mut numbers = said.remove(name).unwrap_or_default();
            numbers.sort_unstable();
            assert_eq!(numbers, (1..=person.typed).collect::<Vec<_>>(), "what {name} said, seed {seed}");
        }
    }
    assert!(cuts > 1_000 || std::env::var_os("CHINWAG_SEED").is_some(), "{cuts}");
}
