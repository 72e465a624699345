//! The store on NOR flash.

use core::hint::black_box;
use core::ops::Range;

use embassy_sync::blocking_mutex::raw::NoopRawMutex;
use embedded_storage_async::nor_flash::{ErrorType, NorFlash, NorFlashError, NorFlashErrorKind, ReadNorFlash};
use mqtt_embedded::*;

use crate::world::{Dial, Dice, Time, run};
use any::{call, opaque};

type Memory = Sizes<4, 512, 4, 512, 128, 4, 32>;
type Flash = FlashStore<Chip, 4, 8, 256>;

pub(crate) fn call_all() {
    call(|range: Range<u32>| Flash::new(Chip, range));
    call(|mqtt: &'static Resources<NoopRawMutex, Time, Memory>, options: &'static Options<'static>| {
        let mut store = Flash::new(Chip, opaque())?;
        run(Runner::new(mqtt, opaque(), opaque()).run_durable(&mut Dial, options, &mut Dice, &mut store, opaque()));
        Some(())
    });
}

/// Fails as it likes.
struct Chip;

#[derive(Debug)]
struct Broken(NorFlashErrorKind);

impl NorFlashError for Broken {
    fn kind(&self) -> NorFlashErrorKind {
        self.0
    }
}

impl ErrorType for Chip {
    type Error = Broken;
}

impl ReadNorFlash for Chip {
    const READ_SIZE: usize = 1;

    async fn read(&mut self, _: u32, bytes: &mut [u8]) -> Result<(), Broken> {
        black_box(bytes);
        opaque()
    }

    fn capacity(&self) -> usize {
        opaque()
    }
}

impl NorFlash for Chip {
    const WRITE_SIZE: usize = 4;
    const ERASE_SIZE: usize = 4096;

    async fn erase(&mut self, _: u32, _: u32) -> Result<(), Broken> {
        opaque()
    }

    async fn write(&mut self, _: u32, bytes: &[u8]) -> Result<(), Broken> {
        black_box(bytes);
        opaque()
    }
}
