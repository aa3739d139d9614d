//! The state of the fake cluster: what the groups hold, who leads, what goes wrong next.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use atoll_placement::slot_of;
use atoll_proto::v1::error_detail::Kind;
use atoll_proto::v1::pipe_reply_item::Result as Reply;
use atoll_proto::v1::pipe_request_item::Operation;
use atoll_proto::v1::{
    ErrorDetail, GetReply, GroupInfo, NodeInfo, OpenSessionRequest, PipeReplyItem, PipeRequestItem,
    ReplicaStatus, Session, ShardMap, SlotRun, WriteRequest,
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
    /// Nothing.
    Ignore,
    /// These bytes instead of a frame.
    Raw(&'static [u8]),
}

/// What goes back for one frame.
pub(crate) enum Frame {
    Replies(Vec<PipeReplyItem>),
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
}

struct Node {
    id: u64,
    up: bool,
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
                    cut: watch::Sender::new(0),
                },
            )
        };
        let group = |id| {
            (
                id,
                Group {
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

    pub(crate) fn cuts(&self, node: &str) -> watch::Receiver<u64> {
        self.0.lock().nodes[node].cut.subscribe()
    }

    /// Makes a node the leader (0: nobody) and says whether followers know.
    pub(crate) fn elect(&self, group: u64, leader: u64, hint: bool) {
        let mut inner = self.0.lock();
        let group = inner.groups.get_mut(&group).unwrap();
        (group.leader, group.hint) = (leader, hint);
    }

    /// Gives all slots of one group to another, with their rows, as a finished move does.
    pub(crate) fn move_slots(&self, from: u64, to: u64) {
        let mut inner = self.0.lock();
        inner.epoch += 1;
        let epoch = inner.epoch;
        for run in inner.runs.iter_mut().filter(|run| run.group == from) {
            (run.group, run.slot_epoch) = (to, epoch);
        }
        let rows = std::mem::take(&mut inner.groups.get_mut(&from).unwrap().rows);
        inner.groups.get_mut(&to).unwrap().rows.extend(rows);
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
            zone: String::new(),
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
        for item in items {
            let action = (inner.script)(node, &item);
            if let Action::Raw(bytes) = action {
                return Frame::Raw(Bytes::from_static(bytes));
            }
            let result = match &action {
                Action::Refuse(detail) => Reply::Error(detail.clone()),
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
        Frame::Replies(replies)
    }
}

impl Inner {
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
        if group.leader != node {
            let leader_node = if group.hint { group.leader } else { 0 };
            return Reply::Error(ErrorDetail {
                leader_node,
                ..error(Kind::NotLeader)
            });
        }
        if keys_of(item).iter().any(|key| self.owner(key) != item.group) {
            return Reply::Error(error(Kind::NotOwner));
        }
        let newest = self
            .runs
            .iter()
            .filter(|run| run.group == item.group)
            .map(|run| run.slot_epoch)
            .max();
        let page_rows = self.page_rows;
        if let Some(Operation::Write(WriteRequest {
            session: Some(session),
            ..
        })) = &item.operation
        {
            self.stamps.push(*session);
        }
        let group = self.groups.get_mut(&item.group).unwrap();
        match item.operation.as_ref().unwrap() {
            Operation::Write(write) => group.write(write),
            Operation::Get(get) => {
                let row = group.row(&get.key);
                Reply::Get(GetReply {
                    found: row.found,
                    value: row.value,
                    version: row.version,
                    proof: None,
                })
            }
            Operation::MultiGet(get) => group.multi_get(get, page_rows),
            Operation::Scan(scan)
                if scan
                    .options
                    .as_ref()
                    .is_some_and(|options| newest.is_none_or(|epoch| epoch != options.slot_epoch)) =>
            {
                Reply::Error(error(Kind::NotOwner))
            }
            Operation::Scan(scan) => group.scan(scan, page_rows),
            Operation::OpenSession(open) => {
                self.openings.push(*open);
                group.open(open)
            }
        }
    }
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
