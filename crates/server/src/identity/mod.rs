//! Who a data directory is.
//!
//! A directory becomes part of a cluster in steps, each one durable before the next begins, so that a
//! crash between any two leaves something that the next start or a repeated `init` can finish:
//!
//! | name | is there | says |
//! |---|---|---|
//! | `LOCK` | while a process runs | held exclusively for the process's life; its text is the process id |
//! | `SEALED` | if it was started first with keys | the files of users' data are encrypted; there before `UUID`, or never |
//! | `UUID` | from the first start | random 128 bits: names the directory before it has a node id |
//! | `CLAIM` | once claimed | the one initial set, cluster id and number of groups this directory is promised to |
//! | `JOIN` | once it joins | the existing cluster this directory is promised to, and its node id there; never beside `CLAIM` |
//! | `journal/` | once admitted | created before `IDENT`, so that `IDENT` without a journal means a lost log |
//! | `IDENT` | once admitted | cluster id, node id, format of the directory; never rewritten |
//! | `ADDRESSES` | from the first start | count of starts and where other nodes were last; only a hint |
//!
//! One promise per directory, ever, `CLAIM` or `JOIN`: two initial sets that overlap can then never both be complete. A
//! node votes only after `IDENT` is durable, and a directory with `IDENT` whose journal is gone is
//! refused, because a voter that forgot its votes can elect two leaders.
//!
//! # Bytes
//! Little-endian. Every file but `LOCK`: magic `ATOL`, kind u8 (1 `UUID`, 2 `CLAIM`, 3 `IDENT`, 4
//! `ADDRESSES`, 5 `JOIN`, 6 `SEALED`), version u8 (1; of `CLAIM` 2), two zero bytes, body length u32, body, then the CRC32 of all before
//! it as u32. Written whole beside the old one and renamed over it.
//!
//! * `UUID`: uuid u128.
//! * `CLAIM`: cluster u128, groups u32, member count u32, per member in uuid order: node u64 (its
//!   position from 1), uuid u128, address as u16 length and UTF-8; from version 2 then each member's zone
//!   in the same form.
//! * `IDENT`: cluster u128, node u64, format of the directory u32 (1).
//! * `JOIN`: cluster u128, node u64.
//! * `SEALED`: nothing.
//! * `ADDRESSES`: starts u64, count u32, per node: node u64, uuid u128, address as above.

mod claim;
mod dir;
mod file;
mod survey;
#[cfg(test)]
mod tests;

pub(crate) use claim::{ADDRESS_BYTES_MAX, Claim, MEMBERS_MAX, Member, ZONE_BYTES_MAX, is_zone};
pub(crate) use dir::{DataDir, IdentityError};
pub(crate) use file::{Hints, Ident, SEALED};
pub(crate) use survey::{SmallFiles, kind_of};
