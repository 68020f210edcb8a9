//! The precision in which a network computes.

use crate::inference::device::{Device, INT8, computes_in_bf16};

/// The precision of floating-point computation. int8 parts stay int8.
#[derive(
    Clone,
    Copy,
    Debug,
    Default,
    PartialEq,
    Eq,
    serde::Serialize,
    serde::Deserialize,
    schemars::JsonSchema,
    clap::ValueEnum,
)]
#[serde(rename_all = "lowercase")]
pub enum InferencePrecision {
    /// fp32 for an fp32 file; bf16 for the floating-point part of other files where that is faster
    #[default]
    Auto,
    /// Everything in fp32
    Fp32,
    /// bf16, on CPUs that have it, through OpenVINO
    Bf16,
}

impl InferencePrecision {
    /// Returns whether OpenVINO computes a file of `precision` in bf16.
    pub fn in_bf16(self, precision: &str) -> bool {
        match self {
            InferencePrecision::Fp32 => false,
            InferencePrecision::Bf16 => true,
            InferencePrecision::Auto => precision != "fp32" && computes_in_bf16(),
        }
    }

    /// Returns the precision that a file of `precision` is computed in, as shown to the user.
    pub fn effective_precision(self, precision: &str, device: Device) -> String {
        let bf16 = device == Device::OpenVino && self.in_bf16(precision);
        match (precision, bf16) {
            (INT8, true) => "int8 and bf16".into(),
            (INT8, false) => "int8 and fp32".into(),
            (_, true) => "bf16".into(),
            (precision, false) => precision.into(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_openvino_computes_in_bf16_and_an_fp32_file_only_on_request() {
        assert_eq!(InferencePrecision::Auto.effective_precision("fp32", Device::OpenVino), "fp32");
        assert_eq!(InferencePrecision::Bf16.effective_precision("fp32", Device::OpenVino), "bf16");
        assert_eq!(InferencePrecision::Bf16.effective_precision("fp32", Device::Cpu), "fp32");
        assert_eq!(InferencePrecision::Bf16.effective_precision(INT8, Device::OpenVino), "int8 and bf16");
        assert_eq!(InferencePrecision::Fp32.effective_precision(INT8, Device::OpenVino), "int8 and fp32");
        assert_eq!(InferencePrecision::Auto.effective_precision("fp16", Device::Cuda(0)), "fp16");
    }
}
