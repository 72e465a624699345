//! The few bytes that are kept of a packet beside its payload.

/// Short ones, as most are, need no memory of their own.
#[derive(Debug)]
pub(super) enum Head {
    Short { bytes: [u8; SHORT], len: u8 },
    Long(Box<[u8]>),
}

/// A topic of 44 bytes without properties.
const SHORT: usize = 46;

impl Head {
    /// So many zeros, to be written over.
    pub(super) fn new(len: usize) -> Self {
        match u8::try_from(len) {
            Ok(short) if len <= SHORT => Self::Short { bytes: [0; SHORT], len: short },
            _ => Self::Long(vec![0; len].into()),
        }
    }

    pub(super) fn as_bytes(&self) -> &[u8] {
        match self {
            Self::Short { bytes, len } => bytes.get(..usize::from(*len)).unwrap_or(&[]),
            Self::Long(bytes) => bytes,
        }
    }

    pub(super) fn as_bytes_mut(&mut self) -> &mut [u8] {
        match self {
            Self::Short { bytes, len } => bytes.get_mut(..usize::from(*len)).unwrap_or(&mut []),
            Self::Long(bytes) => bytes,
        }
    }
}
