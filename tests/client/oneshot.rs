//! `chinwag send` and `chinwag get`: whole files or none, and an exit status that says so.

use std::ffi::OsStr;
use std::fs;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::TcpListener;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::thread;

use testkit::data::{digest, listing};
use testkit::proxy::{Cut, Plan, Proxy};
use testkit::pty::{Emulator, Speaks, Terminal};
use testkit::{Server, binary, eventually, have, noise, timed};

/// Runs the client in this folder. If it hangs it is ended: then its exit status is 124.
fn chinwag(folder: &Path, port: u16, arguments: &[&str]) -> Command {
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

#[test]
fn say_says_each_line_once() {
    let server = Server::start(&["--rate", "0"]);
    let here = tempfile::tempdir().unwrap();
    let mut alice = server.in_room("alice", "#a");
    let say = |options: &[&str]| run(here.path(), server.port, &[&["say", "--nick", "bob"], options].concat());
    assert_eq!(fine(&say(&["#a", "hello", " out  there"])), [""; 0]);
    alice.until("#a <bob> hello  out  there");
    fine(&say(&["#a", "one\n\n  two\r\n/me waves\n//who\n=)"]));
    for line in ["one", "  two", "/me waves", "//who", "=)"] {
        alice.until(&format!("#a <bob> {line}"));
    }
    fine(&say(&["alice", "psst"]));
    alice.until("@bob <bob> psst");
    fine(&say(&["@alice", "--", "-5 degrees"]));
    alice.until("@bob <bob> -5 degrees");
    // A file, and more lines than wait at once.
    let lines: Vec<String> = (0..500).map(|n| format!("line {n}")).collect();
    fs::write(here.path().join("lines"), lines.join("\n")).unwrap();
    let mut command = chinwag(here.path(), server.port, &["say", "#a", "--nick", "bob"]);
    let output = command.stdin(fs::File::open(here.path().join("lines")).unwrap()).output().unwrap();
    assert_eq!(fine(&output), [""; 0]);
    let heard = alice.until("#a <bob> line 499");
    let heard: Vec<_> = heard.iter().filter_map(|line| line.strip_prefix("#a <bob> ")).collect();
    assert_eq!(heard, lines[..499]);
}

#[test]
fn say_says_lines_as_they_come() {
    let server = Server::start(&[]);
    let here = tempfile::tempdir().unwrap();
    let mut alice = server.in_room("alice", "#a");
    let mut command = chinwag(here.path(), server.port, &["say", "#a", "--nick", "bob"]);
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut input = child.stdin.take().unwrap();
    for line in ["one", "two"] {
        writeln!(input, "{line}").unwrap();
        alice.until(&format!("#a <bob> {line}"));
    }
    write!(input, "the end").unwrap();
    drop(input);
    alice.until("#a <bob> the end");
    assert_eq!(fine(&child.wait_with_output().unwrap()), [""; 0]);
    alice.until_starting("#a * bob quit");
}

#[test]
fn say_fails_unless_it_was_said() {
    let server = Server::start(&[]);
    let here = tempfile::tempdir().unwrap();
    let mut alice = server.in_room("alice", "#a");
    let say = |options: &[&str]| run(here.path(), server.port, &[&["say"], options].concat());
    failed(&say(&["carol", "hello"]), "carol");
    failed(&say(&["#a"]), "there is nothing to say");
    failed(&say(&["#a", "--create", " "]), "there is nothing to say");
    let told =
        "chinwag: alice is somebody else; choose another name, or wait a minute if that was you; so nothing was said\n";
    alice.settle();
    let output = say(&["#a", "--nick", "alice", "hello"]);
    assert_eq!((output.status.code(), text(&output.stderr)), (Some(1), told.to_owned()));
    let heard = alice.settle();
    assert!(!heard.iter().any(|line| line.contains("guest") && line.starts_with('#')), "{heard:?}");
    // What is too long is left out, and the rest is said.
    let long = "x".repeat(5_000);
    failed(&say(&["#a", &format!("first\n{long}\nlast")]), "line 2: a line has at most 4096 bytes");
    // Whoever said something before may not be gone yet, and so this is any guest.
    let mut hears = |text: &str| {
        while !alice.until_starting("#a <guest").last().unwrap().ends_with(&format!("> {text}")) {}
    };
    for text in ["first", "last"] {
        hears(text);
    }
    fs::write(here.path().join("lines"), format!("first\n{long}\nlast")).unwrap();
    let mut command = chinwag(here.path(), server.port, &["say", "#a"]);
    failed(&command.stdin(fs::File::open(here.path().join("lines")).unwrap()).output().unwrap(), "line 2: a ");
    for text in ["first", "last"] {
        hears(text);
    }
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    failed(&run(here.path(), port, &["say", "#a", "hello"]), "cannot connect");
    for arguments in [&["say"][..], &["say", "a b", "hello"]] {
        assert_eq!(run(here.path(), server.port, arguments).status.code(), Some(2), "{arguments:?}");
    }
}

/// What a line of a shell's says when it fails.
#[test]
fn say_reaches_a_room_that_takes_words_from_outside_and_tells_why_another_does_not() {
    let server = Server::start(&[]);
    let folder = tempfile::tempdir().unwrap();
    let mut op = server.in_room("op", "#reports");
    for line in ["/room invite-only on", "/room outside on"] {
        op.send(line);
        op.until_starting("+ room ");
    }
    fine(&run(folder.path(), server.port, &["say", "#reports", "it is green", "--nick", "builder"]));
    op.until("#reports <builder> it is green");
    op.send("/room outside off");
    op.until_starting("+ room ");
    let output = run(folder.path(), server.port, &["say", "#reports", "it is red", "--nick", "builder"]);
    failed(
        &output,
        "#reports has not got “it is red”: only who is invited comes into #reports; ask op, an op of it, for /invite",
    );
    for line in ["/room invite-only off", "/room key sesame"] {
        op.send(line);
        op.until_starting("+ room ");
    }
    let output = run(folder.path(), server.port, &["say", "#reports", "it is red", "--nick", "builder"]);
    failed(
        &output,
        "for it, and type /join #reports KEY; this program gives no key, so have an op /invite the name that",
    );
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

#[test]
fn a_terminal_shows_how_far_it_is() {
    let server = Server::start(&["--rate", "0"]);
    let here = tempfile::tempdir().unwrap();
    fs::write(here.path().join("cat.png"), noise(1_000_000, 3)).unwrap();
    assert_eq!(share(&server, "cat.png", &noise(1_000_000, 4)), "1");
    for (arguments, sign) in [("send cat.png --to '#a'", "↑ cat.png "), ("get 1 --join '#a'", "↓ cat.png ")] {
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
        assert_eq!(terminal.screen().lines, ["0"], "nothing is left of it");
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
            command.args(["-f", "-e", "trace=read,write", "-o"]).arg(&calls).arg(chinwag.get_program());
            command.args(chinwag.get_args()).current_dir(here.path());
            command.stdin(input).stdout(out).stderr(Stdio::piped()).spawn().unwrap()
        };
        // It has found nothing to read, or no room to write.
        eventually("it waits", || fs::read_to_string(&calls).is_ok_and(|calls| calls.contains(" EAGAIN ")));
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
