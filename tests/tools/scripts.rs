//! What the tests of `scripts/` share: each script is run for real, and says how it is called.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

use testkit::{have, skip, timed};

pub(super) const DICE: &str = "bots/dice.bash";
pub(super) const LOGGER: &str = "bots/logger.py";
pub(super) const GREETER: &str = "bots/greeter.js";
pub(super) const GUARD: &str = "bots/guard.py";
pub(super) const SEND: &str = "send-file";
pub(super) const GET: &str = "get-file";

pub(super) fn script(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("scripts").join(name)
}

/// Whether the scripts can run here. If not, the test is to end, and is counted as skipped.
#[track_caller]
pub(super) fn can_run() -> bool {
    if !have(&["bash", "nc", "node", "python3", "timeout", "base64", "sha256sum"]) {
        return false;
    }
    let help = Command::new("nc").arg("-h").output().unwrap();
    let is_openbsd = String::from_utf8_lossy(&[help.stdout, help.stderr].concat()).contains("OpenBSD");
    if !is_openbsd {
        skip("nc is not that of netcat-openbsd");
    }
    is_openbsd
}

/// A script that runs until it is killed, or this goes.
pub(super) struct Running(pub(super) Child);

impl Running {
    pub(super) fn start<S: AsRef<OsStr>>(name: &str, arguments: &[S]) -> Self {
        Self::start_with(name, arguments, "")
    }

    fn start_with<S: AsRef<OsStr>>(name: &str, arguments: &[S], token: &str) -> Self {
        let mut command = Command::new(script(name));
        command
            .env("CHINWAG_TOKEN", token)
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::inherit());
        Self(command.spawn().unwrap())
    }

    /// Starts a bot: HOST PORT ROOM, and what it needs besides.
    pub(super) fn bot(name: &str, port: u16, rest: &[&str]) -> Self {
        Self::named(name, port, rest, "")
    }

    /// The same for one that has a name of its own, and logs in with this token.
    pub(super) fn named(name: &str, port: u16, rest: &[&str], token: &str) -> Self {
        let port = port.to_string();
        Self::start_with(name, &[&["127.0.0.1", &port, "#lobby"], rest].concat(), token)
    }

    pub(super) fn signal(&self, name: &str) {
        let pid = self.0.id().to_string();
        assert!(Command::new("kill").args([&format!("-{name}"), &pid]).status().unwrap().success());
    }

    pub(super) fn kill(mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Runs a script to its end, in a folder.
pub(super) fn run(folder: &Path, name: &str, arguments: &[&str]) -> Output {
    run_with(folder, name, arguments, &[])
}

pub(super) fn run_with(folder: &Path, name: &str, arguments: &[&str], variables: &[(&str, &str)]) -> Output {
    let mut command = timed();
    command.arg(script(name)).args(arguments).current_dir(folder).stdin(Stdio::null());
    command.envs(variables.iter().copied()).output().unwrap()
}

/// What a script printed, when all went well.
pub(super) fn good(output: &Output) -> String {
    assert!(output.status.success(), "{} {}", output.status, String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout.clone()).unwrap().trim_end().to_owned()
}

/// What a script complained of, when it should fail so.
pub(super) fn bad(output: &Output, code: i32) -> String {
    let words = String::from_utf8(output.stderr.clone()).unwrap();
    assert_eq!(output.status.code(), Some(code), "{words}");
    words
}

#[test]
fn every_script_says_how_it_is_called() {
    if !can_run() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    for name in [DICE, LOGGER, GREETER, GUARD, SEND, GET] {
        let output = run(folder.path(), name, &[]);
        assert!(!output.status.success());
        let words = String::from_utf8(output.stderr).unwrap();
        assert!(words.starts_with("usage: "), "{name}: {words}");
        assert!(output.stdout.is_empty());
    }
    // Those for who works on chinwag do nothing before they know that they are called rightly, as some build and install for minutes.
    for name in ["bench", "dashboard", "fuzz", "hostile", "release", "soak", "test"] {
        for help in ["-h", "--help"] {
            assert!(good(&run(folder.path(), name, &[help])).contains(&format!("  scripts/{name}")), "{name} {help}");
        }
        let wrong = run(folder.path(), name, &["--nothing"]);
        assert!(!wrong.status.success() && wrong.stdout.is_empty(), "{name}");
        assert!(String::from_utf8_lossy(&wrong.stderr).contains(&format!("  scripts/{name}")), "{name}");
    }
    for name in [SEND, GET] {
        assert!(good(&run(folder.path(), name, &["-h"])).starts_with("usage: "));
        assert!(bad(&run(folder.path(), name, &["-x"]), 2).contains("usage: "));
    }
}
