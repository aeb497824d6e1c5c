//! What holds in a room: who may come in, who is heard, and who sees to that.

use std::borrow::Cow;
use std::time::{Duration, SystemTime};

use crate::event::{Meant, Owning, Rank, Silence};
use crate::guestbook::{Guestbook, Spoke};
use crate::names::{Nick, Origin, PersonId, Text, Was};
use crate::register::Rules;
use crate::register::entry::{Ban, BanKind, Founder, Guests, Role, Rule, RuleKind, Who};
use crate::settings;
use crate::time::Now;
use crate::unicode::fold;

/// Somebody who is online, as the rules know people.
#[derive(Clone, Copy, Debug)]
pub struct Someone<'a> {
    /// Who it is.
    pub id: PersonId,
    /// What they are called.
    pub nick: Nick,
    /// The name that they have proved to own, if they have; nobody else is a guest.
    pub owned: Option<Nick>,
    /// The name that they own, where it is asked what they may do when they own it no more.
    pub leaves: Option<Nick>,
    /// Whom they were before: what they did to be banned or slowed, they did.
    pub was: &'a [Was],
    /// Whether people may own names here.
    pub accounts: settings::Accounts,
    /// The network that they come from.
    pub origin: Origin,
}

impl Someone<'_> {
    /// Whether they own this name, or are just leaving it, or left it before.
    fn is_or_was(&self, owner: &Nick) -> bool {
        self.owned == Some(*owner) || self.leaves == Some(*owner) || self.was_owner(owner)
    }

    fn was_owner(&self, owner: &Nick) -> bool {
        self.was.iter().any(|was| matches!(was, Was::Owner(nick) if nick.get() == *owner))
    }

    /// Whether they are this person, or were one of several connections of theirs.
    fn is_person(&self, who: PersonId) -> bool {
        self.id == who || self.was.contains(&Was::Person(who))
    }

    /// How they could come to own a name.
    pub fn owning(&self) -> Owning {
        Owning::of(&self.nick, self.accounts)
    }
}

/// The rules of a room that are in force: those that last, and what the room knows of its guests.
#[derive(Clone, Copy, Debug)]
pub struct InForce<'a> {
    /// What lasts.
    pub rules: &'a Rules,
    /// What goes with those who are here.
    pub book: &'a Guestbook,
    /// What guests may do on the whole server.
    pub guests: settings::Guests,
}

impl<'a> InForce<'a> {
    /// What somebody is in the room.
    pub fn rank(self, someone: &Someone<'_>) -> Option<Rank> {
        let by_stay = self.book.role(someone.id).map(Rank::from);
        self.rank_of_name(someone.owned.as_ref()).max(by_stay)
    }

    /// What the owner of a name is in the room, wherever they are.
    pub fn rank_of_name(self, owned: Option<&Nick>) -> Option<Rank> {
        let owned = owned?;
        if self.rules.founder() == Some(Founder::Owner(*owned)) {
            return Some(Rank::Founder);
        }
        self.rules.roles().iter().find(|(nick, _)| nick == owned).map(|(_, role)| Rank::from(*role))
    }

    /// Whether somebody may do what ops may.
    pub fn is_op(self, someone: &Someone<'_>) -> bool {
        self.rank(someone) >= Some(Rank::Op)
    }

    /// Whether somebody may do so whether they are in the room or not: by the name that they own.
    pub fn is_op_by_name(self, someone: &Someone<'_>) -> bool {
        self.rank_of_name(someone.owned.as_ref()) >= Some(Rank::Op)
    }

    /// Whether the room has a founder, here or not.
    pub fn has_founder(self) -> bool {
        matches!(self.rules.founder(), Some(Founder::Owner(_)))
    }

    /// Whether the room has somebody who may do what ops may, here or not.
    pub fn has_ops(self) -> bool {
        self.has_founder() || self.names(Role::Op).next().is_some() || self.guests(Role::Op).next().is_some()
    }

    /// Whether somebody is the founder.
    pub fn is_founder(self, someone: &Someone<'_>) -> bool {
        self.rank(someone) == Some(Rank::Founder)
    }

    /// Whether somebody is invited.
    pub fn is_invited(self, someone: &Someone<'_>) -> bool {
        self.book.is_invited(someone.id) || someone.owned.is_some_and(|owned| self.rules.is_invited(&owned))
    }

    /// Everybody who has this role, by name.
    pub fn names(self, role: Role) -> impl Iterator<Item = Nick> + 'a {
        self.rules.roles().iter().filter(move |(_, other)| *other == role).map(|(nick, _)| *nick)
    }

    /// Every guest who has this role.
    pub fn guests(self, role: Role) -> impl Iterator<Item = PersonId> + 'a {
        self.book.roles().iter().filter(move |(_, other)| *other == role).map(|(who, _)| *who)
    }

    /// Whether a rule is at this value, which is not the one that it has in a new room.
    pub fn holds(self, rule: &Rule) -> bool {
        self.rules.rules().contains(rule)
    }

    /// What a rule is.
    pub fn rule(self, kind: RuleKind) -> Rule {
        let set = self.rules.rules().iter().find(|rule| rule.kind() == kind);
        set.cloned().unwrap_or_else(|| kind.at_first())
    }

    /// The rules that are not at the value that they have in a new room, in the order in which they are listed.
    pub fn special(self) -> Vec<RuleKind> {
        let mut kinds: Vec<RuleKind> = self.rules.rules().iter().map(Rule::kind).collect();
        kinds.sort_unstable();
        kinds
    }

    /// The word without which nobody comes in who is not invited, if there is one.
    pub fn key(self) -> Option<Text> {
        match self.rule(RuleKind::Key) {
            Rule::Key(key) => key,
            _ => None,
        }
    }

    /// What guests may do: what the room lets them, or no more than to listen where the server wants it so.
    pub fn guests_may(self) -> Guests {
        let here = match self.rule(RuleKind::Guests) {
            Rule::Guests(guests) => guests,
            _ => Guests::Speak,
        };
        match self.guests {
            settings::Guests::On => here,
            settings::Guests::Listen | settings::Guests::Off => here.max(Guests::Listen),
        }
    }

    /// Whether somebody sees what was said before the room had this message, which is the last before they came.
    pub fn sees_after(self, who: PersonId) -> u64 {
        let hides = self.holds(&Rule::Past(false));
        self.book.came_after(who).filter(|_| hides).unwrap_or(0)
    }

    /// The ban or mute that is for somebody, if one is. `since` is the serial number of when they came into the room, if they have.
    pub fn ban_of(self, kind: BanKind, someone: &Someone<'_>, since: Option<u64>, wall: SystemTime) -> Option<&'a Ban> {
        // An op by name is put in their place by taking the rank.
        if self.rules.bans().is_empty() || self.is_op_by_name(someone) {
            return None;
        }
        // A room may have hundreds of bans, and whoever comes in is looked for among them.
        let was = someone.was.iter().filter_map(|was| match was {
            Was::Owner(nick) => Some(nick.get()),
            Was::Person(_) => None,
        });
        let mut names = someone.owned.into_iter().chain(someone.leaves).chain(was);
        let is_named = names.any(|nick| self.rules.has_ban_of(&nick));
        let name = fold(someone.nick.as_str());
        let is_for = |ban: &&Ban| {
            let is_now = || ban.until.is_none_or(|until| wall < until);
            ban.kind == kind && self.is_for(ban, (someone, is_named, &name), since) && is_now()
        };
        self.rules.bans().iter().find(is_for)
    }

    /// Why a ban is for somebody, if it is.
    pub fn meant(self, ban: &Ban, someone: &Someone<'_>) -> Meant {
        let is_own = || self.book.ban(ban.id).is_some_and(|guest| someone.is_person(guest.who));
        match ban.who {
            Who::Pattern(_) => Meant::Called,
            Who::Guest(_) if !is_own() => Meant::Network,
            Who::Guest(_) | Who::Name(_) => Meant::Them,
        }
    }

    /// Whether a ban is for somebody, whose name is given folded too. It is known whether any is for a name that they own or owned.
    fn is_for(self, ban: &Ban, (someone, is_named, name): (&Someone<'_>, bool, &str), since: Option<u64>) -> bool {
        match &ban.who {
            Who::Name(nick) => is_named && someone.is_or_was(nick),
            Who::Pattern(pattern) => someone.owned.is_none() && fits(pattern.as_str(), name),
            Who::Guest(_) => {
                let guest = self.book.ban(ban.id);
                let came_later = since.is_none_or(|since| guest.is_none_or(|guest| guest.since < since));
                let is_from_there = || match (ban.network, someone.origin) {
                    (Some(network), Origin::Network(prefix)) => network.covers(prefix),
                    _ => false,
                };
                guest.is_some_and(|guest| someone.is_person(guest.who))
                    || (someone.owned.is_none() && came_later && is_from_there())
            }
        }
    }

    /// Why somebody is not heard in the room, whatever they would say, if they are not.
    pub fn silence(self, someone: &Someone<'_>, since: Option<u64>, wall: SystemTime) -> Option<(Silence, Meant)> {
        if let Some(mute) = self.ban_of(BanKind::Mute, someone, since, wall) {
            return Some((Silence::Muted(mute.until), self.meant(mute, someone)));
        }
        let rank = self.rank(someone);
        let why = match rank {
            Some(_) => None,
            None if self.holds(&Rule::Moderated(true)) => Some(Silence::Moderated),
            None => self.is_for_listeners(someone).then_some(Silence::Guests(someone.owning())),
        };
        why.map(|why| (why, Meant::Them))
    }

    /// Whether somebody may do no more than listen as they are a guest, if they have no rank.
    pub fn is_for_listeners(self, someone: &Someone<'_>) -> bool {
        someone.owned.is_none() && self.guests_may() != Guests::Speak && !self.is_invited(someone)
    }

    /// How often one may say something, if that is limited.
    pub fn slow(self) -> Option<Duration> {
        match self.rule(RuleKind::Slow) {
            Rule::Slow(every) => every.map(Duration::from_secs),
            _ => None,
        }
    }

    /// Why somebody may not say something just now, if they have not long ago. `since` is the serial number of when they came into the
    /// room, if they have: a guest may be whoever said something before from the same network.
    pub fn slowed(self, someone: &Someone<'_>, since: Option<u64>, now: Now) -> Option<Silence> {
        let every = self.slow().filter(|_| self.rank(someone).is_none())?;
        let may_be_them = |spoke: &Spoke| {
            someone.owned.is_none()
                && someone.origin != Origin::Loopback
                && someone.origin == spoke.origin
                && since.is_none_or(|since| spoke.serial < since)
        };
        let is_owner = |spoke: &Spoke| spoke.owned.as_ref().is_some_and(|owned| someone.is_or_was(&owned.get()));
        let is_them = |spoke: &Spoke| someone.is_person(spoke.who) || is_owner(spoke) || may_be_them(spoke);
        let until = self.book.spoke(is_them)? + every;
        let seconds = |span: Duration| u32::try_from(span.as_millis().div_ceil(1_000)).unwrap_or(u32::MAX);
        (now.at < until).then(|| Silence::Slow { every: seconds(every), left: seconds(until - now.at) })
    }
}

impl From<Role> for Rank {
    fn from(role: Role) -> Self {
        match role {
            Role::Voice => Self::Voice,
            Role::Op => Self::Op,
        }
    }
}

/// Whether a name, which is folded, fits a pattern, in which `*` stands for anything, without regard to case. Whoever comes into a
/// room is compared with hundreds of them, so nothing is made of a pattern in ASCII beforehand.
fn fits(pattern: &str, name: &str) -> bool {
    let folded = if pattern.is_ascii() { Cow::Borrowed(pattern) } else { fold(pattern) };
    let (pattern, name) = (folded.as_bytes(), name.as_bytes());
    let (mut at, mut read) = (0, 0);
    // What follows the last star, and from where on in the name that is looked for.
    let mut star = None;
    loop {
        match (pattern.get(at), name.get(read)) {
            (Some(b'*'), _) => {
                at += 1;
                star = Some((at, read));
            }
            (Some(want), Some(byte)) if want.to_ascii_lowercase() == *byte => (at, read) = (at + 1, read + 1),
            (None, None) => return true,
            _ => match star {
                // The star stands for one byte more.
                Some((after, from)) if from < name.len() => {
                    star = Some((after, from + 1));
                    (at, read) = (after, from + 1);
                }
                _ => return false,
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_star_stands_for_anything() {
        for (pattern, name, want) in [
            ("spam*", "spam", true),
            ("SPAM*", "Spammer", true),
            ("spam*", "aspam", false),
            ("*spam", "aspam", true),
            ("*spam", "spam1", false),
            ("s*a*m", "spaam", true),
            ("s*a*m", "sam", true),
            ("s*a*m", "sm", false),
            ("ab*ba", "aba", false),
            ("ab*ba", "abba", true),
            ("*a*b*c*", "xaybzc", true),
            ("abc", "abc", true),
            ("abc", "abcd", false),
            ("*ГР*", "выгрузка", true),
            ("*a**b", "xaxb", true),
            ("*ab", "aab", true),
            ("*spam*bot*", "spamspambo", false),
            ("*é", "É", true),
            ("abc*", "ab", false),
        ] {
            assert_eq!(fits(pattern, &fold(name)), want, "{pattern} {name}");
        }
    }
}
