//! The configuration file: whatever stands in one, it is read or the line that is wrong is named, in one line of text; and what is read
//! means the same with other blanks and line ends.
#![no_main]

use std::ffi::OsString;
use std::fs;
use std::path::Path;

use chinwag::config::{Wrong, parse};
use chinwag::options::Serve;
use clap::Parser;
use libfuzzer_sys::fuzz_target;

#[derive(Parser, Debug)]
enum Program {
    Serve(Serve),
}

fuzz_target!(|text: &[u8]| {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("a.conf");
    let read = |text: &[u8]| {
        fs::write(&path, text).expect("a file");
        let words = ["chinwag", "serve", "--config"].map(OsString::from);
        parse::<Program>(&words.into_iter().chain([path.clone().into()]).collect::<Vec<_>>())
    };
    let lines = || text.split(|&b| b == b'\n').map(<[u8]>::trim_ascii);
    match read(text) {
        Ok((program, _)) => {
            let same: Vec<u8> = lines().flat_map(|line| [b"\t", line, b" \r\n# x\n"].concat()).collect();
            let (same, _) = read(&same).unwrap_or_else(|wrong| panic!("{}", wrong.text()));
            assert_eq!(format!("{same:?}"), format!("{program:?}"));
        }
        Err(Wrong::Configured(told)) => {
            // A TAB is shown as what it is.
            assert!(!told.contains(|c: char| c.is_control() && c != '\t'), "{told:?}");
            let number = line_of(&told, &path).unwrap_or_else(|| panic!("no line is named: {told}"));
            let line = lines().nth(number - 1).expect("a line that there is");
            assert!(!line.is_empty() && !line.starts_with(b"#"), "{told}");
        }
        Err(Wrong::Typed(error)) => panic!("what was typed is well: {error}"),
    }
});

/// The number of the line that is named.
fn line_of(told: &str, path: &Path) -> Option<usize> {
    told.strip_prefix(path.to_str()?)?.strip_prefix(':')?.split(':').next()?.parse().ok()
}
