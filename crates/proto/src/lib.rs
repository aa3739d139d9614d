//! Wire messages generated from `proto/`, and total conversions to and from the plain types.
//!
//! Nothing here decides anything. `bytes` fields are [`bytes::Bytes`] that share the frame they were
//! decoded from. Services are not generated: a method is its name ([`method`]) and its messages, and
//! `atoll-env` carries both over gRPC or, in the simulator, over memory.

pub mod convert;
#[cfg(feature = "fuzzing")]
pub mod fuzzing;
pub mod method;

/// The generated messages.
#[expect(
    missing_docs,
    clippy::all,
    clippy::pedantic,
    reason = "generated; the comments are in proto/"
)]
pub mod v1 {
    include!(concat!(env!("OUT_DIR"), "/atoll.v1.rs"));
}
