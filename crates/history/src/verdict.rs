//! What a checker says.

use std::fmt;

/// The judgement of one checker, or of several together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Nothing is wrong with the operations that the checker is about.
    Ok {
        /// How many those were. A pass over 0 operations says nothing.
        judged: usize,
    },
    /// A correct database cannot have given these answers.
    Violation(Vec<Violation>),
    /// Could not be decided. Not a pass.
    Unknown(Vec<Unknown>),
}

/// Something that a correct database cannot have answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// The checker's name.
    pub checker: &'static str,
    /// The key.
    pub key: String,
    /// What is wrong, for people.
    pub message: String,
    /// The operation that shows it, by the index of its invocation.
    pub operation: Option<u64>,
    /// Only of the linearizability checker: the longest order of operations that it found possible
    /// before `operation`, which fits nowhere after them; by the indexes of their invocations.
    pub prefix: Vec<u64>,
}

/// A key that could not be judged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unknown {
    /// The checker's name.
    pub checker: &'static str,
    /// The key.
    pub key: String,
    /// Why, for people.
    pub reason: String,
}

impl Verdict {
    /// Both judgements as one. A violation outweighs everything, what is unknown outweighs a pass.
    #[must_use]
    pub fn merge(self, other: Self) -> Self {
        match (self, other) {
            (Self::Ok { judged: ours }, Self::Ok { judged: theirs }) => Self::Ok {
                judged: ours + theirs,
            },
            (Self::Violation(mut ours), Self::Violation(theirs)) => {
                ours.extend(theirs);
                Self::Violation(ours)
            }
            (Self::Violation(found), _) | (_, Self::Violation(found)) => Self::Violation(found),
            (Self::Unknown(mut ours), Self::Unknown(theirs)) => {
                ours.extend(theirs);
                Self::Unknown(ours)
            }
            (Self::Unknown(open), _) | (_, Self::Unknown(open)) => Self::Unknown(open),
        }
    }

    /// Whether it is [`Verdict::Ok`].
    pub fn is_ok(&self) -> bool {
        matches!(self, Self::Ok { .. })
    }

    /// The exit code of a process that has nothing else to say: 0 pass, 1 violation, 2 unknown.
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Ok { .. } => 0,
            Self::Violation(_) => 1,
            Self::Unknown(_) => 2,
        }
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ok { judged } => write!(f, "ok ({judged} operations)"),
            Self::Violation(found) => {
                write!(f, "VIOLATION ({})", found.len())?;
                found
                    .iter()
                    .try_for_each(|one| write!(f, "\n  {}: {}: {}", one.checker, one.key, one.message))
            }
            Self::Unknown(open) => {
                write!(f, "UNKNOWN ({})", open.len())?;
                open.iter()
                    .try_for_each(|one| write!(f, "\n  {}: {}: {}", one.checker, one.key, one.reason))
            }
        }
    }
}

/// What a checker has found so far.
pub(crate) struct Findings {
    checker: &'static str,
    judged: usize,
    violations: Vec<Violation>,
    unknown: Vec<Unknown>,
}

impl Findings {
    pub(crate) fn new(checker: &'static str) -> Self {
        Self {
            checker,
            judged: 0,
            violations: Vec::new(),
            unknown: Vec::new(),
        }
    }

    pub(crate) fn judged(&mut self, operations: usize) {
        self.judged += operations;
    }

    pub(crate) fn wrong(&mut self, key: &str, message: String, operation: Option<u64>) {
        self.not_linearizable(key, message, operation, Vec::new());
    }

    pub(crate) fn not_linearizable(
        &mut self,
        key: &str,
        message: String,
        operation: Option<u64>,
        prefix: Vec<u64>,
    ) {
        self.violations.push(Violation {
            checker: self.checker,
            key: key.to_owned(),
            message,
            operation,
            prefix,
        });
    }

    pub(crate) fn unknown(&mut self, key: &str, reason: String) {
        self.unknown.push(Unknown {
            checker: self.checker,
            key: key.to_owned(),
            reason,
        });
    }

    pub(crate) fn verdict(self) -> Verdict {
        if !self.violations.is_empty() {
            Verdict::Violation(self.violations)
        } else if !self.unknown.is_empty() {
            Verdict::Unknown(self.unknown)
        } else {
            Verdict::Ok { judged: self.judged }
        }
    }
}
