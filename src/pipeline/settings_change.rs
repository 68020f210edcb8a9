//! What a running camera can be told. It takes effect between two frames: the first thread passes it on to the second in
//! the order of the frames.

use std::sync::Arc;

use crate::config::inputs::Job;
use crate::inference::engine::Engine;
use crate::inference::model::Model;
use crate::pipeline::outcome::EngineInfo;
use crate::pipeline::stride::policy::StridePolicy;

/// Commands that may wait for a camera.
pub const COMMANDS: usize = 16;

/// A command to a running camera.
pub enum Command {
    /// Other settings of its labels, or another model with the same labels.
    Settings {
        job: Arc<Job>,
        model: Arc<Model>,
        engine: Arc<Engine>,
    },
    /// Disconnect until it is resumed.
    Pause,
    Resume,
}

/// New settings on their way to the second thread.
pub struct SettingsChange {
    pub job: Arc<Job>,
    pub model: Arc<Model>,
    pub engine: EngineInfo,
    pub stride: Arc<dyn StridePolicy>,
}
