//! Recorded sessions: what every connection receives, byte for byte, played against the real server over TCP.
//!
//! A recording in `tests/recorded/` is a plain text file. Its lines are steps, and below each step stands what came back:
//!
//! ```text
//! # a comment
//! $ serve OPTIONS          starts the server, in a folder of the recording's own
//! $ file NAME BYTES        writes a file into that folder, before the server starts
//! $ presence               keeps presence lines and their versions, which other recordings leave out
//! $ crowd COUNT [#ROOM]    connects people whose lines nobody records; with a room, as p1, p2, … in it
//! $ without #ROOM          leaves out what is received from this room, as how much of it comes is not certain
//! $ pause, $ resume        stops the process of the server, and lets it go on
//! $ stop                   ends the server with SIGTERM
//! $ ctl WORDS              asks the server by the operator's door of its folder `data`
//! $ wait MILLISECONDS
//! a+                       connects a, and reads its greeting
//! a+ NICK                  the same, and takes a name without presence
//! a: BYTES                 a sends these and LF
//! a= BYTES                 a sends these alone
//! a~                       a reads nothing, until the next such step
//! a.                       a ends its input, and reads up to the end
//! a!                       a resets its connection
//! a? BYTES                 belongs to the step above: waits until a line that begins so has come to a
//! a> BYTES                 a received this line
//! a|                       a received the end of the stream
//! ```
//!
//! A connection is one small letter. Bytes are written as text with `\n`, `\r`, `\t`, `\\`, `\xHH`, and `\{COUNT BYTES}` for
//! what is repeated. A received line stands there without its LF; one without LF ends in `\.`.
//!
//! A step is over when every connection has the answer to a `/ping`, so what was received in a step is well defined. Not
//! pinged is who has sent nothing yet, as the first line of a connection is special, who is within a line, and who reads
//! nothing. What comes from the disk or after a time may come later than the answer, so a step that causes such lines waits
//! for the last of them. What has to differ from run to run is replaced: times of stamps, ages, the server's version, and
//! the versions of presence where its lines are left out.
//!
//! `CHINWAG_RECORD=1` writes the recordings anew, and `CHINWAG=PATH` plays them against another program:
//!
//! ```text
//! CHINWAG_RECORD=1 CHINWAG=/path/to/chinwag cargo nextest run --test server recorded
//! ```

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{Shutdown, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use testkit::{PATIENCE, Server, binary};

macro_rules! recordings {
    ($($name:ident)+) => {
        const NAMES: &[&str] = &[$(stringify!($name)),+];
        $(#[test]
        fn $name() {
            check(stringify!($name));
        })+
    };
}

recordings! {
    accounts crowd ends expired files full greeting help history ignore lines locked missed operators people presence quotas refusals restart rooms rules settings stalled strangers typing typing_lasts uploads
}

#[test]
fn every_recording_is_played() {
    let mut found: Vec<String> = std::fs::read_dir(folder())
        .unwrap()
        .map(|entry| entry.unwrap().path().file_stem().unwrap().to_str().unwrap().to_owned())
        .collect();
    found.sort();
    assert_eq!(found, NAMES);
}

/// Each code, event and option in the tables of PROTOCOL.md is a field of some line that was received.
#[test]
fn every_word_of_the_protocol_is_recorded() {
    let protocol = include_str!("../../PROTOCOL.md");
    let recorded: String =
        NAMES.iter().map(|name| std::fs::read_to_string(folder().join(name).with_extension("txt")).unwrap()).collect();
    let received: Vec<&str> = recorded.lines().filter(|line| line.get(1..3) == Some("> ")).collect();
    let heard = |word: &str| received.iter().any(|line| line.split(' ').any(|field| field == word));
    let words = |from: &str, to: &str| {
        let part = protocol.split_once(from).unwrap().1.split_once(to).unwrap().0;
        let rows = part.lines().filter_map(|line| line.strip_prefix("| `"));
        rows.map(|row| row.split(['`', ' ']).next().unwrap()).collect::<Vec<_>>()
    };
    let all = [
        words("**When the server closes**", "\nThe line comes"),
        words("**`/set [OPTION on|off]`**", "\n```"),
        words("\n## Events", "\nIn private"),
        words("\n## Codes", "\n## Rooms with rules"),
    ];
    assert!(all.iter().all(|words| words.len() >= 4), "{all:?}");
    // That comes where TLS is spoken, which these sessions do not.
    let elsewhere = ["needs-tls"];
    let is_missing = |word: &&str| !heard(word) && !elsewhere.contains(word);
    let missing: Vec<&str> = all.into_iter().flatten().filter(is_missing).collect();
    assert!(missing.is_empty(), "{missing:?}");
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/recorded")
}

/// Plays a recording, and compares what came with what it says, or writes it anew.
fn check(name: &str) {
    let path = folder().join(name).with_extension("txt");
    let recorded = std::fs::read_to_string(&path).unwrap();
    let played = Session::default().play(&recorded);
    if std::env::var_os("CHINWAG_RECORD").is_some() {
        std::fs::write(path, played).unwrap();
    } else if let Some((n, (want, got))) = recorded.lines().zip(played.lines()).enumerate().find(|(_, (a, b))| a != b) {
        panic!("{name}.txt:{}\n  recorded: {want}\n  played:   {got}", n + 1);
    } else {
        assert_eq!(recorded.lines().count(), played.lines().count(), "lines of {name}.txt");
    }
}

/// A recording that is being played.
struct Session {
    folder: tempfile::TempDir,
    server: Option<Server>,
    people: BTreeMap<char, Person>,
    crowd: Vec<TcpStream>,
    keeps_presence: bool,
    /// The room that is left out.
    without: Option<String>,
    is_paused: bool,
    pings: usize,
}

/// A connection of a session.
struct Person {
    stream: BufReader<TcpStream>,
    /// Whether a `/ping` would change what is tested.
    is_silent: bool,
    reads_nothing: bool,
    /// What came in this step.
    came: Vec<Vec<u8>>,
    has_ended: bool,
}

impl Default for Session {
    fn default() -> Self {
        Self {
            folder: tempfile::tempdir().unwrap(),
            server: None,
            people: BTreeMap::new(),
            crowd: Vec::new(),
            keeps_presence: false,
            without: None,
            is_paused: false,
            pings: 0,
        }
    }
}

impl Session {
    /// Takes the steps of a recording, and returns it with what came back this time.
    fn play(mut self, recording: &str) -> String {
        let is_step = |line: &&str| !(line.get(1..3) == Some("> ") || line.get(1..) == Some("|"));
        let mut steps = recording.lines().filter(is_step).peekable();
        let mut played = String::new();
        while let Some(step) = steps.next() {
            // A failure shows how far it came.
            eprintln!("{step}");
            played += &format!("{step}\n");
            if step.is_empty() || step.starts_with('#') {
                continue;
            }
            let actor = self.take(step);
            while let Some(wait) = steps.next_if(|line| line.get(1..3) == Some("? ")) {
                played += &format!("{wait}\n");
                let start = unescape(&wait[3..]);
                let person = self.people.get_mut(&wait.chars().next().unwrap()).expect(wait);
                while !person.came.last().is_some_and(|line| line.starts_with(&start)) {
                    assert!(!person.has_ended, "the stream ended before {wait:?}");
                    person.read();
                }
            }
            if !self.is_paused {
                self.settle(actor);
            }
            let before = played.len();
            self.write_what_came(&mut played);
            eprint!("{}", &played[before..]);
        }
        played
    }

    /// Takes one step; returns whose it was.
    fn take(&mut self, step: &str) -> Option<char> {
        if let Some(words) = step.strip_prefix("$ ") {
            self.direct(words);
            return None;
        }
        let (actor, kind, rest) = (step.chars().next().unwrap(), &step[1..2], step.get(3..).unwrap_or_default());
        let mut bytes = unescape(rest);
        match kind {
            "+" => {
                self.people.insert(actor, Person::greeted(self.connect()));
                if !rest.is_empty() {
                    self.send(actor, format!("/set presence off\n/nick {rest}\n").as_bytes());
                }
            }
            ":" => {
                bytes.push(b'\n');
                self.send(actor, &bytes);
            }
            "=" => self.send(actor, &bytes),
            "~" => self.person(actor).reads_nothing ^= true,
            "." => {
                let person = self.person(actor);
                person.stream.get_ref().shutdown(Shutdown::Write).unwrap();
                while !person.has_ended {
                    person.read();
                }
            }
            "!" => {
                let person = self.people.remove(&actor).expect(step);
                socket2::SockRef::from(person.stream.get_ref()).set_linger(Some(Duration::ZERO)).unwrap();
            }
            _ => panic!("no step: {step}"),
        }
        Some(actor)
    }

    fn direct(&mut self, words: &str) {
        let (word, rest) = words.split_once(' ').unwrap_or((words, ""));
        match word {
            "serve" => {
                let mut command = Command::new(binary());
                command.args(["serve", "--listen", "127.0.0.1:0"]).args(rest.split_whitespace());
                self.server = Some(Server::start_with(command.current_dir(self.folder.path())));
            }
            "file" => {
                let (name, bytes) = rest.split_once(' ').unwrap();
                std::fs::write(self.folder.path().join(name), unescape(bytes)).unwrap();
            }
            "without" => self.without = Some(format!("{rest} ")),
            "presence" => self.keeps_presence = true,
            "crowd" => {
                let (count, room) = rest.split_once(' ').unwrap_or((rest, ""));
                for _ in 0..count.parse().unwrap() {
                    let stream = self.connect();
                    if !room.is_empty() {
                        let n = self.crowd.len() + 1;
                        (&stream).write_all(format!("/nick p{n}\n/join {room}\n").as_bytes()).unwrap();
                    }
                    if !self.is_paused {
                        let wanted = if room.is_empty() { "* hello " } else { "+ join " };
                        let mut lines = BufReader::new(&stream).lines().map(|line| line.unwrap());
                        assert!(lines.any(|line| line.starts_with(wanted)));
                    }
                    self.crowd.push(stream);
                }
            }
            "pause" | "resume" => {
                self.is_paused = word == "pause";
                self.server().signal(if self.is_paused { "STOP" } else { "CONT" });
            }
            "stop" => {
                let mut server = self.server.take().unwrap();
                server.signal("TERM");
                for person in self.people.values_mut() {
                    while !person.has_ended {
                        person.read();
                    }
                    // So the server need not wait for what it has closed.
                    let _ = person.stream.get_ref().shutdown(Shutdown::Both);
                }
                self.crowd.clear();
                assert!(server.wait().0.success());
            }
            "ctl" => {
                let mut command = Command::new(binary());
                command.args(["ctl", "--data", "data"]).args(rest.split_whitespace());
                let output = command.current_dir(self.folder.path()).output().unwrap();
                assert!(output.status.success(), "{words}: {output:?}");
            }
            "wait" => std::thread::sleep(Duration::from_millis(rest.parse().unwrap())),
            _ => panic!("no such direction: {words}"),
        }
    }

    fn server(&self) -> &Server {
        self.server.as_ref().unwrap()
    }

    fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(("127.0.0.1", self.server().port)).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.set_nodelay(true).unwrap();
        stream
    }

    fn person(&mut self, name: char) -> &mut Person {
        self.people.get_mut(&name).unwrap_or_else(|| panic!("nobody is {name}"))
    }

    fn send(&mut self, name: char, bytes: &[u8]) {
        let person = self.person(name);
        person.stream.get_ref().write_all(bytes).unwrap();
        person.is_silent = !(bytes.ends_with(b"\n") || bytes.ends_with(b"\r\0"));
    }

    /// Reads what comes up to the answer to a ping, of who acted first: so what it caused for others is there.
    fn settle(&mut self, actor: Option<char>) {
        let others = self.people.keys().copied().filter(|&name| Some(name) != actor).collect::<Vec<_>>();
        for name in actor.into_iter().chain(others) {
            self.pings += 1;
            let ping = format!("ping settled {}", self.pings);
            let Some(person) = self.people.get_mut(&name).filter(|person| !person.is_silent && !person.reads_nothing)
            else {
                continue;
            };
            // It fails where the server has closed, and then the end is read.
            let _ = person.stream.get_ref().write_all(format!("/{ping}\n").as_bytes());
            let answer = format!("+ {ping}");
            while !person.has_ended {
                person.read();
                if let Some(line) = person.came.pop_if(|line| line.trim_ascii_end().ends_with(answer.as_bytes())) {
                    // Answers to telnet options are no lines of their own.
                    let before = line.trim_ascii_end().strip_suffix(answer.as_bytes()).unwrap_or_default();
                    person.came.extend(Some(before.to_vec()).filter(|before| !before.is_empty()));
                    break;
                }
            }
        }
    }

    /// Writes down what came in this step, and forgets who has come to the end.
    fn write_what_came(&mut self, played: &mut String) {
        for (name, person) in &mut self.people {
            for line in person.came.drain(..) {
                let is_from = |start: &str| line.starts_with(start.as_bytes());
                let is_kept = self.keeps_presence || !is_from("* presence ");
                if is_kept && !self.without.as_deref().is_some_and(is_from) {
                    let line = line.strip_suffix(b"\n").map_or_else(|| escape(&line) + "\\.", escape);
                    let _ = writeln!(played, "{name}> {}", normal(&line, self.keeps_presence));
                }
            }
            if person.has_ended {
                let _ = writeln!(played, "{name}|");
            }
        }
        self.people.retain(|_, person| !person.has_ended);
    }
}

impl Person {
    /// Reads up to the greeting, or to what comes in its place.
    fn greeted(stream: TcpStream) -> Self {
        let mut person = Self {
            stream: BufReader::new(stream),
            is_silent: true,
            reads_nothing: false,
            came: Vec::new(),
            has_ended: false,
        };
        let greetings: [&[u8]; 2] = [b"* hello ", b"* locked "];
        while !person.has_ended && !person.came.iter().any(|line| greetings.iter().any(|start| line.starts_with(start)))
        {
            person.read();
        }
        person
    }

    /// Reads a line, or finds the end.
    fn read(&mut self) {
        let mut line = Vec::new();
        let len = self.stream.read_until(b'\n', &mut line).unwrap_or_else(|error| {
            panic!("{error}, after {:?}", self.came.iter().map(|line| escape(line)).collect::<Vec<_>>())
        });
        self.has_ended = len == 0;
        self.came.extend(Some(line).filter(|line| !line.is_empty()));
    }
}

/// Replaces what differs from run to run in a line that was received.
fn normal(line: &str, keeps_presence: bool) -> String {
    let mut fields: Vec<String> = line.split(' ').map(str::to_owned).collect();
    let is_age = |field: &str| field.strip_suffix('s').is_some_and(|age| age.parse::<u64>().is_ok());
    match fields.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        // Stamps are the second field.
        [_, stamp, ..] if stamp.starts_with('[') && stamp.ends_with("Z]") => {
            let seq = stamp.split_once('@').unwrap().0.to_owned();
            fields[1] = seq + "@TIME]";
        }
        ["-", _, "here" | "typing" | "away", age, _, ..] if is_age(age) => fields[3] = "AGE".to_owned(),
        ["-", _, _, _, _, age, "ready" | "coming", _, ..] if is_age(age) => fields[5] = "AGE".to_owned(),
        ["-", _, _, "secure" | "clear", _, "named" | "guest"] => fields[4] = "TIME".to_owned(),
        ["*", "hello", _, version, ..] if version.starts_with("chinwag/") => fields[3] = "chinwag/VERSION".to_owned(),
        ["*", "locked", version, ..] if version.starts_with("chinwag/") => fields[2] = "chinwag/VERSION".to_owned(),
        ["+", "who", _, _] if !keeps_presence => fields[2] = "VERSION".to_owned(),
        _ => {}
    }
    fields.join(" ")
}

/// Writes bytes as a recording has them.
fn escape(bytes: &[u8]) -> String {
    let mut text = String::new();
    let mut rest = bytes;
    while let Some(&first) = rest.first() {
        // What is repeated at length is counted; four bytes are a group of base64.
        let repeated = [1, 4].into_iter().find_map(|len| {
            let unit = rest.get(..len).filter(|unit| unit.iter().all(u8::is_ascii_alphanumeric))?;
            let count = rest.chunks(len).take_while(|part| *part == unit).count();
            (count * len >= 64).then_some((unit, count))
        });
        if let Some((unit, count)) = repeated {
            let _ = write!(text, "\\{{{count} {}}}", unit.escape_ascii());
            rest = &rest[unit.len() * count..];
            continue;
        }
        let char = rest.utf8_chunks().next().and_then(|chunk| chunk.valid().chars().next());
        match char {
            Some('\\') => text.push_str("\\\\"),
            Some(' ') if rest.len() == 1 => text.push_str("\\x20"),
            Some(char) if char == '\u{fffd}' || char.escape_debug().count() == 1 || "'\"".contains(char) => {
                text.push(char)
            }
            _ => {
                let _ = write!(text, "{}", [first].escape_ascii());
                rest = &rest[1..];
                continue;
            }
        }
        rest = &rest[char.map_or(1, char::len_utf8)..];
    }
    text
}

/// Reads bytes as a recording has them.
fn unescape(mut text: &str) -> Vec<u8> {
    let bytes = unescape_up_to(&mut text, None);
    assert_eq!(text, "");
    bytes
}

/// The same, up to the end of what is repeated.
fn unescape_up_to(rest: &mut &str, end: Option<char>) -> Vec<u8> {
    let mut bytes = Vec::new();
    while let Some(char) = rest.chars().next().filter(|&char| Some(char) != end) {
        *rest = &rest[char.len_utf8()..];
        if char != '\\' {
            bytes.extend(char.encode_utf8(&mut [0; 4]).bytes());
            continue;
        }
        let (kind, after) = rest.split_at(1);
        *rest = after;
        match kind {
            "n" => bytes.push(b'\n'),
            "r" => bytes.push(b'\r'),
            "t" => bytes.push(b'\t'),
            "\\" => bytes.push(b'\\'),
            "x" => {
                let (hex, after) = rest.split_at(2);
                bytes.push(u8::from_str_radix(hex, 16).unwrap());
                *rest = after;
            }
            "{" => {
                let (count, after) = rest.split_once(' ').unwrap();
                *rest = after;
                let unit = unescape_up_to(rest, Some('}'));
                *rest = rest.strip_prefix('}').unwrap();
                bytes.extend(unit.repeat(count.parse().unwrap()));
            }
            _ => panic!("no escape: \\{kind}"),
        }
    }
    bytes
}
