//! The line client: `chinwag connect`, `send` and `get`.

pub mod complete;
pub mod editor;
pub mod history;
pub mod keys;
pub mod pictures;
pub mod store;
