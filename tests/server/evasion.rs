//! Who would get round a ban, a mute or a limit, and rooms that stay what they are.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chinwag::names::RoomName;
use chinwag::settings::Settings;
use chinwag::time::in_seconds;

use crate::company::{Company, SECRET, network};

/// Has somebody come back to a room in which nobody is, and gives what they are told of what was said.
fn said_before(company: &mut Company, name: &str, room: &str) -> String {
    company.done(name, &format!("/join {room}"));
    company.ask(name, "/history")
}

#[test]
fn what_guests_alone_restrict_is_forgotten_and_they_are_told_so_before() {
    let mut company = Company::new(Settings::default(), &["ann", "bob"]);
    company.enter(&["eve", "ann", "bob"]);
    for line in ["/join #few", "one", "/room slow 5s"] {
        company.done("eve", line);
    }
    let told = company.told("eve", "/room key sesame");
    let notice = "* notice a guest made #few, so with key it is forgotten with all that was said and shared there when the last one leaves; \
                  /op #few NICK of somebody who owns their name keeps it; /room #few key off takes that back";
    assert_eq!(told, [notice, "+ room #few key sesame"]);
    company.done("eve", "/leave");
    assert_eq!(said_before(&mut company, "ann", "#few"), "+ history #few 0");
    company.done("ann", "/leave");
    // As soon as a name has a rank there, or the owner of one or the operator sets a rule, the room stays, with its topic.
    company.0.connect_control("ctl");
    let ways: [(&str, &str, &str); 4] = [
        ("#role", "eve", "/op #role bob"),
        ("#voice", "eve", "/voice #voice bob"),
        ("#door", "ctl", "/room #door key sesame"),
        ("#slow", "ctl", "/room #slow slow 5s"),
    ];
    for (room, who, line) in ways {
        for line in [format!("/join {room}"), "/topic tea".to_owned(), "one".to_owned()] {
            company.done("eve", &line);
        }
        company.done(who, line);
        let restrict = format!("/room {room} past off");
        let told = company.told("eve", &restrict);
        assert_eq!(told, [format!("+ room {room} past off")]);
        company.done("eve", "/leave");
        // What is said from now on is all that they see who come, so the numbers tell.
        company.done("ctl", &format!("/room {room} past on"));
        company.done("ctl", &format!("/room {room} key off"));
        assert_eq!(said_before(&mut company, "ann", room), format!("+ history {room} 1"));
        assert_eq!(company.ask("ann", "/topic"), format!("+ topic {room} tea"));
        company.done("ann", "/leave");
    }
    let register = company.register_of_ledger(&["ann", "bob"]);
    let mut company = Company::new(Settings::default(), &["ann", "bob"]);
    company.restore(register);
    company.enter(&["ann"]);
    company.done("ann", "/join #role");
    assert_eq!(company.told("ann", "/op"), ["- op bob", "+ op #role 1"]);
}

#[test]
fn who_made_a_room_as_a_guest_keeps_it_by_a_name_of_their_own() {
    let mut company = Company::new(Settings::default(), &["bo"]);
    company.enter(&["eve"]);
    for line in ["/join #few", "one"] {
        company.done("eve", line);
    }
    company.told("eve", &login("bo"));
    company.done("eve", "/room invite-only on");
    // They are an op for as long as they are here, and for good once they say so.
    company.done("eve", "/op bo");
    company.done("eve", "/leave");
    assert_eq!(said_before(&mut company, "eve", "#few"), "+ history #few 1");
    assert_eq!(company.told("eve", "/op"), ["- op bo", "+ op #few 1"]);
}

fn login(name: &str) -> String {
    format!("/login {name} token:{}", URL_SAFE_NO_PAD.encode(SECRET))
}

#[test]
fn who_was_muted_or_banned_by_name_stays_so_under_another_one() {
    let mut company = Company::new(Settings::default(), &["ann", "bob", "bea"]);
    company.enter(&["ann", "bob"]);
    for name in ["ann", "bob"] {
        company.done(name, "/join #club");
    }
    company.done("ann", "/mute bob 1h");
    company.refused("bob", "/me x", "muted");
    for line in ["/nick bo", "/me x", "/leave", "/join #club"] {
        if line == "/me x" {
            company.refused("bob", line, "muted");
        } else {
            company.done("bob", line);
        }
    }
    company.refused("bob", "/me x", "muted");
    // Another name of their own is no other mouth.
    company.told("bob", &login("bea"));
    company.refused("bob", "/me x", "muted");
    // Nor is another connection of theirs.
    company.told("bob", &login("bob"));
    company.0.connect("second");
    company.told("second", &login("bob"));
    company.done("second", "/nick bert");
    company.done("second", "/join #club");
    company.refused("second", "hello", "muted");
    assert_eq!(company.told("ann", "/bans").len(), 2);
    company.done("ann", "/unban 1");
    company.done("second", "hello");
    // A ban keeps them out, whoever they become.
    company.done("ann", "/ban bob 1h");
    company.refused("bob", "/join #club", "banned");
    company.done("bob", "/nick bo");
    company.refused("bob", "/join #club", "banned");
    company.told("bob", &login("bea"));
    company.refused("bob", "/join #club", "banned");
    // That is so of these connections alone.
    company.enter(&["third"]);
    company.done("third", "/join #club");
}

#[test]
fn a_ban_by_name_goes_on_for_who_gave_the_name_up_as_long_as_they_are_here() {
    let mut company = Company::new(Settings::default(), &["ann", "bob", "bea"]);
    company.enter(&["ann", "bob"]);
    for name in ["ann", "bob"] {
        company.done(name, "/join #club");
    }
    company.0.connect("second");
    company.told("second", &login("bob"));
    company.done("ann", "/mute bob 1h rude");
    company.done("ann", "/ban bea");
    company.0.connect_control("ctl");
    company.done("ctl", "/revoke bob");
    company.refused("bob", "hello", "muted");
    company.done("second", "/join #club");
    company.refused("second", "hello", "muted");
    let rows = company.told("ann", "/bans");
    assert!(rows[0].starts_with("- 1 mute guest:guest") && rows[0].ends_with(" rude"), "{rows:?}");
    company.done("ann", "/unban 1");
    company.done("bob", "hello");
    company.done("second", "hello");
}

#[test]
fn a_ban_of_a_connection_that_is_gone_holds_for_nobody_and_is_not_listed() {
    let mut company = Company::new(Settings::default(), &["ann"]);
    company.enter(&["ann", "gus"]);
    for name in ["ann", "gus"] {
        company.done(name, "/join #club");
    }
    assert_eq!(company.ask("ann", "/mute gus"), "+ mute #club 1 guest:gus connection");
    company.done("gus", "/leave");
    company.done("gus", "/nick gustav");
    assert_eq!(company.ask("ann", "/bans"), "+ bans #club 1");
    let register = company.register_of_ledger(&["ann"]);
    company.0.end("gus");
    assert_eq!(company.told("ann", "/bans"), ["+ bans #club 0"]);
    company.refused("ann", "/unban 1", "gone");
    assert_eq!(company.ask("ann", "/ban spam*"), "+ ban #club 2 pattern:spam*");
    // The ledger is rid of it then, and a start does not take it for one that holds.
    let rows = company.register_of_ledger(&["ann"]);
    let room = RoomName::new("#club").unwrap();
    assert_eq!(rows.room(&room).unwrap().bans().len(), 1);
    let mut company = Company::new(Settings::default(), &["ann"]);
    company.restore(register);
    company.enter(&["ann"]);
    assert_eq!(company.told("ann", "/bans #club"), ["+ bans #club 0"]);
}

#[test]
fn who_comes_back_in_a_slow_room_waits_all_the_same() {
    let mut company = Company::new(Settings::default(), &["ann", "bob"]);
    company.enter(&["ann", "bob"]);
    company.done("ann", "/join #club");
    company.done("bob", "/join #club");
    company.done("ann", "/room slow 60");
    company.done("bob", "/me one");
    company.0.end("bob");
    company.enter(&["bob"]);
    company.done("bob", "/join #club");
    company.refused("bob", "/me two", "muted");
    company.done("bob", "/nick bo");
    company.refused("bob", "/me two", "muted");
    // A guest is known by their network, unless they were in the room before.
    for who in ["gus", "neighbour"] {
        company.enter_from(who, network(7));
        company.done(who, "/join #club");
    }
    company.done("gus", "one");
    company.done("neighbour", "one");
    company.0.end("gus");
    company.enter_from("gustav", network(7));
    company.enter_from("far", network(8));
    for who in ["gustav", "far"] {
        company.done(who, "/join #club");
    }
    company.refused("gustav", "two", "muted");
    company.done("far", "two");
    company.0.wait(Duration::from_secs(61));
    company.done("gustav", "two");
    // A topic and the name of a file are words, and no way around it.
    company.done("ann", "/room topic-locked off");
    company.refused("gustav", "/topic #club three", "muted");
    company.refused("gustav", "/send #club 5 three", "muted");
    company.done("gustav", "/typing on");
    company.0.wait(Duration::from_secs(61));
    company.done("gustav", "/topic #club three");
    company.refused("gustav", "/topic #club -", "muted");
    company.done("far", "/send #club 5 three");
    company.refused("far", "/send #club 5 four", "muted");
    company.0.wait(Duration::from_secs(61));
    company.done("gustav", "three");
    // Words of farewell are words.
    company.heard("ann");
    company.done("gustav", "/leave #club three");
    company.done("far", "/leave #club three");
    company.done("far", "/join #club");
    company.done("far", "/quit four");
    let left: Vec<String> = company.heard("ann").into_iter().filter(|line| !line.ends_with("joined")).collect();
    assert_eq!(left, ["#club * gustav left", "#club * far left three", "#club * far quit"]);
}

#[test]
fn what_somebody_else_said_under_a_name_is_not_its_owner_s_to_take_back() {
    let mut company = Company::new(Settings::default(), &["ann"]);
    company.enter(&["ann", "bob"]);
    for name in ["ann", "bob"] {
        company.done(name, "/join #club");
    }
    company.done("bob", "one");
    company.0.end("bob");
    company.0.connect("thief");
    company.done("thief", "/nick bob");
    company.done("thief", "/register correct-horse");
    company.done("thief", "/join #club");
    company.done("thief", "two");
    let refused = company.ask("thief", "/erase 1");
    let why =
        "message 1 is not known to be yours, and only ops of #club take back what others said; ask ann, an op of it";
    assert_eq!(refused, format!("! erase not-op {why}"));
    assert!(company.ask("thief", "/erase 1 2").ends_with(why));
    // What was said under ownership is theirs, through whatever connection.
    company.0.end("thief");
    company.0.connect("bob");
    company.told("bob", "/login bob correct-horse");
    company.done("bob", "/join #club");
    assert_eq!(company.ask("bob", "/erase 2"), "+ erase #club 1");
}

#[test]
fn who_may_not_do_something_in_a_room_is_told_whom_to_ask() {
    let mut company = Company::new(Settings::default(), &["ann", "bob"]);
    company.enter(&["ann", "bob", "eve", "gus"]);
    for name in ["ann", "eve"] {
        company.done(name, "/join #club");
    }
    for (line, code, why, wanted) in [
        ("/room invite-only on", "invite-only", "only who is invited comes into #club", " for /invite"),
        ("/room key sesame", "bad-key", "#club has a key", " for it, and type /join #club KEY"),
        (
            "/ban gus*",
            "banned",
            "guests of your name are banned from #club for good",
            " or choose another name with /nick",
        ),
    ] {
        company.done("ann", line);
        let refused = company.ask("gus", "/join #club");
        assert_eq!(refused, format!("! join {code} {why}; ask ann, an op of it,{wanted}"));
        for line in ["/room invite-only off", "/room key off"] {
            company.done("ann", line);
        }
    }
    company.done("ann", "/room moderated on");
    let moderated = "! say muted only ops and voices speak in #club; ask ann, an op of it,";
    assert_eq!(company.ask("eve", "hello"), format!("{moderated} for /voice"));
    // Where none is here, those are named who may come; and where there is none, who appoints one.
    company.0.end("ann");
    assert_eq!(company.ask("eve", "hello"), format!("{moderated} when they are here, for /voice"));
    company.done("gus", "/join #free");
    company.done("gus", "/room moderated on");
    company.done("eve", "/join #free");
    company.done("gus", "/leave");
    let refused = company.ask("eve", "hello");
    assert!(
        refused
            .contains("; it has no op, and the operator of the server appoints one with chinwag ctl op '#free' NICK"),
        "{refused}"
    );
    // A hidden room tells nobody who is in it.
    company.enter(&["ann"]);
    company.done("ann", "/join #club");
    company.done("ann", "/room hidden on");
    company.done("ann", "/room invite-only on");
    company.done("bob", "/nick cy");
    let refused = company.ask("bob", "/join #club");
    assert_eq!(
        refused,
        "! join invite-only only who is invited comes into #club; ask whoever told you of it for /invite"
    );
}

#[test]
fn a_neighbour_of_who_is_muted_is_told_of_the_network() {
    let mut company = Company::new(Settings::default(), &["ann"]);
    company.enter(&["ann"]);
    company.enter_from("eve", network(7));
    for name in ["ann", "eve"] {
        company.done(name, "/join #club");
    }
    company.done("ann", "/mute eve");
    company.enter_from("cy", network(7));
    company.done("cy", "/join #club");
    let refused = company.ask("cy", "hello");
    assert!(refused.starts_with("! say muted guests from your network are muted in #club until "), "{refused}");
    assert!(refused.ends_with("; ask ann, an op of it, or /login if you own a name"), "{refused}");
}

#[test]
fn an_operator_is_told_of_what_they_may_do_and_the_door_of_where_files_are_seen() {
    let mut company = Company::new(Settings::default(), &["ann"]);
    company.enter(&["ann"]);
    let lists = |company: &mut Company| company.told("ann", "/help").iter().any(|row| row.starts_with("- /founder "));
    assert!(!lists(&mut company));
    company.0.connect_control("ctl");
    company.done("ctl", "/operator ann on");
    assert!(lists(&mut company));
    assert_eq!(company.ask("ctl", "/cancel 9"), "! cancel no-such-file there is no such file; /files lists them");
}

#[test]
fn the_past_is_there_again_for_all_when_it_is_on() {
    let mut company = Company::new(Settings { history: 10, ..Settings::default() }, &["ann"]);
    company.enter(&["ann", "cy"]);
    for line in ["/join #club", "one", "/room past off"] {
        company.done("ann", line);
    }
    company.done("cy", "/join #club");
    company.done("ann", "two");
    assert_eq!(company.ask("cy", "/history"), "+ history #club 1");
    company.done("ann", "/room past on");
    assert_eq!(company.ask("cy", "/history"), "+ history #club 2");
    assert_eq!(company.ask("cy", "/history after 0"), "+ history #club 2");
    company.done("ann", "/room past off");
    assert_eq!(company.ask("cy", "/history"), "+ history #club 1");
}

#[test]
fn who_gives_up_their_name_where_nobody_logs_in_is_told_that_it_is_for_good() {
    let mut company = Company::new(Settings::default(), &["ann"]);
    company.enter(&["ann"]);
    company.0.connect_control("ctl");
    company.0.send("ctl", b"/server accounts off\n");
    assert_eq!(company.ask("ann", "/nick ANN"), "+ nick ANN");
    let notice = "* notice nobody can log in here now, so ann, which is yours, is not to be had again until the operator changes that";
    assert_eq!(company.told("ann", "/nick other"), [notice, "+ nick other"]);
}

#[test]
fn an_answer_tells_how_long_a_ban_holds_and_what_it_was_before() {
    let mut company = Company::new(Settings::default(), &["alice", "bob"]);
    company.enter(&["alice", "bob", "carol"]);
    company.enter_from("mallory", network(5));
    for name in ["alice", "bob", "carol", "mallory"] {
        company.done(name, "/join #a");
    }
    let until = |days: u64| in_seconds(company.0.now().wall + Duration::from_secs(86_400 * days)).to_string();
    let [day, month] = [1, 30].map(until);
    for (line, notice) in [
        ("/mute bob", String::new()),
        ("/mute bob 1d", format!("name:bob is muted in #a until {day}; it was for good")),
        ("/mute bob 1d", String::new()),
        ("/mute bob", format!("name:bob is muted in #a for good; it was until {day}")),
        ("/mute bob 0", String::new()),
        ("/mute mallory", String::new()),
        ("/mute mallory 60d", String::new()),
        ("/mute mallory 1d", format!("guest:mallory is muted in #a until {day}; it was until {month}")),
        ("/mute spam* 1d", String::new()),
        ("/ban ads*", String::new()),
        ("/ban bob", String::new()),
        ("/ban carol", String::new()),
    ] {
        let mut told = company.told("alice", line);
        assert!(told.pop().is_some_and(|reply| reply.starts_with("+ ")), "{line}");
        let want = if notice.is_empty() { Vec::new() } else { vec![format!("* notice {notice}")] };
        assert_eq!(told, want, "{line}");
    }
    let refusal = company.ask("bob", "/join #a");
    assert!(refusal.starts_with("! join banned you are banned from #a for good; ask alice"), "{refusal}");
}
