//! `livelabel-train preview`: a sheet of what the network gets to see.

use std::path::Path;

use opencv::core::{CV_8UC3, Mat, MatTrait, Vec3b, Vector};
use opencv::imgcodecs;

use crate::error::{Error, Result};
use crate::inference::preprocess::read_picture;
use crate::onnx::build::MEAN;
use crate::onnx::resnet::INPUT_SIZE;
use crate::report::replace;
use crate::train::dataset::{Dataset, Item};
use crate::train::views::{Views, content};

/// Pictures of each class, and views of each.
const PICTURES: usize = 3;
const VIEWS: usize = 6;
/// White between the views, in pixels.
const GAP: usize = 4;

/// Writes a PNG: a row for each of some pictures of every class, first itself, then varied views.
///
/// # Errors
/// Input, where a class has no readable picture; failed, where the sheet cannot be written.
pub fn write(data: &Dataset, views: &Views, output: &Path) -> Result<()> {
    let mut rows: Vec<Vec<Vec<f32>>> = Vec::new();
    for (class, label) in data.labels.iter().enumerate() {
        let pictures: Vec<&Item> = data.items.iter().filter(|item| item.class == class && !item.clip).collect();
        let spread = pictures.iter().step_by((pictures.len() / PICTURES).max(1));
        let before = rows.len();
        rows.extend(spread.filter_map(|item| row(item, views).ok()).take(PICTURES));
        if rows.len() == before {
            return Err(Error::input(format!("class {label} has no readable picture"))
                .remedy("give pictures; `livelabel frames` takes them out of clips"));
        }
    }
    let drawn = |cause| Error::failed(format!("{}: cannot be drawn", output.display())).because(cause);
    let sheet = sheet(&rows).map_err(drawn)?;
    replace(output, |part| {
        let written = imgcodecs::imwrite(part, &sheet, &Vector::new()).map_err(drawn)?;
        if written { Ok(()) } else { Err(Error::failed(format!("{}: cannot be written", output.display()))) }
    })
}

fn row(item: &Item, views: &Views) -> Result<Vec<Vec<f32>>> {
    let picture = read_picture(&item.path)?;
    let content = content(&item.path).map_err(|cause| Error::input(item.name.clone()).because(cause))?;
    (0..VIEWS).map(|view| views.tensor(&picture.view(), &content, view)).collect()
}

fn sheet(rows: &[Vec<Vec<f32>>]) -> opencv::Result<Mat> {
    let step = INPUT_SIZE + GAP;
    let (height, width) = (rows.len() * step - GAP, VIEWS * step - GAP);
    let white = opencv::core::Scalar::all(255.0);
    let mut sheet = Mat::new_rows_cols_with_default(height as i32, width as i32, CV_8UC3, white)?;
    for (row, views) in rows.iter().enumerate() {
        for (column, view) in views.iter().enumerate() {
            for place in 0..INPUT_SIZE * INPUT_SIZE {
                let (y, x) = (place / INPUT_SIZE, place % INPUT_SIZE);
                let pixel = sheet.at_2d_mut::<Vec3b>((row * step + y) as i32, (column * step + x) as i32)?;
                for (channel, mean) in MEAN.into_iter().enumerate() {
                    pixel[channel] =
                        (view[channel * INPUT_SIZE * INPUT_SIZE + place] + mean).round().clamp(0.0, 255.0) as u8;
                }
            }
        }
    }
    Ok(sheet)
}
