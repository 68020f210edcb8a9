//! The plot of confidence over time: a line for each label, the threshold, and a strip of intervals.

mod curves;
mod draw;
mod intervals;
mod smooth;
mod strip;
mod time_axis;
mod title;
mod trace;

use std::path::Path;
use std::sync::Once;

use image::{ImageFormat, RgbImage};
use plotters::coord::Shift;
use plotters::prelude::*;
use plotters::style::FontStyle;

use crate::error::{Error, Result};
use crate::labels::palette;
use crate::report::plot::curves::Curves;
use crate::report::plot::smooth::{Enlarged, FACTOR};
use crate::report::replace;

// Only the trainer's plots use these.
#[cfg(feature = "train")]
pub(crate) use {
    draw::{pale, style},
    strip::ink_on,
};

const SIZE: (u32, u32) = (1200, 500);

/// Returns the colour of a label.
pub(crate) fn colour(labels: &[String], label: usize) -> RGBColor {
    let [red, green, blue] = palette::on_light(labels, label);
    RGBColor(red, green, blue)
}

/// Registers the embedded font with plotters.
pub(crate) fn register_font() {
    static FONT: Once = Once::new();
    FONT.call_once(|| {
        // The font is embedded and valid, so registering it cannot fail.
        let _ = plotters::style::register_font("sans-serif", FontStyle::Normal, dejavu::sans::regular());
    });
}

/// Plots the journal to a `.png` or `.svg` file. Writes to a temporary file and renames it.
///
/// # Errors
/// Returns a failure if the journal cannot be read or the plot cannot be written.
pub fn write(journal: &Path, output: &Path) -> Result<()> {
    register_font();
    let curves = Curves::read(journal, draw::COLUMNS)?;
    let failed = |cause: String| {
        Error::failed(format!("{}: the plot cannot be written", output.display()))
            .because(cause)
            .remedy("check that the folder is writable and its disk has free space")
    };
    replace(output, |part| {
        let drawn = if part.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("svg")) {
            draw::draw(&SVGBackend::new(part, SIZE).into_drawing_area(), &curves)
        } else {
            bitmap(part, SIZE, |area| draw::draw(area, &curves))
        };
        drawn.map_err(failed)
    })
}

/// A drawing area of a picture with smooth edges.
pub(crate) type BitmapArea<'a> = DrawingArea<Enlarged<BitMapBackend<'a>>, Shift>;

/// Draws into memory, and writes the picture as a PNG.
pub(crate) fn bitmap<E: ToString>(
    output: &Path,
    size: (u32, u32),
    draw: impl FnOnce(&BitmapArea) -> std::result::Result<(), E>,
) -> std::result::Result<(), String> {
    let large = (size.0 * FACTOR, size.1 * FACTOR);
    let mut pixels = RgbImage::new(large.0, large.1);
    let backend = Enlarged(BitMapBackend::with_buffer(&mut pixels, large));
    draw(&backend.into_drawing_area()).map_err(|cause| cause.to_string())?;
    let picture = image::imageops::thumbnail(&pixels, size.0, size.1);
    picture.save_with_format(output, ImageFormat::Png).map_err(|cause| cause.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::labels::REST;
    use crate::report::journal::{self, Record};

    #[test]
    fn writes_png_and_svg() {
        let folder = tempfile::tempdir().unwrap();
        let journal = folder.path().join("a.jsonl");
        journal::write_sample(&journal);
        let (png, svg) = (folder.path().join("a.png"), folder.path().join("a.svg"));
        write(&journal, &png).unwrap();
        write(&journal, &svg).unwrap();
        let picture = crate::picture::file::read_picture(&png).unwrap();
        assert_eq!((picture.width, picture.height), (1200, 500));
        let text = std::fs::read_to_string(&svg).unwrap();
        let title = "clip.mp4: cooking 0:00–0:00, drinking &lt;tea&gt; 1:02:03–1:02:03";
        for expected in [title, "threshold 0.5", "0:30:00", "h:mm:ss"] {
            assert!(text.contains(expected), "{expected}: {text}");
        }
    }

    #[test]
    fn a_label_has_its_own_colour_whichever_curves_are_drawn() {
        let folder = tempfile::tempdir().unwrap();
        let (path, svg) = (folder.path().join("a.jsonl"), folder.path().join("a.svg"));
        let Some(Record::Start(mut header)) = journal::sample().into_iter().next() else { unreachable!() };
        header.model.labels = ["a", "b", REST, "d", "e", "f", "g", "h"].map(String::from).to_vec();
        let mut records = journal::Journal::create(&path, header).unwrap();
        for i in 0..10 {
            // Six of eight labels are drawn: not the first two.
            let smoothed = vec![0.0, 0.01, 0.3, 0.1, 0.1, 0.1, 0.2, 0.19];
            let ms = f64::from(40 * i);
            records
                .append(&Record::Frame {
                    ms,
                    label: None,
                    confidence: 0.3,
                    smoothed,
                    prediction: None,
                    inferred: false,
                })
                .unwrap();
        }
        drop(records);
        write(&path, &svg).unwrap();
        let text = std::fs::read_to_string(&svg).unwrap();
        let lines = |colour: &str| text.matches(&format!("stroke=\"{colour}\"")).count();
        // `other`, d, e and f; a green one would be the third label by its place.
        let whole = ["#76827B", "#B4498A", "#5A4FCF", "#8F6A00", "#008A63"].map(lines);
        assert_eq!(whole, [1, 1, 1, 1, 0], "{text}");
        // g and h repeat the first two colours, dashed.
        assert!(["#0072B2", "#C85200"].iter().all(|colour| lines(colour) > 20), "{text}");
    }
}
