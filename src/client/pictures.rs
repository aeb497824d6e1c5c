//! Pictures in the terminal: the kitty graphics protocol and the inline images of iTerm2.
