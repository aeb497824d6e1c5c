//! What the servers cost: chinwag, the bare loop that it is held against, and three IRC servers, in the same run.
//!
//! `scripts/bench` builds what it needs and gets the IRC servers; `bench --help` says how it is used.
#![forbid(unsafe_code)]
#![allow(
    clippy::print_stdout,
    missing_docs,
    unreachable_pub,
    reason = "a program that prints its figures, and no library"
)]

#[path = "common/mod.rs"]
mod common;
#[path = "bench"]
mod bench {
    pub mod arrive;
    pub mod bare;
    pub mod dialect;
    pub mod figures;
    pub mod file;
    pub mod host;
    pub mod load;
    pub mod pairs;
    pub mod peers;
    pub mod roll;
    pub mod talk;
    pub mod works;
}

use std::process::ExitCode;

use bench::bare;
use bench::host::cores;
use bench::peers::{PEERS, Peer};
use bench::works::{Size, WORKS, Work};
use common::{Outcome, failed, raise_limit};

const HELP: &str = "\
bench one WORK PEER [--quick | --tiny]    one run of one work, and its figures
bench list                                 the works, and who does them";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let done = match words[..] {
        ["--bare", _, "files"] => bare::files(),
        ["--bare", gather] => gather.parse().map_err(failed("lines a write")).and_then(bare::talk),
        ["list"] => {
            list();
            Ok(())
        }
        ["one", work, peer] => one(work, peer, Size::Full),
        ["one", work, peer, "--quick"] => one(work, peer, Size::Quick),
        ["one", work, peer, "--tiny"] => one(work, peer, Size::Tiny),
        _ => {
            println!("{HELP}");
            return ExitCode::from(2);
        }
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            println!("bench: {message}");
            ExitCode::FAILURE
        }
    }
}

fn list() {
    for work in WORKS {
        let peers: Vec<String> = work.peers().map(|peer| peer.to_string()).collect();
        println!("{work:<20} {}", peers.join(" "));
    }
    for peer in PEERS {
        println!("{peer:<20} {}", peer.version().unwrap_or_else(|e| e));
    }
}

fn one(work: &str, peer: &str, size: Size) -> Outcome<()> {
    let work = Work::named(work).ok_or_else(|| format!("there is no work {work}; bench list names them"))?;
    let peer =
        Peer::named(peer).filter(|peer| work.is_for(*peer)).ok_or_else(|| format!("{peer} does not do {work}"))?;
    raise_limit(11_000)?;
    let figures = work.run(peer, size, &cores()?)?;
    for (what, figure) in &figures.all {
        println!("{figure:>12.3}  {what}");
    }
    if figures.bound_by_load {
        println!("load-bound: the server could have done more");
    }
    Ok(())
}
