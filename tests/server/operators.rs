//! Operators: the door by which they come in, what they alone may do, and that it is unknown to others.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::net::Shutdown;
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::thread;
use std::time::{Duration, SystemTime};

use chinwag::effect::Entered;
use chinwag::limits;
use chinwag::names::{Origin, Prefix};
use chinwag::settings::{Logging, Settings};
use chinwag::time::in_seconds;
use testkit::disk::SmallDisk;
use testkit::memory::Memory;
use testkit::{Client, Server, binary, control, eventually, timed};

const PASSWORD: &str = "correct-horse";

fn start(dir: &Path) -> Server {
    Server::start(&["--data", dir.to_str().unwrap(), "--rate", "0"])
}

/// Runs `chinwag ctl` with these words.
fn ctl(dir: &Path, words: &[&str]) -> Output {
    Command::new(binary()).args(["ctl", "--data", dir.to_str().unwrap()]).args(words).output().unwrap()
}

/// What `chinwag ctl` prints, which must be taken.
fn done(dir: &Path, words: &[&str]) -> String {
    let output = ctl(dir, words);
    assert!(output.status.success(), "{words:?}: {output:?}");
    assert!(output.stderr.is_empty(), "{words:?}: {output:?}");
    String::from_utf8(output.stdout).unwrap()
}

/// What `chinwag ctl` prints, which must be refused.
fn refused(dir: &Path, words: &[&str]) -> String {
    let output = ctl(dir, words);
    assert_eq!(output.status.code(), Some(1), "{words:?}: {output:?}");
    String::from_utf8(output.stdout).unwrap()
}

/// Somebody whose name is theirs from now on.
fn owner(server: &Server, nick: &str) -> Client {
    let mut client = server.person(nick);
    client.ask(&format!("/register {PASSWORD}"), &format!("+ register {nick}"));
    client
}

#[test]
fn the_door_is_for_its_owner_alone_and_goes_with_the_server() {
    let dir = tempfile::tempdir().unwrap();
    let door = dir.path().join("ctl");
    let mut server = start(dir.path());
    let data = fs::symlink_metadata(&door).unwrap();
    assert!(data.file_type().is_socket());
    assert_eq!(data.permissions().mode() & 0o777, 0o600);
    server.signal("TERM");
    assert!(server.wait().0.success());
    assert!(!door.exists());
    let output = ctl(dir.path(), &["where", "bob"]);
    assert_eq!(output.status.code(), Some(1));
    let why = String::from_utf8(output.stderr).unwrap();
    assert!(why.starts_with("chinwag: cannot reach a server at ") && why.contains("--data"), "{why}");
}

#[test]
fn nobody_is_online_by_the_door() {
    let dir = tempfile::tempdir().unwrap();
    let server = start(dir.path());
    let mut bob = server.person("bob");
    // It is greeted by nothing, and told nothing but what it asks for.
    let answers = control(&dir.path().join("ctl"), "/ping a\n/nope\nhi\n/nick op\n=AAAA\n/join #lobby\n/ping b\n");
    let heads: Vec<String> = answers.iter().map(|line| line.split(' ').take(3).collect::<Vec<_>>().join(" ")).collect();
    let want = [
        "+ ping a",
        "! ? unknown-command",
        "! say refused",
        "! nick refused",
        "! ? no-upload",
        "! join refused",
        "+ ping b",
    ];
    assert_eq!(heads, want, "{answers:?}");
    // No room is current, and none can be joined.
    let answers = control(&dir.path().join("ctl"), "/op\n/kick bob\n");
    for (answer, command) in answers.iter().zip(["op", "kick"]) {
        assert!(
            answer.starts_with(&format!("! {command} no-room ")) && answer.contains("chinwag ctl op '#lobby'"),
            "{answer}"
        );
        assert!(!answer.contains("/join"), "{answer}");
    }
    let answers = control(&dir.path().join("ctl"), "/bans #nowhere\n");
    assert_eq!(answers, ["! bans no-such-room there is no room #nowhere; /rooms lists them"]);
    bob.send("/who");
    bob.starting("- bob here ");
    bob.starting("+ who ");
    let other = server.connect_raw().line().unwrap();
    assert!(other.contains(" 2 online"), "{other}");
}

#[test]
fn where_tells_of_each_connection_and_kill_closes_them_all() {
    let dir = tempfile::tempdir().unwrap();
    let server = start(dir.path());
    let mut bob = owner(&server, "bob");
    let mut second = server.connect();
    second.send("/set presence off");
    second.until("+ set presence off");
    second.ask(&format!("/login bob {PASSWORD}"), "+ login bob");
    bob.ask("/join #lobby", "- here bob");
    bob.starting("+ join #lobby 1");
    let mut carol = server.in_room("carol", "#lobby");
    bob.expect("#lobby * carol joined");
    second.settle();
    let told = done(dir.path(), &["where", "BOB"]);
    let lines: Vec<Vec<&str>> = told.lines().map(|line| line.split(' ').collect()).collect();
    assert_eq!(lines.len(), 3, "{told}");
    for row in &lines[..2] {
        let [_, nick, address, wire, since, named] = row[..] else { panic!("{told}") };
        assert_eq!((nick, address, wire, named), ("bob", "127.0.0.1", "secure", "named"));
        let since = humantime::parse_rfc3339(since).unwrap();
        let age = SystemTime::now().duration_since(since).unwrap();
        assert!(age.as_secs() < 60, "{told}");
    }
    assert_eq!(lines[2], ["+", "where", "bob"]);
    assert_eq!(done(dir.path(), &["where", "carol"]).split(' ').nth(5), Some("guest\n+"));
    assert_eq!(done(dir.path(), &["kill", "bob", "no", "spam"]), "+ kill bob\n");
    for client in [&mut bob, &mut second] {
        assert_eq!(client.rest().last().unwrap(), "* bye killed no spam (Enter or Ctrl-C ends nc)");
    }
    carol.expect("#lobby * bob lost killed");
    assert!(refused(dir.path(), &["kill", "bob"]).starts_with("! kill no-such-nick bob is not here;"));
    assert!(refused(dir.path(), &["kill"]).starts_with("! kill usage it is /kill NICK [REASON]"));
    assert!(refused(dir.path(), &["kill", "carol", &"x".repeat(513)]).starts_with("! kill too-long "));
    carol.settle();
}

#[test]
fn what_is_for_operators_is_unknown_to_others() {
    let dir = tempfile::tempdir().unwrap();
    let server = start(dir.path());
    let mut bob = owner(&server, "bob");
    let mut client = server.person("carol");
    for client in [&mut bob, &mut client] {
        for line in ["/Kill bob", "/kill", "/where bob", "/WHERE"] {
            let name = line.split(' ').next().unwrap();
            client.ask(line, &format!("! ? unknown-command {name}: no such command; /help lists them"));
        }
        client.ask("/help kill", "! help usage kill is no command; /help lists them");
        // Nor is it what is meant.
        client.ask("/kil bob", "! ? unknown-command /kil: no such command; /help lists them");
        client.ask("kill bob", "! say no-room nobody hears you here; /join #lobby or /query NAME first");
        client.send("/help");
        let help = client.until("+ help");
        assert!(!help.iter().any(|row| row.starts_with("- /kill")) && help.iter().any(|row| row.starts_with("- /who")));
    }
    let help = done(dir.path(), &["help"]);
    assert!(help.contains("- /kill NICK") && !help.contains("- /join"), "{help}");
    // What is misspelled is told from what one may use.
    for (typed, meant) in [
        ("relaod", "did you mean /reload? "),
        ("kil bob", "did you mean /kill? "),
        ("gran bob", "did you mean /grant? "),
        ("blok bob", "did you mean /block? "),
        ("jion", ""),
    ] {
        let words: Vec<&str> = typed.split(' ').collect();
        let name = words[0];
        let why = format!("! ? unknown-command /{name}: no such command; {meant}/help lists them\n");
        assert_eq!(refused(dir.path(), &words), why);
    }
    assert_eq!(
        refused(dir.path(), &["help", "kil"]),
        "! help usage kil is no command; did you mean /kill? /help lists them\n"
    );
    done(dir.path(), &["operator", "bob", "on"]);
    bob.starting("* notice you are an operator ");
    bob.ask("/kil carol", "! ? unknown-command /kil: no such command; did you mean /kill? /help lists them");
    // What takes somebody who is online is a command there too.
    assert!(done(dir.path(), &["help", "join"]).starts_with("- /join #ROOM"));
}

#[test]
fn four_come_in_by_the_door_at_once() {
    let dir = tempfile::tempdir().unwrap();
    let _server = start(dir.path());
    let door = dir.path().join("ctl");
    let ask = |stream: &mut UnixStream| {
        stream.write_all(b"/ping\n").unwrap();
        let mut answer = [0; 7];
        std::io::Read::read_exact(stream, &mut answer).unwrap();
        assert_eq!(&answer, b"+ ping\n");
    };
    let mut four: Vec<UnixStream> = (0..4).map(|_| UnixStream::connect(&door).unwrap()).collect();
    four.iter_mut().for_each(ask);
    let output = ctl(dir.path(), &["ping"]);
    let why = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(why.contains("as many are at the operator's door as there may be"), "{why}");
    four[0].shutdown(Shutdown::Write).unwrap();
    let end = std::io::Read::read(&mut four[0], &mut [0; 8]).unwrap();
    assert_eq!(end, 0);
    assert_eq!(done(dir.path(), &["ping"]), "+ ping\n");
}

#[test]
fn an_option_of_ctl_behind_the_command_is_no_part_of_it() {
    let dir = tempfile::tempdir().unwrap();
    let server = start(dir.path());
    let mut bob = server.person("bob");
    let data = format!("--data={}", dir.path().display());
    let folder = dir.path().to_str().unwrap();
    for words in [
        &["wall", "hello", "--data", folder][..],
        &["wall", "hello", &data],
        &["founder", "#x", "bob", "--control", "ctl"],
    ] {
        let output = ctl(dir.path(), words);
        let why = String::from_utf8(output.stderr).unwrap();
        assert_eq!((output.status.code(), &*output.stdout), (Some(1), &b""[..]), "{why}");
        assert!(
            why.contains(" would be a part of the command; put it before COMMAND, as in chinwag ctl --data DIR "),
            "{why}"
        );
    }
    assert_eq!(bob.settle(), [""; 0], "nobody is told it");
    // Behind -- it is meant so, and other options are a part of what is said.
    done(dir.path(), &["--", "wall", "give", "--data", "folder"]);
    bob.expect("* wall server give --data folder");
    done(dir.path(), &["wall", "--web", "is", "new"]);
    bob.expect("* wall server --web is new");
    // Who asks for help is told it, and nobody else is.
    for asked in ["--help", "-h"] {
        let output = ctl(dir.path(), &["wall", asked]);
        assert!(output.stdout.starts_with(b"- /wall TEXT "), "{output:?}");
    }
    assert_eq!(bob.settle(), [""; 0]);
    done(dir.path(), &["--", "wall", "--help"]);
    bob.expect("* wall server --help");
}

#[test]
fn ctl_tells_how_a_shell_is_given_a_room() {
    let dir = tempfile::tempdir().unwrap();
    let _server = start(dir.path());
    for words in [&["founder"][..], &["founder", "x", "bob"], &["kick"]] {
        let told = String::from_utf8(ctl(dir.path(), words).stderr).unwrap();
        assert!(told.contains("a room begins with #, and is put in quotes, as in '#lobby'"), "{words:?}: {told}");
    }
    for words in [&["kill"][..], &["erase", "#big", "60", "55"]] {
        let told = ctl(dir.path(), words);
        assert!(told.stdout.starts_with(b"! ") && told.stderr.is_empty(), "{told:?}");
    }
}

/// What is in a data folder's file.
fn read(dir: &Path, name: &str) -> String {
    fs::read_to_string(dir.join(name)).unwrap_or_default()
}

/// Who did what, as the audit log has it, without the times.
fn deeds(dir: &Path) -> Vec<String> {
    let text = read(dir, "audit.log");
    let deed = |line: &str| {
        let (time, deed) = line.split_once(' ').unwrap();
        humantime::parse_rfc3339(time).unwrap();
        deed.to_owned()
    };
    text.lines().map(deed).collect()
}

/// Waits until the audit log has these deeds, and no others.
fn audited(dir: &Path, want: &[&str]) {
    eventually("the deeds are written down", || deeds(dir).len() >= want.len());
    assert_eq!(deeds(dir), want);
}

/// Has a token made that is good once.
fn grant(dir: &Path, nick: &str) -> String {
    let told = done(dir, &["grant", nick]);
    let token = told.strip_prefix(&format!("+ grant {nick} token:")).unwrap_or_else(|| panic!("{told}"));
    assert_eq!(token.trim_end().len(), 43, "{told}");
    format!("token:{}", token.trim_end())
}

/// Makes alice an operator, who is told so.
fn appoint(dir: &Path, alice: &mut Client) {
    assert_eq!(done(dir, &["operator", "ALICE", "on"]), "+ operator alice on\n");
    alice.starting("* notice you are an operator of this server now, wherever nobody can read along; /help lists ");
}

#[test]
fn an_owner_is_an_operator_from_one_word_to_the_other() {
    let dir = tempfile::tempdir().unwrap();
    let mut server = start(dir.path());
    let mut alice = owner(&server, "alice");
    let mut eve = server.person("eve");
    assert!(refused(dir.path(), &["operator", "eve", "on"]).starts_with("! operator refused nobody owns eve;"));
    assert!(refused(dir.path(), &["operator", "alice"]).starts_with("! operator usage "));
    appoint(dir.path(), &mut alice);
    assert_eq!(done(dir.path(), &["operator"]), "- alice\n+ operator 1\n");
    alice.ask("/kill eve bye", "+ kill eve");
    assert_eq!(eve.rest(), ["* bye killed bye (Enter or Ctrl-C ends nc)"]);
    alice.ask(
        "/kill alice",
        "! kill refused that is you; ask another operator, or do it on the server with chinwag ctl",
    );
    // It is of the name, and not of who had it.
    alice.ask("/nick bob", "+ nick bob");
    alice.ask("/where bob", "! ? unknown-command /where: no such command; /help lists them");
    alice.ask(&format!("/login alice {PASSWORD}"), "+ login alice");
    alice.send("/where alice");
    alice.starting("- alice 127.0.0.1 secure ");
    alice.expect("+ where alice");
    alice.send("/help");
    assert!(alice.until("+ help").iter().any(|row| row.starts_with("- /kill NICK")));
    // It outlives the server.
    server.signal("KILL");
    server.wait();
    let server = start(dir.path());
    let mut alice = server.person("a");
    alice.send(&format!("/login alice {PASSWORD}"));
    alice.until("+ login alice");
    alice.ask("/operator", "- alice");
    alice.expect("+ operator 1");
    assert_eq!(done(dir.path(), &["operator", "alice", "off"]), "+ operator alice off\n");
    alice.expect("* notice you are no operator of this server any more");
    // Nothing changes.
    assert_eq!(done(dir.path(), &["operator", "alice", "off"]), "+ operator alice off\n");
    alice.ask("/operator", "! ? unknown-command /operator: no such command; /help lists them");
    audited(
        dir.path(),
        &["server ctl operator alice on", "alice 127.0.0.1 kill eve bye", "server ctl operator alice off"],
    );
    let data = fs::metadata(dir.path().join("audit.log")).unwrap();
    assert_eq!(data.permissions().mode() & 0o777, 0o600);
}

#[test]
fn an_operator_is_none_where_others_can_read_along() {
    let log = Some(Logging { max: u64::MAX, sync: Duration::ZERO });
    let mut memory = Memory::new(Settings { log, clear_passwords: true, ..Settings::default() });
    memory.connect("near");
    memory.connect_from("far", Origin::Network(Prefix::v4([192, 0, 2, 1])));
    memory.connect_control("ctl");
    let ask = |memory: &mut Memory, name: &str, line: &str| {
        while memory.next(name).is_some() {}
        memory.send(name, format!("{line}\n").as_bytes());
        memory.next(name)
    };
    ask(&mut memory, "near", "/nick alice");
    assert_eq!(ask(&mut memory, "near", "/register correct-horse").unwrap(), "+ register alice");
    assert_eq!(ask(&mut memory, "far", "/login alice correct-horse").unwrap(), "+ login alice");
    assert_eq!(ask(&mut memory, "ctl", "/operator alice on").unwrap(), "+ operator alice on");
    assert_eq!(ask(&mut memory, "near", "/operator").unwrap(), "- alice");
    let said = ask(&mut memory, "far", "/operator").unwrap();
    assert_eq!(said, "! ? unknown-command /operator: no such command; /help lists them");
}

#[test]
fn a_granted_name_is_taken_once_and_then_has_a_password() {
    let dir = tempfile::tempdir().unwrap();
    let mut server = Server::start(&["--data", dir.path().to_str().unwrap(), "--accounts", "closed"]);
    // Who is called so by chance is so no more.
    let mut guest = server.in_room("Alice", "#lobby");
    let token = grant(dir.path(), "alice");
    let lost = guest.starting("* nick guest");
    let [_, _, nick, old, text] = lost.splitn(5, ' ').collect::<Vec<_>>()[..] else { panic!("{lost}") };
    assert_eq!((old, text.starts_with("belongs to somebody now; ")), ("Alice", true), "{lost}");
    guest.send("/who #lobby");
    guest.starting(&format!("- {nick} here "));
    guest.starting("+ who ");
    guest.send("/nick alice");
    guest.starting("! nick owned ");
    // It outlives a server that is killed.
    server.signal("KILL");
    server.wait();
    let server = start(dir.path());
    let mut alice = server.person("a");
    alice.ask(&format!("/login alice {token}"), "+ login alice");
    let mut other = server.person("b");
    other.send(&format!("/login alice {token}"));
    other.starting("! login refused ");
    alice.ask(
        "/passwd short",
        "! passwd usage a password is one word of 8 to 128 bytes, and not the name itself; choose another",
    );
    alice.ask(&format!("/passwd {PASSWORD}"), "+ passwd");
    alice.ask("/passwd another-one", "! passwd refused the old password comes first: /passwd OLD NEW");
    other.ask(&format!("/login alice {PASSWORD}"), "+ login alice");
    audited(dir.path(), &["server ctl grant alice"]);
    // No secret is written down but as what cannot be turned back.
    for file in ["ledger", "audit.log"] {
        let text = read(dir.path(), file);
        assert!(text.contains("alice") && !text.contains(&token[6..]) && !text.contains(PASSWORD), "{text}");
    }
}

#[test]
fn a_name_that_is_granted_anew_is_nobody_s_until_the_token_is_used() {
    let dir = tempfile::tempdir().unwrap();
    let server = start(dir.path());
    let mut alice = owner(&server, "alice");
    alice.send("/token");
    let old = alice.starting("+ token ").split_off("+ token ".len());
    alice.ask("/join #lobby", "- here alice");
    alice.starting("+ join ");
    let mut bob = server.in_room("bob", "#lobby");
    alice.send("/keep");
    assert!(alice.until_starting("+ keep ").len() > 1);
    let token = grant(dir.path(), "alice");
    assert!(alice.rest().last().unwrap().starts_with("* bye killed an operator had a new token made "));
    bob.expect("#lobby * alice lost killed");
    for proof in [PASSWORD.to_owned(), format!("token:{old}")] {
        bob.send(&format!("/login alice {proof}"));
        bob.starting("! login refused ");
    }
    bob.ask("/account alice", &format!("- name {0} {0}", &in_seconds(SystemTime::now()).to_string()[..10]));
    bob.expect("+ account alice owned");
    // A second one ends the first.
    let second = grant(dir.path(), "alice");
    bob.send(&format!("/login alice {token}"));
    bob.starting("! login refused ");
    bob.send(&format!("/login alice {second}"));
    bob.until("+ login alice");
}

#[test]
fn what_cannot_be_granted_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let server = start(dir.path());
    let _tom = owner(&server, "tom");
    for (nick, want) in [
        ("guest7", "! grant bad-name guest7 is for guests;"),
        ("server", "! grant bad-name server is no name:"),
        ("a b", "! grant usage it is /grant NICK"),
        ("1x", "! grant bad-name 1x is no name:"),
        // It would be tom's.
        ("torn", "! grant taken torn looks like tom, which belongs to somebody; grant tom, or choose another name"),
        // A Cyrillic о.
        ("tоm", "! grant bad-name tоm is no name:"),
    ] {
        let told = refused(dir.path(), &["grant", nick]);
        assert!(told.starts_with(want), "{told}");
    }
    // What cannot be taken back is done to a name as it is spelled, and which one it looks like is told.
    let looks = "refused nobody owns torn; it looks like tom, which belongs to somebody: type tom if that is meant";
    assert_eq!(refused(dir.path(), &["revoke", "torn"]), format!("! revoke {looks}\n"));
    assert_eq!(refused(dir.path(), &["operator", "torn", "on"]), format!("! operator {looks}\n"));
    assert!(
        refused(dir.path(), &["revoke", "bob"]).ends_with(" nobody owns bob; /grant bob gives the name to somebody\n")
    );
    let lines = control(&dir.path().join("ctl"), "/account tom\n/account\n");
    assert!(
        lines[1] == "+ account tom owned" && lines[2].starts_with("! account refused nobody is online here"),
        "{lines:?}"
    );
    // Whoever is an operator cannot do it to themselves.
    let mut alice = owner(&server, "alice");
    appoint(dir.path(), &mut alice);
    for command in ["grant", "revoke"] {
        alice.send(&format!("/{command} alice"));
        alice.starting(&format!("! {command} refused that is you;"));
    }
}

#[test]
fn a_name_that_is_revoked_is_nobody_s() {
    let dir = tempfile::tempdir().unwrap();
    let server = start(dir.path());
    let mut eldest = owner(&server, "alice");
    eldest.ask("/join #lobby", "- here alice");
    eldest.starting("+ join ");
    let mut second = server.connect();
    second.send(&format!("/login alice {PASSWORD}"));
    second.until("+ login alice");
    let mut bob = server.in_room("bob", "#lobby");
    eldest.settle();
    appoint(dir.path(), &mut eldest);
    assert_eq!(done(dir.path(), &["revoke", "alice"]), "+ revoke alice\n");
    let told = eldest.starting("* nick guest");
    let nick = told.split(' ').nth(2).unwrap().to_owned();
    bob.expect(&format!("#lobby * alice renamed {nick}"));
    second.until_starting("* nick guest");
    bob.ask("/account alice", "+ account alice held");
    eldest.send("/operator");
    eldest.until_starting("! ? unknown-command ");
    assert!(refused(dir.path(), &["revoke", "alice"]).starts_with("! revoke refused nobody owns alice;"));
    assert_eq!(done(dir.path(), &["operator"]), "+ operator 0\n");
    // What an operator does with a name that is held is theirs to know.
    grant(dir.path(), "alice");
    let want = ["server ctl operator alice on", "server ctl revoke alice", "server ctl grant alice"];
    audited(dir.path(), &want);
}

#[test]
fn a_name_that_is_being_registered_goes_to_whom_it_is_granted() {
    let log = Some(Logging { max: u64::MAX, sync: Duration::ZERO });
    let mut memory = Memory::new(Settings { log, ..Settings::default() });
    memory.connect("a");
    memory.connect_control("ctl");
    memory.send("a", b"/nick alice\n");
    while memory.next("a").is_some() {}
    // The password is looked at while the name is granted.
    let (now, a) = (memory.now(), chinwag::names::ConnId::new(1, 0));
    let request = chinwag::commands::parse("/register correct-horse").unwrap();
    memory.hub.handle(a, now, request, &mut memory.notes);
    let request = chinwag::commands::parse("/grant alice").unwrap();
    memory.hub.handle(chinwag::names::ConnId::new(2, 0), now, request, &mut memory.notes);
    let entries = memory.notes.ledger.settle(Entered::Written).unwrap();
    assert_eq!(entries.len(), 2);
    memory.hub.ledger_did(now, Entered::Written, &mut memory.notes);
    memory.notes.go_on(&mut memory.hub, now);
    memory.send("a", b"/ping\n");
    assert!(memory.next("ctl").unwrap().starts_with("+ grant alice token:"));
    let told: Vec<String> = std::iter::from_fn(|| memory.next("a")).collect();
    assert!(told.iter().any(|line| line.starts_with("* nick guest1 alice belongs ")), "{told:?}");
    assert!(told.iter().any(|line| line.starts_with("! register owned alice ")), "{told:?}");
}

#[test]
fn everybody_hears_what_an_operator_tells_them() {
    let dir = tempfile::tempdir().unwrap();
    let server = start(dir.path());
    let (mut bob, mut carol) = (server.person("bob"), server.person("carol"));
    assert_eq!(done(dir.path(), &["wall", "the", "server", "moves"]), "+ wall 2\n");
    bob.expect("* wall server the server moves");
    carol.expect("* wall server the server moves");
    let mut alice = owner(&server, "alice");
    appoint(dir.path(), &mut alice);
    alice.ask("/wall  tea ", "* wall alice tea");
    alice.expect("+ wall 3");
    bob.expect("* wall alice tea");
    alice.ask("/wall", "! wall usage it is /wall TEXT");
}

#[test]
fn an_operator_appoints_a_founder_where_there_is_none() {
    let dir = tempfile::tempdir().unwrap();
    let server = start(dir.path());
    let mut alice = owner(&server, "alice");
    let mut guest = server.in_room("carol", "#lobby");
    alice.ask("/join #lobby", "- here alice carol");
    alice.starting("+ join ");
    guest.expect("#lobby * alice joined");
    assert!(refused(dir.path(), &["founder", "#nowhere", "alice"]).starts_with("! founder no-such-room "));
    assert!(refused(dir.path(), &["founder", "#lobby", "carol"]).starts_with("! founder refused carol is a guest, "));
    assert!(refused(dir.path(), &["founder", "alice"]).starts_with("! founder no-room "));
    assert_eq!(done(dir.path(), &["founder", "#lobby", "alice"]), "+ founder #lobby alice\n");
    for client in [&mut alice, &mut guest] {
        client.expect("#lobby * server made alice founder");
    }
    // Who was founder is op then, and nobody need be there.
    let _dave = owner(&server, "dave");
    assert_eq!(done(dir.path(), &["founder", "#lobby", "dave"]), "+ founder #lobby dave\n");
    guest.expect("#lobby * server made dave founder");
    guest.send("/op");
    assert_eq!(guest.until_starting("+ op "), ["- founder dave", "- op alice", "- op carol", "+ op #lobby 3"]);
    // An operator in the chat does it by their own name.
    alice.expect("#lobby * server made dave founder");
    alice.send("/founder #lobby alice");
    alice.starting("! founder refused only the founder ");
    appoint(dir.path(), &mut alice);
    alice.ask("/founder #lobby alice", "+ founder #lobby alice");
    guest.expect("#lobby * alice made alice founder");
    let want = [
        "server ctl founder #lobby alice",
        "server ctl founder #lobby dave",
        "server ctl operator alice on",
        "alice 127.0.0.1 founder #lobby alice",
    ];
    audited(dir.path(), &want);
}

#[test]
fn whoever_runs_the_server_keeps_order_in_every_room() {
    let dir = tempfile::tempdir().unwrap();
    let server = start(dir.path());
    let mut alice = owner(&server, "alice");
    alice.ask("/join #den", "- here alice");
    alice.starting("+ join ");
    alice.ask("/room hidden on", "+ room #den hidden on");
    alice.ask("/room key opensesame", "+ room #den key opensesame");
    let mut bob = server.person("bob");
    bob.send("/join #den opensesame");
    bob.until_starting("+ join ");
    alice.expect("#den * bob joined");
    alice.send("/topic what only we know");
    alice.until_starting("+ topic ");
    bob.send("rude");
    alice.settle();
    assert_eq!(done(dir.path(), &["rooms"]), "- #den 2 what only we know\n+ rooms 1\n");
    let who = done(dir.path(), &["who", "#den"]);
    let rows: Vec<String> = who.lines().map(|row| row.split(' ').take(3).collect::<Vec<_>>().join(" ")).collect();
    assert_eq!(rows[..2], ["- alice here", "- bob here"], "{who}");
    assert!(who.contains(" #den\n"), "{who}");
    assert!(done(dir.path(), &["room", "#den", "key"]).starts_with("+ room #den key opensesame"));
    assert_eq!(done(dir.path(), &["erase", "#den", "1"]), "+ erase #den 1\n");
    alice.until("#den * server erased 1 1");
    assert_eq!(done(dir.path(), &["ban", "#den", "bob", "1h", "enough"]), "+ ban #den 1 guest:bob connection\n");
    bob.until("#den * server banned guest:bob 3600 enough");
    alice.until("#den * server banned guest:bob 3600 enough");
    assert!(done(dir.path(), &["bans", "#den"]).starts_with("- 1 ban guest:bob server "));
    assert_eq!(done(dir.path(), &["unban", "#den", "1"]), "+ unban #den 1\n");
    assert_eq!(done(dir.path(), &["room", "#den", "key", "another"]), "+ room #den key another\n");
    alice.until("#den * server set key another");
    assert!(refused(dir.path(), &["kick", "#den", "alice"]).starts_with("! kick refused "));
    for line in ["/msg #den hi", "/history #den", "/topic #den", "/invite #den bob", "/get 1", "/set echo on"] {
        let answer = control(&dir.path().join("ctl"), &format!("{line}\n"));
        assert!(
            answer[0].contains(" refused nobody is online here") && answer[0].contains("/grant NICK"),
            "{answer:?}"
        );
    }
    let want = [
        "server ctl erase #den 1 1",
        "server ctl ban #den guest:bob 3600 enough",
        "server ctl unban #den guest:bob",
        "server ctl room #den key on",
    ];
    audited(dir.path(), &want);
    assert!(!read(dir.path(), "audit.log").contains("another"));
}

#[test]
fn a_place_that_is_kept_ends_when_its_owner_is_killed() {
    let dir = tempfile::tempdir().unwrap();
    let server = start(dir.path());
    let mut carol = server.in_room("carol", "#lobby");
    let mut bob = server.in_room("bob", "#lobby");
    carol.expect("#lobby * bob joined");
    bob.send("/keep");
    let token = bob.until_starting("+ keep ").pop().unwrap().split(' ').nth(2).unwrap().to_owned();
    drop(bob);
    let is_kept = || done(dir.path(), &["where", "bob"]).starts_with("- bob 127.0.0.1 ");
    assert!(is_kept());
    assert_eq!(done(dir.path(), &["kill", "bob"]), "+ kill bob\n");
    carol.expect("#lobby * bob lost killed");
    let mut again = server.connect();
    again.send(&format!("/resume {token} 0"));
    again.until_starting("! resume gone ");
}

#[test]
fn a_minute_of_silence_ends_a_connection_by_the_door() {
    let mut memory = Memory::new(Settings::default());
    memory.connect_control("ctl");
    let id = chinwag::names::ConnId::new(1, 0);
    memory.wait(limits::CONTROL_SILENCE - Duration::from_secs(1));
    memory.send("ctl", b"/ping\n");
    assert_eq!(memory.next("ctl").as_deref(), Some("+ ping"));
    memory.wait(limits::CONTROL_SILENCE - Duration::from_secs(1));
    assert!(memory.notes.closed.is_empty());
    memory.wait(Duration::from_secs(1));
    assert_eq!(memory.notes.closed, [id]);
    assert!(memory.hub.is_empty());
}

#[test]
fn who_runs_the_server_comes_in_though_it_is_full_locked_and_keeps_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let (door, password) = (dir.path().join("door"), dir.path().join("password"));
    fs::write(&password, "open\n").unwrap();
    let options = ["--control", door.to_str().unwrap(), "--max-clients", "1", "--password-file"];
    let server = Server::start(&[&options[..], &[password.to_str().unwrap()]].concat());
    let mut bob = server.connect_raw();
    bob.starting("* locked ");
    bob.send("/pass open");
    bob.until_starting("* hello ");
    bob.send("/nick bob");
    bob.until("+ nick bob");
    assert!(server.connect_raw().line().unwrap().starts_with("* bye full "));
    let ask = |words: &[&str]| {
        let output = Command::new(binary()).args(["ctl", "--control", door.to_str().unwrap()]).args(words).output();
        String::from_utf8(output.unwrap().stdout).unwrap()
    };
    assert!(ask(&["where", "bob"]).starts_with("- bob 127.0.0.1 "));
    assert!(
        ask(&["grant", "bob"]).starts_with("! grant refused this server keeps nothing, as it runs without --data;")
    );
    assert!(ask(&["operator"]).starts_with("! operator refused this server keeps nothing, as"));
    assert_eq!(ask(&["kill", "bob"]), "+ kill bob\n");
    // There is no second server behind the same door.
    let mut second = timed();
    second.arg(binary()).args(["serve", "--listen", "127.0.0.1:0", "--control", door.to_str().unwrap()]);
    let output = second.output().unwrap();
    let why = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.code() == Some(1) && why.contains("another server listens there"), "{why}");
    assert_eq!(ask(&["ping"]), "+ ping\n");
}

#[test]
fn what_a_dead_server_has_left_at_its_door_is_replaced() {
    let dir = tempfile::tempdir().unwrap();
    let mut server = start(dir.path());
    server.signal("KILL");
    server.wait();
    assert!(dir.path().join("ctl").exists());
    let output = ctl(dir.path(), &["ping"]);
    let why = String::from_utf8(output.stderr).unwrap();
    assert!(why.contains("; no server runs there, start it first"), "{why}");
    let mut server = start(dir.path());
    assert_eq!(done(dir.path(), &["ping"]), "+ ping\n");
    server.signal("TERM");
    server.wait();
    // What is no socket is left alone, and people can talk.
    fs::write(dir.path().join("ctl"), "mine").unwrap();
    let mut server = start(dir.path());
    server.person("bob");
    server.signal("TERM");
    let (_, errors) = server.wait();
    assert!(errors.contains("something else stands there; move it away"), "{errors}");
    assert_eq!(read(dir.path(), "ctl"), "mine");
}

#[test]
fn a_folder_with_a_long_path_has_a_door_too() {
    let dir = tempfile::tempdir().unwrap();
    let deep = dir.path().join("d".repeat(100)).join("e".repeat(100));
    fs::create_dir_all(&deep).unwrap();
    let _server = start(&deep);
    assert!(deep.join("ctl").exists());
    assert_eq!(done(&deep, &["ping"]), "+ ping\n");
}

#[test]
fn a_disk_that_takes_no_audit_holds_nobody_up() {
    let dir = tempfile::tempdir().unwrap();
    let mut server = start(dir.path());
    fs::create_dir(dir.path().join("audit.log")).unwrap();
    let _bob = server.person("bob");
    assert_eq!(done(dir.path(), &["kill", "bob", "enough"]), "+ kill bob\n");
    server.signal("TERM");
    let (_, errors) = server.wait();
    assert!(errors.contains("an operator did this: ") && errors.contains("server ctl kill bob\n"), "{errors}");
}

#[test]
fn what_the_disk_did_not_take_of_the_audit_log_is_there_when_it_does() {
    let dir = tempfile::tempdir().unwrap();
    let _server = start(dir.path());
    fs::create_dir(dir.path().join("audit.log")).unwrap();
    done(dir.path(), &["wall", "noon"]);
    done(dir.path(), &["wall", "evening"]);
    fs::remove_dir(dir.path().join("audit.log")).unwrap();
    // Nothing else is done that would bring it there.
    audited(dir.path(), &["server ctl wall noon", "server ctl wall evening"]);
}

#[test]
fn what_a_full_disk_kept_from_being_done_is_written_down_as_that() {
    let Some(disk) = SmallDisk::mount("1m") else { return };
    let _server = disk.serve(&[]);
    let data = disk.path("data");
    disk.fill();
    // What is left of the last block of the ledger may take a line or two.
    let is_refused = |n: &usize| {
        let output = ctl(&data, &["grant", &format!("zoe{n}")]);
        String::from_utf8(output.stdout).unwrap().starts_with("! grant no-space ")
    };
    let n = (0..80).find(is_refused).expect("the disk is full");
    disk.free();
    let want = [format!("server ctl grant zoe{n}"), format!("server ctl not-done grant zoe{n}")];
    eventually("all is written down", || deeds(&data).ends_with(&want));
}

#[test]
fn who_asks_a_server_that_stands_still_is_told_so() {
    let dir = tempfile::tempdir().unwrap();
    let listener = UnixListener::bind(dir.path().join("ctl")).unwrap();
    let mut command = Command::new(binary());
    command.args(["ctl", "--data", dir.path().to_str().unwrap(), "ping"]);
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut told = String::new();
    BufReader::new(child.stderr.take().unwrap()).read_line(&mut told).unwrap();
    assert_eq!(told, "chinwag: the server has not answered yet; waiting for a minute\n");
    listener.accept().unwrap().0.write_all(b"+ ping\n").unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success() && output.stdout == b"+ ping\n", "{output:?}");
}

#[test]
fn the_audit_log_has_each_deed_of_a_script_in_its_order() {
    const DEEDS: usize = 6_000;
    let dir = tempfile::tempdir().unwrap();
    let mut server = start(dir.path());
    let mut door = UnixStream::connect(dir.path().join("ctl")).unwrap();
    let mut answers = BufReader::new(door.try_clone().unwrap()).lines();
    // It reads its answers, so that nothing but the audit log can hold it up.
    let script = thread::spawn(move || {
        let lines: String = (0..DEEDS).map(|n| format!("/block 203.0.113.0/24 all 0 spam{n}\n")).collect();
        door.write_all(lines.as_bytes()).unwrap();
        door.shutdown(Shutdown::Write).unwrap();
    });
    for _ in 0..DEEDS {
        assert_eq!(answers.next().unwrap().unwrap(), "+ block 1 203.0.113.0/24 0");
    }
    assert!(answers.next().is_none());
    script.join().unwrap();
    server.signal("TERM");
    let (_, errors) = server.wait();
    let deeds = deeds(dir.path());
    let want = (0..DEEDS).map(|n| format!("server ctl block 1 all 203.0.113.0/24 - spam{n}"));
    assert!(deeds.iter().eq(&want.collect::<Vec<_>>()), "{} of {DEEDS} deeds; {errors}", deeds.len());
}

#[test]
fn what_is_torn_off_in_the_audit_log_stays_apart() {
    let dir = tempfile::tempdir().unwrap();
    let torn = "2026-11-28T10:00:00Z server ctl wa";
    fs::write(dir.path().join("audit.log"), torn).unwrap();
    let _server = start(dir.path());
    done(dir.path(), &["wall", "noon"]);
    done(dir.path(), &["wall", "evening"]);
    eventually("the deeds are written down", || read(dir.path(), "audit.log").lines().count() >= 3);
    let lines: Vec<String> = deeds(dir.path());
    assert_eq!(lines, ["server ctl wa", "server ctl wall noon", "server ctl wall evening"]);
}

#[test]
fn that_the_audit_log_was_swept_away_is_told() {
    let dir = tempfile::tempdir().unwrap();
    let mut server = start(dir.path());
    for text in ["noon", "evening"] {
        done(dir.path(), &["wall", text]);
        eventually("the deed is written down", || dir.path().join("audit.log").exists());
        fs::remove_file(dir.path().join("audit.log")).unwrap();
    }
    fs::create_dir(dir.path().join("audit.log")).unwrap();
    server.signal("TERM");
    let (_, log) = server.wait();
    assert_eq!(log.matches("audit.log was gone; it is begun anew").count(), 1, "{log}");
    let mut server = start(dir.path());
    server.signal("TERM");
    let (_, log) = server.wait();
    let check = Command::new(binary()).args(["check", "--data"]).arg(dir.path()).output().unwrap();
    for log in [log, String::from_utf8(check.stderr).unwrap()] {
        assert!(log.contains("audit.log is no file; what operators do is not written down"), "{log}");
    }
}

#[test]
fn each_role_that_is_taken_away_is_written_down_by_its_name() {
    let dir = tempfile::tempdir().unwrap();
    let server = start(dir.path());
    let _alice = server.in_room("alice", "#lobby");
    let _bob = server.in_room("bob", "#lobby");
    for command in ["voice", "devoice", "op", "deop", "deop"] {
        assert_eq!(done(dir.path(), &[command, "#lobby", "bob"]), format!("+ {command} #lobby bob\n"));
    }
    let want = ["voice", "devoice", "op", "deop"].map(|command| format!("server ctl {command} #lobby bob"));
    audited(dir.path(), &want.each_ref().map(String::as_str));
}

#[test]
fn looking_makes_no_room() {
    let dir = tempfile::tempdir().unwrap();
    let mut server = start(dir.path());
    let mut bob = server.in_room("bob", "#sec");
    bob.send("/room hidden on");
    bob.starting("* notice a guest made #sec, ");
    bob.expect("+ room #sec hidden on");
    bob.send("what only we know");
    bob.settle();
    assert_eq!(done(dir.path(), &["room", "#sec", "hidden"]), "+ room #sec hidden on\n");
    server.signal("TERM");
    server.wait();
    let server = start(dir.path());
    for words in [&["room", "#sec"][..], &["erase", "#sec", "1"], &["op", "#sec"], &["bans", "#sec"], &["room", "#no"]]
    {
        let told = refused(dir.path(), words);
        assert!(told.starts_with(&format!("! {} no-such-room {} ", words[0], "there is no room")), "{told}");
    }
    assert_eq!(done(dir.path(), &["rooms"]), "+ rooms 0\n");
    let mut carol = server.person("carol");
    carol.ask("/rooms", "+ rooms 0");
}

#[test]
fn who_runs_the_server_is_told_of_rooms_in_which_nobody_is() {
    let dir = tempfile::tempdir().unwrap();
    let server = start(dir.path());
    let mut bob = owner(&server, "bob");
    for room in ["#silent", "#alone"] {
        bob.send(&format!("/join {room}"));
        bob.until_starting("+ join ");
    }
    bob.ask("/leave #silent", "+ leave #silent");
    bob.ask("/rooms", "- #alone 1");
    bob.expect("+ rooms 1");
    assert_eq!(done(dir.path(), &["rooms"]), "- #alone 1\n- #silent 0\n+ rooms 2\n");
    let who = done(dir.path(), &["who", "#silent"]);
    assert!(who.starts_with("+ who ") && who.ends_with(" 0\n"), "{who}");
    assert!(refused(dir.path(), &["who", "#nowhere"]).starts_with("! who no-such-room "));
    bob.send("/who #silent");
    bob.starting("! who no-such-room ");
}

#[test]
fn an_operator_appoints_a_founder_in_a_hidden_room_too() {
    let dir = tempfile::tempdir().unwrap();
    let server = start(dir.path());
    let mut bob = owner(&server, "bob");
    let mut alice = owner(&server, "alice");
    let mut carol = owner(&server, "carol");
    bob.ask("/join #den", "- here bob");
    bob.starting("+ join ");
    bob.ask("/room hidden on", "+ room #den hidden on");
    appoint(dir.path(), &mut alice);
    carol.send("/founder #den carol");
    carol.starting("! founder no-such-room ");
    alice.ask("/founder #den carol", "+ founder #den carol");
    bob.expect("#den * alice made carol founder");
    // All else of the room is for those who are in it.
    for line in ["/room #den", "/op #den", "/kick #den bob"] {
        alice.send(line);
        let verb = line.split([' ', '/']).nth(1).unwrap();
        alice.starting(&format!("! {verb} no-such-room "));
    }
    alice.ask("/rooms", "+ rooms 0");
    alice.send("/founder #nowhere carol");
    alice.starting("! founder no-such-room ");
}

#[test]
fn what_changes_nothing_is_not_written_down() {
    let dir = tempfile::tempdir().unwrap();
    let server = start(dir.path());
    let _bob = owner(&server, "bob");
    assert_eq!(done(dir.path(), &["operator", "bob", "off"]), "+ operator bob off\n");
    done(dir.path(), &["operator", "bob", "on"]);
    assert_eq!(done(dir.path(), &["operator", "bob", "on"]), "+ operator bob on\n");
    assert!(done(dir.path(), &["server", "guests", "on"]).contains("- guests on\n"));
    done(dir.path(), &["server", "guests", "listen"]);
    done(dir.path(), &["server", "guests", "listen"]);
    done(dir.path(), &["operator", "bob", "off"]);
    audited(
        dir.path(),
        &["server ctl operator bob on", "server ctl server guests listen", "server ctl operator bob off"],
    );
}
