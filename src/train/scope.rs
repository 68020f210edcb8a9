//! Which pictures or clips are looked at.

use crate::train::split::Split;

/// Which pictures or clips are looked at.
#[derive(Clone, Debug, Default)]
pub struct Scope {
    /// How the names of their groups begin, any of these; or with `!` in front, none of these.
    pub begins: Option<String>,
    /// What their paths have in them.
    pub files: Option<String>,
    /// Only groups that this run kept to check on.
    pub kept_by: Option<Split>,
    /// And those that it has not at all.
    pub unknown: bool,
}

impl Scope {
    /// Whether a file of a group is looked at.
    pub fn has(&self, group: &str, name: &str) -> bool {
        let begins = self.begins.as_deref().is_none_or(|begins| {
            let any = |list: &str| list.split(',').any(|begin| group.starts_with(begin));
            match begins.strip_prefix('!') {
                Some(not) => !any(not),
                None => any(begins),
            }
        });
        begins
            && self.files.as_deref().is_none_or(|part| name.contains(part))
            && self
                .kept_by
                .as_ref()
                .is_none_or(|split| split.validation.contains(group) || (self.unknown && !split.train.contains(group)))
    }
}
