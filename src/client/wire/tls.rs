//! TLS to a server: the handshake, by what the server proves itself, and the stream after it.

use std::fmt;
use std::io::{self, ErrorKind, Read, Write};
use std::net::TcpStream;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{WebPkiSupportedAlgorithms, ring, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{
    CertificateError, ClientConfig, ClientConnection, DigitallySignedStruct, Error, RootCertStore, SignatureScheme,
};
use sha2::{Digest as _, Sha256};

use super::server::{Address, Presented, Trust, Untrusted};
use super::stream::Stream;
use crate::names::Digest;

/// A stream in TLS. It waits for nothing.
pub struct Tls {
    connection: ClientConnection,
    socket: mio::net::TcpStream,
}

/// Opens a stream in TLS over a socket that waits, to a server that proves itself so, within this time.
pub(super) fn open(socket: TcpStream, address: &Address, trust: Trust, patience: Duration) -> io::Result<Stream> {
    let (connection, socket, _) = shake_hands(socket, address, Some(trust), patience)?;
    socket.set_nonblocking(true)?;
    Ok(Stream::Tls(Box::new(Tls { connection, socket: mio::net::TcpStream::from_std(socket) })))
}

/// Looks by what a server proves itself, whoever it is, and says nothing to it.
pub(super) fn look(socket: TcpStream, address: &Address, patience: Duration) -> io::Result<Presented> {
    let (mut connection, mut socket, presented) = shake_hands(socket, address, None, patience)?;
    connection.send_close_notify();
    let _ = connection.write_tls(&mut socket);
    Ok(presented)
}

fn shake_hands(
    mut socket: TcpStream,
    address: &Address,
    trust: Option<Trust>,
    patience: Duration,
) -> io::Result<(ClientConnection, TcpStream, Presented)> {
    let end = Instant::now() + patience;
    let verifier = Arc::new(Verifier::new(trust));
    let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(io::Error::other)?
        .dangerous()
        .with_custom_certificate_verifier(verifier.clone())
        .with_no_client_auth();
    // Which interface it is reached over is no part of its name.
    let host = address.bare_host().split('%').next().unwrap_or_default().to_owned();
    let name = ServerName::try_from(host)
        .map_err(|_| io::Error::other(format!("{} is no name that a certificate can be for", address.host)))?;
    let mut connection = ClientConnection::new(Arc::new(config), name).map_err(io::Error::other)?;
    let too_slow = || {
        let why = format!("the server took longer than {} seconds for the TLS handshake", patience.as_secs());
        io::Error::new(ErrorKind::TimedOut, why)
    };
    while connection.is_handshaking() || connection.wants_write() {
        let left = end.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(too_slow());
        }
        socket.set_read_timeout(Some(left))?;
        socket.set_write_timeout(Some(left))?;
        let is_to_write = connection.wants_write();
        let done = if is_to_write { connection.write_tls(&mut socket) } else { connection.read_tls(&mut socket) };
        match done {
            Ok(0) => return Err(io::Error::other("the server closed it in the midst of the TLS handshake")),
            Ok(_) => {}
            Err(e) if e.kind() == ErrorKind::WouldBlock => return Err(too_slow()),
            Err(e) if e.kind() == ErrorKind::Interrupted => {}
            Err(e) => return Err(e),
        }
        if let Err(e) = connection.process_new_packets() {
            // The server is told why; nothing is lost if it does not take that.
            let _ = connection.write_tls(&mut socket);
            return Err(match (e, verifier.seen.get()) {
                (Error::InvalidCertificate(CertificateError::ApplicationVerificationFailure), Some(presented)) => {
                    io::Error::new(ErrorKind::InvalidData, Untrusted::new(trust, presented))
                }
                (e, _) => broken(&e),
            });
        }
    }
    let presented = verifier.seen.get().cloned();
    Ok((connection, socket, presented.ok_or_else(|| io::Error::other("the server showed no certificate"))?))
}

/// Why TLS does not go on.
fn broken(e: &Error) -> io::Error {
    io::Error::other(match e {
        Error::InvalidMessage(_) => "the server does not speak TLS on this port".to_owned(),
        e => format!("TLS failed: {e}"),
    })
}

impl Tls {
    /// The socket below it.
    pub fn socket(&mut self) -> &mut mio::net::TcpStream {
        &mut self.socket
    }

    /// Says that nothing more is sent.
    pub fn end(&mut self) -> io::Result<()> {
        self.connection.send_close_notify();
        self.flush()
    }
}

impl Read for Tls {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        loop {
            match self.connection.reader().read(bytes) {
                Err(e) if e.kind() == ErrorKind::WouldBlock => {}
                Err(e) if e.kind() == ErrorKind::UnexpectedEof => {
                    return Err(io::Error::new(e.kind(), "it was cut off, without the end that TLS has"));
                }
                read => return read,
            }
            self.connection.read_tls(&mut self.socket)?;
            self.connection.process_new_packets().map_err(|e| broken(&e))?;
        }
    }
}

impl Write for Tls {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        // What was sealed before goes first, so that never more than a little waits here.
        self.flush()?;
        let taken = self.connection.writer().write(bytes)?;
        match self.flush() {
            Err(e) if e.kind() != ErrorKind::WouldBlock => Err(e),
            _ => Ok(taken),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        while self.connection.wants_write() {
            self.connection.write_tls(&mut self.socket)?;
        }
        Ok(())
    }
}

impl Drop for Tls {
    fn drop(&mut self) {
        // If the socket takes nothing now, the server sees the end of the connection all the same.
        let _ = self.end();
    }
}

impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.socket.fmt(f)
    }
}

/// Looks whether a server is the one that is meant, and notes what it has shown.
#[derive(Debug)]
struct Verifier {
    /// By what it must prove itself; without, whatever it shows will do.
    trust: Option<Trust>,
    /// The authorities that this system trusts, if they matter and there are any.
    roots: Option<Arc<WebPkiServerVerifier>>,
    algorithms: WebPkiSupportedAlgorithms,
    seen: OnceLock<Presented>,
}

impl Verifier {
    fn new(trust: Option<Trust>) -> Self {
        let provider = Arc::new(ring::default_provider());
        let algorithms = provider.signature_verification_algorithms;
        let mut roots = RootCertStore::empty();
        if !matches!(trust, Some(Trust::Certificate(_))) {
            roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        }
        let roots = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider).build().ok();
        Self { trust, roots, algorithms, seen: OnceLock::new() }
    }
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let digest = Digest(Sha256::digest(end_entity).into());
        let doubt = match &self.roots {
            None => Some("there is none".to_owned()),
            Some(roots) => {
                let verified = roots.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now);
                verified.err().map(|e| doubt(&e).to_owned())
            }
        };
        let is_trusted = match self.trust {
            None => true,
            Some(Trust::Roots) => doubt.is_none(),
            Some(Trust::Certificate(known)) => known == digest,
        };
        let _ = self.seen.set(Presented { digest, doubt });
        if is_trusted {
            Ok(ServerCertVerified::assertion())
        } else {
            Err(CertificateError::ApplicationVerificationFailure.into())
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, certificate, signature, &self.algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, certificate, signature, &self.algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}

/// Why no authority vouches for a certificate, as people put it.
fn doubt(e: &Error) -> &'static str {
    use CertificateError::{
        Expired, ExpiredContext, NotValidForName, NotValidForNameContext, NotValidYet, NotValidYetContext,
    };
    match e {
        Error::InvalidCertificate(Expired | ExpiredContext { .. }) => "it has expired",
        Error::InvalidCertificate(NotValidYet | NotValidYetContext { .. }) => {
            "it is not valid yet; is the clock of this machine right?"
        }
        Error::InvalidCertificate(NotValidForName | NotValidForNameContext { .. }) => "it is for another host",
        _ => "who signed it is unknown here",
    }
}
