//! Pauses: of which kind, by whom, why, until when.

use stead_model::{PauseMode, PauseView, Wall};

use super::age::relative;

/// All of it in a few words, for a table.
pub(super) fn in_short(pause: &PauseView, now: Wall) -> String {
    let mode = match pause.mode {
        PauseMode::Soft => "paused",
        PauseMode::Checkpoint => "paused (checkpoint)",
        PauseMode::Freeze => "frozen",
        PauseMode::Hibernate => "hibernated",
    };
    let until = pause.until.map(|until| format!(", ends {}", relative(now, until)));
    let note = pause.note.as_ref().map(|note| format!(": {note}"));
    format!(
        "{mode} by {}{}{}",
        pause.by,
        until.unwrap_or_default(),
        note.unwrap_or_default()
    )
}

/// By whom and since when, of which kind and until when, why.
pub(super) fn lines(pause: &PauseView, now: Wall) -> Vec<String> {
    let mut lines = vec![
        format!("by {} {}", pause.by, relative(now, pause.at)),
        manner(pause, now),
    ];
    lines.extend(pause.note.iter().map(|note| format!("“{note}”")));
    lines
}

/// Of which kind and until when.
pub(super) fn manner(pause: &PauseView, now: Wall) -> String {
    let what = match pause.mode {
        PauseMode::Soft => "it gets no new work",
        PauseMode::Checkpoint if pause.acknowledged.is_some() => "it has written down where it is",
        PauseMode::Checkpoint => "it is to write down where it is, and has not said yet that it has",
        PauseMode::Freeze => "its whole tree of processes stands still",
        PauseMode::Hibernate if pause.acknowledged.is_some() => "it has written down where it is, and ended",
        PauseMode::Hibernate => "it is to write down where it is and end, and has not said yet that it has",
    };
    let until = match pause.until {
        Some(until) => format!("until {until} ({})", relative(now, until)),
        None => "until somebody resumes it".to_owned(),
    };
    format!("mode {}: {what}, {until}", pause.mode)
}
