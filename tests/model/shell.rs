//! Single cases of the loop, over surroundings in memory: each would come together only by chance over sockets.

use std::net::Ipv4Addr;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use chinwag::limits::{
    APPLY, APPLYING_OF_PREFIX, ARRIVE, ARRIVING, CHUNK, CONNECTS, KEEP, KEEP_WEB, KEPT_OF_PREFIX, READ_AHEAD,
};
use chinwag::settings::{Logging, Settings};
use testkit::model::{Chance, Parting, World};
use testkit::sim::Sim;

/// Everybody comes from this machine.
struct Here;

impl Chance for Here {
    fn below(&mut self, n: usize) -> usize {
        n - 1
    }
}

/// Connects people, who send these lines, and lets time go by in which they are heard.
fn meet(sim: &mut Sim, people: std::ops::Range<usize>, lines: impl Fn(usize) -> String) {
    for who in people {
        sim.connect(who, &mut Here);
        sim.send(who, format!("/set presence off\n/nick p{who}\n{}\n", lines(who)).as_bytes());
    }
    sim.pass(Duration::from_secs(10));
}

/// All that somebody has read.
fn heard(sim: &mut Sim, who: usize) -> Vec<String> {
    std::iter::from_fn(|| sim.hear(who)).map(|heard| heard.line).collect()
}

/// Somebody shares a file of so many bytes in their room.
fn share(sim: &mut Sim, who: usize, size: usize) {
    sim.send(who, format!("/send #a {size} x\n").as_bytes());
    for chunk in vec![7; size].chunks(CHUNK) {
        sim.send(who, format!("={}\n", BASE64.encode(chunk)).as_bytes());
    }
    sim.pass(Duration::from_secs(10));
    let lines = heard(sim, who);
    assert!(lines.iter().any(|line| line.starts_with("=1 . ")), "{lines:?}");
}

#[test]
fn who_reads_all_is_not_slow_however_many_talk_to_them_in_one_turn() {
    const TALKERS: usize = 100;
    const LINES: usize = 4;
    // In private, and in small rooms: neither waits for a fan-out.
    for target in [|_: usize| "p0".to_owned(), |who: usize| format!("#r{}", who % 50)] {
        let mut sim = Sim::calm(1 << 24, Duration::ZERO, Settings { rate: 0, ..Settings::default() });
        let rooms: Vec<String> = (0..50).map(|n| format!("/join #r{n}")).collect();
        meet(&mut sim, 0..1, |_| rooms.join("\n"));
        meet(&mut sim, 1..1 + TALKERS, |who| format!("/join #r{}", who % 50));
        heard(&mut sim, 0);
        // All of it together is more than may be pending for anybody who is no slow consumer.
        for who in 1..=TALKERS {
            let line = format!("/msg {} {}\n", target(who), "x".repeat(4000));
            sim.send(who, line.repeat(LINES).as_bytes());
        }
        sim.pass(Duration::from_secs(1));
        let lines = heard(&mut sim, 0);
        assert_eq!(lines.iter().filter(|line| line.ends_with("xxx")).count(), TALKERS * LINES, "to {}", target(1));
    }
}

#[test]
fn who_was_not_admitted_is_told_one_goodbye() {
    // The greeting does not fit, and so is pending when the server ends.
    let mut sim = Sim::calm(20, Duration::ZERO, Settings { max_clients: 1, ..Settings::default() });
    for who in 0..2 {
        sim.connect(who, &mut Here);
        sim.read_one_in(who, 0);
    }
    sim.pass(Duration::from_millis(100));
    for who in 0..2 {
        sim.read_one_in(who, 1);
    }
    sim.end();
    assert!(heard(&mut sim, 0).iter().any(|line| line.starts_with("* bye shutdown ")));
    let lines = heard(&mut sim, 1);
    assert!(lines.len() == 1 && lines[0].starts_with("* bye full "), "{lines:?}");
}

#[test]
fn the_disk_reads_nothing_for_who_takes_nothing_more() {
    const SIZE: usize = 4 * 1024 * 1024;
    let mut sim = Sim::calm(60_000, Duration::ZERO, Settings { rate: 1, ..Settings::default() });
    meet(&mut sim, 0..3, |who| if who < 2 { "/join #a".to_owned() } else { "/leave".to_owned() });
    share(&mut sim, 0, SIZE);
    // They fetch it and close, and have said so much that flood control holds them here for a minute.
    sim.send(1, format!("/get 1\n{}", "x\n".repeat(100)).as_bytes());
    sim.part(1, Parting::Close);
    sim.pass(Duration::from_secs(20));
    let reads = sim.reads() * READ_AHEAD;
    assert!(reads < SIZE / 4, "{reads} bytes are read for nobody");
}

#[test]
fn all_who_fetch_have_their_turns_at_a_disk_that_is_slow() {
    const READERS: usize = 30;
    let mut sim = Sim::calm(1 << 24, Duration::from_millis(20), Settings { rate: 0, ..Settings::default() });
    meet(&mut sim, 0..1 + READERS, |_| "/join #a".to_owned());
    share(&mut sim, 0, 8 * 1024 * 1024);
    for who in 1..=READERS {
        heard(&mut sim, who);
        sim.send(who, b"/get 1\n");
    }
    sim.pass(Duration::from_secs(2));
    let lines_of = |who| heard(&mut sim, who).iter().filter(|line| line.starts_with("=1 ")).count();
    let came: Vec<usize> = (1..=READERS).map(lines_of).collect();
    let (least, most) = (came.iter().min().unwrap(), came.iter().max().unwrap());
    assert!(*least > 0 && *most <= 2 * least, "{came:?}");
}

/// Everybody comes from one address of a network.
struct There;

impl Chance for There {
    fn below(&mut self, _: usize) -> usize {
        0
    }
}

/// Has somebody's place kept, and gives what takes it up.
fn keep(sim: &mut Sim, who: usize) -> String {
    heard(sim, who);
    sim.send(who, b"/keep\n");
    sim.pass(Duration::from_secs(1));
    let line = heard(sim, who).pop().unwrap();
    line.split(' ').nth(2).unwrap().to_owned()
}

#[test]
fn a_place_that_nobody_takes_up_is_lost_after_its_time_and_senders_are_told() {
    is_lost_after(KEEP, |_| {});
    is_lost_after(KEEP_WEB, |sim| sim.take_for_web(0));
}

fn is_lost_after(time: Duration, prepare: impl Fn(&mut Sim)) {
    let mut sim = Sim::calm(60_000, Duration::ZERO, Settings::default());
    meet(&mut sim, 0..3, |_| "/join #a".to_owned());
    prepare(&mut sim);
    keep(&mut sim, 0);
    sim.part(0, Parting::Reset);
    sim.pass(time - Duration::from_secs(11));
    (1..3).for_each(|who| drop(heard(&mut sim, who)));
    sim.send(1, b"/msg p0 are you there?\n");
    sim.pass(Duration::from_secs(10));
    for who in 1..3 {
        let lines = heard(&mut sim, who);
        assert!(lines.iter().all(|line| line == "+ msg p0"), "too early, {who} hears {lines:?}");
    }
    sim.pass(Duration::from_secs(2));
    assert_eq!(heard(&mut sim, 1), ["#a * p0 lost reset", "@p0 * p0 lost"]);
    assert_eq!(heard(&mut sim, 2), ["#a * p0 lost reset"]);
    sim.check_at_rest();
}

#[test]
fn what_waited_for_a_lost_place_alone_is_told_of_though_its_person_is_here_again() {
    let log = Some(Logging { max: u64::MAX, sync: Duration::ZERO });
    let mut sim = Sim::calm(60_000, Duration::ZERO, Settings { log, ..Settings::default() });
    meet(&mut sim, 0..2, |_| "/ping".to_owned());
    sim.send(0, b"/register correct-horse\n");
    sim.pass(Duration::from_secs(1));
    keep(&mut sim, 0);
    sim.part(0, Parting::Reset);
    sim.pass(Duration::from_secs(1));
    sim.send(1, b"/msg p0 are you there?\n");
    sim.pass(Duration::from_secs(1));
    meet(&mut sim, 2..3, |_| "/login p0 correct-horse".to_owned());
    sim.send(1, b"/msg p0 and now?\n");
    sim.pass(Duration::from_secs(1));
    (1..3).for_each(|who| drop(heard(&mut sim, who)));
    sim.pass(KEEP);
    assert_eq!(heard(&mut sim, 1), ["@p0 * p0 lost"]);
    assert!(heard(&mut sim, 2).is_empty());
    sim.check_at_rest();
}

#[test]
fn a_place_of_an_owner_is_taken_up_only_where_nobody_can_read_along() {
    let log = Some(Logging { max: u64::MAX, sync: Duration::ZERO });
    let settings = Settings { log, clear_passwords: true, ..Settings::default() };
    for (first, from, want) in [
        ("/register correct-horse", &mut There as &mut dyn Chance, "! resume insecure "),
        ("/register correct-horse", &mut Here, "+ resume p0"),
        ("/ping", &mut There, "+ resume p0"),
    ] {
        let mut sim = Sim::calm(1 << 24, Duration::ZERO, settings.clone());
        meet(&mut sim, 0..1, |_| first.to_owned());
        let token = keep(&mut sim, 0);
        sim.part(0, Parting::Reset);
        sim.pass(Duration::from_secs(1));
        sim.connect(1, from);
        sim.send(1, format!("/resume {token} 0\n").as_bytes());
        sim.pass(Duration::from_secs(1));
        let lines = heard(&mut sim, 1);
        assert!(lines.iter().any(|line| line.starts_with(want)), "{first}, {want}: {lines:?}");
    }
}

#[test]
fn a_guest_s_place_that_is_taken_up_where_others_can_read_along_is_no_secure_one() {
    let log = Some(Logging { max: u64::MAX, sync: Duration::ZERO });
    let mut sim = Sim::calm(1 << 24, Duration::ZERO, Settings { log, ..Settings::default() });
    meet(&mut sim, 0..1, |_| "/ping".to_owned());
    let token = keep(&mut sim, 0);
    sim.part(0, Parting::Reset);
    sim.pass(Duration::from_secs(1));
    sim.connect(1, &mut There);
    sim.send(1, format!("/resume {token} 0\n/register correct-horse\n").as_bytes());
    sim.pass(Duration::from_secs(1));
    let lines = heard(&mut sim, 1);
    assert!(lines.iter().any(|line| line.starts_with("! register insecure ")), "{lines:?}");
}

#[test]
fn only_so_many_places_of_a_network_are_kept_at_once() {
    const ALL: usize = 12;
    for (chance, lost) in [(&mut There as &mut dyn Chance, ALL - KEPT_OF_PREFIX), (&mut Here, 0)] {
        let mut sim = Sim::calm(60_000, Duration::ZERO, Settings::default());
        meet(&mut sim, 0..1, |_| "/join #a".to_owned());
        for who in 1..=ALL {
            sim.connect(who, chance);
            sim.send(who, b"/join #a\n");
            sim.pass(Duration::from_secs(1));
            keep(&mut sim, who);
        }
        heard(&mut sim, 0);
        (1..=ALL).for_each(|who| sim.part(who, Parting::Reset));
        sim.pass(Duration::from_secs(10));
        let lines = heard(&mut sim, 0);
        assert_eq!(lines.iter().filter(|line| line.ends_with(" lost reset")).count(), lost, "{lines:?}");
        // A place that is taken up, or over, is one for another.
        sim.pass(KEEP);
        assert_eq!(heard(&mut sim, 0).len(), ALL - lost);
    }
}

#[test]
fn who_reads_too_slowly_keeps_their_place_too() {
    let mut sim = Sim::calm(600, Duration::ZERO, Settings { rate: 0, ..Settings::default() });
    meet(&mut sim, 0..2, |_| "/join #a".to_owned());
    let token = keep(&mut sim, 0);
    sim.read_one_in(0, 0);
    sim.send(1, format!("{}\n", "x".repeat(3_000)).repeat(3).as_bytes());
    sim.pass(Settings::default().stall + Duration::from_secs(10));
    assert!(!heard(&mut sim, 1).iter().any(|line| line.contains("lost")));
    sim.connect(2, &mut Here);
    sim.send(2, format!("/resume {token} 0\n").as_bytes());
    sim.pass(Duration::from_secs(1));
    let lines = heard(&mut sim, 2);
    let from = lines.iter().position(|line| line == "+ resume p0").unwrap();
    assert_eq!(lines[from + 1..], vec![format!("#a <p1> {}", "x".repeat(3_000)); 3]);
}

/// What those who come from one network may not all do, with the tokens of owners of names.
fn crowded() -> (Sim, [String; 3]) {
    let log = Some(Logging { max: u64::MAX, sync: Duration::ZERO });
    let settings = Settings { log, clear_passwords: true, ..Settings::default() };
    let mut sim = Sim::calm(1 << 24, Duration::ZERO, settings);
    meet(&mut sim, 0..3, |_| "/register correct-horse\n/token".to_owned());
    let tokens = [0, 1, 2].map(|who| {
        let lines = heard(&mut sim, who);
        lines.iter().find_map(|line| line.strip_prefix("+ token ")).unwrap().to_owned()
    });
    come(&mut sim, 3..3 + CONNECTS as usize, |_| String::new());
    for who in 3..3 + CONNECTS as usize {
        assert!(heard(&mut sim, who)[0].starts_with("* hello "), "{who}");
    }
    (sim, tokens)
}

/// People come from the network of strangers, and send this first.
fn come(sim: &mut Sim, people: std::ops::Range<usize>, line: impl Fn(usize) -> String) {
    for who in people {
        sim.connect(who, &mut There);
        sim.send(who, line(who).as_bytes());
    }
    sim.pass(Duration::from_millis(500));
}

const FIRST: usize = 3 + CONNECTS as usize;
const TOO_OFTEN: &str = "* bye refused too many connections came from your network in this minute";

#[test]
fn owners_come_in_however_many_come_from_their_network() {
    let (mut sim, tokens) = crowded();
    // So many ways in has each of them besides the one that they have.
    let last = FIRST + 3 * 7;
    come(&mut sim, FIRST..last, |who| match who % 3 {
        0 => format!("/login p0 token:{}\n/ping x\n", tokens[0]),
        who => format!("/login p{who} correct-horse\n/ping x\n"),
    });
    sim.pass(Duration::from_secs(2));
    for who in FIRST..last {
        let lines = heard(&mut sim, who);
        assert_eq!(lines[0], format!("+ login p{}", who % 3));
        assert!(lines[1].starts_with(&format!("* hello p{} ", who % 3)), "{lines:?}");
        assert_eq!(lines[2], "+ ping x");
    }
    // Anything else is as it was, and at once where something is said.
    let refused = [
        (format!("/login p0 token:{}\n", "x".repeat(43)), "! login refused "),
        ("/login p0 wrong-horse\n".to_owned(), "! login refused "),
        ("/login nobody correct-horse\n".to_owned(), "! login refused "),
        (format!("/login p0 token:{}\n", tokens[0]), "! login too-many "),
        (format!("/ping\n/login p1 token:{}\n", tokens[1]), ""),
        ("hello\n".to_owned(), ""),
        (format!("/resume {} 0\n", "0".repeat(32)), ""),
        (String::new(), ""),
    ];
    let most = last + refused.len();
    come(&mut sim, last..most, |who| refused[who - last].0.clone());
    for (who, (line, reply)) in (last..most).zip(&refused) {
        if line.is_empty() {
            assert_eq!(heard(&mut sim, who), [""; 0]);
            sim.pass(APPLY);
        }
        let mut lines = heard(&mut sim, who);
        assert!(lines.pop().is_some_and(|line| line.starts_with(TOO_OFTEN)), "{line}: {lines:?}");
        assert!(lines.iter().all(|line| line.starts_with(reply)), "{line}: {lines:?}");
        assert_eq!(lines.len(), usize::from(!reply.is_empty()), "{line}: {lines:?}");
    }
}

#[test]
fn who_waits_to_be_greeted_is_let_in_when_others_from_their_network_log_in() {
    let (mut sim, tokens) = crowded();
    come(&mut sim, FIRST..FIRST + 2, |_| String::new());
    assert!((FIRST..FIRST + 2).all(|who| heard(&mut sim, who).is_empty()));
    sim.send(3, format!("/login p0 token:{}\n", tokens[0]).as_bytes());
    sim.pass(Duration::from_millis(500));
    assert!(heard(&mut sim, FIRST)[0].starts_with("* hello "));
    sim.send(FIRST, format!("/login p1 token:{}\n", tokens[1]).as_bytes());
    sim.pass(Duration::from_millis(500));
    assert_eq!(heard(&mut sim, FIRST)[0], "+ login p1");
    assert!(heard(&mut sim, FIRST + 1)[0].starts_with("* hello "));
}

#[test]
fn so_many_of_a_network_are_heard_at_once_though_too_many_came() {
    let (mut sim, tokens) = crowded();
    let last = FIRST + APPLYING_OF_PREFIX;
    come(&mut sim, FIRST..last + 1, |_| String::new());
    for who in FIRST..last {
        assert_eq!(heard(&mut sim, who), [""; 0], "{who}");
    }
    assert!(heard(&mut sim, last)[0].starts_with(TOO_OFTEN));
    // Each of them is heard all the same, and the others are turned away when their time is over.
    sim.send(FIRST, format!("/login p0 token:{}\n", tokens[0]).as_bytes());
    sim.pass(APPLY);
    assert_eq!(heard(&mut sim, FIRST)[0], "+ login p0");
    for who in FIRST + 1..last {
        assert!(heard(&mut sim, who)[0].starts_with(TOO_OFTEN), "{who}");
    }
}

#[test]
fn who_has_not_arrived_is_nobody_and_goes_in_time() {
    let mut sim = Sim::calm(1 << 24, Duration::ZERO, Settings::default());
    let here = Ipv4Addr::LOCALHOST.into();
    // Byte by byte, and what follows in the same breath.
    sim.connect_late(here, 3);
    for byte in [b"P", b"P"] {
        sim.send(0, byte);
        sim.pass(Duration::from_secs(1));
    }
    assert_eq!(heard(&mut sim, 0), [""; 0]);
    sim.send(0, b"P/ping\n");
    sim.pass(Duration::from_secs(1));
    let lines = heard(&mut sim, 0);
    assert!(lines[0].starts_with("* hello guest1 ") && lines.contains(&"+ ping".to_owned()), "{lines:?}");
    // Who goes no further is closed without a word.
    sim.connect_late(here, 3);
    sim.send(1, b"P");
    sim.pass(ARRIVE - Duration::from_secs(1));
    assert!(!sim.is_closed(1));
    sim.pass(Duration::from_secs(2));
    assert!(sim.is_closed(1) && heard(&mut sim, 1).is_empty());
    sim.check_at_rest();
}

#[test]
fn of_too_many_that_arrive_the_most_silent_makes_place() {
    let mut sim = Sim::calm(1 << 24, Duration::ZERO, Settings::default());
    let here = Ipv4Addr::LOCALHOST.into();
    for who in 0..ARRIVING {
        sim.connect_late(here, 3);
        sim.pass(Duration::from_millis(1));
        assert!(!sim.is_closed(who));
    }
    sim.send(0, b"P");
    sim.pass(Duration::from_millis(1));
    sim.connect_late(here, 3);
    sim.send(ARRIVING, b"PPP/ping\n");
    sim.pass(Duration::from_millis(100));
    assert!(sim.is_closed(1) && !sim.is_closed(0) && !sim.is_closed(2));
    assert!(heard(&mut sim, ARRIVING)[0].starts_with("* hello guest1 "));
    // The end of the server waits for none of them.
    sim.end();
    assert!((2..ARRIVING).all(|who| sim.is_closed(who)));
}

#[test]
fn somebody_makes_place_while_others_speak_and_nothing_goes_out_before_it_is_written_down() {
    let log = Some(Logging { max: u64::MAX, sync: Duration::ZERO });
    let mut sim = Sim::calm(1 << 24, Duration::ZERO, Settings { max_clients: 3, log, ..Settings::default() });
    sim.connect(0, &mut Here);
    meet(&mut sim, 1..3, |_| "/join #a".to_owned());
    sim.connect_late(Ipv4Addr::LOCALHOST.into(), 1);
    sim.pass(Duration::from_secs(1));
    // Both in one turn, in which the one speaks first.
    sim.send(1, b"hello\n");
    sim.send(3, b"P/ping\n");
    sim.pass(Duration::from_secs(1));
    assert!(heard(&mut sim, 0).iter().any(|line| line.starts_with("* bye full ")) && sim.is_closed(0));
    assert!(heard(&mut sim, 2).contains(&"#a <p1> hello".to_owned()));
    assert!(heard(&mut sim, 3).contains(&"+ ping".to_owned()));
    sim.check_at_rest();
}

#[test]
fn who_waits_for_the_disk_with_one_file_after_another_waits_once() {
    let settings = Settings { rate: 0, ..Settings::default() };
    let mut sim = Sim::calm(1 << 26, Duration::from_secs(60), settings);
    meet(&mut sim, 0..1, |_| "/join #a".to_owned());
    meet(&mut sim, 1..2, |_| "/join #a".to_owned());
    let chunks = format!("={}\n", BASE64.encode(vec![7; CHUNK])).repeat(2_000);
    for file in 1..=2 {
        sim.send(1, format!("/send #a {} x\n{chunks}", 100 << 20).as_bytes());
        sim.pass(Duration::from_millis(100));
        // Whoever made the room may cancel it, and what still comes of it is refused.
        sim.send(0, format!("/cancel {file}\n").as_bytes());
        sim.pass(Duration::from_millis(100));
        assert!(heard(&mut sim, 0).contains(&format!("+ cancel {file}")));
    }
}
