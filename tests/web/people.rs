//! People over WebSockets: they talk with others, are slow, are lost and come back.

use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use chinwag::limits;
use testkit::{PATIENCE, Server};
use tungstenite::Message;
use tungstenite::protocol::frame::coding::CloseCode;

use crate::browser::{CLOSE, PING, PONG, Socket, TEXT, answer, frame, knock, start, web};

#[test]
fn people_over_both_doors_share_a_room() {
    let server = start(&[]);
    let mut alice = server.in_room("alice", "#a");
    let stream = TcpStream::connect(web(&server)).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let url = format!("ws://{}/ws", web(&server));
    let (mut bob, answer) = tungstenite::client(&url, stream).unwrap();
    assert_eq!(answer.status(), 101);
    let mut heard = String::new();
    let mut until = |bob: &mut tungstenite::WebSocket<TcpStream>, want: &str| {
        while !heard.contains(want) {
            match bob.read().unwrap() {
                Message::Text(text) => heard.push_str(&text),
                other => panic!("{other:?}"),
            }
        }
        std::mem::take(&mut heard)
    };
    until(&mut bob, "* hello ");
    bob.send(Message::text("/nick bob\n/join #a\n")).unwrap();
    until(&mut bob, "+ join #a 2\n");
    alice.expect("#a * bob joined");
    bob.send(Message::text("h\u{e9}llo")).unwrap();
    alice.expect("#a <bob> h\u{e9}llo");
    alice.send("hi bob");
    until(&mut bob, "#a <alice> hi bob\n");
    bob.close(None).unwrap();
    let closed = loop {
        match bob.read() {
            Ok(Message::Close(frame)) => break frame,
            Ok(_) => {}
            Err(e) => panic!("{e}"),
        }
    };
    assert!(closed.is_none_or(|frame| frame.code == CloseCode::Normal));
    alice.expect("#a * bob quit");
}

#[test]
fn how_a_socket_ends_is_how_somebody_goes() {
    let server = start(&[]);
    let mut alice = server.in_room("alice", "#a");
    for (end, want) in [
        (frame(0x80 | TEXT, b"/quit"), "quit"),
        (frame(0x80 | CLOSE, b""), "quit"),
        (frame(0x80 | CLOSE, &1000_u16.to_be_bytes()), "quit"),
        (frame(0x80 | CLOSE, &1001_u16.to_be_bytes()), "quit"),
        (frame(0x80 | CLOSE, &4000_u16.to_be_bytes()), "lost reset"),
        (Vec::new(), "lost reset"),
        (frame(TEXT, b"half"), "lost reset"),
    ] {
        let mut bob = Socket::open(&server, &[]);
        bob.send("/nick bob\n/join #a");
        bob.until("+ join #a");
        alice.expect("#a * bob joined");
        bob.send_raw(&end);
        drop(bob);
        alice.expect(&format!("#a * bob {want}"));
    }
}

#[test]
fn the_server_says_why_it_closes() {
    let data = tempfile::tempdir().unwrap();
    let mut server = start(&["--data", data.path().to_str().unwrap()]);
    let mut bob = Socket::open(&server, &[]);
    bob.send("/nick bob");
    bob.until("+ nick bob");
    testkit::control(&data.path().join("ctl"), "/kill bob\n");
    let (lines, code) = bob.end();
    assert!(lines.last().unwrap().starts_with("* bye killed ") && code == Some(1000), "{lines:?} {code:?}");
    // Who is in a browser has no nc to end.
    assert!(!lines.last().unwrap().contains("nc"), "{lines:?}");
    let mut quits = Socket::open(&server, &[]);
    quits.send("/quit");
    assert_eq!(quits.end(), (vec!["+ quit".to_owned()], Some(1000)));
    let mut stays = Socket::open(&server, &[]);
    server.signal("TERM");
    let (lines, code) = stays.end();
    assert!(lines.last().unwrap().starts_with("* bye shutdown ") && code == Some(1001), "{lines:?} {code:?}");
    server.wait();
}

#[test]
fn who_finds_no_place_is_told_so_as_a_browser_can_hear_it() {
    let server = start(&["--max-clients", "1"]);
    let _alice = server.person("alice");
    let page = answer(&server, &format!("GET / HTTP/1.1\r\nHost: {}\r\n\r\n", web(&server)));
    assert!(page.starts_with("HTTP/1.1 503 ") && page.contains("\r\nRetry-After: 30\r\n"), "{page}");
    assert!(page.contains("<p>The server is full."), "{page}");
    let (lines, code) = Socket::open_raw(&server, &[]).end();
    assert!(lines[0].starts_with("* bye full ") && code == Some(1013), "{lines:?} {code:?}");
    // A browser may lose all that it was told where the stream ends before it has closed too.
    let mut turned_away = Socket::open_raw(&server, &[]);
    assert_eq!(turned_away.end().1, Some(1013));
    turned_away.stream.set_read_timeout(Some(limits::LINGER / 4)).unwrap();
    assert_eq!(turned_away.stream.read(&mut [0]).unwrap_err().kind(), ErrorKind::WouldBlock);
    turned_away.stream.set_read_timeout(Some(PATIENCE)).unwrap();
    turned_away.send_raw(&frame(0x80 | CLOSE, &1013_u16.to_be_bytes()));
    assert_eq!(turned_away.stream.read(&mut [0]).unwrap(), 0);
    // However many wait without a word, whoever comes is heard: the one that has been silent for longest makes place, and is told so.
    let mut waiting: Vec<_> = (0..limits::WEB_WHILE_FULL).map(|_| knock(&server)).collect();
    let (lines, code) = Socket::open_raw(&server, &[]).end();
    assert!(lines[0].starts_with("* bye full ") && code == Some(1013), "{lines:?} {code:?}");
    let mut told = String::new();
    waiting[0].read_to_string(&mut told).unwrap();
    assert!(told.starts_with("HTTP/1.1 503 "), "{told}");
}

#[test]
fn whoever_knows_no_password_is_refused_in_the_code_too() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("password");
    std::fs::write(&file, "secret word\n").unwrap();
    let server = start(&["--password-file", file.to_str().unwrap()]);
    let mut mallory = Socket::open_raw(&server, &[]);
    mallory.send(&"/pass guessed\n".repeat(10));
    let (lines, code) = mallory.end();
    assert!(lines.last().unwrap().starts_with("* bye refused ") && code == Some(1013), "{lines:?} {code:?}");
}

#[test]
fn within_a_handshake_of_tls_nobody_is_told_anything_in_clear() {
    let data = tempfile::tempdir().unwrap();
    let folder = data.path().to_str().unwrap();
    let server = Server::start(&["--web-tls", "127.0.0.1:0", "--max-clients", "1", "--data", folder]);
    let _alice = server.person("alice");
    let connect = || {
        let stream = TcpStream::connect(server.door("web https://")).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream
    };
    let mut waiting: Vec<_> = (0..=limits::WEB_WHILE_FULL).map(|_| connect()).collect();
    let mut told = Vec::new();
    waiting[0].read_to_end(&mut told).unwrap();
    assert!(told.is_empty(), "{}", told.escape_ascii());
    // What speaks no TLS at all is counted as that, and once.
    let mut clear = connect();
    clear.write_all(b"GET / HTTP/1.1\r\n\r\n").unwrap();
    let mut told = String::new();
    clear.read_to_string(&mut told).unwrap();
    assert!(told.starts_with("HTTP/1.1 400 ") && told.contains("https://"), "{told}");
    let metrics = testkit::control(&data.path().join("ctl"), "/metrics\n");
    let counted = |result: &str| {
        let row = format!("chinwag_handshakes_total{{result=\"{result}\"}} ");
        metrics.iter().find_map(|line| line.split_once(&row).map(|(_, count)| count.to_owned())).unwrap()
    };
    assert_eq!((counted("not-tls"), counted("ok"), counted("evicted")), ("1".into(), "0".into(), "2".into()));
}

#[test]
fn a_place_is_kept_and_taken_up_whatever_the_close_frame_says() {
    let server = start(&[]);
    let mut alice = server.in_room("alice", "#a");
    let mut bob = Socket::open(&server, &[]);
    bob.send("/nick bob\n/join #a");
    bob.until("+ join #a");
    alice.expect("#a * bob joined");
    bob.send("/keep");
    let kept = bob.until("+ keep ");
    assert!(kept.ends_with(" 180"), "{kept}");
    let token = kept.split(' ').nth(2).unwrap().to_owned();
    bob.send_raw(&frame(0x80 | CLOSE, &1001_u16.to_be_bytes()));
    assert_eq!(bob.end().1, Some(1001));
    alice.send("while you are away");
    let mut again = Socket::open(&server, &[]);
    again.send(&format!("/resume {token} 0"));
    again.until("+ resume bob");
    assert_eq!(again.until("#a "), "#a <alice> while you are away");
    again.send("back");
    alice.expect("#a <bob> back");
}

#[test]
fn a_slow_reader_gets_whole_lines_and_then_all_of_what_it_is_owed() {
    let server = start(&["--rate", "0", "--history", "2000"]);
    let mut alice = server.in_room("alice", "#a");
    let mut bob = Socket::open(&server, &[]);
    bob.send("/nick bob\n/join #a\n/set presence off");
    bob.until("+ set presence off");
    alice.expect("#a * bob joined");
    let long = "\u{e4}\u{1f98a}".repeat(600);
    // It reads nothing, and becomes a slow consumer.
    for n in 0..2000 {
        alice.send(&format!("{n} {long}"));
    }
    alice.settle();
    let mut last = None;
    while last != Some(1999) {
        let line = bob.until("");
        if let Some(said) = line.strip_prefix("#a <alice> ") {
            let (n, text) = said.split_once(' ').unwrap();
            assert_eq!(text, long);
            assert!(last < Some(n.parse::<usize>().unwrap()));
            last = Some(n.parse().unwrap());
        } else if line.contains(" missed ") {
            break;
        }
    }
    bob.send("/ping still here");
    bob.until("+ ping still here");
}

#[test]
fn a_file_comes_whole_over_a_socket() {
    let server = start(&["--rate", "0"]);
    let mut alice = server.in_room("alice", "#a");
    let bytes = vec![7; 1_000_000];
    let id = testkit::data::share(&mut alice, "#a", &bytes, "x");
    let mut bob = Socket::open(&server, &[]);
    bob.send(&format!("/join #a\n/get {id}"));
    let begin = format!("={id} ");
    let mut got = Vec::new();
    loop {
        let line = bob.until(&begin);
        let chunk = &line[begin.len()..];
        if chunk.starts_with(". ") {
            break;
        }
        got.extend(BASE64.decode(chunk).unwrap());
    }
    assert_eq!(got.len(), bytes.len());
    assert!(got == bytes);
}

#[test]
fn a_socket_that_is_gone_without_a_word_breaks_nothing() {
    let server = start(&[]);
    let mut alice = server.in_room("alice", "#a");
    let mut bob = Socket::open(&server, &[]);
    bob.send("/nick bob\n/join #a");
    bob.until("+ join #a");
    bob.stream.shutdown(std::net::Shutdown::Write).unwrap();
    alice.until_starting("#a * bob lost reset");
    let ended = bob.stream.take_error().unwrap();
    assert!(ended.is_none_or(|e| e.kind() == ErrorKind::ConnectionReset));
}

#[test]
fn who_has_gone_without_a_word_is_asked_and_then_lost() {
    let server = start(&[]);
    let mut bob = Socket::open(&server, &[]);
    let mut carol = Socket::open(&server, &[]);
    bob.send("/nick bob\n/join #a");
    bob.until("+ join #a");
    carol.send("/nick carol\n/join #a");
    carol.until("+ join #a");
    // Both are asked, and one answers.
    for socket in [&mut bob, &mut carol] {
        socket.stream.set_read_timeout(Some(limits::WEB_DEAD)).unwrap();
    }
    let asked = |socket: &mut Socket| while socket.frame().unwrap().0 != 0x80 | PING {};
    asked(&mut bob);
    asked(&mut carol);
    carol.send_raw(&frame(0x80 | PONG, b""));
    assert_eq!(carol.until("#a * bob lost"), "#a * bob lost timeout");
    carol.send("/ping here");
    carol.until("+ ping here");
}
