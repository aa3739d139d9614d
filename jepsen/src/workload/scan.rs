//! Scans over keys that are being written: each row as it was at some time during the scan.

use atoll_client::ScanOptions;
use atoll_env::BoxFuture;
use atoll_history::{Call, Level, Outcome, Seen, value};

use super::Workload;
use super::answer::Answer;
use super::driver::Driver;
use super::keys::Keys;
use super::worker::Worker;

/// How many keys a range has. They are in as many slots, and so in different groups.
const WIDTH: u64 = 12;

/// See the module.
pub(super) struct Scan {
    ranges: Keys,
}

impl Default for Scan {
    fn default() -> Self {
        Self {
            ranges: Keys::new("scan"),
        }
    }
}

impl Workload for Scan {
    fn name(&self) -> &'static str {
        "scan"
    }

    fn about(&self) -> &'static str {
        "Scans between writes; rows in order, none twice, each as it was at some time during the scan."
    }

    fn act<'a>(&'a self, _: &'a Driver, worker: &'a mut Worker) -> BoxFuture<'a, ()> {
        Box::pin(self.step(worker))
    }

    fn finish<'a>(&'a self, driver: &'a Driver) -> BoxFuture<'a, ()> {
        let ranges = self.ranges.all();
        let keys = ranges
            .iter()
            .flat_map(|range| (0..WIDTH).map(|number| key(range, number)));
        let keys = keys.collect();
        Box::pin(driver.read_at_end(keys, &Call::GET))
    }
}

impl Scan {
    async fn step(&self, worker: &mut Worker) {
        let range = self.ranges.pick(worker.rng());
        if worker.rng().below(4) == 0 {
            scan(worker, &range).await;
            return;
        }
        let key = key(&range, worker.rng().below(WIDTH));
        worker.use_register(&key).await;
    }
}

fn key(range: &str, number: u64) -> String {
    format!("{range}/{number:02}")
}

async fn scan(worker: &Worker, range: &str) {
    let options = ScanOptions {
        reverse: worker.rng().below(2) == 0,
        page_rows: 1 + worker.rng().below(WIDTH) as u32,
        ..ScanOptions::prefix(format!("{range}/"))
    };
    let call = Call::Scan {
        keys: (0..WIDTH).map(|number| key(range, number)).collect(),
        reverse: options.reverse,
        level: Level::Linearizable,
    };
    let asked = worker.recorder().begin(worker.process(), range, call);
    let answer = match worker.client().scan(options).collect().await {
        Ok(rows) => {
            let row = |row: &atoll_client::Row| {
                let seen = Seen {
                    value: value::read(&row.value).to_string(),
                    version: Some(row.version.0),
                };
                (String::from_utf8_lossy(&row.key).into_owned(), seen)
            };
            Outcome::Rows(rows.iter().map(row).collect()).into()
        }
        Err(error) => Answer::of(&error, worker.recorder(), &format!("scan of {range}")),
    };
    worker.recorder().end(&asked, answer);
}
