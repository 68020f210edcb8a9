//! Detects the available devices, and selects those that `auto` tries.

use std::path::Path;

use crate::inference::device::{Device, INT8, threads};
use crate::inference::{openvino, runtime};
use crate::system::words::count;

/// The status of a device, detected without loading a session.
#[derive(Clone, Debug, serde::Serialize)]
pub struct DeviceStatus {
    pub device: String,
    pub usable: bool,
    /// What was found, or what is missing and how to get it.
    pub reason: String,
}

/// Returns the status of every device. Checks files only: no library is loaded.
pub fn probe() -> Vec<DeviceStatus> {
    let status = |device: Device, found: Result<String, String>| DeviceStatus {
        device: device.to_string(),
        usable: found.is_ok(),
        reason: found.unwrap_or_else(|missing| missing),
    };
    vec![status(Device::Cuda(0), on_cuda()), status(Device::OpenVino, on_openvino()), status(Device::Cpu, on_cpu())]
}

/// Returns the devices that `auto` tries for a model in `precision`, best first. The CPU, which always works, is last.
pub fn candidates(precision: &str) -> Vec<Device> {
    // An int8 file is made for CPUs; on a GPU it is much slower than an fp16 file.
    let gpu = (precision != INT8 && on_cuda().is_ok()).then_some(Device::Cuda(0));
    let openvino = on_openvino().is_ok().then_some(Device::OpenVino);
    gpu.into_iter().chain(openvino).chain([Device::Cpu]).collect()
}

fn on_cpu() -> Result<String, String> {
    let library = runtime::library().ok_or("ONNX Runtime is not installed: run scripts/setup")?;
    Ok(format!("{}, {}", count(threads() as u64, "thread"), library.display()))
}

fn on_openvino() -> Result<String, String> {
    let library = openvino::library().ok_or("it is not installed: run scripts/setup --openvino")?;
    Ok(library.display().to_string())
}

fn on_cuda() -> Result<String, String> {
    let library = runtime::library().ok_or("ONNX Runtime is not installed: run scripts/setup")?;
    let folder = library.canonicalize().ok().and_then(|path| path.parent().map(Path::to_path_buf)).unwrap_or_default();
    let provider = folder.join("libonnxruntime_providers_cuda.so");
    if !provider.exists() {
        return Err("ONNX Runtime here is the CPU build: run scripts/setup --gpu".into());
    }
    // This file exists only while the driver is loaded; its library may be installed without a GPU.
    if !Path::new("/dev/nvidiactl").exists() {
        return Err("no NVIDIA driver is loaded (/dev/nvidiactl is missing)".into());
    }
    Ok(provider.display().to_string())
}
