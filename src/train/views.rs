//! Converts pictures to the network's input tensors, as the analyzer does, and augmented.

use std::fs::File;
use std::path::Path;

use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
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
    pub fn tensor(&self, picture: &Picture, content: &[u8; 32], view: usize) -> Result<Vec<f32>> {
        let mut tensor = vec![0.0; 3 * INPUT_SIZE * INPUT_SIZE];
        if view == 0 {
            Preprocessor::new(&input(INPUT_SIZE, MEAN)).prepare(picture, &mut tensor)?;
            return Ok(tensor);
        }
        let mut large = vec![0.0; 3 * SIDE * SIDE];
        Preprocessor::new(&input(SIDE, [0.0; 3])).prepare(picture, &mut large)?;
        let mut seed = Sha256::new_with_prefix(content);
        seed.update(self.seed.to_le_bytes());
        seed.update((view as u64).to_le_bytes());
        let mut rng = ChaCha8Rng::from_seed(seed.finalize().into());
        self.augmentation.draw(&mut rng).apply(&large, SIDE, &mut tensor, INPUT_SIZE);
        for (channel, mean) in tensor.chunks_exact_mut(INPUT_SIZE * INPUT_SIZE).zip(MEAN) {
            channel.iter_mut().for_each(|value| *value -= mean);
        }
        Ok(tensor)
    }
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
pub fn view_of_file(item: &Item, views: &Views, view: usize) -> Result<Vec<f32>> {
    let picture = read_picture(&item.path)?;
    let content = content(&item.path)
        .map_err(|cause| Error::input(format!("{}: cannot be read", item.path.display())).because(cause))?;
    views.tensor(&picture.view(), &content, view)
}
