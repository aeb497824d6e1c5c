//! What people are told, and whether they may be.

use super::doings::bytes_at;
use super::*;

impl<W: World> Crowd<W> {
    /// Somebody hears a line.
    pub(super) fn hear(&mut self, who: usize, heard: &Heard) {
        let line = &heard.line;
        self.trace(|| format!("{who} hears {line:.120}"));
        assert!(!line.is_empty() && line.len() + 2 <= SERVER_LINE, "{} bytes: {line:?}", line.len());
        assert!(!line.contains(|c: char| c != '\t' && c.is_control()), "{line:?}");
        let parsed = ServerLine::parse(line);
        assert!(!matches!(parsed, ServerLine::Other(_)), "not of the protocol: {line:?}");
        assert_eq!(parsed.to_string(), *line);
        if let Some((_, told)) = self.compared.as_mut().filter(|(asker, _)| *asker == who) {
            told.push(line.clone());
        }
        let client = &mut self.clients[who];
        if client.place.as_ref().is_some_and(|place| place.lost.is_some()) {
            return self.hear_anew(who, &parsed);
        }
        if !matches!(parsed, ServerLine::Done(Done::Keep { .. })) {
            client.place.iter_mut().filter(|place| place.token.is_some()).for_each(|place| place.lines += 1);
        }
        assert!(!client.is_dismissed, "{who} is told {line:?} after goodbye");
        let is_for_locked = matches!(
            parsed,
            ServerLine::Bye { .. }
                | ServerLine::Hello { .. }
                | ServerLine::Detail(_)
                | ServerLine::Done(_)
                | ServerLine::Refused { .. }
        );
        assert!(!client.is_locked || is_for_locked, "{who} is locked and is told {line:?}");
        if W::AT_ONCE {
            self.check_hidden(who, &parsed);
        }
        let (client, step) = (&mut self.clients[who], self.step);
        match parsed {
            ServerLine::Hello { nick, .. } => {
                assert!(!client.is_greeted, "{who} is greeted twice");
                (client.nick, client.is_greeted, client.is_locked) = (nick.to_string(), true, false);
                client.named = step;
                client.names.push((nick.to_string(), 0, None));
                self.check_greeted(who);
            }
            ServerLine::Locked { .. } => client.is_locked = true,
            ServerLine::Bye { code, text } => {
                client.is_dismissed = true;
                client.put_out = Some(heard.waited);
                self.count("bye");
                assert!(code != Code::TooSlow || self.world.was_slow(who), "{who} was never slow");
                self.hear_bye(who, code, text);
            }
            ServerLine::Motd(_) => {}
            ServerLine::Wall { from, .. } => self.hear_wall(who, &from),
            ServerLine::Notice(text) => {
                client.was_left_out |= text.contains("private messages were left out");
                self.count("notice");
            }
            ServerLine::Nick { nick, old, .. } => self.hear_nick(who, &nick, &old),
            ServerLine::Presence { version, changes } => self.hear_presence(who, version, &changes),
            ServerLine::Detail(row) => client.rows.push(row.to_owned()),
            ServerLine::Done(done) => self.hear_done(who, &done, heard),
            ServerLine::Refused { command, code, .. } => {
                // A refused chunk is told as a command that is none.
                let command = if code == Code::NoUpload { "chunk" } else { command };
                assert!(client.rows.is_empty(), "{line} has rows");
                let due = self.answered(who, command);
                self.refused(who, &due);
            }
            ServerLine::Message { place, from, text, stamp } => {
                let seq = stamp.and_then(|stamp| stamp.seq);
                self.hear_message(who, place, seq, from.as_str(), text, heard);
            }
            ServerLine::Event { place, who: actor, what, .. } => self.hear_event(who, place, &actor, &what),
            ServerLine::Data { file, base64 } => self.hear_data(who, file.0, base64),
            ServerLine::Whole { file, size, digest } => {
                self.count("whole");
                assert_eq!(digest.to_string(), self.digest(size), "a wrong digest of {file}");
                let client = &mut self.clients[who];
                // Who fetches their own file hears first of the end of the upload.
                if !client.uploads.remove(&file.0) {
                    assert_eq!(client.downloads.remove(&file.0), Some(size), "{file} is not whole");
                }
            }
            ServerLine::Failed { file, .. } => {
                // Of what one fetches of an upload of one's own, the disk may fail alone; with the upload goes both.
                let was_under_way = client.downloads.remove(&file.0).is_some() || client.uploads.remove(&file.0);
                assert!(was_under_way, "{who} hears of the end of {file}");
                self.count("failed");
            }
            ServerLine::Other(_) => unreachable!(),
        }
    }

    /// The request that a reply to `command` answers: the first, but for those that need none.
    pub(super) fn answered(&mut self, who: usize, command: &str) -> Due {
        let due = &mut self.clients[who].due;
        let matching = due.iter().position(|due| due.verb == command || due.is_certain);
        let is_it = |due: &Due| due.verb == command || (due.may_be_unknown && command == "?");
        let Some(at) = matching.filter(|&at| is_it(&due[at])) else {
            let waiting: Vec<&str> = due.iter().map(|due| due.verb).collect();
            panic!("{who} is answered {command}, which is not what comes next: {waiting:?}");
        };
        let due = due.drain(..=at).next_back().unwrap();
        assert!(!due.may_be_unknown || command == "?" || self.may_operate(who, due.sent), "{who} is no operator");
        due
    }

    pub(super) fn refused(&mut self, who: usize, due: &Due) {
        if let Asked::Nick(name) | Asked::Login(name, _) = &due.asked {
            let step = self.step;
            let given_up = |(known, from, to): &&mut (String, u64, Option<u64>)| {
                known == name && *from == due.sent && to.is_none()
            };
            let client = &mut self.clients[who];
            client.refused_as = Some((name.clone(), step));
            let is_own = fold(&client.nick) == fold(name);
            if let Some((_, _, to)) = client.names.iter_mut().rev().find(given_up).filter(|_| !is_own) {
                *to = Some(step);
            }
        }
    }

    /// Another connection of somebody has given their name up.
    pub(super) fn hear_nick(&mut self, who: usize, nick: &Nick, old: &Nick) {
        self.count("given up");
        let (client, step) = (&mut self.clients[who], self.step);
        assert!(is_like(&client.nick, old.as_str()), "{who} is {} and is told that {old} is lost", client.nick);
        client.names.iter_mut().filter(|(_, _, to)| to.is_none()).for_each(|(_, _, to)| *to = Some(step));
        client.names.push((nick.to_string(), 0, None));
        (client.nick, client.named, client.is_owner, client.may_be_guest) = (nick.to_string(), step, false, false);
        self.end_place(who);
        if !W::AT_ONCE || self.keeper(who) != who {
            self.split(who);
        }
    }

    pub(super) fn hear_done(&mut self, who: usize, done: &Done<'_>, heard: &Heard) {
        let command = done.command();
        assert!(!matches!(done, Done::Other(..)), "{} is not of the protocol", heard.line);
        let rows = std::mem::take(&mut self.clients[who].rows);
        let details: Vec<Detail<'_>> = rows.iter().map(|row| Detail::parse(command, row)).collect();
        assert!(!details.iter().any(|row| matches!(row, Detail::Other(_))), "{rows:?} before {}", heard.line);
        let due = self.answered(who, command);
        let (step, at_once) = (self.step, W::AT_ONCE);
        assert!(!at_once || !self.tells_hidden(who, &details), "{who} hears of a hidden room: {rows:?}");
        self.check_rows(who, done, &details);
        self.check_accounts(done);
        if at_once || self.clients[who].is_control || due.may_be_unknown {
            self.hear_done_by_operator(done, &due, &details);
        }
        let (had_others, old) = (!self.others(who).is_empty(), self.clients[who].nick.clone());
        let client = &mut self.clients[who];
        match done {
            Done::Keep { token, .. } => {
                let place = client.place.get_or_insert_default();
                assert!(place.token.is_none_or(|known| known == *token), "{who} has two tokens");
                place.token = Some(*token);
            }
            Done::Nick(nick) | Done::Login(nick) | Done::Logout(nick) | Done::Drop(nick) => {
                if let Done::Login(_) = done {
                    self.come_in(who, nick, &old, &details);
                }
                let client = &mut self.clients[who];
                (client.nick, client.named) = (nick.to_string(), step);
                if due.asked == Asked::Guest {
                    client.names.push((nick.to_string(), due.sent, None));
                }
                match &due.asked {
                    Asked::Login(asked, proof) => {
                        assert!(is_like(asked, nick.as_str()), "{who} asked for {asked}");
                        client.names.push((nick.to_string(), due.sent, None));
                        client.is_owner = true;
                        let is_once = |(name, once): &(String, String)| once == proof && is_like(name, nick.as_str());
                        client.by_token = proof.starts_with("token ") && !self.once.iter().any(is_once);
                        let mut proofs = self.proofs.iter().filter(|(name, _)| is_like(name, nick.as_str()));
                        assert!(proofs.any(|(_, proofs)| proofs.contains(proof)), "{who} is {nick} by {proof}");
                        *self.counted.entry("logged-in").or_default() += 1;
                    }
                    _ => {
                        let looks_so = |name: &str| is_like(name, nick.as_str());
                        let mut owned = self.owned.iter().filter(|(name, _)| looks_so(name) && !looks_so(&old));
                        assert!(owned.all(|(_, since)| *since >= due.sent), "{who} is {nick} without proof");
                        client.is_owner &= looks_so(&old);
                    }
                }
                client.silent.retain(|(_, silent)| !is_like(silent, nick.as_str()));
                if let Asked::Login(_, proof) = &due.asked {
                    self.use_up(nick, proof);
                }
                match done {
                    Done::Nick(_) if is_like(&old, nick.as_str()) => self.spell(who, nick),
                    Done::Nick(_) | Done::Logout(_) if had_others => self.split(who),
                    Done::Drop(_) => self.drop_name(who, &due, &old),
                    _ => {}
                }
                let client = &mut self.clients[who];
                let is_it = |known: &str| Nick::new(known).is_ok_and(|known| known.as_str() == nick.as_str());
                let old = client
                    .names
                    .iter_mut()
                    .filter(|(known, from, to)| to.is_none() && *from <= due.sent && !is_it(known));
                // What the next request asks for may be so already.
                old.for_each(|(_, _, to)| *to = Some(step));
            }
            Done::Register(nick) => {
                let name = key(nick.as_str());
                assert!(
                    matches!(&due.asked, Asked::Register(password) if password.len() >= 8),
                    "{name} has no password"
                );
                (client.is_owner, client.by_token) = (true, false);
                self.keep_ranks(who);
                self.owned.insert(name, step);
                *self.counted.entry("registered").or_default() += 1;
                if let Asked::Register(password) = due.asked {
                    let password = Some(password);
                    self.promise(who, due.sent, nick.as_str(), Promise::Owned { password, token: None });
                }
            }
            Done::Passwd => {
                let Asked::Passwd(password) = due.asked else { panic!("{who} has asked for no password") };
                if at_once {
                    self.hear_password(who);
                    // Nothing else is good any more.
                    self.proofs.retain(|name, _| !is_like(name, &old));
                    self.proofs.entry(key(&old)).or_default().insert(password.clone());
                }
                let password = Some(password);
                self.promise(who, due.sent, &old, Promise::Owned { password, token: None });
            }
            Done::Token(token) => {
                self.proofs.entry(key(&old)).or_default().insert(done.to_string());
                let is_known = |name: &&String| is_like(name, &old);
                let password = match self.promises.iter().find(|(name, _)| is_known(name)) {
                    Some((_, Promise::Owned { password, .. })) => password.clone(),
                    _ => None,
                };
                self.promise(who, due.sent, &old, Promise::Owned { password, token: Some(*token) });
            }
            Done::TokenOff => {
                if at_once {
                    let proofs = self.proofs.iter_mut().filter(|(name, _)| is_like(name, &old));
                    proofs.for_each(|(_, proofs)| proofs.retain(|proof| !proof.starts_with("token ")));
                    self.hear_tokens_end(who);
                }
                self.clients[who].changed = step;
                for (_, promise) in self.promises.iter_mut().filter(|(name, _)| is_like(name, &old)) {
                    if let Promise::Owned { token, .. } = promise {
                        *token = None;
                    }
                }
            }
            Done::Join { room, count } => {
                let room = fold(room.as_str()).into_owned();
                self.enter(who, &room);
                let is_in = |client: &&Client| client.rooms.contains_key(&room);
                let here: BTreeSet<usize> = self.clients.iter().filter(is_in).map(|client| client.person).collect();
                assert!(!at_once || here.len() as u64 == *count, "{count} are in {room}, where {here:?} are");
                if *count == 1 {
                    // It may have been forgotten, and be another one.
                    if !at_once {
                        self.hidden.remove(&room);
                    }
                    self.mutes.retain(|(of, _), _| *of != room);
                    self.bans.retain(|(of, _), _| *of != room);
                    let holder = self.holder(&Nick::new(&old).unwrap());
                    self.ranks.insert((room, holder));
                }
            }
            Done::OfMember { command: "invite", room, nick } => {
                let holder = self.holder(nick);
                self.order.invited.insert((fold(room.as_str()).into_owned(), holder));
            }
            Done::OfMember { command: "op" | "voice" | "founder", room, nick } => {
                let holder = self.holder(nick);
                self.ranks.insert((fold(room.as_str()).into_owned(), holder));
            }
            Done::OfMember { command: "kick", room, nick } => {
                let silent = (fold(room.as_str()).into_owned(), key(nick.as_str()));
                self.clients[who].silent.insert(silent);
            }
            Done::Ban { mute, room, id, who: whom @ (Whom::Guest(nick) | Whom::Name(nick)), .. } => {
                let room = fold(room.as_str()).into_owned();
                client.silent.insert((room.clone(), key(nick.as_str())));
                let holder = self.holder(nick);
                self.bans.remove(&(room.clone(), *id));
                if let (Whom::Name(name), false) = (whom, mute) {
                    self.bans.insert((room.clone(), *id), key(name.as_str()));
                }
                if *mute {
                    self.mutes.insert((room, *id), holder);
                } else {
                    self.mutes.remove(&(room, *id));
                }
            }
            Done::Unban { room, id } => {
                let room = fold(room.as_str()).into_owned();
                // The reply does not tell whose it was.
                client.silent.retain(|(of, _)| *of != room);
                self.bans.remove(&(room.clone(), *id));
                self.mutes.remove(&(room, *id));
            }
            Done::Room { room, rule: Some(("hidden", value)) } => {
                let room = fold(room.as_str()).into_owned();
                if *value == "on" {
                    self.hidden.insert(room)
                } else {
                    self.hidden.remove(&room)
                };
            }
            Done::Leave(room) => {
                let room = fold(room.as_str()).into_owned();
                let was_there = client.rooms.contains_key(&room) || had_others;
                assert!(was_there, "{who} left {room} and was not there");
                self.leave(who, &room);
                if !at_once {
                    // Who is slow is not told that another connection of theirs has left.
                    for other in self.others(who) {
                        if self.world.was_slow(other) && self.clients[other].rooms.contains_key(&room) {
                            self.clients[other].unsure_rooms.insert(room.clone());
                            self.excuse(other, Some(&room));
                        }
                    }
                }
            }
            Done::Ignore(nick) => {
                let meant = (0..self.clients.len()).filter(|&other| self.may_be_known_as(other, *nick, due.sent));
                let meant: BTreeSet<usize> = meant.map(|other| self.clients[other].person).collect();
                let candidates: Vec<usize> = meant.into_iter().collect();
                let person = &mut self.people[self.clients[who].person];
                person.ignored.push(Vec::clone(&candidates));
                person.ignores.push(candidates);
            }
            Done::Unignore(nick) => {
                // Somebody of this name, or somebody who had it once, as only those who are here are known by it.
                let meant = (0..self.clients.len()).filter(|&other| self.may_be_known_as(other, *nick, 0));
                let meant: BTreeSet<usize> = meant.map(|other| self.clients[other].person).collect();
                let Person { ignores, unsure, .. } = &mut self.people[self.clients[who].person];
                let is_meant = |ignored: &mut Vec<usize>| ignored.iter().any(|other| meant.contains(other));
                let lifted: Vec<Vec<usize>> = ignores.extract_if(.., is_meant).collect();
                // Several may have been called so, and one of them was meant.
                if lifted.len() > 1 {
                    unsure.extend(lifted.into_iter().flatten());
                }
            }
            Done::Set("echo", on) => client.echo = *on,
            Done::Set("presence", on) => {
                client.presence = *on;
                client.online = None;
            }
            Done::Set("typing", on) => client.typing = *on,
            Done::Who { version, count } => {
                assert_eq!(rows.len() as u64, *count);
                let nicks = details.iter().filter_map(|row| match row {
                    Detail::Who { nick, .. } => Some(nick.to_string()),
                    _ => None,
                });
                if due.asked == Asked::WhoAll && client.presence && !self.world.is_slow(who) {
                    client.online = Some((*version, nicks.collect()));
                }
            }
            Done::Rooms(count) | Done::Files(count) | Done::Ignoring(count) => assert_eq!(rows.len() as u64, *count),
            Done::History { room, count } => {
                assert_eq!(rows.len() as u64, *count);
                client.released = Some(heard.waited);
                let room = fold(room.as_str()).into_owned();
                assert!(client.rooms.contains_key(&room), "{who} reads what {room} says");
                let mut last = 0;
                for row in &details {
                    let Detail::Line { seq, text, .. } = row else { continue };
                    assert!(*seq > last, "{seq} after {last} in the history of {room}");
                    last = *seq;
                    let said = number_of(text.strip_prefix("/me ").unwrap_or(text)).map(|n| &self.sayings[n]);
                    let is_of = said.is_none_or(|said| said.target.as_ref().is_none_or(|target| *target == room));
                    assert!(is_of, "{text} was not said in {room}");
                    let since = self.forgotten.get(&room).copied().unwrap_or_default();
                    let is_of_now = number_of(text).is_none_or(|n| n >= since);
                    assert!(is_of_now, "{text} was said in a room called {room} that was forgotten");
                }
            }
            Done::Send { file, offset } => {
                if *offset > 0 {
                    *self.counted.entry("resumed").or_default() += 1;
                }
                if let Asked::Send(n) = due.asked {
                    self.files.insert(file.0, n);
                }
                client.upload = Some((file.0, *offset));
                client.uploads.insert(file.0);
                client.shared.insert(file.0);
            }
            Done::Get { file, offset, .. } => drop(client.downloads.insert(file.0, *offset)),
            Done::Cancel(file) if client.downloads.remove(&file.0).is_some() => {}
            Done::Cancel(file) => drop(client.uploads.remove(&file.0)),
            Done::Msg(place) => {
                if let Asked::Say(n) = due.asked {
                    match place {
                        Place::Room(room) => self.accepted(n, fold(room.as_str()).into_owned()),
                        Place::With(nick) => self.accepted_in_private(n, nick),
                    }
                }
            }
            Done::Ping(_) => {
                if let Asked::Ping(Some(waited)) = due.asked
                    && !self.world.was_slow(who)
                {
                    assert_eq!(heard.waited, waited, "{who} had to wait for an answer");
                }
            }
            Done::Quit => {
                client.is_dismissed = true;
                assert!(!at_once || self.world.is_closed(who), "{who} has quit and is not closed");
            }
            _ => {}
        }
    }

    pub(super) fn hear_presence(&mut self, who: usize, version: u64, changes: &[Change]) {
        self.count("presence");
        let was_slow = self.world.was_slow(who);
        let client = &mut self.clients[who];
        assert!(client.presence, "{who} does not want to be told");
        assert!(!changes.is_empty());
        let Some((known, online)) = &mut client.online else { return };
        if version != *known + 1 {
            assert!(was_slow, "{who} hears of version {version} after {known}");
            // One that was left out shows only in this.
            if version > *known {
                client.online = None;
            }
            return;
        }
        *known = version;
        for change in changes {
            match change {
                Change::Went(nick) => online.remove(nick.as_str()),
                Change::Came(nick) => online.insert(nick.to_string()),
            };
        }
    }

    pub(super) fn hear_message(
        &mut self,
        who: usize,
        place: Place,
        seq: Option<u64>,
        from: &str,
        text: &str,
        heard: &Heard,
    ) {
        self.count("said");
        let words = text.strip_prefix("/me ").unwrap_or(text);
        let n = number_of(words).filter(|&n| n < self.sayings.len());
        if let Place::Room(room) = place {
            let room = fold(room.as_str()).into_owned();
            // That another connection of theirs came in was left out for who is slow.
            if !self.clients[who].rooms.contains_key(&room) && !W::AT_ONCE && self.world.was_slow(who) {
                assert!(!self.others(who).is_empty(), "{who} hears what {room} says");
                self.enter(who, &room);
            }
            self.check_silent(who, &room, from);
            self.clients[who].unsure_rooms.remove(&room);
            let Some(stay) = self.clients[who].rooms.get_mut(&room) else { panic!("{who} hears what {room} says") };
            if let Some(seq) = seq {
                assert!(seq > stay.last, "{seq} after {} in {room}", stay.last);
                stay.last = seq;
            }
        }
        let Some(n) = n else { return };
        let (said, client) = (&self.sayings[n], &self.clients[who]);
        // Of a line that was cut off with its speaker, what came is said.
        if said.text != words {
            let is_cut_off = self.clients[said.speaker].parted.is_some() && said.text.starts_with(words);
            return assert!(is_cut_off, "{words} for {}", said.text);
        }
        let (speaker, sent) = (said.speaker, said.sent);
        assert!(!client.heard.contains(&n), "{who} hears {n} twice");
        assert!(self.may_be_called(speaker, from, sent), "{speaker} speaks as {from}");
        let is_known = W::AT_ONCE || (self.others(who).is_empty() && self.others(speaker).is_empty());
        let person = self.clients[speaker].person;
        let ignores = is_known && self.people[client.person].ignores.iter().any(|meant| *meant == [person]);
        assert!(!ignores, "{who} hears {speaker}, whom they ignore");
        match place {
            Place::Room(room) => {
                let room = fold(room.as_str()).into_owned();
                let is_out = !self.clients[speaker].rooms.contains_key(&room) && !self.outside.contains(&room);
                let is_silent = W::AT_ONCE && (is_out || self.is_muted(speaker, &room));
                assert!(!is_silent || self.clients[speaker].is_gone, "{speaker} is not to be heard in {room}");
                let is_hushed = W::AT_ONCE && self.is_hushed(speaker, &room) && !self.clients[speaker].is_gone;
                assert!(!is_hushed, "{speaker} may only listen, and is heard in {room}");
                assert!(said.target.as_ref().is_none_or(|target| *target == room), "{n} is heard in {room}");
                assert!(who != speaker || client.echo, "{who} hears themselves");
                if let (Some(known), Some(seq)) = (said.seq, seq) {
                    assert_eq!(known, seq, "{n} has two numbers");
                }
                if let Some(logged) = heard.logged {
                    let &(at, waited) = self.logged.get(&n).unwrap_or_else(|| panic!("{n} is not in the log"));
                    assert!(at < logged, "{n} was heard before it was in the log");
                    let held = heard.waited - waited;
                    if !self.world.was_slow(who) {
                        // Behind a history for which the log was asked it comes with that.
                        let most = if client.released == Some(heard.waited) { ANSWERED } else { GATHER };
                        assert!(held <= most, "{n} was held for {held:?}");
                        if held > Duration::ZERO {
                            self.count("gathered");
                        }
                    }
                }
                if W::AT_ONCE {
                    let may_hear = !self.world.is_slow(who);
                    assert!(may_hear, "{who} hears {n} and is slow");
                }
                self.accepted(n, room);
                let said = &mut self.sayings[n];
                said.owed.remove(&who);
                said.seq = said.seq.or(seq);
            }
            Place::With(_) => {
                let is_meant = |target: &String| self.may_be_called(who, target, sent);
                let is_theirs = said.target.as_ref().is_none_or(is_meant);
                let is_own = if who == speaker { client.echo } else { self.may_be_one(who, speaker) };
                assert!(is_theirs || is_own, "{who} hears {n}, which is for {:?}", said.target);
                self.sayings[n].owed.remove(&who);
            }
        }
        self.clients[who].heard.insert(n);
    }

    pub(super) fn hear_event(&mut self, who: usize, place: Place, actor: &Nick, what: &What<'_>) {
        let kind = match what {
            What::Typing => "typing",
            What::Idle => "idle",
            What::File { .. } => "file",
            What::Unfile { .. } => "unfile",
            What::Away(_) => "away",
            What::Lost(_) => "lost",
            What::Unreached => "unreached",
            What::Missed { .. } => "missed",
            What::Kicked { .. } => "kicked",
            What::Banned { .. } => "banned",
            What::Erased { .. } => "erased",
            What::Other(text) => panic!("not of the protocol: {text}"),
            _ => "other",
        };
        self.count(kind);
        let is_of_typing = matches!(what, What::Typing | What::Idle);
        assert!(!is_of_typing || self.clients[who].typing, "{who} does not want to be told of typing");
        let Place::Room(room) = place else { return };
        let room = fold(room.as_str()).into_owned();
        // An owner may spell their name otherwise.
        let is_me = |nick: &Nick| is_like(&self.clients[who].nick, nick.as_str());
        let has_others = !self.others(who).is_empty();
        // That another connection of theirs came in was left out for who is slow.
        let may_be_told_late = !W::AT_ONCE && self.world.was_slow(who) && has_others;
        if (matches!(what, What::Joined) && is_me(actor))
            || (!self.clients[who].rooms.contains_key(&room) && may_be_told_late)
        {
            assert!(has_others, "{who} hears of their own coming into {room}");
            self.enter(who, &room);
        }
        // Senders hear of the end of their file wherever they are.
        let is_unfile = matches!(what, What::Unfile { .. });
        // Another connection of theirs may have been told before that they are out.
        let puts_out = matches!(what, What::Left(_) | What::Kicked { .. } | What::Banned { .. } | What::Missed { .. });
        let may_be_out = is_unfile || (W::AT_ONCE && has_others && puts_out);
        assert!(may_be_out || self.clients[who].rooms.contains_key(&room), "{who} hears {what:?} of {room}");
        if let What::Missed { count, after } = *what {
            assert!(self.world.was_slow(who), "{who} has missed {count} in {room} and was never slow");
            self.clients[who].missed.push((room.clone(), after + 1..after + 1 + count));
        }
        self.hear_of(who, &room, actor, what);
    }

    /// What follows from an event in a room for who is heard there.
    pub(super) fn hear_of(&mut self, who: usize, room: &str, actor: &Nick, what: &What<'_>) {
        let is_me = |nick: &Nick| is_like(&self.clients[who].nick, nick.as_str());
        let silent = |nick: &Nick| (room.to_owned(), key(nick.as_str()));
        match what {
            What::Typing | What::File { .. } | What::Topic(_) => self.check_silent(who, room, actor.as_str()),
            What::Left(reason) | What::Quit(reason) if !reason.is_empty() => {
                self.check_silent(who, room, actor.as_str());
            }
            _ => {}
        }
        match what {
            What::Joined => drop(self.clients[who].silent.remove(&silent(actor))),
            What::Renamed(nick) => {
                let (is_mine, silent) = (is_me(actor), silent(nick));
                let client = &mut self.clients[who];
                client.silent.remove(&silent);
                if is_mine && is_like(actor.as_str(), nick.as_str()) {
                    client.nick = nick.to_string();
                    client.names.push((nick.to_string(), 0, None));
                }
            }
            What::Left(_) | What::Quit(_) | What::Lost(_) => {
                let is_mine = is_me(actor);
                let is_gone = !matches!(what, What::Left(_));
                assert!(!(is_mine && is_gone), "{who} is {actor}, and hears that they went");
                if is_gone {
                    self.gone.insert(*actor);
                }
                if is_mine {
                    // By another connection of theirs, or as a ban is for who they become.
                    if W::AT_ONCE && self.others(who).is_empty() {
                        self.count("left for a ban");
                    }
                    self.leave(who, room);
                } else {
                    self.clients[who].silent.insert(silent(actor));
                }
            }
            What::Kicked { nick, .. } | What::Banned { mute: false, who: Whom::Guest(nick) | Whom::Name(nick), .. } => {
                if is_me(nick) {
                    self.leave(who, room);
                } else {
                    self.clients[who].silent.insert(silent(nick));
                }
            }
            What::Banned { mute: true, who: Whom::Guest(nick) | Whom::Name(nick), .. } => {
                self.clients[who].silent.insert(silent(nick));
            }
            What::Unbanned { mute: true, who: Whom::Guest(nick) | Whom::Name(nick) } | What::Made { nick, .. } => {
                self.clients[who].silent.remove(&silent(nick));
            }
            // What was left out may have lifted it.
            What::Missed { .. } => self.clients[who].silent.retain(|(of, _)| of != room),
            _ => {}
        }
    }

    pub(super) fn hear_data(&mut self, who: usize, file: u64, base64: &str) {
        self.count("data");
        let data = BASE64.decode(base64).expect("file data is base64");
        let client = &self.clients[who];
        let Some(&at) = client.downloads.get(&file) else { panic!("{who} fetches no {file}") };
        assert!(bytes_at(at, data.len() as u64) == data, "wrong bytes of {file} at {at}");
        if let Some(&n) = self.files.get(&file) {
            let offer = &self.offers[n];
            let mut kin = (0..self.clients.len()).filter(|&other| self.is_kin(who, other));
            let is_for = match offer.target.strip_prefix('#') {
                Some(_) => client.rooms.contains_key(&offer.target),
                None => kin.clone().any(|other| self.may_be_called(other, &offer.target, offer.sent)),
            };
            let is_theirs = kin.any(|other| offer.sender == other || self.clients[other].shared.contains(&file));
            assert!(is_for || is_theirs, "{who} gets bytes of {file}");
            let (unit, end) = (DOWNLOAD_UNIT as u64, at + data.len() as u64);
            assert!(end <= offer.size && (end % unit == 0 || end == offer.size), "{file} in odd parts: {at} to {end}");
        }
        self.clients[who].downloads.insert(file, at + data.len() as u64);
    }
}
