//! The recording of a camera's own video: segments of its packets, cut at key frames, with its sound, and with the labels beside
//! them as subtitles. A failure never stops the analysis.
//!
//! Packets are written when the frames up to them are labelled, so that a segment's labels are known when it ends.

use std::collections::VecDeque;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::config::cameras::RecordingConfig;
use crate::error::Result;
use crate::labels::intervals::Interval;
use crate::media::encoder::Taps;
use crate::media::packet_recorder::PacketRecorder;
use crate::media::packets::{Packet, PacketFormat, PacketQueue};
use crate::media::recorder::Container;
use crate::pipeline::context::StreamContext;
use crate::pipeline::group_buffer::GroupBuffer;
use crate::pipeline::outcome::Outcome;
use crate::pipeline::schedule::RotationSchedule;
use crate::pipeline::sinks::open_files::OpenFiles;
use crate::pipeline::sinks::segment_files::{SegmentFile, SegmentFiles, SegmentRecords};
use crate::pipeline::sinks::segment_labels::SegmentLabels;
use crate::pipeline::sinks::segment_sound::SegmentSound;
use crate::pipeline::sinks::sink::{LabeledFrame, Loss, Sink};
use crate::report::journal::RecordedVideo;
use crate::report::subtitles;
use crate::telemetry::StreamState;

/// Frames that may follow a key frame and be shown before it, at most.
const MAX_LEADING: usize = 16;
/// Distance of key frames, in nanoseconds, from which on a log line says that segments cannot be cut where they should.
const LONG_GROUP: u64 = 10_000_000_000;

/// How long after the last picture of a segment its sound may end, in nanoseconds, if pictures are missing before the next one.
const LAST_SOUND: u64 = 1_000_000_000;
/// How far behind the last labelled frame the packets of a lost camera may be, in nanoseconds. Those of the next
/// connection come later.
const LAST_PACKETS: u64 = 500_000_000;

/// Records a camera's own video.
pub struct OriginalSink<'a> {
    state: &'a Arc<StreamState>,
    packets: Arc<PacketQueue>,
    container: Container,
    schedule: Option<RotationSchedule>,
    files: SegmentFiles,
    current: Option<Segment>,
    /// A key frame that begins a segment, and the frames behind it that are shown before it.
    head: Vec<Packet>,
    /// Set with `--only-active`.
    groups: Option<GroupBuffer<Packet>>,
    /// Pts of frames with a label, whose packets wait for their sound.
    active: VecDeque<u64>,
    labels: SegmentLabels<'a>,
    sound: SegmentSound,
    /// Pts of the last key frame.
    key: Option<u64>,
    warned: bool,
    /// Packets that were left out because the disk was too slow.
    skipped: u64,
}

struct Segment {
    file: SegmentFile,
    recorder: PacketRecorder,
    format: Arc<PacketFormat>,
}

impl Sink for OriginalSink<'_> {
    fn frame(&mut self, labeled: &LabeledFrame) -> Result<()> {
        let closed = self.files.poll();
        self.labels.set_open(labeled.open.clone());
        if self.groups.is_some() && labeled.label.is_some() {
            self.active.push_back(labeled.frame.pts);
        }
        closed.and(self.record(labeled.frame.pts.saturating_sub(self.sound.delay())))
    }

    fn interval(&mut self, interval: &Interval) -> Result<()> {
        self.labels.add(interval);
        Ok(())
    }

    fn failure_note(&self) -> &'static str {
        ", but nothing is recorded until the next segment"
    }

    /// A segment ends when the camera is lost, since the length of the outage is unknown.
    fn lost(&mut self, loss: &Loss) -> Result<()> {
        let recorded = self.record(loss.since + LAST_PACKETS).and_then(|()| self.end());
        self.key = None;
        recorded
    }

    fn idle(&mut self, _idle: Duration) -> bool {
        self.files.idle();
        false
    }

    fn finish(mut self: Box<Self>, outcome: &mut Outcome) -> Result<()> {
        // The receiver may still be closing the connection.
        self.packets.disconnected();
        let recorded = self.record(u64::MAX).and_then(|()| self.end());
        let joined = self.files.join();
        self.sound.finish();
        let dropped = self.packets.dropped() + self.groups.as_ref().map_or(0, GroupBuffer::dropped);
        outcome.add_recording(self.files.totals(), self.skipped + dropped);
        recorded.and(joined)
    }
}

impl<'a> OriginalSink<'a> {
    pub fn new(
        context: &StreamContext<'a>,
        recording: &RecordingConfig,
        packets: &Arc<PacketQueue>,
        began: Instant,
        open: &OpenFiles,
        records: &SegmentRecords,
    ) -> Self {
        let container = packets.container();
        let suffix = format!(".{}", container.extension());
        Self {
            state: context.state,
            packets: Arc::clone(packets),
            container,
            schedule: recording.segment.map(RotationSchedule::new),
            files: SegmentFiles::new(recording, RecordedVideo::Original, suffix, context.clock, began, open, records),
            current: None,
            head: Vec::new(),
            groups: recording.only_active.then(GroupBuffer::default),
            active: VecDeque::new(),
            labels: SegmentLabels::new(&context.model.labels),
            sound: SegmentSound::new(packets.sound()),
            key: None,
            warned: false,
            skipped: 0,
        }
    }

    /// Records the packets up to `until` of the stream, in nanoseconds.
    fn record(&mut self, until: u64) -> Result<()> {
        while let (Some(groups), Some(&pts)) = (&mut self.groups, self.active.front().filter(|pts| **pts <= until)) {
            groups.mark(pts, true);
            self.active.pop_front();
        }
        loop {
            let packet = match self.packets.take(until) {
                Ok(Some(packet)) => packet,
                Ok(None) => {
                    self.skip_sound(until);
                    return Ok(());
                }
                Err(error) => {
                    self.files.fail();
                    return Err(error);
                }
            };
            self.check_distance(&packet);
            let recorded = match &mut self.groups {
                None => self.add(packet),
                Some(groups) => {
                    groups.push(packet.pts(), packet.bytes(), packet.is_key(), packet);
                    self.add_selected()
                }
            };
            if let Err(error) = recorded {
                self.head.clear();
                self.files.fail();
                self.close(0)?;
                return Err(error);
            }
        }
    }

    /// Drops the sound up to `until` of the stream that no segment will show.
    fn skip_sound(&mut self, until: u64) {
        if self.current.is_none() && self.head.is_empty() {
            let buffered = self.groups.as_ref().and_then(GroupBuffer::start).unwrap_or(until);
            self.sound.skip(until.min(buffered));
        }
    }

    /// Says once if key frames are so rare that segments end late.
    fn check_distance(&mut self, packet: &Packet) {
        let distance = self.key.map_or(0, |key| packet.pts().saturating_sub(key));
        if distance >= LONG_GROUP && !std::mem::replace(&mut self.warned, true) {
            tracing::warn!(
                "{}: no key frame for {} s; segments can only end at one, so they end late; set a shorter key frame \
                 interval on the camera (also called I-frame interval, or GOP)",
                self.state.info.name,
                LONG_GROUP / 1_000_000_000
            );
        }
        if packet.is_key() {
            self.key = Some(packet.pts());
        }
    }

    /// Adds the groups that are kept, and ends the segment when no more follow.
    fn add_selected(&mut self) -> Result<()> {
        while let Some(packet) = self.groups.as_mut().and_then(GroupBuffer::next) {
            self.add(packet)?;
        }
        if self.groups.as_ref().is_some_and(GroupBuffer::keeps_first) { Ok(()) } else { self.end() }
    }

    fn add(&mut self, packet: Packet) -> Result<()> {
        let begins = self.begins(&packet);
        if begins || !self.continues(&packet) {
            self.begin()?;
            let mut until = packet.pts();
            if let Some(Segment { file, .. }) = &mut self.current {
                until = until.min(file.end() + LAST_SOUND);
                file.limit(packet.pts());
            }
            self.close(until)?;
        }
        if begins {
            self.head.push(packet);
            return Ok(());
        }
        if let Some(first) = self.head.first() {
            if packet.pts() < first.pts() && self.head.len() <= MAX_LEADING {
                self.head.push(packet);
                return Ok(());
            }
            self.begin()?;
        }
        self.write(&packet)
    }

    /// Returns whether a segment begins with this packet.
    fn begins(&mut self, packet: &Packet) -> bool {
        if !packet.is_key() {
            return false;
        }
        let moment = self.files.utc(packet.pts());
        let due = self.schedule.as_mut().is_some_and(|schedule| schedule.due(moment));
        if due {
            self.files.retry();
        }
        let first = self.current.is_none() && self.head.is_empty() && !self.files.is_failed();
        let silent = |segment: &Segment| self.sound.is_missed(segment.file.start, packet.pts());
        due || first || self.current.as_ref().is_some_and(silent) || !self.continues(packet)
    }

    /// Returns whether the packet fits into the segment that is being written, if any.
    fn continues(&self, packet: &Packet) -> bool {
        let head = self.head.first().map(Packet::format);
        head.or(self.current.as_ref().map(|segment| &segment.format))
            .is_none_or(|format| packet.format().continues(format))
    }

    /// Begins a segment with the packets of the head.
    fn begin(&mut self) -> Result<()> {
        let head = std::mem::take(&mut self.head);
        let Some(first) = head.first() else { return Ok(()) };
        let format = Arc::clone(first.format());
        let start = head.iter().map(Packet::pts).min().unwrap_or_default();
        let pixels = format.size().map_or(0, |(width, height)| width * height);
        let (container, taps) = (self.container, Taps { picture: None, ..self.state.taps(start) });
        let sound = self.sound.begin(first.pts());
        let (file, recorder) = self.files.create(start, self.files.utc(start), pixels, |path, began| {
            PacketRecorder::create(path, container, &format, sound, began, taps)
        })?;
        self.current = Some(Segment { file, recorder, format });
        head.iter().try_for_each(|packet| self.write(packet))
    }

    /// Writes a packet. One that belongs to no segment cannot be decoded, since its key frame is missing.
    fn write(&mut self, packet: &Packet) -> Result<()> {
        let Some(Segment { file, recorder, .. }) = &mut self.current else { return Ok(()) };
        self.sound.write(recorder, file.start, packet.dts())?;
        if recorder.write(packet, file.start)? {
            file.add(packet.end())?;
        } else {
            self.skipped += 1;
        }
        Ok(())
    }

    /// Ends the segment, with the packets of the head.
    fn end(&mut self) -> Result<()> {
        let begun = self.begin();
        let until = self.current.as_ref().map_or(0, |segment| segment.file.end());
        begun.and(self.close(until))
    }

    /// Completes the current file, with the sound before `until` of the stream, in nanoseconds.
    fn close(&mut self, until: u64) -> Result<()> {
        let Some(Segment { file, recorder, .. }) = self.current.take() else { return Ok(()) };
        let sound = self.sound.write(&recorder, file.start, until);
        let labels = self.labels.between(file.start, file.end());
        let beside = file.path.with_extension(Path::new("vtt"));
        let closed = self.files.close(file, move || {
            let finished = recorder.finish()?;
            if finished && !labels.is_empty() {
                subtitles::write_cues(&labels, &beside)?;
            }
            Ok(finished)
        });
        closed.and(sound)
    }
}
