//! Names that have owners: by what they are proved, and what the server has told of them.

use super::doings::PASSWORDS;
use super::*;
use crate::memory::look_at;

/// What the server has told of a name, so that no crash may undo it.
pub(super) enum Promise {
    /// It is owned, and proved by these.
    Owned { password: Option<String>, token: Option<Token> },
    /// It is nobody's.
    Dropped,
}

impl<W: World> Crowd<W> {
    /// What the server has told of names is so in this register.
    pub(super) fn check_promises(&self, register: &Register, wall: SystemTime) {
        register.check();
        for (name, promise) in &self.promises {
            let nick = Nick::new(name).unwrap();
            match promise {
                Promise::Owned { password, token } => {
                    let Some(owned) = register.owned(&nick) else { panic!("{name} was registered, and is nobody's") };
                    if let Some(password) = password {
                        let password = Secret(password.clone());
                        let task = owned.password().map(|&hash| PasswordTask::Verify { password, hash });
                        let is_right = task.is_some_and(|task| look_at(&task) == PasswordResult::Right);
                        assert!(is_right, "{name} has another password than was told");
                    }
                    if let Some(token) = token {
                        let digest = chinwag::names::Digest(Sha256::digest(token.0).into());
                        assert!(owned.prove(digest, wall).is_some(), "a token of {name} is good no more");
                    }
                }
                Promise::Dropped => {
                    let standing = register.standing(&nick, Day::of(wall));
                    assert!(standing != Standing::Owned, "{name} was given up, and is owned");
                }
            }
        }
    }

    /// Whether what somebody asked about their name at this step may have come before or after what their kin asked.
    pub(super) fn is_in_flux(&self, who: usize, sent: u64) -> bool {
        let changes = |due: &Due| matches!(due.verb, "register" | "passwd" | "token" | "drop");
        let kin = |&other: &usize| other != who && self.is_kin(who, other);
        let may_cross = |other: usize| {
            let other = &self.clients[other];
            other.changed >= sent || other.due.iter().any(changes)
        };
        (0..self.clients.len()).filter(kin).any(may_cross)
    }

    /// The server has told this of the name that somebody had.
    pub(super) fn promise(&mut self, who: usize, sent: u64, name: &str, promise: Promise) {
        let is_certain = !self.is_in_flux(who, sent);
        self.clients[who].changed = self.step;
        self.promises.retain(|known, _| !is_like(known, name));
        if is_certain {
            self.promises.insert(key(name), promise);
        }
    }

    /// What is promised of the names that somebody may have is so no more, surely: they have asked for something else.
    pub(super) fn unpromise(&mut self, who: usize) {
        self.clients[who].changed = self.step;
        let open: Vec<&String> =
            self.clients[who].names.iter().filter(|(_, _, to)| to.is_none()).map(|(name, ..)| name).collect();
        self.promises.retain(|known, _| !open.iter().any(|name| is_like(known, name)));
    }

    /// No token is promised any more of the names that somebody may have: they have asked for an end of all.
    pub(super) fn unpromise_tokens(&mut self, who: usize) {
        let open: Vec<&String> =
            self.clients[who].names.iter().filter(|(_, _, to)| to.is_none()).map(|(name, ..)| name).collect();
        for (known, promise) in &mut self.promises {
            if let Promise::Owned { token, .. } = promise
                && open.iter().any(|name| is_like(known, name))
            {
                *token = None;
            }
        }
    }

    /// Somebody may be about to make this what proves their name.
    pub(super) fn may_prove(&mut self, who: usize, proof: &str) {
        for (name, _, _) in self.clients[who].names.iter().filter(|(_, _, to)| to.is_none()) {
            self.proofs.entry(key(name)).or_default().insert(proof.to_owned());
        }
    }

    /// Mostly by what a name may be proved.
    pub(super) fn password_of(&self, name: &str, chance: &mut dyn Chance) -> String {
        let known = self.proofs.iter().filter(|(known, _)| is_like(known, name)).flat_map(|(_, proofs)| proofs);
        let known: Vec<&String> = known.filter(|proof| !proof.starts_with("token ")).collect();
        if known.is_empty() || chance.one_in(4) {
            (*chance.pick(PASSWORDS)).to_owned()
        } else {
            (*chance.pick(&known)).clone()
        }
    }

    /// An owner asks for a token, somebody comes in beside one by theirs, or one ends theirs: mostly one of whom somebody is here by one.
    pub(super) fn token(&self, owners: &[usize], chance: &mut dyn Chance) -> Option<(usize, String)> {
        if owners.is_empty() {
            return None;
        }
        let came_by_one = |other: usize| self.clients[other].by_token;
        let is_beside = |&&who: &&usize| self.others(who).into_iter().any(came_by_one);
        let owner = *chance.pick(owners);
        let name = &self.clients[owner].nick;
        let proofs = self.proofs.iter().filter(|(known, _)| is_like(known, name)).flat_map(|(_, proofs)| proofs);
        let token = proofs.filter_map(|proof| proof.strip_prefix("token ")).next_back();
        match (token, chance.below(8)) {
            (Some(token), 0..5) => Some((self.somebody(chance)?, format!("/login {name} token:{token}"))),
            (_, 5) => Some((owners.iter().find(is_beside).copied().unwrap_or(owner), "/token off".to_owned())),
            _ => Some((owner, "/token".to_owned())),
        }
    }

    /// A place that somebody has is over, as their name is theirs no more.
    pub(super) fn end_place(&mut self, who: usize) {
        let place = &mut self.clients[who].place;
        if place.take_if(|place| place.token.is_some()).is_some() {
            self.count("ended with a name");
        }
    }

    /// Somebody has given up the name that they had: nothing of it is left.
    pub(super) fn drop_name(&mut self, who: usize, due: &Due, old: &str) {
        self.end_place(who);
        self.count("dropped");
        self.promise(who, due.sent, old, Promise::Dropped);
        self.forget_name(old);
        if W::AT_ONCE {
            self.keeps(who);
        } else {
            for other in self.others(who) {
                self.clients[other].may_be_guest = true;
            }
        }
    }

    /// What is good once proves nothing any more.
    pub(super) fn use_up(&mut self, nick: &Nick, proof: &str) {
        let known = self.once.len();
        self.once.retain(|(name, other)| other != proof || !is_like(name, nick.as_str()));
        if self.once.len() == known {
            return;
        }
        self.count("once");
        self.spent.push((nick.to_string(), proof.to_owned()));
        for (_, proofs) in self.proofs.iter_mut().filter(|(name, _)| is_like(name, nick.as_str())) {
            proofs.remove(proof);
        }
        for (_, promise) in self.promises.iter_mut().filter(|(name, _)| is_like(name, nick.as_str())) {
            if let Promise::Owned { token, .. } = promise {
                *token = None;
            }
        }
    }
}
