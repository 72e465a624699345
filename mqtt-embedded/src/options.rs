//! How a client connects and behaves.

use mqtt_core::{Backoff, ConnectOptions, Fallback, GeneratedClientIdentifier};
use rand_core::RngCore;

/// What a [`Runner`](crate::Runner) needs to know.
///
/// ```
/// use mqtt_embedded::{ConnectOptions, Options};
///
/// const OPTIONS: Options<'static> = Options::new(ConnectOptions::new("stairlamp").keep_alive(30)).connect_timeout(5_000);
/// ```
#[derive(Clone, Copy, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub struct Options<'a> {
    /// What CONNECT says.
    pub connect: ConnectOptions<'a>,
    /// See [`backoff`](Self::backoff).
    pub backoff: Backoff,
    /// See [`fallback`](Self::fallback).
    pub fallback: Fallback,
    /// See [`connect_timeout`](Self::connect_timeout).
    pub connect_timeout: u32,
    /// See [`stall_timeout`](Self::stall_timeout).
    pub stall_timeout: u32,
}

impl<'a> Options<'a> {
    /// Options with this CONNECT.
    #[must_use]
    pub const fn new(connect: ConnectOptions<'a>) -> Self {
        Self {
            connect,
            backoff: Backoff::new(),
            fallback: Fallback::OFF,
            connect_timeout: 10_000,
            stall_timeout: 5_000,
        }
    }

    /// Sets when to try again after a connection is lost.
    #[must_use]
    pub const fn backoff(mut self, backoff: Backoff) -> Self {
        self.backoff = backoff;
        self
    }

    /// Sets when to speak 3.1.1 with a Server that does not speak 5.0; default: never, because that takes both in the image.
    #[must_use]
    pub const fn fallback(mut self, fallback: Fallback) -> Self {
        self.fallback = fallback;
        self
    }

    /// Sets for how many milliseconds an attempt to connect may take, name look-up and TLS included; default: 10,000. CONNACK has
    /// a time of its own, [`ConnectOptions::connack_timeout`].
    #[must_use]
    pub const fn connect_timeout(mut self, milliseconds: u32) -> Self {
        self.connect_timeout = milliseconds;
        self
    }

    /// Sets for how many milliseconds a message waits for room in the inbox while nothing more is read; default: 5,000; a
    /// tenth of that while something of ours has no outcome yet, which may be what the reader waits for. After
    /// that one at QoS 0 is dropped and counted; at QoS 1 and 2 it and those behind it are passed over, and once the
    /// inbox is empty the connection is made anew, so that the Server sends them again. A [source](crate::PayloadSource) that gives
    /// nothing for as long has failed.
    ///
    /// For as long, from the first connection on, messages at QoS 1 and 2 of a session that the Server has kept wait for those who
    /// will subscribe to them: subscribe by then.
    #[must_use]
    pub const fn stall_timeout(mut self, milliseconds: u32) -> Self {
        self.stall_timeout = milliseconds;
        self
    }
}

/// Makes a Client Identifier of random numbers, for a device that has no name of its own: 23 letters and digits, which every Server
/// takes.
///
/// It is another one after each restart, and so is the session. Where the session is to go on keep it in flash, or make it of
/// what is the device's own.
///
/// ```
/// # struct Rng;
/// # impl rand_core::RngCore for Rng {
/// #     fn next_u32(&mut self) -> u32 { 4 }
/// #     fn next_u64(&mut self) -> u64 { 4 }
/// #     fn fill_bytes(&mut self, dest: &mut [u8]) { dest.fill(4) }
/// #     fn try_fill_bytes(&mut self, dest: &mut [u8]) -> Result<(), rand_core::Error> { Ok(dest.fill(4)) }
/// # }
/// use mqtt_embedded::{ConnectOptions, GeneratedClientIdentifier, Options, client_identifier};
///
/// let identifier = client_identifier(&mut Rng); // of the chip's random number generator
/// let options = Options::new(ConnectOptions::new(identifier.as_str()));
///
/// let serial_number = [7; 16];
/// let always_the_same = GeneratedClientIdentifier::new(serial_number);
/// # assert_ne!(identifier, always_the_same);
/// # assert_eq!(options.connect.client_identifier.len(), 23);
/// ```
#[must_use]
pub fn client_identifier(random: &mut impl RngCore) -> GeneratedClientIdentifier {
    let mut bytes = [0; 16];
    random.fill_bytes(&mut bytes);
    GeneratedClientIdentifier::new(bytes)
}
