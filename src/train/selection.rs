//! The selection of pictures or clips to evaluate.

use crate::train::split::Split;

/// A selection of pictures or clips.
#[derive(Clone, Debug, Default)]
pub struct Selection {
    /// Comma-separated prefixes of groups; with `!` in front, groups with none of these prefixes.
    pub group_prefixes: Option<String>,
    /// A part of the path.
    pub files: Option<String>,
    /// Only the validation groups of this split.
    pub held_out_by: Option<Split>,
    /// Also groups that are not in that split.
    pub unknown: bool,
}

impl Selection {
    /// Returns whether a file of a group is selected.
    pub fn includes(&self, group: &str, name: &str) -> bool {
        let group_prefixes = self.group_prefixes.as_deref().is_none_or(|group_prefixes| {
            let any = |list: &str| list.split(',').any(|begin| group.starts_with(begin));
            match group_prefixes.strip_prefix('!') {
                Some(not) => !any(not),
                None => any(group_prefixes),
            }
        });
        group_prefixes
            && self.files.as_deref().is_none_or(|part| name.contains(part))
            && self
                .held_out_by
                .as_ref()
                .is_none_or(|split| split.validation.contains(group) || (self.unknown && !split.train.contains(group)))
    }
}
