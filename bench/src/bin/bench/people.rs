//! What people cost who own their names, and rooms that have rules: logging in, the register at the start, coming into a room
//! past its bans and invitations, and what others notice while passwords are guessed.
#![allow(clippy::expect_used, reason = "the names that are made here are names")]

use std::io::{BufRead, BufReader, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::os::unix::fs::DirBuilderExt;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chinwag::effect::{PasswordResult, PasswordTask, Secret};
use chinwag::ledger::encode;
use chinwag::limits;
use chinwag::names::{Digest, Nick, RoomName, Text};
use chinwag::passwords::Hasher;
use chinwag::register::entry::{Author, Ban, BanKind, Entry, Founder, PasswordHash, Rule, Who};
use chinwag::time::Day;
use sha2::{Digest as _, Sha256};
use socket2::{Domain, Socket, Type};
use tempfile::TempDir;

use super::dialect::{lines, name};
use super::figures::Figures;
use super::host::{Host, Meter, cores, unpin};
use super::load::{Flow, Load, heed};
use super::network::{self, namespace};
use super::peers::Peer;
use super::results::{Results, digits};
use super::roll::percentile;
use super::rounds::{Plan, about, beside};
use super::talk::Room;
use super::wire::Wire;
use super::works::Size;
use chinwag_bench::{Outcome, failed, raise_limit};

/// Where the figures are written down, in the folder of the build.
const FIGURES: &str = "people.tsv";
/// Where those are from the network in which passwords are guessed.
const GUESSED: &str = "guessed.tsv";
/// What they are filed under.
const GROUP: &str = "people";

const RENAME: &str = "µs a rename";
const FIRST: &str = "µs a login by token, the first of a day";
const AGAIN: &str = "µs a login by token, any other";
const START: &str = "s to start with so many owned names";
const START_BUSY: &str = "s of processor time for that";
const NAME: &str = "bytes of memory a name with a password";
const NAME_AND_TOKEN: &str = "bytes of memory a name with a password and a token";
const JOIN: &str = "µs to join and leave a room without rules";
const JOIN_NAMED: &str = "µs more past 200 bans of names and 500 invitations, invited";
const JOIN_GUEST: &str = "µs more past 200 bans of patterns and 500 invitations, a guest";
const JOIN_BANNED: &str = "µs more past 200 bans of guests who are here, a guest";
const LOGIN: &str = "ms a login by password takes while 200 addresses guess, the median";
const LOGIN_LONGEST: &str = "the longest, ms";
const QUIET: &str = "99th percentile of a room of 20, ms";
const GUESSING: &str = "the same while 200 addresses guess, ms";
const RATIO: &str = "times the quiet one";
const GUESSES: &str = "guesses in that time";

/// The figures in the order of the table, and what each shall be at most.
const ROWS: &[(&str, Option<f64>)] = &[
    (RENAME, None),
    (FIRST, None),
    (AGAIN, None),
    (START, None),
    (START_BUSY, None),
    (NAME, Some(300.0)),
    (NAME_AND_TOKEN, None),
    (JOIN, None),
    (JOIN_NAMED, Some(20.0)),
    (JOIN_GUEST, Some(20.0)),
    (JOIN_BANNED, Some(20.0)),
    (LOGIN, None),
    (LOGIN_LONGEST, Some(1000.0)),
    (QUIET, None),
    (GUESSING, None),
    (RATIO, Some(10.0)),
    (GUESSES, None),
];

/// How much of each is done.
struct Scale {
    names: usize,
    logins: usize,
    joins: usize,
    guessers: u8,
    talk: Duration,
}

impl Scale {
    fn of(size: Size) -> Self {
        let seconds = Duration::from_secs;
        match size {
            Size::Full => Self { names: limits::NAMES, logins: 2_000, joins: 2_000, guessers: 200, talk: seconds(20) },
            Size::Quick => Self { names: limits::NAMES, logins: 500, joins: 500, guessers: 200, talk: seconds(8) },
            Size::Tiny => Self { names: 100, logins: 10, joins: 10, guessers: 3, talk: seconds(1) },
        }
    }
}

/// Runs everything in rounds, prints the table, and writes down the figures.
pub fn run(plan: &Plan, words: &[&str]) -> Outcome<()> {
    let scale = Scale::of(plan.size);
    raise_limit(plan.size.descriptors())?;
    let cores = cores()?;
    let mut results = Results::new(about(&cores)?);
    for round in 1..=plan.rounds {
        for figures in [logins(&scale, &cores)?, start(&scale, &cores)?, joins(&scale, &cores)?] {
            results.add(round, GROUP, GROUP, &figures);
        }
        eprintln!("{round}/{}", plan.rounds);
    }
    results.save(&beside()?.join(FIGURES))?;
    print(&results);
    unpin(&cores)?;
    network::wait(namespace()?.env("RUST_LOG", "error").arg(GUESSED_HERE).args(words))
}

/// What tells this program that it is in the network of its own in which passwords are guessed.
pub const GUESSED_HERE: &str = "--people-here";

/// The rest of it, in a network of its own, in which addresses are to be had.
pub fn guessed(plan: &Plan) -> Outcome<()> {
    let scale = Scale::of(plan.size);
    network::up()?;
    raise_limit(plan.size.descriptors())?;
    let cores = cores()?;
    let mut results = Results::default();
    for round in 1..=plan.rounds {
        results.add(round, GROUP, GROUP, &guesses(&scale, &cores)?);
        eprintln!("{round}/{} with guesses", plan.rounds);
    }
    results.save(&beside()?.join(GUESSED))?;
    print(&results);
    Ok(())
}

/// The rows of the table of which there are figures, in Markdown.
fn print(results: &Results) {
    results.about.iter().for_each(|line| println!("- {line}\n\n| what | figure | target |\n| --- | --- | --- |"));
    for (what, target) in ROWS {
        let Some(spread) = results.spread(GROUP, GROUP, what) else { continue };
        let [median, least, most] = [spread.median, spread.least, spread.most].map(digits);
        let target = target.map_or(String::new(), |target| {
            let verdict = if spread.median <= target { "met" } else { "**MISSED**" };
            format!("≤ {}: {verdict}", digits(target))
        });
        println!("| {what} | {median} ({least}–{most}) | {target} |");
    }
}

/// The name of an owner.
fn owner(n: usize) -> Nick {
    Nick::new(&format!("owner{n:05}")).expect("a name")
}

/// By what all owners prove themselves.
const SECRET: [u8; 32] = [7; 32];
const PASSWORD: &str = "correct-horse";

fn token() -> String {
    format!("token:{}", URL_SAFE_NO_PAD.encode(SECRET))
}

fn today() -> Day {
    Day::of(SystemTime::now())
}

fn yesterday() -> Day {
    Day::of(SystemTime::now() - limits::DAY)
}

/// The lines of names that have owners. Nobody can log in with their password, which costs what another one costs.
fn names(count: usize) -> impl Iterator<Item = Entry> {
    let password = |n: usize| {
        let hash = Sha256::digest(n.to_be_bytes()).into();
        PasswordHash { memory: limits::PASSWORD_MEMORY, passes: limits::PASSWORD_PASSES, salt: [n as u8; 16], hash }
    };
    (0..count).map(move |n| Entry::Name { nick: owner(n), since: yesterday(), password: Some(password(n)) })
}

/// Their tokens, which were used on this day.
fn tokens(count: usize, used: Day) -> impl Iterator<Item = Entry> {
    (0..count).map(move |n| Entry::Token { nick: owner(n), used, digest: Digest(Sha256::digest(SECRET).into()) })
}

/// A server's data folder with a ledger in it.
fn folder(entries: impl Iterator<Item = Entry>) -> Outcome<TempDir> {
    let folder = tempfile::tempdir().map_err(failed("a temporary folder"))?;
    let mut text = String::new();
    entries.for_each(|entry| encode(&mut text, &entry));
    let data = folder.path().join("data");
    std::fs::DirBuilder::new().mode(0o700).create(&data).map_err(failed("a data folder"))?;
    std::fs::write(data.join("ledger"), text).map_err(failed("a ledger"))?;
    Ok(folder)
}

fn start_on(folder: &TempDir, cores: &[usize], options: &[&str]) -> Outcome<Host> {
    let data = folder.path().join("data");
    let data = data.to_str().ok_or("the temporary folder has no plain name")?;
    Host::start(Peer::Chinwag, Wire::Clear, cores, &[&["--data", data], options].concat())
}

/// Many take another name, and then they log in, so that each has another name too.
fn logins(scale: &Scale, cores: &[usize]) -> Outcome<Figures> {
    let count = scale.logins;
    let folder = folder(names(count).chain(tokens(count, yesterday())))?;
    let host = start_on(&folder, cores, &[])?;
    let mut load = Load::new(host.dialect)?;
    load.besides = "/set presence off\n";
    load.arrive(&host, count)?;
    load.settle()?;
    let mut ask = |ask: &dyn Fn(usize) -> String, done: &[u8]| -> Outcome<f64> {
        let meter = Meter::start(&host)?;
        load.ask(0..count, ask, |line| line.starts_with(done))?;
        let spent = meter.stop(&host)?;
        load.settle()?;
        Ok(spent.each(count as u64))
    };
    let token = token();
    let login = |who: usize| format!("/login {} {token}\n", owner(who));
    // The first time warms everything up.
    ask(&|who| format!("/nick first{who:05}\n"), b"+ nick ")?;
    let rename = ask(&|who| format!("/nick second{who:05}\n"), b"+ nick ")?;
    let first = ask(&login, b"+ login ")?;
    ask(&|_| "/logout\n".to_owned(), b"+ logout ")?;
    let again = ask(&login, b"+ login ")?;
    let mut figures = Figures::new(RENAME, rename, Meter::start(&host)?.stop(&host)?);
    figures.add(FIRST, first);
    figures.add(AGAIN, again);
    Ok(figures)
}

/// How a server starts that has as many names as there may be.
fn start(scale: &Scale, cores: &[usize]) -> Outcome<Figures> {
    let resident = |folder: TempDir| -> Outcome<(f64, f64, f64)> {
        let since = Instant::now();
        let host = start_on(&folder, cores, &[])?;
        let took = since.elapsed().as_secs_f64();
        thread::sleep(Duration::from_millis(200));
        Ok((host.resident()? as f64, took, host.processor()?.0.as_secs_f64()))
    };
    let (nobody, ..) = resident(folder(names(0))?)?;
    let (named, ..) = resident(folder(names(scale.names))?)?;
    let (both, took, busy) = resident(folder(names(scale.names).chain(tokens(scale.names, today())))?)?;
    let each = |bytes: f64| (bytes - nobody).max(0.0) / scale.names as f64;
    let host = start_on(&folder(names(0))?, cores, &[])?;
    let mut figures = Figures::new(START, took, Meter::start(&host)?.stop(&host)?);
    figures.add(START_BUSY, busy);
    figures.add(NAME, each(named));
    figures.add(NAME_AND_TOKEN, each(both));
    Ok(figures)
}

fn room(name: &str) -> RoomName {
    RoomName::new(name).expect("a room")
}

fn ban(room: RoomName, id: usize, who: Who) -> Entry {
    let (by, reason) = (Author::Server, Text::new("it had to be"));
    Entry::Ban { room, ban: Ban { id: id as u64, kind: BanKind::Ban, who, network: None, until: None, by, reason } }
}

/// A room with as many bans and invitations as it may have, for nobody who comes: those of names, or of patterns.
fn ruled(name: &str, who: impl Fn(usize) -> Who) -> Vec<Entry> {
    let room = room(name);
    let mut entries = vec![Entry::Room { room, founder: Founder::Owner(owner(0)) }];
    entries.extend((0..limits::BANS).map(|n| ban(room, n + 1, who(n))));
    entries.extend((0..limits::INVITED).map(|n| Entry::Invite { room, nick: owner(n), on: true }));
    entries
}

/// One person comes into a room and leaves it, over and over, while its founder is there: a room without rules, and those that
/// have as many as they may have.
fn joins(scale: &Scale, cores: &[usize]) -> Outcome<Figures> {
    let count = limits::INVITED + limits::BANS;
    let banned = |n: usize| Who::Name(owner(limits::INVITED + n));
    // They have nothing in common with the name of whoever comes but a letter.
    let pattern = |n: usize| Who::Pattern(Text::new(&format!("*spam{n:03}*bot*")));
    let mut entries: Vec<Entry> = names(count).chain(tokens(count, today())).collect();
    entries.push(Entry::Room { room: room("#plain"), founder: Founder::Owner(owner(0)) });
    entries.push(Entry::Room { room: room("#guests"), founder: Founder::Owner(owner(0)) });
    entries.extend(ruled("#named", banned));
    entries.push(Entry::Rule { room: room("#named"), rule: Rule::InviteOnly(true) });
    entries.extend(ruled("#patterns", pattern));
    let folder = folder(entries.into_iter())?;
    let host = start_on(&folder, cores, &[])?;
    let mut load = Load::new(host.dialect)?;
    load.besides = "/set presence off\n";
    // The founder, whoever comes with a name of their own, a guest, and guests who are banned.
    let (founder, named, guest, others) = (0, 1, 2, 3..3 + limits::BANS);
    load.arrive(&host, others.end)?;
    let token = token();
    for (who, owner) in [(founder, owner(0)), (named, owner(limits::INVITED - 1))] {
        load.ask(who..who + 1, |_| format!("/login {owner} {token}\n"), |line| line.starts_with(b"+ login "))?;
    }
    for room in ["#plain", "#named", "#patterns", "#guests"] {
        load.ask(founder..founder + 1, |_| format!("/join {room}\n"), |line| line.starts_with(b"+ join "))?;
    }
    for who in others {
        let ban = format!("/ban #guests {} 1d\n", name(who));
        load.ask(founder..founder + 1, |_| ban.clone(), |line| line.starts_with(b"+ ban "))?;
    }
    load.settle()?;
    let times = scale.joins;
    let mut come = |who: usize, room: &str| -> Outcome<f64> {
        let typed = format!("/join {room}\n/leave {room}\n").repeat(times);
        let mut due = times;
        let meter = Meter::start(&host)?;
        load.say(who, typed);
        load.until("for the last to leave", |out, who, block, _| {
            for line in lines(block) {
                due -= usize::from(line.starts_with(b"+ leave "));
                heed(host.dialect, out, who, line)?;
            }
            Ok(if due == 0 { Flow::Done } else { Flow::More })
        })?;
        let spent = meter.stop(&host)?;
        load.settle()?;
        Ok(spent.each(times as u64))
    };
    // The first time warms everything up.
    come(guest, "#plain")?;
    let plain = f64::midpoint(come(guest, "#plain")?, come(named, "#plain")?);
    let (past_names, past_patterns) = (come(named, "#named")?, come(guest, "#patterns")?);
    let past_guests = come(guest, "#guests")?;
    let mut figures = Figures::new(JOIN, plain, Meter::start(&host)?.stop(&host)?);
    figures.add(JOIN_NAMED, past_names - plain);
    figures.add(JOIN_GUEST, past_patterns - plain);
    figures.add(JOIN_BANNED, past_guests - plain);
    Ok(figures)
}

/// Where the server can be reached from other addresses than the loopback's.
const OUTSIDE: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::new(10, 77, 0, 1)), 2428);
/// Members of the room, and lines a second in it.
const TALKERS: usize = 20;
const RATE: u32 = 40;
/// Who logs in waits so long before the next time.
const PAUSE: Duration = Duration::from_millis(500);
/// The names whose passwords are guessed.
const GUESSED_NAMES: usize = 10;

/// A room talks by itself, and then while many addresses guess passwords as fast as they may and somebody logs in by theirs.
fn guesses(scale: &Scale, cores: &[usize]) -> Outcome<Figures> {
    let task = PasswordTask::Hash { password: Secret(PASSWORD.to_owned()), salt: [3; 16] };
    let PasswordResult::Hash(hash) = Hasher::default().carry_out(task) else { return Err("no password".into()) };
    let own = Entry::Name { nick: owner(GUESSED_NAMES), since: yesterday(), password: Some(hash) };
    let folder = folder(names(GUESSED_NAMES).chain([own]))?;
    let listen = OUTSIDE.to_string();
    let host = start_on(&folder, cores, &["--clear-passwords", "allow", "--listen", &listen])?;
    let mut room = Room::of(Load::new(host.dialect)?, &host, TALKERS, 10)?;
    let lines = RATE * u32::try_from(scale.talk.as_secs()).unwrap_or(1);
    let mut talk = || -> Outcome<f64> {
        room.roll.times = Some(Vec::new());
        room.steady(RATE, lines)?;
        Ok(percentile(&mut room.roll.times.take().unwrap_or_default(), 0.99))
    };
    talk()?;
    let quiet = talk()?;
    let meter = Meter::start(&host)?;
    let guessers = Guessers::start(scale.guessers)?;
    let under_attack = talk()?;
    let (guesses, mut logins) = guessers.stop()?;
    logins.sort_by(f64::total_cmp);
    let longest = *logins.last().ok_or("nobody has logged in")?;
    let mut figures = Figures::new(LOGIN, logins[logins.len() / 2], meter.stop(&host)?);
    figures.add(LOGIN_LONGEST, longest);
    figures.add(QUIET, quiet);
    figures.add(GUESSING, under_attack);
    figures.add(RATIO, under_attack / quiet);
    figures.add(GUESSES, guesses);
    Ok(figures)
}

/// Those who guess, and who logs in, in a process of its own that gets only the time that nobody else wants. It is killed when
/// this goes.
struct Guessers {
    child: Child,
    orders: Option<ChildStdin>,
}

/// What tells this program that it is that process.
pub const GUESS: &str = "--guess";

impl Guessers {
    fn start(count: u8) -> Outcome<Self> {
        let own = std::env::current_exe().map_err(failed("this program's path"))?;
        let mut command = Command::new("nice");
        command.args(["-n", "19"]).arg(own).args([GUESS, &count.to_string()]);
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().map_err(failed("nice"))?;
        let orders = child.stdin.take();
        Ok(Self { child, orders })
    }

    /// Ends it. How many guesses there were, and how long each login took, in milliseconds.
    fn stop(mut self) -> Outcome<(f64, Vec<f64>)> {
        drop(self.orders.take());
        let told = self.child.stdout.take().ok_or("those who guess say nothing")?;
        let line = BufReader::new(told).lines().next().ok_or("those who guess say nothing")?;
        let line = line.map_err(failed("those who guess"))?;
        let mut figures = line.split(' ').map_while(|figure| figure.parse().ok());
        let guesses = figures.next().ok_or_else(|| format!("those who guess say {line:?}"))?;
        Ok((guesses, figures.collect()))
    }
}

impl Drop for Guessers {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// That process, until its standard input ends.
pub fn guess(count: u8) -> Outcome<()> {
    let (is_over, guesses) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
    for n in 0..count {
        // As many as may wait from one address.
        for _ in 0..limits::PASSWORDS_WAITING_OF_PREFIX {
            let (is_over, guesses) = (Arc::clone(&is_over), Arc::clone(&guesses));
            thread::spawn(move || {
                let nick = owner(usize::from(n) % GUESSED_NAMES);
                while !is_over.load(Relaxed) && guess_on(Ipv4Addr::new(10, 77, 1, n), nick, &guesses).is_ok() {}
            });
        }
    }
    let (times, ending) = (Arc::new(Mutex::new(Vec::new())), Arc::clone(&is_over));
    let told = Arc::clone(&times);
    let person = thread::spawn(move || -> Outcome<()> {
        for n in 0.. {
            if ending.load(Relaxed) && n > 0 {
                break;
            }
            let took = log_in(Ipv4Addr::new(10, 77, 2, 1))?;
            told.lock().map_err(failed("the times"))?.push(took.as_secs_f64() * 1000.0);
            thread::sleep(PAUSE);
        }
        Ok(())
    });
    let _ = std::io::copy(&mut std::io::stdin(), &mut std::io::sink());
    is_over.store(true, Relaxed);
    person.join().map_err(|_| "who logs in has failed")??;
    let times: Vec<String> = times.lock().map_err(failed("the times"))?.iter().map(|time| time.to_string()).collect();
    println!("{} {}", guesses.load(Relaxed), times.join(" "));
    Ok(())
}

/// A connection from this address to the server.
fn connect_from(from: Ipv4Addr) -> Outcome<TcpStream> {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).map_err(failed("a socket"))?;
    socket.bind(&SocketAddr::from((from, 0)).into()).map_err(failed("an address"))?;
    socket.connect(&OUTSIDE.into()).map_err(failed("a connection"))?;
    socket.set_tcp_nodelay(true).map_err(failed("a socket"))?;
    Ok(socket.into())
}

/// One connection guesses until it is closed; an error when nothing from its address is listened to any more.
fn guess_on(from: Ipv4Addr, nick: Nick, guesses: &AtomicU64) -> Outcome<()> {
    let mut stream = connect_from(from)?;
    let mut lines = BufReader::new(stream.try_clone().map_err(failed("a socket"))?).lines();
    loop {
        if writeln!(stream, "/login {nick} wrong-battery-{}", fastrand::u32(..)).is_err() {
            return Ok(());
        }
        let reply = lines.by_ref().map_while(Result::ok).find(|line| line.starts_with(['!', '+']));
        match reply.as_deref() {
            None => return Ok(()),
            Some(reply) if reply.starts_with("! login too-many ") => return Err("too many".into()),
            // It waits as a program would that was told so.
            Some(reply) if reply.starts_with("! login busy ") => thread::sleep(Duration::from_millis(100)),
            Some(_) => drop(guesses.fetch_add(1, Relaxed)),
        }
    }
}

/// How long it takes to log in by password, from before it is sent to when the answer is there.
fn log_in(from: Ipv4Addr) -> Outcome<Duration> {
    let mut stream = connect_from(from)?;
    let mut lines = BufReader::new(stream.try_clone().map_err(failed("a socket"))?).lines().map_while(Result::ok);
    lines.find(|line| line.starts_with("* hello ")).ok_or("nobody is greeted")?;
    let since = Instant::now();
    writeln!(stream, "/login {} {PASSWORD}", owner(GUESSED_NAMES)).map_err(failed("logging in"))?;
    let reply = lines.find(|line| line.starts_with(['!', '+'])).unwrap_or_default();
    if reply.starts_with("+ login ") { Ok(since.elapsed()) } else { Err(format!("who logs in is told {reply:?}")) }
}
