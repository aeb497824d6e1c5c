//! Conversations written down in `tests/transcripts/`, held against the core in memory and against the binary over TCP.
//!
//! A transcript is made of lines: `NAME: TEXT` sends, `NAME> TEXT` is the next thing that NAME sees, `NAME+` connects,
//! `NAME-` ends NAME's input, `wait 250ms` lets time pass, `# …` explains. `…` stands for anything. All that anybody sees is written
//! down, but for presence, which is only where the transcript says `presence` first. `password WORD` locks the server, and
//! `guests off` keeps guests out.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use chinwag::settings::{Guests, Settings};
use testkit::memory::Memory;
use testkit::{Client, Server};

/// Where a transcript is played.
trait Stage {
    fn connect(&mut self, name: &str);
    fn send(&mut self, name: &str, text: &str);
    fn end(&mut self, name: &str);
    fn wait(&mut self, time: Duration);
    /// The next line that somebody sees; `None` when there is none.
    fn next(&mut self, name: &str) -> Option<String>;
    /// What somebody has seen that nobody asked for.
    fn unread(&mut self, name: &str) -> Vec<String>;
}

impl Stage for Memory {
    fn connect(&mut self, name: &str) {
        self.connect(name);
    }

    fn send(&mut self, name: &str, text: &str) {
        self.send(name, format!("{text}\n").as_bytes());
    }

    fn end(&mut self, name: &str) {
        self.end(name);
    }

    fn wait(&mut self, time: Duration) {
        self.wait(time);
    }

    fn next(&mut self, name: &str) -> Option<String> {
        self.next(name)
    }

    fn unread(&mut self, name: &str) -> Vec<String> {
        std::iter::from_fn(|| self.next(name)).collect()
    }
}

/// The real thing.
struct Tcp {
    server: Server,
    clients: BTreeMap<String, (Client, VecDeque<String>)>,
    _password: Option<tempfile::NamedTempFile>,
}

impl Tcp {
    /// Waits until everything that was sent is carried out, so that whoever speaks next speaks later.
    fn settle(&mut self, name: &str) {
        let (client, seen) = self.clients.get_mut(name).unwrap();
        client.send("/ping settled");
        while let Some(line) = client.line() {
            if line == "+ ping settled" {
                break;
            }
            seen.push_back(line);
        }
    }
}

impl Stage for Tcp {
    fn connect(&mut self, name: &str) {
        let client = self.server.connect_raw();
        self.clients.insert(name.to_owned(), (client, VecDeque::new()));
        self.settle(name);
    }

    fn send(&mut self, name: &str, text: &str) {
        self.clients.get_mut(name).unwrap().0.send(text);
        if !text.starts_with("/quit") {
            self.settle(name);
        }
    }

    fn end(&mut self, name: &str) {
        self.clients.get_mut(name).unwrap().0.end();
    }

    fn wait(&mut self, _: Duration) {
        // What is awaited is read, however long it takes.
    }

    fn next(&mut self, name: &str) -> Option<String> {
        let (client, seen) = self.clients.get_mut(name).unwrap();
        seen.pop_front().or_else(|| client.line())
    }

    fn unread(&mut self, name: &str) -> Vec<String> {
        let (client, seen) = self.clients.get_mut(name).unwrap();
        // After a farewell this fails or finds the end, which is as good.
        use std::io::Write;
        let _ = client.stream.write_all(b"/ping settled\n");
        while let Some(line) = client.line().filter(|line| line != "+ ping settled") {
            seen.push_back(line);
        }
        seen.drain(..).collect()
    }
}

fn matches(pattern: &str, line: &str) -> bool {
    let mut parts = pattern.split('…');
    let Some(mut rest) = parts.next().and_then(|first| line.strip_prefix(first)) else { return false };
    let mut parts = parts.peekable();
    if parts.peek().is_none() {
        return rest.is_empty();
    }
    while let Some(part) = parts.next() {
        if parts.peek().is_none() {
            return rest.ends_with(part);
        }
        let Some(at) = rest.find(part) else { return false };
        rest = &rest[at + part.len()..];
    }
    true
}

fn play(script: &str, stage: &mut dyn Stage) {
    let tells_presence = script.lines().any(|line| line == "presence");
    let mut names: Vec<&str> = Vec::new();
    let is_presence = |line: &String| !tells_presence && line.starts_with("* presence ");
    for (n, line) in script.lines().enumerate() {
        let at = n + 1;
        let is_header = line.starts_with("password ") || ["presence", "guests off"].contains(&line);
        if line.is_empty() || line.starts_with('#') || is_header {
            continue;
        }
        if let Some(time) = line.strip_prefix("wait ") {
            let time = time.strip_suffix("ms").and_then(|ms| ms.parse().ok()).expect("a time in ms");
            stage.wait(Duration::from_millis(time));
            continue;
        }
        let end = line.find([':', '>', '+', '-']).unwrap_or_else(|| panic!("line {at}: {line}"));
        let (name, rest) = line.split_at(end);
        let text = rest[1..].strip_prefix(' ').unwrap_or(&rest[1..]);
        match &rest[..1] {
            "+" => {
                stage.connect(name);
                names.push(name);
            }
            "-" => stage.end(name),
            ":" => stage.send(name, text),
            _ => {
                let seen = std::iter::from_fn(|| stage.next(name)).find(|line| !is_presence(line));
                let seen = seen.unwrap_or_else(|| panic!("line {at}: {name} sees nothing instead of {text:?}"));
                assert!(matches(text, &seen), "line {at}: {name} sees {seen:?} instead of {text:?}");
            }
        }
    }
    for name in names {
        let unread: Vec<String> = stage.unread(name).into_iter().filter(|line| !is_presence(line)).collect();
        assert!(unread.is_empty(), "{name} also sees {unread:?}");
    }
}

fn transcript(name: &str) {
    let path = format!("{}/tests/transcripts/{name}.txt", env!("CARGO_MANIFEST_DIR"));
    let script = std::fs::read_to_string(path).unwrap();
    let password = script.lines().find_map(|line| line.strip_prefix("password "));
    let keeps_guests_out = script.lines().any(|line| line == "guests off");
    let guests = if keeps_guests_out { Guests::Off } else { Guests::On };
    let settings = Settings { rate: 1000, password: password.map(str::to_owned), guests, ..Settings::default() };
    play(&script, &mut Memory::new(settings));
    let mut options = vec!["--rate".to_owned(), "1000".to_owned()];
    if keeps_guests_out {
        options.extend(["--guests", "off"].map(str::to_owned));
    }
    let file = password.map(|password| {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(&file, password).unwrap();
        options.extend(["--password-file".to_owned(), file.path().to_str().unwrap().to_owned()]);
        file
    });
    let options: Vec<&str> = options.iter().map(String::as_str).collect();
    let server = Server::start(&options);
    play(&script, &mut Tcp { server, clients: BTreeMap::new(), _password: file });
}

macro_rules! transcripts {
    ($($name:ident)+) => {
        $(#[test]
        fn $name() {
            transcript(stringify!($name));
        })+

        #[test]
        fn every_transcript_is_played() {
            let files = std::fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/transcripts")).unwrap();
            let mut files: Vec<String> =
                files.map(|file| file.unwrap().file_name().into_string().unwrap()).collect();
            files.sort();
            assert_eq!(files, [$(concat!(stringify!($name), ".txt")),+]);
        }
    };
}

transcripts! { away echo files first_conversation guests history ignore locked names presence private refusals rooms rules scripts settings typing uploads }

#[test]
fn patterns() {
    assert!(matches("a…c", "abbc") && matches("a…", "a") && matches("…", "") && matches("a", "a"));
    assert!(!matches("a…c", "abbcd") && !matches("a", "ab") && matches("1 …s … x", "1 20s y x"));
}
