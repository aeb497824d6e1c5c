//! The names that are owned or held, and by what their owners prove themselves.

use std::time::SystemTime;

use slab::Slab;

use super::entry::{Entry, PasswordHash};
use crate::limits;
use crate::names::{Digest, KeptNick, Nick};
use crate::nametable::NameTable;
use crate::time::Day;

/// The names that are owned or held. No two of them look alike, but for those that were owned before they did.
#[derive(Debug, Default)]
pub(super) struct Names {
    names: Slab<Box<Name>>,
    by_nick: NameTable<usize>,
}

impl Names {
    fn find(&self, nick: &Nick) -> Option<usize> {
        self.by_nick.find(nick, |at| self.names.get(at).map(|name| name.nick()))
    }

    pub(super) fn get(&self, nick: &Nick) -> Option<&Name> {
        self.names.get(self.find(nick)?).map(|name| &**name)
    }

    pub(super) fn get_mut(&mut self, nick: &Nick) -> Option<&mut Name> {
        let at = self.find(nick)?;
        self.names.get_mut(at).map(|name| &mut **name)
    }

    /// Those that look like this one.
    pub(super) fn like(&self, nick: &Nick) -> impl Iterator<Item = &Name> {
        let like = self.by_nick.like(nick, |at| self.names.get(at).map(|name| name.nick()));
        like.into_iter().filter_map(|at| self.names.get(at)).map(|name| &**name)
    }

    /// A name that is here is spelled so from now on.
    pub(super) fn respell(&mut self, nick: Nick) {
        if self.get(&nick).is_none_or(|name| name.nick().as_str() == nick.as_str()) {
            return;
        }
        if let Some(Name::Owned(owned)) = self.remove(&nick).map(|name| *name) {
            self.insert(Name::Owned(Owned { nick: nick.into(), ..owned }));
        }
    }

    /// Puts in a name that is not here.
    pub(super) fn insert(&mut self, name: Name) {
        let nick = name.nick();
        let at = self.names.insert(Box::new(name));
        let Self { names, by_nick } = self;
        by_nick.insert(at, &nick, |at| names.get(at).map(|name| name.nick()));
    }

    pub(super) fn remove(&mut self, nick: &Nick) -> Option<Box<Name>> {
        let at = self.find(nick)?;
        let name = self.names.try_remove(at)?;
        self.by_nick.remove(at, &name.nick());
        Some(name)
    }

    pub(super) fn len(&self) -> usize {
        self.names.len()
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Name> {
        self.names.iter().map(|(_, name)| &**name)
    }
}

/// A name that is somebody's, or was.
#[derive(Debug)]
pub(super) enum Name {
    Owned(Owned),
    /// Given up or expired on this day.
    Held(KeptNick, Day),
}

impl Name {
    pub(super) fn nick(&self) -> Nick {
        match self {
            Self::Owned(owned) => owned.nick.get(),
            Self::Held(nick, _) => nick.get(),
        }
    }

    pub(super) fn lines(&self) -> usize {
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
    pub(super) since: Day,
    pub(super) seen: Day,
    pub(super) is_operator: bool,
    pub(super) password: Option<PasswordHash>,
    /// The one that was made first stands first.
    tokens: Vec<Token>,
    pub(super) once: Option<Box<(SystemTime, Digest)>>,
    pub(super) ownership: u32,
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
    /// A name that has come to an owner, for this time of its coming to one, with nothing yet but perhaps a password.
    pub(super) fn new(nick: Nick, since: Day, password: Option<PasswordHash>, ownership: u32) -> Self {
        let (tokens, once) = (Vec::new(), None);
        Self { nick: nick.into(), since, seen: since, is_operator: false, password, tokens, once, ownership }
    }

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

    /// Whether it was granted, and nobody has come by that yet.
    pub fn is_awaited(&self) -> bool {
        self.once.is_some()
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

    /// A token was made, or used, on this day. The eldest makes place for one more than there may be.
    pub(super) fn note_token(&mut self, digest: Digest, used: Day) {
        if let Some(token) = self.tokens.iter_mut().find(|token| token.digest == digest) {
            token.used = used;
            return;
        }
        if self.tokens.len() >= limits::TOKENS {
            let eldest = (0..self.tokens.len()).min_by_key(|&at| self.tokens[at].used);
            eldest.map(|at| self.tokens.remove(at));
        }
        self.tokens.reserve_exact(1);
        self.tokens.push(Token { digest, used });
    }

    /// No token is good any more.
    pub(super) fn forget_tokens(&mut self) {
        (self.tokens, self.once) = (Vec::new(), None);
    }

    pub(super) fn entries(&self) -> impl Iterator<Item = Entry> + '_ {
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
