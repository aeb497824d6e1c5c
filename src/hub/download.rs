//! Downloads: each goes as fast as its reader, several take turns, and the disk serves only so many at once.

use crate::effect::{Effect, Job, Output};
use crate::event::{Done, Event, Fault, Gone, Quota};
use crate::files::{File, Share, Stage};
use crate::limits;
use crate::names::{ConnId, FileId, PersonId};
use crate::people::{Download, Way};
use crate::policy::Action;
use crate::rooms::RoomId;

use super::{Hub, Turn};

const UNIT: usize = limits::DOWNLOAD_UNIT;

impl Hub {
    /// Whether something is still owed to a connection without its saying another word.
    pub fn is_transferring(&self, conn: ConnId) -> bool {
        self.people.way(conn).is_some_and(Way::is_transferring)
    }

    pub(super) fn get(
        &mut self,
        file_id: FileId,
        offset: u64,
        turn: &mut Turn<'_, impl Output>,
    ) -> Result<Done, Fault> {
        let file = self.files.get(file_id).ok_or(Fault::NoSuchFile)?;
        self.may(turn.who, Action::Fetch(file, self.room_of_file(file)))?;
        let (size, name) = (file.size, file.name.clone());
        if offset > size {
            return Err(Fault::BeyondEnd(size));
        }
        let way = self.people.way_mut(turn.conn).ok_or(Fault::NoSuchFile)?;
        if way.downloads().iter().any(|download| download.file == file_id) {
            return Err(Fault::BusyFile(file_id));
        }
        if way.downloads().len() >= limits::DOWNLOADS {
            return Err(Fault::TooMany(Quota::Downloads));
        }
        self.downloads += 1;
        way.rare_mut().downloads.push(Download::new(self.downloads, file_id, offset));
        if let Some(file) = self.files.get_mut(file_id) {
            file.readers.insert(turn.conn);
        }
        turn.out.effect(Effect::Pump(turn.conn));
        Ok(Done::Get { id: file_id, offset, size, name })
    }

    /// Hands on up to `room` bytes of what `conn` downloads, in whole units but for the ends of files, and asks the disk for
    /// what follows.
    pub fn pump(&mut self, conn: ConnId, room: usize, out: &mut impl Output) {
        let mut room = room / UNIT * UNIT;
        let mut idle = 0;
        while let Some(way) = self.people.way_mut(conn).filter(|way| idle < way.downloads().len()) {
            let download = &mut way.downloads_mut()[0];
            let len = download.ready().len().min(room);
            if len > 0 {
                out.data(conn, download.file, download.sent, &download.ready()[..len]);
                self.disk.held -= download.hand_on(len);
                self.counts.downloaded += len as u64;
                room -= len.next_multiple_of(UNIT);
                idle = 0;
            } else {
                idle += 1;
            }
            self.ask(conn, room, out);
            if let Some(way) = self.people.way_mut(conn) {
                way.downloads_mut().rotate_left(1);
            }
        }
        self.complete_downloads(conn, out);
        if self.disk.reads < limits::READS_IN_FLIGHT {
            self.wake_reader(out);
        }
    }

    /// Asks the disk for more of the first of `conn`'s downloads, if all that came of it has been handed on.
    fn ask(&mut self, conn: ConnId, room: usize, out: &mut impl Output) {
        let Some(way) = self.people.way_mut(conn) else { return };
        let holds_any = way.downloads().iter().any(Download::is_held);
        // Several of one connection share what is read ahead, so that none of them goes on alone for long.
        let ahead = limits::READ_AHEAD / way.downloads().len().max(1);
        let Some(download) = way.downloads_mut().first_mut().filter(|download| !download.is_held()) else { return };
        let buffer = download.take_buffer();
        let Some(file) = self.files.get(download.file) else { return };
        let (from, unit) = (download.asked, UNIT as u64);
        let whole = if file.written == file.size { file.size } else { file.written / unit * unit };
        if from >= whole {
            return;
        }
        if self.disk.reads >= limits::READS_IN_FLIGHT {
            if !std::mem::replace(&mut way.rare_mut().wait_for_disk, true) {
                self.disk.waiting.push_back(conn);
            }
            return;
        }
        // If much is held already, no more is read than can be handed on.
        let most = if self.disk.held < limits::READ_AHEAD_IN_ALL {
            ahead
        } else if holds_any {
            0
        } else {
            room
        };
        // What begins in the midst of a unit ends with it.
        let most = most.min(if from.is_multiple_of(unit) { limits::READS_IN_FLIGHT - self.disk.reads } else { UNIT });
        let to = whole.min((from / unit + (most / UNIT) as u64) * unit);
        if from >= to {
            return;
        }
        download.asked = to;
        let len = usize::try_from(to - from).unwrap_or_default();
        let job = Job::Read { file: download.file, offset: from, len, buffer, reader: conn, download: download.serial };
        self.job(job, None, out);
    }

    /// Lets the next of those who wait for the disk have a turn.
    pub(super) fn wake_reader(&mut self, out: &mut impl Output) {
        if let Some(next) = self.disk.waiting.pop_front() {
            if let Some(way) = self.people.way_mut(next) {
                way.rare_mut().wait_for_disk = false;
            }
            out.effect(Effect::Pump(next));
        }
    }

    /// Ends the downloads of which every byte has gone out.
    fn complete_downloads(&mut self, conn: ConnId, out: &mut impl Output) {
        let downloads = self.people.way(conn).map(Way::downloads).unwrap_or_default();
        let whole = |download: &Download| {
            let file = self.files.get(download.file)?;
            let Stage::Ready(digest) = file.stage else { return None };
            (download.sent == file.size).then_some((download.file, file.size, digest))
        };
        let whole: Vec<_> = downloads.iter().filter_map(whole).collect();
        for (file, size, digest) in whole {
            self.stop_download(conn, file);
            out.answer(conn, &Event::Whole { file, size, digest });
        }
    }

    /// A read of `len` bytes came back: its download, if that still runs.
    pub(super) fn arrived(
        &mut self,
        reader: ConnId,
        download: u64,
        len: usize,
        out: &mut impl Output,
    ) -> Option<&mut Download> {
        self.disk.reads -= len.next_multiple_of(UNIT);
        self.wake_reader(out);
        let way = self.people.way_mut(reader);
        if way.is_some() {
            out.effect(Effect::Pump(reader));
        }
        let running = way.and_then(|way| way.downloads_mut().iter_mut().find(|running| running.serial == download));
        if running.is_none() {
            self.disk.held -= len;
        }
        running
    }

    pub(super) fn stop_download(&mut self, conn: ConnId, file_id: FileId) {
        if let Some(way) = self.people.way_mut(conn)
            && let Some(at) = way.downloads().iter().position(|download| download.file == file_id)
        {
            let download = way.rare_mut().downloads.remove(at);
            self.disk.held -= download.held();
        }
        if let Some(file) = self.files.get_mut(file_id) {
            file.readers.remove(&conn);
        }
    }

    pub(super) fn stop_readers(&mut self, file_id: FileId, why: &Fault, out: &mut impl Output) {
        let Some(file) = self.files.get_mut(file_id) else { return };
        let (readers, stage) = (std::mem::take(&mut file.readers), file.stage);
        // What the sender can do, and who fetches cannot, is for the sender alone.
        let why = match why {
            Fault::BadChunk | Fault::BadDigest | Fault::BeyondSize(_) | Fault::NoSpace | Fault::NotStored(_) => {
                Fault::OfSender(Box::new(why.clone()))
            }
            Fault::Gone(Gone::BrokenOff | Gone::Slowest | Gone::Superseded) => {
                // Without a digest it is not taken up again.
                let gone = if stage == Stage::Broken { Gone::BrokenOff } else { Gone::NotHeld };
                Fault::OfSender(Box::new(Fault::Gone(gone)))
            }
            why => why.clone(),
        };
        for reader in readers {
            self.stop_download(reader, file_id);
            out.answer(reader, &Event::Broken { file: file_id, why: why.clone() });
            out.effect(Effect::Pump(reader));
        }
    }

    /// Ends downloads of somebody from a room that they leave.
    pub(super) fn stop_downloads_from(
        &mut self,
        (room, who): (RoomId, PersonId),
        ends: impl Fn(&File) -> bool,
        why: &Fault,
        turn: &mut Turn<'_, impl Output>,
    ) {
        let ends = |file: &File| file.share == Share::Room(room) && ends(file);
        let conns: Vec<ConnId> = self.people.conns_of(who).collect();
        let of = |(id, file): (FileId, &File)| {
            let readers = conns.iter().copied().filter(|conn| file.readers.contains(conn));
            readers.map(|conn| (conn, id)).collect::<Vec<_>>()
        };
        let stopped: Vec<_> = self.files.iter().filter(|(_, file)| ends(file)).flat_map(of).collect();
        for (conn, file) in stopped {
            self.stop_download(conn, file);
            turn.out.answer(conn, &Event::Broken { file, why: why.clone() });
            turn.out.effect(Effect::Pump(conn));
        }
    }
}
