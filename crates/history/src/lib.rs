//! What clients asked for and what they were told, and whether a correct database could have told them so.
//!
//! A [`History`] is a list of [`Event`]s in the order in which they were noted: an operation is
//! invoked, later it completes. It is kept as JSON lines, so that the simulator, tests of real
//! processes and people read the same file. Completions say one of three things, and the difference
//! between the last two is what every checker stands on:
//! - `ok`: it happened, and this is the answer;
//! - `fail`: it certainly did not happen and never will;
//! - `info`: nobody knows. It may take effect at any time after it was invoked, or never.
//!
//! Real time is the order of the events, not their timestamps: an operation is before another if its
//! completion was noted before the other's invocation. Whoever records must therefore note an
//! invocation before sending and a completion after receiving, under one lock. Only
//! [`check::staleness`] looks at the timestamps.
//!
//! The checkers in [`check`] are independent of each other and of the database; each gives a
//! [`Verdict`]. [`Verdict::Unknown`] means that nobody knows, and is never a pass.

pub mod check;
mod error;
mod event;
pub mod export;
mod history;
mod line;
mod number;
mod operation;
mod parts;
mod step;
mod step_line;
pub mod value;
mod verdict;

pub use error::{Error, Problem};
pub use event::{Call, Event, Expected, Level, Origin, Outcome, Phase, Seen};
pub use history::{EVENTS_MAX, History, LINE_BYTES_MAX};
pub use operation::{Operation, Point};
pub use parts::Parts;
pub use step::{Found, Step};
pub use verdict::{Unknown, Verdict, Violation};
