//! The program still works.

use std::process::Command;

#[test]
fn each_client_does_a_little_of_everything() {
    let status = Command::new(env!("CARGO_BIN_EXE_client-benches")).arg("smoke").status().unwrap();
    assert!(status.success());
}
