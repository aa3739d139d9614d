//! What to do after a failed attempt. Pure, so that the rules can be read and tested in one place.

use std::time::Duration;

use atoll_proto::v1::ErrorDetail;
use atoll_proto::v1::error_detail::Kind;
use atoll_types::{Mutant, mutant};

use crate::error::{ErrorKind, kind_of_detail};
use crate::pipe::Failure;

/// Why an attempt failed.
#[derive(Clone, Debug)]
pub(crate) enum Fault {
    /// The map knows no group for it, or the group has no reachable replica in the map.
    NoRoute(String),
    /// No reply.
    Pipe(Failure),
    /// The server answered with an error.
    Refused(ErrorDetail),
}

/// What a call does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Effect {
    /// Nothing: any replica may answer it.
    Read,
    /// It opens a session, which does no harm twice.
    Opening,
    /// It changes rows.
    Write,
}

/// What is known of the call.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Facts {
    /// What it does if it happens.
    pub(crate) effect: Effect,
    /// It carries a session, so that sending it again cannot do it twice.
    pub(crate) session: bool,
    /// An earlier attempt may have happened.
    pub(crate) maybe_applied: bool,
}

/// The next step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Next {
    /// Send to the node the answer named. Free and at once.
    Redirect,
    /// Send to another replica, and never again to this one. At once.
    Elsewhere,
    /// Wait, then send to the next replica or whoever leads by then.
    Wait,
    /// Wait at least this long, if the retry budget allows a re-send.
    Spend(Duration),
    /// Get a newer shard map, then send.
    Refresh,
    /// Take a new session, then send.
    Renew,
    /// Give up.
    Fail(ErrorKind),
}

/// Decides, and says whether this attempt may have happened.
pub(crate) fn decide(fault: &Fault, facts: Facts) -> (Next, bool) {
    let write = facts.effect == Effect::Write;
    let unanswered = match fault {
        Fault::NoRoute(_) => return (Next::Refresh, false),
        Fault::Pipe(Failure::NotSent(_) | Failure::Full | Failure::TimedOut { sent: false }) => {
            return (Next::Wait, false);
        }
        Fault::Pipe(Failure::Lost(_) | Failure::TimedOut { sent: true }) => true,
        Fault::Refused(detail) => detail.kind() == Kind::UnknownOutcome,
    };
    if unanswered {
        let repeatable = !write || facts.session || mutant::is(Mutant::UnsafeRetry);
        return (
            if repeatable {
                Next::Wait
            } else {
                Next::Fail(ErrorKind::Unknown)
            },
            write,
        );
    }
    match fault {
        Fault::Refused(detail) => (after_refusal(detail, facts), false),
        Fault::NoRoute(_) | Fault::Pipe(_) => (Next::Wait, false),
    }
}

fn after_refusal(detail: &ErrorDetail, facts: Facts) -> Next {
    let kind = detail.kind();
    let next = match kind {
        Kind::NotLeader if detail.leader_node != 0 || !detail.leader_address.is_empty() => Next::Redirect,
        Kind::NotLeader | Kind::Deadline | Kind::Unavailable => Next::Wait,
        Kind::NotOwner => Next::Refresh,
        // Each replica has its own copy of the bytes.
        Kind::Corrupt if facts.effect == Effect::Read => Next::Elsewhere,
        Kind::Overloaded => Next::Spend(Duration::from_millis(detail.retry_after_ms)),
        Kind::SessionExpired
            if facts.session && (!facts.maybe_applied || mutant::is(Mutant::RetryUnderNewSession)) =>
        {
            Next::Renew
        }
        // A server that broke down half-way through a write says nothing about the write.
        Kind::Internal | Kind::Unspecified if facts.effect == Effect::Write => Next::Fail(ErrorKind::Unknown),
        _ => Next::Fail(kind_of_detail(kind)),
    };
    match next {
        // This attempt was refused, but that says nothing about the earlier ones.
        Next::Fail(_) if facts.maybe_applied => Next::Fail(ErrorKind::Unknown),
        next => next,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const READ: Facts = Facts {
        effect: Effect::Read,
        session: false,
        maybe_applied: false,
    };
    const BARE: Facts = Facts {
        effect: Effect::Write,
        session: false,
        maybe_applied: false,
    };
    const SAFE: Facts = Facts {
        effect: Effect::Write,
        session: true,
        maybe_applied: false,
    };
    const SENT: Facts = Facts {
        effect: Effect::Write,
        session: true,
        maybe_applied: true,
    };

    fn refused(kind: Kind) -> Fault {
        Fault::Refused(ErrorDetail {
            kind: kind.into(),
            ..ErrorDetail::default()
        })
    }

    #[test]
    fn a_lost_reply_is_unknown_only_for_a_write_without_session() {
        for fault in [
            Fault::Pipe(Failure::Lost("gone".into())),
            Fault::Pipe(Failure::TimedOut { sent: true }),
            refused(Kind::UnknownOutcome),
        ] {
            assert_eq!(decide(&fault, READ), (Next::Wait, false));
            assert_eq!(decide(&fault, SAFE), (Next::Wait, true));
            assert_eq!(decide(&fault, BARE), (Next::Fail(ErrorKind::Unknown), true));
        }
    }

    #[test]
    fn what_was_not_sent_is_retried_by_everyone() {
        for fault in [
            Fault::Pipe(Failure::NotSent("refused".into())),
            Fault::Pipe(Failure::Full),
            Fault::Pipe(Failure::TimedOut { sent: false }),
        ] {
            for facts in [READ, BARE, SAFE, SENT] {
                assert_eq!(decide(&fault, facts), (Next::Wait, false));
            }
        }
    }

    #[test]
    fn a_forgotten_session_is_renewed_only_if_nothing_was_sent_under_it() {
        assert_eq!(decide(&refused(Kind::SessionExpired), SAFE), (Next::Renew, false));
        assert_eq!(
            decide(&refused(Kind::SessionExpired), SENT),
            (Next::Fail(ErrorKind::Unknown), false)
        );
    }

    #[test]
    fn no_definite_failure_after_an_attempt_that_may_have_happened() {
        for kind in (0..=12).filter_map(|number| Kind::try_from(number).ok()) {
            if let (Next::Fail(kind), _) = decide(&refused(kind), SENT) {
                assert_eq!(kind, ErrorKind::Unknown);
            }
        }
    }

    #[test]
    fn damage_on_one_replica_sends_only_reads_elsewhere() {
        assert_eq!(decide(&refused(Kind::Corrupt), READ), (Next::Elsewhere, false));
        let opening = Facts {
            effect: Effect::Opening,
            ..READ
        };
        for facts in [opening, BARE, SAFE] {
            let failed = (Next::Fail(ErrorKind::Corrupt), false);
            assert_eq!(decide(&refused(Kind::Corrupt), facts), failed);
        }
    }

    #[test]
    fn a_redirect_needs_a_name() {
        let mut detail = ErrorDetail {
            kind: Kind::NotLeader.into(),
            ..ErrorDetail::default()
        };
        assert_eq!(decide(&Fault::Refused(detail.clone()), SAFE).0, Next::Wait);
        detail.leader_node = 2;
        assert_eq!(decide(&Fault::Refused(detail), SAFE).0, Next::Redirect);
    }
}
