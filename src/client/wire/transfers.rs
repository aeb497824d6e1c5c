//! All uploads and downloads: between the files here and the server's lines.

use std::collections::VecDeque;
use std::io::{self, Write};
use std::path::PathBuf;
use std::time::Instant;

use base64::Engine as _;
use sha2::{Digest as _, Sha256};

use crate::client::model::news::TransferAnswer;
use crate::client::model::session::Session;
use crate::client::model::transfer::{Ask, CHUNK, Download, Meter, Progress, Upload, Way};
use crate::client::wire::store::{self, Mark, Part, Source};
use crate::limits::{CHUNKS_QUEUED, DOWNLOADS};
use crate::listener::reason;
use crate::names::{Digest, FileId, Place};
use crate::wire::Code;
use crate::wire::base64::BASE64;

/// The largest picture that is shown and not saved, as it is held in memory until it is whole.
const PICTURE: u64 = 12 * 1024 * 1024;
/// Bytes of a file that may be under way to us, and more.
const UNDER_WAY: u64 = 4 * 1024 * 1024;
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
    /// Into memory, to be shown.
    Show,
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
    /// A picture is here, whole, as base64.
    Picture {
        /// What it is called.
        name: String,
        /// The picture.
        base64: String,
    },
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

#[derive(Debug)]
struct OutgoingFile {
    key: u64,
    upload: Upload,
    source: Source,
    meter: Meter,
}

#[derive(Debug)]
struct IncomingFile {
    download: Download,
    keep: Keep,
    sink: Sink,
    /// Whether some of it was here before.
    resumed: bool,
    meter: Meter,
}

/// Where the bytes of a download go.
#[derive(Debug)]
enum Sink {
    /// That is not decided yet.
    Nowhere,
    Part(Part),
    Out(Sha256),
    Memory(String, Sha256),
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
        Self { server, folder, uploads, downloads, keys: 0, ends, stops: Vec::new(), chunk: Vec::new() }
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.uploads.is_empty() && self.downloads.is_empty()
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
    }

    /// Fetches a file. An error says why that cannot be.
    pub fn get(&mut self, file: FileId, keep: Keep) -> Result<(), String> {
        if self.downloads.iter().any(|incoming| incoming.download.file == file) {
            return Err(format!("file {file} is on its way already; /cancel {file} stops it"));
        }
        self.keys += 1;
        let (download, meter) = (Download::new(self.keys, file), Meter::default());
        self.downloads.push(IncomingFile { download, keep, sink: Sink::Nowhere, resumed: false, meter });
        Ok(())
    }

    /// Forgets the download of this file, or else its upload. Whether the server is to be told: not of a download that it
    /// does not know of, as it would take that for the wish to withdraw the file.
    pub fn cancel(&mut self, file: FileId) -> bool {
        // What was fetched of it stays, and is taken up if it is fetched again.
        if let Some(at) = self.downloads.iter().position(|incoming| incoming.download.file == file) {
            return self.downloads.remove(at).download.is_asked();
        }
        self.uploads.retain(|outgoing| outgoing.upload.file != Some(file));
        true
    }

    /// How far each is.
    pub fn progress(&self, now: Instant) -> impl Iterator<Item = Progress<'_>> {
        let up = self.uploads.iter().map(move |OutgoingFile { upload, source, meter, .. }| {
            let (way, done) =
                if upload.is_reading() { (Way::Reading, source.hashed()) } else { (Way::Up, upload.done()) };
            let speed = meter.speed(now, done);
            Progress { way, file: upload.file, name: &upload.name, size: upload.size, done, speed }
        });
        let down = self.downloads.iter().map(move |IncomingFile { download, meter, .. }| {
            let (done, speed) = (download.done, meter.speed(now, download.done));
            let (file, name, size) = (Some(download.file), download.name.as_str(), download.size);
            Progress { way: Way::Down, file, name, size, done, speed }
        });
        up.chain(down)
    }

    /// Takes an answer of the server's.
    pub fn answer(&mut self, answer: TransferAnswer, now: Instant) {
        match answer {
            TransferAnswer::Gone(key) => {
                if let Some(at) = self.downloads.iter().position(|incoming| incoming.download.key == key) {
                    self.stall(at, now);
                }
            }
            TransferAnswer::Shared(file) => {
                let incoming = self.downloads.iter_mut().find(|incoming| incoming.download.file == file);
                incoming.into_iter().for_each(|incoming| incoming.download.go_on());
            }
            TransferAnswer::Offline => {
                // A guest of some number may be somebody else by the time that we are back.
                let guest = |place: Place| matches!(place, Place::With(nick) if nick.guest_number().is_some());
                let (gone, kept) =
                    std::mem::take(&mut self.uploads).into_iter().partition(|outgoing| guest(outgoing.upload.place));
                self.uploads = kept;
                let gone: VecDeque<OutgoingFile> = gone;
                for OutgoingFile { upload, .. } in gone {
                    let why = format!("{} may be somebody else after this; send it again", upload.place);
                    self.fail(format!("sending {}", upload.name), why);
                }
                for outgoing in &mut self.uploads {
                    outgoing.upload.offline();
                    outgoing.meter.restart();
                }
                for incoming in &mut self.downloads {
                    incoming.offline();
                }
            }
            TransferAnswer::Sending { key, file, offset } => {
                let outgoing = self.uploads.iter_mut().find(|outgoing| outgoing.key == key);
                if outgoing.is_some_and(|outgoing| !outgoing.upload.answered(file, offset)) {
                    self.fail_upload(key, "the server's answer makes no sense".to_owned());
                }
            }
            TransferAnswer::NotSent(key, why) => self.fail_upload(key, why),
            TransferAnswer::Found(key, Some((size, name))) => self.found(key, size, name),
            TransferAnswer::Found(key, None) => {
                self.fail_download(
                    key,
                    "there is no such file for you; are you in the room that it was shared with?".to_owned(),
                );
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
        if let Some(outgoing) = self.uploads.iter().find(|outgoing| outgoing.upload.is_sending(file)) {
            let key = outgoing.key;
            return self.fail_upload(key, why.to_owned());
        }
        let is_this = |incoming: &IncomingFile| incoming.download.file == file && incoming.download.is_coming();
        let Some(at) = self.downloads.iter().position(is_this) else { return };
        if code == Code::Gone {
            self.stall(at, now);
        } else {
            let key = self.downloads[at].download.key;
            self.fail_download(key, why.to_owned());
            // The server has stopped already.
            self.stops.retain(|stop| *stop != file);
        }
    }

    /// Does what can be done now: asks through `session`, and puts chunks for the server into `out` as long as no more
    /// than some wait there (`unsent` bytes do already). Returns whether there is more to be done at once.
    pub fn work(&mut self, session: &mut Session, unsent: usize, out: &mut Vec<u8>, now: Instant) -> bool {
        let mut is_busy = false;
        if let Some(outgoing) = self.uploads.front_mut() {
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
        let moving = self.downloads.iter_mut().filter(|incoming| !incoming.download.is_stalled());
        for incoming in moving.take(DOWNLOADS) {
            match incoming.work(session) {
                Ok(busy) => is_busy |= busy,
                Err(e) => failed.push((incoming.download.key, reason(&e))),
            }
        }
        for (key, why) in failed {
            self.fail_download(key, why);
        }
        for file in self.stops.drain(..) {
            session.ask_stop(file);
        }
        is_busy
    }

    /// Whether there are chunks that could be put out now that so few bytes wait.
    pub fn wants_more(&self, unsent: usize) -> bool {
        unsent < CHUNKS_QUEUED && self.uploads.front().is_some_and(|outgoing| outgoing.upload.next().is_some())
    }

    fn found(&mut self, key: u64, size: u64, name: String) {
        let folder = &self.folder;
        let Some(incoming) = self.downloads.iter_mut().find(|incoming| incoming.download.key == key) else { return };
        let mark = Mark::of(&self.server, incoming.download.file, size, &name);
        let opened = match &incoming.keep {
            _ if !matches!(incoming.sink, Sink::Nowhere) => Ok(None),
            Keep::Folder => Part::open(folder, &name, size, &mark).map(|part| Some(Sink::Part(part))),
            Keep::At(path) => Part::at(path, size, &mark).map(|part| Some(Sink::Part(part))),
            Keep::Out => Ok(Some(Sink::Out(Sha256::new()))),
            Keep::Show if size > PICTURE => {
                incoming.keep = Keep::Folder;
                Part::open(folder, &name, size, &mark).map(|part| Some(Sink::Part(part)))
            }
            Keep::Show => Ok(Some(Sink::Memory(String::new(), Sha256::new()))),
        };
        match opened {
            Ok(sink) => {
                incoming.download.found(size, name);
                if let Some(sink) = sink {
                    incoming.sink = sink;
                }
            }
            Err(e) => {
                let at = match &incoming.keep {
                    Keep::At(path) => path.display(),
                    _ => folder.display(),
                };
                let why = format!("cannot write {at}: {}", reason(&e));
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

    fn fail(&mut self, what: String, why: String) {
        self.ends.push_back(TransferEnd::Failed { what, why });
    }

    fn fail_upload(&mut self, key: u64, why: String) {
        if let Some(at) = self.uploads.iter().position(|outgoing| outgoing.key == key)
            && let Some(OutgoingFile { upload, .. }) = self.uploads.remove(at)
        {
            self.fail(format!("sending {}", upload.name), why);
        }
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

impl OutgoingFile {
    fn work(
        &mut self,
        session: &mut Session,
        unsent: usize,
        chunk: &mut Vec<u8>,
        out: &mut Vec<u8>,
        now: Instant,
    ) -> io::Result<bool> {
        if self.upload.is_reading() {
            if let Some(digest) = self.source.digest()? {
                self.upload.read(digest);
                self.meter.restart();
            } else {
                self.meter.note(now, self.source.hashed());
            }
            return Ok(true);
        }
        // To take it up again is for the holder of our name.
        if session.is_online()
            && !(self.upload.file.is_some() && session.is_regaining(now))
            && let Some(line) = self.upload.ask()
        {
            session.ask_send(self.key, line);
        }
        while let Some((at, count)) = self.upload.next()
            && unsent + out.len() < CHUNKS_QUEUED
        {
            chunk.resize(usize::try_from(count.min(CHUNK)).unwrap_or_default(), 0);
            let read = self.source.read(at, chunk)?;
            out.push(b'=');
            let start = out.len();
            out.resize(start + read.div_ceil(3) * 4, 0);
            BASE64.encode_slice(&chunk[..read], &mut out[start..]).map_err(io::Error::other)?;
            out.push(b'\n');
            self.upload.sent(read as u64);
            self.meter.note(now, self.upload.done());
        }
        Ok(false)
    }
}

impl IncomingFile {
    fn what(&self) -> String {
        let verb = if self.keep == Keep::Show { "showing" } else { "fetching" };
        format!("{verb} {}", self.download.name)
    }

    fn offline(&mut self) {
        self.download.offline();
        self.meter.restart();
    }

    fn work(&mut self, session: &mut Session) -> io::Result<bool> {
        if self.download.is_checking() {
            let done = match &mut self.sink {
                Sink::Part(part) => part.check()?,
                _ => Some(self.download.done),
            };
            if let Some(done) = done {
                self.resumed = done > 0 && matches!(self.sink, Sink::Part(_));
                self.download.checked(done);
            }
            return Ok(true);
        }
        if session.is_online()
            && let Some(ask) = self.download.ask()
        {
            match ask {
                Ask::Name => session.ask_file(self.download.key, self.download.file),
                Ask::Bytes(offset) => session.ask_get(self.download.key, self.download.file, offset),
            }
        }
        Ok(false)
    }

    fn data(&mut self, base64: &str, now: Instant) -> Result<(), String> {
        if !self.download.is_coming() {
            return Ok(());
        }
        let bytes = BASE64.decode(base64).map_err(|_| "what came is no base64".to_owned())?;
        if !self.download.came(bytes.len() as u64) {
            return Err("more came than the file has".to_owned());
        }
        self.meter.note(now, self.download.done);
        match &mut self.sink {
            Sink::Nowhere => {}
            Sink::Part(part) => part.append(&bytes).map_err(|e| reason(&e))?,
            Sink::Out(digest) => {
                digest.update(&bytes);
                io::stdout().lock().write_all(&bytes).map_err(|e| reason(&e))?;
            }
            Sink::Memory(picture, digest) => {
                digest.update(&bytes);
                picture.push_str(base64);
            }
        }
        Ok(())
    }

    /// All has come. `None` if the digest does not agree.
    fn finish(&mut self, digest: &Digest) -> io::Result<Option<TransferEnd>> {
        let agrees = |sum: &Sha256| Digest(sum.clone().finalize().into()) == *digest;
        let file = self.download.file;
        Ok(match &mut self.sink {
            Sink::Nowhere => None,
            Sink::Part(part) => part.finish(digest)?.map(|path| TransferEnd::Saved { file, path: Some(path) }),
            Sink::Out(sum) => {
                io::stdout().flush()?;
                agrees(sum).then_some(TransferEnd::Saved { file, path: None })
            }
            Sink::Memory(picture, sum) => {
                let (name, base64) = (self.download.name.clone(), std::mem::take(picture));
                agrees(sum).then_some(TransferEnd::Picture { name, base64 })
            }
        })
    }

    fn restart(&mut self) -> io::Result<()> {
        if let Sink::Part(part) = &mut self.sink {
            part.restart()?;
        }
        self.resumed = false;
        self.download.restart();
        self.meter.restart();
        Ok(())
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

/// Opens a local file to be shared. Returns it and what it is to be called.
pub fn open(path: &str) -> Result<(Source, String), String> {
    let path = store::expand(path);
    let source = Source::open(&path).map_err(|e| format!("cannot send {}: {}", path.display(), reason(&e)))?;
    Ok((source, store::name_of(&path)))
}
