//! What nodes tell each other, and whom they believe.

use super::*;

#[tokio::test(start_paused = true)]
async fn greetings_of_another_cluster_are_refused_and_teach_nothing() {
    let wire = Wire::default();
    let nodes = nodes(&wire, 2).await;
    nodes[0].init(&["n1:1"]).await.unwrap();
    nodes[1].init(&["n2:1"]).await.unwrap();
    let (one, two) = (nodes[0].admitted().await.0, nodes[1].admitted().await.0);
    let refused = nodes[0]
        .membership
        .answer_greeting(&nodes[1].membership.greeting())
        .unwrap_err();
    assert_eq!(refused.code, Code::FailedPrecondition);
    assert!(refused.message.contains(&one.to_string()) && refused.message.contains(&two.to_string()));
    assert_eq!(nodes[0].membership.book().all(), vec![]);
    let anonymous = Greeting::default();
    assert!(nodes[0].membership.answer_greeting(&anonymous).is_ok());
}

#[tokio::test(start_paused = true)]
async fn a_cluster_whose_addresses_all_changed_finds_itself_by_join() {
    let wire = Wire::default();
    let first = nodes(&wire, 3).await;
    first[0].init(&ALL).await.unwrap();
    one_cluster(&first).await;
    let disks: Vec<MemVfs> = first.into_iter().map(|node| node.crash(Crash::LoseAll)).collect();
    // Everyone is somewhere else and knows only where the first one is.
    let join = ["n11:1".to_owned()];
    let moved = join_all(
        disks
            .into_iter()
            .zip(11..)
            .map(|(disk, name)| Node::start(&wire, name, disk, &join)),
    )
    .await;
    for node in &moved {
        for other in moved.iter().filter(|other| other.address != node.address) {
            let id = other.ident().unwrap().1;
            let address = node.found(id).await;
            assert_eq!(address.as_deref(), Some(other.address.as_str()));
        }
    }
}

#[tokio::test(start_paused = true)]
async fn greetings_beyond_the_bounds_are_refused() {
    let wire = Wire::default();
    let nodes = nodes(&wire, 1).await;
    let hello = |address: usize, known: usize| v1::HelloRequest {
        uuid: "0".repeat(32),
        address: "a".repeat(address),
        known: vec![
            v1::NodeInfo {
                uuid: "1".repeat(32),
                ..Default::default()
            };
            known
        ],
        ..Default::default()
    };
    for (address, known, taken) in [
        (512, 1024, true),
        (513, 0, false),
        (70_000, 0, false),
        (9, 1025, false),
    ] {
        let request = hello(address, known).encode_to_vec().into();
        let answer = testing::answer(&nodes[0].membership, method::HELLO, request).await;
        assert_eq!(answer.is_ok(), taken, "{address} {known}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_copied_directory_is_noticed() {
    let wire = Wire::default();
    let nodes = nodes(&wire, 1).await;
    nodes[0].init(&["n1:1"]).await.unwrap();
    let mut copy = nodes[0].membership.greeting();
    copy.incarnation += 1;
    copy.address = "elsewhere:1".to_owned();
    let refused = nodes[0].membership.answer_greeting(&copy).unwrap_err();
    assert_eq!(refused.code, Code::AlreadyExists);
}
