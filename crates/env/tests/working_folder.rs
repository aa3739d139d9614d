//! Paths without a parent: relative ones of one component. A test program of its own, because the
//! working folder belongs to the whole process.

use std::path::Path;

use atoll_env::vfs::{OpenMode, OsVfs, Vfs, replace_file};

#[tokio::test]
async fn a_path_of_one_component_is_in_the_working_folder() {
    let folder = tempfile::tempdir().unwrap();
    std::env::set_current_dir(folder.path()).unwrap();
    OsVfs.create_dir_all(Path::new("data")).unwrap();
    OsVfs.create_dir_all(Path::new("deep/deeper")).unwrap();
    replace_file(&OsVfs, Path::new("file"), b"bytes").await.unwrap();
    assert_eq!(OsVfs.list(Path::new("")).unwrap(), ["data", "deep", "file"]);
    assert_eq!(OsVfs.list(folder.path()).unwrap(), ["data", "deep", "file"]);
    assert!(OsVfs.free_bytes(Path::new("")).unwrap() > 0);
    OsVfs.sync_dir(Path::new("")).unwrap();
    OsVfs.open(Path::new("file"), OpenMode::Read).unwrap();
}
