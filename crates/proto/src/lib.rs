//! Wire messages generated from `proto/`, and total conversions to and from the plain types.
//!
//! Nothing here decides anything. `bytes` fields are [`bytes::Bytes`] that share the frame they were
//! decoded from. Services are not generated: a method is its name ([`method`]) and its messages, and
//! `atoll-env` carries both over gRPC or, in the simulator, over memory.

pub mod convert;
pub mod details;
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

/// The generated messages of gRPC's health protocol.
#[expect(
    missing_docs,
    clippy::pedantic,
    reason = "generated; the comments are in proto/"
)]
pub mod health {
    include!(concat!(env!("OUT_DIR"), "/grpc.health.v1.rs"));
}

/// The generated messages of gRPC's reflection protocol; those of its older name are the same.
#[expect(missing_docs, clippy::all, reason = "generated; the comments are in proto/")]
pub mod reflection {
    include!(concat!(env!("OUT_DIR"), "/grpc.reflection.v1.rs"));
}

/// An encoded `google.protobuf.FileDescriptorSet` of everything in `proto/` and of what that imports,
/// with comments: what gRPC reflection serves.
pub const DESCRIPTORS: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/descriptors.bin"));
