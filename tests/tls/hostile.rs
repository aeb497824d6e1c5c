//! Those who mean no good: they cost their own connection, and nobody else's.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use chinwag::limits::ARRIVING;
use rustls::version::TLS13;
use socket2::SockRef;
use testkit::{connect, eventually, raise_limit};

use crate::secure::{Secure, Tls};

/// Whether the server has closed a connection.
fn is_closed(stream: &mut TcpStream) -> bool {
    stream.set_nonblocking(true).unwrap();
    match stream.read(&mut [0; 64]) {
        Ok(0) => true,
        Ok(_) => false,
        Err(e) => e.kind() != std::io::ErrorKind::WouldBlock,
    }
}

#[test]
fn handshakes_that_stop_after_a_byte_hold_nobody_up() {
    const CROWD: usize = 2000;
    if let Err(why) = raise_limit(CROWD as u64 * 2) {
        return testkit::skip(&why);
    }
    let tls = Tls::start(&[]);
    let descriptors = tls.server.usage().unwrap().descriptors;
    let mut crowd: Vec<TcpStream> = (0..CROWD)
        .map(|n| {
            let mut stream = connect(([127, 0, 0, 1], tls.port).into(), n, None).unwrap();
            stream.write_all(&[0x16]).unwrap();
            stream
        })
        .collect();
    // In clear and in TLS people come in meanwhile.
    tls.server.person("alice").ask("/ping", "+ ping");
    let mut bob = tls.connect();
    bob.send("/ping");
    bob.until("+ ping");
    eventually("the others make place", || {
        let open = tls.server.usage().unwrap().descriptors;
        open <= descriptors + ARRIVING + 8
    });
    // Those who have been silent for longest went.
    eventually("the first is closed", || is_closed(&mut crowd[0]));
}

#[test]
fn handshakes_that_are_finished_and_left_leave_nothing_behind() {
    const CROWD: usize = 500;
    let tls = Tls::start(&[]);
    let (mut alice, mut bob) = (tls.server.in_room("alice", "#a"), tls.in_room("bob", "#a"));
    alice.expect("#a * bob joined");
    let sockets = || tls.server.open().unwrap().iter().filter(|what| what.starts_with("socket:")).count();
    let before = sockets();
    for n in 0..CROWD {
        // They say that they go, do not say it, are cut off, or do not even wait for the greeting.
        let mut client = Secure::new(tls.knock(), &TLS13);
        match n % 4 {
            0 => client.close(),
            1 => drop(client.starting("* hello ")),
            2 => {
                client.starting("* hello ");
                SockRef::from(&client.stream).set_linger(Some(Duration::ZERO)).unwrap();
            }
            _ => {}
        }
        drop(client);
        if n % 50 == 0 {
            bob.send(&format!("line {n}"));
            alice.expect(&format!("#a <bob> line {n}"));
        }
    }
    eventually("all have gone", || sockets() <= before);
    alice.send("/who");
    let who = alice.until_starting("+ who ").pop().unwrap();
    assert!(who.ends_with(" 2"), "{who}");
}

#[test]
fn a_handshake_byte_by_byte_arrives() {
    let tls = Tls::start(&[]);
    let mut stream = tls.knock();
    let other = tls.knock();
    // What a client says first, out of one that is never finished.
    let mut hello = Vec::new();
    let mut slow = Secure::unbegun(stream.try_clone().unwrap(), &TLS13);
    slow.flush_into(&mut hello);
    for byte in hello {
        stream.write_all(&[byte]).unwrap();
    }
    slow.finish();
    slow.starting("* hello ");
    drop(other);
}

#[test]
fn records_that_are_none_cost_the_connection() {
    let tls = Tls::start(&[]);
    let mut alice = tls.server.in_room("alice", "#a");
    for what in ["too long", "changed", "no type"] {
        let mut bob = tls.in_room("bob", "#a");
        alice.expect("#a * bob joined");
        bob.send("before");
        let mut sealed = bob.seal(b"never\n");
        match what {
            "too long" => sealed = [&[0x17, 3, 3, 0xff, 0xff][..], &[0; 20_000]].concat(),
            "changed" => *sealed.last_mut().unwrap() ^= 1,
            _ => sealed[0] = 0x7f,
        }
        // It may be closed before all of it is written.
        let _ = bob.stream.write_all(&sealed);
        alice.expect("#a <bob> before");
        alice.expect("#a * bob lost reset");
    }
}

#[test]
fn changes_of_keys_are_few() {
    let tls = Tls::start(&[]);
    let mut alice = tls.server.in_room("alice", "#a");
    // Now and then, with something said between them, they may be.
    let mut bob = tls.in_room("bob", "#a");
    alice.expect("#a * bob joined");
    for n in 0..200 {
        bob.tls.refresh_traffic_keys().unwrap();
        bob.send(&format!("line {n}"));
        alice.expect(&format!("#a <bob> line {n}"));
    }
    let mut changes = Vec::new();
    for _ in 0..10_000 {
        bob.tls.refresh_traffic_keys().unwrap();
        bob.flush_into(&mut changes);
    }
    let _ = bob.stream.write_all(&changes);
    alice.expect("#a * bob lost reset");
}
