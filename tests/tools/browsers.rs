//! The page in the browsers that people have, driven by Node. Its tests are in `tests/browser/`.

use std::path::Path;
use std::process::Command;

use testkit::{binary, have, skip};

/// Runs all tests in one browser. What they show is in `target/screenshots/` afterwards.
#[track_caller]
fn run(browser: &str, program: &str) {
    if !have(&["node", program]) {
        return;
    }
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/browser");
    if !folder.join("node_modules").is_dir() {
        return skip("npm has not brought what drives browsers: npm ci --prefix tests/browser");
    }
    let output = Command::new("node")
        .args(["--test-reporter=spec", "all.js"])
        .current_dir(folder)
        .env("CHINWAG", binary())
        .env("BROWSER", browser)
        .output()
        .unwrap();
    let told = [output.stdout, output.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).concat();
    assert!(output.status.success(), "{told}");
}

#[test]
fn the_page_in_chromium() {
    run("chromium", "chromium");
}

#[test]
fn the_page_in_firefox() {
    run("firefox", "firefox-esr");
}
