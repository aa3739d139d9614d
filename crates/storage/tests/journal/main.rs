//! The journal from outside, on disks in memory that crash and lie, and on a real one.

#![expect(unreachable_pub, reason = "modules of one test")]

mod crash;
mod damage;
mod group_commit;
mod model;
mod real_files;
mod rules;
mod support;
