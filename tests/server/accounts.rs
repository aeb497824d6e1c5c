//! Names that have owners: each command over TCP, and what outlives the server.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, SystemTime};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chinwag::limits;
use chinwag::names::{Nick, Origin, Prefix, RoomName};
use chinwag::register::{Entry, Founder, Register, Role};
use chinwag::settings::{Logging, Settings};
use chinwag::time::{Day, in_seconds};
use testkit::disk::SmallDisk;
use testkit::memory::Memory;
use testkit::{Client, Server, binary, eventually, timed};

const PASSWORD: &str = "correct-horse";

pub fn start(dir: &Path, options: &[&str]) -> Server {
    let dir = dir.to_str().unwrap();
    Server::start(&[&["--data", dir, "--rate", "0"], options].concat())
}

/// Somebody whose name is theirs from now on.
pub fn owner(server: &Server, nick: &str) -> Client {
    let mut client = server.person(nick);
    client.ask(&format!("/register {PASSWORD}"), &format!("+ register {nick}"));
    client
}

/// Asks for a token, and gives it.
fn token(client: &mut Client) -> String {
    client.send("/token");
    client.starting("+ token ").split_off("+ token ".len())
}

fn ledger(dir: &Path) -> String {
    fs::read_to_string(dir.join("ledger")).unwrap()
}

fn today() -> String {
    in_seconds(SystemTime::now()).to_string()[..10].to_owned()
}

#[test]
fn a_name_is_shown_to_nobody_but_its_owner() {
    let dir = tempfile::tempdir().unwrap();
    let server = start(dir.path(), &[]);
    let mut alice = owner(&server, "alice");
    alice.send("/quit");
    alice.until("+ quit");
    let mut other = server.person("bob");
    let owned =
        "! nick owned alice belongs to somebody; if that is you: /login alice PASSWORD, else choose another name";
    other.ask("/nick ALICE", owned);
    other.ask("/nick alice", owned);
    other.starting_after("/login alice wrong", "! login refused ");
    other.starting_after("/login alice token:wrong", "! login refused ");
    other.starting_after("/login carol correct-horse", "! login refused nobody owns carol;");
    other.ask(&format!("/login Alice {PASSWORD}"), "+ login alice");
    other.send("/who alice");
    other.starting("- alice here ");
    other.starting("+ who ");
    // Another spelling is still theirs.
    other.ask("/nick ALICE", "+ nick ALICE");
    other.send("/account");
    let day = today();
    other.expect(&format!("- name {day} {day}"));
    other.expect("- tokens 0");
    other.expect("- ways 1");
    other.expect("+ account ALICE owned");
    other.ask("/nick carol", "+ nick carol");
    other.starting_after("/nick alice", "! nick owned ");
    other.ask("/account carol", "+ account carol free");
    other.starting_after("/token", "! token no-account ");
}

pub trait Asks {
    /// Sends a line whose answer begins so.
    fn starting_after(&mut self, line: &str, want: &str) -> String;
}

impl Asks for Client {
    fn starting_after(&mut self, line: &str, want: &str) -> String {
        self.send(line);
        self.starting(want)
    }
}

#[test]
fn a_login_takes_the_rooms_of_a_guest_along_and_a_logout_keeps_them() {
    let dir = tempfile::tempdir().unwrap();
    let server = start(dir.path(), &[]);
    let mut alice = owner(&server, "alice");
    alice.send("/quit");
    alice.until("+ quit");
    let mut bob = server.in_room("bob", "#lobby");
    bob.send("hi");
    let mut guest = server.in_room("visitor", "#lobby");
    bob.until("#lobby * visitor joined");
    guest.ask(&format!("/login alice {PASSWORD}"), "- in #lobby 1");
    guest.expect("+ login alice");
    bob.expect("#lobby * visitor renamed alice");
    guest.send("I am back");
    bob.expect("#lobby <alice> I am back");
    let guest_name = guest.starting_after("/logout", "+ logout guest").split_off("+ logout ".len());
    bob.expect(&format!("#lobby * alice renamed {guest_name}"));
    guest.send("still here");
    bob.expect(&format!("#lobby <{guest_name}> still here"));
    guest.starting_after("/logout", "! logout no-account ");
}

#[test]
fn who_logs_in_beside_themselves_is_one_person() {
    let dir = tempfile::tempdir().unwrap();
    let server = start(dir.path(), &[]);
    let mut bob = server.in_room("bob", "#lobby");
    let mut one = owner(&server, "alice");
    one.send("/join #lobby");
    one.until_starting("+ join #lobby ");
    bob.until("#lobby * alice joined");
    let mut two = server.in_room("visitor", "#other");
    two.ask(&format!("/login alice {PASSWORD}"), "- in #lobby 0");
    two.expect("+ login alice");
    // No target is current, and the guest's rooms are left.
    two.starting_after("hi", "! say no-room ");
    two.ask("/msg #lobby hello", "+ msg #lobby");
    one.expect("#lobby <alice> hello");
    bob.expect("#lobby <alice> hello");
    two.starting_after("/msg #other hello", "! msg no-such-room ");
    two.send("/account");
    two.until("- ways 2");
    two.expect("+ account alice owned");
    two.send("/quit");
    two.until("+ quit");
    one.send("still here");
    bob.expect("#lobby <alice> still here");
    // A logout takes one way out alone.
    let mut three = server.person("visitor");
    three.starting_after(&format!("/login alice {PASSWORD}"), "- in #lobby 2");
    three.expect("+ login alice");
    three.starting_after("/logout", "+ logout guest");
    // To give the name up takes it from all, and this one keeps the rooms.
    three.starting_after(&format!("/login alice {PASSWORD}"), "- in #lobby 2");
    three.expect("+ login alice");
    let guest = three.starting_after(&format!("/drop {PASSWORD}"), "+ drop guest").split_off("+ drop ".len());
    bob.expect(&format!("#lobby * alice renamed {guest}"));
    let lost = one.starting("* nick guest");
    assert!(
        lost.contains(" alice was given up; that was done on another of your connections. You are guest"),
        "{lost}"
    );
    one.starting_after("hi", "! say no-room ");
    three.ask("/msg #lobby bye", "+ msg #lobby");
    bob.expect(&format!("#lobby <{guest}> bye"));
}

#[test]
fn only_so_many_come_in_beside_each_other() {
    let dir = tempfile::tempdir().unwrap();
    let server = start(dir.path(), &[]);
    let mut alice = owner(&server, "alice");
    let token = token(&mut alice);
    let mut ways: Vec<Client> = (0..8).map(|n| server.person(&format!("visitor{n}"))).collect();
    for way in &mut ways[..7] {
        way.ask(&format!("/login alice token:{token}"), "+ login alice");
    }
    ways[7].starting_after(&format!("/login alice token:{token}"), "! login too-many ");
    ways.remove(0);
    eventually("a way in is free", || {
        ways[6].send(&format!("/login alice token:{token}"));
        ways[6].line().unwrap() == "+ login alice"
    });
}

#[test]
fn what_is_no_password_and_what_is_no_name_of_ones_own_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let server = start(dir.path(), &[]);
    let mut client = server.connect();
    client.send("/set presence off");
    client.until("+ set presence off");
    client.starting_after(&format!("/register {PASSWORD}"), "! register bad-name guest1 ");
    for line in [format!("/passwd {PASSWORD}"), "/token".into(), "/token off".into(), format!("/drop {PASSWORD}")] {
        let command = line[1..].split(' ').next().unwrap();
        client.starting_after(&line, &format!("! {command} no-account "));
    }
    client.ask("/account", "+ account guest1 free");
    client.ask("/nick longname", "+ nick longname");
    for bad in ["", "short", "seven77", "longname", "LongName", "two words here", &"x".repeat(129)] {
        client.starting_after(&format!("/register {bad}"), "! register usage ");
    }
    // What is no text is not told apart, and what begins like a token is taken for one.
    let garbled: [&[u8]; 4] =
        [b"passw\xf6rter", b"abc\x01defgh", "abc\u{202e}defgh".as_bytes(), "\u{fffd}bcdefgh".as_bytes()];
    for bad in garbled {
        for command in ["/register ", "/passwd ", "/passwd correct-horse "] {
            client.send_bytes(&[command.as_bytes(), bad, b"\n"].concat());
            let told = client.until_starting(&format!(
                "! {} usage some of this is no text",
                command[1..].split(' ').next().unwrap()
            ));
            assert!(told.len() == 1 || told[0].starts_with("* notice some of what you sent is no UTF-8"), "{told:?}");
        }
    }
    for line in ["/register token:abcdefgh", "/passwd token:abcdefgh", "/passwd correct-horse token:abcdefgh"] {
        let command = line[1..].split(' ').next().unwrap();
        client.starting_after(line, &format!("! {command} usage what begins with token: "));
    }
    client.ask(&format!("/register {}", "x".repeat(128)), "+ register longname");
    client.starting_after(&format!("/register {PASSWORD}"), "! register refused longname is yours already");
    client.starting_after("/passwd new-password", "! passwd refused ");
    client.starting_after(&format!("/passwd {} short", "x".repeat(128)), "! passwd usage ");
    client.starting_after("/account 1x", "! account bad-name ");
    client.starting_after("/login 1x password", "! login bad-name ");
}

#[test]
fn a_password_can_be_changed_and_ends_all_tokens() {
    let dir = tempfile::tempdir().unwrap();
    let server = start(dir.path(), &[]);
    let mut alice = owner(&server, "alice");
    let first = token(&mut alice);
    assert_eq!(first.len(), 43);
    let mut other = server.person("bob");
    alice.starting_after("/passwd wrong-password new-password", "! passwd refused ");
    alice.ask(&format!("/passwd {PASSWORD} new-password"), "+ passwd");
    alice.send("/quit");
    alice.rest();
    other.starting_after(&format!("/login alice {PASSWORD}"), "! login refused ");
    other.starting_after(&format!("/login alice token:{first}"), "! login refused ");
    other.ask("/login alice new-password", "+ login alice");
}

#[test]
fn whoever_came_by_what_is_good_no_more_is_put_out() {
    let dir = tempfile::tempdir().unwrap();
    let server = start(dir.path(), &[]);
    let mut alice = owner(&server, "alice");
    let come = |proof: &str| {
        let mut client = server.person("visitor");
        client.ask(&format!("/login alice {proof}"), "+ login alice");
        client
    };
    let token = format!("token:{}", token(&mut alice));
    let (mut thief, mut own) = (come(&token), come(PASSWORD));
    alice.ask("/token off", "+ token off");
    assert!(thief.rest().last().unwrap().starts_with("* bye refused the password of this name is another now, or"));
    own.ask("/ping here", "+ ping here");
    // Who came by a token of one name and owns another now has not come by one of that.
    let other = self::token(&mut alice);
    let mut bob = come(&format!("token:{other}"));
    bob.ask("/logout", "+ logout guest1");
    bob.ask("/nick bob", "+ nick bob");
    bob.ask(&format!("/register {PASSWORD}"), "+ register bob");
    let mut beside = server.person("visitor");
    beside.ask(&format!("/login bob {PASSWORD}"), "+ login bob");
    beside.ask("/token off", "+ token off");
    bob.ask("/ping here", "+ ping here");
    let mut thief = come(PASSWORD);
    own.ask(&format!("/passwd {PASSWORD} new-password"), "+ passwd");
    assert!(thief.rest().last().unwrap().starts_with("* bye refused "));
    assert!(alice.rest().last().unwrap().starts_with("* bye refused "));
    own.send("/account");
    own.until("- ways 1");
}

#[test]
fn a_token_is_as_good_as_a_password_until_it_is_ended() {
    let dir = tempfile::tempdir().unwrap();
    let server = start(dir.path(), &[]);
    let mut alice = owner(&server, "alice");
    let tokens: Vec<String> = (0..6).map(|_| token(&mut alice)).collect();
    alice.send("/account");
    alice.until("- tokens 5");
    alice.until("+ account alice owned");
    alice.ask("/nick visitor", "+ nick visitor");
    // The oldest has gone.
    alice.starting_after(&format!("/login alice token:{}", tokens[0]), "! login refused ");
    for token in &tokens[1..] {
        alice.ask(&format!("/login alice token:{token}"), "+ login alice");
        alice.ask("/nick visitor", "+ nick visitor");
    }
    alice.ask(&format!("/login alice token:{}", tokens[5]), "+ login alice");
    alice.ask("/token off", "+ token off");
    alice.ask("/nick visitor", "+ nick visitor");
    alice.starting_after(&format!("/login alice token:{}", tokens[5]), "! login refused ");
    // What stands there is in hex.
    let text = ledger(dir.path());
    for token in &tokens {
        let hex: String = URL_SAFE_NO_PAD.decode(token).unwrap().iter().map(|byte| format!("{byte:02x}")).collect();
        assert!(!text.contains(token) && !text.contains(&hex), "{text}");
    }
}

#[test]
fn what_is_registered_outlives_a_server_that_is_killed_at_once() {
    let dir = tempfile::tempdir().unwrap();
    let server = start(dir.path(), &[]);
    let alice = owner(&server, "alice");
    drop(server);
    drop(alice);
    let mode = fs::metadata(dir.path().join("ledger")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let text = ledger(dir.path());
    assert!(text.starts_with(&format!("name alice {} $argon2id$v=19$m=7168,t=5,p=1$", today())), "{text}");
    assert!(!text.contains(PASSWORD));
    let server = start(dir.path(), &[]);
    let mut other = server.person("bob");
    other.starting_after("/nick alice", "! nick owned ");
    other.ask(&format!("/login alice {PASSWORD}"), "+ login alice");
    let token = token(&mut other);
    drop(server);
    let server = start(dir.path(), &[]);
    server.person("bob").ask(&format!("/login alice token:{token}"), "+ login alice");
}

#[test]
fn who_was_invited_as_a_guest_and_registers_stays_invited() {
    let dir = tempfile::tempdir().unwrap();
    let server = start(dir.path(), &[]);
    let mut ann = owner(&server, "ann");
    ann.send("/join #board");
    ann.until("+ join #board 1");
    ann.ask("/room invite-only on", "+ room #board invite-only on");
    let mut frieda = server.person("frieda");
    ann.ask("/invite frieda", "+ invite #board frieda");
    frieda.expect("@ann * ann invite #board");
    frieda.ask(&format!("/register {PASSWORD}"), "+ register frieda");
    frieda.send("/quit");
    frieda.rest();
    let mut frieda = server.person("somebody");
    frieda.ask(&format!("/login frieda {PASSWORD}"), "+ login frieda");
    frieda.send("/join #board");
    frieda.until("+ join #board 2");
    assert!(ledger(dir.path()).contains("invite #board frieda on\n"));
    frieda.ask("/leave", "+ leave #board");
    // It ends as the invitation of every name does.
    ann.send("/uninvite frieda");
    ann.until("+ uninvite #board frieda");
    frieda.send("/join #board");
    frieda.starting("! join invite-only ");
}

#[test]
fn a_name_that_is_given_up_leaves_nothing_and_is_held() {
    let dir = tempfile::tempdir().unwrap();
    let server = start(dir.path(), &[]);
    let mut bob = server.in_room("bob", "#lobby");
    let mut alice = owner(&server, "alice");
    token(&mut alice);
    alice.send("/join #lobby");
    alice.until_starting("+ join #lobby ");
    bob.until("#lobby * alice joined");
    alice.starting_after("/drop wrong-password", "! drop refused ");
    let guest = alice.starting_after(&format!("/drop {PASSWORD}"), "+ drop guest").split_off("+ drop ".len());
    bob.expect(&format!("#lobby * alice renamed {guest}"));
    let held =
        "! nick held alice was somebody's not long ago; it is kept from everybody for 30 days, so choose another name";
    alice.ask("/nick alice", held);
    bob.ask("/account alice", "+ account alice held");
    let refused =
        "! login refused nobody owns alice any more; it is kept from everybody for 30 days, so choose another name";
    bob.ask(&format!("/login alice {PASSWORD}"), refused);
    drop(server);
    let server = start(dir.path(), &[]);
    server.person("bob").ask("/nick alice", held);
    // All that was there of it has gone when the ledger is written anew.
    assert_eq!(ledger(dir.path()), format!("drop alice {}\n", today()));
    drop(server);
    fs::write(dir.path().join("ledger"), "drop alice 2020-01-01\n").unwrap();
    let server = start(dir.path(), &[]);
    server.person("bob").ask("/nick alice", "+ nick alice");
    assert_eq!(ledger(dir.path()), "");
}

#[test]
fn a_name_whose_owner_stays_away_is_nobody_s() {
    let dir = tempfile::tempdir().unwrap();
    drop(owner(&start(dir.path(), &[]), "alice"));
    let old = ledger(dir.path()).replace(&today(), "2020-01-01");
    fs::write(dir.path().join("ledger"), &old).unwrap();
    {
        let server = start(dir.path(), &["--name-ttl", "0"]);
        server.person("bob").starting_after("/nick alice", "! nick owned ");
    }
    let server = start(dir.path(), &[]);
    server.person("bob").starting_after("/nick alice", "! nick held ");
    let gone = format!("drop alice {}\n", today());
    eventually("the ledger says so", || ledger(dir.path()).ends_with(&gone));
}

#[test]
fn what_a_refusal_offers_can_be_done() {
    let dir = tempfile::tempdir().unwrap();
    let server = start(dir.path(), &[]);
    let mut alice = owner(&server, "alice");
    for line in ["/login server x", "/account server", "/account NickServ", "/login \u{430}bcd x"] {
        let verb = line[1..].split(' ').next().unwrap();
        alice.starting_after(line, &format!("! {verb} bad-name "));
    }
    alice.send("/join #club");
    alice.until("+ join #club 1");
    alice.ask("/room guests listen", "+ room #club guests listen");
    // Who is called as guests are must choose a name before it can be theirs.
    let mut guest = server.connect();
    guest.send("/join #club");
    guest.until("+ join #club 2");
    let only = "only people who own their names speak in #club;";
    let choose = "choose one with /nick NAME, and /register PASSWORD makes it your own";
    guest.ask("hello", &format!("! say muted {only} {choose}"));
    alice.until("#club * guest1 joined");
    let founder = "! founder refused guest1 is a guest, and only who owns a name can be a founder;";
    alice.ask(
        "/founder guest1",
        &format!("{founder} ask them to take one with /nick NAME and /register PASSWORD first"),
    );
    // A name that somebody else is called by cannot be taken.
    let _carol = server.person("carol");
    let spelled = "look how yours is spelled, or ask the operator for a name";
    guest.ask("/login carol x", &format!("! login refused nobody owns carol; {spelled}"));
    guest.ask("/login guest9 x", &format!("! login refused nobody owns guest9; {spelled}"));
    guest.ask("/nick gil", "+ nick gil");
    guest.ask("hello", &format!("! say muted {only} /register PASSWORD makes yours your own"));
    drop(server);
    let server = start(dir.path(), &["--accounts", "closed"]);
    let mut guest = server.in_room("gil", "#club");
    guest.ask("hello", &format!("! say muted {only} ask the operator, who gives names away"));
    guest.ask("/login dora x", &format!("! login refused nobody owns dora; {spelled}"));
    guest.starting_after("/logout", "! logout no-account gil is not yours; /login NICK PASSWORD takes ");
    drop(server);
    let server = start(dir.path(), &["--accounts", "off"]);
    let mut guest = server.in_room("gil", "#club");
    guest.send("hello");
    assert!(guest.starting(&format!("! say muted {only} ask ")).ends_with(" for /voice"));
    guest.ask("/nick alice", "! nick owned alice belongs to somebody; choose another name");
    drop(server);
    let server = start(dir.path(), &["--accounts", "off", "--guests", "off"]);
    let mut nobody = server.connect_raw();
    nobody.expect("* locked chinwag/0.2.0 nobody comes in now; try again later");
    nobody.ask("/nick gil", "! nick locked nobody comes in now; try again later");
}

#[test]
fn a_name_without_a_password_is_given_up_by_none() {
    let dir = tempfile::tempdir().unwrap();
    let server = start(dir.path(), &[]);
    let granted = testkit::control(&dir.path().join("ctl"), "/grant alice\n").concat();
    let token = granted.strip_prefix("+ grant alice ").unwrap();
    let mut alice = server.person("a");
    alice.ask(&format!("/login alice {token}"), "+ login alice");
    let none = "! drop refused alice has no password yet; /passwd NEW gives it one, and that is asked for";
    // It is no try.
    (0..6).for_each(|_| alice.ask("/drop x", none));
    alice.ask(&format!("/passwd {PASSWORD}"), "+ passwd");
    alice.starting_after(&format!("/drop {PASSWORD}"), "+ drop guest");
}

#[test]
fn who_logs_out_and_in_again_before_others_is_renamed_only_so_often() {
    let dir = tempfile::tempdir().unwrap();
    let server = Server::start(&["--data", dir.path().to_str().unwrap()]);
    let mut alice = owner(&server, "alice");
    let token = format!("token:{}", token(&mut alice));
    // Where nobody sees it, it is nobody's affair.
    for _ in 0..11 {
        alice.starting_after("/logout", "+ logout guest");
        alice.ask(&format!("/login alice {token}"), "+ login alice");
    }
    alice.send("/join #lobby");
    alice.until("+ join #lobby 1");
    let mut bob = server.in_room("bob", "#lobby");
    alice.until("#lobby * bob joined");
    let refused = (0..15).find_map(|_| {
        alice.send("/logout");
        let line = alice.line().unwrap();
        if line.starts_with("! ") {
            return Some(line);
        }
        alice.send(&format!("/login alice {token}"));
        let line = alice.line().unwrap();
        if line.starts_with("! ") {
            return Some(line);
        }
        alice.starting("+ login alice");
        None
    });
    assert!(refused.is_some_and(|line| line.starts_with("! logout too-many at most 10 renames a minute")));
    // Who is refused is who they are, as it is a logout for which nothing is left.
    alice.ask("/account alice", &format!("- name {0} {0}", today()));
    alice.until("+ account alice owned");
    alice.send("here still");
    let heard = bob.until("#lobby <alice> here still");
    let seen = heard.iter().filter(|line| line.contains(" renamed ")).count();
    // The first of them was to be called alice.
    assert!((8..limits::RENAMES as usize).contains(&seen), "{seen}");
}

#[test]
fn a_torn_tail_is_set_aside_and_damage_before_it_stops_the_start() {
    let dir = tempfile::tempdir().unwrap();
    drop(owner(&start(dir.path(), &[]), "alice"));
    let good = ledger(dir.path());
    fs::write(dir.path().join("ledger"), format!("{good}drop ali")).unwrap();
    {
        let server = start(dir.path(), &[]);
        server.person("bob").ask(&format!("/login alice {PASSWORD}"), "+ login alice");
    }
    assert_eq!(fs::read_to_string(dir.path().join("ledger.damaged-1")).unwrap(), "drop ali");
    assert_eq!(ledger(dir.path()), good);
    // A whole line that is damaged is no torn tail, wherever it stands.
    for (damaged, line) in [(format!("{good}ban #r three\n{good}"), 2), (good.trim_end().to_owned() + " \n", 1)] {
        fs::write(dir.path().join("ledger"), damaged).unwrap();
        let mut serve = timed();
        let serve = serve.args([binary(), "serve", "--listen", "127.0.0.1:0", "--data"]).arg(dir.path());
        let output = serve.output().unwrap();
        let errors = String::from_utf8(output.stderr).unwrap();
        assert!(!output.status.success() && errors.contains(&format!("line {line} of it is damaged")), "{errors}");
    }
}

/// As some editors save it.
#[test]
fn a_last_line_of_the_ledger_without_its_end_is_named_with_what_to_do() {
    let dir = tempfile::tempdir().unwrap();
    let server = start(dir.path(), &[]);
    drop(["alice", "bob"].map(|name| owner(&server, name)));
    drop(server);
    let good = ledger(dir.path());
    let (bobs, others): (Vec<_>, Vec<_>) = good.lines().partition(|line| line.starts_with("name bob "));
    let saved = [&others[..], &bobs].concat().join("\n");
    let path = dir.path().join("ledger");
    fs::write(&path, &saved).unwrap();
    let check = Command::new(binary()).args(["check", "--data"]).arg(dir.path()).output().unwrap();
    let what = format!("its end, {} bytes, which are the line `name bob …` without its end, ", bobs[0].len());
    let ledger_path = path.display();
    let told = format!(
        "the ledger is damaged: {what}counts for nothing, and a start sets it aside; if it shall count, end that line: echo >> {ledger_path}\n"
    );
    let log = String::from_utf8(check.stderr).unwrap();
    assert!(check.status.success() && check.stdout == b"ok\n" && log.contains(&told), "{log}");
    assert_eq!(ledger(dir.path()), saved);
    let mut server = start(dir.path(), &[]);
    server.person("eve").ask("/account bob", "+ account bob free");
    server.signal("TERM");
    let (_, log) = server.wait();
    let aside = dir.path().join("ledger.damaged-1");
    let again = format!("(cat {}; echo) >> {ledger_path}", aside.display());
    let told = format!(
        "the ledger was damaged: {what}is now in {}; if it shall count, stop the server, {again}, and start it again\n",
        aside.display()
    );
    assert!(log.contains(&told), "{log}");
    assert!(Command::new("sh").args(["-c", &again]).status().unwrap().success());
    let server = start(dir.path(), &[]);
    server.person("eve").ask(&format!("/login bob {PASSWORD}"), "+ login bob");
}

#[test]
fn names_that_have_come_to_look_alike_stay_their_owners() {
    let dir = tempfile::tempdir().unwrap();
    let server = start(dir.path(), &[]);
    for (name, password) in [("zob", PASSWORD), ("yob", "battery-staple")] {
        server.person(name).ask(&format!("/register {password}"), &format!("+ register {name}"));
    }
    drop(server);
    // As another table of what looks alike might have it.
    let path = dir.path().join("ledger");
    let text = ledger(dir.path()).replace("zob", "bob").replace("yob", "b0b");
    fs::write(&path, format!("{text}room #b founder bob\nroom #b0 founder b0b\nrole #b b0b op\n")).unwrap();
    for _ in 0..2 {
        let mut server = start(dir.path(), &[]);
        let (mut client, mut other) = (server.connect(), server.connect());
        for client in [&mut client, &mut other] {
            client.send("/set presence off");
            client.until("+ set presence off");
        }
        client.ask("/login bob correct-horse", "+ login bob");
        client.send("/join #b\n/op");
        client.until("- founder bob");
        client.until("- op b0b");
        client.until("+ op #b 2");
        other.starting_after("/login b0b correct-horse", "! login refused ");
        other.starting_after("/login b0b battery-staple", "! login taken b0b looks like bob, who is here");
        other.starting_after("/nick b0b", "! nick owned ");
        // Neither can pass for the other.
        client.starting_after("/nick b0b", "! nick owned ");
        client.ask("/logout", "+ logout guest1");
        other.ask("/login b0b battery-staple", "+ login b0b");
        client.starting_after("/login bob correct-horse", "! login taken ");
        other.send("/account");
        other.until("- founder #b0");
        server.signal("TERM");
        let (_, log) = server.wait();
        assert!(log.contains(" look like others there, and only one of those is let in at a time: b0b, bob"), "{log}");
    }
}

#[test]
fn a_ledger_that_was_saved_on_windows_owns_its_names() {
    let dir = tempfile::tempdir().unwrap();
    drop(owner(&start(dir.path(), &[]), "alice"));
    let good = ledger(dir.path());
    fs::write(dir.path().join("ledger"), format!("\u{feff}{}", good.replace('\n', "\r\n"))).unwrap();
    let server = start(dir.path(), &[]);
    server.person("bob").ask(&format!("/login alice {PASSWORD}"), "+ login alice");
    assert_eq!(ledger(dir.path()), good);
}

#[test]
fn lines_behind_a_password_wait_for_it_and_so_does_the_end_of_input() {
    let dir = tempfile::tempdir().unwrap();
    let server = start(dir.path(), &[]);
    let mut client = server.connect_raw();
    client.send_bytes(
        format!(
            "/set presence off\n/nick alice\n/register {PASSWORD}\n/token off\n/nick bob\n/login alice {PASSWORD}\n\
             /drop {PASSWORD}\n/ping last"
        )
        .as_bytes(),
    );
    client.end();
    client.until("+ nick alice");
    for want in ["+ register alice", "+ token off", "+ nick bob", "+ login alice"] {
        client.expect(want);
    }
    client.starting("+ drop guest");
    client.expect("+ ping last");
    assert_eq!(client.line(), None);
}

#[test]
fn a_login_lets_in_where_the_server_is_locked() {
    let dir = tempfile::tempdir().unwrap();
    drop(owner(&start(dir.path(), &[]), "alice"));
    let file = tempfile::NamedTempFile::new().unwrap();
    fs::write(file.path(), "topsecret").unwrap();
    let server = start(dir.path(), &["--password-file", file.path().to_str().unwrap()]);
    let mut client = server.connect_raw();
    client.starting("* locked ");
    client.starting_after("/account", "! account locked ");
    client.starting_after(&format!("/register {PASSWORD}"), "! register locked ");
    client.starting_after("/login alice wrong-password", "! login refused ");
    client.ask(&format!("/login alice {PASSWORD}"), "+ login alice");
    client.starting("* hello alice ");
    client.expect("* presence 1 +alice");
    // Beside themselves, too.
    let mut other = server.connect_raw();
    other.starting("* locked ");
    other.ask(&format!("/login alice {PASSWORD}"), "+ login alice");
    let hello = other.starting("* hello alice ");
    assert!(hello.contains(" 1 online"), "{hello}");
}

#[test]
fn without_a_data_folder_or_where_accounts_are_off_all_is_refused_before_anything_else() {
    let dir = tempfile::tempdir().unwrap();
    drop(owner(&start(dir.path(), &[]), "alice"));
    let commands = [
        "/register x",
        "/register",
        "/login alice correct-horse",
        "/logout",
        "/passwd x",
        "/token",
        "/drop x",
        "/account",
        "/account alice",
    ];
    let off = start(dir.path(), &["--accounts", "off"]);
    let nothing = Server::start(&[]);
    for server in [&off, &nothing] {
        let mut client = server.person("bob");
        for line in commands {
            let command = line[1..].split(' ').next().unwrap();
            client.starting_after(line, &format!("! {command} refused "));
        }
    }
    off.person("carol").starting_after("/nick alice", "! nick owned ");
    drop(off);
    let closed = start(dir.path(), &["--accounts", "closed"]);
    let mut client = closed.person("bob");
    client.starting_after(&format!("/register {PASSWORD}"), "! register refused ");
    client.ask(&format!("/login alice {PASSWORD}"), "+ login alice");
}

#[test]
fn a_full_disk_refuses_a_name_and_leaves_nothing_of_it() {
    let Some(disk) = SmallDisk::mount("1m") else { return };
    let server = disk.serve(&[]);
    let mut alice = owner(&server, "alice");
    let before = fs::read_to_string(disk.path("data/ledger")).unwrap();
    disk.fill();
    // What is left of the last block of the ledger may take a line or two.
    let mut refused = 0;
    for n in 0..80 {
        alice.send("/token");
        let line = alice.line().unwrap();
        match line.starts_with("! token no-space ") {
            true => refused += 1,
            false => assert!(line.starts_with("+ token ") && n < 79, "{line}"),
        }
    }
    assert!(refused > 0);
    let mut bob = server.person("bob");
    bob.starting_after(&format!("/register {PASSWORD}"), "! register no-space ");
    bob.ask("/account", "+ account bob free");
    let full = fs::read_to_string(disk.path("data/ledger")).unwrap();
    assert!(full.starts_with(&before) && full.ends_with('\n') && !full.contains("bob"), "{full}");
    disk.free();
    bob.ask(&format!("/register {PASSWORD}"), "+ register bob");
    assert!(fs::read_to_string(disk.path("data/ledger")).unwrap().starts_with(&full));
}

/// A server in memory that keeps names, with somebody on another machine.
pub fn keeping(settings: Settings) -> Memory {
    let log = Some(Logging { max: u64::MAX, sync: Duration::ZERO });
    Memory::new(Settings { log, rate: 0, ..settings })
}

/// The last line that somebody has seen.
fn last(memory: &mut Memory, name: &str) -> String {
    std::iter::from_fn(|| memory.next(name)).last().unwrap_or_default()
}

pub fn ask(memory: &mut Memory, name: &str, line: &str) -> String {
    memory.send(name, format!("{line}\n").as_bytes());
    last(memory, name)
}

pub fn network(last: u8) -> Origin {
    Origin::Network(Prefix::v4([192, 0, 2, last]))
}

#[test]
fn names_that_expire_together_hold_nobody_up() {
    let mut memory = keeping(Settings { name_ttl: Some(Duration::from_secs(365 * 86_400)), ..Settings::default() });
    let (now, long_ago) = (memory.now(), Day::new("2025-01-01").unwrap());
    let nick = |n: usize| Nick::new(&format!("x{n}q")).unwrap();
    let mut register = Register::default();
    register.apply_all((0..3_000).map(|n| Entry::Name { nick: nick(n), since: long_ago, password: None }));
    register.apply(Entry::Name { nick: Nick::new("bob").unwrap(), since: Day::of(now.wall), password: None });
    for n in 0..6_000 {
        let room = RoomName::new(&format!("#r{n}")).unwrap();
        register.apply(Entry::Role { room, nick: Nick::new("bob").unwrap(), role: Some(Role::Op) });
        register.apply(Entry::Room { room, founder: Founder::Owner(nick(n / 2)) });
    }
    let begun = std::time::Instant::now();
    memory.hub.restore_register(register, now, &mut memory.notes);
    assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
    memory.hub.check();
    let register = memory.hub.register();
    assert_eq!(register.founded(&Nick::new("bob").unwrap()).len(), 6_000);
    assert!(register.owned(&nick(0)).is_none() && register.len() == 3_001);
    assert_eq!(memory.notes.ledger.entries.len(), 3_000);
}

#[test]
fn a_room_of_which_nothing_but_rules_is_left_is_shown_as_it_was_first_given() {
    let mut memory = keeping(Settings::default());
    let (now, mut register) = (memory.now(), Register::default());
    let room = RoomName::new("#Kaffeeküche").unwrap();
    register.apply_all([
        Entry::Name { nick: Nick::new("bob").unwrap(), since: Day::of(now.wall), password: None },
        Entry::Room { room, founder: Founder::Owner(Nick::new("bob").unwrap()) },
    ]);
    memory.hub.restore_register(register, now, &mut memory.notes);
    memory.connect("alice");
    assert_eq!(ask(&mut memory, "alice", "/join #kaffeeküche"), "+ join #Kaffeeküche 1");
}

#[test]
fn no_secret_is_asked_for_where_others_can_read_along() {
    let commands =
        ["/register correct-horse", "/login bob correct-horse", "/passwd correct-horse", "/token", "/drop x"];
    let mut memory = keeping(Settings { password: Some("tea".to_owned()), ..Settings::default() });
    memory.connect_from("a", network(1));
    // It can be found out before one is let in, too.
    for entry in ["/ping", "/pass tea"] {
        ask(&mut memory, "a", entry);
        for line in commands {
            let command = line[1..].split(' ').next().unwrap();
            let said = ask(&mut memory, "a", line);
            let want = format!("! {command} insecure others on the way can read what you send here, ");
            assert!(said.starts_with(&want), "{entry}: {said}");
            assert!(said.ends_with("; this server speaks no TLS itself, so ask who runs it how to come"), "{said}");
        }
    }
    ask(&mut memory, "a", "/nick alice");
    assert_eq!(ask(&mut memory, "a", "/account"), "+ account alice free");
    let said = ask(&mut memory, "a", "/logout");
    assert!(said.starts_with("! logout no-account "), "{said}");
    let mut memory = keeping(Settings { tls: Some(2429), clear: Some(24150), ..Settings::default() });
    memory.connect_from("a", network(1));
    let said = ask(&mut memory, "a", "/register correct-horse");
    let want = "; come over TLS, at port 2429 (chinwag connect tls://HOST:2429), or come over ssh (ssh -L 2428:127.0.0.1:24150 HOST, ";
    assert!(said.contains(want), "{said}");
    let mut memory = keeping(Settings { clear_passwords: true, ..Settings::default() });
    memory.connect_from("a", network(1));
    ask(&mut memory, "a", "/nick alice");
    assert_eq!(ask(&mut memory, "a", "/register correct-horse"), "+ register alice");
}

#[test]
fn a_token_is_used_for_as_long_as_somebody_is_in_by_it() {
    const DAY: Duration = Duration::from_secs(86_400);
    let mut memory = keeping(Settings { name_ttl: None, ..Settings::default() });
    for name in ["alice", "bot", "other"] {
        memory.connect(name);
    }
    ask(&mut memory, "alice", "/nick alice");
    ask(&mut memory, "alice", "/register correct-horse");
    let tokens = [(), ()].map(|()| ask(&mut memory, "alice", "/token").split_off("+ token ".len()));
    memory.end("alice");
    assert_eq!(ask(&mut memory, "bot", &format!("/login alice token:{}", tokens[0])), "+ login alice");
    // Nobody has to do with names for longer than a token is good, and then it is used as before.
    for _ in 0..3 {
        memory.wait(DAY * 200);
        memory.send("bot", b"/account\n");
        let told: Vec<String> = std::iter::from_fn(|| memory.next("bot")).collect();
        assert!(told.contains(&"- tokens 1".to_owned()), "{told:?}");
    }
    let used = memory.notes.ledger.entries.iter().filter(|entry| matches!(entry, Entry::Token { .. }));
    assert_eq!(used.count(), 2 + 3, "each day once");
    memory.wait(DAY * 100);
    memory.end("bot");
    memory.wait(DAY * 89);
    assert!(ask(&mut memory, "other", &format!("/login alice token:{}", tokens[1])).starts_with("! login refused "));
    assert_eq!(ask(&mut memory, "other", &format!("/login alice token:{}", tokens[0])), "+ login alice");
    // Whoever is somebody else by now uses it no more.
    assert!(ask(&mut memory, "other", "/logout").starts_with("+ logout "));
    memory.wait(DAY * 91);
    assert!(ask(&mut memory, "other", &format!("/login alice token:{}", tokens[0])).starts_with("! login refused "));
}

#[test]
fn a_seed_makes_other_tokens_than_another() {
    let tokens = |seed| {
        let mut memory = keeping(Settings { seed, ..Settings::default() });
        memory.connect("a");
        ask(&mut memory, "a", "/nick alice");
        ask(&mut memory, "a", "/register correct-horse");
        [ask(&mut memory, "a", "/token"), ask(&mut memory, "a", "/token")]
    };
    let all = [tokens([0; 32]), tokens([1; 32])].concat();
    let different: std::collections::BTreeSet<_> = all.iter().collect();
    assert_eq!(different.len(), 4, "{all:?}");
}
