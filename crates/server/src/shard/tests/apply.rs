use super::*;
use crate::shard::fetch::Fetch;
use crate::shard::read::{Consistency, ReadItem, ReadOp};
use crate::shard::reply::Reply;
use crate::shard::state::Snapshot;
use atoll_env::Instant;
use atoll_kv::SessionRef;
use atoll_types::{ClientId, Refusal, SlotId};

fn value_in(bench: &Bench, snapshot: &Snapshot, key: &str) -> Option<(Version, Bytes)> {
    let key = Bytes::copy_from_slice(key.as_bytes());
    let slot = slot_of(&key);
    let item = ReadItem {
        id: 0,
        cost: 0,
        deadline: Instant::from_nanos(1),
        consistency: Consistency::Linearizable,
        at: None,
        slot_epoch: Epoch(0),
        op: ReadOp::Get { key, slot },
    };
    let (state, journal) = (&bench.state, &bench.journal);
    let fetch = Fetch {
        state,
        journal,
        snapshot,
        age_ms: 0,
        may_block: true,
    };
    match fetch.run(&item, Instant::default()) {
        Ok(Reply::Value { found, .. }) => found,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn entries_become_visible_whole_and_pinned_snapshots_stay() {
    let mut bench = Bench::born(0).await;
    let big = vec![7; 5000];
    let first = done(&bench.commit(&[put("k", "small")]).await);
    let before = bench.state.snapshot();
    let outcomes = bench
        .commit(&[put("k", big.clone()), put("other", "x"), delete("gone")])
        .await;
    assert_eq!(outcomes.len(), 3);
    let after = bench.state.snapshot();

    assert_eq!(
        value_in(&bench, &before, "k"),
        Some((first, Bytes::from_static(b"small")))
    );
    assert_eq!(value_in(&bench, &before, "other"), None);
    let (version, value) = value_in(&bench, &after, "k").unwrap();
    assert_eq!(value, big);
    assert!(version > first);
    assert!(value_in(&bench, &after, "other").is_some());
    assert_eq!((before.view.applied_index(), after.view.applied_index()), (2, 3));
    assert_eq!((bench.state.applied_index(), bench.state.index.len()), (3, 2));
    assert_eq!(bench.state.version(), after.view.version());
}

#[tokio::test]
async fn ownership_belongs_to_the_view_it_is_asked_in() {
    let mut bench = Bench::new(0).await;
    assert_eq!(
        bench.commit(&[put("k", "v")]).await,
        [Outcome::Refused(Refusal::NoGenesis)]
    );
    let before = bench.state.snapshot();
    // In one entry with a write, so that nothing lies between the two.
    let outcomes = bench.commit(&[genesis(), put("k", "v")]).await;
    assert!(
        matches!(outcomes[..], [Outcome::Done { .. }, Outcome::Done { .. }]),
        "{outcomes:?}"
    );
    let after = bench.state.snapshot();

    let slot = slot_of(b"k");
    assert_eq!(
        (before.ownership.epoch(slot), after.ownership.epoch(slot)),
        (None, Some(EPOCH))
    );
    assert!(
        before.view.version_of(b"k", true).unwrap().is_none()
            && after.view.version_of(b"k", true).unwrap().is_some()
    );
    assert!(
        bench
            .state
            .check_owner(&before.ownership, slot, Epoch(0))
            .is_err()
    );
    assert_eq!(bench.state.check_owner(&after.ownership, slot, EPOCH), Ok(EPOCH));
    assert!(
        bench
            .state
            .check_owner(&after.ownership, slot, Epoch(EPOCH.0 + 1))
            .is_err()
    );

    // The same genesis again changes nothing.
    bench.commit(&[genesis()]).await;
    assert_eq!(bench.state.snapshot().ownership.owned(), 16_384);
}

#[tokio::test]
async fn ownership_is_filed_before_the_rows_show() {
    let mut bench = Bench::new(0).await;
    let payload = entry(&[genesis(), put("k", "v")]);
    let id = bench.append(payload.clone()).await;
    // Between filing and publishing a reader must still get the old table with the old rows.
    let table = crate::shard::ownership::Ownership::collect(id.index, |_| Some(EPOCH));
    bench.state.ownerships.file(table);
    let between = bench.state.snapshot();
    assert_eq!((between.view.applied_index(), between.ownership.owned()), (0, 0));
    bench.apply(id, &payload).unwrap();
    assert_eq!(bench.state.snapshot().ownership.epoch(SlotId(0)), Some(EPOCH));
}

#[tokio::test]
async fn a_repeated_write_is_applied_once() {
    let mut bench = Bench::born(0).await;
    let client = ClientId(9);
    done(
        &bench
            .commit(&[Command::open_session(client, bench.state.version())])
            .await,
    );
    assert!(bench.state.has_deadlines());
    assert_eq!(bench.state.sessions(), 1);
    let with_seq = |seq, value: &'static str| Command {
        session: Some(SessionRef { client, seq, ack: 1 }),
        ..put("k", value)
    };
    let first = done(&bench.commit(&[with_seq(1, "a")]).await);
    let second = done(&bench.commit(&[with_seq(2, "b")]).await);
    assert_eq!(done(&bench.commit(&[with_seq(1, "a")]).await), first);
    let now = bench.state.snapshot();
    assert_eq!(
        value_in(&bench, &now, "k"),
        Some((second, Bytes::from_static(b"b")))
    );
}

#[tokio::test]
async fn entries_of_raft_itself_move_the_applied_index() {
    let mut bench = Bench::born(0).await;
    let id = bench.append(Bytes::new()).await;
    let entry = Committed {
        id,
        payload: &Bytes::new(),
        normal: false,
        log: &bench.log,
    };
    bench.machine.apply(entry, None).unwrap();
    assert_eq!(bench.state.snapshot().view.applied_index(), id.index);
    assert_eq!(bench.state.applied_index(), id.index);
}

#[tokio::test]
async fn what_is_not_understood_stops_the_replica() {
    let mut bench = Bench::born(0).await;
    let payload = Bytes::from_static(b"from a later version");
    let id = bench.append(payload.clone()).await;
    assert!(
        bench
            .apply(id, &payload)
            .unwrap_err()
            .contains("cannot be applied")
    );
    assert_eq!(bench.state.applied_index(), 1);
}

#[tokio::test]
async fn a_row_never_points_at_an_entry_the_journal_does_not_have() {
    let mut bench = Bench::born(0).await;
    let payload = entry(&[put("k", vec![1; 1000])]);
    let elsewhere = LogId {
        term: 2,
        leader: REPLICA,
        index: bench.index + 1,
    };
    assert!(
        bench
            .apply(elsewhere, &payload)
            .unwrap_err()
            .contains("not in this replica's journal")
    );
    assert_eq!(bench.state.applied_index(), 1);
}
