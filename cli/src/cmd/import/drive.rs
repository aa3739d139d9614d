//! The window: reads ahead while operations are in flight, within bounds.

use std::collections::HashSet;

use bytes::Bytes;
use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;

use crate::failure::{Failure, Result};
use crate::records::{Feed, Item, Record, Totals};

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

/// What is in flight, and what waits for it.
#[derive(Default)]
struct InFlight {
    keys: HashSet<Bytes>,
    bytes: usize,
    /// A record whose key is in flight already. Nothing is read past it.
    held: Option<Record>,
}

/// Runs `act` on every record of `feed`. Records of one key run one after the other, in order. Stops at
/// the first failure.
///
/// `show` is called after every record and may ask for a rest: then nothing more is begun, and once
/// nothing is in flight the call returns. True: there is nothing left to do.
pub(super) async fn drive<A, F>(
    feed: &mut Feed,
    window: Window,
    totals: &mut Totals,
    act: A,
    mut show: impl FnMut(&Totals, u64) -> bool,
) -> Result<bool>
where
    A: Fn(Record) -> F,
    F: Future<Output = Result>,
{
    let mut flight = InFlight::default();
    let mut running = FuturesUnordered::new();
    let (mut ended, mut resting) = (false, false);
    loop {
        let room = running.len() < window.operations && flight.bytes < window.bytes;
        let wanted = room && !ended && !resting && flight.held.is_none();
        let next = tokio::select! {
            biased;
            Some(done) = running.next(), if !running.is_empty() => {
                let done: Done = done;
                flight.finish(&done);
                done.result?;
                totals.add_sum(done.size as u64, done.checksum);
                resting |= show(totals, feed.position());
                flight.release()
            }
            item = feed.next(), if wanted => match item? {
                None => {
                    ended = true;
                    None
                }
                Some(Item::Bad { place, why }) => {
                    bad_line(totals, &place, &why, window.skip_bad)?;
                    None
                }
                Some(Item::Record(record)) => flight.admit(record),
            },
            else => return Ok(ended),
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

fn bad_line(totals: &mut Totals, place: &str, why: &str, skip: bool) -> Result {
    if !skip {
        return Err(Failure::usage(format!("{place} is malformed: {why}"))
            .next("correct it, or let --skip-bad leave such records out"));
    }
    totals.skipped += 1;
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::cell::{Cell, RefCell};
    use std::collections::BTreeMap;

    use atoll_env::Env;

    use super::*;
    use crate::failure::Exit;
    use crate::records::{Choice, Compression, Input, Layout, Shape};

    const WINDOW: Window = Window {
        operations: 8,
        bytes: 1 << 20,
        skip_bad: false,
    };

    async fn open(input: &Input) -> Feed {
        let shape = Shape {
            layout: Layout::Jsonl,
            compression: Compression::None,
            choice: Choice::default(),
        };
        Feed::open(&Env::real(), input, &shape, false, 0).await.unwrap()
    }

    async fn file(text: &str) -> (tempfile::TempPath, Feed) {
        use std::io::Write;
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(text.as_bytes()).unwrap();
        let path = file.into_temp_path();
        let feed = open(&Input::File(path.to_path_buf())).await;
        (path, feed)
    }

    async fn made_up(count: u64, value_size: usize) -> Feed {
        let input = Input::Synthetic {
            count,
            value_size,
            seed: 1,
        };
        open(&input).await
    }

    /// Everything, without a rest.
    async fn through<F: Future<Output = Result>>(
        feed: &mut Feed,
        window: Window,
        act: impl Fn(Record) -> F,
    ) -> Result<Totals> {
        let mut totals = Totals::default();
        assert!(drive(feed, window, &mut totals, act, |_, _| false).await?);
        Ok(totals)
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
        let mut feed = made_up(500, 10).await;
        let (now, most) = (Cell::new(0_usize), Cell::new(0_usize));
        let act = |record: Record| counted(record.number, &now, &most);
        let totals = through(&mut feed, WINDOW, act).await.unwrap();
        assert_eq!((totals.records, most.get()), (500, 8));
        let expected = (1..=500)
            .map(|n| Record::synthetic(n, 10, 1).checksum())
            .sum::<u64>();
        assert_eq!(totals.checksum, expected);
    }

    #[tokio::test]
    async fn bytes_bound_the_window_too() {
        let mut feed = made_up(20, 1000).await;
        let (now, most) = (Cell::new(0_usize), Cell::new(0_usize));
        let act = |_| counted(1, &now, &most);
        let window = Window {
            bytes: 2500,
            ..WINDOW
        };
        assert_eq!(through(&mut feed, window, act).await.unwrap().records, 20);
        assert_eq!(most.get(), 3);
    }

    #[tokio::test]
    async fn lines_of_one_key_are_written_in_order_so_the_last_wins() {
        let text: String = (0..400).map(|n| line(n * n % 7, n)).collect();
        let (_path, mut feed) = file(&text).await;
        let writes = RefCell::new(BTreeMap::new());
        let act = |record: Record| append_late(record, &writes);
        assert_eq!(through(&mut feed, WINDOW, act).await.unwrap().records, 400);
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
        let (_path, mut feed) = file(&text).await;
        let failure = through(&mut feed, WINDOW, ok).await.unwrap_err();
        assert_eq!(failure.exit, Exit::Usage);
        assert!(failure.what.contains("line 2"), "{}", failure.what);
        let (_path, mut feed) = file(&text).await;
        let window = Window {
            skip_bad: true,
            ..WINDOW
        };
        let totals = through(&mut feed, window, ok).await.unwrap();
        assert_eq!((totals.records, totals.skipped), (2, 1));
    }

    #[tokio::test]
    async fn a_failed_operation_stops_everything() {
        let mut feed = made_up(100, 1).await;
        let act = |record: Record| async move {
            dawdle(record.number).await;
            (record.number != 50)
                .then_some(())
                .ok_or(Failure::new(Exit::Unavailable, "gone"))
        };
        let failure = through(&mut feed, WINDOW, act).await.unwrap_err();
        assert_eq!(failure.what, "gone");
    }

    #[tokio::test]
    async fn at_a_rest_everything_taken_is_done_and_counted() {
        let mut feed = made_up(500, 10).await;
        let mut totals = Totals::default();
        let writes = RefCell::new(BTreeMap::new());
        let act = |record: Record| append_late(record, &writes);
        let mut rests = 0;
        let often = |totals: &Totals, _| totals.records.is_multiple_of(50);
        while !drive(&mut feed, WINDOW, &mut totals, act, often).await.unwrap() {
            rests += 1;
            // Made-up records are counted as they are taken: none is under way.
            assert_eq!(totals.records, feed.position());
            assert_eq!(totals.records, writes.borrow().len() as u64);
        }
        assert!(rests > 5, "{rests}");
        assert_eq!(totals.records, 500);
    }
}
