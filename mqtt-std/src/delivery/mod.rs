//! What becomes of a message that has arrived.
//!
//! Its topic finds the streams (`routes`). Each takes it into its queue (`queue`), or lets it wait unacknowledged: what waits
//! has a ticket that comes back once all streams have taken it (`tickets`). A kept session's messages may come before their
//! streams (`early`).

mod early;
mod queue;
mod routes;
mod tickets;

pub(crate) use early::Early;
pub(crate) use queue::{Pushed, Queue, Taken};
pub(crate) use routes::{Interest, Routes};
pub(crate) use tickets::{Ticket, Tickets};
