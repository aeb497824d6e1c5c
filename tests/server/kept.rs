//! Places that are kept: connections that are lost, and what nobody notices of that.

use std::io::{BufRead, ErrorKind, Read as _, Write as _};
use std::net::TcpStream;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use chinwag::event::Lost;
use chinwag::hub::Departure;
use chinwag::names::ConnId;
use chinwag::settings::Settings;
use testkit::memory::Memory;
use testkit::proxy::{Cut, Plan, Proxy};
use testkit::{Client, PATIENCE, Server, control};

/// Cuts a connection off: its other end sees a reset.
fn reset(client: Client) {
    socket2::SockRef::from(&client.stream).set_linger(Some(Duration::ZERO)).unwrap();
}

/// Has a place kept, and gives what takes it up.
fn keep(client: &mut Client) -> String {
    client.send("/keep");
    let line = client.starting("+ keep ");
    let words: Vec<&str> = line.split(' ').collect();
    assert!(words.len() == 4 && words[2].len() >= 16 && words[3] == "60", "{line}");
    words[2].to_owned()
}

/// Takes a place up, and gives what is told of it.
fn resume(server: &Server, token: &str, lines: usize) -> (Client, Vec<String>) {
    let mut client = server.connect_raw();
    client.send(&format!("/resume {token} {lines}"));
    let mut told = client.until_starting("+ resume ");
    told.retain(|line| !line.starts_with("* "));
    (client, told)
}

#[test]
fn nobody_notices_that_a_kept_place_was_lost_and_taken_up() {
    let server = Server::start(&[]);
    let (mut alice, mut bob) = (server.in_room("alice", "#lobby"), server.in_room("bob", "#lobby"));
    alice.until("#lobby * bob joined");
    let token = keep(&mut alice);
    alice.send("hello");
    bob.until("#lobby <alice> hello");
    bob.send("one");
    alice.expect("#lobby <bob> one");
    reset(alice);
    bob.ask("/msg alice two", "+ msg alice");
    bob.send("three");
    let (mut alice, told) = resume(&server, &token, 1);
    assert_eq!(told, ["- had 1", "+ resume alice"]);
    alice.expect("@bob <bob> two");
    alice.expect("#lobby <bob> three");
    // The room is still current, and the settings are what they were.
    alice.send("four");
    bob.expect("#lobby <alice> four");
    bob.send("/who #lobby");
    bob.starting("- alice here ");
    bob.starting("- bob here ");
    bob.starting("+ who ");
    alice.ask("/set presence off", "+ set presence off");
    // As nothing came, nothing is told twice, and the token is good for another time.
    reset(alice);
    let (mut alice, told) = resume(&server, &token, 4);
    assert_eq!(told, ["- had 3", "+ resume alice"]);
    assert_eq!(alice.settle(), [""; 0]);
    alice.send("/set");
    alice.until("- presence off");
    alice.until("+ set");
    alice.ask("/quit", "+ quit");
    bob.expect("#lobby * alice quit");
    let mut late = server.connect();
    late.send(&format!("/resume {token} 4"));
    late.starting("! resume gone ");
}

#[test]
fn what_was_written_and_did_not_come_is_written_again() {
    let server = Server::start(&[]);
    let (mut alice, mut bob) = (server.in_room("alice", "#lobby"), server.in_room("bob", "#lobby"));
    alice.until("#lobby * bob joined");
    let token = keep(&mut alice);
    let mut all = Vec::new();
    for n in 0..20 {
        bob.send(&format!("line {n}"));
        bob.send(&format!("/msg alice private {n}"));
        bob.expect("+ msg alice");
        all.extend([format!("#lobby <bob> line {n}"), format!("@bob <bob> private {n}")]);
    }
    alice.until_starting("@bob <bob> private 19");
    // However much of it came, the rest comes again, and what was confirmed is not asked for any more.
    for lines in [0, 7, 39, 40, 7] {
        let (mut anew, told) = resume(&server, &token, lines);
        assert_eq!(told, ["- had 0", "+ resume alice"]);
        let want = &all[lines..];
        assert_eq!((0..want.len()).map(|_| anew.line().unwrap()).collect::<Vec<_>>(), want);
        assert_eq!(alice.rest(), [""; 0], "the connection before is closed");
        alice = anew;
    }
    alice.ask("/keep 30", &format!("+ keep {token} 60"));
    for (line, refused) in [("/keep 41", "! keep usage "), (&*format!("/resume {token} 0"), "! resume refused ")] {
        alice.send(line);
        alice.starting(refused);
    }
    let mut other = server.connect();
    other.send("/keep 1");
    other.starting("! keep usage ");
    for (line, refused) in [
        (format!("/resume {token} 43"), "! resume usage "),
        (format!("/resume {} 0", "0".repeat(32)), "! resume gone "),
        ("/resume nonsense 0".to_owned(), "! resume gone "),
        (format!("/resume {token}"), "! resume usage "),
    ] {
        other.send(&line);
        other.starting(refused);
    }
    // Refusals are lines, and `+ keep` is none.
    let (mut alice, _) = resume(&server, &token, 42);
    assert_eq!(alice.settle(), [""; 0]);
}

#[test]
fn lines_are_counted_that_were_carried_out_or_refused() {
    let server = Server::start(&[]);
    let mut alice = server.in_room("alice", "#lobby");
    alice.send("not counted");
    let token = keep(&mut alice);
    alice.send("one\n\n/ping two\n/nope three\n=AAAA\n/keep\n/keep x\n/resume x\n//five\r\n/ping six");
    alice.until_starting("+ ping six");
    alice.send_bytes(b"unfinish");
    alice.end();
    assert_eq!(alice.rest(), [""; 0]);
    let (mut alice, told) = resume(&server, &token, 0);
    assert_eq!(told, ["- had 6", "+ resume alice"]);
    alice.expect("+ ping two");
    alice.starting("! ? unknown-command ");
    alice.starting("! ? no-upload ");
    alice.starting("! keep usage ");
    alice.starting("! resume usage ");
    alice.expect("+ ping six");
    assert_eq!(alice.settle(), [""; 0]);
}

#[test]
fn lines_count_that_are_refused_as_one_was_put_out() {
    const LINES: usize = 60;
    let server = Server::start(&["--rate", "5"]);
    let (mut bob, mut alice) = (server.in_room("bob", "#lobby"), server.in_room("alice", "#lobby"));
    let token = keep(&mut alice);
    // More than may be said at once.
    let lines: String = (0..LINES).map(|n| format!("/msg #lobby {n}\n")).collect();
    alice.send_bytes(lines.as_bytes());
    bob.until("#lobby <alice> 0");
    bob.send("/kick alice");
    bob.until_starting("+ kick ");
    let mut replies = 0;
    let mut refused = 0;
    while replies < LINES {
        let line = alice.line().unwrap();
        replies += usize::from(line.starts_with("+ msg ") || line.starts_with("! msg "));
        refused += usize::from(line.starts_with("! msg not-in-room "));
    }
    assert!(refused > 0, "none was held back");
    reset(alice);
    let (_alice, told) = resume(&server, &token, 0);
    assert_eq!(told, [format!("- had {LINES}"), "+ resume alice".to_owned()]);
}

#[test]
fn the_end_of_input_is_a_loss_once_all_is_carried_out_and_written() {
    let server = Server::start(&["--rate", "20"]);
    let mut bob = server.in_room("bob", "#lobby");
    let mut alice = server.in_room("alice", "#lobby");
    bob.until("#lobby * alice joined");
    let token = keep(&mut alice);
    // More than may be said at once.
    let lines: String = (0..90).map(|n| format!("/msg bob {n}\n")).collect();
    alice.send_bytes(lines.as_bytes());
    alice.end();
    assert_eq!(alice.rest().len(), 90, "each has its reply before the connection is closed");
    for n in 0..90 {
        bob.expect(&format!("@alice <alice> {n}"));
    }
    let (_alice, told) = resume(&server, &token, 90);
    assert_eq!(told, ["- had 90", "+ resume alice"]);
    assert_eq!(bob.settle(), [""; 0], "nobody has seen anything");
}

#[test]
fn line_ends_are_those_of_the_connection_that_takes_a_place_up() {
    let server = Server::start(&[]);
    let mut alice = server.in_room("alice", "#lobby");
    let mut bob = server.in_room("bob", "#lobby");
    alice.until("#lobby * bob joined");
    let token = keep(&mut alice);
    bob.send("one");
    alice.expect("#lobby <bob> one");
    let mut anew = server.connect();
    anew.send_bytes(format!("/resume {token} 0\r\n/ping two\r\n").as_bytes());
    anew.until_starting("- had");
    for want in ["+ resume alice\r\n", "#lobby <bob> one\r\n", "+ ping two\r\n"] {
        assert_eq!(String::from_utf8(anew.raw_line()).unwrap(), want);
    }
    let mut anew = server.connect();
    anew.send(&format!("/resume {token} 0"));
    anew.until_starting("+ resume");
    assert_eq!(anew.raw_line(), b"#lobby <bob> one\n");
}

#[test]
fn who_is_told_less_than_was_written_is_told_so() {
    let server = Server::start(&["--rate", "0", "--history", "1000"]);
    let (mut alice, mut bob) = (server.in_room("alice", "#lobby"), server.in_room("bob", "#lobby"));
    alice.until("#lobby * bob joined");
    bob.send("before");
    alice.expect("#lobby <bob> before");
    let token = keep(&mut alice);
    let text = "x".repeat(1_000);
    for n in 0..100 {
        bob.send(&format!("{n} {text}"));
    }
    alice.until_starting("#lobby <bob> 99 ");
    let (mut alice, told) = resume(&server, &token, 10);
    assert_eq!(told, ["- had 0", "+ resume alice"]);
    let missed = alice.starting("#lobby * alice missed ");
    let words: Vec<u64> = missed.split(' ').filter_map(|word| word.parse().ok()).collect();
    let [count, after] = words[..] else { panic!("{missed}") };
    assert_eq!(after, 1, "what was dropped and not confirmed is told of");
    let first: u64 = alice.starting("#lobby <bob> ").split(' ').nth(2).unwrap().parse().unwrap();
    assert_eq!(count, first, "what is missed ends where it goes on");
    assert!((30..50).contains(&first), "64 KiB are held, from {first} on");
    alice.until_starting("#lobby <bob> 99 ");
    // All of this is counted on from what had come.
    let (mut alice, _) = resume(&server, &token, 11);
    assert_eq!(alice.until_starting("#lobby <bob> 99 ").len() as u64, 100 - first);
}

#[test]
fn private_lines_that_are_held_no_more_are_told_of() {
    let server = Server::start(&["--rate", "0"]);
    let (mut alice, mut bob) = (server.person("alice"), server.person("bob"));
    let token = keep(&mut alice);
    let text = "x".repeat(1_000);
    for n in 0..100 {
        bob.ask(&format!("/msg alice {n} {text}"), "+ msg alice");
    }
    alice.until_starting("@bob <bob> 99 ");
    let (mut alice, _) = resume(&server, &token, 0);
    alice.expect("* notice private messages were left out");
    alice.until_starting("@bob <bob> 99 ");
}

#[test]
fn who_asks_late_takes_nothing_from_who_has_come_after_them() {
    // What came meanwhile may be confirmed, or held no more though it is not.
    for (is_confirmed, len) in [(true, 10), (false, 1_000)] {
        let server = Server::start(&["--rate", "0"]);
        let (mut alice, mut bob) = (server.in_room("alice", "#lobby"), server.in_room("bob", "#lobby"));
        alice.until("#lobby * bob joined");
        let token = keep(&mut alice);
        let text = "x".repeat(len);
        let say = |bob: &mut Client, all: std::ops::Range<usize>| {
            for n in all {
                bob.ask(&format!("/msg #lobby {n} {text}"), "+ msg #lobby");
            }
        };
        say(&mut bob, 0..20);
        alice.until_starting("#lobby <bob> 19 ");
        let mut late = server.connect();
        let (mut alice, _) = resume(&server, &token, 20);
        say(&mut bob, 20..120);
        alice.until_starting("#lobby <bob> 119 ");
        if is_confirmed {
            alice.ask("/keep 120", &format!("+ keep {token} 60"));
        }
        late.send(&format!("/resume {token} 20"));
        late.until("+ resume alice");
        // Nobody who counts hears of it, nor is it counted.
        late.starting("#lobby * alice missed ");
        bob.ask("/msg #lobby room", "+ msg #lobby");
        bob.ask("/msg alice private", "+ msg alice");
        late.until("@bob <bob> private");
        let (mut alice, told) = resume(&server, &token, 120);
        assert_eq!(told, ["- had 0", "+ resume alice"]);
        alice.expect("#lobby <bob> room");
        alice.expect("@bob <bob> private");
        assert_eq!(alice.settle(), [""; 0]);
    }
}

#[test]
fn what_was_confirmed_and_is_asked_for_all_the_same_is_told_of() {
    let server = Server::start(&["--rate", "0"]);
    let (mut alice, mut bob) = (server.in_room("alice", "#lobby"), server.in_room("bob", "#lobby"));
    alice.until("#lobby * bob joined");
    let token = keep(&mut alice);
    for line in ["/msg #lobby one", "/msg alice two", "/msg #lobby three"] {
        bob.send(line);
        bob.starting("+ msg ");
    }
    alice.until("#lobby <bob> three");
    alice.ask("/keep 3", &format!("+ keep {token} 60"));
    let (mut alice, _) = resume(&server, &token, 0);
    alice.expect("#lobby * alice missed 2 after 0");
    alice.expect("* notice private messages were left out");
    let (mut alice, _) = resume(&server, &token, 3);
    assert_eq!(alice.settle(), [""; 0]);
}

#[test]
fn whoever_confirms_too_much_is_told_how_much_was_written_to_them() {
    let server = Server::start(&["--rate", "0"]);
    let (mut alice, mut bob) = (server.in_room("alice", "#lobby"), server.in_room("bob", "#lobby"));
    alice.until("#lobby * bob joined");
    let token = keep(&mut alice);
    (0..40).for_each(|n| bob.ask(&format!("/msg alice {n}"), "+ msg alice"));
    alice.until("@bob <bob> 39");
    let (mut alice, _) = resume(&server, &token, 30);
    alice.until("@bob <bob> 39");
    alice.send("/keep 41");
    alice.starting("! keep usage no more than 40 lines came ");
    // A refusal is a line, and is written behind what is held.
    alice.ask("/keep 41", &format!("+ keep {token} 60"));
}

#[test]
fn what_tells_that_lines_are_left_out_is_told_again_until_it_has_come() {
    let server = Server::start(&["--rate", "0"]);
    let (mut alice, mut bob) = (server.in_room("alice", "#lobby"), server.in_room("bob", "#lobby"));
    for client in [&mut alice, &mut bob] {
        client.send("/join #side");
        client.until_starting("+ join #side ");
    }
    alice.until("#side * bob joined");
    let token = keep(&mut alice);
    let text = "x".repeat(4_000);
    let say = |bob: &mut Client| (0..40).for_each(|_| bob.ask(&format!("/msg #lobby {text}"), "+ msg #lobby"));
    bob.ask("/msg #side aside", "+ msg #side");
    say(&mut bob);
    // None of this is read.
    let (_nobody, _) = resume(&server, &token, 0);
    say(&mut bob);
    let (mut alice, _) = resume(&server, &token, 0);
    let told = alice.until_starting("#lobby <bob> ");
    let (side, lobby) = (&told[0], &told[1]);
    assert_eq!((told.len(), side.as_str()), (3, "#side * alice missed 1 after 0"), "{told:?}");
    assert!(lobby.starts_with("#lobby * alice missed ") && lobby.ends_with(" after 0"), "{lobby}");
}

#[test]
fn own_replies_that_are_held_no_more_are_no_private_messages() {
    let server = Server::start(&["--rate", "0"]);
    let (mut alice, mut bob) = (server.in_room("alice", "#lobby"), server.in_room("bob", "#lobby"));
    alice.until("#lobby * bob joined");
    let token = keep(&mut alice);
    alice.ask("/ping one", "+ ping one");
    let text = "x".repeat(1_000);
    (0..100).for_each(|_| bob.ask(&format!("/msg #lobby {text}"), "+ msg #lobby"));
    // Of what has come nothing is told.
    let (mut alice, _) = resume(&server, &token, 1);
    assert!(alice.starting("#lobby ").starts_with("#lobby * alice missed "));
    assert!(alice.starting("#lobby ").starts_with("#lobby <bob> "));
    drop(alice);
    let server = Server::start(&["--rate", "0"]);
    let (mut alice, mut bob) = (server.in_room("alice", "#lobby"), server.in_room("bob", "#lobby"));
    alice.until("#lobby * bob joined");
    let token = keep(&mut alice);
    alice.ask("/ping one", "+ ping one");
    (0..100).for_each(|_| bob.ask(&format!("/msg #lobby {text}"), "+ msg #lobby"));
    let (mut alice, _) = resume(&server, &token, 0);
    alice.starting("#lobby * alice missed ");
    alice.expect("* notice replies or news of the server were left out");
    alice.starting("#lobby <bob> ");
}

#[test]
fn what_waits_for_a_lost_place_is_bounded_and_senders_are_told() {
    let server = Server::start(&["--rate", "0"]);
    let (mut alice, mut bob) = (server.in_room("alice", "#lobby"), server.in_room("bob", "#lobby"));
    alice.until("#lobby * bob joined");
    let token = keep(&mut alice);
    reset(alice);
    let text = "x".repeat(1_000);
    for n in 0..100 {
        bob.send(&format!("{n} {text}"));
    }
    bob.send("/msg alice busy?");
    bob.starting("! msg busy ");
    let (mut alice, _) = resume(&server, &token, 0);
    let lines = alice.until_starting("#lobby * alice missed ");
    let heard = lines.len() - 1;
    assert!((40..80).contains(&heard), "{heard}");
    assert_eq!(lines[heard], format!("#lobby * alice missed {} after {heard}", 100 - heard));
    bob.ask("/msg alice and now?", "+ msg alice");
    alice.expect("@bob <bob> and now?");
}

#[test]
fn who_offers_a_file_or_invites_hears_that_it_reached_nobody() {
    let mut memory = Memory::new(Settings { rate: 0, ..Settings::default() });
    for nick in ["alice", "carol", "dora", "bob"] {
        memory.connect(nick);
        memory.send(nick, format!("/nick {nick}\n").as_bytes());
    }
    let (conns, now) = ([1, 2, 3].map(|n| ConnId::new(n, 0)), memory.now());
    conns.iter().for_each(|&conn| memory.hub.lose_sight(conn, Lost::Reset));
    for line in ["/join #lobby", "/send alice 3 a.txt", "/invite carol"] {
        memory.send("bob", format!("{line}\n").as_bytes());
    }
    while memory.next("bob").is_some() {}
    conns.iter().for_each(|&conn| memory.hub.disconnect(conn, now, Departure::Quit, &mut memory.notes));
    memory.send("bob", b"/ping\n");
    let told: Vec<String> = std::iter::from_fn(|| memory.next("bob")).filter(|line| line.ends_with(" lost")).collect();
    assert_eq!(told, ["@alice * alice lost", "@carol * carol lost"]);
}

#[test]
fn a_place_is_taken_up_on_a_server_that_is_locked_or_full() {
    let folder = tempfile::tempdir().unwrap();
    let password = folder.path().join("password");
    std::fs::write(&password, "open\n").unwrap();
    let server = Server::start(&["--password-file", password.to_str().unwrap(), "--max-clients", "2"]);
    let mut alice = server.connect_raw();
    alice.starting("* locked ");
    alice.send("/keep");
    alice.starting("! keep locked ");
    alice.send("/pass open");
    alice.until_starting("* hello ");
    let token = keep(&mut alice);
    reset(alice);
    let (alice, told) = resume(&server, &token, 0);
    assert!(told.last().unwrap().starts_with("+ resume guest1"), "{told:?}");
    reset(alice);
    let mut bob = server.connect_raw();
    bob.starting("* locked ");
    bob.ask("/ping", "+ ping");
    // The place counts, and so nobody else has one.
    let mut nobody = server.connect_raw();
    nobody.send("/ping");
    nobody.starting("* bye full ");
    let mut silent = server.connect_raw();
    silent.starting("* bye full ");
    let mut wrong = server.connect_raw();
    wrong.send(&format!("/resume {} 0", "0".repeat(32)));
    wrong.starting("* bye full ");
    let mut alice = server.connect_raw();
    // Lines that are empty are none.
    alice.send(&format!("\n\r\n/resume {token} 0\n/ping"));
    alice.expect("- had 0");
    alice.starting("+ resume guest1");
    alice.until("+ ping");
}

#[test]
fn a_guest_who_was_here_when_guests_were_shut_out_comes_back_and_listens() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().to_str().unwrap();
    let server = Server::start(&["--data", data]);
    let (mut alice, mut mallory) = (server.in_room("alice", "#lobby"), server.in_room("mallory", "#lobby"));
    alice.send("/register correct-horse");
    alice.until("+ register alice");
    let token = keep(&mut mallory);
    reset(mallory);
    control(&folder.path().join("ctl"), "/server guests off\n");
    let mut late = server.connect_raw();
    late.starting("* locked ");
    let (mut mallory, told) = resume(&server, &token, 0);
    assert_eq!(told, ["- had 0", "+ resume mallory"]);
    mallory.send("hello");
    mallory.starting("! say muted ");
    alice.send("who is there?");
    mallory.until("#lobby <alice> who is there?");
    // Who was not here has no such way.
    late.send(&format!("/resume {} 0", "0".repeat(32)));
    late.until_starting("! resume gone ");
}

#[test]
fn transfers_go_on_in_a_place_that_is_taken_up() {
    let server = Server::start(&["--rate", "0"]);
    let (mut alice, mut bob) = (server.in_room("alice", "#lobby"), server.in_room("bob", "#lobby"));
    alice.until("#lobby * bob joined");
    let token = keep(&mut alice);
    let bytes: Vec<u8> = (0..40_000u32).map(|n| u8::try_from(n % 251).unwrap()).collect();
    alice.send(&format!("/send #lobby {} up.bin", bytes.len()));
    alice.expect("+ send 1 0");
    alice.send(&format!("={}", BASE64.encode(&bytes[..30_000])));
    alice.send_bytes(format!("={}", &BASE64.encode(&bytes[30_000..])[..1_000]).as_bytes());
    bob.until_starting("#lobby * alice file 1 ");
    bob.send("/get 1");
    bob.expect("+ get 1 0 40000 up.bin");
    assert!(bob.starting("=1 ").len() > 16_000);
    reset(alice);
    let (mut alice, told) = resume(&server, &token, 1);
    assert_eq!(told, ["- had 2", "- upload 1 30000", "+ resume alice"]);
    alice.send(&format!("={}", BASE64.encode(&bytes[30_000..])));
    let end = alice.starting("=1 . 40000 sha256:");
    bob.until(&end);
    // What came of a download is read again, wherever it was cut.
    let token = keep(&mut bob);
    bob.send("/get 1");
    let mut all = bob.until(&end);
    all.push(end);
    assert_eq!(all[0], "+ get 1 0 40000 up.bin");
    alice.send("behind it");
    bob.expect("#lobby <alice> behind it");
    all.push("#lobby <alice> behind it".to_owned());
    for lines in (0..=all.len()).rev() {
        let (mut anew, _) = resume(&server, &token, lines);
        let want = &all[lines..];
        assert_eq!((0..want.len()).map(|_| anew.line().unwrap()).collect::<Vec<_>>(), want, "from {lines} on");
    }
    // What is there no more cannot go on.
    alice.ask("/cancel 1", "+ cancel 1");
    let (mut anew, _) = resume(&server, &token, 2);
    anew.starting("=1 ! gone ");
    anew.expect("#lobby <alice> behind it");
    anew.expect("#lobby * alice unfile 1 gone");
}

/// Somebody whose place is kept, and who takes it up whenever the connection is lost.
struct Faithful {
    address: String,
    client: Client,
    token: String,
    /// Lines that have come, and all that were sent.
    lines: u64,
    sent: Vec<String>,
}

impl Faithful {
    fn new(address: &str, mut client: Client) -> Self {
        let token = keep(&mut client);
        Self { address: address.to_owned(), client, token, lines: 0, sent: Vec::new() }
    }

    fn send(&mut self, line: &str) {
        self.sent.push(line.to_owned());
        // What is lost is sent again.
        let _ = self.client.stream.write_all(format!("{line}\n").as_bytes());
    }

    /// The next whole line of the connection that there is, if it has not been lost.
    fn try_line(&mut self) -> Option<String> {
        let mut line = Vec::new();
        if let Err(e) = self.client.reader().read_until(b'\n', &mut line) {
            assert_ne!(e.kind(), ErrorKind::WouldBlock, "nothing comes, after {} lines", self.lines);
            return None;
        }
        String::from_utf8(line).unwrap().strip_suffix('\n').map(str::to_owned)
    }

    fn line(&mut self) -> String {
        for _ in 0..20 {
            if let Some(line) = self.try_line() {
                self.lines += 1;
                return line;
            }
            while !self.try_resume() {}
        }
        panic!("the place is taken up again and again, and nothing comes, after {} lines", self.lines);
    }

    fn try_resume(&mut self) -> bool {
        self.client = Client::new(TcpStream::connect(&self.address).unwrap());
        let line = format!("/resume {} {}\n", self.token, self.lines);
        if self.client.stream.write_all(line.as_bytes()).is_err() {
            return false;
        }
        let mut had = 0;
        while let Some(line) = self.try_line() {
            if let Some(count) = line.strip_prefix("- had ") {
                had = count.parse().unwrap();
            }
            assert!(!line.starts_with("! "), "{line}");
            if line.starts_with("+ resume ") {
                for line in self.sent.split_off(had) {
                    self.send(&line);
                }
                return true;
            }
        }
        false
    }
}

#[test]
fn on_a_line_that_is_cut_at_random_everything_comes_once_and_in_order() {
    const LINES: usize = 600;
    let server = Server::start(&["--rate", "0"]);
    let plan = Plan { seed: 11, cuts: 250, bytes: 100..2_500, milliseconds: 5_000..10_000 };
    let proxy = Proxy::cutting(server.port, plan);
    let (mut bob, mut carol) = (server.in_room("bob", "#lobby"), server.in_room("carol", "#lobby"));
    bob.until("#lobby * carol joined");
    // Whoever is cut off before their place is kept has none.
    let alice = server.in_room("alice", "#lobby");
    bob.until("#lobby * alice joined");
    carol.until("#lobby * alice joined");
    let mut alice = Faithful::new(&proxy.address(), alice);
    socket2::SockRef::from(&alice.client.stream).shutdown(std::net::Shutdown::Both).unwrap();
    for n in 0..LINES {
        let text = "x".repeat(n % 90);
        bob.send(&format!("room {n} {text}"));
        bob.ask(&format!("/msg alice private {n} {text}"), "+ msg alice");
        alice.send(&format!("mine {n}"));
        alice.send(&format!("/msg carol mine {n}"));
        let mut heard = Vec::new();
        while heard.len() < 3 {
            heard.push(alice.line());
        }
        heard.retain(|line| line != "+ msg carol");
        assert_eq!(heard, [format!("#lobby <bob> room {n} {text}"), format!("@bob <bob> private {n} {text}")]);
        for hearer in [&mut bob, &mut carol] {
            hearer.until(&format!("#lobby <alice> mine {n}"));
        }
        carol.expect(&format!("@alice <alice> mine {n}"));
    }
    assert!(proxy.cuts() >= 60, "{} cuts", proxy.cuts());
    for hearer in [&mut bob, &mut carol] {
        assert_eq!(hearer.settle(), [""; 0], "somebody saw it go");
    }
}

#[test]
fn a_connection_that_stands_is_closed_when_its_place_is_taken_up() {
    let server = Server::start(&[]);
    let proxy = Proxy::start(server.port);
    let mut bob = server.in_room("bob", "#lobby");
    let mut alice = Client::new(TcpStream::connect(proxy.address()).unwrap());
    alice.send("/nick alice\n/join #lobby\n/set presence off");
    alice.until("+ set presence off");
    let token = keep(&mut alice);
    bob.until("#lobby * alice joined");
    // As on a train: nothing passes, and nobody says that it is over.
    proxy.stall(true);
    bob.send("into the tunnel");
    let (mut anew, _) = resume(&server, &token, 0);
    anew.expect("#lobby <bob> into the tunnel");
    proxy.stall(false);
    alice.rest();
    proxy.cut(Cut::Close);
    assert_eq!(anew.settle(), [""; 0]);
    assert_eq!(bob.settle(), [""; 0]);
}

/// What ends a place: who has it, whether they own that name, and what an operator says, or somebody beside them.
const ENDS: &[(&str, bool, Option<&str>, &[&str])] = &[
    ("ann", true, Some("/grant ann"), &[]),
    ("bea", false, Some("/grant bea"), &[]),
    ("cyd", true, Some("/revoke cyd"), &[]),
    ("dee", true, None, &["/login dee correct-horse", "/drop correct-horse"]),
    ("eve", false, Some("/kill eve"), &[]),
    ("fay", true, Some("/kill fay"), &[]),
    ("gil", true, Some("/block gil"), &[]),
];

#[test]
fn whatever_takes_a_name_away_or_puts_somebody_out_ends_their_place() {
    for is_lost in [true, false] {
        let folder = tempfile::tempdir().unwrap();
        let server = Server::start(&["--data", folder.path().to_str().unwrap()]);
        let mut watcher = server.in_room("watcher", "#lobby");
        for &(name, is_owner, operator, beside) in ENDS {
            let mut client = server.in_room(name, "#lobby");
            if is_owner {
                client.send("/register correct-horse");
                client.until_starting("+ register ");
            }
            let token = keep(&mut client);
            let mut standing = None;
            if is_lost {
                reset(client);
            } else {
                standing = Some(client);
            }
            if let Some(line) = operator {
                let told = control(&folder.path().join("ctl"), &format!("{line}\n"));
                assert!(told[0].starts_with("+ "), "{told:?}");
            }
            let mut other = server.connect();
            for line in beside {
                other.send(line);
                other.until_starting(&format!("+ {} ", line[1..].split_once(' ').unwrap().0));
            }
            let mut late = server.connect();
            late.send(&format!("/resume {token} 0\n/ping"));
            let told = late.until("+ ping");
            assert!(told.iter().any(|line| line.starts_with("! resume gone ")), "{name}, lost: {is_lost}: {told:?}");
            if is_lost && name != "dee" {
                // There is nobody who could go on as somebody else.
                watcher.until_starting(&format!("#lobby * {name} lost "));
            }
            // Who goes on has no place, and may have another.
            if let Some(client) = standing.as_mut().filter(|_| ["bea", "cyd", "dee"].contains(&name)) {
                client.send("/keep 1");
                client.until_starting("* nick guest");
                client.until_starting("! keep usage ");
                assert_ne!(keep(client), token);
            }
        }
    }
}

#[test]
fn who_gives_up_their_name_has_another_place_from_then_on() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(&["--data", folder.path().to_str().unwrap()]);
    let mut alice = server.in_room("alice", "#lobby");
    alice.send("/register correct-horse");
    alice.until_starting("+ register ");
    let first = keep(&mut alice);
    alice.send("/drop correct-horse");
    alice.until_starting("+ drop guest");
    let mut late = server.connect();
    late.send(&format!("/resume {first} 0"));
    late.until_starting("! resume gone ");
    let second = keep(&mut alice);
    alice.ask("/ping", "+ ping");
    reset(alice);
    let (mut alice, told) = resume(&server, &second, 1);
    assert!(told.len() == 2 && told[0] == "- had 1" && told[1].starts_with("+ resume guest"), "{told:?}");
    alice.ask("/msg #lobby hello", "+ msg #lobby");
}

#[test]
fn whoever_waits_for_a_place_is_answered_where_no_line_is() {
    let server = Server::start(&["--max-clients", "1"]);
    let mut alice = server.person("alice");
    keep(&mut alice);
    // It may be somebody who has a place here.
    let mut waiting = TcpStream::connect(server.socket_address()).unwrap();
    waiting.set_read_timeout(Some(PATIENCE)).unwrap();
    waiting.write_all(b"\xff\xfd\x01").unwrap();
    let mut answer = [0; 3];
    waiting.read_exact(&mut answer).unwrap();
    assert_eq!(answer, *b"\xff\xfc\x01");
}

/// It is no other connection, of which somebody might think that it is not theirs.
#[test]
fn a_place_that_is_kept_is_told_apart_from_a_connection() {
    let dir = tempfile::tempdir().unwrap();
    let server = Server::start(&["--data", dir.path().to_str().unwrap()]);
    let mut alice = server.person("alice");
    alice.ask("/register correct-horse", "+ register alice");
    let mut other = server.connect();
    other.send("/login alice correct-horse");
    other.until("+ login alice");
    let token = keep(&mut other);
    reset(other);
    let mut account = || {
        alice.send("/account");
        let rows = alice.until("+ account alice owned");
        rows.into_iter().filter(|row| row.starts_with("- ways") || row.starts_with("- kept")).collect::<Vec<_>>()
    };
    testkit::eventually("it is lost", || account() == ["- ways 1", "- kept 1"]);
    let _back = resume(&server, &token, 0);
    assert_eq!(account(), ["- ways 2"]);
}
