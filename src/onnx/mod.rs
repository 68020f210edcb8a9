//! Writes the model file: the graph of ResNet50 and a head from trained weights, batch norm folded in.
//!
//! Nothing here runs a network; that is the room `inference`.

pub mod build;
pub mod graph;
pub mod head;
pub mod import;
pub mod nested;
pub mod proto;
pub mod raw;
pub mod resnet;
pub mod weights;
