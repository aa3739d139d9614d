//! Being written.

/// A disk in memory.
#[derive(Clone, Debug, Default)]
pub struct MemVfs;

/// How a [`MemVfs`] behaves.
#[derive(Clone, Debug, Default)]
pub struct MemVfsOptions;
