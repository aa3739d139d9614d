//! A data directory: its lock and its small files.

use std::io;
use std::path::{Path, PathBuf};

use atoll_env::{Env, vfs};
use atoll_types::NodeUuid;
use parking_lot::Mutex;

use super::Claim;
use super::file::{self, FILE_BYTES_MAX, Hints, Ident, Join, Sealed, SmallFile};
use crate::node::StartError;

/// Why a data directory cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub(crate) enum IdentityError {
    #[error("the data directory is in use: {0}")]
    Locked(#[source] io::Error),
    #[error("{}: {reason}", path.display())]
    Corrupt { path: PathBuf, reason: String },
    #[error(
        "{} is no data directory of Atoll's and not empty either (it holds {found}): name an empty or a new directory",
        path.display()
    )]
    Foreign { path: PathBuf, found: String },
    #[error("cannot use {} as a data directory: {source}", path.display())]
    Unusable { path: PathBuf, source: io::Error },
    #[error(
        "{} is encrypted: give the keys that it was started with (--encryption-key-file or --encryption-key-command)",
        path.display()
    )]
    Sealed { path: PathBuf },
    #[error(
        "{} was begun without encryption, and what stands in it cannot become so: start it without a key; a cluster \
         that is encrypted begins with keys and empty directories",
        path.display()
    )]
    Clear { path: PathBuf },
    #[error("the data directory: {0}")]
    Io(#[from] io::Error),
}

impl From<IdentityError> for StartError {
    fn from(error: IdentityError) -> Self {
        match error {
            IdentityError::Locked(_) => Self::Locked(error.to_string()),
            IdentityError::Foreign { .. } | IdentityError::Unusable { .. } => {
                Self::BadFolder(error.to_string())
            }
            IdentityError::Sealed { .. } | IdentityError::Clear { .. } => Self::Keys(error.to_string()),
            IdentityError::Corrupt { .. } | IdentityError::Io(_) => Self::DataDir(error.to_string()),
        }
    }
}

/// An open data directory, locked until [`DataDir::unlock`] or the end of the process.
pub(crate) struct DataDir {
    env: Env,
    path: PathBuf,
    uuid: NodeUuid,
    lock: Mutex<Option<Box<dyn Send + Sync>>>,
}

impl DataDir {
    /// Creates or opens; draws the uuid of a new one.
    pub(crate) async fn open(env: &Env, path: &Path) -> Result<Self, IdentityError> {
        let unusable = |source| IdentityError::Unusable {
            path: path.to_owned(),
            source,
        };
        create_durably(&*env.vfs, path).map_err(unusable)?;
        // Before anything is written: a folder of other things is left as it is.
        refuse_foreign(&*env.vfs, path)?;
        let lock = env
            .vfs
            .lock(&path.join("LOCK"))
            .map_err(|error| match error.kind() {
                io::ErrorKind::WouldBlock => IdentityError::Locked(error),
                _ => unusable(error),
            })?;
        let mut dir = Self {
            env: env.clone(),
            path: path.to_owned(),
            uuid: NodeUuid(0),
            lock: Mutex::new(Some(lock)),
        };
        let uuid = dir.read::<NodeUuid>()?;
        dir.check_sealed(uuid.is_some())?;
        dir.uuid = match uuid {
            Some(uuid) => uuid,
            None => dir.draw_uuid().await?,
        };
        Ok(dir)
    }

    /// A directory is encrypted from its beginning or never.
    fn check_sealed(&self, begun: bool) -> Result<(), IdentityError> {
        let path = self.path.clone();
        match (self.read::<Sealed>()?.is_some(), self.is_to_be_sealed()) {
            (true, false) => Err(IdentityError::Sealed { path }),
            (false, true) if begun => Err(IdentityError::Clear { path }),
            _ => Ok(()),
        }
    }

    fn is_to_be_sealed(&self) -> bool {
        self.env.vfs.seals(&self.journal())
    }

    async fn draw_uuid(&self) -> Result<NodeUuid, IdentityError> {
        for later in [Claim::NAME, Join::NAME, Ident::NAME, "journal", "groups"] {
            if self.env.vfs.exists(&self.path.join(later))? {
                let reason = format!(
                    "is missing although {later} is there; restore it or start with an empty directory"
                );
                return Err(IdentityError::Corrupt {
                    path: self.path.join(NodeUuid::NAME),
                    reason,
                });
            }
        }
        if self.is_to_be_sealed() {
            self.write(&Sealed).await?;
        }
        let uuid = NodeUuid(self.env.rng.bits128());
        self.write(&uuid).await?;
        Ok(uuid)
    }

    /// Lets another process have the directory. Nothing may be written to it afterwards.
    pub(crate) fn unlock(&self) {
        self.lock.lock().take();
    }

    /// Names this directory for ever.
    pub(crate) fn uuid(&self) -> NodeUuid {
        self.uuid
    }

    /// Where the journal is.
    pub(crate) fn journal(&self) -> PathBuf {
        self.path.join("journal")
    }

    /// The claim, if there is one.
    pub(crate) fn claim(&self) -> Result<Option<Claim>, IdentityError> {
        let claim = self.read::<Claim>()?;
        if claim
            .as_ref()
            .is_some_and(|claim| claim.node_of(self.uuid).is_none())
        {
            let reason = "is another directory's: this one's uuid is not in it".to_owned();
            return Err(IdentityError::Corrupt {
                path: self.path.join(Claim::NAME),
                reason,
            });
        }
        Ok(claim)
    }

    /// The cluster this directory is promised to and as whom, if it asked to join one.
    pub(crate) fn join(&self) -> Result<Option<Ident>, IdentityError> {
        let join = self.read::<Join>()?.map(|Join(ident)| ident);
        if join.is_some() && self.env.vfs.exists(&self.path.join(Claim::NAME))? {
            let reason = format!(
                "stands beside {}: a directory is promised once, so one of them was copied here",
                Claim::NAME
            );
            return Err(IdentityError::Corrupt {
                path: self.path.join(Join::NAME),
                reason,
            });
        }
        Ok(join)
    }

    /// The identity, if admitted. A log that is gone with it is an error: a voter without its log
    /// could vote twice.
    pub(crate) fn ident(&self) -> Result<Option<Ident>, IdentityError> {
        let Some(ident) = self.read::<Ident>()? else {
            return Ok(None);
        };
        let journal = self.journal();
        if !self.env.vfs.exists(&journal)? || self.env.vfs.list(&journal)?.is_empty() {
            let reason = format!(
                "is missing although this is node {} of cluster {}: its log is lost, so it must not vote again",
                ident.node, ident.cluster
            );
            return Err(IdentityError::Corrupt {
                path: journal,
                reason,
            });
        }
        Ok(Some(ident))
    }

    /// Last start's hints; anything unreadable is as good as none.
    pub(crate) fn hints(&self) -> Hints {
        match self.read::<Hints>() {
            Ok(hints) => hints.unwrap_or_default(),
            Err(error) => {
                tracing::warn!(%error, "the address hints are unreadable and start anew");
                Hints::default()
            }
        }
    }

    /// Makes the claim durable.
    pub(crate) async fn write_claim(&self, claim: &Claim) -> Result<(), IdentityError> {
        self.write(claim).await
    }

    /// Makes the promise to an existing cluster durable.
    pub(crate) async fn write_join(&self, ident: Ident) -> Result<(), IdentityError> {
        self.write(&Join(ident)).await
    }

    /// Makes the journal's folder durable.
    pub(crate) fn create_journal(&self) -> Result<(), IdentityError> {
        create_durably(&*self.env.vfs, &self.journal()).map_err(IdentityError::Io)
    }

    /// The commit point of admission; the journal is durable by then.
    pub(crate) async fn write_ident(&self, ident: &Ident) -> Result<(), IdentityError> {
        self.write(ident).await
    }

    /// Replaces the hints.
    pub(crate) async fn write_hints(&self, hints: &Hints) -> Result<(), IdentityError> {
        self.write(hints).await
    }

    fn read<T: SmallFile>(&self) -> Result<Option<T>, IdentityError> {
        let path = self.path.join(T::NAME);
        if !self.env.vfs.exists(&path)? {
            return Ok(None);
        }
        let bytes = self.env.vfs.read_small(&path, FILE_BYTES_MAX)?;
        match file::decode(&bytes) {
            Ok(value) => Ok(Some(value)),
            Err(malformed) => Err(IdentityError::Corrupt {
                path,
                reason: malformed.to_string(),
            }),
        }
    }

    /// On a thread of its own: these writes sync, and nothing may block the runtime that long.
    async fn write<T: SmallFile>(&self, value: &T) -> Result<(), IdentityError> {
        let (done, result) = tokio::sync::oneshot::channel();
        let (disk, path, bytes) = (self.env.vfs.clone(), self.path.join(T::NAME), file::encode(value));
        self.env.spawn.dedicated("identity", async move {
            // Nobody waits any more only when the node is going away.
            let _ = done.send(vfs::replace_file(&*disk, &path, &bytes).await);
        });
        let written = result
            .await
            .map_err(|_| io::Error::other("the process is ending"))?;
        Ok(written?)
    }
}

/// A folder without any of our files must be empty, but for what a start that was cut short, or a file
/// system, leaves in it.
fn refuse_foreign(vfs: &dyn vfs::Vfs, path: &Path) -> Result<(), IdentityError> {
    const FOUND_MAX: usize = 3;
    let ours = [
        NodeUuid::NAME,
        Sealed::NAME,
        Claim::NAME,
        Join::NAME,
        Ident::NAME,
        Hints::NAME,
        "journal",
        "groups",
    ];
    let names = vfs.list(path).map_err(|source| IdentityError::Unusable {
        path: path.to_owned(),
        source,
    })?;
    if names.iter().any(|name| ours.contains(&name.as_str())) {
        return Ok(());
    }
    let beginning = [NodeUuid::NAME, Sealed::NAME].map(|name| format!("{name}.new"));
    let [uuid, sealed] = &beginning;
    let harmless = ["LOCK", "lost+found", uuid, sealed];
    let foreign: Vec<String> = names
        .into_iter()
        .filter(|name| !harmless.contains(&name.as_str()))
        .collect();
    if foreign.is_empty() {
        return Ok(());
    }
    let mut found = foreign
        .iter()
        .take(FOUND_MAX)
        .cloned()
        .collect::<Vec<_>>()
        .join(", ");
    if foreign.len() > FOUND_MAX {
        found.push_str(", …");
    }
    Err(IdentityError::Foreign {
        path: path.to_owned(),
        found,
    })
}

/// Creates a folder such that its name survives a power cut: every folder that got a new name in it
/// is synced.
fn create_durably(vfs: &dyn vfs::Vfs, path: &Path) -> io::Result<()> {
    if vfs.exists(path)? {
        return Ok(());
    }
    let mut grown = Vec::new();
    for folder in path.ancestors().skip(1) {
        let folder = if folder.as_os_str().is_empty() {
            Path::new(".")
        } else {
            folder
        };
        grown.push(folder);
        if vfs.exists(folder)? {
            break;
        }
    }
    vfs.create_dir_all(path)?;
    grown.into_iter().try_for_each(|folder| vfs.sync_dir(folder))
}
