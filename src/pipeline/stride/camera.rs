//! Adaptive sampling of a camera: frames that tell nothing new are held, and the stride follows the load.

use std::sync::{Mutex, PoisonError};

use crate::labels::sampling::{Evidence, ForwardSampler};
use crate::media::frame::Frame;
use crate::picture::LumaGrid;
use crate::pipeline::stride::adaptive::AdaptiveStride;
use crate::pipeline::stride::policy::{Label, Load, StridePolicy};

/// Analyses the frames that a [`ForwardSampler`] chooses, at most one in every stride of an [`AdaptiveStride`].
pub struct CameraSampling {
    stride: AdaptiveStride,
    /// Used by the first thread only.
    sampler: Mutex<(ForwardSampler, Option<u64>)>,
    /// Written by the second thread, read by the first.
    evidence: Mutex<Evidence>,
}

impl CameraSampling {
    /// Creates a policy for one of `streams` that share the engine.
    pub fn new(streams: usize) -> Self {
        Self { stride: AdaptiveStride::new(streams), sampler: Mutex::default(), evidence: Mutex::default() }
    }
}

impl StridePolicy for CameraSampling {
    fn stride(&self, load: &dyn Fn() -> Load) -> u64 {
        self.stride.stride(load)
    }

    fn is_needed(&self, frame: &Frame, due: bool) -> bool {
        let picture = LumaGrid::of(&frame.picture());
        let mut sampler = self.sampler.lock().unwrap_or_else(PoisonError::into_inner);
        let (sampler, discontinuity) = &mut *sampler;
        if discontinuity.replace(frame.discontinuity) != Some(frame.discontinuity) {
            // The labels begin anew.
            sampler.reset();
        }
        sampler.wants(frame.pts, picture, due, &self.evidence.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn restart(&self) {
        self.sampler.lock().unwrap_or_else(PoisonError::into_inner).0.reset();
    }

    fn labeled(&self, label: &Label) {
        self.stride.labeled(label);
        let mut evidence = self.evidence.lock().unwrap_or_else(PoisonError::into_inner);
        evidence.update(label.prediction, label.margin, label.window);
    }
}
