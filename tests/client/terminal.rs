//! The line client in a terminal, as the person before it sees it and as the server hears it.

use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt as _;
use std::process::Command;
use std::sync::mpsc::{self, Receiver};
use std::thread;
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use rustix::process::{Pid, Signal, kill_process};
use rustix::termios::Termios;
use sha2::{Digest as _, Sha256};
use testkit::disk::faketime;
use testkit::pty::{Emulator, Screen, Speaks, Terminal};
use testkit::{Client, PATIENCE, Server, binary, eventually, have};

use super::hostile::{HARMFUL, sequences};
use super::sharing::{between, png, share};

pub(crate) const EMULATORS: [Emulator; 2] = [Emulator::Reflowing, Emulator::Clipping];

/// The binary, about to go to `server` as alice in the lobby.
pub(crate) fn connect(server: &str, options: &[&str]) -> Command {
    let mut command = Command::new(binary());
    command.args(["connect", "--nick", "alice", "--join", "#lobby"]).args(options).arg(server);
    command
}

/// Alice before her terminal, once she is in.
pub(crate) fn alice(server: &str, options: &[&str], (columns, rows): (u16, u16), emulator: Emulator) -> Terminal {
    let terminal = Terminal::start(&mut connect(server, options), columns, rows, emulator, Speaks::Nothing);
    come_in(&terminal, server);
    terminal
}

/// Waits until she can talk.
pub(crate) fn come_in(terminal: &Terminal, server: &str) {
    terminal.wait_until("alice online", |screen| {
        let status = below(screen);
        status.starts_with(server) && status.contains("· alice ·") && input(screen) == "#lobby>"
    });
}

/// A server without flood control, and Bob in its lobby.
pub(crate) fn lobby() -> (Server, Client) {
    let server = Server::start(&["--rate", "0"]);
    let mut bob = server.in_room("bob", "#lobby");
    // So that he has no mark.
    bob.ask("/deop bob", "+ deop #lobby bob");
    (server, bob)
}

/// The row with the cursor.
pub(crate) fn input(screen: &Screen) -> &str {
    &screen.rows[screen.cursor.0]
}

/// The row below the cursor.
pub(crate) fn below(screen: &Screen) -> &str {
    screen.rows.get(screen.cursor.0 + 1).map_or("", String::as_str)
}

/// Waits until the input row shows this.
#[track_caller]
pub(crate) fn typed(terminal: &Terminal, row: &str) -> Screen {
    terminal.wait_until(&format!("the input row {row:?}"), |screen| input(screen) == row)
}

/// Types a line and sends it. Lines that come at once would be a paste.
#[track_caller]
pub(crate) fn enter(terminal: &Terminal, line: &str) {
    let end = &line[line.len().saturating_sub(8)..];
    let stands = |screen: &Screen| input(screen).ends_with(end);
    terminal.keys(line);
    terminal.wait_until(line, stands);
    terminal.keys("\r");
    terminal.wait_until("the line taken", |screen| !stands(screen));
}

/// Waits until this stands in a line above the input row, or in one that has left the screen.
#[track_caller]
pub(crate) fn told(terminal: &Terminal, text: &str) -> Screen {
    let stands = |screen: &Screen| screen.unbroken().iter().any(|line| line.contains(text));
    terminal.wait_until(&format!("a line with {text:?}"), stands)
}

pub(crate) fn contains(raw: &[u8], text: &str) -> bool {
    raw.windows(text.len()).any(|window| window == text.as_bytes())
}

/// What of the modes a program may change.
pub(crate) fn local_modes(modes: &Termios) -> String {
    format!("{:?} {:?} {:?} {:?}", modes.input_modes, modes.output_modes, modes.control_modes, modes.local_modes)
}

#[test]
fn it_leaves_the_terminal_as_it_was() {
    for emulator in EMULATORS {
        // Nothing of an earlier run is in the history of the room.
        let (server, mut bob) = lobby();
        let address = server.address();
        let script = "printf ready; read x; \"$0\" connect --nick alice --join '#lobby' $1; echo \"gone $?\"; read x";
        let mut command = Command::new("bash");
        command.args(["-c", script, binary(), &address]);
        let terminal = Terminal::start(&mut command, 60, 10, emulator, Speaks::Nothing);
        terminal.wait_until("ready", |screen| input(screen) == "ready");
        let before = local_modes(&terminal.modes());
        terminal.keys("\n");
        come_in(&terminal, &address);
        assert_ne!(local_modes(&terminal.modes()), before);
        bob.send("hello");
        terminal.keys("x\x7f");
        told(&terminal, "<bob> hello");
        typed(&terminal, "#lobby>");
        terminal.keys("\x04");
        let screen = told(&terminal, "gone 0");
        assert_eq!(local_modes(&terminal.modes()), before);
        assert_eq!((screen.rows[screen.cursor.0 - 1].as_str(), screen.cursor.1), ("gone 0", 0));
        assert!(!screen.lines.iter().any(|line| line.contains("#lobby>") || line.contains("online")), "{screen}");
        assert!(contains(&terminal.raw(), "\x1b[?2004l"));
        bob.until("#lobby * alice quit");
    }
}

#[test]
fn it_can_be_stopped_and_goes_on() {
    for emulator in EMULATORS {
        let (server, mut bob) = lobby();
        let address = server.address();
        let script =
            "set -m; \"$0\" connect --nick alice --join '#lobby' $1; echo stopped; read x; fg; echo \"gone $?\"";
        let mut command = Command::new("bash");
        command.args(["-c", script, binary(), &address]);
        let mut terminal = Terminal::start(&mut command, 60, 15, emulator, Speaks::Nothing);
        come_in(&terminal, &address);
        terminal.keys("half\x1a");
        let screen = terminal.wait_until("the shell", |screen| screen.rows.iter().any(|row| row == "stopped"));
        assert!(!screen.rows.iter().any(|row| row.contains("half") || row.contains("online")), "{screen}");
        assert!(terminal.modes().local_modes.contains(rustix::termios::LocalModes::ECHO));
        bob.send("are you there");
        bob.settle();
        terminal.keys("\n");
        told(&terminal, "are you there");
        typed(&terminal, "#lobby> half");
        terminal.keys(" done\r");
        bob.until("#lobby <alice> half done");
        terminal.keys("\x04");
        terminal.wait_exit();
        assert_eq!(terminal.screen().lines.last().map(String::as_str), Some("gone 0"));
        bob.until("#lobby * alice quit");
    }
}

#[test]
fn stopped_at_once_it_leaves_nothing_for_the_shell_to_read() {
    for emulator in EMULATORS {
        let (server, _bob) = lobby();
        let script = "set -m; \"$0\" connect --nick alice --join '#lobby' $1; echo stopped; IFS= read -r x; \
            kill -KILL %1; printf 'read <%q>\\n' \"$x\"";
        let mut command = Command::new("bash");
        command.args(["-c", script, binary(), &server.address()]);
        let terminal = Terminal::start(&mut command, 60, 15, emulator, Speaks::Nothing);
        terminal.wait_until_raw("the client", |raw| contains(raw, "\x1b[?2004h"));
        terminal.keys("\x1a");
        terminal.wait_until("the shell", |screen| screen.rows.iter().any(|row| row == "stopped"));
        terminal.keys("mine\n");
        told(&terminal, "read <mine>");
    }
}

#[test]
fn stopped_from_outside_it_goes_on_as_it_was() {
    let (server, mut bob) = lobby();
    let address = server.address();
    // As a shell does, the script sets the terminal for itself meanwhile.
    let script = "set -m; \"$0\" connect --nick alice --join '#lobby' $1; stty sane; echo stopped; read x; fg";
    let mut command = Command::new("bash");
    command.args(["-c", script, binary(), &address]);
    let mut terminal = Terminal::start(&mut command, 60, 15, Emulator::Reflowing, Speaks::Nothing);
    come_in(&terminal, &address);
    let modes = local_modes(&terminal.modes());
    let children = fs::read_to_string(format!("/proc/{0}/task/{0}/children", terminal.pid())).unwrap();
    let client = Pid::from_raw(children.trim().parse().unwrap()).unwrap();
    kill_process(client, Signal::STOP).unwrap();
    told(&terminal, "stopped");
    assert_ne!(local_modes(&terminal.modes()), modes);
    terminal.keys("\n");
    eventually("the client's modes", || local_modes(&terminal.modes()) == modes);
    terminal.keys("here");
    typed(&terminal, "#lobby> here");
    terminal.keys("\r");
    bob.until("#lobby <alice> here");
    typed(&terminal, "#lobby>");
    terminal.keys("\x04");
    terminal.wait_exit();
}

#[test]
fn a_terminal_that_takes_nothing_keeps_nobody_from_ending_it() {
    for signal in [Signal::TERM, Signal::HUP, Signal::INT, Signal::QUIT] {
        let (server, mut bob) = lobby();
        let mut terminal = alice(&server.address(), &[], (60, 15), Emulator::Reflowing);
        terminal.pause();
        for _ in 0..100 {
            bob.send(&"x".repeat(4000));
        }
        bob.settle();
        let client = Pid::from_raw(terminal.pid().try_into().unwrap()).unwrap();
        kill_process(client, signal).unwrap();
        assert!(terminal.wait_exit().success(), "{signal:?}");
    }
}

#[test]
fn who_asks_twice_does_not_wait() {
    let Some(preload) = faketime() else { return };
    let (server, _bob) = lobby();
    // The terminal answers nothing any more, so that once is waited for a second. By the clock of this client, that takes longer
    // than anything is waited for here.
    let mut command = connect(&server.address(), &[]);
    command.env("LD_PRELOAD", preload).env("FAKETIME", "+0 x0.02").env("FAKETIME_DISABLE_SHM", "1");
    let mut terminal = Terminal::start(&mut command, 60, 15, Emulator::Reflowing, Speaks::Nothing);
    come_in(&terminal, &server.address());
    terminal.mute();
    terminal.keys("what has no answer");
    typed(&terminal, "#lobby> what has no answer");
    let client = Pid::from_raw(terminal.pid().try_into().unwrap()).unwrap();
    kill_process(client, Signal::TERM).unwrap();
    // Nothing tells when the first has been heard. Without a pause it would do nothing but hear them.
    let asking = thread::spawn(move || {
        while kill_process(client, Signal::TERM).is_ok() {
            thread::sleep(Duration::from_millis(5));
        }
    });
    assert!(terminal.wait_exit().success());
    asking.join().unwrap();
}

#[test]
fn files_that_others_made_not_to_wait_do_no_harm() {
    if !have(&["python3"]) {
        return;
    }
    let (server, mut bob) = lobby();
    let start = "import os, sys; os.set_blocking(0, False); os.execv(sys.argv[1], sys.argv[1:])";
    let mut command = Command::new("python3");
    command.args(["-c", start, binary(), "connect", "--nick", "alice", "--join", "#lobby", &server.address()]);
    let terminal = Terminal::start(&mut command, 60, 15, Emulator::Reflowing, Speaks::Nothing);
    come_in(&terminal, &server.address());
    for n in 0..500 {
        bob.send(&format!("{n} {}", "x".repeat(2000)));
    }
    bob.send("done");
    told(&terminal, "<bob> done");
    terminal.keys("good\r");
    bob.until("#lobby <alice> good");
}

#[test]
fn the_terminal_is_asked_about_pictures_only_when_one_is_to_be_shown() {
    for (name, value) in [
        ("TMUX", "/tmp/tmux-0/default,1,0"),
        ("STY", "1.x"),
        ("TERM", "screen-256color"),
        ("TERM", "linux"),
        ("TERM", "xterm"),
    ] {
        let (server, mut bob) = lobby();
        let folder = tempfile::tempdir().unwrap();
        let address = server.address();
        let mut command = connect(&address, &["--downloads", folder.path().to_str().unwrap()]);
        let terminal = Terminal::start(command.env(name, value), 100, 30, Emulator::Reflowing, Speaks::Nothing);
        come_in(&terminal, &address);
        let id = share(&mut bob, "cat.png", &png());
        told(&terminal, "shares cat.png");
        let asks = || contains(&terminal.raw(), "\x1b_G") || contains(&terminal.raw(), "\x1b]1337");
        assert!(!asks());
        terminal.keys(format!("/show {id}\r"));
        told(&terminal, &format!("cat.png (/show {id} full shows more of it):"));
        assert_eq!(asks(), value == "xterm", "{name}={value}");
    }
}

#[test]
fn conversations_are_walked_through() {
    let (server, mut bob) = lobby();
    let terminal = alice(&server.address(), &[], (80, 10), Emulator::Reflowing);
    terminal.keys("/join #dev\r");
    typed(&terminal, "#dev>");
    bob.send("/msg #lobby to all\n/msg alice to you");
    terminal.wait_until("what is unread", |screen| below(screen).ends_with("unread #lobby 1 · @bob 1"));
    for (key, row) in [("\x1b[1;3C", "@bob>"), ("\x1b[1;3C", "#lobby>"), ("\x1b[1;3D", "@bob>")] {
        terminal.keys(key);
        typed(&terminal, row);
    }
    terminal.wait_until("nothing unread", |screen| !below(screen).contains("unread"));
    terminal.keys("hello\r");
    bob.until("@alice <alice> hello");
    bob.send("/typing alice");
    terminal.wait_until("typing", |screen| below(screen).ends_with("bob is typing"));
    bob.send("/typing alice off");
    terminal.wait_until("no typing", |screen| !below(screen).contains("typing"));
}

#[test]
fn colours_and_the_bell_can_be_turned_off() {
    for (options, no_color, has_colours, has_bell) in [
        (&[][..], "", true, true),
        (&["--color", "never"], "", false, true),
        (&[], "1", false, true),
        (&["--color", "always", "--bell", "never"], "1", true, false),
    ] {
        let (server, mut bob) = lobby();
        let mut command = connect(&server.address(), options);
        let terminal = Terminal::start(command.env("NO_COLOR", no_color), 80, 10, Emulator::Clipping, Speaks::Nothing);
        come_in(&terminal, &server.address());
        bob.send("hello everybody");
        told(&terminal, "hello everybody");
        assert!(!terminal.raw().contains(&7));
        bob.send("hello alice");
        told(&terminal, "»#lobby <bob> hello alice");
        bob.send("/msg alice psst");
        told(&terminal, "»@bob <bob> psst");
        bob.send("done");
        told(&terminal, "<bob> done");
        let raw = terminal.raw();
        let sgr = sequences(&raw).unwrap().iter().any(|sequence| sequence.ends_with('m'));
        assert_eq!(sgr, has_colours, "{options:?} {no_color:?}");
        let bells = raw.iter().filter(|&&byte| byte == 7).count();
        // At most once a second.
        assert_eq!(bells, usize::from(has_bell), "{options:?}");
    }
}

#[test]
fn the_bell_rings_for_what_is_new_and_not_seen() {
    let (server, mut bob) = lobby();
    bob.send("an old word for alice");
    bob.settle();
    let terminal = alice(&server.address(), &[], (80, 20), Emulator::Reflowing);
    told(&terminal, "an old word for alice");
    let bells = || terminal.raw().iter().filter(|&&byte| byte == 7).count();
    assert_eq!(bells(), 0);
    // The terminal tells whether somebody looks at it.
    terminal.keys("\x1b[Ix");
    typed(&terminal, "#lobby> x");
    bob.send("alice, look");
    told(&terminal, "alice, look");
    assert_eq!(bells(), 0);
    terminal.keys("\x1b[Oy");
    typed(&terminal, "#lobby> xy");
    let since = Instant::now();
    for n in 0..50 {
        bob.send(&format!("alice, {n}"));
    }
    told(&terminal, "alice, 49");
    let most = 1 + usize::try_from(since.elapsed().as_secs()).unwrap();
    assert!((1..=most).contains(&bells()), "{}", bells());
}

#[test]
fn who_looks_elsewhere_is_told_where_the_terminal_can() {
    const TITLE: &str = "\x1b]2;";
    for (variable, value, start) in [
        ("TERM_PROGRAM", "WezTerm", Some("\x1b]9;bob in #lobby: ")),
        ("VTE_VERSION", "7600", Some("\x1b]777;notify;bob in #lobby;")),
        ("TERM_PROGRAM", "unheard of", None),
    ] {
        let fake = Fake::start(BTreeMap::new());
        let mut command = connect(&fake.address, &[]);
        let mut terminal = Terminal::start(command.env(variable, value), 120, 20, Emulator::Reflowing, Speaks::Nothing);
        come_in(&terminal, &fake.address);
        let stream = fake.stream.recv().unwrap();
        let say = |text: &str| {
            Fake::say(&stream, &format!("#lobby <bob> {text}"));
            told(&terminal, text);
        };
        // It is not known whether somebody looks, and then somebody does.
        say("alice, one");
        terminal.keys("\x1b[I");
        say("alice, two");
        let calls = |terminal: &Terminal, what| contains(&terminal.raw(), what);
        assert!(!["\x1b]9;", "\x1b]777;", TITLE].iter().any(|what| calls(&terminal, what)));
        terminal.keys("\x1b[Ox");
        typed(&terminal, "#lobby> x");
        // At most once a second. Sleep: that time is what is tested.
        thread::sleep(Duration::from_millis(1100));
        Fake::say(&stream, &format!("#lobby <bob> alice, {HARMFUL};end"));
        told(&terminal, ";end");
        let raw = String::from_utf8_lossy(&terminal.raw()).into_owned();
        assert!(raw.contains("\x1b[22;2t\x1b]2;(1) bob in #lobby - chinwag\x1b\\"), "{raw:?}");
        if let Some(start) = start {
            let found = between(&raw, start, "\x1b\\");
            assert!(found.len() == 1 && found[0].ends_with(" end") && found[0].starts_with("alice, "), "{found:?}");
            assert!(!found[0].contains(char::is_control), "{found:?}");
        } else {
            assert!(!raw.contains("\x1b]9;") && !raw.contains("\x1b]777;"));
        }
        // Whoever comes back, or goes, finds the title as it was.
        let restored = || terminal.raw().windows(7).filter(|window| window == b"\x1b[23;2t").count();
        terminal.keys("\x1b[Iy");
        typed(&terminal, "#lobby> xy");
        assert_eq!(restored(), 1);
        terminal.keys("\x1b[Oz");
        typed(&terminal, "#lobby> xyz");
        Fake::say(&stream, "#lobby <bob> alice, bye");
        told(&terminal, "alice, bye");
        let client = Pid::from_raw(terminal.pid().try_into().unwrap()).unwrap();
        kill_process(client, Signal::TERM).unwrap();
        terminal.wait_exit();
        assert_eq!(terminal.raw().windows(7).filter(|window| window == b"\x1b[23;2t").count(), 2);
    }
}

#[test]
fn the_day_is_told_where_it_changes() {
    let fake = Fake::start(BTreeMap::new());
    let mut command = connect(&fake.address, &[]);
    let terminal = Terminal::start(command.env("TZ", "UTC"), 80, 24, Emulator::Reflowing, Speaks::Nothing);
    come_in(&terminal, &fake.address);
    let stream = fake.stream.recv().unwrap();
    for (n, time) in ["22T18:26", "22T23:59", "23T00:00", "23T10:00"].iter().enumerate() {
        Fake::say(&stream, &format!("#lobby [{}@2026-11-{time}:00.000Z] <bob> number {n}", n + 5));
    }
    let screen = told(&terminal, "number 3");
    let shown: Vec<&str> = screen.lines.iter().map(String::as_str).collect();
    let from = shown.iter().position(|line| line.ends_with("22 November 2026 —")).expect("the day");
    let wants = [
        "— Sunday, 22 November 2026 —",
        "number 0",
        "number 1",
        "— Monday, 23 November 2026 —",
        "number 2",
        "number 3",
    ];
    for (line, want) in shown[from..].iter().zip(wants) {
        assert!(line.ends_with(want), "{line:?} in the place of {want:?}");
    }
}

#[test]
fn the_status_row_is_drawn_ten_times_a_second_at_most() {
    let fake = Fake::start(BTreeMap::new());
    let terminal = alice(&fake.address, &[], (80, 24), Emulator::Reflowing);
    let stream = fake.stream.recv().unwrap();
    let draws = || terminal.raw().windows(8).filter(|window| window == b"\x1b[?2026h").count();
    let (before, since) = (draws(), Instant::now());
    for n in 0..300 {
        Fake::say(
            &stream,
            &format!("#lobby * {} {}", ["bob", "carol"][n % 2], if n % 4 < 2 { "typing" } else { "idle" }),
        );
        // Each is a turn of its own. Sleep: how often it draws is what is tested.
        thread::sleep(Duration::from_millis(2));
    }
    Fake::say(&stream, "#lobby <bob> done");
    told(&terminal, "<bob> done");
    let most = usize::try_from(since.elapsed().as_millis() / 100).unwrap() + 5;
    assert!(draws() - before <= most, "{} in the place of {most}", draws() - before);
}

#[test]
fn over_mosh_and_in_screen_a_window_of_another_size_loses_no_message() {
    let folder = tempfile::tempdir().unwrap();
    // What leads to the terminal is known by its name.
    for (name, sty, tmux, is_again) in [
        ("mosh-server", "", "", true),
        ("other-server", "", "", false),
        ("screen", "1.x", "", true),
        // One in the other: the inner one decides.
        ("screen", "1.x", "/tmp/tmux-0/default,1,0", true),
        ("tmux: server", "1.x", "/tmp/tmux-0/default,1,0", false),
    ] {
        let (server, mut bob) = lobby();
        let path = folder.path().join(name);
        fs::write(&path, "#!/bin/sh\n\"$@\"\nexit $?\n").unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        let mut command = Command::new(&path);
        let client = connect(&server.address(), &[]);
        command.arg(client.get_program()).args(client.get_args()).env("STY", sty).env("TMUX", tmux);
        let terminal = Terminal::start(&mut command, 60, 20, Emulator::Reflowing, Speaks::Nothing);
        come_in(&terminal, &server.address());
        (0..30).for_each(|n| bob.send(&format!("{name} says {n}")));
        told(&terminal, &format!("{name} says 29"));
        let printed = |raw: &[u8]| String::from_utf8_lossy(raw).matches(&format!("{name} says 29")).count();
        let is_over = |raw: &[u8], seen: usize| printed(raw) == if is_again { seen } else { 1 };
        terminal.resize(60, 12);
        terminal.wait_until_raw("the message again", |raw| is_over(raw, 2));
        typed(&terminal, "#lobby>");
        terminal.keys("\x0cx");
        let screen = typed(&terminal, "#lobby> x");
        assert!(is_over(&terminal.raw(), 3));
        let row = screen.rows.iter().position(|row| row.ends_with(&format!("{name} says 29")));
        // Above the rows of ours, as many are shown as there is room for, and no others.
        assert_eq!(row, is_again.then_some(9), "{screen}");
        terminal.resize(60, 20);
        terminal.wait_until_raw("the message in the larger window", |raw| is_over(raw, 4));
        let screen = typed(&terminal, "#lobby> x");
        let row = screen.rows.iter().position(|row| row.ends_with(&format!("{name} says 29")));
        // Any other terminal brings back by itself what has gone up.
        assert!(row == Some(17) || !is_again, "{screen}");
        terminal.keys("\x15\x04");
        bob.until("#lobby * alice quit");
    }
}

/// A server that answers as it should, notes what it is sent, and says besides what a test has it say.
pub(crate) struct Fake {
    pub(crate) address: String,
    /// The lines that it has got, and when.
    heard: Receiver<(String, Instant)>,
    pub(crate) stream: Receiver<TcpStream>,
}

impl Fake {
    /// Starts one that has these files, by their IDs.
    pub(crate) fn start(files: BTreeMap<u64, (String, Vec<u8>)>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let (hear, heard) = mpsc::channel();
        let (give, stream) = mpsc::channel();
        thread::spawn(move || {
            let Ok((mut stream, _)) = listener.accept() else { return };
            stream.set_nodelay(true).unwrap();
            let _ = give.send(stream.try_clone().unwrap());
            let _ = stream.write_all(b"* hello guest1 fake/1 1 online; hello\n");
            // Far beyond what a test says itself.
            let mut count = 1_000_000_000;
            for line in BufReader::new(stream.try_clone().unwrap()).lines() {
                let Ok(line) = line else { return };
                let answer = Self::answer(&line, &files, &mut count);
                let _ = hear.send((line, Instant::now()));
                // It may be gone meanwhile.
                let _ = stream.write_all(answer.as_bytes());
            }
        });
        Self { address, heard, stream }
    }

    pub(crate) fn answer(line: &str, files: &BTreeMap<u64, (String, Vec<u8>)>, count: &mut usize) -> String {
        let words: Vec<&str> = line.splitn(3, ' ').collect();
        let file = || words.get(1).and_then(|id| Some((id.parse().ok()?, files.get(&id.parse().ok()?)?)));
        match words[0] {
            "/join" => format!("- here alice bob\n+ join {} 2\n", words[1]),
            "/history" => format!("+ history {} 0\n", words[1]),
            "/msg" => {
                *count += 1;
                let stamp = format!("[{count}@2026-11-22T18:26:24.367Z]");
                format!("{} {stamp} <alice> {}\n+ msg {}\n", words[1], words[2], words[1])
            }
            "/files" => {
                let row = |(id, (name, bytes)): (&u64, &(String, Vec<u8>))| {
                    format!("- {id} {} bob #lobby 1s ready {name}\n", bytes.len())
                };
                files.iter().map(row).collect::<String>() + &format!("+ files {}\n", files.len())
            }
            "/get" => {
                let Some((id, (name, bytes))) = file() else { return "! get no-such-file none\n".to_owned() };
                let id: u64 = id;
                let mut answer = format!("+ get {id} 0 {} {name}\n", bytes.len());
                bytes.chunks(12_288).for_each(|piece| answer += &format!("={id} {}\n", BASE64.encode(piece)));
                let digest: String = Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect();
                answer + &format!("={id} . {} sha256:{digest}\n", bytes.len())
            }
            command => format!(
                "+ {}{}\n",
                &command[1..],
                line.split_once(' ').map_or(String::new(), |(_, rest)| format!(" {rest}"))
            ),
        }
    }

    /// Says a line, in one write: what it answers meanwhile must not come in its midst.
    pub(crate) fn say(mut stream: &TcpStream, line: &str) {
        stream.write_all(format!("{line}\n").as_bytes()).unwrap();
    }

    /// The lines of typing and talk that it gets, up to this one.
    #[track_caller]
    fn talk(&self, last: &str) -> Vec<String> {
        let mut lines = Vec::new();
        while lines.last().is_none_or(|line| line != last) {
            let (line, _) = self.heard.recv_timeout(PATIENCE).unwrap_or_else(|_| panic!("{last:?} after {lines:?}"));
            if ["/typing", "/msg", "/query"].iter().any(|command| line.starts_with(command)) {
                lines.push(line);
            }
        }
        lines
    }
}

#[test]
fn typing_is_told_by_itself() {
    let fake = Fake::start(BTreeMap::new());
    let terminal = alice(&fake.address, &[], (60, 10), Emulator::Clipping);
    fake.talk("/query #lobby");
    let type_in = |keys: &str, row: &str| {
        terminal.keys(keys);
        typed(&terminal, format!("#lobby> {row}").trim_end());
    };
    type_in("h", "h");
    type_in("i", "hi");
    type_in("\x03", "");
    // Nothing is told of these.
    type_in("/who", "/who");
    type_in("\x03", "");
    type_in("  ", "");
    type_in("\x03", "");
    type_in("//", "//");
    type_in("\r", "");
    type_in("yes", "yes");
    type_in("\r", "");
    assert_eq!(
        fake.talk("/msg #lobby yes"),
        [
            "/typing #lobby on",
            "/typing #lobby off",
            "/typing #lobby on",
            "/msg #lobby /",
            "/typing #lobby on",
            "/msg #lobby yes"
        ]
    );
    let since = Instant::now();
    let mut told = Vec::new();
    type_in("x", "x");
    while told.len() < 2 {
        assert!(since.elapsed() < PATIENCE);
        type_in("y", "xy");
        type_in("\x7f", "x");
        while let Ok((line, at)) = fake.heard.recv_timeout(Duration::from_millis(20)) {
            assert_eq!(line, "/typing #lobby on");
            told.push(at);
        }
    }
    // When the first was told is not known so exactly, as a busy machine may have brought it late.
    assert!(told[1] - since > Duration::from_millis(2_900), "{:?}", told[1] - since);
}

#[test]
fn others_see_who_is_typing() {
    let (server, mut bob) = lobby();
    let terminal = alice(&server.address(), &[], (60, 10), Emulator::Clipping);
    bob.until("#lobby * alice joined");
    terminal.keys("h");
    bob.until("#lobby * alice typing");
    terminal.keys("\x03");
    bob.until("#lobby * alice idle");
    terminal.keys("hello\r");
    bob.until("#lobby <alice> hello");
    assert!(!bob.settle().iter().any(|line| line.contains("alice")));
}

#[test]
fn who_leaves_is_told_of_no_loss() {
    let (server, mut bob) = lobby();
    for leave in ["/quit see you\r", "\x04"] {
        let mut terminal = alice(&server.address(), &[], (100, 10), Emulator::Reflowing);
        bob.until("#lobby * alice joined");
        terminal.keys(leave);
        bob.until_starting("#lobby * alice quit");
        assert!(terminal.wait_exit().success());
        let lines = terminal.screen().lines;
        assert!(!lines.iter().any(|line| line.contains("lost") || line.contains("another")), "{lines:#?}");
    }
}

#[test]
fn a_server_that_has_stopped_is_told_in_the_status_row() {
    let (server, _bob) = lobby();
    let terminal = alice(&server.address(), &[], (60, 15), Emulator::Clipping);
    let process = Pid::from_raw(server.pid().try_into().unwrap()).unwrap();
    let is_waiting = |screen: &Screen| screen.rows.iter().any(|row| row.starts_with("waiting for the server"));
    kill_process(process, Signal::STOP).unwrap();
    terminal.keys("are you there\r");
    terminal.wait_until("that it is waited for", is_waiting);
    kill_process(process, Signal::CONT).unwrap();
    terminal.wait_until("that it is back", |screen| !is_waiting(screen));
    told(&terminal, "<alice> are you there");
}

#[test]
fn what_was_meant_is_told() {
    let (server, mut bob) = lobby();
    let terminal = alice(&server.address(), &[], (120, 30), Emulator::Clipping);
    for (line, told_so) in [
        ("/lsit", "/lsit: no such command; did you mean /list?"),
        ("/j", "/j: no such command; did you mean /join?"),
        ("/q", "did you mean /query or /quit?"),
        ("/w", "did you mean /who or /msg?"),
        ("/serach tea", "/serach: no such command; did you mean /search?"),
        ("/pass", "the server asks for no password now"),
        ("help", "is /help [COMMAND] meant? Begin it with /, or type it once more"),
    ] {
        terminal.keys(format!("{line}\r"));
        told(&terminal, told_so);
    }
    // It may have been meant as it stands.
    bob.settle();
    terminal.keys("help\r");
    // He may be told before that she is typing.
    bob.until("#lobby <alice> help");
    // In private nobody is told by mistake what was for the server, or for somebody else.
    terminal.keys("/query bob\r");
    typed(&terminal, "@bob>");
    for (line, command) in [
        ("join club", "/join #ROOM [KEY]"),
        ("leave #lobby", "/leave [#ROOM] [REASON]"),
        ("msg carol psst", "/msg TARGET TEXT"),
        ("pass secret", "/pass"),
        ("send cat.png", "/send [TARGET] PATH"),
        ("get 7", "/get ID"),
        ("login pit correct-horse", "/login NICK"),
        ("register correct-horse", "/register"),
        ("nick mallory", "/nick NAME"),
    ] {
        terminal.keys(format!("{line}\r"));
        told(&terminal, &format!("is {command} meant?"));
    }
    // What has not the shape of a command is said at once.
    terminal.keys("join us for tea\r");
    let heard = bob.until("@alice <alice> join us for tea");
    assert!(!heard.iter().any(|line| line.contains("<alice>")), "{heard:?}");
    terminal.keys("/query #lobby\r");
    typed(&terminal, "#lobby>");
    terminal.keys("/leave\r");
    told(&terminal, "you left #lobby; you talk to nobody now");
    terminal.keys("help\r");
    told(&terminal, "nobody hears you here; did you mean /help [COMMAND]?");
    terminal.keys("join #lobby\r");
    told(&terminal, "did you mean /join #ROOM [KEY]?");
}
