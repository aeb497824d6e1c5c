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

mod doings;
mod heard;
mod names;
mod operators;
mod order;
mod people;
mod places;
mod sayings;

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::net::IpAddr;
use std::time::{Duration, SystemTime};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use chinwag::commands;
use chinwag::effect::{PasswordResult, PasswordTask, Secret};
use chinwag::event::Standing;
use chinwag::event::Verb;
use chinwag::framing::Framing;
use chinwag::limits::{BURST, CHUNK_BYTES, DOWNLOAD_UNIT, GATHER, LINE, PRESENCE_WINDOW, SERVER_LINE};
use chinwag::names::{Nick, Place, PlaceToken, RoomName, Token};
use chinwag::plain;
use chinwag::register::Register;
use chinwag::register::entry::Rule;
use chinwag::request::{Credential, Named, Request, RulesPart, Target, Wanted};
use chinwag::time::Day;
use chinwag::unicode::fold;
use chinwag::wire::{Change, Code, Detail, Done, ServerLine, What, Whom};
use sha2::{Digest as _, Sha256};

pub use doings::PASSWORD;
use names::Promise;
use operators::Order;
use order::Holder;
use places::Kept;
use sayings::number_of;

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

    /// Somebody connects by the operator's door, if there is one.
    fn connect_control(&mut self, who: usize, chance: &mut dyn Chance) -> bool;

    /// From where somebody has connected, if not from the server's own machine.
    fn address(&self, who: usize) -> Option<IpAddr>;

    /// Whether anything is written down.
    fn keeps(&self) -> bool;

    /// Somebody sends bytes.
    fn send(&mut self, who: usize, bytes: &[u8]);

    /// Somebody's connection is lost, with what is on its way, and they connect anew.
    fn reconnect(&mut self, who: usize, chance: &mut dyn Chance);

    /// What somebody sends who has just connected anew is long under way. They give that connection up for another.
    fn give_up(&mut self, _who: usize, _bytes: &[u8], _chance: &mut dyn Chance) {}

    /// What somebody sent on connections that they have given up arrives.
    fn arrive_late(&mut self, _who: usize) {}

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
    /// Whether they came in by a token that is good more than once.
    by_token: bool,
    /// Whether a connection of theirs has given the name up, and they have not been told.
    may_be_guest: bool,
    /// When they last asked for something, or were answered, that changes by what their name is proved, or whose it is.
    changed: u64,
    /// What they may have been called, as it was typed: from which step on, and until which.
    names: Vec<(String, u64, Option<u64>)>,
    is_locked: bool,
    is_greeted: bool,
    /// They came by the operator's door, and are nobody.
    is_control: bool,
    /// Since when they are a connection of whose they are, counted by all who came to be one.
    since: u64,
    /// With which name they were refused last, and when.
    refused_as: Option<(String, u64)>,
    /// How they went, and how much the server had waited then.
    parted: Option<(Parting, Duration)>,
    /// The server has said goodbye, and how much it had waited when it put them out.
    is_dismissed: bool,
    put_out: Option<Duration>,
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
    /// Whether the answer may be that there is no such command, as it is for operators, and who asks may be one.
    may_be_unknown: bool,
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
    /// For guests alone, or for all, and whether it ends before long.
    Block {
        of_guests: bool,
        ends: bool,
    },
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

/// After so long a name that was given up can be anybody's, and no ban holds any more that the crowd makes.
const LONG: Duration = Duration::from_secs(31 * 86_400);
const TIMES: &[u64] = &[1, 20, 249, 250, 999, 1_000, 3_000, 6_000, 59_999, 60_000];
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
    /// Rooms that go with the last who is in them.
    few: BTreeSet<String>,
    /// Rooms that have gone so, and the first of the sayings that came later.
    forgotten: BTreeMap<String, usize>,
    /// What operators have made of the server.
    order: Order,
    /// The proofs that are good once, and those that were, each with its name. After a restart the same may be drawn for others.
    once: BTreeSet<(String, String)>,
    spent: Vec<(String, String)>,
    /// How many connections have come to be somebody's.
    ways_made: u64,
    /// What somebody is told, while it is compared.
    compared: Option<(usize, Vec<String>)>,
    /// Who is muted in a room, by the number of the ban, and which names are banned from it.
    mutes: BTreeMap<(String, u64), Holder>,
    bans: BTreeMap<(String, u64), String>,
    /// How much of the log has been looked at.
    read: usize,
    /// Which message of the log a saying is, and how much the server had waited then.
    logged: HashMap<usize, (usize, Duration)>,
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
            few: BTreeSet::new(),
            forgotten: BTreeMap::new(),
            order: Order::default(),
            once: BTreeSet::new(),
            spent: Vec::new(),
            ways_made: 0,
            compared: None,
            mutes: BTreeMap::new(),
            bans: BTreeMap::new(),
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
                self.bans.clear();
                self.end_blocks();
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
            36 if !W::AT_ONCE && !self.clients.is_empty() => self.world.arrive_late(chance.below(self.clients.len())),
            36..48 => self.chunk(chance),
            48..56 => self.say(chance),
            56 => self.raw(chance),
            57..59 => self.operate(chance),
            59..62 if W::AT_ONCE => self.open_again(chance),
            62..66 if W::AT_ONCE => self.ask_of_hidden(chance),
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
            if W::AT_ONCE {
                self.check_operators(&register);
            }
        }
    }

    /// Everybody hears what there is.
    pub fn hear_all(&mut self) {
        while let Some(entry) = self.world.next_logged() {
            let said = number_of(&entry.text).and_then(|n| Some((n, self.sayings.get_mut(n)?)));
            if let Some((n, said)) = said.filter(|(_, said)| said.text == entry.text) {
                self.logged.insert(n, (self.read, entry.waited));
                said.seq = Some(entry.seq);
                // What flood control held back of somebody who was cut off is not said any more.
                let speaker = &self.clients[said.speaker];
                if let Some((Parting::Reset, waited)) = speaker.parted {
                    assert!(entry.waited <= waited + ANSWERED, "{} was cut off and says {n}", said.speaker);
                }
                let is_put_out = speaker.put_out.is_some_and(|waited| entry.waited > waited);
                assert!(!is_put_out, "{} was put out and says {n}", said.speaker);
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
            self.check_order();
            self.check_banned();
            self.forget_the_empty();
        }
    }

    fn living(&self) -> Vec<usize> {
        let can_send = |&who: &usize| {
            let client = &self.clients[who];
            let is_somebody = !client.is_control;
            let is_there = client.place.as_ref().is_none_or(|place| place.lost.is_none());
            is_somebody && !client.is_gone && !client.is_dismissed && client.parted.is_none() && is_there
        };
        (0..self.clients.len()).filter(can_send).collect()
    }

    fn somebody(&self, chance: &mut dyn Chance) -> Option<usize> {
        let living = self.living();
        if living.is_empty() { None } else { Some(*chance.pick(&living)) }
    }

    /// Nobody of before is here any more, as the server was killed, and what it has told of names is so still.
    pub(crate) fn killed(&mut self, wall: SystemTime, is_all_there: bool) {
        self.trace(|| {
            format!("the server was killed, and {} of the ledger is left", if is_all_there { "all" } else { "some" })
        });
        for who in 0..self.clients.len() {
            self.forget(who);
        }
        self.open.clear();
        self.mutes.clear();
        self.bans.clear();
        self.hidden_after(is_all_there);
        self.order_after(wall, is_all_there);
        self.check_promises(self.world.register(), wall);
        self.check_operators(self.world.register());
    }

    /// Tells what happens, where a single run is watched.
    fn trace(&self, what: impl FnOnce() -> String) {
        if self.is_traced {
            eprintln!("{} {:?}: {}", self.step, self.world.waited(), what());
        }
    }

    fn count(&mut self, what: &'static str) {
        *self.counted.entry(what).or_default() += 1;
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
        if !W::AT_ONCE {
            self.check_order_at_rest();
        }
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

    /// Whether anybody waits for an answer, or to have their place again.
    pub fn is_waiting(&self) -> bool {
        let is_away = |client: &Client| client.place.as_ref().is_some_and(|place| place.lost.is_some());
        let waits = |client: &Client| is_away(client) || client.due.iter().any(|due| due.is_certain);
        self.clients.iter().any(|client| !client.is_gone && waits(client))
    }

    /// Whether all have gone.
    pub fn is_empty(&self) -> bool {
        self.clients.iter().all(|client| client.is_gone)
    }
}
