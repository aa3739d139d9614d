//! Replies.

use atoll_proto::v1;
use atoll_types::Misfit;

use super::super::error::{Locate, detail};
use crate::shard::{Proof, Reply, Row};

type ReplyResult = v1::pipe_reply_item::Result;

/// A reply as the message that carries it.
pub(crate) fn result(reply: Reply, places: &dyn Locate) -> ReplyResult {
    match reply {
        Reply::Written {
            version,
            number,
            proof,
        } => ReplyResult::Write(v1::WriteReply {
            applied: true,
            version: version.0,
            number,
            proof: Some(wire_proof(&proof)),
            ..v1::WriteReply::default()
        }),
        Reply::Misfit { op, misfit, proof } => ReplyResult::Write(v1::WriteReply {
            applied: false,
            misfit: wire_misfit(misfit) as i32,
            misfit_op: u32::from(op),
            proof: Some(wire_proof(&proof)),
            ..v1::WriteReply::default()
        }),
        Reply::GuardFailed { guard, actual, proof } => ReplyResult::Write(v1::WriteReply {
            applied: false,
            failed_guard: u32::from(guard),
            version: actual.unwrap_or_default().0,
            proof: Some(wire_proof(&proof)),
            ..v1::WriteReply::default()
        }),
        Reply::SessionOpened { version, proof } => ReplyResult::OpenSession(v1::OpenSessionReply {
            version: version.0,
            proof: Some(wire_proof(&proof)),
        }),
        Reply::Value { found, proof } => {
            let proof = Some(wire_proof(&proof));
            ReplyResult::Get(match found {
                Some((version, value)) => v1::GetReply {
                    found: true,
                    value,
                    version: version.0,
                    proof,
                },
                None => v1::GetReply {
                    proof,
                    ..v1::GetReply::default()
                },
            })
        }
        Reply::Values { rows, unread, proof } => ReplyResult::MultiGet(v1::MultiGetReply {
            rows: rows.into_iter().map(wire_row).collect(),
            unread,
            proof: Some(wire_proof(&proof)),
        }),
        Reply::Page { rows, more, proof } => ReplyResult::Scan(Box::new(v1::ScanReply {
            rows: rows.into_iter().map(wire_row).collect(),
            more,
            proof: Some(wire_proof(&proof)),
            ..v1::ScanReply::default()
        })),
        Reply::Counted {
            count,
            last_key,
            more,
            proof,
        } => ReplyResult::Scan(Box::new(v1::ScanReply {
            more,
            proof: Some(wire_proof(&proof)),
            count,
            last_key,
            ..v1::ScanReply::default()
        })),
        Reply::Failed(failure) => ReplyResult::Error(detail(&failure, places)),
    }
}

fn wire_misfit(misfit: Misfit) -> v1::Misfit {
    match misfit {
        Misfit::NotANumber => v1::Misfit::NotANumber,
        Misfit::Overflow => v1::Misfit::Overflow,
        Misfit::TooLong => v1::Misfit::TooLong,
    }
}

fn wire_row(row: Row) -> v1::Row {
    match row.found {
        Some((version, value)) => v1::Row {
            key: row.key,
            value,
            version: version.0,
            found: true,
        },
        None => v1::Row {
            key: row.key,
            ..v1::Row::default()
        },
    }
}

fn wire_proof(proof: &Proof) -> v1::Proof {
    v1::Proof {
        group: proof.group.id.0,
        generation: proof.group.generation.0,
        replica: proof.replica.0,
        applied_index: proof.applied_index,
        slot_epoch: proof.slot_epoch.0,
        age_ms: proof.age_ms,
        version: proof.version.0,
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::error::tests::Numbered;
    use super::*;
    use atoll_types::{Epoch, GroupGen, GroupId, GroupKey, Outcome, ReplicaId, Version};

    fn written(outcome: &Outcome) -> v1::WriteReply {
        let proof = Proof {
            group: GroupKey::new(GroupId(1), GroupGen(1)),
            replica: ReplicaId(2),
            applied_index: 3,
            slot_epoch: Epoch(4),
            age_ms: 0,
            version: Version(9),
        };
        match result(Reply::of_outcome(outcome, false, proof), &Numbered) {
            ReplyResult::Write(reply) => v1::WriteReply {
                proof: reply.proof.filter(|proof| proof.applied_index != 3),
                ..reply
            },
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_write_that_computed_tells_its_number_also_if_it_is_0() {
        let version = Version(8);
        let done = v1::WriteReply {
            applied: true,
            version: 8,
            ..v1::WriteReply::default()
        };
        assert_eq!(written(&Outcome::Done { version }), done);
        for number in [0, -5, i64::MAX] {
            let told = v1::WriteReply {
                number: Some(number),
                ..done
            };
            assert_eq!(written(&Outcome::Computed { version, number }), told);
        }
    }

    #[test]
    fn a_misfit_is_no_write_and_names_its_operation() {
        let kinds = [
            (Misfit::NotANumber, v1::Misfit::NotANumber),
            (Misfit::Overflow, v1::Misfit::Overflow),
            (Misfit::TooLong, v1::Misfit::TooLong),
        ];
        for (misfit, wire) in kinds {
            let told = v1::WriteReply {
                misfit: wire.into(),
                misfit_op: 7,
                ..v1::WriteReply::default()
            };
            assert_eq!(written(&Outcome::Misfit { op: 7, misfit }), told);
        }
    }
}
