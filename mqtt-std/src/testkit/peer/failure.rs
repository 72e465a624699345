//! What came instead of what was expected.

use core::fmt;

/// A conversation took another course: what was expected, what came, and what was said before.
///
/// ```text
/// step 3: expected PUBLISH a/b, got SUBSCRIBE #1 a/+ q1
///   < CONNECT 5 client clean
///   > CONNACK 00
///   < SUBSCRIBE #1 a/+ q1
/// ```
///
/// `Debug` writes the same, so that `unwrap` says it.
#[derive(Clone, Eq, PartialEq)]
pub struct Failure {
    step: Option<usize>,
    expected: String,
    got: String,
    transcript: Vec<String>,
}

impl Failure {
    pub(super) fn new(expected: impl fmt::Display, got: impl fmt::Display) -> Self {
        Self { step: None, expected: expected.to_string(), got: got.to_string(), transcript: Vec::new() }
    }

    pub(super) const fn at_step(mut self, step: usize) -> Self {
        self.step = Some(step);
        self
    }

    pub(super) fn after(mut self, transcript: &[String]) -> Self {
        self.transcript = transcript.to_vec();
        self
    }

    /// The number of the script's step, from 1.
    #[must_use]
    pub const fn step(&self) -> Option<usize> {
        self.step
    }

    /// What was expected, or was to be done.
    #[must_use]
    pub fn expected(&self) -> &str {
        &self.expected
    }

    /// What came, or why it could not be done.
    #[must_use]
    pub fn got(&self) -> &str {
        &self.got
    }

    /// What was said before on the connection: `<` by the client, `>` to it. The latest lines, if they are many.
    #[must_use]
    pub fn transcript(&self) -> &[String] {
        &self.transcript
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(step) = self.step {
            write!(f, "step {step}: ")?;
        }
        write!(f, "expected {}, got {}", self.expected, self.got)?;
        self.transcript.iter().try_for_each(|line| write!(f, "\n  {line}"))
    }
}

impl fmt::Debug for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl core::error::Error for Failure {}
