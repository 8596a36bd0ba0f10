//! `stead audit`.

use stead_client::AuditFilter;

use crate::app::App;
use crate::args::Audit;
use crate::clock;
use crate::failure::Failure;
use crate::render;

pub(super) async fn audit(app: &mut App<'_>, asked: Audit) -> Result<(), Failure> {
    let filter = AuditFilter {
        namespace: (!asked.scope.all_namespaces).then(|| app.namespace.clone()),
        agent: asked.agent,
        actor: asked.actor,
        verb: asked.verb,
        correlation_id: asked.correlation,
        since: asked.window.since,
        until: asked.window.until,
        limit: Some(asked.window.limit),
        ..AuditFilter::default()
    };
    let page = app.client.audit(&filter).await?;
    let now = clock::now();
    app.out.show(&page.items, |rows, _| render::audit(rows, now))
}
