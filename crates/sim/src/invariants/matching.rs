//! Log matching: entries of one index, term and leader are the same everywhere, and so is what stands
//! before them.

use super::group::{Content, Group};
use super::{Id, Wrong};

/// A replica has appended an entry behind `before`.
pub(super) fn append(group: &mut Group, index: u64, id: Id, crc: u64, before: Option<Id>) -> Wrong {
    let content = Content { crc, before };
    let known = *group.contents.entry((index, id)).or_insert(content);
    if known == content {
        Ok(())
    } else {
        Err(format!(
            "elsewhere the same entry is {known:?}, here it is {content:?}"
        ))
    }
}
