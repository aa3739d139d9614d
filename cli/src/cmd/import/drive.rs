//! The window: reads ahead while operations are in flight, within bounds.

use std::collections::HashSet;

use bytes::Bytes;
use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;

use super::record::Record;
use super::source::{Item, Source};
use crate::failure::{Failure, Result};

/// The bounds of what is in flight.
#[derive(Clone, Copy, Debug)]
pub(super) struct Window {
    /// Operations.
    pub(super) operations: usize,
    /// Bytes of keys and values, about: one record more may be in flight.
    pub(super) bytes: usize,
    /// Count malformed lines instead of failing.
    pub(super) skip_bad: bool,
}

/// What was done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Totals {
    /// Records done.
    pub(super) records: u64,
    /// Their bytes of keys and values.
    pub(super) bytes: u64,
    /// The sum of their checksums.
    pub(super) checksum: u64,
    /// Malformed lines.
    pub(super) skipped: u64,
}

/// What is in flight, and what waits for it.
#[derive(Default)]
struct InFlight {
    keys: HashSet<Bytes>,
    bytes: usize,
    /// A record whose key is in flight already. Nothing is read past it.
    held: Option<Record>,
}

/// Runs `act` on every record of `source`. Records of one key run one after the other, in order.
/// Stops at the first failure.
pub(super) async fn drive<A, F>(
    source: &mut Source,
    window: Window,
    act: A,
    mut show: impl FnMut(&Totals, u64),
) -> Result<Totals>
where
    A: Fn(Record) -> F,
    F: Future<Output = Result>,
{
    let mut totals = Totals::default();
    let mut flight = InFlight::default();
    let mut running = FuturesUnordered::new();
    let mut ended = false;
    loop {
        let room = running.len() < window.operations && flight.bytes < window.bytes;
        let next = tokio::select! {
            biased;
            Some(done) = running.next(), if !running.is_empty() => {
                let done: Done = done;
                flight.finish(&done);
                totals.add(&done);
                done.result?;
                show(&totals, source.position());
                flight.release()
            }
            item = source.next(), if room && !ended && flight.held.is_none() => match item? {
                None => {
                    ended = true;
                    None
                }
                Some(Item::Bad { line, why }) => {
                    totals.bad_line(line, &why, window.skip_bad)?;
                    None
                }
                Some(Item::Record(record)) => flight.admit(record),
            },
            else => return Ok(totals),
        };
        if let Some(record) = next {
            running.push(run(record, &act));
        }
    }
}

/// The end of one operation.
struct Done {
    key: Bytes,
    size: usize,
    checksum: u64,
    result: Result,
}

async fn run<F: Future<Output = Result>>(record: Record, act: &impl Fn(Record) -> F) -> Done {
    let (key, size, checksum) = (record.key.clone(), record.size(), record.checksum());
    Done {
        key,
        size,
        checksum,
        result: act(record).await,
    }
}

impl InFlight {
    /// Takes a record into flight, or holds it back while its key is.
    fn admit(&mut self, record: Record) -> Option<Record> {
        if self.keys.contains(&record.key) {
            self.held = Some(record);
            return None;
        }
        self.keys.insert(record.key.clone());
        self.bytes += record.size();
        Some(record)
    }

    fn finish(&mut self, done: &Done) {
        self.keys.remove(&done.key);
        self.bytes -= done.size;
    }

    /// The held record, if its key is free now.
    fn release(&mut self) -> Option<Record> {
        self.held.take().and_then(|record| self.admit(record))
    }
}

impl Totals {
    fn add(&mut self, done: &Done) {
        if done.result.is_ok() {
            self.records += 1;
            self.bytes += done.size as u64;
            self.checksum = self.checksum.wrapping_add(done.checksum);
        }
    }

    fn bad_line(&mut self, line: u64, why: &str, skip: bool) -> Result {
        if !skip {
            return Err(Failure::usage(format!("line {line} is malformed: {why}"))
                .next("correct it, or let --skip-bad count such lines"));
        }
        self.skipped += 1;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::cell::{Cell, RefCell};
    use std::collections::BTreeMap;

    use super::super::source::Input;
    use super::*;
    use crate::failure::Exit;

    const WINDOW: Window = Window {
        operations: 8,
        bytes: 1 << 20,
        skip_bad: false,
    };

    async fn file(text: &str) -> (tempfile::TempPath, Source) {
        use std::io::Write;
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(text.as_bytes()).unwrap();
        let path = file.into_temp_path();
        let source = Source::open(&Input::File(path.to_path_buf()), false)
            .await
            .unwrap();
        (path, source)
    }

    fn line(key: u64, value: u64) -> String {
        format!("{{\"key\":\"k{key}\",\"value\":\"v{value}\"}}\n")
    }

    /// Lets other operations go first, as often as the record's number tells.
    async fn dawdle(number: u64) {
        for _ in 0..number.wrapping_mul(0x9e37_79b9) % 13 {
            tokio::task::yield_now().await;
        }
    }

    async fn counted(number: u64, now: &Cell<usize>, most: &Cell<usize>) -> Result {
        now.set(now.get() + 1);
        most.set(most.get().max(now.get()));
        dawdle(number).await;
        now.set(now.get() - 1);
        Ok(())
    }

    async fn append_late(record: Record, writes: &RefCell<BTreeMap<Bytes, Vec<u64>>>) -> Result {
        dawdle(record.number).await;
        writes
            .borrow_mut()
            .entry(record.key)
            .or_default()
            .push(record.number);
        Ok(())
    }

    #[tokio::test]
    async fn the_window_is_used_and_never_exceeded() {
        let mut source = Source::open(
            &Input::Synthetic {
                count: 500,
                value_size: 10,
                seed: 1,
            },
            false,
        )
        .await
        .unwrap();
        let (now, most) = (Cell::new(0_usize), Cell::new(0_usize));
        let act = |record: Record| counted(record.number, &now, &most);
        let totals = drive(&mut source, WINDOW, act, |_, _| {}).await.unwrap();
        assert_eq!((totals.records, most.get()), (500, 8));
        let expected = (1..=500)
            .map(|n| Record::synthetic(n, 10, 1).checksum())
            .sum::<u64>();
        assert_eq!(totals.checksum, expected);
    }

    #[tokio::test]
    async fn bytes_bound_the_window_too() {
        let mut source = Source::open(
            &Input::Synthetic {
                count: 20,
                value_size: 1000,
                seed: 1,
            },
            false,
        )
        .await
        .unwrap();
        let (now, most) = (Cell::new(0_usize), Cell::new(0_usize));
        let act = |_| counted(1, &now, &most);
        let window = Window {
            bytes: 2500,
            ..WINDOW
        };
        assert_eq!(
            drive(&mut source, window, act, |_, _| {}).await.unwrap().records,
            20
        );
        assert_eq!(most.get(), 3);
    }

    #[tokio::test]
    async fn lines_of_one_key_are_written_in_order_so_the_last_wins() {
        let text: String = (0..400).map(|n| line(n * n % 7, n)).collect();
        let (_path, mut source) = file(&text).await;
        let writes = RefCell::new(BTreeMap::new());
        let act = |record: Record| append_late(record, &writes);
        assert_eq!(
            drive(&mut source, WINDOW, act, |_, _| {}).await.unwrap().records,
            400
        );
        let writes = writes.into_inner();
        assert_eq!(writes.values().map(Vec::len).sum::<usize>(), 400);
        for (key, numbers) in writes {
            assert!(numbers.is_sorted(), "{key:?}: {numbers:?}");
        }
    }

    #[tokio::test]
    async fn a_malformed_line_stops_or_is_counted() {
        let text = format!("{}oops\n{}", line(1, 1), line(2, 2));
        let ok = |_| async { Ok(()) };
        let (_path, mut source) = file(&text).await;
        let failure = drive(&mut source, WINDOW, ok, |_, _| {}).await.unwrap_err();
        assert_eq!(failure.exit, Exit::Usage);
        assert!(failure.what.contains("line 2"), "{}", failure.what);
        let (_path, mut source) = file(&text).await;
        let window = Window {
            skip_bad: true,
            ..WINDOW
        };
        let totals = drive(&mut source, window, ok, |_, _| {}).await.unwrap();
        assert_eq!((totals.records, totals.skipped), (2, 1));
    }

    #[tokio::test]
    async fn a_failed_operation_stops_everything() {
        let mut source = Source::open(
            &Input::Synthetic {
                count: 100,
                value_size: 1,
                seed: 1,
            },
            false,
        )
        .await
        .unwrap();
        let act = |record: Record| async move {
            dawdle(record.number).await;
            (record.number != 50)
                .then_some(())
                .ok_or(Failure::new(Exit::Unavailable, "gone"))
        };
        let failure = drive(&mut source, WINDOW, act, |_, _| {}).await.unwrap_err();
        assert_eq!(failure.what, "gone");
    }
}
