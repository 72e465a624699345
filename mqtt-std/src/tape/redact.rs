//! What a tape does not show.

/// What is left out of a tape. It keeps its length, so that the replay is exact in everything else.
///
/// Passwords and Authentication Data are left out unless [`show_secrets`](Self::show_secrets) says otherwise. The Client Identifier,
/// Authentication Method, Content Type and Server Reference always stay.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Redact {
    pub(super) secrets: bool,
    pub(super) payloads: bool,
    pub(super) user_names: bool,
    pub(super) topics: bool,
    pub(super) user_properties: bool,
    pub(super) reason_strings: bool,
}

impl Redact {
    /// Passwords and Authentication Data.
    pub const SECRETS: Self = Self { secrets: true, ..Self::NOTHING };

    /// All that can be left out.
    pub const ALL: Self = Self {
        secrets: true,
        payloads: true,
        user_names: true,
        topics: true,
        user_properties: true,
        reason_strings: true,
    };

    /// Also of what was left out already nothing is left.
    pub(super) const NOTHING: Self = Self {
        secrets: false,
        payloads: false,
        user_names: false,
        topics: false,
        user_properties: false,
        reason_strings: false,
    };

    /// Leaves nothing out: passwords and Authentication Data stand in the file as they are.
    #[must_use]
    pub const fn show_secrets(mut self) -> Self {
        self.secrets = false;
        self
    }

    /// Leaves out payloads, that of the Will too, and Correlation Data.
    #[must_use]
    pub const fn payloads(mut self) -> Self {
        self.payloads = true;
        self
    }

    /// Leaves out user names.
    #[must_use]
    pub const fn user_names(mut self) -> Self {
        self.user_names = true;
        self
    }

    /// Leaves out topics and filters, Response Topics and Response Information. Others stand for them: the same ones for the same
    /// within the tape, with as many levels; spaces and what is like `-` and `.` stay. `$share` and `$SYS` stay.
    #[must_use]
    pub const fn topics(mut self) -> Self {
        self.topics = true;
        self
    }

    /// Leaves out User Properties, names and values.
    #[must_use]
    pub const fn user_properties(mut self) -> Self {
        self.user_properties = true;
        self
    }

    /// Leaves out Reason Strings.
    #[must_use]
    pub const fn reason_strings(mut self) -> Self {
        self.reason_strings = true;
        self
    }

    const fn flags(self) -> [bool; 6] {
        [self.secrets, self.payloads, self.user_names, self.topics, self.user_properties, self.reason_strings]
    }

    pub(super) fn to_u8(self) -> u8 {
        self.flags().into_iter().rev().fold(0, |bits, flag| bits << 1 | u8::from(flag))
    }

    pub(super) fn from_u8(bits: u8) -> Option<Self> {
        let flag = |bit: u8| bits & 1 << bit != 0;
        let redact = Self {
            secrets: flag(0),
            payloads: flag(1),
            user_names: flag(2),
            topics: flag(3),
            user_properties: flag(4),
            reason_strings: flag(5),
        };
        (redact.to_u8() == bits).then_some(redact)
    }
}

impl Default for Redact {
    /// [`SECRETS`](Self::SECRETS).
    fn default() -> Self {
        Self::SECRETS
    }
}
