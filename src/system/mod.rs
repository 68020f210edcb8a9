//! What the program asks of the operating system: the time in UTC, and the limits of the process.

pub mod shortage;
pub mod utc;
