//! A server that is killed at any moment: what anybody had received of a room is there still, once and with its number.
//!
//! `CHINWAG_CRASHES` says how often, and `CHINWAG_SEED` where chance begins.

use std::collections::{BTreeMap, HashMap};
use std::fs;
use std::io::{BufRead, Write};
use std::net::TcpStream;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use fastrand::Rng;
use testkit::data::{Folder, NOT_KEPT, chunks, digest, fetch, history, kill, seq, unstamped};
use testkit::{Client, PATIENCE, Server, binary, noise};

const ROOMS: [&str; 3] = ["a", "b", "c"];
const WRITERS: u64 = 4;
const RECEIVERS: usize = 3;

/// A connection that may end at any moment: then there is nothing more of it, however it ended.
struct Wire {
    client: Client,
    /// All that came, up to the end of its last line.
    heard: Vec<u8>,
}

impl Wire {
    fn new(stream: TcpStream) -> Self {
        Self { client: Client::new(stream), heard: Vec::new() }
    }

    /// Sends lines. Where nobody takes them any more there will be nothing to read either.
    fn send(&mut self, lines: &str) {
        let _ = self.client.stream.write_all(lines.as_bytes());
    }

    /// The next line; `None` at the end.
    fn line(&mut self) -> Option<&str> {
        let start = self.heard.len();
        if let Err(e) = self.client.reader().read_until(b'\n', &mut self.heard) {
            assert_eq!(e.kind(), std::io::ErrorKind::ConnectionReset, "{e}");
        }
        if !self.heard.ends_with(b"\n") || self.heard.len() == start {
            self.heard.truncate(start);
            return None;
        }
        str::from_utf8(&self.heard[start..self.heard.len() - 1]).ok()
    }

    /// Takes lines up to one that begins so; `None` at the end.
    fn until_starting(&mut self, want: &str) -> Option<String> {
        loop {
            let line = self.line()?;
            if line.starts_with(want) {
                return Some(line.to_owned());
            }
        }
    }
}

/// What is known of a room: every line that anybody has ever had, by its number.
#[derive(Default)]
struct Known {
    lines: BTreeMap<u64, String>,
    /// The first number that the disk still has.
    first: u64,
    /// What comes next of whom, by round and writer: 0 first, and then no gap.
    next: HashMap<String, u64>,
    /// The last number that `next` has seen.
    counted: u64,
}

impl Known {
    /// Notes a line, with its stamp. Whoever else has it must have the same.
    fn note(&mut self, room: &str, line: &str) {
        let known = self.lines.entry(seq(line)).or_insert_with(|| line.to_owned());
        assert_eq!(known, line, "one number for two lines of #{room}");
    }

    /// What all of them must be: numbered with no gap, and each said once, in its writer's order.
    fn check(&mut self, room: &str) {
        for (&seq, line) in self.lines.range(self.counted + 1..) {
            assert_eq!(seq, self.counted + 1, "a line of #{room} is missing before {line:.80}");
            self.counted = seq;
            // As in `<w1> 12.1.7 xxx`: said in round 12, by writer 1, as its eighth line there.
            let (who, n) = unstamped(line).split(' ').nth(1).unwrap().rsplit_once('.').unwrap();
            let next = self.next.entry(who.to_owned()).or_default();
            assert_eq!(n.parse(), Ok(*next), "not the next of {who} in #{room}: {line:.80}");
            *next += 1;
        }
    }
}

/// What is known of the files.
#[derive(Default)]
struct Files {
    /// The whole ones, by ID: how long each is, which is its seed as well.
    whole: BTreeMap<u64, usize>,
    /// The upload that broke off, if one did, and its ID.
    broken: Option<(u64, usize)>,
    /// How many were taken up again, and how many of those not from the start.
    again: usize,
    resumed: usize,
    lengths: usize,
}

fn file_of(len: usize) -> Vec<u8> {
    noise(len, len as u64)
}

impl Files {
    /// Shares files until the server is gone.
    fn share(&mut self, stream: TcpStream, mut random: Rng) {
        let mut wire = Wire::new(stream);
        wire.send("/set presence off\n/nick filer\n/join #files\n");
        let _ = self.share_with(&mut wire, &mut random);
    }

    /// `None` when the server is gone.
    fn share_with(&mut self, wire: &mut Wire, random: &mut Rng) -> Option<()> {
        wire.until_starting("+ join ")?;
        self.lengths += 1;
        let len = self.lengths * 100 + random.usize(..100);
        let (id, offset) = self.begin(wire, len, None)?;
        assert_eq!(offset, 0);
        self.go_on(wire, id, len, 0, random)?;
        loop {
            let before = self.broken;
            let len = before.map_or_else(|| 300_000 + random.usize(..10_000_000) % 300_000, |(_, len)| len);
            let (id, offset) = self.begin(wire, len, Some(digest(&file_of(len))))?;
            if let Some((before, _)) = before {
                self.again += 1;
                self.resumed += usize::from(offset > 0);
                assert!(offset == 0 || id == before, "file {before} goes on as {id}");
            }
            self.broken = Some((id, len));
            self.go_on(wire, id, len, offset, random)?;
            self.broken = None;
            if random.u64(..3) == 0 {
                break;
            }
        }
        wire.until_starting("nothing more")?;
        Some(())
    }

    /// Asks to send a file: its ID, and where it begins.
    fn begin(&mut self, wire: &mut Wire, len: usize, digest: Option<String>) -> Option<(u64, usize)> {
        let digest = digest.map_or_else(String::new, |digest| digest + " ");
        wire.send(&format!("/send #files {len} {digest}{len}.bin\n"));
        let mut reply = wire.line()?.to_owned();
        while !reply.contains(" send ") {
            reply = wire.line()?.to_owned();
        }
        let words: Vec<&str> = reply.split(' ').collect();
        assert_eq!(words[..2], ["+", "send"], "{reply}");
        let id = words[2].parse().unwrap();
        Some((id, words[3].parse().unwrap()))
    }

    /// Sends a file from `offset` on.
    fn go_on(&mut self, wire: &mut Wire, id: u64, len: usize, offset: usize, random: &mut Rng) -> Option<()> {
        let bytes = file_of(len);
        for chunk in chunks(&bytes[offset..], 2000 + random.usize(..40_000)) {
            wire.send(&format!("{chunk}\n/ping\n"));
            wire.until_starting("+ ping")?;
        }
        wire.send("/ping sent\n");
        loop {
            let line = wire.line()?;
            if line.starts_with(&format!("={id} ")) {
                assert_eq!(line, format!("={id} . {len} {}", digest(&bytes)));
                break;
            }
        }
        assert_eq!(self.whole.insert(id, len), None, "file {id} is there twice");
        Some(())
    }

    /// All of them must be there, and `some` of them are fetched.
    fn check(&self, client: &mut Client, some: &[u64]) {
        client.send("/files #files");
        let lines = client.until_starting("+ files ");
        let listed: HashMap<u64, Vec<&str>> = lines
            .iter()
            .filter_map(|line| line.strip_prefix("- "))
            .map(|line| line.split(' ').collect::<Vec<_>>())
            .map(|words| (words[0].parse().unwrap(), words))
            .collect();
        for (id, len) in &self.whole {
            let words = listed.get(id).unwrap_or_else(|| panic!("file {id} of {len} bytes is gone"));
            let (len, name) = (len.to_string(), format!("{len}.bin"));
            assert_eq!([words[1], words[2], words[3], words[5], words[6]], [&len, "filer", "#files", "ready", &name]);
        }
        for id in some {
            assert!(fetch(client, *id) == file_of(self.whole[id]), "file {id} has changed");
        }
    }
}

/// Says lines and hears them until the server is gone; returns what it has heard.
fn write(stream: TcpStream, round: u64, writer: u64, fat: bool, mut random: Rng) -> Vec<u8> {
    let mut wire = Wire::new(stream);
    let mut said = [0; ROOMS.len()];
    // The last room joined is where plain text goes.
    let here = random.usize(..ROOMS.len());
    let joins: String = (0..ROOMS.len()).map(|n| format!("/join #{}\n", ROOMS[(here + 1 + n) % ROOMS.len()])).collect();
    wire.send(&format!("/set presence off\n/set stamp on\n/set echo on\n/nick w{writer}\n{joins}"));
    loop {
        let count = if random.u64(..10) == 0 { 150 } else { 1 + random.u64(..8) };
        let (mut lines, mut last) = (String::new(), String::new());
        for _ in 0..count {
            let room = if random.u64(..2) == 0 { 0 } else { random.usize(..ROOMS.len()) };
            let longest = if fat { 3000 } else { 120 };
            let text =
                format!("{round}.{writer}.{} {}", said[room], "é".repeat(1 + random.u64(..longest) as usize / 2));
            said[room] += 1;
            let to = if room == here { String::new() } else { format!("/msg #{} ", ROOMS[room]) };
            lines += &format!("{to}{text}\n");
            last = format!("<w{writer}> {text}");
        }
        wire.send(&lines);
        loop {
            let Some(line) = wire.line() else { return wire.heard };
            assert!(!line.starts_with("! "), "{line}");
            // Who reads too slowly is told what was left out, and it may be among that.
            if line.ends_with(&last) || missed(line).is_some() {
                break;
            }
        }
    }
}

/// Hears everything until the server is gone, and returns it.
fn listen(stream: TcpStream, who: usize, total: &AtomicU64) -> Vec<u8> {
    let mut wire = Wire::new(stream);
    let joins: String = ROOMS.map(|room| format!("/join #{room}\n")).concat();
    wire.send(&format!("/set presence off\n/set stamp on\n/nick r{who}\n{joins}"));
    while let Some(line) = wire.line() {
        total.fetch_add(line.len() as u64, Ordering::Relaxed);
    }
    wire.heard
}

/// How many lines were left out for whom this tells, and behind which: `#a [-@…] * r0 missed 17 after 5`.
fn missed(line: &str) -> Option<(u64, u64)> {
    let words: Vec<&str> = line.split(' ').skip(1).skip_while(|word| word.starts_with('[')).collect();
    let ["*", _, "missed", count, "after", seq] = words[..] else { return None };
    Some((count.parse().ok()?, seq.parse().ok()?))
}

/// Adds what somebody has heard, which must have been whole and in order for each room, but for what they were told to have missed:
/// how fast they and the disk are depends on what else the machine does.
fn hear(known: &mut BTreeMap<&str, Known>, heard: &[u8]) -> u64 {
    let (mut count, mut last) = (0, HashMap::new());
    for whole in str::from_utf8(heard).unwrap().lines() {
        // Of what is said while the disk is too slow nothing is promised.
        if whole.starts_with(NOT_KEPT) {
            break;
        }
        let Some((room, line)) = whole.strip_prefix('#').and_then(|line| line.split_once(' ')) else { continue };
        if !line.starts_with('[') || line.starts_with("[-@") {
            if let Some((count, after)) = missed(whole) {
                let last = last.insert(room, after + count).unwrap_or(after);
                assert_eq!(after, last, "a gap in #{room} before {whole}");
            }
            continue;
        }
        if let Some(last) = last.insert(room, seq(line)) {
            assert_eq!(seq(line), last + 1, "a gap in what was heard in #{room}");
        }
        known.get_mut(room).unwrap().note(room, line);
        count += 1;
    }
    count
}

/// Ends a server in the midst of its start.
fn kill_while_it_starts(folder: &Folder, random: &mut Rng) {
    let mut command = Command::new(binary());
    let mut child = command.args(folder.arguments(&[])).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    thread::sleep(Duration::from_micros(random.u64(..30_000)));
    child.kill().unwrap();
    child.wait().unwrap();
}

/// Lets people talk and share files, and kills the server at some moment of it. Returns what each of them has heard.
fn a_life(server: Server, round: u64, files: &mut Files, random: &mut Rng) -> Vec<Vec<u8>> {
    let fat = random.u64(..3) == 0;
    // So many bytes are heard before it is killed: none perhaps, and people are still coming in.
    let enough = random.u64(..if fat { 4_000_000 } else { 400_000 });
    let port = server.port;
    let connect = || TcpStream::connect(("127.0.0.1", port)).unwrap();
    let total = AtomicU64::new(0);
    let mut seed = || random.fork();
    thread::scope(|scope| {
        let mut people = Vec::new();
        for who in 0..RECEIVERS {
            let (stream, total) = (connect(), &total);
            people.push(scope.spawn(move || listen(stream, who, total)));
        }
        for writer in 0..WRITERS {
            let (stream, random) = (connect(), seed());
            people.push(scope.spawn(move || write(stream, round, writer, fat, random)));
        }
        let (stream, random) = (connect(), seed());
        scope.spawn(move || files.share(stream, random));
        let since = Instant::now();
        while total.load(Ordering::Relaxed) < enough {
            assert!(since.elapsed() < PATIENCE, "nobody hears anything");
            thread::sleep(Duration::from_micros(200));
        }
        let mut random = seed();
        thread::sleep(Duration::from_micros(random.u64(..2000)));
        if random.u64(..8) == 0 {
            // It was about to end by itself.
            server.signal("TERM");
            thread::sleep(Duration::from_micros(random.u64(..5000)));
        }
        kill(server);
        people.into_iter().map(|person| person.join().unwrap()).collect()
    })
}

#[test]
fn what_anybody_has_received_outlives_the_server() {
    let number = |name: &str, default| std::env::var(name).map_or(default, |text| text.parse().unwrap());
    let (rounds, seed): (u64, u64) = (number("CHINWAG_CRASHES", 12), number("CHINWAG_SEED", 2));
    let mut random = Rng::with_seed(seed);
    let folder = Folder::new();
    let mut known: BTreeMap<&str, Known> = ROOMS.map(|room| (room, Known::default())).into();
    let mut files = Files::default();
    let (mut lives, mut heard, mut cuts, mut checked) = (0, 0, 0, 0);
    for round in 0.. {
        // How far a life comes in its time depends on what else the machine does: where it was not far enough, there are more.
        let is_enough = rounds < 10 || cuts > 0 && !files.whole.is_empty() && files.resumed > 0;
        let ends = round >= rounds && (is_enough || round == 10 * rounds);
        while random.u64(..5) == 0 {
            kill_while_it_starts(&folder, &mut random);
        }
        // Most logs are cut early, so that this happens in the midst of everything.
        let log_max = if random.u64(..4) == 0 { "64M" } else { "1M" };
        let sync = if random.u64(..4) == 0 { "0" } else { "1s" };
        let server = folder.serve(&["--history", "100000", "--log-max", log_max, "--sync", sync]);
        let mut client = server.person("checker");
        client.send("/set stamp on\n/join #files");
        client.until_starting("+ join #files ");
        for (room, known) in &mut known {
            client.send(&format!("/join #{room}"));
            client.until_starting(&format!("+ join #{room} "));
            // All of it now and then, and otherwise what is new with a little before it.
            let all = round % 10 == 0 || ends;
            let new = if all { 0 } else { known.counted.saturating_sub(200) };
            let after = new.max(known.first.saturating_sub(1));
            let lines = history(&mut client, &format!("#{room}"), after);
            let numbers: Vec<u64> = lines.iter().map(|line| seq(line)).collect();
            assert!(numbers.first().is_none_or(|&first| first == after + 1), "after {after} comes {:?}", numbers[0]);
            assert!(numbers.is_sorted_by(|a, b| a + 1 == *b), "a gap in #{room}: {numbers:?}");
            let last = known.lines.last_key_value().map_or(0, |(&last, _)| last);
            let reached = numbers.last().copied().unwrap_or(after);
            assert!(reached >= last, "line {last} of #{room} was received, and there are {reached}");
            lines.iter().for_each(|line| known.note(room, line));
            known.check(room);
        }
        let from = if ends { 0 } else { checked };
        let some: Vec<u64> = files.whole.keys().copied().filter(|id| *id > from).collect();
        files.check(&mut client, &some);
        checked = some.last().copied().unwrap_or(checked);
        drop(client);
        if ends {
            break;
        }
        lives += 1;
        for bytes in a_life(server, round, &mut files, &mut random) {
            heard += hear(&mut known, &bytes);
        }
        // What was received is on the disk before anybody mends anything there.
        for (room, known) in &mut known {
            let logged = folder.logged(room);
            let Some(first) = logged.first().map(|line| seq(line)) else {
                assert!(known.lines.is_empty(), "nothing of #{room} is on the disk");
                continue;
            };
            if first > known.first.max(1) {
                let size = |name| fs::metadata(folder.log(room).with_extension(name)).map_or(0, |file| file.len());
                assert!(size("log") + size("log.1") >= 500_000, "#{room} is cut to {}", size("log") + size("log.1"));
                cuts += 1;
            }
            known.first = first;
            let of_disk: HashMap<u64, &String> = logged.iter().map(|line| (seq(line), line)).collect();
            assert_eq!(of_disk.len(), logged.len(), "numbers of #{room} are there twice");
            for (seq, line) in known.lines.range(first..) {
                assert_eq!(of_disk.get(seq), Some(&line), "line {seq} of #{room} on the disk");
            }
        }
    }
    let lines: usize = known.values().map(|known| known.lines.len()).sum();
    let rooms = fs::read_dir(folder.path.join("rooms")).unwrap();
    let damaged = rooms.filter(|entry| entry.as_ref().unwrap().path().to_string_lossy().contains(".damaged-")).count();
    // Shown where one looks for figures, with `--nocapture`.
    let figures = format!(
        "{lives} crashes from seed {seed}: {heard} lines received, {lines} different ones, {cuts} cuts of logs, \
         {damaged} torn tails, {} files, {} uploads taken up again, {} of them not from the start",
        files.whole.len(),
        files.again,
        files.resumed
    );
    writeln!(std::io::stderr(), "{figures}").unwrap();
    if rounds >= 10 {
        assert!(heard > 0 && cuts > 0 && !files.whole.is_empty() && files.resumed > 0, "too little has happened");
    }
}
