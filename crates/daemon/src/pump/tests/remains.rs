//! What a deleted agent leaves on the disk goes when its history does.

use super::*;
use crate::app::remains::clear;

#[tokio::test]
async fn the_directory_of_a_deleted_agent_is_kept_as_long_as_its_history_and_others_for_ever() {
    let rig = Rig::start();
    let dir = tempfile::tempdir().unwrap();
    let (lives, deleted) = (rig.online("lives").await.agent, rig.online("deleted").await);
    let unknown = AgentId::new(lives.slot(), 77);
    let of = |agent: AgentId| stead_keeper::agent_dir(dir.path(), agent);
    for agent in [lives, deleted.agent, unknown] {
        std::fs::create_dir_all(of(agent).join("home/work")).unwrap();
        std::fs::write(of(agent).join("log"), "said").unwrap();
    }
    std::fs::write(dir.path().join("agents/notes.txt"), "somebody's own").unwrap();
    let asked = rig.ask("deleted", Request::Want(Wanted::Deleted));
    rig.settle().await;
    rig.see(Observation::Exited {
        instance: deleted,
        exit: Exit::Code { code: 0 },
        swept: 0,
    });
    rig.settle().await;
    asked.await.unwrap().unwrap();
    let row = rig.store.agent_tombstone(deleted.agent).unwrap();
    let at = row.expect("it is deleted").phase_since.unix_millis();
    let day = Duration::from_secs(86_400);
    let clear_at = |millis: i64| clear(&rig.handle, dir.path(), day, Wall::from_unix_millis(millis)).unwrap();
    for (when, expected) in [
        // A clock that was set back forgets nothing.
        (at - 10 * 86_400_000, 0),
        (at + 86_400_000, 0),
        (at + 86_400_001, 1),
        (at + 86_400_001, 0),
        (at + 1_000 * 86_400_000, 0),
    ] {
        assert_eq!(clear_at(when), expected, "{} ms after", when - at);
    }
    let there = [lives, deleted.agent, unknown].map(|agent| of(agent).join("log").exists());
    assert_eq!(there, [true, false, true]);
    assert!(dir.path().join("agents/notes.txt").exists());
}

#[tokio::test]
async fn a_directory_that_is_not_there_yet_holds_nothing_to_remove() {
    let rig = Rig::start();
    let nowhere = std::path::Path::new("/no/such/state");
    assert_eq!(clear(&rig.handle, nowhere, Duration::ZERO, Wall::default()).unwrap(), 0);
}
