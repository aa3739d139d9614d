//! Whether this node's disk and memory have room for more.
//!
//! A disk that is really full is the worst place to be: what would free space (a checkpoint, a merge) needs some itself, and
//! a journal that cannot be written ends the process. So leaders here stop taking writes while there is still room,
//! by two limits: a *quota*, what the node's files may take, and the *free bytes* that the disk must keep, whoever uses it up. Removals
//! are taken longer than other writes, because with them space comes back; but not for ever, as they take room in the log first.
//!
//! A disk may be filled faster than it is looked at, so what came to the journal since the last look counts as taken.
//!
//! Both limits are soft: what other leaders replicate to this node, elections, the control plane, checkpoints and merges still
//! write, because a voter that stops storing would take availability from groups that have room elsewhere. What is left below the
//! limits is for them; merges leave the last quarter of it to the rest, as a journal without room ends the process. Shortly above that quarter a node takes no more entries of other
//! leaders either: it still votes and hears them, and gets the entries when it has room. Before removals are
//! refused a *ballast*, a file of nothing, is given up, to let checkpoints and merges free what they can. On a disk that is too small for all
//! this ([`least`]) a node does not start.
//!
//! A node that refuses writes for more than a moment hands the leaderships of its groups to nodes that do not ([`Handover`]), if there
//! are such, and takes none while it refuses.
//!
//! Rows wait in memory to be written to files. A disk that takes them more slowly than they come, or not at all, would let them grow
//! without bound, so from twice their share of memory on ([`MemoryRoom`]) leaders refuse writes too. The share itself
//! is kept by checkpoints of the groups with the most rows; the store chooses them and [`relief`] calls them.
//!
//! Values leave the journal in merges. Where writes come faster than the disk can move values, the journal would grow without bound,
//! so with four times what it should have, leaders refuse writes until merges have caught up ([`journal_room`]): only if merges
//! could make it shorter, and never for the sake of what somebody else holds.
//!
//! Nothing here needs a restart: the limits look at the disk as it is, once a second.

mod ballast;
mod disk_room;
mod handover;
mod journal_room;
pub(crate) mod least;
mod memory_room;
pub(crate) mod relief;
mod watch;

pub(crate) use ballast::NAME as RESERVE;
pub(crate) use disk_room::DiskRoom;
pub(crate) use handover::Handover;
pub(crate) use memory_room::MemoryRoom;
pub(crate) use watch::Watch;
