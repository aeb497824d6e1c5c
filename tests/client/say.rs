//! `chinwag say`: each line is said once, or it is told why not.

use std::fs::{self, Permissions};
use std::io::Write;
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Command, Stdio};

use testkit::proxy::{Plan, Proxy};
use testkit::{Server, binary};

use crate::oneshot::{chinwag, failed, fine, run, text};

#[test]
fn say_says_each_line_once() {
    let server = Server::start(&["--rate", "0"]);
    let here = tempfile::tempdir().unwrap();
    let mut alice = server.in_room("alice", "#a");
    let say = |options: &[&str]| run(here.path(), server.port, &[&["say", "--nick", "bob"], options].concat());
    assert_eq!(fine(&say(&["#a", "hello", " out  there"])), [""; 0]);
    alice.until("#a <bob> hello  out  there");
    fine(&say(&["#a", "one\n\n  two\r\n/me waves\n//who\n=)"]));
    for line in ["one", "  two", "/me waves", "//who", "=)"] {
        alice.until(&format!("#a <bob> {line}"));
    }
    // What is struck over, as a manual has its bold letters, is what a terminal shows of it.
    let mut command = chinwag(here.path(), server.port, &["say", "#a", "--nick", "bob"]);
    fs::write(here.path().join("bold"), "N\x08NA\x08AM\x08ME\n_\x08x\x7fy\0\nold\x15new\n").unwrap();
    fine(&command.stdin(fs::File::open(here.path().join("bold")).unwrap()).output().unwrap());
    for line in ["NAME", "y", "new"] {
        alice.until(&format!("#a <bob> {line}"));
    }
    fine(&say(&["alice", "psst"]));
    alice.until("@bob <bob> psst");
    fine(&say(&["@alice", "--", "-5 degrees"]));
    alice.until("@bob <bob> -5 degrees");
    // A file, and more lines than wait at once.
    let lines: Vec<String> = (0..500).map(|n| format!("line {n}")).collect();
    fs::write(here.path().join("lines"), lines.join("\n")).unwrap();
    let mut command = chinwag(here.path(), server.port, &["say", "#a", "--nick", "bob"]);
    let output = command.stdin(fs::File::open(here.path().join("lines")).unwrap()).output().unwrap();
    assert_eq!(fine(&output), [""; 0]);
    let heard = alice.until("#a <bob> line 499");
    let heard: Vec<_> = heard.iter().filter_map(|line| line.strip_prefix("#a <bob> ")).collect();
    assert_eq!(heard, lines[..499]);
}

#[test]
fn say_says_lines_as_they_come() {
    let server = Server::start(&[]);
    let here = tempfile::tempdir().unwrap();
    let mut alice = server.in_room("alice", "#a");
    let mut command = chinwag(here.path(), server.port, &["say", "#a", "--nick", "bob"]);
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut input = child.stdin.take().unwrap();
    for line in ["one", "two"] {
        writeln!(input, "{line}").unwrap();
        alice.until(&format!("#a <bob> {line}"));
    }
    write!(input, "the end").unwrap();
    drop(input);
    alice.until("#a <bob> the end");
    assert_eq!(fine(&child.wait_with_output().unwrap()), [""; 0]);
    alice.until_starting("#a * bob quit");
}

#[test]
fn say_says_as_much_at_once_as_the_server_takes_and_tells_how_much_that_is() {
    let server = Server::start(&["--rate", "0"]);
    let here = tempfile::tempdir().unwrap();
    let mut alice = server.in_room("alice", "#a");
    for (target, place, most) in [("#a", "#a", 4_087), ("alice", "@bob", 4_083)] {
        for count in [most, most + 1, 4_096, 4_097] {
            let output = run(here.path(), server.port, &["say", "--nick", "bob", target, &"x".repeat(count)]);
            if count == most {
                assert_eq!(fine(&output), [""; 0]);
                alice.until(&format!("{place} <bob> {}", "x".repeat(count)));
            } else {
                let to = if target == "#a" { "#a" } else { "@alice" };
                failed(&output, &format!("line 1: a message to {to} has at most {most} bytes; say it in parts"));
            }
        }
    }
}

#[test]
fn say_fails_unless_it_was_said() {
    let server = Server::start(&[]);
    let here = tempfile::tempdir().unwrap();
    let mut alice = server.in_room("alice", "#a");
    let say = |options: &[&str]| run(here.path(), server.port, &[&["say"], options].concat());
    failed(&say(&["carol", "hello"]), "carol");
    failed(&say(&["#a", "--create", " "]), "there is nothing to say");
    // A job of which the output is said may have none, and nobody is to see that.
    assert_eq!(fine(&say(&["#a", "--nick", "cron"])), [""; 0]);
    fs::write(here.path().join("blank"), " \n\n").unwrap();
    let mut command = chinwag(here.path(), server.port, &["say", "#a", "--nick", "cron"]);
    assert_eq!(fine(&command.stdin(fs::File::open(here.path().join("blank")).unwrap()).output().unwrap()), [""; 0]);
    let heard = alice.settle();
    assert!(!heard.iter().any(|line| line.contains("cron")), "{heard:?}");
    let told =
        "chinwag: alice is somebody else; choose another name, or wait a minute if that was you; so nothing was said\n";
    alice.settle();
    let output = say(&["#a", "--nick", "alice", "hello"]);
    assert_eq!((output.status.code(), text(&output.stderr)), (Some(1), told.to_owned()));
    let heard = alice.settle();
    assert!(!heard.iter().any(|line| line.contains("guest") && line.starts_with('#')), "{heard:?}");
    // What is too long is left out, and the rest is said.
    let long = "x".repeat(5_000);
    failed(
        &say(&["#a", &format!("first\n{long}\nlast")]),
        "line 2: a message to #a has at most 4087 bytes; say it in parts",
    );
    // Whoever said something before may not be gone yet, and so this is any guest.
    let mut hears = |text: &str| {
        while !alice.until_starting("#a <guest").last().unwrap().ends_with(&format!("> {text}")) {}
    };
    for text in ["first", "last"] {
        hears(text);
    }
    fs::write(here.path().join("lines"), format!("first\n{long}\nlast")).unwrap();
    let mut command = chinwag(here.path(), server.port, &["say", "#a"]);
    failed(&command.stdin(fs::File::open(here.path().join("lines")).unwrap()).output().unwrap(), "line 2: a ");
    for text in ["first", "last"] {
        hears(text);
    }
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    failed(&run(here.path(), port, &["say", "#a", "hello"]), "cannot connect");
    for arguments in [&["say"][..], &["say", "a b", "hello"]] {
        assert_eq!(run(here.path(), server.port, arguments).status.code(), Some(2), "{arguments:?}");
    }
}

/// What a line of a shell's says when it fails.
#[test]
fn say_reaches_a_room_that_takes_words_from_outside_and_tells_why_another_does_not() {
    let server = Server::start(&[]);
    let folder = tempfile::tempdir().unwrap();
    let mut op = server.in_room("op", "#reports");
    for line in ["/room invite-only on", "/room outside on"] {
        op.send(line);
        op.until_starting("+ room ");
    }
    fine(&run(folder.path(), server.port, &["say", "#reports", "it is green", "--nick", "builder"]));
    op.until("#reports <builder> it is green");
    op.send("/room outside off");
    op.until_starting("+ room ");
    let output = run(folder.path(), server.port, &["say", "#reports", "it is red", "--nick", "builder"]);
    failed(
        &output,
        "#reports has not got “it is red”: only who is invited comes into #reports; ask op, an op of it, for /invite",
    );
    for line in ["/room invite-only off", "/room key sesame"] {
        op.send(line);
        op.until_starting("+ room ");
    }
    let output = run(folder.path(), server.port, &["say", "#reports", "it is red", "--nick", "builder"]);
    failed(
        &output,
        "for it, and type /join #reports KEY; this program gives no key, so have an op /invite the name that",
    );
    // From outside it is as if it were not there.
    op.send("/room hidden on");
    op.until_starting("+ room ");
    let output = run(folder.path(), server.port, &["say", "#reports", "it is red", "--nick", "builder"]);
    failed(&output, "#reports has not got “it is red”: #reports has a key; ");
}

/// A server on which bot owns its name, and the token of that in `folder`.
fn with_token(folder: &Path) -> Server {
    let server = Server::start(&["--rate", "0", "--data", folder.join("data").to_str().unwrap()]);
    let mut bot = server.person("bot");
    bot.ask("/register correct-horse", "+ register bot");
    bot.send("/token");
    let token = bot.until_starting("+ token ").pop().unwrap().replace("+ token", "bot");
    let file = folder.join("token");
    fs::write(&file, token).unwrap();
    fs::set_permissions(&file, Permissions::from_mode(0o600)).unwrap();
    server
}

/// As an owner they are shown to be there all the time, whatever becomes of their connections.
#[test]
fn say_says_each_line_once_over_a_connection_that_is_closed_now_and_then() {
    let here = tempfile::tempdir().unwrap();
    let server = with_token(here.path());
    let mut alice = server.in_room("alice", "#a");
    let lines: Vec<String> = (0..300).map(|n| format!("line {n} of all that there is to say")).collect();
    fs::write(here.path().join("lines"), lines.join("\n")).unwrap();
    for (n, who) in [["--nick", "bob"], ["--token-file", "token"]].into_iter().enumerate() {
        let nick = ["bob", "bot"][n];
        let plan = Plan { seed: 7, cuts: 6, bytes: 3_000..5_000, milliseconds: 60_000..90_000 };
        let cutting = Proxy::cutting(server.port, plan);
        let mut command = chinwag(here.path(), cutting.port(), &["say", "#a", who[0], who[1]]);
        let output = command.stdin(fs::File::open(here.path().join("lines")).unwrap()).output().unwrap();
        let heard = alice.until_starting(&format!("#a * {nick} quit"));
        let said = format!("#a <{nick}> ");
        assert_eq!(heard.iter().filter_map(|line| line.strip_prefix(&said)).collect::<Vec<_>>(), lines);
        assert_eq!((fine(&output), cutting.cuts()), (vec![], 6));
        // Nor has anybody seen it.
        assert_eq!(heard.iter().filter(|line| line.starts_with(&format!("#a * {nick} "))).count(), 2, "{heard:?}");
    }
}

#[test]
fn a_script_leaves_whoever_is_here_already_as_it_found_them() {
    let here = tempfile::tempdir().unwrap();
    let server = with_token(here.path());
    let mut alice = server.in_room("alice", "#a");
    fs::write(here.path().join("file"), "hello").unwrap();
    let run = |options: &[&str]| fine(&run(here.path(), server.port, &[options, &["--token-file", "token"]].concat()));
    // Who is here by the script alone goes.
    run(&["say", "#a", "one"]);
    alice.until_starting("#a * bot quit");
    let mut bot = server.connect();
    bot.send("/set presence off\n/login bot correct-horse");
    bot.until("+ login bot");
    bot.ask("/join #home", "- here bot");
    bot.expect("+ join #home 1");
    run(&["say", "#a", "two"]);
    alice.until("#a * bot left");
    run(&["send", "file", "--to", "#a"]);
    alice.until("#a * bot left");
    assert_eq!(run(&["get", "1", "--join", "#a", "--output", "-"]), ["hello"]);
    alice.until("#a * bot left");
    // Where they were they stay.
    run(&["say", "#home", "three"]);
    bot.until("#home <bot> three");
    bot.send("/who bot");
    assert!(bot.until_starting("- bot ").pop().unwrap().ends_with(" #home"));
}

/// Where several scripts of one bot run at once, the first that ends takes no room from another.
#[test]
fn a_script_leaves_no_room_that_another_found() {
    let here = tempfile::tempdir().unwrap();
    let server = with_token(here.path());
    let mut alice = server.in_room("alice", "#a");
    let mut bot = server.connect();
    bot.send("/login bot correct-horse");
    bot.until("+ login bot");
    let start = |line: &str| {
        let mut command = chinwag(here.path(), server.port, &["say", "#a", "--token-file", "token"]);
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let mut input = child.stdin.take().unwrap();
        writeln!(input, "{line}").unwrap();
        (child, input)
    };
    let (first, input) = start("one");
    alice.until("#a <bot> one");
    let (second, mut more) = start("two");
    alice.until("#a <bot> two");
    drop(input);
    fine(&first.wait_with_output().unwrap());
    writeln!(more, "three").unwrap();
    drop(more);
    alice.until("#a <bot> three");
    fine(&second.wait_with_output().unwrap());
}

/// No place is kept for it.
#[test]
fn who_ends_a_script_ends_what_is_seen_of_it() {
    let server = Server::start(&[]);
    let here = tempfile::tempdir().unwrap();
    let mut alice = server.in_room("alice", "#a");
    for signal in ["INT", "TERM", "HUP"] {
        let mut command = Command::new(binary());
        command.args(["say", "#a", "--nick", "bob", "--server", &server.address()]).current_dir(here.path());
        let mut child = command.stdin(Stdio::piped()).spawn().unwrap();
        writeln!(child.stdin.as_ref().unwrap(), "hello").unwrap();
        alice.until("#a <bob> hello");
        let is_sent = Command::new("kill").args([&format!("-{signal}"), &child.id().to_string()]).status().unwrap();
        assert!(is_sent.success());
        alice.until_starting("#a * bob quit");
        assert!(child.wait().unwrap().signal().is_some());
    }
}

/// What is under way is said still, and no more.
#[test]
fn who_ends_a_long_say_is_told_how_far_it_came() {
    let server = Server::start(&[]);
    let here = tempfile::tempdir().unwrap();
    let mut alice = server.in_room("alice", "#a");
    let lines: Vec<String> = (1..=500).map(|n| format!("line {n}")).collect();
    fs::write(here.path().join("lines"), lines.join("\n")).unwrap();
    for signal in ["INT", "TERM"] {
        let mut command = chinwag(here.path(), server.port, &["say", "#a", "--nick", "bob"]);
        command.stdin(fs::File::open(here.path().join("lines")).unwrap()).stderr(Stdio::piped());
        let child = command.spawn().unwrap();
        let mut heard = alice.until("#a <bob> line 80");
        heard.push("#a <bob> line 80".to_owned());
        assert!(
            Command::new("kill").args([&format!("-{signal}"), &child.id().to_string()]).status().unwrap().success()
        );
        let output = child.wait_with_output().unwrap();
        assert!(output.status.signal().is_some());
        heard.extend(alice.until_starting("#a * bob "));
        let heard: Vec<_> = heard.iter().filter_map(|line| line.strip_prefix("#a <bob> ")).collect();
        assert!(lines.starts_with(&heard.iter().map(|line| line.to_string()).collect::<Vec<_>>()), "{heard:?}");
        let told = text(&output.stderr);
        let sure = told.strip_prefix("chinwag: what came up to line ").and_then(|rest| rest.split_once(' ')).unwrap();
        let count: usize = sure.0.parse().unwrap();
        assert!(sure.1.starts_with(&format!("has been said, and that is “line {count}”")), "{told}");
        // A busy machine may end it before the last are answered.
        assert!((count..=count + 20).contains(&heard.len()) && heard.len() < 400, "{told}: {}", heard.len());
    }
}
