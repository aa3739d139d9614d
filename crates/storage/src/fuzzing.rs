//! What the decoders of the journal, of runs, of snapshots and of packed values promise about bytes of any kind, as checks that panic if it does not hold.
//! Shared by the fuzz targets (`fuzz/`) and the tests that replay their corpus.

pub use crate::codec::{packed, packed_seeds};
pub use crate::journal::fuzzing::{batch, batch_seeds, record, record_seeds, segment, segment_seeds};
pub use crate::run::fuzzing::{run, run_seeds};
pub use crate::snapshot::fuzzing::{chunk, chunk_seeds};
