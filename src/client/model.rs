//! What is known of the server, its rooms and people, over all connections. Nothing here knows a socket, a file, a thread, a
//! clock or a terminal.

pub mod fold;
pub mod kept;
pub mod news;
pub mod seen;
pub mod session;
pub mod talks;
pub mod transfer;
