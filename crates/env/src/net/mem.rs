//! Being written.

/// A network in memory.
#[derive(Clone, Debug, Default)]
pub struct MemNet;

/// How a [`MemNet`] behaves.
#[derive(Clone, Debug, Default)]
pub struct MemNetOptions;

/// One node's side of a [`MemNet`].
#[derive(Clone, Debug, Default)]
pub struct MemNode;
