//! How `defmt` shows what holds much: by its name and a few facts. Everything else has all its fields shown.

use defmt::{Format, Formatter, write};

use crate::codec::framing::Frames;
use crate::connection::{Aliases, ArrayAliases, Connection};
use crate::machine::Machine;
use crate::options::ConnectOptions;
use crate::property::PropertiesIter;
use crate::reconnect::GeneratedClientIdentifier;
use crate::session::{ArrayStorage, ArrayTable, Arrival, Exchange, Session, Storage};
use crate::subscription_list::{ArraySubscriptions, SubscriptionList};
use crate::suspicion::Suspicion;

impl<S: Storage, A: Aliases, L: SubscriptionList> Format for Machine<S, A, L> {
    fn format(&self, f: Formatter<'_>) {
        write!(f, "Machine {{ connection: {}, session: {} }}", self.connection, self.session);
    }
}

impl<A: Aliases> Format for Connection<A> {
    fn format(&self, f: Formatter<'_>) {
        let (version, connected, failure) = (self.version(), self.is_connected(), self.failure());
        write!(f, "Connection {{ version: {}, connected: {}, failure: {} }}", version, connected, failure);
    }
}

impl<S: Storage> Format for Session<S> {
    fn format(&self, f: Formatter<'_>) {
        write!(f, "Session {{ outgoing: {}, incoming: {} }}", self.outgoing_len(), self.incoming_len());
    }
}

impl Format for ConnectOptions<'_> {
    /// Without the password.
    fn format(&self, f: Formatter<'_>) {
        write!(
            f,
            "ConnectOptions {{ client_identifier: {}, version: {}, keep_alive: {}, will: {}, has_password: {} }}",
            self.client_identifier,
            self.version,
            self.keep_alive,
            self.will,
            self.password.is_some()
        );
    }
}

impl Format for GeneratedClientIdentifier {
    fn format(&self, f: Formatter<'_>) {
        write!(f, "{=str}", self.as_str());
    }
}

impl Format for Frames<'_> {
    fn format(&self, f: Formatter<'_>) {
        write!(f, "Frames");
    }
}

impl<const IN: usize, const OUT: usize, const LEN: usize> Format for ArrayAliases<IN, OUT, LEN> {
    fn format(&self, f: Formatter<'_>) {
        write!(f, "ArrayAliases");
    }
}

impl Format for PropertiesIter<'_> {
    fn format(&self, f: Formatter<'_>) {
        write!(f, "PropertiesIter");
    }
}

impl Format for Arrival {
    fn format(&self, f: Formatter<'_>) {
        write!(f, "Arrival");
    }
}

impl Format for Exchange {
    fn format(&self, f: Formatter<'_>) {
        write!(f, "Exchange");
    }
}

impl<const OUT: usize, const IN: usize, const BYTES: usize> Format for ArrayStorage<OUT, IN, BYTES> {
    fn format(&self, f: Formatter<'_>) {
        write!(f, "ArrayStorage");
    }
}

impl<T, const N: usize> Format for ArrayTable<T, N> {
    fn format(&self, f: Formatter<'_>) {
        write!(f, "ArrayTable");
    }
}

impl<const N: usize, const LEN: usize> Format for ArraySubscriptions<N, LEN> {
    fn format(&self, f: Formatter<'_>) {
        write!(f, "ArraySubscriptions");
    }
}

impl Format for Suspicion {
    fn format(&self, f: Formatter<'_>) {
        write!(f, "Suspicion");
    }
}
