//! Connections by the thousand.

use std::io;
use std::net::{SocketAddr, TcpStream};

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use socket2::{Domain, Socket, Type};

/// Lets this process, and what it starts, have as many descriptors as the system allows.
pub fn raise_limit(needed: u64) -> Result<(), String> {
    let Rlimit { maximum, .. } = getrlimit(Resource::Nofile);
    setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum }).unwrap();
    match maximum {
        Some(maximum) if maximum < needed => Err(format!("this needs {needed} descriptors: ulimit -Hn says {maximum}")),
        _ => Ok(()),
    }
}

/// Connects from one of several addresses, as one has ports for only so many connections. A small `buffer` makes the
/// peer feel at once that nothing is read.
pub fn connect(to: SocketAddr, n: usize, buffer: Option<usize>) -> io::Result<TcpStream> {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None)?;
    if let Some(size) = buffer {
        socket.set_recv_buffer_size(size)?;
    }
    // All are written with the same number of characters, which IRC servers show.
    let from = SocketAddr::from(([127, 0, 0, 10 + (n % 16) as u8], 0));
    socket.bind(&from.into())?;
    // On the loopback this is done when the system has queued it, whether the server accepts yet or not.
    socket.connect(&to.into())?;
    socket.set_tcp_nodelay(true)?;
    Ok(socket.into())
}
