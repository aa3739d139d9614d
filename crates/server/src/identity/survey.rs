//! The small files of a data directory, as somebody finds them who starts nothing.

use std::io;
use std::path::Path;

use atoll_env::Vfs;
use atoll_types::NodeUuid;

use super::Claim;
use super::file::{self, FILE_BYTES_MAX, Hints, Ident, Join, Sealed, SmallFile};

/// A small file, by its name: what it says in words, or what is wrong with it.
pub(crate) type SmallFileFound = (&'static str, Result<String, String>);

/// What the small files say, and whether that fits together.
#[derive(Debug, Default)]
pub(crate) struct SmallFiles {
    /// Who the directory is, if it was admitted.
    pub(crate) ident: Option<Ident>,
    /// Those that are there, those that only help last.
    pub(crate) found: Vec<SmallFileFound>,
    /// Files that should be there, and why.
    pub(crate) missing: Vec<(&'static str, String)>,
    /// What does not fit together.
    pub(crate) problems: Vec<String>,
}

/// True for a name that is one of the small files'. Of a hint, the second is true.
pub(crate) fn kind_of(name: &str) -> Option<bool> {
    match name {
        NodeUuid::NAME | Claim::NAME | Join::NAME | Ident::NAME | Sealed::NAME => Some(false),
        Hints::NAME => Some(true),
        _ => None,
    }
}

impl SmallFiles {
    /// Reads all of them. A start asks the same of them.
    pub(crate) fn read(vfs: &dyn Vfs, dir: &Path) -> io::Result<Self> {
        let mut files = Self::default();
        files.take(vfs, dir, |_: &Sealed| {
            "files of users' data are encrypted".to_owned()
        })?;
        let uuid: Option<NodeUuid> = files.take(vfs, dir, |uuid: &NodeUuid| format!("{uuid}"))?;
        let claim: Option<Claim> = files.take(vfs, dir, |claim: &Claim| {
            let (cluster, members) = (claim.cluster, claim.members.len());
            format!("claimed for cluster {cluster} of {members} nodes")
        })?;
        let join: Option<Join> = files.take(vfs, dir, |Join(ident): &Join| {
            format!("joins cluster {} as node {}", ident.cluster, ident.node)
        })?;
        files.ident = files.take(vfs, dir, |ident: &Ident| {
            format!("node {} of cluster {}", ident.node, ident.cluster)
        })?;
        files.take(vfs, dir, |hints: &Hints| {
            format!("{} starts, {} addresses", hints.starts, hints.nodes.len())
        })?;
        files.compare(uuid, claim.as_ref(), join.is_some());
        files.look_for_missing(vfs, dir)?;
        Ok(files)
    }

    fn take<T: SmallFile>(
        &mut self,
        vfs: &dyn Vfs,
        dir: &Path,
        says: impl Fn(&T) -> String,
    ) -> io::Result<Option<T>> {
        let path = dir.join(T::NAME);
        if !vfs.exists(&path)? {
            return Ok(None);
        }
        let read = vfs
            .read_small(&path, FILE_BYTES_MAX)
            .map_err(|error| error.to_string());
        let read = read.and_then(|bytes| file::decode::<T>(&bytes).map_err(|error| error.to_string()));
        match read {
            Ok(value) => {
                self.found.push((T::NAME, Ok(says(&value))));
                Ok(Some(value))
            }
            Err(what) => {
                self.found.push((T::NAME, Err(what)));
                Ok(None)
            }
        }
    }

    fn compare(&mut self, uuid: Option<NodeUuid>, claim: Option<&Claim>, joins: bool) {
        if let (Some(uuid), Some(claim)) = (uuid, claim)
            && claim.node_of(uuid).is_none()
        {
            let what = format!(
                "{} is another directory's: this one's uuid is not in it",
                Claim::NAME
            );
            self.problems.push(what);
        }
        if joins && claim.is_some() {
            let what = format!(
                "{} stands beside {}: a directory is promised once, so one of them was copied here",
                Join::NAME,
                Claim::NAME
            );
            self.problems.push(what);
        }
    }

    fn look_for_missing(&mut self, vfs: &dyn Vfs, dir: &Path) -> io::Result<()> {
        let names = vfs.list(dir)?;
        let is_there = |name: &&str| names.iter().any(|found| found == name);
        let mut later = [Claim::NAME, Join::NAME, Ident::NAME, "journal", "groups"].into_iter();
        if !is_there(&NodeUuid::NAME)
            && let Some(later) = later.find(is_there)
        {
            let why = format!("{later} is there, and this was there before it");
            self.missing.push((NodeUuid::NAME, why));
        }
        let journal = dir.join("journal");
        if self.ident.is_some() && (!vfs.exists(&journal)? || vfs.list(&journal)?.is_empty()) {
            let why = "this node was admitted to its cluster, so it had a log, and must not vote without it";
            self.missing.push(("journal", why.to_owned()));
        }
        Ok(())
    }
}
