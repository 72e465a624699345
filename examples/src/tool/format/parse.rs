//! Reading a format.

use std::fmt;

use super::{Field, Format, Piece};

/// Why a format cannot be read.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum FormatError {
    /// It ends behind `%` or `@`.
    Incomplete,
    Parameter(u8),
    /// It ends behind `\`.
    IncompleteEscape,
    Escape(u8),
}

impl fmt::Display for FormatError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Incomplete => f.write_str("Incomplete format specifier."),
            Self::Parameter(letter) => write!(f, "Invalid format specifier '{}'.", letter.escape_ascii()),
            Self::IncompleteEscape => f.write_str("Incomplete escape specifier."),
            Self::Escape(letter) => write!(f, "Invalid escape specifier '{}'.", letter.escape_ascii()),
        }
    }
}

/// A field is not wider, so that a format cannot fill the memory.
const WIDEST: usize = 1 << 20;

impl Format {
    pub(crate) fn parse(text: &[u8]) -> Result<Self, FormatError> {
        let (mut pieces, mut plain) = (Vec::new(), Vec::new());
        let mut rest = text;
        while let Some((&first, after)) = rest.split_first() {
            rest = after;
            let piece = match first {
                b'%' => parameter(&mut rest)?,
                b'@' => match next(&mut rest).ok_or(FormatError::Incomplete)? {
                    b'@' => Piece::Bytes(b"@".to_vec()),
                    letter => Piece::Time(letter),
                },
                b'\\' => Piece::Bytes(vec![escape(next(&mut rest).ok_or(FormatError::IncompleteEscape)?)?]),
                byte => {
                    plain.push(byte);
                    continue;
                }
            };
            if let Piece::Bytes(bytes) = piece {
                plain.extend(bytes);
            } else {
                pieces.extend((!plain.is_empty()).then(|| Piece::Bytes(std::mem::take(&mut plain))));
                pieces.push(piece);
            }
        }
        pieces.extend((!plain.is_empty()).then_some(Piece::Bytes(plain)));
        Ok(Self(pieces))
    }
}

fn next(rest: &mut &[u8]) -> Option<u8> {
    let (first, after) = rest.split_first()?;
    *rest = after;
    Some(*first)
}

fn escape(letter: u8) -> Result<u8, FormatError> {
    Ok(match letter {
        b'\\' => b'\\',
        b'0' => 0,
        b'a' => 0x07,
        b'e' => 0x1b,
        b'n' => b'\n',
        b'r' => b'\r',
        b't' => b'\t',
        b'v' => 0x0b,
        other => return Err(FormatError::Escape(other)),
    })
}

/// What follows `%`: flags, width, precision, separator, letter.
fn parameter(rest: &mut &[u8]) -> Result<Piece, FormatError> {
    let mut field = Field::default();
    loop {
        match rest.first() {
            Some(b'-') => field.left = true,
            Some(b'0') => field.zeros = true,
            _ => break,
        }
        next(rest);
    }
    field.width = number(rest).unwrap_or(0);
    if rest.first() == Some(&b'.') {
        next(rest);
        field.precision = number(rest);
        if let [separator, after @ ..] = *rest {
            if *separator != b'%' && (separator.is_ascii_punctuation() || *separator == b' ') {
                field.separator = Some(*separator);
                *rest = after;
            }
        }
    }
    let letter = next(rest).ok_or(FormatError::Incomplete)?;
    if b"%ACDEFIJPRSUXdfjlmpqrtx".contains(&letter) {
        Ok(Piece::Parameter { letter, field })
    } else {
        Err(FormatError::Parameter(letter))
    }
}

fn number(rest: &mut &[u8]) -> Option<usize> {
    let digits = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let (number, after) = rest.split_at(digits);
    *rest = after;
    if digits == 0 {
        return None;
    }
    let number =
        number.iter().fold(0, |sum: usize, digit| sum.saturating_mul(10).saturating_add((digit - b'0').into()));
    Some(number.min(WIDEST))
}
