//! People in TLS: they talk, end and are slow as others are.

use std::io::Write;
use std::net::Shutdown;
use std::time::Duration;

use chinwag::limits;
use rustls::version::{TLS12, TLS13};
use socket2::SockRef;
use testkit::{Client, connect, raise_limit};

use crate::secure::{Secure, Tls};

#[test]
fn people_in_tls_and_in_clear_share_a_room() {
    let tls = Tls::start(&[]);
    let mut alice = tls.server.in_room("alice", "#a");
    for version in [&TLS12, &TLS13] {
        let mut bob = Secure::new(tls.knock(), version);
        bob.starting("* hello guest");
        bob.send("/set presence off\n/nick bob\n/join #a");
        bob.until("+ join #a 2");
        alice.expect("#a * bob joined");
        bob.send("from within");
        alice.expect("#a <bob> from within");
        alice.send("from without");
        assert_eq!(bob.until("#a <alice>"), "#a <alice> from without");
        // Nobody can read along, so passwords may come.
        bob.send("/quit");
        bob.until("+ quit");
        // The server says in TLS that this is all.
        assert_eq!(bob.try_line(), Ok(None));
        alice.expect("#a * bob quit");
    }
}

#[test]
fn a_long_answer_and_a_long_line_come_whole() {
    let tls = Tls::start(&["--history", "2000"]);
    let mut alice = tls.in_room("alice", "#a");
    let long = "x".repeat(4000);
    for _ in 0..50 {
        alice.send(&long);
    }
    alice.send("/history #a 500");
    for _ in 0..50 {
        assert!(alice.until("- [").ends_with(&long));
    }
    alice.until("+ history ");
}

#[test]
fn an_end_that_anybody_may_have_made_carries_out_whole_lines_alone() {
    let tls = Tls::start(&[]);
    let mut alice = tls.server.in_room("alice", "#a");
    // The socket ends, and TLS does not: whole lines are carried out and answered.
    let mut bob = tls.in_room("bob", "#a");
    alice.expect("#a * bob joined");
    bob.send("whole");
    bob.send("/ping end");
    bob.stream.shutdown(Shutdown::Write).unwrap();
    bob.until("+ ping end");
    assert_eq!(bob.try_line(), Ok(None));
    alice.expect("#a <bob> whole");
    alice.expect("#a * bob quit");
    // The same with half a line, or half a record, of which nobody hears.
    for half_record in [false, true] {
        let mut bob = tls.in_room("bob", "#a");
        alice.expect("#a * bob joined");
        bob.send("whole");
        let sealed = bob.seal(if half_record { b"never\n" } else { b"never" });
        let sent = if half_record { sealed.len() / 2 } else { sealed.len() };
        bob.stream.write_all(&sealed[..sent]).unwrap();
        bob.stream.shutdown(Shutdown::Write).unwrap();
        alice.expect("#a <bob> whole");
        alice.expect("#a * bob lost reset");
    }
    // Who says in TLS that this is all has meant it.
    let mut bob = tls.in_room("bob", "#a");
    alice.expect("#a * bob joined");
    bob.send_bytes(b"meant");
    bob.close();
    alice.expect("#a <bob> meant");
    alice.expect("#a * bob quit");
    assert_eq!(bob.try_line(), Ok(None));
}

#[test]
fn who_is_wrong_about_tls_is_told_so() {
    let tls = Tls::start(&[]);
    let mut clear = Client::new(tls.knock());
    clear.send("hello?");
    let bye = clear.starting("* bye needs-tls ");
    assert!(bye.contains("ncat --ssl"), "{bye}");
    assert_eq!(clear.line(), None);
    // The same the other way round.
    let mut hello = tls.server.connect();
    hello.send_bytes(b"\x16\x03\x01");
    let bye = hello.until_starting("* bye not-text ").pop().unwrap();
    assert!(bye.contains(&format!("port {}", tls.port)), "{bye}");
}

#[test]
fn a_slow_reader_in_tls_is_told_what_it_missed() {
    let tls = Tls::start(&["--history", "100000"]);
    let mut slow = tls.in_room("slow", "#a");
    let mut talker = tls.server.in_room("talker", "#a");
    slow.send("/set stamp on");
    slow.until("+ set stamp on");
    let line = format!("/msg #a {}", "x".repeat(3900));
    let mut said = 0;
    loop {
        for _ in 0..200 {
            talker.ask(&line, "+ msg #a");
            said += 1;
        }
        talker.send("/msg slow are you there?");
        if talker.line().unwrap().starts_with("! msg busy ") {
            break;
        }
        assert!(said < 100_000, "everything is read");
    }
    let (mut last, mut heard) = (0, 0);
    let missed = loop {
        let line = slow.line().unwrap();
        if line.contains(" missed ") {
            break line;
        }
        if line.contains("<talker> x") && line.contains("#a") {
            heard += 1;
            last += 1;
        }
    };
    assert!(heard > 0 && last < said, "{missed}");
    // Nothing is lost between what came and what was left out.
    let count: u64 = missed.split(" missed ").nth(1).unwrap().split(' ').next().unwrap().parse().unwrap();
    assert_eq!(heard + count, said, "{missed}");
    slow.send("/ping");
    slow.until("+ ping");
}

#[test]
fn slow_readers_in_tls_hold_hardly_more_than_others() {
    const SLOW: usize = 20;
    let tls = Tls::start(&[]);
    let mut talker = tls.server.in_room("talker", "#a");
    let mut slow: Vec<Secure> = (0..SLOW)
        .map(|n| {
            let stream = connect(([127, 0, 0, 1], tls.port).into(), n, Some(4096)).unwrap();
            let mut client = Secure::new(stream, &TLS13);
            client.send(&format!("/set presence off\n/nick slow{n}\n/join #a"));
            client.until("+ join #a ");
            client
        })
        .collect();
    // From here on none of them reads. This fills the system's buffers.
    (0..80).for_each(|_| talker.send(&"x".repeat(4000)));
    talker.settle();
    let before = tls.server.usage().unwrap().resident;
    talker.talk_until_busy("slow0", || slow.iter_mut().for_each(|client| client.send("/ping")));
    let each = tls.server.usage().unwrap().resident.saturating_sub(before) as usize / SLOW;
    // What may wait for each of them, a quarter of that for the allocator, and what TLS has of it.
    let most = limits::SLOW_CONSUMER * 5 / 4 + 2 * limits::TLS_INPUT + limits::TLS_RECORD;
    assert!(each <= most / 1024, "{each} KiB are held for each");
}

#[test]
fn who_takes_nothing_in_tls_is_dropped_as_anybody() {
    let tls = Tls::start(&["--stall", "1s"]);
    let slow = tls.in_room("slow", "#a");
    let mut talker = tls.server.in_room("talker", "#a");
    let mut ear = tls.server.in_room("ear", "#a");
    let line = "x".repeat(3900);
    loop {
        talker.send(&format!("/msg #a {line}"));
        talker.until("+ msg #a");
        let heard = ear.until_starting("#a ").pop().unwrap();
        if heard == "#a * slow lost too-slow" {
            break;
        }
    }
    drop(slow);
}

#[test]
fn somebody_idle_in_tls_costs_little_memory() {
    const PEOPLE: usize = 2000;
    if let Err(why) = raise_limit(PEOPLE as u64 * 2 + 200) {
        return testkit::skip(&why);
    }
    let tls = Tls::start(&[]);
    // What is there once is no cost of anybody.
    let mut people: Vec<Secure> = (0..50).map(|_| tls.connect()).collect();
    let before = tls.server.usage().unwrap().resident;
    people.extend((0..PEOPLE).map(|_| tls.connect()));
    people.last_mut().unwrap().send("/ping");
    people.last_mut().unwrap().until("+ ping");
    let each = (tls.server.usage().unwrap().resident - before) as usize * 1024 / PEOPLE;
    assert!(each <= 4608, "{each} bytes each");
}

#[test]
fn what_was_said_before_a_reset_is_carried_out_though_tls_cannot_answer() {
    let tls = Tls::start(&[]);
    let mut alice = tls.server.in_room("alice", "#a");
    let mut bob = tls.in_room("bob", "#a");
    alice.expect("#a * bob joined");
    // What cannot be opened is answered, and all of it has come when the server looks.
    tls.server.signal("STOP");
    let sealed = bob.seal(b"the last word\n");
    bob.stream.write_all(&[&sealed, &b"\x17\x03\x03\0\x20"[..], &[7; 0x20]].concat()).unwrap();
    SockRef::from(&bob.stream).set_linger(Some(Duration::ZERO)).unwrap();
    drop(bob);
    tls.server.signal("CONT");
    alice.expect("#a <bob> the last word");
    alice.expect("#a * bob lost reset");
}
