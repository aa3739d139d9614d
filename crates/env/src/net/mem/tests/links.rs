//! Links of frames: their order, their bounds, their ends, and cuts between them.

use super::*;

#[tokio::test(start_paused = true)]
async fn frames_arrive_in_order_and_directions_close_alone() {
    let mut world = world().await;
    let (ours, mut theirs) = world.link().await;
    let Link { sender, mut receiver } = ours;
    let sending = Spawn::tokio().spawn(async move {
        for number in 0..500_u32 {
            assert!(sender.send(Bytes::copy_from_slice(&number.to_le_bytes())).await);
        }
    });
    for number in 0..500_u32 {
        assert_eq!(receive(&mut theirs).await, number.to_le_bytes()[..]);
    }
    assert!(theirs.receiver.recv().await.is_none(), "closed in order");
    sending.await.unwrap();
    let Link {
        sender,
        receiver: ended,
    } = theirs;
    drop(ended);
    assert!(
        sender.send(Bytes::from_static(b"late answer")).await,
        "a receiver that ended closes nothing"
    );
    assert_eq!(receiver.recv().await.unwrap().unwrap(), "late answer");
    drop(sender);
    assert!(receiver.recv().await.is_none());
}

#[tokio::test(start_paused = true)]
async fn dropping_a_link_delivers_what_was_sent_and_then_breaks_it() {
    let mut world = world().await;
    let (mut ours, theirs) = world.link().await;
    send(&theirs, "last words").await;
    drop(theirs);
    assert_eq!(receive(&mut ours).await, "last words");
    assert!(ours.receiver.recv().await.unwrap().is_err());
    ours.sender.closed().await;
}

#[tokio::test(start_paused = true)]
async fn a_reader_that_does_not_read_stops_the_writer_but_closing_ends_both() {
    let mut world = world().await;
    let (ours, theirs) = world.link().await;
    let mut sent = 0;
    while world
        .clock
        .timeout(seconds(1), ours.sender.send(Bytes::from_static(b"x")))
        .await
        .is_ok()
    {
        sent += 1;
        assert!(sent < 200, "nothing bounds what is on the way");
    }
    drop(ours.receiver);
    theirs.sender.closed().await;
    ours.sender.closed().await;
}

#[tokio::test(start_paused = true)]
async fn a_cut_stalls_and_healing_goes_on() {
    let mut world = world().await;
    let (ours, mut theirs) = world.link().await;
    world.net.cut("client", "server");
    send(&ours, "through").await;
    assert!(world.hears_nothing(&mut theirs, seconds(9)).await);
    world.net.heal("client", "server");
    assert_eq!(receive(&mut theirs).await, "through");
    world.clock.sleep(seconds(20)).await;
    send(&theirs, "back").await;
}

#[tokio::test(start_paused = true)]
async fn a_long_cut_breaks_links_at_both_ends_and_dialling_is_not_sent() {
    let mut world = world().await;
    let (mut ours, mut theirs) = world.link().await;
    world.net.cut("server", "client");
    let error = world.client.open(SERVER, STREAM, 0, PATIENCE).await.unwrap_err();
    assert!(matches!(error, CallError::NotSent(_)), "{error:?}");
    assert!(ours.receiver.recv().await.unwrap().is_err());
    assert!(theirs.receiver.recv().await.unwrap().is_err());
    ours.sender.closed().await;
    theirs.sender.closed().await;
    world.net.heal_all();
    let (ours, mut theirs) = world.link().await;
    send(&ours, "again").await;
    assert_eq!(receive(&mut theirs).await, "again");
}

#[tokio::test(start_paused = true)]
async fn one_way_cuts_let_the_other_way_through_for_a_while() {
    let mut world = world().await;
    let (mut ours, mut theirs) = world.link().await;
    world.net.cut_one_way("client", "server");
    send(&theirs, "heard").await;
    assert_eq!(receive(&mut ours).await, "heard");
    send(&ours, "not heard").await;
    assert!(world.hears_nothing(&mut theirs, seconds(5)).await);
    assert!(
        theirs.receiver.recv().await.unwrap().is_err(),
        "in the end the connection breaks"
    );
}
