//! The LAN9118 of the board, by programmed I/O.

use core::cell::RefCell;
use core::ptr;
use core::task::Context;

use critical_section::Mutex;
use embassy_net_driver::{Capabilities, Driver, HardwareAddress, LinkState, RxToken, TxToken};
use embassy_sync::waitqueue::WakerRegistration;

use crate::irq::Irq;

const BASE: usize = 0x4020_0000;

/// Registers, as offsets.
mod register {
    pub(super) const RX_DATA: usize = 0x00;
    pub(super) const TX_DATA: usize = 0x20;
    pub(super) const RX_STATUS: usize = 0x40;
    pub(super) const TX_STATUS: usize = 0x48;
    pub(super) const IRQ_CFG: usize = 0x54;
    pub(super) const INT_STS: usize = 0x58;
    pub(super) const INT_EN: usize = 0x5C;
    pub(super) const FIFO_INT: usize = 0x68;
    pub(super) const RX_CFG: usize = 0x6C;
    pub(super) const TX_CFG: usize = 0x70;
    pub(super) const HW_CFG: usize = 0x74;
    pub(super) const RX_FIFO_INF: usize = 0x7C;
    pub(super) const TX_FIFO_INF: usize = 0x80;
    pub(super) const MAC_CSR_CMD: usize = 0xA4;
    pub(super) const MAC_CSR_DATA: usize = 0xA8;
}

/// Registers of the MAC, behind a window.
mod mac {
    pub(super) const CONTROL: u32 = 1;
    pub(super) const ADDRESS_HIGH: u32 = 2;
    pub(super) const ADDRESS_LOW: u32 = 3;
    pub(super) const MII_ACCESS: u32 = 6;
    pub(super) const MII_DATA: u32 = 7;
}

/// Registers of the PHY, behind a window of the MAC.
mod phy {
    pub(super) const STATUS: u32 = 1;
    pub(super) const INTERRUPT_SOURCE: u32 = 29;
    pub(super) const INTERRUPT_MASK: u32 = 30;
    pub(super) const LINK_UP: u32 = 1 << 2;
    pub(super) const LINK_DOWN_INTERRUPT: u32 = 1 << 4;
    pub(super) const ENERGY_ON_INTERRUPT: u32 = 1 << 7;
    pub(super) const NEGOTIATED_INTERRUPT: u32 = 1 << 6;
}

/// A packet is there, a packet has left, the PHY has news.
const RECEIVED: u32 = 1 << 3;
const PHY: u32 = 1 << 18;

/// An Ethernet frame without its checksum.
const FRAME: usize = 1514;

fn read(register: usize) -> u32 {
    // SAFETY: a register of the controller, which this file alone uses.
    unsafe { ptr::read_volatile((BASE + register) as *const u32) }
}

fn write(register: usize, value: u32) {
    // SAFETY: as above.
    unsafe { ptr::write_volatile((BASE + register) as *mut u32, value) }
}

fn mac_read(index: u32) -> u32 {
    write(register::MAC_CSR_CMD, 1 << 31 | 1 << 30 | index);
    while read(register::MAC_CSR_CMD) >> 31 != 0 {}
    read(register::MAC_CSR_DATA)
}

fn mac_write(index: u32, value: u32) {
    write(register::MAC_CSR_DATA, value);
    write(register::MAC_CSR_CMD, 1 << 31 | index);
    while read(register::MAC_CSR_CMD) >> 31 != 0 {}
}

fn phy_read(index: u32) -> u32 {
    mac_write(mac::MII_ACCESS, 1 << 11 | index << 6 | 1);
    while mac_read(mac::MII_ACCESS) & 1 != 0 {}
    mac_read(mac::MII_DATA) & 0xFFFF
}

fn phy_write(index: u32, value: u32) {
    mac_write(mac::MII_DATA, value);
    mac_write(mac::MII_ACCESS, 1 << 11 | index << 6 | 1 << 1 | 1);
    while mac_read(mac::MII_ACCESS) & 1 != 0 {}
}

static WAKER: Mutex<RefCell<WakerRegistration>> = Mutex::new(RefCell::new(WakerRegistration::new()));

/// The controller, started.
#[derive(Debug)]
pub struct Ethernet {
    address: [u8; 6],
    frame: [u8; FRAME],
}

impl Ethernet {
    /// Starts it, with the address that QEMU gave it.
    #[must_use]
    pub fn start() -> Self {
        write(register::HW_CFG, 5 << 16 | 1 << 20); // transmit buffers of 5 KiB, store and forward
        write(register::FIFO_INT, 0);
        write(register::RX_CFG, 0);
        write(register::TX_CFG, 1 << 1);
        mac_write(mac::CONTROL, 1 << 20 | 1 << 3 | 1 << 2); // full duplex, transmitter, receiver
        phy_write(phy::INTERRUPT_MASK, phy::LINK_DOWN_INTERRUPT | phy::ENERGY_ON_INTERRUPT | phy::NEGOTIATED_INTERRUPT);
        write(register::INT_STS, u32::MAX);
        write(register::INT_EN, RECEIVED | PHY);
        write(register::IRQ_CFG, 1 << 8 | 1 << 4 | 1); // enabled, active high, push-pull
        Irq::Ethernet.enable();
        let (low, high) = (mac_read(mac::ADDRESS_LOW).to_le_bytes(), mac_read(mac::ADDRESS_HIGH).to_le_bytes());
        Self { address: [low[0], low[1], low[2], low[3], high[0], high[1]], frame: [0; FRAME] }
    }
}

pub(crate) unsafe extern "C" fn interrupt() {
    if read(register::INT_STS) & PHY != 0 {
        let _ = phy_read(phy::INTERRUPT_SOURCE); // and it is silent
    }
    // A packet that waits would ring again at once: the driver takes it, and lets it ring then.
    write(register::INT_EN, PHY);
    write(register::INT_STS, u32::MAX);
    critical_section::with(|section| WAKER.borrow_ref_mut(section).wake());
}

/// Takes the next packet that came whole; tells its length.
fn receive(frame: &mut [u8; FRAME]) -> Option<usize> {
    loop {
        if read(register::RX_FIFO_INF) >> 16 & 0xFF == 0 {
            return None;
        }
        let status = read(register::RX_STATUS);
        let with_checksum = (status >> 16 & 0x3FFF) as usize;
        let len = with_checksum.saturating_sub(4);
        let good = status & 1 << 15 == 0 && len <= FRAME;
        for index in 0..with_checksum.div_ceil(4) {
            let word = read(register::RX_DATA).to_le_bytes();
            let at = index * 4;
            for (offset, byte) in word.into_iter().enumerate() {
                if good && at + offset < len {
                    frame[at + offset] = byte;
                }
            }
        }
        if good {
            return Some(len);
        }
    }
}

fn transmit(frame: &[u8]) {
    while read(register::TX_FIFO_INF) >> 16 & 0xFF > 0 {
        let _ = read(register::TX_STATUS); // nobody asks how it went
    }
    write(register::TX_DATA, 1 << 13 | 1 << 12 | frame.len() as u32); // first and last segment
    write(register::TX_DATA, frame.len() as u32);
    for chunk in frame.chunks(4) {
        let mut word = [0; 4];
        word[..chunk.len()].copy_from_slice(chunk);
        write(register::TX_DATA, u32::from_le_bytes(word));
    }
}

/// There is room for a whole frame.
fn may_transmit() -> bool {
    (read(register::TX_FIFO_INF) & 0xFFFF) as usize > FRAME + 16
}

impl Driver for Ethernet {
    type RxToken<'a> = Received<'a>;
    type TxToken<'a> = Transmitting<'a>;

    fn receive(&mut self, cx: &mut Context<'_>) -> Option<(Received<'_>, Transmitting<'_>)> {
        critical_section::with(|section| WAKER.borrow_ref_mut(section).register(cx.waker()));
        if !may_transmit() {
            return None;
        }
        let Some(len) = receive(&mut self.frame) else {
            write(register::INT_EN, RECEIVED | PHY);
            return None;
        };
        let (frame, rest) = self.frame.split_at_mut(len);
        let _ = rest;
        Some((Received(frame), Transmitting(core::marker::PhantomData)))
    }

    fn transmit(&mut self, cx: &mut Context<'_>) -> Option<Transmitting<'_>> {
        critical_section::with(|section| WAKER.borrow_ref_mut(section).register(cx.waker()));
        may_transmit().then_some(Transmitting(core::marker::PhantomData))
    }

    fn link_state(&mut self, cx: &mut Context<'_>) -> LinkState {
        critical_section::with(|section| WAKER.borrow_ref_mut(section).register(cx.waker()));
        if phy_read(phy::STATUS) & phy::LINK_UP != 0 { LinkState::Up } else { LinkState::Down }
    }

    fn capabilities(&self) -> Capabilities {
        let mut capabilities = Capabilities::default();
        capabilities.max_transmission_unit = FRAME;
        capabilities.max_burst_size = Some(1);
        capabilities
    }

    fn hardware_address(&self) -> HardwareAddress {
        HardwareAddress::Ethernet(self.address)
    }
}

/// A frame that was received.
#[derive(Debug)]
pub struct Received<'a>(&'a mut [u8]);

impl RxToken for Received<'_> {
    fn consume<R, F: FnOnce(&mut [u8]) -> R>(self, f: F) -> R {
        f(self.0)
    }
}

/// The right to transmit a frame.
#[derive(Debug)]
pub struct Transmitting<'a>(core::marker::PhantomData<&'a mut ()>);

impl TxToken for Transmitting<'_> {
    fn consume<R, F: FnOnce(&mut [u8]) -> R>(self, len: usize, f: F) -> R {
        let mut frame = [0; FRAME];
        let result = f(&mut frame[..len]);
        transmit(&frame[..len]);
        result
    }
}
