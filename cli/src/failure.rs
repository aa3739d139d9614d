//! How commands fail: one table of exit codes, one way to say what happened and what to do next.

use std::io::{self, Write};
use std::process::ExitCode;

use atoll_client::{Error, ErrorKind};

use crate::screen::{Screen, Tint, paint};

/// Shown at the end of `atoll --help`; the only description of exit codes.
pub(crate) const EXIT_CODES: &str = "\
Exit codes:
  0  done
  1  not found, or the condition did not hold (get of an absent key, cas mismatch, verify mismatch, damage found)
  2  wrong usage or invalid input; nothing was sent
  3  unavailable or out of time; what was asked was definitely not done
  4  outcome unknown: a write may or may not have happened
  5  an error inside a server or inside this program";

/// Why a command ends without success. The numbers are those of [`EXIT_CODES`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Exit {
    /// The reader of our output went away: nothing is wrong.
    Quiet = 0,
    /// Not found, or the condition did not hold.
    Negative = 1,
    /// The caller's mistake.
    Usage = 2,
    /// Not possible now, and not done.
    Unavailable = 3,
    /// A write that may have happened.
    Unknown = 4,
    /// Somebody else's mistake: a server's or ours.
    Internal = 5,
}

/// What a command says when it does not succeed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Failure {
    /// The process' exit code.
    pub(crate) exit: Exit,
    /// What happened.
    pub(crate) what: String,
    /// What to do next; possibly empty.
    pub(crate) next: String,
}

/// The result of a command or a part of it.
pub(crate) type Result<T = ()> = std::result::Result<T, Failure>;

impl Failure {
    /// A failure that names no next step yet.
    pub(crate) fn new(exit: Exit, what: impl Into<String>) -> Self {
        Self {
            exit,
            what: what.into(),
            next: String::new(),
        }
    }

    /// Invalid input.
    pub(crate) fn usage(what: impl Into<String>) -> Self {
        Self::new(Exit::Usage, what)
    }

    /// A failure that the user was told of already.
    pub(crate) fn told(exit: Exit) -> Self {
        Self::new(exit, "")
    }

    /// Adds what to do next.
    #[must_use]
    pub(crate) fn next(mut self, next: impl Into<String>) -> Self {
        self.next = next.into();
        self
    }

    /// Adds something to what to do next.
    #[must_use]
    pub(crate) fn also(mut self, next: &str) -> Self {
        let between = if self.next.is_empty() { "" } else { "; " };
        self.next = format!("{}{between}{next}", self.next);
        self
    }

    /// Says before the message what was being done.
    #[must_use]
    pub(crate) fn during(mut self, doing: &str) -> Self {
        self.what = format!("{doing}: {}", self.what);
        self
    }

    /// Writes the message to stderr and gives the exit code.
    pub(crate) fn report(&self, screen: Screen) -> ExitCode {
        self.tell(screen);
        ExitCode::from(self.exit as u8)
    }

    /// Writes the message to stderr.
    pub(crate) fn tell(&self, screen: Screen) {
        if self.exit == Exit::Quiet || self.what.is_empty() {
            return;
        }
        let mut stderr = io::stderr().lock();
        let color = screen.color_errors;
        // Without a stderr the exit code still tells the class of the failure.
        let _ = writeln!(stderr, "{} {}", paint(color, Tint::Bad, "error:"), self.what);
        if !self.next.is_empty() {
            let _ = writeln!(stderr, "{} {}", paint(color, Tint::Bold, "  next:"), self.next);
        }
    }
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::BrokenPipe => Self::new(Exit::Quiet, "the reader of the output went away"),
            _ => Self::new(Exit::Internal, error.to_string()),
        }
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        let (exit, next) = classify(error.kind());
        Self::new(exit, error.to_string()).next(next)
    }
}

/// The exit code and the advice for a kind of error of the client.
fn classify(kind: ErrorKind) -> (Exit, &'static str) {
    match kind {
        ErrorKind::Invalid => (Exit::Usage, ""),
        ErrorKind::Unavailable => (
            Exit::Unavailable,
            "see `atoll status`; check that the nodes run and that --endpoints names them, then repeat",
        ),
        ErrorKind::Overloaded => (Exit::Unavailable, "the servers shed load; repeat a little later"),
        ErrorKind::Deadline => (
            Exit::Unavailable,
            "nothing was done; see `atoll status`, then repeat or give a longer --deadline",
        ),
        ErrorKind::SessionExpired => (Exit::Unavailable, "nothing was done; repeat it"),
        ErrorKind::Unknown => (
            Exit::Unknown,
            "read the key to find out; a put of the same value is safe to repeat",
        ),
        ErrorKind::Compacted => (
            Exit::Usage,
            "read at a later version; nodes started with a longer --history-s keep more",
        ),
        ErrorKind::Corrupt => (
            Exit::Internal,
            "stored bytes fail their checksum on every replica asked; see the nodes' logs before anything else",
        ),
        _ => (
            Exit::Internal,
            "see the log of the node; if it looks like a bug, please report it",
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_exit_code_stands_in_the_table() {
        for exit in [
            Exit::Quiet,
            Exit::Negative,
            Exit::Usage,
            Exit::Unavailable,
            Exit::Unknown,
            Exit::Internal,
        ] {
            let row = format!("\n  {}  ", exit as u8);
            assert_eq!(EXIT_CODES.matches(&row).count(), 1, "{exit:?}");
        }
    }

    #[test]
    fn an_unknown_outcome_is_never_folded_into_a_definite_one() {
        assert_eq!(classify(ErrorKind::Unknown).0, Exit::Unknown);
        for definite in [
            ErrorKind::Unavailable,
            ErrorKind::Overloaded,
            ErrorKind::Deadline,
            ErrorKind::SessionExpired,
        ] {
            assert_eq!(classify(definite).0, Exit::Unavailable);
        }
        assert_eq!(classify(ErrorKind::Invalid).0, Exit::Usage);
    }

    #[test]
    fn a_reader_that_went_away_is_not_an_error() {
        let failure = Failure::from(io::Error::from(io::ErrorKind::BrokenPipe));
        assert_eq!(failure.exit, Exit::Quiet);
        assert_eq!(Failure::from(io::Error::other("disk")).exit, Exit::Internal);
    }
}
