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
    if cfg!(target_os = "none") {
        copy_words(head, from)
    } else {
        copy(head, from)
    }
    Some(rest)
}

/// For bare metal, where the wrapper of `copy_from_slice` keeps its panic: a loop that is small, and by words fast enough.
#[inline]
fn copy_words(to: &mut [u8], from: &[u8]) {
    let (mut to, mut from) = (to, from);
    while let Some((word, rest)) = from.split_first_chunk::<WORD>() {
        let Some((place, behind)) = to.split_first_chunk_mut() else { return };
        *place = *word;
        (to, from) = (behind, rest);
    }
    to.iter_mut().zip(from).for_each(|(to, from)| *to = *from);
}

const WORD: usize = size_of::<u32>();

/// For a host. A loop over bytes is slow: parts of a fixed length are a few instructions each, and the last one may overlap the
/// one before. What is long the C library copies fastest.
#[inline]
fn copy(to: &mut [u8], from: &[u8]) {
    match from.len() {
        32.. if to.len() == from.len() => to.copy_from_slice(from),
        16.. => copy_ends::<16>(to, from),
        8.. => copy_ends::<8>(to, from),
        4.. => copy_ends::<4>(to, from),
        _ => to.iter_mut().zip(from).for_each(|(to, from)| *to = *from),
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
    if part.start > part.end || part.end > bytes.len() {
        return;
    }
    if !cfg!(target_os = "none") {
        bytes.copy_within(part, 0);
    } else if let Some(bytes) = bytes.get_mut(..part.end) {
        // `copy_within` is `memmove`, which also knows the other direction: 600 bytes of flash.
        move_up(bytes, part.start);
    }
}

/// Takes the first elements out: the others move up, the last ones stand twice.
#[inline]
pub(crate) fn move_up<T: Copy>(elements: &mut [T], by: usize) {
    let cells = Cell::from_mut(elements).as_slice_of_cells();
    for (to, from) in cells.iter().zip(cells.iter().skip(by)) {
        to.set(from.get());
    }
}

#[cfg(test)]
mod tests {
    use std::vec::Vec;

    use super::*;

    #[test]
    fn bare_metal_copies_and_moves_as_a_host_does() {
        for len in 0..40_u8 {
            let bytes: Vec<u8> = (1..=len).collect();
            let (mut words, mut host) = (std::vec![0; bytes.len()], std::vec![0; bytes.len()]);
            copy_words(&mut words, &bytes);
            copy(&mut host, &bytes);
            assert!(words == bytes && host == bytes, "{len}");
            for by in 0..=bytes.len() {
                let (mut cells, mut host) = (bytes.clone(), bytes.clone());
                move_up(&mut cells, by);
                host.copy_within(by.., 0);
                assert_eq!(cells, host, "{len}, {by}");
            }
        }
    }
}
