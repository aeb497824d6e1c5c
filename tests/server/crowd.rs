//! Many connections.

use std::net::{SocketAddr, TcpStream};

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use socket2::{Domain, Socket, Type};
use testkit::{Client, Server};

/// Lets this process and the servers that it starts have as many descriptors as the system allows.
fn raise_limit(needed: u64) {
    let Rlimit { maximum, .. } = getrlimit(Resource::Nofile);
    setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum }).unwrap();
    assert!(maximum.is_none_or(|maximum| maximum >= needed), "the test needs {needed} descriptors: ulimit -n {needed}");
}

/// Connects from one of several addresses, as one has ports for only so many connections.
fn connect(server: &Server, n: usize) -> TcpStream {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    let from: SocketAddr = format!("127.0.0.{}:0", 2 + n % 8).parse().unwrap();
    socket.bind(&from.into()).unwrap();
    let to: SocketAddr = server.address().parse().unwrap();
    socket.connect(&to.into()).unwrap();
    socket.into()
}

#[test]
fn a_thousand_in_one_room_miss_no_line() {
    const PEOPLE: usize = 1000;
    raise_limit(3 * PEOPLE as u64 + 100);
    let server = Server::start(&[]);
    let mut clients: Vec<Client> = Vec::new();
    for n in 0..PEOPLE {
        let mut client = Client::new(connect(&server, n));
        client.send("/set presence off\n/set echo on\n/join #a");
        client.until_starting("+ join #a ");
        clients.push(client);
    }
    // The last one who came in has been seen by everybody who speaks now.
    for (n, client) in clients.iter_mut().enumerate() {
        client.send(&format!("line {n}"));
    }
    let hearing: Vec<_> = clients
        .into_iter()
        .map(|mut client| {
            // A thread each would be a heavy way to read; a few hundred lines wait well in the system's buffers.
            move || {
                let mut heard: Vec<String> = Vec::new();
                while heard.len() < PEOPLE {
                    let line = client.line().expect("all lines");
                    if line.contains("> line ") {
                        heard.push(line);
                    }
                }
                heard
            }
        })
        .collect();
    let mut first: Option<Vec<String>> = None;
    for hear in hearing {
        let mut hear = hear;
        let heard = hear();
        let first = first.get_or_insert_with(|| heard.clone());
        assert_eq!(*first, heard, "everybody hears the same lines in the same order");
    }
    let mut numbers: Vec<usize> =
        first.unwrap().iter().map(|line| line.rsplit(' ').next().unwrap().parse().unwrap()).collect();
    numbers.sort_unstable();
    assert!(numbers.into_iter().eq(0..PEOPLE));
}

#[test]
fn five_thousand_idle_connections_cost_little() {
    const PEOPLE: usize = 5000;
    raise_limit(2 * PEOPLE as u64 + 200);
    let server = Server::start(&[]);
    server.connect().settle();
    let before = server.resident();
    let mut crowd: Vec<TcpStream> = (0..PEOPLE).map(|n| connect(&server, n)).collect();
    // Idle are also those who said something once.
    for stream in &mut crowd {
        std::io::Write::write_all(stream, b"/set presence on\n/join #a\nhello\n/leave #a\n").unwrap();
    }
    let mut last = Client::new(crowd.pop().unwrap());
    last.until_starting("* hello ");
    // The lines about the last of them have gone out when the one who asks has them.
    while !last.until_starting("* presence ").last().unwrap().contains("guest5000") {}
    let each = (server.resident() - before) * 1024 / PEOPLE;
    assert!(each < 3 * 1024, "{each} bytes each");
}
