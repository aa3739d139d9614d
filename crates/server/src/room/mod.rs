//! Whether this node's disk and memory have room for more.
//!
//! A disk that is really full is the worst place to be: what would free space (a checkpoint, a merge) needs some itself, and
//! a journal that cannot be written ends the process. So leaders here stop taking writes while there is still room,
//! by two limits: a *quota*, what the node's files may take, and the *free bytes* that the disk must keep, whoever uses it up. Removals
//! are taken longer than other writes, because with them space comes back; but not for ever, as they take room in the log first.
//!
//! Both limits are soft: what other leaders replicate to this node, elections, the control plane, checkpoints and merges still
//! write, because a voter that stops storing would take availability from groups that have room elsewhere. What is left below the
//! limits is for them. For the case that even this is used up there is a *ballast*, a file of nothing, which is given up
//! to let checkpoints and merges free what they can.
//!
//! Rows wait in memory to be written to files. A disk that takes them more slowly than they come, or not at all, would let them grow
//! without bound, so from twice their share of memory on ([`MemoryRoom`]) leaders refuse writes too. The share itself
//! is kept by checkpoints of the groups with the most rows; the store chooses them and [`relief`] calls them.
//!
//! Nothing here needs a restart: the limits look at the disk as it is, once a second.

mod ballast;
mod disk_room;
mod memory_room;
pub(crate) mod relief;
mod watch;

pub(crate) use ballast::NAME as RESERVE;
pub(crate) use disk_room::DiskRoom;
pub(crate) use memory_room::MemoryRoom;
pub(crate) use watch::Watch;
