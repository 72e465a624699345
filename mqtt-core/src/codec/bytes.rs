//! Moving bytes, without a panic that the compiler cannot rule out; for adapters too.

use core::cell::Cell;
use core::ops::Range;

/// Copies `from` to the start of `to` and returns what is left of `to`; `None` if it does not fit, and nothing is copied.
///
/// For adapters: unlike `copy_from_slice` it has no panic for an optimiser to keep.
#[cfg_attr(not(target_os = "none"), inline)]
#[cfg_attr(target_os = "none", inline(never))] // one copy of it in an image
pub fn put<'b>(to: &'b mut [u8], from: &[u8]) -> Option<&'b mut [u8]> {
    let (head, rest) = to.split_at_mut_checked(from.len())?;
    copy(head, from);
    Some(rest)
}

/// Copies what has one length in both. `copy_from_slice` keeps its panic where it is not inlined, and a loop over bytes is
/// slow: parts of a fixed length are a few instructions each, and the last one may overlap the one before.
#[inline]
fn copy(to: &mut [u8], from: &[u8]) {
    match from.len() {
        32.. => copy_long(to, from),
        16.. => copy_ends::<16>(to, from),
        8.. => copy_ends::<8>(to, from),
        4.. => copy_ends::<4>(to, from),
        _ => to.iter_mut().zip(from).for_each(|(to, from)| *to = *from),
    }
}

/// On a host the C library's copy is the fastest there is. On bare metal its wrapper keeps a panic where it is not inlined.
#[inline]
fn copy_long(to: &mut [u8], from: &[u8]) {
    if cfg!(target_os = "none") {
        copy_parts(to, from);
    } else if to.len() == from.len() {
        to.copy_from_slice(from);
    }
}

/// A loop over bytes stays one at opt-level z: by 32 bytes a kilobyte takes an eighth of the time.
#[inline]
fn copy_parts(to: &mut [u8], from: &[u8]) {
    copy_ends::<32>(to, from);
    let (mut to, mut from) = (to, from);
    while let (Some((part, behind)), Some((place, rest))) =
        (from.split_first_chunk::<32>(), to.split_first_chunk_mut::<32>())
    {
        *place = *part;
        (to, from) = (rest, behind);
    }
}

/// Copies the first and the last `N` bytes of at least as many; the two may overlap.
#[inline]
fn copy_ends<const N: usize>(to: &mut [u8], from: &[u8]) {
    let Some(last) = from.len().checked_sub(N) else { return };
    if let (Some(to), Some(from)) = (to.first_chunk_mut::<N>(), from.first_chunk()) {
        *to = *from;
    }
    let to = to.get_mut(last..).and_then(|to| to.first_chunk_mut::<N>());
    if let (Some(to), Some(from)) = (to, from.get(last..).and_then(|from| from.first_chunk())) {
        *to = *from;
    }
}

/// Moves a part to the front; what was there is lost. A part that is not inside the bytes is left where it is.
///
/// For adapters: unlike `copy_within` it has no panic for an optimiser to keep.
#[inline(never)] // the one place of `copy_within`, so that all of it is inlined here, where the panic is ruled out
pub fn move_to_front(bytes: &mut [u8], part: Range<usize>) {
    if part.start <= part.end && part.end <= bytes.len() {
        bytes.copy_within(part, 0);
    }
}

/// Takes the first element out: the others move up, the last stands twice. For a few elements.
pub(crate) fn close_gap<T: Copy>(elements: &mut [T]) {
    let cells = Cell::from_mut(elements).as_slice_of_cells();
    for (to, from) in cells.iter().zip(cells.iter().skip(1)) {
        to.set(from.get());
    }
}
