//! Every interleaving of those who take, charge and pause.

use loom::sync::Arc;
use loom::thread;

use super::*;
use crate::Virtual;

fn limiter(burst: u32) -> Arc<Limiter<Virtual>> {
    let config = LimiterConfig {
        quota: Quota {
            burst,
            ..Quota::per_second(10)
        },
        ..LimiterConfig::default()
    };
    Arc::new(Limiter::with(config, Virtual::new(), AnyError).unwrap())
}

#[test]
fn loom_two_callers_never_share_the_last_unit() {
    loom::model(|| {
        let limiter = limiter(1);
        let other = thread::spawn({
            let limiter = Arc::clone(&limiter);
            move || limiter.try_acquire(1).is_ok()
        });
        let mine = limiter.try_acquire(1).is_ok();
        assert!(mine ^ other.join().unwrap());
    });
}

#[test]
fn loom_no_charge_is_lost() {
    loom::model(|| {
        let limiter = limiter(2);
        let other = thread::spawn({
            let limiter = Arc::clone(&limiter);
            move || limiter.charge(3)
        });
        let taken = u64::from(limiter.try_acquire(1).is_ok());
        other.join().unwrap();
        assert_eq!(limiter.snapshot().debt, 3 + taken - 2);
    });
}

#[test]
fn loom_after_a_pause_nothing_passes_whoever_was_on_the_way() {
    loom::model(|| {
        let limiter = limiter(2);
        let other = thread::spawn({
            let limiter = Arc::clone(&limiter);
            move || limiter.pause_for(Duration::from_secs(1))
        });
        let _before_or_after = limiter.try_acquire(1);
        other.join().unwrap();
        assert!(limiter.try_acquire(1).unwrap_err().retry_after >= Duration::from_secs(1));
    });
}
