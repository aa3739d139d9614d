//! Real `atoll` processes: started, killed, stopped and paused by their process ids, and asked how they are.
//!
//! Each node has a data directory (`data/node-N`), a log that all its lives append to (`node-N.log`) and a control
//! file for faults (`node-N.faults.json`) in the run's folder. Nodes are known here by their number, 1 upwards; the id
//! that a node has inside the cluster may be another, and is translated where a node says it.
//!
//! No process outlives the run: a node stops when the pipe on its standard input closes, is killed when it
//! is dropped, and one that is paused is ended by the system, since it is alone in a process group without a parent.
//!
//! Several nemeses act at once, so what they do to a process is guarded: a node is held down by one of them at a
//! time ([`Cluster::hold_down`]), pauses are counted, and disks may be damaged only while the rest can go on
//! ([`Cluster::spoil`]). A node that ends though nobody asked for it is noted, unless it was excused before.

mod damage;
mod life;
mod looks;
mod nodes;
mod process;
mod whole;

pub use life::Death;
pub use looks::{Looks, Sampler};
pub use nodes::{Cluster, Down};
pub use whole::Recovery;
