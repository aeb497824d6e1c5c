//! Rooms and what was said in them: what no stranger can make disappear, and what is read from the log.

use std::fs;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, Shutdown, TcpStream};
use std::time::{Duration, SystemTime};

use chinwag::commands;
use chinwag::effect::{Found, Logged, PastRoom};
use chinwag::event::{Detail, Done, Reply, SaidKind};
use chinwag::hub::{Departure, Hub};
use chinwag::limits::{
    A_PREFIX, LOG_READ, LOGS, MINUTE, NEW_ROOMS, ROOMS, ROOMS_A_PERSON, ROOMS_PARTS, SEARCH, SEARCH_PACE,
};
use chinwag::names::{ConnId, Nick, Origin, Prefix, RoomName, Text, Wire};
use chinwag::settings::{Logging, Settings};
use chinwag::time::{Instant, Now};
use testkit::data::{Folder, assert_numbered, fetch, history, kill, seq, share, stop, unstamped};
use testkit::memory::{Memory, Notes, Told};
use testkit::{Client, Server, eventually};

fn logged(history: usize) -> Settings {
    let log = Some(Logging { max: u64::MAX, sync: Duration::ZERO });
    Settings { history, log, rate: 0, ..Settings::default() }
}

/// What somebody is told from now on, up to the reply to a command.
fn told(memory: &mut Memory, name: &str, command: &str) -> Vec<String> {
    while memory.next(name).is_some() {}
    memory.send(name, format!("/{command}\n").as_bytes());
    std::iter::from_fn(|| memory.next(name)).filter(|line| !line.starts_with('#')).collect()
}

fn answer(memory: &mut Memory, name: &str, command: &str) -> String {
    told(memory, name, command).pop().unwrap()
}

#[test]
fn what_is_read_from_the_log_is_as_if_memory_had_it() {
    let mut random = fastrand::Rng::with_seed(7);
    for round in 0..30 {
        // One remembers everything, the other hardly anything or nothing.
        let little = if round % 3 == 0 { 0 } else { random.usize(1..40) };
        let mut both = [logged(usize::MAX), logged(little)].map(Memory::new);
        for memory in &mut both {
            for name in ["ann", "bob", "cyd"] {
                memory.connect(name);
                memory.send(name, format!("/nick {name}\n/join #Room\n").as_bytes());
            }
        }
        if round % 2 == 0 {
            both.iter_mut().for_each(|memory| memory.send("cyd", b"/ignore ann\n"));
        }
        // No presence is to be told any more while the log is searched.
        both.iter_mut().for_each(|memory| memory.wait(MINUTE));
        let longest = if round % 5 == 0 { 4_000 } else { 200 };
        let count = random.u64(0..900);
        for n in 0..count {
            // Whoever is ignored goes on for long.
            let name = if n % 300 < 250 && random.u8(..9) > 0 { "ann" } else { "bob" };
            let line = format!("{n} {}\n", "x".repeat(random.usize(..longest)));
            both.iter_mut().for_each(|memory| memory.send(name, line.as_bytes()));
        }
        for _ in 0..12 {
            let n = random.u64(..count + 3);
            let last = random.u64(..550);
            for command in [format!("history {last}"), format!("history after {n}"), "history".to_owned()] {
                for name in ["bob", "cyd"] {
                    let [all, some] = both.each_mut().map(|memory| told(memory, name, &command));
                    assert!(all == some, "{round} {name} {command}: {:?} and not {:?}", some.last(), all.last());
                }
            }
        }
    }
}

#[test]
fn a_log_that_cannot_be_read_leaves_what_memory_has() {
    let (mut hub, mut notes, id) = (Hub::new(logged(3)), Notes::default(), ConnId::new(1, 1));
    let now = Now { at: Instant::START, wall: SystemTime::UNIX_EPOCH };
    let ask = |hub: &mut Hub, notes: &mut Notes, line: &str| {
        notes.told.clear();
        hub.handle(id, now, commands::parse(line).unwrap(), notes);
    };
    hub.connect(id, Origin::Loopback, Wire::Secure, now, &mut notes);
    ask(&mut hub, &mut notes, "/join #a");
    (0..9).for_each(|n| ask(&mut hub, &mut notes, &format!("line {n}")));
    for line in ["/history", "/history after 2"] {
        ask(&mut hub, &mut notes, line);
        assert!(hub.is_answering(id) && notes.told.is_empty());
        // A search for the first message and what is then to be told may ask more than once.
        while hub.is_answering(id) {
            assert!(!notes.queries.is_empty() || !notes.resumed.is_empty(), "it waits for nothing");
            while let Some(query) = notes.queries.pop_front() {
                assert!(hub.is_answering(id));
                hub.log_has(now, Found { asker: query.asker, serial: query.serial, passage: None }, &mut notes);
            }
            while let Some(conn) = notes.resumed.pop() {
                hub.go_on(conn, now, &mut notes);
            }
        }
        let seqs = notes.told.iter().filter_map(|(_, told)| match told {
            Told::Detail(Detail::Line { seq, .. }) => Some(*seq),
            _ => None,
        });
        assert_eq!(seqs.collect::<Vec<_>>(), [7, 8, 9], "{line}");
        assert!(matches!(notes.told.last(), Some((_, Told::Reply(Reply::Done(Done::History { count: 3, .. }))))));
    }
}

#[test]
fn a_log_that_hangs_holds_an_answer_up_for_a_while() {
    let (mut hub, mut notes, id) = (Hub::new(logged(3)), Notes::default(), ConnId::new(1, 1));
    let at = |span| Now { at: Instant::START + span, wall: SystemTime::UNIX_EPOCH };
    hub.connect(id, Origin::Loopback, Wire::Secure, at(Duration::ZERO), &mut notes);
    for n in 0..9 {
        let line = if n == 0 { "/join #a".to_owned() } else { format!("line {n}") };
        hub.handle(id, at(Duration::ZERO), commands::parse(&line).unwrap(), &mut notes);
    }
    hub.handle(id, at(Duration::ZERO), commands::parse("/history").unwrap(), &mut notes);
    let late = notes.queries.pop_front().unwrap();
    // What resumes its connection meanwhile does not have it ask twice.
    hub.go_on(id, at(Duration::ZERO), &mut notes);
    assert!(hub.is_answering(id) && notes.queries.is_empty());
    hub.tick(at(LOG_READ - Duration::from_millis(1)), &mut notes);
    assert!(hub.is_answering(id) && notes.resumed.is_empty());
    hub.tick(at(LOG_READ), &mut notes);
    notes.told.clear();
    notes.go_on(&mut hub, at(LOG_READ));
    assert!(!hub.is_answering(id));
    assert!(matches!(notes.told.last(), Some((_, Told::Reply(Reply::Done(Done::History { count: 3, .. }))))));
    // What comes too late is no answer to the next question.
    hub.handle(id, at(LOG_READ), commands::parse("/history").unwrap(), &mut notes);
    notes.told.clear();
    hub.log_has(at(LOG_READ), notes.look_up(&late), &mut notes);
    assert!(hub.is_answering(id) && notes.told.is_empty() && notes.resumed.is_empty());
    notes.go_on(&mut hub, at(LOG_READ));
    assert!(matches!(notes.told.last(), Some((_, Told::Reply(Reply::Done(Done::History { count: 8, .. }))))));
    hub.check();
}

#[test]
fn what_was_taken_back_is_passed_over_and_not_searched() {
    let (mut hub, mut notes, id) = (Hub::new(logged(3)), Notes::default(), ConnId::new(1, 1));
    let now = Now { at: Instant::START, wall: SystemTime::UNIX_EPOCH };
    hub.connect(id, Origin::Loopback, Wire::Secure, now, &mut notes);
    let ask = |hub: &mut Hub, notes: &mut Notes, line: &str| {
        notes.told.clear();
        hub.handle(id, now, commands::parse(line).unwrap(), notes);
    };
    ask(&mut hub, &mut notes, "/join #a");
    (1..=6_000).for_each(|n| ask(&mut hub, &mut notes, &format!("line {n}")));
    ask(&mut hub, &mut notes, "/erase 10 5998");
    for (line, want) in [
        ("/history 5", vec![7, 8, 9, 5_999, 6_000]),
        ("/history after 8", vec![9, 5_999, 6_000]),
        ("/history after 3000", vec![5_999, 6_000]),
    ] {
        ask(&mut hub, &mut notes, line);
        notes.go_on_until_a_search(&mut hub, now);
        assert!(!hub.is_answering(id), "{line} searches");
        let seqs = notes.told.iter().filter_map(|(_, told)| match told {
            Told::Detail(Detail::Line { seq, .. }) => Some(*seq),
            _ => None,
        });
        assert_eq!(seqs.collect::<Vec<_>>(), want, "{line}");
    }
    hub.check();
}

#[test]
fn searches_of_the_log_past_what_is_ignored_take_turns() {
    const ASKERS: u32 = 100;
    let (mut hub, mut notes) = (Hub::new(logged(3)), Notes::default());
    let mut at = Now { at: Instant::START, wall: SystemTime::UNIX_EPOCH };
    let [bob, others] = [ConnId::new(0, 1), ConnId::new(ASKERS + 1, 1)];
    let handle = |hub: &mut Hub, notes: &mut Notes, now, conn, line: &str| {
        hub.handle(conn, now, commands::parse(line).unwrap(), notes);
    };
    for n in 0..=ASKERS + 1 {
        let conn = ConnId::new(n, 1);
        hub.connect(conn, Origin::Loopback, Wire::Secure, at, &mut notes);
        handle(&mut hub, &mut notes, at, conn, "/join #a");
    }
    handle(&mut hub, &mut notes, at, others, "/msg #a first");
    (0..20_000).for_each(|_| handle(&mut hub, &mut notes, at, bob, "/msg #a x"));
    let mut asked = 0;
    for n in 1..=ASKERS {
        let conn = ConnId::new(n, 1);
        handle(&mut hub, &mut notes, at, conn, "/ignore guest1");
        handle(&mut hub, &mut notes, at, conn, "/history 500");
        notes.go_on_until_a_search(&mut hub, at);
        assert!(hub.is_answering(conn));
    }
    // Between two queries of all of them together others have their time, and get their answers at once.
    while let Some(next) = hub.next_search() {
        assert!(next > at.at || asked == 0);
        at.at = next;
        hub.tick(at, &mut notes);
        assert!(notes.queries.len() <= 1, "two at once");
        notes.go_on_until_a_search(&mut hub, at);
        hub.check();
        asked += 1;
        if asked % 100 == 50 {
            notes.told.clear();
            handle(&mut hub, &mut notes, at, others, "/history 500");
            notes.go_on_until_a_search(&mut hub, at);
            assert!(!hub.is_answering(others), "somebody who ignores nobody waits");
        }
        if asked == 200 {
            // Whoever goes waits no more.
            (1..=10).for_each(|n| hub.disconnect(ConnId::new(n, 1), at, Departure::Quit, &mut notes));
        }
    }
    // In the end all are told what was found in the time that there is for it.
    let took = at.at - Instant::START;
    assert!(
        took >= SEARCH_PACE * (asked - 1) && took >= SEARCH && took < SEARCH + SEARCH_PACE * (ASKERS + 1),
        "{took:?}"
    );
    assert!((1..=ASKERS).all(|n| !hub.is_answering(ConnId::new(n, 1))));
    // Alone one finds all.
    let last = ConnId::new(ASKERS, 1);
    notes.told.clear();
    handle(&mut hub, &mut notes, at, last, "/history 500");
    notes.go_on(&mut hub, at);
    assert!(matches!(notes.told.last(), Some((_, Told::Reply(Reply::Done(Done::History { count: 1, .. }))))));
    hub.check();
}

#[test]
fn whoever_goes_before_the_log_has_answered_is_told_nothing() {
    let (mut hub, mut notes, id) = (Hub::new(logged(0)), Notes::default(), ConnId::new(1, 1));
    let now = Now { at: Instant::START, wall: SystemTime::UNIX_EPOCH };
    hub.connect(id, Origin::Loopback, Wire::Secure, now, &mut notes);
    for line in ["/join #a", "hello", "/history"] {
        hub.handle(id, now, commands::parse(line).unwrap(), &mut notes);
    }
    hub.disconnect(id, now, Departure::Quit, &mut notes);
    assert!(!hub.is_answering(id));
    hub.connect(ConnId::new(1, 2), Origin::Loopback, Wire::Secure, now, &mut notes);
    notes.told.clear();
    assert_eq!(notes.queries.len(), 1);
    notes.go_on(&mut hub, now);
    hub.check();
    assert!(notes.told.is_empty());
}

#[test]
fn new_rooms_are_counted_by_network_and_on_this_machine_by_connection() {
    let mut memory = Memory::new(Settings::default());
    let network = |n: u32| Origin::Network(Prefix::v4((Ipv4Addr::new(192, 0, 2, 0).to_bits() + n).to_be_bytes()));
    let joins = |memory: &mut Memory, name: &str| {
        memory.send(name, b"/nick x\n");
        let mut join = |n: usize| answer(memory, name, &format!("join #{name}-{n}")).starts_with("+ join ");
        (0..ROOMS_A_PERSON).filter(|&n| join(n)).count()
    };
    // Everybody here may make as many as one connection may.
    for n in 0..20 {
        memory.connect(&format!("here{n}"));
        assert_eq!(joins(&mut memory, &format!("here{n}")), NEW_ROOMS as usize);
    }
    let made: Vec<usize> = (0..11)
        .map(|n| {
            memory.connect_from(&format!("there{n}"), network(1));
            joins(&mut memory, &format!("there{n}"))
        })
        .collect();
    assert_eq!(made.iter().sum::<usize>(), (NEW_ROOMS * A_PREFIX) as usize, "{made:?}");
    memory.connect_from("there", network(1));
    let refused = answer(&mut memory, "there", "join #more");
    let text = "! join too-many at most 30 new rooms a minute, and 300 from one network; ";
    assert!(refused.starts_with(text), "{refused}");
    // A room that there is, in memory or in the log alone, is none that is made, and others are not counted.
    assert_eq!(answer(&mut memory, "there", "join #there0-1"), "+ join #there0-1 2");
    let name = RoomName::new("#known").unwrap();
    memory.hub.restore_room(PastRoom { name, topic: None, last_seq: 9, lines: Vec::new() });
    assert_eq!(answer(&mut memory, "there", "join #known"), "+ join #known 1");
    memory.connect_from("else", network(2));
    assert_eq!(joins(&mut memory, "else"), NEW_ROOMS as usize);
    memory.wait(MINUTE);
    assert_eq!(answer(&mut memory, "there", "join #more"), "+ join #more 1");
    // Without a rate there is no limit.
    let mut memory = Memory::new(Settings { rate: 0, ..Settings::default() });
    for n in 0..8 {
        memory.connect_from(&format!("there{n}"), network(1));
        assert_eq!(joins(&mut memory, &format!("there{n}")), ROOMS_A_PERSON);
    }
}

/// Has somebody from a network make rooms one after the other and say something in each, until they are refused; gives how
/// many they made.
fn make_rooms(memory: &mut Memory, name: &str, origin: Origin) -> usize {
    memory.connect_from(name, origin);
    for n in 0.. {
        let room = format!("#{name}-{n}");
        let said = answer(memory, name, &format!("join {room}"));
        if said != format!("+ join {room} 1") {
            assert!(said.starts_with("! join too-many the rooms that were made from your network "), "{said}");
            memory.end(name);
            return n;
        }
        memory.send(name, b"hello\n/leave\n");
    }
    unreachable!()
}

#[test]
fn a_network_that_makes_rooms_to_use_them_up_refuses_itself() {
    const LEFT: usize = 320;
    let v4 = |n: u8| Origin::Network(Prefix::v4([192, 0, 2, n]));
    let mut memory = Memory::new(logged(200));
    for n in LEFT..LOGS {
        let name = RoomName::new(&format!("#r{n}")).unwrap();
        memory.hub.restore_room(PastRoom { name, topic: None, last_seq: 9, lines: Vec::new() });
    }
    // Connecting anew does not help, and neither does leaving what is in the log.
    assert!((LEFT / ROOMS_PARTS - 2..=LEFT / ROOMS_PARTS).contains(&make_rooms(&mut memory, "one", v4(1))));
    assert!(make_rooms(&mut memory, "two", v4(1)) <= 1);
    // Nobody else is refused for that, and neither is whoever enters a room that there is.
    assert!(make_rooms(&mut memory, "three", v4(2)) > 10);
    for (name, origin) in [("four", v4(3)), ("five", Origin::Loopback)] {
        memory.connect_from(name, origin);
        assert_eq!(answer(&mut memory, name, &format!("join #{name}")), format!("+ join #{name} 1"));
    }
    memory.connect_from("six", v4(1));
    assert_eq!(answer(&mut memory, "six", "join #one-7"), "+ join #one-7 1");
}

#[test]
fn a_room_that_is_only_known_is_the_same_when_somebody_enters() {
    let mut memory = Memory::new(logged(200));
    let past = |n: usize, lines| {
        let topic = Some(Text::new(&format!("topic {n}")));
        PastRoom { name: RoomName::new(&format!("#Room{n}")).unwrap(), topic, last_seq: 9, lines }
    };
    let line = Logged {
        seq: 9,
        at: SystemTime::UNIX_EPOCH,
        from: Nick::new("ann").unwrap(),
        kind: SaidKind::Text,
        text: Text::new("hello"),
    };
    memory.hub.restore_room(past(0, Vec::new()));
    for n in 1..=ROOMS {
        memory.hub.restore_room(past(n, vec![line.clone()]));
    }
    memory.connect("bob");
    // What is in memory is listed.
    assert_eq!(answer(&mut memory, "bob", "rooms"), format!("+ rooms {ROOMS}"));
    assert_eq!(told(&mut memory, "bob", "join #room0")[..1], ["- topic topic 0"]);
    assert_eq!(
        answer(&mut memory, "bob", "history after 10"),
        "! history gone the last message here is 9; ask after that, or after 0"
    );
    memory.send("bob", b"/set stamp on\n/set echo on\n");
    while memory.next("bob").is_some() {}
    memory.send("bob", b"hello\n");
    assert!(memory.next("bob").unwrap().starts_with("#Room0 [10@"));
    memory.hub.check();
}

/// Has strangers make so many rooms, a few of them at once, and say something in each.
fn flood(server: &Server, rooms: usize, lines: &str) {
    let firsts: Vec<usize> = (0..rooms).step_by(ROOMS_A_PERSON).collect();
    for some in firsts.chunks(50) {
        let strangers = some.iter().map(|&first| {
            let mut stranger = TcpStream::connect(server.socket_address()).unwrap();
            let said: String = (first..first + ROOMS_A_PERSON).map(|n| format!("/join #flood{n}\n{lines}")).collect();
            stranger.write_all(format!("/set presence off\n/set echo off\n{said}").as_bytes()).unwrap();
            stranger.shutdown(Shutdown::Write).unwrap();
            stranger
        });
        let strangers: Vec<TcpStream> = strangers.collect();
        strangers.into_iter().for_each(|mut stranger| assert!(stranger.read_to_end(&mut Vec::new()).is_ok()));
    }
}

#[test]
fn no_flood_of_rooms_makes_a_log_a_topic_or_a_file_disappear() {
    let folder = Folder::new();
    let server = folder.serve(&[]);
    let mut ann = server.in_room("ann", "#Team");
    ann.ask("/topic tea at four", "+ topic #Team tea at four");
    ann.send("line 1");
    let before = history(&mut ann, "#Team", 0);
    ann.send("/join #files");
    ann.until("+ join #files 1");
    let shared = share(&mut ann, "#files", b"what we plan", "plan.txt");
    drop(ann);
    stop(server);
    // Others have been here, and have said more.
    for n in 0..ROOMS {
        let lines: String = (1..=2).map(|seq| format!("{seq} 2026-11-22T14:30:00.123Z <eve> hi\n")).collect();
        fs::write(folder.log(&format!("other{n}")), lines).unwrap();
    }
    let server = folder.serve(&[]);
    flood(&server, 200, "a\nb\nc\n");
    let server = {
        let mut eve = server.person("eve");
        eve.send("/rooms");
        let rooms = eve.until(&format!("+ rooms {ROOMS}"));
        assert!(rooms.iter().any(|row| row == "- #files 0") && !rooms.iter().any(|row| row.contains("#Team")));
        let mut bob = server.in_room("bob", "#Team");
        assert_eq!(history(&mut bob, "#Team", 0), before);
        bob.ask("/topic", "+ topic #Team tea at four");
        bob.ask("/set stamp on", "+ set stamp on");
        bob.ask("/set echo on", "+ set echo on");
        bob.send("line 2");
        assert!(bob.starting("#Team [2@").ends_with("<bob> line 2"));
        bob.send("/join #files");
        bob.until("+ join #files 1");
        assert_eq!(fetch(&mut bob, shared), b"what we plan");
        drop(bob);
        // So many new logs may take the disk longer than anybody waits for it.
        eventually("the log has it", || folder.logged("Team").len() == 2);
        kill(server);
        folder.serve(&[])
    };
    let mut bob = server.in_room("bob", "#Team");
    let after = history(&mut bob, "#Team", 0);
    assert_eq!((after.len(), &after[..1]), (2, &before[..]));
    bob.ask("/topic", "+ topic #Team tea at four");
    assert_eq!(folder.logged("Team"), after);
}

#[test]
fn no_flood_of_lines_makes_what_others_said_disappear() {
    let server = Server::start(&["--rate", "0"]);
    let mut ann = server.in_room("ann", "#team");
    (1..=200).for_each(|n| ann.send(&format!("line {n}")));
    let before = history(&mut ann, "#team", 0);
    assert_eq!(before.len(), 200);
    let long = format!("{}\n", "x".repeat(4_080));
    flood(&server, 400, &long.repeat(57));
    assert!(history(&mut ann, "#team", 0) == before, "something is missing");
}

#[test]
fn lines_behind_a_history_wait_for_it_and_so_does_the_end_of_input() {
    let folder = Folder::new();
    let server = folder.serve(&["--history", "5"]);
    let mut ann = server.in_room("ann", "#a");
    (1..=600).for_each(|n| ann.send(&format!("line {n}")));
    ann.settle();
    let mut bob: Client = server.in_room("bob", "#a");
    bob.send_bytes(b"/history 2\n/history after 595\n/ping one\n/history after 10\n/ping two\n/history 300");
    bob.end();
    let told: Vec<String> = bob.rest();
    let mut rows = told.iter().map(|line| line.strip_prefix("- "));
    let mut expect = |first: u64, count: usize| {
        let lines: Vec<String> = rows.by_ref().map_while(|row| row.map(str::to_owned)).collect();
        assert_eq!(lines.len(), count);
        assert_numbered(&lines, first);
        assert!(lines.iter().all(|line| unstamped(line) == format!("<ann> line {}", seq(line))));
    };
    expect(599, 2);
    expect(596, 5);
    expect(0, 0);
    expect(11, 500);
    expect(0, 0);
    expect(301, 300);
    let replies: Vec<&str> = told.iter().map(String::as_str).filter(|line| line.starts_with("+ ")).collect();
    let want = ["history #a 2", "history #a 5", "ping one", "history #a 500", "ping two", "history #a 300"];
    assert_eq!(replies, want.map(|reply| format!("+ {reply}")));
}
