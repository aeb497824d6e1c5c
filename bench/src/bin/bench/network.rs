//! The network in which the servers run: the machine's own, or one in which a write is dear.
//!
//! On many a machine a write costs three times what it costs on a fast one: the processor is slower, the kernel guards
//! itself, packets pass a firewall. The firewall can be had anywhere: in a network namespace of its own each packet is
//! held against some hundred rules that fit none. They are gone with the last process in that namespace.

use std::io::Write;
use std::process::{Command, Stdio};

use rustix::process::geteuid;

use super::host::Host;
use super::peers::Peer;
use super::talk;
use super::wire::Wire;
use chinwag_bench::{Outcome, failed};

/// What a write costs.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
pub enum Writes {
    /// What it costs on this machine.
    #[default]
    Plain,
    /// Some ten microseconds.
    Dear,
}

/// What becomes of `--dear` in the arguments of this program once it is in a namespace of its own.
pub const HERE: &str = "--dear-here";
/// What a write shall cost where it is dear, in microseconds.
const DEAR: f64 = 10.0;
/// So far from that is near enough.
const NEAR: f64 = 0.05;
/// So many rules are tried first.
const FIRST: usize = 300;
/// So often the rules are counted anew, at most.
const TRIALS: usize = 4;
/// More rules than this help nobody.
const MOST: usize = 10_000;

/// Runs this program with these arguments again, in a namespace of its own, and waits for its end.
pub fn within(arguments: &[&str]) -> Outcome<()> {
    let arguments = arguments.iter().map(|word| if *word == "--dear" { HERE } else { word });
    wait(namespace()?.args(arguments))
}

/// This program as it is started in a namespace of its own.
pub fn namespace() -> Outcome<Command> {
    let own = std::env::current_exe().map_err(failed("this program's path"))?;
    let mut command = Command::new("unshare");
    if !geteuid().is_root() {
        command.args(["--user", "--map-root-user"]);
    }
    command.arg("--net").arg(own);
    Ok(command)
}

/// Waits until it has ended there.
pub fn wait(command: &mut Command) -> Outcome<()> {
    let status = command.status().map_err(failed("unshare"))?;
    let why = "no figures from a network of its own; if unshare failed, root may";
    if status.success() { Ok(()) } else { Err(why.into()) }
}

/// Gives this process's namespace, which must be its own, addresses: those of the loopback, and all of 10.77.0.0/16.
pub fn up() -> Outcome<()> {
    run(Command::new("ip").args(["link", "set", "lo", "up"]), "")?;
    run(Command::new("ip").args(["address", "add", "10.77.0.1/16", "dev", "lo"]), "")
}

/// Makes writes dear in this process's namespace, which must be its own, and tells what they cost.
pub fn make_dear(cores: &[usize]) -> Outcome<String> {
    run(Command::new("ip").args(["link", "set", "lo", "up"]), "")?;
    let cheap = cost(cores)?;
    let (mut rules, mut dear) = (FIRST, 0.0);
    for _ in 0..TRIALS {
        filter(rules)?;
        dear = cost(cores)?;
        if (dear / DEAR - 1.0).abs() < NEAR {
            break;
        }
        // What the rules cost, and so how many it takes.
        let wanted = rules as f64 * (DEAR - cheap).max(0.0) / (dear - cheap).max(0.1);
        rules = (wanted as usize).clamp(1, MOST);
    }
    Ok(format!(
        "a write costs {dear:.1} µs, {cheap:.1} without the {rules} rules of a packet filter that fit no packet"
    ))
}

/// What a write costs the bare loop, in microseconds.
fn cost(cores: &[usize]) -> Outcome<f64> {
    let host = Host::start(Peer::Bare(1), Wire::Clear, cores, &[])?;
    let figures = talk::steady(&host, 300, 100, 100)?;
    figures.all.first().map(|(_, cost)| *cost).ok_or_else(|| "what a write costs is not known".into())
}

/// Holds each packet that goes out against so many rules. None fits: the address is one for documentation.
fn filter(rules: usize) -> Outcome<()> {
    let list = "ip daddr 192.0.2.1 drop\n".repeat(rules);
    let hook = "type filter hook output priority 0\n";
    let table = format!("table inet dear {{\nchain output {{\n{hook}{list}}}\n}}\n");
    run(Command::new("nft").args(["-f", "-"]), &format!("table inet dear\ndelete table inet dear\n{table}"))
}

/// Runs a tool of the system, which is given some text.
fn run(command: &mut Command, text: &str) -> Outcome<()> {
    let name = command.get_program().to_string_lossy().into_owned();
    let mut child = command.stdin(Stdio::piped()).spawn().map_err(failed(&name))?;
    if let Some(mut input) = child.stdin.take() {
        input.write_all(text.as_bytes()).map_err(failed(&name))?;
    }
    let status = child.wait().map_err(failed(&name))?;
    if status.success() { Ok(()) } else { Err(format!("{name}: {status}")) }
}
