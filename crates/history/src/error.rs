//! Why something is not a history.

/// A history could not be read or written.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The file could not be read or written.
    #[error("history file: {0}")]
    Io(#[from] std::io::Error),
    /// A line is not a possible next event.
    #[error("history line {line}: {problem}")]
    Line {
        /// Counted from 1.
        line: u64,
        /// What is wrong with it.
        #[source]
        problem: Problem,
    },
}

/// Why an event cannot be the next one.
#[derive(Debug, thiserror::Error)]
pub enum Problem {
    /// Longer than [`crate::LINE_BYTES_MAX`].
    #[error("longer than {} bytes", crate::LINE_BYTES_MAX)]
    TooLong,
    /// More than [`crate::EVENTS_MAX`] events.
    #[error("more than {} events", crate::EVENTS_MAX)]
    TooMany,
    /// Not JSON, or a field of the wrong type, or an unknown one.
    #[error("{0}")]
    Json(#[from] serde_json::Error),
    /// A field that this operation and type need.
    #[error("the field `{0}` is missing")]
    Missing(&'static str),
    /// A field that has no meaning for this operation and type, or not with this value.
    #[error("the field `{0}` has no place here, or not with this value")]
    Misplaced(&'static str),
    /// Indexes must increase.
    #[error("index {index} after {last}")]
    Index {
        /// Of this event.
        index: u64,
        /// Of the event before.
        last: u64,
    },
    /// Times must not go backwards.
    #[error("time {time_ns} after {last_ns}")]
    Time {
        /// Of this event.
        time_ns: u64,
        /// Of the event before.
        last_ns: u64,
    },
    /// A process does one thing at a time.
    #[error("process {0} invokes an operation while another is open")]
    Busy(u32),
    /// A completion of nothing.
    #[error("process {0} completes an operation but has none open")]
    NothingOpen(u32),
    /// A completion repeats key, operation and arguments of the invocation.
    #[error("process {0} completes another operation than it invoked")]
    Other(u32),
    /// The answer is of another kind than the question.
    #[error("the outcome does not fit the operation")]
    Unfit,
}
