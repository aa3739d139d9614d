//! Processes that crash, are replaced, or stop as they should.

use super::*;

#[tokio::test(start_paused = true)]
async fn a_crash_resets_links_loses_calls_and_refuses_until_the_restart() {
    let mut world = world().await;
    let (mut ours, _theirs) = world.link().await;
    let call = world.hanging("x").await;
    world.crash_server();
    assert!(ours.receiver.recv().await.unwrap().is_err());
    ours.sender.closed().await;
    let error = call.await.unwrap().unwrap_err();
    assert!(matches!(error, CallError::Lost(_)), "{error:?}");
    world.service.go_on.notify_one();
    world.clock.sleep(seconds(1)).await;
    assert!(world.done().is_empty(), "the handler died with its node");
    let error = world.call(ECHO, "refused", PATIENCE).await.unwrap_err();
    assert!(matches!(error, CallError::NotSent(_)), "{error:?}");
    world.start_server().await;
    assert_eq!(world.call(ECHO, "back", PATIENCE).await.unwrap(), "back");
}

#[tokio::test(start_paused = true)]
async fn a_crash_behind_a_cut_is_not_heard_of() {
    let mut world = world().await;
    let (mut ours, _theirs) = world.link().await;
    world.net.cut("client", "server");
    world.crash_server();
    assert!(world.hears_nothing(&mut ours, seconds(5)).await);
    world.net.heal_all();
    assert!(ours.receiver.recv().await.unwrap().is_err());
}

#[tokio::test(start_paused = true)]
async fn a_process_that_was_replaced_cannot_dial_or_serve() {
    let world = world().await;
    let ghost = world.client.clone();
    let client = world.net.node("client", Spawn::tokio());
    let error = ghost
        .call(SERVER, ECHO, Bytes::new(), PATIENCE)
        .await
        .unwrap_err();
    assert!(matches!(error, CallError::NotSent(_)), "{error:?}");
    assert!(
        ghost
            .serve("client:1", Arc::new(Handling(world.service.clone())))
            .await
            .is_err()
    );
    client.call(SERVER, ECHO, Bytes::new(), PATIENCE).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn stopping_ends_links_but_lets_calls_end() {
    let mut world = world().await;
    let (mut ours, _theirs) = world.link().await;
    let call = world.hanging("x").await;
    let stop = Spawn::tokio().spawn(world.serving.take().unwrap().stop());
    assert!(ours.receiver.recv().await.unwrap().is_err());
    let error = world.client.open(SERVER, STREAM, 0, PATIENCE).await.unwrap_err();
    assert!(matches!(error, CallError::NotSent(_)), "{error:?}");
    world.service.go_on.notify_one();
    assert_eq!(call.await.unwrap().unwrap(), "x");
    stop.await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn stopping_does_not_wait_for_ever() {
    let mut world = world().await;
    let call = world.hanging("").await;
    world
        .clock
        .timeout(seconds(3), world.serving.take().unwrap().stop())
        .await
        .unwrap();
    let error = call.await.unwrap().unwrap_err();
    assert!(matches!(error, CallError::Lost(_)), "{error:?}");
}
