//! What a replica needs that is further behind than any log reaches: the state itself.
//!
//! A log is purged up to what a durable checkpoint has, less what is kept for followers that are a little behind, or further and
//! on their way ([`purger`], [`followers`]). So a checkpoint and the log behind it are always the whole; nothing is made for sending. A leader that has
//! no entry for a follower any more sends its newest durable checkpoint ([`sender`]), chunk by chunk, each a call of its
//! own on the stream that carries everything else between the two nodes. The other end ([`receiver`]) hands the chunks to a
//! sink, says which it wants next, and at the end has Raft install what the sink made of them ([`installer`]). The bytes are
//! the machine's ([`SnapshotStore`]); here they are opaque.
//!
//! What holds:
//! - *Purging never goes beyond what is durable.* openraft itself never purges by its own policy; it is told up to where.
//! - *An install is durable before the log is purged*, and what conflicted in the log was cut, durably, before the install:
//!   a crash in between leaves a log that ends before the checkpoint. That this is no lost log, the checkpoint itself says
//!   ([`Position::installed`](crate::Position)); nothing else excuses a log that ends too early.
//! - *openraft panics on a snapshot that cannot be*, and in debug builds on one that overtakes what it has under the same
//!   leader. So a position is checked before, nothing is appended while one is installed, and one that adds nothing is
//!   answered by an empty append instead.
//! - *An answer counts as one to a heartbeat.* So none says "done" before Raft here has accepted the sender's vote.
//! - *What a follower holds back is bounded*, but for one that gets a snapshot: what follows that is kept until it has come to
//!   where the log ended then, so that it never needs the next snapshot because of the one before. This ends when it stops moving.
//! - Memory: one chunk and what a sink or source holds, for a few snapshots per node and direction; the others wait.
//!
//! - *Each snapshot is sent once*, however long it waited: its position is told when it is its turn, and the log behind it stays
//!   from then on ([`sender`]; `turns`).
//! - *What a sending holds back on this disk is bounded*, by bytes and not by time ([`room`]; `slow`).
//!
//! Chunks may be lost, repeated or come in any order: the receiver takes exactly the next one and names it in every answer.
//! A receiver that is still at work on a part says so when it is sent again, and that is life: an install may take many times
//! what a call may. The first part tells how large all of it is, so that it can be refused for want of room before it comes. A sender that
//! gives up begins anew, with a new number, later each time ([`tries`]), as does a new leader; a reception that hears nothing
//! for a while ends. Who is served and who cannot be is on the [`board`]. Checked by `tests/groups/snapshots` and by the simulator.

mod board;
mod carried;
mod followers;
mod handle;
mod holds;
mod installer;
mod purger;
mod receiver;
mod room;
mod sender;
mod store;
mod tries;

pub use store::{NoSnapshots, SnapshotSink, SnapshotSource, SnapshotStore, Staged};

pub(crate) use board::Board;
pub(crate) use carried::{Carried, Newest, RaftSnapshot, SnapshotMeta};
pub(crate) use handle::{Parts, Snapshots};
pub(crate) use holds::Holds;
pub(crate) use room::Room;
pub(crate) use sender::{SendError, Sender};
pub(crate) use tries::Tries;

use installer::Installer;
use purger::Purger;
use receiver::Receiver;
