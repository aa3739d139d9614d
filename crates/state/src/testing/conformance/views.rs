//! Reading.

use std::sync::atomic::{AtomicBool, Ordering};

use crate::testing::look::check_range;
use crate::testing::{Bench, Make, Seen, append, at_slot, check, delete, delete_range, entry, put, seen_by};
use crate::{Ask, PAGE_BYTES, PAGE_ROWS};

/// Ranges with ends that are keys and that are not, empty ones, ones that are turned around, pages of any length.
pub async fn pages_have_bounds_and_both_ends(make: Make<'_>) {
    let mut bench = Bench::new(make).await;
    let puts: Vec<_> = (0..700)
        .map(|n| put(format!("k{n:03}"), format!("{n}")))
        .collect();
    bench.commit(&[at_slot(puts)]).await;
    let gone: Vec<_> = (100..450).map(|n| delete(format!("k{n:03}"))).collect();
    bench.commit(&[at_slot(gone)]).await;
    let (view, seen) = (bench.view(), bench.oracle.seen());
    let ends = [
        "", "a", "k000", "k0000", "k099", "k100", "k300", "k450", "k699", "k7", "z",
    ];
    for start in ends {
        for end in ends {
            check_range(&*view, &seen, (start.as_bytes(), end.as_bytes()));
        }
    }
    let ask = Ask {
        rows: 0,
        ..Ask::range(b"", b"")
    };
    let page = view.page(&ask).unwrap();
    assert!(page.rows.len() <= 1 && page.passed.is_some(), "0 rows count as 1");
    let page = view
        .page(&Ask {
            rows: usize::MAX,
            ..ask
        })
        .unwrap();
    assert!(page.rows.len() <= PAGE_ROWS);

    let value = vec![5; PAGE_BYTES / 3];
    for n in 0..10 {
        bench.commit(&[at_slot([put(format!("long{n}"), &value)])]).await;
    }
    let page = bench.view().page(&Ask::range(b"long", b"")).unwrap();
    assert!(
        page.rows.len() <= 3 && page.passed.is_some(),
        "a page is bounded by bytes"
    );
    bench.check();
}

/// Views go on seeing their moment while keys are overwritten, removed, made again and appended to behind them.
pub async fn views_stay_what_they_were(make: Make<'_>) {
    let mut bench = Bench::new(make).await;
    let mut kept = Vec::new();
    for round in 0..12_u32 {
        kept.push((bench.view(), bench.oracle.seen()));
        let puts = (0..40).map(|n| {
            put(
                format!("k{:02}", (n * 7 + round * 3) % 60),
                format!("{round}:{n}"),
            )
        });
        let mut commands = vec![at_slot(puts.collect::<Vec<_>>())];
        commands.push(at_slot([append("log", format!("round {round};").repeat(30))]));
        match round % 4 {
            1 => commands.push(at_slot([delete_range("k10", "k30", 100)])),
            2 => commands.push(at_slot([delete("log"), put(format!("only{round}"), "")])),
            3 => commands.push(at_slot([
                delete_range("k", "l", 3),
                delete(format!("only{}", round - 1)),
            ])),
            _ => {}
        }
        bench.commit(&commands).await;
        bench.check();
        // Some are let go, neither first nor last.
        if round % 3 == 2 {
            kept.remove(kept.len() / 2);
        }
        for (view, seen) in &kept {
            check(&**view, seen);
        }
    }
    while !kept.is_empty() {
        drop(kept.remove(0));
        bench
            .commit(&[at_slot([delete_range("k", "l", 1)]), at_slot([put("k99", "x")])])
            .await;
        for (view, seen) in &kept {
            check(&**view, seen);
        }
    }
    bench.check();
}

/// What is applied and not published is seen by nobody, however much it is.
pub async fn an_entry_shows_when_it_is_published(make: Make<'_>) {
    let mut bench = Bench::new(make).await;
    bench
        .commit(&[at_slot([put("k0500", "old"), put("stays", "old")])])
        .await;
    let (before, seen) = (bench.view(), bench.oracle.seen());
    let puts: Vec<_> = (0..1000)
        .map(|n| put(format!("k{n:04}"), format!("{n}")))
        .collect();
    let payload = entry(&[
        at_slot(puts),
        at_slot([delete("stays")]),
        at_slot([delete("k0001")]),
    ]);
    let outcomes = bench.apply_unseen(&payload).await;
    check(&*bench.view(), &seen);
    assert_eq!(bench.oracle.apply(&payload), outcomes);
    let between = bench.view();
    bench.publish();
    bench.check();
    check(&*before, &seen);
    check(&*between, &seen);
}

/// An entry without commands moves the point of views, and nothing else.
pub async fn entries_without_changes_move_the_point(make: Make<'_>) {
    let mut bench = Bench::new(make).await;
    bench.commit(&[at_slot([put("k", "v")])]).await;
    let (before, seen) = (bench.view(), bench.oracle.seen());
    bench.commit_blank().await;
    bench.check();
    bench.commit(&[]).await;
    bench.check();
    check(&*before, &seen);
    assert_eq!(bench.view().applied_index(), seen.applied_index + 2);
}

const KEYS: usize = 150;

fn key(n: usize) -> String {
    format!("k{n:04}")
}

/// Checks that what is seen is one of the entries below; false before the first.
fn is_one_entry(seen: &Seen) -> bool {
    let Some((first, (version, number))) = seen.rows.first_key_value() else {
        return false;
    };
    let round: usize = std::str::from_utf8(number).unwrap().parse().unwrap();
    assert_eq!((seen.rows.len(), &first[..]), (KEYS, key(round).as_bytes()));
    let row = (*version, number.clone());
    assert!(seen.rows.values().all(|other| *other == row));
    true
}

/// Every entry writes its number to all keys of a set that moves, and removes the rest. Whoever reads meanwhile finds exactly
/// one number, on exactly the keys of its entry.
pub async fn readers_on_other_threads_see_whole_entries(make: Make<'_>) {
    let mut bench = Bench::new(make).await;
    let mut payloads = Vec::new();
    for round in 0..60_usize {
        let puts: Vec<_> = (round..round + KEYS)
            .map(|n| put(key(n), format!("{round}")))
            .collect();
        let payload = entry(&[at_slot([delete_range("k", "l", 4000)]), at_slot(puts)]);
        bench.append(&payload).await;
        payloads.push(payload);
    }
    let (reader, done) = (bench.reader(), AtomicBool::new(false));
    let looks = std::thread::scope(|threads| {
        let look = || {
            let mut looks = 0;
            while !done.load(Ordering::Relaxed) {
                looks += usize::from(is_one_entry(&seen_by(&*reader.view())));
            }
            looks
        };
        let readers = [threads.spawn(look), threads.spawn(look)];
        for payload in &payloads {
            bench.apply_next(payload);
            bench.publish();
        }
        done.store(true, Ordering::Relaxed);
        readers.map(|reader| reader.join().unwrap())
    });
    for payload in &payloads {
        bench.oracle.apply(payload);
    }
    bench.check();
    assert!(looks.iter().sum::<usize>() > 0, "nobody looked");
}
