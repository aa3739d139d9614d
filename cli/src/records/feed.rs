//! Where records come from.

use std::fs::File;
use std::io::{Read, Seek};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use atoll_env::Env;
use tokio::sync::mpsc;

use super::layout::{Compression, Layout};
use super::lines::Lines;
use super::record::Record;
use super::table::{Choice, Table};
use super::unpack::{Tap, unpack};
use crate::failure::{Exit, Failure, Result};

/// Records and bytes that travel together from the thread that reads.
const BATCH_RECORDS: usize = 1_024;
const BATCH_BYTES: usize = 512 * 1024;
/// Batches that wait to be taken.
const BATCHES_MAX: usize = 2;

/// What the user named.
#[derive(Clone, Debug)]
pub(crate) enum Input {
    /// A file.
    File(PathBuf),
    /// Standard input.
    Stdin,
    /// Made-up records.
    Synthetic {
        /// How many.
        count: u64,
        /// Bytes of a value.
        value_size: usize,
        /// Which ones.
        seed: u64,
    },
}

/// How a file of records is to be read.
#[derive(Clone, Debug)]
pub(crate) struct Shape {
    /// How records stand in it.
    pub(crate) layout: Layout,
    /// How it is packed.
    pub(crate) compression: Compression,
    /// Which columns count.
    pub(crate) choice: Choice,
}

/// What a feed gives.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Item {
    /// A record.
    Record(Record),
    /// Something that is none, and why.
    Bad {
        /// Where: `line 3`.
        place: String,
        /// What is wrong.
        why: String,
    },
}

impl Item {
    pub(super) fn of(unit: &str, number: u64, parsed: std::result::Result<Record, String>) -> Self {
        match parsed {
            Ok(record) => Self::Record(record),
            Err(why) => Self::Bad {
                place: format!("{unit} {number}"),
                why,
            },
        }
    }
}

/// A stream of records.
pub(crate) enum Feed {
    /// Of a file or pipe.
    Read(Reading),
    /// Made up.
    Synthetic {
        /// Number of the next one, from 1.
        next: u64,
        /// How many in all.
        count: u64,
        /// Bytes of a value.
        value_size: usize,
        /// Which ones.
        seed: u64,
    },
}

/// What the reading thread sends: records, or the end.
type Batch = Result<Option<Vec<Item>>>;

/// Records that a thread reads ahead.
pub(crate) struct Reading {
    batches: mpsc::Receiver<Batch>,
    batch: std::vec::IntoIter<Item>,
    ended: bool,
    taken: Arc<AtomicU64>,
    length: Option<u64>,
    copy: Option<Arc<File>>,
}

impl Feed {
    /// Opens an input and passes over its first `skip` items. With `keep`, a pipe is kept in a
    /// temporary file as it is read, because verification reads it a second time.
    pub(crate) async fn open(env: &Env, input: &Input, shape: &Shape, keep: bool, skip: u64) -> Result<Self> {
        match input {
            &Input::Synthetic {
                count,
                value_size,
                seed,
            } => Ok(Self::Synthetic {
                next: skip + 1,
                count,
                value_size,
                seed,
            }),
            Input::Stdin => {
                let copy = keep.then(tempfile::tempfile).transpose()?.map(Arc::new);
                Ok(start(env, std::io::stdin(), shape, (None, copy), skip))
            }
            Input::File(path) => {
                let cannot = |error| Failure::usage(format!("cannot read {}: {error}", path.display()));
                let file = tokio::fs::File::open(path).await.map_err(cannot)?;
                let metadata = file.metadata().await.map_err(cannot)?;
                if metadata.is_dir() {
                    return Err(Failure::usage(format!("{} is a folder", path.display())));
                }
                let length = metadata.is_file().then_some(metadata.len());
                Ok(start(env, file.into_std().await, shape, (length, None), skip))
            }
        }
    }

    /// Reads what was kept from the beginning.
    pub(crate) fn again(env: &Env, mut kept: File, shape: &Shape) -> Result<Self> {
        kept.rewind()?;
        let length = kept.metadata()?.len();
        Ok(start(env, kept, shape, (Some(length), None), 0))
    }

    /// The temporary file with everything that was read, if there is one.
    pub(crate) fn into_kept(self) -> Result<Option<File>> {
        let Self::Read(Reading { copy: Some(copy), .. }) = self else {
            return Ok(None);
        };
        Ok(Some(copy.try_clone()?))
    }

    /// The length of the whole, in the unit of [`Feed::position`], if it is known.
    pub(crate) fn length(&self) -> Option<u64> {
        match self {
            Self::Read(reading) => reading.length,
            Self::Synthetic { count, .. } => Some(*count),
        }
    }

    /// How much was read: bytes of a file, records otherwise.
    pub(crate) fn position(&self) -> u64 {
        match self {
            Self::Read(reading) => reading.taken.load(Ordering::Relaxed),
            Self::Synthetic { next, .. } => next - 1,
        }
    }

    /// The next item; nothing is lost if the wait for it is given up.
    pub(crate) async fn next(&mut self) -> Result<Option<Item>> {
        match self {
            Self::Read(reading) => reading.next().await,
            Self::Synthetic { next, count, .. } if *next > *count => Ok(None),
            Self::Synthetic {
                next,
                value_size,
                seed,
                ..
            } => {
                let record = Record::synthetic(*next, *value_size, *seed);
                *next += 1;
                Ok(Some(Item::Record(record)))
            }
        }
    }
}

impl Reading {
    async fn next(&mut self) -> Result<Option<Item>> {
        loop {
            if let Some(item) = self.batch.next() {
                return Ok(Some(item));
            }
            if self.ended {
                return Ok(None);
            }
            let batch = self.batches.recv().await.unwrap_or_else(|| {
                // Its end would have been told: this is not the end of the input.
                Err(Failure::new(Exit::Internal, "the reader of the input stopped"))
            })?;
            match batch {
                Some(batch) => self.batch = batch.into_iter(),
                None => self.ended = true,
            }
        }
    }
}

/// Starts the thread that reads.
fn start(
    env: &Env,
    input: impl Read + Send + 'static,
    shape: &Shape,
    (length, copy): (Option<u64>, Option<Arc<File>>),
    skip: u64,
) -> Feed {
    let (sender, batches) = mpsc::channel(BATCHES_MAX);
    let taken = Arc::new(AtomicU64::new(0));
    let tap = Tap {
        input,
        taken: Arc::clone(&taken),
        copy: copy.clone(),
    };
    let shape = shape.clone();
    env.spawn.dedicated("records", async move {
        let result = read(tap, &shape, skip, &sender).await;
        // Whoever no longer takes batches needs no end either.
        let _ = sender.send(result.map(|()| None)).await;
    });
    Feed::Read(Reading {
        batches,
        batch: Vec::new().into_iter(),
        ended: false,
        taken,
        length,
        copy,
    })
}

/// One of the parsers.
enum Parser {
    Lines(Lines),
    Table(Box<Table>),
}

impl Parser {
    fn next(&mut self) -> Result<Option<Item>> {
        let item = match self {
            Self::Lines(lines) => lines.next(),
            Self::Table(table) => table.next(),
        };
        // An input that cannot be read or unpacked is the caller's: nothing of ours is broken.
        item.map_err(|failure| match failure.exit {
            Exit::Internal => Failure {
                exit: Exit::Usage,
                ..failure
                    .during("cannot read the input")
                    .next("check --format and --compress")
            },
            _ => failure,
        })
    }
}

async fn read(
    tap: Tap<impl Read + Send + 'static>,
    shape: &Shape,
    skip: u64,
    sender: &mpsc::Sender<Batch>,
) -> Result {
    let input = unpack(tap, shape.compression)?;
    let mut parser = match shape.layout.delimiter() {
        None => Parser::Lines(Lines::new(input)),
        Some(delimiter) => Parser::Table(Box::new(Table::new(input, delimiter, &shape.choice)?)),
    };
    for _ in 0..skip {
        if parser.next()?.is_none() {
            return Err(Failure::usage("the input is shorter than the checkpoint says")
                .next("is it the same input? without --resume it is imported from the beginning"));
        }
    }
    let mut batch = Vec::new();
    let mut size = 0;
    loop {
        let item = parser.next();
        let ended = !matches!(item, Ok(Some(_)));
        if (ended || batch.len() == BATCH_RECORDS || size >= BATCH_BYTES) && !batch.is_empty() {
            size = 0;
            if sender.send(Ok(Some(std::mem::take(&mut batch)))).await.is_err() {
                return Ok(());
            }
        }
        let Some(item) = item? else {
            return Ok(());
        };
        if let Item::Record(record) = &item {
            size += record.size();
        }
        batch.push(item);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shape() -> Shape {
        Shape {
            layout: Layout::Jsonl,
            compression: Compression::None,
            choice: Choice::default(),
        }
    }

    fn feed(text: &'static [u8], keep: bool, skip: u64) -> Feed {
        let copy = keep.then(|| Arc::new(tempfile::tempfile().unwrap()));
        start(&Env::real(), text, &shape(), (None, copy), skip)
    }

    async fn all(feed: &mut Feed) -> Vec<Item> {
        let mut items = Vec::new();
        while let Some(item) = feed.next().await.unwrap() {
            items.push(item);
        }
        items
    }

    const TEXT: &[u8] = b"{\"key\":\"a\",\"value\":\"1\"}\n\n  \r\nnonsense\n{\"key\":\"b\",\"value\":\"2\"}";

    #[tokio::test]
    async fn empty_lines_count_and_the_last_line_needs_no_end() {
        let items = all(&mut feed(TEXT, false, 0)).await;
        let [Item::Record(a), Item::Bad { place, .. }, Item::Record(b)] = &items[..] else {
            panic!("{items:?}")
        };
        assert_eq!(place, "line 4");
        assert_eq!(
            (a.number, &a.key[..], b.number, &b.key[..]),
            (1, &b"a"[..], 5, &b"b"[..])
        );
    }

    #[tokio::test]
    async fn what_a_checkpoint_has_is_passed_over() {
        let items = all(&mut feed(TEXT, false, 2)).await;
        assert_eq!(items.len(), 1);
        let failure = feed(TEXT, false, 4).next().await.unwrap_err();
        assert!(failure.what.contains("shorter"), "{}", failure.what);
    }

    #[tokio::test]
    async fn what_was_kept_gives_the_same_items_again() {
        let mut first = feed(TEXT, true, 0);
        let items = all(&mut first).await;
        let kept = first.into_kept().unwrap().unwrap();
        let mut second = Feed::again(&Env::real(), kept, &shape()).unwrap();
        assert_eq!(all(&mut second).await, items);
    }

    #[tokio::test]
    async fn a_line_without_end_is_refused_not_collected() {
        let mut endless = start(&Env::real(), std::io::repeat(b'x'), &shape(), (None, None), 0);
        assert_eq!(endless.next().await.unwrap_err().exit, Exit::Usage);
    }

    #[tokio::test]
    async fn bytes_that_are_not_packed_are_a_usage_error() {
        for compression in [Compression::Gz, Compression::Zst] {
            let shape = Shape {
                compression,
                ..shape()
            };
            let mut feed = start(&Env::real(), TEXT, &shape, (None, None), 0);
            let failure = feed.next().await.unwrap_err();
            assert_eq!(failure.exit, Exit::Usage, "{}", failure.what);
            assert!(failure.next.contains("--compress"));
        }
    }

    #[tokio::test]
    async fn a_missing_file_is_a_usage_error() {
        for (path, part) in [("/nowhere/at/all", "/nowhere/at/all"), ("/", "folder")] {
            let input = Input::File(path.into());
            let opened = Feed::open(&Env::real(), &input, &shape(), false, 0).await;
            let failure = opened.map(|_| ()).unwrap_err();
            assert_eq!(failure.exit, Exit::Usage);
            assert!(failure.what.contains(part), "{}", failure.what);
        }
    }

    #[tokio::test]
    async fn made_up_records_end() {
        let input = Input::Synthetic {
            count: 3,
            value_size: 4,
            seed: 1,
        };
        let mut feed = Feed::open(&Env::real(), &input, &shape(), true, 1).await.unwrap();
        assert_eq!(all(&mut feed).await.len(), 2);
        assert_eq!((feed.position(), feed.length()), (3, Some(3)));
    }
}
