//! The core and the whole server, driven by the model of `testkit` and by hand.
#![allow(
    missing_docs,
    unreachable_pub,
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "tests are no library, and may panic"
)]

mod limits;
mod shell;
mod simulation;
mod walk;
