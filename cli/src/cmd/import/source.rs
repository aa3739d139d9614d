//! Where records come from.

use std::fs::File as StdFile;
use std::io::{Seek, Write};
use std::path::PathBuf;
use std::pin::Pin;

use tokio::fs::File;
use tokio::io::{AsyncBufRead, AsyncBufReadExt, BufReader};

use super::record::Record;
use crate::failure::{Failure, Result};

/// A line of a value of 1 MiB and a key of 4 KiB, every byte written as \u0000, and some more.
const LINE_BYTES_MAX: usize = 8 * 1024 * 1024;
const READ_BYTES: usize = 256 * 1024;

/// What the user named.
#[derive(Clone, Debug)]
pub(super) enum Input {
    /// A file of JSON lines.
    File(PathBuf),
    /// A pipe of JSON lines.
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

/// A stream of records.
pub(super) enum Source {
    /// Lines.
    Lines(Box<Lines>),
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

/// What a source gives.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Item {
    /// A record.
    Record(Record),
    /// A line that is none, and why.
    Bad {
        /// The line's number, from 1.
        line: u64,
        /// What is wrong.
        why: String,
    },
}

impl Source {
    /// Opens an input. With `spool`, a pipe is kept in a temporary file as it is read, because
    /// verification reads it a second time.
    pub(super) async fn open(input: &Input, spool: bool) -> Result<Self> {
        match *input {
            Input::Synthetic {
                count,
                value_size,
                seed,
            } => Ok(Self::Synthetic {
                next: 1,
                count,
                value_size,
                seed,
            }),
            Input::Stdin => {
                let spool = spool.then(tempfile::tempfile).transpose()?;
                Ok(Self::Lines(Box::new(Lines::new(tokio::io::stdin(), None, spool))))
            }
            Input::File(ref path) => {
                let cannot = |error| Failure::usage(format!("cannot read {}: {error}", path.display()));
                let file = File::open(path).await.map_err(cannot)?;
                let metadata = file.metadata().await.map_err(cannot)?;
                if metadata.is_dir() {
                    return Err(Failure::usage(format!("{} is a folder", path.display())));
                }
                let length = metadata.is_file().then_some(metadata.len());
                Ok(Self::Lines(Box::new(Lines::new(file, length, None))))
            }
        }
    }

    /// Reads what was spooled from the beginning.
    pub(super) fn from_spool(mut spool: StdFile) -> Result<Self> {
        spool.rewind()?;
        let length = spool.metadata()?.len();
        Ok(Self::Lines(Box::new(Lines::new(
            File::from_std(spool),
            Some(length),
            None,
        ))))
    }

    /// The temporary file with everything that was read, if there is one.
    pub(super) fn into_spool(self) -> Result<Option<StdFile>> {
        match self {
            Self::Lines(lines) => lines.into_spool(),
            Self::Synthetic { .. } => Ok(None),
        }
    }

    /// The length of the whole, in the unit of [`Source::position`], if it is known.
    pub(super) fn length(&self) -> Option<u64> {
        match self {
            Self::Lines(lines) => lines.length,
            Self::Synthetic { count, .. } => Some(*count),
        }
    }

    /// How much was taken: bytes of a file, records otherwise.
    pub(super) fn position(&self) -> u64 {
        match self {
            Self::Lines(lines) => lines.position,
            Self::Synthetic { next, .. } => next - 1,
        }
    }

    /// The next item; nothing is lost if the wait for it is given up.
    pub(super) async fn next(&mut self) -> Result<Option<Item>> {
        match self {
            Self::Lines(lines) => lines.next().await,
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

/// Lines of a file or pipe.
pub(super) struct Lines {
    reader: Pin<Box<dyn AsyncBufRead + Send>>,
    /// The beginning of the line that is being read; outlives a given-up wait.
    partial: Vec<u8>,
    number: u64,
    position: u64,
    length: Option<u64>,
    spool: Option<std::io::BufWriter<StdFile>>,
}

impl Lines {
    fn new(
        input: impl tokio::io::AsyncRead + Send + 'static,
        length: Option<u64>,
        spool: Option<StdFile>,
    ) -> Self {
        Self {
            reader: Box::pin(BufReader::with_capacity(READ_BYTES, input)),
            partial: Vec::new(),
            number: 0,
            position: 0,
            length,
            spool: spool.map(|file| std::io::BufWriter::with_capacity(READ_BYTES, file)),
        }
    }

    async fn next(&mut self) -> Result<Option<Item>> {
        while let Some(line) = self.next_line().await? {
            self.number += 1;
            if line.iter().all(u8::is_ascii_whitespace) {
                continue;
            }
            let parsed = Record::parse(self.number, &line);
            return Ok(Some(match parsed {
                Ok(record) => Item::Record(record),
                Err(why) => Item::Bad {
                    line: self.number,
                    why,
                },
            }));
        }
        Ok(None)
    }

    /// A line without its end. The only await is that for more bytes, which loses none.
    async fn next_line(&mut self) -> Result<Option<Vec<u8>>> {
        loop {
            let chunk = self.reader.fill_buf().await?;
            if chunk.is_empty() {
                let rest = std::mem::take(&mut self.partial);
                return Ok((!rest.is_empty()).then_some(rest));
            }
            let end = chunk.iter().position(|&byte| byte == b'\n');
            let taken = end.map_or(chunk.len(), |end| end + 1);
            let (bytes, _) = chunk.split_at(taken);
            if let Some(spool) = &mut self.spool {
                spool.write_all(bytes)?;
            }
            self.partial.extend_from_slice(bytes);
            self.reader.as_mut().consume(taken);
            self.position += taken as u64;
            if self.partial.len() > LINE_BYTES_MAX {
                let what = format!("line {} has more than {LINE_BYTES_MAX} bytes", self.number + 1);
                return Err(Failure::usage(what).next("is this a file of JSON lines?"));
            }
            if end.is_some() {
                self.partial.pop();
                return Ok(Some(std::mem::take(&mut self.partial)));
            }
        }
    }

    fn into_spool(self) -> Result<Option<StdFile>> {
        match self.spool {
            None => Ok(None),
            Some(spool) => Ok(Some(
                spool.into_inner().map_err(std::io::IntoInnerError::into_error)?,
            )),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::failure::Exit;

    fn lines(text: &'static [u8], spool: bool) -> Source {
        let spool = spool.then(|| tempfile::tempfile().unwrap());
        Source::Lines(Box::new(Lines::new(text, None, spool)))
    }

    async fn all(source: &mut Source) -> Vec<Item> {
        let mut items = Vec::new();
        while let Some(item) = source.next().await.unwrap() {
            items.push(item);
        }
        items
    }

    const TEXT: &[u8] = b"{\"key\":\"a\",\"value\":\"1\"}\n\n  \r\nnonsense\n{\"key\":\"b\",\"value\":\"2\"}";

    #[tokio::test]
    async fn empty_lines_count_and_the_last_line_needs_no_end() {
        let items = all(&mut lines(TEXT, false)).await;
        let [Item::Record(a), Item::Bad { line: 4, .. }, Item::Record(b)] = &items[..] else {
            panic!("{items:?}")
        };
        assert_eq!(
            (a.number, &a.key[..], b.number, &b.key[..]),
            (1, &b"a"[..], 5, &b"b"[..])
        );
    }

    #[tokio::test]
    async fn a_spool_gives_the_same_items_again() {
        let mut first = lines(TEXT, true);
        let items = all(&mut first).await;
        let spool = first.into_spool().unwrap().unwrap();
        assert_eq!(all(&mut Source::from_spool(spool).unwrap()).await, items);
    }

    #[tokio::test]
    async fn a_line_without_end_is_refused_not_collected() {
        let mut endless = Source::Lines(Box::new(Lines::new(tokio::io::repeat(b'x'), None, None)));
        assert_eq!(endless.next().await.unwrap_err().exit, Exit::Usage);
    }

    #[tokio::test]
    async fn a_missing_file_is_a_usage_error() {
        let input = Input::File("/nowhere/at/all".into());
        let failure = Source::open(&input, false).await.map(|_| ()).unwrap_err();
        assert_eq!(failure.exit, Exit::Usage);
        assert!(failure.what.contains("/nowhere/at/all"));
        let folder = Input::File("/".into());
        assert!(
            Source::open(&folder, false)
                .await
                .map(|_| ())
                .unwrap_err()
                .what
                .contains("folder")
        );
    }

    #[tokio::test]
    async fn made_up_records_end() {
        let input = Input::Synthetic {
            count: 3,
            value_size: 4,
            seed: 1,
        };
        let mut source = Source::open(&input, true).await.unwrap();
        assert_eq!(all(&mut source).await.len(), 3);
        assert_eq!((source.position(), source.length()), (3, Some(3)));
    }
}
