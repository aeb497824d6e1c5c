//! Order in rooms over TCP: who is put out in the midst of something, and what a server knows of rooms when it comes back.

use std::fs;
use std::path::Path;
use std::time::SystemTime;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use chinwag::time::Day;
use testkit::{Client, Server, noise};

/// Takes lines up to one that begins so, and gives the last.
fn last(client: &mut Client, want: &str) -> String {
    client.until_starting(want).pop().unwrap()
}

#[test]
fn what_flood_control_holds_of_the_kicked_is_refused_at_once_and_in_order() {
    // At one line a second the rest would take minutes.
    let server = Server::start(&["--rate", "1"]);
    let mut alice = server.connect();
    let mut bob = server.connect();
    for client in [&mut alice, &mut bob] {
        client.send("/set presence off");
        client.until("+ set presence off");
        client.send("/join #club");
        client.until_starting("+ join ");
    }
    let mut lines = String::new();
    for n in 0..100 {
        lines += &format!("/msg #club spam {n}\nspam {n}\n/join #club\n/me spams {n}\n/send #club 5 x{n}\n");
    }
    bob.send_bytes(lines.as_bytes());
    alice.until_starting("#club <guest2> ");
    alice.send("/kick guest2 enough");
    let heard = alice.until("+ kick #club guest2");
    bob.until("#club * guest1 kicked guest2 enough");
    // What is left of it has one reply each, of its own.
    let mut expected = Vec::new();
    let first = bob.line().unwrap();
    let words = ["! msg not-in-room ", "! say no-room ", "! join not-in-room ", "! me no-room ", "! send not-in-room "];
    let at = words.iter().position(|words| first.starts_with(words)).unwrap_or_else(|| panic!("{first}"));
    (1..5 * 90).for_each(|n| expected.push(words[(at + n) % 5]));
    for want in expected {
        let line = bob.line().unwrap();
        assert!(line.starts_with(want), "{line} is not {want}");
    }
    // Nobody heard any of it.
    alice.send("/ping");
    let later = alice.until("+ ping");
    assert!(!later.iter().any(|line| line.contains("spam")), "{later:?} after {heard:?}");
    assert!(!later.iter().any(|line| line.contains("joined")), "{later:?}");
}

#[test]
fn what_the_kicked_type_later_is_carried_out_and_what_is_for_others_too() {
    let server = Server::start(&[]);
    let mut alice = server.in_room("alice", "#club");
    let mut bob = server.in_room("bob", "#club");
    bob.send("/join #other");
    bob.until_starting("+ join ");
    let mut carol = server.person("carol");
    // Behind the burst, what follows waits for half a minute.
    bob.send_bytes("/ping\n".repeat(400).as_bytes());
    bob.send_bytes(b"/join #club\nsaid behind it\n/msg carol hello\n/query #other\nsaid there\n");
    bob.until("+ ping");
    alice.send("/kick bob");
    alice.until("+ kick #club bob");
    bob.send("/join #club");
    let replies = bob.until_starting("+ join #club ");
    let replies: Vec<&String> = replies.iter().filter(|line| *line != "+ ping").collect();
    let starts = [
        "#club * alice kicked bob",
        "! join not-in-room you were put out of #club before that came; /join #club once more",
        "! say no-room ",
        "+ msg carol",
        "+ query #other",
        "- here ",
        "+ join #club 2",
    ];
    assert_eq!(replies.len(), starts.len(), "{replies:?}");
    for (reply, start) in replies.iter().zip(starts) {
        assert!(reply.starts_with(start), "{reply} is not {start}");
    }
    carol.until("@bob <bob> hello");
    alice.until("#club * bob joined");
    bob.send("/history #other");
    assert!(bob.line().unwrap().ends_with(" <bob> said there"));
}

#[test]
fn no_byte_of_a_file_follows_the_line_that_puts_its_reader_out() {
    let server = Server::start(&[]);
    let mut alice = server.in_room("alice", "#club");
    let mut bob = server.in_room("bob", "#club");
    let bytes = noise(30_000_000, 1);
    alice.send(&format!("/send #club {} big", bytes.len()));
    let id = last(&mut alice, "+ send ").split(' ').nth(2).unwrap().to_owned();
    let chunks: String = bytes.chunks(40_000).map(|chunk| format!("={}\n", BASE64.encode(chunk))).collect();
    alice.send_bytes(chunks.as_bytes());
    last(&mut alice, &format!("={id} . "));
    bob.send(&format!("/get {id}"));
    last(&mut bob, &format!("={id} "));
    // One of bob's own is on its way too.
    bob.send("/send #club 1000 mine");
    let own = last(&mut bob, "+ send ").split(' ').nth(2).unwrap().to_owned();
    alice.send("/kick bob");
    alice.until("+ kick #club bob");
    let before = bob.until("#club * alice kicked bob");
    let of = |id: &str| before.iter().filter(|line| line.starts_with(&format!("={id} !"))).cloned().collect::<Vec<_>>();
    assert_eq!(of(&id), [format!("={id} ! gone you were put out of its room")]);
    assert_eq!(of(&own), [format!("={own} ! gone you were put out of its room")]);
    bob.send("/ping");
    assert_eq!(bob.until("+ ping"), [""; 0]);
    // It cannot be taken up again.
    bob.send("/join #club");
    last(&mut bob, "+ join ");
    bob.ask(&format!("/get {own}"), "! get no-such-file there is no such file for you: it may be of a room that you are not in, or its time may be over (24 hours here); /files lists those there are");
    bob.send("/files #club");
    assert_eq!(last(&mut bob, "+ files "), "+ files 1");
}

#[test]
fn what_a_founder_has_set_up_is_there_when_the_server_comes_back() {
    let dir = tempfile::tempdir().unwrap();
    let options = ["--data", dir.path().to_str().unwrap(), "--rate", "0"];
    let mut server = Server::start(&options);
    let mut alice = server.person("alice");
    alice.ask("/register correct-horse", "+ register alice");
    alice.send("/join #club");
    alice.until("+ join #club 1");
    alice.ask("/room key sesame", "+ room #club key sesame");
    alice.ask("/room moderated on", "+ room #club moderated on");
    alice.ask("/ban spam* 0 no ads", "+ ban #club 1 pattern:spam*");
    for line in ["one", "two"] {
        alice.send(line);
    }
    alice.ask("/erase 1", "+ erase #club 1");
    let mut bob = server.person("bob");
    bob.send("/join #secret");
    bob.until("+ join #secret 1");
    bob.send("between us");
    bob.send("/room hidden on");
    bob.starting("* notice a guest made #secret, ");
    bob.expect("+ room #secret hidden on");
    server.signal("TERM");
    assert!(server.wait().0.success());
    let server = Server::start(&options);
    let mut carol = server.person("carol");
    assert!(first_after(&mut carol, "/join #club").starts_with("! join bad-key "));
    carol.send("/join #club sesame");
    assert_eq!(carol.until("+ join #club 1"), ["- here carol", "- rules key moderated"]);
    assert!(first_after(&mut carol, "hello").starts_with("! say muted "));
    carol.send("/op");
    assert_eq!(carol.until("+ op #club 1"), ["- founder alice"]);
    carol.send("/history");
    let history = carol.until("+ history #club 1");
    assert!(history[0].starts_with("- [2@") && history[0].ends_with("> two"), "{history:?}");
    carol.send("/leave");
    carol.until("+ leave #club");
    assert!(first_after(&mut carol, "/nick spammer").starts_with("+ nick "));
    assert!(first_after(&mut carol, "/join #club sesame").starts_with("! join banned "));
    // The guest's room kept something to itself, and is another one now.
    carol.send("/join #secret");
    assert_eq!(carol.until("+ join #secret 1"), ["- here spammer"]);
    carol.send("/history");
    assert_eq!(carol.until("+ history #secret 0"), [""; 0]);
    carol.send("/op");
    assert_eq!(carol.until("+ op #secret 1"), ["- op spammer"]);
    let mut alice = server.person("ally");
    alice.ask("/login alice correct-horse", "+ login alice");
    alice.ask("/room #club key off", "+ room #club key off");
    alice.send("/bans #club");
    assert_eq!(alice.until("+ bans #club 1"), ["- 1 ban pattern:spam* alice - no ads"]);
    // A name that is given up has no rank any more.
    alice.ask("/drop correct-horse", "+ drop guest1");
    assert!(first_after(&mut alice, "/room #club moderated off").starts_with("! room not-in-room "));
}

/// Panics unless the ledger has these lines, or lines that begin so.
fn has_entered(dir: &Path, lines: &[&str]) {
    let text = fs::read_to_string(dir.join("ledger")).unwrap();
    let missing: Vec<_> = lines.iter().filter(|want| !text.lines().any(|line| line.starts_with(**want))).collect();
    assert!(missing.is_empty(), "{missing:?} of {text}");
}

#[test]
fn rules_bans_and_mutes_outlive_a_server_that_is_killed() {
    let dir = tempfile::tempdir().unwrap();
    let options = ["--data", dir.path().to_str().unwrap(), "--rate", "0"];
    let server = Server::start(&options);
    let mut owners = ["alice", "bob", "carol"].map(|nick| {
        let mut client = server.person(nick);
        client.ask("/register correct-horse", &format!("+ register {nick}"));
        client
    });
    let alice = &mut owners[0];
    alice.send("/join #club");
    alice.until("+ join #club 1");
    for (line, reply) in [
        ("/room guests listen", "+ room #club guests listen"),
        ("/ban spam* no ads", "+ ban #club 1 pattern:spam*"),
        ("/ban bob", "+ ban #club 2 name:bob"),
        ("/mute carol", "+ mute #club 3 name:carol"),
        ("/ban eve*", "+ ban #club 4 pattern:eve*"),
        ("/unban 4", "+ unban #club 4"),
    ] {
        alice.ask(line, reply);
    }
    // Nobody tells it to end, right behind the last reply.
    drop(server);
    has_entered(dir.path(), &["rule #club guests listen", "ban #club 3 mute name:carol", "unban #club 4"]);
    let server = Server::start(&options);
    let login = |nick: &str| {
        let mut client = server.person(&format!("not-{nick}"));
        client.ask(&format!("/login {nick} correct-horse"), &format!("+ login {nick}"));
        client
    };
    let (mut bob, mut carol) = (login("bob"), login("carol"));
    assert!(first_after(&mut bob, "/join #club").starts_with("! join banned "));
    assert!(first_after(&mut server.person("spammer"), "/join #club").starts_with("! join banned "));
    carol.send("/join #club");
    assert_eq!(carol.until("+ join #club 1"), ["- here carol", "- rules guests"]);
    assert!(first_after(&mut carol, "hello").starts_with("! say muted "));
    let mut eve = server.in_room("evening", "#club");
    assert!(first_after(&mut eve, "hello").starts_with("! say muted "));
    let mut alice = login("alice");
    alice.ask("/unban #club 2", "+ unban #club 2");
    bob.send("/join #club");
    bob.until_starting("+ join #club ");
}

#[test]
fn nothing_in_rooms_is_left_to_whoever_owns_a_name_next() {
    let dir = tempfile::tempdir().unwrap();
    let options = ["--data", dir.path().to_str().unwrap(), "--rate", "0"];
    let server = Server::start(&options);
    let mut bob = server.person("bob");
    bob.ask("/register correct-horse", "+ register bob");
    let mut alice = server.person("alice");
    alice.ask("/register correct-horse", "+ register alice");
    alice.send("/join #club");
    alice.until("+ join #club 1");
    for room in ["#den", "#pit"] {
        bob.send(&format!("/join {room}"));
        bob.until(&format!("+ join {room} 1"));
    }
    bob.ask("/op #den alice", "+ op #den alice");
    bob.ask("/room #den invite-only on", "+ room #den invite-only on");
    bob.ask("/invite #den alice", "+ invite #den alice");
    bob.ask("/ban #pit alice", "+ ban #pit 1 name:alice");
    alice.send("/drop correct-horse");
    alice.until("+ drop guest1");
    // It is killed right behind the reply.
    drop(server);
    let path = dir.path().join("ledger");
    let text = fs::read_to_string(&path).unwrap();
    let today = Day::of(SystemTime::now()).to_string();
    let dropped = format!("drop alice {today}\n");
    assert!(text.contains("role #den alice op\n") && text.contains(&dropped), "{text}");
    // Who was banned by that name is that as a guest as long as they are here.
    assert!(text.ends_with(" bob\n") && text.contains("ban #pit 1 ban guest:guest1 - "), "{text}");
    // For as long as the name is held nobody can have it. Here that is over.
    fs::write(&path, text.replace(&dropped, "drop alice 2020-01-01\n")).unwrap();
    let server = Server::start(&options);
    let mut other = server.person("alice");
    other.ask("/register battery-staple", "+ register alice");
    other.send("/account");
    let rows = other.until("+ account alice owned");
    assert!(!rows.iter().any(|row| row.starts_with("- founder ")), "{rows:?}");
    assert!(first_after(&mut other, "/room #club moderated on").starts_with("! room no-such-room "));
    other.send("/join #club");
    other.until("+ join #club 1");
    other.ask("/op", "+ op #club 0");
    assert!(first_after(&mut other, "/join #den").starts_with("! join invite-only "));
    other.send("/join #pit");
    other.until("+ join #pit 1");
}

#[test]
fn a_hidden_room_is_hidden_when_the_server_comes_back() {
    let dir = tempfile::tempdir().unwrap();
    let options = ["--data", dir.path().to_str().unwrap(), "--rate", "0"];
    let server = Server::start(&options);
    let mut alice = server.person("alice");
    alice.ask("/register correct-horse", "+ register alice");
    alice.send("/join #den");
    alice.until("+ join #den 1");
    alice.ask("/room hidden on", "+ room #den hidden on");
    alice.send("between us");
    alice.settle();
    drop(server);
    has_entered(dir.path(), &["rule #den hidden on"]);
    let server = Server::start(&options);
    let mut eve = server.person("eve");
    // At first nobody is in it, and then somebody is.
    let mut alice = server.person("ally");
    for line in ["/login alice correct-horse", "/join #den", "hello", "/topic #den ours"] {
        eve.ask("/rooms", "+ rooms 0");
        for line in
            ["/who #den", "/history #den", "/topic #den", "/files #den", "/msg #den hi", "/op #den", "/room #den"]
        {
            let reply = first_after(&mut eve, line);
            assert!(reply.contains(" no-such-room there is no room #den; "), "{line}: {reply}");
        }
        // Who leaves out the sign learns nothing either.
        eve.ask("/msg den hi", "! msg no-such-nick den is not here; /who lists who is");
        alice.send(line);
        alice.settle();
    }
    eve.send("/who alice");
    let rows = eve.until_starting("+ who ");
    assert!(rows[0].starts_with("- alice here ") && rows[0].ends_with(" -"), "{rows:?}");
    assert_eq!(eve.settle(), [""; 0]);
    alice.send("/history #den");
    assert_eq!(alice.until("+ history #den 2").len(), 2);
}

#[test]
fn a_hidden_room_of_guests_goes_with_the_server_in_whatever_order_the_ledger_has_it() {
    let dir = tempfile::tempdir().unwrap();
    let options = ["--data", dir.path().to_str().unwrap()];
    let server = Server::start(&options);
    let mut guest = server.in_room("gil", "#den");
    guest.send("/room hidden on");
    guest.starting("* notice a guest made #den, ");
    guest.expect("+ room #den hidden on");
    guest.send("between us");
    guest.settle();
    let lines = ["room #den guests\n", "rule #den hidden on\n"];
    drop(server);
    let path = dir.path().join("ledger");
    assert_eq!(fs::read_to_string(&path).unwrap(), lines.concat());
    // So an older server wrote it.
    fs::write(&path, format!("{}{}", lines[1], lines[0])).unwrap();
    let server = Server::start(&options);
    let mut eve = server.person("eve");
    eve.ask("/rooms", "+ rooms 0");
    eve.send("/join #den");
    assert_eq!(eve.until("+ join #den 1"), ["- here eve"]);
    eve.ask("/history", "+ history #den 0");
    eve.send("/op");
    assert_eq!(eve.until("+ op #den 1"), ["- op eve"]);
}

/// The first line that follows from what somebody sends.
fn first_after(client: &mut Client, line: &str) -> String {
    client.send(line);
    client.line().unwrap()
}

#[test]
fn several_connections_of_one_person_are_put_out_together() {
    let dir = tempfile::tempdir().unwrap();
    let server = Server::start(&["--data", dir.path().to_str().unwrap(), "--rate", "0"]);
    let mut bob = server.person("bob");
    bob.ask("/register correct-horse", "+ register bob");
    let mut again = server.person("again");
    again.ask("/login bob correct-horse", "+ login bob");
    let mut alice = server.in_room("alice", "#club");
    bob.send("/join #club");
    bob.until("+ join #club 2");
    again.until("#club * bob joined");
    again.ask("/query #club", "+ query #club");
    alice.until("#club * bob joined");
    alice.ask("/kick bob", "+ kick #club bob");
    for client in [&mut bob, &mut again] {
        client.expect("#club * alice kicked bob");
        assert!(first_after(client, "hello").starts_with("! say no-room "));
    }
    // A ban by name is for both, whoever they become, and for no guest from the same machine.
    alice.ask("/ban bob", "+ ban #club 1 name:bob");
    for client in [&mut bob, &mut again] {
        assert!(first_after(client, "/join #club").starts_with("! join banned "));
    }
    again.ask("/logout", "+ logout guest1");
    assert!(first_after(&mut again, "/join #club").starts_with("! join banned "));
    let _carol = server.in_room("carol", "#club");
}

#[test]
fn what_the_kicked_ones_machine_still_holds_is_refused_too() {
    let server = Server::start(&[]);
    let mut alice = server.in_room("alice", "#club");
    let mut bob = server.in_room("bob", "#club");
    // It is more than there is room for at the server.
    let lines: String = (0..15_000).map(|n| format!("/join #club\nspam number {n}\n")).collect();
    bob.send_bytes(lines.as_bytes());
    alice.until_starting("#club <bob> ");
    alice.send("/kick bob");
    alice.until("+ kick #club bob");
    bob.send_bytes(b"/ping done\n");
    bob.until("#club * alice kicked bob");
    let mut refused = 0;
    loop {
        let line = bob.line().unwrap();
        assert!(!line.starts_with("+ join "), "after {refused}: {line}");
        refused += usize::from(line.starts_with("! say no-room "));
        if line == "+ ping done" {
            break;
        }
    }
    assert!(refused > 14_000, "{refused}");
    let later = alice.settle();
    assert!(!later.iter().any(|line| line.contains("spam") || line.contains("joined")), "{later:?}");
}

#[test]
fn a_room_that_is_forgotten_is_not_there_after_a_restart_and_counts_from_one_again() {
    let dir = tempfile::tempdir().unwrap();
    let options = ["--data", dir.path().to_str().unwrap(), "--rate", "0"];
    let server = Server::start(&options);
    let mut gus = server.person("gus");
    for room in ["#den", "#pit"] {
        gus.send(&format!("/join {room}"));
        gus.until(&format!("+ join {room} 1"));
        gus.send(&format!("/room {room} hidden on"));
        gus.starting(&format!("* notice a guest made {room}, "));
        gus.expect(&format!("+ room {room} hidden on"));
        gus.ask(&format!("/topic {room} ours"), &format!("+ topic {room} ours"));
        gus.send("between us");
        gus.settle();
    }
    // In the other he still is when it is killed.
    gus.ask("/leave #den", "+ leave #den");
    let logs = dir.path().join("rooms");
    let is_there = |name: &str| logs.join(name).exists();
    assert!(!is_there("den.log") && !is_there("den.topic") && is_there("pit.log"));
    has_entered(dir.path(), &["rule #pit hidden on"]);
    drop(server);
    for _ in 0..2 {
        let server = Server::start(&options);
        let mut eve = server.person("eve");
        eve.ask("/rooms", "+ rooms 0");
        for line in ["/who #den", "/history #den", "/topic #pit", "/room #pit", "/leave #pit", "/msg #den hi"] {
            let reply = first_after(&mut eve, line);
            assert!(reply.contains(" no-such-room "), "{line}: {reply}");
        }
        assert!(!is_there("den.log") && !is_there("pit.log") && !is_there("pit.topic"));
    }
    // Whoever makes it next has a new one.
    let server = Server::start(&options);
    let mut eve = server.in_room("eve", "#den");
    eve.send("hello");
    eve.send("/history");
    let rows = eve.until("+ history #den 1");
    assert!(rows[0].starts_with("- [1@") && rows[0].ends_with(" <eve> hello"), "{rows:?}");
    let ledger = fs::read_to_string(dir.path().join("ledger")).unwrap();
    assert!(!ledger.contains("erase #den") || ledger.contains("anew #den"), "it is taken back: {ledger}");
    drop(server);
    let server = Server::start(&options);
    let mut eve = server.in_room("eve", "#den");
    eve.send("/history");
    let rows = eve.until("+ history #den 1");
    assert!(rows[0].starts_with("- [1@") && rows[0].ends_with(" <eve> hello"), "{rows:?}");
}

#[test]
fn what_a_kill_has_left_of_a_forgotten_room_goes_with_the_next_start() {
    let dir = tempfile::tempdir().unwrap();
    let logs = dir.path().join("rooms");
    fs::create_dir(&logs).unwrap();
    // The ledger was faster than the log. Of the other one an op has taken all back, and its numbers go on.
    for room in ["few", "all"] {
        let line = "1 2026-11-29T05:00:00.000Z <gus> between us\n";
        fs::write(logs.join(format!("{room}.log")), line).unwrap();
    }
    fs::write(logs.join("few.topic"), "ours\n").unwrap();
    fs::write(logs.join("bare.topic"), "ours\n").unwrap();
    let ledger =
        "erase #few 0 1\nroom #few guests\nerase #all 1 1\nroom #all guests\nerase #bare 0 0\nroom #bare guests\n";
    fs::write(dir.path().join("ledger"), ledger).unwrap();
    let server = Server::start(&["--data", dir.path().to_str().unwrap(), "--rate", "0"]);
    let mut eve = server.person("eve");
    for (room, first) in [("few", 1), ("all", 2), ("bare", 1)] {
        eve.send(&format!("/join #{room}"));
        let told = eve.until(&format!("+ join #{room} 1"));
        assert!(!told.iter().any(|line| line.contains("ours")), "{told:?}");
        if room == "few" {
            assert!(!logs.join("few.log").exists() && !logs.join("few.topic").exists());
        }
        eve.send("hello");
        eve.send("/history");
        let rows = eve.until(&format!("+ history #{room} 1"));
        assert!(rows[0].starts_with(&format!("- [{first}@")), "{rows:?}");
    }
    assert!(!logs.join("bare.topic").exists() && logs.join("all.log").exists());
}
