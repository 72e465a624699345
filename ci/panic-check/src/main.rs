//! An image that calls every public function of `mqtt-core` with input that the optimiser knows nothing about, and whose panic
//! handler calls a function that does not exist. It links only if no panic is left in it.
//!
//! Each line of `main` calls one function once: [`call`] makes its arguments by [`opaque`], which gives *any* value of a type,
//! for a machine also those that no sequence of calls leads to. `run` compares the names here with those in `mqtt-core/src`.
//!
//! `Debug` is left out, as is everything that needs `defmt` or `log`. `Display` is in: [`Display`](core::fmt::Display) of
//! every error and type that has it, written to a sink that may fail.

#![no_std]
#![no_main]

mod display;
mod machine;
mod packets;
mod values;

use core::ffi::c_void;
use core::hint::black_box;
use core::panic::PanicInfo;
use core::ptr;

use any::call;

unsafe extern "C" {
    /// Exists nowhere. It takes the place of the panic so that that stays in an image which is linked to find it.
    fn mqtt_core_can_panic(place: *const c_void) -> !;
}

#[panic_handler]
fn panic(place: &PanicInfo<'_>) -> ! {
    unsafe { mqtt_core_can_panic(ptr::from_ref(place).cast()) }
}

#[unsafe(no_mangle)]
extern "C" fn _start() -> ! {
    values::call_all();
    packets::call_all();
    machine::call_all();
    display::call_all();
    if cfg!(feature = "seeded-panic") {
        call(|bytes: &[u8], index: usize| bytes[index]);
    }
    if cfg!(feature = "seeded-recursion") {
        call(recurse);
    }
    loop {}
}

#[inline(never)]
fn recurse(depth: u32) -> u32 {
    if depth == 0 { 0 } else { black_box(recurse(black_box(depth))) }
}
