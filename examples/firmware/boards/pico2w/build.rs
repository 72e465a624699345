//! Gives the linker the memory of the board, and the program what runs in its Wi-Fi chip.

use std::path::PathBuf;
use std::{env, fs};

/// What `README.md` says how to get. They are not ours to give away.
const WIFI: [&str; 3] = ["43439A0.bin", "43439A0_clm.bin", "nvram_rp2040.bin"];

fn main() {
    let out = PathBuf::from(env::var_os("OUT_DIR").expect("cargo sets it"));
    fs::copy("rp2350.x", out.join("memory.x")).expect("it is here");
    println!("cargo:rustc-link-search={}", out.display());
    println!("cargo:rustc-link-arg-bins=--nmagic"); // sections lie where they are said to
    println!("cargo:rustc-link-arg-bins=-Tlink.x");
    println!("cargo:rustc-link-arg-bins=-Tdefmt.x");
    println!("cargo:rerun-if-changed=rp2350.x");
    for file in WIFI {
        let path = PathBuf::from("wifi").join(file);
        println!("cargo:rerun-if-changed={}", path.display());
        let bytes = fs::read(&path).unwrap_or_else(|error| {
            println!("cargo:warning={}: {error}: this image finds no Wi-Fi, see README.md", path.display());
            Vec::new()
        });
        fs::write(out.join(file), bytes).expect("OUT_DIR can be written");
    }
}
