//! People who do not come from the server's own machine: a network that only the server is in.

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use crate::client::until_starting;
use crate::{Server, binary, have, skip};

/// A person in a network that only this server is in.
pub struct Distant {
    child: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
}

impl Distant {
    /// Connects from an address to another.
    pub fn come(server: &Server, from: &str, to: &str) -> Self {
        let mut command = Command::new("nsenter");
        command.args(["-t", &server.pid().to_string(), "-U", "-n", "--preserve-credentials"]);
        command.args(["nc", "-6", "-s", from, to, &server.port.to_string()]);
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let (input, output) = (child.stdin.take().unwrap(), BufReader::new(child.stdout.take().unwrap()));
        Self { child, input, output }
    }

    /// The second word of what they are greeted with.
    pub fn greeting(&mut self) -> String {
        self.line().unwrap_or_default().split(' ').nth(1).unwrap_or_default().to_owned()
    }

    /// Sends lines.
    pub fn send(&mut self, lines: &str) {
        self.input.write_all(format!("{lines}\n").as_bytes()).unwrap();
    }

    /// The next line; `None` at the end of the stream, which comes when this is dropped: its program stays until then.
    pub fn line(&mut self) -> Option<String> {
        let mut line = String::new();
        self.output.read_line(&mut line).unwrap();
        if line.is_empty() { None } else { Some(line.trim_end().to_owned()) }
    }

    /// Takes lines up to one that begins so, and returns them all.
    pub fn until(&mut self, want: &str) -> Vec<String> {
        until_starting(want, || self.line())
    }
}

impl Drop for Distant {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The address of a host in one of the networks of a site.
pub fn address(site: u16, network: u16, host: u16) -> String {
    format!("2001:db8:{site:x}:{network:x}::{host:x}")
}

/// A server in a network of its own, which has two addresses of each of ten networks of two sites. Where there can be none
/// the test is skipped.
#[track_caller]
pub fn on_own_network(options: &[&str]) -> Option<Server> {
    if !have(&["unshare", "nsenter", "ip", "nc", "sh"]) {
        return None;
    }
    let mut script = String::from("ip link set lo up && ");
    for (site, network) in (1..=2).flat_map(|site| (1..=10).map(move |network| (site, network))) {
        for host in 1..=2 {
            script += &format!("ip -6 addr add {}/128 dev lo && ", address(site, network, host));
        }
    }
    let can = Command::new("unshare").args(["-rn", "sh", "-c", &(script.clone() + "true")]).output().unwrap();
    if !can.status.success() {
        skip(&format!("a network cannot be made: {}", String::from_utf8_lossy(&can.stderr)));
        return None;
    }
    script += "exec \"$@\"";
    let mut command = Command::new("unshare");
    command.args(["-rn", "sh", "-c", &script, "sh", binary(), "serve", "--listen", "[::]:0"]);
    Some(Server::start_with(command.args(options)))
}
