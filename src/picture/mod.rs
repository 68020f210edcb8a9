//! I420 pictures, shared by all modules.

mod colorimetry;
mod colour;
mod difference_hash;
pub mod file;
mod luma_grid;
pub mod opencv;
mod planes;
mod scale;

pub use colorimetry::{Colorimetry, Matrix, Range};
pub use colour::convert;
pub use difference_hash::DifferenceHash;
pub use luma_grid::LumaGrid;
pub use planes::{OwnedPicture, Picture, PictureMut, Plane, PlaneMut, chroma};
pub use scale::{scale, scale_plane, shrunk};
