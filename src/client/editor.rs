//! The input row: the line being typed, and what keys do to it.
