//! The proxies of `docs/proxies.md`, each with the configuration that stands there: who comes through one by TLS comes from their own
//! address, and nobody can read along.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use testkit::data::Folder;
use testkit::{control, eventually, have};

/// A proxy, which ends when this goes.
struct Proxy(Child);

impl Drop for Proxy {
    fn drop(&mut self) {
        // What it has begun goes with it.
        let _ = Command::new("kill").args(["-TERM", &self.0.id().to_string()]).status();
        let _ = self.0.wait();
    }
}

/// A proxy that takes connections at a port, which it is started with.
fn listening(start: impl Fn(u16) -> Command) -> (Proxy, u16) {
    loop {
        let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap().port();
        let mut command = start(port);
        let mut proxy =
            Proxy(command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap());
        let mut is_up = false;
        eventually("the proxy takes connections, or ends", || {
            is_up = TcpStream::connect(("127.0.0.1", port)).is_ok();
            is_up || proxy.0.try_wait().unwrap().is_some()
        });
        // Another test may have taken the port meanwhile.
        if is_up {
            return (proxy, port);
        }
    }
}

/// The configuration that the page has in this language, the first or one behind it.
fn configuration(language: &str, nth: usize) -> String {
    let page = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/proxies.md")).unwrap();
    let rest = page.split(&format!("```{language}\n")).nth(1 + nth).expect("the page has it");
    rest.split_once("```").unwrap().0.to_owned()
}

/// Somebody comes through a proxy that is begun by `start`, which is given its folder and the page's configuration for it, made to fit
/// this test. Its server has these options besides.
fn try_proxy(language: &str, options: &[&str], start: impl Fn(&Path, &str) -> Command) {
    let folder = Folder::new();
    let mut server = folder.serve(&[&["--proxy-listen", "127.0.0.1:0"], options].concat());
    let behind = server.door("proxy ").parse::<SocketAddr>().unwrap();
    let there = tempfile::tempdir().unwrap();
    let path = |name: &str| there.path().join(name).to_str().unwrap().to_owned();
    let made = Command::new("openssl")
        .args(["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=localhost", "-days", "2"])
        .args(["-keyout", &path("privkey.pem"), "-out", &path("fullchain.pem")])
        .output()
        .unwrap();
    assert!(made.status.success(), "{made:?}");
    let both = ["fullchain.pem", "privkey.pem"].map(|name| fs::read_to_string(path(name)).unwrap()).concat();
    fs::write(path("haproxy.pem"), both).unwrap();
    let page = configuration(language, 0)
        .replace("/etc/chinwag", there.path().to_str().unwrap())
        .replace("127.0.0.1:2430", &behind.to_string());
    let (_proxy, port) = listening(|port| start(there.path(), &page.replace("2429", &port.to_string())));
    let mut socat = Command::new("socat")
        .args(["-", &format!("OPENSSL:127.0.0.1:{port},verify=0,bind=127.0.0.3")])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut typed = socat.stdin.take().unwrap();
    let mut lines = BufReader::new(socat.stdout.take().unwrap()).lines().map(Result::unwrap);
    assert!(lines.next().unwrap().starts_with("* hello "));
    typed.write_all(b"/nick far\n").unwrap();
    assert!(lines.any(|line| line == "+ nick far"));
    let told = control(&folder.path.join("ctl"), "/where far\n");
    assert!(told[0].starts_with("- far 127.0.0.3 secure "), "{told:?}");
    typed.write_all(b"/quit\n").unwrap();
    assert!(lines.any(|line| line == "+ quit"));
    socat.wait().unwrap();
    server.signal("TERM");
    let (_, log) = server.wait();
    assert!(!log.contains("a broken PROXY header"), "{log}");
}

#[test]
fn stunnel_says_for_whom_it_comes() {
    if !have(&["stunnel4", "socat", "openssl"]) {
        return;
    }
    try_proxy("stunnel", &["--proxy-secure"], |folder, configuration| {
        let file = folder.join("stunnel.conf");
        fs::write(&file, format!("foreground = yes\npid =\n{configuration}")).unwrap();
        let mut command = Command::new("stunnel4");
        command.arg(file);
        command
    });
}

#[test]
fn haproxy_says_for_whom_it_comes_and_that_nobody_reads_along() {
    if !have(&["haproxy", "socat", "openssl"]) {
        return;
    }
    try_proxy("haproxy", &[], |folder, configuration| {
        let file = folder.join("haproxy.cfg");
        fs::write(&file, configuration).unwrap();
        let mut command = Command::new("haproxy");
        command.arg("-db").arg("-f").arg(file);
        command
    });
}

#[test]
fn nginx_says_for_whom_it_comes() {
    if !have(&["nginx", "socat", "openssl"]) {
        return;
    }
    try_proxy("nginx", &["--proxy-secure"], |folder, configuration| {
        let module = "/usr/lib/nginx/modules/ngx_stream_module.so";
        let load = if Path::new(module).exists() { format!("load_module {module};\n") } else { String::new() };
        let file = folder.join("nginx.conf");
        let around = format!("{load}daemon off;\npid {}/pid;\nerror_log stderr;\nevents {{}}\n", folder.display());
        fs::write(&file, around + configuration).unwrap();
        let mut command = Command::new("nginx");
        command.arg("-p").arg(folder).arg("-c").arg(file).arg("-e").arg("stderr");
        command
    });
}

#[test]
fn nginx_hands_browsers_on_and_says_for_whom_they_come() {
    if !have(&["nginx", "socat", "openssl"]) {
        return;
    }
    let folder = Folder::new();
    let server = folder.serve(&["--web", "127.0.0.1:0", "--origin", "https://chat.example.org"]);
    let there = tempfile::tempdir().unwrap();
    let path = |name: &str| there.path().join(name).to_str().unwrap().to_owned();
    let made = Command::new("openssl")
        .args(["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=localhost", "-days", "2"])
        .args(["-keyout", &path("privkey.pem"), "-out", &path("fullchain.pem")])
        .output()
        .unwrap();
    assert!(made.status.success(), "{made:?}");
    let page = configuration("nginx", 1)
        .replace("/etc/chinwag", there.path().to_str().unwrap())
        .replace("127.0.0.1:2480", server.door("web http://"));
    let (_proxy, port) = listening(|port| {
        let around = format!(
            "daemon off;\npid {}/pid;\nerror_log stderr;\nevents {{}}\nhttp {{\naccess_log off;\n",
            there.path().display()
        );
        fs::write(path("nginx.conf"), around + &page.replace("listen 443", &format!("listen {port}")) + "}\n").unwrap();
        let mut command = Command::new("nginx");
        command.arg("-p").arg(there.path()).arg("-c").arg(path("nginx.conf")).arg("-e").arg("stderr");
        command
    });
    let begin = || {
        Command::new("socat")
            .args(["-", &format!("OPENSSL:127.0.0.1:{port},verify=0,bind=127.0.0.3")])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap()
    };
    let mut socat = begin();
    let mut typed = socat.stdin.take().unwrap();
    typed.write_all(b"GET / HTTP/1.1\r\nHost: chat.example.org\r\n\r\n").unwrap();
    let mut lines = BufReader::new(socat.stdout.take().unwrap()).lines().map(Result::unwrap);
    assert_eq!(lines.next().unwrap(), "HTTP/1.1 200 OK");
    assert!(lines.any(|line| line == "Cross-Origin-Opener-Policy: same-origin"));
    drop(typed);
    drop(lines);
    socat.kill().unwrap();
    socat.wait().unwrap();
    let mut socat = begin();
    let mut typed = socat.stdin.take().unwrap();
    let fields = "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13";
    let request =
        format!("GET /ws HTTP/1.1\r\nHost: chat.example.org\r\nOrigin: https://chat.example.org\r\n{fields}\r\n\r\n");
    typed.write_all(request.as_bytes()).unwrap();
    let mut lines = BufReader::new(socat.stdout.take().unwrap()).split(b'\n').map(Result::unwrap);
    assert_eq!(lines.next().unwrap(), b"HTTP/1.1 101 Switching Protocols\r");
    assert!(lines.any(|line| line.windows(8).any(|word| word == b"* hello ")));
    // The mask changes nothing.
    typed.write_all(b"\x81\x89\0\0\0\0/nick far").unwrap();
    assert!(lines.any(|line| line.ends_with(b"+ nick far")));
    let told = control(&folder.path.join("ctl"), "/where far\n");
    assert!(told[0].starts_with("- far 127.0.0.3 secure "), "{told:?}");
    socat.kill().unwrap();
    socat.wait().unwrap();
}
