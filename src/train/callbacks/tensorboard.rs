//! TensorBoard event files: records with a length, a protobuf message, and checksums of both.

use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use prost::Message;

use crate::error::{Error, Result};
use crate::train::callbacks::{Callback, figures};
use crate::train::state::EpochRecord;

/// TensorFlow's constant for masked checksums: it is added after a rotation.
const MASK: u32 = 0xa282_ead8;

#[derive(Clone, PartialEq, Message)]
struct Event {
    #[prost(double, tag = "1")]
    wall_time: f64,
    #[prost(int64, tag = "2")]
    step: i64,
    #[prost(string, optional, tag = "3")]
    file_version: Option<String>,
    #[prost(message, optional, tag = "5")]
    summary: Option<Summary>,
}

#[derive(Clone, PartialEq, Message)]
struct Summary {
    #[prost(message, repeated, tag = "1")]
    value: Vec<Value>,
}

#[derive(Clone, PartialEq, Message)]
struct Value {
    #[prost(string, tag = "1")]
    tag: String,
    #[prost(float, optional, tag = "2")]
    simple_value: Option<f32>,
}

/// Writes an event file.
pub struct TensorBoard {
    file: File,
    path: PathBuf,
}

impl TensorBoard {
    /// Creates a new file in `folder`. Files of earlier runs stay, and TensorBoard joins them.
    ///
    /// # Errors
    /// `Failed` if it cannot be written.
    pub fn create(folder: &Path) -> Result<Self> {
        let now = now();
        let path = folder.join(format!("events.out.tfevents.{}.livelabel.{}", now as u64, std::process::id()));
        let file = std::fs::create_dir_all(folder).and_then(|()| File::create(&path));
        let mut board = Self { file: file.map_err(|cause| unwritable(&path, cause))?, path };
        board.write(&Event { wall_time: now, file_version: Some("brain.Event:2".into()), ..Default::default() })?;
        Ok(board)
    }

    fn write(&mut self, event: &Event) -> Result<()> {
        let data = event.encode_to_vec();
        let length = (data.len() as u64).to_le_bytes();
        let record =
            [&length[..], &masked(&length).to_le_bytes(), data.as_slice(), &masked(&data).to_le_bytes()].concat();
        self.file.write_all(&record).map_err(|cause| unwritable(&self.path, cause))
    }
}

impl Callback for TensorBoard {
    fn epoch(&mut self, history: &[EpochRecord]) -> Result<()> {
        let Some(record) = history.last() else { return Ok(()) };
        let value = |(name, value): (&str, f64)| Value { tag: name.into(), simple_value: Some(value as f32) };
        let summary = Summary { value: figures(record).into_iter().map(value).collect() };
        let event = Event { wall_time: now(), step: record.epoch as i64, file_version: None, summary: Some(summary) };
        self.write(&event)
    }
}

/// Returns TensorFlow's masked CRC-32C.
fn masked(data: &[u8]) -> u32 {
    crc32c::crc32c(data).rotate_right(15).wrapping_add(MASK)
}

fn now() -> f64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs_f64()
}

fn unwritable(path: &Path, cause: std::io::Error) -> Error {
    Error::failed(format!("{}: cannot be written", path.display()))
        .because(cause)
        .remedy("choose another folder with --tensorboard")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn checksums_are_masked_as_tensorflow_does() {
        // The check value of CRC-32C; TensorFlow's rotation and constant, computed by hand.
        assert_eq!(crc32c::crc32c(b"123456789"), 0xe306_9283);
        assert_eq!(masked(b"123456789"), 0x2507_c60du32.wrapping_add(0xa282_ead8));
    }
}
