//! What `chinwag get` does with a file that goes, and in which order it tells where files are.

use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use testkit::data::listing;
use testkit::{Server, binary, eventually, noise};

use crate::oneshot::{failed, fine, narrow, run, share, text};

#[test]
fn a_file_that_is_withdrawn_is_not_waited_for() {
    let server = Server::start(&["--rate", "0"]);
    let mut alice = server.in_room("alice", "#a");
    // The rest must be more than the system holds of it on its way.
    let bytes = noise(16_000_000, 3);
    assert_eq!(share(&server, "cat.png", &bytes), "1");
    let there = tempfile::tempdir().unwrap();
    let proxy = narrow(&server, usize::MAX, 500_000);
    let mut command = Command::new(binary());
    command.args(["get", "1", "--join", "#a", "--server", &proxy.address()]).current_dir(there.path());
    let get = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    eventually("half of it", || proxy.bytes().1 == 500_000 && listing(there.path()).len() == 1);
    let since = Instant::now();
    alice.settle();
    alice.ask("/cancel 1", "+ cancel 1");
    proxy.limit(usize::MAX, usize::MAX);
    failed(&get.wait_with_output().unwrap(), "fetching cat.png: an op of its room took it away");
    assert!(since.elapsed() < Duration::from_secs(60), "it never comes back");
    assert_eq!(listing(there.path()), [""; 0], "and no more of it will come");
}

#[test]
fn where_files_are_is_told_in_the_order_of_their_ids() {
    let server = Server::start(&["--rate", "0"]);
    let _alice = server.in_room("alice", "#a");
    for (id, name, bytes) in
        [("1", "long", noise(1_000_000, 3)), ("2", "empty", Vec::new()), ("3", "short", noise(9, 3))]
    {
        assert_eq!(share(&server, name, &bytes), id);
    }
    let there = tempfile::tempdir().unwrap();
    let get = |ids: &[&str]| run(there.path(), server.port, &[&["get", "--join", "#a"], ids].concat());
    assert_eq!(fine(&get(&["1", "2", "3"])), ["./long", "./empty", "./short"]);
    // Where one fails, the rest is told all the same.
    let output = get(&["3", "9", "2"]);
    assert_eq!((output.status.code(), text(&output.stdout)), (Some(1), "./short (2)\n./empty (2)\n".to_owned()));
}
