//! Where browsers come in: the options, what is told of them, and what a reload takes.

use std::fs;
use std::process::{Command, Output};

use testkit::{Server, binary, eventually};

use crate::browser::{Socket, status};

fn check(options: &[&str]) -> Output {
    Command::new(binary()).arg("check").args(options).output().unwrap()
}

#[test]
fn an_address_may_be_left_out_and_two_doors_are_at_two_ports() {
    let ok = |options: &[&str]| assert!(check(options).status.success(), "{options:?}: {:?}", check(options));
    ok(&["--web"]);
    ok(&["--web", "--listen", "none"]);
    ok(&["--web", ":2480", "--web", "127.0.0.1:2482"]);
    ok(&["--web", "--origin", "https://chat.example.org", "--origin", "http://pi.example:2480/"]);
    for (options, want) in [
        (&["--web", "127.0.0.1:2428"][..], "cannot listen on 127.0.0.1:2428 for --listen and --web"),
        (&["--web", "nonsense"], "cannot listen on nonsense"),
        (&["--origin", "chat.example.org"], "as in https://chat.example.org"),
        (&["--origin", "https://chat.example.org/page"], "as in https://chat.example.org"),
        (&["--listen", "none"], "give --tls, --web or --proxy-listen too"),
    ] {
        let output = check(options);
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(!output.status.success() && errors.contains(want), "{options:?}: {errors}");
    }
}

#[test]
fn a_reload_takes_other_origins_and_a_restart_other_addresses() {
    let dir = tempfile::tempdir().unwrap();
    let config = dir.path().join("a.conf");
    let write = |text: &str| fs::write(&config, format!("listen 127.0.0.1:0\nweb 127.0.0.1:0\n{text}")).unwrap();
    write("");
    let server = Server::start_with(Command::new(binary()).args(["serve", "--config", config.to_str().unwrap()]));
    let request = "GET / HTTP/1.1\r\nHost: chat.example.org\r\n\r\n";
    assert_eq!(status(&server, request), "421");
    write("origin https://chat.example.org\n");
    server.signal("HUP");
    eventually("the name is taken", || status(&server, request) == "200");
    drop(Socket::open(&server, &["Origin: https://chat.example.org"]));
    write("");
    server.signal("HUP");
    eventually("the name is refused", || status(&server, request) == "421");
}
