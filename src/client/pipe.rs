//! `chinwag connect` where there is no terminal: lines go through as they are, as with `nc`.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use rustix::event::PollFlags;

use crate::client::model::session::Wish;
use crate::client::patient;
use crate::client::wire::{link, transfers};
use crate::client::{GREETING, STRANGER, too_slow};
use crate::limits::SERVER_LINE;
use crate::linebuf::{Line, LineBuf};
use crate::listener::reason;
use crate::names::clean;
use crate::wire::{Command, Done, ServerLine, farewell};

/// Copies standard input to the server at `address`, and what it says to standard output, until the server has answered the
/// end of input and closed the connection. What was wished for is asked for first.
///
/// It is an error if the server cannot be reached, never greets us, turns us away, breaks the connection off or closes it before
/// the input has ended.
pub fn run(address: &str, wish: &Wish) -> Result<(), String> {
    let mut stream =
        link::connect(address).map_err(|e| format!("cannot connect to {address}: {}", link::advice(&e)))?;
    let failed = |e: io::Error| format!("the connection to {address} failed: {}", reason(&e));
    let mut input = stream.try_clone().map_err(failed)?;
    let first = opening(wish);
    let (sender, ended) = mpsc::channel();
    thread::Builder::new()
        .name("input".to_owned())
        .spawn(move || {
            if let Some(end) = hand_on(first, &mut input) {
                let _ = sender.send(end.map_err(|e| format!("cannot read standard input: {}", reason(&e))));
            }
            let _ = input.shutdown(Shutdown::Write);
        })
        .map_err(failed)?;
    if copy(&mut stream, address, wish.password.is_some(), GREETING)? == End::Quit {
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

/// Sends `first` and then standard input. Returns how that ended; `None` if the server takes no more of it.
fn hand_on(first: String, server: &mut TcpStream) -> Option<io::Result<()>> {
    let (mut bytes, mut next) = (vec![0; 65_536], first.into_bytes());
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

/// The commands for what was wished for.
fn opening(wish: &Wish) -> String {
    let password = wish.password.iter().map(|password| format!("{}\n", Command::Pass(password)));
    let nick = wish.nick.iter().map(|nick| format!("{}\n", Command::Nick(*nick)));
    let rooms = wish.rooms.iter().map(|room| format!("{}\n", Command::Join(*room)));
    let typing = wish.without_typing.then(|| format!("{}\n", Command::Set("typing", false)));
    password.chain(nick).chain(typing).chain(rooms).collect()
}

/// `knocks`: we have sent a password of our own, which is not answered yet. `greeting`: how long the server may say nothing before
/// it has greeted us.
fn copy(stream: &mut TcpStream, address: &str, mut knocks: bool, greeting: Duration) -> Result<End, String> {
    let mut lines = LineBuf::new(SERVER_LINE);
    let (mut bytes, mut end) = ([0; 65_536], Ok(End::Closed));
    let mut is_greeted = false;
    // Where that cannot be set, it is waited for as nc does.
    let _ = stream.set_read_timeout(Some(greeting));
    loop {
        let read = match stream.read(&mut bytes) {
            Ok(0) if !is_greeted && end == Ok(End::Closed) => {
                return Err(format!("{address} closed the connection: {STRANGER}"));
            }
            Ok(0) => return end,
            Ok(n) => &bytes[..n],
            Err(e) if e.kind() == ErrorKind::Interrupted => continue,
            Err(e) if e.kind() == ErrorKind::WouldBlock && !is_greeted => {
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
            if !is_greeted && line.starts_with(b"*") {
                is_greeted = true;
                // From here on a server may say nothing for as long as nobody else does.
                let _ = stream.set_read_timeout(None);
            }
            match ServerLine::parse(&clean(line)) {
                ServerLine::Bye { text, .. } => {
                    end = Err(format!("{address} closed the connection: {}", farewell(text)));
                }
                ServerLine::Refused { command: "pass", text, .. } if knocks => {
                    return Err(format!("{address} does not let us in: {text}"));
                }
                ServerLine::Done(Done::Quit) => end = Ok(End::Quit),
                ServerLine::Done(Done::Pass) => knocks = false,
                _ => {}
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;

    #[test]
    fn a_server_that_never_greets_is_given_up() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let mut stream = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let why = copy(&mut stream, "HOST:1", false, Duration::from_millis(20)).err();
        assert_eq!(why, Some(format!("cannot connect to HOST:1: the server took longer than 0 seconds; {STRANGER}")));
    }
}
