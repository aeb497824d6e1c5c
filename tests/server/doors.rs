//! Where people come in: the addresses that a server listens at.

use std::fs;
use std::io::Write;
use std::process::{Command, Stdio};

use testkit::{Server, binary, have, skip};

/// A server in a network of its own, which has no addresses but those of loopback and what `setup` does to it.
fn in_own_network(setup: &str, options: &[&str]) -> Option<Server> {
    if !have(&["unshare", "nsenter", "ip", "nc", "sh", "mount"]) {
        return None;
    }
    let setup = format!("ip link set lo up && {setup}");
    let can = Command::new("unshare").args(["-rnm", "sh", "-c", &setup]).output().unwrap();
    if !can.status.success() {
        skip(&format!("a network cannot be made: {}", String::from_utf8_lossy(&can.stderr)));
        return None;
    }
    let mut command = Command::new("unshare");
    command.args(["-rnm", "sh", "-c", &format!("{setup} && exec \"$@\""), "sh", binary(), "serve"]);
    Some(Server::start_with(command.args(options)))
}

/// Whether somebody who comes to port 2428 of this address, within the network of a server, is greeted and answered.
fn greets(server: &Server, address: &str) {
    let told = within(server, &["nc", "-N", address, "2428"], "/ping\n");
    assert!(told.starts_with("* hello ") && told.ends_with("+ ping\n"), "{address}: {told}");
}

/// Runs a command in the network of a server, and gives what it prints.
fn within(server: &Server, command: &[&str], input: &str) -> String {
    let mut child = Command::new("nsenter")
        .args(["-t", &server.pid().to_string(), "-U", "-n", "--preserve-credentials"])
        .args(command)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    String::from_utf8(child.wait_with_output().unwrap().stdout).unwrap()
}

#[test]
fn people_come_in_at_an_address_that_comes_up_after_the_server() {
    let addresses = ["192.0.2.7", "2001:db8::7"];
    let Some(mut server) = in_own_network("true", &["--listen", "192.0.2.7:2428", "--listen", "[2001:db8::7]:2428"])
    else {
        return;
    };
    for (address, with_len) in addresses.iter().zip(["192.0.2.7/32", "2001:db8::7/128"]) {
        within(&server, &["ip", "addr", "add", with_len, "dev", "lo"], "");
        greets(&server, address);
    }
    server.signal("TERM");
    let (_, log) = server.wait();
    for address in addresses {
        let warning = format!("{address} is no address of this machine yet");
        assert_eq!(log.matches(&warning).count(), 1, "{log}");
    }
}

#[test]
fn a_port_alone_is_that_of_all_addresses() {
    let Some(server) = in_own_network("ip addr add 192.0.2.7/32 dev lo", &["--listen", ":2428"]) else { return };
    for address in ["127.0.0.1", "::1", "192.0.2.7"] {
        greets(&server, address);
    }
}

#[test]
fn a_name_stands_for_all_its_addresses() {
    let folder = tempfile::tempdir().unwrap();
    let hosts = folder.path().join("hosts");
    fs::write(&hosts, "127.0.0.1 here\n127.0.0.2 here\n::1 here\n").unwrap();
    let setup = format!("mount --bind {} /etc/hosts", hosts.display());
    let Some(server) = in_own_network(&setup, &["--listen", "here:2428"]) else { return };
    for address in ["127.0.0.1", "127.0.0.2", "::1"] {
        greets(&server, address);
    }
}

#[test]
fn a_machine_without_ipv6_serves_the_others() {
    if !have(&["strace"]) {
        return;
    }
    let refusing = |nth: &str, listen: &str| {
        let mut command = Command::new("strace");
        command.args(["-D", "-f", "-o", "/dev/null", "-e", "trace=socket", "-e"]);
        command.arg(format!("inject=socket:error=EAFNOSUPPORT:when={nth}"));
        command.args([binary(), "serve", "--listen", listen]);
        command
    };
    let server = Server::start_with(&mut refusing("2", ":0"));
    server.connect().settle();
    drop(server);
    // Nothing is left then.
    let alone = refusing("1", "[::1]:0").output().unwrap();
    let told = String::from_utf8(alone.stderr).unwrap();
    assert!(alone.status.code() == Some(1) && told.contains("cannot listen on [::1]:0: address family"), "{told}");
}
