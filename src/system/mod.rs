//! Clocks, the time in UTC, the limits and the memory of the process, the rights that it gives up, the files that set-up installed, regular files,
//! what the disk keeps and has room for, files that are replaced as a whole, temporary files, folders that are deleted again, times as people write them, numbers as
//! sentences have them, text that is safe on a terminal.

pub mod clock;
pub mod disk;
pub mod durable;
pub mod folders;
pub mod locate;
pub mod made_folders;
pub mod memory;
pub mod printable;
pub mod regular_file;
pub mod replace;
pub mod sandbox;
pub mod shortage;
pub mod spans;
pub mod temp_folder;
pub mod utc;
pub mod words;
