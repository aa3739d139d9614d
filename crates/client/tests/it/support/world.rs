//! The state of the fake cluster: what the groups hold, who leads, what goes wrong next.

use std::collections::{BTreeMap, VecDeque};
use std::ops::RangeInclusive;
use std::sync::Arc;
use std::time::Duration;

use atoll_placement::slot_of;
use atoll_proto::v1::error_detail::Kind;
use atoll_proto::v1::pipe_reply_item::Result as Reply;
use atoll_proto::v1::pipe_request_item::Operation;
use atoll_proto::v1::{
    Consistency, ErrorDetail, GetReply, GroupInfo, NodeInfo, OpenSessionRequest, PipeReplyItem,
    PipeRequestItem, ReadOptions, ReplicaStatus, Session, SessionToken, ShardMap, SlotRun, WriteRequest,
};
use bytes::Bytes;
use parking_lot::Mutex;
use prost::Message;
use tokio::sync::watch;

use super::group::Group;

/// What happens to one request.
pub(crate) enum Action {
    /// What a correct server does.
    Serve,
    /// This instead.
    Refuse(ErrorDetail),
    /// Done, but the link breaks before the reply.
    ServeAndCut,
    /// The link breaks.
    Cut,
    /// Done, but there is no reply.
    ServeSilently,
    /// This instead, when the time that the request has is over.
    Hold(ErrorDetail),
    /// Nothing.
    Ignore,
    /// These bytes instead of a frame.
    Raw(&'static [u8]),
}

/// What goes back for one frame.
pub(crate) enum Frame {
    Replies(Vec<PipeReplyItem>),
    /// Later, all of them.
    Held(Vec<PipeReplyItem>, Duration),
    Raw(Bytes),
    Cut,
}

type Script = Box<dyn FnMut(&str, &PipeRequestItem) -> Action + Send>;

pub(crate) struct World(Mutex<Inner>);

struct Inner {
    nodes: BTreeMap<String, Node>,
    groups: BTreeMap<u64, Group>,
    epoch: u64,
    runs: Vec<SlotRun>,
    script: Script,
    /// Operations of each frame received, with its lane.
    frames: Vec<(u8, usize)>,
    /// Every session stamp received with a write.
    stamps: Vec<Session>,
    /// Every opening that got to a leader.
    openings: Vec<OpenSessionRequest>,
    page_rows: usize,
    /// Followers serve reads, as real ones do.
    follower_reads: bool,
    /// Scans answer with their rows in the wrong order.
    spoilt_scans: bool,
    /// Replicas (node, group) that have stopped applying, with the state they are in.
    frozen: BTreeMap<(u64, u64), Group>,
}

struct Node {
    id: u64,
    up: bool,
    zone: String,
    delay: Duration,
    cut: watch::Sender<u64>,
}

impl World {
    /// `nodes` nodes named n1, n2, ...; `groups` groups on all of them, group g led by node 1 + g mod n.
    pub(crate) fn new(nodes: u64, groups: u64) -> Arc<Self> {
        let node = |id| {
            (
                format!("n{id}"),
                Node {
                    id,
                    up: true,
                    zone: String::new(),
                    delay: Duration::ZERO,
                    cut: watch::Sender::new(0),
                },
            )
        };
        let group = |id| {
            (
                id,
                Group {
                    id,
                    index: 1,
                    leader: 1 + id % nodes,
                    hint: true,
                    last: 1000,
                    ..Group::default()
                },
            )
        };
        let share = 16_384 / groups as u32;
        let run = |id: u64| {
            let first = (id as u32 - 1) * share;
            let last = if id == groups { 16_383 } else { first + share - 1 };
            SlotRun {
                first,
                last,
                group: id,
                slot_epoch: 1,
            }
        };
        Arc::new(Self(Mutex::new(Inner {
            nodes: (1..=nodes).map(node).collect(),
            groups: (1..=groups).map(group).collect(),
            epoch: 1,
            runs: (1..=groups).map(run).collect(),
            script: Box::new(|_, _| Action::Serve),
            frames: Vec::new(),
            stamps: Vec::new(),
            openings: Vec::new(),
            page_rows: usize::MAX,
            follower_reads: false,
            spoilt_scans: false,
            frozen: BTreeMap::new(),
        })))
    }

    pub(crate) fn script(&self, script: impl FnMut(&str, &PipeRequestItem) -> Action + Send + 'static) {
        self.0.lock().script = Box::new(script);
    }

    /// Does the actions to the next writes, one after the other, then serves.
    pub(crate) fn writes_meet(&self, actions: impl IntoIterator<Item = Action>) {
        let mut actions: VecDeque<_> = actions.into_iter().collect();
        self.script(move |_, item| match &item.operation {
            Some(Operation::Write(_)) => actions.pop_front().unwrap_or(Action::Serve),
            _ => Action::Serve,
        });
    }

    pub(crate) fn is_up(&self, node: &str) -> bool {
        self.0.lock().nodes.get(node).is_some_and(|node| node.up)
    }

    /// Kills or starts a node; killing breaks its links.
    pub(crate) fn set_up(&self, node: &str, up: bool) {
        let mut inner = self.0.lock();
        let node = inner.nodes.get_mut(node).unwrap();
        node.up = up;
        if !up {
            node.cut.send_modify(|cuts| *cuts += 1);
        }
    }

    /// A node goes on under another address: nobody listens where it was, and there is a newer map.
    pub(crate) fn change_address(&self, from: &str, to: &str) {
        let mut inner = self.0.lock();
        let node = inner.nodes.remove(from).unwrap();
        node.cut.send_modify(|cuts| *cuts += 1);
        let node = Node {
            cut: watch::Sender::new(0),
            ..node
        };
        inner.nodes.insert(to.to_owned(), node);
        inner.epoch += 1;
    }

    pub(crate) fn cuts(&self, node: &str) -> watch::Receiver<u64> {
        self.0.lock().nodes[node].cut.subscribe()
    }

    /// Makes a node the leader (0: nobody) and says whether followers know.
    pub(crate) fn elect(&self, group: u64, leader: u64, hint: bool) {
        let mut inner = self.0.lock();
        let group = inner.groups.get_mut(&group).unwrap();
        (group.leader, group.hint) = (leader, hint);
    }

    /// From now on followers answer reads.
    pub(crate) fn serve_reads_everywhere(&self) {
        self.0.lock().follower_reads = true;
    }

    pub(crate) fn spoil_scans(&self, spoilt: bool) {
        self.0.lock().spoilt_scans = spoilt;
    }

    /// Puts a node into a zone. For maps fetched later.
    pub(crate) fn set_zone(&self, node: &str, zone: &str) {
        self.0.lock().nodes.get_mut(node).unwrap().zone = zone.to_owned();
    }

    /// How long a node takes for every frame.
    pub(crate) fn set_delay(&self, node: &str, delay: Duration) {
        self.0.lock().nodes.get_mut(node).unwrap().delay = delay;
    }

    pub(crate) fn delay(&self, node: &str) -> Duration {
        self.0.lock().nodes[node].delay
    }

    /// A follower applies nothing from here on.
    pub(crate) fn freeze(&self, node: u64, group: u64) {
        let mut inner = self.0.lock();
        let state = inner.groups[&group].clone();
        inner.frozen.insert((node, group), state);
    }

    /// Gives a run of slots to another group, with rows and sessions, as a finished move does.
    pub(crate) fn move_run(&self, first: u32, last: u32, to: u64) {
        let mut inner = self.0.lock();
        inner.epoch += 1;
        let epoch = inner.epoch;
        let mut runs = Vec::new();
        for run in std::mem::take(&mut inner.runs) {
            let (from, until) = (run.first.max(first), run.last.min(last));
            if run.group == to || from > until {
                runs.push(run);
                continue;
            }
            let part = |first: u32, last: u32| (first <= last).then_some(SlotRun { first, last, ..run });
            runs.extend(from.checked_sub(1).and_then(|before| part(run.first, before)));
            runs.push(SlotRun {
                first: from,
                last: until,
                group: to,
                slot_epoch: epoch,
            });
            runs.extend(part(until + 1, run.last));
            inner.hand_over(run.group, to, from..=until);
        }
        inner.runs = runs;
    }

    /// Gives all slots of one group to another, with their rows, as a finished move does.
    pub(crate) fn move_slots(&self, from: u64, to: u64) {
        let mut inner = self.0.lock();
        inner.epoch += 1;
        let epoch = inner.epoch;
        for run in inner.runs.iter_mut().filter(|run| run.group == from) {
            (run.group, run.slot_epoch) = (to, epoch);
        }
        inner.hand_over(from, to, 0..=16_383);
    }

    /// Forgets every session of a group.
    pub(crate) fn forget_sessions(&self, group: u64) {
        self.0.lock().groups.get_mut(&group).unwrap().forget_sessions();
    }

    pub(crate) fn set_page_rows(&self, rows: usize) {
        self.0.lock().page_rows = rows;
    }

    pub(crate) fn applied(&self) -> u64 {
        self.0.lock().groups.values().map(|group| group.applied).sum()
    }

    pub(crate) fn value(&self, key: &str) -> Option<Bytes> {
        let inner = self.0.lock();
        inner
            .groups
            .values()
            .find_map(|group| group.rows.get(key.as_bytes()))
            .map(|row| row.0.clone())
    }

    pub(crate) fn group_of(&self, key: &[u8]) -> u64 {
        self.0.lock().owner(key)
    }

    /// Operations of each frame so far, with its lane.
    pub(crate) fn frames(&self) -> Vec<(u8, usize)> {
        self.0.lock().frames.clone()
    }

    pub(crate) fn stamps(&self) -> Vec<Session> {
        self.0.lock().stamps.clone()
    }

    pub(crate) fn openings(&self) -> Vec<OpenSessionRequest> {
        self.0.lock().openings.clone()
    }

    pub(crate) fn map_newer_than(&self, known: u64) -> Option<ShardMap> {
        let inner = self.0.lock();
        if known >= inner.epoch {
            return None;
        }
        let nodes = inner.nodes.iter().map(|(address, node)| NodeInfo {
            node: node.id,
            uuid: format!("{:032x}", node.id),
            address: address.clone(),
            zone: node.zone.clone(),
        });
        let groups = inner.groups.keys().map(|&group| GroupInfo {
            group,
            generation: 1,
            replicas: inner
                .nodes
                .values()
                .map(|node| ReplicaStatus {
                    replica: group * 100 + node.id,
                    node: node.id,
                })
                .collect(),
            leader_node: 0,
        });
        Some(ShardMap {
            epoch: inner.epoch,
            cluster_id: format!("{:032x}", 7),
            nodes: nodes.collect(),
            groups: groups.collect(),
            slots: inner.runs.clone(),
        })
    }

    pub(crate) fn answer(&self, node: &str, lane: u8, items: Vec<PipeRequestItem>) -> Frame {
        let mut inner = self.0.lock();
        inner.frames.push((lane, items.len()));
        let mut replies = Vec::new();
        let mut held = Duration::ZERO;
        for item in items {
            let action = (inner.script)(node, &item);
            if let Action::Raw(bytes) = action {
                return Frame::Raw(Bytes::from_static(bytes));
            }
            let result = match &action {
                Action::Refuse(detail) => Reply::Error(detail.clone()),
                Action::Hold(detail) => {
                    held = held.max(Duration::from_millis(item.deadline_ms.into()));
                    Reply::Error(detail.clone())
                }
                Action::Ignore | Action::Raw(_) => continue,
                Action::Cut => return Frame::Cut,
                _ => inner.serve(node, &item),
            };
            match action {
                Action::ServeAndCut => return Frame::Cut,
                Action::ServeSilently => {}
                _ => replies.push(PipeReplyItem {
                    id: item.id,
                    result: Some(result),
                }),
            }
        }
        if held.is_zero() {
            Frame::Replies(replies)
        } else {
            Frame::Held(replies, held)
        }
    }
}

impl Inner {
    fn hand_over(&mut self, from: u64, to: u64, slots: RangeInclusive<u32>) {
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

    fn owner(&self, key: &[u8]) -> u64 {
        let slot = u32::from(slot_of(key).0);
        self.runs
            .iter()
            .find(|run| run.first <= slot && slot <= run.last)
            .unwrap()
            .group
    }

    fn serve(&mut self, node: &str, item: &PipeRequestItem) -> Reply {
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

/// A refusal without particulars.
pub(crate) fn error(kind: Kind) -> ErrorDetail {
    ErrorDetail {
        kind: kind.into(),
        message: kind.as_str_name().to_owned(),
        ..ErrorDetail::default()
    }
}
