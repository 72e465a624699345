//! Buffers that connections lend each other: one that has nothing to read or to write has none.

use core::cell::RefCell;

/// Bytes that are all initialised, so that they are filled with zeros once.
pub(super) type Buffer = Vec<u8>;

/// What a buffer has at least.
pub(super) const SIZE: usize = 64 * 1024;

/// More are not kept, nor larger ones.
const KEPT: usize = 4;
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
