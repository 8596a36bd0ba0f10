//! Settings that no policy can work with.

use core::fmt::Debug;

/// A setting that a policy cannot work with. Nothing was built, and what was there is unchanged.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("{setting} = {value} does not work: {must}")]
pub struct InvalidSetting {
    /// Which one: `policy.field`.
    pub setting: &'static str,
    /// What it was set to.
    pub value: String,
    /// What would work.
    pub must: &'static str,
}

impl InvalidSetting {
    /// Refuses `value` for `setting`, saying what would work.
    pub(crate) fn new(setting: &'static str, value: impl Debug, must: &'static str) -> Self {
        Self {
            setting,
            value: format!("{value:?}"),
            must,
        }
    }
}

/// Refuses `value` unless it is `fine`.
pub(crate) fn require(
    fine: bool,
    setting: &'static str,
    value: impl Debug,
    must: &'static str,
) -> Result<(), InvalidSetting> {
    if fine {
        Ok(())
    } else {
        Err(InvalidSetting::new(setting, value, must))
    }
}
