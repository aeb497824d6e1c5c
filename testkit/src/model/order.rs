//! Order in rooms: who has a rank, who is muted or put out, and who may know of a room.

use super::*;

/// Who has something in a room.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Holder {
    /// The owner of this name.
    Owner(String),
    /// Somebody as long as they are there.
    Person(usize),
}

impl<W: World> Crowd<W> {
    /// Whether somebody who is connected has a rank in a room by the name that they own, as far as is known.
    pub(super) fn may_rule(&self, who: usize, room: &str) -> bool {
        let client = &self.clients[who];
        let is_theirs = |holder: &Holder| matches!(holder, Holder::Owner(name) if is_like(name, &client.nick));
        client.is_owner && self.ranks.iter().any(|(of, holder)| of == room && is_theirs(holder))
    }

    /// Whoever owns their name from now on has for good what they were as a guest in rooms that are somebody's.
    pub(super) fn keep_ranks(&mut self, who: usize) {
        let (by_stay, name) = (Holder::Person(self.clients[who].person), key(&self.clients[who].nick));
        let is_kept = |room: &str| {
            let rules = RoomName::new(room).ok().and_then(|room| self.world.register().room(&room));
            rules.is_some_and(|rules| rules.roles().iter().any(|(of, _)| is_like(of.as_str(), &name)))
        };
        let had = self.ranks.iter().filter(|(room, holder)| *holder == by_stay && is_kept(room));
        let kept: Vec<String> = had.map(|(room, _)| room.clone()).collect();
        self.ranks.extend(kept.into_iter().map(|room| (room, Holder::Owner(name.clone()))));
    }

    /// Who is called so, as a rank or a ban is for them.
    pub(super) fn holder(&self, nick: &Nick) -> Holder {
        let is_it = |client: &&Client| !client.is_gone && is_like(&client.nick, nick.as_str());
        match self.clients.iter().find(is_it) {
            Some(client) if !client.is_owner => Holder::Person(client.person),
            _ => Holder::Owner(key(nick.as_str())),
        }
    }

    /// Whether somebody is muted in a room, surely.
    pub(super) fn is_muted(&self, who: usize, room: &str) -> bool {
        let client = &self.clients[who];
        let is_for = |holder: &Holder| match holder {
            Holder::Owner(name) => client.is_owner && is_like(name, &client.nick),
            Holder::Person(person) => *person == client.person,
        };
        let mut mutes = self.mutes.iter().filter(|((of, _), _)| of == room);
        // An op by name is not muted.
        mutes.any(|(_, holder)| is_for(holder)) && !self.may_rule(who, room)
    }

    /// Somebody who may see to order in a room, as far as is known.
    pub(super) fn ruler(&self, chance: &mut dyn Chance) -> Option<(usize, String)> {
        let rules = |who: usize, room: &String| {
            let by_stay = (room.clone(), Holder::Person(self.clients[who].person));
            self.ranks.contains(&by_stay) || self.may_rule(who, room)
        };
        let rooms_of = |who: usize| self.clients[who].rooms.keys().map(move |room| (who, room));
        let rulers: Vec<(usize, &String)> =
            self.living().into_iter().flat_map(rooms_of).filter(|&(who, room)| rules(who, room)).collect();
        if rulers.is_empty() { None } else { Some(*chance.pick(&rulers)).map(|(who, room)| (who, room.clone())) }
    }

    /// What somebody is told says nothing of a hidden room that they are not in, unless they rule it.
    pub(super) fn check_hidden(&self, who: usize, line: &ServerLine<'_>) {
        // An operator may hand over any room that they know of.
        let is_order = match line {
            ServerLine::Refused { command, .. } => *command == "founder",
            ServerLine::Done(done) => done.command() == "founder",
            _ => false,
        };
        if self.clients[who].is_control || (is_order && self.is_operator(who)) {
            return;
        }
        let is_secret = |room: &str| {
            let room = fold(room);
            self.hidden.contains(&*room) && !self.clients[who].rooms.contains_key(&*room) && !self.may_rule(who, &room)
        };
        let tells = match line {
            // Whoever wants to come in finds it there, and whoever is in a room is told which one keeps a name from them.
            ServerLine::Refused { command: "join" | "nick", .. } => false,
            ServerLine::Refused { code, text, .. } => {
                use Code::{BadKey, Banned, Gone, InviteOnly, Muted, NoAccount, NoSuchNick, NotInRoom, NotOp};
                matches!(code, BadKey | Banned | Gone | InviteOnly | Muted | NoAccount | NoSuchNick | NotInRoom | NotOp)
                    && text.split([' ', ',', ';', ':', '\'']).any(is_secret)
            }
            // They are in it now, were until now, or said it themselves.
            ServerLine::Done(Done::Join { .. } | Done::Leave(_) | Done::Ping(_)) => false,
            ServerLine::Done(done) => done.to_string().split(' ').any(is_secret),
            _ => false,
        };
        assert!(!tells, "{who} hears of a hidden room: {line:?}");
    }

    /// Whether rows tell somebody of a hidden room that they are not in and do not rule.
    pub(super) fn tells_hidden(&self, who: usize, rows: &[Detail<'_>]) -> bool {
        let is_control = self.clients[who].is_control;
        let is_secret = |room: &RoomName| {
            let room = fold(room.as_str()).into_owned();
            let knows = is_control || self.clients[who].rooms.contains_key(&room) || self.may_rule(who, &room);
            self.hidden.contains(&room) && !knows
        };
        rows.iter().any(|row| match row {
            Detail::Room { room, .. } => is_secret(room),
            Detail::Who { rooms, .. } | Detail::Founder(rooms) => rooms.iter().any(is_secret),
            Detail::File { place: Place::Room(room), file, .. } => {
                is_secret(room) && !self.clients.iter().any(|client| client.shared.contains(&file.0))
            }
            _ => false,
        })
    }

    /// Nobody is twice in a list, and nobody has a rank that they were not given or have lost with their name.
    pub(super) fn check_rows(&self, who: usize, done: &Done<'_>, rows: &[Detail<'_>]) {
        let mut listed: Vec<Nick> = Vec::new();
        for row in rows {
            match row {
                Detail::Here(nicks) => listed.extend(nicks.iter()),
                Detail::Who { nick, rooms, .. } => {
                    listed.push(*nick);
                    let distinct: BTreeSet<&RoomName> = rooms.iter().collect();
                    assert_eq!(distinct.len(), rooms.len(), "{nick} is twice in a room");
                    let is_it = |client: &&Client| !client.is_gone && is_like(&client.nick, nick.as_str());
                    if let Some(client) = self.clients.iter().find(is_it).filter(|_| W::AT_ONCE) {
                        let is_in = |room: &RoomName| client.rooms.contains_key(&*fold(room.as_str()));
                        assert!(rooms.iter().all(is_in), "{nick} is not in all of {rooms:?}");
                    }
                }
                Detail::Ranked { nick, .. } if W::AT_ONCE => {
                    let Done::Count { room, .. } = done else { panic!("{row:?} of no room") };
                    let room = fold(room.as_str()).into_owned();
                    let holders = [self.holder(nick), Holder::Owner(key(nick.as_str()))];
                    let is_here = |client: &&Client| !client.is_gone && is_like(&client.nick, nick.as_str());
                    let person = self.clients.iter().find(is_here).map(|client| Holder::Person(client.person));
                    let is_given = |holder: &Holder| match holder {
                        Holder::Owner(name) => self.ranks.iter().any(|(of, known)| {
                            *of == room && matches!(known, Holder::Owner(known) if is_like(known, name))
                        }),
                        Holder::Person(_) => self.ranks.contains(&(room.clone(), holder.clone())),
                    };
                    let is_owner = matches!(holders[0], Holder::Owner(_));
                    let has_it = (is_owner && is_given(&holders[1])) || person.as_ref().is_some_and(is_given);
                    assert!(has_it, "{who} hears that {nick} has a rank in {room}");
                }
                Detail::Founder(rooms) if W::AT_ONCE => {
                    let rules = |room: &RoomName| self.may_rule(who, &fold(room.as_str()));
                    assert!(rooms.iter().all(rules), "{who} is the founder of {rooms:?}");
                }
                _ => {}
            }
        }
        for (at, nick) in listed.iter().enumerate() {
            assert!(!listed[..at].iter().any(|other| other.is_like(nick)), "{nick} is listed twice");
        }
    }

    /// Whoever was put out of a room, left or was muted there, as somebody was told, is not heard by them until they come again.
    pub(super) fn check_silent(&self, who: usize, room: &str, from: &str) {
        let silent = self.clients[who].silent.contains(&(room.to_owned(), key(from)));
        assert!(!silent || self.outside.contains(room), "{who} hears {from} in {room}, who is to be silent");
    }

    /// Rooms of guests that keep something to themselves go with the last who is in them, with all that was said there.
    pub(super) fn forget_the_empty(&mut self) {
        let empty: Vec<String> = self.few.iter().filter(|room| !self.is_occupied(room)).cloned().collect();
        empty.iter().for_each(|room| self.forget_room(room));
        let rooms = self.world.register().rooms();
        let few = rooms.filter(|(_, rules)| rules.goes_when_empty()).map(|(name, _)| fold(name.as_str()).into_owned());
        self.few = few.collect();
        let left = self.few.iter().find(|room| !self.is_occupied(room));
        assert!(left.is_none(), "{left:?} goes with the last who is in it, and nobody is");
        let is_ranked =
            |room: &&String| self.ranks.iter().any(|(of, holder)| of == *room && matches!(holder, Holder::Owner(_)));
        let ranked = self.few.iter().find(is_ranked);
        assert!(ranked.is_none(), "{ranked:?} goes with the last who is in it, and a name was given a rank there");
    }

    /// Whether somebody was ever given a rank in a room by a name like this.
    fn ever_ruled(&self, room: &str, name: &str) -> bool {
        let is_theirs = |holder: &Holder| matches!(holder, Holder::Owner(other) if is_like(other, name));
        self.ranks.iter().any(|(of, holder)| of == room && is_theirs(holder))
    }

    /// Nobody is in a room from which the name is banned that they own.
    pub(super) fn check_banned(&self) {
        for ((room, id), name) in self.bans.iter().filter(|((room, _), name)| !self.ever_ruled(room, name)) {
            let is_there = |client: &&Client| client.is_owner && client.rooms.contains_key(room);
            let there = self.clients.iter().filter(is_there).find(|client| is_like(&client.nick, name));
            assert!(there.is_none(), "{name} is in {room}, in spite of the ban {id}");
        }
    }

    /// Somebody in a room from which a name is banned that they may be about to prove, and that name.
    pub(super) fn tempted(&self, chance: &mut dyn Chance) -> Option<(usize, String)> {
        let is_in = |room: &str, who: usize| !self.clients[who].is_owner && self.clients[who].rooms.contains_key(room);
        let living = self.living();
        // Who comes in beside themselves is in their own rooms.
        let is_here = |name: &str| living.iter().any(|&who| is_like(&self.clients[who].nick, name));
        let of = |((room, _), name): (&(String, u64), &String)| {
            living.iter().find(|&&who| is_in(room, who)).map(|&who| (who, name.clone()))
        };
        let absent = self.bans.iter().filter(|(_, name)| !is_here(name));
        let tempted: Vec<(usize, String)> = absent.filter_map(of).collect();
        if tempted.is_empty() { None } else { Some(chance.pick(&tempted).clone()) }
    }

    fn is_occupied(&self, room: &str) -> bool {
        self.clients.iter().any(|client| client.rooms.contains_key(room))
    }

    fn forget_room(&mut self, room: &str) {
        self.count("forgotten");
        self.trace(|| format!("{room} is forgotten"));
        self.forgotten.insert(room.to_owned(), self.sayings.len());
        self.hidden.remove(room);
        self.mutes.retain(|(of, _), _| of != room);
        self.bans.retain(|(of, _), _| of != room);
        self.ranks.retain(|(of, _)| of != room);
        self.order.invited.retain(|(of, _)| of != room);
    }

    /// A server that was killed has begun anew from a ledger of which all is left, or the beginning: what was hidden is so still,
    /// but for what goes with the last who is in it, as nobody is.
    pub(super) fn hidden_after(&mut self, is_all_there: bool) {
        let few = std::mem::take(&mut self.few);
        if is_all_there {
            few.iter().for_each(|room| self.forget_room(room));
        } else {
            // What had been forgotten may be there again.
            self.forgotten.clear();
        }
        let register = self.world.register();
        let is_hidden = |room: &String| {
            let mut rooms = register.rooms().filter(|(name, _)| fold(name.as_str()) == **room);
            rooms.any(|(_, rules)| rules.rules().contains(&Rule::Hidden(true)))
        };
        let lifted = self.hidden.iter().find(|room| is_all_there && !is_hidden(room));
        assert!(lifted.is_none(), "{lifted:?} was hidden before a restart, and is not");
        let count = self.hidden.iter().filter(|room| is_hidden(room)).count() as u64;
        *self.counted.entry("hidden still").or_default() += count;
        self.hidden.retain(is_hidden);
    }

    /// Somebody asks about a hidden room that they may not know of, or a file of it, and about what is not there: they are told the
    /// same.
    pub(super) fn ask_of_hidden(&mut self, chance: &mut dyn Chance) {
        let Some(who) = self.somebody(chance) else { return };
        let client = &self.clients[who];
        let is_secret = |room: &&String| !client.rooms.contains_key(*room) && !self.may_rule(who, room);
        let secret: Vec<&String> = self.hidden.iter().filter(is_secret).collect();
        if secret.is_empty() || !client.is_greeted || self.world.is_slow(who) {
            return;
        }
        let room = (*chance.pick(&secret)).clone();
        let (nick, number) = (client.nick.clone(), chance.below(20));
        let person = client.person;
        let is_theirs = |client: &Client, file: u64| client.person == person && client.shared.contains(&file);
        let is_of_room = |(&file, &offer): (&u64, &usize)| {
            self.offers[offer].target == room && !self.clients.iter().any(|client| is_theirs(client, file))
        };
        let file =
            self.files.iter().filter(|&(file, offer)| is_of_room((file, offer))).map(|(file, _)| *file).next_back();
        let (command, subject, absent, words) = match file.filter(|_| chance.one_in(4)) {
            Some(file) => (*chance.pick(&["get", "cancel"]), file.to_string(), "999999", String::new()),
            None => {
                let (command, words) = *chance.pick(QUESTIONS);
                (command, room, "#nowhere", words.replace("NICK", &nick).replace('N', &number.to_string()))
            }
        };
        self.count(if file.is_some_and(|file| subject == file.to_string()) {
            "asked of its files"
        } else {
            "asked of hidden"
        });
        let mut ask = |subject: &str| {
            self.compared = Some((who, Vec::new()));
            self.send_line(who, &format!("/{command} {subject} {words}"));
            self.hear_all();
            let (_, told) = self.compared.take().unwrap();
            // That an upload of theirs ends with the next `/send` has nothing to do with the room.
            let told = told.into_iter().filter(|line| !line.starts_with('=') && !line.contains(" unfile "));
            // The number of a file may be that of something else within a word.
            let word = |word: &str| if word == subject { "#".to_owned() } else { word.to_owned() };
            let unnamed = |line: String| match subject.starts_with('#') {
                true => line.replace(subject, "#"),
                false => line.split(' ').map(word).collect::<Vec<_>>().join(" "),
            };
            told.map(unnamed).collect::<Vec<_>>()
        };
        let (hidden, absent) = (ask(&subject), ask(absent));
        assert_eq!(hidden, absent, "what {who} is told of {subject}, which is hidden, by /{command}");
    }
}

/// What may be asked about a room by its name: the command, and what stands behind the room.
const QUESTIONS: &[(&str, &str)] = &[
    ("who", ""),
    ("topic", ""),
    ("topic", "something"),
    ("history", "N"),
    ("history", "after N"),
    ("files", ""),
    ("query", ""),
    ("msg", "hello"),
    ("typing", "on"),
    ("send", "300 x.txt"),
    ("room", ""),
    ("room", "hidden off"),
    ("bans", ""),
    ("op", ""),
    ("op", "NICK"),
    ("voice", "NICK"),
    ("founder", "NICK"),
    ("kick", "NICK"),
    ("ban", "NICK"),
    ("unban", "N"),
    ("invite", "NICK"),
    ("uninvite", "NICK"),
    ("erase", "N"),
    ("leave", ""),
];
