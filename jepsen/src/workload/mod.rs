//! What clients do while things break.
