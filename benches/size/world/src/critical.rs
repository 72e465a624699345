//! Critical sections for one core, as on a real device.

use core::arch::asm;

struct SingleCore;
critical_section::set_impl!(SingleCore);

// SAFETY: nothing interrupts between `acquire` and `release`.
unsafe impl critical_section::Impl for SingleCore {
    unsafe fn acquire() -> bool {
        let primask: u32;
        unsafe {
            asm!("mrs {}, PRIMASK", out(reg) primask, options(nomem, nostack, preserves_flags));
            asm!("cpsid i", options(nostack, preserves_flags));
        }
        primask & 1 == 0
    }

    unsafe fn release(were_enabled: bool) {
        if were_enabled {
            unsafe { asm!("cpsie i", options(nostack, preserves_flags)) };
        }
    }
}
