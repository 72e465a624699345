//! Gives the linker the memory of the board.

use std::path::PathBuf;
use std::{env, fs};

fn main() {
    let out = PathBuf::from(env::var_os("OUT_DIR").expect("cargo sets it"));
    // The name that cortex-m-rt looks for; a file with that name in the package's root would win over it.
    fs::copy("mps2-an386.x", out.join("memory.x")).expect("it is here");
    // Interrupts have their handlers in `src/irq.rs`.
    fs::write(out.join("device.x"), "").expect("OUT_DIR can be written");
    println!("cargo:rustc-link-search={}", out.display());
    println!("cargo:rustc-link-arg-bins=--nmagic"); // sections lie where they are said to
    println!("cargo:rustc-link-arg-bins=-Tlink.x");
    if env::var_os("CARGO_FEATURE_DEFMT").is_some() {
        println!("cargo:rustc-link-arg-bins=-Tdefmt.x");
    }
    println!("cargo:rerun-if-changed=mps2-an386.x");
}
