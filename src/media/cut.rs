//! Cuts a stretch of time out of recorded files and joins it in one file. Nothing is encoded: it begins at the last key frame at or
//! before the wanted time.
//!
//! Time that is not recorded is left out, so that a player does not show the last frame meanwhile.

use std::collections::VecDeque;
use std::fs::File;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};

use gstreamer as gst;
use time::OffsetDateTime;

use crate::error::Error;
use crate::media::packet_reader::{FilePacket, PacketReader};
use crate::media::packet_writer::{PacketWriter, holds};
use crate::media::packets::is_same_format;
use crate::media::recorder::Container;

/// A longer time without a recording is left out, in nanoseconds.
const GAP: i64 = 1_000_000_000;
/// Packets among which the one that is shown first is searched: H.264 and H.265 reorder 16 frames at most.
const REORDERED: usize = 17;
/// Largest group before the beginning, in bytes. If key frames are rarer, the cut begins earlier.
const MAX_GROUP: usize = 64 << 20;
const MILLISECOND: i64 = 1_000_000;

/// A recorded file.
pub struct Part {
    pub path: PathBuf,
    /// The time of its first frame, and of its end, in milliseconds since 1970.
    pub start: i64,
    pub end: i64,
}

/// Why nothing was cut.
#[derive(Debug)]
pub enum CutError {
    /// Codec, size or parameter sets change at this time, in milliseconds since 1970.
    Changes(i64),
    /// Files of this kind cannot hold the video.
    Unfit,
    /// No frame is recorded in the stretch.
    Empty,
    Stopped,
    Failed(Error),
}

impl From<Error> for CutError {
    fn from(error: Error) -> Self {
        Self::Failed(error)
    }
}

/// Writes to `file` what `parts` show from `range.0` to before `range.1`, in milliseconds since 1970. The parts are in order of time;
/// only a little of one may be at the time of the next. Setting `stopped` ends the work.
///
/// # Errors
/// Returns why the file is not complete.
pub fn cut(
    parts: &[Part],
    range: (i64, i64),
    container: Container,
    file: &File,
    stopped: &AtomicBool,
) -> Result<(), CutError> {
    let mut cut = Cut {
        from: range.0.saturating_mul(MILLISECOND),
        to: range.1.saturating_mul(MILLISECOND),
        container,
        file,
        writer: None,
        waiting: VecDeque::new(),
        zero: 0,
        dts: 0,
        step: 0,
        end: 0,
    };
    let mut end: Option<i64> = None;
    for part in parts {
        let start = part.start.saturating_mul(MILLISECOND);
        let before = end.replace(part.end.saturating_mul(MILLISECOND));
        let gap = before.map(|before| start - before).filter(|gap| *gap > GAP);
        // The packets after a gap are not needed by those before it.
        let is_over = gap.is_some() && cut.flush()?;
        cut.zero += gap.filter(|_| cut.writer.is_some()).unwrap_or(0);
        if is_over || cut.add(part, before.is_some() && gap.is_none(), stopped)? {
            break;
        }
    }
    cut.flush()?;
    match cut.writer {
        Some((writer, _)) => Ok(writer.finish()?),
        None => Err(CutError::Empty),
    }
}

struct Cut<'a> {
    /// In nanoseconds since 1970.
    from: i64,
    to: i64,
    container: Container,
    file: &'a File,
    /// With the format of its packets.
    writer: Option<(PacketWriter<'a>, gst::Caps)>,
    /// Packets in decoding order.
    waiting: VecDeque<Coded>,
    /// The time of the file's time 0, plus the gaps that are left out.
    zero: i64,
    /// Decoding time of the last packet that was written, and how long after the one before it.
    dts: i64,
    step: i64,
    /// When the last frame that was written ends.
    end: i64,
}

/// A packet with its time in nanoseconds since 1970, and in the new file.
struct Coded {
    packet: FilePacket,
    at: i64,
    pts: i64,
}

impl Cut<'_> {
    /// Adds the packets of a part; those that follow without a gap may need frames of the part before. Returns whether the end is
    /// reached.
    fn add(&mut self, part: &Part, follows: bool, stopped: &AtomicBool) -> Result<bool, CutError> {
        let start = part.start.saturating_mul(MILLISECOND);
        let skipped = u64::try_from(self.from - start).ok().filter(|skipped| *skipped > 0 && self.writer.is_none());
        let mut reader = PacketReader::open(&part.path, skipped)?;
        let mut next = reader.next()?;
        let is_late = |first: &FilePacket| !first.key || skipped.is_some_and(|skipped| first.pts > skipped);
        if skipped.is_some() && next.as_ref().is_none_or(is_late) {
            // The container cannot find the key frame.
            reader = PacketReader::open(&part.path, None)?;
            next = reader.next()?;
        }
        let mut key: Option<i64> = None;
        // Packets from the last key frame before the beginning on.
        let mut group: Vec<(FilePacket, i64)> = Vec::new();
        let mut bytes = 0;
        let mut begun = skipped.is_none();
        while let Some(packet) = next {
            if stopped.load(Ordering::Relaxed) {
                return Err(CutError::Stopped);
            }
            let at = start.saturating_add_unsigned(packet.pts);
            if packet.key && (key.is_none() || !begun && at <= self.from) {
                key = Some(at);
                group.clear();
                bytes = 0;
            }
            // Frames that are shown before the first key frame refer to frames that are not there.
            let is_decodable = key.is_some_and(|key| follows || at >= key);
            if is_decodable {
                begun |= packet.key && at > self.from || bytes > MAX_GROUP;
                if begun {
                    for (packet, at) in group.drain(..) {
                        self.push(packet, at, part)?;
                    }
                    if self.push(packet, at, part)? {
                        return Ok(true);
                    }
                } else {
                    bytes += packet.buffer.size();
                    group.push((packet, at));
                }
            }
            next = reader.next()?;
        }
        for (packet, at) in group {
            if self.push(packet, at, part)? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Adds a packet. Returns whether no frame before the end follows.
    fn push(&mut self, packet: FilePacket, at: i64, part: &Part) -> Result<bool, CutError> {
        match &self.writer {
            Some((_, caps)) if is_same_format(caps, &packet.caps) => {}
            Some(_) => return Err(CutError::Changes(part.start)),
            None => {
                if !holds(self.container, &packet.caps)? {
                    return Err(CutError::Unfit);
                }
                let began = OffsetDateTime::UNIX_EPOCH.saturating_add(time::Duration::nanoseconds(at));
                let writer = PacketWriter::create(self.file, self.container, &packet.caps, began)?;
                self.writer = Some((writer, packet.caps.clone()));
                self.zero = at;
            }
        }
        let pts = at - self.zero;
        self.waiting.push_back(Coded { packet, at, pts });
        Ok(self.waiting.len() > REORDERED && self.write()?)
    }

    /// Writes all waiting packets that are needed. Returns whether no frame before the end follows.
    fn flush(&mut self) -> Result<bool, CutError> {
        while !self.waiting.is_empty() {
            if self.write()? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Writes the packet that waits longest, unless all that are shown before the end are written.
    fn write(&mut self) -> Result<bool, CutError> {
        if self.waiting.iter().all(|coded| coded.at >= self.to) {
            self.waiting.clear();
            return Ok(true);
        }
        // A frame is decoded before those that follow it are shown.
        let dts = self.waiting.iter().map(|coded| coded.pts).min().unwrap_or(0).max(self.dts);
        let (Some(coded), Some((writer, _))) = (self.waiting.pop_front(), &self.writer) else { return Ok(true) };
        self.step = if dts > self.dts { dts - self.dts } else { self.step };
        self.dts = dts;
        let duration = coded.packet.buffer.duration().map(gst::ClockTime::nseconds);
        let duration = duration.map_or(self.step, |duration| i64::try_from(duration).unwrap_or(0));
        self.end = self.end.max(coded.pts + duration);
        // An MP4 is as long as its packets take to decode. Players leave out what is shown after that.
        let is_last = self.waiting.iter().all(|coded| coded.at >= self.to);
        let duration = if is_last { self.end - dts } else { duration };
        let time = |time: i64| gst::ClockTime::from_nseconds(time.max(0).unsigned_abs());
        let mut buffer = coded.packet.buffer.copy();
        if let Some(buffer) = buffer.get_mut() {
            buffer.set_pts(time(coded.pts.max(dts)));
            buffer.set_dts(time(dts));
            buffer.set_duration(time(duration));
        }
        writer.write(buffer)?;
        Ok(false)
    }
}
