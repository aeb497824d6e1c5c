//! Files and uploads of which strangers try to take the places and the bytes, against the core in memory.

use std::time::Duration;

use chinwag::effect::{Description, PastFile};
use chinwag::limits::{FILES, FILES_A_PREFIX, FILES_A_SENDER, UPLOAD_SILENCE, UPLOADS, UPLOADS_A_PREFIX};
use chinwag::names::{Digest, FileId, Nick, Origin, Prefix, RoomName};
use chinwag::settings::Settings;
use chinwag::time::Instant;
use testkit::memory::Memory;

const SECOND: Duration = Duration::from_secs(1);

fn core(spool: u64) -> Memory {
    Memory::new(Settings { rate: 0, spool, next_file: 2, ..Settings::default() })
}

fn network(last: u8) -> Origin {
    Origin::Network(Prefix::v4([203, 0, 113, last]))
}

/// Where the people of a crowd come from, by their numbers.
type From = fn(usize) -> Origin;

fn enter(memory: &mut Memory, name: &str, origin: Origin, room: &str) {
    memory.connect_from(name, origin);
    memory.send(name, format!("/nick {name}\n/join {room}\n").as_bytes());
}

/// What the server says to a line of input, but for what others do.
fn answers(memory: &mut Memory, name: &str, input: &str) -> Vec<String> {
    while memory.next(name).is_some() {}
    memory.send(name, input.as_bytes());
    std::iter::from_fn(|| memory.next(name)).filter(|line| line.starts_with(['+', '!', '='])).collect()
}

/// The chunk of so many bytes, in thirds.
fn chunk(thirds: usize) -> String {
    format!("={}\n", "AAAA".repeat(thirds))
}

fn files(memory: &mut Memory, name: &str, room: &str) -> String {
    answers(memory, name, &format!("/files {room}\n")).pop().unwrap()
}

/// Four hundred connections do something, all at the same time or one after the other, wherever they come from; gives those
/// who are there still.
fn attack(memory: &mut Memory, origin: Origin, one_by_one: bool, input: &str) {
    for n in 0..400 {
        let name = format!("m{n}");
        enter(memory, &name, origin, "#x");
        memory.send(&name, input.as_bytes());
        if one_by_one {
            memory.end(&name);
        }
    }
}

#[test]
fn strangers_with_many_files_make_nobody_elses_go() {
    for (origin, one_by_one) in
        [(Origin::Loopback, false), (Origin::Loopback, true), (network(1), false), (network(1), true)]
    {
        let mut memory = core(1 << 30);
        enter(&mut memory, "alice", Origin::Loopback, "#a");
        enter(&mut memory, "bob", network(2), "#a");
        enter(&mut memory, "carol", Origin::Loopback, "#a");
        memory.send("alice", "/send #a 1 x\n=YQ==\n".repeat(10).as_bytes());
        memory.send("bob", "/send #a 1 x\n=YQ==\n".repeat(10).as_bytes());
        memory.send("carol", "/send #a 0 x\n".repeat(3).as_bytes());
        memory.end("carol");
        // One of an earlier process.
        let (room, from) = (RoomName::new("#a").unwrap(), Nick::new("dave").unwrap());
        let (digest, now) = (Some(Digest([7; 32])), memory.now());
        let description =
            Description { room, from, account: None, size: 9, at: now.wall, claimed: None, name: "x".to_owned() };
        let past = PastFile { id: FileId(1), description, len: 9, digest };
        memory.hub.restore_file(past, now, &mut memory.notes);
        attack(&mut memory, origin, one_by_one, &"/send #x 0 e\n".repeat(FILES_A_SENDER));
        assert_eq!(files(&mut memory, "alice", "#a"), "+ files 24", "{origin:?} {one_by_one}");
        let most = if origin == Origin::Loopback { FILES } else { 24 + FILES_A_PREFIX };
        assert_eq!(memory.hub.files(), most, "{origin:?} {one_by_one}");
        // There is still a place for whoever has none.
        enter(&mut memory, "erin", Origin::Loopback, "#a");
        let said = answers(&mut memory, "erin", "/send #a 1 x\n=YQ==\n");
        assert!(said[0].starts_with("+ send ") && said[1].contains(" . 1 "), "{said:?}");
        assert_eq!(files(&mut memory, "alice", "#a"), "+ files 25");
    }
}

/// A connection costs nothing, so ten thousand who share a little each may be one who wants what others have to go.
#[test]
fn any_number_of_newcomers_make_nobody_elses_go() {
    for origin in [Origin::Loopback, network(1)] {
        let mut memory = core(1 << 30);
        enter(&mut memory, "alice", origin, "#a");
        memory.send("alice", "/send #a 1 x\n=YQ==\n".repeat(2).as_bytes());
        for _ in 0..3_000 {
            enter(&mut memory, "m", origin, "#x");
            memory.send("m", "/send #x 0 e\n".repeat(6).as_bytes());
            memory.end("m");
        }
        assert_eq!(files(&mut memory, "alice", "#a"), "+ files 2", "{origin:?}");
    }
}

#[test]
fn a_newcomer_finds_a_place_whoever_has_taken_all() {
    let wide = |n: usize| {
        let [.., c, d] = n.to_be_bytes();
        Origin::Network(Prefix::v6([0x20, 1, 0x0d, 0xb8, 0, 0, c, d, 0, 0, 0, 0, 0, 0, 0, 1]))
    };
    // Some who have many each, here or from anywhere, and a thousand who have one each, here or in one /48.
    let here: From = |_| Origin::Loopback;
    let anywhere: From = |n| network(u8::try_from(n).unwrap());
    for (owners, from) in [(50, here), (100, anywhere), (FILES - 10, here), (FILES - 10, wide)] {
        let mut memory = core(1 << 30);
        enter(&mut memory, "alice", network(200), "#a");
        memory.send("alice", "/send #a 1 x\n=YQ==\n".repeat(5).as_bytes());
        let each = (FILES - 10) / owners;
        for n in 0..owners + 2 {
            enter(&mut memory, "m", from(n), "#x");
            memory.send("m", "/send #x 0 e\n".repeat(each + 1).as_bytes());
            memory.end("m");
        }
        assert_eq!(memory.hub.files(), FILES);
        let mut origins = vec![network(201)];
        if each > 1 {
            origins.push(Origin::Loopback);
        }
        for origin in origins {
            enter(&mut memory, "late", origin, "#a");
            let said = answers(&mut memory, "late", "/send #a 1 x\n=YQ==\n");
            assert!(said[0].starts_with("+ send "), "{owners} {origin:?} {said:?}");
            memory.end("late");
        }
        // Nobody else has paid for it.
        let want = if each > 1 { 7 } else { 6 };
        assert_eq!(files(&mut memory, "alice", "#a"), format!("+ files {want}"), "{owners}");
    }
}

#[test]
fn who_shares_too_much_is_told_of_which_limit() {
    let mut memory = core(1 << 30);
    for n in 0..10 {
        let name = format!("m{n}");
        enter(&mut memory, &name, network(1), "#x");
        memory.send(&name, "/send #x 0 e\n".repeat(FILES_A_SENDER).as_bytes());
    }
    enter(&mut memory, "late", network(1), "#x");
    for (name, want) in
        [("m1", "you may share 20 files at once; "), ("late", "200 files were shared from your network; ")]
    {
        let said = answers(&mut memory, name, "/send #x 0 e\n");
        assert!(said[0].starts_with(&format!("! send too-many {want}")), "{said:?}");
    }
}

#[test]
fn strangers_with_many_bytes_make_nobody_elses_go() {
    for one_by_one in [false, true] {
        let mut memory = core(100_000);
        enter(&mut memory, "alice", Origin::Loopback, "#a");
        memory.send("alice", format!("/send #a 9000 x\n{}", chunk(3000)).as_bytes());
        attack(&mut memory, Origin::Loopback, one_by_one, &format!("/send #x 6000 x\n{}", chunk(2000)).repeat(5));
        assert_eq!(files(&mut memory, "alice", "#a"), "+ files 1", "{one_by_one}");
    }
}

#[test]
fn uploads_that_broke_off_take_no_place_from_others() {
    let mut memory = core(1 << 30);
    enter(&mut memory, "alice", Origin::Loopback, "#a");
    enter(&mut memory, "bob", Origin::Loopback, "#a");
    let digest = format!("sha256:{}", "0".repeat(64));
    memory.send("bob", format!("/send #a 9 {digest} b\n=AAAA\n").as_bytes());
    memory.end("bob");
    for n in 0..FILES + 10 {
        memory.send("alice", format!("/send #a 9 {digest} {n}\n=AAAA\n").as_bytes());
    }
    assert_eq!(memory.hub.files(), FILES);
    enter(&mut memory, "bob", Origin::Loopback, "#a");
    // This one can be taken up still.
    assert_eq!(answers(&mut memory, "bob", &format!("/send #a 9 {digest} b\n")), ["+ send 2 3"]);
}

#[test]
fn who_holds_most_makes_room_by_the_oldest() {
    let mut memory = core(100_000);
    enter(&mut memory, "bob", Origin::Loopback, "#a");
    enter(&mut memory, "alice", network(1), "#a");
    let share = |memory: &mut Memory, name: &str, size: usize| {
        answers(memory, name, &format!("/send #a {size} x\n{}", chunk(1000).repeat(size / 3000))).pop().unwrap()
    };
    assert!(share(&mut memory, "bob", 3000).starts_with("=2 . "));
    for _ in 0..3 {
        share(&mut memory, "alice", 30_000);
    }
    // Whoever comes back from there has what was there before.
    memory.end("alice");
    enter(&mut memory, "alice", network(1), "#a");
    assert!(share(&mut memory, "bob", 9000).starts_with("=6 . "));
    assert!(answers(&mut memory, "alice", "/get 3\n")[0].starts_with("! get no-such-file "));
    assert!(share(&mut memory, "alice", 60_000).starts_with("=7 . "));
    assert_eq!(files(&mut memory, "bob", "#a"), "+ files 3");
    // What does not fit in beside others' fair shares is refused, and takes only what is one's own.
    assert!(share(&mut memory, "alice", 99_000).starts_with("=8 ! no-space "));
    assert_eq!(files(&mut memory, "bob", "#a"), "+ files 2");
}

#[test]
fn an_upload_must_bring_some_bytes_a_minute() {
    let every = |seconds: u32, input: &str, end: Duration| {
        let mut memory = core(1 << 30);
        enter(&mut memory, "alice", Origin::Loopback, "#a");
        memory.send("alice", b"/send #a 1000000 x\n");
        while memory.at + seconds * SECOND < Instant::START + end {
            memory.wait(seconds * SECOND);
            memory.send("alice", input.as_bytes());
        }
        memory.wait(Instant::START + end - memory.at);
        !std::iter::from_fn(|| memory.next("alice")).any(|line| line.starts_with("=2 ! gone "))
    };
    let minute = UPLOAD_SILENCE;
    // Who says nothing that counts has a minute.
    for input in ["=\n", "=QQ==\n", "/ping\n"] {
        assert!(every(15, input, minute - SECOND), "{input}");
        assert!(!every(15, input, minute + SECOND), "{input}");
    }
    // A modem has all the time that it needs, and so does one that is silent for less than a minute now and then.
    assert!(every(1, &chunk(320), 15 * minute));
    assert!(every(59, &chunk(1500), 15 * minute));
    assert!(!every(61, &chunk(1500), 3 * minute));
}

#[test]
fn a_newcomer_takes_the_place_of_the_slowest_upload() {
    // From each network come as many as may.
    let networks: From = |n| network(((n - 1) / UPLOADS_A_PREFIX) as u8);
    let here: From = |_| Origin::Loopback;
    for (from, of_each) in [(here, 1), (networks, UPLOADS_A_PREFIX)] {
        let mut memory = core(1 << 30);
        enter(&mut memory, "alice", Origin::Loopback, "#a");
        memory.send("alice", b"/send #a 1000000 x\n");
        let others = 1..UPLOADS;
        for n in others.clone() {
            let name = format!("m{n}");
            enter(&mut memory, &name, from(n), "#x");
            assert_eq!(answers(&mut memory, &name, "/send #x 1000000 x\n"), [format!("+ send {} 0", n + 2)]);
        }
        for second in 1..=30 {
            memory.wait(SECOND);
            memory.send("alice", chunk(300).as_bytes());
            if second % 15 == 0 {
                others.clone().for_each(|n| memory.send(&format!("m{n}"), b"=\n"));
            }
        }
        for n in 0..10 {
            let name = format!("late{n}");
            enter(&mut memory, &name, Origin::Loopback, "#a");
            assert!(answers(&mut memory, &name, "/send #a 10 x\n")[0].starts_with("+ send "));
            let first = n * of_each + 1;
            let told = std::iter::from_fn(|| memory.next(&format!("m{first}")));
            let told = told.into_iter().find(|line| line.contains(" ! gone ")).unwrap();
            assert!(told.starts_with(&format!("={} ! gone all places", first + 2)), "{told}");
        }
        assert!(!std::iter::from_fn(|| memory.next("alice")).any(|line| line.contains(" ! gone ")));
    }
    // Who would have more than those who have most is refused.
    let mut memory = core(1 << 30);
    for n in 0..UPLOADS {
        let name = format!("m{n}");
        enter(&mut memory, &name, network((n % 32) as u8), "#x");
        memory.send(&name, b"/send #x 10 x\n");
    }
    enter(&mut memory, "late", network(1), "#x");
    assert!(answers(&mut memory, "late", "/send #x 10 x\n")[0].starts_with("! send too-many 256 uploads "));
}

#[test]
fn a_network_has_as_many_uploads_at_once_as_ten_connections() {
    let mut memory = core(1 << 30);
    for n in 0..UPLOADS_A_PREFIX {
        enter(&mut memory, &format!("m{n}"), network(1), "#x");
        memory.send(&format!("m{n}"), b"/send #x 10 x\n");
    }
    for (name, origin) in [("late", network(1)), ("other", network(2)), ("local", Origin::Loopback)] {
        enter(&mut memory, name, origin, "#x");
    }
    let said = answers(&mut memory, "late", "/send #x 10 x\n");
    assert!(said[0].starts_with("! send too-many 10 uploads are under way from your network; "), "{said:?}");
    for name in ["other", "local"] {
        assert!(answers(&mut memory, name, "/send #x 10 x\n")[0].starts_with("+ send "));
    }
    // One that has ended, or is begun anew, makes place.
    assert!(answers(&mut memory, "m0", "/send #x 10 y\n").iter().any(|line| line.starts_with("+ send ")));
    memory.end("m1");
    assert!(answers(&mut memory, "late", "/send #x 10 x\n")[0].starts_with("+ send "));
}
