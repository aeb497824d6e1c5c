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

#[path = "bench"]
mod bench {
    pub mod arrive;
    pub mod bare;
    pub mod dialect;
    pub mod figures;
    pub mod file;
    pub mod growth;
    pub mod host;
    pub mod latency;
    pub mod load;
    pub mod network;
    pub mod pairs;
    pub mod peers;
    pub mod people;
    pub mod picture;
    pub mod results;
    pub mod roll;
    pub mod rounds;
    pub mod table;
    pub mod talk;
    pub mod websocket;
    pub mod wire;
    pub mod works;
}

use std::path::Path;
use std::process::ExitCode;

use bench::bare::Hearers;
use bench::host::{cores, unpin};
use bench::network::Writes;
use bench::peers::{PEERS, Peer};
use bench::rounds::Plan;
use bench::works::{Size, WORKS, Work};
use bench::{bare, growth, latency, network, people, rounds};
use chinwag_bench::{Outcome, failed, raise_limit};

const HELP: &str = "\
bench [--quick] [--rounds N] [--only WORK,WORK…] [--plain | --dear]
                                            everything, the tables and the picture: as the machine is, and where a
                                            write is dear, or one of both
bench growth [--quick] [--rounds N]         what chinwag costs as its work grows
bench people [--quick] [--rounds N]         what logins, owned names, bans and guessed passwords cost
bench one WORK PEER [--quick | --tiny] [--dear]
                                            one run of one work
bench draw FOLDER                           tables and pictures of the last runs, again
bench list                                  the works, who does them, and who is there";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let done = match words[..] {
        _ if words.contains(&"--dear") => network::within(&words),
        ["--bare", _, "files"] => bare::files(),
        ["--bare", _, "pairs"] => bare::talk(Hearers::Partner),
        ["--bare", gather] => {
            gather.parse().map_err(failed("lines a write")).and_then(|gather| bare::talk(Hearers::Everybody(gather)))
        }
        ["--files", server] => server.parse().map_err(failed("the server's address")).and_then(latency::files),
        ["--half-handshakes", server] => {
            server.parse().map_err(failed("the server's address")).and_then(latency::half_handshakes)
        }
        ["list"] => {
            list();
            Ok(())
        }
        ["draw", folder] => rounds::draw(Path::new(folder)).and_then(|()| growth::draw(Path::new(folder))),
        ["one", work, peer, ref options @ ..] => plan(options).and_then(|plan| one(work, peer, &plan)),
        ["people", ref options @ ..] => plan(options).and_then(|plan| people::run(&plan, options)),
        [people::GUESSED_HERE, ref options @ ..] => plan(options).and_then(|plan| people::guessed(&plan)),
        [people::GUESS, count] => count.parse().map_err(failed("how many guess")).and_then(people::guess),
        ["growth", ref options @ ..] => plan(options).and_then(|plan| growth::run(&plan)),
        _ => all(&words),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            println!("bench: {message}");
            ExitCode::FAILURE
        }
    }
}

/// What the options say.
fn plan(mut options: &[&str]) -> Outcome<Plan> {
    let (mut size, mut rounds, mut only, mut writes) = (Size::Full, None, Vec::new(), None);
    while let [option, rest @ ..] = options {
        options = rest;
        match (*option, rest) {
            ("--quick", _) => size = Size::Quick,
            ("--tiny", _) => size = Size::Tiny,
            ("--plain", _) => writes = Some(Writes::Plain),
            (network::HERE, _) => writes = Some(Writes::Dear),
            ("--rounds", [number, rest @ ..]) => {
                rounds = Some(number.parse().ok().filter(|n| *n > 0).ok_or("--rounds takes a number")?);
                options = rest;
            }
            ("--only", [works, rest @ ..]) => {
                for work in works.split(',') {
                    only.push(Work::named(work).ok_or_else(|| format!("there is no work {work}"))?);
                }
                options = rest;
            }
            _ => return Err(format!("{option} is not understood\n{HELP}")),
        }
    }
    let rounds = rounds.unwrap_or(if size == Size::Full { 5 } else { 1 });
    Ok(Plan { size, rounds, only, writes })
}

/// Everything: as the machine is, then where a write is dear, unless it is said which of both.
fn all(words: &[&str]) -> Outcome<()> {
    let (plan, cores) = (plan(words)?, cores()?);
    rounds::run(&plan)?;
    if plan.writes.is_none() {
        unpin(&cores)?;
        network::within(&[words, &["--dear"]].concat())?;
    }
    Ok(())
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

fn one(work: &str, peer: &str, plan: &Plan) -> Outcome<()> {
    let work = Work::named(work).ok_or_else(|| format!("there is no work {work}; bench list names them"))?;
    let peer =
        Peer::named(peer).filter(|peer| work.is_for(*peer)).ok_or_else(|| format!("{peer} does not do {work}"))?;
    raise_limit(plan.size.descriptors())?;
    let cores = cores()?;
    if plan.writes == Some(Writes::Dear) {
        println!("{}", network::make_dear(&cores)?);
    }
    let figures = work.run(peer, plan.size, plan.writes.unwrap_or_default(), &cores)?;
    for (what, figure) in &figures.all {
        println!("{figure:>12.3}  {what}");
    }
    if figures.bound_by_load {
        println!("load-bound: the server could have done more");
    }
    Ok(())
}
