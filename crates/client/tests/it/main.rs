//! The client against a server made by hand: real frames, real deduplication, scripted faults, and time
//! that runs only when everybody waits.

#[cfg(test)]
mod cancellation;
#[cfg(test)]
mod damage;
#[cfg(test)]
mod deadlines;
#[cfg(test)]
mod exactly_once;
#[cfg(test)]
mod levels;
#[cfg(test)]
mod pipe;
#[cfg(test)]
mod policies;
#[cfg(test)]
mod reads;
#[cfg(test)]
mod routing;
#[cfg(test)]
mod scans;
#[cfg(test)]
mod spans;
#[cfg(test)]
mod support;
#[cfg(test)]
mod writes;
