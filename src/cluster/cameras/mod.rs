//! Cameras of a cluster: each is watched by one worker, and goes from one to another when a worker dies, drains or has too many.

pub mod balance;
pub mod camera;
mod delivery;
mod event;
mod giver;
pub mod held;
mod hold;
mod isolated;
pub mod isolation;
#[cfg(test)]
mod load_test;
mod offer;
mod publisher;
pub mod state;
pub mod submit;
mod taker;
mod watched;

pub use taker::Taker;
