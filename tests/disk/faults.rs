//! Disks that are full or fail, descriptors that run out, a clock that goes back: talk goes on, everybody is told, and
//! nothing that was written is damaged.

use std::fs;
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::process::Command;

use testkit::company::{Company, MANY, assert_all_is_kept};
use testkit::data::{
    Folder, KEPT, NOT_KEPT, assert_numbered, chunks, fetch, history, kill, logged, notices, seq, share, stop,
};
use testkit::disk::{Meddler, SmallDisk, WRITES, faketime};
use testkit::{Client, Server, binary, control, eventually, noise};

fn refused_for_space(client: &mut Client) {
    client.send("/send #a 10 x.txt");
    client.until_starting("! send no-space ");
}

/// Nobody says a word meanwhile.
#[test]
fn the_alarm_of_the_disk_is_on_while_blocks_cannot_be_kept() {
    let Some(disk) = SmallDisk::mount("1m") else { return };
    let _server = disk.serve(&[]);
    let ctl = |words: &[&str]| String::from_utf8(disk.run(&[&["ctl"], words].concat()).stdout).unwrap();
    let alarm = || ctl(&["metrics"]).lines().find(|line| line.starts_with("chinwag_log_degraded ")).map(str::to_owned);
    assert_eq!(alarm().unwrap(), "chinwag_log_degraded 0");
    disk.fill();
    // What is left of the last block of the ledger takes some.
    let reason = "x".repeat(400);
    let is_on = (1..=40).any(|n| {
        let told = ctl(&["block", &format!("203.0.{n}.0/24"), &reason]);
        assert_eq!(told, format!("+ block {n} 203.0.{n}.0/24 0\n"));
        alarm().unwrap() == "chinwag_log_degraded 1"
    });
    assert!(is_on);
    disk.free();
    eventually("all is kept again", || alarm().unwrap() == "chinwag_log_degraded 0");
}

#[test]
fn a_full_disk_stops_no_talk_and_costs_no_line() {
    let Some(disk) = SmallDisk::mount("1m") else { return };
    let server = disk.serve(MANY);
    let mut people = Company::meet(&server);
    people.say_some(10);
    // Somebody is about to share a file.
    let mut dave = server.in_room("dave", "#a");
    dave.send("/send #a 300000 big.bin");
    let id = dave.until_starting("+ send ").pop().unwrap().split(' ').nth(2).unwrap().to_owned();
    dave.send(&chunks(&noise(3000, 1), 3000)[0]);
    dave.settle();
    let mut was_told = None;
    for round in 0..2 {
        disk.fill();
        let wrong = people.say_until_not_kept(&"x".repeat(600));
        people.say_some(50);
        refused_for_space(&mut people.bob);
        if round == 0 {
            dave.send(&chunks(&noise(3000, 1), 3000)[0]);
            dave.until_starting(&format!("={id} ! no-space "));
        }
        // Whoever comes now can talk too.
        let mut late = server.in_room("late", "#a");
        late.send("/quit");
        late.rest();
        people.say_some(50);
        assert_eq!(was_told.get_or_insert(wrong.clone()), &wrong);
        disk.free();
        people.hear_that_it_is_kept(&wrong);
        people.hear_no_more();
        // Files go again.
        people.bob.send("/leave");
        people.bob.until("+ leave #a");
        people.bob.send("/join #files");
        people.bob.until("+ join #files 1");
        let id = share(&mut people.bob, "#files", &noise(5000, 2), "x");
        assert!(fetch(&mut people.bob, id) == noise(5000, 2));
        people.bob.send("/leave\n/join #a");
        people.bob.until_starting("+ join #a ");
    }
    kill(server);
    let server = disk.serve(MANY);
    assert_all_is_kept(&server, &disk.path("data"), &people.heard);
}

#[test]
fn people_know_before_they_have_what_is_not_kept() {
    let Some(disk) = SmallDisk::mount("1m") else { return };
    let server = disk.serve(MANY);
    let mut people = Company::meet(&server);
    people.say_some(10);
    disk.fill();
    // Many lines of one turn, of which the disk takes none or a part.
    let burst: String = (0..400).map(|n| format!("number {n} {}\n", "x".repeat(200))).collect();
    people.alice.send_bytes(burst.as_bytes());
    let before = people.bob.until_starting(NOT_KEPT);
    let heard: Vec<&str> = before.iter().filter_map(|line| line.strip_prefix("#a ")).collect();
    people.bob.until_starting("#a [");
    kill(server);
    let kept = logged(&disk.path("data"), "a");
    for line in heard {
        assert!(kept.iter().any(|kept| kept == line), "{line:.60} is not in the log, and was heard before the notice");
    }
}

#[test]
fn a_server_killed_on_a_full_disk_has_what_was_received_before() {
    let Some(disk) = SmallDisk::mount("1m") else { return };
    let server = disk.serve(MANY);
    let mut people = Company::meet(&server);
    people.say_some(10);
    disk.fill();
    people.say_until_not_kept(&"x".repeat(600));
    // All but the last were heard before anybody was told; that one may have come with it.
    let before = people.heard.len() - 1;
    people.say_some(20);
    kill(server);
    // While it is full a start may succeed or not, but damages nothing.
    let data = disk.path("data");
    let kept = logged(&data, "a");
    assert!(kept.len() >= before - 1, "{before} were received, and {} are there", kept.len());
    assert!(people.heard.starts_with(&kept), "the log is not what was heard");
    disk.free();
    let server = disk.serve(MANY);
    let mut dave = server.in_room("dave", "#a");
    let known = history(&mut dave, "#a", 0);
    assert_eq!(known, kept);
    dave.send("/set echo on\n/set stamp on\non we go");
    let line = dave.until_starting("#a [").pop().unwrap();
    assert_eq!(seq(&line[3..]), kept.len() as u64 + 1);
}

#[test]
fn a_server_starts_on_a_full_disk() {
    let Some(disk) = SmallDisk::mount("1m") else { return };
    let server = disk.serve(MANY);
    let mut people = Company::meet(&server);
    people.say_some(10);
    let heard = people.heard.clone();
    drop(people);
    kill(server);
    disk.fill();
    let server = disk.serve(MANY);
    let mut dave = server.in_room("dave", "#a");
    assert_eq!(history(&mut dave, "#a", 0), heard);
    disk.free();
    dave.send("/set echo on\n/set stamp on\non we go");
    let line = dave.until_starting("#a [").pop().unwrap();
    assert_eq!(seq(&line[3..]), heard.len() as u64 + 1);
}

const PASSWORD: &str = "correct-horse";

/// Somebody who owns this name from now on.
fn owner(server: &Server, name: &str) -> Client {
    let mut client = server.person(name);
    client.ask(&format!("/register {PASSWORD}"), &format!("+ register {name}"));
    client
}

/// The owner of a name, who has come again.
fn again(server: &Server, name: &str) -> Client {
    let mut client = server.person("somebody");
    client.send(&format!("/login {name} {PASSWORD}"));
    client.until(&format!("+ login {name}"));
    client
}

#[test]
fn check_tells_of_a_full_disk_what_a_start_would() {
    let Some(disk) = SmallDisk::mount("1m") else { return };
    fs::DirBuilder::new().mode(0o700).create(disk.path("data")).unwrap();
    let told = || {
        let output = disk.run(&["check", "--listen", "127.0.0.1:0", "--spool", "64K"]);
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stderr).unwrap()
    };
    assert_eq!(told(), "");
    disk.fill();
    let told = told();
    assert!(told.contains("cannot reserve IDs for files: no space is left on the disk of "), "{told}");
}

#[test]
fn ctl_tells_what_the_disk_does_not_keep() {
    let Some(disk) = SmallDisk::mount("1m") else { return };
    let server = disk.serve(MANY);
    let mut ann = server.person("ann");
    disk.fill();
    let block = || {
        let output = disk.run(&["ctl", "block", "203.0.113.0/24", "all", "1d"]);
        assert!(output.status.success() && output.stdout.starts_with(b"+ block "), "{output:?}");
        String::from_utf8(output.stderr).unwrap()
    };
    // Some go into what is left of a block; then the one is told of that is not kept, and whoever asks next.
    let told = (0..200).map(|_| block()).find(|told| !told.is_empty()).expect("a word");
    let want = "chinwag: rules and bans are not being kept: the server's disk is full; ";
    assert!(told.starts_with(want), "{told}");
    assert!(block().starts_with(want));
    ann.until_starting("* notice rules and bans are not being kept: ");
    disk.free();
    ann.until("* notice rules and bans are being kept again");
    assert_eq!(block(), "");
}

#[test]
fn a_server_starts_with_names_on_a_full_disk() {
    let Some(disk) = SmallDisk::mount("1m") else { return };
    let server = disk.serve(MANY);
    owner(&server, "alice");
    kill(server);
    disk.fill();
    let server = disk.serve(MANY);
    again(&server, "alice");
    disk.free();
    owner(&server, "carol");
    kill(server);
    let server = disk.serve(MANY);
    for name in ["alice", "carol"] {
        again(&server, name);
    }
}

#[test]
fn a_ledger_that_cannot_be_written_anew_goes_on_as_it_is() {
    let folder = Folder::new();
    let server = folder.serve(&[]);
    owner(&server, "alice");
    kill(server);
    let ledger = folder.path.join("ledger");
    fs::create_dir_all(folder.path.join("ledger.new/in it")).unwrap();
    // A crash has left half a line.
    let good = fs::read_to_string(&ledger).unwrap();
    fs::write(&ledger, format!("{good}drop al")).unwrap();
    let server = folder.serve(&[]);
    again(&server, "alice");
    owner(&server, "bob");
    kill(server);
    assert!(fs::read_to_string(&ledger).unwrap().starts_with(&good));
    let server = folder.serve(&[]);
    for name in ["alice", "bob"] {
        again(&server, name);
    }
}

#[test]
fn a_full_disk_lifts_no_rule_and_everybody_is_told() {
    const NOT_KEPT: &str = "* notice rules and bans are not being kept: the server's disk is full; ";
    let Some(disk) = SmallDisk::mount("1m") else { return };
    let server = disk.serve(MANY);
    let mut alice = owner(&server, "alice");
    alice.send("/join #r");
    alice.until_starting("+ join #r ");
    alice.send("secret1\n/set echo on");
    alice.until("+ set echo on");
    let mut bob = server.in_room("bob", "#r");
    disk.fill();
    // Some go into what is left of a block.
    let mut bans = 0;
    loop {
        bans += 1;
        alice.send(&format!("/ban evil{bans}* 1d"));
        let told = alice.until_starting("+ ban #r ");
        if told.iter().any(|line| line.starts_with(NOT_KEPT)) {
            break;
        }
        assert!(bans < 200, "nobody is told");
    }
    bob.until_starting(NOT_KEPT);
    server.connect_raw().until_starting(NOT_KEPT);
    alice.ask("/erase 1", "+ erase #r 1");
    alice.ask("/room hidden on", "+ room #r hidden on");
    alice.ask("/room hidden off", "+ room #r hidden off");
    alice.ask("/room key k", "+ room #r key k");
    let door = disk.path("data/ctl");
    let told = control(&door, "/block 203.0.113.0/24 all 1d\n");
    assert!(told.len() == 2 && told[0].starts_with(NOT_KEPT), "{told:?}");
    // Nothing gets ahead of what waits.
    bob.send(&format!("/register {PASSWORD}"));
    bob.until_starting("! register no-space ");
    disk.free();
    alice.until("* notice rules and bans are being kept again");
    kill(server);
    let server = disk.serve(MANY);
    let mut guest = server.person("guest");
    guest.send("/join #r");
    guest.until_starting("! join bad-key ");
    let mut alice = again(&server, "alice");
    alice.send("/join #r\n/bans");
    alice.until(&format!("+ bans #r {bans}"));
    assert!(history(&mut alice, "#r", 0).iter().all(|line| !line.contains("secret1")));
    assert!(control(&door, "/blocks\n").contains(&"+ blocks 1".to_owned()));
}

#[test]
fn a_failing_disk_stops_no_talk_and_costs_no_line() {
    // Either may fail: to write, or to have it reach the disk.
    for calls in [WRITES, "fsync,fdatasync,sync_file_range"] {
        let folder = Folder::new();
        let server = folder.serve(&["--history", "100000", "--sync", "0"]);
        let mut people = Company::meet(&server);
        people.say_some(10);
        let log = folder.log("a");
        let Some(meddler) = Meddler::attach(&server, calls, "error=EIO", &[&log]) else { return };
        let wrong = people.say_until_not_kept("is anybody there?");
        people.say_some(100);
        refused_for_space(&mut people.bob);
        people.say_some(100);
        assert!(!meddler.calls().is_empty(), "nothing has failed");
        drop(meddler);
        people.hear_that_it_is_kept(&wrong);
        people.hear_no_more();
        people.bob.ask("/send #a 10 x.txt", &format!("+ send {} 0", 1));
        kill(server);
        let server = folder.serve(MANY);
        assert_all_is_kept(&server, &folder.path, &people.heard);
    }
}

#[test]
fn a_ledger_that_cannot_be_synced_is_written_anew_and_everybody_is_told() {
    const NOT_KEPT: &str = "* notice rules and bans are not being kept: the server's disk fails; ";
    let folder = Folder::new();
    let server = folder.serve(MANY);
    let mut alice = owner(&server, "alice");
    alice.send("/join #r");
    alice.until_starting("+ join #r ");
    let mut bob = server.in_room("bob", "#r");
    let [ledger, new] = ["ledger", "ledger.new"].map(|name| folder.path.join(name));
    let before = fs::metadata(&ledger).unwrap().ino();
    let failing = Meddler::attach(&server, "fsync,fdatasync", "error=EIO", &[&ledger, &new]);
    let Some(failing) = failing else { return };
    alice.send("/ban evil1* 1d");
    alice.until_starting("+ ban #r 1 ");
    bob.until_starting(NOT_KEPT);
    alice.send("/ban evil2* 1d");
    alice.until_starting("+ ban #r 2 ");
    bob.send(&format!("/register {PASSWORD}"));
    bob.until_starting("! register no-space ");
    let tries = failing.calls().len();
    eventually("it is tried again", || failing.calls().len() > tries + 1);
    drop(failing);
    alice.until("* notice rules and bans are being kept again");
    assert_ne!(fs::metadata(&ledger).unwrap().ino(), before, "nobody knows what the disk has of it");
    bob.send(&format!("/register {PASSWORD}"));
    bob.until("+ register bob");
    kill(server);
    let server = folder.serve(MANY);
    let mut alice = again(&server, "alice");
    alice.send("/join #r\n/bans");
    alice.until("+ bans #r 2");
    again(&server, "bob");
}

#[test]
fn a_write_that_fails_now_and_then_costs_no_line() {
    let folder = Folder::new();
    let server = folder.serve(MANY);
    let mut people = Company::meet(&server);
    people.say_some(10);
    // Every third write fails by itself, as those do that a signal interrupts.
    let log = folder.log("a");
    for how in ["error=EINTR:when=1+3", "error=EAGAIN:when=1+3"] {
        let Some(meddler) = Meddler::attach(&server, WRITES, how, &[&log]) else { return };
        people.say_some(100);
        drop(meddler);
    }
    people.say_some(10);
    // What fails once may have been told of, and then it is kept again.
    if !notices(&people.told).is_empty() && notices(&people.told).last() != Some(&KEPT) {
        people.bob.until(KEPT);
    }
    kill(server);
    let server = folder.serve(MANY);
    assert_all_is_kept(&server, &folder.path, &people.heard);
}

#[test]
fn of_what_is_said_beyond_what_may_wait_for_the_log_the_newest_is_kept() {
    let folder = Folder::new();
    let server = folder.serve(&[]);
    let mut people = Company::meet(&server);
    people.say_some(10);
    let log = folder.log("a");
    let Some(meddler) = Meddler::attach(&server, WRITES, "error=EIO", &[&log]) else { return };
    let wrong = people.say_until_not_kept("is anybody there?");
    let long = "x".repeat(3900);
    (0..2500).for_each(|_| people.say(&long));
    drop(meddler);
    people.hear_that_it_is_kept(&wrong);
    people.say("the end");
    kill(server);
    // Each number has its line, and with a gap before it the newest are there.
    let logged = folder.logged("a");
    let bytes: usize = logged.iter().map(String::len).sum();
    assert!(bytes < 9 << 20, "{bytes} bytes were kept");
    assert!(logged.iter().all(|line| people.heard[seq(line) as usize - 1] == *line), "the log is not what was heard");
    assert!(people.heard.ends_with(&logged[logged.len() - 100..]), "the newest are not there");
}

#[test]
fn only_so_many_logs_and_files_are_kept_open() {
    let folder = Folder::new();
    let server = folder.serve(&[]);
    let mut people = [server.person("alice"), server.person("bob")];
    let descriptors = || fs::read_dir(format!("/proc/{}/fd", server.pid())).unwrap().count();
    let before = descriptors();
    for (who, client) in people.iter_mut().enumerate() {
        (0..50).for_each(|n| client.send(&format!("/join #r{who}-{n}\nhello")));
        client.settle();
    }
    // Those that are to be synced are open as well until they are.
    eventually("logs are closed", || descriptors() <= before + 32);
    let before = descriptors();
    for (who, client) in people.iter_mut().enumerate() {
        (0..20).for_each(|n| _ = share(client, &format!("#r{who}-0"), &noise(10, n), "x"));
    }
    // What is written beside a file is open for a moment, as is a folder that is synced.
    eventually("files are closed", || descriptors() <= before + 32);
}

#[test]
fn where_there_are_few_descriptors_logs_and_files_leave_some_to_people() {
    let folder = Folder::new();
    let mut command = Command::new("bash");
    command.args(["-c", "ulimit -n 64 && exec \"$0\" \"$@\"", binary()]).args(folder.arguments(&[]));
    let server = Server::start_with(&mut command);
    let mut alice = server.person("alice");
    for n in 0..40 {
        alice.send(&format!("/join #r{n}\nhello"));
        alice.until(&format!("+ join #r{n} 1"));
    }
    (0..20).for_each(|n| _ = share(&mut alice, "#r0", &noise(10, n), "x"));
    // The server says that it takes 32, and each of them is let in and can say and share something.
    let mut people: Vec<Client> = (0..30).map(|n| server.in_room(&format!("p{n}"), "#r0")).collect();
    for (n, client) in people.iter_mut().enumerate() {
        client.send(&format!("/join #p{n}\nhello"));
        let told = client.settle();
        assert!(told.iter().all(|line| !line.starts_with(NOT_KEPT)), "{told:?}");
        share(client, "#r0", &noise(10, n as u64), "x");
    }
    kill(server);
    for n in 0..30 {
        assert_eq!(folder.logged(&format!("p{n}")).len(), 1, "#p{n}");
    }
}

#[test]
fn descriptors_that_run_out_end_neither_talk_nor_its_log() {
    // However many come, some are left to what is written. Whoever comes then waits until others have gone.
    for (limit, options) in [(400, &[][..]), (130, &["--sync", "0s"]), (64, &["--max-clients", "1000"])] {
        let folder = Folder::new();
        let mut command = Command::new("bash");
        command.args(["-c", &format!("ulimit -n {limit} && exec \"$0\" \"$@\""), binary()]);
        let server = Server::start_with(command.args(folder.arguments(options)));
        let mut people = Company::meet(&server);
        people.say_some(10);
        let mut crowd: Vec<Client> = (0..limit).map(|_| server.connect_raw()).collect();
        people.say_some(100);
        // Rooms that have no log yet, and a file, need descriptors.
        for n in 0..10 {
            people.carol.send(&format!("/join #new{n}\n/topic new\nhello\n/send #new{n} 2 x.txt\n=aGk="));
        }
        let mut told = people.carol.settle();
        assert!(told.iter().all(|line| !line.starts_with("! ")), "{told:?}");
        people.say_some(100);
        // They come back.
        let mut last = crowd.pop().unwrap();
        crowd.clear();
        if limit == 64 {
            last.starting("* hello ");
        }
        people.say_some(10);
        told.append(&mut people.carol.settle());
        // Nobody is told that a disk is full or fails which does not; it may be slow.
        assert!(told.iter().all(|line| !line.contains("disk is full") && !line.contains("disk fails")), "{told:?}");
        if notices(&told).last().is_some_and(|last| *last != KEPT) {
            people.carol.until(KEPT);
        }
        (0..10).for_each(|n| people.carol.send(&format!("/msg #new{n} and on")));
        people.carol.settle();
        kill(server);
        for n in 0..10 {
            assert_eq!(folder.logged(&format!("new{n}")).len(), 2, "#new{n}");
        }
        let server = folder.serve(MANY);
        assert_all_is_kept(&server, &folder.path, &people.heard);
    }
}

#[test]
fn a_clock_that_goes_ahead_for_a_moment_ends_no_name() {
    let Some(preload) = faketime() else { return };
    let folder = Folder::new();
    let clock = folder.path.with_file_name("clock");
    let serve = || {
        let mut command = Command::new(binary());
        command.args(folder.arguments(&[])).env("LD_PRELOAD", &preload).env("FAKETIME_TIMESTAMP_FILE", &clock);
        command.env("FAKETIME_NO_CACHE", "1").env("FAKETIME_DONT_FAKE_MONOTONIC", "1").env("FAKETIME_DISABLE_SHM", "1");
        Server::start_with(&mut command)
    };
    let ledger = || fs::read_to_string(folder.path.join("ledger")).unwrap();
    fs::write(&clock, "+0").unwrap();
    let server = serve();
    drop(owner(&server, "ann"));
    let mut carl = owner(&server, "carl");
    carl.ask("/drop correct-horse", "+ drop guest1");
    let mut tom = owner(&server, "tom");
    // So many days without its owner end a name.
    fs::write(&clock, "+400d").unwrap();
    for (name, standing) in [("ann", "owned"), ("carl", "held"), ("tom", "owned")] {
        tom.send(&format!("/account {name}"));
        tom.until(&format!("+ account {name} {standing}"));
    }
    fs::write(&clock, "+0").unwrap();
    drop(tom);
    let log = stop(server).1;
    assert_eq!(
        log.matches("the clock went ahead by some 400 days that this server has not seen pass").count(),
        1,
        "{log}"
    );
    assert!(!log.contains("nobody's name any more") && !ledger().contains("drop ann"), "{log}");
    let server = serve();
    drop(again(&server, "ann"));
    kill(server);
    // It is so much later indeed; and tom was here in between, if one believes the clock.
    fs::write(&clock, "+500d").unwrap();
    let log = stop(serve()).1;
    assert_eq!(log.matches("ann is nobody's name any more: its owner was not here for too long").count(), 1, "{log}");
    assert!(!log.contains("tom is nobody's") && ledger().contains("drop ann "), "{log}");
}

#[test]
fn a_clock_that_goes_back_an_hour_loses_nothing() {
    let Some(preload) = faketime() else { return };
    let folder = Folder::new();
    let clock = folder.path.with_file_name("clock");
    let serve = || {
        let mut command = Command::new(binary());
        command.args(folder.arguments(&["--file-ttl", "30m", "--history", "1000"]));
        command.env("LD_PRELOAD", &preload).env("FAKETIME_TIMESTAMP_FILE", &clock).env("FAKETIME_NO_CACHE", "1");
        Server::start_with(command.env("FAKETIME_DONT_FAKE_MONOTONIC", "1").env("FAKETIME_DISABLE_SHM", "1"))
    };
    fs::write(&clock, "+0").unwrap();
    let server = serve();
    let mut people = Company::meet(&server);
    people.say_some(5);
    let mut files = vec![share(&mut people.alice, "#a", b"before", "x")];
    fs::write(&clock, "-3600").unwrap();
    people.say_some(5);
    let hour = |line: &str| line.split_once('T').unwrap().1[..5].to_owned();
    assert_ne!(hour(&people.heard[0]), hour(&people.heard[9]), "the clock does not go back");
    files.push(share(&mut people.alice, "#a", b"after", "y"));
    let heard = people.heard.clone();
    drop(people);
    kill(server);
    // The files are from an hour ahead now, or from now.
    let server = serve();
    let mut people = Company::meet(&server);
    assert!(history(&mut people.alice, "#a", 0) == heard);
    assert_eq!(
        [fetch(&mut people.alice, files[0]), fetch(&mut people.alice, files[1])],
        [b"before".to_vec(), b"after".to_vec()]
    );
    people.alice.send("/files");
    let listed = people.alice.until_starting("+ files 2");
    for line in listed.iter().filter(|line| line.starts_with("- ")) {
        let age: u64 = line.split(' ').nth(5).unwrap().trim_end_matches('s').parse().unwrap();
        assert!(age < 1800, "{line}");
    }
    people.say_some(5);
    assert_numbered(&people.heard, heard.len() as u64 + 1);
    // It goes right again while the server runs: nothing has become older by that.
    fs::write(&clock, "+0").unwrap();
    people.say_some(5);
    people.alice.send("/files");
    people.alice.until("+ files 2");
    assert_numbered(&people.heard, heard.len() as u64 + 1);
    let all = [heard, people.heard.clone()].concat();
    drop(people);
    kill(server);
    // A day later they have expired; the lines have not.
    fs::write(&clock, "+86400").unwrap();
    let server = serve();
    let mut alice = server.in_room("alice", "#a");
    alice.ask("/files", "+ files 0");
    assert!(history(&mut alice, "#a", 0) == all);
}

#[test]
fn check_says_that_there_is_no_room_for_a_certificate() {
    let Some(disk) = SmallDisk::mount("1m") else { return };
    let mut server = disk.serve(&[]);
    server.signal("TERM");
    server.wait();
    disk.fill();
    for mode in ["check", "serve"] {
        let output = disk.run(&[mode, "--tls", "127.0.0.1:0"]);
        let told = String::from_utf8(output.stderr).unwrap();
        let want = "/data/tls: No space left on device; make room on its disk (df -h, and df -i)\n";
        assert!(output.status.code() == Some(1) && told.ends_with(want), "{mode}: {told}");
    }
}
