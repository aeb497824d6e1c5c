//! What an operator runs beside the server: systemd, a monitor, fail2ban.

use std::fs;
use std::io::Write;
use std::process::{Command, Output, Stdio};

use testkit::{Server, binary, have};

/// The path of a file of ours.
fn ours(name: &str) -> String {
    format!("{}/{name}", env!("CARGO_MANIFEST_DIR"))
}

/// Runs a program with this as its input.
fn run(program: &str, arguments: &[&str], input: &str) -> Output {
    let mut command = Command::new(program);
    let mut child =
        command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    child.wait_with_output().unwrap()
}

/// The page of metrics of a server.
fn page(server: &Server) -> String {
    let output = run("curl", &["-sS", "--fail", &format!("http://{}/metrics", server.door("metrics http://"))], "");
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn prometheus_finds_nothing_wrong_with_the_page() {
    if !have(&["curl", "promtool"]) {
        return;
    }
    let server = Server::start(&["--metrics", "127.0.0.1:0"]);
    let mut alice = server.in_room("alice", "#a");
    alice.settle();
    let checked = run("promtool", &["check", "metrics"], &page(&server));
    assert!(checked.status.success() && checked.stdout.is_empty() && checked.stderr.is_empty(), "{checked:?}");
}

#[test]
fn the_page_on_metrics_tells_every_one() {
    if !have(&["curl"]) {
        return;
    }
    let page = page(&Server::start(&["--metrics", "127.0.0.1:0"]));
    let mut want = "| series | type | labels | what it is |\n| --- | --- | --- | --- |\n".to_owned();
    for about in page.split("# HELP ").skip(1) {
        let mut lines = about.lines();
        let (name, help) = lines.next().unwrap().split_once(' ').unwrap();
        let kind = lines.next().unwrap().rsplit(' ').next().unwrap();
        let labels = |sample: &str| {
            let labels = sample.split_once('{').map_or("", |(_, rest)| rest.rsplit_once('}').unwrap().0);
            let names = labels.split(',').filter_map(|label| label.split_once('=')).map(|(name, _)| name);
            names.filter(|&name| name != "le").map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")
        };
        want += &format!("| `{name}` | {kind} | {} | {help} |\n", labels(lines.next().unwrap()));
    }
    let found = fs::read_to_string(ours("docs/watching.md")).unwrap();
    let found = found.split("<!-- metrics -->").nth(1).and_then(|rest| rest.split("<!-- /metrics -->").next());
    assert_eq!(found.expect("a table of metrics").trim(), want.trim(), "it should be\n{want}");
}

#[test]
fn the_dashboard_shows_what_there_is() {
    if !have(&["curl", "python3"]) {
        return;
    }
    let page = page(&Server::start(&["--metrics", "127.0.0.1:0"]));
    let read = "import json, sys\nfor panel in json.load(sys.stdin)['panels']:\n  for of in panel.get('targets', []): print(of['expr'])";
    let dashboard = fs::read_to_string(ours("docs/grafana.json")).unwrap();
    let shown = run("python3", &["-c", read], &dashboard);
    assert!(shown.status.success(), "{shown:?}");
    let shown = String::from_utf8(shown.stdout).unwrap();
    let is_part = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let names: Vec<&str> = shown.split(|c| !is_part(c)).filter(|word| word.starts_with("chinwag_")).collect();
    let is_there =
        |name: &&str| page.lines().any(|line| line.strip_prefix(*name).is_some_and(|rest| !rest.starts_with(is_part)));
    assert!(names.iter().all(is_there), "{names:?}");
    // Nothing is counted that nobody can see.
    for about in page.split("# TYPE ").skip(1) {
        let name = about.split(' ').next().unwrap();
        assert!(names.iter().any(|shown| shown.starts_with(name)), "{name} is not shown");
    }
}

#[test]
fn systemd_finds_nothing_wrong_with_the_unit() {
    if !have(&["systemd-analyze"]) {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    // It looks whether the program is there.
    let unit = fs::read_to_string(ours("dist/chinwag.service")).unwrap().replace("/usr/bin/chinwag", binary());
    let path = dir.path().join("chinwag.service");
    fs::write(&path, unit).unwrap();
    let verified = run("systemd-analyze", &["verify", path.to_str().unwrap()], "");
    assert!(verified.status.success() && verified.stdout.is_empty() && verified.stderr.is_empty(), "{verified:?}");
    let secured = run("systemd-analyze", &["security", "--offline=yes", "--threshold=19", path.to_str().unwrap()], "");
    let told = String::from_utf8_lossy(&secured.stdout).into_owned();
    assert!(secured.status.success() && told.contains("Overall exposure level for chinwag.service: 1."), "{told}");
}

#[test]
fn the_page_for_operators_checks_what_the_service_starts_with() {
    let unit = fs::read_to_string(ours("dist/chinwag.service")).unwrap();
    let options = unit.lines().find_map(|line| line.strip_prefix("ExecStart=/usr/bin/chinwag serve ")).unwrap();
    let page = fs::read_to_string(ours("docs/OPERATING.md")).unwrap();
    let checked: Vec<&str> = page.lines().filter_map(|line| Some(line.split_once("chinwag check ")?.1)).collect();
    assert!(!checked.is_empty() && checked.iter().all(|found| *found == options), "{options}: {checked:?}");
}

#[test]
fn fail2ban_finds_who_guesses() {
    if !have(&["fail2ban-regex"]) {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let (data, log, file) = (dir.path().join("data"), dir.path().join("log"), dir.path().join("password"));
    fs::write(&file, "topsecret").unwrap();
    let mut command = Command::new(binary());
    command.args(["serve", "--listen", "127.0.0.1:0", "--data", data.to_str().unwrap()]);
    let mut server = Server::start_with(command.args(["--password-file", file.to_str().unwrap()]));
    let mut alice = server.connect_raw();
    alice.send("/pass wrong\n/pass topsecret\n/nick alice\n/register correct-horse\n/join #a\n/room key sesame");
    alice.until_starting("+ room ");
    let mut bob = server.connect_raw();
    bob.send("/pass topsecret\n/login alice wrong-horse\n/join #a wrong");
    bob.until_starting("! join bad-key ");
    server.signal("TERM");
    let (_, errors) = server.wait();
    // Others than this machine look so.
    fs::write(&log, errors.clone() + &errors.replace("127.0.0.1", "2001:db8:1:2::/64")).unwrap();
    let arguments = ["-o", "ip", log.to_str().unwrap(), &ours("dist/fail2ban.conf")];
    let found = String::from_utf8(run("fail2ban-regex", &arguments, "").stdout).unwrap();
    let mut found: Vec<&str> = found.lines().collect();
    found.sort_unstable();
    let net = "2001:db8:1:2::/64";
    assert_eq!(found, ["127.0.0.1", "127.0.0.1", "127.0.0.1", net, net, net], "{errors}");
}
