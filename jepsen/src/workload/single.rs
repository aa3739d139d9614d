//! Operations on single keys, as the client library spells them.

use std::time::Duration;

use atoll_client::{Bytes, Cas, Client, Consistency, Error, Value, Version};
use atoll_history::{Call, Level, Outcome, value};

use super::answer::{Answer, origin, seen, written};
use super::recorder::Recorder;

/// Does one operation on one key and notes it.
pub(super) async fn ask(
    recorder: &Recorder,
    process: u32,
    client: &Client,
    key: &str,
    call: Call,
) -> Outcome {
    let asked = recorder.begin(process, key, call.clone());
    let answer = match one(client, key, &call).await {
        Ok(answer) => answer,
        Err(error) => Answer::of(&error, recorder, &format!("process {process}, {key}: {call:?}")),
    };
    recorder.end(&asked, answer)
}

async fn one(client: &Client, key: &str, call: &Call) -> Result<Answer, Error> {
    let name = Bytes::from(key.to_owned());
    Ok(match call {
        Call::Put { value } => written(client.put(name, spelled(value)).await?).into(),
        Call::Delete => written(client.delete(name).await?).into(),
        Call::Cas { expected, value } => {
            let expected = Some(Version(expected.version)).filter(|version| version.0 != 0);
            let value = spelled(value.as_deref().unwrap_or_default());
            match client.compare_and_set(name, expected, value).await? {
                Cas::Done(version) => written(version).into(),
                Cas::Conflict { actual } => {
                    let actual = actual.map_or(0, |version| version.0);
                    Outcome::Conflict { actual }.into()
                }
            }
        }
        Call::Get { level } => read(client, name, *level, |found| Outcome::Read(found.map(seen))).await?,
        Call::SetRead { level } => {
            read(client, name, *level, |found| Outcome::Elements(elements(found))).await?
        }
        Call::CounterRead { level } => {
            read(client, name, *level, |found| Outcome::Counted(counted(found))).await?
        }
        Call::SetAdd { element } => {
            client.append(name, format!("{element};")).await?;
            Outcome::Written { version: None }.into()
        }
        Call::CounterAdd { amount } => {
            let sum = client.increment(name, *amount).await?;
            Outcome::Added(sum).into()
        }
        Call::Txn { .. } | Call::Scan { .. } => unreachable!("not about a single key"),
    })
}

async fn read(
    client: &Client,
    key: Bytes,
    level: Level,
    outcome: fn(Option<&Value>) -> Outcome,
) -> Result<Answer, Error> {
    let client = client.with_consistency(consistency(client, level));
    let found = client.read(key).await?;
    Ok(Answer {
        outcome: outcome(found.value.as_ref()),
        origin: origin(&found.proof),
        error: None,
    })
}

/// A session is all that this client has written and read.
pub(super) fn consistency(client: &Client, level: Level) -> Consistency {
    match level {
        Level::Linearizable => Consistency::Linearizable,
        Level::Session => Consistency::Session(client.session_token()),
        Level::Bounded { max_age_ns } => Consistency::Bounded(Duration::from_nanos(max_age_ns)),
        Level::Eventual => Consistency::Eventual,
    }
}

/// The bytes of a value, whose name is a number.
pub(super) fn spelled(name: &str) -> Bytes {
    let number = name.parse().expect("values of the workloads are numbers");
    value::spell(number).into()
}

pub(super) fn elements(found: Option<&Value>) -> Vec<String> {
    let bytes = found.map(|value| value.bytes.clone()).unwrap_or_default();
    let text = String::from_utf8_lossy(&bytes);
    text.split_terminator(';').map(str::to_owned).collect()
}

fn counted(found: Option<&Value>) -> i64 {
    let Some(found) = found else { return 0 };
    let text = std::str::from_utf8(&found.bytes).ok();
    // Nobody counts that far: a number that was never written.
    text.and_then(|text| text.parse().ok()).unwrap_or(i64::MAX)
}
