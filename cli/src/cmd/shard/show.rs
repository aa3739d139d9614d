//! `atoll shard show`

use atoll_placement::{hash_part, slot_of};
use atoll_proto::v1::GroupInfo;
use bytes::Bytes;
use clap::Args;
use serde_json::{Value, json};

use super::picture::{Picture, in_words, slots};
use crate::context::Context;
use crate::encoding::Encoding;
use crate::failure::{Exit, Failure, Result};
use crate::options::{Connect, Shape};
use crate::output::{Cell, Format, Output, Table};
use crate::screen::{Screen, Tint};
use crate::units::count;

const EXAMPLES: &str = "\
Examples:
  atoll shard show user/7                   where a key lives
  atoll shard show 'cart:{7}:items'         only what stands in {} counts
  atoll shard show --slot 42
  atoll shard show --group 3";

/// Show where a key or a slot lives, or one group: leader, replicas, addresses, zones.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES, arg_required_else_help = true)]
#[group(id = "which", required = true, multiple = false, args = ["key", "slot", "group"])]
pub(super) struct Show {
    /// The key; it need not exist.
    key: Option<String>,

    /// A slot, 0 to 16383.
    #[arg(long, value_parser = clap::value_parser!(u32).range(0..16_384))]
    slot: Option<u32>,

    /// A group.
    #[arg(long)]
    group: Option<u64>,

    #[command(flatten)]
    shape: Shape,

    #[command(flatten)]
    connect: Connect,
}

/// What was asked for, beside the group.
struct Asked {
    key: Option<Bytes>,
    slot: Option<u32>,
}

impl Show {
    pub(super) async fn run(self, context: &Context) -> Result {
        let key = self.key.as_deref().map(|key| self.shape.key(key)).transpose()?;
        let slot = key.as_ref().map(|key| u32::from(slot_of(key).0)).or(self.slot);
        let picture = Picture::take(&context.env, &self.connect.endpoints).await?;
        let group = match slot {
            Some(slot) => picture.owner(slot).ok_or_else(|| {
                Failure::new(Exit::Unavailable, format!("slot {slot} belongs to no group yet"))
                    .next("see `atoll status`; a new cluster needs a few seconds")
            })?,
            None => self.named(&picture)?,
        };
        let asked = Asked { key, slot };
        let mut output = Output::stdout();
        match self.shape.output {
            Format::Json => output.json(&to_json(&picture, group, &asked))?,
            // The number alone, for scripts.
            Format::Raw => output.line(&group.group.to_string())?,
            Format::Table => {
                for line in to_lines(&picture, group, &asked, self.shape.encoding, context.screen) {
                    output.line(&line)?;
                }
            }
        }
        output.finish()
    }

    fn named<'a>(&self, picture: &'a Picture) -> Result<&'a GroupInfo> {
        let group = self.group.unwrap_or_default();
        picture.group(group).ok_or_else(|| {
            Failure::new(Exit::Negative, format!("there is no group {group}"))
                .next("`atoll shard ls` lists all groups")
        })
    }
}

/// The part of a key that decides, if it is not the whole.
fn tag(key: &[u8]) -> Option<&[u8]> {
    Some(hash_part(key)).filter(|part| part.len() < key.len())
}

fn to_json(picture: &Picture, group: &GroupInfo, asked: &Asked) -> Value {
    let mut json = picture.json(group);
    if let Value::Object(fields) = &mut json {
        if let Some(key) = &asked.key {
            let tag = tag(key).map(|tag| Encoding::Utf8.line(tag));
            fields.insert("key".to_owned(), json!(Encoding::Utf8.line(key)));
            fields.insert("tag".to_owned(), json!(tag));
        }
        if let Some(slot) = asked.slot {
            fields.insert("slot".to_owned(), json!(slot));
        }
    }
    json
}

fn to_lines(
    picture: &Picture,
    group: &GroupInfo,
    asked: &Asked,
    encoding: Encoding,
    screen: Screen,
) -> Vec<String> {
    let runs = picture.runs(group.group);
    let view = picture.view(group.group);
    let mut facts = Table::new(&["FACT", "VALUE"])
        .giving_way(&["VALUE"])
        .without_head();
    if let Some(key) = &asked.key {
        facts.row(["key".to_owned(), encoding.line(key)]);
        let tag = tag(key).map_or("none, the whole key is hashed".to_owned(), |tag| {
            encoding.line(tag)
        });
        facts.row(["hash tag".to_owned(), tag]);
    }
    if let Some(slot) = asked.slot {
        facts.row(["slot".to_owned(), slot.to_string()]);
    }
    facts.row(["group".to_owned(), group.group.to_string()]);
    facts.row(["keys".to_owned(), count(view.keys)]);
    let held = format!("{}: {}", count(u64::from(slots(&runs))), in_words(&runs));
    facts.row(["slots".to_owned(), held]);
    let mut lines = facts.fitted(screen);
    lines.push(String::new());
    lines.extend(replicas(picture, group).fitted(screen));
    lines
}

fn replicas(picture: &Picture, group: &GroupInfo) -> Table {
    let mut table = Table::new(&["REPLICA", "NODE", "ADDRESS", "ZONE", "ROLE", "APPLIED", "AGE"])
        .giving_way(&["AGE", "APPLIED", "ZONE", "ADDRESS"]);
    let leader = picture.leader(group);
    let view = picture.view(group.group);
    for replica in &group.replicas {
        let node = picture.node(replica.node);
        let applied = view.applied.get(&replica.node);
        let role = match applied {
            None => Cell::tinted(Tint::Bad, "no answer"),
            Some(_) if replica.node == leader => Cell::tinted(Tint::Good, "leader"),
            Some(_) => "follower".into(),
        };
        let zone = node.map(|node| node.zone.clone()).filter(|zone| !zone.is_empty());
        let dash = || "-".to_owned();
        table.row([
            Cell::from(replica.replica.to_string()),
            replica.node.to_string().into(),
            node.map_or_else(dash, |node| node.address.clone()).into(),
            zone.unwrap_or_else(dash).into(),
            role,
            applied.map_or_else(dash, ToString::to_string).into(),
            view.ages
                .get(&replica.node)
                .map_or_else(dash, |age| format!("{age} ms"))
                .into(),
        ]);
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tag_is_told_only_where_one_is_used() {
        assert_eq!(tag(b"cart:{7}:items"), Some(&b"7"[..]));
        assert_eq!(tag(b"plain"), None);
        assert_eq!(tag(b"{}x"), None);
    }
}
