//! `chinwag connect` where there is no terminal: lines go through as they are, as with `nc`.

use crate::channel::{Receiver, Sender, channel};
use std::io::{self, ErrorKind, Read};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use rustix::event::PollFlags;

use crate::client::model::session::Wish;
use crate::client::wire::server::Server;
use crate::client::wire::stream::Shared;
use crate::client::wire::{link, transfers};
use crate::client::{GREETING, STRANGER, last_words, too_slow};
use crate::client::{patient, tokens};
use crate::limits::SERVER_LINE;
use crate::linebuf::{Line, LineBuf};
use crate::listener::reason;
use crate::names::{Nick, Token, clean};
use crate::wire::{Code, Command, Done, Proof, ServerLine};

/// Copies standard input to this server, and what it says to standard output, until the server has answered the
/// end of input and closed the connection. What was wished for is asked for first.
///
/// It is an error if the server cannot be reached, never greets us, turns us away, breaks the connection off or closes it before
/// the input has ended.
pub fn run(server: &Server, wish: &Wish) -> Result<(), String> {
    let address = &server.address.to_string();
    let stream = link::connect(server).map_err(|e| format!("cannot connect to {address}: {}", link::advice(&e)))?;
    let failed = |e: io::Error| format!("the connection to {address} failed: {}", reason(&e));
    let stream = Arc::new(Shared::new(stream).map_err(failed)?);
    let input = stream.clone();
    let token = wish.nick.zip(token_of(wish));
    let (known, is_known) = channel();
    if token.is_none() {
        let _ = known.send(());
    }
    let (first, rest) = (proofs(wish), wishes(wish));
    let (sender, ended) = channel();
    thread::Builder::new()
        .name("input".to_owned())
        .spawn(move || {
            if let Some(end) = hand_on(first, &is_known, rest, &input) {
                let _ = sender.send(end.map_err(|e| format!("cannot read standard input: {}", reason(&e))));
            }
            let _ = input.end();
        })
        .map_err(failed)?;
    let own = Own { password: wish.password.is_some(), token, known };
    if copy(&stream, address, own, GREETING)? == End::Quit {
        return Ok(());
    }
    // As with nc, it is for the server to say when all is said; but not before the input has ended.
    ended.try_recv().unwrap_or_else(|_| Err(format!("{address} closed the connection without a word")))
}

/// How it ended, if in good order.
#[derive(PartialEq, Eq)]
enum End {
    /// As it was asked for with `/quit`, or nobody reads any more what the server says.
    Quit,
    /// The server closed the connection.
    Closed,
}

/// Sends `first`, and once it is known that we are who we say `rest` and then standard input. Returns how that ended; `None` if the
/// server takes no more of it, or it never becomes known.
fn hand_on(first: String, is_known: &Receiver<()>, rest: String, server: &Shared) -> Option<io::Result<()>> {
    server.write_all(first.as_bytes()).ok()?;
    is_known.recv().ok()?;
    let (mut bytes, mut next) = (vec![0; 65_536], rest.into_bytes());
    // Should the server be gone, its last words are still read, and tell why.
    while server.write_all(&next).is_ok() {
        let count = match io::stdin().read(&mut bytes) {
            Err(e) if e.kind() == ErrorKind::Interrupted => 0,
            // Whoever else has this file has it not wait.
            Err(e) if e.kind() == ErrorKind::WouldBlock => match patient::wait(io::stdin(), PollFlags::IN) {
                Ok(()) => 0,
                Err(e) => return Some(Err(e)),
            },
            Err(e) => return Some(Err(e)),
            Ok(0) => return Some(Ok(())),
            Ok(count) => count,
        };
        next.clear();
        next.extend_from_slice(&bytes[..count]);
    }
    None
}

/// The commands by which we are let in as ourselves.
fn proofs(wish: &Wish) -> String {
    let password = wish.password.iter().map(|password| format!("{}\n", Command::Pass(password)));
    let nick = wish.nick.iter().map(|&nick| match token_of(wish) {
        Some(token) => format!("{}\n", Command::Login(nick, Proof::Token(token))),
        None => format!("{}\n", Command::Nick(nick)),
    });
    password.chain(nick).collect()
}

/// The commands for what else was wished for.
fn wishes(wish: &Wish) -> String {
    let rooms = wish.rooms.iter().map(|room| format!("{}\n", Command::Join(*room)));
    let typing = wish.without_typing.then(|| format!("{}\n", Command::Set("typing", false)));
    typing.into_iter().chain(rooms).collect()
}

/// What proves that the name that is wished for is ours.
fn token_of(wish: &Wish) -> Option<Token> {
    wish.tokens.iter().find(|(nick, _)| Some(*nick) == wish.nick).map(|(_, token)| *token)
}

/// What we have sent of our own to be let in, and is not answered yet.
struct Own {
    password: bool,
    token: Option<(Nick, Token)>,
    /// Is told when the token has been taken. What is said before that might be said by somebody else.
    known: Sender<()>,
}

/// `own`: what we have sent of our own. `greeting`: how long the server may say nothing before
/// it has greeted us.
fn copy(stream: &Shared, address: &str, mut own: Own, greeting: Duration) -> Result<End, String> {
    let mut lines = LineBuf::new(SERVER_LINE);
    let (mut bytes, mut end) = ([0; 65_536], Ok(End::Closed));
    let mut is_greeted = false;
    loop {
        // Once it has greeted us, a server may say nothing for as long as nobody else does.
        let patience = (!is_greeted).then_some(greeting);
        let read = match stream.read(&mut bytes, patience) {
            Ok(0) if !is_greeted && end == Ok(End::Closed) => {
                return Err(format!("{address} closed the connection: {STRANGER}"));
            }
            Ok(0) => return end,
            Ok(n) => &bytes[..n],
            Err(e) if e.kind() == ErrorKind::WouldBlock => {
                return Err(format!("cannot connect to {address}: {}; {STRANGER}", too_slow(greeting)));
            }
            // Who has quit does not mind how the server closes.
            Err(_) if end == Ok(End::Quit) => return end,
            Err(e) => return end.and(Err(format!("the connection to {address} broke: {}", reason(&e)))),
        };
        match patient::write(io::stdout(), read, || false) {
            Ok(()) => {}
            // Nobody wants to read on, which is their affair.
            Err(e) if e.kind() == ErrorKind::BrokenPipe => return Ok(End::Quit),
            Err(e) => return Err(transfers::unwritten(&e)),
        }
        lines.feed(read);
        while let Some((line, _)) = lines.next_line() {
            let Line::Text(line) = line else { continue };
            is_greeted |= line.starts_with(b"*");
            match ServerLine::parse(&clean(line)) {
                ServerLine::Bye { code, text } => {
                    end = Err(format!("{address} closed the connection: {}", last_words(code, text)));
                }
                ServerLine::Refused { command: "pass", text, .. } if own.password => {
                    return Err(format!("{address} does not let us in: {text}"));
                }
                ServerLine::Done(Done::Quit) => end = Ok(End::Quit),
                ServerLine::Done(Done::Pass) => own.password = false,
                ServerLine::Done(Done::Login(_)) if own.token.is_some() => {
                    own.token = None;
                    let _ = own.known.send(());
                }
                ServerLine::Refused { command: "login", code, text } => {
                    if let Some((nick, token)) = own.token {
                        if code == Code::Refused {
                            let _ = tokens::forget(address, nick, token);
                        }
                        return Err(format!("{address} does not let us be {nick}: {text}"));
                    }
                }
                _ => {}
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;
    use crate::client::wire::stream::Stream;

    #[test]
    fn a_server_that_never_greets_is_given_up() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let stream = mio::net::TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let why = copy(
            &Shared::new(Stream::Clear(stream)).unwrap(),
            "HOST:1",
            Own { password: false, token: None, known: channel().0 },
            Duration::from_millis(20),
        )
        .err();
        assert_eq!(why, Some(format!("cannot connect to HOST:1: the server took longer than 0 seconds; {STRANGER}")));
    }
}
