//! Files and pictures in a terminal.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::process::Command;
use std::time::Instant;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use testkit::data::listing;
use testkit::proxy::Proxy;
use testkit::pty::{Emulator, Speaks, Terminal};
use testkit::{Client, Server, binary, eventually, have, noise, skip};

use super::terminal::{alice, come_in, connect, contains, enter, lobby, told, typed};

/// A picture of 64 by 64 pixels, which is not compressed.
pub(crate) fn png() -> Vec<u8> {
    fn crc(bytes: &[u8]) -> u32 {
        !bytes.iter().fold(!0, |crc, byte| {
            (0..8).fold(crc ^ u32::from(*byte), |crc, _| if crc & 1 == 1 { crc >> 1 ^ 0xedb8_8320 } else { crc >> 1 })
        })
    }
    let chunk = |kind: &[u8], data: &[u8]| {
        let body = [kind, data].concat();
        [&u32::try_from(data.len()).unwrap().to_be_bytes()[..], &body, &crc(&body).to_be_bytes()].concat()
    };
    let rows: Vec<u8> = noise(64 * 3 * 64, 1).chunks(64 * 3).flat_map(|row| [&[0], row].concat()).collect();
    let (a, b) = rows.iter().fold((1, 0), |(a, b): (u32, u32), &byte| {
        let a = (a + u32::from(byte)) % 65_521;
        (a, (a + b) % 65_521)
    });
    let len = u16::try_from(rows.len()).unwrap();
    let stored = [&[0x78, 1, 1][..], &len.to_le_bytes(), &(!len).to_le_bytes(), &rows, &(b << 16 | a).to_be_bytes()];
    let header = [&64u32.to_be_bytes()[..], &64u32.to_be_bytes(), &[8, 2, 0, 0, 0]].concat();
    [b"\x89PNG\r\n\x1a\n".to_vec(), chunk(b"IHDR", &header), chunk(b"IDAT", &stored.concat()), chunk(b"IEND", b"")]
        .concat()
}

/// Sends a file to the lobby, and returns its ID.
pub(crate) fn share(person: &mut Client, name: &str, bytes: &[u8]) -> u64 {
    person.send(&format!("/send #lobby {} {name}", bytes.len()));
    let lines = person.until_starting("+ send ");
    let id = lines.last().unwrap().split(' ').nth(2).unwrap().to_owned();
    for piece in bytes.chunks(12_288) {
        person.send(&format!("={}", BASE64.encode(piece)));
    }
    person.until_starting(&format!("={id} . "));
    id.parse().unwrap()
}

/// What was written, without the question that comes before the first picture.
fn asked(raw: &[u8]) -> String {
    str::from_utf8(raw).unwrap().replacen(chinwag::client::screen::pictures::QUESTION, "", 1)
}

pub(crate) fn between<'a>(text: &'a str, start: &str, end: &str) -> Vec<&'a str> {
    text.split(start).skip(1).map(|rest| rest.split(end).next().unwrap()).collect()
}

#[test]
fn a_picture_is_shown_as_the_terminal_takes_it() {
    let picture = png();
    for speaks in [Speaks::Kitty, Speaks::Iterm] {
        let (server, mut bob) = lobby();
        let folder = tempfile::tempdir().unwrap();
        let address = server.address();
        let mut command = connect(&address, &["--downloads", folder.path().to_str().unwrap()]);
        let terminal = Terminal::start(&mut command, 100, 30, Emulator::Reflowing, speaks);
        come_in(&terminal, &address);
        let id = share(&mut bob, "cat.png", &picture);
        told(&terminal, &format!("#lobby bob shares cat.png (12 kB) · /show {id} · /get {id}"));
        let before = terminal.raw().len();
        terminal.keys(format!("/show {id}\r"));
        match speaks {
            Speaks::Nothing | Speaks::Sixel => unreachable!("they get no PNG"),
            Speaks::Kitty => {
                let raw = terminal.wait_until_raw("the picture", |raw| contains(&raw[before..], "m=0;"));
                let text = &asked(&raw[before..]);
                let pieces: Vec<(&str, &str)> =
                    between(text, "\x1b_G", "\x1b\\").iter().map(|piece| piece.split_once(';').unwrap()).collect();
                assert!(pieces.len() > 3, "{}", pieces.len());
                let (last, others) = pieces.split_last().unwrap();
                let has = |keys: &str, key: &str| keys.split(',').any(|has| has == key);
                assert!(has(others[0].0, "a=T") && has(others[0].0, "f=100"));
                assert!(others.iter().all(|(keys, data)| has(keys, "m=1") && data.len() == 4_096));
                assert!(pieces[1..].iter().all(|(keys, _)| keys.split(',').all(|key| key.starts_with(['m', 'q']))));
                assert!(has(last.0, "m=0") && last.1.len() <= 4_096);
                let data: String = pieces.iter().map(|(_, data)| *data).collect();
                assert_eq!(BASE64.decode(data).unwrap(), picture);
            }
            Speaks::Iterm => {
                let is_whole = |raw: &[u8]| {
                    let text = String::from_utf8_lossy(&raw[before..]).into_owned();
                    text.split_once("1337;File=").is_some_and(|(_, rest)| rest.contains('\x07'))
                };
                let raw = terminal.wait_until_raw("the picture", is_whole);
                let text = &asked(&raw[before..]);
                let file = between(text, "\x1b]1337;File=", "\x07")[0];
                let (keys, data) = file.split_once(':').unwrap();
                let keys: Vec<&str> = keys.split(';').collect();
                let size = format!("size={}", picture.len());
                let name = format!("name={}", BASE64.encode("cat.png"));
                for key in ["inline=1", &size, &name] {
                    assert!(keys.contains(&key), "{keys:?}");
                }
                assert_eq!(BASE64.decode(data).unwrap(), picture);
            }
        }
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
        terminal.keys("good cat");
        typed(&terminal, "#lobby> good cat");
        terminal.keys("\r");
        bob.until("#lobby <alice> good cat");
    }
}

#[test]
fn files_are_sent_and_fetched() {
    let (server, mut bob) = lobby();
    let home = tempfile::tempdir().unwrap();
    fs::write(home.path().join("my cat.png"), b"meow").unwrap();
    let address = server.address();
    let mut command = connect(&address, &["--downloads", "~/got"]);
    let terminal = Terminal::start(command.env("HOME", home.path()), 100, 30, Emulator::Clipping, Speaks::Nothing);
    come_in(&terminal, &address);
    terminal.keys("/send #lobby ~/my cat.png\r");
    bob.until("#lobby * alice file 1 4 my cat.png");
    told(&terminal, "my cat.png is shared with #lobby, as file 1");
    bob.send("/get 1");
    bob.until("=1 bWVvdw==");
    let id = share(&mut bob, "cat.png", b"purr");
    told(&terminal, "bob shares cat.png (4 bytes)");
    for name in ["cat.png", "cat (2).png"] {
        terminal.keys(format!("/get {id}\r"));
        told(&terminal, &format!("saved {}", home.path().join("got").join(name).display()));
        assert_eq!(fs::read(home.path().join("got").join(name)).unwrap(), b"purr");
    }
    // Who stops what is coming takes nothing from anybody.
    bob.send("/send #lobby 9 slow.bin");
    let slow = bob.until_starting("+ send ").last().unwrap().split(' ').nth(2).unwrap().to_owned();
    bob.send("=bWVvdw==");
    terminal.keys(format!("/get {slow}\r"));
    told(&terminal, "↓ slow.bin");
    terminal.keys(format!("/cancel {slow}\r"));
    told(&terminal, &format!("slow.bin is fetched no more; /get {slow} goes on with it"));
    bob.send(&format!("/cancel {slow}"));
    bob.until(&format!("+ cancel {slow}"));
    terminal.keys("/cancel 1\r");
    bob.until("#lobby * alice unfile 1 gone");
    told(&terminal, "  file 1 is not shared any more");
    for (line, why) in [
        ("/get 1", "✗ fetching"),
        ("/send #lobby ~/no such", "✗"),
        ("/cancel cat", "no cat is being sent"),
        ("/show cat", "a file is meant by its ID, which /files tells: /show 7, say, or /show 7 full"),
        ("/send nobody ~/my cat.png", "✗ sending my cat.png"),
    ] {
        terminal.keys(format!("\x03{line}\r"));
        told(&terminal, why);
    }
    assert!(fs::read_dir(home.path().join("got")).unwrap().count() == 2);
}

#[test]
fn who_shares_a_file_is_told_how_long_it_stays() {
    let server = Server::start(&["--file-ttl", "2h"]);
    let mut bob = server.in_room("bob", "#lobby");
    let home = tempfile::tempdir().unwrap();
    let path = home.path().join("cat.png");
    fs::write(&path, b"meow").unwrap();
    let terminal = alice(&server.address(), &[], (100, 30), Emulator::Clipping);
    enter(&terminal, &format!("/send #lobby {}", path.display()));
    told(&terminal, "cat.png is shared with #lobby, as file 1 (for 2 hours)");
    bob.until("#lobby * alice file 1 4 cat.png");
    // A script has nothing but the ID: its errors are for what went wrong.
    let mut command = Command::new(binary());
    command.args(["send", "--to", "#lobby", "--server", &server.address()]).arg(&path);
    let mut person = Terminal::start(&mut command, 100, 30, Emulator::Clipping, Speaks::Nothing);
    told(&person, "what you shared can be fetched for 2 hours");
    assert!(person.wait_exit().success());
}

#[test]
fn a_path_is_found_as_it_was_dropped() {
    let (server, mut bob) = lobby();
    let home = tempfile::tempdir().unwrap();
    fs::write(home.path().join("my cat's.png"), b"meow").unwrap();
    let path = home.path().display();
    let address = server.address();
    let terminal = alice(&address, &[], (100, 30), Emulator::Clipping);
    for (n, dropped) in [
        format!("{path}/my cat's.png"),
        format!("\"{path}/my cat's.png\""),
        format!("'{path}/my cat'\\''s.png'"),
        format!("{path}/my\\ cat\\'s.png"),
        format!("file://{path}/my%20cat%27s.png"),
    ]
    .iter()
    .enumerate()
    {
        terminal.keys(format!("/send #lobby {dropped}\r"));
        bob.until(&format!("#lobby * alice file {} 4 my cat's.png", n + 1));
    }
    for (line, want) in [("cat.png #lobby", "/send #lobby "), ("my cat's.png bob", "/send bob ")] {
        fs::write(home.path().join("cat.png"), b"meow").unwrap();
        enter(&terminal, &format!("/send {path}/{line}"));
        told(&terminal, &format!("; the target comes first, as in {want}"));
    }
    terminal.keys("/send #lobby 'none'\r");
    told(&terminal, "cannot send 'none': no such file");
}

#[test]
fn who_leaves_while_files_are_on_their_way_is_asked_once() {
    let (server, mut bob) = lobby();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("big");
    // More than the system takes of it at once.
    fs::File::create(&path).unwrap().set_len(60_000_000).unwrap();
    for (options, end, leave) in
        [(&[][..], "\r", "/quit\r"), (&[], "\r", "\x04"), (&["--plain"], "\n", "/quit\n"), (&["--plain"], "\n", "\x04")]
    {
        let proxy = Proxy::start(server.port);
        proxy.limit(500_000, usize::MAX);
        let mut command = connect(&proxy.address(), options);
        let mut terminal = Terminal::start(&mut command, 100, 30, Emulator::Clipping, Speaks::Nothing);
        told(&terminal, "in #lobby: ");
        terminal.keys(format!("/send #lobby {}{end}", path.display()));
        bob.until_starting("#lobby * alice file");
        terminal.keys(leave);
        told(
            &terminal,
            "big is on its way, and leaving stops that; leave once more, by /quit or Ctrl-D, if you mean it",
        );
        eventually("it waits", || terminal.is_at_rest());
        assert!(bob.settle().iter().all(|line| !line.contains("quit")));
        // Who goes on with something else is asked anew.
        terminal.keys(format!("/fold on{end}"));
        told(&terminal, "who comes and goes is only counted");
        terminal.keys(leave);
        terminal.wait_until("the question once more", |screen| {
            screen.lines.iter().filter(|line| line.contains("leaving stops that")).count() == 2
        });
        terminal.keys(leave);
        eventually("it is taken", || terminal.is_at_rest());
        proxy.limit(usize::MAX, usize::MAX);
        assert!(terminal.wait_exit().success());
        bob.until_starting("#lobby * alice quit");
        let lines = terminal.screen().lines;
        let is_told = |line: &String| {
            line.ends_with("not sent: big") || line.ends_with("sending big: you left before all of it was there")
        };
        assert!(lines.iter().any(is_told), "{lines:#?}");
    }
}

#[test]
fn what_waits_to_be_sent_can_be_cancelled() {
    let (server, mut bob) = lobby();
    let home = tempfile::tempdir().unwrap();
    for name in ["first", "second", "third"] {
        fs::write(home.path().join(name), noise(1_000_000, 1)).unwrap();
    }
    let proxy = Proxy::start(server.port);
    proxy.limit(500_000, usize::MAX);
    let terminal = alice(&proxy.address(), &[], (100, 30), Emulator::Clipping);
    for name in ["first", "second", "third"] {
        enter(&terminal, &format!("/send #lobby {}/{name}", home.path().display()));
    }
    bob.until("#lobby * alice file 1 1000000 first");
    enter(&terminal, "/cancel second");
    told(&terminal, "second is not sent");
    enter(&terminal, "/cancel second");
    told(&terminal, "no second is being sent");
    proxy.limit(usize::MAX, usize::MAX);
    bob.until("#lobby * alice file 2 1000000 third");
    told(&terminal, "third is shared with #lobby, as file 2");
    // What is on its way can be called by its name too.
    let up = proxy.bytes().0;
    proxy.limit(up + 500_000, usize::MAX);
    enter(&terminal, &format!("/send #lobby {}/first", home.path().display()));
    bob.until("#lobby * alice file 3 1000000 first");
    proxy.limit(usize::MAX, usize::MAX);
    enter(&terminal, "/cancel third");
    told(&terminal, "no third is being sent");
}

#[test]
fn a_bar_is_drawn_ten_times_a_second_at_most() {
    let server = Server::start(&["--rate", "0"]);
    let here = tempfile::tempdir().unwrap();
    fs::write(here.path().join("big.bin"), noise(60_000_000, 3)).unwrap();
    for (arguments, sign) in [("send big.bin --create --to '#a'", "↑"), ("get 1 --output - --join '#a'", "↓")] {
        let script = format!("exec {} {arguments} --server {} > out", binary(), server.address());
        let mut command = Command::new("bash");
        command.args(["-c", &script]).current_dir(here.path());
        let start = Instant::now();
        let mut terminal = Terminal::start(&mut command, 80, 5, Emulator::Clipping, Speaks::Nothing);
        assert!(terminal.wait_exit().success());
        let most = start.elapsed().as_millis() / 100 + 2;
        let drawn = String::from_utf8_lossy(&terminal.raw()).matches(sign).count();
        assert!((1..=most).contains(&(drawn as u128)), "{drawn} of {most}");
    }
}

#[test]
fn the_status_row_is_drawn_ten_times_a_second_at_most_while_a_file_comes() {
    let (server, mut bob) = lobby();
    let id = share(&mut bob, "big.bin", &noise(30_000_000, 3));
    let here = tempfile::tempdir().unwrap();
    let terminal =
        alice(&server.address(), &["--downloads", here.path().to_str().unwrap()], (80, 24), Emulator::Reflowing);
    let draws = || terminal.raw().windows(8).filter(|window| window == b"\x1b[?2026h").count();
    let (before, since) = (draws(), Instant::now());
    enter(&terminal, &format!("/get {id}"));
    told(&terminal, "saved ");
    // Each key is drawn at once, and so is what is told.
    let most = usize::try_from(since.elapsed().as_millis() / 100).unwrap() + 15;
    assert!(draws() - before <= most, "{} in the place of {most}", draws() - before);
}

#[test]
fn what_is_fetched_goes_where_the_desktop_says() {
    let (server, mut bob) = lobby();
    let id = share(&mut bob, "cat.txt", b"meow");
    let home = tempfile::tempdir().unwrap();
    fs::create_dir(home.path().join(".config")).unwrap();
    fs::write(home.path().join(".config/user-dirs.dirs"), "XDG_DOWNLOAD_DIR=\"$HOME/Eingang\"\n").unwrap();
    let mut command = connect(&server.address(), &[]);
    command.env("HOME", home.path()).env_remove("XDG_CONFIG_HOME");
    let terminal = Terminal::start(&mut command, 80, 24, Emulator::Reflowing, Speaks::Nothing);
    come_in(&terminal, &server.address());
    enter(&terminal, &format!("/get {id}"));
    eventually("it is there", || fs::read(home.path().join("Eingang/cat.txt")).is_ok_and(|bytes| bytes == b"meow"));
}

#[test]
fn without_a_home_folder_what_is_fetched_comes_here() {
    if !rustix::process::geteuid().is_root() {
        skip("only root can be somebody whom the system does not know, and who so has no home folder");
        return;
    }
    if !have(&["setpriv"]) {
        return;
    }
    let (server, mut bob) = lobby();
    let id = share(&mut bob, "cat.txt", b"meow");
    let here = tempfile::tempdir().unwrap();
    fs::set_permissions(here.path(), fs::Permissions::from_mode(0o777)).unwrap();
    let start = |options: &[&str]| {
        let mut command = Command::new("setpriv");
        command.args([
            "--reuid",
            "65533",
            "--regid",
            "65533",
            "--clear-groups",
            binary(),
            "connect",
            "--nick",
            "alice",
        ]);
        command.args(["--join", "#lobby"]).args(options).arg(server.address());
        command.env_remove("HOME").current_dir(here.path());
        Terminal::start(&mut command, 80, 24, Emulator::Reflowing, Speaks::Nothing)
    };
    let mut refused = start(&["--downloads", "~/x"]);
    told(&refused, "there is no home folder, so --downloads takes a path without ~");
    assert_eq!(refused.wait_exit().code(), Some(1));
    let terminal = start(&[]);
    come_in(&terminal, &server.address());
    enter(&terminal, &format!("/get {id}"));
    eventually("it is there", || fs::read(here.path().join("cat.txt")).is_ok_and(|bytes| bytes == b"meow"));
    assert_eq!(listing(here.path()), ["cat.txt"]);
}
