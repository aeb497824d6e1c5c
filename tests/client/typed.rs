//! What is typed into the client, and what of it others hear.

use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt as _;
use std::process::Command;

use rustix::process::{Pid, Signal, kill_process};
use testkit::pty::{Emulator, Speaks, Terminal};
use testkit::{binary, eventually};

use crate::terminal::{alice, below, come_in, connect, enter, input, lobby, told, typed};

#[test]
fn what_a_script_or_an_emoji_needs_is_heard_as_it_was_typed() {
    let (server, mut bob) = lobby();
    let terminal = alice(&server.address(), &[], (80, 24), Emulator::Reflowing);
    let england = "🏴\u{e0067}\u{e0062}\u{e0065}\u{e006e}\u{e0067}\u{e007f}";
    let texts =
        ["می\u{200c}خواهم", "क्\u{200d}ष", "👩‍👩‍👧", "🏳️‍🌈", "ich❤️dich", "1️⃣ 葛\u{e0100}", england, "ภาษา\u{200b}ไทย"];
    for text in texts {
        terminal.keys(format!("{text}\r"));
        bob.until(&format!("#lobby <alice> {text}"));
    }
    // What hides, where nothing needs it, does not go along. What is typed may be taken back whole.
    terminal.keys("no\u{ad}thing👩‍👩‍👧\x7f\u{200b}\r");
    bob.until("#lobby <alice> nothing");
    // So it is where one looks for that, and before an answer.
    for text in texts {
        terminal.keys(format!("\x12{text}x\x7f"));
        terminal.wait_until("it is found", |screen| input(screen).contains(&format!(": {text}")));
        terminal.keys("\x05!\r");
        bob.until(&format!("#lobby <alice> {text}!"));
        terminal.keys("\x1b[200~1\n2\x1b[201~");
        terminal.wait_until("a question", |screen| input(screen).ends_with("y/n"));
        terminal.keys(format!("…{text}"));
        terminal.wait_until("what waits", |screen| input(screen).contains("; then: …"));
        terminal.keys("\x1b");
        terminal.wait_until("no question", |screen| input(screen).starts_with("#lobby> …"));
        terminal.keys("\r");
        bob.until(&format!("#lobby <alice> …{text}"));
    }
}

#[test]
fn what_is_pasted_for_one_person_or_with_a_secret_is_said_to_nobody() {
    let (server, mut bob) = lobby();
    let terminal = alice(&server.address(), &[], (100, 24), Emulator::Reflowing);
    // What comes at once is taken for a paste, as long as the terminal has marked none.
    terminal.keys("/w bob psst\r/w bob two\r");
    told(&terminal, "line 1 begins with /w, which others would read");
    let long = "secret ".repeat(580);
    for (text, why) in [
        ("/login alice correct-horse\r/join #club", "line 1 begins with /login, which others would read"),
        ("so\r/msg bob psst\r", "line 2 begins with /msg, which others would read"),
        (&format!("/msg bob {long}"), "it makes a line of 4069 bytes, which has at most 4000"),
        (&format!("/topic {long}\r"), "it makes a line of 4067 bytes"),
    ] {
        terminal.keys(format!("\x1b[200~{text}\x1b[201~"));
        told(&terminal, why);
    }
    assert!(!bob.settle().iter().any(|line| line.contains("alice>")));
    // One line is as if it had been typed, with its end or without.
    terminal.keys("\x1b[200~/msg bob psst\r\x1b[201~");
    typed(&terminal, "#lobby> /msg bob psst");
    terminal.keys("\r");
    bob.until("@alice <alice> psst");
}

#[test]
fn what_was_typed_while_a_link_was_cut_is_done_or_found_again() {
    let (server, mut bob) = lobby();
    let terminal = alice(&server.address(), &[], (100, 24), Emulator::Reflowing);
    // Over mosh or ssh it comes at once afterwards.
    let late = "so\r/msg bob psst\rback\r";
    terminal.keys(late);
    told(
        &terminal,
        "line 2 begins with /msg, which others would read; paste that line alone; Up brings the lines back",
    );
    terminal.keys("\x1b[A\x1b[A");
    typed(&terminal, "#lobby> /msg bob psst");
    terminal.keys("\r");
    bob.until("@alice <alice> psst");
    // A terminal that marks what is pasted has shown that this was typed.
    terminal.keys("\x1b[200~hello\x1b[201~");
    typed(&terminal, "#lobby> hello");
    terminal.keys("\x03");
    typed(&terminal, "#lobby>");
    terminal.keys(late);
    for line in ["#lobby <alice> so", "@alice <alice> psst", "#lobby <alice> back"] {
        bob.until(line);
    }
}

#[test]
fn what_was_begun_while_mosh_had_no_link_is_no_line_of_a_paste() {
    let (server, mut bob) = lobby();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("mosh-server");
    fs::write(&path, "#!/bin/sh\n\"$@\"\nexit $?\n").unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    let client = connect(&server.address(), &[]);
    let mut command = Command::new(&path);
    command.arg(client.get_program()).args(client.get_args());
    let terminal = Terminal::start(&mut command, 100, 24, Emulator::Reflowing, Speaks::Nothing);
    come_in(&terminal, &server.address());
    terminal.keys("hello\rhow are y");
    bob.until("#lobby <alice> hello");
    typed(&terminal, "#lobby> how are y");
    terminal.keys("ou?\rfine\rand");
    typed(&terminal, "send these 2 lines to #lobby? y/n; then: and");
    terminal.keys("\x15y");
    bob.until("#lobby <alice> fine");
}

#[test]
fn a_terminal_that_is_not_utf_8_is_told_of() {
    let (server, mut bob) = lobby();
    let note = "which is all that is written here; if letters come out wrong";
    for (locale, is_told) in [("de_DE.ISO-8859-1", true), ("C", true), ("de_DE.UTF-8@euro", false)] {
        let mut command = connect(&server.address(), &[]);
        let mut terminal =
            Terminal::start(command.env("LC_ALL", locale), 200, 24, Emulator::Reflowing, Speaks::Nothing);
        come_in(&terminal, &server.address());
        let lines = terminal.screen().lines;
        assert_eq!(lines.iter().any(|line| line.contains(&format!("(LC_ALL={locale}) is not UTF-8, {note}"))), is_told);
        // What is typed in another encoding is told of once, before it is said.
        let unreadable = "some of what you wrote is no UTF-8, and others see \u{fffd} in its place";
        for keys in [&b"gr\xfc\xdfe"[..], b"\x1b[200~\xe4\x1b[201~"] {
            terminal.keys(keys);
            told(&terminal, unreadable);
        }
        typed(&terminal, "#lobby> gr\u{fffd}\u{fffd}e\u{fffd}");
        assert_eq!(terminal.screen().lines.iter().filter(|line| line.contains(unreadable)).count(), 1);
        terminal.keys("\x03/quit\r");
        terminal.wait_exit();
    }
    assert!(!bob.settle().iter().any(|line| line.contains("<alice>")));
}

#[test]
fn an_answer_says_nothing_of_what_was_half_typed() {
    let (server, mut bob) = lobby();
    let terminal = alice(&server.address(), &[], (100, 24), Emulator::Reflowing);
    terminal.keys("half ");
    for no in [&["no\r"][..], &["n", "o", "\r"], &["n", "\r"], &["NO", "\r"]] {
        terminal.keys("\x1b[200~1\r2\x1b[201~");
        typed(&terminal, "send these 2 lines to #lobby? y/n");
        for keys in no {
            terminal.keys(keys);
            eventually("they are taken", || terminal.is_at_rest());
        }
        typed(&terminal, "#lobby> half");
    }
    assert!(!bob.settle().iter().any(|line| line.contains("<alice>")));
    terminal.keys("a pound\r");
    bob.until("#lobby <alice> half a pound");
}

#[test]
fn who_is_here_is_completed_before_who_has_gone() {
    let (server, mut bob) = lobby();
    bob.send("/set presence on");
    let mut anna = server.in_room("anna", "#lobby");
    let mut all_know =
        |change: &str| while !bob.until_starting("* presence ").iter().any(|line| line.contains(change)) {};
    all_know(" +anna");
    anna.send("hello\n/quit");
    all_know(" -anna");
    let mut annika = server.in_room("annika", "#lobby");
    let terminal = alice(&server.address(), &[], (80, 24), Emulator::Reflowing);
    told(&terminal, "<anna> hello");
    terminal.keys("ann\t");
    typed(&terminal, "#lobby> annika:");
    annika.send("/quit");
    // Where nobody else is meant, who has gone is found too.
    terminal.wait_until("annika gone", |screen| below(screen).contains("2 online"));
    terminal.keys("\x03ann\t");
    typed(&terminal, "#lobby> anna:");
}

#[test]
fn a_question_in_a_narrow_window_is_seen() {
    let (server, _bob) = lobby();
    let terminal = alice(&server.address(), &[], (80, 5), Emulator::Clipping);
    terminal.resize(16, 5);
    terminal.keys("\x1b[200~1\n2\n3\x1b[201~");
    typed(&terminal, "send 3? y/n");
}

#[test]
fn the_list_of_commands_tells_of_plain_text() {
    let (server, _bob) = lobby();
    let terminal = alice(&server.address(), &[], (80, 24), Emulator::Reflowing);
    enter(&terminal, "/help");
    told(&terminal, "chinwag connect --plain is for screen readers");
}

#[test]
fn a_server_that_does_not_greet_is_told_of_before_it_is_given_up() {
    // It is spoken with in clear, and waits for TLS.
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    for options in [&[][..], &["--plain"]] {
        let mut command = connect(&address, options);
        let mut terminal = Terminal::start(&mut command, 100, 24, Emulator::Reflowing, Speaks::Nothing);
        let (connection, _) = listener.accept().unwrap();
        told(&terminal, &format!("{address} has not greeted us yet as chinwag does"));
        told(&terminal, &format!("say tls://{address}"));
        terminal.keys("hello\r");
        terminal.wait_until("what is typed", |screen| screen.lines.iter().any(|line| line.contains("hello")));
        eventually("it is taken", || terminal.is_at_rest());
        drop(connection);
        assert!(!terminal.wait_exit().success());
        assert!(terminal.screen().lines.iter().any(|line| line == "not sent: #lobby hello"), "{}", terminal.screen());
    }
}

#[test]
fn without_the_terminal_it_ends_when_it_is_asked_to() {
    let (server, _bob) = lobby();
    let address = server.address();
    let client = "set -m; \"$0\" connect --nick alice --join '#lobby' $2 $1";
    let end =
        "p=$(jobs -p); kill $p; kill -CONT $p; while kill -0 $p 2>&-; do wait $p; done; echo it has ended; read x";
    let stopped = "until [ \"$(cut -d ' ' -f 3 /proc/$!/stat)\" = T ]; do :; done";
    for (options, script) in [
        // Where others have the terminal it stops by itself, also when it is to go on there.
        ("", format!("{client} & {stopped}; {end}")),
        ("", format!("{client} & {stopped}; kill -CONT $!; {stopped}; {end}")),
        // It is stopped from outside.
        ("--color=never", format!("{client}; {end}")),
        ("--plain", format!("{client}; {end}")),
    ] {
        let mut command = Command::new("bash");
        command.args(["-c", &script, binary(), &address, options]);
        let mut terminal = Terminal::start(&mut command, 60, 15, Emulator::Reflowing, Speaks::Nothing);
        if !options.is_empty() {
            told(&terminal, "in #lobby: ");
            let children = fs::read_to_string(format!("/proc/{0}/task/{0}/children", terminal.pid())).unwrap();
            kill_process(Pid::from_raw(children.trim().parse().unwrap()).unwrap(), Signal::STOP).unwrap();
        }
        told(&terminal, "it has ended");
        terminal.keys("\n");
        terminal.wait_exit();
    }
}

#[test]
fn a_pipe_in_the_place_of_what_was_typed_before_holds_nobody_up() {
    let (server, mut bob) = lobby();
    let home = tempfile::tempdir().unwrap();
    let folder = home.path().join(".local/state/chinwag");
    fs::create_dir_all(&folder).unwrap();
    assert!(Command::new("mkfifo").arg(folder.join("history")).status().unwrap().success());
    let mut command = connect(&server.address(), &[]);
    command.env("HOME", home.path()).env_remove("XDG_STATE_HOME");
    let terminal = Terminal::start(&mut command, 60, 15, Emulator::Reflowing, Speaks::Nothing);
    come_in(&terminal, &server.address());
    for text in ["one", "two"] {
        enter(&terminal, text);
        bob.until(&format!("#lobby <alice> {text}"));
    }
}
