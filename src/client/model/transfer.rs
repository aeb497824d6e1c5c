//! One upload or download: what is asked of the server next, and what its answers mean. It knows no file and no socket.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use crate::client::model::news::Found;
use crate::names::{Digest, FileId, Place};
use crate::wire::Command;

/// How many bytes of a file go on one line of an upload; 65,536 characters of base64.
pub const CHUNK: u64 = 49_152;
/// The largest picture that is shown and not saved, as it is held in memory until it is whole.
pub const PICTURE: u64 = 12 * 1024 * 1024;
/// How long a sender whose connection broke may take to go on.
pub const PATIENCE: Duration = Duration::from_secs(120);
/// How long a download waits that the server does not send now, before it is asked for again.
pub const LATER: Duration = Duration::from_secs(1);
/// What the speed is measured over.
const WINDOW: Duration = Duration::from_secs(5);

/// A file that is being shared, over all the connections that it takes.
#[derive(Debug)]
pub struct Upload {
    /// With whom.
    pub place: Place,
    /// Under which name.
    pub name: String,
    /// How large it is.
    pub size: u64,
    /// Its ID, once the server has given one.
    pub file: Option<FileId>,
    state: Up,
    /// Whether the server has ended it while there was no connection, which it will tell.
    is_cut_off: bool,
}

#[derive(Debug)]
enum Up {
    /// Its digest is being worked out.
    Reading,
    Waiting(Digest),
    Asked(Digest),
    /// So much has been sent.
    Sending(Digest, u64),
}

impl Upload {
    /// An upload of which the digest is not known yet.
    pub fn new(place: Place, name: String, size: u64) -> Self {
        Self { place, name, size, file: None, state: Up::Reading, is_cut_off: false }
    }

    /// Whether the digest is still missing.
    pub fn is_reading(&self) -> bool {
        matches!(self.state, Up::Reading)
    }

    /// The digest is known.
    pub fn read(&mut self, digest: Digest) {
        self.state = Up::Waiting(digest);
    }

    /// The command that is to be sent now, if one is.
    pub fn ask(&mut self) -> Option<String> {
        let Up::Waiting(digest) = self.state else { return None };
        self.state = Up::Asked(digest);
        let (to, size, name) = (self.place, self.size, self.name.as_str());
        Some(Command::Send { to, size, digest, name }.to_string())
    }

    /// Whether the server would begin anew with a file for somebody of which it had a part already. It does so if they are another
    /// than the one for whom that was.
    pub fn is_of_another(&self, file: FileId, offset: u64) -> bool {
        let is_new = self.file != Some(file) || offset == 0;
        matches!(self.place, Place::With(_)) && self.file.is_some() && is_new
    }

    /// The server waits for the bytes from `offset` on. Whether that makes sense.
    pub fn answered(&mut self, file: FileId, offset: u64) -> bool {
        let Up::Asked(digest) = self.state else { return false };
        self.file = Some(file);
        self.state = Up::Sending(digest, offset);
        offset <= self.size
    }

    /// Which bytes are to be sent next, from where and how many; `None` while there are none to be sent.
    pub fn next(&self) -> Option<(u64, u64)> {
        match self.state {
            Up::Sending(_, at) if at < self.size && !self.is_cut_off => Some((at, CHUNK.min(self.size - at))),
            _ => None,
        }
    }

    /// `count` bytes more have been sent.
    pub fn sent(&mut self, count: u64) {
        if let Up::Sending(_, at) = &mut self.state {
            *at += count;
        }
    }

    /// Whether the server has all of it, if this is its digest.
    pub fn is_whole(&self, digest: &Digest) -> bool {
        matches!(&self.state, Up::Sending(ours, at) if ours == digest && *at == self.size)
    }

    /// How many bytes the server has, as far as we know.
    pub fn done(&self) -> u64 {
        match self.state {
            Up::Sending(_, at) => at,
            _ => 0,
        }
    }

    /// Whether this is the file that the connection's chunks go to.
    pub fn is_sending(&self, file: FileId) -> bool {
        self.file == Some(file) && matches!(self.state, Up::Sending(..))
    }

    /// Our place on the server is taken up, and this upload is open there with so many bytes.
    pub fn taken_up(&mut self, open: Option<(FileId, u64)>) {
        let Up::Sending(_, at) = &mut self.state else { return };
        match open.filter(|(file, _)| Some(*file) == self.file) {
            Some((_, offset)) => *at = offset.min(self.size),
            None => self.is_cut_off = true,
        }
    }

    /// Whether the server has ended it while there was no connection, so that it may go on if it is asked for again.
    pub fn is_cut_off(&self) -> bool {
        self.is_cut_off
    }

    /// The connection is lost, or the upload cut off. It is asked for again on the next.
    pub fn offline(&mut self) {
        self.is_cut_off = false;
        if let Up::Asked(digest) | Up::Sending(digest, _) = self.state {
            self.state = Up::Waiting(digest);
        }
    }
}

/// A file that is being fetched, over all the connections that it takes.
#[derive(Debug)]
pub struct Download {
    /// What answers to its requests are known by.
    pub key: u64,
    /// Which.
    pub file: FileId,
    /// What it is called, once that is known.
    pub name: String,
    /// How large it is, once that is known.
    pub size: u64,
    /// How many bytes of it are here.
    pub done: u64,
    state: Down,
    /// Whether the server had all of it when it was looked up. Then it is announced no more.
    is_ready: bool,
    /// Why the server has ended it, if nothing has come since.
    ended: Option<String>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Down {
    /// Its name and size are not known, and not asked for.
    Unknown,
    LookedUp,
    /// What was kept of it earlier is being read.
    Checking,
    Waiting,
    Asked,
    Coming,
    /// The server does not send it now, but may at this time.
    Later(Instant),
    /// Its sender's connection broke, at this time. Within some time it may be taken up again.
    Stalled(Instant),
}

/// What is to be asked of the server.
#[derive(PartialEq, Eq, Debug)]
pub enum Ask {
    /// The name and the size.
    Name,
    /// The bytes from here on.
    Bytes(u64),
}

impl Download {
    /// A download of which nothing is known but its ID.
    pub fn new(key: u64, file: FileId) -> Self {
        Self {
            key,
            file,
            name: format!("file {file}"),
            size: 0,
            done: 0,
            state: Down::Unknown,
            is_ready: false,
            ended: None,
        }
    }

    /// What is to be asked now, if anything.
    pub fn ask(&mut self) -> Option<Ask> {
        let (next, ask) = match self.state {
            Down::Unknown => (Down::LookedUp, Ask::Name),
            Down::Waiting => (Down::Asked, Ask::Bytes(self.done)),
            _ => return None,
        };
        self.state = next;
        Some(ask)
    }

    /// It has been looked up. What there is of it already is to be read now.
    pub fn found(&mut self, Found { size, name, is_ready }: Found) {
        (self.size, self.name, self.is_ready, self.state) = (size, name, is_ready, Down::Checking);
    }

    /// Whether what there is of it already is to be read.
    pub fn is_checking(&self) -> bool {
        self.state == Down::Checking
    }

    /// So many bytes are here.
    pub fn checked(&mut self, done: u64) {
        (self.done, self.state) = (done, Down::Waiting);
    }

    /// The server sends from `offset` on, of `size` bytes that are called `name`. Whether that is what was asked for.
    pub fn answered(&mut self, offset: u64, size: u64, name: &str) -> bool {
        let is_right = self.state == Down::Asked && (offset, size, name) == (self.done, self.size, &self.name);
        self.state = Down::Coming;
        is_right
    }

    /// `count` bytes more have come. Whether there could be so many.
    pub fn came(&mut self, count: u64) -> bool {
        let is_right = self.is_coming() && count <= self.size - self.done;
        if is_right {
            self.done += count;
            self.ended = None;
        }
        is_right
    }

    /// Whether the server has been asked for its bytes, and may be sending them.
    pub fn is_asked(&self) -> bool {
        matches!(self.state, Down::Asked | Down::Coming)
    }

    /// Whether its bytes are coming.
    pub fn is_coming(&self) -> bool {
        self.state == Down::Coming
    }

    /// Whether all of it has come.
    pub fn is_whole(&self) -> bool {
        self.is_coming() && self.done == self.size
    }

    /// What was there turned out to be no part of it: all of it is asked for.
    pub fn restart(&mut self) {
        self.checked(0);
    }

    /// The server does not send it now.
    pub fn wait(&mut self, now: Instant) {
        self.state = Down::Later(now + LATER);
    }

    /// Whether it is under way or may be asked for. What waits may be again, if its time has come.
    pub fn is_moving(&mut self, now: Instant) -> bool {
        if matches!(self.state, Down::Later(at) if at <= now) {
            self.state = Down::Waiting;
        }
        !matches!(self.state, Down::Later(_) | Down::Stalled(_))
    }

    /// Whether its sender may come back with it, as the server had not all of it.
    pub fn may_come_back(&self) -> bool {
        !self.is_ready
    }

    /// The server has ended it, for this reason, and not as its sender's connection broke. As it may be there still, it is asked for once more;
    /// whether it had not been before.
    pub fn ended(&mut self, why: &str) -> bool {
        let is_first = self.ended.is_none();
        if is_first {
            (self.ended, self.state) = (Some(why.to_owned()), Down::Waiting);
        }
        is_first
    }

    /// Why the server has ended it, if it has.
    pub fn why_ended(&mut self) -> Option<String> {
        self.ended.take()
    }

    /// Its sender's connection broke before all of it had been sent.
    pub fn stall(&mut self, now: Instant) {
        self.state = Down::Stalled(now);
    }

    /// Its sender shares it once more.
    pub fn go_on(&mut self) {
        if matches!(self.state, Down::Stalled(_)) {
            self.state = Down::Waiting;
        }
    }

    /// Whether its sender has been gone for too long.
    pub fn is_given_up(&self, now: Instant) -> bool {
        matches!(self.state, Down::Stalled(since) if now.saturating_duration_since(since) >= PATIENCE)
    }

    /// The connection is lost. What was asked for is asked for again on the next.
    pub fn offline(&mut self) {
        self.state = match self.state {
            Down::LookedUp => Down::Unknown,
            // Whether a sender has come back meanwhile is not told afterwards.
            Down::Asked | Down::Coming | Down::Later(_) | Down::Stalled(_) => Down::Waiting,
            state => state,
        };
    }
}

/// How fast something goes.
#[derive(Default, Debug)]
pub struct Meter {
    samples: VecDeque<(Instant, u64)>,
}

impl Meter {
    /// So many bytes are done by now.
    pub fn note(&mut self, now: Instant, done: u64) {
        let is_new = self.samples.back().is_none_or(|(at, _)| now.duration_since(*at) >= WINDOW / 20);
        if is_new {
            self.samples.push_back((now, done));
        }
        while self.samples.front().is_some_and(|(at, _)| now.duration_since(*at) > WINDOW) {
            self.samples.pop_front();
        }
    }

    /// Bytes a second, lately; `None` as long as that cannot be told.
    pub fn speed(&self, now: Instant, done: u64) -> Option<f64> {
        let &(since, before) = self.samples.front()?;
        let seconds = now.duration_since(since).as_secs_f64();
        (seconds >= 0.2).then(|| done.saturating_sub(before) as f64 / seconds)
    }

    /// It begins again somewhere else.
    pub fn restart(&mut self) {
        self.samples.clear();
    }
}

/// How far a transfer is.
#[derive(Debug)]
pub struct Progress<'a> {
    /// What tells it from all other transfers, as an upload has no ID at first, and names need not differ.
    pub key: u64,
    /// Whether the file goes to the server, or comes from it.
    pub way: Way,
    /// Its ID, once there is one.
    pub file: Option<FileId>,
    /// What it is called.
    pub name: &'a str,
    /// How large it is.
    pub size: u64,
    /// How many bytes are done.
    pub done: u64,
    /// Bytes a second; `None` while that cannot be told, or nothing moves.
    pub speed: Option<f64>,
}

/// What a transfer is doing.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Way {
    /// The local file is read for its digest.
    Reading,
    /// It goes to the server.
    Up,
    /// It comes from the server.
    Down,
}

impl Progress<'_> {
    /// How long it will take yet, if it goes on so.
    pub fn left(&self) -> Option<Duration> {
        let speed = self.speed.filter(|&speed| speed >= 1.0)?;
        Some(Duration::from_secs_f64((self.size.saturating_sub(self.done)) as f64 / speed))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn digest() -> Digest {
        Digest([7; 32])
    }

    fn upload(size: u64) -> Upload {
        Upload::new(Place::new("#lobby").unwrap(), "my cat.png".to_owned(), size)
    }

    #[test]
    fn an_upload_is_announced_sent_and_taken_up_again() {
        let mut upload = upload(100_000);
        assert_eq!((upload.ask(), upload.next()), (None, None), "the digest is missing");
        upload.read(digest());
        let line = format!("/send #lobby 100000 {} my cat.png", digest());
        assert_eq!(upload.ask().as_ref(), Some(&line));
        assert_eq!((upload.ask(), upload.next()), (None, None), "it has been asked for");
        assert!(upload.answered(FileId(7), 0));
        assert_eq!(upload.next(), Some((0, CHUNK)));
        upload.sent(CHUNK);
        assert_eq!((upload.next(), upload.done()), (Some((CHUNK, CHUNK)), CHUNK));
        upload.offline();
        assert_eq!((upload.next(), upload.is_sending(FileId(7))), (None, false));
        assert_eq!(upload.ask(), Some(line));
        assert!(upload.answered(FileId(7), 99_999));
        assert_eq!((upload.next(), upload.is_sending(FileId(7))), (Some((99_999, 1)), true));
        upload.sent(1);
        assert_eq!((upload.next(), upload.done()), (None, 100_000));
    }

    #[test]
    fn an_upload_goes_on_where_the_server_has_come_to() {
        let mut upload = upload(100_000);
        upload.read(digest());
        upload.ask();
        upload.taken_up(Some((FileId(3), 10)));
        assert!(upload.answered(FileId(7), 0), "its answer comes behind that");
        upload.sent(CHUNK);
        upload.sent(CHUNK);
        upload.taken_up(Some((FileId(7), CHUNK)));
        assert_eq!((upload.next(), upload.done()), (Some((CHUNK, CHUNK)), CHUNK));
        // If it has ended meanwhile, nothing more is sent for it, and it is asked for again.
        for open in [None, Some((FileId(8), 0))] {
            upload.taken_up(open);
            assert_eq!((upload.next(), upload.is_sending(FileId(7)), upload.is_cut_off()), (None, true, true));
            upload.offline();
            assert!(!upload.is_cut_off() && upload.ask().is_some() && upload.answered(FileId(7), CHUNK));
            assert_eq!(upload.next(), Some((CHUNK, CHUNK)));
        }
        // Had all of it come, its end comes, too.
        upload.sent(100_000 - CHUNK);
        upload.taken_up(None);
        assert!(upload.is_whole(&digest()));
    }

    #[test]
    fn an_answer_that_makes_no_sense_is_noticed() {
        let mut upload = upload(10);
        assert!(!upload.answered(FileId(1), 0), "it was not asked for");
        upload.read(digest());
        upload.ask();
        assert!(!upload.answered(FileId(1), 11));
        let mut download = Download::new(1, FileId(7));
        assert!(!download.answered(0, 0, "file 7"));
        download.found(Found { size: 10, name: "x".to_owned(), is_ready: false });
        download.checked(5);
        assert_eq!(download.ask(), Some(Ask::Bytes(5)));
        assert!(!download.answered(0, 10, "x"));
        for (offset, size, name) in [(5, 11, "x"), (5, 10, "y")] {
            download.checked(5);
            download.ask();
            assert!(!download.answered(offset, size, name));
        }
    }

    #[test]
    fn a_download_goes_on_where_it_stopped() {
        let mut download = Download::new(1, FileId(7));
        assert_eq!((download.ask(), download.ask()), (Some(Ask::Name), None));
        download.offline();
        assert_eq!(download.ask(), Some(Ask::Name));
        download.found(Found { size: 100, name: "cat.png".to_owned(), is_ready: false });
        assert!(download.is_checking() && download.ask().is_none());
        download.checked(30);
        assert_eq!(download.ask(), Some(Ask::Bytes(30)));
        assert!(download.answered(30, 100, "cat.png") && download.came(50));
        download.offline();
        assert_eq!(download.ask(), Some(Ask::Bytes(80)));
        assert!(!download.came(1), "nothing comes before it was answered");
        let now = Instant::now();
        download.stall(now);
        assert_eq!(
            (download.ask(), download.is_given_up(now), download.is_given_up(now + PATIENCE)),
            (None, false, true)
        );
        download.go_on();
        assert_eq!(download.ask(), Some(Ask::Bytes(80)));
        assert!(download.answered(80, 100, "cat.png") && download.came(20) && download.is_whole());
        assert!(!download.came(1), "more than there is");
        download.restart();
        assert_eq!(download.ask(), Some(Ask::Bytes(0)));
    }

    #[test]
    fn speed_is_that_of_the_last_seconds() {
        let (mut meter, start) = (Meter::default(), Instant::now());
        let at = |seconds: u64| start + Duration::from_secs(seconds);
        assert_eq!(meter.speed(at(0), 0), None);
        for second in 0..20 {
            meter.note(at(second), second * 1000);
        }
        assert_eq!(meter.speed(at(19), 19_000), Some(1000.0));
        meter.restart();
        assert_eq!(meter.speed(at(19), 19_000), None);
    }
}
