//! The programs that speak TLS: each of them can talk, and is answered to its end.

use std::fs;
use std::process::Output;

use testkit::{have, timed};

use crate::secure::Tls;

/// Says hello in a room, and something more, through a command that is given the port as `$1`.
fn talk(program: &str, script: &str) {
    if !have(&[program]) {
        return;
    }
    let tls = Tls::start(&[]);
    let mut alice = tls.server.in_room("alice", "#a");
    let home = tempfile::tempdir().unwrap();
    let mut command = timed();
    command.args(["bash", "-c", script, "bash", &tls.port.to_string()]).env("HOME", home.path());
    let output = command.output().unwrap();
    let (out, errors) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    for line in ["* hello guest", "+ join #a 2", "+ ping end"] {
        assert!(out.lines().any(|out| out.starts_with(line)), "{script} prints no {line:?}: {out}{errors}");
    }
    let heard = alice.until_starting("#a * guest");
    let said = |line: &String| line.starts_with("#a <guest") && line.ends_with("> hello from Q");
    let heard = [heard, alice.until_starting("#a * guest")].concat();
    assert!(heard.iter().any(said) && heard.last().unwrap().ends_with(" quit"), "{heard:?}");
}

#[test]
fn ncat() {
    talk("ncat", r"printf '/join #a\nhello from Q\n/ping end\n' | ncat --ssl 127.0.0.1 $1");
}

#[test]
fn openssl() {
    let script = r"printf '/join #a\nhello from Q\n/ping end\n/quit\n' |
        openssl s_client -quiet -verify_quiet -connect 127.0.0.1:$1";
    talk("openssl", script);
}

#[test]
fn socat() {
    let script = r"printf '/join #a\nhello from Q\n/ping end\n/quit\n' | socat - OPENSSL:127.0.0.1:$1,verify=0";
    talk("socat", script);
}

#[test]
fn gnutls_cli() {
    // The first time it asks.
    let script = r"echo y | gnutls-cli --tofu -p $1 127.0.0.1 >/dev/null 2>&1
        printf '/join #a\nhello from Q\n/ping end\n/quit\n' | gnutls-cli --tofu -p $1 127.0.0.1";
    talk("gnutls-cli", script);
}

#[test]
fn telnet_ssl() {
    let script = r"(printf '/join #a\nhello from Q\n/ping end\n/quit\n'; cat <&3) 3< <(sleep 10) |
        telnet-ssl -z ssl 127.0.0.1 $1";
    talk("telnet-ssl", script);
}

#[test]
fn python() {
    let script = r"python3 - $1 <<'E'
import socket, ssl, sys
context = ssl.create_default_context()
context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
with context.wrap_socket(socket.create_connection(('127.0.0.1', int(sys.argv[1])))) as chat:
    chat.sendall(b'/join #a\nhello from Q\n/ping end\n/quit\n')
    for line in chat.makefile(encoding='utf-8'):
        print(line, end='')
E";
    talk("python3", script);
}

#[test]
fn node() {
    let script = r"node -e '
const chat = require(`tls`).connect({ port: process.argv[1], host: `127.0.0.1`, rejectUnauthorized: false })
chat.pipe(process.stdout)
chat.write(`/join #a\nhello from Q\n/ping end\n/quit\n`)
' $1";
    talk("node", script);
}

/// The program in this language that `docs/programs.md` has for a certificate that the server has made.
fn documented(language: &str) -> String {
    let page = fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/programs.md")).unwrap();
    let block = page.split(&format!("\n```{language}\n")).nth(1).and_then(|rest| rest.split("\n```\n").next());
    block.unwrap_or_else(|| panic!("no program in {language}")).to_owned()
}

/// Has a documented program talk with the server that it means, which has no certificate for its address, and with another one.
fn know(program: &str, language: &str, option: &str) {
    if !have(&[program]) {
        return;
    }
    let tls = Tls::start(&[]);
    let mut alice = tls.server.in_room("alice", "#lobby");
    let run = |fingerprint: &str| -> Output {
        let text = documented(language);
        let text = text.replace("chat.example.org", "127.0.0.1").replace("sha256:...", fingerprint);
        let text = text.replace("2429", &tls.port.to_string());
        timed().args([program, option, &text]).output().unwrap()
    };
    let other = run(&format!("sha256:{}", "12".repeat(32)));
    let told = String::from_utf8_lossy(&other.stderr);
    assert!(!other.status.success() && other.stdout.is_empty(), "{other:?}");
    let own = chinwag::tls::own(&tls.folder.path.join("tls")).unwrap().fingerprint().to_string();
    assert!(told.contains(&format!("this is another server: {own}")), "{told}");
    let known = run(&own);
    let out = String::from_utf8_lossy(&known.stdout);
    assert!(known.status.success() && out.contains("\n+ join #lobby 2\n"), "{known:?}");
    // The other time it had said nothing.
    let heard = alice.until_starting("#lobby * guest");
    assert!(heard.last().unwrap().ends_with(" joined"), "{heard:?}");
    alice.starting("#lobby <guest");
}

#[test]
fn python_knows_a_certificate_that_the_server_has_made() {
    know("python3", "python", "-c");
}

#[test]
fn node_knows_a_certificate_that_the_server_has_made() {
    know("node", "js", "-e");
}
