//! Bytes whose sums are right and that are still wrong: no decoder panics, and none goes on for ever.

use proptest::prelude::*;

use super::super::block::{Block, BlockBuilder, common_len};
use super::super::summary::RunSummary;
use super::super::value::RunValue;
use super::super::window::Window;
use super::*;

/// Looks at everything a block can be asked for.
fn use_block(bytes: Vec<u8>) {
    let len = bytes.len();
    let Ok(block) = Block::new(bytes.into()) else {
        return;
    };
    let mut window = Window::default();
    assert!(block.intervals() <= len / 2);
    for interval in 0..block.intervals() {
        if window.load(&block, interval).is_err() {
            assert_eq!(window.len(), 0);
            continue;
        }
        assert!(window.len() > 0);
        for row in 0..window.len() {
            let (key, version, value) = window.row(row).unwrap();
            assert!(key.len() <= ROW_KEY_MAX);
            // An answer of any kind.
            let _ = block.lower_bound(key, version);
            if let Some(RunValue::Joined(joined)) = RunValue::decode(block.bytes(), value) {
                assert!(joined.len() as usize <= VALUE_LEN_MAX);
                assert!(joined.pieces().len() <= len);
            }
        }
    }
}

fn sound_block(seed: u64) -> Vec<u8> {
    let rng = &mut fastrand::Rng::with_seed(seed);
    let mut builder = BlockBuilder::default();
    let mut last = Vec::new();
    let count = rng.usize(1..60);
    for ((key, Reverse(version)), value) in random_rows(rng, count) {
        let mut packed = Vec::new();
        RowValue::from(&value).encode(&mut packed);
        if builder.len_with(key.len() + packed.len()) < 8 * 1024 {
            builder.push(&key, common_len(&last, &key), version, &packed);
            last = key;
        }
    }
    let mut bytes = Vec::new();
    builder.finish(&mut bytes);
    bytes
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_bytes_as_a_block(bytes in proptest::collection::vec(any::<u8>(), 0..200), restarts in 0_u8..4) {
        use_block(bytes.clone());
        use_block([&bytes[..], &[0, 0, restarts, 0]].concat());
    }

    #[test]
    fn a_block_with_some_bytes_changed(seed in 0_u64..200, changes in proptest::collection::vec((any::<u16>(), any::<u8>()), 1..5)) {
        let mut bytes = sound_block(seed);
        for (at, byte) in changes {
            let at = usize::from(at) % bytes.len().max(1);
            bytes.get_mut(at).into_iter().for_each(|place| *place = byte);
        }
        use_block(bytes);
    }

    #[test]
    fn any_bytes_as_a_summary(bytes: Vec<u8>, zeros in 0_usize..64) {
        let bytes = [vec![0; zeros], bytes].concat();
        if let Some(summary) = RunSummary::decode(&bytes) {
            prop_assert_eq!(summary.encode(), bytes);
        }
    }

    #[test]
    fn any_bytes_as_a_value(bytes: Vec<u8>, kind in 0_u8..6) {
        let bytes = Bytes::from([&[kind][..], &bytes].concat());
        if let Some(value) = RunValue::decode(&bytes, 0..bytes.len()) {
            prop_assert!(RowValue::from(&value).fits());
        }
    }
}
