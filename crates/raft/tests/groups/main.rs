//! Groups on several nodes, over a network and disks in memory, in paused time.
//!
//! - What is known to have gone wrong, in openraft or by its defaults, played again on the version and
//!   the settings in use: [`restored_leader`], [`reads::old_leader`], [`sub_quorum`],
//!   [`stale_membership`], [`read_error`], [`stale_candidate`].
//! - What this crate asks of openraft on top: [`birth`].
//! - Replicas so far behind that only a snapshot helps: [`snapshots`].
//! - The parts of this crate alone: [`proposer`], [`reads`], [`transport`].
//!
//! Some replicas are played by the test ([`played`]), which then says frame by frame what they do.
#![expect(unreachable_pub, reason = "modules of one test")]

#[cfg(test)]
mod birth;
#[cfg(test)]
mod frames;
#[cfg(test)]
mod intake;
#[cfg(test)]
mod keeper;
#[cfg(test)]
mod links;
#[cfg(test)]
mod packs;
#[cfg(test)]
mod played;
#[cfg(test)]
mod proposer;
#[cfg(test)]
mod read_error;
#[cfg(test)]
mod reads;
#[cfg(test)]
mod restored_leader;
#[cfg(test)]
mod running;
#[cfg(test)]
mod shelf;
#[cfg(test)]
mod snapshots;
#[cfg(test)]
mod stale_candidate;
#[cfg(test)]
mod stale_membership;
#[cfg(test)]
mod sub_quorum;
#[cfg(test)]
mod transport;
#[cfg(test)]
mod world;
