//! Gives the linker the memory of the chip.

fn main() {
    println!("cargo:rustc-link-arg-bins=-Tlinkall.x");
}
