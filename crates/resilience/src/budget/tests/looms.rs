//! Every interleaving of deposits and withdrawals.

use loom::sync::Arc;
use loom::thread;

use super::*;
use crate::Virtual;

fn budget(ratio: f64, burst: u32) -> Arc<Budget> {
    let config = BudgetConfig {
        ratio,
        burst,
        per_second: 0,
    };
    Arc::new(Budget::with_clock(config, &Virtual::new()).unwrap())
}

#[test]
fn loom_the_last_token_is_granted_once() {
    loom::model(|| {
        let budget = budget(0.1, 1);
        let other = thread::spawn({
            let budget = Arc::clone(&budget);
            move || budget.withdraw(Extra::Retry)
        });
        let mine = budget.withdraw(Extra::Fallback);
        assert!(mine ^ other.join().unwrap());
    });
}

#[test]
fn loom_no_deposit_and_no_withdrawal_is_lost() {
    loom::model(|| {
        let budget = budget(1.0, 3);
        assert!(budget.withdraw(Extra::Retry) && budget.withdraw(Extra::Retry));
        let other = thread::spawn({
            let budget = Arc::clone(&budget);
            move || budget.deposit()
        });
        assert!(budget.withdraw(Extra::Probe));
        other.join().unwrap();
        assert_eq!(budget.snapshot().saved, 1);
    });
}
