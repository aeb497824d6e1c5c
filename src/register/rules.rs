//! What is so of a room besides what is said in it.

use std::collections::{BTreeSet, HashMap};

use super::entry::{Ban, Entry, Founder, Role, Rule, Who};
use crate::limits;
use crate::names::{Nick, RoomName, Text};

/// What is so of a room besides what is said in it.
#[derive(Debug, Default)]
pub struct Rules {
    pub(super) founder: Option<Founder>,
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
    pub(super) topic: Option<Text>,
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
        self.erased_with(seq).is_some()
    }

    /// The first and the last of the messages around this one that are shown to nobody, if it is one of these.
    pub fn erased_with(&self, seq: u64) -> Option<(u64, u64)> {
        let after = self.erased.partition_point(|(first, _)| *first <= seq);
        self.erased[..after].last().copied().filter(|(_, last)| seq <= *last)
    }

    /// The number of the last message that is shown to nobody; 0 if there is none, or if it is one that no room comes to.
    pub fn last_erased(&self) -> u64 {
        self.erased.last().map(|(_, last)| *last).filter(|last| last + 1 < limits::LAST_SEQ).unwrap_or(0)
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
    pub(super) fn is_nothing(&self) -> bool {
        self.lines() == usize::from(self.founder == Some(Founder::Guest)) + usize::from(self.topic.is_some())
    }

    /// The messages from one number to another are shown to nobody. No two stretches of them touch each other.
    pub(super) fn erase(&mut self, (mut first, mut last): (u64, u64)) {
        let from = self.erased.partition_point(|(_, end)| end.saturating_add(1) < first);
        let to = self.erased.partition_point(|(start, _)| *start <= last.saturating_add(1));
        for (start, end) in self.erased.drain(from..to.max(from)) {
            (first, last) = (first.min(start), last.max(end));
        }
        self.erased.insert(from, (first, last));
    }

    pub(super) fn set_role(&mut self, nick: Nick, role: Option<Role>) {
        let known = self.roles.iter().position(|(other, _)| *other == nick);
        match (known, role) {
            (Some(at), Some(role)) if self.roles[at].1 == role => {}
            (known, role) => {
                known.map(|at| self.roles.remove(at));
                self.roles.extend(role.map(|role| (nick, role)));
            }
        }
    }

    pub(super) fn set_rule(&mut self, rule: Rule) {
        self.rules.retain(|other| other.kind() != rule.kind());
        if rule != rule.kind().at_first() {
            self.rules.push(rule);
        }
    }

    pub(super) fn ban(&mut self, ban: Ban) {
        self.last_ban = self.last_ban.max(ban.id);
        self.change_bans(|bans| match bans.binary_search_by_key(&ban.id, |other| other.id) {
            Ok(at) => bans[at] = ban,
            Err(at) => bans.insert(at, ban),
        });
    }

    pub(super) fn unban(&mut self, id: u64) {
        self.change_bans(|bans| bans.retain(|ban| ban.id != id));
    }

    /// There is no ban of this number, and no other will have it.
    pub(super) fn pass_over_ban(&mut self, id: u64) {
        self.last_ban = self.last_ban.max(id);
        self.unban(id);
    }

    pub(super) fn invite(&mut self, nick: Nick, on: bool) {
        match self.invited.binary_search(&nick) {
            Ok(at) if !on => drop(self.invited.remove(at)),
            Err(at) if on => self.invited.insert(at, nick),
            Ok(_) | Err(_) => {}
        }
    }

    /// Everything is shown again.
    pub(super) fn show_all(&mut self) {
        self.erased = Vec::new();
    }

    fn change_bans(&mut self, change: impl FnOnce(&mut Vec<Ban>)) {
        change(&mut self.bans);
        self.banned = self.names_banned();
    }

    fn names_banned(&self) -> Vec<Nick> {
        let names = self.bans.iter().filter_map(|ban| match ban.who {
            Who::Name(nick) => Some(nick),
            Who::Guest(_) | Who::Pattern(_) => None,
        });
        names.collect::<BTreeSet<_>>().into_iter().collect()
    }

    /// Those who have something in the room by their names. Panics unless all that is kept twice agrees; for tests.
    pub(super) fn check(&self) -> impl Iterator<Item = &Nick> {
        assert_eq!(self.banned, self.names_banned(), "names that are banned");
        let founder = self.founder.as_ref().and_then(|founder| match founder {
            Founder::Owner(nick) => Some(nick),
            Founder::Gone | Founder::Guest => None,
        });
        self.roles.iter().map(|(nick, _)| nick).chain(&self.invited).chain(founder).chain(&self.banned)
    }

    /// Nothing is left of names that were lost since this was last done; the eldest op follows a founder.
    pub(super) fn take_rights(&mut self, lost: &HashMap<Nick, u64>, losses: u64) {
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

    pub(super) fn entries(&self, room: RoomName) -> impl Iterator<Item = Entry> + '_ {
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
    pub(super) fn lines_of_guests(&self) -> usize {
        if matches!(self.founder, Some(Founder::Owner(_))) { 0 } else { self.lines() }
    }

    pub(super) fn lines(&self) -> usize {
        let lists = [self.roles.len(), self.rules.len(), self.bans.len(), self.invited.len(), self.erased.len()];
        usize::from(self.founder.is_some()) + usize::from(self.topic.is_some()) + lists.iter().sum::<usize>()
    }

    /// Entries that take back all that is so of it but for what is shown to nobody, as if it were new.
    pub(super) fn clearing(&self, room: RoomName) -> Vec<Entry> {
        let roles = self.roles.iter().map(|&(nick, _)| Entry::Role { room, nick, role: None });
        let set = self.rules.iter().map(|rule| Entry::Rule { room, rule: rule.kind().at_first() });
        let bans = self.bans.iter().map(|ban| Entry::Unban { room, id: ban.id });
        let invited = self.invited.iter().map(|&nick| Entry::Invite { room, nick, on: false });
        roles.chain(set).chain(bans).chain(invited).collect()
    }
}
