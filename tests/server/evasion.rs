//! Who would get round a ban, a mute or a limit, and rooms that stay what they are.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chinwag::settings::Settings;

use crate::company::{Company, SECRET};

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
