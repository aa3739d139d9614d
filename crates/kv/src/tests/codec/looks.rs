//! The rows that an entry says it looks at, and those that it does.

use super::*;

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
