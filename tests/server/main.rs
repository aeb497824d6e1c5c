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
mod company;
mod crowd;
mod dialects;
mod doors;
mod evasion;
mod fairness;
mod gathering;
mod guesses;
mod help;
mod kept;
mod lines;
mod metrics;
mod operators;
mod order;
mod owners;
mod peers;
mod recorded;
mod reload;
mod rooms;
mod rules;
mod shares;
mod supervised;
mod terminals;
mod transcripts;
mod transfers;
mod ways;
mod withdrawing;
