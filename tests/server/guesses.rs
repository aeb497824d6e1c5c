//! Passwords that are guessed, and names that are registered in numbers: what that costs others, and where it ends.

use std::time::Duration;

use chinwag::commands;
use chinwag::event::{Done, Fault, Reply, Verb};
use chinwag::hub::{Departure, Hub};
use chinwag::limits::PASSWORDS_WAITING;
use chinwag::names::{ConnId, Nick, Origin, Prefix, Wire};
use chinwag::request::Credential;
use chinwag::settings::Settings;
use testkit::Client;
use testkit::memory::{Memory, Notes, Told, look_at};

use crate::accounts::{Asks as _, ask, keeping, network, owner, start};

#[test]
fn the_fifth_wrong_password_closes_and_each_is_in_the_log() {
    let dir = tempfile::tempdir().unwrap();
    let mut server = start(dir.path(), &[]);
    drop(owner(&server, "alice"));
    let mut other = server.person("bob");
    for n in 0..5 {
        let wrong = if n % 2 == 0 { "/login alice wrong-password" } else { "/login alice token:wrong" };
        other.starting_after(wrong, "! login refused ");
    }
    other.starting("* bye refused ");
    assert_eq!(other.line(), None);
    server.signal("TERM");
    let (_, log) = server.wait();
    assert_eq!(log.matches("login failed for alice from 127.0.0.1").count(), 5, "{log}");
}

#[test]
fn registrations_and_tries_are_counted_by_network_and_on_this_machine_by_connection() {
    let mut memory = keeping(Settings { clear_passwords: true, ..Settings::default() });
    let register = |memory: &mut Memory, n: usize, origin| {
        let name = format!("c{n}");
        memory.connect_from(&name, origin);
        ask(memory, &name, &format!("/nick owner{n}"));
        ask(memory, &name, "/register correct-horse")
    };
    for n in 0..3 {
        assert_eq!(register(&mut memory, n, network(1)), format!("+ register owner{n}"));
    }
    let said = register(&mut memory, 3, network(1));
    assert!(said.starts_with("! register too-many at most 3 names a day "), "{said}");
    assert!(said.ends_with(", or ask the operator, who gives names with chinwag ctl grant NAME"), "{said}");
    memory.wait(Duration::from_secs(86_400));
    assert_eq!(ask(&mut memory, "c3", "/register correct-horse"), "+ register owner3");
    for n in 4..33 {
        let loopback = Origin::Loopback;
        assert_eq!(register(&mut memory, n, loopback), format!("+ register owner{n}"));
    }
    let said = register(&mut memory, 33, network(2));
    assert!(said.starts_with("! register too-many many names "), "{said}");
    memory.wait(Duration::from_secs(86_400));
    memory.connect("many");
    for n in 40..44 {
        ask(&mut memory, "many", "/logout");
        ask(&mut memory, "many", &format!("/nick owner{n}"));
        let said = ask(&mut memory, "many", "/register correct-horse");
        let want =
            if n < 43 { format!("+ register owner{n}") } else { "! register too-many at most 3 names ".to_owned() };
        assert!(said.starts_with(&want), "{said}");
    }
    // Ten wrong ones end the tries of a network, and its right ones too; a name without an owner is no try.
    memory.connect_from("right", network(3));
    for n in 0..10 {
        let name = format!("wrong{n}");
        memory.connect_from(&name, network(3));
        assert!(ask(&mut memory, &name, "/login nobody wrong-password").starts_with("! login refused "));
        assert!(ask(&mut memory, &name, "/login owner1 wrong-password").starts_with("! login refused "));
    }
    let said = ask(&mut memory, "right", "/login owner1 correct-horse");
    assert!(said.starts_with("! login too-many too many wrong passwords "), "{said}");
    memory.connect_from("elsewhere", network(4));
    memory.end("c1");
    assert_eq!(ask(&mut memory, "elsewhere", "/login owner1 correct-horse"), "+ login owner1");
    assert_eq!(memory.notes.failed_logins.len(), 20);
}

#[test]
fn who_guesses_passwords_keeps_nobody_from_logging_in() {
    let mut memory = keeping(Settings { clear_passwords: true, ..Settings::default() });
    for name in ["alice", "bob"] {
        memory.connect(name);
        ask(&mut memory, name, &format!("/nick {name}"));
        assert_eq!(ask(&mut memory, name, "/register correct-horse"), format!("+ register {name}"));
        memory.end(name);
    }
    let now = memory.now();
    let Memory { hub, notes, .. } = &mut memory;
    let mut count = 1_000;
    let mut login = |hub: &mut Hub, notes: &mut Notes, from: u16, line: &str| {
        count += 1;
        let (conn, [high, low]) = (ConnId::new(count, 0), from.to_be_bytes());
        hub.connect(conn, Origin::Network(Prefix::v4([203, 0, high, low])), Wire::Clear, now, notes);
        hub.handle(conn, now, commands::parse(line).unwrap(), notes);
        conn
    };
    let look = |hub: &mut Hub, notes: &mut Notes| {
        let task = notes.tasks.pop_front()?;
        assert!(notes.tasks.is_empty(), "one password is looked at after the other");
        hub.password_did(now, look_at(&task), notes);
        hub.check();
        Some(())
    };
    let replies = |notes: &Notes, conn| -> Vec<Reply> {
        let of = |(to, told): &(ConnId, Told)| match told {
            Told::Reply(reply) if *to == conn => Some(reply.clone()),
            _ => None,
        };
        notes.told.iter().filter_map(of).collect()
    };
    let done = |name| [Reply::Done(Done::Login(Nick::new(name).unwrap()))];
    // From each of two hundred addresses as many as may wait, which is more than there are places for.
    let guesses: Vec<ConnId> = (0..400).map(|n| login(hub, notes, n / 2, "/login alice wrong-password")).collect();
    let bob = login(hub, notes, 1_000, "/login bob correct-horse");
    look(hub, notes).unwrap();
    look(hub, notes).unwrap();
    assert_eq!(replies(notes, bob), done("bob"));
    while look(hub, notes).is_some() {}
    let mut busy = 0;
    for conn in guesses {
        let [Reply::Refused { verb: Verb::Login, why }] = &replies(notes, conn)[..] else {
            panic!("not one refusal: {:?}", replies(notes, conn))
        };
        busy += u32::from(*why == Fault::PasswordsBusy);
    }
    // One was looked at, and one of those that waited made place for bob.
    assert_eq!(busy as usize, 400 + 1 - 1 - PASSWORDS_WAITING);
    // They come again, and who owns the name that they guess comes before them.
    for n in 0..400 {
        login(hub, notes, n / 2, "/login alice wrong-password");
    }
    let alice = login(hub, notes, 1_001, "/login alice correct-horse");
    // Whoever goes need not be waited for.
    let gone = login(hub, notes, 1_002, "/login alice wrong-password");
    hub.disconnect(gone, now, Departure::Quit, notes);
    look(hub, notes).unwrap();
    look(hub, notes).unwrap();
    assert_eq!(replies(notes, alice), done("alice"));
    while look(hub, notes).is_some() {}
    // A wrong one that came from one's network before counts against one, and so does one that waits beside it: bob's turn would
    // come before alice's, and that of the second from a network before that of the first.
    login(hub, notes, 1_003, "/login alice wrong-password");
    let behind = login(hub, notes, 5, "/login bob correct-horse");
    let [first, second] = [(); 2].map(|()| login(hub, notes, 1_004, "/login alice wrong-password"));
    look(hub, notes).unwrap();
    for conn in [first, second, behind] {
        assert!(replies(notes, conn).is_empty(), "it was not their turn");
        look(hub, notes).unwrap();
        assert_eq!(replies(notes, conn).len(), 1, "it was their turn");
    }
    assert_eq!(replies(notes, behind), done("bob"));
}

#[test]
fn two_passwords_of_a_network_wait_at_a_time() {
    let mut memory = keeping(Settings { clear_passwords: true, ..Settings::default() });
    memory.connect("alice");
    ask(&mut memory, "alice", "/nick alice");
    assert_eq!(ask(&mut memory, "alice", "/register correct-horse"), "+ register alice");
    let now = memory.now();
    let Memory { hub, notes, .. } = &mut memory;
    let credential = Credential::Password("correct-horse");
    let mut login = |hub: &mut Hub, n: u32, origin| {
        let conn = ConnId::new(1_000 + n, 0);
        hub.connect(conn, origin, Wire::Clear, now, notes);
        let may_be = hub.may_be_looked_at(&credential, origin);
        notes.told.clear();
        hub.handle(conn, now, commands::parse("/login alice correct-horse").unwrap(), notes);
        let is_busy = |told: &(ConnId, Told)| {
            matches!(told, (_, Told::Reply(Reply::Refused { verb: Verb::Login, why: Fault::PasswordsBusy })))
        };
        assert_eq!(may_be, !notes.told.iter().any(is_busy), "who is held back is who would be refused");
        may_be
    };
    // On the server's own machine each connection is counted for itself.
    for (n, origin, want) in [
        (0, network(1), true),
        (1, network(1), true),
        (2, network(1), false),
        (3, network(2), true),
        (4, Origin::Loopback, true),
        (5, Origin::Loopback, true),
        (6, Origin::Loopback, true),
    ] {
        assert_eq!(login(hub, n, origin), want, "{n}");
    }
}

#[test]
fn passwords_are_looked_at_while_others_are_served() {
    const LOGINS: usize = 8;
    let dir = tempfile::tempdir().unwrap();
    let server = start(dir.path(), &[]);
    drop(owner(&server, "alice"));
    let mut guesses: Vec<Client> = (0..LOGINS).map(|n| server.person(&format!("guess{n}"))).collect();
    let mut bob = server.person("bob");
    for guess in &mut guesses {
        guess.send("/login alice wrong-password");
        guess.stream.set_nonblocking(true).unwrap();
    }
    let mut answered = 0;
    while !guesses.iter().all(|guess| guess.stream.peek(&mut [0]).is_ok()) {
        bob.settle();
        answered += 1;
    }
    // A loop that waited for each would answer one or two meanwhile.
    assert!(answered > 5 * LOGINS, "{answered} pings were answered while {LOGINS} passwords were looked at");
}
