//! Benchmarks of single stages: the cost of smoothing, preprocessing and drawing for each frame.

#![allow(clippy::panic, clippy::unwrap_used, reason = "a benchmark may panic")]

use criterion::{Criterion, criterion_group, criterion_main};
use livelabel::inference::model::{Channels, InputSpec};
use livelabel::inference::preprocess::Preprocessor;
use livelabel::labels::decision::Decision;
use livelabel::labels::overlay::{Overlay, OverlayFrame, OverlayStyle};
use livelabel::labels::smoothing::Smoothing;
use livelabel::labels::window::{SmoothingWindow, WindowAlign};
use livelabel::picture::{Colorimetry, OwnedPicture};

const SIZES: [(usize, usize); 3] = [(640, 360), (1280, 720), (1920, 1080)];

fn picture((width, height): (usize, usize)) -> OwnedPicture {
    let mut picture = OwnedPicture::new(width, height, Colorimetry::JPEG);
    for plane in picture.view_mut().planes {
        plane.data.iter_mut().enumerate().for_each(|(i, value)| *value = ((i * 31) >> 4) as u8);
    }
    picture
}

fn smoothing(criterion: &mut Criterion) {
    for (window, labels) in [(128, 3), (128, 1000), (100_000, 3)] {
        let mut smoothing = Smoothing::new(SmoothingWindow::Predictions(window), WindowAlign::Trailing, labels, 0);
        let prediction = vec![1.0 / labels as f32; labels];
        criterion.bench_function(&format!("smoothing, {labels} labels, window {window}"), |bencher| {
            bencher.iter(|| {
                smoothing.push(&prediction, 0);
                smoothing.next(false).map(|mean| mean[0])
            });
        });
    }
}

fn preprocessing(criterion: &mut Criterion) {
    let mean = [103.939, 116.779, 123.68];
    let spec = InputSpec { name: "pixels".into(), size: 224, channels: Channels::Bgr, mean, scale: [1.0; 3] };
    let mut preprocessor = Preprocessor::new(&spec);
    let mut tensor = spec.tensor();
    for size in SIZES {
        let picture = picture(size);
        criterion.bench_function(&format!("preprocessing, {}x{}", size.0, size.1), |bencher| {
            bencher.iter(|| preprocessor.prepare(&picture.view(), tensor.view_mut()).expect("a tensor"));
        });
    }
}

fn overlay(criterion: &mut Criterion) {
    let labels = ["cooking", "drinking", "other"].map(String::from);
    for (name, style) in [("plate", OverlayStyle::Plate), ("original", OverlayStyle::Original)] {
        for size in SIZES {
            let mut picture = picture(size);
            let mut overlay = Overlay::new(style, &labels, None);
            let mut pts = 0;
            criterion.bench_function(&format!("overlay {name}, {}x{}", size.0, size.1), |bencher| {
                bencher.iter(|| {
                    // The number changes every five frames.
                    let confidence = 0.5 + (pts / 200_000_000 % 50) as f64 / 100.0;
                    let decision = Decision { label: 1, confidence, shown: true };
                    let frame = OverlayFrame { decision, warming_up: false, pts, end: pts + 40_000_000 };
                    pts = frame.end;
                    overlay.record(&frame);
                    overlay.draw(&mut picture.view_mut(), Some(&frame)).expect("a label");
                });
            });
        }
    }
}

criterion_group!(stages, smoothing, preprocessing, overlay);
criterion_main!(stages);
