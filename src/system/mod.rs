//! The time in UTC, the limits of the process, and the files that set-up installed.

pub mod locate;
pub mod shortage;
pub mod utc;
