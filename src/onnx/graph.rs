//! Builds an ONNX graph node by node.

use half::f16;
use prost::bytes::Bytes;

use super::proto::*;

const IR_VERSION: i64 = 8;
const OPSET: i64 = 17;

/// The precision of weights and computation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum WeightPrecision {
    Fp32,
    Fp16,
}

impl WeightPrecision {
    /// Returns the name on the command line and in the metadata.
    pub fn name(self) -> &'static str {
        match self {
            WeightPrecision::Fp32 => "fp32",
            WeightPrecision::Fp16 => "fp16",
        }
    }
}

/// A graph under construction. Every method that adds a node returns the name of its output.
pub struct GraphBuilder {
    graph: GraphProto,
    precision: WeightPrecision,
}

impl GraphBuilder {
    pub fn new(name: &str, precision: WeightPrecision) -> Self {
        Self { graph: GraphProto { name: name.into(), ..Default::default() }, precision }
    }

    /// Adds a float32 input of shape `[batch, dims…]` with a dynamic batch.
    pub fn input(&mut self, name: &str, dims: &[i64]) -> String {
        self.graph.input.push(value_info(name, dims));
        self.compute_copy(name)
    }

    /// Declares the float32 tensor `name` of shape `[batch, dims…]` an output of the graph.
    pub fn output(&mut self, name: &str, dims: &[i64]) {
        self.graph.output.push(value_info(name, dims));
    }

    /// Adds a copy of `from` in float32 with the name `name`.
    pub fn float_copy(&mut self, name: &str, from: &str) -> String {
        match self.precision {
            WeightPrecision::Fp32 => self.push("Identity", name, &[from], name, vec![]),
            WeightPrecision::Fp16 => self.push("Cast", name, &[from], name, vec![int("to", FLOAT.into())]),
        }
        name.into()
    }

    /// Adds a convolution. `weight` is `[out, in, kernel, kernel]`; the padding is the same on every side.
    pub fn conv(&mut self, name: &str, from: &str, weight: &Weight, bias: &Weight, stride: i64, pad: i64) -> String {
        let (w, b) = (self.weight(&format!("{name}.weight"), weight), self.weight(&format!("{name}.bias"), bias));
        let kernel = weight.shape[2] as i64;
        let attributes =
            vec![ints("kernel_shape", &[kernel, kernel]), ints("strides", &[stride, stride]), ints("pads", &[pad; 4])];
        self.push("Conv", name, &[from, &w, &b], name, attributes);
        name.into()
    }

    pub fn relu(&mut self, name: &str, from: &str) -> String {
        self.push("Relu", name, &[from], name, vec![]);
        name.into()
    }

    pub fn add(&mut self, name: &str, left: &str, right: &str) -> String {
        self.push("Add", name, &[left, right], name, vec![]);
        name.into()
    }

    pub fn max_pool(&mut self, name: &str, from: &str, kernel: i64, stride: i64, pad: i64) -> String {
        let attributes =
            vec![ints("kernel_shape", &[kernel; 2]), ints("strides", &[stride; 2]), ints("pads", &[pad; 4])];
        self.push("MaxPool", name, &[from], name, attributes);
        name.into()
    }

    /// Adds the mean over height and width, flattened to `[batch, channels]`.
    pub fn global_mean(&mut self, name: &str, from: &str) -> String {
        self.global_pool("GlobalAveragePool", name, from)
    }

    /// Adds the maximum over height and width, flattened to `[batch, channels]`.
    pub fn global_max(&mut self, name: &str, from: &str) -> String {
        self.global_pool("GlobalMaxPool", name, from)
    }

    fn global_pool(&mut self, op: &str, name: &str, from: &str) -> String {
        let pooled = format!("{name}.pooled");
        self.push(op, &pooled, &[from], &pooled, vec![]);
        self.push("Flatten", name, &[&pooled], name, vec![int("axis", 1)]);
        name.into()
    }

    /// Adds a fully connected layer. `weight` is `[out, in]`.
    pub fn dense(&mut self, name: &str, from: &str, weight: &Weight, bias: &Weight) -> String {
        let (w, b) = (self.weight(&format!("{name}.weight"), weight), self.weight(&format!("{name}.bias"), bias));
        self.push("Gemm", name, &[from, &w, &b], name, vec![int("transB", 1)]);
        name.into()
    }

    pub fn softmax(&mut self, name: &str, from: &str) -> String {
        self.push("Softmax", name, &[from], name, vec![int("axis", -1)]);
        name.into()
    }

    /// Adds the matrix product of `from` and `weight`, `[in, out]`.
    pub fn product(&mut self, name: &str, from: &str, weight: &Weight) -> String {
        let weight = self.weight(&format!("{name}.weight"), weight);
        self.push("MatMul", name, &[from, &weight], name, vec![]);
        name.into()
    }

    pub fn log(&mut self, name: &str, from: &str) -> String {
        self.push("Log", name, &[from], name, vec![]);
        name.into()
    }

    /// Divides `from` by a number.
    pub fn divide(&mut self, name: &str, from: &str, divisor: f32) -> String {
        let divisor = self.weight(&format!("{name}.divisor"), &Weight { shape: vec![], values: vec![divisor] });
        self.push("Div", name, &[from, &divisor], name, vec![]);
        name.into()
    }

    /// Returns the model with its metadata.
    pub fn finish(self, metadata: &[(String, String)]) -> ModelProto {
        ModelProto {
            functions: Vec::new(),
            ir_version: IR_VERSION,
            producer_name: "livelabel".into(),
            producer_version: env!("CARGO_PKG_VERSION").into(),
            graph: Some(self.graph),
            opset_import: vec![OperatorSetIdProto { domain: String::new(), version: OPSET }],
            metadata_props: metadata
                .iter()
                .map(|(key, value)| StringStringEntryProto { key: key.clone(), value: value.clone() })
                .collect(),
        }
    }

    fn compute_copy(&mut self, name: &str) -> String {
        match self.precision {
            WeightPrecision::Fp32 => name.into(),
            WeightPrecision::Fp16 => {
                let half = format!("{name}.half");
                self.push("Cast", &half, &[name], &half, vec![int("to", FLOAT16.into())]);
                half
            }
        }
    }

    fn weight(&mut self, name: &str, weight: &Weight) -> String {
        let tensor = match self.precision {
            WeightPrecision::Fp32 => float_tensor(name, weight),
            WeightPrecision::Fp16 => {
                let halves: Vec<u8> =
                    weight.values.iter().flat_map(|value| f16::from_f32(*value).to_le_bytes()).collect();
                TensorProto { data_type: FLOAT16, raw_data: Bytes::from(halves), ..float_tensor(name, weight) }
            }
        };
        self.graph.initializer.push(tensor);
        name.into()
    }

    fn push(&mut self, op: &str, name: &str, inputs: &[&str], output: &str, attribute: Vec<AttributeProto>) {
        self.graph.node.push(NodeProto {
            input: inputs.iter().map(|&input| input.into()).collect(),
            output: vec![output.into()],
            name: name.into(),
            op_type: op.into(),
            attribute,
            domain: String::new(),
        });
    }
}

/// A dense float32 tensor in row-major order.
#[derive(Clone, Debug, PartialEq)]
pub struct Weight {
    pub shape: Vec<usize>,
    pub values: Vec<f32>,
}

/// Returns the number of values of a tensor; `None` if no memory could hold them.
pub fn value_count(shape: &[usize]) -> Option<usize> {
    shape.iter().try_fold(1, |count: usize, side| count.checked_mul(*side))
}

/// Creates the float32 tensor `name` with these values.
pub fn float_tensor(name: &str, weight: &Weight) -> TensorProto {
    let bytes: Vec<u8> = weight.values.iter().flat_map(|value| value.to_le_bytes()).collect();
    TensorProto {
        dims: weight.shape.iter().map(|&dim| dim as i64).collect(),
        data_type: FLOAT,
        name: name.into(),
        raw_data: Bytes::from(bytes),
        data_location: 0,
    }
}

/// Describes a float32 tensor `[batch, dims…]` with a dynamic batch.
pub fn value_info(name: &str, dims: &[i64]) -> ValueInfoProto {
    let batch = DimensionProto { dim_value: None, dim_param: Some("batch".into()) };
    let fixed = dims.iter().map(|&dim| DimensionProto { dim_value: Some(dim), dim_param: None });
    let shape = TensorShapeProto { dim: std::iter::once(batch).chain(fixed).collect() };
    let tensor_type = TensorTypeProto { elem_type: FLOAT, shape: Some(shape) };
    ValueInfoProto { name: name.into(), r#type: Some(TypeProto { tensor_type: Some(tensor_type) }) }
}

/// Creates an attribute that is an integer.
pub fn int(name: &str, i: i64) -> AttributeProto {
    AttributeProto { name: name.into(), i, r#type: 2, ..Default::default() }
}

/// Creates an attribute that is a list of integers.
pub fn ints(name: &str, values: &[i64]) -> AttributeProto {
    AttributeProto { name: name.into(), ints: values.to_vec(), r#type: 7, ..Default::default() }
}
