//! A camera's sound on its way to a recording: its own packets, each with the time in the stream that a picture of the same
//! moment has.
//!
//! Packets wait until that picture is decoded, and then until they are taken. Nothing ever waits for sound: the queue is bounded,
//! and drops its oldest packet when it is full.

use std::collections::{BTreeSet, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use gstreamer as gst;

use crate::media::camera::Camera;
use crate::media::recorder::Container;

/// Largest size of the waiting packets: more than a minute of any codec but raw audio.
const MAX_BYTES: usize = 8 << 20;
/// What a packet takes beside its bytes. Some are as small as that.
const OVERHEAD: usize = 512;
/// Difference between the times of sound and pictures from which on it is that of two clocks, in nanoseconds.
const JUMP: u64 = 20_000_000_000;
/// How much earlier than the packet before it a packet may be, in nanoseconds: the camera's time is followed in small steps.
const MAX_STEP_BACK: u64 = 500_000_000;
/// How much later than the pictures of the same moment sound may arrive, beside the time that is waited for late packets.
const MAX_LATE: Duration = Duration::from_secs(1);
/// How long after the last picture of a connection its sound may go on, in nanoseconds.
const MAX_AFTER: u64 = 500_000_000;
/// Least distance between two packets: the resolution of the files' timestamps.
const MIN_DISTANCE: u64 = 1_000_000;
/// Pictures whose times are known: those of several seconds.
const MAX_OFFSETS: usize = 1024;

/// The format of packets.
pub struct AudioFormat {
    pub(super) caps: gst::Caps,
    /// The connection to the camera.
    connection: u64,
}

impl AudioFormat {
    /// Returns whether packets of both formats may follow each other in one file.
    pub(super) fn continues(&self, other: &Self) -> bool {
        self.connection == other.connection && self.caps == other.caps
    }
}

/// A packet with its time in the stream.
pub struct AudioPacket {
    pub(super) buffer: gst::Buffer,
    format: Arc<AudioFormat>,
    pts: u64,
    duration: u64,
}

impl AudioPacket {
    /// Returns the pts in nanoseconds of the stream.
    pub(super) fn pts(&self) -> u64 {
        self.pts
    }

    /// Returns the duration in nanoseconds; 0 if it is unknown.
    pub(super) fn duration(&self) -> u64 {
        self.duration
    }

    pub fn format(&self) -> &Arc<AudioFormat> {
        &self.format
    }

    fn bytes(&self) -> usize {
        self.buffer.size() + OVERHEAD
    }
}

/// The sound of one camera.
pub struct AudioQueue {
    /// The camera's name, for the log.
    name: String,
    container: Container,
    delay: Duration,
    state: Mutex<State>,
    /// What has been said.
    said: Mutex<BTreeSet<&'static str>>,
}

#[derive(Default)]
struct State {
    /// Packets with the camera's time, whose pictures are not decoded yet.
    early: VecDeque<(u64, AudioPacket)>,
    /// Packets with their pts.
    timed: VecDeque<AudioPacket>,
    bytes: usize,
    dropped: u64,
    received: u64,
    connection: u64,
    /// The camera's time of decoded pictures, and what leads from it to the stream's, in order.
    offsets: VecDeque<(u64, i64)>,
    /// From the camera's time of sound to that of pictures: 0, unless they differ by a [`JUMP`].
    shift: i64,
    /// Pts of the last packet that got one.
    last: Option<u64>,
    /// Pts up to which everything was taken.
    taken: u64,
}

impl AudioQueue {
    /// Creates a queue for files of this kind. `name` is that of the stream of `camera`.
    pub fn new(name: &str, camera: &Camera, container: Container) -> Self {
        let delay = camera.latency + MAX_LATE;
        Self { name: name.into(), container, delay, state: Mutex::default(), said: Mutex::default() }
    }

    /// Returns how long to wait for the sound of a picture, in nanoseconds.
    pub fn delay(&self) -> u64 {
        self.delay.as_nanos() as u64
    }

    /// Returns the next packet if its pts is before `until`, in nanoseconds.
    pub fn take(&self, until: u64) -> Option<AudioPacket> {
        let mut state = self.lock();
        if state.timed.front().is_some_and(|first| first.pts < until) {
            let packet = state.timed.pop_front()?;
            state.bytes -= packet.bytes();
            return Some(packet);
        }
        state.taken = state.taken.max(until);
        None
    }

    /// Returns pts and format of the next packet.
    pub fn first(&self) -> Option<(u64, Arc<AudioFormat>)> {
        self.lock().timed.front().map(|first| (first.pts, Arc::clone(&first.format)))
    }

    /// Returns how many packets were dropped because too many waited, or since their times were wrong.
    pub fn dropped(&self) -> u64 {
        self.lock().dropped
    }

    /// Logs a warning about the camera's sound, once for each `kind`.
    pub fn warn_once(&self, kind: &'static str, text: &str) {
        if self.said.lock().unwrap_or_else(PoisonError::into_inner).insert(kind) {
            tracing::warn!("{}: {text}", self.name);
        }
    }

    pub fn container(&self) -> Container {
        self.container
    }

    /// Returns how many bytes the camera's sound had so far.
    pub(super) fn received(&self) -> u64 {
        self.lock().received
    }

    /// A connection begins.
    pub(super) fn connected(&self) {
        let mut state = self.lock();
        state.complete();
        state.connection += 1;
    }

    /// The connection has ended: no further picture will be decoded.
    pub(super) fn disconnected(&self) {
        self.lock().complete();
    }

    /// Returns the format for packets with these caps.
    pub(super) fn format(&self, caps: gst::Caps) -> Arc<AudioFormat> {
        Arc::new(AudioFormat { caps, connection: self.lock().connection })
    }

    /// Adds a packet of the camera's time `camera`, in nanoseconds.
    pub(super) fn put(&self, buffer: &gst::BufferRef, camera: u64, format: &Arc<AudioFormat>) {
        // A packet may be a small part of a large memory.
        let Ok(buffer) = buffer.copy_deep() else { return };
        let mut state = self.lock();
        if format.connection != state.connection {
            return;
        }
        let before = state.dropped;
        let duration = buffer.duration().map_or(0, gst::ClockTime::nseconds);
        state.add(AudioPacket { buffer, format: Arc::clone(format), pts: 0, duration }, camera);
        self.report(state.dropped > before);
    }

    /// A picture of the camera's time `camera` was decoded, whose time in the stream is `pts`.
    pub(super) fn decoded(&self, camera: u64, pts: u64) {
        let mut state = self.lock();
        let before = state.dropped;
        state.decoded(camera, pts);
        self.report(state.dropped > before);
    }

    fn report(&self, dropped: bool) {
        if dropped {
            self.warn_once("dropped", "some sound is left out, since its times do not fit those of the pictures");
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn add(&mut self, packet: AudioPacket, camera: u64) {
        self.received += packet.buffer.size() as u64;
        let picture = self.offsets.back().map(|&(picture, _)| picture);
        if let Some(picture) = picture
            && (camera as i64 + self.shift).abs_diff(picture as i64) > JUMP
        {
            self.shift = if camera.abs_diff(picture) > JUMP { picture as i64 - camera as i64 } else { 0 };
        }
        let camera = camera.saturating_add_signed(self.shift);
        self.bytes += packet.bytes();
        self.early.push_back((camera, packet));
        if let Some(picture) = picture {
            self.time(picture);
        }
        while self.bytes > MAX_BYTES {
            let oldest = self.timed.pop_front().or_else(|| self.early.pop_front().map(|(_, packet)| packet));
            let Some(oldest) = oldest else { break };
            self.bytes -= oldest.bytes();
            // Before the first picture nothing is recorded.
            self.dropped += u64::from(picture.is_some());
        }
    }

    fn decoded(&mut self, camera: u64, pts: u64) {
        if self.offsets.back().is_some_and(|&(last, _)| camera <= last) {
            self.offsets.clear();
        }
        self.offsets.push_back((camera, pts as i64 - camera as i64));
        if self.offsets.len() > MAX_OFFSETS {
            self.offsets.pop_front();
        }
        self.time(camera);
    }

    /// Gives a pts to the packets up to the camera's time of the last picture. Drops those that no picture will ever reach.
    fn time(&mut self, picture: u64) {
        while let Some(&(camera, _)) = self.early.front() {
            let is_reached = camera <= picture;
            if !is_reached && camera - picture <= JUMP {
                return;
            }
            let Some((_, mut packet)) = self.early.pop_front() else { return };
            let pts = self.pts(camera);
            let pts = match self.last {
                Some(last) if pts <= last && last - pts <= MAX_STEP_BACK => last + MIN_DISTANCE,
                _ => pts,
            };
            if is_reached && pts >= self.taken && self.last.is_none_or(|last| pts > last) {
                packet.pts = pts;
                self.last = Some(pts);
                self.timed.push_back(packet);
            } else {
                self.bytes -= packet.bytes();
                self.dropped += 1;
            }
        }
    }

    /// Maps a time of the camera's to the stream's, as the pictures around it.
    fn pts(&self, camera: u64) -> u64 {
        let before = self.offsets.iter().rev().find(|(picture, _)| *picture <= camera);
        let offset = before.or(self.offsets.front()).map_or(0, |&(_, offset)| offset);
        camera.saturating_add_signed(offset)
    }

    /// Completes the packets of a connection: those up to its last picture, and during that.
    fn complete(&mut self) {
        if let Some(&(picture, _)) = self.offsets.back() {
            let end = picture + MAX_AFTER;
            self.early.retain(|(camera, _)| *camera <= end);
            self.time(end);
        }
        self.early.clear();
        self.bytes = self.timed.iter().map(AudioPacket::bytes).sum();
        self.offsets.clear();
        self.shift = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::media::camera::Transport;

    const MS: u64 = 1_000_000;
    const PACKET: u64 = 20 * MS;
    const FRAME: u64 = 40 * MS;
    /// The difference between the camera's clock and the stream's.
    const LATER: u64 = 7_000 * MS;

    fn queue() -> (AudioQueue, Arc<AudioFormat>) {
        crate::media::init().unwrap();
        let camera = Camera::parse("rtsp://127.0.0.1/live", None, Transport::Tcp, Duration::ZERO).unwrap();
        let queue = AudioQueue::new("door", &camera, Container::Matroska);
        queue.connected();
        let format = queue.format(gst::Caps::builder("audio/x-alaw").build());
        (queue, format)
    }

    /// Adds a packet of the camera's time `LATER + time`, in milliseconds.
    fn put(queue: &AudioQueue, format: &Arc<AudioFormat>, time: u64) {
        put_bytes(queue, format, time, 160);
    }

    fn put_bytes(queue: &AudioQueue, format: &Arc<AudioFormat>, time: u64, bytes: usize) {
        let mut buffer = gst::Buffer::with_size(bytes).unwrap();
        buffer.get_mut().unwrap().set_duration(gst::ClockTime::from_nseconds(PACKET));
        queue.put(&buffer, LATER + time * MS, format);
    }

    /// Decodes pictures of these times, in milliseconds of both the camera and the stream.
    fn decode(queue: &AudioQueue, times: impl IntoIterator<Item = u64>) {
        times.into_iter().for_each(|time| queue.decoded(LATER + time * MS, time * MS));
    }

    /// The times of all packets before `until`, in milliseconds.
    fn taken(queue: &AudioQueue, until: u64) -> Vec<u64> {
        std::iter::from_fn(|| queue.take(until * MS)).map(|packet| packet.pts() / MS).collect()
    }

    #[test]
    fn packets_get_the_time_of_the_pictures_around_them() {
        let (queue, format) = queue();
        [0, 20, 40, 60, 80].iter().for_each(|&time| put(&queue, &format, time));
        assert!(queue.first().is_none());
        decode(&queue, [10, 50]);
        // Those that come later than their picture, too.
        decode(&queue, [90]);
        put(&queue, &format, 85);
        assert_eq!(taken(&queue, 60), [0, 20, 40]);
        assert_eq!(taken(&queue, 1000), [60, 80, 85]);
        assert_eq!((queue.dropped(), queue.lock().bytes), (0, 0));
    }

    #[test]
    fn the_pictures_time_is_followed_where_it_leads() {
        let (queue, format) = queue();
        // The pictures come closer together, and then time is missing.
        let pictures = [(0, 300), (40, 303), (80, 307), (120, 9000)];
        for (camera, pts) in pictures {
            queue.decoded(LATER + camera * MS, pts * MS);
        }
        [0, 20, 40, 60, 80, 100, 120, 140].iter().for_each(|&time| put(&queue, &format, time));
        queue.decoded(LATER + 160 * MS, 9040 * MS);
        assert_eq!(taken(&queue, 9999), [300, 320, 321, 323, 324, 327, 9000, 9020]);
        assert_eq!(queue.dropped(), 0);
    }

    #[test]
    fn sound_whose_times_jump_goes_on_beside_the_pictures() {
        let (queue, format) = queue();
        decode(&queue, [0]);
        put(&queue, &format, 0);
        let hour = 3_600_000;
        put(&queue, &format, hour);
        put(&queue, &format, hour + 20);
        decode(&queue, [40]);
        // The clock is set right again.
        put(&queue, &format, 30);
        assert_eq!(taken(&queue, 1000), [0, 1, 20, 30]);
        assert_eq!(queue.dropped(), 0);
    }

    #[test]
    fn pictures_whose_times_jump_take_the_sound_along() {
        let (queue, format) = queue();
        decode(&queue, [0, 40]);
        put(&queue, &format, 20);
        let hour = 3_600_000;
        put(&queue, &format, 60);
        queue.decoded(LATER + hour * MS, 80 * MS);
        // It waited for a picture of its time, and none will come.
        [80, 100].iter().for_each(|&time| put(&queue, &format, time));
        [hour + 60, hour + 80].iter().for_each(|&time| put(&queue, &format, time));
        queue.decoded(LATER + (hour + 80) * MS, 160 * MS);
        assert_eq!(taken(&queue, 1000), [20, 60, 80, 100, 140, 160]);
    }

    #[test]
    fn what_comes_too_late_or_again_is_dropped() {
        let (queue, format) = queue();
        decode(&queue, [0, 1000, 2000]);
        put(&queue, &format, 1000);
        assert_eq!(taken(&queue, 1500), [1000]);
        put(&queue, &format, 1480);
        put(&queue, &format, 1990);
        // A small step back is followed, a large one is not.
        put(&queue, &format, 1980);
        put(&queue, &format, 1300);
        assert_eq!(taken(&queue, 3000), [1990, 1991]);
        assert_eq!((queue.dropped(), queue.lock().bytes), (2, 0));
    }

    #[test]
    fn the_oldest_are_dropped_when_too_much_waits() {
        let (queue, format) = queue();
        // Before the first picture it is no loss.
        (0..3).for_each(|number| put_bytes(&queue, &format, number, MAX_BYTES / 2));
        assert_eq!((queue.dropped(), queue.lock().early.len()), (0, 1));
        decode(&queue, [10]);
        (10..13).for_each(|number| put_bytes(&queue, &format, number, MAX_BYTES / 4));
        assert_eq!(queue.dropped(), 1);
        decode(&queue, [20]);
        assert_eq!(taken(&queue, 1000), [10, 11, 12]);
        // However small they are.
        (0..100_000).for_each(|_| put_bytes(&queue, &format, 2000, 1));
        let waiting = queue.lock().early.len();
        assert!((MAX_BYTES / OVERHEAD / 2..=MAX_BYTES / OVERHEAD).contains(&waiting), "{waiting}");
    }

    #[test]
    fn the_end_of_a_connection_completes_its_packets() {
        let (queue, format) = queue();
        decode(&queue, [0, 40]);
        [20, 60, 400, 2000].iter().for_each(|&time| put(&queue, &format, time));
        queue.disconnected();
        put(&queue, &format, 500);
        queue.connected();
        put(&queue, &format, 600);
        assert_eq!(taken(&queue, 9999), [20, 60, 400]);
        // Packets of which no picture was decoded are worth nothing.
        put(&queue, &queue.format(format.caps.clone()), 700);
        queue.disconnected();
        assert!(queue.first().is_none() && queue.lock().bytes == 0);
    }

    #[test]
    fn sound_and_pictures_of_a_camera_stay_in_step_for_an_hour() {
        let (queue, format) = queue();
        let mut count = 0;
        for frame in 0..90_000_u64 {
            put(&queue, &format, 40 * frame);
            put(&queue, &format, 40 * frame + 20);
            // The camera's clock is slower than the local one.
            queue.decoded(LATER + frame * FRAME, frame * (FRAME + 4000));
            while let Some(packet) = queue.take(frame * (FRAME + 4000) + 1) {
                let exact = count * PACKET + count * 2000;
                assert!(packet.pts().abs_diff(exact) <= 4000, "{} for {exact}", packet.pts());
                count += 1;
            }
        }
        assert!(count >= 179_998 && queue.dropped() == 0, "{count}");
    }
}
