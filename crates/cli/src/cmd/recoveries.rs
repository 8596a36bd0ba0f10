//! `stead recoveries`.

use stead_client::RecoveryFilter;

use crate::app::App;
use crate::args::Recoveries;
use crate::clock;
use crate::failure::Failure;
use crate::render;

pub(super) async fn recoveries(app: &mut App<'_>, asked: Recoveries) -> Result<(), Failure> {
    let filter = RecoveryFilter {
        namespace: (!asked.scope.all_namespaces).then(|| app.namespace.clone()),
        agent: asked.agent,
        strategy: asked.strategy,
        failure: asked.failure,
        state: asked.state,
        since: asked.since,
        until: asked.until,
        limit: Some(asked.limit),
        cursor: None,
    };
    let page = app.client.recoveries(&filter).await?;
    let now = clock::now();
    app.out.show(&page.items, |rows, _| render::recoveries(rows, now))
}
