//! Names that have owners: registering, logging in and out, passwords, tokens, giving up.
//!
//! Whoever is shown under an owned name has proved to be its owner, so who owns the name that they have is who they are. A
//! password takes its time, and so does the disk: the connection's next lines wait until its request has been answered.

mod request;

use std::collections::{BTreeSet, HashMap, HashSet, VecDeque};
use std::time::{Duration, SystemTime};

use sha2::{Digest as _, Sha256};

use crate::effect::{Effect, Entered, Output, PasswordResult, PasswordTask, Secret};
use crate::event::{Bye, Deed, Detail, Done, Event, Fault, Loss, Quota, Reply, Unfit, Unstored, Verb};
use crate::files::File;
use crate::limits;
use crate::meters::{PrefixCount, PrefixWindow, Window};
use crate::metrics::LoginBy;
use crate::names::{ConnId, Digest, Nick, Origin, PersonId, RoomName, Text, Token, Wire};
use crate::people::{Person, Way};
use crate::policy::may_come_as;
use crate::register::{Author, Entry, PasswordHash, Register, Rules};
use crate::request::Credential;
use crate::rooms::RoomId;
use crate::settings;
use crate::time::{Day, Now};

use super::queue::PasswordQueue;
use super::{Hub, Locked, Turn, refuse};

/// What is known of names that have owners, and what is under way about them.
#[derive(Debug)]
pub(super) struct Accounts {
    register: Register,
    secrets: Secrets,
    /// The connections whose last request has not been answered, as it waits for one of what follows.
    waiting: HashSet<ConnId>,
    /// The password that is being looked at, those that wait for that, and how many of all these come from where.
    looked_at: Option<Task>,
    queue: PasswordQueue<(Task, PasswordTask)>,
    tasks_of: PrefixCount,
    /// What the ledger has been given and has not written, in its order.
    writes: VecDeque<Write>,
    registrations: PrefixWindow,
    all_registrations: Window,
    /// What single connections have used up.
    used: HashMap<ConnId, Used>,
    /// By which token connections have come in that were let in by one.
    by_token: HashMap<ConnId, Digest>,
    /// On which day it was last looked for names that have expired.
    expired_on: Option<Day>,
    /// When the server began.
    begun: Option<Now>,
    /// Whether the log says that the time of day is ahead of the time that has passed since then.
    is_ahead: bool,
}

/// A password that is looked at, for whom, and why.
#[derive(Debug)]
struct Task {
    conn: ConnId,
    origin: Origin,
    step: Step,
}

/// Why a password is looked at.
#[derive(Debug)]
enum Step {
    /// This name shall have it, in place of that one if it has any.
    Hash { verb: Verb, nick: Nick, old: Option<PasswordHash> },
    /// It may be the one of this name, which was known as this when that was asked.
    Verify { nick: Nick, hash: PasswordHash, then: Proved },
}

/// What follows when somebody has given the right password.
#[derive(Debug)]
enum Proved {
    Login,
    /// They get this one.
    Passwd(Secret),
    Drop,
}

/// Entries on their way to the disk, and what is done when they are there.
#[derive(Debug)]
struct Write {
    entries: Vec<Entry>,
    then: Option<(ConnId, Written)>,
    /// What an operator does with it, and who that is.
    ordered: Option<(Author, Deed)>,
}

/// What a connection waits for that has had something written down.
#[derive(Debug)]
enum Written {
    Register(Nick),
    Login(Nick),
    Passwd,
    Token(Token),
    TokenOff,
    Drop,
    /// The token is good once.
    Grant(Nick, Token),
    Revoke(Nick),
    Operator(Nick, bool),
}

/// What a connection has used up, where networks are not counted.
#[derive(Debug, Default)]
struct Used {
    wrong: u8,
    registered: u32,
}

/// Random bytes that nobody can guess. Who learns the state learns nothing of what was drawn before.
struct Secrets([u8; 32]);

impl Secrets {
    fn draw(&mut self) -> [u8; 32] {
        let of = |what: &[u8]| Sha256::new().chain_update(what).chain_update(self.0).finalize().into();
        let (drawn, next) = (of(b"drawn"), of(b"next"));
        self.0 = next;
        drawn
    }
}

impl std::fmt::Debug for Secrets {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Secrets")
    }
}

impl Accounts {
    pub(super) fn new(seed: [u8; 32]) -> Self {
        Self {
            register: Register::default(),
            secrets: Secrets(seed),
            waiting: HashSet::new(),
            looked_at: None,
            queue: PasswordQueue::new(),
            tasks_of: PrefixCount::default(),
            writes: VecDeque::new(),
            registrations: PrefixWindow::new(limits::DAY),
            all_registrations: Window::new(limits::REGISTRATIONS_WINDOW),
            used: HashMap::new(),
            by_token: HashMap::new(),
            expired_on: None,
            begun: None,
            is_ahead: false,
        }
    }

    /// The day for what lapses: a clock that is set ahead while the server runs ends nobody's name. It may be a mistake, and a restart
    /// takes it as it is then.
    fn day(&self, now: Now) -> Day {
        Day::of(self.latest(now).map_or(now.wall, |latest| latest.min(now.wall)))
    }

    /// The latest that it can be by the time that has passed since the start, and what clocks may be wrong by.
    fn latest(&self, now: Now) -> Option<SystemTime> {
        self.seen(now).map(|seen| seen + limits::DAY)
    }

    /// The time of day by the time that has passed since the start.
    fn seen(&self, now: Now) -> Option<SystemTime> {
        self.begun.map(|begun| begun.wall + (now.at - begun.at))
    }

    /// The same time, but that a clock which is set ahead while the server runs takes no time from what has some left: what is over by the
    /// clock alone does not count, and is kept, as the clock may go back.
    pub(super) fn surely(&self, now: Now) -> Now {
        Now { wall: self.seen(now).map_or(now.wall, |seen| seen.min(now.wall)), ..now }
    }

    /// The last request of a connection is answered later.
    pub(super) fn wait(&mut self, conn: ConnId) {
        self.waiting.insert(conn);
    }

    /// Whether a connection that waits is still there. It waits no more.
    pub(super) fn waits_no_more(&mut self, conn: ConnId) -> bool {
        self.waiting.remove(&conn)
    }

    /// A connection is gone. What it had written down holds all the same.
    pub(super) fn forget(&mut self, conn: ConnId) {
        self.waiting.remove(&conn);
        self.used.remove(&conn);
        self.by_token.remove(&conn);
    }

    /// Whether nothing is owned and nothing under way.
    pub(super) fn is_empty(&self) -> bool {
        self.register.is_empty()
            && self.waiting.is_empty()
            && self.tasks().next().is_none()
            && self.writes.is_empty()
            && self.used.is_empty()
            && self.by_token.is_empty()
    }

    /// How many passwords wait to be looked at.
    pub(super) fn waiting_passwords(&self) -> usize {
        self.queue.len()
    }

    /// The passwords that are looked at or wait for that.
    fn tasks(&self) -> impl Iterator<Item = &Task> {
        self.looked_at.iter().chain(self.queue.iter().map(|(task, _)| task))
    }

    /// Somebody's password need not be looked at any more.
    fn let_go(&mut self, task: &Task) {
        if let Origin::Network(prefix) = task.origin {
            self.tasks_of.remove(prefix);
        }
    }

    /// What is on its way to the disk and says something of names.
    fn under_way(&self) -> impl Iterator<Item = (Nick, &Entry)> {
        let entries = self.writes.iter().flat_map(|write| &write.entries);
        entries.filter_map(|entry| Some((entry.of_name()?, entry)))
    }

    /// The names that somebody is about to own, or to prove otherwise, and that look like this one.
    fn claimed_like(&self, nick: &Nick) -> impl Iterator<Item = Nick> {
        let claims = |(claimed, entry): &(Nick, &Entry)| matches!(entry, Entry::Name { .. }) && claimed.is_like(nick);
        self.under_way().filter(claims).map(|(claimed, _)| claimed)
    }

    /// What is on its way to the disk about an owned name.
    fn changes(&self, owned: Nick) -> Changes {
        let mut changes = Changes::default();
        for (_, entry) in self.under_way().filter(|(nick, _)| *nick == owned) {
            changes.any = true;
            match entry {
                Entry::Drop { .. } => changes.goes = true,
                Entry::Name { password: None, .. } => changes.is_granted = true,
                Entry::Name { .. } => changes.password = true,
                Entry::Untoken(_) => changes.tokens_end = true,
                _ => {}
            }
        }
        changes
    }
}

/// What will be so of an owned name when the disk has what it was given. Until then another word may be the last one, so nothing
/// is begun that would undo it.
#[derive(Clone, Copy, Debug, Default)]
struct Changes {
    any: bool,
    /// It is nobody's any more.
    goes: bool,
    /// It is given to somebody, and all that its owner was proved by ends.
    is_granted: bool,
    /// It has another password.
    password: bool,
    /// No token of it is good any more.
    tokens_end: bool,
}

/// What comes from outside.
impl Hub {
    /// Takes in what an earlier process has left of names and rules. This is for the beginning, before anybody is there.
    pub fn restore_register(&mut self, register: Register, now: Now, out: &mut impl Output) {
        // Of one that was forgotten the log may be there still, if the server was killed right behind that.
        let is_left =
            |name: &RoomName, rules: &Rules| rules.is_forgotten() && rules.shown(1, self.rooms.last_of(name)) == 0;
        let goes = |(name, rules): &(&RoomName, &Rules)| rules.goes_when_empty() || is_left(name, rules);
        let going: Vec<RoomName> = register.rooms().filter(goes).map(|(name, _)| *name).collect();
        self.accounts.register = register;
        self.accounts.begun = Some(now);
        let is_lost = |hub: &Self, nick: Nick, file: &File| {
            let owned = hub.register().owned(&nick).filter(|owned| owned.nick() == nick);
            // The server may have been killed before the file was known to be of the owner before.
            owned.is_none_or(|owned| owned.is_awaited() || Day::of(file.since) < owned.since())
        };
        self.disown_files(is_lost, out);
        // Nobody is left in a room that a guest made for few.
        going.into_iter().for_each(|room| self.forget_room(room, &mut Turn::of_server(now, out)));
        self.put_away_erased();
        // A room is there already that has a file.
        let about = self.rooms.iter().filter(|(_, room)| !room.is_kept());
        let about: Vec<(RoomId, Text)> =
            about.filter_map(|(id, room)| Some((id, self.register().room(&room.name)?.topic()?.clone()))).collect();
        about.into_iter().for_each(|(id, topic)| self.rooms.set_topic(id, Some((PersonId::NOBODY, topic))));
        self.expire_names(&mut Turn::of_server(now, out));
    }

    /// Names, and what rooms have for rules.
    pub fn register(&self) -> &Register {
        &self.accounts.register
    }

    /// Whether the last request of a connection waits for a password to be looked at, for the ledger or for a reload. Its next line
    /// must wait until there is an [`Effect::Answered`].
    pub fn is_waiting(&self, conn: ConnId) -> bool {
        self.accounts.waiting.contains(&conn)
    }

    /// Whether anybody may prove to own a name here.
    pub fn takes_logins(&self) -> bool {
        self.accounts_here() != settings::Accounts::Off
    }

    /// Whether what somebody gives who comes from somewhere is looked at at once, or has a place where it waits for that.
    pub fn may_be_looked_at(&self, credential: &Credential<'_>, origin: Origin) -> bool {
        match (credential, origin) {
            (Credential::Token(_), _) | (_, Origin::Loopback) => true,
            (Credential::Password(_), Origin::Network(prefix)) => {
                self.accounts.tasks_of.has_left(prefix, limits::PASSWORDS_WAITING_OF_PREFIX)
            }
        }
    }

    /// A password has been looked at.
    pub fn password_did(&mut self, now: Now, result: PasswordResult, out: &mut impl Output) {
        let Some(task) = self.accounts.looked_at.take() else { return };
        self.accounts.let_go(&task);
        self.look_at_next(out);
        let Task { conn, step, .. } = task;
        // They may have gone meanwhile.
        if !self.accounts.waiting.remove(&conn) {
            return;
        }
        let who = self.people.at(conn).map_or(PersonId::NOBODY, |person| person.id);
        let turn = &mut Turn { now, conn, who, out };
        match (step, result) {
            (Step::Hash { verb: Verb::Register, nick, .. }, PasswordResult::Hash(hash)) => {
                let done = self.enter_name(nick, hash, turn);
                self.answer_late(Verb::Register, done, turn);
            }
            (Step::Hash { verb, nick, old }, PasswordResult::Hash(hash)) => {
                let done = self.enter_password(nick, (old, hash), turn);
                self.answer_late(verb, done, turn);
            }
            (Step::Verify { nick, hash, then }, result) => {
                let verb = then.verb();
                let is_right = result == PasswordResult::Right && self.has_password(&nick, &hash);
                let done = if is_right {
                    self.proved(nick, (hash, then), turn)
                } else {
                    self.fail_login((verb, LoginBy::Password), nick, turn)
                };
                self.answer_late(verb, done, turn);
            }
            // No hash could be made of it.
            (Step::Hash { verb, .. }, _) => self.answer_late(verb, Err(Fault::PasswordsBusy), turn),
        }
    }

    /// Entries have been written down, or cannot be.
    pub fn ledger_did(&mut self, now: Now, entered: Entered, out: &mut impl Output) {
        let Some(Write { entries, then, ordered }) = self.accounts.writes.pop_front() else { return };
        if let (Entered::Failed, Some((by, deed)), Some((conn, _))) = (entered, ordered, &then) {
            // It stands in the audit log as done.
            out.effect(Effect::Audit { conn: *conn, by, deed: Deed::NotDone(Box::new(deed)) });
        }
        if entered == Entered::Written {
            // Whoever asked for it may have gone meanwhile, and be here through other connections.
            let conn = then.as_ref().map_or(ConnId::NOBODY, |(conn, _)| *conn);
            let turn = &mut Turn { now, conn, who: PersonId::NOBODY, out: &mut *out };
            let is_revoked = matches!(then, Some((_, Written::Revoke(_))));
            let loss = if is_revoked { Loss::Revoked } else { Loss::GivenUp };
            for entry in entries {
                let mut stay = Vec::new();
                let dropped = match entry {
                    Entry::Drop { nick, .. } => {
                        let owner = self.owner_here(&nick).map(|person| person.id);
                        owner.into_iter().for_each(|who| self.let_go(who, loss, turn));
                        stay = self.bans_that_stay(|lost| *lost == nick, now);
                        self.register().founded(&nick)
                    }
                    Entry::Name { nick, password: None, .. } => {
                        self.make_way(nick, turn);
                        Vec::new()
                    }
                    Entry::Untoken(nick) => {
                        self.put_others_out(nick, then.as_ref().map(|(_, written)| written), turn);
                        Vec::new()
                    }
                    Entry::Operator { nick, on } => {
                        let owner = self.owner_here(&nick).map(|person| person.id);
                        let ways = owner.into_iter().flat_map(|who| self.people.conns_of(who));
                        turn.out.publish(&mut ways.filter(|&way| way != conn), &[Event::Operating(on)]);
                        Vec::new()
                    }
                    _ => Vec::new(),
                };
                let lost = if let Entry::Drop { nick, .. } = entry { Some(nick) } else { None };
                if let Entry::Drop { nick, .. } | Entry::Name { nick, password: None, .. } = entry {
                    self.disown_files(|_, owner, _| owner == nick, &mut *turn.out);
                }
                self.accounts.register.apply(entry);
                if lost.is_some() {
                    self.carry_bans(stay, |nick| Some(*nick) == lost, now, &mut *turn.out);
                }
                self.tell_who_follows(&dropped, &mut Turn::of_server(now, &mut *turn.out));
            }
        }
        let Some((conn, written)) = then.filter(|(conn, _)| self.accounts.waiting.remove(conn)) else {
            return;
        };
        let who = self.people.at(conn).map_or(PersonId::NOBODY, |person| person.id);
        let turn = &mut Turn { now, conn, who, out };
        let verb = written.verb();
        let done = match (entered, written) {
            (Entered::Failed, _) => Err(Fault::NotStored(Unstored::Failed)),
            (Entered::Written, Written::Register(nick)) => {
                self.keep_invitations(nick, turn);
                self.keep_ranks(nick, turn);
                // They may have been somebody else before, by a token of that name.
                self.accounts.by_token.remove(&conn);
                self.people.made_theirs();
                Ok(Some(Done::Register(nick)))
            }
            (Entered::Written, Written::Login(nick)) => self.come_in(nick, (LoginBy::Token, None), turn),
            (Entered::Written, Written::Passwd) => Ok(Some(Done::Passwd)),
            (Entered::Written, Written::Token(token)) => Ok(Some(Done::Token(Some(token)))),
            (Entered::Written, Written::TokenOff) => Ok(Some(Done::Token(None))),
            (Entered::Written, Written::Drop) => self.nick(turn.who).map(|guest| Some(Done::Drop(guest))),
            (Entered::Written, Written::Grant(nick, token)) => Ok(Some(Done::Grant { nick, token })),
            (Entered::Written, Written::Revoke(nick)) => Ok(Some(Done::Revoke(nick))),
            (Entered::Written, Written::Operator(nick, on)) => Ok(Some(Done::Operator { nick, on })),
        };
        self.answer_late(verb, done, turn);
        if verb == Verb::Drop {
            self.close_if_blocked(conn, turn);
        }
    }

    /// Answers a request that had to wait, unless it waits for something else now, and lets the next ones be carried out.
    pub(super) fn answer_late(
        &mut self,
        verb: Verb,
        done: Result<Option<Done>, Fault>,
        turn: &mut Turn<'_, impl Output>,
    ) {
        match done {
            Ok(done) => done.into_iter().for_each(|done| turn.out.reply(turn.conn, &Reply::Done(done))),
            Err(why) => refuse(turn.conn, verb, why, turn.out),
        }
        if !self.is_waiting(turn.conn) {
            turn.out.effect(Effect::Answered(turn.conn));
        }
        self.end_trial(turn);
    }

    /// The name and what is under way about names, checked; for tests.
    pub(super) fn check_accounts(&self) {
        let Accounts { register, waiting, writes, looked_at, queue, .. } = &self.accounts;
        register.check();
        let written = writes.iter().filter_map(|write| write.then.as_ref()).map(|(conn, _)| conn);
        let reloads = self.reloads.iter().map(|(conn, _)| conn);
        let due: Vec<&ConnId> = self.accounts.tasks().map(|task| &task.conn).chain(written).chain(reloads).collect();
        for conn in waiting {
            let is_door = || self.locked.contains_key(conn) || self.controls.contains_key(conn);
            assert!(self.people.at(*conn).is_some() || is_door(), "nobody waits");
            assert_eq!(due.iter().filter(|&&other| other == conn).count(), 1, "what {conn:?} waits for");
        }
        assert!(queue.len() <= limits::PASSWORDS_WAITING);
        assert!(looked_at.is_some() || queue.len() == 0, "no password is looked at, and some wait for that");
    }
}

impl Step {
    fn verb(&self) -> Verb {
        match self {
            Self::Hash { verb, .. } => *verb,
            Self::Verify { then, .. } => then.verb(),
        }
    }

    fn nick(&self) -> Nick {
        match self {
            Self::Hash { nick, .. } | Self::Verify { nick, .. } => *nick,
        }
    }
}

impl Proved {
    fn verb(&self) -> Verb {
        match self {
            Self::Login => Verb::Login,
            Self::Passwd(_) => Verb::Passwd,
            Self::Drop => Verb::Drop,
        }
    }
}

impl Written {
    fn verb(&self) -> Verb {
        match self {
            Self::Register(_) => Verb::Register,
            Self::Login(_) => Verb::Login,
            Self::Passwd => Verb::Passwd,
            Self::Token(_) | Self::TokenOff => Verb::Token,
            Self::Drop => Verb::Drop,
            Self::Grant(..) => Verb::Grant,
            Self::Revoke(_) => Verb::Revoke,
            Self::Operator(..) => Verb::Operator,
        }
    }
}

/// What follows, step by step.
impl Hub {
    /// Has a password looked at, and then goes on with this step.
    fn look_at(
        &mut self,
        task: PasswordTask,
        step: Step,
        turn: &mut Turn<'_, impl Output>,
    ) -> Result<Option<Done>, Fault> {
        let origin = self.origin_of(turn.conn);
        let tries = self.tries_of(turn);
        let Accounts { queue, tasks_of, waiting, .. } = &mut self.accounts;
        if let Origin::Network(prefix) = origin {
            if !tasks_of.has_left(prefix, limits::PASSWORDS_WAITING_OF_PREFIX) {
                return Err(Fault::PasswordsBusy);
            }
            tasks_of.add(prefix);
        }
        waiting.insert(turn.conn);
        let (nick, own) = (step.nick(), turn.conn);
        let out_of_place = queue.add(tries, nick, (Task { conn: own, origin, step }, task));
        self.look_at_next(turn.out);
        if let Some((task, _)) = out_of_place {
            self.accounts.let_go(&task);
            let Task { conn, step, .. } = task;
            if self.accounts.waiting.remove(&conn) {
                if conn == own {
                    return Err(Fault::PasswordsBusy);
                }
                let who = self.people.at(conn).map_or(PersonId::NOBODY, |person| person.id);
                let other = &mut Turn { now: turn.now, conn, who, out: &mut *turn.out };
                self.answer_late(step.verb(), Err(Fault::PasswordsBusy), other);
            }
        }
        Ok(None)
    }

    /// Has the next password looked at, if none is. Of those who have gone meanwhile none need be.
    fn look_at_next(&mut self, out: &mut impl Output) {
        while self.accounts.looked_at.is_none() {
            let Some((task, password)) = self.accounts.queue.next() else { return };
            if self.accounts.waiting.contains(&task.conn) {
                self.accounts.looked_at = Some(task);
                out.effect(Effect::Password(password));
            } else {
                self.accounts.let_go(&task);
            }
        }
    }

    /// How many wrong passwords and tokens came lately from where whose turn it is comes from, and how many passwords from there
    /// wait already.
    fn tries_of(&self, turn: &Turn<'_, impl Output>) -> u32 {
        match self.origin_of(turn.conn) {
            Origin::Loopback => self.accounts.used.get(&turn.conn).map_or(0, |used| used.wrong.into()),
            Origin::Network(prefix) => {
                self.wrong_passwords.used(prefix, turn.now.at) + self.accounts.tasks_of.used(prefix)
            }
        }
    }

    fn verify(
        &mut self,
        nick: Nick,
        hash: PasswordHash,
        password: &str,
        then: Proved,
        turn: &mut Turn<'_, impl Output>,
    ) -> Result<Option<Done>, Fault> {
        let task = PasswordTask::Verify { password: Secret(password.to_owned()), hash };
        self.look_at(task, Step::Verify { nick, hash, then }, turn)
    }

    fn hash_anew(
        &mut self,
        nick: Nick,
        (old, password): (Option<PasswordHash>, Secret),
        turn: &mut Turn<'_, impl Output>,
    ) -> Result<Option<Done>, Fault> {
        let salt = self.draw_salt();
        self.look_at(PasswordTask::Hash { password, salt }, Step::Hash { verb: Verb::Passwd, nick, old }, turn)
    }

    /// Whether this is still the password of a name: it may have changed while another one was looked at.
    fn has_password(&self, nick: &Nick, hash: &PasswordHash) -> bool {
        self.accounts.register.owned(nick).is_some_and(|owned| owned.password() == Some(hash))
    }

    fn proved(
        &mut self,
        nick: Nick,
        (hash, then): (PasswordHash, Proved),
        turn: &mut Turn<'_, impl Output>,
    ) -> Result<Option<Done>, Fault> {
        match then {
            Proved::Login => {
                self.lasts(nick)?;
                self.come_in(nick, (LoginBy::Password, None), turn)
            }
            Proved::Passwd(new) => {
                self.still_own(nick, turn)?;
                self.hash_anew(nick, (Some(hash), new), turn)
            }
            Proved::Drop => {
                self.still_own(nick, turn)?;
                let entry = Entry::Drop { nick, day: self.accounts.day(turn.now) };
                Ok(self.write(vec![entry], Written::Drop, turn))
            }
        }
    }

    /// A name gets an owner, with this password.
    fn enter_name(
        &mut self,
        nick: Nick,
        hash: PasswordHash,
        turn: &mut Turn<'_, impl Output>,
    ) -> Result<Option<Done>, Fault> {
        // Others may have registered meanwhile, and an operator may have given the name away.
        self.may_register(turn)?;
        self.may_be_called(&nick, turn)?;
        if self.nick(turn.who)? != nick {
            return Err(Fault::Owned(nick));
        }
        match self.origin_of(turn.conn) {
            Origin::Loopback => self.accounts.used.entry(turn.conn).or_default().registered += 1,
            Origin::Network(prefix) => self.accounts.registrations.count(prefix, turn.now.at),
        }
        self.accounts.all_registrations.count(turn.now.at);
        let entry = Entry::Name { nick, since: Day::of(turn.now.wall), password: Some(hash) };
        Ok(self.write(vec![entry], Written::Register(nick), turn))
    }

    /// An owner gets another password in place of the one that they gave, and no token of theirs is good any more.
    fn enter_password(
        &mut self,
        nick: Nick,
        (old, hash): (Option<PasswordHash>, PasswordHash),
        turn: &mut Turn<'_, impl Output>,
    ) -> Result<Option<Done>, Fault> {
        self.still_own(nick, turn)?;
        let owned = self.accounts.register.owned(&nick).ok_or(Fault::NoAccount { nick, owning: self.owning(&nick) })?;
        // Another connection of theirs may have been faster.
        if owned.password() != old.as_ref() {
            return Err(if old.is_some() { Fault::WrongPassword } else { Fault::OldPassword });
        }
        if self.accounts.changes(nick).password {
            return Err(Fault::NameBusy(nick));
        }
        let name = Entry::Name { nick: owned.nick(), since: owned.since(), password: Some(hash) };
        Ok(self.write(vec![Entry::Untoken(nick), name], Written::Passwd, turn))
    }

    /// Has entries written down, for which the connection waits.
    fn write(&mut self, entries: Vec<Entry>, then: Written, turn: &mut Turn<'_, impl Output>) -> Option<Done> {
        self.accounts.waiting.insert(turn.conn);
        self.accounts.writes.push_back(Write {
            entries: entries.clone(),
            then: Some((turn.conn, then)),
            ordered: None,
        });
        turn.out.effect(Effect::Ledger(entries));
        None
    }

    /// The same of what an operator does, which is in the audit log first: nothing of it is done without that.
    fn order(
        &mut self,
        (entries, deed): (Vec<Entry>, Deed),
        then: Written,
        turn: &mut Turn<'_, impl Output>,
    ) -> Option<Done> {
        self.audit(deed.clone(), turn);
        let ordered = self.by(turn).ok().map(|by| (by, deed));
        let done = self.write(entries, then, turn);
        self.accounts.writes.back_mut().into_iter().for_each(|write| write.ordered = ordered.clone());
        done
    }

    /// Something is so from now on, and is written down before anybody hears of it, if anything is.
    pub(super) fn note(&mut self, entries: Vec<Entry>, out: &mut impl Output) {
        self.accounts.register.apply_all(entries.iter().cloned());
        if self.settings.log.is_some() && !entries.is_empty() {
            out.effect(Effect::Note(entries));
        }
    }

    /// Notes that the owner of a name is here today, if anybody owns it.
    pub(super) fn note_seen(&mut self, nick: &Nick, turn: &mut Turn<'_, impl Output>) {
        let day = Day::of(turn.now.wall);
        if let Some(owned) = self.accounts.register.owned(nick).filter(|owned| owned.seen() < day) {
            let nick = owned.nick();
            self.note(vec![Entry::Seen { nick, day }], turn.out);
        }
    }

    /// Notes that tokens are used today by which these connections are their owners'.
    pub(super) fn note_tokens(&mut self, conns: impl IntoIterator<Item = ConnId>, turn: &mut Turn<'_, impl Output>) {
        let (register, day) = (&self.accounts.register, Day::of(turn.now.wall));
        let used = conns.into_iter().filter_map(|conn| {
            let digest = *self.accounts.by_token.get(&conn)?;
            let owned = self.people.at(conn).and_then(|person| register.owned(&person.nick()))?;
            let is_news = owned.last_use(digest).is_some_and(|used| used < day);
            is_news.then(|| Entry::Token { nick: owned.nick(), used: day, digest })
        });
        let used = used.collect();
        self.note(used, turn.out);
    }

    /// Notes which owners are here and by which tokens, and that names are nobody's whose owners have not come for too long. It is done once a day, when
    /// somebody has to do with names.
    fn expire_names(&mut self, turn: &mut Turn<'_, impl Output>) {
        let today = self.accounts.day(turn.now);
        if self.accounts.expired_on.replace(today) == Some(today) {
            return;
        }
        let ahead = self.accounts.latest(turn.now).and_then(|latest| turn.now.wall.duration_since(latest).ok());
        if let (Some(ahead), false) = (ahead, std::mem::replace(&mut self.accounts.is_ahead, ahead.is_some())) {
            turn.out.effect(Effect::NoteAhead(ahead + limits::DAY));
        }
        self.accounts.register.forget_held(today);
        // Whoever stays for a year has not stayed away.
        let here: Vec<Nick> = self.people.iter().map(Person::nick).collect();
        here.iter().for_each(|nick| self.note_seen(nick, turn));
        self.note_tokens(self.accounts.by_token.keys().copied().collect::<Vec<_>>(), turn);
        let Some(ttl) = self.settings.name_ttl else { return };
        let mut expired = self.accounts.register.expired(ttl, today);
        // Whoever is here has not gone.
        expired.retain(|nick| self.owner_here(nick).is_none() && !self.accounts.changes(*nick).any);
        // All rooms are looked through once for all of them, as a whole school may expire on one day.
        if !expired.is_empty() {
            turn.out.effect(Effect::NoteLapsed(expired.clone()));
        }
        let expired: BTreeSet<Nick> = expired.into_iter().collect();
        let dropped = self.register().founded_by(|founder| expired.contains(founder));
        let stay = self.bans_that_stay(|nick| expired.contains(nick), turn.now);
        self.disown_files(|_, owner, _| expired.contains(&owner), turn.out);
        self.note(expired.iter().map(|&nick| Entry::Drop { nick, day: today }).collect(), turn.out);
        self.carry_bans(stay, |nick| expired.contains(nick), turn.now, turn.out);
        self.tell_who_follows(&dropped, &mut Turn::of_server(turn.now, &mut *turn.out));
    }

    /// Whether whose turn it is may be who owns this name, having proved it: who it is may come, and not by too many connections
    /// that stand.
    fn may_come_in(&self, nick: Nick, turn: &Turn<'_, impl Output>) -> Result<(), Fault> {
        may_come_as(nick, self.register().blocks(), turn.now)?;
        let holder = self.owner_here(&nick).map(|person| person.id).filter(|&holder| holder != turn.who);
        let stands = |&conn: &ConnId| self.people.way(conn).and_then(Way::lost).is_none();
        let is_full = holder.is_some_and(|holder| self.people.conns_of(holder).filter(stands).count() >= limits::WAYS);
        if is_full {
            return Err(Fault::TooMany(Quota::Ways));
        }
        // Where names look alike that were owned before they did, only one of them is shown.
        match self.people.rival(turn.who, &nick).filter(|_| self.owner_here(&nick).is_none()) {
            Some(other) => Err(Fault::Taken { nick: nick.into(), holder: self.nick(other)?.into() }),
            None => Ok(()),
        }
    }

    /// Somebody has proved to own a name, as its owner spells it: they have it from now on, beside whoever has it already. If it was by a
    /// token that is good more than once, by which is told.
    fn come_in(
        &mut self,
        nick: Nick,
        (by, token): (LoginBy, Option<Digest>),
        turn: &mut Turn<'_, impl Output>,
    ) -> Result<Option<Done>, Fault> {
        if self.accounts.register.owned(&nick).is_none() {
            return Err(Fault::NoOwner { nick, vacancy: self.vacancy(&nick, turn) });
        }
        match self.may_come_in(nick, turn) {
            Err(why @ Fault::NameBlocked(_)) => {
                refuse(turn.conn, Verb::Login, why, turn.out);
                self.close(turn.conn, Bye::Blocked, turn);
                return Ok(None);
            }
            may => may?,
        }
        let holder = self.owner_here(&nick).map(|person| person.id);
        self.note_seen(&nick, turn);
        self.connects.free(turn.conn, turn.now.at);
        let was_locked = self.locked.get(&turn.conn).map(|&Locked { origin, wire, intake, .. }| (origin, wire, intake));
        if let Some((origin, wire, intake)) = was_locked {
            self.unlock(turn.conn);
            turn.who = self.people.enter(turn.conn, origin, wire, turn.now.at);
            // The chunks of an upload that was refused may still be coming.
            self.set_intake(turn.conn, intake);
            if let Ok(guest) = self.nick(turn.who) {
                self.open_presence(turn.now);
                self.presence.came(&guest);
            }
        }
        match holder {
            // It is theirs already.
            Some(holder) if holder == turn.who => {}
            Some(holder) => {
                self.make_room_beside(holder, turn);
                self.come_in_beside(holder, turn);
            }
            None => {
                if self.people.has_several(turn.who) {
                    self.step_out(turn);
                }
                self.count_seen_rename(turn);
                self.go_where_banned((nick, Some(nick)), turn)?;
                self.call(turn.who, nick, turn);
            }
        }
        match token {
            Some(token) => self.accounts.by_token.insert(turn.conn, token),
            None => self.accounts.by_token.remove(&turn.conn),
        };
        let Some(person) = self.people.get(turn.who) else { return Ok(None) };
        for &room in &person.rooms {
            let room = &self.rooms[room];
            turn.out.detail(turn.conn, &Detail::In { room: room.name, last: room.last_seq() });
        }
        self.counts.logins[by as usize].ok += 1;
        turn.out.reply(turn.conn, &Reply::Done(Done::Login(person.nick())));
        if was_locked.is_some() {
            self.greet(turn.conn, turn);
        }
        Ok(None)
    }

    /// The connection whose turn it is becomes nobody in particular. It stays in the rooms, unless it leaves others behind there.
    fn become_guest(&mut self, turn: &mut Turn<'_, impl Output>) -> Result<Nick, Fault> {
        if self.people.has_several(turn.who) {
            self.step_out(turn);
            return self.nick(turn.who);
        }
        let guest = self.people.guest_name();
        self.go_where_banned((guest, None), turn)?;
        self.call(turn.who, guest, turn);
        self.nick(turn.who)
    }

    /// A name is nobody's any more: whoever is here by it becomes a guest on each of their connections. The one whose turn it is
    /// keeps the rooms, or else the eldest. Places that are kept go with the name.
    fn let_go(&mut self, who: PersonId, why: Loss, turn: &mut Turn<'_, impl Output>) {
        self.end_places(who, turn);
        let Ok(old) = self.nick(who) else { return };
        let conns: Vec<ConnId> = self.people.conns_of(who).collect();
        let keeper = conns.iter().copied().find(|&conn| conn == turn.conn).or(conns.first().copied());
        let others = conns.iter().copied().filter(|&conn| Some(conn) != keeper);
        for conn in others.chain(keeper) {
            let own = &mut Turn { now: turn.now, conn, who, out: &mut *turn.out };
            let Ok(nick) = self.become_guest(own) else { continue };
            if conn != turn.conn {
                own.out.answer(conn, &Event::NameLost { nick, old, why });
                self.close_if_blocked(conn, own);
            }
        }
    }

    /// The tokens of a name end, and its password too if it has another: whoever came in by these is put out, but for the connection whose
    /// turn it is, which has asked for it.
    fn put_others_out(&mut self, nick: Nick, by: Option<&Written>, turn: &mut Turn<'_, impl Output>) {
        let owner = self.owner_here(&nick).map(|person| person.id);
        let came = |conn: &ConnId| match by {
            Some(Written::Passwd) => *conn != turn.conn,
            Some(Written::TokenOff) => *conn != turn.conn && self.accounts.by_token.contains_key(conn),
            _ => false,
        };
        let conns: Vec<ConnId> = owner.into_iter().flat_map(|who| self.people.conns_of(who)).filter(came).collect();
        conns.into_iter().for_each(|conn| self.close(conn, Bye::Unproved, turn));
    }

    /// A name is given to somebody. Whoever is here as its owner was that without the new token; who is called so without owning it
    /// becomes a guest; and who is the owner of another name is called by that again.
    fn make_way(&mut self, nick: Nick, turn: &mut Turn<'_, impl Output>) {
        if let Some(owner) = self.owner_here(&nick).map(|person| person.id) {
            let conns: Vec<ConnId> = self.people.conns_of(owner).collect();
            return conns.into_iter().for_each(|conn| self.close(conn, Bye::Granted, turn));
        }
        while let Some(person) = self.find_shown(&nick) {
            let (who, old) = (person.id, person.nick());
            match self.owned_by(person).filter(|own| !own.is_like(&nick)) {
                Some(own) => {
                    self.call(who, own, turn);
                    let lost = Event::NameLost { nick: own, old, why: Loss::Granted(nick) };
                    turn.out.publish(&mut self.people.conns_of(who), &[lost]);
                }
                None => self.let_go(who, Loss::Granted(nick), turn),
            }
        }
    }

    /// What somebody gave proves nothing. The last of their tries closes their connection.
    fn fail_login(
        &mut self,
        (verb, by): (Verb, LoginBy),
        nick: Nick,
        turn: &mut Turn<'_, impl Output>,
    ) -> Result<Option<Done>, Fault> {
        let is_last = self.count_wrong(turn);
        self.note_failed_login(nick, by, turn);
        let why = if verb == Verb::Login { Fault::WrongLogin(nick) } else { Fault::WrongPassword };
        refuse(turn.conn, verb, why, turn.out);
        if is_last {
            self.close(turn.conn, Bye::WrongPasswords, turn);
        }
        Ok(None)
    }

    fn note_failed_login(&mut self, nick: Nick, by: LoginBy, turn: &mut Turn<'_, impl Output>) {
        self.counts.logins[by as usize].failed += 1;
        turn.out.effect(Effect::NoteFailedLogin(turn.conn, nick));
    }

    /// Counts a wrong password or token, and tells whether it was the last of a connection's tries. Being let in gives it no new ones.
    pub(super) fn count_wrong(&mut self, turn: &Turn<'_, impl Output>) -> bool {
        if let Origin::Network(prefix) = self.origin_of(turn.conn) {
            self.wrong_passwords.count(prefix, turn.now.at);
        }
        let wrong = &mut self.accounts.used.entry(turn.conn).or_default().wrong;
        *wrong = wrong.saturating_add(1);
        *wrong >= limits::PASSWORDS
    }

    fn origin_of(&self, conn: ConnId) -> Origin {
        let locked = self.locked.get(&conn).map(|locked| locked.origin);
        locked.or_else(|| self.people.way(conn).map(|way| way.origin)).unwrap_or(Origin::Loopback)
    }

    /// Whether others can read along on a connection.
    pub(super) fn wire_of(&self, conn: ConnId) -> Wire {
        let locked = self.locked.get(&conn).map(|locked| locked.wire);
        // By the operator's door nobody can.
        locked.or_else(|| self.people.way(conn).map(|way| way.wire)).unwrap_or(Wire::Secure)
    }

    fn draw_salt(&mut self) -> [u8; 16] {
        let [salt @ .., _, _, _, _, _, _, _, _, _, _, _, _, _, _, _, _] = self.accounts.secrets.draw();
        salt
    }
}

/// A password that may be the one of a name.
fn new_password(password: &str, nick: &Nick) -> Result<Secret, Fault> {
    let is_name = Nick::new(password).is_ok_and(|word| word.is_like(nick));
    if limits::PASSWORD.contains(&password.len()) && !is_name {
        Ok(Secret(password.to_owned()))
    } else {
        Err(Fault::BadPassword(Unfit::Plain))
    }
}

/// The time without what is less than a second, as the ledger has it.
fn to_the_second(wall: SystemTime) -> SystemTime {
    let since = wall.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    SystemTime::UNIX_EPOCH + Duration::from_secs(since.as_secs())
}

/// By what a token is known.
fn digest_of(token: Token) -> Digest {
    Digest(Sha256::digest(token.0).into())
}
