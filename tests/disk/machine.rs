//! The server and its machine: folders that others made, swept or put something into, limits and clocks, and the start.

use std::fs::{self, File, Permissions};
use std::io::{BufRead, BufReader, Write as _};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::{Command, Stdio};

use testkit::company::Company;
use testkit::data::{Folder, NOT_KEPT, chunks, fetch, history, kill, listing, share, stop, unstamped};
use testkit::disk::faketime;
use testkit::{Client, PATIENCE, Server, binary, control, eventually, have, noise, timed};

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o7777
}

#[test]
fn a_folder_that_others_may_enter_keeps_its_mode_and_is_warned_of() {
    let folder = Folder::new();
    for (given, is_warned) in [(0o2770, true), (0o755, true), (0o700, false)] {
        fs::create_dir_all(&folder.path).unwrap();
        fs::set_permissions(&folder.path, Permissions::from_mode(given)).unwrap();
        let log = kill(folder.serve(&[]));
        assert_eq!(mode(&folder.path), given);
        let check = Command::new(binary()).args(["check", "--data"]).arg(&folder.path).output().unwrap();
        for log in [log, String::from_utf8(check.stderr).unwrap()] {
            assert_eq!(log.contains(&format!("(mode {given:o})")), is_warned, "{log}");
        }
        assert_eq!(
            (mode(&folder.path.join("rooms")) & 0o777, mode(&folder.path.join("spool")) & 0o777),
            (0o700, 0o700)
        );
        fs::remove_dir_all(&folder.path).unwrap();
    }
}

#[test]
fn what_is_swept_away_is_made_anew() {
    let folder = Folder::new();
    let mut server = folder.serve(&[]);
    let mut alice = server.in_room("alice", "#a");
    let first = share(&mut alice, "#a", b"one", "x");
    for swept in ["spool", "rooms", ""] {
        fs::remove_dir_all(folder.path.join(swept)).unwrap();
        alice.ask("/topic of brooms", "+ topic #a of brooms");
        let id = share(&mut alice, "#a", b"two", "y");
        assert!(id > first && fetch(&mut alice, id) == b"two", "{swept}");
        alice.ask(&format!("/msg #a after {swept}"), "+ msg #a");
        assert!(unstamped(folder.logged("a").last().unwrap()).ends_with(&format!("after {swept}")));
        let told = alice.settle();
        assert!(!told.iter().any(|line| line.starts_with(NOT_KEPT)), "{told:?}");
    }
    // IDs go on, and it is still for one server.
    let next: u64 = fs::read_to_string(folder.path.join("next-id")).unwrap().trim().parse().unwrap();
    assert!(next > first + 3);
    assert!(File::open(folder.path.join("lock")).unwrap().try_lock().is_err());
    drop(alice);
    server.signal("TERM");
    let (status, log) = server.wait();
    assert!(status.success() && log.contains("spool was gone") && log.contains("rooms was gone"), "{log}");
}

#[test]
fn all_that_went_with_a_folder_is_told_whoever_comes_upon_it_first() {
    let mut folder = Folder::new();
    let around = folder.path.clone();
    folder.path.push("of/mine");
    let server = folder.serve(&["--sync", "0"]);
    let mut alice = server.in_room("alice", "#a");
    alice.ask("/msg #a hello", "+ msg #a");
    fs::remove_dir_all(&around).unwrap();
    eventually("the door is there again", || {
        alice.ask("/ping", "+ ping");
        UnixStream::connect(folder.path.join("ctl")).is_ok()
    });
    alice.ask("/msg #a anew", "+ msg #a");
    share(&mut alice, "#a", b"one", "x");
    drop(alice);
    let (_, log) = stop(server);
    let path = folder.path.display();
    for told in [
        format!("{} was gone, and all in it; it is made anew, for nobody else (mode 700)\n", around.display()),
        format!("{path}/lock was gone; it is made anew\n"),
        format!("{path}/rooms was gone, and the logs in it; it is made anew\n"),
        format!("{path}/spool was gone, and the files in it; it is made anew\n"),
    ] {
        assert_eq!(log.matches(&told).count(), 1, "{told}: {log}");
    }
    assert_eq!(mode(&around), 0o700);
}

#[test]
fn the_end_of_a_server_makes_no_logs_anew_in_silence() {
    let folder = Folder::new();
    let server = folder.serve(&["--sync", "1h"]);
    server.in_room("alice", "#a").ask("/msg #a hello", "+ msg #a");
    fs::remove_dir_all(folder.path.join("rooms")).unwrap();
    let (_, log) = stop(server);
    assert!(!folder.path.join("rooms").exists() && !log.contains("cannot sync"), "{log}");
}

#[test]
fn the_operators_door_is_made_anew_where_it_was() {
    let folder = Folder::new();
    let mut server = folder.serve(&[]);
    let mut alice = server.person("alice");
    let door = folder.path.join("ctl");
    for _ in 0..2 {
        fs::remove_file(&door).unwrap();
        eventually("the door is there again", || {
            alice.ask("/ping", "+ ping");
            UnixStream::connect(&door).is_ok()
        });
        assert_eq!((mode(&door), control(&door, "/blocks\n").last().unwrap().as_str()), (0o600, "+ blocks 0"));
    }
    // A signal will do where nobody says anything.
    fs::remove_dir_all(&folder.path).unwrap();
    server.signal("HUP");
    eventually("the door is there again", || UnixStream::connect(&door).is_ok());
    server.signal("TERM");
    let (_, log) = server.wait();
    assert_eq!(log.matches("the operator's door was gone").count(), 3, "{log}");
}

#[test]
fn no_id_means_two_files_though_the_note_of_them_is_lost() {
    let folder = Folder::new();
    let note = folder.path.join("next-id");
    for lost in [None, Some(""), Some("\0\0\0\0\0")] {
        let server = folder.serve(&[]);
        let mut alice = server.in_room("alice", "#a");
        let ids = [1, 2, 3].map(|_| share(&mut alice, "#a", b"x", "x"));
        alice.ask(&format!("/cancel {}", ids[2]), &format!("+ cancel {}", ids[2]));
        let last = folder.path.join("spool").join(ids[2].to_string());
        eventually("it is gone from the disk", || !last.exists());
        kill(server);
        match lost {
            None => fs::remove_file(&note).unwrap(),
            Some(text) => fs::write(&note, text).unwrap(),
        }
        let server = folder.serve(&[]);
        let mut alice = server.in_room("alice", "#a");
        let next = share(&mut alice, "#a", b"x", "x");
        assert!(next > ids[2], "{lost:?}: {next} is {ids:?} again");
        // While it runs, it is there again with the next file.
        fs::remove_file(&note).unwrap();
        share(&mut alice, "#a", b"x", "x");
        let noted: u64 = fs::read_to_string(&note).unwrap().trim().parse().unwrap();
        assert!(noted > next);
        drop(alice);
        stop(server);
    }
}

#[test]
fn what_somebody_else_put_into_the_spool_stays_and_is_in_nobodys_way() {
    let folder = Folder::new();
    let server = folder.serve(&[]);
    let first = share(&mut server.in_room("alice", "#a"), "#a", b"one", "x");
    stop(server);
    let in_spool = |name: String| folder.path.join("spool").join(name);
    let foreign = [first + 1, first + 70];
    foreign.iter().for_each(|id| fs::write(in_spool(id.to_string()), "foreign").unwrap());
    let server = folder.serve(&[]);
    let mut alice = server.in_room("alice", "#a");
    assert_eq!(share(&mut alice, "#a", b"two", "x"), foreign[0]);
    assert_eq!(fetch(&mut alice, foreign[0]), b"two");
    drop(alice);
    stop(server);
    for name in [format!("{}.damaged", foreign[0]), foreign[1].to_string()] {
        assert_eq!(fs::read(in_spool(name)).unwrap(), b"foreign");
    }
}

#[test]
fn a_temporary_folder_that_is_swept_away_is_made_anew() {
    let parent = tempfile::tempdir().unwrap();
    let mut command = Command::new(binary());
    command.args(["serve", "--listen", "127.0.0.1:0"]).env("TMPDIR", parent.path());
    let mut server = Server::start_with(&mut command);
    let mut alice = server.in_room("alice", "#a");
    for _ in 0..2 {
        let name = listing(parent.path()).pop().unwrap();
        fs::remove_dir_all(parent.path().join(&name)).unwrap();
        let id = share(&mut alice, "#a", b"two", "y");
        assert_eq!(fetch(&mut alice, id), b"two");
        // Who sweeps leaves it alone as long as it is locked.
        assert!(File::open(parent.path().join(&name)).unwrap().try_lock().is_err());
        assert_eq!(mode(&parent.path().join(&name)), 0o700);
    }
    // What stands in the way of all files is logged, and once.
    fs::remove_dir_all(parent.path()).unwrap();
    fs::write(parent.path(), "").unwrap();
    for _ in 0..2 {
        alice.send("/send #a 3 z");
        let id = alice.until_starting("+ send ").pop().unwrap().split(' ').nth(2).unwrap().to_owned();
        alice.send("=YWJj");
        alice.until_starting(&format!("={id} ! "));
    }
    drop(alice);
    server.signal("TERM");
    let log = server.wait().1;
    assert_eq!(log.matches("cannot take files").count(), 1, "{log}");
    fs::remove_file(parent.path()).unwrap();
    fs::create_dir(parent.path()).unwrap();
}

#[test]
fn what_somebody_puts_in_the_place_of_the_temporary_folder_is_left_alone() {
    let (parent, foreign) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    for n in 1..=9 {
        fs::write(foreign.path().join(n.to_string()), "precious").unwrap();
    }
    let mut command = Command::new(binary());
    command.args(["serve", "--listen", "127.0.0.1:0"]).env("TMPDIR", parent.path());
    let server = Server::start_with(&mut command);
    let mut alice = server.in_room("alice", "#a");
    let first = share(&mut alice, "#a", b"one", "x");
    let is_linked = |name: &String| parent.path().join(name).is_symlink();
    let mut left = Vec::new();
    for is_link in [true, false] {
        let name = listing(parent.path()).into_iter().find(|name| !left.contains(name)).unwrap();
        let path = parent.path().join(&name);
        fs::remove_dir_all(&path).unwrap();
        if is_link {
            symlink(foreign.path(), &path).unwrap();
        } else {
            fs::create_dir(&path).unwrap();
            fs::set_permissions(&path, Permissions::from_mode(0o777)).unwrap();
            (1..=9).for_each(|n| fs::write(path.join(n.to_string()), "precious").unwrap());
        }
        left.push(name);
        // What there was is gone, and is not looked for elsewhere.
        alice.send(&format!("/cancel {first}"));
        let id = share(&mut alice, "#a", b"two", "y");
        assert_eq!(fetch(&mut alice, id), b"two");
        let new = listing(parent.path()).into_iter().find(|name| !left.contains(name)).unwrap();
        assert!(!is_linked(&new) && mode(&parent.path().join(&new)) == 0o700);
    }
    drop(alice);
    assert!(stop(server).0.success());
    left.sort();
    assert_eq!(listing(parent.path()), left);
    for folder in [foreign.path(), &parent.path().join(left.iter().find(|name| !is_linked(name)).unwrap())] {
        let there = (1..=9).filter(|n| fs::read(folder.join(n.to_string())).is_ok_and(|bytes| bytes == b"precious"));
        assert_eq!((listing(folder).len(), there.count()), (9, 9));
    }
}

#[test]
fn a_file_that_is_not_ours_in_the_folder_of_the_files_stays() {
    let folder = Folder::new();
    let server = folder.serve(&[]);
    let mut alice = server.in_room("alice", "#a");
    assert_eq!(share(&mut alice, "#a", b"one", "x"), 1);
    fs::write(folder.path.join("spool/2"), "precious").unwrap();
    assert_eq!(share(&mut alice, "#a", b"two", "y"), 2);
    assert_eq!(fs::read(folder.path.join("spool/2.damaged")).unwrap(), b"precious");
    alice.send("/cancel 2");
    alice.until("+ cancel 2");
    assert_eq!(share(&mut alice, "#a", b"three", "z"), 3);
    assert_eq!(fs::read(folder.path.join("spool/2.damaged")).unwrap(), b"precious");
}

#[test]
fn nobody_need_read_that_it_listens() {
    let (reader, mut writer) = std::io::pipe().unwrap();
    // As much as a pipe holds.
    writer.write_all(&[b'x'; 65_536]).unwrap();
    let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap().port();
    let mut command = Command::new(binary());
    command.args(["serve", "--listen", &format!("127.0.0.1:{port}")]).stdout(writer).stderr(Stdio::null());
    let mut child = command.spawn().unwrap();
    drop(command);
    let mut stream = None;
    eventually("it listens", || {
        stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).ok();
        stream.is_some()
    });
    let stream = stream.unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let mut hello = String::new();
    let greeted = BufReader::new(&stream).read_line(&mut hello);
    let end = Command::new("kill").arg(child.id().to_string()).status().unwrap();
    let mut ended = None;
    eventually("it ends", || {
        ended = child.try_wait().unwrap();
        ended.is_some()
    });
    drop(reader);
    assert!(greeted.is_ok() && hello.starts_with("* hello "), "{greeted:?} {hello}");
    assert!(end.success() && ended.is_some_and(|status| status.success()));
}

#[test]
fn what_a_killed_server_leaves_is_removed_by_the_next_and_nothing_else() {
    let parent = tempfile::tempdir().unwrap();
    let serve = || {
        let mut command = Command::new(binary());
        Server::start_with(command.args(["serve", "--listen", "127.0.0.1:0"]).env("TMPDIR", parent.path()))
    };
    let server = serve();
    let mut alice = server.in_room("alice", "#a");
    share(&mut alice, "#a", &noise(10_000, 1), "x");
    kill(server);
    let left = listing(parent.path());
    assert_eq!(left.len(), 1);
    fs::create_dir(parent.path().join("chinwag-spool-notes")).unwrap();
    fs::write(parent.path().join("chinwag-spool-notes/mine.txt"), "mine").unwrap();
    fs::create_dir(parent.path().join("chinwag-src")).unwrap();
    let running = serve();
    let mut bob = running.in_room("bob", "#a");
    let id = share(&mut bob, "#a", b"stays", "x");
    let other = serve();
    let there = listing(parent.path());
    assert!(there.len() == 4 && !there.contains(&left[0]), "{there:?}");
    assert_eq!(fetch(&mut bob, id), b"stays");
    assert!(parent.path().join("chinwag-spool-notes/mine.txt").exists());
    drop(bob);
    assert!(stop(running).0.success() && stop(other).0.success());
    assert_eq!(listing(parent.path()), ["chinwag-spool-notes", "chinwag-src"]);
}

#[test]
fn a_limit_of_file_sizes_is_as_a_full_disk() {
    let folder = Folder::new();
    let mut command = Command::new("bash");
    command.args(["-c", "ulimit -f 100 && exec \"$0\" \"$@\"", binary()]);
    let server = Server::start_with(command.args(folder.arguments(&[])));
    let mut people = Company::meet(&server);
    people.carol.send("/join #files\n/send #files 300000 x");
    let id = people.carol.until_starting("+ send ").pop().unwrap().split(' ').nth(2).unwrap().to_owned();
    chunks(&noise(300_000, 1), 40_000).iter().for_each(|chunk| people.carol.send(chunk));
    people.carol.until_starting(&format!("={id} ! no-space "));
    let told = people.say_until_not_kept(&"x".repeat(600));
    assert!(told.contains("disk is full"), "{told}");
    people.say_some(10);
    let kept = kill(server).matches("cannot write file").count();
    assert_eq!(kept, 1, "it is logged so many times");
}

#[test]
fn a_start_waits_for_a_goodbye() {
    // With a data folder it is the lock that is waited for, and else the address alone.
    for has_folder in [true, false] {
        let folder = Folder::new();
        let mut first = if has_folder { folder.serve(&[]) } else { Server::start(&[]) };
        // Who does not go is waited for.
        let mut alice = first.in_room("alice", "#a");
        let address = first.address();
        let mut command = Command::new(binary());
        command.args(["serve", "--listen", &address]);
        if has_folder {
            command.args(["--data", folder.path.to_str().unwrap()]);
        }
        first.signal("TERM");
        let second = Server::start_with(&mut command);
        assert_eq!(second.address(), address);
        second.connect();
        alice.until_starting("* bye shutdown ");
        assert_eq!(first.wait().0.code(), Some(0));
    }
}

/// A log of so many lines of so many bytes, the last of which was said in this year.
fn log(lines: usize, len: usize, year: usize) -> String {
    let line = |n| format!("{n} {year}-11-22T14:30:00.123Z <alice> {}\n", "x".repeat(len));
    (1..=lines).map(line).collect()
}

/// A folder with a log for each of these, as [`log`] has them.
fn with_logs(logs: impl Iterator<Item = (String, String)>) -> Folder {
    let folder = Folder::new();
    fs::create_dir_all(folder.path.join("rooms")).unwrap();
    logs.for_each(|(name, log)| fs::write(folder.log(&name), log).unwrap());
    folder
}

#[test]
fn a_start_reads_little_of_each_of_many_rooms() {
    let folder = with_logs((0..100).map(|n| (format!("r{n}"), log(6_000, 60, 2026))));
    let server = folder.serve(&[]);
    let io = fs::read_to_string(format!("/proc/{}/io", server.pid())).unwrap();
    let read: u64 = io.lines().find_map(|line| line.strip_prefix("rchar: ")).unwrap().parse().unwrap();
    assert!(read < 20 << 20, "{read} bytes were read");
    // Nobody notices: what was not read is read when it is asked for.
    let mut alice = server.in_room("alice", "#r7");
    alice.send("/history #r7 500");
    let lines = alice.until_starting("+ history #r7 500");
    assert!(lines[0].starts_with("- [5501@") && lines[499].starts_with("- [6000@"), "{} {}", lines[0], lines[499]);
}

#[test]
fn rooms_that_fill_the_memory_leave_the_newest_line_of_a_small_one() {
    // Of the files, that of the small room is the oldest.
    let team = [("team".to_owned(), log(1, 5, 2026))].into_iter();
    let folder = with_logs(team.chain((0..40).map(|n| (format!("r{n}"), log(150, 12_000, 2025)))));
    let long_ago = std::time::SystemTime::UNIX_EPOCH;
    File::options().write(true).open(folder.log("team")).unwrap().set_modified(long_ago).unwrap();
    let mut server = folder.serve(&[]);
    for _ in 0..2 {
        let mut alice = server.in_room("alice", "#team");
        assert_eq!(history(&mut alice, "#team", 0).len(), 1);
        for n in 0..40 {
            alice.send(&format!("/join #r{n}"));
            alice.until_starting(&format!("+ join #r{n} "));
            alice.send(&format!("/history #r{n} 20"));
            alice.until_starting(&format!("+ history #r{n} 20"));
            alice.send(&format!("/msg #r{n} one word\n/leave"));
            alice.until_starting("+ leave ");
        }
        kill(server);
        server = folder.serve(&[]);
    }
}

#[test]
fn while_logs_are_read_nobody_waits_unanswered_and_signals_are_heard() {
    if !have(&["strace"]) {
        return;
    }
    let folder = with_logs((0..600).map(|n| (format!("r{n}"), log(3, 60, 2026))));
    let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap().port();
    // Each log takes so long that the start takes longer than anybody waits.
    let calls = tempfile::NamedTempFile::new().unwrap();
    let mut command = Command::new("strace");
    command.args(["-D", "-f", "-e", "trace=pread64", "-e", "inject=pread64:delay_enter=50ms", "-o"]);
    command.arg(calls.path()).arg(binary());
    command.args(["serve", "--listen", &format!("127.0.0.1:{port}"), "--data", folder.path.to_str().unwrap()]);
    // The first look at a log tells when it was last used; it begins when the address is taken.
    let mut child = command.env("RUST_LOG", "debug").stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
    lines.find(|line| line.as_ref().unwrap().contains("at most ")).unwrap().unwrap();
    let read = || fs::read_to_string(calls.path()).unwrap().matches("pread64(").count();
    for n in 0..20 {
        eventually("another log is read", || read() >= n);
        // Before it is taken it is refused as well.
        let refused = TcpStream::connect(("127.0.0.1", port)).unwrap_err();
        assert_eq!(refused.kind(), std::io::ErrorKind::ConnectionRefused);
    }
    // Those that mean something to other servers change nothing now either.
    for signal in ["-USR1", "-USR2", "-TERM"] {
        assert!(Command::new("kill").args([signal, &child.id().to_string()]).status().unwrap().success());
    }
    let since = std::time::Instant::now();
    while child.try_wait().unwrap().is_none() && since.elapsed() < PATIENCE {
        std::thread::yield_now();
    }
    let ended = child.try_wait().unwrap();
    let _ = child.kill();
    assert_eq!(ended.expect("it has not heard the signal").code(), Some(0));
}

#[test]
fn a_log_that_cannot_be_kept_spoils_no_other_room_and_no_file() {
    let folder = Folder::new();
    fs::create_dir_all(folder.log("x")).unwrap();
    fs::write(folder.log("x").join("inside"), "not ours").unwrap();
    let server = folder.serve(&[]);
    let mut people = Company::meet(&server);
    let mut dave = server.in_room("dave", "#x");
    let notice = "* notice the history of #x is";
    dave.send("/msg #x first");
    dave.expect("+ msg #x");
    dave.starting(&format!("{notice} not being kept: "));
    // Who comes later knows too.
    let mut erin = server.person("erin");
    erin.send("/join #x");
    erin.starting(&format!("{notice} not being kept: "));
    erin.until_starting("+ join #x ");
    dave.until("#x * erin joined");
    for round in 1..20 {
        dave.ask(&format!("/msg #x {round}"), "+ msg #x");
        people.say("and so on");
    }
    share(&mut people.alice, "#a", b"abc", "x");
    let told = [people.alice.settle(), people.bob.settle(), std::mem::take(&mut people.told)].concat();
    assert!(!told.iter().any(|line| line.starts_with("* notice ")), "{told:?}");
    assert_eq!(folder.logged("a"), people.heard);
    // When the folder is gone, all that was said is written.
    fs::remove_dir_all(folder.log("x")).unwrap();
    eventually("the log is written", || folder.logged("x").len() == 20);
    dave.until(&format!("{notice} being kept again"));
    erin.until(&format!("{notice} being kept again"));
    let warnings = kill(server);
    assert_eq!(warnings.matches("cannot write the log of #x").count(), 1, "{warnings}");
}

#[test]
fn a_link_in_the_place_of_a_file_is_not_followed() {
    let folder = Folder::new();
    let victim = folder.path.with_file_name("victim");
    fs::write(&victim, "precious").unwrap();
    let server = folder.serve(&[]);
    let mut alice = server.in_room("alice", "#a");
    alice.ask("/msg #a one", "+ msg #a");
    let say = |alice: &mut Client| {
        alice.ask("/msg #a two", "+ msg #a");
        alice.ask("/topic of links", "+ topic #a of links");
        let id = share(alice, "#a", b"abc", "x");
        assert_eq!(fetch(alice, id), b"abc");
        alice.settle();
    };
    say(&mut alice);
    for name in ["rooms/a.log", "rooms/a.topic.new", "rooms/a.topic", "next-id.new", "spool/2.info.new"] {
        let link = folder.path.join(name);
        let _ = fs::remove_file(&link);
        symlink(&victim, &link).unwrap();
        say(&mut alice);
        assert_eq!(fs::read_to_string(&victim).unwrap(), "precious", "{name}");
    }
    assert!(fs::symlink_metadata(folder.log("a")).unwrap().is_file());
    // The bytes of a file are another case: it is read, and somebody fetches it.
    let id = share(&mut alice, "#a", b"abc", "x");
    kill(server);
    fs::remove_file(folder.path.join(format!("spool/{id}"))).unwrap();
    symlink(&victim, folder.path.join(format!("spool/{id}"))).unwrap();
    let server = folder.serve(&[]);
    let mut alice = server.in_room("alice", "#a");
    alice.send(&format!("/get {id}"));
    alice.starting("! get ");
    assert_eq!(fs::read_to_string(&victim).unwrap(), "precious");
}

#[test]
fn what_stands_in_the_place_of_a_file_or_a_folder_is_named_at_the_start() {
    let folder = Folder::new();
    fs::create_dir_all(&folder.path).unwrap();
    let at = |name: &str| folder.path.join(name);
    let refused = |name: &str, why: &str| {
        let mut serve = Command::new(binary());
        let output = serve.args(folder.arguments(&[])).stdin(Stdio::null()).output().unwrap();
        let told = String::from_utf8_lossy(&output.stderr);
        assert!(!output.status.success() && told.contains(&format!("{name} in it: {why}")), "{told}");
    };
    let no_file = "it is no regular file";
    for (name, of_a_folder) in [("lock", "Is a directory; move away what stands there"), ("next-id", no_file)] {
        symlink("nowhere", at(name)).unwrap();
        refused(name, no_file);
        fs::remove_file(at(name)).unwrap();
        // Nobody reads from it.
        assert!(Command::new("mkfifo").arg(at(name)).status().unwrap().success());
        refused(name, no_file);
        fs::remove_file(at(name)).unwrap();
        fs::create_dir(at(name)).unwrap();
        refused(name, of_a_folder);
        fs::remove_dir(at(name)).unwrap();
    }
    // In the order in which they are made.
    for name in ["spool", "rooms"] {
        fs::write(at(name), "").unwrap();
        refused(name, "File exists; move away what stands there");
        fs::remove_file(at(name)).unwrap();
        // What lies there is not ours, and stays as it is.
        let others = tempfile::tempdir().unwrap();
        let log = others.path().join("others.log");
        fs::write(&log, "no line of a room\n").unwrap();
        let _ = fs::remove_dir(at(name));
        symlink("nowhere", at(name)).unwrap();
        refused(name, "it is a link, ");
        fs::remove_file(at(name)).unwrap();
        symlink(others.path(), at(name)).unwrap();
        refused(name, "it is a link, ");
        assert_eq!(fs::read_to_string(&log).unwrap(), "no line of a room\n");
        fs::remove_file(at(name)).unwrap();
    }
    kill(folder.serve(&[]));
}

#[test]
fn what_is_put_in_the_place_of_the_logs_is_neither_followed_nor_waited_for() {
    let folder = Folder::new();
    let others = tempfile::tempdir().unwrap();
    let precious = ["a.log", "a.topic"].map(|name| others.path().join(name));
    precious.iter().for_each(|path| fs::write(path, "precious\n").unwrap());
    let mut server = folder.serve(&[]);
    let mut alice = server.in_room("alice", "#a");
    alice.ask("/msg #a one", "+ msg #a");
    alice.settle();
    let rooms = folder.path.join("rooms");
    fs::remove_dir_all(&rooms).unwrap();
    symlink(others.path(), &rooms).unwrap();
    alice.send("/msg #a two");
    alice.until_starting("* notice history is not being kept");
    alice.send("/topic of links");
    alice.until("+ topic #a of links");
    precious.iter().for_each(|path| assert_eq!(fs::read_to_string(path).unwrap(), "precious\n"));
    fs::remove_file(&rooms).unwrap();
    assert!(Command::new("mkfifo").arg(&rooms).status().unwrap().success());
    alice.send("/msg #a three");
    alice.until("+ msg #a");
    server.signal("TERM");
    let (_, told) = server.wait();
    assert!(told.contains("rooms: it is a link, which is not followed;"), "{told}");
}

#[test]
fn a_topic_that_cannot_be_read_is_told_at_the_start_and_before() {
    let folder = Folder::new();
    let server = folder.serve(&[]);
    server.in_room("alice", "#a").ask("/msg #a one", "+ msg #a");
    kill(server);
    fs::create_dir(folder.log("a").with_extension("topic")).unwrap();
    let want = "the topic of #a cannot be read: ";
    let mut check = Command::new(binary());
    let output = check.args(["check", "--data"]).arg(&folder.path).output().unwrap();
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && told.contains(want), "{told}");
    let mut server = folder.serve(&[]);
    server.signal("TERM");
    let (_, told) = server.wait();
    assert!(told.contains(want), "{told}");
}

#[test]
fn a_clock_before_1970_ends_nothing() {
    let Some(preload) = faketime() else { return };
    let folder = Folder::new();
    for _ in 0..2 {
        let mut command = Command::new(binary());
        command.args(folder.arguments(&[])).env("LD_PRELOAD", &preload).env("FAKETIME", "@1960-01-01 00:00:00");
        command.env("FAKETIME_DONT_FAKE_MONOTONIC", "1").env("FAKETIME_DISABLE_SHM", "1");
        let server = Server::start_with(&mut command);
        let mut people = Company::meet(&server);
        people.say_some(3);
        assert!(people.heard[0].contains("@1970-01-01T00:00:00"), "{}", people.heard[0]);
        share(&mut people.alice, "#a", b"abc", "x");
        people.alice.ask("/ping", "+ ping");
        let at = control(&folder.path.join("ctl"), "/where alice\n");
        assert!(at[0].contains("1970-01-01T00:00:00Z"), "{at:?}");
        people.alice.ask("/ping", "+ ping");
        kill(server);
    }
    assert_eq!(folder.logged("a").len(), 6);
}

/// What `check` and a start say of a folder: the last line that either writes on standard error.
fn refused(folder: &Folder) -> [String; 2] {
    ["check", "serve"].map(|mode| {
        let mut arguments = folder.arguments(&[]);
        arguments[0] = mode;
        let output = timed().arg(binary()).args(arguments).output().unwrap();
        assert_eq!(output.status.code(), Some(1), "{mode}: {output:?}");
        String::from_utf8(output.stderr).unwrap().lines().last().unwrap_or_default().to_owned()
    })
}

fn owner(server: &Server, name: &str) -> Client {
    let mut client = server.person(name);
    client.ask("/register correct-horse", &format!("+ register {name}"));
    client
}

fn again(server: &Server, name: &str) -> Client {
    let mut client = server.person("somebody");
    client.send(&format!("/login {name} correct-horse"));
    client.until(&format!("+ login {name}"));
    client
}

#[test]
fn a_ledger_that_is_gone_stops_the_start() {
    let folder = Folder::new();
    let ledger = folder.path.join("ledger");
    let server = folder.serve(&[]);
    drop(owner(&server, "alice"));
    stop(server);
    let aside = folder.path.join("aside");
    fs::rename(&ledger, &aside).unwrap();
    let path = ledger.display();
    let want = format!(
        "chinwag: cannot use {path}: it is gone, and with it whose which names and rooms are; put it back from a backup, or begin \
         without any: touch {path}"
    );
    assert_eq!(refused(&folder), [want.clone(), want]);
    assert!(!ledger.exists(), "it is made anew");
    fs::rename(&aside, &ledger).unwrap();
    let server = folder.serve(&[]);
    drop(again(&server, "alice"));
    stop(server);
    // An empty one begins anew.
    fs::write(&ledger, "").unwrap();
    let server = folder.serve(&[]);
    drop(owner(&server, "alice"));
    let log = stop(server).1;
    assert!(!log.contains("there is no "), "{log}");
}

/// As an editor may leave it on a full disk.
#[test]
fn a_ledger_that_says_nothing_any_more_is_warned_of() {
    let folder = Folder::new();
    let ledger = folder.path.join("ledger");
    let said = |mode: &str| {
        let mut arguments = folder.arguments(&[]);
        arguments[0] = mode;
        let output = Command::new(binary()).args(arguments).output().unwrap();
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stderr).unwrap()
    };
    let want = format!(
        "{} says nothing any more, and so no name and no room belongs to anybody; if that is not meant, stop the server, and put it back from a backup",
        ledger.display()
    );
    // Where it has never said anything, nothing is missed.
    for _ in 0..2 {
        let server = folder.serve(&[]);
        server.in_room("eve", "#a").ask("/msg #a hi", "+ msg #a");
        assert!(!stop(server).1.contains(&want));
    }
    assert!(!said("check").contains(&want));
    let server = folder.serve(&[]);
    drop(owner(&server, "alice"));
    stop(server);
    for left in ["", "name ali"] {
        fs::write(&ledger, left).unwrap();
        let told = said("check");
        assert!(told.contains(&want), "{told}");
        let (_, log) = stop(folder.serve(&[]));
        assert!(log.contains(&want), "{log}");
    }
}

/// It had none, so nobody knows whether it is gone.
#[test]
fn the_folder_of_a_server_without_ledger_is_taken_with_a_warning() {
    let folder = with_logs([("a".to_owned(), log(1, 3, 2026))].into_iter());
    fs::write(folder.path.join("lock"), "").unwrap();
    let log = kill(folder.serve(&[]));
    let want = format!("there is no {}, as after version 0.1", folder.path.join("ledger").display());
    assert!(log.contains(&want), "{log}");
    // There is one from then on, and a new folder lacks none.
    assert!(!kill(folder.serve(&[])).contains("there is no "));
    assert!(!kill(Folder::new().serve(&[])).contains("there is no "));
    fs::remove_file(folder.path.join("ledger")).unwrap();
    assert!(refused(&folder).iter().all(|why| why.contains(": it is gone, ")));
    // Nobody is told that nothing was kept where there are logs.
    fs::remove_file(folder.path.join("lock")).unwrap();
    let log = kill(folder.serve(&[]));
    assert!(log.contains(&want) && !log.contains("nothing was kept before"), "{log}");
}

#[test]
fn names_outlive_a_folder_that_is_swept_away() {
    for how in ["TERM", "KILL"] {
        let folder = Folder::new();
        let server = folder.serve(&["--tls", "127.0.0.1:0"]);
        let certificate = fs::read(folder.path.join("tls/own.pem")).unwrap();
        let mut alice = owner(&server, "alice");
        fs::remove_dir_all(&folder.path).unwrap();
        if how == "KILL" {
            // Whatever happens on the server has it look around, once a second.
            eventually("all is there again", || {
                alice.ask("/ping", "+ ping");
                ["lock", "ledger", "ctl", "tls/own.pem"].iter().all(|name| folder.path.join(name).exists())
            });
        }
        drop(alice);
        let log = if how == "KILL" { kill(server) } else { stop(server).1 };
        let name = |name: &str| folder.path.join(name).display().to_string();
        assert!(log.contains(&format!("{} was gone; it is made anew", name("lock"))), "{how}: {log}");
        // A kill may come before it is told.
        let told = format!("{} was gone; it is made anew", name("ledger"));
        assert!(how == "KILL" || log.contains(&told), "{how}: {log}");
        let server = folder.serve(&["--tls", "127.0.0.1:0"]);
        drop(again(&server, "alice"));
        assert!(
            fs::read(folder.path.join("tls/own.pem")).unwrap() == certificate,
            "{how}: people would refuse another"
        );
        // What it has had is known as before.
        stop(server);
        fs::remove_file(folder.path.join("ledger")).unwrap();
        assert!(refused(&folder)[0].contains(": it is gone, "));
    }
}

#[test]
fn another_ledger_that_comes_into_its_place_is_set_aside() {
    let good = Folder::new();
    let server = good.serve(&[]);
    drop(owner(&server, "alice"));
    stop(server);
    let ledger = fs::read(good.path.join("ledger")).unwrap();
    // As where a volume is mounted late, or a backup is put back beneath the server.
    for how in ["folder", "file"] {
        let folder = Folder::new();
        let server = folder.serve(&[]);
        let mut bob = owner(&server, "bob");
        if how == "folder" {
            fs::rename(&folder.path, folder.path.with_extension("empty")).unwrap();
            fs::create_dir(&folder.path).unwrap();
            fs::write(folder.path.join("lock"), "").unwrap();
        }
        fs::write(folder.path.join("backup"), &ledger).unwrap();
        fs::rename(folder.path.join("backup"), folder.path.join("ledger")).unwrap();
        let aside = folder.path.join("ledger.other-1");
        eventually("it is set aside", || {
            bob.ask("/ping", "+ ping");
            aside.exists()
        });
        assert_eq!(fs::read(&aside).unwrap(), ledger);
        let log = stop(server).1;
        let told = format!(
            "ledger was another, which is {} now, and says again what this server knows; if the ",
            aside.display()
        );
        assert!(log.contains(&told), "{how}: {log}");
        let server = folder.serve(&[]);
        drop(again(&server, "bob"));
        stop(server);
        assert_eq!(log.contains("lock was another one"), how == "folder", "{how}: {log}");
        // It is named again where it is missed.
        let path = folder.path.join("ledger");
        fs::write(&path, "").unwrap();
        let told = stop(folder.serve(&[])).1;
        assert!(told.contains(&format!("aside: mv {} {}, before ", aside.display(), path.display())), "{how}: {told}");
        fs::rename(&aside, &path).unwrap();
        drop(again(&folder.serve(&[]), "alice"));
    }
}

#[test]
fn a_ledger_that_somebody_writes_to_is_not_written_over() {
    let folder = Folder::new();
    let server = folder.serve(&[]);
    drop(owner(&server, "alice"));
    stop(server);
    let ledger = folder.path.join("ledger");
    let backup = fs::read(&ledger).unwrap();
    fs::write(&ledger, b"").unwrap();
    let server = folder.serve(&[]);
    let mut bob = server.person("bob");
    fs::write(&ledger, &backup).unwrap();
    bob.send("/register correct-horse");
    bob.until_starting("! register ");
    assert_eq!(fs::read(&ledger).unwrap(), backup);
    let log = stop(server).1;
    assert!(
        log.contains("anybody; if that is not meant, stop the server, and put it back from a backup before "),
        "{log}"
    );
    assert!(log.contains("ledger: somebody else has written to it; stop the server, see that it "), "{log}");
    drop(again(&folder.serve(&[]), "alice"));
}

#[test]
fn a_folder_that_was_swept_away_is_for_one_server() {
    let folder = Folder::new();
    let first = folder.serve(&[]);
    let mut alice = owner(&first, "alice");
    alice.send("/join #a");
    alice.until("+ join #a 1");
    fs::remove_dir_all(&folder.path).unwrap();
    alice.ask("/msg #a hello", "+ msg #a");
    assert!(refused(&folder)[1].ends_with("another chinwag uses it; end that one, or give each a folder of its own"));
    // Nothing happens on it before another one begins there.
    fs::remove_dir_all(&folder.path).unwrap();
    let second = folder.serve(&[]);
    let mut bob = owner(&second, "bob");
    bob.send("/join #a");
    bob.until("+ join #a 1");
    bob.ask("/msg #a mine", "+ msg #a");
    assert_eq!(share(&mut bob, "#a", b"mine", "x"), 1);
    alice.ask("/msg #a theirs", "+ msg #a");
    alice.until_starting(NOT_KEPT);
    alice.send("/send #a 2 x\n=aGk=");
    alice.until_starting("! send ");
    drop(alice);
    let (_, log) = stop(first);
    assert!(log.contains(&format!("another chinwag uses {} by now", folder.path.display())), "{log}");
    let lines = folder.logged("a");
    assert!(lines.len() == 1 && lines[0].ends_with("<bob> mine"), "{lines:?}");
    assert!(fetch(&mut bob, 1) == b"mine");
    drop(bob);
    stop(second);
    again(&folder.serve(&[]), "bob");
}

#[test]
fn a_server_that_is_there_without_its_locks_keeps_another_from_starting() {
    let folder = Folder::new();
    fs::create_dir_all(&folder.path).unwrap();
    let door = std::os::unix::net::UnixListener::bind(folder.path.join("ctl")).unwrap();
    let output = timed().arg(binary()).args(folder.arguments(&[])).output().unwrap();
    let told = String::from_utf8(output.stderr).unwrap();
    let why = format!(
        ": another chinwag is there, whose operators come in by {}; end that one",
        folder.path.join("ctl").display()
    );
    assert!(output.status.code() == Some(1) && told.contains(&why), "{told}");
    drop(door);
    folder.serve(&[]);
}

#[test]
fn a_start_reads_each_of_ten_thousand_rooms_a_few_times_at_most() {
    let text = log(60, 60, 2026);
    let folder = with_logs((0..10_000).map(|n| (format!("r{n}"), text.clone())));
    let server = folder.serve(&[]);
    let io = fs::read_to_string(format!("/proc/{}/io", server.pid())).unwrap();
    let figure = |name: &str| io.lines().find_map(|line| line.strip_prefix(name)).unwrap().parse::<u64>().unwrap();
    let (read, calls) = (figure("rchar: "), figure("syscr: "));
    let most = 10_000 * 4 * text.len() as u64;
    assert!(read < most && calls < 10_000 * 30, "{read} bytes were read in {calls} calls");
    let mut alice = server.in_room("alice", "#r9999");
    alice.send("/history #r9999 60");
    assert_eq!(alice.until_starting("+ history #r9999 60").len(), 61);
}

#[test]
fn a_log_that_cannot_be_read_keeps_nobody_from_the_history_of_another_room() {
    let folder = with_logs([("a".to_owned(), log(6_000, 60, 2026))].into_iter());
    fs::create_dir(folder.log("x")).unwrap();
    let server = folder.serve(&[]);
    let (mut alice, mut dave) = (server.in_room("alice", "#a"), server.in_room("dave", "#x"));
    for round in 0..3 {
        dave.send(&format!("/msg #x {round}"));
        dave.until("+ msg #x");
        dave.send("/history #x 500");
        dave.until_starting("+ history #x ");
        // It is more than a room remembers, so it is read from the log.
        alice.send("/history 500");
        let lines = alice.until_starting("+ history #a ");
        assert_eq!(lines.last().unwrap(), "+ history #a 500");
        assert!(lines[lines.len() - 501].starts_with("- [5501@"), "{}", lines[0]);
    }
}
