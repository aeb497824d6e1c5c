//! tmp
pub use crate::commands::Input as Request;
