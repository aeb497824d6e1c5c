//! The configuration file, reloads, and `chinwag check`.

use std::fs::{self, DirBuilder, File};
use std::io::{self, Write};
use std::net::{Shutdown, TcpStream};
use std::os::unix::fs::{DirBuilderExt, symlink};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use rustix::fs::{CWD, Mode, mkfifoat};
use testkit::data::stop;
use testkit::{Client, Server, binary, control, eventually};

/// A folder with a configuration file.
struct Place(tempfile::TempDir);

impl Place {
    fn new(text: &str) -> Self {
        let place = Self(tempfile::tempdir().unwrap());
        place.write("a.conf", text);
        place
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// Puts a whole file in the place of what is there, as a reload may just be reading that.
    fn write(&self, name: &str, text: &str) {
        let new = self.path(&format!("{name}.new"));
        fs::write(&new, text).unwrap();
        fs::rename(new, self.path(name)).unwrap();
    }

    /// Puts an empty file into a folder of our own, where another folder should be.
    fn make(&self, name: &str) {
        let path = self.path(name);
        DirBuilder::new().mode(0o700).create(path.parent().unwrap()).unwrap();
        self.write(name, "");
    }

    /// A server that reads the file, with these options besides.
    fn serve(&self, options: &[&str]) -> Server {
        let mut command = Command::new("setsid");
        command.args(["env", "--default-signal=HUP", binary(), "serve", "--config"]).arg(self.path("a.conf"));
        Server::start_with(command.args(options))
    }

    fn ctl(&self, words: &[&str]) -> Output {
        let data = self.path("data");
        Command::new(binary()).args(["ctl", "--data"]).arg(data).args(words).output().unwrap()
    }

    /// What comes of a reload, in lines.
    fn reload(&self) -> Vec<String> {
        let output = self.ctl(&["reload"]);
        assert!(output.stderr.is_empty(), "{output:?}");
        let lines: Vec<String> = String::from_utf8(output.stdout).unwrap().lines().map(str::to_owned).collect();
        assert_eq!(output.status.success(), lines.last().is_some_and(|line| line == "+ reload"), "{lines:?}");
        lines
    }

    /// The same, but without the folder in the words.
    fn refusal(&self) -> String {
        let [line] = &self.reload()[..] else { panic!("not one line") };
        line.replace(self.0.path().to_str().unwrap(), "HERE")
    }

    fn check(&self, options: &[&str]) -> (Option<i32>, String, String) {
        let mut command = Command::new(binary());
        let output = command.args(["check", "--config"]).arg(self.path("a.conf")).args(options).output().unwrap();
        let here = |bytes| String::from_utf8(bytes).unwrap().replace(self.0.path().to_str().unwrap(), "HERE");
        (output.status.code(), here(output.stdout), here(output.stderr))
    }
}

/// A limit as `/limits` tells it.
fn limit(client: &mut Client, name: &str) -> String {
    client.send("/limits");
    let row = client.until_starting(&format!("- {name} ")).pop().unwrap();
    client.until("+ limits");
    row.split(' ').nth(2).unwrap().to_owned()
}

const BASE: &str = "listen 127.0.0.1:0\ndata data\n";

#[test]
fn a_reload_takes_what_has_changed_and_what_is_gone() {
    let place = Place::new(&format!("{BASE}name one\nmotd motd\nrate 7\nhistory 3\nmax-file 1M\nfile-ttl 1h30m\n"));
    place.write("motd", "first\n");
    let server = place.serve(&[]);
    let mut alice = server.connect_raw();
    assert!(alice.line().unwrap().contains(" at one; "));
    assert_eq!(alice.line().as_deref(), Some("* motd first"));
    assert_eq!((limit(&mut alice, "rate").as_str(), limit(&mut alice, "file-ttl").as_str()), ("7", "5400s"));

    place.write("a.conf", &format!("{BASE}name two\nmotd motd\nhistory 9\nfile-ttl 2h\nstall 5s\nlog-max 5M\nsync 2s\nmax-per-ip 3\nmax-clients 50\nname-ttl 9d\n"));
    place.write("motd", "second\nand third\n");
    assert_eq!(place.reload(), ["+ reload"]);
    // It holds for who is here,
    for (name, want) in [
        ("rate", "20"),
        ("history", "9"),
        ("file", "104857600"),
        ("file-ttl", "7200s"),
        ("stall", "5s"),
        ("log", "5242880"),
        ("per-address", "3"),
        ("clients", "50"),
        ("name-ttl", "777600s"),
    ] {
        assert_eq!(limit(&mut alice, name), want, "{name}");
    }
    // and for who comes.
    let mut bob = server.connect_raw();
    assert!(bob.line().unwrap().contains(" at two; "));
    assert_eq!([bob.line(), bob.line()].map(Option::unwrap), ["* motd second", "* motd and third"]);
}

#[test]
fn a_password_that_a_reload_brings_is_asked_for_and_one_that_it_takes_away_is_not() {
    let place = Place::new(BASE);
    place.write("password", "sesame\n");
    let server = place.serve(&[]);
    let mut alice = server.person("alice");
    place.write("a.conf", &format!("{BASE}password-file password\n"));
    assert_eq!(place.reload(), ["+ reload"]);
    let mut bob = server.connect_raw();
    bob.starting("* locked ");
    bob.ask("/pass sesame", "+ pass");
    bob.starting("* hello ");
    place.write("password", "another\n");
    assert_eq!(place.reload(), ["+ reload"]);
    let mut carol = server.connect_raw();
    carol.starting("* locked ");
    carol.send("/pass sesame");
    carol.starting("! pass refused ");
    place.write("a.conf", BASE);
    assert_eq!(place.reload(), ["+ reload"]);
    // Who waits there comes in with their next line.
    carol.send("/ping");
    carol.starting("* hello ");
    carol.expect("+ ping");
    server.connect();
    alice.ask("/ping", "+ ping");
}

#[test]
fn history_that_a_reload_shortens_is_forgotten_in_memory_alone() {
    let place = Place::new(&format!("{BASE}history 5\n"));
    let server = place.serve(&[]);
    let mut alice = server.in_room("alice", "#lobby");
    (0..9).for_each(|n| alice.send(&format!("line {n}")));
    alice.settle();
    place.write("a.conf", &format!("{BASE}history 2\n"));
    assert_eq!(place.reload(), ["+ reload"]);
    assert_eq!(limit(&mut alice, "history"), "2");
    alice.send("/history 9");
    let told: Vec<String> = (0..9).map(|_| alice.starting("- ")).collect();
    assert!(told[0].ends_with("line 0") && told[8].ends_with("line 8"), "{told:?}");
    alice.expect("+ history #lobby 9");
}

#[test]
fn what_only_a_restart_takes_is_told_and_the_rest_is_taken() {
    let place = Place::new(BASE);
    let mut server = place.serve(&[]);
    let mut alice = server.connect();
    place.write("a.conf", "listen 127.0.0.1:1\ndata data\nspool 2G\nmax-file 2G\ncontrol door\nrate 3\n");
    assert_eq!(place.reload(), ["- restart listen", "- restart control", "- restart spool", "+ reload"]);
    assert_eq!((limit(&mut alice, "rate").as_str(), limit(&mut alice, "spool").as_str()), ("3", "1073741824"));
    assert_eq!(limit(&mut alice, "file"), "1073741824");
    // It is said for as long as it is so.
    place.write("a.conf", "listen 127.0.0.1:0\ndata elsewhere\n");
    assert_eq!(place.reload(), ["- restart data", "+ reload"]);
    place.write("a.conf", BASE);
    assert_eq!(place.reload(), ["+ reload"]);
    assert!(!place.path("elsewhere").exists());
    drop(alice);
    server.signal("TERM");
    let (_, log) = server.wait();
    assert!(log.contains("a restart takes what has changed of these: listen, control, spool\n"), "{log}");
    assert_eq!(log.matches(" WARN ").count(), 2, "{log}");
}

/// Somebody whom a proxy names is told apart by which proxies are believed when they come, and by what is said of their wire.
#[test]
fn a_reload_believes_other_proxies_from_then_on() {
    let base = format!("{BASE}proxy-listen 127.0.0.1:0\n");
    let place = Place::new(&format!("{base}proxy-from 192.0.2.0/24\n"));
    let server = place.serve(&[]);
    let come = |nick: &str| {
        let mut client = Client::new(TcpStream::connect(server.door("proxy ")).unwrap());
        client.send(&format!("PROXY TCP4 203.0.113.5 192.0.2.1 1234 2428\r\n/nick {nick}\r"));
        client
    };
    // A reset is an end, too.
    let told = |mut client: Client| io::read_to_string(client.reader()).unwrap_or_default();
    let wire = |nick: &str| {
        let row = String::from_utf8(place.ctl(&["where", nick]).stdout).unwrap();
        row.split(' ').nth(3).unwrap().to_owned()
    };
    assert_eq!(told(come("nobody")), "");
    place.write("a.conf", &format!("{base}proxy-secure\n"));
    assert_eq!(place.reload(), ["+ reload"]);
    let mut alice = come("alice");
    alice.until_starting("+ nick alice");
    place.write("a.conf", &base);
    assert_eq!(place.reload(), ["+ reload"]);
    let mut bob = come("bob");
    bob.until_starting("+ nick bob");
    // Who has come stays as they came.
    assert_eq!([wire("alice"), wire("bob")], ["secure", "clear"]);
    // How one comes otherwise is as it was, too.
    bob.send("/register correct-horse");
    let refusal = bob.until_starting("! register insecure ").pop().unwrap();
    assert!(refusal.contains(&format!("(ssh -L 2428:127.0.0.1:{} HOST, ", server.port)), "{refusal}");
    place.write("a.conf", &format!("{base}proxy-from 192.0.2.0/24\n"));
    assert_eq!(place.reload(), ["+ reload"]);
    assert_eq!(told(come("nobody")), "");
    alice.settle();
}

#[test]
fn a_mistake_is_told_with_its_line_and_changes_nothing() {
    let good = format!("{BASE}name good\nmotd motd\nrate 7\n");
    let place = Place::new(&good);
    place.write("motd", "hello\n");
    place.write("long", &"x".repeat(5_000));
    place.write("empty", "");
    let server = place.serve(&[]);
    let mut alice = server.connect();
    for (text, want) in [
        ("rat 5", "HERE/a.conf:4: there is no option rat; is rate meant?"),
        ("rate x", "HERE/a.conf:4: invalid value 'x' for '--rate <N>': it is a whole number, as in 20"),
        ("rate", "HERE/a.conf:4: a value is required for '--rate <N>' but none was supplied"),
        ("config b", "HERE/a.conf:4: a configuration file names no other; leave this line out"),
        ("motd nowhere", "HERE/a.conf:4: cannot read HERE/nowhere: no such file or directory"),
        ("motd long", "HERE/a.conf:4: line 1 of HERE/long has more than 4096 bytes"),
        ("password-file empty", "HERE/a.conf:4: HERE/empty holds no password on its first line"),
        ("motd motd\nlisten nowhere", "HERE/a.conf:5: cannot listen on nowhere: "),
        ("listen 127.0.0.1:1\nlisten [::1", "HERE/a.conf:5: cannot listen on [::1: "),
        ("metrics nowhere", "HERE/a.conf:4: cannot listen on nowhere: "),
        ("listen :7\nlisten 127.0.0.1:7", "HERE/a.conf:5: cannot listen on 127.0.0.1:7 besides 0.0.0.0:7, "),
        (
            "proxy-listen 127.0.0.1:7\nlisten 127.0.0.1:7",
            "HERE/a.conf:4: cannot listen on 127.0.0.1:7 for --listen and ",
        ),
        ("tls 127.0.0.1:0\ncert motd\nkey motd", "HERE/a.conf:5: cannot use HERE/motd: it holds no certificate in PEM"),
        ("tls 127.0.0.1:0\nkey motd", "HERE/a.conf:5: --key needs the certificate of the key; give --cert too"),
        ("cert motd\ntls 127.0.0.1:0", "HERE/a.conf:4: --cert needs the key of the certificate; give --key too"),
        (
            "spool 1M\nmax-file 2M",
            "HERE/a.conf:5: --max-file is larger than --spool, the space for all files together; set it to at most that",
        ),
    ] {
        place.write("a.conf", &format!("{BASE}name bad\n{text}\n"));
        let refusal = place.refusal();
        assert!(refusal.starts_with(&format!("! reload bad-config {want}")), "{refusal} does not begin with {want}");
        assert_eq!(limit(&mut alice, "rate"), "7");
        assert!(server.connect_raw().line().unwrap().contains(" at good; "));
    }
    fs::remove_file(place.path("a.conf")).unwrap();
    assert_eq!(place.refusal(), "! reload bad-config cannot read HERE/a.conf: no such file or directory");
    // What a long mistake says is cut off.
    place.write("a.conf", &format!("rate {}", "x".repeat(20_000)));
    assert!(place.refusal().len() < 1_000);
    place.write("a.conf", &good);
    assert_eq!(place.reload(), ["+ reload"]);
}

#[test]
fn a_hangup_reloads_where_there_is_no_terminal() {
    let place = Place::new(&format!("{BASE}rate 7\n"));
    let mut server = place.serve(&["--history", "5"]);
    let mut alice = server.connect();
    place.write("a.conf", &format!("{BASE}rate 8\nhistory 6\n"));
    server.signal("HUP");
    eventually("the rate is another", || limit(&mut alice, "rate") == "8");
    // What was typed wins.
    assert_eq!(limit(&mut alice, "history"), "5");
    place.write("a.conf", "rat 5\n");
    server.signal("HUP");
    // By the door comes what is read next.
    place.refusal();
    drop(alice);
    server.signal("TERM");
    let (status, log) = server.wait();
    assert!(status.success());
    let path = place.path("a.conf");
    let mistake = format!("{}:1: there is no option rat; is rate meant?\n", path.display());
    assert_eq!(log.matches(&mistake).count(), 2, "{log}");
    assert_eq!(log.matches("ERROR").count(), 2, "{log}");
}

#[test]
fn nobody_is_dropped_by_a_hundred_reloads_and_no_line_is_lost() {
    let place = Place::new(&format!("{BASE}rate 0\n"));
    let mut server = place.serve(&[]);
    let (mut alice, mut bob) = (server.in_room("alice", "#lobby"), server.in_room("bob", "#lobby"));
    alice.expect("#lobby * bob joined");
    let door = place.path("data").join("ctl");
    for n in 0..100 {
        let text = if n % 2 == 0 { "rate 0\nhistory 3\nmotd motd\n" } else { "rate 0\nlog-max 3M\n" };
        place.write("motd", &format!("{n}\n"));
        place.write("a.conf", &format!("{BASE}{text}"));
        if n % 3 == 0 {
            server.signal("HUP");
        } else {
            assert_eq!(control(&door, "/reload\n/ping a\n"), ["+ reload", "+ ping a"]);
        }
        alice.send(&format!("line {n}"));
        bob.send(&format!("answer {n}"));
    }
    for n in 0..100 {
        bob.until(&format!("#lobby <alice> line {n}"));
        alice.until(&format!("#lobby <bob> answer {n}"));
    }
    alice.ask("/ping", "+ ping");
    bob.ask("/ping", "+ ping");
    drop((alice, bob));
    server.signal("TERM");
    let (status, log) = server.wait();
    assert!(status.success() && !log.contains("ERROR"), "{log}");
}

#[test]
fn a_reload_that_takes_its_time_holds_nobody_up() {
    let place = Place::new(&format!("{BASE}motd motd\n"));
    place.write("motd", "hello\n");
    let server = place.serve(&[]);
    let (mut alice, mut bob) = (server.in_room("alice", "#lobby"), server.in_room("bob", "#lobby"));
    fs::remove_file(place.path("motd")).unwrap();
    mkfifoat(CWD, place.path("motd"), Mode::RUSR | Mode::WUSR).unwrap();
    // Whoever opens both ends waits for nobody.
    let mut slow = File::options().read(true).write(true).open(place.path("motd")).unwrap();
    let mut door = UnixStream::connect(place.path("data").join("ctl")).unwrap();
    door.write_all(b"/reload\n").unwrap();
    alice.send("still here");
    bob.until("#lobby <alice> still here");
    slow.write_all(b"late\n").unwrap();
    drop(slow);
    door.shutdown(Shutdown::Write).unwrap();
    let answer = io::read_to_string(door).unwrap();
    // A pipe is not waited for without end.
    assert!(answer == "+ reload\n" || answer.contains("it is a pipe, and nothing came through it"), "{answer}");
}

#[test]
fn who_reloads_is_written_down() {
    let place = Place::new(BASE);
    let server = place.serve(&[]);
    let mut alice = server.person("alice");
    alice.ask("/register correct-horse", "+ register alice");
    alice.send("/reload");
    alice.starting("! ? unknown-command /reload: ");
    assert!(place.ctl(&["operator", "alice", "on"]).status.success());
    alice.starting("* notice you are an operator of this server now");
    alice.send("/reload\n/ping");
    alice.expect("+ reload");
    alice.expect("+ ping");
    assert_eq!(place.reload(), ["+ reload"]);
    server.signal("HUP");
    let audited = || fs::read_to_string(place.path("data").join("audit.log")).unwrap();
    eventually("the signal is written down", || audited().contains("server - reload"));
    let deeds: Vec<String> = audited().lines().map(|line| line.split_once(' ').unwrap().1.to_owned()).collect();
    assert_eq!(
        deeds,
        ["server ctl operator alice on", "alice 127.0.0.1 reload", "server ctl reload", "server - reload"]
    );
    // What is wrong changes nothing, and is no deed.
    place.write("a.conf", "nonsense");
    place.refusal();
    assert_eq!(audited().lines().count(), 4);
}

#[test]
fn what_operators_changed_is_as_the_options_say_after_a_reload() {
    let place = Place::new(&format!("{BASE}rooms named\n"));
    let server = place.serve(&[]);
    let change = |name: &str, value: &str| assert!(place.ctl(&["server", name, value]).status.success());
    change("guests", "off");
    change("rooms", "open");
    assert_eq!(place.reload(), ["- guests on", "- rooms named", "+ reload"]);
    let now = || String::from_utf8(place.ctl(&["server"]).stdout).unwrap();
    assert_eq!(now(), "- guests on\n- accounts open\n- rooms named\n+ server\n");
    // What the file alone has changed is no news, nor is what operators and the file have both changed to the same.
    change("guests", "listen");
    place.write("a.conf", &format!("{BASE}rooms open\nguests listen\naccounts closed\n"));
    assert_eq!(place.reload(), ["+ reload"]);
    // Where a signal asks for it, the log tells.
    change("accounts", "open");
    server.signal("HUP");
    eventually("it is as the file says", || now() == "- guests listen\n- accounts closed\n- rooms open\n+ server\n");
    let (_, log) = stop(server);
    for want in ["server guests on, server rooms named\n", "server accounts closed\n"] {
        let want = format!("what operators had changed is as the options say again: {want}");
        assert_eq!(log.matches(&want).count(), 1, "{log}");
    }
}

#[test]
fn what_is_typed_and_wins_over_the_file_is_told() {
    let place = Place::new("data other\nlisten 127.0.0.1:0\nrate 7\n");
    let data = place.path("data");
    let typed = ["--data", data.to_str().unwrap(), "--rate", "7"];
    let want = "HERE/a.conf: what is typed wins, so these lines do not count: 1 (data)\n";
    let (code, _, told) = place.check(&typed);
    assert!(code == Some(0) && told.contains(want), "{told}");
    let server = place.serve(&typed);
    place.write("a.conf", &format!("data {}\nlisten 127.0.0.1:0\nrate 8\n", data.display()));
    assert_eq!(place.reload(), ["+ reload"]);
    let log = stop(server).1.replace(place.0.path().to_str().unwrap(), "HERE");
    assert!(log.contains(want) && log.contains("so these lines do not count: 3 (rate)\n"), "{log}");
}

#[test]
fn a_server_with_a_bad_configuration_does_not_start() {
    let place = Place::new("rate 5\nrat 6\n");
    let output = Command::new(binary()).args(["serve", "--config"]).arg(place.path("a.conf")).output().unwrap();
    let told = String::from_utf8(output.stderr).unwrap();
    let want = format!("chinwag: {}:2: there is no option rat; is rate meant?\n", place.path("a.conf").display());
    assert_eq!((output.status.code(), told), (Some(1), want));
}

#[test]
fn check_says_what_a_start_would_say_and_changes_nothing() {
    let place = Place::new(BASE);
    let ok = (Some(0), "ok\n".to_owned(), String::new());
    // Whoever has mistaken the folder for another one is told that it is new.
    let is_new = |(code, out, told): (Option<i32>, String, String), name: &str| {
        assert_eq!((code, out.as_str()), (Some(0), "ok\n"), "{told}");
        let want = format!("there is no folder HERE/{name}; a start makes it, and has nothing that was kept before\n");
        assert!(told.ends_with(&want) && told.lines().count() == 1, "{told}");
    };
    is_new(place.check(&[]), "data");
    assert!(!place.path("data").exists());
    // A folder in use is fine.
    let server = place.serve(&[]);
    let mut alice = server.in_room("alice", "#lobby");
    alice.ask("/register correct-horse", "+ register alice");
    let before = listing(place.0.path());
    assert_eq!(place.check(&[]), ok);
    assert_eq!(listing(place.0.path()), before);
    drop(UnixStream::connect(place.path("data").join("ctl")).unwrap());
    drop((alice, server));

    place.write("data/ledger", "nonsense\nmore\n");
    let (code, out, told) = place.check(&[]);
    let serve = Command::new(binary()).args(["serve", "--config"]).arg(place.path("a.conf")).output().unwrap();
    let serve = String::from_utf8(serve.stderr).unwrap().replace(place.0.path().to_str().unwrap(), "HERE");
    assert_eq!((code, out.as_str()), (Some(1), ""));
    assert!(
        told.starts_with("chinwag: cannot use HERE/data/ledger: ") && serve.ends_with(&told),
        "{told} is not {serve}"
    );
    fs::remove_file(place.path("data/ledger")).unwrap();
    symlink("nowhere", place.path("astray")).unwrap();
    place.make("odd/rooms");
    place.make("odder/tls");
    let _other = UnixListener::bind(place.path("door")).unwrap();
    for (text, want) in [
        ("rat 5", "chinwag: HERE/a.conf:1: there is no option rat; is rate meant?\n"),
        (
            "listen nowhere",
            "chinwag: HERE/a.conf:1: cannot listen on nowhere: its port is missing; give an address, as in 127.0.0.1:2428, or :PORT for all\n",
        ),
        (
            "listen 27200",
            "chinwag: HERE/a.conf:1: cannot listen on 27200: a port stands behind a colon; give an address, as in 127.0.0.1:2428",
        ),
        (
            "listen ::1:x",
            "chinwag: HERE/a.conf:1: cannot listen on ::1:x: invalid port value; give an address, as in 127.0.0.1:2428",
        ),
        ("data a.conf", "chinwag: HERE/a.conf:1: cannot keep files in HERE/a.conf: it cannot be made a folder: "),
        ("motd gone", "chinwag: HERE/a.conf:1: cannot read HERE/gone: no such file or directory\n"),
        (
            "control gone/door",
            "chinwag: HERE/a.conf:1: cannot open the operator's door HERE/gone/door: no such file or directory; make its folder first",
        ),
        (
            "control a.conf",
            "chinwag: HERE/a.conf:1: cannot open the operator's door HERE/a.conf: something else stands there;",
        ),
        (
            "control a.conf/door",
            "chinwag: HERE/a.conf:1: cannot open the operator's door HERE/a.conf/door: not a directory",
        ),
        (
            "data a.conf/x/y",
            "chinwag: HERE/a.conf:1: cannot keep files in HERE/a.conf/x/y: it cannot be made a folder: ",
        ),
        ("data astray/x", "chinwag: HERE/a.conf:1: cannot keep files in HERE/astray/x: it cannot be made a folder: "),
        ("data odd", "chinwag: HERE/a.conf:1: cannot keep files in HERE/odd: rooms in it: "),
        ("data odder\ntls 127.0.0.1:0", "chinwag: HERE/a.conf:2: cannot make a certificate in HERE/odder/tls: "),
        ("data new\ntls :0\ntls nowhere", "chinwag: HERE/a.conf:3: cannot listen on nowhere:2429: "),
    ] {
        place.write("a.conf", text);
        let (code, out, told) = place.check(&[]);
        assert_eq!((code, out.as_str()), (Some(1), ""), "{told}");
        let told: String =
            told.split_inclusive('\n').filter(|line| !line.contains(" INFO  there is no folder ")).collect();
        assert!(told.starts_with(want), "{told} does not begin with {want}");
        let serve = Command::new(binary()).args(["serve", "--config"]).arg(place.path("a.conf")).output().unwrap();
        let serve = String::from_utf8(serve.stderr).unwrap().replace(place.0.path().to_str().unwrap(), "HERE");
        assert!(serve.ends_with(&told), "{text}: {told} is not {serve}");
    }
    // The operator's door may stand in the data folder that is to be made, or be another server's that is about to end.
    for text in ["data new\ncontrol new/door", "data new\nlisten none\ntls 127.0.0.1:0"] {
        fs::remove_dir_all(place.path("new")).unwrap_or_default();
        place.write("a.conf", text);
        is_new(place.check(&[]), "new");
    }
    place.write("a.conf", "control door");
    assert_eq!(place.check(&[]), ok);
    // Without a data folder there is a temporary one.
    place.write("a.conf", "");
    let told = ["check", "serve"].map(|mode| {
        let mut command = Command::new(binary());
        let output =
            command.args([mode, "--listen", "127.0.0.1:0"]).env("TMPDIR", place.path("gone")).output().unwrap();
        String::from_utf8(output.stderr).unwrap()
    });
    assert!(told[0].starts_with("chinwag: cannot make a folder for files in ") && told[1] == told[0], "{told:?}");
}

/// All that is in a folder, with when it was changed.
fn listing(folder: &Path) -> Vec<String> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap().map(Result::unwrap) {
        let data = entry.metadata().unwrap();
        found.push(format!("{} {} {:?}", entry.path().display(), data.len(), data.modified().unwrap()));
        if data.is_dir() {
            found.extend(listing(&entry.path()));
        }
    }
    found.sort();
    found
}

#[test]
fn the_example_is_well() {
    let example = concat!(env!("CARGO_MANIFEST_DIR"), "/dist/chinwag.conf");
    let text = fs::read_to_string(example).unwrap();
    let place = Place::new(&text);
    assert_eq!(place.check(&["--data", place.path("data").to_str().unwrap()]).0, Some(0));
    // Each option stands there, with a value that it takes.
    let help = Command::new(binary()).args(["serve", "--help"]).output().unwrap();
    let help = String::from_utf8(help.stdout).unwrap();
    let options = help.lines().filter_map(|line| line.trim_start().strip_prefix("--")?.split(' ').next());
    for option in options.filter(|option| *option != "config") {
        let line_of = |option: &str| {
            let is_it = |line: &&str| line.trim_start_matches('#').split(' ').next() == Some(option);
            let line = text.lines().find(is_it).unwrap_or_else(|| panic!("the example does not tell of {option}"));
            format!("{}\n", line.trim_start_matches('#'))
        };
        // Some are nothing without others.
        let lines: String = match option {
            "data" => line_of("data"),
            "cert" | "key" => ["data", "tls", "cert", "key"].map(line_of).concat(),
            "proxy-secure" => ["data", "proxy-listen", "proxy-secure"].map(line_of).concat(),
            option => ["data", option].map(line_of).concat(),
        };
        place.write("a.conf", &lines.replace("data /var/lib/chinwag", "data data"));
        for file in ["motd", "password"] {
            place.write(file, "words\n");
        }
        let (code, _, told) = place.check(&[]);
        let is_elsewhere = |what: &&str| told.contains(&format!("cannot {what}"));
        let is_well = code == Some(0)
            || ["read /etc/", "keep files in /var/", "open the operator's door /run/"].iter().any(is_elsewhere);
        assert!(is_well, "{option}: {told}");
    }
}

#[test]
fn ctl_asks_where_the_environment_says() {
    let place = Place::new(BASE);
    let _server = place.serve(&[]);
    let ping = |data: &str| Command::new(binary()).args(["ctl", "ping"]).env("CHINWAG_DATA", data).output().unwrap();
    let output = ping(place.path("data").to_str().unwrap());
    assert_eq!((output.status.code(), output.stdout), (Some(0), b"+ ping\n".to_vec()));
    for (data, looked) in [("/nowhere", "/nowhere/ctl"), ("", "/var/lib/chinwag/ctl")] {
        let output = ping(data);
        let told = String::from_utf8(output.stderr).unwrap();
        assert!(output.status.code() == Some(1) && told.contains(looked), "{told}");
    }
}
