//! What stands in the place of TLS in a program that was built without it: nobody has a certificate, and so nobody a session.

use std::io;
use std::path::Path;
use std::time::SystemTime;

use crate::names::Digest;

/// There is none.
#[derive(Clone, Debug)]
pub enum Certificate {}

impl Certificate {
    /// The digest of the certificate.
    pub fn fingerprint(&self) -> Digest {
        match *self {}
    }

    /// Whether handshakes take long with it.
    pub fn is_slow(&self) -> bool {
        match *self {}
    }

    /// What is to be said of whether it is good at this time.
    pub fn warning(&self, _: SystemTime) -> Option<String> {
        match *self {}
    }

    /// When it expires.
    pub fn expires(&self) -> Option<SystemTime> {
        match *self {}
    }
}

const NONE: &str = "this chinwag was built without TLS; build it with cargo build --release, or leave --tls out";

/// Which of two files cannot be used.
#[derive(Debug)]
pub enum Bad {
    /// That of the certificate.
    Certificate(String),
    /// That of the key.
    Key(String),
}

/// An error, which says how to have TLS.
pub fn load(_: (&Path, &[u8]), _: (&Path, &[u8])) -> Result<Certificate, Bad> {
    Err(Bad::Certificate(NONE.to_owned()))
}

/// The same.
pub fn own(_: &Path) -> Result<Certificate, String> {
    Err(NONE.to_owned())
}

/// Nothing, as there is none.
pub fn put_back(_: &Path, shown: &Certificate) {
    match *shown {}
}

/// The same.
pub fn look(_: &Path) -> Result<Certificate, String> {
    Err(NONE.to_owned())
}

/// Whether the server has made one for itself.
pub fn has_own(_: &Path) -> bool {
    false
}

/// What came out of [`TlsSession::open`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Opened {
    /// More may come.
    More,
    /// The peer has said that nothing more comes.
    Closed,
}

/// There is none.
#[derive(Debug)]
pub enum TlsSession {}

impl TlsSession {
    /// A session that is about to begin.
    pub fn new(certificate: &Certificate) -> io::Result<Self> {
        match *certificate {}
    }

    /// The name that was asked for.
    pub fn asked_name(&self) -> Option<String> {
        match *self {}
    }

    /// Whether the handshake is not done.
    pub fn is_handshaking(&self) -> bool {
        match *self {}
    }

    /// What has come and was not opened.
    pub fn rest(&self) -> &[u8] {
        match *self {}
    }

    /// Opens records.
    pub fn open(&mut self, _: &mut [u8], _: &mut Vec<u8>, _: &mut Vec<u8>) -> io::Result<Opened> {
        match *self {}
    }

    /// Seals a record.
    pub fn seal(&mut self, _: &[u8], _: &mut Vec<u8>) -> io::Result<()> {
        match *self {}
    }

    /// Seals the end.
    pub fn close(&mut self, _: &mut Vec<u8>) -> io::Result<()> {
        match *self {}
    }
}
