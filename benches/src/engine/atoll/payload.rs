//! The rows of an entry as bytes.

use atoll_storage::{Packer, value_crc};
use atoll_types::Codec;
use bytes::{Bytes, BytesMut};

use crate::Result;
use crate::dataset::Row;

/// Rows as an entry has them: per row the length of the key, of the value as it is stored, of the value, the sum over key and value, how it is
/// packed, key, value. Values are packed like a leader packs them.
pub(super) fn encode(rows: &[Row], packer: &Packer) -> Bytes {
    let bytes = rows.iter().map(|row| HEADER + row.key.len() + row.value.len());
    let mut payload = BytesMut::with_capacity(bytes.sum());
    for Row { key, value } in rows {
        payload.extend_from_slice(&(key.len() as u32).to_le_bytes());
        let packed = packer.pack(value);
        let (codec, stored) = packed.as_ref().map_or((Codec::None, value.as_slice()), |packed| {
            (packed.codec, &packed.stored[..])
        });
        payload.extend_from_slice(&(stored.len() as u32).to_le_bytes());
        payload.extend_from_slice(&(value.len() as u32).to_le_bytes());
        payload.extend_from_slice(&value_crc(key, value).to_le_bytes());
        payload.extend_from_slice(&[codec.number()]);
        payload.extend_from_slice(key);
        payload.extend_from_slice(stored);
    }
    payload.freeze()
}

/// Bytes before a row's key.
const HEADER: usize = 17;

/// A row of an entry.
pub(super) struct PayloadRow<'p> {
    pub(super) key: &'p [u8],
    /// The value as it is stored.
    pub(super) stored: &'p [u8],
    /// Bytes of the value.
    pub(super) value_len: u32,
    pub(super) codec: Codec,
    pub(super) vcrc: u32,
    /// Where the value begins in the payload.
    pub(super) offset: u32,
}

/// Goes through the rows of an entry.
pub(super) struct PayloadRows<'p> {
    rest: &'p [u8],
    len: usize,
}

impl<'p> PayloadRows<'p> {
    /// From the first row on.
    pub(super) fn new(payload: &'p [u8]) -> Self {
        Self {
            rest: payload,
            len: payload.len(),
        }
    }

    /// The next row; `None` after the last.
    pub(super) fn next(&mut self) -> Result<Option<PayloadRow<'p>>> {
        if self.rest.is_empty() {
            return Ok(None);
        }
        let (key_len, stored_len) = (self.number()?, self.number()?);
        let (value_len, vcrc) = (self.number()?, self.number()?);
        let codec = self.take(1)?.first().copied().and_then(Codec::from_number);
        let codec = codec.ok_or("a row is packed by no codec that there is")?;
        let key = self.take(key_len as usize)?;
        let offset = (self.len - self.rest.len()) as u32;
        let stored = self.take(stored_len as usize)?;
        Ok(Some(PayloadRow {
            key,
            stored,
            value_len,
            codec,
            vcrc,
            offset,
        }))
    }

    fn number(&mut self) -> Result<u32> {
        let bytes = self.take(4)?.first_chunk().ok_or("four bytes are four")?;
        Ok(u32::from_le_bytes(*bytes))
    }

    fn take(&mut self, len: usize) -> Result<&'p [u8]> {
        let (taken, rest) = self
            .rest
            .split_at_checked(len)
            .ok_or("an entry ends within a row")?;
        self.rest = rest;
        Ok(taken)
    }
}

#[cfg(test)]
mod tests {
    use atoll_storage::unpack;

    use super::*;

    fn rows() -> Vec<Row> {
        (0..3_u8)
            .map(|number| Row {
                key: [number; 24],
                value: vec![number; 100 * usize::from(number)],
            })
            .collect()
    }

    #[test]
    fn what_is_encoded_is_found_where_it_says() {
        let (rows, payload) = (rows(), encode(&rows(), &Packer::default()));
        let mut found = PayloadRows::new(&payload);
        for row in &rows {
            let next = found.next().unwrap().unwrap();
            assert_eq!(
                (next.key, next.stored),
                (row.key.as_slice(), row.value.as_slice())
            );
            assert_eq!(next.vcrc, value_crc(&row.key, &row.value));
            let at = next.offset as usize;
            assert_eq!(&payload[at..at + next.stored.len()], next.stored);
        }
        assert!(found.next().unwrap().is_none());
    }

    #[test]
    fn what_packs_is_packed() {
        let rows = [(0, 300), (1, 300), (2, 20)].map(|(number, len)| Row {
            key: [number; 24],
            value: vec![number; len],
        });
        let payload = encode(&rows, &Packer::new(Codec::Lz4));
        let mut found = PayloadRows::new(&payload);
        for row in &rows {
            let next = found.next().unwrap().unwrap();
            assert_eq!(next.value_len as usize, row.value.len());
            assert_eq!(next.vcrc, value_crc(&row.key, &row.value));
            let value = unpack(next.codec, next.stored, row.value.len());
            assert_eq!(value.as_ref(), Some(&row.value));
            assert_eq!(next.codec == Codec::Lz4, row.value.len() >= 256);
        }
    }

    #[test]
    fn an_entry_that_is_cut_is_an_error_or_ends_between_rows() {
        let payload = encode(&rows(), &Packer::default());
        let whole = [0, 41, 182, payload.len()];
        for len in 0..=payload.len() {
            let mut found = PayloadRows::new(&payload[..len]);
            let ended = std::iter::repeat_with(|| found.next()).find_map(|next| match next {
                Ok(Some(_)) => None,
                Ok(None) => Some(true),
                Err(_) => Some(false),
            });
            assert_eq!(ended, Some(whole.contains(&len)), "{len}");
        }
    }
}
