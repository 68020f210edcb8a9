//! Runs a network on labelled pictures, and on the frames of clips that `fit` would learn from: a row for each.

use ndarray::{Array3, ArrayView3};
use rayon::prelude::*;

use crate::error::{Error, Result};
use crate::inference::model::InputSpec;
use crate::inference::preprocess::Preprocessor;
use crate::inference::session::Session;
use crate::picture::Picture;
use crate::picture::file::read_picture;
use crate::shutdown::Shutdown;
use crate::train::dataset::Item;
use crate::train::features::frames;

/// Pictures in one batch.
pub const BATCH: usize = 8;

/// The network's output for one picture or frame.
pub struct NetworkRow<'a> {
    pub item: &'a Item,
    /// Time of a clip's frame in milliseconds; `None` for a picture.
    pub time: Option<u64>,
    pub values: Vec<f32>,
}

/// Reads pictures and clips, and runs a network on them.
pub struct RowReader<'a> {
    pub session: Session,
    pub input: &'a InputSpec,
    /// Milliseconds between the frames of a clip.
    pub every: u64,
    pub shutdown: &'a Shutdown,
}

impl RowReader<'_> {
    /// Returns the rows of all items, and the items that cannot be read, which are logged and skipped. `progress` gets
    /// the number of items that are done and of rows, after each batch.
    ///
    /// # Errors
    /// `Failed` on a stop, or if the network fails.
    pub fn read<'a>(
        mut self,
        items: &[&'a Item],
        progress: &dyn Fn(usize, usize),
    ) -> Result<(Vec<NetworkRow<'a>>, Vec<&'a Item>)> {
        let (clips, pictures): (Vec<&Item>, Vec<&Item>) = items.iter().partition(|item| item.clip);
        let (mut rows, mut waiting, mut unreadable) = (Vec::new(), Vec::new(), Vec::new());
        for chunk in pictures.chunks(BATCH) {
            if self.shutdown.requested() {
                break;
            }
            let read: Vec<Result<Array3<f32>>> =
                chunk.par_iter().map(|item| tensor(self.input, &read_picture(&item.path)?.view())).collect();
            for (&item, tensor) in chunk.iter().zip(read) {
                match tensor {
                    Ok(tensor) => waiting.push((item, None, tensor)),
                    Err(error) => skip(item, error, &mut unreadable),
                }
            }
            self.run(&mut waiting, &mut rows, BATCH)?;
            progress(rows.len() + unreadable.len(), rows.len());
        }
        self.run(&mut waiting, &mut rows, 1)?;
        for (done, item) in clips.into_iter().enumerate() {
            let (input, every, shutdown) = (self.input, self.every, self.shutdown);
            let result = frames(&item.path, every, shutdown, &mut |time, picture| {
                waiting.push((item, Some(time), tensor(input, picture)?));
                self.run(&mut waiting, &mut rows, BATCH)?;
                Ok(true)
            });
            if let Err(error) = result {
                skip(item, error, &mut unreadable);
            }
            progress(pictures.len() + done + 1, rows.len());
        }
        self.run(&mut waiting, &mut rows, 1)?;
        if self.shutdown.requested() {
            return Err(Error::failed("stopped while the network ran").remedy("run the same command again"));
        }
        Ok((rows, unreadable))
    }

    /// Runs the network on the pictures that wait, if they are at least `least`.
    fn run<'a>(&mut self, waiting: &mut Vec<Waiting<'a>>, rows: &mut Vec<NetworkRow<'a>>, least: usize) -> Result<()> {
        if waiting.len() < least.max(1) {
            return Ok(());
        }
        let tensors: Vec<ArrayView3<f32>> = waiting.iter().map(|(.., tensor)| tensor.view()).collect();
        let found = self.session.run_each(&tensors)?;
        let found = waiting.drain(..).zip(found.outer_iter());
        rows.extend(found.map(|((item, time, _), row)| NetworkRow { item, time, values: row.to_vec() }));
        Ok(())
    }
}

/// An item, the time in it, and the picture's tensor.
type Waiting<'a> = (&'a Item, Option<u64>, Array3<f32>);

fn skip<'a>(item: &'a Item, error: Error, unreadable: &mut Vec<&'a Item>) {
    tracing::warn!("{error}; {} is skipped", item.name);
    unreadable.push(item);
}

fn tensor(input: &InputSpec, picture: &Picture) -> Result<Array3<f32>> {
    let mut tensor = input.tensor();
    Preprocessor::new(input).prepare(picture, tensor.view_mut())?;
    Ok(tensor)
}
