//! Bits flipped under a running node, in every kind of file.

use atoll_env::vfs::MemVfs;

use super::super::process::sealed;
use super::*;
use crate::store::ScrubbedFile;

/// Whether a flipped bit of a file is found, and nothing else is.
async fn is_found(node: &Node, scrub: &Scrub, path: &Path, offset: u64) -> bool {
    let (vfs, bit) = (&node.process.vfs, (offset % 8) as u8);
    vfs.flip_bit(path, offset, bit);
    let findings = whole_round(node, scrub).await;
    vfs.flip_bit(path, offset, bit);
    let is_segment = path.starts_with("/data/journal");
    let [finding] = &findings[..] else {
        assert!(
            findings.is_empty() && is_segment,
            "{} offset {offset}: {findings:#?}",
            path.display()
        );
        return false;
    };
    assert_eq!(finding.path, in_data(path), "offset {offset}");
    assert_eq!(finding.file.group().is_none(), is_segment);
    true
}

#[test]
fn a_flipped_bit_of_any_file_is_found_in_one_round_and_forgotten_when_it_is_right_again() {
    simulate(async {
        let vfs = MemVfs::default();
        let (node, _) = node_with_files(Process::on(vfs.clone())).await;
        let scrub = Scrub::start(&node.store, OFTEN);
        assert_eq!(whole_round(&node, &scrub).await, []);
        let (mut found, mut padding) = (0, 0);
        for path in files(&node) {
            let len = vfs.durable_bytes(&path).unwrap().len() as u64;
            for offset in (0..len).step_by(if len > 1000 { 4_001 } else { 29 }) {
                let seen = is_found(&node, &scrub, &path, offset).await;
                found += u32::from(seen);
                // What is not found is in the padding of a frame.
                padding += u32::from(!seen);
            }
            assert_eq!(whole_round(&node, &scrub).await, []);
        }
        assert!(found > 40, "{found} found, {padding} not");
        scrub.close().await;
        node.process.kill();
    });
}

/// What encryption keeps at the front of a file is shown by no read: nobody would notice before the next start.
#[test]
fn a_flipped_bit_of_either_header_of_a_sealed_file_is_found_and_what_it_means_is_told() {
    sealed(|| simulate(headers()));
}

async fn headers() {
    let vfs = MemVfs::default();
    let (node, _) = node_with_files(Process::on(vfs.clone())).await;
    let scrub = Scrub::start(&node.store, OFTEN);
    assert_eq!(whole_round(&node, &scrub).await, []);
    let files = files(&node);
    assert!(files.len() >= 5, "{files:?}");
    for path in files {
        // In the wrapped key, in the sum of the second copy.
        for (first, second) in [(80, 4096 + 4095), (4096 + 33, 5)] {
            vfs.flip_bit(&path, first, 1);
            let findings = whole_round(&node, &scrub).await;
            let [finding] = &findings[..] else {
                panic!("{} at {first}: {findings:#?}", path.display())
            };
            assert_eq!((&*finding.path, finding.readable), (in_data(&path), true));
            assert!(
                finding.what.contains("one copy of its header"),
                "{}",
                finding.what
            );
            vfs.flip_bit(&path, first, 1);
            assert_eq!(whole_round(&node, &scrub).await, []);

            vfs.flip_bit(&path, first, 1);
            vfs.flip_bit(&path, second, 1);
            let findings = whole_round(&node, &scrub).await;
            assert_eq!(
                (findings.len(), findings[0].readable),
                (1, false),
                "{findings:#?}"
            );
            assert_eq!(findings[0].path, in_data(&path));
            vfs.flip_bit(&path, first, 1);
            vfs.flip_bit(&path, second, 1);
            assert_eq!(whole_round(&node, &scrub).await, []);
        }
    }
    scrub.close().await;
    node.process.kill();
}

#[test]
fn the_place_is_told_and_other_files_are_not_blamed() {
    simulate(async {
        let vfs = MemVfs::default();
        let (node, _) = node_with_files(Process::on(vfs.clone())).await;
        let scrub = Scrub::start(&node.store, OFTEN);
        let values = group_dir().join(node.files_of("val").remove(0));
        let run = group_dir().join(node.files_of("run").remove(0));
        vfs.flip_bit(&values, 5_000, 1);
        vfs.flip_bit(&run, 4_100, 1);
        let findings = whole_round(&node, &scrub).await;
        let told: Vec<_> = findings.iter().map(|finding| finding.file).collect();
        assert!(
            matches!(
                told[..],
                [ScrubbedFile::Run(GROUP, _), ScrubbedFile::Values(GROUP, _)]
            ),
            "{findings:#?}"
        );
        assert_eq!(findings[0].offset, 4_096);
        assert!((4_096..=5_000).contains(&findings[1].offset), "{findings:#?}");
        node.process.kill();
    });
}

#[test]
fn a_segment_whose_end_is_torn_off_is_found() {
    simulate(async {
        let vfs = MemVfs::default();
        let (node, _) = node_with_files(Process::on(vfs.clone())).await;
        let scrub = Scrub::start(&node.store, OFTEN);
        let segment = files(&node).pop().unwrap();
        let len = vfs.durable_bytes(&segment).unwrap().len() as u64;
        vfs.truncate(&segment, len / 2 / 4096 * 4096);
        let findings = whole_round(&node, &scrub).await;
        assert_eq!(findings.len(), 1, "{findings:#?}");
        assert_eq!(findings[0].path, in_data(&segment));
        assert!(findings[0].what.contains("next segment"), "{findings:#?}");
        node.process.kill();
    });
}
