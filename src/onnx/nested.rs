//! Collects every node and tensor of a model, including those in branches, loops and functions.

use crate::onnx::proto::{AttributeProto, GraphProto, ModelProto, NodeProto, SparseTensorProto, TensorProto};

/// All nodes and tensors of a model.
#[derive(Default)]
pub struct Contents<'a> {
    pub nodes: Vec<&'a NodeProto>,
    pub tensors: Vec<&'a TensorProto>,
}

impl<'a> Contents<'a> {
    pub fn of(model: &'a ModelProto) -> Self {
        let mut contents = Self::default();
        if let Some(graph) = &model.graph {
            contents.graph(graph);
        }
        for function in &model.functions {
            function.attribute_proto.iter().for_each(|attribute| contents.attribute(attribute));
            contents.nodes(&function.node);
        }
        contents
    }

    /// Returns whether the model contains loops, which may not end.
    pub fn loops(&self) -> bool {
        self.nodes.iter().any(|node| ["Loop", "Scan"].contains(&node.op_type.as_str()))
    }

    // The protobuf decoder rejects messages that are nested too deeply, which bounds the recursion.
    fn graph(&mut self, graph: &'a GraphProto) {
        self.tensors.extend(&graph.initializer);
        graph.sparse_initializer.iter().for_each(|tensor| self.sparse(tensor));
        self.nodes(&graph.node);
    }

    fn nodes(&mut self, nodes: &'a [NodeProto]) {
        for node in nodes {
            self.nodes.push(node);
            node.attribute.iter().for_each(|attribute| self.attribute(attribute));
        }
    }

    fn attribute(&mut self, attribute: &'a AttributeProto) {
        self.tensors.extend(attribute.t.iter().chain(&attribute.tensors));
        attribute.sparse_tensor.iter().chain(&attribute.sparse_tensors).for_each(|tensor| self.sparse(tensor));
        attribute.g.iter().chain(&attribute.graphs).for_each(|graph| self.graph(graph));
    }

    fn sparse(&mut self, tensor: &'a SparseTensorProto) {
        self.tensors.extend(tensor.values.iter().chain(&tensor.indices));
    }
}
