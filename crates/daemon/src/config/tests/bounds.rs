//! What no file can do: make reading panic, run for long, or grow without bound.

use super::*;

#[test]
fn a_file_that_cannot_be_read_is_told_as_a_problem_of_the_file() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, bytes: &[u8]| {
        let path: PathBuf = folder.path().join(name);
        std::fs::write(&path, bytes).unwrap();
        path
    };
    for (path, said) in [
        (folder.path().join("absent.toml"), "cannot read"),
        (folder.path().to_owned(), "cannot read"),
        (write("latin.toml", b"# \xe9"), "not UTF-8"),
        (write("large.toml", &vec![b'#'; 8 * 1024 * 1024 + 1]), "at most 8 MiB"),
    ] {
        let refused = Fleet::read(&path, &env).unwrap_err();
        assert!(refused.len() == 1 && refused[0].message.contains(said), "{refused:?}");
    }
    assert!(Fleet::read(&write("fine.toml", b""), &env).is_ok());
    // A device without an end is not read for ever.
    let refused = Fleet::read(Path::new("/dev/zero"), &env).unwrap_err();
    assert!(refused[0].message.contains("at most 8 MiB"), "{refused:?}");
}

#[test]
fn depth_and_number_have_bounds_that_are_told() {
    let deep_keys = (0..79).map(|_| "a").collect::<Vec<_>>().join(".");
    let deep = format!("{}1{}", format!("{{{deep_keys}=").repeat(78), "}".repeat(78));
    for text in [
        format!("agents = {deep}"),
        format!("agents = {}{}", "[".repeat(70_000), "]".repeat(70_000)),
        format!("{} = 1", "a.".repeat(70_000) + "a"),
    ] {
        assert!(parse(&text).is_err());
    }
    let many: String = (0..=Fleet::MAX_AGENTS)
        .map(|number| format!("[agents.a{number}]\n"))
        .collect();
    let refused = parse(&many).unwrap_err();
    assert!(
        refused[0].message.contains("at most 100000") && refused[0].line == 100_001,
        "{:?}",
        refused[0]
    );
    let bad: String = (0..5000).map(|number| format!("[agents.a{number}]\nx = 1\n")).collect();
    assert_eq!(parse(&bad).unwrap_err().len(), Findings::MOST);
}

#[test]
fn defaults_that_would_grow_without_bound_are_refused() {
    let many: String = (0..2000).map(|number| format!("V{number} = 'x'\n")).collect();
    let agents: String = (0..6000)
        .map(|number| format!("[agents.a{number}]\ncommand = ['x']\n"))
        .collect();
    let refused = parse(&format!("[defaults.env]\n{many}{agents}")).unwrap_err();
    assert!(
        refused.len() == 1 && refused[0].message.contains("too long"),
        "{refused:?}"
    );
}

#[test]
fn a_large_file_that_is_no_toml_is_not_read_again_for_each_mistake() {
    let refused = parse(&"x = '\n[a]\n".repeat(150_000)).unwrap_err();
    assert_eq!((refused.len(), refused[0].line), (1, 1));
}

/// Pieces of fleet files, whole and broken, to be put together in any order.
fn pieces() -> impl Strategy<Value = String> {
    let piece = prop::sample::select(vec![
        "[agents.a]\n",
        "[agents.b]\n",
        "[components.a]\n",
        "[defaults]\n",
        "[daemon]\n",
        "[agents]\n",
        "[[agents]]\n",
        "command = ['x']\n",
        "command = 'x'\n",
        "depends_on = { a = 'started', b = 'healthy' }\n",
        "depends_on.b = 'started'\n",
        "env = { A = 'b', K = { secret = 's' } }\n",
        "env.B.secret = 'ü${X'\n",
        "dir = '${A:-ä}'\n",
        "watchdog = '1s'\n",
        "notify = true\n",
        "watchdog = 1979-05-27\n",
        "probes.liveness = { http_get = { port = 99999999999999999999 } }\n",
        "probes = { startup = {} }\n",
        "restart.intensity = { max = 0 }\n",
        "restart.backoff.factor = nan\n",
        "profile = 'component'\n",
        "driver = 'none'\n",
        "listen = '0.0.0.0:0'\n",
        "namespace = ''\n",
        "logs.files = -9\n",
        "'",
        "\"\"\"",
        "{",
        "]",
        "= ",
        "${",
        "\u{feff}",
        "\r\n",
        "\0",
        "é",
    ]);
    prop::collection::vec(prop_oneof![9 => piece.prop_map(str::to_owned), 1 => ".{0,8}"], 0..24)
        .prop_map(|pieces| pieces.concat())
}

proptest! {
    #[test]
    fn no_text_makes_reading_panic_and_every_problem_lies_within_the_file(text in pieces()) {
        if let Err(found) = parse(&text) {
            prop_assert!(!found.is_empty());
            let lines = text.split('\n').count();
            for problem in found {
                prop_assert!((1..=lines).contains(&(problem.line as usize)), "{problem:?}");
                prop_assert!(!problem.message.is_empty() && problem.column >= 1 && !problem.to_string().is_empty());
            }
        }
    }
}
