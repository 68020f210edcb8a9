//! Converts pictures to the network's input tensors, as the analyzer does, and augmented.

use std::fs::File;
use std::path::Path;

use ndarray::Array3;
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use rayon::prelude::*;
use sha2::{Digest, Sha256};

use crate::error::{Error, Result};
use crate::inference::preprocess::Preprocessor;
use crate::onnx::build::MEAN;
use crate::onnx::resnet::INPUT_SIZE;
use crate::picture::Picture;
use crate::picture::file::read_picture;
use crate::train::augment::Augmentation;
use crate::train::dataset::Item;
use crate::train::frozen::input;

/// Side of the pictures that views are cropped from. It is larger than the input, so that crops keep some detail.
pub const SIDE: usize = INPUT_SIZE * 9 / 7;
/// Creates the views of pictures. View 0 is the analyzer's; the others depend on content, view number and seed.
#[derive(Clone, Debug)]
pub struct Views {
    pub augmentation: Augmentation,
    pub seed: u64,
}

impl Views {
    /// Returns the tensor `[3, 224, 224]` of one view. `content` identifies the picture.
    ///
    /// # Errors
    /// `Internal` if the picture cannot be resized.
    pub fn tensor(&self, picture: &Picture, content: &[u8; 32], view: usize) -> Result<Array3<f32>> {
        if view == 0 {
            return prepared(picture, INPUT_SIZE, MEAN);
        }
        self.augmented(&prepared(picture, SIDE, [0.0; 3])?, content, view)
    }

    /// Returns the tensors of the first `count` views, made on all cores. The picture is resized once for all of them.
    ///
    /// # Errors
    /// Those of [`Views::tensor`].
    pub fn tensors(&self, picture: &Picture, content: &[u8; 32], count: usize) -> Result<Vec<Array3<f32>>> {
        let plain = prepared(picture, INPUT_SIZE, MEAN)?;
        if count <= 1 {
            return Ok(vec![plain]);
        }
        let large = prepared(picture, SIDE, [0.0; 3])?;
        let augmented: Result<Vec<_>> =
            (1..count).into_par_iter().map(|view| self.augmented(&large, content, view)).collect();
        Ok(std::iter::once(plain).chain(augmented?).collect())
    }

    /// Returns an augmented view of a picture of [`SIDE`].
    fn augmented(&self, large: &Array3<f32>, content: &[u8; 32], view: usize) -> Result<Array3<f32>> {
        let mut tensor = input(INPUT_SIZE, MEAN).tensor();
        let mut seed = Sha256::new_with_prefix(content);
        seed.update(self.seed.to_le_bytes());
        seed.update((view as u64).to_le_bytes());
        let mut rng = ChaCha8Rng::from_seed(seed.finalize().into());
        let (Some(from), Some(to)) = (large.as_slice(), tensor.as_slice_mut()) else {
            return Err(Error::internal("a tensor is not contiguous"));
        };
        self.augmentation.draw(&mut rng).apply(from, SIDE, to, INPUT_SIZE);
        for (mut channel, mean) in tensor.outer_iter_mut().zip(MEAN) {
            channel -= mean;
        }
        Ok(tensor)
    }
}

/// Returns a picture's tensor `[3, side, side]`.
fn prepared(picture: &Picture, side: usize, mean: [f32; 3]) -> Result<Array3<f32>> {
    let spec = input(side, mean);
    let mut tensor = spec.tensor();
    Preprocessor::new(&spec).prepare(picture, tensor.view_mut())?;
    Ok(tensor)
}

/// Returns the SHA-256 of a file.
pub fn content(path: &Path) -> std::io::Result<[u8; 32]> {
    let mut hash = Sha256::new();
    std::io::copy(&mut File::open(path)?, &mut hash)?;
    Ok(hash.finalize().into())
}

/// Returns the tensor of one view of a picture file, for training without a store.
///
/// # Errors
/// `Input` if it cannot be read.
pub fn view_of_file(item: &Item, views: &Views, view: usize) -> Result<Array3<f32>> {
    let picture = read_picture(&item.path)?;
    let content = content(&item.path)
        .map_err(|cause| Error::input(format!("{}: cannot be read", item.path.display())).because(cause))?;
    views.tensor(&picture.view(), &content, view)
}
