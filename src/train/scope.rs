//! The selection of pictures or clips to evaluate.

use crate::train::split::Split;

/// A selection of pictures or clips.
#[derive(Clone, Debug, Default)]
pub struct Scope {
    /// Comma-separated prefixes of groups; with `!` in front, groups with none of these prefixes.
    pub begins: Option<String>,
    /// A part of the path.
    pub files: Option<String>,
    /// Only the validation groups of this split.
    pub held_out_by: Option<Split>,
    /// Also groups that are not in that split.
    pub unknown: bool,
}

impl Scope {
    /// Returns whether a file of a group is selected.
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
                .held_out_by
                .as_ref()
                .is_none_or(|split| split.validation.contains(group) || (self.unknown && !split.train.contains(group)))
    }
}
