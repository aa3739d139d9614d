//! What stands durably before anything follows from it.

use super::*;

#[tokio::test(start_paused = true)]
async fn the_first_claim_decides_the_zones_of_all() {
    let wire = Wire::default();
    let nodes = nodes(&wire, 3).await;
    let members = |zone: &str| -> Vec<Member> {
        let member = |node: &Node| Member {
            node: NodeId(0),
            uuid: node.membership.dir().uuid(),
            address: node.address.clone(),
            zone: zone.to_owned(),
        };
        nodes.iter().map(member).collect()
    };
    // Somebody got as far as the first directory, and saw other zones than the next one does.
    let first = Claim::new(ClusterId(77), 6, members("then"));
    let lowest = nodes
        .iter()
        .find(|node| node.membership.dir().uuid() == first.members[0].uuid);
    lowest.unwrap().membership.claim(first.clone()).await.unwrap();
    let made = nodes[1].init(&ALL).await.unwrap();
    assert_eq!(made.cluster, ClusterId(77));
    for node in &nodes {
        assert_eq!(node.membership.dir().claim().unwrap().as_ref(), Some(&first));
    }
}

/// Nothing but the promises: whoever would go on to admission is not there.
async fn only_promises(wire: &Wire, vfs: &MemVfs) -> Arc<Membership> {
    let rng = Rng::seeded(9);
    let env = Env {
        clock: Clock::simulated(1.0, 0),
        rng: rng.clone(),
        spawn: Spawn::simulated(Scope::new(rng)),
        vfs: Arc::new(vfs.clone()),
        net: Arc::new(wire.clone()),
        halt: Halt::simulated(|reason| panic!("{reason}")),
    };
    let dir = DataDir::open(&env, Path::new("/data")).await.unwrap();
    Membership::open(&env, dir).await.unwrap()
}

#[tokio::test(start_paused = true)]
async fn a_promise_stands_before_anything_follows_from_it() {
    let wire = Wire::default();
    let ident = Ident {
        cluster: ClusterId(1),
        node: NodeId(9),
    };
    let claim = |membership: &Membership| {
        let member = Member {
            node: NodeId(0),
            uuid: membership.dir().uuid(),
            address: "a:1".to_owned(),
            zone: String::new(),
        };
        Claim::new(ClusterId(2), 1, vec![member])
    };
    let (joining, claimed) = (MemVfs::default(), MemVfs::default());
    let membership = only_promises(&wire, &joining).await;
    membership.join(ident).await.unwrap();
    let wanted = claim(&membership);
    assert!(membership.claim(wanted.clone()).await.is_err());
    assert!(membership.admit(ClusterId(1), &wanted.members).await.is_err());
    let again = only_promises(&wire, &joining.crash(Crash::LoseAll)).await;
    assert_eq!(again.standing(), Standing::Joining(ident));
    assert!(again.claim(wanted).await.is_err());
    assert_eq!(again.completed().await, ident);

    let membership = only_promises(&wire, &claimed).await;
    let held = membership.claim(claim(&membership)).await.unwrap();
    assert!(membership.join(ident).await.is_err());
    let again = only_promises(&wire, &claimed.crash(Crash::LoseAll)).await;
    assert_eq!(again.standing(), Standing::Claimed(held));
    assert!(again.join(ident).await.is_err());
}
