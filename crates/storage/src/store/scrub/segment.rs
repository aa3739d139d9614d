//! One segment of the journal.

use std::io;
use std::sync::Arc;

use atoll_env::vfs::File;

use super::disk::OnDisk;
use super::round::{Flaw, Round};
use crate::journal::{SegmentAudit, SegmentStep, chain_before};

impl Round<'_> {
    /// Looks at all frames of a segment that is not written to any more: the first that is not what was written. `None` too if
    /// the segment is gone.
    pub(super) async fn segment(&mut self, id: u32) -> Option<Flaw> {
        let journal = self.journal().clone();
        // The pin: its file is not used again while it is held.
        let segment = journal.segment(id)?;
        let file = OnDisk::new(segment.file()?.clone());
        let next = id.checked_add(1).and_then(|next| journal.segment(next));
        let behind = next.as_ref().and_then(|next| next.file());
        match self.frames(&file, id, behind).await {
            Ok(flaw) => flaw.or_else(|| Flaw::of_front(&**segment.file()?)),
            Err(error) => Some(Flaw::unreadable(&error)),
        }
    }

    async fn frames(
        &mut self,
        file: &OnDisk,
        id: u32,
        behind: Option<&Arc<dyn File>>,
    ) -> io::Result<Option<Flaw>> {
        // A header that does not check is found when it is that segment's turn.
        let align = self.align();
        let next = match behind {
            Some(behind) => chain_before(&OnDisk::new(behind.clone()), align)?,
            None => None,
        };
        let Some(mut audit) = SegmentAudit::begin(file, id, self.identity(), (align, next))? else {
            return Ok(Some(Flaw::new(0, "the header does not match its checksum")));
        };
        loop {
            match audit.step()? {
                SegmentStep::Sound(bytes) => self.took(bytes).await,
                // It is damaged; where else is for a check of all of it to tell.
                SegmentStep::Flaw { at, what } => return Ok(Some(Flaw::new(at.into(), what))),
                SegmentStep::End => return Ok(None),
            }
            if self.is_over() {
                return Ok(None);
            }
        }
    }
}
