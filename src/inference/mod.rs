//! Everything that runs models: ONNX Runtime, OpenVINO, the model file, preprocessing, and the engine that all streams
//! share.

mod backend;
pub mod batches;
pub mod cache;
pub mod device;
pub mod engine;
#[cfg(test)]
mod fixed_cost;
pub mod inference_precision;
pub mod model;
mod onnxruntime;
pub mod openvino;
pub mod output;
pub mod preprocess;
pub mod probe;
mod queues;
pub mod runtime;
pub mod session;
pub mod slices;
pub mod watchdog;
