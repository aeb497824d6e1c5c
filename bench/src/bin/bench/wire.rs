//! What carries a connection between the load and a server: a socket in clear, one in TLS, or a WebSocket.

use std::io::{self, ErrorKind, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;

use mio::net::TcpStream;
use rustls::client::Resumption;
use rustls::crypto::ring::default_provider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore};

use super::websocket::WebSocket;
use chinwag_bench::{Outcome, failed};

/// Whom the certificates are for.
const NAME: &str = "localhost";

/// How people come in.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Wire {
    /// Over plain TCP.
    Clear,
    /// In TLS, to a server with such a key.
    Tls(Key),
    /// Over a WebSocket in clear, as browsers do.
    Web,
}

/// With what a client comes in.
pub enum Opening {
    /// A socket is enough.
    Clear,
    /// With this it speaks TLS.
    Tls(Arc<ClientConfig>),
    /// It asks for a WebSocket.
    Web,
}

/// The kind of a server's key.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Key {
    /// An elliptic curve, P-256.
    P256,
    /// RSA of 2,048 bits.
    Rsa,
}

/// The certificate that a server is given, in PEM, and its key.
pub fn files(folder: &Path) -> [PathBuf; 2] {
    ["cert.pem", "key.pem"].map(|name| folder.join(name))
}

/// Makes a certificate in a folder, and what a client needs to trust it and no other.
pub fn make(folder: &Path, key: Key) -> Outcome<Arc<ClientConfig>> {
    let [cert, private] = files(folder);
    let mut openssl = Command::new("openssl");
    openssl.args(["req", "-x509", "-nodes", "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost"]);
    // One of an authority, as it is by default, is taken for no server's.
    openssl.args(["-addext", "basicConstraints=critical,CA:FALSE", "-newkey"]);
    match key {
        Key::P256 => openssl.args(["ec", "-pkeyopt", "ec_paramgen_curve:P-256"]),
        Key::Rsa => openssl.arg("rsa:2048"),
    };
    openssl.arg("-keyout").arg(private).arg("-out").arg(&cert).stderr(Stdio::null());
    if !openssl.status().map_err(failed("openssl"))?.success() {
        return Err("openssl makes no certificate".into());
    }
    let mut roots = RootCertStore::empty();
    let cert = CertificateDer::from_pem_file(cert).map_err(failed("the certificate"))?;
    roots.add(cert).map_err(failed("the certificate"))?;
    config(roots)
}

/// Who comes in so begins each time anew, so that every handshake is a whole one.
fn config(roots: RootCertStore) -> Outcome<Arc<ClientConfig>> {
    let builder = ClientConfig::builder_with_provider(Arc::new(default_provider()));
    let builder = builder.with_safe_default_protocol_versions().map_err(failed("TLS"))?;
    let mut config = builder.with_root_certificates(roots).with_no_client_auth();
    config.resumption = Resumption::disabled();
    Ok(Arc::new(config))
}

/// How a handshake begins.
pub fn hello() -> Outcome<Vec<u8>> {
    let mut hello = Vec::new();
    begin(&config(RootCertStore::empty())?)?.write_tls(&mut hello).map_err(failed("TLS"))?;
    Ok(hello)
}

fn begin(config: &Arc<ClientConfig>) -> Outcome<ClientConnection> {
    let name = ServerName::try_from(NAME).map_err(failed("TLS"))?;
    ClientConnection::new(Arc::clone(config), name).map_err(failed("TLS"))
}

/// One connection. It waits for nothing.
pub enum Stream {
    /// In clear.
    Clear(TcpStream),
    /// In TLS. The handshake goes on whenever it is read.
    Tls(Box<ClientConnection>, TcpStream),
    /// Over a WebSocket. The handshake goes on whenever it is read.
    Web(WebSocket),
}

impl Stream {
    /// Begins over a socket that is connected.
    pub fn new(socket: TcpStream, opening: &Opening) -> Outcome<Self> {
        Ok(match opening {
            Opening::Clear => Self::Clear(socket),
            Opening::Tls(config) => Self::Tls(Box::new(begin(config)?), socket),
            Opening::Web => Self::Web(WebSocket::new(socket)?),
        })
    }

    /// The socket below it.
    pub fn socket(&mut self) -> &mut TcpStream {
        match self {
            Self::Clear(socket) | Self::Tls(_, socket) => socket,
            Self::Web(stream) => stream.socket(),
        }
    }
}

impl Read for Stream {
    /// Less than there is room for is all that there was.
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let (tls, socket) = match self {
            Self::Clear(socket) => return socket.read(buf),
            Self::Web(stream) => return stream.read(buf),
            Self::Tls(tls, socket) => (tls, socket),
        };
        let mut read = 0;
        while read < buf.len() {
            let more = match tls.reader().read(&mut buf[read..]) {
                Err(e) if e.kind() == ErrorKind::WouldBlock => match tls.read_tls(socket) {
                    Ok(_) => {
                        tls.process_new_packets().map_err(io::Error::other)?;
                        push(tls, socket)?;
                        continue;
                    }
                    e => e,
                },
                more => more,
            };
            match more {
                Ok(0) => break,
                Ok(n) => read += n,
                Err(_) if read > 0 => break,
                Err(e) => return Err(e),
            }
        }
        Ok(read)
    }
}

impl Write for Stream {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        match self {
            Self::Clear(socket) => socket.write(buf),
            Self::Web(stream) => stream.write(buf),
            Self::Tls(tls, socket) => {
                let taken = tls.writer().write(buf)?;
                push(tls, socket)?;
                if taken == 0 { Err(ErrorKind::WouldBlock.into()) } else { Ok(taken) }
            }
        }
    }

    /// Sends what was taken and the socket had no room for.
    fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::Clear(_) => Ok(()),
            Self::Web(stream) => stream.flush(),
            Self::Tls(tls, socket) => push(tls, socket),
        }
    }
}

/// Sends what is sealed, as far as the socket takes it.
fn push(tls: &mut ClientConnection, socket: &mut TcpStream) -> io::Result<()> {
    while tls.wants_write() {
        match tls.write_tls(socket) {
            Err(e) if e.kind() == ErrorKind::WouldBlock => break,
            done => done?,
        };
    }
    Ok(())
}
