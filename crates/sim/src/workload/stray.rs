//! A client that asks the wrong group. Slots do not move yet, so no honest client's map is ever wrong;
//! but whatever a map says, a group must refuse what it does not own.

use std::collections::BTreeSet;
use std::time::Duration;

use atoll_client::admin;
use atoll_env::{Env, Instant, Task};
use atoll_placement::slot_of;
use atoll_proto::v1::pipe_reply_item::Result as Answer;
use atoll_proto::v1::pipe_request_item::Operation;
use atoll_proto::{method, v1};
use bytes::Bytes;
use prost::Message;

use super::recorder::Recorder;

/// How long it waits for anybody.
const PATIENCE: Duration = Duration::from_secs(1);

/// See the module.
pub(crate) struct Stray {
    pub(crate) env: Env,
    pub(crate) addresses: Vec<String>,
    pub(crate) recorder: Recorder,
}

impl Stray {
    /// Asks until the time comes.
    pub(crate) fn start(self, until: Instant) -> Task<()> {
        let spawn = self.env.spawn.clone();
        spawn.spawn(Box::pin(async move {
            let clock = &self.env.clock;
            let mut number = 0_u64;
            while clock.now() < until {
                clock
                    .sleep(Duration::from_millis(300 + self.env.rng.below(3000)))
                    .await;
                number += 1;
                self.ask_wrong_groups(&format!("stray {number}")).await;
            }
        }))
    }

    async fn ask_wrong_groups(&self, key: &str) {
        let pick = self.env.rng.below(self.addresses.len() as u64) as usize;
        let Some(address) = self.addresses.get(pick) else {
            return;
        };
        let map = self
            .env
            .clock
            .timeout(PATIENCE, admin::map(&self.env, address))
            .await;
        let Ok(Ok(Some(map))) = map else { return };
        let slot = u32::from(slot_of(key.as_bytes()).0);
        let owns = |run: &&v1::SlotRun| run.first <= slot && slot <= run.last;
        let owner = map.slots.iter().find(owns).map(|run| run.group);
        let groups: BTreeSet<u64> = map.slots.iter().map(|run| run.group).collect();
        for group in groups.into_iter().filter(|group| Some(*group) != owner) {
            for address in &self.addresses {
                self.expect_refusal(address, group, key).await;
            }
        }
    }

    async fn expect_refusal(&self, address: &str, group: u64, key: &str) {
        let asked = self
            .env
            .clock
            .timeout(PATIENCE, self.ask(address, group, key))
            .await;
        if let Ok(Some(Answer::Write(_))) = asked {
            let wrong = format!("group {group} at {address} took {key:?}, which is not its own");
            self.recorder.wrong(wrong);
        }
    }

    /// A write that believes that the group owns its key.
    async fn ask(&self, address: &str, group: u64, key: &str) -> Option<Answer> {
        let put = v1::WriteOp {
            kind: v1::write_op::Kind::Put.into(),
            key: Bytes::copy_from_slice(key.as_bytes()),
            value: Bytes::from_static(b"astray"),
            ..v1::WriteOp::default()
        };
        let write = v1::WriteRequest {
            ops: vec![put],
            ..v1::WriteRequest::default()
        };
        let item = v1::PipeRequestItem {
            id: 1,
            deadline_ms: PATIENCE.as_millis() as u32,
            group,
            operation: Some(Operation::Write(write)),
        };
        let frame = v1::PipeRequest { items: vec![item] }.encode_to_vec();
        let mut link = self.env.net.open(address, method::PIPE, 0, PATIENCE).await.ok()?;
        if !link.sender.send(frame.into()).await {
            return None;
        }
        let reply = link.receiver.recv().await?.ok()?;
        v1::PipeReply::decode(reply).ok()?.items.pop()?.result
    }
}
