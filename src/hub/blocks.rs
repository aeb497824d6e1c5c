//! Who may not come to the server, and what the operator may change of it while it runs.

use std::time::Duration;

use crate::effect::Output;
use crate::event::{Barring, Bye, Deed, Detail, Done, Fault, Lock, NoBlock, Quota};
use crate::limits;
use crate::names::{ConnId, Origin, Text, Wire};
use crate::people::{Person, Way};
use crate::policy::{Action, receive};
use crate::register::entry::{Block, BlockScope, Blocked, Entry, Network};
use crate::request::Barred;
use crate::settings::{Accounts, ServerSetting};
use crate::time::{Now, end_of};

use super::bans::short_reason;
use super::{Alarm, Hub, Locked, Turn};

/// Coming in.
impl Hub {
    /// Why nobody who comes from somewhere is taken in now, if that is so.
    pub fn turns_away(&self, origin: Origin, now: Now) -> Option<Bye> {
        let is_too_often = self.settings.rate > 0 && !self.connects.has_left(origin, limits::CONNECTS, now.at);
        self.reception(origin, now).err().or(is_too_often.then_some(Bye::TooOften))
    }

    /// A connection has come in for which there was no place, as too many came from its network, and wants to prove that it is an
    /// owner's. It is not counted, as it goes unless that lets it in.
    pub fn try_login(&mut self, conn: ConnId, origin: Origin, wire: Wire, now: Now) {
        let until = now.at + limits::LOCKED;
        self.locked.insert(conn, Locked { is_on_trial: true, ..Locked::new(origin, wire, until) });
        self.alarm(until, Alarm::Locked(conn));
    }

    /// Closes the connection whose turn it is if it was to prove that it is an owner's, and has not.
    pub(super) fn end_trial(&mut self, turn: &mut Turn<'_, impl Output>) {
        let is_on_trial = self.locked.get(&turn.conn).is_some_and(|locked| locked.is_on_trial);
        if is_on_trial && !self.is_waiting(turn.conn) {
            self.close(turn.conn, Bye::TooOften, turn);
        }
    }

    /// Who comes through a connection has been here before, as they take up a place, and so is not counted as newly come.
    pub fn recognise(&mut self, conn: ConnId, now: Now) {
        self.connects.free(conn, now.at);
    }

    /// What somebody who comes from somewhere must prove before they are let in, or why they may not come at all.
    pub(super) fn reception(&self, origin: Origin, now: Now) -> Result<Option<Lock>, Bye> {
        let lock = receive(self.scope_of(origin, now), self.settings.guests, self.password.is_some())?;
        let is_for_nobody = lock == Some(Lock::Guests) && self.accounts_here() == Accounts::Off;
        Ok(if is_for_nobody { Some(Lock::Everybody) } else { lock })
    }

    /// What is to be proved through a connection before somebody is let in.
    pub(super) fn lock_of(&self, conn: ConnId, now: Now) -> Option<Lock> {
        let locked = self.locked.get(&conn)?;
        // Who may not come at all has been closed.
        Some(self.reception(locked.origin, now).ok().flatten().unwrap_or(Lock::Guests))
    }

    /// Who may not come from somewhere, if anybody may not.
    pub(super) fn scope_of(&self, origin: Origin, now: Now) -> Option<BlockScope> {
        match origin {
            Origin::Loopback => None,
            Origin::Network(prefix) => self.register().blocks().scope_of(prefix, now.wall),
        }
    }

    /// Whether whose turn it is may give up being the owner of their name, and stay: where guests may not come from, nobody
    /// becomes one.
    pub(super) fn may_be_guest(&self, turn: &Turn<'_, impl Output>) -> Result<(), Fault> {
        self.may(turn.who, Action::BeGuest(self.scope_of(self.origin(turn), turn.now)))
    }

    /// Closes a connection if who is here through it is a guest now, and guests may not come from there.
    pub(super) fn close_if_blocked(&mut self, conn: ConnId, turn: &mut Turn<'_, impl Output>) {
        let Some((person, way)) = self.people.at(conn).zip(self.people.way(conn)) else { return };
        if self.owned_by(person).is_none() && self.scope_of(way.origin, turn.now).is_some() {
            self.close(conn, Bye::GuestsBlocked { in_clear: self.settings.clear_passwords }, turn);
        }
    }
}

/// The requests of operators.
impl Hub {
    pub(super) fn block(
        &mut self,
        whom: Barred<'_>,
        (scope, time, reason): (BlockScope, Option<Duration>, Option<&str>),
        turn: &mut Turn<'_, impl Output>,
    ) -> Result<Done, Fault> {
        let reason = short_reason(reason)?;
        let who = self.to_block(whom, scope, turn)?;
        if self.has_no_place() {
            self.end_blocks_over(turn);
        }
        let (blocks, is_full) = (self.register().blocks(), self.has_no_place());
        let known = blocks.of(who).filter(|block| block.holds(turn.now.wall)).cloned();
        let id = match &known {
            Some(block) => block.id,
            None if is_full => return Err(Fault::TooMany(Quota::Blocks)),
            None => blocks.next(),
        };
        let until = time.filter(|time| !time.is_zero()).and_then(|time| end_of(turn.now.wall, time));
        let was = known.as_ref().map(|known| (known.scope == BlockScope::Guests, known.until));
        let (by, reason) = (self.by(turn)?, reason.unwrap_or_else(|| Text::new("")));
        let is_same = |known: Block| (known.scope, known.until, &known.reason) == (scope, until, &reason);
        if !known.is_some_and(is_same) {
            self.audit(Deed::Block { id, scope, who, until, reason: reason.clone() }, turn);
            self.note(vec![Entry::Block(Block { id, scope, who, until, by, reason })], turn.out);
        }
        let closed = self.close_blocked(who, scope, turn);
        self.tell_lasting(Barring::Block(scope, who), until, was, turn);
        Ok(Done::Block { id, who, closed })
    }

    /// Who is meant to be blocked, if they may be.
    fn to_block(&self, whom: Barred<'_>, scope: BlockScope, turn: &Turn<'_, impl Output>) -> Result<Blocked, Fault> {
        let own = self.people.get(turn.who);
        let network = match whom {
            Barred::Network(network) => network,
            Barred::Nick(nick) => {
                let subject = self.subject(nick, turn)?;
                if let Some(owned) = subject.owned {
                    return match scope {
                        BlockScope::Guests => Err(Fault::NoBlock(NoBlock::Owner(owned))),
                        BlockScope::All if self.account(turn) == Some(owned) => Err(Fault::NoBlock(NoBlock::Own)),
                        BlockScope::All => Ok(Blocked::Name(owned)),
                    };
                }
                match self.find_person(nick, turn)?.origin() {
                    Origin::Loopback => return Err(Fault::NoBlock(NoBlock::Local(subject.nick))),
                    Origin::Network(prefix) => Network::from(prefix),
                }
            }
        };
        let least = match network {
            Network::V4 { .. } => limits::BLOCK_BITS_V4,
            Network::V6 { .. } => limits::BLOCK_BITS_V6,
        };
        let is_own = |way: &Way| is_from(way.origin, network);
        let why = if network.meets_loopback() {
            NoBlock::Loopback(network)
        } else if self.settings.proxies.iter().any(|proxy| proxy.known().meets(network)) {
            NoBlock::Proxy(network)
        } else if network.bits() < least {
            NoBlock::TooWide { least }
        } else if own.is_some_and(|own| self.people.ways(own).any(is_own)) {
            NoBlock::Own
        } else {
            return Ok(Blocked::Network(network));
        };
        Err(Fault::NoBlock(why))
    }

    /// Closes the connections of those who are blocked, and tells how many these are. Those that prove first who they are may still
    /// do so where only guests are blocked.
    fn close_blocked(&mut self, who: Blocked, scope: BlockScope, turn: &mut Turn<'_, impl Output>) -> usize {
        let is_meant = |person: &Person| match who {
            Blocked::Name(nick) => self.owned_by(person) == Some(nick),
            Blocked::Network(_) => scope == BlockScope::All || self.owned_by(person).is_none(),
        };
        let is_there = |origin: Origin| match who {
            Blocked::Name(_) => true,
            Blocked::Network(network) => is_from(origin, network),
        };
        let ways = self.people.iter().filter(|person| is_meant(person)).flat_map(|person| self.people.ways(person));
        let mut conns: Vec<ConnId> = ways.filter(|way| is_there(way.origin)).map(|way| way.conn).collect();
        if let (Blocked::Network(network), BlockScope::All) = (who, scope) {
            let locked = self.locked.iter().filter(|(_, locked)| is_from(locked.origin, network));
            conns.extend(locked.map(|(conn, _)| *conn));
        }
        conns.sort_unstable();
        let bye = if scope == BlockScope::Guests {
            Bye::GuestsBlocked { in_clear: self.settings.clear_passwords }
        } else {
            Bye::Blocked
        };
        conns.iter().for_each(|&conn| self.close(conn, bye, turn));
        conns.len()
    }

    fn has_no_place(&self) -> bool {
        self.register().blocks().len() >= limits::BLOCKS || self.register().lines() >= limits::LEDGER_LINES
    }

    /// Blocks that have ended make place for others. Before that they stay in the ledger, as the clock may have been wrong by which
    /// they have.
    fn end_blocks_over(&mut self, turn: &mut Turn<'_, impl Output>) {
        let over = self.register().blocks().over(self.accounts.surely(turn.now).wall);
        self.note(over.into_iter().map(Entry::Unblock).collect(), turn.out);
    }

    pub(super) fn unblock(&mut self, id: u64, turn: &mut Turn<'_, impl Output>) -> Result<Done, Fault> {
        let known = self.register().blocks().get(id).filter(|block| block.holds(turn.now.wall));
        let who = known.ok_or(Fault::NoSuchBlock(id))?.who;
        self.audit(Deed::Unblock { id, who }, turn);
        self.note(vec![Entry::Unblock(id)], turn.out);
        Ok(Done::Unblock(id))
    }

    pub(super) fn server(
        &mut self,
        change: Option<ServerSetting>,
        turn: &mut Turn<'_, impl Output>,
    ) -> Result<Done, Fault> {
        if let Some(change) = change {
            if matches!(change, ServerSetting::Accounts(_)) && self.settings.log.is_none() {
                return Err(Fault::KeepsNothing);
            }
            if !self.settings.of_server().contains(&change) {
                self.settings.set(change);
                self.audit(Deed::Server(change), turn);
            }
        }
        for setting in self.settings.of_server() {
            turn.out.detail(turn.conn, &Detail::Server(setting));
        }
        Ok(Done::Server)
    }
}

fn is_from(origin: Origin, network: Network) -> bool {
    match origin {
        Origin::Loopback => false,
        Origin::Network(prefix) => network.covers(prefix),
    }
}
