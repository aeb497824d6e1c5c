//! What the tests of the line client stand on: the terminals and the bad connections do what they say.

use std::fs;
use std::io::{ErrorKind, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::Command;
use std::thread;

use rustix::termios::LocalModes;
use testkit::proxy::{Cut, Plan, Proxy};
use testkit::pty::{Emulator, Screen, Speaks, Terminal};
use testkit::{Client, Server, eventually};

const EMULATORS: [Emulator; 2] = [Emulator::Reflowing, Emulator::Clipping];

fn bash(script: &str, columns: u16, rows: u16, emulator: Emulator) -> Terminal {
    let mut command = Command::new("bash");
    command.args(["-c", script]).env("LC_ALL", "C.UTF-8");
    Terminal::start(&mut command, columns, rows, emulator, Speaks::Nothing)
}

/// Takes what is typed from then on as it is, and says so.
const RAW: &str = "stty raw -echo; printf ready; ";

/// The screen once this stands on it.
fn with(terminal: &Terminal, text: &str) -> Screen {
    terminal.wait_until(text, |screen| screen.rows.iter().any(|row| row.contains(text)))
}

#[test]
fn a_terminal_shows_what_is_typed_and_what_is_said() {
    for emulator in EMULATORS {
        let mut terminal = Terminal::start(&mut Command::new("cat"), 30, 5, emulator, Speaks::Nothing);
        terminal.keys("good morning ü 😀\n");
        let screen = terminal.wait_until("an echo and an answer", |screen| screen.lines.len() == 2);
        assert_eq!(screen.rows, ["good morning ü 😀", "good morning ü 😀", "", "", ""]);
        assert_eq!(screen.cursor, (2, 0));
        terminal.keys("\x04");
        assert!(terminal.wait_exit().success());
        assert_eq!(terminal.raw(), "good morning ü 😀\r\n".repeat(2).as_bytes());
    }
}

#[test]
fn a_program_finds_its_terminal_and_nothing_of_ours() {
    let script = "tty; echo $$; env | grep -E '^(ADDED|COLUMNS|LINES|TERM)=' | sort; ls -A $HOME; \
        stty size; : < /dev/tty && echo its own; exit 3";
    let mut command = Command::new("bash");
    command.args(["-c", script]).env("ADDED", "added");
    let mut terminal = Terminal::start(&mut command, 40, 10, Emulator::Clipping, Speaks::Nothing);
    assert_eq!(terminal.wait_exit().code(), Some(3));
    let lines = terminal.screen().lines;
    assert!(lines[0].starts_with("/dev/pts/"), "{lines:?}");
    assert_eq!(lines[1..], [&*terminal.pid().to_string(), "ADDED=added", "TERM=xterm-256color", "10 40", "its own"]);
}

#[test]
fn a_program_that_has_ended_is_at_rest() {
    let mut terminal = bash("read line; exit 3", 20, 5, Emulator::Clipping);
    eventually("it waits", || terminal.is_at_rest());
    terminal.keys("typed\n");
    let process = format!("/proc/{}/stat", terminal.pid());
    eventually("it has ended", || fs::read_to_string(&process).unwrap().contains(") Z "));
    assert!(terminal.is_at_rest());
    assert_eq!(terminal.wait_exit().code(), Some(3));
}

#[test]
fn all_that_is_written_arrives_before_the_end() {
    let mut terminal = bash("seq 1 30000", 20, 5, Emulator::Reflowing);
    assert!(terminal.wait_exit().success());
    assert_eq!(terminal.screen().rows, ["29997", "29998", "29999", "30000", ""]);
    let numbers: String = (1..=30_000).map(|n| format!("{n}\r\n")).collect();
    assert_eq!(terminal.raw(), numbers.as_bytes());
}

#[test]
fn wrapped_rows_are_one_line() {
    let long = "abcdefghij".repeat(5);
    for emulator in EMULATORS {
        let mut terminal = bash(&format!("echo {long}; echo short; echo {long}"), 20, 5, emulator);
        terminal.wait_exit();
        let screen = terminal.screen();
        assert_eq!(screen.rows, ["short", &long[..20], &long[..20], "abcdefghij", ""]);
        assert_eq!(screen.lines, [&long, "short", &long]);
    }
}

#[test]
fn what_has_left_the_screen_can_be_read() {
    for emulator in EMULATORS {
        let mut terminal = bash("seq 1 500; printf '\\n\\n  x  \\n\\n'", 10, 4, emulator);
        terminal.wait_exit();
        let mut lines: Vec<String> = (1..=500).map(|n| n.to_string()).collect();
        lines.extend(["", "", "  x"].map(str::to_owned));
        assert_eq!(terminal.screen().lines, lines);
    }
}

#[test]
fn a_reflowing_terminal_wraps_anew() {
    let terminal = bash("printf 'one two three four\\nfive'; read", 10, 5, Emulator::Reflowing);
    let lines = ["one two three four", "five"];
    assert_eq!(with(&terminal, "five").rows, ["one two th", "ree four", "five", "", ""]);
    terminal.resize(6, 5);
    let screen = terminal.screen();
    // The empty rows at the bottom stay.
    assert_eq!(screen.rows, ["o thre", "e four", "five", "", ""]);
    assert_eq!(screen.cursor, (2, 4));
    assert_eq!(screen.lines, lines);
    terminal.resize(40, 3);
    let screen = terminal.screen();
    assert_eq!(screen.rows[..2], lines);
    assert_eq!(screen.lines, lines);
}

#[test]
fn a_clipping_terminal_cuts_off() {
    let terminal = bash("printf 'one two three four\\nfive'; read", 10, 5, Emulator::Clipping);
    assert_eq!(with(&terminal, "five").lines, ["one two three four", "five"]);
    terminal.resize(6, 5);
    let screen = terminal.screen();
    assert_eq!(screen.rows, ["one tw", "ree fo", "five", "", ""]);
    assert_eq!(screen.cursor, (2, 4));
    // What was wrapped is not known any more, nor what was cut off.
    terminal.resize(20, 5);
    assert_eq!(terminal.screen().lines, ["one tw", "ree fo", "five"]);
    // Rows leave at the top, and come back.
    terminal.resize(20, 2);
    let screen = terminal.screen();
    assert_eq!((screen.rows[0].as_str(), screen.cursor, screen.lines.len()), ("ree fo", (1, 4), 3));
    terminal.resize(20, 5);
    assert_eq!(terminal.screen().rows, ["one tw", "ree fo", "five", "", ""]);
}

#[test]
fn a_program_is_told_of_a_new_size() {
    // A bash that begins to read does not hear of a signal just before, nor does one that is still in its trap: so it
    // only notes the signal, and does not read for long.
    let script = "trap 'told=1' WINCH; echo ready; while :; do \
        read -t 0.05; [ \"$told\" ] && { told=; stty size; }; done";
    for emulator in EMULATORS {
        let terminal = bash(script, 40, 10, emulator);
        with(&terminal, "ready");
        terminal.resize(33, 7);
        with(&terminal, "7 33");
        terminal.resize(50, 12);
        with(&terminal, "12 50");
    }
}

#[test]
fn a_terminal_tells_where_its_cursor_is() {
    // Two questions in one write, with something between them; then one in two pieces, behind a full row.
    let script = "stty raw -echo; \
        printf '\\e[3;5H\\e[6nab\\e[6n'; IFS=';' read -sdR a b; IFS=';' read -sdR c d; \
        printf '\\r12345678901234567890\\e['; printf '6n'; IFS=';' read -sdR e f; \
        printf '\\r\\n'; printf '%s ' ${a#*[} $b ${c#*[} $d ${e#*[} $f; printf done";
    for emulator in EMULATORS {
        let terminal = bash(script, 20, 6, emulator);
        assert_eq!(with(&terminal, "done").rows[3], "3 5 3 7 3 20 done");
    }
}

#[test]
fn a_terminal_tells_what_it_is() {
    let kitty = r"\e_Gi=31,s=1,v=1,a=q,t=d,f=24;AAAA\e\\";
    let iterm = r"\e]1337;Capabilities\e\\";
    let iterm_bell = r"\e]1337;Capabilities\a";
    let kitty_says = "\x1b_Gi=31;OK\x1b\\";
    let iterm_says = "\x1b]1337;Capabilities=T3Cw7LrMSc7UUw9Ts3BFGsSyHNoSxF\x1b\\";
    for (speaks, says) in [
        (Speaks::Nothing, String::new()),
        (Speaks::Kitty, kitty_says.to_owned()),
        (Speaks::Iterm, iterm_says.repeat(2)),
    ] {
        // An image is no question, and the last answer comes to all.
        let image = r"\e_Ga=T,f=100,i=7;AAAA\e\\";
        let script = format!(
            "stty raw -echo; printf '{image}{kitty}{iterm}'; printf '{iterm_bell}\\e[c\\e[6n'; \
             IFS= read -rsdR answer; printf '<%q>' \"$answer\"; printf done"
        );
        for emulator in EMULATORS {
            let mut command = Command::new("bash");
            command.args(["-c", &script]);
            let mut terminal = Terminal::start(&mut command, 200, 6, emulator, speaks);
            terminal.wait_exit();
            let want = format!("{says}\x1b[?62;22c\x1b[1;1");
            let want = Command::new("bash").args(["-c", "printf '<%q>done' \"$1\"", "bash", &want]).output().unwrap();
            assert_eq!(terminal.screen().rows[0], String::from_utf8(want.stdout).unwrap(), "{speaks:?}");
            let image = b"\x1b_Ga=T,f=100,i=7;AAAA\x1b\\";
            assert!(terminal.raw().starts_with(image));
        }
    }
}

#[test]
fn many_keys_are_taken_while_much_is_written() {
    let terminal = Terminal::start(
        Command::new("bash").args(["-c", &format!("{RAW} head -c 300000 | cat; printf '\\r\\ndone'")]),
        80,
        24,
        Emulator::Clipping,
        Speaks::Nothing,
    );
    with(&terminal, "ready");
    terminal.keys("0123456789".repeat(30_000));
    with(&terminal, "done");
    let raw = terminal.wait_until_raw("all of it", |raw| raw.len() >= 300_000);
    assert_eq!(raw[5..300_005], *"0123456789".repeat(30_000).as_bytes());
}

#[test]
fn how_a_terminal_is_left_can_be_seen() {
    let mut terminal = bash(&format!("{RAW} read -n 1; stty sane"), 80, 24, Emulator::Clipping);
    with(&terminal, "ready");
    assert!(!terminal.modes().local_modes.intersects(LocalModes::ECHO | LocalModes::ICANON));
    terminal.keys("x");
    terminal.wait_exit();
    assert!(terminal.modes().local_modes.contains(LocalModes::ECHO | LocalModes::ICANON));
}

#[test]
#[should_panic(expected = "in vain: a word, before the end\n| here I am")]
fn a_failure_shows_the_screen() {
    bash("echo here I am", 80, 24, Emulator::Reflowing).wait_until("a word", |_| false);
}

/// A connection through the proxy that has had an answer.
fn through(proxy: &Proxy) -> Client {
    let mut client = Client::new(TcpStream::connect(("127.0.0.1", proxy.port())).unwrap());
    client.starting("* hello ");
    client
}

#[test]
fn lines_pass_through_a_proxy() {
    let server = Server::start(&[]);
    let proxy = Proxy::start(server.port);
    let mut alice = server.in_room("alice", "#a");
    let mut bob = through(&proxy);
    bob.send("/nick bob\n/join #a");
    bob.until_starting("- here ");
    let long = "long ".repeat(500);
    alice.settle();
    bob.send(&long);
    alice.expect(&format!("#a <bob> {long}"));
    alice.send(&long);
    bob.until(&format!("#a <alice> {long}"));
    let (up, down) = proxy.bytes();
    assert!(up > long.len() && down > long.len(), "{up} {down}");
    assert_eq!((proxy.open(), proxy.cuts()), (1, 0));
    bob.send("/quit");
    assert_eq!(bob.rest().last().unwrap(), "+ quit");
    drop(bob);
    eventually("the connection ends", || proxy.open() == 0);
    assert_eq!(proxy.cuts(), 0);
}

#[test]
fn both_sides_see_a_cut() {
    let server = Server::start(&[]);
    let proxy = Proxy::start(server.port);
    let mut alice = server.in_room("alice", "#a");
    for (how, seen) in [(Cut::Close, "#a * bob quit"), (Cut::Reset, "#a * bob lost reset")] {
        let mut bob = through(&proxy);
        bob.send("/set presence off\n/nick bob\n/join #a");
        alice.until("#a * bob joined");
        bob.settle();
        proxy.cut(how);
        assert_eq!(proxy.open(), 0);
        let end = bob.reader().read_to_end(&mut Vec::new());
        assert_eq!(
            end.map_err(|error| error.kind()),
            if how == Cut::Close { Ok(0) } else { Err(ErrorKind::ConnectionReset) }
        );
        alice.until(seen);
    }
    assert_eq!(proxy.cuts(), 2);
}

#[test]
fn the_end_of_one_side_is_the_end_of_the_other() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let proxy = Proxy::start(listener.local_addr().unwrap().port());
    let pair = || (TcpStream::connect(("127.0.0.1", proxy.port())).unwrap(), listener.accept().unwrap().0);
    let (mut client, mut server) = pair();
    client.write_all(b"half").unwrap();
    client.shutdown(std::net::Shutdown::Write).unwrap();
    let mut text = String::new();
    server.read_to_string(&mut text).unwrap();
    server.write_all(b"and half").unwrap();
    drop(server);
    client.read_to_string(&mut text).unwrap();
    assert_eq!(text, "halfand half");
    let (client, mut server) = pair();
    socket2::SockRef::from(&client).set_linger(Some(std::time::Duration::ZERO)).unwrap();
    drop(client);
    assert_eq!(server.read(&mut [0]).unwrap_err().kind(), ErrorKind::ConnectionReset);
    assert_eq!(proxy.cuts(), 0);
}

#[test]
fn a_proxy_refuses_and_stalls() {
    let server = Server::start(&[]);
    let proxy = Proxy::start(server.port);
    let mut bob = through(&proxy);
    proxy.refuse(true);
    let refused = TcpStream::connect(("127.0.0.1", proxy.port())).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::ConnectionRefused);
    bob.send("/ping 1");
    bob.until("+ ping 1");
    proxy.refuse(false);
    let mut alice = through(&proxy);
    proxy.stall(true);
    let before = proxy.bytes();
    bob.send("/ping 2");
    alice.send("/ping 3");
    let mut late = Client::new(TcpStream::connect(("127.0.0.1", proxy.port())).unwrap());
    eventually("a third connection", || proxy.open() == 3);
    bob.stream.set_nonblocking(true).unwrap();
    assert_eq!(bob.reader().read(&mut [0]).unwrap_err().kind(), ErrorKind::WouldBlock);
    bob.stream.set_nonblocking(false).unwrap();
    assert_eq!(proxy.bytes(), before);
    proxy.stall(false);
    bob.until("+ ping 2");
    alice.until("+ ping 3");
    late.starting("* hello ");
    // Another server takes over.
    let other = Server::start(&["--name", "other"]);
    proxy.lead_to(other.port);
    through(&proxy).send("/quit");
    drop(proxy);
    bob.reader().read_to_end(&mut Vec::new()).unwrap();
}

#[test]
fn a_proxy_cuts_as_planned() {
    let server = Server::start(&["--rate", "0"]);
    let plan = Plan { seed: 1, cuts: 30, bytes: 0..600, milliseconds: 0..50 };
    let proxy = Proxy::cutting(server.port, plan);
    let mut middles = 0;
    let mut ends = [0; 2];
    while proxy.cuts() < 30 {
        let mut stream = TcpStream::connect(("127.0.0.1", proxy.port())).unwrap();
        // It may be cut before that.
        let _ = stream.write_all("/who\n".repeat(40).as_bytes());
        let mut bytes = Vec::new();
        let end = stream.read_to_end(&mut bytes);
        ends[usize::from(end.is_err())] += 1;
        middles += usize::from(bytes.last().is_some_and(|&byte| byte != b'\n'));
    }
    assert!(middles > 3, "{middles} cuts in the middle of a line");
    assert!(ends.iter().all(|&ends| ends > 3), "{ends:?}");
    // Those that end by themselves do not use up the plan, and after it everything passes.
    let many: Vec<_> = (0..20).map(|_| through(&proxy)).collect();
    thread::scope(|scope| {
        for mut client in many {
            scope.spawn(move || client.settle());
        }
    });
    assert_eq!(proxy.cuts(), 30);
}
