//! Long answers, told a slice at a time: of what is still to be told no more is known than where it begins.

use std::collections::BinaryHeap;
use std::vec;

use crate::effect::{Effect, Found, Output, Passage, PastLine, Query, Section};
use crate::event::{Activity, Detail, Done, Reply};
use crate::limits;
use crate::names::{ConnId, FileId, Nick, PersonId, RoomName, Text};
use crate::people::{Person, Way};
use crate::policy::{Actor, sees_all};
use crate::register::Rules;
use crate::register::entry::{Ban, Block};
use crate::rooms::{Message, Room, RoomId};
use crate::time::{Instant, Now};
use crate::typing::Conversation;

use super::{Alarm, Hub, Turn};

/// An answer under way.
#[derive(Debug)]
pub(super) struct Answer {
    /// Details told.
    count: usize,
    rest: Rest,
    /// The section of a room's log that comes next, if it is to come from there.
    needs: Option<Section>,
    /// Whether most of what the log gave last was of people who are ignored.
    is_search: bool,
    /// When it first waited for its turn to search the log.
    searching_since: Option<Instant>,
    /// What it waits for, if the log has been asked for that.
    asked: Option<Asked>,
}

/// What an answer waits for.
#[derive(Debug)]
struct Asked {
    section: Section,
    serial: u64,
    /// When it waits no longer.
    until: Instant,
}

/// What is still to be told. Whoever is told it stays in their rooms meanwhile, as their next request waits.
#[derive(Debug)]
enum Rest {
    /// People, of a room if one was asked for, as of this version of presence.
    People { room: Option<Box<RoomName>>, page: Page, version: u64 },
    /// The bans of a room whose numbers come after this one.
    Bans { room: RoomName, after: u64 },
    /// The blocks whose numbers come after this one.
    Blocks(u64),
    /// The rooms whose names come after this one.
    Rooms(Option<RoomName>),
    /// The files of a conversation, or all, whose IDs come after this one.
    Files(Option<Conversation>, FileId),
    /// The last messages of a room; where they begin is still being looked for.
    Last(Search),
    /// The messages of a room after a number and up to another.
    History { room: RoomId, after: u64, last: u64, most: Most },
}

/// The last messages of a room, gone through from the newest on.
#[derive(Debug)]
struct Search {
    room: RoomId,
    /// The newest that has not been looked at.
    next: u64,
    /// The oldest that is to be told, as far as is known.
    first: u64,
    /// The newest of all.
    last: u64,
    most: Most,
}

/// How much more of a history may be told.
#[derive(Debug)]
struct Most {
    lines: usize,
    bytes: usize,
}

impl Most {
    /// As much as one answer ever has.
    const EVER: Self = Self { lines: limits::HISTORY_LINES, bytes: limits::HISTORY_BYTES };

    /// Counts a message of somebody with so many bytes of text, if it still fits.
    fn take(&mut self, from: Nick, text: usize) -> bool {
        let bytes = text + limits::HISTORY_HEAD + from.as_str().len().saturating_sub(20);
        if self.lines == 0 || self.bytes < bytes {
            return false;
        }
        self.lines -= 1;
        self.bytes -= bytes;
        true
    }
}

/// Some people in the order of their names, and where those begin who come after them.
#[derive(Debug)]
pub(super) struct Page {
    people: vec::IntoIter<PersonId>,
    /// The room that they are in, if it matters, and the name after which the next page begins, if there is one.
    next: Option<(Option<RoomName>, Nick)>,
}

impl Page {
    pub(super) fn of_one(who: PersonId) -> Self {
        Self { people: vec![who].into_iter(), next: None }
    }
}

/// What is left of a slice, in bytes.
struct Slice(usize);

impl Slice {
    fn is_full(&self) -> bool {
        self.0 == 0
    }

    /// Counts something that was looked at, with so many bytes of text.
    fn spend(&mut self, text: usize) {
        self.0 = self.0.saturating_sub(limits::SLICE_ROW + text);
    }
}

/// A slice that is being told.
struct Telling<'a, O> {
    slice: Slice,
    /// Details told of the whole answer.
    count: &'a mut usize,
    conn: ConnId,
    out: &'a mut O,
}

impl<O: Output> Telling<'_, O> {
    /// `None` if the slice is full.
    fn has_room(&self) -> Option<()> {
        (!self.slice.is_full()).then_some(())
    }

    fn tell(&mut self, detail: &Detail) {
        self.slice.spend(text_of(detail));
        self.out.detail(self.conn, detail);
        *self.count += 1;
    }

    /// Something was looked at of which nothing is told.
    fn pass_over(&mut self) {
        self.slice.spend(0);
    }
}

impl Answer {
    fn new(rest: Rest) -> Self {
        Self { count: 0, rest, needs: None, is_search: false, searching_since: None, asked: None }
    }

    pub(super) fn people(room: Option<RoomName>, page: Page, version: u64) -> Self {
        Self::new(Rest::People { room: room.map(Box::new), page, version })
    }

    pub(super) fn bans(room: RoomName) -> Self {
        Self::new(Rest::Bans { room, after: 0 })
    }

    pub(super) fn blocks() -> Self {
        Self::new(Rest::Blocks(0))
    }

    pub(super) fn rooms() -> Self {
        Self::new(Rest::Rooms(None))
    }

    pub(super) fn files(only: Option<Conversation>) -> Self {
        Self::new(Rest::Files(only, FileId(0)))
    }

    /// The first messages of a room after this number.
    pub(super) fn history_after(room: RoomId, after: u64, last: u64) -> Self {
        Self::new(Rest::History { room, after, last, most: Most::EVER })
    }

    /// The last messages of a room, at most so many.
    pub(super) fn last_of_history(room: RoomId, lines: usize, last: u64) -> Self {
        let most = Most { lines, ..Most::EVER };
        Self::new(Rest::Last(Search { room, next: last, first: last + 1, last, most }))
    }

    /// How it ends if no more of a room may be told; `None` if it is not about that.
    fn cut_short(&self, room: RoomId, name: RoomName) -> Option<Done> {
        let count = self.count;
        match &self.rest {
            Rest::People { room: Some(of), version, .. } if **of == name => {
                Some(Done::Who { version: *version, count })
            }
            Rest::Bans { room: of, .. } if *of == name => Some(Done::Bans { room: name, count }),
            Rest::Files(Some(Conversation::Room(of)), _) if *of == room => Some(Done::Files(count)),
            Rest::Last(Search { room: of, .. }) | Rest::History { room: of, .. } if *of == room => {
                Some(Done::History { room: name, count })
            }
            _ => None,
        }
    }

    /// The room whose messages it tells.
    fn room(&self) -> Option<RoomId> {
        match &self.rest {
            Rest::Last(Search { room, .. }) | Rest::History { room, .. } => Some(*room),
            Rest::People { .. } | Rest::Rooms(_) | Rest::Files(..) | Rest::Bans { .. } | Rest::Blocks(_) => None,
        }
    }

    /// Whether it lists people.
    pub(super) fn is_of_people(&self) -> bool {
        matches!(self.rest, Rest::People { .. })
    }
}

impl Hub {
    /// Whether the answer to the last request of a connection is not complete: no other may be handled before it is.
    #[inline]
    pub fn is_answering(&self, conn: ConnId) -> bool {
        self.answers.contains_key(&conn)
    }

    /// Lets go of the answer that is under way for a connection, as nobody would read it.
    pub fn drop_answer(&mut self, conn: ConnId) {
        self.answers.remove(&conn);
        if !self.searches.is_empty() {
            self.searches.retain(|&searching| searching != conn);
            if self.searches.is_empty() {
                self.alarms.remove(&(self.next_search, Alarm::Search));
            }
        }
    }

    /// Ends the answer that is under way for a connection, if it is about a room of which it may tell no more.
    pub(super) fn cut_short(&mut self, conn: ConnId, room: RoomId, out: &mut impl Output) {
        let answer = self.answers.get(&conn);
        let Some(done) = answer.and_then(|answer| answer.cut_short(room, self.rooms[room].name)) else { return };
        self.drop_answer(conn);
        out.reply(conn, &Reply::Done(done));
        out.effect(Effect::Resume(conn));
    }

    /// Tells the next slice of the answer that is under way for a connection, and with the last one the reply.
    pub fn go_on(&mut self, conn: ConnId, now: Now, out: &mut impl Output) {
        // Of a connection that came by the operator's door nobody is there.
        let who = self.people.at(conn).map_or(PersonId::NOBODY, |person| person.id);
        let Some(answer) = self.answers.remove(&conn) else { return };
        if answer.asked.is_some() || answer.needs.is_some() {
            self.answers.insert(conn, answer);
            return;
        }
        if let Some(done) = self.tell(answer, &mut Turn { now, conn, who, out }) {
            out.reply(conn, &Reply::Done(done));
        }
    }

    /// Tells the next slice of an answer; gives the reply if it is the last one.
    pub(super) fn tell(&mut self, mut answer: Answer, turn: &mut Turn<'_, impl Output>) -> Option<Done> {
        if answer.is_of_people() {
            self.presence.asked();
        }
        let done = self.tell_slice(&mut answer, turn);
        if done.is_none() {
            match answer.needs {
                Some(_) if answer.is_search => self.wait_for_search(&mut answer, turn),
                Some(_) => self.ask_log(&mut answer, turn),
                None => turn.out.effect(Effect::Resume(turn.conn)),
            }
            self.answers.insert(turn.conn, answer);
        }
        done
    }

    /// When the next search of the log has its turn, if one waits for it; for tests.
    pub fn next_search(&self) -> Option<Instant> {
        (!self.searches.is_empty()).then_some(self.next_search)
    }

    /// Puts an answer behind the others that search the log.
    fn wait_for_search(&mut self, answer: &mut Answer, turn: &Turn<'_, impl Output>) {
        answer.searching_since.get_or_insert(turn.now.at);
        if self.searches.is_empty() {
            self.next_search = self.next_search.max(turn.now.at);
            self.alarm(self.next_search, Alarm::Search);
        }
        self.searches.push_back(turn.conn);
    }

    /// Has the first answer ask that searches the log.
    pub(super) fn search_on(&mut self, turn: &mut Turn<'_, impl Output>) {
        let Some(conn) = self.searches.pop_front() else { return };
        self.next_search = turn.now.at + limits::SEARCH_PACE;
        if !self.searches.is_empty() {
            self.alarm(self.next_search, Alarm::Search);
        }
        let Some(who) = self.people.at(conn).map(|person| person.id) else { return };
        let Some(mut answer) = self.answers.remove(&conn) else { return };
        let is_over = answer.searching_since.is_some_and(|since| turn.now.at - since >= limits::SEARCH);
        if let (Rest::Last(search), true) = (&mut answer.rest, is_over) {
            search.next = 0;
            answer.needs = None;
            turn.out.effect(Effect::Resume(conn));
        } else {
            self.ask_log(&mut answer, &mut Turn { now: turn.now, conn, who, out: &mut *turn.out });
        }
        self.answers.insert(conn, answer);
    }

    /// Asks for the section of the log that an answer needs next.
    fn ask_log(&mut self, answer: &mut Answer, turn: &mut Turn<'_, impl Output>) {
        let Some(section) = answer.needs.take() else { return };
        let (room, most) = match &answer.rest {
            Rest::Last(Search { room, most, .. }) => (*room, Most { ..*most }),
            Rest::History { room, most, .. } => (*room, Most { bytes: most.bytes.min(limits::SLICE), ..*most }),
            Rest::People { .. } | Rest::Rooms(_) | Rest::Files(..) | Rest::Bans { .. } | Rest::Blocks(_) => return,
        };
        // Of what people say who are ignored nothing counts, so there may be much of it.
        let ignores = self.people.get(turn.who).is_some_and(|viewer| !viewer.ignored().is_empty());
        let Most { lines, bytes } = match (&answer.rest, ignores) {
            (_, false) => most,
            (Rest::History { .. }, true) if !answer.is_search => Most { bytes: limits::SLICE, ..Most::EVER },
            (_, true) => Most::EVER,
        };
        let (serial, until) = (self.next_serial(), turn.now.at + limits::LOG_READ);
        self.alarm(until, Alarm::Log(turn.conn, serial));
        answer.asked = Some(Asked { section, serial, until });
        self.queries += 1;
        let room = self.rooms[room].name;
        turn.out.effect(Effect::ReadLog(Query { asker: turn.conn, serial, room, section, lines, bytes }));
    }

    /// Takes what the log has for a query; the answer that waits for it goes on.
    pub fn log_has(&mut self, now: Now, found: Found, out: &mut impl Output) {
        let Found { asker, serial, passage } = found;
        self.queries -= 1;
        // A log that cannot be read has nothing, and what is in memory is told.
        let passage = passage.unwrap_or(Passage { lines: Vec::new(), is_whole: true });
        self.go_on_with(asker, serial, passage, &mut Turn::of_server(now, out));
    }

    /// The log has not answered a query in time, as one that cannot be read.
    pub(super) fn log_is_late(&mut self, asker: ConnId, serial: u64, turn: &mut Turn<'_, impl Output>) {
        self.go_on_with(asker, serial, Passage { lines: Vec::new(), is_whole: true }, turn);
    }

    /// Lets an answer go on that waits for this query; it may wait no longer, or for nobody.
    fn go_on_with(&mut self, asker: ConnId, serial: u64, passage: Passage, turn: &mut Turn<'_, impl Output>) {
        let Some(who) = self.people.at(asker).map(|person| person.id) else { return };
        let Some(mut answer) = self.answers.remove(&asker) else { return };
        if let Some(asked) = answer.asked.take_if(|asked| asked.serial == serial) {
            self.alarms.remove(&(asked.until, Alarm::Log(asker, serial)));
            let turn = &mut Turn { now: turn.now, conn: asker, who, out: &mut *turn.out };
            self.take_passage(&mut answer, asked.section, passage, turn);
            turn.out.effect(Effect::Resume(asker));
        }
        self.answers.insert(asker, answer);
    }

    fn take_passage(&self, answer: &mut Answer, section: Section, passage: Passage, turn: &mut Turn<'_, impl Output>) {
        let Some(viewer) = self.people.get(turn.who) else { return };
        let rules = answer.room().map_or(Rules::NONE, |room| self.rules(&self.rooms[room]).rules);
        // Of those whom the log tells of, nothing is known but their names.
        let ignored: Vec<Nick> = viewer.ignored().iter().map(|ignored| ignored.nick.get()).collect();
        let ignored: Vec<_> = ignored.iter().map(Nick::looks).collect();
        let ignores = |line: &PastLine| {
            let looks = (!ignored.is_empty()).then(|| line.from.looks());
            rules.is_erased(line.seq) || looks.is_some_and(|looks| ignored.iter().any(|ignored| ignored.meet(&looks)))
        };
        let Passage { lines, is_whole } = passage;
        answer.is_search = 2 * lines.iter().filter(|line| ignores(line)).count() > lines.len();
        match (&mut answer.rest, section) {
            (Rest::Last(search), Section::Before(_)) => {
                let is_whole = is_whole || lines.is_empty();
                for line in lines.into_iter().rev() {
                    search.next = line.seq.saturating_sub(1);
                    if ignores(&line) {
                        continue;
                    }
                    if !search.most.take(line.from, line.text.len()) {
                        return search.next = 0;
                    }
                    search.first = line.seq;
                }
                if is_whole {
                    search.next = 0;
                }
            }
            (Rest::History { after, last, most, .. }, Section::After { below, .. }) => {
                let slice = &mut Slice(limits::SLICE);
                let is_over = lines.is_empty() && !is_whole;
                for line in lines {
                    if slice.is_full() {
                        return;
                    }
                    let seq = line.seq;
                    if ignores(&line) {
                        slice.spend(0);
                    } else if most.take(line.from, line.text.len()) {
                        slice.spend(line.text.len());
                        let PastLine { at, from, kind, text, .. } = line;
                        let text = Text::new(&text);
                        turn.out.detail(turn.conn, &Detail::Line { seq, at, from, kind, text });
                        answer.count += 1;
                    } else {
                        return *after = *last;
                    }
                    *after = seq;
                }
                if is_over {
                    // Nothing more fits.
                    *after = *last;
                } else if is_whole {
                    *after = below.saturating_sub(1);
                }
            }
            _ => {}
        }
    }

    fn tell_slice(&self, answer: &mut Answer, turn: &mut Turn<'_, impl Output>) -> Option<Done> {
        let viewer = self.people.get(turn.who).zip(self.people.way(turn.conn));
        let Answer { count, rest, needs, .. } = answer;
        let (now, who, actor) = (turn.now, turn.who, self.actor(turn));
        let telling = &mut Telling { slice: Slice(limits::SLICE), count, conn: turn.conn, out: &mut *turn.out };
        match rest {
            Rest::Bans { room, after } => {
                let bans = self.register().room(room).map(Rules::bans).unwrap_or_default();
                let rest = &bans[bans.partition_point(|ban| ban.id <= *after)..];
                for ban in rest.iter().filter(|ban| !self.is_over(*room, ban, now)) {
                    telling.has_room()?;
                    let Ban { id, kind, who, until, by, reason, .. } = ban.clone();
                    telling.tell(&Detail::Ban { id, kind, who, by, until, reason });
                    *after = id;
                }
                Some(Done::Bans { room: *room, count: *count })
            }
            Rest::Blocks(after) => {
                for block in self.register().blocks().after(*after).filter(|block| block.holds(now.wall)) {
                    telling.has_room()?;
                    let Block { id, scope, who, until, reason, .. } = block.clone();
                    telling.tell(&Detail::Block { id, scope, who, until, reason });
                    *after = id;
                }
                Some(Done::Blocks(*count))
            }
            Rest::People { room, page, version } => {
                self.tell_people(viewer, (room.as_deref().copied(), page), now, telling)?;
                Some(Done::Who { version: *version, count: *count })
            }
            Rest::Rooms(after) => {
                self.tell_rooms((who, actor), after, telling)?;
                Some(Done::Rooms(*count))
            }
            Rest::Files(only, after) => {
                let viewer = (viewer.map(|(viewer, _)| viewer), actor);
                for (id, file) in self.files.after(*after) {
                    telling.has_room()?;
                    match self.file_line(viewer, *only, (id, file), now) {
                        Some(detail) => telling.tell(&detail),
                        None => telling.pass_over(),
                    }
                    *after = id;
                }
                Some(Done::Files(*count))
            }
            Rest::Last(search) => {
                *rest = self.look_back(viewer?.0, search, needs, &mut telling.slice)?;
                self.tell_slice(answer, turn)
            }
            Rest::History { room, after, last, most } => {
                let room = &self.rooms[*room];
                self.tell_history(viewer?.0, (room, *last), (after, most), needs, telling)?;
                Some(Done::History { room: room.name, count: *count })
            }
        }
    }

    /// Tells people, as far as the slice goes; `None` if there are more.
    fn tell_people(
        &self,
        viewer: Option<(&Person, &Way)>,
        (room, page): (Option<RoomName>, &mut Page),
        now: Now,
        telling: &mut Telling<'_, impl Output>,
    ) -> Option<()> {
        loop {
            telling.has_room()?;
            if let Some(who) = page.people.next() {
                // They may have gone since the page was made, as presence tells.
                let person = self.people.get(who);
                person.into_iter().for_each(|person| telling.tell(&self.who_line(viewer, (room, person), now)));
            } else if let Some((of, after)) = page.next.take() {
                *page = self.page(of, Some(after));
            } else {
                return Some(());
            }
        }
    }

    /// Tells the rooms after this one, as far as the slice goes; `None` if there are more.
    fn tell_rooms(
        &self,
        (who, actor): (PersonId, Actor<'_>),
        after: &mut Option<RoomName>,
        telling: &mut Telling<'_, impl Output>,
    ) -> Option<()> {
        while let Some(name) = self.next_room(*after, actor) {
            telling.has_room()?;
            *after = Some(name);
            match self.rooms.find(&name) {
                Some(id) if !self.sees(who, id) => telling.pass_over(),
                Some(id) => {
                    let topic = self.topic_for(who, id);
                    telling.tell(&Detail::Room { name, count: self.rooms[id].members().len(), topic });
                }
                None => telling.tell(&Detail::Room { name, count: 0, topic: self.topic_put_away(&name) }),
            }
        }
        Some(())
    }

    /// Goes on looking for the first of the last messages; `None` if it is not found in this slice, or is to be looked for in the log.
    fn look_back(
        &self,
        viewer: &Person,
        search: &mut Search,
        needs: &mut Option<Section>,
        slice: &mut Slice,
    ) -> Option<Rest> {
        let room = &self.rooms[search.room];
        let came_after = self.rules(room).sees_after(viewer.id);
        let rules = self.rules(room).rules;
        let skips = |message: &Message| viewer.ignores(message.by) || rules.is_erased(message.seq);
        if !search.run((room, came_after), skips, slice) {
            return None;
        }
        // The log would give what was taken back message by message, and thousands may have been.
        while let Some((first, _)) = rules.erased_with(search.next).filter(|_| search.next > 0) {
            search.next = first.saturating_sub(1);
        }
        if room.is_kept() && search.next > came_after && search.most.lines > 0 {
            *needs = Some(Section::Before(search.next + 1));
            return None;
        }
        Some(search.found(came_after))
    }

    /// Tells the messages of a room up to the last one, as far as the slice goes; `None` if there are more, or some before them are in
    /// the log alone.
    fn tell_history(
        &self,
        viewer: &Person,
        (room, last): (&Room, u64),
        (after, most): (&mut u64, &mut Most),
        needs: &mut Option<Section>,
        telling: &mut Telling<'_, impl Output>,
    ) -> Option<()> {
        let rules = self.rules(room).rules;
        while *after < last
            && let Some((_, gone)) = rules.erased_with(*after + 1)
        {
            *after = gone.min(last);
        }
        let below = room.first_seq().min(last.saturating_add(1));
        if room.is_kept() && after.saturating_add(1) < below && most.lines > 0 {
            *needs = Some(Section::After { seq: *after, below });
            return None;
        }
        for message in room.history_after(*after).take_while(|message| message.seq <= last) {
            telling.has_room()?;
            if viewer.ignores(message.by) || rules.is_erased(message.seq) {
                telling.pass_over();
            } else if most.take(message.nick.get(), message.text.as_str().len()) {
                telling.tell(&line(message));
            } else {
                break;
            }
            *after = message.seq;
        }
        Some(())
    }

    /// The room that is listed after the one of this name: the next in memory, or for who is told of all the next of which it is known
    /// whose it is or what its rules are.
    fn next_room(&self, after: Option<RoomName>, actor: Actor<'_>) -> Option<RoomName> {
        let here = self.rooms.after(after).next().map(|(_, room)| room.name);
        let ruled = || self.register().rooms_after(after).find(|name| !self.is_new(name));
        if sees_all(actor) { [here, ruled()].into_iter().flatten().min() } else { here }
    }

    /// Those in a room, or all, whose names come first after this one. It looks at each of them once.
    pub(super) fn page(&self, room: Option<RoomName>, after: Option<Nick>) -> Page {
        let mut first = BinaryHeap::new();
        let offer = |person: &Person| {
            let nick = person.nick();
            if after.is_some_and(|after| nick <= after) {
                return;
            }
            if first.len() < limits::PAGE {
                first.push((nick, person.id));
            } else if let Some(mut last) = first.peek_mut().filter(|last| nick < last.0) {
                *last = (nick, person.id);
            }
        };
        match room.map(|room| self.rooms.find(&room)) {
            None => self.people.iter().for_each(offer),
            Some(None) => {}
            Some(Some(id)) => {
                self.rooms[id].members().filter_map(|who| self.people.get(who)).for_each(offer);
            }
        }
        let next = first.peek().filter(|_| first.len() == limits::PAGE).map(|(nick, _)| (room, *nick));
        let people: Vec<PersonId> = first.into_sorted_vec().into_iter().map(|(_, who)| who).collect();
        Page { people: people.into_iter(), next }
    }
}

impl Search {
    /// Looks in memory for the first message that is to be told; `false` if it is not done with that. If there may be earlier
    /// ones in the log, `next` is not 0 then.
    fn run(&mut self, (room, after): (&Room, u64), skips: impl Fn(&Message) -> bool, slice: &mut Slice) -> bool {
        for message in room.history_up_to(self.next).take_while(|message| message.seq > after) {
            if slice.is_full() {
                return false;
            }
            slice.spend(0);
            if !skips(message) {
                if !self.most.take(message.nick.get(), message.text.as_str().len()) {
                    self.next = 0;
                    return true;
                }
                self.first = message.seq;
            }
            self.next = message.seq.saturating_sub(1);
        }
        true
    }

    /// How the answer goes on now that its first message is known.
    fn found(&self, came_after: u64) -> Rest {
        let after = self.first.saturating_sub(1).max(came_after);
        Rest::History { room: self.room, after, last: self.last, most: Most::EVER }
    }
}

fn line(message: &Message) -> Detail {
    let &Message { seq, at, ref nick, kind, ref text, .. } = message;
    let from = nick.get();
    Detail::Line { seq, at, from, kind, text: text.clone() }
}

/// Bytes of a detail that are longer in some rows than in others.
fn text_of(detail: &Detail) -> usize {
    let len = |text: &Option<Text>| text.as_ref().map_or(0, |text| text.as_str().len());
    match detail {
        Detail::Who { activity: Activity::Away(text), rooms, .. } => len(text) + size_of_val(rooms.as_slice()),
        Detail::Who { rooms, .. } => size_of_val(rooms.as_slice()),
        Detail::Room { topic, .. } => len(topic),
        Detail::Line { text, .. } => text.as_str().len(),
        Detail::Ban { reason, .. } | Detail::Block { reason, .. } => reason.as_str().len(),
        Detail::File { name, .. } => name.as_str().len(),
        _ => 0,
    }
}
