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

/// The configuration that the page has in this language.
fn configuration(language: &str) -> String {
    let page = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/proxies.md")).unwrap();
    let (_, rest) = page.split_once(&format!("```{language}\n")).expect("the page has it");
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
    let page = configuration(language)
        .replace("/etc/chinwag", there.path().to_str().unwrap())
        .replace("127.0.0.1:2430", &behind.to_string());
    let (_proxy, port) = loop {
        let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap().port();
        let mut command = start(there.path(), &page.replace("2429", &port.to_string()));
        let mut proxy =
            Proxy(command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap());
        let mut is_up = false;
        eventually("the proxy takes connections, or ends", || {
            is_up = TcpStream::connect(("127.0.0.1", port)).is_ok();
            is_up || proxy.0.try_wait().unwrap().is_some()
        });
        // Another test may have taken the port meanwhile.
        if is_up {
            break (proxy, port);
        }
    };
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
