//! From the bytes of a terminal to keys, pastes and answers.
