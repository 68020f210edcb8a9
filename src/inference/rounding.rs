//! With how many digits a network is computed.

use crate::inference::device::{Device, INT8, computes_in_bf16};

/// What is not int8 may be computed with fewer digits, where the device can.
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
pub enum ComputePrecision {
    /// As the file says: an fp32 file in fp32; what an int8 file leaves in floating point in bf16 where that is faster
    #[default]
    Auto,
    /// Every floating point number in fp32
    Fp32,
    /// In bf16, on CPUs that have it, through openvino
    Bf16,
}

impl ComputePrecision {
    /// Whether OpenVINO computes a file of `precision` in bf16.
    pub fn in_bf16(self, precision: &str) -> bool {
        match self {
            ComputePrecision::Fp32 => false,
            ComputePrecision::Bf16 => true,
            ComputePrecision::Auto => precision != "fp32" && computes_in_bf16(),
        }
    }

    /// The numbers that a file of `precision` is computed in, for people.
    pub fn arithmetic(self, precision: &str, device: Device) -> String {
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
    fn only_openvino_rounds_and_a_file_in_fp32_only_on_demand() {
        assert_eq!(ComputePrecision::Auto.arithmetic("fp32", Device::OpenVino), "fp32");
        assert_eq!(ComputePrecision::Bf16.arithmetic("fp32", Device::OpenVino), "bf16");
        assert_eq!(ComputePrecision::Bf16.arithmetic("fp32", Device::Cpu), "fp32");
        assert_eq!(ComputePrecision::Bf16.arithmetic(INT8, Device::OpenVino), "int8 and bf16");
        assert_eq!(ComputePrecision::Fp32.arithmetic(INT8, Device::OpenVino), "int8 and fp32");
        assert_eq!(ComputePrecision::Auto.arithmetic("fp16", Device::Cuda(0)), "fp16");
    }
}
