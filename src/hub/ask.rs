//! Questions: what is there, and what was said.

use crate::commands::{self, Part, SETTINGS};
use crate::event::{Detail, Done, Fault, Gone, Now, Setting, Sink, State, Switch};
use crate::files::{Share, Stage};
use crate::limits;
use crate::names::{ConnId, Nick, Place, Text};
use crate::people::Person;
use crate::rooms::RoomId;
use crate::typing::Where;

use super::Hub;

/// Explains every command, or one.
pub(super) fn help(id: ConnId, word: Option<&str>, sink: &mut impl Sink) -> Result<Done, Fault> {
    let one = match word {
        Some(word) => Some(commands::find(word).ok_or_else(|| Fault::NoHelp(Text::new(word)))?),
        None => None,
    };
    for spec in commands::TABLE.iter().filter(|spec| one.is_none_or(|one| one == *spec)) {
        sink.detail(id, &Detail::Help { usage: spec.usage, about: spec.about });
    }
    Ok(Done::Help)
}

impl Hub {
    pub(super) fn limits(&self, id: ConnId, sink: &mut impl Sink) -> Done {
        let settings = &self.settings;
        let log = settings.log.map_or(0, |log| log.max);
        let seconds = |time: std::time::Duration| format!("{}s", time.as_secs());
        for (name, value, about) in [
            ("line", limits::LINE.to_string(), "bytes a line, with its ending"),
            ("chunk", limits::CHUNK_LINE.to_string(), "characters of base64 on a = line"),
            ("rate", settings.rate.to_string(), "lines a second; 0 is no limit; more are read more slowly"),
            ("burst", settings.burst().to_string(), "lines at once"),
            ("renames", self.per_minute(limits::RENAMES), "renames a minute; 0 is no limit"),
            ("joins", self.per_minute(limits::JOINS), "joins and leaves a minute; 0 is no limit"),
            ("rooms", limits::ROOMS_A_PERSON.to_string(), "rooms that you may be in"),
            ("all-rooms", limits::ROOMS.to_string(), "rooms there may be"),
            ("topic", limits::TOPIC.to_string(), "bytes of a topic or an away text"),
            ("ignored", limits::IGNORED.to_string(), "people whom you may ignore"),
            ("history", settings.history.to_string(), "messages that a room remembers"),
            ("history-lines", limits::HISTORY_LINES.to_string(), "messages one /history gives"),
            ("history-bytes", limits::HISTORY_BYTES.to_string(), "bytes one /history gives"),
            ("log", log.to_string(), "bytes of a room's log, which outlives a restart; 0 is none"),
            ("file", settings.max_file.to_string(), "bytes of a file"),
            ("spool", settings.spool.to_string(), "bytes of all files"),
            ("file-ttl", seconds(settings.file_ttl), "how long a file is kept"),
            ("files", limits::FILES_A_SENDER.to_string(), "files that you may have shared at once"),
            ("all-files", limits::FILES.to_string(), "files there may be"),
            ("uploads", limits::UPLOADS.to_string(), "uploads under way of all people at once"),
            ("downloads", limits::DOWNLOADS.to_string(), "files that you may fetch at once"),
            ("upload-silence", seconds(limits::UPLOAD_SILENCE), "how long an upload may pause"),
            ("resume", seconds(limits::RESUME), "how long an upload that broke off may be taken up again"),
            ("typing", seconds(limits::TYPING), "how long /typing lasts"),
            ("slow-reader", limits::SLOW_CONSUMER.to_string(), "bytes waiting for you beyond which you miss room lines"),
            ("stall", seconds(settings.stall), "how long you may read nothing of what waits for you"),
            ("locked", seconds(limits::LOCKED), "how long you may take to give the password"),
            ("clients", settings.max_clients.to_string(), "connections in all"),
            ("per-address", settings.max_per_ip.to_string(), "connections from one address"),
        ] {
            sink.detail(id, &Detail::Limit { name, value, about });
        }
        Done::Limits
    }

    fn per_minute(&self, limit: u32) -> String {
        if self.settings.rate > 0 { limit.to_string() } else { "0".to_owned() }
    }

    /// Tells somebody who has joined what the room is about and who is there.
    pub(super) fn show_room(&self, id: ConnId, room: RoomId, sink: &mut impl Sink) -> Done {
        if let Some(topic) = self.topic_for(id, room) {
            sink.detail(id, &Detail::Topic(topic));
        }
        let room = &self.rooms[room];
        let nick = |id| self.people.get(id).map(Person::nick);
        let mut names: Vec<Nick> = room.members().take(limits::NAMES_ON_JOIN).filter_map(nick).collect();
        names.sort_unstable();
        for line in names.chunks(limits::NAMES_A_LINE) {
            sink.detail(id, &Detail::Here(line.to_vec()));
        }
        Done::Join { room: room.name, count: room.members().len() }
    }

    pub(super) fn list_rooms(&self, id: ConnId, sink: &mut impl Sink) -> Result<Done, Fault> {
        for (room_id, room) in self.rooms.iter() {
            let topic = self.topic_for(id, room_id);
            sink.detail(id, &Detail::Room { name: room.name, count: room.members().len(), topic });
        }
        Ok(Done::Rooms(self.rooms.len()))
    }

    pub(super) fn who(
        &mut self,
        id: ConnId,
        now: Now,
        whom: Option<&str>,
        sink: &mut impl Sink,
    ) -> Result<Done, Fault> {
        let Some(viewer) = self.people.get(id) else { return Err(Fault::NoTarget) };
        let mut people: Vec<&Person> = match whom {
            None => self.people.iter().collect(),
            Some(name) if name.starts_with('#') => {
                self.rooms[self.find_room(name)?].members().filter_map(|member| self.people.get(member)).collect()
            }
            Some(name) => vec![self.find_person(name)?],
        };
        people.sort_unstable_by_key(|person| person.nick());
        for person in &people {
            sink.detail(id, &self.who_line(viewer, person, now));
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
        id: ConnId,
        now: Now,
        target: Option<&str>,
        sink: &mut impl Sink,
    ) -> Result<Done, Fault> {
        let only = target.map(|target| self.resolve(id, target)).transpose()?;
        let Some(viewer) = self.people.get(id) else { return Err(Fault::NoTarget) };
        let mut count = 0;
        for (file_id, file) in self.files.iter() {
            let fits = match (only, file.share) {
                (None, _) => true,
                (Some(Where::Room(room)), share) => share == Share::Room(room),
                (Some(Where::Person(_)), Share::Room(_)) => false,
                (Some(Where::Person(other)), Share::Person(receiver, _)) => {
                    (file.sender, receiver) == (other, id) || (file.sender, receiver) == (id, other)
                }
            };
            if !fits || !self.may_fetch(id, file) || viewer.ignores(file.sender) {
                continue;
            }
            count += 1;
            let detail = Detail::File {
                id: file_id,
                size: file.size,
                sender: file.nick,
                place: self.place_of_file(id, file),
                age: now.wall.duration_since(file.since).unwrap_or_default(),
                coming: !matches!(file.stage, Stage::Ready(_)),
                name: file.name.clone(),
            };
            sink.detail(id, &detail);
        }
        Ok(Done::Files(count))
    }

    /// How `viewer` names the conversation in which a file was shared.
    pub(super) fn place_of_file(&self, viewer: ConnId, file: &crate::files::File) -> Place {
        match file.share {
            Share::Room(room) => Place::Room(self.rooms[room].name),
            Share::Person(_, receiver) => Place::With(if file.sender == viewer { receiver } else { file.nick }),
        }
    }

    pub(super) fn history(
        &self,
        id: ConnId,
        room: Option<&str>,
        part: Part,
        sink: &mut impl Sink,
    ) -> Result<Done, Fault> {
        let room = &self.rooms[self.room_or_current(id, room)?];
        let Some(viewer) = self.people.get(id) else { return Err(Fault::NoRoom) };
        let mut bytes = 0;
        let mut fits = |message: &&crate::rooms::Message| {
            // What stands before the text on a line has fewer than 80 bytes.
            bytes += message.text.as_str().len() + 80;
            bytes <= limits::HISTORY_BYTES
        };
        let wanted = |message: &&crate::rooms::Message| !viewer.ignores(message.by);
        let mut lines: Vec<_> = match part {
            Part::After(seq) if seq > room.last_seq() => return Err(Fault::Gone(Gone::NotReached(room.last_seq()))),
            Part::After(seq) => {
                let after = room.history().skip_while(|message| message.seq <= seq).filter(wanted);
                after.take(limits::HISTORY_LINES).take_while(&mut fits).collect()
            }
            Part::Last(count) => {
                let count = count.map_or(limits::HISTORY_DEFAULT, |count| usize::try_from(count).unwrap_or(usize::MAX));
                let newest = room.history().rev().filter(wanted);
                newest.take(count.min(limits::HISTORY_LINES)).take_while(&mut fits).collect()
            }
        };
        if matches!(part, Part::Last(_)) {
            lines.reverse();
        }
        for message in &lines {
            let (seq, at, from, text) = (message.seq, message.at, message.nick, message.text.clone());
            sink.detail(id, &Detail::Line { seq, at, from, text });
        }
        Ok(Done::History { room: room.name, count: lines.len() })
    }

    pub(super) fn list_ignored(&self, id: ConnId, sink: &mut impl Sink) -> Done {
        let ignored = self.people.get(id).map(Person::ignored).unwrap_or_default();
        for other in ignored {
            sink.detail(id, &Detail::Ignored(other.nick.get()));
        }
        Done::Ignoring(ignored.len())
    }

    pub(super) fn list_settings(&self, id: ConnId, sink: &mut impl Sink) -> Done {
        let Some(person) = self.people.get(id) else { return Done::Settings };
        for &(setting, _) in SETTINGS {
            let value: Switch = match setting {
                Setting::Echo => person.echo,
                Setting::Stamp => person.stamp,
                Setting::Presence => person.presence,
                // It is for programs that connect anew by themselves, and nothing to a person who reads the list.
                Setting::Whole => continue,
            };
            sink.detail(id, &Detail::Setting(setting, value));
        }
        Done::Settings
    }
}
