//! Cuts a model file at its features: the layers before them can run alone, and an adapter can follow the head.
//!
//! An adapter is a dense layer from the features to the labels, whose output is added to the logarithms of the
//! head's probabilities. The layers up to the features and the head are unchanged. A file that has an adapter already gets another in its place.

use std::collections::{HashMap, HashSet};

use half::f16;
use prost::Message;
use prost::bytes::Bytes;
use sha2::{Digest, Sha256};

use crate::error::{Error, Result};
use crate::onnx::build::{FEATURES, FROZEN, LOGITS, PROBABILITIES};
use crate::onnx::graph::{Weight, float_tensor, int, value_info};
use crate::onnx::head::{Head, Layer, NODES};
use crate::onnx::proto::{AttributeProto, FLOAT, FLOAT16, GraphProto, ModelProto, NodeProto, TensorProto};
use crate::onnx::raw::{Field, GRAPH, INITIALIZER, NODE, OUTPUT, VALUE_INFO, fields, message, replace_metadata};
use crate::onnx::resnet;

/// The head's own logits in a file with an adapter.
const HEAD_LOGITS: &str = "head.logits";
/// What the names of an adapter's nodes and tensors begin with.
const ADAPTER: &str = "adapter";

/// A model file, divided at its features.
pub struct Cut {
    file: Vec<Field>,
    graph: Vec<Part>,
    pub head: Head,
    /// The adapter, if the file has one: `[labels, 2048]`.
    pub adapter: Option<Layer>,
}

/// A field of the graph, and where it belongs.
struct Part {
    field: Field,
    place: Place,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    /// The layers up to the features, with their weights.
    Backbone,
    Head,
    Adapter,
    /// The graph's outputs and the shapes of its tensors, which are written again.
    Shapes,
    /// The graph's input and name.
    Other,
}

impl Cut {
    /// Divides the model file `file`. `labels` are those of its metadata; `origin` is its name for messages.
    ///
    /// # Errors
    /// Input if it has no 2048 features, or another head than livelabel builds.
    pub fn of(file: Bytes, labels: &[String], origin: &str) -> Result<Self> {
        let refused = |why: String| {
            Error::input(format!("model {origin}: cannot be adapted")).because(why).remedy(
                "give a model with ResNet50's 2048 features that livelabel-train fit or livelabel model build wrote; import \
                 keeps other networks as they are",
            )
        };
        let broken = || refused("it is not an ONNX file".into());
        let proto = ModelProto::decode(file.clone()).map_err(|_| broken())?;
        let graph = proto.graph.ok_or_else(broken)?;
        let file = fields(&file).ok_or_else(broken)?;
        let own = file.iter().rfind(|field| field.number == GRAPH).ok_or_else(broken)?;
        let places = Places::of(&graph).map_err(refused)?;
        let parts = fields(&own.value).ok_or_else(broken)?.into_iter().map(|field| {
            let place = places.of_field(&field);
            Part { field, place }
        });
        let mut tensors = HashMap::new();
        for tensor in graph.initializer.iter().filter(|tensor| !places.backbone.contains(tensor.name.as_str())) {
            let weight = weight(tensor).ok_or_else(|| refused(format!("its tensor {} is not float", tensor.name)))?;
            tensors.insert(tensor.name.clone(), weight);
        }
        let mut of_adapter = |part: &str| tensors.remove(&format!("{ADAPTER}.{part}"));
        let adapter = of_adapter("weight").zip(of_adapter("bias")).map(|(weight, bias)| Layer { weight, bias });
        let head = Head::of_graph(tensors, labels).map_err(refused)?;
        Ok(Self { graph: parts.collect(), file, head, adapter })
    }

    /// Returns the SHA-256 of the layers up to the features, in hexadecimal. It is the same for every head and adapter.
    pub fn backbone_sha256(&self) -> String {
        let mut hash = Sha256::new();
        for part in self.graph.iter().filter(|part| part.place == Place::Backbone) {
            hash.update((part.field.value.len() as u64).to_le_bytes());
            hash.update(&part.field.value);
        }
        hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
    }

    /// Returns a file with the layers up to the features, which are its output [`FROZEN`].
    pub fn backbone_file(&self) -> Bytes {
        let mut graph = self.fields(|place| matches!(place, Place::Backbone | Place::Other));
        graph.push(Field::message(NODE, &node("Cast", FROZEN, &[FEATURES], FROZEN, vec![int("to", FLOAT.into())])));
        graph.push(Field::message(OUTPUT, &value_info(FROZEN, &[resnet::FEATURES as i64])));
        message(&self.with_graph(&graph))
    }

    /// Returns the model file with `adapter` in place of its own, if it has one, and with these metadata. An adapter for
    /// more labels than the head has is added to the logarithm of the head's probabilities, and to 0 for the others.
    pub fn with_adapter(&self, adapter: &Layer, metadata: HashMap<&'static str, String>) -> Bytes {
        let mut graph = self.fields(|place| !matches!(place, Place::Adapter | Place::Shapes));
        for field in graph.iter_mut().filter(|field| field.number == NODE) {
            let Ok(mut node) = NodeProto::decode(field.value.clone()) else { continue };
            if node.output == [LOGITS] {
                node.output = vec![HEAD_LOGITS.into()];
                *field = Field::message(NODE, &node);
            }
        }
        let named = |name: &str| format!("{ADAPTER}.{name}");
        let [features, weight, bias, shift, logarithms, wide, widen] =
            ["features", "weight", "bias", "shift", "logarithms", "wide", "widen"].map(named);
        let mut add = |op: &str, name: &str, from: &[&str], to: &str, attributes: Vec<AttributeProto>| {
            graph.push(Field::message(NODE, &node(op, name, from, to, attributes)));
        };
        add("Cast", &features, &[FEATURES], &features, vec![int("to", FLOAT.into())]);
        add("Gemm", &shift, &[&features, &weight, &bias], &shift, vec![int("transB", 1)]);
        let (own, labels) = (self.head.labels.len(), adapter.bias.values.len());
        add("LogSoftmax", &logarithms, &[HEAD_LOGITS], &logarithms, vec![int("axis", -1)]);
        if labels > own {
            add("MatMul", &wide, &[&logarithms, &widen], &wide, vec![]);
        }
        let base = if labels > own { &wide } else { &logarithms };
        add("Add", &named("logits"), &[base, &shift], LOGITS, vec![]);
        add("Softmax", &named("softmax"), &[LOGITS], PROBABILITIES, vec![int("axis", -1)]);
        let identity = (0..own).flat_map(|row| (0..labels).map(move |column| f32::from(u8::from(row == column))));
        let widening = Weight { shape: vec![own, labels], values: identity.collect() };
        let mut tensors = vec![(&weight, &adapter.weight), (&bias, &adapter.bias)];
        tensors.extend((labels > own).then_some((&widen, &widening)));
        graph
            .extend(tensors.into_iter().map(|(name, weight)| Field::message(INITIALIZER, &float_tensor(name, weight))));
        graph.extend([PROBABILITIES, LOGITS].map(|name| Field::message(OUTPUT, &value_info(name, &[labels as i64]))));
        let mut file = self.with_graph(&graph);
        replace_metadata(&mut file, metadata);
        message(&file)
    }

    fn fields(&self, wanted: impl Fn(Place) -> bool) -> Vec<Field> {
        self.graph.iter().filter(|part| wanted(part.place)).map(|part| part.field.clone()).collect()
    }

    fn with_graph(&self, graph: &[Field]) -> Vec<Field> {
        let mut file: Vec<Field> = self.file.iter().filter(|field| field.number != GRAPH).cloned().collect();
        file.insert(0, Field::bytes(GRAPH, message(graph)));
        file
    }
}

/// Which nodes and tensors are before the features, by name.
struct Places<'a> {
    /// The outputs of the backbone's nodes, and the names of its tensors.
    backbone: HashSet<&'a str>,
}

impl<'a> Places<'a> {
    fn of(graph: &'a GraphProto) -> std::result::Result<Self, String> {
        let producers: HashMap<&str, &NodeProto> =
            graph.node.iter().flat_map(|node| node.output.iter().map(move |output| (output.as_str(), node))).collect();
        if !producers.contains_key(FEATURES) {
            return Err(format!("it has no tensor {FEATURES:?} to cut it at"));
        }
        let (mut backbone, mut waiting) = (HashSet::new(), vec![FEATURES]);
        while let Some(name) = waiting.pop() {
            if backbone.insert(name) {
                waiting.extend(producers.get(name).iter().flat_map(|node| node.input.iter().map(String::as_str)));
            }
        }
        let places = Self { backbone };
        let after = graph.node.iter().filter(|node| places.of_node(node) == Place::Head);
        let is_known = |node: &&NodeProto| NODES.contains(&node.name.as_str()) || node.output == [LOGITS];
        let ends = |node: &&NodeProto| node.output == [HEAD_LOGITS];
        match after.into_iter().find(|node| !is_known(node) && !ends(node)) {
            Some(node) => Err(format!("its head has the unknown node {:?}", node.name)),
            None => Ok(places),
        }
    }

    fn of_node(&self, node: &NodeProto) -> Place {
        if node.output.iter().any(|output| self.backbone.contains(output.as_str())) {
            Place::Backbone
        } else if node.name.starts_with(ADAPTER) || node.output == [PROBABILITIES] {
            Place::Adapter
        } else {
            Place::Head
        }
    }

    fn of_field(&self, field: &Field) -> Place {
        match field.number {
            NODE => NodeProto::decode(field.value.clone()).map_or(Place::Other, |node| self.of_node(&node)),
            INITIALIZER => match TensorProto::decode(field.value.clone()) {
                Ok(tensor) if self.backbone.contains(tensor.name.as_str()) => Place::Backbone,
                Ok(tensor) if tensor.name.starts_with(ADAPTER) => Place::Adapter,
                Ok(_) => Place::Head,
                Err(_) => Place::Other,
            },
            OUTPUT | VALUE_INFO => Place::Shapes,
            _ => Place::Other,
        }
    }
}

fn node(op: &str, name: &str, from: &[&str], to: &str, attribute: Vec<AttributeProto>) -> NodeProto {
    NodeProto {
        input: from.iter().map(|&input| input.into()).collect(),
        output: vec![to.into()],
        name: name.into(),
        op_type: op.into(),
        attribute,
        domain: String::new(),
    }
}

/// Reads a tensor of floats; `None` if it is of another type or incomplete.
fn weight(tensor: &TensorProto) -> Option<Weight> {
    let shape: Vec<usize> = tensor.dims.iter().map(|&dim| usize::try_from(dim).ok()).collect::<Option<_>>()?;
    let values: Vec<f32> = match tensor.data_type {
        FLOAT => tensor.raw_data.as_chunks().0.iter().map(|&bytes| f32::from_le_bytes(bytes)).collect(),
        FLOAT16 => tensor.raw_data.as_chunks().0.iter().map(|&bytes| f16::from_le_bytes(bytes).to_f32()).collect(),
        _ => return None,
    };
    (values.len() == shape.iter().try_fold(1usize, |all, &dim| all.checked_mul(dim))?)
        .then_some(Weight { shape, values })
}
