//! Packing and unpacking, and bytes that were never packed.

use atoll_types::limits::{PACKED_VALUE_BYTES_MIN, VALUE_BYTES_MAX};
use proptest::prelude::*;

use super::*;

const CODECS: [Codec; 2] = [Codec::Lz4, Codec::Zstd];

/// Packs well.
fn text(len: usize) -> Vec<u8> {
    b"the same words again and again, "
        .iter()
        .copied()
        .cycle()
        .take(len)
        .collect()
}

/// Does not.
fn noise(seed: u64, len: usize) -> Vec<u8> {
    let mut bytes = vec![0; len];
    fastrand::Rng::with_seed(seed).fill(&mut bytes);
    bytes
}

#[test]
fn every_length_comes_back() {
    for codec in CODECS {
        for len in [
            256,
            257,
            1023,
            1024,
            65_534,
            65_535,
            65_536,
            300_000,
            VALUE_BYTES_MAX,
        ] {
            let value = text(len);
            let (by, stored) = pack(codec, &value).unwrap();
            assert!(stored.len() * 8 <= len * 7 && by.admits(stored.len(), len));
            assert_eq!(unpack(by, &stored, len), Some(value));
        }
    }
}

#[test]
fn what_does_not_gain_stays_as_it_is() {
    for codec in CODECS {
        assert_eq!(pack(codec, &text(PACKED_VALUE_BYTES_MIN - 1)), None, "too short");
        assert_eq!(pack(codec, &text(VALUE_BYTES_MAX + 1)), None, "too long");
        for len in [256, 5_000, 100_000] {
            assert_eq!(pack(codec, &noise(7, len)), None);
            // Its end packs, but that is less than an eighth of it.
            let mut nearly = noise(7, len);
            nearly.extend(text(len / 20));
            assert_eq!(pack(codec, &nearly), None);
        }
    }
    assert_eq!(pack(Codec::None, &text(5_000)), None);
}

#[test]
fn short_values_are_packed_by_the_faster_codec() {
    let by = |codec, len| pack(codec, &text(len)).map(|(by, _)| by);
    assert_eq!(by(Codec::Zstd, 1023), Some(Codec::Lz4));
    assert_eq!(by(Codec::Zstd, 1024), Some(Codec::Zstd));
    assert_eq!(by(Codec::Lz4, 100_000), Some(Codec::Lz4));
}

#[test]
fn another_length_or_codec_is_an_error() {
    for codec in CODECS {
        let value = text(5_000);
        let (_, stored) = pack(codec, &value).unwrap();
        let other = if codec == Codec::Lz4 {
            Codec::Zstd
        } else {
            Codec::Lz4
        };
        for len in [
            0,
            64,
            65,
            4_999,
            5_001,
            VALUE_BYTES_MAX,
            VALUE_BYTES_MAX + 1,
            usize::MAX,
        ] {
            assert_eq!(unpack(codec, &stored, len), None, "{codec} {len}");
        }
        assert_ne!(unpack(other, &stored, 5_000), Some(value.clone()));
        assert_eq!(unpack(codec, &[], 5_000), None);
        assert_eq!(unpacked(Codec::None, stored.clone().into(), 5_000), None);
        assert_eq!(unpacked(codec, stored.into(), 5_000), Some(value.into()));
    }
}

#[test]
fn any_flipped_bit_and_any_cut_is_another_value_or_an_error() {
    for codec in CODECS {
        let value: Vec<u8> = text(700).into_iter().chain(noise(3, 500)).collect();
        let (by, stored) = pack(codec, &value).unwrap();
        for bit in 0..stored.len() * 8 {
            let mut bent = stored.clone();
            bent[bit / 8] ^= 1 << (bit % 8);
            if let Some(other) = unpack(by, &bent, value.len()) {
                assert_eq!(other.len(), value.len());
            }
        }
        for cut in 0..stored.len() {
            assert_eq!(unpack(by, &stored[..cut], value.len()), None, "{by} cut at {cut}");
        }
    }
}

#[test]
fn a_frame_that_claims_much_gets_no_more_than_the_value() {
    // A megabyte of zeros in some twenty bytes, read as a value of 65.
    let (_, stored) = pack(Codec::Zstd, &vec![0; VALUE_BYTES_MAX]).unwrap();
    assert!(stored.len() < 200);
    for len in [300, 5_000, VALUE_BYTES_MAX - 1] {
        assert_eq!(unpack(Codec::Zstd, &stored, len), None);
    }
    let (_, stored) = pack(Codec::Lz4, &vec![0; VALUE_BYTES_MAX]).unwrap();
    assert_eq!(unpack(Codec::Lz4, &stored, VALUE_BYTES_MAX - 1), None);
}

#[test]
fn a_packer_gives_up_on_what_does_not_pack_and_finds_back() {
    let packer = Packer::new(Codec::Lz4);
    for seed in 0..100 {
        assert_eq!(packer.pack(&noise(seed, 300)), None);
    }
    let tried = (0..64).filter(|_| packer.pack(&text(300)).is_some()).count();
    // The first one that is tried packs, and so do all after it.
    assert!((49..64).contains(&tried), "{tried}");
    assert!((0..64).all(|_| packer.pack(&text(300)).is_some()));
    let (before, after) = packer.bytes();
    assert_eq!(before, 228 * 300);
    assert!(100 * 300 < after && after < before);
    let none = Packer::new(Codec::None);
    assert!(!none.packs() && none.pack(&text(300)).is_none());
}

#[test]
fn the_settings_say_what_they_pack() {
    let of = |compression: Compression| (compression.of_entries(), compression.of_files());
    assert_eq!(of(Compression::Off), (Codec::None, Codec::None));
    assert_eq!(of(Compression::Lz4), (Codec::Lz4, Codec::Lz4));
    assert_eq!(of(Compression::default()), (Codec::Lz4, Codec::Zstd));
}

proptest! {
    /// Of few different bytes, so that many pack.
    #[test]
    fn what_packs_comes_back(value in prop::collection::vec(0..12_u8, 0..6_000)) {
        for codec in CODECS {
            if let Some((by, stored)) = pack(codec, &value) {
                prop_assert!(stored.len() <= value.len() - value.len() / 8);
                prop_assert_eq!(unpack(by, &stored, value.len()), Some(value.clone()));
            }
        }
    }

    #[test]
    fn bytes_of_any_kind_are_a_value_or_none(codec in 0..4_u8, len in 0..10_000_u32, bytes in prop::collection::vec(any::<u8>(), 0..600)) {
        let mut input = vec![codec];
        input.extend(len.to_le_bytes());
        input.extend(bytes);
        packed(&input);
    }

    #[test]
    fn mutations_are_a_value_or_none(
        seed in any::<prop::sample::Index>(),
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
    ) {
        let mut seeds = packed_seeds();
        let at = seed.index(seeds.len());
        let (_, mut input) = seeds.swap_remove(at);
        for (index, byte) in changes {
            let at = index.index(input.len());
            input[at] = byte;
        }
        packed(&input);
    }
}
