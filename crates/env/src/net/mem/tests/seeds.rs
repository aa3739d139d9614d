//! One seed, one run.

use super::*;

/// Many links and calls under loss, cuts and a crash; returns what was seen and the trace.
async fn storm(seed: u64) -> (Vec<String>, u64) {
    let options = MemNetOptions {
        seed,
        loss_per_million: 20_000,
        ..MemNetOptions::default()
    };
    let mut world = World::new(options).await;
    let luck = Rng::seeded(seed);
    let log = Arc::new(Mutex::new(Vec::new()));
    let mut links = std::mem::replace(&mut world.links, mpsc::channel(1).1);
    Spawn::tokio().spawn(async move {
        while let Some(link) = links.recv().await {
            Spawn::tokio().spawn(echo(link));
        }
    });
    let mut tasks = Vec::new();
    for number in 0..8_u32 {
        let (client, log, clock) = (world.client.clone(), log.clone(), world.clock.clone());
        tasks.push(Spawn::tokio().spawn(async move {
            for round in 0..20 {
                let outcome = exchange(&client, number).await;
                log.lock().push(format!("{number}.{round} {outcome}"));
                clock.sleep(Duration::from_millis(30)).await;
            }
        }));
    }
    for _ in 0..20 {
        world.clock.sleep(Duration::from_millis(luck.below(1500))).await;
        match luck.below(4) {
            0 => world.net.cut("client", "server"),
            1 => world.net.cut_one_way("server", "client"),
            2 => {
                world.crash_server();
                world.start_server().await;
            }
            _ => world.net.heal_all(),
        }
    }
    world.net.heal_all();
    for task in tasks {
        task.await.unwrap();
    }
    let seen = log.lock().clone();
    (seen, world.net.trace())
}

async fn echo(mut link: Link) {
    while let Some(Ok(frame)) = link.receiver.recv().await {
        link.sender.send(frame).await;
    }
}

async fn exchange(client: &MemNode, number: u32) -> String {
    let limit = Duration::from_millis(700);
    let payload = Bytes::copy_from_slice(&number.to_le_bytes());
    if number.is_multiple_of(2) {
        return format!("{:?}", client.call(SERVER, ECHO, payload, limit).await);
    }
    let mut link = match client.open(SERVER, STREAM, 0, limit).await {
        Ok(link) => link,
        Err(error) => return format!("{error:?}"),
    };
    let mut echoed = 0;
    while echoed < 30 && link.sender.send(payload.clone()).await {
        match link.receiver.recv().await {
            Some(Ok(frame)) => assert_eq!(frame, payload),
            other => return format!("{echoed} then {other:?}"),
        }
        echoed += 1;
    }
    format!("{echoed}")
}

#[test]
fn the_same_seed_gives_the_same_run() {
    let run = |seed| {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .start_paused(true)
            .build()
            .unwrap();
        runtime.block_on(storm(seed))
    };
    let mut traces = std::collections::BTreeSet::new();
    let mut all = String::new();
    for seed in 0..6 {
        let (log, trace) = run(seed);
        assert_eq!((&log, trace), (&run(seed).0, run(seed).1), "seed {seed}");
        traces.insert(trace);
        all.extend(log);
    }
    assert_eq!(traces.len(), 6, "another seed, another run");
    for outcome in ["Ok", "NotSent", "Lost", "Deadline", " 30", "ConnectionReset"] {
        assert!(all.contains(outcome), "{outcome} never happened");
    }
}
