//! What a transaction is made of.

use crate::event::Seen;

/// One step of a transaction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// Store a value in a register.
    Write {
        /// The register.
        key: String,
        /// The version that it must have, or nothing is done; 0: it must not exist. `None`: whatever it has.
        expected: Option<u64>,
        /// The value; `None` removes the key.
        value: Option<String>,
    },
    /// Read a register.
    Read {
        /// The register.
        key: String,
    },
    /// Put an element behind those of a list.
    Append {
        /// The list.
        key: String,
        /// The element. Checkers tell most if no two appends to a list are of the same.
        element: String,
    },
    /// Read a list.
    List {
        /// The list.
        key: String,
    },
}

/// What a step found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Found {
    /// It does not look.
    Nothing,
    /// What a register held; `None` if it did not exist.
    Value(Option<Seen>),
    /// What a list held.
    Elements(Vec<String>),
}

impl Step {
    /// The register or list.
    pub fn key(&self) -> &str {
        match self {
            Self::Write { key, .. } | Self::Read { key } | Self::Append { key, .. } | Self::List { key } => {
                key
            }
        }
    }

    /// Whether it changes something.
    pub fn is_write(&self) -> bool {
        matches!(self, Self::Write { .. } | Self::Append { .. })
    }

    /// Whether it is about a list.
    pub fn is_of_list(&self) -> bool {
        matches!(self, Self::Append { .. } | Self::List { .. })
    }

    pub(crate) fn has_condition(&self) -> bool {
        matches!(
            self,
            Self::Write {
                expected: Some(_),
                ..
            }
        )
    }

    /// Whether it can have found this.
    pub(crate) fn fits(&self, found: &Found) -> bool {
        match (self, found) {
            (Self::Write { .. } | Self::Append { .. }, Found::Nothing)
            | (Self::List { .. }, Found::Elements(_)) => true,
            (Self::Read { .. }, Found::Value(seen)) => seen.as_ref().and_then(|seen| seen.version) != Some(0),
            _ => false,
        }
    }
}
