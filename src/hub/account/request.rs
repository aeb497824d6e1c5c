//! What people and operators ask about names that have owners.

use crate::effect::{Output, PasswordTask};
use crate::event::{Deed, Detail, Done, Event, Fault, Owning, Quota, Standing, Vacancy, Verb};
use crate::limits;
use crate::metrics::LoginBy;
use crate::names::{ConnId, KeptNick, Nick, Origin, Text, Token, Wire};
use crate::people::{Person, Way};
use crate::policy::Action;
use crate::register::{Entry, Proof};
use crate::request::{Credential, Named, Wanted};
use crate::settings;
use crate::time::Day;

use super::super::{Hub, Turn, hears_passwords};
use super::{Proved, Step, Write, Written, digest_of, new_password, to_the_second};

/// The requests.
impl Hub {
    /// Whether people may own names here.
    pub(in crate::hub) fn accounts_here(&self) -> settings::Accounts {
        if self.settings.log.is_some() { self.settings.accounts } else { settings::Accounts::Off }
    }

    /// Why nothing that has to do with owned names can be asked for, if that is so.
    pub(in crate::hub) fn may_ask_of_names(&self, verb: Verb) -> Result<(), Fault> {
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
    pub(in crate::hub) fn owning(&self, nick: &Nick) -> Owning {
        Owning::of(nick, self.accounts_here())
    }

    /// Whether whose turn it is can have this name, which nobody owns.
    pub(super) fn vacancy(&self, nick: &Nick, turn: &Turn<'_, impl Output>) -> Vacancy {
        let is_taken = || self.people.rival(turn.who, nick).is_some();
        match self.accounts.register.standing(nick, self.accounts.day(turn.now)) {
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
    pub(in crate::hub) fn may_be_called(&mut self, nick: &Nick, turn: &mut Turn<'_, impl Output>) -> Result<(), Fault> {
        self.expire_names(turn);
        let own = self.account(turn);
        let known = self.accounts.register.like(nick, self.accounts.day(turn.now));
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
    pub(in crate::hub) fn is_going(&self, owned: Nick) -> bool {
        self.accounts.changes(owned).goes
    }

    /// Whether any owner is about to lose their name.
    pub(in crate::hub) fn has_going(&self) -> bool {
        self.accounts.under_way().any(|(_, entry)| matches!(entry, Entry::Drop { .. }))
    }

    /// Whether a name will be whose it is when the disk has what it was given.
    pub(super) fn lasts(&self, owned: Nick) -> Result<(), Fault> {
        let changes = self.accounts.changes(owned);
        if changes.goes || changes.is_granted { Err(Fault::NameBusy(owned)) } else { Ok(()) }
    }

    pub(in crate::hub) fn register_name(
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

    pub(in crate::hub) fn login(
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
            let by = match credential {
                Credential::Password(_) => LoginBy::Password,
                Credential::Token(_) => LoginBy::Token,
            };
            self.note_failed_login(nick, by, turn);
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
                None => self.fail_login((Verb::Login, LoginBy::Password), nick, turn),
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
                        self.come_in(nick, (LoginBy::Token, Some(digest)), turn)
                    }
                    // Who may not come in is refused, and has it still when they may.
                    Some((_, Proof::Once)) if self.may_come_in(nick, turn).is_err() => {
                        self.come_in(nick, (LoginBy::Token, None), turn)
                    }
                    // It is used up for good before it opens anything.
                    Some((_, Proof::Once)) => Ok(self.write(vec![Entry::Untoken(nick)], Written::Login(nick), turn)),
                    None => self.fail_login((Verb::Login, LoginBy::Token), nick, turn),
                }
            }
        }
    }

    pub(in crate::hub) fn logout(&mut self, turn: &mut Turn<'_, impl Output>) -> Result<Done, Fault> {
        self.own_name(turn)?;
        self.may_be_guest(turn)?;
        // With the way back, for which nobody is to wait.
        self.may_be_seen_renamed(limits::RENAMES - 1, turn)?;
        self.count_seen_rename(turn);
        self.become_guest(turn).map(Done::Logout)
    }

    pub(in crate::hub) fn passwd(
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

    pub(in crate::hub) fn token(
        &mut self,
        wanted: Wanted,
        turn: &mut Turn<'_, impl Output>,
    ) -> Result<Option<Done>, Fault> {
        self.may_send_secrets(turn)?;
        let nick = self.own_for_good(turn)?;
        if wanted == Wanted::Off {
            return Ok(self.write(vec![Entry::Untoken(nick)], Written::TokenOff, turn));
        }
        // Which one makes place for it goes by when they were used.
        self.note_tokens(self.people.conns_of(turn.who).collect::<Vec<_>>(), turn);
        let token = Token(self.accounts.secrets.draw());
        let entry = Entry::Token { nick, used: Day::of(turn.now.wall), digest: digest_of(token) };
        Ok(self.write(vec![entry], Written::Token(token), turn))
    }

    pub(in crate::hub) fn drop_name(
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

    pub(in crate::hub) fn tell_account(
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
            let is_own = person.is_some_and(|person| person.id == turn.who);
            // Whoever came by an invitation has nothing but tokens, and may end these.
            if is_own && owned.password().is_none() {
                turn.out.answer(turn.conn, &Event::NoPassword(owned.nick()));
            }
            turn.out.detail(turn.conn, &Detail::Name { since: owned.since(), seen });
            if is_own {
                turn.out.detail(turn.conn, &Detail::Tokens(owned.tokens(today)));
            }
            let founded = register.founded(&owned.nick());
            if (is_own || self.controls.contains_key(&turn.conn)) && !founded.is_empty() {
                turn.out.detail(turn.conn, &Detail::Founder(founded));
            }
            if is_own {
                let is_lost = |conn: &ConnId| self.people.way(*conn).and_then(Way::lost).is_some();
                let (lost, stand): (Vec<_>, Vec<_>) = self.people.conns_of(turn.who).partition(is_lost);
                turn.out.detail(turn.conn, &Detail::Ways(stand.len()));
                if !lost.is_empty() {
                    turn.out.detail(turn.conn, &Detail::Kept(lost.len()));
                }
            }
        }
        let nick = shown.or(owned.map(|owned| owned.nick())).unwrap_or(asked);
        Ok(Done::Account { nick, standing: register.standing(&asked, self.accounts.day(turn.now)) })
    }

    /// Gives somebody a name, or the owner of one a new beginning: what they are proved by from now on is told to whoever asked.
    pub(in crate::hub) fn grant(
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
    pub(in crate::hub) fn revoke(
        &mut self,
        nick: Named<'_, Nick>,
        turn: &mut Turn<'_, impl Output>,
    ) -> Result<Option<Done>, Fault> {
        let nick = self.owner_named(nick)?;
        self.is_of_another(&nick, turn)?;
        let entry = Entry::Drop { nick, day: self.accounts.day(turn.now) };
        Ok(self.order((vec![entry], Deed::Revoke(nick)), Written::Revoke(nick), turn))
    }

    /// Makes the owner of a name an operator, or one no more.
    pub(in crate::hub) fn set_operator(
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

    pub(in crate::hub) fn list_operators(&self, turn: &mut Turn<'_, impl Output>) -> Done {
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
    pub(in crate::hub) fn may_send_secrets(&self, turn: &Turn<'_, impl Output>) -> Result<(), Fault> {
        let is_secure = self.wire_of(turn.conn) == Wire::Secure || self.settings.clear_passwords;
        if is_secure { Ok(()) } else { Err(Fault::Insecure { tls: self.settings.tls, clear: self.settings.clear }) }
    }

    /// The name that whose turn it is owns, as it was registered.
    fn own_name(&self, turn: &Turn<'_, impl Output>) -> Result<Nick, Fault> {
        let shown = self.nick(turn.who)?;
        let owned = self.accounts.register.owned(&shown);
        self.may(turn.who, Action::AsOwner(owned))?;
        Ok(owned.map_or(shown, |owned| owned.nick()))
    }

    /// The same, if it stays theirs.
    pub(super) fn own_for_good(&self, turn: &Turn<'_, impl Output>) -> Result<Nick, Fault> {
        let nick = self.own_name(turn)?;
        self.lasts(nick).map(|()| nick)
    }

    /// Whether whose turn it is still owns this name, which they did when they asked, and it stays theirs.
    pub(super) fn still_own(&self, nick: Nick, turn: &Turn<'_, impl Output>) -> Result<(), Fault> {
        let own = self.own_for_good(turn)?;
        if own == nick { Ok(()) } else { Err(Fault::NoAccount { nick: own, owning: self.owning(&own) }) }
    }

    /// Whether one more name may be registered from where somebody comes.
    pub(super) fn may_register(&self, turn: &Turn<'_, impl Output>) -> Result<(), Fault> {
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
