use super::*;
use crate::{Heard, Virtual};

const SECOND: Duration = Duration::from_secs(1);

type Cache = StaleCache<&'static str, u32, Virtual>;

fn cache(max_entries: usize) -> (Cache, Virtual) {
    let clock = Virtual::new();
    let config = StaleConfig {
        max_entries,
        max_staleness: 10 * SECOND,
    };
    (StaleCache::with(config, clock.clone(), AnyError).unwrap(), clock)
}

async fn answers(cache: &Cache, key: &'static str, value: u32) {
    let answer = cache.call(key, || async { Ok::<_, &str>(value) }).await.unwrap();
    assert_eq!((answer.value, answer.stale), (value, None));
}

async fn fails(cache: &Cache, key: &'static str) -> Result<Recalled<u32, &'static str>, Failure<&'static str>> {
    cache.call(key, || async { Err("down") }).await
}

#[test]
fn settings_that_make_no_sense_are_refused_by_name() {
    let refused = |config| StaleCache::<u8, u8>::new(config).unwrap_err().setting;
    let none = StaleConfig {
        max_entries: 0,
        ..StaleConfig::default()
    };
    assert_eq!(refused(none), "stale.max_entries");
    let never = StaleConfig {
        max_staleness: Duration::ZERO,
        ..StaleConfig::default()
    };
    assert_eq!(refused(never), "stale.max_staleness");
}

#[tokio::test]
async fn the_last_good_answer_stands_in_and_says_how_old_it_is_and_why() {
    let (cache, clock) = cache(10);
    let mut events = cache.events();
    answers(&cache, "a", 1).await;
    answers(&cache, "a", 2).await;
    clock.advance(10 * SECOND);
    let (age, because) = (10 * SECOND, Failure::Inner("down"));
    let stale = fails(&cache, "a").await.unwrap();
    assert_eq!((stale.value, stale.stale), (2, Some(Stale { age, because })));
    assert_eq!(events.try_next(), Some(Heard::Event(StaleEvent::Served { age })));
    clock.advance(Duration::from_nanos(1));
    assert_eq!(
        fails(&cache, "a").await,
        Err(Failure::Inner("down")),
        "now it is too old"
    );
    assert_eq!(fails(&cache, "b").await, Err(Failure::Inner("down")), "keys are apart");
    let snapshot = cache.snapshot();
    assert_eq!((snapshot.served, snapshot.too_old, snapshot.missed), (1, 1, 1));
}

#[tokio::test]
async fn beyond_its_room_the_answer_that_was_renewed_longest_ago_goes() {
    let (cache, _) = cache(2);
    answers(&cache, "a", 1).await;
    answers(&cache, "b", 2).await;
    answers(&cache, "a", 3).await;
    answers(&cache, "c", 4).await;
    assert!(fails(&cache, "b").await.is_err());
    assert_eq!(fails(&cache, "a").await.unwrap().value, 3);
    assert_eq!(fails(&cache, "c").await.unwrap().value, 4);
    let smaller = StaleConfig {
        max_entries: 1,
        ..StaleConfig::default()
    };
    cache.reconfigure(smaller).unwrap();
    assert_eq!(cache.snapshot().entries, 1);
    assert_eq!(cache.kept().renewed.len(), 1, "nothing is left of those that went");
    assert!(
        cache
            .reconfigure(StaleConfig {
                max_entries: 0,
                ..smaller
            })
            .is_err()
    );
}

#[tokio::test]
async fn the_callers_own_mistake_goes_through() {
    fn mistake(result: &Result<u32, &str>) -> Verdict {
        match result {
            Ok(_) => Verdict::Success,
            Err(_) => Verdict::Ignored,
        }
    }
    let cache = StaleCache::with(StaleConfig::default(), Virtual::new(), mistake).unwrap();
    assert!(cache.call("a", || async { Ok(1) }).await.is_ok());
    assert_eq!(
        cache.call("a", || async { Err("not yours") }).await,
        Err(Failure::Inner("not yours"))
    );
}

#[tokio::test]
async fn an_answer_that_is_not_good_is_given_and_not_kept() {
    fn zero_is_bad(result: &Result<u32, &str>) -> Verdict {
        match result {
            Ok(0) | Err(_) => Verdict::FAILURE,
            Ok(_) => Verdict::Success,
        }
    }
    let cache = StaleCache::with(StaleConfig::default(), Virtual::new(), zero_is_bad).unwrap();
    assert_eq!(cache.call("a", || async { Ok(0) }).await.unwrap().value, 0);
    assert_eq!(cache.snapshot().entries, 0);
}

#[tokio::test]
async fn as_a_layer_it_serves_one_key() {
    let (cache, _) = cache(10);
    let layer = cache.at("a");
    assert_eq!(layer.call(|| async { Ok::<_, &str>(1) }).await, Ok(1));
    let refused = || async { Err::<u32, Failure<&str>>(Failure::CircuitOpen { retry_after: None }) };
    assert_eq!(layer.run(refused).await, Ok(1));
    assert_eq!(
        cache.at("b").run(refused).await,
        Err(Failure::CircuitOpen { retry_after: None })
    );
}
