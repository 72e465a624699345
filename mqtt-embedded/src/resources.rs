//! All memory of a client, in one value.

use core::cell::RefCell;
use core::fmt;
use core::task::Waker;

use embassy_sync::blocking_mutex::Mutex;
use embassy_sync::blocking_mutex::raw::RawMutex;
use mqtt_core::{Aliases, ArrayStorage, Instant, Storage};

use crate::busy::Busy;
use crate::client::Client;
use crate::clock::Clock;
use crate::inbox::{Inbox, Messages};
use crate::receipts::Receipt;
use crate::routes::{RouteList, Routes};
use crate::state::State;

#[cfg(feature = "alias")]
type Alias = mqtt_core::ArrayAliases<2, 2, 32>;
#[cfg(not(feature = "alias"))]
type Alias = mqtt_core::NoAliases;

/// The memory of one client, `const`-constructible in a `static`: nothing is allocated.
///
/// `M` is a mutex of `embassy-sync`: `NoopRawMutex` where all tasks run on one executor, `CriticalSectionRawMutex` where handles are
/// used from interrupts or other executors. `C` is the [`Clock`], `P` the [`Sizes`].
///
/// ```
/// use embassy_sync::blocking_mutex::raw::CriticalSectionRawMutex;
/// use mqtt_embedded::{Clock, Resources, Sizes};
///
/// # #[derive(Debug)] struct MyClock;
/// # impl Clock for MyClock {
/// #     fn now(&self) -> mqtt_embedded::Instant { mqtt_embedded::Instant::from_millis(0) }
/// #     fn sleep_until(&self, _: mqtt_embedded::Instant) -> impl Future<Output = ()> { core::future::pending() }
/// # }
/// // 4 exchanges in flight with 512 bytes of messages, 4 messages to us with 1 KiB until they are taken, 256 bytes of QoS 0
/// // on their way out, 4 filters of 48 bytes.
/// type Memory = Sizes<4, 512, 4, 1024, 256, 4, 48>;
/// static MQTT: Resources<CriticalSectionRawMutex, MyClock, Memory> = Resources::new(MyClock);
/// assert!(core::mem::size_of_val(&MQTT) < 6 * 1024);
/// ```
pub struct Resources<M, C, P: Capacities> {
    state: Mutex<M, RefCell<State<P>>>,
    pub(crate) clock: C,
}

impl<M: RawMutex, C: Clock, P: Capacities> Resources<M, C, P> {
    /// Empty memory.
    #[must_use]
    pub const fn new(clock: C) -> Self {
        Self { state: Mutex::new(RefCell::new(State::new(false))), clock }
    }

    /// Empty memory of a client whose session is kept in a [`Store`](crate::Store): commands wait until
    /// [`Runner::run_durable`](crate::Runner::run_durable) has loaded it.
    #[must_use]
    pub const fn durable(clock: C) -> Self {
        Self { state: Mutex::new(RefCell::new(State::new(true))), clock }
    }

    /// The clock.
    #[must_use]
    pub const fn clock(&self) -> &C {
        &self.clock
    }

    /// A handle; as many as are wanted.
    #[must_use]
    pub const fn client(&self) -> Client<'_, M, C, P> {
        Client::new(self)
    }

    /// Looks at the state, or changes it. Never across a wait, and never within itself: see [`Busy`].
    pub(crate) fn with<T: Busy>(&self, change: impl FnOnce(&mut State<P>, Instant) -> T) -> T {
        let now = self.clock.now();
        self.locked(|state| change(state, now))
    }

    /// As [`with`](Self::with), whatever the time.
    pub(crate) fn locked<T: Busy>(&self, change: impl FnOnce(&mut State<P>) -> T) -> T {
        self.state.lock(|state| match state.try_borrow_mut() {
            Ok(mut state) => change(&mut state),
            Err(_) => T::busy(),
        })
    }
}

impl<M, C, P: Capacities> fmt::Debug for Resources<M, C, P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Resources").finish_non_exhaustive()
    }
}

/// How much memory each part has: see [`Sizes`].
pub trait Capacities: 'static {
    /// Exchanges in flight.
    type Storage: for<'p> Storage<Payload<'p> = &'p [u8]>;
    /// Topic Aliases.
    type Aliases: Aliases;
    /// Subscriptions.
    type Routes: RouteList;
    /// Messages that wait for their readers.
    type Inbox: Messages;
    /// Answers that wait for their owners.
    type Receipts: AsMut<[Receipt]>;
    /// Tasks that wait for a message.
    type Readers: AsMut<[Option<Waker>]>;
    /// Messages at QoS 0 on their way out.
    type Queue: AsMut<[u8]>;
    /// All of it, empty.
    #[doc(hidden)]
    const STORAGE: Self::Storage;
    #[doc(hidden)]
    const ALIASES: Self::Aliases;
    #[doc(hidden)]
    const ROUTES: Self::Routes;
    #[doc(hidden)]
    const INBOX: Self::Inbox;
    #[doc(hidden)]
    const RECEIPTS: Self::Receipts;
    #[doc(hidden)]
    const READERS: Self::Readers;
    #[doc(hidden)]
    const QUEUE: Self::Queue;
}

/// The capacities of [`Resources`].
///
/// * `OUT`: publishes at QoS 1 and 2, subscribes and unsubscribes without an outcome, and receipts that nobody has looked at;
/// * `STORE`: bytes of their messages;
/// * `IN`: messages that were received and not taken yet, which is also the Receive Maximum that the Server is told (5.0);
/// * `INBOX`: bytes of these, topics and properties included;
/// * `QUEUE`: bytes of messages at QoS 0 on their way out, heads included;
/// * `FILTERS`: subscriptions, 32 at the most;
/// * `FILTER`: bytes of the longest filter.
///
/// Each subscriber's task waits by itself. Tasks that wait for anything else, a place or an answer, are woken together, and beyond eight of
/// them by each other, which keeps the processor awake.
#[derive(Clone, Copy, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Sizes<
    const OUT: usize,
    const STORE: usize,
    const IN: usize,
    const INBOX: usize,
    const QUEUE: usize,
    const FILTERS: usize,
    const FILTER: usize,
>;

impl<
    const OUT: usize,
    const STORE: usize,
    const IN: usize,
    const INBOX: usize,
    const QUEUE: usize,
    const FILTERS: usize,
    const FILTER: usize,
> Capacities for Sizes<OUT, STORE, IN, INBOX, QUEUE, FILTERS, FILTER>
{
    type Storage = ArrayStorage<OUT, IN, STORE>;
    type Aliases = Alias;
    type Routes = Routes<FILTERS, FILTER>;
    type Inbox = Inbox<IN, INBOX>;
    type Receipts = [Receipt; OUT];
    type Readers = [Option<Waker>; FILTERS];
    type Queue = [u8; QUEUE];
    const STORAGE: Self::Storage = ArrayStorage::new();
    #[cfg(feature = "alias")]
    const ALIASES: Self::Aliases = mqtt_core::ArrayAliases::new();
    #[cfg(not(feature = "alias"))]
    const ALIASES: Self::Aliases = mqtt_core::NoAliases;
    const ROUTES: Self::Routes = Routes::NEW;
    const INBOX: Self::Inbox = Inbox::NEW;
    const RECEIPTS: Self::Receipts = [Receipt::Free; OUT];
    const READERS: Self::Readers = [const { None }; FILTERS];
    const QUEUE: Self::Queue = [0; QUEUE];
}

/// The bytes that a client's memory takes, without the two buffers that its [`Runner`](crate::Runner) is lent.
#[must_use]
pub const fn size<M, C, P: Capacities>() -> usize {
    size_of::<Resources<M, C, P>>()
}
