//! Small tables of a user: lines of tab-separated fields.

use std::path::Path;

use crate::error::{Error, Result};

/// Reads lines of `N` fields; skips empty lines. `number` is `N` in words, and `fields` names them, for the error.
///
/// # Errors
/// `Input` if the file cannot be read, or a line has another number of fields or an empty one of the first `filled`.
pub fn read<const N: usize>(path: &Path, number: &str, fields: &str, filled: usize) -> Result<Vec<[String; N]>> {
    let wrong = |what: String| {
        Error::input(format!("{}: {what}", path.display())).remedy(format!("write lines of {fields}, tab-separated"))
    };
    let text = std::fs::read_to_string(path).map_err(|cause| wrong("cannot be read".into()).because(cause))?;
    let split = |line: &str| {
        let fields: Vec<String> = line.split('\t').map(String::from).collect();
        <[String; N]>::try_from(fields)
            .ok()
            .filter(|fields| fields[..filled].iter().all(|field| !field.is_empty()))
            .ok_or_else(|| wrong(format!("{line:?} does not have {number} fields")))
    };
    text.lines().filter(|line| !line.is_empty()).map(split).collect()
}
