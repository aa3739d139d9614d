//! Values that stand packed in the journal, and move.

use std::time::Duration;

use atoll_env::vfs::MemVfs;
use atoll_types::Codec;

use super::*;
use crate::codec::Compression;
use crate::index::{FilePointer, Piece, ValueRef};

/// One row each that packs, long enough for zstd and not, one that does not, and one that was appended to.
const ROWS: [(u16, usize); 4] = [(0, 6_003), (1, 603), (2, 6_000), (3, 4_003)];

/// The places of these rows after their values have moved, on a node that is set like this.
async fn moved(compression: Compression) -> Vec<ValueRef> {
    let mut history = History::default();
    let options = StoreOptions { compression, ..TIGHT };
    let veil = Veil::over(MemVfs::default());
    let node = Node::start_with(veil.process(), options, &history).await;
    let mut node = node.unwrap();
    let put = |(first, len)| Op::put(first, len);
    node.write(&ROWS.map(put), &mut history).await.unwrap();
    let append = Op::Append { key: 3, len: 2_003 };
    node.write(&[append], &mut history).await.unwrap();
    let value = |node: &Node, number| {
        node.group
            .index()
            .view()
            .get(&key(number), true)
            .unwrap()
            .unwrap()
            .1
    };
    for number in [0, 1] {
        assert!(matches!(value(&node, number), ValueRef::Journal(pointer) if pointer.codec == Codec::Lz4));
    }
    let ValueRef::Joined(joined) = value(&node, 3) else {
        panic!("it is in pieces")
    };
    let codecs = joined.pieces().iter().map(|piece| match piece {
        Piece::Journal(pointer) => pointer.codec,
        other => panic!("{other:?}"),
    });
    assert_eq!(codecs.collect::<Vec<_>>(), [Codec::Lz4, Codec::None]);
    node.check_rows();

    assert!(node.checkpoint().await);
    node.check_rows();
    for _ in 0..12 {
        node.write_durably(&[put((9, 20_000))], &mut history).await;
    }
    node.sleep(Duration::from_secs(3)).await;
    assert!(node.settle().await);
    node.veil(&veil);
    node.check_rows();
    let places = ROWS.map(|(number, _)| value(&node, number));
    node.process.kill();
    places.to_vec()
}

fn codecs(places: &[ValueRef]) -> Vec<Codec> {
    let codec = |value: &ValueRef| match value {
        ValueRef::Filed(FilePointer {
            codec,
            stored_len,
            len,
            ..
        }) => {
            assert!(codec.admits(*stored_len as usize, *len as usize));
            *codec
        }
        other => panic!("it did not move: {other:?}"),
    };
    places.iter().map(codec).collect()
}

#[test]
fn values_are_packed_anew_when_they_move_and_keep_their_sums() {
    simulate(async {
        use Codec::{Lz4, None, Zstd};
        let ways = [
            (Compression::Zstd, [Zstd, Lz4, None, Zstd]),
            (Compression::Lz4, [Lz4, Lz4, None, Lz4]),
            (Compression::Off, [None; 4]),
        ];
        let mut sums = Vec::new();
        for (compression, expected) in ways {
            let places = moved(compression).await;
            assert_eq!(codecs(&places), expected, "{compression:?}");
            sums.push(places.iter().map(ValueRef::vcrc).collect::<Vec<_>>());
        }
        assert!(sums.windows(2).all(|pair| pair[0] == pair[1]));
    });
}
