//! Bytes that older journals hold.

use atoll_types::limits::VALUE_BYTES_MAX;

use super::*;

/// Pins the bytes: a change here is a new codec version.
#[test]
fn the_bytes_of_one_entry() {
    let command = in_session(
        0x0102,
        3,
        2,
        guarded([on_key("g", Version(9))], write([put("k", "val"), delete("d")])),
    );
    let header = EntryHeader {
        stamp: Version(0x11),
        elapsed_ms: 0x22,
    };
    let payload = encode_entry(
        header,
        [&Command {
            after: Version(5),
            ..command
        }],
    );
    let mut expected = vec![1, 1, 0, 0, 0x22, 0, 0, 0, 0x11, 0, 0, 0, 0, 0, 0, 0];
    for number in [1_u32, 1, 17, 2, 34, 3] {
        expected.extend(number.to_le_bytes());
    }
    expected.extend(0x0102_u128.to_le_bytes());
    for number in [3_u64, 2, 5] {
        expected.extend(number.to_le_bytes());
    }
    expected.extend([0, 1, 50, 0]);
    for number in [0_u32, 1, 0, 2, 0] {
        expected.extend(number.to_le_bytes());
    }
    expected.extend([0, 0, 1, 0, 0, 0, 0, 0]);
    expected.extend(9_u64.to_le_bytes());
    expected.extend(b"g");
    for (op, key, len, vcrc) in [
        (0, b"k", 3_u32, value_crc(b"k", b"val")),
        (1, b"d", 0, value_crc(b"d", b"")),
    ] {
        expected.extend([op, 0, 1, 0]);
        expected.extend(len.to_le_bytes());
        expected.extend(len.to_le_bytes());
        expected.extend(vcrc.to_le_bytes());
        expected.extend(key);
    }
    expected.extend(b"val");
    assert_eq!(payload, expected);
}

/// Pins the bytes of the operations that compute. What an older journal holds, the test above pins.
#[test]
fn the_bytes_of_operations_that_compute() {
    let key = || bytes("k");
    let ops = [
        Op::Increment { key: key(), by: -2 },
        Op::Append {
            key: key(),
            suffix: bytes("tail"),
        },
        Op::Min {
            key: key(),
            number: 3,
        },
        Op::Max {
            key: key(),
            number: i64::MIN,
        },
        Op::DeleteRange {
            start: key(),
            end: bytes("l"),
            limit: 4096,
        },
    ];
    let payload = encode_entry(EntryHeader::default(), &[write(ops)]);
    let values: [&[u8]; 5] = [
        &(-2_i64).to_le_bytes(),
        b"tail",
        &3_i64.to_le_bytes(),
        &i64::MIN.to_le_bytes(),
        b"\x00\x10\x00\x00l",
    ];
    let mut expected = Vec::new();
    for (op, value) in (2..).zip(values) {
        expected.extend([op, 0, 1, 0]);
        expected.extend((value.len() as u32).to_le_bytes());
        expected.extend((value.len() as u32).to_le_bytes());
        expected.extend(value_crc(b"k", value).to_le_bytes());
        expected.extend(b"k");
    }
    expected.extend(values.concat());
    assert_eq!(payload[ENTRY_HEADER_BYTES + COMMAND_ROW_BYTES..], expected);
}

#[test]
fn the_largest_value_is_addressed_behind_all_tables() {
    let value = Bytes::from(vec![7; VALUE_BYTES_MAX]);
    let commands = [
        write([put("a", "1")]),
        write([Op::Put {
            key: bytes("b"),
            value: value.clone(),
        }]),
    ];
    let payload = encode_entry(EntryHeader::default(), &commands);
    assert_eq!(payload.len(), payload.as_ref().to_vec().capacity());
    assert_eq!(payload.slice(payload.len() - VALUE_BYTES_MAX..), value);
}
