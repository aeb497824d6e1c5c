//! Names that have owners: registering, logging in and out, passwords, tokens, giving up.
//!
//! Whoever is shown under an owned name has proved to be its owner, so who owns the name that they have is who they are. A
//! password takes its time, and so does the disk: the connection's next lines wait until its request has been answered.

use std::collections::{HashMap, HashSet, VecDeque};
use std::time::{Duration, SystemTime};

use sha2::{Digest as _, Sha256};

use crate::effect::{Effect, Entered, Output, PasswordResult, PasswordTask, Secret};
use crate::event::{
    Bye, Deed, Detail, Done, Event, Fault, Loss, Owning, Quota, Reply, Standing, Unstored, Vacancy, Verb,
};
use crate::limits;
use crate::meters::{PrefixCount, PrefixWindow, Window};
use crate::names::{ConnId, Digest, KeptNick, Nick, Origin, PersonId, RoomName, Text, Token, Wire};
use crate::people::Person;
use crate::policy::{Action, may_come_as};
use crate::register::{Author, Entry, PasswordHash, Proof, Register, Rules};
use crate::request::{Credential, Named, Wanted};
use crate::settings;
use crate::time::{Day, Now};

use super::queue::PasswordQueue;
use super::{Hub, Locked, Turn, hears_passwords, refuse};

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
    /// On which day it was last looked for names that have expired.
    expired_on: Option<Day>,
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
            expired_on: None,
        }
    }

    /// A connection is gone. What it had written down holds all the same.
    pub(super) fn forget(&mut self, conn: ConnId) {
        self.waiting.remove(&conn);
        self.used.remove(&conn);
    }

    /// Whether nothing is owned and nothing under way.
    pub(super) fn is_empty(&self) -> bool {
        self.register.is_empty()
            && self.waiting.is_empty()
            && self.tasks().next().is_none()
            && self.writes.is_empty()
            && self.used.is_empty()
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
        // Nobody is left in a room that a guest made for few.
        going.into_iter().for_each(|room| self.forget_room(room, &mut Turn::of_server(now, out)));
        self.put_away_erased();
        self.expire_names(&mut Turn::of_server(now, out));
    }

    /// Names, and what rooms have for rules.
    pub fn register(&self) -> &Register {
        &self.accounts.register
    }

    /// Whether the last request of a connection waits for a password to be looked at, or for the ledger. Its next line must
    /// wait until there is an [`Effect::Answered`].
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
                let done =
                    if is_right { self.proved(nick, (hash, then), turn) } else { self.fail_login(verb, nick, turn) };
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
                let dropped = match entry {
                    Entry::Drop { nick, .. } => {
                        let owner = self.owner_here(&nick).map(|person| person.id);
                        owner.into_iter().for_each(|who| self.let_go(who, loss, turn));
                        self.register().founded(&nick)
                    }
                    Entry::Name { nick, password: None, .. } => {
                        self.make_way(nick, turn);
                        Vec::new()
                    }
                    _ => Vec::new(),
                };
                self.accounts.register.apply(entry);
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
            (Entered::Written, Written::Register(nick)) => Ok(Some(Done::Register(nick))),
            (Entered::Written, Written::Login(nick)) => self.come_in(nick, turn),
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
    fn answer_late(&mut self, verb: Verb, done: Result<Option<Done>, Fault>, turn: &mut Turn<'_, impl Output>) {
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
        let due: Vec<&ConnId> = self.accounts.tasks().map(|task| &task.conn).chain(written).collect();
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

/// The requests.
impl Hub {
    /// Whether people may own names here.
    pub(super) fn accounts_here(&self) -> settings::Accounts {
        if self.settings.log.is_some() { self.settings.accounts } else { settings::Accounts::Off }
    }

    /// Why nothing that has to do with owned names can be asked for, if that is so.
    pub(super) fn may_ask_of_names(&self, verb: Verb) -> Result<(), Fault> {
        use Verb::{Account, Drop, Grant, Login, Logout, Operator, Passwd, Register, Revoke, Token};
        let is_of_names = matches!(verb, Register | Login | Logout | Passwd | Token | Drop | Account);
        if !is_of_names && !matches!(verb, Grant | Revoke | Operator) {
            return Ok(());
        }
        match (&self.settings.log, self.settings.accounts) {
            (None, _) => Err(Fault::KeepsNothing),
            (_, settings::Accounts::Off) => Err(Fault::AccountsOff),
            (_, settings::Accounts::Open | settings::Accounts::Closed) => Ok(()),
        }
    }

    /// How whoever has this name, and does not own it, can come to own one.
    pub(super) fn owning(&self, nick: &Nick) -> Owning {
        Owning::of(nick, self.accounts_here())
    }

    /// Whether whose turn it is can have this name, which nobody owns.
    fn vacancy(&self, nick: &Nick, turn: &Turn<'_, impl Output>) -> Vacancy {
        let is_taken = || self.people.rival(turn.who, nick).is_some();
        match self.accounts.register.standing(nick, Day::of(turn.now.wall)) {
            Standing::Held => Vacancy::Held,
            Standing::Free
                if self.owning(nick) == Owning::Register && self.people.get(turn.who).is_some() && !is_taken() =>
            {
                Vacancy::Free
            }
            Standing::Free | Standing::Owned => Vacancy::Closed,
        }
    }

    /// Whether somebody may be called so from now on, as far as it is a matter of owners. One's own name may be spelled anew, but as
    /// no other one: whoever is shown under a name that looks like an owned one is its owner.
    pub(super) fn may_be_called(&mut self, nick: &Nick, turn: &mut Turn<'_, impl Output>) -> Result<(), Fault> {
        self.expire_names(turn);
        let own = self.account(turn);
        let known = self.accounts.register.like(nick, Day::of(turn.now.wall));
        let (mut owned, mut held) = (self.accounts.claimed_like(nick).find(|other| own != Some(*other)), None);
        for (other, standing) in known.filter(|(other, _)| own != Some(*other)) {
            match standing {
                Standing::Owned => owned = owned.or(Some(other)),
                Standing::Held => held = held.or(Some(other)),
                Standing::Free => {}
            }
        }
        match (owned, held) {
            (Some(other), _) => Err(Fault::Owned(other)),
            (None, Some(other)) => Err(Fault::Held(other)),
            (None, None) => Ok(()),
        }
    }

    /// Whether the owner of a name is about to lose it.
    pub(super) fn is_going(&self, owned: Nick) -> bool {
        self.accounts.changes(owned).goes
    }

    /// Whether any owner is about to lose their name.
    pub(super) fn has_going(&self) -> bool {
        self.accounts.under_way().any(|(_, entry)| matches!(entry, Entry::Drop { .. }))
    }

    /// Whether a name will be whose it is when the disk has what it was given.
    fn lasts(&self, owned: Nick) -> Result<(), Fault> {
        let changes = self.accounts.changes(owned);
        if changes.goes || changes.is_granted { Err(Fault::NameBusy(owned)) } else { Ok(()) }
    }

    pub(super) fn register_name(
        &mut self,
        password: &str,
        turn: &mut Turn<'_, impl Output>,
    ) -> Result<Option<Done>, Fault> {
        self.may_send_secrets(turn)?;
        if self.settings.accounts == settings::Accounts::Closed {
            return Err(Fault::AccountsClosed);
        }
        let nick = self.nick(turn.who)?;
        if self.accounts.register.owned(&nick).is_some() {
            return Err(Fault::OwnedAlready(nick));
        }
        if !nick.guest_numbers().is_empty() {
            return Err(Fault::GuestName(nick));
        }
        let password = new_password(password, &nick)?;
        self.may_register(turn)?;
        let salt = self.draw_salt();
        let task = PasswordTask::Hash { password, salt };
        self.look_at(task, Step::Hash { verb: Verb::Register, nick, old: None }, turn)
    }

    pub(super) fn login(
        &mut self,
        nick: Named<'_, Nick>,
        credential: Credential<'_>,
        turn: &mut Turn<'_, impl Output>,
    ) -> Result<Option<Done>, Fault> {
        self.may_send_secrets(turn)?;
        self.expire_names(turn);
        let nick = self.nameable(nick)?;
        self.may_try(turn)?;
        let Some(owned) = self.accounts.register.owned(&nick) else {
            turn.out.effect(Effect::NoteFailedLogin(turn.conn, nick));
            return Err(Fault::NoOwner { nick, vacancy: self.vacancy(&nick, turn) });
        };
        let nick = owned.nick();
        if self.owner_here(&nick).is_none() {
            self.may_be_seen_renamed(limits::RENAMES, turn)?;
        }
        self.lasts(nick)?;
        match credential {
            Credential::Password(password) => match owned.password().copied() {
                Some(hash) => self.verify(nick, hash, password, Proved::Login, turn),
                None => self.fail_login(Verb::Login, nick, turn),
            },
            Credential::Token(token) => {
                let digest = token.map(digest_of);
                match digest.and_then(|digest| Some((digest, owned.prove(digest, turn.now.wall)?))) {
                    // It is about to be good no more.
                    Some(_) if self.accounts.changes(nick).tokens_end => Err(Fault::NameBusy(nick)),
                    Some((digest, Proof::Token { is_news })) => {
                        if is_news {
                            self.note(vec![Entry::Token { nick, used: Day::of(turn.now.wall), digest }], turn.out);
                        }
                        self.come_in(nick, turn)
                    }
                    // Who may not come in is refused, and has it still when they may.
                    Some((_, Proof::Once)) if self.may_come_in(nick, turn).is_err() => self.come_in(nick, turn),
                    // It is used up for good before it opens anything.
                    Some((_, Proof::Once)) => Ok(self.write(vec![Entry::Untoken(nick)], Written::Login(nick), turn)),
                    None => self.fail_login(Verb::Login, nick, turn),
                }
            }
        }
    }

    pub(super) fn logout(&mut self, turn: &mut Turn<'_, impl Output>) -> Result<Done, Fault> {
        self.own_name(turn)?;
        self.may_be_guest(turn)?;
        // With the way back, for which nobody is to wait.
        self.may_be_seen_renamed(limits::RENAMES - 1, turn)?;
        self.count_seen_rename(turn);
        self.become_guest(turn).map(Done::Logout)
    }

    pub(super) fn passwd(
        &mut self,
        old: Option<&str>,
        new: &str,
        turn: &mut Turn<'_, impl Output>,
    ) -> Result<Option<Done>, Fault> {
        self.may_send_secrets(turn)?;
        let nick = self.own_for_good(turn)?;
        let new = new_password(new, &nick)?;
        let has = self.accounts.register.owned(&nick).and_then(|owned| owned.password()).copied();
        match (has, old) {
            (None, _) => self.hash_anew(nick, (None, new), turn),
            (Some(_), None) => Err(Fault::OldPassword),
            (Some(hash), Some(old)) => {
                self.may_try(turn)?;
                self.verify(nick, hash, old, Proved::Passwd(new), turn)
            }
        }
    }

    pub(super) fn token(&mut self, wanted: Wanted, turn: &mut Turn<'_, impl Output>) -> Result<Option<Done>, Fault> {
        self.may_send_secrets(turn)?;
        let nick = self.own_for_good(turn)?;
        if wanted == Wanted::Off {
            return Ok(self.write(vec![Entry::Untoken(nick)], Written::TokenOff, turn));
        }
        let token = Token(self.accounts.secrets.draw());
        let entry = Entry::Token { nick, used: Day::of(turn.now.wall), digest: digest_of(token) };
        Ok(self.write(vec![entry], Written::Token(token), turn))
    }

    pub(super) fn drop_name(
        &mut self,
        password: &str,
        turn: &mut Turn<'_, impl Output>,
    ) -> Result<Option<Done>, Fault> {
        self.may_send_secrets(turn)?;
        let nick = self.own_for_good(turn)?;
        self.may_try(turn)?;
        match self.accounts.register.owned(&nick).and_then(|owned| owned.password()).copied() {
            Some(hash) => self.verify(nick, hash, password, Proved::Drop, turn),
            None => Err(Fault::NoPassword(nick)),
        }
    }

    pub(super) fn tell_account(
        &mut self,
        whom: Option<Named<'_, Nick>>,
        turn: &mut Turn<'_, impl Output>,
    ) -> Result<Done, Fault> {
        self.expire_names(turn);
        let asked = match whom {
            Some(whom) => self.nameable(whom)?,
            None => self.nick(turn.who).map_err(|_| Fault::NobodyHere)?,
        };
        let (register, today) = (&self.accounts.register, Day::of(turn.now.wall));
        let owned = register.owned(&asked);
        let person = match owned {
            Some(owned) => self.owner_here(&owned.nick()),
            // Whoever only looks so owns another one.
            None => self.find_shown(&asked).filter(|person| self.owned_by(person).is_none()),
        };
        let shown = person.map(Person::nick);
        if let Some(owned) = owned {
            let seen = if shown.is_some() { today } else { owned.seen() };
            turn.out.detail(turn.conn, &Detail::Name { since: owned.since(), seen });
            let is_own = person.is_some_and(|person| person.id == turn.who);
            if is_own {
                turn.out.detail(turn.conn, &Detail::Tokens(owned.tokens(today)));
            }
            let founded = register.founded(&owned.nick());
            if (is_own || self.controls.contains_key(&turn.conn)) && !founded.is_empty() {
                turn.out.detail(turn.conn, &Detail::Founder(founded));
            }
            if is_own {
                turn.out.detail(turn.conn, &Detail::Ways(self.people.conns_of(turn.who).count()));
            }
        }
        let nick = shown.or(owned.map(|owned| owned.nick())).unwrap_or(asked);
        Ok(Done::Account { nick, standing: register.standing(&asked, today) })
    }

    /// Gives somebody a name, or the owner of one a new beginning: what they are proved by from now on is told to whoever asked.
    pub(super) fn grant(
        &mut self,
        nick: Named<'_, Nick>,
        turn: &mut Turn<'_, impl Output>,
    ) -> Result<Option<Done>, Fault> {
        let bad = |why| Fault::BadNick(Text::new(nick.typed), why);
        let asked = nick.name.map_err(bad)?;
        let token = Token(self.accounts.secrets.draw());
        let until = turn.now.wall.checked_add(limits::ONCE_GOOD).unwrap_or(turn.now.wall);
        let of = |nick, since| {
            let name = Entry::Name { nick, since, password: None };
            [name, Entry::Once { nick, until: to_the_second(until), digest: digest_of(token) }]
        };
        let (nick, entries) = match self.accounts.register.owned(&asked) {
            Some(owned) if owned.nick() != asked => {
                let nick = asked.allowed().map_err(bad)?;
                return Err(Fault::LooksOwned { nick: nick.into(), owned: owned.nick().into() });
            }
            Some(_) if self.is_going(asked) => return Err(Fault::NameBusy(asked)),
            Some(owned) => {
                (owned.nick(), [vec![Entry::Untoken(owned.nick())], of(owned.nick(), owned.since()).into()].concat())
            }
            None => {
                let nick = asked.allowed().map_err(bad)?;
                if !nick.guest_numbers().is_empty() {
                    return Err(Fault::GuestName(nick));
                }
                if let Some(owned) = self.accounts.claimed_like(&nick).find(|claimed| *claimed != nick) {
                    return Err(Fault::LooksOwned { nick: nick.into(), owned: owned.into() });
                }
                if !self.accounts.register.has_room() {
                    return Err(Fault::TooMany(Quota::Names));
                }
                (nick, of(nick, Day::of(turn.now.wall)).into())
            }
        };
        self.is_of_another(&nick, turn)?;
        Ok(self.order((entries, Deed::Grant(nick)), Written::Grant(nick, token), turn))
    }

    /// Takes a name from its owner.
    pub(super) fn revoke(
        &mut self,
        nick: Named<'_, Nick>,
        turn: &mut Turn<'_, impl Output>,
    ) -> Result<Option<Done>, Fault> {
        let nick = self.owner_named(nick)?;
        self.is_of_another(&nick, turn)?;
        let entry = Entry::Drop { nick, day: Day::of(turn.now.wall) };
        Ok(self.order((vec![entry], Deed::Revoke(nick)), Written::Revoke(nick), turn))
    }

    /// Makes the owner of a name an operator, or one no more.
    pub(super) fn set_operator(
        &mut self,
        nick: Named<'_, Nick>,
        on: bool,
        turn: &mut Turn<'_, impl Output>,
    ) -> Result<Option<Done>, Fault> {
        let nick = self.owner_named(nick)?;
        if self.is_going(nick) {
            return Err(Fault::NameBusy(nick));
        }
        let others = self.accounts.register.operators().filter(|&other| other != nick).count();
        if on && others >= limits::OPERATORS {
            return Err(Fault::TooMany(Quota::Operators));
        }
        let is_on = self.accounts.register.operators().any(|other| other == nick);
        let is_it = |write: &Write| matches!(write.then, Some((_, Written::Operator(other, _))) if other == nick);
        if is_on == on && !self.accounts.writes.iter().any(is_it) {
            return Ok(Some(Done::Operator { nick, on }));
        }
        let entry = Entry::Operator { nick, on };
        Ok(self.order((vec![entry], Deed::Operator { nick, on }), Written::Operator(nick, on), turn))
    }

    pub(super) fn list_operators(&self, turn: &mut Turn<'_, impl Output>) -> Done {
        let operators: Vec<Nick> = self.accounts.register.operators().collect();
        operators.iter().for_each(|&nick| turn.out.detail(turn.conn, &Detail::Operator(nick)));
        Done::Operators(operators.len())
    }

    /// A name that somebody owns or could have.
    fn nameable(&self, nick: Named<'_, Nick>) -> Result<Nick, Fault> {
        let bad = |why| Fault::BadNick(Text::new(nick.typed), why);
        let asked = nick.name.map_err(bad)?;
        if self.accounts.register.owned(&asked).is_some() { Ok(asked) } else { asked.allowed().map_err(bad) }
    }

    /// The name of an owner, which must not only look like theirs, as what is done to it cannot be taken back.
    fn owner_named(&self, nick: Named<'_, Nick>) -> Result<Nick, Fault> {
        let asked = self.nameable(nick)?;
        match self.accounts.register.owned(&asked).map(|owned| owned.nick()) {
            Some(owned) if owned == asked => Ok(owned),
            like => Err(Fault::NameOfNobody { nick: asked.into(), like: like.map(KeptNick::from) }),
        }
    }

    /// Whether this is not the name of whose turn it is, who would not hear what comes of it.
    fn is_of_another(&self, nick: &Nick, turn: &Turn<'_, impl Output>) -> Result<(), Fault> {
        if self.account(turn) == Some(*nick) { Err(Fault::OperatorSelf) } else { Ok(()) }
    }

    /// Whether others can read along what comes from this connection.
    fn may_send_secrets(&self, turn: &Turn<'_, impl Output>) -> Result<(), Fault> {
        let is_secure = self.wire_of(turn.conn) == Wire::Secure || self.settings.clear_passwords;
        if is_secure { Ok(()) } else { Err(Fault::Insecure) }
    }

    /// The name that whose turn it is owns, as it was registered.
    fn own_name(&self, turn: &Turn<'_, impl Output>) -> Result<Nick, Fault> {
        let shown = self.nick(turn.who)?;
        let owned = self.accounts.register.owned(&shown);
        self.may(turn.who, Action::AsOwner(owned))?;
        Ok(owned.map_or(shown, |owned| owned.nick()))
    }

    /// The same, if it stays theirs.
    fn own_for_good(&self, turn: &Turn<'_, impl Output>) -> Result<Nick, Fault> {
        let nick = self.own_name(turn)?;
        self.lasts(nick).map(|()| nick)
    }

    /// Whether whose turn it is still owns this name, which they did when they asked, and it stays theirs.
    fn still_own(&self, nick: Nick, turn: &Turn<'_, impl Output>) -> Result<(), Fault> {
        let own = self.own_for_good(turn)?;
        if own == nick { Ok(()) } else { Err(Fault::NoAccount { nick: own, owning: self.owning(&own) }) }
    }

    /// Whether one more name may be registered from where somebody comes.
    fn may_register(&self, turn: &Turn<'_, impl Output>) -> Result<(), Fault> {
        let (accounts, now) = (&self.accounts, turn.now.at);
        let is_left = match self.origin_of(turn.conn) {
            Origin::Loopback => {
                accounts.used.get(&turn.conn).is_none_or(|used| used.registered < limits::REGISTRATIONS)
            }
            Origin::Network(prefix) => accounts.registrations.has_left(prefix, limits::REGISTRATIONS, now),
        };
        if !is_left {
            Err(Fault::TooMany(Quota::Registrations))
        } else if !accounts.all_registrations.has_left(limits::REGISTRATIONS_IN_ALL, now) {
            Err(Fault::TooMany(Quota::RegistrationsInAll))
        } else if !accounts.register.has_room() {
            Err(Fault::TooMany(Quota::Names))
        } else {
            Ok(())
        }
    }

    /// Whether a password or a token is still listened to from where somebody comes.
    fn may_try(&self, turn: &Turn<'_, impl Output>) -> Result<(), Fault> {
        let is_heard = hears_passwords(&self.wrong_passwords, self.origin_of(turn.conn), turn.now.at);
        if is_heard { Ok(()) } else { Err(Fault::TooMany(Quota::WrongPasswords)) }
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
                self.come_in(nick, turn)
            }
            Proved::Passwd(new) => {
                self.still_own(nick, turn)?;
                self.hash_anew(nick, (Some(hash), new), turn)
            }
            Proved::Drop => {
                self.still_own(nick, turn)?;
                let entry = Entry::Drop { nick, day: Day::of(turn.now.wall) };
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
        entries.iter().for_each(|entry| self.accounts.register.apply(entry.clone()));
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

    /// Notes which owners are here, and that names are nobody's whose owners have not come for too long. It is done once a day, when
    /// somebody has to do with names.
    fn expire_names(&mut self, turn: &mut Turn<'_, impl Output>) {
        let today = Day::of(turn.now.wall);
        if self.accounts.expired_on.replace(today) == Some(today) {
            return;
        }
        self.accounts.register.forget_held(today);
        // Whoever stays for a year has not stayed away.
        let here: Vec<Nick> = self.people.iter().map(Person::nick).collect();
        here.iter().for_each(|nick| self.note_seen(nick, turn));
        let Some(ttl) = self.settings.name_ttl else { return };
        for nick in self.accounts.register.expired(ttl, today) {
            // Whoever is here has not gone.
            if self.owner_here(&nick).is_none() && !self.accounts.changes(nick).any {
                let dropped = self.register().founded(&nick);
                self.note(vec![Entry::Drop { nick, day: today }], turn.out);
                self.tell_who_follows(&dropped, &mut Turn::of_server(turn.now, &mut *turn.out));
            }
        }
    }

    /// Whether whose turn it is may be who owns this name, having proved it: who it is may come, and not by too many connections.
    fn may_come_in(&self, nick: Nick, turn: &Turn<'_, impl Output>) -> Result<(), Fault> {
        may_come_as(nick, self.register().blocks(), turn.now)?;
        let holder = self.owner_here(&nick).map(|person| person.id).filter(|&holder| holder != turn.who);
        let is_full = holder.is_some_and(|holder| self.people.conns_of(holder).count() >= limits::WAYS);
        if is_full { Err(Fault::TooMany(Quota::Ways)) } else { Ok(()) }
    }

    /// Somebody has proved to own a name, as its owner spells it: they have it from now on, beside whoever has it already.
    fn come_in(&mut self, nick: Nick, turn: &mut Turn<'_, impl Output>) -> Result<Option<Done>, Fault> {
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
            Some(holder) => self.come_in_beside(holder, turn),
            None => {
                if self.people.has_several(turn.who) {
                    self.step_out(turn);
                }
                self.count_seen_rename(turn);
                self.go_where_banned((nick, Some(nick)), turn)?;
                self.call(turn.who, nick, turn);
            }
        }
        let Some(person) = self.people.get(turn.who) else { return Ok(None) };
        for &room in &person.rooms {
            let room = &self.rooms[room];
            turn.out.detail(turn.conn, &Detail::In { room: room.name, last: room.last_seq() });
        }
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
                    let lost = Event::NameLost { nick: own, old, why: Loss::Granted };
                    turn.out.publish(&mut self.people.conns_of(who), &[lost]);
                }
                None => self.let_go(who, Loss::Granted, turn),
            }
        }
    }

    /// What somebody gave proves nothing. The last of their tries closes their connection.
    fn fail_login(&mut self, verb: Verb, nick: Nick, turn: &mut Turn<'_, impl Output>) -> Result<Option<Done>, Fault> {
        let is_last = self.count_wrong(turn);
        turn.out.effect(Effect::NoteFailedLogin(turn.conn, nick));
        let why = if verb == Verb::Login { Fault::WrongLogin(nick) } else { Fault::WrongPassword };
        refuse(turn.conn, verb, why, turn.out);
        if is_last {
            self.close(turn.conn, Bye::WrongPasswords, turn);
        }
        Ok(None)
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
        Err(Fault::BadPassword)
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
