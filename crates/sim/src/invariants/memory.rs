//! What a replica made durable it finds again, votes never go back, and entries are applied one after
//! the other.

use super::replica::Replica;
use super::{Id, Wrong};

/// A process has begun: its log ends at `end`, and its entries are told next.
pub(super) fn open(replica: &mut Replica, end: u64, has_vote: bool) -> Wrong {
    let mut before = std::mem::take(&mut replica.log);
    before.truncate(replica.durable as usize);
    let lost = (before.len() as u64).saturating_sub(end.max(replica.installed));
    replica.before = before;
    replica.durable = end;
    replica.applied = 0;
    if lost > 0 {
        return Err(format!("{lost} durable entries are gone"));
    }
    if replica.vote.is_some() && !has_vote {
        return Err(format!("the vote {:?} is gone", replica.vote));
    }
    Ok(())
}

/// The process found this entry. Where an installed snapshot stands for the log, an entry that was never committed may still
/// be in it: if the process ended before the purge was durable. It is purged before anybody uses the log.
pub(super) fn find(replica: &mut Replica, index: u64, id: Id) -> Wrong {
    replica.append(index, id)?;
    match replica.before.get(index as usize) {
        Some(before) if *before != id && index >= replica.installed => {
            Err(format!("{before:?} was durable there"))
        }
        _ => Ok(()),
    }
}

/// The process voted, or found its vote.
pub(super) fn vote(replica: &mut Replica, vote: Id, committed: bool) -> Wrong {
    let before = replica.vote.replace((vote, committed));
    if before.is_some_and(|before| before > (vote, committed)) {
        return Err(format!("it had voted {before:?}"));
    }
    Ok(())
}

/// The process takes calls.
pub(super) fn serve(applied: u64, committed: u64) -> Wrong {
    if applied < committed {
        return Err(format!(
            "it serves after {applied} entries and knows that {committed} are committed"
        ));
    }
    Ok(())
}

/// The process begins with what a checkpoint says the first so many entries made.
pub(super) fn restore(replica: &mut Replica, entries: u64, applied_anywhere: u64) -> Wrong {
    if replica.applied > 0 || entries > applied_anywhere {
        return Err(format!(
            "after {} entries it restores a checkpoint of {entries}, of {applied_anywhere} that anybody applied",
            replica.applied
        ));
    }
    replica.applied = entries;
    Ok(())
}

/// A durable checkpoint up to this entry stands for the front of the log, which is gone.
pub(super) fn purge(replica: &mut Replica, index: u64, id: Id, committed: &[Id]) -> Wrong {
    let gone = committed_upto(committed, index, id)?;
    if replica.at(index).is_some_and(|found| found != id) {
        return Err(format!("its log has {:?} there", replica.at(index)));
    }
    replica.purge(gone);
    Ok(())
}

/// The process has replaced what it had applied by a snapshot, durably.
pub(super) fn install(replica: &mut Replica, index: u64, id: Id, committed: &[Id]) -> Wrong {
    committed_upto(committed, index, id)?;
    if index < replica.applied {
        return Err(format!("it had applied {} entries", replica.applied));
    }
    replica.applied = index + 1;
    replica.installed = index + 1;
    Ok(())
}

/// What was applied somewhere up to an entry, which must be this one.
pub(super) fn committed_upto(committed: &[Id], index: u64, id: Id) -> Result<&[Id], String> {
    match committed.get(..=index as usize) {
        Some(upto) if upto.last() == Some(&id) => Ok(upto),
        Some(upto) => Err(format!("applied was {:?} there", upto.last())),
        None => Err(format!("only {} entries were applied anywhere", committed.len())),
    }
}

/// The process applied an entry.
pub(super) fn apply(replica: &mut Replica, index: u64, id: Id) -> Wrong {
    if index != replica.applied {
        return Err(format!("entry {} is next", replica.applied));
    }
    replica.applied += 1;
    if replica.at(index) != Some(id) {
        return Err(format!("its log has {:?} there", replica.at(index)));
    }
    Ok(())
}
