//! Local files that are read to be sent.

use std::env;
use std::fs::{self, File, Metadata};
use std::io::{self, ErrorKind, Read};
use std::os::unix::fs::{FileExt, MetadataExt, OpenOptionsExt};
use std::path::Path;

use rustix::fs::OFlags;
use sha2::{Digest as _, Sha256};

use crate::names::Digest;

/// A local file that is being shared. Its size is what it was at the start; what it grows by later is not sent.
#[derive(Debug)]
pub struct Source {
    file: File,
    size: u64,
    sum: Sum,
    digest: Option<Digest>,
}

impl Source {
    /// How large a file may be that the system makes up as it is read, in bytes.
    const MADE_UP: u64 = 16 * 1024 * 1024;

    /// Opens the file at `path` for reading. An error says so if that is a folder or anything else but a plain file; a named
    /// pipe does not hold it up.
    pub fn open(path: &Path) -> io::Result<Self> {
        // A socket is told from the rest here, as it cannot even be opened.
        must_be_plain(&fs::metadata(path)?)?;
        let file = File::options().read(true).custom_flags(flags(OFlags::NONBLOCK | OFlags::NOCTTY)).open(path)?;
        let metadata = file.metadata()?;
        // What /proc and /sys hold has no size of its own, or a wrong one.
        if metadata.blocks() == 0 && metadata.len() <= Self::MADE_UP {
            return match Self::collect(&file, Self::MADE_UP)? {
                Some(source) => Ok(source),
                None => Err(io::Error::other("it does not tell how large it is, and goes on and on")),
            };
        }
        Self::new(file)
    }

    /// Reads `input` to its end into a file without a name, as its size and digest must be known before it is sent. `None` if
    /// there are more than `most` bytes.
    pub fn collect(input: impl Read, most: u64) -> io::Result<Option<Self>> {
        let mut file = without_name()?;
        let count = io::copy(&mut input.take(most.saturating_add(1)), &mut file)?;
        if count > most { Ok(None) } else { Self::new(file).map(Some) }
    }

    /// Takes a file that is open already. It is an error if it is not a plain file.
    fn new(file: File) -> io::Result<Self> {
        let metadata = file.metadata()?;
        must_be_plain(&metadata)?;
        Ok(Self { file, size: metadata.len(), sum: Sum::default(), digest: None })
    }

    /// Its size in bytes.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Reads on for the digest, at most 1 MiB a call: `None` while there is more to read, then always the digest. It is an
    /// error if the file cannot be read or has become shorter.
    pub fn digest(&mut self) -> io::Result<Option<Digest>> {
        if self.digest.is_none() {
            self.sum.read_on(&self.file, self.size)?;
            self.digest = (self.sum.bytes == self.size).then(|| self.sum.digest());
        }
        Ok(self.digest)
    }

    /// Bytes that have been read for the digest so far.
    pub fn hashed(&self) -> u64 {
        self.sum.bytes
    }

    /// Fills `buf` from `offset` on, and returns how many bytes that were: fewer than its length only at the end. It is an
    /// error if the file cannot be read or has become shorter.
    pub fn read(&self, offset: u64, buf: &mut [u8]) -> io::Result<usize> {
        read_up_to(&self.file, self.size, offset, buf)
    }
}

/// The digest of the first bytes of a file.
#[derive(Default, Debug)]
pub(super) struct Sum {
    pub(super) bytes: u64,
    hasher: Sha256,
}

impl Sum {
    const A_CALL: usize = 1024 * 1024;

    pub(super) fn add(&mut self, bytes: &[u8]) {
        self.hasher.update(bytes);
        self.bytes += bytes.len() as u64;
    }

    /// Adds what follows in `file`, which has `size` bytes.
    pub(super) fn read_on(&mut self, file: &File, size: u64) -> io::Result<()> {
        let mut buf = vec![0; Self::A_CALL];
        let read = read_up_to(file, size, self.bytes, &mut buf)?;
        self.add(&buf[..read]);
        Ok(())
    }

    pub(super) fn digest(&self) -> Digest {
        Digest(self.hasher.clone().finalize().into())
    }
}

fn read_up_to(file: &File, size: u64, offset: u64, buf: &mut [u8]) -> io::Result<usize> {
    let there = size.saturating_sub(offset);
    let len = usize::try_from(there).map_or(buf.len(), |there| there.min(buf.len()));
    file.read_exact_at(&mut buf[..len], offset).map_err(|e| match e.kind() {
        ErrorKind::UnexpectedEof => io::Error::new(e.kind(), "it has become shorter"),
        _ => e,
    })?;
    Ok(len)
}

/// A file without a name, which goes when it is closed.
fn without_name() -> io::Result<File> {
    let path = env::temp_dir().join(format!("chinwag-{:016x}", getrandom::u64()?));
    let file = File::options().read(true).write(true).create_new(true).mode(0o600).open(&path)?;
    fs::remove_file(path).map(|()| file)
}

fn must_be_plain(metadata: &Metadata) -> io::Result<()> {
    if metadata.is_dir() {
        Err(io::Error::new(ErrorKind::IsADirectory, "it is a folder"))
    } else if metadata.is_file() {
        Ok(())
    } else {
        Err(io::Error::new(ErrorKind::InvalidInput, "it is not a plain file"))
    }
}

pub(super) fn flags(flags: OFlags) -> i32 {
    flags.bits().cast_signed()
}

#[cfg(test)]
pub(super) mod tests {
    use std::os::unix::fs::symlink;
    use std::os::unix::net::UnixListener;
    use std::process::Command;

    use tempfile::tempdir;

    use super::*;

    pub(in super::super) fn sha(bytes: &[u8]) -> Digest {
        Digest(Sha256::digest(bytes).into())
    }

    pub(in super::super) fn some(len: usize) -> Vec<u8> {
        (0..len).map(|i| (i * i / 7).to_le_bytes()[0]).collect()
    }

    pub(in super::super) fn fifo(path: &Path) {
        assert!(Command::new("mkfifo").arg(path).status().unwrap().success());
    }

    #[test]
    fn a_source_is_read_and_hashed() {
        let dir = tempdir().unwrap();
        let path = dir.path().join("a");
        let bytes = some(Sum::A_CALL * 2 + 5);
        fs::write(&path, &bytes).unwrap();
        let collected = Source::collect(&*bytes, bytes.len() as u64).unwrap().unwrap();
        assert!(Source::collect(&*bytes, bytes.len() as u64 - 1).unwrap().is_none());
        for mut source in [Source::open(&path).unwrap(), collected] {
            assert_eq!(source.size(), bytes.len() as u64);
            for step in 1..=2 {
                assert_eq!(source.digest().unwrap(), None);
                assert_eq!(source.hashed(), step * Sum::A_CALL as u64);
            }
            for _ in 0..2 {
                assert_eq!(source.digest().unwrap(), Some(sha(&bytes)));
                assert_eq!(source.hashed(), source.size());
            }
            let mut buf = [0; 100];
            assert_eq!(source.read(7, &mut buf).unwrap(), 100);
            assert_eq!(buf, bytes[7..107]);
            assert_eq!(source.read(source.size() - 3, &mut buf).unwrap(), 3);
            assert_eq!(buf[..3], bytes[bytes.len() - 3..]);
            assert_eq!(source.read(source.size(), &mut buf).unwrap(), 0);
            assert_eq!(source.read(u64::MAX, &mut buf).unwrap(), 0);
        }
        fs::write(&path, "").unwrap();
        assert_eq!(Source::open(&path).unwrap().digest().unwrap(), Some(sha(b"")));
    }

    #[test]
    fn a_source_that_grows_is_what_it_was_and_one_that_shrinks_fails() {
        let dir = tempdir().unwrap();
        let path = dir.path().join("a");
        fs::write(&path, "12345").unwrap();
        let mut source = Source::open(&path).unwrap();
        fs::write(&path, "1234567").unwrap();
        let mut buf = [0; 10];
        assert_eq!(source.read(0, &mut buf).unwrap(), 5);
        fs::write(&path, "123").unwrap();
        assert_eq!(source.read(0, &mut buf[..3]).unwrap(), 3);
        assert_eq!(source.read(0, &mut buf).unwrap_err().to_string(), "it has become shorter");
        assert_eq!(source.digest().unwrap_err().to_string(), "it has become shorter");
    }

    #[test]
    fn only_plain_files_are_sources() {
        let dir = tempdir().unwrap();
        let (pipe, socket, link) = (dir.path().join("pipe"), dir.path().join("socket"), dir.path().join("link"));
        fifo(&pipe);
        let _listener = UnixListener::bind(&socket).unwrap();
        symlink(&pipe, &link).unwrap();
        let error = |path: &Path| Source::open(path).unwrap_err();
        assert_eq!(error(dir.path()).to_string(), "it is a folder");
        for path in [&pipe, &socket, &link, Path::new("/dev/null")] {
            assert_eq!(error(path).to_string(), "it is not a plain file", "{}", path.display());
        }
        assert_eq!(error(&dir.path().join("none")).kind(), ErrorKind::NotFound);
        assert!(Source::new(File::open(dir.path()).unwrap()).is_err());
        fs::write(dir.path().join("a"), "x").unwrap();
        fs::remove_file(&link).unwrap();
        symlink("a", &link).unwrap();
        assert_eq!(Source::open(&link).unwrap().size(), 1);
    }
}
