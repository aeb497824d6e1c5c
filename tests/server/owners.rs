//! Whose name it is: under every spelling, and while something about it is on its way to the disk.

use std::time::Duration;

use chinwag::commands;
use chinwag::effect::Entered;
use chinwag::ledger;
use chinwag::limits;
use chinwag::names::{ConnId, Nick, RoomName};
use chinwag::register::entry::Founder;
use chinwag::register::{Entry, Register};
use chinwag::settings::{Logging, Settings};
use chinwag::time::Day;
use testkit::memory::{Memory, look_at};

use crate::company::Company;

const PASSWORD: &str = "correct-horse";

/// A server in memory that keeps names, whose disk writes when it is told to.
struct Slow {
    memory: Memory,
    /// Who is connected, in the order of their connections.
    names: Vec<&'static str>,
}

impl Slow {
    fn new() -> Self {
        Self::with(Settings::default())
    }

    fn with(settings: Settings) -> Self {
        let log = Some(Logging { max: u64::MAX, sync: Duration::ZERO });
        let mut slow = Self { memory: Memory::new(Settings { log, rate: 0, ..settings }), names: vec!["ctl"] };
        slow.memory.connect_control("ctl");
        slow
    }

    fn connect(&mut self, name: &'static str) {
        self.names.push(name);
        self.memory.connect(name);
        self.told(name);
    }

    /// Somebody comes and registers their name.
    fn owner(&mut self, name: &'static str) {
        self.connect(name);
        self.ask(name, &format!("/nick {name}"));
        assert_eq!(self.ask(name, &format!("/register {PASSWORD}")), format!("+ register {name}"));
    }

    /// Somebody comes as the owner of a name who is here already.
    fn beside(&mut self, name: &'static str, owned: &str) {
        self.connect(name);
        let said = self.ask(name, &format!("/login {owned} {PASSWORD}"));
        assert!(said.starts_with("+ login "), "{said}");
    }

    /// Says a line, has all done that follows from it, and gives the last line that is told then.
    fn ask(&mut self, name: &str, line: &str) -> String {
        self.memory.send(name, format!("{line}\n").as_bytes());
        self.told(name).pop().unwrap_or_default()
    }

    /// Says a line, and has neither passwords looked at nor anything written.
    fn begin(&mut self, name: &str, line: &str) {
        let at = self.names.iter().position(|known| *known == name).unwrap();
        let (conn, now) = (ConnId::new(u32::try_from(at).unwrap() + 1, 0), self.memory.now());
        self.memory.hub.handle(conn, now, commands::parse(line).unwrap(), &mut self.memory.notes);
        self.memory.hub.check();
    }

    /// Has the password looked at whose turn it is.
    fn look(&mut self) {
        let task = self.memory.notes.tasks.pop_front().expect("a password waits");
        self.memory.hub.password_did(self.memory.now(), look_at(&task), &mut self.memory.notes);
        self.memory.hub.check();
    }

    /// Has all written that waits for the disk, after which the ledger says what is so.
    fn write(&mut self) {
        while self.memory.notes.ledger.settle(Entered::Written).is_some() {
            self.memory.hub.ledger_did(self.memory.now(), Entered::Written, &mut self.memory.notes);
            self.memory.hub.check();
        }
        let mut read = Register::default();
        self.memory.notes.ledger.entries.iter().cloned().for_each(|entry| read.apply(entry));
        let lines = |register: &Register| {
            let mut lines: Vec<String> = register.entries(self.today()).map(|entry| spelled(&entry)).collect();
            lines.sort();
            lines
        };
        assert_eq!(lines(&read), lines(self.memory.hub.register()), "another is read than what is so");
    }

    fn told(&mut self, name: &str) -> Vec<String> {
        self.memory.send(name, b"");
        std::iter::from_fn(|| self.memory.next(name)).filter(|line| !line.starts_with("* presence ")).collect()
    }

    fn today(&self) -> Day {
        Day::of(self.memory.now().wall)
    }

    fn is_owned(&self, name: &str) -> bool {
        self.memory.hub.register().owned(&nick(name)).is_some_and(|owned| owned.nick().as_str() == name)
    }

    fn grant(&mut self, name: &str) -> String {
        let said = self.ask("ctl", &format!("/grant {name}"));
        token_of(&said).unwrap_or_else(|| panic!("{said}"))
    }
}

fn token_of(said: &str) -> Option<String> {
    said.split_once(" token:").map(|(_, token)| format!("token:{token}"))
}

fn nick(name: &str) -> Nick {
    Nick::new(name).unwrap()
}

fn spelled(entry: &Entry) -> String {
    let mut line = String::new();
    ledger::encode(&mut line, entry);
    line
}

fn starts(said: &str, want: &str) {
    assert!(said.starts_with(want), "{want:?} was to be told, and not {said:?}");
}

#[test]
fn a_spelling_of_ones_own_is_no_name_of_another() {
    // What both of two owners could be shown as is nobody's.
    for (one, other, both) in [("lan", "ian", "Ian"), ("bl", "bi", "BI")] {
        let mut slow = Slow::new();
        slow.owner(one);
        slow.owner(other);
        slow.memory.end(one);
        starts(&slow.ask(other, &format!("/nick {both}")), &format!("! nick owned {one} belongs to somebody; "));
        slow.ask(other, "/join #club");
        slow.ask(other, "/room hidden on");
        slow.connect("again");
        assert_eq!(slow.ask("again", &format!("/login {one} {PASSWORD}")), format!("+ login {one}"));
        starts(&slow.ask("again", "/room #club"), "! room no-such-room ");
        starts(&slow.ask("again", &format!("/nick {both}")), &format!("! nick owned {other} "));
        // One that is held is nobody's either.
        assert_eq!(slow.ask("ctl", &format!("/revoke {one}")), format!("+ revoke {one}"));
        starts(&slow.ask(other, &format!("/nick {both}")), &format!("! nick held {one} was somebody"));
        // One's own name is told first where both are.
        assert_eq!(slow.ask("ctl", &format!("/revoke {other}")), format!("+ revoke {other}"));
        slow.connect("third");
        starts(&slow.ask("third", &format!("/nick {both}")), &format!("! nick held {other} was somebody"));
        // What is no name of anybody any more is free.
        slow.memory.wait(Duration::from_secs(31 * 86_400));
        assert_eq!(slow.ask(other, &format!("/nick {both}")), format!("+ nick {both}"));
    }
}

#[test]
fn who_is_shown_like_a_name_that_is_granted_has_their_own() {
    let mut slow = Slow::new();
    slow.owner("ian");
    slow.ask("ian", "/join #club");
    slow.connect("bob");
    slow.ask("bob", "/join #club");
    assert_eq!(slow.ask("ian", "/nick Ian"), "+ nick Ian");
    slow.told("bob");
    let token = slow.grant("lan");
    let lost = "* nick ian Ian looks like lan, which belongs to somebody now; an operator gave it to them. You are ian now, and /nick NAME takes another name";
    assert_eq!(slow.told("ian"), [lost]);
    assert_eq!(slow.told("bob"), ["#club * Ian renamed ian"]);
    assert_eq!(slow.ask("ian", "/account"), "+ account ian owned");
    assert_eq!(slow.ask("bob", &format!("/login lan {token}")), "+ login lan");
    assert_eq!(slow.ask("bob", "/account"), "+ account lan owned");
}

#[test]
fn another_name_that_looks_like_how_one_is_shown_is_none_of_ones_own() {
    let mut slow = Slow::new();
    slow.owner("ian");
    slow.beside("two", "ian");
    assert_eq!(slow.ask("ian", "/nick Ian"), "+ nick Ian");
    // The other connection is shown so still.
    starts(&slow.ask("two", "/nick lan"), "! nick taken lan looks like Ian,");
    assert_eq!(slow.ask("ian", "/nick ian"), "+ nick ian");
    assert_eq!(slow.ask("two", "/nick lan"), "+ nick lan");
    assert_eq!(slow.ask("two", "/account"), "+ account lan free");
    assert_eq!(slow.ask("ian", "/account"), "+ account ian owned");
}

#[test]
fn a_name_that_is_given_up_under_another_spelling_leaves_nothing() {
    let mut slow = Slow::new();
    slow.owner("alice");
    slow.owner("bob");
    slow.ask("alice", "/join #hers");
    slow.ask("bob", "/join #his");
    for line in ["/op alice", "/invite alice", "/join #out", "/ban alice"] {
        starts(&slow.ask("bob", line), "+ ");
    }
    assert_eq!(slow.ask("ctl", "/operator alice on"), "+ operator alice on");
    assert_eq!(slow.ask("alice", "/nick A1ice"), "+ nick A1ice");
    starts(&slow.ask("alice", "/token"), "+ token ");
    starts(&slow.ask("alice", &format!("/drop {PASSWORD}")), "+ drop guest");
    slow.write();
    let register = slow.memory.hub.register();
    let left: Vec<String> = register.entries(slow.today()).map(|entry| spelled(&entry)).collect();
    let of_alice = |line: &&String| line.to_lowercase().contains("lice");
    let day = slow.today();
    assert_eq!(left.iter().filter(of_alice).collect::<Vec<_>>(), [&format!("drop alice {day}\n")]);
    let rules = register.room(&RoomName::new("#hers").unwrap()).unwrap();
    assert_eq!(rules.founder(), Some(Founder::Gone));
    let token = slow.grant("alice");
    slow.connect("next");
    assert_eq!(slow.ask("next", &format!("/login alice {token}")), "+ login alice");
    starts(&slow.ask("next", "/room #his"), "! room not-in-room ");
}

#[test]
fn a_token_that_is_good_once_lets_one_in() {
    let mut slow = Slow::new();
    let token = slow.grant("alice");
    let line = format!("/login alice {token}");
    let all = ["a", "b", "c", "d"];
    all.iter().for_each(|name| slow.connect(name));
    all.iter().for_each(|name| slow.begin(name, &line));
    slow.write();
    assert_eq!(slow.told("a"), ["+ login alice"]);
    for name in &all[1..] {
        let told = slow.told(name);
        assert!(told.len() == 1 && told[0].starts_with("! login busy "), "{told:?}");
        starts(&slow.ask(name, &line), "! login refused ");
    }
}

#[test]
fn a_token_is_not_good_again_for_having_been_used_while_it_ended() {
    let mut slow = Slow::new();
    slow.owner("alice");
    let token = slow.ask("alice", "/token").split_off("+ token ".len());
    slow.memory.wait(Duration::from_secs(86_400));
    slow.connect("two");
    slow.begin("alice", "/token off");
    slow.begin("two", &format!("/login alice token:{token}"));
    slow.write();
    assert_eq!(slow.told("alice"), ["+ token off"]);
    assert_eq!(slow.told("two").len(), 1);
    slow.ask("two", "/logout");
    starts(&slow.ask("two", &format!("/login alice token:{token}")), "! login refused ");
}

#[test]
fn a_name_that_is_given_up_meanwhile_gets_no_password_and_no_token() {
    let mut slow = Slow::new();
    slow.owner("alice");
    ["two", "three", "four", "five"].iter().for_each(|name| slow.beside(name, "alice"));
    slow.connect("new");
    // It is looked at in the order in which it comes, and each step but the last of these waits for the disk.
    slow.begin("alice", &format!("/drop {PASSWORD}"));
    slow.begin("two", &format!("/passwd {PASSWORD} stolen-horse"));
    slow.look();
    slow.begin("three", "/token");
    slow.begin("four", "/token off");
    slow.begin("five", &format!("/drop {PASSWORD}"));
    slow.begin("new", &format!("/login alice {PASSWORD}"));
    while !slow.memory.notes.tasks.is_empty() {
        slow.look();
    }
    slow.write();
    starts(slow.told("alice").last().unwrap(), "+ drop guest");
    for (name, command) in [("two", "passwd"), ("three", "token"), ("four", "token"), ("five", "drop")] {
        let told = slow.told(name);
        starts(&told[0], &format!("! {command} busy alice is "));
        assert!(told.len() == 2 && told[1].starts_with("* nick guest"), "{told:?}");
    }
    assert_eq!(slow.told("new").len(), 1);
    assert!(!slow.is_owned("alice"));
    starts(&slow.ask("new", "/login alice stolen-horse"), "! login refused nobody owns ");
}

#[test]
fn a_password_that_is_being_made_undoes_no_revoke() {
    for is_written_first in [false, true] {
        let mut slow = Slow::new();
        slow.owner("carol");
        slow.begin("carol", &format!("/passwd {PASSWORD} stolen-horse"));
        slow.look();
        slow.begin("ctl", "/revoke carol");
        if is_written_first {
            slow.write();
            // It is somebody else's before the password is made.
            slow.begin("ctl", "/grant carol");
            slow.write();
        }
        slow.look();
        slow.write();
        let told = slow.told("carol");
        let want = if is_written_first { "! passwd no-account " } else { "! passwd busy carol is " };
        assert!(told.iter().any(|line| line.starts_with(want)), "{told:?}");
        assert_eq!(slow.is_owned("carol"), is_written_first);
        starts(&slow.ask("carol", "/login carol stolen-horse"), "! login refused ");
    }
}

#[test]
fn a_password_that_was_right_is_not_once_it_has_been_changed() {
    let mut slow = Slow::new();
    slow.owner("alice");
    slow.connect("new");
    slow.begin("alice", &format!("/passwd {PASSWORD} stolen-horse"));
    slow.look();
    slow.begin("new", &format!("/login alice {PASSWORD}"));
    slow.look();
    slow.write();
    slow.look();
    assert_eq!(slow.told("alice"), ["+ passwd"]);
    starts(slow.told("new").last().unwrap(), "! login refused ");
}

#[test]
fn what_is_granted_is_good_for_three_days() {
    let mut slow = Slow::new();
    let [early, late] = ["erika", "lena"].map(|name| slow.grant(name));
    slow.connect("new");
    let three_days = Duration::from_secs(72 * 3600);
    slow.memory.wait(three_days - Duration::from_secs(1));
    assert_eq!(slow.ask("new", &format!("/login erika {early}")), "+ login erika");
    slow.memory.wait(Duration::from_secs(1));
    starts(&slow.ask("new", &format!("/login lena {late}")), "! login refused ");
    assert!(slow.is_owned("lena"), "the name is granted still");
}

#[test]
fn a_password_or_a_token_that_is_being_made_undoes_no_grant() {
    let mut slow = Slow::new();
    slow.owner("erika");
    slow.beside("two", "erika");
    slow.connect("new");
    slow.begin("erika", &format!("/passwd {PASSWORD} stolen-horse"));
    slow.look();
    slow.begin("ctl", "/grant erika");
    slow.look();
    slow.begin("two", "/token");
    slow.write();
    let granted = token_of(slow.told("ctl").last().unwrap()).unwrap();
    let told = slow.told("two");
    starts(&told[0], "! token busy erika is ");
    let told = slow.told("erika");
    starts(&told[0], "! passwd busy erika is ");
    starts(&slow.ask("new", "/login erika stolen-horse"), "! login refused ");
    assert_eq!(slow.ask("new", &format!("/login erika {granted}")), "+ login erika");
}

#[test]
fn a_password_takes_the_place_of_the_one_that_was_given_alone() {
    let mut slow = Slow::new();
    slow.owner("alice");
    slow.beside("two", "alice");
    slow.begin("two", &format!("/passwd {PASSWORD} stolen-horse"));
    slow.look();
    // It has been proved, and the next one is made.
    slow.begin("alice", &format!("/passwd {PASSWORD} better-horse"));
    while !slow.memory.notes.tasks.is_empty() {
        slow.look();
    }
    slow.write();
    let (one, other) = (slow.told("alice"), slow.told("two"));
    let done = [&one, &other].iter().filter(|told| ***told == ["+ passwd"]).count();
    assert_eq!(done, 1, "{one:?} {other:?}");
    // The same where there was none.
    let token = slow.grant("bob");
    slow.connect("bob");
    slow.connect("bobs");
    assert_eq!(slow.ask("bob", &format!("/login bob {token}")), "+ login bob");
    let token = slow.ask("bob", "/token").split_off("+ token ".len());
    assert_eq!(slow.ask("bobs", &format!("/login bob token:{token}")), "+ login bob");
    slow.begin("bob", "/passwd first-horse");
    slow.begin("bobs", "/passwd second-horse");
    slow.look();
    slow.write();
    slow.look();
    slow.write();
    let all = [slow.told("bob"), slow.told("bobs")].concat();
    assert_eq!(all.iter().filter(|line| *line == "+ passwd").count(), 1, "{all:?}");
}

#[test]
fn a_right_is_given_to_no_name_that_is_being_given_up() {
    let mut slow = Slow::new();
    slow.owner("alice");
    slow.owner("bob");
    slow.beside("two", "alice");
    slow.ask("bob", "/join #his");
    slow.ask("alice", "/join #his");
    slow.begin("alice", &format!("/drop {PASSWORD}"));
    slow.look();
    for line in ["/founder #his alice", "/op #his alice", "/invite #his alice", "/ban #his alice"] {
        slow.begin("bob", line);
    }
    slow.begin("ctl", "/block alice");
    slow.begin("ctl", "/operator alice on");
    slow.begin("two", "/join #hers");
    slow.write();
    for line in slow.told("bob").iter().filter(|line| line.starts_with(['!', '+'])) {
        assert!(line.contains(" busy alice is "), "{line}");
    }
    for line in slow.told("ctl") {
        assert!(line.contains(" busy alice is "), "{line}");
    }
    assert_eq!(slow.memory.hub.register().room(&RoomName::new("#hers").unwrap()).map(|rules| rules.founder()), None);
}

#[test]
fn a_name_that_is_being_written_down_is_nobody_else_s() {
    let mut slow = Slow::new();
    slow.connect("first");
    slow.connect("second");
    slow.ask("first", "/nick tomx");
    slow.begin("first", &format!("/register {PASSWORD}"));
    slow.look();
    slow.begin("ctl", "/kill tomx");
    for name in ["tornx", "tomx", "TOMX"] {
        slow.begin("second", &format!("/nick {name}"));
        starts(slow.told("second").last().unwrap(), "! nick owned tomx ");
    }
    slow.begin("ctl", "/grant tornx");
    let told = slow.told("ctl");
    starts(told.last().unwrap(), "! grant taken tornx looks like tomx,");
    slow.write();
    assert!(slow.is_owned("tomx"));
    assert_eq!(slow.ask("second", "/account tomx"), "+ account tomx owned");
    // One that is being granted is taken likewise, and of two that look alike there is one.
    slow.begin("ctl", "/grant gomx");
    slow.begin("second", "/nick gornx");
    starts(slow.told("second").last().unwrap(), "! nick owned gomx ");
    slow.write();
    assert!(slow.is_owned("gomx"));
}

#[test]
fn a_guest_whose_name_goes_to_somebody_else_registers_it_no_more() {
    let mut slow = Slow::new();
    slow.connect("guest");
    slow.ask("guest", "/nick tomx");
    slow.begin("guest", &format!("/register {PASSWORD}"));
    slow.begin("ctl", "/grant tornx");
    slow.write();
    slow.begin("ctl", "/revoke tornx");
    slow.write();
    slow.look();
    slow.write();
    let told = slow.told("guest");
    assert!(told.iter().any(|line| line.starts_with("! register held ")), "{told:?}");
    assert!(!slow.is_owned("tomx"));
}

#[test]
fn an_operator_is_themselves_under_every_spelling() {
    let mut slow = Slow::new();
    slow.owner("alice");
    assert_eq!(slow.ask("ctl", "/operator alice on"), "+ operator alice on");
    assert_eq!(slow.ask("alice", "/nick A1ice"), "+ nick A1ice");
    for line in ["/grant alice", "/revoke alice"] {
        let command = line[1..].split(' ').next().unwrap();
        starts(&slow.ask("alice", line), &format!("! {command} refused that is you; "));
    }
    assert_eq!(slow.ask("alice", "/account alice"), "+ account A1ice owned");
}

#[test]
fn a_name_is_first_the_one_that_is_owned() {
    let mut slow = Slow::new();
    slow.owner("ian");
    slow.owner("lan");
    slow.connect("bob");
    slow.ask("bob", "/join #his");
    slow.memory.end("ian");
    slow.told("lan");
    // It is the name of ian, who is not here, and no other spelling of lan.
    starts(&slow.ask("bob", "/msg Ian this is for you"), "! msg no-such-nick ");
    assert_eq!(slow.ask("bob", "/ban Ian"), "+ ban #his 1 name:ian");
    assert_eq!(slow.ask("ctl", "/account Ian"), "+ account ian owned");
    assert_eq!(slow.told("lan"), Vec::<String>::new());
}

#[test]
fn who_leaves_their_name_for_another_one_is_a_guest_of_that_name() {
    let mut slow = Slow::new();
    slow.owner("alice");
    slow.owner("bob");
    slow.ask("bob", "/join #his");
    slow.ask("alice", "/join #his");
    starts(&slow.ask("bob", "/ban spam*"), "+ ban #his 1 pattern:spam*");
    starts(&slow.ask("bob", "/ban ali*"), "+ ban #his 2 pattern:ali*");
    starts(&slow.ask("alice", "/nick spammer"), "! nick banned ");
    assert_eq!(slow.ask("alice", "/nick ALICE"), "+ nick ALICE");
    assert_eq!(slow.ask("alice", "/nick carol"), "+ nick carol");
}

#[test]
fn a_password_is_no_spelling_of_the_name() {
    let mut slow = Slow::new();
    slow.connect("a");
    slow.ask("a", "/nick Alexandra");
    for password in ["alexandra", "A1exandra"] {
        starts(&slow.ask("a", &format!("/register {password}")), "! register usage ");
    }
    assert_eq!(slow.ask("a", &format!("/register {PASSWORD}")), "+ register Alexandra");
    assert_eq!(slow.ask("a", "/nick A1exandra"), "+ nick A1exandra");
    for password in ["Alexandra", "ALEXANDRA", "A1exandra"] {
        starts(&slow.ask("a", &format!("/passwd {PASSWORD} {password}")), "! passwd usage ");
    }
    slow.connect("b");
    slow.ask("b", "/nick Александра");
    starts(&slow.ask("b", "/register александра"), "! register usage ");
}

#[test]
fn wrong_passwords_count_from_before_one_was_let_in() {
    let mut slow = Slow::with(Settings { password: Some("open-sesame".to_owned()), ..Settings::default() });
    slow.connect("a");
    starts(&slow.ask("a", "/pass open-sesame"), "* hello ");
    slow.ask("a", "/nick alice");
    assert_eq!(slow.ask("a", &format!("/register {PASSWORD}")), "+ register alice");
    for (name, right) in [("b", format!("/login alice {PASSWORD}")), ("c", "/pass open-sesame".to_owned())] {
        slow.connect(name);
        for _ in 0..2 {
            starts(&slow.ask(name, "/login alice wrong-horse"), "! login refused ");
            starts(&slow.ask(name, "/pass wrong-horse"), "! pass refused ");
        }
        starts(&slow.ask(name, &right), "* hello ");
        starts(&slow.ask(name, "/login alice wrong-horse"), "* bye refused ");
    }
}

#[test]
fn ranks_are_of_people_as_they_are_shown() {
    let mut slow = Slow::new();
    slow.owner("alice");
    slow.owner("bob");
    slow.ask("alice", "/join #club");
    slow.ask("bob", "/join #club");
    slow.ask("alice", "/op bob");
    slow.ask("alice", "/nick A1ice");
    slow.ask("bob", "/nick BOB");
    slow.memory.send("bob", b"/op\n");
    let told = slow.told("bob");
    assert_eq!(told[told.len() - 3..], ["- founder A1ice", "- op BOB", "+ op #club 2"]);
    // Of who is not here the name is told as it was registered.
    slow.memory.end("alice");
    slow.memory.send("bob", b"/op\n");
    let told = slow.told("bob");
    assert_eq!(told[told.len() - 3..], ["- founder alice", "- op BOB", "+ op #club 2"]);
}

#[test]
fn who_follows_a_founder_that_is_going_is_settled_when_they_go() {
    for end in [format!("/drop {PASSWORD}"), "/revoke kit".to_owned()] {
        for (who, line) in [
            ("two", "/deop #k fay"),
            ("two", "/founder #k zac"),
            ("two", "/op #k zac"),
            ("two", "/voice #k fay"),
            ("fay", "/deop #k fay"),
            ("desk", "/founder #k zac"),
        ] {
            let mut slow = Slow::new();
            slow.names.push("desk");
            slow.memory.connect_control("desk");
            for name in ["kit", "fay", "zac"] {
                slow.owner(name);
                slow.ask(name, "/join #k");
            }
            slow.beside("two", "kit");
            slow.ask("kit", "/op #k fay");
            if end.starts_with("/drop") {
                slow.begin("kit", &end);
                slow.look();
            } else {
                slow.begin("ctl", &end);
            }
            slow.begin(who, line);
            slow.write();
            let told = slow.told(who);
            assert!(told.iter().any(|line| line.contains(" busy kit is ")), "{line}: {told:?}");
            // Afterwards it goes as ever.
            starts(&slow.ask("ctl", "/deop #k zac"), "+ deop #k zac");
        }
    }
}

#[test]
fn a_guests_room_stays_one_when_its_only_op_goes() {
    for line in ["/room hidden on", "/erase 1", "/ban spam*"] {
        let mut slow = Slow::new();
        slow.owner("amy");
        slow.connect("gus");
        for line in ["/nick gus", "/join #g", "hello", "/op amy"] {
            slow.ask("gus", line);
        }
        slow.begin("ctl", "/revoke amy");
        slow.begin("gus", line);
        slow.write();
        assert!(slow.told("gus").iter().any(|line| line.starts_with("+ ")), "{line}");
    }
}

#[test]
fn a_rank_of_a_guest_in_somebodys_room_is_the_names_once_they_register() {
    for (role, line) in [("op", "/op bea"), ("voice", "/voice bea")] {
        let mut slow = Slow::new();
        let listed = |slow: &mut Slow| {
            slow.memory.send("fay", b"/op\n");
            slow.told("fay").contains(&format!("- {role} bea"))
        };
        slow.owner("fay");
        slow.ask("fay", "/join #f");
        slow.connect("bea");
        slow.ask("bea", "/nick bea");
        slow.ask("bea", "/join #f");
        assert_eq!(slow.ask("fay", line), format!("+ {role} #f bea"));
        assert_eq!(slow.ask("bea", &format!("/register {PASSWORD}")), "+ register bea");
        assert!(listed(&mut slow));
        slow.ask("bea", "/leave");
        slow.ask("bea", "/join #f");
        assert!(listed(&mut slow), "the {role} is lost");
        slow.ask("bea", &format!("/drop {PASSWORD}"));
        assert!(!listed(&mut slow), "the {role} outlives the name");
    }
}

#[test]
fn a_rank_of_a_guest_is_kept_once_it_is_given_to_the_name_that_they_own_by_now() {
    let listed = |slow: &mut Slow| {
        slow.memory.send("gus", b"/op\n");
        slow.told("gus")
    };
    for (role, line) in [("op", "/op bea"), ("voice", "/voice bea")] {
        let mut slow = Slow::new();
        for name in ["gus", "bea"] {
            slow.connect(name);
            slow.ask(name, &format!("/nick {name}"));
            slow.ask(name, "/join #g");
        }
        assert_eq!(slow.ask("gus", line), format!("+ {role} #g bea"));
        assert_eq!(slow.ask("bea", &format!("/register {PASSWORD}")), "+ register bea");
        slow.told("bea");
        assert_eq!(slow.ask("gus", line), format!("+ {role} #g bea"));
        assert_eq!(slow.told("bea"), [""; 0], "nobody hears of it, as it looks like before");
        slow.ask("bea", "/leave");
        slow.ask("bea", "/join #g");
        assert!(listed(&mut slow).contains(&format!("- {role} bea")));
        assert_eq!(slow.ask("gus", &format!("/de{role} bea")), format!("+ de{role} #g bea"));
        assert!(!listed(&mut slow).contains(&format!("- {role} bea")));
    }
    // One's own too.
    let mut slow = Slow::new();
    slow.connect("gus");
    for line in ["/nick gus", "/join #g", "hello", "/register correct-horse", "/op gus", "/leave", "/join #g"] {
        slow.ask("gus", line);
    }
    assert!(listed(&mut slow).contains(&"- op gus".to_owned()));
}

#[test]
fn who_became_op_as_a_guest_is_told_so_before_they_shut_themselves_out() {
    let mut slow = Slow::new();
    slow.connect("gus");
    let lines = ["/nick gus", "/join #g", "/register correct-horse"];
    lines.iter().for_each(|line| drop(slow.ask("gus", line)));
    let want = "* notice you are op of #g only until you leave it, as you became that as a guest; /op #g gus keeps it";
    for (line, is_told) in [
        ("/room topic-locked on", false),
        ("/room invite-only on", true),
        ("/op gus", false),
        ("/room key sesame", false),
    ] {
        slow.memory.send("gus", format!("{line}\n").as_bytes());
        let told = slow.told("gus");
        assert!(told.last().is_some_and(|last| last.starts_with("+ ")), "{told:?}");
        assert_eq!(told.iter().any(|line| line == want), is_told, "{line}: {told:?}");
    }
    slow.ask("gus", "/leave");
    assert!(slow.ask("gus", "/join #g sesame").starts_with("+ join #g "));
}

#[test]
fn one_name_more_than_there_may_be_has_no_room() {
    let day = Day::new("2026-12-01").unwrap();
    let name = |n: usize| Nick::new(&format!("n{n}")).unwrap();
    let mut register = Register::default();
    for n in 0..limits::NAMES {
        assert!(register.has_room(), "{n}");
        register.apply(Entry::Name { nick: name(n), since: day, password: None });
    }
    // Were it taken all the same, the next start would refuse the ledger.
    assert!(!register.has_room());
}

#[test]
fn one_word_behind_a_refusal_for_want_of_a_password_is_said_when_it_comes_once_more() {
    let mut company = Company::new(Settings::default(), &["ann"]);
    company.enter(&["bob", "eve"]);
    ["bob", "eve"].into_iter().for_each(|name| company.done(name, "/join #r"));
    for (line, code) in [("/login ann", "usage"), ("/nick ann", "owned")] {
        company.refused("eve", line, code);
        company.heard("bob");
        let told = company.told("eve", "correct-horse");
        assert!(
            told.len() == 1 && told[0].starts_with("! say usage others would read that, and it may be "),
            "{told:?}"
        );
        assert_eq!(company.heard("bob"), [""; 0]);
        company.done("eve", "correct-horse");
        assert_eq!(company.heard("bob"), ["#r <eve> correct-horse"]);
        // No password has a blank, or so few letters; and what comes later answers something else.
        for (between, said) in [("", "sorry, wrong name"), ("", "sorry"), ("/ping", "correct-horse")] {
            company.refused("eve", line, code);
            company.done("eve", between);
            company.heard("bob");
            company.done("eve", said);
            assert_eq!(company.heard("bob"), [format!("#r <eve> {said}")]);
        }
    }
}
