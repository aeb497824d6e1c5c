//! The client as plain text for screen readers, and what it does on wish there and on the screen alike: folding who comes and
//! goes, hiding who types, searching, and telling of messages that have no answer.

use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::process::{Command, Stdio};
use std::time::Duration;

use chinwag::client::visit::RINGING;
use rustix::termios::InputModes;
use testkit::disk::faketime;
use testkit::proxy::{Cut, Proxy};
use testkit::pty::{Emulator, Screen, Speaks, Terminal};
use testkit::{Client, Server, binary, control, eventually, noise};

use crate::terminal::Fake;

/// A server without flood control, and Bob in its lobby.
pub fn lobby() -> (Server, Client) {
    let server = Server::start(&["--rate", "0"]);
    let mut bob = server.in_room("bob", "#lobby");
    // So that he has no mark.
    bob.ask("/deop bob", "+ deop #lobby bob");
    (server, bob)
}

/// The binary, about to go to `server` as alice in the lobby.
pub fn connect(server: &str, options: &[&str]) -> Command {
    let mut command = Command::new(binary());
    command.args(["connect", "--nick", "alice", "--join", "#lobby"]).args(options).arg(server);
    command
}

/// Alice before her terminal, once she is in.
pub fn alice(server: &str, options: &[&str]) -> Terminal {
    start(&mut connect(server, options))
}

pub fn start(command: &mut Command) -> Terminal {
    let terminal = Terminal::start(command, 100, 24, Emulator::Reflowing, Speaks::Nothing);
    told(&terminal, "in #lobby: ");
    terminal
}

/// Waits until this stands somewhere.
#[track_caller]
pub fn told(terminal: &Terminal, text: &str) -> Screen {
    terminal.wait_until(&format!("a line with {text:?}"), |screen| screen.lines.iter().any(|line| line.contains(text)))
}

/// Whether there is a line with this.
pub fn tells(terminal: &Terminal, text: &str) -> bool {
    terminal.screen().lines.iter().any(|line| line.contains(text))
}

/// What was written is lines of text alone, none of it twice, and none of it data.
#[track_caller]
fn is_plain(terminal: &Terminal) {
    let raw = String::from_utf8(terminal.raw()).unwrap();
    let is_line_end = |at: usize| raw[at..].starts_with("\r\n");
    for (at, c) in raw.char_indices() {
        let is_fine = !c.is_control() || matches!(c, '\n' | '\t') || c == '\r' && is_line_end(at) || c == '\x07';
        // What is typed the terminal itself shows.
        assert!(is_fine || c == '\r' && raw[at + 1..].starts_with('\r'), "{:?}", &raw[at..raw.len().min(at + 20)]);
    }
    assert!(!raw.lines().any(|line| line.trim_start().starts_with('=')), "{raw}");
}

#[test]
fn a_conversation_is_lines_of_plain_text() {
    let (server, mut bob) = lobby();
    let folder = tempfile::tempdir().unwrap();
    let (file, downloads) = (folder.path().join("cat.bin"), folder.path().join("got"));
    fs::write(&file, noise(200_000, 1)).unwrap();
    let mut terminal = alice(&server.address(), &["--plain", "--downloads", downloads.to_str().unwrap()]);
    bob.send("hi \x1b[31mred");
    told(&terminal, " #lobby <bob> hi \u{fffd}[31mred");
    bob.send("a\tb");
    let columns = terminal.wait_until("the table", |screen| {
        screen.lines.iter().any(|line| line.contains(" #lobby <bob> a ") && line.ends_with(" b"))
    });
    assert!(!columns.lines.iter().any(|line| line.contains("a\u{fffd}b")));
    bob.send("/me waves at alice");
    told(&terminal, " #lobby * bob waves at alice");
    terminal.keys("good day\n");
    bob.until("#lobby <alice> good day");
    // All the commands of the client.
    terminal.keys(format!("/send #lobby {}\n", file.display()));
    told(&terminal, "note: cat.bin is shared with #lobby, as file 1");
    told(&terminal, "note: sending cat.bin, 195 kB");
    for (command, name, why) in
        [("/get 1", "cat.bin", ""), ("/show 1", "cat (2).bin", ", as plain text shows no pictures")]
    {
        terminal.keys(format!("{command}\n"));
        told(&terminal, &format!("note: saved {}{why}", downloads.join(name).display()));
        assert!(fs::read(downloads.join(name)).unwrap() == noise(200_000, 1));
    }
    terminal.keys("/cancel 1\n");
    terminal.wait_until("the answer", |screen| {
        screen.lines.iter().any(|line| line == "done: file 1 is not shared any more")
    });
    terminal.keys("/nosuch\n");
    told(&terminal, "no: /nosuch");
    // The terminal shows keys that it knows nothing of, and hands them on.
    terminal.keys("\x1b[A\n");
    told(&terminal, "no: the keys that move the cursor, and most with Ctrl, do nothing here");
    // What is dropped is a path.
    terminal.keys(format!("'{}' \n", file.display()));
    told(&terminal, "no: that is a file; /send '");
    terminal.keys(format!("/send '{}' \n", file.display()));
    told(&terminal, "note: cat.bin is shared with #lobby, as file 2");
    terminal.keys("/query nobody\n");
    told(&terminal, "no: /query: nobody");
    terminal.keys("psst\n");
    told(&terminal, "no: /query nobody was refused, so this would go to #lobby; type it once more");
    let said = bob.settle();
    assert!(said.iter().all(|line| !line.contains("<alice>")), "{said:?}");
    terminal.keys("/query bob\n/msg bob psst\n");
    bob.until("@alice <alice> psst");
    bob.send("/msg alice yes?");
    told(&terminal, " @bob <bob> yes?");
    terminal.keys("/help\n");
    told(&terminal, "this client:");
    told(&terminal, "/fold on|off");
    // There are no keys but the terminal's own, and no `nc`.
    told(&terminal, "Ctrl-D leaves, and so does Ctrl-C");
    assert!(!["Tab ", "Alt-", "in nc"].iter().any(|other| tells(&terminal, other)));
    // A file for us alone rings as words do, once these may ring again.
    let rings = || terminal.raw().iter().filter(|&&byte| byte == 7).count();
    let before = rings();
    // Sleep: that time is what is tested.
    std::thread::sleep(RINGING);
    bob.send("/send alice 3 psst.txt");
    told(&terminal, "bob shares psst.txt");
    assert_eq!(rings(), before + 1);
    terminal.keys("/quit\n");
    assert!(terminal.wait_exit().success());
    bob.until("#lobby * alice quit");
    is_plain(&terminal);
    // What was typed stands there once: where it was typed.
    let lines = terminal.screen().lines;
    assert_eq!(lines.iter().filter(|line| line.contains("good day")).count(), 1, "{lines:#?}");
}

#[test]
fn a_terminal_that_knows_nothing_gets_plain_text_and_a_pipe_gets_lines() {
    let (server, mut bob) = lobby();
    let terminal = start(connect(&server.address(), &[]).env("TERM", "dumb"));
    bob.send("hi");
    told(&terminal, "#lobby <bob> hi");
    // The end of the input, as Ctrl-D has it, leaves in good order.
    terminal.keys("\x04");
    bob.until("#lobby * alice quit");
    is_plain(&terminal);
    // A file says that plain text is wanted wherever there is a terminal.
    let config = tempfile::tempdir().unwrap();
    fs::create_dir(config.path().join("chinwag")).unwrap();
    fs::write(config.path().join("chinwag/config"), "plain = on\nbell = never\n").unwrap();
    let terminal = start(connect(&server.address(), &[]).env("XDG_CONFIG_HOME", config.path()));
    bob.send("alice?");
    told(&terminal, "#lobby <bob> alice?");
    assert!(!terminal.raw().contains(&7));
    terminal.keys("\x03");
    bob.until("#lobby * alice quit");
    is_plain(&terminal);
    // In a pipe nothing of that holds, but what was just written.
    let run = |options: &[&str], input: &str| {
        let mut command = connect(&server.address(), options);
        command.env("XDG_CONFIG_HOME", config.path()).env("TERM", "dumb");
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
        let output = child.wait_with_output().unwrap();
        assert!(output.status.success());
        String::from_utf8(output.stdout).unwrap()
    };
    let out = run(&[], "/ping 1\n");
    assert!(out.starts_with("* hello ") && out.ends_with("+ ping 1\n") && out.contains("\n+ join #lobby "), "{out}");
    let out = run(&["--plain"], "/ping 1\n");
    assert!(out.starts_with("note: connecting to ") && out.contains("\ndone: ping 1\n"), "{out}");
}

#[test]
fn a_password_is_not_shown_while_it_is_asked_for() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("password");
    fs::write(&path, "hush\n").unwrap();
    let server = Server::start(&["--password-file", path.to_str().unwrap()]);
    let mut command = connect(&server.address(), &["--plain"]);
    let mut terminal = Terminal::start(&mut command, 100, 24, Emulator::Reflowing, Speaks::Nothing);
    told(&terminal, "type its password, which is not shown");
    // It is asked for, and so needs no command; who gives that is understood too.
    for (line, answer) in [("/pass hash", "that is not the password"), ("hush", "in #lobby: ")] {
        terminal.keys(format!("{line}\n"));
        told(&terminal, answer);
    }
    assert!(!tells(&terminal, "/pass h") && !tells(&terminal, "hush"), "{}", terminal.screen());
    // From then on it is.
    terminal.keys("good day\n");
    told(&terminal, "good day");
    terminal.keys("/quit\n");
    assert!(terminal.wait_exit().success());
    // Nor is it after a stop, in which the shell sets the terminal for itself.
    let script = "set -m; \"$0\" connect --plain $1; stty sane; echo stopped; read x; fg";
    let mut shell = Command::new("bash");
    shell.args(["-c", script, binary(), &server.address()]);
    let terminal = Terminal::start(&mut shell, 100, 24, Emulator::Reflowing, Speaks::Nothing);
    told(&terminal, "which is not shown");
    terminal.keys("\x1a");
    told(&terminal, "stopped");
    terminal.keys("go on\n");
    let is_hidden = |screen: &Screen| screen.lines.iter().filter(|line| line.contains("is not shown")).count() == 2;
    terminal.wait_until("that it is not shown", is_hidden);
    terminal.keys("/pass hush\n");
    told(&terminal, "you are guest");
    assert!(!tells(&terminal, "/pass h"), "{}", terminal.screen());
    drop(terminal);
    // What a file tells is tried before anybody is asked.
    let options = ["--plain", "--password-file", path.to_str().unwrap()];
    let terminal = alice(&server.address(), &options);
    assert!(!tells(&terminal, "is not shown"), "{}", terminal.screen());
    drop(terminal);
    // Whoever gives up is left with a terminal that shows what is typed.
    let mut terminal = Terminal::start(&mut command, 100, 24, Emulator::Reflowing, Speaks::Nothing);
    told(&terminal, "which is not shown");
    terminal.keys("\x04");
    terminal.wait_exit();
    assert!(terminal.modes().local_modes.contains(rustix::termios::LocalModes::ECHO));
}

#[test]
fn a_terminal_that_knows_nothing_gets_no_progress_bar() {
    let (server, _bob) = lobby();
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("cat.bin"), noise(2_000_000, 1)).unwrap();
    let config = folder.path().join("chinwag");
    fs::create_dir(&config).unwrap();
    // It is so for `get`, too, and where all terminals are to have plain text.
    for (term, saved, is_drawn) in [("dumb", "", false), ("xterm", "", true), ("xterm", "plain = on\n", false)] {
        fs::write(config.join("config"), saved).unwrap();
        for (program, told) in [("send cat.bin --to", "sending"), ("get 1 --output - --join", "fetching")] {
            let script = format!("{} {program} '#lobby' --server {} > out", binary(), server.address());
            let mut command = Command::new("bash");
            command.args(["-c", &script]).current_dir(folder.path()).env("TERM", term);
            command.env("XDG_CONFIG_HOME", folder.path());
            let mut terminal = Terminal::start(&mut command, 80, 24, Emulator::Reflowing, Speaks::Nothing);
            assert!(terminal.wait_exit().success());
            assert_eq!(terminal.raw().contains(&0x1b), is_drawn, "{term}");
            assert_eq!(tells(&terminal, &format!("chinwag: {told} cat.bin, 1.9 MB")), !is_drawn, "{term}");
        }
    }
}

#[test]
fn in_plain_text_too_the_connection_comes_back_and_nothing_is_lost() {
    let (server, mut bob) = lobby();
    let proxy = Proxy::start(server.port);
    let terminal = alice(&proxy.address(), &["--plain"]);
    proxy.refuse(true);
    proxy.cut(Cut::Reset);
    terminal.keys("typed meanwhile\n");
    // It need not be guessed why.
    told(&terminal, "note: the connection is lost: ");
    told(&terminal, "note: not sent yet: #lobby typed meanwhile");
    bob.until_starting("#lobby * alice joined");
    bob.send("said meanwhile");
    assert_eq!(bob.settle(), [""; 0], "he sees nothing of it");
    proxy.refuse(false);
    bob.expect("#lobby <alice> typed meanwhile");
    told(&terminal, "note: the connection was lost for ");
    told(&terminal, "#lobby <bob> said meanwhile");
    // It was told as not sent, so that it is sent is told too.
    told(&terminal, "#lobby <alice> typed meanwhile");
    is_plain(&terminal);
}

#[test]
fn a_script_knows_that_not_all_was_said_when_the_server_stops() {
    let server = Server::start(&[]);
    let mut bob = server.in_room("bob", "#lobby");
    let mut command = connect(&server.address(), &["--plain"]);
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let lines: String = (0..90).map(|n| format!("line {n}\n")).collect();
    child.stdin.take().unwrap().write_all(lines.as_bytes()).unwrap();
    bob.until("#lobby <alice> line 50");
    server.signal("TERM");
    let output = child.wait_with_output().unwrap();
    let (told, errors) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(
        told.contains("may not have arrived: #lobby line ") && errors.contains("not all that was typed has been said"),
        "{told}{errors}"
    );
    assert_eq!(output.status.code(), Some(1));
}

#[test]
fn a_script_says_shares_and_fetches_all_of_it_before_it_leaves() {
    let (server, mut bob) = lobby();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("cat.bin");
    fs::write(&file, noise(200_000, 1)).unwrap();
    let got = folder.path().join("got");
    let run = |input: &[u8]| {
        let mut command = connect(&server.address(), &["--plain", "--downloads", got.to_str().unwrap()]);
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        child.stdin.take().unwrap().write_all(input).unwrap();
        let output = child.wait_with_output().unwrap();
        let [told, errors] = [output.stdout, output.stderr].map(|bytes| String::from_utf8(bytes).unwrap());
        (output.status.code(), told, errors)
    };
    // Two files of one name, and all of it before there is a connection.
    let send = format!("/send #lobby {}\n", file.display());
    for (end, ids) in [("", [1, 2]), ("/quit so long\nnever said\n", [3, 4])] {
        let (code, told, errors) = run(format!("quit it\n{send}{send}goodbye\n{end}").as_bytes());
        assert_eq!(code, Some(0), "{told}{errors}");
        assert_eq!(told.matches("note: sending cat.bin, 195 kB\n").count(), 2, "{told}");
        let heard = bob.until_starting("#lobby * alice quit");
        let said: Vec<&str> = heard.iter().filter_map(|line| line.strip_prefix("#lobby <alice> ")).collect();
        assert_eq!(said, ["quit it", "goodbye"]);
        for id in ids {
            let shared = format!("#lobby * alice file {id} 200000 cat.bin");
            assert!(heard.contains(&shared) && told.contains(&format!("shared with #lobby, as file {id} (")), "{told}");
        }
        let is_told = heard.last().is_some_and(|line| line.ends_with("so long"));
        assert_eq!(is_told, !end.is_empty(), "{heard:?}");
    }
    let (code, told, errors) = run(b"/get 1\n");
    assert_eq!(code, Some(0), "{told}{errors}");
    assert!(fs::read(got.join("cat.bin")).unwrap() == noise(200_000, 1));
    for lost in ["/get 99\n".to_owned(), format!("{}\n", "x".repeat(5_000))] {
        let (code, told, errors) = run(lost.as_bytes());
        assert!(code == Some(1) && errors.contains("not all that was typed has been done"), "{told}{errors}");
    }
}

#[test]
fn who_writes_no_utf_8_is_told_once() {
    let (server, mut bob) = lobby();
    for (arguments, is_on_stdout) in
        [(&["connect", "--plain", "--join", "#lobby"][..], true), (&["say", "#lobby"], false)]
    {
        let mut command = Command::new(binary());
        command.args(arguments).args(if is_on_stdout { &[][..] } else { &["--server"] }).arg(server.address());
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        child.stdin.take().unwrap().write_all(b"plain\ngr\xfc\xdfe\nk\xe4se\n").unwrap();
        let output = child.wait_with_output().unwrap();
        assert!(output.status.success());
        let told = String::from_utf8(if is_on_stdout { output.stdout } else { output.stderr }).unwrap();
        assert_eq!(told.matches("some of what you wrote is no UTF-8").count(), 1, "{told}");
        bob.until_starting("#lobby <guest");
    }
}

#[test]
fn who_is_put_out_for_good_is_told_and_does_not_come_back() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(&["--data", folder.path().to_str().unwrap(), "--rate", "0"]);
    for mode in ["--plain", "--plain=off"] {
        let mut terminal = alice(&server.address(), &[mode]);
        let answer = control(&folder.path().join("ctl"), "/kill alice enough now\n");
        assert!(answer.contains(&"+ kill alice".to_owned()), "{answer:?}");
        let address = server.address();
        told(&terminal, &format!("{address} closed the connection: an operator put you out: enough now"));
        assert_eq!(terminal.wait_exit().code(), Some(1));
        // Who is blocked while they are here would be turned away each time.
        let fake = Fake::start(BTreeMap::new());
        let mut terminal = alice(&fake.address, &[mode]);
        terminal.keys("/ping in\n");
        told(&terminal, "ping in");
        let mut stream = fake.stream.recv().unwrap();
        stream.write_all(b"* bye blocked you may not come to this server; ask who runs it\n").unwrap();
        stream.shutdown(std::net::Shutdown::Both).unwrap();
        told(&terminal, "closed the connection: you may not come to this server; ask who runs it");
        assert_eq!(terminal.wait_exit().code(), Some(1));
    }
}

#[test]
fn days_are_told_in_words() {
    let fake = Fake::start(BTreeMap::new());
    let terminal = start(connect(&fake.address, &["--plain"]).env("TZ", "UTC"));
    let stream = fake.stream.recv().unwrap();
    for (n, time) in ["22T18:26", "23T00:00"].iter().enumerate() {
        Fake::say(&stream, &format!("#lobby [{}@2026-11-{time}:00.000Z] <bob> number {n}", n + 5));
    }
    let lines = told(&terminal, "number 1").lines;
    let from = lines.iter().position(|line| line.ends_with("number 0")).expect("the first");
    let want = ["Sunday, 22 November 2026", "18:26 #lobby <bob> number 0", "Monday, 23 November 2026"];
    assert_eq!(lines[from - 1..from + 2], want);
    assert_eq!(lines[from + 2], "00:00 #lobby <bob> number 1");
}

#[test]
fn the_time_and_a_room_that_is_the_same_may_be_left_out() {
    let (server, mut bob) = lobby();
    let terminal = alice(&server.address(), &["--plain", "--times", "off", "--rooms", "off"]);
    bob.send("one\ntwo\n/msg alice psst\nthree");
    let lines = told(&terminal, "<bob> three").lines;
    let from = lines.iter().position(|line| line.ends_with("<bob> two")).expect("the second");
    assert_eq!(lines[from..from + 3], ["<bob> two", "@bob <bob> psst", "#lobby <bob> three"]);
}

#[test]
fn it_is_told_where_what_was_said_before_begins_and_ends() {
    let (server, mut bob) = lobby();
    bob.send("before");
    bob.settle();
    let terminal = alice(&server.address(), &["--plain", "--times", "off"]);
    told(&terminal, "note: that was said before");
    bob.send("now");
    let lines = told(&terminal, "<bob> now").lines;
    let from = lines.iter().position(|line| line.ends_with("<bob> before")).expect("what was said before");
    let before = "note: what comes next was said before";
    assert_eq!(
        lines[from - 1..from + 3],
        [before, "#lobby <bob> before", "note: that was said before", "#lobby <bob> now"]
    );
    terminal.keys("/history 1\n");
    terminal.wait_until("the end of the history", |screen| {
        screen.lines.iter().filter(|line| *line == "note: that was said before").count() == 2
    });
    drop(terminal);
    // Who hears times read out may not compare them.
    let terminal = alice(&server.address(), &["--plain"]);
    told(&terminal, "note: that was said before");
    bob.send("again");
    let lines = told(&terminal, "<bob> again").lines;
    let from = lines.iter().position(|line| line == before).expect("where it begins");
    assert!(lines[from + 1].ends_with("<bob> before") && lines[from + 2].ends_with("<bob> now"), "{lines:#?}");
    // What stands between tells why one is not alice, while the server has not seen that the first one is gone.
    assert!(
        lines[from + 3] == "note: that was said before"
            && lines[from + 4..].iter().any(|line| line.ends_with("<bob> again")),
        "{lines:#?}"
    );
}

#[test]
fn what_is_so_now_stands_outside_of_what_was_said_before() {
    let (server, mut bob) = lobby();
    let mut carol = server.in_room("carol", "#tea");
    bob.send("one");
    bob.settle();
    carol.send("two\n/topic cake");
    carol.until("+ topic #tea cake");
    let mut command = connect(&server.address(), &["--plain", "--times", "off", "--join", "#tea"]);
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(b"/history 5\n/nick carol\n/history 5\n").unwrap();
    let out = String::from_utf8(child.wait_with_output().unwrap().stdout).unwrap();
    let (mut is_past, mut past) = (false, Vec::new());
    for line in out.lines() {
        match line {
            "note: what comes next was said before" => is_past = true,
            "note: that was said before" => is_past = false,
            line if is_past => past.push(line),
            _ => {}
        }
    }
    let numbered = "#tea (1) <@carol> two";
    assert_eq!(past, ["#lobby <bob> one", "#tea <@carol> two", numbered, numbered], "{out}");
    assert!(out.contains("\nin #tea: ") && out.contains("\nno: /nick: "), "{out}");
}

#[test]
fn the_day_is_told_where_something_of_it_follows() {
    let Some(preload) = faketime() else { return };
    let (server, mut bob) = lobby();
    bob.send("before");
    bob.settle();
    let mut command = connect(&server.address(), &["--plain"]);
    let terminal = start(command.env("LD_PRELOAD", &preload).env("FAKETIME", "+3d"));
    let lines = told(&terminal, "note: that was said before").lines;
    let end = lines.iter().position(|line| line == "note: that was said before").expect("the end");
    assert!(lines[end - 1].ends_with(" #lobby <bob> before"), "{lines:#?}");
    assert!(lines[end + 1..].iter().all(String::is_empty), "{lines:#?}");
    terminal.keys("/ping tea\n");
    let lines = told(&terminal, "done: ping tea").lines;
    let at = lines.iter().position(|line| line == "done: ping tea").expect("the answer");
    assert!(lines[at - 1].ends_with(|c: char| c.is_ascii_digit()) && lines[at - 1].contains(", "), "{lines:#?}");
}

#[test]
fn no_day_is_told_above_what_a_search_says_of_itself() {
    let Some(preload) = faketime() else { return };
    let (server, mut bob) = lobby();
    bob.send("some tea");
    bob.settle();
    let mut command = connect(&server.address(), &["--plain"]);
    let terminal = start(command.env("LD_PRELOAD", &preload).env("FAKETIME", "+3d"));
    told(&terminal, "note: that was said before");
    terminal.keys("/search tea\n");
    let lines = told(&terminal, "1 with “tea”").lines;
    let at = lines.iter().position(|line| line.starts_with("1 with “tea”")).expect("the answer");
    assert_eq!(lines[at - 1], "note: that was said before", "{lines:#?}");
}

#[test]
fn a_command_that_the_server_does_not_answer_is_told_of_once() {
    let (server, _bob) = lobby();
    let proxy = Proxy::start(server.port);
    let terminals = [&["--plain"][..], &["--plain=off"]].map(|options| alice(&proxy.address(), options));
    proxy.stall(true);
    for terminal in &terminals {
        terminal.keys("/who\r");
    }
    told(&terminals[0], "note: no answer to /who yet; waiting for the server");
    told(&terminals[1], "waiting for the server");
    proxy.stall(false);
    for terminal in &terminals {
        told(terminal, "bob");
        terminal.wait_until("no more waiting", |screen| {
            let told = screen.lines.iter().filter(|line| line.contains("waiting for the server")).count();
            told == usize::from(screen.lines.iter().any(|line| line.starts_with("note: no answer")))
        });
    }
}

#[test]
fn lines_pasted_behind_a_private_message_go_to_nobody_else() {
    let (server, mut bob) = lobby();
    let terminal = alice(&server.address(), &["--plain"]);
    terminal.keys("/msg bob one\ntwo\n\nthree\n");
    told(
        &terminal,
        "no: only the first of the lines that you pasted goes to bob; /query bob, then paste the others again",
    );
    bob.until("@alice <alice> one");
    // Sleep: by the time alone it is known what was typed.
    std::thread::sleep(Duration::from_millis(200));
    terminal.keys("four\n");
    let heard = bob.until("#lobby <alice> four");
    assert!(heard.iter().all(|line| !line.contains("<alice>")), "{heard:?}");
    assert_eq!(terminal.screen().lines.iter().filter(|line| line.contains("only the first")).count(), 1);
    // Commands are for whom they say.
    terminal.keys("/msg bob five\n/msg bob six\n");
    bob.until("@alice <alice> five");
    bob.until("@alice <alice> six");
    is_plain(&terminal);
}

#[test]
fn lines_behind_a_password_are_not_said() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(&["--rate", "0", "--data", folder.path().to_str().unwrap()]);
    let mut bob = server.in_room("bob", "#lobby");
    let terminal = alice(&server.address(), &["--plain"]);
    terminal.keys("/register\n");
    told(&terminal, "note: type the new password");
    terminal.keys("correct-horse\ncorrect-horse\nand a line\nof notes\n");
    told(&terminal, "no: what you pasted behind the password is not said");
    told(&terminal, "alice is yours now");
    // A program is asked for nothing.
    let mut command = Command::new(binary());
    command.args(["connect", "--plain", "--nick", "carol", "--join", "#lobby", &server.address()]);
    command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
    let mut child = command.spawn().unwrap();
    child.stdin.take().unwrap().write_all(b"/register\ncorrect-horse\ncorrect-horse\nhello\n").unwrap();
    assert!(!child.wait().unwrap().success());
    let heard = bob.until("#lobby <carol> hello");
    assert!(heard.iter().all(|line| !line.contains("horse") && !line.contains("<alice>")), "{heard:?}");
}

#[test]
fn half_a_line_is_not_said_when_one_leaves() {
    let (server, mut bob) = lobby();
    let mut terminal = alice(&server.address(), &["--plain"]);
    terminal.keys("I take this back\x04");
    told(&terminal, "note: the line that you had begun is not said");
    assert!(terminal.wait_exit().success());
    let heard = bob.until_starting("#lobby * alice quit");
    assert!(heard.iter().all(|line| !line.contains("<alice>")), "{heard:?}");
}

#[test]
fn a_file_behind_a_command_that_goes_elsewhere_is_for_there() {
    let (server, mut bob) = lobby();
    let mut carol = server.in_room("carol", "#tea");
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("cat.png");
    fs::write(&path, b"meow").unwrap();
    let lines = format!("/join #tea\n/send {}\nhello\n", path.display());
    let mut terminal = alice(&server.address(), &["--plain"]);
    terminal.keys(lines.as_str());
    told(&terminal, "cat.png is shared with #tea, as file 1");
    carol.until("#tea * alice file 1 4 cat.png");
    terminal.keys("/quit\n");
    terminal.wait_exit();
    bob.until_starting("#lobby * alice quit");
    carol.settle();
    // So it is where a script says nothing else, and it waits until the file is there.
    let mut command = connect(&server.address(), &["--plain"]);
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::null()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(lines.as_bytes()).unwrap();
    assert!(child.wait().unwrap().success());
    // A file and what is said do not wait for each other.
    let heard = carol.settle();
    for line in ["#tea * alice file 2 4 cat.png", "#tea <alice> hello"] {
        assert!(heard.iter().any(|heard| heard == line), "{heard:?}");
    }
    assert!(bob.settle().iter().all(|line| !line.contains("file")));
    // A path alone is not said either, wherever it begins.
    let mut command = connect(&server.address(), &["--plain"]);
    let terminal = start(command.current_dir(folder.path()));
    terminal.keys("./cat.png\n");
    told(&terminal, "no: that is a file; /send ./cat.png shares it with #lobby");
}

#[test]
fn a_line_with_keys_that_move_the_cursor_is_not_said() {
    let (server, mut bob) = lobby();
    let terminal = alice(&server.address(), &["--plain"]);
    terminal.keys("see you to\x1b[D\x1b[Dmorrow\n");
    told(
        &terminal,
        "no: the keys that move the cursor, and most with Ctrl, do nothing here, so nothing of that line is taken; type it again",
    );
    let heard = bob.settle();
    assert!(heard.iter().all(|line| !line.contains("<alice>")), "{heard:?}");
}

#[test]
fn who_leaves_is_told_so_and_says_no_more() {
    let (server, _bob) = lobby();
    for leave in ["/quit\n", "\x04", "\x03"] {
        let mut terminal = alice(&server.address(), &["--plain"]);
        server.signal("STOP");
        terminal.keys(leave);
        told(&terminal, "note: leaving; leave once more to do so at once");
        terminal.keys("ls private-things\n");
        told(&terminal, "no: you are leaving, so that is not said");
        terminal.keys("\x04");
        terminal.wait_exit();
        let lines = terminal.screen().lines;
        assert!(
            !lines.iter().any(|line| line.contains("may not have arrived") || line.contains("not sent")),
            "{lines:?}"
        );
        server.signal("CONT");
    }
}

#[test]
fn backspace_takes_whole_characters_where_people_write_utf_8() {
    let (server, mut bob) = lobby();
    for (locale, is_unicode) in [("C.UTF-8", true), ("C", false)] {
        let mut terminal = start(connect(&server.address(), &["--plain"]).env("LC_ALL", locale));
        let knows = |terminal: &Terminal| terminal.modes().input_modes.contains(InputModes::IUTF8);
        assert_eq!(knows(&terminal), is_unicode);
        if is_unicode {
            terminal.keys("xä\x7f葛\x7fy\n");
            bob.until("#lobby <alice> xy");
            // The terminal takes one key alone for Backspace.
            terminal.keys("hx\x08i\n");
            bob.until("#lobby <alice> hi");
        }
        terminal.keys("/quit\n");
        terminal.wait_exit();
        assert!(!knows(&terminal));
    }
}

#[test]
fn what_was_typed_and_not_read_is_not_left_for_the_shell() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let server = Server::start(&["--data", data.to_str().unwrap()]);
    for options in [&["--plain"][..], &[]] {
        let client = connect(&server.address(), options);
        let mut shell = Command::new("sh");
        // What the shell reads next.
        shell.args(["-c", "\"$0\" \"$@\"; echo over; IFS= read -r line; echo \"[$line]\""]);
        shell.arg(client.get_program()).args(client.get_args());
        let mut terminal = start(&mut shell);
        terminal.keys("rm -rf");
        eventually("it is there", || {
            let said = terminal.screen().lines;
            said.iter().any(|line| line.ends_with("rm -rf"))
        });
        control(&data.join("ctl"), "/kill alice\n");
        told(&terminal, "over");
        terminal.keys("x\n");
        told(&terminal, "[x]");
        terminal.wait_exit();
    }
}

#[test]
fn a_name_with_blanks_stands_in_quotes() {
    let (server, _bob) = lobby();
    let proxy = Proxy::start(server.port);
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("big file.bin"), noise(40_000_000, 1)).unwrap();
    let terminal = start(connect(&proxy.address(), &["--plain"]).current_dir(folder.path()));
    terminal.keys("/send big file.bin\n");
    told(
        &terminal,
        "no: cannot send file.bin: no such file or directory; it was for @big: if that is part of its name, put the whole name in quotes",
    );
    proxy.limit(1_000_000, usize::MAX);
    terminal.keys("/send \"big file.bin\"\n");
    told(&terminal, "note: sending big file.bin, 38 MB");
    terminal.keys("/cancel 'big file.bin'\n");
    told(&terminal, "note: big file.bin is not sent");
    terminal.keys("/help send\n");
    told(&terminal, "share the file at PATH, in quotes if that has blanks");
}

#[test]
fn how_far_a_file_is_is_told_in_words() {
    let (server, _bob) = lobby();
    let proxy = Proxy::start(server.port);
    let terminal = alice(&proxy.address(), &["--plain"]);
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("big.bin");
    fs::write(&file, noise(40_000_000, 1)).unwrap();
    // So much of it passes, and then no more.
    proxy.limit(25_000_000, usize::MAX);
    terminal.keys(format!("/send #lobby {}\n", file.display()));
    told(&terminal, "note: sending big.bin, 38 MB");
    terminal.wait_until("how far it is", |screen| {
        screen.lines.iter().any(|line| line.starts_with("note: sending big.bin: ") && line.contains(" percent"))
    });
    terminal.keys("/cancel big.bin\n");
    is_plain(&terminal);
}

#[test]
fn who_types_is_told_only_to_those_who_want_it() {
    let (server, mut bob) = lobby();
    let mut carol = server.in_room("carol", "#lobby");
    for (options, is_shown) in
        [(&["--plain"][..], false), (&["--plain", "--typing", "on"], true), (&["--typing", "off"], false), (&[], true)]
    {
        let mut terminal = alice(&server.address(), options);
        bob.send("/typing #lobby on");
        bob.until("+ typing #lobby on");
        // Whoever is told of it is told by then; what is said later is shown later.
        carol.until("#lobby * bob typing");
        if is_shown {
            told(&terminal, "bob is typing");
        }
        bob.send("done");
        told(&terminal, "<bob> done");
        assert!(is_shown || !tells(&terminal, "is typing"), "{options:?}");
        if !options.contains(&"--plain") {
            terminal.keys("x");
            if is_shown {
                bob.until("#lobby * alice typing");
            }
            terminal.keys("\x7f");
        }
        terminal.keys(if options.contains(&"--plain") { "/quit\n" } else { "/quit\r" });
        terminal.wait_exit();
        let heard = bob.until("#lobby * alice quit");
        assert!(is_shown || !heard.iter().any(|line| line.contains("alice typing")), "{options:?}");
    }
}

#[test]
fn who_comes_and_goes_is_folded_on_wish_and_that_is_remembered() {
    let (server, mut bob) = lobby();
    let state = tempfile::tempdir().unwrap();
    let run = |options: &[&str]| start(connect(&server.address(), options).env("XDG_STATE_HOME", state.path()));
    for (is_plain, end) in [(true, "\n"), (false, "\r")] {
        let front: &[&str] = if is_plain { &["--plain"] } else { &[] };
        let mut terminal = run(front);
        come_and_go(&server, &mut bob);
        told(&terminal, "dave3 joined");
        told(&terminal, "dave1 left");
        terminal.keys(format!("/fold on{end}"));
        told(&terminal, "who comes and goes is only counted");
        come_and_go(&server, &mut bob);
        let text = format!("<bob> so many {is_plain}");
        bob.send(&text["<bob> ".len()..]);
        let lines = told(&terminal, &text).lines;
        let at = lines.iter().position(|line| line.contains(&text)).unwrap();
        assert!(lines[at - 1].ends_with("#lobby 4 came, 4 left"), "{:#?}", &lines[at - 1..]);
        terminal.keys(format!("/quit{end}"));
        terminal.wait_exit();
        bob.until("#lobby * alice quit");
        // The next run begins so, unless it is told something else.
        let runs = [(&[][..], true), (&["--fold=off"], false), (&["--fold"], true)];
        for (n, (options, is_folded)) in runs.into_iter().enumerate() {
            let mut terminal = run(&[front, options].concat());
            come_and_go(&server, &mut bob);
            // What was said earlier is told first.
            bob.send(&format!("again {is_plain} {n}"));
            told(&terminal, &format!("<bob> again {is_plain} {n}"));
            assert_eq!(tells(&terminal, "4 came, 4 left"), is_folded, "{options:?}");
            assert_eq!(tells(&terminal, "dave3 joined"), !is_folded, "{options:?}");
            if options.is_empty() {
                terminal.keys(format!("/fold{end}"));
                told(&terminal, "who comes and goes is only counted");
                terminal.keys(format!("/fold x{end}"));
                told(&terminal, "it is /fold on or /fold off");
            }
            terminal.keys(format!("/quit{end}"));
            terminal.wait_exit();
            bob.until("#lobby * alice quit");
        }
        fs::remove_file(state.path().join("chinwag/fold")).unwrap();
    }
}

/// Four people come into the lobby, and go again.
fn come_and_go(server: &Server, bob: &mut Client) {
    let many: Vec<Client> = (0..4).map(|n| server.in_room(&format!("dave{n}"), "#lobby")).collect();
    bob.until("#lobby * dave3 joined");
    for mut person in many {
        person.send("/leave #lobby");
        person.until("+ leave #lobby");
    }
    bob.until("#lobby * dave3 left");
}

#[test]
fn words_are_searched_here_and_on_the_server() {
    let (server, mut bob) = lobby();
    for n in 0..60 {
        bob.send(&format!("before {n}: {}", if n % 20 == 0 { "Tea" } else { "coffee" }));
    }
    bob.settle();
    for (option, end) in [("--plain=on", "\n"), ("--plain=off", "\r")] {
        let mut terminal = alice(&server.address(), &[option]);
        bob.send("/msg alice tea for two");
        told(&terminal, "tea for two");
        terminal.keys(format!("/search tea{end}"));
        let lines = told(&terminal, "4 with “tea” in what was shown here and the last 500 messages of #lobby").lines;
        let last = lines.iter().rposition(|line| line.contains("4 with “tea”")).unwrap();
        let last = if lines[last - 1] == "note: that was said before" { last - 1 } else { last };
        for (line, want) in
            lines[last - 4..last].iter().zip(["before 0: Tea", "before 20: Tea", "before 40: Tea", "tea for two"])
        {
            assert!(line.ends_with(want) && line.as_bytes()[2] == b':', "{line:?} in the place of {want:?}");
        }
        terminal.keys(format!("/search beer{end}"));
        told(&terminal, "no message and no file with “beer”");
        terminal.keys(format!("/quit{end}"));
        terminal.wait_exit();
        bob.until("#lobby * alice quit");
    }
}

#[test]
fn a_message_without_an_answer_is_shown_at_once_and_sure_when_it_is_answered() {
    let (server, mut bob) = lobby();
    let proxy = Proxy::start(server.port);
    let terminal = alice(&proxy.address(), &["--plain=off", "--color", "always"]);
    proxy.stall(true);
    terminal.keys("are you there?\r");
    let screen = told(&terminal, "… #lobby are you there?");
    let input = screen.cursor.0;
    assert_eq!(screen.rows[input], "#lobby>", "the line is free for the next");
    assert!(screen.rows[input + 1].starts_with("… #lobby are you there?"), "{screen}");
    assert!(screen.rows[input + 2].contains("· alice ·"), "{screen}");
    assert!(String::from_utf8_lossy(&terminal.raw()).contains("\x1b[2m… #lobby are you there?"), "it is dim");
    proxy.stall(false);
    bob.until("#lobby <alice> are you there?");
    told(&terminal, "#lobby <alice> are you there?");
    terminal.wait_until("it gone from below", |screen| !screen.lines.iter().any(|line| line.contains('…')));
}

#[test]
fn a_script_does_not_wait_for_ever_for_a_server_that_is_gone() {
    let Some(preload) = faketime() else { return };
    // (how many lines it has, more than can wait in all or fewer; whether the server comes back)
    for (count, is_back) in [(300, false), (300, true), (3, false)] {
        let (server, mut bob) = lobby();
        let proxy = Proxy::start(server.port);
        let mut command = connect(&proxy.address(), &["--plain"]);
        // A minute goes by in a second.
        command.env("LD_PRELOAD", &preload).env("FAKETIME", if is_back { "+0" } else { "+0 x60" });
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let mut input = child.stdin.take().unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok);
        assert!(lines.any(|line| line == "in #lobby: alice bob"));
        writeln!(input, "here").unwrap();
        bob.until("#lobby <alice> here");
        proxy.refuse(true);
        proxy.cut(Cut::Close);
        if !is_back {
            assert!(lines.any(|line| line.starts_with("note: the connection is lost: ")));
        }
        (0..count).for_each(|n| writeln!(input, "line {n}").unwrap());
        let rest = if count > 100 { "100 lines to say; no more are read until then" } else { "3 lines to say" };
        // The shorter one says no more than that.
        let input = (count > 100).then_some(input);
        assert!(
            lines.any(|line| line == format!("note: waiting for the server, for 120 seconds at most, with {rest}"))
        );
        proxy.refuse(!is_back);
        if is_back {
            drop(input);
            bob.until(&format!("#lobby <alice> line {}", count - 1));
            assert!(child.wait().unwrap().success());
            continue;
        }
        let output = child.wait_with_output().unwrap();
        let errors = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(1));
        assert!(errors.contains("the server did not come back within 120 seconds"), "{errors}");
        assert!(lines.any(|line| line == "not sent: #lobby line 0"));
    }
}

#[test]
fn a_line_is_tried_at_once_after_a_sleep() {
    let Some(preload) = faketime() else { return };
    let (server, mut bob) = lobby();
    let proxy = Proxy::start(server.port);
    let folder = tempfile::tempdir().unwrap();
    let clock = folder.path().join("offset");
    // It may be read at any moment, and must be whole then.
    let set = |offset: &str| {
        fs::write(clock.with_extension("new"), offset).unwrap();
        fs::rename(clock.with_extension("new"), &clock).unwrap();
    };
    set("+0");
    let mut command = connect(&proxy.address(), &["--plain"]);
    command.env("LD_PRELOAD", preload).env("FAKETIME_TIMESTAMP_FILE", &clock);
    command.env("FAKETIME_NO_CACHE", "1").env("FAKETIME_DONT_FAKE_MONOTONIC", "1").env("FAKETIME_DISABLE_SHM", "1");
    let terminal = start(&mut command);
    proxy.stall(true);
    set("+1h");
    // It would be found dead after a minute else, which is longer than is waited for here.
    eventually("another connection", || proxy.open() > 1);
    proxy.stall(false);
    bob.send("good morning");
    told(&terminal, " #lobby <bob> good morning");
}

#[test]
fn who_leaves_several_rooms_at_once_is_told_of_once() {
    let (server, mut bob) = lobby();
    for room in ["#club", "#tea"] {
        bob.send(&format!("/join {room}"));
        bob.until(&format!("+ join {room} 1"));
    }
    let terminal = alice(&server.address(), &["--plain", "--join", "#club", "--join", "#tea"]);
    told(&terminal, "in #tea: ");
    bob.send("/nick rob");
    told(&terminal, "bob is now rob");
    bob.send("/quit so long");
    told(&terminal, "rob quit (so long)");
    let _carol = server.in_room("carol", "#lobby");
    let lines = told(&terminal, "carol joined").lines;
    for what in ["bob is now rob", "rob quit (so long)"] {
        let told: Vec<_> = lines.iter().filter(|line| line.contains(what)).collect();
        let [line] = told[..] else { panic!("{lines:#?}") };
        assert!(["#lobby", "#club", "#tea", " and "].iter().all(|room| line.contains(room)), "{line}");
    }
    is_plain(&terminal);
}
