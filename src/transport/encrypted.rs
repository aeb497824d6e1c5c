//! A socket that speaks TLS, as a transport: ciphertext on the one side, plaintext on the other.
//!
//! Buffers are shared by all of them. What one keeps for itself is what it has to: a record of which the rest is missing, plaintext that
//! its reader had no room for, and what was sealed and the socket has not taken. Idle, it has none of these.

use std::cell::RefCell;
use std::io::{self, ErrorKind, IoSlice, Read, Write};
use std::net::Shutdown;
use std::rc::Rc;

use log::debug;
use mio::net::TcpStream;

use super::NotArrived;
use crate::limits;
use crate::names::Wire;
use crate::peer::Peer;
use crate::proxy::SIGNATURE;
use crate::tls::{Certificate, Opened, TlsSession};

/// What a connection in TLS begins with: a record of the handshake.
const HANDSHAKE: u8 = 0x16;

/// What all encrypted streams of a process share.
#[derive(Debug)]
pub struct Tls {
    /// For whoever comes next.
    certificate: RefCell<Certificate>,
    scratch: RefCell<Scratch>,
}

/// Buffers for the moment in which a record is opened or sealed.
#[derive(Debug, Default)]
struct Scratch {
    input: Vec<u8>,
    plain: Vec<u8>,
    out: Vec<u8>,
}

impl Tls {
    /// Shows this certificate to whoever comes.
    pub fn new(certificate: Certificate) -> Self {
        Self { certificate: RefCell::new(certificate), scratch: RefCell::default() }
    }

    /// Shows another to whoever comes from now on. Nobody who is here notices.
    pub fn replace(&self, certificate: &Certificate) {
        self.certificate.borrow_mut().clone_from(certificate);
    }

    /// The one that is shown now.
    pub fn certificate(&self) -> Certificate {
        self.certificate.borrow().clone()
    }
}

/// One such stream.
#[derive(Debug)]
pub struct Encrypted {
    socket: TcpStream,
    tls: Rc<Tls>,
    /// None before the first byte, and where that was in clear: then all goes through as it is.
    session: Option<Box<TlsSession>>,
    /// What was opened and not read.
    plain: Vec<u8>,
    /// What was sealed and the socket has not taken.
    unsent: Vec<u8>,
    input: Input,
    /// Bytes that have come since the last that brought plaintext.
    barren: usize,
    is_closed: bool,
}

/// How far the input is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Input {
    /// The socket may have more.
    Ready,
    /// The socket had no more when it was read last.
    Drained,
    /// It is no TLS at all.
    InClear {
        /// Whether it began with a PROXY header.
        is_proxied: bool,
    },
    /// The peer has ended it.
    Closed,
    /// The socket has ended, of which TLS knows nothing: whoever is on the way may have cut it there.
    Cut,
    /// A record cannot be opened, or was cut.
    Broken,
}

impl Encrypted {
    /// Somebody who has come to speak TLS.
    pub fn new(socket: TcpStream, tls: Rc<Tls>) -> Self {
        Self {
            socket,
            tls,
            session: None,
            plain: Vec::new(),
            unsent: Vec::new(),
            input: Input::Ready,
            barren: 0,
            is_closed: false,
        }
    }

    /// The socket itself.
    pub fn socket(&self) -> &TcpStream {
        &self.socket
    }

    /// The socket itself, to be registered and asked.
    pub fn socket_mut(&mut self) -> &mut TcpStream {
        &mut self.socket
    }

    /// See [`super::Transport::arrive`]: goes on with the handshake by what one reading brings.
    pub fn arrive(&mut self, peer: Peer) -> Result<Peer, NotArrived> {
        self.push()?;
        if self.is_handshaking() {
            self.receive(&mut [])?;
        }
        match self.input {
            Input::InClear { is_proxied } => Err(NotArrived::InClear { is_proxied }),
            Input::Ready | Input::Drained if self.is_handshaking() || !self.unsent.is_empty() => {
                Err(NotArrived::NotYet)
            }
            Input::Ready | Input::Drained | Input::Closed => Ok(peer.encrypted()),
            Input::Cut | Input::Broken => Err(NotArrived::Failed(ErrorKind::UnexpectedEof.into())),
        }
    }

    /// See [`super::Transport::asked_name`].
    pub fn asked_name(&self) -> Option<String> {
        self.session.as_ref().and_then(|session| session.asked_name())
    }

    /// See [`super::Transport::handshake`].
    pub fn handshake(&self) -> Option<Wire> {
        match self.input {
            Input::InClear { .. } => Some(Wire::Clear),
            Input::Broken => None,
            Input::Ready | Input::Drained | Input::Closed | Input::Cut => {
                (!self.is_handshaking()).then_some(Wire::Secure)
            }
        }
    }

    fn is_handshaking(&self) -> bool {
        self.session.as_ref().is_none_or(|session| session.is_handshaking())
    }

    /// Reads the socket once, and opens what has come: into `buf`, and what has no room there is kept.
    fn receive(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let tls = Rc::clone(&self.tls);
        let Scratch { input, plain, out } = &mut *tls.scratch.borrow_mut();
        let rest = self.session.as_ref().map_or(&[][..], |session| session.rest());
        let before = rest.len();
        if input.len() < limits::TLS_INPUT.max(before) {
            input.resize(limits::TLS_INPUT.max(before), 0);
        }
        input[..before].copy_from_slice(rest);
        let read = match self.socket.read(&mut input[before..limits::TLS_INPUT.max(before)]) {
            Err(e) if e.kind() == ErrorKind::WouldBlock => {
                self.input = Input::Drained;
                return Err(e);
            }
            read => read?,
        };
        if read == 0 {
            // Where there was no room for more, what is there is too long for a record.
            let is_whole = before == 0 && !self.is_handshaking();
            self.input = if is_whole { Input::Cut } else { Input::Broken };
            return Ok(0);
        }
        let input = &mut input[..before + read];
        self.input = if input.len() < limits::TLS_INPUT { Input::Drained } else { Input::Ready };
        let session = match &mut self.session {
            Some(session) => session,
            None if input[0] != HANDSHAKE => {
                self.input =
                    Input::InClear { is_proxied: input.starts_with(b"PROXY ") || input.starts_with(SIGNATURE) };
                return Ok(0);
            }
            none => none.insert(Box::new(TlsSession::new(&tls.certificate.borrow())?)),
        };
        plain.clear();
        out.clear();
        let opened = session.open(input, plain, out);
        let is_handshaking = session.is_handshaking();
        let consumed = input.len() - session.rest().len();
        self.barren = if plain.is_empty() && !is_handshaking { self.barren + consumed } else { 0 };
        match opened {
            Ok(Opened::Closed) => self.input = Input::Closed,
            // It keeps the server busy, and says nothing.
            Ok(Opened::More) if self.barren > limits::TLS_BARREN => self.input = Input::Broken,
            Ok(Opened::More) => {}
            Err(e) => {
                debug!("what comes is no TLS that can be opened: {e}");
                self.input = Input::Broken;
            }
        }
        let sent = send(&mut self.socket, out, &mut self.unsent);
        let n = buf.len().min(plain.len());
        buf[..n].copy_from_slice(&plain[..n]);
        self.plain = plain[n..].to_vec();
        // What has come is read though nothing can be answered any more.
        if n > 0 { Ok(n) } else { sent.map(|()| 0) }
    }

    /// Writes what was sealed; `WouldBlock` if the socket does not take all of it.
    fn push(&mut self) -> io::Result<()> {
        while !self.unsent.is_empty() {
            match self.socket.write(&self.unsent) {
                Ok(0) => return Err(ErrorKind::WriteZero.into()),
                Ok(n) if n == self.unsent.len() => self.unsent = Vec::new(),
                Ok(n) => self.unsent = self.unsent[n..].to_vec(),
                Err(e) if e.kind() == ErrorKind::Interrupted => {}
                Err(e) => return Err(e),
            }
        }
        Ok(())
    }

    /// Tells the peer that nothing more comes, if it takes that at once. Once is enough.
    fn close(&mut self) {
        let Some(session) = self.session.as_mut().filter(|_| !self.is_closed && self.unsent.is_empty()) else { return };
        self.is_closed = true;
        let Scratch { out, .. } = &mut *self.tls.scratch.borrow_mut();
        out.clear();
        if session.close(out).is_ok() {
            // What it does not take now nobody waits for.
            let _ = self.socket.write(out);
        }
    }

    /// Tells the peer that nothing more is written.
    pub fn shut(&mut self) -> io::Result<()> {
        self.close();
        self.socket.shutdown(Shutdown::Write)
    }

    /// Whether a read gives something whatever the socket says, or the socket was not read to its end.
    pub fn has_more(&self) -> bool {
        !self.plain.is_empty() || !matches!(self.input, Input::Drained)
    }

    /// Whether its input ended without a word of the peer's, so that anybody on the way may have cut it there.
    pub fn is_cut(&self) -> bool {
        matches!(self.input, Input::Cut | Input::Broken)
    }

    /// Bytes that were sealed and the socket has not taken.
    pub fn unsent(&self) -> usize {
        self.unsent.len()
    }

    /// Bytes that have come and were neither read here nor by whoever reads the plaintext.
    pub fn held(&self) -> usize {
        self.plain.len() + self.session.as_ref().map_or(0, |session| session.rest().len())
    }
}

impl Drop for Encrypted {
    /// Whatever the reason, the server ends what it has said.
    fn drop(&mut self) {
        self.close();
    }
}

impl Read for Encrypted {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        if self.session.is_none() {
            return self.socket.read(buf);
        }
        while self.plain.is_empty() {
            match self.input {
                Input::Ready | Input::Drained => match self.receive(buf)? {
                    0 => {}
                    n => return Ok(n),
                },
                Input::InClear { .. } | Input::Closed | Input::Cut => return Ok(0),
                Input::Broken => return Err(ErrorKind::ConnectionReset.into()),
            }
        }
        let n = buf.len().min(self.plain.len());
        buf[..n].copy_from_slice(&self.plain[..n]);
        self.plain = self.plain[n..].to_vec();
        // The socket may have been told to have more since it was read.
        if self.input == Input::Drained {
            self.input = Input::Ready;
        }
        Ok(n)
    }
}

impl Write for Encrypted {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        self.write_vectored(&[IoSlice::new(buf)])
    }

    fn write_vectored(&mut self, bufs: &[IoSlice<'_>]) -> io::Result<usize> {
        if self.session.is_none() {
            return self.socket.write_vectored(bufs);
        }
        self.push()?;
        let Some(session) = &mut self.session else { return Ok(0) };
        let Scratch { plain, out, .. } = &mut *self.tls.scratch.borrow_mut();
        plain.clear();
        out.clear();
        for buf in bufs {
            plain.extend_from_slice(&buf[..buf.len().min(limits::TLS_RECORD - plain.len())]);
        }
        session.seal(plain, out)?;
        send(&mut self.socket, out, &mut self.unsent)?;
        Ok(plain.len())
    }

    /// Writes what was sealed and is not sent.
    fn flush(&mut self) -> io::Result<()> {
        self.push()
    }
}

/// Writes what was sealed behind all that was before it, and keeps in `unsent` what the socket does not take.
fn send(socket: &mut TcpStream, sealed: &[u8], unsent: &mut Vec<u8>) -> io::Result<()> {
    if sealed.is_empty() || !unsent.is_empty() {
        unsent.extend_from_slice(sealed);
        return Ok(());
    }
    let taken = loop {
        match socket.write(sealed) {
            Ok(n) => break n,
            Err(e) if e.kind() == ErrorKind::WouldBlock => break 0,
            Err(e) if e.kind() == ErrorKind::Interrupted => {}
            Err(e) => return Err(e),
        }
    };
    *unsent = sealed[taken..].to_vec();
    Ok(())
}
