//! Which crate may depend on which, and what keeps the pure ones pure.

use super::metadata::{Dependency, Kind, Metadata, Package};

/// What one crate of ours may stand on.
struct House {
    name: &'static str,
    /// Crates of ours that it may use.
    below: &'static [&'static str],
    /// Crates of ours that its tests may use beside those.
    tests: &'static [&'static str],
    purity: Purity,
}

#[derive(PartialEq, Eq)]
enum Purity {
    /// `no_std` and `alloc`; third parties from [`PURE`] alone; no features.
    Pure,
    /// Third parties from [`PURE`] alone: it runs in one thread on virtual time, but stands on crates that need std.
    Virtual,
    /// Touches the world.
    Shell,
}

/// The house, bottom first. A change here is a change of the design: `ARCHITECTURE.md` changes with it.
const HOUSES: &[House] = &[
    House {
        name: "stead-model",
        below: &[],
        tests: &[],
        purity: Purity::Pure,
    },
    House {
        name: "stead-policy",
        below: &[],
        tests: &[],
        purity: Purity::Pure,
    },
    House {
        name: "stead-engine",
        below: &["stead-model", "stead-policy"],
        tests: &["stead-sim"],
        purity: Purity::Pure,
    },
    House {
        name: "stead-resilience",
        below: &["stead-policy"],
        tests: &[],
        purity: Purity::Shell,
    },
    House {
        name: "stead-store",
        below: &["stead-model"],
        tests: &[],
        purity: Purity::Shell,
    },
    House {
        name: "stead-keeper",
        below: &["stead-model"],
        tests: &[],
        purity: Purity::Shell,
    },
    House {
        name: "stead-client",
        below: &["stead-model"],
        tests: &[],
        purity: Purity::Shell,
    },
    House {
        name: "stead-agent",
        below: &["stead-model", "stead-resilience"],
        tests: &[],
        purity: Purity::Shell,
    },
    House {
        name: "stead-sim",
        below: &["stead-model", "stead-policy", "stead-engine", "stead-store"],
        tests: &[],
        purity: Purity::Virtual,
    },
    House {
        name: "stead-daemon",
        below: &[
            "stead-model",
            "stead-policy",
            "stead-resilience",
            "stead-engine",
            "stead-store",
            "stead-keeper",
        ],
        tests: &["stead-client", "stead-sim"],
        purity: Purity::Shell,
    },
    House {
        name: "stead",
        below: &["stead-model", "stead-client", "stead-daemon", "stead-keeper"],
        tests: &["stead-store", "stead-agent"],
        purity: Purity::Shell,
    },
    House {
        name: "stead-bench",
        below: &[
            "stead-model",
            "stead-policy",
            "stead-engine",
            "stead-store",
            "stead-keeper",
            "stead-client",
            "stead-daemon",
        ],
        tests: &[],
        purity: Purity::Shell,
    },
    House {
        name: "stead-bench-detect",
        below: &["stead-policy"],
        tests: &[],
        purity: Purity::Shell,
    },
    House {
        name: "stead-fuzz",
        below: &[
            "stead-model",
            "stead-engine",
            "stead-store",
            "stead-keeper",
            "stead-daemon",
        ],
        tests: &[],
        purity: Purity::Shell,
    },
    House {
        name: "stead-xtask",
        below: &[],
        tests: &[],
        purity: Purity::Shell,
    },
];

/// Third parties that a pure crate may use: as the root declares them, without `std`, none can reach a clock, a file, a
/// socket or a thread. `jiff` and `bytesize` read and write times and sizes as people do.
const PURE: &[&str] = &[
    "serde",
    "serde_json",
    "schemars",
    "hashbrown",
    "libm",
    "thiserror",
    "jiff",
    "bytesize",
];

const NO_STD: &str = "#![cfg_attr(not(test), no_std)]";

pub(super) fn check(metadata: &Metadata) -> Vec<String> {
    metadata.packages.iter().flat_map(package).collect()
}

fn package(package: &Package) -> Vec<String> {
    let name = &package.name;
    let Some(house) = HOUSES.iter().find(|house| house.name == name) else {
        return vec![format!(
            "{name}: has no line in the table of arrows (xtask/src/tidy/arrows.rs)"
        )];
    };
    let mut breaches: Vec<String> = package
        .dependencies
        .iter()
        .filter_map(|dependency| arrow(house, dependency))
        .collect();
    if house.purity == Purity::Pure {
        if !package
            .library
            .as_ref()
            .is_some_and(|source| source.lines().any(|line| line == NO_STD))
        {
            breaches.push(format!("{name}: a pure crate's lib.rs says {NO_STD}"));
        }
        if !package.features.is_empty() {
            breaches.push(format!(
                "{name}: a pure crate has no features, found {}",
                package.features.join(", ")
            ));
        }
    }
    if package.tests.iter().any(|test| test != "it") {
        breaches.push(format!(
            "{name}: integration tests are one binary, tests/it/main.rs, to be linked once"
        ));
    }
    breaches
}

fn arrow(house: &House, dependency: &Dependency) -> Option<String> {
    let (name, on) = (house.name, dependency.name.as_str());
    let allowed = match (is_ours(on), dependency.kind) {
        (true, Kind::Dev) => house.below.contains(&on) || house.tests.contains(&on),
        (true, Kind::Normal | Kind::Build) => house.below.contains(&on),
        (false, Kind::Dev) => true,
        (false, Kind::Normal | Kind::Build) => house.purity == Purity::Shell || PURE.contains(&on),
    };
    let why = if is_ours(on) {
        "arrows only go down"
    } else {
        "a pure crate keeps to the short list"
    };
    (!allowed).then(|| format!("{name}: must not depend on {on}: {why}"))
}

fn is_ours(name: &str) -> bool {
    name == "stead" || name.starts_with("stead-")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn package_with(name: &str, on: &str, kind: Kind) -> Package {
        Package {
            name: name.to_owned(),
            dependencies: vec![Dependency {
                name: on.to_owned(),
                kind,
            }],
            features: Vec::new(),
            tests: vec!["it".to_owned()],
            library: Some(format!("//! Doc.\n{NO_STD}\n")),
        }
    }

    #[test]
    fn arrows_that_go_down_are_fine() {
        for (name, on) in [
            ("stead-engine", "stead-model"),
            ("stead-daemon", "stead-store"),
            ("stead", "stead-client"),
        ] {
            assert_eq!(package(&package_with(name, on, Kind::Normal)), [""; 0]);
        }
    }

    #[test]
    fn arrows_that_go_up_or_sideways_are_not() {
        for (name, on) in [
            ("stead-model", "stead-engine"),
            ("stead-store", "stead-keeper"),
            ("stead-policy", "stead"),
        ] {
            assert_eq!(
                package(&package_with(name, on, Kind::Normal)).len(),
                1,
                "{name} on {on}"
            );
        }
    }

    #[test]
    fn the_engines_tests_may_use_the_simulator_and_the_engine_may_not() {
        assert_eq!(package(&package_with("stead-engine", "stead-sim", Kind::Dev)), [""; 0]);
        assert_eq!(
            package(&package_with("stead-engine", "stead-sim", Kind::Normal)).len(),
            1
        );
    }

    #[test]
    fn a_pure_crate_uses_no_runtime_but_its_tests_may() {
        let breaches = package(&package_with("stead-engine", "tokio", Kind::Normal));
        assert_eq!(
            breaches,
            ["stead-engine: must not depend on tokio: a pure crate keeps to the short list"]
        );
        assert_eq!(package(&package_with("stead-engine", "proptest", Kind::Dev)), [""; 0]);
        assert_eq!(package(&package_with("stead-daemon", "tokio", Kind::Normal)), [""; 0]);
    }

    #[test]
    fn a_pure_crate_without_no_std_is_found() {
        let with_std = Package {
            library: Some(String::new()),
            ..package_with("stead-model", "serde", Kind::Normal)
        };
        assert_eq!(package(&with_std).len(), 1);
    }

    #[test]
    fn a_pure_crate_with_features_is_found() {
        let featured = Package {
            features: vec!["std".to_owned()],
            ..package_with("stead-model", "serde", Kind::Normal)
        };
        assert_eq!(
            package(&featured),
            ["stead-model: a pure crate has no features, found std"]
        );
    }

    #[test]
    fn a_crate_nobody_placed_is_found() {
        assert_eq!(package(&package_with("stead-utils", "serde", Kind::Normal)).len(), 1);
    }

    #[test]
    fn a_second_test_binary_is_found() {
        let two = Package {
            tests: vec!["it".to_owned(), "more".to_owned()],
            ..package_with("stead-store", "serde", Kind::Normal)
        };
        assert_eq!(package(&two).len(), 1);
    }

    #[test]
    fn every_house_stands_on_houses_listed_before_it() {
        for (index, house) in HOUSES.iter().enumerate() {
            let before: Vec<&str> = HOUSES[..index].iter().map(|house| house.name).collect();
            assert!(house.below.iter().all(|below| before.contains(below)), "{}", house.name);
        }
    }
}
