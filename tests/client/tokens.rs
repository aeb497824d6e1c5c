//! Tokens that are kept or stand in files: who scripts are by them, and what is told of those that are of no use.

use std::fs::{self, Permissions};
use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use testkit::proxy::{Cut, Proxy};
use testkit::{Client, Server, binary, eventually, noise, timed};

use super::login::{again, good, kept, log_in, run, server, start_as, token};
use super::terminal::told;

fn bad(output: &Output) -> String {
    let errors = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(1), "{}{errors}", String::from_utf8_lossy(&output.stdout));
    errors
}

#[test]
fn scripts_are_who_their_token_says() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let server = server(folder);
    let mut bob = log_in(&server, "bob");
    bob.send("/join #lobby");
    bob.until("+ join #lobby 1");
    let mut alice = log_in(&server, "alice");
    let file = folder.join("token");
    let write = |text: &str, mode: u32| {
        fs::write(&file, text).unwrap();
        fs::set_permissions(&file, Permissions::from_mode(mode)).unwrap();
    };
    write(&format!("alice {}\n", token(&mut alice)), 0o600);
    fs::write(folder.join("cat.png"), "meow").unwrap();
    let run = |arguments: &[&str], input: &str| run(folder, &server, arguments, input);
    // Beside herself, as she is there already.
    good(&run(&["say", "#lobby", "hi", "--token-file", "token"], ""));
    bob.until("#lobby <alice> hi");
    assert_eq!(good(&run(&["send", "cat.png", "--to", "#lobby", "--token-file", "token"], "")), "1\n");
    bob.until("#lobby * alice file 1 4 cat.png");
    let get = ["get", "1", "--output", "-", "--join", "#lobby", "--token-file", "token"];
    assert_eq!(good(&run(&get, "")), "meow");
    let out = good(&run(&["connect", "--join", "#lobby", "--token-file", "token"], "from a pipe\n"));
    assert!(out.contains("\n+ login alice\n"), "{out}");
    bob.until("#lobby <alice> from a pipe");
    good(&run(
        &["connect", "--plain", "--join", "#lobby", "--nick", "Alice", "--token-file", "token"],
        "in plain words\n",
    ));
    bob.until("#lobby <alice> in plain words");
    // It may be saved, and then the name need not be.
    fs::create_dir_all(folder.join("config/chinwag")).unwrap();
    fs::write(folder.join("config/chinwag/config"), "token-file = ../../token\n").unwrap();
    good(&run(&["say", "#lobby", "hi again"], ""));
    bob.until("#lobby <alice> hi again");
    good(&run(&["say", "#lobby", "--nick", "carol", "no token for me"], ""));
    bob.until("#lobby <carol> no token for me");
    fs::remove_file(folder.join("config/chinwag/config")).unwrap();
    // What is wrong with it is told before anything is said.
    let say = ["say", "#lobby", "not said", "--token-file", "token"];
    let with_nick = [&say[..], &["--nick", "bob"]].concat();
    assert!(bad(&run(&with_nick, "")).contains("the token is alice's, and --nick says bob"));
    let text = fs::read_to_string(&file).unwrap();
    for mode in [0o640, 0o604] {
        write(&text, mode);
        assert!(bad(&run(&say, "")).contains("others can read the token in token; chmod 600 token keeps it to you"));
    }
    write("alice", 0o600);
    assert!(bad(&run(&say, "")).contains("token holds no token: its first line is NICK TOKEN"));
    write(&text, 0o600);
    alice.send("/token off");
    alice.until("+ token off");
    let told = bad(&run(&say, ""));
    assert!(told.starts_with("chinwag: the token in token is not good any more\nchinwag: alice belongs to "), "{told}");
    assert!(told.ends_with("; so nothing was said\n") && !told.contains("guest"), "{told}");
    let plain = ["connect", "--plain", "--join", "#lobby", "--token-file", "token"];
    assert!(bad(&run(&plain, "not said\n")).ends_with("; so nothing was done\n"));
    let pipe = ["connect", "--join", "#lobby", "--token-file", "token"];
    assert!(bad(&run(&pipe, "not said\n")).contains("does not let us be alice: "));
    assert!(file.exists(), "nobody but its owner removes it");
    let heard = bob.settle();
    assert!(heard.iter().all(|line| !line.contains("not said") && !line.contains("guest")), "{heard:?}");
    // What `connect` has kept serves scripts of that name.
    let path = kept(folder, &server);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(&path, format!("alice {}\n", token(&mut alice))).unwrap();
    fs::set_permissions(&path, Permissions::from_mode(0o600)).unwrap();
    good(&run(&["say", "#lobby", "kept", "--nick", "alice"], ""));
    bob.until("#lobby <alice> kept");
}

#[test]
fn what_a_script_is_to_say_by_a_token_is_said_by_no_guest_of_that_name() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    fs::write(folder.join("token"), format!("alice {}\n", "A".repeat(43))).unwrap();
    fs::set_permissions(folder.join("token"), Permissions::from_mode(0o600)).unwrap();
    fs::write(folder.join("cat.png"), "meow").unwrap();
    let (new, off) = (folder.join("new"), folder.join("off"));
    for (server, why) in [
        (Server::start(&["--data", new.to_str().unwrap()]), "this server knows nobody who owns alice"),
        (Server::start(&[]), "this server keeps nothing"),
        (Server::start(&["--data", off.to_str().unwrap(), "--accounts", "off"]), "--accounts off"),
    ] {
        let mut bob = server.in_room("bob", "#lobby");
        for (done, arguments) in [
            ("said", &["say", "#lobby", "not said"][..]),
            ("sent", &["send", "cat.png", "--to", "#lobby"]),
            ("fetched", &["get", "1", "--join", "#lobby"]),
        ] {
            let told = bad(&run(folder, &server, &[arguments, &["--token-file", "token"]].concat(), ""));
            assert!(
                told.starts_with("chinwag: the token in token proves nothing here: ") && told.contains(why),
                "{told}"
            );
            assert!(told.ends_with(&format!("; so nothing was {done}\n")), "{told}");
        }
        let heard = bob.settle();
        assert!(!heard.iter().any(|line| line.starts_with("#lobby ")), "{heard:?}");
    }
}

#[test]
fn a_script_before_a_locked_server_is_told_what_is_wrong_with_its_token() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let open = server(folder);
    let real = token(&mut log_in(&open, "alice"));
    drop(open);
    let made_up = "A".repeat(43);
    for (file, text) in [
        ("bad", format!("alice {made_up}")),
        ("none", format!("carol {made_up}")),
        ("blocked", format!("alice {real}")),
    ] {
        fs::write(folder.join(file), text).unwrap();
        fs::set_permissions(folder.join(file), Permissions::from_mode(0o600)).unwrap();
    }
    fs::write(folder.join("password"), "open sesame\n").unwrap();
    let (data, password) = (folder.join("data"), folder.join("password"));
    for lock in [["--password-file", password.to_str().unwrap()], ["--guests", "off"]] {
        let server = Server::start(&[&["--data", data.to_str().unwrap()][..], &lock].concat());
        let say = |file: &str| bad(&run(folder, &server, &["say", "#lobby", "hi", "--token-file", file], ""));
        let told = say("bad");
        assert!(
            told.starts_with("chinwag: the token in bad is not good any more\nchinwag: alice belongs to "),
            "{told}"
        );
        assert!(told.ends_with("; so nothing was said\n") && !told.contains("/login"), "{told}");
        let told = say("none");
        assert!(
            told.contains("the token in none proves nothing here: this server knows nobody who owns carol"),
            "{told}"
        );
        good(
            &Command::new(binary()).args(["ctl", "--data", data.to_str().unwrap(), "block", "alice"]).output().unwrap(),
        );
        let told = say("blocked");
        assert_eq!(told, "chinwag: alice may not come to this server; ask who runs it; so nothing was said\n");
    }
}

#[test]
fn what_a_script_is_to_do_by_a_token_is_done_as_nobody_else_after_a_loss() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let server = server(folder);
    let proxy = Proxy::start(server.port);
    let mut bob = log_in(&server, "bob");
    bob.send("/join #lobby");
    bob.until("+ join #lobby 1");
    let mut alice = log_in(&server, "alice");
    let kept = folder.join("state/chinwag/tokens").join(proxy.address()).join("alice");
    fs::create_dir_all(kept.parent().unwrap()).unwrap();
    // No place is kept, so each connection needs a token.
    proxy.grow_old();
    let renew = |alice: &mut Client, path: &Path| {
        fs::write(path, format!("alice {}\n", token(alice))).unwrap();
        fs::set_permissions(path, Permissions::from_mode(0o600)).unwrap();
    };
    let (path, noise) = (folder.join("token"), noise(3_000_000, 1));
    fs::write(folder.join("cat.png"), &noise).unwrap();
    let start = |arguments: &[&str]| {
        let mut command = timed();
        command.arg(binary()).args(arguments).current_dir(folder).env("CHINWAG_SERVER", proxy.address());
        command.env("XDG_STATE_HOME", folder.join("state")).env("XDG_CONFIG_HOME", folder.join("config"));
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
    };
    let cut = || {
        let before = proxy.cuts();
        proxy.cut(Cut::Reset);
        eventually("a cut", || proxy.cuts() > before);
    };
    let end_tokens = |alice: &mut Client| {
        proxy.refuse(true);
        cut();
        alice.send("/token off");
        alice.until("+ token off");
        proxy.refuse(false);
    };
    for (path, options, why) in [
        (&path, ["--token-file", "token"], "the token in token is not good any more"),
        (&kept, ["--nick", "alice"], "the token that was kept for alice is not good any more"),
    ] {
        renew(&mut alice, path);
        let mut say = start(&[&["say", "#lobby"], &options[..]].concat());
        let mut input = say.stdin.take().unwrap();
        let mut says = |line: &str| writeln!(input, "{line}").unwrap();
        says("one");
        bob.until("#lobby <alice> one");
        // What is in the file by now is good.
        renew(&mut alice, path);
        cut();
        says("two");
        bob.until("#lobby <alice> two");
        // And now it is not.
        end_tokens(&mut alice);
        says("three");
        let told = bad(&say.wait_with_output().unwrap());
        let no_name = "alice belongs to somebody, and a program is them by a good token alone: --token-file FILE";
        assert!(told.contains(why) && told.ends_with(&format!("{no_name}; so nothing more is said\n")), "{told}");
        assert!(!told.contains("/login"), "{told}");
        // The answer to the second may be lost with the connection.
        let said = ["up to line 2 has been said", "before line 3 has been said; ", "before line 2 has been said; "];
        assert!(said.iter().any(|said| told.contains(said)), "{told}");
        // Nor is a file shared.
        renew(&mut alice, path);
        let some = proxy.bytes().0 + 100_000;
        proxy.limit(some, usize::MAX);
        let send = start(&[&["send", "cat.png", "--to", "#lobby"], &options[..]].concat());
        eventually("a part of the file", || proxy.bytes().0 >= some);
        end_tokens(&mut alice);
        proxy.limit(usize::MAX, usize::MAX);
        let told = bad(&send.wait_with_output().unwrap());
        assert!(told.contains(why) && told.ends_with("; so nothing more is sent\n"), "{told}");
    }
    let heard = bob.settle();
    assert!(heard.iter().all(|line| !line.contains("three") && !line.contains("guest")), "{heard:?}");
}

#[test]
fn a_kept_token_that_is_of_no_use_is_told_of_and_not_waited_for() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let server = server(folder);
    let mut alice = log_in(&server, "alice");
    alice.send("/join #lobby");
    alice.until("+ join #lobby 1");
    let path = kept(folder, &server);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    let write = |text: &[u8], mode: u32| {
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, Permissions::from_mode(mode)).unwrap();
    };
    let run = |nick: &str| run(folder, &server, &["say", "#lobby", "hi", "--nick", nick], "");
    let text = format!("\u{feff}alice {}\r\n", token(&mut alice));
    // What some editors add is no part of it.
    write(text.as_bytes(), 0o600);
    good(&run("alice"));
    alice.until("#lobby <alice> hi");
    let utf_16: Vec<u8> = text.encode_utf16().flat_map(u16::to_le_bytes).collect();
    for (text, mode, want) in [
        (text.as_bytes(), 0o644, "others can read the token in "),
        (&utf_16, 0o600, "/alice holds no token: its first line is NICK TOKEN"),
        (b"", 0o600, "/alice holds no token: its first line is NICK TOKEN"),
    ] {
        write(text, mode);
        let why = bad(&run("alice"));
        assert!(why.starts_with("chinwag: a token that is kept is not used: ") && why.contains(want), "{why}");
    }
    fs::remove_file(&path).unwrap();
    assert!(Command::new("mkfifo").arg(&path).status().unwrap().success());
    let why = bad(&run("alice"));
    assert!(why.contains("/alice is no file\n"), "{why}");
    // Who goes by another name has no use for it.
    let output = run("carol");
    assert!(good(&output).is_empty() && output.stderr.is_empty(), "{}", String::from_utf8_lossy(&output.stderr));
    alice.until("#lobby <carol> hi");
}

#[test]
fn a_token_outlives_a_server_that_was_started_without_its_folder() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let data = folder.join("data");
    let with_data = ["--data", data.to_str().unwrap()];
    let server = server(folder);
    let grant = |nick: &str| {
        let output = Command::new(binary()).args(["ctl", with_data[0], with_data[1], "grant", nick]).output().unwrap();
        good(&output).trim().rsplit(' ').next().unwrap().to_owned()
    };
    let invitation = grant("carol");
    let mut terminal = start_as(folder, &server, "erin");
    told(&terminal, "in #lobby: ");
    terminal.keys(format!("/login carol {invitation}\n"));
    told(&terminal, "carol has no password yet");
    told(&terminal, "the next start needs no password for carol");
    terminal.keys("/token off\n");
    told(&terminal, "your name has no password, so after this nobody can log in by it");
    let path = kept(folder, &server).with_file_name("carol");
    let token = fs::read_to_string(&path).unwrap();
    let (server, log) = again(server, &[]);
    assert!(log.contains(&format!("made a new folder {}", fs::canonicalize(&data).unwrap().display())), "{log}");
    told(&terminal, "this server knows nobody who owns carol");
    let (server, log) = again(server, &with_data);
    assert!(log.contains("without --data nothing is kept"), "{log}");
    assert_eq!(fs::read_to_string(&path).unwrap(), token);
    terminal.wait_until("a connection once more", |screen| {
        screen.unbroken().iter().filter(|line| line.contains("connected again")).count() == 2
    });
    terminal.keys("/account\n");
    told(&terminal, "done: carol belongs to you; it has no password yet");
    terminal.keys("/quit\n");
    assert!(terminal.wait_exit().success());
    let (_server, log) = again(server, &with_data);
    assert!(!log.contains("new folder"), "{log}");
}
