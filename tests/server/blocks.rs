//! Who may not come to the server: networks and names that are blocked, raids, and those who come too often.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chinwag::event::Bye;
use chinwag::limits::{BLOCKS, CONNECTS, FILES_A_SENDER, JOINS, MINUTE, NEW_ROOMS, RENAMES};
use chinwag::names::{Digest, Nick, Origin, Prefix, Text};
use chinwag::register::Register;
use chinwag::register::entry::{Author, Block, BlockScope, Blocked, Entry, Network};
use chinwag::settings::{Accounts, Guests, Logging, RoomMakers, Settings};
use chinwag::time::{Day, in_seconds};
use sha2::{Digest as _, Sha256};
use testkit::data::{Folder, stop};
use testkit::distant::{Distant, address, on_own_network};
use testkit::memory::Memory;
use testkit::{Client, Server, control};

const DATA: Option<Logging> = Some(Logging { max: u64::MAX, sync: Duration::ZERO });

/// What the owners of names prove themselves by.
const SECRET: [u8; 32] = [7; 32];

/// People in the core alone. `ops` is an operator, and sits at the server itself.
struct House(Memory);

impl House {
    fn new(settings: Settings) -> Self {
        let memory = Memory::new(Settings { log: DATA, clear_passwords: true, ..settings });
        let (mut house, mut register) = (Self(memory), Register::default());
        let (now, digest) = (house.0.now(), Digest(Sha256::digest(SECRET).into()));
        let day = Day::of(now.wall);
        for name in ["ops", "alice", "bob"] {
            let nick = Nick::new(name).unwrap();
            register.apply(Entry::Name { nick, since: day, password: None });
            register.apply(Entry::Token { nick, used: day, digest });
        }
        register.apply(Entry::Operator { nick: Nick::new("ops").unwrap(), on: true });
        house.0.hub.restore_register(register, now, &mut house.0.notes);
        house.come("ops", Origin::Loopback);
        house.login("ops", "ops");
        house
    }

    /// Somebody comes, and gives what they are greeted with.
    fn come(&mut self, who: &str, from: Origin) -> Vec<String> {
        self.0.connect_from(who, from);
        self.heard(who)
    }

    /// A guest comes.
    fn guest(&mut self, nick: &str, from: Origin) {
        self.come(nick, from);
        self.told(nick, &format!("/set presence off\n/nick {nick}\n/join #lobby"));
    }

    /// Whoever comes proves to own a name.
    fn login(&mut self, who: &str, nick: &str) -> Vec<String> {
        let token = URL_SAFE_NO_PAD.encode(SECRET);
        self.told(who, &format!("/login {nick} token:{token}\n/set presence off"))
    }

    fn heard(&mut self, who: &str) -> Vec<String> {
        std::iter::from_fn(|| self.0.next(who)).collect()
    }

    /// What somebody is told from now on until their lines have been carried out.
    fn told(&mut self, who: &str, lines: &str) -> Vec<String> {
        self.heard(who);
        self.0.send(who, format!("{lines}\n").as_bytes());
        self.heard(who)
    }

    /// The last line that an operator is told.
    fn ops(&mut self, line: &str) -> String {
        self.told("ops", line).pop().unwrap_or_default()
    }

    fn is_turned_away(&self, from: Origin) -> bool {
        self.0.hub.turns_away(from, self.0.now()) == Some(Bye::Blocked)
    }
}

fn from(host: u8) -> Origin {
    Origin::Network(Prefix::v4([203, 0, 113, host]))
}

fn from_v6(site: u8, network: u8) -> Origin {
    Origin::Network(Prefix::v6([0x20, 1, 0x0d, 0xb8, 0, site, 0, network, 0, 0, 0, 0, 0, 0, 0, 1]))
}

const BLOCKED: &str = "* bye blocked you may not come to this server; ask who runs it";

/// What a guest is told who may come as the owner of a name.
const GUESTS_BLOCKED: &str =
    "* bye blocked guests may not come from your network; ask who runs the server, or come as the owner";

fn are_guests_put_out(lines: &[String]) -> bool {
    lines.last().is_some_and(|line| line.starts_with(GUESTS_BLOCKED))
}

fn is_put_out(lines: &[String]) -> bool {
    lines.last().is_some_and(|line| line.starts_with(BLOCKED))
}

#[test]
fn a_block_that_changes_nothing_is_not_written_down_again() {
    let mut house = House::new(Settings::default());
    let (mut deeds, mut written) = (0, house.0.notes.ledger.entries.len());
    for (line, changes) in [
        ("/block 203.0.113.7 spam", true),
        ("/block 203.0.113.7/32 all spam", false),
        ("/block 203.0.113.7 guests spam", true),
        ("/block 203.0.113.7 guests ads", true),
        ("/block 203.0.113.7 guests 1d ads", true),
        ("/block 203.0.113.7 guests 2d ads", true),
    ] {
        assert_eq!(house.ops(line), "+ block 1 203.0.113.7/32 0", "{line}");
        (deeds, written) = (deeds + usize::from(changes), written + usize::from(changes));
        assert_eq!((house.0.notes.deeds.len(), house.0.notes.ledger.entries.len()), (deeds, written), "{line}");
    }
}

#[test]
fn an_answer_tells_how_long_a_block_holds_and_what_it_was_before() {
    let mut house = House::new(Settings::default());
    let day = |days: u64| in_seconds(house.0.now().wall + Duration::from_secs(86_400 * days)).to_string();
    let [one, week] = [1, 7].map(day);
    for (line, notice) in [
        ("/block 203.0.113.7 7d", None),
        ("/block 203.0.113.7", Some(format!("is blocked for good; it was until {week}"))),
        ("/block 203.0.113.7 0", None),
        ("/block 203.0.113.7", None),
        ("/block 203.0.113.7 guests 1d", Some(format!("is blocked for guests until {one}; it was for good"))),
        ("/block 203.0.113.7 1d", Some(format!("is blocked until {one}; it was for guests until {one}"))),
        ("/block 203.0.113.7 1d", None),
    ] {
        let notice = notice.map(|notice| format!("* notice 203.0.113.7/32 {notice}"));
        let want: Vec<String> = notice.into_iter().chain(["+ block 1 203.0.113.7/32 0".to_owned()]).collect();
        assert_eq!(house.told("ops", line), want, "{line}");
    }
}

#[test]
fn who_is_blocked_is_closed_at_once_and_nobody_else() {
    let mut house = House::new(Settings::default());
    house.told("ops", "/join #lobby");
    for (nick, host) in [("mallory", 5), ("eve", 5), ("carol", 6)] {
        house.guest(nick, from(host));
    }
    for (who, host) in [("alice there", 5), ("alice elsewhere", 6)] {
        house.come(who, from(host));
        house.login(who, "alice");
    }
    house.told("alice there", "/join #lobby");
    house.heard("ops");
    // Of alice one connection goes, and nobody sees it.
    let told = house.told("ops", "/block mallory 1h spam");
    assert_eq!(
        told,
        ["#lobby * mallory lost blocked", "#lobby * eve lost blocked", "+ block 1 203.0.113.5/32 3"],
        "what operators see"
    );
    for who in ["mallory", "eve", "alice there"] {
        let heard = house.heard(who);
        assert!(is_put_out(&heard), "{who}: {heard:?}");
    }
    assert_eq!(house.told("alice elsewhere", "/who alice").len(), 2);
    assert_eq!(house.told("carol", "still here"), [""; 0]);
    assert!(house.is_turned_away(from(5)) && !house.is_turned_away(from(6)));
    let greeting = house.come("mallory", from(5));
    assert!(is_put_out(&greeting) && greeting.len() == 1, "{greeting:?}");
    assert_eq!(house.ops("/unblock 1"), "+ unblock 1");
    assert!(house.come("mallory", from(5))[0].starts_with("* hello "));
}

#[test]
fn where_guests_are_blocked_one_may_log_in_and_no_more() {
    let mut house = House::new(Settings { password: Some("sesame".to_owned()), ..Settings::default() });
    house.come("waits", from(5));
    for (who, host) in [("mallory", 5), ("carol", 6)] {
        house.come(who, from(host));
        house.told(who, &format!("/pass sesame\n/nick {who}"));
    }
    house.come("alice", from(5));
    house.login("alice", "alice");
    assert_eq!(house.ops("/block 203.0.113.5/32 guests"), "+ block 1 203.0.113.5/32 1");
    assert!(are_guests_put_out(&house.heard("mallory")));
    let locked = "* locked chinwag/0.2.0 only people who own their names come in; send /login NICK PASSWORD";
    assert_eq!(house.come("mallory", from(5)), [locked]);
    // No password of the server lets a guest in, neither those who come nor those who came before.
    for who in ["mallory", "waits"] {
        for line in ["/nick mallory", "/pass sesame", "/pass wrong", "hello", "/who"] {
            let told = house.told(who, line);
            let refused = told.len() == 1 && told[0].contains(" locked only people who own their names come in now; ");
            assert!(refused, "{who} {line}: {told:?}");
        }
        assert_eq!(house.told(who, "/ping x"), ["+ ping x"]);
    }
    assert_eq!(house.login("mallory", "bob")[0], "+ login bob");
    // Who is somebody stays so, as nobody becomes a guest there.
    for line in ["/nick mallory", "/logout"] {
        let told = house.told("alice", line);
        assert!(told[0].contains(" refused guests may not come from your network"), "{told:?}");
    }
    assert_eq!(house.told("alice", "/nick ALICE"), ["+ nick ALICE"]);
    assert_eq!(house.told("carol", "/nick dora"), ["+ nick dora"]);
    // With the block goes what was asked of them because of it.
    house.ops("/unblock 1");
    assert!(house.told("waits", "/pass sesame")[1].starts_with("* hello "));
}

#[test]
fn who_gives_up_their_name_where_guests_are_blocked_goes() {
    let mut house = House::new(Settings::default());
    for who in ["one", "two", "far"] {
        house.come(who, if who == "far" { from(6) } else { from(5) });
    }
    house.login("one", "alice");
    assert_eq!(house.told("one", "/passwd correct-horse"), ["+ passwd"]);
    for who in ["two", "far"] {
        house.told(who, "/login alice correct-horse\n/set presence off");
    }
    assert_eq!(house.ops("/block 203.0.113.0/30 guests"), "+ block 1 203.0.113.0/30 0");
    assert_eq!(house.ops("/block 203.0.113.4/31 guests"), "+ block 2 203.0.113.4/31 0");
    let told = house.told("one", "/drop correct-horse");
    assert!(told[0].starts_with("+ drop guest") && are_guests_put_out(&told), "{told:?}");
    let (two, far) = (house.heard("two"), house.heard("far"));
    assert!(two[two.len() - 2].starts_with("* nick guest") && are_guests_put_out(&two), "{two:?}");
    assert!(far.last().unwrap().starts_with("* nick guest"), "{far:?}");
}

#[test]
fn a_name_that_is_blocked_is_nobodys_way_in() {
    let mut house = House::new(Settings::default());
    for (who, host) in [("one", 5), ("two", 6)] {
        house.come(who, from(host));
        house.login(who, "bob");
    }
    house.guest("carol", from(5));
    assert_eq!(house.ops("/block BOB spam"), "+ block 1 name:bob 2");
    assert!(is_put_out(&house.heard("one")) && is_put_out(&house.heard("two")));
    let told = house.login("carol", "bob");
    assert_eq!(told[0], "! login refused bob may not come to this server; ask who runs it");
    assert!(is_put_out(&told), "{told:?}");
    // The name is known to nobody who has not proved it.
    house.guest("dora", from(5));
    let wrong = house.told("dora", "/login bob wrong-word");
    assert!(wrong[0].starts_with("! login refused that is neither"), "{wrong:?}");
    assert_eq!(house.ops("/block bob 1h"), "+ block 1 name:bob 0");
    assert_eq!(house.ops("/unblock 1"), "+ unblock 1");
    assert_eq!(house.login("dora", "bob")[0], "- in #lobby 0");
}

#[test]
fn nobody_blocks_themselves_or_half_the_world() {
    let proxies = ["198.51.100.7", "::ffff:198.51.100.8", "2001:dba:7::1"].map(|proxy| Network::typed(proxy).unwrap());
    let mut house = House::new(Settings { proxies: proxies.to_vec(), ..Settings::default() });
    house.guest("neighbour", Origin::Loopback);
    house.guest("mallory", from(5));
    house.guest("visitor", from_v6(1, 2));
    for (who, want) in [
        ("127.0.0.1", "refused 127.0.0.1/32 is this machine itself"),
        ("127.0.0.0/8", "refused 127.0.0.0/8 is"),
        ("::1", "refused ::/64 is"),
        ("::ffff:127.0.0.1", "refused 127.0.0.1/32 is"),
        ("198.51.100.7", "refused 198.51.100.7/32 is a proxy's, "),
        ("198.51.100.0/24", "refused 198.51.100.0/24 is a proxy's, "),
        ("198.51.100.8", "refused 198.51.100.8/32 is a proxy's, "),
        ("2001:dba:7::2", "refused 2001:dba:7::/64 is a proxy's, "),
        ("neighbour", "refused neighbour comes from this machine"),
        ("203.0.0.0/15", "refused too many strangers are in that; give a LEN of 16 or more"),
        ("0.0.0.0/0", "refused 0.0.0.0/0 is"),
        ("2001:db8::/31", "refused too many strangers are in that; give a LEN of 32 or more"),
        ("::/0", "refused ::/0 is"),
        ("ops", "refused you would shut yourself out"),
        ("alice guests", "refused alice owns the name"),
        ("nobody", "no-such-nick nobody is not here"),
        ("203.0.113.5/33", "usage "),
        ("203.0.113", "usage "),
        ("2001:db8::/129", "usage "),
        ("", "usage "),
    ] {
        let told = house.ops(&format!("/block {who}"));
        assert!(told.starts_with(&format!("! block {want}")), "{who}: {told}");
    }
    let told = house.ops(&format!("/block mallory {}", "x".repeat(513)));
    assert!(told.starts_with("! block too-long a reason"), "{told}");
    assert_eq!(house.ops("/blocks"), "+ blocks 0");
    assert_eq!(house.ops("/unblock 1"), "! unblock gone there is no block 1; /blocks lists them");
    // An operator who comes from elsewhere has a network of their own.
    house.come("also ops", from(9));
    house.login("also ops", "ops");
    let told = house.ops("/block 203.0.113.0/24");
    assert!(told.starts_with("! block refused you would shut yourself out"), "{told}");
    assert_eq!(house.ops("/block 203.0.113.8/32"), "+ block 1 203.0.113.8/32 0");
    // What is typed of an address is what is known of it.
    for (who, want) in [
        ("203.0.114.77/24", "203.0.114.0/24 0"),
        ("::ffff:203.0.115.1", "203.0.115.1/32 0"),
        ("2001:db8:1:2::77", "2001:db8:1:2::/64 1"),
        ("2001:db8:3::/48", "2001:db8:3::/48 0"),
        ("mallory", "203.0.113.5/32 1"),
    ] {
        let told = house.ops(&format!("/block {who}"));
        assert!(told.ends_with(&format!(" {want}")), "{who}: {told}");
    }
}

#[test]
fn what_is_for_operators_is_unknown_to_others() {
    let mut house = House::new(Settings::default());
    house.guest("mallory", from(5));
    house.come("alice", from(6));
    house.login("alice", "alice");
    for who in ["mallory", "alice"] {
        for line in ["/block ops", "/BLOCK", "/unblock 1", "/blocks", "/server guests off", "/server"] {
            let told = house.told(who, line);
            let name = line.split(' ').next().unwrap();
            assert!(told[0].starts_with(&format!("! ? unknown-command {name}: no such command; ")), "{told:?}");
        }
    }
    // An operator is one only where nobody can read along.
    house.come("also ops", from(9));
    house.login("also ops", "ops");
    assert!(house.told("also ops", "/blocks")[0].starts_with("! ? unknown-command /blocks: "));
}

#[test]
fn a_block_ends_when_its_time_is_over_and_the_same_again_changes_it() {
    let mut house = House::new(Settings::default());
    assert_eq!(house.ops("/block 203.0.113.5 guests 60 a raid"), "+ block 1 203.0.113.5/32 0");
    assert_eq!(house.ops("/block 198.51.0.0/16 all 0 for good"), "+ block 2 198.51.0.0/16 0");
    assert_eq!(house.ops("/block alice 2m"), "+ block 3 name:alice 0");
    let until = |house: &House, seconds| in_seconds(house.0.now().wall + Duration::from_secs(seconds)).to_string();
    let first = format!("- 1 guests 203.0.113.5/32 {} a raid", until(&house, 60));
    let third = format!("- 3 all name:alice {}", until(&house, 120));
    let all = house.told("ops", "/blocks");
    assert_eq!(all, [first.as_str(), "- 2 all 198.51.0.0/16 - for good", &third, "+ blocks 3"]);
    assert_eq!(house.ops("/block 203.0.113.5/32 60 worse"), "+ block 1 203.0.113.5/32 0");
    assert!(house.is_turned_away(from(5)));
    house.0.wait(Duration::from_secs(60));
    assert!(!house.is_turned_away(from(5)));
    assert_eq!(house.told("ops", "/blocks").len(), 3);
    assert!(house.ops("/unblock 1").starts_with("! unblock gone "));
    assert_eq!(house.ops("/block 203.0.113.5/32 4000000d"), "+ block 4 203.0.113.5/32 0");
    assert_eq!(house.told("ops", "/blocks")[2], "- 4 all 203.0.113.5/32 -", "no stamp tells of such a time");
    // What was noted of it says the same.
    let mut register = Register::default();
    let alice = Nick::new("alice").unwrap();
    register.apply(Entry::Name { nick: alice, since: Day::of(house.0.now().wall), password: None });
    house.0.notes.ledger.entries.iter().for_each(|entry| register.apply(entry.clone()));
    let ids: Vec<u64> = register.blocks().iter().map(|block| block.id).collect();
    assert_eq!(ids, [2, 3, 4]);
}

#[test]
fn there_are_so_many_blocks_and_no_more() {
    let mut house = House::new(Settings { rate: 0, ..Settings::default() });
    let now = house.0.now();
    let mut register = house.0.hub.register().entries(Day::of(now.wall)).collect::<Vec<_>>();
    for n in 0..BLOCKS as u64 - 1 {
        let who = Blocked::Network(Network::V4 { octets: [10, 0, (n / 256) as u8, n as u8], len: 32 });
        let (scope, by, reason) = (BlockScope::All, Author::Server, Text::new("listed"));
        register.push(Entry::Block(Block { id: n + 1, scope, who, until: None, by, reason }));
    }
    let mut full = Register::default();
    register.into_iter().for_each(|entry| full.apply(entry));
    house.0.hub.restore_register(full, now, &mut house.0.notes);
    assert_eq!(house.ops("/block 203.0.113.5 1"), format!("+ block {BLOCKS} 203.0.113.5/32 0"));
    let told = house.ops("/block 203.0.113.6");
    assert!(told.starts_with(&format!("! block too-many there are {BLOCKS} blocks already")), "{told}");
    assert_eq!(house.ops("/block 203.0.113.5 1"), format!("+ block {BLOCKS} 203.0.113.5/32 0"));
    let all = house.told("ops", "/blocks");
    assert_eq!((all.len(), all.last().unwrap()), (BLOCKS + 1, &format!("+ blocks {BLOCKS}")));
    // One that is over makes place.
    house.0.wait(Duration::from_secs(2));
    assert!(house.ops("/block 203.0.113.6").starts_with("+ block "));
}

#[test]
fn in_a_raid_guests_listen_or_stay_out() {
    let mut house = House::new(Settings::default());
    let rows = |guests: &str, accounts: &str, rooms: &str| {
        let rows = [("guests", guests), ("accounts", accounts), ("rooms", rooms)];
        let rows = rows.map(|(name, value)| format!("- {name} {value}"));
        [&rows[..], &["+ server".to_owned()]].concat()
    };
    assert_eq!(house.told("ops", "/server"), rows("on", "open", "open"));
    house.told("ops", "/join #lobby");
    house.guest("mallory", from(5));
    house.guest("carol", from(6));
    house.told("ops", "/voice carol\n/invite #lobby mallory");
    house.come("alice", from(7));
    house.login("alice", "alice");
    house.told("alice", "/join #other");
    for value in ["listen", "OFF"] {
        house.told("ops", &format!("/server guests {value}"));
        house.told("mallory", "/join #other");
        for line in ["hello", "/me waves", "/msg #other hello", "/typing", "/topic x", "/send #other 1 x"] {
            let told = house.told("mallory", line);
            assert!(told[0].contains(" muted only people who own their names speak in #other"), "{line}: {told:?}");
        }
        // A rank is above it, an invitation too, and so is a name of one's own.
        assert_eq!(house.told("carol", "hello"), [""; 0]);
        assert_eq!(house.told("alice", "hello"), [""; 0]);
        assert_eq!(house.told("mallory", "/msg #lobby hello"), ["+ msg #lobby"]);
        // It is no rule of the room.
        assert!(house.told("alice", "/room guests").contains(&"+ room #other guests speak".to_owned()));
    }
    assert_eq!(house.told("ops", "/server"), rows("off", "open", "open"));
    assert!(house.come("new", from(8))[0].starts_with("* locked chinwag/0.2.0 only people who own"));
    assert!(house.come("here", Origin::Loopback)[0].starts_with("* locked "));
    assert!(house.told("here", "/join #lobby")[0].starts_with("! join locked "));
    assert_eq!(house.login("new", "bob")[0], "+ login bob");
    // Who is here may be a guest.
    assert!(house.told("new", "/logout")[0].starts_with("+ logout guest"));
    assert_eq!(house.told("ops", "/server guests on"), rows("on", "open", "open"));
    assert_eq!(house.told("mallory", "/msg #other hello"), ["+ msg #other"]);
    // Who was kept out is let in with their next line.
    let told = house.told("here", "/ping x");
    assert!(told[0].starts_with("* hello guest") && told[1] == "+ ping x", "{told:?}");
    assert_eq!(house.told("ops", "/server accounts closed"), rows("on", "closed", "open"));
    assert!(house.told("mallory", "/register correct-horse")[0].starts_with("! register refused only the operator"));
    assert_eq!(house.told("ops", "/server accounts off"), rows("on", "off", "open"));
    assert!(
        house.told("mallory", "/account")[0]
            .starts_with("! account refused nobody logs in or out here, as the server runs with --accounts off; ")
    );
    house.ops("/server accounts open");
    assert_eq!(house.told("ops", "/server ROOMS named"), rows("on", "open", "named"));
    assert!(house.told("mallory", "/join #new")[0].starts_with("! join no-account "));
    for line in ["/server x", "/server guests", "/server guests x", "/server rooms on", "/server guests on x"] {
        assert!(house.ops(line).starts_with("! server usage "), "{line}");
    }
}

#[test]
fn options_set_what_the_server_begins_with() {
    let settings = Settings {
        guests: Guests::Off,
        accounts: Accounts::Closed,
        room_makers: RoomMakers::Named,
        ..Settings::default()
    };
    let mut house = House::new(settings);
    let all = house.told("ops", "/server");
    assert_eq!(all, ["- guests off", "- accounts closed", "- rooms named", "+ server"]);
    assert!(house.come("new", from(8))[0].starts_with("* locked "));
}

#[test]
fn who_owns_a_name_has_one_account_and_strangers_share_a_network() {
    let mut house = House::new(Settings::default());
    let count = |told: &[String], what: &str| told.iter().filter(|line| line.starts_with(what)).count() as u32;
    let twice = |line: &dyn Fn(u32) -> String, times: u32| (0..times).map(line).collect::<Vec<_>>().join("\n");
    // Each of these comes back, and has used up what they had; from this machine too.
    house.told("ops", "/join #lobby");
    let mut done = [0; 4];
    for (n, origin) in [from(1), Origin::Loopback, from(2)].into_iter().enumerate() {
        let who = format!("alice {n}");
        house.come(&who, origin);
        house.login(&who, "alice");
        done[0] += count(&house.told(&who, &twice(&|_| "/join #lobby\n/leave".to_owned(), JOINS)), "+ leave");
        done[1] += count(
            &house.told(&who, &twice(&|n| format!("/nick {}", ["aliCe", "alicE"][n as usize % 2]), RENAMES)),
            "+ nick",
        );
        done[2] += count(&house.told(&who, "/join #lobby"), "+ join");
        let told = house.told(&who, &"/send ops 0 e\n".repeat(FILES_A_SENDER));
        done[3] += count(&told, "+ send");
        house.told(&who, "/quit");
    }
    assert_eq!(done, [JOINS / 2, RENAMES, 0, FILES_A_SENDER as u32]);
    // Another account from there has all of its own.
    house.come("bob", from(1));
    house.login("bob", "bob");
    assert_eq!(count(&house.told("bob", "/join #lobby"), "+ join"), 1);
    // A guest on this machine is counted alone, and of a network there are ten times as many.
    let mut made = 0;
    for n in 0..12 {
        let who = format!("guest {n}");
        house.come(&who, from(3));
        made += count(&house.told(&who, &twice(&|r| format!("/join #g{n}-{r}"), NEW_ROOMS + 1)), "+ join");
    }
    assert_eq!(made, 10 * NEW_ROOMS);
    house.come("local", Origin::Loopback);
    let told = house.told("local", &twice(&|r| format!("/join #l{r}"), NEW_ROOMS + 1));
    assert_eq!(count(&told, "+ join"), NEW_ROOMS);
    house.0.wait(MINUTE);
    assert_eq!(count(&house.told("local", "/leave\n/join #l77"), "+ join"), 1);
}

#[test]
fn who_comes_too_often_is_turned_away_unless_they_log_in() {
    let mut house = House::new(Settings::default());
    let too_often = |house: &House, origin| house.0.hub.turns_away(origin, house.0.now()) == Some(Bye::TooOften);
    house.0.wait(MINUTE);
    for n in 0..CONNECTS {
        assert!(!too_often(&house, from(5)), "{n}");
        house.come(&format!("c{n}"), from(5));
    }
    assert!(too_often(&house, from(5)) && !too_often(&house, from(6)) && !too_often(&house, Origin::Loopback));
    // To go is no help, and a login is one connection's worth.
    house.told("c0", "/quit");
    assert!(too_often(&house, from(5)));
    house.login("c1", "alice");
    house.told("c1", "/logout");
    house.login("c1", "alice");
    assert!(!too_often(&house, from(5)));
    house.come("one more", from(5));
    assert!(too_often(&house, from(5)));
    house.0.wait(MINUTE);
    assert!(!too_often(&house, from(5)));
    let mut free = House::new(Settings { rate: 0, ..Settings::default() });
    (0..=CONNECTS).for_each(|n| drop(free.come(&format!("c{n}"), from(5))));
    assert!(!too_often(&free, from(5)));
}

/// A client of the operator's own door.
struct Control(BufReader<UnixStream>);

impl Control {
    fn of(dir: &Path) -> Self {
        Self(BufReader::new(UnixStream::connect(dir.join("ctl")).unwrap()))
    }

    /// The lines that answer a command.
    fn ask(&mut self, line: &str) -> Vec<String> {
        self.0.get_mut().write_all(format!("{line}\n").as_bytes()).unwrap();
        let mut lines: Vec<String> = Vec::new();
        while lines.last().is_none_or(|line| line.starts_with("- ")) {
            let mut line = String::new();
            self.0.read_line(&mut line).unwrap();
            lines.push(line.trim_end().to_owned());
        }
        lines
    }
}

#[test]
fn who_is_blocked_is_silent_at_once_and_comes_no_more() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().to_str().unwrap();
    let Some(server) = on_own_network(&["--rate", "1", "--data", data]) else { return };
    let (to, near, far) = (address(2, 10, 2), address(1, 1, 1), address(1, 2, 1));
    let mut watcher = Distant::come(&server, &far, &to);
    watcher.send("/nick watcher\n/set presence off\n/join #lobby");
    watcher.until("+ join #lobby ");
    let mut mallory = Distant::come(&server, &near, &to);
    mallory.send("/nick mallory\n/join #lobby");
    mallory.until("+ join #lobby ");
    // All of it is there, and flood control holds most of it.
    let page: String = (0..100).map(|n| format!("spam {n}\n")).collect();
    mallory.send(&page);
    watcher.until("#lobby <mallory> spam 0");
    let mut control = Control::of(dir.path());
    assert_eq!(control.ask("/block mallory"), ["+ block 1 2001:db8:1:1::/64 1"]);
    let lines = watcher.until("#lobby * mallory lost blocked");
    let said = lines.iter().filter(|line| line.starts_with("#lobby <mallory>")).count();
    assert!(said < 20, "{said}");
    mallory.until(BLOCKED);
    // Another address of the same network is no way in, and another network is.
    let mut again = Distant::come(&server, &address(1, 1, 2), &to);
    assert!(again.line().unwrap().starts_with(BLOCKED));
    assert_eq!(Distant::come(&server, &address(1, 3, 1), &to).greeting(), "hello");
    watcher.send("/ping quiet");
    let quiet = watcher.until("+ ping quiet");
    assert!(quiet.iter().all(|line| !line.contains("mallory")), "{quiet:?}");
    assert_eq!(control.ask("/unblock 1"), ["+ unblock 1"]);
    assert_eq!(Distant::come(&server, &near, &to).greeting(), "hello");
}

#[test]
fn no_place_that_is_kept_is_taken_up_from_where_nobody_may_come() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().to_str().unwrap();
    let Some(server) = on_own_network(&["--data", data]) else { return };
    let (to, near, far) = (address(2, 10, 2), address(1, 1, 1), address(1, 2, 1));
    let keep = |from: &str, nick: &str| {
        let mut client = Distant::come(&server, from, &to);
        client.send(&format!("/nick {nick}\n/keep"));
        let line = client.until("+ keep ").pop().unwrap();
        line.split(' ').nth(2).unwrap().to_owned()
    };
    // Both are lost now.
    let (mallory, carol) = (keep(&near, "mallory"), keep(&far, "carol"));
    let mut control = Control::of(dir.path());
    let closed = control.ask("/block 2001:db8:1:1::/64");
    assert_eq!(closed, ["+ block 1 2001:db8:1:1::/64 1"]);
    let mut other = Distant::come(&server, &far, &to);
    other.send(&format!("/resume {mallory} 0"));
    other.until("! resume gone ");
    let mut there = Distant::come(&server, &near, &to);
    assert!(there.line().unwrap().starts_with(BLOCKED));
    other.send(&format!("/resume {carol} 0"));
    other.until("+ resume carol");
}

#[test]
fn where_guests_may_not_come_owners_alone_take_up_their_places() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().to_str().unwrap();
    let Some(server) = on_own_network(&["--data", data, "--clear-passwords", "allow"]) else { return };
    let (to, near, far) = (address(2, 10, 2), address(1, 1, 1), address(1, 2, 1));
    let mut control = Control::of(dir.path());
    let keep = |from: &str, lines: &str| {
        let mut client = Distant::come(&server, from, &to);
        client.send(&format!("{lines}\n/keep"));
        let line = client.until("+ keep ").pop().unwrap();
        line.split(' ').nth(2).unwrap().to_owned()
    };
    // All are lost now.
    let (mallory, alice) = (keep(&far, "/nick mallory"), keep(&far, "/nick alice\n/register correct-horse"));
    let (bob, carol) = (keep(&near, "/nick bob"), keep(&near, "/nick carol\n/register correct-horse"));
    assert_eq!(control.ask("/block 2001:db8:1:1::/64 guests"), ["+ block 1 2001:db8:1:1::/64 1"]);
    let mut there = Distant::come(&server, &near, &to);
    assert_eq!(there.greeting(), "locked");
    let refusal = "! resume locked guests may not come from your network, so come from another one, or /login ";
    for _ in 0..2 {
        there.send(&format!("/resume {mallory} 0\n/ping"));
        let told = there.until("+ ping");
        assert!(told.iter().any(|line| line.starts_with(refusal)), "{told:?}");
        // Who may come from there becomes no guest by that either.
        there.send("/login alice correct-horse");
        there.until("+ login alice");
    }
    let mut owner = Distant::come(&server, &near, &to);
    owner.send(&format!("/resume {alice} 0"));
    owner.until("+ resume alice");
    // The place is still there, for whoever comes from elsewhere.
    let mut elsewhere = Distant::come(&server, &far, &to);
    // Those that were there when the block came are over, but for the owners'.
    elsewhere.send(&format!("/resume {bob} 0"));
    elsewhere.until("! resume gone ");
    elsewhere.send(&format!("/resume {mallory} 0"));
    elsewhere.until("+ resume mallory");
    let mut owner = Distant::come(&server, &near, &to);
    owner.send(&format!("/resume {carol} 0"));
    owner.until("+ resume carol");
}

#[test]
fn so_many_come_in_a_minute_and_no_more() {
    let Some(server) = on_own_network(&[]) else { return };
    let (to, near) = (address(2, 10, 2), address(1, 1, 1));
    for n in 0..CONNECTS {
        assert_eq!(Distant::come(&server, &near, &to).greeting(), "hello", "{n}");
    }
    let refused = Distant::come(&server, &near, &to).line().unwrap();
    assert!(
        refused.starts_with("* bye refused too many connections came from your network in this minute"),
        "{refused}"
    );
    assert_eq!(Distant::come(&server, &address(1, 2, 1), &to).greeting(), "hello");
}

#[test]
fn a_crowd_of_owners_comes_in_over_tcp_however_many_they_are() {
    const OWNERS: usize = 12;
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().to_str().unwrap();
    let Some(server) = on_own_network(&["--data", data, "--clear-passwords", "allow"]) else { return };
    let (to, near) = (address(2, 10, 2), address(1, 1, 1));
    let mut control = Control::of(dir.path());
    let mut grant = |n: usize| {
        let told = control.ask(&format!("/grant owner{n}"));
        told[0].strip_prefix(&format!("+ grant owner{n} ")).unwrap().to_owned()
    };
    let secrets: Vec<String> = (0..OWNERS).map(&mut grant).collect();
    let guests: Vec<Distant> = (0..CONNECTS).map(|_| Distant::come(&server, &near, &to)).collect();
    let mut guests: Vec<Distant> = guests
        .into_iter()
        .map(|mut guest| {
            guest.greeting();
            guest
        })
        .collect();
    // All of them come first, and say who they are afterwards.
    let mut owners: Vec<Distant> = (0..OWNERS).map(|_| Distant::come(&server, &near, &to)).collect();
    let mut stranger = Distant::come(&server, &near, &to);
    for (n, owner) in owners.iter_mut().enumerate() {
        owner.send(&format!("/login owner{n} {}", secrets[n]));
    }
    stranger.send("hello");
    for (n, owner) in owners.iter_mut().enumerate() {
        assert_eq!(owner.line(), Some(format!("+ login owner{n}")));
        assert_eq!(owner.greeting(), "hello");
    }
    assert!(stranger.line().unwrap().starts_with("* bye refused too many connections came from your network"));
    // A password is as good, and takes nobody's place.
    owners[0].send("/passwd correct-horse");
    owners[0].until("+ passwd");
    let mut again = Distant::come(&server, &near, &to);
    again.send("/login owner0 correct-horse");
    assert_eq!(again.line().as_deref(), Some("+ login owner0"));
    guests[0].send("/ping here");
    guests[0].until("+ ping here");
}

#[test]
fn blocks_outlive_a_server_that_is_killed() {
    let dir = tempfile::tempdir().unwrap();
    let start = || Server::start(&["--data", dir.path().to_str().unwrap()]);
    let server = start();
    let mut alice = server.person("alice");
    alice.ask("/register correct-horse", "+ register alice");
    let mut control = Control::of(dir.path());
    assert_eq!(control.ask("/block 203.0.113.7/24 guests 7d a raid"), ["+ block 1 203.0.113.0/24 0"]);
    assert_eq!(control.ask("/block alice"), ["+ block 2 name:alice 1"]);
    assert_eq!(control.ask("/block 198.51.100.9"), ["+ block 3 198.51.100.9/32 0"]);
    assert_eq!(control.ask("/unblock 3"), ["+ unblock 3"]);
    let rows = control.ask("/blocks");
    assert_eq!(control.ask("/block 198.51.100.10"), ["+ block 4 198.51.100.10/32 0"]);
    // Right behind the last reply.
    server.signal("KILL");
    drop(server);
    let ledger = dir.path().join("ledger");
    let text = fs::read_to_string(&ledger).unwrap();
    assert!(text.contains("\nunblock 3\n") && text.ends_with("block 4 all 198.51.100.10/32 - server\n"), "{text}");
    let audited = fs::read_to_string(dir.path().join("audit.log")).unwrap();
    assert!(audited.ends_with(" server ctl block 4 all 198.51.100.10/32 -\n"), "{audited}");
    let server = start();
    let mut control = Control::of(dir.path());
    assert_eq!(control.ask("/unblock 4"), ["+ unblock 4"]);
    assert_eq!(control.ask("/blocks"), rows);
    assert!(fs::read_to_string(&ledger).unwrap().contains("\nblock 2 all name:alice - server\n"));
    let mut alice: Client = server.connect();
    alice.send("/login alice correct-horse");
    alice.until_starting("! login refused alice may not come");
    alice.until_starting(BLOCKED);
}

#[test]
fn the_log_tells_a_blocked_name_from_a_blocked_network() {
    let folder = Folder::new();
    let server = folder.serve(&[]);
    let mut bob = server.person("bob");
    bob.ask("/register correct-horse", "+ register bob");
    assert_eq!(control(&folder.path.join("ctl"), "/block bob\n").last().unwrap(), "+ block 1 name:bob 1");
    bob.until_starting(BLOCKED);
    let mut again = server.person("eve");
    again.send("/login bob correct-horse");
    again.until_starting(BLOCKED);
    drop((bob, again));
    let (_, log) = stop(server);
    assert!(
        log.contains("a connection by a blocked name from 127.0.0.1") && !log.contains("a blocked connection"),
        "{log}"
    );
}
