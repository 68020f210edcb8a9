//! Stride policies: which frames are analysed. The others are held.

mod adaptive;
mod calibrated;
pub mod policy;

use crate::labels::stride::Stride;
use adaptive::AdaptiveStride;
use calibrated::CalibratedStride;
use policy::{Load, StridePolicy};

/// The same stride for every frame.
struct FixedStride(u64);

impl StridePolicy for FixedStride {
    fn stride(&self, _load: &dyn Fn() -> Load) -> u64 {
        self.0
    }
}

/// Selects the policy for `--stride`. `auto` calibrates the stride on a clip; on a camera, one of `live` cameras that
/// share the engine, it adapts to the load.
pub fn select(stride: Stride, live: Option<usize>) -> Box<dyn StridePolicy> {
    match (stride, live) {
        (Stride::Every(stride), _) => Box::new(FixedStride(stride)),
        (Stride::Auto, None) => Box::new(CalibratedStride::default()),
        (Stride::Auto, Some(streams)) => Box::new(AdaptiveStride::new(streams)),
    }
}
