//! A new program in the place of an old one: daemon and keeper go on as it, agents and lines notice nothing.

use std::os::unix::fs::MetadataExt;
use std::path::Path;

use super::crash::{each_line_is_there_once, lives};
use super::fleet::Fleet;

/// Counts aloud; one more waits for a word to leave with a code of its own.
const AGENTS: &str = "
[agents.counter]
command = ['python3', '-uc', '''
import time, itertools
for n in itertools.count(1):
    print(n)
    time.sleep(0.005)
''']
[agents.final]
command = ['sh', '-c', 'while [ ! -e @/leave ]; do sleep 0.05; done; exit 17']
restart.policy = 'never'
";

/// The file that a process runs, also when it lies nowhere any more.
fn runs(pid: i32) -> u64 {
    std::fs::metadata(format!("/proc/{pid}/exe")).unwrap().ino()
}

/// Puts a program where another may lie, as installers do: whole, by a new name.
fn install(bytes: &[u8], at: &Path) {
    let new = at.with_extension("new");
    std::fs::write(&new, bytes).unwrap();
    let mode = std::fs::metadata(env!("CARGO_BIN_EXE_stead")).unwrap().permissions();
    std::fs::set_permissions(&new, mode).unwrap();
    std::fs::rename(new, at).unwrap();
}

#[test]
fn a_daemon_of_a_new_program_has_the_keeper_go_on_as_it_and_nothing_restarts() {
    let mut fleet = Fleet::of(AGENTS);
    let installed = fleet.path("stead");
    let mut program = std::fs::read(env!("CARGO_BIN_EXE_stead")).unwrap();
    install(&program, &installed);
    fleet.run_from(&installed);
    fleet.up();
    let before = lives(&fleet.until_all(2, "online"));
    let keeper = fleet.keeper_pid();
    for build in 1..=3u8 {
        let printed = fleet.lines("counter").len();
        program.push(build);
        install(&program, &installed);
        let file = std::fs::metadata(&installed).unwrap().ino();
        assert_ne!(runs(keeper), file);
        if build == 2 {
            fleet.must(&["down", "--leave-agents"]);
            assert_eq!(fleet.wait_daemon(), Some(0), "{}", fleet.log());
        } else {
            fleet.kill_daemon();
        }
        fleet.up();
        assert_eq!((fleet.keeper_pid(), runs(keeper)), (keeper, file), "{}", fleet.log());
        assert_eq!(lives(&fleet.agents()), before, "{}", fleet.log());
        each_line_is_there_once(&fleet, printed + 1);
    }
    std::fs::write(fleet.path("leave"), "").unwrap();
    fleet.until_agent("final", |agent| agent["phase"] == "offline");
    let exit = &fleet.get("/api/v1/agents/final/why").json()["last_exit"]["exit"];
    assert_eq!((&exit["kind"], &exit["code"]), (&"code".into(), &17.into()), "{exit}");
}
