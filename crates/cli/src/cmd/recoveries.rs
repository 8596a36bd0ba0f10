//! `stead recoveries`.

use stead_client::RecoveryFilter;

use crate::app::App;
use crate::args::Recoveries;
use crate::clock;
use crate::failure::Failure;
use crate::render;

pub(super) async fn recoveries(app: &mut App<'_>, asked: Recoveries) -> Result<(), Failure> {
    if let (Some(agent), Some(failure)) = (&asked.what_if, asked.failure) {
        let foresight = app.client.foresee(&app.namespace, agent, failure).await?;
        return app.out.show(&foresight, |found, _| render::foresight(found));
    }
    let filter = RecoveryFilter {
        namespace: (!asked.scope.all_namespaces).then(|| app.namespace.clone()),
        agent: asked.agent,
        strategy: asked.strategy,
        failure: asked.failure.map(|failure| failure.to_string()),
        state: asked.state,
        since: asked.window.since,
        until: asked.window.until,
        limit: Some(asked.window.limit),
        cursor: None,
    };
    let page = app.client.recoveries(&filter).await?;
    let now = clock::now();
    app.out.show(&page.items, |rows, _| render::recoveries(rows, now))
}
