//! How `defmt` shows what holds much: by its name and a few facts. Everything else has all its fields shown.

use defmt::{Format, Formatter, write};
use embassy_sync::blocking_mutex::raw::RawMutex;

use crate::blocking;
use crate::clock::Clock;
use crate::resources::Capacities;

impl Format for crate::Message<'_> {
    fn format(&self, f: Formatter<'_>) {
        let (topic, qos, len) = (self.topic(), self.qos(), self.payload_len());
        write!(f, "Message {{ topic: {=str}, qos: {}, payload_len: {=u32} }}", topic, qos, len);
    }
}

impl<M, C, P: Capacities, B> Format for crate::Publish<'_, '_, M, C, P, B> {
    fn format(&self, f: Formatter<'_>) {
        write!(f, "Publish {{ request: {} }}", self.request);
    }
}

impl<M: RawMutex, C: Clock, P: Capacities, const N: usize> Format for crate::Requests<'_, '_, M, C, P, N> {
    fn format(&self, f: Formatter<'_>) {
        write!(f, "Requests {{ response_topic: {=str} }}", self.response_topic());
    }
}

impl<M: RawMutex, C: Clock, P: Capacities, const N: usize> Format for crate::Request<'_, '_, '_, M, C, P, N> {
    fn format(&self, f: Formatter<'_>) {
        write!(f, "Request");
    }
}

impl<M, C, P: Capacities> Format for crate::Client<'_, M, C, P> {
    fn format(&self, f: Formatter<'_>) {
        write!(f, "Client");
    }
}

impl<M, C, P: Capacities> Format for crate::Runner<'_, M, C, P> {
    fn format(&self, f: Formatter<'_>) {
        write!(f, "Runner");
    }
}

impl<S, C> Format for crate::Paced<S, C> {
    fn format(&self, f: Formatter<'_>) {
        write!(f, "Paced");
    }
}

impl<M, C, P: Capacities> Format for crate::Resources<M, C, P> {
    fn format(&self, f: Formatter<'_>) {
        write!(f, "Resources");
    }
}

impl<M: RawMutex, C: Clock, P: Capacities> Format for crate::Receipt<'_, M, C, P> {
    fn format(&self, f: Formatter<'_>) {
        write!(f, "Receipt");
    }
}

impl<M: RawMutex, C: Clock, P: Capacities> Format for crate::Subscriber<'_, M, C, P> {
    fn format(&self, f: Formatter<'_>) {
        write!(f, "Subscriber");
    }
}

impl<S> Format for crate::FromSource<S> {
    fn format(&self, f: Formatter<'_>) {
        write!(f, "FromSource");
    }
}

impl<F> Format for crate::PayloadFile<F> {
    fn format(&self, f: Formatter<'_>) {
        write!(f, "PayloadFile");
    }
}

impl<R> Format for crate::Source<R> {
    fn format(&self, f: Formatter<'_>) {
        write!(f, "Source");
    }
}

impl<T> Format for crate::Shared<T> {
    fn format(&self, f: Formatter<'_>) {
        write!(f, "Shared");
    }
}

impl<T> Format for crate::Half<'_, T> {
    fn format(&self, f: Formatter<'_>) {
        write!(f, "Half");
    }
}

impl<S, D> Format for crate::TcpConnector<'_, S, D> {
    fn format(&self, f: Formatter<'_>) {
        write!(f, "TcpConnector");
    }
}

impl<M, C, P: Capacities, R: ?Sized, I> Format for blocking::Client<'_, '_, M, C, P, R, I> {
    fn format(&self, f: Formatter<'_>) {
        write!(f, "blocking::Client");
    }
}

impl<T> Format for blocking::Polling<T> {
    fn format(&self, f: Formatter<'_>) {
        write!(f, "Polling");
    }
}

impl<F> Format for blocking::Connector<F> {
    fn format(&self, f: Formatter<'_>) {
        write!(f, "Connector");
    }
}

impl<F> Format for blocking::PolledClock<F> {
    fn format(&self, f: Formatter<'_>) {
        write!(f, "PolledClock");
    }
}

#[cfg(feature = "flash")]
mod flash {
    use defmt::{Format, Formatter, write};
    use embedded_storage_async::nor_flash::NorFlash;

    use crate::flash::{FlashError, FlashStore};

    impl<F: NorFlash, const OUT: usize, const IN: usize, const RECORD: usize> Format for FlashStore<F, OUT, IN, RECORD> {
        fn format(&self, f: Formatter<'_>) {
            write!(f, "FlashStore");
        }
    }

    impl<E> Format for FlashError<E> {
        /// Without the flash's own error, which its driver can tell.
        fn format(&self, f: Formatter<'_>) {
            match self {
                Self::Flash(_) => write!(f, "Flash"),
                Self::TooLarge => write!(f, "TooLarge"),
                Self::Corrupt => write!(f, "Corrupt"),
            }
        }
    }
}

#[cfg(feature = "tls")]
mod tls {
    use defmt::{Format, Formatter, write};
    use embedded_io_async::{Read, Write};

    use crate::tls::{Records, TlsConnector, TlsDialled, TlsOptions, TlsTransport};

    impl Format for TlsOptions<'_> {
        /// Without the keys.
        fn format(&self, f: Formatter<'_>) {
            write!(f, "TlsOptions");
        }
    }

    impl<S, D, R> Format for TlsConnector<'_, S, D, R> {
        fn format(&self, f: Formatter<'_>) {
            write!(f, "TlsConnector");
        }
    }

    impl<T, R> Format for TlsDialled<'_, T, R> {
        fn format(&self, f: Formatter<'_>) {
            write!(f, "TlsDialled");
        }
    }

    impl<T: Read + Write> Format for TlsTransport<'_, T> {
        fn format(&self, f: Formatter<'_>) {
            write!(f, "TlsTransport");
        }
    }

    impl<T> Format for Records<'_, T> {
        fn format(&self, f: Formatter<'_>) {
            write!(f, "Records");
        }
    }
}
