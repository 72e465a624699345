//! What the host says on QEMU's command line: `name=value`.

/// The value of an argument, at most 32 bytes long.
#[must_use]
pub fn get(name: &str) -> Option<Text> {
    let args = semihosting::experimental::env::args::<1024>().ok()?;
    for argument in args.flatten() {
        if let Some(value) = argument.strip_prefix(name).and_then(|rest| rest.strip_prefix('=')) {
            let mut text = Text { bytes: [0; 32], len: value.len() };
            text.bytes.get_mut(..value.len())?.copy_from_slice(value.as_bytes());
            return Some(text);
        }
    }
    None
}

/// The number that an argument has.
#[must_use]
pub fn number(name: &str) -> Option<u32> {
    get(name)?.as_str().parse().ok()
}

/// A short text.
#[derive(Clone, Copy, Debug)]
pub struct Text {
    bytes: [u8; 32],
    len: usize,
}

impl Text {
    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        core::str::from_utf8(&self.bytes[..self.len]).unwrap_or_default()
    }
}
