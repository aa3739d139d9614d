//! The slots that a scan names.

use atoll_types::SlotId;
use atoll_types::limits::{SCAN_SLOT_PAIRS_MAX, SLOTS};

/// Some of the slots, never none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct SlotSet {
    bits: Box<[u64]>,
    len: usize,
}

impl SlotSet {
    /// The set of pairs (first, last) in ascending order; else what is wrong with them.
    pub(crate) fn from_pairs(numbers: &[u32]) -> Result<Self, String> {
        let pairs = numbers.len() / 2;
        if !numbers.len().is_multiple_of(2) || pairs == 0 || pairs > SCAN_SLOT_PAIRS_MAX {
            return Err(format!(
                "slots are given as 1 to {SCAN_SLOT_PAIRS_MAX} pairs (first, last); these are {} numbers",
                numbers.len()
            ));
        }
        let mut set = Self {
            bits: vec![0; usize::from(SLOTS) / 64].into(),
            len: 0,
        };
        let mut free = 0;
        for pair in numbers.chunks_exact(2) {
            let &[first, last] = pair else { continue };
            if first < free || last < first || last >= u32::from(SLOTS) {
                return Err(format!(
                    "slots {first} to {last} are no pair of slots below {SLOTS} that comes after the pair before it"
                ));
            }
            set.add(first as usize, last as usize);
            free = last + 1;
        }
        Ok(set)
    }

    fn add(&mut self, first: usize, last: usize) {
        for slot in first..=last {
            if let Some(word) = self.bits.get_mut(slot / 64) {
                *word |= 1 << (slot % 64);
            }
        }
        self.len += last + 1 - first;
    }

    /// True if the slot is one of them.
    pub(crate) fn contains(&self, slot: SlotId) -> bool {
        let slot = usize::from(slot.0);
        self.bits
            .get(slot / 64)
            .is_some_and(|word| word & (1 << (slot % 64)) != 0)
    }

    /// How many there are.
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// All of them, in ascending order.
    pub(crate) fn iter(&self) -> impl Iterator<Item = SlotId> {
        (0..SLOTS).map(SlotId).filter(|slot| self.contains(*slot))
    }

    /// Bytes of memory it takes.
    pub(crate) fn memory_bytes(&self) -> usize {
        size_of_val(&*self.bits)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pairs_become_the_slots_between_them() {
        let set = SlotSet::from_pairs(&[0, 2, 3, 3, 64, 65, 16_383, 16_383]).unwrap();
        let slots: Vec<u16> = set.iter().map(|slot| slot.0).collect();
        assert_eq!(slots, [0, 1, 2, 3, 64, 65, 16_383]);
        assert_eq!((set.len(), set.contains(SlotId(4))), (7, false));
        let all = SlotSet::from_pairs(&[0, 16_383]).unwrap();
        assert_eq!((all.len(), all.iter().count()), (16_384, 16_384));
        let each: Vec<u32> = (0..16_384).flat_map(|slot| [slot, slot]).collect();
        assert_eq!(SlotSet::from_pairs(&each).unwrap(), all);
    }

    #[test]
    fn what_is_no_set_is_refused() {
        for wrong in [
            &[][..],
            &[1],
            &[1, 2, 3],
            &[2, 1],
            &[0, 16_384],
            &[5, 6, 6, 7],
            &[5, 6, 1, 2],
            &[u32::MAX, u32::MAX],
            &[0, u32::MAX],
        ] {
            assert!(SlotSet::from_pairs(wrong).is_err(), "{wrong:?}");
        }
        assert!(SlotSet::from_pairs(&vec![1; 2 * SCAN_SLOT_PAIRS_MAX + 2]).is_err());
    }
}
