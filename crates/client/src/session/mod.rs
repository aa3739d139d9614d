//! Exactly-once writes.
//!
//! A session is a random client id with one counter over all groups. A write takes the next number
//! and keeps it over all its sendings; a group remembers what became of each number and answers a
//! repeat from memory. `ack`, sent with every write, is the lowest number whose write has not ended
//! here: groups forget everything below it, and refuse what still arrives with a number below it.
//! So a number is finished, and never used again, as soon as nobody here waits for it any more: after
//! a reply, after giving up, after the caller dropped its future.
//!
//! A session is opened once in each group before its first write there, and never a second time: a
//! group that lost the session has lost its memory of the numbers too, so opening it anew could do a
//! write twice. The client then takes a new id ([`Sessions::renew`]). For the same reason an opening
//! names a version read from the group before it, and always the same one ([`Opening::read`]).

mod ticket;
mod window;

pub(crate) use ticket::{Opening, Sessions, Ticket};
