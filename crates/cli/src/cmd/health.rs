//! `stead health`.

use crate::app::App;
use crate::args::HealthOf;
use crate::clock;
use crate::failure::Failure;
use crate::render;

pub(super) async fn health(app: &mut App<'_>, asked: &HealthOf) -> Result<(), Failure> {
    let namespace = (!asked.scope.all_namespaces).then(|| app.namespace.clone());
    let summary = app
        .client
        .health_summary(namespace.as_ref(), asked.selector.as_ref(), asked.limit)
        .await?;
    let now = clock::now();
    app.out
        .show(&summary, |summary, _| render::health_summary(summary, now))
}
