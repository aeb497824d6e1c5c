//! What one visitor can use up: memory for what waits, the server's time, places, and the ear of others after the end.

use std::io::Write;
use std::net::Shutdown;
use std::time::Duration;

use socket2::SockRef;
use testkit::disk::Meddler;
use testkit::distant::{Distant, address, on_own_network};
use testkit::{Client, Server, connect, eventually, raise_limit};

/// Connects so that little fits into the system's buffers, and enters a room under this name.
fn narrow(server: &Server, n: usize, nick: &str, room: &str) -> Client {
    let mut client = Client::new(connect(server.socket_address(), n, Some(1)).unwrap());
    client.send(&format!("/set presence off\n/nick {nick}\n/join {room}"));
    client.until_starting(&format!("+ join {room} "));
    client
}

/// Has the connection end with a reset.
fn reset(client: Client) {
    SockRef::from(&client.stream).set_linger(Some(Duration::ZERO)).unwrap();
}

/// What a room's members are told by `talker` while these do not read: lines that fill the system's buffers.
fn fill(talker: &mut Client) {
    (0..80).for_each(|_| talker.send(&"x".repeat(4000)));
    talker.settle();
}

#[test]
fn what_is_counted_for_a_slow_consumer_is_what_it_holds() {
    const SLOW: usize = 20;
    let server = Server::start(&["--rate", "0"]);
    let mut talker = server.in_room("talker", "#a");
    let mut slow: Vec<Client> = (0..SLOW).map(|n| narrow(&server, n, &format!("slow{n}"), "#a")).collect();
    fill(&mut talker);
    let before = server.usage().unwrap().resident;
    // An answer and an event in turn: each is a piece of its own, as they come in this order.
    talker.talk_until_busy("slow0", || slow.iter_mut().for_each(|client| client.send("/ping")));
    let each = (server.usage().unwrap().resident.saturating_sub(before)) / SLOW as u64;
    // A megabyte is what may wait for each of them; the allocator has a quarter of that to spare.
    assert!(each <= 1280, "{each} KiB are held for each");
}

#[test]
fn what_a_thousand_are_owed_in_common_counts_once() {
    const PEOPLE: usize = 1000;
    const TALKERS: usize = 15;
    const LINES: usize = 8;
    raise_limit(2 * PEOPLE as u64 + 200).unwrap();
    let server = Server::start(&["--rate", "0"]);
    let mut listeners: Vec<Client> = Vec::new();
    for n in 0..PEOPLE {
        // With less room the system may take forty milliseconds for each few hundred bytes.
        let mut client = Client::new(connect(server.socket_address(), n, Some(16 * 1024)).unwrap());
        // They want their lines in four ways.
        let end = if n % 2 == 0 { "\n" } else { "\r\n" };
        let stamp = if n % 4 < 2 { "off" } else { "on" };
        client.send_bytes(
            ["/set presence off", &format!("/set stamp {stamp}"), "/join #a"]
                .map(|line| line.to_owned() + end)
                .concat()
                .as_bytes(),
        );
        client.until_starting("+ join #a ");
        listeners.push(client);
    }
    let mut talkers: Vec<Client> = (0..TALKERS).map(|n| server.in_room(&format!("talker{n}"), "#a")).collect();
    let before = server.usage().unwrap().resident;
    // So much that all together would be short of memory, if each listener's part were counted for it alone.
    let page = format!("{}\n", "x".repeat(4000)).repeat(LINES);
    talkers.iter_mut().for_each(|talker| talker.send_bytes(page.as_bytes()));
    for talker in &mut talkers {
        talker.settle();
    }
    let held = server.usage().unwrap().resident.saturating_sub(before);
    assert!(held < 32 * 1024, "{held} KiB are held");
    let mut asker = server.person("asker");
    for n in (1..=PEOPLE).step_by(100) {
        asker.ask(&format!("/msg guest{n} are you there?"), &format!("+ msg guest{n}"));
        let lines = listeners[n - 1].until_starting("@asker ");
        let heard = lines.iter().filter(|line| line.starts_with("#a ") && line.contains("> x")).count();
        assert_eq!(heard, TALKERS * LINES, "guest{n}");
    }
}

#[test]
fn who_reads_misses_nothing_beside_those_who_do_not() {
    const PEOPLE: usize = 40;
    let server = Server::start(&["--rate", "0"]);
    let mut talker = server.in_room("talker", "#a");
    let mut idle: Vec<Client> = (0..PEOPLE).map(|n| narrow(&server, n, &format!("idle{n}"), "#a")).collect();
    let mut quick: Vec<Client> = (0..PEOPLE).map(|n| server.in_room(&format!("quick{n}"), "#a")).collect();
    quick.iter_mut().for_each(|reader| drop(reader.settle()));
    let mut said = 0;
    let mut say = |talker: &mut Client, quick: &mut [Client]| {
        for _ in 0..10 {
            talker.send(&"x".repeat(3900));
            said += 1;
        }
        talker.settle();
        // They have read all before more is said, however busy the machine is.
        for reader in quick {
            (0..10).for_each(|_| assert!(reader.line().unwrap().starts_with("#a <talker> x")));
        }
        assert!(said < 5000, "everything is read");
    };
    loop {
        say(&mut talker, &mut quick);
        talker.send("/msg idle0 are you there?");
        if talker.line().unwrap().starts_with("! msg busy ") {
            break;
        }
    }
    // From now on the idle are left out, and the others are not.
    (0..10).for_each(|_| say(&mut talker, &mut quick));
    // The idle are told of it when they have read what waited.
    let lines = idle[0].until_starting("#a * idle0 missed ");
    let heard = lines.iter().filter(|line| line.starts_with("#a <talker> x")).count();
    let missed = said - heard;
    assert_eq!(lines.last().unwrap(), &format!("#a * idle0 missed {missed} after {heard}"));
}

#[test]
fn a_stalled_reader_is_not_tried_for_each_byte_that_it_sends() {
    const STALLED: usize = 20;
    const TIMES: usize = 200;
    let server = Server::start(&["--rate", "0"]);
    let mut talker = server.in_room("talker", "#a");
    let mut stalled: Vec<Client> = (0..STALLED).map(|n| narrow(&server, n, &format!("stalled{n}"), "#a")).collect();
    fill(&mut talker);
    // So many answers may wait before nothing more is read of who asks.
    for _ in 0..300 {
        stalled.iter_mut().for_each(|client| client.send("/ping"));
        talker.ask("/msg #a x", "+ msg #a");
    }
    // What they sent before is done.
    talker.settle();
    let Some(watcher) = Meddler::attach(&server, "recvfrom,sendto,sendmsg", "", &[]) else { return };
    for _ in 0..TIMES {
        stalled.iter_mut().for_each(|client| client.send_bytes(b"\xff\xf1"));
        talker.settle();
    }
    let calls = watcher.calls();
    let heard = calls.iter().filter(|call| call.contains("\\377\\361")).count();
    assert!(heard > STALLED * TIMES / 4, "{heard} reads");
    let tries = calls.iter().filter(|call| call.contains("EAGAIN") && !call.contains("recvfrom")).count();
    assert!(tries < heard / 20, "{tries} writes tried for {heard} reads");
}

#[test]
fn connections_are_counted_by_network_and_not_by_address() {
    let Some(server) = on_own_network(&["--max-per-ip", "1"]) else { return };
    let to = address(2, 10, 2);
    let come = |site, network, host| Distant::come(&server, &address(site, network, host), &to);
    let mut people: Vec<Distant> = Vec::new();
    for network in 1..=8 {
        let mut first = come(1, network, 1);
        assert_eq!(first.greeting(), "hello");
        assert_eq!(come(1, network, 2).greeting(), "bye", "another address of one network is admitted");
        people.push(first);
    }
    assert_eq!(come(1, 9, 1).greeting(), "bye", "a ninth network of one site is admitted");
    assert_eq!(come(2, 1, 1).greeting(), "hello");
    // A place is given back in the network and in the site.
    drop(people.pop());
    eventually("a place is free again", || come(1, 9, 1).greeting() == "hello");
}

#[test]
fn zero_is_no_limit() {
    const PEOPLE: usize = 101;
    if let Some(server) = on_own_network(&["--max-per-ip", "0", "--max-clients", "0", "--rate", "0"]) {
        let from = address(1, 1, 1);
        let mut people: Vec<Distant> = (0..PEOPLE).map(|_| Distant::come(&server, &from, &from)).collect();
        assert!(people.iter_mut().all(|person| person.greeting() == "hello"));
    }
    let server = Server::start(&["--max-clients", "0", "--rate", "0"]);
    let mut people: Vec<Client> = (0..PEOPLE).map(|_| server.connect()).collect();
    people.iter_mut().for_each(|person| drop(person.settle()));
}

/// What alice has heard of bob's, up to his end, which is to be `how`.
fn heard(alice: &mut Client, how: &str) -> Vec<String> {
    let lines = alice.until(&format!("#a * bob {how}"));
    lines.into_iter().filter(|line| line.starts_with("#a <bob> ")).collect()
}

/// Alice and bob in a room of a server that lets through three lines at once, and then one a second.
fn slow_pair() -> (Server, Client, Client) {
    let server = Server::start(&["--rate", "1"]);
    let alice = server.in_room("alice", "#a");
    let mut bob = server.connect_raw();
    bob.send("/nick bob\n/join #a");
    bob.until_starting("+ join #a ");
    (server, alice, bob)
}

#[test]
fn what_flood_control_holds_back_is_dropped_after_a_reset() {
    // In a hundred seconds all of it would be said.
    let short: String = (0..100).map(|n| format!("line {n}\n")).collect();
    // The server has not read all of this.
    let long: String = (0..30).map(|n| format!("line {n} {}\n", "x".repeat(4000))).collect();
    let endless = "x".repeat(400_000);
    let upload = format!("/send #a 100000 x\n={}\n{short}", "QUFB".repeat(1000));
    for page in [short, long, endless, upload] {
        for whole in ["", "/set whole on\n"] {
            let (_server, mut alice, bob) = slow_pair();
            let sending = bob.stream.try_clone().unwrap();
            sending.set_nonblocking(true).unwrap();
            let page = format!("{whole}{page}");
            // As far as the system takes it.
            let written = (&sending).write(page.as_bytes()).unwrap();
            assert!(written > 500);
            drop(sending);
            reset(bob);
            // The last of these is answered in five seconds.
            (0..8).for_each(|n| alice.send(&format!("/ping {n}")));
            let lines = alice.until("#a * bob lost reset");
            assert!(!lines.contains(&"+ ping 7".to_owned()), "what is held back is waited for: {lines:?}");
            let said = lines.iter().filter(|line| line.starts_with("#a <bob> ")).count();
            assert!(said <= 10, "{said} lines are said after the reset");
        }
    }
}

#[test]
fn what_flood_control_lets_pass_is_carried_out_after_a_reset() {
    for _ in 0..20 {
        let server = Server::start(&[]);
        let mut alice = server.in_room("alice", "#a");
        let bob = server.connect_raw();
        // The greeting is there and unread, so the end will be a reset.
        bob.stream.peek(&mut [0]).unwrap();
        let page: String = (0..50).map(|n| format!("line {n}\n")).collect();
        (&bob.stream).write_all(format!("/nick bob\n/join #a\n{page}").as_bytes()).unwrap();
        drop(bob);
        let said = heard(&mut alice, "lost reset");
        assert!(said.into_iter().eq((0..50).map(|n| format!("#a <bob> line {n}"))));
    }
}

#[test]
fn an_end_in_good_order_is_carried_out_whole_whoever_talks_meanwhile() {
    let server = Server::start(&["--rate", "10"]);
    let mut alice = server.in_room("alice", "#a");
    let mut bob = server.in_room("bob", "#a");
    alice.until("#a * bob joined");
    let page: String = (0..50).map(|n| format!("line {n}\n")).collect();
    bob.send_bytes(page.as_bytes());
    // All that came has been read, so this is no reset; but nobody reads any more, as the server finds out.
    drop(bob);
    alice.until("#a <bob> line 5");
    alice.send("are you there?");
    let said = heard(&mut alice, "quit");
    assert_eq!(said.last().map(String::as_str), Some("#a <bob> line 49"));
    assert_eq!(said.len(), 44);
}

#[test]
fn who_is_thrown_out_says_nothing_more() {
    let dir = tempfile::tempdir().unwrap();
    let password = dir.path().join("password");
    std::fs::write(&password, "open sesame\n").unwrap();
    let server = Server::start(&["--rate", "0", "--password-file", password.to_str().unwrap()]);
    let mut alice = server.connect_raw();
    alice.send("/pass open sesame\n/set presence off\n/nick alice\n/join #a");
    alice.until_starting("+ join #a ");
    let wrong = "/pass wrong\n".repeat(5);
    for thrown_out in ["GET / HTTP/1.1\r\n", "\x16\x03\x01\n", &wrong, "/pass open sesame\n/quit\n"] {
        let mut mallory = server.connect_raw();
        mallory.send_bytes(format!("{thrown_out}/pass open sesame\n/join #a\nsaid all the same\n").as_bytes());
        mallory.stream.shutdown(Shutdown::Write).unwrap();
        mallory.rest();
        assert_eq!(alice.settle().len(), 0, "after {thrown_out:?}");
    }
}
