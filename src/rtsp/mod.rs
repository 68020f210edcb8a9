//! Relays RTSP between GStreamer's client and a camera: limits message sizes, and connects to the camera's address
//! only.
//!
//! GStreamer's `rtspsrc` trusts every length that a camera sends, and sends credentials wherever a redirect leads. No
//! property changes that, so it connects to a [`relay::Relay`] instead of the camera.

pub mod address;
pub mod connection_guard;
pub(crate) mod message;
pub(crate) mod policy;
pub mod relay;

pub use policy::as_rtsp;
