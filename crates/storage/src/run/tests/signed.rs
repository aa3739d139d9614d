//! Bytes that are wrong although every sum is right: what a sum cannot see is refused all the same.

use super::super::block::{Block, BlockBuilder, Malformed, RESTART_ROWS};
use super::super::layout::{FOOTER_LEN, Footer, sum};
use super::super::window::Window;
use super::*;

/// Blocks of one row each.
fn rows() -> Rows {
    let row = |number: u8| {
        (
            (vec![1, number], Reverse(Version(1))),
            inline(vec![number; 9_000]),
        )
    };
    (0..4).map(row).collect()
}

fn footer_of(bytes: &[u8]) -> Footer {
    let footer = &bytes[bytes.len() - FOOTER_LEN..];
    Footer::decode(footer, SALT, bytes.len() as u64).unwrap().0
}

/// The run with another footer, which is signed.
fn with_footer(bytes: &[u8], footer: Footer) -> Vec<u8> {
    [&bytes[..bytes.len() - FOOTER_LEN], &footer.encode(SALT).0].concat()
}

fn sign(bytes: &mut [u8], start: usize, end: usize) -> [u8; 4] {
    let sum = sum(SALT, start as u64, &bytes[start..end]).to_le_bytes();
    bytes[end..end + 4].copy_from_slice(&sum);
    sum
}

#[test]
fn parts_that_leave_a_gap_or_overlap_are_refused() {
    let (bytes, _) = bytes_of(&rows());
    let footer = footer_of(&bytes);
    assert!(open(with_footer(&bytes, footer)).is_ok());
    let mut gap = bytes.clone();
    gap.splice(bytes.len() - FOOTER_LEN..bytes.len() - FOOTER_LEN, [0; 8]);
    let longer = Footer {
        file_len: footer.file_len + 8,
        ..footer
    };
    let gap = with_footer(&gap, longer);
    assert!(matches!(
        open(gap),
        Err(RunError::Damaged {
            part: "the footer",
            ..
        })
    ));
    let changes: [fn(&mut Footer); 8] = [
        |footer| footer.filter.len += 64,
        |footer| footer.filter.offset -= 1,
        |footer| footer.index.len += 1,
        |footer| footer.index.offset = u64::MAX,
        |footer| footer.summary.len = u64::MAX,
        |footer| footer.blocks += 1,
        |footer| footer.blocks -= 1,
        |footer| footer.blocks = u32::MAX,
    ];
    for (number, change) in changes.into_iter().enumerate() {
        let mut changed = footer;
        change(&mut changed);
        let opened = open(with_footer(&bytes, changed));
        assert!(
            matches!(opened, Err(RunError::Damaged { .. })),
            "{number}: {opened:?}"
        );
    }
}

#[test]
fn an_index_that_does_not_end_where_the_blocks_do_is_refused() {
    let (mut bytes, _) = bytes_of(&rows());
    let mut footer = footer_of(&bytes);
    let start = footer.index.offset as usize;
    bytes[start] -= 1;
    let own = sign(&mut bytes, start, start + footer.index.len as usize);
    footer.index.sums = crc32fast::hash(&own);
    let opened = open(with_footer(&bytes, footer));
    assert!(
        matches!(
            opened,
            Err(RunError::Damaged {
                part: "the index",
                ..
            })
        ),
        "{opened:?}"
    );
}

#[test]
fn a_cursor_in_a_block_that_makes_no_sense_stays_there_until_it_is_sent_elsewhere() {
    let (mut bytes, _) = bytes_of(&rows());
    let place = open(bytes.clone()).unwrap().index().place(2).unwrap();
    let start = place.offset as usize;
    // The first row repeats bytes of none.
    bytes[start] = 9;
    sign(&mut bytes, start, start + place.len as usize - 4);
    for direction in [Direction::Forward, Direction::Backward] {
        let run = Arc::new(open(bytes.clone()).unwrap());
        assert!(matches!(
            run.get(&[1, 2], Version(1), true),
            Err(ReadError::Run { .. })
        ));
        let mut cursor = RunCursor::new(run, (b"", b""), direction);
        let sound = (0..4).take_while(|_| cursor.step(true).is_ok()).count();
        assert_eq!(sound, if direction == Direction::Forward { 2 } else { 1 });
        for _ in 0..3 {
            assert!(
                matches!(cursor.step(true), Err(ReadError::Run { .. })),
                "not the end"
            );
            assert!(cursor.current().is_none());
        }
        cursor.seek(&[1, 1], Version(1));
        assert_eq!(cursor.step(true).unwrap(), Step::Row);
        let found = cursor.current().unwrap().key[1];
        assert_eq!(found, u8::from(direction == Direction::Forward));
    }
}

#[test]
fn a_key_or_an_interval_beyond_its_bound_is_malformed() {
    let mut builder = BlockBuilder::default();
    let mut bytes = Vec::new();
    builder.push(&[0; ROW_KEY_MAX], 0, Version(1), &[]);
    builder.push(&[0; ROW_KEY_MAX + 1], ROW_KEY_MAX, Version(1), &[]);
    builder.finish(&mut bytes);
    let mut window = Window::default();
    let block = Block::new(bytes.into()).unwrap();
    assert_eq!(window.load(&block, 0), Err(Malformed));

    let mut bytes = Vec::new();
    for row in 0..=RESTART_ROWS {
        builder.push(&[0, row as u8], 1, Version(1), &[]);
    }
    builder.finish(&mut bytes);
    let sound = Block::new(bytes.clone().into()).unwrap();
    assert_eq!((window.load(&sound, 0), window.len()), (Ok(()), RESTART_ROWS));
    // Without its second restart, all rows are of the first.
    bytes.truncate(bytes.len() - 4);
    bytes.extend_from_slice(&1_u16.to_le_bytes());
    let block = Block::new(bytes.into()).unwrap();
    assert_eq!(window.load(&block, 0), Err(Malformed));
    assert_eq!(window.len(), 0);
}
