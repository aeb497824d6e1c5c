//! Before a server is spoken with: where it is, whether in TLS, and whether it is the one that is meant.

use std::io::{self, ErrorKind, IsTerminal, Write};

use crate::client::known::Known;
use crate::client::patient::tell;
use crate::client::wire::link::{self, advice};
use crate::client::wire::server::{Named, Scheme, Server, Trust, Untrusted, Wire};
use crate::listener::reason;
use crate::names::Digest;
use crate::signals::{Interrupts, Waited};

/// Finds out how the server that is named so is spoken with. It has to have the certificate `given`, if there is one, or else what is
/// known of it, or one that an authority vouches for. A person at a terminal is asked about any other one, and what they took is
/// remembered.
///
/// It is an error if the server is not the one that is meant, or cannot be asked.
pub fn meet(named: &Named, given: Option<Digest>) -> Result<Server, String> {
    let known = Known::read()?;
    let address = named.tls();
    let before = known.trust(&address)?;
    known.complaints().for_each(|why| tell(&why));
    let trust = given.map(Trust::Certificate).or(before);
    let clear = || Server { address: named.clear(), wire: Wire::Clear };
    let failed = |e| format!("cannot connect to {address}: {}", advice(&e));
    // What was TLS once is never spoken with in clear.
    let scheme = match trust {
        Some(_) => Some(Scheme::Tls),
        None => named.settled().map_err(|e| format!("cannot connect to {}: {}", named.clear(), advice(&e)))?,
    };
    // It may be the one about which there is a line that cannot be understood.
    let scheme = scheme.or(known.is_unclear().then_some(Scheme::Tls));
    if scheme == Some(Scheme::Any) {
        return Ok(clear());
    }
    let is_person = io::stdin().is_terminal() && io::stderr().is_terminal();
    if let Some(trust) = trust.filter(|trust| !is_person || Some(*trust) == before) {
        return Ok(Server { address, wire: Wire::Tls(trust) });
    }
    let shown = match link::look(&address) {
        Ok(shown) => shown,
        Err(e) if scheme.is_none() && e.kind() == ErrorKind::ConnectionRefused => {
            let Server { address: clear, wire } = clear();
            tell(&format!(
                "there is no TLS at {address}, so others on the way can read along; connecting to {clear} in clear"
            ));
            return Ok(Server { address: clear, wire });
        }
        Err(e) => return Err(failed(e)),
    };
    let trust = match (trust, &shown.doubt) {
        (Some(Trust::Certificate(digest)), _) if digest == shown.digest => Trust::Certificate(digest),
        (None, None) => Trust::Roots,
        (None, Some(why)) if is_person => {
            let failed = |e| format!("cannot read your answer: {}", reason(&e));
            let interrupts = Interrupts::take().map_err(failed)?;
            tell(&format!("no authority that this system trusts vouches for the certificate of {address}: {why}"));
            tell(&format!("it is {}", shown.digest));
            tell("if the server's operator tells you that this is right, type yes, and it is taken from now on");
            let mut answer = String::new();
            let read = interrupts.wait_for_input(io::stdin()).and_then(|waited| match waited {
                Waited::Input => io::stdin().read_line(&mut answer).map(drop),
                // The terminal has shown the key, and stays on that line.
                Waited::Interrupted => writeln!(io::stderr()),
            });
            read.map_err(failed)?;
            if answer.trim() != "yes" {
                return Err(format!("not connected to {address}, as its certificate was not taken"));
            }
            Trust::Certificate(shown.digest)
        }
        (trust, _) => return Err(format!("cannot connect to {address}: {}", Untrusted::new(trust, &shown))),
    };
    // In a pipe nobody has looked at it.
    if is_person && let Err(e) = known.remember(&address, trust) {
        tell(&format!("the certificate of {address} cannot be remembered: {}", reason(&e)));
    }
    Ok(Server { address, wire: Wire::Tls(trust) })
}
