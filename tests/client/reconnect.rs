//! Two people at terminals, on bad connections: every line comes once and in order, and files arrive whole.

use std::fs;
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use testkit::proxy::{Cut, Plan, Proxy};
use testkit::pty::{Emulator, Screen, Speaks, Terminal};
use testkit::{PATIENCE, Server, binary, eventually, noise};

/// Ctrl-D.
const LEAVE: &str = "\x04";

/// Somebody at a terminal, in `#lobby`.
struct Person {
    nick: &'static str,
    terminal: Terminal,
    /// What they fetch comes here.
    downloads: tempfile::TempDir,
}

impl Person {
    /// Starts a client, and waits until it is in the room.
    fn enter(nick: &'static str, port: u16) -> Self {
        let downloads = tempfile::tempdir().unwrap();
        let mut command = Command::new(binary());
        command.args(["connect", &format!("127.0.0.1:{port}"), "--nick", nick, "--join", "#lobby"]);
        command.args(["--color", "never", "--bell", "never", "--downloads"]).arg(downloads.path());
        let terminal = Terminal::start(&mut command, 200, 30, Emulator::Reflowing, Speaks::Nothing);
        let person = Self { nick, terminal, downloads };
        // The status row tells the name as soon as we are in.
        person.status(&format!("· {nick} ·"));
        person
    }

    fn types(&self, line: &str) {
        // Lines that come at once would be a paste.
        // Of one that is wider than the row, its end is to be seen.
        let end = &line[line.len().saturating_sub(20)..];
        let stands = |screen: &Screen| screen.rows[screen.cursor.0].ends_with(end);
        self.terminal.keys(line);
        self.terminal.wait_until(line, stands);
        self.terminal.keys("\r");
        self.terminal.wait_until("the line taken", |screen| !stands(screen));
    }

    /// Waits for a line in which this stands.
    #[track_caller]
    fn sees(&self, text: &str) -> Screen {
        self.terminal.wait_until(text, |screen| screen.unbroken().iter().any(|line| line.contains(text)))
    }

    /// Waits until this stands in the status row, which is the last.
    #[track_caller]
    fn status(&self, text: &str) -> Screen {
        self.terminal.wait_until(text, |screen| screen.lines.last().is_some_and(|line| line.contains(text)))
    }

    /// What was said, in the order in which it stands on the screen: `<alice> hello`.
    fn said(&self) -> Vec<String> {
        said(&self.terminal.screen())
    }

    /// Waits until something was said, and returns all that was.
    #[track_caller]
    fn hears(&self, last: &str) -> Vec<String> {
        said(&self.terminal.wait_until(last, |screen| said(screen).iter().any(|line| line == last)))
    }

    /// What the screen tells besides what was said.
    fn besides(&self) -> Vec<String> {
        self.terminal.screen().unbroken().into_iter().filter(|line| !line.contains(" #lobby <")).collect()
    }

    /// What stands after `before` in the first line that has it.
    fn word_after(&self, before: &str) -> Option<String> {
        let lines = self.terminal.screen().unbroken();
        let rest = lines.iter().find_map(|line| line.split_once(before)).map(|(_, rest)| rest.to_owned());
        rest.and_then(|rest| rest.split(' ').next().map(str::to_owned))
    }
}

fn said(screen: &Screen) -> Vec<String> {
    let lines = screen.unbroken();
    let said = lines.iter().filter_map(|line| line.split_once(" #lobby <"));
    // Whoever made the room is its op, which is no part of the name.
    said.map(|(_, line)| format!("<{}", line.trim_start_matches('@'))).collect()
}

fn lines(nick: &str, numbers: std::ops::Range<usize>) -> Vec<String> {
    numbers.map(|n| format!("<{nick}> line {n} of {nick}")).collect()
}

#[test]
fn a_hundred_cuts_lose_nothing_and_double_nothing() {
    const SIZE: usize = 20_000_000;
    const CUTS: usize = 50;
    const PACE: Duration = Duration::from_millis(100);
    let server = Server::start(&["--rate", "0", "--history", "5000"]);
    let folder = tempfile::tempdir().unwrap();
    // What both files take on their ways is more than this lets pass before the last cut.
    let plan = |seed| Plan { seed, cuts: CUTS, bytes: 0..2_200_000, milliseconds: 0..500 };
    let proxies = [1, 2].map(|seed| Proxy::cutting(server.port, plan(seed)));
    let people = [Person::enter("alice", proxies[0].port()), Person::enter("bob", proxies[1].port())];
    let files = ["alice", "bob"].map(|nick| folder.path().join(format!("{nick}.bin")));
    let bytes = [3, 4].map(|seed| noise(SIZE, seed));
    for ((person, file), bytes) in people.iter().zip(&files).zip(&bytes) {
        fs::write(file, bytes).unwrap();
        person.types(&format!("/send #lobby {}", file.display()));
    }
    // Each fetches what the other has shared, once it is there.
    let mut fetching = [false; 2];
    let mut saved = [false; 2];
    let mut count = 0;
    let since = Instant::now();
    while count < 100 || saved.contains(&false) || proxies.iter().any(|proxy| proxy.cuts() < CUTS) {
        for (n, person) in people.iter().enumerate() {
            person.types(&format!("line {count} of {}", person.nick));
            let other = &people[1 - n];
            if !fetching[n]
                && let Some(file) = other.word_after(".bin is shared with #lobby, as file ")
            {
                person.types(&format!("/get {file}"));
                fetching[n] = true;
            }
            saved[n] = saved[n] || fetching[n] && person.word_after("· saved ").is_some();
        }
        count += 1;
        let cuts = [proxies[0].cuts(), proxies[1].cuts()];
        assert!(
            since.elapsed() < Duration::from_secs(90),
            "{cuts:?} cuts, fetching {fetching:?}, saved {saved:?}\n{:#?}\n{:#?}",
            people[0].besides(),
            people[1].besides()
        );
        thread::sleep(PACE);
    }
    eprintln!("after {:?}: {count} lines each", since.elapsed());
    for person in &people {
        for other in ["alice", "bob"] {
            let last = format!("> line {} of {other}", count - 1);
            person.terminal.wait_until(&last, |screen| said(screen).iter().any(|line| line.ends_with(&last)));
        }
    }
    let all = people.each_ref().map(Person::said);
    for said in &all {
        for nick in ["alice", "bob"] {
            // Whose own lost connection still has the name speaks as a guest meanwhile.
            let texts = said.iter().filter_map(|line| line.split_once("> ")).map(|(_, text)| text);
            let from: Vec<_> = texts.filter(|text| text.ends_with(&format!(" of {nick}"))).collect();
            assert_eq!(from, (0..count).map(|n| format!("line {n} of {nick}")).collect::<Vec<_>>());
        }
    }
    assert_eq!(all[0], all[1], "the order of the room is the same for both");
    for (n, person) in people.iter().enumerate() {
        let path = person.downloads.path().join(files[1 - n].file_name().unwrap());
        assert!(fs::read(&path).unwrap() == bytes[1 - n], "{} is not what it was", path.display());
        assert_eq!(fs::read_dir(person.downloads.path()).unwrap().count(), 1);
    }
    assert!(proxies.iter().all(|proxy| proxy.cuts() == CUTS));
}

/// A connection that ends within a line has brought the server its beginning, and nobody may see that.
#[test]
fn a_line_that_was_cut_in_half_is_said_once() {
    const CUTS: usize = 8;
    let server = Server::start(&["--rate", "0"]);
    let mut alice = server.in_room("alice", "#lobby");
    let plan = Plan { seed: 5, cuts: CUTS, bytes: 2_000..4_000, milliseconds: 15_000..16_000 };
    let proxy = Proxy::cutting(server.port, plan);
    let bob = Person::enter("bob", proxy.port());
    let line = |n: usize| format!("line {n} {}.", "long ".repeat(100));
    let mut count = 0;
    while proxy.cuts() < CUTS {
        bob.types(&line(count));
        bob.hears(&format!("<bob> {}", line(count)));
        count += 1;
    }
    bob.types("the end");
    // Only their beginnings and lengths, so that a failure can be read.
    let short = |line: &str| line.strip_prefix("<bob> line ").map(|line| format!("{} {}", &line[..3], line.len()));
    let want: Vec<_> = (0..count).filter_map(|n| short(&format!("<bob> {}", line(n)))).collect();
    let said: Vec<_> = bob.hears("<bob> the end").iter().filter_map(|line| short(line)).collect();
    let seen = alice.until("#lobby <bob> the end");
    let seen: Vec<_> = seen.iter().filter_map(|line| short(line.strip_prefix("#lobby ")?)).collect();
    assert_eq!((said, seen), (want.clone(), want), "{:#?}", bob.besides());
}

#[test]
fn what_is_typed_without_a_connection_is_sent_with_the_next() {
    let server = Server::start(&[]);
    let proxy = Proxy::start(server.port);
    let mut alice = server.in_room("alice", "#lobby");
    let bob = Person::enter("bob", proxy.port());
    alice.until("#lobby * bob joined");
    proxy.refuse(true);
    proxy.cut(Cut::Reset);
    alice.until_starting("#lobby * bob lost");
    bob.status("reconnecting in ");
    bob.sees("· the connection is lost: connection reset");
    for n in 0..3 {
        bob.types(&format!("line {n} of bob"));
    }
    bob.types("/topic offline");
    bob.types("line 3 of bob");
    bob.status("5 unsent");
    for n in 0..5 {
        alice.send(&format!("line {n} of alice"));
    }
    alice.settle();
    proxy.refuse(false);
    alice.until("#lobby * bob joined");
    for n in 0..3 {
        alice.expect(&format!("#lobby <bob> line {n} of bob"));
    }
    alice.expect("#lobby * bob topic offline");
    alice.expect("#lobby <bob> line 3 of bob");
    let want = [lines("alice", 0..5), lines("bob", 0..4)].concat();
    assert_eq!(bob.hears("<bob> line 3 of bob"), want);
    bob.sees("· connected again");
    bob.status("· bob · 2 online");
}

#[test]
fn all_that_was_missed_comes_once_however_much_it_is() {
    let server = Server::start(&["--rate", "0", "--history", "5000"]);
    let proxy = Proxy::start(server.port);
    let mut alice = server.in_room("alice", "#lobby");
    let bob = Person::enter("bob", proxy.port());
    alice.send("line 0 of alice");
    bob.hears("<alice> line 0 of alice");
    proxy.refuse(true);
    proxy.cut(Cut::Close);
    bob.status("reconnecting in ");
    for n in 1..1_300 {
        alice.send(&format!("line {n} of alice"));
    }
    alice.settle();
    proxy.refuse(false);
    alice.until("#lobby * bob joined");
    // These come while the others are being fetched.
    for n in 1_300..1_600 {
        alice.send(&format!("line {n} of alice"));
    }
    assert_eq!(bob.hears("<alice> line 1599 of alice"), lines("alice", 0..1_600));
}

#[test]
fn what_the_server_no_longer_has_is_told() {
    let server = Server::start(&["--rate", "0", "--history", "10"]);
    let proxy = Proxy::start(server.port);
    let mut alice = server.in_room("alice", "#lobby");
    let bob = Person::enter("bob", proxy.port());
    alice.send("line 0 of alice");
    bob.hears("<alice> line 0 of alice");
    proxy.refuse(true);
    proxy.cut(Cut::Close);
    bob.status("reconnecting in ");
    for n in 1..51 {
        alice.send(&format!("line {n} of alice"));
    }
    alice.settle();
    proxy.refuse(false);
    let said = bob.hears("<alice> line 50 of alice");
    assert_eq!(said, [lines("alice", 0..1), lines("alice", 41..51)].concat());
    bob.sees("40 messages in #lobby came while you were gone, and are no longer kept");
}

/// A client of which the server does not notice that it has gone: nothing passes between the server and the connection
/// that it has lost, which stays until the second proxy is told otherwise.
fn haunted(server: &Server) -> (Proxy, Proxy, Person) {
    let far = Proxy::start(server.port);
    let near = Proxy::start(far.port());
    let bob = Person::enter("bob", near.port());
    // When this is answered, all that was asked for on entering is.
    bob.types("/ping here");
    bob.sees("  ping here");
    far.stall(true);
    near.lead_to(server.port);
    (near, far, bob)
}

/// Types, and waits until all that comes of it is on its way through the proxy.
fn sends(near: &Proxy, person: &Person, lines: &[&str], sent: &str) {
    let before = near.bytes().0;
    lines.iter().for_each(|line| person.types(line));
    eventually("all of it is under way", || near.bytes().0 >= before + sent.len());
}

#[test]
fn a_nick_is_taken_again_once_the_old_connection_has_gone() {
    let server = Server::start(&[]);
    let mut alice = server.in_room("alice", "#lobby");
    let (near, far, bob) = haunted(&server);
    near.cut(Cut::Reset);
    bob.sees("until bob is free again");
    bob.status("· guest");
    bob.types("line 0 of bob");
    alice.until_starting("#lobby <guest");
    far.cut(Cut::Reset);
    alice.until_starting("#lobby * bob lost");
    bob.status("· bob ·");
    bob.types("line 1 of bob");
    alice.until("#lobby <bob> line 1 of bob");
    let said = bob.hears("<bob> line 1 of bob");
    assert_eq!(said.len(), 2, "{said:?}");
}

#[test]
fn what_the_old_connection_still_brings_is_not_said_again() {
    let server = Server::start(&[]);
    let mut alice = server.in_room("alice", "#lobby");
    let (near, far, bob) = haunted(&server);
    sends(&near, &bob, &["line 0 of bob"], "/typing #lobby on\n/msg #lobby line 0 of bob\n");
    near.cut(Cut::Close);
    bob.sees("until bob is free again");
    bob.types("line 1 of bob");
    bob.status("2 unsent");
    // The line was on its way, and arrives late. What follows need not wait for the name.
    far.stall(false);
    alice.until("#lobby <bob> line 0 of bob");
    let next = alice.until_starting("#lobby <").pop().unwrap();
    assert!(next.ends_with("> line 1 of bob"), "{next}");
    bob.status("· bob ·");
    let said = bob.hears(next.strip_prefix("#lobby ").unwrap());
    assert_eq!(said, ["<bob> line 0 of bob", &next["#lobby ".len()..]]);
    assert!(!alice.settle().iter().any(|line| line.contains("line ")));
}

#[test]
fn what_the_old_connection_lost_is_said_again() {
    let server = Server::start(&[]);
    let mut alice = server.in_room("alice", "#lobby");
    let (near, far, bob) = haunted(&server);
    let sent = "/typing #lobby on\n/msg #lobby line 0 of bob\n/msg @alice in private\n";
    sends(&near, &bob, &["line 0 of bob", "/msg alice in private"], sent);
    near.cut(Cut::Reset);
    bob.sees("until bob is free again");
    bob.status("2 unsent");
    bob.types("line 1 of bob");
    bob.status("3 unsent");
    // What was on its way is lost.
    far.cut(Cut::Reset);
    alice.until("#lobby <bob> line 0 of bob");
    alice.until("#lobby <bob> line 1 of bob");
    assert_eq!(bob.hears("<bob> line 1 of bob"), lines("bob", 0..2));
    // Nobody keeps what is said in private, so it cannot be known.
    bob.sees("✗ the connection broke, and @alice may not have got this: in private");
    assert!(!alice.settle().iter().any(|line| line.contains("line ") || line.contains("private")));
}

#[test]
fn a_server_that_begins_anew_counts_anew() {
    for how in ["KILL", "TERM"] {
        let first = Server::start(&[]);
        let proxy = Proxy::start(first.port);
        let bob = Person::enter("bob", proxy.port());
        for n in 0..5 {
            bob.types(&format!("line {n} of bob"));
        }
        bob.hears("<bob> line 4 of bob");
        proxy.refuse(true);
        first.signal(how);
        bob.status("reconnecting in ");
        if how == "TERM" {
            bob.sees("· the connection is lost: the server is shutting down; trying to get another");
        }
        let second = Server::start(&[]);
        let mut alice = second.in_room("alice", "#lobby");
        alice.send("line 0 of alice\nline 1 of alice");
        alice.settle();
        proxy.lead_to(second.port);
        proxy.refuse(false);
        alice.until("#lobby * bob joined");
        bob.types("line 5 of bob");
        alice.until("#lobby <bob> line 5 of bob");
        alice.send("line 2 of alice");
        let want = [lines("bob", 0..5), lines("alice", 0..2), lines("bob", 5..6), lines("alice", 2..3)].concat();
        assert_eq!(bob.hears("<alice> line 2 of alice"), want);
    }
}

#[test]
fn the_waits_grow_and_leaving_tells_what_was_not_sent() {
    let server = Server::start(&[]);
    let proxy = Proxy::start(server.port);
    let mut bob = Person::enter("bob", proxy.port());
    proxy.refuse(true);
    proxy.cut(Cut::Close);
    for seconds in [1, 2, 4] {
        bob.status(&format!("reconnecting in {seconds} s"));
    }
    bob.types("line 0 of bob");
    bob.types("/msg alice line 1 of bob");
    bob.types("/topic tea");
    bob.status("3 unsent");
    bob.terminal.keys(LEAVE);
    let since = Instant::now();
    assert_eq!(bob.terminal.wait_exit().code(), Some(0));
    assert!(since.elapsed() < PATIENCE / 2, "leaving waits for nothing");
    let lines = bob.terminal.screen().lines;
    let want = ["not sent: #lobby line 0 of bob", "not sent: @alice line 1 of bob", "not sent: /topic tea"];
    assert_eq!(lines[lines.len() - 3..], want, "{lines:?}");
}

#[test]
fn leaving_in_good_order_leaves_nothing_unsent() {
    let server = Server::start(&[]);
    let mut alice = server.in_room("alice", "#lobby");
    let mut bob = Person::enter("bob", server.port);
    bob.types("line 0 of bob");
    bob.types("line 1 of bob");
    bob.terminal.keys(LEAVE);
    assert_eq!(bob.terminal.wait_exit().code(), Some(0));
    alice.until("#lobby <bob> line 0 of bob");
    alice.expect("#lobby <bob> line 1 of bob");
    alice.expect("#lobby * bob quit");
    let lines = bob.terminal.screen().lines;
    assert!(!lines.iter().any(|line| line.contains("not sent")), "{lines:?}");
}
