//! Many connections.

use testkit::{Client, Server, connect, raise_limit};

#[test]
fn a_thousand_in_one_room_miss_no_line() {
    const PEOPLE: usize = 1000;
    raise_limit(3 * PEOPLE as u64 + 100).unwrap();
    let server = Server::start(&[]);
    let mut clients: Vec<Client> = Vec::new();
    for n in 0..PEOPLE {
        let mut client = Client::new(connect(server.socket_address(), n, None).unwrap());
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
    raise_limit(2 * PEOPLE as u64 + 200).unwrap();
    let server = Server::start(&[]);
    server.connect().settle();
    let before = server.usage().unwrap().resident;
    let mut crowd: Vec<_> = (0..PEOPLE).map(|n| connect(server.socket_address(), n, None).unwrap()).collect();
    // Idle are also those who said something once.
    for stream in &mut crowd {
        std::io::Write::write_all(stream, b"/set presence on\n/join #a\nhello\n/leave #a\n").unwrap();
    }
    let mut last = Client::new(crowd.pop().unwrap());
    last.until_starting("* hello ");
    // The lines about the last of them have gone out when the one who asks has them.
    while !last.until_starting("* presence ").last().unwrap().contains("guest5000") {}
    let each = (server.usage().unwrap().resident - before) * 1024 / PEOPLE as u64;
    assert!(each < 3 * 1024, "{each} bytes each");
}
