//! The programs that people have: each of them can talk, and is answered to its end.

use std::io::{BufRead, BufReader, Read, Write};
use std::process::{Command, Stdio};

use testkit::pty::{Emulator, Speaks, Terminal};
use testkit::{Client, Server, have, timed};

/// What a shell command prints that is given the server's port as `$1`.
fn shell(server: &Server, script: &str) -> String {
    let output =
        timed().args(["bash", "-c", script, "bash", &server.port.to_string()]).stderr(Stdio::piped()).output().unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    let out = String::from_utf8(output.stdout).unwrap();
    assert!(!out.is_empty(), "{script} prints nothing; {errors}");
    out.lines().filter(|line| !line.starts_with("* presence ")).map(|line| format!("{line}\n")).collect()
}

#[test]
fn one_shot_commands_are_answered_to_the_end() {
    if !have(&["nc.openbsd", "nc.traditional", "ncat"]) {
        return;
    }
    let server = Server::start(&[]);
    for script in [
        "printf '/who\\n/ping end' | nc.openbsd -N 127.0.0.1 $1",
        "printf '/who\\n/ping end' | nc.traditional -q 10 127.0.0.1 $1",
        "printf '/who\\n/ping end' | ncat 127.0.0.1 $1",
        "exec 3<>/dev/tcp/127.0.0.1/$1; printf '/who\\n/ping end\\n/quit\\n' >&3; cat <&3 | grep -v '+ quit'",
    ] {
        let out = shell(&server, script);
        let lines: Vec<&str> = out.lines().collect();
        assert!(lines[0].starts_with("* hello guest"), "{script}: {out}");
        assert!(lines.iter().any(|line| line.starts_with("+ who ")), "{script}: {out}");
        assert_eq!(lines.last(), Some(&"+ ping end"), "{script}: {out}");
    }
}

#[test]
fn a_shell_can_write_and_forget() {
    let server = Server::start(&[]);
    let mut alice = server.in_room("alice", "#a");
    shell(&server, "printf '/join #a\\nfrom a shell\\n' | cat > /dev/tcp/127.0.0.1/$1; echo done");
    let seen = alice.until_starting("#a <guest");
    assert!(seen.last().unwrap().ends_with("> from a shell"));
}

#[test]
fn telnet_shows_lines_as_they_should_be() {
    if !have(&["telnet"]) {
        return;
    }
    let server = Server::start(&[]);
    let mut alice = server.in_room("alice", "#a");
    let mut telnet = Command::new("telnet")
        .args(["127.0.0.1", &server.port.to_string()])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut keys = telnet.stdin.take().unwrap();
    let mut screen = BufReader::new(telnet.stdout.take().unwrap());
    let mut until = |want: &str| {
        let mut line = String::new();
        while !line.contains(want) {
            line.clear();
            assert!(screen.read_line(&mut line).unwrap() > 0, "telnet ended before {want:?}");
        }
        line
    };
    until("* hello guest1");
    keys.write_all(b"/set presence off\n/nick tel\n/join #a\n").unwrap();
    until("+ join #a 2");
    alice.until("#a * tel joined");
    keys.write_all(b"hello from telnet\n").unwrap();
    alice.expect("#a <tel> hello from telnet");
    alice.send("hello telnet");
    assert_eq!(until("<alice>").trim_end(), "#a <alice> hello telnet");
    keys.write_all(b"/quit\n").unwrap();
    until("+ quit");
    telnet.wait().unwrap();
}

/// A guest by telnet in #a, where alice is.
fn telnet_in_room(server: &Server, alice: &mut Client) -> Terminal {
    let mut command = Command::new("telnet");
    command.args(["127.0.0.1", &server.port.to_string()]);
    let telnet = Terminal::start(&mut command, 80, 24, Emulator::Reflowing, Speaks::Nothing);
    shows(&telnet, "* hello guest");
    telnet.keys("/join #a\n");
    shows(&telnet, "+ join #a 2");
    alice.until_starting("#a * guest");
    telnet
}

fn shows(telnet: &Terminal, what: &str) {
    telnet.wait_until_raw(what, |raw| String::from_utf8_lossy(raw).contains(what));
}

#[test]
fn what_a_telnet_synch_goes_before_is_heard_as_it_was_typed() {
    if !have(&["telnet", "setsid"]) {
        return;
    }
    let server = Server::start(&[]);
    let mut alice = server.in_room("alice", "#a");
    let telnet = telnet_in_room(&server, &mut alice);
    for n in 0..3 {
        telnet.keys("\x1d");
        telnet.keys("send synch\n");
        telnet.keys(format!("hello {n}\n"));
        assert!(alice.starting("#a <guest").ends_with(&format!("> hello {n}")));
    }
}

#[test]
fn telnet_says_letters_that_it_takes_for_keys() {
    if !have(&["telnet", "setsid"]) {
        return;
    }
    let server = Server::start(&[]);
    let mut alice = server.in_room("alice", "#a");
    let mut says = |prompt: &[&str], lines: &[(&str, &str)]| {
        let telnet = telnet_in_room(&server, &mut alice);
        prompt.iter().for_each(|&typed| telnet.keys(typed));
        for (typed, said) in lines {
            telnet.keys(format!("{typed}\n"));
            assert!(alice.starting("#a <guest").ends_with(&format!("> {said}")), "{typed}");
            alice.send(&format!("heard {typed}"));
            shows(&telnet, &format!("<alice> heard {typed}"));
        }
        let shown = telnet.raw();
        drop(telnet);
        alice.until_starting("#a * guest");
        String::from_utf8(shown).unwrap()
    };
    // From the first of these letters on all come as they are, also the one that is telnet's Ctrl-].
    says(&[], &[("Меня зовут Коля, я 小明", "Меня зовут Коля, я 小明"), ("Надежда", "Надежда")]);
    says(&[], &[("Überall Öl", "Überall Öl"), ("Åsa, Ý", "Åsa, Ý")]);
    // Whoever begins with one that is lost is told what helps. It goes on until telnet sends a command for a letter, as the page of programs
    // tells: nothing else distinguishes it from a program that sends no UTF-8, which must not be sent commands.
    let shown = says(&[], &[("Åsa", "\u{fffd}sa"), ("é Åke", "é \u{fffd}ke"), ("Über", "Über"), ("Åke", "Åke")]);
    assert!(shown.contains("(telnet: Ctrl-], and set outbinary)"), "{shown}");
    says(&["\x1d", "set outbinary\n"], &[("Åsa", "Åsa"), ("Надежда", "Надежда")]);
}

#[test]
fn a_conversation_of_two_ncs() {
    if !have(&["nc.openbsd"]) {
        return;
    }
    let server = Server::start(&[]);
    let start = |nick: &str| {
        let mut nc = Command::new("nc.openbsd")
            .args(["127.0.0.1", &server.port.to_string()])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let keys = nc.stdin.take().unwrap();
        writeln!(&keys, "/set presence off\n/nick {nick}\n/join #lobby").unwrap();
        let screen = BufReader::new(nc.stdout.take().unwrap());
        (nc, keys, screen)
    };
    fn until(screen: &mut impl BufRead, want: &str) {
        let mut line = String::new();
        while line.trim_end() != want {
            line.clear();
            assert!(screen.read_line(&mut line).unwrap() > 0, "the end before {want:?}");
        }
    }
    let (mut alice, alice_keys, mut alice_screen) = start("alice");
    until(&mut alice_screen, "+ join #lobby 1");
    let (mut bob, bob_keys, mut bob_screen) = start("bob");
    until(&mut bob_screen, "- here alice bob");
    until(&mut alice_screen, "#lobby * bob joined");
    writeln!(&bob_keys, "/typing").unwrap();
    until(&mut alice_screen, "#lobby * bob typing");
    writeln!(&bob_keys, "morning!").unwrap();
    until(&mut alice_screen, "#lobby <bob> morning!");
    writeln!(&alice_keys, "hi bob").unwrap();
    until(&mut bob_screen, "#lobby <alice> hi bob");
    writeln!(&bob_keys, "/send #lobby 5 note.txt\n=aGVsbG8=").unwrap();
    until(&mut alice_screen, "#lobby * bob file 1 5 note.txt");
    writeln!(&alice_keys, "/get 1").unwrap();
    until(&mut alice_screen, "=1 aGVsbG8=");
    until(&mut alice_screen, "=1 . 5 sha256:2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824");
    // Ctrl-C in the middle.
    bob.kill().unwrap();
    let mut line = String::new();
    while !line.starts_with("#lobby * bob ") {
        line.clear();
        alice_screen.read_line(&mut line).unwrap();
    }
    assert!(matches!(line.trim_end(), "#lobby * bob quit" | "#lobby * bob lost reset"), "{line}");
    writeln!(&alice_keys, "/quit").unwrap();
    drop(alice_keys);
    let mut rest = String::new();
    alice_screen.read_to_string(&mut rest).unwrap();
    assert!(rest.ends_with("+ quit\n"), "{rest}");
    alice.wait().unwrap();
    bob.wait().unwrap();
}
