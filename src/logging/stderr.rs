//! Stderr that blocks for seconds at most: lines that nobody reads are lost, and counted.
//!
//! Whoever reads the pipe, or shows the terminal, may stop to do so. A program that waited for them would lose its cameras, and would not
//! obey a signal.

use std::io::{self, Write};
use std::os::fd::AsFd;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

/// How long the first line waits that finds no room. Those after it do not wait until there is room again.
const PATIENCE: Duration = Duration::from_secs(2);
/// What a pipe takes at once if it takes anything: Linux' `PIPE_BUF`, in bytes.
const AT_ONCE: usize = 4096;

static STATE: Mutex<State> = Mutex::new(State { lost: 0, cut: false });

struct State {
    /// Lines that were lost since the last one that was written.
    lost: u64,
    /// Whether only the beginning of a line was written.
    cut: bool,
}

/// Writes whole lines. `report` returns the line that says how many were lost before it.
#[derive(Clone, Copy)]
pub struct Stderr {
    pub report: fn(lost: u64) -> String,
}

impl Write for Stderr {
    /// Writes all of `line`, or loses it.
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        let mut state = STATE.lock().unwrap_or_else(PoisonError::into_inner);
        state.write(&mut io::stderr().lock(), line, self.report).map(|()| line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl State {
    fn write(&mut self, to: &mut (impl Write + AsFd), line: &[u8], report: fn(u64) -> String) -> io::Result<()> {
        let patience = if self.lost == 0 { PATIENCE } else { Duration::ZERO };
        let report = if self.lost == 0 { String::new() } else { report(self.lost) };
        let end: &[u8] = if self.cut { b"\n" } else { b"" };
        let whole = [end, report.as_bytes(), line].concat();
        match write_until(to, &whole, Instant::now() + patience)? {
            written if written == whole.len() => *self = Self { lost: 0, cut: false },
            // What was told is not told again.
            written if written >= end.len() + report.len() && written > 0 => *self = Self { lost: 1, cut: true },
            written => *self = Self { lost: self.lost + 1, cut: self.cut || written > 0 },
        }
        Ok(())
    }
}

/// Writes until there is no room before `end`. Returns how many bytes were written.
fn write_until(to: &mut (impl Write + AsFd), bytes: &[u8], end: Instant) -> io::Result<usize> {
    let mut written = 0;
    for chunk in bytes.chunks(AT_ONCE) {
        if !has_room(to, end)? {
            break;
        }
        to.write_all(chunk)?;
        written += chunk.len();
    }
    Ok(written)
}

/// Waits for room. A reader that is gone is found by writing.
fn has_room(to: &impl AsFd, end: Instant) -> io::Result<bool> {
    loop {
        let left = end.saturating_duration_since(Instant::now());
        let wait = PollTimeout::try_from(left).unwrap_or(PollTimeout::ZERO);
        match poll(&mut [PollFd::new(to.as_fd(), PollFlags::POLLOUT)], wait) {
            Ok(ready) => return Ok(ready > 0),
            Err(Errno::EINTR) => {}
            Err(cause) => return Err(cause.into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::{ErrorKind, Read};

    use super::*;

    #[test]
    fn lines_that_nobody_reads_are_lost_and_counted() {
        let (mut reader, mut pipe) = io::pipe().unwrap();
        let mut state = State { lost: 0, cut: false };
        let report = |lost: u64| format!("{lost} lost\n");
        let line = [&[b'a'; 9999][..], b"\n"].concat();
        let mut whole: Vec<u8> = Vec::new();
        loop {
            state.write(&mut pipe, &line, report).unwrap();
            if state.lost > 0 {
                break;
            }
            whole.extend(&line);
        }
        let began = Instant::now();
        for _ in 0..1000 {
            state.write(&mut pipe, &line, report).unwrap();
        }
        assert!(state.lost == 1001 && began.elapsed() < 10 * PATIENCE);
        let mut read = vec![0; whole.len()];
        reader.read_exact(&mut read).unwrap();
        assert!(!whole.is_empty() && read == whole);
        state.write(&mut pipe, b"next\n", report).unwrap();
        state.write(&mut pipe, b"last\n", report).unwrap();
        drop(pipe);
        let rest = io::read_to_string(reader).unwrap();
        // Of the first line that was lost, the pipe may have taken a part.
        let end = if rest.starts_with('a') { "\n1001 lost\nnext\nlast\n" } else { "1001 lost\nnext\nlast\n" };
        assert_eq!(rest.trim_start_matches('a'), end);
    }

    #[test]
    fn a_reader_that_is_gone_is_an_error() {
        let (reader, mut pipe) = io::pipe().unwrap();
        drop(reader);
        let mut state = State { lost: 0, cut: false };
        let error = state.write(&mut pipe, b"line\n", |_| String::new()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::BrokenPipe);
    }
}
