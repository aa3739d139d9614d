//! Rounds beside everything else that a node does.

use atoll_env::vfs::{Fault, MemVfs};

use super::*;

#[test]
fn the_rate_and_the_period_are_kept() {
    simulate(async {
        let (node, _) = node_with_values(Process::on(MemVfs::default()), 15_000).await;
        let options = ScrubOptions {
            bytes_per_second: 10_000,
            period: Duration::from_secs(3_600),
            first_after: Duration::from_secs(60),
        };
        let scrub = Scrub::start(&node.store, options);
        let clock = &node.process.env.clock;
        clock.sleep(Duration::from_secs(59)).await;
        assert!(!scrub.status().running && scrub.status().last.is_none());
        clock.sleep(Duration::from_secs(2)).await;
        let begun = scrub.status();
        assert!(begun.running && begun.done < begun.total, "{begun:?}");
        clock.sleep(Duration::from_secs(3_500)).await;
        let last = scrub.status().last.unwrap();
        let bytes: u64 = files(&node)
            .iter()
            .map(|path| node.process.vfs.durable_bytes(path).unwrap().len() as u64)
            .sum();
        // Ends of segments are not read, and a burst is free.
        assert!(
            last.bytes > bytes / 2 && last.bytes <= bytes,
            "{last:?} of {bytes}"
        );
        assert_eq!(last.files, files(&node).len() as u64);
        let took = last.ended_ms - last.began_ms;
        let paid = last.bytes.saturating_sub(256 * 1024) * 1000 / 10_000;
        assert!(took >= paid && paid > 0, "{took} ms for {} bytes", last.bytes);
        // The next begins a period after the last began.
        clock.sleep(Duration::from_secs(90)).await;
        assert_eq!(scrub.status().last, Some(last));
        clock.sleep(Duration::from_secs(200)).await;
        let next = scrub.status().last.unwrap();
        assert!(
            next.began_ms >= last.began_ms + 3_600_000,
            "{next:?} after {last:?}"
        );
        node.process.kill();
    });
}

#[test]
fn zero_is_off_and_ends_at_once() {
    simulate(async {
        let (node, _) = node_with_files(Process::on(MemVfs::default())).await;
        let off = ScrubOptions {
            bytes_per_second: 0,
            ..OFTEN
        };
        let scrub = Scrub::start(&node.store, off);
        node.sleep(Duration::from_secs(100)).await;
        assert!(scrub.status().last.is_none() && !scrub.status().running);
        scrub.close().await;
        node.process.kill();
    });
}

#[test]
fn nothing_is_blamed_while_files_come_and_go() {
    simulate(async {
        let (mut node, mut history) = node_with_files(Process::on(MemVfs::default())).await;
        let slow = ScrubOptions {
            bytes_per_second: 100_000,
            ..OFTEN
        };
        let scrub = Scrub::start(&node.store, slow);
        for round in 0..60_u16 {
            let put = Op::Put {
                first: round % 7 * 10,
                count: 12,
                len: 1_200,
            };
            node.write_durably(&[put], &mut history).await;
            node.begin_checkpoint();
            node.sleep(Duration::from_secs(1)).await;
            if node.group.flushed_index() > 0 {
                let flushed = crate::store::tests::world::id(node.group.flushed_index());
                node.log.purge(flushed).await.unwrap();
            }
            node.store.reclaim().await.unwrap();
            assert_eq!(scrub.status().findings, [], "round {round}");
        }
        assert!(scrub.status().last.is_some());
        assert!(node.journal.ends().unwrap().oldest > 1, "segments went");
        scrub.close().await;
        node.check();
        node.process.kill();
    });
}

#[test]
fn a_disk_that_slips_once_is_not_blamed() {
    simulate(async {
        let (node, _) = node_with_files(Process::on(MemVfs::default())).await;
        let scrub = Scrub::start(&node.store, OFTEN);
        for path in files(&node) {
            node.process.vfs.fail_next(Fault::Read, path.to_str().unwrap());
            assert_eq!(whole_round(&node, &scrub).await, [], "{}", path.display());
        }
        node.process.kill();
    });
}

#[test]
fn what_is_found_is_passed_on_once() {
    simulate(async {
        let vfs = MemVfs::default();
        let (node, _) = node_with_files(Process::on(vfs.clone())).await;
        let scrub = Scrub::start(&node.store, OFTEN);
        let mut findings = scrub.findings();
        let values = group_dir().join(node.files_of("val").remove(0));
        vfs.flip_bit(&values, 4_500, 1);
        findings.changed().await.unwrap();
        assert_eq!(findings.borrow_and_update().len(), 1);
        for _ in 0..3 {
            whole_round(&node, &scrub).await;
        }
        assert!(!findings.has_changed().unwrap(), "nothing new");
        vfs.flip_bit(&values, 4_500, 1);
        findings.changed().await.unwrap();
        assert_eq!(*findings.borrow_and_update(), []);
        node.process.kill();
    });
}
