//! Questions: what is there, and what was said.

use std::cell::Cell;

use crate::effect::Output;
use crate::event::{Change, Detail, Done, Fault, Gone, Limit, Now, Setting, State, Verb};
use crate::files::{Share, Stage};
use crate::limits;
use crate::names::{Nick, PersonId, Place, RoomName};
use crate::people::Person;
use crate::policy::Doing;
use crate::request::{Named, Part, Target};
use crate::rooms::RoomId;
use crate::typing::Where;

use super::{Hub, Turn};

/// Has every command explained, or one.
pub(super) fn help(verb: Option<Verb>, turn: &mut Turn<'_, impl Output>) -> Done {
    turn.out.detail(turn.conn, &Detail::Help(verb));
    Done::Help
}

impl Hub {
    pub(super) fn limits(&self, turn: &mut Turn<'_, impl Output>) -> Done {
        let settings = &self.settings;
        let count = |count: usize| count as u64;
        let per_minute = |limit: u32| if settings.rate > 0 { u64::from(limit) } else { 0 };
        let limits = vec![
            (Limit::Rate, settings.rate.into()),
            (Limit::Burst, settings.burst().into()),
            (Limit::Renames, per_minute(limits::RENAMES)),
            (Limit::Joins, per_minute(limits::JOINS)),
            (Limit::RoomsOfPerson, count(limits::ROOMS_A_PERSON)),
            (Limit::Rooms, count(limits::ROOMS)),
            (Limit::Topic, count(limits::TOPIC)),
            (Limit::Ignored, count(limits::IGNORED)),
            (Limit::History, count(settings.history)),
            (Limit::HistoryLines, count(limits::HISTORY_LINES)),
            (Limit::HistoryBytes, count(limits::HISTORY_BYTES)),
            (Limit::Log, settings.log.map_or(0, |log| log.max)),
            (Limit::File, settings.max_file),
            (Limit::Spool, settings.spool),
            (Limit::FileTtl, settings.file_ttl.as_secs()),
            (Limit::FilesOfSender, count(limits::FILES_A_SENDER)),
            (Limit::Files, count(limits::FILES)),
            (Limit::Uploads, count(limits::UPLOADS)),
            (Limit::Downloads, count(limits::DOWNLOADS)),
            (Limit::UploadSilence, limits::UPLOAD_SILENCE.as_secs()),
            (Limit::Resume, limits::RESUME.as_secs()),
            (Limit::Typing, limits::TYPING.as_secs()),
            (Limit::SlowReader, count(limits::SLOW_CONSUMER)),
            (Limit::Stall, settings.stall.as_secs()),
            (Limit::Locked, limits::LOCKED.as_secs()),
            (Limit::Clients, count(settings.max_clients)),
            (Limit::ClientsOfAddress, count(settings.max_per_ip)),
            (Limit::NewRooms, per_minute(limits::NEW_ROOMS * limits::A_PREFIX)),
            (Limit::Logs, settings.log.map_or(0, |_| count(limits::LOGS))),
        ];
        turn.out.detail(turn.conn, &Detail::Limits(limits));
        Done::Limits
    }

    /// Tells somebody who has joined what the room is about and who is there.
    pub(super) fn show_room(&self, room: RoomId, turn: &mut Turn<'_, impl Output>) -> Done {
        if let Some(topic) = self.topic_for(turn.who, room) {
            turn.out.detail(turn.conn, &Detail::Topic(topic));
        }
        let room = &self.rooms[room];
        let nick = |member| self.people.get(member).map(Person::nick);
        let mut names: Vec<Nick> = room.members().take(limits::NAMES_ON_JOIN).filter_map(nick).collect();
        names.sort_unstable();
        for line in names.chunks(limits::NAMES_A_LINE) {
            turn.out.detail(turn.conn, &Detail::Here(line.to_vec()));
        }
        Done::Join { room: room.name, count: room.members().len() }
    }

    pub(super) fn list_rooms(&self, turn: &mut Turn<'_, impl Output>) -> Result<Done, Fault> {
        for (room_id, room) in self.rooms.iter() {
            let topic = self.topic_for(turn.who, room_id);
            turn.out.detail(turn.conn, &Detail::Room { name: room.name, count: room.members().len(), topic });
        }
        Ok(Done::Rooms(self.rooms.len()))
    }

    pub(super) fn who(&mut self, whom: Option<Target<'_>>, turn: &mut Turn<'_, impl Output>) -> Result<Done, Fault> {
        let Some(viewer) = self.people.get(turn.who) else { return Err(Fault::NoTarget) };
        let mut people: Vec<&Person> = match whom {
            None => self.people.iter().collect(),
            Some(Target::Room(room)) => {
                self.rooms[self.find_room(room)?].members().filter_map(|member| self.people.get(member)).collect()
            }
            Some(Target::Person(whom)) => vec![self.find_person(whom)?],
        };
        people.sort_unstable_by_key(|person| person.nick());
        for person in &people {
            turn.out.detail(turn.conn, &self.who_line(viewer, person, turn.now));
        }
        let count = people.len();
        self.presence.asked();
        Ok(Done::Who { version: self.presence.version(), count })
    }

    fn who_line(&self, viewer: &Person, person: &Person, now: Now) -> Detail {
        let since = |room: RoomId| self.rooms[room].member(viewer.id).map(|member| member.since);
        let ignored = viewer.ignores(person.id);
        let state = match person.away() {
            _ if !ignored && self.typing.seen_by(person.id, viewer.id, since) => State::Typing,
            Some((text, _)) => State::Away(text.clone().filter(|_| !ignored)),
            None => State::Here,
        };
        let mut rooms = person.rooms.clone();
        if let (true, Some(Where::Room(current))) = (person.id == viewer.id, person.current) {
            // In one's own row the current room stands first; the others keep their order.
            rooms.sort_by_key(|&room| room != current);
        }
        let rooms = rooms.into_iter().map(|room| self.rooms[room].name).collect();
        Detail::Who { nick: person.nick(), state, idle: now.tick.saturating_sub(person.active.get()), rooms }
    }

    pub(super) fn list_files(
        &self,
        target: Option<Target<'_>>,
        turn: &mut Turn<'_, impl Output>,
    ) -> Result<Done, Fault> {
        let only = target.map(|target| self.resolve(turn.who, target)).transpose()?;
        let Some(viewer) = self.people.get(turn.who) else { return Err(Fault::NoTarget) };
        let mut count = 0;
        for (file_id, file) in self.files.iter() {
            let fits = match (only, file.share) {
                (None, _) => true,
                (Some(Where::Room(room)), share) => share == Share::Room(room),
                (Some(Where::Person(_)), Share::Room(_)) => false,
                (Some(Where::Person(other)), Share::Person(receiver, _)) => {
                    (file.sender, receiver) == (other, turn.who) || (file.sender, receiver) == (turn.who, other)
                }
            };
            if !fits || self.may_fetch(viewer, file).is_err() || viewer.ignores(file.sender) {
                continue;
            }
            count += 1;
            let detail = Detail::File {
                id: file_id,
                size: file.size,
                sender: file.nick,
                place: self.place_of_file(turn.who, file),
                age: turn.now.wall.duration_since(file.since).unwrap_or_default(),
                coming: !matches!(file.stage, Stage::Ready(_)),
                name: file.name.clone(),
            };
            turn.out.detail(turn.conn, &detail);
        }
        Ok(Done::Files(count))
    }

    /// How `viewer` names the conversation in which a file was shared.
    pub(super) fn place_of_file(&self, viewer: PersonId, file: &crate::files::File) -> Place {
        match file.share {
            Share::Room(room) => Place::Room(self.rooms[room].name),
            Share::Person(_, receiver) => Place::With(if file.sender == viewer { receiver } else { file.nick }),
        }
    }

    pub(super) fn history(
        &self,
        room: Option<Named<'_, RoomName>>,
        part: Part,
        turn: &mut Turn<'_, impl Output>,
    ) -> Result<Done, Fault> {
        let room = &self.rooms[self.room_or_current(turn.who, room, Doing::Read)?];
        let Some(viewer) = self.people.get(turn.who) else { return Err(Fault::NoRoom) };
        let mut bytes = 0;
        let mut fits = |message: &&crate::rooms::Message| {
            // What stands before the text on a line has fewer than 80 bytes.
            bytes += message.text.as_str().len() + 80;
            bytes <= limits::HISTORY_BYTES
        };
        // Whoever is ignored may have said very much, and so is looked up once for all that they said in a row.
        let last = Cell::new((PersonId::NOBODY, true));
        let wanted = |message: &&crate::rooms::Message| {
            if last.get().0 != message.by {
                last.set((message.by, !viewer.ignores(message.by)));
            }
            last.get().1
        };
        let mut lines: Vec<_> = match part {
            Part::After(seq) if seq > room.last_seq() => return Err(Fault::Gone(Gone::NotReached(room.last_seq()))),
            Part::After(seq) => {
                // An answer of no messages tells that there are none, so the first is found wherever it is.
                let after = room.history_after(seq).skip_while(|message| !wanted(message));
                let after = after.take(limits::HISTORY_LOOKED_AT).filter(wanted);
                after.take(limits::HISTORY_LINES).take_while(&mut fits).collect()
            }
            Part::Last(count) => {
                let count = count.map_or(limits::HISTORY_DEFAULT, |count| usize::try_from(count).unwrap_or(usize::MAX));
                let newest = room.history().rev().take(limits::HISTORY_LOOKED_AT).filter(wanted);
                newest.take(count.min(limits::HISTORY_LINES)).take_while(&mut fits).collect()
            }
        };
        if matches!(part, Part::Last(_)) {
            lines.reverse();
        }
        for message in &lines {
            let (seq, at, from, kind, text) =
                (message.seq, message.at, message.nick, message.kind, message.text.clone());
            turn.out.detail(turn.conn, &Detail::Line { seq, at, from, kind, text });
        }
        Ok(Done::History { room: room.name, count: lines.len() })
    }

    pub(super) fn list_ignored(&self, turn: &mut Turn<'_, impl Output>) -> Done {
        let ignored = self.people.get(turn.who).map(Person::ignored).unwrap_or_default();
        for other in ignored {
            turn.out.detail(turn.conn, &Detail::Ignored(other.nick.get()));
        }
        Done::Ignoring(ignored.len())
    }

    pub(super) fn list_settings(&self, turn: &mut Turn<'_, impl Output>) -> Done {
        let Some(person) = self.people.get(turn.who) else { return Done::Settings };
        // The others are for programs, and nothing to a person who reads the list.
        for (setting, on) in
            [(Setting::Echo, person.echo), (Setting::Stamp, person.stamp), (Setting::Presence, person.presence)]
        {
            turn.out.detail(turn.conn, &Detail::Setting(Change { setting, on }));
        }
        Done::Settings
    }
}
