//! Long answers: told in slices, whole and in one piece, whoever reads them and whatever happens meanwhile.

use std::collections::BTreeSet;
use std::io::Read;
use std::thread;
use std::time::{Duration, SystemTime};

use chinwag::commands;
use chinwag::event::{Detail, Done, Event, Reply};
use chinwag::hub::{Departure, Hub};
use chinwag::limits::{PAGE, PRESENCE_WINDOW, SLICE, SLICE_ROW};
use chinwag::names::{ConnId, Origin, Wire};
use chinwag::settings::Settings;
use chinwag::time::{Instant, Now};
use testkit::memory::{Notes, Told};
use testkit::{Server, eventually};

use crate::peers::narrow;

/// The core alone, with somebody who asks.
struct Core {
    hub: Hub,
    notes: Notes,
    at: Instant,
    people: Vec<ConnId>,
    next: u32,
}

impl Core {
    /// With so many people.
    fn new(people: usize) -> Self {
        let hub = Hub::new(Settings { rate: 0, history: 200_000, ..Settings::default() });
        let mut core = Self {
            hub,
            notes: Notes::default(),
            at: Instant::START + Duration::from_secs(1),
            people: Vec::new(),
            next: 0,
        };
        (0..people).for_each(|_| core.connect());
        core.pass(PRESENCE_WINDOW);
        core.notes.told.clear();
        core
    }

    /// Who asks.
    fn asker(&self) -> ConnId {
        self.people[0]
    }

    fn now(&self) -> Now {
        Now { at: self.at, wall: SystemTime::UNIX_EPOCH + (self.at - Instant::START) }
    }

    fn pass(&mut self, time: Duration) {
        self.at += time;
        self.hub.tick(self.now(), &mut self.notes);
    }

    fn connect(&mut self) {
        let id = ConnId::new(self.next, 1);
        self.next += 1;
        self.people.push(id);
        self.hub.connect(id, Origin::Loopback, Wire::Secure, self.now(), &mut self.notes);
        if id != self.asker() {
            self.send(id, "/set presence off");
        }
    }

    fn send(&mut self, from: ConnId, line: &str) {
        self.hub.handle(from, self.now(), commands::parse(line).unwrap(), &mut self.notes);
    }

    /// Has the next slice told.
    fn go_on(&mut self) {
        self.notes.resumed.clear();
        self.hub.go_on(self.asker(), self.now(), &mut self.notes);
    }

    /// What the asker has been told since this was called last.
    fn told(&mut self) -> Vec<Told> {
        let asker = self.asker();
        self.notes.told.drain(..).filter(|(to, _)| *to == asker).map(|(_, told)| told).collect()
    }
}

#[test]
fn others_are_served_between_the_slices_of_an_answer() {
    const PEOPLE: usize = 3 * PAGE + 7;
    let mut core = Core::new(PEOPLE);
    core.send(core.asker(), "/who");
    let (mut rows, mut done) = (Vec::new(), None);
    while done.is_none() {
        assert_eq!(core.notes.resumed, [core.asker()].repeat(usize::from(core.hub.is_answering(core.asker()))));
        let told = core.told();
        assert!(told.len() <= 257, "{} lines at once", told.len());
        for told in told {
            match told {
                Told::Detail(Detail::Who { nick, .. }) => rows.push(nick),
                Told::Reply(reply) => done = Some(reply),
                other => panic!("{other:?}"),
            }
        }
        core.send(core.people[1], "/ping");
        assert!(matches!(core.notes.told.pop(), Some((_, Told::Reply(Reply::Done(Done::Ping(None)))))));
        core.go_on();
    }
    assert!(rows.is_sorted() && rows.len() == PEOPLE);
    assert!(matches!(done, Some(Reply::Done(Done::Who { count: PEOPLE, .. }))), "{done:?}");
}

#[test]
fn a_copy_of_the_list_is_exact_whatever_happens_during_the_answer() {
    for seed in 0..30 {
        let mut random = fastrand::Rng::with_seed(seed);
        let mut core = Core::new(PAGE + 400);
        let mut copy = BTreeSet::new();
        let mut version = 0;
        let mut later = Vec::new();
        core.send(core.asker(), "/who");
        let mut is_answered = false;
        let mut steps = 0;
        while !is_answered || steps < 40 {
            steps += usize::from(is_answered);
            for _ in 0..random.usize(..100) {
                let somebody = random.usize(1..core.people.len());
                match random.usize(..9) {
                    0 => core.connect(),
                    1 => {
                        let id = core.people.swap_remove(somebody);
                        let now = core.now();
                        core.hub.disconnect(id, now, Departure::Quit, &mut core.notes);
                    }
                    // Few names, so that one is another's soon and sometimes one's own again.
                    2..7 => {
                        let name = format!("/nick {}{}", ["a", "guest", "Z"][random.usize(..3)], random.u8(..12));
                        core.send(core.people[somebody], &name);
                    }
                    _ => core.pass(PRESENCE_WINDOW / 2),
                }
            }
            core.go_on();
            for told in core.told() {
                match told {
                    Told::Detail(Detail::Who { nick, .. }) => drop(copy.insert(nick.to_string())),
                    Told::Reply(Reply::Done(Done::Who { version: at, .. })) => (version, is_answered) = (at, true),
                    // They are held back until the reply.
                    Told::Event(Event::Presence { version, gone, came }) => later.push((version, gone, came)),
                    _ => {}
                }
            }
        }
        core.pass(PRESENCE_WINDOW);
        for told in core.told() {
            if let Told::Event(Event::Presence { version, gone, came }) = told {
                later.push((version, gone, came));
            }
        }
        assert!(later.len() > 5, "{}", later.len());
        for (at, gone, came) in later {
            version += 1;
            assert_eq!(at, version, "seed {seed}");
            copy.retain(|name| !gone.iter().any(|gone| gone.as_str() == name));
            copy.extend(came.iter().map(|name| name.as_str().to_owned()));
        }
        let (at, online) = core.hub.online();
        let online: BTreeSet<String> = online.iter().map(|(nick, _)| nick.to_string()).collect();
        let wrong: Vec<_> = copy.symmetric_difference(&online).collect();
        assert!(version == at && wrong.is_empty(), "seed {seed}: {version} and not {at}, {wrong:?}");
    }
}

#[test]
fn the_history_of_somebody_ignored_is_looked_through_in_slices() {
    const LINES: usize = 100_000;
    let mut core = Core::new(3);
    let [alice, bob] = [core.people[1], core.people[2]];
    for who in [core.asker(), alice, bob] {
        core.send(who, "/join #a");
    }
    core.send(alice, "/msg #a first");
    (0..LINES).for_each(|_| core.send(bob, "/msg #a x"));
    core.send(alice, "/msg #a last");
    core.send(core.asker(), "/ignore guest3");
    core.notes.told.clear();
    // The last messages are looked for first, and then told: both take a look at each of them.
    for (question, looks) in [("/history #a 500", 2), ("/history #a after 0", 1)] {
        core.send(core.asker(), question);
        let mut slices = 1;
        while core.hub.is_answering(core.asker()) {
            core.go_on();
            slices += 1;
        }
        assert!(slices >= looks * LINES * SLICE_ROW / SLICE, "{slices} slices");
        let told: Vec<String> = core.told().iter().map(|told| format!("{told:?}")).collect();
        assert!(told.len() == 3 && told[0].contains("\"first\"") && told[1].contains("\"last\""), "{told:?}");
        assert!(told[2].contains("count: 2"), "{told:?}");
    }
}

#[test]
fn nothing_stands_between_the_rows_of_an_answer_and_its_reply() {
    let server = Server::start(&["--rate", "0", "--history", "1000"]);
    let mut talker = server.in_room("talker", "#a");
    for n in 0..60 {
        talker.ask(&format!("/msg #a {n} {}", "x".repeat(3900)), "+ msg #a");
    }
    talker.send("/send #a 100000 file");
    talker.starting("+ send 1 ");
    let mut slow = narrow(&server);
    slow.send("/nick slow\n/join #a\n/history #a 500\n/get 1\n/ping");
    slow.until_starting("- [1@");
    talker.expect("#a * slow joined");
    // It takes nothing while these are said, and so has an answer under way.
    talker.send_bytes(format!("={}\n", "AAAA".repeat(1000)).as_bytes());
    for n in 0..50 {
        talker.ask(&format!("/msg #a line {n}"), "+ msg #a");
        talker.ask(&format!("/msg slow psst {n}"), "+ msg slow");
    }
    talker.ask("/topic", "+ topic #a");
    drop(server.person("passing"));
    talker.settle();
    let answer = slow.until_starting("+ history #a ");
    let (reply, rows) = answer.split_last().unwrap();
    assert_eq!((rows.len(), reply.as_str()), (59, "+ history #a 60"));
    for (n, row) in rows.iter().enumerate() {
        assert!(row.starts_with(&format!("- [{}@", n + 2)), "{row:.60}");
    }
    let said: Vec<String> =
        (0..50).flat_map(|n| [format!("#a <talker> line {n}"), format!("@talker <talker> psst {n}")]).collect();
    let after = slow.until_starting("+ ping");
    let heard: Vec<String> = after.into_iter().filter(|line| line.contains("<talker>")).collect();
    assert_eq!(heard, said);
}

#[test]
fn slow_readers_of_long_answers_cost_little_and_keep_nobody_from_theirs() {
    const READERS: usize = 50;
    let server = Server::start(&["--rate", "0"]);
    let mut makers: Vec<_> = (0..20).map(|n| server.person(&format!("maker{n}"))).collect();
    for (m, maker) in makers.iter_mut().enumerate() {
        for n in 0..50 {
            maker.send(&format!("/join #r{m}-{n}\n/topic #r{m}-{n} {}", "x".repeat(500)));
            maker.until_starting("+ topic ");
        }
    }
    let mut other = server.person("other");
    let before = server.usage().unwrap().resident;
    let _readers: Vec<_> = (0..READERS)
        .map(|_| {
            let mut reader = narrow(&server);
            reader.send("/rooms");
            reader.until_starting("- #r0-0 ");
            reader
        })
        .collect();
    for _ in 0..3 {
        other.send("/rooms");
        assert_eq!(other.until("+ rooms 1000").iter().filter(|line| line.starts_with("- #r")).count(), 1000);
    }
    // An answer has more than half a MiB.
    let grown = server.usage().unwrap().resident.saturating_sub(before);
    assert!(grown < 10 * 1024, "{grown} KiB for {READERS} readers");
}

#[test]
fn who_takes_too_little_of_an_answer_is_closed_and_who_takes_more_is_not() {
    let server = Server::start(&["--rate", "0", "--history", "1000", "--stall", "3s"]);
    let mut talker = server.in_room("talker", "#a");
    for _ in 0..60 {
        talker.ask(&format!("/msg #a {}", "x".repeat(3900)), "+ msg #a");
    }
    let [mut little, mut more] = ["little", "more"].map(|nick| {
        let mut reader = narrow(&server);
        reader.send(&format!("/nick {nick}\n/join #a\n/history #a 500"));
        reader.until_starting("- [1@");
        talker.expect(&format!("#a * {nick} joined"));
        reader
    });
    let since = std::time::Instant::now();
    let reading = thread::spawn(move || {
        while since.elapsed() < Duration::from_secs(12) {
            let _ = little.reader().read(&mut [0; 20]);
            more.reader().read_exact(&mut [0; 4000]).unwrap();
            thread::sleep(Duration::from_millis(400));
        }
        more
    });
    talker.expect("#a * little lost too-slow");
    let _more = reading.join().unwrap();
    assert!(talker.settle().iter().all(|line| !line.contains("* more lost")));
}

#[test]
fn nobody_s_long_answers_are_made_when_they_are_gone() {
    const GONE: usize = 20;
    let server = Server::start(&["--rate", "0"]);
    let mut bystander = server.person("bystander");
    let topic = "t".repeat(500);
    let rooms: String = (0..1000).map(|n| format!("/join #r{n}\n/topic {topic}\nhello\n/leave\n")).collect();
    bystander.send_bytes(rooms.as_bytes());
    bystander.settle();
    let worked = || server.usage().unwrap().processor;
    let before = worked();
    for _ in 0..20 {
        bystander.send("/rooms");
        bystander.until("+ rooms 1000");
    }
    // The system counts in hundredths of a second.
    let twenty = (worked() - before).max(Duration::from_millis(10));
    let before = worked();
    for n in 0..GONE {
        let gone = server.person(&format!("gone{n}"));
        let mut stream = gone.stream.try_clone().unwrap();
        std::io::Write::write_all(&mut stream, "/rooms\n".repeat(58).as_bytes()).unwrap();
        socket2::SockRef::from(&stream).set_linger(Some(Duration::ZERO)).unwrap();
    }
    eventually("the names of the gone are free", || {
        bystander.send("/who");
        bystander.until_starting("+ who ").len() == 2
    });
    // All that they asked for would be fifty times as much.
    let spent = worked() - before;
    assert!(spent < 10 * twenty, "{spent:?} for the gone, and {twenty:?} for twenty answers");
}
