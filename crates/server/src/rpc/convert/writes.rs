//! Requests that change something.

use atoll_kv::{Command, CommandKind, Guard, Op, SessionRef};
use atoll_placement::slot_of;
use atoll_proto::v1;
use atoll_types::limits::BATCH_OPS_MAX;
use atoll_types::{ClientId, GroupId, SlotId, Version};
use bytes::Bytes;

use super::{Addressed, Request};
use crate::shard::Failure;

const TAG_RULE: &str = "all keys of one call must be in one slot: give them the same {tag}, because only what \
                        stands between the first { and the next } is hashed";
/// `Kv.Put`
pub(crate) fn put(request: v1::PutRequest) -> Result<Addressed, Failure> {
    let v1::PutRequest {
        key,
        value,
        session,
        after,
    } = request;
    one_op(Op::Put { key, value }, Vec::new(), session, after)
}

/// `Kv.Delete`
pub(crate) fn delete(request: v1::DeleteRequest) -> Result<Addressed, Failure> {
    one_op(
        Op::Delete { key: request.key },
        Vec::new(),
        request.session,
        request.after,
    )
}

/// `Kv.CompareAndSet`
pub(crate) fn compare_and_set(request: v1::CompareAndSetRequest) -> Result<Addressed, Failure> {
    let v1::CompareAndSetRequest {
        key,
        value,
        expected,
        session,
        after,
    } = request;
    let guard = Guard::Key {
        key: key.clone(),
        expected: Version(expected),
    };
    one_op(Op::Put { key, value }, vec![guard], session, after)
}

fn one_op(
    op: Op,
    guards: Vec<Guard>,
    session: Option<v1::Session>,
    after: u64,
) -> Result<Addressed, Failure> {
    let slot = slot_of(op.key());
    command(slot, vec![op], guards, session, after)
}

/// `Kv.Write`
pub(crate) fn write(request: v1::WriteRequest) -> Result<Addressed, Failure> {
    let ops = request
        .ops
        .into_iter()
        .map(write_op)
        .collect::<Result<Vec<_>, _>>()?;
    let guards: Vec<Guard> = request.guards.into_iter().map(guard).collect();
    let slot = match (ops.first(), guards.first()) {
        (Some(op), _) => slot_of(op.key()),
        (None, Some(guard)) => slot_of(guard_key(guard)),
        (None, None) => {
            return Err(Failure::Invalid(
                "a write needs at least one operation or guard".into(),
            ));
        }
    };
    let ops_agree = ops.iter().skip(1).all(|op| slot_of(op.key()) == slot);
    if !ops_agree || !guards.iter().all(|guard| guard_is_in(guard, slot)) {
        return Err(Failure::Invalid(TAG_RULE.into()));
    }
    command(slot, ops, guards, request.session, request.after)
}

fn write_op(op: v1::WriteOp) -> Result<Op, Failure> {
    let v1::WriteOp {
        kind,
        key,
        value,
        number,
        end,
        limit,
    } = op;
    match v1::write_op::Kind::try_from(kind) {
        Ok(v1::write_op::Kind::Put) => Ok(Op::Put { key, value }),
        Ok(v1::write_op::Kind::Delete) => Ok(Op::Delete { key }),
        Ok(v1::write_op::Kind::Increment) => Ok(Op::Increment { key, by: number }),
        Ok(v1::write_op::Kind::Append) => Ok(Op::Append { key, suffix: value }),
        Ok(v1::write_op::Kind::Min) => Ok(Op::Min { key, number }),
        Ok(v1::write_op::Kind::Max) => Ok(Op::Max { key, number }),
        Ok(v1::write_op::Kind::DeleteRange) => delete_range(key, end, limit),
        Err(_) => Err(Failure::Invalid(format!(
            "write operation kind {kind} is unknown"
        ))),
    }
}

/// The range must lie in one slot, or keys of other slots, which other groups may own, would be left.
fn delete_range(start: Bytes, end: Bytes, limit: u32) -> Result<Op, Failure> {
    if end.is_empty() {
        return Err(Failure::Invalid("the range to delete has no end".into()));
    }
    if !is_in_one_slot(&start, &end) {
        return Err(Failure::Invalid(format!(
            "the range to delete is not inside one slot: start and end must begin with the same {{tag}}, not \
             \"{}\" and \"{}\"",
            start.escape_ascii(),
            end.escape_ascii(),
        )));
    }
    let limit = if limit == 0 { BATCH_OPS_MAX as u32 } else { limit };
    Ok(Op::DeleteRange { start, end, limit })
}

fn guard(guard: v1::Guard) -> Guard {
    let v1::Guard { key, end, version } = guard;
    if end.is_empty() {
        Guard::Key {
            key,
            expected: Version(version),
        }
    } else {
        Guard::Range {
            start: key,
            end,
            newest: Version(version),
        }
    }
}

fn guard_key(guard: &Guard) -> &[u8] {
    match guard {
        Guard::Key { key, .. } => key,
        Guard::Range { start, .. } => start,
    }
}

/// True if the guard only concerns keys of one slot. A range does when its tag, with what stands
/// before it, begins every key in the range; otherwise keys of other groups would go unseen.
fn guard_is_in(guard: &Guard, slot: SlotId) -> bool {
    match guard {
        Guard::Key { key, .. } => slot_of(key) == slot,
        Guard::Range { start, end, .. } => slot_of(start) == slot && is_in_one_slot(start, end),
    }
}

/// True if the tag of `start`, with what stands before it, begins every key from there up to `end`.
fn is_in_one_slot(start: &[u8], end: &[u8]) -> bool {
    tag_prefix(start).is_some_and(|prefix| is_within_prefix(end, prefix))
}

/// The key up to and with its tag's closing brace; `None` without a tag.
fn tag_prefix(key: &[u8]) -> Option<&[u8]> {
    let open = key.iter().position(|&byte| byte == b'{')?;
    let close = open + 1 + key.get(open + 1..)?.iter().position(|&byte| byte == b'}')?;
    if close == open + 1 {
        None
    } else {
        key.get(..=close)
    }
}

/// True if nothing below `end` and not below the prefix lacks the prefix.
fn is_within_prefix(end: &[u8], prefix: &[u8]) -> bool {
    if end.starts_with(prefix) {
        return true;
    }
    // The lowest key above all with the prefix ends in the character after the closing brace.
    match prefix.split_last() {
        Some((brace, before)) => end.strip_prefix(before) == Some(&[brace + 1]),
        None => false,
    }
}

fn command(
    slot: SlotId,
    ops: Vec<Op>,
    guards: Vec<Guard>,
    session: Option<v1::Session>,
    after: u64,
) -> Result<Addressed, Failure> {
    let session = session.as_ref().map_or(Ok(None), session_ref)?;
    let after = Version(after);
    let command = Command {
        session,
        after,
        kind: CommandKind::Write,
        slot,
        guards,
        ops,
    };
    Ok((GroupId::CONTROL, Request::Write(command)))
}

fn session_ref(session: &v1::Session) -> Result<Option<SessionRef>, Failure> {
    if *session == v1::Session::default() {
        return Ok(None);
    }
    let client = client_id(session.client_high, session.client_low)?;
    if session.seq == 0 || session.ack > session.seq {
        let v1::Session { seq, ack, .. } = session;
        return Err(Failure::Invalid(format!(
            "session seq {seq} must be at least 1 and ack {ack} at most seq"
        )));
    }
    Ok(Some(SessionRef {
        client,
        seq: session.seq,
        ack: session.ack,
    }))
}

fn client_id(high: u64, low: u64) -> Result<ClientId, Failure> {
    match u128::from(high) << 64 | u128::from(low) {
        0 => Err(Failure::Invalid(
            "a client id is 128 random bits, not zero".into(),
        )),
        id => Ok(ClientId(id)),
    }
}

/// `Kv.OpenSession`
pub(crate) fn open_session(request: &v1::OpenSessionRequest) -> Result<Addressed, Failure> {
    let client = client_id(request.client_high, request.client_low)?;
    if request.version == 0 {
        return Err(Failure::Invalid(
            "a session is opened with a version read from its group before: proof.version of any \
             linearizable read of the group"
                .into(),
        ));
    }
    Ok((
        GroupId(request.group),
        Request::OpenSession(client, Version(request.version)),
    ))
}

#[cfg(test)]
mod tests {
    use super::super::invalid;
    use super::*;

    fn put_op(key: &'static [u8]) -> v1::WriteOp {
        v1::WriteOp {
            kind: 0,
            key: Bytes::from_static(key),
            ..v1::WriteOp::default()
        }
    }

    fn batch(keys: &[&'static [u8]]) -> Result<Addressed, Failure> {
        write(v1::WriteRequest {
            ops: keys.iter().map(|key| put_op(key)).collect(),
            ..Default::default()
        })
    }

    fn guarded(start: &'static [u8], end: &'static [u8]) -> Result<Addressed, Failure> {
        let guard = v1::Guard {
            key: Bytes::from_static(start),
            end: Bytes::from_static(end),
            version: 0,
        };
        write(v1::WriteRequest {
            ops: vec![put_op(b"a{t}1")],
            guards: vec![guard],
            ..v1::WriteRequest::default()
        })
    }

    #[test]
    fn a_batch_over_slots_names_the_tag_rule() {
        assert!(batch(&[b"{t}1", b"{t}2"]).is_ok());
        assert!(invalid(batch(&[b"foo", b"bar"])).contains("{tag}"));
        assert!(invalid(batch(&[])).contains("at least one"));
    }

    #[test]
    fn range_guards_stay_inside_one_tag() {
        assert!(guarded(b"a{t}", b"a{t}zzz").is_ok());
        assert!(guarded(b"a{t}1", b"a{t~").is_ok(), "the end of the prefix a{{t}}");
        let Ok((_, Request::Write(command))) = guarded(b"a{t}1", b"") else {
            panic!()
        };
        assert!(matches!(command.guards[..], [Guard::Key { .. }]), "an empty end");
        invalid(guarded(b"a{t}1", b"a{t~x"));
        invalid(guarded(b"a{t}1", b"b"));
        invalid(guarded(b"a{u}1", b"a{u}2"));
        invalid(guarded(b"plain", b"plain2"));
        invalid(guarded(b"a{}1", b"a{}2"));
    }

    fn one(op: v1::WriteOp) -> Result<Op, Failure> {
        let request = v1::WriteRequest {
            ops: vec![op],
            ..v1::WriteRequest::default()
        };
        match write(request)? {
            (_, Request::Write(command)) => {
                assert_eq!(command.slot, slot_of(command.ops[0].key()));
                Ok(command.ops[0].clone())
            }
            (_, other) => panic!("{other:?}"),
        }
    }

    fn range(start: &'static [u8], end: &'static [u8], limit: u32) -> Result<Op, Failure> {
        one(v1::WriteOp {
            kind: 6,
            key: Bytes::from_static(start),
            end: Bytes::from_static(end),
            limit,
            ..v1::WriteOp::default()
        })
    }

    #[test]
    fn operations_that_compute_are_what_they_say() {
        let computing = |kind| {
            one(v1::WriteOp {
                kind,
                value: Bytes::from_static(b"tail"),
                number: -7,
                ..put_op(b"k")
            })
        };
        let (key, suffix) = (Bytes::from_static(b"k"), Bytes::from_static(b"tail"));
        let expected = [
            Op::Increment {
                key: key.clone(),
                by: -7,
            },
            Op::Append {
                key: key.clone(),
                suffix,
            },
            Op::Min {
                key: key.clone(),
                number: -7,
            },
            Op::Max { key, number: -7 },
        ];
        for (kind, op) in (2..).zip(expected) {
            assert_eq!(computing(kind), Ok(op));
        }
        for kind in [7, -1, i32::MAX] {
            let unknown = v1::WriteOp { kind, ..put_op(b"k") };
            assert!(invalid(one(unknown)).contains("is unknown"));
        }
    }

    #[test]
    fn a_range_to_delete_stays_inside_one_tag_and_has_an_end_and_a_limit() {
        let (start, end) = (Bytes::from_static(b"a{t}1"), Bytes::from_static(b"a{t}2"));
        for (given, limit) in [(0, 4096), (1, 1), (4096, 4096), (9999, 9999)] {
            let (start, end) = (start.clone(), end.clone());
            let op = Op::DeleteRange { start, end, limit };
            assert_eq!(
                range(b"a{t}1", b"a{t}2", given),
                Ok(op),
                "a wrong limit is refused with the other bounds"
            );
        }
        assert!(range(b"{t}", b"{t}\xff", 1).is_ok());
        assert!(
            range(b"{t}", b"{t~", 1).is_ok(),
            "the first key above all with the tag"
        );
        assert!(range(b"{{t}", b"{{t}z", 1).is_ok(), "the tag is {{t");
        assert!(invalid(range(b"a{t}1", b"", 1)).contains("no end"));
        for (start, end) in [
            (&b"plain"[..], &b"plain2"[..]),
            (b"a{t}1", b"a{u}1"),
            (b"a{t}1", b"b{t}1"),
            (b"{t}1", b"{t"),
            (b"{t}1", b"{t~x"),
            (b"{t1", b"{t2"),
            (b"t}1", b"t}2"),
            (b"{}1", b"{}2"),
            (b"{}{t}1", b"{}{t}2"),
            (b"", b"{t}"),
        ] {
            let why = invalid(range(start, end, 1));
            assert!(why.contains("{tag}"), "{why}");
        }
    }

    #[test]
    fn a_range_and_a_key_of_another_slot_do_not_go_together() {
        let range = v1::WriteOp {
            kind: 6,
            end: Bytes::from_static(b"{t}9"),
            ..put_op(b"{t}1")
        };
        let with = |key| {
            write(v1::WriteRequest {
                ops: vec![range.clone(), put_op(key)],
                ..v1::WriteRequest::default()
            })
        };
        assert!(with(b"x{t}").is_ok());
        assert!(invalid(with(b"x{u}")).contains("{tag}"));
    }

    #[test]
    fn sessions_are_whole_or_absent() {
        let with = |client_low, seq, ack| {
            put(v1::PutRequest {
                key: Bytes::from_static(b"k"),
                session: Some(v1::Session {
                    client_high: 0,
                    client_low,
                    seq,
                    ack,
                }),
                ..v1::PutRequest::default()
            })
        };
        let Ok((_, Request::Write(command))) = with(5, 7, 6) else {
            panic!()
        };
        assert_eq!(
            command.session,
            Some(SessionRef {
                client: ClientId(5),
                seq: 7,
                ack: 6
            })
        );
        let Ok((_, Request::Write(command))) = with(0, 0, 0) else {
            panic!()
        };
        assert_eq!(command.session, None);
        invalid(with(0, 7, 6));
        invalid(with(5, 0, 0));
        invalid(with(5, 6, 7));
    }

    #[test]
    fn compare_and_set_is_one_guard() {
        let request = v1::CompareAndSetRequest {
            key: Bytes::from_static(b"k"),
            expected: 9,
            ..Default::default()
        };
        let Ok((_, Request::Write(command))) = compare_and_set(request) else {
            panic!()
        };
        assert_eq!(
            command.guards,
            [Guard::Key {
                key: Bytes::from_static(b"k"),
                expected: Version(9)
            }]
        );
        assert_eq!(command.slot, slot_of(b"k"));
    }
}
