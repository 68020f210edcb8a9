//! Requests to a run while it runs: reload the configuration, pause and resume a camera. The page and a signal send them,
//! the analyzer answers them.

use std::fmt;
use std::time::Duration;

use crossbeam_channel::{Receiver, Sender, bounded};
use tokio::sync::oneshot;

use crate::error::{Error, Result};

/// Requests that may wait.
const QUEUE: usize = 4;

/// What is requested.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    Reload,
    /// Pauses or resumes the stream of this name.
    Pause(String),
    Resume(String),
    /// Uses the model with this name that was made of corrections; for `None` the one that the run names.
    UseModel(Option<String>),
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Reload => f.write_str("reload"),
            Self::Pause(stream) => write!(f, "pause {stream}"),
            Self::Resume(stream) => write!(f, "resume {stream}"),
            Self::UseModel(Some(name)) => write!(f, "use the model {name}"),
            Self::UseModel(None) => f.write_str("use the model that the run names"),
        }
    }
}

/// The answer: what was changed, in one line.
pub type Answer = Result<String>;

/// A request that waits for its answer.
pub struct Request {
    pub action: Action,
    reply: oneshot::Sender<Answer>,
}

impl Request {
    pub fn answer(self, answer: Answer) {
        // The sender of the request may have gone.
        let _ = self.reply.send(answer);
    }
}

/// Sends requests.
#[derive(Clone)]
pub struct Control(Sender<Request>);

impl Control {
    /// Requests an action. The answer follows on the returned channel; it is closed without one if the run ends before.
    ///
    /// # Errors
    /// `Unavailable` if too many requests wait already, or the run ends.
    pub fn request(&self, action: Action) -> Result<oneshot::Receiver<Answer>> {
        let (reply, answer) = oneshot::channel();
        self.0.try_send(Request { action, reply }).map_err(|cause| match cause {
            crossbeam_channel::TrySendError::Full(_) => {
                Error::unavailable("other changes are still being made").remedy("try again later")
            }
            crossbeam_channel::TrySendError::Disconnected(_) => ended(),
        })?;
        Ok(answer)
    }
}

/// The error for a request to a run that ends.
pub fn ended() -> Error {
    Error::unavailable("the run has ended").remedy("start it again")
}

/// Receives requests.
#[derive(Clone)]
pub struct Requests(Receiver<Request>);

impl Requests {
    /// Returns the channel, to wait for it and for others.
    pub fn receiver(&self) -> &Receiver<Request> {
        &self.0
    }

    /// Returns the next request; `None` if there is none within `timeout`.
    pub fn next(&self, timeout: Duration) -> Option<Request> {
        match self.0.recv_timeout(timeout) {
            Ok(request) => Some(request),
            Err(crossbeam_channel::RecvTimeoutError::Timeout) => None,
            // Nobody can send any more.
            Err(crossbeam_channel::RecvTimeoutError::Disconnected) => {
                std::thread::sleep(timeout);
                None
            }
        }
    }
}

/// Creates both ends.
pub fn channel() -> (Control, Requests) {
    let (sender, receiver) = bounded(QUEUE);
    (Control(sender), Requests(receiver))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_is_answered_and_too_many_are_refused() {
        let (control, requests) = channel();
        let answer = control.request(Action::Pause("door".into())).unwrap();
        let request = requests.next(Duration::ZERO).unwrap();
        assert_eq!(request.action.to_string(), "pause door");
        request.answer(Ok("done".into()));
        assert_eq!(answer.blocking_recv().unwrap().unwrap(), "done");
        let _waiting: Vec<_> = (0..QUEUE).map(|_| control.request(Action::Reload).unwrap()).collect();
        assert!(control.request(Action::Reload).unwrap_err().to_string().contains("still being made"));
        drop(requests);
        assert!(control.request(Action::Reload).unwrap_err().to_string().contains("has ended"));
    }
}
