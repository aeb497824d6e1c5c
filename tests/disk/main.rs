//! What the server keeps in its data folder, whatever becomes of its process and of the disk.
#![allow(
    missing_docs,
    unreachable_pub,
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "tests are no library, and may panic"
)]

mod crash;
mod damage;
mod faults;
mod folder;
mod machine;
mod slow;
mod told;
