//! How many crates the program has, and that ARCHITECTURE.md says of each what it is for.

use std::collections::BTreeSet;
use std::process::Command;

/// The crates in the program, each with how deep below it stands: what it names itself is at 1.
fn crates(arguments: &[&str]) -> BTreeSet<(usize, String)> {
    let mut cargo = Command::new(env!("CARGO"));
    cargo.args(["tree", "--offline", "--locked", "--edges=normal", "--prefix=depth", "--no-dedupe"]);
    cargo.args(arguments);
    let output = cargo.current_dir(env!("CARGO_MANIFEST_DIR")).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let tree = String::from_utf8(output.stdout).unwrap();
    let parse = |line: &str| {
        let (depth, package) = line.split_at(line.find(|c: char| !c.is_ascii_digit())?);
        Some((depth.parse().ok()?, package.split(' ').take(2).collect::<Vec<_>>().join(" ")))
    };
    tree.lines().map(|line| parse(line).unwrap()).collect()
}

#[test]
fn the_program_is_light_on_crates() {
    for (features, most) in [("--features=default", 90), ("--no-default-features", 68)] {
        let all: BTreeSet<_> =
            crates(&["--package=chinwag", features]).into_iter().map(|(_, package)| package).collect();
        assert!(all.len() <= most, "{} crates with {features}, and not {most}: {all:#?}", all.len());
    }
}

#[test]
fn the_document_says_what_each_crate_is_for() {
    let document = include_str!("../../ARCHITECTURE.md");
    let (_, table) = document.split_once("\n## What each crate is for\n").unwrap();
    let (table, _) = table.split_once("\nNot in the program:\n").unwrap();
    let of_program = crates(&["--package=chinwag"]);
    let of_library = crates(&["--package=chinwag-lib", "--features=client,tls"]);
    for (_, package) in of_program.union(&of_library).filter(|(depth, _)| *depth == 1) {
        let (name, _) = package.split_once(' ').unwrap();
        if name == "chinwag-lib" {
            continue;
        }
        assert!(table.lines().any(|row| row.starts_with("| `") && row.contains(&format!("`{name}`"))), "{name}");
    }
}
