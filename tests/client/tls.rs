//! The client in TLS: which servers it trusts, what it remembers of them, and that all else is as in clear.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Output, Stdio};

use testkit::pty::{Emulator, Screen, Speaks, Terminal};
use testkit::{PATIENCE, Server, binary, eventually, have, noise, timed};

/// What stands between a TLS port and a server in clear. It says where that port is.
const RELAY: &str = r#"
import select, socket, ssl, sys, threading
certificate, key, port, clear = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain(certificate, key)
listener = socket.create_server(("127.0.0.1", port))
print(listener.getsockname()[1], flush=True)
def serve(raw):
    try:
        inner = context.wrap_socket(raw, server_side=True)
    except OSError:
        return
    outer = socket.create_connection(("127.0.0.1", clear))
    both = [inner, outer]
    while outer in both:
        ready = [inner] if inner in both and inner.pending() else select.select(both, [], [])[0]
        for one in ready:
            try:
                data = one.recv(65536)
            except OSError:
                data = b""
            if data:
                (outer if one is inner else inner).sendall(data)
            else:
                both.remove(one)
                if one is inner:
                    outer.shutdown(socket.SHUT_WR)
    try:
        inner.unwrap()
    except OSError:
        pass
    inner.close()
while True:
    threading.Thread(target=serve, args=(listener.accept()[0],), daemon=True).start()
"#;

/// A folder with certificates, the home of whoever connects.
struct Home(tempfile::TempDir);

/// A certificate, its key, and its digest as `openssl` gives it.
struct Certificate {
    path: PathBuf,
    key: PathBuf,
    fingerprint: String,
}

/// A TLS port before a server.
struct Relay {
    child: Child,
    port: u16,
}

impl Drop for Relay {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Relay {
    fn start(server: &Server, port: u16, certificate: &Certificate) -> Self {
        let mut command = Command::new("python3");
        command.args(["-c", RELAY]).arg(&certificate.path).arg(&certificate.key);
        command.args([port.to_string(), server.port.to_string()]);
        let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.as_mut().unwrap()).read_line(&mut line).unwrap();
        Self { port: line.trim().parse().unwrap(), child }
    }

    fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }
}

impl Home {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn openssl(&self, arguments: &str) -> String {
        let output = Command::new("openssl").args(arguments.split(' ')).current_dir(self.0.path()).output().unwrap();
        assert!(output.status.success(), "{arguments}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    }

    /// A certificate for 127.0.0.1 that nobody vouches for.
    fn own(&self, name: &str) -> Certificate {
        self.openssl(&format!(
            "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN={name} -addext \
             subjectAltName=IP:127.0.0.1 -keyout {name}.key -out {name}.pem"
        ));
        self.certificate(name)
    }

    /// A certificate for this host, which the authority of the file `authority.pem` vouches for.
    fn vouched(&self, name: &str, host: &str) -> Certificate {
        if !self.path("authority.pem").exists() {
            self.openssl(
                "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=authority -keyout \
                 authority.key -out authority.pem",
            );
        }
        self.openssl(&format!(
            "req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj /CN={name} -keyout {name}.key -out {name}.csr"
        ));
        fs::write(self.path("extensions"), format!("subjectAltName={host}\n")).unwrap();
        self.openssl(&format!(
            "x509 -req -in {name}.csr -CA authority.pem -CAkey authority.key -CAcreateserial -days 2 -extfile extensions \
             -out {name}.pem"
        ));
        self.certificate(name)
    }

    fn certificate(&self, name: &str) -> Certificate {
        let told = self.openssl(&format!("x509 -in {name}.pem -noout -fingerprint -sha256"));
        let hex = told.trim().rsplit('=').next().unwrap().replace(':', "").to_lowercase();
        let (path, key) = (self.path(&format!("{name}.pem")), self.path(&format!("{name}.key")));
        Certificate { path, key, fingerprint: format!("sha256:{hex}") }
    }

    /// The client, which finds only this home and trusts only the authority in it. If it hangs it is ended: then its exit status is
    /// 124.
    fn chinwag(&self, arguments: &[&str]) -> Command {
        let mut command = timed();
        command.arg(binary()).args(arguments);
        self.at_home(&mut command);
        command
    }

    fn at_home(&self, command: &mut Command) {
        for name in ["XDG_CONFIG_HOME", "XDG_STATE_HOME", "SSL_CERT_DIR", "CHINWAG_SERVER", "CHINWAG_NICK"] {
            command.env_remove(name);
        }
        command.env("HOME", self.0.path()).env("SSL_CERT_FILE", self.path("authority.pem")).current_dir(self.0.path());
    }

    /// What the client does in a pipe with this input.
    fn pipe(&self, arguments: &[&str], input: &str) -> Output {
        let mut command = self.chinwag(arguments);
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        // It may end before it has read that.
        let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
        child.wait_with_output().unwrap()
    }

    /// The client in a terminal.
    fn terminal(&self, arguments: &[&str]) -> Terminal {
        let mut command = Command::new(binary());
        command.args(arguments);
        self.at_home(&mut command);
        Terminal::start(&mut command, 200, 30, Emulator::Reflowing, Speaks::Nothing)
    }

    fn known(&self) -> String {
        fs::read_to_string(self.path(".local/state/chinwag/known_servers")).unwrap_or_default()
    }
}

fn told(terminal: &Terminal, text: &str) -> Screen {
    terminal.wait_until(&format!("a line with {text:?}"), |screen| screen.lines.iter().any(|line| line.contains(text)))
}

#[track_caller]
fn failed(output: &Output, why: &str) {
    let errors = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{errors}");
    assert!(errors.starts_with("chinwag: ") && errors.contains(why) && errors.lines().count() == 1, "{why}: {errors}");
}

#[track_caller]
fn answered(output: &Output) {
    let (out, errors) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success() && out.contains("\n+ ping tea\n"), "{out} {errors}");
}

#[test]
fn a_certificate_that_nobody_vouches_for_is_asked_about_once() {
    if !have(&["openssl", "python3"]) {
        return;
    }
    let (server, home) = (Server::start(&[]), Home::new());
    let (first, second) = (home.own("first"), home.own("second"));
    let relay = Relay::start(&server, 0, &first);
    let address = relay.address();
    let named = format!("tls://{address}");
    // Whatever else is answered takes nothing.
    let mut terminal = home.terminal(&["connect", &named]);
    told(&terminal, &format!("it is {}", first.fingerprint));
    terminal.keys("y\n");
    assert_eq!(terminal.wait_exit().code(), Some(1));
    told(&terminal, "as its certificate was not taken");
    assert_eq!(home.known(), "");
    // And so does a key that interrupts.
    let mut terminal = home.terminal(&["connect", &named]);
    let before = terminal.modes();
    told(&terminal, "type yes, and it is taken");
    terminal.keys("ye\x03");
    assert_eq!(terminal.wait_exit().code(), Some(1));
    told(&terminal, &format!("chinwag: not connected to {address}, as its certificate was not taken"));
    assert_eq!(format!("{:?}", terminal.modes()), format!("{before:?}"));
    assert_eq!(home.known(), "");
    // Once that is answered, it ends what follows as ever.
    let other = Home::new();
    let mut terminal = other.terminal(&["say", "#a", "--create", "--server", &named]);
    told(&terminal, "type yes, and it is taken");
    terminal.keys("yes\n");
    eventually("the certificate is taken", || !other.known().is_empty());
    terminal.keys("\x03");
    assert_eq!(terminal.wait_exit().signal(), Some(2));
    let mut terminal = home.terminal(&["connect", &named, "--nick", "alice"]);
    told(&terminal, "if the server's operator tells you that this is right, type yes");
    terminal.keys("yes\n");
    told(&terminal, "alice · 1 online");
    let known = home.path(".local/state/chinwag/known_servers");
    assert_eq!(home.known(), format!("{address} {}\n", first.fingerprint));
    assert_eq!(fs::metadata(&known).unwrap().permissions().mode() & 0o777, 0o600);
    terminal.keys("/quit\r");
    assert!(terminal.wait_exit().success());
    // From then on it is spoken with in TLS, also where that is not asked for.
    let mut terminal = home.terminal(&["connect", &address, "--nick", "alice"]);
    let screen = told(&terminal, "alice · 1 online");
    assert!(!screen.lines.iter().any(|line| line.contains("sha256:")), "{screen}");
    terminal.keys("/quit\r");
    assert!(terminal.wait_exit().success());
    answered(&home.pipe(&["connect", &address], "/ping tea\n"));
    // Another one is refused, and told what to do; a port in clear is another one, too.
    drop(relay);
    let relay = Relay::start(&server, address.rsplit(':').next().unwrap().parse().unwrap(), &second);
    let changed = format!("its certificate is {}, and not {} as it should be", second.fingerprint, first.fingerprint);
    for arguments in
        [&["connect", &address][..], &["say", "bob", "hi", "--server", &named], &["get", "1", "--server", &named]]
    {
        failed(&home.pipe(arguments, "/ping tea\n"), &changed);
    }
    let mut terminal = home.terminal(&["connect", &named]);
    assert_eq!(terminal.wait_exit().code(), Some(1));
    told(&terminal, &format!("--fingerprint {} takes it", second.fingerprint));
    // It does, in a terminal for good.
    // In all the forms in which openssl and others print it.
    let printed = home.openssl(&format!("x509 -in {} -noout -fingerprint -sha256", second.path.display()));
    let digits = printed.trim().rsplit('=').next().unwrap();
    for digest in [&second.fingerprint, printed.trim(), digits, &format!("SHA256:{digits}")] {
        answered(&home.pipe(&["connect", &address, "--fingerprint", digest], "/ping tea\n"));
    }
    assert_eq!(home.known(), format!("{address} {}\n", first.fingerprint), "nothing is written in a pipe");
    let terminal = home.terminal(&["connect", &address, "--nick", "alice", "--fingerprint", &second.fingerprint]);
    told(&terminal, "alice · 1 online");
    assert_eq!(home.known(), format!("{address} {}\n", second.fingerprint));
    drop(relay);
}

#[test]
fn in_a_pipe_nobody_is_asked() {
    if !have(&["openssl", "python3"]) {
        return;
    }
    let (server, home) = (Server::start(&[]), Home::new());
    let own = home.own("own");
    let relay = Relay::start(&server, 0, &own);
    let address = relay.address();
    let named = format!("tls://{address}");
    let unknown = format!("no authority that this system trusts vouches for its certificate {}", own.fingerprint);
    failed(&home.pipe(&["connect", &named], "/ping tea\n"), &unknown);
    failed(&home.pipe(&["connect", &address, "--tls"], "/ping tea\n"), &unknown);
    let other = format!("sha256:{}", "12".repeat(32));
    failed(&home.pipe(&["connect", &named, "--fingerprint", &other], ""), &format!("and not {other} as it should be"));
    answered(&home.pipe(&["connect", &address, "--fingerprint", &own.fingerprint], "/ping tea\n"));
    // So it stands in the file of saved servers.
    fs::create_dir_all(home.path(".config/chinwag")).unwrap();
    let saved = format!("[work]\nserver = {address}\ntls = on\nfingerprint = {}\n", own.fingerprint);
    fs::write(home.path(".config/chinwag/config"), saved).unwrap();
    answered(&home.pipe(&["connect", "work"], "/ping tea\n"));
    assert_eq!(home.known(), "");
    // A line that cannot be understood concerns its own server alone, and is told to whoever connects.
    fs::create_dir_all(home.path(".local/state/chinwag")).unwrap();
    let bad = home.path(".local/state/chinwag/known_servers");
    fs::write(&bad, format!("nonsense\n{address} sha256:12\n")).unwrap();
    let form = "a line is HOST:PORT sha256:HEX or HOST:PORT roots; mend it, or take it out";
    failed(&home.pipe(&["connect", &named], ""), &format!("known_servers:2: {form}"));
    let output = home.pipe(&["connect", &server.address()], "/ping tea\n");
    answered(&output);
    let complaints: Vec<String> = (1..3).map(|n| format!("chinwag: {}:{n}: {form}\n", bad.display())).collect();
    assert_eq!(String::from_utf8_lossy(&output.stderr), complaints.concat());
    fs::remove_file(bad).unwrap();
    // What does not speak TLS is told so, and so is who forgets that it does.
    let clear = format!("tls://{}", server.address());
    failed(&home.pipe(&["connect", &clear], ""), "the server does not speak TLS on this port");
}

#[test]
fn an_authority_vouches_for_a_server() {
    if !have(&["openssl", "python3"]) {
        return;
    }
    let (server, home) = (Server::start(&[]), Home::new());
    let (good, renewed) = (home.vouched("good", "IP:127.0.0.1"), home.vouched("renewed", "IP:127.0.0.1"));
    let (elsewhere, own) = (home.vouched("elsewhere", "DNS:example.org"), home.own("own"));
    let relay = Relay::start(&server, 0, &good);
    let (address, port) = (relay.address(), relay.port);
    let named = format!("tls://{address}");
    answered(&home.pipe(&["connect", &named], "/ping tea\n"));
    assert_eq!(home.known(), "", "nothing is written in a pipe");
    let terminal = home.terminal(&["connect", &named, "--nick", "alice"]);
    told(&terminal, "alice · 1 online");
    assert_eq!(home.known(), format!("{address} roots\n"));
    drop((terminal, relay));
    // A new certificate that is vouched for changes nothing, and one that is not is another server's.
    for (certificate, why) in
        [(&renewed, None), (&elsewhere, Some("it is for another host")), (&own, Some("who signed it"))]
    {
        let relay = Relay::start(&server, port, certificate);
        let output = home.pipe(&["connect", &address], "/ping tea\n");
        match why {
            None => answered(&output),
            Some(why) => failed(&output, why),
        }
        drop(relay);
    }
}

#[test]
fn all_is_in_tls_as_it_is_in_clear() {
    if !have(&["openssl", "python3"]) {
        return;
    }
    let (server, home) = (Server::start(&["--rate", "0"]), Home::new());
    let own = home.own("own");
    let relay = Relay::start(&server, 0, &own);
    let mut bob = server.in_room("bob", "#a");
    let server_options = ["--server", &format!("tls://{}", relay.address()), "--fingerprint", &own.fingerprint];
    let run = |arguments: &[&str]| home.pipe(&[arguments, &server_options].concat(), "one\ntwo\n");
    assert!(run(&["say", "#a", "--nick", "carol"]).status.success());
    bob.until("#a <carol> one");
    bob.until("#a <carol> two");
    let bytes = noise(3_000_000, 1);
    fs::write(home.path("cat.bin"), &bytes).unwrap();
    let sent = run(&["send", "cat.bin", "--to", "#a"]);
    assert!(sent.status.success() && sent.stdout == b"1\n", "{sent:?}");
    let got = run(&["get", "1", "--join", "#a", "-o", "got.bin"]);
    assert!(got.status.success(), "{got:?}");
    assert!(fs::read(home.path("got.bin")).unwrap() == bytes);
    // Much goes both ways at once, and the end of the input is the end.
    let pings: String = (0..20_000).map(|n| format!("/ping {n}\n")).collect();
    let echoed = home.pipe(&[&["connect"][..], &[server_options[1]], &server_options[2..]].concat(), &pings);
    let out = String::from_utf8(echoed.stdout).unwrap();
    assert!(echoed.status.success() && out.lines().filter(|line| line.starts_with("+ ping ")).count() == 20_000);
}

#[test]
fn who_is_somebody_else_after_a_loss_is_told_nothing() {
    if !have(&["openssl", "python3"]) {
        return;
    }
    let (server, home) = (Server::start(&[]), Home::new());
    let (first, second) = (home.own("first"), home.own("second"));
    let relay = Relay::start(&server, 0, &first);
    let (address, port) = (relay.address(), relay.port);
    let options = ["--fingerprint", &first.fingerprint, "--nick", "alice", "--join", "#a"];
    let mut terminal = home.terminal(&[&["connect", &address][..], &options].concat());
    told(&terminal, "in #a: ");
    // The same server, started anew, is taken up again.
    drop(relay);
    let relay = Relay::start(&server, port, &first);
    terminal.keys("still here\r");
    told(&terminal, "<@alice> still here");
    drop(relay);
    let relay = Relay::start(&server, port, &second);
    assert_eq!(terminal.wait_exit().code(), Some(1));
    told(&terminal, &format!("its certificate is {}, and not {}", second.fingerprint, first.fingerprint));
    drop(relay);
}

/// `ncat` and `openssl s_server` as the other end, which say what a server says first and last.
#[test]
fn other_ends_of_tls_are_understood() {
    if !have(&["openssl", "ncat"]) {
        return;
    }
    let home = Home::new();
    let own = home.own("own");
    let (path, key) = (own.path.to_str().unwrap(), own.key.to_str().unwrap());
    let port = free_port().to_string();
    for program in [
        vec!["ncat", "-l", "127.0.0.1", &port, "--ssl", "--ssl-cert", path, "--ssl-key", key],
        vec!["openssl", "s_server", "-accept", &port, "-quiet", "-naccept", "1", "-cert", path, "-key", key],
        vec!["openssl", "s_server", "-accept", &port, "-quiet", "-naccept", "1", "-cert", path, "-key", key, "-tls1_2"],
    ] {
        let mut child =
            Command::new(program[0]).args(&program[1..]).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let mut says: ChildStdin = child.stdin.take().unwrap();
        says.write_all(b"* hello guest1 fake/1 1 online; hello\n+ ping tea\n+ quit\n").unwrap();
        let address = format!("tls://127.0.0.1:{port}");
        let output = eventually_connected(&home, &["connect", &address, "--fingerprint", &own.fingerprint]);
        answered(&output);
        let mut heard = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut heard).unwrap();
        assert_eq!(heard, "/ping tea\n", "{program:?}");
        drop(says);
        let _ = child.kill();
        let _ = child.wait();
    }
}

/// The client, again until the server listens.
fn eventually_connected(home: &Home, arguments: &[&str]) -> Output {
    let since = std::time::Instant::now();
    loop {
        let output = home.pipe(arguments, "/ping tea\n");
        let is_refused = String::from_utf8_lossy(&output.stderr).contains("refused");
        if !is_refused || since.elapsed() > PATIENCE {
            return output;
        }
    }
}

/// A port that is free now, for programs that do not tell which they have taken.
fn free_port() -> u16 {
    std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// Where only a host is named, it is spoken with in TLS if that is there, and in clear only if it is not there at all.
#[test]
fn a_host_alone_is_spoken_with_in_tls_if_it_can() {
    if !have(&["openssl", "python3", "unshare", "ip"]) {
        return;
    }
    let home = Home::new();
    let own = home.own("own");
    fs::write(home.path("relay.py"), RELAY.replace("\"127.0.0.1\"", "\"192.0.2.1\"")).unwrap();
    let script = format!(
        "set -e; ip link set lo up; ip addr add 192.0.2.1/32 dev lo; \
         {chinwag} serve --listen 192.0.2.1:2428 > serve.out 2>&1 & serve=$!; trap 'kill $serve $relay 2>/dev/null' EXIT; \
         until grep -q listening serve.out; do sleep 0.05; done; \
         printf '/ping tea\\n' | {chinwag} connect 192.0.2.1 > clear.out 2> clear.err; \
         python3 relay.py own.pem own.key 2429 2428 > relay.out & relay=$!; \
         until grep -q 2429 relay.out; do sleep 0.05; done; \
         printf '/ping tea\\n' | {chinwag} connect 192.0.2.1 > unknown.out 2> unknown.err || echo $? > unknown.code; \
         mkdir -p .local/state/chinwag; echo 192.0.2.1:2429 {fingerprint} > .local/state/chinwag/known_servers; \
         printf '/ping tea\\n' | {chinwag} connect 192.0.2.1 > tls.out 2> tls.err; \
         kill $relay; wait $relay || true; \
         printf '/ping tea\\n' | {chinwag} connect 192.0.2.1 > gone.out 2> gone.err || echo $? > gone.code",
        chinwag = binary(),
        fingerprint = own.fingerprint,
    );
    let mut command = timed();
    command.args(["unshare", "-Urn", "bash", "-c", &script]);
    home.at_home(&mut command);
    let output = command.output().unwrap();
    if String::from_utf8_lossy(&output.stderr).contains("unshare: ") {
        return testkit::skip("there can be no network of one's own");
    }
    assert!(output.status.success(), "{output:?}");
    let read = |name: &str| fs::read_to_string(home.path(name)).unwrap();
    assert!(read("clear.out").contains("\n+ ping tea\n"));
    let aloud =
        "there is no TLS at 192.0.2.1:2429, so others on the way can read along; connecting to 192.0.2.1:2428 in clear";
    assert_eq!(read("clear.err"), format!("chinwag: {aloud}\n"));
    assert_eq!(read("unknown.code"), "1\n");
    assert!(read("unknown.err").contains("no authority that this system trusts vouches for its certificate"));
    assert!(read("tls.out").contains("\n+ ping tea\n") && read("tls.err").is_empty());
    // Never in clear again.
    assert_eq!((&*read("gone.code"), &*read("gone.out")), ("1\n", ""));
    assert!(
        Path::new(&home.path("gone.err")).exists() && read("gone.err").contains("192.0.2.1:2429: connection refused")
    );
}
