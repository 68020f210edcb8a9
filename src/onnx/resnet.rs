//! ResNet50 version 1 as in Keras: each stage's stride is in its first 1×1 convolutions, convolutions have biases, and
//! a batch norm follows every convolution. Here the batch norms are folded into the convolutions.

use std::collections::HashMap;

use crate::error::Result;
use crate::onnx::graph::{GraphBuilder, Weight};
use crate::onnx::weights::Weights;

/// Channels of the last feature map, which pooling reduces to the features.
pub const FEATURES: usize = 2048;
/// Height and width of the input.
pub const INPUT_SIZE: usize = 224;

/// Channels before the first stage.
const STEM: usize = 64;
/// Name in Keras, number of blocks and inner channels of each stage.
const STAGES: [(&str, usize, usize); 4] = [("2", 3, 64), ("3", 4, 128), ("4", 6, 256), ("5", 3, 512)];

/// A convolution: its name and the shape of its weight.
#[derive(Clone, Debug)]
pub struct Conv {
    pub name: String,
    pub kernel: usize,
    pub from: usize,
    pub to: usize,
}

/// Builds the network from layers: as nodes of a graph, or by computing tensors directly. Weights are found by name.
pub trait Layers {
    type Map;

    fn conv(&mut self, conv: &Conv, input: &Self::Map, stride: i64) -> Result<Self::Map>;
    fn relu(&mut self, name: &str, input: &Self::Map) -> Self::Map;
    fn add(&mut self, name: &str, left: &Self::Map, right: &Self::Map) -> Self::Map;
    fn max_pool(&mut self, name: &str, input: &Self::Map) -> Self::Map;
    /// Takes every second row and column, starting with the first.
    fn every_second(&mut self, name: &str, input: &Self::Map) -> Self::Map;
}

/// Builds the whole backbone, `[batch, 3, 224, 224]` to `[batch, 2048, 7, 7]`.
///
/// A stage starts with two 1×1 convolutions of stride 2, which never read three quarters of the map before them. That
/// part is not computed: the last block of the previous stage has the stride instead. The results are identical, since
/// each comes from the same products, and a tenth of all products is saved.
///
/// # Errors
/// Those of the layers.
pub fn backbone<L: Layers>(layers: &mut L, input: &L::Map) -> Result<L::Map> {
    let map = before(Stage::Second, layers, input)?;
    from(Stage::Second, layers, map)
}

/// A stage before which the network can be cut, numbered as in the ResNet paper: the fourth is `res5` in Keras.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    Second = 1,
    Third,
    Fourth,
}

impl Stage {
    /// Returns the name prefixes of the convolutions in this stage and those after it.
    pub fn and_after(self) -> impl Iterator<Item = String> {
        STAGES[self as usize..].iter().map(|(name, ..)| format!("res{name}"))
    }

    /// Returns channels, height and width of the stage's input. Its stride is in the previous stage.
    pub fn input(self) -> [usize; 3] {
        let side = INPUT_SIZE >> (self as usize + 2);
        [4 * STAGES[self as usize - 1].2, side, side]
    }
}

/// Builds the stages before `stage`: `[batch, 3, 224, 224]` to `[batch, …stage.input()]`.
///
/// # Errors
/// Those of the layers.
pub fn before<L: Layers>(stage: Stage, layers: &mut L, input: &L::Map) -> Result<L::Map> {
    let map = stem(layers, input)?;
    stages(0..stage as usize, layers, map)
}

/// Builds `stage` and those after it: `[batch, …stage.input()]` to `[batch, 2048, 7, 7]`.
///
/// # Errors
/// Those of the layers.
pub fn from<L: Layers>(stage: Stage, layers: &mut L, map: L::Map) -> Result<L::Map> {
    stages(stage as usize..STAGES.len(), layers, map)
}

fn stages<L: Layers>(range: std::ops::Range<usize>, layers: &mut L, mut x: L::Map) -> Result<L::Map> {
    for i in range {
        let channels = if i == 0 { STEM } else { 4 * STAGES[i - 1].2 };
        x = blocks(layers, &STAGES[i], x, channels, i + 1 < STAGES.len())?;
    }
    Ok(x)
}

fn stem<L: Layers>(layers: &mut L, input: &L::Map) -> Result<L::Map> {
    let conv1 = layers.conv(&Conv { name: "conv1".into(), kernel: 7, from: 3, to: STEM }, input, 2)?;
    let relu = layers.relu("conv1.relu", &conv1);
    Ok(layers.max_pool("pool1", &relu))
}

/// Builds the blocks of a stage. With `halves`, the last one halves height and width for the next stage.
fn blocks<L: Layers>(
    layers: &mut L,
    &(stage, blocks, inner): &(&str, usize, usize),
    mut x: L::Map,
    mut channels: usize,
    halves: bool,
) -> Result<L::Map> {
    for block in 0..blocks {
        let letter = char::from(b'a' + block as u8);
        x = bottleneck(layers, &format!("{stage}{letter}"), &x, channels, inner, halves && block + 1 == blocks)?;
        channels = 4 * inner;
    }
    Ok(x)
}

/// Builds three convolutions and a shortcut, which is a convolution too if the number of channels changes.
fn bottleneck<L: Layers>(
    layers: &mut L,
    name: &str,
    input: &L::Map,
    channels: usize,
    inner: usize,
    halves: bool,
) -> Result<L::Map> {
    let conv = |branch: &str, kernel, from, to| Conv { name: format!("res{name}_branch{branch}"), kernel, from, to };
    let a = layers.conv(&conv("2a", 1, channels, inner), input, 1)?;
    let a = layers.relu(&format!("res{name}_branch2a.relu"), &a);
    let b = layers.conv(&conv("2b", 3, inner, inner), &a, if halves { 2 } else { 1 })?;
    let b = layers.relu(&format!("res{name}_branch2b.relu"), &b);
    let c = layers.conv(&conv("2c", 1, inner, 4 * inner), &b, 1)?;
    let sum = if channels != 4 * inner {
        let shortcut = layers.conv(&conv("1", 1, channels, 4 * inner), input, 1)?;
        layers.add(&format!("res{name}"), &c, &shortcut)
    } else if halves {
        let shortcut = layers.every_second(&format!("res{name}.shortcut"), input);
        layers.add(&format!("res{name}"), &c, &shortcut)
    } else {
        layers.add(&format!("res{name}"), &c, input)
    };
    Ok(layers.relu(&format!("res{name}.relu"), &sum))
}

/// Builds the network as nodes of a graph, with folded batch norms.
pub struct GraphLayers<'a> {
    pub graph: &'a mut GraphBuilder,
    pub weights: &'a Weights,
    /// Trained convolutions, `NAME.weight` and `NAME.bias`, which replace the folded ones.
    pub trained: &'a HashMap<String, Weight>,
}

impl Layers for GraphLayers<'_> {
    type Map = String;

    fn conv(&mut self, conv: &Conv, input: &String, stride: i64) -> Result<String> {
        let trained = |part: &str| self.trained.get(&format!("{}.{part}", conv.name));
        let folded = match (trained("weight"), trained("bias")) {
            (Some(weight), Some(bias)) => Folded { weight: weight.clone(), bias: bias.clone() },
            _ => Folded::read(self.weights, conv)?,
        };
        let pad = (conv.kernel as i64 - 1) / 2;
        Ok(self.graph.conv(&conv.name, input, &folded.weight, &folded.bias, stride, pad))
    }

    fn relu(&mut self, name: &str, input: &String) -> String {
        self.graph.relu(name, input)
    }

    fn add(&mut self, name: &str, left: &String, right: &String) -> String {
        self.graph.add(name, left, right)
    }

    fn max_pool(&mut self, name: &str, input: &String) -> String {
        // Keras pads with zeros before pooling. After a ReLU that equals ONNX's padding with minus infinity.
        self.graph.max_pool(name, input, 3, 2, 1)
    }

    fn every_second(&mut self, name: &str, input: &String) -> String {
        // A pooling of one pixel. Unlike a slice, quantizers and backends keep it in int8.
        self.graph.max_pool(name, input, 1, 2, 0)
    }
}

/// A convolution with folded batch norm: `w·γ/√(σ²+ε)` and `(b−μ)·γ/√(σ²+ε)+β` for each output channel.
pub struct Folded {
    pub weight: Weight,
    pub bias: Weight,
}

impl Folded {
    /// Reads `conv` and its batch norm: `bnXY` for `resXY`, `bn_conv1` for `conv1`.
    ///
    /// # Errors
    /// Input, with the name of the first tensor that is missing or has another shape.
    pub fn read(weights: &Weights, Conv { name, kernel, from, to }: &Conv) -> Result<Self> {
        let (conv, kernel, from, to) = (name, *kernel, *from, *to);
        let norm = match conv.strip_prefix("res") {
            Some(block) => format!("bn{block}"),
            None => format!("bn_{conv}"),
        };
        let get = |layer: &str, part: &str| weights.tensor(&format!("{layer}/{part}"), &[to]).map(|w| &w.values);
        let hwio = weights.tensor(&format!("{conv}/kernel"), &[kernel, kernel, from, to])?;
        let (bias, gamma, beta) = (get(conv, "bias")?, get(&norm, "gamma")?, get(&norm, "beta")?);
        let (mean, variance) = (get(&norm, "moving_mean")?, get(&norm, "moving_variance")?);

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
