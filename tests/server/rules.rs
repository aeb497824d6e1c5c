//! Rooms with rules: who is put out, who is heard, what nobody else learns, and what stays so.

use std::fs;
use std::path::Path;
use std::time::{Duration, SystemTime};

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD as BASE64, URL_SAFE_NO_PAD};
use chinwag::effect::{PastRoom, Record};
use chinwag::limits::{
    BANS, DAY, FOUNDED, INVITATIONS, OPS, RULES_A_DAY, RULES_LINES, RULES_OF_ALL, RULES_OF_GUESTS, WAYS,
    WRONG_KEYS,
};
use chinwag::names::{ConnId, Digest, Nick, Origin, Prefix, RoomName, Text};
use chinwag::register::Register;
use chinwag::register::entry::{Author, Ban, BanKind, Entry, Founder, Role, Rule, Who};
use chinwag::settings::{Logging, RoomMakers, Settings};
use chinwag::time::{Day, Now};
use sha2::{Digest as _, Sha256};
use testkit::memory::Memory;
use testkit::{Client, Server, noise};

const DATA: Option<Logging> = Some(Logging { max: u64::MAX, sync: Duration::ZERO });

/// What the owners of names prove themselves by.
const SECRET: [u8; 32] = [7; 32];

/// People in the core alone, of whom these own their names.
struct Company(Memory, Vec<String>);

/// A register in which these names have owners.
fn owners(names: &[&str], now: Now) -> Register {
    let (mut register, day) = (Register::default(), Day::of(now.wall));
    for name in names {
        let (nick, digest) = (Nick::new(name).unwrap(), Digest(Sha256::digest(SECRET).into()));
        register.apply(Entry::Name { nick, since: day, password: None });
        register.apply(Entry::Token { nick, used: day, digest });
    }
    register
}

impl Company {
    /// A server on which these names have owners, and something is kept.
    fn new(settings: Settings, owned: &[&str]) -> Self {
        let memory = Memory::new(Settings { rate: 0, log: DATA, clear_passwords: true, ..settings });
        let mut company = Self(memory, owned.iter().map(|name| (*name).to_owned()).collect());
        company.restore(owners(owned, company.0.now()));
        company
    }

    fn restore(&mut self, register: Register) {
        let now = self.0.now();
        self.0.hub.restore_register(register, now, &mut self.0.notes);
    }

    fn enter(&mut self, names: &[&str]) {
        names.iter().for_each(|name| self.enter_from(name, Origin::Loopback));
    }

    fn enter_from(&mut self, name: &str, origin: Origin) {
        self.0.connect_from(name, origin);
        let token = URL_SAFE_NO_PAD.encode(SECRET);
        let called = match self.1.iter().any(|owned| owned == name) {
            true => format!("/login {name} token:{token}"),
            false => format!("/nick {name}"),
        };
        self.0.send(name, format!("/set presence off\n{called}\n").as_bytes());
        self.heard(name);
    }

    /// What somebody has heard since they were asked last.
    fn heard(&mut self, name: &str) -> Vec<String> {
        std::iter::from_fn(|| self.0.next(name)).collect()
    }

    /// What somebody is told from now on until a line of theirs has been carried out.
    fn told(&mut self, name: &str, line: &str) -> Vec<String> {
        self.heard(name);
        self.0.send(name, format!("{line}\n").as_bytes());
        self.heard(name)
    }

    /// The reply to a line.
    fn ask(&mut self, name: &str, line: &str) -> String {
        self.told(name, line).pop().unwrap_or_default()
    }

    fn refused(&mut self, name: &str, line: &str, code: &str) {
        let reply = self.ask(name, line);
        assert_eq!(reply.split(' ').nth(2), Some(code), "{name}: {line}: {reply}");
        assert!(reply.starts_with("! "), "{name}: {line}: {reply}");
    }

    fn done(&mut self, name: &str, line: &str) {
        let reply = self.ask(name, line);
        assert!(reply.is_empty() || reply.starts_with("+ "), "{name}: {line}: {reply}");
    }
}

fn network(n: u8) -> Origin {
    Origin::Network(Prefix::v4([203, 0, 113, n]))
}

#[test]
fn who_makes_a_room_by_a_name_of_their_own_is_its_founder_for_good() {
    let mut company = Company::new(Settings::default(), &["ann", "bob"]);
    company.enter(&["ann", "bob", "mallory"]);
    for name in ["ann", "bob", "mallory"] {
        company.done(name, "/join #club");
    }
    assert_eq!(company.told("bob", "/op"), ["- founder ann", "+ op #club 1"]);
    assert_eq!(company.ask("ann", "/room topic-locked"), "+ room #club topic-locked on");
    company.refused("bob", "/topic ours", "not-op");
    company.done("ann", "/op bob");
    // One founder, whom nobody touches.
    for line in ["/deop ann", "/voice ann", "/kick ann", "/ban ann", "/mute ann", "/founder bob"] {
        company.refused("bob", line, "refused");
    }
    company.refused("ann", "/ban bob", "refused");
    company.refused("ann", "/founder mallory", "refused");
    // All go, and nothing of it goes with them.
    for name in ["ann", "bob", "mallory"] {
        company.done(name, "/leave");
    }
    company.done("mallory", "/join #club");
    assert_eq!(company.told("mallory", "/op"), ["- founder ann", "- op bob", "+ op #club 2"]);
    company.refused("mallory", "/room hidden on", "not-op");
    // They rule it from outside, too.
    company.done("bob", "/room #club moderated on");
    company.refused("mallory", "hi", "muted");
    company.done("ann", "/join #club");
    company.done("bob", "/join #club");
    assert_eq!(company.ask("ann", "/founder bob"), "+ founder #club bob");
    assert_eq!(company.told("mallory", "/op").len(), 3);
    assert_eq!(company.told("ann", "/op"), ["- founder bob", "- op ann", "+ op #club 2"]);
    company.refused("ann", "/kick bob", "refused");
}

#[test]
fn a_rank_by_name_is_of_its_owner_and_one_of_a_guest_goes_with_them() {
    let mut company = Company::new(Settings::default(), &["ann", "bob"]);
    company.enter(&["ann", "bob", "eve"]);
    for name in ["ann", "bob", "eve"] {
        company.done(name, "/join #club");
    }
    company.done("ann", "/voice bob");
    company.done("ann", "/op eve");
    company.done("eve", "/leave");
    company.done("eve", "/join #club");
    assert_eq!(company.told("eve", "/op"), ["- founder ann", "- voice bob", "+ op #club 2"]);
    // A role may be given to the owner of a name who is not here.
    company.done("bob", "/quit");
    assert_eq!(company.ask("ann", "/op #club bob"), "+ op #club bob");
    // The name is known to have an owner; whoever has it is that owner.
    company.enter(&["bob"]);
    company.done("bob", "/join #club");
    company.done("bob", "/kick eve");
}

#[test]
fn rules_and_bans_hold_after_everybody_has_left() {
    let mut company = Company::new(Settings::default(), &["ann", "bob"]);
    company.enter(&["ann", "bob", "eve"]);
    company.done("ann", "/join #club");
    for line in ["/room key open", "/room hidden on", "/ban bob", "hello", "/leave"] {
        company.done("ann", line);
    }
    company.refused("eve", "/join #club", "bad-key");
    company.refused("bob", "/join #club open", "banned");
    assert_eq!(company.ask("eve", "/rooms"), "+ rooms 0");
    company.done("eve", "/join #club open");
    assert_eq!(company.told("eve", "/op"), ["- founder ann", "+ op #club 1"]);
    assert!(company.ask("eve", "/history").ends_with(" 1"));
}

#[test]
fn what_is_so_of_rooms_is_so_after_a_restart() {
    let settings = Settings::default();
    let mut company = Company::new(settings.clone(), &["ann", "bob", "cyd"]);
    company.enter(&["ann", "bob", "eve"]);
    company.done("ann", "/join #club");
    for line in
        ["/op bob", "/room moderated on", "/ban cyd 0 no", "/mute spam*", "/unban 2", "/invite cyd", "one", "/erase 1"]
    {
        company.done("ann", line);
    }
    // A room that a guest made, and one in which nothing is so.
    company.done("eve", "/join #secret");
    company.done("eve", "/room past off");
    company.done("eve", "/join #plain");
    let mut register = owners(&["ann", "bob", "cyd"], company.0.now());
    company.0.notes.ledger.entries.iter().for_each(|entry| register.apply(entry.clone()));
    let rooms: Vec<RoomName> = register.rooms().map(|(name, _)| *name).collect();
    assert_eq!(rooms, ["#club", "#secret"].map(|name| RoomName::new(name).unwrap()));
    let mut company = Company::new(settings, &["ann", "bob", "cyd"]);
    company.restore(register);
    company.enter(&["ann", "bob", "cyd", "eve"]);
    company.refused("cyd", "/join #club", "banned");
    company.done("eve", "/join #club");
    company.refused("eve", "hi", "muted");
    assert_eq!(company.told("eve", "/op"), ["- founder ann", "- op bob", "+ op #club 2"]);
    company.done("ann", "/join #club");
    assert_eq!(company.told("ann", "/bans"), ["- 1 ban name:cyd ann - no", "+ bans #club 1"]);
    // The number of one that has ended is not given again at once.
    assert_eq!(company.ask("ann", "/ban spam*"), "+ ban #club 3 pattern:spam*");
    // The guest's room is forgotten, as it kept something to itself.
    company.done("eve", "/join #secret");
    assert_eq!(company.told("eve", "/op"), ["- op eve", "+ op #secret 1"]);
    assert_eq!(company.ask("eve", "/room past"), "+ room #secret past on");
}

#[test]
fn no_crash_tells_what_was_said_in_a_room_that_went_with_its_last_member() {
    let mut company = Company::new(Settings::default(), &[]);
    company.enter(&["eve"]);
    for line in ["/join #few", "/room hidden on", "/ban spam* 0", "between us", "/leave"] {
        company.done("eve", line);
    }
    let name = RoomName::new("#few").unwrap();
    let said = company.0.notes.records.iter().filter_map(|record| match record {
        Record::Said { line, .. } => Some(line.clone()),
        Record::Topic { .. } | Record::Forgotten { .. } => None,
    });
    let lines: Vec<_> = said.collect();
    let ledger = std::mem::take(&mut company.0.notes.ledger.entries);
    // When the server is killed the disk may have any part of what was so, from the beginning.
    for left in 2..=ledger.len() {
        let mut company = Company::new(Settings::default(), &[]);
        let last_seq = lines.last().unwrap().seq;
        company.0.hub.restore_room(PastRoom { name, topic: None, last_seq, lines: lines.clone() });
        let mut register = Register::default();
        ledger[..left].iter().for_each(|entry| register.apply(entry.clone()));
        company.restore(register);
        // The log may be there still, however far the rest of it has come.
        let goes = |record: &Record| matches!(record, Record::Forgotten { room } if *room == name);
        assert!(company.0.notes.records.iter().any(goes), "with {:?}", &ledger[..left]);
        company.enter(&["bob"]);
        company.done("bob", "/join #few");
        assert_eq!(company.told("bob", "/history"), ["+ history #few 0"], "with {:?}", &ledger[..left]);
        company.done("bob", "hello");
        let told = company.told("bob", "/history");
        assert!(told[0].starts_with("- [1@"), "with {:?}: {told:?}", &ledger[..left]);
    }
}

#[test]
fn what_the_operator_makes_of_an_empty_room_does_not_take_it_away() {
    let mut company = Company::new(Settings::default(), &["ann"]);
    company.enter(&["eve", "ann"]);
    for line in ["/join #plain", "/room slow 1s", "for all", "/leave"] {
        company.done("eve", line);
    }
    company.0.connect_control("ctl");
    company.done("ctl", "/room #plain hidden on");
    company.refused("ann", "/topic #plain", "no-such-room");
    company.done("eve", "/join #plain");
    assert_eq!(company.told("eve", "/history").pop().unwrap(), "+ history #plain 1");
    company.done("eve", "/leave");
    company.refused("ann", "/topic #plain", "no-such-room");
    company.done("ctl", "/founder #plain ann");
    company.done("ann", "/join #plain");
    assert_eq!(company.told("ann", "/history").pop().unwrap(), "+ history #plain 1");
}

#[test]
fn a_room_is_told_who_follows_a_founder_whose_name_goes() {
    let mut company = Company::new(Settings::default(), &["ann", "bob", "cyd"]);
    company.enter(&["ann", "eve", "cyd"]);
    for name in ["ann", "eve", "cyd"] {
        company.done(name, "/join #club");
    }
    company.done("ann", "/op bob");
    company.done("ann", "/op cyd");
    for name in ["ann", "eve"] {
        company.heard(name);
    }
    company.0.connect_control("ctl");
    company.done("ctl", "/revoke ann");
    // Bob is the eldest op, and not here.
    assert_eq!(company.heard("eve"), ["#club * ann renamed guest1", "#club * server made bob founder"]);
    assert_eq!(company.heard("ann").last().unwrap(), "#club * server made bob founder");
    company.done("ctl", "/revoke bob");
    assert_eq!(company.heard("eve"), ["#club * server made cyd founder"]);
    // Nobody follows the last one.
    company.done("ctl", "/revoke cyd");
    assert_eq!(company.heard("eve"), ["#club * cyd renamed guest2"]);
}

#[test]
fn who_may_only_listen_lets_nobody_else_speak() {
    let mut company = Company::new(Settings::default(), &["ann"]);
    company.enter(&["ann", "eve", "bob"]);
    for name in ["ann", "eve", "bob"] {
        company.done(name, "/join #club");
    }
    company.0.connect_control("ctl");
    for line in ["/room #club guests listen", "/server guests listen", "/server guests off"] {
        company.done("ctl", line);
        company.refused("eve", "/invite bob", "muted");
        company.refused("bob", "hi", "muted");
        company.done("ctl", "/room #club guests speak");
    }
    // Whoever made a room would be heard there.
    company.refused("eve", "/join #other", "no-account");
    company.done("ctl", "/server guests listen");
    company.done("eve", "/join #other");
    // Whoever is invited by those who may is heard, and lets others be.
    company.done("ann", "/invite #club eve");
    company.done("eve", "/invite #club bob");
    company.done("bob", "/msg #club hi");
    // Whoever logs out is a guest who was here.
    company.done("ctl", "/server guests off");
    company.done("ann", "/logout");
    company.refused("ann", "hi", "muted");
}

#[test]
fn a_guests_ban_holds_for_guests_from_there_who_come_later_and_for_nobody_else() {
    let mut company = Company::new(Settings::default(), &["ann", "bob"]);
    company.enter_from("ann", network(1));
    company.done("ann", "/join #club");
    for (name, from) in [("mallory", 7), ("inside", 7), ("other", 8)] {
        company.enter_from(name, network(from));
        company.done(name, "/join #club");
    }
    assert_eq!(company.ask("ann", "/mute mallory"), "+ mute #club 1 guest:mallory");
    company.refused("mallory", "hi", "muted");
    // Who is inside already is not looked for.
    company.done("inside", "hi");
    company.done("other", "hi");
    assert_eq!(company.ask("ann", "/ban mallory 90d"), "+ ban #club 2 guest:mallory");
    assert_eq!(company.heard("other").last().unwrap(), "#club * ann banned guest:mallory 2592000");
    company.done("inside", "hi");
    company.refused("mallory", "/join #club", "banned");
    company.enter_from("again", network(7));
    company.refused("again", "/join #club", "banned");
    company.enter_from("bob", network(7));
    company.done("bob", "/join #club");
    company.enter_from("near", network(6));
    company.done("near", "/join #club");
    // The ban ends by itself, and the mute had ended before.
    company.0.wait(Duration::from_secs(31 * 86_400));
    company.done("again", "/join #club");
    company.done("again", "hi");
    assert_eq!(company.ask("ann", "/bans"), "+ bans #club 0");
}

#[test]
fn whoever_guesses_keys_learns_nothing_more_after_a_few() {
    let mut company = Company(Memory::new(Settings::default()), Vec::new());
    company.enter_from("eve", network(1));
    company.enter_from("op", network(2));
    company.done("op", "/join #club");
    company.done("op", "/room key open");
    for _ in 0..WRONG_KEYS {
        company.refused("eve", "/join #club guess", "bad-key");
    }
    company.refused("eve", "/join #club open", "too-many");
    company.0.wait(Duration::from_secs(61));
    company.done("eve", "/join #club open");
}

#[test]
fn each_wrong_key_is_in_the_log() {
    let mut server = Server::start(&[]);
    let mut op = server.in_room("op", "#club");
    op.ask("/room key open", "+ room #club key open");
    let mut eve = server.person("eve");
    eve.send("/join #club guess");
    eve.starting("! join bad-key ");
    // Whoever gives none does not guess.
    eve.send("/join #club");
    eve.starting("! join bad-key ");
    drop((op, eve));
    server.signal("TERM");
    let log = server.wait().1;
    assert_eq!(log.matches("a wrong key of #club from 127.0.0.1").count(), 1, "{log}");
}

#[test]
fn an_owner_who_comes_back_is_the_one_who_was_written_to() {
    let mut company = Company::new(Settings::default(), &["olga", "vera"]);
    company.enter(&["ann", "olga", "vera"]);
    assert_eq!(company.told("ann", "/msg olga hi"), ["+ msg olga"]);
    company.done("vera", "/msg ann hi");
    for nick in ["olga", "vera"] {
        company.0.end(nick);
        company.enter(&[nick]);
        assert_eq!(company.told("ann", &format!("/msg {nick} and on")), [format!("+ msg {nick}")]);
    }
    company.done("olga", "/logout");
    company.done("olga", &format!("/login olga token:{}", URL_SAFE_NO_PAD.encode(SECRET)));
    assert_eq!(company.told("ann", "/query olga"), ["+ query olga"]);
    // To whom it is granted is somebody else.
    company.0.connect_control("ctl");
    let granted = company.ask("ctl", "/grant olga");
    let token = granted.rsplit(' ').find(|word| word.starts_with("token:")).unwrap().to_owned();
    company.0.connect("new");
    company.done("new", &format!("/login olga {token}"));
    let told = company.told("ann", "/msg olga hi");
    assert!(told.len() == 2 && told[0].starts_with("* notice olga is somebody else now "), "{told:?}");
}

#[test]
fn so_many_there_may_be_and_no_more() {
    let mut company = Company::new(Settings { room_makers: RoomMakers::Named, ..Settings::default() }, &["ann"]);
    company.enter(&["ann", "eve"]);
    company.refused("eve", "/join #mine", "no-account");
    for n in 0..FOUNDED {
        company.done("ann", &format!("/join #r{n}"));
    }
    company.refused("ann", "/join #more", "too-many");
    company.done("eve", "/join #r0");
    for n in 0..BANS {
        company.done("ann", &format!("/ban #r0 spam{n}*"));
    }
    company.refused("ann", "/ban #r0 more*", "too-many");
    // The same again is the same.
    assert_eq!(company.ask("ann", "/ban #r0 spam7* again"), "+ ban #r0 8 pattern:spam7*");
    for n in 1..OPS {
        company.enter(&[&format!("op{n}")]);
        company.done(&format!("op{n}"), "/join #r0");
        company.done("ann", &format!("/op #r0 op{n}"));
    }
    company.refused("ann", "/op #r0 eve", "too-many");
    let mut company = Company(Memory::new(Settings::default()), Vec::new());
    company.enter_from("ann", network(1));
    company.enter_from("eve", network(2));
    company.done("ann", "/join #club");
    for _ in 0..INVITATIONS {
        company.done("ann", "/invite eve");
    }
    company.refused("ann", "/invite eve", "too-many");
}

/// So many bans, in rooms that nobody owns or in those of ann.
fn banned(register: &mut Register, count: usize, owner: Option<&str>) {
    let founder = owner.map_or(Founder::Guest, |nick| Founder::Owner(Nick::new(nick).unwrap()));
    for n in 0..count {
        let room = RoomName::new(&format!("#{}{}", owner.unwrap_or("guests"), n / 4_000)).unwrap();
        let (who, by) = (Who::Guest(Nick::new(&format!("p{n}")).unwrap()), Author::Server);
        let ban =
            Ban { id: n as u64 + 1, kind: BanKind::Ban, who, network: None, until: None, by, reason: Text::new("") };
        register.apply(Entry::Ban { room, ban });
        register.apply(Entry::Room { room, founder });
    }
}

#[test]
fn strangers_leave_rules_to_others_and_to_the_operator() {
    let mut company = Company::new(Settings::default(), &["ann"]);
    company.enter(&["ann"]);
    company.done("ann", "/join #mine");
    for (name, net) in [("eve", 1), ("mallory", 1), ("bob", 2)] {
        company.enter_from(name, network(net));
    }
    let bans =
        |from: usize, count: usize| -> String { (from..from + count).map(|n| format!("/ban p{n}*\n")).collect() };
    let mut heard = Vec::new();
    for n in 0..6 {
        company.done("eve", &format!("/join #eve{n}"));
        company.0.send("eve", bans(100 + n * BANS, BANS).as_bytes());
        heard.extend(company.heard("eve"));
    }
    let banned_by_eve = heard.iter().filter(|line| line.starts_with("+ ban ")).count();
    assert_eq!(banned_by_eve, RULES_A_DAY as usize);
    assert!(heard.last().is_some_and(|line| line.starts_with("! ban too-many you, or others from your network")));
    company.done("mallory", "/join #mallory");
    company.refused("mallory", "/room hidden on", "too-many");
    for (name, room) in [("bob", "#bob"), ("ann", "#mine")] {
        company.done(name, &format!("/join {room}"));
        company.done(name, "/room slow 5s");
        company.done(name, "/ban evil*");
    }
    // What is taken back is never refused.
    company.done("eve", "/unban #eve0 1");
    company.0.wait(DAY);
    company.done("mallory", "/room hidden on");

    // However many networks they have, their rooms have no more than half.
    let mut company = Company::new(Settings::default(), &["ann"]);
    let mut register = owners(&["ann"], company.0.now());
    banned(&mut register, RULES_OF_GUESTS, None);
    company.restore(register);
    company.enter(&["ann"]);
    company.enter_from("bob", network(2));
    company.done("bob", "/join #bob");
    let reply = company.ask("bob", "/room slow 5s");
    assert!(reply.starts_with("! room too-many the server remembers as much of rooms that nobody owns"), "{reply}");
    company.done("ann", "/join #mine");
    company.done("ann", "/room slow 5s");

    // And the last of all are the operator's.
    let mut company = Company::new(Settings::default(), &["ann"]);
    let mut register = owners(&["ann"], company.0.now());
    banned(&mut register, RULES_OF_ALL, Some("ann"));
    company.restore(register);
    company.enter(&["ann"]);
    company.done("ann", "/join #mine");
    company.refused("ann", "/room slow 5s", "too-many");
    company.0.connect_control("ctl");
    company.done("ctl", "/room #mine slow 5s");
    const { assert!(RULES_OF_ALL < RULES_LINES) };
}

#[test]
fn a_token_that_is_good_once_is_kept_where_no_connection_more_may_come_in() {
    let mut company = Company::new(Settings::default(), &["ann"]);
    let mut register = owners(&["ann"], company.0.now());
    let (once, ann) = ([8; 32], Nick::new("ann").unwrap());
    let until = company.0.now().wall + DAY;
    register.apply(Entry::Once { nick: ann, until, digest: Digest(Sha256::digest(once).into()) });
    company.restore(register);
    let tokens = [SECRET, once].map(|token| format!("/login ann token:{}", URL_SAFE_NO_PAD.encode(token)));
    for n in 0..WAYS {
        company.0.connect(&format!("way{n}"));
        company.done(&format!("way{n}"), &tokens[0]);
    }
    company.0.connect("late");
    company.refused("late", &tokens[1], "too-many");
    company.0.end("way0");
    company.done("late", &tokens[1]);
    company.0.end("way1");
    company.0.connect("later");
    company.refused("later", &tokens[1], "refused");
}

#[test]
fn a_message_is_one_s_own_however_one_s_name_was_spelled() {
    let mut company = Company::new(Settings::default(), &["ann", "bob", "tom"]);
    company.enter(&["ann", "bob", "tom"]);
    company.done("ann", "/join #club");
    for name in ["bob", "tom"] {
        company.done(name, "/join #club");
    }
    company.done("bob", "/nick b0b");
    company.done("bob", "one");
    company.done("tom", "two");
    // They come back as somebody whom the room does not know.
    company.0.end("bob");
    company.enter(&["bob"]);
    company.done("bob", "/join #club");
    company.refused("bob", "/erase 1 2", "not-op");
    assert_eq!(company.ask("bob", "/erase 1"), "+ erase #club 1");
    company.refused("bob", "/erase 2", "not-op");
}

#[test]
fn guests_of_this_machine_set_up_so_much_in_rooms_each_and_no_more() {
    let mut company = Company::new(Settings::default(), &[]);
    company.enter(&["eve", "bob"]);
    let mut done = 0;
    for n in 0..6 {
        company.done("eve", &format!("/join #eve{n}"));
        let bans: String = (0..BANS).map(|ban| format!("/ban p{n}-{ban}*\n")).collect();
        company.0.send("eve", bans.as_bytes());
        done += company.heard("eve").iter().filter(|line| line.starts_with("+ ban ")).count();
    }
    assert_eq!(done, RULES_A_DAY as usize);
    company.refused("eve", "/room slow 5s", "too-many");
    company.done("bob", "/join #bob");
    company.done("bob", "/room slow 5s");
}

/// What somebody sends who is not in the room, for each command that names one.
const FROM_OUTSIDE: &[&str] = &[
    "/who #s",
    "/topic #s",
    "/topic #s mine",
    "/history #s",
    "/files #s",
    "/query #s",
    "/msg #s hi",
    "/typing #s",
    "/typing #s off",
    "/send #s 1 x",
    "/leave #s",
    "/op #s",
    "/op #s ann",
    "/deop #s ann",
    "/voice #s ann",
    "/devoice #s ann",
    "/founder #s ann",
    "/kick #s ann",
    "/ban #s ann",
    "/mute #s ann",
    "/unban #s 1",
    "/bans #s",
    "/invite #s eve",
    "/uninvite #s eve",
    "/room #s",
    "/room #s hidden off",
    "/erase #s 1",
];

#[test]
fn a_hidden_room_is_not_there_for_those_who_are_not_in_it() {
    let mut company = Company::new(Settings::default(), &["ann", "bob"]);
    company.enter(&["ann", "bob", "cyd", "eve"]);
    company.done("ann", "/join #open");
    company.done("cyd", "/join #s");
    company.done("cyd", "/op bob");
    company.refused("cyd", "/founder bob", "refused");
    for line in ["/topic secret", "hello", "/room hidden on", "/room outside on"] {
        company.done("cyd", line);
    }
    company.done("cyd", "/send #s 5 x.txt");
    company.0.send("cyd", b"=aGVsbG8=\n");
    let file = company.heard("cyd").pop().unwrap().trim_start_matches('=').split(' ').next().unwrap().to_owned();
    for line in FROM_OUTSIDE {
        let reply = company.ask("eve", line);
        let nowhere = company.ask("eve", &line.replace("#s", "#nowhere"));
        assert_eq!(reply.replace("#s", "#nowhere"), nowhere, "{line} tells of the room");
        assert!(reply.contains(" no-such-room "), "{line}: {reply}");
    }
    for line in [format!("/get {file}"), format!("/cancel {file}")] {
        company.refused("eve", &line, "no-such-file");
    }
    assert_eq!(company.told("eve", "/rooms"), ["- #open 1", "+ rooms 1"]);
    assert!(!company.told("eve", "/who").iter().any(|row| row.contains("#s")));
    assert!(!company.told("eve", "/who cyd").iter().any(|row| row.contains("#s")));
    assert_eq!(company.ask("eve", "/files"), "+ files 0");
    // Whoever leaves out the sign is not asked whether they mean it.
    for line in ["/msg s hi", "/query s", "/ignore s", "/who s"] {
        assert!(company.ask("eve", line).ends_with("s is not here; /who lists who is"), "{line}");
    }
    // What happens there goes to those who are in it.
    company.heard("eve");
    for line in ["/typing #s", "hi all", "/me waves", "/topic other", "/nick cy"] {
        company.done("cyd", line);
    }
    assert_eq!(company.heard("eve"), [""; 0]);
    // Ops by name see it, wherever they are.
    assert_eq!(company.told("bob", "/rooms").len(), 3);
    company.done("bob", "/room #s hidden off");
    assert_eq!(company.told("eve", "/rooms").len(), 3);
}

#[test]
fn an_empty_room_remembers_what_is_said_from_outside() {
    let mut company = Company::new(Settings::default(), &["ann"]);
    company.enter(&["ann", "eve"]);
    for line in ["/join #r", "/room outside on", "hello", "/leave"] {
        company.done("ann", line);
    }
    company.done("eve", "/msg #r from outside");
    // Of rooms that nobody is in, the one goes first in which something was said longest ago.
    company.0.hub.check();
    company.done("ann", "/join #r");
    let history = company.told("ann", "/history");
    assert!(history.len() == 3 && history[1].ends_with(" <eve> from outside"), "{history:?}");
}

#[test]
fn who_is_slow_hears_that_another_connection_of_theirs_has_left() {
    let mut company = Company::new(Settings::default(), &["ann"]);
    company.enter(&["ann", "slow", "eve"]);
    let slow = ConnId::new(2, 0);
    company.done("eve", "/join #r");
    company.done("ann", "/join #r");
    let login = format!("/login ann token:{}", URL_SAFE_NO_PAD.encode(SECRET));
    assert_eq!(company.told("slow", &login), ["- in #r 0", "+ login ann"]);
    company.0.hub.lag(slow);
    company.done("eve", "one");
    company.done("ann", "/leave #r");
    assert_eq!(company.heard("slow"), ["#r * ann missed 1 after 0", "#r * ann left"]);
    // Later nothing more is told of a room that they are not in.
    company.done("eve", "two");
    let (now, notes) = (company.0.now(), &mut company.0.notes);
    company.0.hub.caught_up(slow, now, notes);
    assert_eq!(company.told("slow", "/ping"), ["+ ping"]);
}

#[test]
fn every_command_of_a_room_is_refused_to_those_who_may_not_use_it() {
    let mut company = Company::new(Settings::default(), &["ann", "bob", "cyd"]);
    company.enter(&["ann", "bob", "cyd", "eve", "out"]);
    for name in ["ann", "bob", "cyd", "eve"] {
        company.done(name, "/join #club");
    }
    company.done("ann", "/op bob");
    company.done("ann", "hello");
    let of_ops = [
        "/op eve",
        "/deop eve",
        "/voice eve",
        "/devoice eve",
        "/mute spam*",
        "/unban 1",
        "/ban spam*",
        "/unban 1",
        "/bans",
        "/room moderated off",
        "/room key open",
        "/room key off",
        "/erase 1",
    ];
    for line in of_ops {
        let at =
            line.split_once(' ').map_or(format!("{line} #club"), |(command, rest)| format!("{command} #club {rest}"));
        for who in ["cyd", "eve"] {
            company.refused(who, line, "not-op");
            company.refused(who, &at, "not-op");
        }
        company.refused("out", &at, "not-in-room");
        company.refused("out", line, "no-room");
    }
    for line in of_ops {
        // A ban that there is no more is gone, and everything else is done.
        let reply = company.ask("bob", line);
        assert!(reply.starts_with("+ ") || reply.starts_with("! unban gone"), "{line}: {reply}");
    }
    for (who, code) in [("bob", "refused"), ("cyd", "not-op"), ("eve", "not-op")] {
        company.refused(who, "/founder cyd", code);
    }
    company.done("ann", "/founder cyd");
}

#[test]
fn the_first_line_of_somebody_who_goes_in_anger_is_not_heard_from_the_muted() {
    let mut company = Company::new(Settings::default(), &["ann"]);
    company.enter(&["ann", "eve", "kay"]);
    for name in ["ann", "eve", "kay"] {
        company.done(name, "/join #club");
    }
    company.done("ann", "/op kay");
    company.done("ann", "/mute eve");
    company.done("ann", "/mute kay");
    company.heard("ann");
    company.done("kay", "/kick eve buy things");
    assert_eq!(company.heard("ann"), ["#club * kay kicked eve"]);
    company.done("eve", "/join #club");
    company.done("eve", "/quit buy things");
    assert_eq!(company.heard("ann"), ["#club * eve joined", "#club * eve quit"]);
}

#[test]
fn an_entry_tells_who_made_a_room_only_when_something_is_so_of_it() {
    let mut company = Company::new(Settings::default(), &["ann"]);
    company.enter(&["ann", "eve"]);
    company.done("eve", "/join #plain");
    company.done("eve", "hi");
    assert!(company.0.notes.ledger.entries.is_empty());
    let room = RoomName::new("#plain").unwrap();
    company.done("eve", "/room moderated on");
    let rule = Entry::Rule { room, rule: Rule::Moderated(true) };
    assert_eq!(company.0.notes.ledger.entries, [rule, Entry::Room { room, founder: Founder::Guest }]);
    let (room, nick) = (RoomName::new("#owned").unwrap(), Nick::new("ann").unwrap());
    company.0.notes.ledger.entries.clear();
    company.done("ann", "/join #owned");
    let locked = Entry::Rule { room, rule: Rule::TopicLocked(true) };
    assert_eq!(company.0.notes.ledger.entries, [Entry::Room { room, founder: Founder::Owner(nick) }, locked]);
    company.done("eve", "/join #owned");
    company.done("ann", "/op eve");
    assert!(!company.0.notes.ledger.entries.iter().any(|entry| matches!(entry, Entry::Role { role: Some(Role::Op), .. })));
}

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
        "! join not-in-room ",
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
    bob.ask(&format!("/get {own}"), "! get no-such-file there is no such file for you; /files lists those there are");
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
    bob.ask("/room hidden on", "+ room #secret hidden on");
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
    assert!(text.contains("role #den alice op\n") && text.ends_with(&dropped), "{text}");
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
    guest.ask("/room hidden on", "+ room #den hidden on");
    guest.send("between us");
    guest.settle();
    let lines = ["rule #den hidden on\n", "room #den guests\n"];
    drop(server);
    let path = dir.path().join("ledger");
    assert_eq!(fs::read_to_string(&path).unwrap(), lines.concat());
    // So it stands there when the server has written it anew.
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
    // A ban by name is for both, and for no guest from the same machine.
    alice.ask("/ban bob", "+ ban #club 1 name:bob");
    for client in [&mut bob, &mut again] {
        assert!(first_after(client, "/join #club").starts_with("! join banned "));
    }
    again.ask("/logout", "+ logout guest1");
    again.send("/join #club");
    again.until("+ join #club 2");
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
        gus.ask(&format!("/room {room} hidden on"), &format!("+ room {room} hidden on"));
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

#[test]
fn who_becomes_somebody_whom_a_ban_is_for_leaves_the_room() {
    let mut company = Company::new(Settings::default(), &["ann", "bo"]);
    let login = format!("/login bo token:{}", URL_SAFE_NO_PAD.encode(SECRET));
    company.enter(&["ann", "gus"]);
    company.done("ann", "/join #club");
    company.done("ann", "/ban bo");
    company.done("gus", "/join #other");
    company.done("gus", "/join #club");
    company.heard("ann");
    let told = company.told("gus", &login);
    assert_eq!(told, ["#club * gus left", "- in #other 0", "+ login bo"]);
    assert_eq!(company.heard("ann"), ["#club * gus left"]);
    company.refused("gus", "/msg #club hi", "not-in-room");
    company.refused("gus", "/join #club", "banned");
    // Who owns their name comes in where guests from there do not.
    company.done("ann", "/unban 1");
    company.enter_from("eve", network(5));
    company.enter_from("cy", network(5));
    for who in ["eve", "cy"] {
        company.done(who, "/join #club");
    }
    company.done("ann", "/ban eve");
    company.enter_from("bob", network(5));
    company.refused("bob", "/join #club", "banned");
    company.told("bob", &login);
    company.done("bob", "/join #club");
    company.heard("ann");
    let told = company.told("bob", "/logout");
    assert!(told.last().is_some_and(|line| line.starts_with("+ logout guest")), "{told:?}");
    // As its own person, it is in no room in any case; as the only connection it would have been.
    company.refused("bob", "/msg #club hi", "not-in-room");
    // Those who were inside before are not looked for.
    company.done("cy", "/nick cyril");
}

#[test]
fn who_gives_up_their_name_where_guests_are_banned_leaves_the_room() {
    let mut company = Company::new(Settings::default(), &["ann", "bo"]);
    company.enter(&["ann"]);
    company.enter_from("eve", network(5));
    for who in ["ann", "eve"] {
        company.done(who, "/join #club");
    }
    company.done("ann", "/ban eve");
    company.enter_from("bo", network(5));
    company.done("bo", "/join #club");
    company.heard("ann");
    company.refused("bo", "/nick other", "banned");
    let told = company.told("bo", "/logout");
    assert!(told[0] == "#club * bo left" && told.last().unwrap().starts_with("+ logout guest"), "{told:?}");
    assert_eq!(company.heard("ann"), ["#club * bo left"]);
    company.refused("bo", "/msg #club hi", "not-in-room");
}

#[test]
fn what_a_muted_op_says_of_a_ban_nobody_is_shown() {
    let mut company = Company::new(Settings::default(), &["ann"]);
    company.enter(&["ann", "gus"]);
    company.done("ann", "/join #club");
    company.done("gus", "/join #club");
    company.done("ann", "/op gus");
    company.done("ann", "/mute gus");
    company.done("gus", "/ban spam* rude words");
    let told = company.told("ann", "/bans");
    assert_eq!(told[1..], ["- 2 ban pattern:spam* gus -", "+ bans #club 2"]);
}

#[test]
fn a_banned_pattern_is_not_fitted_by_who_fits_it_already() {
    let mut company = Company::new(Settings::default(), &["ann"]);
    company.enter(&["ann", "watt"]);
    company.done("ann", "/join #club");
    company.done("watt", "/join #club");
    company.done("ann", "/ban wat*");
    company.refused("watt", "/nick watson", "banned");
    company.done("watt", "/nick other");
    company.refused("watt", "/nick watson", "banned");
}

#[test]
fn a_ban_that_ends_later_than_times_are_told_is_for_good() {
    let mut company = Company::new(Settings::default(), &["ann"]);
    company.enter(&["ann", "gus"]);
    company.done("ann", "/join #club");
    company.done("gus", "/join #club");
    for time in ["3650000d", "99999999999999999999"] {
        company.done("ann", &format!("/ban spam* {time}"));
        let heard = company.heard("gus");
        assert_eq!(heard.last().unwrap(), "#club * ann banned pattern:spam* 0");
    }
}

#[test]
fn who_may_be_the_founder_of_no_more_rooms_is_named() {
    let mut company = Company::new(Settings::default(), &["ann", "bo"]);
    company.enter(&["ann", "bo"]);
    for n in 0..FOUNDED {
        company.done("ann", &format!("/join #room{n}"));
    }
    company.done("bo", "/join #club");
    company.done("ann", "/join #club");
    let reply = company.ask("bo", "/founder ann");
    assert!(reply.starts_with("! founder too-many ann is the founder of 20 rooms"), "{reply}");
    // The operator's door tells of all of them.
    company.0.connect_control("door");
    let told = company.told("door", "/account ann");
    let row = told.iter().find(|row| row.starts_with("- founder #room0,")).unwrap_or_else(|| panic!("{told:?}"));
    assert_eq!(row.split(',').count(), FOUNDED);
}

#[test]
fn a_time_that_is_none_is_told_and_becomes_no_reason() {
    let mut company = Company::new(Settings::default(), &["ann"]);
    company.enter(&["ann", "hans"]);
    for name in ["ann", "hans"] {
        company.done(name, "/join #club");
    }
    company.heard("hans");
    for line in [
        "/mute hans 10min too loud",
        "/mute hans 1h30m too loud",
        "/mute hans 1 hour",
        "/mute hans 30 Minuten, zu laut",
        "/ban hans 2 Stunden",
        "/ban hans 3rd time",
        "/ban spam* 1w",
        "/ban #club hans 1.5h",
    ] {
        let reply = company.ask("ann", line);
        assert!(reply.contains(" usage ") && reply.contains("as in 30m, 12h or 7d"), "{line}: {reply}");
    }
    assert_eq!(company.told("ann", "/bans"), ["+ bans #club 0"]);
    // A number alone is one of seconds, and what begins with no digit is a reason.
    for (line, told) in [
        ("/mute hans 90 too loud", "muted guest:hans 90 too loud"),
        ("/mute hans 2m 3rd time", "muted guest:hans 120 3rd time"),
        ("/mute hans too loud", "muted guest:hans 86400 too loud"),
        ("/mute hans 60 secretly", "muted guest:hans 60 secretly"),
    ] {
        company.done("ann", line);
        assert_eq!(company.heard("hans"), [format!("#club * ann {told}")], "{line}");
    }
}

#[test]
fn where_nobody_is_op_a_refusal_names_who_appoints_somebody() {
    let mut company = Company::new(Settings::default(), &["ann", "bob"]);
    company.enter(&["ann", "bob", "eve"]);
    company.done("eve", "/join #club");
    company.done("bob", "/join #club");
    let refused = company.ask("bob", "/kick eve");
    assert_eq!(refused, "! kick not-op only ops of #club may do that; /op #club lists them");
    company.done("eve", "/leave");
    company.done("eve", "/join #club");
    let way = "with chinwag ctl founder '#club' NICK";
    let refused = company.ask("bob", "/kick eve");
    assert_eq!(
        refused,
        format!("! kick not-op only ops of #club may do that; it has none, and the operator appoints a founder {way}")
    );
    let refused = company.ask("bob", "/founder bob");
    assert_eq!(
        refused,
        format!(
            "! founder not-op only the founder of #club may do that; it has none, and the operator appoints one {way}"
        )
    );
    // A founder who is away is one.
    company.done("ann", "/join #den");
    company.done("bob", "/join #den");
    company.done("ann", "/quit");
    let refused = company.ask("bob", "/founder bob");
    assert_eq!(refused, "! founder not-op only the founder of #den may do that; /op #den tells who it is");
}

#[test]
fn a_ban_of_a_guest_is_told_as_one_of_their_network_and_an_invitation_as_in_vain() {
    let mut company = Company::new(Settings::default(), &["ann", "bob"]);
    company.enter(&["ann", "bob"]);
    company.enter_from("hans", network(7));
    company.enter_from("maria", network(7));
    for name in ["ann", "bob"] {
        company.done(name, "/join #club");
    }
    assert_eq!(company.ask("ann", "/ban hans too loud"), "+ ban #club 1 guest:hans");
    let by_network = company.ask("maria", "/join #club");
    assert!(
        by_network.starts_with("! join banned guests from your network are banned from #club until "),
        "{by_network}"
    );
    assert!(by_network.ends_with("; ask an op of it, or /login if you own a name"), "{by_network}");
    let own = company.ask("hans", "/join #club");
    assert!(own.starts_with("! join banned you are banned from #club until "), "{own}");
    let notice = "* notice hans is banned from #club, which no invitation changes; /unban #club 1 ends that";
    assert_eq!(company.told("ann", "/invite hans"), [notice, "+ invite #club hans"]);
    // Who is no op is not told, and nobody is told who comes from where.
    assert_eq!(company.told("bob", "/invite hans"), ["+ invite #club hans"]);
    assert_eq!(company.told("ann", "/invite maria"), ["+ invite #club maria"]);
    company.done("ann", "/unban 1");
    assert_eq!(company.told("ann", "/invite hans"), ["+ invite #club hans"]);
    company.done("bob", "/leave");
    company.done("ann", "/ban bob");
    let notice = "* notice bob is banned from #club, which no invitation changes; /unban #club 2 ends that";
    assert_eq!(company.told("ann", "/invite bob"), [notice, "+ invite #club bob"]);
}
