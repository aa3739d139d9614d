//! What can go wrong, sorted by what the caller should do about it.

use std::fmt;

use atoll_env::net::{CallError, Code, Status};
use atoll_proto::details;
use atoll_proto::v1::error_detail::Kind;

/// What a failure means for the caller.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The request can never succeed as it is (a bound, two slots in one batch). Nothing happened.
    /// Change the request; do not retry.
    Invalid,
    /// The cluster cannot do it now. Nothing happened. Try later.
    Unavailable,
    /// The cluster sheds load and the retry budget of this client is used up. Nothing happened.
    /// Slow down.
    Overloaded,
    /// The time given to the call ran out. Nothing happened, now or later.
    Deadline,
    /// The write may have happened, may happen a little later, or not. Read before deciding.
    Unknown,
    /// No session could be had in time. Nothing happened.
    SessionExpired,
    /// The stored bytes fail their checksum on every replica of the group. Do not retry; the nodes' logs
    /// say where.
    Corrupt,
    /// What was to be read is older than the history that is kept. The message says from which version on it can be read. Do not
    /// retry.
    Compacted,
    /// The client was closed. Nothing happened.
    Closed,
    /// A server or this library broke its own rules. Report it.
    Internal,
}

impl ErrorKind {
    /// True if the request certainly had no effect, so that issuing it anew cannot do it twice.
    pub fn nothing_happened(self) -> bool {
        !matches!(self, Self::Unknown | Self::Internal)
    }
}

impl fmt::Display for ErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Invalid => "invalid request",
            Self::Unavailable => "unavailable",
            Self::Overloaded => "overloaded",
            Self::Deadline => "deadline exceeded",
            Self::Unknown => "outcome unknown",
            Self::SessionExpired => "session expired",
            Self::Corrupt => "stored bytes are corrupt",
            Self::Compacted => "not kept any more",
            Self::Closed => "client closed",
            Self::Internal => "internal error",
        })
    }
}

/// A failed call. [`Error::kind`] says what to do, the message says what happened.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{kind}: {message}")]
pub struct Error {
    kind: ErrorKind,
    message: Box<str>,
}

impl Error {
    pub(crate) fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self {
            kind,
            message: message.into().into_boxed_str(),
        }
    }

    pub(crate) fn invalid(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Invalid, message)
    }

    pub(crate) fn internal(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Internal, message)
    }

    /// What the failure means for the caller.
    pub fn kind(&self) -> ErrorKind {
        self.kind
    }

    /// What happened, for people.
    pub fn message(&self) -> &str {
        &self.message
    }

    /// Says where it happened.
    #[must_use]
    pub(crate) fn at(self, address: &str) -> Self {
        Self::new(self.kind, format!("{address}: {}", self.message))
    }

    /// Turns the failure of a unary call that may be repeated without harm into an error.
    pub(crate) fn from_call(error: CallError) -> Self {
        match error {
            CallError::NotSent(why) => Self::new(ErrorKind::Unavailable, why),
            CallError::Lost(why) => Self::new(ErrorKind::Unknown, format!("connection lost: {why}")),
            CallError::Deadline => Self::new(ErrorKind::Unknown, "no reply in time"),
            CallError::Status(status) => Self::from_status(&status),
        }
    }

    fn from_status(status: &Status) -> Self {
        let Some(detail) = details::decode(&status.details) else {
            return Self::new(kind_of_code(status.code), status.message.clone());
        };
        let message = if detail.message.is_empty() {
            &status.message
        } else {
            &detail.message
        };
        Self::new(kind_of_detail(detail.kind()), message.clone())
    }
}

fn kind_of_code(code: Code) -> ErrorKind {
    match code {
        Code::InvalidArgument
        | Code::OutOfRange
        | Code::Unimplemented
        | Code::FailedPrecondition
        | Code::AlreadyExists
        | Code::NotFound
        | Code::PermissionDenied
        | Code::Unauthenticated => ErrorKind::Invalid,
        Code::DeadlineExceeded => ErrorKind::Deadline,
        Code::ResourceExhausted => ErrorKind::Overloaded,
        Code::Unavailable => ErrorKind::Unavailable,
        Code::DataLoss => ErrorKind::Corrupt,
        Code::Unknown | Code::Aborted | Code::Cancelled => ErrorKind::Unknown,
        Code::Internal => ErrorKind::Internal,
    }
}

/// The kind of an error for which there is nothing left to try.
pub(crate) fn kind_of_detail(kind: Kind) -> ErrorKind {
    match kind {
        Kind::NotLeader | Kind::NotOwner | Kind::Unavailable => ErrorKind::Unavailable,
        Kind::Overloaded => ErrorKind::Overloaded,
        Kind::Invalid | Kind::Unsupported => ErrorKind::Invalid,
        Kind::SessionExpired => ErrorKind::SessionExpired,
        Kind::UnknownOutcome => ErrorKind::Unknown,
        Kind::Deadline => ErrorKind::Deadline,
        Kind::Corrupt => ErrorKind::Corrupt,
        Kind::Compacted => ErrorKind::Compacted,
        Kind::Stale | Kind::Internal | Kind::Unspecified => ErrorKind::Internal,
    }
}
