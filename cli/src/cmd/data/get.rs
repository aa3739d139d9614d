//! `atoll get`

use atoll_client::{Client, Proof, Read, Value};
use bytes::Bytes;
use clap::Args;
use futures_util::future::try_join_all;
use serde_json::{Value as Json, json};

use crate::context::Context;
use crate::failure::{Exit, Failure, Result};
use crate::options::{Connect, Reading, Shape};
use crate::output::{Cell, Format, JsonRow, Output, Table};
use crate::screen::{Screen, Tint};
use crate::units::span;

const EXAMPLES: &str = "\
Examples:
  atoll get greeting
  atoll get greeting --output json          with the version; base64 where it is not text
  atoll get photo --output raw > photo.jpg
  atoll get a b c                           several keys; together they are no snapshot
  atoll get greeting --max-age 500ms        from the nearest replica that is current enough
  atoll get greeting --session s            sees every write that named the same session file
  atoll get greeting --consistency eventual --proof

Exits with 1 if a key is absent.";

/// Read keys; sees every write that returned before, unless told otherwise.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Get {
    /// The keys.
    #[arg(required = true, value_name = "KEY")]
    keys: Vec<String>,

    /// Show which replica answered, from what state.
    #[arg(long)]
    proof: bool,

    #[command(flatten)]
    shape: Shape,

    #[command(flatten)]
    reading: Reading,

    #[command(flatten)]
    connect: Connect,
}

/// A key and what was found.
struct Found {
    key: Bytes,
    value: Option<Value>,
    proof: Option<Proof>,
}

impl Get {
    /// Reads and prints.
    pub(crate) async fn run(self, context: &Context) -> Result {
        let keys: Result<Vec<_>> = self.keys.iter().map(|key| self.shape.key(key)).collect();
        let client = self.reading.client(&self.connect, context).await?;
        let found = self.read(&client, keys?).await?;
        self.reading.done(&client, context).await?;
        let mut output = Output::stdout();
        match self.shape.output {
            Format::Json => found.iter().try_for_each(|found| output.json(&to_json(found)))?,
            Format::Raw => {
                self.print_raw(&found, &mut output)?;
                // A prompt does not follow in the same line.
                if context.is_lasting() && context.screen.width.is_some() && self.keys.len() == 1 {
                    output.line("")?;
                }
            }
            Format::Table => {
                for line in self.lines(&found, context.screen) {
                    output.line(&line)?;
                }
            }
        }
        output.finish()?;
        self.absent(&found)
    }

    async fn read(&self, client: &Client, keys: Vec<Bytes>) -> Result<Vec<Found>> {
        if self.proof || keys.len() == 1 {
            let reads = keys.iter().map(|key| client.read(key.clone()));
            let reads = try_join_all(reads).await?;
            let found = keys.into_iter().zip(reads);
            return Ok(found
                .map(|(key, Read { value, proof })| Found {
                    key,
                    value,
                    proof: self.proof.then_some(proof),
                })
                .collect());
        }
        let values = client.multi_get(keys.clone()).await?;
        let found = keys.into_iter().zip(values);
        Ok(found
            .map(|(key, value)| Found {
                key,
                value,
                proof: None,
            })
            .collect())
    }

    /// The value alone; with its key where there are several.
    fn print_raw(&self, found: &[Found], output: &mut Output) -> Result {
        for Found { key, value, .. } in found {
            match value {
                Some(value) if self.keys.len() == 1 => output.raw(&value.bytes)?,
                Some(value) => output.row(Format::Raw, key, Some(&value.bytes), value.version)?,
                None => {}
            }
        }
        Ok(())
    }

    fn lines(&self, found: &[Found], screen: Screen) -> Vec<String> {
        let encoding = self.shape.encoding;
        if let [found] = found {
            let value = found.value.as_ref().map(|value| encoding.text(&value.bytes));
            let proof = found.proof.map(|proof| screen.tint(Tint::Dim, &in_words(&proof)));
            return value.into_iter().chain(proof).collect();
        }
        let mut table = Table::new(&["KEY", "VALUE", "PROOF"])
            .giving_way(&["VALUE", "PROOF"])
            .without_head();
        for found in found {
            let value = found.value.as_ref().map_or_else(
                || Cell::tinted(Tint::Dim, "(absent)"),
                |value| encoding.line(&value.bytes).into(),
            );
            let proof = found.proof.map(|proof| Cell::tinted(Tint::Dim, in_words(&proof)));
            let cells = [encoding.line(&found.key).into(), value];
            table.row(cells.into_iter().chain(proof));
        }
        table.fitted(screen)
    }

    fn absent(&self, found: &[Found]) -> Result {
        let absent: Vec<_> = found
            .iter()
            .filter(|found| found.value.is_none())
            .map(|found| format!("'{}'", self.shape.encoding.line(&found.key)))
            .collect();
        match &absent[..] {
            [] => Ok(()),
            [key] => Err(Failure::new(Exit::Negative, format!("the key {key} is absent"))),
            keys => {
                let what = format!("{} keys are absent: {}", keys.len(), keys.join(", "));
                Err(Failure::new(Exit::Negative, what))
            }
        }
    }
}

fn to_json(found: &Found) -> Json {
    let value = found.value.as_ref();
    let version = value.map_or(0, |value| value.version.0);
    let row = JsonRow::new(&found.key, value.map(|value| &value.bytes[..]), version);
    let mut json = serde_json::to_value(row).unwrap_or_default();
    if let Json::Object(fields) = &mut json {
        if value.is_none() {
            fields.remove("version");
            fields.insert("absent".to_owned(), json!(true));
        }
        if let Some(proof) = &found.proof {
            fields.insert("proof".to_owned(), proof_json(proof));
        }
    }
    json
}

fn proof_json(proof: &Proof) -> Json {
    json!({
        "group": proof.group.to_string(),
        "generation": proof.generation,
        "replica": proof.replica.to_string(),
        "applied_index": proof.applied_index.to_string(),
        "slot_epoch": proof.slot_epoch.to_string(),
        "age_ms": proof.age.map(|age| age.as_millis().to_string()),
        "version": proof.version.to_string(),
    })
}

fn in_words(proof: &Proof) -> String {
    let age = match proof.age {
        None => "age not known".to_owned(),
        Some(age) if age.is_zero() => "current".to_owned(),
        Some(age) => format!("at most {} old", span(age)),
    };
    format!(
        "group {}, replica {}, applied index {}, {age}",
        proof.group, proof.replica, proof.applied_index
    )
}
