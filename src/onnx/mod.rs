//! Reads and writes model files: ResNet50 with a trained head and folded batch norm, and imported classifiers.
//!
//! Nothing here runs a model; the module `inference` does.

pub mod build;
pub mod cut;
pub mod graph;
pub mod head;
pub mod import;
pub mod nested;
pub mod proto;
pub mod raw;
pub mod resnet;
pub mod weights;
