//! An image that runs on QEMU's `mps2-an386` (or `-an385`), with a scripted broker in it, and counts.
//!
//! QEMU lets 1,024 ns pass with each instruction (`-icount shift=10`), so the board's 25 MHz timer tells how many were executed. It
//! is read where the image enters the world and where it leaves it: the world's own work is not counted.

use core::arch::{asm, naked_asm};
use core::future::Future;
use core::pin::Pin;
use core::ptr;
use core::sync::atomic::{AtomicBool, Ordering};
use core::task::{Context, RawWaker, RawWakerVTable, Waker};

use crate::{PAYLOAD, PING, PUBLISH_QOS_0, PUBLISH_QOS_1, RECEIVE};

/// How often each operation is done; figures are means of them.
const TIMES: u32 = 64;

/// What is done: what the application is told, the QoS of the message that it receives, and the name.
const STEPS: [(u32, u8, &str); 10] = [
    // Once for warming up, which is not counted.
    (PUBLISH_QOS_1, 0, ""),
    (PUBLISH_QOS_0, 0, ""),
    (RECEIVE, 1, ""),
    (RECEIVE, 0, ""),
    (PING, 0, ""),
    (RECEIVE, 0, "receive-0"),
    (RECEIVE, 1, "receive-1"),
    (PUBLISH_QOS_0, 0, "publish-0"),
    (PUBLISH_QOS_1, 0, "publish-1"),
    (PING, 0, "ping"),
];

const STACK_BOTTOM: usize = 0x2000_0000;
/// As `count` tells the board.
const STACK_TOP: usize = 0x2001_0000;
const PAINT: u32 = 0xC0DE_CAFE;

/// Paints the stack, switches the floating point unit on where there is one, and starts the image.
#[unsafe(naked)]
#[unsafe(no_mangle)]
unsafe extern "C" fn board_start() -> ! {
    naked_asm!(
        "ldr r0, ={bottom}",
        "mov r1, sp",
        "ldr r2, ={paint}",
        "1: str r2, [r0]",
        "adds r0, #4",
        "cmp r0, r1",
        "bne 1b",
        "ldr r0, =0xE000ED88",
        "ldr r1, =0x00F00000",
        "str r1, [r0]",
        "dsb",
        "isb",
        "ldr r0, =_start",
        "bx r0",
        bottom = const STACK_BOTTOM,
        paint = const PAINT,
    )
}

/// A transport, a clock and an application.
#[derive(Clone, Copy, Debug)]
pub struct World;

struct Board {
    /// From the broker to the client.
    to_client: [u8; 256],
    first: usize,
    last: usize,
    /// From the client, until it is a whole packet.
    from_client: [u8; 256],
    filled: usize,
    v5: bool,
    reader: Option<Waker>,
    timer: Option<(u64, Waker)>,
    milliseconds: u64,
    step: usize,
    done: u32,
    /// Ticks outside of the world in this step, and when it was left.
    ticks: u64,
    left_at: u32,
    /// Seen by the broker and the application in this step.
    acknowledged: u32,
    published: u32,
    taken: u32,
}

static mut BOARD: Board = Board {
    to_client: [0; 256],
    first: 0,
    last: 0,
    from_client: [0; 256],
    filled: 0,
    v5: false,
    reader: None,
    timer: None,
    milliseconds: 1,
    step: 0,
    done: 0,
    ticks: 0,
    left_at: 0,
    acknowledged: 0,
    published: 0,
    taken: 0,
};

impl World {
    /// Stops the count while the world works.
    #[inline(always)]
    fn visit<R>(&mut self, work: impl FnOnce(&mut Board) -> R) -> R {
        let entered_at = timer();
        // SAFETY: there is one thread, no interrupt, and the world does not call itself.
        let board = unsafe { &mut *&raw mut BOARD };
        // It counts down.
        board.ticks += u64::from(board.left_at.wrapping_sub(entered_at));
        let result = work(board);
        board.left_at = timer();
        result
    }

    /// Milliseconds.
    #[inline(never)]
    pub fn now(&mut self) -> u64 {
        self.visit(|board| board.milliseconds)
    }

    /// Fills the front of the buffer and says how much; 0: there is nothing yet.
    #[inline(never)]
    pub fn read(&mut self, buffer: &mut [u8]) -> usize {
        self.visit(|board| {
            let waiting = &board.to_client[board.first..board.last];
            let len = waiting.len().min(buffer.len());
            buffer[..len].copy_from_slice(&waiting[..len]);
            board.first += len;
            len
        })
    }

    /// Whether there is something to read.
    #[inline(never)]
    pub fn readable(&mut self) -> bool {
        self.visit(|board| board.first < board.last)
    }

    /// Sends all.
    #[inline(never)]
    pub fn write(&mut self, bytes: &[u8]) {
        self.visit(|board| {
            board.from_client[board.filled..board.filled + bytes.len()].copy_from_slice(bytes);
            board.filled += bytes.len();
            while let Some(len) = packet_len(&board.from_client[..board.filled]) {
                board.answer();
                board.from_client.copy_within(len..board.filled, 0);
                board.filled -= len;
            }
        });
    }

    /// The application takes a part of a message.
    #[inline(never)]
    pub fn take(&mut self, bytes: &[u8]) {
        self.visit(|board| board.taken += u32::from(bytes == PAYLOAD));
    }

    /// What the application does next.
    #[inline(never)]
    pub fn command(&mut self) -> u32 {
        self.visit(|board| {
            if (board.step, board.done) == (0, 0) {
                start();
            } else if board.done == TIMES || STEPS[board.step].2.is_empty() {
                board.end_of_step();
            }
            board.done += 1;
            let (command, qos, _) = STEPS[board.step];
            if command == RECEIVE {
                board.publish(qos);
            }
            command
        })
    }

    /// Nothing can go on: the clock does.
    pub fn idle(&mut self) {
        self.visit(|board| match board.timer.take() {
            Some((at, waker)) if at < board.milliseconds + 10 => {
                board.milliseconds = at;
                waker.wake();
            }
            _ => fail("the image waits for what will never be"),
        });
    }

    pub(crate) fn wake_when_readable(&mut self, waker: &Waker) {
        self.visit(|board| board.reader = Some(waker.clone()));
    }

    /// Keeps the earlier one of two.
    pub(crate) fn wake_at(&mut self, at: u64, waker: &Waker) {
        self.visit(|board| {
            if board.timer.as_ref().is_none_or(|(other, _)| at <= *other) {
                board.timer = Some((at, waker.clone()));
            }
        });
    }
}

impl Board {
    fn send(&mut self, bytes: &[u8]) {
        if self.first == self.last {
            (self.first, self.last) = (0, 0);
        }
        self.to_client[self.last..self.last + bytes.len()].copy_from_slice(bytes);
        self.last += bytes.len();
        if let Some(waker) = self.reader.take() {
            waker.wake();
        }
    }

    /// What the broker does with a packet.
    fn answer(&mut self) {
        match self.from_client[0] >> 4 {
            1 => {
                self.v5 = self.from_client[8] == 5;
                self.send(if self.v5 { &[0x20, 3, 0, 0, 0] } else { &[0x20, 2, 0, 0] });
            }
            3 => {
                self.published += 1;
                if self.from_client[0] & 6 != 0 {
                    // Behind one byte of length and the topic.
                    let topic = usize::from(self.from_client[3]);
                    let [high, low] = [self.from_client[4 + topic], self.from_client[5 + topic]];
                    self.send(&[0x40, 2, high, low]);
                }
            }
            4 => self.acknowledged += 1,
            8 => {
                let [high, low] = [self.from_client[2], self.from_client[3]];
                if self.v5 {
                    self.send(&[0x90, 4, high, low, 0, 1]);
                } else {
                    self.send(&[0x90, 3, high, low, 1]);
                }
            }
            12 => self.send(&[0xD0, 0]),
            _ => fail("the broker does not expect this packet"),
        }
    }

    /// A message for the client.
    fn publish(&mut self, qos: u8) {
        let mut packet = [0; 96];
        let head: &[u8] = b"\0\x10cellar/pump/cmd1";
        packet[0] = 0x30 | qos << 1;
        let mut at = 2;
        let mut add = |bytes: &[u8]| {
            packet[at..at + bytes.len()].copy_from_slice(bytes);
            at += bytes.len();
        };
        add(head);
        if qos > 0 {
            add(&[0, (self.done % 100) as u8 + 1]);
        }
        if self.v5 {
            add(&[0]);
        }
        add(PAYLOAD);
        packet[1] = at as u8 - 2;
        self.send(&packet[..at]);
    }

    fn end_of_step(&mut self) {
        let (command, qos, name) = STEPS[self.step];
        if !name.is_empty() {
            let expected = match (command, qos) {
                (RECEIVE, _) => self.taken,
                (PUBLISH_QOS_0 | PUBLISH_QOS_1, _) => self.published,
                _ => self.done,
            };
            // The last packets may leave when the next step has begun.
            if expected + 2 < self.done || qos == 1 && self.acknowledged + 2 < self.done {
                fail("an operation was not done");
            }
            // 25 ticks in 1,000 ns, 1,024 ns in an instruction; rounded.
            let instructions = self.ticks * 40 / 1024;
            say(name);
            say_number(((instructions + u64::from(self.done) / 2) / u64::from(self.done)) as u32);
        }
        (self.ticks, self.done, self.acknowledged, self.published, self.taken) = (0, 0, 0, 0, 0);
        self.step += 1;
        if self.step == STEPS.len() {
            say("stack");
            say_number(high_water());
            exit(true);
        }
    }
}

/// The length of the packet in front, if it is all there; none is longer than 127 bytes and its head.
fn packet_len(bytes: &[u8]) -> Option<usize> {
    let len = 2 + usize::from(*bytes.get(1)?);
    (len <= bytes.len()).then_some(len)
}

/// Polls the tasks that were woken.
pub fn run(tasks: &mut [Pin<&mut dyn Future<Output = ()>>]) -> ! {
    say("futures");
    say_number(tasks.iter().map(|task| size_of_val(&**task)).sum::<usize>() as u32);
    loop {
        let mut idle = true;
        for (task, woken) in tasks.iter_mut().zip(&WOKEN) {
            if woken.load(Ordering::Relaxed) {
                woken.store(false, Ordering::Relaxed);
                idle = false;
                // SAFETY: the functions of the table want a pointer to a flag, and flags live for ever.
                let waker = unsafe { Waker::from_raw(raw_waker(ptr::from_ref(woken).cast())) };
                if task.as_mut().poll(&mut Context::from_waker(&waker)).is_ready() {
                    fail("a task has ended");
                }
            }
        }
        if idle {
            World.idle();
        }
    }
}

static WOKEN: [AtomicBool; 4] = [const { AtomicBool::new(true) }; 4];

static TABLE: RawWakerVTable = RawWakerVTable::new(raw_waker, wake, wake, |_| ());

fn raw_waker(flag: *const ()) -> RawWaker {
    RawWaker::new(flag, &TABLE)
}

fn wake(flag: *const ()) {
    // SAFETY: it is one of `WOKEN`.
    unsafe { &*flag.cast::<AtomicBool>() }.store(true, Ordering::Relaxed);
}

const TIMER: *mut u32 = 0x4000_0000 as *mut u32;

/// Starts the timer; it runs for 171 s of the board's time.
fn start() {
    // SAFETY: the registers of the board: value, reload, control.
    unsafe {
        TIMER.add(2).write_volatile(u32::MAX);
        TIMER.add(1).write_volatile(u32::MAX);
        TIMER.write_volatile(1);
    }
}

fn timer() -> u32 {
    // SAFETY: a register of the board.
    unsafe { TIMER.add(1).read_volatile() }
}

/// The most bytes of the stack that were in use at once.
fn high_water() -> u32 {
    let mut at = STACK_BOTTOM as *const u32;
    // SAFETY: the stack, word by word.
    while unsafe { at.read_volatile() } == PAINT {
        at = at.wrapping_add(1);
    }
    (STACK_TOP - at as usize) as u32
}

fn semihosting(operation: u32, argument: usize) {
    // SAFETY: QEMU takes it.
    unsafe { asm!("bkpt 0xAB", inout("r0") operation => _, in("r1") argument, options(nostack)) };
}

fn say(text: &str) {
    for byte in text.bytes() {
        semihosting(3, ptr::from_ref(&byte) as usize);
    }
    semihosting(3, ptr::from_ref(&b' ') as usize);
}

fn say_number(number: u32) {
    let mut divisor = 1_000_000_000;
    while divisor > 0 {
        if number >= divisor || divisor == 1 {
            semihosting(3, ptr::from_ref(&(b'0' + (number / divisor % 10) as u8)) as usize);
        }
        divisor /= 10;
    }
    semihosting(3, ptr::from_ref(&b'\n') as usize);
}

fn exit(well: bool) -> ! {
    semihosting(0x18, if well { 0x2_0026 } else { 0x2_0023 });
    loop {}
}

fn fail(why: &str) -> ! {
    say(why);
    exit(false)
}

#[panic_handler]
fn panic(info: &core::panic::PanicInfo<'_>) -> ! {
    let _ = info;
    fail("panic")
}
