//! `/help`: what it lists, and for whom.

use testkit::{Client, Server};

const PASSWORD: &str = "correct-horse";

/// What `/help` lists: each group with the names of its commands.
fn listed(client: &mut Client) -> Vec<String> {
    client.send("/help");
    let mut groups: Vec<String> = Vec::new();
    loop {
        let line = client.line().unwrap();
        let row = match line.strip_prefix("- ") {
            Some(row) => row,
            None if line == "+ help" => return groups,
            None => panic!("{line}"),
        };
        match row.strip_prefix('/') {
            None => groups.push(row.to_owned()),
            Some(usage) => {
                assert!(usage.contains("  "), "{row} does not tell what it does");
                let group = groups.last_mut().expect("a group stands first");
                *group += &format!(" {}", usage.split(' ').next().unwrap());
            }
        }
    }
}

const PEOPLE: &str = "people: who ignore unignore away back";
const FILES: &str = "files: send get files cancel";
const TALK_OUTSIDE: &str = "talk: query msg me typing";
const TALK: &str = "talk: query msg me typing history";
const GUEST: &str = "yours: help limits nick register login account set ping keep resume quit";
const OWNER: &str = "yours: help limits nick login logout passwd token drop account set ping keep resume quit";
const NO_ACCOUNTS: &str = "yours: help limits nick set ping keep resume quit";
const MEMBER: &str = "rooms: join leave rooms topic op invite uninvite room erase";
const OP: &str =
    "rooms: join leave rooms topic op deop voice devoice kick ban mute unban bans invite uninvite room erase";
const FOUNDER: &str =
    "rooms: join leave rooms topic op deop voice devoice founder kick ban mute unban bans invite uninvite room erase";

#[test]
fn help_lists_what_somebody_may_use_and_nothing_else() {
    let dir = tempfile::tempdir().unwrap();
    let server = Server::start(&["--rate", "0", "--data", dir.path().to_str().unwrap()]);
    let mut alice = server.person("alice");
    assert_eq!(listed(&mut alice), [TALK_OUTSIDE, PEOPLE, "rooms: join rooms", FILES, GUEST]);
    alice.ask(&format!("/register {PASSWORD}"), "+ register alice");
    assert_eq!(listed(&mut alice), [TALK_OUTSIDE, PEOPLE, "rooms: join rooms", FILES, OWNER]);
    alice.send("/join #a");
    alice.until("+ join #a 1");
    assert_eq!(listed(&mut alice), [TALK, PEOPLE, FOUNDER, FILES, OWNER]);

    let mut bob = server.in_room("bob", "#a");
    alice.expect("#a * bob joined");
    assert_eq!(listed(&mut bob), [TALK, PEOPLE, MEMBER, FILES, GUEST]);
    // Whom members may not invite any more.
    alice.ask("/room invite-only on", "+ room #a invite-only on");
    bob.expect("#a * alice set invite-only on");
    assert_eq!(listed(&mut bob), [TALK, PEOPLE, "rooms: join leave rooms topic op room erase", FILES, GUEST]);
    alice.ask("/op bob", "+ op #a bob");
    bob.expect("#a * alice made bob op");
    assert_eq!(listed(&mut bob), [TALK, PEOPLE, OP, FILES, GUEST]);
    // It is about the room that is current, and it is nobody's business what they may do in another.
    alice.send("/join #b");
    alice.until("+ join #b 1");
    bob.send("/join #b");
    bob.until("+ join #b 2");
    assert_eq!(listed(&mut bob), [TALK, PEOPLE, MEMBER, FILES, GUEST]);
    bob.ask("/query #a", "+ query #a");
    assert_eq!(listed(&mut bob), [TALK, PEOPLE, OP, FILES, GUEST]);
    // One command is told to anybody.
    bob.ask("/help founder", "- /founder [#ROOM] NICK  make NICK the founder of your room");
    bob.expect("+ help");
}

#[test]
fn help_lists_nothing_of_accounts_where_there_are_none() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().to_str().unwrap();
    for (options, yours) in [
        (&[][..], NO_ACCOUNTS),
        (&["--data", data, "--accounts", "off"], NO_ACCOUNTS),
        (&["--data", data, "--accounts", "closed"], "yours: help limits nick login account set ping keep resume quit"),
    ] {
        let server = Server::start(options);
        let mut client = server.person("alice");
        assert_eq!(listed(&mut client), [TALK_OUTSIDE, PEOPLE, "rooms: join rooms", FILES, yours], "{options:?}");
    }
}

#[test]
fn help_of_a_locked_server_lists_what_unlocks_it() {
    let dir = tempfile::tempdir().unwrap();
    let password = dir.path().join("password");
    std::fs::write(&password, "tea\n").unwrap();
    let (password, data) = (password.to_str().unwrap(), dir.path().join("data"));
    for (options, want) in [
        (&["--password-file", password][..], "yours: help pass ping resume quit"),
        (&["--password-file", password, "--data", data.to_str().unwrap()], "yours: help pass login ping resume quit"),
    ] {
        let server = Server::start(options);
        let mut client = server.connect_raw();
        client.starting("* locked ");
        assert_eq!(listed(&mut client), [want], "{options:?}");
        client.ask("/pass tea", "+ pass");
        client.starting("* hello ");
        client.starting("* presence ");
        let all = listed(&mut client);
        assert!(all.len() == 5 && !all.iter().any(|group| group.contains(" pass ")), "{all:?}");
    }
}
