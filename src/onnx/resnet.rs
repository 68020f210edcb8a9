//! ResNet50 as Keras builds it, version 1: each stage's stride is in its first 1×1 convolution, convolutions have
//! biases, and every convolution is followed by a batch norm, which is folded into it here.

use crate::error::Result;
use crate::onnx::graph::{GraphBuilder, Weight};
use crate::onnx::weights::Weights;

/// Channels of the last feature map, which are averaged into the features.
pub const FEATURES: usize = 2048;
/// Height and width of the input picture.
pub const INPUT_SIZE: usize = 224;

/// Stage name, number of blocks, inner channels, stride of the first block.
const STAGES: [(&str, usize, usize, i64); 4] = [("2", 3, 64, 1), ("3", 4, 128, 2), ("4", 6, 256, 2), ("5", 3, 512, 2)];

/// Adds the backbone after `input` (`[batch, 3, 224, 224]`); returns the features' name (`[batch, 2048]`).
///
/// # Errors
/// An input error that names the first tensor that is missing or shaped otherwise.
pub fn backbone(graph: &mut GraphBuilder, weights: &Weights, input: &str) -> Result<String> {
    let conv1 = Folded::read(weights, "conv1", "bn_conv1", 7, 3, 64)?;
    let conv1 = graph.conv("conv1", input, &conv1.weight, &conv1.bias, 2, 3);
    let relu = graph.relu("conv1.relu", &conv1);
    // Keras pads with zeros before pooling; after a ReLU that equals ONNX's padding, which never wins.
    let mut x = graph.max_pool("pool1", &relu, 3, 2, 1);
    let mut channels = 64;
    for (stage, blocks, inner, first_stride) in STAGES {
        for block in 0..blocks {
            let letter = char::from(b'a' + block as u8);
            let stride = if block == 0 { first_stride } else { 1 };
            let name = format!("{stage}{letter}");
            x = bottleneck(graph, weights, &name, &x, channels, inner, stride, block == 0)?;
            channels = 4 * inner;
        }
    }
    Ok(graph.global_mean("features", &x))
}

#[allow(clippy::too_many_arguments)]
fn bottleneck(
    graph: &mut GraphBuilder,
    weights: &Weights,
    name: &str,
    input: &str,
    channels: usize,
    inner: usize,
    stride: i64,
    project: bool,
) -> Result<String> {
    let branch = |branch: &str, kernel, from, to| {
        Folded::read(
            weights,
            &format!("res{name}_branch{branch}"),
            &format!("bn{name}_branch{branch}"),
            kernel,
            from,
            to,
        )
    };
    let mut x = input.to_string();
    for (letter, kernel, from, to, stride) in
        [("2a", 1, channels, inner, stride), ("2b", 3, inner, inner, 1), ("2c", 1, inner, 4 * inner, 1)]
    {
        let folded = branch(letter, kernel, from, to)?;
        let conv = format!("res{name}_branch{letter}");
        x = graph.conv(&conv, &x, &folded.weight, &folded.bias, stride, (kernel as i64 - 1) / 2);
        if letter != "2c" {
            x = graph.relu(&format!("{conv}.relu"), &x);
        }
    }
    let shortcut = if project {
        let folded = branch("1", 1, channels, 4 * inner)?;
        graph.conv(&format!("res{name}_branch1"), input, &folded.weight, &folded.bias, stride, 0)
    } else {
        input.to_string()
    };
    let sum = graph.add(&format!("res{name}"), &x, &shortcut);
    Ok(graph.relu(&format!("res{name}.relu"), &sum))
}

/// A convolution that includes its batch norm: `w·γ/√(σ²+ε)` and `(b−μ)·γ/√(σ²+ε)+β`, out-channel by out-channel.
struct Folded {
    weight: Weight,
    bias: Weight,
}

impl Folded {
    fn read(weights: &Weights, conv: &str, norm: &str, kernel: usize, from: usize, to: usize) -> Result<Self> {
        let get = |layer: &str, part: &str| weights.tensor(&format!("{layer}/{part}"), &[to]).map(|w| &w.values);
        let hwio = weights.tensor(&format!("{conv}/kernel"), &[kernel, kernel, from, to])?;
        let (bias, gamma, beta) = (get(conv, "bias")?, get(norm, "gamma")?, get(norm, "beta")?);
        let (mean, variance) = (get(norm, "moving_mean")?, get(norm, "moving_variance")?);

        let epsilon = f64::from(weights.epsilon);
        let scale: Vec<f64> =
            gamma.iter().zip(variance).map(|(&g, &v)| f64::from(g) / (f64::from(v) + epsilon).sqrt()).collect();
        let taps = kernel * kernel;
        let mut folded = vec![0.0; to * from * taps];
        for (tap, plane) in hwio.values.chunks_exact(from * to).enumerate() {
            for (i, row) in plane.chunks_exact(to).enumerate() {
                for (o, &value) in row.iter().enumerate() {
                    folded[(o * from + i) * taps + tap] = (f64::from(value) * scale[o]) as f32;
                }
            }
        }
        let shifted = (0..to)
            .map(|o| ((f64::from(bias[o]) - f64::from(mean[o])) * scale[o] + f64::from(beta[o])) as f32)
            .collect();
        Ok(Self {
            weight: Weight { shape: vec![to, from, kernel, kernel], values: folded },
            bias: Weight { shape: vec![to], values: shifted },
        })
    }
}
