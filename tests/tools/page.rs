//! The page's modules, run by Node: the session against the real server, and what the page weighs. Its tests are in `tests/page/`.

use std::process::Command;

use testkit::{binary, have};

#[test]
fn the_modules_of_the_page_do_what_they_promise() {
    if !have(&["node"]) {
        return;
    }
    let output = Command::new("node")
        .args(["--test", "tests/page/"])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .env("CHINWAG", binary())
        .output()
        .unwrap();
    let told = [output.stdout, output.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).concat();
    assert!(output.status.success(), "{told}");
}
