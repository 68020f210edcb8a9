//! Properties of adaptive sampling on tracks of predictions: cuts, ramps and noise.

use crate::labels::rule::LabelRule;
use crate::labels::sampling::{IN_FLIGHT, Plan, STRICTNESS, Sample, replay, replay_forwards};
use crate::labels::window::{SmoothingWindow, WindowAlign};
use crate::picture::LumaGrid;

/// Nanoseconds of a frame.
const FRAME: u64 = 40_000_000;

struct Run {
    samples: Vec<Sample>,
    most_held: usize,
}

impl Run {
    fn analysed(&self) -> usize {
        self.samples.iter().filter(|sample| sample.analysed).count()
    }
}

fn rule(window: usize, align: WindowAlign, hysteresis: f64) -> LabelRule {
    let window = SmoothingWindow::Predictions(window);
    LabelRule { action: None, window, align, threshold: 0.0, hysteresis }
}

fn plan(rule: &LabelRule, held: usize) -> Plan {
    rule.sampling_plan(25.0, held, STRICTNESS)
}

/// Samples a track. Results of the grid are `waiting` frames of the grid late.
fn sample(
    rule: &LabelRule,
    plan: Plan,
    track: &[Vec<f32>],
    pictures: impl Fn(usize) -> LumaGrid,
    waiting: usize,
) -> Run {
    let frames = (0..track.len()).map(|number| (number as u64 * FRAME, pictures(number)));
    let sampler = rule.sampler(track[0].len(), plan);
    let (samples, most_held) = replay(sampler, frames, |number| track[number].clone(), waiting);
    Run { samples, most_held }
}

fn labels<'a>(rule: &LabelRule, predictions: impl Iterator<Item = &'a Vec<f32>>) -> Vec<usize> {
    let mut labeler = rule.labeler(3, usize::MAX);
    for (number, prediction) in predictions.enumerate() {
        let pts = number as u64 * FRAME;
        labeler.push(Some(prediction.clone()), pts, pts + FRAME);
    }
    std::iter::from_fn(|| labeler.next(true).map(|output| output.decision.label)).collect()
}

/// Deterministic random numbers from 0 to 1.
struct Random(u64);

impl Random {
    fn next(&mut self) -> f32 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 40) as f32 / (1 << 24) as f32
    }
}

/// Scenes of 2 to 10 s. In each, the prediction drifts from one point to another, with noise; between them are cuts.
fn scenes(seed: u64, frames: usize, noise: f32) -> Vec<Vec<f32>> {
    let mut random = Random(seed);
    let mut track = Vec::new();
    while track.len() < frames {
        let length = 50 + (200.0 * random.next()) as usize;
        let label = (3.0 * random.next()) as usize % 3;
        let [from, to] = [0.6 + 0.4 * random.next(), 0.6 + 0.4 * random.next()];
        for i in 0..length {
            let sure = from + (to - from) * i as f32 / length as f32 + noise * (random.next() - 0.5);
            let sure = sure.clamp(0.34, 1.0);
            track.push((0..3).map(|other| if other == label { sure } else { (1.0 - sure) / 2.0 }).collect());
        }
    }
    track.truncate(frames);
    track
}

/// The picture of each frame, brighter or darker after each cut, with noise.
fn cuts(track: &[Vec<f32>]) -> impl Fn(usize) -> LumaGrid {
    let label = |row: &Vec<f32>| row.iter().position(|&value| value == row.iter().copied().fold(0.0, f32::max));
    let mut level = 20;
    let levels: Vec<u8> = (0..track.len())
        .map(|i| {
            if i > 0 && label(&track[i]) != label(&track[i - 1]) {
                level = if level == 20 { 200 } else { 20 };
            }
            level
        })
        .collect();
    let mut random = Random(99);
    let noise: Vec<u8> = (0..track.len()).map(|_| (4.0 * random.next()) as u8).collect();
    move |number| LumaGrid::flat(levels[number] + noise[number])
}

fn still(_: usize) -> LumaGrid {
    LumaGrid::flat(100)
}

#[test]
fn labels_are_those_of_analysing_every_frame() {
    for seed in 1..=20 {
        let track = scenes(0x9e37_79b9_7f4a_7c15_u64.wrapping_mul(seed), 2000, 0.1);
        for (window, align) in [1, 16, 36, 128]
            .into_iter()
            .flat_map(|window| [(window, WindowAlign::Trailing), (window, WindowAlign::Centred)])
        {
            for hysteresis in [0.0, 0.05, 0.15] {
                let rule = rule(window, align, hysteresis);
                let run = sample(&rule, plan(&rule, 1000), &track, cuts(&track), IN_FLIGHT);
                assert_eq!(run.samples.len(), track.len());
                let full = labels(&rule, track.iter());
                let sampled = labels(&rule, run.samples.iter().map(|sample| &sample.probabilities));
                let other = full.iter().zip(&sampled).filter(|(a, b)| a != b).count();
                // Where two labels are about as likely, a label may change a frame earlier or later.
                assert!(other <= 4, "seed {seed}, {rule:?}: {other} labels differ");
                // A slow mean crosses from one label to the other slowly, and every frame of its window counts there.
                let most = if window == 128 { 1600 } else { 600 };
                assert!(run.analysed() < most, "seed {seed}, {rule:?}: {} analysed", run.analysed());
            }
        }
    }
}

#[test]
fn an_analysed_frame_keeps_its_prediction() {
    let track = scenes(7, 500, 0.3);
    let rule = rule(16, WindowAlign::Centred, 0.0);
    let run = sample(&rule, plan(&rule, 1000), &track, still, IN_FLIGHT);
    assert!(run.samples[0].analysed && run.samples[499].analysed);
    for (sample, prediction) in run.samples.iter().zip(&track).filter(|(sample, _)| sample.analysed) {
        assert_eq!(&sample.probabilities, prediction);
    }
}

#[test]
fn a_calm_clip_is_analysed_at_the_longest_step() {
    let track = vec![vec![0.9, 0.05, 0.05]; 5000];
    for window in [1, 36, 128] {
        let rule = rule(window, WindowAlign::Centred, 0.0);
        let run = sample(&rule, plan(&rule, 1000), &track, still, IN_FLIGHT);
        assert!((5000 / 32..5000 / 32 + 12).contains(&run.analysed()), "{window}: {}", run.analysed());
    }
}

#[test]
fn a_cut_costs_a_logarithmic_number_of_looks() {
    let calm = vec![vec![0.95, 0.03, 0.02]; 1500];
    let mut cut = calm.clone();
    cut[700..].iter_mut().for_each(|prediction| prediction.swap(0, 1));
    let rule = rule(1, WindowAlign::Centred, 0.0);
    let looks = |track: &[Vec<f32>]| sample(&rule, plan(&rule, 1000), track, still, IN_FLIGHT).analysed();
    let (with, without) = (looks(&cut), looks(&calm));
    // Five halvings of a step of 32, and shorter steps for a while.
    assert!(with > without + 4 && with <= without + 14, "{with} {without}");
}

#[test]
fn results_may_come_early_or_late() {
    let track = scenes(3, 1500, 0.2);
    for (window, align) in [(1, WindowAlign::Trailing), (36, WindowAlign::Centred), (128, WindowAlign::Trailing)] {
        let rule = rule(window, align, 0.05);
        let runs = [0, 1, IN_FLIGHT].map(|waiting| sample(&rule, plan(&rule, 500), &track, still, waiting).samples);
        assert!(runs[0] == runs[1] && runs[0] == runs[2], "{rule:?}");
    }
}

#[test]
fn memory_is_bounded() {
    let track = scenes(5, 1500, 0.4);
    for held in [16, 64, 192, 1000] {
        for (window, align) in [(1, WindowAlign::Trailing), (36, WindowAlign::Centred), (1000, WindowAlign::Trailing)] {
            let rule = rule(window, align, 0.0);
            let run = sample(&rule, plan(&rule, held), &track, still, IN_FLIGHT);
            assert!(run.most_held <= held, "{held}, {rule:?}: {}", run.most_held);
            assert_eq!(run.samples.len(), track.len());
        }
    }
}

#[test]
fn every_frame_gets_a_prediction_whatever_the_length() {
    let track = scenes(11, 150, 0.1);
    for (window, align) in [(1, WindowAlign::Trailing), (16, WindowAlign::Trailing), (36, WindowAlign::Centred)] {
        let rule = rule(window, align, 0.0);
        for length in 1..=150 {
            let run = sample(&rule, plan(&rule, 1000), &track[..length], still, IN_FLIGHT);
            assert_eq!(run.samples.len(), length, "{rule:?}");
        }
    }
}

#[test]
fn a_clip_may_have_one_frame() {
    let rule = rule(36, WindowAlign::Centred, 0.0);
    let track = vec![vec![0.2, 0.5, 0.3]];
    let run = sample(&rule, plan(&rule, 1000), &track, still, IN_FLIGHT);
    assert_eq!(run.samples, [Sample { probabilities: track[0].clone(), analysed: true }]);
}

/// Samples a track as a camera. Labels come two frames late.
fn sample_forwards(rule: &LabelRule, track: &[Vec<f32>], pictures: impl Fn(usize) -> LumaGrid) -> Run {
    let frames = (0..track.len()).map(|number| (number as u64 * FRAME, pictures(number)));
    let samples = replay_forwards(rule.labeler(track[0].len(), 0), frames, |number| track[number].clone(), 2);
    Run { samples, most_held: 0 }
}

#[test]
fn on_a_camera_labels_change_when_the_picture_does() {
    for seed in 1..=20 {
        let track = scenes(0x9e37_79b9_7f4a_7c15_u64.wrapping_mul(seed), 2000, 0.1);
        for window in [1, 16, 36, 128] {
            let rule = rule(window, WindowAlign::Trailing, 0.05);
            let run = sample_forwards(&rule, &track, cuts(&track));
            let full = labels(&rule, track.iter());
            let sampled = labels(&rule, run.samples.iter().map(|sample| &sample.probabilities));
            let other = full.iter().zip(&sampled).filter(|(a, b)| a != b).count();
            assert!(other <= 12, "seed {seed}, {window}: {other} labels differ");
            assert!(
                run.samples.iter().zip(&track).all(|(sample, row)| !sample.analysed || sample.probabilities == *row)
            );
        }
    }
}

#[test]
fn on_a_camera_a_calm_scene_is_analysed_once_a_second() {
    let track = vec![vec![0.98, 0.01, 0.01]; 2500];
    for window in [1, 36, 128] {
        let run = sample_forwards(&rule(window, WindowAlign::Trailing, 0.0), &track, still);
        assert!((100..=104).contains(&run.analysed()), "{window}: {}", run.analysed());
    }
}
