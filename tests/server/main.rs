//! The server over TCP, as anybody sees it who connects to it.
#![allow(
    missing_docs,
    unreachable_pub,
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "tests are no library, and may panic"
)]

mod accounts;
mod answers;
mod blocks;
mod bounds;
mod crowd;
mod dialects;
mod doors;
mod fairness;
mod gathering;
mod help;
mod kept;
mod lines;
mod operators;
mod owners;
mod peers;
mod recorded;
mod rooms;
mod rules;
mod shares;
mod terminals;
mod transcripts;
mod transfers;
mod ways;
