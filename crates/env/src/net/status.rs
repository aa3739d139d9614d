//! How calls fail.

use bytes::Bytes;

/// gRPC's status codes, as far as Atoll uses them (numbers are gRPC's).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names are gRPC's")]
pub enum Code {
    Cancelled = 1,
    Unknown = 2,
    InvalidArgument = 3,
    DeadlineExceeded = 4,
    NotFound = 5,
    AlreadyExists = 6,
    PermissionDenied = 7,
    ResourceExhausted = 8,
    FailedPrecondition = 9,
    Aborted = 10,
    OutOfRange = 11,
    Unimplemented = 12,
    Internal = 13,
    Unavailable = 14,
    DataLoss = 15,
    Unauthenticated = 16,
}

impl Code {
    /// From gRPC's number; unknown ones become [`Code::Unknown`].
    pub fn from_number(number: i32) -> Self {
        match number {
            1 => Self::Cancelled,
            3 => Self::InvalidArgument,
            4 => Self::DeadlineExceeded,
            5 => Self::NotFound,
            6 => Self::AlreadyExists,
            7 => Self::PermissionDenied,
            8 => Self::ResourceExhausted,
            9 => Self::FailedPrecondition,
            10 => Self::Aborted,
            11 => Self::OutOfRange,
            12 => Self::Unimplemented,
            13 => Self::Internal,
            14 => Self::Unavailable,
            15 => Self::DataLoss,
            16 => Self::Unauthenticated,
            _ => Self::Unknown,
        }
    }
}

/// A server's answer that it did not do what was asked.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Status {
    /// The class of failure.
    pub code: Code,
    /// What happened and what to do.
    pub message: String,
    /// An encoded detail message, possibly empty (gRPC's `grpc-status-details-bin`).
    pub details: Bytes,
}

impl Status {
    /// A status without details.
    pub fn new(code: Code, message: impl Into<String>) -> Self {
        Self {
            code,
            message: message.into(),
            details: Bytes::new(),
        }
    }
}

/// Why a call or stream could not be had. Tells a caller whether the request may have been received.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CallError {
    /// Nothing was sent: the request was certainly not received.
    #[error("cannot connect: {0}")]
    NotSent(String),
    /// The connection broke after the request was sent: it may have been received and done.
    #[error("connection lost: {0}")]
    Lost(String),
    /// The deadline passed: the request may have been received and done.
    #[error("deadline exceeded")]
    Deadline,
    /// The server answered with a status.
    #[error(transparent)]
    Status(#[from] Status),
}
