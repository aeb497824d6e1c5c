//! TLS, over sockets: people in it, programs that speak it, and those who mean no good.
#![allow(
    missing_docs,
    unreachable_pub,
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "tests are no library, and may panic"
)]

mod browsers;
mod certificates;
mod hostile;
mod people;
mod programs;
mod secure;
