//! Twenty ordinary people in one room, in a process of their own: they talk at a human pace and measure how long each
//! line is on its way to each of the others.
//!
//! The process is told on its standard input when a time of measuring begins (`begin`) and ends (`end`), and answers each
//! `end` with one line, which [`Figures`] writes and reads.

use std::collections::BTreeMap;
use std::io::{BufRead, Write};
use std::net::SocketAddr;
use std::sync::mpsc::{Receiver, TryRecvError, channel};
use std::time::{Duration, Instant};

use fastrand::Rng;
use mio::{Events, Poll};

use chinwag_bench::{Flow, Outcome, Peer, between, connect, failed};

/// How many they are.
const PEOPLE: usize = 20;
/// The pause between two lines of one person is between these, two lines a second on the average.
const PAUSE: (Duration, Duration) = (Duration::from_millis(250), Duration::from_millis(750));
/// How long a line may be under way at the end of a measure before it counts as lost.
const PATIENCE: Duration = Duration::from_secs(60);
/// What a line says besides its numbers.
const WORDS: &str = "so much for that, and now for something else";

/// What one time of measuring came to.
#[derive(Clone, Copy, Default, Debug)]
pub struct Figures {
    /// Lines said.
    pub said: u64,
    /// Receipts that there should have been.
    pub due: u64,
    /// Receipts that never came.
    pub lost: u64,
    /// Receipts out of order, or of a line that had come before.
    pub wrong: u64,
    /// The latency that half of the receipts keep within.
    pub median: Duration,
    /// The one that 99 of 100 keep within.
    pub p99: Duration,
    /// The longest.
    pub longest: Duration,
}

impl Figures {
    fn write(self) -> String {
        let times = [self.median, self.p99, self.longest].map(|time| time.as_micros().to_string()).join(" ");
        format!("{} {} {} {} {times}", self.said, self.due, self.lost, self.wrong)
    }

    /// Reads what the process of the people wrote.
    pub fn read(line: &str) -> Option<Self> {
        let numbers: Vec<u64> = line.split_whitespace().map_while(|word| word.parse().ok()).collect();
        let [said, due, lost, wrong, median, p99, longest] = numbers[..] else { return None };
        let [median, p99, longest] = [median, p99, longest].map(Duration::from_micros);
        Some(Self { said, due, lost, wrong, median, p99, longest })
    }
}

struct Person {
    peer: Peer,
    next: Duration,
    said: u64,
    /// The number of the last line that was heard of each of the others.
    heard: [u64; PEOPLE],
    in_room: bool,
}

struct People {
    poll: Poll,
    people: Vec<Person>,
    start: Instant,
    chance: Rng,
    talking: bool,
    figures: Figures,
    receipts: u64,
    latencies: Vec<Duration>,
}

/// Runs the process of the people; it ends when its standard input does.
pub fn run(server: SocketAddr) -> Outcome<()> {
    let mut people = People::arrive(server)?;
    let orders = orders();
    let mut events = Events::with_capacity(256);
    let mut scratch = vec![0; 64 * 1024];
    let mut ended: Option<Instant> = None;
    loop {
        match orders.try_recv() {
            Ok(order) if order == "begin" => people.begin(),
            Ok(_) => {
                people.talking = false;
                ended = Some(Instant::now());
            }
            Err(TryRecvError::Empty) => {}
            Err(TryRecvError::Disconnected) => return Ok(()),
        }
        people.turn(&mut events, &mut scratch)?;
        if let Some(since) = ended
            && (people.receipts >= people.figures.due || since.elapsed() > PATIENCE)
        {
            ended = None;
            tell(&people.end().write())?;
        }
    }
}

/// Writes one line to whoever started this process.
pub fn tell(line: &str) -> Outcome<()> {
    let mut out = std::io::stdout().lock();
    writeln!(out, "{line}").and_then(|()| out.flush()).map_err(failed("standard output"))
}

/// The lines of standard input, as something that need not be waited for.
pub fn orders() -> Receiver<String> {
    let (sender, receiver) = channel();
    std::thread::spawn(move || {
        for line in std::io::stdin().lock().lines().map_while(Result::ok) {
            if sender.send(line).is_err() {
                return;
            }
        }
    });
    receiver
}

impl People {
    /// Connects them all, and waits until the last is in the room.
    fn arrive(server: SocketAddr) -> Outcome<Self> {
        let poll = Poll::new().map_err(failed("poll"))?;
        let mut people = Vec::new();
        for n in 0..PEOPLE {
            let stream = connect(server, n, None).map_err(failed("a person cannot connect"))?;
            let mut peer = Peer::new(stream, poll.registry(), n).map_err(failed("poll"))?;
            peer.send(&format!("/nick person{n}\n/join #talk"));
            people.push(Person { peer, next: Duration::ZERO, said: 0, heard: [0; PEOPLE], in_room: false });
        }
        let mut all = Self {
            poll,
            people,
            start: Instant::now(),
            chance: Rng::with_seed(20),
            talking: false,
            figures: Figures::default(),
            receipts: 0,
            latencies: Vec::new(),
        };
        let mut events = Events::with_capacity(256);
        let mut scratch = vec![0; 64 * 1024];
        while !all.people.iter().all(|person| person.in_room) {
            all.turn(&mut events, &mut scratch)?;
            if all.start.elapsed() > PATIENCE {
                return Err("the people do not get into their room".into());
            }
        }
        Ok(all)
    }

    fn begin(&mut self) {
        self.talking = true;
        self.figures = Figures::default();
        self.receipts = 0;
        self.latencies.clear();
        let now = self.start.elapsed();
        for person in &mut self.people {
            person.next = now + between(&mut self.chance, Duration::ZERO, PAUSE.1);
        }
    }

    fn end(&mut self) -> Figures {
        self.latencies.sort_unstable();
        let at = |part: usize| {
            self.latencies.get((self.latencies.len() * part / 100).min(self.latencies.len().saturating_sub(1)))
        };
        let [median, p99, longest] = [50, 99, 100].map(|part| at(part).copied().unwrap_or_default());
        Figures { lost: self.figures.due.saturating_sub(self.receipts), median, p99, longest, ..self.figures }
    }

    /// Reads what has come, says what is due, and waits for either.
    fn turn(&mut self, events: &mut Events, scratch: &mut [u8]) -> Outcome<()> {
        let now = self.start.elapsed();
        let next = self.people.iter().map(|person| person.next).min().unwrap_or_default();
        let wait = if self.talking { next.saturating_sub(now) } else { Duration::from_millis(20) };
        if let Err(e) = self.poll.poll(events, Some(wait.clamp(Duration::from_millis(1), Duration::from_millis(20))))
            && e.kind() != std::io::ErrorKind::Interrupted
        {
            return Err(format!("poll: {e}"));
        }
        for event in &*events {
            self.people[event.token().0].peer.readable |= event.is_readable();
        }
        for n in 0..PEOPLE {
            let peer = &mut self.people[n].peer;
            if peer.readable {
                let flow = peer.fill(scratch, usize::MAX).map_err(failed("a person's connection"))?;
                // What is read in one go was there at one time.
                let now = self.start.elapsed();
                let block = peer.take_lines()?;
                for line in block.lines() {
                    self.hear(n, line, now)?;
                }
                if flow == Flow::Ended {
                    return Err(format!("the server closed person{n}, who did no harm: {}", block.trim_end()));
                }
            }
            self.say(n);
            self.people[n].peer.flush().map_err(failed("a person's connection"))?;
        }
        Ok(())
    }

    fn say(&mut self, n: usize) {
        let now = self.start.elapsed();
        let person = &mut self.people[n];
        if self.talking && now >= person.next {
            person.said += 1;
            person.peer.send(&format!("/msg #talk {n} {} {} {WORDS}", person.said, now.as_nanos()));
            person.next = now + between(&mut self.chance, PAUSE.0, PAUSE.1);
            self.figures.said += 1;
            self.figures.due += PEOPLE as u64 - 1;
        }
    }

    fn hear(&mut self, n: usize, line: &str, now: Duration) -> Outcome<()> {
        let person = &mut self.people[n];
        if line.starts_with("+ join ") {
            person.in_room = true;
        }
        if line.starts_with('!') || line.starts_with("* bye") || line.contains(" missed ") {
            return Err(format!("person{n} was told: {line}"));
        }
        let Some((_, said)) = line.strip_prefix("#talk <").and_then(|rest| rest.split_once("> ")) else {
            return Ok(());
        };
        let numbers: Vec<u64> = said.split(' ').map_while(|word| word.parse().ok()).collect();
        let [speaker, number, at] = numbers[..] else { return Ok(()) };
        let last = &mut person.heard[speaker as usize % PEOPLE];
        self.figures.wrong += u64::from(number != *last + 1);
        *last = number;
        self.receipts += 1;
        self.latencies.push(now.saturating_sub(Duration::from_nanos(at)));
        Ok(())
    }
}

/// The bye codes and refusals in what was read, counted by their code.
pub fn count_codes(block: &str, codes: &mut BTreeMap<String, u64>) {
    // A line that was cut by the end of the block is none.
    for line in block.split_inclusive('\n').filter(|line| line.ends_with('\n')) {
        let mut words = line.split(' ');
        let code = match (words.next(), words.next(), words.next()) {
            (Some("*"), Some("bye"), Some(code)) => format!("bye-{code}"),
            (Some("!"), Some(command), Some(code)) => format!("{command}-{code}"),
            (Some(id), Some("!"), Some(code)) if id.starts_with('=') => format!("file-{code}"),
            _ => continue,
        };
        *codes.entry(code).or_default() += 1;
    }
}
