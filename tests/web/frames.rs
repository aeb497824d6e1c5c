//! Frames: every rule of them, broken once, and every way in which a message may come in parts.

use std::io::Write;

use testkit::{Server, eventually, is_read};

use crate::browser::{BINARY, CLOSE, PING, PONG, Socket, TEXT, frame, start, text};

const FIN: u8 = 0x80;

/// The code with which the server closes upon these bytes, and the lines that it says before, from the greeting on.
fn closed(server: &Server, bytes: &[u8]) -> (Vec<String>, Option<u16>) {
    let mut socket = Socket::open(server, &[]);
    socket.send_raw(bytes);
    socket.end()
}

#[test]
fn each_broken_rule_has_its_code() {
    let server = start(&[]);
    let long = vec![b'x'; 126];
    let mut unmasked = text("hi");
    unmasked.truncate(2);
    unmasked[1] &= 0x7f;
    let with = |at: usize, byte: u8| {
        let mut frame = text("hi");
        frame[at] = byte;
        frame
    };
    let longer = |head: &[u8]| [head, &[0; 4][..], b"hi"].concat();
    let both = |one: Vec<u8>, other: Vec<u8>| [one, other].concat();
    for (bytes, want) in [
        (unmasked, 1002),
        // Reserved bits, and codes of operations that nobody has.
        (with(0, 0xc1), 1002),
        (with(0, 0xa1), 1002),
        (with(0, 0x91), 1002),
        (with(0, 0x83), 1002),
        (with(0, 0x87), 1002),
        (with(0, 0x8b), 1002),
        (with(0, 0x8f), 1002),
        // Control frames are whole and short.
        (frame(PING, b""), 1002),
        (frame(CLOSE, b""), 1002),
        (frame(FIN | PING, &long), 1002),
        (frame(FIN | PONG, &long), 1002),
        (frame(FIN | CLOSE, &long), 1002),
        // Messages are not within each other, and nothing goes on that has not begun.
        (frame(FIN, b"hi"), 1002),
        (frame(0, b"hi"), 1002),
        (both(frame(TEXT, b"a"), text("b")), 1002),
        (both(frame(TEXT, b"a"), frame(TEXT, b"b")), 1002),
        // A length has its shortest form, and 63 bits.
        (longer(&[0x81, 0xfe, 0, 2]), 1002),
        (longer(&[0x81, 0xff, 0, 0, 0, 0, 0, 0, 0xff, 0xff]), 1002),
        (longer(&[0x81, 0xff, 0x80, 0, 0, 0, 0, 0, 0, 0]), 1002),
        (frame(FIN | BINARY, b"hi"), 1003),
        (frame(BINARY, b"hi"), 1003),
        (text("a\nb").into_iter().chain(frame(FIN | BINARY, b"")).collect(), 1003),
        // Text is UTF-8, within a line and at its end.
        (frame(FIN | TEXT, b"hi\xff"), 1007),
        (frame(TEXT, b"\xff\xfb\x01"), 1007),
        (frame(FIN | TEXT, b"\xc3"), 1007),
        (frame(FIN | TEXT, b"\xc3\n"), 1007),
        (frame(FIN | TEXT, b"\xed\xa0\x80"), 1007),
        (frame(FIN | TEXT, b"\xf4\x90\x80\x80"), 1007),
        (frame(FIN | TEXT, b"\xc0\xaf"), 1007),
        (both(frame(TEXT, b"\xe2\x82"), frame(FIN, b"\x28")), 1007),
        (frame(FIN | CLOSE, b"\x03\xe8\xff"), 1007),
        // What closes has a code that may be sent, or none.
        (frame(FIN | CLOSE, b"\x03"), 1002),
        (frame(FIN | CLOSE, &1005_u16.to_be_bytes()), 1002),
        (frame(FIN | CLOSE, &1006_u16.to_be_bytes()), 1002),
        (frame(FIN | CLOSE, &999_u16.to_be_bytes()), 1002),
        (frame(FIN | CLOSE, &5000_u16.to_be_bytes()), 1002),
        (frame(FIN | CLOSE, b""), 1000),
        (frame(FIN | CLOSE, &1000_u16.to_be_bytes()), 1000),
        (frame(FIN | CLOSE, b"\x03\xe9going"), 1001),
        (frame(FIN | CLOSE, &4000_u16.to_be_bytes()), 4000),
    ] {
        let (lines, code) = closed(&server, &bytes);
        assert_eq!(code, Some(want), "{}: {lines:?}", bytes.escape_ascii());
    }
}

#[test]
fn what_was_whole_before_a_broken_rule_is_carried_out_and_half_a_message_never() {
    let server = start(&[]);
    let mut bob = server.in_room("bob", "#a");
    for end in [&b"\xff"[..], &frame(FIN | BINARY, b"")] {
        let mut anna = Socket::open(&server, &[]);
        anna.send("/nick anna\n/join #a");
        anna.until("+ join #a");
        bob.expect("#a * anna joined");
        anna.send_raw(&[text("one\ntwo"), frame(TEXT, b"three\nfour"), frame(0, end)].concat());
        // Whatever it was, nobody hears a part of it.
        for word in ["one", "two", "three"] {
            bob.expect(&format!("#a <anna> {word}"));
        }
        assert!(bob.line().unwrap().starts_with("#a * anna quit"));
    }
}

#[test]
fn messages_and_lines_may_come_in_any_parts() {
    let server = start(&["--rate", "0"]);
    let mut bob = server.in_room("bob", "#a");
    let fragments: Vec<u8> = [
        frame(TEXT, "zw\u{f6}".as_bytes()),
        frame(FIN | PING, b"within"),
        frame(0, b""),
        frame(0, "lf\n\u{1f98a}".as_bytes()[..5].as_ref()),
        frame(FIN, &"lf\n\u{1f98a}".as_bytes()[5..]),
    ]
    .concat();
    let all: Vec<u8> = [text("one"), text("two\n"), text("three\r\nfour"), text(""), text("\n"), fragments].concat();
    let want = ["one", "two", "three", "four", "zw\u{f6}lf", "\u{1f98a}"];
    for cut in 0..all.len() {
        // Of frames without text one may bring only so many.
        let mut anna = Socket::open(&server, &[]);
        anna.send("/nick anna\n/join #a\n");
        anna.until("+ join #a");
        bob.expect("#a * anna joined");
        anna.stream.write_all(&all[..cut]).unwrap();
        // The kernel may take its time to acknowledge it.
        if cut % 4 == 0 {
            eventually("the first part is read by itself", || is_read(&anna.stream));
        }
        anna.stream.write_all(&all[cut..]).unwrap();
        for word in want {
            bob.expect(&format!("#a <anna> {word}"));
        }
        anna.send("/quit");
        bob.expect("#a * anna quit");
    }
}

#[test]
fn no_first_line_is_taken_for_another_protocol() {
    let server = start(&["--rate", "0"]);
    for line in
        ["GET / HTTP/1.1", "NICK anna", "SSH-2.0-x", "PROXY TCP4 1.2.3.4 1.2.3.4 1 1", "\x16\x03\x01\x02", "EHLO x"]
    {
        let mut anna = Socket::open(&server, &[]);
        anna.send(line);
        anna.send("/ping still here");
        anna.until("+ ping still here");
    }
}

#[test]
fn a_ping_is_answered_and_of_many_frames_without_text_no_more_are_taken() {
    let server = start(&["--rate", "0"]);
    let mut anna = Socket::open(&server, &[]);
    anna.send_raw(&frame(FIN | PING, b"hello"));
    assert_eq!(anna.frame(), Some((FIN | PONG, b"hello".to_vec())));
    for flood in [frame(FIN | PING, b""), frame(FIN | PONG, b"x"), text(""), frame(TEXT, b"")] {
        let mut socket = Socket::open(&server, &[]);
        let mut bytes = flood.repeat(100);
        if flood[0] == TEXT {
            bytes = [flood, frame(0, b"").repeat(100)].concat();
        }
        socket.send_raw(&bytes);
        assert_eq!(socket.end().1, Some(1008));
    }
    // So many may come at once.
    let mut socket = Socket::open(&server, &[]);
    socket.send_raw(&frame(FIN | PONG, b"").repeat(50));
    socket.send("/ping still");
    socket.until("+ ping still");
}
