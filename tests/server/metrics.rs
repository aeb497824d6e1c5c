//! The page of metrics: what stands on it, over HTTP and by the operator's door.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};
use std::process::Command;
use std::thread;
use std::time::Duration;

use chinwag::limits;
use testkit::data::{Folder, share};
use testkit::{Client, PATIENCE, Server, binary, eventually};

fn start(options: &[&str]) -> Server {
    Server::start(&[&["--metrics", "127.0.0.1:0", "--rate", "0"], options].concat())
}

/// A connection of a monitor.
fn knock(server: &Server) -> TcpStream {
    let stream = TcpStream::connect(server.door("metrics http://")).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream
}

/// What is answered to a request; nothing where the connection is closed without a word.
fn answer(server: &Server, request: &str) -> String {
    let mut stream = knock(server);
    // It may be closed already.
    let _ = stream.write_all(request.as_bytes());
    let mut answer = String::new();
    let _ = stream.read_to_string(&mut answer);
    answer
}

/// The page.
fn page(server: &Server) -> String {
    let answer = answer(server, "GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n");
    let (head, page) = answer.split_once("\r\n\r\n").unwrap();
    assert!(head.starts_with("HTTP/1.1 200 OK\r\n"), "{head}");
    assert!(head.contains("\r\nContent-Type: text/plain; version=0.0.4; charset=utf-8\r\n"), "{head}");
    assert!(head.contains(&format!("\r\nContent-Length: {}\r\n", page.len())), "{head}");
    page.to_owned()
}

/// What a series is now.
#[track_caller]
fn value(page: &str, series: &str) -> f64 {
    let line = page.lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' '));
    line.and_then(|value| value.parse().ok()).unwrap_or_else(|| panic!("no {series} in\n{page}"))
}

/// All series, without their values.
fn series(page: &str) -> Vec<&str> {
    page.lines().filter(|line| !line.starts_with('#')).map(|line| line.rsplit_once(' ').unwrap().0).collect()
}

#[test]
fn every_series_is_there_from_the_start() {
    let server = start(&[]);
    let at_first = page(&server);
    for name in series(&at_first) {
        let is_of_the_loop = name.contains("turn_seconds") || name.starts_with("chinwag_build_info");
        assert!(is_of_the_loop || value(&at_first, name) == 0.0, "{name} in\n{at_first}");
    }
    for name in [
        r#"connections{wire="wss"}"#,
        r#"handshakes_total{result="not-tls"}"#,
        r#"rejected_total{code="blocked"}"#,
        r#"rejected_total{code="needs-tls"}"#,
        r#"byes_total{code="too-slow"}"#,
        r#"byes_total{code="not-chat"}"#,
        r#"lost_total{code="timeout"}"#,
        r#"file_bytes_total{way="down"}"#,
        r#"pending_bytes{kind="held"}"#,
        r#"logins_total{how="token",result="failed"}"#,
        r#"gather_seconds_bucket{le="+Inf"}"#,
        "slow_consumers",
        "missed_total",
        "log_wait_seconds_total",
        "reload_time",
        "certificate_expires",
    ] {
        value(&at_first, &format!("chinwag_{name}"));
    }
    assert!(at_first.contains(&format!("chinwag_build_info{{version=\"{}\"}} 1\n", env!("CARGO_PKG_VERSION"))));
    let mut alice = server.in_room("alice", "#a");
    alice.send("/send #a 3");
    alice.settle();
    assert_eq!(series(&page(&server)), series(&at_first));
}

#[test]
fn what_people_do_is_counted() {
    let folder = Folder::new();
    let server = folder.serve(&["--metrics", "127.0.0.1:0"]);
    let mut alice = server.in_room("alice", "#a");
    let mut bob = server.in_room("bob", "#a");
    alice.until("#a * bob joined");
    let before = page(&server);
    for (name, want) in [("people", 2.0), ("accepted_total", 2.0), (r#"connections{wire="tcp"}"#, 2.0), ("rooms", 1.0)]
    {
        assert_eq!(value(&before, &format!("chinwag_{name}")), want, "{name}");
    }
    alice.send("one");
    alice.send("two");
    bob.until("#a <alice> two");
    alice.settle();
    let after = page(&server);
    let more = |name: &str| {
        let name = format!("chinwag_{name}");
        value(&after, &name) - value(&before, &name)
    };
    // A ping came with them.
    assert_eq!((more("lines_in_total"), more("deliveries_total")), (3.0, 2.0));
    assert!(more("writes_total") >= 2.0 && more("bytes_written_total") >= 32.0 && more("history_bytes") > 6.0);
    assert!(more("log_wait_seconds_total") > 0.0 && more("turn_seconds_count") > 0.0);
    let bytes = testkit::noise(20_000, 1);
    let id = share(&mut alice, "#a", &bytes, "x");
    bob.until_starting("#a * alice file ");
    assert_eq!(testkit::data::fetch(&mut bob, id), bytes);
    alice.ask("/register correct-horse", "+ register alice");
    bob.send("/login alice wrong-horse\n/login alice token:wrong");
    (0..2).for_each(|_| drop(bob.until_starting("! login refused ")));
    let mut second = server.connect();
    second.send("/login alice correct-horse");
    second.until("+ login alice");
    let page = page(&server);
    for (name, want) in [
        (r#"file_bytes_total{way="up"}"#, 20_000.0),
        (r#"file_bytes_total{way="down"}"#, 20_000.0),
        ("spool_bytes", 20_000.0),
        (r#"logins_total{how="password",result="ok"}"#, 1.0),
        (r#"logins_total{how="password",result="failed"}"#, 1.0),
        (r#"logins_total{how="token",result="failed"}"#, 1.0),
        ("names", 1.0),
        ("people", 2.0),
        (r#"connections{wire="tcp"}"#, 3.0),
    ] {
        assert_eq!(value(&page, &format!("chinwag_{name}")), want, "{name}");
    }
}

#[test]
fn every_end_of_a_connection_is_counted_once() {
    let folder = Folder::new();
    let server = folder.serve(&["--metrics", "127.0.0.1:0", "--max-clients", "3"]);
    let [mut alice, bob, carol] = ["alice", "bob", "carol"].map(|nick| server.person(nick));
    let mut full = server.connect_raw();
    full.starting("* bye full ");
    assert_eq!(full.line(), None);
    let mut kill = Command::new(binary());
    kill.args(["ctl", "--data", folder.path.to_str().unwrap(), "kill", "alice", "enough"]);
    assert!(kill.status().unwrap().success());
    alice.until_starting("* bye killed ");
    socket2::SockRef::from(&bob.stream).set_linger(Some(Duration::ZERO)).unwrap();
    drop(bob);
    drop(carol);
    eventually("nobody is left", || value(&page(&server), "chinwag_people") == 0.0);
    let mut browser = server.connect_raw();
    browser.send("GET / HTTP/1.1");
    browser.until_starting("* bye not-http ");
    let page = page(&server);
    for (name, want) in [
        ("accepted_total", 5.0),
        (r#"rejected_total{code="full"}"#, 1.0),
        (r#"byes_total{code="killed"}"#, 1.0),
        (r#"byes_total{code="not-http"}"#, 1.0),
        (r#"byes_total{code="full"}"#, 0.0),
        (r#"lost_total{code="reset"}"#, 1.0),
        (r#"lost_total{code="timeout"}"#, 0.0),
    ] {
        assert_eq!(value(&page, &format!("chinwag_{name}")), want, "{name}");
    }
}

#[test]
fn the_page_tells_nothing_of_anybody() {
    let folder = Folder::new();
    let server = folder.serve(&["--metrics", "127.0.0.1:0"]);
    let mut alice = server.in_room("alice", "#secretive");
    alice.ask("/register correct-horse", "+ register alice");
    alice.send("/join #seen\n/room #secretive hidden on");
    alice.until_starting("+ room #secretive ");
    let page = page(&server);
    assert_eq!(value(&page, "chinwag_rooms"), 1.0);
    assert!(!["alice", "secretive", "seen", "127.0.0.1"].iter().any(|word| page.contains(word)), "{page}");
}

#[test]
fn operators_read_the_same_page() {
    let folder = Folder::new();
    let server = folder.serve(&["--metrics", "127.0.0.1:0"]);
    let mut ctl = Command::new(binary());
    let output = ctl.args(["ctl", "--data", folder.path.to_str().unwrap(), "metrics"]).output().unwrap();
    assert!(output.status.success() && output.stderr.is_empty(), "{output:?}");
    let printed = String::from_utf8(output.stdout).unwrap();
    let page = page(&server);
    assert_eq!(series(&printed), series(&page));
    let comments =
        |page: &str| page.lines().filter(|line| line.starts_with('#')).map(str::to_owned).collect::<Vec<_>>();
    assert_eq!(comments(&printed), comments(&page));
    let said = testkit::control(&folder.path.join("ctl"), "/metrics\n");
    assert_eq!(said.last(), Some(&format!("+ metrics {}", page.lines().count())));
    assert_eq!(said[0], "- # HELP chinwag_people People who are online.");
    // To others it is unknown.
    server.person("bob").ask("/metrics", "! ? unknown-command /metrics: no such command; /help lists them");
}

#[test]
fn monitors_are_told_what_is_wrong_with_a_request() {
    let server = start(&[]);
    for (request, status) in [
        ("GET /any/path?of=it HTTP/1.1\r\nHost: 127.0.0.1:9429\r\nAccept: */*\r\n\r\n", "200"),
        ("GET / HTTP/1.0\n\n", "200"),
        ("GET / HTTP/1.1\r\nHost: rebound.example.org\r\n\r\n", "421"),
        ("POST / HTTP/1.1\r\nHost: localhost\r\n\r\n", "405"),
        ("hello\r\n\r\n", "400"),
    ] {
        assert_eq!(answer(&server, request).split(' ').nth(1), Some(status), "{request}");
    }
    let long = format!("GET / HTTP/1.1\r\nHost: localhost\r\nX: {}\r\n\r\n", "x".repeat(limits::SCRAPE_HEAD));
    assert!(answer(&server, &long).starts_with("HTTP/1.1 431 "));
    // Who asks for the head of an answer gets that alone.
    for (host, status) in [("localhost", "200"), ("rebound.example.org", "421")] {
        let told = answer(&server, &format!("HEAD / HTTP/1.1\r\nHost: {host}\r\n\r\n"));
        assert!(told.starts_with(&format!("HTTP/1.1 {status} ")) && told.ends_with("\r\n\r\n"), "{told}");
        let len = told.split("\r\nContent-Length: ").nth(1).and_then(|rest| rest.split("\r\n").next());
        assert!(len.unwrap().parse::<usize>().unwrap() > 0 && told.matches("\r\n\r\n").count() == 1, "{told}");
    }
    // Half a request is none.
    let mut half = knock(&server);
    half.write_all(b"GET / HTTP/1.1\r\nHost: local").unwrap();
    half.shutdown(Shutdown::Write).unwrap();
    assert_eq!(half.read(&mut [0; 1]).unwrap(), 0);
}

#[test]
fn monitors_that_say_nothing_hold_up_nobody_for_long() {
    let server = start(&[]);
    let mut idle: Vec<TcpStream> = (0..limits::SCRAPES).map(|_| knock(&server)).collect();
    // The ninth is closed, and people notice nothing.
    let mut ninth = knock(&server);
    assert_eq!(ninth.read(&mut [0; 1]).unwrap_or(0), 0);
    let mut alice = server.in_room("alice", "#a");
    alice.ask("/ping x", "+ ping x");
    for stream in &mut idle {
        assert_eq!(stream.read(&mut [0; 1]).unwrap_or(0), 0);
    }
    eventually("there is a place again", || answer(&server, "GET / HTTP/1.0\n\n").starts_with("HTTP/1.1 200 "));
}

#[test]
fn monitors_that_ask_without_end_do_not_keep_people_waiting() {
    let mut server = start(&[]);
    let mut alice = server.in_room("alice", "#a");
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| (0..10).for_each(|_| drop(page(&server))));
        }
        (0..200).for_each(|n| alice.ask(&format!("/ping {n}"), &format!("+ ping {n}")));
    });
    assert_eq!(server.ended(), None);
}

#[test]
fn the_door_of_monitors_is_closed_when_the_server_says_goodbye() {
    let mut server = start(&[]);
    let address = server.door("metrics http://").to_owned();
    let mut staying: Client = server.connect();
    server.signal("TERM");
    staying.until_starting("* bye shutdown ");
    eventually("nobody listens", || TcpStream::connect(&address).is_err());
    let (status, log) = server.wait();
    assert!(status.success(), "{log}");
    let refused = Command::new(binary()).args(["serve", "--listen", "127.0.0.1:0", "--metrics", "nowhere"]).output();
    let told = String::from_utf8(refused.unwrap().stderr).unwrap();
    assert!(told.contains("cannot listen on nowhere: "), "{told}");
}
