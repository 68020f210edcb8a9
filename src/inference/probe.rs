//! Which devices are here, and which of them `auto` takes.

use std::path::Path;

use crate::inference::device::{Device, INT8, threads};
use crate::inference::{openvino, runtime};

/// Whether a device's parts are here, told before any session is made.
#[derive(Clone, Debug, serde::Serialize)]
pub struct DeviceStatus {
    pub device: String,
    pub usable: bool,
    /// What was found, or what is missing and how to get it.
    pub reason: String,
}

/// Every device with what was found of it. Touches files only: no library is loaded.
pub fn probe() -> Vec<DeviceStatus> {
    let presence = |device: Device, found: Result<String, String>| DeviceStatus {
        device: device.to_string(),
        usable: found.is_ok(),
        reason: found.unwrap_or_else(|missing| missing),
    };
    vec![
        presence(Device::Cuda(0), on_cuda()),
        presence(Device::OpenVino, on_openvino()),
        presence(Device::Cpu, on_cpu()),
    ]
}

/// The devices that `auto` tries for a network in `precision`, best first. The CPU, which always works, is the last.
pub fn candidates(precision: &str) -> Vec<Device> {
    // A file in int8 is laid out for CPUs; on a GPU it would be slower than one in fp16 by far.
    let gpu = (precision != INT8 && on_cuda().is_ok()).then_some(Device::Cuda(0));
    let openvino = on_openvino().is_ok().then_some(Device::OpenVino);
    gpu.into_iter().chain(openvino).chain([Device::Cpu]).collect()
}

fn on_cpu() -> Result<String, String> {
    let library = runtime::library().ok_or("ONNX Runtime is not installed: run scripts/setup")?;
    Ok(format!("{} threads, {}", threads(), library.display()))
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
    // The driver's own sign of life; its library alone may be there without a GPU.
    if !Path::new("/dev/nvidiactl").exists() {
        return Err("no NVIDIA driver is loaded (/dev/nvidiactl is not there)".into());
    }
    Ok(provider.display().to_string())
}
