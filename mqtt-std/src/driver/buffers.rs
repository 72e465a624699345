//! Buffers that connections lend each other: one that has nothing to read or to write has none.

use core::cell::RefCell;

use bytes::Bytes;

/// Bytes that are all initialised, so that they are filled with zeros once.
pub(super) type Buffer = Vec<u8>;

/// What a buffer has at least.
pub(super) const SIZE: usize = 64 * 1024;

/// More are not kept, nor larger ones.
const KEPT: usize = 8;
const LARGEST: usize = 4 * SIZE;

thread_local! {
    static SPARE: RefCell<Vec<Buffer>> = const { RefCell::new(Vec::new()) };
}

/// A buffer of this thread's, or a new one. What is in it is of no meaning.
pub(super) fn take() -> Buffer {
    // A thread that ends has none any more.
    let spare = SPARE.try_with(|spare| spare.borrow_mut().pop()).ok().flatten();
    spare.unwrap_or_else(|| vec![0; SIZE])
}

/// It is no longer needed.
pub(super) fn give_back(buffer: Buffer) {
    if buffer.len() < SIZE || buffer.len() > LARGEST {
        return;
    }
    let _ = SPARE.try_with(|spare| {
        let mut spare = spare.borrow_mut();
        if spare.len() < KEPT {
            spare.push(buffer);
        }
    });
}

/// These one behind the other, to be kept. Where they fill most of a buffer they are in one, which others have again when nobody
/// keeps them any more: memory of that size goes back to the system whenever it is free, and is expensive to get anew.
pub(crate) fn keep(parts: [&[u8]; 3]) -> Bytes {
    let len = parts.iter().fold(0_usize, |len, part| len.saturating_add(part.len()));
    if !(SIZE / 2..=LARGEST).contains(&len) {
        let mut bytes = Vec::with_capacity(len);
        parts.iter().for_each(|part| bytes.extend_from_slice(part));
        return bytes.into();
    }
    let mut buffer = fitting(len);
    let mut at = 0_usize;
    for part in parts {
        let end = at.saturating_add(part.len());
        if let Some(place) = buffer.get_mut(at..end) {
            place.copy_from_slice(part);
        }
        at = end;
    }
    Bytes::from_owner(Kept { buffer, len })
}

/// A buffer of so many bytes, and at most twice as many, so that no message holds much more than its own.
fn fitting(len: usize) -> Buffer {
    let fits = |buffer: &Buffer| (len..=len.saturating_mul(2)).contains(&buffer.len());
    let spare = SPARE.try_with(|spare| {
        let mut spare = spare.borrow_mut();
        spare.iter().rposition(fits).map(|at| spare.swap_remove(at))
    });
    spare.ok().flatten().unwrap_or_else(|| vec![0; len.max(SIZE)])
}

struct Kept {
    buffer: Buffer,
    len: usize,
}

impl AsRef<[u8]> for Kept {
    fn as_ref(&self) -> &[u8] {
        self.buffer.get(..self.len).unwrap_or(&[])
    }
}

impl Drop for Kept {
    fn drop(&mut self) {
        give_back(core::mem::take(&mut self.buffer));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_kept_is_what_it_was_and_fills_half_of_its_buffer() {
        for len in [0, 10, SIZE / 2 - 1, SIZE / 2, SIZE, SIZE + 1, LARGEST, LARGEST + 1] {
            let payload = vec![7; len];
            let kept = keep([b"topic", &[], &payload]);
            assert_eq!(kept.len(), len + 5);
            assert!(kept.starts_with(b"topic") && kept.ends_with(&payload), "{len}");
            // Another that is kept at the same time has another buffer.
            let other = keep([&[], &[], &vec![8; len]]);
            assert!(kept.ends_with(&payload) && other.iter().all(|byte| *byte == 8), "{len}");
        }
    }

    #[test]
    fn a_message_holds_no_buffer_that_is_much_larger() {
        for _ in 0..KEPT {
            give_back(vec![0; LARGEST]);
        }
        for len in [SIZE / 2, SIZE, SIZE + 1, LARGEST] {
            let buffer = fitting(len);
            assert!((len..=2 * len).contains(&buffer.len()), "{len} {}", buffer.len());
        }
    }
}
