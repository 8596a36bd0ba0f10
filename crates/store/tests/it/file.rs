//! The file itself: who may read it, what is refused at opening, and what a broken one does.

use std::fs::OpenOptions;
use std::os::unix::fs::{FileExt, PermissionsExt};
use std::path::Path;

use stead_model::journal::Durability;
use stead_store::{Completion, OpenError, Options, SqliteStore, Store, StoreError};

use crate::conformance::{PATIENCE, lock, open, sink};
use crate::sample::{agent, moving, node, registering, slot, unending};

fn refused(directory: &Path) -> OpenError {
    SqliteStore::open(lock(directory), Options::default(), sink().0).unwrap_err()
}

/// A store with a few thousand rows, closed.
fn a_filled_store(directory: &Path) {
    let (store, completions) = open(directory);
    let epoch = store.take(&[slot(1)], &node("me"), unending()).unwrap()[0].1;
    store.submit(registering(slot(1), epoch, 1, "web"));
    for position in 2..=900 {
        store.submit(moving(agent(slot(1), 1), "web", epoch, position, Durability::Written));
    }
    for _ in 1..=900 {
        let completion = completions.recv_timeout(PATIENCE).unwrap();
        assert!(matches!(completion, Completion::Committed(_)));
    }
}

fn overwrite(file: &Path, from: u64, bytes: &[u8]) {
    OpenOptions::new()
        .write(true)
        .open(file)
        .unwrap()
        .write_all_at(bytes, from)
        .unwrap();
}

#[test]
fn all_its_files_are_for_their_owner_alone() {
    let scratch = tempfile::tempdir().unwrap();
    let (store, _completions) = open(scratch.path());
    store.take(&[slot(1)], &node("me"), unending()).unwrap();
    let mut names = Vec::new();
    for entry in std::fs::read_dir(scratch.path()).unwrap() {
        let entry = entry.unwrap();
        assert_eq!(
            entry.metadata().unwrap().permissions().mode() & 0o777,
            0o600,
            "{entry:?}"
        );
        names.push(entry.file_name().into_string().unwrap());
    }
    names.sort();
    assert_eq!(names, ["lock", "stead.db", "stead.db-shm", "stead.db-wal"]);
}

#[test]
fn a_closed_store_is_one_file_that_opens_again() {
    let scratch = tempfile::tempdir().unwrap();
    a_filled_store(scratch.path());
    assert!(!scratch.path().join("stead.db-wal").exists());
    let (store, _completions) = open(scratch.path());
    let state = store.load(slot(1)).unwrap();
    assert_eq!((state.position.0, state.agents.len()), (900, 1));
}

#[test]
fn a_newer_schema_is_refused_and_left_alone() {
    let scratch = tempfile::tempdir().unwrap();
    a_filled_store(scratch.path());
    let file = scratch.path().join("stead.db");
    // `user_version` of a database file stands at byte 60.
    overwrite(&file, 60, &99_u32.to_be_bytes());
    let before = std::fs::read(&file).unwrap();
    let error = refused(scratch.path());
    assert!(
        matches!(
            error,
            OpenError::Newer {
                found: 99,
                known: 10,
                ..
            }
        ),
        "{error}"
    );
    assert!(error.to_string().contains("newer stead"));
    assert_eq!(std::fs::read(&file).unwrap(), before);
}

#[test]
fn a_file_of_something_else_is_refused() {
    let scratch = tempfile::tempdir().unwrap();
    let file = scratch.path().join("stead.db");
    std::fs::write(
        &file,
        b"These are the notes of somebody who named a file without looking, and they are longer than a header."
            .repeat(50),
    )
    .unwrap();
    let error = refused(scratch.path());
    assert!(
        matches!(
            error,
            OpenError::Store {
                source: StoreError::Corrupt { .. },
                ..
            }
        ),
        "{error:?}"
    );

    a_filled_store(&scratch.path().join("other"));
    let file = scratch.path().join("other/stead.db");
    // `application_id` stands at byte 68.
    overwrite(&file, 68, &7_u32.to_be_bytes());
    assert!(matches!(
        refused(&scratch.path().join("other")),
        OpenError::Foreign { .. }
    ));
}

#[test]
fn a_corrupt_file_is_reported_whichever_page_is_broken_and_never_believed() {
    let scratch = tempfile::tempdir().unwrap();
    a_filled_store(scratch.path());
    let file = scratch.path().join("stead.db");
    let whole = std::fs::read(&file).unwrap();
    let pages = whole.len() as u64 / 4096;
    assert!(pages > 20);
    let mut reported = 0;
    for page in 1..pages {
        std::fs::write(&file, &whole).unwrap();
        overwrite(&file, page * 4096, &[0xa5; 4096]);
        match SqliteStore::open(lock(scratch.path()), Options::default(), sink().0) {
            Err(OpenError::Store {
                source: StoreError::Corrupt { .. },
                ..
            }) => reported += 1,
            Err(other) => panic!("page {page}: {other:?}"),
            Ok(store) => match store.load(slot(1)) {
                Ok(state) => assert_eq!((state.position.0, state.agents.len()), (900, 1), "page {page}"),
                Err(StoreError::Corrupt { .. }) => reported += 1,
                Err(other) => panic!("page {page}: {other:?}"),
            },
        }
    }
    assert!(reported > 5, "{reported} of {pages}");
}

#[test]
fn a_directory_in_the_place_of_the_file_is_named() {
    let scratch = tempfile::tempdir().unwrap();
    std::fs::create_dir(scratch.path().join("stead.db")).unwrap();
    let error = refused(scratch.path());
    assert!(matches!(error, OpenError::Io { .. }));
    assert!(error.to_string().contains("stead.db"));
}
