//! Where people come in: the addresses that a server listens at, and proxies that say for whom they come.

use std::fs;
use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::process::{Command, Stdio};

use testkit::data::Folder;
use testkit::{Client, Server, binary, control, eventually, have, skip};

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
    // One is listened at several times, for monitors too.
    let options =
        "--listen 192.0.2.7:2428 --listen [2001:db8::7]:2428 --proxy-listen 192.0.2.7:2430 --metrics 192.0.2.7:9429";
    let options: Vec<&str> = options.split(' ').collect();
    let Some(mut server) = in_own_network("true", &options) else { return };
    for (address, with_len) in addresses.iter().zip(["192.0.2.7/32", "2001:db8::7/128"]) {
        within(&server, &["ip", "addr", "add", with_len, "dev", "lo"], "");
        greets(&server, address);
    }
    server.signal("TERM");
    let (_, log) = server.wait();
    for address in addresses {
        let warning =
            format!("{address} is no address of this machine yet; what listens there is reached once it is\n");
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

/// A server that takes proxies, and where.
fn behind_proxies(options: &[&str]) -> (Server, SocketAddr) {
    let server = Server::start(&[&["--proxy-listen", "127.0.0.1:0"], options].concat());
    let address = server.door("proxy ").parse::<SocketAddr>().unwrap();
    (server, address)
}

/// A header of version 1, from an IPv4 address.
fn v1(from: &str) -> Vec<u8> {
    format!("PROXY TCP4 {from} 192.0.2.1 1234 2428\r\n").into_bytes()
}

/// A header of version 2.
fn v2(command: u8, family: u8, rest: &[u8]) -> Vec<u8> {
    let len = u16::try_from(rest.len()).unwrap().to_be_bytes();
    [b"\r\n\r\n\0\r\nQUIT\n", &[command, family][..], &len, rest].concat()
}

/// One for 203.0.113.5, with these values behind the addresses.
fn v2_from(values: &[u8]) -> Vec<u8> {
    v2(0x21, 0x11, &[&[203, 0, 113, 5, 192, 0, 2, 1, 4, 210, 9, 124], values].concat())
}

/// The value that says that nobody can read along.
const SSL: &[u8] = b"\x20\0\x05\x01\0\0\0\0";

/// Somebody who comes through a proxy with this header.
fn come(proxy: SocketAddr, header: &[u8]) -> Client {
    let mut client = Client::new(TcpStream::connect(proxy).unwrap());
    client.send_bytes(header);
    client
}

/// All that somebody is told up to the end, be it a reset.
fn told(mut client: Client) -> String {
    let mut told = String::new();
    match client.reader().read_to_string(&mut told) {
        Err(e) if e.kind() != ErrorKind::ConnectionReset => panic!("no end but {e}"),
        _ => told,
    }
}

#[test]
fn who_comes_through_a_proxy_comes_from_where_that_says() {
    for (options, header, want) in [
        (&[][..], v1("203.0.113.5"), "203.0.113.5 clear"),
        (&[], v1("127.0.0.1"), "127.0.0.1 clear"),
        (&[], v2_from(b""), "203.0.113.5 clear"),
        (&[], v2_from(SSL), "203.0.113.5 secure"),
        (&["--proxy-secure"], v1("203.0.113.5"), "203.0.113.5 secure"),
        (&["--proxy-from", "127.0.0.1"], b"PROXY TCP6 2001:db8::5 ::1 1 2\r\n".to_vec(), "2001:db8::5 clear"),
    ] {
        let folder = Folder::new();
        let server = folder.serve(&[&["--proxy-listen", "127.0.0.1:0"], options].concat());
        let proxy = server.door("proxy ").parse::<SocketAddr>().unwrap();
        // What stands behind the header is theirs, also if it comes with it.
        let mut client = come(proxy, &[&header[..], b"/nick alice\n"].concat());
        client.starting("* hello ");
        client.until_starting("+ nick alice");
        let told = control(&folder.path.join("ctl"), "/where alice\n");
        assert!(told[0].starts_with(&format!("- alice {want} ")), "{told:?} and not {want}");
    }
}

#[test]
fn a_header_may_come_in_pieces() {
    let (_server, proxy) = behind_proxies(&[]);
    for header in [v1("203.0.113.5"), v2_from(SSL)] {
        let mut client = come(proxy, b"");
        [&header[..], b"/ping x\n"].concat().chunks(1).for_each(|byte| client.send_bytes(byte));
        client.starting("* hello ");
        client.until("+ ping x");
    }
}

#[test]
fn limits_count_whom_a_proxy_names_and_not_the_proxy() {
    let (server, proxy) = behind_proxies(&["--max-per-ip", "1"]);
    let mut people = Vec::new();
    // An address of loopback is one like any other, if a proxy says so.
    for from in ["203.0.113.5", "203.0.113.6", "127.0.0.1"] {
        let mut first = come(proxy, &v1(from));
        first.starting("* hello ");
        people.push(first);
        assert!(come(proxy, &v1(from)).rest()[0].starts_with("* bye refused "), "{from}");
    }
    // Whoever comes from here without a proxy is not counted.
    people.extend((0..2).map(|_| server.connect()));
}

#[test]
fn without_a_good_header_nobody_is_told_anything_and_the_log_says_why() {
    let (mut server, proxy) = behind_proxies(&[]);
    let unix = v2(0x21, 0x31, &[0; 216]);
    for sent in [
        &b"/ping\n"[..],
        b"\x16\x03\x01",
        b"proxy TCP4 203.0.113.5 192.0.2.1 1 2\r\n",
        b"PROXY TCP4 203.0.113.5 192.0.2.1 1 2\n",
        b"PROXY TCP4 203.0.113.5 192.0.2.1 +1 2\r\n",
        &unix,
        &v2(0x21, 0x12, &[0; 12]),
        &v2(0x21, 0x11, &[0; 600]),
    ] {
        assert_eq!(told(come(proxy, sent)), "", "{}", sent.escape_ascii());
        come(proxy, &v1("203.0.113.5")).starting("* hello ");
    }
    // The end of what is sent ends it, within a header and before one.
    for sent in [&b"PROXY TCP4 203.0.113.5"[..], b"\r\n\r\n\0", b""] {
        let mut client = come(proxy, sent);
        client.end();
        assert_eq!(told(client), "", "{}", sent.escape_ascii());
    }
    server.signal("TERM");
    let (_, log) = server.wait();
    for why in [
        "no PROXY header from 127.0.0.1",
        "a broken PROXY header from 127.0.0.1",
        "a PROXY header of another family than TCP over IPv4 or IPv6 from 127.0.0.1",
        "a PROXY header that is too long from 127.0.0.1",
    ] {
        assert!(log.contains(why), "{why}: {log}");
    }
    // Only proxies that are named are heard.
    let (mut server, proxy) = behind_proxies(&["--proxy-from", "192.0.2.0/24", "--proxy-from", "2001:db8::5"]);
    assert_eq!(told(come(proxy, &v1("203.0.113.5"))), "");
    server.signal("TERM");
    let (_, log) = server.wait();
    assert!(log.contains("a connection that --proxy-from does not allow from 127.0.0.1"), "{log}");
}

#[test]
fn a_proxy_that_looks_whether_the_server_is_there_is_told_nothing_and_closed_in_time() {
    let (mut server, proxy) = behind_proxies(&[]);
    let checks = [v2(0x20, 0, b""), v2(0x20, 0x11, &[0; 12]), v2(0x21, 0, b""), b"PROXY UNKNOWN\r\n".to_vec()];
    let checks = checks.map(|check| come(proxy, &[&check[..], b"/ping x\n"].concat()));
    let silent = come(proxy, b"PROXY ");
    assert!(checks.into_iter().chain([silent]).map(told).all(|told| told.is_empty()));
    // One that goes is gone at once.
    let before = server.usage().unwrap().descriptors;
    let check = come(proxy, &v2(0x20, 0, b""));
    eventually("the check is there", || server.usage().unwrap().descriptors > before);
    drop(check);
    eventually("the check is gone", || server.usage().unwrap().descriptors == before);
    server.signal("TERM");
    let (_, log) = server.wait();
    assert_eq!(log.matches("PROXY header").count(), 1, "{log}");
}

#[test]
fn the_log_tells_what_to_set_where_a_header_comes_that_no_port_takes() {
    let folder = tempfile::tempdir().unwrap();
    let mut server = Server::start(&["--tls", "127.0.0.1:0", "--data", folder.path().to_str().unwrap()]);
    for port in [server.port, server.tls_port.unwrap()] {
        for header in [v1("203.0.113.5"), v2_from(SSL)] {
            come(([127, 0, 0, 1], port).into(), &header).until_starting("* bye ");
        }
    }
    server.signal("TERM");
    let (_, log) = server.wait();
    let lines: Vec<&str> = log.lines().filter(|line| line.contains("PROXY header")).collect();
    assert!(lines.len() == 1 && lines[0].contains("--proxy-listen"), "{log}");
    assert!(lines[0].contains("--proxy-from") && lines[0].contains("--proxy-secure"), "{log}");
}

#[test]
fn tls_behind_a_header_is_not_taken() {
    let (_server, proxy) = behind_proxies(&[]);
    let mut client = come(proxy, &[&v2_from(SSL)[..], b"\x16\x03\x01\x02\0\x01\0"].concat());
    client.starting("* hello ");
    client.until_starting("* bye not-text ");
}
