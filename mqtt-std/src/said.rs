//! What a peer says, to be shown to people.

use core::fmt::{self, Write as _};

/// On one line, whatever is in it, and not long: it stands in logs and on terminals between what we say.
pub(crate) struct Said<'a>(pub(crate) &'a str);

/// More characters are not shown.
const MOST: usize = 256;

impl fmt::Display for Said<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut characters = self.0.chars();
        for character in characters.by_ref().take(MOST) {
            // Those that change how what follows is read are written out: controls, and what turns the direction of text.
            let turns =
                matches!(character, '\u{200e}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
            if character.is_control() || turns {
                write!(f, "{}", character.escape_default())?;
            } else {
                f.write_char(character)?;
            }
        }
        if characters.next().is_some() { f.write_char('…') } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_said_stays_on_its_line() {
        for (said, shown) in [
            ("Schöne Grüße\t", "Schöne Grüße\\t"),
            ("no\r\n2026-01-01 INFO all is well", "no\\r\\n2026-01-01 INFO all is well"),
            ("\u{1b}[2J\u{9b}2J\u{202e}olleh\u{2028}", "\\u{1b}[2J\\u{9b}2J\\u{202e}olleh\\u{2028}"),
        ] {
            assert_eq!(Said(said).to_string(), shown);
        }
        assert_eq!(Said(&"x".repeat(MOST)).to_string(), "x".repeat(MOST));
        assert_eq!(Said(&"ü".repeat(65_535)).to_string(), "ü".repeat(MOST) + "…");
    }
}
