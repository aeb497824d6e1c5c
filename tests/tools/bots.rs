//! The scripts that people start from, run for real: the bots, and the two that share and fetch a file.

use std::collections::HashSet;
use std::ffi::OsStr;
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use testkit::data::{Folder, digest};
use testkit::proxy::{Cut, Proxy};
use testkit::{Client, Server, eventually, have, noise, skip};

const DICE: &str = "bots/dice.bash";
const LOGGER: &str = "bots/logger.py";
const GREETER: &str = "bots/greeter.js";
const GUARD: &str = "bots/guard.py";
const SEND: &str = "send-file";
const GET: &str = "get-file";

fn script(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("scripts").join(name)
}

/// Whether the scripts can run here. If not, the test is to end, and is counted as skipped.
#[track_caller]
fn can_run() -> bool {
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
struct Running(Child);

impl Running {
    fn start<S: AsRef<OsStr>>(name: &str, arguments: &[S]) -> Self {
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
    fn bot(name: &str, port: u16, rest: &[&str]) -> Self {
        Self::named(name, port, rest, "")
    }

    /// The same for one that has a name of its own, and logs in with this token.
    fn named(name: &str, port: u16, rest: &[&str], token: &str) -> Self {
        let port = port.to_string();
        Self::start_with(name, &[&["127.0.0.1", &port, "#lobby"], rest].concat(), token)
    }

    fn signal(&self, name: &str) {
        let pid = self.0.id().to_string();
        assert!(Command::new("kill").args([&format!("-{name}"), &pid]).status().unwrap().success());
    }

    fn kill(mut self) {
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
fn run(folder: &Path, name: &str, arguments: &[&str]) -> Output {
    run_with(folder, name, arguments, &[])
}

fn run_with(folder: &Path, name: &str, arguments: &[&str], variables: &[(&str, &str)]) -> Output {
    let mut command = Command::new("timeout");
    command.arg("20").arg(script(name)).args(arguments).current_dir(folder).stdin(Stdio::null());
    command.envs(variables.iter().copied()).output().unwrap()
}

/// What a script printed, when all went well.
fn good(output: &Output) -> String {
    assert!(output.status.success(), "{} {}", output.status, String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout.clone()).unwrap().trim_end().to_owned()
}

/// What a script complained of, when it should fail so.
fn bad(output: &Output, code: i32) -> String {
    let words = String::from_utf8(output.stderr.clone()).unwrap();
    assert_eq!(output.status.code(), Some(code), "{words}");
    words
}

/// What follows this in the text, up to the next white space.
fn after<'a>(text: &'a str, what: &str) -> Option<&'a str> {
    text.split_once(what)?.1.split_whitespace().next()
}

#[test]
fn each_bot_is_small() {
    let mut count = 0;
    for entry in fs::read_dir(script("bots")).unwrap() {
        let path = entry.unwrap().path();
        let lines = fs::read_to_string(&path).unwrap().lines().count();
        assert!(lines <= 60, "{} has {lines} lines", path.display());
        count += 1;
    }
    assert_eq!(count, 4);
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
    for name in [SEND, GET] {
        assert!(good(&run(folder.path(), name, &["-h"])).starts_with("usage: "));
        assert!(bad(&run(folder.path(), name, &["-x"]), 2).contains("usage: "));
    }
}

/// Takes lines up to what the dice bot says to `who` there, and returns what follows the name.
fn rolled(client: &mut Client, place: &str, bot: &str, who: &str) -> String {
    let start = format!("{place} <{bot}> {who}");
    client.until_starting(&start).pop().unwrap()[start.len()..].to_owned()
}

/// Checks the dice and their sum in ` rolls 3d6+2: 1 5 4 (+2) = 12`.
fn add_up(roll: &str, what: &str, dice: usize, sides: i64, bonus: i64) -> Vec<i64> {
    let (shown, total) = roll.strip_prefix(&format!(" rolls {what}: ")).unwrap().split_once(" = ").unwrap();
    let shown: Vec<i64> = shown.split(" (").next().unwrap().split(' ').map(|die| die.parse().unwrap()).collect();
    assert_eq!(shown.len(), dice, "{roll}");
    assert!(shown.iter().all(|die| (1..=sides).contains(die)), "{roll}");
    assert_eq!(total.parse(), Ok(shown.iter().sum::<i64>() + bonus), "{roll}");
    shown
}

#[test]
fn dice_are_rolled_in_the_room_and_in_private() {
    if !can_run() {
        return;
    }
    let server = Server::start(&[]);
    let mut bob = server.in_room("bob", "#lobby");
    let _bot = Running::bot(DICE, server.port, &[]);
    bob.until("#lobby * dice joined");
    bob.send("!roll 2d6");
    add_up(&rolled(&mut bob, "#lobby", "dice", "bob"), "2d6", 2, 6, 0);
    bob.send("!roll");
    add_up(&rolled(&mut bob, "#lobby", "dice", "bob"), "1d6", 1, 6, 0);
    bob.send("!roll d20+7");
    add_up(&rolled(&mut bob, "#lobby", "dice", "bob"), "d20+7", 1, 20, 7);
    bob.send("!roll 3d8-2");
    add_up(&rolled(&mut bob, "#lobby", "dice", "bob"), "3d8-2", 3, 8, -2);
    bob.send("!roll 20d999");
    let many = add_up(&rolled(&mut bob, "#lobby", "dice", "bob"), "20d999", 20, 999, 0);
    assert!(many.iter().collect::<HashSet<_>>().len() > 5, "{many:?}");
    // What is no roll is explained or passed over, and nothing of it is run or expanded.
    for odd in ["21d6", "2d1000", "0d6", "2d0", "d", "*", "$(id)", "2d6; id", "a[$(id)]"] {
        bob.send(&format!("!roll {odd}"));
        assert!(rolled(&mut bob, "#lobby", "dice", "bob").starts_with(": say !roll 2d6"), "{odd}");
    }
    bob.send("!rolling\nroll 2d6\n/me !roll 2d6");
    let mut carol = server.person("carol");
    carol.send("/msg dice !roll 4d6");
    let private = rolled(&mut carol, "@dice", "dice", "carol");
    add_up(&private, "4d6", 4, 6, 0);
    assert_eq!(carol.settle().len(), 0);
    assert!(bob.settle().iter().all(|line| !line.contains("<dice>")));
}

#[test]
fn bots_in_python_come_back_from_a_connection_on_which_nothing_comes() {
    if !can_run() {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("words"), "spam\n").unwrap();
    for name in [LOGGER, GUARD] {
        // What takes a minute and a quarter takes a second.
        let text = fs::read_to_string(script(name)).unwrap();
        let quick = text.replace("ITIMER_REAL, 30, 30", "ITIMER_REAL, 0.2, 0.2").replace("port), 75", "port), 1");
        let path = dir.path().join("bot.py");
        fs::write(&path, quick).unwrap();
        let data = Folder::new();
        let server = data.serve(&[]);
        let mut bot = server.person("bot");
        bot.ask("/register correct-horse", "+ register bot");
        bot.send("/token");
        let token = bot.until_starting("+ token ").pop().unwrap().replace("+ token ", "");
        drop(bot);
        let proxy = Proxy::start(server.port);
        let mut bob = server.in_room("bob", "#lobby");
        let rest = dir.path().join(if name == GUARD { "words" } else { "log" });
        let mut command = Command::new("python3");
        command.arg(&path).args(["127.0.0.1", &proxy.port().to_string(), "#lobby"]).arg(rest).arg("bot");
        let _bot = Running(command.env("CHINWAG_TOKEN", token).spawn().unwrap());
        bob.until("#lobby * bot joined");
        // Where nobody says anything it stays.
        eventually("some answers", || proxy.down().matches("+ ping alive\n").count() > 8);
        assert_eq!(proxy.open(), 1);
        proxy.stall(true);
        eventually("it comes again", || proxy.open() > 1);
        proxy.stall(false);
        bob.send("/ping");
        eventually("it has come", || proxy.down().matches("+ join #lobby").count() == 2);
    }
}

#[test]
fn dice_take_another_name_and_come_back() {
    if !can_run() {
        return;
    }
    let server = Server::start(&[]);
    let proxy = Proxy::start(server.port);
    let mut bob = server.in_room("bob", "#lobby");
    let dice = server.person("dice");
    let bot = Running::bot(DICE, proxy.port(), &[]);
    bob.until("#lobby * guest1 renamed dice2");
    proxy.cut(Cut::Reset);
    bob.until_starting("#lobby * dice2 ");
    drop(dice);
    bob.until("#lobby * dice joined");
    bob.send("!roll d6");
    add_up(&rolled(&mut bob, "#lobby", "dice", "bob"), "d6", 1, 6, 0);
    // Nothing of it stays behind.
    bot.kill();
    bob.until_starting("#lobby * dice ");
}

/// What the log holds: for each line its number, who said it, and what.
fn logged(path: &Path) -> Vec<(u64, String)> {
    let text = fs::read_to_string(path).unwrap_or_default();
    let line = |line: &str| {
        let (stamp, said) = line.split_once("] ").unwrap();
        let (number, time) = stamp.strip_prefix('[').unwrap().split_once('@').unwrap();
        assert!(time.len() == 24 && time.ends_with('Z'), "{line}");
        (number.parse().unwrap(), said.to_owned())
    };
    text.lines().map(line).collect()
}

/// Waits until the log ends in this, and holds it to what should be in it.
fn log_is(path: &Path, want: &[(u64, String)]) {
    let last = format!("{}\n", want.last().unwrap().1);
    eventually("the last line is logged", || fs::read_to_string(path).unwrap_or_default().ends_with(&last));
    let got = logged(path);
    let wrong = got.iter().zip(want).find(|(got, want)| got != want);
    assert!(got.len() == want.len() && wrong.is_none(), "{} for {} lines, {wrong:?}", got.len(), want.len());
}

/// Says so many things, and notes which lines the log should have for them. They are numbered from `first`.
fn chatter(client: &mut Client, first: u64, count: u64, word: &str, want: &mut Vec<(u64, String)>) {
    for number in first..first + count {
        client.send(&format!("{word} {number}"));
        want.push((number, format!("<bob> {word} {number}")));
    }
    client.settle();
}

#[test]
fn the_logger_is_killed_and_misses_nothing() {
    if !can_run() {
        return;
    }
    let server = Server::start(&["--rate", "0", "--history", "5000"]);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("lobby.log");
    let log = path.to_str().unwrap();
    let mut bob = server.in_room("bob", "#lobby");
    let mut want = Vec::new();
    chatter(&mut bob, 1, 5, "before it first came", &mut want);
    let logger = Running::bot(LOGGER, server.port, &[log]);
    bob.until("#lobby * logger joined");
    chatter(&mut bob, 6, 5, "while it is there", &mut want);
    log_is(&path, &want);
    logger.kill();
    bob.until_starting("#lobby * logger ");
    chatter(&mut bob, 11, 1300, "while it is away", &mut want);
    // A full disk left half a line of something.
    fs::OpenOptions::new().append(true).open(&path).unwrap().write_all(b"[11@2026-").unwrap();
    let logger = Running::bot(LOGGER, server.port, &[log]);
    bob.until("#lobby * logger joined");
    chatter(&mut bob, 1311, 700, "while it catches up", &mut want);
    log_is(&path, &want);
    // Killed at any moment.
    logger.kill();
    let logger = Running::bot(LOGGER, server.port, &[log]);
    bob.until("#lobby * logger joined");
    chatter(&mut bob, 2011, 300, "while it is killed", &mut want);
    logger.kill();
    chatter(&mut bob, 2311, 3, "at last", &mut want);
    let _logger = Running::bot(LOGGER, server.port, &[log]);
    log_is(&path, &want);
}

#[test]
fn the_logger_is_cut_off_and_misses_nothing() {
    if !can_run() {
        return;
    }
    let server = Server::start(&["--rate", "0", "--history", "5000"]);
    let proxy = Proxy::start(server.port);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("lobby.log");
    let mut bob = server.in_room("bob", "#lobby");
    let mut want = Vec::new();
    let _logger = Running::bot(LOGGER, proxy.port(), &[path.to_str().unwrap()]);
    bob.until("#lobby * logger joined");
    chatter(&mut bob, 1, 10, "while it is there", &mut want);
    log_is(&path, &want);
    // In the middle of a line, and of a letter.
    proxy.limit(usize::MAX, proxy.bytes().1 + "#lobby [11@2026-11-22T14:30:00.123Z] <bob> ä".len() - 1);
    chatter(&mut bob, 11, 1, "äöü", &mut want);
    eventually("half of it has passed", || proxy.down().contains("[11@"));
    proxy.cut(Cut::Close);
    proxy.limit(usize::MAX, usize::MAX);
    bob.until_starting("#lobby * logger ");
    chatter(&mut bob, 12, 1099, "while it is cut off", &mut want);
    bob.until("#lobby * logger joined");
    chatter(&mut bob, 1111, 10, "while it is back", &mut want);
    log_is(&path, &want);
}

#[test]
fn the_logger_catches_up_with_what_the_server_left_out() {
    if !can_run() {
        return;
    }
    let server = Server::start(&["--rate", "0", "--history", "20000"]);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("lobby.log");
    let mut bob = server.in_room("bob", "#lobby");
    let proxy = Proxy::start(server.port);
    let mut want = Vec::new();
    let _logger = Running::bot(LOGGER, proxy.port(), &[path.to_str().unwrap()]);
    bob.until("#lobby * logger joined");
    chatter(&mut bob, 1, 10, "while it is there", &mut want);
    log_is(&path, &want);
    // It takes nothing for a while, in which more is said than any queue holds.
    proxy.limit(usize::MAX, 0);
    chatter(&mut bob, 11, 5000, &"a long story".repeat(250), &mut want);
    proxy.limit(usize::MAX, usize::MAX);
    eventually("it is told", || proxy.down().contains(" * logger missed "));
    chatter(&mut bob, 5011, 10, "while it catches up", &mut want);
    log_is(&path, &want);
}

/// A logger whose server is replaced by one that knows nothing, where so many things have been said before it comes back.
fn counted_anew(meanwhile: u64) {
    let server = Server::start(&["--rate", "0"]);
    let proxy = Proxy::start(server.port);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("lobby.log");
    let mut bob = server.in_room("bob", "#lobby");
    let mut want = Vec::new();
    let _logger = Running::bot(LOGGER, proxy.port(), &[path.to_str().unwrap()]);
    bob.until("#lobby * logger joined");
    chatter(&mut bob, 1, 20, "on the old server", &mut want);
    log_is(&path, &want);
    let other = Server::start(&["--rate", "0"]);
    proxy.lead_to(other.port);
    let mut bob = other.in_room("bob", "#lobby");
    chatter(&mut bob, 1, meanwhile, "on the new server", &mut want);
    drop(server);
    bob.until("#lobby * logger joined");
    chatter(&mut bob, meanwhile + 1, 5, "while it is back", &mut want);
    log_is(&path, &want);
}

#[test]
fn the_logger_sees_that_its_number_is_gone() {
    if !can_run() {
        return;
    }
    counted_anew(3);
}

#[test]
fn the_logger_sees_that_its_number_has_not_been_reached_by_one() {
    if !can_run() {
        return;
    }
    counted_anew(19);
}

#[test]
fn the_logger_sees_that_its_number_means_another_message() {
    if !can_run() {
        return;
    }
    counted_anew(50);
}

/// A server that keeps what it is told in `dir`.
fn keeping(dir: &Path) -> Server {
    Server::start(&["--data", dir.to_str().unwrap(), "--rate", "0"])
}

/// Has these be the owners of their names, and gives the token of each.
fn owned<const N: usize>(server: &Server, nicks: [&str; N]) -> [String; N] {
    nicks.map(|nick| {
        let mut client = server.person(nick);
        client.ask("/register correct-horse", &format!("+ register {nick}"));
        client.send("/token");
        let token = client.starting("+ token ").split_off("+ token ".len());
        client.send("/quit");
        client.until("+ quit");
        token
    })
}

#[test]
fn bots_have_names_of_their_own_and_come_back_to_a_server_that_was_killed() {
    if !can_run() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let [data, log, file] = ["data", "lobby.log", "guide.pdf"].map(|name| folder.path().join(name));
    fs::write(&file, "hi").unwrap();
    let server = keeping(&data);
    let [dice, logger, greeter] = owned(&server, ["dice", "logger", "greeter"]);
    let proxy = Proxy::start(server.port);
    let mut bob = server.in_room("bob", "#lobby");
    let mut want = Vec::new();
    let _bots = [
        Running::named(DICE, proxy.port(), &[], &dice),
        Running::named(LOGGER, proxy.port(), &[log.to_str().unwrap()], &logger),
        Running::named(GREETER, proxy.port(), &[file.to_str().unwrap()], &greeter),
    ];
    let all_are_in = |bob: &mut Client| {
        let mut missing = HashSet::from(["dice", "logger", "greeter"]);
        while !missing.is_empty() {
            let line = bob.line().unwrap();
            missing.retain(|nick| line != format!("#lobby * {nick} joined"));
        }
    };
    all_are_in(&mut bob);
    chatter(&mut bob, 1, 3, "before the restart", &mut want);
    log_is(&log, &want);
    // `kill -9`, of which nobody is told but by the end of the connections.
    drop(server);
    let server = keeping(&data);
    let mut bob = server.in_room("bob", "#lobby");
    proxy.lead_to(server.port);
    let start = Instant::now();
    all_are_in(&mut bob);
    assert!(start.elapsed() < Duration::from_secs(10), "{:?}", start.elapsed());
    chatter(&mut bob, 4, 3, "after it", &mut want);
    log_is(&log, &want);
    bob.send("/account dice");
    bob.until("+ account dice owned");
    bob.send("!roll d6");
    add_up(&rolled(&mut bob, "#lobby", "dice", "bob"), "d6", 1, 6, 0);
}

#[test]
fn a_bot_whose_token_is_no_good_says_so_and_ends() {
    if !can_run() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let server = keeping(&folder.path().join("data"));
    owned(&server, ["dice", "logger", "greeter", "guard"]);
    let path = folder.path().join("file");
    fs::write(&path, "").unwrap();
    let port = server.port.to_string();
    for (name, rest) in [(DICE, None), (LOGGER, Some(&path)), (GREETER, Some(&path)), (GUARD, Some(&path))] {
        let rest = rest.map(|path| path.to_str().unwrap());
        let arguments = ["127.0.0.1", &port, "#lobby"].into_iter().chain(rest).collect::<Vec<_>>();
        let output = run_with(folder.path(), name, &arguments, &[("CHINWAG_TOKEN", "wrong")]);
        assert!(bad(&output, 1).contains("login refused "), "{name}");
    }
}

#[test]
fn the_logger_writes_nothing_twice_when_the_server_has_lost_what_was_said_last() {
    if !can_run() {
        return;
    }
    for lost in [5, 12] {
        let folder = tempfile::tempdir().unwrap();
        let [data, log] = ["data", "lobby.log"].map(|name| folder.path().join(name));
        let server = keeping(&data);
        let mut bob = server.in_room("bob", "#lobby");
        let mut want = Vec::new();
        chatter(&mut bob, 1, 300, "said and kept", &mut want);
        let proxy = Proxy::start(server.port);
        let _logger = Running::bot(LOGGER, proxy.port(), &[log.to_str().unwrap()]);
        log_is(&log, &want);
        drop(server);
        // As after a loss of power: the last lines are not on the disk, and others get their numbers.
        let room = data.join("rooms/lobby.log");
        let text = fs::read_to_string(&room).unwrap();
        let kept = text.lines().count() - lost;
        fs::write(&room, text.split_inclusive('\n').take(kept).collect::<String>()).unwrap();
        let server = keeping(&data);
        let mut bob = server.in_room("bob", "#lobby");
        // Fewer than were lost, so that the number of the last is not reached, and then more.
        chatter(&mut bob, 301 - lost as u64, 8, "said anew", &mut want);
        proxy.lead_to(server.port);
        bob.until("#lobby * logger joined");
        chatter(&mut bob, 309 - lost as u64, 3, "while it is back", &mut want);
        log_is(&log, &want);
    }
}

#[test]
fn the_guard_warns_then_mutes_then_bans() {
    if !can_run() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let [data, words] = ["data", "words"].map(|name| folder.path().join(name));
    fs::write(&words, "darn\nheck\n").unwrap();
    let server = keeping(&data);
    let [guard, _alice] = owned(&server, ["guard", "alice"]);
    let proxy = Proxy::start(server.port);
    let mut alice = server.connect();
    alice.send("/set presence off\n/login alice correct-horse\n/join #lobby");
    alice.until("+ join #lobby 1");
    let _bot = Running::named(GUARD, proxy.port(), &[words.to_str().unwrap()], &guard);
    alice.until("#lobby * guard joined");
    alice.ask("/op guard", "+ op #lobby guard");
    let mut mallory = server.in_room("mallory", "#lobby");
    alice.until("#lobby * mallory joined");
    // A word within others is none of them, and neither is one of an op.
    mallory.send("checks\nwhat the Heck");
    mallory.until("@guard <guard> mind your words, or you will be muted");
    alice.until("#lobby <mallory> what the Heck");
    alice.until("#lobby * guard erased 2 2");
    alice.send("heck");
    mallory.send("\n".repeat(6).replace('\n', "again\n").trim_end());
    alice.until("#lobby * guard muted guest:mallory 600 slow down");
    alice.ask("/unban 1", "+ unban #lobby 1");
    mallory.until("#lobby * alice unmuted guest:mallory");
    mallory.send("darn");
    alice.until("#lobby * guard banned guest:mallory 86400 mind your words");
    mallory.until("#lobby * guard banned guest:mallory 86400 mind your words");
    // A pardon has it begin anew, and a rename does not.
    let mut eve = server.in_room("eve", "#lobby");
    eve.send("darn");
    eve.until("@guard <guard> mind your words, or you will be muted");
    alice.send("!pardon eve");
    alice.settle();
    eve.send("darn");
    eve.until("@guard <guard> mind your words, or you will be muted");
    eve.ask("/nick eva", "+ nick eva");
    alice.until("#lobby * eve renamed eva");
    eve.send("darn");
    alice.until_starting("#lobby * guard muted guest:eva 600");
    // It is an op after a restart too, by its name, once that has been written down.
    let ledger = || fs::read_to_string(data.join("ledger")).unwrap();
    eventually("the rank is written down", || ledger().contains("role #lobby guard op"));
    drop(server);
    let server = keeping(&data);
    let mut carol = server.in_room("carol", "#lobby");
    proxy.lead_to(server.port);
    carol.until("#lobby * guard joined");
    carol.settle();
    carol.send("darn");
    carol.until_starting("@guard <guard> mind your words");
    carol.send("darn");
    carol.until_starting("#lobby * guard muted guest:carol 600 ");
}

#[test]
fn the_greeter_greets_and_hands_out_its_file() {
    if !can_run() {
        return;
    }
    let server = Server::start(&[]);
    let proxy = Proxy::start(server.port);
    let folder = tempfile::tempdir().unwrap();
    let bytes = noise(1_000_001, 1);
    fs::write(folder.path().join("guide.pdf"), &bytes).unwrap();
    fs::create_dir(folder.path().join("got")).unwrap();
    let mut bob = server.in_room("bob", "#lobby");
    let bot = Running::bot(GREETER, proxy.port(), &[folder.path().join("guide.pdf").to_str().unwrap()]);
    bob.until("#lobby * greeter joined");
    bob.until("#lobby * greeter file 1 1000001 guide.pdf");
    let mut carol = server.in_room("carol", "#lobby");
    carol.until("@greeter <greeter> welcome to #lobby, carol! guide.pdf is for you: /get 1");
    assert!(bob.settle().iter().all(|line| !line.contains("<greeter>")), "it greets in private");
    bob.send("!file");
    bob.until("@greeter <greeter> welcome to #lobby, bob! guide.pdf is for you: /get 1");
    carol.send("/msg greeter !file");
    carol.until("@greeter <greeter> welcome to #lobby, carol! guide.pdf is for you: /get 1");
    let got = good(&run(folder.path(), GET, &["-j", "#lobby", "-d", "got", &server.address(), "1"]));
    assert_eq!(got, "got/guide.pdf");
    assert!(fs::read(folder.path().join(got)).unwrap() == bytes);

    // When it comes back, the file is still there, and is not shared twice.
    proxy.cut(Cut::Close);
    let lines = bob.until("#lobby * greeter joined");
    assert!(lines.iter().any(|line| line.starts_with("#lobby * greeter lost") || line == "#lobby * greeter quit"));
    bob.send("!file");
    let lines = bob.until("@greeter <greeter> welcome to #lobby, bob! guide.pdf is for you: /get 1");
    assert!(lines.iter().all(|line| !line.contains(" file ")), "{lines:?}");

    // A server that knows nothing of it gets it anew.
    let other = Server::start(&[]);
    let mut bob = other.in_room("bob", "#lobby");
    other.person("dave").ask("/send bob 0 nothing", "+ send 1 0");
    proxy.lead_to(other.port);
    proxy.cut(Cut::Close);
    bob.until("#lobby * greeter file 2 1000001 guide.pdf");
    other.in_room("erin", "#lobby").until("@greeter <greeter> welcome to #lobby, erin! guide.pdf is for you: /get 2");
    bot.kill();
    bob.until_starting("#lobby * greeter ");
}

#[test]
fn bots_find_a_name_and_a_password_and_say_why_they_were_cut_off() {
    if !can_run() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let (secret, file, log) = (folder.path().join("secret"), folder.path().join("file"), folder.path().join("log"));
    fs::write(&secret, "open sesame\n").unwrap();
    fs::write(&file, "read me").unwrap();
    let server = Server::start(&["--password-file", secret.to_str().unwrap()]);
    let mut bob = server.connect_raw();
    bob.send("/pass open sesame\n/nick bob\n/set presence off\n/join #lobby");
    bob.until("+ join #lobby 1");
    let port = server.port.to_string();
    let mut bots = Vec::new();
    for (name, nick, with) in [(DICE, "dice", None), (LOGGER, "logger", Some(&log)), (GREETER, "greeter", Some(&file))]
    {
        let mut other = server.connect_raw();
        other.send(&format!("/pass open sesame\n/nick {nick}"));
        other.until(&format!("+ nick {nick}"));
        let mut command = Command::new(script(name));
        command.args(["127.0.0.1", &port, "#lobby"]).args(with).env("CHINWAG_PASSWORD", "open sesame");
        bots.push(Running(command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap()));
        let lines = bob.until_starting(&format!("#lobby * guest1 renamed {nick}"));
        assert!(lines.iter().any(|line| line == "#lobby * guest1 joined"));
    }
    bob.send("!file");
    bob.until_starting("@greeter");
    server.signal("TERM");
    for bot in &mut bots {
        let lines = BufReader::new(bot.0.stderr.take().unwrap()).lines();
        assert!(lines.map_while(Result::ok).any(|line| line.contains("shutdown")));
    }
    // Without the password there is no point in going on.
    let server = Server::start(&["--password-file", secret.to_str().unwrap()]);
    let port = server.port.to_string();
    for (name, with) in [(DICE, None), (LOGGER, log.to_str()), (GREETER, file.to_str())] {
        let arguments: Vec<&str> = ["127.0.0.1", &port, "#lobby"].into_iter().chain(with).collect();
        let output = run_with(folder.path(), name, &arguments, &[("CHINWAG_PASSWORD", "wrong")]);
        assert!(bad(&output, 1).contains("refused"), "{name}");
    }
}

/// A folder with a file `cat.png` of so many bytes, and a folder `got` in it.
fn with_file(len: usize) -> (tempfile::TempDir, Vec<u8>) {
    let folder = tempfile::tempdir().unwrap();
    let bytes = noise(len, 2);
    fs::write(folder.path().join("cat.png"), &bytes).unwrap();
    fs::create_dir(folder.path().join("got")).unwrap();
    (folder, bytes)
}

#[test]
fn a_file_is_sent_and_fetched_whole() {
    if !can_run() {
        return;
    }
    let server = Server::start(&[]);
    let (folder, bytes) = with_file(5_000_003);
    let mut bob = server.in_room("bob", "#lobby");
    let at = server.address();
    for (count, (name, bytes)) in
        [("cat.png", &bytes[..]), ("-n a dog's \\ photo\n", b"!"), ("empty", b""), ("exact", &bytes[..49152])]
            .iter()
            .enumerate()
    {
        let path = folder.path().join(name);
        fs::write(&path, bytes).unwrap();
        let id = good(&run(folder.path(), SEND, &["-n", "alice", &at, "#lobby", path.to_str().unwrap()]));
        assert_eq!(id, (count + 1).to_string());
        let shown = name.replace(['\\', '\n'], "_");
        bob.until("#lobby * alice joined");
        bob.expect(&format!("#lobby * alice file {id} {} {shown}", bytes.len()));
        bob.expect("#lobby * alice quit");
        let got = good(&run(folder.path(), GET, &["-j", "#lobby", "-n", "carol", "-d", "got", &at, &id]));
        assert!(fs::read(folder.path().join(&got)).unwrap() == *bytes, "{got}");
        bob.until("#lobby * carol quit");
    }
    let mut names: Vec<_> = fs::read_dir(folder.path().join("got"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    assert_eq!(names, ["_-n a dog's _ photo_", "cat.png", "empty", "exact"]);
}

#[test]
fn a_file_is_sent_to_one_person() {
    if !can_run() {
        return;
    }
    let server = Server::start(&[]);
    let (folder, bytes) = with_file(100_000);
    let mut bob = server.in_room("bob", "#lobby");
    assert_eq!(good(&run(folder.path(), SEND, &["-n", "alice", &server.address(), "bob", "cat.png"])), "1");
    bob.expect("@alice * alice file 1 100000 cat.png");
    bob.send("/get 1");
    let lines = bob.until_starting("=1 . 100000 ");
    assert!(lines.len() > 100_000 / 12_288 && bytes.len() == 100_000);
    let words = bad(&run(folder.path(), GET, &["-j", "#lobby", &server.address(), "1"]), 1);
    assert!(words.contains("no-such-file"), "{words}");
}

#[test]
fn a_password_is_sent_where_one_is_wanted() {
    if !can_run() {
        return;
    }
    let (folder, bytes) = with_file(10_000);
    fs::write(folder.path().join("secret"), "open sesame\n").unwrap();
    let server = Server::start(&["--password-file", folder.path().join("secret").to_str().unwrap()]);
    let at = server.address();
    let known = [("CHINWAG_PASSWORD", "open sesame")];
    let send = [&at, "#lobby", "cat.png"];
    let get = ["-j", "#lobby", "-d", "got", &at, "1"];
    assert_eq!(good(&run_with(folder.path(), SEND, &send, &known)), "1");
    assert_eq!(good(&run_with(folder.path(), GET, &get, &known)), "got/cat.png");
    assert!(fs::read(folder.path().join("got/cat.png")).unwrap() == bytes);
    assert!(bad(&run_with(folder.path(), SEND, &send, &[("CHINWAG_PASSWORD", "wrong")]), 1).contains("pass refused"));
    assert!(!run(folder.path(), GET, &get).status.success());
}

/// A server that has one file, 7, of five bytes, and takes one. Before each of its answers come others, which nobody has asked for.
fn garrulous() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let whole = format!("=8 . 9 {0}\n=7 . 5 {0}\n", digest(b"hello"));
    thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let lines = BufReader::new(stream.try_clone().unwrap()).lines();
        stream.write_all(b"+ ping 1\n* hello guest1 chinwag/0.2.0 1 online; hello\n").unwrap();
        for line in lines.map_while(Result::ok) {
            let answer = match line.split(' ').next().unwrap() {
                "/files" => {
                    "- 8 9 bob #a 0s ready bye\n- 7 5 bob #a 0s ready hello\n- 9 5 bob #a 0s ready x\n+ files 3\n"
                        .into()
                }
                "/get" => format!("+ get 7 0 5 hello\n=8 eA==\n=7 aGVsbG8=\n{whole}"),
                "/send" => "+ send 7 0\n".to_owned(),
                "=aGVsbG8=" => whole.clone(),
                _ => format!("+ {}\n", &line[1..]),
            };
            let stray = "+ ping 2\n+ who 1 1\n! topic usage it is /topic\n#a <bob> + send 9 0\n";
            if stream.write_all(format!("{stray}{answer}").as_bytes()).is_err() {
                break;
            }
        }
    });
    port
}

#[test]
fn what_answers_nothing_that_was_asked_is_taken_for_no_answer() {
    if !can_run() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("hello"), "hello").unwrap();
    let at = || format!("127.0.0.1:{}", garrulous());
    assert_eq!(good(&run(folder.path(), SEND, &["-n", "alice", &at(), "#a", "hello"])), "7");
    assert_eq!(good(&run(folder.path(), GET, &["-n", "alice", "-j", "#a", "-d", "got", &at(), "7"])), "got/hello");
    assert_eq!(fs::read(folder.path().join("got/hello")).unwrap(), b"hello");
}

#[test]
fn what_the_server_refuses_is_said() {
    if !can_run() {
        return;
    }
    let server = Server::start(&["--max-file", "1K"]);
    let (folder, _) = with_file(1025);
    let _bob = server.in_room("bob", "#lobby");
    let at = server.address();
    let send = |arguments: &[&str]| bad(&run(folder.path(), SEND, arguments), 1);
    assert!(send(&[&at, "#lobby", "cat.png"]).contains("send too-big "));
    assert!(send(&[&at, "nobody", "cat.png"]).contains("send no-such-nick "));
    assert!(send(&["-n", "bob", &at, "#lobby", "cat.png"]).contains("nick taken "));
    assert!(send(&[&at, "#no/room", "cat.png"]).contains("join bad-name "));
    assert!(send(&[&at, "#lobby", "no-file"]).contains("no-file"));
    assert!(send(&[&at, "#lobby", "got"]).contains("got"));
    assert!(send(&["127.0.0.1:1", "#lobby", "cat.png"]).contains("no connection"));
    let get = |arguments: &[&str]| bad(&run(folder.path(), GET, arguments), 1);
    assert!(get(&["-j", "#lobby", &at, "7"]).contains("get no-such-file "));
    assert!(get(&["-n", "bob", &at, "7"]).contains("nick taken "));
    assert!(get(&["-d", "nowhere", &at, "7"]).contains("get no-such-file "));
    assert!(!folder.path().join("nowhere").exists());
    assert!(get(&["127.0.0.1:1", "7"]).contains("no connection"));
    for id in ["", "x", "1x", "-1", "../1", "0"] {
        assert!(bad(&run(folder.path(), GET, &[&at, id]), 2).contains("usage: "), "{id}");
    }
}

/// An upload that is cut off in the middle of a line, so many characters after the last four that belong together.
fn upload_cut(odd: usize) {
    let server = Server::start(&[]);
    let proxy = Proxy::start(server.port);
    let (folder, bytes) = with_file(3_000_000);
    let path = folder.path().join("cat.png");
    let mut bob = server.in_room("bob", "#lobby");
    let digest = good(&Command::new("sha256sum").arg(&path).output().unwrap())[..64].to_owned();
    let before =
        format!("/nick alice\n/set presence off\n/join #lobby\n/send #lobby 3000000 sha256:{digest} cat.png\n");
    let limit = before.len() + 20 * 65_538 + 1 + 30_000 + odd;
    proxy.limit(limit, usize::MAX);
    let sender = Running::start(SEND, &["-n", "alice", &proxy.address(), "#lobby", path.to_str().unwrap()]);
    bob.until("#lobby * alice file 1 3000000 cat.png");
    eventually("it has come so far", || proxy.bytes().0 == limit);
    sender.signal("TERM");
    proxy.cut(Cut::Close);
    bob.until_starting("#lobby * alice unfile 1 ");
    bob.until_starting("#lobby * alice ");
    drop(sender);
    proxy.limit(usize::MAX, usize::MAX);
    let from = proxy.bytes().1;
    let send = ["-n", "alice", &proxy.address(), "#lobby", "cat.png"];
    assert_eq!(good(&run(folder.path(), SEND, &send)), "1");
    bob.until("#lobby * alice file 1 3000000 cat.png");
    let heard = proxy.down()[from..].to_owned();
    let offset: usize = after(&heard, "+ send 1 ").unwrap().parse().unwrap();
    assert!((20 * 49_152..=20 * 49_152 + 22_500).contains(&offset), "{offset}");
    let sent = proxy.bytes().0 - limit;
    assert!(sent < (3_000_000 - offset) * 4 / 3 + 1000, "{sent} bytes for what came after {offset}");
    let got = good(&run(folder.path(), GET, &["-j", "#lobby", "-d", "got", &server.address(), "1"]));
    assert!(fs::read(folder.path().join(got)).unwrap() == bytes);
}

#[test]
fn a_broken_off_upload_goes_on() {
    if !can_run() {
        return;
    }
    upload_cut(0);
}

#[test]
fn an_upload_that_broke_off_anywhere_goes_on() {
    if !can_run() {
        return;
    }
    for odd in 1..4 {
        upload_cut(odd);
    }
}

/// What the part of file 1 of this server is called.
fn part_of(name: &str, address: &str, size: usize) -> String {
    let digest = digest(format!("{address} 1 {size} {name}").as_bytes());
    format!("{name}.1-{}.part", &digest[7..19])
}

#[test]
fn a_broken_off_download_goes_on() {
    if !can_run() {
        return;
    }
    let server = Server::start(&[]);
    let (folder, bytes) = with_file(3_000_000);
    assert_eq!(good(&run(folder.path(), SEND, &[&server.address(), "#lobby", "cat.png"])), "1");
    let proxy = Proxy::start(server.port);
    let part = folder.path().join("got").join(part_of("cat.png", &proxy.address(), 3_000_000));
    let held = || fs::metadata(&part).map_or(0, |part| part.len());
    let (mut up, mut down) = (0, 0);
    // First it is cut, then killed, then something else has shortened the part.
    for (turn, limit) in [1_000_000, 1_000_000, usize::MAX / 2].into_iter().enumerate() {
        proxy.limit(usize::MAX, down + limit);
        let had = held();
        let get = ["-j", "#lobby", "-d", folder.path().join("got").to_str().unwrap(), &proxy.address(), "1"]
            .map(str::to_owned);
        let mut getter = Running::start(GET, &get);
        if turn == 2 {
            assert!(getter.0.wait().unwrap().success());
        } else {
            eventually("some of it is there", || held() > had + 500_000);
            if turn == 0 {
                proxy.cut(Cut::Close)
            } else {
                getter.signal("TERM")
            }
            assert_eq!(getter.0.wait().unwrap().code(), Some(if turn == 0 { 1 } else { 143 }));
            assert!(held() > had + 500_000);
        }
        let asked = proxy.up()[up..].to_owned();
        let offset: u64 = after(&asked, "/get 1 ").unwrap().parse().unwrap();
        assert_eq!(offset, had / 12_288 * 12_288, "{asked}");
        assert!(turn == 0 || proxy.bytes().1 - down < (3_000_000 - offset as usize) * 4 / 3 + 10_000);
        (up, down) = proxy.bytes();
        if turn == 1 {
            fs::OpenOptions::new().write(true).open(&part).unwrap().set_len(held() - 5).unwrap();
        }
    }
    assert!(fs::read(folder.path().join("got/cat.png")).unwrap() == bytes);
    assert!(!part.exists());
}

#[test]
fn a_part_that_is_whole_needs_only_its_digest() {
    if !can_run() {
        return;
    }
    let server = Server::start(&[]);
    let (folder, bytes) = with_file(100_000);
    assert_eq!(good(&run(folder.path(), SEND, &[&server.address(), "#lobby", "cat.png"])), "1");
    fs::write(folder.path().join("got").join(part_of("cat.png", &server.address(), 100_000)), &bytes).unwrap();
    good(&run(folder.path(), GET, &["-j", "#lobby", "-d", "got", &server.address(), "1"]));
    assert!(fs::read(folder.path().join("got/cat.png")).unwrap() == bytes);
}

#[test]
fn a_part_that_was_changed_is_noticed() {
    if !can_run() {
        return;
    }
    let server = Server::start(&[]);
    let (folder, mut bytes) = with_file(100_000);
    assert_eq!(good(&run(folder.path(), SEND, &[&server.address(), "#lobby", "cat.png"])), "1");
    let part = folder.path().join("got").join(part_of("cat.png", &server.address(), 100_000));
    let get = || run(folder.path(), GET, &["-j", "#lobby", "-d", "got", &server.address(), "1"]);
    bytes[7] ^= 1;
    fs::write(&part, &bytes[..50_000]).unwrap();
    assert!(bad(&get(), 1).contains("digest"));
    assert!(!part.exists() && !folder.path().join("got/cat.png").exists());
    fs::write(&part, vec![0; 100_001]).unwrap();
    assert!(bad(&get(), 1).contains("longer"));
    fs::remove_file(&part).unwrap();
    assert_eq!(good(&get()), "got/cat.png");
}

#[test]
fn nothing_else_is_ever_written_over() {
    if !can_run() {
        return;
    }
    let server = Server::start(&[]);
    let (folder, bytes) = with_file(100_000);
    assert_eq!(good(&run(folder.path(), SEND, &[&server.address(), "#lobby", "cat.png"])), "1");
    let part = format!("got/{}", part_of("cat.png", &server.address(), 100_000));
    let [path, part, precious] = ["got/cat.png", &part, "precious"].map(|name| folder.path().join(name));
    // The beginning of the very file, and of its very name, is the user's own all the same.
    let own = folder.path().join("got/cat.png.part");
    fs::write(&own, &bytes[..50_000]).unwrap();
    let get = || run(folder.path(), GET, &["-j", "#lobby", "-d", "got", &server.address(), "1"]);
    fs::write(&path, "mine").unwrap();
    assert!(bad(&get(), 1).contains("there already"));
    assert_eq!(fs::read(&path).unwrap(), b"mine");
    fs::remove_file(&path).unwrap();
    fs::write(&precious, "mine").unwrap();
    for place in [&path, &part] {
        for to in [&precious, &folder.path().join("nowhere")] {
            symlink(to, place).unwrap();
            bad(&get(), 1);
            fs::remove_file(place).unwrap();
        }
        fs::create_dir(place).unwrap();
        bad(&get(), 1);
        fs::remove_dir(place).unwrap();
    }
    assert_eq!(fs::read(&precious).unwrap(), b"mine");
    assert!(!folder.path().join("nowhere").exists());
    good(&get());
    assert!(fs::read(&path).unwrap() == bytes);
    assert!(fs::read(&own).unwrap() == bytes[..50_000]);
}

/// A server that has one file for everybody, and calls it what it likes.
fn impostor(name: &str) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let name = name.to_owned();
    thread::spawn(move || {
        let (stream, _) = listener.accept().unwrap();
        let say = |text: &str| (&stream).write_all(text.as_bytes()).unwrap();
        say("* hello guest1 chinwag/0.2.0 1 online\n");
        for line in BufReader::new(&stream).lines().map_while(Result::ok) {
            match line.split(' ').next().unwrap() {
                "/files" => say(&format!("- 1 2 eve #lobby 1s ready {name}\n+ files 1\n")),
                "/get" => say(&format!(
                    "+ get 1 0 2 {name}\n=1 aGk=\n=1 . 2 sha256:8f434346648f6b96df89dda901c5176b10a6d83961dd3c1ac88b59b2dc327aa4\n"
                )),
                _ => say("+ set presence off\n"),
            }
        }
    });
    port
}

#[test]
fn no_name_leads_out_of_the_folder() {
    if !can_run() {
        return;
    }
    for (name, becomes) in [
        ("../evil", "evil"),
        ("/etc/evil", "evil"),
        ("..", "_.."),
        (".", "_."),
        ("", "_"),
        ("a/", "_"),
        (".bashrc", "_.bashrc"),
        ("-rf", "_-rf"),
        ("$(touch evil)`touch evil`", "$(touch evil)`touch evil`"),
        ("a\u{1b}[2Jb\tc", "a_[2Jb_c"),
        ("%s%n\\n", "%s%n\\n"),
    ] {
        let (folder, _) = with_file(0);
        let at = format!("127.0.0.1:{}", impostor(name));
        let got = good(&run(folder.path(), GET, &["-d", "got", &at, "1"]));
        assert_eq!(got, format!("got/{becomes}"), "{name:?}");
        assert_eq!(fs::read(folder.path().join(&got)).unwrap(), b"hi");
        let mut all: Vec<_> = fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        all.extend(fs::read_dir(folder.path().join("got")).unwrap().map(|entry| entry.unwrap().file_name()));
        assert_eq!(all.len(), 3, "{name:?} {all:?}");
    }
    let long = "x".repeat(255);
    let (folder, _) = with_file(0);
    let at = format!("127.0.0.1:{}", impostor(&long));
    assert_eq!(good(&run(folder.path(), GET, &["-d", "got", &at, "1"])), format!("got/{}", &long[..250]));
}

#[test]
fn the_bot_of_the_page_answers_and_ends_with_the_server() {
    if !can_run() {
        return;
    }
    let page = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/bots.md")).unwrap();
    let section = page.split_once("\n## A bot\n").unwrap().1;
    let block = section.split_once("```bash\n").unwrap().1.split_once("```").unwrap().0;
    let mut server = Server::start(&[]);
    let mut alice = server.in_room("alice", "#lobby");
    let bot = block.replace("2428", &server.port.to_string());
    let mut bash = Command::new("bash").arg("-c").arg(bot).stdin(Stdio::null()).spawn().unwrap();
    alice.until("#lobby * clock joined");
    alice.send("!time");
    alice.starting("#lobby <clock> it is ");
    server.signal("TERM");
    assert!(alice.rest().last().unwrap().starts_with("* bye "));
    drop(alice);
    eventually("the bot ends", || bash.try_wait().unwrap().is_some());
    assert_eq!(server.wait().0.code(), Some(0));
}
