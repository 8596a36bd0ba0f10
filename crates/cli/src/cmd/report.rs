//! `stead report`: for scripts that are agents.

use stead_client::Beat;

use crate::app::App;
use crate::args::{Format, Report};
use crate::failure::Failure;
use crate::render;

pub(super) async fn report(app: &mut App<'_>, report: &Report) -> Result<(), Failure> {
    let target = app.target(&report.agent);
    if let Some(detail) = &report.error {
        let answer = app.client.report_error(&target, detail).await?;
        return app
            .out
            .show(&answer, |answer, _: Format| render::acted("report of an error", answer));
    }
    let beat = Beat {
        incarnation: report.incarnation,
        health: report.health,
        detail: report.detail.clone(),
    };
    // Said often and by programs: silent when all is well.
    Ok(app.client.beat(&target, &beat).await?)
}
