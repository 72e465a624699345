//! What becomes of a message that has arrived.
//!
//! Its topic finds the streams (`routes`). Each takes it into its queue (`queue`), or lets it wait unacknowledged: what waits
//! has a ticket that comes back once all streams have taken it (`tickets`), some from the application (`hand`). A kept session's messages may come before their
//! streams (`early`).

mod early;
mod hand;
mod queue;
mod routes;
mod tickets;
mod trie;

pub(crate) use early::Early;
pub(crate) use hand::Hand;
pub use hand::Stale;
pub use queue::{Acknowledge, WhenFull};
pub(crate) use queue::{Offer, Pushed, Queue, StreamOptions, Taken};
pub(crate) use routes::{Interest, Routes};
pub(crate) use tickets::{Ticket, Tickets};
pub(crate) use trie::Trie;
