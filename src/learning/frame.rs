//! A frame that is kept: its picture, and what the model said.

use crate::config::cameras::stem;
use crate::error::Result;
use crate::learning::selection::{Bucket, Reason};
use crate::picture::file::{decode_picture, reduced};
use crate::picture::{DifferenceHash, Picture};

/// Longest side of a kept picture, in pixels, and the quality of its JPEG.
const LONGEST: usize = 640;
const QUALITY: i32 = 90;

/// A frame to keep.
pub struct NewFrame {
    pub stream: String,
    /// The stream's name as its files have it.
    pub stem: String,
    pub time: i64,
    pub clip: bool,
    pub reason: Reason,
    /// What the model said: each label with its probability. Empty for a frame of a recording.
    pub said: Vec<(String, f32)>,
    pub model: Option<String>,
    /// The difference of its two best probabilities.
    pub margin: f32,
    pub hash: DifferenceHash,
    pub jpeg: Vec<u8>,
    /// The stream's bucket after this frame; `None` for a frame that took no token.
    pub bucket: Option<Bucket>,
}

impl NewFrame {
    /// Returns a frame of a recording, at `time`, for an answer about an interval. No model has seen it.
    ///
    /// # Errors
    /// `Input` if `jpeg` is none.
    pub fn recorded(stream: &str, time: i64, jpeg: &[u8]) -> Result<Self> {
        let picture = decode_picture(jpeg)?;
        let view = picture.view();
        Ok(Self {
            stream: stream.into(),
            stem: stem(stream),
            time,
            clip: false,
            reason: Reason::Interval,
            said: Vec::new(),
            model: None,
            margin: 1.0,
            hash: DifferenceHash::of(&view),
            jpeg: encode(&view)?,
            bucket: None,
        })
    }
}

/// Encodes a picture as it is kept.
///
/// # Errors
/// Internal if the libraries fail.
pub fn encode(picture: &Picture) -> Result<Vec<u8>> {
    reduced(picture, (LONGEST, LONGEST), QUALITY)
}
