//! How long a file may be, and which words do not belong in it.

use super::File;

/// Files of these kinds are code, which is read by people from the top.
const CODE: &[&str] = &["rs", "py", "sh", "ts", "tsx", "js", "css"];

/// No file is longer than this.
const LINES: usize = 800;

/// What betrays the machine or the network that a line was written on. In two halves each, so that this file passes.
const PLACES: &[&str] = &[
    concat!("/wo", "rk/"),
    concat!("/tmp/st", "ead"),
    concat!("arti", "factory"),
    concat!("index.", "crates.io"),
    concat!("static.", "crates.io"),
    concat!("pypi", ".org"),
    concat!("python", "hosted.org"),
    concat!("registry.", "npmjs.org"),
];

/// What marks unfinished code.
const UNFINISHED: &[&str] = &[concat!("TO", "DO"), concat!("FIX", "ME"), concat!("XX", "X:")];

/// Folders of the pure crates, and what would let the world in by a side door: std by hand, and the clocks of third parties,
/// which are there as soon as any crate of the workspace asks for their `std`.
const PURE: &[&str] = &["crates/model/src/", "crates/policy/src/", "crates/engine/src/"];
const DOORS: &[&str] = &["extern crate std", "::now()"];

/// Folders that must not know what time people have, and what would tell them: a step of the wall clock changes nothing there.
const STEADY: &[&str] = &["crates/policy/src/", "crates/resilience/src/"];
const WALL: &[&str] = &[
    "SystemTime",
    "UNIX_EPOCH",
    "Realtime",
    "REALTIME",
    "Timestamp::now",
    "Utc::now",
];

pub(super) fn check(files: &[File]) -> Vec<String> {
    files
        .iter()
        .flat_map(|file| long(file).into_iter().chain(words(file)))
        .collect()
}

fn long(file: &File) -> Option<String> {
    let lines = file.text.lines().count();
    (is_code(file) && lines > LINES).then(|| format!("{}: {lines} lines; split it before {LINES}", file.path))
}

fn words(file: &File) -> impl Iterator<Item = String> {
    file.text.lines().enumerate().filter_map(|(index, line)| {
        let place = PLACES.iter().find(|place| starts_there(line, place));
        let unfinished = UNFINISHED.iter().find(|word| is_code(file) && line.contains(**word));
        let door = DOORS.iter().find(|door| is_pure(file) && line.contains(**door));
        let wall = WALL.iter().find(|wall| is_steady(file) && line.contains(**wall));
        place
            .or(unfinished)
            .or(door)
            .or(wall)
            .map(|word| format!("{}:{}: `{word}` does not belong here", file.path, index + 1))
    })
}

/// Whether `line` has `place` as the start of a path or name, not as a part of a longer one.
fn starts_there(line: &str, place: &str) -> bool {
    let longer = |before: &str| before.ends_with(|last: char| last.is_alphanumeric() || "_-.*}".contains(last));
    line.match_indices(place).any(|(at, _)| !longer(&line[..at]))
}

fn is_code(file: &File) -> bool {
    file.path.rsplit_once('.').is_some_and(|(_, kind)| CODE.contains(&kind))
}

fn is_pure(file: &File) -> bool {
    PURE.iter().any(|folder| file.path.starts_with(folder)) && !file.path.ends_with("tests.rs")
}

fn is_steady(file: &File) -> bool {
    STEADY.iter().any(|folder| file.path.starts_with(folder))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(path: &str, text: &str) -> Vec<String> {
        check(&[File {
            path: path.to_owned(),
            text: text.to_owned(),
        }])
    }

    #[test]
    fn a_long_file_of_code_is_found_and_a_long_table_is_not() {
        let text = "x\n".repeat(LINES + 1);
        assert_eq!(found("src/a.rs", &text), ["src/a.rs: 801 lines; split it before 800"]);
        assert_eq!(found("docs/a.json", &text), [""; 0]);
        assert_eq!(found("src/a.rs", &"x\n".repeat(LINES)), [""; 0]);
    }

    #[test]
    fn a_path_of_this_machine_is_found_in_any_file() {
        let text = format!("fine\nsee {}main\n", PLACES[0]);
        assert_eq!(
            found("README.md", &text),
            [format!("README.md:2: `{}` does not belong here", PLACES[0])]
        );
    }

    #[test]
    fn a_folder_of_that_name_inside_another_is_fine() {
        assert_eq!(found("README.md", &format!("target{}x", PLACES[0])), [""; 0]);
    }

    #[test]
    fn a_registry_is_found_behind_a_scheme() {
        assert_eq!(found("a.lock", &format!("https://{}/simple", PLACES[5])).len(), 1);
    }

    #[test]
    fn unfinished_code_is_found_and_prose_is_left_alone() {
        let text = format!("// {}: later", UNFINISHED[0]);
        assert_eq!(found("src/a.rs", &text).len(), 1);
        assert_eq!(found("docs/a.md", &text), [""; 0]);
    }

    #[test]
    fn a_policy_that_asks_for_the_wall_clock_is_found_and_a_shell_may_ask() {
        let text = "let at = std::time::SystemTime::now();";
        assert_eq!(
            found("crates/resilience/src/breaker.rs", text),
            ["crates/resilience/src/breaker.rs:1: `SystemTime` does not belong here"]
        );
        assert_eq!(found("crates/daemon/src/clock.rs", text), [""; 0]);
    }

    #[test]
    fn a_pure_crate_that_asks_for_the_time_is_found_and_a_shell_may_ask() {
        let text = "let at = jiff::Timestamp::now();";
        assert_eq!(found("crates/engine/src/plan.rs", text).len(), 1);
        assert_eq!(found("crates/engine/src/plan/tests.rs", text), [""; 0]);
        assert_eq!(found("crates/daemon/src/clock.rs", text), [""; 0]);
    }
}
