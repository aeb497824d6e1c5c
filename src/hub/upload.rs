//! Uploads: offers, the chunks that follow, and how each one ends.

use std::collections::BTreeSet;

use crate::effect::{Effect, Job, Output};
use crate::event::{Done, Event, Fault, Gone, Happening, Quota, Trouble, Unstored};
use crate::files::{File, Owner, Share, Stage};
use crate::limits;
use crate::meters::Counted;
use crate::names::{ConnId, Digest, FileId, FileName};
use crate::people::{Intake, Way};
use crate::policy::Doing;
use crate::request::{BadChunk, Offer};
use crate::typing::Conversation;

use super::{Hub, Turn};

impl Hub {
    /// Whether the next chunk of a connection belongs to an open upload.
    pub fn has_upload(&self, conn: ConnId) -> bool {
        self.people.way(conn).is_some_and(|way| matches!(way.intake(), Intake::Open(_)))
    }

    /// Whether chunks of a connection belong to an upload, which may be over by now, and so count as small parts of a line each: what
    /// was under way when an upload failed holds nobody up.
    pub fn has_chunks(&self, conn: ConnId) -> bool {
        self.people.way(conn).is_some_and(|way| !matches!(way.intake(), Intake::None { .. }))
    }

    /// Whether the disk keeps up. While it does not, chunks must wait where they come from.
    pub fn disk_keeps_up(&self) -> bool {
        self.disk.jobs.len() < limits::DISK_JOBS && self.disk.bytes < limits::DISK_BYTES
    }

    /// Whether nothing can go to make space for what a connection uploads, but can in a moment, when the disk has a digest.
    /// Its chunks must wait until then.
    pub fn waits_for_space(&self, conn: ConnId) -> bool {
        let may_be_short = self.files.used() + limits::CHUNK as u64 > self.settings.spool;
        if !may_be_short || self.files.finishing() == 0 {
            return false;
        }
        let Some(Intake::Open(file)) = self.people.way(conn).map(Way::intake) else { return false };
        let file = self.files.get(file);
        file.is_some_and(|file| self.first_for_bytes(file.owner, file.size - file.received).is_none())
    }

    fn first_for_bytes(&self, owner: Owner, bytes: u64) -> Option<FileId> {
        self.files.first_for_bytes(owner, bytes, self.settings.spool)
    }

    /// Whatever becomes of this offer, the chunks that follow are meant for it and not for an upload before it.
    pub(super) fn before_send(&mut self, turn: &mut Turn<'_, impl Output>) {
        if let Some(Intake::Open(open)) = self.people.way(turn.conn).map(Way::intake) {
            self.break_off(open, Gone::Superseded, turn);
        }
        self.set_intake(turn.conn, Intake::Discard);
    }

    pub(super) fn send(&mut self, offer: &Offer<'_>, turn: &mut Turn<'_, impl Output>) -> Result<Done, Fault> {
        let share = match self.resolve(offer.target, Doing::Offer, turn)? {
            Conversation::Room(room) => Share::Room(room),
            Conversation::Person(to) => {
                self.may_reach(to)?;
                let nick = self.nick(to)?;
                self.meet(to, turn);
                Share::Person(to, nick)
            }
        };
        let name = FileName::new(offer.name).ok_or(Fault::BadFileName)?;
        if offer.size > self.settings.max_file {
            return Err(Fault::TooBig(self.settings.max_file));
        }
        match self.trouble {
            Some(Trouble::Full) => return Err(Fault::NotStored(Unstored::Full)),
            Some(Trouble::Failed) => return Err(Fault::NotStored(Unstored::Failed)),
            Some(Trouble::Slow) | None => {}
        }
        let nick = self.nick(turn.who)?;
        let owner = match self.counted(turn) {
            Counted::Account(nick) => Owner::Account(nick),
            Counted::Network(prefix) => Owner::Network(prefix),
            Counted::Alone => Owner::Local(turn.who),
        };
        if !self.may_ask_disk(owner) {
            return Err(Fault::DiskBusy);
        }
        // Nobody could cancel uploads that broke off.
        let shared = || self.files.of(owner).filter(|(_, file)| file.stage != Stage::Broken);
        // Whoever owns a name is the same when they come back.
        let is_own = |file: &File| file.sender == turn.who || matches!(owner, Owner::Account(_));
        let own = shared().filter(|(_, file)| is_own(file)).count();
        if own >= limits::FILES_A_SENDER {
            return Err(Fault::TooMany(Quota::Files));
        }
        if shared().count() >= limits::FILES_A_PREFIX {
            return Err(Fault::TooMany(Quota::FilesOfNetwork));
        }
        if shared().filter(|(_, file)| file.stage == Stage::Coming).count() >= limits::UPLOADS_A_PREFIX {
            return Err(Fault::TooMany(Quota::UploadsOfNetwork));
        }
        let displaced = match self.files.coming() {
            limits::UPLOADS.. => Some(self.files.slowest(owner).ok_or(Fault::TooMany(Quota::Uploads))?),
            _ => None,
        };
        let new = File {
            share,
            sender: turn.who,
            via: turn.conn,
            owner,
            nick,
            size: offer.size,
            name: name.clone(),
            claimed: offer.digest,
            received: 0,
            written: 0,
            stage: Stage::Coming,
            since: turn.now.wall,
            due: turn.now.at + limits::UPLOAD_SILENCE,
            alarm: turn.now.at,
            readers: BTreeSet::new(),
        };
        let (file_id, offset) = match self.broken_off(&new) {
            Some(file_id) => (file_id, self.files.take_up(file_id, &new)),
            None => (self.add_file(new, turn)?, 0),
        };
        if let Some(displaced) = displaced {
            self.break_off(displaced, Gone::Slowest, turn);
        }
        self.set_alarm(file_id);
        self.describe(file_id, turn.out);
        let what = Happening::File { id: file_id, size: offer.size, name };
        self.tell_about_file(file_id, &what, None, turn);
        if let Share::Room(room) = share {
            self.note_spoken(room, turn.who, turn);
        }
        if let Share::Person(to, _) = share
            && self.people.get(to).is_some_and(|person| !person.ignores(turn.who))
        {
            self.people.note_unreached(to, turn.who);
        }
        self.set_intake(turn.conn, Intake::Open(file_id));
        if offer.size == 0 {
            self.finish(file_id, turn.out);
        }
        Ok(Done::Send { id: file_id, offset })
    }

    /// Whether the disk may be asked for a file more. Who has many that it is still busy with waits, so that others need not: nobody
    /// has more than a part of what may wait, and of what is left.
    fn may_ask_disk(&self, owner: Owner) -> bool {
        let jobs = &self.disk.jobs;
        let own = jobs.iter().filter(|of| **of == Some(owner)).count();
        let share = limits::DISK_JOBS.saturating_sub(jobs.len()) / limits::DISK_PARTS;
        own < share.max(1) && jobs.len() < 2 * limits::DISK_JOBS
    }

    /// The upload that broke off and that the offer of `new` takes up again.
    fn broken_off(&self, new: &File) -> Option<FileId> {
        let same = |file: &File| {
            file.stage == Stage::Broken
                && file.share == new.share
                && file.nick == new.nick
                && file.size == new.size
                && file.claimed == new.claimed
                && file.name == new.name
        };
        self.files.iter().find(|(_, file)| same(file)).map(|(id, _)| id)
    }

    fn add_file(&mut self, new: File, turn: &mut Turn<'_, impl Output>) -> Result<FileId, Fault> {
        if self.files.len() >= limits::FILES {
            let first = self.files.first_for_place(new.owner).ok_or(Fault::NoSpace)?;
            self.end_file(first, Fault::Gone(Gone::MadeSpace), turn);
        }
        let (share, owner) = (new.share, new.owner);
        let file = self.files.insert(new);
        if let Share::Room(room) = share {
            self.rooms.hold(room);
        }
        self.job(Job::Create(file), Some(owner), turn.out);
        Ok(file)
    }

    pub(super) fn chunk(&mut self, chunk: Result<Vec<u8>, BadChunk>, turn: &mut Turn<'_, impl Output>) {
        let Some(way) = self.people.way_mut(turn.conn) else { return };
        let Intake::Open(file_id) = way.intake() else {
            // What was too long has been thrown away, and its sender has nothing to learn from that.
            if chunk != Err(BadChunk::TooLong) {
                let mut intake = way.intake();
                intake.refuse_chunk(turn.conn, turn.out);
                way.set_intake(intake);
            }
            return;
        };
        let Ok(bytes) = chunk else { return self.fail_upload(file_id, Fault::BadChunk, turn) };
        let Some(file) = self.files.get_mut(file_id) else { return };
        let (owner, size, len) = (file.owner, file.size, bytes.len() as u64);
        // Every byte puts off the end of the upload a little, so that it must bring so many a minute.
        let earned = limits::UPLOAD_SILENCE * u32::try_from(len).unwrap_or(u32::MAX) / limits::UPLOAD_BYTES;
        file.due = (file.due + earned).min(turn.now.at + limits::UPLOAD_SILENCE);
        let left = size - file.received;
        if len > left {
            return self.fail_upload(file_id, Fault::BeyondSize(size), turn);
        }
        // A file that can never fit must not drive out others before it fails.
        if size > self.settings.spool || !self.make_space(len, (owner, left), turn) {
            return self.fail_upload(file_id, Fault::NoSpace, turn);
        }
        if len == 0 {
            return;
        }
        self.counts.uploaded += len;
        let received = self.files.receive(file_id, len);
        self.job(Job::Append(file_id, bytes), None, turn.out);
        if received == size {
            self.finish(file_id, turn.out);
        }
    }

    /// Lets files go until `bytes` more fit into the spool, the first of `left` that an owner will bring; `false` if they
    /// cannot.
    pub(super) fn make_space(
        &mut self,
        bytes: u64,
        (owner, left): (Owner, u64),
        turn: &mut Turn<'_, impl Output>,
    ) -> bool {
        while self.files.used() + bytes > self.settings.spool {
            let Some(first) = self.first_for_bytes(owner, left) else { return false };
            self.end_file(first, Fault::Gone(Gone::MadeSpace), turn);
        }
        true
    }

    /// All bytes of an upload have come.
    fn finish(&mut self, file_id: FileId, out: &mut impl Output) {
        let Some((via, owner)) = self.files.get(file_id).map(|file| (file.via, file.owner)) else { return };
        self.files.set_stage(file_id, Stage::Finishing);
        if let Some(way) = self.people.way_mut(via) {
            way.rare_mut().finishing += 1;
        }
        self.end_intake(via, file_id, Intake::None { told: false }, out);
        self.job(Job::Finish(file_id), Some(owner), out);
    }

    /// The disk has all of a file.
    pub(super) fn stored(&mut self, file_id: FileId, digest: Digest, turn: &mut Turn<'_, impl Output>) {
        let Some(file) = self.files.get_mut(file_id) else { return };
        if file.claimed.is_some_and(|claimed| claimed != digest) {
            return self.fail_upload(file_id, Fault::BadDigest, turn);
        }
        file.due = turn.now.at + self.settings.file_ttl;
        file.readers.iter().for_each(|&reader| turn.out.effect(Effect::Pump(reader)));
        let (via, size) = (file.via, file.size);
        self.files.set_stage(file_id, Stage::Ready(digest));
        self.set_alarm(file_id);
        self.finished(via, turn.out);
        self.tell_sender(via, &Event::Whole { file: file_id, size, digest }, turn.out);
        self.forget_unreachable(turn.out);
    }

    /// An upload that came through `via` waits for its digest no more.
    pub(super) fn finished(&mut self, via: ConnId, out: &mut impl Output) {
        if let Some(way) = self.people.way_mut(via) {
            let rare = way.rare_mut();
            rare.finishing = rare.finishing.saturating_sub(1);
            out.effect(Effect::Pump(via));
        }
    }

    /// Ends an upload that cannot be taken up again, and tells its sender.
    pub(super) fn fail_upload(&mut self, file_id: FileId, why: Fault, turn: &mut Turn<'_, impl Output>) {
        if let Some(file) = self.files.get(file_id) {
            self.tell_sender(file.via, &Event::Broken { file: file_id, why: why.clone() }, turn.out);
        }
        self.withdraw(file_id, why, None, turn);
    }

    /// Ends an upload whose sender fell silent. With a digest it can be taken up again.
    pub(super) fn break_off(&mut self, file_id: FileId, why: Gone, turn: &mut Turn<'_, impl Output>) {
        let why = Fault::Gone(why);
        let Some(file) = self.files.get_mut(file_id) else { return };
        if file.claimed.is_none() || file.received == 0 {
            return self.fail_upload(file_id, why, turn);
        }
        file.due = turn.now.at + limits::RESUME;
        let via = file.via;
        self.files.set_stage(file_id, Stage::Broken);
        self.set_alarm(file_id);
        self.end_intake(via, file_id, Intake::Discard, turn.out);
        self.tell_sender(via, &Event::Broken { file: file_id, why: why.clone() }, turn.out);
        self.stop_readers(file_id, &why, turn.out);
        self.tell_about_file(file_id, &Happening::Unfile { id: file_id, why }, None, turn);
    }

    /// Tells how an upload ended where it came from, if that is still here.
    pub(super) fn tell_sender(&self, via: ConnId, event: &Event, out: &mut impl Output) {
        if self.people.at(via).is_some() {
            out.answer(via, event);
        }
    }

    /// What becomes of the chunks that a connection sends from now on.
    pub(super) fn set_intake(&mut self, conn: ConnId, intake: Intake) {
        if let Some(way) = self.people.way_mut(conn) {
            way.set_intake(intake);
        }
    }

    /// An upload that came through `via` has ended. What becomes of chunks that still come is for `intake` to say; the shell lets go of
    /// the one that has begun.
    pub(super) fn end_intake(&mut self, via: ConnId, file: FileId, intake: Intake, out: &mut impl Output) {
        if let Some(way) = self.people.way_mut(via).filter(|way| way.intake() == Intake::Open(file)) {
            way.set_intake(intake);
            out.effect(Effect::UploadEnded(via));
        }
    }
}
