//! The client of somebody who owns their name: passwords that are asked for, what is shown of ranks and of messages that were
//! taken back, and what the lines typed before hold.

use std::collections::BTreeMap;
use std::fs::{self, Permissions};
use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::thread;

use testkit::pty::{Emulator, Screen, Speaks, Terminal};
use testkit::{Client, Server, binary, eventually, timed};

use crate::terminal::{Fake, come_in, connect, told};

const PASSWORD: &str = "correct-horse";

/// A server on which alice and bob own their names, and what it keeps.
pub(crate) fn server(folder: &Path) -> Server {
    let data = folder.join("data");
    let server = Server::start(&["--data", data.to_str().unwrap(), "--rate", "0"]);
    if !folder.join("state").exists() {
        for nick in ["alice", "bob"] {
            let mut client = server.person(nick);
            client.ask(&format!("/register {PASSWORD}"), &format!("+ register {nick}"));
            client.send("/quit");
            client.until("+ quit");
        }
    }
    server
}

/// Somebody who has logged in, besides whoever is it already.
pub(crate) fn log_in(server: &Server, nick: &str) -> Client {
    let mut client = server.connect();
    client.send(&format!("/set presence off\n/login {nick} {PASSWORD}"));
    client.until(&format!("+ login {nick}"));
    client
}

pub(crate) fn token(client: &mut Client) -> String {
    client.send("/token");
    client.until_starting("+ token ").pop().unwrap().split_off("+ token ".len())
}

/// Alice at home before her terminal, with what is kept there.
fn start(folder: &Path, server: &Server, options: &[&str]) -> Terminal {
    let mut command = connect(&server.address(), options);
    command.env("XDG_STATE_HOME", folder.join("state"));
    Terminal::start(&mut command, 100, 24, Emulator::Reflowing, Speaks::Nothing)
}

pub(crate) fn kept(folder: &Path, server: &Server) -> PathBuf {
    folder.join("state/chinwag/tokens").join(server.address()).join("alice")
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

/// What a command of the client's made.
pub(crate) fn run(folder: &Path, server: &Server, arguments: &[&str], input: &str) -> Output {
    let mut command = timed();
    command.arg(binary()).args(arguments).current_dir(folder);
    command.env("CHINWAG_SERVER", server.address()).env("XDG_STATE_HOME", folder.join("state"));
    command.env("XDG_CONFIG_HOME", folder.join("config")).env_remove("CHINWAG_NICK");
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
    child.wait_with_output().unwrap()
}

pub(crate) fn good(output: &Output) -> String {
    let [out, errors] = [&output.stdout, &output.stderr].map(|bytes| String::from_utf8_lossy(bytes).into_owned());
    assert!(output.status.success(), "{out}{errors}");
    out
}

/// Waits until the input row is this.
#[track_caller]
fn row(terminal: &Terminal, row: &str) -> Screen {
    terminal.wait_until(&format!("the input row {row:?}"), |screen| screen.rows[screen.cursor.0] == row)
}

fn holds(terminal: &Terminal, text: &str) -> bool {
    String::from_utf8_lossy(&terminal.raw()).contains(text)
}

/// What is in the files below this folder.
fn written(folder: &Path) -> String {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path());
    entries
        .map(|path| if path.is_dir() { written(&path) } else { fs::read_to_string(path).unwrap_or_default() })
        .collect()
}

#[test]
fn a_password_is_asked_for_once_and_never_shown() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let server = server(folder);
    let mut bob = log_in(&server, "bob");
    bob.send("/join #lobby");
    bob.until("+ join #lobby 1");
    let mut terminal = start(folder, &server, &[]);
    row(&terminal, "password of alice>");
    told(&terminal, "alice belongs to somebody: if that is you, type the password, which is not shown");
    // What one pastes and what one looks for among earlier lines shows nothing either.
    for keys in ["wrong-", "\x1b[200~horse\x1b[201~", "\x12\t\x1b[A"] {
        terminal.keys(keys);
        eventually("what is typed taken", || terminal.is_at_rest());
    }
    row(&terminal, "password of alice>");
    terminal.keys("\r");
    told(&terminal, "that is neither the password nor a token of alice; try again");
    row(&terminal, "password of alice>");
    terminal.keys(format!("typo\x15{PASSWORD}"));
    eventually("it is taken", || terminal.is_at_rest());
    terminal.keys("\r");
    come_in(&terminal, &server.address());
    told(&terminal, "the next start needs no password for alice");
    bob.expect("#lobby * alice joined");
    let path = kept(folder, &server);
    eventually("the token kept", || path.exists());
    assert_eq!((mode(&path), mode(path.parent().unwrap())), (0o600, 0o700));
    let first = fs::read_to_string(&path).unwrap();
    assert!(first.starts_with("alice ") && first.len() == "alice ".len() + 43 + 1, "{first}");
    // Up finds nothing of it.
    terminal.keys("\x1b[Ahello\r");
    bob.until("#lobby <alice> hello");
    terminal.keys("/quit\r");
    assert!(terminal.wait_exit().success());
    assert!(!holds(&terminal, "horse") && !holds(&terminal, "typo") && !holds(&terminal, first[6..].trim()));
    assert!(!written(&folder.join("state")).contains("horse"));
    // The next start needs none, and neither does one after a restart of the server.
    for _ in 0..2 {
        let mut terminal = start(folder, &server, &[]);
        come_in(&terminal, &server.address());
        assert!(!holds(&terminal, "password of"));
        terminal.keys("/quit\r");
        assert!(terminal.wait_exit().success());
    }
    assert_eq!(fs::read_to_string(&path).unwrap(), first);
    // A token that is no good is forgotten.
    log_in(&server, "alice").ask("/token off", "+ token off");
    let terminal = start(folder, &server, &[]);
    row(&terminal, "password of alice>");
    told(&terminal, "the token that was kept for alice is not good any more");
    assert!(!path.exists());
    terminal.keys(format!("{PASSWORD}\r"));
    come_in(&terminal, &server.address());
    eventually("another token kept", || path.exists());
    assert_ne!(fs::read_to_string(&path).unwrap(), first);
}

#[test]
fn a_password_is_the_same_however_it_is_typed() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let server = server(folder);
    let password = "ich❤️dich👩‍👩‍👧می\u{200c}خواهم1️⃣";
    // What is set by line the client can type.
    log_in(&server, "alice").ask(&format!("/passwd {PASSWORD} {password}"), "+ passwd");
    let terminal = start(folder, &server, &[]);
    row(&terminal, "password of alice>");
    terminal.keys(format!("{password}\r"));
    come_in(&terminal, &server.address());
    // And the other way round.
    let ask = |line: &str, hint: &str| {
        terminal.keys(format!("{line}\r"));
        told(&terminal, hint);
    };
    ask("/passwd", "type your password, which is not shown");
    ask(password, "type the new password, one word");
    ask(&format!("{password}❤️"), "type the new password once more");
    ask(&format!("{password}❤️"), "your password is another now");
    let mut client = server.connect();
    client.send(&format!("/login alice {password}❤️"));
    client.until("+ login alice");
}

#[test]
fn plain_text_asks_for_a_password_without_an_echo() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let server = server(folder);
    let mut terminal = start(folder, &server, &["--plain"]);
    told(&terminal, "note: alice belongs to somebody: if that is you, type the password, which is not shown");
    terminal.keys("wrong-horse\n");
    told(&terminal, "no: that is neither the password nor a token of alice; try again");
    terminal.keys(format!("{PASSWORD}\n"));
    told(&terminal, "in #lobby: ");
    // From then on what is typed is shown.
    terminal.keys("good day\n");
    told(&terminal, "good day");
    terminal.keys("/account\n");
    told(&terminal, "done: alice belongs to you");
    terminal.keys("/quit\n");
    assert!(terminal.wait_exit().success());
    assert!(!holds(&terminal, "horse"));
    let mut terminal = start(folder, &server, &["--plain"]);
    told(&terminal, "in #lobby: ");
    assert!(!holds(&terminal, "password"));
    terminal.keys("\x04");
    terminal.wait_exit();
}

#[test]
fn who_does_not_know_the_password_goes_by_another_name() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let server = server(folder);
    // Enter alone, or Ctrl-C: a guest's name.
    for keys in ["\r", "\x03"] {
        let terminal = start(folder, &server, &[]);
        row(&terminal, "password of alice>");
        terminal.keys(keys);
        row(&terminal, "#lobby>");
        told(&terminal, "/login alice asks for it again");
        // Another that is owned is asked for in the same way, and a login that is typed keeps a token too.
        terminal.keys("/nick bob");
        row(&terminal, "#lobby> /nick bob");
        terminal.keys("\r");
        row(&terminal, "password of bob>");
        terminal.keys("/nick carol\r");
        told(&terminal, "you are carol");
        row(&terminal, "#lobby>");
        terminal.keys("/login alice");
        row(&terminal, "#lobby> /login alice");
        terminal.keys("\r");
        row(&terminal, "password of alice>");
        terminal.keys(format!("{PASSWORD}\r"));
        row(&terminal, "#lobby>");
        terminal.wait_until("alice online", |screen| screen.lines.last().is_some_and(|row| row.contains("· alice ·")));
        terminal.keys("/quit\r");
        eventually("the token kept", || kept(folder, &server).exists());
        fs::remove_file(kept(folder, &server)).unwrap();
    }
    let terminal = start(folder, &server, &["--plain"]);
    told(&terminal, "which is not shown");
    terminal.keys("\n");
    told(&terminal, "in #lobby: ");
    terminal.keys(format!("/login alice {PASSWORD}\n"));
    told(&terminal, "done: you are alice");
    eventually("the token kept", || kept(folder, &server).exists());
    terminal.keys("/passwd wrong-horse battery-staple\n");
    told(&terminal, "no: /passwd: ");
    let first = fs::read_to_string(kept(folder, &server)).unwrap();
    terminal.keys(format!("/passwd {PASSWORD} battery-staple\n"));
    told(&terminal, "done: your password is another now");
    let path = kept(folder, &server);
    eventually("a new token", || fs::read_to_string(&path).is_ok_and(|text| text != first));
    terminal.keys("/drop battery-staple\n");
    told(&terminal, "done: you gave your name up, and are guest");
    eventually("no token", || !kept(folder, &server).exists());
}

#[test]
fn the_one_name_that_is_kept_needs_no_nick() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let server = server(folder);
    let keep = |nick: &str| {
        let path = kept(folder, &server).with_file_name(nick);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, format!("{nick} {}\n", token(&mut log_in(&server, nick)))).unwrap();
        fs::set_permissions(&path, Permissions::from_mode(0o600)).unwrap();
    };
    let is = |options: &[&str], nick: &str| {
        for plain in ["--plain=on", "--plain=off"] {
            let mut command = Command::new(binary());
            command.args(["connect", "--join", "#lobby", plain]).args(options).arg(server.address());
            command.env("XDG_STATE_HOME", folder.join("state"));
            let mut terminal = Terminal::start(&mut command, 100, 24, Emulator::Reflowing, Speaks::Nothing);
            let is_in = |line: &String| line.contains("in #lobby: ") && line.split(' ').any(|word| word == nick);
            terminal.wait_until(nick, |screen| screen.lines.iter().any(is_in));
            assert_eq!(holds(&terminal, &format!("you are {nick}")), nick != "carol", "{options:?}");
            terminal.keys("\x04");
            assert!(terminal.wait_exit().success());
        }
    };
    let _dave = server.in_room("dave", "#lobby");
    is(&[], "guest1");
    keep("alice");
    is(&[], "alice");
    is(&["--nick", "carol"], "carol");
    // In a pipe nobody is there to see who they are.
    let mut command = timed();
    command.arg(binary()).args(["connect", &server.address()]).env("XDG_STATE_HOME", folder.join("state"));
    let output = command.stdin(Stdio::null()).output().unwrap();
    assert!(String::from_utf8_lossy(&output.stdout).starts_with("* hello guest1 "), "{output:?}");
    keep("bob");
    is(&[], "guest1");
}

#[test]
fn what_a_command_needs_of_passwords_is_asked_for_and_never_shown() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let server = server(folder);
    let mut bob = server.in_room("bob2", "#lobby");
    for (plain, enter) in [(false, "\r"), (true, "\n")] {
        let options: &[&str] = if plain { &["--plain", "--nick", "dora"] } else { &["--nick", "carol"] };
        let mut command = Command::new(binary());
        command.args(["connect", "--join", "#lobby"]).args(options).arg(server.address());
        command.env("XDG_STATE_HOME", folder.join("state"));
        let mut terminal = Terminal::start(&mut command, 100, 24, Emulator::Reflowing, Speaks::Nothing);
        told(&terminal, "in #lobby: ");
        // What comes at once would be taken for a paste.
        let ask = |line: &str, hint: &str, times: usize| {
            terminal.keys(format!("{line}{enter}"));
            terminal.wait_until(&format!("{hint:?} {times} times"), |screen| {
                screen.lines.iter().filter(|line| line.contains(hint)).count() == times
            });
        };
        let (new, again) = ("type the new password, one word", "type the new password once more");
        ask("/register", new, 1);
        if !plain {
            row(&terminal, "new password>");
        }
        ask("battery-staple", again, 1);
        ask("battery-stable", new, 2);
        assert!(holds(&terminal, "these two are not the same"));
        ask("battery-staple", again, 2);
        ask("battery-staple", "is yours now", 1);
        ask("/passwd", "type your password, which is not shown", 1);
        ask("battery-staple", new, 3);
        ask("battery-horses", again, 3);
        ask("battery-horses", "your password is another now", 1);
        ask("/drop", "type your password to give your name up", 1);
        ask("", "/drop is not done", 1);
        // It may be the password, so it is not said at once.
        ask("hello", "/drop is not done, and this would be said to #lobby", 1);
        terminal.keys(format!("hello{enter}"));
        bob.until_starting("#lobby <");
        ask("/drop", "type your password to give your name up", 2);
        ask("battery-horses", "you gave your name up, and are guest", 1);
        terminal.keys(format!("/quit{enter}"));
        assert!(terminal.wait_exit().success());
        assert!(!holds(&terminal, "battery"));
        assert!(!written(&folder.join("state")).contains("battery"));
    }
}

#[test]
fn a_locked_server_lets_in_who_has_a_token_or_logs_in() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let open = server(folder);
    let text = format!("alice {}\n", token(&mut log_in(&open, "alice")));
    drop(open);
    fs::write(folder.join("token"), text).unwrap();
    fs::set_permissions(folder.join("token"), Permissions::from_mode(0o600)).unwrap();
    fs::write(folder.join("password"), "open sesame\n").unwrap();
    let (data, password) = (folder.join("data"), folder.join("password"));
    let options = ["--data", data.to_str().unwrap(), "--password-file", password.to_str().unwrap()];
    let server = Server::start(&options);
    let file = folder.join("token");
    let terminal = start(folder, &server, &["--token-file", file.to_str().unwrap()]);
    come_in(&terminal, &server.address());
    assert!(!holds(&terminal, "locked"));
    let out = good(&run(folder, &server, &["connect", "--token-file", "token"], "/ping 1\n"));
    assert!(out.contains("\n+ login alice\n* hello alice "), "{out}");
    good(&run(folder, &server, &["say", "#lobby", "hi", "--token-file", "token", "--create"], ""));
    // Without one, whoever types a login is let in too, and needs none the next time.
    let mut terminal = start(folder, &server, &["--plain"]);
    told(&terminal, "note: the server is locked");
    terminal.keys(format!("/login alice {PASSWORD}\n"));
    told(&terminal, "in #lobby: ");
    eventually("the token kept", || kept(folder, &server).exists());
    terminal.keys("/quit\n");
    terminal.wait_exit();
    let terminal = start(folder, &server, &["--plain"]);
    told(&terminal, "in #lobby: ");
    assert!(!holds(&terminal, "locked") && !holds(&terminal, "horse"));
}

/// A server to which no secret can be sent, and what it hears.
fn insecure() -> (String, std::sync::mpsc::Receiver<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let (hear, heard) = std::sync::mpsc::channel();
    thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        stream.write_all(b"* hello guest1 fake/1 1 online; hello\n").unwrap();
        for line in BufReader::new(stream.try_clone().unwrap()).lines().map_while(Result::ok) {
            let answer = match line.split(' ').next().unwrap() {
                "/nick" => "! nick owned alice belongs to somebody\n".to_owned(),
                command @ ("/token" | "/login") => {
                    format!("! {} insecure this connection is not encrypted; come over ssh\n", &command[1..])
                }
                _ => Fake::answer(&line, &BTreeMap::new(), &mut 0),
            };
            let _ = hear.send(line);
            let _ = stream.write_all(answer.as_bytes());
        }
    });
    (address, heard)
}

#[test]
fn where_others_read_along_no_password_is_asked_for_and_it_is_said_what_to_do() {
    for options in [&[][..], &["--plain"]] {
        let (address, heard) = insecure();
        let mut terminal =
            Terminal::start(&mut connect(&address, options), 100, 24, Emulator::Reflowing, Speaks::Nothing);
        told(
            &terminal,
            "alice belongs to somebody, and no password can be sent from here: this connection is not encrypted",
        );
        told(&terminal, "come over ssh. Until then you are guest1.");
        told(&terminal, "in #lobby: ");
        terminal.keys(if options.is_empty() { "/quit\r" } else { "/quit\n" });
        terminal.wait_exit();
        assert!(heard.try_iter().all(|line| !line.starts_with("/login")));
    }
}

#[test]
fn ranks_are_shown_beside_names_and_messages_that_were_taken_back_are_named() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let server = server(folder);
    let mut bob = log_in(&server, "bob");
    bob.send("/join #lobby");
    bob.until("+ join #lobby 1");
    let mut carol = server.in_room("carol", "#lobby");
    bob.until("#lobby * carol joined");
    for (options, enter) in [(&["--nick", "dave"][..], "\r"), (&["--nick", "dave", "--plain"], "\n")] {
        let n = options.len();
        let mut command = Command::new(binary());
        command.args(["connect", "--join", "#lobby"]).args(options).arg(server.address());
        let mut terminal = Terminal::start(&mut command, 100, 24, Emulator::Reflowing, Speaks::Nothing);
        told(&terminal, "in #lobby: @bob carol dave");
        bob.send(&format!("one {n}"));
        told(&terminal, &format!("#lobby <@bob> one {n}"));
        carol.send(&format!("two {n}"));
        told(&terminal, &format!("#lobby <carol> two {n}"));
        bob.send("/voice carol");
        told(&terminal, "bob made carol voice");
        carol.send("/me waves");
        told(&terminal, "#lobby * +carol waves");
        terminal.keys(format!("/who #lobby{enter}"));
        told(&terminal, "@bob is here, in #lobby");
        told(&terminal, "+carol is here, in #lobby");
        // The sign is not part of the name, so her name is completed without it; a guest's rank goes with the guest.
        carol.send(&format!("/leave #lobby\n/join #lobby\nthree {n}"));
        told(&terminal, &format!("#lobby <carol> three {n}"));
        bob.send("/op carol");
        told(&terminal, "bob made carol op");
        carol.send("/nick cora");
        told(&terminal, "carol is now cora");
        // What the client has asked about that is answered.
        terminal.keys(format!("/ping {n}{enter}"));
        let answer = format!("{}ping {n}", if enter == "\r" { "  " } else { "done: " });
        terminal.wait_until("the answer", |screen| screen.lines.contains(&answer));
        carol.send(&format!("four {n}"));
        told(&terminal, &format!("#lobby <@cora> four {n}"));
        carol.send(&format!("/nick carol\n/leave #lobby\n/join #lobby\nfive {n}"));
        told(&terminal, &format!("#lobby <carol> five {n}"));
        bob.send("/set stamp on\n/history 1");
        let line = bob.until_starting("- [").pop().unwrap();
        let seq: u64 = line["- [".len()..].split('@').next().unwrap().parse().unwrap();
        bob.send(&format!("/erase {} {seq}", seq - 1));
        told(&terminal, &format!("bob took messages {} to {seq} back: cora's of ", seq - 1));
        told(&terminal, ", carol's of ");
        // What is missing now was not forgotten, and the client does not say so.
        assert!(!holds(&terminal, "are no longer kept"));
        terminal.keys(format!("/search five {n}{enter}"));
        told(&terminal, &format!("no message and no file with “five {n}”"));
        // `/erase` takes numbers, so what is asked for shows them.
        terminal.keys(format!("/history 1{enter}"));
        told(&terminal, &format!("({}) <carol> three {n}", seq - 2));
        // Who comes next finds a gap before this.
        bob.send(&format!("six {n}"));
        told(&terminal, &format!("#lobby <@bob> six {n}"));
        terminal.keys(format!("/quit{enter}"));
        terminal.wait_exit();
        carol.settle();
    }
}

#[test]
fn what_was_typed_before_holds_no_secret_and_nothing_private() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let server = server(folder);
    let mut bob = log_in(&server, "bob");
    let mut terminal = start(folder, &server, &[]);
    row(&terminal, "password of alice>");
    terminal.keys(format!("{PASSWORD}\r"));
    come_in(&terminal, &server.address());
    for line in [
        "/login alice secret-horse",
        "/register secret-horse",
        "/passwd secret-horse secret-horse",
        "/token",
        "/drop secret-horse",
        "/pass secret-horse",
    ] {
        terminal.keys(line);
        row(&terminal, &format!("#lobby> {line}"));
        terminal.keys("\r");
        row(&terminal, "#lobby>");
        terminal.keys("\x1b[A");
        terminal.keys("x\x15");
        row(&terminal, "#lobby>");
    }
    let enter = |place: &str, line: &str| {
        terminal.keys(line);
        row(&terminal, &format!("{place}> {line}"));
        terminal.keys("\r");
    };
    enter("#lobby", "/msg bob in private");
    bob.until("@alice <alice> in private");
    enter("#lobby", "/query bob");
    row(&terminal, "@bob>");
    enter("@bob", "alone with you");
    bob.until("@alice <alice> alone with you");
    enter("@bob", "/join #lobby");
    row(&terminal, "#lobby>");
    enter("#lobby", "the last");
    let path = folder.join("state/chinwag/history");
    eventually("the last line kept", || fs::read_to_string(&path).is_ok_and(|text| text.ends_with("the last\n")));
    assert_eq!(fs::read_to_string(&path).unwrap(), "/query bob\nthe last\n");
    terminal.keys("/quit\r");
    terminal.wait_exit();
}

/// Somebody else before a plain terminal.
pub(crate) fn start_as(folder: &Path, server: &Server, nick: &str) -> Terminal {
    let mut command = Command::new(binary());
    command.args(["connect", "--plain", "--nick", nick, "--join", "#lobby", &server.address()]);
    command.env("XDG_STATE_HOME", folder.join("state"));
    Terminal::start(&mut command, 100, 24, Emulator::Reflowing, Speaks::Nothing)
}

/// Another server at the same address.
pub(crate) fn again(mut server: Server, options: &[&str]) -> (Server, String) {
    let address = server.address();
    server.signal("TERM");
    let (_, log) = server.wait();
    let mut command = Command::new(binary());
    (Server::start_with(command.args(["serve", "--listen", &address, "--rate", "0"]).args(options)), log)
}

#[test]
fn no_password_is_said_by_whoever_expects_to_be_asked_for_it() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let server = server(folder);
    let mut bob = log_in(&server, "bob");
    bob.send("/join #lobby");
    bob.until("+ join #lobby 1");
    // As a password manager types it, or a paste brings it.
    let terminal = start_as(folder, &server, "dora");
    told(&terminal, "in #lobby: ");
    terminal.keys("/register\nabcd1234\nabcd1234\n/me waves\n");
    let heard = bob.until("#lobby <dora> /me waves");
    assert!(!heard.iter().any(|line| line.contains("abcd")), "{heard:?}");
    // Who is somebody already is told so, and what they type then is not said.
    let terminal = start(folder, &server, &["--plain"]);
    told(&terminal, "which is not shown");
    terminal.keys(format!("{PASSWORD}\n"));
    told(&terminal, "in #lobby: ");
    terminal.keys("/login alice\n");
    told(&terminal, "you are alice already; no password is needed");
    terminal.keys(format!("{PASSWORD}\n"));
    told(&terminal, "no: no password is needed, and this would be said to #lobby");
    // The form is taught without the password.
    for (line, told_so) in [
        ("/register a b", "a password is one word; /register alone asks for it, and does not show it"),
        ("/login", "it is /login NICK; the password is asked for, and not shown"),
    ] {
        terminal.keys(format!("{line}\n"));
        told(&terminal, told_so);
    }
    terminal.keys("/passwd\n");
    told(&terminal, "type your password, which is not shown");
    terminal.keys("wrong-horse\n");
    told(&terminal, "no: that is neither the password nor a token of alice");
    terminal.keys(format!("{PASSWORD}\n"));
    told(&terminal, "type the new password, one word of at least 8 characters");
    terminal.keys("short\n");
    told(&terminal, "no: a password has 8 to 128 bytes; type another one");
    terminal.keys("\n");
    told(&terminal, "/passwd is not done");
    bob.send("/ping");
    assert!(!bob.until("+ ping").iter().any(|line| line.contains("horse")));
}

#[test]
fn whoever_leaves_a_question_for_a_password_sees_that() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let server = server(folder);
    let terminal = start(folder, &server, &[]);
    row(&terminal, "password of alice>");
    terminal.keys("half of it\x03");
    row(&terminal, "#lobby>");
    // Where the token cannot be kept, that alone is told, and where.
    let tokens = folder.join("state/chinwag/tokens");
    let _ = fs::remove_dir_all(&tokens);
    fs::create_dir_all(tokens.parent().unwrap()).unwrap();
    fs::write(&tokens, "").unwrap();
    terminal.keys("/login alice");
    row(&terminal, "#lobby> /login alice");
    terminal.keys("\r");
    row(&terminal, "password of alice>");
    terminal.keys(format!("{PASSWORD}\r"));
    told(&terminal, "the token cannot be kept, so the next start needs the password: ");
    assert!(holds(&terminal, "chinwag/tokens/") && !holds(&terminal, "the next start needs no password"));
}

#[test]
fn an_op_by_name_is_in_their_room_again_once_they_have_logged_in() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let data = folder.join("data");
    let server = server(folder);
    let mut other = log_in(&server, "alice");
    let terminal = start(folder, &server, &["--plain"]);
    told(&terminal, "which is not shown");
    terminal.keys(format!("{PASSWORD}\n"));
    told(&terminal, "the next start needs no password");
    terminal.keys("/join #den\n/room #den key sesame\n");
    told(&terminal, "you set key to sesame in #den");
    other.send("/token off");
    other.until("+ token off");
    let (server, _) = again(server, &["--data", data.to_str().unwrap()]);
    told(&terminal, "the token that was kept for alice is not good any more");
    told(&terminal, "you come into #den again once you are logged in");
    // The question comes once it is known that a password may be sent.
    terminal.wait_until("the question for the password again", |screen| {
        screen.unbroken().iter().filter(|line| line.contains("type the password, which is not shown")).count() == 2
    });
    assert!(!holds(&terminal, "ask alice"));
    terminal.keys(format!("{PASSWORD}\n"));
    let mut guest = server.connect();
    eventually("alice in #den", || {
        guest.send("/who");
        guest.until_starting("+ who ").iter().any(|line| line.starts_with("- alice ") && line.contains("#den"))
    });
    terminal.keys("/who #den\n");
    told(&terminal, "@alice");
    // What one talked to is what one talks to.
    terminal.keys("/query\n");
    told(&terminal, "you talk to #den");
}

#[test]
fn where_nothing_can_be_kept_nothing_is_said_to_be() {
    let folder = tempfile::tempdir().unwrap();
    let server = server(folder.path());
    let mut command = connect(&server.address(), &[]);
    command.current_dir(folder.path()).env_remove("XDG_STATE_HOME").env("HOME", "nowhere");
    let terminal = Terminal::start(&mut command, 100, 24, Emulator::Reflowing, Speaks::Nothing);
    row(&terminal, "password of alice>");
    terminal.keys(format!("{PASSWORD}\r"));
    told(
        &terminal,
        "the token cannot be kept, so the next start needs the password: there is no home folder for it; set HOME",
    );
    assert!(!holds(&terminal, "as a token is kept"));
    row(&terminal, "#lobby>");
    terminal.keys("/fold on\r");
    told(
        &terminal,
        "who comes and goes is only counted, but that cannot be remembered: there is no home folder for it; set HOME",
    );
    assert!(!folder.path().join("nowhere").exists());
}
