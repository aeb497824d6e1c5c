//! What goes over the wire and ends in local files: the connection, made again when it is lost, and the transfers.

pub mod link;
pub mod paths;
pub mod server;
pub mod source;
pub mod store;
pub mod stream;
#[cfg(feature = "tls")]
mod tls;
pub mod transfers;
