//! Reads and writes picture files: JPEG with TurboJPEG; PNG, WebP, BMP and TIFF with the `image` crate.

use std::io::Cursor;
use std::path::Path;

use image::metadata::Orientation;
use image::{DynamicImage, ImageDecoder, RgbImage};
use turbojpeg::{Colorspace, Compressor, Decompressor, Image, PixelFormat, Subsamp};

use crate::error::{Error, Result};
use crate::picture::colorimetry::{Colorimetry, Matrix};
use crate::picture::colour::convert;
use crate::picture::opencv::{self, Interpolation, Pixels, PixelsMut};
use crate::picture::planes::{OwnedPicture, Picture, Plane};
use crate::picture::scale::shrunk;

/// JPEG quality: the lowest at which TurboJPEG uses its exact transform.
const QUALITY: i32 = 96;
/// JPEG quality of thumbnails.
const THUMBNAIL_QUALITY: i32 = 75;
/// Largest number of pixels, so that a file cannot exhaust memory. Photographs of most phones have fewer.
const DEFAULT_MAX_PIXELS: usize = 1 << 26;

/// Reads a picture file upright and in full-range BT.601, the colorimetry of JPEG. Transparency is ignored.
///
/// # Errors
/// Input if it cannot be read or decoded.
pub fn read_picture(path: &Path) -> Result<OwnedPicture> {
    let origin = path.display();
    let bytes = std::fs::read(path)
        .map_err(|cause| Error::input(format!("{origin}: cannot be read")).because(cause).remedy("check the name"))?;
    decode_picture(&bytes).map_err(|error| error.about(&origin.to_string()))
}

/// Reads a picture from the `bytes` of its file, as [`read_picture`] does.
///
/// # Errors
/// Input if it cannot be decoded.
pub fn decode_picture(bytes: &[u8]) -> Result<OwnedPicture> {
    let unreadable = || Error::input("not a picture that can be decoded").remedy("give a JPEG or PNG");
    let pixels = decode(bytes).map_err(|cause| unreadable().because(cause))?;
    from_rgb(&pixels).map_err(|cause| unreadable().because(cause))
}

fn decode(bytes: &[u8]) -> anyhow::Result<RgbImage> {
    let jpeg = bytes.starts_with(&[0xff, 0xd8]);
    let mut picture = if jpeg { decode_jpeg(bytes)?.into() } else { decode_other(bytes)? };
    picture.apply_orientation(orientation(bytes));
    Ok(picture.into_rgb8())
}

fn decode_other(bytes: &[u8]) -> anyhow::Result<DynamicImage> {
    let mut reader = image::ImageReader::new(Cursor::new(bytes)).with_guessed_format()?;
    let mut limits = image::Limits::default();
    limits.max_alloc = Some(8 * DEFAULT_MAX_PIXELS as u64);
    reader.limits(limits);
    let decoder = reader.into_decoder()?;
    let (width, height) = decoder.dimensions();
    check_size(width as usize, height as usize)?;
    Ok(DynamicImage::from_decoder(decoder)?)
}

fn check_size(width: usize, height: usize) -> anyhow::Result<()> {
    anyhow::ensure!(
        width.saturating_mul(height) <= DEFAULT_MAX_PIXELS,
        "{width}x{height} pixels, exceeding the limit of {DEFAULT_MAX_PIXELS}"
    );
    Ok(())
}

fn decode_jpeg(bytes: &[u8]) -> anyhow::Result<RgbImage> {
    let mut decompressor = Decompressor::new()?;
    let header = decompressor.read_header(bytes)?;
    let (width, height) = (header.width, header.height);
    check_size(width, height)?;
    let is_cmyk = matches!(header.colorspace, Colorspace::CMYK | Colorspace::YCCK);
    let format = if is_cmyk { PixelFormat::CMYK } else { PixelFormat::RGB };
    let mut pixels = vec![0; format.size() * width * height];
    let image = Image { pixels: &mut pixels[..], width, pitch: format.size() * width, height, format };
    decompressor.decompress(bytes, image)?;
    if is_cmyk {
        pixels =
            pixels.chunks_exact(4).flat_map(|cmyk| [0, 1, 2].map(|ink| without_black(cmyk[ink], cmyk[3]))).collect();
    }
    RgbImage::from_raw(width as u32, height as u32, pixels).ok_or_else(|| anyhow::anyhow!("it has no pixels"))
}

/// Converts an ink of CMYK and its black to a channel of RGB. JPEG stores both inverted.
fn without_black(ink: u8, black: u8) -> u8 {
    let black = i32::from(black);
    (black - (((255 - i32::from(ink)) * black) >> 8)) as u8
}

/// Returns the orientation from EXIF.
fn orientation(bytes: &[u8]) -> Orientation {
    let metadata = exif::Reader::new().read_from_container(&mut Cursor::new(bytes)).ok();
    metadata
        .and_then(|metadata| metadata.get_field(exif::Tag::Orientation, exif::In::PRIMARY)?.value.get_uint(0))
        .and_then(|number| Orientation::from_exif(u8::try_from(number).ok()?))
        .unwrap_or(Orientation::NoTransforms)
}

fn from_rgb(rgb: &RgbImage) -> opencv::Result<OwnedPicture> {
    let (width, height) = (rgb.width() as usize, rgb.height() as usize);
    let mut picture = OwnedPicture::new(width, height, Colorimetry::JPEG);
    let (kr, kb) = Matrix::Bt601.weights();
    let luma = |[r, g, b]: [u8; 3]| kr * f64::from(r) + (1.0 - kr - kb) * f64::from(g) + kb * f64::from(b);
    let half = (width.div_ceil(2), height.div_ceil(2));
    let mut small = vec![0; 3 * half.0 * half.1];
    let full = Pixels::new(rgb.as_raw(), (width, height), 3 * width, 3);
    opencv::resize(&full, &mut PixelsMut::new(&mut small, half, 3 * half.0, 3), Interpolation::Area)?;
    let [y, u, v] = picture.view_mut().planes;
    for (to, pixel) in y.data.iter_mut().zip(rgb.pixels()) {
        *to = luma(pixel.0).round() as u8;
    }
    for ((u, v), pixel) in u.data.iter_mut().zip(v.data).zip(small.as_chunks::<3>().0) {
        let luma = luma(*pixel);
        let difference = |channel: u8, weight: f64| (f64::from(channel) - luma) / (2.0 * (1.0 - weight)) + 128.0;
        *u = difference(pixel[2], kb).round().clamp(0.0, 255.0) as u8;
        *v = difference(pixel[0], kr).round().clamp(0.0, 255.0) as u8;
    }
    Ok(picture)
}

/// Encodes a picture in any colorimetry as a JPEG file.
///
/// # Errors
/// Internal if the libraries fail.
pub fn jpeg(picture: &Picture) -> Result<Vec<u8>> {
    encode(picture).map_err(|cause| Error::internal("a picture cannot be encoded").because(cause))
}

fn encode(picture: &Picture) -> anyhow::Result<Vec<u8>> {
    let (width, height) = (picture.width(), picture.height());
    let mut owned = OwnedPicture::new(width, height, Colorimetry::JPEG);
    convert(picture, &mut owned.view_mut());
    compress(&bgr(&owned)?, PixelFormat::BGR, width, height, QUALITY)
}

/// Encodes a picture as a small JPEG file that fits into `most`, width and height.
///
/// # Errors
/// Internal if the libraries fail.
pub fn thumbnail(picture: &Picture, most: (usize, usize)) -> Result<Vec<u8>> {
    reduced(picture, most, THUMBNAIL_QUALITY)
}

/// Encodes a picture as a JPEG file of this `quality` that fits into `most`, width and height.
///
/// # Errors
/// Internal if the libraries fail.
pub fn reduced(picture: &Picture, most: (usize, usize), quality: i32) -> Result<Vec<u8>> {
    let encoded = || {
        let small = shrunk(picture, most)?;
        let mut full_range = OwnedPicture::new(small.width, small.height, Colorimetry::JPEG);
        convert(&small.view(), &mut full_range.view_mut());
        compress(&bgr(&full_range)?, PixelFormat::BGR, small.width, small.height, quality)
    };
    encoded().map_err(|cause: anyhow::Error| Error::internal("a picture cannot be encoded").because(cause))
}

fn compress(pixels: &[u8], format: PixelFormat, width: usize, height: usize, quality: i32) -> anyhow::Result<Vec<u8>> {
    let mut compressor = Compressor::new()?;
    compressor.set_quality(quality);
    compressor.set_subsamp(Subsamp::Sub2x2);
    Ok(compressor.compress_to_vec(Image { pixels, width, pitch: format.size() * width, height, format })?)
}

/// Writes pixels to a file: as PNG if `png` is set, otherwise as JPEG.
///
/// # Errors
/// Failed if they cannot be encoded or written.
pub fn write(rgb: &RgbImage, png: bool, path: &Path) -> Result<()> {
    let unwritten = || Error::failed(format!("{}: cannot be written", path.display()));
    if png {
        return rgb.save_with_format(path, image::ImageFormat::Png).map_err(|cause| unwritten().because(cause));
    }
    let (width, height) = (rgb.width() as usize, rgb.height() as usize);
    let bytes =
        compress(rgb.as_raw(), PixelFormat::RGB, width, height, QUALITY).map_err(|cause| unwritten().because(cause))?;
    std::fs::write(path, bytes).map_err(|cause| unwritten().because(cause))
}

/// Writes a picture to a file: as PNG if its name ends so, otherwise as JPEG.
///
/// # Errors
/// Those of [`write`].
pub fn save(picture: &Picture, path: &Path) -> Result<()> {
    let mut owned = OwnedPicture::new(picture.width(), picture.height(), Colorimetry::JPEG);
    convert(picture, &mut owned.view_mut());
    let failed = || Error::internal("a picture cannot be encoded");
    let mut pixels = bgr(&owned).map_err(|cause| failed().because(cause))?;
    pixels.as_chunks_mut::<3>().0.iter_mut().for_each(|pixel| pixel.reverse());
    let rgb = RgbImage::from_raw(owned.width as u32, owned.height as u32, pixels).ok_or_else(failed)?;
    write(&rgb, path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("png")), path)
}

/// Converts to BGR. Chroma is scaled to full size first, which works for odd sizes too.
fn bgr(picture: &OwnedPicture) -> opencv::Result<Vec<u8>> {
    let view = picture.view();
    let (width, height) = (picture.width, picture.height);
    let plane = |index: usize| -> opencv::Result<Vec<u8>> {
        let Plane { data, stride, width: own_width, height: own_height } = view.planes[index];
        let mut full = vec![0; width * height];
        let small = Pixels::new(data, (own_width, own_height), stride, 1);
        opencv::resize(&small, &mut PixelsMut::new(&mut full, (width, height), width, 1), Interpolation::Linear)?;
        Ok(full)
    };
    let planes = [plane(0)?, plane(2)?, plane(1)?];
    let [y, cr, cb] = planes.each_ref().map(|plane| Pixels::new(plane, (width, height), width, 1));
    let mut bgr = vec![0; 3 * width * height];
    opencv::bgr(&y, &cr, &cb, &mut PixelsMut::new(&mut bgr, (width, height), 3 * width, 3))?;
    Ok(bgr)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Red above blue, twice as wide as high.
    fn flag() -> RgbImage {
        RgbImage::from_fn(64, 32, |_, y| image::Rgb(if y < 16 { [255, 0, 0] } else { [0, 0, 255] }))
    }

    fn saved(name: &str, save: impl FnOnce(&Path)) -> Result<OwnedPicture> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(name);
        save(&path);
        read_picture(&path)
    }

    /// Luma of red and of blue by BT.601.
    const RED: u8 = 76;
    const BLUE: u8 = 29;

    fn luma(picture: &OwnedPicture, x: usize, y: usize) -> u8 {
        picture.view().planes[0].row(y)[x]
    }

    #[test]
    fn lossless_files_are_read_exactly_and_transparency_is_ignored() {
        let opaque = DynamicImage::from(flag());
        let mut clear = opaque.to_rgba8();
        clear.pixels_mut().for_each(|pixel| pixel.0[3] = 9);
        for picture in [opaque.clone(), clear.into(), opaque.to_rgb16().into()] {
            let read = saved("flag.png", |path| picture.save(path).unwrap()).unwrap();
            assert_eq!((read.width, read.height, read.colorimetry), (64, 32, Colorimetry::JPEG));
            assert_eq!([luma(&read, 0, 0), luma(&read, 63, 15), luma(&read, 0, 16)], [RED, RED, BLUE]);
        }
        for name in ["flag.bmp", "flag.tiff", "flag.webp"] {
            let read = saved(name, |path| opaque.save(path).unwrap()).unwrap();
            assert_eq!([luma(&read, 5, 5), luma(&read, 5, 25)], [RED, BLUE], "{name}");
        }
    }

    /// Returns a JPEG with an EXIF segment that holds only an orientation.
    fn oriented(orientation: u8) -> Vec<u8> {
        let jpeg = compress(flag().as_raw(), PixelFormat::RGB, 64, 32, QUALITY).unwrap();
        let directory = [0, 1, 0x01, 0x12, 0, 3, 0, 0, 0, 1, 0, orientation, 0, 0, 0, 0, 0, 0];
        let segment = [&b"Exif\0\0MM\0\x2a\0\0\0\x08"[..], &directory].concat();
        [&jpeg[..2], &[0xff, 0xe1, 0, segment.len() as u8 + 2], &segment, &jpeg[2..]].concat()
    }

    #[test]
    fn exif_orientation_is_applied() {
        let read = |orientation| saved("a.jpg", |path| std::fs::write(path, oriented(orientation)).unwrap()).unwrap();
        let close = |luma: u8, wanted: u8| luma.abs_diff(wanted) < 6;
        let upright = read(1);
        assert_eq!((upright.width, upright.height), (64, 32));
        assert!(close(luma(&upright, 32, 4), RED) && close(luma(&upright, 32, 28), BLUE));
        let rotated_180 = read(3);
        assert!(close(luma(&rotated_180, 32, 4), BLUE) && close(luma(&rotated_180, 32, 28), RED));
        // The top of the file becomes the right side.
        let rotated_90 = read(6);
        assert_eq!((rotated_90.width, rotated_90.height), (32, 64));
        assert!(close(luma(&rotated_90, 4, 32), BLUE) && close(luma(&rotated_90, 28, 32), RED));
    }

    #[test]
    fn cmyk_is_converted_to_rgb() {
        // No cyan, all magenta and yellow, no black, each inverted.
        let pixels = [255, 0, 0, 255].repeat(16 * 16);
        let mut compressor = Compressor::new().unwrap();
        compressor.set_subsamp(Subsamp::None);
        let image = Image { pixels: &pixels[..], width: 16, pitch: 64, height: 16, format: PixelFormat::CMYK };
        let bytes = compressor.compress_to_vec(image).unwrap();
        let read = saved("print.jpg", |path| std::fs::write(path, bytes).unwrap()).unwrap();
        assert!(luma(&read, 8, 8).abs_diff(RED) < 4, "{}", luma(&read, 8, 8));
    }

    #[test]
    fn a_thumbnail_keeps_the_shape_and_is_never_enlarged() {
        let size = |width, height, longest| {
            let jpeg =
                thumbnail(&OwnedPicture::new(width, height, Colorimetry::JPEG).view(), (longest, longest)).unwrap();
            let header = Decompressor::new().unwrap().read_header(&jpeg).unwrap();
            (header.width, header.height)
        };
        assert_eq!([size(1920, 1080, 640), size(1080, 1920, 640)], [(640, 360), (360, 640)]);
        assert_eq!([size(99, 51, 640), size(4000, 2, 640)], [(99, 51), (640, 1)]);
    }

    #[test]
    fn a_truncated_file_is_refused_in_one_line() {
        let bytes = oriented(1);
        let cut = |len: usize| saved("cut.jpg", |path| std::fs::write(path, &bytes[..len]).unwrap()).unwrap_err();
        for len in [1, 20, bytes.len() / 2] {
            let line = cut(len).to_string();
            assert!(line.contains("cut.jpg: not a picture that can be decoded") && !line.contains('\n'), "{line}");
        }
    }
}
