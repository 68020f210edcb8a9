//! Frames kept for learning, and what people say of them: `--learn DIR`.
//!
//! The database is the truth about frames and answers; each frame's picture is a file beside it. `corrections.tsv`, which the trainer
//! reads, is made from the database after every change, and again at each start.

mod answers;
mod contradictions;
pub(crate) mod files;
mod frame;
pub(crate) mod listing;
pub mod models;
mod restore;
mod rows;
mod selection;
pub(crate) mod store;
mod table;
#[cfg(test)]
mod tests;
pub mod training;
mod writer;

pub use answers::{Answer, Answered, Refused};
pub use frame::{NewFrame, encode};
pub use listing::{Frame, State};
pub use selection::{Reason, Selection, Source, margin};
pub use writer::{Learning, LearningClient};
