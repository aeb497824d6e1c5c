//! The certificate: the one that the server makes, the ones that it is given, and what is wrong with them.

use std::fs;
use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Output};
use std::time::{Duration, SystemTime};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use chinwag::limits::ARRIVING;
use chinwag::time::Day;
use rcgen::{CertificateParams, KeyPair, date_time_ymd};
use rustls::version::TLS13;
use tempfile::TempDir;
use testkit::data::{Folder, stop};
use testkit::disk::faketime;
use testkit::{PATIENCE, Server, binary, control, have, timed};

use crate::secure::{Secure, Tls};

/// What a shell command prints.
fn shell(script: &str, folder: &Path) -> String {
    let output = Command::new("bash").args(["-c", script]).current_dir(folder).output().unwrap();
    assert!(output.status.success(), "{script}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// The digest of a certificate as openssl has it, in small letters without colons.
const FINGERPRINT: &str = "openssl x509 -noout -fingerprint -sha256 | cut -d= -f2 | tr -d : | tr A-F a-f";

#[test]
fn the_server_makes_a_certificate_once_and_keeps_it_to_itself() {
    if !have(&["openssl"]) {
        return;
    }
    let Tls { mut server, port, folder } = Tls::start(&[]);
    let shown = format!("openssl s_client -connect 127.0.0.1:{port} </dev/null 2>/dev/null | {FINGERPRINT}");
    let shown = shell(&shown, &folder.path);
    let kept = shell(&format!("cat tls/own.pem | {FINGERPRINT}"), &folder.path);
    assert_eq!((shown.len(), &shown), (65, &kept));
    server.signal("TERM");
    let said = format!("certificate sha256:{}", kept.trim());
    let (_, errors) = server.wait();
    assert!(errors.contains(&said), "{errors}");
    let mode = |name: &str| fs::metadata(folder.path.join(name)).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode("tls"), mode("tls/own.pem")), (0o700, 0o600));
    let until = shell("openssl x509 -noout -enddate -in tls/own.pem", &folder.path);
    let year = shell("date +%Y", &folder.path).trim().parse::<u32>().unwrap() + 10;
    assert!(until.contains(&format!(" {year} GMT")), "{until}");
    // The next start has the same.
    let mut again = folder.serve(&["--tls", "127.0.0.1:0"]);
    again.signal("TERM");
    assert!(again.wait().1.contains(&said));
}

#[test]
fn a_clock_at_the_end_of_its_years_ends_nothing() {
    let Some(preload) = faketime() else { return };
    let folder = Folder::new();
    for mode in ["check", "serve"] {
        let mut command = Command::new(binary());
        let mut arguments = folder.arguments(&["--tls", "127.0.0.1:0"]);
        arguments[0] = mode;
        command.args(arguments).env("LD_PRELOAD", &preload).env("FAKETIME", "@9999-12-31 12:00:00");
        command.env("FAKETIME_DONT_FAKE_MONOTONIC", "1").env("FAKETIME_DISABLE_SHM", "1");
        if mode == "check" {
            let output = command.output().unwrap();
            assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        } else {
            let server = Server::start_with(&mut command);
            server.person("alice").ask("/ping", "+ ping");
            assert!(folder.path.join("tls/own.pem").exists());
        }
    }
}

#[test]
fn a_certificate_that_is_swept_away_is_put_back_and_a_new_one_is_warned_of() {
    let Tls { mut server, folder, .. } = Tls::start(&[]);
    let path = folder.path.join("tls/own.pem");
    let made = fs::read(&path).unwrap();
    for swept in [folder.path.join("tls"), folder.path.join("tls/own.pem")] {
        if swept.is_dir() { fs::remove_dir_all(swept) } else { fs::remove_file(swept) }.unwrap();
        assert_eq!(control(&folder.path.join("ctl"), "/reload\n").last().unwrap(), "+ reload");
        assert!(fs::read(&path).unwrap() == made, "people who know it would refuse another");
    }
    server.signal("TERM");
    let (_, log) = server.wait();
    assert_eq!(log.matches("was gone; the certificate that is shown is in it again").count(), 2, "{log}");
    let known = "whoever knows an earlier one refuses it";
    assert!(!log.contains(known), "{log}");
    fs::remove_file(&path).unwrap();
    let mut server = folder.serve(&["--tls", "127.0.0.1:0"]);
    server.signal("TERM");
    let (_, log) = server.wait();
    assert!(log.contains(known) && fs::read(&path).unwrap() != made, "{log}");
    // Where there was none, nobody knows one.
    let folder = Folder::new();
    stop(folder.serve(&[]));
    let (_, log) = stop(folder.serve(&["--tls", "127.0.0.1:0"]));
    assert!(!log.contains(known), "{log}");
}

#[test]
fn a_damaged_certificate_of_its_own_is_told_with_what_to_do() {
    let Tls { server, folder, .. } = Tls::start(&[]);
    stop(server);
    let path = folder.path.join("tls/own.pem");
    let made = fs::read(&path).unwrap();
    for damaged in [&made[..300], b"", b"\xff\xfe"] {
        fs::write(&path, damaged).unwrap();
        for mode in ["check", "serve"] {
            let mut arguments = folder.arguments(&["--tls", "127.0.0.1:0"]);
            arguments[0] = mode;
            let output = Command::new(binary()).args(arguments).output().unwrap();
            let told = String::from_utf8_lossy(&output.stderr);
            let want = ": it is damaged; put it back from a backup, or remove it, and a new one is made, which whoever knows it refuses\n";
            assert!(output.status.code() == Some(1) && told.ends_with(want), "{told}");
        }
    }
    fs::remove_file(&path).unwrap();
    stop(folder.serve(&["--tls", "127.0.0.1:0"]));
}

#[test]
fn a_certificate_and_a_key_must_belong_together() {
    if !have(&["openssl"]) {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    for (name, kind) in [("a", "ec -pkeyopt ec_paramgen_curve:P-256"), ("b", "rsa:2048")] {
        let made = format!("openssl req -x509 -newkey {kind} -nodes -subj /CN=x -keyout {name}.key -out {name}.pem");
        shell(&made, folder.path());
    }
    fs::write(folder.path().join("none"), "nothing of the kind\n").unwrap();
    shell("cat b.pem a.pem > turned.pem", folder.path());
    let serve = |options: &[&str]| {
        let mut command = timed();
        command.args([binary(), "serve", "--listen", "none", "--tls", "127.0.0.1:0"]).args(options);
        let output = command.current_dir(folder.path()).output().unwrap();
        (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
    };
    for (options, why) in [
        (&["--cert", "a.pem", "--key", "b.key"][..], "the key in b.key does not belong to the certificate in a.pem"),
        (
            &["--cert", "turned.pem", "--key", "a.key"],
            "to which the key in a.key belongs, must come first in turned.pem; ",
        ),
        (&["--cert", "none", "--key", "a.key"], "cannot use none: it holds no certificate in PEM"),
        (&["--cert", "a.pem", "--key", "none"], "cannot use none: it holds no private key in PEM"),
        (&["--cert", "missing", "--key", "a.key"], "cannot read missing: no such file or directory\n"),
        (&["--cert", "a.pem", "--key", "missing"], "cannot read missing: no such file or directory\n"),
        (&["--cert", "a.pem"], "--cert needs the key of the certificate; give --key too\n"),
        (&["--key", "a.key"], "--key needs the certificate of the key; give --cert too\n"),
        (&[], "--tls needs a certificate; give --cert and --key, or --data"),
    ] {
        let (code, errors) = serve(options);
        assert!(code == Some(1) && errors.contains(why), "{options:?}: {errors}");
    }
    let start = |name: &str| {
        let (cert, key) = (format!("{name}.pem"), format!("{name}.key"));
        let mut command = Command::new(binary());
        command.args(["serve", "--listen", "none", "--tls", "127.0.0.1:0", "--cert", &cert, "--key", &key]);
        let mut server = Server::start_with(command.current_dir(folder.path()));
        assert_eq!(server.tls_port, Some(server.port));
        server.signal("TERM");
        server.wait().1
    };
    assert!(!start("a").contains("RSA") && start("b").contains("six times"));
}

/// A folder with a configuration file, and a certificate `cert` with its `key` that openssl has made for so many days.
fn configured(days: u32) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    renew(folder.path(), days);
    let config = "listen 127.0.0.1:0\ntls 127.0.0.1:0\ndata data\nmetrics 127.0.0.1:0\ncert cert\nkey key\n";
    fs::write(folder.path().join("a.conf"), config).unwrap();
    folder
}

/// Puts another such certificate in the place of what is there.
fn renew(folder: &Path, days: u32) {
    let kind = "ec -pkeyopt ec_paramgen_curve:P-256";
    let made =
        format!("openssl req -x509 -newkey {kind} -nodes -subj /CN=x -days {days} -keyout new.key -out new.cert");
    shell(&format!("{made} && mv new.cert cert && mv new.key key"), folder);
}

#[test]
fn every_kind_of_key_is_taken_or_told_which_to_take() {
    if !have(&["openssl"]) {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    fs::write(folder.join("a.conf"), "listen none\ntls 127.0.0.1:0\ncert cert\nkey key\n").unwrap();
    let curve = |name: &str| format!("ec -pkeyopt ec_paramgen_curve:{name}");
    for (kind, is_taken) in [
        (curve("P-256"), true),
        (curve("P-384"), true),
        (curve("P-521"), false),
        ("ed25519".to_owned(), true),
        ("rsa:1024".to_owned(), false),
        ("rsa:2048".to_owned(), true),
    ] {
        shell(&format!("openssl req -x509 -newkey {kind} -nodes -subj /CN=x -keyout key -out cert"), folder);
        let check = chinwag(folder, &["check", "--config", "a.conf"]);
        assert_eq!(check.status.success(), is_taken, "{kind}: {check:?}");
        let why = "chinwag: a.conf:4: cannot use the key in key: it must be one of P-256, P-384 or Ed25519, or of RSA with \
                   2048 to 4096 bits; take one of P-256, and a certificate for it\n";
        assert!(is_taken || check.stderr == why.as_bytes(), "{kind}: {check:?}");
    }
}

#[test]
fn a_certificate_that_tls_does_not_take_is_told_in_words() {
    if !have(&["openssl"]) {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    fs::write(folder.join("a.conf"), "listen none\ntls 127.0.0.1:0\ncert cert\nkey key\n").unwrap();
    let kind = "-newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj /CN=x -keyout key";
    for (made, why) in [
        (
            format!("openssl req {kind} -out csr && openssl x509 -req -in csr -signkey key -out cert"),
            "it is of version 1 of X.509, which TLS does not take; make it anew with openssl req -x509, or with openssl x509 -req and an -extfile",
        ),
        (
            format!("openssl req -x509 {kind} -out cert -addext 1.2.3.4=critical,ASN1:UTF8String:x"),
            "something in it is not as TLS takes it (UnsupportedCriticalExtension); make it anew, with openssl req -x509 say\n",
        ),
        (
            "printf -- '-----BEGIN CERTIFICATE-----\\nAAAA\\n-----END CERTIFICATE-----\\n' > cert".to_owned(),
            "it is damaged; make or copy it anew\n",
        ),
    ] {
        shell(&made, folder);
        let check = chinwag(folder, &["check", "--config", "a.conf"]);
        let told = String::from_utf8_lossy(&check.stderr);
        let want = format!("chinwag: a.conf:3: cannot use the certificate in cert: {why}");
        assert!(check.status.code() == Some(1) && told.contains(&want), "{told}");
    }
}

#[test]
fn a_certificate_that_nothing_uses_is_no_mistake() {
    if !have(&["openssl"]) {
        return;
    }
    let folder = configured(30);
    let folder = folder.path();
    let mut server = serve(folder);
    let config =
        |text: &str| fs::write(folder.join("a.conf"), format!("listen 127.0.0.1:0\ndata data\n{text}")).unwrap();
    let unused = "--cert and --key are for TLS, which is spoken nowhere; give --tls too, or leave them out\n";
    for text in ["#tls 127.0.0.1:0\ncert cert\nkey key\n", "key key\n"] {
        config(text);
        assert_eq!(reload(folder), "- restart tls\n- restart metrics\n+ reload\n");
        let check = chinwag(folder, &["check", "--config", "a.conf"]);
        let told = String::from_utf8_lossy(&check.stderr);
        assert!(check.status.success() && told.matches(unused).count() == 1, "{told}");
    }
    // One that would be used is to be whole.
    config("tls 127.0.0.1:0\ncert cert\n");
    let why = "a.conf:4: --cert needs the key of the certificate; give --key too";
    assert_eq!(reload(folder), format!("! reload bad-config {why}\n"));
    server.signal("TERM");
    let (_, log) = server.wait();
    assert_eq!(log.matches(unused).count(), 2, "{log}");
}

#[test]
fn a_key_that_everybody_can_read_is_warned_of() {
    if !have(&["openssl"]) {
        return;
    }
    let folder = configured(90);
    let folder = folder.path();
    let want = "everybody on this machine can read the private key in key; chmod 600 key keeps it to you\n";
    for (mode, is_warned) in [(0o600, false), (0o640, false), (0o644, true)] {
        fs::set_permissions(folder.join("key"), fs::Permissions::from_mode(mode)).unwrap();
        let check = chinwag(folder, &["check", "--config", "a.conf"]);
        let told = String::from_utf8_lossy(&check.stderr);
        assert!(check.stdout == b"ok\n" && told.contains(want) == is_warned, "{mode:o}: {told}");
    }
    let log = stop(serve(folder)).1;
    assert!(log.contains(want), "{log}");
}

#[test]
fn the_log_tells_which_connection_asks_for_which_name() {
    if !have(&["openssl"]) {
        return;
    }
    let folder = configured(30);
    let folder = folder.path();
    let mut command = Command::new(binary());
    command.args(["serve", "--config", "a.conf"]).env("RUST_LOG", "debug").current_dir(folder);
    let mut server = Server::start_with(&mut command);
    let port = server.tls_port.unwrap();
    for name in ["-servername chat.example.org", "-noservername"] {
        shell(&format!("openssl s_client -connect 127.0.0.1:{port} {name} </dev/null"), folder);
    }
    server.signal("TERM");
    let (_, log) = server.wait();
    let asks: Vec<&str> = log.lines().filter_map(|line| line.split_once(" asks for ")).map(|(_, name)| name).collect();
    assert_eq!(asks, ["chat.example.org"], "{log}");
    let line = log.lines().find(|line| line.contains(" asks for ")).unwrap();
    let number = line.split("connection ").nth(1).and_then(|rest| rest.split(' ').next()).unwrap();
    assert!(log.matches(&format!("connection {number} ")).count() > 1, "{log}");
}

fn chinwag(folder: &Path, words: &[&str]) -> Output {
    Command::new(binary()).args(words).current_dir(folder).output().unwrap()
}

fn serve(folder: &Path) -> Server {
    Server::start_with(Command::new(binary()).args(["serve", "--config", "a.conf"]).current_dir(folder))
}

/// What comes of a reload.
fn reload(folder: &Path) -> String {
    String::from_utf8(chinwag(folder, &["ctl", "--data", "data", "reload"]).stdout).unwrap()
}

/// The digest of the certificate that a server shows.
fn shown(server: &Server, folder: &Path) -> String {
    let port = server.tls_port.unwrap();
    shell(&format!("openssl s_client -connect 127.0.0.1:{port} </dev/null 2>/dev/null | {FINGERPRINT}"), folder)
}

/// What a series of the metrics is.
fn metric(folder: &Path, name: &str) -> u64 {
    let page = String::from_utf8(chinwag(folder, &["ctl", "--data", "data", "metrics"]).stdout).unwrap();
    let value = page.lines().find_map(|line| line.strip_prefix("chinwag_")?.strip_prefix(name)?.strip_prefix(' '));
    value.unwrap_or_else(|| panic!("no {name} in\n{page}")).parse().unwrap()
}

#[test]
fn a_reload_shows_a_new_certificate_to_whoever_comes_and_puts_nobody_out() {
    if !have(&["openssl"]) {
        return;
    }
    let folder = configured(30);
    let folder = folder.path();
    let of_file = || shell(&format!("cat cert | {FINGERPRINT}"), folder);
    let server = serve(folder);
    let first = of_file();
    assert_eq!((shown(&server, folder), metric(folder, "reload_time")), (first.clone(), 0));
    let mut alice = Secure::new(TcpStream::connect(("127.0.0.1", server.tls_port.unwrap())).unwrap(), &TLS13);
    alice.starting("* hello ");
    // 20,000 days end in a year that takes another kind of time.
    for days in [60, 20_000] {
        renew(folder, days);
        assert_ne!(of_file(), first);
        assert_eq!(reload(folder), "+ reload\n");
        assert_eq!(shown(&server, folder), of_file());
        let until = shell("date +%s -d \"$(openssl x509 -in cert -noout -enddate | cut -d= -f2)\"", folder);
        assert_eq!(metric(folder, "certificate_expires"), until.trim().parse::<u64>().unwrap());
        assert!(metric(folder, "reload_time") > 0);
        alice.send("/ping");
        alice.until("+ ping");
    }
    // A key that belongs to another certificate changes nothing.
    let last = of_file();
    shell("cp key other.key && cp cert other.cert", folder);
    renew(folder, 90);
    shell("mv other.key key", folder);
    let why =
        "a.conf:6: the key in key does not belong to the certificate in cert; give the two that were made together";
    assert_eq!(reload(folder), format!("! reload bad-config {why}\n"));
    assert_eq!(shown(&server, folder), last);
    let check = chinwag(folder, &["check", "--config", "a.conf"]);
    assert_eq!(check.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&check.stderr).ends_with(&format!("chinwag: {why}\n")), "{check:?}");
    alice.send("/ping");
    alice.until("+ ping");
}

fn pem(label: &str, der: &[u8]) -> String {
    format!("-----BEGIN {label}-----\n{}\n-----END {label}-----\n", STANDARD.encode(der))
}

#[test]
fn a_certificate_that_is_not_good_or_not_for_long_is_taken_with_a_warning() {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap();
    let at = |days: u64| now + Duration::from_secs(86_400 * days);
    let day = |days| date_time_ymd(1970, 1, 1) + at(days);
    let shown = |days| Day::of(SystemTime::UNIX_EPOCH + at(days));
    let past = (date_time_ymd(2020, 1, 1), date_time_ymd(2021, 2, 3));
    let told = |what: &str| format!("the certificate in cert {what}\n");
    for (times, warning) in [
        (past, told("has expired on 2021-02-03; whoever checks it will refuse it")),
        (
            (date_time_ymd(2130, 1, 1), date_time_ymd(2140, 1, 1)),
            told("is not good before 2130-01-01; whoever checks it will refuse it until then"),
        ),
        ((past.0, day(3)), told(&format!("expires on {}; renew it before", shown(3)))),
        ((past.0, day(20)), String::new()),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path();
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(["localhost".to_owned()]).unwrap();
        (params.not_before, params.not_after) = times;
        let certificate = params.self_signed(&key).unwrap();
        fs::write(folder.join("cert"), pem("CERTIFICATE", certificate.der())).unwrap();
        fs::write(folder.join("key"), pem("PRIVATE KEY", key.serialized_der())).unwrap();
        fs::write(folder.join("a.conf"), "listen none\ntls 127.0.0.1:0\ndata data\ncert cert\nkey key\n").unwrap();
        let warns = |log: &str, times: usize| match &warning[..] {
            "" => !log.contains("the certificate in"),
            warning => log.matches(warning).count() == times,
        };
        let check = chinwag(folder, &["check", "--config", "a.conf"]);
        assert_eq!((check.status.code(), &check.stdout[..]), (Some(0), &b"ok\n"[..]));
        assert!(warns(&String::from_utf8_lossy(&check.stderr), 1), "{check:?}");
        let mut server = serve(folder);
        if times == past {
            assert_eq!(metric(folder, "certificate_expires"), 1_612_310_400);
        }
        let answer = chinwag(folder, &["ctl", "--data", "data", "reload"]);
        assert_eq!(answer.stdout, b"+ reload\n");
        // What the log says is told with the answer too.
        let odd = warning.replace("certificate in cert", "certificate").trim_end().to_owned();
        let told = String::from_utf8(answer.stderr).unwrap();
        assert_eq!(told, if odd.is_empty() { odd } else { format!("chinwag: {odd}\n") });
        server.signal("TERM");
        let (_, log) = server.wait();
        assert!(warns(&log, 2), "{log}");
    }
}

#[test]
fn handshakes_are_counted_by_what_came_of_them() {
    if !have(&["openssl"]) {
        return;
    }
    let folder = configured(30);
    let folder = folder.path();
    let server = serve(folder);
    let knock = || TcpStream::connect(("127.0.0.1", server.tls_port.unwrap())).unwrap();
    let (mut alice, mut bob) = (Secure::new(knock(), &TLS13), server.connect());
    alice.starting("* hello ");
    bob.ask("/ping", "+ ping");
    let mut clear = knock();
    clear.write_all(b"hello\n").unwrap();
    let mut told = String::new();
    clear.read_to_string(&mut told).unwrap();
    assert!(told.starts_with("* bye needs-tls "), "{told}");
    // One that says nothing and goes, and one that begins with something else than its hello.
    for begin in [&[][..], &[0x16, 3, 3, 0, 1, 99]] {
        let mut stream = knock();
        stream.write_all(begin).unwrap();
        stream.shutdown(Shutdown::Write).unwrap();
        closed(&mut stream);
    }
    // Of those who say nothing the first make place, and the others have their time.
    const PLACES: u64 = ARRIVING as u64;
    let mut crowd: Vec<TcpStream> = (0..PLACES + 3).map(|_| knock()).collect();
    crowd.iter_mut().for_each(closed);
    let count = |result: &str| metric(folder, &format!("handshakes_total{{result=\"{result}\"}}"));
    let results = ["ok", "not-tls", "failed", "evicted", "timeout"];
    assert_eq!(results.map(count), [1, 1, 2, 3, PLACES]);
    let connections = |wire: &str| metric(folder, &format!("connections{{wire=\"{wire}\"}}"));
    assert_eq!(["tcp", "tls", "ws", "wss"].map(connections), [1, 1, 0, 0]);
    assert_eq!(metric(folder, "rejected_total{code=\"needs-tls\"}"), 1);
}

#[test]
fn a_browser_that_asks_for_nothing_after_its_handshake_is_counted_once() {
    let folder = Folder::new();
    let server = folder.serve(&["--web-tls", "127.0.0.1:0"]);
    let address = server.door("web https://");
    let mut silent = Secure::new(TcpStream::connect(address).unwrap(), &TLS13);
    let mut asks = Secure::new(TcpStream::connect(address).unwrap(), &TLS13);
    asks.send(&format!("GET /icon.svg HTTP/1.1\r\nHost: {address}\r\n\r"));
    assert_eq!(asks.line().as_deref(), Some("HTTP/1.1 200 OK"));
    // Its time is over.
    closed(&mut silent.stream);
    let parent = folder.path.parent().unwrap();
    let count = |result: &str| metric(parent, &format!("handshakes_total{{result=\"{result}\"}}"));
    assert_eq!(["ok", "timeout", "failed"].map(count), [2, 0, 0]);
}

/// Waits until the server has closed a connection.
fn closed(stream: &mut TcpStream) {
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    if let Err(e) = stream.read_to_end(&mut Vec::new()) {
        assert_eq!(e.kind(), ErrorKind::ConnectionReset);
    }
}
