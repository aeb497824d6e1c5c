//! Makes a release smaller by what the linker can leave out. The tables by which a stack is unwound are 440 KB of 5.4 MB: a panic ends the
//! program at once, and names its line without them; a backtrace says nothing with them either, as the program is stripped. Functions that
//! came out alike are 40 KB: where a linker can, it keeps one of them, as nothing here asks whether two functions are one.

#![expect(clippy::print_stdout, reason = "cargo reads there what is to be done")]

use std::{
    env, fs,
    path::Path,
    process::{Command, Stdio},
};

const FOLD: &str = "-Wl,--icf=all";

fn main() {
    println!("cargo::rerun-if-changed=link.rs");
    println!("cargo::rerun-if-changed=link.ld");
    let is = |name, value: &str| env::var(name).is_ok_and(|is| is == value);
    if !is("PROFILE", "release") || !is("CARGO_CFG_TARGET_OS", "linux") {
        return;
    }
    let flags = env::var("CARGO_ENCODED_RUSTFLAGS").unwrap_or_default();
    // These read no such script.
    let is_other = ["mold", "gold", "wild"].iter().any(|linker| flags.contains(linker));
    if !is_other {
        // Cargo has it linked in the folder of the workspace, which may be moved with what is built.
        println!("cargo::rustc-link-arg-bins=-Tlink.ld");
    }
    if can_fold(&flags) {
        println!("cargo::rustc-link-arg-bins={FOLD}");
    }
}

/// Whether a program can be linked so. The lld that comes with Rust can, the linker of binutils cannot, and which of them rustc takes differs
/// by target and by who built rustc, so it is tried. `flags` are those of the build, parted as cargo parts them.
fn can_fold(flags: &str) -> bool {
    let [Some(rustc), Some(target), Some(folder)] = ["RUSTC", "TARGET", "OUT_DIR"].map(env::var_os) else {
        return false;
    };
    let source = Path::new(&folder).join("fold.rs");
    let mut trial = Command::new(rustc);
    trial.arg("--target").arg(target).args(flags.split('\x1f').filter(|flag| !flag.is_empty()));
    if let Some(linker) = env::var_os("RUSTC_LINKER") {
        trial.arg("-C").arg(format!("linker={}", linker.to_string_lossy()));
    }
    trial.arg("-C").arg(format!("link-arg={FOLD}")).arg("--out-dir").arg(&folder).arg(&source);
    fs::write(&source, "fn main() {}").is_ok()
        && trial.stdout(Stdio::null()).stderr(Stdio::null()).status().is_ok_and(|status| status.success())
}
