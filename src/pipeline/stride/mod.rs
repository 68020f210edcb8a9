//! Which frames are analysed. The others take over the last prediction.

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

/// The policy that the user asks for: `auto` compares labels on a clip and follows the load on a camera, which is one of
/// `live` that share the engine.
pub fn select(stride: Stride, live: Option<usize>) -> Box<dyn StridePolicy> {
    match (stride, live) {
        (Stride::Every(stride), _) => Box::new(FixedStride(stride)),
        (Stride::Auto, None) => Box::new(CalibratedStride::default()),
        (Stride::Auto, Some(streams)) => Box::new(AdaptiveStride::new(streams)),
    }
}
