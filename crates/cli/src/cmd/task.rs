//! `stead task`: work that is given to agents.

use crate::app::App;
use crate::args::{Format, Task};
use crate::failure::Failure;
use crate::render;

pub(super) async fn task(app: &mut App<'_>, task: &Task) -> Result<(), Failure> {
    let (verb, answer) = match task {
        Task::Assign(one) => (
            "task assign",
            app.client.assign(&app.target(&one.agent), &one.task).await?,
        ),
        Task::Complete(one) => (
            "task complete",
            app.client.complete(&app.target(&one.agent), &one.task).await?,
        ),
    };
    app.out.show(&answer, |answer, _: Format| render::acted(verb, answer))
}
