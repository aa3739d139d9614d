//! The index in memory: against a model, beside readers, and what it keeps. The values of rows are known by their
//! versions and lengths alone, so that a pointer can be followed without a journal.

mod appended;
mod kept;
mod model;
mod readers;

use atoll_types::limits::{APPEND_MEMORY_BYTES_MAX, VALUE_BYTES_MAX};
use atoll_types::{Codec, Key, Version};

use super::*;
use crate::journal::{JournalPointer, ReadError, ReadValue, value_crc};

fn bytes_of(version: Version, len: usize) -> Vec<u8> {
    vec![version.0 as u8; len]
}

/// A place in the journal, which is read by [`read`].
fn pointer_to(key: &[u8], version: Version, len: usize) -> JournalPointer {
    JournalPointer {
        segment: 7,
        offset: version.0 as u32,
        stored_len: len as u32,
        len: len as u32,
        codec: Codec::None,
        vcrc: value_crc(key, &bytes_of(version, len)),
    }
}

fn value_of(key: &[u8], version: Version, len: usize) -> ValueRef {
    let bytes = bytes_of(version, len);
    InlineValue::new(&bytes, value_crc(key, &bytes))
        .map_or(ValueRef::Journal(pointer_to(key, version, len)), ValueRef::Inline)
}

fn read_pointer(pointer: &JournalPointer) -> Result<ReadValue, ReadError> {
    if pointer.segment != 7 {
        return Err(ReadError::Io(std::io::ErrorKind::NotFound.into()));
    }
    let bytes = bytes_of(Version(u64::from(pointer.offset)), pointer.len as usize);
    Ok(ReadValue::Ready(bytes.into()))
}

fn read_piece(piece: &Piece) -> Result<ReadValue, ReadError> {
    match piece {
        Piece::Memory(bytes) => Ok(ReadValue::Ready(bytes.clone())),
        Piece::Journal(pointer) => read_pointer(pointer),
        Piece::Filed(pointer) => Err(ReadError::NoValueFile { file: pointer.file }),
    }
}

fn read(key: &[u8], value: &ValueRef) -> Vec<u8> {
    let read = match value {
        ValueRef::Inline(_) => return value.inline_checked(key).unwrap().unwrap().to_vec(),
        ValueRef::Journal(pointer) => read_pointer(pointer),
        ValueRef::Filed(pointer) => panic!("no value file holds {pointer:?}"),
        ValueRef::Joined(joined) => joined.read(key, read_piece),
    };
    let ReadValue::Ready(bytes) = read.unwrap() else {
        panic!()
    };
    assert_eq!((bytes.len(), value_crc(key, &bytes)), (value.len(), value.vcrc()));
    bytes.to_vec()
}
