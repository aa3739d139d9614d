//! Bytes of any kind as a segment file, a frame, a record: each check panics if a promise is broken.
//!
//! A random change nearly always breaks a sum, and then nothing behind the sum is ever reached. So the
//! first byte of an input says whether sums are put right before the bytes are read.

mod repair;
mod seeds;

pub use seeds::{batch_seeds, record_seeds, segment_seeds};

use std::path::Path;
use std::sync::Arc;

use atoll_env::net::NoNet;
use atoll_env::vfs::{Crash, MemVfs, OpenMode};
use atoll_env::{Clock, Env, Halt, Rng, Scope, Spawn, Vfs};
use atoll_types::{ClusterId, GroupKey, LogId, NodeId};
use bytes::Bytes;
use tokio::sync::oneshot;

use super::format::{
    Align, FRAME_HEADER_LEN, FrameHeader, FramePlace, Head, RECORD_HEADER_LEN, RecordHeader, RecordKind,
    Records,
};
use super::prepare::file_name;
use super::{GroupLog, Identity, Journal, JournalOptions, LogEntry, LogState, OpenError};

const IDENTITY: Identity = Identity {
    cluster: ClusterId(0xC1),
    node: NodeId(3),
};
const OPTIONS: JournalOptions = JournalOptions {
    segment_bytes: 32 * 1024,
    preallocate: false,
    tail_bytes: 0,
    cache_bytes: 0,
};
const DIR: &str = "/journal";

/// What a start shows of a journal.
#[derive(Debug, PartialEq, Eq)]
struct Shown {
    quarantined: Vec<GroupKey>,
    logs: Vec<ShownLog>,
}

#[derive(Debug, PartialEq, Eq)]
struct ShownLog {
    key: GroupKey,
    state: LogState,
    /// `None` if the sum of one of them is wrong, which is an error when it is read.
    entries: Option<Vec<LogEntry>>,
}

/// A journal whose only segment holds the input opens, or is refused as another's or as unknown. What it
/// shows once, it shows at the next start, and a group that it calls sound can be written on.
pub fn segment(input: &[u8]) {
    let Some((mode, bytes)) = input.split_first() else {
        return;
    };
    let mut bytes = bytes.to_vec();
    repair::segment(&mut bytes, *mode);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build();
    runtime.expect("it needs no I/O").block_on(async {
        let segment = if mode & repair::LATER == 0 { 1 } else { 2 };
        let Some((vfs, first)) = start(disk(segment, &bytes).await, false).await else {
            return;
        };
        let (vfs, written) = start(vfs, true).await.expect("it opened before");
        let (_, last) = start(vfs, false).await.expect("it opened before");
        assert_eq!(last, written);
        let heads = |shown: Shown| shown.logs.into_iter().map(|log| (log.key, log.state.vote));
        assert_eq!(first.quarantined, written.quarantined);
        assert!(
            heads(first).eq(heads(written)),
            "votes do not change by looking at them"
        );
    });
}

async fn disk(segment: u32, bytes: &[u8]) -> MemVfs {
    let vfs = MemVfs::default();
    let work = async {
        vfs.create_dir_all(Path::new(DIR))?;
        let path = Path::new(DIR).join(file_name(segment));
        let file = vfs.open(&path, OpenMode::CreateNew)?;
        file.write_at(bytes, 0).await?;
        file.sync().await?;
        vfs.sync_dir(Path::new(DIR))
    };
    work.await.expect("a disk in memory works");
    vfs
}

/// Starts on a disk, writes an entry to every group if asked to, and says what there is then.
async fn start(vfs: MemVfs, write: bool) -> Option<(MemVfs, Shown)> {
    let scope = Scope::new(Rng::seeded(vfs.operations()));
    let env = Env {
        clock: Clock::simulated(1.0, 0),
        rng: scope.rng().clone(),
        spawn: Spawn::simulated(scope.clone()),
        vfs: Arc::new(vfs.clone()),
        net: Arc::new(NoNet),
        halt: Halt::simulated(|reason| panic!("{reason}")),
    };
    let journal = match Journal::open(&env, Path::new(DIR), IDENTITY, OPTIONS).await {
        Ok(journal) => journal,
        Err(OpenError::Foreign { .. } | OpenError::Unsupported { .. }) => return None,
        Err(error) => panic!("{error}: {error:?}"),
    };
    let shown = show(&journal).await;
    if write {
        for log in &shown.logs {
            write_on(&journal, log).await;
        }
    }
    let shown = if write { show(&journal).await } else { shown };
    journal.close().await;
    scope.end();
    Some((vfs.crash(Crash::LoseAll), shown))
}

async fn show(journal: &Journal) -> Shown {
    let quarantined = journal.quarantined();
    let mut logs = Vec::new();
    for (key, _) in journal.groups() {
        let Some(log) = journal.group(key) else {
            assert!(quarantined.contains(&key));
            continue;
        };
        let state = log.state();
        let entries = log.read(0, u64::MAX, usize::MAX).await.ok();
        if let Some(entries) = &entries {
            let ids = entries.iter().map(|entry| entry.id);
            assert!(
                ids.clone()
                    .zip(ids.skip(1))
                    .all(|(one, next)| one.index + 1 == next.index)
            );
            assert!(
                entries
                    .iter()
                    .all(|entry| crc32fast::hash(&entry.payload) == entry.payload_crc)
            );
        }
        logs.push(ShownLog { key, state, entries });
    }
    Shown { quarantined, logs }
}

async fn write_on(journal: &Journal, shown: &ShownLog) {
    let last = shown.state.last.unwrap_or_default();
    let Some(index) = last.index.checked_add(1) else {
        return;
    };
    let log: GroupLog = journal.group(shown.key).expect("it was there");
    let payload = Bytes::from_static(b"one more");
    let entry = LogEntry {
        id: LogId { index, ..last },
        kind: 1,
        payload_crc: crc32fast::hash(&payload),
        payload,
    };
    let (done, durable) = oneshot::channel();
    log.append(vec![entry], Box::new(move |result| drop(done.send(result))))
        .await
        .expect("it follows the last");
    durable.await.expect("the writer lives").expect("the disk works");
}

/// A frame: where it stands, then its bytes. Its header is read or is none; what is read comes back equal.
pub fn batch(input: &[u8]) {
    let Some((place, frame)) = input.split_first_chunk::<20>() else {
        return;
    };
    let place = FramePlace {
        salt: repair::u64_at(place, 0),
        segment: repair::u64_at(place, 8),
        offset: repair::u32_at(place, 16),
        align: Align::CLEAR,
    };
    read_frame(frame, place);
    let mut frame = frame.to_vec();
    repair::header(&mut frame, place);
    read_frame(&frame, place);
}

fn read_frame(frame: &[u8], place: FramePlace) {
    let Some((header, crc)) = FrameHeader::decode(frame, place) else {
        return;
    };
    let (again, _) = header.encode(place);
    assert_eq!(
        FrameHeader::decode(&again, place).map(|(header, _)| header),
        Some(header)
    );
    assert_eq!(crc, repair::u32_at(frame, 4));
    let body = frame.get(FRAME_HEADER_LEN as usize..).unwrap_or_default();
    record(body.get(..header.body_len as usize).unwrap_or(body));
}

/// The records of a frame: there is an end to them, none reaches beyond the bytes, and each is encoded as
/// it was found.
pub fn record(input: &[u8]) {
    let mut at = 0;
    let mut records = Records::new(input);
    while let Some(Ok((header, payload, payload_at))) = records.next() {
        let start = at + RECORD_HEADER_LEN as usize;
        assert_eq!(payload_at as usize, start);
        assert_eq!(Some(&header.encode()[..]), input.get(at..start));
        at = start + payload.len();
        assert_eq!(Some(payload), input.get(start..at));
        read_head(&header, payload);
    }
    assert!(records.next().is_none(), "after an error there is nothing");
}

fn read_head(header: &RecordHeader, payload: &[u8]) {
    let mut head = Head::default();
    if header.kind == RecordKind::GroupHead
        && let Some(decoded) = Head::decode(payload)
    {
        assert_eq!(Head::decode(&decoded.encode()), Some(decoded));
        head = decoded;
    }
    head.note(header);
}
