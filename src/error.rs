//! The error type of the program: message, kind, cause and remedy.
//!
//! [`fmt::Display`] formats an [`Error`] as a single line for the user, the message first and the remedy last. Line
//! breaks become spaces, and control characters are escaped.

use std::fmt;
use std::path::Path;

use crate::system::printable;
use crate::system::sandbox;
use crate::system::shortage;

pub type Result<T, E = Error> = std::result::Result<T, E>;

/// The kind of an error, which decides the exit code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ErrorKind {
    /// The command line or a pipeline file is invalid.
    Usage,
    /// An input file is unusable: missing, not a video, not a model.
    Input,
    /// The machine lacks something: a library, a device, disk space.
    Unavailable,
    /// The work started and could not be completed.
    Failed,
    /// A bug in this program.
    Internal,
}

/// An error for the user.
#[derive(Debug)]
pub struct Error {
    kind: ErrorKind,
    message: String,
    remedy: Option<String>,
    source: Option<Box<dyn std::error::Error + Send + Sync>>,
}

impl Error {
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into(), remedy: None, source: None }
    }

    pub fn usage(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Usage, message)
    }

    pub fn input(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Input, message)
    }

    pub fn unavailable(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Unavailable, message)
    }

    pub fn failed(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Failed, message)
    }

    pub fn internal(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Internal, message)
    }

    /// Returns the error for a file or folder that cannot be written.
    pub(crate) fn unwritable(path: &Path, cause: std::io::Error) -> Self {
        let full = matches!(cause.kind(), std::io::ErrorKind::StorageFull | std::io::ErrorKind::FileTooLarge);
        let remedy = if full { "free some space, or write elsewhere" } else { "choose a writable folder" };
        Self::failed(format!("{}: cannot be written", path.display())).because(cause).remedy(remedy)
    }

    /// Adds a remedy: an imperative clause without a full stop.
    #[must_use]
    pub fn remedy(mut self, remedy: impl Into<String>) -> Self {
        self.remedy = Some(remedy.into());
        self
    }

    /// Puts a subject before the message.
    #[must_use]
    pub fn about(mut self, subject: &str) -> Self {
        self.message = format!("{subject}: {}", self.message);
        self
    }

    /// Adds the cause, shown in parentheses after the message.
    #[must_use]
    pub fn because(mut self, source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        self.source = Some(source.into());
        self
    }

    pub fn kind(&self) -> ErrorKind {
        self.kind
    }

    /// Returns the exit code: 2 for usage and input, 1 for all other kinds.
    pub fn exit_code(&self) -> u8 {
        match self.kind {
            ErrorKind::Usage | ErrorKind::Input if self.shortage().is_none() => 2,
            _ => 1,
        }
    }

    /// Returns the remedy for a cause that is a shortage of the process. The input is not at fault then.
    fn shortage(&self) -> Option<&'static str> {
        shortage::remedy(&self.source.as_ref()?.to_string())
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut line = self.message.clone();
        if let Some(source) = &self.source {
            line.push_str(&format!(" ({source})"));
        }
        if let Some(remedy) = self.shortage().or(self.remedy.as_deref()) {
            line.push_str("; ");
            line.push_str(remedy);
        }
        if self.source.as_ref().is_some_and(|source| sandbox::may_deny(&source.to_string())) {
            line.push_str("; if you may use it yourself, start with --no-sandbox");
        }
        f.write_str(&printable::line(&line))
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.source.as_deref().map(|source| source as _)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_formatted_as_one_line_with_cause_and_remedy() {
        let error = Error::input("clip.mp4: cannot be opened")
            .because(std::io::Error::other("first\nsecond"))
            .remedy("check the name");
        assert_eq!(error.to_string(), "clip.mp4: cannot be opened (first second); check the name");
        assert_eq!(Error::failed("no answer").about("model m.onnx").to_string(), "model m.onnx: no answer");
        assert_eq!(error.exit_code(), 2);
    }

    #[test]
    fn the_exit_code_of_failures_while_running_is_one() {
        for kind in [ErrorKind::Unavailable, ErrorKind::Failed, ErrorKind::Internal] {
            assert_eq!(Error::new(kind, "x").exit_code(), 1);
        }
    }
}
