//! `chinwag connect` where there is no terminal: lines go through as they are, as with `nc`.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::thread;

use crate::client::link;
use crate::client::session::Wish;
use crate::client::view::{self, Told};
use crate::limits::SERVER_LINE;
use crate::linebuf::{Line, LineBuf};
use crate::listener::reason;
use crate::names::clean;

/// Copies standard input to the server at `address`, and what it says to standard output, until the server has answered the
/// end of input and closed the connection. What was wished for is asked for first.
///
/// It is an error if the server cannot be reached, turns us away or breaks the connection off.
pub fn run(address: &str, wish: &Wish) -> Result<(), String> {
    let mut stream = link::connect(address).map_err(|e| format!("cannot connect to {address}: {}", reason(&e)))?;
    let failed = |e: io::Error| format!("the connection to {address} failed: {}", reason(&e));
    let mut input = stream.try_clone().map_err(failed)?;
    let first = opening(wish);
    thread::Builder::new()
        .name("input".to_owned())
        .spawn(move || {
            // Should the server be gone, its last words are still read, and tell why.
            let copied = input.write_all(first.as_bytes()).and_then(|()| io::copy(&mut io::stdin(), &mut input));
            drop(copied);
            let _ = input.shutdown(Shutdown::Write);
        })
        .map_err(failed)?;
    copy(&mut stream, &mut io::stdout(), address)
}

/// The commands for what was wished for.
fn opening(wish: &Wish) -> String {
    let password = wish.password.iter().map(|password| format!("/pass {password}\n"));
    let nick = wish.nick.iter().map(|nick| format!("/nick {nick}\n"));
    let rooms = wish.rooms.iter().map(|room| format!("/join {room}\n"));
    password.chain(nick).chain(rooms).collect()
}

fn copy(stream: &mut TcpStream, out: &mut impl Write, address: &str) -> Result<(), String> {
    let mut lines = LineBuf::new(SERVER_LINE);
    let (mut bytes, mut end, mut has_quit) = ([0; 65_536], Ok(()), false);
    loop {
        let read = match stream.read(&mut bytes) {
            Ok(0) => return end,
            Ok(n) => &bytes[..n],
            Err(e) if e.kind() == ErrorKind::Interrupted => continue,
            // Who has quit does not mind how the server closes.
            Err(_) if has_quit => return end,
            Err(e) => return end.and(Err(format!("the connection to {address} broke: {}", reason(&e)))),
        };
        match out.write_all(read).and_then(|()| out.flush()) {
            Ok(()) => {}
            // Nobody wants to read on, which is their affair.
            Err(e) if e.kind() == ErrorKind::BrokenPipe => return Ok(()),
            Err(e) => return Err(reason(&e)),
        }
        lines.feed(read, &mut Vec::new());
        while let Some((line, _)) = lines.next_line() {
            let Line::Text(line) = line else { continue };
            match view::read(&clean(line)) {
                Told::Bye { text, .. } => end = Err(format!("{address} closed the connection: {text}")),
                Told::Done { command: "quit", .. } => has_quit = true,
                _ => {}
            }
        }
    }
}
