//! Feature extraction: runs the frozen layers once over all pictures and stores each view's output as a row.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crossbeam_channel::{Sender, bounded};
use ndarray::{Array3, ArrayView3};
use rayon::prelude::*;
use sha2::{Digest, Sha256};
use tch::{Device, Tensor};

use crate::error::{Error, Result};
use crate::media::clip_decoder::{ClipDecoder, ClipEvent};
use crate::media::limits::Limits;
use crate::onnx::build::FreezePoint;
use crate::onnx::weights::Weights;
use crate::picture::Picture;
use crate::picture::file::read_picture;
use crate::shutdown::Shutdown;
use crate::system::words::count;
use crate::train::dataset::Dataset;
use crate::train::feature_cache::{Entry, FeatureCache, RowFormat, check_limit, row_bytes};
use crate::train::frozen::{BATCH, FrozenLayers};
use crate::train::views::{SIDE, Views};

/// Pictures decoded at once, on all cores.
const READ: usize = 16;
/// Version of the rows' format. Increase it when the meaning of a row changes.
const VERSION: u32 = 2;

/// Returns the length of a row for `cut`, and its storage format.
pub fn row(cut: FreezePoint) -> (usize, RowFormat) {
    let format = match cut {
        FreezePoint::Pooled(_) => RowFormat::Float,
        FreezePoint::Before(_) => RowFormat::Half,
    };
    (cut.shape().iter().product(), format)
}

/// Converts rows to the tensor that the trained layers take.
pub fn tensor(cut: FreezePoint, values: &[f32], device: Device) -> Tensor {
    let shape: Vec<i64> = std::iter::once(-1).chain(cut.shape().into_iter().map(|dim| dim as i64)).collect();
    Tensor::from_slice(values).view(shape.as_slice()).to_device(device)
}

/// One picture or frame, with its rows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sample {
    /// Index into the dataset's items.
    pub item: usize,
    /// Time in the clip, in milliseconds.
    pub time: u64,
    pub first_row: usize,
    pub views: usize,
}

/// The parameters of one pass over the pictures.
pub struct Pass<'a> {
    pub data: &'a Dataset,
    /// SHA-256 of each item's file; nothing if it cannot be read.
    pub contents: &'a [Option<[u8; 32]>],
    /// Minimum number of views of each item.
    pub views_of: &'a [usize],
    /// Maximum number of views of any item: stored rows with that many views are reused, such as those of another
    /// split.
    pub most: usize,
    pub views: &'a Views,
    pub cut: FreezePoint,
    /// Milliseconds between the frames of a clip.
    pub every: u64,
    /// Maximum size of the store in bytes.
    pub limit: u64,
}

/// Returns the folder of the store for this backbone, cut and these views. `engine` names library and precision: their
/// features differ in the last digits, and a training on a mixture could not be repeated.
pub fn folder(cache: &Path, weights: &Weights, cut: FreezePoint, engine: &str, views: &Views) -> PathBuf {
    let mut hash = Sha256::new();
    let mut names: Vec<_> = weights.iter().collect();
    names.sort_by_key(|(name, _)| *name);
    for (name, weight) in names {
        hash.update(name);
        for value in &weight.values {
            hash.update(value.to_le_bytes());
        }
    }
    hash.update(format!("{VERSION} {cut:?} {engine} {views:?} {SIDE} {}", weights.epsilon));
    let name: String = hash.finalize().iter().take(8).map(|byte| format!("{byte:02x}")).collect();
    cache.join(name)
}

/// Returns the bytes needed for the rows of all pictures. Clips are not included: their number of frames is unknown.
pub fn needed(pass: &Pass) -> u64 {
    let (length, format) = row(pass.cut);
    let pictures = pass.data.items.iter().zip(pass.views_of).filter(|(item, _)| !item.clip);
    let rows: usize = pictures.map(|(_, views)| views).sum();
    (rows * row_bytes(length, format)) as u64
}

/// How far the features are computed.
#[derive(Clone, Copy, Debug)]
pub struct Extraction {
    /// Files done, and those to do.
    pub done: usize,
    pub all: usize,
    /// Rows computed so far. Their total is unknown if there are clips.
    pub rows: usize,
    /// Estimated share of the work that is done.
    pub share: f64,
}

impl Extraction {
    fn finished(&mut self, share: f64) {
        self.done += 1;
        self.share = (self.share + share).min(1.0);
    }
}

/// What the reader thread sends to the network.
enum Extracted {
    View(Array3<f32>),
    Done { item: usize, key: String, times: Vec<u64> },
    Failed { item: usize, error: Error },
}

/// Computes all rows that the store lacks. Returns the samples of all items, ordered by item and time, and the number
/// of unreadable items.
///
/// `progress` is called after each batch. Unreadable items are logged and skipped.
///
/// # Errors
/// `Failed` if the store cannot be written, or on a requested stop.
pub fn compute(
    pass: &Pass,
    frozen: &mut FrozenLayers,
    store: &mut FeatureCache,
    shutdown: &Shutdown,
    progress: &dyn Fn(&Extraction),
) -> Result<(Vec<Sample>, usize)> {
    let found = |store: &FeatureCache, index: usize| {
        let content = pass.contents[index]?;
        let entry = |views| store.entry(&key_of(&content, pass, index, views)).cloned();
        entry(pass.views_of[index]).or_else(|| entry(pass.most))
    };
    let missing: Vec<usize> = (0..pass.data.items.len()).filter(|&index| found(store, index).is_none()).collect();
    // The time that a file takes is taken to be in proportion to its size and its views.
    let effort = |index: usize| {
        let bytes = std::fs::metadata(&pass.data.items[index].path).map_or(0, |file| file.len());
        bytes as f64 * pass.views_of[index] as f64
    };
    let effort: BTreeMap<usize, f64> = missing.iter().map(|&index| (index, effort(index))).collect();
    let efforts: f64 = effort.values().sum();
    let mut extraction = Extraction { done: 0, all: missing.len(), rows: 0, share: 0.0 };
    let before = store.count();
    let (sender, extracted) = bounded(4 * BATCH);
    let mut unreadable = 0;
    std::thread::scope(|scope| -> Result<()> {
        let missing = &missing;
        let reader = scope.spawn(move || read(pass, missing, &sender, shutdown));
        let (mut waiting, mut done) = (Vec::new(), Vec::new());
        let mut row = store.count();
        for message in &extracted {
            match message {
                Extracted::View(tensor) => {
                    waiting.push(tensor);
                    if waiting.len() == BATCH {
                        flush(&mut waiting, frozen, store)?;
                    }
                    row += 1;
                }
                Extracted::Done { item, key, times } => {
                    let rows = pass.views_of[item] * times.len();
                    done.push((row, item, Entry { key, first_row: row - rows, views: pass.views_of[item], times }));
                }
                Extracted::Failed { item, error } => {
                    tracing::warn!("{error}; {} is skipped", pass.data.items[item].name);
                    unreadable += 1;
                    extraction.finished(effort[&item] / efforts);
                }
            }
            check_limit(store.bytes(), pass.limit)?;
            let there = store.count();
            for (_, item, entry) in done.extract_if(.., |(end, ..)| *end <= there) {
                store.finish(entry)?;
                extraction.finished(effort[&item] / efforts);
            }
            if before + extraction.rows < there {
                extraction.rows = there - before;
                progress(&extraction);
            }
        }
        flush(&mut waiting, frozen, store)?;
        for (.., entry) in done {
            store.finish(entry)?;
        }
        drop(extracted);
        reader.join().map_err(|_| Error::internal("the reader thread panicked"))
    })?;
    if shutdown.requested() {
        return Err(Error::failed("stopped while computing features")
            .remedy("run the same command again; computed features are kept"));
    }
    let mut samples = Vec::new();
    for item in 0..pass.data.items.len() {
        let Some(entry) = found(store, item) else { continue };
        for (index, &time) in entry.times.iter().enumerate() {
            samples.push(Sample { item, time, first_row: entry.first_row + index * entry.views, views: entry.views });
        }
    }
    Ok((samples, unreadable))
}

fn key_of(content: &[u8; 32], pass: &Pass, item: usize, views: usize) -> String {
    let hex: String = content.iter().map(|byte| format!("{byte:02x}")).collect();
    let every = if pass.data.items[item].clip { format!(" every {}", pass.every) } else { String::new() };
    format!("{hex} {views} views{every}")
}

fn flush(waiting: &mut Vec<Array3<f32>>, frozen: &mut FrozenLayers, store: &mut FeatureCache) -> Result<()> {
    if waiting.is_empty() {
        return Ok(());
    }
    let pictures: Vec<ArrayView3<f32>> = waiting.iter().map(Array3::view).collect();
    let rows = frozen.run(&pictures)?;
    waiting.clear();
    store.append(&rows)
}

/// Reads the items in order: pictures in parallel, clips one at a time.
fn read(pass: &Pass, missing: &[usize], extracted: &Sender<Extracted>, shutdown: &Shutdown) {
    for chunk in missing.chunks(READ) {
        let read: Vec<Option<Result<Vec<Array3<f32>>>>> = chunk
            .par_iter()
            .map(|&index| (!pass.data.items[index].clip).then(|| views_of_picture(pass, index)))
            .collect();
        for (&index, read) in chunk.iter().zip(read) {
            if shutdown.requested() {
                return;
            }
            let content = pass.contents[index].unwrap_or_default();
            let result = match read {
                Some(views) => views.map(|views| {
                    for view in views {
                        let _ = extracted.send(Extracted::View(view));
                    }
                    vec![0]
                }),
                None => clip(pass, index, &content, extracted, shutdown),
            };
            // The receiver is dropped early only if the store failed.
            let sent = match result {
                Ok(times) => {
                    let key = key_of(&content, pass, index, pass.views_of[index]);
                    extracted.send(Extracted::Done { item: index, key, times })
                }
                Err(error) => extracted.send(Extracted::Failed { item: index, error }),
            };
            if sent.is_err() {
                return;
            }
        }
    }
}

fn views_of_picture(pass: &Pass, index: usize) -> Result<Vec<Array3<f32>>> {
    let path = &pass.data.items[index].path;
    let content = pass.contents[index].ok_or_else(|| {
        Error::input(format!("{}: cannot be read", path.display())).remedy("check that you may read it")
    })?;
    pass.views.tensors(&read_picture(path)?.view(), &content, pass.views_of[index])
}

/// Sends the views of a clip's frames, one frame every `pass.every` milliseconds. Returns their times. If the clip
/// breaks off, the frames before count.
fn clip(
    pass: &Pass,
    index: usize,
    content: &[u8; 32],
    extracted: &Sender<Extracted>,
    shutdown: &Shutdown,
) -> Result<Vec<u64>> {
    let path = &pass.data.items[index].path;
    let mut times = Vec::new();
    frames(path, pass.every, shutdown, &mut |time, picture| {
        // A frame's identity is its clip and its time.
        let mut identity = Sha256::new_with_prefix(content);
        identity.update(time.to_le_bytes());
        let identity = identity.finalize().into();
        for view in pass.views.tensors(picture, &identity, pass.views_of[index])? {
            let _ = extracted.send(Extracted::View(view));
        }
        times.push(time);
        Ok(true)
    })?;
    if shutdown.requested() {
        return Err(Error::failed(format!("{}: stopped", path.display())));
    }
    Ok(times)
}

/// Passes a clip's frames with their times in milliseconds to `take`, one frame every `every` milliseconds, until it
/// returns false. Logs a warning if the clip breaks off.
///
/// # Errors
/// `Input` if the clip has no decodable frame; the errors of `take`.
pub fn frames(
    path: &Path,
    every: u64,
    shutdown: &Shutdown,
    take: &mut dyn FnMut(u64, &Picture) -> Result<bool>,
) -> Result<()> {
    let mut source = ClipDecoder::open(path, Limits::default(), &|| shutdown.requested())?;
    source.play()?;
    let (mut due, mut taken) = (0, 0);
    while !shutdown.requested() {
        let frame = match source.next(Duration::from_millis(100)) {
            None => continue,
            Some(ClipEvent::End) if taken > 0 => return Ok(()),
            Some(ClipEvent::End) => {
                return Err(Error::input(format!("{}: has no decodable frame", path.display())));
            }
            Some(ClipEvent::Failed(error)) if taken == 0 => return Err(error),
            Some(ClipEvent::Failed(error)) => {
                tracing::warn!("{error}; using the {} before", count(taken, "frame"));
                return Ok(());
            }
            Some(ClipEvent::Frame(frame)) => frame,
        };
        let time = frame.pts / 1_000_000;
        if time < due || frame.damaged {
            continue;
        }
        due = (time / every + 1) * every;
        taken += 1;
        if !take(time, &frame.picture())? {
            return Ok(());
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::onnx::resnet::Stage;
    use crate::system::locate;
    use crate::train::augment::AugmentationPreset;

    #[test]
    fn features_of_another_engine_precision_or_cut_are_not_reused() {
        let weights = Weights::read(&locate::find(".deps/resnet50").unwrap()).unwrap();
        let views = Views { augmentation: AugmentationPreset::Strong.augmentation(), seed: 1 };
        let folder = |cut, engine: &str| folder(Path::new("cache"), &weights, cut, engine, &views);
        let stage4 = FreezePoint::Before(Stage::Fourth);
        let names = [
            folder(stage4, "openvino in bf16"),
            folder(stage4, "openvino in fp32"),
            folder(stage4, "cpu in fp32"),
            folder(FreezePoint::Before(Stage::Third), "openvino in bf16"),
        ];
        let distinct: std::collections::BTreeSet<_> = names.iter().collect();
        assert_eq!(distinct.len(), names.len());
        assert_eq!(names[0], folder(stage4, "openvino in bf16"));
    }
}
