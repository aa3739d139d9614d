//! Whole nodes over a network and disks in memory, in paused time.

#[cfg(test)]
mod history;
#[cfg(test)]
mod joining;
#[cfg(test)]
mod life;
#[cfg(test)]
mod reads;
#[cfg(test)]
mod world;
