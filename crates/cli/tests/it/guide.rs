//! The guide knows what the command line knows.

use crate::daemon::stead;

const GUIDE: &str = include_str!("../../../../docs/guides/cli.md");

fn help() -> String {
    let done = stead().arg("--help").assert().success();
    String::from_utf8(done.get_output().stdout.clone()).unwrap()
}

#[test]
fn every_verb_is_in_the_guide() {
    let help = help();
    let commands = help.split_once("Commands:\n").unwrap().1.split_once("\n\n").unwrap().0;
    // Wrapped descriptions are indented further than verbs.
    let verbs = commands
        .lines()
        .filter(|line| line.starts_with("  ") && !line.starts_with("   "));
    let verbs: Vec<_> = verbs.filter_map(|line| line.split_whitespace().next()).collect();
    assert!(verbs.len() > 20, "{verbs:?}");
    for verb in verbs {
        assert!(
            GUIDE.contains(&format!("stead {verb}")),
            "docs/guides/cli.md does not mention `stead {verb}`"
        );
    }
}

#[test]
fn every_exit_code_of_the_help_is_in_the_guide() {
    let help = help();
    let codes = help.split_once("Exit codes:\n").unwrap().1;
    let codes: Vec<_> = codes
        .lines()
        .filter_map(|line| line.split_whitespace().next())
        .collect();
    assert_eq!(codes, ["0", "1", "2", "3", "4", "5", "6", "7", "130"]);
    for code in codes {
        assert!(
            GUIDE.contains(&format!("| {code} |")),
            "docs/guides/cli.md does not explain exit code {code}"
        );
    }
}
