//! One upload: a file here, read and sent chunk by chunk.

use std::io;
use std::time::Instant;

use base64::Engine as _;

use crate::client::model::session::Session;
use crate::client::model::transfer::{CHUNK, Meter, Upload};
use crate::client::wire::source::Source;
use crate::limits::CHUNKS_QUEUED;
use crate::wire::base64::BASE64;

#[derive(Debug)]
pub(super) struct OutgoingFile {
    pub(super) key: u64,
    pub(super) upload: Upload,
    pub(super) source: Source,
    pub(super) meter: Meter,
}

impl OutgoingFile {
    pub(super) fn offline(&mut self) {
        self.upload.offline();
        self.meter.restart();
    }

    pub(super) fn work(
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
        while session.is_online()
            && let Some((at, count)) = self.upload.next()
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
