//! Moving bytes, without a panic that the compiler cannot rule out.

use core::cell::Cell;
use core::ops::Range;

/// Copies `from` to the start of `to` and returns what is left of `to`; `None` if it does not fit, and nothing is copied.
#[inline]
pub(crate) fn put<'b>(to: &'b mut [u8], from: &[u8]) -> Option<&'b mut [u8]> {
    let (head, rest) = to.split_at_mut_checked(from.len())?;
    copy(head, from);
    Some(rest)
}

/// Copies what has one length in both. `copy_from_slice` keeps its panic where it is not inlined, and at opt-level z a
/// loop over bytes stays one: by 32 bytes a kilobyte takes an eighth of the time.
#[inline]
fn copy(mut to: &mut [u8], mut from: &[u8]) {
    while let Some((bytes, behind)) = from.split_first_chunk::<32>() {
        let Some((head, rest)) = to.split_first_chunk_mut() else { return };
        *head = *bytes;
        (to, from) = (rest, behind);
    }
    for (to, from) in to.iter_mut().zip(from) {
        *to = *from;
    }
}

/// Moves a part to the front; what was there is lost.
#[inline(never)] // the one place of `copy_within`, so that all of it is inlined here, where the panic is ruled out
pub(crate) fn move_to_front(bytes: &mut [u8], part: Range<usize>) {
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
