//! Amounts are moved between accounts; whoever reads all of them sees the same sum.
//!
//! A bank's accounts are in one slot. A transfer reads them and then writes two in a batch, on condition that both have
//! the versions that were read. All are read at once by a multi-get or by a scan of one page, both of which a group
//! answers from one state, at every level of freshness.

use atoll_client::{Bytes, Client, Committed, Error, ScanOptions, Value, Version};
use atoll_env::BoxFuture;
use atoll_history::{Call, Found, Level, Outcome, Seen, Step};

use super::Workload;
use super::answer::Answer;
use super::driver::Driver;
use super::keys::Keys;
use super::levels::level;
use super::single::consistency;
use super::worker::Worker;

/// Keys of events about banks begin with this.
pub(crate) const PREFIX: &str = "bank/";
/// How many accounts a bank has.
pub(crate) const ACCOUNTS: u32 = 5;
/// What they have together.
pub(crate) const TOTAL: i64 = 500;

/// See the module.
pub(super) struct Bank {
    banks: Keys,
}

impl Default for Bank {
    fn default() -> Self {
        Self {
            banks: Keys::new("bank"),
        }
    }
}

impl Workload for Bank {
    fn name(&self) -> &'static str {
        "bank"
    }

    fn about(&self) -> &'static str {
        "Transfers between accounts in guarded batches; all accounts together always have the same sum."
    }

    fn act<'a>(&'a self, _: &'a Driver, worker: &'a mut Worker) -> BoxFuture<'a, ()> {
        Box::pin(self.step(worker))
    }

    fn finish<'a>(&'a self, driver: &'a Driver) -> BoxFuture<'a, ()> {
        Box::pin(self.read_at_end(driver))
    }
}

impl Bank {
    async fn step(&self, worker: &mut Worker) {
        let bank = self.banks.pick(worker.rng());
        match worker.rng().below(10) {
            0..5 => transfer(worker, &bank).await,
            5..7 => scan(worker, &bank).await,
            _ => {
                let level = level(worker.rng());
                read(worker, &bank, level).await;
            }
        }
    }

    async fn read_at_end(&self, driver: &Driver) {
        let worker = driver.final_worker();
        for bank in self.banks.all() {
            let read = || -> BoxFuture<'_, bool> { Box::pin(is_read(&worker, &bank)) };
            driver.at_end(&bank, read).await;
        }
    }
}

async fn is_read(worker: &Worker, bank: &str) -> bool {
    read(worker, bank, Level::Linearizable).await.is_some()
}

fn accounts(bank: &str) -> Vec<String> {
    (0..ACCOUNTS)
        .map(|number| format!("{{{bank}}}/{number}"))
        .collect()
}

/// An account's bytes are its name in histories: the balance, and a number that makes it unlike all others.
fn seen(bytes: &Bytes, version: Version) -> Seen {
    Seen {
        value: String::from_utf8_lossy(bytes).into_owned(),
        version: Some(version.0),
    }
}

/// Reads all accounts at once; nothing if there is no answer.
async fn read(worker: &Worker, bank: &str, level: Level) -> Option<Vec<Option<Seen>>> {
    let steps = accounts(bank).into_iter().map(|key| Step::Read { key }).collect();
    let asked = worker
        .recorder()
        .begin(worker.process(), bank, Call::Txn { steps, level });
    let client = worker.client();
    let client = client.with_consistency(consistency(&client, level));
    let names = accounts(bank).into_iter().map(Bytes::from).collect();
    match client.multi_get(names).await {
        Ok(found) => {
            let one = |value: &Option<Value>| value.as_ref().map(|value| seen(&value.bytes, value.version));
            let found: Vec<_> = found.iter().map(one).collect();
            let outcome = Outcome::Done {
                version: None,
                found: found.iter().cloned().map(Found::Value).collect(),
            };
            worker.recorder().end(&asked, outcome.into());
            Some(found)
        }
        Err(error) => {
            let answer = Answer::of(&error, worker.recorder(), &format!("read of {bank}"));
            worker.recorder().end(&asked, answer);
            None
        }
    }
}

async fn scan(worker: &Worker, bank: &str) {
    let options = ScanOptions {
        reverse: worker.rng().below(2) == 0,
        ..ScanOptions::prefix(format!("{{{bank}}}/"))
    };
    let call = Call::Scan {
        keys: accounts(bank),
        reverse: options.reverse,
        level: Level::Linearizable,
    };
    let asked = worker.recorder().begin(worker.process(), bank, call);
    let answer = match worker.client().scan(options).collect().await {
        Ok(rows) => {
            let row = |row: &atoll_client::Row| {
                let key = String::from_utf8_lossy(&row.key).into_owned();
                (key, seen(&row.value, row.version))
            };
            Outcome::Rows(rows.iter().map(row).collect()).into()
        }
        Err(error) => Answer::of(&error, worker.recorder(), &format!("scan of {bank}")),
    };
    worker.recorder().end(&asked, answer);
}

/// Opens the bank if nobody has, else moves an amount between two of its accounts.
async fn transfer(worker: &Worker, bank: &str) {
    let Some(found) = read(worker, bank, Level::Linearizable).await else {
        return;
    };
    let existing: Option<Vec<Seen>> = found.into_iter().collect();
    let steps = match existing {
        None => opening(worker, bank),
        Some(accounts) => moving(worker, bank, &accounts),
    };
    let call = Call::Txn {
        steps: steps.clone(),
        level: Level::Linearizable,
    };
    let asked = worker.recorder().begin(worker.process(), bank, call);
    let answer = match commit(&worker.client(), &steps).await {
        Ok(Committed::Done(version)) => Outcome::Done {
            version: Some(version.0),
            found: vec![Found::Nothing; steps.len()],
        }
        .into(),
        Ok(Committed::Conflict { guard, actual }) => Outcome::Refused {
            step: guard,
            actual: actual.map_or(0, |version| version.0),
        }
        .into(),
        Err(error) => Answer::of(&error, worker.recorder(), &format!("transfer in {bank}")),
    };
    worker.recorder().end(&asked, answer);
}

fn balance(worker: &Worker, balance: i64) -> String {
    format!("{balance}/{}", worker.value())
}

fn opening(worker: &Worker, bank: &str) -> Vec<Step> {
    let step = |key| Step::Write {
        key,
        expected: Some(0),
        value: Some(balance(worker, TOTAL / i64::from(ACCOUNTS))),
    };
    accounts(bank).into_iter().map(step).collect()
}

fn moving(worker: &Worker, bank: &str, seen: &[Seen]) -> Vec<Step> {
    let count = u64::from(ACCOUNTS);
    let from = worker.rng().below(count);
    let to = (from + 1 + worker.rng().below(count - 1)) % count;
    let amount = 1 + worker.rng().below(20).cast_signed();
    let keys = accounts(bank);
    let step = |(account, change): (u64, i64)| {
        let account = account as usize;
        let before = seen.get(account)?;
        let number: i64 = before.value.split('/').next()?.parse().ok()?;
        Some(Step::Write {
            key: keys.get(account)?.clone(),
            expected: before.version,
            value: Some(balance(worker, number + change)),
        })
    };
    [(from, -amount), (to, amount)]
        .into_iter()
        .filter_map(step)
        .collect()
}

async fn commit(client: &Client, steps: &[Step]) -> Result<Committed, Error> {
    let mut batch = client.batch();
    for step in steps {
        if let Step::Write { key, expected, value } = step {
            let expected = expected.filter(|version| *version != 0).map(Version);
            let value = value.clone().unwrap_or_default();
            batch = batch
                .expect_version(key.clone(), expected)
                .put(key.clone(), value);
        }
    }
    batch.commit().await
}
