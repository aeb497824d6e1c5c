//! One person through several connections: what each of them sees, and what others see of them.

use std::time::Duration;

use testkit::data::Folder;
use testkit::{Client, Server, eventually};

const PASSWORD: &str = "correct-horse";

/// A server with somebody who owns the name alice and is in #lobby with bob.
fn lobby() -> (Folder, Server, Client, Client) {
    let folder = Folder::new();
    let server = folder.serve(&[]);
    let mut alice = server.in_room("alice", "#lobby");
    alice.ask(&format!("/register {PASSWORD}"), "+ register alice");
    let mut bob = server.in_room("bob", "#lobby");
    alice.expect("#lobby * bob joined");
    bob.settle();
    (folder, server, alice, bob)
}

/// One more connection of alice's.
fn beside(server: &Server, rooms: &[&str]) -> Client {
    let mut client = server.connect();
    client.send("/set presence off");
    client.until("+ set presence off");
    client.send(&format!("/login alice {PASSWORD}"));
    for room in rooms {
        client.expect(&format!("- in {room}"));
    }
    client.expect("+ login alice");
    client
}

#[test]
fn several_connections_are_one_person() {
    let (_folder, server, mut one, mut bob) = lobby();
    one.send("hello");
    one.settle();
    let mut two = beside(&server, &["#lobby 1"]);
    // Nobody saw it come.
    assert_eq!(bob.settle(), ["#lobby <alice> hello"]);
    bob.send("hi alice");
    bob.settle();
    one.expect("#lobby <bob> hi alice");
    two.expect("#lobby <bob> hi alice");
    // What one says, the other sees as everybody does.
    two.ask("/msg #lobby from two", "+ msg #lobby");
    one.expect("#lobby <alice> from two");
    bob.expect("#lobby <alice> from two");
    // They have no target after a login beside themselves.
    two.send("to whom?");
    two.starting("! say no-room ");
    // In private too, both ways.
    bob.ask("/msg alice psst", "+ msg alice");
    one.expect("@bob <bob> psst");
    two.expect("@bob <bob> psst");
    one.ask("/msg bob yes", "+ msg bob");
    two.expect("@bob <alice> yes");
    bob.expect("@alice <alice> yes");
    bob.send("/who #lobby");
    let rows = bob.until_starting("+ who ");
    assert_eq!(rows.iter().filter(|row| row.starts_with("- alice ")).count(), 1, "{rows:?}");
}

#[test]
fn what_is_set_for_one_connection_of_several_makes_nobody_busy() {
    let (_folder, server, _one, mut bob) = lobby();
    let mut two = beside(&server, &["#lobby 0"]);
    let mut idle = || {
        bob.send("/who alice");
        let row = bob.until_starting("- alice ").pop().unwrap();
        bob.until_starting("+ who ");
        row.split(' ').nth(3).unwrap().to_owned()
    };
    eventually("alice is idle", || idle() != "0s");
    // So does a client that comes in once more.
    for setting in ["/set stamp on", "/set typing off", "/join #lobby", "/query #lobby"] {
        two.send(setting);
        two.settle();
    }
    assert_ne!(idle(), "0s");
    two.send("hello");
    two.settle();
    assert!(matches!(&*idle(), "0s" | "1s"));
}

#[test]
fn rooms_are_the_persons_and_targets_the_connections() {
    let (_folder, server, mut one, mut bob) = lobby();
    let mut two = beside(&server, &["#lobby 0"]);
    two.send("/join #den");
    two.until("+ join #den 1");
    one.expect("#den * alice joined");
    one.send("here");
    one.settle();
    bob.expect("#lobby <alice> here");
    two.expect("#lobby <alice> here");
    two.send("there");
    two.settle();
    one.expect("#den <alice> there");
    one.ask("/leave #den", "+ leave #den");
    two.expect("#den * alice left");
    two.send("nowhere");
    two.starting("! say no-room ");
    one.send("/topic tea");
    one.until("+ topic #lobby tea");
    two.expect("#lobby * alice topic tea");
    bob.expect("#lobby * alice topic tea");
}

#[test]
fn what_one_connection_types_the_others_see_as_everybody_does() {
    let (_folder, server, mut one, mut bob) = lobby();
    let mut two = beside(&server, &["#lobby 0"]);
    two.ask("/typing #lobby", "+ typing #lobby on");
    one.expect("#lobby * alice typing");
    bob.expect("#lobby * alice typing");
    two.ask("/typing bob", "+ typing bob on");
    one.expect("@bob * alice typing");
    bob.expect("@alice * alice typing");
    two.ask("/typing bob off", "+ typing bob off");
    one.expect("@bob * alice idle");
    bob.expect("@alice * alice idle");
    // It ends with the connection that typed, and not with another.
    let mut three = beside(&server, &["#lobby 0"]);
    three.send("/quit");
    three.until("+ quit");
    one.ask("/typing bob", "+ typing bob on");
    two.expect("@bob * alice typing");
    bob.expect("@alice * alice typing");
    let mut late = beside(&server, &["#lobby 0"]);
    two.ask("/logout", "+ logout guest1");
    one.expect("#lobby * alice idle");
    bob.expect("#lobby * alice idle");
    // Who came in later was not shown the beginning.
    assert_eq!(late.settle(), [""; 0]);
    late.send("/quit");
    late.until("+ quit");
    // A guest who comes in beside the owner is shown to type no more, though nobody sees them go.
    two.send("/join #lobby\n/typing");
    bob.until("#lobby * guest1 typing");
    two.send(&format!("/login alice {PASSWORD}"));
    two.until("+ login alice");
    bob.expect("#lobby * guest1 idle");
    two.send("/quit");
    two.until("+ quit");
    one.until("#lobby * guest1 idle");
    let two = beside(&server, &["#lobby 0"]);
    one.send("/quit");
    one.until("+ quit");
    bob.expect("@alice * alice idle");
    drop(two);
    bob.expect("#lobby * alice quit");
}

#[test]
fn only_the_last_connection_takes_the_person_along() {
    let (_folder, server, mut one, mut bob) = lobby();
    let mut two = beside(&server, &["#lobby 0"]);
    one.send("/quit");
    one.until("+ quit");
    assert_eq!(one.rest(), [""; 0]);
    assert_eq!(bob.settle(), [""; 0]);
    two.ask("/msg #lobby still here", "+ msg #lobby");
    bob.expect("#lobby <alice> still here");
    drop(two);
    bob.expect("#lobby * alice quit");
}

#[test]
fn a_connection_past_which_private_lines_went_is_told_so() {
    let folder = Folder::new();
    let server = folder.serve(&[]);
    let mut alice = server.in_room("alice", "#lobby");
    alice.ask(&format!("/register {PASSWORD}"), "+ register alice");
    let mut bob = server.in_room("bob", "#lobby");
    bob.send("/join #other");
    bob.until("+ join #other 1");
    alice.until("#lobby * bob joined");
    for what in ["to her", "her own", "an invitation"] {
        let mut lost = server.connect();
        lost.send(&format!("/login alice {PASSWORD}\n/keep"));
        let kept = lost.until_starting("+ keep ").pop().unwrap();
        socket2::SockRef::from(&lost.stream).set_linger(Some(Duration::ZERO)).unwrap();
        drop(lost);
        // More than waits for a place that is lost. Where she is here besides, private lines take their way all the same.
        for _ in 0..140 {
            bob.ask(&format!("/msg #lobby {}", "x".repeat(1_000)), "+ msg #lobby");
        }
        match what {
            "to her" => bob.ask("/msg alice psst", "+ msg alice"),
            "her own" => {
                alice.send("/msg bob psst");
                alice.until("+ msg bob");
                bob.expect("@alice <alice> psst");
            }
            _ => bob.ask("/invite alice", "+ invite #other alice"),
        }
        let mut again = server.connect();
        again.send(&format!("/resume {} 0", kept.split(' ').nth(2).unwrap()));
        again.until_starting("+ resume alice");
        let told = again.until("* notice private messages were left out");
        assert!(!told.iter().any(|line| line.starts_with('@')), "{what}");
        assert!(told.iter().any(|line| line.starts_with("#lobby * alice missed ")), "{what}");
        // It is told once, and what comes from then on comes.
        bob.ask("/msg alice and now?", "+ msg alice");
        again.until("@bob <bob> and now?");
        again.send("/quit");
        assert!(!again.rest().iter().any(|line| line.starts_with("* notice ")), "{what}");
    }
}

#[test]
fn who_sends_a_file_hears_that_another_connection_of_theirs_withdrew_it() {
    let (_folder, server, mut one, mut bob) = lobby();
    let mut two = beside(&server, &["#lobby 0"]);
    one.ask("/send #lobby 6 a.txt", "+ send 1 0");
    bob.expect("#lobby * alice file 1 6 a.txt");
    one.send("=YWJj");
    one.settle();
    two.until("#lobby * alice file 1 6 a.txt");
    two.ask("/cancel 1", "+ cancel 1");
    one.expect("=1 ! gone its sender withdrew it");
    bob.expect("#lobby * alice unfile 1 gone");
}

#[test]
fn another_name_takes_one_connection_out() {
    let (_folder, server, mut one, mut bob) = lobby();
    let mut two = beside(&server, &["#lobby 0"]);
    // That the room bans guests of that name is no matter, as it leaves the room.
    one.ask("/ban car*", "+ ban #lobby 1 pattern:car*");
    bob.settle();
    two.settle();
    two.ask("/nick carol", "+ nick carol");
    assert_eq!(bob.settle(), [""; 0]);
    two.send("/leave #lobby");
    two.starting("! leave not-in-room ");
    one.send("hello");
    one.settle();
    bob.expect("#lobby <alice> hello");
    assert_eq!(two.settle(), [""; 0]);
    // Another spelling is the same person's, wherever they are.
    let mut three = beside(&server, &["#lobby 1"]);
    three.ask("/nick Alice", "+ nick Alice");
    one.expect("#lobby * alice renamed Alice");
    bob.expect("#lobby * alice renamed Alice");
    three.ask("/logout", "+ logout guest1");
    assert_eq!(bob.settle(), [""; 0]);
    one.ask("/logout", "+ logout guest2");
    bob.expect("#lobby * Alice renamed guest2");
}

#[test]
fn a_ninth_connection_is_one_too_many() {
    let (_folder, server, _one, _bob) = lobby();
    let others: Vec<Client> = (0..7).map(|_| beside(&server, &["#lobby 0"])).collect();
    let mut ninth = server.connect();
    ninth.send(&format!("/login alice {PASSWORD}"));
    let refused = ninth.until_starting("! login ").pop().unwrap();
    assert!(refused.starts_with("! login too-many "), "{refused}");
    drop(others);
}

#[test]
fn places_that_wait_for_an_owner_make_room_when_they_come() {
    let (_folder, server, mut one, mut bob) = lobby();
    let mut others: Vec<Client> = (0..7).map(|_| beside(&server, &["#lobby 0"])).collect();
    let keep = |other: &mut Client| {
        other.send("/keep");
        other.starting("+ keep ").split(' ').nth(2).unwrap().to_owned()
    };
    let tokens: Vec<String> = others.iter_mut().map(keep).collect();
    let stands = others.pop().unwrap();
    let lost = others.len();
    drop(others);
    let comes_in = |came: &mut Vec<Client>| {
        let mut client = server.connect();
        client.send(&format!("/login alice {PASSWORD}"));
        let lines = std::iter::from_fn(|| client.line());
        let reply = lines.filter(|line| line.contains(" login ")).find(|line| !line.starts_with('*')).unwrap();
        came.push(client);
        assert!(reply == "+ login alice" || reply.starts_with("! login too-many "), "{reply}");
        reply.starts_with('+')
    };
    let mut came = Vec::new();
    for _ in 0..lost {
        eventually("a connection is lost", || comes_in(&mut came));
    }
    assert!(!comes_in(&mut came), "a ninth connection stands");
    for token in &tokens[..lost] {
        let mut late = server.connect();
        late.send(&format!("/resume {token} 0"));
        late.until_starting("! resume gone ");
    }
    // Who stands goes on, and nobody has seen anything.
    one.send("here");
    bob.expect("#lobby <alice> here");
    drop(stands);
}
