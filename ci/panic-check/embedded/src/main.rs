//! A client image of `mqtt-embedded` that calls every public function and polls every public future to its end, over a transport, a
//! clock, a flash and a randomness that the optimiser knows nothing about. The image is never run.
//!
//! It is linked whether or not it can panic; `remaining` names what is left and compares that with what is allowed. `Debug` is left
//! out, as in the core's image.

#![no_std]
#![no_main]

mod blocking;
mod client;
#[cfg(feature = "flash")]
mod flash;
#[cfg(feature = "tls")]
mod tls;
mod values;
mod world;

use core::panic::PanicInfo;
use core::ptr;

use any::call;

unsafe extern "C" {
    /// Exists nowhere: `remaining` gives it an address.
    fn mqtt_core_can_panic(place: *const core::ffi::c_void) -> !;
}

#[panic_handler]
fn panic(place: &PanicInfo<'_>) -> ! {
    unsafe { mqtt_core_can_panic(ptr::from_ref(place).cast()) }
}

#[unsafe(no_mangle)]
extern "C" fn _start() -> ! {
    blocking::call_all();
    client::call_all();
    values::call_all();
    #[cfg(feature = "flash")]
    flash::call_all();
    #[cfg(feature = "tls")]
    tls::call_all();
    if cfg!(feature = "seeded-panic") {
        call(|bytes: &[u8], index: usize| bytes[index]);
    }
    loop {}
}
