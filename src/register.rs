//! The register: which names are owned, by what their owners prove themselves, what rooms have for rules, and who is blocked.
//!
//! It is what the entries of the ledger make of it. Whoever is shown under an owned name has proved to be its owner, so the
//! register need not know who is online.

mod blocks;
pub mod entry;

use std::collections::{BTreeMap, HashMap};
use std::ops::Bound;
use std::time::{Duration, SystemTime};

use slab::Slab;

pub use blocks::Blocks;
pub use entry::{
    Author, Ban, BanKind, Block, BlockScope, Blocked, Entry, Founder, Guests, Network, PasswordHash, Role, Rule, Who,
};

use crate::event::Standing;
use crate::limits;
use crate::names::{Digest, KeptNick, Nick, RoomName, Text};
use crate::nametable::NameTable;
use crate::time::Day;

/// All that outlives the process besides what was said and shared.
#[derive(Debug, Default)]
pub struct Register {
    names: Names,
    rooms: BTreeMap<RoomName, Rules>,
    blocks: Blocks,
    /// Lines of a ledger that says no more than this.
    lines: usize,
    /// Those of them that are about rooms which nobody owns.
    of_guests: usize,
    /// How often a name has come to an owner, see [`Owned::ownership`].
    ownerships: u32,
    /// How often a name has ceased to be its owner's.
    losses: u64,
    /// Which of these was the last one of each name whose rights in rooms are still to be taken, see [`Register::settle`].
    lost: HashMap<Nick, u64>,
}

/// The names that are owned or held. No two of them look alike, but for those that were owned before they did.
#[derive(Debug, Default)]
struct Names {
    names: Slab<Box<Name>>,
    by_nick: NameTable<usize>,
}

impl Names {
    fn find(&self, nick: &Nick) -> Option<usize> {
        self.by_nick.find(nick, |at| self.names.get(at).map(|name| name.nick()))
    }

    fn get(&self, nick: &Nick) -> Option<&Name> {
        self.names.get(self.find(nick)?).map(|name| &**name)
    }

    fn get_mut(&mut self, nick: &Nick) -> Option<&mut Name> {
        let at = self.find(nick)?;
        self.names.get_mut(at).map(|name| &mut **name)
    }

    /// Those that look like this one.
    fn like(&self, nick: &Nick) -> impl Iterator<Item = &Name> {
        let like = self.by_nick.like(nick, |at| self.names.get(at).map(|name| name.nick()));
        like.into_iter().filter_map(|at| self.names.get(at)).map(|name| &**name)
    }

    /// A name that is here is spelled so from now on.
    fn respell(&mut self, nick: Nick) {
        if self.get(&nick).is_none_or(|name| name.nick().as_str() == nick.as_str()) {
            return;
        }
        if let Some(Name::Owned(owned)) = self.remove(&nick).map(|name| *name) {
            self.insert(Name::Owned(Owned { nick: nick.into(), ..owned }));
        }
    }

    /// Puts in a name that is not here.
    fn insert(&mut self, name: Name) {
        let nick = name.nick();
        let at = self.names.insert(Box::new(name));
        let Self { names, by_nick } = self;
        by_nick.insert(at, &nick, |at| names.get(at).map(|name| name.nick()));
    }

    fn remove(&mut self, nick: &Nick) -> Option<Box<Name>> {
        let at = self.find(nick)?;
        let name = self.names.try_remove(at)?;
        self.by_nick.remove(at, &name.nick());
        Some(name)
    }

    fn len(&self) -> usize {
        self.names.len()
    }

    fn iter(&self) -> impl Iterator<Item = &Name> {
        self.names.iter().map(|(_, name)| &**name)
    }
}

/// A name that is somebody's, or was.
#[derive(Debug)]
enum Name {
    Owned(Owned),
    /// Given up or expired on this day.
    Held(KeptNick, Day),
}

impl Name {
    fn nick(&self) -> Nick {
        match self {
            Self::Owned(owned) => owned.nick.get(),
            Self::Held(nick, _) => nick.get(),
        }
    }

    fn lines(&self) -> usize {
        match self {
            Self::Owned(owned) => owned.entries().count(),
            Self::Held(..) => 1,
        }
    }
}

/// A name that somebody owns.
#[derive(Debug)]
pub struct Owned {
    nick: KeptNick,
    since: Day,
    seen: Day,
    is_operator: bool,
    password: Option<PasswordHash>,
    /// The one that was made first stands first.
    tokens: Vec<Token>,
    once: Option<Box<(SystemTime, Digest)>>,
    ownership: u32,
}

/// A secret for programs, of which only the digest is known.
#[derive(Clone, Copy, Debug)]
struct Token {
    digest: Digest,
    used: Day,
}

/// By what somebody has proved to own a name.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Proof {
    /// By a token; `is_news` if it was not used yet on this day.
    Token {
        /// Whether this is to be written down.
        is_news: bool,
    },
    /// By one that is good once.
    Once,
}

impl Owned {
    /// The name, as its owner spelled it first.
    pub fn nick(&self) -> Nick {
        self.nick.get()
    }

    /// Since when it is theirs.
    pub fn since(&self) -> Day {
        self.since
    }

    /// On which day they were here last, as far as that is written down.
    pub fn seen(&self) -> Day {
        self.seen
    }

    /// Which time of a name's coming to an owner, in this process, theirs is. It is another one when it is granted anew.
    pub fn ownership(&self) -> u32 {
        self.ownership
    }

    /// Whether they are an operator.
    pub fn is_operator(&self) -> bool {
        self.is_operator
    }

    /// What is known of their password, if they have one.
    pub fn password(&self) -> Option<&PasswordHash> {
        self.password.as_ref()
    }

    /// How many tokens are good.
    pub fn tokens(&self, today: Day) -> usize {
        self.tokens.iter().filter(|token| token.is_good(today)).count()
    }

    /// When the token of this digest was last used, if there is one, also if it is good no more.
    pub fn last_use(&self, digest: Digest) -> Option<Day> {
        self.tokens.iter().find(|token| token.digest == digest).map(|token| token.used)
    }

    /// What a token of this digest proves, if anything.
    pub fn prove(&self, digest: Digest, wall: SystemTime) -> Option<Proof> {
        let today = Day::of(wall);
        let token = self.tokens.iter().find(|token| token.digest == digest && token.is_good(today));
        let token = token.map(|token| Proof::Token { is_news: token.used < today });
        let is_good = |once: &&(SystemTime, Digest)| once.1 == digest && wall < once.0;
        token.or_else(|| self.once.as_deref().filter(is_good).map(|_| Proof::Once))
    }

    fn entries(&self) -> impl Iterator<Item = Entry> + '_ {
        let nick = self.nick.get();
        let name = Entry::Name { nick, since: self.since, password: self.password };
        let seen = (self.seen != self.since).then_some(Entry::Seen { nick, day: self.seen });
        let operator = self.is_operator.then_some(Entry::Operator { nick, on: true });
        let once = self.once.as_deref().map(|&(until, digest)| Entry::Once { nick, until, digest });
        let tokens = self.tokens.iter().map(move |&Token { digest, used }| Entry::Token { nick, used, digest });
        std::iter::once(name).chain(seen).chain(operator).chain(once).chain(tokens)
    }
}

impl Token {
    fn is_good(&self, today: Day) -> bool {
        !self.used.is_over(limits::TOKEN_GOOD, today)
    }
}

/// What is so of a room besides what is said in it.
#[derive(Debug, Default)]
pub struct Rules {
    founder: Option<Founder>,
    /// Who has been one for longest stands first.
    roles: Vec<(Nick, Role)>,
    /// Each kind of rule once, and none that is as at first.
    rules: Vec<Rule>,
    /// In the order of their numbers.
    bans: Vec<Ban>,
    /// The greatest number that a ban ever had.
    last_ban: u64,
    /// The names among those who are banned or muted, in their order, so that nobody else need be looked for among the bans.
    banned: Vec<Nick>,
    /// In their order.
    invited: Vec<Nick>,
    /// In the order of their numbers; no two touch each other.
    erased: Vec<(u64, u64)>,
    /// How many losses of names had been when the rights of those were last taken here.
    losses: u64,
    /// What it is about.
    topic: Option<Text>,
}

impl Rules {
    /// Of a room of which nothing is so.
    pub const NONE: &'static Self = &Self {
        founder: None,
        roles: Vec::new(),
        rules: Vec::new(),
        bans: Vec::new(),
        last_ban: 0,
        banned: Vec::new(),
        invited: Vec::new(),
        erased: Vec::new(),
        losses: 0,
        topic: None,
    };

    /// Whose it is, if that is known.
    pub fn founder(&self) -> Option<Founder> {
        self.founder
    }

    /// What owned names are there besides; who has been one for longest comes first.
    pub fn roles(&self) -> &[(Nick, Role)] {
        &self.roles
    }

    /// The rules that are not as they are in a room that nobody owns.
    pub fn rules(&self) -> &[Rule] {
        &self.rules
    }

    /// Who may not come in or be heard, in the order of their numbers.
    pub fn bans(&self) -> &[Ban] {
        &self.bans
    }

    /// The number of the next ban.
    pub fn next_ban(&self) -> u64 {
        self.last_ban + 1
    }

    /// Whether a ban or a mute is for this name.
    pub fn has_ban_of(&self, nick: &Nick) -> bool {
        self.banned.binary_search(nick).is_ok()
    }

    /// How many names are invited.
    pub fn invited(&self) -> usize {
        self.invited.len()
    }

    /// Whether a name is invited.
    pub fn is_invited(&self, nick: &Nick) -> bool {
        self.invited.binary_search(nick).is_ok()
    }

    /// Which messages are shown to nobody.
    pub fn erased(&self) -> &[(u64, u64)] {
        &self.erased
    }

    /// Whether a message is shown to nobody, by its number.
    pub fn is_erased(&self, seq: u64) -> bool {
        let after = self.erased.partition_point(|(first, _)| *first <= seq);
        self.erased[..after].last().is_some_and(|(_, last)| seq <= *last)
    }

    /// How many of the messages from one number to another are shown.
    pub fn shown(&self, first: u64, last: u64) -> u64 {
        let gone = self.erased.iter().map(|&(from, to)| {
            let (from, to) = (from.max(first), to.min(last));
            if from <= to { to - from + 1 } else { 0 }
        });
        (last + 1).saturating_sub(first) - gone.sum::<u64>()
    }

    /// What it is about, if it has or had a founder. Of others the log tells it.
    pub fn topic(&self) -> Option<&Text> {
        self.topic.as_ref()
    }

    /// Whether a guest made it, and no name has a rank in it.
    pub fn is_of_guests(&self) -> bool {
        self.founder == Some(Founder::Guest) && self.roles.is_empty()
    }

    /// Whether it keeps something from others, as guests alone want it: then it goes with the last who is in it.
    pub fn goes_when_empty(&self) -> bool {
        self.is_of_guests() && self.rules.iter().any(Rule::is_restriction)
    }

    /// Whether it was forgotten, and nobody has made it since. Only then is the message taken back that there never is, which has
    /// the number 0.
    pub fn is_forgotten(&self) -> bool {
        self.is_erased(0)
    }

    /// Whether nothing is so of it. That a guest made it, and what it is about, is nothing by itself.
    fn is_nothing(&self) -> bool {
        self.lines() == usize::from(self.founder == Some(Founder::Guest)) + usize::from(self.topic.is_some())
    }

    /// The messages from one number to another are shown to nobody. No two stretches of them touch each other.
    fn erase(&mut self, (mut first, mut last): (u64, u64)) {
        let from = self.erased.partition_point(|(_, end)| end.saturating_add(1) < first);
        let to = self.erased.partition_point(|(start, _)| *start <= last.saturating_add(1));
        for (start, end) in self.erased.drain(from..to.max(from)) {
            (first, last) = (first.min(start), last.max(end));
        }
        self.erased.insert(from, (first, last));
    }

    fn set_role(&mut self, nick: Nick, role: Option<Role>) {
        let known = self.roles.iter().position(|(other, _)| *other == nick);
        match (known, role) {
            (Some(at), Some(role)) if self.roles[at].1 == role => {}
            (known, role) => {
                known.map(|at| self.roles.remove(at));
                self.roles.extend(role.map(|role| (nick, role)));
            }
        }
    }

    fn change_bans(&mut self, change: impl FnOnce(&mut Vec<Ban>)) {
        change(&mut self.bans);
        self.banned.clear();
        self.banned.extend(self.bans.iter().filter_map(|ban| match ban.who {
            Who::Name(nick) => Some(nick),
            Who::Guest(_) | Who::Pattern(_) => None,
        }));
        self.banned.sort_unstable();
        self.banned.dedup();
    }

    /// Nothing is left of names that were lost since this was last done; the eldest op follows a founder.
    fn take_rights(&mut self, lost: &HashMap<Nick, u64>, losses: u64) {
        let before = std::mem::replace(&mut self.losses, losses);
        let is_lost = |nick: &Nick| lost.get(nick).is_some_and(|&loss| loss > before);
        let had = self.lines();
        self.roles.retain(|(nick, _)| !is_lost(nick));
        self.invited.retain(|nick| !is_lost(nick));
        if self.banned.iter().any(is_lost) {
            self.change_bans(|bans| bans.retain(|ban| !matches!(&ban.who, Who::Name(nick) if is_lost(nick))));
        }
        let is_followed = matches!(&self.founder, Some(Founder::Owner(nick)) if is_lost(nick));
        if is_followed {
            let eldest = self.roles.iter().position(|(_, role)| *role == Role::Op);
            let next = eldest.map(|at| self.roles.remove(at).0);
            self.founder = Some(next.map_or(Founder::Gone, Founder::Owner));
        }
        if (is_followed || self.lines() < had) && self.is_nothing() {
            *self = Self { losses, ..Self::default() };
        }
    }

    fn entries(&self, room: RoomName) -> impl Iterator<Item = Entry> + '_ {
        let founder = self.founder.map(|founder| Entry::Room { room, founder });
        let roles = self.roles.iter().map(move |&(nick, role)| Entry::Role { room, nick, role: Some(role) });
        let rules = self.rules.iter().map(move |rule| Entry::Rule { room, rule: rule.clone() });
        let bans = self.bans.iter().map(move |ban| Entry::Ban { room, ban: ban.clone() });
        let invited = self.invited.iter().map(move |&nick| Entry::Invite { room, nick, on: true });
        let erased = self.erased.iter().map(move |&(first, last)| Entry::Erase { room, first, last });
        let topic = self.topic.iter().map(move |topic| Entry::Topic { room, topic: Some(topic.clone()) });
        // That a guest made it and what it is about mean nothing by themselves, and so would be forgotten if they came first.
        roles.chain(rules).chain(bans).chain(invited).chain(erased).chain(founder).chain(topic)
    }

    /// Its lines, if nobody owns it.
    fn lines_of_guests(&self) -> usize {
        if matches!(self.founder, Some(Founder::Owner(_))) { 0 } else { self.lines() }
    }

    fn lines(&self) -> usize {
        let lists = [self.roles.len(), self.rules.len(), self.bans.len(), self.invited.len(), self.erased.len()];
        usize::from(self.founder.is_some()) + usize::from(self.topic.is_some()) + lists.iter().sum::<usize>()
    }
}

/// Changes what is so of a room, and with it how many lines say that, in all and of rooms which nobody owns.
fn counted(rules: &mut Rules, (lines, of_guests): (&mut usize, &mut usize), change: impl FnOnce(&mut Rules)) {
    let (old, old_of_guests) = (rules.lines(), rules.lines_of_guests());
    change(rules);
    *lines = *lines - old + rules.lines();
    *of_guests = *of_guests - old_of_guests + rules.lines_of_guests();
}

impl Register {
    /// What is so when this has been so too.
    pub fn apply(&mut self, entry: Entry) {
        self.apply_all([entry]);
    }

    /// What is so when all of this has been so too, in its order.
    pub fn apply_all(&mut self, entries: impl IntoIterator<Item = Entry>) {
        entries.into_iter().for_each(|entry| self.read(entry));
        self.settle();
    }

    /// The same as [`Register::apply`], but rooms may have something of names that are nobody's any more until [`Register::settle`]. Of
    /// many entries each may be the end of a name, and all rooms are looked through once.
    pub fn read(&mut self, entry: Entry) {
        let ownership = self.ownerships.wrapping_add(1);
        if matches!(entry, Entry::Name { .. } | Entry::Once { .. }) {
            self.ownerships = ownership;
        }
        match entry {
            Entry::Name { nick, since, password } if self.is_owned(&nick) => {
                self.change(&nick, |owned| (owned.since, owned.password) = (since, password));
                self.names.respell(nick);
            }
            Entry::Name { nick, since, password } => self.set_name(Name::Owned(Owned {
                nick: nick.into(),
                since,
                seen: since,
                is_operator: false,
                password,
                tokens: Vec::new(),
                once: None,
                ownership,
            })),
            Entry::Token { nick, used, digest } => {
                self.change(&nick, |owned| match owned.tokens.iter_mut().find(|token| token.digest == digest) {
                    Some(token) => token.used = used,
                    None => {
                        if owned.tokens.len() >= limits::TOKENS {
                            let eldest = (0..owned.tokens.len()).min_by_key(|&at| owned.tokens[at].used);
                            eldest.map(|at| owned.tokens.remove(at));
                        }
                        owned.tokens.reserve_exact(1);
                        owned.tokens.push(Token { digest, used });
                    }
                })
            }
            Entry::Untoken(nick) => self.change(&nick, |owned| {
                owned.tokens = Vec::new();
                owned.once = None;
            }),
            Entry::Once { nick, until, digest } => {
                self.change(&nick, |owned| {
                    (owned.once, owned.ownership) = (Some(Box::new((until, digest))), ownership);
                });
            }
            Entry::Seen { nick, day } => self.change(&nick, |owned| owned.seen = day),
            Entry::Operator { nick, on } => self.change(&nick, |owned| owned.is_operator = on),
            Entry::Drop { nick, day } => self.drop_name(nick, day),
            // A role is of an owner, as a ban by name is; without one it would wait for the next.
            Entry::Room { room, founder: Founder::Owner(nick) } if !self.is_owned(&nick) => {
                self.change_room(room, |rules| rules.founder = Some(Founder::Gone));
            }
            // What else is so of it may come behind this.
            Entry::Room { room, founder: Founder::Guest } => {
                self.change_rules(room, |rules| rules.founder = Some(Founder::Guest));
            }
            Entry::Room { room, founder } => self.change_room(room, |rules| {
                if let Founder::Owner(nick) = founder {
                    rules.set_role(nick, None);
                }
                rules.founder = Some(founder);
            }),
            Entry::Role { nick, role: Some(_), .. } | Entry::Invite { nick, on: true, .. } if !self.is_owned(&nick) => {
            }
            Entry::Ban { room, ban: Ban { id, who: Who::Name(nick), .. } } if !self.is_owned(&nick) => {
                self.change_room(room, |rules| {
                    rules.last_ban = rules.last_ban.max(id);
                    rules.bans.retain(|other| other.id != id);
                });
            }
            Entry::Role { room, nick, role } => self.change_room(room, |rules| rules.set_role(nick, role)),
            Entry::Rule { room, rule } => self.change_room(room, |rules| {
                rules.rules.retain(|other| other.kind() != rule.kind());
                if rule != rule.kind().at_first() {
                    rules.rules.push(rule);
                }
            }),
            Entry::Topic { room, topic } => self.change_room(room, |rules| rules.topic = topic),
            Entry::Ban { room, ban } => self.change_room(room, |rules| {
                rules.last_ban = rules.last_ban.max(ban.id);
                rules.change_bans(|bans| match bans.binary_search_by_key(&ban.id, |other| other.id) {
                    Ok(at) => bans[at] = ban,
                    Err(at) => bans.insert(at, ban),
                });
            }),
            Entry::Unban { room, id } => {
                self.change_room(room, |rules| rules.change_bans(|bans| bans.retain(|ban| ban.id != id)));
            }
            Entry::Invite { room, nick, on } => {
                self.change_room(room, |rules| match rules.invited.binary_search(&nick) {
                    Ok(at) if !on => drop(rules.invited.remove(at)),
                    Err(at) if on => rules.invited.insert(at, nick),
                    Ok(_) | Err(_) => {}
                })
            }
            Entry::Erase { room, first, last } => self.change_room(room, |rules| rules.erase((first, last))),
            Entry::Block(Block { id, who: Blocked::Name(nick), .. }) if !self.is_owned(&nick) => {
                self.change_blocks(|blocks| blocks.pass_over(id));
            }
            Entry::Anew { room } => self.change_room(room, |rules| rules.erased = Vec::new()),
            Entry::Block(block) => self.change_blocks(|blocks| blocks.insert(block)),
            Entry::Unblock(id) => self.change_blocks(|blocks| blocks.remove(id)),
        }
    }

    fn set_name(&mut self, name: Name) {
        let nick = name.nick();
        // What is held and looks like it is the same name, and there the last word counts. What somebody owns stays theirs.
        let goes = |old: &&Name| matches!(old, Name::Held(..)) || old.nick() == nick;
        let old: Vec<Nick> = self.names.like(&nick).filter(goes).map(Name::nick).collect();
        for old in old.iter().filter_map(|old| self.names.remove(old)).collect::<Vec<_>>() {
            self.lines -= old.lines();
            if matches!(*old, Name::Owned(_)) {
                self.losses += 1;
                self.lost.insert(old.nick(), self.losses);
                self.change_blocks(|blocks| blocks.drop_name(old.nick()));
            }
        }
        // What looks like it keeps everybody else from it anyway.
        if matches!(name, Name::Held(..)) && self.names.get(&nick).is_some() {
            return;
        }
        self.lines += name.lines();
        self.names.insert(name);
    }

    /// Changes an owned name. An entry about a name without an owner means nothing.
    fn change(&mut self, nick: &Nick, change: impl FnOnce(&mut Owned)) {
        if let Some(Name::Owned(owned)) = self.names.get_mut(nick) {
            let old = owned.entries().count();
            change(owned);
            self.lines = self.lines - old + owned.entries().count();
        }
    }

    fn change_room(&mut self, room: RoomName, change: impl FnOnce(&mut Rules)) {
        self.change_rules(room, change);
        if self.rooms.get(&room).is_some_and(Rules::is_nothing)
            && let Some(rules) = self.rooms.remove(&room)
        {
            self.lines -= rules.lines();
            self.of_guests -= rules.lines_of_guests();
        }
    }

    fn change_rules(&mut self, room: RoomName, change: impl FnOnce(&mut Rules)) {
        let Self { rooms, lost, losses, lines, of_guests, .. } = self;
        let rules = rooms.entry(room).or_default();
        counted(rules, (lines, of_guests), |rules| {
            rules.take_rights(lost, *losses);
            change(rules);
        });
    }

    fn drop_name(&mut self, nick: Nick, day: Day) {
        // However it is spelled there, it is one name that goes.
        let nick = self.names.get(&nick).map_or(nick, Name::nick);
        self.set_name(Name::Held(nick.into(), day));
    }

    /// Nothing that a name had is left to the next owner. That is to be done when all of a ledger is read.
    pub fn settle(&mut self) {
        let lost = std::mem::take(&mut self.lost);
        if lost.is_empty() {
            return;
        }
        let Self { rooms, losses, lines, of_guests, .. } = self;
        rooms.retain(|_, rules| {
            counted(rules, (lines, of_guests), |rules| rules.take_rights(&lost, *losses));
            rules.lines() > 0
        });
    }

    fn change_blocks(&mut self, change: impl FnOnce(&mut Blocks)) {
        let old = self.blocks.len();
        change(&mut self.blocks);
        self.lines = self.lines - old + self.blocks.len();
    }

    /// Entries that say all of this again, but for what means nothing any more on this day.
    pub fn entries(&self, today: Day) -> impl Iterator<Item = Entry> + '_ {
        // A name that was dropped takes with it what is said of it before, so it comes first.
        let held = self.names.iter().filter_map(move |name| match name {
            Name::Held(nick, day) if !day.is_over(limits::NAME_HELD, today) => {
                Some(Entry::Drop { nick: nick.get(), day: *day })
            }
            _ => None,
        });
        let owned = self.names.iter().filter_map(|name| match name {
            Name::Owned(owned) => Some(owned),
            Name::Held(..) => None,
        });
        let owned = owned.flat_map(Owned::entries);
        let owned = owned.filter(move |entry| match entry {
            Entry::Token { used, .. } => !used.is_over(limits::TOKEN_GOOD, today),
            Entry::Once { until, .. } => Day::of(*until) >= today,
            _ => true,
        });
        let rooms = self.rooms.iter().flat_map(|(room, rules)| rules.entries(*room));
        let blocks = self.blocks.iter().filter(move |block| block.until.is_none_or(|until| Day::of(until) >= today));
        let blocks = blocks.cloned().map(Entry::Block);
        held.chain(owned).chain(rooms).chain(blocks)
    }

    /// The owner of a name, if it has one.
    pub fn owned(&self, nick: &Nick) -> Option<&Owned> {
        match self.names.get(nick)? {
            Name::Owned(owned) => Some(owned),
            Name::Held(..) => None,
        }
    }

    /// Whether a name is owned which is this one, and not only looks like it.
    fn is_owned(&self, nick: &Nick) -> bool {
        self.owned(nick).is_some_and(|owned| owned.nick() == *nick)
    }

    /// The owned names that look like other ones that are owned. It looks at every name.
    pub fn alike(&self) -> impl Iterator<Item = Nick> {
        let owned = |name: &&Name| matches!(name, Name::Owned(_));
        let nicks = self.names.iter().filter(owned).map(Name::nick);
        nicks.filter(move |nick| self.names.like(nick).filter(owned).count() > 1)
    }

    /// The owners who are operators, in an order that means nothing.
    pub fn operators(&self) -> impl Iterator<Item = Nick> {
        let is_one = |name: &&Name| matches!(name, Name::Owned(owned) if owned.is_operator);
        self.names.iter().filter(is_one).map(Name::nick)
    }

    /// The names that are owned or held and look like this one.
    pub fn like(&self, nick: &Nick, today: Day) -> impl Iterator<Item = (Nick, Standing)> {
        self.names.like(nick).filter_map(move |name| match name {
            Name::Owned(owned) => Some((owned.nick(), Standing::Owned)),
            Name::Held(nick, day) if !day.is_over(limits::NAME_HELD, today) => Some((nick.get(), Standing::Held)),
            Name::Held(..) => None,
        })
    }

    /// How it stands with a name.
    pub fn standing(&self, nick: &Nick, today: Day) -> Standing {
        let is = |which| self.like(nick, today).any(|(_, standing)| standing == which);
        let known = [Standing::Owned, Standing::Held].into_iter().find(|&which| is(which));
        known.unwrap_or(Standing::Free)
    }

    /// The names whose owners have not been here for so long.
    pub fn expired(&self, ttl: Duration, today: Day) -> Vec<Nick> {
        let is_over = |name: &Name| match name {
            Name::Owned(owned) => owned.seen.max(owned.since).is_over(ttl, today),
            Name::Held(..) => false,
        };
        self.names.iter().filter(|name| is_over(name)).map(Name::nick).collect()
    }

    /// Whether one name more fits, with what belongs to it.
    pub fn has_room(&self) -> bool {
        self.names.len() < limits::NAMES && self.lines + limits::TOKENS < limits::LEDGER_LINES
    }

    /// Forgets the names that were held for long enough.
    pub fn forget_held(&mut self, today: Day) {
        let is_over = |name: &Name| matches!(name, Name::Held(_, day) if day.is_over(limits::NAME_HELD, today));
        let over: Vec<Nick> = self.names.iter().filter(|name| is_over(name)).map(Name::nick).collect();
        for nick in over {
            self.lines -= self.names.remove(&nick).map_or(0, |name| name.lines());
        }
    }

    /// Forgets the rooms of which nothing is so. That is to be done when all of a ledger is read.
    pub fn forget_nothings(&mut self) {
        let Self { rooms, lines, of_guests, .. } = self;
        rooms.retain(|_, rules| {
            if rules.is_nothing() {
                *lines -= rules.lines();
                *of_guests -= rules.lines_of_guests();
            }
            !rules.is_nothing()
        });
    }

    /// Entries that take back all that is so of a room but for what is shown to nobody, as if it were new.
    pub fn clearing(&self, room: RoomName) -> Vec<Entry> {
        let Some(rules) = self.rooms.get(&room) else { return Vec::new() };
        let roles = rules.roles.iter().map(|&(nick, _)| Entry::Role { room, nick, role: None });
        let set = rules.rules.iter().map(|rule| Entry::Rule { room, rule: rule.kind().at_first() });
        let bans = rules.bans.iter().map(|ban| Entry::Unban { room, id: ban.id });
        let invited = rules.invited.iter().map(|&nick| Entry::Invite { room, nick, on: false });
        roles.chain(set).chain(bans).chain(invited).collect()
    }

    /// What is so of a room, if anything is.
    pub fn room(&self, room: &RoomName) -> Option<&Rules> {
        self.rooms.get(room)
    }

    /// The name of a room as it was first given, if anything is so of the room.
    pub fn room_name(&self, room: RoomName) -> RoomName {
        self.rooms.get_key_value(&room).map_or(room, |(name, _)| *name)
    }

    /// The rooms of which a name is the founder.
    pub fn founded(&self, nick: &Nick) -> Vec<RoomName> {
        self.founded_by(|founder| founder == nick)
    }

    /// The rooms of which one of these names is the founder.
    pub fn founded_by(&self, is_one: impl Fn(&Nick) -> bool) -> Vec<RoomName> {
        let is_theirs = |rules: &Rules| matches!(&rules.founder, Some(Founder::Owner(nick)) if is_one(nick));
        self.rooms.iter().filter(|(_, rules)| is_theirs(rules)).map(|(room, _)| *room).collect()
    }

    /// The rooms of which anything is so, by name.
    pub fn rooms(&self) -> impl Iterator<Item = (&RoomName, &Rules)> {
        self.rooms.iter()
    }

    /// The rooms of which anything is so and whose names come after this one, by name.
    pub fn rooms_after(&self, name: Option<RoomName>) -> impl Iterator<Item = RoomName> {
        let from = name.map_or(Bound::Unbounded, Bound::Excluded);
        self.rooms.range((from, Bound::Unbounded)).map(|(name, _)| *name)
    }

    /// Who may not come to the server.
    pub fn blocks(&self) -> &Blocks {
        &self.blocks
    }

    /// Lines of a ledger that says no more than this.
    pub fn lines(&self) -> usize {
        self.lines
    }

    /// Those of them that are about rooms which nobody owns.
    pub fn lines_of_guests(&self) -> usize {
        self.of_guests
    }

    /// How many names are owned or held.
    pub fn len(&self) -> usize {
        self.names.len()
    }

    /// Whether nothing is known at all.
    pub fn is_empty(&self) -> bool {
        self.lines == 0
    }

    /// Panics unless what is counted is right; for tests.
    pub fn check(&self) {
        let names: usize = self.names.iter().map(Name::lines).sum();
        let rooms: usize = self.rooms.values().map(Rules::lines).sum();
        self.blocks.check();
        let of_guests: usize = self.rooms.values().map(Rules::lines_of_guests).sum();
        assert_eq!(self.of_guests, of_guests, "lines about rooms that nobody owns");
        assert_eq!(self.lines, names + rooms + self.blocks.len(), "lines of the register");
        for (room, rules) in &self.rooms {
            let founder = match rules.founder {
                Some(Founder::Owner(nick)) => Some(nick),
                _ => None,
            };
            let ranked = rules.roles.iter().map(|(nick, _)| nick).chain(&rules.invited).chain(&founder);
            let banned = rules.bans.iter().filter_map(|ban| match &ban.who {
                Who::Name(nick) => Some(nick),
                Who::Guest(_) | Who::Pattern(_) => None,
            });
            let waiting = ranked.chain(banned).find(|nick| !self.is_owned(nick));
            assert_eq!(waiting, None, "nobody owns the name that has something in {room}");
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn nick(name: &str) -> Nick {
        Nick::new(name).unwrap()
    }

    fn room() -> RoomName {
        RoomName::new("#lobby").unwrap()
    }

    fn day(text: &str) -> Day {
        Day::new(text).unwrap()
    }

    fn name(name: &str) -> Entry {
        let password = PasswordHash { memory: 7168, passes: 5, salt: [0; 16], hash: [0; 32] };
        Entry::Name { nick: nick(name), since: day("2026-11-28"), password: Some(password) }
    }

    fn role(name: &str, role: Role) -> Entry {
        Entry::Role { room: room(), nick: nick(name), role: Some(role) }
    }

    fn ban(id: u64, who: Who) -> Entry {
        let (kind, by, reason) = (BanKind::Ban, Author::Server, Text::new(""));
        Entry::Ban { room: room(), ban: Ban { id, kind, who, network: None, until: None, by, reason } }
    }

    fn register(entries: Vec<Entry>) -> Register {
        let mut register = Register::default();
        for entry in entries {
            register.apply(entry);
            register.check();
        }
        register
    }

    #[test]
    fn nothing_of_a_dropped_name_is_left_to_the_next_owner() {
        let token = |used| Entry::Token { nick: nick("alice"), used: day(used), digest: Digest([1; 32]) };
        let mut register = register(vec![
            name("alice"),
            name("bob"),
            name("carol"),
            token("2026-11-28"),
            Entry::Operator { nick: nick("alice"), on: true },
            Entry::Room { room: room(), founder: Founder::Owner(nick("alice")) },
            role("bob", Role::Voice),
            role("carol", Role::Op),
            role("bob", Role::Op),
            Entry::Invite { room: room(), nick: nick("alice"), on: true },
            ban(1, Who::Name(nick("alice"))),
            ban(2, Who::Guest(nick("alice"))),
            Entry::Drop { nick: nick("alice"), day: day("2026-12-01") },
        ]);
        let standing = |register: &Register, today| register.standing(&nick("ALICE"), day(today));
        assert_eq!(standing(&register, "2026-12-30"), Standing::Held);
        assert_eq!(standing(&register, "2026-12-31"), Standing::Free);
        let rules = register.room(&room()).unwrap();
        assert_eq!(rules.founder(), Some(Founder::Owner(nick("carol"))));
        assert_eq!(rules.roles(), [(nick("bob"), Role::Op)]);
        assert_eq!(rules.bans().iter().map(|ban| ban.id).collect::<Vec<_>>(), [2]);
        assert_eq!(rules.invited(), 0);
        assert!(!rules.has_ban_of(&nick("alice")) && !rules.is_invited(&nick("alice")));
        // What is told of a name without an owner waits for nobody.
        for entry in [token("2026-12-02"), role("alice", Role::Op), Entry::Operator { nick: nick("alice"), on: true }] {
            register.apply(entry);
        }
        register.apply(name("alice"));
        register.check();
        let alice = register.owned(&nick("alice")).unwrap();
        assert!(!alice.is_operator() && alice.tokens(day("2026-12-02")) == 0);
        assert_eq!(register.room(&room()).unwrap().roles(), [(nick("bob"), Role::Op)]);
    }

    #[test]
    fn what_it_says_of_itself_says_the_same_again() {
        let block = Block {
            id: 7,
            scope: BlockScope::All,
            who: Blocked::Network(Network::V4 { octets: [192, 0, 2, 0], len: 24 }),
            until: None,
            by: Author::Server,
            reason: Text::new("spam"),
        };
        let until = SystemTime::UNIX_EPOCH + Duration::from_secs(1_797_000_000);
        let one = register(vec![
            name("alice"),
            Entry::Seen { nick: nick("alice"), day: day("2026-12-02") },
            Entry::Token { nick: nick("alice"), used: day("2026-11-28"), digest: Digest([1; 32]) },
            Entry::Token { nick: nick("alice"), used: day("2026-12-01"), digest: Digest([2; 32]) },
            Entry::Once { nick: nick("alice"), until, digest: Digest([3; 32]) },
            Entry::Operator { nick: nick("alice"), on: true },
            role("alice", Role::Op),
            Entry::Rule { room: room(), rule: Rule::Limit(Some(3)) },
            Entry::Rule { room: room(), rule: Rule::Limit(None) },
            Entry::Room { room: room(), founder: Founder::Guest },
            ban(1, Who::Guest(nick("eve"))),
            ban(2, Who::Guest(nick("eve"))),
            Entry::Unban { room: room(), id: 1 },
            Entry::Invite { room: room(), nick: nick("alice"), on: true },
            Entry::Erase { room: room(), first: 41, last: 43 },
            Entry::Block(block),
            Entry::Drop { nick: nick("bob"), day: day("2026-11-28") },
        ]);
        let today = day("2026-11-28");
        let entries: Vec<Entry> = one.entries(today).collect();
        let two = register(entries.clone());
        assert_eq!(two.entries(today).collect::<Vec<_>>(), entries);
        assert_eq!((one.lines(), two.lines()), (entries.len(), entries.len()));
        assert_eq!(two.room(&room()).unwrap().founder(), Some(Founder::Guest));
    }

    #[test]
    fn that_a_guest_made_a_room_may_be_said_before_its_rules_and_behind_them() {
        let hidden = |on| Entry::Rule { room: room(), rule: Rule::Hidden(on) };
        let made = || Entry::Room { room: room(), founder: Founder::Guest };
        for entries in [vec![made(), hidden(true)], vec![hidden(true), made()]] {
            let mut register = register(entries);
            assert!(register.room(&room()).unwrap().goes_when_empty());
            register.apply(hidden(false));
            assert!(register.is_empty() && register.room(&room()).is_none());
        }
        // By itself it is nothing to be said again.
        let mut alone = register(vec![made()]);
        alone.forget_nothings();
        alone.check();
        assert!(alone.is_empty());
    }

    #[test]
    fn an_entry_is_about_one_name_that_looks_so() {
        let founder =
            |room, who: &str| Entry::Room { room: RoomName::new(room).unwrap(), founder: Founder::Owner(nick(who)) };
        let dropped = |who: &str| Entry::Drop { nick: nick(who), day: day("2026-11-30") };
        let owners = |register: &Register| {
            ["lan", "ian", "alice"].map(|who| register.owned(&nick(who)).map(|owned| owned.nick().to_string()))
        };
        let some = |who: &str| Some(who.to_owned());
        let begin = || {
            let names = vec![name("lan"), name("ian"), name("alice"), founder("#lan", "lan"), founder("#a", "alice")];
            register([names, vec![role("alice", Role::Op)]].concat())
        };
        // What is ian without case is ian, though it looks like lan as well.
        let mut register = begin();
        register.apply(dropped("Ian"));
        register.apply(dropped("A1ice"));
        register.check();
        assert_eq!(owners(&register), [some("lan"), None, None]);
        assert_eq!(register.founded(&nick("lan")).len(), 1);
        assert!(register.room(&room()).is_none());
        // Of two that look alike each stays its owner's, and has what is its own.
        let mut register = begin();
        register.apply(name("A1ice"));
        register.check();
        let owner = |register: &Register, who: &str| register.owned(&nick(who)).map(|owned| owned.nick().to_string());
        assert_eq!((owner(&register, "alice"), owner(&register, "a1ice")), (some("alice"), some("A1ice")));
        assert_eq!(register.alike().count(), 2);
        assert!(register.room(&room()).is_some() && register.founded(&nick("A1ice")).is_empty());
        register.apply(dropped("A1ice"));
        register.check();
        assert_eq!((owner(&register, "alice"), owner(&register, "a1ice")), (some("alice"), some("alice")));
        assert!(register.like(&nick("alice"), day("2026-11-30")).all(|(_, standing)| standing == Standing::Owned));
        assert_eq!((register.alike().count(), register.room(&room()).is_some()), (0, true));
        // A name that is spelled anew is found under both spellings.
        let mut register = begin();
        register.apply(name("ALICE"));
        register.check();
        assert_eq!(owners(&register)[2], some("ALICE"));
        register.apply(dropped("alice"));
        assert_eq!((owners(&register)[2].clone(), register.len()), (None, 3));
    }

    proptest! {
        #[test]
        fn what_is_read_at_once_says_what_is_read_one_by_one(picks in prop::collection::vec((0..10_u64, 0..4_usize, 0..2_usize), 0..60)) {
            let who = |n: usize| nick(["alice", "bob", "carol", "A1ice"][n]);
            let entry = |(kind, n, room): (u64, usize, usize)| {
                let (nick, room) = (who(n), RoomName::new(["#a", "#b"][room]).unwrap());
                let banned = |id, who| match ban(id, who) {
                    Entry::Ban { ban, .. } => Entry::Ban { room, ban },
                    other => other,
                };
                match kind {
                    0 | 1 => Entry::Drop { nick, day: day("2026-12-01") },
                    2 | 3 => Entry::Name { nick, since: day("2026-11-28"), password: None },
                    4 => Entry::Room { room, founder: Founder::Owner(nick) },
                    5 | 6 => Entry::Role { room, nick, role: Some(Role::Op) },
                    7 => Entry::Invite { room, nick, on: true },
                    8 => banned(n as u64, Who::Name(nick)),
                    _ => banned(9, Who::Guest(nick)),
                }
            };
            let entries: Vec<Entry> = picks.into_iter().map(entry).collect();
            let (mut at_once, one_by_one) = (Register::default(), register(entries.clone()));
            at_once.apply_all(entries);
            at_once.check();
            let said = |register: &Register| register.entries(day("2026-12-01")).collect::<Vec<Entry>>();
            prop_assert_eq!(said(&at_once), said(&one_by_one));
            for room in ["#a", "#b"].map(|room| RoomName::new(room).unwrap()) {
                let next = |register: &Register| register.room(&room).map(Rules::next_ban);
                prop_assert_eq!(next(&at_once), next(&one_by_one));
            }
        }
    }

    #[test]
    fn an_owned_name_takes_three_hundred_bytes() {
        let names = 20_000;
        let info = allocation_counter::measure(|| {
            let mut register = Register::default();
            for n in 0..names {
                let who = format!("name{n}");
                register.apply(name(&who));
                register.apply(Entry::Token { nick: nick(&who), used: day("2026-11-28"), digest: Digest([1; 32]) });
            }
            std::mem::forget(register);
        });
        let each = info.bytes_current / names;
        assert!(each <= 300, "{each} bytes a name");
    }
}
