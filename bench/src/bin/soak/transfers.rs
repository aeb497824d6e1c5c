//! Files on their way: what is sent of one, and what is fetched.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest, Sha256};

use chinwag_bench::Outcome;
use fastrand::Rng;

/// The largest file.
const LARGEST: u64 = 64 * 1024;
/// Bytes on one line.
const CHUNK: usize = 12 * 1024;

/// How a file is sent.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Way {
    /// Without a digest, all of it at once.
    Plain,
    /// With a digest.
    Digest,
    /// With a digest, half of it; then the rest as it is taken up again.
    Resumed,
    /// With a digest, half of it and no more, until another is sent or the sender leaves.
    BrokenOff,
    /// Half of it, and then it is withdrawn.
    Cancelled,
}

/// A file on its way to the server.
pub struct Upload {
    /// Where it goes.
    pub room: usize,
    /// Its ID, once the server has given one.
    pub id: Option<u64>,
    /// `sha256:` and the digest of all of it.
    pub digest: String,
    way: Way,
    content: Vec<u8>,
    /// Whether it is being taken up again.
    pub is_second: bool,
}

fn digest(hasher: Sha256) -> String {
    let hex: String = hasher.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
    format!("sha256:{hex}")
}

impl Upload {
    /// A new file.
    pub fn new(room: usize, chance: &mut Rng) -> Self {
        let way = match chance.u64(..10) {
            0..4 => Way::Plain,
            4..6 => Way::Digest,
            6..8 => Way::Resumed,
            8 => Way::BrokenOff,
            _ => Way::Cancelled,
        };
        // Half of it is something too.
        let size = 2 + chance.u64(..LARGEST);
        let mut content = vec![0; size as usize];
        chance.fill(&mut content);
        let digest = digest(Sha256::new_with_prefix(&content));
        Self { room, id: None, digest, way, content, is_second: false }
    }

    /// The `/send`, and the chunks that need not wait for its answer.
    pub fn begin(&self, room: &str) -> Vec<String> {
        let size = self.content.len();
        if self.way == Way::Plain {
            let mut lines = vec![format!("/send {room} {size} plain file.bin")];
            lines.extend(self.lines(0, size));
            return lines;
        }
        // The name must be the same when it is taken up again, and another for another file.
        vec![format!("/send {room} {size} {} {}.bin", self.digest, &self.digest[7..23])]
    }

    fn lines(&self, from: usize, to: usize) -> impl Iterator<Item = String> {
        self.content[from..to].chunks(CHUNK).map(|chunk| format!("={}", STANDARD.encode(chunk)))
    }

    /// The server takes it from there on. Says whether it is to be broken off and taken up again at once.
    pub fn accepted(&mut self, id: u64, offset: u64) -> Outcome<bool> {
        if self.id.is_some_and(|known| known != id) {
            return Err(format!("the file {:?} is taken up again as {id}", self.id));
        }
        let most = if self.is_second { self.content.len() / 2 } else { 0 };
        if offset > most as u64 || (self.is_second && offset < most as u64) {
            return Err(format!("file {id} goes on at {offset}, where {most} bytes had been sent"));
        }
        self.id = Some(id);
        Ok(self.way == Way::Resumed && !self.is_second)
    }

    /// The chunks that are sent when it is accepted.
    pub fn chunks(&self, offset: u64) -> Vec<String> {
        let half = self.content.len() / 2;
        match self.way {
            Way::Plain => Vec::new(),
            Way::Resumed if self.is_second => self.lines(offset as usize, self.content.len()).collect(),
            Way::Digest => self.lines(offset as usize, self.content.len()).collect(),
            _ => self.lines(0, half).collect(),
        }
    }

    /// The same file a second time.
    pub fn again(self) -> Self {
        Self { is_second: true, ..self }
    }

    /// Whether it comes to an end with nothing more from the sender.
    pub fn ends_by_itself(&self) -> bool {
        matches!(self.way, Way::Plain | Way::Digest | Way::Resumed)
    }

    /// Whether it is withdrawn now.
    pub fn is_to_be_cancelled(&self) -> bool {
        self.way == Way::Cancelled
    }
}

/// A file on its way from the server.
#[derive(Default)]
pub struct Download {
    hasher: Sha256,
    bytes: u64,
}

impl Download {
    /// Takes what stands on a line behind the ID; `false` at the end of the file, or of the transfer.
    pub fn takes(&mut self, rest: &str) -> Outcome<bool> {
        if let Some(end) = rest.strip_prefix(". ") {
            let own = format!("{} {}", self.bytes, digest(std::mem::take(&mut self.hasher)));
            return if end == own { Ok(false) } else { Err(format!("a file is said to be {end}, and is {own}")) };
        }
        if rest.starts_with("! ") {
            // It was withdrawn, broke off, failed, or its room was left.
            return Ok(false);
        }
        let bytes = STANDARD.decode(rest).map_err(|e| format!("a line of a file: {e}"))?;
        self.bytes += bytes.len() as u64;
        self.hasher.update(&bytes);
        Ok(true)
    }
}
