//! Lists that batches append to and that are read together.
//!
//! The keys of a group of lists are in one slot. A batch appends to several of them at one moment, a multi-get reads
//! several at one moment. Prepared for transactions over slots, which will do both in one.

use atoll_client::{Bytes, Committed, Error};
use atoll_env::BoxFuture;
use atoll_history::{Call, Found, Level, Outcome, Step};

use super::Workload;
use super::answer::Answer;
use super::driver::Driver;
use super::keys::Keys;
use super::single::elements;
use super::worker::Worker;

/// Lists that belong together.
const LISTS: u64 = 4;

/// See the module.
pub(super) struct Append {
    groups: Keys,
}

impl Default for Append {
    fn default() -> Self {
        Self {
            groups: Keys::new("append"),
        }
    }
}

impl Workload for Append {
    fn name(&self) -> &'static str {
        "append"
    }

    fn about(&self) -> &'static str {
        "Batches append to several lists, reads look at several; one order must explain all that was seen."
    }

    fn act<'a>(&'a self, _: &'a Driver, worker: &'a mut Worker) -> BoxFuture<'a, ()> {
        Box::pin(self.step(worker))
    }

    fn finish<'a>(&'a self, driver: &'a Driver) -> BoxFuture<'a, ()> {
        Box::pin(self.read_at_end(driver))
    }
}

impl Append {
    async fn step(&self, worker: &mut Worker) {
        let group = self.groups.pick(worker.rng());
        let lists = lists(worker, &group);
        let append = |key| Step::Append {
            key,
            element: worker.value(),
        };
        let steps: Vec<Step> = if worker.rng().below(2) == 0 {
            lists.into_iter().map(append).collect()
        } else {
            lists.into_iter().map(|key| Step::List { key }).collect()
        };
        ask(worker, &group, steps).await;
    }

    async fn read_at_end(&self, driver: &Driver) {
        let worker = driver.final_worker();
        for group in self.groups.all() {
            let read = || -> BoxFuture<'_, bool> { Box::pin(is_read(&worker, &group)) };
            driver.at_end(&group, read).await;
        }
    }
}

async fn is_read(worker: &Worker, group: &str) -> bool {
    let steps = all_lists(group).into_iter().map(|key| Step::List { key });
    matches!(ask(worker, group, steps.collect()).await, Outcome::Done { .. })
}

fn all_lists(group: &str) -> Vec<String> {
    (0..LISTS).map(|number| format!("{{{group}}}/{number}")).collect()
}

/// One to three different lists.
fn lists(worker: &Worker, group: &str) -> Vec<String> {
    let first = worker.rng().below(LISTS) as usize;
    let count = 1 + worker.rng().below(3) as usize;
    let all = all_lists(group);
    all.iter().cycle().skip(first).take(count).cloned().collect()
}

async fn ask(worker: &Worker, group: &str, steps: Vec<Step>) -> Outcome {
    let call = Call::Txn {
        steps: steps.clone(),
        level: Level::Linearizable,
    };
    let asked = worker.recorder().begin(worker.process(), group, call);
    let answer = match act(worker, &steps).await {
        Ok(outcome) => outcome.into(),
        Err(error) => Answer::of(&error, worker.recorder(), &format!("lists of {group}")),
    };
    worker.recorder().end(&asked, answer)
}

async fn act(worker: &Worker, steps: &[Step]) -> Result<Outcome, Error> {
    let client = worker.client();
    if !steps.iter().any(Step::is_write) {
        return read(&client, steps).await;
    }
    let mut batch = client.batch();
    for step in steps {
        if let Step::Append { key, element } = step {
            batch = batch.append(key.clone(), format!("{element};"));
        }
    }
    Ok(match batch.commit().await? {
        Committed::Done(version) => Outcome::Done {
            version: Some(version.0),
            found: vec![Found::Nothing; steps.len()],
        },
        Committed::Conflict { .. } => {
            worker
                .recorder()
                .wrong("a conflict in a batch without conditions".to_owned());
            Outcome::Failed
        }
    })
}

async fn read(client: &atoll_client::Client, steps: &[Step]) -> Result<Outcome, Error> {
    let keys = steps
        .iter()
        .map(|step| Bytes::from(step.key().to_owned()))
        .collect();
    let found = client.multi_get(keys).await?;
    Ok(Outcome::Done {
        version: None,
        found: found
            .iter()
            .map(|value| Found::Elements(elements(value.as_ref())))
            .collect(),
    })
}
