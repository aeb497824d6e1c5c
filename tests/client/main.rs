//! The line client: what it does in a terminal, in a pipe, on bad connections, and what its tests stand on.
#![allow(
    missing_docs,
    unreachable_pub,
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "tests are no library, and may panic"
)]

mod fetching;
mod hostile;
mod infrastructure;
mod keys;
mod login;
mod oneshot;
mod parts;
mod pictures;
mod pipes;
mod plain;
mod reconnect;
mod saved;
mod say;
mod sharing;
mod stay;
mod terminal;
#[cfg(feature = "tls")]
mod tls;
mod tokens;
mod told;
mod typed;
mod walk;
