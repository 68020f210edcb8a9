//! Reads the size of an encoded frame from its own header. Decoders use that size, not the container's.

/// Start of image, the first bytes of a JPEG.
const JPEG: [u8; 2] = [0xff, 0xd8];
const PNG: [u8; 8] = *b"\x89PNG\r\n\x1a\n";
/// The start code of a VP8 key frame, after its tag.
const VP8: [u8; 3] = [0x9d, 0x01, 0x2a];

/// Width and height.
pub(crate) type Size = (usize, usize);

/// Reads the sizes of encoded frames, which may arrive in pieces.
pub(crate) enum Header {
    Jpeg(Segments),
    Png,
    Vp8,
}

impl Header {
    /// Returns the reader for a media type such as `image/jpeg`; `None` if a parser already reads the size before the
    /// decoder, or the format is unknown.
    pub fn of(kind: &str) -> Option<Self> {
        match kind {
            "image/jpeg" => Some(Header::Jpeg(Segments::default())),
            "image/png" => Some(Header::Png),
            "video/x-vp8" => Some(Header::Vp8),
            _ => None,
        }
    }

    /// Returns the size if the next piece of the stream contains it.
    pub fn read(&mut self, bytes: &[u8]) -> Option<Size> {
        match self {
            Header::Jpeg(segments) => segments.read(bytes),
            // The first chunk: length, name, width, height.
            Header::Png if bytes.starts_with(&PNG) => Some((big_endian(bytes, 16, 4)?, big_endian(bytes, 20, 4)?)),
            // RFC 6386, 9.1: 14 bits each, and two bits for a scale that decoders ignore.
            Header::Vp8 if bytes.get(3..6) == Some(&VP8) && bytes[0] & 1 == 0 => {
                let side =
                    |at: usize| Some(usize::from(u16::from_le_bytes([*bytes.get(at)?, *bytes.get(at + 1)?]) & 0x3fff));
                Some((side(6)?, side(8)?))
            }
            Header::Png | Header::Vp8 => None,
        }
    }
}

/// Parses a JPEG's segments up to the one with the size.
#[derive(Default)]
pub(crate) struct Segments {
    /// Bytes to skip.
    skip: usize,
    /// The start of an incomplete segment.
    partial: Vec<u8>,
    /// Whether the size was read, or the image data has begun.
    done: bool,
}

impl Segments {
    fn read(&mut self, bytes: &[u8]) -> Option<Size> {
        if bytes.starts_with(&JPEG) {
            *self = Self::default();
        }
        if self.done {
            return None;
        }
        if self.partial.is_empty() {
            return self.scan(bytes);
        }
        let joined = [std::mem::take(&mut self.partial).as_slice(), bytes].concat();
        self.scan(&joined)
    }

    fn scan(&mut self, bytes: &[u8]) -> Option<Size> {
        let mut at = std::mem::take(&mut self.skip);
        while let Some(&byte) = bytes.get(at) {
            let Some(&marker) = bytes.get(at + 1) else { break };
            if byte != 0xff || marker == 0xff {
                at += 1;
                continue;
            }
            match marker {
                // Markers without a length: stuffing, restarts, start and end of image.
                0x00 | 0x01 | 0xd0..=0xd9 => at += 2,
                // Start of scan: the image data follows.
                0xda => {
                    self.done = true;
                    return None;
                }
                0xc0..=0xcf if ![0xc4, 0xc8, 0xcc].contains(&marker) => {
                    let Some(height) = big_endian(bytes, at + 5, 2) else { break };
                    let Some(width) = big_endian(bytes, at + 7, 2) else { break };
                    self.done = true;
                    return Some((width, height));
                }
                _ => {
                    let Some(length) = big_endian(bytes, at + 2, 2) else { break };
                    at += 2 + length.max(2);
                }
            }
        }
        self.skip = at.saturating_sub(bytes.len());
        // A few bytes at most: longer segments are skipped.
        self.partial = bytes.get(at..).unwrap_or_default().to_vec();
        None
    }
}

/// Reads a big-endian number of `length` bytes.
fn big_endian(bytes: &[u8], at: usize, length: usize) -> Option<usize> {
    Some(bytes.get(at..at + length)?.iter().fold(0, |number, &byte| number << 8 | usize::from(byte)))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns the start of a JPEG with two comments of `comment` bytes before its size.
    fn jpeg(comment: usize) -> Vec<u8> {
        let segment = [&[0xff, 0xfe][..], &(comment as u16 + 2).to_be_bytes(), &vec![0xff; comment]].concat();
        let size = [0xff, 0xff, 0xc2, 0, 17, 8, 0x20, 0x01, 0x40, 0x02, 3];
        [&JPEG[..], &segment, &segment, &size, &[0xff, 0xda, 0, 12], &[7; 100]].concat()
    }

    #[test]
    fn a_jpegs_size_is_read_from_pieces_of_any_length() {
        for comment in [0, 1, 65_000] {
            let bytes = jpeg(comment);
            for piece in [1, 2, 3, 7, 4096, bytes.len()] {
                let mut header = Header::of("image/jpeg").unwrap();
                let sizes: Vec<Size> = bytes.chunks(piece).filter_map(|piece| header.read(piece)).collect();
                assert_eq!(sizes, [(0x4002, 0x2001)], "{comment} in pieces of {piece}");
            }
        }
        let mut header = Header::of("image/jpeg").unwrap();
        // The size of each frame of a stream is read.
        assert_eq!([header.read(&jpeg(3)), header.read(&jpeg(5))], [Some((0x4002, 0x2001)); 2]);
    }

    #[test]
    fn sizes_of_png_and_vp8_are_read() {
        let png = [&PNG[..], b"\0\0\0\x0dIHDR", &[0, 0, 0x3e, 0x80, 0, 0, 0, 16]].concat();
        assert_eq!(Header::Png.read(&png), Some((16_000, 16)));
        assert_eq!(Header::Png.read(&png[..20]), None);
        let vp8 = [0x10, 0, 0, 0x9d, 0x01, 0x2a, 0x80, 0x7e, 0x10, 0x00];
        assert_eq!(Header::Vp8.read(&vp8), Some((16_000, 16)));
        assert_eq!(Header::Vp8.read(&[0x11, 0, 0, 5, 6, 7, 8, 9]), None);
    }
}
