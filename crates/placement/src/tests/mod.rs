//! The crate as a whole, against its promises.

mod assign;
mod map;
mod replicas;
