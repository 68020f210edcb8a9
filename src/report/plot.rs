//! The plot of confidence over time: a line for each label, the threshold, and shaded intervals.

use std::path::Path;
use std::sync::Once;

use image::{ImageFormat, RgbImage};
use plotters::coord::Shift;
use plotters::prelude::*;
use plotters::style::FontStyle;

use crate::error::{Error, Result};
use crate::labels::palette;
use crate::report::journal::{self, Header, IntervalRecord, Record};
use crate::report::replace;

const SIZE: (u32, u32) = (1200, 500);
/// Maximum points of a line: two for each column of the plot.
const MAX_POINTS: usize = 2400;
/// The colours of labels.
pub(crate) const COLOURS: [RGBColor; palette::COUNT] = {
    let mut colours = [BLACK; palette::COUNT];
    let mut label = 0;
    while label < palette::COUNT {
        let [r, g, b] = palette::ON_LIGHT[label];
        colours[label] = RGBColor(r, g, b);
        label += 1;
    }
    colours
};
/// Maximum number of lines; more would hide each other. The labels with the highest peaks are drawn.
const MAX_LINES: usize = COLOURS.len();

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
    let curves = Curves::read(journal)?;
    let failed = |cause: String| {
        Error::failed(format!("{}: the plot cannot be written", output.display()))
            .because(cause)
            .remedy("check that the folder is writable and its disk has free space")
    };
    replace(output, |part| {
        let drawn = if part.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("svg")) {
            draw(&SVGBackend::new(part, SIZE).into_drawing_area(), &curves)
        } else {
            bitmap(part, SIZE, |area| draw(area, &curves))
        };
        drawn.map_err(failed)
    })
}

/// Draws into memory, and writes the picture as a PNG.
pub(crate) fn bitmap<E: ToString>(
    output: &Path,
    size: (u32, u32),
    draw: impl FnOnce(&DrawingArea<BitMapBackend, Shift>) -> std::result::Result<(), E>,
) -> std::result::Result<(), String> {
    let mut pixels = RgbImage::new(size.0, size.1);
    draw(&BitMapBackend::with_buffer(&mut pixels, size).into_drawing_area()).map_err(|cause| cause.to_string())?;
    pixels.save_with_format(output, ImageFormat::Png).map_err(|cause| cause.to_string())
}

/// The data of the plot, with at most [`MAX_POINTS`] points a line for a run of any length. Times in seconds.
struct Curves {
    header: Header,
    end: f64,
    /// For each bucket of time, its mean time and the labels' mean confidences.
    points: Vec<(f64, Vec<f64>)>,
    intervals: Vec<(f64, f64, usize)>,
    /// Indices of the labels that are drawn.
    drawn: Vec<usize>,
}

impl Curves {
    fn read(path: &Path) -> Result<Self> {
        let (mut header, mut frames, mut end) = (None, 0_u64, 0.0_f64);
        for record in journal::read(path)? {
            match record? {
                Record::Start(start) => header = Some(start),
                Record::Frame { ms, .. } => {
                    frames += 1;
                    end = end.max(ms);
                }
                Record::Interval(interval) => end = end.max(interval.end),
                Record::Gap { .. } | Record::Lost { .. } | Record::End { .. } => {}
            }
        }
        let header: Header = header.ok_or_else(|| Error::internal(format!("{}: has no first line", path.display())))?;
        let label_count = header.model.labels.len();
        let width = if frames as usize > MAX_POINTS { end / MAX_POINTS as f64 } else { 0.0 };
        let mut points: Vec<(f64, Vec<f64>)> = Vec::new();
        let (mut bucket, mut sums, mut count, mut time) = (None, vec![0.0; label_count], 0.0, 0.0);
        let mut peaks = vec![0.0_f64; label_count];
        let mut intervals = Intervals { list: Vec::new(), pixel: end / 1000.0 / f64::from(SIZE.0) };
        for record in journal::read(path)? {
            match record? {
                Record::Frame { ms, smoothed, .. } => {
                    // In a short run every frame is one point.
                    let of_frame = (width > 0.0).then(|| ((ms / width) as usize).min(MAX_POINTS - 1));
                    if count > 0.0 && (of_frame.is_none() || of_frame != bucket) {
                        points.push((time / count, sums.iter().map(|sum| sum / count).collect()));
                        (sums, count, time) = (vec![0.0; label_count], 0.0, 0.0);
                    }
                    bucket = of_frame;
                    count += 1.0;
                    time += ms / 1000.0;
                    for (label, value) in smoothed.into_iter().enumerate().take(label_count) {
                        sums[label] += value;
                        peaks[label] = peaks[label].max(value);
                    }
                }
                Record::Interval(interval) => intervals.push(&interval, &header.model.labels),
                _ => {}
            }
        }
        if count > 0.0 {
            points.push((time / count, sums.iter().map(|sum| sum / count).collect()));
        }
        let mut drawn: Vec<usize> = (0..label_count).collect();
        drawn.sort_by(|&a, &b| peaks[b].total_cmp(&peaks[a]));
        drawn.truncate(MAX_LINES);
        drawn.sort_unstable();
        Ok(Self { header, end: (end / 1000.0).max(0.001), points, intervals: intervals.list, drawn })
    }

    fn colour(&self, label: usize) -> Option<RGBColor> {
        self.drawn.iter().position(|&drawn| drawn == label).map(|index| COLOURS[index])
    }
}

/// Intervals to shade. Those of one label that are less than a pixel apart are joined.
struct Intervals {
    list: Vec<(f64, f64, usize)>,
    /// The width of a pixel, in seconds.
    pixel: f64,
}

impl Intervals {
    fn push(&mut self, interval: &IntervalRecord, labels: &[String]) {
        let Some(label) = labels.iter().position(|name| *name == interval.label) else { return };
        let (start, end) = (interval.start / 1000.0, interval.end / 1000.0);
        match self.list.last_mut() {
            Some(last) if last.2 == label && start - last.1 < self.pixel => last.1 = end,
            _ => self.list.push((start, end, label)),
        }
    }
}

/// Height of the strip above the chart, with title and legend.
const STRIP: i32 = 44;
/// Length of the line before a legend's text, and space after the text, in pixels.
const LEGEND_LINE: i32 = 26;
const LEGEND_SPACE: i32 = 22;

fn draw<B: DrawingBackend>(area: &DrawingArea<B, Shift>, curves: &Curves) -> Result<(), String> {
    let message = |cause: DrawingAreaErrorKind<B::ErrorType>| cause.to_string();
    area.fill(&WHITE).map_err(message)?;
    let (strip, chart) = area.split_vertically(STRIP);
    draw_strip(&strip, curves).map_err(message)?;
    draw_chart(&chart, curves).map_err(message)?;
    area.present().map_err(message)
}

/// Draws the title on the left and the legend on the right.
fn draw_strip<B: DrawingBackend>(
    strip: &DrawingArea<B, Shift>,
    curves: &Curves,
) -> Result<(), DrawingAreaErrorKind<B::ErrorType>> {
    let Curves { header, drawn, .. } = curves;
    let name = Path::new(&header.input).file_name().unwrap_or_default().to_string_lossy();
    let title = match &header.action {
        Some(action) => format!("{name}: looking for \"{action}\""),
        None => name.into_owned(),
    };
    strip.draw(&Text::new(title, (16, 14), ("sans-serif", 20)))?;
    let text = TextStyle::from(("sans-serif", 16)).color(&BLACK);
    let mut entries: Vec<(String, Option<RGBColor>)> =
        drawn.iter().map(|&label| (header.model.labels[label].clone(), curves.colour(label))).collect();
    if header.threshold > 0.0 {
        entries.push((format!("threshold {}", header.threshold), None));
    }
    let mut right = SIZE.0 as i32 - 8;
    for (word, colour) in entries.into_iter().rev() {
        let (width, _) = strip.estimate_text_size(&word, &text)?;
        let left = right - LEGEND_SPACE - width as i32;
        strip.draw(&Text::new(word, (left, 16), text.clone()))?;
        let from = left - LEGEND_LINE - 6;
        match colour {
            Some(colour) => {
                strip.draw(&PathElement::new([(from, 23), (from + LEGEND_LINE, 23)], colour.stroke_width(4)))?;
            }
            None => {
                for dash in [from, from + 10, from + 20] {
                    strip.draw(&PathElement::new([(dash, 23), (dash + 6, 23)], BLACK.stroke_width(2)))?;
                }
            }
        }
        right = from;
    }
    Ok(())
}

fn draw_chart<B: DrawingBackend>(
    area: &DrawingArea<B, Shift>,
    curves: &Curves,
) -> Result<(), DrawingAreaErrorKind<B::ErrorType>> {
    let mut chart = ChartBuilder::on(area)
        .margin_left(12)
        .margin_right(20)
        .margin_bottom(8)
        .x_label_area_size(44)
        .y_label_area_size(60)
        .build_cartesian_2d(0.0..curves.end, 0.0..1.0)?;
    chart.draw_series(curves.intervals.iter().filter_map(|&(start, end, label)| {
        let colour = curves.colour(label)?;
        Some(Rectangle::new([(start, 0.0), (end, 1.0)], colour.mix(0.14).filled()))
    }))?;
    let digits = [20.0, 2.0, 0.2].iter().filter(|&&limit| curves.end < limit).count();
    chart
        .configure_mesh()
        .x_desc("time (s)")
        .y_desc("confidence")
        .label_style(("sans-serif", 15))
        .axis_desc_style(("sans-serif", 16))
        .light_line_style(TRANSPARENT)
        .bold_line_style(BLACK.mix(0.12))
        .x_labels(12)
        .y_labels(6)
        .x_label_formatter(&|value| format!("{value:.digits$}"))
        .y_label_formatter(&|value| format!("{value:.1}"))
        .draw()?;
    for &label in &curves.drawn {
        let Some(colour) = curves.colour(label) else { continue };
        let line = curves.points.iter().map(|(time, values)| (*time, values[label]));
        chart.draw_series(LineSeries::new(line, colour.stroke_width(3)))?;
        if let [(time, values)] = curves.points.as_slice() {
            chart.draw_series([Circle::new((*time, values[label]), 4, colour.filled())])?;
        }
    }
    let threshold = curves.header.threshold;
    if threshold > 0.0 {
        let line = [(0.0, threshold), (curves.end, threshold)];
        chart.draw_series(DashedLineSeries::new(line, 8, 6, BLACK.stroke_width(2)))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_run_is_drawn_with_few_points() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("long.jsonl");
        let mut records = journal::sample().into_iter();
        let Some(Record::Start(header)) = records.next() else { unreachable!() };
        let mut journal = journal::Journal::create(&path, header).unwrap();
        for i in 0..20_000 {
            let value = f64::from(i % 2);
            let record =
                Record::Frame { ms: f64::from(40 * i), label: None, confidence: value, smoothed: vec![value, 0.25] };
            journal.append(&record).unwrap();
        }
        let curves = Curves::read(&path).unwrap();
        assert!((MAX_POINTS - 1..=MAX_POINTS + 1).contains(&curves.points.len()), "{}", curves.points.len());
        assert!(curves.points.iter().all(|(_, values)| (values[0] - 0.5).abs() < 0.07 && values[1] == 0.25));
    }

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
        assert!(text.contains("threshold 0.5") && text.contains("drinking &lt;tea&gt;"), "{text}");
    }
}
