//! Which colour means what.

use owo_colors::{OwoColorize, Style};
use stead_model::{AgentView, Class, Health, Profile, Role};

/// Text and its colour; padded before it is painted, since colours have no width.
#[derive(Clone, Debug)]
pub(super) struct Cell {
    pub(super) text: String,
    pub(super) style: Style,
}

impl Cell {
    pub(super) fn new(text: impl Into<String>, style: Style) -> Self {
        Self {
            text: text.into(),
            style,
        }
    }

    pub(super) fn plain(text: impl Into<String>) -> Self {
        Self::new(text, Style::new())
    }

    pub(super) fn dim(text: impl Into<String>) -> Self {
        Self::new(text, Style::new().dimmed())
    }

    pub(super) fn painted(&self, width: usize) -> String {
        let padded = format!("{:width$}", self.text);
        if self.style.is_plain() {
            padded
        } else {
            padded.style(self.style).to_string()
        }
    }
}

/// A heading.
pub(super) fn heading(text: &str) -> String {
    text.bold().to_string()
}

/// A phase in the colour of its class.
pub(super) fn phase(profile: &str, phase: &str) -> Cell {
    Cell::new(phase, phase_style(profile, phase))
}

fn phase_style(profile: &str, phase: &str) -> Style {
    let Some(profile) = built_in(profile) else {
        return Style::new();
    };
    let Some(phase) = profile.phase(phase) else {
        return Style::new();
    };
    let is = |class| profile.is(phase, class);
    if is(Class::Error) {
        Style::new().red()
    } else if is(Class::Maintenance) || is(Class::Impaired) {
        Style::new().yellow()
    } else if is(Class::Operational) {
        Style::new().green()
    } else if is(Class::Transitional) {
        Style::new().cyan()
    } else {
        Style::new().dimmed()
    }
}

/// What a phase is for; unknown for profiles of one's own.
pub(crate) fn role(view: &AgentView) -> Option<Role> {
    let profile = built_in(&view.profile)?;
    let phase = profile.phase(&view.phase)?;
    Some(profile.role(phase))
}

fn built_in(name: &str) -> Option<Profile> {
    match name {
        "agent" => Some(stead_model::profile::agent()),
        "component" => Some(stead_model::profile::component()),
        _ => None,
    }
}

/// A health in its colour.
pub(super) fn health(health: Health) -> Cell {
    let style = match health {
        Health::Healthy => Style::new().green(),
        Health::Degraded => Style::new().yellow(),
        Health::Critical | Health::Failed => Style::new().red(),
        Health::Recovering => Style::new().cyan(),
        Health::Unknown => Style::new().dimmed(),
    };
    Cell::new(health.as_str(), style)
}
