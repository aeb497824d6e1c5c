//! Saved servers: what the file of them says, what goes before it, and what is told when it is wrong.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::process::{Command, Output, Stdio};

use testkit::pty::{Emulator, Speaks, Terminal};
use testkit::{Server, binary, timed};

use super::terminal::connect;

/// A person's home, with the file of their servers in it.
struct Home(tempfile::TempDir);

impl Home {
    fn with(config: &str) -> Self {
        let home = Self(tempfile::tempdir().unwrap());
        fs::create_dir_all(home.0.path().join(".config/chinwag")).unwrap();
        fs::write(home.0.path().join(".config/chinwag/config"), config).unwrap();
        home
    }

    /// The client, which finds only this home. If it hangs it is ended: then its exit status is 124.
    fn chinwag(&self, arguments: &[&str]) -> Command {
        let mut command = timed();
        command.arg(binary()).args(arguments).current_dir(self.0.path()).stdin(Stdio::null());
        for name in ["XDG_CONFIG_HOME", "CHINWAG_SERVER", "CHINWAG_NICK"] {
            command.env_remove(name);
        }
        command.env("HOME", self.0.path());
        command
    }

    fn run(&self, arguments: &[&str]) -> Output {
        self.chinwag(arguments).output().unwrap()
    }
}

/// What it prints and tells, and its exit status.
fn outcome(output: &Output) -> (String, String, i32) {
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    (text(&output.stdout), text(&output.stderr), output.status.code().unwrap())
}

/// The replies to what was wished for.
fn replies(output: &Output) -> Vec<String> {
    let (out, errors, status) = outcome(output);
    assert_eq!((&*errors, status), ("", 0), "{out}");
    out.lines().filter(|line| line.starts_with("+ ")).map(str::to_owned).collect()
}

#[test]
fn a_saved_server_needs_no_more_than_its_name() {
    let server = Server::start(&[]);
    let address = server.address();
    let home = Home::with(&format!("nick = guestbook\n[work]\nserver = {address}\nnick = alice\njoin = #a #b\n"));
    assert_eq!(replies(&home.run(&["connect", "work"])), ["+ nick alice", "+ join #a 1", "+ join #b 1"]);
    // What holds for every server does so for one that has no section, and for the only one there is.
    assert_eq!(replies(&home.run(&["connect", &address])), ["+ nick guestbook"]);
    let home = Home::with(&format!("server = {address}\nnick = alice\n"));
    assert_eq!(replies(&home.run(&["connect"])), ["+ nick alice"]);
    // Elsewhere, where the environment says.
    let elsewhere = home.0.path().join("elsewhere");
    fs::create_dir_all(elsewhere.join("chinwag")).unwrap();
    fs::rename(home.0.path().join(".config/chinwag/config"), elsewhere.join("chinwag/config")).unwrap();
    let output = home.chinwag(&["connect"]).env("XDG_CONFIG_HOME", &elsewhere).output().unwrap();
    assert_eq!(replies(&output), ["+ nick alice"]);
}

#[test]
fn options_go_before_the_environment_and_that_before_the_file() {
    let (server, other) = (Server::start(&[]), Server::start(&["--name", "Other"]));
    let (address, other) = (server.address(), other.address());
    let home = Home::with(&format!(
        "server = 127.0.0.1:1\n[work]\nserver = {address}\nnick = alice\njoin = #a\n[other]\nserver = {other}\n"
    ));
    assert_eq!(
        replies(&home.run(&["connect", "work", "--nick", "bob", "--join", "#c"])),
        ["+ nick bob", "+ join #c 1"]
    );
    let set = |arguments: &[&str], server: &str, nick: &str| {
        home.chinwag(arguments).env("CHINWAG_SERVER", server).env("CHINWAG_NICK", nick).output().unwrap()
    };
    assert_eq!(replies(&set(&["connect"], "work", "carol")), ["+ nick carol", "+ join #a 1"]);
    assert_eq!(replies(&set(&["connect", "work", "--nick", "bob"], "other", "carol")), ["+ nick bob", "+ join #a 1"]);
    let (out, ..) = outcome(&set(&["connect", "other"], "work", ""));
    assert!(out.contains("Other") && !out.contains("+ nick"), "{out}");
    let (_, errors, status) = outcome(&set(&["connect"], "work", "no nick"));
    assert!(status == 1 && errors.contains("CHINWAG_NICK=no nick: that is no name: a blank is in it"), "{errors}");
}

#[test]
fn scripts_find_saved_servers_too() {
    let server = Server::start(&[]);
    let mut bob = server.in_room("bob", "#team");
    let mut lobby = server.in_room("carol", "#lobby");
    lobby.ask("/set presence off", "+ set presence off");
    let home = Home::with(&format!("[work]\nserver = {}\nnick = alice\njoin = #lobby\n", server.address()));
    fs::write(home.0.path().join("note"), "hello").unwrap();
    assert_eq!(outcome(&home.run(&["say", "--server", "work", "#team", "done"])), (String::new(), String::new(), 0));
    bob.until("#team <alice> done");
    let send = home.run(&["send", "--server", "work", "--to", "#lobby", "note"]);
    assert_eq!(outcome(&send), ("1\n".to_owned(), String::new(), 0));
    let get = home.chinwag(&["get", "1", "-o", "copy"]).env("CHINWAG_SERVER", "work").output().unwrap();
    assert_eq!(outcome(&get), ("copy\n".to_owned(), String::new(), 0));
    // Nobody hears of a visitor who has something for another room.
    let heard = lobby.settle();
    assert_eq!(heard.iter().filter(|line| line.contains("alice joined")).count(), 2, "{heard:?}");
    // Whoever is there already goes on being so, and what a script says is said all the same.
    let _alice = server.person("alice");
    let (_, errors, status) = outcome(&home.run(&["say", "--server", "work", "#team", "again"]));
    assert!(status == 0 && errors.contains("you are guest"), "{errors}");
    assert!(bob.until_starting("#team <guest").last().unwrap().ends_with("> again"));
    let (_, errors, status) = outcome(&home.run(&["say", "--server", "work", "--nick", "alice", "#team", "no"]));
    assert!(status == 1 && errors.contains("alice"), "{errors}");
}

#[test]
fn what_is_wrong_in_the_file_is_told_with_its_line_and_what_to_write() {
    for (config, want) in [
        ("[work]\nserver = host:x\n", ":2: server = host:x: a server is HOST or HOST:PORT"),
        (
            "[work]\nserver = 127.0.0.1:1\nnick = 1st\n",
            ":3: nick = 1st: that is no name: it begins with 1; a letter comes first",
        ),
        (
            "[work]\njoin = #a lobby\n",
            ":2: join = lobby: a room begins with #; did you mean #lobby? The key of a room is not saved; an op's /invite NICK ",
        ),
        ("[work]\njoin = #a s3cr!t\n", ", as in #lobby; and the key of a room is not saved; an op's /invite NICK "),
        (
            "[work]\njoin = #a #b+\n",
            ":2: join = #b+: that is no room: + is in it; use letters, digits, - and _ alone\n",
        ),
        ("[work]\nnik = alice\n", ":2: nothing is called “nik” here; there are server, nick, join"),
        ("[work]\nnick alice\n", ":2: a line is KEY = VALUE, as in nick = alice"),
        ("[work\n", ":1: a section is a name in brackets, as in [work]"),
        ("[work]\nserver = host # mine\n", "without blanks or slashes; a comment stands on a line of its own"),
        // What is not used here is as wrong.
        ("[work]\nbell = loud\n", ":2: bell = loud: it is always or never"),
        ("join = #a lobby\n[work]\nserver = 127.0.0.1:1\n", ":1: join = lobby: a room begins with #"),
    ] {
        let (out, errors, status) = outcome(&Home::with(config).run(&["connect", "work"]));
        assert_eq!((&*out, status), ("", 1), "{config}");
        assert!(errors.contains(".config/chinwag/config:") && errors.contains(want), "{errors}");
    }
}

#[test]
fn what_is_wrong_for_another_server_is_told_and_stops_nothing() {
    let server = Server::start(&[]);
    let address = server.address();
    let wrong = "[home]\njoin = #a lobby\nserver = :x\n";
    for config in [
        format!("{wrong}[work]\nserver = {address}\nnick = alice\n"),
        format!("server = work\n[work]\nserver = {address}\nnick = alice\n{wrong}"),
    ] {
        let home = Home::with(&config);
        let arguments = if config.starts_with('[') { &["connect", "work"][..] } else { &["connect"] };
        let (out, errors, status) = outcome(&home.run(arguments));
        assert!(status == 0 && out.contains("+ nick alice"), "{out}{errors}");
        let told: Vec<&str> = errors.lines().collect();
        assert!(told.len() == 1 && told[0].contains("join = lobby: a room begins with #"), "{errors}");
        assert!(told[0].ends_with("; this goes on without it, as it is for [home] alone"), "{errors}");
        // Whoever goes there is stopped.
        let (_, errors, status) = outcome(&home.run(&["connect", "home"]));
        assert!(status == 1 && errors.contains("join = lobby"), "{errors}");
    }
}

#[test]
fn what_no_server_is_called_is_told_with_what_may_be_meant() {
    let home = Home::with("[7]\nserver = 127.0.0.1:1\n");
    for (typed, meant) in [("tls:example.org:1", "is tls://example.org:1 meant?"), ("2430", "is 127.0.0.1:2430 meant?")]
    {
        for arguments in [&["connect", typed][..], &["say", "#a", "hi", "--server", typed]] {
            let (_, errors, status) = outcome(&home.run(arguments));
            assert!(status == 1 && errors.contains(meant), "{errors}");
        }
    }
    let (_, errors, _) = outcome(&home.run(&["connect", "7"]));
    assert!(errors.contains("cannot connect to 127.0.0.1:1: "), "{errors}");
}

#[test]
fn a_slip_in_the_name_of_a_saved_server_is_told() {
    let home = Home::with("[work]\nserver = 127.0.0.1:1\n[home]\nserver = 127.0.0.1:1\n");
    for arguments in [&["connect", "wrok"][..], &["say", "--server", "wrok", "#a", "hello"]] {
        let (_, errors, status) = outcome(&home.run(arguments));
        let want = "wrok is no host that is known here, and no saved server; saved are work, home";
        assert!(status == 1 && errors.contains(want), "{errors}");
    }
    // A host may be called by a word. Nobody is asked there, as the password is read first.
    let (_, errors, status) = outcome(&home.run(&["connect", "localhost", "--password-file", "nowhere"]));
    assert!(status == 1 && errors.contains("nowhere") && !errors.contains("saved are"), "{errors}");
    // So is one that is saved without a server, whatever stands above the first section.
    let home = Home::with("server = 127.0.0.1:1\n[wrok]\njoin = #a\n");
    let (_, errors, status) = outcome(&home.run(&["connect", "wrok"]));
    let want = "no host is called wrok, and [wrok] names none; write server = HOST below it";
    assert!(status == 1 && errors.contains(want), "{errors}");
    // What has a port or a dot is no name of a saved one.
    for server in ["wrok:1", "wrok.invalid"] {
        let (_, errors, status) = outcome(&home.run(&["connect", server]));
        assert!(status == 1 && !errors.contains("saved are"), "{errors}");
    }
}

#[test]
fn a_password_that_others_can_read_is_warned_of() {
    let folder = tempfile::tempdir().unwrap();
    let password = folder.path().join("secret");
    fs::write(&password, "hush\n").unwrap();
    let server = Server::start(&["--password-file", password.to_str().unwrap()]);
    let home = Home::with(&format!("[work]\nserver = {}\npassword-file = secret\n", server.address()));
    let ours = home.0.path().join(".config/chinwag/secret");
    fs::copy(&password, &ours).unwrap();
    for (mode, is_told) in [(0o644, true), (0o640, true), (0o600, false)] {
        fs::set_permissions(&ours, Permissions::from_mode(mode)).unwrap();
        let (out, errors, status) = outcome(&home.run(&["connect", "work"]));
        assert!(status == 0 && out.contains("+ pass"), "{out}{errors}");
        assert_eq!(errors.contains("others can read the password in "), is_told, "{mode:o} {errors}");
    }
}

#[test]
fn a_pipe_in_the_place_of_a_file_of_the_desktop_is_not_waited_for() {
    let server = Server::start(&[]);
    let home = Home::with("");
    let pipe = home.0.path().join(".config/user-dirs.dirs");
    assert!(Command::new("mkfifo").arg(pipe).status().unwrap().success());
    let (out, errors, status) = outcome(&home.run(&["connect", "--plain", &server.address()]));
    assert!(status == 0 && out.contains("1 person online"), "{out}{errors}");
}

#[test]
fn who_comes_again_sees_where_what_is_new_begins() {
    let server = Server::start(&["--rate", "0"]);
    let mut bob = server.in_room("bob", "#lobby");
    let home = tempfile::tempdir().unwrap();
    let come = |options: &[&str]| {
        let mut command = connect(&server.address(), options);
        command.env("HOME", home.path()).env_remove("XDG_STATE_HOME");
        Terminal::start(&mut command, 80, 24, Emulator::Reflowing, Speaks::Nothing)
    };
    bob.ask("/msg #lobby seen", "+ msg #lobby");
    for (options, end, n) in [(&[][..], '\r', 0), (&[], '\r', 1), (&["--plain"], '\n', 2)] {
        let mut terminal = come(options);
        let newest = if n == 0 { "seen".to_owned() } else { format!("missed {n}") };
        let screen = terminal.wait_until("the newest", |screen| {
            screen.lines.iter().any(|line| line.ends_with(&format!("bob> {newest}")))
        });
        // Plain text tells besides what was said before.
        let is_of_it = |line: &&String| line.contains("bob> ") || line.contains("new since you left");
        let told: Vec<&String> = screen.lines.iter().filter(is_of_it).collect();
        let news: Vec<usize> = (0..told.len()).filter(|&at| told[at].contains("new since")).collect();
        let want = if n == 0 { Vec::new() } else { vec![told.len() - 2] };
        assert_eq!(news, want, "{screen}");
        terminal.keys(format!("/quit{end}"));
        terminal.wait_exit();
        bob.until_starting("#lobby * alice quit");
        bob.ask(&format!("/msg #lobby missed {}", n + 1), "+ msg #lobby");
    }
}
