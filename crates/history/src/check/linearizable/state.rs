//! The register, and what an operation wants of it and does to it.

/// A value of a key, numbered.
pub(super) type ValueId = u32;

/// What the register holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    /// Nothing.
    Absent,
    /// A value and its version, if that has been shown.
    Present { value: ValueId, version: Option<u64> },
}

/// What an answer says the register held.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Needs {
    /// Nothing about it.
    Nothing,
    /// It held nothing.
    Absent,
    /// It held a value: what is given is equal, and it is not the value `not`.
    Present {
        value: Option<ValueId>,
        version: Option<u64>,
        not: Option<ValueId>,
    },
    /// Contradicts itself.
    Impossible,
}

/// What an operation leaves behind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Effect {
    /// What was there.
    Nothing,
    /// A value, with the version if it is known.
    Store { value: ValueId, version: Option<u64> },
    /// Nothing in the register; the version of the removal, if it is known.
    Remove { version: Option<u64> },
}

/// Whether the register is as an answer says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fit {
    /// It is not.
    No,
    /// It is.
    Yes,
    /// It is, provided that the version not shown before is this one.
    IfVersion(u64),
}

impl State {
    pub(super) fn fit(self, needs: Needs) -> Fit {
        match (needs, self) {
            (Needs::Nothing, _) | (Needs::Absent, Self::Absent) => Fit::Yes,
            (Needs::Impossible | Needs::Absent, _) | (_, Self::Absent) => Fit::No,
            (
                Needs::Present { value, version, not },
                Self::Present {
                    value: held,
                    version: held_version,
                },
            ) => {
                if value.is_some_and(|value| value != held) || not == Some(held) {
                    return Fit::No;
                }
                match (version, held_version) {
                    (Some(version), None) => Fit::IfVersion(version),
                    (Some(version), Some(held)) if version != held => Fit::No,
                    _ => Fit::Yes,
                }
            }
        }
    }

    pub(super) fn after(self, fit: Fit, effect: Effect) -> Self {
        match (effect, self, fit) {
            (Effect::Store { value, version }, ..) => Self::Present { value, version },
            (Effect::Remove { .. }, ..) => Self::Absent,
            (Effect::Nothing, Self::Present { value, .. }, Fit::IfVersion(version)) => Self::Present {
                value,
                version: Some(version),
            },
            (Effect::Nothing, ..) => self,
        }
    }
}

impl Effect {
    /// The version of the write, if it is known.
    pub(super) fn version(self) -> Option<u64> {
        match self {
            Self::Store { version, .. } | Self::Remove { version } => version,
            Self::Nothing => None,
        }
    }
}
