//! By what servers have proved who they are, in `known_servers` beside the lines that were typed: a line for each,
//! `HOST:PORT sha256:HEX` or `HOST:PORT roots`.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use crate::client::saved;
use crate::client::wire::server::{Address, Named, Trust};

/// The servers that are known.
#[derive(Default, Debug)]
pub struct Known {
    path: Option<PathBuf>,
    lines: Vec<Line>,
}

#[derive(Debug)]
enum Line {
    Server(String, Trust),
    /// What cannot be understood, and which line it was.
    Bad(usize, String),
}

impl Line {
    /// The server that it is about, in small letters, if that can be told.
    fn server(&self) -> Option<String> {
        match self {
            Self::Server(address, _) => Some(address.clone()),
            Self::Bad(_, text) => text.split_whitespace().next().and_then(server),
        }
    }
}

/// The server that `HOST:PORT` is, in small letters.
fn server(text: &str) -> Option<String> {
    let named: Named = text.parse().ok()?;
    named.port.map(|_| named.tls().to_string().to_lowercase())
}

impl fmt::Display for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Server(address, trust) => write!(f, "{address} {trust}"),
            Self::Bad(_, text) => f.write_str(text),
        }
    }
}

impl Known {
    /// Reads which are known. It is an error if that cannot be read: what was TLS would else be taken for new.
    pub fn read() -> Result<Self, String> {
        Self::of(saved::beside("known_servers").ok())
    }

    fn of(path: Option<PathBuf>) -> Result<Self, String> {
        let bytes = path.as_deref().map(saved::bytes).transpose()?.flatten().unwrap_or_default();
        // In UTF-16 no line tells which server it is about, so that each would be taken for new.
        if bytes.contains(&0) {
            return Err(saved::not_utf8(path.as_deref().unwrap_or(Path::new(""))));
        }
        let mut known = Self { path, lines: Vec::new() };
        let text = String::from_utf8_lossy(&bytes);
        for (n, line) in text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()) {
            let mut words = line.split_whitespace();
            let both = words.next().and_then(server).zip(words.next().and_then(Trust::parse));
            match both.filter(|_| words.next().is_none()) {
                Some((address, trust)) => known.set(address, trust),
                None => known.lines.push(Line::Bad(n + 1, line.to_owned())),
            }
        }
        Ok(known)
    }

    /// By what this server proves who it is, if it is known. It is an error if a line about it cannot be understood: it would else be
    /// taken for new.
    pub fn trust(&self, address: &Address) -> Result<Option<Trust>, String> {
        let address = address.to_string().to_lowercase();
        let mut trust = None;
        for line in self.lines.iter().filter(|line| line.server().as_ref() == Some(&address)) {
            match line {
                Line::Server(_, is) => trust = Some(*is),
                Line::Bad(n, _) => return Err(self.complaint(*n)),
            }
        }
        Ok(trust)
    }

    /// What is wrong with lines that cannot be understood.
    pub fn complaints(&self) -> impl Iterator<Item = String> {
        self.lines.iter().filter_map(|line| match line {
            Line::Bad(n, _) => Some(self.complaint(*n)),
            Line::Server(..) => None,
        })
    }

    /// Whether a line does not tell which server it is about, so that it may be about any that is not known.
    pub fn is_unclear(&self) -> bool {
        self.lines.iter().any(|line| line.server().is_none())
    }

    fn complaint(&self, n: usize) -> String {
        let path = self.path.as_deref().unwrap_or(Path::new(""));
        format!("{}:{n}: a line is HOST:PORT sha256:HEX or HOST:PORT roots; mend it, or take it out", path.display())
    }

    /// Remembers by what this server proves who it is, in the place of what was known of it.
    pub fn remember(&self, address: &Address, trust: Trust) -> io::Result<()> {
        let path = self.path.as_ref().ok_or_else(saved::homeless)?;
        saved::change(path, || {
            // Another client may have remembered something since this was read.
            let mut known = Self::of(self.path.clone())?;
            known.set(address.to_string().to_lowercase(), trust);
            Ok(known.lines.iter().map(|line| format!("{line}\n")).collect())
        })
    }

    fn set(&mut self, address: String, trust: Trust) {
        self.lines.retain(|line| !matches!(line, Line::Server(known, _) if *known == address));
        self.lines.push(Line::Server(address, trust));
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt;
    use std::thread;

    use super::*;
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
        assert_eq!(known().trust(&one), Ok(None));
        let (first, second) = (Trust::Certificate(Digest([7; 32])), Trust::Certificate(Digest([8; 32])));
        known().remember(&one, first).unwrap();
        known().remember(&other, Trust::Roots).unwrap();
        assert_eq!(known().trust(&address("chat.EXAMPLE.org:2429")), Ok(Some(first)));
        assert_eq!(known().trust(&other), Ok(Some(Trust::Roots)));
        known().remember(&one, second).unwrap();
        let want = format!("[::1]:7000 roots\nchat.example.org:2429 sha256:{}\n", "08".repeat(32));
        assert_eq!(fs::read_to_string(&path).unwrap(), want);
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        // Where there is no place for it, the person is to know.
        assert!(Known::of(None).unwrap().remember(&one, first).is_err());
    }

    #[test]
    fn what_another_client_remembers_meanwhile_is_known_too() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("state/known_servers");
        let known = || Known::of(Some(path.clone())).unwrap();
        // Each asks a person, who takes their time.
        let (one, other) = (known(), known());
        other.remember(&address("b:1"), Trust::Roots).unwrap();
        one.remember(&address("a:1"), Trust::Roots).unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "b:1 roots\na:1 roots\n");
        let clients: Vec<Known> = (0..4).map(|_| known()).collect();
        thread::scope(|scope| {
            for (n, client) in clients.into_iter().enumerate() {
                let of = move |port| address(&format!("c{n}:{port}"));
                scope.spawn(move || (1..=20).for_each(|port| client.remember(&of(port), Trust::Roots).unwrap()));
            }
        });
        assert_eq!(known().lines.len(), 2 + 4 * 20);
    }

    #[test]
    fn a_line_that_cannot_be_understood_concerns_its_own_server_alone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("known_servers");
        for text in ["host:1", "Host:1 sha256:12", "host:1 roots x", "host:1 other", "host:1 \u{fffd}"] {
            fs::write(&path, format!("\na:1 roots\n{text}\nhost:1 roots\n")).unwrap();
            let known = Known::of(Some(path.clone())).unwrap();
            let why = known.trust(&address("host:1")).unwrap_err();
            assert!(why.contains("known_servers:3: a line is HOST:PORT sha256:HEX or"), "{why}");
            assert_eq!(known.complaints().collect::<Vec<_>>(), [why]);
            assert_eq!(known.trust(&address("a:1")), Ok(Some(Trust::Roots)));
            assert_eq!((known.trust(&address("b:1")), known.is_unclear()), (Ok(None), false));
            // It is for its owner to mend it.
            known.remember(&address("b:1"), Trust::Roots).unwrap();
            assert_eq!(fs::read_to_string(&path).unwrap(), format!("a:1 roots\n{text}\nhost:1 roots\nb:1 roots\n"));
        }
        for text in [&b"\xff\xfe\n"[..], b"host roots\n", b": roots\n"] {
            fs::write(&path, [b"a:1 roots\n", text].concat()).unwrap();
            let known = Known::of(Some(path.clone())).unwrap();
            assert_eq!((known.trust(&address("a:1")), known.is_unclear()), (Ok(Some(Trust::Roots)), true));
        }
    }

    #[test]
    fn what_an_editor_adds_makes_no_known_server_a_new_one() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("known_servers");
        let text = "a:1 roots\r\nb:1 roots\r\n";
        fs::write(&path, format!("\u{feff}{text}")).unwrap();
        let known = Known::of(Some(path.clone())).unwrap();
        assert_eq!((known.trust(&address("a:1")), known.complaints().count()), (Ok(Some(Trust::Roots)), 0));
        for is_marked in [true, false] {
            let units = is_marked.then_some(0xfeff).into_iter().chain(text.encode_utf16());
            fs::write(&path, units.flat_map(u16::to_le_bytes).collect::<Vec<u8>>()).unwrap();
            let why = Known::of(Some(path.clone())).unwrap_err();
            assert!(why.ends_with("known_servers: it is not UTF-8; save it as that"), "{why}");
        }
    }
}
