//! Files: uploads, downloads, and the space that they take.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;

use crate::event::{Done, Event, Fault, Gone, Happening, Job, Now, Outcome, Place, Quota, Sink};
use crate::files::{File, Share, Stage};
use crate::limits;
use crate::names::{ConnId, Digest, FileId, FileName, Nick};
use crate::people::{Download, Intake};
use crate::rooms::RoomId;
use crate::typing::Where;

use super::{Alarm, Hub};

/// The most bytes that a line of file data may have: its base64 and `=ID ` and the line end.
const DOWNLOAD_LINE_BYTES: usize = limits::DOWNLOAD_LINE / 3 * 4 + 32;

impl Hub {
    /// Whether the next chunk of `id` belongs to an open upload, and so does not count as a line.
    pub fn has_upload(&self, id: ConnId) -> bool {
        self.people.get(id).is_some_and(|person| matches!(person.intake, Intake::Open(_)))
    }

    /// Whether the disk keeps up. While it does not, chunks must wait where they come from.
    pub fn disk_keeps_up(&self) -> bool {
        self.disk.jobs < limits::DISK_JOBS && self.disk.bytes < limits::DISK_BYTES
    }

    /// Whether something is still owed to `id` without its saying another word.
    pub fn is_transferring(&self, id: ConnId) -> bool {
        self.people.get(id).is_some_and(|person| !person.downloads.is_empty() || person.finishing > 0)
    }

    /// Whatever becomes of this `/send`, the chunks that follow are meant for it and not for an upload before it.
    pub(super) fn before_send(&mut self, id: ConnId, now: Now, sink: &mut impl Sink) {
        let Some(person) = self.people.get_mut(id) else { return };
        if let Intake::Open(open) = std::mem::replace(&mut person.intake, Intake::Discard) {
            self.break_off(open, Gone::Superseded, now, sink);
        }
    }

    #[allow(clippy::too_many_arguments, reason = "they are the arguments of the command")]
    pub(super) fn send(
        &mut self,
        id: ConnId,
        now: Now,
        target: &str,
        size: u64,
        claimed: Option<Digest>,
        name: &str,
        sink: &mut impl Sink,
    ) -> Result<Done, Fault> {
        let share = match self.resolve(id, target)? {
            Where::Room(room) => Share::Room(room),
            Where::Person(to) => {
                let other = self.people.get(to).ok_or(Fault::NoTarget)?;
                if other.is_lagging() {
                    return Err(Fault::Busy(other.nick()));
                }
                Share::Person(to, other.nick())
            }
        };
        let name = FileName::new(name).ok_or(Fault::BadFileName)?;
        if size > self.settings.max_file {
            return Err(Fault::TooBig(self.settings.max_file));
        }
        if self.disk.jobs >= 2 * limits::DISK_JOBS {
            return Err(Fault::DiskBusy);
        }
        let nick = self.nick(id)?;
        let resumed = claimed.and_then(|claimed| self.broken_off(share, nick, size, claimed, &name));
        if self.files.sent_by(id) >= limits::FILES_A_SENDER {
            return Err(Fault::TooMany(Quota::Files));
        }
        let file_id = match resumed {
            Some(file) => file,
            None => self.new_file(id, now, share, nick, size, claimed, name, sink)?,
        };
        let Some(file) = self.files.get_mut(file_id) else { return Err(Fault::NoSpace) };
        (file.sender, file.nick) = (id, nick);
        file.stage = Stage::Coming;
        file.due = now.tick + limits::UPLOAD_SILENCE;
        let (offset, due) = (file.received, file.due);
        let what = Happening::File { id: file_id, size, name: file.name.clone() };
        self.alarm(due, Alarm::File(file_id));
        self.tell_about_file(file_id, &what, None, now, sink);
        self.set_intake(id, Intake::Open(file_id));
        if size == 0 {
            self.finish(file_id, sink);
        }
        Ok(Done::Send { id: file_id, offset })
    }

    /// The upload that broke off and that this `/send` takes up again.
    fn broken_off(&self, share: Share, nick: Nick, size: u64, claimed: Digest, name: &FileName) -> Option<FileId> {
        let same = |file: &File| {
            file.stage == Stage::Broken
                && file.share == share
                && file.nick == nick
                && file.size == size
                && file.claimed == Some(claimed)
                && file.name == *name
        };
        self.files.iter().find(|(_, file)| same(file)).map(|(id, _)| id)
    }

    #[allow(clippy::too_many_arguments, reason = "they are what a file is made of")]
    fn new_file(
        &mut self,
        sender: ConnId,
        now: Now,
        share: Share,
        nick: Nick,
        size: u64,
        claimed: Option<Digest>,
        name: FileName,
        sink: &mut impl Sink,
    ) -> Result<FileId, Fault> {
        if self.files.len() >= limits::FILES {
            let victim = self.files.victim().ok_or(Fault::NoSpace)?;
            self.end_file(victim, Fault::Gone(Gone::Evicted), now, sink);
        }
        let file = self.files.insert(File {
            share,
            sender,
            nick,
            size,
            name,
            claimed,
            received: 0,
            written: 0,
            stage: Stage::Coming,
            since: now.tick,
            due: now.tick,
            readers: Default::default(),
        });
        if let Share::Room(room) = share {
            self.rooms.hold(room);
        }
        self.job(Job::Create(file), sink);
        Ok(file)
    }

    pub(super) fn chunk(&mut self, id: ConnId, now: Now, base64: &[u8], sink: &mut impl Sink) {
        let Some(person) = self.people.get_mut(id) else { return };
        let Intake::Open(file_id) = person.intake else { return person.intake.refuse_chunk(id, sink) };
        let Ok(bytes) = BASE64.decode(base64) else {
            return self.fail_upload(file_id, Fault::BadChunk, now, sink);
        };
        let Some(file) = self.files.get_mut(file_id) else { return };
        file.due = now.tick + limits::UPLOAD_SILENCE;
        let (size, len) = (file.size, bytes.len() as u64);
        if len > size - file.received {
            return self.fail_upload(file_id, Fault::BeyondSize(size), now, sink);
        }
        // A file that can never fit must not drive out others before it fails.
        if size > self.settings.spool || !self.make_space(len, now, sink) {
            return self.fail_upload(file_id, Fault::NoSpace, now, sink);
        }
        if len == 0 {
            return;
        }
        let received = self.files.receive(file_id, len);
        self.job(Job::Append(file_id, bytes), sink);
        if received == size {
            self.finish(file_id, sink);
        }
    }

    pub(super) fn overlong_chunk(&mut self, id: ConnId, now: Now, sink: &mut impl Sink) {
        if let Some(Intake::Open(file)) = self.people.get(id).map(|person| person.intake) {
            self.fail_upload(file, Fault::BadChunk, now, sink);
        }
    }

    /// Lets files go until `bytes` more fit into the spool; `false` if they cannot.
    fn make_space(&mut self, bytes: u64, now: Now, sink: &mut impl Sink) -> bool {
        while self.files.used() + bytes > self.settings.spool {
            let Some(victim) = self.files.victim() else { return false };
            self.end_file(victim, Fault::Gone(Gone::Evicted), now, sink);
        }
        true
    }

    /// All bytes of an upload have come.
    fn finish(&mut self, file_id: FileId, sink: &mut impl Sink) {
        let Some(file) = self.files.get_mut(file_id) else { return };
        file.stage = Stage::Finishing;
        let sender = file.sender;
        if let Some(person) = self.people.get_mut(sender) {
            person.finishing += 1;
        }
        self.set_intake(sender, Intake::None { told: false });
        self.job(Job::Finish(file_id), sink);
    }

    fn set_intake(&mut self, id: ConnId, intake: Intake) {
        if let Some(person) = self.people.get_mut(id) {
            person.intake = intake;
        }
    }

    /// Ends an upload that cannot be taken up again, and tells its sender.
    fn fail_upload(&mut self, file_id: FileId, why: Fault, now: Now, sink: &mut impl Sink) {
        if let Some(file) = self.files.get(file_id) {
            self.tell_sender(file.sender, &Event::Broken { file: file_id, why: why.clone() }, sink);
        }
        self.withdraw(file_id, why, None, now, sink);
    }

    /// Ends an upload whose sender fell silent. With a digest it can be taken up again.
    fn break_off(&mut self, file_id: FileId, why: Gone, now: Now, sink: &mut impl Sink) {
        let why = Fault::Gone(why);
        let Some(file) = self.files.get_mut(file_id) else { return };
        if file.claimed.is_none() || file.received == 0 {
            return self.fail_upload(file_id, why, now, sink);
        }
        file.stage = Stage::Broken;
        file.due = now.tick + limits::RESUME;
        let (sender, due) = (file.sender, file.due);
        self.alarm(due, Alarm::File(file_id));
        self.close_intake(sender, file_id);
        self.tell_sender(sender, &Event::Broken { file: file_id, why: why.clone() }, sink);
        self.stop_readers(file_id, &why, sink);
        self.tell_about_file(file_id, &Happening::Unfile { id: file_id, why }, None, now, sink);
    }

    /// What still comes for an upload that ended is discarded.
    fn close_intake(&mut self, sender: ConnId, file: FileId) {
        if let Some(person) = self.people.get_mut(sender).filter(|person| person.intake == Intake::Open(file)) {
            person.intake = Intake::Discard;
        }
    }

    /// Takes a file away for a cause of the server's own, which the sender sees as well.
    pub(super) fn end_file(&mut self, file_id: FileId, why: Fault, now: Now, sink: &mut impl Sink) {
        let Some(file) = self.files.get(file_id) else { return };
        let sender = file.sender;
        match file.stage {
            // Of an upload that broke off everybody has been told already.
            Stage::Broken => self.remove_file(file_id, &why, sink),
            Stage::Coming | Stage::Finishing => self.fail_upload(file_id, why, now, sink),
            Stage::Ready(_) => self.withdraw(file_id, why, Some(sender), now, sink),
        }
    }

    /// Takes a file away and tells those for whom it was, and `also`.
    fn withdraw(&mut self, file_id: FileId, why: Fault, also: Option<ConnId>, now: Now, sink: &mut impl Sink) {
        self.stop_readers(file_id, &why, sink);
        let what = Happening::Unfile { id: file_id, why: why.clone() };
        self.tell_about_file(file_id, &what, also, now, sink);
        self.remove_file(file_id, &why, sink);
    }

    fn remove_file(&mut self, file_id: FileId, why: &Fault, sink: &mut impl Sink) {
        self.stop_readers(file_id, why, sink);
        let Some(file) = self.files.remove(file_id) else { return };
        self.close_intake(file.sender, file_id);
        if file.stage == Stage::Finishing {
            self.finished(file.sender, sink);
        }
        self.job(Job::Remove(file_id), sink);
        if let Share::Room(room) = file.share {
            self.rooms.release(room);
        }
    }

    /// An upload of `sender` waits for its digest no more.
    fn finished(&mut self, sender: ConnId, sink: &mut impl Sink) {
        if let Some(person) = self.people.get_mut(sender) {
            person.finishing = person.finishing.saturating_sub(1);
            sink.wants_data(sender);
        }
    }

    /// Tells those for whom a file is, and `also`, what became of it.
    fn tell_about_file(&self, file_id: FileId, what: &Happening, also: Option<ConnId>, now: Now, sink: &mut impl Sink) {
        let Some(file) = self.files.get(file_id) else { return };
        let also = also.filter(|&also| self.people.get(also).is_some());
        let event = |place| Event::Happened { place, at: now.wall, who: file.nick, what: what.clone() };
        match file.share {
            Share::Room(room) => {
                let room = &self.rooms[room];
                let others = self.hearers(room, file.sender, Some(file.sender));
                sink.publish(&mut others.chain(also), &[event(Place::Room(room.name))]);
            }
            Share::Person(to, nick) => {
                if self.people.get(to).is_some_and(|person| !person.ignores(file.sender)) {
                    sink.publish(&mut std::iter::once(to), &[event(Place::With(file.nick))]);
                }
                if let Some(also) = also.filter(|&also| also != to) {
                    sink.publish(&mut std::iter::once(also), &[event(Place::With(nick))]);
                }
            }
        }
    }

    /// Tells the sender of a file how its upload ended, if they are still here.
    fn tell_sender(&self, sender: ConnId, event: &Event, sink: &mut impl Sink) {
        if self.people.get(sender).is_some() {
            sink.answer(sender, event);
        }
    }

    /// Whether a file is for `id`, or from them.
    pub(super) fn may_fetch(&self, id: ConnId, file: &File) -> bool {
        let is_for = match file.share {
            Share::Room(room) => self.rooms[room].member(id).is_some(),
            Share::Person(to, _) => to == id,
        };
        (is_for || file.sender == id) && file.stage != Stage::Broken
    }

    pub(super) fn get(
        &mut self,
        id: ConnId,
        file_id: FileId,
        offset: u64,
        sink: &mut impl Sink,
    ) -> Result<Done, Fault> {
        let file = self.files.get(file_id).filter(|file| self.may_fetch(id, file)).ok_or(Fault::NoSuchFile)?;
        let (size, name) = (file.size, file.name.clone());
        if offset > size {
            return Err(Fault::BeyondEnd(size));
        }
        let person = self.people.get_mut(id).ok_or(Fault::NoSuchFile)?;
        if person.downloads.iter().any(|download| download.file == file_id) {
            return Err(Fault::BusyFile(file_id));
        }
        if person.downloads.len() >= limits::DOWNLOADS {
            return Err(Fault::TooMany(Quota::Downloads));
        }
        self.downloads += 1;
        person.downloads.push(Download { serial: self.downloads, file: file_id, asked: offset, sent: offset });
        if let Some(file) = self.files.get_mut(file_id) {
            file.readers.insert(id);
        }
        sink.wants_data(id);
        Ok(Done::Get { id: file_id, offset, size, name })
    }

    pub(super) fn cancel(
        &mut self,
        id: ConnId,
        now: Now,
        file_id: FileId,
        sink: &mut impl Sink,
    ) -> Result<Done, Fault> {
        let file = self.files.get(file_id).ok_or(Fault::NoSuchFile)?;
        if file.readers.contains(&id) {
            self.stop_download(id, file_id);
        } else if file.stage == Stage::Broken {
            return Err(Fault::NoSuchFile);
        } else if file.sender == id {
            self.withdraw(file_id, Fault::Gone(Gone::Withdrawn), None, now, sink);
        } else if self.may_fetch(id, file) {
            return Err(Fault::NotYours(file_id));
        } else {
            return Err(Fault::NoSuchFile);
        }
        Ok(Done::Cancel(file_id))
    }

    fn stop_download(&mut self, id: ConnId, file_id: FileId) {
        if let Some(person) = self.people.get_mut(id) {
            person.downloads.retain(|download| download.file != file_id);
        }
        if let Some(file) = self.files.get_mut(file_id) {
            file.readers.remove(&id);
        }
    }

    fn stop_readers(&mut self, file_id: FileId, why: &Fault, sink: &mut impl Sink) {
        let readers = self.files.get_mut(file_id).map(|file| std::mem::take(&mut file.readers)).unwrap_or_default();
        for reader in readers {
            self.stop_download(reader, file_id);
            sink.answer(reader, &Event::Broken { file: file_id, why: why.clone() });
            sink.wants_data(reader);
        }
    }

    /// Ends the downloads of somebody who leaves a room, but for their own files.
    pub(super) fn stop_downloads_from(&mut self, id: ConnId, room: RoomId, why: Fault, sink: &mut impl Sink) {
        let theirs = |file: &File| file.sender != id && file.share == Share::Room(room) && file.readers.contains(&id);
        let files: Vec<FileId> = self.files.iter().filter(|(_, file)| theirs(file)).map(|(id, _)| id).collect();
        for file in files {
            self.stop_download(id, file);
            sink.answer(id, &Event::Broken { file, why: why.clone() });
        }
    }

    /// Somebody is leaving the server, and their transfers end.
    pub(super) fn drop_transfers(&mut self, id: ConnId, now: Now, sink: &mut impl Sink) {
        let Some(person) = self.people.get_mut(id) else { return };
        let intake = std::mem::replace(&mut person.intake, Intake::Discard);
        self.disk.waiting.retain(|&waiting| waiting != id);
        for download in std::mem::take(&mut person.downloads) {
            if let Some(file) = self.files.get_mut(download.file) {
                file.readers.remove(&id);
            }
        }
        if let Intake::Open(file) = intake {
            self.break_off(file, Gone::BrokenOff, now, sink);
        }
        let coming =
            |file: &File| file.stage == Stage::Coming && matches!(file.share, Share::Person(to, _) if to == id);
        let files: Vec<FileId> = self.files.iter().filter(|(_, file)| coming(file)).map(|(id, _)| id).collect();
        for file in files {
            self.fail_upload(file, Fault::Gone(Gone::ReceiverLeft), now, sink);
        }
    }

    /// Lets go of private files whose sender and receiver are both gone, and of those that nobody may take up again.
    pub(super) fn forget_unreachable(&mut self, sink: &mut impl Sink) {
        let here = |id: ConnId| self.people.get(id).is_some();
        let lost = |file: &File| match (file.share, file.stage) {
            (Share::Room(_), _) => false,
            (Share::Person(to, _), Stage::Broken) => !here(to),
            (Share::Person(to, _), _) => !here(to) && !here(file.sender),
        };
        let files: Vec<FileId> = self.files.iter().filter(|(_, file)| lost(file)).map(|(id, _)| id).collect();
        for file in files {
            self.remove_file(file, &Fault::Gone(Gone::ReceiverLeft), sink);
        }
    }

    /// Somebody has a new name, and their files show it.
    pub(super) fn rename_in_files(&mut self, id: ConnId, nick: Nick) {
        for file in self.files.iter_mut() {
            if file.sender == id {
                file.nick = nick;
            }
            if let Share::Person(to, called) = &mut file.share
                && *to == id
            {
                *called = nick;
            }
        }
    }

    /// A file has been silent or kept for long enough, perhaps.
    pub(super) fn file_due(&mut self, file_id: FileId, now: Now, sink: &mut impl Sink) {
        let Some(file) = self.files.get(file_id) else { return };
        if file.due > now.tick {
            return self.alarm(file.due, Alarm::File(file_id));
        }
        match file.stage {
            Stage::Coming => self.break_off(file_id, Gone::BrokenOff, now, sink),
            Stage::Broken | Stage::Ready(_) => self.end_file(file_id, Fault::Gone(Gone::Expired), now, sink),
            // The disk has its time; it answers in the end.
            Stage::Finishing => {}
        }
    }

    /// Asks the disk for what `id` downloads, as far as `room` bytes of lines allow.
    pub fn pump(&mut self, id: ConnId, room: usize, sink: &mut impl Sink) {
        let mut idle = 0;
        while let Some(person) = self.people.get_mut(id) {
            if idle >= person.downloads.len() || (person.reads + 1) * DOWNLOAD_LINE_BYTES > room {
                break;
            }
            let download = &mut person.downloads[0];
            let Some(file) = self.files.get(download.file) else { break };
            let from = download.asked;
            let line = limits::DOWNLOAD_LINE as u64;
            let to = ((from / line + 1) * line).min(file.size);
            if from == to || to > file.written {
                idle += 1;
                person.downloads.rotate_left(1);
                continue;
            }
            if self.disk.reads >= limits::READS_IN_FLIGHT {
                if !self.disk.waiting.contains(&id) {
                    self.disk.waiting.push_back(id);
                }
                break;
            }
            idle = 0;
            download.asked = to;
            let len = usize::try_from(to - from).unwrap_or(limits::DOWNLOAD_LINE);
            let job = Job::Read { file: download.file, offset: from, len, reader: id, download: download.serial };
            person.reads += 1;
            person.downloads.rotate_left(1);
            self.job(job, sink);
        }
        self.complete_downloads(id, sink);
        if self.disk.reads < limits::READS_IN_FLIGHT {
            self.wake_reader(sink);
        }
    }

    /// Lets the next of those who wait for the disk have a turn.
    fn wake_reader(&mut self, sink: &mut impl Sink) {
        if let Some(next) = self.disk.waiting.pop_front() {
            sink.wants_data(next);
        }
    }

    /// Ends the downloads of which every byte has gone out.
    fn complete_downloads(&mut self, id: ConnId, sink: &mut impl Sink) {
        let downloads = self.people.get(id).map(|person| person.downloads.as_slice()).unwrap_or_default();
        let whole = |download: &Download| {
            let file = self.files.get(download.file)?;
            let Stage::Ready(digest) = file.stage else { return None };
            (download.sent == file.size).then_some((download.file, file.size, digest))
        };
        let whole: Vec<_> = downloads.iter().filter_map(whole).collect();
        for (file, size, digest) in whole {
            self.stop_download(id, file);
            sink.answer(id, &Event::Whole { file, size, digest });
        }
    }

    /// Takes what came of a job.
    pub fn disk_did(&mut self, now: Now, outcome: Outcome, sink: &mut impl Sink) {
        match outcome {
            Outcome::Done => self.disk.jobs -= 1,
            Outcome::Appended(file_id, bytes) => {
                self.disk.jobs -= 1;
                self.disk.bytes -= bytes;
                if let Some(file) = self.files.get_mut(file_id) {
                    file.written += bytes as u64;
                    file.readers.iter().for_each(|&reader| sink.wants_data(reader));
                }
            }
            Outcome::Finished(file_id, digest) => {
                self.disk.jobs -= 1;
                self.stored(file_id, digest, now, sink);
            }
            Outcome::WriteFailed { file, bytes, full } => {
                self.disk.jobs -= 1;
                self.disk.bytes -= bytes;
                self.fail_upload(file, if full { Fault::NoSpace } else { Fault::DiskFailed }, now, sink);
            }
            Outcome::Data { file, data, reader, download } => {
                if let Some(download) = self.arrived(reader, download, sink) {
                    download.sent += data.len() as u64;
                    sink.answer(reader, &Event::Chunk { file, data });
                }
            }
            Outcome::ReadFailed { file, reader, download } => {
                if self.arrived(reader, download, sink).is_some() {
                    self.stop_download(reader, file);
                    sink.answer(reader, &Event::Broken { file, why: Fault::DiskFailed });
                }
            }
        }
    }

    /// A read came back: its download, if that still runs.
    fn arrived(&mut self, reader: ConnId, download: u64, sink: &mut impl Sink) -> Option<&mut Download> {
        self.disk.reads -= 1;
        self.wake_reader(sink);
        let person = self.people.get_mut(reader)?;
        person.reads -= 1;
        sink.wants_data(reader);
        person.downloads.iter_mut().find(|running| running.serial == download)
    }

    fn stored(&mut self, file_id: FileId, digest: Digest, now: Now, sink: &mut impl Sink) {
        let Some(file) = self.files.get_mut(file_id) else { return };
        if file.claimed.is_some_and(|claimed| claimed != digest) {
            return self.fail_upload(file_id, Fault::BadDigest, now, sink);
        }
        file.stage = Stage::Ready(digest);
        file.due = now.tick.saturating_add(self.settings.file_ttl).min(FOREVER);
        file.readers.iter().for_each(|&reader| sink.wants_data(reader));
        let (sender, size, due) = (file.sender, file.size, file.due);
        self.alarm(due, Alarm::File(file_id));
        self.finished(sender, sink);
        self.tell_sender(sender, &Event::Whole { file: file_id, size, digest }, sink);
        self.forget_unreachable(sink);
    }
}

/// Later than any server lives; it keeps the arithmetic of times from overflowing.
const FOREVER: Duration = Duration::from_secs(u32::MAX as u64);
