//! A data folder with servers on it, and what they have kept.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use rustix::process::{Pid, Signal, kill_process};
use sha2::{Digest, Sha256};
use tempfile::TempDir;

use crate::{Client, Server, binary};

/// A data folder of the test's own, which is not there before the first server makes it.
pub struct Folder {
    _parent: TempDir,
    pub path: PathBuf,
}

impl Folder {
    pub fn new() -> Self {
        let parent = tempfile::tempdir().unwrap();
        let path = parent.path().canonicalize().unwrap().join("data");
        Self { _parent: parent, path }
    }

    /// The arguments of a server on it, with these options besides.
    pub fn arguments<'a>(&'a self, options: &[&'a str]) -> Vec<&'a str> {
        arguments(&self.path, options)
    }

    /// Starts a server on it, with these options besides.
    pub fn serve(&self, options: &[&str]) -> Server {
        Server::start_with(Command::new(binary()).args(self.arguments(options)))
    }

    /// The log of the room of this name, without its `#`.
    pub fn log(&self, room: &str) -> PathBuf {
        self.path.join("rooms").join(format!("{room}.log"))
    }

    /// The lines of a room that are on the disk, as `/history` would give them.
    pub fn logged(&self, room: &str) -> Vec<String> {
        logged(&self.path, room)
    }
}

/// The arguments of a server on the folder `path`, with these options besides.
pub fn arguments<'a>(path: &'a Path, options: &[&'a str]) -> Vec<&'a str> {
    let mut all = vec!["serve", "--listen", "127.0.0.1:0", "--rate", "0", "--data", path.to_str().unwrap()];
    all.extend(options);
    all
}

/// The lines of a room that are on the disk under `data`, as `/history` would give them. A last line without its end is
/// none.
pub fn logged(data: &Path, room: &str) -> Vec<String> {
    let mut lines = Vec::new();
    for name in [format!("{room}.log.1"), format!("{room}.log")] {
        let Ok(bytes) = fs::read(data.join("rooms").join(name)) else { continue };
        let whole = bytes.split_inclusive(|&byte| byte == b'\n').filter(|line| line.ends_with(b"\n"));
        lines.extend(whole.map(|line| shown(str::from_utf8(line).unwrap().trim_end_matches('\n'))));
    }
    lines
}

/// A line of the log as `/history` gives it: `7 TIME <alice> hi` is `[7@TIME] <alice> hi` there.
pub fn shown(line: &str) -> String {
    let mut words = line.splitn(3, ' ');
    let mut word = || words.next().unwrap_or_else(|| panic!("no line of a log: {line:?}"));
    format!("[{}@{}] {}", word(), word(), word())
}

/// The number of a line with a stamp.
pub fn seq(line: &str) -> u64 {
    let seq = line.strip_prefix('[').and_then(|rest| rest.split_once('@')).and_then(|(seq, _)| seq.parse().ok());
    seq.unwrap_or_else(|| panic!("no stamp in {line:?}"))
}

/// What stands behind the stamp of a line.
pub fn unstamped(line: &str) -> &str {
    line.split_once("] ").unwrap_or_else(|| panic!("no stamp in {line:?}")).1
}

/// All that the server remembers of a room after `after`, each line with its stamp. The client must be in the room.
pub fn history(client: &mut Client, room: &str, after: u64) -> Vec<String> {
    let (mut lines, mut after) = (Vec::new(), after);
    loop {
        client.send(&format!("/history {room} after {after}"));
        let before = lines.len();
        let count = loop {
            let line = client.line().unwrap();
            assert!(!line.starts_with("! "), "{line} after {after}");
            match line.strip_prefix("- ") {
                Some(line) => lines.push(line.to_owned()),
                None if line.starts_with("+ history ") => break line,
                None => {}
            }
        };
        assert_eq!(count, format!("+ history {room} {}", lines.len() - before));
        assert!(lines[before..].iter().all(|line| seq(line) > after), "{:?} after {after}", &lines[before..]);
        match lines.last() {
            Some(last) if lines.len() > before => after = seq(last),
            _ => return lines,
        }
    }
}

/// Numbers that follow one another with no gap, beginning with `first`.
#[track_caller]
pub fn assert_numbered(lines: &[String], first: u64) {
    for (line, want) in lines.iter().zip(first..) {
        assert_eq!(seq(line), want, "{line:.100} of {}", lines.len());
    }
}

/// Ends a server at once, as nothing could prevent, and returns what it had logged.
pub fn kill(mut server: Server) -> String {
    kill_process(pid(server.pid()), Signal::KILL).unwrap();
    server.wait().1
}

/// Asks a server to end, and returns how it did and what it had logged. Its clients should be gone.
pub fn stop(mut server: Server) -> (ExitStatus, String) {
    kill_process(pid(server.pid()), Signal::TERM).unwrap();
    server.wait()
}

pub(crate) fn pid(pid: u32) -> Pid {
    Pid::from_raw(pid.try_into().unwrap()).unwrap()
}

pub fn digest(bytes: &[u8]) -> String {
    let hex: String = Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect();
    format!("sha256:{hex}")
}

/// Bytes as chunks of so many bytes.
pub fn chunks(bytes: &[u8], size: usize) -> Vec<String> {
    bytes.chunks(size).map(|chunk| format!("={}", BASE64.encode(chunk))).collect()
}

/// Shares a file with a target, and returns its ID.
pub fn share(client: &mut Client, target: &str, bytes: &[u8], name: &str) -> u64 {
    client.send(&format!("/send {target} {} {name}", bytes.len()));
    let id = client.until_starting("+ send ").pop().unwrap().split(' ').nth(2).unwrap().parse().unwrap();
    chunks(bytes, 40_000).iter().for_each(|chunk| client.send(chunk));
    client.until(&format!("={id} . {} {}", bytes.len(), digest(bytes)));
    id
}

/// Fetches a file, which must come whole.
pub fn fetch(client: &mut Client, id: u64) -> Vec<u8> {
    let mut bytes = Vec::new();
    client.send(&format!("/get {id}"));
    client.until_starting(&format!("+ get {id} 0 "));
    loop {
        let line = client.until_starting(&format!("={id} ")).pop().unwrap();
        match line.split_once(' ').unwrap().1 {
            end if end.starts_with(['.', '!']) => {
                assert_eq!(end, format!(". {} {}", bytes.len(), digest(&bytes)));
                return bytes;
            }
            chunk => bytes.extend(BASE64.decode(chunk).unwrap()),
        }
    }
}

/// What of these lines is about the keeping of history.
pub fn notices(lines: &[String]) -> Vec<&str> {
    lines.iter().map(String::as_str).filter(|line| line.starts_with("* notice history ")).collect()
}

/// What history not being kept begins with.
pub const NOT_KEPT: &str = "* notice history is not being kept: ";
/// What is said when it is kept again.
pub const KEPT: &str = "* notice history is being kept again";

/// All that is in a folder, with the mode of each; folders themselves too.
pub fn walk(folder: &Path) -> BTreeSet<(PathBuf, u32)> {
    let mut all = BTreeSet::from([(folder.to_owned(), fs::metadata(folder).unwrap().mode())]);
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            all.append(&mut walk(&path));
        } else {
            let mode = fs::metadata(&path).unwrap().mode();
            all.insert((path, mode));
        }
    }
    all
}

/// The names in a folder.
pub fn listing(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).unwrap();
    let mut names: Vec<_> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}
