//! What becomes of a file: who is told, who may have it, and when it goes.

use std::collections::BTreeSet;

use crate::effect::{Description, Effect, Job, Outcome, Output, PastFile};
use crate::event::{Deed, Done, Event, Fault, Gone, Happening};
use crate::files::{File, Owner, Share, Stage};
use crate::limits;
use crate::names::{ConnId, FileId, FileName, Nick, Origin, PersonId, Place};
use crate::people::{Intake, Person, Reread};
use crate::policy::{Action, Actor, may};
use crate::rooms::Room;
use crate::time::Now;

use super::{Alarm, Except, Hub, Turn};

impl Hub {
    /// Takes what came of a job.
    pub fn disk_did(&mut self, now: Now, outcome: Outcome, out: &mut impl Output) {
        let turn = &mut Turn::of_server(now, out);
        match outcome {
            Outcome::Done => _ = self.disk.jobs.pop_front(),
            Outcome::Appended(file_id, bytes) => {
                self.disk.jobs.pop_front();
                self.disk.bytes -= bytes;
                if let Some(file) = self.files.get_mut(file_id) {
                    let unit = limits::DOWNLOAD_UNIT as u64;
                    let units = file.written / unit;
                    file.written += bytes as u64;
                    // Only a whole unit is of use to anybody.
                    if file.written / unit > units || file.written == file.size {
                        file.readers.iter().for_each(|&reader| turn.out.effect(Effect::Pump(reader)));
                    }
                }
            }
            Outcome::Finished(file_id, digest) => {
                self.disk.jobs.pop_front();
                self.stored(file_id, digest, turn);
            }
            Outcome::WriteFailed { file, bytes, why } => {
                self.disk.jobs.pop_front();
                self.disk.bytes -= bytes;
                self.end_file(file, Fault::NotStored(why), turn);
            }
            Outcome::Data { data, reader, download } => {
                if let Some(Reread { file, offset, .. }) = self.reread_came(reader, download, data.len(), turn.out) {
                    return turn.out.reread(reader, file, offset, Some(&data));
                }
                if let Some(download) = self.arrived(reader, download, data.len(), turn.out) {
                    download.fill(data);
                }
            }
            Outcome::ReadFailed { file, len, reader, download } => {
                if let Some(Reread { offset, .. }) = self.reread_came(reader, download, len, turn.out) {
                    self.stop_download(reader, file);
                    return turn.out.reread(reader, file, offset, None);
                }
                if self.arrived(reader, download, len, turn.out).is_some() {
                    self.disk.held -= len;
                    self.stop_download(reader, file);
                    turn.out.answer(reader, &Event::Broken { file, why: Fault::DiskFailed });
                }
            }
        }
    }

    /// A file has been silent or kept for long enough, perhaps.
    pub(super) fn file_due(&mut self, file_id: FileId, turn: &mut Turn<'_, impl Output>) {
        let Some(file) = self.files.get(file_id) else { return };
        if file.due > turn.now.at {
            return self.set_alarm(file_id);
        }
        match file.stage {
            // It waits for the disk, which is no fault of the sender's.
            Stage::Finishing => self.wait_on(file_id, turn.now),
            Stage::Coming if !self.disk_keeps_up() => self.wait_on(file_id, turn.now),
            Stage::Coming => self.break_off(file_id, Gone::BrokenOff, turn),
            Stage::Broken | Stage::Ready(_) => self.end_file(file_id, Fault::Gone(Gone::Expired), turn),
        }
    }

    fn wait_on(&mut self, file_id: FileId, now: Now) {
        if let Some(file) = self.files.get_mut(file_id) {
            file.due = now.at + limits::UPLOAD_SILENCE;
        }
        self.set_alarm(file_id);
    }

    /// Has the hub look at a file when it is due. There is one alarm a file, and it goes with the file.
    pub(super) fn set_alarm(&mut self, file_id: FileId) {
        let Some(file) = self.files.get_mut(file_id) else { return };
        let old = std::mem::replace(&mut file.alarm, file.due);
        let due = file.due;
        self.alarms.remove(&(old, Alarm::File(file_id)));
        self.alarm(due, Alarm::File(file_id));
    }

    pub(super) fn cancel(&mut self, file_id: FileId, turn: &mut Turn<'_, impl Output>) -> Result<Done, Fault> {
        let file = self.files.get(file_id).ok_or(Fault::NoSuchFile)?;
        let place = match file.share {
            Share::Room(room) => Some(self.ruled(room, turn.now)),
            Share::Person(..) => None,
        };
        let may_withdraw = self.may(turn.who, Action::Withdraw(file_id, file, place));
        if file.readers.contains(&turn.conn) {
            self.stop_download(turn.conn, file_id);
            if may_withdraw.is_ok() {
                // The same once more is quickly said, and takes away more.
                turn.out.answer(turn.conn, &Event::MayWithdraw(file_id));
            }
        } else {
            may_withdraw?;
            if turn.who == PersonId::NOBODY {
                self.audit(Deed::Cancel(file_id), turn);
            }
            let (is_own, is_coming) = (file.sender == turn.who, matches!(file.stage, Stage::Coming | Stage::Finishing));
            if is_own && is_coming && file.via != turn.conn {
                // Another connection of theirs waits for how it ends.
                self.fail_upload(file_id, Fault::Gone(Gone::Withdrawn), turn);
            } else if is_own {
                self.withdraw(file_id, Fault::Gone(Gone::Withdrawn), None, turn);
            } else {
                self.end_file(file_id, Fault::Gone(Gone::Removed), turn);
            }
        }
        Ok(Done::Cancel(file_id))
    }

    /// Takes a file away for a cause of the server's own, which the sender sees as well.
    pub(super) fn end_file(&mut self, file_id: FileId, why: Fault, turn: &mut Turn<'_, impl Output>) {
        let Some(file) = self.files.get(file_id) else { return };
        let sender = file.sender;
        match file.stage {
            // Of an upload that broke off everybody has been told already.
            Stage::Broken => self.remove_file(file_id, turn.out),
            Stage::Coming | Stage::Finishing => self.fail_upload(file_id, why, turn),
            Stage::Ready(_) => self.withdraw(file_id, why, Some(sender), turn),
        }
    }

    /// Takes a file away and tells those for whom it was, and `also`.
    pub(super) fn withdraw(
        &mut self,
        file_id: FileId,
        why: Fault,
        also: Option<PersonId>,
        turn: &mut Turn<'_, impl Output>,
    ) {
        self.stop_readers(file_id, &why, turn.out);
        let what = Happening::Unfile { id: file_id, why: why.clone() };
        self.tell_about_file(file_id, &what, also, turn);
        self.remove_file(file_id, turn.out);
    }

    /// Forgets a file that nobody is fetching any more.
    fn remove_file(&mut self, file_id: FileId, out: &mut impl Output) {
        let Some(file) = self.files.remove(file_id) else { return };
        self.alarms.remove(&(file.alarm, Alarm::File(file_id)));
        self.end_intake(file.via, file_id, Intake::Discard, out);
        if file.stage == Stage::Finishing {
            self.finished(file.via, out);
        }
        self.job(Job::Remove(file_id), Some(file.owner), out);
        if let Share::Room(room) = file.share {
            let name = self.rooms[room].name;
            self.rooms.release(room);
            self.forget_rules(&name, out);
        }
    }

    /// Tells those for whom a file is, and `also`, what became of it.
    pub(super) fn tell_about_file(
        &mut self,
        file_id: FileId,
        what: &Happening,
        also: Option<PersonId>,
        turn: &mut Turn<'_, impl Output>,
    ) {
        let Some(file) = self.files.get(file_id) else { return };
        let (share, sender) = (file.share, file.sender);
        let except = match also {
            // They are told wherever they are, and even if they are slow.
            Some(also) => Except::Person(also),
            None if turn.who == sender => Except::Conn(turn.conn),
            None => Except::Conn(file.via),
        };
        if let Share::Room(room) = share {
            self.leave_out(room, except, |person| !person.ignores(sender));
        }
        let Some(file) = self.files.get(file_id) else { return };
        // Whoever takes away what is somebody else's has a reply.
        let taker = match what {
            Happening::Unfile { why: Fault::Gone(Gone::Removed), .. } => turn.conn,
            _ => ConnId::NOBODY,
        };
        let also = also.into_iter().flat_map(|also| self.people.conns_of(also));
        let event = |place| Event::Happened { place, at: turn.now.wall, who: file.nick, what: what.clone() };
        match file.share {
            Share::Room(room) => {
                let room = &self.rooms[room];
                let others = self.hearers(room, sender, except).filter(|&conn| conn != taker);
                turn.out.publish(&mut others.chain(also), &[event(Place::Room(room.name))]);
            }
            Share::Person(to, nick) => {
                if self.people.get(to).is_some_and(|person| !person.ignores(sender)) {
                    turn.out.publish(&mut self.people.conns_of(to), &[event(Place::With(file.nick))]);
                }
                if to != sender {
                    let own = self.people.conns_of(sender).filter(|&conn| !except.holds(sender, conn));
                    turn.out.publish(&mut own.chain(also), &[event(Place::With(nick))]);
                }
            }
        }
    }

    /// Whether somebody may fetch a file, see [`may`].
    pub(super) fn may_fetch(&self, person: &Person, file: &File) -> Result<(), Fault> {
        may(Actor::Person(self.someone(person)), Action::Fetch(file, self.room_of_file(file)))
    }

    /// The room in which a file was shared, if it was in one.
    pub(super) fn room_of_file(&self, file: &File) -> Option<&Room> {
        match file.share {
            Share::Room(room) => Some(&self.rooms[room]),
            Share::Person(..) => None,
        }
    }

    /// Somebody has a new name, and their files show it. If they own it, the files of its owner are theirs again, whoever they were
    /// when they sent them.
    pub(super) fn rename_in_files(&mut self, who: PersonId, nick: Nick, out: &mut impl Output) {
        let own = self.people.get(who).and_then(|person| self.owned_by(person)).map(Owner::Account);
        let (mut sent, mut others) = (Vec::new(), BTreeSet::new());
        for (file_id, file) in self.files.iter_mut() {
            if Some(file.owner) == own && file.sender != who {
                others.insert(std::mem::replace(&mut file.sender, who));
            }
            if file.sender == who {
                file.nick = nick;
                sent.push(file_id);
            }
            if let Share::Person(to, called) = &mut file.share
                && *to == who
            {
                *called = nick;
            }
        }
        // Who has left the name behind has left its files there.
        for conn in others.into_iter().flat_map(|other| self.people.conns_of(other)).collect::<Vec<_>>() {
            self.stop_what_is_not_theirs(conn, out);
        }
        for file in sent {
            // Jobs must never pile up, and an old name on a file after a restart does little harm.
            if self.disk.jobs.len() < 2 * limits::DISK_JOBS {
                self.describe(file, out);
            }
        }
    }

    /// Files of owners who have lost their names are not those of whoever owns the names next.
    pub(super) fn disown_files(&mut self, is_lost: impl Fn(&Self, Nick, &File) -> bool, out: &mut impl Output) {
        let lost =
            |(id, file): (FileId, &File)| Some((id, file.owner.account().filter(|&nick| is_lost(self, nick, file))?));
        for (id, nick) in self.files.iter().filter_map(lost).collect::<Vec<_>>() {
            self.files.hand_over(id, Owner::Past(nick));
            self.describe(id, out);
        }
    }

    /// Has a room's file outlive the process, if anything does.
    pub(super) fn describe(&mut self, file_id: FileId, out: &mut impl Output) {
        let Some(file) = self.files.get(file_id).filter(|_| self.settings.log.is_some()) else { return };
        let Share::Room(room) = file.share else { return };
        let description = Description {
            room: self.rooms[room].name,
            from: file.nick,
            account: file.owner.account(),
            size: file.size,
            at: file.since,
            claimed: file.claimed,
            name: file.name.to_string(),
        };
        let owner = file.owner;
        self.job(Job::Describe(file_id, Box::new(description)), Some(owner), out);
    }

    /// Takes in a room's file of an earlier process, unless its time is over or no place is left.
    pub fn restore_file(&mut self, past: PastFile, now: Now, out: &mut impl Output) {
        let turn = &mut Turn::of_server(now, out);
        let PastFile { id, description, len, digest } = past;
        let Description { room, from, account, size, at, claimed, name } = description;
        let age = turn.now.wall.duration_since(at).unwrap_or_default();
        let (stage, left) = match digest {
            Some(digest) => (Stage::Ready(digest), self.settings.file_ttl.saturating_sub(age)),
            None => (Stage::Broken, limits::RESUME),
        };
        let name = FileName::new(&name).filter(|_| !left.is_zero() && self.files.len() < limits::FILES);
        // Where a guest came from is known no more. The name has only what it had when it was sent.
        let owner = account.map_or(Owner::Past(from), Owner::Account);
        // A file that can never fit must not drive out others.
        let name = name.filter(|_| size <= self.settings.spool && self.make_space(len, (owner, len), turn));
        let (Some(name), Ok(room)) = (name, self.rooms.open(room, Origin::Loopback)) else {
            return self.job(Job::Remove(id), Some(owner), turn.out);
        };
        let due = turn.now.at + left;
        let file = File {
            share: Share::Room(room),
            sender: PersonId::NOBODY,
            via: ConnId::NOBODY,
            owner,
            nick: from,
            size,
            name,
            claimed,
            received: len,
            written: len,
            stage,
            since: at,
            due,
            alarm: due,
            readers: BTreeSet::new(),
        };
        self.files.restore(id, file);
        self.rooms.hold(room);
        self.set_alarm(id);
    }

    /// A connection is no way in any more, and its transfers end.
    pub(super) fn drop_transfers(&mut self, conn: ConnId, turn: &mut Turn<'_, impl Output>) {
        let Some(way) = self.people.way_mut(conn) else { return };
        let intake = way.intake();
        way.set_intake(Intake::Discard);
        self.disk.waiting.retain(|&waiting| waiting != conn);
        for download in way.take_downloads() {
            self.disk.held -= download.held();
            if let Some(file) = self.files.get_mut(download.file) {
                file.readers.remove(&conn);
            }
        }
        if let Intake::Open(file) = intake {
            self.break_off(file, Gone::BrokenOff, turn);
        }
    }

    /// Somebody is leaving the server, and what is being sent to them alone ends.
    pub(super) fn fail_uploads_to(&mut self, who: PersonId, turn: &mut Turn<'_, impl Output>) {
        let coming =
            |file: &File| file.stage == Stage::Coming && matches!(file.share, Share::Person(to, _) if to == who);
        let files: Vec<FileId> = self.files.iter().filter(|(_, file)| coming(file)).map(|(id, _)| id).collect();
        for file in files {
            self.fail_upload(file, Fault::Gone(Gone::ReceiverLeft), turn);
        }
    }

    /// Lets go of private files whose sender and receiver are both gone, and of those that nobody may take up again.
    pub(super) fn forget_unreachable(&mut self, out: &mut impl Output) {
        let here = |who: PersonId| self.people.get(who).is_some();
        let lost = |file: &File| match (file.share, file.stage) {
            (Share::Room(_), _) => false,
            (Share::Person(to, _), Stage::Broken) => !here(to),
            (Share::Person(to, _), _) => !here(to) && !here(file.sender),
        };
        let files: Vec<FileId> = self.files.iter().filter(|(_, file)| lost(file)).map(|(id, _)| id).collect();
        for file in files {
            self.remove_file(file, out);
        }
    }
}
