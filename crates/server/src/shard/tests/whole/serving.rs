//! Groups that are born, batches of writes and reads, long values and large pages.

use super::*;
use crate::shard::read::ScanOp;

#[tokio::test(start_paused = true)]
async fn a_group_whose_first_replica_says_nothing_is_made_by_the_next() {
    let whole = Whole::start().await;
    let voters = BTreeSet::from([ReplicaId(REPLICA.0 - 1), REPLICA]);
    let status = || whole.shard.group().status();
    let make = crate::store::birth::make(&whole.env, whole.shard.group(), &voters);
    let before = async {
        whole.env.clock.sleep(Duration::from_secs(2)).await;
        assert_eq!(status().voters, [], "it waits for its turn");
    };
    tokio::join!(make, before);
    let voters: Vec<_> = voters.into_iter().collect();
    while status().voters != voters {
        whole.env.clock.sleep(Duration::from_millis(10)).await;
    }
}

#[tokio::test]
async fn writes_are_answered_in_batches_and_read_back() {
    let whole = Whole::leading().await;
    let items = (0..500)
        .map(|id| whole.write(id, put(&format!("key{id}"), vec![id as u8; 100])))
        .collect();
    whole.shard.submit_writes(items);
    let replies = whole.inbox.wait(500).await;
    assert!(
        replies
            .values()
            .all(|reply| matches!(reply, Reply::Written { .. }))
    );
    let entries = whole.shard.info();
    assert!(whole.inbox.batches.lock().len() as u64 <= entries.entries);
    assert_eq!(
        (entries.commands, entries.keys, entries.owned_slots),
        (500, 500, 16_384)
    );
    assert!(entries.commands_per_entry.p50() > 16, "{entries:?}");

    let reads = (0..500)
        .map(|id| whole.read(id, Consistency::Linearizable, get(&format!("key{id}"))))
        .collect();
    whole.inbox.batches.lock().clear();
    whole.submit_reads(reads);
    for (id, reply) in whole.inbox.wait(500).await {
        let Reply::Value {
            found: Some((_, value)),
            proof,
        } = reply
        else {
            panic!("{reply:?}")
        };
        assert_eq!(value, vec![id as u8; 100]);
        assert_eq!(
            (proof.age_ms, proof.slot_epoch, proof.replica),
            (0, EPOCH, REPLICA)
        );
        assert!(proof.applied_index >= 2);
    }
    assert_eq!(*whole.inbox.batches.lock(), [500]);
    let info = whole.shard.info();
    assert_eq!((info.reads, info.read_batches), (500, 1));
}

#[tokio::test]
async fn long_values_are_handed_on_before_more_of_them_are_read() {
    let whole = Whole::leading().await;
    let key = |id: u64| format!("key{id}");
    for id in 0..12 {
        whole.submit(put(&key(id), vec![id as u8; 700_000])).await;
    }
    let reads = (0..12)
        .map(|id| whole.read(id, Consistency::Linearizable, get(&key(id))))
        .collect();
    whole.inbox.batches.lock().clear();
    whole.submit_reads(reads);
    whole.inbox.wait(12).await;
    assert_eq!(*whole.inbox.batches.lock(), [2; 6]);
}

#[tokio::test]
async fn large_pages_go_to_the_pool_and_come_back() {
    let whole = Whole::leading().await;
    let items = (0..600)
        .map(|id| whole.write(id, put(&format!("key{id:04}"), "v")))
        .collect();
    whole.shard.submit_writes(items);
    whole.inbox.wait(600).await;
    let scan = ReadOp::Scan(Box::new(ScanOp {
        start: Bytes::new(),
        end: Bytes::new(),
        limit: 4096,
        reverse: false,

        ..ScanOp::default()
    }));
    let reads = vec![
        whole.read(1, Consistency::Linearizable, scan),
        whole.read(2, Consistency::Eventual, get("no")),
    ];
    whole.submit_reads(reads);
    let replies = whole.inbox.wait(2).await;
    let Reply::Page { rows, more, .. } = &replies[&1] else {
        panic!("{replies:?}")
    };
    assert_eq!((rows.len(), more), (600, &false));
    let Reply::Value { found: None, proof } = &replies[&2] else {
        panic!("{replies:?}")
    };
    assert!(
        proof.age_ms < 60_000,
        "becoming the leader took a round: {proof:?}"
    );
    assert_eq!(whole.shard.info().cold_reads, 1);
}

#[tokio::test]
async fn a_session_opens_with_a_version_of_the_group() {
    let whole = Whole::leading().await;
    let reply = whole
        .submit(Command::open_session(atoll_types::ClientId(5), Version(1)))
        .await;
    assert!(matches!(reply, Reply::SessionOpened { .. }), "{reply:?}");
    assert_eq!(whole.shard.info().sessions, 1);
}

#[tokio::test]
async fn a_dropped_batch_answers_its_reads() {
    let inbox: Arc<Inbox> = Arc::default();
    let item = ReadItem {
        id: 3,
        cost: 0,
        deadline: atoll_env::Instant::default(),
        consistency: Consistency::Linearizable,
        at: None,
        slot_epoch: Epoch(0),
        op: get("k"),
    };
    drop(ReadBatch::new(vec![item], inbox.clone()));
    assert!(matches!(
        inbox.one().await,
        Reply::Failed(Failure::Unavailable(_))
    ));
}
