//! The other ends of connections: those that break in the midst of a line, take little at a time, or are dead.

use std::collections::BTreeSet;
use std::io::Read;
use std::net::{SocketAddr, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

use socket2::{Domain, SockFilter, SockRef, Socket, Type};
use testkit::{Client, Server, eventually};

fn descriptors(server: &Server) -> usize {
    server.usage().unwrap().descriptors
}

#[test]
fn resets_in_the_middle_of_a_line_leave_no_trace_in_others() {
    const PEOPLE: usize = 200;
    let server = Server::start(&["--rate", "0"]);
    let mut alice = server.in_room("alice", "#a");
    alice.settle();
    let before = descriptors(&server);
    let long = "é".repeat(1500);
    for n in 0..PEOPLE {
        let mut client = server.in_room(&format!("p{n}"), "#a");
        // The end comes within the line, and within a character of it.
        let half = format!("half {n} {long}");
        client.send(&format!("whole {n}"));
        client.send_bytes(&half.as_bytes()[..half.len() - 1 - n % 50]);
        SockRef::from(&client.stream).set_linger(Some(Duration::ZERO)).unwrap();
    }
    let mut gone = BTreeSet::new();
    let (mut whole, mut halves) = (0, 0);
    while gone.len() < PEOPLE {
        let line = alice.starting("#a ");
        if let Some((who, "lost reset")) = line["#a ".len()..].strip_prefix("* ").and_then(|rest| rest.split_once(' '))
        {
            assert!(gone.insert(who.to_owned()), "{who} is lost twice");
        } else if let Some((who, text)) = line.strip_prefix("#a <p").and_then(|rest| rest.split_once("> ")) {
            // Nothing of anybody's is in anybody else's, and what was cut is cut at its end.
            whole += usize::from(text == format!("whole {who}"));
            let half = text.trim_end_matches(['é', '\u{fffd}']) == format!("half {who} ");
            halves += usize::from(half);
            assert!(half || text == format!("whole {who}"), "{line:.80}");
        } else {
            assert!(line.ends_with(" joined"), "{line:.80}");
        }
    }
    assert_eq!(whole, PEOPLE, "what had arrived whole is carried out");
    assert!(halves <= PEOPLE);
    eventually("their descriptors are closed", || descriptors(&server) <= before);
    alice.ask("/ping", "+ ping");
}

/// Connects with as small a receive buffer as there can be.
pub fn narrow(server: &Server) -> Client {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    socket.set_recv_buffer_size(1).unwrap();
    let to: SocketAddr = server.address().parse().unwrap();
    socket.connect(&to.into()).unwrap();
    Client::new(TcpStream::from(socket))
}

#[test]
fn lines_come_whole_through_a_small_window() {
    let server = Server::start(&["--rate", "0"]);
    let mut alice = server.in_room("alice", "#a");
    let mut bob = narrow(&server);
    // What it says comes byte by byte.
    for byte in b"/set presence off\r\n/nick bob\r\n/join #a\r\n" {
        bob.send_bytes(&[*byte]);
    }
    bob.until_starting("+ join #a ");
    alice.until("#a * bob joined");
    let said: Vec<String> = (0..200).map(|n| format!("{n} {}", "é".repeat((n * 37) % 1900))).collect();
    for line in &said {
        alice.send(line);
    }
    alice.settle();
    // A few bytes are read at a time.
    let mut want = String::new();
    said.iter().for_each(|line| want += &format!("#a <alice> {line}\r\n"));
    let mut got = Vec::new();
    let mut sizes = (1..).map(|n| 1 + (n * 7) % 400);
    while got.len() < want.len() {
        let mut part = vec![0; sizes.next().unwrap()];
        let read = bob.reader().read(&mut part).unwrap();
        assert!(read > 0, "the end after {} bytes", got.len());
        got.extend(&part[..read]);
        assert!(want.as_bytes().starts_with(&got), "{:?}", String::from_utf8_lossy(&got[got.len() - read..]));
    }
}

#[test]
fn who_takes_little_is_not_taken_for_dead() {
    let server = Server::start(&["--rate", "0"]);
    let mut little = narrow(&server);
    little.send("/set presence off\n/join #a");
    little.until_starting("+ join #a ");
    let mut talker = server.in_room("talker", "#a");
    // Much more than the system takes for it.
    (0..100).for_each(|_| talker.send(&"x".repeat(3900)));
    let since = Instant::now();
    // The system gives up after 75 seconds, if it is let.
    while since.elapsed() < Duration::from_secs(85) {
        assert!(little.reader().read(&mut [0; 512]).unwrap() > 0);
        thread::sleep(Duration::from_millis(500));
    }
    let heard = talker.settle();
    assert!(!heard.iter().any(|line| line.contains(" lost ")), "{heard:?}");
}

/// The client's kernel takes nothing more from the network for this connection, as if its cable were cut.
fn cut_cable(client: &Client) {
    // The program of one instruction: return 0, which is how much of a packet is let in.
    SockRef::from(&client.stream).attach_filter(&[SockFilter::new(0x06, 0, 0, 0)]).unwrap();
}

#[test]
fn the_dead_are_gone_within_ninety_seconds_and_the_silent_are_not() {
    let server = Server::start(&["--rate", "0"]);
    let mut witness = server.in_room("witness", "#idle");
    witness.send("/join #little\n/join #much");
    witness.until("+ join #much 1");
    let idle = server.in_room("idle", "#idle");
    let little = server.in_room("little", "#little");
    let much = server.in_room("much", "#much");
    // Alive, and does not read: its kernel does.
    let mut silent = server.in_room("silent", "#little");
    let mut talker = server.in_room("talker", "#much");
    talker.send("/join #little");
    talker.until_starting("+ join #little ");
    witness.until("#little * talker joined");
    let since = Instant::now();
    for client in [&idle, &little, &much] {
        cut_cable(client);
    }
    let mut said = 0;
    let hearing = thread::spawn(move || {
        let mut lost = Vec::new();
        // The witness hears the talk as well, and so is never without a line for long.
        while lost.len() < 3 {
            let line = witness.line().unwrap();
            if line.contains(" lost ") {
                lost.push((line, since.elapsed()));
            }
            if since.elapsed() > Duration::from_secs(100) {
                break;
            }
        }
        lost
    });
    let text = "x".repeat(1000);
    while !hearing.is_finished() {
        if said % 50 == 0 {
            talker.send(&format!("/msg #little {said}"));
        }
        talker.send(&format!("/msg #much {said} {text}"));
        said += 1;
        talker.settle();
        // Ten lines a second in the one room, one in five seconds in the other.
        thread::sleep(Duration::from_millis(100));
    }
    let lost = hearing.join().unwrap();
    let who: BTreeSet<&str> = lost.iter().map(|(line, _)| line.split(' ').nth(2).unwrap()).collect();
    assert_eq!(who, BTreeSet::from(["idle", "little", "much"]), "{lost:?}");
    assert!(lost.iter().all(|(_, after)| *after <= Duration::from_secs(90)), "{lost:?}");
    // Their names are free.
    for nick in ["idle", "little", "much"] {
        talker.send(&format!("/nick {nick}"));
        talker.until(&format!("+ nick {nick}"));
    }
    // Whoever was silent has missed nothing.
    talker.send("/msg #little the end");
    talker.settle();
    let heard = silent.until("#little <much> the end");
    let talk = heard.iter().filter(|line| line.starts_with("#little <talker> ")).count();
    assert_eq!(talk, said / 50 + usize::from(said % 50 > 0));
    drop((idle, little, much));
}
