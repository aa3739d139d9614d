//! What is written is read, and bytes of any kind are walked to their end or refused.

use super::*;
use crate::{CommandView, KindView};

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
