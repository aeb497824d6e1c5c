//! What delivering costs, as far as it can be counted exactly: memory taken, system calls made, bytes kept.
#![allow(
    missing_docs,
    unreachable_pub,
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "tests are no library, and may panic"
)]

use std::collections::HashSet;
use std::net::{SocketAddr, TcpStream};
use std::sync::mpsc::channel;
use std::thread;

use allocation_counter::{AllocationInfo, measure};
use chinwag::connection::Connection;
use chinwag::dialect::PLAIN;
use chinwag::home::Home;
use chinwag::listener::Carrier;
use chinwag::people::Person;
use chinwag::reactor::{Door, Reactor};
use chinwag::scrape::Monitors;
use chinwag::settings::Settings;
use chinwag::transport::{Stream, WebSocket};
use rustix::process::{Signal, getpid, kill_process};
use testkit::disk::Meddler;
use testkit::{Client, Server};

/// What a server of this very process takes from memory while these people do something, from its first turn to its last.
fn served(act: impl FnOnce(SocketAddr)) -> AllocationInfo {
    let (tell, told) = channel();
    let server = thread::spawn(move || {
        let settings = Settings { rate: 0, ..Settings::default() };
        let door = Door { dialect: &PLAIN, addresses: vec![("127.0.0.1:0".parse().unwrap(), Carrier::Plain)] };
        let reader = Box::new(|| Err("nobody asks for a reload".to_owned()));
        let mut reactor =
            Reactor::open(&[door], Monitors::default(), None, Home::temporary().unwrap(), settings, reader).unwrap();
        tell.send(reactor.addresses().unwrap()[0].0).unwrap();
        measure(|| reactor.run().unwrap())
    });
    act(told.recv().unwrap());
    kill_process(getpid(), Signal::TERM).unwrap();
    server.join().unwrap()
}

fn person(address: SocketAddr, nick: &str) -> Client {
    let mut client = Client::new(TcpStream::connect(address).unwrap());
    client.send("/set presence off");
    client.until("+ set presence off");
    client.ask(&format!("/nick {nick}"), &format!("+ nick {nick}"));
    client.ask("/set stamp on", "+ set stamp on");
    client
}

fn in_room(address: SocketAddr, nick: &str) -> Client {
    let mut client = person(address, nick);
    client.send("/join #room");
    client.until_starting("+ join #room ");
    client
}

/// What a server takes from memory that serves a room of so many people, who hear so many lines, each before the next.
fn room(people: usize, lines: usize) -> AllocationInfo {
    served(|address| {
        let mut listeners: Vec<Client> = (0..people).map(|n| in_room(address, &format!("p{n}"))).collect();
        let mut talker = in_room(address, "talker");
        for listener in &mut listeners {
            listener.settle();
        }
        for n in 0..lines {
            talker.send(&format!("line {n}"));
            for listener in &mut listeners {
                assert!(listener.line().unwrap().ends_with(&format!("<talker> line {n}")));
            }
        }
    })
}

#[test]
fn a_line_takes_as_much_memory_for_a_hundred_listeners_as_for_ten() {
    const LINES: u64 = 1000;
    let of_lines = |people| room(people, LINES as usize).count_total - room(people, 0).count_total;
    let (few, many) = (of_lines(10), of_lines(100));
    // The line that comes in, its text for the history, and the segment with the map that holds it open.
    assert!(few <= 8 * LINES, "{few} allocations for {LINES} lines");
    assert!(many <= few + LINES / 2, "{many} and not {few} allocations for {LINES} lines");
}

#[test]
fn a_busy_turn_writes_once_to_each_connection() {
    const LISTENERS: usize = 40;
    let server = Server::start(&["--rate", "0"]);
    let mut listeners: Vec<Client> = (0..LISTENERS).map(|n| server.in_room(&format!("p{n}"), "#room")).collect();
    let mut talkers: Vec<Client> = (0..4).map(|n| server.in_room(&format!("talker{n}"), "#room")).collect();
    listeners.iter_mut().for_each(|listener| drop(listener.settle()));
    let Some(watcher) = Meddler::attach(&server, "epoll_wait,write,writev,sendto,sendmsg", "", &[]) else { return };
    for round in 0..20 {
        for talker in &mut talkers {
            let lines: String = (0..8).map(|n| format!("{round} line {n}\n")).collect();
            talker.send_bytes(lines.as_bytes());
        }
        for listener in &mut listeners {
            (0..talkers.len() * 8).for_each(|_| drop(listener.starting("#room <talker")));
        }
    }
    let (mut busiest, mut written) = (0, HashSet::new());
    for call in watcher.calls() {
        if call.contains("epoll_wait") {
            busiest = busiest.max(written.len());
            written.clear();
        } else {
            let descriptor = call.split(['(', ',']).nth(1).unwrap().to_owned();
            assert!(written.insert(descriptor), "{call}");
        }
    }
    assert!(busiest >= LISTENERS, "{busiest} at most were written to in a turn");
}

#[test]
fn an_idle_connection_is_two_small_boxes() {
    // A stream has 16 bytes, and more in a debug build, in which mio notes with which poll a socket is registered.
    let noted = size_of::<Stream>() - 16;
    let connection = size_of::<Connection<Stream>>() - noted;
    // The C library has steps of 16 bytes, of which it takes 8: these are what 192 and 128 bytes take too.
    assert!(connection <= 200, "{connection}");
    assert!(size_of::<Person>() <= 136, "{}", size_of::<Person>());
}

#[test]
fn an_idle_browser_is_a_small_box_more() {
    let noted = size_of::<Stream>() - 16;
    let socket = size_of::<WebSocket<Stream>>() - noted;
    // With its place in the queue of those who are looked after, it is 112 bytes of memory.
    assert!(socket <= 88, "{socket}");
}
