//! The index of what a folder's files hold: an SQLite database, from which one asks what happened when.
//!
//! The files are the truth. Every row comes from a journal, a timeline or a video, by the same code while it is written and when
//! the index is made again. So both give the same rows, and an index that is lost, damaged or behind is no loss.

mod clips;
mod counts;
pub mod database;
pub(crate) mod folder;
pub mod ids;
mod interval_days;
mod journal_reader;
pub mod local_time;
mod lookup;
mod names;
mod pictures;
pub mod query;
mod rows;
#[cfg(test)]
pub(crate) mod tests;
mod writer;
#[cfg(test)]
mod year;

pub use folder::rebuild;
pub use lookup::{Place, open};
#[cfg(test)]
pub(crate) use writer::Writer as IndexRounds;
pub use writer::{IndexClient, IndexState, IndexWriter};
