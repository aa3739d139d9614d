//! Making a cluster of fresh nodes, once.

use super::*;

#[tokio::test(start_paused = true)]
async fn init_makes_a_cluster_and_repeating_it_finds_that() {
    let wire = Wire::default();
    let nodes = nodes(&wire, 3).await;
    let made = nodes[1].init(&ALL).await.unwrap();
    assert!(!made.already);
    assert!(made.members.is_sorted_by_key(|member| member.uuid));
    assert_eq!(one_cluster(&nodes).await, made.cluster);
    let again = nodes[2].init(&ALL).await.unwrap();
    assert_eq!(
        again,
        Made {
            already: true,
            ..made
        }
    );
}

#[tokio::test(start_paused = true)]
async fn concurrent_inits_of_one_set_make_one_cluster() {
    let wire = Wire::default();
    let nodes = nodes(&wire, 3).await;
    let made = join_all(nodes.iter().map(|node| node.init(&ALL))).await;
    let cluster = one_cluster(&nodes).await;
    assert!(
        made.iter().all(|made| made.as_ref().unwrap().cluster == cluster),
        "{made:?}"
    );
}

#[tokio::test(start_paused = true)]
async fn of_overlapping_sets_one_becomes_a_cluster_and_the_other_is_told() {
    let wire = Wire::default();
    let nodes = nodes(&wire, 4).await;
    let (first, second) = (["n1:1", "n2:1", "n3:1"], ["n2:1", "n3:1", "n4:1"]);
    let (one, two) = tokio::join!(nodes[0].init(&first), nodes[3].init(&second));
    let (made, refused) = match (one, two) {
        (Ok(made), Err(refused)) | (Err(refused), Ok(made)) => (made, refused),
        both => panic!("exactly one succeeds: {both:?}"),
    };
    assert_eq!(refused.code, Code::FailedPrecondition);
    let holder = made
        .members
        .iter()
        .map(|member| member.address.as_str())
        .collect::<Vec<_>>()
        .join(",");
    assert!(
        refused.message.contains(&holder),
        "{} does not name {holder}",
        refused.message
    );
    let clusters: BTreeSet<_> = nodes
        .iter()
        .filter_map(Node::ident)
        .map(|(cluster, _)| cluster)
        .collect();
    assert_eq!(clusters, BTreeSet::from([made.cluster]));
}

#[tokio::test(start_paused = true)]
async fn a_set_that_waits_for_another_names_the_command_that_finishes_it() {
    let wire = Wire::default();
    let nodes = nodes(&wire, 3).await;
    wire.lose(Some((method::CLAIM, 1)));
    assert!(nodes[0].init(&ALL).await.is_err());
    wire.lose(None);
    let claimed = nodes
        .iter()
        .find(|node| node.membership.standing() != Standing::Fresh)
        .unwrap();
    let refused = claimed.init(&[&claimed.address]).await.unwrap_err();
    assert!(
        refused.message.contains("atoll init --nodes"),
        "{}",
        refused.message
    );
    assert_eq!(claimed.ident(), None);
}

#[tokio::test(start_paused = true)]
async fn an_init_that_dies_between_claims_is_finished_by_repeating_it() {
    for claims in 0..3 {
        let wire = Wire::default();
        let nodes = nodes(&wire, 3).await;
        wire.lose(Some((method::CLAIM, claims)));
        let first = nodes[0].init(&ALL).await;
        wire.lose(None);
        let nodes = restart(&wire, nodes, Crash::LoseAll).await;
        let made = nodes[2].init(&ALL).await.unwrap();
        assert_eq!(one_cluster(&nodes).await, made.cluster);
        if let Ok(first) = first {
            assert_eq!(first.cluster, made.cluster);
        }
    }
}

async fn all_claimed(nodes: &[Node]) {
    let fresh = |node: &Node| node.membership.standing() == Standing::Fresh;
    while nodes.iter().any(fresh) {
        nodes[0].env.clock.sleep(Duration::from_millis(1)).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_wholly_claimed_set_completes_without_the_caller() {
    for admitted in 0..3 {
        let wire = Wire::default();
        let nodes = nodes(&wire, 3).await;
        wire.lose(Some((method::ADMIT, admitted)));
        // The caller dies with its node as soon as all are claimed.
        tokio::select! {
            biased;
            () = all_claimed(&nodes) => {}
            made = nodes[0].init(&ALL) => panic!("nobody was seen claimed: {made:?}"),
        }
        let nodes = restart(&wire, nodes, Crash::LoseAll).await;
        one_cluster(&nodes).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_disk_that_stops_at_any_step_of_an_init_delays_it_only() {
    for broken in 0..3 {
        let mut step = 1;
        while init_with_a_disk_that_stops(broken, step).await {
            step += 1;
        }
        assert!(step > 8, "the disk of an initial node is written to");
    }
}

/// False if the disk would have stopped only after the init.
async fn init_with_a_disk_that_stops(broken: usize, step: u64) -> bool {
    let wire = Wire::default();
    let nodes = nodes(&wire, 3).await;
    let disk = nodes[broken].vfs.clone();
    disk.freeze_at(disk.operations() + step);
    let first = nodes[(broken + 1) % 3].init(&ALL).await.ok();
    let broke = disk.is_frozen();
    let nodes = restart(&wire, nodes, Crash::Random).await;
    let made = nodes[0].init(&ALL).await.unwrap();
    let cluster = one_cluster(&nodes).await;
    assert_eq!(made.cluster, cluster);
    assert!(
        first.is_none_or(|first| first.cluster == cluster),
        "step {step} of node {broken}"
    );
    broke
}

#[tokio::test(start_paused = true)]
async fn one_address_given_twice_is_an_error_and_so_is_silence() {
    let wire = Wire::default();
    let nodes = nodes(&wire, 2).await;
    let handler = wire.0.lock().handlers["n2:1"].clone();
    wire.0.lock().handlers.insert("alias:1".to_owned(), handler);
    let refused = nodes[0].init(&["n1:1", "n2:1", "alias:1"]).await.unwrap_err();
    assert_eq!(refused.code, Code::InvalidArgument);
    let refused = nodes[0].init(&["n1:1", "nobody:1"]).await.unwrap_err();
    assert!(
        refused.code == Code::Unavailable && refused.message.contains("nobody:1"),
        "{refused:?}"
    );
    assert!(
        nodes
            .iter()
            .all(|node| node.membership.standing() == Standing::Fresh)
    );
}
