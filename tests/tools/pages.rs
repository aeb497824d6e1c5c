//! Every example in README.md and in the pages of `docs/`, done as it stands there.
//!
//! A block is told by its language. `console` is what somebody sees who types what stands behind `$`, and into `nc` what
//! stands behind `>`. `bash` is a bot. `sh` is what changes the reader's machine, `ini` and `yaml` what is for other programs, as are the
//! configurations of proxies, which `proxies.rs` tries, and `python` and `js` are programs, which `tls/programs.rs` tries: they are not done here. Each section has a network of its own, in which port 2428 is free, and a folder of its own. Numbers, digests and
//! times are not compared.

use std::collections::VecDeque;
use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::thread;
use std::time::{Duration, Instant};

use tempfile::TempDir;
use testkit::{PATIENCE, binary, eventually, have, noise, skip};

/// How long nothing comes before somebody types, as a person reads first, or before others go on: what somebody waits for may
/// come of them. It is longer than presence takes.
const PAUSE: Duration = Duration::from_millis(400);

/// Does `line` in a terminal, and leaves it once the room's prompt is there.
const IN_TERMINAL: &str = "leave() { until grep -q '#lobby>' screen; do sleep 0.05; done; printf '/quit\\r'; }; \
    : >screen; leave | TERM=xterm script -qefc \"$line\" screen >/dev/null";

/// A line as one word of a shell.
fn quoted(line: &str) -> String {
    format!("'{}'", line.replace('\'', "'\\''"))
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

struct Block {
    language: String,
    lines: Vec<String>,
}

/// The pages, each with its sections, each with its heading and its blocks.
fn sections() -> Vec<(String, Vec<Block>)> {
    let mut pages = vec![root().join("README.md")];
    let docs = fs::read_dir(root().join("docs")).unwrap().map(|entry| entry.unwrap().path());
    pages.extend(docs.filter(|path| path.extension().is_some_and(|extension| extension == "md")));
    let mut sections = Vec::new();
    for page in pages {
        let text = fs::read_to_string(&page).unwrap();
        let mut lines = text.lines();
        while let Some(line) = lines.next() {
            if let Some(language) = line.strip_prefix("```") {
                let lines = lines.by_ref().take_while(|line| *line != "```").map(str::to_owned).collect();
                let (_, blocks): &mut (String, Vec<Block>) = sections.last_mut().expect("a heading stands first");
                blocks.push(Block { language: language.to_owned(), lines });
            } else if line.starts_with('#') {
                sections.push((format!("{}: {line}", page.file_name().unwrap().display()), Vec::new()));
            }
        }
    }
    sections
}

/// A line without what is another each time.
fn general(line: &str) -> String {
    let mut general = String::new();
    for word in line.split_inclusive([' ', ':', '/', '=']) {
        let is_digest = word.len() >= 64 && word.trim().chars().all(|c| c.is_ascii_hexdigit());
        if is_digest {
            general.push('H');
            continue;
        }
        for c in word.chars() {
            match c {
                '0'..='9' if general.ends_with('0') => {}
                '0'..='9' => general.push('0'),
                c => general.push(c),
            }
        }
    }
    general
}

/// Where a section is tried.
struct Stage {
    network: Child,
    folder: TempDir,
    servers: Vec<Child>,
    others: Vec<Child>,
    /// Whether its server asks for a password.
    is_locked: bool,
}

impl Stage {
    /// `None` where a network cannot be made.
    fn new() -> Option<Self> {
        let mut command = Command::new("unshare");
        command.args(["-rn", "sh", "-c", "ip link set lo up && echo up && exec cat"]);
        let mut network = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(network.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        fs::write(at("cat.png"), noise(48_213, 1)).unwrap();
        fs::write(at("notes.txt"), "to do\n").unwrap();
        fs::create_dir(at("src")).unwrap();
        fs::write(at("src/main.rs"), "fn main() {}\n").unwrap();
        std::os::unix::fs::symlink(root().join("scripts"), at("scripts")).unwrap();
        fs::create_dir(at("home")).unwrap();
        let stage = Self { network, folder, servers: Vec::new(), others: Vec::new(), is_locked: false };
        (line == "up\n").then_some(stage)
    }

    fn command(&self, program: &str) -> Command {
        let mut command = Command::new("nsenter");
        command.args(["-t", &self.network.id().to_string(), "-U", "-n", "--preserve-credentials", program]);
        let path = Path::new(binary()).parent().unwrap();
        let path = format!("{}:{}", path.display(), std::env::var("PATH").unwrap());
        command.current_dir(self.folder.path()).env("PATH", path).env("HOME", self.folder.path().join("home"));
        // Where `chinwag ctl` finds a server that is installed.
        command.env("CHINWAG_DATA", "installed");
        command.env_remove("XDG_CONFIG_HOME").env_remove("XDG_DOWNLOAD_DIR").stdin(Stdio::null());
        command
    }

    /// Starts a server, and returns what it prints: where it listens, or why it does not.
    fn serve(&mut self, line: &str) -> Vec<String> {
        let mut command = self.command("bash");
        command.args(["-c", &format!("exec {line}")]).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let mut printed = String::new();
        let mut stdout = BufReader::new(child.stdout.take().unwrap());
        stdout.read_line(&mut printed).unwrap();
        // All of it is one write.
        printed += str::from_utf8(stdout.buffer()).unwrap();
        if printed.is_empty() {
            child.stderr.take().unwrap().read_to_string(&mut printed).unwrap();
            child.wait().unwrap();
        } else {
            let mut errors = child.stderr.take().unwrap();
            thread::spawn(move || std::io::copy(&mut errors, &mut std::io::sink()));
            self.servers.push(child);
            self.is_locked = line.contains("--password-file");
        }
        // What it logs has the time before it, and is no part of what it says.
        let is_said = |line: &&str| !line.starts_with(|c: char| c.is_ascii_digit());
        printed.lines().filter(is_said).map(str::to_owned).collect()
    }

    /// What a command prints; what it says of its failure, if it fails.
    fn shell(&self, line: &str) -> Vec<String> {
        let script = format!("exec 2>errors; {line}");
        let output = self.command("timeout").args(["60", "bash", "-c", &script]).output().unwrap();
        let errors = fs::read_to_string(self.folder.path().join("errors")).unwrap();
        assert!(output.status.code() != Some(124), "{line} does not end: {errors}");
        let printed = if output.status.success() { String::from_utf8(output.stdout).unwrap() } else { errors };
        printed.lines().map(str::to_owned).collect()
    }

    /// What is typed before is forgotten by a shell of its own but for what it sets.
    fn console(&mut self, block: &Block) {
        let mut lines = block.lines.iter().peekable();
        let mut settings = String::new();
        while let Some(line) = lines.next() {
            let line = line.strip_prefix("$ ").unwrap_or_else(|| panic!("{line} stands behind no command"));
            let is_output = |line: &&String| !line.starts_with("$ ");
            let want: Vec<String> = std::iter::from_fn(|| lines.next_if(is_output)).map(|line| general(line)).collect();
            let printed = if line.starts_with("chinwag serve") {
                self.serve(line)
            } else {
                if ["--to alice", "ctl who"].iter().any(|of_alice| line.contains(of_alice)) {
                    self.others.push(self.person("alice"));
                }
                if line.starts_with("chinwag connect ") {
                    self.shell(&format!("line={}; {IN_TERMINAL}", quoted(line)))
                } else {
                    self.shell(&format!("{settings}{line}"))
                }
            };
            if line.split(['=', ' ']).next().is_some_and(|word| line == format!("{word}={}", &line[word.len() + 1..])) {
                settings += &format!("{line}; ");
            }
            // Who takes longer than a quarter of a second hears that they have come.
            let is_chance = |line: &&String| line.starts_with("* presence ") && !want.contains(line);
            let printed: Vec<String> = printed.iter().map(|line| general(line)).collect();
            assert_eq!(
                printed.iter().filter(|line| !is_chance(line)).collect::<Vec<_>>(),
                want.iter().collect::<Vec<_>>(),
                "{line}"
            );
        }
    }

    /// Somebody who is in #lobby.
    fn person(&self, nick: &str) -> Child {
        let mut command = self.command("nc");
        let mut child =
            command.args(["127.0.0.1", "2428"]).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        writeln!(child.stdin.as_mut().unwrap(), "/nick {nick}\n/join #lobby").unwrap();
        let mut lines = BufReader::new(child.stdout.as_mut().unwrap()).lines();
        assert!(lines.any(|line| line.unwrap().starts_with("+ join ")));
        child
    }

    /// A bot that talks in #lobby until the server goes.
    fn bot(&mut self, block: &Block) {
        let mut watcher = self.person("watcher");
        let mut told = BufReader::new(watcher.stdout.take().unwrap()).lines();
        let child = self.command("bash").args(["-c", &block.lines.join("\n")]).spawn().unwrap();
        self.others.push(child);
        assert!(told.any(|line| line.unwrap().ends_with(" joined")));
        watcher.kill().unwrap();
        watcher.wait().unwrap();
        self.wait_for(2);
    }

    /// Waits until so many are online, one of them asking, so that nobody sees the others go.
    fn wait_for(&self, online: usize) {
        let is_last = |line: &String| line.starts_with("+ who ") && line.ends_with(&format!(" {online}"));
        eventually("those who have left are gone", || {
            self.shell("printf '/who\\n' | nc -N 127.0.0.1 2428").iter().any(is_last)
        });
        // Who comes next is to hear nothing of it any more.
        thread::sleep(PAUSE);
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        for child in self.servers.iter_mut().chain(&mut self.others).chain([&mut self.network]) {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// Somebody in `nc`, who does what a block tells.
struct Person {
    nc: Child,
    typed: ChildStdin,
    heard: Receiver<String>,
    /// What came and has not been looked for yet.
    early: Vec<String>,
    script: VecDeque<String>,
}

impl Person {
    fn new(stage: &Stage, block: &Block) -> Self {
        let mut command = stage.command("bash");
        let mut script: VecDeque<String> = block.lines.iter().cloned().collect();
        let line = script.pop_front().unwrap();
        command.args(["-c", &format!("exec {}", &line[2..])]).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut nc = command.spawn().unwrap();
        let lines = BufReader::new(nc.stdout.take().unwrap()).lines();
        let (tell, heard) = channel();
        thread::spawn(move || lines.map_while(Result::ok).all(|line| tell.send(line).is_ok()));
        let typed = nc.stdin.take().unwrap();
        Self { nc, typed, heard, early: Vec::new(), script }
    }

    /// Goes on as far as they can without others. Returns whether something was done.
    fn go_on(&mut self) -> bool {
        let mut is_on = false;
        while let Some(next) = self.script.front() {
            if let Some(line) = next.strip_prefix("> ") {
                while let Ok(line) = self.heard.recv_timeout(PAUSE) {
                    self.early.push(line);
                }
                writeln!(self.typed, "{line}").unwrap();
            } else if let Some(at) = self.early.iter().position(|line| general(line) == general(next)) {
                self.early.remove(at);
            } else {
                // What the server answers needs nobody else, and may take its time.
                let is_answer = next.starts_with(['-', '+', '!']);
                match self.heard.recv_timeout(if is_answer { PATIENCE } else { PAUSE }) {
                    Ok(line) => self.early.push(line),
                    Err(RecvTimeoutError::Timeout) => return is_on,
                    Err(RecvTimeoutError::Disconnected) => {
                        panic!("nc ended before {next}; it had said {:?}", self.early)
                    }
                }
                is_on = true;
                continue;
            }
            self.script.pop_front();
            is_on = true;
        }
        is_on
    }
}

impl Drop for Person {
    fn drop(&mut self) {
        let _ = self.nc.kill();
        let _ = self.nc.wait();
    }
}

fn is_conversation(block: &Block) -> bool {
    block.language == "console" && block.lines.iter().any(|line| line.starts_with("> "))
}

/// People whose conversations stand one after the other talk with each other: each comes when those before wait for somebody.
fn converse(stage: &mut Stage, blocks: &[&Block]) {
    let mut people: Vec<Person> = Vec::new();
    let since = Instant::now();
    loop {
        let is_on = people.iter_mut().filter_map(|person| person.go_on().then_some(())).count() > 0;
        if people.len() < blocks.len() && !is_on {
            people.push(Person::new(stage, blocks[people.len()]));
        } else if people.len() == blocks.len() && people.iter().all(|person| person.script.is_empty()) {
            break;
        }
        let waits = || people.iter().map(|person| (&person.early, person.script.front())).collect::<Vec<_>>();
        assert!(since.elapsed() < PATIENCE, "who waits for what: {:?}", waits());
    }
    for person in &people {
        assert!(person.early.is_empty(), "the page does not tell {:?}", person.early);
    }
    drop(people);
    if !stage.is_locked {
        stage.wait_for(stage.others.len() + 1);
    }
}

fn try_section(heading: &str, blocks: &[Block]) -> Option<()> {
    let mut stage = Stage::new()?;
    // Where the page starts no server, one runs; on the page of one that is installed, with a data folder.
    if !blocks.iter().any(|block| block.lines.iter().any(|line| line.starts_with("$ chinwag serve"))) {
        let is_installed = heading.starts_with("OPERATING.md");
        stage.serve(if is_installed { "chinwag serve --data installed" } else { "chinwag serve" });
    }
    let mut blocks = blocks.iter().peekable();
    while let Some(block) = blocks.next() {
        match block.language.as_str() {
            "console" if is_conversation(block) => {
                let mut together = vec![block];
                together.extend(std::iter::from_fn(|| blocks.next_if(|block| is_conversation(block))));
                converse(&mut stage, &together);
            }
            "console" => stage.console(block),
            "bash" => stage.bot(block),
            "sh" | "ini" | "yaml" | "stunnel" | "haproxy" | "nginx" | "python" | "js" => {}
            other => panic!(
                "no example may stand there untried, as {:?} would, which is of the language {other:?}",
                block.lines
            ),
        }
    }
    Some(())
}

#[test]
fn every_example_of_the_pages_is_true() {
    if !have(&["unshare", "nsenter", "ip", "nc", "bash", "timeout", "base64", "sha256sum", "tar", "script"]) {
        return;
    }
    let mut tried = 0;
    for (heading, blocks) in sections() {
        if blocks.iter().all(|block| !["console", "bash", "ini"].contains(&&*block.language)) {
            continue;
        }
        eprintln!("{heading}");
        if try_section(&heading, &blocks).is_none() {
            return skip("a network cannot be made");
        }
        tried += 1;
    }
    assert!(tried > 5, "{tried} sections have an example");
}

#[test]
fn every_link_of_the_pages_leads_somewhere() {
    let mut pages: Vec<PathBuf> = ["", "docs"]
        .iter()
        .flat_map(|folder| fs::read_dir(root().join(folder)).unwrap())
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "md"))
        .collect();
    pages.sort();
    let anchor = |heading: &str| {
        let text = heading.trim_start_matches('#').trim().to_lowercase().replace(' ', "-");
        text.chars().filter(|c| c.is_alphanumeric() || "-_".contains(*c)).collect::<String>()
    };
    for page in pages {
        let text = fs::read_to_string(&page).unwrap();
        for link in text.split("](").skip(1).map(|rest| rest.split(')').next().unwrap()) {
            if link.contains("://") {
                continue;
            }
            let (file, wanted) = link.split_once('#').map_or((link, None), |(file, heading)| (file, Some(heading)));
            let target = if file.is_empty() { page.clone() } else { page.parent().unwrap().join(file) };
            let found = target.exists().then(|| fs::read_to_string(&target).unwrap_or_default());
            let found = found.unwrap_or_else(|| panic!("{link} of {} leads nowhere", page.display()));
            if let Some(wanted) = wanted {
                let has = found.lines().any(|line| line.starts_with('#') && anchor(line) == wanted);
                assert!(has, "{link} of {} has no such heading", page.display());
            }
        }
    }
}
