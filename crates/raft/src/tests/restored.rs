//! What a replica makes of its checkpoint.

use atoll_env::watch;
use atoll_storage::{GroupLog, Journal, LogEntry};
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

/// A machine whose checkpoint goes up to an entry, and may have been installed.
struct Restored(Option<LogId>, bool);

impl Machine for Restored {
    fn apply(&mut self, _: Committed<'_>, _: Option<&mut Vec<Outcome>>) -> Result<(), String> {
        Ok(())
    }

    fn restored(&self) -> Position {
        Position {
            applied: self.0,
            installed: self.1,
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

/// A group's log with so many entries of term 1, and its journal.
async fn log_with(entries: u64) -> Logs {
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
    (log, journal)
}

type Logs = (GroupLog, Journal);

async fn begin(logs: &Logs, checkpoint: Option<LogId>) -> Result<Applier, RaftError> {
    begin_with(logs, Restored(checkpoint, false)).await
}

async fn begin_with(logs: &Logs, machine: Restored) -> Result<Applier, RaftError> {
    let (applied, _) = watch::channel(0);
    Applier::open(Box::new(machine), logs.clone(), applied).await
}

async fn refused(logs: &Logs, machine: Restored, why: &str) {
    let checkpoint = machine.0;
    match begin_with(logs, machine).await {
        Err(RaftError::Damaged(told)) => assert!(told.contains(why), "{told}"),
        other => panic!("{checkpoint:?}: {:?}", other.map(drop)),
    }
}

#[tokio::test]
async fn a_log_that_is_not_that_of_the_checkpoint_is_refused() {
    let empty = log_with(0).await;
    let logs = log_with(3).await;
    let log = &logs.0;
    refused(&empty, Restored(Some(id(1, 0)), false), "is empty").await;
    refused(&logs, Restored(Some(id(1, 3)), false), "ends with").await;
    refused(&logs, Restored(Some(id(2, 2)), false), "there").await;
    assert!(begin(&empty, None).await.is_ok() && begin(&logs, None).await.is_ok());
    assert_eq!(log.state().committed, None);
    assert!(begin(&logs, Some(id(1, 1))).await.is_ok());
    assert_eq!(
        log.state().committed,
        Some(id(1, 1)),
        "what was applied is committed, and the log may not be cut there"
    );
    log.purge(id(1, 1)).await.unwrap();
    assert!(
        begin(&logs, Some(id(1, 1))).await.is_ok(),
        "the next entry is there"
    );
    refused(&logs, Restored(Some(id(1, 0)), false), "begins behind").await;
    refused(&logs, Restored(None, false), "no checkpoint has").await;
}

#[tokio::test]
async fn only_an_installed_checkpoint_may_be_ahead_of_its_log() {
    for entries in [0, 1, 3] {
        let logs = log_with(entries).await;
        assert!(begin_with(&logs, Restored(Some(id(2, 3)), true)).await.is_ok());
        let state = logs.0.state();
        assert_eq!((state.purged, state.last), (Some(id(2, 3)), Some(id(2, 3))));
        assert_eq!(state.committed, Some(id(2, 3)));
    }
    // Nothing else is excused by it.
    let logs = log_with(4).await;
    refused(&logs, Restored(Some(id(2, 3)), true), "has 1-1.3 there").await;
    refused(&logs, Restored(Some(id(2, 2)), true), "there").await;
    assert_eq!(logs.0.state().purged, None);
    logs.0.purge(id(1, 2)).await.unwrap();
    refused(&logs, Restored(Some(id(1, 1)), true), "begins behind").await;
    // A log that goes on behind it is not touched.
    assert!(begin_with(&logs, Restored(Some(id(1, 2)), true)).await.is_ok());
    assert_eq!(logs.0.state().last, Some(id(1, 3)));
}

#[tokio::test]
async fn entries_are_applied_one_after_the_other_or_not_at_all() {
    let logs = log_with(4).await;
    let entry = |index| RaftEntry {
        log_id: log_id_out(id(1, index)),
        payload: EntryPayload::Blank,
    };
    let mut applier = begin(&logs, Some(id(1, 1))).await.unwrap();
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
