//! One download: what comes of a file, and where its bytes go.

use std::io;
use std::time::Instant;

use base64::Engine as _;
use sha2::{Digest as _, Sha256};

use super::{Keep, Picture, TransferEnd, unwritten};
use crate::client::model::news::Extent;
use crate::client::model::session::Session;
use crate::client::model::transfer::{Ask, Download, Meter};
use crate::client::patient;
use crate::client::wire::store::Part;
use crate::listener::reason;
use crate::names::Digest;
use crate::wire::base64::BASE64;

#[derive(Debug)]
pub(super) struct IncomingFile {
    pub(super) download: Download,
    pub(super) keep: Keep,
    pub(super) sink: Sink,
    /// Whether some of it was here before.
    pub(super) resumed: bool,
    pub(super) meter: Meter,
}

/// Where the bytes of a download go.
#[derive(Debug)]
pub(super) enum Sink {
    /// That is not decided yet.
    Nowhere,
    Part(Part),
    Out(Sha256),
    Memory(String, Sha256, Extent),
}

impl IncomingFile {
    pub(super) fn what(&self) -> String {
        let verb = if matches!(self.keep, Keep::Show(_)) { "showing" } else { "fetching" };
        format!("{verb} {}", self.download.name)
    }

    pub(super) fn offline(&mut self) {
        self.download.offline();
        self.meter.restart();
    }

    pub(super) fn work(&mut self, session: &mut Session) -> io::Result<bool> {
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

    pub(super) fn data(&mut self, base64: &str, now: Instant) -> Result<(), String> {
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
                patient::write(io::stdout(), &bytes, || false).map_err(|e| unwritten(&e))?;
            }
            Sink::Memory(picture, digest, _) => {
                digest.update(&bytes);
                picture.push_str(base64);
            }
        }
        Ok(())
    }

    /// All has come. `None` if the digest does not agree.
    pub(super) fn finish(&mut self, digest: &Digest) -> io::Result<Option<TransferEnd>> {
        let agrees = |sum: &Sha256| Digest(sum.clone().finalize().into()) == *digest;
        let file = self.download.file;
        Ok(match &mut self.sink {
            Sink::Nowhere => None,
            Sink::Part(part) => part.finish(digest)?.map(|path| TransferEnd::Saved { file, path: Some(path) }),
            Sink::Out(sum) => agrees(sum).then_some(TransferEnd::Saved { file, path: None }),
            Sink::Memory(picture, sum, extent) => {
                let (name, base64) = (self.download.name.clone(), std::mem::take(picture));
                agrees(sum).then_some(TransferEnd::Picture(Picture { file, name, base64, extent: *extent }))
            }
        })
    }

    pub(super) fn restart(&mut self) -> io::Result<()> {
        if let Sink::Part(part) = &mut self.sink {
            part.restart()?;
        }
        self.resumed = false;
        self.download.restart();
        self.meter.restart();
        Ok(())
    }
}
