//! Flash in memory.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use embedded_storage_async::nor_flash::{ErrorType, NorFlash, NorFlashError, NorFlashErrorKind, ReadNorFlash};

/// Flash in memory that loses power.
#[derive(Clone)]
pub(crate) struct Flash<const PAGE: usize, const PAGES: usize> {
    bytes: Rc<RefCell<Vec<u8>>>,
    /// Bytes that can still be written; the power is lost with the last of them.
    pub(crate) left: Rc<Cell<Option<usize>>>,
    /// Bytes that were written.
    pub(crate) written: Rc<Cell<usize>>,
    /// How often it was read.
    pub(crate) reads: Rc<Cell<usize>>,
    /// How often each page was erased.
    pub(crate) erased: Rc<RefCell<[u32; PAGES]>>,
}

#[derive(Debug)]
pub(crate) struct NoPower;

impl NorFlashError for NoPower {
    fn kind(&self) -> NorFlashErrorKind {
        NorFlashErrorKind::Other
    }
}

impl<const PAGE: usize, const PAGES: usize> ErrorType for Flash<PAGE, PAGES> {
    type Error = NoPower;
}

impl<const PAGE: usize, const PAGES: usize> Flash<PAGE, PAGES> {
    pub(crate) fn new() -> Self {
        Self::with(vec![0xFF; PAGE * PAGES])
    }

    /// With these bytes in it.
    pub(crate) fn with(bytes: Vec<u8>) -> Self {
        let (bytes, erased) = (Rc::new(RefCell::new(bytes)), Rc::new(RefCell::new([0; PAGES])));
        Self { bytes, left: Rc::default(), written: Rc::default(), reads: Rc::default(), erased }
    }

    /// What is in it.
    pub(crate) fn image(&self) -> Vec<u8> {
        self.bytes.borrow().clone()
    }

    /// All of it.
    pub(crate) const fn range() -> core::ops::Range<u32> {
        0..(PAGE * PAGES) as u32
    }

    pub(crate) fn is_dead(&self) -> bool {
        self.left.get() == Some(0)
    }

    /// Nothing goes on without power.
    async fn go_on(&self) -> Result<(), NoPower> {
        if self.is_dead() {
            std::future::pending::<()>().await;
        }
        Ok(())
    }

    /// Takes as much of the power as there is.
    fn spend(&self, bytes: usize) -> usize {
        let Some(left) = self.left.get() else { return bytes };
        self.left.set(Some(left.saturating_sub(bytes)));
        left.min(bytes)
    }
}

impl<const PAGE: usize, const PAGES: usize> ReadNorFlash for Flash<PAGE, PAGES> {
    const READ_SIZE: usize = 1;

    async fn read(&mut self, offset: u32, bytes: &mut [u8]) -> Result<(), NoPower> {
        self.reads.set(self.reads.get() + 1);
        self.go_on().await?;
        let start = offset as usize;
        bytes.copy_from_slice(&self.bytes.borrow()[start..start + bytes.len()]);
        Ok(())
    }

    fn capacity(&self) -> usize {
        PAGE * PAGES
    }
}

impl<const PAGE: usize, const PAGES: usize> NorFlash for Flash<PAGE, PAGES> {
    const WRITE_SIZE: usize = 4;
    const ERASE_SIZE: usize = PAGE;

    async fn erase(&mut self, from: u32, to: u32) -> Result<(), NoPower> {
        self.go_on().await?;
        for page in from as usize / PAGE..to as usize / PAGE {
            self.erased.borrow_mut()[page] += 1;
        }
        // Half-way through, half of it is erased.
        let len = (to - from) as usize;
        let done = self.spend(16).min(16) * len / 16;
        self.bytes.borrow_mut()[from as usize..from as usize + done].fill(0xFF);
        self.go_on().await
    }

    async fn write(&mut self, offset: u32, bytes: &[u8]) -> Result<(), NoPower> {
        self.go_on().await?;
        let done = self.spend(bytes.len());
        self.written.set(self.written.get() + done);
        for (to, from) in self.bytes.borrow_mut()[offset as usize..].iter_mut().zip(&bytes[..done]) {
            *to &= from;
        }
        self.go_on().await
    }
}
