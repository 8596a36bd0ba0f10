//! `stead logs` and `stead events`: what goes on until somebody has seen enough.

use std::process::ExitCode;
use std::time::Duration;

use serde_json::json;
use stead_client::{EventFilter, EventItem, EventStream, LogItem, LogQuery, LogStream, Output};
use tokio::signal::unix::{Signal, SignalKind, signal};

use super::readers::Place;
use crate::app::App;
use crate::args::{Events, Format, Logs, StreamName};
use crate::failure::{Failure, INTERRUPTED};
use crate::render::{self, Timestamps};

pub(super) async fn logs(app: &mut App<'_>, logs: &Logs) -> Result<ExitCode, Failure> {
    let query = LogQuery {
        tail: Some(logs.tail),
        since: logs.since.clone(),
        stream: logs.stream.map(|stream| match stream {
            StreamName::Stdout => Output::Stdout,
            StreamName::Stderr => Output::Stderr,
        }),
        follow: logs.follow,
    };
    let timestamps = if logs.timestamps {
        Timestamps::Shown
    } else {
        Timestamps::Hidden
    };
    let mut interrupt = interrupts()?;
    let stream = app.client.logs(&app.target(&logs.agent), query).await?;
    tokio::select! {
        done = show_lines(app, stream, timestamps, logs) => done.map(|()| ExitCode::SUCCESS),
        _ = interrupt.recv() => Ok(ExitCode::from(INTERRUPTED)),
    }
}

/// Ctrl-C, from now on: before the first line is shown, so that whoever sees one can already end it in the stated way.
fn interrupts() -> Result<Signal, Failure> {
    signal(SignalKind::interrupt()).map_err(|error| Failure::new(format!("signals cannot be received: {error}")))
}

async fn show_lines(
    app: &mut App<'_>,
    mut stream: LogStream,
    timestamps: Timestamps,
    logs: &Logs,
) -> Result<(), Failure> {
    let mut any = false;
    while let Some(item) = stream.next().await? {
        match item {
            LogItem::Line(line) => {
                any = true;
                app.out.show_next(&line, |line| render::log_line(line, timestamps))?;
            }
            LogItem::Interrupted { cause, retry_in } => app.out.note(&render::interrupted(&cause, retry_in))?,
        }
    }
    if !any {
        // Silence has many reasons; people are told which. Programs see that there is no line.
        let view = app.client.agent(&app.target(&logs.agent)).await.ok();
        let all = logs.since.is_none() && logs.stream.is_none();
        if let (Format::Table | Format::Wide, Some(view)) = (app.out.format(), view) {
            app.out.note(&render::no_lines(&view, all))?;
        }
    }
    Ok(())
}

pub(super) async fn events(app: &mut App<'_>, events: &Events) -> Result<ExitCode, Failure> {
    let filter = EventFilter {
        namespace: (!events.scope.all_namespaces).then(|| app.namespace.clone()),
        agent: events.agent.clone(),
        group: events.group.clone(),
        types: events.types.clone(),
        selector: events.selector.as_ref().map(ToString::to_string),
        after: events.after.clone(),
        since: events.since.clone(),
        reader: events.reader.clone(),
    };
    let mut interrupt = interrupts()?;
    let mut place = match &events.reader {
        Some(reader) => Some(Place::of(&app.client, reader.clone()).await?),
        None => None,
    };
    let mut stream = app.client.events(filter).await?;
    let limit = events.limit.unwrap_or(u64::MAX);
    let code = tokio::select! {
        done = show_events(app, &mut stream, place.as_mut(), limit) => done.map(|()| ExitCode::SUCCESS)?,
        _ = interrupt.recv() => ExitCode::from(INTERRUPTED),
    };
    if let Some(place) = &mut place {
        place.keep(stream.cursor()).await?;
    }
    Ok(code)
}

async fn show_events(
    app: &mut App<'_>,
    stream: &mut EventStream,
    mut place: Option<&mut Place>,
    limit: u64,
) -> Result<(), Failure> {
    let mut shown = 0;
    while shown < limit {
        let item = match &mut place {
            None => stream.next().await?,
            Some(place) => match tokio::time::timeout(QUIET, stream.next()).await {
                Ok(item) => item?,
                Err(_quiet) => {
                    place.keep(stream.cursor()).await?;
                    continue;
                }
            },
        };
        match item {
            EventItem::Event(event) => {
                // Programs get the cursor with the event: `--after` takes it.
                let mut value = json!(&*event);
                if let (Some(fields), Some(cursor)) = (value.as_object_mut(), stream.cursor()) {
                    fields.insert("cursor".to_owned(), json!(cursor));
                }
                app.out.show_next(&value, |_| render::event(&event))?;
                shown += 1;
                if let Some(place) = &mut place
                    && place.is_due()
                {
                    place.keep(stream.cursor()).await?;
                }
            }
            EventItem::Gap { detail } => {
                let value = json!({ "type": "gap", "detail": detail });
                app.out.show_next(&value, |_| render::gap(&detail))?;
            }
            EventItem::Other { kind, data } => {
                app.out.show_next(&data, |data| render::other_event(&kind, data))?;
                shown += 1;
            }
            EventItem::Interrupted { cause, retry_in } => app.out.note(&render::interrupted(&cause, retry_in))?,
        }
    }
    Ok(())
}

/// How long nothing comes before the place of a reader is kept.
const QUIET: Duration = Duration::from_millis(500);
