//! `chinwag send` and `chinwag get` where something breaks: connections, servers, disks, the clients themselves.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::thread;

use testkit::data::{digest, listing};
use testkit::proxy::{Cut, Plan, Proxy};
use testkit::{Server, binary, eventually, have, noise, timed};

use crate::oneshot::{chinwag, failed, fine, narrow, run, share, text};

/// Runs `get` with a file system that fails in this way.
fn get_on_a_bad_disk(server: &Server, folder: &Path, how: &[&str], options: &[&str]) -> Output {
    let mut command = timed();
    command.args(["strace", "-f", "-o", "/dev/null"]).args(how);
    command.args([binary(), "get", "--join", "#a", "--server", &server.address()]).args(options);
    command.current_dir(folder).output().unwrap()
}

#[test]
fn a_disk_without_locks_takes_files() {
    if !have(&["strace"]) {
        return;
    }
    let server = Server::start(&[]);
    let id = share(&server, "cat.png", b"hello");
    let there = tempfile::tempdir().unwrap();
    for error in ["ENOLCK", "EOPNOTSUPP", "ENOSYS", "EINVAL"] {
        let inject = format!("inject=flock:error={error}");
        let output = get_on_a_bad_disk(&server, there.path(), &["-e", &inject], &[&id, "-o", error]);
        assert_eq!(fine(&output), [error]);
    }
}

#[test]
fn a_disk_that_takes_only_plain_names_takes_files() {
    if !have(&["strace"]) {
        return;
    }
    let server = Server::start(&[]);
    let id = share(&server, "a:é.png", b"hello");
    let there = tempfile::tempdir().unwrap();
    let part = format!("./a:é.png.{}.part", mark(&server.address(), &id, 5, "a:é.png"));
    for (error, saved) in [("EINVAL", "./a__.png"), ("EILSEQ", "./a__ (2).png"), ("ENAMETOOLONG", "./a__ (3).png")] {
        let inject = format!("inject=openat:error={error}");
        let output = get_on_a_bad_disk(&server, there.path(), &["-P", &part, "-e", &inject], &[&id]);
        assert_eq!(fine(&output), [saved], "{error}");
    }
    // Who has chosen the name is asked for another.
    let long = "x".repeat(300);
    failed(&run(there.path(), server.port, &["get", &id, "--join", "#a", "-o", &long]), "give it another name");
}

/// A server that has one file, `hello`, and sends it wrongly.
fn liar(data: &'static str) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let lines = BufReader::new(stream.try_clone().unwrap()).lines();
        stream.write_all(b"* hello guest1 chinwag/0.2.0 1 online; hello\n").unwrap();
        for line in lines.map_while(Result::ok) {
            let answer = match line.split(' ').next().unwrap() {
                "/files" => "- 1 5 bob #a 0s ready hello\n+ files 1\n".to_owned(),
                "/get" => format!("+ get 1 0 5 hello\n{data}"),
                "/join" => "- here guest1\n+ join #a 1\n".to_owned(),
                "/history" => "+ history #a 0\n".to_owned(),
                _ => format!("+ {}\n", &line[1..]),
            };
            if stream.write_all(answer.as_bytes()).is_err() || line.starts_with("/quit") {
                break;
            }
        }
    });
    port
}

#[test]
fn what_is_not_the_file_gets_no_name() {
    const WRONG: &str = "sha256:0000000000000000000000000000000000000000000000000000000000000000";
    let wrong = format!("=1 aGVsbG8=\n=1 . 5 {WRONG}\n").leak();
    let short = format!("=1 aGVs\n=1 . 5 {WRONG}\n").leak();
    for (data, why) in [
        (&*wrong, "its digest does not agree"),
        (short, "not all of it came"),
        ("=1 aGVsbG8h\n", "more came than the file has"),
        ("=1 a\n", "no base64"),
        ("=1 aGVs\n=1 ! no-space the disk is gone\n", "the disk is gone"),
    ] {
        for output in ["copy", ".", "-"] {
            let here = tempfile::tempdir().unwrap();
            let output = run(here.path(), liar(data), &["get", "1", "--join", "#a", "-o", output]);
            let errors = text(&output.stderr);
            assert_eq!(output.status.code(), Some(1), "{errors}");
            assert!(errors.contains(why), "{errors}");
            let names = listing(here.path());
            assert!(names.iter().all(|name| name.ends_with(".part")), "{data}: {names:?}");
            // Nothing more will come of that ID.
            assert!(!why.contains("the disk is gone") || names.is_empty(), "{data}: {names:?}");
        }
    }
}

#[test]
fn what_was_fetched_before_a_kill_is_not_fetched_again() {
    let server = Server::start(&["--rate", "0"]);
    let bytes = noise(1_000_000, 3);
    let id = share(&server, "cat.png", &bytes);
    let there = tempfile::tempdir().unwrap();
    for (output, name) in [(".", "./cat.png"), ("kitten.png", "kitten.png")] {
        let proxy = narrow(&server, usize::MAX, 500_000);
        let mut command = Command::new(binary());
        command.args(["get", &id, "--join", "#a", "-o", output, "--server", &proxy.address()]);
        let mut child =
            command.current_dir(there.path()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let mark = mark(&proxy.address(), &id, bytes.len(), "cat.png");
        let part = there.path().join(format!("{name}.{mark}.part"));
        // It has all that comes.
        eventually("half of it", || {
            proxy.bytes().1 == 500_000
                && fs::metadata(&part).is_ok_and(|part| part.len() > 300_000 && part.len() < 1_000_000)
        });
        child.kill().unwrap();
        assert_eq!(text(&child.wait_with_output().unwrap().stdout), "");
        assert!(part.exists() && !there.path().join(name).exists());
        let before = proxy.bytes().0;
        proxy.limit(usize::MAX, usize::MAX);
        assert_eq!(fine(&run(there.path(), proxy.port(), &["get", &id, "--join", "#a", "-o", output])), [name]);
        let heard = proxy.up()[before..].to_owned();
        let asked: Vec<_> = heard.lines().filter_map(|line| line.strip_prefix(&format!("/get {id} "))).collect();
        let offset: u64 = asked[0].parse().unwrap();
        assert!(asked.len() == 1 && offset >= 290_000 && offset.is_multiple_of(12_288), "{heard:?}");
        assert!(fs::read(there.path().join(name)).unwrap() == bytes);
    }
    assert_eq!(listing(there.path()), ["cat.png", "kitten.png"]);
}

#[test]
fn what_was_sent_before_a_kill_is_not_sent_again() {
    let server = Server::start(&["--rate", "0"]);
    let here = tempfile::tempdir().unwrap();
    let bytes = noise(1_000_000, 3);
    fs::write(here.path().join("cat.png"), &bytes).unwrap();
    let mut alice = server.in_room("alice", "#a");
    let proxy = narrow(&server, 500_000, usize::MAX);
    let mut command = Command::new(binary());
    command.args(["send", "cat.png", "--to", "#a", "--nick", "bob"]);
    command.args(["--server", &proxy.address()]).current_dir(here.path());
    let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
    eventually("half of it", || proxy.bytes().0 == 500_000);
    child.kill().unwrap();
    // A reset would throw away what the server has not read yet.
    proxy.cut(Cut::Close);
    assert_eq!(text(&child.wait_with_output().unwrap().stdout), "");
    alice.until("#a * bob file 1 1000000 cat.png");
    alice.until("#a * bob unfile 1 gone");
    alice.until_starting("#a * bob ");
    let proxy = Proxy::start(server.port);
    let output = run(here.path(), proxy.port(), &["send", "cat.png", "--to", "#a", "--nick", "bob"]);
    // It is the same file, and half of it has not passed again.
    assert_eq!(fine(&output), ["1"]);
    assert!(proxy.bytes().0 < 1_000_000);
    alice.until("#a * bob file 1 1000000 cat.png");
    let there = tempfile::tempdir().unwrap();
    fine(&run(there.path(), server.port, &["get", "1", "--join", "#a"]));
    assert!(fs::read(there.path().join("cat.png")).unwrap() == bytes);
}

/// A file may be fetched while it is still coming, and comes to a stop if its sender is cut off. When the sender goes on,
/// so does the receiver.
#[test]
fn who_fetches_waits_for_a_sender_who_was_cut_off() {
    let server = Server::start(&["--rate", "0"]);
    let here = tempfile::tempdir().unwrap();
    let bytes = noise(1_000_000, 3);
    fs::write(here.path().join("cat.png"), &bytes).unwrap();
    let mut alice = server.in_room("alice", "#a");
    let proxy = narrow(&server, 500_000, usize::MAX);
    // No place is kept for them.
    proxy.grow_old();
    let mut send = Command::new(binary());
    send.args(["send", "cat.png", "--to", "#a", "--nick", "bob", "--server", &proxy.address()]);
    let mut send = send.current_dir(here.path()).stdout(Stdio::null()).spawn().unwrap();
    alice.until("#a * bob file 1 1000000 cat.png");
    let there = tempfile::tempdir().unwrap();
    let get = chinwag(there.path(), server.port, &["get", "1", "--join", "#a", "--nick", "carol"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let is_part = |name: &String| name.starts_with("cat.png.1-") && name.ends_with(".part");
    eventually("half of it", || proxy.bytes().0 == 500_000 && listing(there.path()).iter().any(is_part));
    send.kill().unwrap();
    send.wait().unwrap();
    proxy.cut(Cut::Reset);
    alice.until("#a * bob unfile 1 gone");
    alice.until_starting("#a * bob ");
    assert_eq!(fine(&run(here.path(), server.port, &["send", "cat.png", "--to", "#a", "--nick", "bob"])), ["1"]);
    let got = get.wait_with_output().unwrap();
    let errors = text(&got.stderr);
    assert_eq!((got.status.code(), text(&got.stdout)), (Some(0), "./cat.png\n".to_owned()), "{errors}");
    assert!(errors.contains("cat.png: it is gone for now"), "{errors}");
    assert!(fs::read(there.path().join("cat.png")).unwrap() == bytes);
}

/// What tells the part of a file from all others.
fn mark(address: &str, id: &str, size: usize, name: &str) -> String {
    format!("{id}-{}", &digest(format!("{address} {id} {size} {name}").as_bytes())[7..19])
}

#[test]
fn only_what_carries_the_mark_of_a_file_is_taken_for_its_part() {
    let server = Server::start(&["--rate", "0"]);
    let bytes = noise(100_000, 3);
    let id = share(&server, "cat.png", &bytes);
    let marked = |id: &str, size| format!("cat.png.{}.part", mark(&server.address(), id, size, "cat.png"));
    // What somebody has called a part stays as it is, even where it is the beginning of the very file.
    for name in ["cat.png.part".to_owned(), marked("9", 100_000), marked(&id, 99_999)] {
        for old in [noise(50_000, 4), bytes[..50_000].to_vec(), bytes.clone(), noise(100_001, 4)] {
            for (output, saved) in [(".", "./cat.png"), ("cat.png", "cat.png")] {
                let there = tempfile::tempdir().unwrap();
                fs::write(there.path().join(&name), &old).unwrap();
                let output = run(there.path(), server.port, &["get", &id, "--join", "#a", "-o", output]);
                assert_eq!(fine(&output), [saved]);
                assert_eq!(listing(there.path()), ["cat.png", &name]);
                assert!(fs::read(there.path().join("cat.png")).unwrap() == bytes);
                assert!(fs::read(there.path().join(&name)).unwrap() == old, "{name}");
            }
        }
    }
    // What does carry it, and is not the beginning after all, is begun anew; what has a second name is not touched.
    let name = marked(&id, 100_000);
    for (old, is_linked) in [(noise(50_000, 4), false), (noise(100_000, 4), false), (noise(50_000, 4), true)] {
        let there = tempfile::tempdir().unwrap();
        fs::write(there.path().join(&name), &old).unwrap();
        if is_linked {
            fs::hard_link(there.path().join(&name), there.path().join("mine")).unwrap();
        }
        assert_eq!(fine(&run(there.path(), server.port, &["get", &id, "--join", "#a"])), ["./cat.png"]);
        assert!(fs::read(there.path().join("cat.png")).unwrap() == bytes);
        assert_eq!(there.path().join(&name).exists(), is_linked);
        assert!(!is_linked || fs::read(there.path().join("mine")).unwrap() == old);
    }
}

#[test]
fn a_file_is_on_the_disk_before_it_has_its_name() {
    if !have(&["strace"]) {
        return;
    }
    let server = Server::start(&[]);
    let id = share(&server, "cat.png", b"hello");
    let there = tempfile::tempdir().unwrap();
    let calls = tempfile::tempdir().unwrap();
    let mut command = timed();
    // A file for each thread: in one for all, a call is told in two parts where another comes between.
    command.args(["strace", "-ff", "-y", "-o"]).arg(calls.path().join("calls"));
    command.args(["-e", "trace=fsync,fdatasync,/rename", binary()]);
    command.args(["get", &id, "--join", "#a", "--server", &server.address()]).current_dir(there.path());
    assert_eq!(fine(&command.output().unwrap()), ["./cat.png"]);
    let of_threads = fs::read_dir(calls.path()).unwrap().map(|file| fs::read_to_string(file.unwrap().path()).unwrap());
    let calls = of_threads.into_iter().find(|calls| calls.contains("rename")).unwrap();
    let synced = calls.find(".part>) = 0").unwrap_or_else(|| panic!("nothing is synced: {calls}"));
    assert!(synced < calls.find("rename").unwrap(), "{calls}");
}

#[test]
fn a_connection_that_breaks_is_made_again() {
    let server = Server::start(&["--rate", "0"]);
    let here = tempfile::tempdir().unwrap();
    let bytes = noise(2_000_000, 3);
    fs::write(here.path().join("cat.png"), &bytes).unwrap();
    fs::write(here.path().join("dog.png"), &bytes[1..]).unwrap();
    let plan = |seed| Plan { seed, cuts: 3, bytes: 400_000..900_000, milliseconds: 15_000..16_000 };
    let proxy = Proxy::cutting(server.port, plan(1));
    let output = run(here.path(), proxy.port(), &["send", "cat.png", "dog.png", "--to", "#a", "--nick", "bob"]);
    assert_eq!(text(&output.stdout), "1\n2\n", "{}", text(&output.stderr));
    assert_eq!((output.status.code(), proxy.cuts()), (Some(0), 3));
    let there = tempfile::tempdir().unwrap();
    let proxy = Proxy::cutting(server.port, plan(2));
    let output = run(there.path(), proxy.port(), &["get", "1", "2", "--join", "#a"]);
    assert_eq!((output.status.code(), proxy.cuts()), (Some(0), 3), "{}", text(&output.stderr));
    assert!(fs::read(there.path().join("cat.png")).unwrap() == bytes);
    assert!(fs::read(there.path().join("dog.png")).unwrap() == bytes[1..]);
    // What goes to standard output comes only once too.
    let proxy = Proxy::cutting(server.port, Plan { cuts: 1, ..plan(3) });
    let output = run(there.path(), proxy.port(), &["get", "1", "--join", "#a", "-o", "-"]);
    assert_eq!((output.status.code(), proxy.cuts()), (Some(0), 1), "{}", text(&output.stderr));
    assert!(output.stdout == bytes);
}
