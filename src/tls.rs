//! TLS, by rustls: the server's certificate, and the session of one connection. No other file knows rustls, and of a session
//! [`TlsSession::open`] and [`TlsSession::seal`] are all that is needed once it stands.
//!
//! The unbuffered interface of rustls leaves buffers to its caller, so that an idle session has none.

mod expiry;

use std::fmt;
use std::fs;
use std::io;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use log::{Level, log_enabled, warn};
use rcgen::{CertificateParams, DistinguishedName, DnType, KeyPair, date_time_ymd};
use rustls::crypto::CryptoProvider;
use rustls::crypto::ring::default_provider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{
    ClientHello, NoServerSessionStorage, ResolvesServerCert, ServerConfig, ServerConnectionData,
    UnbufferedServerConnection,
};
use rustls::sign::CertifiedKey;
use rustls::unbuffered::{ConnectionState, EncodeError, EncryptError, UnbufferedStatus, WriteTraffic};
use rustls::{CertificateError, Error, InconsistentKeys, OtherError, SignatureAlgorithm};
use sha2::{Digest as _, Sha256};

use crate::home::{Durability, TLS, about, has_had, look_to_write, make_folder, note_had, read_text, replace};
use crate::limits;
use crate::names::Digest;
use crate::time::Day;

/// The file of the certificate that the server has made, and of its key.
const OWN: &str = "own.pem";
/// How long a certificate is good that the server has made.
const GOOD: Duration = Duration::from_secs(3652 * 86_400);
/// Bytes that a record has at most besides what is sealed in it.
const AROUND: usize = 64;

/// What the server shows of itself, and how it speaks TLS.
#[derive(Clone)]
pub struct Certificate {
    config: Arc<ServerConfig>,
    only: Arc<Only>,
    fingerprint: Digest,
    algorithm: SignatureAlgorithm,
    begins: Option<SystemTime>,
    expires: Option<SystemTime>,
    /// What stands in its file, if the server has made it.
    own: Option<Arc<str>>,
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

    /// What is to be said of whether it is good at this time, if anything is.
    pub fn warning(&self, now: SystemTime) -> Option<String> {
        match (self.begins, self.expires) {
            (_, Some(end)) if end < now => {
                Some(format!("has expired on {}; whoever checks it will refuse it", Day::of(end)))
            }
            (Some(begin), _) if begin > now => {
                let day = Day::of(begin);
                Some(format!("is not good before {day}; whoever checks it will refuse it until then"))
            }
            (_, Some(end)) if end < now + limits::CERTIFICATE_ENDS => {
                Some(format!("expires on {}; renew it before", Day::of(end)))
            }
            _ => None,
        }
    }

    fn new(certified: CertifiedKey, provider: CryptoProvider) -> Result<Self, Error> {
        let own = certified.end_entity_cert()?;
        let fingerprint = Digest(Sha256::digest(own).into());
        let (begins, expires) = (expiry::begins(own), expiry::expires(own));
        let algorithm = certified.key.algorithm();
        let builder = ServerConfig::builder_with_provider(provider.into()).with_safe_default_protocol_versions()?;
        let only = Arc::new(Only { certified: Arc::new(certified), asked: Mutex::default() });
        let mut config = builder.with_no_client_auth().with_cert_resolver(Arc::<Only>::clone(&only));
        // Nothing of a session outlives it.
        config.session_storage = Arc::new(NoServerSessionStorage {});
        config.send_tls13_tickets = 0;
        Ok(Self { config: Arc::new(config), only, fingerprint, algorithm, begins, expires, own: None })
    }
}

/// One certificate for all, whatever name they ask for.
#[derive(Debug)]
struct Only {
    certified: Arc<CertifiedKey>,
    /// The name that was asked for last, as long as nobody has taken it to write it down.
    asked: Mutex<Option<String>>,
}

impl ResolvesServerCert for Only {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        if log_enabled!(Level::Debug) {
            *self.asked.lock().unwrap_or_else(PoisonError::into_inner) = hello.server_name().map(str::to_owned);
        }
        Some(Arc::clone(&self.certified))
    }
}

/// Which of two files cannot be used, why, and what to do.
#[derive(Debug)]
pub enum Bad {
    /// That of the certificate.
    Certificate(String),
    /// That of the key.
    Key(String),
}

impl Bad {
    /// The same of a file with both.
    fn text(self) -> String {
        let (Self::Certificate(text) | Self::Key(text)) = self;
        text
    }
}

/// Makes one of a certificate, with those of its authorities behind it if it has any, and its key: what files hold, in PEM, and where
/// they are. One that is not good now is taken, with a warning.
pub fn load((cert, chain): (&Path, &[u8]), (key, private): (&Path, &[u8])) -> Result<Certificate, Bad> {
    let (cert, key) = (cert.display(), key.display());
    let provider = default_provider();
    let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(chain).collect();
    let chain = chain.ok().filter(|chain| !chain.is_empty()).ok_or_else(|| {
        Bad::Certificate(format!("cannot use {cert}: it holds no certificate in PEM; convert it with openssl x509"))
    })?;
    let private = PrivateKeyDer::from_pem_slice(private).map_err(|_| {
        Bad::Key(format!(
            "cannot use {key}: it holds no private key in PEM without a passphrase; convert it with openssl pkey"
        ))
    })?;
    let private = provider.key_provider.load_private_key(private).map_err(|_| {
        Bad::Key(format!(
            "cannot use the key in {key}: it must be one of P-256, P-384 or Ed25519, or of RSA with 2048 to 4096 bits; \
             take one of P-256, and a certificate for it"
        ))
    })?;
    let first = chain[0].clone();
    let mut certified = CertifiedKey::new(chain, private);
    let certificate = match certified.keys_match() {
        Ok(()) | Err(Error::InconsistentKeys(InconsistentKeys::Unknown)) => Ok(()),
        Err(e) => Err(e),
    };
    let is_of_another = certificate.is_err() && {
        (1..certified.cert.len()).any(|_| {
            certified.cert.rotate_left(1);
            certified.keys_match().is_ok()
        })
    };
    let certificate = certificate.and_then(|()| Certificate::new(certified, provider)).map_err(|e| match e {
        Error::InconsistentKeys(InconsistentKeys::KeyMismatch) if is_of_another => Bad::Certificate(format!(
            "the certificate of the server, to which the key in {key} belongs, must come first in {cert}; put those of its authorities \
             behind it"
        )),
        Error::InconsistentKeys(InconsistentKeys::KeyMismatch) => Bad::Key(format!(
            "the key in {key} does not belong to the certificate in {cert}; give the two that were made together"
        )),
        e => Bad::Certificate(format!("cannot use the certificate in {cert}: {}", unusable(&first, &e))),
    })?;
    if let Some(warning) = certificate.warning(SystemTime::now()) {
        warn!("the certificate in {cert} {warning}");
    }
    Ok(certificate)
}

/// Why this certificate cannot be used, and what to do. Of what rustls says of it nothing is written for people.
fn unusable(certificate: &[u8], e: &Error) -> String {
    if expiry::is_of_version_1(certificate) {
        return "it is of version 1 of X.509, which TLS does not take; make it anew with openssl req -x509, or with openssl x509 -req \
                and an -extfile, in which a line subjectAltName=DNS:chat.example.org is enough"
            .to_owned();
    }
    let word = match e {
        Error::InvalidCertificate(CertificateError::BadEncoding) => {
            return "it is damaged; make or copy it anew".to_owned();
        }
        Error::InvalidCertificate(CertificateError::Other(OtherError(e))) => e.to_string(),
        e => e.to_string(),
    };
    format!("something in it is not as TLS takes it ({word}); make it anew, with openssl req -x509 say")
}

/// Whether the server has made a certificate for itself in this folder.
pub fn has_own(folder: &Path) -> bool {
    !fs::symlink_metadata(folder.join(OWN)).is_err_and(|e| e.kind() != io::ErrorKind::PermissionDenied)
}

/// The certificate that the server has made for itself, in this folder, which is made with it if it is not there. An error says what
/// cannot be done.
pub fn own(folder: &Path) -> Result<Certificate, String> {
    let path = folder.join(OWN);
    if !has_own(folder) {
        warn_if_missed(folder);
        make().and_then(|pem| keep(folder, &pem)).map_err(|e| cannot_make(folder, &e))?;
    }
    let damaged = || {
        format!(
            "cannot use {}: it is damaged; put it back from a backup, or remove it, and a new one is made, which whoever knows it refuses",
            path.display()
        )
    };
    let pem = read_text(&path).map_err(|e| match e.kind() {
        io::ErrorKind::InvalidData => damaged(),
        _ => about(&format!("cannot read {}", path.display()), &e, &path, folder).to_string(),
    })?;
    let certificate = load((&path, pem.as_bytes()), (&path, pem.as_bytes())).map_err(|_| damaged())?;
    folder.parent().into_iter().for_each(|dir| note_had(dir, TLS));
    if certificate.expires().is_some_and(|end| end < SystemTime::now()) {
        warn!("remove {} and start again for a new one, and tell people its fingerprint", path.display());
    }
    Ok(Certificate { own: Some(pem.into()), ..certificate })
}

/// Says that the server had a certificate of its own in this folder, which is not there.
fn warn_if_missed(folder: &Path) {
    if folder.parent().is_some_and(|dir| has_had(dir, TLS)) {
        warn!(
            "{} is not there; a new certificate is made, and whoever knows an earlier one refuses it; if that is not meant, put \
             it back from a backup",
            folder.join(OWN).display()
        );
    }
}

/// Has the certificate that is shown in its file again, if the server made it for itself in this folder and somebody has swept that away:
/// people who know it refuse every other.
pub fn put_back(folder: &Path, shown: &Certificate) {
    if let Some(pem) = shown.own.as_ref().filter(|_| !has_own(folder)) {
        let path = folder.join(OWN);
        match keep(folder, pem) {
            Ok(()) => warn!("{} was gone; the certificate that is shown is in it again", path.display()),
            Err(e) => warn!("{} was gone, and the certificate that is shown cannot be put back: {e}", path.display()),
        }
    }
}

/// Writes a certificate and its key. Both stand in one file, so that no crash comes between them.
fn keep(folder: &Path, pem: &str) -> io::Result<()> {
    make_folder(folder)?;
    replace(&folder.join(OWN), pem.as_bytes(), Durability::Sync)
}

/// One such as [`own`] would make in this folder, of which nothing is kept. An error says what would keep it from that.
pub fn look(folder: &Path) -> Result<Certificate, String> {
    warn_if_missed(folder);
    let pem = look_to_write(folder).and_then(|()| make()).map_err(|e| cannot_make(folder, &e))?;
    load((folder, pem.as_bytes()), (folder, pem.as_bytes())).map_err(Bad::text)
}

fn cannot_make(folder: &Path, e: &io::Error) -> String {
    about(&format!("cannot make a certificate in {}", folder.display()), e, folder, folder.parent().unwrap_or(folder))
        .to_string()
}

/// A certificate and its key, in PEM.
fn make() -> io::Result<String> {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    let key = KeyPair::generate().map_err(io::Error::other)?;
    let mut params = CertificateParams::new(["localhost".to_owned()]).map_err(io::Error::other)?;
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, "chinwag");
    // A certificate can tell the years up to 9999, and a clock may be beyond them.
    let later = |years: Duration| years.try_into().unwrap_or_default();
    params.not_before = date_time_ymd(1970, 1, 1).saturating_add(later(since));
    params.not_after = params.not_before.saturating_add(later(GOOD));
    let cert = params.self_signed(&key).map_err(io::Error::other)?;
    Ok(pem("CERTIFICATE", cert.der()) + &pem("PRIVATE KEY", key.serialized_der()))
}

fn pem(label: &str, der: &[u8]) -> String {
    let text = STANDARD.encode(der);
    let lines: String = text.as_bytes().chunks(64).map(|line| format!("{}\n", String::from_utf8_lossy(line))).collect();
    format!("-----BEGIN {label}-----\n{lines}-----END {label}-----\n")
}

/// What came out of [`TlsSession::open`] besides plaintext.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Opened {
    /// More may come.
    More,
    /// The peer has said that nothing more comes.
    Closed,
}

/// The TLS of one connection.
pub struct TlsSession {
    tls: UnbufferedServerConnection,
    only: Arc<Only>,
    /// The beginning of a record that is not all there. Whatever rustls is asked, it must see this.
    rest: Vec<u8>,
    is_broken: bool,
}

impl fmt::Debug for TlsSession {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TlsSession({} bytes)", self.rest.len())
    }
}

impl TlsSession {
    /// A session that is about to begin.
    pub fn new(certificate: &Certificate) -> io::Result<Self> {
        let tls = UnbufferedServerConnection::new(Arc::clone(&certificate.config)).map_err(broken)?;
        Ok(Self { tls, only: Arc::clone(&certificate.only), rest: Vec::new(), is_broken: false })
    }

    /// The name that was asked for in the last [`TlsSession::open`] of all, if there was one and the log has such things.
    pub fn asked_name(&self) -> Option<String> {
        self.only.asked.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    /// Whether the handshake is not done.
    pub fn is_handshaking(&self) -> bool {
        self.tls.is_handshaking()
    }

    /// What has come and was not opened, as it is part of a record of which the rest is missing.
    pub fn rest(&self) -> &[u8] {
        &self.rest
    }

    /// Opens all whole records of `input`, which begins with [`TlsSession::rest`]. What is for the reader is added to `plain`, what is for
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
