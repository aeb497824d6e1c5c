//! The order of the modules: each imports only what stands above it, and the core knows no socket, file, thread or clock.
#![allow(
    missing_docs,
    unreachable_pub,
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "tests are no library, and may panic"
)]

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

/// Every module with what it may import, from the top down. The core ends at `hub`.
const LAYERS: &[(&str, &[&str])] = &[
    ("names", &[]),
    ("limits", &[]),
    ("linebuf", &["limits"]),
    ("outbox", &[]),
    ("event", &["names", "limits"]),
    ("commands", &["names", "event"]),
    ("rooms", &["names", "limits"]),
    ("presence", &["names", "limits", "event"]),
    ("typing", &["names", "limits", "rooms"]),
    ("files", &["names", "rooms"]),
    ("people", &["names", "limits", "event", "rooms", "typing"]),
    ("hub", &["names", "limits", "event", "commands", "rooms", "presence", "typing", "files", "people"]),
    ("plain", &["names", "limits", "linebuf", "event", "commands"]),
    ("spool", &["names", "limits", "event"]),
    ("signals", &[]),
    ("listener", &["limits"]),
    ("connection", &["names", "limits", "linebuf", "outbox", "event", "plain"]),
    (
        "reactor",
        &[
            "names",
            "limits",
            "linebuf",
            "outbox",
            "event",
            "hub",
            "plain",
            "spool",
            "signals",
            "listener",
            "connection",
        ],
    ),
    ("client", &["names", "limits", "linebuf", "commands", "signals", "listener"]),
];

/// What of the client must know no socket, no file, no thread and no clock either.
const CLIENT: &[&str] = &["editor", "keys", "pictures", "screen", "seen", "session", "talks", "transfer", "view"];

/// What the core must not know, and `outbox` and `linebuf` neither.
const SHELL: &[&str] =
    &["mio::", "std::net", "std::fs", "std::thread", "Instant::now", "SystemTime::now", "socket2", "log::"];
const CORE: &[&str] = &[
    "names", "limits", "linebuf", "outbox", "event", "commands", "rooms", "presence", "typing", "files", "people",
    "hub", "plain",
];

fn sources() -> Vec<(String, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut found = Vec::new();
    let folders = [root.clone(), root.join("hub"), root.join("client")];
    for path in folders.iter().flat_map(|folder| fs::read_dir(folder).unwrap()).map(|entry| entry.unwrap().path()) {
        if path.extension().is_some_and(|ext| ext == "rs") {
            let module = path.strip_prefix(&root).unwrap().iter().next().unwrap().to_str().unwrap();
            found.push((module.trim_end_matches(".rs").to_owned(), fs::read_to_string(&path).unwrap()));
        }
    }
    found
}

#[test]
fn a_module_imports_only_what_stands_above_it() {
    for (module, text) in sources() {
        if module == "main" || module == "lib" {
            continue;
        }
        let at = LAYERS.iter().position(|(name, _)| *name == module);
        let (_, allowed) = LAYERS[at.unwrap_or_else(|| panic!("{module} has no place in the table"))];
        for name in allowed {
            let above = LAYERS.iter().position(|(other, _)| other == name);
            assert!(above < at, "{module} may not import {name}, which stands below it");
        }
        let imported: BTreeSet<&str> = text
            .split("crate::")
            .skip(1)
            .map(|rest| rest.split(|c: char| !c.is_alphanumeric() && c != '_').next().unwrap())
            .filter(|name| *name != module && !name.is_empty())
            .collect();
        let allowed: BTreeSet<&str> = allowed.iter().copied().collect();
        assert!(imported.is_subset(&allowed), "{module} imports {:?}", imported.difference(&allowed));
    }
}

#[test]
fn the_core_knows_no_socket_no_file_no_thread_and_no_clock() {
    for (module, text) in sources().iter().filter(|(module, _)| CORE.contains(&module.as_str())) {
        for word in SHELL {
            assert!(!text.contains(word), "{module} mentions {word}");
        }
    }
}

#[test]
fn the_client_s_core_knows_no_socket_no_file_no_thread_and_no_clock() {
    for module in CLIENT {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("src/client/{module}.rs"));
        let text = fs::read_to_string(path).unwrap();
        let code = text.split("#[cfg(test)]").next().unwrap();
        for word in SHELL {
            assert!(!code.contains(word), "{module} mentions {word}");
        }
    }
}

#[test]
fn nothing_of_the_server_outside_plain_writes_a_line() {
    let others = ["plain", "main", "client"];
    for (module, text) in sources().iter().filter(|(module, _)| !others.contains(&module.as_str())) {
        let code = text.split("#[cfg(test)]").next().unwrap();
        for spelled in ["\"* ", "\"+ ", "\"! ", "\"- ", "\\r\\n\""] {
            assert!(!code.contains(spelled), "{module} spells {spelled:?}");
        }
    }
}
