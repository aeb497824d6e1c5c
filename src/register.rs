//! The register: which names are owned, by what their owners prove themselves, what rooms have for rules, and who is blocked.
//!
//! It is what the entries of the ledger make of it. Whoever is shown under an owned name has proved to be its owner, so the
//! register need not know who is online.

mod blocks;
pub mod entry;
mod names;
mod rules;

use std::collections::{BTreeMap, HashMap};
use std::ops::Bound;
use std::time::Duration;

pub use blocks::Blocks;
pub use entry::{
    Author, Ban, BanKind, Block, BlockScope, Blocked, Entry, Founder, Guests, Network, PasswordHash, Role, Rule, Who,
};
pub use names::{Owned, Proof};
pub use rules::Rules;

use crate::event::Standing;
use crate::limits;
use crate::names::{Nick, RoomName};
use crate::time::Day;
use names::{Name, Names};

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
            Entry::Name { nick, since, password } => {
                self.set_name(Name::Owned(Owned::new(nick, since, password, ownership)));
            }
            Entry::Token { nick, used, digest } => self.change(&nick, |owned| owned.note_token(digest, used)),
            Entry::Untoken(nick) => self.change(&nick, Owned::forget_tokens),
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
                self.change_room(room, |rules| rules.pass_over_ban(id));
            }
            Entry::Role { room, nick, role } => self.change_room(room, |rules| rules.set_role(nick, role)),
            Entry::Rule { room, rule } => self.change_room(room, |rules| rules.set_rule(rule)),
            Entry::Topic { room, topic } => self.change_room(room, |rules| rules.topic = topic),
            Entry::Ban { room, ban } => self.change_room(room, |rules| rules.ban(ban)),
            Entry::Unban { room, id } => self.change_room(room, |rules| rules.unban(id)),
            Entry::Invite { room, nick, on } => self.change_room(room, |rules| rules.invite(nick, on)),
            Entry::Erase { room, first, last } => self.change_room(room, |rules| rules.erase((first, last))),
            Entry::Block(Block { id, who: Blocked::Name(nick), .. }) if !self.is_owned(&nick) => {
                self.change_blocks(|blocks| blocks.pass_over(id));
            }
            Entry::Anew { room } => self.change_room(room, Rules::show_all),
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

    /// Entries that say all of this again, but for what means nothing any more on this day. Blocks that are over go when an operator has to
    /// do with blocks.
    pub fn entries(&self, today: Day) -> impl Iterator<Item = Entry> + '_ {
        let today = self.surely(today);
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
        let blocks = self.blocks.iter().cloned().map(Entry::Block);
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

    /// The last day since which nobody owns a name that is held.
    pub fn last_held(&self) -> Option<Day> {
        let since = |name: &Name| match name {
            Name::Owned(_) => None,
            Name::Held(_, day) => Some(*day),
        };
        self.names.iter().filter_map(since).max()
    }

    /// This day, or the last on which an owner was here, if that is before: one start with a clock that is ahead takes nothing for good.
    fn surely(&self, today: Day) -> Day {
        let seen = |name: &Name| match name {
            Name::Owned(owned) => Some(owned.seen.max(owned.since)),
            Name::Held(..) => None,
        };
        self.names.iter().filter_map(seen).max().map_or(today, |last| last.min(today))
    }

    /// The names that nobody owns since a day after this one.
    pub fn held_after(&self, day: Day) -> Vec<Nick> {
        let is_after = |name: &&Name| matches!(name, Name::Held(_, since) if *since > day);
        self.names.iter().filter(is_after).map(Name::nick).collect()
    }

    /// Whether one name more fits, with what belongs to it.
    pub fn has_room(&self) -> bool {
        self.names.len() < limits::NAMES && self.lines + limits::TOKENS < limits::LEDGER_LINES
    }

    /// Forgets the names that were held for long enough.
    pub fn forget_held(&mut self, today: Day) {
        let today = self.surely(today);
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
        self.rooms.get(&room).map(|rules| rules.clearing(room)).unwrap_or_default()
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

    /// How many names have owners. It looks at every name.
    pub fn owners(&self) -> usize {
        self.names.iter().filter(|name| matches!(name, Name::Owned(_))).count()
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
            let waiting = rules.check().find(|nick| !self.is_owned(nick));
            assert_eq!(waiting, None, "nobody owns the name that has something in {room}");
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::SystemTime;

    use proptest::prelude::*;

    use super::*;
    use crate::names::{Digest, Text};

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
        assert_eq!((owners(&register)[2].clone(), register.len(), register.owners()), (None, 3, 2));
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
