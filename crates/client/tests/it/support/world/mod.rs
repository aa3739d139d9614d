//! The state of the fake cluster: what the groups hold, who leads, what goes wrong next.

mod serving;

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use atoll_proto::v1::error_detail::Kind;
use atoll_proto::v1::pipe_reply_item::Result as Reply;
use atoll_proto::v1::pipe_request_item::Operation;
use atoll_proto::v1::{
    ErrorDetail, GroupInfo, NodeInfo, OpenSessionRequest, PipeReplyItem, PipeRequestItem, ReplicaStatus,
    Session, ShardMap, SlotRun,
};
use bytes::Bytes;
use parking_lot::Mutex;
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

/// A refusal without particulars.
pub(crate) fn error(kind: Kind) -> ErrorDetail {
    ErrorDetail {
        kind: kind.into(),
        message: kind.as_str_name().to_owned(),
        ..ErrorDetail::default()
    }
}
