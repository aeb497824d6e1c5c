//! The line that is typed: keys, the editor, its history, and what Tab completes.

pub mod complete;
pub mod editor;
pub mod history;
pub mod keys;
