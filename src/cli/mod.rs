//! The command line: arguments, and the output of each subcommand.

pub mod args;
mod check;
mod command;
mod frames;
mod manual;
mod models;
#[cfg(test)]
mod pages;
mod progress;
mod run;
mod schema;
mod stdout;
mod summary;
mod view;

pub use command::main;
