//! The line client: `chinwag connect`, `send` and `get`.

pub mod complete;
pub mod editor;
pub mod history;
pub mod keys;
pub mod link;
pub mod pictures;
pub mod seen;
pub mod session;
pub mod store;
pub mod talks;
pub mod transfer;
pub mod transfers;
pub mod view;
