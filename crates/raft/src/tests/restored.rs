//! What a replica makes of its checkpoint.

use atoll_env::watch;
use atoll_storage::{GroupLog, LogEntry};
use atoll_types::{GroupGen, GroupId, GroupKey, LogId, Outcome, ReplicaId};
use bytes::Bytes;
use futures_util::stream;
use openraft::EntryPayload;
use openraft::storage::RaftStateMachine;

use super::suite::{open_journal, test_env};
use crate::machine::Applier;
use crate::types::{RaftEntry, log_id_out};
use crate::{Committed, Machine, Position, RaftError};

const REPLICA: ReplicaId = ReplicaId(1);

/// A machine whose checkpoint goes up to an entry.
struct Restored(Option<LogId>);

impl Machine for Restored {
    fn apply(&mut self, _: Committed<'_>, _: Option<&mut Vec<Outcome>>) -> Result<(), String> {
        Ok(())
    }

    fn restored(&self) -> Position {
        Position {
            applied: self.0,
            ..Position::default()
        }
    }
}

fn id(term: u64, index: u64) -> LogId {
    LogId {
        term,
        leader: REPLICA,
        index,
    }
}

/// A group's log with so many entries of term 1.
async fn log_with(entries: u64) -> GroupLog {
    let journal = open_journal(&test_env()).await;
    let key = GroupKey::new(GroupId(1), GroupGen(1));
    let log = journal.create_group(key, REPLICA).await.unwrap();
    let blank = |index| LogEntry {
        id: id(1, index),
        kind: 0,
        payload: Bytes::new(),
        payload_crc: 0,
    };
    let entries = (0..entries).map(blank).collect();
    log.append(entries, Box::new(|result| result.unwrap()))
        .await
        .unwrap();
    log
}

fn begin(log: &GroupLog, checkpoint: Option<LogId>) -> Result<Applier, RaftError> {
    let (applied, _) = watch::channel(0);
    Applier::new(Box::new(Restored(checkpoint)), log.clone(), applied)
}

#[tokio::test]
async fn a_log_that_is_not_that_of_the_checkpoint_is_refused() {
    let empty = log_with(0).await;
    let log = log_with(3).await;
    let refused = |log: &GroupLog, checkpoint, why: &str| match begin(log, Some(checkpoint)) {
        Err(RaftError::Damaged(told)) => assert!(told.contains(why), "{told}"),
        other => panic!("{checkpoint}: {:?}", other.map(drop)),
    };
    refused(&empty, id(1, 0), "is empty");
    refused(&log, id(1, 3), "ends with");
    refused(&log, id(2, 2), "there");
    assert!(begin(&empty, None).is_ok() && begin(&log, None).is_ok());
    assert_eq!(log.state().committed, None);
    assert!(begin(&log, Some(id(1, 1))).is_ok());
    assert_eq!(
        log.state().committed,
        Some(id(1, 1)),
        "what was applied is committed, and the log may not be cut there"
    );
    log.purge(id(1, 1)).await.unwrap();
    assert!(begin(&log, Some(id(1, 1))).is_ok(), "the next entry is there");
    refused(&log, id(1, 0), "begins behind");
}

#[tokio::test]
async fn entries_are_applied_one_after_the_other_or_not_at_all() {
    let log = log_with(4).await;
    let entry = |index| RaftEntry {
        log_id: log_id_out(id(1, index)),
        payload: EntryPayload::Blank,
    };
    let mut applier = begin(&log, Some(id(1, 1))).unwrap();
    for wrong in [0, 1, 3] {
        let applied = applier.apply(stream::iter([Ok((entry(wrong), None))])).await;
        let told = applied.unwrap_err().to_string();
        assert!(told.contains("2 is next"), "{told}");
    }
    let right = [Ok((entry(2), None)), Ok((entry(3), None))];
    applier.apply(stream::iter(right)).await.unwrap();
    assert_eq!(
        applier.applied_state().await.unwrap().0,
        Some(log_id_out(id(1, 3)))
    );
}
