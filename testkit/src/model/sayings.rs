//! What is said: who must hear it.

use super::*;

/// The number of a text that is said once.
pub(super) fn number_of(text: &str) -> Option<usize> {
    text.strip_prefix(MARK)?.split_once(MARK)?.0.parse().ok()
}

impl<W: World> Crowd<W> {
    /// Somebody need not hear any more what was said in a room, or in all.
    pub(super) fn excuse(&mut self, who: usize, room: Option<&str>) {
        for &n in &self.open {
            let said = &mut self.sayings[n];
            if said.room.is_some() && (room.is_none() || said.room.as_deref() == room) {
                said.owed.remove(&who);
            }
        }
    }

    /// A message is the room's: from now on it is owed to those who were surely there.
    pub(super) fn accepted(&mut self, n: usize, room: String) {
        let said = &self.sayings[n];
        if said.room.is_some() {
            return;
        }
        let (speaker, sent) = (said.speaker, said.sent);
        let is_owed = |&who: &usize| {
            let client = &self.clients[who];
            let is_there = client.rooms.get(&room).is_some_and(|stay| W::AT_ONCE || stay.since < sent)
                && !client.unsure_rooms.contains(&room);
            let is_spared = who == speaker && !(W::AT_ONCE && client.echo);
            is_there && !is_spared && self.must_hear(who, speaker, n)
        };
        let owed = (0..self.clients.len()).filter(is_owed).collect();
        let said = &mut self.sayings[n];
        (said.room, said.owed) = (Some(room), owed);
        self.open.push(n);
    }

    /// A message has reached somebody in private: it is owed to all who were surely called so, and to the speaker's other
    /// connections.
    pub(super) fn accepted_in_private(&mut self, n: usize, nick: &Nick) {
        let (speaker, sent) = (self.sayings[n].speaker, self.sayings[n].sent);
        let is_owed = |&who: &usize| {
            let client = &self.clients[who];
            let is_called =
                is_like(&client.nick, nick.as_str()) && !client.may_be_guest && (W::AT_ONCE || client.named < sent);
            let is_meant = if who == speaker {
                W::AT_ONCE && (client.echo || is_called)
            } else {
                is_called || (W::AT_ONCE && self.may_be_one(who, speaker))
            };
            // What one connection does not take, the others do.
            let may_be_left_out = !W::AT_ONCE && self.world.was_slow(who) && !self.others(who).is_empty();
            is_meant && client.is_greeted && !may_be_left_out && self.must_hear(who, speaker, n)
        };
        let owed: BTreeSet<usize> = (0..self.clients.len()).filter(is_owed).collect();
        self.sayings[n].owed = owed;
        self.open.push(n);
    }

    /// Whether somebody must hear a message, if it is for them: they do not ignore who says it, and neither they nor another
    /// connection of theirs may have seen to that or have gone.
    pub(super) fn must_hear(&self, who: usize, speaker: usize, n: usize) -> bool {
        let client = &self.clients[who];
        let others = self.others(who);
        let is_alone = others.is_empty();
        let may_change = |due: &Due| match due.asked {
            Asked::Leave | Asked::Quit | Asked::Set | Asked::Ignore(_) | Asked::Login(..) | Asked::Guest => true,
            Asked::Nick(_) => !is_alone,
            _ => false,
        };
        let may_undo = |due: &Due| match due.asked {
            Asked::Ignore(_) | Asked::Guest => true,
            Asked::Leave => self.world.was_slow(who),
            _ => false,
        };
        let is_undone = || others.iter().any(|&other| self.clients[other].due.iter().any(may_undo));
        let is_gone = client.is_gone || client.parted.is_some() || client.is_dismissed;
        let is_left_out = W::AT_ONCE && self.world.is_slow(who);
        !is_gone
            && !client.heard.contains(&n)
            && !is_left_out
            && !client.due.iter().any(may_change)
            && !is_undone()
            && !self.may_ignore(who, speaker)
    }

    /// Whether somebody may not hear what somebody else says.
    pub(super) fn may_ignore(&self, who: usize, speaker: usize) -> bool {
        if W::AT_ONCE {
            let (person, speaker) = (&self.people[self.clients[who].person], self.clients[speaker].person);
            return person.unsure.contains(&speaker) || person.ignores.iter().any(|meant| meant.contains(&speaker));
        }
        // What was set or unset since it was sent says nothing of it. Everybody is a person of their own here.
        let mut kin = (0..self.clients.len()).filter(|&other| self.is_kin(who, other));
        kin.any(|other| self.people[other].ignored.iter().flatten().any(|&meant| self.is_kin(meant, speaker)))
    }
}
