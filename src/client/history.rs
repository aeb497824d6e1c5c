//! The lines typed before, in this run and in earlier ones.
