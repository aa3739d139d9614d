//! A group on the command line.

use std::fmt;

use atoll_types::{GroupGen, GroupId, GroupKey};

use crate::failure::{Exit, Failure, Result};

/// A group as people name it: `7`, or `7.1` if it had several lives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct GroupName {
    id: GroupId,
    generation: Option<GroupGen>,
}

impl fmt::Display for GroupName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.generation {
            Some(generation) => write!(f, "{}.{generation}", self.id),
            None => write!(f, "{}", self.id),
        }
    }
}

impl GroupName {
    /// Reads a name.
    pub(super) fn parse(text: &str) -> std::result::Result<Self, String> {
        let bad = || format!("'{text}' is not a group; write its number, for example 1 or 1.0");
        let (id, generation) = match text.split_once('.') {
            Some((id, generation)) => (id, Some(generation)),
            None => (text, None),
        };
        // Numbers may begin with a plus elsewhere, but nothing shows them so.
        if text.contains('+') {
            return Err(bad());
        }
        let id = id.parse().map_err(|_| bad())?;
        let generation = generation.map(str::parse).transpose().map_err(|_| bad())?;
        Ok(Self {
            id: GroupId(id),
            generation: generation.map(GroupGen),
        })
    }

    /// The group of this name among those there are; of several lives the latest.
    pub(super) fn find(self, groups: impl IntoIterator<Item = GroupKey>) -> Result<GroupKey> {
        let fits = |group: &GroupKey| {
            group.id == self.id
                && self
                    .generation
                    .is_none_or(|generation| group.generation == generation)
        };
        groups.into_iter().filter(fits).max().ok_or_else(|| {
            Failure::new(Exit::Negative, format!("nothing is known here of group {self}"))
                .next("`atoll storage check` shows the groups that live here")
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_are_read_as_they_are_shown() {
        let group = |id, generation| GroupKey::new(GroupId(id), GroupGen(generation));
        let all = [group(6, 9), group(7, 1), group(7, 2)];
        let find = |text: &str| GroupName::parse(text).unwrap().find(all).ok();
        assert_eq!(find("7"), Some(group(7, 2)));
        assert_eq!(find(&group(7, 1).to_string()), Some(group(7, 1)));
        assert_eq!((find("7.3"), find("8")), (None, None));
        for bad in ["", "x", "1.", ".1", "-1", "+1", "1.+1", "1.2.3"] {
            assert!(GroupName::parse(bad).is_err(), "{bad}");
        }
    }
}
