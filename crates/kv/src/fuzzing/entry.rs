//! What the entry codec promises.

use atoll_types::{ClientId, Codec, Epoch, SlotId, Version};
use bytes::Bytes;

use super::{CLUSTER, GROUP};
use crate::testing::MapState;
use crate::{
    Applied, Command, CommandKind, EntryHeader, EntryView, Guard, HistoryLimits, KindView, Machine, Op,
    OpView, PackedValue, SessionRef, encode_entry, owned,
};

/// An entry is understood in full or refused. What is understood lies within its bytes, is applied
/// without a failure and by every machine alike, and is encoded to bytes that mean the same.
pub fn entry(input: &[u8]) {
    let Ok(view) = EntryView::parse(input) else {
        assert!(
            Machine::new(CLUSTER, GROUP)
                .apply(input, &mut MapState::default(), None)
                .is_err()
        );
        return;
    };
    let commands = commands(input, &view);
    assert_eq!(commands.len(), view.len(), "what was checked can be walked");
    let encoded = encode_entry(view.header(), &commands);
    let again = EntryView::parse(&encoded).expect("what was encoded is understood");
    assert_eq!(again.header(), view.header());
    assert_eq!(self::commands(&encoded, &again), commands);
    assert_eq!(encode_entry(again.header(), &commands), encoded);
    assert_eq!(applied(input), applied(input));
    for command in &commands {
        // What it says is another test's matter; here it must only say something.
        let _ = command.check();
    }
}

/// The commands of an entry, as they were before they were encoded.
fn commands(payload: &[u8], view: &EntryView<'_>) -> Vec<Command> {
    view.commands()
        .map(|command| {
            let guards = command.guards().map(owned::guard).collect();
            let op = |op: OpView<'_>| {
                if let OpView::Put { value, .. } | OpView::Append { suffix: value, .. } = op {
                    let start = value.offset_in_payload as usize;
                    assert_eq!(payload.get(start..start + value.bytes.len()), Some(value.bytes));
                }
                owned::op(op)
            };
            Command {
                session: command.session(),
                after: command.after(),
                kind: kind(command.kind()),
                slot: command.slot(),
                guards,
                ops: command.ops().map(op).collect(),
            }
        })
        .collect()
}

fn kind(kind: KindView<'_>) -> CommandKind {
    match kind {
        KindView::Write => CommandKind::Write,
        KindView::OpenSession { version } => CommandKind::OpenSession { version },
        KindView::Genesis(genesis) => CommandKind::Genesis {
            cluster: genesis.cluster,
            group: genesis.group,
            slots: genesis.runs().collect(),
            epoch: genesis.epoch,
        },
        KindView::Tick => CommandKind::Tick,
        KindView::CloseAt => CommandKind::CloseAt,
        KindView::KeepHistory(limits) => CommandKind::KeepHistory { limits },
        // Their contents are opaque to this version, and so is the kind of those that may be skipped.
        KindView::Reserved(_) => CommandKind::Prepare,
    }
}

/// What a machine that owns everything makes of an entry, and of the same entry again.
fn applied(payload: &[u8]) -> (Applied, u64, MapState) {
    let mut machine = Machine::new(CLUSTER, GROUP);
    let mut rows = MapState::default();
    let genesis = Command::genesis(CLUSTER, GROUP, vec![(0, 16_383)], Epoch(1));
    let first = encode_entry(EntryHeader::default(), &[genesis]);
    let mut outcomes = Vec::new();
    let owned = machine.apply(&first, &mut rows, Some(&mut outcomes));
    owned.expect("a genesis is understood");
    for _ in 0..2 {
        let applied = machine.apply(payload, &mut rows, Some(&mut outcomes));
        applied.expect("what is understood is applied");
    }
    let version = machine.last_version();
    (Applied { version }, machine.state_hash(), rows)
}

/// One of every operation that computes.
fn computing() -> Command {
    let key = Bytes::from_static;
    Command::write(
        SlotId(77),
        vec![
            Op::Increment {
                key: key(b"count"),
                by: -5,
            },
            Op::Append {
                key: key(b"log"),
                suffix: key(b"a line"),
            },
            Op::Min {
                key: key(b"least"),
                number: 7,
            },
            Op::Max {
                key: key(b"most"),
                number: i64::MAX,
            },
            Op::DeleteRange {
                start: key(b"{t}a"),
                end: key(b"{t}b"),
                limit: 4_096,
            },
        ],
    )
}

/// Inputs worth starting from: one of everything.
pub fn entry_seeds() -> Vec<(String, Vec<u8>)> {
    let key = Bytes::from_static;
    let put = |name, value| Op::Put {
        key: key(name),
        value: key(value),
    };
    let session = Some(SessionRef {
        client: ClientId(9),
        seq: 3,
        ack: 2,
    });
    let guarded = Command {
        session,
        after: Version(5),
        guards: vec![
            Guard::Key {
                key: key(b"guarded"),
                expected: Version(4),
            },
            Guard::Range {
                start: key(b"a"),
                end: key(b"b"),
                newest: Version::ZERO,
            },
        ],
        ..Command::write(
            SlotId(77),
            vec![put(b"key", b"value"), Op::Delete { key: key(b"gone") }],
        )
    };
    let genesis = Command::genesis(CLUSTER, GROUP, vec![(0, 8_191), (16_383, 16_383)], Epoch(2));
    let opened = Command::open_session(ClientId(9), Version(1));
    let value = PackedValue::new(Codec::Lz4, key(b"packed"), 300, 0xC0DE).expect("shorter");
    let packed = Command::write(
        SlotId(77),
        vec![Op::PutPacked {
            key: key(b"key"),
            value,
        }],
    );
    let reserved = Command::of_kind(CommandKind::Prepare, SlotId(3));
    let limits = HistoryLimits {
        window_ms: 60_000,
        bytes: 1 << 20,
    };
    let history = Command::keep_history(Some(limits));
    let header = EntryHeader {
        stamp: Version(1 << 20),
        elapsed_ms: 30,
    };
    let several = [
        opened.clone(),
        guarded.clone(),
        Command::tick(),
        guarded.clone(),
        reserved.clone(),
    ];
    let seed = |name: &str, commands: &[Command]| (name.to_owned(), encode_entry(header, commands).to_vec());
    vec![
        seed("closing", &[Command::close_at(Version(9))]),
        seed("computing", &[computing()]),
        seed("empty", &[]),
        seed("genesis", &[genesis]),
        seed("guarded", &[guarded]),
        seed("history", &[history]),
        seed("opened", &[opened]),
        seed("packed", &[packed]),
        seed("reserved", &[reserved]),
        seed("several", &several),
    ]
}
