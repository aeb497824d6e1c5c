//! Disks that are full, slow, or fail.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::iter;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Signal, kill_process};
use tempfile::TempDir;

use crate::data::{arguments, pid};
use crate::skip::{have, skip};
use crate::{Server, binary};

/// A folder on a small disk of its own, which other processes do not see.
pub struct SmallDisk {
    /// It keeps the namespace in which the disk is mounted.
    holder: Child,
    dir: TempDir,
}

impl SmallDisk {
    /// A disk of this size, `1m` say. Where there can be none the test is skipped.
    #[track_caller]
    pub fn mount(size: &str) -> Option<Self> {
        if !have(&["unshare", "nsenter", "mount"]) {
            return None;
        }
        let dir = tempfile::tempdir().unwrap();
        let script = format!("mount -t tmpfs -o size={size},mode=700 chinwag \"$1\" && echo mounted && exec cat");
        let mut command = Command::new("unshare");
        command.args(["-rm", "sh", "-c", &script, "sh"]).arg(dir.path());
        let mut holder = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(holder.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let disk = Self { holder, dir };
        if line == "mounted\n" {
            return Some(disk);
        }
        skip("a small disk cannot be mounted");
        None
    }

    /// A server on the folder `data` of that disk.
    pub fn serve(&self, options: &[&str]) -> Server {
        Server::start_with(self.command().args(arguments(&self.dir.path().join("data"), options)))
    }

    /// What the binary does with these arguments and the folder `data` of that disk.
    pub fn run(&self, arguments: &[&str]) -> Output {
        let (mode, rest) = arguments.split_first().unwrap();
        self.command().args([mode, "--data"]).arg(self.dir.path().join("data")).args(rest).output().unwrap()
    }

    fn command(&self) -> Command {
        let mut command = Command::new("nsenter");
        command.args(["-t", &self.holder.id().to_string(), "-U", "-m", "--preserve-credentials", binary()]);
        command
    }

    /// Where this of the disk can be seen from outside.
    pub fn path(&self, name: &str) -> PathBuf {
        let dir = self.dir.path().strip_prefix("/").unwrap();
        Path::new("/proc").join(self.holder.id().to_string()).join("root").join(dir).join(name)
    }

    /// Fills it with a file until nothing more goes in.
    pub fn fill(&self) {
        let mut ballast = fs::File::create(self.path("ballast")).unwrap();
        while ballast.write_all(&[0; 4096]).is_ok() {}
    }

    /// Removes what filled it.
    pub fn free(&self) {
        fs::remove_file(self.path("ballast")).unwrap();
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = self.holder.kill();
        let _ = self.holder.wait();
    }
}

/// Calls of a server's that are made to fail or to wait, until this goes.
pub struct Meddler {
    strace: Child,
    log: tempfile::NamedTempFile,
}

/// The calls that write to a file.
pub const WRITES: &str = "write,writev,pwrite64,pwritev,pwritev2";

impl Meddler {
    /// Meddles with these calls as far as they are about these files, in the way that strace calls `how`. Where
    /// nobody may trace the test is skipped.
    #[track_caller]
    pub fn attach(server: &Server, calls: &str, how: &str, files: &[&Path]) -> Option<Self> {
        if !have(&["strace"]) {
            return None;
        }
        let log = tempfile::NamedTempFile::new().unwrap();
        let mut command = Command::new("strace");
        command.args(["-f", "-p", &server.pid().to_string(), "-e", &format!("trace={calls}"), "-o"]).arg(log.path());
        if !how.is_empty() {
            command.args(["-e", &format!("inject={calls}:{how}")]);
        }
        for file in files {
            command.arg("-P").arg(file);
        }
        let mut strace = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
        let mut told = String::new();
        let mut stderr = BufReader::new(strace.stderr.take().unwrap());
        // Files that are not there yet are mentioned first.
        while stderr.read_line(&mut told).unwrap() > 0 && !told.contains(" attached") {}
        // What it tells later goes where nobody reads it, and is little.
        strace.stderr = Some(stderr.into_inner());
        let meddler = Self { strace, log };
        if told.contains(" attached") {
            return Some(meddler);
        }
        skip(&format!("the server cannot be traced: {told}"));
        None
    }

    /// The calls that have come back so far, as strace writes them.
    pub fn calls(&self) -> Vec<String> {
        let text = fs::read_to_string(self.log.path()).unwrap();
        text.lines().filter(|line| line.contains(") = ") || line.contains(")  ")).map(str::to_owned).collect()
    }
}

/// What a program has to load first to be told another time, by the variables of faketime. Where there is none the test is
/// skipped.
#[track_caller]
pub fn faketime() -> Option<String> {
    if !have(&["faketime"]) {
        return None;
    }
    let run = || Command::new("faketime").args(["-f", "+0", "sh", "-c", "printf %s \"$LD_PRELOAD\""]).output().unwrap();
    // Its shared memory has the number of its process in its name. What one leaves that is killed stands in the way of a later one of that
    // number, but not of the next. Without it a test would go by the true time.
    let shown = iter::repeat_with(run).take(10).find(|shown| shown.stdout.ends_with(b"libfaketime.so.1"));
    let shown = shown.expect("faketime tells what is to be loaded");
    Some(String::from_utf8(shown.stdout).unwrap())
}

impl Drop for Meddler {
    fn drop(&mut self) {
        // It lets go of the server, and what waited goes on. If there is no server any more it may not hear that.
        let _ = kill_process(pid(self.strace.id()), Signal::TERM);
        let since = Instant::now();
        while self.strace.try_wait().is_ok_and(|ended| ended.is_none()) {
            if since.elapsed() > Duration::from_secs(2) {
                let _ = self.strace.kill();
            }
            thread::sleep(Duration::from_millis(5));
        }
    }
}
