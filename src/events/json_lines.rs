//! Writes events as JSON Lines to a file or to stdout. Each event is written immediately.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::fd::AsFd;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::sync::atomic::Ordering;

use nix::fcntl::{FcntlArg, OFlag, fcntl};

use crate::config::events::JsonLines;
use crate::error::{Error, Result};
use crate::events::sink_context::SinkContext;
use crate::system::durable;

/// Appends one line for each event.
pub(super) struct JsonLinesSink {
    out: File,
    /// Whether it is a file on a disk, and no pipe or terminal.
    is_file: bool,
    what: String,
    /// The last line is incomplete: the disk was full, or an earlier run was killed.
    torn: bool,
    /// A failure was logged, and no event was written since.
    failing: bool,
}

impl JsonLinesSink {
    /// Opens the file, or creates it.
    ///
    /// # Errors
    /// `Usage` if it cannot be written.
    pub fn open(lines: &JsonLines) -> Result<Self> {
        let unwritable = |cause: io::Error| {
            Error::usage(format!("events {lines}: cannot be written"))
                .because(cause)
                .remedy("choose a writable file, or - for stdout")
        };
        let (out, torn) = match lines {
            // A separate handle, because Rust's stdout keeps what it could not write in its buffer.
            JsonLines::Stdout => (io::stdout().as_fd().try_clone_to_owned().map(File::from), false),
            JsonLines::File(path) => (append(path), is_torn(path)),
        };
        let out = out.map_err(unwritable)?;
        let is_file = out.metadata().is_ok_and(|out| out.is_file());
        if let (true, JsonLines::File(path)) = (is_file, lines) {
            durable::sync_names(path).map_err(unwritable)?;
        }
        Ok(Self { out, is_file, what: lines.to_string(), torn, failing: false })
    }

    pub async fn run(mut self, SinkContext { mut events, delivered, deadline }: SinkContext) {
        let write = async {
            while let Some(event) = events.next().await {
                let written = self.write_line(&event.json);
                // Events that come together are synced together.
                match if events.is_empty() { written.and_then(|()| self.sync()) } else { written } {
                    Ok(()) => {
                        delivered.fetch_add(1, Ordering::Relaxed);
                        self.failing = false;
                    }
                    Err(cause) if !self.failing => {
                        self.failing = true;
                        tracing::error!("{}: events cannot be written ({cause}); the run continues", self.what);
                    }
                    Err(_) => {}
                }
            }
        };
        tokio::select! {
            () = write => {}
            () = deadline.expires() => {}
        }
    }

    /// Has the disk keep the lines of a file.
    fn sync(&self) -> io::Result<()> {
        if self.is_file { self.out.sync_data() } else { Ok(()) }
    }

    fn write_line(&mut self, json: &str) -> io::Result<()> {
        let line = format!("{}{json}\n", if self.torn { "\n" } else { "" });
        let mut remaining = line.as_bytes();
        while !remaining.is_empty() {
            match self.out.write(remaining) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(written) => {
                    remaining = &remaining[written..];
                    self.torn = !remaining.is_empty();
                }
                Err(cause) if cause.kind() == io::ErrorKind::Interrupted => {}
                Err(cause) => return Err(cause),
            }
        }
        Ok(())
    }
}

/// Opens a file for appending. Fails at once for a named pipe without a reader, instead of blocking.
fn append(path: &Path) -> io::Result<File> {
    if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
        std::fs::create_dir_all(folder)?;
    }
    let nonblocking = OFlag::O_NONBLOCK.bits();
    let file = OpenOptions::new().append(true).create(true).custom_flags(nonblocking).open(path)?;
    fcntl(&file, FcntlArg::F_SETFL(OFlag::O_APPEND))?;
    Ok(file)
}

/// Returns whether a file's last line has no newline.
fn is_torn(path: &Path) -> bool {
    let last_byte = || {
        let mut file = File::open(path)?;
        let mut byte = [0];
        file.seek(SeekFrom::End(-1))?;
        file.read_exact(&mut byte)?;
        io::Result::Ok(byte[0])
    };
    path.is_file() && last_byte().is_ok_and(|byte| byte != b'\n')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_appended_and_an_incomplete_one_is_terminated() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("new/events.jsonl");
        let lines = JsonLines::File(path.clone());
        JsonLinesSink::open(&lines).unwrap().write_line("{1}").unwrap();
        std::fs::OpenOptions::new().append(true).open(&path).unwrap().write_all(b"{cut o").unwrap();
        let mut sink = JsonLinesSink::open(&lines).unwrap();
        sink.write_line("{2}").unwrap();
        sink.write_line("{3}").unwrap();
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "{1}\n{cut o\n{2}\n{3}\n");
    }

    #[test]
    fn a_folder_and_a_pipe_without_a_reader_are_refused() {
        let folder = tempfile::tempdir().unwrap();
        let pipe = folder.path().join("pipe");
        nix::unistd::mkfifo(&pipe, nix::sys::stat::Mode::S_IRWXU).unwrap();
        for path in [folder.path(), &pipe] {
            let refused = JsonLinesSink::open(&JsonLines::File(path.into())).err().unwrap();
            assert_eq!(refused.exit_code(), 2);
        }
    }
}
