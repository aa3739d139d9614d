//! The client against a server made by hand: real frames, real deduplication, scripted faults, and time
//! that runs only when everybody waits.

mod deadlines;
mod exactly_once;
mod pipe;
mod reads;
mod routing;
mod support;
