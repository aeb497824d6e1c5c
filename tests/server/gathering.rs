//! What is gathered before it is written, what is not, and that nothing but its time changes by that.

use std::fs;
use std::thread;
use std::time::Duration;

use testkit::disk::Meddler;
use testkit::{Client, Server, connect, eventually};

/// So many hear what is said in a large room: writing to them takes so long that the next fan-out waits.
const LARGE: usize = 200;

/// How often the threads of the server have waited for something.
fn waits(server: &Server) -> u64 {
    let tasks = fs::read_dir(format!("/proc/{}/task", server.pid())).unwrap();
    let statuses = tasks.map(|task| fs::read_to_string(task.unwrap().path().join("status")).unwrap());
    let of = |status: String| {
        let line = status.lines().find_map(|line| line.strip_prefix("voluntary_ctxt_switches:")).unwrap().trim();
        line.parse::<u64>().unwrap()
    };
    statuses.map(of).sum()
}

fn members(server: &Server, room: &str, count: usize) -> Vec<Client> {
    let mut members: Vec<Client> = (0..count).map(|n| server.in_room(&format!("m{n}"), room)).collect();
    members.iter_mut().for_each(|member| drop(member.settle()));
    members
}

#[test]
fn a_server_without_work_does_not_wake_up() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    for options in [&[][..], &["--data", data.to_str().unwrap()]] {
        let server = Server::start(options);
        let mut people = members(&server, "#a", LARGE);
        for _ in 0..20 {
            people[0].send("hello");
        }
        people.iter_mut().for_each(|member| drop(member.settle()));
        // Some time or other what was said is synced and presence is told. From then on the time itself is what is tested.
        eventually(&format!("two seconds of rest with {options:?}"), || {
            let before = (waits(&server), server.usage().unwrap().processor);
            thread::sleep(Duration::from_secs(2));
            (waits(&server), server.usage().unwrap().processor) == before
        });
    }
}

#[test]
fn a_line_for_few_takes_one_turn_of_the_server() {
    const LINES: u64 = 300;
    let server = Server::start(&["--rate", "0"]);
    let mut people = members(&server, "#small", 10);
    let before = waits(&server);
    for n in 0..LINES {
        people[0].send(&format!("line {n}"));
        for member in &mut people[1..] {
            member.expect(&format!("#small <m0> line {n}"));
        }
    }
    // A line that waited for its fan-out would take a second turn.
    let turns = waits(&server) - before;
    assert!(turns <= LINES + LINES / 4, "{turns} turns for {LINES} lines");
}

#[test]
fn what_few_are_owed_goes_out_before_a_large_room_is_written_to() {
    let server = Server::start(&["--rate", "0"]);
    let mut bob = server.in_room("bob", "#small");
    let _large = members(&server, "#large", LARGE);
    let mut talker = server.in_room("talker", "#large");
    talker.send("/join #small");
    bob.until("#small * talker joined");
    let Some(watcher) = Meddler::attach(&server, "epoll_wait,recvfrom,sendto,sendmsg", "", &[]) else { return };
    for n in 0..30 {
        talker.send(&format!("/msg #large large {n}\n/msg bob private {n}\n/msg #small small {n}"));
        bob.until(&format!("@talker <talker> private {n}"));
        bob.until(&format!("#small <talker> small {n}"));
    }
    // What has been seen of the last turn is written down when another has begun.
    bob.settle();
    let calls = watcher.calls();
    let heard = |call: &&String| call.contains("recvfrom") && call.contains("/msg #large");
    assert!(calls.iter().any(|call| heard(&call)));
    for turn in calls.split(|call| call.contains("epoll_wait")).filter(|turn| turn.iter().any(|call| heard(&call))) {
        let written = |what| turn.iter().position(|call| !call.contains("recvfrom") && call.contains(what));
        // What bob is owed is one write.
        let (few, large) = (written("\"@talker "), written("\"#large "));
        assert!(few.is_some_and(|few| large.is_none_or(|large| few < large)), "{turn:?}");
    }
}

#[test]
fn what_is_gathered_and_what_is_not_comes_in_the_order_in_which_it_was_said() {
    const LINES: usize = 2000;
    let server = Server::start(&["--rate", "0"]);
    let _large = members(&server, "#large", LARGE);
    let mut hearer = server.in_room("hearer", "#large");
    hearer.send("/join #small");
    hearer.until_starting("+ join #small ");
    let mut talker = server.in_room("talker", "#large");
    talker.send("/join #small");
    hearer.until("#small * talker joined");
    let mut rng = fastrand::Rng::with_seed(1);
    let said: Vec<&str> = (0..LINES).map(|_| ["#large", "#large", "#small", "hearer"][rng.usize(..4)]).collect();
    let writing = talker.stream.try_clone().unwrap();
    let page: Vec<String> = said.iter().enumerate().map(|(n, to)| format!("/msg {to} {n}\n")).collect();
    let talking = thread::spawn(move || {
        for lines in page.chunks(5) {
            std::io::Write::write_all(&mut &writing, lines.concat().as_bytes()).unwrap();
        }
    });
    for (n, to) in said.iter().enumerate() {
        // Its own requests are answered in between, and so everything takes its way at once now and then.
        if n % 50 == 0 {
            hearer.send("/typing #small off");
        }
        let line = loop {
            let line = hearer.line().unwrap();
            if !line.starts_with("+ typing") {
                break line;
            }
        };
        let place = if *to == "hearer" { "@talker" } else { to };
        assert_eq!(line, format!("{place} <talker> {n}"));
    }
    talking.join().unwrap();
}

#[test]
fn who_does_not_read_in_a_large_room_is_told_what_it_missed() {
    let server = Server::start(&["--rate", "0"]);
    let mut talker = server.in_room("talker", "#large");
    let mut idle = Client::new(connect(server.socket_address(), 0, Some(1)).unwrap());
    idle.send("/set presence off\n/nick idle\n/join #large");
    idle.until_starting("+ join #large ");
    let mut large = members(&server, "#large", LARGE);
    talker.settle();
    let mut said = 0;
    loop {
        for _ in 0..8 {
            talker.send(&"x".repeat(3900));
            said += 1;
        }
        for member in &mut large {
            (0..8).for_each(|_| drop(member.starting("#large <talker> x")));
        }
        talker.settle();
        talker.send("/msg idle are you there?");
        if talker.line().unwrap().starts_with("! msg busy ") {
            break;
        }
        assert!(said < 5000, "everything is read");
    }
    // What is said from now on is left out.
    talker.ask("/msg #large one more", "+ msg #large");
    said += 1;
    let lines = idle.until_starting("#large * idle missed ");
    let heard = lines.iter().filter(|line| line.starts_with("#large <talker> ")).count();
    assert_eq!(lines.last().unwrap(), &format!("#large * idle missed {} after {heard}", said - heard));
}
