//! Inputs that the fuzzer found, few that reach all that it reached: one in a line, in hexadecimal digits. `ci/fuzz --keep` writes them.

/// Calls `check` with each of them.
pub(crate) fn each(lines: &str, mut check: impl FnMut(&[u8])) {
    assert!(lines.lines().count() > 10, "there are some");
    for line in lines.lines() {
        let digits = line.as_bytes().chunks_exact(2).map(|pair| core::str::from_utf8(pair).expect("ASCII"));
        let seed: Vec<u8> = digits.map(|pair| u8::from_str_radix(pair, 16).expect("hexadecimal digits")).collect();
        check(&seed);
    }
}
