//! The journal from outside, on disks in memory that crash and lie, and on a real one.
#![expect(unreachable_pub, reason = "modules of one test")]

#[cfg(test)]
mod ahead;
#[cfg(test)]
mod amnesia;
#[cfg(test)]
mod crash;
#[cfg(test)]
mod damage;
#[cfg(test)]
mod disk;
#[cfg(test)]
mod freeing;
#[cfg(test)]
mod group_commit;
#[cfg(test)]
mod logs;
#[cfg(test)]
mod lost_sync;
#[cfg(test)]
mod model;
#[cfg(test)]
mod real;
#[cfg(test)]
mod real_files;
#[cfg(test)]
mod reopen;
#[cfg(test)]
mod rules;
#[cfg(test)]
mod support;
