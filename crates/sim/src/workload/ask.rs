//! Operations as the client library spells them.

use std::time::Duration;

use atoll_client::{Bytes, Cas, Client, Committed, Consistency, Error, ScanOptions, Value, Version};

use atoll_history::value;

use super::recorder::Recorder;
use crate::history::{Call, Level, Outcome, Seen};

/// What came back.
pub(super) struct Answer {
    pub(super) outcome: Outcome,
    /// Of a read: how old the answer may be, as its replica says.
    pub(super) age: Option<Duration>,
}

impl From<Outcome> for Answer {
    fn from(outcome: Outcome) -> Self {
        Self { outcome, age: None }
    }
}

/// Does one operation on one key and notes it.
pub(crate) async fn ask(recorder: &Recorder, who: &str, client: &Client, key: &str, call: Call) -> Outcome {
    let asked = recorder.begin(who, key, call.clone());
    let answer = match one(client, key, &call).await {
        Ok(answer) => answer,
        Err(error) => recorder.judge(who, &error).into(),
    };
    recorder.end(asked, answer)
}

async fn one(client: &Client, key: &str, call: &Call) -> Result<Answer, Error> {
    let name = Bytes::from(key.to_owned());
    Ok(match call {
        Call::Put { value } => written(client.put(name, spelled(number(value))).await?).into(),
        Call::Delete => written(client.delete(name).await?).into(),
        Call::Cas { expected, value } => {
            let expected = Some(Version(expected.version)).filter(|version| version.0 != 0);
            let value = spelled(number(value.as_deref().unwrap_or_default()));
            match client.compare_and_set(name, expected, value).await? {
                Cas::Done(version) => written(version).into(),
                Cas::Conflict { actual } => {
                    let actual = actual.map_or(0, |version| version.0);
                    Outcome::Conflict { actual }.into()
                }
            }
        }
        Call::Get { level } => get(client, name, *level).await?,
        Call::SetAdd { element } => {
            client.append(name, format!("{element};")).await?;
            Outcome::Written { version: None }.into()
        }
        Call::SetRead { .. } => Outcome::Elements(elements(client.get(name).await?)).into(),
        Call::CounterAdd { amount } => Outcome::Added(client.increment(name, *amount).await?).into(),
        Call::Txn { .. } | Call::Scan { .. } => {
            unreachable!("pairs and scans are noted as reads and writes of single keys")
        }
        Call::CounterRead { .. } => Outcome::Counted(counted(client.get(name).await?)).into(),
    })
}

async fn get(client: &Client, key: Bytes, level: Level) -> Result<Answer, Error> {
    let consistency = match level {
        Level::Linearizable => Consistency::Linearizable,
        Level::Session => Consistency::Session(client.session_token()),
        Level::Bounded { max_age_ns } => Consistency::Bounded(Duration::from_nanos(max_age_ns)),
        Level::Eventual => Consistency::Eventual,
    };
    let found = client.with_consistency(consistency).read(key).await?;
    let age = found.proof.age;
    Ok(Answer {
        outcome: Outcome::Read(found.value.as_ref().map(seen)),
        age,
    })
}

/// The two keys of a pair: they are in one slot, and always written together with one value.
pub(super) fn pair(number: u64) -> [String; 2] {
    ["a", "b"].map(|end| format!("pair {{{number}}} {end}"))
}

/// Writes both keys of a pair, or removes both.
pub(super) async fn write_pair(
    recorder: &Recorder,
    who: &str,
    client: &Client,
    keys: &[String; 2],
    by_range: bool,
) {
    let value = recorder.value();
    let call = if by_range {
        Call::Delete
    } else {
        Call::Put {
            value: value.to_string(),
        }
    };
    let asked = keys
        .each_ref()
        .map(|key| recorder.begin(&format!("{who} {key}"), key, call.clone()));
    let [first, second] = keys.clone();
    let batch = if by_range {
        client.batch().delete_range(first, format!("{second}~"), 10)
    } else {
        client
            .batch()
            .put(first, spelled(value))
            .put(second, spelled(value))
    };
    let outcome = match batch.commit().await {
        Ok(Committed::Done(version)) => written(version),
        Ok(Committed::Conflict { .. }) => {
            recorder.wrong(format!("{who}: a conflict without a guard"));
            Outcome::Failed
        }
        Err(error) => recorder.judge(who, &error),
    };
    for asked in asked {
        recorder.end(asked, outcome.clone().into());
    }
}

/// Reads both keys of a pair at once: they are equal.
pub(super) async fn read_pair(recorder: &Recorder, who: &str, client: &Client, keys: &[String; 2]) {
    let asked = keys
        .each_ref()
        .map(|key| recorder.begin(&format!("{who} {key}"), key, Call::GET));
    let names = keys.iter().map(|key| Bytes::from(key.clone())).collect();
    match client.multi_get(names).await {
        Ok(found) => {
            let seen: Vec<_> = found.iter().map(|value| value.as_ref().map(seen)).collect();
            if seen.first() != seen.last() || seen.len() != keys.len() {
                recorder.wrong(format!("{who}: half of a batch: {keys:?} are {seen:?}"));
            }
            for (asked, seen) in asked.into_iter().zip(seen) {
                recorder.end(asked, Outcome::Read(seen).into());
            }
        }
        Err(error) => {
            let outcome = recorder.judge(who, &error);
            for asked in asked {
                recorder.end(asked, outcome.clone().into());
            }
        }
    }
}

/// Reads all keys of these names in one scan: each was as told at some time during it.
pub(super) async fn scan(
    recorder: &Recorder,
    who: &str,
    client: &Client,
    keys: &[String],
    options: ScanOptions,
) {
    let asked: Vec<_> = keys
        .iter()
        .map(|key| recorder.begin(&format!("{who} scan {key}"), key, Call::GET))
        .collect();
    let reverse = options.reverse;
    let rows = match client.scan(options).collect().await {
        Ok(rows) => rows,
        Err(error) => {
            let outcome = recorder.judge(who, &error);
            for asked in asked {
                recorder.end(asked, outcome.clone().into());
            }
            return;
        }
    };
    let in_order = |pair: &[atoll_client::Row]| match pair {
        [before, after] => (before.key < after.key) != reverse && before.key != after.key,
        _ => true,
    };
    if !rows.windows(2).all(in_order) {
        recorder.wrong(format!("{who}: a scan out of order"));
    }
    for (key, asked) in keys.iter().zip(asked) {
        let row = rows.iter().find(|row| row.key == key.as_bytes());
        let found = row.map(|row| Seen {
            value: value::read(&row.value).to_string(),
            version: Some(row.version.0),
        });
        recorder.end(asked, Outcome::Read(found).into());
    }
}

fn written(version: Version) -> Outcome {
    Outcome::Written {
        version: Some(version.0),
    }
}

fn seen(value: &Value) -> Seen {
    Seen {
        value: value::read(&value.bytes).to_string(),
        version: Some(value.version.0),
    }
}

fn spelled(value: u64) -> Bytes {
    value::spell(value).into()
}

fn number(value: &str) -> u64 {
    value.parse().expect("values of this workload are numbers")
}

fn elements(value: Option<Value>) -> Vec<String> {
    let bytes = value.map(|value| value.bytes).unwrap_or_default();
    let text = String::from_utf8_lossy(&bytes);
    text.split_terminator(';').map(str::to_owned).collect()
}

fn counted(value: Option<Value>) -> i64 {
    let Some(value) = value else { return 0 };
    let text = std::str::from_utf8(&value.bytes).ok();
    // Nobody counts that far: a number that was never written.
    text.and_then(|text| text.parse().ok()).unwrap_or(i64::MAX)
}
