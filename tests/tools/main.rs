//! What is around the server: the programs that people talk with, proxies, our scripts, and our documents.
#![allow(
    missing_docs,
    unreachable_pub,
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "tests are no library, and may panic"
)]

mod bots;
mod browsers;
mod crates;
mod docs;
mod files;
mod operating;
mod page;
mod pages;
mod programs;
mod proxies;
mod release;
mod scripts;
