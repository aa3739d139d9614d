//! The client against a server made by hand: real frames, real deduplication, scripted faults, and time
//! that runs only when everybody waits.

#[cfg(test)]
mod deadlines;
#[cfg(test)]
mod exactly_once;
#[cfg(test)]
mod pipe;
#[cfg(test)]
mod reads;
#[cfg(test)]
mod routing;
#[cfg(test)]
mod support;
