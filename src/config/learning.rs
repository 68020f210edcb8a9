//! Keeping frames for learning: the folder, and how much it may hold.

use std::path::PathBuf;

use crate::config::options::RunOptions;
use crate::error::{Error, Result};

const DEFAULT_PER_DAY: usize = 200;
/// Pictures of all streams, in bytes: 1 GiB.
const DEFAULT_LIMIT: u64 = 1 << 30;

/// Where frames are kept, and how many.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LearningConfig {
    pub folder: PathBuf,
    /// Most frames of one stream and day.
    pub per_day: usize,
    /// Most bytes of all pictures.
    pub limit: u64,
}

impl LearningConfig {
    /// Resolves the options; `None` if no frames are kept.
    ///
    /// # Errors
    /// Returns a usage error if a limit is set without a folder.
    pub fn resolve(options: &RunOptions) -> Result<Option<Self>> {
        let Some(folder) = options.learn.clone() else {
            let useless = match (options.learn_per_day, options.learn_limit) {
                (Some(_), _) => "--learn-per-day",
                (None, Some(_)) => "--learn-limit",
                (None, None) => return Ok(None),
            };
            return Err(Error::usage(format!("{useless} is set, but no frames are kept"))
                .remedy("name a folder for them with --learn"));
        };
        Ok(Some(Self {
            folder,
            per_day: options.learn_per_day.unwrap_or(DEFAULT_PER_DAY),
            limit: options.learn_limit.unwrap_or(DEFAULT_LIMIT),
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_need_a_folder() {
        assert_eq!(LearningConfig::resolve(&RunOptions::default()).unwrap(), None);
        let learn = Some(PathBuf::from("learned"));
        let given = RunOptions { learn: learn.clone(), ..RunOptions::default() };
        let config = LearningConfig { folder: "learned".into(), per_day: 200, limit: 1_073_741_824 };
        assert_eq!(LearningConfig::resolve(&given).unwrap(), Some(config));
        for options in [
            RunOptions { learn_per_day: Some(5), ..RunOptions::default() },
            RunOptions { learn_limit: Some(5), ..RunOptions::default() },
        ] {
            let error = LearningConfig::resolve(&options).unwrap_err();
            assert!(error.exit_code() == 2 && error.to_string().contains("with --learn"), "{error}");
        }
    }
}
