//! The bots of `scripts/bots/` and the one of the page, run for real.

use std::collections::HashSet;
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Command, Stdio};

use testkit::data::Folder;
use testkit::proxy::{Cut, Proxy};
use testkit::{Client, Server, eventually, noise};

use super::scripts::{DICE, GET, GREETER, GUARD, LOGGER, Running, bad, can_run, good, run, run_with, script};

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

/// What was said last is taken back while the logger is away: as far as its file tells, that is all it knows.
#[test]
fn the_logger_writes_nothing_twice_when_what_it_knows_was_taken_back() {
    if !can_run() {
        return;
    }
    let server = Server::start(&["--rate", "0"]);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("lobby.log");
    let log = path.to_str().unwrap();
    let mut bob = server.in_room("bob", "#lobby");
    let mut want = Vec::new();
    let mut logger = Running::bot(LOGGER, server.port, &[log]);
    bob.until("#lobby * logger joined");
    chatter(&mut bob, 1, 20, "worth reading", &mut want);
    chatter(&mut bob, 21, 60, &"BUY ".repeat(250), &mut want);
    log_is(&path, &want);
    for (last, next) in [(80, "it is back"), (81, "and once more")] {
        logger.kill();
        bob.until_starting("#lobby * logger ");
        bob.send(&format!("/erase 21 {last}"));
        bob.until_starting("+ erase #lobby ");
        let proxy = Proxy::start(server.port);
        logger = Running::bot(LOGGER, proxy.port(), &[log]);
        bob.until("#lobby * logger joined");
        eventually("it has looked around", || proxy.down().matches("+ history #lobby ").count() >= 2);
        chatter(&mut bob, last + 1, 1, next, &mut want);
        log_is(&path, &want);
    }
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
    all_are_in(&mut bob);
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
    // An op is one in another spelling of their name, from the first thing that they say.
    alice.send("/leave\n/nick ALICE\n/join #lobby\ndarn it");
    let mut dan = server.in_room("dan", "#lobby");
    alice.settle();
    dan.send("darn");
    dan.until("@guard <guard> mind your words, or you will be muted");
    assert!(!alice.settle().iter().any(|line| line.starts_with("@guard ")));
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

    // A server that takes no more of it is no end, and one that knows nothing of it gets it anew.
    let full = Server::start(&["--max-file", "1000"]);
    let mut bob = full.in_room("bob", "#lobby");
    proxy.lead_to(full.port);
    proxy.cut(Cut::Close);
    bob.until("#lobby * greeter joined");
    eventually("it is refused", || proxy.down().contains("! send too-big "));
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

/// Writes the bot of the page into a folder, and returns how it is started there, at a port.
fn answers(dir: &Path) -> impl Fn(u16) -> Running {
    let page = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/bots.md")).unwrap();
    let (block, _) = page.split_once("```python\n").unwrap().1.split_once("```").unwrap();
    assert!(block.lines().count() <= 60);
    fs::write(dir.join("answers.py"), block).unwrap();
    move |port| {
        let mut command = Command::new("python3");
        command.args(["answers.py", "127.0.0.1", &port.to_string(), "answers", "state"]).stderr(Stdio::null());
        Running(command.current_dir(dir).spawn().unwrap())
    }
}

/// Waits until the bot of the page is there.
fn await_answers(alice: &mut Client) {
    eventually("it is there", || {
        alice.send("/who answers\n/ping asked");
        alice.until("+ ping asked").iter().any(|line| line.starts_with("+ who 1 "))
    });
}

#[test]
fn the_bot_of_the_page_that_is_killed_leaves_no_private_line_without_an_answer() {
    if !can_run() {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let start = answers(dir.path());
    // The place that the last one knows is not on the next server.
    for _ in 0..2 {
        let server = Server::start(&["--rate", "0"]);
        let mut alice = server.person("alice");
        let mut bot = start(server.port);
        await_answers(&mut alice);
        let mut heard = Vec::new();
        for n in 0..150 {
            if n % 50 == 25 {
                drop(bot);
                alice.send(&format!("/msg answers {n}"));
                heard.extend(alice.until("+ msg answers"));
                bot = start(server.port);
            } else {
                alice.send(&format!("/msg answers {n}"));
            }
            heard.extend(alice.until(&format!("@answers <answers> noted: {n}")));
            heard.push(n.to_string());
        }
        let _bot = bot;
        assert!(!heard.iter().any(|line| line.contains("lost")), "{heard:?}");
    }
}

/// Where the connection had taken no answer any more.
#[test]
fn the_bot_of_the_page_sends_again_what_the_server_has_not_had() {
    if !can_run() {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let start = answers(dir.path());
    let server = Server::start(&[]);
    let proxy = Proxy::start(server.port);
    let mut alice = server.person("alice");
    let bot = start(proxy.port());
    await_answers(&mut alice);
    let lose = |alice: &mut Client, bot: Running, line: &str| {
        proxy.limit(proxy.bytes().0, usize::MAX);
        alice.send(&format!("/msg answers {line}"));
        alice.until("+ msg answers");
        eventually("it has noted that", || {
            fs::read_to_string(dir.path().join("state")).unwrap().contains(&format!("noted: {line}\""))
        });
        proxy.cut(Cut::Reset);
        drop(bot);
        proxy.limit(usize::MAX, usize::MAX);
    };
    lose(&mut alice, bot, "first");
    let bot = start(proxy.port());
    alice.until("@answers <answers> noted: first");
    alice.send("/msg answers second");
    let heard = alice.until("@answers <answers> noted: second");
    assert!(!heard.iter().any(|line| line.ends_with("first")), "{heard:?}");
    eventually("it has the reply", || proxy.down().matches("\n+ msg alice\n").count() == 2);
    lose(&mut alice, bot, "third");
    // Where its place is gone, too.
    let server = Server::start(&[]);
    proxy.lead_to(server.port);
    let mut alice = server.person("alice");
    let _bot = start(proxy.port());
    alice.until("@answers <answers> noted: third");
}
