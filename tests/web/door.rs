//! Where browsers come in: the options, what is told of them, and what a reload takes.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Command, Output, Stdio};

use testkit::{Server, binary, eventually};

use crate::browser::{Socket, answer, start, status};

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
        (&["--web", "nonsense"], "an address, as in 127.0.0.1:2480"),
        (&["--web-tls", ":2481"], "--web-tls needs a certificate"),
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
fn a_check_makes_no_certificate() {
    let data = tempfile::tempdir().unwrap();
    let output = check(&["--web-tls", "127.0.0.1:0", "--data", data.path().to_str().unwrap()]);
    assert!(output.status.success(), "{output:?}");
    assert_eq!(fs::read_dir(data.path()).unwrap().count(), 0);
}

#[test]
fn it_is_told_in_an_order_what_listens_where() {
    let data = tempfile::tempdir().unwrap();
    let at = "127.0.0.1:0";
    let options = ["--web-tls", at, "--web", at, "--metrics", at, "--proxy-listen", at, "--tls", at, "--listen", at];
    let mut command = Command::new(binary());
    let child = command.arg("serve").args(options).arg("--data").arg(data.path());
    let mut child = child.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines().take(6);
    let told: Vec<String> = lines.map(|line| line.unwrap().split("127").next().unwrap().to_owned()).collect();
    child.kill().unwrap();
    child.wait().unwrap();
    assert_eq!(told, ["listening ", "tls ", "proxy ", "metrics http://", "web http://", "web https://"]);
}

#[test]
fn a_door_for_browsers_alone_may_be_for_a_proxy() {
    let mut command = Command::new(binary());
    let child = command.args(["serve", "--listen", "none", "--web", "127.0.0.1:0"]);
    let mut child = child.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut told = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut told).unwrap();
    child.kill().unwrap();
    let log = String::from_utf8(child.wait_with_output().unwrap().stderr).unwrap();
    assert!(told.starts_with("web http://") && !log.contains("only this machine"), "{told}{log}");
}

#[test]
fn who_speaks_tls_at_the_port_without_it_is_told_where_it_is() {
    let data = tempfile::tempdir().unwrap();
    let server = start(&["--web-tls", "127.0.0.1:0", "--data", data.path().to_str().unwrap()]);
    let port = server.door("web https://").rsplit(':').next().unwrap();
    let told = answer(&server, "\x16\x03\x01\x02\0\x01");
    assert!(told.starts_with("HTTP/1.1 400 ") && told.contains(&format!("port {port} with https://")), "{told}");
}

#[test]
fn a_reload_takes_other_origins_and_a_restart_other_addresses() {
    let dir = tempfile::tempdir().unwrap();
    let config = dir.path().join("a.conf");
    let write = |text: &str| {
        fs::write(&config, format!("listen 127.0.0.1:0\nweb 127.0.0.1:0\nmetrics 127.0.0.1:0\n{text}")).unwrap()
    };
    write("");
    let server = Server::start_with(Command::new(binary()).args(["serve", "--config", config.to_str().unwrap()]));
    let request = "GET / HTTP/1.1\r\nHost: chat.example.org\r\n\r\n";
    assert_eq!(status(&server, request), "421");
    write("origin https://chat.example.org\n");
    server.signal("HUP");
    eventually("the name is taken", || status(&server, request) == "200");
    // Monitors may use it, too.
    let mut monitor = TcpStream::connect(server.door("metrics http://")).unwrap();
    monitor.write_all(request.as_bytes()).unwrap();
    let mut page = String::new();
    monitor.read_to_string(&mut page).unwrap();
    assert!(page.starts_with("HTTP/1.1 200 "), "{page}");
    drop(Socket::open(&server, &["Origin: https://chat.example.org"]));
    write("");
    server.signal("HUP");
    eventually("the name is refused", || status(&server, request) == "421");
}
