//! Odd terminals and programs: what keys erase, telnet, other protocols, text that hides something, and what people cannot
//! know by themselves and so are told.

use std::time::Duration;

use chinwag::names::ConnId;
use chinwag::settings::Settings;
use socket2::SockRef;
use testkit::data::Folder;
use testkit::memory::Memory;
use testkit::{Client, Server, eventually};

/// alice and bob in one room; alice hears what bob sends.
fn two(server: &Server) -> (Client, Client) {
    let (mut alice, bob) = (server.in_room("alice", "#a"), server.in_room("bob", "#a"));
    alice.expect("#a * bob joined");
    (alice, bob)
}

#[test]
fn others_hear_the_line_that_its_writer_sees() {
    let server = Server::start(&["--rate", "0"]);
    let (mut alice, mut bob) = two(&server);
    for (typed, heard) in [
        (&b"hx\x08i\r\n"[..], "hi"),
        (b"hx\x7fi\n", "hi"),
        (b"hx\xff\xf7i\r\0", "hi"),
        (b"hullo\x15hello\n", "hello"),
        (b"hullo\xff\xf8hello\n", "hello"),
        (b"see yuo\x17you\n", "see you"),
        (b"\x08\x08\x7f\x17\x15hi\n", "hi"),
        ("caf\u{e9}\x08e\u{301}\x08e \u{1f469}\u{200d}\u{1f467}\x7f!\n".as_bytes(), "cafe !"),
        (b"\0\0hi\0\n", "hi"),
        (b"/nope\x15hi\n", "hi"),
        (b"=\x08hi\n", "hi"),
        (b"hi\n\r", "hi"),
    ] {
        bob.send_bytes(typed);
        alice.expect(&format!("#a <bob> {heard}"));
        for part in typed.chunks(1) {
            bob.send_bytes(part);
        }
        alice.expect(&format!("#a <bob> {heard}"));
    }
    // NUL alone, which some clients send so that the connection stays alive, says nothing, and neither does what was erased.
    bob.send_bytes(b"\0\r\n\0\n\0\r\0x\x08\n\0/me waves\n");
    alice.expect("#a <bob> /me waves");
    assert_eq!(bob.settle(), ["+ me"]);
}

#[test]
fn who_ends_lines_in_cr_alone_is_told_once_what_to_do() {
    const TOLD: &str = "* notice CR alone ends no line here: Ctrl-U drops what you typed, and Ctrl-J ends a line; ";
    let server = Server::start(&["--rate", "0"]);
    let (mut alice, mut bob) = two(&server);
    // A terminal in raw mode sends each key as it is pressed. One CR may be a part of the text, and the second become CR LF.
    for part in [&b"/nick bobby\r"[..], b"hel", b"lo\r"] {
        bob.send_bytes(part);
    }
    bob.send_bytes(b"?");
    bob.starting(TOLD);
    bob.send_bytes(b"i\rthere\r");
    // What it says to do does.
    bob.send_bytes(b"\x15hi\n");
    alice.expect("#a <bob> hi");
    assert_eq!(bob.settle(), [""; 0], "once");
    // It is the same however the bytes come, and before what the line is.
    for parts in [&[&b"a\rb\rc\n"[..]][..], &[b"a\r", b"b\rc", b"\n"], &[b"a\rb", b"\r", b"c\n"]] {
        let mut carol = server.in_room("carol", "#a");
        alice.expect("#a * carol joined");
        for part in parts {
            carol.send_bytes(part);
        }
        carol.starting(TOLD);
        alice.expect("#a <carol> a\u{fffd}b\u{fffd}c");
        carol.send_bytes(b"/quit\r\n");
        alice.until_starting("#a * carol quit");
    }
    // Neither CR LF nor CR NUL is one, nor is one CR in a text.
    let mut dave = server.connect();
    dave.send_bytes(b"/ping 1\r");
    dave.send_bytes(b"\n/ping 2\r\0/ping a\rb\r");
    dave.send_bytes(b"\0/ping 3\r");
    dave.send_bytes(b"\0");
    let told = dave.until("+ ping 3");
    assert!(!told.iter().any(|line| line.starts_with("* notice ")), "{told:?}");
}

#[test]
fn no_single_byte_that_a_person_may_send_first_ends_the_connection() {
    let server = Server::start(&[]);
    for byte in (0..b' ').chain([0x7f, 0x80, 0xfe]).filter(|byte| !matches!(byte, b'\n' | b'\r')) {
        let mut client = server.connect();
        client.send_bytes(&[byte, b'\n']);
        client.send("/ping");
        let told = client.until("+ ping");
        assert!(!told.iter().any(|line| line.starts_with("* bye ")), "{byte:#x}: {told:?}");
    }
    // TLS is known by its second byte, whenever that comes.
    let mut client = server.connect();
    client.send_bytes(b"\x16");
    server.connect().settle();
    client.send_bytes(b"\x03\x01\x02");
    client.until_starting("* bye not-text ");
}

#[test]
fn an_irc_client_is_told_once_that_this_is_not_irc() {
    let server = Server::start(&[]);
    let mut witness = server.in_room("witness", "#x");
    for first in ["CAP LS 302", "CAP LS", "NICK x", "PASS secret", "USER x 0 * :X Y"] {
        let mut client = server.connect();
        client.send_bytes(format!("{first}\r\nNICK x\r\nUSER x 0 * :x\r\n/join #x\r\n").as_bytes());
        let lines: Vec<String> = client.rest().into_iter().filter(|line| !line.starts_with("* presence ")).collect();
        assert_eq!(lines.len(), 1, "{first}: {lines:?}");
        assert!(lines[0].starts_with("* bye not-irc ") && lines[0].contains("not IRC"), "{lines:?}");
    }
    // People say such words too.
    for line in ["NICK OF TIME", "USER", "nick x", "CAP", "PASS THE SALT"] {
        let mut client = server.connect();
        client.send(line);
        client.until_starting("! say no-room ");
    }
    assert!(witness.settle().iter().all(|line| line.starts_with("* presence ")));
}

#[test]
fn a_long_sub_negotiation_is_never_said() {
    let server = Server::start(&[]);
    let (mut alice, mut bob) = two(&server);
    let variables = b"\0USER\x01me\0".repeat(100);
    bob.send_bytes(&[b"one\xff\xfa\x27\0", &variables[..], b"\xff\xf0 and two\n"].concat());
    alice.expect("#a <bob> one and two");
    // One that is cut off ends with the line.
    bob.send_bytes(&[b"\xff\xfa\x27\0", &variables[..], b"\r\nthree\r\n"].concat());
    alice.expect("#a <bob> three");
}

#[test]
fn what_stands_behind_an_urgent_mark_is_heard_at_once() {
    let server = Server::start(&[]);
    let (mut alice, mut bob) = two(&server);
    // Telnet's synch, as the programs have it: either of its bytes may be the urgent one.
    for (n, (before, urgent, behind)) in [(&b"\xff"[..], b"\xf2", &b""[..]), (b"", b"\xff", b"\xf2")].iter().enumerate()
    {
        server.signal("STOP");
        bob.send_bytes(&[format!("before {n}\n").as_bytes(), before].concat());
        SockRef::from(&bob.stream).send_out_of_band(*urgent).unwrap();
        bob.send_bytes(&[behind, format!("behind {n}\n").as_bytes()].concat());
        server.signal("CONT");
        alice.expect(&format!("#a <bob> before {n}"));
        alice.expect(&format!("#a <bob> behind {n}"));
    }
}

#[test]
fn nobody_hides_anything_from_others_or_writes_a_line_of_the_servers() {
    let server = Server::start(&["--rate", "0"]);
    let (mut alice, mut bob) = two(&server);
    let said = |bob: &mut Client, alice: &mut Client, text: &str, want: &str| {
        bob.send(text);
        alice.expect(&format!("#a <bob> {want}"));
        bob.ask(&format!("/msg #a {text}"), "+ msg #a");
        alice.expect(&format!("#a <bob> {want}"));
    };
    said(&mut bob, &mut alice, &format!("ok{}* notice", " ".repeat(60)), "ok * notice");
    said(&mut bob, &mut alice, &format!("ok{}* notice", "\u{a0}".repeat(60)), "ok * notice");
    let table = format!("{}one{}two", " ".repeat(32), " ".repeat(32));
    said(&mut bob, &mut alice, &table, &table);
    said(&mut bob, &mut alice, "soft\u{ad}en \u{e0041}\u{3164}", "soften ");
    said(&mut bob, &mut alice, &format!("z{}", "\u{35a}".repeat(50)), &format!("z{}", "\u{35a}".repeat(8)));
    let family = "👨‍👩‍👧‍👦 🏴\u{e0067}\u{e0062}\u{e0073}\u{e0063}\u{e0074}\u{e007f} می\u{200c}خواهم น้ำ क्\u{200d}ष";
    said(&mut bob, &mut alice, family, family);
    // What stays of nothing but that is nothing.
    bob.send("\u{200b}\u{ad}");
    bob.send("/msg #a \u{200b}");
    bob.starting("! msg usage ");
    // Nobody has a name that looks like another's.
    bob.send("/nick ali\u{200b}ce");
    bob.starting("! nick taken ");
    bob.send(&format!("/topic #a tea\u{ad}{}* bye", " ".repeat(80)));
    alice.expect("#a * bob topic tea * bye");
    bob.send("/send #a 0 in\u{2060}voice\u{200d}.pdf");
    alice.expect("#a * bob file 1 0 invoice.pdf");
}

#[test]
fn who_sends_no_utf_8_is_told_once() {
    let server = Server::start(&[]);
    let (mut alice, mut bob) = two(&server);
    bob.send_bytes(b"Gr\xfc\xdfe\n");
    alice.expect("#a <bob> Gr\u{fffd}\u{fffd}e");
    let hint = bob.starting("* notice ");
    assert!(hint.contains("UTF-8") && hint.contains("on Windows take ncat in place of telnet"), "{hint}");
    bob.send_bytes(b"\xa4\n/msg alice \xfc\n");
    assert_eq!(bob.settle(), ["+ msg alice"]);
    // Who sends what they mean is told nothing, nor are others.
    alice.send("Grüße \u{fffd}");
    bob.expect("#a <alice> Grüße \u{fffd}");
    assert_eq!(alice.settle(), ["#a <bob> \u{fffd}", "@bob <bob> \u{fffd}"]);
}

#[test]
fn keys_alone_and_a_password_behind_a_blank_are_said_to_nobody() {
    let server = Server::start(&[]);
    let (mut alice, mut bob) = two(&server);
    for (typed, why) in [
        ("\x1b[A\r\n", "! say usage the keys that move the cursor "),
        ("\x1bOA\x1b[1;5D\n", "! say usage the keys that move the cursor "),
        ("\x03\r\n", "! say usage Ctrl-C, Ctrl-D and Ctrl-Z end nothing here; /quit leaves"),
        ("\x1b[200~\x1b[201~\r\n", "! say usage the keys that move the cursor "),
        ("\x04\x1a\n", "! say usage Ctrl-C, Ctrl-D and Ctrl-Z end nothing here; /quit leaves"),
        ("not this\x1a/msg alice psst\n", "! say usage a key that does nothing here stands before that command, "),
        ("not this\x03\r\n", "! say usage Ctrl-C, Ctrl-D and Ctrl-Z end nothing here; /quit leaves"),
        ("\x1b/quit\r\n", "! say usage a key that does nothing here "),
        ("/me waves\x1b[A/msg alice psst\n", "! me usage a key that does nothing here "),
        ("hello\r/msg alice psst\r\n", "! say usage a key that does nothing here "),
        (" /pass hunter2\n", "! say usage a blank stands before that"),
        ("  /logn bob hunter2\n", "! say usage a blank stands before that"),
        ("/pas hunter2\n", "! ? unknown-command /pas: "),
        (
            "register hunter2\n",
            "! say usage others would read that, and it looks like /register PASSWORD without its slash",
        ),
        ("login bob correct-horse\n", "! say usage others would read that, "),
        (
            "login hunter222\n",
            "! say usage others would read that, and it looks like /login NICK PASSWORD without its slash",
        ),
        (
            "\\login bob x\n",
            "! say usage others would read that, and it looks like /login NICK PASSWORD without its slash",
        ),
        ("> /login bob x\n", "! say usage a > stands before that, so it would be said to others; begin with the slash"),
        (
            "token:2Og_RmDLvzfpvQnGA_euGU5OjYxw2hbS7Ke5Q8lqPQ4\n",
            "! say usage others would read that, and whoever has it may be who it is for; it is /login NICK token:TOKEN",
        ),
    ] {
        bob.send_bytes(typed.as_bytes());
        bob.starting(why);
    }
    bob.send("login works now");
    alice.expect("#a <bob> login works now");
    bob.send("\x1b[A is what Up sends");
    alice.expect("#a <bob> \u{fffd}[A is what Up sends");
    // What others may mean is said as ever.
    bob.send_bytes(b"\x1a c\n");
    alice.expect("#a <bob> \u{fffd} c");
    bob.send_bytes(b"\x0304red\x03\n");
    alice.expect("#a <bob> \u{fffd}04red\u{fffd}");
}

#[test]
fn what_was_typed_before_ctrl_c_is_neither_said_nor_done() {
    let server = Server::start(&[]);
    let (mut alice, mut bob) = two(&server);
    for typed in [
        &b"not this\x03hello\r\n"[..],
        b"not this\xff\xf4\xff\xfd\x06hello\r\n",
        b"/quit\x03hello\r\n",
        b"no\x03not this\x03hx\x08ello\r\n",
        b"not this\x03he\x08\x08\x08hello\r\n",
        b"not this\x03/msg #a hello\r\n",
        b"\xff\xf4hello\r\n",
    ] {
        bob.send_bytes(typed);
        alice.expect("#a <bob> hello");
    }
}

#[test]
fn a_command_that_is_said_without_its_slash_is_hinted_at_once() {
    let server = Server::start(&["--rate", "0"]);
    let mut alice = server.in_room("alice", "#a");
    for (n, (typed, name)) in [
        ("help", Some("help")),
        ("join #lobby", Some("join")),
        ("Quit", Some("quit")),
        ("j", None),
        ("msg @bob psst", Some("msg")),
        ("who knows", None),
        ("help me", None),
        ("kill", None),
        ("back", None),
        ("//help", None),
    ]
    .into_iter()
    .enumerate()
    {
        let nick = format!("n{n}");
        let mut other = server.in_room(&nick, "#a");
        let notice = |name| {
            format!("* notice without a slash that is said to others; /{name} is the command, if that was meant")
        };
        for is_first in [true, false] {
            other.send(typed);
            alice.until(&format!("#a <{nick}> {}", typed.replace("//", "/")));
            let told: Vec<String> = other.settle().into_iter().filter(|line| line.starts_with("* notice ")).collect();
            assert_eq!(told, name.filter(|_| is_first).map(notice).into_iter().collect::<Vec<_>>(), "{typed}");
        }
    }
}

#[test]
fn who_sends_keys_among_text_is_told_once() {
    const TOLD: &str = "* notice others see \u{fffd} in place of the keys that you sent among your text, ";
    let server = Server::start(&["--rate", "0"]);
    let (mut alice, _bob) = two(&server);
    for (n, (typed, heard)) in [
        ("hel\x1b[D\x1b[D\x1b[Dyo", "#a <NICK> hel\u{fffd}[D\u{fffd}[D\u{fffd}[Dyo"),
        ("/me waves\x1bOA", "#a <NICK> /me waves\u{fffd}OA"),
        ("/msg alice \x1b[200~pasted\x1b[201~", "@NICK <NICK> \u{fffd}[200~pasted\u{fffd}[201~"),
        ("/topic tea\x1b[3~", "#a * NICK topic tea\u{fffd}[3~"),
    ]
    .into_iter()
    .enumerate()
    {
        let nick = format!("carol{n}");
        let mut carol = server.in_room(&nick, "#a");
        // Of a line that is refused the refusal tells.
        carol.send("\x1b[A");
        carol.starting("! say usage the keys ");
        carol.send(typed);
        carol.until_starting(TOLD);
        let heard = heard.replace("NICK", &nick);
        alice.until(&heard);
        carol.settle();
        carol.send(&format!("{typed} again"));
        assert!(!carol.settle().iter().any(|line| line.starts_with("* notice ")));
    }
    // Those that erase are carried out, TAB is text, and no key sends a colour.
    let mut dave = server.in_room("dave", "#a");
    dave.send_bytes(b"hx\x08i\x7f\tthere\0a\rb \x1b[31mred\x14\n");
    alice.until("#a <dave> h\ttherea\u{fffd}b \u{fffd}[31mred\u{fffd}");
    assert_eq!(dave.settle(), [""; 0]);
}

#[test]
fn a_kick_takes_no_time() {
    let server = Server::start(&[]);
    let (mut alice, mut bob) = two(&server);
    for typed in ["10m", "for 2h spam", "for a week"] {
        alice.send(&format!("/kick bob {typed}"));
        let told = alice.starting("! kick usage ");
        let want = " would be the reason, and they may come back at once; /ban NICK TIME keeps them out for so long, as in \
                    /ban NICK 7d";
        assert!(told.ends_with(want), "{told}");
    }
    alice.ask("/kick bob come back in 10m", "+ kick #a bob");
    bob.expect("#a * alice kicked bob come back in 10m");
}

#[test]
fn a_time_in_words_is_no_reason_and_a_rule_has_one_value() {
    let server = Server::start(&[]);
    let (mut alice, mut bob) = two(&server);
    for time in
        ["for a week", "for the next two days", "for half an hour", "a week", "for ever", "for good", "for a while"]
    {
        for command in ["ban", "mute"] {
            alice.ask(
                &format!("/{command} bob {time}"),
                &format!(
                    "! {command} usage {time} would be part of the reason; TIME is one word before it, as in /{command} WHO 7d REASON \
                     (or 2h, or 30m), and 0 is for good"
                ),
            );
        }
    }
    alice.ask("/room key two words", "! room usage key is one word of up to 64 bytes, or off; on is none");
    alice.ask("/room hidden on please", "! room usage hidden is on or off");
    alice.ask("/mute bob for the second time", "+ mute #a 1 guest:bob connection");
    bob.expect("#a * alice muted guest:bob 86400 for the second time");
}

#[test]
fn somebody_is_found_whose_name_is_written_nearly() {
    let server = Server::start(&[]);
    let mut alice = server.in_room("alice", "#a");
    let mut emil = server.in_room("Emil", "#a");
    alice.expect("#a * Emil joined");
    for line in ["/msg emile hi", "/kick emli", "/who Emill", "/invite emile", "/ban Emi"] {
        let (command, typed) = line[1..].split_once(' ').unwrap();
        let typed = typed.split(' ').next().unwrap();
        alice.ask(line, &format!("! {command} no-such-nick {typed} is not here; is Emil meant? /who lists who is"));
    }
    alice.ask("/msg alic hi", "! msg no-such-nick alic is not here; /who lists who is");
    // As one writes to people.
    alice.ask("/msg Emil: hi", "+ msg Emil");
    emil.expect("@alice <alice> hi");
    alice.ask("/msg bob, hi", "! msg no-such-nick bob is not here; /who lists who is");
    alice.ask("/kick emil, keine Werbung", "+ kick #a Emil");
    emil.expect("#a * alice kicked Emil keine Werbung");
    alice.ask("/nick alice,", "! nick bad-name alice, is no name: , is in it; use letters, digits, - and _ alone");
}

#[test]
fn who_writes_to_a_name_that_has_changed_hands_is_told_once() {
    let server = Server::start(&[]);
    let mut alice = server.person("alice");
    let told = |client: &mut Client, line: &str, want: &[&str]| {
        client.send(line);
        let lines: Vec<String> = client.settle().into_iter().filter(|line| !line.starts_with("* presence ")).collect();
        let fits = lines.len() == want.len() && lines.iter().zip(want).all(|(line, want)| line.starts_with(want));
        assert!(fits, "{line}: {lines:?}");
    };
    let gone = |mut client: Client| {
        client.send("/quit");
        client.rest();
    };
    let mut bob = server.person("bob");
    told(&mut alice, "/msg bob the key is under the mat", &["+ msg bob"]);
    // A rename is followed, and is no change of hands.
    told(&mut bob, "/nick rob", &["@alice <alice> ", "+ nick rob"]);
    told(&mut alice, "/msg rob still you", &["+ msg rob"]);
    let mut other = server.person("BOB");
    told(&mut alice, "/msg bob and under the pot", &["* notice BOB is somebody else now ", "+ msg BOB"]);
    told(&mut alice, "/msg bob hello", &["+ msg BOB"]);
    told(&mut other, "/nick bab", &["@alice ", "@alice ", "+ nick bab"]);
    told(&mut bob, "/nick bob", &["@alice ", "+ nick bob"]);
    told(&mut alice, "/query bob", &["* notice bob is somebody else now ", "+ query bob"]);
    told(&mut alice, "hello", &[]);
    // Whoever answers means the one who wrote, and files are private too.
    told(&mut bob, "/msg bab are you there?", &["@alice ", "+ msg bab"]);
    gone(bob);
    let bob = server.person("bob");
    told(&mut other, "/send bob 5 plan.txt", &["@bob <bob> ", "* notice bob is somebody else now ", "+ send 1 0"]);
    // What is given to somebody is meant for whom one knows, too.
    alice.send("/join #a");
    alice.settle();
    told(&mut alice, "/invite bob", &["* notice bob is somebody else now ", "+ invite #a bob"]);
    gone(bob);
    let _bob = server.in_room("bob", "#a");
    alice.expect("#a * bob joined");
    told(&mut alice, "/op bob", &["* notice bob is somebody else now ", "+ op #a bob"]);
    told(&mut alice, "/voice bob", &["+ voice #a bob"]);
}

#[test]
fn who_has_made_their_name_theirs_is_known_by_it_when_they_come_back() {
    // Alice writes to bob once more when he owns his name, or he to her.
    for alice_writes in [true, false] {
        let folder = Folder::new();
        let server = folder.serve(&[]);
        let (mut alice, mut bob) = (server.person("alice"), server.person("bob"));
        let told = |client: &mut Client, line: &str, reply: &str| {
            client.send(line);
            client.until(reply)
        };
        told(&mut alice, "/msg bob one", "+ msg bob");
        told(&mut bob, "/register correct-horse", "+ register bob");
        let (writer, to) = if alice_writes { (&mut alice, "bob") } else { (&mut bob, "alice") };
        told(writer, &format!("/msg {to} two"), &format!("+ msg {to}"));
        bob.send("/quit");
        bob.rest();
        let mut again = server.person("guest");
        told(&mut again, "/login bob correct-horse", "+ login bob");
        let told = told(&mut alice, "/msg bob three", "+ msg bob");
        assert!(!told.iter().any(|line| line.starts_with("* notice ")), "{alice_writes}: {told:?}");
    }
}

#[test]
fn a_refusal_says_what_was_meant() {
    let server = Server::start(&[]);
    let mut alice = server.in_room("alice", "#a");
    for line in ["/erase", "/erase #3", "/erase 3-4", "/erase bob", "/erase 4 3"] {
        let usage =
            "/erase [#ROOM] SEQ [LAST]; SEQ is the number of a message, which /history shows, and LAST no lower one";
        alice.ask(line, &format!("! erase usage it is {usage}"));
    }
    let usage = "/unban [#ROOM] ID; /bans lists the IDs, and a ban and a mute of one person have each their own";
    alice.ask("/unban alice", &format!("! unban usage it is {usage}"));
    let server = Server::start(&["--rate", "0"]);
    let mut client = server.connect();
    for (typed, meant) in [
        ("/j #a", "/join"),
        ("/w bob hi", "/msg"),
        ("/q", "/quit"),
        ("/lsit", "/list"),
        ("/histroy", "/history"),
        ("/help histroy", "/history"),
        ("help", "/help"),
        ("HELP", "/help"),
        ("who is here", "/who"),
        ("nick bob", "/nick"),
        ("quit", "/quit"),
        ("/join lobby", "/join #lobby"),
        ("/history lobby", "/history"),
    ] {
        client.send(typed);
        let refusal = client.until_starting("! ").pop().unwrap();
        assert!(refusal.contains(meant), "{typed}: {refusal}");
    }
    client.send("/xyzzy");
    client.expect("! ? unknown-command /xyzzy: no such command; /help lists them");
    client.send("hello all");
    client.expect("! say no-room nobody hears you here; /join #lobby or /query NAME first");
}

#[test]
fn who_wants_no_typing_notices_gets_none() {
    let server = Server::start(&["--rate", "0"]);
    let (mut alice, mut bob) = two(&server);
    alice.ask("/set typing off", "+ set typing off");
    alice.send("/set");
    assert_eq!(alice.until("+ set"), ["- echo off", "- stamp off", "- presence off", "- typing off"]);
    for target in ["#a", "alice"] {
        bob.ask(&format!("/typing {target}"), &format!("+ typing {target} on"));
        bob.ask(&format!("/typing {target} off"), &format!("+ typing {target} off"));
    }
    assert_eq!(alice.settle(), Vec::<String>::new());
    // One that began meanwhile was not shown, and so does not end either; and nobody is listed as typing who was not shown.
    let mut carol = server.in_room("carol", "#a");
    alice.expect("#a * carol joined");
    carol.ask("/typing", "+ typing #a on");
    alice.ask("/set typing on", "+ set typing on");
    alice.send("/who carol");
    assert!(alice.starting("- carol here ").ends_with("#a"));
    alice.starting("+ who ");
    carol.ask("/typing off", "+ typing #a off");
    assert_eq!(alice.settle(), Vec::<String>::new());
    std::thread::sleep(Duration::from_millis(1100)); // one notice a second goes out
    carol.send("/typing");
    alice.until("#a * carol typing");
}

#[test]
fn what_programs_ask_makes_nobody_busy() {
    let server = Server::start(&["--rate", "0"]);
    let (mut alice, mut bob) = two(&server);
    let idle = |alice: &mut Client| {
        alice.send("/who bob");
        let row = alice.until_starting("- bob ").pop().unwrap();
        alice.until_starting("+ who ");
        row.split(' ').nth(3).unwrap().to_owned()
    };
    eventually("bob is idle", || idle(&mut alice) != "0s");
    for question in
        ["/ping", "/who", "/rooms", "/files", "/history", "/set", "/topic", "/ignore", "/limits", "/typing off"]
    {
        bob.send(question);
        bob.settle();
    }
    // Nor does what is so already.
    bob.send("/ignore alice\n/away tea");
    bob.settle();
    eventually("bob is idle", || idle(&mut alice) != "0s");
    for again in [
        "/join #a",
        "/ignore alice",
        "/away tea",
        "/set echo off",
        "/set stamp off",
        "/set presence off",
        "/set typing on",
    ] {
        bob.send(again);
        bob.settle();
    }
    assert_ne!(idle(&mut alice), "0s");
    bob.ask("/unignore alice", "+ unignore alice");
    for deed in
        ["hello", "/msg alice hello", "/me waves", "/topic #a tea", "/away", "/join #b", "/set echo on", "/typing"]
    {
        bob.send(deed);
        bob.settle();
        assert!(matches!(&*idle(&mut alice), "0s" | "1s"), "{deed}");
    }
}

#[test]
fn a_line_that_the_server_closes_with_says_how_nc_ends() {
    let server = Server::start(&[]);
    let mut alice = server.connect();
    server.signal("TERM");
    assert!(alice.rest().last().unwrap().ends_with(" (Enter or Ctrl-C ends nc)"));
}

#[test]
fn a_slow_reader_is_told_of_events_that_were_left_out_where_no_message_was() {
    for (before, left_out, is_told) in [
        ("", "/leave", true),
        ("", "/nick rob", true),
        ("", "/topic tea", true),
        ("", "/send #a 5 x.txt", true),
        ("", "/quit", true),
        ("/typing", "/typing off", true),
        ("", "/typing", false),
        ("", "/query alice", false),
        ("/send #a 5 x.txt", "/cancel 1", true),
    ] {
        let mut memory = Memory::new(Settings::default());
        let alice = ConnId::new(1, 0);
        for name in ["alice", "bob"] {
            memory.connect(name);
            memory.send(name, format!("/nick {name}\n/set presence off\n/join #a\n").as_bytes());
        }
        memory.send("bob", format!("one\n{before}\n").as_bytes());
        memory.wait(Duration::from_secs(2));
        while memory.next("alice").is_some() {}
        memory.hub.lag(alice);
        memory.send("bob", format!("{left_out}\n").as_bytes());
        memory.wait(Duration::from_secs(2));
        memory.hub.caught_up(alice, memory.now(), &mut memory.notes);
        memory.send("alice", b"/ping\n");
        let told: Vec<String> = std::iter::from_fn(|| memory.next("alice")).collect();
        let want = if is_told { &["#a * alice missed 0 after 1", "+ ping"][..] } else { &["+ ping"] };
        assert_eq!(told, want, "{left_out}");
    }
}

#[test]
fn over_tcp_too_a_slow_reader_is_told_of_events_that_were_left_out() {
    let server = Server::start(&["--rate", "0"]);
    let (mut alice, mut bob) = two(&server);
    bob.send("one");
    bob.settle();
    // What fills her connection is private: in the room nothing more is said.
    let text = "x".repeat(4000);
    let mut last = String::new();
    while !last.starts_with("! msg busy ") {
        bob.send(&format!("/msg alice {text}"));
        last = bob.line().unwrap();
    }
    bob.ask("/topic tea", "+ topic #a tea");
    let told = alice.until("#a * alice missed 0 after 1");
    assert!(!told.iter().any(|line| line.starts_with("#a * bob topic")), "{told:?}");
    alice.ask("/topic", "+ topic #a tea");
}

#[test]
fn what_people_share_and_do_as_ops_makes_them_busy() {
    let server = Server::start(&["--rate", "0"]);
    let mut vic = server.person("vic");
    let deeds = [
        "/send #r0 0 x",
        "/op vic",
        "/voice vic",
        "/invite vic",
        "/kick vic",
        "/mute vic",
        "/ban vic",
        "/room slow 5",
        "/erase 1",
    ];
    let mut people: Vec<Client> = (0..deeds.len())
        .map(|n| {
            let mut person = server.in_room(&format!("p{n}"), &format!("#r{n}"));
            person.ask(&format!("/msg #r{n} hello"), &format!("+ msg #r{n}"));
            vic.send(&format!("/join #r{n}"));
            vic.until_starting(&format!("+ join #r{n} "));
            person
        })
        .collect();
    let mut idle = |n: usize| -> u64 {
        vic.send(&format!("/who p{n}"));
        let row = vic.until_starting(&format!("- p{n} ")).pop().unwrap();
        row.split(' ').nth(3).unwrap().trim_end_matches('s').parse().unwrap()
    };
    for (n, deed) in deeds.iter().enumerate() {
        let before = idle(n);
        eventually("somebody is idle", || idle(n) > before.max(2));
        let before = idle(n);
        people[n].send(deed);
        let told = people[n].settle();
        assert!(!told.iter().any(|line| line.starts_with('!')), "{deed}: {told:?}");
        assert!(idle(n) < before, "{deed}");
    }
}

#[test]
fn what_is_done_to_a_name_that_has_changed_hands_is_told() {
    for (line, reply) in [
        ("/kick bob", "+ kick #a bob"),
        ("/ban bob", "+ ban #a 1 "),
        ("/mute bob", "+ mute #a 1 "),
        ("/ignore bob", "+ ignore bob"),
    ] {
        let server = Server::start(&[]);
        let (mut alice, mut bob) = two(&server);
        bob.ask("/msg alice hello", "+ msg alice");
        alice.expect("@bob <bob> hello");
        bob.send("/quit");
        bob.rest();
        let _other = server.in_room("bob", "#a");
        alice.until("#a * bob joined");
        alice.send(line);
        let told = alice.until_starting(reply);
        assert!(told.iter().any(|line| line.starts_with("* notice bob is somebody else now ")), "{line}: {told:?}");
    }
}
