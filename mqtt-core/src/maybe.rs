//! An `Option` that a `static` can hold without initial values.

/// An `Option` whose `None` is zero in memory.
///
/// `Option` may say `None` by a number that a field of the value never has. One such byte, and all of a machine in a `static`
/// has initial values, which take as much flash as it takes RAM. `benches/size` shows it.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[repr(u8)]
pub(crate) enum Maybe<T> {
    None = 0,
    Some(T),
}

impl<T: Copy> Maybe<T> {
    #[inline]
    pub(crate) const fn get(self) -> Option<T> {
        match self {
            Self::None => None,
            Self::Some(value) => Some(value),
        }
    }
}
