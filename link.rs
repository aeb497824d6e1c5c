//! Has the linker leave the tables out of a release by which a stack is unwound, 440 KB of 5.4 MB. A panic ends the program at once, and
//! names its line without them; a backtrace says nothing with them either, as the program is stripped.

#![expect(clippy::print_stdout, reason = "cargo reads there what is to be done")]

use std::env;

fn main() {
    println!("cargo::rerun-if-changed=link.rs");
    println!("cargo::rerun-if-changed=link.ld");
    let is = |name, value: &str| env::var(name).is_ok_and(|is| is == value);
    // These read no such script.
    let flags = env::var("CARGO_ENCODED_RUSTFLAGS").unwrap_or_default();
    let is_other = ["mold", "gold", "wild"].iter().any(|linker| flags.contains(linker));
    if is("PROFILE", "release") && is("CARGO_CFG_TARGET_OS", "linux") && !is_other {
        // Cargo has it linked in the folder of the workspace, which may be moved with what is built.
        println!("cargo::rustc-link-arg-bins=-Tlink.ld");
    }
}
