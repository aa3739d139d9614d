//! The state machine: what an entry does to the rows.

use atoll_types::{Codec, Version};
use bytes::Bytes;

use super::super::model::{Op, key, len_of, numbers, stored, system_key, value};
use super::{Node, id};
use crate::index::{InlineValue, Suffix, ValueRef};
use crate::journal::{JournalPointer, value_crc};

/// Where in an entry's payload a value stands, in how many bytes, and packed how.
type Place = (u32, u32, Codec);

impl Node {
    pub(super) fn apply(&mut self, index: u64, ops: &[Op]) {
        let mut version = self.model.version;
        let mut offset = 0;
        self.writer.begin(0);
        for (part, op) in ops.iter().enumerate() {
            let value = value(index, part, len_of(op));
            let (codec, stored) = stored(op, value.clone());
            let place = (offset, stored.len() as u32, codec);
            self.apply_op(index, op, (place, &value), &mut version);
            offset += stored.len() as u32;
        }
        assert!(self.writer.take_trouble().is_none());
        self.versions.push(version);
        self.writer.keep_history(self.horizon());
        self.writer.publish(Version(version), index);
        self.log.release(index);
        self.model.apply(index, ops);
        assert_eq!(version, self.model.version);
    }

    fn apply_op(&mut self, index: u64, op: &Op, (place, value): (Place, &[u8]), version: &mut u64) {
        match op {
            Op::Put { first, count, .. } => {
                for number in numbers(*first, *count) {
                    let key = key(number);
                    let stored = self.stored(&key, index, place, value);
                    *version += 1;
                    self.writer.put(&key, Version(*version), stored);
                }
            }
            Op::Delete { first, count } => {
                for number in numbers(*first, *count) {
                    *version += 1;
                    self.writer.delete(&key(number), Version(*version));
                }
            }
            Op::Clear { first, count, limit } => {
                let (start, end) = (key(*first), key(first.saturating_add(*count)));
                for key in self.writer.keys_in(&start, &end, *limit) {
                    *version += 1;
                    self.writer.delete(key.as_bytes(), Version(*version));
                }
            }
            Op::Append { key: number, .. } => self.append(&key(*number), index, (place, value), version),
            Op::System { key, len } => {
                let value = len.map(|_| Bytes::copy_from_slice(value));
                self.changed.insert(system_key(*key), value);
            }
        }
    }

    fn append(&mut self, key: &[u8], index: u64, (place, value): (Place, &[u8]), version: &mut u64) {
        let Some(old) = self.writer.value_of(key) else {
            return;
        };
        assert!(self.writer.version_of(key).is_some());
        let mut vcrc = crc32fast::Hasher::new_with_initial(old.vcrc());
        vcrc.update(value);
        let suffix = if value.len() <= 64 {
            Suffix::Memory(value)
        } else {
            Suffix::Journal(self.pointer(key, index, place, value))
        };
        *version += 1;
        let joined = old.with_suffix(suffix, vcrc.finalize());
        self.writer.put(key, Version(*version), joined);
    }

    fn stored(&self, key: &[u8], index: u64, place: Place, value: &[u8]) -> ValueRef {
        match InlineValue::new(value, value_crc(key, value)) {
            Some(short) => ValueRef::Inline(short),
            None => ValueRef::Journal(self.pointer(key, index, place, value)),
        }
    }

    fn pointer(&self, key: &[u8], index: u64, place: Place, value: &[u8]) -> JournalPointer {
        let (offset, stored_len, codec) = place;
        let pointer = self
            .log
            .pointer(id(index), offset, stored_len, value_crc(key, value));
        pointer.unwrap().packed(codec, value.len() as u32).unwrap()
    }
}
