//! The server from outside: lines, telnet, the end of input, bad input, options, and its end.

use std::fs;
use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use testkit::{Client, PATIENCE, Server, binary, eventually, have, timed};

/// Everything that comes of sending `parts`, one after the other, and ending the input.
fn answers(server: &Server, parts: &[&[u8]]) -> String {
    let mut stream = TcpStream::connect(server.address()).unwrap();
    stream.set_nodelay(true).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    for part in parts {
        stream.write_all(part).unwrap();
    }
    stream.shutdown(Shutdown::Write).unwrap();
    let mut all = Vec::new();
    stream.read_to_end(&mut all).unwrap();
    let all = String::from_utf8(all).unwrap();
    let lines: Vec<&str> = all.split_inclusive('\n').filter(|line| !line.starts_with("* presence ")).collect();
    lines[1..].concat()
}

#[test]
fn who_wants_it_has_only_whole_lines_carried_out() {
    let server = Server::start(&[]);
    let mut bob = server.in_room("bob", "#lobby");
    for is_reset in [false, true] {
        for (setting, half) in [("on", None), ("off", Some("#lobby <alice> ha"))] {
            let mut alice = server.in_room("alice", "#lobby");
            alice.ask(&format!("/set whole {setting}"), &format!("+ set whole {setting}"));
            bob.until("#lobby * alice joined");
            alice.send_bytes(b"whole\nha");
            bob.expect("#lobby <alice> whole");
            if is_reset {
                socket2::SockRef::from(&alice.stream).set_linger(Some(Duration::ZERO)).unwrap();
            }
            drop(alice);
            if let Some(half) = half {
                bob.expect(half);
            }
            bob.starting("#lobby * alice ");
        }
    }
    // It is no matter for a person who asks for their settings.
    bob.send("/set");
    assert_eq!(bob.until("+ set"), ["- echo off", "- stamp off", "- presence off", "- typing on"]);
}

#[test]
fn however_lines_are_split_or_glued_the_replies_are_the_same() {
    let server = Server::start(&["--rate", "0"]);
    let input =
        "/ping a\n\n/nope\r\n?\u{feff}\n\0\r\n/ping \0bx\x08\r\0/who\x15/set\n/ping caf\u{e9} \u{1f600}\n/help ping\n/ping unfinished"
            .as_bytes();
    let want = answers(&server, &[input]);
    assert_eq!(
        want,
        "+ ping a\n! ? unknown-command /nope: no such command; /help lists them\r\n! say no-room nobody hears you here; \
         /join #lobby or /query NAME first\r\n+ ping b\r\n- echo off\r\n- stamp off\r\n- presence on\r\n- typing on\r\n+ set\r\n\
         + ping café 😀\r\n- /ping [TOKEN]  are you there?\r\n+ help\r\n+ ping unfinished\r\n"
    );
    for at in 0..=input.len() {
        assert_eq!(answers(&server, &[&input[..at], &input[at..]]), want, "split at {at}");
    }
    let bytes: Vec<&[u8]> = input.chunks(1).collect();
    assert_eq!(answers(&server, &bytes), want, "byte by byte");
    // As many as one likes, and the replies are matched by counting.
    let many: String = (0..20_000).map(|n| format!("/ping {n}\n")).collect();
    let mut client = server.connect();
    let mut writer = client.stream.try_clone().unwrap();
    let sending = std::thread::spawn(move || writer.write_all(many.as_bytes()).unwrap());
    for n in 0..20_000 {
        let line = std::iter::from_fn(|| client.line()).find(|line| !line.starts_with("* presence "));
        assert_eq!(line, Some(format!("+ ping {n}")));
    }
    sending.join().unwrap();
}

#[test]
fn telnet_negotiation_is_refused_and_lines_are_answered_as_they_end() {
    let server = Server::start(&[]);
    let mut client = server.connect();
    client.send_bytes(b"/set presence off\n");
    client.until("+ set presence off");
    client.send_bytes(b"\xff\xfb\x1f\xff\xfd\x03\xff\xfa\x1f\x00\x50\x00\x18\xff\xf0/pi\xff\xf1ng x\r\n");
    let mut refusals = [0; 6];
    client.reader().read_exact(&mut refusals).unwrap();
    assert_eq!(refusals, *b"\xff\xfe\x1f\xff\xfc\x03");
    assert_eq!(client.raw_line(), b"+ ping x\r\n");
    client.send_bytes(b"/ping y\n");
    assert_eq!(client.raw_line(), b"+ ping y\r\n", "CRLF stays");
}

#[test]
fn a_first_line_of_another_protocol_closes_and_nothing_of_it_is_carried_out() {
    let server = Server::start(&[]);
    let mut witness = server.in_room("witness", "#x");
    let body = "Host: x\r\nContent-Length: 30\r\n\r\n/join #x\r\n/msg #x intruded\r\n";
    let path = "a".repeat(9000);
    for request in [
        format!("POST / HTTP/1.1\r\n{body}"),
        format!("GET /x?y HTTP/1.0\r\n{body}"),
        format!("\r\nPOST / HTTP/1.1\r\n{body}"),
        format!("POST /{path} HTTP/1.1\r\n{body}"),
        format!("PRI * HTTP/2.0\r\n{body}"),
    ] {
        let lines = answers(&server, &[request.as_bytes()]);
        assert!(
            lines.trim_end().starts_with("* bye not-http ") && lines.lines().count() == 1,
            "{request:.20}: {lines}"
        );
    }
    // A request line may be anything with a version at its end, whose first word is one.
    for (request, code) in [
        ("GET /a b HTTP/1.1", "not-http"),
        ("GET / HTTP/1.1 ", "not-http"),
        ("OPTIONS sip:x@y SIP/2.0", "not-chat"),
        ("DESCRIBE rtsp://x/y RTSP/1.0", "not-chat"),
        ("SSH-2.0-OpenSSH_9.2p1", "not-chat"),
        ("EHLO x", "not-chat"),
        ("HELO", "not-chat"),
        ("PROXY TCP4 192.0.2.1 192.0.2.2 1 2", "not-chat"),
        ("\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0cabcdabcdabcd", "not-chat"),
    ] {
        let lines = answers(&server, &[format!("{request}\r\n/join #x\r\n/msg #x intruded\r\n").as_bytes()]);
        let want = format!("* bye {code} ");
        assert!(lines.trim_end().starts_with(&want) && lines.lines().count() == 1, "{request:?}: {lines}");
    }
    for hello in [&b"\x16\x03\x01\x02\x00\x01\x00\n/join #x\n"[..], b"\x00\x01\x00\x00!\x12\xa4B\n/join #x\n"] {
        let lines = answers(&server, &[hello]);
        assert!(lines.starts_with("* bye not-text ") && lines.lines().count() == 1, "{lines}");
    }
    // Only a whole request line is one.
    for line in [
        "GET it while it is hot",
        "HTTP/1.1 is old",
        "what is HTTP/2 anyway",
        "get / http/1.1",
        "ehlo x",
        "HELLO x",
        "ssh-2.0-x",
        "proxy TCP4",
        "PROXYING",
        "QUIT",
    ] {
        let told = answers(&server, &[format!("{line}\n").as_bytes()]);
        assert!(told.starts_with("! say no-room "), "{line}: {told}");
    }
    // A command is a command, whatever it ends in; and only the first line is looked at.
    assert!(answers(&server, &[b"/msg nobody try HTTP/2\n"]).starts_with("! msg no-such-nick "));
    assert!(answers(&server, &[b"/ping\nEHLO x\n"]).starts_with("+ ping\n! say no-room "));
    assert_eq!(witness.settle(), Vec::<String>::new());
}

#[test]
fn the_last_line_reaches_who_is_turned_away_while_still_sending() {
    let server = Server::start(&[]);
    let mut client = server.connect();
    client.send_bytes(&[b"GET / HTTP/1.1\r\n", &[b'x'; 500_000][..]].concat());
    assert!(client.rest().iter().any(|line| line.starts_with("* bye not-http ")));
}

#[test]
fn long_lines_are_answered_and_the_connection_lives_on() {
    let server = Server::start(&["--rate", "0"]);
    let fits = format!("/ping {}\n", "x".repeat(4096 - 7));
    assert!(answers(&server, &[fits.as_bytes()]).starts_with("+ ping xxx"));
    let long = format!("/ping {}\n/ping next\n", "x".repeat(4096 - 6));
    let lines = answers(&server, &[long.as_bytes()]);
    assert!(lines.starts_with("! ? too-long ") && lines.ends_with("\n+ ping next\n"), "{lines}");
    // A gigabyte is only a matter of patience; a part of it shows what it costs.
    let mut client = server.connect();
    let before = server.usage().unwrap().resident;
    let piece = vec![b'x'; 1 << 20];
    for _ in 0..200 {
        client.send_bytes(&piece);
    }
    client.send("");
    client.until_starting("! ? too-long ");
    client.settle();
    assert!(server.usage().unwrap().resident < before + 1024, "{before} {}", server.usage().unwrap().resident);
}

#[test]
fn nobody_drives_another_persons_terminal() {
    let server = Server::start(&[]);
    let mut alice = server.in_room("alice", "#a");
    let mut bob = server.in_room("bob", "#a");
    alice.expect("#a * bob joined");
    bob.send_bytes(b"\x1b]0;title\x07\x1b[2J red \xe2\x80\xaeback\xe2\x80\xa8 half \xc3 \xf0\x9f \xed\xa0\x80 tab\there\x7f\xc2\x9b\n");
    assert!(bob.starting("* notice ").contains("UTF-8"));
    alice.expect(
        "#a <bob> \u{fffd}]0;title\u{fffd}\u{fffd}[2J red \u{fffd}back\u{fffd} half \u{fffd} \u{fffd} \
         \u{fffd}\u{fffd}\u{fffd} tab\ther\u{fffd}",
    );
    bob.send_bytes(b"/topic #a \x1b[31m\n/leave #a \x07\n");
    alice.expect("#a * bob topic \u{fffd}[31m");
    alice.expect("#a * bob left \u{fffd}");
}

#[test]
fn noise_neither_kills_nor_grows_the_server() {
    let server = Server::start(&["--rate", "0"]);
    for seed in 0..40 {
        let mut stream = TcpStream::connect(server.address()).unwrap();
        let mut noise = testkit::noise(100_000, seed);
        // Half of the connections get past their first byte.
        noise[0] = if seed % 2 == 0 { b'/' } else { noise[0] };
        let _ = stream.write_all(&noise);
        let _ = stream.shutdown(Shutdown::Write);
        let _ = stream.read_to_end(&mut Vec::new());
    }
    assert!(server.usage().unwrap().resident < 20_000, "{}", server.usage().unwrap().resident);
    server.person("still-there");
}

#[test]
fn the_end_of_input_is_answered_to_its_end() {
    let server = Server::start(&[]);
    assert!(answers(&server, &[b"/who\n/ping last"]).ends_with("1\n+ ping last\n"));
    // Also what flood control held back.
    let many: String = (0..90).map(|n| format!("/ping {n}\n")).collect();
    assert!(answers(&server, &[many.as_bytes()]).ends_with("+ ping 89\n"));
    let mut alice = server.in_room("alice", "#a");
    let mut bob = server.in_room("bob", "#a");
    bob.send_bytes(b"and that is that");
    bob.end();
    assert!(bob.rest().is_empty());
    assert_eq!(alice.until("#a * bob quit"), ["#a * bob joined", "#a <bob> and that is that"]);
}

#[test]
fn a_reset_is_the_end_of_input_too() {
    let server = Server::start(&[]);
    let mut alice = server.in_room("alice", "#a");
    let mut bob = server.in_room("bob", "#a");
    bob.send("last words");
    bob.send("really the last");
    socket2::SockRef::from(&bob.stream).set_linger(Some(Duration::ZERO)).unwrap();
    drop(bob);
    assert_eq!(
        alice.until_starting("#a * bob lost"),
        ["#a * bob joined", "#a <bob> last words", "#a <bob> really the last", "#a * bob lost reset"]
    );
}

#[test]
fn reasons_that_people_give_are_not_the_servers() {
    let server = Server::start(&[]);
    let mut alice = server.in_room("alice", "#a");
    let mut bob = server.in_room("bob", "#a");
    bob.send("/quit lost reset");
    assert_eq!(bob.until("+ quit"), Vec::<String>::new());
    assert!(bob.rest().is_empty());
    assert_eq!(alice.until("#a * bob quit lost reset"), ["#a * bob joined"]);
}

#[test]
fn a_full_server_says_so() {
    let server = Server::start(&["--max-clients", "2"]);
    let (_a, b) = (server.connect(), server.connect());
    for _ in 0..3 {
        let mut c = server.connect_raw();
        c.starting("* bye full ");
        assert_eq!(c.line(), None);
    }
    drop(b);
    eventually("a place is free again", || server.connect_raw().starting("* ").starts_with("* hello guest2 "));
}

#[test]
fn who_has_said_goodbye_and_does_not_go_takes_no_place() {
    let server = Server::start(&["--max-clients", "5"]);
    let mut gone = Vec::new();
    for _ in 0..300 {
        let mut client = server.connect();
        client.send("/quit");
        client.until("+ quit");
        gone.push(client);
    }
    let fds = fs::read_dir(format!("/proc/{}/fd", server.pid())).unwrap().count();
    assert!(fds < 5 + 64 + 40, "{fds} descriptors");
}

#[test]
fn a_long_stall_is_a_stall_too() {
    Server::start(&["--stall", "10000h"]).connect().settle();
}

#[test]
fn a_locked_server_lets_in_who_knows_the_password() {
    let file = tempfile::NamedTempFile::new().unwrap();
    fs::write(&file, "open sesame\nnot this\n").unwrap();
    let server = Server::start(&["--password-file", file.path().to_str().unwrap(), "--name", "The Club"]);
    let mut client = server.connect_raw();
    client.expect(&format!("* locked chinwag/{} send /pass PASSWORD", env!("CARGO_PKG_VERSION")));
    client.ask("/pass open sesame", "+ pass");
    assert!(client.starting("* hello guest1 ").contains(" 1 online at The Club; "));
    let mut stranger = server.connect_raw();
    stranger.starting("* locked ");
    for n in 0..5 {
        stranger.send(&format!("/pass {n}"));
        stranger.starting("! pass refused ");
    }
    stranger.starting("* bye refused ");
    assert_eq!(stranger.line(), None);
}

#[test]
fn the_message_of_the_day_follows_the_greeting() {
    let file = tempfile::NamedTempFile::new().unwrap();
    fs::write(&file, format!("Be kind.\r\n\nNo \x1b[31mred.\n|{}|\n", " ".repeat(60))).unwrap();
    let server = Server::start(&["--motd", file.path().to_str().unwrap()]);
    let mut client = server.connect();
    client.expect("* motd Be kind.");
    client.expect("* motd");
    client.expect("* motd No \u{fffd}[31mred.");
    // What the operator draws stays as it is.
    client.expect(&format!("* motd |{}|", " ".repeat(60)));
}

#[test]
fn several_listeners_are_told_in_order() {
    let mut child = Command::new(binary())
        .args(["serve", "--listen", "127.0.0.1:0", "--listen", "127.0.0.2:0"])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut out = std::io::BufReader::new(child.stdout.take().unwrap());
    let mut lines = [String::new(), String::new()];
    for line in &mut lines {
        std::io::BufRead::read_line(&mut out, line).unwrap();
    }
    for (line, host) in lines.iter().zip(["127.0.0.1", "127.0.0.2"]) {
        let address = line.trim().strip_prefix("listening ").unwrap();
        assert!(address.starts_with(host));
        Client::new(TcpStream::connect(address).unwrap()).starting("* hello ");
    }
    child.kill().unwrap();
    child.wait().unwrap();
}

#[test]
fn what_keeps_the_server_from_starting_is_said_in_one_line() {
    let server = Server::start(&[]);
    let taken = server.address();
    let dir = tempfile::tempdir().unwrap();
    let check = |options: &[&str], code: i32, want: &str| {
        let output = Command::new(binary()).arg("serve").args(options).output().unwrap();
        let errors = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(code), "{options:?}: {errors}");
        assert!(errors.contains(want), "{options:?}: {errors}");
        assert!(output.stdout.is_empty());
    };
    check(&["--listen", &taken], 1, &format!("chinwag: cannot listen on {taken}: address already in use"));
    check(&["--listen", "nonsense"], 1, "chinwag: cannot listen on nonsense: ");
    check(&["--listen", "127.0.0.1:0", "--motd", "/nowhere"], 1, "chinwag: cannot read /nowhere: no such file");
    check(&["--password-file", dir.path().to_str().unwrap()], 1, "chinwag: cannot ");
    check(&["--password-file", "/dev/null"], 1, "chinwag: /dev/null holds no password on its first line");
    check(&["--data", "/dev/null/x"], 1, "chinwag: cannot keep files in /dev/null/x: ");
    check(&["--max-file", "1X"], 2, "a size is a whole number with K, M, G or T");
    check(&["--max-file", "99999999T"], 2, "a size is at most 16777215T");
    check(&["--max-file", "2M", "--spool", "1M"], 1, "chinwag: --max-file is larger than --spool");
    check(&["--stall", "0"], 2, "a time is a whole number with s, m, h or d");
    check(&["--stall", "99999d"], 2, "a time is at most 49710d");
    for [all, one] in [["0.0.0.0:9", "127.0.0.1:9"], ["[::]:9", "[::1]:9"]] {
        for [first, second] in [[all, one], [one, all]] {
            let want = format!("chinwag: cannot listen on {one} besides {all}, which takes in all addresses");
            check(&["--listen", first, "--listen", second], 1, &want);
        }
    }
    let pipe = dir.path().join("pipe");
    assert!(Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    for option in ["--motd", "--password-file"] {
        check(
            &[option, pipe.to_str().unwrap()],
            1,
            "it is a pipe, and nothing came through it in 3 seconds; give a file",
        );
    }
    for limit in [9, 20, 63] {
        let script = format!("ulimit -n {limit} && exec \"$0\" serve --listen 127.0.0.1:0");
        let few = timed().args(["bash", "-c", &script, binary()]).output().unwrap();
        let told = String::from_utf8(few.stderr).unwrap();
        let want = format!(
            "chinwag: cannot serve with {limit} open files; raise the limit to 64 or more with ulimit -n 64, or LimitNOFILE=64 "
        );
        assert!(few.status.code() == Some(1) && told.contains(&want), "{told}");
    }
    // It is understood, though nobody has it yet.
    let _early = Server::start(&["--listen", "[fe80::1%lo]:0"]);
    check(&["--max-clients", "many"], 2, "--max-clients");
    check(&["--rate", "fast"], 2, "--rate");
    check(&["--name", "a\nb"], 2, "a name is one line of text that is seen");
    let data = dir.path().to_str().unwrap();
    let _first = Server::start(&["--data", data]);
    check(&["--listen", "127.0.0.1:0", "--data", data], 1, "another chinwag uses it");
}

#[test]
fn a_pipe_through_which_something_comes_will_do_for_a_file() {
    let mut command = Command::new("bash");
    let script = "exec \"$0\" serve --listen 127.0.0.1:0 --password-file <(sleep 0.3; echo hush)";
    let server = Server::start_with(command.args(["-c", script, binary()]));
    let mut alice = Client::new(TcpStream::connect(server.address()).unwrap());
    alice.starting("* locked ");
    alice.ask("/pass hush", "+ pass");
}

#[test]
fn more_connections_than_the_system_allows_are_as_many_as_it_allows() {
    let mut server = Server::start(&["--max-clients", "99999999"]);
    server.signal("TERM");
    let (_, log) = server.wait();
    let count = |before: &str| log.split_once(before).and_then(|(_, rest)| rest.split(' ').next()).map(str::to_owned);
    assert_eq!(count("leaves no more than "), count("at most "), "{log}");
    assert!(count("at most ").is_some_and(|count| count != "99999999"), "{log}");
}

#[test]
fn a_signal_says_goodbye_and_exits_with_0() {
    for signal in ["TERM", "INT"] {
        let mut server = Server::start(&[]);
        let mut alice = server.in_room("alice", "#a");
        let mut bob = server.connect();
        let since = Instant::now();
        server.signal(signal);
        assert_eq!(alice.rest(), ["* bye shutdown the server is shutting down (Enter or Ctrl-C ends nc)"]);
        assert!(bob.rest().last().unwrap().starts_with("* bye shutdown "));
        drop((alice, bob));
        let (status, log) = server.wait();
        assert_eq!(status.code(), Some(0), "{log}");
        assert!(since.elapsed() < Duration::from_secs(10));
    }
}

/// A server in a terminal of `script`, whose end closes it, and the path of its log.
fn in_a_terminal(dir: &Path, hangup: &str) -> (Server, String, PathBuf) {
    let log = dir.join("log");
    let command = format!(
        "echo $$ >{0}/pid; exec env {hangup} {1} serve --listen 127.0.0.1:0 2>{0}/log",
        dir.display(),
        binary()
    );
    let mut script = Command::new("script");
    let server = Server::start_with(script.args(["-qfc", &command, "/dev/null"]).stdin(Stdio::piped()));
    (server, fs::read_to_string(dir.join("pid")).unwrap().trim().to_owned(), log)
}

fn signal(pid: &str, name: &str) {
    assert!(Command::new("kill").args([&format!("-{name}"), pid]).status().unwrap().success());
}

#[test]
fn a_terminal_that_closes_ends_it_and_a_hangup_alone_does_not() {
    if !have(&["script"]) {
        return;
    }
    for (hangup, ends) in [("--default-signal=HUP", true), ("--ignore-signal=HUP", false)] {
        let dir = tempfile::tempdir().unwrap();
        let (server, pid, log) = in_a_terminal(dir.path(), hangup);
        let mut alice = server.connect();
        signal(&pid, "HUP");
        eventually("it reloads", || fs::read_to_string(&log).unwrap().contains("is read anew"));
        alice.settle();
        server.signal("KILL");
        if ends {
            assert_eq!(alice.rest(), ["* bye shutdown the server is shutting down (Enter or Ctrl-C ends nc)"]);
            assert!(fs::read_to_string(&log).unwrap().contains("the terminal was closed"));
            continue;
        }
        // It hears of no terminal any more, and reloads all the same.
        let reloads = || fs::read_to_string(&log).unwrap().matches("is read anew").count();
        let before = reloads();
        signal(&pid, "HUP");
        eventually("it reloads again", || reloads() > before);
        alice.settle();
        signal(&pid, "TERM");
        assert!(alice.rest().last().unwrap().starts_with("* bye shutdown "));
    }
}

#[test]
fn a_hangup_without_a_terminal_ends_nothing() {
    if !have(&["setsid"]) {
        return;
    }
    for hangup in ["--default-signal=HUP", "--ignore-signal=HUP"] {
        let mut command = Command::new("setsid");
        let mut server =
            Server::start_with(command.args(["env", hangup, binary(), "serve", "--listen", "127.0.0.1:0"]));
        let mut alice = server.connect();
        server.signal("HUP");
        server.signal("HUP");
        alice.settle();
        alice.ask("/ping", "+ ping");
        drop(alice);
        server.signal("TERM");
        let (status, _) = server.wait();
        assert_eq!(status.code(), Some(0));
    }
}

#[test]
fn signals_that_mean_something_to_other_servers_change_nothing() {
    let mut server = Server::start(&[]);
    let mut alice = server.connect();
    for signal in ["USR1", "USR2"] {
        server.signal(signal);
        alice.settle();
    }
    drop(alice);
    server.signal("TERM");
    let (status, log) = server.wait();
    assert_eq!(status.code(), Some(0));
    assert!(log.contains("SIGUSR1 and SIGUSR2 change nothing"), "{log}");
}

#[test]
fn a_log_that_nobody_reads_stops_nothing() {
    let mut command = Command::new(binary());
    command.args(["serve", "--listen", "127.0.0.1:0", "--rate", "0"]);
    let mut server = Server::start_with(command.env("RUST_LOG", "trace"));
    // A pipe takes 64 KiB, and what waits for it as much again.
    for _ in 0..2_000 {
        server.connect();
    }
    let mut alice = server.in_room("alice", "#a");
    alice.ask("/ping", "+ ping");
    drop(alice);
    server.signal("TERM");
    let (status, log) = server.wait();
    assert!(
        status.success() && log.contains("left out here, as nobody read what came before: "),
        "{} bytes",
        log.len()
    );
}

#[test]
fn a_password_file_may_have_what_editors_add_and_must_be_text() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("password");
    let file = path.to_str().unwrap();
    for bytes in [&b"\xef\xbb\xbfs\xc3\xa9same\r\n"[..], b"s\xc3\xa9same \t\r\nmore\n", b"\xef\xbb\xbf  s\xc3\xa9same"]
    {
        fs::write(&path, bytes).unwrap();
        let server = Server::start(&["--password-file", file]);
        let mut alice = server.connect_raw();
        alice.until_starting("* locked ");
        alice.ask("/pass sésame", "+ pass");
    }
    let latin = b"s\xe9same\n";
    let utf16 = b"\xff\xfes\0e\0s\0a\0m\0e\0\r\0\n\0";
    for (bytes, want) in
        [(&latin[..], "no text in UTF-8"), (utf16, "no text in UTF-8"), (&utf16[2..], "nobody can type")]
    {
        fs::write(&path, bytes).unwrap();
        let output = Command::new(binary())
            .args(["serve", "--listen", "127.0.0.1:0", "--password-file", file])
            .output()
            .unwrap();
        let errors = String::from_utf8(output.stderr).unwrap();
        assert!(output.status.code() == Some(1) && errors.contains(want), "{errors}");
    }
    // Whoever lets others read it is told.
    for (mode, is_told) in [(0o600, false), (0o640, true), (0o604, true)] {
        fs::write(&path, "secret\n").unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        let mut server = Server::start(&["--password-file", file]);
        server.signal("TERM");
        let (_, log) = server.wait();
        assert_eq!(log.contains("can read the password in "), is_told, "{mode:o}: {log}");
    }
    // Nor does the mark show in a message of the day.
    fs::write(&path, "\u{feff}welcome\n").unwrap();
    Server::start(&["--motd", file]).connect().until("* motd welcome");
}

#[test]
fn all_addresses_of_both_families_have_one_port_in_either_order() {
    let port = std::net::TcpListener::bind("[::]:0").unwrap().local_addr().unwrap().port();
    let (v4, v6) = (format!("0.0.0.0:{port}"), format!("[::]:{port}"));
    for order in [[&v4, &v6], [&v6, &v4]] {
        let mut command = Command::new(binary());
        let server = Server::start_with(command.args(["serve", "--listen", order[0], "--listen", order[1]]));
        for host in ["127.0.0.1", "::1"] {
            Client::new(TcpStream::connect((host, server.port)).unwrap()).starting("* hello ");
        }
    }
}

#[test]
fn it_says_who_can_come_in() {
    for (listen, is_alone) in
        [("127.0.0.1:0", true), ("[::1]:0", true), ("[::ffff:127.0.0.1]:0", true), ("0.0.0.0:0", false)]
    {
        let mut command = Command::new(binary());
        let mut server = Server::start_with(command.args(["serve", "--listen", listen]));
        server.signal("TERM");
        assert_eq!(server.wait().1.contains("only this machine can come in"), is_alone, "{listen}");
    }
    // Where passwords are not taken from others, the operator is told so.
    for (options, is_told) in [
        (&["--listen", "0.0.0.0:0"][..], true),
        (&["--listen", "127.0.0.1:0"], false),
        (&["--listen", "0.0.0.0:0", "--tls", "0.0.0.0:0"], false),
        (&["--listen", "0.0.0.0:0", "--clear-passwords", "allow"], false),
        (&["--listen", "0.0.0.0:0", "--accounts", "off"], false),
    ] {
        let data = tempfile::tempdir().unwrap();
        let mut server =
            Server::start_with(Command::new(binary()).arg("serve").args(options).arg("--data").arg(data.path()));
        server.signal("TERM");
        let told = server.wait().1;
        assert_eq!(
            told.contains("names can be registered, and logged in to, from this machine alone"),
            is_told,
            "{told}"
        );
    }
    // What is told is told of the door that there is.
    let data = tempfile::tempdir().unwrap();
    let options = ["--listen", "none", "--tls", "127.0.0.1:0", "--web", "127.0.0.1:0", "--data"];
    let mut server = Server::start_with(Command::new(binary()).arg("serve").args(options).arg(data.path()));
    server.signal("TERM");
    let log = server.wait().1;
    assert!(log.contains("; --tls :"), "{log}");
}

#[test]
fn a_second_signal_ends_it_at_once() {
    let mut server = Server::start(&[]);
    // Who does not go is waited for, but for the second signal.
    let mut alice = server.connect();
    server.signal("TERM");
    alice.until_starting("* bye shutdown ");
    server.signal("INT");
    let (status, log) = server.wait();
    assert_eq!(status.code(), Some(0));
    assert!(log.contains("ending at once"), "{log}");
}

#[test]
fn the_log_holds_nothing_of_what_people_wrote() {
    let mut command = Command::new(binary());
    let mut server = Server::start_with(command.env("RUST_LOG", "trace").args(["serve", "--listen", "127.0.0.1:0"]));
    let mut alice = server.in_room("alice", "#a");
    let mut bob = server.in_room("bob", "#a");
    bob.send("xyzzy to all");
    bob.send("/msg alice xyzzy to one");
    bob.send("/topic #a xyzzy");
    bob.send("/xyzzy");
    bob.send("/pas xyzzy\n /pass xyzzy\n/lgoin alice xyzzy\n\x1b[A");
    bob.send("/send #a 3 xyzzy.txt");
    bob.send("/quit xyzzy");
    bob.rest();
    alice.until("#a * bob quit xyzzy");
    server.signal("TERM");
    let (_, log) = server.wait();
    assert!(log.lines().count() > 3 && !log.contains("xyzzy"), "{log}");
}

#[test]
fn a_limit_that_stands_in_the_way_of_a_start_is_named() {
    let check = |limit: &str, more: &str, want: &[&str]| {
        let script = format!("{limit}; exec {more} \"$0\" serve --listen 127.0.0.1:0 $1");
        let many = "--listen 127.0.0.1:0 ".repeat(60);
        let output = timed().args(["bash", "-c", &script, binary(), &many]).output().unwrap();
        let told = String::from_utf8(output.stderr).unwrap();
        let told = told.lines().find(|line| line.starts_with("chinwag: ")).unwrap_or(&told);
        assert_eq!(output.status.code(), Some(1), "{told}");
        assert!(want.iter().all(|want| told.contains(want)), "{told}");
    };
    check(
        "ulimit -n 64",
        "",
        &["cannot listen on 127.0.0.1:0: too many open files; raise the limit with ulimit -n, or LimitNOFILE= "],
    );
    if !rustix::process::geteuid().is_root() {
        check("ulimit -u 1", "", &["cannot start the thread of ", ": resource temporarily unavailable; ", "ulimit -u"]);
    } else if have(&["setpriv"]) {
        // No such limit holds for root.
        let other = "setpriv --reuid 65533 --regid 65533 --clear-groups bash -c 'ulimit -u 1; exec \"$0\" \"$@\"'";
        check(":", other, &["cannot start the thread of ", ": resource temporarily unavailable; ", "ulimit -u"]);
    }
}
