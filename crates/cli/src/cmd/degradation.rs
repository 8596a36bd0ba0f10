//! `stead degradation`.

use stead_client::LevelFilter;

use crate::app::App;
use crate::args::{Degradation, OfDegradation};
use crate::clock;
use crate::failure::Failure;
use crate::render;

pub(super) async fn degradation(app: &mut App<'_>, asked: Degradation) -> Result<(), Failure> {
    let view = match asked.what.unwrap_or(OfDegradation::Show) {
        OfDegradation::Show => app.client.degradation(&app.namespace).await?,
        OfDegradation::Hold(hold) => {
            app.client
                .hold_degradation(&app.namespace, hold.level, hold.lasts, hold.reason.as_deref())
                .await?
        }
        OfDegradation::Release(release) => {
            let reason = release.reason.as_deref();
            app.client.release_degradation(&app.namespace, reason).await?
        }
        OfDegradation::History(asked) => {
            let filter = LevelFilter {
                since: asked.since,
                until: asked.until,
                limit: Some(asked.limit),
                cursor: None,
            };
            let page = app.client.degradations(&app.namespace, &filter).await?;
            let now = clock::now();
            return app.out.show(&page.items, |rows, _| render::levels(rows, now));
        }
    };
    let now = clock::now();
    app.out.show(&view, |view, _| render::degradation(view, now))
}
