//! What the documents say is what the program does.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use chinwag::commands::TABLE;
use chinwag::memory::{bound, terms};
use chinwag::settings::{Logging, Settings};
use chinwag::wire::Code;
use testkit::binary;

fn read(name: &str) -> String {
    fs::read_to_string(format!("{}/{name}", env!("CARGO_MANIFEST_DIR"))).unwrap()
}

#[test]
fn the_readme_lists_every_command() {
    let readme = read("README.md");
    let table = readme.split("<!-- commands -->").nth(1).and_then(|rest| rest.split("<!-- /commands -->").next());
    let mut want = vec!["| command | also | what it does |".to_owned(), "| --- | --- | --- |".to_owned()];
    for spec in TABLE.iter().filter(|spec| !spec.verb.is_of_operators()) {
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
fn the_page_of_operators_lists_every_command_of_theirs() {
    let page = read("docs/operators.md");
    let table = page.split("<!-- operators -->").nth(1).and_then(|rest| rest.split("<!-- /operators -->").next());
    let mut want = "| command | what it does |\n| --- | --- |\n".to_owned();
    for spec in TABLE.iter().filter(|spec| spec.verb.is_of_operators()) {
        want += &format!("| `{}` | {} |\n", spec.usage.replace('|', "\\|"), spec.about);
    }
    assert_eq!(table.expect("a table of commands").trim(), want.trim());
}

#[test]
fn what_is_said_of_memory_is_what_is_computed() {
    const KIB: usize = 1024;
    let log = Some(Logging { max: u64::MAX, sync: Duration::ZERO });
    let settings = Settings { log, ..Settings::default() };
    let figure = |bytes: usize, unit: usize, name: &str| match bytes.div_ceil(unit) {
        0 => String::new(),
        count => format!("{count} {name}"),
    };
    let row = |name: &str, common, each| {
        let common = figure(common, KIB * KIB, "MiB");
        format!("| {name} | {common} | {} |", figure(each, KIB, "KiB"))
    };
    let mut want = vec!["| of | whoever comes | for each connection |".to_owned(), "| --- | --- | --- |".to_owned()];
    want.extend(terms(&settings).iter().map(|term| row(term.name, term.common, term.each)));
    let (common, each) = (bound(0, &settings), bound(1, &settings) - bound(0, &settings));
    want.push(row("**all**", common, each));
    want.push(row("**all, with 5,000 connections**", bound(5_000, &settings), 0));
    let page = read("RELIABILITY.md");
    let found = page.split("<!-- memory -->").nth(1).and_then(|rest| rest.split("<!-- /memory -->").next());
    let want = want.join("\n");
    assert_eq!(found.unwrap().trim(), want, "it should be\n{want}");
}

#[test]
fn the_page_for_operators_tells_every_option_and_its_default() {
    let help = Command::new(binary()).args(["serve", "--help"]).output().unwrap();
    assert!(help.status.success());
    let help = String::from_utf8(help.stdout).unwrap();
    let page = read("docs/server.md");
    for option in help.split_whitespace().filter(|word| word.starts_with("--")) {
        let option = option.trim_end_matches([',', '.', ']']);
        assert!(page.contains(option), "the page does not tell of {option}");
    }
    // Each option stands with its default, or with what happens without it.
    let options = help.matches("\n      --").count();
    assert_eq!(help.matches("[default: ").count(), options, "{help}");
    for default in help.split("[default: ").skip(1).map(|rest| rest.split(']').next().unwrap()) {
        if default.chars().next().is_some_and(|c| c.is_ascii_digit()) {
            assert!(page.contains(default), "the page does not tell of the default {default}");
        }
    }
}

#[test]
fn the_page_of_the_client_tells_every_option() {
    let page = read("docs/client.md");
    for command in ["connect", "send", "get", "say"] {
        let help = Command::new(binary()).args([command, "--help"]).output().unwrap();
        let help = String::from_utf8(help.stdout).unwrap();
        let section = page.split(&format!("### `chinwag {command}")).nth(1).expect("a section of its own");
        let section = section.split("\n#").next().unwrap();
        let options: Vec<&str> = help.split_whitespace().filter(|word| word.starts_with("--")).collect();
        assert!(options.len() > 5, "{help}");
        // Of an option whose value may be left out, it stands behind it in brackets.
        let name = |option: &'_ str| {
            option.split(['[', '=']).next().unwrap_or_default().trim_end_matches([',', '.', ']']).to_owned()
        };
        for option in options.into_iter().map(name).filter(|o| *o != "--help") {
            assert!(section.contains(&format!("`{option}")), "the page does not tell of {option} of {command}");
        }
    }
}

#[test]
fn the_protocol_tells_every_command_and_code() {
    let protocol = read("PROTOCOL.md");
    for spec in TABLE {
        assert!(protocol.contains(&format!("/{}", spec.name)), "{}", spec.name);
    }
    for code in Code::ALL {
        assert!(protocol.contains(&format!("`{}`", code.as_str())), "the protocol does not tell of {code:?}");
    }
}

/// All Rust code of the tests, and of the library, which has tests of its own.
fn code(folder: &Path) -> String {
    let mut all = String::new();
    for path in fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
        if path.is_dir() {
            all += &code(&path);
        } else if path.extension().is_some_and(|ext| ext == "rs") {
            all += &fs::read_to_string(path).unwrap();
        }
    }
    all
}

#[test]
fn every_promise_has_a_test_that_there_is() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let code = code(&root.join("src")) + &code(&root.join("tests"));
    let page = read("RELIABILITY.md");
    // The table of memory is held by a test of its own.
    let rows = page.split("<!-- memory -->").next().unwrap();
    let rows =
        rows.lines().filter(|line| line.starts_with("| ") && !line.contains("---") && !line.contains("| held by |"));
    let mut count = 0;
    for row in rows {
        let held_by = row.trim_end_matches(" |").rsplit("| ").next().unwrap();
        let mut names = held_by.split('`').skip(1).step_by(2).peekable();
        assert!(names.peek().is_some() || held_by == "the same", "nothing holds {row}");
        for name in names {
            let is_there = match name.strip_prefix("scripts/") {
                Some(script) => root.join("scripts").join(script.split(' ').next().unwrap()).exists(),
                None => {
                    code.contains(&format!("fn {name}("))
                        || root.join("fuzz/targets").join(name).with_extension("rs").exists()
                }
            };
            assert!(is_there, "there is no {name}, which is to hold {row}");
        }
        count += 1;
    }
    assert!(count > 30, "{count} promises");
}

/// The Rust files below `folder`, and the tests of the page in JavaScript, as their paths from there.
fn files(folder: &Path) -> Vec<String> {
    let (mut found, mut folders) = (Vec::new(), vec![folder.to_owned()]);
    while let Some(next) = folders.pop() {
        for path in fs::read_dir(next).unwrap().map(|entry| entry.unwrap().path()) {
            let is_test = path.to_str().unwrap().ends_with(".test.js");
            if path.is_dir() && !path.ends_with("node_modules") {
                folders.push(path);
            } else if is_test || path.extension().is_some_and(|ext| ext == "rs") {
                found.push(path.strip_prefix(folder).unwrap().to_str().unwrap().to_owned());
            }
        }
    }
    found.sort();
    found
}

#[test]
fn the_index_of_the_tests_lists_every_file() {
    let index = read("tests/README.md");
    let mut listed: Vec<&str> = index.lines().filter_map(|line| line.strip_prefix("| `")?.split('`').next()).collect();
    let mut found = files(&Path::new(env!("CARGO_MANIFEST_DIR")).join("tests"));
    found.retain(|name| !name.ends_with("main.rs"));
    listed.sort();
    assert_eq!(listed, found);
}

#[test]
fn the_architecture_names_every_file_and_nothing_that_there_is_not() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let (page, code, files) = (read("ARCHITECTURE.md"), code(&root.join("src")), files(&root.join("src")));
    // The pictures stand between triple backticks.
    let text = page.split("```").step_by(2);
    let named: Vec<&str> = text.flat_map(|text| text.split('`').skip(1).step_by(2)).collect();
    for file in &files {
        assert!(named.contains(&file.as_str()), "the page does not tell of {file}");
    }
    for name in named {
        let is_there = match name.rsplit_once("::") {
            Some((_, item)) => code.contains(item),
            None if name.ends_with(".rs") => {
                root.join(name).exists() || files.iter().any(|file| Path::new(file).ends_with(name))
            }
            None => true,
        };
        assert!(is_there, "there is no {name}, of which the page tells");
    }
}
