//! Detects truncated files: compares a file's length with the length that its headers state. A truncated copy still
//! plays, but not to its end.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::Path;

/// Top-level boxes of an MP4 or MOV file; anything else is another format.
const MP4_BOXES: [&[u8; 4]; 11] =
    [b"ftyp", b"moov", b"mdat", b"free", b"skip", b"wide", b"moof", b"mfra", b"sidx", b"styp", b"uuid"];
/// Top-level boxes that are read; a fragmented file has two a fragment.
const MAX_BOXES: usize = 100_000;

/// Returns the actual and the stated length in bytes of a truncated file; `None` if it is complete, or of a format
/// that states no length (MPEG-TS, raw streams, live recordings).
pub fn missing(path: &Path) -> Option<(u64, u64)> {
    let mut file = File::open(path).ok()?;
    let length = file.metadata().ok()?.len();
    let mut start = [0; 12];
    file.read_exact(&mut start).ok()?;
    let stated = match &start {
        [b'R', b'I', b'F', b'F', size @ .., b'A', b'V', b'I', b' '] => 8 + u64::from(u32::from_le_bytes(*size)),
        [0x1a, 0x45, 0xdf, 0xa3, ..] => matroska(&mut file)?,
        _ => mp4(&mut file, length)?,
    };
    (stated > length).then_some((length, stated))
}

/// Returns the stated length of an MP4 file. ISO/IEC 14496-12, 4.2: consecutive boxes, each with a 32-bit length and a
/// name; a length of 1 means that a 64-bit length follows the name, 0 means "to the end of the file".
fn mp4(file: &mut File, length: u64) -> Option<u64> {
    let mut position = 0;
    for _ in 0..MAX_BOXES {
        if length.saturating_sub(position) < 8 {
            break;
        }
        file.seek(SeekFrom::Start(position)).ok()?;
        let mut head = [0; 8];
        file.read_exact(&mut head).ok()?;
        let [size @ .., _, _, _, _] = head;
        let name: &[u8; 4] = head[4..].try_into().ok()?;
        if !MP4_BOXES.contains(&name) {
            return None;
        }
        let size = match u32::from_be_bytes(size) {
            0 => return None,
            1 => {
                let mut long = [0; 8];
                file.read_exact(&mut long).ok()?;
                u64::from_be_bytes(long)
            }
            size => size.into(),
        };
        if size < 8 {
            return None;
        }
        position = position.checked_add(size)?;
    }
    Some(position)
}

/// Returns the stated length of a Matroska file. RFC 8794 and 9559: the EBML header, then one segment.
fn matroska(file: &mut File) -> Option<u64> {
    file.seek(SeekFrom::Start(4)).ok()?;
    let header = vint(file)?;
    file.seek(SeekFrom::Current(i64::try_from(header).ok()?)).ok()?;
    let mut id = [0; 4];
    file.read_exact(&mut id).ok()?;
    if id != [0x18, 0x53, 0x80, 0x67] {
        return None;
    }
    let segment = vint(file)?;
    file.stream_position().ok()?.checked_add(segment)
}

/// Reads a number whose length is the number of leading zeros of its first byte; `None` for "unknown", which has all
/// bits set.
fn vint(file: &mut File) -> Option<u64> {
    let mut first = [0];
    file.read_exact(&mut first).ok()?;
    let more = first[0].leading_zeros();
    if more > 7 {
        return None;
    }
    let mut value = u64::from(first[0]) & (0x7f >> more);
    for _ in 0..more {
        let mut byte = [0];
        file.read_exact(&mut byte).ok()?;
        value = value << 8 | u64::from(byte[0]);
    }
    (value != (1 << (7 * (more + 1))) - 1).then_some(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn missing_of(bytes: &[u8]) -> Option<(u64, u64)> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("clip");
        std::fs::write(&path, bytes).unwrap();
        missing(&path)
    }

    #[test]
    fn a_box_may_state_any_length() {
        for size in [0_u64, 7, 500, u64::MAX - 8, u64::MAX - 16, u64::MAX] {
            let file = [&b"\0\0\0\x10ftypisomisom\0\0\0\x01mdat"[..], &size.to_be_bytes()].concat();
            let stated = 16_u64.checked_add(size).filter(|stated| *stated > file.len() as u64);
            assert_eq!(missing_of(&file), stated.map(|stated| (32, stated)), "{size}");
        }
    }

    #[test]
    fn truncated_files_are_detected() {
        let mp4 = b"\0\0\0\x10ftypisomisom\0\0\0\x0cmdat1234";
        assert_eq!(missing_of(mp4), None);
        assert_eq!(missing_of(&mp4[..26]), Some((26, 28)));
        let avi = b"RIFF\x0c\0\0\0AVI 12345678";
        assert_eq!(missing_of(avi), None);
        assert_eq!(missing_of(&avi[..15]), Some((15, 20)));
        let mkv = b"\x1a\x45\xdf\xa3\x82ab\x18\x53\x80\x67\x10\0\0\x0412345678";
        assert_eq!(missing_of(&mkv[..19]), None);
        assert_eq!(missing_of(&mkv[..17]), Some((17, 19)));
    }

    #[test]
    fn formats_without_a_stated_length_are_ignored() {
        assert_eq!(missing_of(b"G\x40\0\x10\0\0\0\0\0\0\0\0\0\0"), None);
        assert_eq!(missing_of(b"\x1a\x45\xdf\xa3\x80\x18\x53\x80\x67\x01\xff\xff\xff\xff\xff\xff\xff"), None);
        assert_eq!(missing_of(b"\0\0\0\x10ftypisomisom\0\0\0\0mdat1234"), None);
        assert_eq!(missing_of(b"short"), None);
    }
}
