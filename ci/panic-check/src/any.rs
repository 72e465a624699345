//! Calls with input that nothing is known about.

#![no_std]

use core::hash::{Hash, Hasher};
use core::hint::black_box;
use core::mem::MaybeUninit;

/// Any value of the type, as far as the optimiser can tell. The image is never run: no value is ever made.
#[inline(always)]
pub fn opaque<T>() -> T {
    unsafe { black_box(MaybeUninit::uninit()).assume_init() }
}

/// Something that takes arguments.
pub trait Callable<Arguments> {
    fn call(self);
}

macro_rules! callable {
    ($($argument:ident)*) => {
        impl<Function: Fn($($argument),*) -> Output, Output, $($argument),*> Callable<($($argument,)*)> for Function {
            // A function of its own: its symbol names the culprit.
            #[inline(never)]
            fn call(self) {
                black_box(self($(opaque::<$argument>()),*));
            }
        }
    };
}

callable!();
callable!(A);
callable!(A B);
callable!(A B C);
callable!(A B C D);
callable!(A B C D E);

/// Calls `function` with opaque arguments, and uses what it returns.
pub fn call<Arguments>(function: impl Callable<Arguments>) {
    function.call();
}

/// Walks an iterator to its end.
pub fn walk<T>(items: impl Iterator<Item = T> + Clone) {
    black_box(items.size_hint());
    items.clone().for_each(|item| {
        black_box(item);
    });
    for item in items {
        black_box(item);
    }
}

/// Calls what every type derives.
pub fn compared<T: Clone + Eq>() {
    call(|value: &T| value.clone());
    call(|value: &mut T, other: &T| value.clone_from(other));
    call(|a: &T, b: &T| a == b);
}

/// Calls what most types derive.
pub fn derived<T: Clone + Eq + Hash>() {
    compared::<T>();
    call(|value: &T| value.hash(&mut Sink));
}

/// Calls what types that are ordered derive.
pub fn ordered<T: Clone + Hash + Ord>() {
    derived::<T>();
    call(|a: &T, b: &T| a.cmp(b));
    call(|a: &T, b: &T| a.partial_cmp(b));
    call(|a: &T, b: &T| a < b);
}

/// Takes all that is hashed.
struct Sink;

impl Hasher for Sink {
    fn write(&mut self, bytes: &[u8]) {
        black_box(bytes);
    }

    fn finish(&self) -> u64 {
        opaque()
    }
}
