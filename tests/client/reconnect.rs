//! Two people at terminals, on bad connections: every line comes once and in order, and files arrive whole.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use testkit::data::stop;
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
        types(&self.terminal, line, "\r");
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

/// Types a line and its end, and waits until it is taken.
fn types(terminal: &Terminal, line: &str, end: &str) {
    // Lines that come at once would be a paste.
    // Of one that is wider than the row, its end is to be seen.
    let last = &line[line.len().saturating_sub(20)..];
    let stands = |screen: &Screen| screen.rows[screen.cursor.0].ends_with(last);
    terminal.keys(line);
    terminal.wait_until(line, stands);
    terminal.keys(end);
    terminal.wait_until("the line taken", |screen| !stands(screen));
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
    let (start, mut since, mut before) = (Instant::now(), Instant::now(), None);
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
        // How long all of it takes depends on what else the machine does.
        let so_far = Some((cuts, fetching, saved));
        if so_far != before {
            (since, before) = (Instant::now(), so_far);
        }
        assert!(
            since.elapsed() < PATIENCE,
            "{cuts:?} cuts, fetching {fetching:?}, saved {saved:?}\n{:#?}\n{:#?}",
            people[0].besides(),
            people[1].besides()
        );
        // Sleep: at this pace they type whether there is a connection or not. Were it waited for what they said, nothing would be on
        // its way at a cut.
        thread::sleep(PACE);
    }
    eprintln!("after {:?}: {count} lines each", start.elapsed());
    for person in &people {
        for other in ["alice", "bob"] {
            let last = format!("> line {} of {other}", count - 1);
            person.terminal.wait_until(&last, |screen| said(screen).iter().any(|line| line.ends_with(&last)));
        }
    }
    let all = people.each_ref().map(Person::said);
    for said in &all {
        for nick in ["alice", "bob"] {
            let from: Vec<_> = said.iter().filter(|line| line.ends_with(&format!(" of {nick}"))).cloned().collect();
            assert_eq!(from, lines(nick, 0..count));
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

/// Waits for a loss that has lasted for some seconds.
fn lasts(person: &Person) {
    for seconds in [1, 2, 4] {
        person.status(&format!("reconnecting in {seconds} s"));
    }
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
    lasts(&bob);
    for n in 0..3 {
        bob.types(&format!("line {n} of bob"));
    }
    bob.types("/topic offline");
    bob.types("line 3 of bob");
    bob.status("5 unsent");
    for n in 0..5 {
        alice.send(&format!("line {n} of alice"));
    }
    assert_eq!(alice.settle(), [""; 0], "nobody sees that he is gone");
    proxy.refuse(false);
    for n in 0..3 {
        alice.expect(&format!("#lobby <bob> line {n} of bob"));
    }
    alice.expect("#lobby * bob topic offline");
    alice.expect("#lobby <bob> line 3 of bob");
    let want = [lines("alice", 0..5), lines("bob", 0..4)].concat();
    assert_eq!(bob.hears("<bob> line 3 of bob"), want);
    bob.status("· bob · 2 online");
    let told: Vec<_> = bob.besides().into_iter().filter(|line| line.contains("connect")).collect();
    assert!(
        matches!(&told[..], [line] if line.contains("· the connection was lost for ") && line.ends_with(" and is back")),
        "{told:?}"
    );
    assert_eq!(alice.settle(), [""; 0]);
}

#[test]
fn all_that_was_missed_comes_once_however_much_it_is() {
    let server = Server::start(&["--rate", "0", "--history", "5000"]);
    let proxy = Proxy::start(server.port);
    let mut alice = server.in_room("alice", "#lobby");
    let bob = Person::enter("bob", proxy.port());
    alice.until("#lobby * bob joined");
    alice.send("line 0 of alice");
    bob.hears("<alice> line 0 of alice");
    proxy.refuse(true);
    proxy.cut(Cut::Close);
    bob.status("reconnecting in ");
    // More than waits for whoever is gone.
    for n in 1..1_300 {
        alice.send(&format!("line {n} of alice"));
    }
    alice.settle();
    proxy.refuse(false);
    eventually("bob is back", || proxy.open() > 0);
    // These come while the others are being fetched.
    for n in 1_300..1_600 {
        alice.send(&format!("line {n} of alice"));
    }
    assert_eq!(bob.hears("<alice> line 1599 of alice"), lines("alice", 0..1_600));
    assert_eq!(alice.settle(), [""; 0]);
}

#[test]
fn what_the_server_no_longer_has_is_told() {
    const LINES: u64 = 60;
    let server = Server::start(&["--rate", "0", "--history", "10"]);
    let proxy = Proxy::start(server.port);
    let mut alice = server.in_room("alice", "#lobby");
    let bob = Person::enter("bob", proxy.port());
    alice.send("0");
    bob.hears("<alice> 0");
    proxy.refuse(true);
    proxy.cut(Cut::Close);
    bob.status("reconnecting in ");
    let filler = "x".repeat(1_900);
    for n in 1..=LINES {
        alice.send(&format!("{n} {filler}"));
    }
    alice.send("the end");
    alice.settle();
    proxy.refuse(false);
    let said = bob.hears("<alice> the end");
    let numbers: Vec<u64> = said.iter().filter_map(|line| line.split(' ').nth(1)?.parse().ok()).collect();
    assert!(numbers.is_sorted_by(|before, after| before < after), "{numbers:?}");
    assert_eq!(numbers[numbers.len() - 9..], (LINES - 8..=LINES).collect::<Vec<_>>(), "these are remembered");
    let missing = LINES + 1 - numbers.len() as u64;
    assert!((1..LINES - 9).contains(&missing), "some waited for him: {numbers:?}");
    bob.sees(&format!("you missed {missing} messages in #lobby that the server no longer has"));
}

/// A client of which the server does not notice that it has gone: nothing passes between the server and the connection
/// that it has lost, which stays until the second proxy is told otherwise. An `old` server does not know `/keep`.
fn haunted(server: &Server, old: bool) -> (Proxy, Proxy, Person) {
    let far = Proxy::start(server.port);
    let near = Proxy::start(far.port());
    if old {
        near.grow_old();
    }
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
fn what_was_under_way_is_said_once_though_the_old_connection_stands() {
    for arrives in [true, false] {
        let server = Server::start(&[]);
        let mut alice = server.in_room("alice", "#lobby");
        let (near, far, bob) = haunted(&server, false);
        alice.until("#lobby * bob joined");
        let sent = "/typing #lobby on\n/msg #lobby line 0 of bob\n/msg @alice in private\n";
        sends(&near, &bob, &["line 0 of bob", "/msg alice in private"], sent);
        alice.send("line 0 of alice");
        alice.settle();
        if arrives {
            // It is carried out, but no answer comes back.
            far.limit(usize::MAX, far.bytes().1);
            far.stall(false);
            alice.until("#lobby <bob> line 0 of bob");
            alice.expect("@bob <bob> in private");
        }
        near.cut(Cut::Reset);
        if !arrives {
            alice.until("#lobby <bob> line 0 of bob");
            alice.expect("@bob <bob> in private");
        }
        bob.types("line 1 of bob");
        alice.until("#lobby <bob> line 1 of bob");
        let want = [lines("alice", 0..1), lines("bob", 0..2)].concat();
        assert_eq!(bob.hears("<bob> line 1 of bob"), want);
        let told = bob.besides();
        assert_eq!(
            told.iter().filter(|line| line.contains("@alice ") && line.ends_with("in private")).count(),
            1,
            "{told:#?}"
        );
        assert!(!told.iter().any(|line| line.contains("✗") || line.contains("until bob is free")), "{told:#?}");
        assert_eq!(alice.settle(), [""; 0], "nothing is seen of it");
    }
}

#[test]
fn a_nick_is_taken_again_once_the_old_connection_has_gone() {
    let server = Server::start(&[]);
    let mut alice = server.in_room("alice", "#lobby");
    let (near, far, bob) = haunted(&server, true);
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
    let (near, far, bob) = haunted(&server, true);
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
    let (near, far, bob) = haunted(&server, true);
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
fn a_room_of_guests_that_was_closed_and_begins_anew_gets_nothing_that_waited() {
    for (plain, end) in [("--plain", "\n"), ("--plain=off", "\r")] {
        let folder = tempfile::tempdir().unwrap();
        let (data, plan) = (folder.path().join("data"), folder.path().join("plan.txt"));
        let options = ["--data", data.to_str().unwrap()];
        fs::write(&plan, "all of it").unwrap();
        let first = Server::start(&options);
        let proxy = Proxy::start(first.port);
        let mut command = Command::new(binary());
        command.args(["connect", &proxy.address(), plain, "--nick", "ann7", "--join", "#lobby", "--join", "#den"]);
        let mut terminal = Terminal::start(&mut command, 120, 30, Emulator::Reflowing, Speaks::Nothing);
        let told = |text: &str| {
            terminal.wait_until(text, |screen| screen.unbroken().iter().any(|line| line.contains(text)));
        };
        told("in #den: @ann7");
        terminal.keys(format!("/room invite-only on{end}"));
        told("you set invite-only to on in #den");
        proxy.refuse(true);
        stop(first);
        told("the connection is lost");
        for line in ["more of the secret", "/msg #lobby hello", &format!("/send #den {}", plan.display())] {
            types(&terminal, line, end);
        }
        let second = Server::start(&options);
        let mut bob = second.in_room("bob", "#lobby");
        proxy.lead_to(second.port);
        proxy.refuse(false);
        told("in #den no longer holds: invite-only; you made it anew, and /room #den tells how it is");
        told("others may read #den now, and it has not got this: more of the secret");
        told("sending plan.txt: #den may be read by others now; send it again");
        bob.until("#lobby <ann7> hello");
        let mut carol = second.in_room("carol", "#den");
        carol.ask("/history", "+ history #den 0");
        carol.ask("/files", "+ files 0");
        terminal.keys(format!("/quit{end}"));
        terminal.wait_exit();
    }
}

#[test]
fn a_password_file_that_has_changed_meanwhile_is_read_again() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let locked = |name: &str, password: &str| {
        fs::write(path(name), format!("{password}\n")).unwrap();
        Server::start(&["--password-file", &path(name)])
    };
    let first = locked("first", "open sesame");
    let proxy = Proxy::start(first.port);
    fs::copy(path("first"), path("own")).unwrap();
    let mut command = Command::new(binary());
    command.args(["connect", "--plain", "--nick", "bob", "--join", "#lobby", "--password-file", &path("own")]);
    let terminal = Terminal::start(command.arg(proxy.address()), 120, 24, Emulator::Reflowing, Speaks::Nothing);
    let sees = |text: &str| {
        terminal.wait_until(text, |screen| screen.lines.iter().any(|line| line.contains(text)));
    };
    sees("in #lobby: ");
    let second = locked("second", "abracadabra");
    proxy.refuse(true);
    first.signal("KILL");
    proxy.lead_to(second.port);
    fs::copy(path("second"), path("own")).unwrap();
    proxy.refuse(false);
    sees("connected again");
    let mut alice = second.connect_raw();
    alice.send("/pass abracadabra\n/join #lobby");
    alice.until("+ join #lobby 2");
}

#[test]
fn the_waits_grow_and_leaving_tells_what_was_not_sent() {
    let server = Server::start(&[]);
    let proxy = Proxy::start(server.port);
    let mut bob = Person::enter("bob", proxy.port());
    proxy.refuse(true);
    proxy.cut(Cut::Close);
    lasts(&bob);
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

#[test]
fn nobody_is_kept_who_has_left_however_they_did() {
    let server = Server::start(&[]);
    let mut alice = server.in_room("alice", "#lobby");
    for how in ["HUP", "TERM"] {
        let bob = Person::enter("bob", server.port);
        alice.until("#lobby * bob joined");
        signal(bob.terminal.pid(), how);
        alice.until("#lobby * bob quit");
    }
    for how in ["TERM", "INT"] {
        let mut bob = Plain::enter("bob", &server.address());
        alice.until("#lobby * bob joined");
        signal(bob.child.id(), how);
        alice.until("#lobby * bob quit");
        assert!(bob.child.wait().unwrap().success());
    }
}

/// Whose goodbye was heard and not answered does not come in once more to say it.
#[test]
fn who_has_left_is_not_seen_again() {
    let server = Server::start(&[]);
    let proxy = Proxy::start(server.port);
    let mut alice = server.in_room("alice", "#lobby");
    let mut bob = Plain::enter("bob", &proxy.address());
    alice.until("#lobby * bob joined");
    proxy.limit(usize::MAX, proxy.bytes().1);
    bob.types("/quit");
    alice.until("#lobby * bob quit");
    proxy.cut(Cut::Reset);
    proxy.limit(usize::MAX, usize::MAX);
    assert!(bob.child.wait().unwrap().success());
    assert_eq!(alice.settle(), [""; 0]);
}

fn signal(pid: u32, name: &str) {
    assert!(Command::new("kill").args([&format!("-{name}"), &pid.to_string()]).status().unwrap().success());
}

/// Somebody with the client as plain text, between two pipes.
struct Plain {
    child: Child,
    input: Option<ChildStdin>,
    output: BufReader<ChildStdout>,
    /// What it has told.
    told: Vec<String>,
}

impl Plain {
    /// Starts a client, and waits until it is in the lobby.
    fn enter(nick: &str, address: &str) -> Self {
        let mut command = Command::new(binary());
        command.args(["connect", "--plain", "--bell", "never", "--nick", nick, "--join", "#lobby", address]);
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let (input, output) = (child.stdin.take(), BufReader::new(child.stdout.take().unwrap()));
        let mut plain = Self { child, input, output, told: Vec::new() };
        // Until the room is shown, what is said there waits, while what is said in private is told.
        plain.until("in #lobby: ");
        plain.types("/ping here");
        plain.until("ping here");
        plain
    }

    fn types(&mut self, line: &str) {
        writeln!(self.input.as_mut().unwrap(), "{line}").unwrap();
    }

    /// Reads up to a line with this in it.
    fn until(&mut self, text: &str) {
        loop {
            let mut line = String::new();
            assert_ne!(self.output.read_line(&mut line).unwrap(), 0, "{text:?} and not the end: {:#?}", self.told);
            self.told.push(line.trim_end().to_owned());
            if line.contains(text) {
                return;
            }
        }
    }
}

impl Drop for Plain {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// What is under way in both directions is thrown away with each cut.
#[test]
fn two_hundred_cuts_lose_nothing_double_nothing_and_nobody_sees_them() {
    const CUTS: usize = 200;
    const BURST: usize = 4;
    let server = Server::start(&["--rate", "0"]);
    let (mut bob, mut carol) = (server.in_room("bob", "#lobby"), server.in_room("carol", "#lobby"));
    bob.until("#lobby * carol joined");
    let proxy = Proxy::start(server.port);
    let plan = Plan { seed: 7, cuts: CUTS, bytes: 150..3_000, milliseconds: 2_000..4_000 };
    let cutting = Proxy::cutting(server.port, plan);
    let mut alice = Plain::enter("alice", &proxy.address());
    let entered = alice.told.len();
    bob.until("#lobby * alice joined");
    carol.until("#lobby * alice joined");
    // Whoever is cut off before their place is kept has none.
    proxy.lead_to(cutting.port());
    proxy.cut(Cut::Reset);
    let (mut count, mut heard) = (0, [Vec::new(), Vec::new()]);
    while cutting.cuts() < CUTS {
        for n in count..count + BURST {
            bob.send(&format!("room {n}\n/msg alice private {n}"));
            alice.types(&format!("mine {n}\n/msg carol mine {n}"));
        }
        count += BURST;
        alice.until(&format!(" private {}", count - 1));
        for (heard, hearer) in heard.iter_mut().zip([&mut bob, &mut carol]) {
            heard.extend(hearer.until_starting(&format!("#lobby <alice> mine {}", count - 1)));
        }
    }
    drop(alice.input.take());
    for (heard, hearer) in heard.iter_mut().zip([&mut bob, &mut carol]) {
        heard.extend(hearer.until("#lobby * alice quit"));
    }
    assert!(alice.child.wait().unwrap().success());
    let [bob, carol] = heard;
    let mine = |n| [format!("#lobby <alice> mine {n}"), format!("@alice <alice> mine {n}")];
    let bob: Vec<_> = bob.into_iter().filter(|line| line != "+ msg alice").collect();
    assert_eq!(bob, (0..count).map(|n| mine(n)[0].clone()).collect::<Vec<_>>());
    let carol: Vec<_> = carol.into_iter().filter(|line| !line.starts_with("#lobby <bob> ")).collect();
    assert_eq!(carol, (0..count).flat_map(mine).collect::<Vec<_>>());
    // Each begins with the time of day. Who made the room is its op.
    let (told, besides): (Vec<_>, Vec<_>) =
        alice.told[entered..].iter().map(|line| &line[6..]).partition(|line| line.contains("bob> "));
    let want: Vec<_> =
        (0..count).flat_map(|n| [format!("#lobby <@bob> room {n}"), format!("@bob <bob> private {n}")]).collect();
    assert_eq!(told, want);
    // Where the machine is slow, a cut may take its time.
    assert!(besides.iter().all(|line| line.contains("the connection ")), "{besides:#?}");
}

#[test]
fn a_server_that_is_away_behind_a_relay_is_lost_once() {
    let server = Server::start(&["--rate", "0"]);
    let proxy = Proxy::start(server.port);
    let alice = Person::enter("alice", proxy.port());
    stop(server);
    // The relay has taken a connection by then, and lost it.
    alice.status("reconnecting in");
    let server = Server::start(&["--rate", "0"]);
    proxy.lead_to(server.port);
    alice.sees("connected again");
    let told = alice.besides().into_iter().filter(|line| line.contains("connection is lost")).collect::<Vec<_>>();
    assert_eq!(told, ["· the connection is lost: the server is shutting down; trying to get another"]);
}
