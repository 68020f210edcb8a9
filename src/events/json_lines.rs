//! Events as JSON Lines, appended to a file or written to stdout, each at once.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::fd::AsFd;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::sync::atomic::Ordering;

use nix::fcntl::{FcntlArg, OFlag, fcntl};

use crate::config::events::Lines;
use crate::error::{Error, Result};
use crate::events::sink_context::SinkContext;

/// Writes one event a line.
pub(super) struct Writer {
    out: File,
    what: String,
    /// Whether the last line was cut off, by a full disk or the kill of an earlier run.
    torn: bool,
    /// Whether a failure has been told, and nothing was written since.
    failing: bool,
}

impl Writer {
    /// Opens the file, or makes it.
    ///
    /// # Errors
    /// Usage, where it cannot be written.
    pub fn open(lines: &Lines) -> Result<Self> {
        let unwritable = |cause: io::Error| {
            Error::usage(format!("events {lines}: cannot be written"))
                .because(cause)
                .remedy("choose a file that can be written to, or - for stdout")
        };
        let (out, torn) = match lines {
            // A handle of its own: Rust's stdout keeps back what it could not write.
            Lines::Stdout => (io::stdout().as_fd().try_clone_to_owned().map(File::from), false),
            Lines::File(path) => (append(path), is_torn(path)),
        };
        Ok(Self { out: out.map_err(unwritable)?, what: lines.to_string(), torn, failing: false })
    }

    pub async fn run(mut self, SinkContext { mut events, delivered, deadline }: SinkContext) {
        let write = async {
            while let Some(event) = events.next().await {
                match self.line(&event.json) {
                    Ok(()) => {
                        delivered.fetch_add(1, Ordering::Relaxed);
                        self.failing = false;
                    }
                    Err(cause) if !self.failing => {
                        self.failing = true;
                        tracing::error!("{}: events cannot be written ({cause}); the run goes on", self.what);
                    }
                    Err(_) => {}
                }
            }
        };
        tokio::select! {
            () = write => {}
            () = deadline.passes() => {}
        }
    }

    fn line(&mut self, json: &str) -> io::Result<()> {
        let line = format!("{}{json}\n", if self.torn { "\n" } else { "" });
        let mut left = line.as_bytes();
        while !left.is_empty() {
            match self.out.write(left) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(written) => {
                    left = &left[written..];
                    self.torn = !left.is_empty();
                }
                Err(cause) if cause.kind() == io::ErrorKind::Interrupted => {}
                Err(cause) => return Err(cause),
            }
        }
        Ok(())
    }
}

/// Opens for appending. A named pipe that nobody reads is refused and not waited for.
fn append(path: &Path) -> io::Result<File> {
    if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
        std::fs::create_dir_all(folder)?;
    }
    let at_once = OFlag::O_NONBLOCK.bits();
    let file = OpenOptions::new().append(true).create(true).custom_flags(at_once).open(path)?;
    fcntl(&file, FcntlArg::F_SETFL(OFlag::O_APPEND))?;
    Ok(file)
}

/// Whether a file's last line has no end.
fn is_torn(path: &Path) -> bool {
    let last = || {
        let mut file = File::open(path)?;
        let mut byte = [0];
        file.seek(SeekFrom::End(-1))?;
        file.read_exact(&mut byte)?;
        io::Result::Ok(byte[0])
    };
    path.is_file() && last().is_ok_and(|byte| byte != b'\n')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_appended_and_a_torn_one_is_ended() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("new/events.jsonl");
        let lines = Lines::File(path.clone());
        Writer::open(&lines).unwrap().line("{1}").unwrap();
        std::fs::OpenOptions::new().append(true).open(&path).unwrap().write_all(b"{cut o").unwrap();
        let mut writer = Writer::open(&lines).unwrap();
        writer.line("{2}").unwrap();
        writer.line("{3}").unwrap();
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "{1}\n{cut o\n{2}\n{3}\n");
    }

    #[test]
    fn a_folder_and_a_pipe_that_nobody_reads_are_refused() {
        let folder = tempfile::tempdir().unwrap();
        let pipe = folder.path().join("pipe");
        nix::unistd::mkfifo(&pipe, nix::sys::stat::Mode::S_IRWXU).unwrap();
        for path in [folder.path(), &pipe] {
            let refused = Writer::open(&Lines::File(path.into())).err().unwrap();
            assert_eq!(refused.exit_code(), 2);
        }
    }
}
