//! The format: round trips, pinned bytes, and decoding of whatever comes.

use atoll_types::limits::VALUE_BYTES_MAX;
use atoll_types::{
    ClientId, ClusterId, Codec, Epoch, GroupGen, GroupId, GroupKey, Outcome, Refusal, SlotId, Version,
};
use bytes::Bytes;
use proptest::prelude::*;

use super::support::*;
use crate::{
    ApplyError, COMMAND_ROW_BYTES, Command, CommandKind, CommandView, DecodeError, ENTRY_HEADER_BYTES,
    EntryHeader, EntryView, Guard, HistoryLimits, KindView, Op, OpView, PackedValue, SessionRef,
    encode_entry, value_crc,
};

const KIND_AT: usize = ENTRY_HEADER_BYTES + 40;
const FLAGS_AT: usize = ENTRY_HEADER_BYTES + 41;

fn header() -> impl Strategy<Value = EntryHeader> {
    (any::<u64>(), any::<u32>()).prop_map(|(stamp, elapsed_ms)| EntryHeader {
        stamp: Version(stamp),
        elapsed_ms,
    })
}

fn blob(len: std::ops::Range<usize>) -> impl Strategy<Value = Bytes> {
    prop::collection::vec(any::<u8>(), len).prop_map(Bytes::from)
}

fn op() -> impl Strategy<Value = Op> {
    prop_oneof![
        (blob(1..40), blob(0..200)).prop_map(|(key, value)| Op::Put { key, value }),
        (
            blob(1..40),
            blob(1..60),
            65..100_000_usize,
            any::<u32>(),
            any::<bool>()
        )
            .prop_map(|(key, stored, len, vcrc, zstd)| {
                let codec = if zstd { Codec::Zstd } else { Codec::Lz4 };
                let value = PackedValue::new(codec, stored, len, vcrc).unwrap();
                Op::PutPacked { key, value }
            }),
        blob(1..40).prop_map(|key| Op::Delete { key }),
        (blob(1..40), any::<i64>()).prop_map(|(key, by)| Op::Increment { key, by }),
        (blob(1..40), blob(0..200)).prop_map(|(key, suffix)| Op::Append { key, suffix }),
        (blob(1..40), any::<i64>()).prop_map(|(key, number)| Op::Min { key, number }),
        (blob(1..40), any::<i64>()).prop_map(|(key, number)| Op::Max { key, number }),
        (blob(1..40), blob(1..40), any::<u32>()).prop_map(|(start, end, limit)| Op::DeleteRange {
            start,
            end,
            limit
        }),
    ]
}

fn guard() -> impl Strategy<Value = Guard> {
    prop_oneof![
        (blob(1..40), any::<u64>()).prop_map(|(key, v)| Guard::Key {
            key,
            expected: Version(v)
        }),
        (blob(0..20), blob(0..20), any::<u64>()).prop_map(|(start, end, v)| Guard::Range {
            start,
            end,
            newest: Version(v)
        }),
    ]
}

fn session() -> impl Strategy<Value = SessionRef> {
    (any::<u128>(), any::<u64>(), any::<u64>()).prop_map(|(client, seq, ack)| SessionRef {
        client: ClientId(client),
        seq,
        ack,
    })
}

fn a_write() -> impl Strategy<Value = Command> {
    let parts = (
        prop::option::of(session()),
        any::<u64>(),
        any::<u16>(),
        prop::collection::vec(guard(), 0..4),
        prop::collection::vec(op(), 0..5),
    );
    parts.prop_map(|(session, after, slot, guards, ops)| Command {
        session,
        after: Version(after),
        kind: CommandKind::Write,
        slot: SlotId(slot),
        guards,
        ops,
    })
}

fn a_genesis() -> impl Strategy<Value = Command> {
    let runs = prop::collection::vec(any::<(u16, u16)>(), 0..6);
    (any::<u128>(), any::<u64>(), any::<u32>(), runs, any::<u64>()).prop_map(
        |(cluster, id, generation, runs, epoch)| {
            let group = GroupKey::new(GroupId(id), GroupGen(generation));
            Command::genesis(ClusterId(cluster), group, runs, Epoch(epoch))
        },
    )
}

fn command() -> impl Strategy<Value = Command> {
    prop_oneof![
        6 => a_write(),
        1 => a_genesis(),
        1 => (any::<u128>(), any::<u64>()).prop_map(|(c, v)| Command::open_session(ClientId(c), Version(v))),
        1 => Just(Command::tick()),
        1 => Just(Command::of_kind(CommandKind::Seal, SlotId(9))),
        1 => any::<u64>().prop_map(|version| Command::close_at(Version(version))),
        1 => prop::option::of((1..9_u64, 1..u64::MAX)).prop_map(|limits| {
            Command::keep_history(limits.map(|(window_ms, bytes)| HistoryLimits { window_ms, bytes }))
        }),
    ]
}

fn commands() -> impl Strategy<Value = Vec<Command>> {
    prop::collection::vec(command(), 0..6)
}

fn owned(view: &CommandView<'_>) -> Command {
    let kind = match view.kind() {
        KindView::Write => CommandKind::Write,
        KindView::Tick => CommandKind::Tick,
        KindView::CloseAt => CommandKind::CloseAt,
        KindView::KeepHistory(limits) => CommandKind::KeepHistory { limits },
        KindView::OpenSession { version } => CommandKind::OpenSession { version },
        KindView::Genesis(genesis) => CommandKind::Genesis {
            cluster: genesis.cluster,
            group: genesis.group,
            slots: genesis.runs().collect(),
            epoch: genesis.epoch,
        },
        KindView::Reserved(8) => CommandKind::Seal,
        KindView::Reserved(other) => panic!("kind {other}"),
    };
    Command {
        session: view.session(),
        after: view.after(),
        kind,
        slot: view.slot(),
        guards: view.guards().map(crate::owned::guard).collect(),
        ops: view.ops().map(crate::owned::op).collect(),
    }
}

/// Whatever parses can be walked to its end and applied, and every value lies where it is said to.
fn walk(payload: &[u8]) -> Result<(), TestCaseError> {
    let Ok(entry) = EntryView::parse(payload) else {
        let error = Rig::new().machine.apply(payload, &mut Rig::new().state, None);
        prop_assert!(error.is_err());
        return Ok(());
    };
    prop_assert_eq!(entry.commands().count(), entry.len());
    for command in entry.commands() {
        command.guards().for_each(drop);
        for op in command.ops() {
            if let OpView::Put { value, .. } | OpView::Append { suffix: value, .. } = op {
                let start = value.offset_in_payload as usize;
                prop_assert_eq!(&payload[start..start + value.bytes.len()], value.bytes);
            }
        }
    }
    let mut rig = Rig::new();
    let mut outcomes = Vec::new();
    prop_assert!(
        rig.machine
            .apply(payload, &mut rig.state, Some(&mut outcomes))
            .is_ok()
    );
    prop_assert_eq!(outcomes.len(), entry.len());
    Ok(())
}

proptest! {
    #[test]
    fn round_trip(header in header(), commands in commands()) {
        let payload = encode_entry(header, &commands);
        let expected: usize = commands.iter().map(Command::encoded_len).sum();
        prop_assert_eq!(payload.len(), ENTRY_HEADER_BYTES + expected);
        let entry = EntryView::parse(&payload).unwrap();
        prop_assert_eq!(entry.header(), header);
        let decoded: Vec<Command> = entry.commands().map(|view| owned(&view)).collect();
        prop_assert_eq!(&decoded, &commands);
        for (view, command) in entry.commands().zip(&commands) {
            prop_assert_eq!(view.ops().count(), command.ops.len());
            for op in view.ops() {
                if let OpView::Put { key, value } | OpView::Append { key, suffix: value } = op
                    && value.codec == Codec::None
                {
                    prop_assert_eq!(value.len as usize, value.bytes.len());
                    prop_assert_eq!(value.vcrc, value_crc(key, value.bytes));
                }
            }
        }
        walk(&payload)?;
    }

    #[test]
    fn any_bytes(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        walk(&bytes)?;
    }

    /// Random bytes hardly get past the header, so here the header fits.
    #[test]
    fn any_bytes_behind_a_header(counts in prop::array::uniform6(0..4_u32), rest in prop::collection::vec(0..3_u8, 0..400)) {
        let [commands, guards, guard_bytes, ops, op_bytes, values] = counts;
        let mut bytes = vec![1, 1, 0, 0];
        bytes.extend_from_slice(&[0; 12]);
        for number in [commands, guards, guard_bytes * 16, ops, op_bytes * 16, values] {
            bytes.extend_from_slice(&number.to_le_bytes());
        }
        let len = commands as usize * COMMAND_ROW_BYTES + (guard_bytes + op_bytes) as usize * 16 + values as usize;
        bytes.extend(rest.iter().copied().cycle().take(if rest.is_empty() { 0 } else { len }));
        walk(&bytes)?;
    }

    #[test]
    fn mutated_entries(
        commands in commands(),
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
    ) {
        let mut bytes = encode_entry(EntryHeader::default(), &commands).to_vec();
        for (index, value) in changes {
            let at = index.index(bytes.len());
            bytes[at] = value;
        }
        walk(&bytes)?;
    }

    #[test]
    fn cut_or_extended_entries_are_refused(commands in commands(), index in any::<prop::sample::Index>()) {
        let bytes = encode_entry(EntryHeader::default(), &commands).to_vec();
        prop_assert!(EntryView::parse(&bytes[..index.index(bytes.len())]).is_err());
        prop_assert!(EntryView::parse(&[&bytes[..], &[0]].concat()).is_err());
    }
}

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
fn operations_that_do_not_say_what_they_need_are_refused() {
    let ops = ENTRY_HEADER_BYTES + COMMAND_ROW_BYTES;
    // A put of so many bytes, passed off as another operation.
    let parses = |op: u8, len: usize| {
        let value = bytes(&"x".repeat(len));
        let mut bytes = encode_entry(
            EntryHeader::default(),
            &[write([Op::Put {
                key: value.clone(),
                value,
            }])],
        )
        .to_vec();
        bytes[ops] = op;
        EntryView::parse(&bytes).is_ok()
    };
    for op in [2, 4, 5] {
        assert_eq!(
            [1, 7, 8, 9].map(|len| parses(op, len)),
            [false, false, true, false]
        );
    }
    assert_eq!(
        [1, 4, 5, 40].map(|len| parses(6, len)),
        [false, false, true, true]
    );
    assert_eq!([2, 3, 4, 5, 6].map(|op| parses(op, 0)), [false; 5], "no key");
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

fn stops(change: impl Fn(&mut Vec<u8>)) -> DecodeError {
    let mut bytes = encode_entry(EntryHeader::default(), &[write([put("a", "1")]), Command::tick()]).to_vec();
    change(&mut bytes);
    let mut rig = Rig::new();
    let before = rig.machine.state_hash();
    let ApplyError::Decode(error) = rig.machine.apply(&bytes, &mut rig.state, None).unwrap_err();
    assert_eq!(rig.machine.state_hash(), before);
    assert!(rig.state.rows.is_empty(), "nothing of a refused entry is applied");
    error
}

#[test]
fn what_a_later_version_wrote_stops_the_replica() {
    assert_eq!(stops(|bytes| bytes[0] = 2), DecodeError::UnknownKind(2));
    assert_eq!(stops(|bytes| bytes[1] = 2), DecodeError::UnknownVersion(2));
    // The second command: the first one must not have been applied either.
    let second = KIND_AT + COMMAND_ROW_BYTES;
    assert_eq!(
        stops(|bytes| bytes[second] = 12),
        DecodeError::UnknownCommand { command: 1, kind: 12 }
    );
    assert!(matches!(
        stops(|bytes| bytes[FLAGS_AT] = 2),
        DecodeError::Unknown {
            what: "command flags",
            ..
        }
    ));
    assert!(
        stops(|bytes| bytes[1] = 9)
            .to_string()
            .contains("codec version 9 is unknown")
    );
}

#[test]
fn an_unknown_kind_that_may_be_skipped_is_refused_and_the_rest_applied() {
    let mut bytes = encode_entry(EntryHeader::default(), &[Command::tick(), write([put("a", "1")])]).to_vec();
    bytes[KIND_AT] = 77;
    bytes[FLAGS_AT] = 1 << 7;
    let mut rig = Rig::new();
    let mut outcomes = Vec::new();
    rig.machine
        .apply(&bytes, &mut rig.state, Some(&mut outcomes))
        .unwrap();
    assert_eq!(outcomes[0], Outcome::Refused(Refusal::Unsupported));
    assert_eq!(rig.value("a"), Some(&b"1"[..]));
}

/// Two writes, each with a guard on `g` and a put of one byte under `k`.
fn two_writes() -> Vec<u8> {
    let command = guarded([on_key("g", Version::ZERO)], write([put("k", "v")]));
    encode_entry(EntryHeader::default(), [&command, &command]).to_vec()
}

fn patch(bytes: &mut [u8], at: usize, value: u32) {
    bytes[at..at + 4].copy_from_slice(&value.to_le_bytes());
}

#[test]
fn tables_that_do_not_fit_together_are_refused() {
    const GUARD_COUNT: usize = 20;
    const OP_COUNT: usize = 28;
    let second = ENTRY_HEADER_BYTES + COMMAND_ROW_BYTES;
    let guards = second + COMMAND_ROW_BYTES;
    let ops = guards + 2 * 17;
    let patches: [(&str, &[(usize, u32)]); 11] = [
        ("more guards announced than there are", &[(GUARD_COUNT, 3)]),
        ("fewer ops announced than there are", &[(OP_COUNT, 1)]),
        ("two commands share a guard", &[(second + 44, 0)]),
        ("two commands share an op", &[(second + 52, 0)]),
        ("two commands share a value", &[(second + 60, 0)]),
        ("a guard belongs to nobody", &[(second + 48, 0), (GUARD_COUNT, 1)]),
        (
            "an op and its value belong to nobody",
            &[(second + 56, 0), (OP_COUNT, 1)],
        ),
        (
            "an op count beyond the table",
            &[(second + 56, u32::MAX), (OP_COUNT, u32::MAX)],
        ),
        ("a value beyond the area", &[(ops + 17 + 4, 2), (ops + 17 + 8, 2)]),
        ("a value of two lengths", &[(ops + 4, 2)]),
        ("a deletion with a value", &[(ops, 1 | 1 << 16)]),
    ];
    assert!(EntryView::parse(&two_writes()).is_ok());
    for (what, changes) in patches {
        let mut bytes = two_writes();
        for &(at, value) in changes {
            patch(&mut bytes, at, value);
        }
        assert!(
            matches!(EntryView::parse(&bytes), Err(DecodeError::Malformed { .. })),
            "{what}"
        );
    }
}

#[test]
fn ops_flags_and_guards_of_later_versions_are_refused() {
    let guards = ENTRY_HEADER_BYTES + 2 * COMMAND_ROW_BYTES;
    let ops = guards + 2 * 17;
    for (at, value) in [
        (2, 1),
        (guards, 2),
        (guards + 1, 1),
        (guards + 6, 1),
        (ops, 7),
        (ops, 254),
        (ops + 1, 3),
        (ops + 1, 4),
    ] {
        let mut bytes = two_writes();
        bytes[at] = value;
        assert!(
            matches!(EntryView::parse(&bytes), Err(DecodeError::Unknown { .. })),
            "byte {at}"
        );
    }
    let mut body = two_writes();
    body[ops] = 255;
    assert!(
        matches!(EntryView::parse(&body), Err(DecodeError::Malformed { .. })),
        "a body with a key"
    );
}

#[test]
fn commands_without_what_they_need_are_refused() {
    let parses = |command: Command, change: fn(&mut Vec<u8>)| {
        let mut bytes = encode_entry(EntryHeader::default(), [&command]).to_vec();
        change(&mut bytes);
        EntryView::parse(&bytes).is_ok()
    };
    let opening = || Command::open_session(ClientId(1), Version(1));
    assert!(parses(opening(), |_| {}));
    assert!(
        !parses(
            Command {
                session: None,
                ..opening()
            },
            |_| {}
        ),
        "a session for nobody"
    );
    assert!(
        !parses(Command::tick(), |bytes| bytes[KIND_AT] = 1),
        "an opening without a version"
    );
    assert!(
        !parses(opening(), |bytes| bytes[KIND_AT] = 0),
        "a write with a body"
    );
    assert!(
        !parses(opening(), |bytes| bytes[KIND_AT] = 2),
        "a genesis of eight bytes"
    );
    assert!(
        !parses(genesis(), |bytes| bytes[KIND_AT] = 1),
        "an opening with bytes left over"
    );
}

#[test]
fn a_value_behind_the_end_is_refused_though_all_tables_are_full() {
    let mut bytes = encode_entry(EntryHeader::default(), &[write([put("k", "")])]).to_vec();
    let op = ENTRY_HEADER_BYTES + COMMAND_ROW_BYTES;
    patch(&mut bytes, op + 4, 9);
    patch(&mut bytes, op + 8, 9);
    assert!(EntryView::parse(&bytes).is_err());
}

/// Rows that were asked for while an entry was applied, above a map.
#[derive(Default)]
struct Asked {
    state: crate::testing::MapState,
    keys: Vec<Vec<u8>>,
    ranges: Vec<(Vec<u8>, Vec<u8>, usize)>,
}

impl crate::StateView for Asked {
    fn version_of(&mut self, key: &[u8]) -> Option<Version> {
        self.keys.push(key.to_vec());
        self.state.version_of(key)
    }

    fn newest_in(&mut self, start: &[u8], end: &[u8]) -> Option<Version> {
        self.ranges.push((start.to_vec(), end.to_vec(), usize::MAX));
        self.state.newest_in(start, end)
    }

    fn stored(&mut self, key: &[u8]) -> Option<crate::Stored> {
        self.keys.push(key.to_vec());
        self.state.stored(key)
    }

    fn keys_in(&mut self, start: &[u8], end: &[u8], limit: usize) -> Vec<atoll_types::Key> {
        self.ranges.push((start.to_vec(), end.to_vec(), limit));
        self.state.keys_in(start, end, limit)
    }

    fn put(&mut self, key: &[u8], version: Version, value: crate::ValueSlice<'_>) {
        self.state.put(key, version, value);
    }

    fn put_number(&mut self, key: &[u8], version: Version, text: &[u8], vcrc: u32) {
        self.state.put_number(key, version, text, vcrc);
    }

    fn append(&mut self, key: &[u8], version: Version, suffix: crate::ValueSlice<'_>, vcrc: u32) {
        self.state.append(key, version, suffix, vcrc);
    }

    fn delete(&mut self, key: &[u8], version: Version) {
        self.state.delete(key, version);
    }
}

proptest! {
    /// Whoever brings rows into memory before an entry is applied relies on this.
    #[test]
    fn an_entry_asks_for_no_row_that_it_does_not_look_at(commands in commands()) {
        let mut rig = Rig::new();
        let commands: Vec<_> = commands.into_iter().map(|command| Command { session: None, slot: SLOT, ..command }).collect();
        let payload = encode_entry(EntryHeader { stamp: Version(1 << 30), elapsed_ms: 0 }, &commands);
        let mut asked = Asked::default();
        if rig.machine.apply(&payload, &mut asked, None).is_ok() {
            let looks: Vec<_> = EntryView::parse(&payload).unwrap().looks().collect();
            for key in asked.keys {
                prop_assert!(looks.contains(&crate::Look::Key(&key)), "{:?} of {:?}", key, looks);
            }
            for (start, end, limit) in asked.ranges {
                let most = u32::try_from(limit).unwrap_or(u32::MAX);
                let found = looks.iter().any(|look| matches!(look, crate::Look::Range { start: from, end: to, most: at_most }
                    if *from == start && *to == end && *at_most >= most));
                prop_assert!(found, "{:?} {:?} {} of {:?}", start, end, limit, looks);
            }
        }
    }
}
