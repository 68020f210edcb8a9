//! Everything ONNX Runtime: the library, the model file, preprocessing, and the engine that all streams share.

mod batches;
mod cache;
pub mod device;
pub mod engine;
pub mod model;
mod network;
pub mod preprocess;
pub mod provider;
pub mod runtime;
pub mod session;
