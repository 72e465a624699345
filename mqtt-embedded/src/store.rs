//! Where a session is kept over a loss of power.

use core::convert::Infallible;
use core::fmt;
use core::future::Future;

use mqtt_core::Record;

/// Keeps the records of a session; see [`Record`](mqtt_core::Record) for what they say.
///
/// With a store a message at QoS 1 and 2 is accepted when its record is durable, and one at QoS 2 from the Server is handed over
/// when its record is; after a loss of power everything goes on from there.
pub trait Store {
    /// What can go wrong.
    type Error: fmt::Debug;

    /// Gives the records that are still needed, in the order in which they were appended. Called once, before anything else.
    fn load(&mut self, each: &mut dyn FnMut(&Record<'_>)) -> impl Future<Output = Result<(), Self::Error>>;

    /// Appends a record, encoded: [`Record::decode`] tells what it is. It is durable when the future ends. Never dropped before
    /// that, unless the [`Runner`](crate::Runner) is.
    ///
    /// # Errors
    /// It is not in the store: the command that it stands for fails, the others go on.
    fn append(&mut self, record: &[u8]) -> impl Future<Output = Result<(), Self::Error>>;
}

/// No store: the session is in memory.
#[derive(Clone, Copy, Debug, Default)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct NoStore;

impl Store for NoStore {
    type Error = Infallible;

    async fn load(&mut self, _: &mut dyn FnMut(&Record<'_>)) -> Result<(), Infallible> {
        Ok(())
    }

    async fn append(&mut self, _: &[u8]) -> Result<(), Infallible> {
        Ok(())
    }
}
