//! The page: what a browser is given, all of which is in the program.

use std::borrow::Cow;
use std::fmt::Write as _;

use sha2::{Digest as _, Sha256};

/// What the page begins with. Where it names one of [`PARTS`] in double quotes, it gets the path of that.
const INDEX: &str = include_str!("page/index.html");
const SCRIPT: &str = "text/javascript; charset=utf-8";

/// Something that a browser asks for.
struct Asset {
    name: &'static str,
    kind: &'static str,
    bytes: &'static [u8],
}

macro_rules! asset {
    ($name:literal, $kind:expr) => {
        Asset { name: $name, kind: $kind, bytes: include_bytes!(concat!("page/", $name)) }
    };
}

/// What the page is made of. Each is at a path with the hash of all, and so never is another than it was.
const PARTS: &[Asset] = &[
    asset!("style.css", "text/css; charset=utf-8"),
    asset!("dom.js", SCRIPT),
    asset!("strings.js", SCRIPT),
    asset!("strings-de.js", SCRIPT),
    asset!("strings-en.js", SCRIPT),
    asset!("sha256.js", SCRIPT),
    asset!("view.js", SCRIPT),
    asset!("seen.js", SCRIPT),
    asset!("talks.js", SCRIPT),
    asset!("transfer.js", SCRIPT),
    asset!("session.js", SCRIPT),
    asset!("chat.css", "text/css; charset=utf-8"),
    asset!("chat.js", SCRIPT),
    asset!("composer.js", SCRIPT),
    asset!("deeds.js", SCRIPT),
    asset!("dialogs.js", SCRIPT),
    asset!("files.js", SCRIPT),
    asset!("gate.js", SCRIPT),
    asset!("link.js", SCRIPT),
    asset!("lists.js", SCRIPT),
    asset!("log.js", SCRIPT),
    asset!("media.js", SCRIPT),
    asset!("notify.js", SCRIPT),
    asset!("offers.js", SCRIPT),
    asset!("stay.js", SCRIPT),
    asset!("main.js", SCRIPT),
];

/// What browsers ask for at a path that stays the same.
const FIXED: &[Asset] = &[
    asset!("sw.js", SCRIPT),
    asset!("manifest.webmanifest", "application/manifest+json"),
    asset!("icon.svg", "image/svg+xml"),
    asset!("icon-180.png", "image/png"),
    asset!("icon-512.png", "image/png"),
];

/// How long a browser may keep something.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Cache {
    /// It asks each time whether that is still so.
    Ask,
    /// For ever.
    Immutable,
}

/// One file, as a browser gets it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct File {
    /// Its media type.
    pub kind: &'static str,
    /// What is in it.
    pub bytes: Cow<'static, [u8]>,
    /// How long it may be kept.
    pub cache: Cache,
}

/// The page as this program has it.
#[derive(Debug)]
pub struct Page {
    /// Twelve digits of the SHA-256 over all that belongs to it.
    hash: String,
    index: String,
}

impl Default for Page {
    fn default() -> Self {
        let mut digest = Sha256::new_with_prefix(INDEX);
        for Asset { name, bytes, .. } in PARTS.iter().chain(FIXED) {
            digest.update(name);
            digest.update((bytes.len() as u64).to_be_bytes());
            digest.update(bytes);
        }
        let mut hash = String::new();
        digest.finalize().iter().take(6).for_each(|byte| _ = write!(hash, "{byte:02x}"));
        let index = PARTS.iter().fold(INDEX.to_owned(), |index, Asset { name, .. }| {
            index.replace(&format!("\"{name}\""), &format!("\"{hash}/{name}\""))
        });
        Self { hash, index }
    }
}

impl Page {
    /// By which a browser knows whether what it has is still so.
    pub fn hash(&self) -> &str {
        &self.hash
    }

    /// What is at a path.
    pub fn at(&self, path: &str) -> Option<File> {
        if path == "/" {
            return Some(File {
                kind: "text/html; charset=utf-8",
                bytes: self.index.clone().into_bytes().into(),
                cache: Cache::Ask,
            });
        }
        let name = path.strip_prefix('/')?;
        let (assets, name, cache) = match name.split_once('/') {
            Some((hash, name)) if hash == self.hash => (PARTS, name, Cache::Immutable),
            Some(_) => return None,
            None => (FIXED, name, Cache::Ask),
        };
        let asset = assets.iter().find(|asset| asset.name == name)?;
        Some(File { kind: asset.kind, bytes: asset.bytes.into(), cache })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_that_the_page_names_is_there() {
        let page = Page::default();
        assert_eq!(page.hash().len(), 12);
        let index = page.at("/").unwrap();
        // So much of it is counted for each who asks for it.
        assert!(index.bytes.len() <= 16 * 1024);
        let text = std::str::from_utf8(&index.bytes).unwrap();
        for word in text.split('"').skip(1).step_by(2) {
            let is_part = PARTS.iter().any(|asset| word.ends_with(asset.name));
            assert!(!is_part || page.at(&format!("/{word}")).is_some(), "{word}");
        }
        for Asset { name, .. } in PARTS {
            assert_eq!(page.at(&format!("/{}/{name}", page.hash())).map(|file| file.cache), Some(Cache::Immutable));
            assert!(page.at(&format!("/{name}")).is_none() && page.at(&format!("/0123456789ab/{name}")).is_none());
        }
        for Asset { name, .. } in FIXED {
            assert_eq!(page.at(&format!("/{name}")).map(|file| file.cache), Some(Cache::Ask));
        }
        // A file that stands in the folder is one of them, or is for whoever works on the page.
        for file in std::fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/../src/web/page")).unwrap() {
            let name = file.unwrap().file_name().into_string().unwrap();
            let is_asset = PARTS.iter().chain(FIXED).any(|asset| asset.name == name);
            let is_other = ["index.html", "package.json", "types.d.ts"].contains(&name.as_str());
            assert!(is_asset || is_other, "{name} is not in the table");
        }
        for none in ["", "//", "/..", "/index.html", "/ws"] {
            assert!(page.at(none).is_none(), "{none}");
        }
    }
}
