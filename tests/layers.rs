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
    ("meters", &["names", "limits"]),
    ("chunks", &[]),
    ("linebuf", &["limits"]),
    ("outbox", &[]),
    ("event", &["names", "limits"]),
    ("request", &["names", "event"]),
    ("effect", &["names", "limits", "event"]),
    ("rooms", &["names", "limits", "event"]),
    ("presence", &["names", "limits", "event"]),
    ("typing", &["names", "limits", "rooms"]),
    ("files", &["names", "rooms"]),
    ("people", &["names", "limits", "meters", "rooms", "typing"]),
    ("policy", &["names", "event", "rooms", "files", "people"]),
    (
        "hub",
        &[
            "names", "limits", "meters", "event", "request", "effect", "rooms", "presence", "typing", "files",
            "people", "policy",
        ],
    ),
    ("commands", &["names", "event", "request"]),
    ("plain", &["names", "limits", "chunks", "linebuf", "event", "request", "commands"]),
    ("home", &["names"]),
    ("journal", &["names", "limits", "event", "home"]),
    ("spool", &["names", "limits", "event", "home"]),
    ("signals", &[]),
    ("listener", &["limits"]),
    ("connection", &["names", "limits", "meters", "linebuf", "outbox", "event", "effect", "plain"]),
    (
        "reactor",
        &[
            "names",
            "limits",
            "linebuf",
            "outbox",
            "event",
            "effect",
            "hub",
            "plain",
            "home",
            "journal",
            "spool",
            "signals",
            "listener",
            "connection",
        ],
    ),
    ("client", &["names", "limits", "chunks", "linebuf", "commands", "signals", "listener"]),
];

/// What of the client must know no socket, no file, no thread and no clock either.
const CLIENT: &[&str] =
    &["editor", "keys", "news", "pictures", "screen", "seen", "session", "talks", "transfer", "view", "width"];

/// What the core must not know, and `outbox` and `linebuf` neither.
const SHELL: &[&str] =
    &["mio::", "std::net", "std::fs", "std::thread", "Instant::now", "SystemTime::now", "socket2", "log::"];
const CORE: &[&str] = &[
    "names", "limits", "meters", "chunks", "linebuf", "outbox", "event", "request", "effect", "rooms", "presence",
    "typing", "files", "people", "policy", "hub", "commands", "plain",
];

/// Every file as its path without the end, `hub/talk` say, and what is in it.
fn files() -> Vec<(String, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let (mut found, mut folders) = (Vec::new(), vec![root.clone()]);
    while let Some(folder) = folders.pop() {
        for path in fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|ext| ext == "rs") {
                let name = path.with_extension("").strip_prefix(&root).unwrap().to_str().unwrap().to_owned();
                found.push((name, fs::read_to_string(&path).unwrap()));
            }
        }
    }
    found
}

/// Every file with the module that it belongs to.
fn sources() -> Vec<(String, String)> {
    files().into_iter().map(|(name, text)| (name.split('/').next().unwrap().to_owned(), text)).collect()
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
    let files = files();
    for module in CLIENT {
        assert!(files.iter().any(|(name, _)| name.strip_prefix("client/") == Some(module)), "there is no {module}");
    }
    let part = |name: &str| name.strip_prefix("client/")?.split('/').next().map(str::to_owned);
    for (module, text) in files.iter().filter(|(name, _)| part(name).is_some_and(|part| CLIENT.contains(&&*part))) {
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
