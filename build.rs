//! Writes what is in the program and nobody has typed so: the page, compressed, for `src/web/page.rs`, and the table of what
//! characters look like, for `src/unicode.rs`.
//!
//! Of the page's 240 KB a third is left. The table says what `unicode_security::skeleton` says, which has a pointer for each of its
//! 6,710 characters: 360 KB of the program, half of which is put right, and so takes memory, at each start. Here it is 18 KB, and
//! 28 KB of memory once somebody has a name that is not ASCII.

use std::path::{Path, PathBuf};
use std::{env, fs, io};

use miniz_oxide::deflate::compress_to_vec;
use unicode_normalization::UnicodeNormalization as _;
use unicode_security::skeleton;

fn main() -> io::Result<()> {
    // It is looked for from lib/, and one that is not there has everything built anew each time.
    println!("cargo::rerun-if-changed=../build.rs");
    println!("cargo::rerun-if-changed={PAGE}");
    let out = PathBuf::from(env::var_os("OUT_DIR").unwrap_or_default());
    compress_page(&out)?;
    let (table, records) = confusables();
    fs::write(out.join("confusables.deflate"), compress_to_vec(&records, 10))?;
    fs::write(out.join("confusables.rs"), table)
}

/// Where the parts of the page are, and what stands beside them for those alone who work on it.
const PAGE: &str = "../src/web/page";
const BESIDE: [&str; 2] = ["package.json", "types.d.ts"];

/// Compresses all parts as one, which takes a tenth less than each by itself, and writes down which they are and how long.
fn compress_page(out: &Path) -> io::Result<()> {
    let mut names = Vec::new();
    for part in fs::read_dir(PAGE)? {
        names.extend(part?.file_name().into_string().ok().filter(|name| !BESIDE.contains(&name.as_str())));
    }
    // Those of one kind have most in common.
    names.sort_by_key(|name| name.split('.').rev().map(str::to_owned).collect::<Vec<_>>());
    let (mut whole, mut lengths) = (Vec::new(), Vec::new());
    for name in names {
        let bytes = fs::read(Path::new(PAGE).join(&name))?;
        lengths.push((name, bytes.len()));
        whole.extend(bytes);
    }
    fs::write(out.join("page.deflate"), compress_to_vec(&whole, 10))?;
    fs::write(out.join("page.rs"), format!("static LENGTHS: [(&str, usize); {}] = {lengths:?};", lengths.len()))
}

/// How many characters of the table are read to find one.
const BLOCK: usize = 32;

/// The characters that look like others, in order. Of each there are: one byte, whose upper five bits say how far it is behind the
/// one before and whose lower three how long its prototype is; where one of these is 0, the number itself, in three bytes and in
/// one; its prototype, which is what they all look like. What comes first is the Rust of what is not compressed: where to begin to read, and which
/// characters look like nothing.
fn confusables() -> (String, Vec<u8>) {
    let (mut blocks, mut records, mut ignored) = (vec![], vec![], vec![]);
    let (mut before, mut count) = ('\0', 0);
    // What is put together of others looks like these.
    for c in ('\0'..=char::MAX).filter(|&c| std::iter::once(c).nfd().eq([c])) {
        let prototype: String = skeleton(c.encode_utf8(&mut [0; 4])).collect();
        if prototype.is_empty() {
            ignored.push(c);
        } else if !prototype.chars().eq([c]) {
            if count % BLOCK == 0 {
                blocks.push((u32::from(before), records.len()));
            }
            let (far, long) = (u32::from(c) - u32::from(before), prototype.len());
            let [short_far, short_long] =
                [(far as usize, 32), (long, 8)].map(|(n, end)| if n < end { n as u8 } else { 0 });
            records.push(short_far << 3 | short_long);
            if short_far == 0 {
                records.extend(&far.to_be_bytes()[1..]);
            }
            if short_long == 0 {
                records.push(long as u8);
            }
            records.extend(prototype.bytes());
            (before, count) = (c, count + 1);
        }
    }
    let ignored: Vec<_> =
        ignored.chunk_by(|&a, &b| a as u32 + 1 == b as u32).map(|range| (range[0], range[range.len() - 1])).collect();
    let table = format!(
        "static IGNORED: [(char, char); {}] = {ignored:?};
         static BLOCKS: [(u32, u16); {}] = {blocks:?};",
        ignored.len(),
        blocks.len(),
    );
    (table, records)
}
