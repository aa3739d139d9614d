//! How far a pass over records came, in a file that another process can go on from.

use std::io;
use std::path::Path;

use atoll_env::Env;
use atoll_env::vfs::replace_file;
use bytes::Bytes;
use serde_json::{Value, json};

use super::totals::Totals;
use crate::encoding::{base64_decode, base64_encode};
use crate::failure::{Failure, Result};

/// A checkpoint is never longer.
const BYTES_MAX: u64 = 64 * 1024;

/// How far a pass came. Written only while nothing is in flight, so what it counts is done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Checkpoint {
    /// The pass: what is read, how, and to where. Another pass must not go on from here.
    pub(crate) pass: String,
    /// What is done.
    pub(crate) totals: Totals,
    /// Where to go on.
    pub(crate) place: Place,
    /// There is nothing left to do.
    pub(crate) complete: bool,
}

/// Where to go on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// Of an import: behind this many records, good or bad.
    Items(u64),
    /// Of an export: behind this key, and behind this many bytes of the file.
    Key(Bytes, u64),
}

impl Checkpoint {
    /// Reads a checkpoint; `None` if there is no such file yet.
    pub(crate) fn load(env: &Env, path: &Path, pass: &str) -> Result<Option<Self>> {
        let bytes = match env.vfs.read_small(path, BYTES_MAX) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => {
                return Err(Failure::usage(format!("cannot read {}: {error}", path.display())));
            }
        };
        let found = Self::parse(&bytes).ok_or_else(|| {
            Failure::usage(format!("{} is no checkpoint", path.display()))
                .next("name a file that an earlier run wrote, or one that does not exist yet")
        })?;
        if found.pass != pass {
            let what = format!("{} belongs to another pass: {}", path.display(), found.pass);
            return Err(Failure::usage(what).next(format!(
                "this one is: {pass}; repeat that one, or name another file"
            )));
        }
        Ok(Some(found))
    }

    /// Replaces the file, whole or not at all.
    pub(crate) async fn save(&self, env: &Env, path: &Path) -> Result {
        // A bare name has an empty parent, which is not the name of a folder.
        let here = Path::new(".").join(path);
        let path = if path.is_absolute() { path } else { &here };
        replace_file(env.vfs.as_ref(), path, self.text().as_bytes())
            .await
            .map_err(|error| {
                Failure::usage(format!("cannot write the checkpoint {}: {error}", path.display()))
            })
    }

    fn text(&self) -> String {
        let mut fields = self.totals.json();
        fields.insert("atoll_checkpoint".to_owned(), json!(1));
        fields.insert("pass".to_owned(), json!(self.pass));
        fields.insert("complete".to_owned(), json!(self.complete));
        let place = match &self.place {
            Place::Items(items) => json!({ "items": items.to_string() }),
            Place::Key(key, bytes) => {
                json!({ "after_key_base64": base64_encode(key), "file_bytes": bytes.to_string() })
            }
        };
        fields.insert("place".to_owned(), place);
        format!("{}\n", Value::Object(fields))
    }

    fn parse(bytes: &[u8]) -> Option<Self> {
        let value: Value = serde_json::from_slice(bytes).ok()?;
        if value.get("atoll_checkpoint")? != &json!(1) {
            return None;
        }
        let number = |value: &Value, name: &str| value.get(name)?.as_str()?.parse::<u64>().ok();
        let totals = Totals {
            records: number(&value, "records")?,
            bytes: number(&value, "bytes")?,
            skipped: number(&value, "skipped")?,
            checksum: u64::from_str_radix(value.get("checksum")?.as_str()?, 16).ok()?,
        };
        let place = value.get("place")?;
        let place = match place.get("after_key_base64") {
            Some(key) => {
                let key = Bytes::from(base64_decode(key.as_str()?)?);
                Place::Key(key, number(place, "file_bytes")?)
            }
            None => Place::Items(number(place, "items")?),
        };
        Some(Self {
            pass: value.get("pass")?.as_str()?.to_owned(),
            totals,
            place,
            complete: value.get("complete")?.as_bool()?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_checkpoint_is_read_as_written_and_only_by_its_own_pass() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("checkpoint");
        let env = Env::real();
        assert_eq!(Checkpoint::load(&env, &path, "p").unwrap(), None);
        for place in [Place::Items(u64::MAX), Place::Key("k\u{0}".into(), 9)] {
            let checkpoint = Checkpoint {
                pass: "p".to_owned(),
                totals: Totals {
                    records: 1,
                    bytes: 2,
                    checksum: u64::MAX,
                    skipped: 3,
                },
                place,
                complete: false,
            };
            checkpoint.save(&env, &path).await.unwrap();
            assert_eq!(Checkpoint::load(&env, &path, "p").unwrap(), Some(checkpoint));
        }
        let other = Checkpoint::load(&env, &path, "q").unwrap_err();
        assert!(other.what.contains("another pass"));
    }

    #[test]
    fn what_is_no_checkpoint_is_not_taken_for_one() {
        for text in [
            "",
            "{}",
            "[]",
            r#"{"atoll_checkpoint":1}"#,
            r#"{"atoll_checkpoint":2}"#,
        ] {
            assert_eq!(Checkpoint::parse(text.as_bytes()), None, "{text}");
        }
    }
}
