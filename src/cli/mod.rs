//! The command line: arguments, and the output of each subcommand.

pub mod args;
pub mod frames;
pub mod models;
pub mod progress;
pub mod reference;
pub mod summary;
pub mod view;
