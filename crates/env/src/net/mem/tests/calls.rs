//! Single calls: answered, refused, and of unknown outcome behind cuts.

use super::*;

#[tokio::test(start_paused = true)]
async fn calls_are_answered_or_refused() {
    let world = world().await;
    assert_eq!(world.call(ECHO, "hi", PATIENCE).await.unwrap(), "hi");
    let CallError::Status(status) = world.call(FAIL, "", PATIENCE).await.unwrap_err() else {
        panic!()
    };
    assert_eq!(
        (status.code, status.details),
        (Code::Aborted, Bytes::from_static(b"why"))
    );
    let called = world.call(UNKNOWN, "", PATIENCE).await.unwrap_err();
    let opened = world
        .client
        .open(SERVER, UNKNOWN, 0, PATIENCE)
        .await
        .err()
        .unwrap();
    for error in [called, opened] {
        assert!(
            matches!(
                error,
                CallError::Status(Status {
                    code: Code::Unimplemented,
                    ..
                })
            ),
            "{error:?}"
        );
    }
    for nobody in ["server:2", "nowhere:1"] {
        let error = world
            .client
            .call(nobody, ECHO, Bytes::new(), PATIENCE)
            .await
            .unwrap_err();
        assert!(matches!(error, CallError::NotSent(_)), "{error:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn ports_are_given_out_and_taken() {
    let net = MemNet::new(MemNetOptions::default());
    let world = world().await;
    let handler: Arc<dyn Handler> = Arc::new(Handling(world.service.clone()));
    let node = net.node("n1", Spawn::tokio());
    let first = node.serve("0.0.0.0:0", handler.clone()).await.unwrap();
    let second = node.serve("n1:0", handler.clone()).await.unwrap();
    assert!(first.address().starts_with("n1:"));
    assert_ne!(first.address(), second.address());
    let error = node.serve(first.address(), handler.clone()).await.err().unwrap();
    assert_eq!(error.kind(), std::io::ErrorKind::AddrInUse);
    let address = first.address().to_owned();
    first.stop().await;
    assert_eq!(node.serve(&address, handler).await.unwrap().address(), address);
}

#[tokio::test(start_paused = true)]
async fn isolation_and_partitions_name_nodes() {
    let world = world().await;
    let third = world.net.node("third", Spawn::tokio());
    let reach = |node: &MemNode| node.call(SERVER, ECHO, Bytes::new(), seconds(1));
    world.net.isolate("server");
    assert!(reach(&third).await.is_err());
    world.net.heal_all();
    assert!(reach(&third).await.is_ok());
    world.net.partition(&["server", "third"]);
    assert!(reach(&third).await.is_ok());
    assert!(reach(&world.client).await.is_err());
    world.net.heal("client", "server");
    assert!(reach(&world.client).await.is_ok());
}

#[tokio::test(start_paused = true)]
async fn a_call_whose_answer_is_cut_may_have_been_done() {
    let world = world().await;
    // The connection for calls exists from now on.
    world.call(ECHO, "first", PATIENCE).await.unwrap();
    world.net.cut_one_way("server", "client");
    assert_eq!(
        world.call(ECHO, "short", seconds(1)).await.unwrap_err(),
        CallError::Deadline
    );
    assert_eq!(
        world.done(),
        ["first", "short"],
        "the request arrived, the answer did not"
    );
    let error = world.call(ECHO, "long", PATIENCE).await.unwrap_err();
    assert!(matches!(error, CallError::Lost(_)), "{error:?}");
    assert_eq!(world.done(), ["first", "short", "long"]);
    let error = world.call(ECHO, "new connection", PATIENCE).await.unwrap_err();
    assert!(matches!(error, CallError::NotSent(_)), "{error:?}");
    assert_eq!(world.done().len(), 3);
}

#[tokio::test(start_paused = true)]
async fn a_request_may_arrive_after_its_caller_gave_up() {
    let world = world().await;
    world.call(ECHO, "first", PATIENCE).await.unwrap();
    world.net.cut("server", "client");
    assert_eq!(
        world.call(ECHO, "late", seconds(1)).await.unwrap_err(),
        CallError::Deadline
    );
    assert_eq!(world.done(), ["first"]);
    world.net.heal_all();
    world.clock.sleep(seconds(1)).await;
    assert_eq!(world.done(), ["first", "late"]);
}
