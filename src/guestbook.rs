//! What is so of a room only as long as people are here: the roles of guests, who may come in, who spoke when.

use crate::names::{KeptNick, Origin, PersonId};
use crate::register::entry::{BanKind, Role};
use crate::time::Instant;

/// What a room knows of those who are here. What is of owned names outlives them, and is the register's.
#[derive(Debug, Default)]
pub struct Guestbook {
    /// Who has been one for longest stands first.
    roles: Vec<(PersonId, Role)>,
    invited: Vec<PersonId>,
    /// Guests for whom a ban or a mute is, whatever they are called by now, in the order of the bans' numbers.
    bans: Vec<GuestBan>,
    /// The number of the last ban, so that none is given again as long as somebody may mean the one that had it.
    last_ban: u64,
    /// Who last said something, where people may do so only now and then; the latest comes last.
    spoke: Vec<Spoke>,
    /// The last message before somebody came, of those who see nothing that was said before.
    came: Vec<(PersonId, u64)>,
}

/// For whom the ban of a guest is who is still here, and since when.
#[derive(Clone, Copy, Debug)]
pub struct GuestBan {
    /// Which ban it is.
    pub id: u64,
    /// What they may not do.
    pub kind: BanKind,
    /// The guest.
    pub who: PersonId,
    /// A serial number of when it was set: who came into the room before from the same network is not meant.
    pub since: u64,
}

/// That somebody said something.
#[derive(Clone, Debug)]
pub struct Spoke {
    /// Who it was.
    pub who: PersonId,
    /// The name that they own, if they do.
    pub owned: Option<KeptNick>,
    /// Where they came from.
    pub origin: Origin,
    /// A serial number of when it was, by which it is known who came later.
    pub serial: u64,
    /// When it was.
    pub at: Instant,
}

impl Guestbook {
    /// Of a room that knows nothing of anybody.
    pub const NONE: &'static Self = &Self {
        roles: Vec::new(),
        invited: Vec::new(),
        bans: Vec::new(),
        last_ban: 0,
        spoke: Vec::new(),
        came: Vec::new(),
    };

    /// What somebody is there as long as they stay.
    pub fn role(&self, who: PersonId) -> Option<Role> {
        self.roles.iter().find(|(other, _)| *other == who).map(|(_, role)| *role)
    }

    /// The roles; who has been one for longest comes first.
    pub fn roles(&self) -> &[(PersonId, Role)] {
        &self.roles
    }

    /// Gives a guest another role, or none.
    pub fn set_role(&mut self, who: PersonId, role: Option<Role>) {
        if self.role(who) != role {
            self.roles.retain(|(other, _)| *other != who);
            self.roles.extend(role.map(|role| (who, role)));
        }
    }

    /// Whether a guest is invited.
    pub fn is_invited(&self, who: PersonId) -> bool {
        self.invited.contains(&who)
    }

    /// How many guests are invited.
    pub fn invited(&self) -> usize {
        self.invited.len()
    }

    /// Lets go of invitations of those who are not here any more.
    pub fn retain_invited(&mut self, is_here: impl Fn(PersonId) -> bool) {
        self.invited.retain(|&who| is_here(who));
    }

    /// Invites a guest.
    pub fn invite(&mut self, who: PersonId) {
        if !self.is_invited(who) {
            self.invited.push(who);
        }
    }

    /// A guest is invited no more.
    pub fn uninvite(&mut self, who: PersonId) {
        self.invited.retain(|&other| other != who);
    }

    /// A ban or a mute of a guest, by its number.
    pub fn ban(&self, id: u64) -> Option<&GuestBan> {
        self.bans.binary_search_by_key(&id, |ban| ban.id).ok().and_then(|at| self.bans.get(at))
    }

    /// The number of the ban or mute that is for this guest already.
    pub fn ban_of(&self, kind: BanKind, who: PersonId) -> Option<u64> {
        self.bans.iter().find(|ban| (ban.kind, ban.who) == (kind, who)).map(|ban| ban.id)
    }

    /// The number of the last ban.
    pub fn last_ban(&self) -> u64 {
        self.last_ban
    }

    /// A ban has this number.
    pub fn number_ban(&mut self, id: u64) {
        self.last_ban = self.last_ban.max(id);
    }

    /// A ban or a mute is for this guest.
    pub fn add_ban(&mut self, ban: GuestBan) {
        match self.bans.binary_search_by_key(&ban.id, |other| other.id) {
            Ok(at) => self.bans[at] = ban,
            Err(at) => self.bans.insert(at, ban),
        }
    }

    /// A ban holds no more.
    pub fn remove_ban(&mut self, id: u64) {
        self.bans.retain(|ban| ban.id != id);
    }

    /// When somebody of these last said something, as far as that matters.
    pub fn spoke(&self, is_one: impl Fn(&Spoke) -> bool) -> Option<Instant> {
        self.spoke.iter().rfind(|spoke| is_one(spoke)).map(|spoke| spoke.at)
    }

    /// Somebody says something; what was said before `since` does not matter any more, and of so many people at most it is known.
    pub fn speak(&mut self, spoke: Spoke, since: Instant, most: usize) {
        self.spoke.retain(|other| other.who != spoke.who && other.at > since);
        if self.spoke.len() >= most {
            self.spoke.remove(0);
        }
        self.spoke.push(spoke);
    }

    /// The last message before somebody came, if they see nothing that was said before.
    pub fn came_after(&self, who: PersonId) -> Option<u64> {
        self.came.iter().find(|(other, _)| *other == who).map(|(_, seq)| *seq)
    }

    /// Somebody comes who sees only what is said from now on.
    pub fn come(&mut self, who: PersonId, last_seq: u64) {
        self.came.push((who, last_seq));
    }

    /// Somebody leaves the room: their role ends, and where they came in.
    pub fn leave(&mut self, who: PersonId) {
        self.roles.retain(|(other, _)| *other != who);
        self.came.retain(|(other, _)| *other != who);
    }

    /// Whether it says nothing.
    pub fn is_empty(&self) -> bool {
        self.roles.is_empty()
            && self.invited.is_empty()
            && self.bans.is_empty()
            && self.last_ban == 0
            && self.spoke.is_empty()
            && self.came.is_empty()
    }
}
