//! Where the keys of files at rest come from: a file, or a command that is run once.

use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use atoll_env::Env;
use atoll_server::{KEY_TEXT_BYTES_MAX, KeyRing};
use clap::Args;
use tokio::io::AsyncReadExt;
use tokio::process::Command;

use crate::failure::{Failure, Result};

/// A command that talks to a key store over a network is done by then.
const COMMAND_MAX: Duration = Duration::from_secs(30);
/// Mode bits with which everybody can read or change a file.
const OTHERS: u32 = 0o006;

/// Keys of a directory that a command looks into.
#[derive(Clone, Debug, Default, Args)]
pub(crate) struct KeyFlags {
    /// The file with the keys of an encrypted directory.
    #[arg(
        long,
        value_name = "FILE",
        env = "ATOLL_ENCRYPTION_KEY_FILE",
        hide_env_values = true
    )]
    encryption_key_file: Option<PathBuf>,

    /// The command that prints the keys of an encrypted directory.
    #[arg(
        long,
        value_name = "COMMAND",
        env = "ATOLL_ENCRYPTION_KEY_COMMAND",
        hide_env_values = true,
        conflicts_with = "encryption_key_file"
    )]
    encryption_key_command: Option<String>,
}

impl KeyFlags {
    /// The keys, if there are to be any.
    pub(crate) async fn load(&self, env: &Env) -> Result<Option<KeyRing>> {
        load(
            env,
            self.encryption_key_file.as_deref(),
            self.encryption_key_command.as_deref(),
        )
        .await
    }
}

/// Reads the keys from a file, or else from what a command prints. No error tells any part of them.
pub(crate) async fn load(env: &Env, file: Option<&Path>, command: Option<&str>) -> Result<Option<KeyRing>> {
    let (from, text) = match (file, command) {
        (None, None) => return Ok(None),
        (Some(_), Some(_)) => {
            return Err(Failure::usage(
                "keys come from one place: give encryption-key-file or encryption-key-command, not both",
            ));
        }
        (Some(path), None) => (format!("the key file {}", path.display()), read(env, path)?),
        (None, Some(command)) => ("the key command".to_owned(), ask(env, command).await?),
    };
    let keys = KeyRing::parse(&text);
    keys.map(Some)
        .map_err(|error| Failure::usage(format!("{from}: {error}")))
}

fn read(env: &Env, path: &Path) -> Result<Vec<u8>> {
    let failed = |what: String| Failure::usage(format!("the key file {}: {what}", path.display()));
    let mode = std::fs::metadata(path)
        .map_err(|error| failed(error.to_string()))?
        .mode();
    if mode & OTHERS != 0 {
        let what = format!(
            "its mode is {:03o}, so everybody on this machine can read or change it",
            mode & 0o777
        );
        return Err(failed(what).next(format!("chmod 600 {}", path.display())));
    }
    // One byte more shows that it is too long.
    let text = env.vfs.read_small(path, KEY_TEXT_BYTES_MAX as u64 + 1);
    text.map_err(|error| failed(error.to_string()))
}

/// Runs a command in a shell. What it says of its errors goes where ours go.
async fn ask(env: &Env, command: &str) -> Result<Vec<u8>> {
    let failed = |what: String| Failure::usage(format!("the key command {what}"));
    let mut child = Command::new("/bin/sh")
        .arg("-c")
        .arg(command)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .map_err(|error| failed(format!("cannot be run: {error}")))?;
    let output = child.stdout.take();
    let answer = async {
        let mut text = Vec::new();
        if let Some(output) = output {
            output
                .take(KEY_TEXT_BYTES_MAX as u64 + 1)
                .read_to_end(&mut text)
                .await?;
        }
        Ok::<_, std::io::Error>((text, child.wait().await?))
    };
    let answer = env.clock.timeout(COMMAND_MAX, answer).await;
    let answer = answer.map_err(|_| failed(format!("took longer than {} s", COMMAND_MAX.as_secs())))?;
    match answer.map_err(|error| failed(format!("cannot be read: {error}")))? {
        (text, status) if status.success() => Ok(text),
        (_, status) => Err(failed(format!("failed: {status}"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    const KEY: &str = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f";

    async fn from_command(command: &str) -> Result<Option<KeyRing>> {
        load(&Env::real(), None, Some(command)).await
    }

    #[tokio::test]
    #[expect(clippy::disallowed_methods, reason = "an operator's file")]
    async fn keys_come_from_a_file_that_not_everybody_can_read() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("keys");
        let write = |bytes: &[u8], mode| {
            std::fs::write(&path, bytes).unwrap();
            std::fs::set_permissions(&path, PermissionsExt::from_mode(mode)).unwrap();
        };
        let (env, none) = (Env::real(), load(&Env::real(), None, None).await);
        assert!(none.unwrap().is_none());
        let file = async || load(&env, Some(&path), None).await;
        assert!(file().await.unwrap_err().what.contains("keys"), "it is not there");
        for mode in [0o600, 0o400, 0o640] {
            write(format!("{KEY}\n").as_bytes(), mode);
            assert_eq!(file().await.unwrap().unwrap().to_string(), "630dcd2966c43366");
        }
        for mode in [0o644, 0o602, 0o606] {
            write(KEY.as_bytes(), mode);
            let failure = file().await.unwrap_err();
            assert!(failure.what.contains("everybody") && failure.next.contains("chmod 600"));
            std::fs::set_permissions(&path, PermissionsExt::from_mode(0o600)).unwrap();
        }
        let both = load(&env, Some(&path), Some("true")).await;
        assert!(both.unwrap_err().what.contains("not both"));
        write(&vec![b'0'; KEY_TEXT_BYTES_MAX + 9], 0o600);
        assert!(file().await.is_err());
        write(&KEY.as_bytes()[1..], 0o600);
        let failure = file().await.unwrap_err();
        assert!(
            failure.what.contains("line 1") && !failure.what.contains(&KEY[3..9]),
            "{failure:?}"
        );
    }

    #[tokio::test]
    async fn keys_come_from_a_command_and_its_failures_are_told() {
        let keys = from_command(&format!("echo {KEY}")).await.unwrap();
        assert_eq!(keys.unwrap().to_string(), "630dcd2966c43366");
        let failed = async |command| from_command(command).await.unwrap_err().what;
        assert!(failed("exit 3").await.contains("failed"));
        assert!(failed("true").await.contains("no key in it"));
        assert!(failed("echo secret; exit 0").await.contains("line 1"));
        assert!(!failed("echo secret; exit 0").await.contains("secret"));
        assert!(
            failed("yes").await.contains("the key command"),
            "it is not read to its end"
        );
    }
}
