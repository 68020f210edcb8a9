//! `livelabel-train preview`: writes a sheet of pictures and their augmented views.

use std::path::Path;

use image::RgbImage;

use ndarray::Array3;

use crate::error::{Error, Result};
use crate::onnx::build::MEAN;
use crate::onnx::resnet::INPUT_SIZE;
use crate::picture::file::{self, read_picture};
use crate::picture::opencv::{self, PixelsMut, TextStyle};
use crate::report::replace;
use crate::train::dataset::{Dataset, Item};
use crate::train::views::{Views, content};

/// Pictures of each class, and views of each picture.
const PICTURES: usize = 3;
const VIEWS: usize = 6;
/// White space between the views, in pixels.
const GAP: usize = 4;

/// A row of the sheet: a picture's views, with its class' name.
struct Row<'a> {
    label: &'a str,
    views: Vec<Array3<f32>>,
}

/// Writes a PNG or JPEG with one row for each of some pictures of every class: the picture, then augmented views.
///
/// # Errors
/// `Usage` if the file's name has another extension; `Input` if a class has no readable picture; `Failed` if the sheet
/// cannot be written.
pub fn write(data: &Dataset, views: &Views, output: &Path) -> Result<()> {
    let ending = output.extension().and_then(|ending| ending.to_str()).unwrap_or_default().to_ascii_lowercase();
    if !["png", "jpg", "jpeg"].contains(&ending.as_str()) {
        return Err(Error::usage(format!("{}: unknown picture format", output.display()))
            .remedy("give a name that ends in .png or .jpg"));
    }
    let mut rows: Vec<Row> = Vec::new();
    for (class, label) in data.labels.iter().enumerate() {
        let pictures: Vec<&Item> = data.items.iter().filter(|item| item.class == class && !item.clip).collect();
        let spread = pictures.iter().step_by((pictures.len() / PICTURES).max(1));
        let before = rows.len();
        rows.extend(spread.filter_map(|item| Some(Row { label, views: row(item, views).ok()? })).take(PICTURES));
        if rows.len() == before {
            return Err(Error::input(format!("class {label} has no readable picture"))
                .remedy("add pictures; `livelabel frames` extracts them from clips"));
        }
    }
    let drawn = |cause| Error::failed(format!("{}: cannot be written", output.display())).because(cause);
    let rgb = sheet(&rows).map_err(drawn)?;
    replace(output, |part| file::write(&rgb, ending == "png", part))
}

fn row(item: &Item, views: &Views) -> Result<Vec<Array3<f32>>> {
    let picture = read_picture(&item.path)?;
    let content = content(&item.path).map_err(|cause| Error::input(item.name.clone()).because(cause))?;
    (0..VIEWS).map(|view| views.tensor(&picture.view(), &content, view)).collect()
}

fn sheet(rows: &[Row]) -> opencv::Result<RgbImage> {
    let step = INPUT_SIZE + GAP;
    let (height, width) = (rows.len() * step - GAP, VIEWS * step - GAP);
    let mut sheet = RgbImage::from_pixel(width as u32, height as u32, image::Rgb([255; 3]));
    for (row, Row { label, views }) in rows.iter().enumerate() {
        for (column, view) in views.iter().enumerate() {
            for index in 0..INPUT_SIZE * INPUT_SIZE {
                let (y, x) = (index / INPUT_SIZE, index % INPUT_SIZE);
                let pixel = sheet.get_pixel_mut((column * step + x) as u32, (row * step + y) as u32);
                // Tensors hold blue first.
                for (channel, mean) in MEAN.into_iter().enumerate() {
                    pixel.0[2 - channel] = (view[[channel, y, x]] + mean).round().clamp(0.0, 255.0) as u8;
                }
            }
        }
        // White text with a black outline is readable on any picture.
        for (grey, thickness) in [(0, 4), (255, 1)] {
            let style = TextStyle { scale: 0.5, thickness, grey, smooth: true };
            let mut pixels = PixelsMut::new(&mut sheet, (width, height), 3 * width, 3);
            opencv::text(&mut pixels, label, (4, (row * step + 16) as i32), style)?;
        }
    }
    Ok(sheet)
}
