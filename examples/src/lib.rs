//! The programs are in this folder; `cargo run --example quickstart` runs the first one.
