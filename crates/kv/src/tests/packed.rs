//! Values that entries hold packed.

use atoll_types::limits::VALUE_BYTES_MAX;
use atoll_types::{Codec, Misfit, Outcome, Version};
use bytes::Bytes;

use super::support::*;
use crate::{
    COMMAND_ROW_BYTES, Command, DecodeError, ENTRY_HEADER_BYTES, EntryHeader, EntryView, Op, OpView,
    PackedValue, appended_crc, encode_entry, value_crc,
};

const OPS: usize = ENTRY_HEADER_BYTES + COMMAND_ROW_BYTES;
/// Where in an op row its lengths stand.
const RAW_LEN: usize = OPS + 4;
const STORED_LEN: usize = OPS + 8;

/// A value of `len` times the same byte; whoever stores less of them has packed it well enough for the state machine.
fn packed(key: &str, len: usize) -> PackedValue {
    let sum = value_crc(key.as_bytes(), &vec![b'x'; len]);
    PackedValue::new(Codec::Lz4, Bytes::from_static(b"xx"), len, sum).unwrap()
}

fn put_packed(key: &str, len: usize) -> Op {
    Op::PutPacked {
        key: bytes(key),
        value: packed(key, len),
    }
}

fn entry(op: Op) -> Vec<u8> {
    encode_entry(EntryHeader::default(), &[write([op])]).to_vec()
}

/// Pins the bytes.
#[test]
fn the_bytes_of_a_packed_value() {
    let payload = entry(put_packed("k", 300));
    let mut expected = vec![0, 1, 1, 0];
    expected.extend(300_u32.to_le_bytes());
    expected.extend(2_u32.to_le_bytes());
    expected.extend(value_crc(b"k", &[b'x'; 300]).to_le_bytes());
    expected.extend(b"kxx");
    assert_eq!(payload[OPS..], expected);
    let view = EntryView::parse(&payload).unwrap();
    let op = view.commands().next().unwrap().ops().next().unwrap();
    let OpView::Put { key, value } = op else {
        panic!("{op:?}")
    };
    assert_eq!(
        (key, value.bytes, value.codec, value.len),
        (&b"k"[..], &b"xx"[..], Codec::Lz4, 300)
    );
    assert_eq!(value.offset_in_payload as usize, payload.len() - 2);
}

#[test]
fn lengths_that_no_codec_admits_are_refused_also_by_who_would_encode_them() {
    let with = |at: usize, number: u32| {
        let mut payload = entry(put_packed("k", 300));
        payload[at..at + 4].copy_from_slice(&number.to_le_bytes());
        EntryView::parse(&payload).map(drop)
    };
    assert!(with(RAW_LEN, 65).is_ok() && with(RAW_LEN, VALUE_BYTES_MAX as u32).is_ok());
    for len in [0, 2, 64, VALUE_BYTES_MAX as u32 + 1, u32::MAX] {
        assert!(
            matches!(with(RAW_LEN, len), Err(DecodeError::Malformed { .. })),
            "{len}"
        );
        assert_eq!(PackedValue::new(Codec::Zstd, bytes("xx"), len as usize, 0), None);
    }
    for len in [0, 1, 3, 300] {
        assert!(with(STORED_LEN, len).is_err(), "{len}");
    }
    assert_eq!(PackedValue::new(Codec::None, bytes("xx"), 2, 0), None);
    let mut unpacked = entry(put("k", "xx"));
    unpacked[RAW_LEN] = 3;
    assert!(
        EntryView::parse(&unpacked).is_err(),
        "without a codec both are one"
    );
}

#[test]
fn unknown_codecs_and_flags_are_refused_by_name_and_only_puts_have_codecs() {
    let with = |op: u8, flags: u8| {
        let mut payload = entry(put_packed("k", 300));
        (payload[OPS], payload[OPS + 1]) = (op, flags);
        EntryView::parse(&payload).map(drop)
    };
    assert!(with(0, 1).is_ok() && with(0, 2).is_ok());
    for flags in [3, 4, 5, 0x81] {
        let error = with(0, flags);
        let named =
            matches!(error, Err(DecodeError::Unknown { what: "op flags", value, .. }) if value == flags);
        assert!(named, "{error:?}");
    }
    for op in 1..=6 {
        assert!(with(op, 1).is_err(), "{op}");
    }
}

#[test]
fn packing_changes_no_outcome_no_version_and_no_hash() {
    let run = |pack: bool| {
        let mut rig = Rig::new();
        let mut command = write([
            Op::Put {
                key: bytes("a"),
                value: vec![b'x'; 300].into(),
            },
            put("b", "1"),
        ]);
        if pack {
            command.pack_values(|key, value| {
                let key = str::from_utf8(key).unwrap();
                (value.len() >= 256).then(|| packed(key, value.len()))
            });
            assert!(matches!(command.ops[..], [Op::PutPacked { .. }, Op::Put { .. }]));
        }
        let outcomes = rig.entry(5, 0, &[command, write([append("a", "yy"), increment("b", 1)])]);
        let misfit = rig.one(write([increment("a", 1)]));
        (
            outcomes,
            misfit,
            rig.machine.state_hash(),
            rig.machine.last_version(),
        )
    };
    let (outcomes, misfit, ..) = run(true);
    assert!(
        matches!(outcomes[..], [Outcome::Done { .. }, Outcome::Done { .. }]),
        "{outcomes:?}"
    );
    let not_a_number = Outcome::Misfit {
        op: 0,
        misfit: Misfit::NotANumber,
    };
    assert_eq!(misfit, not_a_number, "a packed value is never a number");
    assert_eq!(run(true), run(false));
}

#[test]
fn an_append_to_a_packed_value_goes_on_from_its_length_and_sum() {
    let mut rig = Rig::new();
    rig.one(write([put_packed("k", 300)]));
    let appended = rig.one(write([append("k", "tail")]));
    assert!(
        matches!(appended, Outcome::Computed { number: 304, .. }),
        "{appended:?}"
    );
    let sum = appended_crc(value_crc(b"k", &[b'x'; 300]), b"tail");
    assert_eq!(rig.state.packed.get(&b"k"[..]), Some(&(304, sum)));
    // A value as long as values can be has no room for more, packed or not.
    rig.one(write([put_packed("long", VALUE_BYTES_MAX)]));
    let refused = rig.one(write([append("long", "y")]));
    assert!(
        matches!(
            refused,
            Outcome::Misfit {
                misfit: Misfit::TooLong,
                ..
            }
        ),
        "{refused:?}"
    );
    let written = rig.one(write([put("k", "short")]));
    assert!(version(written) > Version::ZERO && rig.state.packed.len() == 1);
}

#[test]
fn what_packs_nothing_leaves_a_command_as_it_was() {
    let before = write([put("a", "1"), append("b", "2"), delete("c")]);
    let mut after = before.clone();
    after.pack_values(|_, _| None);
    assert_eq!(after, before);
    // Only what is put is offered.
    let mut offered = Vec::new();
    after.pack_values(|key, value| {
        offered.push((key.to_vec(), value.to_vec()));
        None
    });
    assert_eq!(offered, [(b"a".to_vec(), b"1".to_vec())]);
    let mut long: Command = write([put("a", &"x".repeat(300))]);
    let raw = long.encoded_len();
    long.pack_values(|_, _| Some(packed("a", 300)));
    assert_eq!(long.encoded_len(), raw - 298, "an entry holds what is stored");
}
