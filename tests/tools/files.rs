//! The two scripts that share and fetch a file, `scripts/send-file` and `scripts/get-file`.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::process::Command;
use std::thread;

use testkit::data::digest;
use testkit::proxy::{Cut, Proxy};
use testkit::{Server, eventually, noise};

use super::scripts::{GET, Running, SEND, bad, can_run, good, run, run_with};

/// What follows this in the text, up to the next white space.
fn after<'a>(text: &'a str, what: &str) -> Option<&'a str> {
    text.split_once(what)?.1.split_whitespace().next()
}

/// A folder with a file `cat.png` of so many bytes, and a folder `got` in it.
fn with_file(len: usize) -> (tempfile::TempDir, Vec<u8>) {
    let folder = tempfile::tempdir().unwrap();
    let bytes = noise(len, 2);
    fs::write(folder.path().join("cat.png"), &bytes).unwrap();
    fs::create_dir(folder.path().join("got")).unwrap();
    (folder, bytes)
}

#[test]
fn a_file_is_sent_and_fetched_whole() {
    if !can_run() {
        return;
    }
    let server = Server::start(&[]);
    let (folder, bytes) = with_file(5_000_003);
    let mut bob = server.in_room("bob", "#lobby");
    let at = server.address();
    for (count, (name, bytes)) in
        [("cat.png", &bytes[..]), ("-n a dog's \\ photo\n", b"!"), ("empty", b""), ("exact", &bytes[..49152])]
            .iter()
            .enumerate()
    {
        let path = folder.path().join(name);
        fs::write(&path, bytes).unwrap();
        let id = good(&run(folder.path(), SEND, &["-n", "alice", &at, "#lobby", path.to_str().unwrap()]));
        assert_eq!(id, (count + 1).to_string());
        let shown = name.replace(['\\', '\n'], "_");
        bob.until("#lobby * alice joined");
        bob.expect(&format!("#lobby * alice file {id} {} {shown}", bytes.len()));
        bob.expect("#lobby * alice quit");
        let got = good(&run(folder.path(), GET, &["-j", "#lobby", "-n", "carol", "-d", "got", &at, &id]));
        assert!(fs::read(folder.path().join(&got)).unwrap() == *bytes, "{got}");
        bob.until("#lobby * carol quit");
    }
    let mut names: Vec<_> = fs::read_dir(folder.path().join("got"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    assert_eq!(names, ["_-n a dog's _ photo_", "cat.png", "empty", "exact"]);
}

#[test]
fn a_file_is_sent_to_one_person() {
    if !can_run() {
        return;
    }
    let server = Server::start(&[]);
    let (folder, bytes) = with_file(100_000);
    let mut bob = server.in_room("bob", "#lobby");
    assert_eq!(good(&run(folder.path(), SEND, &["-n", "alice", &server.address(), "bob", "cat.png"])), "1");
    bob.expect("@alice * alice file 1 100000 cat.png");
    bob.send("/get 1");
    let lines = bob.until_starting("=1 . 100000 ");
    assert!(lines.len() > 100_000 / 12_288 && bytes.len() == 100_000);
    let words = bad(&run(folder.path(), GET, &["-j", "#lobby", &server.address(), "1"]), 1);
    assert!(words.contains("no-such-file"), "{words}");
}

#[test]
fn a_password_is_sent_where_one_is_wanted() {
    if !can_run() {
        return;
    }
    let (folder, bytes) = with_file(10_000);
    fs::write(folder.path().join("secret"), "open sesame\n").unwrap();
    let server = Server::start(&["--password-file", folder.path().join("secret").to_str().unwrap()]);
    let at = server.address();
    let known = [("CHINWAG_PASSWORD", "open sesame")];
    let send = [&at, "#lobby", "cat.png"];
    let get = ["-j", "#lobby", "-d", "got", &at, "1"];
    assert_eq!(good(&run_with(folder.path(), SEND, &send, &known)), "1");
    assert_eq!(good(&run_with(folder.path(), GET, &get, &known)), "got/cat.png");
    assert!(fs::read(folder.path().join("got/cat.png")).unwrap() == bytes);
    assert!(bad(&run_with(folder.path(), SEND, &send, &[("CHINWAG_PASSWORD", "wrong")]), 1).contains("pass refused"));
    assert!(!run(folder.path(), GET, &get).status.success());
}

/// A server that has one file, 7, of five bytes, and takes one. Before each of its answers come others, which nobody has asked for.
fn garrulous() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let whole = format!("=8 . 9 {0}\n=7 . 5 {0}\n", digest(b"hello"));
    thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let lines = BufReader::new(stream.try_clone().unwrap()).lines();
        stream.write_all(b"+ ping 1\n* hello guest1 chinwag/0.2.0 1 online; hello\n").unwrap();
        for line in lines.map_while(Result::ok) {
            let answer = match line.split(' ').next().unwrap() {
                "/files" => {
                    "- 8 9 bob #a 0s ready bye\n- 7 5 bob #a 0s ready hello\n- 9 5 bob #a 0s ready x\n+ files 3\n"
                        .into()
                }
                "/get" => format!("+ get 7 0 5 hello\n=8 eA==\n=7 aGVsbG8=\n{whole}"),
                "/send" => "+ send 7 0\n".to_owned(),
                "=aGVsbG8=" => whole.clone(),
                _ => format!("+ {}\n", &line[1..]),
            };
            let stray = "+ ping 2\n+ who 1 1\n! topic usage it is /topic\n#a <bob> + send 9 0\n";
            if stream.write_all(format!("{stray}{answer}").as_bytes()).is_err() {
                break;
            }
        }
    });
    port
}

#[test]
fn what_answers_nothing_that_was_asked_is_taken_for_no_answer() {
    if !can_run() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("hello"), "hello").unwrap();
    let at = || format!("127.0.0.1:{}", garrulous());
    assert_eq!(good(&run(folder.path(), SEND, &["-n", "alice", &at(), "#a", "hello"])), "7");
    assert_eq!(good(&run(folder.path(), GET, &["-n", "alice", "-j", "#a", "-d", "got", &at(), "7"])), "got/hello");
    assert_eq!(fs::read(folder.path().join("got/hello")).unwrap(), b"hello");
}

#[test]
fn what_the_server_refuses_is_said() {
    if !can_run() {
        return;
    }
    let server = Server::start(&["--max-file", "1K"]);
    let (folder, _) = with_file(1025);
    let _bob = server.in_room("bob", "#lobby");
    let at = server.address();
    let send = |arguments: &[&str]| bad(&run(folder.path(), SEND, arguments), 1);
    assert!(send(&[&at, "#lobby", "cat.png"]).contains("send too-big "));
    assert!(send(&[&at, "nobody", "cat.png"]).contains("send no-such-nick "));
    assert!(send(&["-n", "bob", &at, "#lobby", "cat.png"]).contains("nick taken "));
    assert!(send(&[&at, "#no/room", "cat.png"]).contains("join bad-name "));
    assert!(send(&[&at, "#lobby", "no-file"]).contains("no-file"));
    assert!(send(&[&at, "#lobby", "got"]).contains("got"));
    assert!(send(&["127.0.0.1:1", "#lobby", "cat.png"]).contains("no connection"));
    let get = |arguments: &[&str]| bad(&run(folder.path(), GET, arguments), 1);
    assert!(get(&["-j", "#lobby", &at, "7"]).contains("get no-such-file "));
    assert!(get(&["-n", "bob", &at, "7"]).contains("nick taken "));
    assert!(get(&["-d", "nowhere", &at, "7"]).contains("get no-such-file "));
    assert!(!folder.path().join("nowhere").exists());
    assert!(get(&["127.0.0.1:1", "7"]).contains("no connection"));
    for id in ["", "x", "1x", "-1", "../1", "0"] {
        assert!(bad(&run(folder.path(), GET, &[&at, id]), 2).contains("usage: "), "{id}");
    }
}

/// An upload that is cut off in the middle of a line, so many characters after the last four that belong together.
fn upload_cut(odd: usize) {
    let server = Server::start(&[]);
    let proxy = Proxy::start(server.port);
    let (folder, bytes) = with_file(3_000_000);
    let path = folder.path().join("cat.png");
    let mut bob = server.in_room("bob", "#lobby");
    let digest = good(&Command::new("sha256sum").arg(&path).output().unwrap())[..64].to_owned();
    let before =
        format!("/nick alice\n/set presence off\n/join #lobby\n/send #lobby 3000000 sha256:{digest} cat.png\n");
    let limit = before.len() + 20 * 65_538 + 1 + 30_000 + odd;
    proxy.limit(limit, usize::MAX);
    let sender = Running::start(SEND, &["-n", "alice", &proxy.address(), "#lobby", path.to_str().unwrap()]);
    bob.until("#lobby * alice file 1 3000000 cat.png");
    eventually("it has come so far", || proxy.bytes().0 == limit);
    sender.signal("TERM");
    proxy.cut(Cut::Close);
    bob.until_starting("#lobby * alice unfile 1 ");
    bob.until_starting("#lobby * alice ");
    drop(sender);
    proxy.limit(usize::MAX, usize::MAX);
    let from = proxy.bytes().1;
    let send = ["-n", "alice", &proxy.address(), "#lobby", "cat.png"];
    assert_eq!(good(&run(folder.path(), SEND, &send)), "1");
    bob.until("#lobby * alice file 1 3000000 cat.png");
    let heard = proxy.down()[from..].to_owned();
    let offset: usize = after(&heard, "+ send 1 ").unwrap().parse().unwrap();
    assert!((20 * 49_152..=20 * 49_152 + 22_500).contains(&offset), "{offset}");
    let sent = proxy.bytes().0 - limit;
    assert!(sent < (3_000_000 - offset) * 4 / 3 + 1000, "{sent} bytes for what came after {offset}");
    let got = good(&run(folder.path(), GET, &["-j", "#lobby", "-d", "got", &server.address(), "1"]));
    assert!(fs::read(folder.path().join(got)).unwrap() == bytes);
}

#[test]
fn a_broken_off_upload_goes_on() {
    if !can_run() {
        return;
    }
    upload_cut(0);
}

#[test]
fn an_upload_that_broke_off_anywhere_goes_on() {
    if !can_run() {
        return;
    }
    for odd in 1..4 {
        upload_cut(odd);
    }
}

/// What the part of file 1 of this server is called.
fn part_of(name: &str, address: &str, size: usize) -> String {
    let digest = digest(format!("{address} 1 {size} {name}").as_bytes());
    format!("{name}.1-{}.part", &digest[7..19])
}

#[test]
fn a_broken_off_download_goes_on() {
    if !can_run() {
        return;
    }
    let server = Server::start(&[]);
    let (folder, bytes) = with_file(3_000_000);
    assert_eq!(good(&run(folder.path(), SEND, &[&server.address(), "#lobby", "cat.png"])), "1");
    let proxy = Proxy::start(server.port);
    let part = folder.path().join("got").join(part_of("cat.png", &proxy.address(), 3_000_000));
    let held = || fs::metadata(&part).map_or(0, |part| part.len());
    let (mut up, mut down) = (0, 0);
    // First it is cut, then killed, then something else has shortened the part.
    for (turn, limit) in [1_000_000, 1_000_000, usize::MAX / 2].into_iter().enumerate() {
        proxy.limit(usize::MAX, down + limit);
        let had = held();
        let get = ["-j", "#lobby", "-d", folder.path().join("got").to_str().unwrap(), &proxy.address(), "1"]
            .map(str::to_owned);
        let mut getter = Running::start(GET, &get);
        if turn == 2 {
            assert!(getter.0.wait().unwrap().success());
        } else {
            eventually("some of it is there", || held() > had + 500_000);
            if turn == 0 {
                proxy.cut(Cut::Close)
            } else {
                getter.signal("TERM")
            }
            assert_eq!(getter.0.wait().unwrap().code(), Some(if turn == 0 { 1 } else { 143 }));
            assert!(held() > had + 500_000);
        }
        let asked = proxy.up()[up..].to_owned();
        let offset: u64 = after(&asked, "/get 1 ").unwrap().parse().unwrap();
        assert_eq!(offset, had / 12_288 * 12_288, "{asked}");
        assert!(turn == 0 || proxy.bytes().1 - down < (3_000_000 - offset as usize) * 4 / 3 + 10_000);
        (up, down) = proxy.bytes();
        if turn == 1 {
            fs::OpenOptions::new().write(true).open(&part).unwrap().set_len(held() - 5).unwrap();
        }
    }
    assert!(fs::read(folder.path().join("got/cat.png")).unwrap() == bytes);
    assert!(!part.exists());
}

#[test]
fn a_part_that_is_whole_needs_only_its_digest() {
    if !can_run() {
        return;
    }
    let server = Server::start(&[]);
    let (folder, bytes) = with_file(100_000);
    assert_eq!(good(&run(folder.path(), SEND, &[&server.address(), "#lobby", "cat.png"])), "1");
    fs::write(folder.path().join("got").join(part_of("cat.png", &server.address(), 100_000)), &bytes).unwrap();
    good(&run(folder.path(), GET, &["-j", "#lobby", "-d", "got", &server.address(), "1"]));
    assert!(fs::read(folder.path().join("got/cat.png")).unwrap() == bytes);
}

#[test]
fn a_part_that_was_changed_is_noticed() {
    if !can_run() {
        return;
    }
    let server = Server::start(&[]);
    let (folder, mut bytes) = with_file(100_000);
    assert_eq!(good(&run(folder.path(), SEND, &[&server.address(), "#lobby", "cat.png"])), "1");
    let part = folder.path().join("got").join(part_of("cat.png", &server.address(), 100_000));
    let get = || run(folder.path(), GET, &["-j", "#lobby", "-d", "got", &server.address(), "1"]);
    bytes[7] ^= 1;
    fs::write(&part, &bytes[..50_000]).unwrap();
    assert!(bad(&get(), 1).contains("digest"));
    assert!(!part.exists() && !folder.path().join("got/cat.png").exists());
    fs::write(&part, vec![0; 100_001]).unwrap();
    assert!(bad(&get(), 1).contains("longer"));
    fs::remove_file(&part).unwrap();
    assert_eq!(good(&get()), "got/cat.png");
}

#[test]
fn nothing_else_is_ever_written_over() {
    if !can_run() {
        return;
    }
    let server = Server::start(&[]);
    let (folder, bytes) = with_file(100_000);
    assert_eq!(good(&run(folder.path(), SEND, &[&server.address(), "#lobby", "cat.png"])), "1");
    let part = format!("got/{}", part_of("cat.png", &server.address(), 100_000));
    let [path, part, precious] = ["got/cat.png", &part, "precious"].map(|name| folder.path().join(name));
    // The beginning of the very file, and of its very name, is the user's own all the same.
    let own = folder.path().join("got/cat.png.part");
    fs::write(&own, &bytes[..50_000]).unwrap();
    let get = || run(folder.path(), GET, &["-j", "#lobby", "-d", "got", &server.address(), "1"]);
    fs::write(&path, "mine").unwrap();
    assert!(bad(&get(), 1).contains("there already"));
    assert_eq!(fs::read(&path).unwrap(), b"mine");
    fs::remove_file(&path).unwrap();
    fs::write(&precious, "mine").unwrap();
    for place in [&path, &part] {
        for to in [&precious, &folder.path().join("nowhere")] {
            symlink(to, place).unwrap();
            bad(&get(), 1);
            fs::remove_file(place).unwrap();
        }
        fs::create_dir(place).unwrap();
        bad(&get(), 1);
        fs::remove_dir(place).unwrap();
    }
    assert_eq!(fs::read(&precious).unwrap(), b"mine");
    assert!(!folder.path().join("nowhere").exists());
    good(&get());
    assert!(fs::read(&path).unwrap() == bytes);
    assert!(fs::read(&own).unwrap() == bytes[..50_000]);
}

/// A server that has one file for everybody, and calls it what it likes.
fn impostor(name: &str) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let name = name.to_owned();
    thread::spawn(move || {
        let (stream, _) = listener.accept().unwrap();
        let say = |text: &str| (&stream).write_all(text.as_bytes()).unwrap();
        say("* hello guest1 chinwag/0.2.0 1 online\n");
        for line in BufReader::new(&stream).lines().map_while(Result::ok) {
            match line.split(' ').next().unwrap() {
                "/files" => say(&format!("- 1 2 eve #lobby 1s ready {name}\n+ files 1\n")),
                "/get" => say(&format!(
                    "+ get 1 0 2 {name}\n=1 aGk=\n=1 . 2 sha256:8f434346648f6b96df89dda901c5176b10a6d83961dd3c1ac88b59b2dc327aa4\n"
                )),
                _ => say("+ set presence off\n"),
            }
        }
    });
    port
}

#[test]
fn no_name_leads_out_of_the_folder() {
    if !can_run() {
        return;
    }
    for (name, becomes) in [
        ("../evil", "evil"),
        ("/etc/evil", "evil"),
        ("..", "_.."),
        (".", "_."),
        ("", "_"),
        ("a/", "_"),
        (".bashrc", "_.bashrc"),
        ("-rf", "_-rf"),
        ("$(touch evil)`touch evil`", "$(touch evil)`touch evil`"),
        ("a\u{1b}[2Jb\tc", "a_[2Jb_c"),
        ("%s%n\\n", "%s%n\\n"),
    ] {
        let (folder, _) = with_file(0);
        let at = format!("127.0.0.1:{}", impostor(name));
        let got = good(&run(folder.path(), GET, &["-d", "got", &at, "1"]));
        assert_eq!(got, format!("got/{becomes}"), "{name:?}");
        assert_eq!(fs::read(folder.path().join(&got)).unwrap(), b"hi");
        let mut all: Vec<_> = fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        all.extend(fs::read_dir(folder.path().join("got")).unwrap().map(|entry| entry.unwrap().file_name()));
        assert_eq!(all.len(), 3, "{name:?} {all:?}");
    }
    let long = "x".repeat(255);
    let (folder, _) = with_file(0);
    let at = format!("127.0.0.1:{}", impostor(&long));
    assert_eq!(good(&run(folder.path(), GET, &["-d", "got", &at, "1"])), format!("got/{}", &long[..250]));
}

#[test]
fn a_fetched_file_is_on_the_disk_before_it_has_its_name() {
    if !can_run() {
        return;
    }
    let server = Server::start(&[]);
    let (folder, _) = with_file(5_000);
    let _bob = server.in_room("bob", "#lobby");
    let at = server.address();
    let id = good(&run(folder.path(), SEND, &["-n", "alice", &at, "#lobby", "cat.png"]));
    // It tells what was there when it was called.
    let programs = folder.path().join("programs");
    fs::create_dir(&programs).unwrap();
    let sync = programs.join("sync");
    fs::write(&sync, "#!/bin/sh\n[ $# -eq 2 ] && [ -f \"$2\" ] && [ ! -e got/cat.png ] && wc -c <\"$2\" >synced\n")
        .unwrap();
    fs::set_permissions(&sync, fs::Permissions::from_mode(0o755)).unwrap();
    let path = format!("{}:{}", programs.display(), std::env::var("PATH").unwrap());
    let arguments = ["-j", "#lobby", "-d", "got", &at, &id];
    assert_eq!(good(&run_with(folder.path(), GET, &arguments, &[("PATH", &path)])), "got/cat.png");
    assert_eq!(fs::read_to_string(folder.path().join("synced")).unwrap().trim(), "5000");
}
