//! A hostile crowd against a real server, and what twenty ordinary people notice of it.
//!
//! `hostile [CONNECTIONS] [SECONDS]`, 5000 and 30 without arguments; `scripts/hostile` builds what it needs. It starts a
//! server, measures how long lines are on their way between the people while nobody else is there, lets the crowd loose,
//! and measures again. It ends with 1 if a line was lost, if the 99th percentile grew beyond [`TARGET`], or if the
//! server's memory passed [`memory::bound`].
//!
//! The people and the crowd are processes of their own, this program under another first argument, so that neither
//! measure nor server pays for the crowd's own work; the crowd has the lowest priority.
#![forbid(unsafe_code)]
#![allow(
    clippy::print_stdout,
    missing_docs,
    unreachable_pub,
    reason = "a program that prints its figures, and no library"
)]

#[path = "hostile/crowd.rs"]
mod crowd;
#[path = "hostile/people.rs"]
mod people;

use std::io::{BufRead, BufReader, Write};
use std::net::SocketAddr;
use std::process::{Child, ChildStdin, Command, ExitCode, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use chinwag::memory;
use chinwag::settings::{Logging, Settings};
use chinwag_bench::{Outcome, failed, raise_limit, stop};
use people::Figures;
use testkit::Server;

/// How many times longer the 99th percentile may be under attack than on a quiet server.
const TARGET: f64 = 10.0;
/// How long the quiet server is measured.
const QUIET: Duration = Duration::from_secs(15);
/// How long the crowd may take to connect.
const ARRIVAL: Duration = Duration::from_secs(60);

const KIB: u64 = 1024;
const MIB: u64 = 1024 * KIB;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let address = |word: &str| word.parse::<SocketAddr>().map_err(failed("the server's address"));
    let done = match words[..] {
        ["--people", server] => address(server).and_then(people::run),
        ["--crowd", server, count] => {
            let count = count.parse().map_err(failed("the number of connections"));
            address(server).and_then(|server| crowd::run(server, count?))
        }
        [] => hostile("5000", "30"),
        [connections] => hostile(connections, "30"),
        [connections, seconds] => hostile(connections, seconds),
        _ => Err("usage: hostile [CONNECTIONS] [SECONDS]".into()),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            println!("hostile: {message}");
            ExitCode::FAILURE
        }
    }
}

fn hostile(connections: &str, seconds: &str) -> Outcome<()> {
    let connections: usize = connections.parse().map_err(failed("CONNECTIONS"))?;
    let attack = Duration::from_secs(seconds.parse().map_err(failed("SECONDS"))?);
    // The server, which has as many as the crowd, inherits the limit.
    raise_limit(connections as u64 + 200)?;
    let data = tempfile::tempdir().map_err(failed("a temporary folder"))?;
    let data = data.path().to_str().ok_or("the temporary folder has no plain name")?;
    let mut server = Server::start_loud(&["--data", data]);
    let address = server.address();

    let mut people = Helper::start(&["--people", &address])?;
    let quiet = people.measure(QUIET)?;
    report("quiet", &quiet);
    let before = server.usage().map_err(failed("the server's /proc"))?;

    // The crowd's arrival is measured by itself: no line may be lost then either.
    let since = Instant::now();
    people.order("begin")?;
    let mut crowd = Helper::start(&["--crowd", &address, &connections.to_string()])?;
    crowd.answer(ARRIVAL).map_err(|e| format!("the crowd does not get in: {e}"))?;
    let arrival = people.end()?;
    println!("{connections} hostile connections came in {:.1} s", since.elapsed().as_secs_f64());
    report("arrival", &arrival);

    let (since, from) = (Instant::now(), server.usage().map_err(failed("the server's /proc"))?);
    let under = people.measure(attack)?;
    report("attack", &under);
    let (took, after) = (since.elapsed(), server.usage().map_err(failed("the server's /proc"))?);
    if let Some(status) = server.ended() {
        return Err(format!("the server ended under attack: {status}"));
    }
    println!("crowd      {}", crowd.last(Duration::from_secs(10))?);
    drop(people);

    let ratio = under.p99.as_secs_f64() / quiet.p99.as_secs_f64().max(1e-6);
    let log = Some(Logging { max: u64::MAX, sync: Duration::ZERO });
    let bound = memory::bound(connections, &Settings { log, ..Settings::default() }) as u64;
    println!("ratio      {ratio:.1} of the 99th percentiles, at most {TARGET}");
    println!(
        "memory     {} MiB at most, {} MiB before the crowd; the bound is {} MiB",
        after.peak / KIB,
        before.resident / KIB,
        bound / MIB
    );
    let busy = after.processor.saturating_sub(from.processor).as_secs_f64();
    println!(
        "processor  {busy:.1} s in {:.1} s of attack, {:.1} s in all",
        took.as_secs_f64(),
        after.processor.as_secs_f64()
    );
    stop(server)?;

    let mut wrong = Vec::new();
    for (name, figures) in [("quiet", quiet), ("arrival", arrival), ("attack", under)] {
        if figures.lost + figures.wrong > 0 {
            wrong.push(format!("{name}: {} receipts lost, {} out of order or doubled", figures.lost, figures.wrong));
        }
    }
    if after.peak * KIB > bound {
        wrong.push(format!("the server held {} MiB, and the bound is {} MiB", after.peak / KIB, bound / MIB));
    }
    if ratio > TARGET {
        wrong.push(format!("the 99th percentile is {ratio:.1} times that of the quiet server"));
    }
    if wrong.is_empty() { Ok(()) } else { Err(wrong.join("; ")) }
}

fn report(name: &str, figures: &Figures) {
    let ms = |time: Duration| time.as_secs_f64() * 1000.0;
    println!(
        "{name:<10} p50 {:.2} ms, p99 {:.2} ms, longest {:.2} ms; {} lines said, {} receipts, {} lost, {} wrong",
        ms(figures.median),
        ms(figures.p99),
        ms(figures.longest),
        figures.said,
        figures.due,
        figures.lost,
        figures.wrong
    );
}

/// This program as another process, which takes orders and answers in lines. It is killed when this goes.
struct Helper {
    child: Child,
    orders: Option<ChildStdin>,
    answers: Receiver<String>,
}

impl Helper {
    fn start(arguments: &[&str]) -> Outcome<Self> {
        let program = std::env::current_exe().map_err(failed("this program's path"))?;
        let mut command = Command::new(program);
        command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().map_err(failed("a helper does not start"))?;
        let (sender, answers) = channel();
        let out = child.stdout.take().ok_or("a helper has no output")?;
        std::thread::spawn(move || {
            for line in BufReader::new(out).lines().map_while(Result::ok) {
                if sender.send(line).is_err() {
                    return;
                }
            }
        });
        let orders = child.stdin.take();
        Ok(Self { child, orders, answers })
    }

    fn order(&mut self, line: &str) -> Outcome<()> {
        let orders = self.orders.as_mut().ok_or("a helper takes no more orders")?;
        writeln!(orders, "{line}").map_err(failed("a helper takes no orders"))
    }

    /// The next line that it says.
    fn answer(&mut self, patience: Duration) -> Outcome<String> {
        let line = self.answers.recv_timeout(patience).map_err(failed("no answer"))?;
        match line.strip_prefix("hostile: ") {
            Some(trouble) => Err(trouble.to_owned()),
            None => Ok(line),
        }
    }

    /// Ends it, and takes what it says at last.
    fn last(&mut self, patience: Duration) -> Outcome<String> {
        self.orders = None;
        self.answer(patience)
    }

    /// Lets the people talk for so long.
    fn measure(&mut self, time: Duration) -> Outcome<Figures> {
        self.order("begin")?;
        std::thread::sleep(time);
        self.end()
    }

    /// Ends a time of measuring. What is under way then is waited for, and that may take a while.
    fn end(&mut self) -> Outcome<Figures> {
        self.order("end")?;
        let line = self.answer(Duration::from_secs(90))?;
        Figures::read(&line).ok_or_else(|| format!("the people say {line:?}"))
    }
}

impl Drop for Helper {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
