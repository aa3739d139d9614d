//! Failures as the wire shows them: a kind that says what the caller can do, where to go instead, and
//! for unary calls the gRPC code that tools understand.

use atoll_env::net::{Code, Status};
use atoll_proto::{details, v1};
use atoll_types::{Epoch, GroupId, NodeId, ReplicaId};

use crate::shard::{Failure, RETRY_FULL_DISK_MS};

/// Where replicas are, as far as this node knows.
pub(crate) trait Locate: Send + Sync + 'static {
    /// The node that hosts a replica, and its address if known.
    fn locate(&self, group: GroupId, replica: ReplicaId) -> Option<(NodeId, Option<String>)>;
    /// The epoch of this node's shard map.
    fn map_epoch(&self) -> Epoch;
}

type Kind = v1::error_detail::Kind;

/// The failure as a message.
pub(crate) fn detail(failure: &Failure, places: &dyn Locate) -> v1::ErrorDetail {
    let mut detail = v1::ErrorDetail {
        kind: kind_of(failure) as i32,
        message: failure.to_string(),
        map_epoch: places.map_epoch().0,
        ..v1::ErrorDetail::default()
    };
    match failure {
        Failure::NotLeader { group, leader } => {
            detail.group = group.id.0;
            if let Some((node, address)) = leader.and_then(|replica| places.locate(group.id, replica)) {
                detail.leader_node = node.0;
                detail.leader_address = address.unwrap_or_default();
            }
        }
        Failure::NotOwner { group, .. } => detail.group = group.id.0,
        Failure::NotHere { group } => detail.group = group.0,
        Failure::Compacted { group, oldest, .. } => {
            detail.group = group.id.0;
            detail.oldest_version = oldest.0;
        }
        Failure::Overloaded { retry_after_ms, .. } => detail.retry_after_ms = *retry_after_ms,
        Failure::DiskQuota { .. } | Failure::DiskFull { .. } => detail.retry_after_ms = RETRY_FULL_DISK_MS,
        _ => {}
    }
    detail
}

fn kind_of(failure: &Failure) -> Kind {
    match failure {
        Failure::NotLeader { .. } => Kind::NotLeader,
        Failure::NotOwner { .. } | Failure::NotHere { .. } => Kind::NotOwner,
        Failure::Overloaded { .. } | Failure::DiskQuota { .. } | Failure::DiskFull { .. } => Kind::Overloaded,
        Failure::Invalid(_) => Kind::Invalid,
        Failure::SessionExpired => Kind::SessionExpired,
        Failure::Stale => Kind::Stale,
        Failure::Unknown(_) => Kind::UnknownOutcome,
        Failure::Deadline => Kind::Deadline,
        Failure::Unavailable(_) => Kind::Unavailable,
        Failure::Corrupt(_) => Kind::Corrupt,
        Failure::Compacted { .. } => Kind::Compacted,
        Failure::Internal(_) => Kind::Internal,
        Failure::Unsupported(_) => Kind::Unsupported,
    }
}

fn code_of(kind: Kind) -> Code {
    match kind {
        Kind::NotLeader | Kind::Unavailable => Code::Unavailable,
        Kind::NotOwner | Kind::SessionExpired | Kind::Stale => Code::FailedPrecondition,
        Kind::Overloaded => Code::ResourceExhausted,
        Kind::Invalid => Code::InvalidArgument,
        Kind::UnknownOutcome => Code::Unknown,
        Kind::Deadline => Code::DeadlineExceeded,
        Kind::Corrupt => Code::DataLoss,
        Kind::Compacted => Code::OutOfRange,
        Kind::Unsupported => Code::Unimplemented,
        Kind::Internal | Kind::Unspecified => Code::Internal,
    }
}

/// A unary call's status for a failure, with the detail inside.
pub(crate) fn status(detail: &v1::ErrorDetail) -> Status {
    let code = code_of(detail.kind());
    Status {
        code,
        message: detail.message.clone(),
        details: details::encode(code as i32, detail),
    }
}

/// The detail inside a status, if it has one.
pub(crate) fn detail_of(status: &Status) -> Option<v1::ErrorDetail> {
    details::decode(&status.details).filter(|detail| detail.kind() != Kind::Unspecified)
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use atoll_types::{GroupGen, GroupKey, SlotId};

    /// Replica n is on node n at `node-n`.
    pub(crate) struct Numbered;

    impl Locate for Numbered {
        fn locate(&self, _: GroupId, replica: ReplicaId) -> Option<(NodeId, Option<String>)> {
            Some((NodeId(replica.0), Some(format!("node-{replica}"))))
        }

        fn map_epoch(&self) -> Epoch {
            Epoch(7)
        }
    }

    fn group() -> GroupKey {
        GroupKey::new(GroupId(3), GroupGen(1))
    }

    #[test]
    fn a_redirect_names_the_leader_and_the_map() {
        let detail = detail(
            &Failure::NotLeader {
                group: group(),
                leader: Some(ReplicaId(9)),
            },
            &Numbered,
        );
        assert_eq!(detail.kind(), Kind::NotLeader);
        assert_eq!(
            (
                detail.group,
                detail.leader_node,
                detail.leader_address.as_str(),
                detail.map_epoch
            ),
            (3, 9, "node-9", 7)
        );
    }

    #[test]
    fn statuses_carry_the_detail_and_a_code_tools_understand() {
        let cases = [
            (Failure::Invalid("no".into()), Code::InvalidArgument),
            (Failure::Deadline, Code::DeadlineExceeded),
            (Failure::Unknown("lost".into()), Code::Unknown),
            (
                Failure::Overloaded {
                    what: "full",
                    retry_after_ms: 9,
                },
                Code::ResourceExhausted,
            ),
            (
                Failure::DiskQuota {
                    used_bytes: 9,
                    quota_bytes: 10,
                },
                Code::ResourceExhausted,
            ),
            (
                Failure::NotLeader {
                    group: group(),
                    leader: None,
                },
                Code::Unavailable,
            ),
            (
                Failure::NotOwner {
                    group: group(),
                    slot: SlotId(1),
                    epoch: Epoch(2),
                },
                Code::FailedPrecondition,
            ),
            (Failure::Corrupt("bits".into()), Code::DataLoss),
            (Failure::Unsupported("later"), Code::Unimplemented),
        ];
        for (failure, code) in cases {
            let detail = detail(&failure, &Numbered);
            let status = status(&detail);
            assert_eq!(status.code, code, "{failure:?}");
            assert_eq!(detail_of(&status), Some(detail));
        }
        assert_eq!(detail_of(&Status::new(Code::Internal, "plain")), None);
    }
}
