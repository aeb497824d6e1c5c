//! By what servers have proved who they are, in `known_servers` beside the lines that were typed: a line for each,
//! `HOST:PORT sha256:HEX` or `HOST:PORT roots`.

use std::io;
use std::path::PathBuf;

use crate::client::line::history;
use crate::client::saved;
use crate::client::wire::server::{Address, Trust};

/// The servers that are known.
#[derive(Default, Debug)]
pub struct Known {
    path: Option<PathBuf>,
    servers: Vec<(String, Trust)>,
}

impl Known {
    /// Reads which are known. It is an error if that cannot be read or understood: what was TLS would else be taken for new.
    pub fn read() -> Result<Self, String> {
        Self::of(history::default_path().map(|path| path.with_file_name("known_servers")))
    }

    fn of(path: Option<PathBuf>) -> Result<Self, String> {
        let text = path.as_deref().map(saved::read).transpose()?.flatten().unwrap_or_default();
        let mut known = Self { path, servers: Vec::new() };
        for (n, line) in text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()) {
            let mut words = line.split_whitespace();
            let server = words.next().zip(words.next().and_then(Trust::parse));
            let Some((address, trust)) = server.filter(|_| words.next().is_none()) else {
                let path = known.path.unwrap_or_default();
                let form = "HOST:PORT sha256:HEX or HOST:PORT roots";
                return Err(format!("{}:{}: a line is {form}; mend it, or take it out", path.display(), n + 1));
            };
            known.set(address, trust);
        }
        Ok(known)
    }

    /// By what this server proves who it is, if it is known.
    pub fn trust(&self, address: &Address) -> Option<Trust> {
        let address = address.to_string().to_lowercase();
        self.servers.iter().find(|(known, _)| *known == address).map(|(_, trust)| *trust)
    }

    /// Remembers by what this server proves who it is, in the place of what was known of it.
    pub fn remember(&mut self, address: &Address, trust: Trust) -> io::Result<()> {
        self.set(&address.to_string(), trust);
        let Some(path) = &self.path else { return Ok(()) };
        let text: String = self.servers.iter().map(|(address, trust)| format!("{address} {trust}\n")).collect();
        saved::keep(path, &text)
    }

    fn set(&mut self, address: &str, trust: Trust) {
        let address = address.to_lowercase();
        self.servers.retain(|(known, _)| *known != address);
        self.servers.push((address, trust));
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt;

    use super::*;
    use crate::client::wire::server::Named;
    use crate::names::Digest;

    fn address(text: &str) -> Address {
        text.parse::<Named>().unwrap().tls()
    }

    #[test]
    fn what_is_remembered_is_known() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("state/known_servers");
        let known = || Known::of(Some(path.clone())).unwrap();
        let (one, other) = (address("Chat.example.org"), address("[::1]:7000"));
        assert_eq!(known().trust(&one), None);
        let (first, second) = (Trust::Certificate(Digest([7; 32])), Trust::Certificate(Digest([8; 32])));
        known().remember(&one, first).unwrap();
        known().remember(&other, Trust::Roots).unwrap();
        assert_eq!(known().trust(&address("chat.EXAMPLE.org:2429")), Some(first));
        assert_eq!(known().trust(&other), Some(Trust::Roots));
        known().remember(&one, second).unwrap();
        let want = format!("[::1]:7000 roots\nchat.example.org:2429 sha256:{}\n", "08".repeat(32));
        assert_eq!(fs::read_to_string(&path).unwrap(), want);
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    }

    #[test]
    fn what_cannot_be_understood_is_no_new_server() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("known_servers");
        for text in ["host:1", "host:1 sha256:12", "host:1 roots x", "host:1 other"] {
            fs::write(&path, format!("\na:1 roots\n{text}\n")).unwrap();
            let why = Known::of(Some(path.clone())).unwrap_err();
            assert!(why.contains("known_servers:3: a line is HOST:PORT sha256:HEX or"), "{why}");
        }
    }
}
