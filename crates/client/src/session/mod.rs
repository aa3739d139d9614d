//! Exactly-once writes.
//!
//! A session is a random client id with a counter, and belongs to one group. A write takes the next
//! number of its group's session and keeps it over all its sendings; the group remembers what became of
//! each number and answers a repeat from memory. `ack`, sent with every write, is the lowest number
//! whose write has not ended here: the group forgets everything below it, and refuses what still arrives
//! with a number below it. So a number is finished, and never used again, as soon as nobody here waits
//! for it any more: after a reply, after giving up, after the caller dropped its future.
//!
//! At most 4,096 numbers of a session are unfinished; further writes to the group wait. One session for
//! each group, and not one for all, because of that bound: a group without a leader holds its numbers
//! until their deadlines, and would hold up the writes to all other groups with them.
//!
//! # When a slot moves
//!
//! A slot's outcomes move with it. A write whose slot has moved from group A to group B is in one of
//! two cases:
//!
//! - Every sending so far was refused or never left. It did not happen, and no copy of it is under way.
//!   It gives its number back and takes one of B's session.
//! - A sending may have happened, in A. Then only its number under A's session can tell, so it keeps
//!   that and asks B with it. B has everything that A recorded for the slot when A stopped serving it:
//!   it gives the recorded outcome, or, if there is none and the move brought the session along, does
//!   the write, which A can no longer do. If B does not know the session, it refuses, and the outcome
//!   is reported as unknown. The client never opens A's session in B: a group that has lost its memory
//!   of the numbers would look like one that has none.
//!
//! The number stays unfinished in A's session until the write ends, so A's `ack` does not pass it.
//!
//! # When a session is lost
//!
//! A session is opened before the first write to the group, and never a second time: a group that lost
//! the session has lost its memory of the numbers too, so opening it anew could do a write twice. The
//! client then takes a new id ([`Sessions::renew`]). For the same reason an opening names a version read
//! from the group before it, and always the same one ([`Opening::read`]). A group made anew under the
//! same id (another generation) knows nothing of the old one's sessions and gets its own.

mod ticket;
mod window;

pub(crate) use ticket::{Opening, Sessions, Ticket};
