//! chinwag: a chat server for plain lines over TCP.

pub mod chunks;
pub mod client;
pub mod commands;
pub mod connection;
pub mod effect;
pub mod event;
pub mod files;
pub mod home;
pub mod hub;
pub mod journal;
pub mod limits;
pub mod linebuf;
pub mod listener;
pub mod meters;
pub mod names;
pub mod outbox;
pub mod people;
pub mod plain;
pub mod policy;
pub mod presence;
pub mod reactor;
pub mod request;
pub mod rooms;
pub mod signals;
pub mod spool;
pub mod typing;
