//! How busy the machine is, for rules about it.

use std::time::Duration;

use stead_policy::degrade::When;
use stead_resilience::degrade::{MeasureLoad as _, ProcLoad};
use tokio_util::sync::CancellationToken;
use tracing::debug;

use crate::handle::Handle;

/// How often the load is measured, where a rule is about it.
const EVERY: Duration = Duration::from_secs(5);

/// Measures the load of the machine while a rule that is in force is about it.
pub(crate) async fn watch_load(handle: Handle, closing: CancellationToken) {
    let measuring = async {
        let mut load = ProcLoad::new();
        loop {
            tokio::time::sleep(EVERY).await;
            let in_force = handle.features_in_force().load_full();
            let Some((namespace, plan)) = in_force.as_deref() else {
                continue;
            };
            let about_load = |when: &When| matches!(when, When::CpuOver(_) | When::MemoryOver(_));
            if plan.features.is_empty() || !plan.rules.iter().any(|rule| about_load(&rule.when)) {
                continue;
            }
            match load.measure() {
                Ok(load) => handle.tell_load(namespace.clone(), load),
                Err(error) => debug!(%error, "the load of the machine cannot be measured"),
            }
        }
    };
    let _left = closing.run_until_cancelled(measuring).await;
}
