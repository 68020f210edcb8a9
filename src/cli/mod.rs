//! The command line: arguments, and the output of each subcommand.

pub mod args;
mod cluster;
pub(crate) mod cluster_args;
mod command;
mod disk_use;
mod dry_run;
mod findings;
pub(crate) mod frames;
mod help;
mod history;
mod manual;
mod models;
mod page_args;
mod picture_writer;
mod progress;
mod progress_text;
#[cfg(test)]
mod reference_docs;
mod reload;
mod run;
mod schema;
mod stdout;
mod submit;
mod summary;
mod view;
mod web;
mod worker;

pub use command::main;
