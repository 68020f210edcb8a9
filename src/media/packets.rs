//! A camera's encoded video on its way to a recording.
//!
//! Packets enter in decoding order, on GStreamer's threads, and wait until their frame is decoded: only then is their
//! time in the stream known. The queue is bounded and never blocks the decoder: when it is full, packets are dropped up
//! to the next key frame.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use gstreamer as gst;

use crate::error::{Error, Result};
use crate::media::audio_queue::AudioQueue;
use crate::media::media_type;
use crate::media::recorder::Container;

/// Largest size of the waiting packets: minutes of a usual camera, and more than any real frame.
const MAX_BYTES: usize = 32 << 20;
/// Packets that a decoder may hold before it outputs the first of them: the frames that H.264 and H.265 may reorder,
/// and those of a decoder's threads. A packet that waits behind more was never decoded.
const MAX_REORDERED: usize = 64;
/// Fields of caps that do not decide whether two packets belong into one file.
const IGNORED: [&str; 3] = ["framerate", "interlace-mode", "field-order"];

/// The format of packets: codec, size, parameter sets.
pub struct PacketFormat {
    pub(super) caps: gst::Caps,
    /// The connection to the camera, from 1.
    connection: u64,
}

impl PacketFormat {
    /// Returns whether packets of both formats may follow each other in one file.
    pub fn continues(&self, other: &Self) -> bool {
        self.connection == other.connection && is_same_format(&self.caps, &other.caps)
    }

    /// Returns width and height, if the caps state them.
    pub fn size(&self) -> Option<(usize, usize)> {
        let side = |name: &str| self.caps.structure(0)?.get::<i32>(name).ok()?.try_into().ok();
        side("width").zip(side("height"))
    }
}

/// Returns whether packets with these caps may follow each other in one file.
pub(super) fn is_same_format(one: &gst::Caps, other: &gst::Caps) -> bool {
    let fields = |caps: &gst::Caps| {
        let mut structure = caps.structure(0)?.to_owned();
        structure.remove_fields(IGNORED);
        Some(structure)
    };
    one == other || fields(one) == fields(other)
}

/// An encoded frame with its time in the stream.
pub struct Packet {
    pub(super) buffer: gst::Buffer,
    format: Arc<PacketFormat>,
    key: bool,
    pts: u64,
    /// Decoding time: not after the pts of any packet that follows.
    dts: u64,
    duration: u64,
}

impl Packet {
    /// Returns whether decoding can begin here.
    pub fn is_key(&self) -> bool {
        self.key
    }

    /// Returns the pts in nanoseconds of the stream.
    pub fn pts(&self) -> u64 {
        self.pts
    }

    /// Returns the decoding time in nanoseconds of the stream.
    pub fn dts(&self) -> u64 {
        self.dts
    }

    pub(super) fn duration(&self) -> u64 {
        self.duration
    }

    /// Returns when the next frame is due, in nanoseconds of the stream.
    pub fn end(&self) -> u64 {
        self.pts + self.duration
    }

    /// Returns the size in bytes.
    pub fn bytes(&self) -> usize {
        self.buffer.size()
    }

    pub fn format(&self) -> &Arc<PacketFormat> {
        &self.format
    }
}

/// The packets of one camera.
pub struct PacketQueue {
    container: Container,
    /// The sound beside the video, if it is recorded.
    sound: Option<Arc<AudioQueue>>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    waiting: VecDeque<Waiting>,
    bytes: usize,
    /// Whether packets are dropped until the next key frame.
    dropping: bool,
    dropped: u64,
    received: u64,
    /// Number of the next packet.
    number: u64,
    connection: u64,
    /// Whether this connection's packets are recorded as they come.
    passes: bool,
    /// From the camera's time to the stream's, at the last decoded frame of this connection.
    offset: Option<i64>,
    /// End of the last packet that was taken.
    end: u64,
    /// Why packets cannot be made.
    failure: Option<Error>,
}

struct Waiting {
    packet: Packet,
    number: u64,
    /// The camera's time.
    camera: Option<u64>,
    /// Whether the packet's pts is known.
    timed: bool,
}

impl PacketQueue {
    /// Creates a queue for files of this kind, with the sound beside the video.
    pub fn new(container: Container, sound: Option<AudioQueue>) -> Self {
        Self { container, sound: sound.map(Arc::new), state: Mutex::default() }
    }

    /// Returns the next packet in decoding order if its time is known and is not after `until`, in nanoseconds.
    ///
    /// # Errors
    /// The reason why the camera's frames cannot be encoded: once.
    pub fn take(&self, until: u64) -> Result<Option<Packet>> {
        let mut state = self.lock();
        if let Some(error) = state.failure.take() {
            return Err(error);
        }
        if !state.waiting.front().is_some_and(|first| first.timed && first.packet.pts <= until) {
            return Ok(None);
        }
        let Some(Waiting { mut packet, .. }) = state.waiting.pop_front() else { return Ok(None) };
        state.bytes -= packet.bytes();
        state.end = packet.end();
        // Frames that are shown before this one follow it, and have been decoded before it was shown.
        let shown_before = state.waiting.iter().take(MAX_REORDERED).filter(|next| next.timed);
        packet.dts = shown_before.map(|next| next.packet.pts).fold(packet.pts, u64::min);
        Ok(Some(packet))
    }

    /// Returns the container of the files.
    pub fn container(&self) -> Container {
        self.container
    }

    /// Returns the sound beside the video, if it is recorded.
    pub fn sound(&self) -> Option<&Arc<AudioQueue>> {
        self.sound.as_ref()
    }

    /// Returns how many packets were dropped because too many waited.
    pub fn dropped(&self) -> u64 {
        self.lock().dropped
    }

    /// Returns how many bytes the camera's recorded video and sound had so far.
    pub fn received(&self) -> u64 {
        self.lock().received + self.sound.as_ref().map_or(0, |sound| sound.received())
    }

    /// Returns the format for packets with these caps; `None` if the file cannot hold them as they are.
    pub(super) fn format(&self, caps: &gst::Caps) -> Option<Arc<PacketFormat>> {
        let version = caps.structure(0)?.get::<i32>("mpegversion").ok();
        let fits = match (media_type(caps)?.as_str(), self.container) {
            ("video/x-h264" | "video/x-h265", Container::Matroska | Container::Mp4) => true,
            ("video/mpeg", Container::Matroska) => true,
            ("video/mpeg", Container::Mp4) => version == Some(4),
            ("video/x-vp8" | "video/x-vp9" | "video/x-av1", Container::Matroska) => true,
            _ => false,
        };
        fits.then(|| Arc::new(PacketFormat { caps: caps.clone(), connection: self.lock().connection }))
    }

    /// A connection begins.
    pub(crate) fn connected(&self) {
        let mut state = self.lock();
        state.complete();
        state.connection += 1;
        state.passes = false;
        if let Some(sound) = &self.sound {
            sound.connected();
        }
    }

    /// The connection has ended, or what follows is not recorded any more: no further frame will be decoded.
    pub fn disconnected(&self) {
        self.lock().complete();
        if let Some(sound) = &self.sound {
            sound.disconnected();
        }
    }

    /// Returns whether this connection's packets are recorded as they come.
    pub(super) fn passes(&self) -> bool {
        self.lock().passes
    }

    /// Adds a packet of the camera, whose time `camera` is that of the frame that will be decoded from it. Returns the
    /// packet's number.
    pub(super) fn put(&self, buffer: gst::Buffer, camera: Option<u64>, format: &Arc<PacketFormat>) -> Option<u64> {
        let mut state = self.lock();
        if format.connection != state.connection {
            return None;
        }
        state.passes = true;
        Some(state.add(buffer, format, camera, None))
    }

    /// Adds a packet that was encoded here, whose frame is at `pts` of the stream, in nanoseconds.
    pub(super) fn put_encoded(&self, buffer: gst::Buffer, pts: u64, format: &Arc<PacketFormat>) {
        let mut state = self.lock();
        if format.connection == state.connection {
            state.add(buffer, format, None, Some(pts));
        }
    }

    /// Adds a key frame of `bytes`, as if a camera had sent it and it was decoded. Times in nanoseconds of the stream.
    #[cfg(test)]
    pub fn simulate(&self, pts: u64, duration: u64, bytes: usize) {
        let caps = gst::Caps::builder("video/x-vp8").field("width", 64).field("height", 36).build();
        let mut buffer = gst::Buffer::with_size(bytes).unwrap();
        buffer.get_mut().unwrap().set_duration(gst::ClockTime::from_nseconds(duration));
        self.put_encoded(buffer, pts, &self.format(&caps).unwrap());
    }

    /// Counts a frame that could not be encoded in time.
    pub(super) fn skipped(&self) {
        self.lock().dropped += 1;
    }

    pub(super) fn fail(&self, error: Error) {
        self.lock().failure = Some(error);
    }

    /// A frame of the camera's time `camera` was decoded from the packet with this number, if that is known. Its time in
    /// the stream is `pts`.
    pub(super) fn decoded(&self, number: Option<u64>, camera: Option<u64>, pts: u64, duration: u64) {
        let mut state = self.lock();
        if let Some(camera) = camera {
            state.offset = Some(pts as i64 - camera as i64);
            if let Some(sound) = &self.sound {
                sound.decoded(camera, pts);
            }
        }
        let untimed = || state.waiting.iter().enumerate().filter(|(_, waiting)| !waiting.timed);
        let found = match number {
            Some(number) => untimed().find(|(_, waiting)| waiting.number == number),
            // A decoder estimates the time of a frame whose packet has none.
            None => untimed()
                .find(|(_, waiting)| waiting.camera == camera)
                .or_else(|| untimed().find(|(_, waiting)| waiting.camera.is_none())),
        };
        let found = found.map(|(index, _)| index).and_then(|index| state.waiting.get_mut(index));
        if let Some(Waiting { packet, timed, .. }) = found {
            (packet.pts, packet.duration, *timed) = (pts, duration, true);
        }
        let lost = state.waiting.len().saturating_sub(MAX_REORDERED);
        state.estimate(lost);
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn add(&mut self, buffer: gst::Buffer, format: &Arc<PacketFormat>, camera: Option<u64>, pts: Option<u64>) -> u64 {
        let number = self.number;
        self.number += 1;
        let key = !buffer.flags().contains(gst::BufferFlags::DELTA_UNIT);
        let bytes = buffer.size();
        self.received += bytes as u64;
        self.dropping = (self.dropping && !key) || self.bytes + bytes > MAX_BYTES;
        if self.dropping {
            self.dropped += 1;
            return number;
        }
        self.bytes += bytes;
        let duration = buffer.duration().map_or(0, gst::ClockTime::nseconds);
        let packet = Packet { buffer, format: Arc::clone(format), key, pts: pts.unwrap_or(0), dts: 0, duration };
        self.waiting.push_back(Waiting { packet, number, camera, timed: pts.is_some() });
        number
    }

    /// Estimates the time of the first `count` packets where it is unknown, from the packets around them.
    fn estimate(&mut self, count: usize) {
        let Some(offset) = self.offset else { return };
        let mut last = self.end;
        for Waiting { packet, camera, timed, .. } in self.waiting.iter_mut().take(count) {
            if !*timed {
                packet.pts = match *camera {
                    Some(camera) => camera.saturating_add_signed(offset),
                    None => last,
                };
                *timed = true;
            }
            last = packet.end();
        }
    }

    /// Completes the packets of a connection. Those of one from which no frame was decoded are worth nothing.
    fn complete(&mut self) {
        if self.offset.is_some() {
            self.estimate(self.waiting.len());
        } else {
            self.waiting.retain(|waiting| waiting.timed);
            self.bytes = self.waiting.iter().map(|waiting| waiting.packet.bytes()).sum();
        }
        self.offset = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FRAME: u64 = 40_000_000;
    /// The difference between the camera's clock and the stream's.
    const LATER: u64 = 7_000_000_000;

    fn queue() -> (PacketQueue, Arc<PacketFormat>) {
        crate::media::init().unwrap();
        let queue = PacketQueue::new(Container::Matroska, None);
        queue.connected();
        let format = queue.format(&gst::Caps::builder("video/x-h264").field("width", 64).build()).unwrap();
        (queue, format)
    }

    /// Adds a packet of `bytes` for the frame with this number.
    fn put(queue: &PacketQueue, format: &Arc<PacketFormat>, number: u64, key: bool, bytes: usize) {
        let mut buffer = gst::Buffer::with_size(bytes).unwrap();
        if !key {
            buffer.get_mut().unwrap().set_flags(gst::BufferFlags::DELTA_UNIT);
        }
        queue.put(buffer, Some(LATER + number * FRAME), format);
    }

    fn decoded(queue: &PacketQueue, number: u64) {
        queue.decoded(None, Some(LATER + number * FRAME), number * FRAME, FRAME);
    }

    /// The numbers of the frames of all packets that can be taken, and those of their decoding times.
    fn taken(queue: &PacketQueue) -> Vec<(u64, u64)> {
        let next = || queue.take(u64::MAX).unwrap().map(|packet| (packet.pts() / FRAME, packet.dts() / FRAME));
        std::iter::from_fn(next).collect()
    }

    #[test]
    fn packets_leave_in_decoding_order_once_their_frames_are_decoded() {
        let (queue, format) = queue();
        for number in [0, 3, 1, 2, 6, 4, 5] {
            put(&queue, &format, number, number == 0, 10);
        }
        assert!(taken(&queue).is_empty());
        decoded(&queue, 0);
        decoded(&queue, 1);
        assert_eq!(taken(&queue), [(0, 0)]);
        (2..6).for_each(|number| decoded(&queue, number));
        assert_eq!(taken(&queue), [(3, 1), (1, 1), (2, 2)]);
        decoded(&queue, 6);
        assert_eq!(taken(&queue), [(6, 4), (4, 4), (5, 5)]);
    }

    #[test]
    fn a_frame_is_that_of_its_packet_whatever_times_the_decoder_gives_it() {
        let (queue, format) = queue();
        let buffer = || gst::Buffer::with_size(10).unwrap();
        let put = |camera| queue.put(buffer(), Some(LATER + camera), &format);
        // The second frame to be shown has a later time than the third, so the decoder swapped them.
        let numbers = [put(0), put(30), put(20)];
        queue.decoded(numbers[0], Some(LATER), 0, FRAME);
        queue.decoded(numbers[1], Some(LATER + 20), FRAME, FRAME);
        queue.decoded(numbers[2], Some(LATER + 30), 2 * FRAME, FRAME);
        assert_eq!(taken(&queue), [(0, 0), (1, 1), (2, 2)]);
    }

    #[test]
    fn packets_after_a_time_wait() {
        let (queue, format) = queue();
        (0..3).for_each(|number| put(&queue, &format, number, true, 10));
        (0..3).for_each(|number| decoded(&queue, number));
        let next = || queue.take(FRAME).unwrap().map(|packet| packet.pts());
        assert_eq!([next(), next(), next()], [Some(0), Some(FRAME), None]);
    }

    #[test]
    fn a_packet_that_is_never_decoded_gets_its_time_from_those_around_it() {
        let (queue, format) = queue();
        for number in 0..=MAX_REORDERED as u64 + 1 {
            put(&queue, &format, number, number == 0, 10);
            if number != 1 {
                decoded(&queue, number);
            }
        }
        let numbers: Vec<u64> = taken(&queue).iter().map(|(pts, _)| *pts).collect();
        assert_eq!(numbers, (0..=MAX_REORDERED as u64 + 1).collect::<Vec<_>>());
    }

    #[test]
    fn packets_without_a_time_get_that_of_their_frame() {
        let (queue, format) = queue();
        for _ in 0..3 {
            queue.put(gst::Buffer::with_size(10).unwrap(), None, &format);
        }
        // Once without a time, and twice with the decoder's estimate.
        queue.decoded(None, None, 5 * FRAME, FRAME);
        decoded(&queue, 6);
        decoded(&queue, 7);
        assert_eq!(taken(&queue), [(5, 5), (6, 6), (7, 7)]);
    }

    #[test]
    fn a_full_queue_drops_packets_up_to_the_next_key_frame() {
        let (queue, format) = queue();
        let keys = [0, 3, 6];
        for number in 0..8 {
            let bytes = if number == 1 { MAX_BYTES } else { 1000 };
            if number == 6 {
                (0..6).for_each(|number| decoded(&queue, number));
                assert_eq!(taken(&queue), [(0, 0), (3, 3), (4, 4), (5, 5)]);
            }
            put(&queue, &format, number, keys.contains(&number), bytes);
        }
        (6..8).for_each(|number| decoded(&queue, number));
        assert_eq!(taken(&queue), [(6, 6), (7, 7)]);
        assert_eq!((queue.dropped(), queue.lock().bytes), (2, 0));
    }

    #[test]
    fn the_end_of_a_connection_completes_its_packets() {
        let (queue, format) = queue();
        (0..4).for_each(|number| put(&queue, &format, number, number == 0, 10));
        decoded(&queue, 0);
        queue.disconnected();
        assert_eq!(taken(&queue), [(0, 0), (1, 1), (2, 2), (3, 3)]);
        // Packets of which no frame was decoded, and late ones of an old connection.
        queue.connected();
        put(&queue, &format, 4, true, 10);
        let next = queue.format(&format.caps).unwrap();
        put(&queue, &next, 5, true, 10);
        assert!(!next.continues(&format) && next.continues(&next));
        queue.disconnected();
        assert!(taken(&queue).is_empty() && queue.lock().bytes == 0);
    }

    #[test]
    fn only_a_frame_rate_may_change_within_a_file() {
        let (queue, format) = queue();
        let other = |name: &str, value: i32| {
            let caps = gst::Caps::builder("video/x-h264").field("width", 64).field(name, value).build();
            queue.format(&caps).unwrap()
        };
        assert!(other("framerate", 5).continues(&format));
        assert!(!other("height", 5).continues(&format) && !other("width", 65).continues(&format));
        let codec = queue.format(&gst::Caps::builder("video/x-h265").field("width", 64).build()).unwrap();
        assert!(!codec.continues(&format));
        assert!(queue.format(&gst::Caps::builder("image/jpeg").build()).is_none());
    }
}
