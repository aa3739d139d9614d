//! Each property, broken on purpose.

use super::Invariants;

type Fact = (usize, &'static str, Vec<u64>);

/// A group of three in which replica 1 leads term 1 and has one entry, durable on 1 and 2.
fn sound() -> Vec<Fact> {
    let mut facts = Vec::new();
    for replica in 1..=3 {
        facts.push(fact(replica, "raft opened", &[0, 0]));
        facts.push(fact(replica, "raft voters", &[0, 3]));
        facts.push(fact(replica, "raft voted", &[1, 1, 0]));
    }
    facts.push(fact(1, "raft voted", &[1, 1, 1]));
    for replica in 1..=3 {
        facts.push(fact(replica, "raft appended", &[0, 1, 1, 77]));
    }
    facts.push(fact(1, "raft durable", &[0, 1, 1]));
    facts.push(fact(2, "raft durable", &[0, 1, 1]));
    facts
}

fn fact(replica: u64, name: &'static str, facts: &[u64]) -> Fact {
    let all = [9, 1, replica].iter().chain(facts).copied().collect();
    (replica as usize, name, all)
}

fn judge(facts: &[Fact]) -> Vec<String> {
    let mut invariants = Invariants::default();
    for (node, name, facts) in facts {
        invariants.hear(*node, name, facts);
    }
    invariants.take_violations()
}

fn with(more: &[Fact]) -> Vec<String> {
    judge(&[sound(), more.to_vec()].concat())
}

#[test]
fn what_is_in_order_passes() {
    let more = [
        fact(1, "raft applied", &[0, 1, 1]),
        fact(1, "shard state", &[0, 5]),
        fact(2, "raft applied", &[0, 1, 1]),
        fact(2, "shard state", &[0, 5]),
        // 3 was not durable; what it appended is gone after a crash.
        fact(3, "raft opened", &[0, 1]),
        fact(3, "raft voted", &[1, 1, 0]),
        fact(2, "raft opened", &[1, 1]),
        fact(2, "raft found", &[0, 1, 1]),
        fact(2, "raft voted", &[2, 2, 0]),
        fact(3, "raft voted", &[2, 2, 0]),
        fact(2, "raft appended", &[1, 2, 2, 8]),
        fact(2, "raft truncated", &[1]),
        fact(2, "raft appended", &[1, 2, 2, 8]),
        // Of two elected in a term the lower one wakes up late, and lacks what the higher committed.
        fact(1, "raft voted", &[3, 1, 0]),
        fact(3, "raft voted", &[3, 1, 0]),
        fact(2, "raft voted", &[3, 2, 0]),
        fact(3, "raft voted", &[3, 2, 1]),
        fact(3, "raft appended", &[0, 1, 1, 77]),
        fact(3, "raft appended", &[1, 2, 2, 8]),
        fact(3, "raft durable", &[1, 2, 2]),
        fact(2, "raft durable", &[1, 2, 2]),
        fact(2, "raft opened", &[2, 1]),
        fact(2, "raft found", &[0, 1, 1]),
        fact(2, "raft found", &[1, 2, 2]),
        fact(2, "raft voted", &[3, 2, 1]),
        fact(2, "raft applied", &[0, 1, 1]),
        fact(2, "raft applied", &[1, 2, 2]),
        fact(1, "raft appended", &[1, 3, 1, 8]),
        fact(1, "shard owns", &[0, 1, 0, 99]),
        fact(2, "shard owns", &[0, 1, 0, 99]),
    ];
    assert_eq!(with(&more), Vec::<String>::new());
}

#[test]
#[expect(clippy::too_many_lines, reason = "a table of errors")]
fn planted_errors_are_found() {
    let applied = fact(1, "raft applied", &[0, 1, 1]);
    let bad: [(&str, Vec<Fact>); 12] = [
        (
            "leads with 1",
            vec![
                fact(2, "raft voted", &[2, 2, 0]),
                fact(2, "raft appended", &[1, 2, 2, 8]),
            ],
        ),
        (
            "elsewhere the same entry",
            vec![
                fact(1, "raft appended", &[1, 1, 1, 8]),
                fact(2, "raft appended", &[1, 1, 1, 9]),
            ],
        ),
        (
            "without the committed entry",
            vec![
                applied.clone(),
                fact(3, "raft opened", &[0, 1]),
                fact(3, "raft voted", &[2, 3, 0]),
                fact(2, "raft voted", &[2, 3, 0]),
                fact(3, "raft appended", &[0, 2, 3, 8]),
            ],
        ),
        (
            "applied while only [1, 2]",
            vec![fact(1, "raft voters", &[0, 5]), applied.clone()],
        ),
        (
            "another replica applied",
            vec![
                applied.clone(),
                fact(3, "raft truncated", &[0]),
                fact(3, "raft appended", &[0, 1, 2, 8]),
                fact(3, "raft applied", &[0, 1, 2]),
            ],
        ),
        (
            "another replica came to",
            vec![fact(1, "shard state", &[0, 5]), fact(2, "shard state", &[0, 6])],
        ),
        ("durable entries are gone", vec![fact(1, "raft opened", &[0, 1])]),
        (
            "was durable there",
            vec![fact(1, "raft opened", &[1, 1]), fact(1, "raft found", &[0, 1, 2])],
        ),
        ("the vote", vec![fact(3, "raft opened", &[0, 0])]),
        (
            "it had voted",
            vec![
                fact(3, "raft voted", &[2, 1, 0]),
                fact(3, "raft voted", &[1, 2, 0]),
            ],
        ),
        ("is next", vec![applied.clone(), applied]),
        (
            "is owned by",
            vec![
                (1, "shard owns", vec![1, 1, 1, 3, 1, 0, 9]),
                (1, "shard owns", vec![2, 1, 1, 3, 1, 9, 20]),
            ],
        ),
    ];
    for (what, facts) in bad {
        let found = with(&facts);
        assert!(
            found.iter().any(|found| found.contains(what)),
            "{what}: {found:?}"
        );
    }
}

#[test]
fn a_spoiled_disk_is_excused_from_remembering_only() {
    let mut invariants = Invariants::default();
    invariants.distrust(1);
    for (node, name, facts) in &sound() {
        invariants.hear(*node, name, facts);
    }
    let (_, name, facts) = fact(1, "raft opened", &[0, 0]);
    invariants.hear(1, name, &facts);
    assert_eq!(invariants.take_violations(), Vec::<String>::new());
    let (_, name, facts) = fact(2, "raft opened", &[0, 0]);
    invariants.hear(2, name, &facts);
    assert_eq!(invariants.take_violations().len(), 1);
}
