//! A key with so many versions that they fill blocks.

use super::*;

#[test]
fn each_version_of_a_key_is_found_in_its_block() {
    const VERSIONS: u64 = 5_000;
    let mut rows = Rows::new();
    for name in ["j", "k", "ka", "l"] {
        let key = format!("\0{name}").into_bytes();
        let count = if name == "k" { VERSIONS } else { 3 };
        for number in 0..count {
            let version = Version(10 + number * 2);
            rows.insert((key.clone(), Reverse(version)), inline(version.0.to_string()));
        }
    }
    let (bytes, _) = bytes_of(&rows);
    let run = Arc::new(open(bytes).unwrap());
    assert!(run.index().len() > 5, "{} blocks", run.index().len());
    for at in (0..VERSIONS * 2 + 30).step_by(7).chain([9, 10, 11, u64::MAX]) {
        for key in [&b"\0j"[..], b"\0k", b"\0ka", b"\0l", b"\0kb"] {
            let looked = run.get(key, Version(at), true).unwrap();
            assert_eq!(looked, expected(&rows, key, Version(at)), "{key:?} at {at}");
        }
    }
    let keys = (&b"\0k"[..], &b"\0k\0"[..]);
    let forward = walk(&mut RunCursor::new(run.clone(), keys, Direction::Forward)).unwrap();
    let mut backward = walk(&mut RunCursor::new(run, keys, Direction::Backward)).unwrap();
    backward.reverse();
    assert_eq!(forward.len(), VERSIONS as usize);
    assert_eq!(forward, backward);
    assert!(forward.is_sorted_by(|one, next| one.1 > next.1), "newest first");
}
