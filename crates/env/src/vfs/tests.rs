//! What every file system must do, run against each of them.

use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::{File, MemVfs, OpenMode, OsVfs, Vfs, replace_file};

/// Runs a test on both file systems, in an empty folder.
async fn on_each<F>(test: impl Fn(Arc<dyn Vfs>, PathBuf) -> F)
where
    F: Future<Output = ()>,
{
    let folder = tempfile::tempdir().unwrap();
    test(Arc::new(OsVfs), folder.path().to_owned()).await;
    let mem = MemVfs::default();
    mem.create_dir_all(Path::new("/some/folder")).unwrap();
    test(Arc::new(mem), PathBuf::from("/some/folder")).await;
}

async fn create(vfs: &dyn Vfs, path: &Path, bytes: &[u8]) -> Arc<dyn File> {
    let file = vfs.open(path, OpenMode::CreateNew).unwrap();
    file.write_at(bytes, 0).await.unwrap();
    file
}

fn kind<T>(result: io::Result<T>) -> ErrorKind {
    result.err().expect("this fails").kind()
}

#[tokio::test]
async fn bytes_are_where_they_were_written() {
    on_each(|vfs, dir| async move {
        let file = create(&*vfs, &dir.join("a"), b"hello").await;
        assert_eq!(file.len().unwrap(), 5);
        file.write_at(b"J", 0).await.unwrap();
        file.write_at(b"far", 1000).await.unwrap();
        file.sync().await.unwrap();
        let again = vfs.open(&dir.join("a"), OpenMode::Read).unwrap();
        assert_eq!(again.len().unwrap(), 1003);
        let mut all = [9; 1003];
        again.read_exact_at(&mut all, 0).unwrap();
        assert_eq!(&all[..5], b"Jello");
        assert!(all[5..1000].iter().all(|byte| *byte == 0), "a gap reads as zeros");
        assert_eq!(&all[1000..], b"far");
    })
    .await;
}

#[tokio::test]
async fn a_read_is_short_only_at_the_end() {
    on_each(|vfs, dir| async move {
        let file = create(&*vfs, &dir.join("a"), b"0123456789").await;
        let mut buffer = [0; 6];
        assert_eq!(file.read_at(&mut buffer, 0).unwrap(), 6);
        assert_eq!(file.read_at(&mut buffer, 7).unwrap(), 3);
        assert_eq!(&buffer[..3], b"789");
        assert_eq!(file.read_at(&mut buffer, 10).unwrap(), 0);
        assert_eq!(file.read_at(&mut buffer, 11).unwrap(), 0);
        assert_eq!(kind(file.read_exact_at(&mut buffer, 5)), ErrorKind::UnexpectedEof);
        // In the page cache, having just been written.
        assert_eq!(file.try_read_at(&mut buffer, 2).unwrap(), Some(6));
        assert_eq!(&buffer, b"234567");
        assert_eq!(file.try_read_at(&mut buffer, 8).unwrap(), Some(2));
        assert_eq!(file.try_read_at(&mut buffer, 80).unwrap(), Some(0));
    })
    .await;
}

#[tokio::test]
async fn what_is_forgotten_in_memory_is_still_in_the_file() {
    on_each(|vfs, dir| async move {
        let bytes: Vec<u8> = (0..20_000_u32).map(|at| at as u8).collect();
        let file = create(&*vfs, &dir.join("a"), &bytes).await;
        file.sync().await.unwrap();
        for (offset, len) in [
            (0, 0),
            (4_500, 100),
            (0, 4_096),
            (19_999, 1),
            (8_192, 1 << 30),
            (1 << 30, 5),
        ] {
            file.forget_range(offset, len).unwrap();
            let mut read = vec![0; bytes.len()];
            file.read_exact_at(&mut read, 0).unwrap();
            assert_eq!(read, bytes, "{len} at {offset}");
        }
        file.write_at(b"new", 5_000).await.unwrap();
        file.forget_range(0, 20_000).unwrap();
        let mut read = [0; 3];
        file.read_exact_at(&mut read, 5_000).unwrap();
        assert_eq!(&read, b"new", "what waits to be written stays");
    })
    .await;
}

#[tokio::test]
async fn allocating_sets_the_length_and_keeps_the_bytes() {
    on_each(|vfs, dir| async move {
        let file = create(&*vfs, &dir.join("a"), b"head").await;
        file.allocate(8192).unwrap();
        assert_eq!(file.len().unwrap(), 8192);
        let mut bytes = vec![1; 8192];
        file.read_exact_at(&mut bytes, 0).unwrap();
        assert_eq!(&bytes[..4], b"head");
        assert!(bytes[4..].iter().all(|byte| *byte == 0));
        file.write_at(b"tail", 8188).await.unwrap();
        file.allocate(2).unwrap();
        assert_eq!(file.len().unwrap(), 2);
        file.allocate(8192).unwrap();
        file.read_exact_at(&mut bytes, 0).unwrap();
        assert_eq!(&bytes[..2], b"he");
        assert!(
            bytes[2..].iter().all(|byte| *byte == 0),
            "what was cut off does not come back"
        );
    })
    .await;
}

#[tokio::test]
async fn opening_checks_whether_there_is_a_file() {
    on_each(|vfs, dir| async move {
        let path = dir.join("a");
        assert_eq!(kind(vfs.open(&path, OpenMode::Read)), ErrorKind::NotFound);
        assert_eq!(kind(vfs.open(&path, OpenMode::Write)), ErrorKind::NotFound);
        assert_eq!(
            kind(vfs.open(&dir.join("no/a"), OpenMode::CreateNew)),
            ErrorKind::NotFound
        );
        create(&*vfs, &path, b"x").await;
        assert_eq!(
            kind(vfs.open(&path, OpenMode::CreateNew)),
            ErrorKind::AlreadyExists
        );
        assert_eq!(kind(vfs.open(&dir, OpenMode::Read)), ErrorKind::IsADirectory);
        let reader = vfs.open(&path, OpenMode::Read).unwrap();
        assert!(reader.write_at(b"y", 0).await.is_err(), "opened for reading");
        assert!(
            vfs.open(&path, OpenMode::Write)
                .unwrap()
                .write_at(b"y", 0)
                .await
                .is_ok()
        );
        let error = vfs.open(&dir.join("b"), OpenMode::Read).err().unwrap();
        assert!(
            error.to_string().contains(dir.to_str().unwrap()),
            "an error names the file: {error}"
        );
    })
    .await;
}

#[tokio::test]
async fn folders_list_their_names_in_order() {
    on_each(|vfs, dir| async move {
        vfs.create_dir_all(&dir.join("deep/deeper")).unwrap();
        vfs.create_dir_all(&dir.join("deep/deeper")).unwrap();
        for name in ["b", "a", "deep/inside", "c"] {
            create(&*vfs, &dir.join(name), b"").await;
        }
        assert_eq!(vfs.list(&dir).unwrap(), ["a", "b", "c", "deep"]);
        assert_eq!(vfs.list(&dir.join("deep")).unwrap(), ["deeper", "inside"]);
        assert!(vfs.list(&dir.join("deep/deeper")).unwrap().is_empty());
        assert_eq!(kind(vfs.list(&dir.join("nothing"))), ErrorKind::NotFound);
        assert!(
            vfs.create_dir_all(&dir.join("a/b")).is_err(),
            "a file is no folder"
        );
        assert!(vfs.exists(&dir.join("a")).unwrap());
        assert!(vfs.exists(&dir.join("deep")).unwrap());
        assert!(!vfs.exists(&dir.join("d")).unwrap());
        vfs.sync_dir(&dir).unwrap();
        assert_eq!(kind(vfs.sync_dir(&dir.join("nothing"))), ErrorKind::NotFound);
        assert!(vfs.free_bytes(&dir).unwrap() > 0);
        assert!(vfs.total_bytes(&dir).unwrap() >= vfs.free_bytes(&dir).unwrap());
    })
    .await;
}

#[tokio::test]
async fn renaming_replaces_and_removing_leaves_open_files() {
    on_each(|vfs, dir| async move {
        let (a, b) = (dir.join("a"), dir.join("b"));
        create(&*vfs, &a, b"new").await;
        let old = create(&*vfs, &b, b"old").await;
        vfs.rename(&a, &b).unwrap();
        assert_eq!(vfs.list(&dir).unwrap(), ["b"]);
        assert_eq!(vfs.read_small(&b, 10).unwrap(), b"new");
        let mut bytes = [0; 3];
        old.read_exact_at(&mut bytes, 0).unwrap();
        assert_eq!(&bytes, b"old", "who has it open keeps it");
        vfs.remove(&b).unwrap();
        assert!(vfs.list(&dir).unwrap().is_empty());
        assert_eq!(kind(vfs.remove(&b)), ErrorKind::NotFound);
        assert_eq!(kind(vfs.rename(&b, &a)), ErrorKind::NotFound);
        assert!(vfs.remove(&dir).is_err());
    })
    .await;
}

#[tokio::test]
async fn a_lock_is_held_once_until_dropped() {
    on_each(|vfs, dir| async move {
        let path = dir.join("LOCK");
        let held = vfs.lock(&path).unwrap();
        let error = vfs.lock(&path).err().unwrap();
        assert_eq!(error.kind(), ErrorKind::WouldBlock);
        assert!(error.to_string().contains("LOCK"), "{error}");
        assert!(vfs.exists(&path).unwrap());
        drop(held);
        let again = vfs.lock(&path).unwrap();
        assert_eq!(kind(vfs.lock(&path)), ErrorKind::WouldBlock);
        drop(again);
        assert_eq!(kind(vfs.lock(&dir.join("no/LOCK"))), ErrorKind::NotFound);
    })
    .await;
}

#[tokio::test]
async fn a_small_file_is_replaced_whole() {
    on_each(|vfs, dir| async move {
        let path = dir.join("identity");
        replace_file(&*vfs, &path, b"first").await.unwrap();
        create(&*vfs, &dir.join("identity.new"), b"left over by a crash").await;
        replace_file(&*vfs, &path, b"second").await.unwrap();
        assert_eq!(vfs.read_small(&path, 100).unwrap(), b"second");
        assert_eq!(vfs.list(&dir).unwrap(), ["identity"]);
        assert!(vfs.read_small(&path, 5).is_err(), "one byte too many");
    })
    .await;
}
