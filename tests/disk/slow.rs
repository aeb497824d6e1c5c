//! Disks that take their time: what is said goes into the log first, and does not wait for long.

use std::fs;
use std::thread;
use std::time::{Duration, Instant};

use chinwag::limits::{LEDGER_LEAST, LOG_WAIT, LOOK_AROUND};
use testkit::company::{Company, MANY};
use testkit::data::{
    Folder, KEPT, NOT_KEPT, assert_numbered, chunks, digest, history, kill, logged, notices, stop, unstamped,
};
use testkit::disk::{Meddler, WRITES};
use testkit::{control, eventually};

#[test]
fn a_disk_that_takes_a_second_for_each_write_holds_up_no_chat() {
    let folder = Folder::new();
    let server = folder.serve(MANY);
    let mut people = Company::meet(&server);
    people.say_some(10);
    let log = folder.log("a");
    let Some(meddler) = Meddler::attach(&server, WRITES, "delay_enter=1s", &[&log]) else { return };
    // Those who play ping-pong wait for each other, and would wait for each write if lines did.
    for _ in 0..300 {
        people.say("ping");
        people.bob.send("pong");
        people.alice.until_starting("#a <bob> pong");
        people.heard.push(String::new());
    }
    let writes = meddler.calls().len();
    assert!(writes < 40, "{writes} writes of a second each were done while 600 lines went by");
    let told = notices(&people.told);
    assert!(told.len() == 1 && told[0].starts_with(NOT_KEPT), "{told:?}");
    drop(meddler);
    let lines = people.bob.until(KEPT);
    assert_eq!(notices(&lines), Vec::<&str>::new());
    kill(server);
    let server = folder.serve(MANY);
    let mut dave = server.in_room("dave", "#a");
    let known = history(&mut dave, "#a", 0);
    assert_numbered(&known, 1);
    assert_eq!(known.len(), people.heard.len());
    for (known, heard) in known.iter().zip(&people.heard) {
        assert!(known == heard || heard.is_empty() && unstamped(known) == "<bob> pong", "{known} and {heard}");
    }
}

#[test]
fn a_disk_that_is_always_a_little_late_is_late() {
    let folder = Folder::new();
    let server = folder.serve(MANY);
    let mut people = Company::meet(&server);
    people.say_some(10);
    let log = folder.log("a");
    let Some(_meddler) = Meddler::attach(&server, WRITES, "delay_enter=200ms", &[&log]) else { return };
    people.say_some(20);
    let told = notices(&people.told);
    assert!(told.len() == 1 && told[0].starts_with(NOT_KEPT), "{told:?}");
}

#[test]
fn a_disk_that_hangs_holds_up_no_chat_and_no_end() {
    let folder = Folder::new();
    let mut server = folder.serve(MANY);
    let mut people = Company::meet(&server);
    people.say_some(10);
    let before = logged(&folder.path, "a").len();
    let log = folder.log("a");
    let Some(meddler) = Meddler::attach(&server, WRITES, "delay_enter=1000s", &[&log]) else { return };
    let since = Instant::now();
    people.say_until_not_kept("hello?");
    assert!(since.elapsed() < Duration::from_secs(3), "lines waited for {:?}", since.elapsed());
    people.say_some(500);
    // Were each to wait, it would take twice as long; how long it takes besides depends on what else the machine does.
    assert!(since.elapsed() < 250 * LOG_WAIT, "lines wait on: {:?}", since.elapsed());
    assert_eq!((meddler.calls().len(), logged(&folder.path, "a").len()), (0, before), "the write hangs no more");
    // It does not end before all is written unless it is asked again, which it heeds.
    server.signal("TERM");
    people.alice.until_starting("* bye shutdown ");
    drop(people);
    eventually("it ends", || {
        server.signal("TERM");
        fs::read_to_string(format!("/proc/{}/stat", server.pid())).unwrap().contains(") Z ")
    });
    // What traces it has a part in its end.
    drop(meddler);
    let (_, log) = server.wait();
    assert!(log.contains("history is not being kept"), "{log}");
    let server = folder.serve(MANY);
    let mut dave = server.in_room("dave", "#a");
    assert!(history(&mut dave, "#a", 0).len() >= before);
}

#[test]
fn an_end_in_good_order_waits_for_what_was_sent_of_a_file() {
    let folder = Folder::new();
    let server = folder.serve(&[]);
    let mut alice = server.in_room("alice", "#a");
    let bytes = vec![7; 100_000];
    let send = format!("/send #a {} {} big.bin", bytes.len(), digest(&bytes));
    alice.send(&send);
    let id = alice.starting("+ send ").split(' ').nth(2).unwrap().to_owned();
    let file = folder.path.join("spool").join(&id);
    let Some(meddler) = Meddler::attach(&server, WRITES, "delay_enter=30ms", &[&file]) else { return };
    chunks(&bytes[..50_000], 5_000).iter().for_each(|chunk| alice.send(chunk));
    alice.settle();
    stop(server);
    drop(meddler);
    let server = folder.serve(&[]);
    let mut alice = server.in_room("alice", "#a");
    alice.ask(&send, &format!("+ send {id} 50000"));
}

#[test]
fn a_line_is_in_the_log_before_anybody_has_it() {
    let folder = Folder::new();
    let server = folder.serve(&[]);
    let mut people = Company::meet(&server);
    people.say("first");
    let log = folder.log("a");
    // It is slow, and not so slow that lines go ahead of it.
    let Some(_meddler) = Meddler::attach(&server, WRITES, "delay_enter=20ms", &[&log]) else { return };
    for _ in 0..20 {
        people.say("another");
        let is_logged = logged(&folder.path, "a").last() == people.heard.last();
        people.told.append(&mut people.bob.settle());
        if !notices(&people.told).is_empty() {
            // A busy machine has made it slower than that; then nothing can be told from this.
            return;
        }
        assert!(is_logged, "{:?}", people.heard.last());
    }
}

#[test]
fn each_line_is_synced_before_anybody_has_it_if_one_wants_that() {
    let folder = Folder::new();
    let server = folder.serve(&["--sync", "0"]);
    let mut people = Company::meet(&server);
    people.say("first");
    let log = folder.log("a");
    // It is slow, and so it can be seen that it is waited for.
    let slow = Duration::from_millis(20);
    let Some(meddler) = Meddler::attach(&server, "fsync,fdatasync", "delay_enter=20ms", &[&log]) else { return };
    for said in 1..=20 {
        let since = Instant::now();
        people.say("another");
        let told = !notices(&people.told).is_empty();
        assert!(told || since.elapsed() >= slow, "it was heard after {:?}", since.elapsed());
        // The call may have come back without strace having written so yet, but it was not made before.
        eventually("it is synced", || told || meddler.calls().len() >= said);
    }
    drop(meddler);
    // And once a second otherwise: not each line.
    kill(server);
    let server = folder.serve(&["--sync", "1s"]);
    let mut people = Company::meet(&server);
    people.say("first");
    let Some(meddler) = Meddler::attach(&server, "fsync,fdatasync", "", &[&log]) else { return };
    people.say_some(300);
    eventually("it is synced", || !meddler.calls().is_empty());
    assert!(meddler.calls().len() < 100, "{:?}", meddler.calls().len());
}

#[test]
fn a_disk_that_does_not_say_whether_the_operators_door_is_there_holds_nobody_up() {
    let folder = Folder::new();
    let server = folder.serve(&[]);
    let mut alice = server.person("alice");
    let door = folder.path.join("ctl");
    let Some(meddler) = Meddler::attach(&server, "%%stat", "delay_enter=1000s", &[&door]) else { return };
    // It is looked for whenever somebody says something, once a second at most.
    for _ in 0..3 {
        thread::sleep(LOOK_AROUND);
        alice.ask("/ping", "+ ping");
    }
    drop(meddler);
    fs::remove_file(&door).unwrap();
    eventually("the door is there again", || {
        alice.ask("/ping", "+ ping");
        door.exists()
    });
}

const RULES_NOT_KEPT: &str = "* notice rules and bans are not being kept: ";
const RULES_KEPT: &str = "* notice rules and bans are being kept again";

#[test]
fn a_ledger_that_hangs_holds_nobody_up_and_everybody_is_told_before_they_hear_of_a_change() {
    let folder = Folder::new();
    let server = folder.serve(MANY);
    let mut bob = server.in_room("bob", "#r");
    let mut alice = server.in_room("alice", "#r");
    let ledger = folder.path.join("ledger");
    let Some(meddler) = Meddler::attach(&server, WRITES, "delay_enter=1000s", &[&ledger]) else { return };
    bob.settle();
    let since = Instant::now();
    bob.send("/ban eve* 1d");
    let before = alice.until_starting(RULES_NOT_KEPT);
    assert!(before.iter().all(|line| !line.contains("eve*")), "{before:?}");
    bob.until_starting("+ ban #r 1 ");
    bob.until_starting(RULES_NOT_KEPT);
    for n in 0..20 {
        bob.send(&format!("/ban evil{n}* 1d"));
        bob.until_starting("+ ban #r ");
    }
    assert!(since.elapsed() < Duration::from_secs(3), "it is waited for: {:?}", since.elapsed());
    server.connect_raw().until_starting(RULES_NOT_KEPT);
    drop(meddler);
    let told = alice.until(RULES_KEPT);
    assert_eq!(notices(&told), Vec::<&str>::new());
    kill(server);
    let written = fs::read_to_string(&ledger).unwrap();
    assert_eq!(written.lines().filter(|line| line.starts_with("ban #r ")).count(), 21, "{written}");
}

#[test]
fn a_ledger_that_is_written_anew_holds_nobody_up() {
    let folder = Folder::new();
    let server = folder.serve(&[]);
    let mut bob = server.in_room("bob", "#r");
    let (ledger, door) = (folder.path.join("ledger"), folder.path.join("ctl"));
    let size = || fs::metadata(&ledger).unwrap().len();
    let some = format!("/block 203.0.113.0/24 all 1d {}\n/unblock 203.0.113.0/24\n", "x".repeat(200)).repeat(50);
    while size() < LEDGER_LEAST - 20_000 {
        control(&door, &some);
    }
    let new = ["ledger.shorter", "ledger.new"].map(|name| folder.path.join(name));
    let how = "delay_enter=3s";
    let Some(meddler) = Meddler::attach(&server, "fsync", how, &[&new[0], &new[1]]) else { return };
    while size() < LEDGER_LEAST {
        control(&door, &some);
    }
    let since = Instant::now();
    let mut told = Vec::new();
    while size() >= LEDGER_LEAST {
        control(&door, "/block 203.0.113.0/24 all 1d\n/unblock 203.0.113.0/24\n");
        told.extend(bob.settle());
        assert!(since.elapsed() < Duration::from_secs(30), "it is not written anew");
    }
    assert!(!meddler.calls().is_empty(), "nothing was slow");
    assert_eq!(notices(&told), Vec::<&str>::new());
    bob.send("/ban eve* 1d");
    bob.until_starting("+ ban #r ");
    drop(meddler);
    kill(server);
    let written = fs::read_to_string(&ledger).unwrap();
    assert!(written.lines().any(|line| line.starts_with("ban #r ")), "{written:.500}");
}

#[test]
fn what_an_operator_does_is_in_the_audit_log_on_the_disk_before_it_is_done() {
    let folder = Folder::new();
    let server = folder.serve(&[]);
    let (audit, door) = (folder.path.join("audit.log"), folder.path.join("ctl"));
    control(&door, "/wall hello\n");
    let slow = Duration::from_millis(300);
    let Some(meddler) = Meddler::attach(&server, "fsync,fdatasync", "delay_enter=300ms", &[&audit]) else { return };
    let since = Instant::now();
    assert!(control(&door, "/grant zoe\n")[0].starts_with("+ grant zoe "));
    assert!(since.elapsed() >= slow, "it was done after {:?}", since.elapsed());
    eventually("it is synced", || !meddler.calls().is_empty());
    let synced = meddler.calls().len();
    control(&door, "/wall for whom nobody waits\n");
    eventually("it is synced too", || meddler.calls().len() > synced);
    drop(meddler);
    // It is written before what it tells of is.
    let ledger = folder.path.join("ledger");
    let Some(watcher) = Meddler::attach(&server, WRITES, "", &[&audit, &ledger]) else { return };
    control(&door, "/grant yves\n");
    let calls = watcher.calls();
    let at = |what: &str| calls.iter().position(|call| call.contains(what)).unwrap_or_else(|| panic!("{calls:?}"));
    assert!(at("server ctl ") < at("name yves"), "{calls:?}");
}

#[test]
fn a_disk_that_is_slow_takes_every_deed() {
    const DEEDS: usize = 1_000;
    let folder = Folder::new();
    let server = folder.serve(&[]);
    let (audit, door) = (folder.path.join("audit.log"), folder.path.join("ctl"));
    control(&door, "/wall hello\n");
    let Some(meddler) = Meddler::attach(&server, WRITES, "delay_enter=1s:when=1", &[&audit]) else { return };
    let lines: String = (0..DEEDS).map(|n| format!("/wall {n}\n")).collect();
    control(&door, &lines);
    let written = || fs::read_to_string(&audit).unwrap();
    eventually("all is written", || written().ends_with(&format!(" {}\n", DEEDS - 1)));
    drop(meddler);
    let numbers: Vec<usize> =
        written().lines().skip(1).filter_map(|line| line.rsplit(' ').next()?.parse().ok()).collect();
    assert!(numbers.into_iter().eq(0..DEEDS), "some are missing");
}

#[test]
fn a_topic_is_on_the_disk_before_it_takes_the_place_of_the_old_one() {
    let folder = Folder::new();
    let server = folder.serve(&[]);
    let mut alice = server.in_room("alice", "#a");
    // Of a room in which nothing was said nothing is kept.
    alice.send("hello");
    alice.settle();
    let new = folder.log("a").with_extension("topic.new");
    let slow = Duration::from_millis(300);
    let Some(meddler) = Meddler::attach(&server, "fsync,fdatasync", "delay_enter=300ms", &[&new]) else { return };
    let since = Instant::now();
    alice.ask("/topic tea at five", "+ topic #a tea at five");
    assert!(since.elapsed() >= slow, "it was told after {:?}", since.elapsed());
    eventually("it is synced under its first name", || !meddler.calls().is_empty());
}
