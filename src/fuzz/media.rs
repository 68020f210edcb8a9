//! Picture files, the headers of encoded frames, and the lengths of containers.

use crate::fuzz::files::Scratch;
use crate::media::headers::Header;
use crate::media::truncation;
use crate::picture::DifferenceHash;
use crate::picture::file::{decode_picture, reduced};
use crate::report::picture_file;

/// Larger pictures are decoded by the same code, but too slowly to try many.
const MAX_PIXELS: usize = 1 << 20;

/// A picture with its EXIF data.
pub fn pictures(bytes: &[u8]) {
    let header = |kind| Header::of(kind).and_then(|mut header| header.read(bytes));
    let stated = header("image/jpeg").or_else(|| header("image/png"));
    if stated.is_some_and(|(width, height)| width.saturating_mul(height) > MAX_PIXELS) {
        return;
    }
    if let Ok(picture) = decode_picture(bytes) {
        let view = picture.view();
        let _ = DifferenceHash::of(&view);
        let jpeg = reduced(&view, (64, 64), 80).expect("a picture that was decoded can be encoded");
        let small = decode_picture(&jpeg).expect("what was encoded can be decoded");
        assert!(small.view().width() <= 64 && small.view().height() <= 64);
    }
    Scratch::with(|scratch| {
        let path = scratch.file("fuzz.pictures.mjpg", bytes);
        let offset = bytes.first().map_or(0, |byte| u64::from(*byte));
        if let Some(jpeg) = picture_file::read(&path, offset, bytes.len() as u64 / 2) {
            assert_eq!(jpeg.len(), bytes.len() / 2);
        }
    });
}

/// The header of an encoded frame, in one piece and in pieces of any length.
pub fn headers(bytes: &[u8]) {
    let Some((first, rest)) = bytes.split_first() else { return };
    let kind = ["image/jpeg", "image/png", "video/x-vp8"][usize::from(first % 3)];
    let (Some(mut whole), Some(mut pieces)) = (Header::of(kind), Header::of(kind)) else { return };
    let size = whole.read(rest);
    if kind == "image/jpeg" {
        let length = usize::from(first / 3) + 2;
        let sizes: Vec<_> = rest.chunks(length).filter_map(|piece| pieces.read(piece)).collect();
        // A piece that begins like a picture begins another one.
        let begins = rest.chunks(length).skip(1).any(|piece| piece.starts_with(&[0xff, 0xd8]));
        assert!(begins || sizes.first() == size.as_ref(), "{size:?} in one piece, {sizes:?} in pieces of {length}");
    }
}

/// A container that may be cut off.
pub fn truncation(bytes: &[u8]) {
    Scratch::with(|scratch| {
        if let Some((length, stated)) = truncation::missing(&scratch.file("fuzz.mp4", bytes)) {
            assert!(length == bytes.len() as u64 && stated > length);
        }
    });
}
