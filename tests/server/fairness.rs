//! Nobody holds anybody up: floods, slow consumers, limits.

use std::io::Write;
use std::process::Command;
use std::time::{Duration, Instant};

use chinwag::limits::FIRST_LINE;
use testkit::{Client, Server, binary, eventually};

#[test]
fn a_flood_is_slowed_and_nothing_of_it_is_lost() {
    let server = Server::start(&[]);
    let mut alice = server.in_room("alice", "#a");
    let mut bob = server.in_room("bob", "#a");
    alice.expect("#a * bob joined");
    let since = Instant::now();
    let page: String = (0..120).map(|n| format!("line {n}\n")).collect();
    bob.send_bytes(page.as_bytes());
    for n in 0..120 {
        alice.expect(&format!("#a <bob> line {n}"));
    }
    // Sixty come at once and twenty a second after that, so that this takes three seconds and cannot take less than two.
    assert!(since.elapsed() > Duration::from_secs(2), "{:?}", since.elapsed());
}

#[test]
fn without_a_rate_there_is_no_limit() {
    let server = Server::start(&["--rate", "0"]);
    let mut alice = server.in_room("alice", "#a");
    for n in 0..30 {
        alice.ask(&format!("/nick alice{n}"), &format!("+ nick alice{n}"));
    }
    for _ in 0..100 {
        alice.ask("/leave", "+ leave #a");
        alice.send("/join #a");
        alice.until("+ join #a 1");
    }
}

#[test]
fn renames_joins_and_rooms_have_limits() {
    let server = Server::start(&["--rate", "1000"]);
    let mut alice = server.connect();
    alice.send("/set presence off");
    alice.until("+ set presence off");
    for n in 0..10 {
        alice.ask(&format!("/nick a{n}"), &format!("+ nick a{n}"));
    }
    alice.send("/nick one-more");
    alice.starting("! nick too-many ");
    let mut bob = server.person("bob");
    for n in 30..50 {
        bob.send(&format!("/join #r{n}"));
        bob.until(&format!("+ join #r{n} 1"));
    }
    for n in 0..30 {
        alice.send(&format!("/join #r{n}"));
        alice.until(&format!("+ join #r{n} 1"));
    }
    alice.send("/join #new");
    alice.starting("! join too-many at most 30 new rooms a minute, ");
    for n in 30..50 {
        alice.send(&format!("/join #r{n}"));
        alice.until(&format!("+ join #r{n} 2"));
    }
    alice.send("/join #one-more");
    alice.starting("! join too-many you may be in 50 rooms");
    for n in 0..9 {
        alice.ask(&format!("/leave #r{n}"), &format!("+ leave #r{n}"));
    }
    alice.send("/leave #r20");
    alice.starting("! leave too-many at most 60 joins and leaves a minute");
}

#[test]
fn who_does_not_read_answers_is_not_read_from() {
    let server = Server::start(&["--rate", "0"]);
    let mut greedy = server.person("greedy");
    let before = server.usage().unwrap().resident;
    // Far more is asked than anybody could hold; the writing blocks when the server has stopped to read.
    greedy.stream.set_write_timeout(Some(Duration::from_secs(1))).unwrap();
    let questions = "/help\n".repeat(5_000_000);
    let written = greedy.stream.write_all(questions.as_bytes());
    assert!(written.is_err(), "the server read on");
    assert!(server.usage().unwrap().resident < before + 2048, "{before} {}", server.usage().unwrap().resident);
    // Others do not notice.
    let mut other = server.person("other");
    other.ask("/ping", "+ ping");
    // Nothing is lost: when the reader goes on, so do the answers.
    for _ in 0..1000 {
        greedy.until("+ help");
    }
}

#[test]
fn who_does_not_read_answers_to_telnet_options_is_not_read_from() {
    let server = Server::start(&[]);
    let mut greedy = server.connect();
    let before = server.usage().unwrap().resident;
    greedy.stream.set_write_timeout(Some(Duration::from_secs(1))).unwrap();
    let written = greedy.stream.write_all(&b"\xff\xfb\x01".repeat(10_000_000));
    assert!(written.is_err(), "the server read on");
    assert!(server.usage().unwrap().resident < before + 2048, "{before} {}", server.usage().unwrap().resident);
}

#[test]
fn a_line_without_an_end_counts_as_lines() {
    let server = Server::start(&[]);
    let before = server.usage().unwrap().resident;
    // A chunk of an open upload is no such line, but text is all the same.
    for begin in ["", "=", "/join #a\n/send #a 100000 x\n"] {
        let mut endless = server.connect();
        endless.stream.set_write_timeout(Some(Duration::from_secs(1))).unwrap();
        endless.send_bytes(begin.as_bytes());
        let written = endless.stream.write_all(&vec![b'x'; 100_000_000]);
        assert!(written.is_err(), "the server read on");
    }
    assert!(server.usage().unwrap().resident < before + 2048, "{before} {}", server.usage().unwrap().resident);
    // Who has a rate of their own is not held up.
    let mut other = server.person("other");
    other.ask("/ping", "+ ping");
}

#[test]
fn chunks_count_as_parts_of_lines() {
    let server = Server::start(&["--rate", "1"]);
    for (nick, chunk) in [("one", "=\n"), ("two", "=AAAA\n")] {
        let mut busy = server.in_room(nick, "#a");
        busy.send("/send #a 100000000 x");
        busy.until_starting("+ send ");
        busy.stream.set_write_timeout(Some(Duration::from_millis(500))).unwrap();
        // More than the system keeps for the two of them.
        let written = busy.stream.write_all(&chunk.as_bytes().repeat(16 * 1024 * 1024 / chunk.len()));
        assert!(written.is_err(), "the server read on: {chunk}");
    }
    // Large ones are not held up.
    let mut other = server.in_room("other", "#a");
    let chunk = format!("={}\n", "A".repeat(65_536));
    other.send_bytes(format!("/send #a {} x\n{}", 200 * 49_152, chunk.repeat(200)).as_bytes());
    other.until_starting("+ send ");
    other.until_starting("=");
    // Nor is who sends them for an upload that was refused, and what they say then.
    let mut refused = server.in_room("refused", "#a");
    refused.send_bytes(format!("/send #a 0 /\n{}/ping after\n", "=AAAA\n".repeat(200)).as_bytes());
    refused.starting("! send ");
    refused.expect("+ ping after");
}

#[test]
fn what_is_no_part_of_a_line_counts_too() {
    let server = Server::start(&["--rate", "1"]);
    for nothing in [&b"\0"[..], b"a\x08", b"\xff\xf1"] {
        let mut busy = server.connect();
        busy.stream.set_write_timeout(Some(Duration::from_millis(500))).unwrap();
        // More than the system keeps for the two of them.
        let written = busy.stream.write_all(&nothing.repeat(16 * 1024 * 1024 / nothing.len()));
        assert!(written.is_err(), "the server read on: {}", nothing.escape_ascii());
    }
    let mut other = server.person("other");
    other.ask("/ping", "+ ping");
}

#[test]
fn a_server_that_is_nearly_full_closes_first_who_has_never_said_a_word() {
    let server = Server::start(&["--max-clients", "3"]);
    let mut first = server.connect();
    let mut speaker = server.in_room("speaker", "#a");
    let mut second = server.connect();
    // Nobody has had the time for a line yet.
    server.connect_raw().starting("* bye full ");
    let come = || loop {
        let mut newcomer = server.connect_raw();
        if newcomer.line().is_some_and(|line| line.starts_with("* hello ")) {
            newcomer.ask("/ping", "+ ping");
            break newcomer;
        }
        // Nothing tells when the silent have had their time.
        std::thread::sleep(Duration::from_millis(50));
    };
    let third = come();
    assert!(first.rest().last().unwrap().starts_with("* bye full the server is full, and you have not said a word"));
    speaker.ask("/ping", "+ ping");
    let fourth = come();
    assert!(second.rest().last().unwrap().starts_with("* bye full "));
    // Now all have spoken.
    server.connect_raw().starting("* bye full ");
    speaker.ask("/ping", "+ ping");
    drop((third, fourth));
}

#[test]
fn a_server_makes_place_before_it_is_full() {
    let server = Server::start(&["--max-clients", "32"]);
    let silent = || {
        let mut client = server.connect_raw();
        client.starting("* hello ");
        client
    };
    let mut crowd: Vec<Client> = (0..29).map(|_| silent()).collect();
    // Sleep: that they have had their time for a line is what is tested.
    std::thread::sleep(FIRST_LINE + Duration::from_millis(500));
    // Thirty of thirty-two is fifteen of sixteen: nobody goes for the thirtieth, and one for the next.
    let mut newcomers = [silent(), silent()];
    assert!(crowd[0].rest().last().unwrap().starts_with("* bye full the server is full, and you have not said a word"));
    for client in crowd[1..].iter_mut().chain(&mut newcomers) {
        client.send("/ping");
        client.until("+ ping");
    }
}

/// Talks until the server leaves lines out for `slow`, which somebody in private is told.
fn flood_until_slow(talker: &mut Client, room: &str, slow: &str) -> u64 {
    let line = format!("/msg {room} {}", "x".repeat(3900));
    let mut said = 0;
    loop {
        for _ in 0..200 {
            talker.ask(&line, &format!("+ msg {room}"));
            said += 1;
        }
        talker.send(&format!("/msg {slow} are you there?"));
        let reply = talker.line().unwrap();
        if reply.starts_with("! msg busy ") {
            return said;
        }
        assert_eq!(reply, format!("+ msg {slow}"));
        assert!(said < 100_000, "everything is read");
    }
}

#[test]
fn a_slow_reader_holds_nobody_up_and_is_told_what_it_missed() {
    let server = Server::start(&["--rate", "0", "--history", "100000"]);
    let mut slow = server.in_room("slow", "#a");
    let mut quick = server.in_room("quick", "#a");
    let mut talker = server.in_room("talker", "#a");
    slow.until("#a * talker joined");
    quick.until("#a * talker joined");
    slow.ask("/set stamp on", "+ set stamp on");
    slow.send("/set presence on");
    slow.until("+ set presence on");
    let reading = std::thread::spawn(move || {
        let mut heard = 0;
        while let Some(line) = quick.line().filter(|line| line != "#a <talker> enough") {
            heard += u64::from(line.starts_with("#a <talker> xxx"));
        }
        (heard, quick)
    });
    let said = flood_until_slow(&mut talker, "#a", "slow");
    talker.send("/send slow 5 x.txt");
    talker.starting("! send busy ");
    talker.send("/typing slow");
    talker.starting("! typing busy ");
    talker.ask("/msg #a enough", "+ msg #a");
    let (heard, _quick) = reading.join().unwrap();
    assert_eq!(heard, said, "somebody quick missed a line");
    // Presence is left out too, and that it was can be seen by the version of the line that comes in the end.
    let mut watcher = server.connect();
    let last = watcher.until_starting("* presence ").pop().unwrap();
    // What was queued comes whole and in order, then what was missed is told.
    let mut seq = 0;
    let missed = loop {
        let line = slow.line().unwrap();
        if line.contains("* slow missed ") {
            break line;
        }
        if line.starts_with("#a [") {
            seq += 1;
            assert!(line.starts_with(&format!("#a [{seq}@")), "{line:.60} after {seq}");
        }
    };
    let words: Vec<&str> = missed.split(' ').collect();
    assert_eq!(slow.line(), Some(last));
    assert_eq!(words[4..], ["missed", &(said + 1 - seq).to_string(), "after", &seq.to_string()], "{missed}");
    // And the history has it.
    slow.send(&format!("/history #a after {seq}"));
    let lines = slow.until_starting("+ history #a ");
    assert!(lines[0].starts_with(&format!("- [{}@", seq + 1)), "{:.60}", lines[0]);
    // Whoever has caught up is told of everything again.
    talker.ask("/msg #a again", "+ msg #a");
    assert!(slow.until_starting("#a [").last().unwrap().ends_with("<talker> again"));
    talker.ask("/msg slow psst", "+ msg slow");
}

#[test]
fn only_who_takes_nothing_at_all_is_closed() {
    let server = Server::start(&["--rate", "0", "--stall", "3s"]);
    let mut slow = server.in_room("slow", "#a");
    let mut talker = server.in_room("talker", "#a");
    flood_until_slow(&mut talker, "#a", "slow");
    // Taking a little now and then is enough, however much waits. The system lets it see that only once in a while.
    let mut heard = Vec::new();
    for _ in 0..50 {
        std::io::Read::read_exact(slow.reader(), &mut [0; 16_384]).unwrap();
        std::thread::sleep(Duration::from_millis(100));
        heard.append(&mut talker.settle());
    }
    assert!(!heard.iter().any(|line| line.contains(" lost ")), "{heard:?}");
    flood_until_slow(&mut talker, "#a", "slow");
    assert_eq!(talker.until_starting("#a * slow "), ["#a * slow lost too-slow"]);
    // What the system had taken already can still be read, and then it is over.
    let mut last = Vec::new();
    loop {
        match std::io::Read::read(slow.reader(), &mut [0; 65_536]) {
            Ok(0) => break,
            Ok(n) => last.push(n),
            Err(e) => panic!("{e}"),
        }
    }
    assert!(!last.is_empty());
}

#[test]
fn accepting_goes_on_when_descriptors_come_back() {
    let command = format!("ulimit -n 64 && exec {} serve --listen 127.0.0.1:0 --max-clients 1000", binary());
    let mut server = Server::start_with(Command::new("bash").args(["-c", &command]));
    let mut clients: Vec<Client> = Vec::new();
    // They connect to the system's queue all the same, and are not greeted until somebody goes.
    for _ in 0..90 {
        clients.push(server.connect_raw());
    }
    clients[0].starting("* hello ");
    let mut last = clients.pop().unwrap();
    let mut used = 0;
    eventually("descriptors run out", || {
        let fds = std::fs::read_dir(format!("/proc/{}/fd", server.pid())).unwrap().count();
        used = used.max(fds);
        // A sixteenth of them is left to what is written.
        fds >= 60
    });
    clients.clear();
    // Whoever is accepted before it is heard that the others have gone is told that there is no place.
    while last.line().is_none_or(|line| !line.starts_with("* hello ")) {
        last = server.connect_raw();
    }
    last.settle();
    server.signal("TERM");
    last.until_starting("* bye shutdown ");
    drop(last);
    let (status, log) = server.wait();
    assert_eq!(status.code(), Some(0));
    assert!(log.contains("cannot accept: too many open files; raise the limit with ulimit -n, or LimitNOFILE= in a unit of systemd; trying on"), "{log}");
    // Somebody goes and somebody comes all the time.
    assert_eq!(log.matches("cannot accept").count(), 1, "{log}");
}

#[test]
fn presence_of_a_storm_is_gathered() {
    let server = Server::start(&[]);
    let mut witness = server.connect();
    witness.send("/who");
    let who = witness.until_starting("+ who ").pop().unwrap();
    let mut version: u64 = who.split(' ').nth(2).unwrap().parse().unwrap();
    let crowd: Vec<Client> = (0..300).map(|_| server.connect_raw()).collect();
    let mut online = 1;
    let mut lines = 0;
    while online < 301 {
        let line = witness.starting("* presence ");
        let words: Vec<&str> = line.split(' ').collect();
        version += 1;
        lines += 1;
        assert_eq!(words[2], version.to_string(), "{line}");
        assert!(words[3..].len() <= 100 && words[3..].iter().all(|name| name.starts_with("+guest")), "{line}");
        online += words[3..].iter().filter(|name| **name != "+guest1").count();
    }
    assert!(lines <= 60, "{lines} lines for 300 people");
    drop(crowd);
    witness.settle();
}
