//! What is known of every stream now, for those who watch from outside: the page, the metrics, the terminal.
//!
//! A stream's threads write, everybody else reads. Writing takes a short lock and nothing that grows with the number of
//! those who read; all that is remembered has a bound.

mod history;
mod pictures;
mod post;
mod progress;
mod recording;
pub mod status;

use std::sync::Arc;

use time::OffsetDateTime;

use crate::utc;

pub use history::{Gap, Row, Span, Update};
pub use pictures::{Picture, Pictures};
pub use post::{Post, Subject};
pub use progress::{Counter, Progress};
pub use recording::Recording;

/// A label's value as the metrics' exporter wants it, which takes a pair of backslashes for one.
pub fn label_value(text: &str) -> String {
    text.replace('\\', "\\\\")
}

/// All streams of a run, in the order in which they were given.
pub struct Board {
    pub started: OffsetDateTime,
    pub posts: Vec<Arc<Post>>,
}

impl Board {
    pub fn new(posts: Vec<Arc<Post>>) -> Self {
        Self { started: utc::now(), posts }
    }

    pub fn find(&self, name: &str) -> Option<&Arc<Post>> {
        self.posts.iter().find(|post| post.subject.name == name)
    }
}
