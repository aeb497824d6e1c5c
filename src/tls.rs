//! TLS, by rustls: the server's certificate, and the session of one connection. No other file knows rustls, and of a session
//! [`Session::open`] and [`Session::seal`] are all that is needed once it stands.
//!
//! The unbuffered interface of rustls leaves buffers to its caller, so that an idle session has none.

mod expiry;

use std::fmt;
use std::fs::File;
use std::io::{self, Read};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use log::{debug, warn};
use rcgen::{CertificateParams, DistinguishedName, DnType, KeyPair, date_time_ymd};
use rustls::crypto::ring::default_provider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{
    ClientHello, NoServerSessionStorage, ResolvesServerCert, ServerConfig, ServerConnectionData,
    UnbufferedServerConnection,
};
use rustls::sign::CertifiedKey;
use rustls::unbuffered::{ConnectionState, EncodeError, EncryptError, UnbufferedStatus, WriteTraffic};
use rustls::{Error, InconsistentKeys, SignatureAlgorithm};
use sha2::{Digest as _, Sha256};

use crate::home::{Durability, make_folder, replace};
use crate::limits;
use crate::names::Digest;
use crate::time::Day;

/// The file of the certificate that the server has made, and of its key.
const OWN: &str = "own.pem";
/// How long a certificate is good that the server has made.
const GOOD: Duration = Duration::from_secs(3652 * 86_400);
/// Bytes of a file with certificates or a key.
const FILE: u64 = 1024 * 1024;
/// Bytes that a record has at most besides what is sealed in it.
const AROUND: usize = 64;

/// What the server shows of itself, and how it speaks TLS.
#[derive(Clone)]
pub struct Certificate {
    config: Arc<ServerConfig>,
    fingerprint: Digest,
    algorithm: SignatureAlgorithm,
    expires: Option<SystemTime>,
}

impl fmt::Debug for Certificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "certificate {}", self.fingerprint)
    }
}

impl Certificate {
    /// The digest of the certificate itself, without those of its authorities.
    pub fn fingerprint(&self) -> Digest {
        self.fingerprint
    }

    /// Whether a handshake takes six times as long with its key, which is of RSA, as with one of P-256.
    pub fn is_slow(&self) -> bool {
        self.algorithm == SignatureAlgorithm::RSA
    }

    /// When it expires, if it says so in a way that is known here.
    pub fn expires(&self) -> Option<SystemTime> {
        self.expires
    }

    fn new(chain: Vec<CertificateDer<'static>>, key: PrivateKeyDer<'static>) -> Result<Self, Error> {
        let provider = Arc::new(default_provider());
        let certified = Arc::new(CertifiedKey::from_der(chain, key, &provider)?);
        let own = certified.end_entity_cert()?;
        let (fingerprint, expires) = (Digest(Sha256::digest(own).into()), expiry::expires(own));
        let algorithm = certified.key.algorithm();
        let builder = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions()?;
        let mut config = builder.with_no_client_auth().with_cert_resolver(Arc::new(Only(certified)));
        // Nothing of a session outlives it.
        config.session_storage = Arc::new(NoServerSessionStorage {});
        config.send_tls13_tickets = 0;
        Ok(Self { config: Arc::new(config), fingerprint, algorithm, expires })
    }
}

/// One certificate for all, whatever name they ask for.
#[derive(Debug)]
struct Only(Arc<CertifiedKey>);

impl ResolvesServerCert for Only {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        debug!("TLS for {:?}", hello.server_name());
        Some(Arc::clone(&self.0))
    }
}

/// Reads a certificate, with those of its authorities behind it if it has any, and its key, each from a file in PEM. One that has
/// expired is taken, with a warning. An error says what is wrong with which, and what to do.
pub fn load(cert: &Path, key: &Path) -> Result<Certificate, String> {
    let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&read(cert)?).collect();
    let chain = chain.ok().filter(|chain| !chain.is_empty()).ok_or_else(|| {
        format!("cannot use {}: it holds no certificate in PEM; convert it with openssl x509", cert.display())
    })?;
    let private = PrivateKeyDer::from_pem_slice(&read(key)?).map_err(|_| {
        format!(
            "cannot use {}: it holds no private key in PEM without a passphrase; convert it with openssl pkey",
            key.display()
        )
    })?;
    let certificate = Certificate::new(chain, private).map_err(|e| match e {
        Error::InconsistentKeys(InconsistentKeys::KeyMismatch) => format!(
            "the key in {} does not belong to the certificate in {}; give the two that were made together",
            key.display(),
            cert.display()
        ),
        e => format!("cannot use the certificate in {} with the key in {}: {e}", cert.display(), key.display()),
    })?;
    if let Some(expired) = certificate.expires.filter(|&at| at < SystemTime::now()) {
        let (cert, day) = (cert.display(), Day::of(expired));
        warn!("the certificate in {cert} has expired on {day}; whoever checks it will refuse it");
    }
    Ok(certificate)
}

fn read(path: &Path) -> Result<Vec<u8>, String> {
    let mut bytes = Vec::new();
    let read = File::open(path).and_then(|file| file.take(FILE).read_to_end(&mut bytes));
    read.map_err(|e| {
        let hint = match e.kind() {
            io::ErrorKind::PermissionDenied => "; let the user read it that the server runs as",
            _ => "",
        };
        format!("cannot read {}: {e}{hint}", path.display())
    })?;
    Ok(bytes)
}

/// Whether the server has made a certificate for itself in this folder.
pub fn has_own(folder: &Path) -> bool {
    folder.join(OWN).exists()
}

/// The certificate that the server has made for itself, in this folder, which is made with it if it is not there. An error says what
/// cannot be done.
pub fn own(folder: &Path) -> Result<Certificate, String> {
    let path = folder.join(OWN);
    if !has_own(folder) {
        let made = make().and_then(|pem| {
            make_folder(folder)?;
            // Both stand in one file, so that no crash comes between them.
            replace(&path, pem.as_bytes(), Durability::Sync)
        });
        made.map_err(|e| format!("cannot make a certificate in {}: {e}", folder.display()))?;
    }
    load(&path, &path)
}

/// A certificate and its key, in PEM.
fn make() -> io::Result<String> {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    let key = KeyPair::generate().map_err(io::Error::other)?;
    let mut params = CertificateParams::new(["localhost".to_owned()]).map_err(io::Error::other)?;
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, "chinwag");
    params.not_before = date_time_ymd(1970, 1, 1) + since;
    params.not_after = params.not_before + GOOD;
    let cert = params.self_signed(&key).map_err(io::Error::other)?;
    Ok(pem("CERTIFICATE", cert.der()) + &pem("PRIVATE KEY", key.serialized_der()))
}

fn pem(label: &str, der: &[u8]) -> String {
    let text = STANDARD.encode(der);
    let lines: String = text.as_bytes().chunks(64).map(|line| format!("{}\n", String::from_utf8_lossy(line))).collect();
    format!("-----BEGIN {label}-----\n{lines}-----END {label}-----\n")
}

/// What came out of [`Session::open`] besides plaintext.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Opened {
    /// More may come.
    More,
    /// The peer has said that nothing more comes.
    Closed,
}

/// The TLS of one connection.
pub struct Session {
    tls: UnbufferedServerConnection,
    /// The beginning of a record that is not all there. Whatever rustls is asked, it must see this.
    rest: Vec<u8>,
    is_broken: bool,
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Session({} bytes)", self.rest.len())
    }
}

impl Session {
    /// A session that is about to begin.
    pub fn new(certificate: &Certificate) -> io::Result<Self> {
        let tls = UnbufferedServerConnection::new(Arc::clone(&certificate.config)).map_err(broken)?;
        Ok(Self { tls, rest: Vec::new(), is_broken: false })
    }

    /// Whether the handshake is not done.
    pub fn is_handshaking(&self) -> bool {
        self.tls.is_handshaking()
    }

    /// What has come and was not opened, as it is part of a record of which the rest is missing.
    pub fn rest(&self) -> &[u8] {
        &self.rest
    }

    /// Opens all whole records of `input`, which begins with [`Session::rest`]. What is for the reader is added to `plain`, what is for
    /// the peer to `out`: what the handshake says, and the alert where something is wrong. After an error nothing more can be
    /// opened or sealed.
    pub fn open(&mut self, input: &mut [u8], plain: &mut Vec<u8>, out: &mut Vec<u8>) -> io::Result<Opened> {
        // Whatever goes wrong on the way, it is not to be asked again.
        (self.is_broken, self.rest) = (true, Vec::new());
        let (mut done, mut opened, mut failed) = (0, Opened::More, None);
        loop {
            // Once it has failed there is one more thing to be had: the alert.
            let mut is_done = failed.is_some();
            let UnbufferedStatus { discard, state } = self.tls.process_tls_records(&mut input[done..]);
            match state {
                Ok(ConnectionState::ReadTraffic(mut traffic)) => {
                    while let Some(record) = traffic.next_record() {
                        plain.extend_from_slice(record.map_err(broken)?.payload);
                    }
                }
                Ok(ConnectionState::EncodeTlsData(mut data)) => extend(out, AROUND, |out| match data.encode(out) {
                    Err(EncodeError::InsufficientSize(e)) => Err(Some(e.required_size)),
                    encoded => encoded.map_err(|_| None),
                })?,
                Ok(ConnectionState::TransmitTlsData(data)) => data.done(),
                Ok(ConnectionState::PeerClosed) => opened = Opened::Closed,
                Err(e) if failed.is_none() => failed = Some(e),
                Ok(_) | Err(_) => is_done = true,
            }
            done += discard;
            if is_done {
                break;
            }
        }
        self.is_broken = failed.is_some();
        self.rest = input[done..].to_vec();
        failed.map_or(Ok(opened), |e| Err(broken(e)))
    }

    /// Adds a record to `out` with `plain` in it, which has at most [`limits::TLS_RECORD`] bytes.
    pub fn seal(&mut self, plain: &[u8], out: &mut Vec<u8>) -> io::Result<()> {
        debug_assert!(plain.len() <= limits::TLS_RECORD, "more than a record");
        self.write(plain.len() + AROUND, out, |traffic, out| traffic.encrypt(plain, out))
    }

    /// Adds to `out` what tells the peer that nothing more is sealed.
    pub fn close(&mut self, out: &mut Vec<u8>) -> io::Result<()> {
        self.write(AROUND, out, |traffic, out| traffic.queue_close_notify(out))
    }

    fn write(
        &mut self,
        room: usize,
        out: &mut Vec<u8>,
        mut write: impl FnMut(&mut Traffic<'_>, &mut [u8]) -> Result<usize, EncryptError>,
    ) -> io::Result<()> {
        if self.is_broken {
            return Err(io::ErrorKind::NotConnected.into());
        }
        loop {
            let UnbufferedStatus { state, .. } = self.tls.process_tls_records(&mut self.rest);
            match state.map_err(broken)? {
                ConnectionState::WriteTraffic(mut traffic) => {
                    return extend(out, room, |out| match write(&mut traffic, out) {
                        Err(EncryptError::InsufficientSize(e)) => Err(Some(e.required_size)),
                        written => written.map_err(|_| None),
                    });
                }
                ConnectionState::EncodeTlsData(mut data) => extend(out, AROUND, |out| match data.encode(out) {
                    Err(EncodeError::InsufficientSize(e)) => Err(Some(e.required_size)),
                    encoded => encoded.map_err(|_| None),
                })?,
                ConnectionState::TransmitTlsData(data) => data.done(),
                _ => return Err(io::ErrorKind::NotConnected.into()),
            }
        }
    }
}

/// Adds to `out` what `write` writes into a buffer of `room` bytes, or of as many as it says that it needs.
fn extend(
    out: &mut Vec<u8>,
    mut room: usize,
    mut write: impl FnMut(&mut [u8]) -> Result<usize, Option<usize>>,
) -> io::Result<()> {
    let before = out.len();
    loop {
        out.resize(before + room, 0);
        match write(&mut out[before..]) {
            Ok(written) => {
                out.truncate(before + written);
                return Ok(());
            }
            Err(Some(needed)) if needed > room => room = needed,
            Err(_) => {
                out.truncate(before);
                return Err(io::ErrorKind::InvalidData.into());
            }
        }
    }
}

fn broken(e: Error) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, e)
}

type Traffic<'a> = WriteTraffic<'a, ServerConnectionData>;
