//! Scan pages of every kind against a sorted map.

use super::*;
use crate::shard::fetch::{Fetch, Miss};
use crate::shard::read::{ReadItem, ReadOp, ScanOp, ScanPage, ScanWhat, SlotSet, Step};
use crate::shard::reply::{Failure, Reply};
use atoll_env::Instant;
use atoll_types::SlotId;
use atoll_types::limits::{COUNT_PAGE_ROWS_MAX, SCAN_PAGE_BYTES};

fn fetch<'a>(bench: &'a Bench, snapshot: &'a crate::shard::state::Snapshot) -> Fetch<'a> {
    Fetch {
        state: &bench.state,
        journal: &bench.journal,
        snapshot,
        age_ms: 0,
        may_block: true,
    }
}

/// As the pool does it.
fn page(bench: &Bench, scan: &ScanOp) -> Reply {
    let snapshot = bench.state.snapshot();
    let fetch = fetch(bench, &snapshot);
    let mut page = ScanPage::new(scan);
    while let Step::Again = page.step(scan, &fetch).unwrap() {}
    page.into_reply(scan, fetch.proof(EPOCH))
}

/// A page that ends after its first chunk, or after the first with which somebody can go on.
fn short(bench: &Bench, scan: &ScanOp) -> Reply {
    let snapshot = bench.state.snapshot();
    let fetch = Fetch {
        may_block: false,
        ..fetch(bench, &snapshot)
    };
    let mut page = ScanPage::new(scan);
    while let Step::Again = page.step(scan, &fetch).unwrap() {
        if page.end_early(scan) {
            break;
        }
    }
    page.into_reply(scan, fetch.proof(EPOCH))
}

fn admitted(bench: &Bench, scan: ScanOp, slot_epoch: Epoch) -> Result<Reply, Miss> {
    let snapshot = bench.state.snapshot();
    let item = ReadItem {
        id: 0,
        cost: 0,
        deadline: Instant::from_nanos(1_000_000),
        consistency: crate::shard::Consistency::Linearizable,
        at: None,
        slot_epoch,
        op: ReadOp::Scan(Box::new(scan)),
    };
    fetch(bench, &snapshot).run(&item, Instant::from_nanos(1))
}

/// Keys with few distinct beginnings and of uneven lengths, so that ranges meet them.
fn key(rng: &Rng) -> Vec<u8> {
    let len = 1 + rng.below(4) + if rng.below(10) == 0 { 30 } else { 0 };
    (0..len).map(|_| b"ab\0\xff{}"[rng.below(6) as usize]).collect()
}

fn put_raw(key: &[u8], value: Vec<u8>) -> Command {
    let (key, value) = (Bytes::copy_from_slice(key), Bytes::from(value));
    Command::write(slot_of(&key), vec![Op::Put { key, value }])
}

fn value(rng: &Rng) -> Vec<u8> {
    let len: usize = [0, 5, 64, 65, 300, 30_000][rng.below(6) as usize];
    vec![rng.below(256) as u8; len]
}

async fn filled(rng: &Rng, rows: u64) -> (Bench, Model) {
    let (mut bench, mut model) = (Bench::born(0).await, Model::new());
    for _ in 0..rows / 20 {
        let mut commands = Vec::new();
        for _ in 0..20 {
            let (key, value) = (key(rng), value(rng));
            if rng.below(4) == 0 {
                model.remove(&key);
                let key = Bytes::from(key);
                commands.push(Command::write(slot_of(&key), vec![Op::Delete { key }]));
            } else {
                commands.push(put_raw(&key, value.clone()));
                model.insert(key, value);
            }
        }
        bench.commit(&commands).await;
    }
    (bench, model)
}

fn slots(rng: &Rng, model: &Model) -> Option<Arc<SlotSet>> {
    let of_keys: std::collections::BTreeSet<u32> = match rng.below(3) {
        0 => return None,
        1 => return Some(Arc::new(SlotSet::from_pairs(&[0, 16_383]).unwrap())),
        _ => model
            .keys()
            .filter(|_| rng.below(2) == 0)
            .map(|key| slot_of(key).0.into())
            .collect(),
    };
    let pairs: Vec<u32> = of_keys.into_iter().flat_map(|slot| [slot, slot]).collect();
    SlotSet::from_pairs(&pairs).ok().map(Arc::new)
}

type Plain = (Vec<u8>, Vec<u8>);

/// What the whole range holds, in the order of the scan.
fn expected(model: &Model, scan: &ScanOp) -> Vec<Plain> {
    let inside = |key: &[u8]| key >= &scan.start[..] && (scan.end.is_empty() || key < &scan.end[..]);
    let wanted = |key: &[u8]| {
        scan.slots
            .as_ref()
            .is_none_or(|slots| slots.contains(slot_of(key)))
    };
    let rows = model.iter().filter(|(key, _)| inside(key) && wanted(key));
    let mut rows: Vec<_> = rows.map(|(key, value)| (key.clone(), value.clone())).collect();
    if scan.reverse {
        rows.reverse();
    }
    rows
}

fn pass(scan: &mut ScanOp, last: &[u8]) {
    if scan.reverse {
        scan.end = Bytes::copy_from_slice(last);
    } else {
        scan.start = [last, &[0]].concat().into();
    }
}

type MakePage = fn(&Bench, &ScanOp) -> Reply;

/// Follows pages to the end by nothing but their last keys.
fn follow(bench: &Bench, page: MakePage, mut scan: ScanOp) -> (Vec<Plain>, u64) {
    let (mut all, mut counted) = (Vec::new(), 0);
    loop {
        let (last, more) = match page(bench, &scan) {
            Reply::Page { rows, more, .. } => {
                assert!(rows.len() <= scan.limit && (!more || !rows.is_empty()));
                let rows = rows
                    .into_iter()
                    .map(|row| (row.key.to_vec(), row.found.unwrap().1.to_vec()));
                let before = all.len();
                all.extend(rows);
                let bytes = |rows: &[Plain]| {
                    rows.iter()
                        .map(|(key, value)| key.len() + value.len())
                        .sum::<usize>()
                };
                let fresh = &all[before..];
                assert!(bytes(&fresh[..fresh.len().saturating_sub(1)]) < SCAN_PAGE_BYTES);
                (all.last().map(|(key, _)| key.clone()), more)
            }
            Reply::Counted {
                count,
                last_key,
                more,
                ..
            } => {
                assert!(count <= scan.limit as u64);
                counted += count;
                (Some(last_key.to_vec()), more)
            }
            other => panic!("{other:?}"),
        };
        if !more {
            return (all, counted);
        }
        pass(&mut scan, &last.unwrap());
    }
}

fn some_scan(rng: &Rng, model: &Model) -> ScanOp {
    let bound = || {
        if rng.below(3) == 0 {
            Bytes::new()
        } else {
            Bytes::from(key(rng))
        }
    };
    ScanOp {
        start: bound(),
        end: bound(),
        limit: [1, 2, 7, 255, 256, 257, 4096][rng.below(7) as usize],
        reverse: rng.below(2) == 0,
        what: [ScanWhat::Rows, ScanWhat::Keys, ScanWhat::Count][rng.below(3) as usize],
        slots: slots(rng, model),
    }
}

/// Compares a scan with the model; returns how many rows it met.
fn check(bench: &Bench, page: MakePage, model: &Model, scan: &ScanOp) -> usize {
    let mut expected = expected(model, scan);
    let (rows, counted) = follow(bench, page, scan.clone());
    if scan.what == ScanWhat::Count {
        assert_eq!(counted as usize, expected.len(), "{scan:?}");
        return expected.len();
    }
    if scan.what == ScanWhat::Keys {
        expected = expected.into_iter().map(|(key, _)| (key, Vec::new())).collect();
    }
    assert!(rows == expected, "{scan:?}");
    expected.len()
}

#[tokio::test]
async fn pages_of_every_kind_are_what_a_sorted_map_says() {
    let rng = Rng::seeded(77);
    for rows in [40, 300, 1000, 2000] {
        let (bench, model) = filled(&rng, rows).await;
        assert_eq!(bench.state.index.len(), model.len());
        let met: usize = (0..120)
            .map(|_| check(&bench, page, &model, &some_scan(&rng, &model)))
            .sum();
        assert!(met > 300, "ranges that meet rows: {met}");
    }
}

#[tokio::test]
async fn pages_that_end_early_leave_nothing_out() {
    let rng = Rng::seeded(79);
    let (bench, model) = filled(&rng, 2000).await;
    assert!(model.len() > 2 * 256, "{}", model.len());
    let met: usize = (0..120)
        .map(|_| check(&bench, short, &model, &some_scan(&rng, &model)))
        .sum();
    assert!(met > 300, "ranges that meet rows: {met}");
}

#[tokio::test]
async fn a_page_says_exactly_whether_more_follows() {
    let rng = Rng::seeded(78);
    let (bench, model) = filled(&rng, 600).await;
    for _ in 0..300 {
        let scan = some_scan(&rng, &model);
        let expected = expected(&model, &scan);
        match page(&bench, &scan) {
            Reply::Page { rows, more, .. } => assert_eq!(more, rows.len() < expected.len(), "{scan:?}"),
            Reply::Counted { count, more, .. } => {
                assert_eq!(count as usize, expected.len().min(scan.limit), "{scan:?}");
                assert_eq!(more, expected.len() > scan.limit, "{scan:?}");
            }
            other => panic!("{other:?}"),
        }
    }
}

#[tokio::test]
async fn a_short_page_of_few_slots_takes_no_more_steps_than_the_range_has_chunks() {
    let mut bench = Bench::born(0).await;
    let keys: Vec<String> = (0..4_000).map(|number| format!("{number:08}")).collect();
    let puts: Vec<Command> = keys.iter().map(|key| put(key, "v")).collect();
    bench.commit(&puts).await;
    let lone = u32::from(slot_of(keys[3_999].as_bytes()).0);
    let alike = keys
        .iter()
        .filter(|key| u32::from(slot_of(key.as_bytes()).0) == lone);
    let more_follow = alike.count() > 1;
    let slots = Arc::new(SlotSet::from_pairs(&[lone, lone]).unwrap());
    let snapshot = bench.state.snapshot();
    let fetch = fetch(&bench, &snapshot);
    for what in [ScanWhat::Rows, ScanWhat::Keys, ScanWhat::Count] {
        let scan = ScanOp {
            limit: 1,
            what,
            slots: Some(slots.clone()),
            ..ScanOp::default()
        };
        let (mut page, mut steps) = (ScanPage::new(&scan), 1);
        while let Step::Again = page.step(&scan, &fetch).unwrap() {
            steps += 1;
        }
        assert!(steps <= 4_000 / 256 + 1, "{what:?}: {steps}");
        match page.into_reply(&scan, fetch.proof(EPOCH)) {
            Reply::Page { rows, more, .. } => assert_eq!((rows.len(), more), (1, more_follow)),
            Reply::Counted { count, more, .. } => assert_eq!((count, more), (1, more_follow)),
            other => panic!("{other:?}"),
        }
    }
}

#[tokio::test]
async fn a_page_that_counts_looks_at_no_more_rows_than_its_bound() {
    let mut bench = Bench::born(0).await;
    let rows = COUNT_PAGE_ROWS_MAX + 300;
    for chunk in (0..rows).collect::<Vec<_>>().chunks(4096) {
        let commands: Vec<Command> = chunk
            .iter()
            .map(|number| put(&format!("{number:08}"), ""))
            .collect();
        bench.commit(&commands).await;
    }
    let none = slot_of(b"no such key at all");
    let all = [0, u32::from(none.0) - 1, u32::from(none.0) + 1, 16_383];
    for (slots, reverse) in [(&[0, 16_383][..], false), (&all[..], true)] {
        let slots = SlotSet::from_pairs(slots).unwrap();
        let scan = ScanOp {
            limit: COUNT_PAGE_ROWS_MAX,
            reverse,
            what: ScanWhat::Count,
            slots: Some(Arc::new(slots.clone())),
            ..ScanOp::default()
        };
        let Reply::Counted {
            count,
            more,
            last_key,
            ..
        } = page(&bench, &scan)
        else {
            panic!()
        };
        assert!(more && count as usize <= COUNT_PAGE_ROWS_MAX);
        let expected = if reverse { 300 } else { COUNT_PAGE_ROWS_MAX - 1 };
        assert_eq!(last_key, format!("{expected:08}"));
        let keys = (0..rows).filter(|number| slots.contains(slot_of(format!("{number:08}").as_bytes())));
        assert_eq!(follow(&bench, page, scan).1 as usize, keys.count());
    }
}

#[tokio::test]
async fn a_scan_that_names_slots_is_refused_unless_all_are_owned_at_their_epoch() {
    let mut bench = Bench::new(0).await;
    let owned = Command::genesis(CLUSTER, group(), vec![(100, 200), (300, 300)], EPOCH);
    bench.commit(&[owned]).await;
    let scan = |pairs: &[u32]| ScanOp {
        limit: 10,
        slots: Some(Arc::new(SlotSet::from_pairs(pairs).unwrap())),
        ..ScanOp::default()
    };
    for good in [&[100, 200, 300, 300][..], &[150, 150], &[300, 300]] {
        let reply = admitted(&bench, scan(good), EPOCH);
        assert!(
            matches!(reply, Ok(Reply::Page { more: false, .. })),
            "{good:?}: {reply:?}"
        );
    }
    for (wrong, slot) in [
        (&[99, 100][..], 99),
        (&[100, 201], 201),
        (&[100, 200, 300, 301], 301),
        (&[0, 16_383], 0),
    ] {
        let reply = admitted(&bench, scan(wrong), Epoch(0));
        let Err(Miss::Failed(Failure::NotOwner { slot: named, .. })) = reply else {
            panic!("{wrong:?}: {reply:?}")
        };
        assert_eq!(named, SlotId(slot));
    }
    let newer = admitted(&bench, scan(&[100, 200]), Epoch(EPOCH.0 + 1));
    assert!(
        matches!(newer, Err(Miss::Failed(Failure::NotOwner { .. }))),
        "{newer:?}"
    );
}
