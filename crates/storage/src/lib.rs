//! The append-only storage engine: shared journal and per-group index.
