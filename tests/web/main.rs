//! The door for browsers, as anybody sees it who connects to it.
#![allow(
    missing_docs,
    unreachable_pub,
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "tests are no library, and may panic"
)]

mod browser;
mod door;
mod frames;
mod handshake;
mod page;
mod people;
