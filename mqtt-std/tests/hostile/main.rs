//! The client as an attacker sees it: a broker, or whoever is in its place, that says and does what it likes. In memory and in
//! virtual time; `SECURITY.md` names each attack, its bound, and the test here.

// The lints' configuration exempts test functions, not their helpers.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod attempts;
mod effort;
mod files;
mod floods;
mod lengths;
mod log;
mod pace;
mod requests;
mod secrets;
mod support;
mod websocket;
