//! `livelabel model import`: wraps a classifier that another program exported as a model file.
//!
//! The file's graph is unchanged. Nodes before it convert `[batch, 3, size, size]` in float32 to its input, and nodes
//! after it convert its output to probabilities. Metadata describe the preprocessing.

use std::collections::HashMap;

use prost::Message;
use prost::bytes::Bytes;
use serde_json::json;

use crate::error::{Error, Result};
use crate::labels::window::SmoothingWindow;
use crate::onnx::build::{LOGITS, METADATA_VERSION, PROBABILITIES};
use crate::onnx::graph::{int, ints, value_info};
use crate::onnx::proto::{
    AttributeProto, DimensionProto, FLOAT, FLOAT16, GraphProto, ModelProto, NodeProto, TensorTypeProto, ValueInfoProto,
};
use crate::onnx::raw::{Field, GRAPH, INPUT, NODE, OUTPUT, fields, message, replace_metadata};

/// Element types that can be cast to and from float32: float32, uint8, int8, float16, double, bfloat16.
const CASTABLE: [i32; 6] = [1, 2, 3, 10, 11, 16];
/// Operators that do not change the values themselves.
const PASS_THROUGH: [&str; 6] = ["Identity", "Cast", "Flatten", "Reshape", "Squeeze", "DequantizeLinear"];
/// Name of the new input, if the file's own input needs a conversion.
const PIXELS: &str = "livelabel.pixels";

/// Order of the input's dimensions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum TensorLayout {
    /// Batch, channels, height, width: PyTorch
    Nchw,
    /// Batch, height, width, channels: Keras
    Nhwc,
}

/// Whether a softmax is added to the output.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Softmax {
    /// Added where the graph does not end with one
    #[default]
    Auto,
    /// Added
    Add,
    /// Not added: the output is probabilities already
    None,
}

/// What the file does not state.
#[derive(Clone, Debug)]
pub struct Description {
    pub labels: Vec<String>,
    /// Mean of each channel from 0 to 255, in the order of `channels`.
    pub mean: [f32; 3],
    /// Factor of each channel after the mean is subtracted, in the same order.
    pub scale: [f32; 3],
    /// `BGR` or `RGB`.
    pub channels: &'static str,
    /// Height and width; required if the file leaves them open.
    pub size: Option<usize>,
    /// Required if it is ambiguous from the shape.
    pub layout: Option<TensorLayout>,
    pub output: Option<String>,
    pub softmax: Softmax,
    pub window: SmoothingWindow,
    pub threshold: f64,
    pub hysteresis: f64,
    /// The file's name, for messages and metadata.
    pub origin: String,
}

/// Returns the model file that wraps `file`.
///
/// # Errors
/// Input if it is not an ONNX file, or its input or output are not those of an image classifier with these labels.
pub fn import(file: Bytes, description: &Description) -> Result<Bytes> {
    let name = description.origin.as_str();
    let broken = || Error::input(format!("{name}: not an ONNX file")).remedy("export the model as ONNX");
    let proto = ModelProto::decode(file.clone()).map_err(|cause| broken().because(cause))?;
    let graph = proto.graph.as_ref().filter(|graph| !graph.node.is_empty()).ok_or_else(broken)?;
    let input = InputAdapter::of(graph, description)?;
    let output = OutputAdapter::of(graph, description)?;

    let mut all = fields(&file).ok_or_else(broken)?;
    let index = all.iter().rposition(|field| field.number == GRAPH).ok_or_else(broken)?;
    let own = fields(&all[index].value).ok_or_else(broken)?;
    let is_entry = |field: &Field| {
        field.number == INPUT
            && ValueInfoProto::decode(field.value.clone()).is_ok_and(|info| info.name == input.replaces)
    };
    let mut inside: Vec<Field> = input.nodes.iter().map(|node| Field::message(NODE, node)).collect();
    // The new outputs replace the file's own.
    inside.extend(own.into_iter().filter(|field| !is_entry(field) && field.number != OUTPUT));
    inside.push(Field::message(INPUT, &input.input));
    inside.extend(output.nodes.iter().map(|node| Field::message(NODE, node)));
    inside.extend(output.outputs.iter().map(|output| Field::message(OUTPUT, output)));
    all[index] = Field::bytes(GRAPH, message(&inside));

    replace_metadata(&mut all, metadata(description, input.size, graph));
    Ok(message(&all))
}

/// The input and the nodes before the graph.
struct InputAdapter {
    input: ValueInfoProto,
    nodes: Vec<NodeProto>,
    /// The file's own input, which becomes an intermediate tensor.
    replaces: String,
    size: usize,
}

impl InputAdapter {
    fn of(graph: &GraphProto, description: &Description) -> Result<Self> {
        let name = &description.origin;
        let is_weight = |input: &&ValueInfoProto| graph.initializer.iter().any(|weight| weight.name == input.name);
        let inputs: Vec<_> = graph.input.iter().filter(|input| !is_weight(input)).collect();
        let [own] = inputs[..] else {
            let names: Vec<_> = inputs.iter().map(|input| input.name.as_str()).collect();
            return Err(Error::input(format!("{name}: has the inputs {}, but one is expected", names.join(", ")))
                .remedy("export it with the pictures as its only input"));
        };
        let (kind, dims) = shape(own, name)?;
        let [batch, a, b, c] = dims[..] else { return Err(not_a_picture(own, &dims, name)) };
        let layout = match ([a, b, c], description.layout) {
            (_, Some(layout)) => {
                let channels = if layout == TensorLayout::Nchw { a } else { c };
                if !matches!(channels, -1 | 3)
                    || (layout == TensorLayout::Nchw && b != c)
                    || (layout == TensorLayout::Nhwc && a != b)
                {
                    return Err(not_a_picture(own, &dims, name));
                }
                layout
            }
            ([3, h, w], None) if h == w && h != 3 => TensorLayout::Nchw,
            ([h, w, 3], None) if h == w => TensorLayout::Nhwc,
            ([-1, -1, -1], None) => {
                return Err(Error::usage(format!("{name}: its input does not state the position of the channels"))
                    .remedy("set it with --layout nchw (PyTorch) or --layout nhwc (Keras)"));
            }
            _ => return Err(not_a_picture(own, &dims, name)),
        };
        let side = if layout == TensorLayout::Nchw { dims[3] } else { dims[1] };
        let size = match (usize::try_from(side).ok(), description.size) {
            (None, None) => {
                return Err(Error::usage(format!("{name}: takes pictures of any size"))
                    .remedy("set the size that it was trained for, like --size 224"));
            }
            (Some(own), Some(requested)) if own != requested => {
                return Err(Error::usage(format!(
                    "{name}: takes pictures of {own}x{own}, not of {requested}x{requested}"
                ))
                .remedy(format!("set --size {own}, or omit it")));
            }
            (own, requested) => own.or(requested).unwrap_or_default(),
        };
        let shape = [3, size as i64, size as i64];
        let plain = layout == TensorLayout::Nchw && kind == FLOAT;
        let input_name = if plain { own.name.as_str() } else { PIXELS };
        let mut input = value_info(input_name, &shape);
        if let Some(first) = (batch > 0).then(|| first_dim(&mut input)).flatten() {
            *first = DimensionProto { dim_value: Some(batch), dim_param: None };
        }
        let mut nodes = Vec::new();
        if layout == TensorLayout::Nhwc {
            let to = if kind == FLOAT { own.name.clone() } else { format!("{PIXELS}.nhwc") };
            nodes.push(node("Transpose", PIXELS, &to, vec![ints("perm", &[0, 2, 3, 1])]));
        }
        if kind != FLOAT {
            let from = nodes.last().map_or(PIXELS.to_string(), |last| last.output[0].clone());
            nodes.push(node("Cast", &from, &own.name, vec![int("to", kind.into())]));
        }
        Ok(Self { input, nodes, replaces: own.name.clone(), size })
    }
}

/// The nodes after the graph and the outputs.
struct OutputAdapter {
    nodes: Vec<NodeProto>,
    outputs: Vec<ValueInfoProto>,
}

impl OutputAdapter {
    fn of(graph: &GraphProto, description: &Description) -> Result<Self> {
        let name = &description.origin;
        let own = selected_output(graph, description)?;
        let (kind, dims) = shape(own, name)?;
        let classes = description.labels.len() as i64;
        let flat = dims.len() == 2;
        let open = dims.iter().skip(1).any(|&dim| dim < 0);
        let fits = dims.len() >= 2 && (open || dims[1..].iter().product::<i64>() == classes);
        if !fits {
            return Err(Error::input(format!(
                "{name}: its output {} has the shape {}, but there are {classes} labels",
                own.name,
                written(&dims)
            ))
            .remedy("give a file with one label a line, one for each class of the network, in the same order"));
        }
        let batch = usize::try_from(dims[0]).ok();
        let declared = |name: &str| {
            let mut output = value_info(name, &[classes]);
            if let (Some(batch), Some(first)) = (batch, first_dim(&mut output)) {
                *first = DimensionProto { dim_value: Some(batch as i64), dim_param: None };
            }
            output
        };
        let mut steps = Vec::new();
        if kind != FLOAT {
            steps.push(("Cast", "livelabel.float", vec![int("to", FLOAT.into())]));
        }
        if !flat {
            steps.push(("Flatten", "livelabel.flat", vec![int("axis", 1)]));
        }
        let mut outputs = vec![declared(PROBABILITIES)];
        if adds_softmax(graph, own, description)? {
            outputs.push(declared(LOGITS));
            if !(steps.is_empty() && own.name == LOGITS) {
                steps.push(("Identity", LOGITS, vec![]));
            }
            steps.push(("Softmax", PROBABILITIES, vec![int("axis", 1)]));
        } else if !(steps.is_empty() && own.name == PROBABILITIES) {
            steps.push(("Identity", PROBABILITIES, vec![]));
        }
        let mut from = own.name.as_str();
        let mut nodes = Vec::new();
        for (op, to, attributes) in steps {
            nodes.push(node(op, from, to, attributes));
            from = to;
        }
        let taken = |output: &String| graph.node.iter().any(|node| node.output.contains(output));
        if let Some(twice) = nodes.iter().flat_map(|node| &node.output).find(|output| taken(output)) {
            return Err(Error::input(format!("{name}: already has a tensor named {twice}"))
                .remedy("export it with other names"));
        }
        Ok(Self { nodes, outputs })
    }
}

fn adds_softmax(graph: &GraphProto, output: &ValueInfoProto, description: &Description) -> Result<bool> {
    match (description.softmax, final_operator(graph, &output.name)) {
        (Softmax::Add, _) => Ok(true),
        (Softmax::None, _) | (Softmax::Auto, "Softmax") => Ok(false),
        (Softmax::Auto, end @ ("Sigmoid" | "LogSoftmax")) => Err(Error::input(format!(
            "{}: ends with {end}, so its outputs are not probabilities that add up to one",
            description.origin
        ))
        .remedy("export it without that, or set --softmax add or --softmax none")),
        (Softmax::Auto, _) => Ok(true),
    }
}

/// Returns the output that was named, or the only one.
fn selected_output<'a>(graph: &'a GraphProto, description: &Description) -> Result<&'a ValueInfoProto> {
    let name = &description.origin;
    let names = || graph.output.iter().map(|output| output.name.as_str()).collect::<Vec<_>>().join(", ");
    match (&description.output, &graph.output[..]) {
        (None, [only]) => Ok(only),
        (None, _) => Err(Error::usage(format!("{name}: has the outputs {}", names()))
            .remedy("select with --output-name the one that has a number for each label")),
        (Some(requested), all) => all.iter().find(|output| output.name == *requested).ok_or_else(|| {
            Error::usage(format!("{name}: has no output {requested}")).remedy(format!("use one of {}", names()))
        }),
    }
}

/// Returns the operator that computes `output`, skipping operators that only pass values on.
fn final_operator<'a>(graph: &'a GraphProto, output: &str) -> &'a str {
    let producers: HashMap<&str, &NodeProto> =
        graph.node.iter().flat_map(|node| node.output.iter().map(move |output| (output.as_str(), node))).collect();
    let mut output = output;
    // A valid graph has no cycles; the bound ends the search in a damaged one.
    for _ in 0..graph.node.len() {
        let Some(node) = producers.get(output) else { return "" };
        match node.input.first() {
            Some(input) if PASS_THROUGH.contains(&node.op_type.as_str()) => output = input,
            _ => return &node.op_type,
        }
    }
    ""
}

/// Returns element type and dimensions, -1 for open ones.
fn shape(value: &ValueInfoProto, name: &str) -> Result<(i32, Vec<i64>)> {
    let tensor: &TensorTypeProto = (value.r#type.as_ref().and_then(|ty| ty.tensor_type.as_ref()))
        .filter(|tensor| CASTABLE.contains(&tensor.elem_type))
        .ok_or_else(|| {
            Error::input(format!("{name}: {} is not a tensor of numbers", value.name))
                .remedy("export it with pictures in and a number for each label out")
        })?;
    let dims = tensor.shape.iter().flat_map(|shape| &shape.dim);
    Ok((tensor.elem_type, dims.map(|dim| dim.dim_value.filter(|&value| value > 0).unwrap_or(-1)).collect()))
}

fn first_dim(value: &mut ValueInfoProto) -> Option<&mut DimensionProto> {
    value.r#type.as_mut()?.tensor_type.as_mut()?.shape.as_mut()?.dim.first_mut()
}

fn not_a_picture(input: &ValueInfoProto, dims: &[i64], name: &str) -> Error {
    Error::input(format!(
        "{name}: its input {} has the shape {}, which is not that of a square colour picture",
        input.name,
        written(dims)
    ))
    .remedy("export it for [batch, 3, size, size] or [batch, size, size, 3]")
}

fn written(dims: &[i64]) -> String {
    let dims: Vec<_> = dims.iter().map(|dim| if *dim < 0 { "?".into() } else { dim.to_string() }).collect();
    format!("[{}]", dims.join(", "))
}

fn node(op: &str, from: &str, to: &str, attribute: Vec<AttributeProto>) -> NodeProto {
    NodeProto {
        input: vec![from.into()],
        output: vec![to.into()],
        name: format!("livelabel.{op}.{to}"),
        op_type: op.into(),
        attribute,
        domain: String::new(),
    }
}

fn metadata(description: &Description, size: usize, graph: &GraphProto) -> HashMap<&'static str, String> {
    let quantized =
        graph.node.iter().any(|node| node.op_type == "QuantizeLinear" || node.op_type.starts_with("QLinear"));
    let half = graph.initializer.iter().any(|weight| weight.data_type == FLOAT16);
    let precision = if quantized {
        "int8"
    } else if half {
        "fp16"
    } else {
        "fp32"
    };
    HashMap::from([
        ("livelabel.version", METADATA_VERSION.into()),
        ("labels", json!(description.labels).to_string()),
        ("input.size", size.to_string()),
        ("input.layout", "NCHW".into()),
        ("input.channels", description.channels.into()),
        ("input.mean", json!(description.mean).to_string()),
        ("input.scale", json!(description.scale).to_string()),
        ("window", description.window.to_string()),
        ("threshold", description.threshold.to_string()),
        ("hysteresis", description.hysteresis.to_string()),
        ("precision", precision.into()),
        ("backbone", format!("imported from {}", description.origin)),
        ("trained_on", "not recorded".into()),
        ("metrics", "not recorded".into()),
    ])
}
