//! Who is who: which connections are of one person, in which rooms they are, and what they may be called.

use super::*;

/// The room of a row of a login, and the number of its last message.
fn room_of(row: &Detail<'_>) -> Option<(String, u64)> {
    match row {
        Detail::In { room, last } => Some((fold(room.as_str()).into_owned(), *last)),
        _ => None,
    }
}

impl<W: World> Crowd<W> {
    /// Who is the same person as somebody through another connection, or may be.
    pub(super) fn others(&self, who: usize) -> Vec<usize> {
        let is_other = |&other: &usize| {
            other != who && self.may_be_one(who, other) && !(W::AT_ONCE && self.clients[other].is_gone)
        };
        (0..self.clients.len()).filter(is_other).collect()
    }

    /// Whether two connections are of the same person, or may be.
    pub(super) fn may_be_one(&self, one: usize, other: usize) -> bool {
        if W::AT_ONCE { self.clients[one].person == self.clients[other].person } else { self.is_kin(one, other) }
    }

    /// Whether two connections may ever have been of the same person.
    pub(super) fn is_kin(&self, one: usize, other: usize) -> bool {
        self.clients[one].kin == self.clients[other].kin
    }

    /// Somebody may be about to come in beside whoever was ever called so.
    pub(super) fn become_kin(&mut self, who: usize, name: &str) {
        let was_called = |client: &Client| client.names.iter().any(|(known, ..)| is_like(known, name));
        let kin = self.clients[who].kin;
        let met: BTreeSet<usize> =
            self.clients.iter().filter(|client| was_called(client)).map(|client| client.kin).collect();
        self.clients.iter_mut().filter(|client| met.contains(&client.kin)).for_each(|client| client.kin = kin);
    }

    /// Somebody is one of their own from now on, in no room.
    pub(super) fn split(&mut self, who: usize) {
        if W::AT_ONCE {
            self.clients[who].person = self.people.len();
            self.people.push(Person::default());
            self.clients[who].rooms.clear();
            self.count_way(who);
        } else {
            // They may have been the only one, and be in the rooms still.
            let client = &mut self.clients[who];
            client.unsure_rooms = client.rooms.keys().cloned().collect();
        }
        self.excuse(who, None);
    }

    /// Somebody is another connection of whose they are from now on.
    fn count_way(&mut self, who: usize) {
        self.ways_made += 1;
        self.clients[who].since = self.ways_made;
    }

    /// Those of whom is known what one of them does: over a world that answers at once, all connections of a person.
    pub(super) fn ways(&self, who: usize) -> Vec<usize> {
        let others = if W::AT_ONCE { self.others(who) } else { Vec::new() };
        std::iter::once(who).chain(others).collect()
    }

    /// Somebody is in a room from now on.
    pub(super) fn enter(&mut self, who: usize, room: &str) {
        for way in self.ways(who) {
            let (client, since) = (&mut self.clients[way], self.step);
            if client.unsure_rooms.remove(room) || !client.rooms.contains_key(room) {
                client.rooms.insert(room.to_owned(), Stay { since, last: 0 });
                client.silent.retain(|(other, _)| other != room);
            }
        }
    }

    /// Somebody is not in a room any more.
    pub(super) fn leave(&mut self, who: usize, room: &str) {
        for way in self.ways(who) {
            self.clients[way].rooms.remove(room);
            self.clients[way].unsure_rooms.remove(room);
            self.excuse(way, Some(room));
        }
    }

    /// Nobody is shown but who is connected, each person once, and under an owned name only who has proved it.
    pub(super) fn check_ways(&self) {
        let (_, online) = self.world.online();
        let mut ways: BTreeMap<&str, usize> = BTreeMap::new();
        for (who, client) in self.clients.iter().enumerate() {
            if !client.is_greeted || client.is_gone || client.is_dismissed {
                continue;
            }
            // A connection of theirs may have spelled their name otherwise.
            let is_it = |name: &&String| **name == client.nick || (is_like(name, &client.nick) && client.is_owner);
            let Some(name) = online.keys().find(is_it) else { panic!("{who} is {}, and not online", client.nick) };
            *ways.entry(name).or_default() += 1;
            if !self.world.is_slow(who) {
                let owned = self.world.register().owned(&Nick::new(name).unwrap());
                assert!(owned.is_none() || client.is_owner, "{who} is {name} and has not proved it");
                assert!(owned.is_some() || !client.is_owner, "{who} has proved to own {name}, which is nobody's");
            }
        }
        let online: BTreeMap<&str, usize> = online.iter().map(|(name, &count)| (name.as_str(), count)).collect();
        assert_eq!(online, ways, "the list is not who is there");
    }

    pub(super) fn forget(&mut self, who: usize) {
        let client = &mut self.clients[who];
        client.is_gone = true;
        client.rooms.clear();
        client.unsure_rooms.clear();
        if W::AT_ONCE {
            client.names.iter_mut().for_each(|(_, _, to)| *to = Some(to.unwrap_or(self.step)));
        }
        for &n in &self.open {
            self.sayings[n].owed.remove(&who);
        }
    }

    /// Whether somebody may be meant by this name, who had it at some time from `from` on, or one that looks like it.
    pub(super) fn may_be_called(&self, who: usize, name: &str, from: u64) -> bool {
        self.may_have_had(who, from, |known| is_like(known, name))
    }

    /// Whether somebody may have had exactly this name, in whatever case, at some time from `from` on.
    pub(super) fn may_be_known_as(&self, who: usize, name: Nick, from: u64) -> bool {
        self.may_have_had(who, from, |known| Nick::new(known) == Ok(name))
    }

    pub(super) fn may_have_had(&self, who: usize, from: u64, is_meant: impl Fn(&str) -> bool) -> bool {
        let client = &self.clients[who];
        let becomes_guest = |other: usize| self.clients[other].due.iter().any(|due| due.asked == Asked::Guest);
        let may_be_guest =
            || client.may_be_guest || becomes_guest(who) || self.others(who).into_iter().any(becomes_guest);
        // Who has not read their greeting may be called anything.
        (!client.is_greeted && !client.is_control && (client.is_locked || !W::AT_ONCE))
            || ((1..100).any(|n| is_meant(&format!("guest{n}"))) && may_be_guest())
            || client.names.iter().any(|(known, _, to)| to.is_none_or(|to| to >= from) && is_meant(known))
    }

    /// Somebody has proved a name, and is in these rooms now.
    pub(super) fn come_in(&mut self, who: usize, nick: &Nick, old: &str, rows: &[Detail<'_>]) {
        let is_it = |&other: &usize| {
            let client = &self.clients[other];
            other != who && !client.is_gone && is_like(&client.nick, nick.as_str())
        };
        let beside = (0..self.clients.len()).find(is_it);
        if beside.is_some() {
            self.count("beside");
        }
        if W::AT_ONCE {
            let is_new = !is_like(old, nick.as_str());
            match beside {
                Some(beside) if self.clients[who].person != self.clients[beside].person => {
                    self.clients[who].person = self.clients[beside].person;
                    self.count_way(who);
                }
                Some(_) => {}
                None if is_new && !self.others(who).is_empty() => self.split(who),
                None => {}
            }
            let with = beside.unwrap_or(who);
            let told: BTreeSet<String> = rows.iter().filter_map(room_of).map(|(room, _)| room).collect();
            let known: BTreeSet<String> = self.clients[with].rooms.keys().cloned().collect();
            assert_eq!(told, known, "the rooms of {nick}, which {who} is now");
        }
        let client = &mut self.clients[who];
        let unsure = std::mem::take(&mut client.unsure_rooms);
        let mut rooms = std::mem::take(&mut client.rooms);
        for (room, last) in rows.iter().filter_map(room_of) {
            // In a room of which that was not sure they may not have been until now.
            let stay = rooms.remove(&room).filter(|_| !unsure.contains(&room)).unwrap_or_else(|| {
                client.silent.retain(|(other, _)| *other != room);
                Stay { since: self.step, last }
            });
            client.rooms.insert(room, stay);
        }
        for room in rooms.into_keys() {
            self.excuse(who, Some(&room));
        }
    }

    /// Somebody spells their name otherwise, on all of their connections.
    pub(super) fn spell(&mut self, who: usize, nick: &Nick) {
        for way in self.ways(who) {
            let client = &mut self.clients[way];
            if client.nick != nick.as_str() || way == who {
                client.nick = nick.to_string();
                client.names.push((nick.to_string(), self.step, None));
            }
        }
    }
}
