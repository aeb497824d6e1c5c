//! Tests that cannot run where they stand.

use std::env;
use std::fs::OpenOptions;
use std::io::{self, Write};
use std::panic::Location;

/// Counts the test that calls this as skipped: its place and the reason are added to the file that `CHINWAG_SKIPPED` names, as
/// `scripts/test` does, or else told on standard error. Where `CI` is set no test may be skipped, and it fails.
#[track_caller]
pub fn skip(why: &str) {
    let at = Location::caller();
    let line = format!("{}:{}: {}\n", at.file(), at.line(), why.trim());
    assert!(env::var_os("CI").is_none_or(|ci| ci.is_empty()), "skipped, which CI does not allow: {line}");
    match env::var_os("CHINWAG_SKIPPED") {
        // A line is one write, as tests run beside each other.
        Some(path) => OpenOptions::new().append(true).create(true).open(path).unwrap().write_all(line.as_bytes()),
        None => io::stderr().write_all(b"SKIPPED ").and_then(|()| io::stderr().write_all(line.as_bytes())),
    }
    .unwrap();
}

/// Whether these programs are installed. If not, the test that calls this is to end, and is counted as skipped.
#[track_caller]
pub fn have(programs: &[&str]) -> bool {
    let path = env::var_os("PATH").unwrap_or_default();
    let is_missing = |program: &&&str| !env::split_paths(&path).any(|folder| folder.join(program).is_file());
    let missing: Vec<&str> = programs.iter().filter(is_missing).copied().collect();
    if !missing.is_empty() {
        skip(&format!("{} cannot be found", missing.join(", ")));
    }
    missing.is_empty()
}
