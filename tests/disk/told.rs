//! What `chinwag check` and a start tell their operator of a data folder: what keeps the server out, what it loses there, and whether the
//! clock is right.

use std::fs::{self, Permissions};
use std::io::{BufRead, BufReader};
use std::os::unix::fs::{PermissionsExt, chown};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use testkit::data::{Folder, fetch, share, stop};
use testkit::disk::{SmallDisk, faketime};
use testkit::{Server, binary, control, eventually, have, timed};

/// The user of the server, where root starts one.
const OTHER: u32 = 65_534;

/// What this mode of the program says of the folder on standard error, with its code where it ends by itself; a server ends with its start.
fn told_by(mode: &str, data: &Path, command: &mut Command) -> (Option<i32>, String) {
    command.args([mode, "--listen", "127.0.0.1:0", "--data"]).arg(data);
    if mode == "check" {
        let output = command.output().unwrap();
        return (output.status.code(), String::from_utf8(output.stderr).unwrap());
    }
    // It ends before anybody could come, or says what a start says.
    let mut program = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut line = String::new();
    let _ = BufReader::new(program.stdout.as_mut().unwrap()).read_line(&mut line);
    if !line.is_empty() {
        kill_process(Pid::from_child(&program), Signal::TERM).unwrap();
    }
    let output = program.wait_with_output().unwrap();
    (output.status.code(), String::from_utf8(output.stderr).unwrap())
}

#[test]
fn what_keeps_the_server_out_is_told_with_what_helps() {
    let is_root = rustix::process::getuid().is_root();
    if is_root && !have(&["setpriv"]) {
        return;
    }
    let user = if is_root { OTHER } else { rustix::process::getuid().as_raw() };
    let parent = tempfile::tempdir().unwrap();
    let give = |path: &Path, user: u32| {
        if is_root {
            chown(path, Some(user), Some(user)).unwrap();
        }
    };
    give(parent.path(), user);
    let command = || {
        let mut command = timed();
        if is_root {
            command.args(["setpriv", &format!("--reuid={user}"), &format!("--regid={user}"), "--clear-groups"]);
        }
        command.arg(binary()).env("TMPDIR", parent.path());
        command
    };
    let data = parent.path().join("data");
    let server = Server::start_with(command().args(["serve", "--listen", "127.0.0.1:0", "--data"]).arg(&data));
    let mut ann = server.in_room("ann", "#a");
    ann.send("kept");
    ann.ask("/topic tea", "+ topic #a tea");
    assert_eq!(share(&mut ann, "#a", b"bytes", "x.txt"), 1);
    control(&data.join("ctl"), "/kill ann\n");
    drop(ann);
    stop(server);
    let set = |path: &Path, mode: u32| fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
    let both = |want: &str| {
        for mode in ["check", "serve"] {
            let (code, errors) = told_by(mode, &data, &mut command());
            assert!(code == Some(1) && errors.contains(want), "{mode}: not {want}: {errors}");
        }
    };
    let chown_it = format!(": chown -R {user} {}\n", data.display());
    for name in ["ledger", "next-id", "lock", "rooms/a.log", "rooms/a.topic", "spool/1", "spool/1.info"] {
        let path = data.join(name);
        set(&path, 0);
        both(&format!(": chmod u+rw {}\n", path.display()));
        set(&path, 0o600);
        if is_root {
            give(&path, 0);
            both(&chown_it);
            give(&path, user);
        }
    }
    set(&data.join("rooms/a.log"), 0o444);
    both(&format!(": chmod u+rw {}\n", data.join("rooms/a.log").display()));
    set(&data.join("rooms/a.log"), 0o600);
    for name in ["rooms", "spool", ""] {
        let path = data.join(name);
        let path = if name.is_empty() { &data } else { &path };
        for mode in [0o500, 0] {
            set(path, mode);
            both(&format!(": chmod u+rwx {}\n", path.display()));
        }
        set(path, 0o700);
        if is_root {
            give(path, 0);
            both(&chown_it);
            give(path, user);
        }
    }
    // People can talk without it.
    fs::write(data.join("audit.log"), "").unwrap();
    set(&data.join("audit.log"), 0o400);
    give(&data.join("audit.log"), user);
    for mode in ["check", "serve"] {
        let (code, errors) = told_by(mode, &data, &mut command());
        let want = format!(": chmod u+rw {}\n", data.join("audit.log").display());
        assert!(code == Some(0) && errors.contains(&want), "{mode}: {errors}");
    }
    // What a server of another user has left at the door is in the way.
    if is_root {
        drop(UnixListener::bind(data.join("ctl")).unwrap());
        set(&data.join("ctl"), 0o600);
        for mode in ["check", "serve"] {
            let (code, errors) = told_by(mode, &data, &mut command());
            let want =
                "/ctl: permission denied; another user's server has left it there, or uses it; end that, or remove it";
            assert!(code == Some(0) && errors.contains(want), "{mode}: {errors}");
        }
    }
    fs::rename(data.join("ledger"), data.join("another")).unwrap();
    fs::create_dir(data.join("ledger")).unwrap();
    both("/ledger: it is a folder; move it away\n");
    fs::remove_dir(data.join("ledger")).unwrap();
    fs::rename(data.join("another"), data.join("ledger")).unwrap();
    if is_root {
        // A slip is not answered with what gives away all of another folder.
        let other = parent.path().join("etc");
        fs::create_dir_all(other.join("ssl")).unwrap();
        fs::set_permissions(&other, Permissions::from_mode(0o755)).unwrap();
        for mode in ["check", "serve"] {
            let (code, errors) = told_by(mode, &other, &mut command());
            let want = format!("is a folder in it meant, as {}/chinwag?", other.display());
            assert!(code == Some(1) && errors.contains(&want) && !errors.contains("chown"), "{mode}: {errors}");
        }
        let errors = told_by("serve", &data, timed().arg(binary())).1;
        let want = format!("belongs to the user {user}, who cannot use what root makes in it; ");
        assert!(errors.contains(&want), "{errors}");
    }
}

#[test]
fn what_is_wrong_around_a_start_is_told_with_what_helps() {
    let folder = Folder::new();
    stop(folder.serve(&[]));
    let mut command = Command::new(binary());
    let (code, told) = told_by("check", &folder.path, command.env("RUST_LOG", "nonsense"));
    assert!(code == Some(0) && told.contains("RUST_LOG has no level nonsense; give error, warn, "), "{told}");
    for level in ["debug", "chinwag=debug", "warn,chinwag::hub=trace", ""] {
        let mut command = Command::new(binary());
        assert_eq!(told_by("check", &folder.path, command.env("RUST_LOG", level)).1, "", "{level}");
    }
    for mode in ["check", "serve"] {
        let args = [mode, "--listen", "127.0.0.1:24280", "--metrics", "127.0.0.1:24280"];
        let output = Command::new(binary()).args(args).output().unwrap();
        let told = String::from_utf8(output.stderr).unwrap();
        let want = "cannot listen on 127.0.0.1:24280 for --listen and --metrics; take another port for one\n";
        assert!(output.status.code() == Some(1) && told.ends_with(want), "{mode}: {told}");
    }
    let server = folder.serve(&[]);
    share(&mut server.in_room("ann", "#a"), "#a", b"bytes", "x");
    stop(server);
    thread::sleep(Duration::from_secs(1));
    for (options, is_told) in [
        (["--file-ttl", "1s"], true),
        (["--spool", "4"], true),
        (["--spool", "5"], false),
        (["--file-ttl", "1h"], false),
    ] {
        let told = Command::new(binary()).arg("check").args(options).arg("--data").arg(&folder.path).output().unwrap();
        let told = String::from_utf8(told.stderr).unwrap();
        assert_eq!(
            told.contains("go with a start, as they do not fit or their time is over"),
            is_told,
            "{options:?}: {told}"
        );
    }
    let Some(preload) = faketime() else { return };
    let mut past = Command::new(binary());
    past.env("LD_PRELOAD", &preload).env("FAKETIME", "-5000d").env("FAKETIME_DONT_FAKE_MONOTONIC", "1");
    past.env("FAKETIME_DISABLE_SHM", "1").args(["serve", "--tls", "127.0.0.1:0"]).arg("--listen").arg("127.0.0.1:0");
    stop(Server::start_with(past.arg("--data").arg(&folder.path)));
    let mut now = Command::new(binary());
    now.args(["check", "--tls", "127.0.0.1:0", "--data"]).arg(&folder.path);
    let told = String::from_utf8(now.output().unwrap().stderr).unwrap();
    let want = "/tls/own.pem and start again for a new one, and tell people its fingerprint\n";
    assert!(told.contains(" has expired on ") && told.contains(want), "{told}");
}

#[test]
fn check_warns_of_what_a_start_loses_or_cannot_have() {
    let folder = Folder::new();
    let data = &folder.path;
    let check = || {
        let mut command = Command::new(binary());
        command.args(["check", "--tls", "127.0.0.1:0", "--listen", "127.0.0.1:0", "--data"]).arg(data);
        let output = command.output().unwrap();
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stderr).unwrap()
    };
    let server = folder.serve(&["--tls", "127.0.0.1:0"]);
    let mut ann = server.in_room("ann", "#a");
    ann.ask("/msg #a hello", "+ msg #a");
    ann.ask("/topic tea", "+ topic #a tea");
    for n in 1..=4 {
        assert_eq!(share(&mut ann, "#a", b"bytes", "x.txt"), n);
    }
    drop(ann);
    stop(server);
    let at = |name: &str| data.join(name);
    fs::remove_file(at("tls/own.pem")).unwrap();
    fs::create_dir(at("ctl")).unwrap();
    fs::create_dir(at("ledger.new")).unwrap();
    fs::remove_file(at("rooms/a.topic")).unwrap();
    fs::create_dir(at("rooms/a.topic")).unwrap();
    fs::write(at("spool/1"), "byte").unwrap();
    fs::remove_file(at("spool/2")).unwrap();
    fs::write(at("spool/3.info"), "x\n").unwrap();
    let told = check();
    for want in [
        "tls/own.pem is not there; a new certificate is made, and whoever knows an earlier one refuses it",
        "something else stands there; move it away, or give another path; the server tries again, and until that works chinwag ctl does not reach it",
        "ledger cannot be written anew, and would go on as it is: move away ",
        "the topic of #a cannot be read: ",
        "file 1 in ",
        "it has 4 bytes, and had 5",
        "its bytes are gone",
        "what is written down about it is damaged",
    ] {
        assert!(told.contains(want), "not {want}: {told}");
    }
    assert!(!told.contains("file 4 "), "{told}");
    assert!(at("spool/1").exists() && at("spool/3.info").exists(), "it is changed");
    let server = folder.serve(&["--tls", "127.0.0.1:0"]);
    let mut ann = server.in_room("ann", "#a");
    assert_eq!(fetch(&mut ann, 4), b"bytes");
    drop(ann);
    let log = stop(server).1;
    for want in ["the topic of #a cannot be read: ", "it has 4 bytes, and had 5", "its bytes are gone"] {
        assert!(log.contains(want), "not {want}: {log}");
    }
}

#[test]
fn who_is_not_the_user_of_the_server_is_told_whose_folder_it_is() {
    /// A user that every machine knows.
    const DAEMON: u32 = 1;
    if !rustix::process::getuid().is_root() || !have(&["setpriv"]) {
        return;
    }
    let parent = tempfile::tempdir().unwrap();
    let data = parent.path().join("data");
    fs::set_permissions(parent.path(), Permissions::from_mode(0o711)).unwrap();
    fs::create_dir(&data).unwrap();
    chown(&data, Some(DAEMON), Some(DAEMON)).unwrap();
    // Shut to others, and open to them.
    for bits in [0o700, 0o755] {
        fs::set_permissions(&data, Permissions::from_mode(bits)).unwrap();
        for mode in ["check", "serve"] {
            let mut command = Command::new("setpriv");
            command.args([&format!("--reuid={OTHER}"), &format!("--regid={OTHER}"), "--clear-groups", binary()]);
            let (code, told) = told_by(mode, &data, &mut command);
            let data = data.display();
            let want = format!("; {data} belongs to daemon: if the server runs as that user, try sudo -u daemon; ");
            assert!(code == Some(1) && told.contains(&want), "{mode}: {told}");
            assert!(told.ends_with(&format!(": chown -R {OTHER} {data}\n")), "{mode}: {told}");
        }
    }
}

#[test]
fn what_is_gone_of_a_folder_is_told() {
    let folder = Folder::new();
    let server = folder.serve(&[]);
    let mut ann = server.in_room("ann", "#a");
    assert_eq!(share(&mut ann, "#a", b"x", "x"), 1);
    drop(ann);
    stop(server);
    let at = |name: &str| folder.path.join(name);
    fs::remove_file(at("spool/1.info")).unwrap();
    fs::remove_dir_all(at("rooms")).unwrap();
    for (mode, then, file) in
        [("check", "a start makes it anew", "a start removes file 1 in "), ("serve", "it is made anew", "file 1 in ")]
    {
        let (code, told) = told_by(mode, &folder.path, &mut Command::new(binary()));
        let gone = format!("{} ", at("rooms").display());
        let line = told.lines().find(|line| line.contains(&gone) && line.contains(", and the logs in it; "));
        assert!(code == Some(0) && line.is_some_and(|line| line.ends_with(then)), "{mode}: {told}");
        assert!(told.contains(file) && told.contains("1.info is gone"), "{mode}: {told}");
    }
    let told = told_by("serve", &folder.path, &mut Command::new(binary())).1;
    assert!(!told.contains("gone"), "{told}");
}

#[test]
fn a_folder_that_is_none_of_a_servers_is_not_called_one() {
    let others = tempfile::tempdir().unwrap();
    fs::write(others.path().join("notes.txt"), "mine").unwrap();
    fs::set_permissions(others.path(), Permissions::from_mode(0o755)).unwrap();
    let path = others.path().display();
    let want = format!(
        "{path}/ has other things in it and nothing of a server's; is a folder in it meant, as {path}/chinwag?"
    );
    for mode in ["check", "serve"] {
        let (code, told) = told_by(mode, others.path(), &mut Command::new(binary()));
        assert!(code == Some(0) && told.contains(&want) && !told.contains("chmod"), "{mode}: {told}");
    }
    // From then on it is one.
    let told = told_by("check", others.path(), &mut Command::new(binary())).1;
    assert!(!told.contains("other things") && told.contains("chmod 700"), "{told}");
}

#[test]
fn a_number_that_is_lost_is_told_with_what_helps() {
    let folder = Folder::new();
    let server = folder.serve(&[]);
    let mut ann = server.in_room("ann", "#a");
    assert_eq!(share(&mut ann, "#a", b"x", "x"), 1);
    drop(ann);
    stop(server);
    for garbage in [&b"abc\n"[..], b"\xff\xfe\x80"] {
        fs::write(folder.path.join("next-id"), garbage).unwrap();
        for mode in ["check", "serve"] {
            let (code, told) = told_by(mode, &folder.path, &mut Command::new(binary()));
            assert!(
                code == Some(1) && told.ends_with(", or remove it, and the next file is a million higher\n"),
                "{told}"
            );
        }
    }
    fs::remove_file(folder.path.join("next-id")).unwrap();
    let server = folder.serve(&[]);
    let mut ann = server.in_room("ann", "#a");
    assert!(share(&mut ann, "#a", b"x", "x") > 1_000_000);
}

#[test]
fn a_start_asks_whether_the_clock_is_right_where_names_lapse() {
    let Some(preload) = faketime() else { return };
    let folder = Folder::new();
    let at = |ahead: &str| {
        let mut command = Command::new(binary());
        command.env("LD_PRELOAD", &preload).env("FAKETIME", ahead).env("FAKETIME_DONT_FAKE_MONOTONIC", "1");
        command.env("FAKETIME_DISABLE_SHM", "1");
        command
    };
    let server = folder.serve(&[]);
    for name in ["ann", "bob", "carl", "dave", "eve", "fred"] {
        let mut owner = server.person(name);
        owner.ask("/register correct-horse", &format!("+ register {name}"));
    }
    stop(server);
    let told = told_by("check", &folder.path, &mut at("+300d"));
    assert_eq!(told, (Some(0), String::new()));
    let (code, told) = told_by("check", &folder.path, &mut at("+500d"));
    let want =
        "so a start ends the time of 6 names (ann, bob, carl, dave, eve, …), whose owners were not here for too long";
    assert!(code == Some(0) && told.contains("WARN  is the clock right? It says 2") && told.contains(want), "{told}");
    // Whoever believes the answer has the names again.
    let (code, told) = told_by("serve", &folder.path, &mut at("+500d"));
    assert!(code == Some(0) && told.contains("WARN  is the clock right? It says 2"), "{told}");
    assert!(told.contains("so the time of 6 names (ann, bob, carl, dave, eve, …) is over, whose owners were not here for too long; if it is wrong, "), "{told}");
    let day = told.split("that begin with drop and end with ").nth(1).unwrap()[..10].to_owned();
    let ledger = folder.path.join("ledger");
    // A second start by that clock leaves nothing of them but that they are held: nobody is told to end that.
    let text = fs::read(&ledger).unwrap();
    told_by("serve", &folder.path, &mut at("+500d"));
    for mode in ["check", "serve"] {
        let told = told_by(mode, &folder.path, &mut at("+0d")).1;
        assert!(told.contains(&format!("is over since {day}; if it was wrong, take ")), "{mode}: {told}");
        assert!(
            told.contains("from a backup: it does not have 6 names (") && !told.contains("take the lines"),
            "{told}"
        );
    }
    fs::write(&ledger, text).unwrap();
    // A start with the right clock asks once more, and loses nothing.
    for mode in ["check", "serve", "serve"] {
        let (code, told) = told_by(mode, &folder.path, &mut at("+0d"));
        let want =
            format!("and the time of 6 names (ann, bob, carl, dave, eve, …) is over since {day}; if it was wrong, ");
        assert!(
            code == Some(0) && told.contains(&want) && told.contains(&format!("end with {day}, ")),
            "{mode}: {told}"
        );
    }
    let text = fs::read_to_string(&ledger).unwrap();
    let is_dropped = |line: &&str| line.starts_with("drop ") && line.ends_with(&day);
    assert_eq!(text.lines().filter(is_dropped).count(), 6, "{text}");
    let kept: String = text.lines().filter(|line| !is_dropped(line)).map(|line| format!("{line}\n")).collect();
    fs::write(&ledger, kept).unwrap();
    let server = folder.serve(&[]);
    let mut ann = server.person("somebody");
    ann.send("/login ann correct-horse");
    ann.until("+ login ann");
    drop(ann);
    assert!(!stop(server).1.contains("is the clock right?"));
    // So it is where one of them was here meanwhile, as the clock may have been wrong then too.
    fs::write(&ledger, fs::read_to_string(&ledger).unwrap() + &format!("seen ann {day}\n")).unwrap();
    let told = told_by("serve", &folder.path, &mut at("+500d")).1;
    assert!(told.contains("bob is nobody's name any more"), "{told}");
    assert!(told.contains("is the clock right? It says 2") && told.contains("so the time of 5 names (bob, "), "{told}");
}

#[test]
fn one_start_with_the_clock_ahead_takes_nothing_for_good() {
    let Some(preload) = faketime() else { return };
    let folder = Folder::new();
    let server = folder.serve(&[]);
    let mut ann = server.person("ann");
    ann.ask("/register correct-horse", "+ register ann");
    ann.send("/token");
    let token = ann.starting("+ token ").split(' ').nth(2).unwrap().to_owned();
    let mut bob = server.person("bob");
    bob.ask("/register correct-horse", "+ register bob");
    bob.send("/drop correct-horse");
    bob.starting("+ drop ");
    let ctl = |line: &str| control(&folder.path.join("ctl"), line);
    // One that is held has no owner.
    assert!(ctl("/metrics\n").iter().any(|line| line.ends_with("chinwag_names 1")));
    ctl("/block 203.0.113.0/24 2h raid\n");
    drop((ann, bob));
    stop(server);
    let mut ahead = Command::new(binary());
    ahead.args(folder.arguments(&[])).env("LD_PRELOAD", &preload).env("FAKETIME", "+200d");
    let server = Server::start_with(ahead.env("FAKETIME_DONT_FAKE_MONOTONIC", "1").env("FAKETIME_DISABLE_SHM", "1"));
    // Nor does whoever looks then, or blocks somebody else.
    assert_eq!(ctl("/blocks\n"), ["+ blocks 0"]);
    assert!(ctl("/unblock 1\n")[0].starts_with("! unblock gone "));
    assert_eq!(ctl("/block 198.51.100.0/24 2h\n").last().unwrap(), "+ block 2 198.51.100.0/24 0");
    stop(server);
    let server = folder.serve(&[]);
    assert!(ctl("/blocks\n")[0].contains("203.0.113.0/24"));
    let mut ann = server.person("somebody");
    ann.send("/nick bob");
    ann.starting("! nick held bob ");
    ann.send(&format!("/login ann token:{token}"));
    ann.until("+ login ann");
}

#[test]
fn a_clock_that_goes_ahead_for_a_moment_ends_no_block() {
    let Some(preload) = faketime() else { return };
    let folder = Folder::new();
    let clock = folder.path.with_file_name("clock");
    // The server may read it at any moment, and must find all of it.
    let set = |ahead: &str| {
        fs::write(clock.with_extension("new"), ahead).unwrap();
        fs::rename(clock.with_extension("new"), &clock).unwrap();
    };
    set("+0");
    let mut command = Command::new(binary());
    command.args(folder.arguments(&[])).env("LD_PRELOAD", &preload).env("FAKETIME_TIMESTAMP_FILE", &clock);
    command.env("FAKETIME_NO_CACHE", "1").env("FAKETIME_DONT_FAKE_MONOTONIC", "1").env("FAKETIME_DISABLE_SHM", "1");
    let server = Server::start_with(&mut command);
    // A disk that is late, as where the machine is busy, has both told of that.
    let ctl = |line: &str| {
        let mut told = control(&folder.path.join("ctl"), line);
        told.retain(|line| !line.starts_with("* notice "));
        told
    };
    let mut ann = server.in_room("ann", "#a");
    let mut ask = |line: &str, want: &str| {
        ann.send(line);
        let mut told = ann.until(want);
        told.retain(|line| !line.starts_with("* notice "));
        told
    };
    ctl("/block 203.0.113.0/24 2h raid\n");
    ask("/ban spam* 1h", "+ ban #a 1 pattern:spam*");
    set("+2d");
    assert_eq!(ctl("/blocks\n"), ["+ blocks 0"]);
    assert!(ctl("/unblock 1\n")[0].starts_with("! unblock "));
    ctl("/block 198.51.100.0/24 2h\n");
    ask("/ban eggs* 1h", "+ ban #a 2 pattern:eggs*");
    set("+0");
    let blocks = ctl("/blocks\n");
    assert!(blocks.len() == 3 && blocks[0].contains("203.0.113.0/24"), "{blocks:?}");
    let bans = ask("/bans", "+ bans #a 2");
    assert!(bans[0].starts_with("- 1 ban pattern:spam*"), "{bans:?}");
}

#[test]
fn a_spool_that_its_disk_cannot_hold_is_warned_of() {
    let Some(disk) = SmallDisk::mount("4m") else { return };
    fs::create_dir(disk.path("data")).unwrap();
    let want = "shared files may take 1.0 GB, and their disk has ";
    let check = |options: &[&str]| {
        let output = disk.run(&[&["check", "--listen", "127.0.0.1:0"], options].concat());
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stderr).unwrap()
    };
    assert!(check(&[]).contains(want) && !check(&["--spool", "1M"]).contains("shared files"));
    let server = disk.serve(&[]);
    disk.run(&["ctl", "reload"]);
    let mut ann = server.in_room("ann", "#a");
    disk.fill();
    ann.send(&format!("/msg #a {0}\n/msg #a {0}\n/msg #a {0}", "x".repeat(4_000)));
    ann.until_starting("* notice history is not being kept: ");
    drop(ann);
    let log = stop(server).1;
    assert_eq!(log.matches(want).count(), 2, "{log}");
    assert!(log.contains("or let shared files take less with --spool; then it is kept again"), "{log}");
}

#[test]
fn a_topic_that_cannot_be_kept_is_told_and_tried_on() {
    let folder = Folder::new();
    let server = folder.serve(&[]);
    let topic = folder.path.join("rooms/a.topic");
    let mut ann = server.in_room("ann", "#a");
    ann.ask("/msg #a hello", "+ msg #a");
    fs::create_dir(&topic).unwrap();
    let degraded =
        || control(&folder.path.join("ctl"), "/metrics\n").iter().any(|line| line == "- chinwag_log_degraded 1");
    assert!(!degraded());
    ann.send("/topic tea");
    ann.until_starting("* notice the history of #a is not being kept: ");
    assert!(degraded());
    fs::remove_dir(&topic).unwrap();
    ann.until_starting("* notice the history of #a is being kept again");
    assert_eq!(fs::read_to_string(&topic).unwrap(), "tea\n");
    assert!(!degraded());
    drop(ann);
    stop(server);
}

#[test]
fn what_stands_in_the_place_of_the_operators_door_is_told_and_the_door_made_anew() {
    let folder = Folder::new();
    let server = folder.serve(&[]);
    let door = folder.path.join("ctl");
    let mut ann = server.person("ann");
    fs::remove_file(&door).unwrap();
    fs::create_dir(&door).unwrap();
    thread::sleep(Duration::from_millis(1_500));
    ann.settle();
    thread::sleep(Duration::from_millis(300));
    ann.settle();
    fs::remove_dir(&door).unwrap();
    eventually("the door is there", || {
        ann.settle();
        door.exists()
    });
    drop(ann);
    let log = stop(server).1;
    let want = "the operator's door is gone and cannot be made anew: something else stands there; move it away";
    assert_eq!(log.matches(want).count(), 1, "{log}");
}

/// Whether an answer to `/who` has ann, and nobody else. Its version is of what presence lines have told, which may not have gone out yet.
fn lists_ann(answer: &str) -> bool {
    let mut rows = answer.trim_end().split('\n');
    let is_last = |row: &str| row.starts_with("+ who ") && row.ends_with(" 1");
    rows.next().is_some_and(|row| row.starts_with("- ann here "))
        && rows.next().is_some_and(is_last)
        && rows.next().is_none()
}

#[test]
fn a_door_that_a_start_could_not_open_is_tried_again() {
    let folder = Folder::new();
    let door = folder.path.join("ctl");
    stop(folder.serve(&[]));
    fs::create_dir(&door).unwrap();
    let server = folder.serve(&[]);
    let mut ann = server.person("ann");
    fs::remove_dir(&door).unwrap();
    eventually("the door is there", || {
        ann.settle();
        UnixStream::connect(&door).is_ok()
    });
    let told = control(&door, "/who\n");
    assert!(lists_ann(&told.join("\n")), "{told:?}");
    drop(ann);
    let log = stop(server).1;
    for want in [
        "the server tries again, and until that works chinwag ctl does not reach it",
        "is open now; chinwag ctl reaches",
    ] {
        assert_eq!(log.matches(want).count(), 1, "not {want}: {log}");
    }
    assert!(!door.exists(), "it is left there");
    // A disk that takes no more files does so.
    let Some(disk) = SmallDisk::mount("1m,nr_inodes=30") else { return };
    stop(disk.serve(&[]));
    let ballast = |n: usize| disk.path(&format!("ballast-{n}"));
    let taken = (0..).take_while(|&n| fs::File::create(ballast(n)).is_ok()).count();
    let server = disk.serve(&[]);
    let mut ann = server.person("ann");
    assert!(!disk.path("data/ctl").exists());
    (0..taken).for_each(|n| fs::remove_file(ballast(n)).unwrap());
    eventually("the door is there", || {
        ann.settle();
        UnixStream::connect(disk.path("data/ctl")).is_ok()
    });
    let told = disk.run(&["ctl", "who"]);
    assert!(lists_ann(&String::from_utf8_lossy(&told.stdout)), "{told:?}");
    drop(ann);
    let log = stop(server).1;
    assert!(log.contains("is open now; chinwag ctl reaches this server"), "{log}");
}
