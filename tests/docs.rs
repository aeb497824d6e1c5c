//! What the documents say is what the program does.
#![allow(
    missing_docs,
    unreachable_pub,
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "tests are no library, and may panic"
)]

use std::fs;
use std::process::Command;

use chinwag::commands::TABLE;

fn read(name: &str) -> String {
    fs::read_to_string(format!("{}/{name}", env!("CARGO_MANIFEST_DIR"))).unwrap()
}

#[test]
fn the_readme_lists_every_command() {
    let readme = read("README.md");
    let table = readme.split("<!-- commands -->").nth(1).and_then(|rest| rest.split("<!-- /commands -->").next());
    let mut want = vec!["| command | also | what it does |".to_owned(), "| --- | --- | --- |".to_owned()];
    for spec in TABLE {
        let aliases: Vec<String> = spec.aliases.iter().map(|alias| format!("`/{alias}`")).collect();
        want.push(format!("| `{}` | {} | {} |", spec.usage.replace('|', "\\|"), aliases.join(", "), spec.about));
    }
    let found: Vec<String> = table
        .expect("a table of commands")
        .lines()
        .map(str::trim)
        .filter(|l| !l.is_empty())
        .map(str::to_owned)
        .collect();
    let shorten = |line: &str| line.split_whitespace().collect::<Vec<_>>().join(" ");
    assert_eq!(
        found.iter().map(|l| shorten(l)).collect::<Vec<_>>(),
        want.iter().map(|l| shorten(l)).collect::<Vec<_>>()
    );
}

#[test]
fn the_readme_tells_every_option_and_its_default() {
    let help = Command::new(env!("CARGO_BIN_EXE_chinwag")).args(["serve", "--help"]).output().unwrap();
    assert!(help.status.success());
    let help = String::from_utf8(help.stdout).unwrap();
    let readme = read("README.md");
    for option in help.split_whitespace().filter(|word| word.starts_with("--")) {
        let option = option.trim_end_matches([',', '.']);
        assert!(readme.contains(option), "the README does not tell of {option}");
    }
    // Each option stands with its default, or with what happens without it.
    let options = help.matches("\n      --").count();
    assert_eq!(help.matches("[default: ").count(), options, "{help}");
    for default in help.split("[default: ").skip(1).map(|rest| rest.split(']').next().unwrap()) {
        if default.chars().next().is_some_and(|c| c.is_ascii_digit()) {
            assert!(readme.contains(default), "the README does not tell of the default {default}");
        }
    }
}

#[test]
fn the_readme_tells_every_option_of_the_client() {
    let readme = read("README.md");
    for command in ["connect", "send", "get"] {
        let help = Command::new(env!("CARGO_BIN_EXE_chinwag")).args([command, "--help"]).output().unwrap();
        let help = String::from_utf8(help.stdout).unwrap();
        let section = readme.split(&format!("### `chinwag {command}")).nth(1).expect("a section of its own");
        let section = section.split("\n#").next().unwrap();
        let options: Vec<&str> = help.split_whitespace().filter(|word| word.starts_with("--")).collect();
        assert!(options.len() > 5, "{help}");
        for option in options.into_iter().map(|option| option.trim_end_matches([',', '.'])).filter(|o| *o != "--help") {
            assert!(section.contains(&format!("`{option}")), "the README does not tell of {option} of {command}");
        }
    }
}

#[test]
fn the_protocol_tells_every_command_and_code() {
    let protocol = read("PROTOCOL.md");
    for spec in TABLE {
        assert!(protocol.contains(&format!("/{}", spec.name)), "{}", spec.name);
    }
    let plain = read("src/plain.rs");
    let codes = plain.split("pub fn code").nth(1).and_then(|rest| rest.split("\n}").next()).unwrap();
    let codes: Vec<&str> = codes.split('"').skip(1).step_by(2).collect();
    assert!(codes.len() > 15);
    for code in codes {
        assert!(protocol.contains(code), "the protocol does not tell of {code}");
    }
}
