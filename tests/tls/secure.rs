//! A client in TLS that trusts every server, and can be told to misbehave.

use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::version::TLS13;
use rustls::{ClientConfig, ClientConnection, DigitallySignedStruct, Error, SignatureScheme, SupportedProtocolVersion};
use testkit::data::Folder;
use testkit::{PATIENCE, Server};

/// A server that speaks TLS too, with a folder of its own, in which it makes its certificate.
pub struct Tls {
    pub server: Server,
    pub port: u16,
    pub folder: Folder,
}

impl Tls {
    pub fn start(options: &[&str]) -> Self {
        let folder = Folder::new();
        let server = folder.serve(&[&["--tls", "127.0.0.1:0"], options].concat());
        let port = server.tls_port.expect("the server tells where it speaks TLS");
        Self { server, port, folder }
    }

    /// Connects, and says nothing.
    pub fn knock(&self) -> TcpStream {
        let stream = TcpStream::connect(("127.0.0.1", self.port)).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.set_nodelay(true).unwrap();
        stream
    }

    /// Connects, and takes the greeting.
    pub fn connect(&self) -> Secure {
        let mut client = Secure::new(self.knock(), &TLS13);
        client.starting("* hello ");
        client
    }

    /// Connects under this name, without presence, and enters a room.
    pub fn in_room(&self, nick: &str, room: &str) -> Secure {
        let mut client = self.connect();
        client.send(&format!("/set presence off\n/nick {nick}\n/join {room}"));
        client.until(&format!("+ join {room} "));
        client
    }
}

/// One connection in TLS.
pub struct Secure {
    pub tls: ClientConnection,
    pub stream: TcpStream,
    /// What was read and is no line yet.
    read: Vec<u8>,
}

impl Secure {
    /// Speaks this version on a connection.
    pub fn new(stream: TcpStream, version: &'static SupportedProtocolVersion) -> Self {
        let mut client = Self::unbegun(stream, version);
        client.finish();
        client
    }

    /// The same before anything is sent.
    pub fn unbegun(stream: TcpStream, version: &'static SupportedProtocolVersion) -> Self {
        let provider = Arc::new(ring::default_provider());
        let config = ClientConfig::builder_with_provider(Arc::clone(&provider))
            .with_protocol_versions(&[version])
            .unwrap()
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(Anybody(provider)))
            .with_no_client_auth();
        let name = ServerName::try_from("localhost").unwrap();
        let tls = ClientConnection::new(Arc::new(config), name).unwrap();
        Self { tls, stream, read: Vec::new() }
    }

    /// Does what is left of the handshake.
    pub fn finish(&mut self) {
        while self.tls.is_handshaking() {
            self.tls.complete_io(&mut self.stream).expect("a handshake");
        }
    }

    pub fn send(&mut self, line: &str) {
        self.send_bytes(format!("{line}\n").as_bytes());
    }

    pub fn send_bytes(&mut self, bytes: &[u8]) {
        let sealed = self.seal(bytes);
        self.stream.write_all(&sealed).unwrap();
    }

    /// What these bytes are on the wire, which are not sent.
    pub fn seal(&mut self, bytes: &[u8]) -> Vec<u8> {
        let mut sealed = Vec::new();
        for part in bytes.chunks(16 * 1024) {
            self.tls.writer().write_all(part).unwrap();
            self.flush_into(&mut sealed);
        }
        sealed
    }

    /// Adds what TLS has to say.
    pub fn flush_into(&mut self, sealed: &mut Vec<u8>) {
        while self.tls.wants_write() {
            self.tls.write_tls(sealed).unwrap();
        }
    }

    /// Says in TLS that nothing more comes.
    pub fn close(&mut self) {
        self.tls.send_close_notify();
        let mut sealed = Vec::new();
        self.flush_into(&mut sealed);
        self.stream.write_all(&sealed).unwrap();
    }

    /// The next line; `None` at the end that the server has said. An error is what else ends it.
    pub fn try_line(&mut self) -> Result<Option<String>, ErrorKind> {
        loop {
            if let Some(end) = self.read.iter().position(|&b| b == b'\n') {
                let line: Vec<u8> = self.read.drain(..=end).collect();
                return Ok(Some(String::from_utf8(line).unwrap().trim_end_matches(['\r', '\n']).to_owned()));
            }
            let mut part = [0; 16 * 1024];
            match self.tls.reader().read(&mut part) {
                Ok(0) if self.read.is_empty() => return Ok(None),
                Ok(0) => return Err(ErrorKind::UnexpectedEof),
                Ok(n) => self.read.extend_from_slice(&part[..n]),
                Err(e) if e.kind() == ErrorKind::WouldBlock => {
                    self.tls.read_tls(&mut self.stream).map_err(|e| e.kind())?;
                    self.tls.process_new_packets().map_err(|_| ErrorKind::InvalidData)?;
                }
                Err(e) => return Err(e.kind()),
            }
        }
    }

    pub fn line(&mut self) -> Option<String> {
        self.try_line().unwrap()
    }

    /// The next line, which must begin so.
    pub fn starting(&mut self, want: &str) -> String {
        let line = self.line().unwrap_or_else(|| panic!("{want:?} and not the end"));
        assert!(line.starts_with(want), "{line:?} does not begin with {want:?}");
        line
    }

    /// Takes lines up to one that begins so, which is given back.
    pub fn until(&mut self, want: &str) -> String {
        std::iter::from_fn(|| self.line()).find(|line| line.starts_with(want)).unwrap_or_else(|| panic!("{want:?}"))
    }
}

/// Trusts anybody who has the key of the certificate that they show.
#[derive(Debug)]
struct Anybody(Arc<CryptoProvider>);

impl ServerCertVerifier for Anybody {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, cert, signature, &self.0.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, cert, signature, &self.0.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
