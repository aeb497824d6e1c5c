//! The server under a service manager, and what its log tells whom.

use std::fs;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::fs::MetadataExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::process::{Command, Stdio};

use testkit::data::Folder;
use testkit::{PATIENCE, Server, binary, control, eventually, have};

/// What the manager is told next.
fn told(socket: &UnixDatagram) -> String {
    let mut message = [0; 256];
    let len = socket.recv(&mut message).expect("a message in time");
    String::from_utf8(message[..len].to_vec()).unwrap()
}

fn serve(options: &[&str]) -> Command {
    let mut command = Command::new(binary());
    command.args(["serve", "--listen", "127.0.0.1:0", "--rate", "0"]).args(options);
    command
}

#[test]
fn the_manager_is_told_how_the_server_is() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("notify");
    let socket = UnixDatagram::bind(&path).unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    let mut command = serve(&[]);
    let mut server = Server::start_with(command.env("NOTIFY_SOCKET", &path));
    assert_eq!(told(&socket), "READY=1\nSTATUS=0 people");
    let alice = server.person("alice");
    assert_eq!(told(&socket), "STATUS=1 person");
    let others = ["bob", "carol"].map(|nick| server.person(nick));
    eventually("all are told of", || told(&socket) == "STATUS=3 people");
    drop((alice, others));
    eventually("nobody is left", || told(&socket) == "STATUS=0 people");
    server.signal("TERM");
    assert_eq!(told(&socket), "STOPPING=1");
    assert!(server.wait().0.success());
}

#[test]
fn the_manager_is_told_of_a_reload_and_of_its_end() {
    let dir = tempfile::tempdir().unwrap();
    let [path, config, door] = ["notify", "a.conf", "door"].map(|name| dir.path().join(name));
    let socket = UnixDatagram::bind(&path).unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    fs::write(&config, "rate 7\n").unwrap();
    let mut command = serve(&["--control", door.to_str().unwrap(), "--config", config.to_str().unwrap()]);
    let _server = Server::start_with(command.env("NOTIFY_SOCKET", &path));
    assert_eq!(told(&socket), "READY=1\nSTATUS=0 people");
    let mut before = 0;
    for (text, ends_well) in [("rate 8\n", true), ("rat 8\n", false), ("rate 9\n", true)] {
        fs::write(&config, text).unwrap();
        let mut ctl = Command::new(binary());
        let done = ctl.arg("ctl").arg("--control").arg(&door).arg("reload").output().unwrap();
        assert_eq!(done.status.success(), ends_well, "{done:?}");
        let begun = told(&socket);
        let at = begun.strip_prefix("RELOADING=1\nMONOTONIC_USEC=").and_then(|at| at.parse::<u64>().ok());
        let at = at.unwrap_or_else(|| panic!("{begun:?}"));
        assert!(at > before, "{at} is not after {before}");
        before = at;
        assert_eq!(told(&socket), "READY=1\nSTATUS=0 people");
    }
}

#[test]
fn the_loop_shows_the_manager_that_it_turns_and_wakes_for_nothing_else() {
    if !have(&["strace"]) {
        return;
    }
    const BEATS: usize = 20;
    let name = format!("chinwag-test-{}", std::process::id());
    let socket = UnixDatagram::bind_addr(&SocketAddr::from_abstract_name(&name).unwrap()).unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    let trace = tempfile::NamedTempFile::new().unwrap();
    let mut command = Command::new("strace");
    command.args(["-f", "-e", "trace=epoll_wait,write", "-o", trace.path().to_str().unwrap(), binary()]);
    command.args(["serve", "--listen", "127.0.0.1:0"]).env("NOTIFY_SOCKET", format!("@{name}"));
    let mut server = Server::start_with(command.env("WATCHDOG_USEC", "100000"));
    assert_eq!(told(&socket), "READY=1\nSTATUS=0 people");
    (0..BEATS).for_each(|_| assert_eq!(told(&socket), "WATCHDOG=1"));
    // strace heeds no signal, and would leave behind what it watches.
    let strace = server.pid();
    let watched = fs::read_to_string(format!("/proc/{strace}/task/{strace}/children")).unwrap();
    assert!(Command::new("kill").args(watched.split_whitespace()).status().unwrap().success());
    server.wait();
    let trace = fs::read_to_string(trace.path()).unwrap();
    let beats = trace.matches("WATCHDOG=1").count();
    let wakes = trace.lines().filter(|line| line.contains("epoll_wait")).count();
    // What it does at the start, and one more for each beat as the system counts in milliseconds.
    assert!(beats >= BEATS && wakes <= 2 * beats + 10, "{wakes} wakes for {beats} beats");
}

#[test]
fn a_manager_that_does_not_read_stops_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("notify");
    let socket = UnixDatagram::bind(&path).unwrap();
    let mut command = serve(&[]);
    command.env("NOTIFY_SOCKET", &path).env("WATCHDOG_USEC", "2000");
    let mut server = Server::start_with(&mut command);
    let mut alice = server.in_room("alice", "#a");
    // By then more is said than the system keeps for anybody.
    let fills = UnixDatagram::unbound().unwrap();
    fills.set_nonblocking(true).unwrap();
    fills.connect(&path).unwrap();
    eventually("nothing more is taken", || fills.send(b"x").is_err());
    (0..50).for_each(|n| alice.ask(&format!("/ping {n}"), &format!("+ ping {n}")));
    drop(socket);
    alice.ask("/ping gone", "+ ping gone");
    // A name that leads nowhere is no reason not to serve, nor is a dog of somebody else.
    let mut command = serve(&[]);
    command.env("NOTIFY_SOCKET", "/nowhere/at/all").env("WATCHDOG_USEC", "2000").env("WATCHDOG_PID", "1");
    server = Server::start_with(&mut command);
    server.person("alice").ask("/ping x", "+ ping x");
    server.signal("TERM");
    let (status, log) = server.wait();
    assert!(status.success() && log.contains("the service manager is not told anything"), "{log}");
}

/// What a server logs on standard error, where JOURNAL_STREAM is this.
fn logged(journal: impl Fn(&fs::Metadata) -> String) -> String {
    let file = tempfile::NamedTempFile::new().unwrap();
    let metadata = file.as_file().metadata().unwrap();
    let mut command = serve(&["--motd", "/nowhere"]);
    command.env("JOURNAL_STREAM", journal(&metadata)).env("RUST_LOG", "info").stderr(file.reopen().unwrap());
    assert_eq!(command.stdout(Stdio::null()).status().unwrap().code(), Some(1));
    let mut command = serve(&["--accounts", "off", "--guests", "off"]);
    command.env("JOURNAL_STREAM", journal(&metadata)).stderr(file.reopen().unwrap()).stdout(Stdio::null());
    let mut server = command.spawn().unwrap();
    eventually("it listens", || fs::read_to_string(file.path()).unwrap().contains("only this machine"));
    server.kill().unwrap();
    server.wait().unwrap();
    fs::read_to_string(file.path()).unwrap()
}

#[test]
fn the_journal_is_told_how_bad_it_is_and_nobody_else_is() {
    let log = logged(|file| format!("{}:{}", file.dev(), file.ino()));
    assert!(
        log.lines().all(|line| line.starts_with("<3>") || line.starts_with("<4>") || line.starts_with("<6>")),
        "{log}"
    );
    assert!(log.contains("<6>at most ") && log.contains("<4>with --guests off nobody comes in"), "{log}");
    // It was led somewhere else than to the journal.
    for other in [|file: &fs::Metadata| format!("{}:{}", file.dev(), file.ino() + 1), |_: &fs::Metadata| String::new()]
    {
        let log = logged(other);
        assert!(
            !log.contains('<') && log.contains(" INFO  at most ") && log.contains(" WARN  with --guests "),
            "{log}"
        );
    }
}

#[test]
fn the_log_tells_who_came_from_where_and_when_they_went() {
    let mut server = Server::start(&["--rate", "0"]);
    let mut alice = server.connect();
    // Whoever says nothing is nobody, be it a look whether the port is open.
    drop(server.connect());
    alice.send("/nick alice");
    alice.until_starting("+ nick alice");
    alice.send("/nick alicia");
    alice.until_starting("+ nick alicia");
    let mut web = server.connect_raw();
    web.send("GET / HTTP/1.1");
    web.rest();
    alice.send("/quit");
    alice.rest();
    server.signal("TERM");
    let (_, log) = server.wait();
    let told: Vec<&str> = log.lines().filter_map(|line| line.split_once(" INFO  ")).map(|(_, told)| told).collect();
    let told: Vec<&str> = told.into_iter().filter(|told| told.starts_with("connection ")).collect();
    let of_web = |what: &str| format!("connection 3 from 127.0.0.1 is {what}");
    for want in [
        "connection 1 from 127.0.0.1 is guest1",
        "connection 1 from 127.0.0.1 is alice",
        "connection 1 from 127.0.0.1 is alicia",
        "connection 1 from 127.0.0.1 is gone: quit",
        &of_web("gone: not-http"),
    ] {
        assert!(told.contains(&want), "{want} is not in\n{log}");
    }
    assert!(!log.contains("connection 2 "), "{log}");
}

/// What nobody who reads a log is to learn.
const SECRET: &str = "xyzzy";

/// Says a secret in every way that there is, as alice, who is an operator.
fn say_secrets(server: &Server, folder: &Folder) {
    let mut alice = server.in_room("alice", "#a");
    alice.ask("/register xyzzy-horse", "+ register alice");
    let _ = control(&folder.path.join("ctl"), "/operator alice on\n/wall xyzzy\n/kill nobody xyzzy\n");
    let mut bob = server.in_room("bob", "#a");
    for line in [
        "xyzzy to all",
        "/msg bob xyzzy",
        "/me xyzzy",
        "/topic #a xyzzy",
        "/away xyzzy",
        "/room #a key xyzzy",
        "/passwd xyzzy-horse xyzzy-mare",
        "/login alice xyzzy-goat",
        "/login alice token:xyzzy",
        "/mute #a bob 5m xyzzy",
        "/wall xyzzy",
        "/block 203.0.113.7 5m xyzzy",
        "/ping xyzzy",
        "/send #a 3 xyzzy.txt",
        "=xyzzy!",
        "/xyzzy",
        "/join #xyzzy!",
        "/kick #a bob xyzzy",
        "/history #a after xyzzy",
        "/set xyzzy on",
    ] {
        alice.send(line);
    }
    alice.settle();
    bob.send("/join #a xyzzy-wrong");
    bob.until_starting("! join ");
    alice.send("/kill bob xyzzy");
    bob.until_starting("* bye killed ");
    alice.send("/quit xyzzy");
    alice.rest();
}

#[test]
fn no_log_has_what_people_write_at_any_level() {
    let folder = Folder::new();
    let mut command = Command::new(binary());
    let mut server = Server::start_with(command.args(folder.arguments(&[])).env("RUST_LOG", "trace"));
    say_secrets(&server, &folder);
    server.signal("TERM");
    let (_, log) = server.wait();
    assert!(log.contains(" is alice") && !log.contains(SECRET), "{log}");
    let audited = fs::read_to_string(folder.path.join("audit.log")).unwrap();
    assert!(audited.contains("kill bob xyzzy") && audited.contains("wall xyzzy"), "{audited}");
}

#[test]
fn the_log_names_deeds_that_are_kept_nowhere_else_without_their_words() {
    let door = tempfile::tempdir().unwrap();
    let path = door.path().join("ctl");
    let mut server = Server::start(&["--control", path.to_str().unwrap()]);
    let mut alice = server.person("alice");
    let said = control(&path, "/wall xyzzy\n/kill alice xyzzy\n/block 203.0.113.7 5m xyzzy\n");
    assert_eq!(said.iter().filter(|line| line.starts_with("+ ")).count(), 3, "{said:?}");
    alice.rest();
    server.signal("TERM");
    let (_, log) = server.wait();
    assert!(log.contains("an operator's deed: server ctl kill alice\n"), "{log}");
    assert!(log.contains("an operator's deed: server ctl wall\n") && !log.contains(SECRET), "{log}");
}
