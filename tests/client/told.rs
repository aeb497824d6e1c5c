//! What the client tells of its own accord: whom one talks to, what was shared before one came, what has no answer yet, that it
//! still tries; and what it remembers.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::process::Command;

use testkit::disk::faketime;
use testkit::proxy::{Cut, Proxy};
use testkit::pty::{Emulator, Screen, Speaks, Terminal};
use testkit::{Server, binary, eventually, noise};

use crate::plain::{alice, connect, lobby, start, tells, told};

/// Waits until this stands somewhere so often.
#[track_caller]
fn told_times(terminal: &Terminal, text: &str, count: usize) -> Screen {
    let often = |screen: &Screen| screen.lines.iter().filter(|line| line.contains(text)).count() == count;
    terminal.wait_until(&format!("{count} lines with {text:?}"), often)
}

#[test]
fn in_plain_text_one_knows_whom_one_talks_to() {
    let server = Server::start(&["--rate", "0"]);
    let mut bob = server.in_room("bob", "#garden");
    let mut carol = server.in_room("carol", "#lobby");
    let proxy = Proxy::start(server.port);
    let start = |server: &str, nick: &str, rooms: &[&str]| {
        let mut command = Command::new(binary());
        command.args(["connect", "--plain", "--nick", nick]).args(rooms.iter().flat_map(|room| ["--join", room]));
        Terminal::start(command.arg(server), 100, 40, Emulator::Reflowing, Speaks::Nothing)
    };
    let terminal = start(&proxy.address(), "alice", &["#garden", "#lobby"]);
    told(&terminal, "note: you talk to #lobby now");
    carol.until("#lobby * alice joined");
    // What goes elsewhere than where somebody was heard last is told, with its place; and once, until somebody is heard elsewhere.
    bob.send("tea?");
    told(&terminal, "#garden <@bob> tea?");
    terminal.keys("yes please\n");
    carol.until("#lobby <alice> yes please");
    told(&terminal, "#lobby <alice> yes please");
    terminal.keys("and sugar\n");
    carol.until("#lobby <alice> and sugar");
    for (line, what) in
        [("/query #garden", "done: you talk to #garden"), ("/join #club", "note: you talk to #club now")]
    {
        terminal.keys(format!("{line}\n"));
        told(&terminal, what);
    }
    terminal.keys("/query\n");
    told(&terminal, "you talk to #club; /query TARGET for another");
    terminal.keys("/help query\n");
    told(&terminal, "/query [TARGET]  ");
    // Who comes back is told again.
    proxy.refuse(true);
    proxy.cut(Cut::Reset);
    told(&terminal, "note: the connection is lost: ");
    proxy.refuse(false);
    told_times(&terminal, "note: you talk to #club now", 2);
    assert!(!tells(&terminal, "<alice> and sugar") && !tells(&terminal, "you talk to #garden now"));
    // Where there is one room alone, it is told nowhere.
    let terminal = start(&server.address(), "dora", &["#lobby"]);
    terminal.keys("good day\n/who\n");
    told(&terminal, "dora");
    carol.until("#lobby <dora> good day");
    assert!(!tells(&terminal, "you talk to"), "{}", terminal.screen());
}

#[test]
fn what_was_shared_before_one_came_stands_among_what_was_said() {
    let (server, mut bob) = lobby();
    for line in ["/send #lobby 3 notes.txt", "lecker"] {
        bob.send(line);
    }
    bob.settle();
    for (option, end, want) in [
        ("--plain", "\n", "#lobby bob shares notes.txt, 3 bytes; /get 1 saves it"),
        ("--plain=off", "\r", "#lobby bob shares notes.txt (3 bytes) · /get 1"),
    ] {
        let mut terminal = alice(&server.address(), &[option]);
        told(&terminal, want);
        told(&terminal, "<bob> lecker");
        terminal.keys(format!("/search NOTES{end}"));
        told(&terminal, "1 with “NOTES” in what was shown here");
        told_times(&terminal, want, 2);
        terminal.keys(format!("/quit{end}"));
        terminal.wait_exit();
        bob.until("#lobby * alice quit");
    }
}

#[test]
fn what_is_set_is_set_in_the_next_run_too() {
    let (server, mut bob) = lobby();
    let state = tempfile::tempdir().unwrap();
    let mut run = |lines: &[(&str, &[&str])]| {
        let mut terminal = start(connect(&server.address(), &[]).env("XDG_STATE_HOME", state.path()));
        for (line, want) in lines {
            terminal.keys(format!("{line}\r"));
            want.iter().for_each(|want| drop(told(&terminal, want)));
        }
        terminal.keys("x");
        told(&terminal, "#lobby> x");
        terminal.keys("\x7f");
        terminal.wait_until("it gone", |screen| !screen.lines.iter().any(|line| line.starts_with("#lobby> x")));
        terminal.keys("/quit\r");
        terminal.wait_exit();
        let heard = bob.until("#lobby * alice quit");
        heard.iter().any(|line| line == "#lobby * alice typing")
    };
    let hint = "#lobby is told that you are not typing; /set typing off tells nobody from now on";
    assert!(run(&[("/typing off", &[hint])]));
    run(&[("/set typing off", &["typing is off"]), ("/set presence off", &["presence is off"])]);
    assert!(!run(&[("/set", &["typing is off", "presence is off"])]));
    run(&[("/set presence on", &["presence is on"])]);
    assert!(!run(&[("/set", &["typing is off", "presence is on"])]));
}

#[test]
fn what_is_on_its_way_and_has_no_answer_is_not_told_as_not_sent() {
    let (server, mut bob) = lobby();
    let proxy = Proxy::start(server.port);
    let terminal = alice(&proxy.address(), &["--plain"]);
    proxy.stall(true);
    terminal.keys("on a slow line\n");
    told(&terminal, "note: no answer yet: #lobby on a slow line");
    proxy.stall(false);
    bob.until("#lobby <alice> on a slow line");
}

#[test]
fn of_many_messages_without_an_answer_the_last_are_shown_and_the_others_counted() {
    let (server, mut bob) = lobby();
    let proxy = Proxy::start(server.port);
    let terminal = alice(&proxy.address(), &["--plain=off"]);
    proxy.stall(true);
    for n in 1..=5 {
        terminal.keys(format!("message {n}\r"));
        told(&terminal, &format!("… #lobby message {n}"));
    }
    let screen = told(&terminal, "… 3 more");
    let rows = &screen.rows[screen.cursor.0 + 1..];
    let want = ["… 3 more", "… #lobby message 4", "… #lobby message 5"];
    assert!(rows.iter().zip(want).all(|(row, want)| row.trim_end() == want), "{screen}");
    proxy.stall(false);
    bob.until("#lobby <alice> message 5");
    terminal.wait_until("them gone from below", |screen| !screen.lines.iter().any(|line| line.contains('…')));
}

#[test]
fn nothing_that_needs_a_connection_is_told_of_while_there_is_none() {
    let (server, _bob) = lobby();
    let proxy = Proxy::start(server.port);
    let terminal = alice(&proxy.address(), &["--plain"]);
    // What is asked passes, and no answer.
    let (up, down) = proxy.bytes();
    proxy.limit(usize::MAX, down);
    terminal.keys("/who\n");
    eventually("the question", || proxy.up()[up..].contains("/who"));
    proxy.refuse(true);
    proxy.cut(Cut::Reset);
    terminal.keys("hello\n");
    told(&terminal, "note: the connection is lost: ");
    // Both are due at the same time.
    told(&terminal, "yet: #lobby hello");
    proxy.limit(usize::MAX, usize::MAX);
    proxy.refuse(false);
    told(&terminal, ", and is back");
    assert!(!tells(&terminal, "no answer to /who"), "{}", terminal.screen());
}

#[test]
fn who_waits_for_long_is_told_now_and_then_that_it_is_still_tried() {
    let Some(preload) = faketime() else { return };
    let (server, _bob) = lobby();
    let proxy = Proxy::start(server.port);
    let mut command = connect(&proxy.address(), &["--plain"]);
    // A minute goes by in a second.
    command.env("LD_PRELOAD", preload).env("FAKETIME", "+0 x60");
    let terminal = start(&mut command);
    proxy.refuse(true);
    proxy.cut(Cut::Close);
    told(&terminal, "note: the connection is lost: ");
    for time in ["60 seconds", "2 minutes", "4 minutes"] {
        told(&terminal, &format!("note: there has been no connection for {time}; still trying"));
    }
    assert!(!tells(&terminal, "for 3 minutes"));
    proxy.refuse(false);
    told(&terminal, ", and is back");
}

#[test]
fn no_day_is_told_for_where_what_is_new_begins() {
    let Some(preload) = faketime() else { return };
    let server = Server::start(&["--rate", "0"]);
    let mut bob = server.in_room("bob", "#lobby");
    let home = tempfile::tempdir().unwrap();
    bob.ask("/msg #lobby tea 0", "+ msg #lobby");
    for (n, (option, end)) in [("--plain", "\n"), ("--plain=off", "\r"), ("--plain", "\n")].into_iter().enumerate() {
        let mut command = connect(&server.address(), &[option]);
        command.env("HOME", home.path()).env_remove("XDG_STATE_HOME");
        let mut terminal = start(command.env("LD_PRELOAD", &preload).env("FAKETIME", "+3d"));
        let lines = told(&terminal, &format!("bob> tea {n}")).lines;
        let tea = |line: &String| line.contains("bob> tea ");
        let (Some(from), Some(to)) = (lines.iter().position(tea), lines.iter().rposition(tea)) else {
            panic!("{lines:#?}")
        };
        let others: Vec<_> =
            lines[from..to].iter().filter(|line| !tea(line) && !line.contains("said before")).collect();
        assert!(others.iter().all(|line| line.ends_with("new since you left")), "{lines:#?}");
        assert_eq!(others.len(), n.min(1), "{lines:#?}");
        terminal.keys(format!("/quit{end}"));
        terminal.wait_exit();
        bob.until_starting("#lobby * alice quit");
        bob.ask(&format!("/msg #lobby tea {}", n + 1), "+ msg #lobby");
    }
}

#[test]
fn a_file_does_not_go_where_a_line_is_held_back() {
    let (server, mut bob) = lobby();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("notes.txt");
    fs::write(&file, noise(12, 1)).unwrap();
    for (option, end) in [("--plain", "\n"), ("--plain=off", "\r")] {
        let mut terminal = alice(&server.address(), &[option]);
        terminal.keys(format!("/query zed{end}"));
        told(&terminal, "/query: zed is not here");
        terminal.keys(format!("/send {}{end}", file.display()));
        told(&terminal, "/query zed was refused, so this would go to #lobby; type it once more if you mean that");
        assert!(!bob.settle().iter().any(|line| line.contains("notes.txt")));
        terminal.keys(format!("/send {}{end}", file.display()));
        told(&terminal, "notes.txt is shared with #lobby");
        terminal.keys(format!("/quit{end}"));
        terminal.wait_exit();
        bob.until("#lobby * alice quit");
    }
}

#[test]
fn the_next_word_after_a_password_that_was_left_untold_is_not_said() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(&["--rate", "0", "--data", folder.path().to_str().unwrap()]);
    let mut bob = server.in_room("bob", "#lobby");
    for (option, end, left) in [("--plain", "\n", "\n"), ("--plain=off", "\r", "\r"), ("--plain=off", "\r", "\x03")] {
        let mut terminal = alice(&server.address(), &[option]);
        terminal.keys(format!("/register{end}"));
        told(&terminal, if option == "--plain" { "note: type the new password" } else { "new password>" });
        terminal.keys(left);
        told(&terminal, "/register is not done");
        terminal.keys(format!("probewort88{end}"));
        told(&terminal, "/register is not done, and this would be said to #lobby; type it once more if you mean that");
        terminal.keys(format!("/quit{end}"));
        terminal.wait_exit();
        assert!(!bob.until("#lobby * alice quit").iter().any(|line| line.contains("probewort88")));
    }
}

#[test]
fn in_plain_text_what_one_says_over_another_connection_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let server = Server::start(&["--data", &path("data"), "--rate", "0"]);
    let mut bob = server.in_room("bob", "#lobby");
    let mut other = server.person("alice");
    other.ask("/register correct-horse", "+ register alice");
    other.send("/token");
    let token = other.until_starting("+ token ").pop().unwrap().split_off("+ token ".len());
    fs::write(path("token"), format!("alice {token}")).unwrap();
    fs::set_permissions(path("token"), fs::Permissions::from_mode(0o600)).unwrap();
    let terminal = alice(&server.address(), &["--plain", "--token-file", &path("token")]);
    bob.send("who is here?");
    told(&terminal, "<@bob> who is here?");
    terminal.keys("I, here\n");
    bob.until("#lobby <alice> I, here");
    // The place that was heard last is the same.
    for said in ["I, on the way", "I, on the way still", "/me waves"] {
        other.send(&format!("/msg #lobby {said}"));
        other.until("+ msg #lobby");
    }
    told(&terminal, "#lobby <alice> I, on the way still");
    told(&terminal, "#lobby * alice waves");
    told_times(&terminal, "I, here", 1);
}
