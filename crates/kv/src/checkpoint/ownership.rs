//! The row of a group's genesis.

use atoll_types::{Epoch, Version};
use bytes::{Buf, BufMut};

use super::fields::{Flaw, check_count, end};
use super::row::{SystemKey, SystemRow};
use crate::ownership::{Genesis, valid_runs};

pub(super) const FORMAT: u8 = 1;
/// Bytes of one run of slots.
const RUN_BYTES: usize = 4;

pub(super) fn encode(genesis: &Genesis) -> SystemRow {
    let mut out = vec![FORMAT];
    out.put_u64_le(genesis.epoch.0);
    out.put_u64_le(genesis.version.0);
    out.put_u32_le(genesis.runs.len() as u32);
    for &(first, last) in &genesis.runs {
        out.put_u16_le(first);
        out.put_u16_le(last);
    }
    SystemRow::sealed(SystemKey::group_wide(SystemKey::OWNERSHIP, &[]).encode(), out)
}

pub(super) fn decode(mut input: &[u8]) -> Result<Genesis, Flaw> {
    let epoch = Epoch(input.try_get_u64_le()?);
    let version = Version(input.try_get_u64_le()?);
    let count = input.try_get_u32_le()? as usize;
    check_count(count, RUN_BYTES, input)?;
    let mut runs = Vec::with_capacity(count);
    for _ in 0..count {
        runs.push((input.try_get_u16_le()?, input.try_get_u16_le()?));
    }
    end(input)?;
    if !valid_runs(runs.iter().copied()) {
        return Err(Flaw("its runs are not ascending runs of slots"));
    }
    Ok(Genesis { runs, epoch, version })
}
