"""A minimal ONNX protobuf codec: parses, changes and writes a model file."""

import struct

VARINT, FIXED64, BYTES, FIXED32 = 0, 1, 2, 5
# Field numbers of the messages.
MODEL = {"ir_version": 1, "graph": 7, "opset_import": 8, "metadata_props": 14}
GRAPH = {"node": 1, "name": 2, "initializer": 5, "input": 11, "output": 12}
NODE = {"input": 1, "output": 2, "name": 3, "op_type": 4, "attribute": 5, "domain": 7}
TENSOR = {"dims": 1, "data_type": 2, "float_data": 4, "name": 8, "raw_data": 9, "external_data": 13, "data_location": 14}
ATTRIBUTE = {"name": 1, "i": 3, "g": 6, "type": 20}
FLOAT, INT64, BOOL = 1, 7, 9


def varint(value):
    value &= (1 << 64) - 1
    out = bytearray()
    while value > 127:
        out.append(value & 127 | 128)
        value >>= 7
    return bytes(out + bytes([value]))


def read_varint(data, at):
    value = shift = 0
    while True:
        byte = data[at]
        value |= (byte & 127) << shift
        at, shift = at + 1, shift + 7
        if byte < 128:
            return value, at


def parse(data):
    """Parses a message to a list of `[field number, wire type, value]`."""
    found, at = [], 0
    while at < len(data):
        tag, at = read_varint(data, at)
        wire = tag & 7
        if wire == VARINT:
            value, at = read_varint(data, at)
        else:
            if wire == BYTES:
                length, at = read_varint(data, at)
            else:
                length = 8 if wire == FIXED64 else 4
            value, at = data[at : at + length], at + length
        found.append([tag >> 3, wire, value])
    return found


def encode(fields):
    out = []
    for number, wire, value in fields:
        out.append(varint(number << 3 | wire))
        if wire == VARINT:
            out.append(varint(value))
        else:
            out += [varint(len(value))] if wire == BYTES else []
            out.append(bytes(value))
    return b"".join(out)


def text(number, value):
    return [number, BYTES, value.encode() if isinstance(value, str) else value]


def number(field, value):
    return [field, VARINT, value]


def get(fields, number, default=b""):
    return next((value for found, _, value in fields if found == number), default)


def tensor(name, dims, raw, kind=FLOAT):
    return encode([number(1, dim) for dim in dims] + [number(2, kind), text(8, name), text(9, raw)])


def value_info(name, dims, kind=FLOAT):
    """Dimensions given as text are symbolic."""
    shape = [text(1, encode([text(2, dim) if isinstance(dim, str) else number(1, dim)])) for dim in dims]
    kind = encode([number(1, kind), text(2, encode(shape))])
    return encode([text(1, name), text(2, encode([text(1, kind)]))])


def node(op, inputs, outputs, attributes=()):
    fields = [text(1, name) for name in inputs] + [text(2, name) for name in outputs]
    return encode([*fields, text(4, op), *(text(5, attribute) for attribute in attributes)])


def subgraph(name, graph):
    return encode([text(1, name), text(6, graph), number(20, 5)])


METADATA = {
    "livelabel.version": "1", "labels": '["red", "green", "blue"]', "input.size": "32", "input.layout": "NCHW",
    "input.channels": "BGR", "input.mean": "[103.9, 116.8, 123.7]", "input.scale": "1.0", "window": "128", "threshold": "0.0",
    "precision": "fp32", "backbone": "none", "trained_on": "nothing", "metrics": "none",
}  # fmt: skip


def model(nodes, initializers=(), metadata=METADATA, size=32, classes=3):
    """Builds a livelabel model file from nodes that compute `probabilities` and `logits` from `pixels`."""
    graph = [text(1, entry) for entry in nodes] + [text(2, "attack")] + [text(5, entry) for entry in initializers]
    graph += [text(11, value_info("pixels", ["batch", 3, size, size]))]
    graph += [text(12, value_info(name, ["batch", classes])) for name in ("probabilities", "logits")]
    props = [text(14, encode([text(1, key), text(2, value)])) for key, value in metadata.items()]
    return encode([number(1, 8), text(7, encode(graph)), text(8, encode([number(2, 17)])), *props])


def head(source):
    """Returns nodes and weights of a three-class classifier on the mean of `source`."""
    nodes = [node("GlobalAveragePool", [source], ["pooled"]), node("Flatten", ["pooled"], ["flat"])]
    nodes += [node("MatMul", ["flat", "weight"], ["logits"]), node("Softmax", ["logits"], ["probabilities"])]
    return nodes, [tensor("weight", [3, 3], struct.pack("<9f", 0.03, 0, 0, 0, 0.03, 0, 0, 0, 0.03))]
