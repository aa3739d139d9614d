//! What a node answers, as a correct server does.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;

use atoll_placement::slot_of;
use atoll_proto::v1::error_detail::Kind;
use atoll_proto::v1::pipe_reply_item::Result as Reply;
use atoll_proto::v1::pipe_request_item::Operation;
use atoll_proto::v1::{
    Consistency, ErrorDetail, GetReply, PipeRequestItem, ReadOptions, SessionToken, WriteRequest,
};
use bytes::Bytes;
use prost::Message;

use super::super::group::Group;
use super::{Inner, error};

impl Inner {
    pub(super) fn hand_over(&mut self, from: u64, to: u64, slots: RangeInclusive<u32>) {
        let source = self.groups.get_mut(&from).unwrap();
        let moves = |key: &Bytes| slots.contains(&u32::from(slot_of(key).0));
        let (gone, kept) = std::mem::take(&mut source.rows)
            .into_iter()
            .partition(|(key, _)| moves(key));
        source.rows = kept;
        let (sessions, last) = (source.sessions.clone(), source.last);
        let target = self.groups.get_mut(&to).unwrap();
        let gone: BTreeMap<Bytes, (Bytes, u64)> = gone;
        target.rows.extend(gone);
        target.sessions.extend(sessions);
        target.last = target.last.max(last);
    }

    pub(super) fn owner(&self, key: &[u8]) -> u64 {
        let slot = u32::from(slot_of(key).0);
        self.runs
            .iter()
            .find(|run| run.first <= slot && slot <= run.last)
            .unwrap()
            .group
    }

    pub(super) fn serve(&mut self, node: &str, item: &PipeRequestItem) -> Reply {
        let node = self.nodes[node].id;
        let Some(group) = self.groups.get(&item.group) else {
            return Reply::Error(error(Kind::NotOwner));
        };
        let read = matches!(
            item.operation,
            Some(Operation::Get(_) | Operation::MultiGet(_) | Operation::Scan(_))
        );
        if group.leader != node && !(read && self.follower_reads) {
            let leader_node = if group.hint { group.leader } else { 0 };
            return Reply::Error(ErrorDetail {
                leader_node,
                ..error(Kind::NotLeader)
            });
        }
        if keys_of(item).iter().any(|key| self.owner(key) != item.group) {
            return Reply::Error(error(Kind::NotOwner));
        }
        let page_rows = self.page_rows;
        if let Some(Operation::Write(WriteRequest {
            session: Some(session),
            ..
        })) = &item.operation
        {
            self.stamps.push(*session);
        }
        if read {
            return self.read(node, item, page_rows);
        }
        let group = self.groups.get_mut(&item.group).unwrap();
        let mut reply = match item.operation.as_ref().unwrap() {
            Operation::Write(write) => group.write(write),
            Operation::OpenSession(open) => {
                self.openings.push(*open);
                group.open(open)
            }
            _ => unreachable!("reads were answered above"),
        };
        if let Reply::Write(write) = &mut reply {
            write.proof = Some(group.proof(node));
        }
        reply
    }

    fn read(&self, node: u64, item: &PipeRequestItem, page_rows: usize) -> Reply {
        let newest = &self.groups[&item.group];
        let options = match item.operation.as_ref().unwrap() {
            Operation::Get(get) => get.options.clone(),
            Operation::MultiGet(get) => get.options.clone(),
            Operation::Scan(scan) => scan.options.clone(),
            _ => None,
        };
        let options = options.unwrap_or_default();
        let frozen = self.frozen.get(&(node, item.group));
        if !self.owns_all(item, &options) {
            return Reply::Error(error(Kind::NotOwner));
        }
        let group = match (frozen, options.consistency()) {
            (Some(old), Consistency::Eventual) => old,
            (Some(old), Consistency::Session) if reached(&options, old) => old,
            (Some(_), _) => {
                let leader_node = newest.leader;
                return Reply::Error(ErrorDetail {
                    leader_node,
                    ..error(Kind::NotLeader)
                });
            }
            (None, _) => newest,
        };
        let proof = Some(group.proof(node));
        match item.operation.as_ref().unwrap() {
            Operation::Get(get) => {
                let row = group.row(&get.key);
                Reply::Get(GetReply {
                    found: row.found,
                    value: row.value,
                    version: row.version,
                    proof,
                })
            }
            Operation::MultiGet(get) => group.multi_get(get, page_rows),
            Operation::Scan(scan) => match group.scan(scan, page_rows) {
                Reply::Scan(mut reply) if self.spoilt_scans => {
                    reply.rows.reverse();
                    Reply::Scan(reply)
                }
                reply => reply,
            },
            _ => unreachable!("not a read"),
        }
    }

    /// Slots by name or by key, each known in at least the epoch asked for.
    fn owns_all(&self, item: &PipeRequestItem, options: &ReadOptions) -> bool {
        let owned = |slot: u32| {
            self.runs.iter().any(|run| {
                let here = run.first <= slot && slot <= run.last;
                here && run.group == item.group && run.slot_epoch >= options.slot_epoch
            })
        };
        let by_key = keys_of(item)
            .into_iter()
            .all(|key| owned(u32::from(slot_of(key).0)));
        let by_name = match &item.operation {
            Some(Operation::Scan(scan)) => scan.slots.chunks(2).all(|run| (run[0]..=run[1]).all(owned)),
            _ => true,
        };
        by_key && by_name
    }
}

/// True if a replica is as far as the reader's token asks.
fn reached(options: &ReadOptions, group: &Group) -> bool {
    let token = SessionToken::decode(options.token.clone()).unwrap();
    token
        .marks
        .iter()
        .all(|mark| mark.group == group.id && mark.applied_index <= group.index)
}

fn keys_of(item: &PipeRequestItem) -> Vec<&Bytes> {
    match item.operation.as_ref().unwrap() {
        Operation::Write(write) => write.ops.iter().map(|op| &op.key).collect(),
        Operation::Get(get) => vec![&get.key],
        Operation::MultiGet(get) => get.keys.iter().collect(),
        Operation::Scan(_) | Operation::OpenSession(_) => Vec::new(),
    }
}
