//! What people do, and what each of them must and must not hear: one model for the core alone, for the whole server over
//! connections in memory, and for the fuzzer.
//!
//! It knows nothing but what people sent and what they were told, line by line. Where answers take their time it cannot
//! know in which order the server heard of things. So it tells what may be from what must be: a name, say, is somebody's
//! from when they may first have had it until they have surely given it up. Over a world that answers at once the two are
//! the same.
//!
//! Whoever proves a name is one person with all who have it already. Over a world that answers at once it is known who is who;
//! elsewhere, whoever may ever have been the same person is kin, and what must be so of one of them is so of none whose kin may
//! have undone it.

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::time::{Duration, SystemTime};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use chinwag::commands;
use chinwag::effect::{PasswordResult, PasswordTask, Secret};
use chinwag::event::Standing;
use chinwag::event::Verb;
use chinwag::framing::Framing;
use chinwag::limits::{BURST, CHUNK_BYTES, DOWNLOAD_UNIT, GATHER, LINE, PRESENCE_WINDOW, SERVER_LINE};
use chinwag::names::{self, Nick, Place, PlaceToken, RoomName, Token};
use chinwag::plain;
use chinwag::register::Register;
use chinwag::register::entry::Rule;
use chinwag::request::{Credential, Named, Request, RulesPart, Target};
use chinwag::time::Day;
use chinwag::unicode::fold;
use chinwag::wire::{Change, Code, Detail, Done, ServerLine, What, Whom};
use sha2::{Digest as _, Sha256};

use crate::memory::look_at;

/// What any runs must come across, or they show nothing.
pub const KINDS: &[&str] = &[
    "said",
    "presence",
    "data",
    "whole",
    "failed",
    "missed",
    "typing",
    "idle",
    "file",
    "unfile",
    "away",
    "lost",
    "notice",
    "bye",
    "registered",
    "logged-in",
    "kicked",
    "banned",
];

/// Panics unless runs have come across all [`KINDS`], and these too, so often at least. Of a single run nothing is asked.
pub fn check_met(counted: &BTreeMap<&str, u64>, more: &[&str], least: u64) {
    if std::env::var_os("CHINWAG_SEED").is_some() {
        return;
    }
    for kind in KINDS.iter().chain(more) {
        let times = counted.get(kind).copied().unwrap_or_default();
        assert!(times >= least, "the runs came across {kind} {times} times: {counted:?}");
    }
}

/// Where decisions come from: random numbers, or the bytes of a fuzzer.
pub trait Chance {
    /// A number below `n`, which is not 0.
    fn below(&mut self, n: usize) -> usize;
}

impl Chance for fastrand::Rng {
    fn below(&mut self, n: usize) -> usize {
        self.usize(..n)
    }
}

impl dyn Chance + '_ {
    /// One of these.
    pub fn pick<'a, T>(&mut self, from: &'a [T]) -> &'a T {
        &from[self.below(from.len())]
    }

    /// Whether something happens that happens once in `n` times.
    pub fn one_in(&mut self, n: usize) -> bool {
        self.below(n) == n - 1
    }
}

/// How somebody goes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Parting {
    /// They say nothing more, and go on reading.
    End,
    /// They close in good order, and read nothing more.
    Close,
    /// They are cut off, and what they have not read is lost.
    Reset,
}

/// A line that somebody reads, and what was so when the server wrote it.
pub struct Heard {
    /// The line without its end.
    pub line: String,
    /// How many messages were in the log when the line's first byte was written; `None` if it is in trouble, or none is kept.
    pub logged: Option<usize>,
    /// How much time the server had spent waiting. It does not count while the server is at work.
    pub waited: Duration,
}

/// A message in the log.
pub struct Entry {
    /// Its number in its room.
    pub seq: u64,
    /// Its text.
    pub text: String,
    /// How much time the server had spent waiting when it was written down.
    pub waited: Duration,
}

/// What people are connected to.
pub trait World {
    /// Whether all that follows from something can be heard when it has been done.
    const AT_ONCE: bool;

    /// Somebody connects.
    fn connect(&mut self, who: usize, chance: &mut dyn Chance);

    /// Somebody sends bytes.
    fn send(&mut self, who: usize, bytes: &[u8]);

    /// Somebody's connection is lost, with what is on its way, and they connect anew.
    fn reconnect(&mut self, who: usize, chance: &mut dyn Chance);

    /// Somebody goes.
    fn part(&mut self, who: usize, how: Parting);

    /// The next line that somebody reads.
    fn hear(&mut self, who: usize) -> Option<Heard>;

    /// Whether the server has closed the connection, and nothing more can be read.
    fn is_closed(&self, who: usize) -> bool;

    /// Whether the server closed with something unread, so that its last lines may be lost on their way.
    fn was_cut(&self, who: usize) -> bool;

    /// Time goes by.
    fn pass(&mut self, time: Duration);

    /// Something else happens around the server.
    fn disturb(&mut self, chance: &mut dyn Chance);

    /// Whether room lines may have been left out for somebody until now, and may be still.
    fn is_slow(&self, who: usize) -> bool;

    /// Whether room lines may ever have been left out for somebody.
    fn was_slow(&self, who: usize) -> bool;

    /// The next message in the log that has not been looked at.
    fn next_logged(&mut self) -> Option<Entry>;

    /// How much time the server has spent waiting.
    fn waited(&self) -> Duration;

    /// The server's list of who is online, each with how many connections, and its version.
    fn online(&self) -> (u64, BTreeMap<String, usize>);

    /// What the server has of names and rules.
    fn register(&self) -> &Register;

    /// What a server would have of them that began after a crash in this moment, and when that is.
    fn crashed(&mut self, chance: &mut dyn Chance) -> (Register, SystemTime);
}

/// Somebody who is, or was, connected.
#[derive(Default)]
struct Client {
    /// Who they are, of the people of the crowd. It is known over a world that answers at once; elsewhere everybody is one of
    /// their own.
    person: usize,
    /// All who may ever have been the same person have the same number.
    kin: usize,
    /// As far as they know.
    nick: String,
    /// When they heard that they are called so.
    named: u64,
    /// Whether they have proved to own that name.
    is_owner: bool,
    /// Whether a connection of theirs has given the name up, and they have not been told.
    may_be_guest: bool,
    /// When they last asked for something, or were answered, that changes by what their name is proved, or whose it is.
    changed: u64,
    /// What they may have been called, as it was typed: from which step on, and until which.
    names: Vec<(String, u64, Option<u64>)>,
    is_locked: bool,
    is_greeted: bool,
    /// How they went, and how much the server had waited then.
    parted: Option<(Parting, Duration)>,
    /// The server has said goodbye.
    is_dismissed: bool,
    is_gone: bool,
    /// What they sent, as the server takes it apart.
    framing: Framing,
    /// What they asked for and was not answered yet.
    due: Vec<Due>,
    /// How much the server had waited when they sent each of their last lines, of which so many may come at once.
    lately: VecDeque<Duration>,
    /// The rows of the reply that comes.
    rows: Vec<String>,
    rooms: BTreeMap<String, Stay>,
    /// Those of them in which they may be no more, as another connection of theirs left.
    unsure_rooms: BTreeSet<String>,
    /// Who is not to be heard in a room, as far as they were told: muted, put out or gone, and not come back.
    silent: BTreeSet<(String, String)>,
    /// Whether they were told that private messages were left out.
    was_left_out: bool,
    echo: bool,
    presence: bool,
    typing: bool,
    /// A copy of the server's list, once `/who` gave it.
    online: Option<(u64, BTreeSet<String>)>,
    /// How much the server had waited when it last gave them an answer for which others were held back.
    released: Option<Duration>,
    /// The messages that they have heard.
    heard: BTreeSet<usize>,
    /// Which messages they were told to have missed: the room, and the numbers.
    missed: Vec<(String, std::ops::Range<u64>)>,
    /// Where each download is.
    downloads: HashMap<u64, u64>,
    /// The upload that chunks belong to, and how far it is.
    upload: Option<(u64, u64)>,
    /// Uploads whose end has not been told.
    uploads: BTreeSet<u64>,
    /// Every file that they have offered.
    shared: BTreeSet<u64>,
    /// What they know of their place, if it is kept when a connection is lost.
    place: Option<Kept>,
}

/// Somebody as the server knows people.
#[derive(Default)]
struct Person {
    /// Those whom they ignore: for each, who may be meant.
    ignores: Vec<Vec<usize>>,
    /// Whom they may ignore still.
    unsure: Vec<usize>,
    /// Whoever they have ever ignored, as far as that is known.
    ignored: Vec<Vec<usize>>,
}

/// Who has something in a room.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Holder {
    /// The owner of this name.
    Owner(String),
    /// Somebody as long as they are there.
    Person(usize),
}

/// What the server has told of a name, so that no crash may undo it.
enum Promise {
    /// It is owned, and proved by these.
    Owned { password: Option<String>, token: Option<Token> },
    /// It is nobody's.
    Dropped,
}

/// A place that is kept, as its client knows it.
#[derive(Default)]
struct Kept {
    /// What takes it up, once that has been told.
    token: Option<PlaceToken>,
    /// Lines that have come since.
    lines: u64,
    /// Lines that were sent since, and how many of them the server had when it was last asked.
    sent: Vec<Vec<u8>>,
    had: usize,
    /// Since when it is being taken up, as how long the server had waited.
    lost: Option<Duration>,
}

/// Somebody's stay in a room.
struct Stay {
    since: u64,
    /// The last message that was heard there, by its number.
    last: u64,
}

/// Something asked for, and not answered yet.
struct Due {
    /// What a refusal calls it.
    verb: &'static str,
    /// Whether there must be an answer.
    is_certain: bool,
    sent: u64,
    asked: Asked,
}

/// As much of a request as its answer must be understood by.
#[derive(Clone, PartialEq)]
enum Asked {
    Nick(String),
    Register(String),
    /// With the name, and the password or token.
    Login(String, String),
    /// Another password.
    Passwd(String),
    /// To be called as nobody in particular.
    Guest,
    Leave,
    Say(usize),
    Send(usize),
    Ignore(String),
    Unignore,
    WhoAll,
    Set,
    Quit,
    /// With how much the server had waited, and whether somebody was owed nothing else: then the answer comes at once.
    Ping(Option<Duration>),
    Other,
}

/// Something said, whose text nobody else says.
struct Saying {
    speaker: usize,
    /// The room without case, or the name as it was typed; the current target, which the server knows, if none is given.
    target: Option<String>,
    text: String,
    sent: u64,
    /// The room in which it was heard, without case.
    room: Option<String>,
    seq: Option<u64>,
    /// Who must hear it and has not.
    owed: BTreeSet<usize>,
}

/// A file that was offered.
struct Offered {
    sender: usize,
    target: String,
    size: u64,
    sent: u64,
}

/// A name as it is compared.
fn key(name: &str) -> String {
    Nick::new(name).map_or_else(|_| name.to_owned(), |nick| fold(nick.as_str()).into_owned())
}

/// Whether people take a name for another.
fn is_like(one: &str, other: &str) -> bool {
    matches!((Nick::new(one), Nick::new(other)), (Ok(one), Ok(other)) if one.is_like(&other))
}

/// Names, of which some are the same in another case or spelling, some look alike, and some are refused. Whatever looks like the same
/// name looks alike.
const NICKS: &[&str] = &[
    "ann",
    "Bob",
    "bob",
    "b0b",
    "cyd",
    "guest1",
    "guestl",
    "Guest2",
    "guest3",
    "dee",
    "ian",
    "lan",
    "tom",
    "torn",
    "Алиса",
    "АЛИСА",
    "Zoë",
    "ZOE\u{308}",
    "小明",
    "tanaka田中",
    "аnn",
    "Бob",
    "Server",
];
/// What people make their passwords; some are none.
const PASSWORDS: &[&str] = &["correct-horse", "battery-staple", "short"];
const ROOMS: &[&str] = &["#a", "#B", "#c", "#A", "#ß", "#SS"];
/// The sizes of files, so that one may be taken up again.
const SIZES: &[u64] = &[0, 1, 300, 12_288, 12_289, 30_000, 70_000];
/// So many lines flood control lets pass at once, at the least rate of a run.
const AT_ONCE: usize = 60;
/// After so long a name that was given up can be anybody's, and no ban holds any more that the crowd makes.
const LONG: Duration = Duration::from_secs(31 * 86_400);
const TIMES: &[u64] = &[1, 20, 249, 250, 999, 1_000, 3_000, 6_000, 59_999, 60_000];
const WORDS: &[&str] = &[
    "#a",
    "#B",
    "ann",
    "Bob",
    "guest1",
    "@ann",
    "on",
    "off",
    "after",
    "echo",
    "stamp",
    "presence",
    "typing",
    "whole",
    "0",
    "1",
    "2",
    "12288",
    "18446744073709551615",
    "-",
    "#",
    "@",
    "x.txt",
    "../x",
    "sha256:00",
    "text",
    "help",
    "open",
    "\u{fffd}",
];
/// The password, where there is one.
pub const PASSWORD: &str = "open";
/// So long what somebody said may have stood behind an answer that the log had to be asked for.
const ANSWERED: Duration = Duration::from_millis(100);
/// How a text begins that is said once only, and ends before its number.
const MARK: char = '\u{a7}';

/// The crowd of a run.
pub struct Crowd<W> {
    /// What they are connected to.
    pub world: W,
    /// How often each kind of line was heard, and each command was used.
    pub counted: BTreeMap<&'static str, u64>,
    /// Whether people say and ask for more than a slow consumer can be kept.
    pub is_flooded: bool,
    /// Whether all is told on standard error.
    is_traced: bool,
    clients: Vec<Client>,
    people: Vec<Person>,
    /// As many at once at most.
    most: usize,
    step: u64,
    sayings: Vec<Saying>,
    /// Sayings that somebody must hear still.
    open: Vec<usize>,
    offers: Vec<Offered>,
    /// The size of each file, and the offer that made it.
    files: BTreeMap<u64, usize>,
    digests: HashMap<u64, String>,
    /// The names, in lower case, of which it was told that somebody owns them, and when that was heard.
    owned: BTreeMap<String, u64>,
    /// By what each name, in lower case, may ever have been proved.
    proofs: BTreeMap<String, BTreeSet<String>>,
    /// Of whom it was told in this step that they went.
    gone: BTreeSet<Nick>,
    /// What of that no crash may undo.
    promises: BTreeMap<String, Promise>,
    /// Rooms that are not to be known to those who are not in them, by the words of who saw to that.
    hidden: BTreeSet<String>,
    /// Rooms in which people may ever have been heard who are not in them.
    outside: BTreeSet<String>,
    /// Who was ever given a rank in a room, and has not lost it with their name.
    ranks: BTreeSet<(String, Holder)>,
    /// Who is muted in a room, by the number of the ban.
    mutes: BTreeMap<(String, u64), Holder>,
    /// How much of the log has been looked at.
    read: usize,
    /// Which message of the log a saying is, and how much the server had waited then.
    logged: HashMap<usize, (usize, Duration)>,
}

/// The bytes of every file from here on.
fn bytes_at(offset: u64, len: u64) -> Vec<u8> {
    (offset..offset + len).map(|at| u8::try_from(at * 31 % 251).unwrap()).collect()
}

impl<W: World> Crowd<W> {
    /// Nobody yet, and at most so many at once.
    pub fn new(world: W, most: usize) -> Self {
        Self {
            world,
            counted: BTreeMap::new(),
            is_flooded: false,
            is_traced: std::env::var_os("CHINWAG_SEED").is_some(),
            clients: Vec::new(),
            people: Vec::new(),
            most,
            step: 0,
            sayings: Vec::new(),
            open: Vec::new(),
            offers: Vec::new(),
            files: BTreeMap::new(),
            digests: HashMap::new(),
            owned: BTreeMap::new(),
            proofs: BTreeMap::new(),
            gone: BTreeSet::new(),
            promises: BTreeMap::new(),
            hidden: BTreeSet::new(),
            outside: BTreeSet::new(),
            ranks: BTreeSet::new(),
            mutes: BTreeMap::new(),
            read: 0,
            logged: HashMap::new(),
        }
    }

    /// Something happens, and everybody hears what follows.
    pub fn step(&mut self, chance: &mut dyn Chance) {
        self.step += 1;
        match chance.below(100) {
            0..5 => self.connect(chance),
            5..7 => self.part(chance),
            7..15 if W::AT_ONCE && chance.one_in(64) => {
                self.world.pass(LONG);
                self.mutes.clear();
                self.clients.iter_mut().for_each(|client| client.silent.clear());
                for promise in self.promises.values_mut() {
                    if let Promise::Owned { token, .. } = promise {
                        *token = None;
                    }
                }
            }
            7..15 => {
                let time = *chance.pick(TIMES);
                self.world.pass(Duration::from_millis(if chance.one_in(4) { time } else { time.min(1_000) }));
            }
            15..34 => self.world.disturb(chance),
            34 => self.keep(chance),
            35 => self.cut_off(chance),
            36..48 => self.chunk(chance),
            48..56 => self.say(chance),
            56 => self.raw(chance),
            _ => self.command(chance),
        }
        self.hear_all();
        let gone = std::mem::take(&mut self.gone);
        if W::AT_ONCE {
            self.check_ways();
            let mut here = self.clients.iter().filter(|client| !client.is_gone && client.parted.is_none());
            let is_back = |client: &Client| gone.iter().find(|nick| is_like(&client.nick, nick.as_str())).copied();
            let back = here.find_map(is_back);
            assert_eq!(back, None, "somebody went, it is said, who is here");
        }
        if chance.one_in(if W::AT_ONCE { 16 } else { 4 }) && !self.promises.is_empty() {
            self.count("crashed");
            let (register, wall) = self.world.crashed(chance);
            self.check_promises(&register, wall);
        }
    }

    /// Who is the same person as somebody through another connection, or may be.
    fn others(&self, who: usize) -> Vec<usize> {
        let is_other = |&other: &usize| {
            other != who && self.may_be_one(who, other) && !(W::AT_ONCE && self.clients[other].is_gone)
        };
        (0..self.clients.len()).filter(is_other).collect()
    }

    /// Whether two connections are of the same person, or may be.
    fn may_be_one(&self, one: usize, other: usize) -> bool {
        if W::AT_ONCE { self.clients[one].person == self.clients[other].person } else { self.is_kin(one, other) }
    }

    /// Whether two connections may ever have been of the same person.
    fn is_kin(&self, one: usize, other: usize) -> bool {
        self.clients[one].kin == self.clients[other].kin
    }

    /// Somebody may be about to come in beside whoever was ever called so.
    fn become_kin(&mut self, who: usize, name: &str) {
        let was_called = |client: &Client| client.names.iter().any(|(known, ..)| is_like(known, name));
        let kin = self.clients[who].kin;
        let met: BTreeSet<usize> =
            self.clients.iter().filter(|client| was_called(client)).map(|client| client.kin).collect();
        self.clients.iter_mut().filter(|client| met.contains(&client.kin)).for_each(|client| client.kin = kin);
    }

    /// Somebody is one of their own from now on, in no room.
    fn split(&mut self, who: usize) {
        if W::AT_ONCE {
            self.clients[who].person = self.people.len();
            self.people.push(Person::default());
            self.clients[who].rooms.clear();
        } else {
            // They may have been the only one, and be in the rooms still.
            let client = &mut self.clients[who];
            client.unsure_rooms = client.rooms.keys().cloned().collect();
        }
        self.excuse(who, None);
    }

    /// Those of whom is known what one of them does: over a world that answers at once, all connections of a person.
    fn ways(&self, who: usize) -> Vec<usize> {
        let others = if W::AT_ONCE { self.others(who) } else { Vec::new() };
        std::iter::once(who).chain(others).collect()
    }

    /// Somebody is in a room from now on.
    fn enter(&mut self, who: usize, room: &str) {
        for way in self.ways(who) {
            let (client, since) = (&mut self.clients[way], self.step);
            if client.unsure_rooms.remove(room) || !client.rooms.contains_key(room) {
                client.rooms.insert(room.to_owned(), Stay { since, last: 0 });
                client.silent.retain(|(other, _)| other != room);
            }
        }
    }

    /// Somebody is not in a room any more.
    fn leave(&mut self, who: usize, room: &str) {
        for way in self.ways(who) {
            self.clients[way].rooms.remove(room);
            self.clients[way].unsure_rooms.remove(room);
            self.excuse(way, Some(room));
        }
    }

    /// Somebody need not hear any more what was said in a room, or in all.
    fn excuse(&mut self, who: usize, room: Option<&str>) {
        for &n in &self.open {
            let said = &mut self.sayings[n];
            if said.room.is_some() && (room.is_none() || said.room.as_deref() == room) {
                said.owed.remove(&who);
            }
        }
    }

    /// Whether somebody who is connected has a rank in a room by the name that they own, as far as is known.
    fn may_rule(&self, who: usize, room: &str) -> bool {
        let client = &self.clients[who];
        let is_theirs = |holder: &Holder| matches!(holder, Holder::Owner(name) if is_like(name, &client.nick));
        client.is_owner && self.ranks.iter().any(|(of, holder)| of == room && is_theirs(holder))
    }

    /// Who is called so, as a rank or a ban is for them.
    fn holder(&self, nick: &Nick) -> Holder {
        let is_it = |client: &&Client| !client.is_gone && is_like(&client.nick, nick.as_str());
        match self.clients.iter().find(is_it) {
            Some(client) if !client.is_owner => Holder::Person(client.person),
            _ => Holder::Owner(key(nick.as_str())),
        }
    }

    /// Whether somebody is muted in a room, surely.
    fn is_muted(&self, who: usize, room: &str) -> bool {
        let client = &self.clients[who];
        let is_for = |holder: &Holder| match holder {
            Holder::Owner(name) => client.is_owner && is_like(name, &client.nick),
            Holder::Person(person) => *person == client.person,
        };
        let mut mutes = self.mutes.iter().filter(|((of, _), _)| of == room);
        // An op by name is not muted.
        mutes.any(|(_, holder)| is_for(holder)) && !self.may_rule(who, room)
    }

    /// Nobody is shown but who is connected, each person once, and under an owned name only who has proved it.
    fn check_ways(&self) {
        let (_, online) = self.world.online();
        let mut ways: BTreeMap<&str, usize> = BTreeMap::new();
        for (who, client) in self.clients.iter().enumerate() {
            if !client.is_greeted || client.is_gone || client.is_dismissed {
                continue;
            }
            // A connection of theirs may have spelled their name otherwise.
            let is_it = |name: &&String| **name == client.nick || (is_like(name, &client.nick) && client.is_owner);
            let Some(name) = online.keys().find(is_it) else { panic!("{who} is {}, and not online", client.nick) };
            *ways.entry(name).or_default() += 1;
            if !self.world.is_slow(who) {
                let owned = self.world.register().owned(&Nick::new(name).unwrap());
                assert!(owned.is_none() || client.is_owner, "{who} is {name} and has not proved it");
            }
        }
        let online: BTreeMap<&str, usize> = online.iter().map(|(name, &count)| (name.as_str(), count)).collect();
        assert_eq!(online, ways, "the list is not who is there");
    }

    /// What the server has told of names is so in this register.
    fn check_promises(&self, register: &Register, wall: SystemTime) {
        register.check();
        for (name, promise) in &self.promises {
            let nick = Nick::new(name).unwrap();
            match promise {
                Promise::Owned { password, token } => {
                    let Some(owned) = register.owned(&nick) else { panic!("{name} was registered, and is nobody's") };
                    if let Some(password) = password {
                        let password = Secret(password.clone());
                        let task = owned.password().map(|&hash| PasswordTask::Verify { password, hash });
                        let is_right = task.is_some_and(|task| look_at(&task) == PasswordResult::Right);
                        assert!(is_right, "{name} has another password than was told");
                    }
                    if let Some(token) = token {
                        let digest = names::Digest(Sha256::digest(token.0).into());
                        assert!(owned.prove(digest, wall).is_some(), "a token of {name} is good no more");
                    }
                }
                Promise::Dropped => {
                    let standing = register.standing(&nick, Day::of(wall));
                    assert!(standing != Standing::Owned, "{name} was given up, and is owned");
                }
            }
        }
    }

    /// Whether what somebody asked about their name at this step may have come before or after what their kin asked.
    fn is_in_flux(&self, who: usize, sent: u64) -> bool {
        let changes = |due: &Due| matches!(due.verb, "register" | "passwd" | "token" | "drop");
        let kin = |&other: &usize| other != who && self.is_kin(who, other);
        let may_cross = |other: usize| {
            let other = &self.clients[other];
            other.changed >= sent || other.due.iter().any(changes)
        };
        (0..self.clients.len()).filter(kin).any(may_cross)
    }

    /// The server has told this of the name that somebody had.
    fn promise(&mut self, who: usize, sent: u64, name: &str, promise: Promise) {
        let is_certain = !self.is_in_flux(who, sent);
        self.clients[who].changed = self.step;
        self.promises.retain(|known, _| !is_like(known, name));
        if is_certain {
            self.promises.insert(key(name), promise);
        }
    }

    /// What is promised of the names that somebody may have is so no more, surely: they have asked for something else.
    fn unpromise(&mut self, who: usize) {
        self.clients[who].changed = self.step;
        let open: Vec<&String> =
            self.clients[who].names.iter().filter(|(_, _, to)| to.is_none()).map(|(name, ..)| name).collect();
        self.promises.retain(|known, _| !open.iter().any(|name| is_like(known, name)));
    }

    /// Everybody hears what there is.
    pub fn hear_all(&mut self) {
        while let Some(entry) = self.world.next_logged() {
            let said = number_of(&entry.text).and_then(|n| Some((n, self.sayings.get_mut(n)?)));
            if let Some((n, said)) = said.filter(|(_, said)| said.text == entry.text) {
                self.logged.insert(n, (self.read, entry.waited));
                said.seq = Some(entry.seq);
                // What flood control held back of somebody who was cut off is not said any more.
                if let Some((Parting::Reset, waited)) = self.clients[said.speaker].parted {
                    assert!(entry.waited <= waited + ANSWERED, "{} was cut off and says {n}", said.speaker);
                }
            }
            self.read += 1;
        }
        for who in 0..self.clients.len() {
            while !self.clients[who].is_gone {
                let Some(heard) = self.world.hear(who) else { break };
                self.hear(who, &heard);
            }
            if self.world.is_closed(who) && !self.clients[who].is_gone {
                let client = &self.clients[who];
                // Nobody need be told who has not come in yet when the server ends.
                if client.place.as_ref().is_some_and(|place| place.token.is_some()) && !client.is_dismissed {
                    let mut chance = fastrand::Rng::with_seed(self.step);
                    self.take_up(who, &mut chance);
                    continue;
                }
                let client = &self.clients[who];
                let may_close = client.is_dismissed || client.parted.is_some() || !client.is_greeted;
                let may_be_lost = self.world.was_cut(who) || self.world.was_slow(who);
                assert!(may_close || may_be_lost, "{who} was closed without a word");
                // An end in good order is carried out whole.
                let has_ended = client.parted.is_some_and(|(how, _)| how == Parting::End) && !client.is_dismissed;
                let late = client.due.iter().find(|due| due.is_certain && has_ended && !may_be_lost);
                assert!(late.is_none(), "{who} got no reply to {}", late.map_or("", |due| due.verb));
                self.forget(who);
            }
        }
        if W::AT_ONCE {
            for (who, client) in self.clients.iter().enumerate().filter(|(_, client)| !client.is_gone) {
                let late = client.due.iter().find(|due| due.is_certain);
                assert!(late.is_none(), "{who} got no reply to {}", late.map_or("", |due| due.verb));
            }
        }
    }

    fn living(&self) -> Vec<usize> {
        let can_send = |&who: &usize| {
            let client = &self.clients[who];
            let is_there = client.place.as_ref().is_none_or(|place| place.lost.is_none());
            !client.is_gone && !client.is_dismissed && client.parted.is_none() && is_there
        };
        (0..self.clients.len()).filter(can_send).collect()
    }

    fn somebody(&self, chance: &mut dyn Chance) -> Option<usize> {
        let living = self.living();
        if living.is_empty() { None } else { Some(*chance.pick(&living)) }
    }

    /// Somebody connects, if there is place.
    pub fn connect(&mut self, chance: &mut dyn Chance) {
        if self.living().len() >= self.most {
            return;
        }
        let who = self.clients.len();
        let person = self.people.len();
        self.people.push(Person::default());
        self.clients.push(Client { person, kin: who, presence: true, typing: true, ..Client::default() });
        self.world.connect(who, chance);
        if chance.below(4) > 0 {
            self.send_line(who, "/set stamp on");
        }
        if chance.below(4) > 0 {
            self.send_line(who, "/join #a");
        }
    }

    fn part(&mut self, chance: &mut dyn Chance) {
        let Some(who) = self.somebody(chance) else { return };
        if self.clients[who].place.is_some() {
            return self.send_line(who, "/quit");
        }
        let how = *chance.pick(&[Parting::End, Parting::Close, Parting::Reset]);
        self.clients[who].parted = Some((how, self.world.waited()));
        self.trace(|| format!("{who} parts: {how:?}"));
        self.world.part(who, how);
        if how != Parting::End || W::AT_ONCE {
            self.hear_all();
            self.forget(who);
        }
    }

    /// Everybody goes: those who are cut off are, and the others say nothing more.
    pub fn part_all(&mut self) {
        for who in self.living() {
            if self.clients[who].place.is_some() {
                self.send_line(who, "/quit");
            }
            self.clients[who].parted = Some((Parting::End, self.world.waited()));
            self.world.part(who, Parting::End);
        }
        self.hear_all();
    }

    /// Somebody has their place kept, or says how much has come.
    fn keep(&mut self, chance: &mut dyn Chance) {
        if let Some(who) = self.somebody(chance).filter(|_| !W::AT_ONCE) {
            self.keep_place(who);
        }
    }

    /// The same, of who is named.
    pub fn keep_place(&mut self, who: usize) {
        match &self.clients[who].place {
            None if self.clients[who].is_greeted => {
                self.send_line(who, "/keep");
                self.clients[who].place = Some(Kept::default());
            }
            // Where the place may be over, that would ask for another one.
            Some(Kept { token: Some(_), lines, .. }) if *lines > 0 => {
                let line = format!("/keep {lines}");
                self.send_line(who, &line);
            }
            _ => {}
        }
    }

    /// Somebody's connection is lost whose place is kept.
    fn cut_off(&mut self, chance: &mut dyn Chance) {
        if W::AT_ONCE {
            return;
        }
        let mut kept = self.living();
        kept.retain(|&who| self.clients[who].place.as_ref().is_some_and(|place| place.token.is_some()));
        if !kept.is_empty() {
            let who = *chance.pick(&kept);
            self.take_up(who, chance);
        }
    }

    /// Somebody connects anew and takes up their place.
    fn take_up(&mut self, who: usize, chance: &mut dyn Chance) {
        self.count("cut off");
        let waited = self.world.waited();
        let client = &mut self.clients[who];
        // Neither that it was heard nor its answer is told.
        client.due.retain(|due| due.verb != "keep");
        let Some(place) = &mut client.place else { return };
        let Some(token) = place.token else { return };
        place.lost = Some(waited);
        let line = format!("/resume {token} {}\n", place.lines);
        client.rows.clear();
        self.trace(|| format!("{who} is cut off, and sends {line}"));
        self.world.reconnect(who, chance);
        self.world.send(who, line.as_bytes());
    }

    /// What somebody hears who takes up their place.
    fn hear_anew(&mut self, who: usize, line: &ServerLine<'_>) {
        let client = &mut self.clients[who];
        let Some(place) = &mut client.place else { return };
        match line {
            ServerLine::Detail(row) => match Detail::parse("resume", row) {
                Detail::Had(count) => place.had = usize::try_from(count).unwrap(),
                Detail::Upload { file, .. } => assert!(client.uploads.contains(&file.0) || !client.due.is_empty()),
                row => panic!("{who} is told {row:?} of their place"),
            },
            ServerLine::Done(Done::Resume(nick)) => {
                place.lost = None;
                let again = place.sent.split_off(place.had);
                let nick = nick.to_string();
                assert!(self.may_be_called(who, &nick.to_lowercase(), 0), "{who} is {nick}");
                self.count("taken up");
                for line in again {
                    self.world.send(who, &line);
                    self.clients[who].place.iter_mut().for_each(|place| place.sent.push(line.clone()));
                }
            }
            // Nobody kept it for so long.
            ServerLine::Refused { code: Code::Gone, .. } | ServerLine::Bye { .. } => {
                client.parted = place.lost.map(|waited| (Parting::Reset, waited));
                self.world.part(who, Parting::Reset);
                self.forget(who);
            }
            ServerLine::Refused { .. } => panic!("{who} is told {line:?}"),
            _ => {}
        }
    }

    fn forget(&mut self, who: usize) {
        let client = &mut self.clients[who];
        client.is_gone = true;
        client.rooms.clear();
        client.unsure_rooms.clear();
        if W::AT_ONCE {
            client.names.iter_mut().for_each(|(_, _, to)| *to = Some(to.unwrap_or(self.step)));
        }
        for &n in &self.open {
            self.sayings[n].owed.remove(&who);
        }
    }

    /// Nobody of before is here any more, as the server was killed, and what it has told of names is so still.
    pub(crate) fn killed(&mut self, wall: SystemTime) {
        for who in 0..self.clients.len() {
            self.forget(who);
        }
        self.open.clear();
        self.mutes.clear();
        // Those that guests had made are others now, if anything.
        self.hidden.clear();
        self.check_promises(self.world.register(), wall);
    }

    /// Somebody sends a line, whose answer is waited for from now on.
    pub fn send_line(&mut self, who: usize, line: &str) {
        self.send(who, format!("{line}\n").as_bytes());
    }

    /// Somebody sends bytes, as the dialect takes them apart.
    fn send(&mut self, who: usize, bytes: &[u8]) {
        self.clients[who].framing.feed(bytes, &mut Vec::new());
        let mut framing = std::mem::take(&mut self.clients[who].framing);
        while let Some((line, _)) = framing.lines.next_line() {
            let text = plain::text(&line);
            if let Some(request) = plain::parse(&line, &text) {
                // A long one counts as many.
                let (waited, count) = (self.world.waited(), if bytes.len() > LINE { AT_ONCE } else { 1 });
                let lately = &mut self.clients[who].lately;
                lately.extend(std::iter::repeat_n(waited, count));
                lately.drain(..lately.len().saturating_sub(AT_ONCE));
                let due = self.due(who, &request);
                let counts = !matches!(request.verb(), Verb::Keep | Verb::Resume);
                let client = &mut self.clients[who];
                client.due.push(due);
                client.place.iter_mut().filter(|_| counts).for_each(|place| place.sent.push(bytes.to_vec()));
            }
        }
        self.clients[who].framing = framing;
        self.trace(|| format!("{who} sends {:.120}", String::from_utf8_lossy(bytes)));
        self.world.send(who, bytes);
    }

    /// What follows for the model from a request's being on its way.
    fn due(&mut self, who: usize, request: &Request<'_>) -> Due {
        let (verb, sent) = (request.verb(), self.step);
        let name = commands::spec_of(verb).map(|spec| spec.name);
        if let Some(name) = name {
            *self.counted.entry(name).or_default() += 1;
        }
        let waited = self.world.waited();
        let client = &mut self.clients[who];
        let is_in_rate = client.lately.len() < AT_ONCE || waited - client.lately[0] >= BURST;
        let answers_at_once = client.due.is_empty() && is_in_rate && !self.world.is_slow(who);
        let mut is_certain = true;
        let asked = match request {
            Request::Nick(Named { typed, .. }) => {
                self.clients[who].names.push(((*typed).to_owned(), sent, None));
                Asked::Nick((*typed).to_owned())
            }
            Request::Register(password) => {
                self.may_prove(who, password);
                self.unpromise(who);
                Asked::Register((*password).to_owned())
            }
            Request::Passwd { new, .. } => {
                self.may_prove(who, new);
                self.unpromise(who);
                Asked::Passwd((*new).to_owned())
            }
            Request::Token(_) => {
                self.clients[who].changed = sent;
                Asked::Other
            }
            Request::Room { room, part: RulesPart::Set(Rule::Outside(true)) } => {
                match room {
                    Some(room) => drop(self.outside.insert(fold(room.typed).into_owned())),
                    None => self.outside.extend(ROOMS.iter().map(|room| fold(room).into_owned())),
                }
                Asked::Other
            }
            Request::Login { nick, credential } => {
                let name = nick.typed.trim_start_matches('@').to_owned();
                self.become_kin(who, &name);
                self.clients[who].names.push((name.clone(), sent, None));
                let proof = match credential {
                    Credential::Password(password) => (*password).to_owned(),
                    Credential::Token(token) => token.map(|token| Done::Token(token).to_string()).unwrap_or_default(),
                };
                Asked::Login(name, proof)
            }
            Request::Logout => Asked::Guest,
            Request::Drop(_) => {
                // From now on it may be nobody's.
                for (name, _, _) in self.clients[who].names.iter().filter(|(_, _, to)| to.is_none()) {
                    self.owned.retain(|known, _| !is_like(known, name));
                }
                self.unpromise(who);
                Asked::Guest
            }
            Request::Leave { .. } => Asked::Leave,
            Request::Chunk(_) => {
                is_certain = false;
                Asked::Other
            }
            Request::Say { text, .. } => {
                is_certain = verb == Verb::Me;
                self.say_due(who, None, text)
            }
            Request::Msg { target, text, .. } => self.say_due(who, Some(typed(target)), text),
            Request::Send(offer) => {
                self.clients[who].upload = None;
                let target = typed(&offer.target);
                self.offers.push(Offered { sender: who, target, size: offer.size, sent });
                Asked::Send(self.offers.len() - 1)
            }
            Request::Ignore(Some(whom)) => Asked::Ignore(whom.typed.to_owned()),
            Request::Unignore(_) => Asked::Unignore,
            Request::Who(None) => Asked::WhoAll,
            Request::Set(Some(_)) => Asked::Set,
            Request::Quit(_) => Asked::Quit,
            Request::Ping(_) => Asked::Ping(answers_at_once.then_some(waited)),
            Request::Malformed { verb: Verb::Send, .. } => {
                self.clients[who].upload = None;
                Asked::Other
            }
            _ => Asked::Other,
        };
        let verb = match (verb, name) {
            // Nobody here is an operator, and to others these are unknown.
            (verb, _) if verb.is_of_operators() => "?",
            (_, Some(name)) => name,
            (Verb::Say, None) => "say",
            (Verb::Chunk, None) => "chunk",
            _ => "?",
        };
        Due { verb, is_certain, sent, asked }
    }

    /// Somebody may be about to make this what proves their name.
    fn may_prove(&mut self, who: usize, proof: &str) {
        for (name, _, _) in self.clients[who].names.iter().filter(|(_, _, to)| to.is_none()) {
            self.proofs.entry(key(name)).or_default().insert(proof.to_owned());
        }
    }

    fn say_due(&mut self, who: usize, target: Option<String>, text: &str) -> Asked {
        let Some(said) = number_of(text).and_then(|n| self.sayings.get_mut(n)) else { return Asked::Other };
        if said.text != text {
            return Asked::Other;
        }
        (said.speaker, said.target) = (who, target);
        Asked::Say(number_of(text).unwrap())
    }

    /// A text that nobody has said before.
    fn new_text(&mut self, chance: &mut dyn Chance) -> String {
        let length = if chance.one_in(24) { chance.below(3_900) } else { 0 };
        self.add_text(length)
    }

    /// A text that nobody has said before, with so much behind its number.
    fn add_text(&mut self, length: usize) -> String {
        let n = self.sayings.len();
        let text = format!("{MARK}{n}{MARK}{}", "x".repeat(length));
        let sent = self.step;
        let owed = BTreeSet::new();
        self.sayings.push(Saying {
            speaker: usize::MAX,
            target: None,
            text: text.clone(),
            sent,
            room: None,
            seq: None,
            owed,
        });
        text
    }

    fn say(&mut self, chance: &mut dyn Chance) {
        let Some(who) = self.somebody(chance) else { return };
        if self.is_flooded && chance.one_in(3) {
            for _ in 0..300 {
                let text = self.add_text(3_900);
                self.send_line(who, &format!("/msg #a {text}"));
            }
        }
        if self.is_flooded && chance.one_in(3) {
            (0..60).for_each(|_| self.send_line(who, "/help"));
        }
        for _ in 0..if chance.one_in(12) { 1 + chance.below(40) } else { 1 } {
            let text = self.new_text(chance);
            self.send_line(who, &text);
        }
    }

    /// Bytes that no person would type.
    fn raw(&mut self, chance: &mut dyn Chance) {
        let Some(who) = self.somebody(chance) else { return };
        let mut line: Vec<u8> = Vec::new();
        for _ in 0..chance.below(5) {
            line.extend_from_slice(chance.pick(WORDS).as_bytes());
            line.push(u8::try_from(32 + chance.below(95)).unwrap());
        }
        if chance.one_in(16) {
            line.resize(LINE + 10, b'a');
        }
        // A first line of this kind would be for a web server.
        if self.clients[who].is_greeted && !line.starts_with(b"=") && !line.starts_with(b"/") {
            line.push(b'\n');
            self.send(who, &line);
        }
    }

    /// The next bytes of an upload that is open, or of none; perhaps too many, or no base64.
    fn chunk(&mut self, chance: &mut dyn Chance) {
        let is_sending = |client: &Client| client.upload.is_some_and(|(file, _)| client.uploads.contains(&file));
        let mut sending = self.living();
        sending.retain(|&who| is_sending(&self.clients[who]));
        let goes_on = !sending.is_empty() && chance.below(10) > 0;
        let Some(who) = (if goes_on { Some(*chance.pick(&sending)) } else { self.somebody(chance) }) else { return };
        let client = &self.clients[who];
        // Where the chunks of an offer that has no answer yet begin, nobody knows.
        if client.due.iter().any(|due| due.verb == "send") {
            return;
        }
        let (file, at) = client.upload.map_or((None, 0), |(file, at)| (Some(file), at));
        let left = file.and_then(|file| self.files.get(&file)).map(|&n| self.offers[n].size.saturating_sub(at));
        let most = if chance.one_in(30) { 400 } else { left.unwrap_or(400).min(30_000) };
        let len = if chance.below(3) > 0 { most } else { chance.below(most as usize + 1) as u64 };
        let mut line = format!("={}", BASE64.encode(bytes_at(at, len)));
        match chance.below(64) {
            0 => line.push('!'),
            1 => line += &"A".repeat(CHUNK_BYTES * 4),
            _ => {}
        }
        if let Some((_, at)) = &mut self.clients[who].upload {
            *at += len;
        }
        self.send_line(who, &line);
    }

    fn digest(&mut self, size: u64) -> &str {
        self.digests.entry(size).or_insert_with(|| {
            let digest = names::Digest(Sha256::digest(bytes_at(0, size)).into());
            digest.to_string()
        })
    }

    /// Somebody who may see to order in a room, as far as is known.
    fn ruler(&self, chance: &mut dyn Chance) -> Option<(usize, String)> {
        let rules = |who: usize, room: &String| {
            let by_stay = (room.clone(), Holder::Person(self.clients[who].person));
            self.ranks.contains(&by_stay) || self.may_rule(who, room)
        };
        let rooms_of = |who: usize| self.clients[who].rooms.keys().map(move |room| (who, room));
        let rulers: Vec<(usize, &String)> =
            self.living().into_iter().flat_map(rooms_of).filter(|&(who, room)| rules(who, room)).collect();
        if rulers.is_empty() { None } else { Some(*chance.pick(&rulers)).map(|(who, room)| (who, room.clone())) }
    }

    fn command(&mut self, chance: &mut dyn Chance) {
        let Some(mut who) = self.somebody(chance) else { return };
        if self.clients[who].is_locked && chance.below(3) > 0 {
            let password = if chance.one_in(4) { "shut" } else { PASSWORD };
            return self.send_line(who, &format!("/pass {password}"));
        }
        let nick = match self.somebody(chance) {
            Some(other) if chance.below(8) > 0 => self.clients[other].nick.clone(),
            _ => (*chance.pick(NICKS)).to_owned(),
        };
        let room = *chance.pick(ROOMS);
        // Those who are in a room are more likely to rule it.
        let own: Vec<&String> = self.clients[who].rooms.keys().collect();
        let mut own = if own.is_empty() || chance.one_in(4) { room.to_owned() } else { (*chance.pick(&own)).clone() };
        let target = if chance.below(3) > 0 { room.to_owned() } else { nick.clone() };
        let newest = self.files.keys().next_back().copied().unwrap_or_default();
        let file = newest.saturating_sub(chance.below(6) as u64);
        let number = chance.below(20);
        let switch = *chance.pick(&["on", "off"]);
        let password = *chance.pick(PASSWORDS);
        let owners: Vec<usize> = self.living().into_iter().filter(|&who| self.clients[who].is_owner).collect();
        let owner = if owners.is_empty() { None } else { Some(*chance.pick(&owners)) };
        let owned = self.owned.keys().nth(chance.below(self.owned.len().max(1))).cloned();
        let what = chance.below(46);
        if (40..45).contains(&what) && chance.below(8) > 0 {
            (who, own) = self.ruler(chance).unwrap_or((who, own));
        }
        let line = match what {
            0 => format!("/nick {}", chance.pick(NICKS)),
            1..5 => format!("/join {room}{}", if chance.one_in(4) { " open" } else { "" }),
            5 => format!("/leave {room} {}", self.new_text(chance)),
            6 => "/leave".to_owned(),
            // Whoever leaves out the sign may be told which room they mean.
            7 if chance.below(2) > 0 => {
                let hidden = self.hidden.iter().nth(chance.below(self.hidden.len().max(1)));
                format!("/query {}", hidden.map_or(&room[1..], |room| &room[1..]))
            }
            7 => format!("/query {target}"),
            8..11 => {
                for _ in 0..if chance.one_in(16) { chance.below(60) } else { 0 } {
                    let line = format!("/msg {target} {}", self.new_text(chance));
                    self.send_line(who, &line);
                }
                format!("/msg {target} {}", self.new_text(chance))
            }
            11 => format!("/me {}", self.new_text(chance)),
            12 => format!("/typing {target} {switch}"),
            13 => "/typing".to_owned(),
            14 => format!("/topic {room} about {number}"),
            15..18 => {
                let size = *chance.pick(SIZES);
                let digest = match chance.below(4) {
                    // That a wrong one is found is seen here too.
                    0 => format!("sha256:{} ", "0".repeat(64)),
                    1 => String::new(),
                    _ => format!("{} ", self.digest(size)),
                };
                match chance.below(3) {
                    // It may be the same again, and so be taken up where it broke off.
                    0 => format!("/send #a 30000 {} again.txt", self.digest(30_000)),
                    _ => format!("/send {target} {size} {digest}name {number}.txt"),
                }
            }
            18..22 => format!("/get {file} {}", *chance.pick(&[0, 0, 1, 12_288])),
            22 => format!("/cancel {file}"),
            23 => format!("/history {room} {number}"),
            24 => format!("/history {room} after {number}"),
            25 => format!("/ignore {nick}"),
            26 => format!("/unignore {nick}"),
            27 => format!("/set {} {switch}", chance.pick(&["echo", "presence", "stamp", "typing", "whole"])),
            28 => "/who".to_owned(),
            29 => format!("/who {target}"),
            30 => (*chance.pick(&["/rooms", "/files", "/limits", "/help", "/ignore", "/set", "/query"])).to_owned(),
            31 => (*chance.pick(&["/away gone", "/away", "/back", "/nope", "/nick", "/get x", "/send"])).to_owned(),
            32 if chance.one_in(3) => format!("/quit {}", self.new_text(chance)),
            33 | 34 => format!("/ping {number}"),
            35 => {
                let spec = chance.pick(commands::TABLE);
                // What has come is told as it is.
                if !W::AT_ONCE && matches!(spec.verb, Verb::Keep | Verb::Resume) {
                    return;
                }
                let words: Vec<&str> = (0..chance.below(4)).map(|_| *chance.pick(WORDS)).collect();
                format!("/{} {}", spec.name, words.join(" "))
            }
            36 => {
                // Mostly a name that can be owned.
                if chance.below(4) > 0 {
                    self.send_line(who, &format!("/nick {}", chance.pick(NICKS)));
                }
                format!("/register {password}")
            }
            37 => {
                let name = owned.unwrap_or_else(|| (*chance.pick(NICKS)).to_owned());
                format!("/login {name} {}", self.password_of(&name, chance))
            }
            38 => {
                let name = owner.map_or(nick, |owner| self.clients[owner].nick.clone());
                format!("/login {name} {}", self.password_of(&name, chance))
            }
            39 => match chance.below(8) {
                0 => "/logout".to_owned(),
                1 => {
                    let old = self.password_of(&self.clients[who].nick, chance);
                    format!("/passwd {old} {password}")
                }
                2 => "/token".to_owned(),
                3 if chance.one_in(8) => "/token off".to_owned(),
                4 => {
                    let who = owner.unwrap_or(who);
                    let line = format!("/drop {}", self.password_of(&self.clients[who].nick, chance));
                    return self.send_line(who, &line);
                }
                5 => format!("/account {nick}"),
                6 => "/account".to_owned(),
                _ => match self.proofs.iter().flat_map(|(name, all)| all.iter().map(move |proof| (name, proof))).last()
                {
                    Some((name, token)) if token.starts_with("token ") => {
                        format!("/login {name} token:{}", &token[6..])
                    }
                    _ => "/logout".to_owned(),
                },
            },
            40..45 => match chance.below(12) {
                0..4 => format!("/kick {own} {nick} {}", self.new_text(chance)),
                4..6 => format!("/{} {own} {nick} 30d", chance.pick(&["ban", "mute"])),
                6 => format!("/unban {own} {}", 1 + number / 4),
                7 if chance.one_in(3) => format!("/{} {own}", chance.pick(&["op", "bans"])),
                7 | 8 => {
                    // What is of a name lasts.
                    let nick =
                        owner.filter(|_| chance.below(2) > 0).map_or(nick, |owner| self.clients[owner].nick.clone());
                    let command = chance.pick(&["op", "op", "deop", "voice", "devoice", "founder", "invite", "invite"]);
                    format!("/{command} {own} {nick}")
                }
                9 | 10 => {
                    let rule = chance.pick(&[
                        "hidden on",
                        "hidden off",
                        "invite-only on",
                        "invite-only off",
                        "key open",
                        "key off",
                        "limit 3",
                        "limit off",
                        "guests listen",
                        "guests out",
                        "guests speak",
                        "outside on",
                        "outside off",
                        "moderated on",
                        "moderated off",
                        "topic-locked on",
                        "slow 1s",
                        "slow off",
                        "past off",
                        "past on",
                        "",
                    ]);
                    format!("/room {own} {rule}")
                }
                _ if chance.below(2) > 0 => format!("/uninvite {own} {nick}"),
                _ => format!("/erase {own} {number} {}", number + chance.below(3)),
            },
            _ => format!("/typing {target}"),
        };
        self.send_line(who, &line);
    }

    /// Mostly by what a name may be proved.
    fn password_of(&self, name: &str, chance: &mut dyn Chance) -> String {
        let known = self.proofs.iter().filter(|(known, _)| is_like(known, name)).flat_map(|(_, proofs)| proofs);
        let known: Vec<&String> = known.filter(|proof| !proof.starts_with("token ")).collect();
        if known.is_empty() || chance.one_in(4) {
            (*chance.pick(PASSWORDS)).to_owned()
        } else {
            (*chance.pick(&known)).clone()
        }
    }

    /// Tells what happens, where a single run is watched.
    fn trace(&self, what: impl FnOnce() -> String) {
        if self.is_traced {
            eprintln!("{} {:?}: {}", self.step, self.world.waited(), what());
        }
    }

    /// Whether somebody may be meant by this name, who had it at some time from `from` on, or one that looks like it.
    fn may_be_called(&self, who: usize, name: &str, from: u64) -> bool {
        self.may_have_had(who, from, |known| is_like(known, name))
    }

    /// Whether somebody may have had exactly this name, in whatever case, at some time from `from` on.
    fn may_be_known_as(&self, who: usize, name: Nick, from: u64) -> bool {
        self.may_have_had(who, from, |known| Nick::new(known) == Ok(name))
    }

    fn may_have_had(&self, who: usize, from: u64, is_meant: impl Fn(&str) -> bool) -> bool {
        let client = &self.clients[who];
        let becomes_guest = |other: usize| self.clients[other].due.iter().any(|due| due.asked == Asked::Guest);
        let may_be_guest =
            || client.may_be_guest || becomes_guest(who) || self.others(who).into_iter().any(becomes_guest);
        // Who has not read their greeting may be called anything.
        (!client.is_greeted && !W::AT_ONCE)
            || ((1..100).any(|n| is_meant(&format!("guest{n}"))) && may_be_guest())
            || client.names.iter().any(|(known, _, to)| to.is_none_or(|to| to >= from) && is_meant(known))
    }

    fn count(&mut self, what: &'static str) {
        *self.counted.entry(what).or_default() += 1;
    }

    /// Somebody hears a line.
    fn hear(&mut self, who: usize, heard: &Heard) {
        let line = &heard.line;
        self.trace(|| format!("{who} hears {line:.120}"));
        assert!(!line.is_empty() && line.len() + 2 <= SERVER_LINE, "{} bytes: {line:?}", line.len());
        assert!(!line.contains(|c: char| c != '\t' && c.is_control()), "{line:?}");
        let parsed = ServerLine::parse(line);
        assert!(!matches!(parsed, ServerLine::Other(_)), "not of the protocol: {line:?}");
        assert_eq!(parsed.to_string(), *line);
        let client = &mut self.clients[who];
        if client.place.as_ref().is_some_and(|place| place.lost.is_some()) {
            return self.hear_anew(who, &parsed);
        }
        if !matches!(parsed, ServerLine::Done(Done::Keep { .. })) {
            client.place.iter_mut().filter(|place| place.token.is_some()).for_each(|place| place.lines += 1);
        }
        assert!(!client.is_dismissed, "{who} is told {line:?} after goodbye");
        let is_for_locked = matches!(
            parsed,
            ServerLine::Bye { .. }
                | ServerLine::Hello { .. }
                | ServerLine::Detail(_)
                | ServerLine::Done(_)
                | ServerLine::Refused { .. }
        );
        assert!(!client.is_locked || is_for_locked, "{who} is locked and is told {line:?}");
        if W::AT_ONCE {
            self.check_hidden(who, &parsed);
        }
        let (client, step) = (&mut self.clients[who], self.step);
        match parsed {
            ServerLine::Hello { nick, .. } => {
                assert!(!client.is_greeted, "{who} is greeted twice");
                (client.nick, client.is_greeted, client.is_locked) = (nick.to_string(), true, false);
                client.named = step;
                client.names.push((nick.to_string(), 0, None));
            }
            ServerLine::Locked { .. } => client.is_locked = true,
            ServerLine::Bye { code, .. } => {
                client.is_dismissed = true;
                self.count("bye");
                assert!(code != Code::TooSlow || self.world.was_slow(who), "{who} was never slow");
            }
            ServerLine::Motd(_) => {}
            ServerLine::Wall { .. } => panic!("{who} hears of an operator where there is none: {line}"),
            ServerLine::Notice(text) => {
                client.was_left_out |= text.contains("private messages were left out");
                self.count("notice");
            }
            ServerLine::Nick { nick, old, .. } => self.hear_nick(who, &nick, &old),
            ServerLine::Presence { version, changes } => self.hear_presence(who, version, &changes),
            ServerLine::Detail(row) => client.rows.push(row.to_owned()),
            ServerLine::Done(done) => self.hear_done(who, &done, heard),
            ServerLine::Refused { command, code, .. } => {
                // A refused chunk is told as a command that is none.
                let command = if code == Code::NoUpload { "chunk" } else { command };
                assert!(client.rows.is_empty(), "{line} has rows");
                let due = self.answered(who, command);
                self.refused(who, &due);
            }
            ServerLine::Message { place, from, text, stamp } => {
                let seq = stamp.and_then(|stamp| stamp.seq);
                self.hear_message(who, place, seq, from.as_str(), text, heard);
            }
            ServerLine::Event { place, who: actor, what, .. } => self.hear_event(who, place, &actor, &what),
            ServerLine::Data { file, base64 } => self.hear_data(who, file.0, base64),
            ServerLine::Whole { file, size, digest } => {
                self.count("whole");
                assert_eq!(digest.to_string(), self.digest(size), "a wrong digest of {file}");
                let client = &mut self.clients[who];
                // Who fetches their own file hears first of the end of the upload.
                if !client.uploads.remove(&file.0) {
                    assert_eq!(client.downloads.remove(&file.0), Some(size), "{file} is not whole");
                }
            }
            ServerLine::Failed { file, .. } => {
                // Of what one fetches of an upload of one's own, the disk may fail alone; with the upload goes both.
                let was_under_way = client.downloads.remove(&file.0).is_some() || client.uploads.remove(&file.0);
                assert!(was_under_way, "{who} hears of the end of {file}");
                self.count("failed");
            }
            ServerLine::Other(_) => unreachable!(),
        }
    }

    /// The request that a reply to `command` answers: the first, but for those that need none.
    fn answered(&mut self, who: usize, command: &str) -> Due {
        let due = &mut self.clients[who].due;
        let matching = due.iter().position(|due| due.verb == command || due.is_certain);
        let Some(at) = matching.filter(|&at| due[at].verb == command) else {
            let waiting: Vec<&str> = due.iter().map(|due| due.verb).collect();
            panic!("{who} is answered {command}, which is not what comes next: {waiting:?}");
        };
        due.drain(..=at).next_back().unwrap()
    }

    fn refused(&mut self, who: usize, due: &Due) {
        if let Asked::Nick(name) | Asked::Login(name, _) = &due.asked {
            let step = self.step;
            let given_up = |(known, from, to): &&mut (String, u64, Option<u64>)| {
                known == name && *from == due.sent && to.is_none()
            };
            let client = &mut self.clients[who];
            let is_own = fold(&client.nick) == fold(name);
            if let Some((_, _, to)) = client.names.iter_mut().rev().find(given_up).filter(|_| !is_own) {
                *to = Some(step);
            }
        }
    }

    /// Another connection of somebody has given their name up.
    fn hear_nick(&mut self, who: usize, nick: &Nick, old: &Nick) {
        self.count("given up");
        let (client, step) = (&mut self.clients[who], self.step);
        assert!(is_like(&client.nick, old.as_str()), "{who} is {} and is told that {old} is lost", client.nick);
        client.names.iter_mut().filter(|(_, _, to)| to.is_none()).for_each(|(_, _, to)| *to = Some(step));
        client.names.push((nick.to_string(), 0, None));
        (client.nick, client.named, client.is_owner, client.may_be_guest) = (nick.to_string(), step, false, false);
        self.end_place(who);
        self.split(who);
    }

    /// What somebody is told says nothing of a hidden room that they are not in, unless they rule it.
    fn check_hidden(&self, who: usize, line: &ServerLine<'_>) {
        let is_secret = |room: &str| {
            let room = fold(room);
            self.hidden.contains(&*room) && !self.clients[who].rooms.contains_key(&*room) && !self.may_rule(who, &room)
        };
        let tells = match line {
            // Whoever wants to come in finds it there, and whoever is in a room is told which one keeps a name from them.
            ServerLine::Refused { command: "join" | "nick", .. } => false,
            ServerLine::Refused { code, text, .. } => {
                use Code::{BadKey, Banned, Gone, InviteOnly, Muted, NoAccount, NoSuchNick, NotInRoom, NotOp};
                matches!(code, BadKey | Banned | Gone | InviteOnly | Muted | NoAccount | NoSuchNick | NotInRoom | NotOp)
                    && text.split([' ', ',', ';', ':', '\'']).any(is_secret)
            }
            // They are in it now, were until now, or said it themselves.
            ServerLine::Done(Done::Join { .. } | Done::Leave(_) | Done::Ping(_)) => false,
            ServerLine::Done(done) => done.to_string().split(' ').any(is_secret),
            _ => false,
        };
        assert!(!tells, "{who} hears of a hidden room: {line:?}");
    }

    fn hear_done(&mut self, who: usize, done: &Done<'_>, heard: &Heard) {
        let command = done.command();
        assert!(!matches!(done, Done::Other(..)), "{} is not of the protocol", heard.line);
        let rows = std::mem::take(&mut self.clients[who].rows);
        let details: Vec<Detail<'_>> = rows.iter().map(|row| Detail::parse(command, row)).collect();
        assert!(!details.iter().any(|row| matches!(row, Detail::Other(_))), "{rows:?} before {}", heard.line);
        let due = self.answered(who, command);
        let (step, at_once) = (self.step, W::AT_ONCE);
        assert!(!at_once || !self.tells_hidden(who, &details), "{who} hears of a hidden room: {rows:?}");
        self.check_rows(who, done, &details);
        let (had_others, old) = (!self.others(who).is_empty(), self.clients[who].nick.clone());
        let client = &mut self.clients[who];
        match done {
            Done::Keep { token, .. } => {
                let place = client.place.get_or_insert_default();
                assert!(place.token.is_none_or(|known| known == *token), "{who} has two tokens");
                place.token = Some(*token);
            }
            Done::Nick(nick) | Done::Login(nick) | Done::Logout(nick) | Done::Drop(nick) => {
                if let Done::Login(_) = done {
                    self.come_in(who, nick, &old, &details);
                }
                let client = &mut self.clients[who];
                (client.nick, client.named) = (nick.to_string(), step);
                if due.asked == Asked::Guest {
                    client.names.push((nick.to_string(), due.sent, None));
                }
                match &due.asked {
                    Asked::Login(asked, proof) => {
                        assert!(is_like(asked, nick.as_str()), "{who} asked for {asked}");
                        client.names.push((nick.to_string(), due.sent, None));
                        client.is_owner = true;
                        let mut proofs = self.proofs.iter().filter(|(name, _)| is_like(name, nick.as_str()));
                        assert!(proofs.any(|(_, proofs)| proofs.contains(proof)), "{who} is {nick} by {proof}");
                        *self.counted.entry("logged-in").or_default() += 1;
                    }
                    _ => {
                        let looks_so = |name: &str| is_like(name, nick.as_str());
                        let mut owned = self.owned.iter().filter(|(name, _)| looks_so(name) && !looks_so(&old));
                        assert!(owned.all(|(_, since)| *since >= due.sent), "{who} is {nick} without proof");
                        client.is_owner &= looks_so(&old);
                    }
                }
                client.silent.retain(|(_, silent)| !is_like(silent, nick.as_str()));
                match done {
                    Done::Nick(_) if is_like(&old, nick.as_str()) => self.spell(who, nick),
                    Done::Nick(_) | Done::Logout(_) if had_others => self.split(who),
                    Done::Drop(_) => self.drop_name(who, &due, &old),
                    _ => {}
                }
                let client = &mut self.clients[who];
                let is_it = |known: &str| Nick::new(known).is_ok_and(|known| known.as_str() == nick.as_str());
                let old = client
                    .names
                    .iter_mut()
                    .filter(|(known, from, to)| to.is_none() && *from <= due.sent && !is_it(known));
                // What the next request asks for may be so already.
                old.for_each(|(_, _, to)| *to = Some(step));
            }
            Done::Register(nick) => {
                let name = key(nick.as_str());
                assert!(
                    matches!(&due.asked, Asked::Register(password) if password.len() >= 8),
                    "{name} has no password"
                );
                client.is_owner = true;
                self.owned.insert(name, step);
                *self.counted.entry("registered").or_default() += 1;
                if let Asked::Register(password) = due.asked {
                    let password = Some(password);
                    self.promise(who, due.sent, nick.as_str(), Promise::Owned { password, token: None });
                }
            }
            Done::Passwd => {
                let Asked::Passwd(password) = due.asked else { panic!("{who} has asked for no password") };
                if at_once {
                    // Nothing else is good any more.
                    self.proofs.retain(|name, _| !is_like(name, &old));
                    self.proofs.entry(key(&old)).or_default().insert(password.clone());
                }
                let password = Some(password);
                self.promise(who, due.sent, &old, Promise::Owned { password, token: None });
            }
            Done::Token(token) => {
                self.proofs.entry(key(&old)).or_default().insert(done.to_string());
                let is_known = |name: &&String| is_like(name, &old);
                let password = match self.promises.iter().find(|(name, _)| is_known(name)) {
                    Some((_, Promise::Owned { password, .. })) => password.clone(),
                    _ => None,
                };
                self.promise(who, due.sent, &old, Promise::Owned { password, token: Some(*token) });
            }
            Done::TokenOff => {
                if at_once {
                    let proofs = self.proofs.iter_mut().filter(|(name, _)| is_like(name, &old));
                    proofs.for_each(|(_, proofs)| proofs.retain(|proof| !proof.starts_with("token ")));
                }
                self.clients[who].changed = step;
                for (_, promise) in self.promises.iter_mut().filter(|(name, _)| is_like(name, &old)) {
                    if let Promise::Owned { token, .. } = promise {
                        *token = None;
                    }
                }
            }
            Done::Join { room, count } => {
                let room = fold(room.as_str()).into_owned();
                self.enter(who, &room);
                let is_in = |client: &&Client| client.rooms.contains_key(&room);
                let here: BTreeSet<usize> = self.clients.iter().filter(is_in).map(|client| client.person).collect();
                assert!(!at_once || here.len() as u64 == *count, "{count} are in {room}, where {here:?} are");
                if *count == 1 {
                    // It may have been forgotten, and be another one.
                    self.hidden.remove(&room);
                    self.mutes.retain(|(of, _), _| *of != room);
                    let holder = self.holder(&Nick::new(&old).unwrap());
                    self.ranks.insert((room, holder));
                }
            }
            Done::OfMember { command: "op" | "voice" | "founder", room, nick } => {
                let holder = self.holder(nick);
                self.ranks.insert((fold(room.as_str()).into_owned(), holder));
            }
            Done::OfMember { command: "kick", room, nick } => {
                let silent = (fold(room.as_str()).into_owned(), key(nick.as_str()));
                self.clients[who].silent.insert(silent);
            }
            Done::Ban { mute, room, id, who: Whom::Guest(nick) | Whom::Name(nick), .. } => {
                let room = fold(room.as_str()).into_owned();
                client.silent.insert((room.clone(), key(nick.as_str())));
                let holder = self.holder(nick);
                if *mute {
                    self.mutes.insert((room, *id), holder);
                } else {
                    self.mutes.remove(&(room, *id));
                }
            }
            Done::Unban { room, id } => {
                let room = fold(room.as_str()).into_owned();
                // The reply does not tell whose it was.
                client.silent.retain(|(of, _)| *of != room);
                self.mutes.remove(&(room, *id));
            }
            Done::Room { room, rule: Some(("hidden", value)) } => {
                let room = fold(room.as_str()).into_owned();
                if *value == "on" {
                    self.hidden.insert(room)
                } else {
                    self.hidden.remove(&room)
                };
            }
            Done::Leave(room) => {
                let room = fold(room.as_str()).into_owned();
                let was_there = client.rooms.contains_key(&room) || had_others;
                assert!(was_there, "{who} left {room} and was not there");
                self.leave(who, &room);
                if !at_once {
                    // Who is slow is not told that another connection of theirs has left.
                    for other in self.others(who) {
                        if self.world.was_slow(other) && self.clients[other].rooms.contains_key(&room) {
                            self.clients[other].unsure_rooms.insert(room.clone());
                            self.excuse(other, Some(&room));
                        }
                    }
                }
            }
            Done::Ignore(nick) => {
                let meant = (0..self.clients.len()).filter(|&other| self.may_be_known_as(other, *nick, due.sent));
                let meant: BTreeSet<usize> = meant.map(|other| self.clients[other].person).collect();
                let candidates: Vec<usize> = meant.into_iter().collect();
                let person = &mut self.people[self.clients[who].person];
                person.ignored.push(Vec::clone(&candidates));
                person.ignores.push(candidates);
            }
            Done::Unignore(nick) => {
                // Somebody of this name, or somebody who had it once, as only those who are here are known by it.
                let meant = (0..self.clients.len()).filter(|&other| self.may_be_known_as(other, *nick, 0));
                let meant: BTreeSet<usize> = meant.map(|other| self.clients[other].person).collect();
                let Person { ignores, unsure, .. } = &mut self.people[self.clients[who].person];
                let is_meant = |ignored: &mut Vec<usize>| ignored.iter().any(|other| meant.contains(other));
                let lifted: Vec<Vec<usize>> = ignores.extract_if(.., is_meant).collect();
                // Several may have been called so, and one of them was meant.
                if lifted.len() > 1 {
                    unsure.extend(lifted.into_iter().flatten());
                }
            }
            Done::Set("echo", on) => client.echo = *on,
            Done::Set("presence", on) => {
                client.presence = *on;
                client.online = None;
            }
            Done::Set("typing", on) => client.typing = *on,
            Done::Who { version, count } => {
                assert_eq!(rows.len() as u64, *count);
                let nicks = details.iter().filter_map(|row| match row {
                    Detail::Who { nick, .. } => Some(nick.to_string()),
                    _ => None,
                });
                if due.asked == Asked::WhoAll && client.presence && !self.world.is_slow(who) {
                    client.online = Some((*version, nicks.collect()));
                }
            }
            Done::Rooms(count) | Done::Files(count) | Done::Ignoring(count) => assert_eq!(rows.len() as u64, *count),
            Done::History { room, count } => {
                assert_eq!(rows.len() as u64, *count);
                client.released = Some(heard.waited);
                let room = fold(room.as_str()).into_owned();
                assert!(client.rooms.contains_key(&room), "{who} reads what {room} says");
                let mut last = 0;
                for row in &details {
                    let Detail::Line { seq, text, .. } = row else { continue };
                    assert!(*seq > last, "{seq} after {last} in the history of {room}");
                    last = *seq;
                    let said = number_of(text.strip_prefix("/me ").unwrap_or(text)).map(|n| &self.sayings[n]);
                    let is_of = said.is_none_or(|said| said.target.as_ref().is_none_or(|target| *target == room));
                    assert!(is_of, "{text} was not said in {room}");
                }
            }
            Done::Send { file, offset } => {
                if *offset > 0 {
                    *self.counted.entry("resumed").or_default() += 1;
                }
                if let Asked::Send(n) = due.asked {
                    self.files.insert(file.0, n);
                }
                client.upload = Some((file.0, *offset));
                client.uploads.insert(file.0);
                client.shared.insert(file.0);
            }
            Done::Get { file, offset, .. } => drop(client.downloads.insert(file.0, *offset)),
            Done::Cancel(file) if client.downloads.remove(&file.0).is_some() => {}
            Done::Cancel(file) => drop(client.uploads.remove(&file.0)),
            Done::Msg(place) => {
                if let Asked::Say(n) = due.asked {
                    match place {
                        Place::Room(room) => self.accepted(n, fold(room.as_str()).into_owned()),
                        Place::With(nick) => self.accepted_in_private(n, nick),
                    }
                }
            }
            Done::Ping(_) => {
                if let Asked::Ping(Some(waited)) = due.asked
                    && !self.world.was_slow(who)
                {
                    assert_eq!(heard.waited, waited, "{who} had to wait for an answer");
                }
            }
            Done::Quit => {
                client.is_dismissed = true;
                assert!(!at_once || self.world.is_closed(who), "{who} has quit and is not closed");
            }
            _ => {}
        }
    }

    /// Whether rows tell somebody of a hidden room that they are not in and do not rule.
    fn tells_hidden(&self, who: usize, rows: &[Detail<'_>]) -> bool {
        let is_secret = |room: &RoomName| {
            let room = fold(room.as_str()).into_owned();
            let knows = self.clients[who].rooms.contains_key(&room) || self.may_rule(who, &room);
            self.hidden.contains(&room) && !knows
        };
        rows.iter().any(|row| match row {
            Detail::Room { room, .. } => is_secret(room),
            Detail::Who { rooms, .. } | Detail::Founder(rooms) => rooms.iter().any(is_secret),
            Detail::File { place: Place::Room(room), file, .. } => {
                is_secret(room) && !self.clients.iter().any(|client| client.shared.contains(&file.0))
            }
            _ => false,
        })
    }

    /// Nobody is twice in a list, and nobody has a rank that they were not given or have lost with their name.
    fn check_rows(&self, who: usize, done: &Done<'_>, rows: &[Detail<'_>]) {
        let mut listed: Vec<Nick> = Vec::new();
        for row in rows {
            match row {
                Detail::Here(nicks) => listed.extend(nicks.iter()),
                Detail::Who { nick, rooms, .. } => {
                    listed.push(*nick);
                    let distinct: BTreeSet<&RoomName> = rooms.iter().collect();
                    assert_eq!(distinct.len(), rooms.len(), "{nick} is twice in a room");
                    let is_it = |client: &&Client| !client.is_gone && is_like(&client.nick, nick.as_str());
                    if let Some(client) = self.clients.iter().find(is_it).filter(|_| W::AT_ONCE) {
                        let is_in = |room: &RoomName| client.rooms.contains_key(&*fold(room.as_str()));
                        assert!(rooms.iter().all(is_in), "{nick} is not in all of {rooms:?}");
                    }
                }
                Detail::Ranked { nick, .. } if W::AT_ONCE => {
                    let Done::Count { room, .. } = done else { panic!("{row:?} of no room") };
                    let room = fold(room.as_str()).into_owned();
                    let holders = [self.holder(nick), Holder::Owner(key(nick.as_str()))];
                    let is_here = |client: &&Client| !client.is_gone && is_like(&client.nick, nick.as_str());
                    let person = self.clients.iter().find(is_here).map(|client| Holder::Person(client.person));
                    let is_given = |holder: &Holder| match holder {
                        Holder::Owner(name) => self.ranks.iter().any(|(of, known)| {
                            *of == room && matches!(known, Holder::Owner(known) if is_like(known, name))
                        }),
                        Holder::Person(_) => self.ranks.contains(&(room.clone(), holder.clone())),
                    };
                    let is_owner = matches!(holders[0], Holder::Owner(_));
                    let has_it = (is_owner && is_given(&holders[1])) || person.as_ref().is_some_and(is_given);
                    assert!(has_it, "{who} hears that {nick} has a rank in {room}");
                }
                Detail::Founder(rooms) if W::AT_ONCE => {
                    let rules = |room: &RoomName| self.may_rule(who, &fold(room.as_str()));
                    assert!(rooms.iter().all(rules), "{who} is the founder of {rooms:?}");
                }
                _ => {}
            }
        }
        for (at, nick) in listed.iter().enumerate() {
            assert!(!listed[..at].iter().any(|other| other.is_like(nick)), "{nick} is listed twice");
        }
    }

    /// Somebody has proved a name, and is in these rooms now.
    fn come_in(&mut self, who: usize, nick: &Nick, old: &str, rows: &[Detail<'_>]) {
        let is_it = |&other: &usize| {
            let client = &self.clients[other];
            other != who && !client.is_gone && is_like(&client.nick, nick.as_str())
        };
        let beside = (0..self.clients.len()).find(is_it);
        if beside.is_some() {
            self.count("beside");
        }
        if W::AT_ONCE {
            let is_new = !is_like(old, nick.as_str());
            match beside {
                Some(beside) => self.clients[who].person = self.clients[beside].person,
                None if is_new && !self.others(who).is_empty() => self.split(who),
                None => {}
            }
            let with = beside.unwrap_or(who);
            let told: BTreeSet<String> = rows.iter().filter_map(room_of).map(|(room, _)| room).collect();
            let known: BTreeSet<String> = self.clients[with].rooms.keys().cloned().collect();
            assert_eq!(told, known, "the rooms of {nick}, which {who} is now");
        }
        let client = &mut self.clients[who];
        client.unsure_rooms.clear();
        let mut rooms = std::mem::take(&mut client.rooms);
        for (room, last) in rows.iter().filter_map(room_of) {
            let stay = rooms.remove(&room).unwrap_or(Stay { since: self.step, last });
            client.rooms.insert(room, stay);
        }
        for room in rooms.into_keys() {
            self.excuse(who, Some(&room));
        }
    }

    /// Somebody spells their name otherwise, on all of their connections.
    fn spell(&mut self, who: usize, nick: &Nick) {
        for way in self.ways(who) {
            let client = &mut self.clients[way];
            if client.nick != nick.as_str() || way == who {
                client.nick = nick.to_string();
                client.names.push((nick.to_string(), self.step, None));
            }
        }
    }

    /// Somebody has given up the name that they had: nothing of it is left.
    /// A place that somebody has is over, as their name is theirs no more.
    fn end_place(&mut self, who: usize) {
        let place = &mut self.clients[who].place;
        if place.take_if(|place| place.token.is_some()).is_some() {
            self.count("ended with a name");
        }
    }

    fn drop_name(&mut self, who: usize, due: &Due, old: &str) {
        self.end_place(who);
        self.count("dropped");
        self.promise(who, due.sent, old, Promise::Dropped);
        self.ranks.retain(|(_, holder)| !matches!(holder, Holder::Owner(name) if is_like(name, old)));
        self.mutes.retain(|_, holder| !matches!(holder, Holder::Owner(name) if is_like(name, old)));
        if W::AT_ONCE {
            self.proofs.retain(|name, _| !is_like(name, old));
        } else {
            for other in self.others(who) {
                self.clients[other].may_be_guest = true;
            }
        }
    }

    /// A message is the room's: from now on it is owed to those who were surely there.
    fn accepted(&mut self, n: usize, room: String) {
        let said = &self.sayings[n];
        if said.room.is_some() {
            return;
        }
        let (speaker, sent) = (said.speaker, said.sent);
        let is_owed = |&who: &usize| {
            let client = &self.clients[who];
            let is_there = client.rooms.get(&room).is_some_and(|stay| W::AT_ONCE || stay.since < sent)
                && !client.unsure_rooms.contains(&room);
            let is_spared = who == speaker && !(W::AT_ONCE && client.echo);
            is_there && !is_spared && self.must_hear(who, speaker, n)
        };
        let owed = (0..self.clients.len()).filter(is_owed).collect();
        let said = &mut self.sayings[n];
        (said.room, said.owed) = (Some(room), owed);
        self.open.push(n);
    }

    /// A message has reached somebody in private: it is owed to all who were surely called so, and to the speaker's other
    /// connections.
    fn accepted_in_private(&mut self, n: usize, nick: &Nick) {
        let (speaker, sent) = (self.sayings[n].speaker, self.sayings[n].sent);
        let is_owed = |&who: &usize| {
            let client = &self.clients[who];
            let is_called =
                is_like(&client.nick, nick.as_str()) && !client.may_be_guest && (W::AT_ONCE || client.named < sent);
            let is_meant = if who == speaker {
                W::AT_ONCE && (client.echo || is_called)
            } else {
                is_called || (W::AT_ONCE && self.may_be_one(who, speaker))
            };
            // What one connection does not take, the others do.
            let may_be_left_out = !W::AT_ONCE && self.world.was_slow(who) && !self.others(who).is_empty();
            is_meant && client.is_greeted && !may_be_left_out && self.must_hear(who, speaker, n)
        };
        let owed: BTreeSet<usize> = (0..self.clients.len()).filter(is_owed).collect();
        self.sayings[n].owed = owed;
        self.open.push(n);
    }

    /// Whether somebody must hear a message, if it is for them: they do not ignore who says it, and neither they nor another
    /// connection of theirs may have seen to that or have gone.
    fn must_hear(&self, who: usize, speaker: usize, n: usize) -> bool {
        let client = &self.clients[who];
        let others = self.others(who);
        let is_alone = others.is_empty();
        let may_change = |due: &Due| match due.asked {
            Asked::Leave | Asked::Quit | Asked::Set | Asked::Ignore(_) | Asked::Login(..) | Asked::Guest => true,
            Asked::Nick(_) => !is_alone,
            _ => false,
        };
        let may_undo = |due: &Due| match due.asked {
            Asked::Ignore(_) | Asked::Guest => true,
            Asked::Leave => self.world.was_slow(who),
            _ => false,
        };
        let is_undone = || others.iter().any(|&other| self.clients[other].due.iter().any(may_undo));
        let is_gone = client.is_gone || client.parted.is_some() || client.is_dismissed;
        let is_left_out = W::AT_ONCE && self.world.is_slow(who);
        !is_gone
            && !client.heard.contains(&n)
            && !is_left_out
            && !client.due.iter().any(may_change)
            && !is_undone()
            && !self.may_ignore(who, speaker)
    }

    /// Whether somebody may not hear what somebody else says.
    fn may_ignore(&self, who: usize, speaker: usize) -> bool {
        if W::AT_ONCE {
            let (person, speaker) = (&self.people[self.clients[who].person], self.clients[speaker].person);
            return person.unsure.contains(&speaker) || person.ignores.iter().any(|meant| meant.contains(&speaker));
        }
        // What was set or unset since it was sent says nothing of it. Everybody is a person of their own here.
        let mut kin = (0..self.clients.len()).filter(|&other| self.is_kin(who, other));
        kin.any(|other| self.people[other].ignored.iter().flatten().any(|&meant| self.is_kin(meant, speaker)))
    }

    fn hear_presence(&mut self, who: usize, version: u64, changes: &[Change]) {
        self.count("presence");
        let was_slow = self.world.was_slow(who);
        let client = &mut self.clients[who];
        assert!(client.presence, "{who} does not want to be told");
        assert!(!changes.is_empty());
        let Some((known, online)) = &mut client.online else { return };
        if version != *known + 1 {
            assert!(was_slow, "{who} hears of version {version} after {known}");
            // One that was left out shows only in this.
            if version > *known {
                client.online = None;
            }
            return;
        }
        *known = version;
        for change in changes {
            match change {
                Change::Went(nick) => online.remove(nick.as_str()),
                Change::Came(nick) => online.insert(nick.to_string()),
            };
        }
    }

    fn hear_message(&mut self, who: usize, place: Place, seq: Option<u64>, from: &str, text: &str, heard: &Heard) {
        self.count("said");
        let words = text.strip_prefix("/me ").unwrap_or(text);
        let n = number_of(words).filter(|&n| n < self.sayings.len());
        if let Place::Room(room) = place {
            let room = fold(room.as_str()).into_owned();
            // That another connection of theirs came in was left out for who is slow.
            if !self.clients[who].rooms.contains_key(&room) && !W::AT_ONCE && self.world.was_slow(who) {
                assert!(!self.others(who).is_empty(), "{who} hears what {room} says");
                self.enter(who, &room);
            }
            self.check_silent(who, &room, from);
            self.clients[who].unsure_rooms.remove(&room);
            let Some(stay) = self.clients[who].rooms.get_mut(&room) else { panic!("{who} hears what {room} says") };
            if let Some(seq) = seq {
                assert!(seq > stay.last, "{seq} after {} in {room}", stay.last);
                stay.last = seq;
            }
        }
        let Some(n) = n else { return };
        let (said, client) = (&self.sayings[n], &self.clients[who]);
        // Of a line that was cut off with its speaker, what came is said.
        if said.text != words {
            let is_cut_off = self.clients[said.speaker].parted.is_some() && said.text.starts_with(words);
            return assert!(is_cut_off, "{words} for {}", said.text);
        }
        let (speaker, sent) = (said.speaker, said.sent);
        assert!(!client.heard.contains(&n), "{who} hears {n} twice");
        assert!(self.may_be_called(speaker, from, sent), "{speaker} speaks as {from}");
        let is_known = W::AT_ONCE || (self.others(who).is_empty() && self.others(speaker).is_empty());
        let person = self.clients[speaker].person;
        let ignores = is_known && self.people[client.person].ignores.iter().any(|meant| *meant == [person]);
        assert!(!ignores, "{who} hears {speaker}, whom they ignore");
        match place {
            Place::Room(room) => {
                let room = fold(room.as_str()).into_owned();
                let is_out = !self.clients[speaker].rooms.contains_key(&room) && !self.outside.contains(&room);
                let is_silent = W::AT_ONCE && (is_out || self.is_muted(speaker, &room));
                assert!(!is_silent || self.clients[speaker].is_gone, "{speaker} is not to be heard in {room}");
                assert!(said.target.as_ref().is_none_or(|target| *target == room), "{n} is heard in {room}");
                assert!(who != speaker || client.echo, "{who} hears themselves");
                if let (Some(known), Some(seq)) = (said.seq, seq) {
                    assert_eq!(known, seq, "{n} has two numbers");
                }
                if let Some(logged) = heard.logged {
                    let &(at, waited) = self.logged.get(&n).unwrap_or_else(|| panic!("{n} is not in the log"));
                    assert!(at < logged, "{n} was heard before it was in the log");
                    let held = heard.waited - waited;
                    if !self.world.was_slow(who) {
                        // Behind a history for which the log was asked it comes with that.
                        let most = if client.released == Some(heard.waited) { ANSWERED } else { GATHER };
                        assert!(held <= most, "{n} was held for {held:?}");
                        if held > Duration::ZERO {
                            self.count("gathered");
                        }
                    }
                }
                if W::AT_ONCE {
                    let may_hear = !self.world.is_slow(who);
                    assert!(may_hear, "{who} hears {n} and is slow");
                }
                self.accepted(n, room);
                let said = &mut self.sayings[n];
                said.owed.remove(&who);
                said.seq = said.seq.or(seq);
            }
            Place::With(_) => {
                let is_meant = |target: &String| self.may_be_called(who, target, sent);
                let is_theirs = said.target.as_ref().is_none_or(is_meant);
                let is_own = if who == speaker { client.echo } else { self.may_be_one(who, speaker) };
                assert!(is_theirs || is_own, "{who} hears {n}, which is for {:?}", said.target);
                self.sayings[n].owed.remove(&who);
            }
        }
        self.clients[who].heard.insert(n);
    }

    /// Whoever was put out of a room, left or was muted there, as somebody was told, is not heard by them until they come again.
    fn check_silent(&self, who: usize, room: &str, from: &str) {
        let silent = self.clients[who].silent.contains(&(room.to_owned(), key(from)));
        assert!(!silent || self.outside.contains(room), "{who} hears {from} in {room}, who is to be silent");
    }

    fn hear_event(&mut self, who: usize, place: Place, actor: &Nick, what: &What<'_>) {
        let kind = match what {
            What::Typing => "typing",
            What::Idle => "idle",
            What::File { .. } => "file",
            What::Unfile { .. } => "unfile",
            What::Away(_) => "away",
            What::Lost(_) => "lost",
            What::Unreached => "unreached",
            What::Missed { .. } => "missed",
            What::Kicked { .. } => "kicked",
            What::Banned { .. } => "banned",
            What::Erased { .. } => "erased",
            What::Other(text) => panic!("not of the protocol: {text}"),
            _ => "other",
        };
        self.count(kind);
        let is_of_typing = matches!(what, What::Typing | What::Idle);
        assert!(!is_of_typing || self.clients[who].typing, "{who} does not want to be told of typing");
        let Place::Room(room) = place else { return };
        let room = fold(room.as_str()).into_owned();
        // An owner may spell their name otherwise.
        let is_me = |nick: &Nick| is_like(&self.clients[who].nick, nick.as_str());
        let has_others = !self.others(who).is_empty();
        // That another connection of theirs came in was left out for who is slow.
        let may_be_told_late = !W::AT_ONCE && self.world.was_slow(who) && has_others;
        if (matches!(what, What::Joined) && is_me(actor))
            || (!self.clients[who].rooms.contains_key(&room) && may_be_told_late)
        {
            assert!(has_others, "{who} hears of their own coming into {room}");
            self.enter(who, &room);
        }
        // Senders hear of the end of their file wherever they are.
        let is_unfile = matches!(what, What::Unfile { .. });
        // Another connection of theirs may have been told before that they are out.
        let puts_out = matches!(what, What::Left(_) | What::Kicked { .. } | What::Banned { .. } | What::Missed { .. });
        let may_be_out = is_unfile || (W::AT_ONCE && has_others && puts_out);
        assert!(may_be_out || self.clients[who].rooms.contains_key(&room), "{who} hears {what:?} of {room}");
        if let What::Missed { count, after } = *what {
            assert!(self.world.was_slow(who), "{who} has missed {count} in {room} and was never slow");
            self.clients[who].missed.push((room.clone(), after + 1..after + 1 + count));
        }
        self.hear_of(who, &room, actor, what);
    }

    /// What follows from an event in a room for who is heard there.
    fn hear_of(&mut self, who: usize, room: &str, actor: &Nick, what: &What<'_>) {
        let is_me = |nick: &Nick| is_like(&self.clients[who].nick, nick.as_str());
        let silent = |nick: &Nick| (room.to_owned(), key(nick.as_str()));
        match what {
            What::Typing | What::File { .. } | What::Topic(_) => self.check_silent(who, room, actor.as_str()),
            What::Left(reason) | What::Quit(reason) if !reason.is_empty() => {
                self.check_silent(who, room, actor.as_str());
            }
            _ => {}
        }
        match what {
            What::Joined => drop(self.clients[who].silent.remove(&silent(actor))),
            What::Renamed(nick) => {
                let (is_mine, silent) = (is_me(actor), silent(nick));
                let client = &mut self.clients[who];
                client.silent.remove(&silent);
                if is_mine && is_like(actor.as_str(), nick.as_str()) {
                    client.nick = nick.to_string();
                    client.names.push((nick.to_string(), 0, None));
                }
            }
            What::Left(_) | What::Quit(_) | What::Lost(_) => {
                let is_mine = is_me(actor);
                let is_gone = !matches!(what, What::Left(_));
                assert!(!(is_mine && is_gone), "{who} is {actor}, and hears that they went");
                if is_gone {
                    self.gone.insert(*actor);
                }
                if is_mine {
                    self.leave(who, room);
                } else {
                    self.clients[who].silent.insert(silent(actor));
                }
            }
            What::Kicked { nick, .. } | What::Banned { mute: false, who: Whom::Guest(nick) | Whom::Name(nick), .. } => {
                if is_me(nick) {
                    self.leave(who, room);
                } else {
                    self.clients[who].silent.insert(silent(nick));
                }
            }
            What::Banned { mute: true, who: Whom::Guest(nick) | Whom::Name(nick), .. } => {
                self.clients[who].silent.insert(silent(nick));
            }
            What::Unbanned { mute: true, who: Whom::Guest(nick) | Whom::Name(nick) } | What::Made { nick, .. } => {
                self.clients[who].silent.remove(&silent(nick));
            }
            // What was left out may have lifted it.
            What::Missed { .. } => self.clients[who].silent.retain(|(of, _)| of != room),
            _ => {}
        }
    }

    fn hear_data(&mut self, who: usize, file: u64, base64: &str) {
        self.count("data");
        let data = BASE64.decode(base64).expect("file data is base64");
        let client = &self.clients[who];
        let Some(&at) = client.downloads.get(&file) else { panic!("{who} fetches no {file}") };
        assert!(bytes_at(at, data.len() as u64) == data, "wrong bytes of {file} at {at}");
        if let Some(&n) = self.files.get(&file) {
            let offer = &self.offers[n];
            let mut kin = (0..self.clients.len()).filter(|&other| self.is_kin(who, other));
            let is_for = match offer.target.strip_prefix('#') {
                Some(_) => client.rooms.contains_key(&offer.target),
                None => kin.clone().any(|other| self.may_be_called(other, &offer.target, offer.sent)),
            };
            let is_theirs = kin.any(|other| offer.sender == other || self.clients[other].shared.contains(&file));
            assert!(is_for || is_theirs, "{who} gets bytes of {file}");
            let (unit, end) = (DOWNLOAD_UNIT as u64, at + data.len() as u64);
            assert!(end <= offer.size && (end % unit == 0 || end == offer.size), "{file} in odd parts: {at} to {end}");
        }
        self.clients[who].downloads.insert(file, at + data.len() as u64);
    }

    /// A moment goes by in which nobody does anything, after which nothing is on its way any more.
    pub fn rest(&mut self) {
        self.world.pass(PRESENCE_WINDOW + Duration::from_millis(10));
        self.hear_all();
        self.check_at_rest();
    }

    /// When nothing is on its way any more, every copy of the list is the list, and nobody is owed anything.
    pub fn check_at_rest(&mut self) {
        let (version, online) = self.world.online();
        self.check_ways();
        let online: BTreeSet<String> = online.into_keys().collect();
        let here = |client: &&Client| client.is_greeted && !client.is_gone && !client.is_dismissed;
        let names: Vec<Nick> = online.iter().map(|name| Nick::new(name).unwrap()).collect();
        for (at, name) in names.iter().enumerate() {
            let like = names[..at].iter().find(|other| other.is_like(name));
            assert!(like.is_none(), "{name} looks like {like:?}, and both are here");
        }
        for (who, client) in self.clients.iter().enumerate() {
            if let Some((known, copy)) = client.online.as_ref().filter(|_| here(&client) && !self.world.is_slow(who)) {
                assert_eq!((*known, copy), (version, &online), "the copy of {who}");
            }
            let late = client.due.iter().find(|due| due.is_certain && here(&client));
            assert!(late.is_none(), "{who} got no reply to {}", late.map_or("", |due| due.verb));
        }
        // Without a number of a message, only how many were missed is known.
        let mut unheard: BTreeMap<usize, u64> = BTreeMap::new();
        for said in self.open.iter().map(|&n| &self.sayings[n]) {
            for &who in said.owed.iter().filter(|&&who| !self.world.is_slow(who) && here(&&self.clients[who])) {
                if said.room.is_none() {
                    assert!(self.clients[who].was_left_out, "{who} never heard {} in private", said.text);
                    continue;
                }
                let is_missed = |(room, seqs): &(String, std::ops::Range<u64>)| {
                    said.room.as_ref() == Some(room) && said.seq.is_none_or(|seq| seqs.contains(&seq))
                };
                assert!(self.clients[who].missed.iter().any(is_missed), "{who} never heard {}", said.text);
                *unheard.entry(who).or_default() += 1;
            }
        }
        for (who, count) in unheard {
            let missed: u64 = self.clients[who].missed.iter().map(|(_, seqs)| seqs.end - seqs.start).sum();
            assert!(count <= missed, "{who} never heard {count} messages, and was told of {missed}");
        }
        self.open.clear();
    }

    /// Whether anybody waits for an answer.
    pub fn is_waiting(&self) -> bool {
        self.clients.iter().any(|client| !client.is_gone && client.due.iter().any(|due| due.is_certain))
    }

    /// Whether all have gone.
    pub fn is_empty(&self) -> bool {
        self.clients.iter().all(|client| client.is_gone)
    }
}

/// The number of a text that is said once.
fn number_of(text: &str) -> Option<usize> {
    text.strip_prefix(MARK)?.split_once(MARK)?.0.parse().ok()
}

/// What a target is called: a room without case, a person without their sign.
fn typed(target: &Target<'_>) -> String {
    match target {
        Target::Room(Named { typed, .. }) => fold(typed).into_owned(),
        Target::Person(Named { typed, .. }) => typed.strip_prefix('@').unwrap_or(typed).to_owned(),
    }
}

/// The room of a row of a login, and the number of its last message.
fn room_of(row: &Detail<'_>) -> Option<(String, u64)> {
    match row {
        Detail::In { room, last } => Some((fold(room.as_str()).into_owned(), *last)),
        _ => None,
    }
}
