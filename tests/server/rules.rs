//! Rooms with rules: who is put out, who is heard, what nobody else learns, and what stays so.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chinwag::effect::{PastRoom, Record};
use chinwag::limits::{
    BANS, DAY, FOUNDED, INVITATIONS, OPS, RULES_A_DAY, RULES_LINES, RULES_OF_ALL, RULES_OF_GUESTS, WAYS, WRONG_KEYS,
};
use chinwag::names::{ConnId, Digest, Nick, RoomName, Text};
use chinwag::register::Register;
use chinwag::register::entry::{Author, Ban, BanKind, Entry, Founder, Role, Rule, Who};
use chinwag::settings::{RoomMakers, Settings};
use sha2::{Digest as _, Sha256};
use testkit::Server;
use testkit::memory::Memory;

use crate::company::{Company, SECRET, network, owners};

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
    let register = company.register_of_ledger(&["ann", "bob", "cyd"]);
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
fn a_room_with_a_founder_keeps_its_topic_though_nothing_is_said_in_it() {
    let settings = Settings::default();
    let names = ["ann", "bob"];
    let mut company = Company::new(settings.clone(), &names);
    company.enter(&["ann", "eve"]);
    let quit = |company: &mut Company, name: &str, lines: &[&str]| {
        lines.iter().for_each(|line| company.done(name, line));
        company.told(name, "/leave");
    };
    quit(&mut company, "ann", &["/join #club", "/topic tea", "/topic Tuesdays at eight"]);
    // A guest's room may come to have a founder, and else is forgotten.
    for line in ["/join #tea", "/topic black or green"] {
        company.done("eve", line);
    }
    company.0.connect_control("ctl");
    company.done("ctl", "/founder #tea ann");
    company.done("eve", "/leave");
    quit(&mut company, "eve", &["/join #plain", "/topic plain"]);
    quit(&mut company, "ann", &["/join #none", "/topic none", "/topic -"]);
    quit(&mut company, "ann", &["/join #log", "/topic before", "hello", "/topic after"]);
    quit(&mut company, "eve", &["/join #was", "/topic was", "/room slow 5s"]);
    let topics = [
        ("#club", Some("Tuesdays at eight")),
        ("#tea", Some("black or green")),
        ("#plain", None),
        ("#none", None),
        ("#log", Some("after")),
        ("#was", None),
    ];
    let is_so = |company: &mut Company, topics: &[(&str, Option<&str>)]| {
        for (room, topic) in topics {
            let told = company.told("bob", &format!("/join {room}"));
            let got = told.iter().find_map(|row| row.strip_prefix("- topic "));
            assert_eq!(got, *topic, "{room}: {told:?}");
            company.done("bob", "/leave");
        }
    };
    let register = company.register_of_ledger(&names);
    company.enter(&["bob"]);
    is_so(&mut company, &topics);
    // A restart has the ledger alone here.
    let mut company = Company::new(settings, &names);
    company.restore(register);
    company.enter(&["bob"]);
    is_so(&mut company, &topics);
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
    // And so is a voice.
    company.enter(&["dee"]);
    company.done("dee", "/join #club");
    company.refused("dee", "/invite #club eve", "muted");
    company.done("ann", "/voice #club dee");
    company.done("dee", "/invite #club eve");
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
    op.send("/room key open");
    op.starting("* notice a guest made #club, ");
    op.expect("+ room #club key open");
    let mut eve = server.person("eve");
    eve.send("/join #club guess");
    eve.starting("! join bad-key that is not the key of #club; ask op, an op of it, for it, and type /join #club KEY");
    // Whoever gives none does not guess.
    eve.send("/join #club");
    eve.starting("! join bad-key #club has a key; ");
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
fn a_room_in_which_nothing_was_said_takes_words_from_outside_too() {
    let mut company = Company::new(Settings::default(), &["ann"]);
    company.enter(&["ann", "eve"]);
    for line in ["/join #r", "/room invite-only on", "/room outside on", "/leave"] {
        company.done("ann", line);
    }
    for (on, off, code) in [("hidden on", "hidden off", "no-such-room"), ("guests out", "guests speak", "no-account")] {
        ["/join #r", &format!("/room {on}"), "/leave"].into_iter().for_each(|line| company.done("ann", line));
        company.refused("eve", "/msg #r hi", code);
        company.0.hub.check();
        ["/join #r", &format!("/room {off}"), "/leave"].into_iter().for_each(|line| company.done("ann", line));
    }
    company.done("eve", "/msg #r from outside");
    company.0.hub.check();
    company.done("ann", "/join #r");
    let history = company.told("ann", "/history");
    assert!(history.len() == 2 && history[0].ends_with(" <eve> from outside"), "{history:?}");
    // What a guest made and left so is none.
    for line in ["/join #g", "/room outside on", "/leave"] {
        company.done("eve", line);
    }
    company.refused("ann", "/msg #g hi", "no-such-room");
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
    assert_eq!(company.0.notes.ledger.entries, [Entry::Room { room, founder: Founder::Guest }, rule]);
    let (room, nick) = (RoomName::new("#owned").unwrap(), Nick::new("ann").unwrap());
    company.0.notes.ledger.entries.clear();
    company.done("ann", "/join #owned");
    let locked = Entry::Rule { room, rule: Rule::TopicLocked(true) };
    assert_eq!(company.0.notes.ledger.entries, [Entry::Room { room, founder: Founder::Owner(nick) }, locked]);
    company.done("eve", "/join #owned");
    company.done("ann", "/op eve");
    assert!(
        !company.0.notes.ledger.entries.iter().any(|entry| matches!(entry, Entry::Role { role: Some(Role::Op), .. }))
    );
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
        "/ban spam* 1y",
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
        ("/mute hans 2w too loud", "muted guest:hans 1209600 too loud"),
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
    let refused = company.ask("bob", "/kick eve");
    let one = "it has none, and the operator of the server appoints one with chinwag ctl op '#club' NICK";
    assert_eq!(refused, format!("! kick not-op only ops of #club may do that; {one}"));
    let refused = company.ask("bob", "/founder bob");
    let one = "it has none, and the operator appoints one with chinwag ctl founder '#club' NICK";
    assert_eq!(refused, format!("! founder not-op only the founder of #club may do that; {one}"));
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
    assert!(by_network.ends_with("; ask ann, an op of it, or /login if you own a name"), "{by_network}");
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

#[test]
fn a_founder_who_knows_nobody_gives_a_room_back() {
    let mut company = Company::new(Settings::default(), &["ann", "bob"]);
    company.enter(&["ann", "bob", "eve"]);
    company.done("ann", "/join #r");
    company.done("bob", "/join #r");
    company.done("ann", "/room hidden on");
    company.refused("eve", "/founder #r server", "no-such-room");
    company.done("ann", "/op bob");
    company.refused("bob", "/founder server", "refused");
    company.heard("bob");
    assert_eq!(company.ask("ann", "/founder Server"), "+ founder #r server");
    assert_eq!(company.heard("bob"), ["#r * ann made server founder"]);
    assert_eq!(company.told("bob", "/op"), ["- op bob", "- op ann", "+ op #r 2"]);
    assert!(!company.told("ann", "/account").iter().any(|row| row.starts_with("- founder ")));
    // It is a room whose founder has gone: ops may do what ops may, and nobody follows.
    company.refused("ann", "/founder bob", "refused");
    company.done("bob", "/deop ann");
    assert_eq!(company.told("bob", "/room #r hidden"), ["+ room #r hidden on"]);
    for who in ["ann", "bob"] {
        company.done(who, "/leave #r");
    }
    company.done("eve", "/join #r");
    assert_eq!(company.told("eve", "/op"), ["- op bob", "+ op #r 1"]);
    company.0.hub.check();
}
