//! The data folder: whose it is, who may look into it, and what is in it after a restart.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Output};

use testkit::data::{
    Folder, assert_numbered, chunks, digest, fetch, history, kill, listing, seq, share, stop, unstamped, walk,
};
use testkit::{Client, Server, binary, control, eventually, noise, timed};

/// Ends a server in one way or the other; either is the end of a life, and what was kept is kept.
fn end(server: Server, how: &str) {
    match how {
        "KILL" => drop(kill(server)),
        _ => {
            let (status, log) = stop(server);
            assert!(status.success(), "{log}");
        }
    }
}

#[test]
fn a_second_server_is_refused() {
    let folder = Folder::new();
    let serve = || -> Output {
        // Should it run after all, it is ended.
        timed().arg(binary()).args(folder.arguments(&[])).output().unwrap()
    };
    let server = folder.serve(&[]);
    let mut alice = server.in_room("alice", "#a");
    alice.send("hi");
    alice.settle();
    let before = walk(&folder.path);
    let second = serve();
    assert_eq!((second.status.code(), str::from_utf8(&second.stdout).unwrap()), (Some(1), ""));
    let path = folder.path.display();
    let want = format!(
        "chinwag: cannot keep files in {path}: another chinwag uses it; end that one, or give each a folder of its own\n"
    );
    let told = String::from_utf8(second.stderr).unwrap();
    assert!(
        told.contains(&format!("another chinwag uses {path}; waiting for its end\n")) && told.ends_with(&want),
        "{told}"
    );
    assert_eq!(walk(&folder.path), before, "it has touched the folder");
    // Somebody may have swept the lock away.
    fs::remove_file(folder.path.join("lock")).unwrap();
    assert_eq!(serve().status.code(), Some(1));
    alice.ask("/ping", "+ ping");
    drop(alice);
    kill(server);
    // The lock dies with the process, however that ends.
    for how in ["KILL", "TERM"] {
        let server = folder.serve(&[]);
        let mut alice = server.in_room("alice", "#a");
        assert_eq!(history(&mut alice, "#a", 0).len(), 1);
        drop(alice);
        end(server, how);
    }
}

#[test]
fn numbers_and_lines_go_on_over_restarts() {
    let folder = Folder::new();
    let mut said = 0;
    for how in ["TERM", "KILL", "TERM", "KILL"] {
        let server = folder.serve(&["--history", "50"]);
        let mut alice = server.in_room("alice", "#Lobby");
        let mut bob = server.person("bob");
        bob.send("/join #lobby");
        bob.until("+ join #Lobby 2");
        alice.until("#Lobby * bob joined");
        // The room has its name as it was first given, and all its lines, in memory or not.
        let before = history(&mut bob, "#Lobby", 0);
        assert_eq!(before.len(), said);
        assert_numbered(&before, 1);
        if said == 0 {
            alice.ask("/topic of everything", "+ topic #Lobby of everything");
            bob.until("#Lobby * alice topic of everything");
        }
        alice.ask("/topic", "+ topic #Lobby of everything");
        if said > 0 {
            assert_eq!(unstamped(before.last().unwrap()), format!("<alice> /me says {said}"));
            bob.send(&format!("/history #lobby after {said}"));
            bob.expect("+ history #Lobby 0");
            bob.send(&format!("/history #lobby after {}", said + 1));
            bob.starting("! history gone ");
        }
        bob.ask("/set stamp on", "+ set stamp on");
        for _ in 0..40 {
            said += 1;
            alice.send(&format!("/me says {said}"));
            let line = bob.starting("#Lobby [");
            assert_eq!(seq(&line[7..]), said as u64);
            assert_eq!(unstamped(&line), format!("<alice> /me says {said}"));
        }
        drop((alice, bob));
        end(server, how);
    }
    assert_numbered(&folder.logged("Lobby"), 1);
    assert_eq!(folder.logged("Lobby").len(), said);
    assert_eq!(listing(&folder.path.join("rooms")), ["Lobby.log", "Lobby.topic"]);
}

#[test]
fn rooms_and_people_of_any_script_are_kept_under_their_names() {
    let folder = Folder::new();
    let longest = format!("#{}", "小".repeat(31));
    for how in ["TERM", "KILL", "TERM"] {
        let server = folder.serve(&[]);
        let mut alice = server.in_room("Алиса", "#кухня");
        let lines = history(&mut alice, "#кухня", 0);
        assert!(lines.iter().all(|line| line.contains(" <Алиса> ")), "{lines:?}");
        alice.send("/join #КУХНЯ");
        alice.until("+ join #кухня 1");
        alice.ask("/msg #кухня чай", "+ msg #кухня");
        alice.ask("/topic #кухня чай", "+ topic #кухня чай");
        alice.send(&format!("/join {longest}"));
        alice.until(&format!("+ join {longest} 1"));
        alice.ask(&format!("/msg {longest} 你好"), &format!("+ msg {longest}"));
        drop(alice);
        end(server, how);
    }
    let name = &longest[1..];
    assert_eq!(listing(&folder.path.join("rooms")), ["кухня.log", "кухня.topic", &format!("{name}.log")]);
    assert_numbered(&folder.logged("кухня"), 1);
    assert_eq!((folder.logged("кухня").len(), folder.logged(name).len()), (3, 3));
}

#[test]
fn a_room_whose_name_nobody_could_take_is_not_lost() {
    let folder = Folder::new();
    let rooms = folder.path.join("rooms");
    let server = folder.serve(&[]);
    let mut alice = server.person("alice");
    alice.ask(
        "/join #ſ",
        "! join bad-name #ſ is no room: ſ (U+017F) is no character for names; write it with usual letters",
    );
    drop(alice);
    end(server, "TERM");
    // Another version of Unicode had another opinion of it, and of somebody's name.
    fs::write(rooms.join("ſ.log"), "1 2026-11-22T15:00:00.123Z <Global> hi\n").unwrap();
    let server = folder.serve(&[]);
    let mut alice = server.in_room("alice", "#ſ");
    assert_eq!(history(&mut alice, "#ſ", 0).len(), 1);
    drop(alice);
    end(server, "TERM");
}

#[test]
fn a_log_is_cut_by_its_size() {
    let folder = Folder::new();
    let server = folder.serve(&["--log-max", "1M", "--history", "10000"]);
    let mut alice = server.in_room("alice", "#a");
    let text = "x".repeat(3000);
    for n in 0..1000 {
        alice.ask(&format!("/msg #a {n} {text}"), "+ msg #a");
        if n % 100 == 99 {
            let size: u64 = ["log", "log.1"]
                .iter()
                .map(|name| fs::metadata(folder.log("a").with_extension(name)).map_or(0, |file| file.len()))
                .sum();
            // A batch may be more than one line, and the older half goes when a new one begins.
            assert!(size <= 1024 * 1024 + 64 * 1024, "{size} after {n}");
            assert!(n < 400 || size >= 512 * 1024, "{size} after {n}");
        }
    }
    kill(server);
    let logged = folder.logged("a");
    assert!((170..350).contains(&logged.len()), "{}", logged.len());
    assert_numbered(&logged, 1001 - logged.len() as u64);
    assert_eq!(listing(&folder.path.join("rooms")), ["a.log", "a.log.1"]);
    let server = folder.serve(&["--history", "10000"]);
    let mut alice = server.in_room("alice", "#a");
    assert_eq!(history(&mut alice, "#a", 0), logged);
    alice.send("/history #a after 3");
    assert_eq!(alice.starting("- ")[2..], logged[0]);
}

/// Copied by root, say.
#[test]
fn files_of_another_user_keep_the_server_from_starting_and_stay() {
    if !rustix::process::getuid().is_root() || !testkit::have(&["setpriv"]) {
        return testkit::skip("only root can start a server as another user");
    }
    const OTHER: u32 = 65_534;
    let dir = tempfile::tempdir().unwrap();
    let give = |path: &Path, user: u32| std::os::unix::fs::chown(path, Some(user), Some(user)).unwrap();
    let command = |mode: &str, data: &Path| {
        let mut command = Command::new("setpriv");
        let user = [format!("--reuid={OTHER}"), format!("--regid={OTHER}")];
        command.args(user).arg("--clear-groups").arg(binary()).args([mode, "--listen", "127.0.0.1:0", "--data"]);
        command.arg(data).env("TMPDIR", dir.path());
        command
    };
    give(dir.path(), OTHER);
    let server = Server::start_with(&mut command("serve", dir.path()));
    let mut ann = server.in_room("ann", "#a");
    ann.send("kept");
    assert_eq!(share(&mut ann, "#a", b"bytes", "x.txt"), 1);
    stop(server);
    for (file, told) in
        [("ledger", "ledger"), ("rooms/a.log", "rooms/a.log"), ("spool/1.info", "spool/1.info"), ("spool/1", "spool/1")]
    {
        let file = dir.path().join(file);
        give(&file, 0);
        let output = command("serve", dir.path()).output().unwrap();
        let errors = String::from_utf8(output.stderr).unwrap();
        let told = format!(
            "{told}: permission denied; it must belong to the user that the server runs as, as all in its folder: chown -R {OTHER} {}\n",
            dir.path().display()
        );
        assert!(output.status.code() == Some(1) && errors.contains(&told), "{errors}");
        assert!(file.is_file());
        give(&file, OTHER);
    }
    let server = Server::start_with(&mut command("serve", dir.path()));
    let mut bob = server.in_room("bob", "#a");
    assert_eq!(history(&mut bob, "#a", 0).len(), 1);
    assert_eq!(fetch(&mut bob, 1), b"bytes");
    stop(server);
    // One of root's that it may enter by its group, as a volume often is.
    let volume = tempfile::tempdir().unwrap();
    std::os::unix::fs::chown(volume.path(), Some(0), Some(OTHER)).unwrap();
    let set = |mode| fs::set_permissions(volume.path(), fs::Permissions::from_mode(mode)).unwrap();
    let path = volume.path().display();
    for (mode, told) in [(0o2770, ""), (0o775, &*format!("shall not: chown {OTHER} {path} && chmod 700 {path}\n"))] {
        set(mode);
        let mut server = Server::start_with(&mut command("serve", volume.path()));
        let mut ann = server.person(if told.is_empty() { "ann" } else { "bob" });
        if told.is_empty() {
            // Whoever shuts it out while it runs loses nothing, and is told nothing that is not so.
            set(0o700);
            ann.ask("/register correct-horse", "+ register ann");
            set(mode);
        }
        drop(ann);
        server.signal("TERM");
        let (_, log) = server.wait();
        assert_eq!(log.contains("others than its owner"), !told.is_empty(), "{log}");
        assert!(log.contains(told) && !log.contains("was gone"), "{log}");
    }
    // Where its user may make no folder, somebody else is to make it.
    let sealed = tempfile::tempdir().unwrap();
    fs::set_permissions(sealed.path(), fs::Permissions::from_mode(0o755)).unwrap();
    let closed = sealed.path().join("closed");
    fs::create_dir_all(closed.join("data/deep")).unwrap();
    fs::set_permissions(&closed, fs::Permissions::from_mode(0o700)).unwrap();
    let empty = sealed.path().join("empty");
    fs::create_dir(&empty).unwrap();
    let dirs = [&sealed.path().join("data"), &empty, &closed.join("data/deep")];
    for (dir, (told, then)) in dirs.into_iter().zip([
        (
            "it is not there, and may not be made: permission denied; make it, and give it to the user that the server runs as: ",
            format!("mkdir {0} && chown {OTHER} {0}", dirs[0].display()),
        ),
        (
            "lock in it: Permission denied; the user 65534, as which the server runs, must be able to write there: ",
            format!("chown -R {OTHER} {}", dirs[1].display()),
        ),
        (
            "the user 65534, as which the server runs, may not enter ",
            format!("{0}; give a folder elsewhere, or let that user in: chmod a+x {0}", closed.display()),
        ),
    ]) {
        let told = format!("{told}{then}\n");
        for mode in ["serve", "check"] {
            let output = command(mode, dir).output().unwrap();
            let errors = String::from_utf8(output.stderr).unwrap();
            assert!(output.status.code() == Some(1) && errors.ends_with(&told), "{mode}: {errors}");
        }
    }
    // Who is no operator is told whom to be.
    let mut ctl = Command::new("setpriv");
    ctl.args([&format!("--reuid={OTHER}"), "--clear-groups", binary(), "ctl", "--data"]).arg(&closed).arg("ping");
    let told = String::from_utf8(ctl.output().unwrap().stderr).unwrap();
    let want = format!("and {} belongs to root: try sudo -u root\n", closed.display());
    assert!(told.ends_with(&want), "{told}");
}

#[test]
fn nobody_else_may_look_into_it() {
    for umask in ["000", "022"] {
        let folder = Folder::new();
        let mut command = Command::new("sh");
        command.args(["-c", &format!("umask {umask} && exec \"$0\" \"$@\""), binary()]);
        let server = Server::start_with(command.args(folder.arguments(&["--log-max", "1M"])));
        let mut alice = server.in_room("alice", "#a");
        share(&mut alice, "#a", b"whole", "x");
        alice.send(&format!("/send #a 1000 {} half", digest(&noise(1000, 1))));
        alice.until_starting("+ send ");
        alice.send(&chunks(&noise(1000, 1)[..500], 500)[0]);
        let long = "x".repeat(3900);
        (0..200).for_each(|_| alice.ask(&format!("/msg #a {long}"), "+ msg #a"));
        kill(server);
        let mut log = fs::read(folder.log("a")).unwrap();
        log.extend(b"torn");
        fs::write(folder.log("a"), log).unwrap();
        let server = folder.serve(&[]);
        let mut alice = server.in_room("alice", "#a");
        alice.send("hi");
        alice.settle();
        let all = walk(&folder.path);
        let relative = |path: &Path| path.strip_prefix(&folder.path).unwrap().display().to_string();
        for (path, mode) in &all {
            let want = if path.is_dir() { 0o700 } else { 0o600 };
            assert_eq!(mode & 0o7777, want, "{:?} with umask {umask}: {:o}", relative(path), mode & 0o7777);
        }
        let names: Vec<String> = all.iter().map(|(path, _)| relative(path)).collect();
        for name in ["", "lock", "rooms", "rooms/a.log", "rooms/a.log.1", "rooms/a.damaged-1", "spool", "spool/1"] {
            assert!(names.iter().any(|there| there == name), "{name:?} is not among {names:?}");
        }
    }
}

#[test]
fn a_folder_that_is_there_keeps_its_mode_and_what_is_made_in_it_is_closed() {
    let folder = Folder::new();
    fs::create_dir(&folder.path).unwrap();
    fs::set_permissions(&folder.path, fs::Permissions::from_mode(0o750)).unwrap();
    let server = folder.serve(&[]);
    let mut alice = server.in_room("alice", "#a");
    alice.send("hi");
    alice.settle();
    for (path, mode) in walk(&folder.path) {
        let want = if path.is_dir() { 0o700 } else { 0o600 };
        assert!(path == folder.path || mode & 0o7777 == want, "{path:?}: {mode:o}");
    }
}

#[test]
fn what_is_said_in_private_is_never_written_down() {
    const SECRET: &str = "the moon is a lantern";
    let folder = Folder::new();
    let server = folder.serve(&["--sync", "0"]);
    let mut alice = server.in_room("alice", "#a");
    let mut bob = server.in_room("bob", "#a");
    alice.until("#a * bob joined");
    alice.ask(&format!("/msg bob {SECRET}"), "+ msg bob");
    bob.expect(&format!("@alice <alice> {SECRET}"));
    alice.ask(&format!("/msg bob /me thinks {SECRET}"), "+ msg bob");
    alice.ask("/query bob", "+ query bob");
    alice.send(SECRET);
    alice.send(&format!("/away {SECRET}"));
    alice.settle();
    // A file's name is text too.
    share(&mut alice, "bob", b"the file itself", &format!("{SECRET}.txt"));
    bob.send("/msg #a something that may be known");
    bob.until("+ msg #a");
    alice.until("#a <bob> something that may be known");
    let holds = |what: &str| {
        let found = |(path, _): &(std::path::PathBuf, u32)| {
            let named = path.to_string_lossy().contains(what);
            named || fs::read(path).is_ok_and(|bytes| bytes.windows(what.len()).any(|part| part == what.as_bytes()))
        };
        walk(&folder.path).into_iter().filter(found).map(|(path, _)| path).collect::<Vec<_>>()
    };
    assert_eq!(holds(SECRET), Vec::<std::path::PathBuf>::new());
    assert_eq!(holds("something that may be known"), [folder.log("a")]);
    kill(server);
    let server = folder.serve(&[]);
    let mut alice = server.in_room("alice", "#a");
    let mut bob = server.in_room("bob", "#a");
    alice.until("#a * bob joined");
    for client in [&mut alice, &mut bob] {
        client.ask("/files", "+ files 0");
        assert_eq!(history(client, "#a", 0).len(), 1);
    }
    // It belonged to connections that are gone, and so is the file.
    assert_eq!(holds("the file itself"), Vec::<std::path::PathBuf>::new());
    assert_eq!(holds(SECRET), Vec::<std::path::PathBuf>::new());
}

#[test]
fn what_the_owner_of_a_name_has_sent_is_theirs_after_a_restart() {
    let folder = Folder::new();
    let mut server = folder.serve(&[]);
    let mut alice = server.in_room("alice", "#a");
    alice.ask("/register correct-horse", "+ register alice");
    let files: Vec<u64> = ["one", "two", "three"].map(|name| share(&mut alice, "#a", b"hers", name)).into();
    drop(alice);
    for (file, how) in files.iter().zip(["KILL", "TERM"]) {
        end(server, how);
        server = folder.serve(&[]);
        let mut bob = server.in_room("bob", "#a");
        bob.send(&format!("/cancel {file}"));
        bob.starting("! cancel refused ");
        let mut alice = server.in_room("visitor", "#a");
        alice.send("/login alice correct-horse");
        alice.until("+ login alice");
        alice.ask(&format!("/cancel {file}"), &format!("+ cancel {file}"));
    }
    // Whoever owns the name next is somebody else, also on the same day and after another restart.
    let answers = control(&folder.path.join("ctl"), "/revoke alice\n/grant alice\n");
    let token = answers.last().unwrap().strip_prefix("+ grant alice token:").unwrap().to_owned();
    let mut other = server.in_room("visitor", "#a");
    other.send(&format!("/login alice token:{token}"));
    other.until("+ login alice");
    other.send("/token");
    let token = other.starting("+ token ").split_off("+ token ".len());
    drop(other);
    // The disk is told of that behind the ledger.
    let note = folder.path.join(format!("spool/{}.info", files[2]));
    eventually("the file is nobody's", || !fs::read_to_string(&note).unwrap().contains("\naccount "));
    end(server, "KILL");
    let server = folder.serve(&[]);
    let mut other = server.in_room("visitor", "#a");
    other.send(&format!("/login alice token:{token}"));
    other.until("+ login alice");
    other.send(&format!("/cancel {}", files[2]));
    other.starting("! cancel refused ");
}

#[test]
fn a_file_is_not_the_next_owners_though_the_server_was_killed_before_the_disk_knew() {
    let folder = Folder::new();
    let server = folder.serve(&[]);
    let mut alice = server.in_room("alice", "#a");
    alice.ask("/register correct-horse", "+ register alice");
    let file = share(&mut alice, "#a", b"hers", "hers.txt");
    let note = folder.path.join(format!("spool/{file}.info"));
    let hers = fs::read_to_string(&note).unwrap();
    assert!(hers.contains("\naccount alice"), "{hers}");
    let answers = control(&folder.path.join("ctl"), "/grant alice\n");
    let token = answers.last().unwrap().strip_prefix("+ grant alice token:").unwrap().to_owned();
    end(server, "KILL");
    // The ledger was on the disk, and this was still on its way there.
    fs::write(&note, hers).unwrap();
    let server = folder.serve(&[]);
    let mut other = server.in_room("visitor", "#a");
    other.send(&format!("/login alice token:{token}"));
    other.until("+ login alice");
    other.send(&format!("/cancel {file}"));
    other.starting("! cancel refused ");
}

#[test]
fn whole_files_come_back_with_their_rights() {
    let folder = Folder::new();
    let mut files: Vec<(u64, Vec<u8>)> = Vec::new();
    for how in ["KILL", "TERM", "KILL"] {
        let server = folder.serve(&[]);
        let mut alice = server.in_room("alice", "#a");
        let mut carol = server.in_room("carol", "#other");
        alice.send("/files #a");
        let listed = alice.until_starting("+ files ");
        assert_eq!(listed.len(), files.len() + 1, "{listed:?}");
        for ((id, bytes), line) in files.iter().zip(&listed) {
            assert_eq!(*fetch(&mut alice, *id), bytes[..]);
            let words: Vec<&str> = line.split(' ').collect();
            let (id, size) = (id.to_string(), bytes.len().to_string());
            assert_eq!([words[1], words[2], words[3], words[4]], [&id, &size, "alice", "#a"], "{line}");
            assert_eq!(words[6..], ["ready", "a", "picture", "of", "it.png"], "{line}");
            carol.send(&format!("/get {id}"));
            carol.starting("! get no-such-file ");
            // It belonged to a connection that is gone.
            alice.send(&format!("/cancel {id}"));
            alice.starting("! cancel refused ");
        }
        // Being in the room is what lets one fetch it.
        carol.send("/join #a");
        carol.until_starting("+ join #a ");
        for (id, bytes) in &files {
            assert_eq!(*fetch(&mut carol, *id), bytes[..]);
        }
        let bytes = noise(50_000 + files.len(), files.len() as u64);
        let id = share(&mut alice, "#a", &bytes, "a picture of it.png");
        assert!(files.last().is_none_or(|(last, _)| id > *last), "file {id} comes again");
        files.push((id, bytes));
        // One that its sender took back stays away.
        let gone = share(&mut alice, "#a", b"never mind", "x");
        alice.ask(&format!("/cancel {gone}"), &format!("+ cancel {gone}"));
        eventually("it is gone from the disk", || !folder.path.join(format!("spool/{gone}.info")).exists());
        drop((alice, carol));
        end(server, how);
    }
    // Nothing is left of what is not to be had.
    let server = folder.serve(&[]);
    let spool = listing(&folder.path.join("spool"));
    let mut want: Vec<String> = files.iter().flat_map(|(id, _)| [id.to_string(), format!("{id}.info")]).collect();
    want.sort();
    assert_eq!(spool, want);
    drop(server);
}

/// Sends the first half of a file, and sees that it has come.
fn send_half(alice: &mut Client, bytes: &[u8], name: &str) -> u64 {
    alice.send(&format!("/send #a {} {} {name}", bytes.len(), digest(bytes)));
    let reply = alice.until_starting("+ send ").pop().unwrap();
    let id = reply.split(' ').nth(2).unwrap().parse().unwrap();
    chunks(&bytes[..bytes.len() / 2], 10_000).iter().for_each(|chunk| alice.send(chunk));
    // Whoever fetches it gets what is on the disk, and so this much is.
    alice.send(&format!("/get {id}"));
    let mut came = 0;
    while came < bytes.len() / 2 / 12_288 {
        came += usize::from(alice.line().unwrap().starts_with(&format!("={id} ")));
    }
    id
}

#[test]
fn an_upload_is_taken_up_again_after_a_restart() {
    for how in ["KILL", "TERM"] {
        let folder = Folder::new();
        let bytes = noise(200_000, 1);
        let server = folder.serve(&[]);
        let mut alice = server.in_room("alice", "#a");
        let id = send_half(&mut alice, &bytes, "big.bin");
        // One without a digest cannot be taken up, and so nothing of it is kept.
        let mut bob = server.in_room("bob", "#a");
        bob.send("/send #a 100000 lost.bin");
        let lost = bob.until_starting("+ send ").pop().unwrap().split(' ').nth(2).unwrap().to_owned();
        bob.send(&chunks(&noise(5000, 2), 5000)[0]);
        bob.settle();
        drop((alice, bob));
        end(server, how);
        let server = folder.serve(&[]);
        let names = listing(&folder.path.join("spool"));
        assert!(!names.iter().any(|name| name.split('.').next() == Some(&lost)), "{names:?} after {how}");
        let mut alice = server.in_room("alice", "#a");
        let mut bob = server.in_room("bob", "#a");
        alice.until("#a * bob joined");
        // Somebody else's, another name or another digest is another file.
        let send = format!("/send #a {} {}", bytes.len(), digest(&bytes));
        bob.send(&format!("{send} big.bin"));
        let other = bob.until_starting("+ send ").pop().unwrap();
        assert!(other.ends_with(" 0") && !other.starts_with(&format!("+ send {id} ")), "{other}");
        bob.send(&format!("/cancel {}", other.split(' ').nth(2).unwrap()));
        bob.until_starting("+ cancel ");
        alice.settle();
        alice.send(&format!("{send} big.bin"));
        let reply = alice.starting("+ send ");
        let words: Vec<&str> = reply.split(' ').collect();
        assert_eq!(words[2], id.to_string(), "after {how}");
        let offset: usize = words[3].parse().unwrap();
        assert!((98_304..=100_000).contains(&offset), "{reply} after {how}");
        bob.until(&format!("#a * alice file {id} 200000 big.bin"));
        chunks(&bytes[offset..], 40_000).iter().for_each(|chunk| alice.send(chunk));
        alice.until(&format!("={id} . 200000 {}", digest(&bytes)));
        assert!(fetch(&mut bob, id) == bytes);
    }
}

#[test]
fn files_that_are_damaged_do_not_stop_the_start() {
    let folder = Folder::new();
    let server = folder.serve(&[]);
    let mut alice = server.in_room("alice", "#a");
    let ids: Vec<u64> = (0..7).map(|n| share(&mut alice, "#a", &noise(10_000, n), "x")).collect();
    kill(server);
    let file = |n: usize| folder.path.join(format!("spool/{}", ids[n]));
    let info = |n: usize| folder.path.join(format!("spool/{}.info", ids[n]));
    fs::remove_file(file(0)).unwrap();
    fs::remove_file(info(1)).unwrap();
    fs::write(file(2), noise(5000, 2)).unwrap();
    fs::write(info(3), noise(300, 3)).unwrap();
    fs::write(info(4), "").unwrap();
    fs::write(file(5), noise(20_000, 5)).unwrap();
    let server = folder.serve(&[]);
    let mut alice = server.in_room("alice", "#a");
    // The one that nothing happened to is there; of the others only what is whole.
    assert!(fetch(&mut alice, ids[6]) == noise(10_000, 6));
    alice.send("/files");
    let listed = alice.until_starting("+ files ");
    assert_eq!(listed.last().unwrap(), "+ files 1", "{listed:?}");
    assert_eq!(listing(&folder.path.join("spool")), [ids[6].to_string(), format!("{}.info", ids[6])]);
}

#[test]
fn a_log_that_is_taken_away_is_begun_anew() {
    let folder = Folder::new();
    let server = folder.serve(&[]);
    let mut bob = server.in_room("bob", "#a");
    let log = folder.log("a");
    let away = folder.path.join("away.log");
    let mut said = 0;
    let mut say = |bob: &mut Client| {
        said += 1;
        bob.ask(&format!("/msg #a number {said}"), "+ msg #a");
    };
    say(&mut bob);
    say(&mut bob);
    fs::rename(&log, &away).unwrap();
    say(&mut bob);
    assert!(fs::read_to_string(&log).unwrap().starts_with("3 "));
    fs::remove_file(&log).unwrap();
    say(&mut bob);
    // What an editor saves is another file.
    let text = fs::read_to_string(&log).unwrap();
    fs::write(&away, &text).unwrap();
    fs::rename(&away, &log).unwrap();
    say(&mut bob);
    assert!(fs::read_to_string(&log).unwrap().starts_with(&text));
    fs::write(&log, "").unwrap();
    say(&mut bob);
    assert!(fs::read_to_string(&log).unwrap().starts_with("6 "));
    kill(server);
    let server = folder.serve(&[]);
    let mut bob = server.in_room("bob", "#a");
    bob.send("/history #a after 5");
    let lines = bob.until_starting("+ history #a ");
    assert!(lines.len() == 2 && lines[0].ends_with("> number 6"), "{lines:?}");
}

/// As where a volume is mounted late.
#[test]
fn another_log_that_comes_into_its_place_is_set_aside() {
    for has_log in [true, false] {
        let volume = Folder::new();
        let server = volume.serve(&[]);
        let mut alice = server.in_room("alice", "#a");
        (1..=9).for_each(|n| alice.ask(&format!("/msg #a old talk {n}"), "+ msg #a"));
        alice.ask("/topic old times", "+ topic #a old times");
        drop(alice);
        end(server, "TERM");
        if !has_log {
            // It was just cut.
            fs::rename(volume.log("a"), volume.log("a").with_extension("log.1")).unwrap();
        }
        let old: Vec<_> = volume.logged("a");
        let folder = Folder::new();
        let mut server = folder.serve(&[]);
        let mut bob = server.in_room("bob", "#a");
        bob.ask("/msg #a too early", "+ msg #a");
        fs::rename(&folder.path, folder.path.with_extension("empty")).unwrap();
        fs::rename(&volume.path, &folder.path).unwrap();
        (1..=5).for_each(|n| bob.ask(&format!("/msg #a after the mount {n}"), "+ msg #a"));
        bob.ask("/topic new times", "+ topic #a new times");
        drop(bob);
        server.signal("TERM");
        let (_, log) = server.wait();
        let new = folder.logged("a");
        assert!(new.len() == 5 && new[4].ends_with("> after the mount 5"), "{new:?}");
        assert_eq!(log.matches("the log of #a was another").count(), 1, "{log}");
        let mut server = folder.serve(&[]);
        let mut bob = server.in_room("bob", "#a");
        assert!(history(&mut bob, "#a", 0).last().unwrap().ends_with("> after the mount 5"));
        bob.ask("/topic", "+ topic #a new times");
        drop(bob);
        server.signal("TERM");
        let (_, told) = server.wait();
        assert!(!told.contains("was damaged"), "{told}");
        // What is told to be done puts back all that was there.
        let moves = log.lines().find(|line| line.contains("was another, as")).unwrap();
        let (moves, _) = moves.split_once(", mv ").unwrap().1.split_once(", and start").unwrap();
        let script = format!("mv {}", moves.replace(", mv ", " && mv "));
        assert!(Command::new("sh").args(["-c", &script]).status().unwrap().success(), "{script}");
        if !has_log {
            fs::remove_file(folder.log("a")).unwrap();
        }
        let server = folder.serve(&[]);
        let mut bob = server.in_room("bob", "#a");
        assert_eq!(history(&mut bob, "#a", 0).len(), 9);
        bob.ask("/topic", "+ topic #a old times");
        assert!(!has_log || folder.logged("a") == old);
    }
}

#[test]
fn a_smaller_spool_keeps_what_fits() {
    let folder = Folder::new();
    let server = folder.serve(&[]);
    let mut bob = server.in_room("bob", "#a");
    for size in [9000, 500] {
        bob.send(&format!("/send #a {size} x"));
        bob.starting("+ send ");
        bob.send(&format!("={}", "AAAA".repeat(size / 3) + if size % 3 == 2 { "AAA=" } else { "" }));
        bob.starting("=");
    }
    kill(server);
    let mut server = folder.serve(&["--spool", "600", "--max-file", "600"]);
    let mut bob = server.in_room("bob", "#a");
    bob.send("/files");
    assert!(bob.starting("- ").contains(" 500 bob #a "));
    bob.expect("+ files 1");
    server.signal("KILL");
    assert!(server.wait().1.contains("1 of the files go"));
}
