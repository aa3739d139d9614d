//! What a reader has seen, to be seen again on any replica.

use std::collections::BTreeMap;
use std::sync::Arc;

use atoll_proto::v1;
use atoll_types::{Epoch, GroupGen, GroupId};
use prost::Message;

use crate::error::Error;

/// The first byte of an encoded token.
const FORMAT: u8 = 1;
/// Marks in one token: a group that serves anything has at least one slot.
const MARKS_MAX: usize = atoll_types::limits::SLOTS as usize;
/// No token is longer: a mark takes at most 29 bytes.
const BYTES_MAX: usize = MARKS_MAX * 32;

/// What a client has seen, as a value that can be handed on: to the next request of the same user on
/// another machine, say. A read with the token ([`Consistency::Session`](crate::Consistency::Session))
/// sees at least all of it, on whatever replica: one's own writes, and nothing older than what was
/// read before.
///
/// It holds one mark for each group, so its size grows with the groups that were used (about 12 bytes
/// each), not with the keys. Clones are cheap.
///
/// ```no_run
/// # async fn example(writer: atoll_client::Client, reader: atoll_client::Client) -> Result<(), atoll_client::Error> {
/// use atoll_client::{Consistency, Routing, SessionToken};
///
/// writer.put("cart/7", "3 apples").await?;
/// let cookie = writer.session_token().encode();
///
/// // Elsewhere, later:
/// let token = SessionToken::decode(&cookie)?;
/// let reader = reader.with_routing(Routing::Nearest).with_consistency(Consistency::Session(token));
/// assert!(reader.get("cart/7").await?.is_some());
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SessionToken {
    map_epoch: Epoch,
    marks: Arc<BTreeMap<GroupId, Mark>>,
}

/// How far one group has been seen. Ordered by age: indices of a later incarnation count anew.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Mark {
    pub(crate) generation: GroupGen,
    pub(crate) applied_index: u64,
}

impl SessionToken {
    pub(crate) fn new(map_epoch: Epoch, marks: impl Iterator<Item = (GroupId, Mark)>) -> Self {
        Self {
            map_epoch,
            marks: Arc::new(marks.collect()),
        }
    }

    /// The token as bytes: one for the format, then the `SessionToken` message of Atoll's public
    /// protocol.
    pub fn encode(&self) -> Vec<u8> {
        let mut bytes = vec![FORMAT];
        bytes.extend(self.message(&self.marks).encode_to_vec());
        bytes
    }

    /// A token from the bytes of [`SessionToken::encode`]. Anything else is
    /// [`ErrorKind::Invalid`](crate::ErrorKind::Invalid). A token from somebody who is not trusted can
    /// make reads wait or fail, never see what they should not.
    pub fn decode(bytes: &[u8]) -> Result<Self, Error> {
        let bad = |why: &str| Error::invalid(format!("this is no session token: {why}"));
        if bytes.len() > BYTES_MAX {
            return Err(bad("it is too long"));
        }
        let message = match bytes.split_first() {
            Some((&FORMAT, message)) => message,
            Some((format, _)) => return Err(bad(&format!("format {format} is not known here"))),
            None => return Err(bad("it is empty")),
        };
        let message = v1::SessionToken::decode(message).map_err(|error| bad(&error.to_string()))?;
        if message.marks.len() > MARKS_MAX {
            return Err(bad("it has too many marks"));
        }
        let mut token = Self {
            map_epoch: Epoch(message.map_epoch),
            ..Self::default()
        };
        let marks = Arc::make_mut(&mut token.marks);
        for mark in message.marks {
            let seen = Mark {
                generation: GroupGen(mark.generation),
                applied_index: mark.applied_index,
            };
            join(marks, GroupId(mark.group), seen);
        }
        Ok(token)
    }

    /// Adds what another token has seen: of each group the higher mark.
    pub fn merge(&mut self, other: &Self) {
        self.map_epoch = self.map_epoch.max(other.map_epoch);
        if self.marks.is_empty() {
            self.marks = Arc::clone(&other.marks);
            return;
        }
        let marks = Arc::make_mut(&mut self.marks);
        for (&group, &mark) in other.marks.iter() {
            join(marks, group, mark);
        }
    }

    /// Whoever reads with this token needs at least this map: its slots are where the writes went.
    pub(crate) fn map_epoch(&self) -> Epoch {
        self.map_epoch
    }

    pub(crate) fn mark(&self, group: GroupId) -> Option<Mark> {
        self.marks.get(&group).copied()
    }

    /// What one group needs to know of this token and of what the client has seen itself.
    pub(crate) fn for_group(&self, group: GroupId, own: Option<Mark>) -> Vec<u8> {
        let mark = self.mark(group).max(own);
        let marks = mark.map(|mark| (group, mark)).into_iter().collect();
        self.message(&marks).encode_to_vec()
    }

    fn message(&self, marks: &BTreeMap<GroupId, Mark>) -> v1::SessionToken {
        let mark = |(group, mark): (&GroupId, &Mark)| v1::GroupMark {
            group: group.0,
            generation: mark.generation.0,
            applied_index: mark.applied_index,
        };
        v1::SessionToken {
            map_epoch: self.map_epoch.0,
            marks: marks.iter().map(mark).collect(),
        }
    }
}

fn join(marks: &mut BTreeMap<GroupId, Mark>, group: GroupId, mark: Mark) {
    let known = marks.entry(group).or_insert(mark);
    *known = mark.max(*known);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ErrorKind;

    fn token(epoch: u64, marks: &[(u64, u32, u64)]) -> SessionToken {
        let mark = |&(group, generation, applied_index): &(u64, u32, u64)| {
            let generation = GroupGen(generation);
            (
                GroupId(group),
                Mark {
                    generation,
                    applied_index,
                },
            )
        };
        SessionToken::new(Epoch(epoch), marks.iter().map(mark))
    }

    #[test]
    fn bytes_come_back_as_the_same_token() {
        for token in [SessionToken::default(), token(7, &[(1, 1, 5), (2, 3, u64::MAX)])] {
            assert_eq!(SessionToken::decode(&token.encode()).unwrap(), token);
        }
    }

    #[test]
    fn the_higher_mark_wins_and_a_later_incarnation_beats_any_index() {
        let mut one = token(3, &[(1, 1, 9), (2, 1, 100), (3, 1, 4)]);
        one.merge(&token(2, &[(1, 1, 8), (2, 2, 1), (4, 1, 6)]));
        assert_eq!(one, token(3, &[(1, 1, 9), (2, 2, 1), (3, 1, 4), (4, 1, 6)]));
        let mut empty = SessionToken::default();
        empty.merge(&one);
        assert_eq!(empty, one);
    }

    #[test]
    fn what_is_no_token_is_refused() {
        let mut long = token(1, &[(1, 1, 1)]).encode();
        long.resize(BYTES_MAX + 1, 0);
        for bytes in [&b""[..], b"\x02", b"\x01\xff\xff", b"hello", &long] {
            let error = SessionToken::decode(bytes).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Invalid, "{error}");
        }
    }

    #[test]
    fn a_group_gets_only_its_own_mark() {
        let seen = token(9, &[(1, 1, 5), (2, 1, 6)]);
        let own = Mark {
            generation: GroupGen(1),
            applied_index: 8,
        };
        let decoded = |own| v1::SessionToken::decode(&seen.for_group(GroupId(2), own)[..]).unwrap();
        let marks = |token: v1::SessionToken| {
            (
                token.map_epoch,
                token
                    .marks
                    .iter()
                    .map(|mark| (mark.group, mark.applied_index))
                    .collect::<Vec<_>>(),
            )
        };
        assert_eq!(marks(decoded(None)), (9, vec![(2, 6)]));
        assert_eq!(marks(decoded(Some(own))), (9, vec![(2, 8)]));
    }
}
