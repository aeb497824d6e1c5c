//! What the tests and the load programs share: a server and its clients, a bad connection, a terminal, disks that fail,
//! the core in memory, and chance that can be had again.
//!
//! All of it panics where something is not as it should be, as a test does.
#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::new_without_default,
    reason = "it serves tests, which may panic"
)]

pub mod alone;
mod client;
pub mod company;
pub mod data;
pub mod disk;
pub mod distant;
pub mod ledger;
mod many;
pub mod memory;
pub mod model;
pub mod proxy;
pub mod pty;
mod server;
pub mod sim;
mod skip;

use std::env;
use std::process::Command;
use std::sync::LazyLock;
use std::time::{Duration, Instant};

pub use client::{Client, control, is_read};
pub use many::{connect, raise_limit};
pub use server::{Server, Usage};
pub use skip::{have, skip};

/// How long anything may take; only a failing test waits so long. Passwords are looked at by a thread that gives way to all others,
/// and so take many seconds where a machine is busy.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// How long [`eventually`] waits before it asks again.
const ASK_AGAIN: Duration = Duration::from_millis(1);

/// The program under test: what CHINWAG names, or what was built with the running test or load program.
pub fn binary() -> &'static str {
    static PATH: LazyLock<String> = LazyLock::new(|| {
        let given = env::var_os("CHINWAG").map(Into::into);
        let own = env::current_exe().unwrap();
        // Tests lie one folder deeper than programs.
        let built = || own.ancestors().skip(1).take(2).map(|dir| dir.join("chinwag")).find(|path| path.is_file());
        let path = given.or_else(built).expect("cargo build makes a chinwag, or CHINWAG names one");
        path.into_os_string().into_string().unwrap()
    });
    &PATH
}

/// A command that runs what is given to it as arguments. Should that hang it is ended after [`PATIENCE`], and the exit status is 124.
pub fn timed() -> Command {
    let mut command = Command::new("timeout");
    command.arg(PATIENCE.as_secs().to_string());
    command
}

/// Asks again until something holds.
pub fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    let since = Instant::now();
    while !holds() {
        assert!(since.elapsed() < PATIENCE, "in vain: {what}");
        // Whoever is waited for needs the processor.
        std::thread::sleep(ASK_AGAIN);
    }
}

/// Bytes that look random and are the same every time.
pub fn noise(len: usize, seed: u64) -> Vec<u8> {
    let mut bytes = vec![0; len];
    fastrand::Rng::with_seed(seed).fill(&mut bytes);
    bytes
}

/// The seeds of so many runs. `CHINWAG_SEED` in the environment names the one to run instead.
pub fn seeds(count: u64) -> std::ops::Range<u64> {
    match env::var("CHINWAG_SEED") {
        Ok(seed) => {
            let seed = seed.parse().expect("CHINWAG_SEED is a number");
            seed..seed + 1
        }
        Err(_) => 0..count,
    }
}
