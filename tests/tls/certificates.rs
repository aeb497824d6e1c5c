//! The certificate: the one that the server makes, the ones that it is given, and what is wrong with them.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

use testkit::{binary, have};

use crate::secure::Tls;

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
    let serve = |options: &[&str]| {
        let mut command = Command::new("timeout");
        command.args(["20", binary(), "serve", "--listen", "none", "--tls", "127.0.0.1:0"]).args(options);
        let output = command.current_dir(folder.path()).output().unwrap();
        (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
    };
    for (options, why) in [
        (&["--cert", "a.pem", "--key", "b.key"][..], "the key in b.key does not belong to the certificate in a.pem"),
        (&["--cert", "none", "--key", "a.key"], "cannot use none: it holds no certificate in PEM"),
        (&["--cert", "a.pem", "--key", "none"], "cannot use none: it holds no private key in PEM"),
        (&["--cert", "missing", "--key", "a.key"], "cannot read missing: "),
        (&[], "--tls needs a certificate; give --cert and --key, or --data"),
    ] {
        let (code, errors) = serve(options);
        assert!(code == Some(1) && errors.contains(why), "{options:?}: {errors}");
    }
    let start = |name: &str| {
        let (cert, key) = (format!("{name}.pem"), format!("{name}.key"));
        let mut command = Command::new(binary());
        command.args(["serve", "--listen", "none", "--tls", "127.0.0.1:0", "--cert", &cert, "--key", &key]);
        let mut server = testkit::Server::start_with(command.current_dir(folder.path()));
        assert_eq!(server.tls_port, Some(server.port));
        server.signal("TERM");
        server.wait().1
    };
    assert!(!start("a").contains("RSA") && start("b").contains("six times"));
}
