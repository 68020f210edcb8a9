//! The devices that run a model, and their names on the command line.

use std::fmt;
use std::str::FromStr;

/// The precision in the metadata of int8 model files.
pub const INT8: &str = "int8";

/// The device that the user selects.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum DeviceSelection {
    #[default]
    Auto,
    Exactly(Device),
}

/// A device that runs a model.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Device {
    Cpu,
    /// The CPU through OpenVINO.
    OpenVino,
    /// An NVIDIA GPU by its number.
    Cuda(u32),
}

impl Device {
    /// Returns the device without its number, for file names.
    pub fn kind(self) -> &'static str {
        match self {
            Device::Cpu => "cpu",
            Device::OpenVino => "openvino",
            Device::Cuda(_) => "cuda",
        }
    }

    /// Returns the default batch size. Larger batches are not faster, and delay more frames.
    pub fn batch(self) -> usize {
        match self {
            Device::Cpu => 4,
            Device::OpenVino => 4,
            Device::Cuda(_) => 64,
        }
    }
}

impl fmt::Display for Device {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Device::Cpu => f.write_str("cpu"),
            Device::OpenVino => f.write_str("openvino"),
            Device::Cuda(0) => f.write_str("cuda"),
            Device::Cuda(number) => write!(f, "cuda:{number}"),
        }
    }
}

impl FromStr for DeviceSelection {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let device = match text.split_once(':') {
            None if text == "auto" => return Ok(DeviceSelection::Auto),
            None if text == "cpu" => Device::Cpu,
            None if text == "openvino" => Device::OpenVino,
            None if text == "cuda" => Device::Cuda(0),
            Some(("cuda", number)) => {
                Device::Cuda(number.parse().map_err(|_| format!("{number:?} is not the number of a GPU"))?)
            }
            _ => return Err(format!("{text:?} is not one of auto, cpu, cuda, cuda:N, openvino")),
        };
        Ok(DeviceSelection::Exactly(device))
    }
}

impl<'de> serde::Deserialize<'de> for DeviceSelection {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

/// Returns whether the CPU multiplies bf16 matrices in hardware. Without that, bf16 is slower than fp32.
pub fn computes_in_bf16() -> bool {
    let cpuinfo = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let flags = cpuinfo.lines().find(|line| line.starts_with("flags")).unwrap_or_default();
    flags.split_whitespace().any(|flag| flag == "amx_bf16" || flag == "avx512_bf16")
}

/// Returns the default number of threads for a session: the cores that this process may use.
pub fn threads() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}
