//! The tokens that prove that names are ours: what is kept of them, and what the server says of that.

use super::{Logins, Pending, Session, TokenChange};
use crate::names::{Nick, Token};
use crate::wire::{Code, Command};

impl Logins {
    /// This proves from now on that the name is ours, in the place of what did.
    pub(in super::super) fn renew(&mut self, nick: Nick, token: Token) {
        self.tokens.retain(|(of, _)| *of != nick);
        self.tokens.push((nick, token));
    }

    /// What proves that this name is ours, unless it was refused just now.
    pub(in super::super) fn token(&self, nick: Nick) -> Option<Token> {
        let is_good = |(of, _): &&(Nick, Token)| *of == nick && self.doubted != Some(nick);
        self.tokens.iter().find(is_good).map(|(_, token)| *token)
    }

    pub(super) fn keep(&mut self, nick: Nick, token: Token) {
        self.renew(nick, token);
        self.doubted = self.doubted.filter(|doubted| *doubted != nick);
        self.changes.push_back(TokenChange::Keep(nick, token));
    }

    /// Whatever proved that this name is ours does so no more.
    pub(in super::super) fn forget(&mut self, nick: Nick) {
        let changes = &mut self.changes;
        self.tokens.retain(|&(of, token)| {
            if of == nick {
                changes.push_back(TokenChange::Forget(of, token));
            }
            of != nick
        });
    }
}

impl Session {
    /// The next change of what is kept for later runs.
    pub fn poll_token(&mut self) -> Option<TokenChange> {
        self.logins.changes.pop_front()
    }

    /// What changed of what is kept could not be written down, for this reason.
    pub fn untold(&mut self, why: &str) {
        self.logins.kept = None;
        self.refuse(format!("the token cannot be kept, so the next start needs the password: {why}"));
    }

    /// We own `nick` from now on, or have done something of which our tokens end.
    pub(in super::super) fn ask_token(&mut self, nick: Nick) {
        self.logins.owner = Some(nick);
        if self.logins.person {
            self.ask(Command::Token, Pending::Token(nick));
        }
    }

    pub(in super::super) fn got_token(&mut self, nick: Nick, token: Token) {
        self.logins.kept = Some(nick).filter(|_| self.logins.token(nick).is_none());
        self.logins.keep(nick, token);
    }

    /// The token is written down.
    pub fn kept(&mut self) {
        if let Some(nick) = self.logins.kept.take().filter(|nick| self.logins.noted.replace(*nick) != Some(*nick)) {
            self.note(format!("the next start needs no password for {nick}, as a token is kept; /token off ends that"));
        }
    }

    /// The server has told whether somebody owns this name, of which it has refused the token that is kept; or why nobody owns any.
    pub(in super::super) fn token_refused(&mut self, nick: Nick, is_owned: bool, why: Option<&str>) {
        let file = self.logins.file.as_ref().filter(|(of, _)| *of == nick).map(|(_, file)| file);
        if !is_owned && self.is_disproved(nick) {
            let token = file.map_or("the token that is kept".to_owned(), |file| format!("the token in {file}"));
            let why = why.map_or_else(|| format!("this server knows nobody who owns {nick}"), str::to_owned);
            let how = if file.is_some() {
                "leave the token out to go by that name as a guest"
            } else {
                "go by another --nick"
            };
            return self.end_without_name(&format!("{token} proves nothing here: {why}; {how}"));
        }
        self.note(match (file, is_owned) {
            (Some(file), true) => format!("the token in {file} is not good any more"),
            (None, true) => format!("the token that was kept for {nick} is not good any more"),
            (Some(file), false) => {
                format!("this server knows nobody who owns {nick}, so the token in {file} proves nothing here")
            }
            (None, false) => format!(
                "this server knows nobody who owns {nick}; the token that is kept for it stays, and the next connection tries it again"
            ),
        });
        if is_owned {
            let is_disproved = self.is_disproved(nick);
            self.logins.forget(nick);
            if is_disproved {
                self.has_no_name(Code::Owned, "");
            }
        }
    }
}
