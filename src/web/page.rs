//! The page: what a browser is given, all of which is in the program, compressed by `build.rs`.

use std::borrow::Cow;
use std::collections::HashMap;
use std::fmt::Write as _;
use std::sync::LazyLock;

use miniz_oxide::inflate::decompress_to_vec;
use sha2::{Digest as _, Sha256};

// All files one behind the other, and how long each is.
include!(concat!(env!("OUT_DIR"), "/page.rs"));
const COMPRESSED: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/page.deflate"));

const SCRIPT: &str = "text/javascript; charset=utf-8";

/// Something that a browser asks for.
struct Asset {
    name: &'static str,
    kind: &'static str,
}

const fn asset(name: &'static str, kind: &'static str) -> Asset {
    Asset { name, kind }
}

/// What the page begins with. Where it names one of [`PARTS`] in double quotes, it gets the path of that.
const INDEX: Asset = asset("index.html", "text/html; charset=utf-8");

/// What the page is made of. Each is at a path with the hash of all, and so never is another than it was.
const PARTS: &[Asset] = &[
    asset("boot.js", SCRIPT),
    asset("style.css", "text/css; charset=utf-8"),
    asset("late.js", SCRIPT),
    asset("dom.js", SCRIPT),
    asset("strings.js", SCRIPT),
    asset("strings-de.js", SCRIPT),
    asset("strings-en.js", SCRIPT),
    asset("sha256.js", SCRIPT),
    asset("view.js", SCRIPT),
    asset("seen.js", SCRIPT),
    asset("slips.js", SCRIPT),
    asset("talks.js", SCRIPT),
    asset("transfer.js", SCRIPT),
    asset("session.js", SCRIPT),
    asset("chat.css", "text/css; charset=utf-8"),
    asset("chat.js", SCRIPT),
    asset("composer.js", SCRIPT),
    asset("deeds.js", SCRIPT),
    asset("dialogs.js", SCRIPT),
    asset("files.js", SCRIPT),
    asset("gate.js", SCRIPT),
    asset("link.js", SCRIPT),
    asset("lists.js", SCRIPT),
    asset("log.js", SCRIPT),
    asset("media.js", SCRIPT),
    asset("notify.js", SCRIPT),
    asset("offers.js", SCRIPT),
    asset("place.js", SCRIPT),
    asset("rooms.js", SCRIPT),
    asset("stay.js", SCRIPT),
    asset("main.js", SCRIPT),
];

/// What browsers ask for at a path that stays the same.
const FIXED: &[Asset] = &[
    asset("sw.js", SCRIPT),
    asset("manifest.webmanifest", "application/manifest+json"),
    asset("icon.svg", "image/svg+xml"),
    asset("icon-180.png", "image/png"),
    asset("icon-512.png", "image/png"),
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

/// The page as this program has it. It is made when a browser first asks for it: a server without browsers never reads it.
pub static PAGE: LazyLock<Page> = LazyLock::new(Page::new);

/// All that a browser may ask for.
pub struct Page {
    /// Twelve digits of the SHA-256 over all that belongs to it.
    hash: String,
    index: Vec<u8>,
    parts: Vec<(&'static Asset, Vec<u8>)>,
    fixed: Vec<(&'static Asset, Vec<u8>)>,
}

impl Page {
    fn new() -> Self {
        let whole = decompress_to_vec(COMPRESSED).unwrap_or_default();
        let mut rest = &whole[..];
        let mut files = HashMap::new();
        for (name, length) in LENGTHS {
            let (bytes, behind) = rest.split_at(length.min(rest.len()));
            files.insert(name, bytes.to_vec());
            rest = behind;
        }
        let mut bytes = |asset: &Asset| files.remove(asset.name).unwrap_or_default();
        let index = String::from_utf8(bytes(&INDEX)).unwrap_or_default();
        let [parts, fixed] =
            [PARTS, FIXED].map(|assets| assets.iter().map(|asset| (asset, bytes(asset))).collect::<Vec<_>>());
        let mut digest = Sha256::new_with_prefix(&index);
        for (asset, bytes) in parts.iter().chain(&fixed) {
            digest.update(asset.name);
            digest.update((bytes.len() as u64).to_be_bytes());
            digest.update(bytes);
        }
        let mut hash = String::new();
        digest.finalize().iter().take(6).for_each(|byte| _ = write!(hash, "{byte:02x}"));
        let index = PARTS.iter().fold(index, |index, Asset { name, .. }| {
            index.replace(&format!("\"{name}\""), &format!("\"{hash}/{name}\""))
        });
        Self { hash, index: index.into_bytes(), parts, fixed }
    }

    /// By which a browser knows whether what it has is still so.
    pub fn hash(&self) -> &str {
        &self.hash
    }

    /// What is at a path.
    pub fn at(&'static self, path: &str) -> Option<File> {
        if path == "/" {
            return Some(File { kind: INDEX.kind, bytes: self.index.as_slice().into(), cache: Cache::Ask });
        }
        let name = path.strip_prefix('/')?;
        let (assets, name, cache) = match name.split_once('/') {
            Some((hash, name)) if hash == self.hash => (&self.parts, name, Cache::Immutable),
            Some(_) => return None,
            None => (&self.fixed, name, Cache::Ask),
        };
        let (asset, bytes) = assets.iter().find(|(asset, _)| asset.name == name)?;
        Some(File { kind: asset.kind, bytes: bytes.as_slice().into(), cache })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_that_the_page_names_is_there() {
        let page = &*PAGE;
        assert_eq!(page.hash().len(), 12);
        let index = page.at("/").unwrap();
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
            let file = file.unwrap();
            let name = file.file_name().into_string().unwrap();
            let is_asset = PARTS.iter().chain(FIXED).any(|asset| asset.name == name);
            let is_other = ["index.html", "package.json", "types.d.ts"].contains(&name.as_str());
            assert!(is_asset || is_other, "{name} is not in the table");
            let served = page.parts.iter().chain(&page.fixed).find(|(asset, _)| asset.name == name);
            assert!(served.is_none_or(|(_, bytes)| *bytes == std::fs::read(file.path()).unwrap()), "{name}");
        }
        for none in ["", "//", "/..", "/index.html", "/ws"] {
            assert!(page.at(none).is_none(), "{none}");
        }
    }
}
