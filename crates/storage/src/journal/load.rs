//! Reading entries back from disk.

use std::io;
use std::sync::Arc;

use atoll_env::trouble;
use atoll_types::{GroupKey, LogId, Mutant, mutant};
use bytes::Bytes;

use super::LogEntry;
use super::format::{RECORD_HEADER_LEN, RecordHeader, RecordKind};
use super::intake::Location;
use super::segment::{Segment, SegmentTable};
use super::shared::Shared;
use super::table::Placed;

/// Bytes read at once, unless one entry is larger.
const CHUNK: u32 = 1024 * 1024;

/// Entries that stand close together in one segment, which is pinned.
pub(crate) struct Chunk {
    segment: Arc<Segment>,
    start: u32,
    end: u32,
    entries: Vec<Placed>,
}

/// Reads entries in log order, checking each. Waits for the disk on the blocking pool.
pub(crate) async fn load(shared: &Shared, group: GroupKey, chunks: Vec<Chunk>) -> io::Result<Vec<LogEntry>> {
    let mut loaded = Vec::with_capacity(chunks.iter().map(|chunk| chunk.entries.len()).sum());
    for chunk in chunks {
        trouble::sometimes("entries were read back from the disk");
        let entries = shared
            .env
            .spawn
            .blocking(move || read_chunk(&chunk, group))
            .await?;
        loaded.extend(entries);
    }
    Ok(loaded)
}

/// Puts entries together that are read at once, in log order.
pub(crate) fn chunks(shared: &Shared, places: Vec<Placed>) -> io::Result<Vec<Chunk>> {
    let mut chunks: Vec<Chunk> = Vec::new();
    for entry in places {
        let Placed { id, place, .. } = entry;
        let (start, end) = (place.offset - RECORD_HEADER_LEN, place.offset + place.len);
        if let Some(chunk) = chunks.last_mut() {
            let near = chunk.segment.id == place.segment && start >= chunk.end && end - chunk.start <= CHUNK;
            if near {
                chunk.end = end;
                chunk.entries.push(entry);
                continue;
            }
        }
        let segment = shared
            .segments
            .get(place.segment)
            .ok_or_else(|| damaged(id, place))?;
        chunks.push(Chunk {
            segment,
            start,
            end,
            entries: vec![entry],
        });
    }
    Ok(chunks)
}

/// Reads once more if something does not match, before anything is called rotten.
fn read_chunk(chunk: &Chunk, group: GroupKey) -> io::Result<Vec<LogEntry>> {
    match try_chunk(chunk, group) {
        Err(error) if error.kind() == io::ErrorKind::InvalidData => try_chunk(chunk, group),
        result => result,
    }
}

fn try_chunk(chunk: &Chunk, group: GroupKey) -> io::Result<Vec<LogEntry>> {
    let mut buffer = vec![0; (chunk.end - chunk.start) as usize];
    let file = chunk.segment.file().ok_or(io::ErrorKind::NotFound)?;
    file.read_exact_at(&mut buffer, u64::from(chunk.start))?;
    let buffer = Bytes::from(buffer);
    let wanted: usize = chunk.entries.iter().map(|entry| entry.place.len as usize).sum();
    // Sharing a buffer that is mostly other groups' bytes would hold them all in memory.
    let share = wanted * 2 > buffer.len();
    chunk
        .entries
        .iter()
        .map(|wanted| {
            let place = wanted.place;
            let at = (place.offset - chunk.start) as usize;
            let header_at = at - RECORD_HEADER_LEN as usize;
            let bytes = buffer.slice(at..at + place.len as usize);
            let entry = check(group, wanted, buffer.slice(header_at..at).as_ref(), bytes);
            let mut entry = entry.ok_or_else(|| damaged(wanted.id, place))?;
            if !share {
                entry.payload = Bytes::copy_from_slice(&entry.payload);
            }
            Ok(entry)
        })
        .collect()
}

/// Reads one entry and checks it.
pub(crate) fn load_one(segments: &SegmentTable, group: GroupKey, entry: Placed) -> io::Result<LogEntry> {
    let Placed { id, place, .. } = entry;
    let chunk = Chunk {
        segment: segments.get(place.segment).ok_or_else(|| damaged(id, place))?,
        start: place.offset - RECORD_HEADER_LEN,
        end: place.offset + place.len,
        entries: vec![entry],
    };
    read_chunk(&chunk, group)?.pop().ok_or_else(|| damaged(id, place))
}

/// The entry, if these bytes are it. Every field of the header counts: the frame's sum, which covers
/// them, was checked when the journal was opened, not now.
fn check(group: GroupKey, wanted: &Placed, header: &[u8], payload: Bytes) -> Option<LogEntry> {
    let header = RecordHeader::decode(header).ok()?;
    let same = header.kind == RecordKind::Entry
        && header.group == group
        && header.flags == wanted.kind
        && header.id == wanted.id
        && header.payload_len as usize == payload.len()
        && (header.payload_crc == crc32fast::hash(&payload) || mutant::is(Mutant::FrameUnchecked));
    same.then_some(LogEntry {
        id: wanted.id,
        kind: wanted.kind,
        payload,
        payload_crc: header.payload_crc,
    })
}

fn damaged(id: LogId, place: Location) -> io::Error {
    let Location { segment, offset, .. } = place;
    let reason = format!("entry {id} in segment {segment} at offset {offset} does not match its checksum");
    io::Error::new(io::ErrorKind::InvalidData, reason)
}
