//! Revisions of the configuration.

use stead_store::{ConfigRow, MOST_CONFIGS};

use super::for_every_store;
use crate::sample::{at, audit};

fn row(text: &str) -> ConfigRow {
    ConfigRow {
        at: at(7),
        actor: "ada".into(),
        reason: Some("for the test".into()),
        file: "/srv/fleet.toml".into(),
        hash: "00ff".into(),
        text: text.into(),
        facts: "{}".into(),
        ..ConfigRow::default()
    }
}

for_every_store! {
    fn configurations_are_numbered_and_read_back_whole_and_listed_without_their_texts(bench) {
        assert_eq!(bench.store.config(None).unwrap(), None);
        assert_eq!(bench.store.put_config(row("one"), audit(0, "apply")).unwrap(), 1);
        assert_eq!(bench.store.put_config(row("two"), audit(0, "apply")).unwrap(), 2);
        assert_eq!(bench.store.config(None).unwrap(), Some(ConfigRow { revision: 2, ..row("two") }));
        assert_eq!(bench.store.config(Some(1)).unwrap(), Some(ConfigRow { revision: 1, ..row("one") }));
        assert_eq!(bench.store.config(Some(3)).unwrap(), None);
        let listed = bench.store.configs(10).unwrap();
        assert_eq!(listed, [2, 1].map(|revision| ConfigRow { revision, ..row("") }));
        assert_eq!(bench.store.configs(1).unwrap().len(), 1);
    }

    fn the_oldest_configurations_are_forgotten_and_their_numbers_not_given_again(bench) {
        for number in 1..=MOST_CONFIGS + 3 {
            assert_eq!(bench.store.put_config(row("x"), audit(0, "apply")).unwrap(), number);
        }
        let kept = bench.store.configs(1000).unwrap();
        assert_eq!(kept.len() as u64, MOST_CONFIGS);
        assert_eq!(kept.last().unwrap().revision, 4);
        assert_eq!(bench.store.config(Some(3)).unwrap(), None);
    }
}
