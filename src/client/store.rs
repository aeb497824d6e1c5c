//! The local side of file transfers: what is read to be sent, and where what comes is kept.
