//! The rows of one group behind one seam: what applies entries to them, and what reads them.
//!
//! A [`Backend`] holds the live rows of a replica's group. There are two: [`NativeBackend`], which is the index of the storage
//! engine and what every node uses unless it is told otherwise, and one over sled, in a crate of its own. They
//! differ in where rows are looked up, and in nothing that anybody can tell: `testing` has one suite that both pass.
//!
//! What is durable is the same for all of them: the group's log in the journal, and its checkpoints in the storage engine's own
//! files. So a backend of another kind is a copy of the live rows beside the native one, is thrown away and made again at
//! every start, and nothing is ever lost with it. It never has votes, logs, identities or the control plane. ADR 13 says why.
//!
//! What holds for each, and who checks it (`testing/conformance`; `tests/` of both crates run it):
//! - What the state machine finds while it applies an entry is a function of the log alone: the same answers from every
//!   backend, and from a plain map (`testing/oracle`).
//! - A view sees whole entries only, and goes on seeing the state of its moment whatever is applied, frozen, merged or ingested.
//! - What was applied and not checkpointed comes back from the log, what was checkpointed from files: the same rows, the same
//!   point of the log, the same rows of the system.
//! - A snapshot that is ingested replaces all rows in one step.
//!
//! What it costs: a virtual call per entry, per lookup and per page of rows, none per row. The state machine is called from inside
//! [`Backend::apply`], so that its many small questions are answered without one.

mod backend;
mod native;
#[cfg(feature = "test-util")]
pub mod testing;
mod view;

pub use backend::{Backend, Entry, Stop};
pub use native::{NativeBackend, NativeRows};
pub use view::{Ask, PAGE_BYTES, PAGE_ROWS, Page, PinnedView, Reader, Row};
