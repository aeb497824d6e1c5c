//! Questions: what is there, and what was said.

use crate::effect::Output;
use crate::event::{Activity, Change, Detail, Done, Fault, Gone, Limit, Setting, Verb};
use crate::files::{File, Share, Stage};
use crate::limits;
use crate::names::{FileId, Nick, PersonId, Place, RoomName, Text};
use crate::people::{Person, Way};
use crate::policy::{Action, Actor, Around, Doing, knows, may, may_use, sees_all};
use crate::register::entry::RuleKind;
use crate::request::{HistoryPart, Named, Target};
use crate::rooms::RoomId;
use crate::settings::Accounts;
use crate::time::Now;
use crate::typing::Conversation;

use super::answer::{Answer, Page};
use super::{Hub, Turn};

impl Hub {
    /// Has one command explained, or all that whose turn it is may use now.
    pub(super) fn help(&self, what: Option<(Verb, &str)>, turn: &mut Turn<'_, impl Output>) -> Result<Done, Fault> {
        let detail = match what {
            Some((verb, typed)) if verb.is_of_operators() && !knows(self.actor(turn), verb) => {
                return Err(Fault::NoHelp(Text::new(typed)));
            }
            Some((verb, _)) => Detail::Help(verb),
            None => Detail::Commands(self.usable(turn)),
        };
        turn.out.detail(turn.conn, &detail);
        Ok(Done::Help)
    }

    fn usable(&self, turn: &Turn<'_, impl Output>) -> Vec<Verb> {
        let actor = self.actor(turn);
        let current = self.people.way(turn.conn).and_then(|way| way.current);
        let room = match current {
            Some(Conversation::Room(room)) => Some(self.ruled(room, turn.now)),
            Some(Conversation::Person(_)) | None => None,
        };
        let is_in_rooms = self.people.get(turn.who).is_some_and(|person| !person.rooms.is_empty());
        let around = Around { accounts: self.accounts_here(), room, is_in_rooms };
        Verb::ALL.iter().copied().filter(|&verb| may_use(actor, verb, around)).collect()
    }

    pub(super) fn limits(&self, turn: &mut Turn<'_, impl Output>) -> Done {
        let settings = &self.settings;
        let count = |count: usize| count as u64;
        let per_minute = |limit: u32| if settings.rate > 0 { u64::from(limit) } else { 0 };
        let (has_accounts, is_open) = (self.accounts_here() != Accounts::Off, self.accounts_here() == Accounts::Open);
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
            (Limit::SlowConsumer, count(limits::SLOW_CONSUMER)),
            (Limit::Stall, settings.stall.as_secs()),
            (Limit::Locked, limits::LOCKED.as_secs()),
            (Limit::Clients, count(settings.max_clients)),
            (Limit::ClientsOfAddress, count(settings.max_per_ip)),
            (Limit::NewRooms, per_minute(limits::NEW_ROOMS * limits::A_PREFIX)),
            (Limit::Keep, limits::KEEP.as_secs()),
            (Limit::KeepWeb, limits::KEEP_WEB.as_secs()),
            (Limit::Logs, settings.log.map_or(0, |_| count(limits::LOGS))),
            (Limit::Tries, limits::PASSWORDS_OF_PREFIX.into()),
            (Limit::Names, if has_accounts { count(limits::NAMES) } else { 0 }),
            (Limit::Registrations, if is_open { limits::REGISTRATIONS.into() } else { 0 }),
            (Limit::RegistrationsInAll, if is_open { limits::REGISTRATIONS_IN_ALL.into() } else { 0 }),
            (Limit::NameTtl, settings.name_ttl.map_or(0, |ttl| ttl.as_secs())),
            (Limit::Tokens, count(limits::TOKENS)),
            (Limit::TokenGood, limits::TOKEN_GOOD.as_secs()),
            (Limit::Ops, count(limits::OPS)),
            (Limit::Voices, count(limits::VOICES)),
            (Limit::Invited, count(limits::INVITED)),
            (Limit::Bans, count(limits::BANS)),
            (Limit::Founded, count(limits::FOUNDED)),
            (Limit::Connects, per_minute(limits::CONNECTS)),
            (Limit::Blocks, count(limits::BLOCKS)),
            (Limit::Rules, count(limits::RULES_A_DAY as usize)),
            (Limit::Invitations, per_minute(limits::INVITATIONS)),
            (Limit::WrongKeys, per_minute(limits::WRONG_KEYS)),
        ];
        turn.out.detail(turn.conn, &Detail::Limits(limits));
        Done::Limits
    }

    /// Tells somebody who has joined what the room is about and who is there.
    pub(super) fn show_room(&self, room: RoomId, turn: &mut Turn<'_, impl Output>) -> Done {
        if let Some(topic) = self.topic_for(turn.who, room) {
            turn.out.detail(turn.conn, &Detail::Topic(topic));
        }
        let (room, special) = (&self.rooms[room], self.rules(&self.rooms[room]).special());
        let nick = |member| self.people.get(member).map(Person::nick);
        let mut names: Vec<Nick> = room.members().take(limits::NAMES_ON_JOIN).filter_map(nick).collect();
        names.sort_unstable();
        for line in names.chunks(limits::NAMES_A_LINE) {
            turn.out.detail(turn.conn, &Detail::Here(line.to_vec()));
        }
        // That the topic is locked shows when somebody sets it.
        let special: Vec<RuleKind> = special.into_iter().filter(|kind| *kind != RuleKind::TopicLocked).collect();
        if !special.is_empty() {
            turn.out.detail(turn.conn, &Detail::Rules(special));
        }
        Done::Join { room: room.name, count: room.members().len() }
    }

    pub(super) fn who(&mut self, whom: Option<Target<'_>>, turn: &Turn<'_, impl Output>) -> Result<Answer, Fault> {
        let (room, page) = match whom {
            None => (None, self.page(None, None)),
            Some(Target::Room(room)) => {
                let is_there = |name: &RoomName| sees_all(self.actor(turn)) && !self.is_new(name);
                let name = match (self.find_room(room, turn), room.name.ok().filter(is_there)) {
                    (Ok(id), _) => self.rooms[id].name,
                    (Err(_), Some(name)) => name,
                    (Err(why), None) => return Err(why),
                };
                (Some(name), self.page(Some(name), None))
            }
            Some(Target::Person(whom)) => (None, Page::of_one(self.find_person(whom, turn)?.id)),
        };
        Ok(Answer::people(room, page, self.presence.version()))
    }

    /// A person as `viewer` has them listed, among those in a room if one was asked for. Whoever runs the server has no name among
    /// people, and nobody types to them.
    pub(super) fn who_line(
        &self,
        viewer: Option<(&Person, &Way)>,
        (room, person): (Option<RoomName>, &Person),
        now: Now,
    ) -> Detail {
        let is_typing = |(viewer, way): (&Person, &Way)| {
            let since = |room: RoomId| self.rooms[room].member(viewer.id).map(|member| member.since);
            self.typing.seen_by(person.id, (viewer.id, way.conn), since, |serial| way.wants_typing(serial))
        };
        let viewer_id = viewer.map_or(PersonId::NOBODY, |(viewer, _)| viewer.id);
        let ignored = viewer.is_some_and(|(viewer, _)| viewer.ignores(person.id));
        let activity = match person.away() {
            _ if !ignored && viewer.is_some_and(is_typing) => Activity::Typing,
            Some((text, _)) => {
                // Among those in a room, who is not heard there says nothing in this way either.
                let is_heard = || match room.and_then(|room| self.rooms.find(&room)) {
                    Some(room) => self.may(person.id, Action::InRoom(Doing::Tell, self.ruled(room, now))).is_ok(),
                    None => true,
                };
                Activity::Away(text.clone().filter(|_| !ignored && is_heard()))
            }
            None => Activity::Here,
        };
        let mut rooms = person.rooms.clone();
        let own = viewer.filter(|(viewer, _)| viewer.id == person.id);
        if let Some(Conversation::Room(current)) = own.and_then(|(_, way)| way.current) {
            // In one's own row the current room stands first; the others keep their order.
            if let Some(place) = rooms.iter().position(|&room| room == current) {
                rooms[..=place].rotate_right(1);
            }
        }
        rooms.retain(|&room| self.sees(viewer_id, room));
        let rooms = rooms.into_iter().map(|room| self.rooms[room].name).collect();
        Detail::Who { nick: person.nick(), activity, idle: now.at - person.active, rooms }
    }

    pub(super) fn list_files(
        &mut self,
        target: Option<Target<'_>>,
        turn: &Turn<'_, impl Output>,
    ) -> Result<Answer, Fault> {
        let only = match target {
            None => None,
            Some(Target::Room(room)) => Some(Conversation::Room(self.ruled_room(Some(room), Doing::SeeFiles, turn)?)),
            Some(Target::Person(whom)) => Some(Conversation::Person(self.find_person(whom, turn)?.id)),
        };
        Ok(Answer::files(only))
    }

    /// A file as `viewer` has it listed, if it is `only` in that conversation or that does not matter, and if they want to
    /// know of it and may. Whoever runs the server is in no conversation, so one with a person is with everybody.
    pub(super) fn file_line(
        &self,
        (viewer, actor): (Option<&Person>, Actor<'_>),
        only: Option<Conversation>,
        (id, file): (FileId, &File),
        now: Now,
    ) -> Option<Detail> {
        let fits = match (only, file.share) {
            (None, _) => true,
            (Some(Conversation::Room(room)), share) => share == Share::Room(room),
            (Some(Conversation::Person(_)), Share::Room(_)) => false,
            (Some(Conversation::Person(other)), Share::Person(receiver, _)) => {
                let is_viewer = |one| viewer.is_none_or(|viewer| viewer.id == one);
                (file.sender == other && is_viewer(receiver)) || (receiver == other && is_viewer(file.sender))
            }
        };
        let is_told = may(actor, Action::Fetch(file, self.room_of_file(file))).is_ok();
        let is_listed = fits && is_told && !viewer.is_some_and(|viewer| viewer.ignores(file.sender));
        is_listed.then(|| Detail::File {
            id,
            size: file.size,
            sender: file.nick,
            place: self.place_of_file(viewer.map_or(file.sender, |viewer| viewer.id), file),
            age: now.wall.duration_since(file.since).unwrap_or_default(),
            coming: !matches!(file.stage, Stage::Ready(_)),
            name: file.name.clone(),
        })
    }

    /// How `viewer` names the conversation in which a file was shared.
    pub(super) fn place_of_file(&self, viewer: PersonId, file: &File) -> Place {
        match file.share {
            Share::Room(room) => Place::Room(self.rooms[room].name),
            Share::Person(_, receiver) => Place::With(if file.sender == viewer { receiver } else { file.nick }),
        }
    }

    pub(super) fn history(
        &self,
        room: Option<Named<'_, RoomName>>,
        part: HistoryPart,
        turn: &Turn<'_, impl Output>,
    ) -> Result<Answer, Fault> {
        let id = self.room_or_current(room, Doing::Read, turn)?;
        let last = self.rooms[id].last_seq();
        if self.rooms[id].is_kept() && self.queries >= limits::LOG_QUERIES {
            return Err(Fault::DiskBusy);
        }
        match part {
            HistoryPart::After(seq) if seq > last => Err(Fault::Gone(Gone::NotReached(last))),
            HistoryPart::After(seq) => {
                let came_after = self.rules(&self.rooms[id]).sees_after(turn.who);
                Ok(Answer::history_after(id, seq.max(came_after), last))
            }
            HistoryPart::Last(count) => {
                let count = count.map_or(limits::HISTORY_DEFAULT, |count| usize::try_from(count).unwrap_or(usize::MAX));
                Ok(Answer::last_of_history(id, count.min(limits::HISTORY_LINES), last))
            }
        }
    }

    pub(super) fn list_ignored(&self, turn: &mut Turn<'_, impl Output>) -> Done {
        let ignored = self.people.get(turn.who).map(Person::ignored).unwrap_or_default();
        for other in ignored {
            turn.out.detail(turn.conn, &Detail::Ignored(other.nick.get()));
        }
        Done::Ignoring(ignored.len())
    }

    pub(super) fn list_settings(&self, turn: &mut Turn<'_, impl Output>) -> Done {
        let Some(way) = self.people.way(turn.conn) else { return Done::Settings };
        // The others are for programs, and nothing to a person who reads the list.
        for (setting, on) in [
            (Setting::Echo, way.echo),
            (Setting::Stamp, way.stamp),
            (Setting::Presence, way.presence),
            (Setting::Typing, way.wants_typing(u64::MAX)),
        ] {
            turn.out.detail(turn.conn, &Detail::Setting(Change { setting, on }));
        }
        Done::Settings
    }
}
