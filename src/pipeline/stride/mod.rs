//! Stride policies: which frames are analysed. The others are held.

mod adaptive;
mod camera;
pub mod policy;

use std::sync::Arc;

use crate::labels::stride::Stride;
use camera::CameraSampling;
use policy::{Load, StridePolicy};

/// The same stride for every frame.
struct FixedStride(u64);

impl StridePolicy for FixedStride {
    fn stride(&self, _load: &dyn Fn() -> Load) -> u64 {
        self.0
    }
}

/// Selects the policy for `--stride`. On a camera, one of `live` cameras that share the engine, `auto` analyses
/// what is new, with a stride adapted to the load. On a clip, `auto` samples, without a stride.
pub fn select(stride: Stride, live: Option<usize>) -> Arc<dyn StridePolicy> {
    match (stride, live) {
        (Stride::Every(stride), _) => Arc::new(FixedStride(stride)),
        (Stride::Auto, None) => Arc::new(FixedStride(1)),
        (Stride::Auto, Some(streams)) => Arc::new(CameraSampling::new(streams)),
    }
}
