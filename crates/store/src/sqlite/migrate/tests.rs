use stead_model::{Event, Happening};

use super::*;

const FIRST: Migration = Migration {
    version: 1,
    sql: "CREATE TABLE things (name TEXT) STRICT; INSERT INTO things VALUES ('old');",
};
const SECOND: Migration = Migration {
    version: 2,
    sql: "ALTER TABLE things ADD COLUMN size INTEGER; UPDATE things SET size = 1;",
};

fn file(scratch: &tempfile::TempDir) -> PathBuf {
    scratch.path().join("stead.db")
}

fn opened(path: &Path, migrations: &[Migration]) -> Result<Connection, OpenError> {
    open(path, migrations, Wall::from_unix_millis(5))
}

#[test]
fn a_migration_keeps_the_rows_and_leaves_the_file_as_it_was_beside_it() {
    let scratch = tempfile::tempdir().unwrap();
    drop(opened(&file(&scratch), &[FIRST]).unwrap());
    let connection = opened(&file(&scratch), &[FIRST, SECOND]).unwrap();
    let row = connection.query_row("SELECT name, size FROM things", [], |row| {
        Ok((row.get(0)?, row.get(1)?))
    });
    assert_eq!(row.unwrap(), ("old".to_owned(), 1));

    let backup = scratch.path().join("stead.db.bak-v1");
    assert_eq!(std::fs::metadata(&backup).unwrap().permissions().mode() & 0o777, 0o600);
    let connection = opened(&backup, &[FIRST]).unwrap();
    let columns = connection.query_row("SELECT count(*) FROM pragma_table_info('things')", [], |row| row.get(0));
    assert_eq!(columns, Ok(1));
}

#[test]
fn events_of_updates_that_nobody_could_read_are_read_after_the_migration() {
    let scratch = tempfile::tempdir().unwrap();
    let before: Vec<_> = MIGRATIONS
        .iter()
        .take_while(|step| step.version < 9)
        .map(|step| Migration { ..*step })
        .collect();
    let connection = opened(&file(&scratch), &before).unwrap();
    let event = |kind: &str, more: &str| {
        format!(
            r#"1{{"at":"2026-11-22T09:00:00.000Z","namespace":"default","agent":"agt_0000000000007","name":"web","revision":9,"actor":"ada","correlation_id":"c","type":"{kind}","revision":2,{more}}}"#
        )
    };
    let bodies = [
        ("rollout_ended", event("rollout_ended", r#""state":"completed""#)),
        (
            "rollout_failed",
            event(
                "rollout_failed",
                r#""back_to":1,"detail":"\"type\":\"rollout_ended\",\"revision\":""#,
            ),
        ),
    ];
    for (kind, body) in &bodies {
        assert!(crate::record::decode::<Event>(body.as_bytes()).is_err());
        let sql = "INSERT INTO events (slot, epoch, position, at, namespace, agent, type, body) VALUES (0, 1, 1, 1, 'default', 7, ?1, ?2)";
        connection.execute(sql, params![kind, body.as_bytes()]).unwrap();
    }
    drop(connection);
    let connection = opened(&file(&scratch), MIGRATIONS).unwrap();
    let mut statement = connection.prepare("SELECT body FROM events ORDER BY id").unwrap();
    let bodies = statement.query_map([], |row| row.get::<_, Vec<u8>>(0)).unwrap();
    let read: Vec<Happening> = bodies
        .map(|body| crate::record::decode::<Event>(&body.unwrap()).unwrap().what)
        .collect();
    assert!(
        matches!(read[0], Happening::RolloutEnded { revision: 2, .. }),
        "{read:?}"
    );
    assert!(
        matches!(
            read[1],
            Happening::RolloutFailed {
                revision: 2,
                back_to: Some(1),
                ..
            }
        ),
        "{read:?}"
    );
}

#[test]
fn a_file_that_is_new_enough_is_not_backed_up() {
    let scratch = tempfile::tempdir().unwrap();
    drop(opened(&file(&scratch), &[FIRST]).unwrap());
    drop(opened(&file(&scratch), &[FIRST]).unwrap());
    assert!(!scratch.path().join("stead.db.bak-v1").exists());
}

#[test]
fn an_edited_migration_is_refused() {
    let scratch = tempfile::tempdir().unwrap();
    drop(opened(&file(&scratch), &[FIRST]).unwrap());
    let edited = Migration {
        sql: "CREATE TABLE other (name TEXT) STRICT;",
        ..FIRST
    };
    assert!(matches!(
        opened(&file(&scratch), &[edited, SECOND]),
        Err(OpenError::Edited { version: 1, .. })
    ));
}

#[test]
fn a_file_from_the_future_is_refused() {
    let scratch = tempfile::tempdir().unwrap();
    drop(opened(&file(&scratch), &[FIRST, SECOND]).unwrap());
    let error = opened(&file(&scratch), &[FIRST]).unwrap_err();
    assert!(matches!(error, OpenError::Newer { found: 2, known: 1, .. }));
}

#[test]
fn a_failing_migration_leaves_the_file_as_it_was() {
    let scratch = tempfile::tempdir().unwrap();
    drop(opened(&file(&scratch), &[FIRST]).unwrap());
    let failing = Migration {
        version: 2,
        sql: "DELETE FROM things; INSERT INTO nowhere VALUES (1);",
    };
    let error = opened(&file(&scratch), &[FIRST, failing]).unwrap_err();
    assert!(matches!(error, OpenError::Migration { version: 2, .. }), "{error:?}");
    let connection = opened(&file(&scratch), &[FIRST]).unwrap();
    let rows = connection.query_row("SELECT count(*) FROM things", [], |row| row.get(0));
    assert_eq!(rows, Ok(1));
    // The next try replaces the backup that this one left.
    drop(connection);
    assert!(opened(&file(&scratch), &[FIRST, SECOND]).is_ok());
}

#[test]
fn the_steps_are_numbered_without_gaps_and_were_not_edited() {
    let known: Vec<(u32, String)> = MIGRATIONS
        .iter()
        .map(|step| (step.version, checksum(step.sql)))
        .collect();
    let known: Vec<(u32, &str)> = known.iter().map(|(version, sum)| (*version, sum.as_str())).collect();
    assert_eq!(
        known,
        [
            (1, "3362aa93d83ef132"),
            (2, "95e4f151d97e057c"),
            (3, "858f572f5e10fa0b"),
            (4, "f6ad4824d0ffccf7"),
            (5, "6baa09c4711246d1"),
            (6, "be6d376f2f0fd627"),
            (7, "7adb03263151a398"),
            (8, "42f14a0ccb1fb502"),
            (9, "bbb279a47a48e783"),
            (10, "7f7b468a39c83bc0"),
        ]
    );
}
