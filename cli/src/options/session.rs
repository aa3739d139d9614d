//! What a sequence of commands has seen, kept in a file between them.

use std::io;
use std::path::{Path, PathBuf};

use atoll_client::{Client, SessionToken};
use atoll_env::Env;
use atoll_env::vfs::replace_file;
use clap::Args;

use crate::context::Context;
use crate::encoding::{base64_decode, base64_encode};
use crate::failure::{Failure, Result};

/// A file with a token is never longer.
const BYTES_MAX: u64 = 1024 * 1024;

/// A file that holds what the commands that name it have seen.
#[derive(Clone, Debug, Args)]
pub(crate) struct Session {
    /// A file that keeps what was seen: reads with it see all writes and reads that named it before, on
    /// any replica. Made if it does not exist.
    #[arg(long, value_name = "FILE", env = "ATOLL_SESSION", hide_env_values = true)]
    session: Option<PathBuf>,
}

impl Session {
    /// True if a file is named.
    pub(crate) fn is_named(&self) -> bool {
        self.session.is_some()
    }

    /// What the file has seen; nothing without a file.
    pub(crate) fn load(&self, env: &Env) -> Result<SessionToken> {
        match &self.session {
            Some(path) => load(env, path),
            None => Ok(SessionToken::default()),
        }
    }

    /// Adds what the client has seen. The file is read again before, so that little is lost if several
    /// commands share it at the same time.
    pub(crate) async fn save(&self, client: &Client, context: &Context) -> Result {
        let Some(path) = &self.session else {
            return Ok(());
        };
        let mut token = load(&context.env, path)?;
        token.merge(&client.session_token());
        let here = Path::new(".").join(path);
        let text = format!("{}\n", base64_encode(&token.encode()));
        replace_file(context.env.vfs.as_ref(), &here, text.as_bytes())
            .await
            .map_err(|error| {
                Failure::usage(format!("cannot write the session {}: {error}", path.display()))
                    .next("what was asked is done; only the session does not know of it")
            })
    }
}

fn load(env: &Env, path: &Path) -> Result<SessionToken> {
    let bytes = match env.vfs.read_small(path, BYTES_MAX) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(SessionToken::default()),
        Err(error) => {
            return Err(Failure::usage(format!(
                "cannot read the session {}: {error}",
                path.display()
            )));
        }
    };
    let token = str::from_utf8(&bytes)
        .ok()
        .and_then(|text| base64_decode(text.trim()));
    token
        .and_then(|token| SessionToken::decode(&token).ok())
        .ok_or_else(|| {
            Failure::usage(format!("{} holds no session", path.display()))
                .next("name a file that --session wrote, or one that does not exist yet")
        })
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    #[test]
    fn a_file_that_is_no_session_is_not_taken_for_one() {
        let env = Env::real();
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(b"my diary").unwrap();
        assert!(load(&env, file.path()).unwrap_err().what.contains("no session"));
        assert_eq!(
            load(&env, Path::new("/nowhere/at/all")).unwrap(),
            SessionToken::default()
        );
    }
}
