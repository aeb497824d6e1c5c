//! What there may be only so much of, tried on the core in memory.

use std::collections::HashMap;
use std::time::{Duration, SystemTime};

use chinwag::commands;
use chinwag::effect::{Description, Job, PastFile};
use chinwag::event::{Done, Fault, Reply};
use chinwag::hub::{Departure, Hub};
use chinwag::limits::{
    DOWNLOAD_UNIT, FILES, FILES_A_SENDER, MINUTE, READ_AHEAD, READ_AHEAD_IN_ALL, ROOMS as ROOMS_IN_ALL, ROOMS_A_PERSON,
    UPLOADS,
};
use chinwag::names::{ConnId, Digest, FileId, Nick, Origin, Prefix, RoomName, Wire, clean};
use chinwag::settings::{Logging, Settings};
use chinwag::time::{Instant, Now};
use testkit::memory::{Disk, Memory, Notes, Told};

/// As much as a queue takes.
const QUEUED: usize = 4 * DOWNLOAD_UNIT;

#[test]
fn long_answers_are_refused_while_much_waits_for_everybody() {
    let mut memory = Memory::new(Settings::default());
    memory.connect("alice");
    memory.send("alice", b"/join #a\nhello\n");
    while memory.next("alice").is_some() {}
    memory.notes.is_memory_short = true;
    for command in ["who", "who #a", "rooms", "history", "files"] {
        memory.send("alice", format!("/{command}\n").as_bytes());
        let want = format!("! {} busy ", command.split(' ').next().unwrap());
        assert!(memory.next("alice").is_some_and(|line| line.starts_with(&want)), "{command}");
    }
    memory.send("alice", b"/msg #a talk goes on\n");
    assert_eq!(memory.next("alice").as_deref(), Some("+ msg #a"));
    memory.notes.is_memory_short = false;
    memory.send("alice", b"/rooms\n");
    assert_eq!(memory.next("alice").as_deref(), Some("- #a 1"));
}

#[test]
fn what_a_network_has_used_up_is_no_more_for_whoever_connects_anew() {
    let mut memory = Memory::new(Settings::default());
    let home = Origin::Network(Prefix::v4([203, 0, 113, 5]));
    let last = |memory: &mut Memory, name: &str| std::iter::from_fn(|| memory.next(name)).last().unwrap();
    // One connection has ten renames, a network a hundred, however many connections they come over.
    for n in 0..10 {
        let name = format!("c{n}");
        memory.connect_from(&name, home);
        memory.send(&name, (0..10).map(|i| format!("/nick c{n}x{i}\n")).collect::<String>().as_bytes());
        assert_eq!(last(&mut memory, &name), format!("+ nick c{n}x9"));
        memory.end(&name);
    }
    let elsewhere = Origin::Network(Prefix::v4([203, 0, 113, 6]));
    for (name, origin, want) in
        [("one", home, "! nick too-many "), ("two", elsewhere, "+ "), ("three", Origin::Loopback, "+ ")]
    {
        memory.connect_from(name, origin);
        memory.send(name, format!("/nick {name}\n").as_bytes());
        assert!(last(&mut memory, name).starts_with(want), "{name}");
    }
    memory.wait(MINUTE);
    memory.send("one", b"/nick one\n");
    assert_eq!(last(&mut memory, "one"), "+ nick one");
}

#[test]
fn guessing_a_password_ends_with_the_tries_of_a_network() {
    let mut memory = Memory::new(Settings { password: Some("open".to_owned()), ..Settings::default() });
    let home = Origin::Network(Prefix::v4([203, 0, 113, 5]));
    let last = |memory: &mut Memory, name: &str| std::iter::from_fn(|| memory.next(name)).last().unwrap();
    for name in ["one", "two"] {
        memory.connect_from(name, home);
        memory.send(name, b"/pass a\n/pass b\n/pass c\n/pass d\n/pass e\n");
        assert!(last(&mut memory, name).starts_with("* bye refused "), "{name}");
    }
    assert_eq!(memory.notes.wrong_passwords.len(), 10);
    // Now even the right one is not heard, from there.
    memory.connect_from("three", home);
    memory.send("three", b"/pass open\n");
    let told: Vec<String> = std::iter::from_fn(|| memory.next("three")).collect();
    assert!(told[1].starts_with("! pass too-many ") && told[2].starts_with("* bye refused "), "{told:?}");
    assert_eq!(memory.notes.wrong_passwords.len(), 10, "nobody looked at it");
    for (name, origin) in [("four", Origin::Loopback), ("five", Origin::Network(Prefix::v4([203, 0, 113, 6])))] {
        memory.connect_from(name, origin);
        memory.send(name, b"/pass open\n");
        assert!(last(&mut memory, name).starts_with("* hello "), "{name}");
    }
    memory.wait(10 * MINUTE);
    memory.connect_from("six", home);
    memory.send("six", b"/pass open\n");
    assert!(last(&mut memory, "six").starts_with("* hello "));
}

#[test]
fn what_comes_back_goes_when_its_time_is_over() {
    let hour = Duration::from_secs(3600);
    let log = Some(Logging { max: u64::MAX, sync: Duration::ZERO });
    let mut hub = Hub::new(Settings { log, file_ttl: 24 * hour, ..Settings::default() });
    let mut notes = Notes::default();
    let wall = SystemTime::UNIX_EPOCH + 1000 * hour;
    let claimed = Some(Digest([7; 32]));
    for (id, len, digest) in [(1, 10, claimed), (2, 5, None)] {
        let (room, from) = (RoomName::new("#a").unwrap(), Nick::new("alice").unwrap());
        let description =
            Description { room, from, account: None, size: 10, at: wall - 23 * hour, claimed, name: "x".to_owned() };
        let file = PastFile { id: FileId(id), description, len, digest };
        hub.restore_file(file, Now { at: Instant::START, wall }, &mut notes);
    }
    // The upload that can be taken up waits for ten minutes, and the whole one has the hour that was left.
    let mut gone = |after: Duration| {
        hub.tick(Now { at: Instant::START + after, wall: wall + after }, &mut notes);
        hub.check();
        notes.jobs.drain(..).collect::<Vec<_>>()
    };
    let moment = Duration::from_secs(1);
    assert_eq!(gone(hour / 6 - moment), []);
    assert_eq!(gone(hour / 6), [Job::Remove(FileId(2))]);
    assert_eq!(gone(hour - moment), []);
    assert_eq!(gone(hour), [Job::Remove(FileId(1))]);
}

#[test]
fn so_many_rooms_and_files_there_are_at_most() {
    let mut memory = Memory::new(Settings { rate: 0, ..Settings::default() });
    let names: Vec<String> = (0..ROOMS_IN_ALL / ROOMS_A_PERSON).map(|n| format!("c{n}")).collect();
    for (who, name) in names.iter().enumerate() {
        memory.connect(name);
        let joins: String = (0..ROOMS_A_PERSON).map(|n| format!("/join #r{who}-{n}\n")).collect();
        memory.send(name, joins.as_bytes());
    }
    let answer = |memory: &mut Memory, name: &str, to: &str| {
        std::iter::from_fn(|| memory.next(name)).filter(|line| line.contains(to)).last().unwrap()
    };
    memory.connect("late");
    memory.send("late", b"/join #more\n");
    assert!(answer(&mut memory, "late", " join ").starts_with("! join too-many "));
    // One in which nobody is any more makes place, although something was said there.
    memory.send(&names[0], b"/msg #r0-0 hello\n/leave #r0-0\n");
    memory.send("late", b"/join #more\n");
    assert_eq!(answer(&mut memory, "late", " join "), "+ join #more 1");
    memory.send("late", b"/rooms\n");
    assert_eq!(answer(&mut memory, "late", "+ rooms"), format!("+ rooms {ROOMS_IN_ALL}"));
    // With as many files as there may be, the oldest goes for a new one.
    let sharers = FILES / FILES_A_SENDER;
    for name in &names[..sharers] {
        memory.send(name, b"/join #more\n");
        memory.send(name, b"/leave\n/join #more\n");
        memory.send(name, "/send #more 1 x\n=YQ==\n".repeat(FILES_A_SENDER).as_bytes());
    }
    memory.send("late", b"/files\n");
    assert_eq!(answer(&mut memory, "late", "+ files"), format!("+ files {FILES}"));
    memory.send("late", b"/send #more 1 x\n=YQ==\n");
    memory.send("late", b"/files\n");
    assert_eq!(answer(&mut memory, "late", "+ files"), format!("+ files {FILES}"));
}

#[test]
fn only_so_much_is_read_for_those_who_take_nothing() {
    let (mut hub, mut notes, mut disk) = (Hub::new(Settings::default()), Notes::default(), Disk::default());
    let now = Now { at: Instant::START, wall: SystemTime::UNIX_EPOCH };
    let len = 2 * READ_AHEAD;
    for id in 1..=4 {
        disk.carry_out(Job::Create(FileId(id)));
        disk.carry_out(Job::Append(FileId(id), vec![0; len]));
        let (room, from) = (RoomName::new("#a").unwrap(), Nick::new("alice").unwrap());
        let size = len as u64;
        let description =
            Description { room, from, account: None, size, at: now.wall, claimed: None, name: "x".to_owned() };
        let file = PastFile { id: FileId(id), description, len: size, digest: Some(Digest([7; 32])) };
        hub.restore_file(file, now, &mut notes);
    }
    let people: Vec<ConnId> = (0..300).map(|slot| ConnId::new(slot, 1)).collect();
    for &id in &people {
        hub.connect(id, Origin::Loopback, Wire::Secure, now, &mut notes);
        for command in ["/join #a", "/get 1", "/get 2", "/get 3", "/get 4"] {
            hub.handle(id, now, commands::parse(command).unwrap(), &mut notes);
        }
    }
    // What is handed on stays in the queues.
    let mut queued: HashMap<ConnId, usize> = HashMap::new();
    let (mut held, mut most) = (0, 0);
    while !notes.jobs.is_empty() || !notes.wanting.is_empty() {
        for id in std::mem::take(&mut notes.wanting) {
            let room = QUEUED - queued.get(&id).copied().unwrap_or_default();
            hub.pump(id, room, &mut notes);
        }
        for (to, told) in std::mem::take(&mut notes.told) {
            if let Told::Data(_, _, data) = told {
                held -= data.len();
                *queued.entry(to).or_default() += data.len();
            }
        }
        if let Some(job) = notes.jobs.pop_front() {
            if let Job::Read { len, .. } = job {
                held += len;
                most = held.max(most);
            }
            hub.disk_did(now, disk.carry_out(job), &mut notes);
        }
        hub.check();
    }
    assert!(most <= READ_AHEAD_IN_ALL + READ_AHEAD, "{most} bytes are held");
    assert!(people.iter().all(|id| queued[id] == QUEUED), "somebody has got less than there is room for");
    for id in people {
        hub.disconnect(id, now, Departure::Quit, &mut notes);
    }
    hub.check();
}

#[test]
fn so_many_uploads_are_under_way_at_most() {
    let mut memory = Memory::new(Settings { rate: 0, ..Settings::default() });
    let names: Vec<String> = (0..=UPLOADS).map(|n| format!("c{n}")).collect();
    for name in &names {
        memory.connect(name);
        memory.send(name, b"/join #a\n/send #a 10 x\n");
    }
    let (last, others) = names.split_last().unwrap();
    let answer = |memory: &mut Memory, name: &str| {
        std::iter::from_fn(|| memory.next(name)).find(|line| line.contains(" send ")).unwrap()
    };
    assert!(others.iter().all(|name| answer(&mut memory, name).starts_with("+ send ")));
    // The first of them has to make place.
    assert!(answer(&mut memory, last).starts_with("+ send "));
    assert!(std::iter::from_fn(|| memory.next(&names[0])).any(|line| line.starts_with("=1 ! gone ")));
    memory.send(&names[0], b"/send #a 10 x\n");
    assert!(answer(&mut memory, &names[0]).starts_with("+ send "));
    assert!(std::iter::from_fn(|| memory.next(&names[1])).any(|line| line.starts_with("=2 ! gone ")));
}

#[test]
fn what_people_write_is_clean_whatever_it_was() {
    // The walk speaks in clean text; that anything else becomes such is a matter of one function.
    let mut chance = fastrand::Rng::with_seed(7);
    for _ in 0..2000 {
        let mut bytes = vec![0; chance.usize(..60)];
        chance.fill(&mut bytes);
        let text = clean(&bytes);
        assert!(!text.contains(|c: char| c != '\t' && c.is_control()), "{text:?}");
        assert_eq!(clean(text.as_bytes()), text);
    }
}

#[test]
fn one_network_s_empty_files_keep_the_disk_from_nobody() {
    let mut memory = Memory::new(Settings { rate: 0, ..Settings::default() });
    let network = |n: u8| Origin::Network(Prefix::v4([203, 0, 113, n]));
    let mut conns = 0;
    let mut enter = |memory: &mut Memory, n: u8| {
        conns += 1;
        memory.connect_from(&format!("c{conns}"), network(n));
        memory.send(&format!("c{conns}"), b"/join #all\n");
        ConnId::new(conns, 0)
    };
    // The disk does nothing from now on. Gives the file that was offered, if it was taken.
    fn offer(memory: &mut Memory, conn: ConnId) -> Option<FileId> {
        memory.notes.told.clear();
        let now = memory.now();
        let request = commands::parse("/send #all 0 e").unwrap();
        memory.hub.handle(conn, now, request, &mut memory.notes);
        let reply = memory.notes.told.iter().find_map(|(_, told)| match told {
            Told::Reply(reply) => Some(reply),
            _ => None,
        });
        match reply {
            Some(Reply::Done(Done::Send { id, .. })) => Some(*id),
            Some(Reply::Refused { why: Fault::DiskBusy, .. }) => None,
            other => panic!("{other:?}"),
        }
    }
    let guests: Vec<Vec<ConnId>> = (1..=30).map(|n| (0..3).map(|_| enter(&mut memory, n)).collect()).collect();
    let newcomer = enter(&mut memory, 99);
    for network in &guests {
        for round in 0..300 {
            let conn = network[round % 3];
            let Some(id) = offer(&mut memory, conn) else { break };
            let now = memory.now();
            let line = format!("/cancel {id}");
            memory.hub.handle(conn, now, commands::parse(&line).unwrap(), &mut memory.notes);
            assert!(round < 299, "nothing holds them");
        }
    }
    let waiting = memory.notes.jobs.len();
    assert!(waiting < 600, "{waiting} jobs wait");
    assert!(offer(&mut memory, newcomer).is_some());
}
