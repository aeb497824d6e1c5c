//! What goes over the wire and ends in local files: the connection, made again when it is lost, and the transfers.

pub mod link;
pub mod store;
pub mod transfers;
