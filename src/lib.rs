//! chinwag: a chat server for plain lines over TCP.

pub mod commands;
pub mod event;
pub mod limits;
pub mod linebuf;
pub mod names;
pub mod outbox;
pub mod presence;
pub mod rooms;
pub mod typing;
