//! What `scripts/release` packs. The whole of it takes a quarter of an hour, and is done by hand (RELEASING.md).

use std::fs;
use std::path::Path;
use std::process::Command;

use testkit::{binary, have};

#[path = "../../examples/pages.rs"]
#[allow(dead_code, reason = "it is a program of its own")]
mod pages;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// What a command prints, which must succeed.
fn printed(command: &mut Command) -> String {
    let output = command.output().unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && errors.is_empty(), "{command:?}: {errors}");
    String::from_utf8(output.stdout).unwrap()
}

/// The words after `chinwag` that `--help` lists.
fn subcommands() -> Vec<String> {
    let help = printed(Command::new(binary()).arg("--help"));
    let list = help.split("Commands:\n").nth(1).unwrap().split("\n\n").next().unwrap();
    let names = list.lines().map(|line| line.split_whitespace().next().unwrap().to_owned());
    names.filter(|name| name != "help").collect()
}

#[test]
fn the_notes_are_what_the_changelog_says_of_this_version() {
    let changelog = fs::read_to_string(root().join("CHANGELOG.md")).unwrap();
    let heading = concat!("\n## ", env!("CARGO_PKG_VERSION"), "\n");
    let section = changelog.split(heading).nth(1).expect("a section of this version");
    let notes = printed(Command::new(root().join("scripts/release")).arg("notes"));
    assert_eq!(notes.trim(), section.split("\n## ").next().unwrap().trim());
    assert!(!notes.trim().is_empty());
}

#[test]
fn what_a_package_is_to_hold_is_there() {
    let manifest = fs::read_to_string(root().join("Cargo.toml")).unwrap();
    let assets = manifest.split("\nassets = [\n").nth(1).unwrap().split("\n]").next().unwrap();
    let sources = assets.lines().map(|line| line.split('"').nth(1).unwrap());
    // What stands below target/ is made by the script.
    for source in sources.filter(|source| !source.starts_with("target/")) {
        assert!(root().join(source.trim_end_matches('*')).exists(), "there is no {source}");
    }
    assert!(root().join("dist/chinwag.service").exists());
}

#[test]
fn every_command_has_a_man_page_that_tells_its_options() {
    if !have(&["man"]) {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    pages::write(dir.path(), "2026-11-29").unwrap();
    let page = |name: &str| {
        let mut man = Command::new("man");
        // It tells on standard error what it does not understand.
        man.args(["--warnings", "-E", "utf8", "-l"]).arg(dir.path().join("man").join(format!("{name}.1")));
        printed(man.env("MANWIDTH", "200").env("LC_ALL", "C.UTF-8"))
    };
    let whole = page("chinwag");
    assert!(whole.contains(concat!("chinwag ", env!("CARGO_PKG_VERSION"))) && whole.contains("2026-11-29"), "{whole}");
    let subcommands = subcommands();
    for name in &subcommands {
        assert!(whole.contains(&format!("chinwag-{name}(1)")), "{whole}");
        let page = page(&format!("chinwag-{name}"));
        let help = printed(Command::new(binary()).args([name, "--help"]));
        let words = help.split_whitespace().filter(|word| word.starts_with("--"));
        for option in words.map(|word| word.split(['[', '=', ',', '.', ']']).next().unwrap()) {
            assert!(page.contains(option), "the page does not tell of {option}: {page}");
        }
    }
    assert_eq!(fs::read_dir(dir.path().join("man")).unwrap().count(), subcommands.len() + 1);
}

#[test]
fn a_shell_completes_commands_and_options() {
    let dir = tempfile::tempdir().unwrap();
    pages::write(dir.path(), "2026-11-29").unwrap();
    let complete = |words: &str, last: &str| {
        let script = format!(
            "source completions/chinwag.bash; COMP_WORDS=(chinwag {words}); COMP_CWORD=$((${{#COMP_WORDS[@]}} - 1)); \
             _chinwag chinwag {last} chinwag; echo \"${{COMPREPLY[@]}}\""
        );
        printed(Command::new("bash").args(["-c", &script]).current_dir(dir.path()))
    };
    assert_eq!(complete("ser", "ser").trim(), "serve");
    assert_eq!(complete("serve --password", "--password").trim(), "--password-file");
    // The client calls itself so to decode pictures, and nobody else does.
    assert_eq!(complete("deco", "deco").trim(), "");
}

#[test]
fn every_page_greets_with_this_version() {
    let pages = ["", "docs", "tests/transcripts"].into_iter().flat_map(|folder| {
        let entries = fs::read_dir(root().join(folder)).unwrap().map(|entry| entry.unwrap().path());
        entries.filter(|path| path.extension().is_some_and(|extension| extension == "md" || extension == "txt"))
    });
    let mut greetings = 0;
    for page in pages {
        let text = fs::read_to_string(&page).unwrap();
        for version in text.split("chinwag/").skip(1).map(|rest| rest.split(' ').next().unwrap()) {
            // What is called chinwag/ else is a folder.
            if version.starts_with(|c: char| c.is_ascii_digit()) {
                assert_eq!(version, env!("CARGO_PKG_VERSION"), "{}", page.display());
                greetings += 1;
            }
        }
    }
    assert!(greetings > 20, "{greetings} greetings");
}
