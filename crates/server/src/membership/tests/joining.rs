//! Fresh nodes that find a cluster.

use super::*;

#[tokio::test(start_paused = true)]
async fn a_fresh_node_that_is_told_of_a_cluster_joins_it_and_later_starts_by_itself() {
    let wire = Wire::default();
    let old = nodes(&wire, 2).await;
    old[0].init(&["n1:1", "n2:1"]).await.unwrap();
    let cluster = one_cluster(&old).await;
    let join = ["n2:1".to_owned()];
    let new = Node::start(&wire, 3, MemVfs::default(), &join).await;
    assert_eq!(new.admitted().await, (cluster, NodeId(100)));
    assert_eq!(new.membership.initial_set(), None);
    // It is found by the others and finds them.
    assert_eq!(
        new.found(old[1].ident().unwrap().1).await.as_deref(),
        Some("n2:1")
    );
    assert_eq!(old[1].found(NodeId(100)).await.as_deref(), Some("n3:1"));
    // Nobody is there to be asked, and nobody needs to be.
    let disk = new.crash(Crash::LoseAll);
    wire.lose(Some((method::JOIN, 0)));
    let again = Node::start(&wire, 3, disk, &[]).await;
    assert_eq!(again.ident(), Some((cluster, NodeId(100))));
}

#[tokio::test(start_paused = true)]
async fn without_a_cluster_to_join_a_node_waits_for_init() {
    let wire = Wire::default();
    let names: Vec<String> = ALL.iter().map(|&name| name.to_owned()).collect();
    let fresh = join_all((1..=3).map(|name| Node::start(&wire, name, MemVfs::default(), &names))).await;
    fresh[0].env.clock.sleep(Duration::from_secs(20)).await;
    assert!(
        fresh
            .iter()
            .all(|node| node.membership.standing() == Standing::Fresh)
    );
    let made = fresh[1].init(&ALL).await.unwrap();
    assert_eq!(one_cluster(&fresh).await, made.cluster);
    assert!(
        wire.1.0.lock().is_empty(),
        "nobody of the initial set asked to join"
    );
}

#[tokio::test(start_paused = true)]
async fn of_an_init_and_a_joining_the_first_at_the_directory_wins() {
    let wire = Wire::default();
    let old = nodes(&wire, 1).await;
    old[0].init(&["n1:1"]).await.unwrap();
    let cluster = one_cluster(&old).await;
    let ident = |node| Ident {
        cluster,
        node: NodeId(node),
    };

    // Claimed while the answer was on its way: the answer comes too late.
    let claimed = Node::start(&wire, 2, MemVfs::default(), &[]).await;
    let other = Node::start(&wire, 3, MemVfs::default(), &[]).await;
    let made = claimed.init(&["n2:1", "n3:1"]).await.unwrap();
    let refused = claimed.membership.join(ident(7)).await.unwrap_err();
    assert_eq!(refused.code, Code::FailedPrecondition);
    assert_eq!(claimed.admitted().await.0, made.cluster);
    assert_eq!(claimed.membership.dir().join().unwrap(), None);

    // Joined before the init came: the init is told, also after a restart.
    let joined = Node::start(&wire, 4, MemVfs::default(), &["n1:1".to_owned()]).await;
    assert_eq!(joined.admitted().await.0, cluster);
    let joined = restart(&wire, vec![other, joined], Crash::LoseAll)
        .await
        .remove(1);
    let fresh = Node::start(&wire, 5, MemVfs::default(), &[]).await;
    let named = [joined.address.as_str(), "n5:1"];
    let refused = fresh.init(&named).await.unwrap_err();
    assert_eq!(refused.code, Code::FailedPrecondition);
    assert!(
        refused.message.contains("joined cluster") && refused.message.contains("atoll init"),
        "{refused:?}"
    );
    assert_eq!(joined.membership.dir().claim().unwrap(), None);
    // A second answer, of another id, changes nothing.
    assert!(joined.membership.join(ident(9)).await.is_err());
    assert!(joined.membership.join(ident(100)).await.is_ok());
}

#[tokio::test(start_paused = true)]
async fn an_init_and_a_joining_at_once_end_in_one_cluster_each_time() {
    let mut outcomes = BTreeSet::new();
    for delay_ms in 0..40 {
        let wire = Wire::default();
        let old = nodes(&wire, 1).await;
        old[0].init(&["n1:1"]).await.unwrap();
        let first = one_cluster(&old).await;
        let new = Node::start(&wire, 2, MemVfs::default(), &["n1:1".to_owned()]).await;
        new.env.clock.sleep(Duration::from_millis(delay_ms)).await;
        let made = new.init(&["n2:1"]).await;
        let cluster = new.admitted().await.0;
        match &made {
            Ok(made) => assert_eq!(cluster, made.cluster),
            Err(refused) => {
                assert_eq!(refused.code, Code::FailedPrecondition);
                assert_eq!(cluster, first);
            }
        }
        let dir = new.membership.dir();
        assert_eq!(dir.claim().unwrap().is_some(), made.is_ok());
        assert_eq!(dir.join().unwrap().is_some(), made.is_err());
        outcomes.insert(made.is_ok());
    }
    assert_eq!(outcomes.len(), 2, "both orders happen: {outcomes:?}");
}

#[tokio::test(start_paused = true)]
async fn a_disk_that_stops_at_any_step_of_a_joining_delays_it_only() {
    let mut step = 1;
    while join_with_a_disk_that_stops(step).await {
        step += 1;
    }
    assert!(step > 8, "the disk of a joining node is written to: {step}");
}

/// False if the disk would have stopped only after the joining.
async fn join_with_a_disk_that_stops(step: u64) -> bool {
    let wire = Wire::default();
    let old = nodes(&wire, 1).await;
    old[0].init(&["n1:1"]).await.unwrap();
    let cluster = one_cluster(&old).await;
    let join = ["n1:1".to_owned()];
    let new = Node::start(&wire, 2, MemVfs::default(), &join).await;
    let disk = new.vfs.clone();
    disk.freeze_at(disk.operations() + step);
    for _ in 0..50 {
        new.env.clock.sleep(Duration::from_millis(100)).await;
    }
    let broke = disk.is_frozen();
    assert!(
        broke || new.ident() == Some((cluster, NodeId(100))),
        "step {step}"
    );
    let again = Node::start(&wire, 2, new.crash(Crash::Random), &join).await;
    assert_eq!(again.admitted().await, (cluster, NodeId(100)), "step {step}");
    assert_eq!(wire.1.0.lock().len(), 1, "one uuid, one id");
    broke
}
