//! The stride: every n-th frame is analysed, with n fixed or adapted.
//!
//! A held frame gets the last prediction, which also enters the smoothing window in its place. So the window covers the
//! same time with any stride.

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::labels::window::number_or_text;

/// The option `--stride`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stride {
    /// Every n-th frame.
    Every(u64),
    /// On a clip, [adaptive sampling](crate::labels::sampling); on a camera, the same
    /// forwards, with a stride adapted to the load.
    Auto,
}

impl std::str::FromStr for Stride {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "auto" => Ok(Stride::Auto),
            _ => match text.parse() {
                Ok(stride) if stride > 0 => Ok(Stride::Every(stride)),
                _ => Err(format!("{text:?} is neither auto nor a whole number of 1 or more")),
            },
        }
    }
}

/// A number or "auto".
impl<'de> Deserialize<'de> for Stride {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        number_or_text(deserializer)
    }
}

impl Serialize for Stride {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Every(stride) => serializer.serialize_u64(*stride),
            Self::Auto => serializer.serialize_str("auto"),
        }
    }
}
