//! The group's own row.

use atoll_types::{ClusterId, GroupGen, GroupId, GroupKey, Version};
use bytes::{Buf, BufMut};

use super::fields::{Flaw, end};
use super::row::{SystemKey, SystemRow};
use crate::{Machine, SessionLimits};

pub(super) const FORMAT: u8 = 1;

/// Everything that is there once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct GroupRow {
    pub(super) cluster: ClusterId,
    pub(super) group: GroupKey,
    pub(super) now_ms: u64,
    pub(super) last: Version,
    pub(super) fingerprint: u64,
    pub(super) horizon: Version,
    pub(super) limits: SessionLimits,
    pub(super) sessions: usize,
    pub(super) genesis: bool,
    pub(super) history: bool,
}

impl GroupRow {
    pub(super) fn of(machine: &Machine) -> Self {
        Self {
            cluster: machine.cluster,
            group: machine.group,
            now_ms: machine.now_ms,
            last: machine.last,
            fingerprint: machine.fingerprint.value(),
            horizon: machine.sessions.horizon(),
            limits: machine.sessions.limits(),
            sessions: machine.sessions.len(),
            genesis: machine.ownership.has_genesis(),
            history: machine.history.is_some(),
        }
    }

    pub(super) fn encode(&self) -> SystemRow {
        let mut out = vec![FORMAT];
        out.put_u128_le(self.cluster.0);
        out.put_u64_le(self.group.id.0);
        out.put_u32_le(self.group.generation.0);
        out.put_u64_le(self.now_ms);
        out.put_u64_le(self.last.0);
        out.put_u64_le(self.fingerprint);
        out.put_u64_le(self.horizon.0);
        out.put_u64_le(self.limits.ttl_ms);
        out.put_u64_le(self.limits.max as u64);
        out.put_u64_le(self.sessions as u64);
        // Without history the byte is what it was before there was any.
        out.put_u8(u8::from(self.genesis) | u8::from(self.history) << 1);
        SystemRow::sealed(SystemKey::group_wide(SystemKey::GROUP, &[]).encode(), out)
    }

    pub(super) fn decode(mut input: &[u8]) -> Result<Self, Flaw> {
        let mut row = Self {
            cluster: ClusterId(input.try_get_u128_le()?),
            group: GroupKey::new(
                GroupId(input.try_get_u64_le()?),
                GroupGen(input.try_get_u32_le()?),
            ),
            now_ms: input.try_get_u64_le()?,
            last: Version(input.try_get_u64_le()?),
            fingerprint: input.try_get_u64_le()?,
            horizon: Version(input.try_get_u64_le()?),
            limits: SessionLimits {
                ttl_ms: input.try_get_u64_le()?,
                max: count(&mut input)?,
            },
            sessions: count(&mut input)?,
            genesis: false,
            history: false,
        };
        let flags = input.try_get_u8()?;
        if flags > 3 {
            return Err(Flaw("it neither has a genesis nor has none"));
        }
        (row.genesis, row.history) = (flags & 1 != 0, flags & 2 != 0);
        end(input)?;
        Ok(row)
    }
}

fn count(input: &mut &[u8]) -> Result<usize, Flaw> {
    usize::try_from(input.try_get_u64_le()?).map_err(|_| Flaw("it counts more than there is memory"))
}
