//! `chinwag send` and `chinwag get`: whole files or none, and an exit status that says so.

use std::ffi::OsStr;
use std::fs;
use std::io::{self, Read, Write};
use std::net::TcpListener;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::thread;

use testkit::data::listing;
use testkit::proxy::Proxy;
use testkit::pty::{Emulator, Speaks, Terminal};
use testkit::{Server, binary, eventually, have, noise, timed};

/// Runs the client in this folder. If it hangs it is ended: then its exit status is 124.
pub(crate) fn chinwag(folder: &Path, port: u16, arguments: &[&str]) -> Command {
    let mut command = timed();
    command.args([binary(), arguments[0], "--server", &format!("127.0.0.1:{port}")]).args(&arguments[1..]);
    command.current_dir(folder).stdin(Stdio::null());
    command
}

pub(crate) fn run(folder: &Path, port: u16, arguments: &[&str]) -> Output {
    chinwag(folder, port, arguments).output().unwrap()
}

/// What it prints, line by line, if it goes well. Nothing is told besides.
#[track_caller]
pub(crate) fn fine(output: &Output) -> Vec<String> {
    assert_eq!((output.status.code(), text(&output.stderr)), (Some(0), String::new()), "{}", text(&output.stdout));
    text(&output.stdout).lines().map(str::to_owned).collect()
}

/// It must fail and print nothing, and say why.
#[track_caller]
pub(crate) fn failed(output: &Output, why: &str) {
    let errors = text(&output.stderr);
    assert_eq!((output.status.code(), text(&output.stdout)), (Some(1), String::new()), "{errors}");
    assert!(errors.contains(why), "{errors:?} does not tell {why:?}");
    assert!(errors.lines().all(|line| line.starts_with("chinwag: ")), "{errors:?}");
}

pub(crate) fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

/// A file that is shared in `#a` with its name, and these bytes. Returns its ID.
pub(crate) fn share(server: &Server, name: &str, bytes: &[u8]) -> String {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join(name), bytes).unwrap();
    fine(&run(folder.path(), server.port, &["send", "--create", "--to", "#a", "--", name])).concat()
}

/// Something between a client and a server that lets only so many bytes pass to each.
pub(crate) fn narrow(server: &Server, up: usize, down: usize) -> Proxy {
    let proxy = Proxy::start(server.port);
    proxy.limit(up, down);
    proxy
}

#[test]
fn files_of_every_size_come_back() {
    let server = Server::start(&[]);
    let here = tempfile::tempdir().unwrap();
    let sizes = [0, 1, 12_287, 12_288, 12_289, 49_151, 49_152, 49_153, 1_000_000];
    let names: Vec<String> = sizes.iter().map(|size| format!("{size}.bin")).collect();
    for (name, &size) in names.iter().zip(&sizes) {
        fs::write(here.path().join(name), noise(size, 1)).unwrap();
    }
    let mut arguments = vec!["send", "--create", "--to", "#a"];
    arguments.extend(names.iter().map(String::as_str));
    let ids = fine(&run(here.path(), server.port, &arguments));
    assert_eq!(ids, ["1", "2", "3", "4", "5", "6", "7", "8", "9"]);
    let there = tempfile::tempdir().unwrap();
    let mut arguments = vec!["get", "--join", "#a"];
    arguments.extend(ids.iter().map(String::as_str));
    // Twice the same is once.
    arguments.push("3");
    let mut paths = fine(&run(there.path(), server.port, &arguments));
    let mut want: Vec<_> = names.iter().map(|name| format!("./{name}")).collect();
    paths.sort();
    want.sort();
    assert_eq!(paths, want);
    for (name, &size) in names.iter().zip(&sizes) {
        assert!(fs::read(there.path().join(name)).unwrap() == noise(size, 1), "{name}");
    }
    assert_eq!(listing(there.path()), listing(here.path()));
}

#[test]
fn names_come_back_and_are_harmless() {
    let server = Server::start(&[]);
    for (name, saved) in [
        ("two words  and two spaces.txt", "two words  and two spaces.txt"),
        // The protocol takes the spaces around a name away.
        (" grüße 😀 .txt", "grüße 😀 .txt"),
        ("-rf", "_-rf"),
        (".profile", "_.profile"),
        ("sha256:abc", "sha256:abc"),
        ("1 2", "1 2"),
        ("x.part", "x_part"),
        ("a\nb\x1b[2J", "a\u{fffd}b\u{fffd}[2J"),
    ] {
        let id = share(&server, name, name.as_bytes());
        let there = tempfile::tempdir().unwrap();
        let paths = fine(&run(there.path(), server.port, &["get", "--join", "#a", &id]));
        assert_eq!((paths, listing(there.path())), (vec![format!("./{saved}")], vec![saved.to_owned()]));
        assert_eq!(fs::read(there.path().join(saved)).unwrap(), name.as_bytes());
    }
}

#[test]
fn standard_input_and_output() {
    let server = Server::start(&[]);
    let here = tempfile::tempdir().unwrap();
    let bytes = noise(200_000, 5);
    fs::write(here.path().join("in"), &bytes).unwrap();
    // From a file and from a pipe, which tells nothing of its size.
    let script = "$1 send --create --server $2 --to '#a' --name 'my cat.png' - < in && \
        cat in | $1 send --server $2 --to '#a' - && : | $1 send --server $2 --to '#a' --name empty in -";
    let address = server.address();
    let mut command = timed();
    let output = command.args(["bash", "-c", script, "bash", binary(), &address]).current_dir(here.path()).output();
    assert_eq!(fine(&output.unwrap()), ["1", "2", "3", "4"]);
    let mut alice = server.in_room("alice", "#a");
    alice.send("/files");
    let files = alice.until("+ files 4");
    let ends: Vec<_> = files.iter().map(|line| line.split_once(" ready ").unwrap().1).collect();
    assert_eq!(ends, ["my cat.png", "stdin", "in", "empty"]);
    for output in ["--output=-", "-o-"] {
        let output = run(here.path(), server.port, &["get", "--join", "#a", output, "1"]);
        assert_eq!((output.status.code(), output.stderr), (Some(0), Vec::new()));
        assert!(output.stdout == bytes);
    }
    assert_eq!(listing(here.path()), ["in"]);
    failed(&run(here.path(), server.port, &["get", "--join", "#a", "-o-", "99"]), "no such file");
    failed(&run(here.path(), server.port, &["send", "--to", "#a", "-", "-"]), "only once");
    failed(&run(here.path(), server.port, &["send", "--to", "#a", "-", "--name", "a/b"]), "--name");
    // Nobody wants all of it.
    let script = "$1 get --server $2 --join '#a' 1 -o - | head -c 10 | wc -c; echo ${PIPESTATUS[0]}";
    let mut command = timed();
    let output = command.args(["bash", "-c", script, "bash", binary(), &address]).output().unwrap();
    assert_eq!(text(&output.stdout), "10\n1\n");
}

#[test]
fn nothing_that_is_there_is_written_over() {
    let server = Server::start(&[]);
    let id = share(&server, "cat.png", b"new");
    let there = tempfile::tempdir().unwrap();
    let path = |name: &str| there.path().join(name);
    let get = |output: &str| run(there.path(), server.port, &["get", "--join", "#a", &id, "--output", output]);
    fs::create_dir(path("folder")).unwrap();
    fs::write(path("old"), "old").unwrap();
    symlink("nowhere", path("link")).unwrap();
    assert_eq!(fine(&get("folder")), ["folder/cat.png"]);
    assert_eq!(fine(&get("folder/")), ["folder/cat (2).png"]);
    assert_eq!(fine(&get("new")), ["new"]);
    assert_eq!(fine(&get("folder/.-other")), ["folder/.-other"]);
    for (there, why) in [("old", "old exists already"), ("link", "link exists already"), ("new", "new exists already")]
    {
        failed(&get(there), why);
    }
    failed(&get("no/such"), "o such file or directory");
    // Several files need a folder, and one that is there already is none.
    let output = run(there.path(), server.port, &["get", "--join", "#a", &id, "7", "--output", "old"]);
    failed(&output, "several files need a folder, and old is none");
    assert_eq!(listing(there.path()), ["folder", "link", "new", "old"]);
    assert_eq!(listing(&path("folder")), [".-other", "cat (2).png", "cat.png"]);
    assert_eq!(fs::read(path("old")).unwrap(), b"old");
    for name in ["new", "folder/cat.png", "folder/cat (2).png", "folder/.-other"] {
        assert_eq!(fs::read(path(name)).unwrap(), b"new");
    }
}

#[test]
fn the_folder_for_what_is_fetched_is_made() {
    let server = Server::start(&[]);
    let ids = ["cat.png", "dog.png"].map(|name| share(&server, name, name.as_bytes()));
    let there = tempfile::tempdir().unwrap();
    for (ids, output, paths) in [
        (&ids[..], "pictures", &["pictures/cat.png", "pictures/dog.png"][..]),
        (&ids[..1], "one/", &["one/cat.png"]),
        (&ids[..1], "one", &["one/cat (2).png"]),
        (&ids[..], "deep/down/", &["deep/down/cat.png", "deep/down/dog.png"]),
    ] {
        let mut arguments = vec!["get", "--join", "#a", "--output", output];
        arguments.extend(ids.iter().map(String::as_str));
        let mut got = fine(&run(there.path(), server.port, &arguments));
        got.sort();
        assert_eq!(got, paths);
        assert!(paths.iter().all(|path| there.path().join(path).exists()));
    }
    // None is made for what cannot be fetched.
    failed(&run(there.path(), server.port, &["get", "--join", "#a", "99", "--output", "none/"]), "no such file");
    assert_eq!(listing(there.path()), ["deep", "one", "pictures"]);
}

#[test]
fn a_room_by_mistake_is_told() {
    let server = Server::start(&[]);
    let here = tempfile::tempdir().unwrap();
    fs::write(here.path().join("file"), "hello").unwrap();
    let send = |options: &[&str]| run(here.path(), server.port, &[&["send", "file", "--to"], options].concat());
    let say = |options: &[&str]| run(here.path(), server.port, &[&["say"], options].concat());
    let warned = |output: &Output, room: &str| {
        let errors = text(&output.stderr);
        assert_eq!(output.status.code(), Some(0), "{errors}");
        assert!(errors.contains(&format!("is {room} the right room?")) && errors.contains("--create"), "{errors}");
    };
    warned(&send(&["#lobyb"]), "#lobyb");
    warned(&say(&["#looby", "hello"]), "#looby");
    warned(&say(&["#looby", "hello", "--join", "#oops"]), "#oops");
    // Nobody fetches a file from a room that is not there.
    let get = run(here.path(), server.port, &["get", "1", "--join", "#oopsy"]);
    let errors = text(&get.stderr);
    assert!(get.status.code() == Some(1) && errors.contains("is #oopsy the right room?"), "{errors}");
    assert!(!errors.contains("--create"), "it has no such option: {errors}");
    // It is there now.
    fine(&send(&["#lobyb"]));
    fine(&say(&["#looby", "hello"]));
    fine(&send(&["#new", "--create"]));
    fine(&say(&["#newer", "--create", "hello"]));
    let _alice = server.in_room("alice", "#quiet");
    fine(&send(&["#quiet"]));
    fine(&say(&["#quiet", "hello"]));
}

#[test]
fn what_cannot_be_sent_stops_no_other() {
    let server = Server::start(&["--max-file", "1K"]);
    let here = tempfile::tempdir().unwrap();
    let path = |name: &str| here.path().join(name);
    fs::write(path("good"), "hello").unwrap();
    fs::write(path("better"), "hello").unwrap();
    fs::write(path("big"), noise(1_025, 1)).unwrap();
    fs::create_dir(path("folder")).unwrap();
    let mut alice = server.in_room("alice", "#a");
    let files = ["send", "--to", "#a", "folder", "good", "none", "big", "better"];
    let output = run(here.path(), server.port, &files);
    let errors = text(&output.stderr);
    assert_eq!((output.status.code(), text(&output.stdout)), (Some(1), "1\n2\n".to_owned()), "{errors}");
    for why in
        ["cannot send folder: it is a folder", "cannot send none: ", "sending big: a file has at most 1024 bytes"]
    {
        assert!(errors.contains(why), "{errors}");
    }
    alice.until_starting("#a * guest1 file 1 5 good");
    alice.until_starting("#a * guest1 file 2 5 better");
    let output = run(here.path(), server.port, &["send", "--to", "#a", "folder", "good"]);
    assert_eq!((output.status.code(), text(&output.stdout)), (Some(1), "3\n".to_owned()));
    assert!(text(&output.stderr).ends_with("chinwag: not sent: 1 of 2 files\n"));
    failed(&run(here.path(), server.port, &["send", "--to", "#a", "folder", "none"]), "cannot send folder: ");
}

#[test]
fn what_one_may_not_read_or_write_is_told_with_what_to_do() {
    // To whoever is root nothing is forbidden.
    let is_root = rustix::process::geteuid().is_root();
    if is_root && !have(&["setpriv"]) {
        return;
    }
    let server = Server::start(&[]);
    let here = tempfile::tempdir().unwrap();
    let set = |name: &str, mode| fs::set_permissions(here.path().join(name), PermissionsExt::from_mode(mode)).unwrap();
    fs::write(here.path().join("private"), "hello").unwrap();
    fs::create_dir(here.path().join("closed")).unwrap();
    // Others cannot come to where the program is built.
    fs::copy(binary(), here.path().join("chinwag")).unwrap();
    for (name, mode) in
        [("", 0o755), ("chinwag", 0o755), ("private", if is_root { 0o600 } else { 0 }), ("closed", 0o555)]
    {
        set(name, mode);
    }
    let run = |arguments: &[&str]| {
        let mut command = timed();
        command.current_dir(here.path()).stdin(Stdio::null()).env("HOME", here.path());
        if is_root {
            command.args(["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"]);
        }
        command.args(["./chinwag", arguments[0], "--server", &server.address()]).args(&arguments[1..]).output().unwrap()
    };
    let why = "cannot send private: permission denied; whoever owns it can let you read it";
    failed(&run(&["send", "--to", "#a", "--create", "private"]), why);
    let _bob = server.in_room("bob", "#a");
    share(&server, "shared", b"hello");
    for (to, shown) in [("closed/", "closed/"), ("closed/file", "closed/file")] {
        let why = format!("cannot write {shown}: permission denied; choose a folder in which you may write");
        failed(&run(&["get", "1", "--join", "#a", "-o", to]), &format!("shared: {why}"));
    }
}

/// To read it would take hours.
#[test]
fn what_is_too_big_is_not_read_first() {
    let server = Server::start(&["--max-file", "1M"]);
    let _alice = server.in_room("alice", "#a");
    let here = tempfile::tempdir().unwrap();
    fs::File::create(here.path().join("big")).unwrap().set_len(1 << 42).unwrap();
    let why = "sending big: a file has at most 1048576 bytes on this server";
    failed(&run(here.path(), server.port, &["send", "--to", "#a", "big"]), why);
    // An input without an end is left when it has become too much.
    let script = "yes | $1 send --server $2 --to '#a' -";
    let mut command = timed();
    let output = command.args(["bash", "-c", script, "bash", binary(), &server.address()]).output().unwrap();
    failed(&output, "sending stdin: a file has at most 1048576 bytes on this server");
}

#[test]
fn standard_input_is_read_once_there_is_a_connection() {
    let server = Server::start(&[]);
    let here = tempfile::tempdir().unwrap();
    let mut alice = server.in_room("alice", "#a");
    let send = |port| {
        let mut command = chinwag(here.path(), port, &["send", "--to", "#a", "--nick", "bob", "-"]);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
    };
    let mut child = send(server.port);
    alice.until("#a * bob joined");
    let mut input = child.stdin.take().unwrap();
    input.write_all(b"hello").unwrap();
    drop(input);
    alice.until("#a * bob file 1 5 stdin");
    assert_eq!(fine(&child.wait_with_output().unwrap()), ["1"]);
    // Nobody types in vain what cannot be sent.
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let mut child = send(port);
    let _input = child.stdin.take();
    failed(&child.wait_with_output().unwrap(), "cannot connect");
}

/// The system makes them up as they are read, and tells no size or a wrong one.
#[test]
fn files_of_the_system_are_sent() {
    let server = Server::start(&[]);
    let _alice = server.in_room("alice", "#a");
    let here = tempfile::tempdir().unwrap();
    let files = ["/proc/version", "/sys/devices/system/cpu/online", "/dev/null"];
    for path in files.into_iter().filter(|path| Path::new(path).is_file()) {
        let id = fine(&run(here.path(), server.port, &["send", "--to", "#a", path])).concat();
        let got = run(here.path(), server.port, &["get", "--join", "#a", &id, "-o-"]);
        assert_eq!((got.status.code(), got.stdout), (Some(0), fs::read(path).unwrap()), "{path}");
    }
}

#[test]
fn names_that_are_no_utf8_are_names() {
    let server = Server::start(&[]);
    let mut alice = server.in_room("alice", "#a");
    let here = tempfile::tempdir().unwrap();
    let [name, folder] = [&b"caf\xe9.txt"[..], b"g\xfft"].map(OsStr::from_bytes);
    fs::write(here.path().join(name), "hello").unwrap();
    let send =
        |options: &[&OsStr]| chinwag(here.path(), server.port, &["send", "--to", "#a"]).args(options).output().unwrap();
    assert_eq!(fine(&send(&[name])), ["1"]);
    alice.until("#a * guest1 file 1 5 caf\u{fffd}.txt");
    // As it is shown, and as it is dropped into a terminal.
    assert_eq!(fine(&send(&["caf\u{fffd}.txt".as_ref()])), ["2"]);
    let url = format!("file://{}/caf%E9.txt", here.path().display());
    assert_eq!(fine(&send(&[url.as_ref()])), ["3"]);
    // What is printed is there.
    fs::create_dir(here.path().join(folder)).unwrap();
    let output = chinwag(here.path(), server.port, &["get", "1", "--join", "#a", "-o"]).arg(folder).output().unwrap();
    let path = output.stdout.strip_suffix(b"\n").unwrap();
    assert_eq!(fs::read(here.path().join(OsStr::from_bytes(path))).unwrap(), b"hello");
}

fn complaint(line: &str) -> String {
    let output = Command::new("bash").args(["-c", line, "bash", binary()]).output().unwrap();
    assert_eq!(output.status.code(), Some(2), "{line}");
    text(&output.stderr)
}

#[test]
fn a_room_that_the_shell_took_for_a_comment_is_told() {
    for line in ["$1 connect --join #lobby", "$1 send x --to #lobby", "$1 get 7 --join #lobby", "$1 say #lobby hello"] {
        let told = complaint(line);
        assert!(told.contains("in quotes, as in '#lobby'"), "{line}: {told}");
    }
    let server = Server::start(&[]);
    let here = tempfile::tempdir().unwrap();
    fs::write(here.path().join("file"), "hello").unwrap();
    let _alice = server.in_room("alice", "#ops");
    for arguments in [&["say", "ops", "hi"][..], &["send", "file", "--to", "ops"]] {
        let output = run(here.path(), server.port, arguments);
        failed(&output, "ops is not here; is the room #ops meant? Then put it in quotes, as '#ops'");
    }
    failed(&run(here.path(), server.port, &["say", "bob", "hi"]), "bob is not here; /who lists who is");
    for line in ["$1 connect --join lobby", "$1 get 7 --join lobby"] {
        assert!(complaint(line).contains("did you mean '#lobby', in quotes?"), "{line}");
    }
    assert!(!complaint("$1 connect --nick").contains("quotes"));
    for line in ["$1 connect --server verein", "$1 connect --server=verein"] {
        let told = complaint(line);
        assert!(
            told.contains("tip: connect takes the server as it is, as in chinwag connect ") && !told.contains("-- --"),
            "{told}"
        );
    }
    assert!(complaint("$1 verein").contains("tip: to chat on a server it is chinwag connect SERVER"));
}

#[test]
fn a_file_for_one_person() {
    let server = Server::start(&[]);
    let here = tempfile::tempdir().unwrap();
    fs::write(here.path().join("note.txt"), "hello").unwrap();
    let mut bob = server.person("bob");
    for to in ["bob", "@bob"] {
        let id = fine(&run(here.path(), server.port, &["send", "--nick", "alice", "--to", to, "note.txt"])).concat();
        bob.until(&format!("@alice * alice file {id} 5 note.txt"));
        bob.ask(&format!("/get {id}"), &format!("+ get {id} 0 5 note.txt"));
        bob.expect(&format!("={id} aGVsbG8="));
        bob.until_starting(&format!("={id} . 5 "));
        // It is for nobody else.
        failed(&run(here.path(), server.port, &["get", &id]), "no such file");
    }
    failed(&run(here.path(), server.port, &["send", "--to", "carol", "note.txt"]), "carol");
    for to in ["", "#", "a b", "#a b", "1"] {
        assert_eq!(run(here.path(), server.port, &["send", "--to", to, "note.txt"]).status.code(), Some(2), "{to:?}");
    }
}

#[test]
fn send_to_a_room_that_lets_nobody_in_tells_why_and_nothing_besides() {
    let server = Server::start(&[]);
    let here = tempfile::tempdir().unwrap();
    fs::write(here.path().join("note"), "hello").unwrap();
    let mut op = server.in_room("op", "#locked");
    op.send("/room key sesame");
    op.until_starting("+ room ");
    let output = run(here.path(), server.port, &["send", "note", "--to", "#locked"]);
    failed(&output, "chinwag: #locked has a key; ");
    assert_eq!(text(&output.stderr).lines().count(), 1, "{}", text(&output.stderr));
}

#[test]
fn a_room_that_lets_nobody_in_keeps_no_file_of_another_back() {
    let server = Server::start(&[]);
    let here = tempfile::tempdir().unwrap();
    let id = share(&server, "note", b"hello");
    let mut op = server.in_room("op", "#locked");
    op.send("/room key sesame");
    op.until_starting("+ room ");
    let output = run(here.path(), server.port, &["get", &id, "--join", "#locked", "--join", "#a"]);
    let errors = text(&output.stderr);
    assert_eq!((output.status.code(), text(&output.stdout)), (Some(0), "./note\n".to_owned()), "{errors}");
    assert_eq!(errors.lines().count(), 1, "{errors}");
    assert!(errors.contains("#locked has a key; ") && errors.contains("this program gives no key"), "{errors}");
}

#[test]
fn a_locked_server() {
    let here = tempfile::tempdir().unwrap();
    for (name, text) in [("right", "hush\n"), ("wrong", "hash\n"), ("file", "hello")] {
        fs::write(here.path().join(name), text).unwrap();
        fs::set_permissions(here.path().join(name), fs::Permissions::from_mode(0o600)).unwrap();
    }
    let right = here.path().join("right");
    let server = Server::start(&["--password-file", right.to_str().unwrap()]);
    let send = |options: &[&str]| {
        run(here.path(), server.port, &[&["send", "file", "--create", "--to", "#a"], options].concat())
    };
    failed(&send(&[]), "--password-file");
    failed(&send(&["--password-file", "wrong"]), "that is not the password");
    failed(&send(&["--password-file", "none"]), "none");
    assert_eq!(fine(&send(&["--password-file", "right"])), ["1"]);
    let get = ["get", "1", "--join", "#a", "--password-file", "right", "-o", "copy"];
    assert_eq!(fine(&run(here.path(), server.port, &get)), ["copy"]);
}

#[test]
fn what_cannot_be_is_told() {
    let server = Server::start(&["--max-file", "1K"]);
    let here = tempfile::tempdir().unwrap();
    let path = |name: &str| here.path().join(name);
    fs::write(path("good"), "hello").unwrap();
    fs::write(path("big"), noise(1_025, 1)).unwrap();
    fs::write(path("shut"), "hello").unwrap();
    fs::set_permissions(path("shut"), fs::Permissions::from_mode(0o000)).unwrap();
    assert!(Command::new("mkfifo").arg(path("fifo")).status().unwrap().success());
    fs::create_dir(path("folder")).unwrap();
    let send =
        |options: &[&str]| run(here.path(), server.port, &[&["send", "--create", "--to", "#a"], options].concat());
    failed(&send(&["none"]), "cannot send none: ");
    failed(&send(&["folder"]), "cannot send folder: it is a folder");
    failed(&send(&["fifo"]), "cannot send fifo: it is not a plain file");
    failed(&send(&["big"]), "sending big: ");
    // For root nothing is shut.
    if fs::File::open(path("shut")).is_err() {
        failed(&send(&["shut"]), "cannot send shut: permission denied");
    }
    let _alice = server.in_room("alice", "#a");
    failed(&send(&["good", "--nick", "alice"]), "alice");
    let get = |options: &[&str]| run(here.path(), server.port, &[&["get"], options].concat());
    failed(&get(&["99", "--join", "#a"]), "file 99: there is no such file for you");
    failed(&get(&["99", "--nick", "alice"]), "alice");
    // What is good is done all the same.
    let output = send(&["good", "big"]);
    assert_eq!((output.status.code(), text(&output.stdout)), (Some(1), "1\n".to_owned()));
    assert!(text(&output.stderr).contains("sending big: "));
    let output = get(&["99", "1", "--join", "#a", "-o", "folder"]);
    assert_eq!((output.status.code(), text(&output.stdout)), (Some(1), "folder/good\n".to_owned()));
    // It is for those in the room.
    let why =
        "it may be of a room that you are not in, or its time may be over; --join '#ROOM' comes into a room first";
    failed(&get(&["1"]), &format!("file 1: there is no such file for you: {why}"));
    for arguments in [&["get"][..], &["get", "x"], &["get", "-1"], &["send", "good"], &["send", "--to", "#a"]] {
        assert_eq!(run(here.path(), server.port, arguments).status.code(), Some(2), "{arguments:?}");
    }
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    for arguments in [&["get", "1"][..], &["send", "good", "--to", "#a"]] {
        let output = run(here.path(), port, arguments);
        failed(&output, &format!("cannot connect to 127.0.0.1:{port}: connection refused; does the server run"));
    }
    // What is done is of no use to a script that is not told its ID, or not given its bytes.
    for arguments in [&["send", "good", "--to", "#a"][..], &["get", "1", "--join", "#a", "-o", "-"]] {
        let full = fs::File::options().write(true).open("/dev/full").unwrap();
        let output = chinwag(here.path(), server.port, arguments).stdout(full).output().unwrap();
        failed(&output, "cannot write to standard output: no space left");
    }
    let full = Server::start(&["--max-clients", "1"]);
    let _bob = full.connect();
    failed(&run(here.path(), full.port, &["get", "1"]), "full");
}

#[test]
fn a_server_of_another_kind_is_told() {
    let here = tempfile::tempdir().unwrap();
    for greeting in ["SSH-2.0-OpenSSH_9.2p1\r\n", "HTTP/1.1 400 Bad Request\r\n\r\n", ":irc NOTICE * :hello\r\n", ""] {
        for arguments in [&["say", "#a", "hello"][..], &["get", "1"]] {
            let listener = TcpListener::bind("127.0.0.1:0").unwrap();
            let port = listener.local_addr().unwrap().port();
            let other = thread::spawn(move || listener.accept().unwrap().0.write_all(greeting.as_bytes()));
            let output = run(here.path(), port, arguments);
            failed(&output, "it never greeted us as chinwag does: is the port right?");
            other.join().unwrap().unwrap();
        }
    }
}

#[test]
fn a_terminal_shows_how_far_it_is() {
    let server = Server::start(&["--rate", "0"]);
    let here = tempfile::tempdir().unwrap();
    fs::write(here.path().join("cat.png"), noise(1_000_000, 3)).unwrap();
    assert_eq!(share(&server, "cat.png", &noise(1_000_000, 4)), "1");
    let kept = "chinwag: what you shared can be fetched for 24 hours";
    for (arguments, sign, told) in
        [("send cat.png --to '#a'", "↑ cat.png ", &[kept, "0"][..]), ("get 1 --join '#a'", "↓ cat.png ", &["0"])]
    {
        // It stops in the middle, so that there is time to see it.
        let proxy = narrow(&server, 700_000, 700_000);
        let script = format!("exec {} {arguments} --server {} > out", binary(), proxy.address());
        let mut command = Command::new("bash");
        command.args(["-c", &script]).current_dir(here.path());
        let terminal = Terminal::start(&mut command, 80, 5, Emulator::Clipping, Speaks::Nothing);
        terminal.wait_until(sign, |screen| screen.rows[0].starts_with(sign) && screen.rows[0].contains('%'));
        drop(terminal);
        assert_eq!(fs::read(here.path().join("out")).unwrap(), b"");
        // And to the end.
        let script = format!("{} {arguments} --server {} > out; echo $?", binary(), server.address());
        let mut command = Command::new("bash");
        command.args(["-c", &script]).current_dir(here.path());
        let mut terminal = Terminal::start(&mut command, 80, 5, Emulator::Clipping, Speaks::Nothing);
        terminal.wait_exit();
        assert_eq!(terminal.screen().lines, told, "nothing is left of it");
    }
    assert_eq!(fs::read_to_string(here.path().join("out")).unwrap(), "./cat (2).png\n");
}

#[test]
fn a_terminal_without_columns_shows_how_far_it_is() {
    let server = Server::start(&["--rate", "0"]);
    let here = tempfile::tempdir().unwrap();
    fs::write(here.path().join("cat.png"), noise(1_000_000, 3)).unwrap();
    let proxy = narrow(&server, 700_000, 700_000);
    let script =
        format!("stty cols 0; exec {} send cat.png --create --to '#a' --server {} > out", binary(), proxy.address());
    let mut command = Command::new("bash");
    command.args(["-c", &script]).current_dir(here.path());
    let terminal = Terminal::start(&mut command, 80, 5, Emulator::Clipping, Speaks::Nothing);
    terminal.wait_until("a bar", |screen| screen.rows[0].starts_with("↑ cat.png ") && screen.rows[0].contains('█'));
}

#[test]
fn pipes_that_others_made_not_to_wait_do_no_harm() {
    if !have(&["strace"]) {
        return;
    }
    let server = Server::start(&["--rate", "0"]);
    let here = tempfile::tempdir().unwrap();
    let bytes = noise(300_000, 5);
    let id = share(&server, "cat.png", &bytes);
    // A line from a full pipe, a file from one, and a file to one that has room only now and then.
    for (arguments, want) in [
        (&["get", &*id, "--join", "#a"][..], b"./cat.png\n".to_vec()),
        (&["get", &id, "--join", "#a", "-o", "-"], bytes),
        (&["send", "--to", "#a", "-", "--name", "x"], b"2\n".to_vec()),
        (&["say", "#a"], Vec::new()),
    ] {
        let (input, mut feed) = io::pipe().unwrap();
        let (mut output, out) = io::pipe().unwrap();
        rustix::io::ioctl_fionbio(&input, true).unwrap();
        rustix::io::ioctl_fionbio(&out, true).unwrap();
        let mut full = 0;
        while let Ok(n) = (&out).write(&[b'.'; 4096]) {
            full += n;
        }
        // The command holds its ends open, and goes with this.
        let calls = here.path().join("calls");
        let mut child = {
            let chinwag = chinwag(here.path(), server.port, arguments);
            let mut command = Command::new("strace");
            command.args(["-f", "-e", "trace=read,write,poll,ppoll", "-o"]).arg(&calls).arg(chinwag.get_program());
            command.args(chinwag.get_args()).current_dir(here.path());
            command.stdin(input).stdout(out).stderr(Stdio::piped()).spawn().unwrap()
        };
        // It has found nothing to read, or no room to write.
        let waits = |call: &str| call.contains(" EAGAIN ") || call.contains("{fd=1, ") && call.contains("(Timeout)");
        eventually("it waits", || fs::read_to_string(&calls).is_ok_and(|calls| calls.lines().any(waits)));
        fs::remove_file(&calls).unwrap();
        feed.write_all(b"some\n").unwrap();
        drop(feed);
        let mut got = Vec::new();
        output.read_to_end(&mut got).unwrap();
        let mut errors = String::new();
        child.stderr.take().unwrap().read_to_string(&mut errors).unwrap();
        assert_eq!((child.wait().unwrap().code(), errors), (Some(0), String::new()), "{arguments:?}");
        assert!(got[full..] == want, "{arguments:?}: {} bytes", got.len() - full);
    }
}
