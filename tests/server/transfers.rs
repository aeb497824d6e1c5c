//! Files over real sockets and a real disk.

use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use testkit::data::digest;
use testkit::{Client, Server, binary, control, eventually, noise};

/// Sends bytes as chunks of so many bytes.
fn send_chunks(client: &mut Client, bytes: &[u8], size: usize) {
    let chunks: String = bytes.chunks(size).map(|chunk| format!("={}\n", BASE64.encode(chunk))).collect();
    client.send_bytes(chunks.as_bytes());
}

/// Shares a file with a room, and returns its ID.
fn share(client: &mut Client, room: &str, bytes: &[u8], name: &str) -> String {
    client.send(&format!("/send {room} {} {name}", bytes.len()));
    let id = client.until_starting("+ send ").pop().unwrap().split(' ').nth(2).unwrap().to_owned();
    send_chunks(client, bytes, 40_000);
    assert_eq!(client.until_starting(&format!("={id} ")), [format!("={id} . {} {}", bytes.len(), digest(bytes))]);
    id
}

/// Reads what comes of a download up to its end: the bytes, and how many came on each line.
fn receive(client: &mut Client, id: &str) -> (Vec<u8>, Vec<usize>, String) {
    let (mut bytes, mut sizes) = (Vec::new(), Vec::new());
    loop {
        let line = client.until_starting(&format!("={id} ")).pop().unwrap();
        let rest = line.split_once(' ').unwrap().1;
        if rest.starts_with(['.', '!']) {
            return (bytes, sizes, rest.to_owned());
        }
        let chunk = BASE64.decode(rest).unwrap();
        sizes.push(chunk.len());
        bytes.extend_from_slice(&chunk);
    }
}

/// The folder in which a server without `--data` keeps its files, where `TMPDIR` is `dir`.
fn spool_in(dir: &Path) -> Option<PathBuf> {
    fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path()).next()
}

#[test]
fn chunks_of_any_size_make_the_same_file() {
    let server = Server::start(&[]);
    let mut alice = server.in_room("alice", "#a");
    let mut bob = server.in_room("bob", "#a");
    for (size, chunk) in [(1, 1), (700, 1), (12_288, 12_288), (12_289, 3), (100_000, 49_152), (30_000, 29_999)] {
        let bytes = noise(size, chunk as u64);
        alice.send(&format!("/send #a {size} x"));
        let id = alice.until_starting("+ send ").pop().unwrap().split(' ').nth(2).unwrap().to_owned();
        send_chunks(&mut alice, &bytes, chunk);
        alice.until(&format!("={id} . {size} {}", digest(&bytes)));
        bob.send(&format!("/get {id}"));
        bob.until(&format!("+ get {id} 0 {size} x"));
        let (got, sizes, end) = receive(&mut bob, &id);
        assert!(got == bytes, "{size} in chunks of {chunk}");
        assert_eq!(end, format!(". {size} {}", digest(&bytes)));
        assert!(sizes[..sizes.len() - 1].iter().all(|&n| n == 12_288), "{sizes:?}");
    }
}

#[test]
fn a_download_goes_along_with_the_upload() {
    let server = Server::start(&[]);
    let mut alice = server.in_room("alice", "#a");
    let mut bob = server.in_room("bob", "#a");
    let bytes = noise(60_000, 1);
    alice.until("#a * bob joined");
    alice.ask("/send #a 60000 live.bin", "+ send 1 0");
    bob.expect("#a * alice file 1 60000 live.bin");
    bob.ask("/get 1", "+ get 1 0 60000 live.bin");
    send_chunks(&mut alice, &bytes[..30_000], 7000);
    // Two lines can be had of the first half, and nothing more; chat goes on meanwhile.
    let mut got = Vec::new();
    for _ in 0..2 {
        got.extend(BASE64.decode(bob.starting("=1 ").split_once(' ').unwrap().1).unwrap());
    }
    bob.ask("/ping", "+ ping");
    alice.send("half of it");
    bob.expect("#a <alice> half of it");
    // Who has sent it all ends its input, and is told all the same.
    send_chunks(&mut alice, &bytes[30_000..], 7000);
    alice.end();
    // Bob ends its input too, and gets the rest.
    bob.end();
    let (rest, _, end) = receive(&mut bob, "1");
    got.extend(rest);
    assert!(got == bytes);
    assert_eq!(end, format!(". 60000 {}", digest(&bytes)));
    // Whether bob was faster to go is anybody's guess.
    alice.expect(&format!("=1 . 60000 {}", digest(&bytes)));
    bob.rest();
}

#[test]
fn several_downloads_run_at_once_from_any_offset_and_chat_flows() {
    let server = Server::start(&["--rate", "0"]);
    let mut alice = server.in_room("alice", "#a");
    let mut bob = server.in_room("bob", "#a");
    let files: Vec<Vec<u8>> = (0..5).map(|n| noise(1_000_000 + n, n as u64)).collect();
    for (n, bytes) in files.iter().enumerate() {
        assert_eq!(share(&mut alice, "#a", bytes, &format!("{n}.bin")), (n + 1).to_string());
    }
    bob.settle();
    for id in 1..=4 {
        bob.send(&format!("/get {id} {}", id * 5000));
    }
    bob.send("/get 5");
    bob.send("/get 1");
    alice.send("chat flows");
    let mut got: Vec<Vec<u8>> = vec![Vec::new(); 5];
    let (mut done, mut switches, mut last, mut chat_at) = (0, 0, String::new(), None);
    let mut lines = 0;
    while done < 4 {
        let line = bob.line().unwrap();
        let Some((id, rest)) = line.strip_prefix('=').and_then(|line| line.split_once(' ')) else {
            match line.as_str() {
                "#a <alice> chat flows" => chat_at = Some(lines),
                _ if line.starts_with("! get ") => {
                    assert!(line.starts_with("! get too-many ") || line.starts_with("! get busy "), "{line}");
                }
                _ => assert!(line.starts_with("+ get "), "{line}"),
            }
            continue;
        };
        lines += 1;
        let n: usize = id.parse::<usize>().unwrap() - 1;
        switches += usize::from(last != id);
        last = id.to_owned();
        if let Some(end) = rest.strip_prefix(". ") {
            assert_eq!(end, format!("{} {}", files[n].len(), digest(&files[n])));
            done += 1;
        } else {
            let chunk = BASE64.decode(rest).unwrap();
            // The first line brings the offset to a multiple of what a line has.
            if got[n].is_empty() {
                assert_eq!(chunk.len(), 12_288 - (n + 1) * 5000 % 12_288);
            }
            got[n].extend(chunk);
        }
    }
    for (n, bytes) in got.iter().enumerate().take(4) {
        assert!(*bytes == files[n][(n + 1) * 5000..], "file {n}");
    }
    // One after the other would be eight.
    assert!(switches > 20, "they take turns: {switches}");
    assert!(chat_at.is_some_and(|at| at < lines / 2), "chat waited behind {chat_at:?} of {lines} lines");
}

#[test]
fn a_cancelled_download_sends_nothing_more() {
    let server = Server::start(&["--rate", "0"]);
    let mut alice = server.in_room("alice", "#a");
    let mut bob = server.in_room("bob", "#a");
    let bytes = noise(3_000_000, 1);
    share(&mut alice, "#a", &bytes, "x");
    bob.settle();
    for _ in 0..20 {
        bob.send("/get 1");
        bob.until_starting("=1 ");
        bob.send("/cancel 1");
        bob.until("+ cancel 1");
        assert_eq!(bob.settle(), Vec::<String>::new());
    }
    bob.send("/get 1 2999999");
    bob.until("+ get 1 2999999 3000000 x");
    let (rest, ..) = receive(&mut bob, "1");
    assert_eq!(rest, bytes[2_999_999..]);
}

#[test]
fn who_stops_a_download_is_told_that_the_same_once_more_takes_the_file_away() {
    let server = Server::start(&["--rate", "0"]);
    let [mut olga, mut alice, mut bob] = ["olga", "alice", "bob"].map(|name| server.in_room(name, "#a"));
    share(&mut alice, "#a", &noise(3_000_000, 1), "x");
    let notice = "* notice your download of file 1 is stopped; /cancel 1 once more takes the file away from everybody";
    for (client, may) in [(&mut bob, false), (&mut alice, true), (&mut olga, true)] {
        client.settle();
        client.send("/get 1");
        client.until_starting("=1 ");
        client.send("/cancel 1");
        let told = client.until("+ cancel 1");
        assert_eq!(told.iter().any(|line| line == notice), may, "{:?}", told.last());
    }
    bob.send("/cancel 1");
    bob.until_starting("! cancel refused ");
    olga.ask("/cancel 1", "+ cancel 1");
    alice.until("#a * alice unfile 1 gone");
}

#[test]
fn the_spool_keeps_its_size_and_the_oldest_of_who_holds_most_goes_first() {
    let server = Server::start(&["--spool", "100K", "--rate", "0"]);
    let mut alice = server.in_room("alice", "#a");
    let mut bob = server.in_room("bob", "#a");
    let bytes = noise(40_000, 1);
    share(&mut alice, "#a", &bytes, "one");
    share(&mut alice, "#a", &bytes, "two");
    // An upload of somebody else's that broke off stays, though it may never become whole.
    let send = format!("/send #a 40000 {} broken", digest(&bytes));
    bob.send(&send);
    bob.until("+ send 3 0");
    send_chunks(&mut bob, &bytes[..15_000], 15_000);
    bob.send("/send nobody 1 x");
    bob.until_starting("! send no-such-nick ");
    alice.settle();
    // Now alice's oldest must go, and she sees it as well.
    alice.send("/send #a 15000 three");
    alice.until("+ send 4 0");
    send_chunks(&mut alice, &bytes[..15_000], 15_000);
    assert_eq!(alice.line().unwrap(), "#a * alice unfile 1 gone");
    alice.until(&format!("=4 . 15000 {}", digest(&bytes[..15_000])));
    bob.until("#a * alice unfile 1 gone");
    bob.send(&send);
    bob.until("+ send 3 15000");
    send_chunks(&mut bob, &bytes[15_000..], 25_000);
    bob.until(&format!("=3 . 40000 {}", digest(&bytes)));
    bob.send("/get 1");
    bob.until_starting("! get no-such-file ");
    // What can never fit drives out nobody: no file may be larger than the space for all of them.
    alice.settle();
    alice.send("/send #a 200000 huge");
    alice.until_starting("! send too-big ");
    // Two at once that are still coming cannot be evicted for one another.
    let mut carol = server.in_room("carol", "#a");
    alice.until("#a * carol joined");
    alice.ask("/send #a 60000 a", "+ send 5 0");
    send_chunks(&mut alice, &noise(59_000, 2), 30_000);
    alice.settle();
    carol.send("/send #a 60000 b");
    carol.until("+ send 6 0");
    send_chunks(&mut carol, &noise(59_000, 2), 30_000);
    carol.until_starting("=6 ! no-space ");
}

#[test]
fn uploads_in_one_breath_make_space_for_each_other() {
    let server = Server::start(&["--spool", "3000", "--rate", "0"]);
    let mut alice = server.in_room("alice", "#a");
    let bytes = noise(1000, 1);
    let one = format!("/send #a 1000 x\n={}\n", BASE64.encode(&bytes));
    alice.send_bytes(one.repeat(15).as_bytes());
    for id in 1..=15 {
        alice.until(&format!("={id} . 1000 {}", digest(&bytes)));
    }
    alice.send("/files");
    assert_eq!(alice.until_starting("+ files ").last().unwrap(), "+ files 3");
}

#[test]
fn files_have_limits() {
    let server = Server::start(&["--max-file", "1K", "--rate", "0"]);
    let mut alice = server.in_room("alice", "#a");
    alice.send("/send #a 1025 x");
    alice.starting("! send too-big ");
    alice.send("/send #a 99999999999999999999999999 x");
    alice.starting("! send too-big ");
    for n in 1..=20 {
        share(&mut alice, "#a", &noise(10, n), "x");
    }
    alice.send("/send #a 10 x");
    alice.starting("! send too-many ");
    alice.ask("/cancel 7", "+ cancel 7");
    share(&mut alice, "#a", &noise(10, 21), "x");
}

#[test]
fn files_expire() {
    let server = Server::start(&["--file-ttl", "1s"]);
    let mut alice = server.in_room("alice", "#a");
    share(&mut alice, "#a", b"soon gone", "x");
    alice.expect("#a * alice unfile 1 gone");
    alice.ask("/files", "+ files 0");
    alice.send("/get 1");
    assert!(alice.starting("! get no-such-file ").contains("or its time may be over (1 second here); "));
}

#[test]
fn who_fetches_is_told_what_became_of_the_upload_and_not_what_its_sender_can_do() {
    let server = Server::start(&[]);
    let bytes = noise(100_000, 1);
    let mut bob = server.in_room("bob", "#a");
    for (id, (ends, own, told)) in [
        (
            "=A\n",
            "! bad-chunk a chunk is = and at most ",
            "! bad-chunk its sender's upload failed, so this file never comes; ",
        ),
        ("/send", "! gone another /send broke it off", "! gone its sender's upload broke off; if that goes on, "),
        ("/cancel ID", "+ cancel ID", "! gone its sender withdrew it"),
    ]
    .into_iter()
    .enumerate()
    {
        let id = (id + 1).to_string();
        let mut alice = server.in_room(&format!("alice{id}"), "#a");
        alice.ask(&format!("/send #a 100000 {} x", digest(&bytes)), &format!("+ send {id} 0"));
        send_chunks(&mut alice, &bytes[..32_000], 16_000);
        bob.send(&format!("/get {id}"));
        bob.until_starting(&format!("+ get {id} "));
        alice.send(ends.replace("ID", &id).trim_end());
        let own = if own.starts_with('+') { own.replace("ID", &id) } else { format!("={id} {own}") };
        alice.until_starting(&own);
        bob.until_starting(&format!("={id} {told}"));
    }
}

#[test]
fn an_upload_is_taken_up_again() {
    let server = Server::start(&[]);
    let bytes = noise(100_000, 1);
    let send = format!("/send #a 100000 {} big.bin", digest(&bytes));
    let mut alice = server.in_room("alice", "#a");
    alice.ask(&send, "+ send 1 0");
    send_chunks(&mut alice, &bytes[..64_000], 16_000);
    alice.settle();
    drop(alice);
    let mut bob = server.in_room("bob", "#a");
    let mut alice = {
        let mut client = server.connect();
        client.send("/set presence off");
        client.until("+ set presence off");
        eventually("the name is free", || {
            client.send("/nick alice");
            client.line().unwrap() == "+ nick alice"
        });
        client
    };
    alice.send("/join #a");
    alice.until_starting("+ join #a ");
    alice.ask(&send, "+ send 1 64000");
    assert_eq!(bob.until_starting("#a * alice file").last().unwrap(), "#a * alice file 1 100000 big.bin");
    send_chunks(&mut alice, &bytes[64_000..], 16_000);
    alice.expect(&format!("=1 . 100000 {}", digest(&bytes)));
    bob.send("/get 1");
    bob.until("+ get 1 0 100000 big.bin");
    assert!(receive(&mut bob, "1").0 == bytes);
}

#[test]
fn the_temporary_folder_goes_with_the_server() {
    let dir = tempfile::tempdir().unwrap();
    let mut command = std::process::Command::new(binary());
    let mut server = Server::start_with(command.env("TMPDIR", dir.path()).args(["serve", "--listen", "127.0.0.1:0"]));
    let mut alice = server.in_room("alice", "#a");
    share(&mut alice, "#a", b"something", "x");
    let spool = spool_in(dir.path()).expect("a folder for files");
    assert_eq!(fs::read(spool.join("1")).unwrap(), b"something");
    alice.ask("/cancel 1", "+ cancel 1");
    eventually("the file is removed", || !spool.join("1").exists());
    server.signal("TERM");
    alice.rest();
    drop(alice);
    server.wait();
    assert_eq!(spool_in(dir.path()), None);
}

#[test]
fn an_id_that_was_given_out_in_the_last_moment_is_not_used_again() {
    let dir = tempfile::tempdir().unwrap();
    let options = ["--rate", "0", "--data", dir.path().to_str().unwrap()];
    for _ in 0..3 {
        let mut server = Server::start(&options);
        let mut alice = server.in_room("alice", "#a");
        alice.send_bytes("/send #a 5 x\n".repeat(900).as_bytes());
        let first = alice.until_starting("+ send ").pop().unwrap();
        server.signal("TERM");
        let given = alice.rest().into_iter().rfind(|line| line.starts_with("+ send ")).unwrap_or(first);
        drop(alice);
        server.wait();
        let given: u64 = given.split(' ').nth(2).unwrap().parse().unwrap();
        let next: u64 = fs::read_to_string(dir.path().join("next-id")).unwrap().trim().parse().unwrap();
        assert!(next > given, "{given} was given out, and {next} is next");
    }
}

#[test]
fn file_ids_are_never_used_again() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("new/data");
    let options = ["--data", data.to_str().unwrap()];
    let run = |kill: bool| -> u64 {
        let mut server = Server::start(&options);
        let mut alice = server.in_room("alice", "#a");
        let id = share(&mut alice, "#a", b"x", "x").parse().unwrap();
        // One that is gone again does not give its ID to another.
        let gone = share(&mut alice, "#a", b"y", "y");
        assert_eq!(gone.parse(), Ok(id + 1));
        alice.ask(&format!("/cancel {gone}"), &format!("+ cancel {gone}"));
        eventually("it is gone from the disk", || !data.join("spool").join(format!("{gone}.info")).exists());
        if !kill {
            server.signal("TERM");
            alice.rest();
            drop(alice);
            server.wait();
        }
        id
    };
    assert_eq!([run(false), run(false)], [1, 3]);
    let third = run(true);
    assert_eq!(third, 5);
    // After a sudden end IDs that may have been given are skipped.
    assert!(run(false) > third + 1);
    // And the files are all there still.
    let server = Server::start(&options);
    let mut bob = server.in_room("bob", "#a");
    bob.send("/files");
    assert_eq!(bob.until_starting("+ files ").last().unwrap(), "+ files 4");
}

/// Has many people begin an upload to bob and send `input`, each until `last` is seen. Then bob goes, and with him the
/// uploads, and the next ones come. Those who were there before stay, but not what they sent.
fn uploads_end(input: &[u8], last: &[u8]) {
    const CROWD: usize = 200;
    let server = Server::start(&[]);
    let see = |stream: &mut TcpStream, what: &[u8]| {
        let mut seen = Vec::new();
        while !seen.windows(what.len()).any(|seen| seen == what) {
            let mut more = [0; 4096];
            match stream.read(&mut more).expect("what was waited for") {
                0 => panic!("closed after {}", seen.escape_ascii()),
                n => seen.extend_from_slice(&more[..n]),
            }
        }
    };
    let mut streams = Vec::new();
    let mut wave = || {
        let mut bob = server.person("bob");
        for _ in 0..CROWD {
            let mut stream = TcpStream::connect(server.socket_address()).unwrap();
            stream.set_read_timeout(Some(testkit::PATIENCE)).unwrap();
            stream.write_all(b"/set presence off\n/send bob 100000 x\n").unwrap();
            see(&mut stream, b"+ send ");
            stream.write_all(input).unwrap();
            see(&mut stream, last);
            streams.push(stream);
        }
        bob.send("/quit");
        bob.until("+ quit");
        eventually("the name is free", || {
            let mut other = server.connect();
            other.send("/who bob");
            other.until_starting("! who ").len() == 1
        });
        server.usage().unwrap().resident
    };
    let first = wave();
    for _ in 0..2 {
        wave();
    }
    let most = wave() - first;
    assert!(most < 3 * CROWD as u64 * 24, "{} KiB a connection", most / (3 * CROWD as u64));
}

#[test]
fn an_upload_that_ends_gives_back_what_came_of_a_chunk() {
    // A telnet option at the end is answered when all has been read.
    let chunk = [b"=", &[b'A'; 65_000][..], b"\xff\xfd\x03"].concat();
    uploads_end(&chunk, b"\xff\xfc\x03");
}

#[test]
fn lines_behind_an_upload_that_ended_are_not_all_held_in_memory() {
    uploads_end(&[b"=%\n", "x\n".repeat(32_000).as_bytes()].concat(), b" ! bad-chunk ");
}

#[test]
fn an_upload_that_cannot_go_on_is_not_told_as_one_that_may() {
    let server = Server::start(&[]);
    let bytes = noise(100_000, 1);
    let mut bob = server.in_room("bob", "#a");
    for (id, (with_digest, told)) in [
        (true, "! gone its sender's upload broke off; if that goes on, "),
        (false, "! gone its sender's upload broke off, so this file never comes; "),
    ]
    .into_iter()
    .enumerate()
    {
        let id = (id + 1).to_string();
        let mut alice = server.in_room(&format!("alice{id}"), "#a");
        let digest = if with_digest { format!("{} ", digest(&bytes)) } else { String::new() };
        alice.ask(&format!("/send #a 100000 {digest}x"), &format!("+ send {id} 0"));
        send_chunks(&mut alice, &bytes[..32_000], 16_000);
        bob.send(&format!("/get {id}"));
        bob.until_starting(&format!("+ get {id} "));
        drop(alice);
        bob.until_starting(&format!("={id} {told}"));
    }
}

#[test]
fn whoever_runs_the_server_has_all_files_listed() {
    let dir = tempfile::tempdir().unwrap();
    let server = Server::start(&["--data", dir.path().to_str().unwrap(), "--rate", "0"]);
    let ctl = |lines: &str| control(&dir.path().join("ctl"), lines);
    let mut alice = server.in_room("alice", "#a");
    let mut bob = server.in_room("bob", "#den");
    bob.send("/room hidden on");
    bob.until_starting("+ room #den hidden on");
    share(&mut alice, "#a", b"abc", "in the open");
    share(&mut bob, "#den", b"abcd", "hidden");
    share(&mut alice, "bob", b"abcde", "secret");
    bob.send("/send #den 100 coming");
    bob.until_starting("+ send 4 ");
    let rows = |lines: &str| {
        let told = ctl(lines);
        let no_age = |line: &String| {
            let mut fields: Vec<&str> = line.split(' ').collect();
            if fields[0] == "-" {
                fields.remove(5);
            }
            fields.join(" ")
        };
        told.iter().map(no_age).collect::<Vec<_>>()
    };
    let [open, hidden, secret, coming] = [
        "- 1 3 alice #a ready in the open",
        "- 2 4 bob #den ready hidden",
        "- 3 5 alice @bob ready secret",
        "- 4 100 bob #den coming coming",
    ];
    assert_eq!(rows("/files\n"), [open, hidden, secret, coming, "+ files 4"]);
    assert_eq!(rows("/files #den\n"), [hidden, coming, "+ files 2"]);
    assert_eq!(rows("/files bob\n"), [secret, "+ files 1"]);
    assert_eq!(rows("/files #nowhere\n"), ["! files no-such-room there is no room #nowhere; /rooms lists them"]);
    assert_eq!(rows("/cancel 3\n/files alice\n"), ["+ cancel 3", "+ files 0"]);
    assert_eq!(rows("/cancel 3\n"), ["! cancel no-such-file there is no such file; /files lists them"]);
    assert!(ctl("/get 1\n")[0].starts_with("! get refused "));
    // Nobody else sees more than before.
    let mut carol = server.in_room("carol", "#a");
    carol.send("/files");
    carol.starting(open.split_once(" ready").unwrap().0);
    carol.expect("+ files 1");
}
