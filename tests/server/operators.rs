//! Operators: the door by which they come in, what they alone may do, and that it is unknown to others.

use std::fs;
use std::io::Write;
use std::net::Shutdown;
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::{Command, Output};

use testkit::{Client, Server, binary, control};

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
        let age = std::time::SystemTime::now().duration_since(since).unwrap();
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
