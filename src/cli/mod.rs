//! The command line: arguments, and what each subcommand prints.

pub mod args;
pub mod frames;
pub mod models;
pub mod progress;
pub mod reference;
pub mod summary;
pub mod view;
