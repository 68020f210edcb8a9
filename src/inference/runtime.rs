//! Finds and loads ONNX Runtime's shared library, once for the process.

use std::path::PathBuf;
use std::sync::OnceLock;

use ort::environment::Environment;

use crate::error::{Error, Result};
use crate::system::locate;

/// Where `scripts/setup` installs the library, and its GPU build, which runs on CPUs too.
const LIBRARY: &str = ".deps/onnxruntime/libonnxruntime.so";
const GPU_LIBRARY: &str = ".deps/onnxruntime-gpu/libonnxruntime.so";
/// CUDA libraries in the folder of the GPU build, each before those that depend on it. The GPU build itself searches
/// the system's folders only.
const CUDA: [&str; 5] =
    ["libcudart.so.13", "libcublasLt.so.13", "libcublas.so.13", "libcurand.so.10", "libnvrtc.so.13"];
/// cuDNN, which runs convolutions. ONNX Runtime opens it by this name when it first needs it. Without it ONNX Runtime
/// uses slower implementations, or fails.
const CUDNN: &str = "libcudnn.so.9";
/// Overrides both libraries.
const LIBRARY_VARIABLE: &str = "ORT_DYLIB_PATH";

/// Returns the process's ONNX Runtime environment. The first call loads the library.
///
/// # Errors
/// Unavailable if the library is missing or has an incompatible version.
pub fn environment() -> Result<&'static Environment> {
    static ENVIRONMENT: OnceLock<Environment> = OnceLock::new();
    if let Some(environment) = ENVIRONMENT.get() {
        return Ok(environment);
    }
    let environment = load()?;
    Ok(ENVIRONMENT.get_or_init(|| environment))
}

/// Returns the library's file, if there is one.
pub fn library() -> Option<PathBuf> {
    std::env::var_os(LIBRARY_VARIABLE)
        .map(PathBuf::from)
        .or_else(|| locate::find(GPU_LIBRARY))
        .or_else(|| locate::find(LIBRARY))
}

/// Loads the CUDA libraries in the library's folder. If they are missing or cannot be loaded, the system's are used,
/// and loading a session on a GPU reports what is missing.
///
/// # Errors
/// Unavailable if cuDNN is neither there nor installed in the system; ONNX Runtime would not report that.
pub fn preload_cuda() -> Result<()> {
    let folder = library().and_then(|library| Some(library.canonicalize().ok()?.parent()?.to_path_buf()));
    let beside = |name: &str| folder.as_ref().map(|folder| folder.join(name)).filter(|path| path.exists());
    for part in CUDA.iter().filter_map(|name| beside(name)) {
        if let Err(cause) = ort::util::preload_dylib(&part) {
            tracing::debug!("{}: {cause}", part.display());
        }
    }
    ort::util::preload_dylib(beside(CUDNN).unwrap_or_else(|| CUDNN.into())).map_err(|cause| {
        Error::unavailable("cuDNN 9, which GPUs need, cannot be loaded")
            .because(cause)
            .remedy("run scripts/setup --gpu, or use --device cpu")
    })
}

fn load() -> Result<Environment> {
    let library =
        library().ok_or_else(|| Error::unavailable("ONNX Runtime is not installed").remedy("run scripts/setup"))?;
    let unusable = |cause: Box<dyn std::error::Error + Send + Sync>| {
        Error::unavailable(format!("{}: ONNX Runtime cannot be loaded", library.display()))
            .because(cause)
            .remedy(format!("run scripts/setup, or point {LIBRARY_VARIABLE} at ONNX Runtime 1.31"))
    };
    ort::init_from(&library)
        .map_err(|cause| unusable(cause.to_string().into()))?
        .with_name("livelabel")
        .build()
        .map_err(|cause| unusable(cause.to_string().into()))
}
