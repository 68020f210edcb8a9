//! The queues of the engine, one for cameras and one for clips. Cameras go first, but never starve clips.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Instant;

use crossbeam_channel::{Receiver, Select, Sender, select};
use ndarray::Array3;

use crate::error::Result;

/// The probabilities of one frame, one for each label.
pub type Probabilities = Vec<f32>;

/// After this many consecutive batches of cameras, a waiting batch of clips runs.
const LIVE_BATCHES: u32 = 7;

/// A frame to classify.
pub(super) struct Request {
    pub tensor: Array3<f32>,
    pub start_by: Instant,
    pub reply: Sender<Result<Probabilities, Arc<str>>>,
}

/// Both queues.
pub(super) struct Queues {
    pub live: Receiver<Request>,
    pub clips: Receiver<Request>,
    /// Disconnected when the engine ends.
    pub closed: Receiver<Infallible>,
    /// Batches of cameras since the last batch of clips.
    pub live_batches: u32,
}

impl Queues {
    /// Takes up to `batch` requests of cameras or of clips, until the earliest deadline among them. No requests mean
    /// that the engine ends.
    pub fn fill(&mut self, requests: &mut Vec<Request>, batch: usize) {
        let Some((first, live)) = self.first() else { return };
        self.live_batches = if live { self.live_batches.saturating_add(1) } else { 0 };
        let mut start_by = first.start_by;
        requests.push(first);
        while requests.len() < batch {
            let next = if live { self.live.recv_deadline(start_by).ok() } else { self.next_clip(start_by) };
            let Some(request) = next else { break };
            start_by = start_by.min(request.start_by);
            requests.push(request);
        }
    }

    /// Returns the next request of a clip; `None` if there is none by `start_by`, or a camera's request is waiting.
    fn next_clip(&self, start_by: Instant) -> Option<Request> {
        let mut either = Select::new();
        either.recv(&self.clips);
        either.recv(&self.live);
        loop {
            if let Ok(request) = self.clips.try_recv() {
                return Some(request);
            }
            if !self.live.is_empty() || either.ready_deadline(start_by).is_err() {
                return None;
            }
        }
    }

    /// Waits for the next request; returns it and whether it is a camera's.
    fn first(&self) -> Option<(Request, bool)> {
        let (live, clips) = (|| self.live.try_recv().ok(), || self.clips.try_recv().ok());
        if self.live_batches >= LIVE_BATCHES
            && let Some(request) = clips()
        {
            return Some((request, false));
        }
        if let Some(request) = live() {
            return Some((request, true));
        }
        select! {
            recv(self.live) -> request => request.ok().map(|request| (request, true)),
            recv(self.clips) -> request => request.ok().map(|request| (request, false)),
            // What waits is served before the engine ends.
            recv(self.closed) -> _ => {
                live().map(|request| (request, true)).or_else(|| clips().map(|request| (request, false)))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crossbeam_channel::bounded;

    struct Engine {
        queues: Queues,
        live: Sender<Request>,
        clips: Sender<Request>,
        open: Sender<Infallible>,
    }

    fn engine() -> Engine {
        let ((live, live_queue), (clips, clip_queue), (open, closed)) = (bounded(100), bounded(100), bounded(0));
        let queues = Queues { live: live_queue, clips: clip_queue, closed, live_batches: 0 };
        Engine { queues, live, clips, open }
    }

    fn request(name: f32) -> Request {
        Request { tensor: Array3::from_elem([1, 1, 1], name), start_by: Instant::now(), reply: bounded(1).0 }
    }

    fn names(queues: &mut Queues, batch: usize) -> Vec<f32> {
        let mut requests = Vec::new();
        queues.fill(&mut requests, batch);
        requests.iter().map(|request| request.tensor[[0, 0, 0]]).collect()
    }

    #[test]
    fn cameras_go_before_clips_and_share_no_batch() {
        let Engine { mut queues, live, clips, .. } = engine();
        for name in [1.0, 2.0, 3.0] {
            clips.send(request(name)).unwrap();
        }
        live.send(request(10.0)).unwrap();
        live.send(request(11.0)).unwrap();
        assert_eq!(names(&mut queues, 4), [10.0, 11.0]);
        assert_eq!(names(&mut queues, 2), [1.0, 2.0]);
        assert_eq!(names(&mut queues, 2), [3.0]);
    }

    #[test]
    fn clips_do_not_starve() {
        let Engine { mut queues, live, clips, .. } = engine();
        clips.send(request(0.0)).unwrap();
        (1..=10).for_each(|name: u8| live.send(request(f32::from(name))).unwrap());
        let order: Vec<f32> = (0..11).flat_map(|_| names(&mut queues, 1)).collect();
        assert_eq!(order, [1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 0.0, 8.0, 9.0, 10.0]);
    }

    #[test]
    fn a_camera_does_not_wait_for_a_clips_batch_to_fill() {
        let Engine { mut queues, live, clips, .. } = engine();
        let far = Instant::now() + std::time::Duration::from_secs(3600);
        clips.send(Request { start_by: far, ..request(1.0) }).unwrap();
        let filling = std::thread::spawn(move || names(&mut queues, 4));
        live.send(request(10.0)).unwrap();
        // Without the camera's request this would wait an hour. Either request may be taken first.
        let first = filling.join().unwrap();
        assert!(first == [1.0] || first == [10.0], "{first:?}");
    }

    #[test]
    fn requests_that_wait_are_served_before_the_engine_ends() {
        // More than once, since of several that are ready a channel is taken at random.
        for _ in 0..100 {
            let Engine { mut queues, live, clips, open } = engine();
            clips.send(request(1.0)).unwrap();
            clips.send(request(2.0)).unwrap();
            live.send(request(10.0)).unwrap();
            drop(open);
            let order: Vec<f32> = (0..3).flat_map(|_| names(&mut queues, 1)).collect();
            assert_eq!(order, [10.0, 1.0, 2.0]);
            assert!(names(&mut queues, 1).is_empty());
        }
    }

    #[test]
    fn the_engine_ends_despite_remaining_clients() {
        let Engine { mut queues, live, clips, open } = engine();
        drop(open);
        assert!(names(&mut queues, 4).is_empty());
        drop((live, clips));
    }
}
