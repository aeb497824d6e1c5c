//! All uploads and downloads: between the files here and the server's lines.

mod incoming;
mod outgoing;

use std::collections::VecDeque;
use std::ffi::OsStr;
use std::io;
use std::path::PathBuf;
use std::time::Instant;

use base64::Engine as _;
use sha2::{Digest as _, Sha256};

use self::incoming::{IncomingFile, Sink};
use self::outgoing::OutgoingFile;
use crate::client::model::news::{Extent, Found, TransferAnswer};
use crate::client::model::session::Session;
use crate::client::model::transfer::{Download, Meter, PICTURE, Progress, Upload, Way};
use crate::client::wire::paths;
use crate::client::wire::source::Source;
use crate::client::wire::store::{Mark, Part};
use crate::limits::{CHUNKS_QUEUED, DOWNLOADS};
use crate::listener::reason;
use crate::names::{Digest, FileId, Place};
use crate::text::counted;
use crate::wire::base64::BASE64;
use crate::wire::{AGAIN, Code};

/// Bytes of a file that may be under way to us, and more.
const UNDER_WAY: u64 = 4 * 1024 * 1024;
/// Why a file cannot be fetched that the server does not list.
pub const NO_SUCH_FILE: &str =
    "there is no such file for you: it may be of a room that you are not in, or its time may be over";
/// What is told of a download while it is [`TransferEnd::Stalled`].
pub const STALLED: &str = "it is gone for now; waiting two minutes whether its sender comes back";

/// Where what is fetched goes.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Keep {
    /// Into the downloads folder, under its own name.
    Folder,
    /// To this path, which must be free.
    At(PathBuf),
    /// To standard output.
    Out,
    /// Into memory, to show so much of it.
    Show(Extent),
}

/// How a transfer ended.
#[derive(Debug)]
pub enum TransferEnd {
    /// The file is with the server, whole.
    Sent {
        /// Its ID.
        file: FileId,
        /// With whom it is shared.
        place: Place,
        /// What it is called there.
        name: String,
    },
    /// It is here, whole.
    Saved {
        /// Its ID.
        file: FileId,
        /// Where it is; `None` if it went to standard output.
        path: Option<PathBuf>,
    },
    /// A picture is here, whole, to be shown.
    Picture(Picture),
    /// It has not ended yet, but its sender's connection has broken, and perhaps for good.
    Stalled {
        /// What it is called.
        name: String,
    },
    /// It failed.
    Failed {
        /// What the transfer was to do, as in `sending cat.png`.
        what: String,
        /// Why it could not be done, and what to do instead.
        why: String,
    },
}

/// A picture that has been fetched.
#[derive(Debug)]
pub struct Picture {
    /// Its ID.
    pub file: FileId,
    /// What it is called.
    pub name: String,
    /// The picture.
    pub base64: String,
    /// How much of it is to be shown.
    pub extent: Extent,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Largest {
    Unknown,
    Wanted,
    Asked,
    Known(u64),
}

/// The transfers.
#[derive(Debug)]
pub struct Transfers {
    /// Where the server is, which tells its files from those of others.
    server: String,
    folder: PathBuf,
    /// Only the first is sent: a connection has one open upload.
    uploads: VecDeque<OutgoingFile>,
    downloads: Vec<IncomingFile>,
    /// The largest file that the server takes, in bytes.
    largest: Largest,
    keys: u64,
    ends: VecDeque<TransferEnd>,
    /// Downloads that have failed here, while the server goes on sending them.
    stops: Vec<FileId>,
    chunk: Vec<u8>,
}

impl Transfers {
    /// None yet; what is fetched from `server` goes to `folder`.
    pub fn new(server: String, folder: PathBuf) -> Self {
        let (uploads, downloads, ends) = (VecDeque::new(), Vec::new(), VecDeque::new());
        let largest = Largest::Unknown;
        Self { server, folder, uploads, downloads, largest, keys: 0, ends, stops: Vec::new(), chunk: Vec::new() }
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.uploads.is_empty() && self.downloads.is_empty()
    }

    /// Whether this file is being fetched.
    pub fn fetches(&self, file: FileId) -> bool {
        self.downloads.iter().any(|incoming| incoming.download.file == file)
    }

    /// Whether pictures are fetched to be shown.
    pub fn has_pictures(&self) -> bool {
        self.downloads.iter().any(|incoming| matches!(incoming.keep, Keep::Show(_)))
    }

    /// The next that has ended.
    pub fn poll_end(&mut self) -> Option<TransferEnd> {
        self.ends.pop_front()
    }

    /// Shares a file with `place` under this name.
    pub fn send(&mut self, place: Place, source: Source, name: String) {
        let upload = Upload::new(place, name, source.size());
        self.keys += 1;
        self.uploads.push_back(OutgoingFile { key: self.keys, upload, source, meter: Meter::default() });
        self.refuse_too_big();
    }

    /// The largest file that the server takes, in bytes. As long as that is not known, it is asked for.
    pub fn largest(&mut self) -> Option<u64> {
        match self.largest {
            Largest::Known(largest) => return Some(largest),
            Largest::Unknown => self.largest = Largest::Wanted,
            Largest::Wanted | Largest::Asked => {}
        }
        None
    }

    /// What the server will not take is not read for its digest first.
    fn refuse_too_big(&mut self) {
        let Some(largest) = self.largest() else { return };
        let too_big = self.uploads.iter().filter(|outgoing| outgoing.upload.size > largest);
        for key in too_big.map(|outgoing| outgoing.key).collect::<Vec<_>>() {
            self.fail_upload(key, too_big_for(largest));
        }
    }

    /// Fetches a file. An error says why that cannot be.
    pub fn get(&mut self, file: FileId, keep: Keep) -> Result<(), String> {
        if self.fetches(file) {
            return Err(format!("file {file} is on its way already; /cancel {file} stops it"));
        }
        self.keys += 1;
        let (download, meter) = (Download::new(self.keys, file), Meter::default());
        self.downloads.push(IncomingFile { download, keep, sink: Sink::Nowhere, resumed: false, meter });
        Ok(())
    }

    /// Stops the download of this file, or else its upload, and has the server told if it knows of it. Which it was, and what the file is
    /// called, as far as that is known; `None` if it is not on its way.
    pub fn stop(&mut self, file: FileId) -> Option<(Way, String)> {
        // What was fetched of it stays, and is taken up if it is fetched again.
        if let Some(at) = self.downloads.iter().position(|incoming| incoming.download.file == file) {
            let download = self.downloads.remove(at).download;
            // Of a download that it does not know of, it would take that for the wish to withdraw the file.
            self.stops.extend(download.is_asked().then_some(file));
            return Some((Way::Down, download.name));
        }
        let at = self.uploads.iter().position(|outgoing| outgoing.upload.file == Some(file))?;
        self.stop_upload(at).map(|name| (Way::Up, name))
    }

    /// Stops the upload of this name, which may stand in quotes. Returns the name without them. It is an error if there is none.
    pub fn stop_named(&mut self, name: &str) -> Result<String, String> {
        let unquoted = paths::unquoted(name);
        let of = |name: &str| self.uploads.iter().position(|outgoing| outgoing.upload.name == name);
        let stopped = of(name).or_else(|| of(&unquoted)).and_then(|at| self.stop_upload(at));
        stopped.ok_or_else(|| format!("no {name} is being sent; /files lists what was"))
    }

    fn stop_upload(&mut self, at: usize) -> Option<String> {
        let upload = self.uploads.remove(at)?.upload;
        self.stops.extend(upload.file);
        Some(upload.name)
    }

    /// How far each is.
    pub fn progress(&self, now: Instant) -> impl Iterator<Item = Progress<'_>> {
        let up = self.uploads.iter().map(move |OutgoingFile { key, upload, source, meter }| {
            let (way, done) =
                if upload.is_reading() { (Way::Reading, source.hashed()) } else { (Way::Up, upload.done()) };
            let speed = meter.speed(now, done);
            Progress { key: *key, way, file: upload.file, name: &upload.name, size: upload.size, done, speed }
        });
        let down = self.downloads.iter().map(move |IncomingFile { download, meter, .. }| {
            let (done, speed) = (download.done, meter.speed(now, download.done));
            let (file, name, size) = (Some(download.file), download.name.as_str(), download.size);
            Progress { key: download.key, way: Way::Down, file, name, size, done, speed }
        });
        up.chain(down)
    }

    /// Takes an answer of the server's.
    pub fn answer(&mut self, answer: TransferAnswer, now: Instant) {
        match answer {
            TransferAnswer::Gone(key, why) => {
                let Some(at) = self.downloads.iter().position(|incoming| incoming.download.key == key) else { return };
                let download = &mut self.downloads[at].download;
                match download.why_ended() {
                    Some(why) => self.give_up(key, why),
                    None if download.may_come_back() => self.stall(at, now),
                    None => self.fail_download(key, why),
                }
            }
            TransferAnswer::Shared(file) => {
                let incoming = self.downloads.iter_mut().find(|incoming| incoming.download.file == file);
                incoming.into_iter().for_each(|incoming| incoming.download.go_on());
            }
            TransferAnswer::Later(key) => {
                let incoming = self.downloads.iter_mut().find(|incoming| incoming.download.key == key);
                incoming.into_iter().for_each(|incoming| incoming.download.wait(now));
            }
            TransferAnswer::Largest(largest) => {
                self.largest = Largest::Known(largest);
                self.refuse_too_big();
            }
            TransferAnswer::Offline => {
                self.stops.clear();
                // The next connection may be to a server with other limits.
                self.largest = if self.uploads.is_empty() { Largest::Unknown } else { Largest::Wanted };
                // Whoever is called so by the time that we are back may be somebody else. Only where the server had begun to take
                // something for them, it will tell.
                let begun = self.uploads.front().filter(|outgoing| outgoing.upload.file.is_some());
                let begun = begun.map(|outgoing| outgoing.upload.place);
                self.give_up_sending(|place| match place {
                    Place::With(nick) => nick.is_guest() || begun != Some(place),
                    Place::Room(_) => false,
                });
                self.uploads.iter_mut().for_each(OutgoingFile::offline);
                self.downloads.iter_mut().for_each(IncomingFile::offline);
            }
            TransferAnswer::Sending { key, file, offset } => {
                match self.uploads.iter_mut().find(|outgoing| outgoing.key == key) {
                    Some(outgoing) if outgoing.upload.is_of_another(file, offset) => {
                        let place = outgoing.upload.place;
                        self.stops.push(file);
                        self.give_up_sending(|other| other == place);
                    }
                    Some(outgoing) => {
                        let is_right = outgoing.upload.answered(file, offset);
                        if !is_right {
                            self.fail_upload(key, "the server's answer makes no sense".to_owned());
                        }
                    }
                    // It was cancelled meanwhile.
                    None => self.stops.push(file),
                }
            }
            TransferAnswer::Opened(room) => self.give_up_sending(|place| place == Place::Room(room)),
            TransferAnswer::NotSent(key, why) => self.fail_upload(key, why),
            TransferAnswer::Found(key, Some(found)) => self.found(key, found),
            TransferAnswer::Found(key, None) => {
                self.fail_download(key, format!("{NO_SUCH_FILE}; /files lists those there are"));
            }
            TransferAnswer::Coming { key, offset, size, name } => {
                let incoming = self.downloads.iter_mut().find(|incoming| incoming.download.key == key);
                if incoming.is_some_and(|incoming| !incoming.download.answered(offset, size, &name)) {
                    self.fail_download(key, "it is not the file that it was; fetch it again".to_owned());
                }
            }
            TransferAnswer::NotComing(key, why) => self.fail_download(key, why),
        }
    }

    /// What was to be sent there is not, as others may get it than those for whom it was meant.
    fn give_up_sending(&mut self, is_it: impl Fn(Place) -> bool) {
        let all = std::mem::take(&mut self.uploads);
        let (gone, kept): (VecDeque<_>, _) = all.into_iter().partition(|outgoing| is_it(outgoing.upload.place));
        self.uploads = kept;
        for OutgoingFile { upload, .. } in gone {
            let who = if let Place::With(_) = upload.place { "somebody else after this" } else { "read by others now" };
            let why = format!("{} may be {who}; send it again", upload.place);
            self.fail(format!("sending {}", upload.name), why);
        }
    }

    /// Our place on the server is taken up, and this upload is open there with so many bytes. Downloads go on by themselves.
    pub fn taken_up(&mut self, open: Option<(FileId, u64)>) {
        for outgoing in &mut self.uploads {
            outgoing.upload.taken_up(open);
            outgoing.meter.restart();
        }
    }

    /// Bytes of a file have come.
    pub fn data(&mut self, file: FileId, base64: &str, now: Instant) {
        let Some(incoming) = self.downloads.iter_mut().find(|incoming| incoming.download.file == file) else { return };
        if let Err(why) = incoming.data(base64, now) {
            let key = incoming.download.key;
            self.fail_download(key, why);
        }
    }

    /// The server has told the digest of a file: all of it has been sent, or has come.
    pub fn whole(&mut self, file: FileId, digest: Digest) {
        // Who fetches their own file while it is being sent is told the end of the sending first.
        if let Some(at) = self.uploads.iter().position(|outgoing| outgoing.upload.is_sending(file)) {
            if let Some(OutgoingFile { upload, .. }) = self.uploads.remove(at) {
                if upload.is_whole(&digest) {
                    self.ends.push_back(TransferEnd::Sent { file, place: upload.place, name: upload.name });
                } else {
                    self.fail(
                        format!("sending {}", upload.name),
                        "the server has something else; send it again".into(),
                    );
                }
            }
            return;
        }
        let is_this = |incoming: &IncomingFile| incoming.download.file == file && incoming.download.is_coming();
        let Some(at) = self.downloads.iter().position(is_this) else { return };
        if !self.downloads[at].download.is_whole() {
            let key = self.downloads[at].download.key;
            return self.fail_download(key, "not all of it came; fetch it again".to_owned());
        }
        let mut incoming = self.downloads.swap_remove(at);
        match incoming.finish(&digest) {
            Ok(Some(end)) => self.ends.push_back(end),
            // What was there before was part of another file of that name.
            Ok(None) if incoming.resumed && incoming.restart().is_ok() => self.downloads.push(incoming),
            Ok(None) => {
                if let Sink::Part(part) = std::mem::replace(&mut incoming.sink, Sink::Nowhere) {
                    part.discard();
                }
                self.fail(incoming.what(), "its digest does not agree; fetch it again".to_owned());
            }
            Err(e) => self.fail(incoming.what(), reason(&e)),
        }
    }

    /// A transfer has failed on the server's side, for the reason of this code.
    pub fn failed(&mut self, file: FileId, code: Code<'_>, why: &str, now: Instant) {
        if let Some(outgoing) = self.uploads.iter_mut().find(|outgoing| outgoing.upload.is_sending(file)) {
            if code == Code::Gone && outgoing.upload.is_cut_off() {
                return outgoing.offline();
            }
            let key = outgoing.key;
            return self.fail_upload(key, why.to_owned());
        }
        let is_this = |incoming: &IncomingFile| incoming.download.file == file && incoming.download.is_coming();
        let Some(at) = self.downloads.iter().position(is_this) else { return };
        let download = &mut self.downloads[at].download;
        let key = download.key;
        if code != Code::Gone {
            self.give_up(key, why.to_owned());
        } else if why.contains(AGAIN) {
            self.stall(at, now);
        } else if !download.ended(why) {
            self.fail_download(key, why.to_owned());
        }
        // The server has stopped already.
        self.stops.retain(|stop| *stop != file);
    }

    /// Does what can be done now: asks through `session`, and puts chunks for the server into `out` as long as no more
    /// than some wait there (`unsent` bytes do already). Returns whether there is more to be done at once.
    pub fn work(&mut self, session: &mut Session, unsent: usize, out: &mut Vec<u8>, now: Instant) -> bool {
        if self.largest == Largest::Wanted && session.is_online() {
            self.largest = Largest::Asked;
            session.ask_limits();
        }
        let mut is_busy = false;
        let is_limit_known = matches!(self.largest, Largest::Known(_));
        if let Some(outgoing) =
            self.uploads.front_mut().filter(|outgoing| is_limit_known || !outgoing.upload.is_reading())
        {
            match outgoing.work(session, unsent, &mut self.chunk, out, now) {
                Ok(busy) => is_busy = busy,
                Err(e) => {
                    let (key, file) = (outgoing.key, outgoing.upload.file);
                    // What the server has of it is of no use to anybody.
                    file.into_iter().for_each(|file| session.ask_cancel(file));
                    self.fail_upload(key, reason(&e));
                }
            }
        }
        let mut failed = Vec::new();
        for IncomingFile { download, .. } in &self.downloads {
            if download.is_given_up(now) {
                failed.push((download.key, "it is gone, or its sender is; ask for it again".to_owned()));
            }
        }
        let asked = self.downloads.iter().filter(|incoming| incoming.download.is_asked()).count();
        let others = self.downloads.iter_mut().filter(|incoming| !incoming.download.is_asked());
        // One that goes on after a stall waits until another has ended.
        let moving = others.filter_map(|incoming| incoming.download.is_moving(now).then_some(incoming));
        for incoming in moving.take(DOWNLOADS.saturating_sub(asked)) {
            match incoming.work(session) {
                Ok(busy) => is_busy |= busy,
                Err(e) => failed.push((incoming.download.key, reason(&e))),
            }
        }
        for (key, why) in failed {
            self.fail_download(key, why);
        }
        if session.is_in() {
            self.stops.drain(..).for_each(|file| session.ask_stop(file));
        }
        is_busy
    }

    /// Whether there are chunks that could be put out now that so few bytes wait.
    pub fn wants_more(&self, unsent: usize) -> bool {
        unsent < CHUNKS_QUEUED && self.uploads.front().is_some_and(|outgoing| outgoing.upload.next().is_some())
    }

    fn found(&mut self, key: u64, found: Found) {
        let (size, name) = (found.size, found.name.clone());
        let folder = &self.folder;
        let Some(incoming) = self.downloads.iter_mut().find(|incoming| incoming.download.key == key) else { return };
        let mark = Mark::of(&self.server, incoming.download.file, size, &name);
        let opened = match &incoming.keep {
            _ if !matches!(incoming.sink, Sink::Nowhere) => Ok(None),
            Keep::Folder => Part::open(folder, &name, size, &mark).map(|part| Some(Sink::Part(part))),
            Keep::At(path) => Part::at(path, size, &mark).map(|part| Some(Sink::Part(part))),
            Keep::Out => Ok(Some(Sink::Out(Sha256::new()))),
            Keep::Show(_) if size > PICTURE => {
                let why = format!("it has more than {} MB, and is saved instead", PICTURE >> 20);
                self.ends.push_back(TransferEnd::Failed { what: format!("showing {name}"), why });
                incoming.keep = Keep::Folder;
                Part::open(folder, &name, size, &mark).map(|part| Some(Sink::Part(part)))
            }
            Keep::Show(extent) => Ok(Some(Sink::Memory(String::new(), Sha256::new(), *extent))),
        };
        match opened {
            Ok(sink) => {
                incoming.download.found(found);
                if let Some(sink) = sink {
                    incoming.sink = sink;
                }
            }
            Err(e) => {
                let at = match &incoming.keep {
                    Keep::At(path) => path.display(),
                    _ => folder.display(),
                };
                let why = format!("cannot write {at}: {}", denied(&e, "choose a folder in which you may write"));
                incoming.download.name = name;
                self.fail_download(key, why);
            }
        }
    }

    /// The sender of a download may come back and go on.
    fn stall(&mut self, at: usize, now: Instant) {
        let IncomingFile { download, meter, .. } = &mut self.downloads[at];
        download.stall(now);
        meter.restart();
        self.ends.push_back(TransferEnd::Stalled { name: download.name.clone() });
    }

    /// One has failed that was not even begun, or this one has.
    pub fn fail(&mut self, what: String, why: String) {
        self.ends.push_back(TransferEnd::Failed { what, why });
    }

    fn fail_upload(&mut self, key: u64, why: String) {
        if let Some(at) = self.uploads.iter().position(|outgoing| outgoing.key == key)
            && let Some(OutgoingFile { upload, .. }) = self.uploads.remove(at)
        {
            self.fail(format!("sending {}", upload.name), why);
        }
    }

    /// A download has failed that will never be whole. Nothing is kept of it.
    fn give_up(&mut self, key: u64, why: String) {
        let incoming = self.downloads.iter_mut().find(|incoming| incoming.download.key == key);
        if let Some(Sink::Part(part)) = incoming.map(|incoming| std::mem::replace(&mut incoming.sink, Sink::Nowhere)) {
            part.discard();
        }
        self.fail_download(key, why);
    }

    fn fail_download(&mut self, key: u64, why: String) {
        if let Some(at) = self.downloads.iter().position(|incoming| incoming.download.key == key) {
            let incoming = self.downloads.swap_remove(at);
            // Had the server sent all of it by now, this would withdraw the file if it is ours.
            if incoming.download.is_coming() && incoming.download.size - incoming.download.done > UNDER_WAY {
                self.stops.push(incoming.download.file);
            }
            self.fail(incoming.what(), why);
        }
    }
}

/// The picture that was fetched to be shown goes to the downloads folder, as it cannot be shown. Returns where it is.
pub fn save(folder: &std::path::Path, name: &str, base64: &str) -> io::Result<PathBuf> {
    let bytes = BASE64.decode(base64).map_err(io::Error::other)?;
    let digest = Digest(Sha256::digest(&bytes).into());
    let mut part = Part::open(folder, name, bytes.len() as u64, &Mark::of_digest(&digest))?;
    while part.check()?.is_none() {}
    part.restart()?;
    part.append(&bytes)?;
    part.finish(&digest)?.ok_or_else(|| io::Error::other("it could not be written"))
}

/// What is told when standard output takes nothing more.
pub fn unwritten(e: &io::Error) -> String {
    format!("cannot write to standard output: {}", reason(e))
}

/// Opens a local file to be shared, as somebody typed or dropped its path. Returns it and what it is to be called.
pub fn open(path: impl AsRef<OsStr>) -> Result<(Source, String), String> {
    let path = paths::meant(path.as_ref());
    let why = |e| denied(&e, "whoever owns it can let you read it");
    let source = Source::open(&path).map_err(|e| format!("cannot send {}: {}", path.display(), why(e)))?;
    Ok((source, paths::name_of(&path)))
}

/// What failed here, and what to do next where it is not allowed.
fn denied(e: &io::Error, next: &str) -> String {
    let next = if e.kind() == io::ErrorKind::PermissionDenied { format!("; {next}") } else { String::new() };
    format!("{}{next}", reason(e))
}

/// Why a file is not sent that is larger than the server takes.
pub fn too_big_for(largest: u64) -> String {
    format!("a file has at most {} on this server; send it in parts", counted(largest, "byte"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client::model::session::Wish;
    use crate::client::model::transfer::LATER;
    use crate::wire::ServerLine;

    /// A client of a server that does as it is told here.
    struct Lab {
        /// What `/files` says of each file.
        state: &'static str,
        session: Session,
        transfers: Transfers,
        now: Instant,
    }

    impl Lab {
        /// Files 1, 2, 3 and so on are there, with five bytes each.
        fn new(folder: &std::path::Path) -> Self {
            let transfers = Transfers::new("server:1".to_owned(), folder.to_owned());
            let mut lab =
                Self { state: "coming", session: Session::new(Wish::default()), transfers, now: Instant::now() };
            lab.connect();
            lab
        }

        fn connect(&mut self) {
            self.session.connected();
            self.hear("* hello guest1 x 1 online");
            let asked = self.asked();
            asked.iter().for_each(|line| {
                self.hear(&if line == "/who" { "+ who 1 1".into() } else { format!("+ {}", &line[1..]) })
            });
            assert!(self.session.is_online());
        }

        fn hear(&mut self, line: &str) {
            match ServerLine::parse(line) {
                ServerLine::Data { file, base64 } => self.transfers.data(file, base64, self.now),
                ServerLine::Whole { file, digest, .. } => self.transfers.whole(file, digest),
                ServerLine::Failed { file, code, text } => self.transfers.failed(file, code, text, self.now),
                line => self.session.told(line, self.now),
            }
            while let Some(answer) = self.session.poll_answer() {
                self.transfers.answer(answer, self.now);
            }
        }

        /// What the server is asked next. It tells by itself which files there are.
        fn asked(&mut self) -> Vec<String> {
            let mut asked = Vec::new();
            loop {
                while self.transfers.work(&mut self.session, 0, &mut Vec::new(), self.now) {}
                let lines: Vec<String> = std::iter::from_fn(|| self.session.poll_line()).collect();
                if lines.is_empty() {
                    return asked;
                }
                for line in lines {
                    if line == "/files" {
                        let state = self.state;
                        (1..=9).for_each(|id| self.hear(&format!("- {id} 5 bob #a 0s {state} f{id}")));
                        self.hear("+ files 9");
                    } else {
                        asked.push(line);
                    }
                }
            }
        }

        fn begins(&mut self, id: u64) {
            self.hear(&format!("+ get {id} 0 5 f{id}"));
        }

        fn comes(&mut self, id: u64) {
            self.hear(&format!("={id} aGVsbG8="));
            self.hear(&format!("={id} . 5 sha256:2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824"));
        }

        fn ends(&mut self) -> Vec<TransferEnd> {
            std::iter::from_fn(|| self.transfers.poll_end()).collect()
        }
    }

    #[test]
    fn a_download_beyond_those_that_may_run_waits() {
        let folder = tempfile::tempdir().unwrap();
        let mut lab = Lab::new(folder.path());
        (1..=6).for_each(|id| lab.transfers.get(FileId(id), Keep::Folder).unwrap());
        assert_eq!(lab.asked(), ["/get 1 0", "/get 2 0", "/get 3 0", "/get 4 0"]);
        (1..=4).for_each(|id| lab.begins(id));
        // While the first has stalled another takes its turn, and the first waits for the next.
        lab.hear("=1 ! gone its upload broke off; if that goes on, the file is announced again");
        assert_eq!(lab.asked(), ["/get 5 0"]);
        lab.begins(5);
        lab.hear("#a * bob file 1 5 f1");
        assert_eq!(lab.asked(), [""; 0]);
        lab.comes(2);
        assert_eq!(lab.asked(), ["/get 1 0"]);
        // Whatever else the server still has under way, it is no reason to give up.
        lab.hear("! get too-many you may fetch 4 files at once");
        assert_eq!(lab.asked(), ["/get 6 0"]);
        lab.hear("! get busy it is on its way already");
        assert_eq!(lab.asked(), [""; 0]);
        lab.now += LATER;
        assert_eq!(lab.asked(), ["/get 1 0"]);
        lab.begins(1);
        for id in [1, 3, 4, 5] {
            lab.comes(id);
        }
        assert_eq!(lab.asked(), ["/get 6 0"]);
        lab.begins(6);
        lab.comes(6);
        let ends = lab.ends();
        assert!(
            ends.iter().all(|end| matches!(end, TransferEnd::Saved { .. } | TransferEnd::Stalled { .. })),
            "{ends:?}"
        );
        assert!(lab.transfers.is_empty() && ends.len() == 7);
    }

    #[test]
    fn a_file_that_was_whole_is_not_waited_for_once_it_is_gone() {
        let gone = "=1 ! gone its sender withdrew it";
        let part = |folder: &tempfile::TempDir| folder.path().read_dir().unwrap().count();
        // (what the server says, what is told at last, whether what came is kept)
        for (lines, why, is_kept) in [
            (&[gone, "! get no-such-file there is none"][..], "its sender withdrew it", false),
            // It may be there still.
            (&[gone, "+ get 1 2 5 f1", gone], "its sender withdrew it", true),
            (&["=1 ! bad-chunk the upload failed"], "the upload failed", false),
        ] {
            let folder = tempfile::tempdir().unwrap();
            let mut lab = Lab::new(folder.path());
            lab.state = "ready";
            lab.transfers.get(FileId(1), Keep::Folder).unwrap();
            assert_eq!(lab.asked(), ["/get 1 0"]);
            lab.begins(1);
            lab.hear("=1 aGU=");
            assert_eq!(part(&folder), 1);
            for (n, line) in lines.iter().enumerate() {
                assert!(n != 1 || lab.asked() == ["/get 1 2"]);
                lab.hear(line);
            }
            let ends = lab.ends();
            assert!(matches!(&ends[..], [TransferEnd::Failed { why: told, .. }] if told == why), "{ends:?}");
            assert!(lab.transfers.is_empty() && part(&folder) == usize::from(is_kept), "{lines:?}");
        }
        // After a loss one may not be in its room again yet.
        let folder = tempfile::tempdir().unwrap();
        let mut lab = Lab::new(folder.path());
        lab.state = "ready";
        lab.transfers.get(FileId(1), Keep::Folder).unwrap();
        lab.asked();
        lab.begins(1);
        lab.hear("=1 aGU=");
        lab.session.lost("gone");
        while let Some(answer) = lab.session.poll_answer() {
            lab.transfers.answer(answer, lab.now);
        }
        lab.connect();
        assert_eq!(lab.asked(), ["/get 1 2"]);
        lab.hear("! get no-such-file there is none");
        assert!(matches!(&lab.ends()[..], [TransferEnd::Failed { why, .. }] if why == "there is none"));
        assert_eq!(part(&folder), 1, "who comes into its room again goes on with that");
    }

    #[test]
    fn an_upload_that_the_server_gave_up_meanwhile_is_asked_for_again() {
        let folder = tempfile::tempdir().unwrap();
        let mut lab = Lab::new(folder.path());
        let source = Source::collect(&vec![7; 60_000][..], 60_000).unwrap().unwrap();
        lab.transfers.send(Place::new("#a").unwrap(), source, "one".to_owned());
        assert_eq!(lab.asked(), ["/limits"]);
        lab.hear("- file 60000 bytes of a file");
        lab.hear("+ limits");
        let send = lab.asked();
        lab.hear("+ send 7 0");
        assert_eq!(lab.asked(), [""; 0]);
        let at = |lab: &Lab| lab.transfers.uploads[0].upload.done();
        assert_eq!(at(&lab), 60_000);
        lab.transfers.taken_up(Some((FileId(7), 49_152)));
        assert_eq!(lab.asked(), [""; 0]);
        assert_eq!(at(&lab), 60_000, "the rest is sent again");
        lab.transfers.taken_up(None);
        lab.hear("=7 ! gone nothing came of it for a minute");
        assert_eq!(lab.asked(), send);
        lab.hear("+ send 7 49152");
        lab.asked();
        lab.hear("=7 ! gone its room is no more");
        assert!(
            matches!(&lab.ends()[..], [TransferEnd::Failed { .. }]),
            "with the connection it is not to be had again"
        );
    }

    #[test]
    fn an_upload_to_somebody_goes_on_after_an_outage_if_they_are_still_the_same() {
        let folder = tempfile::tempdir().unwrap();
        // (what the server answers, whether it goes on)
        for (answer, goes_on) in [("+ send 7 49152", true), ("+ send 8 0", false), ("+ send 7 0", false)] {
            let mut lab = Lab::new(folder.path());
            let bob = Place::new("@bob").unwrap();
            for name in ["one", "two"] {
                let source = Source::collect(&vec![7; 60_000][..], 60_000).unwrap().unwrap();
                lab.transfers.send(bob, source, name.to_owned());
            }
            lab.asked();
            lab.hear("- file 60000 bytes of a file");
            lab.hear("+ limits");
            let send = lab.asked();
            lab.hear("+ send 7 0");
            lab.asked();
            lab.session.lost("gone");
            while let Some(answer) = lab.session.poll_answer() {
                lab.transfers.answer(answer, lab.now);
            }
            lab.connect();
            assert_eq!(lab.asked(), ["/limits", &send[0]]);
            lab.hear("- file 60000 bytes of a file");
            lab.hear("+ limits");
            lab.hear(answer);
            let asked = lab.asked();
            let ends: Vec<String> = lab.ends().iter().map(|end| format!("{end:?}")).collect();
            if goes_on {
                assert!(asked.is_empty() && ends.is_empty() && lab.transfers.uploads.len() == 2, "{asked:?}");
                continue;
            }
            assert!(asked[0].starts_with("/cancel ") && asked.len() == 1, "{asked:?}");
            assert!(ends.len() == 2 && ends.iter().all(|end| end.contains("@bob may be somebody else")), "{ends:?}");
        }
        // Of what had not begun the server cannot tell for whom it was meant.
        let mut lab = Lab::new(folder.path());
        let source = Source::collect(&b"hello"[..], 5).unwrap().unwrap();
        lab.transfers.send(Place::new("@bob").unwrap(), source, "one".to_owned());
        lab.asked();
        lab.transfers.answer(TransferAnswer::Offline, lab.now);
        assert!(matches!(&lab.ends()[..], [TransferEnd::Failed { .. }]) && lab.transfers.is_empty());
    }

    #[test]
    fn what_is_stopped_is_not_withdrawn_unless_it_is_sent() {
        let folder = tempfile::tempdir().unwrap();
        let mut lab = Lab::new(folder.path());
        lab.transfers.get(FileId(3), Keep::Folder).unwrap();
        // Of a download that it was not asked for, the server hears nothing.
        assert_eq!(lab.transfers.stop(FileId(3)), Some((Way::Down, "file 3".to_owned())));
        assert_eq!(lab.asked(), [""; 0]);
        lab.transfers.get(FileId(3), Keep::Folder).unwrap();
        assert_eq!(lab.asked(), ["/get 3 0"]);
        assert_eq!(lab.transfers.stop(FileId(3)), Some((Way::Down, "f3".to_owned())));
        assert_eq!(lab.asked(), ["/cancel 3"]);
        // A second time would be about the file.
        assert_eq!(lab.transfers.stop(FileId(3)), None);
    }

    #[test]
    fn an_upload_that_is_cancelled_before_it_is_answered_is_withdrawn() {
        let folder = tempfile::tempdir().unwrap();
        let mut lab = Lab::new(folder.path());
        let source = || Source::collect(&b"hello"[..], 5).unwrap().unwrap();
        let room = Place::new("#a").unwrap();
        lab.transfers.send(room, source(), "one".to_owned());
        lab.transfers.send(room, source(), "two".to_owned());
        assert_eq!(lab.asked(), ["/limits"], "what is too large is not read first");
        lab.hear("- file 5 bytes of a file");
        lab.hear("+ limits");
        assert_eq!(lab.asked().len(), 1);
        assert_eq!(lab.transfers.stop_named("one"), Ok("one".to_owned()));
        lab.hear("+ send 7 0");
        let asked = lab.asked();
        assert!(asked[0] == "/cancel 7" && asked[1].ends_with(" two") && asked.len() == 2, "{asked:?}");
        assert!(lab.transfers.stop_named("three").is_err());
        lab.transfers.send(room, Source::collect(&b"hello!"[..], 6).unwrap().unwrap(), "six".to_owned());
        assert!(matches!(&lab.ends()[..], [TransferEnd::Failed { why, .. }] if why.contains("at most 5 bytes")));
    }
}
