//! `chinwag connect` where there is no terminal: it can stand wherever `nc` does.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Output, Stdio};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use rustix::io::ioctl_fionread;
use rustix::process::{Pid, Signal, kill_process};
use testkit::{Server, binary, noise, timed};

/// The client, which is ended if it hangs: then its exit status is 124.
fn connect(port: u16, options: &[&str]) -> Command {
    let mut command = timed();
    command.args([binary(), "connect", &format!("127.0.0.1:{port}")]).args(options);
    command
}

/// What a command does with this input, and then its end.
fn run(command: &mut Command, input: &[u8]) -> Output {
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut keys = child.stdin.take().unwrap();
    thread::scope(|scope| {
        // It may end before it has read all of it.
        scope.spawn(move || drop(keys.write_all(input)));
        child.wait_with_output().unwrap()
    })
}

/// What a shell script prints, in which `$1` is the server's port and `$chinwag` the program, and its exit status.
fn shell(port: u16, folder: &Path, script: &str) -> (String, i32) {
    let mut command = timed();
    command.args(["bash", "-c", script, "bash", &port.to_string()]).env("chinwag", binary()).current_dir(folder);
    let output = command.stdin(Stdio::null()).stderr(Stdio::inherit()).output().unwrap();
    (text(&output.stdout), output.status.code().unwrap())
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

/// The lines that are no news of who is there, which come at any time.
fn lines(out: &str) -> Vec<&str> {
    out.lines().filter(|line| !line.starts_with("* presence ")).collect()
}

/// It must have failed, with one line that says why.
#[track_caller]
fn failed(output: &Output, why: &str) {
    let errors = text(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{errors}");
    assert!(errors.starts_with("chinwag: ") && errors.contains(why) && errors.lines().count() == 1, "{errors:?}");
}

#[track_caller]
fn fine(output: &Output) -> String {
    assert_eq!((output.status.code(), text(&output.stderr)), (Some(0), String::new()));
    text(&output.stdout)
}

/// A server of our own, which deals with one connection.
fn fake<T: Send + 'static>(talk: impl FnOnce(TcpStream) -> T + Send + 'static) -> (u16, JoinHandle<T>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let thread = thread::spawn(move || {
        let (stream, _) = listener.accept().unwrap();
        stream.set_read_timeout(Some(testkit::PATIENCE)).unwrap();
        talk(stream)
    });
    (port, thread)
}

/// Somebody who goes on typing.
struct Typist {
    child: Child,
    keys: Option<ChildStdin>,
    screen: BufReader<ChildStdout>,
}

impl Typist {
    fn start(port: u16, options: &[&str]) -> Self {
        let mut command = Command::new(binary());
        command.args(["connect", &format!("127.0.0.1:{port}")]).args(options);
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let keys = child.stdin.take();
        let screen = BufReader::new(child.stdout.take().unwrap());
        Self { child, keys, screen }
    }

    fn types(&mut self, line: &str) {
        writeln!(self.keys.as_ref().unwrap(), "{line}").unwrap();
    }

    #[track_caller]
    fn until(&mut self, want: &str) {
        let mut line = String::new();
        while line.trim_end() != want {
            line.clear();
            assert!(self.screen.read_line(&mut line).unwrap() > 0, "the end before {want:?}");
        }
    }

    /// What comes up to the end of the program, while its input stays open.
    fn end(mut self) -> Output {
        let mut stdout = Vec::new();
        self.screen.read_to_end(&mut stdout).unwrap();
        let mut output = self.child.wait_with_output().unwrap();
        output.stdout = stdout;
        output
    }
}

#[test]
fn a_conversation_of_two() {
    let server = Server::start(&[]);
    let mut alice = Typist::start(server.port, &["--nick", "alice", "--join", "#lobby"]);
    alice.types("/set presence off");
    alice.until("+ join #lobby 1");
    let mut bob = Typist::start(server.port, &[]);
    bob.types("/set presence off\n/nick bob\n/join #lobby");
    bob.until("- here alice bob");
    alice.until("#lobby * bob joined");
    bob.types("/typing");
    alice.until("#lobby * bob typing");
    bob.types("morning!");
    alice.until("#lobby <bob> morning!");
    alice.types("hi bob");
    bob.until("#lobby <alice> hi bob");
    bob.types("/send #lobby 5 note.txt\n=aGVsbG8=");
    alice.until("#lobby * bob file 1 5 note.txt");
    alice.types("/get 1");
    alice.until("=1 aGVsbG8=");
    alice.until("=1 . 5 sha256:2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824");
    // Ctrl-C in the middle.
    bob.child.kill().unwrap();
    bob.child.wait().unwrap();
    let mut line = String::new();
    while !line.starts_with("#lobby * bob ") {
        line.clear();
        alice.screen.read_line(&mut line).unwrap();
    }
    assert!(matches!(line.trim_end(), "#lobby * bob quit" | "#lobby * bob lost reset"), "{line}");
    alice.types("/quit");
    assert!(fine(&alice.end()).ends_with("+ quit\n"));
}

#[test]
fn whatever_is_the_input_it_is_answered_to_its_end() {
    let server = Server::start(&[]);
    let folder = tempfile::tempdir().unwrap();
    for (script, want) in [
        (r"printf '/ping 1\n/ping end' | $chinwag connect 127.0.0.1:$1", "+ ping end"),
        (r"printf '/ping 1\r\n/ping end\r\n' | $chinwag connect 127.0.0.1:$1", "+ ping end"),
        (r"printf '/ping 1\n/ping end\n' > file; $chinwag connect 127.0.0.1:$1 < file", "+ ping end"),
        (r"printf '/ping end\nhalf' > file; $chinwag connect 127.0.0.1:$1 < file", "! say no-room "),
        (r"mkfifo fifo; (sleep 0.1; echo /ping end) > fifo & $chinwag connect 127.0.0.1:$1 < fifo", "+ ping end"),
        (r"$chinwag connect 127.0.0.1:$1 < /dev/null", "* hello "),
        (r"$chinwag connect 127.0.0.1:$1 <&-", "* hello "),
        (r"true | $chinwag connect 127.0.0.1:$1", "* hello "),
        (r"$chinwag connect 127.0.0.1:$1 <<< '/quit'", "+ quit"),
        (r"(echo /quit; sleep 100) | (exec $chinwag connect 127.0.0.1:$1; kill $!)", "+ quit"),
        (r"$chinwag connect 127.0.0.1:$1 --nick carol --join '#a' --join '#b' < /dev/null", "+ join #b 1"),
    ] {
        let script = script.replace("sleep 100)", "exec sleep 3)");
        let (out, status) = shell(server.port, folder.path(), &script);
        assert_eq!(status, 0, "{script}: {out}");
        assert!(lines(&out)[0].starts_with("* hello guest"), "{script}: {out}");
        assert!(lines(&out).last().unwrap().starts_with(want), "{script}: {out}");
    }
}

#[test]
fn the_input_can_end_without_the_output() {
    let server = Server::start(&[]);
    let mut alice = server.in_room("alice", "#a");
    let mut child = connect(server.port, &["--join", "#a"]);
    let mut child = child.stdin(Stdio::piped()).stdout(Stdio::null()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(b"from a pipe").unwrap();
    assert!(child.wait().unwrap().success());
    assert!(alice.until_starting("#a <guest").last().unwrap().ends_with("> from a pipe"));
}

#[test]
fn bytes_pass_as_they_are() {
    // More than any buffer on the way holds, both ways at once, with all that lines of text have not.
    let odd = b"\r\n\0\xff\xfb\x01\x1b[2J\xc3\x28 \x80\xef\xbb\xbf=1\n* nothing\n+ \n\n".to_vec();
    let there = [odd.clone(), noise(2_000_000, 1), b"\nno end".to_vec()].concat();
    let back = [b"* hello guest1\r\n".to_vec(), odd, noise(2_000_000, 2), b"\nno end".to_vec()].concat();
    let sent = back.clone();
    let (port, thread) = fake(move |mut stream| {
        let mut writer = stream.try_clone().unwrap();
        let writing = thread::spawn(move || writer.write_all(&sent).unwrap());
        let mut got = Vec::new();
        stream.read_to_end(&mut got).unwrap();
        writing.join().unwrap();
        got
    });
    let output = run(&mut connect(port, &[]), &there);
    assert_eq!((output.status.code(), text(&output.stderr)), (Some(0), String::new()));
    assert!(output.stdout == back);
    assert!(thread.join().unwrap() == there);
}

#[test]
fn the_server_answers_in_crlf_who_uses_it() {
    let server = Server::start(&[]);
    let output = run(&mut connect(server.port, &[]), b"/set presence off\r\n/ping 1\r\n");
    assert!(fine(&output).ends_with("+ set presence off\r\n+ ping 1\r\n"));
}

#[test]
fn what_was_wished_for_goes_first() {
    let (port, thread) = fake(|mut stream| {
        stream.write_all(b"* hello guest1\n").unwrap();
        let mut got = String::new();
        stream.read_to_string(&mut got).unwrap();
        got
    });
    let password = tempfile::NamedTempFile::new().unwrap();
    fs::write(password.path(), "open sesame \nsecond line\n").unwrap();
    let options = ["--join", "#a", "--nick", "bob", "--join", "#b", "--password-file"];
    let options = [&options[..], &[password.path().to_str().unwrap()]].concat();
    fine(&run(&mut connect(port, &options), b"hello\n"));
    assert_eq!(thread.join().unwrap(), "/pass open sesame\n/nick bob\n/join #a\n/join #b\nhello\n");
}

#[test]
fn ten_thousand_commands_are_answered_after_the_end() {
    let server = Server::start(&["--rate", "0"]);
    let commands: String = (0..10_000).map(|n| format!("/ping {n}\n")).collect();
    let out = fine(&run(&mut connect(server.port, &[]), commands.as_bytes()));
    let want: Vec<String> = (0..10_000).map(|n| format!("+ ping {n}")).collect();
    assert_eq!(lines(&out)[1..], want);
}

#[test]
fn a_large_file_can_be_shared_and_fetched_by_hand() {
    let server = Server::start(&["--rate", "0"]);
    let bytes = noise(3_000_000, 7);
    let mut commands = format!("/set presence off\n/join #a\n/send #a {} cat.png\n", bytes.len());
    for chunk in bytes.chunks(49_152) {
        commands.push_str(&format!("={}\n", BASE64.encode(chunk)));
    }
    let out = fine(&run(&mut connect(server.port, &[]), commands.as_bytes()));
    let last = out.lines().last().unwrap();
    assert!(last.starts_with("=1 . 3000000 sha256:"), "{out}");
    // After the end of input a download still runs to its end.
    let out = fine(&run(&mut connect(server.port, &["--join", "#a"]), b"/get 1"));
    let data = out.lines().filter_map(|line| line.strip_prefix("=1 ")).filter(|data| !data.starts_with('.'));
    let got: Vec<u8> = data.flat_map(|data| BASE64.decode(data).unwrap()).collect();
    assert!(got == bytes);
    assert_eq!(out.lines().last(), Some(last));
}

#[test]
fn it_ends_when_nobody_reads_on() {
    let server = Server::start(&[]);
    let folder = tempfile::tempdir().unwrap();
    let script = "(printf '/help\\n/help\\n'; exec sleep 3) | $chinwag connect 127.0.0.1:$1 | head -1; \
        echo ${PIPESTATUS[1]}";
    let (out, _) = shell(server.port, folder.path(), script);
    let lines = lines(&out);
    assert!(lines[0].starts_with("* hello ") && lines[1..] == ["0"], "{out}");

    let mut bob = Typist::start(server.port, &[]);
    bob.types("/ping 1");
    bob.until("+ ping 1");
    let Typist { mut child, keys, screen } = bob;
    drop(screen);
    writeln!(keys.as_ref().unwrap(), "/ping 2").unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(0));
}

#[test]
fn an_output_that_fails_is_told() {
    let server = Server::start(&[]);
    let full = fs::File::options().write(true).open("/dev/full").unwrap();
    let mut child = connect(server.port, &[]);
    let child = child.stdin(Stdio::piped()).stdout(full).stderr(Stdio::piped()).spawn().unwrap();
    failed(&child.wait_with_output().unwrap(), "cannot write to standard output: no space left");
}

#[test]
fn an_input_that_fails_is_told() {
    let server = Server::start(&[]);
    let folder = fs::File::open("/").unwrap();
    failed(&connect(server.port, &[]).stdin(folder).output().unwrap(), "s a directory");
}

#[test]
fn who_cannot_connect_is_told() {
    // Nobody listens on a port of which the listener is gone.
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let output = run(&mut connect(port, &[]), b"/who\n");
    failed(&output, &format!("cannot connect to 127.0.0.1:{port}: connection refused; does the server run"));
    assert_eq!(text(&output.stdout), "");
    let mut command = timed();
    command.args([binary(), "connect", "no-such-host.invalid"]);
    failed(&run(&mut command, b""), "cannot connect to no-such-host.invalid:2428: this host is not known here");
}

#[test]
fn who_is_turned_away_is_told() {
    let server = Server::start(&["--max-clients", "1"]);
    let _alice = server.connect();
    let output = run(&mut connect(server.port, &[]), b"/who\n");
    failed(&output, "full");
    assert!(text(&output.stdout).starts_with("* bye full "));
}

#[test]
fn a_locked_server() {
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str, text: &str| {
        let path = folder.path().join(name);
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let (right, wrong, none) = (file("right", "hush\n"), file("wrong", "hash\n"), file("none", "\n"));
    let server = Server::start(&["--password-file", &right]);
    let out = fine(&run(&mut connect(server.port, &["--password-file", &right, "--nick", "bob"]), b"/ping 1"));
    assert_eq!(lines(&out)[3..], ["+ nick bob", "+ ping 1"], "{out}");
    let output = run(&mut connect(server.port, &["--password-file", &wrong, "--nick", "bob"]), b"/ping 1\n");
    failed(&output, "that is not the password");
    // By hand it is one's own affair.
    let out = fine(&run(&mut connect(server.port, &[]), b"/pass hash\n/pass hush\n/ping 1\n"));
    assert_eq!(lines(&out).last(), Some(&"+ ping 1"), "{out}");
    let output = run(&mut connect(server.port, &[]), "/pass hash\n".repeat(5).as_bytes());
    failed(&output, "password");
    assert!(text(&output.stdout).contains("* bye refused "));
    for (options, why) in [(["--password-file", &none], "holds no password"), (["--password-file", "/none"], "/none")] {
        let output = run(&mut connect(server.port, &options), b"");
        failed(&output, why);
        assert_eq!(text(&output.stdout), "");
    }
}

#[test]
fn a_connection_that_breaks_is_told() {
    let (port, _thread) = fake(|mut stream| {
        stream.write_all(b"* hello guest1\n").unwrap();
        stream.read_exact(&mut [0; 5]).unwrap();
        socket2::SockRef::from(&stream).set_linger(Some(Duration::ZERO)).unwrap();
    });
    let mut bob = Typist::start(port, &[]);
    bob.types("/who");
    let output = bob.end();
    failed(&output, "connection reset");
    assert_eq!(text(&output.stdout), "* hello guest1\n");
}

#[test]
fn a_server_that_closes_ends_it() {
    // With its reasons, after /quit in whatever way, and without a word, as when it is killed.
    let (port, _thread) = fake(|mut stream| stream.write_all(b"* hello guest1\n").unwrap());
    failed(&Typist::start(port, &[]).end(), "closed the connection without a word");
    let (port, _thread) = fake(|mut stream| {
        stream.write_all(b"* hello guest1\n+ quit\n").unwrap();
        stream.read_exact(&mut [0; 6]).unwrap();
        socket2::SockRef::from(&stream).set_linger(Some(Duration::ZERO)).unwrap();
    });
    let mut bob = Typist::start(port, &[]);
    bob.until("+ quit");
    bob.types("/quit");
    fine(&bob.end());

    let mut server = Server::start(&[]);
    let mut bob = Typist::start(server.port, &[]);
    bob.types("/ping 1");
    bob.until("+ ping 1");
    server.signal("TERM");
    let output = bob.end();
    failed(&output, "shutting down");
    assert!(text(&output.stdout).starts_with("* bye shutdown "));
    server.wait();

    let mut server = Server::start(&[]);
    let mut bob = Typist::start(server.port, &[]);
    bob.types("/ping 1");
    bob.until("+ ping 1");
    server.signal("KILL");
    failed(&bob.end(), "closed the connection without a word");
    server.wait();
}

#[test]
fn a_server_may_go_on_after_the_end_of_input() {
    let (port, thread) = fake(|mut stream| {
        stream.write_all(b"* hello guest1\n").unwrap();
        stream.read_to_end(&mut Vec::new()).unwrap();
        stream.write_all(b"late\n").unwrap();
        stream.shutdown(Shutdown::Write).unwrap();
    });
    assert_eq!(fine(&run(&mut connect(port, &[]), b"hello\n")), "* hello guest1\nlate\n");
    thread.join().unwrap();
}

#[test]
fn a_server_of_another_kind_is_told() {
    for greeting in ["HTTP/1.1 400 Bad Request\r\n\r\n", "220 mail\r\n", "no line", ""] {
        let (port, thread) = fake(move |mut stream| stream.write_all(greeting.as_bytes()).unwrap());
        let output = run(&mut connect(port, &[]), b"");
        failed(&output, "it never greeted us as chinwag does: is the port right?");
        assert_eq!(text(&output.stdout), greeting);
        thread.join().unwrap();
    }
}

#[test]
fn wrong_options_are_told() {
    for options in [["--nick", "-"], ["--nick", "1a"], ["--join", "lobby"], ["--join", ""], ["--nick", "on"]] {
        let output = run(&mut connect(1, &options), b"");
        assert_eq!(output.status.code(), Some(2), "{options:?}");
        assert_eq!(text(&output.stdout), "");
    }
    // As they are typed by those who come from `nc` or from a browser.
    for (server, want) in [
        (&["127.0.0.1", "2428"][..], "the port goes behind the host and a colon, as in 127.0.0.1:2428"),
        (&["127.0.0.1 2428"], "without blanks or slashes"),
        (&["http://127.0.0.1:2428"], "without blanks or slashes"),
    ] {
        let output = Command::new(binary()).arg("connect").args(server).output().unwrap();
        let errors = text(&output.stderr);
        assert!(output.status.code() == Some(2) && errors.contains(want), "{errors}");
    }
    let output = Command::new(binary()).args(["serve", "--port", "2500"]).output().unwrap();
    let errors = text(&output.stderr);
    assert!(output.status.code() == Some(2) && errors.contains("as in --listen :2428"), "{errors}");
}

#[test]
fn plain_text_that_nobody_reads_is_ended_by_every_signal() {
    let server = Server::start(&["--rate", "0"]);
    let mut alice = server.in_room("alice", "#a");
    for (signal, nick) in [(Signal::TERM, "bob"), (Signal::HUP, "carol"), (Signal::INT, "dave")] {
        let mut command = connect(server.port, &["--plain", "--join", "#a", "--nick", nick]);
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        alice.until(&format!("#a * {nick} joined"));
        alice.send(&vec!["tea".repeat(300); 500].join("\n"));
        while ioctl_fionread(child.stdout.as_ref().unwrap()).unwrap() < 32_768 {
            thread::yield_now();
        }
        let pid = Pid::from_child(&child);
        let status = loop {
            kill_process(pid, signal).unwrap();
            match child.try_wait().unwrap() {
                Some(status) => break status,
                None => thread::yield_now(),
            }
        };
        assert_eq!(status.code(), Some(0), "{nick}");
    }
}

/// The bot of docs/bots.md, over this client.
#[test]
fn a_bot_can_be_made_of_it() {
    let page = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/bots.md")).unwrap();
    let (_, bot) = page.split_once("```bash\n#!/bin/bash\n").unwrap();
    let bot = bot.split_once("```").unwrap().0;
    let server = Server::start(&[]);
    let with_us = bot.replace("exec 3<>/dev/tcp/127.0.0.1/2428", "coproc \"$chinwag\" connect 127.0.0.1:$1");
    let with_us = with_us.replace("<&3", "<&\"${COPROC[0]}\"").replace(">&3", ">&\"${COPROC[1]}\"");
    assert_ne!(with_us, bot);
    let mut command = timed();
    command.args(["bash", "-c", &with_us, "bash", &server.port.to_string()]).env("chinwag", binary());
    let mut alice = server.in_room("alice", "#lobby");
    let mut child = command.stdin(Stdio::null()).stdout(Stdio::null()).spawn().unwrap();
    alice.until("#lobby * clock joined");
    alice.send("!time\nnothing for it\n/msg clock !time");
    let told = alice.until_starting("#lobby <clock> it is ");
    assert!(told.last().unwrap().ends_with(|c: char| c.is_ascii_digit()));
    alice.until_starting("@clock <clock> it is ");
    // With the server it goes too.
    drop(server);
    child.wait().unwrap();
}
