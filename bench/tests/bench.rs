//! The benchmark still works: its smallest works, against the server and the bare loop, with every line counted. What
//! they cost is not looked at.
#![allow(
    missing_docs,
    unreachable_pub,
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "tests are no library, and may panic"
)]

use std::process::{Command, Stdio};

#[test]
fn the_benchmark_s_works_find_every_line() {
    run(&[
        ["steady", "bare-1"],
        ["flat200", "bare-16"],
        ["file", "bare-1"],
        ["flat200", "chinwag"],
        ["lone", "chinwag"],
        ["idle", "chinwag"],
        ["pairs-msg", "chinwag"],
        ["join3000", "chinwag"],
        ["connect10000", "chinwag"],
        ["file", "chinwag"],
        ["steady-ws", "chinwag"],
        ["flat1000-ws", "chinwag"],
        ["connect10000-ws", "chinwag"],
    ]);
}

#[test]
fn its_works_in_tls_do_so_too() {
    if testkit::have(&["openssl", "chrt"]) {
        run(&[["steady-tls", "chinwag"], ["connect2000-rsa", "chinwag"], ["handshakes", "chinwag"]]);
    }
}

/// Does these works with these servers, all at once.
fn run(works: &[[&'static str; 2]]) {
    let start = |run: &[&'static str; 2]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_bench"));
        command.arg("one").args(run).arg("--tiny");
        (*run, command.stdout(Stdio::piped()).spawn().unwrap())
    };
    let running: Vec<_> = works.iter().map(start).collect();
    for (run, child) in running {
        let output = child.wait_with_output().unwrap();
        assert!(output.status.success(), "{run:?}: {}", String::from_utf8_lossy(&output.stdout));
    }
}

#[test]
fn what_people_cost_is_measured() {
    if !testkit::have(&["unshare", "ip", "nice"]) {
        return;
    }
    let mut command = Command::new(env!("CARGO_BIN_EXE_bench"));
    let output = command.args(["people", "--tiny"]).output().unwrap();
    let printed = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{printed}");
    let of = |what: &str| printed.lines().filter(|line| line.contains(what)).count();
    assert_eq!(
        (of("a rename"), of("a login by"), of("bans of"), of("while 200 addresses guess")),
        (1, 3, 3, 2),
        "{printed}"
    );
}
