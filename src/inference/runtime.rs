//! Finds and loads ONNX Runtime's shared library, once for the process.

use std::path::PathBuf;
use std::sync::OnceLock;

use ort::environment::Environment;

use crate::error::{Error, Result};
use crate::locate;

/// Where `scripts/setup` puts the library, and its build for GPUs, which runs on CPUs as well.
const LIBRARY: &str = ".deps/onnxruntime/libonnxruntime.so";
const GPU_LIBRARY: &str = ".deps/onnxruntime-gpu/libonnxruntime.so";
/// Parts of CUDA beside the library for GPUs, each before those that need it. The library itself would look for them in the
/// system's folders only.
const CUDA: [&str; 5] =
    ["libcudart.so.13", "libcublasLt.so.13", "libcublas.so.13", "libcurand.so.10", "libnvrtc.so.13"];
/// Convolutions run on it. ONNX Runtime opens it by this name when it first needs it, and where it is missing goes on by other
/// ways, which are slow or not there.
const CUDNN: &str = "libcudnn.so.9";
/// Overrides both libraries.
const LIBRARY_VARIABLE: &str = "ORT_DYLIB_PATH";

/// The process's ONNX Runtime environment. The library is loaded by the first call.
///
/// # Errors
/// Unavailable, where the library is missing or of an unfit version.
pub fn environment() -> Result<&'static Environment> {
    static ENVIRONMENT: OnceLock<Environment> = OnceLock::new();
    if let Some(environment) = ENVIRONMENT.get() {
        return Ok(environment);
    }
    let environment = load()?;
    Ok(ENVIRONMENT.get_or_init(|| environment))
}

/// The library's file, if there is one.
pub fn library() -> Option<PathBuf> {
    std::env::var_os(LIBRARY_VARIABLE)
        .map(PathBuf::from)
        .or_else(|| locate::find(GPU_LIBRARY))
        .or_else(|| locate::find(LIBRARY))
}

/// Loads the parts of CUDA that lie beside the library. Where there are none, or they cannot be loaded, the system's own are
/// left to be found, and a session on a GPU says what it lacks.
///
/// # Errors
/// Unavailable, where cuDNN is neither there nor in the system: nobody else would say so.
pub fn preload_cuda() -> Result<()> {
    let folder = library().and_then(|library| Some(library.canonicalize().ok()?.parent()?.to_path_buf()));
    let beside = |name: &str| folder.as_ref().map(|folder| folder.join(name)).filter(|path| path.exists());
    for part in CUDA.iter().filter_map(|name| beside(name)) {
        if let Err(cause) = ort::util::preload_dylib(&part) {
            tracing::debug!("{}: {cause}", part.display());
        }
    }
    ort::util::preload_dylib(beside(CUDNN).unwrap_or_else(|| CUDNN.into())).map_err(|cause| {
        Error::unavailable("cuDNN 9 cannot be loaded, which GPUs need")
            .because(cause)
            .remedy("run scripts/setup --gpu, or take --device cpu")
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
