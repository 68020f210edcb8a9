//! RTSP as it passes between a camera and the player: bounded in size, and for the camera's own address alone.
//!
//! GStreamer's `rtspsrc` believes every length that a camera names, and takes a password wherever a redirect leads. It
//! cannot be told not to, so it does not speak to the camera itself but to a [`relay::Relay`].

pub mod address;
pub mod intake;
mod message;
mod policy;
pub mod relay;

pub use policy::plain;
