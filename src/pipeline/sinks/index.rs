//! Tells the index which journal a camera writes. The index reads it by itself, so that nothing waits for a database.

use std::time::Duration;

use crate::error::Result;
use crate::history::IndexClient;
use crate::pipeline::context::StreamContext;
use crate::pipeline::outcome::Outcome;
use crate::pipeline::sinks::open_files::OpenFiles;
use crate::pipeline::sinks::sink::{LabeledFrame, Sink};
use crate::report::journal;

/// Follows the journals of one stream.
pub struct IndexSink<'a> {
    client: IndexClient,
    stream: &'a str,
    files: OpenFiles,
    /// Name of the journal that the index knows.
    told: Option<std::path::PathBuf>,
}

impl<'a> IndexSink<'a> {
    /// Returns `None` if the run keeps no index.
    pub fn new(context: &StreamContext<'a>, client: Option<&IndexClient>, files: &OpenFiles) -> Option<Self> {
        let mut sink = Self { client: client?.clone(), stream: &context.job.name, files: files.clone(), told: None };
        sink.tell();
        Some(sink)
    }

    fn tell(&mut self) {
        let journal = self.files.last_with(journal::SUFFIX);
        if journal.is_some() && journal != self.told {
            journal.iter().for_each(|path| self.client.journal(self.stream, path));
            self.told = journal;
        }
    }
}

impl Sink for IndexSink<'_> {
    fn frame(&mut self, _frame: &LabeledFrame) -> Result<()> {
        self.tell();
        Ok(())
    }

    fn idle(&mut self, _idle: Duration) -> bool {
        self.tell();
        false
    }

    fn finish(mut self: Box<Self>, _outcome: &mut Outcome) -> Result<()> {
        self.tell();
        Ok(())
    }
}
