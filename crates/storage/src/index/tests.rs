use std::collections::BTreeMap;

use atoll_types::limits::{APPEND_MEMORY_BYTES_MAX, VALUE_BYTES_MAX};
use atoll_types::{Codec, Key, Version};
use proptest::prelude::*;

use super::*;
use crate::journal::{JournalPointer, ReadError, ReadValue, value_crc};

/// Key → version and value, as a reader sees it.
type Rows = BTreeMap<Vec<u8>, (Version, Vec<u8>)>;

#[derive(Clone, Debug)]
enum Op {
    Put {
        key: u8,
        len: usize,
    },
    Delete {
        key: u8,
    },
    Append {
        key: u8,
        len: usize,
    },
    TakeView,
    DropView {
        at: usize,
    },
    /// After the entry: what is in memory becomes a layer below.
    Freeze,
}

/// Entries of up to three slices, with views coming and going at any point of them.
fn entries() -> impl Strategy<Value = Vec<Vec<Op>>> {
    let op = prop_oneof![
        12 => (any::<u8>(), 0..80_usize).prop_map(|(key, len)| Op::Put { key, len }),
        4 => any::<u8>().prop_map(|key| Op::Delete { key }),
        6 => (0..40_u8, 0..80_usize).prop_map(|(key, len)| Op::Append { key, len }),
        1 => (0..40_u8, 3000..9000_usize).prop_map(|(key, len)| Op::Append { key, len }),
        1 => Just(Op::TakeView),
        1 => (0..8_usize).prop_map(|at| Op::DropView { at }),
        1 => Just(Op::Freeze),
    ];
    let entry = prop_oneof![
        proptest::collection::vec(op.clone(), 0..20),
        proptest::collection::vec(op, 0..200)
    ];
    proptest::collection::vec(entry, 0..20)
}

fn key_of(key: u8) -> Vec<u8> {
    // Some inside the key, some on the heap, prefixes of each other.
    vec![b'a' + key % 7; 1 + usize::from(key) / 7]
}

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

fn check_view(view: &View, rows: &Rows) {
    let all: Vec<_> = view.scan(&[], &[], false, usize::MAX).unwrap();
    let expected: Vec<_> = rows
        .iter()
        .map(|(key, (version, value))| (key.clone(), *version, value.clone()))
        .collect();
    let plain = |rows: Vec<(Key, Version, ValueRef)>| -> Vec<_> {
        rows.into_iter()
            .map(|(key, version, value)| {
                let value = read(key.as_bytes(), &value);
                (key.as_bytes().to_vec(), version, value)
            })
            .collect()
    };
    assert_eq!(plain(all), expected);
    let (start, end) = (key_of(40), key_of(180));
    let (start, end) = if start < end { (start, end) } else { (end, start) };
    let inside = expected.iter().filter(|(key, ..)| *key >= start && *key < end);
    let mut reversed: Vec<_> = inside.cloned().collect();
    reversed.reverse();
    reversed.truncate(30);
    assert_eq!(plain(view.scan(&start, &end, true, 30).unwrap()), reversed);
    for key in (0..=255).step_by(5).map(key_of) {
        let row = view
            .get(&key, true)
            .unwrap()
            .map(|(version, value)| (version, read(&key, &value)));
        assert_eq!(row, rows.get(&key).cloned());
    }
}

struct Run {
    index: GroupIndex,
    writer: IndexWriter,
    rows: Rows,
    published: Rows,
    views: Vec<(View, Rows)>,
    version: Version,
    frozen: bool,
}

impl Run {
    fn new() -> Self {
        let index = GroupIndex::new();
        let writer = index.writer();
        let (rows, published) = (Rows::new(), Rows::new());
        Self {
            index,
            writer,
            rows,
            published,
            views: Vec::new(),
            version: Version(0),
            frozen: false,
        }
    }

    fn op(&mut self, op: &Op) {
        self.version = self.version.next();
        let version = self.version;
        match *op {
            Op::Put { key, len } => {
                let key = key_of(key);
                self.writer.put(&key, version, value_of(&key, version, len));
                self.rows.insert(key, (version, bytes_of(version, len)));
            }
            Op::Append { key, len } => self.append(key_of(key), len),
            Op::Delete { key } => {
                let key = key_of(key);
                self.writer.delete(&key, version);
                self.rows.remove(&key);
            }
            Op::TakeView => self.views.push((self.index.view(), self.published.clone())),
            Op::DropView { at } if at < self.views.len() => drop(self.views.swap_remove(at)),
            Op::DropView { .. } | Op::Freeze => {}
        }
    }

    fn append(&mut self, key: Vec<u8>, len: usize) {
        let (version, bytes) = (self.version, bytes_of(self.version, len));
        let suffix = if len <= APPEND_MEMORY_BYTES_MAX {
            Suffix::Memory(&bytes)
        } else {
            Suffix::Journal(pointer_to(&key, version, len))
        };
        let Some(old) = self.writer.value_of(&key) else {
            self.writer.put(&key, version, value_of(&key, version, len));
            self.rows.insert(key, (version, bytes));
            return;
        };
        let (before, value) = self.rows.get_mut(&key).unwrap();
        *before = version;
        value.extend_from_slice(&bytes);
        let joined = old.with_suffix(suffix, value_crc(&key, value));
        self.writer.put(&key, version, joined);
    }

    fn entry(&mut self, ops: &[Op], index: u64) {
        self.writer.begin(ops.len());
        for (number, op) in ops.iter().enumerate() {
            self.op(op);
            if number % 16 == 0 {
                self.check_writer(number as u8);
            }
            if number % 50 == 49 {
                self.check_views();
            }
        }
        self.check_views();
        self.version = self.version.next();
        self.writer.publish(self.version, index);
        self.published = self.rows.clone();
        self.check_views();
        let view = self.index.view();
        assert_eq!((view.applied_index(), view.version()), (index, self.version));
        check_view(&view, &self.published);
        if self.frozen {
            return;
        }
        assert_eq!(self.index.len(), self.rows.len());
        assert_eq!(self.index.is_empty(), self.rows.is_empty());
        if ops.iter().any(|op| matches!(op, Op::Freeze)) {
            self.writer.freeze();
            self.frozen = true;
            self.check_views();
            check_view(&self.index.view(), &self.published);
        }
    }

    fn check_writer(&mut self, key: u8) {
        let key = key_of(key);
        assert_eq!(
            self.writer.version_of(&key),
            self.rows.get(&key).map(|(version, _)| *version)
        );
        let newest = self
            .rows
            .range(key.clone()..)
            .map(|(_, (version, _))| *version)
            .max();
        assert_eq!(self.writer.newest_in(&key, &[]), newest);
        let value = self.writer.value_of(&key).map(|value| read(&key, &value));
        assert_eq!(value.as_ref(), self.rows.get(&key).map(|(_, value)| value));
        let end = key_of(200);
        for limit in [0, 1, 3, 4096] {
            let keys = self.writer.keys_in(&key, &end, limit);
            let inside = self.rows.range(key.clone()..).map(|(key, _)| key);
            let expected = inside.take_while(|key| **key < end).take(limit);
            assert!(keys.iter().map(Key::as_bytes).eq(expected.map(Vec::as_slice)));
        }
    }

    fn check_views(&self) {
        for (view, rows) in &self.views {
            check_view(view, rows);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn every_view_sees_its_point_and_nothing_is_kept_without_one(entries in entries()) {
        let mut run = Run::new();
        for (index, ops) in entries.iter().enumerate() {
            run.entry(ops, index as u64);
        }
        run.views.clear();
        // What the last views held goes a few rows at a time.
        for index in 0..20 {
            run.writer.publish(run.version, entries.len() as u64 + index);
        }
        if run.frozen {
            let kept = run.index.layers().active.tree.read().held()[1];
            prop_assert_eq!(kept, 0);
            return Ok(());
        }
        let (mut inline, mut joined, mut joined_bytes) = (0, 0, 0);
        for (_, _, value) in run.index.view().scan(&[], &[], false, usize::MAX).unwrap() {
            match value {
                ValueRef::Inline(_) => inline += 1,
                ValueRef::Journal(_) | ValueRef::Filed(_) => {}
                ValueRef::Joined(value) => (joined, joined_bytes) = (joined + 1, joined_bytes + value.memory_bytes()),
            }
        }
        let layers = run.index.layers();
        let tree = layers.active.tree.read();
        prop_assert_eq!(tree.held(), [run.rows.len(), 0, inline, joined, 0]);
        prop_assert_eq!(tree.joined_bytes(), joined_bytes);
    }
}

#[test]
fn without_views_an_entry_of_one_slice_keeps_nothing_even_for_a_moment() {
    let index = GroupIndex::new();
    let mut writer = index.writer();
    for round in 1..=3 {
        writer.begin(50);
        for key in 0..50 {
            let version = Version(round * 100 + u64::from(key));
            writer.put(&[key], version, value_of(&[key], version, 10));
        }
        writer.publish(Version(round * 100 + 60), round);
        assert_eq!(index.layers().active.tree.read().held(), [50, 0, 50, 0, 0]);
    }
}

const KEYS: u64 = 300;

/// Every key is of the same entry; returns which.
fn check_whole_entry(index: &GroupIndex, reverse: bool) -> u64 {
    let view = index.view();
    let entry = view.applied_index();
    let rows = view.scan(&[], &[], reverse, usize::MAX).unwrap();
    assert_eq!(rows.len() as u64, KEYS);
    for (key, version, value) in rows {
        assert_eq!(version.0 / 1000, entry);
        let bytes = value.inline_checked(key.as_bytes()).unwrap().unwrap();
        assert_eq!(bytes[..], entry.to_le_bytes());
    }
    entry
}

#[test]
fn readers_on_other_threads_never_see_half_an_entry() {
    let index = GroupIndex::new();
    let mut writer = index.writer();
    let key = |number: u64| number.to_be_bytes();
    let mut apply = |entry: u64| {
        writer.begin(KEYS as usize);
        for number in 0..KEYS {
            let version = Version(entry * 1000 + number);
            let bytes = entry.to_le_bytes();
            let value = InlineValue::new(&bytes, value_crc(&key(number), &bytes)).unwrap();
            writer.put(&key(number), version, ValueRef::Inline(value));
        }
        writer.publish(Version(entry * 1000 + KEYS), entry);
    };
    apply(1);
    std::thread::scope(|threads| {
        for reverse in [false, true] {
            let index = index.clone();
            threads.spawn(move || while check_whole_entry(&index, reverse) < 200 {});
        }
        (2..=200).for_each(&mut apply);
    });
}

#[test]
fn an_inline_value_of_another_key_is_not_taken_for_this_ones() {
    let value = ValueRef::Inline(InlineValue::new(b"v", value_crc(b"a", b"v")).unwrap());
    assert_eq!(
        value.inline_checked(b"a"),
        Some(Ok(bytes::Bytes::from_static(b"v")))
    );
    assert_eq!(value.inline_checked(b"b"), Some(Err(Mismatch)));
    assert_eq!(value_of(b"k", Version(1), 65).inline_checked(b"k"), None);
    assert_eq!(InlineValue::new(&[0; 65], 0), None);
}

#[test]
fn a_range_turned_around_is_empty() {
    let index = GroupIndex::new();
    let mut writer = index.writer();
    writer.put(b"m", Version(1), value_of(b"m", Version(1), 3));
    writer.publish(Version(1), 1);
    for (start, end) in [(&b"z"[..], &b"a"[..]), (b"m", b"m"), (b"n", b"m")] {
        assert!(index.view().scan(start, end, false, 10).unwrap().is_empty());
        assert!(index.view().scan(start, end, true, 10).unwrap().is_empty());
        assert_eq!(writer.newest_in(start, end), None);
    }
    assert_eq!(index.view().scan(b"m", b"", false, 0).unwrap(), []);
}

#[test]
fn a_row_with_a_key_of_24_bytes_takes_about_a_hundred() {
    let index = GroupIndex::new();
    let mut writer = index.writer();
    let rows: u64 = 100_000;
    let mut rng = fastrand::Rng::with_seed(1);
    for version in 1..=rows {
        let mut key = [0; 24];
        rng.fill(&mut key);
        let pointer = JournalPointer {
            segment: 1,
            offset: 2,
            stored_len: 256,
            len: 256,
            codec: Codec::None,
            vcrc: 3,
        };
        writer.put(&key, Version(version), ValueRef::Journal(pointer));
    }
    writer.publish(Version(rows), 1);
    let each = index.memory_bytes() as u64 / rows;
    assert!((60..=105).contains(&each), "{each}");
}

/// A value appended to with these lengths, in turn, until it is as long as a value may be.
fn grown(key: &[u8], sizes: &[usize]) -> (Vec<u8>, ValueRef) {
    let mut whole = bytes_of(Version(1), 100);
    let mut value = value_of(key, Version(1), 100);
    for (version, len) in (2_u64..).zip(sizes.iter().cycle()) {
        if whole.len() + len > VALUE_BYTES_MAX {
            return (whole, value);
        }
        let bytes = bytes_of(Version(version), *len);
        whole.extend_from_slice(&bytes);
        let suffix = match *len {
            0..=APPEND_MEMORY_BYTES_MAX => Suffix::Memory(&bytes),
            _ => Suffix::Journal(pointer_to(key, Version(version), *len)),
        };
        let mut sum = crc32fast::Hasher::new_with_initial(value.vcrc());
        sum.update(&bytes);
        value = value.with_suffix(suffix, sum.finalize());
    }
    unreachable!()
}

#[test]
fn a_value_built_of_any_appends_has_few_pieces_and_reads_whole() {
    for sizes in [&[100][..], &[1, 4097], &[4096], &[2049], &[4095, 2, 5000]] {
        let (whole, value) = grown(b"k", sizes);
        assert_eq!(read(b"k", &value), whole);
        let ValueRef::Joined(joined) = &value else {
            panic!()
        };
        let (own, pieces) = (joined.memory_bytes(), joined.pieces().len());
        assert!(
            pieces <= 2 * VALUE_BYTES_MAX / APPEND_MEMORY_BYTES_MAX + 2,
            "{pieces}"
        );
        assert!(own <= VALUE_BYTES_MAX + pieces * 48, "{own}");
    }
}

#[test]
fn pieces_that_do_not_make_the_value_are_told() {
    let whole = [vec![1; 100], vec![2; 10]].concat();
    let value = value_of(b"k", Version(1), 100);
    let suffix = Suffix::Memory(&whole[100..]);
    let sound = value.with_suffix(suffix, value_crc(b"k", &whole));
    assert_eq!(read(b"k", &sound), whole);
    let ValueRef::Joined(unsound) = value.with_suffix(suffix, 5) else {
        panic!()
    };
    assert!(matches!(unsound.read(b"k", read_piece), Err(ReadError::Joined)));
    let cold = |_: &Piece| Ok(ReadValue::WouldBlock);
    let ValueRef::Joined(joined) = &sound else {
        panic!()
    };
    assert_eq!(joined.read(b"k", cold).unwrap(), ReadValue::WouldBlock);
    assert!(matches!(
        joined.read(b"other", read_piece),
        Err(ReadError::Joined)
    ));
    let lost = JournalPointer {
        segment: 8,
        ..pointer_to(b"k", Version(2), 5000)
    };
    let ValueRef::Joined(lost) = sound.with_suffix(Suffix::Journal(lost), 5) else {
        panic!()
    };
    assert!(matches!(lost.read(b"k", read_piece), Err(ReadError::Io(_))));
    let same = sound.with_suffix(Suffix::Memory(&[]), sound.vcrc());
    assert_eq!(same, sound, "nothing appended changes nothing");
}

#[test]
fn a_value_in_a_value_file_is_kept_as_it_is_and_can_be_appended_to() {
    let pointer = FilePointer {
        file: 3,
        offset: u32::MAX,
        stored_len: 50,
        len: 100,
        codec: Codec::Zstd,
        vcrc: 0xDEAD_BEEF,
    };
    let index = GroupIndex::new();
    let mut writer = index.writer();
    let filed = ValueRef::Filed(pointer);
    let longer = filed.with_suffix(Suffix::Memory(b"more"), 5);
    assert_eq!((filed.len(), filed.vcrc()), (100, 0xDEAD_BEEF));
    assert_eq!((longer.len(), longer.vcrc()), (104, 5));
    writer.put(b"filed", Version(1), filed.clone());
    writer.put(b"longer", Version(1), longer.clone());
    writer.publish(Version(1), 1);
    let view = index.view();
    assert_eq!(view.get(b"filed", false).unwrap(), Some((Version(1), filed)));
    assert_eq!(
        view.get(b"longer", false).unwrap(),
        Some((Version(1), longer.clone()))
    );
    drop(view);
    let ValueRef::Joined(joined) = longer else {
        panic!()
    };
    assert!(matches!(
        joined.read(b"longer", read_piece),
        Err(ReadError::NoValueFile { file: 3 })
    ));
    writer.delete(b"filed", Version(2));
    writer.delete(b"longer", Version(2));
    writer.publish(Version(2), 2);
    assert_eq!(index.layers().active.tree.read().held(), [0, 0, 0, 0, 0]);
    assert_eq!(index.layers().active.tree.read().joined_bytes(), 0);
}

#[test]
fn short_values_stay_inside_the_index_when_appended_to() {
    let value = value_of(b"k", Version(1), 60);
    let whole = [vec![1; 60], vec![9; 4]].concat();
    let value = value.with_suffix(Suffix::Memory(&[9; 4]), value_crc(b"k", &whole));
    assert!(matches!(value, ValueRef::Inline(_)));
    assert_eq!(read(b"k", &value), whole);
    let whole = [whole, vec![8]].concat();
    let value = value.with_suffix(Suffix::Memory(&[8]), value_crc(b"k", &whole));
    assert!(matches!(value, ValueRef::Joined(_)));
    assert_eq!(read(b"k", &value), whole);
}

/// Puts or deletes the keys of a round.
fn commit_round(index: &GroupIndex, writer: &mut IndexWriter, (round, at): (u64, u64), deleting: bool) {
    // Of before the entry, and alive until it is published: what the entry replaces stays.
    let _reader = index.view();
    writer.begin(500);
    for key in (0..500).map(|key| format!("{round}/{key}").into_bytes()) {
        let value = InlineValue::new(b"x", value_crc(&key, b"x")).unwrap();
        if deleting {
            writer.delete(&key, Version(at));
        } else {
            writer.put(&key, Version(at), ValueRef::Inline(value));
        }
    }
    writer.publish(Version(at), at);
}

#[test]
fn deletions_beside_a_reader_do_not_gather_for_ever() {
    let index = GroupIndex::new();
    let mut writer = index.writer();
    let mut most = 0;
    for round in 0..100 {
        commit_round(&index, &mut writer, (round, 2 * round + 1), false);
        commit_round(&index, &mut writer, (round, 2 * round + 2), true);
        most = most.max(index.layers().active.tree.read().held()[0]);
    }
    assert!(index.is_empty());
    assert!(most < 5_000, "{most} rows, of which none is alive");
}

#[test]
fn versions_that_no_view_can_see_are_not_kept() {
    let index = GroupIndex::new();
    let mut writer = index.writer();
    let (key, long) = (b"k", vec![b'x'; 10_000]);
    let pointer = |version| ValueRef::Journal(pointer_to(key, version, long.len()));
    writer.begin(1);
    writer.put(key, Version(1), pointer(Version(1)));
    writer.publish(Version(1), 1);
    let view = index.view();
    writer.begin(1000);
    for version in (2..=1000).map(Version) {
        let old = writer.value_of(key).unwrap();
        let vcrc = version.0 as u32;
        writer.put(key, version, old.with_suffix(Suffix::Memory(b"y"), vcrc));
    }
    let [rows, older, _, joined, _] = index.layers().active.tree.read().held();
    assert_eq!((rows, older, joined), (1, 1, 1), "of the entry only the last one");
    writer.publish(Version(1000), 2);
    assert_eq!(
        view.get(key, true).unwrap(),
        Some((Version(1), pointer(Version(1))))
    );
    assert_eq!(index.view().get(key, true).unwrap().unwrap().0, Version(1000));
    drop(view);
    writer.begin(0);
    writer.publish(Version(1000), 3);
    assert_eq!(index.layers().active.tree.read().held()[1], 0);
}

#[test]
fn packed_values_of_the_journal_are_kept_as_they_are_and_their_places_are_given_back() {
    let index = GroupIndex::new();
    let mut writer = index.writer();
    let pointer = |number: u64| {
        let plain = JournalPointer {
            segment: u32::MAX,
            offset: number as u32,
            ..pointer_to(b"k", Version(number), 300)
        };
        // Every third one is as it is.
        let packed = plain.packed(Codec::Lz4, VALUE_BYTES_MAX as u32);
        packed.filter(|_| !number.is_multiple_of(3)).unwrap_or(plain)
    };
    let key = |number: u64| number.to_be_bytes();
    for number in 1..=30_u64 {
        writer.put(&key(number), Version(number), ValueRef::Journal(pointer(number)));
    }
    writer.publish(Version(30), 1);
    let view = index.view();
    let kept = |view: &View| {
        for number in 1..=30_u64 {
            let (_, value) = view.get(&key(number), false).unwrap().unwrap();
            assert_eq!(value, ValueRef::Journal(pointer(number)));
            assert_eq!(
                value.len(),
                if number.is_multiple_of(3) {
                    300
                } else {
                    VALUE_BYTES_MAX
                }
            );
        }
    };
    kept(&view);
    let places = || index.layers().active.tree.read().held()[4];
    assert_eq!(places(), 20);
    for number in 1..=30_u64 {
        writer.put(&key(number), Version(30 + number), ValueRef::Journal(pointer(2)));
    }
    writer.publish(Version(60), 2);
    kept(&view);
    assert_eq!(places(), 50, "what the view sees is there");
    drop(view);
    for number in 1..=30_u64 {
        writer.delete(&key(number), Version(60 + number));
    }
    writer.publish(Version(90), 3);
    for entry in 4..10 {
        writer.begin(0);
        writer.publish(Version(90), entry);
    }
    assert_eq!(places(), 0);
}

/// After a restart or an installed snapshot the rows of old versions may be there, and nobody has said yet up to where all are.
#[test]
fn whether_an_earlier_version_is_kept_is_not_known_before_it_was_said() {
    let (last, earlier, gone) = (Version(9), Version(5), Version(2));
    let below = Below::new(vec![], BTreeMap::new(), Version(3));
    let index = GroupIndex::restored(last, 7, below, &NodeRows::default());
    let at = |version| index.view().at_version(version).map(|view| view.version());
    assert_eq!(at(last), Ok(last));
    assert_eq!(at(earlier), Err(NotKept::Unsaid));
    let oldest = Version(3);
    assert_eq!(at(gone), Err(NotKept::Compacted { oldest }), "that is certain");
    let newest = last;
    assert_eq!(at(Version(10)), Err(NotKept::Ahead { newest }));
    index.writer().keep_history(Some(Version(4)));
    assert_eq!(at(earlier), Ok(last));
    index.writer().keep_history(None);
    let oldest = last;
    assert_eq!(at(earlier), Err(NotKept::Compacted { oldest }));
}
